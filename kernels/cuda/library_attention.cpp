#include "kernels/cuda/library_attention.h"

#include <algorithm>
#include <bit>
#include <cstdio>

#include "kernels/cuda/check.h"
#include "kernels/cuda/queue.h"

namespace tandem::cuda {

namespace {

constexpr auto kOp = "attention by a library (device.attention = own does without)";
constexpr int kLeastSamples = 8, kLeastLength = 128;
constexpr int kFewestKnownTokens = 64;  ///< of the longest known sample

/// A plan takes a second or more to prepare, and batches differ in number and length of samples: plans are for powers of two of both.
int bound(int n, int least) { return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(n, least)))); }

AttentionPlan plan_for(const AttentionShape& shape, const AttentionInputs& in, const Rows& o) {
    return {.type = o.type,
            .samples = bound(shape.samples.count, kLeastSamples),
            .length = bound(shape.samples.max_length, kLeastLength),
            .heads = shape.heads,
            .kv_heads = shape.kv_heads,
            .head_dim = shape.head_dim,
            .scale = shape.scale,
            .window = shape.window < shape.samples.max_length ? shape.window : 0,
            .q_stride = in.q.stride,
            .k_stride = in.k.stride,
            .v_stride = in.v.stride,
            .o_stride = o.stride};
}

/// What no library is asked for; empty where one is.
std::string obstacle(const AttentionShape& shape, const AttentionInputs& in, const Rows& o) {
    if (shape.samples.q_tokens != shape.samples.k_tokens) return "there are more keys than queries";
    if (shape.softcap > 0.0F) return "scores are soft-capped";
    if (!(shape.scale > 0.0F)) return "the scale is not positive";
    if (shape.head_dim % 8 != 0 || shape.head_dim > 256) return "heads are not 8 to 256 wide, in steps of 8";
    for (const Rows& x : {in.q, in.k, in.v, o}) {
        if (x.type == Element::F32) return "it is computed in fp32";
        if (reinterpret_cast<std::uintptr_t>(x.data) % 16 != 0 || x.stride % 8 != 0) return "rows do not begin at multiples of 16 bytes";
    }
    return "";
}

template <class T>
T* take(Arena& arena, std::int64_t elements) {
    return arena.allocate("attention tables", dtype_of<T>(), {elements}).template data<T>();
}

}  // namespace

std::size_t table_bytes(const AttentionPlan& plan) {
    return 6 * (sizeof(std::int64_t) * static_cast<std::size_t>(plan.samples + 1) + Arena::kAlignment);
}

void LibraryAttention::compute(const AttentionPlan& plan, std::size_t workspace, const Operands& operands, Arena& arena,
                               StreamHandle stream) {
    const AttentionTables tables{take<std::int32_t>(arena, plan.samples),     take<std::int64_t>(arena, plan.samples + 1),
                                 take<std::int64_t>(arena, plan.samples + 1), take<std::int64_t>(arena, plan.samples + 1),
                                 take<std::int64_t>(arena, plan.samples + 1), take<std::int64_t>(arena, plan.samples + 1)};
    void* scratch = arena.allocate("attention library", DType::U8, {static_cast<std::int64_t>(workspace)}).raw();
    check(launch_attention_tables(operands.samples, plan, tables, stream), kOp);
    library_->run(plan,
                  {.q = operands.in.q.data,
                   .k = operands.in.k.data,
                   .v = operands.in.v.data,
                   .o = operands.o.data,
                   .lse = operands.lse_by_tokens,
                   .tables = tables,
                   .workspace = scratch},
                  stream->flushed());
    check(launch_lse_by_heads(operands.lse_by_tokens, operands.samples.q_tokens, plan.heads, operands.lse, stream), kOp);
}

AttentionLibrary::Prepared LibraryAttention::prove(const AttentionPlan& plan, const Tensor& space, StreamHandle stream) {
    AttentionLibrary::Prepared prepared = library_->prepare(plan);
    if (!prepared.refusal.empty()) return prepared;
    const std::size_t needed = prepared.workspace + table_bytes(plan) + Arena::kAlignment;
    if (needed > space.bytes()) return {0, fmt::format("it needs {} bytes of workspace, and {} are planned", needed, space.bytes())};
    const int longest = longest_known_sample(plan, prepared.workspace, space.bytes());
    if (longest < kFewestKnownTokens) return {0, fmt::format("{} bytes are too few to prove it on known samples", space.bytes())};
    if (plan.window >= longest) {
        // No known sample is longer than this window, so that what the library takes for a window is seen of a narrow one.
        AttentionPlan narrow = plan;
        narrow.window = longest / 3, narrow.samples = kLeastSamples, narrow.length = bound(longest, kLeastLength);
        const AttentionLibrary::Prepared& of_narrow = known(narrow, space, stream);
        if (!of_narrow.refusal.empty()) return of_narrow;
    }
    static_cast<void>(stream->flushed());  // what fails of earlier calls is not the library's
    std::string wrong;
    try {
        wrong = difference(plan, prepared.workspace, longest, space, stream);
    } catch (const Error& error) {
        if (required_ || error.failure() != Failure::Run) throw;
        return {0, error.what()};  // such as no memory for its kernels; where the device itself is lost, own kernels say so
    }
    if (wrong.empty()) return prepared;
    if (!required_) return {0, fmt::format("on known samples it and own kernels do not agree: {}", wrong)};
    fail(Failure::Run,
         "device.attention = cudnn: on known samples of {} heads over {}, {} wide, {} and own kernels do not agree: {}; set "
         "device.attention = own",
         plan.heads, plan.kv_heads, plan.head_dim, library_->description(), wrong);
}

const AttentionLibrary::Prepared& LibraryAttention::known(const AttentionPlan& plan, const Tensor& space, StreamHandle stream) {
    if (const auto found = known_.find(plan); found != known_.end()) return found->second;
    AttentionLibrary::Prepared proved = prove(plan, space, stream);
    return known_[plan] = std::move(proved);
}

bool LibraryAttention::refuse(const AttentionPlan& plan, const std::string& reason) {
    const std::string line =
        fmt::format("attention of {} heads over {}, {} wide, by own kernels: {}", plan.heads, plan.kv_heads, plan.head_dim, reason);
    if (said_.insert(line).second) fmt::print(stderr, "tandem: {}\n", line);
    return false;
}

bool LibraryAttention::run(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse,
                           const AttentionLibrarySpace& space, StreamHandle stream) {
    const AttentionPlan plan = plan_for(shape, in, o);
    if (const std::string reason = obstacle(shape, in, o); !reason.empty()) return required_ && refuse(plan, reason);
    const AttentionLibrary::Prepared& prepared = known(plan, space.rest, stream);
    if (!prepared.refusal.empty()) return refuse(plan, fmt::format("{}: {}", library_->description(), prepared.refusal));
    Arena arena(MemoryKind::Workspace, space.rest);
    compute(plan, prepared.workspace, {shape.samples, in, o, space.lse.data<float>(), lse}, arena, stream);
    return true;
}

}  // namespace tandem::cuda
