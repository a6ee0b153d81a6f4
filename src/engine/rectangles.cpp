#include "src/engine/rectangles.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem {

std::vector<Box> rectangles(const Box& box, std::int64_t first, std::int64_t count, std::int64_t most) {
    const bool matrix = box.shape.dims() == 2;
    require((matrix || box.shape.dims() == 1) && first >= 0 && count >= 0 && first + count <= box.shape.elements() && most > 0,
            "elements {} to {} of {}", first, first + count, box.shape.str());
    const std::int64_t width = matrix ? box.shape[1] : 1, end = first + count;
    std::vector<Box> list;
    while (first < end) {
        const std::int64_t row = first / width, column = first % width;
        const bool part_of_row = column != 0 || end - first < width;
        const std::int64_t rows = part_of_row ? 1 : std::min((end - first) / width, std::max<std::int64_t>(most / width, 1));
        const std::int64_t columns = part_of_row ? std::min(width - column, end - first) : width;
        if (matrix) list.push_back({{box.offset[0] + row, box.offset[1] + column}, {rows, columns}});
        else list.push_back({{box.offset[0] + row}, {rows}});
        first += rows * columns;
    }
    return list;
}

}  // namespace tandem
