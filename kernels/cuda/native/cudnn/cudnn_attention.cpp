#include <dlfcn.h>
#include <link.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>

#include "kernels/base/error.h"
#include "kernels/cuda/attention_library.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/native/cudnn/forward_graph.h"

/// The frontend looks up cuDNN's functions in it.
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace tandem::cuda {

namespace fe = cudnn_frontend;

namespace {

constexpr const char* kFile = "libcudnn.so.9";
constexpr const char* kAdvice =
    "install cuDNN 9.18.1 or newer for this version of CUDA, or put the directory that has it into LD_LIBRARY_PATH; "
    "device.attention = own needs no cuDNN";

/// What the library or its frontend says, as one line.
std::string one_line(const std::string& text) {
    std::string line;
    for (const char c : text) {
        if (c != '\n' && c != '\r') line += c;
        else if (!line.empty() && !line.ends_with(' ')) line += ' ';
        if (line.size() > 300) return line + "...";
    }
    return line;
}

std::string version_text(std::size_t version) { return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100); }

/// Opens one of the libraries that cuDNN is made of, from beside it. cuDNN opens them itself when it is first called, and ends the process
/// where it does not find one.
void open_part(const std::string& name) {
    link_map* of_cudnn = nullptr;
    if (dlinfo(fe::cudnn_dlhandle, RTLD_DI_LINKMAP, static_cast<void*>(&of_cudnn)) != 0 || of_cudnn == nullptr) return;
    const auto beside = std::filesystem::path(of_cudnn->l_name).parent_path() / name;
    for (const std::string& file : {beside.string(), name})
        if (dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) != nullptr) return;
    const char* reason = dlerror();
    fail(Failure::Configuration, "a part of cuDNN cannot be opened: {}: {}", reason != nullptr ? reason : name, kAdvice);
}

std::size_t open_cudnn() {
    fe::cudnn_dlhandle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (fe::cudnn_dlhandle == nullptr) {
        const char* reason = dlerror();
        fail(Failure::Configuration, "cuDNN cannot be opened: {}: {}", reason != nullptr ? reason : kFile, kAdvice);
    }
    open_part("libcudnn_graph.so.9");
    const std::size_t version = fe::detail::get_backend_version();
    if (version < cudnn::kOldestCudnn) fail(Failure::Configuration, "{} is {}: {}", kFile, version_text(version), kAdvice);
    return version;
}

/// 90 of "sm_90".
int architecture_of(int device) {
    const std::string name = describe_device(device).architecture;
    int number = 0;
    std::from_chars(name.data() + std::string_view("sm_").size(), name.data() + name.size(), number);
    return number;
}

class CudnnAttention final : public AttentionLibrary {
public:
    explicit CudnnAttention(int device) : version_(open_cudnn()), architecture_(architecture_of(device)) {
        for (const char* part : {"ops", "heuristic", "engines_precompiled", "engines_runtime_compiled"})
            open_part(fmt::format("libcudnn_{}.so.9", part));
        const cudnnStatus_t status = fe::detail::create_handle(&handle_);
        if (status != CUDNN_STATUS_SUCCESS) {
            fail(Failure::Configuration, "{} cannot be started: {}: {}", description(), fe::detail::get_error_string(status), kAdvice);
        }
    }
    ~CudnnAttention() override {
        graphs_.clear();
        const cudnnStatus_t status = fe::detail::destroy_handle(handle_);
        if (status != CUDNN_STATUS_SUCCESS) std::fprintf(stderr, "tandem: cudnnDestroy: %s\n", fe::detail::get_error_string(status));
    }
    CudnnAttention(const CudnnAttention&) = delete;
    CudnnAttention& operator=(const CudnnAttention&) = delete;

    [[nodiscard]] std::string description() const override { return version_text(version_); }

    Prepared prepare(const AttentionPlan& plan) override {
        try {
            auto graph = cudnn::forward_graph(plan, architecture_);
            auto built = graph->build(handle_, {fe::HeurMode_t::A});
            if (!built.is_good()) return {0, one_line(built.get_message())};
            std::int64_t workspace = 0;
            auto sized = graph->get_workspace_size(workspace);
            if (!sized.is_good()) return {0, one_line(sized.get_message())};
            graphs_[plan] = std::move(graph);
            return {static_cast<std::size_t>(workspace), ""};
        } catch (const std::exception& error) {  // a function or a library of CUDA's that is not there
            return {0, one_line(error.what())};
        }
    }

    void run(const AttentionPlan& plan, const AttentionCall& call, NativeStream stream) override {
        const cudnnStatus_t status = fe::detail::set_stream(handle_, stream);
        if (status != CUDNN_STATUS_SUCCESS) fail(Failure::Run, "cuda: attention: cudnnSetStream: {}", fe::detail::get_error_string(status));
        std::unordered_map<std::int64_t, void*> operands = {{cudnn::kQ, const_cast<void*>(call.q)},
                                                            {cudnn::kK, const_cast<void*>(call.k)},
                                                            {cudnn::kV, const_cast<void*>(call.v)},
                                                            {cudnn::kO, call.o},
                                                            {cudnn::kLse, call.lse},
                                                            {cudnn::kQLengths, call.tables.lengths},
                                                            {cudnn::kKLengths, call.tables.lengths},
                                                            {cudnn::kQOffsets, call.tables.q},
                                                            {cudnn::kKOffsets, call.tables.k},
                                                            {cudnn::kVOffsets, call.tables.v},
                                                            {cudnn::kOOffsets, call.tables.o},
                                                            {cudnn::kLseOffsets, call.tables.lse}};
        if (const std::string wrong = execute(plan, operands, call.workspace); !wrong.empty()) {
            fail(Failure::Run, "cuda: attention of {} heads over {}, {} wide: {}: {}; device.attention = own does without", plan.heads,
                 plan.kv_heads, plan.head_dim, description(), one_line(wrong));
        }
    }

private:
    /// What cuDNN or its frontend says against it; empty where it is enqueued.
    std::string execute(const AttentionPlan& plan, std::unordered_map<std::int64_t, void*>& operands, void* workspace) {
        try {
            auto done = graphs_.at(plan)->execute(handle_, operands, workspace);
            return done.is_good() ? "" : done.get_message();
        } catch (const std::exception& error) {
            return error.what();
        }
    }

    std::size_t version_;
    int architecture_;
    cudnnHandle_t handle_ = nullptr;
    std::map<AttentionPlan, std::shared_ptr<fe::graph::Graph>> graphs_;
};

}  // namespace

FoundAttentionLibrary find_attention_library() {
    try {
        return {version_text(open_cudnn()), ""};
    } catch (const std::exception& error) {
        return {"", one_line(error.what())};
    }
}

std::unique_ptr<AttentionLibrary> make_attention_library(int device) {
    try {
        return std::make_unique<CudnnAttention>(device);
    } catch (const Error&) {
        throw;
    } catch (const std::exception& error) {  // the frontend's, about a function that is not there
        fail(Failure::Configuration, "cuDNN cannot be used: {}: {}", one_line(error.what()), kAdvice);
    }
}

}  // namespace tandem::cuda
