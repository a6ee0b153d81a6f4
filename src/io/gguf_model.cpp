#include "src/io/gguf_model.h"

#include <algorithm>

#include "src/io/gguf_family.h"
#include "src/io/gguf_tokenizer.h"

namespace tandem {

using io_detail::ImportPlan;
using io_detail::ImportTensor;
using io_detail::Undo;

namespace {

Json id_or_null(std::optional<std::int64_t> id) { return id ? Json(*id) : Json(nullptr); }

/// Where generation ends: at the end of the text, and of the turn where that is another token.
Json generation_config(const io_detail::GgufVocabulary& v) {
    Json config = {{"_from_model_config", true}, {"bos_token_id", id_or_null(v.bos)}, {"eos_token_id", id_or_null(v.eos)}};
    if (v.eos && v.eot && v.eos != v.eot) config["eos_token_id"] = {*v.eos, *v.eot};
    if (v.pad) config["pad_token_id"] = *v.pad;
    return config;
}

/// Row r of a head in the model is row 2 r of that head in the file, or 2 (r - D/2) + 1 in the second half.
std::int64_t row_in_file(std::int64_t row, std::int64_t head_rows) {
    const std::int64_t half = head_rows / 2, r = row % head_rows;
    return row - r + (r < half ? 2 * r : 2 * (r - half) + 1);
}

}  // namespace

GgufDescription describe_gguf(const std::filesystem::path& path, DType dtype) {
    const GgufFile file(path);
    const auto plan = io_detail::plan_import(file);
    const auto vocabulary = io_detail::read_vocabulary(file, plan.dims.vocabulary);
    auto config = io_detail::hf_config(file, plan, dtype);
    config["bos_token_id"] = id_or_null(vocabulary.bos);
    config["eos_token_id"] = id_or_null(vocabulary.eos);
    config["pad_token_id"] = id_or_null(vocabulary.pad);
    GgufDescription out;
    const auto add = [&](const char* name, const Json& json) { out.texts[name] = dump_json(json, 2) + "\n"; };
    add("config.json", config);
    add("generation_config.json", generation_config(vocabulary));
    add("tokenizer.json", io_detail::tokenizer_json(vocabulary, plan.family.architecture));
    add("tokenizer_config.json", io_detail::tokenizer_config(vocabulary, plan.dims.positions));
    add("special_tokens_map.json", io_detail::special_tokens_map(vocabulary));
    if (vocabulary.model == "gpt2" && !file.find("tokenizer.ggml.pre")) {
        out.warnings.emplace_back("tokenizer.ggml.pre is missing: the pre-tokenizer of GPT-2 is assumed, which may split text differently");
    }
    if (!vocabulary.chat_template) out.warnings.emplace_back("the file has no chat template");
    return out;
}

struct GgufTensors::File {
    explicit File(std::filesystem::path path) : gguf(std::move(path)), plan(io_detail::plan_import(gguf)) {}
    GgufFile gguf;
    ImportPlan plan;

    void read(const ImportTensor& tensor, std::int64_t first, std::int64_t last, std::span<float> values) const {
        const auto& source = *gguf.find_tensor(tensor.gguf);
        const bool matrix = source.shape.dims() > 1;
        const std::int64_t width = matrix ? source.row_elements() : 1;
        if (tensor.undo != Undo::Permutation) {
            read_stored(source, matrix, first, last, values);
            if (tensor.undo == Undo::NormOffset)
                for (float& x : values) x -= 1.0F;
            return;
        }
        const std::int64_t begin = first / tensor.head_rows * tensor.head_rows;
        const std::int64_t end = (last + tensor.head_rows - 1) / tensor.head_rows * tensor.head_rows;
        std::vector<float> heads(static_cast<std::size_t>((end - begin) * width));
        read_stored(source, matrix, begin, end, heads);
        auto out = values.begin();
        for (std::int64_t row = first; row < last; ++row)
            out = std::copy_n(heads.begin() + (row_in_file(row, tensor.head_rows) - begin) * width, width, out);
    }

private:
    /// A vector is one row of the file.
    void read_stored(const GgufTensor& source, bool matrix, std::int64_t first, std::int64_t last, std::span<float> values) const {
        if (matrix) return gguf.read_rows(source, first, last, values);
        if (first == 0 && last == source.row_elements()) return gguf.read_rows(source, 0, 1, values);
        std::vector<float> all(static_cast<std::size_t>(source.row_elements()));
        gguf.read_rows(source, 0, 1, all);
        std::copy(all.begin() + first, all.begin() + last, values.begin());
    }
};

GgufTensors::GgufTensors(std::filesystem::path file) : file_(std::make_unique<File>(std::move(file))) {
    for (const ImportTensor& t : file_->plan.tensors) {
        index_[t.hf] = tensors_.size();
        tensors_.push_back({t.hf, t.gguf, t.shape, std::string(ggml_block(file_->gguf.find_tensor(t.gguf)->type).name)});
    }
}

GgufTensors::~GgufTensors() = default;

const GgufTensors::Tensor* GgufTensors::find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

void GgufTensors::read_rows(std::string_view name, std::int64_t first, std::int64_t last, std::span<float> values) const {
    const auto found = index_.find(name);
    require(found != index_.end(), "{}: no tensor becomes '{}'", path().string(), name);
    const Shape& shape = tensors_[found->second].shape;
    require(0 <= first && first <= last && last <= shape[0], "rows [{}, {}) of tensor '{}' {}", first, last, name, shape.str());
    if (first < last) file_->read(file_->plan.tensors[found->second], first, last, values);
}

const std::filesystem::path& GgufTensors::path() const { return file_->gguf.path(); }
std::string_view GgufTensors::family() const { return file_->plan.family.model_type; }
bool GgufTensors::tied() const { return file_->plan.dims.tied; }
std::uint64_t GgufTensors::bytes_read() const { return file_->gguf.bytes_read(); }

}  // namespace tandem
