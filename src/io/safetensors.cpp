#include "src/io/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <set>

#include "src/io/json.h"
#include "src/io/safetensors_types.h"

namespace tandem {

static_assert(std::endian::native == std::endian::little, "the readers and writers of src/io take integers as they lie in memory");

namespace {

/// Json::parse keeps the last of two equal keys; a header with two tensors of one name is refused instead.
Json parse_unique(const std::string& text, const std::string& source) {
    std::set<std::string> seen;
    std::string duplicate;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth == 1 && event == Json::parse_event_t::key && !seen.insert(parsed.get<std::string>()).second)
            duplicate = parsed.get<std::string>();
        return true;
    };
    Json json;
    try {
        json = Json::parse(text, watch);
    } catch (const Json::exception&) {
        json = parse_json(text, source + " (header)");  // again for the message with the place
    }
    if (!duplicate.empty()) fail(Failure::Input, "{}: tensor '{}' is listed twice in the header", source, duplicate);
    if (!json.is_object()) fail(Failure::Input, "{}: not a safetensors file: the header is not a JSON object", source);
    return json;
}

/// Product of the extents; Input if it exceeds 2^60.
std::uint64_t count_elements(const std::vector<std::int64_t>& shape, const std::string& where) {
    std::uint64_t n = 1;
    for (const auto extent : shape) {
        if (extent < 0) fail(Failure::Input, "{}: shape has the negative extent {}", where, extent);
        if (__builtin_mul_overflow(n, static_cast<std::uint64_t>(extent), &n) || n > (std::uint64_t{1} << 60U)) {
            fail(Failure::Input, "{}: shape [{}] is too large", where, fmt::join(shape, ", "));
        }
    }
    return n;
}

SafetensorsEntry parse_entry(const Json& json, const std::string& where, std::uint64_t data_start, std::uint64_t data_bytes) {
    const auto dtype_name = get<std::string>(json, "dtype", where);
    const auto shape = get<std::vector<std::int64_t>>(json, "shape", where);
    const auto range = get<std::vector<std::uint64_t>>(json, "data_offsets", where);
    const auto* type = io_detail::find_safetensors_type(dtype_name);
    if (type == nullptr) fail(Failure::Input, "{}: unknown dtype '{}'", where, dtype_name);
    if (range.size() != 2 || range[0] > range[1])
        fail(Failure::Input, "{}: data_offsets [{}] is not a range", where, fmt::join(range, ", "));
    if (range[1] > data_bytes) {
        fail(Failure::Input, "{}: bytes [{}, {}) lie outside of the file, which has {} bytes of data: the file is truncated or damaged",
             where, range[0], range[1], data_bytes);
    }
    const auto bits = count_elements(shape, where) * type->bits;
    if (bits % 8 != 0 || bits / 8 != range[1] - range[0]) {
        fail(Failure::Input, "{}: {} [{}] is {} bytes, but the header gives it {}", where, dtype_name, fmt::join(shape, ", "), bits / 8,
             range[1] - range[0]);
    }
    SafetensorsEntry entry;
    entry.offset = data_start + range[0];
    entry.bytes = range[1] - range[0];
    entry.type = type->name;
    if (shape.size() > Shape::kMaxDims) {
        entry.refused = fmt::format("it has {} dimensions, and at most {} are supported", shape.size(), Shape::kMaxDims);
        return entry;
    }
    entry.shape = Shape(std::span<const std::int64_t>(shape));
    if (type->dtype) entry.dtype = *type->dtype;
    else entry.refused = fmt::format("its element type {} is not supported", dtype_name);
    return entry;
}

/// The format allows neither overlap nor holes.
void check_layout(const SafetensorsEntries& tensors, const std::string& file, std::uint64_t data_start, std::uint64_t file_bytes) {
    std::vector<const SafetensorsEntries::value_type*> order;
    for (const auto& item : tensors) order.push_back(&item);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return std::pair(a->second.offset, a->second.bytes) < std::pair(b->second.offset, b->second.bytes);
    });
    auto end = data_start;
    for (const auto* item : order) {
        if (item->second.offset != end) {
            fail(Failure::Input, "{}: tensor '{}': data begins at byte {}, but the tensor before it ends at {}: {}", file, item->first,
                 item->second.offset, end, item->second.offset < end ? "they overlap" : "there is a hole");
        }
        end += item->second.bytes;
    }
    if (end != file_bytes) fail(Failure::Input, "{}: {} bytes follow the last tensor: the file is damaged", file, file_bytes - end);
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : file_(std::move(path)) { parse_header(); }

void SafetensorsFile::parse_header() {
    const auto name = file_.path().string();
    std::uint64_t length = 0;
    if (file_.size() < sizeof(length)) fail(Failure::Input, "{}: not a safetensors file: it has only {} bytes", name, file_.size());
    file_.read(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length > io_detail::kLargestSafetensorsHeader) {
        fail(Failure::Input, "{}: not a safetensors file: a header of {} bytes is announced, at most {} are allowed", name, length,
             io_detail::kLargestSafetensorsHeader);
    }
    if (length > file_.size() - sizeof(length)) {
        fail(Failure::Input, "{}: truncated: a header of {} bytes is announced, but the file has {} bytes", name, length, file_.size());
    }
    std::string text(length, '\0');
    file_.read(sizeof(length), std::as_writable_bytes(std::span(text)));
    if (text.empty() || text[0] != '{') fail(Failure::Input, "{}: not a safetensors file: the header does not begin with '{{'", name);
    const auto header = parse_unique(text, name);
    const auto data_start = sizeof(length) + length;
    for (const auto& [key, value] : header.items()) {
        if (key == "__metadata__") {
            if (!value.is_object()) fail(Failure::Input, "{}: __metadata__ is not an object", name);
            for (const auto& item : value.items()) metadata_[item.key()] = get<std::string>(value, item.key(), name + ": __metadata__");
        } else {
            tensors_[key] = parse_entry(value, fmt::format("{}: tensor '{}'", name, key), data_start, file_.size() - data_start);
        }
    }
    check_layout(tensors_, name, data_start, file_.size());
}

}  // namespace tandem
