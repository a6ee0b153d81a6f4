// A GGUF file seen as a Hugging Face model: the texts that describe it, and its tensors under their canonical names, with what
// llama.cpp's converter did to them undone. `tandem import` writes these down; everything else reads them where they are.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/tensor.h"

namespace tandem {

struct GgufDescription {
    std::map<std::string, std::string> texts;  ///< config.json, generation_config.json, tokenizer.json, ...: a file's contents by its name
    std::vector<std::string> warnings;
};
/// `dtype` is what config.json calls the weights' type. Input: families, tokenizers and damage as in import_gguf().
[[nodiscard]] GgufDescription describe_gguf(const std::filesystem::path& file, DType dtype);

class GgufTensors {
public:
    /// Configuration if the file does not exist; Input for a family that is not known, or tensors that are not exactly the family's.
    explicit GgufTensors(std::filesystem::path file);
    ~GgufTensors();
    GgufTensors(const GgufTensors&) = delete;
    GgufTensors& operator=(const GgufTensors&) = delete;

    struct Tensor {
        std::string name, stored;  ///< Hugging Face's; the file's own
        Shape shape;
        std::string block_type;  ///< "Q4_K"
    };
    [[nodiscard]] const std::vector<Tensor>& tensors() const { return tensors_; }
    [[nodiscard]] const Tensor* find(std::string_view name) const;
    /// Rows [first, last) of a tensor, or elements of a vector, in fp32, through staging of the heads that they touch. From any thread.
    void read_rows(std::string_view name, std::int64_t first, std::int64_t last, std::span<float> values) const;

    [[nodiscard]] const std::filesystem::path& path() const;
    [[nodiscard]] std::string_view family() const;  ///< config.json's model_type
    [[nodiscard]] bool tied() const;
    [[nodiscard]] std::uint64_t bytes_read() const;

private:
    struct File;
    std::unique_ptr<File> file_;
    std::vector<Tensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace tandem
