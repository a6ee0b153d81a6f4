#include "kernels/ops/embedding.h"

#include <cstring>
#include <vector>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

namespace {

void copy_row(const Tensor& x, std::int64_t i, const Tensor& y, std::int64_t j) {
    const auto size = size_of(x.dtype());
    std::memcpy(static_cast<std::byte*>(y.raw()) + static_cast<std::size_t>(j * y.row_stride()) * size,
                static_cast<const std::byte*>(x.raw()) + static_cast<std::size_t>(i * x.row_stride()) * size,
                static_cast<std::size_t>(x.row_elements()) * size);
}

void clear_row(const Tensor& y, std::int64_t i) {
    const auto size = size_of(y.dtype());
    std::memset(static_cast<std::byte*>(y.raw()) + static_cast<std::size_t>(i * y.row_stride()) * size, 0,
                static_cast<std::size_t>(y.row_elements()) * size);
}

}  // namespace

void RefBackend::embedding(Context&, const Tensor& table, const Tensor& ids, const Tensor& y) {
    for (std::int64_t i = 0; i < y.extent(0); ++i) {
        const auto row = ref::index_or_elsewhere("embedding", "ids", ids, i, table.extent(0));
        if (row >= 0) copy_row(table, row, y, i);
        else clear_row(y, i);
    }
}

void RefBackend::embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    const auto vocabulary = dtable.extent(0);
    std::vector<std::vector<std::int64_t>> positions(static_cast<std::size_t>(vocabulary));  // of each row of the table
    for (std::int64_t i = 0; i < dy.extent(0); ++i) {
        const auto row = ref::index_or_elsewhere("embedding_backward", "ids", ids, i, vocabulary);
        if (row >= 0) positions[static_cast<std::size_t>(row)].push_back(i);
    }

    ref::with_type(dy, [&]<class T>(T) {
        const View<T> d(dy);
        const View<ref::Accumulation<T>> out(dtable);
        for (std::int64_t row = 0; row < vocabulary; ++row) {
            const auto& used = positions[static_cast<std::size_t>(row)];
            for (std::int64_t j = 0; j < (used.empty() ? 0 : d.columns()); ++j) {
                double sum = 0.0;
                for (const auto i : used) sum += d(i, j);
                out.add(row, j, sum);
            }
        }
    });
}

void RefBackend::gather_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) {
    for (std::int64_t i = 0; i < y.extent(0); ++i) copy_row(x, ref::index_below("gather_rows", "index", index, i, x.extent(0)), y, i);
}

void RefBackend::scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) {
    for (std::int64_t i = 0; i < x.extent(0); ++i) copy_row(x, i, y, ref::index_below("scatter_rows", "index", index, i, y.extent(0)));
}

}  // namespace tandem
