#include "src/io/gguf_import.h"

#include <algorithm>
#include <cmath>

#include "src/io/convert.h"
#include "src/io/gguf_family.h"
#include "src/io/gguf_tokenizer.h"
#include "src/io/model_files.h"
#include "src/io/safetensors_writer.h"

namespace tandem {

using io_detail::ImportPlan;
using io_detail::ImportTensor;
using io_detail::Undo;

namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;

/// Row r of a head in the file is row (r % 2) * D/2 + r / 2 of the head in the model.
void undo_permutation(std::span<const float> from, std::span<float> to, std::int64_t head_rows, std::int64_t width) {
    const auto half = head_rows / 2;
    const auto rows = static_cast<std::int64_t>(from.size()) / width;
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = row % head_rows;
        const auto target = row - r + (r % 2) * half + r / 2;
        std::copy_n(from.data() + row * width, width, to.data() + target * width);
    }
}

/// Streams one tensor from the GGUF file into the writer.
class TensorCopy {
public:
    TensorCopy(const GgufFile& file, SafetensorsModelWriter& writer, DType dtype) : file_(file), writer_(writer), dtype_(dtype) {}

    void run(const ImportTensor& tensor) {
        const auto& source = *file_.find_tensor(tensor.gguf);
        const auto width = source.row_elements();
        const auto rows = source.rows();
        // A permuted matrix moves by whole heads; a vector is one row.
        const auto unit = tensor.undo == Undo::Permutation && rows > 1 ? tensor.head_rows : 1;
        const auto piece = std::max<std::int64_t>(1, kPieceElements / (width * unit)) * unit;
        for (std::int64_t first = 0; first < rows; first += piece) {
            const auto last = std::min(rows, first + piece);
            values_.resize(static_cast<std::size_t>((last - first) * width));
            file_.read_rows(source, first, last, values_);
            undo(tensor, rows > 1 ? width : 1);
            write(tensor, static_cast<std::uint64_t>(first * width));
        }
    }

private:
    void undo(const ImportTensor& tensor, std::int64_t width) {
        if (tensor.undo == Undo::NormOffset) {
            for (auto& x : values_) x -= 1.0F;
        } else if (tensor.undo == Undo::Permutation) {
            permuted_.resize(values_.size());
            undo_permutation(values_, permuted_, tensor.head_rows, width);
            values_.swap(permuted_);
        }
    }

    void write(const ImportTensor& tensor, std::uint64_t first_element) {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            if (!std::isfinite(values_[i])) {
                fail(Failure::Input, "{}: tensor '{}': element {} is {}", file_.path().string(), tensor.gguf, first_element + i,
                     values_[i]);
            }
            if (dtype_ == DType::F16 && std::abs(values_[i]) >= 65520.0F) {
                fail(Failure::Input, "{}: tensor '{}': {} exceeds the range of fp16; import with --dtype bf16", file_.path().string(),
                     tensor.gguf, values_[i]);
            }
        }
        converted_.resize(values_.size() * size_of(dtype_));
        convert_elements(DType::F32, values_.data(), dtype_, converted_.data(), values_.size());
        writer_.write(tensor.hf, converted_, first_element * size_of(dtype_));
    }

    const GgufFile& file_;
    SafetensorsModelWriter& writer_;
    DType dtype_;
    std::vector<float> values_, permuted_;
    std::vector<std::byte> converted_;
};

Json id_or_null(std::optional<std::int64_t> id) { return id ? Json(*id) : Json(nullptr); }

/// Where generation ends: at the end of the text, and of the turn where that is another token.
Json generation_config(const io_detail::GgufVocabulary& v) {
    Json config = {{"_from_model_config", true}, {"bos_token_id", id_or_null(v.bos)}, {"eos_token_id", id_or_null(v.eos)}};
    if (v.eos && v.eot && v.eos != v.eot) config["eos_token_id"] = {*v.eos, *v.eot};
    if (v.pad) config["pad_token_id"] = *v.pad;
    return config;
}

ImportSummary write_model(const GgufFile& file, const ImportPlan& plan, const std::filesystem::path& directory, DType dtype) {
    std::vector<TensorSpec> specs;
    for (const auto& t : plan.tensors) specs.push_back({t.hf, dtype, t.shape});
    SafetensorsModelWriter writer(directory, specs);
    TensorCopy copy(file, writer, dtype);
    ImportSummary summary;
    for (const auto& t : plan.tensors) {
        copy.run(t);
        summary.parameters += t.shape.elements();
        ++summary.tensors;
        ++summary.tensors_by_block_type[std::string(ggml_block(file.find_tensor(t.gguf)->type).name)];
    }
    writer.commit();
    return summary;
}

}  // namespace

ImportSummary import_gguf(const std::filesystem::path& file, const std::filesystem::path& directory, DType dtype) {
    require(dtype == DType::BF16 || dtype == DType::F16 || dtype == DType::F32, "import to {}", name(dtype));
    const GgufFile gguf(file);
    require_unoccupied(directory);
    const auto plan = io_detail::plan_import(gguf);
    const auto vocabulary = io_detail::read_vocabulary(gguf, plan.dims.vocabulary);
    auto config = io_detail::hf_config(gguf, plan, dtype);
    config["bos_token_id"] = id_or_null(vocabulary.bos);
    config["eos_token_id"] = id_or_null(vocabulary.eos);
    config["pad_token_id"] = id_or_null(vocabulary.pad);
    const auto tokenizer = io_detail::tokenizer_json(vocabulary, plan.family.architecture);

    AtomicDirectory out(directory);
    write_json_file(out.path() / "config.json", config);
    write_json_file(out.path() / "generation_config.json", generation_config(vocabulary));
    write_json_file(out.path() / "tokenizer.json", tokenizer);
    write_json_file(out.path() / "tokenizer_config.json", io_detail::tokenizer_config(vocabulary, plan.dims.positions));
    write_json_file(out.path() / "special_tokens_map.json", io_detail::special_tokens_map(vocabulary));
    auto summary = write_model(gguf, plan, out.path(), dtype);
    summary.family = std::string(plan.family.model_type);
    summary.tied = plan.dims.tied;
    if (vocabulary.model == "gpt2" && !gguf.find("tokenizer.ggml.pre")) {
        summary.warnings.emplace_back(
            "tokenizer.ggml.pre is missing: the pre-tokenizer of GPT-2 is assumed, which may split text differently");
    }
    if (!vocabulary.chat_template) summary.warnings.emplace_back("the file has no chat template");
    for (const auto& entry : std::filesystem::directory_iterator(out.path())) {
        summary.files.push_back(entry.path().filename().string());
        summary.bytes_written += entry.file_size();
    }
    std::sort(summary.files.begin(), summary.files.end());
    out.commit();
    return summary;
}

}  // namespace tandem
