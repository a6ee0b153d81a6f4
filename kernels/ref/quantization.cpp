#include "kernels/ops/quantization.h"

#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"
#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

namespace {

/// The scale of a block of a line, in fp32.
float scale_of(const FourBitMatrix& w, std::int64_t line, std::int64_t block) {
    const std::int64_t at = line * w.absmax.extent(1) + block - w.grid.first_block(line);
    if (!w.double_quantized()) return w.absmax.data<float>()[at];
    const float rest =
        dynamic_map(Signedness::Signed)[w.absmax.data<std::uint8_t>()[at]] * w.nested.data<float>()[block / BlockGrid::kNested];
    return rest + *w.offset.data<float>();
}

}  // namespace

// The bits are the definition: here an op rounds to fp32 on its way, not once at the end.
void RefBackend::dequantize(Context&, const FourBitMatrix& w, const Tensor& y) {
    const auto& values = four_bit_values(w.type);
    const auto* codes = w.codes.data<std::uint8_t>();
    ref::with_type(y, [&]<class T>(T) {
        const ref::View<T> out(y);
        for (std::int64_t i = 0; i < w.grid.rows; ++i) {
            for (std::int64_t j = 0; j < w.grid.columns; ++j) {
                const std::int64_t nibble = i * w.grid.columns + j;
                const unsigned code = nibble % 2 == 0 ? codes[nibble / 2] >> 4U : codes[nibble / 2] & 15U;
                const std::int64_t line = w.grid.lines() == 1 ? 0 : i;
                const std::int64_t element = w.grid.first + i * w.grid.stride + j;
                const float value = values[code] * scale_of(w, line, element / w.grid.block_size);
                out.set(i, j, static_cast<double>(value));
            }
        }
    });
}

}  // namespace tandem
