// A model's values straight from a GGUF file.
#pragma once

#include <filesystem>

#include "src/io/gguf_model.h"
#include "src/model/weights.h"

namespace tandem {

/// The values are those of `tandem import --dtype fp32`, rounded once to the type that is asked for.
class GgufSource final : public StoredSource {
public:
    explicit GgufSource(const std::filesystem::path& file) : tensors_(file) {}
    void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const override;
    [[nodiscard]] std::vector<std::string> unused(const ParamTable& table) const override;
    void check(const ParamTable& table, bool adapter) const override;
    [[nodiscard]] std::uint64_t bytes_read() const override { return tensors_.bytes_read(); }

private:
    GgufTensors tensors_;
};

}  // namespace tandem
