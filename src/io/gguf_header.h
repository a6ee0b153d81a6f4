// The header of a GGUF file. Private to src/io.
#pragma once

#include "src/io/gguf.h"

namespace tandem::io_detail {

struct GgufHeader {
    std::map<std::string, GgufValue, std::less<>> metadata;
    std::vector<GgufTensor> tensors;
};

/// Parses and validates; errors as GgufFile's.
GgufHeader read_gguf_header(const RandomAccessFile& file);

}  // namespace tandem::io_detail
