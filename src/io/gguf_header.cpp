#include "src/io/gguf_header.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/base/error.h"

namespace tandem::io_detail {

namespace {

// Numbers of the value types in the file.
enum : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64, kValueTypes };

/// Bytes of one value, the least for those without a fixed size.
constexpr std::array<std::uint64_t, kValueTypes> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

constexpr int kDeepestArray = 4;

/// Reads on through the file in windows; everything is checked against the file's size before memory is taken for it.
class Cursor {
public:
    explicit Cursor(const RandomAccessFile& file) : file_(file) {}

    [[nodiscard]] std::uint64_t position() const { return window_start_ + at_; }
    [[nodiscard]] std::uint64_t remaining() const { return file_.size() - position(); }

    /// What is being read, for messages.
    void about(std::string what) { what_ = std::move(what); }

    [[noreturn]] void bad(const std::string& message) const {
        fail(Failure::Input, "{}: {}: {} (near byte {})", file_.path().string(), what_, message, position());
    }

    template <class T>
    T take() {
        need(sizeof(T));
        if (at_ + sizeof(T) > window_.size()) refill();
        T value;
        std::memcpy(&value, window_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }

    std::string take_string() {
        const auto length = take<std::uint64_t>();
        need(length);
        std::string text(length, '\0');
        const auto inside = std::min<std::uint64_t>(length, window_.size() - at_);
        std::memcpy(text.data(), window_.data() + at_, inside);
        if (inside < length) file_.read(position() + inside, std::as_writable_bytes(std::span(text).subspan(inside)));
        const auto end = position() + length;
        if (inside == length) {
            at_ += length;
        } else {
            window_.clear();
            window_start_ = end;
            at_ = 0;
        }
        return text;
    }

    /// Refuses a count that the rest of the file cannot hold.
    std::uint64_t take_count(std::uint64_t least_bytes_each, std::string_view what) {
        const auto count = take<std::uint64_t>();
        if (count > remaining() / least_bytes_each) {
            bad(fmt::format("truncated or damaged: {} {} are announced, but only {} bytes follow", count, what, remaining()));
        }
        return count;
    }

private:
    void need(std::uint64_t bytes) const {
        if (bytes > remaining()) bad(fmt::format("truncated: {} bytes are wanted, but only {} follow", bytes, remaining()));
    }
    void refill() {
        window_start_ += at_;
        at_ = 0;
        window_.resize(std::min<std::uint64_t>(std::uint64_t{1} << 20U, file_.size() - window_start_));
        file_.read(window_start_, window_);
    }

    const RandomAccessFile& file_;
    std::string what_ = "header";
    std::vector<std::byte> window_;
    std::uint64_t window_start_ = 0;
    std::size_t at_ = 0;
};

GgufValue take_value(Cursor& in, std::uint32_t type, int depth) {
    const auto natural = [](auto x) { return GgufValue{static_cast<std::uint64_t>(x)}; };
    const auto integer = [](auto x) { return GgufValue{static_cast<std::int64_t>(x)}; };
    switch (type) {
        case kU8: return natural(in.take<std::uint8_t>());
        case kU16: return natural(in.take<std::uint16_t>());
        case kU32: return natural(in.take<std::uint32_t>());
        case kU64: return natural(in.take<std::uint64_t>());
        case kI8: return integer(in.take<std::int8_t>());
        case kI16: return integer(in.take<std::int16_t>());
        case kI32: return integer(in.take<std::int32_t>());
        case kI64: return integer(in.take<std::int64_t>());
        case kF32: return {static_cast<double>(in.take<float>()), true};
        case kF64: return {in.take<double>()};
        case kBool: return {in.take<std::uint8_t>() != 0};
        case kString: return {in.take_string()};
        case kArray: break;
        default: in.bad(fmt::format("unknown value type {}", type));
    }
    if (depth >= kDeepestArray) in.bad("arrays are nested too deeply");
    const auto element = in.take<std::uint32_t>();
    if (element >= kValueTypes) in.bad(fmt::format("unknown array element type {}", element));
    const auto count = in.take_count(kValueBytes[element], "elements");
    GgufValue::Array array;
    array.reserve(std::min<std::uint64_t>(count, std::uint64_t{1} << 20U));
    for (std::uint64_t i = 0; i < count; ++i) array.push_back(take_value(in, element, depth + 1));
    return {std::move(array)};
}

GgufTensor take_tensor(Cursor& in, std::uint64_t number) {
    in.about(fmt::format("tensor number {}", number));
    GgufTensor tensor;
    tensor.name = in.take_string();
    in.about(fmt::format("tensor '{}'", tensor.name));
    const auto dims = in.take<std::uint32_t>();
    if (dims > Shape::kMaxDims) in.bad(fmt::format("{} dimensions; at most {} are supported", dims, Shape::kMaxDims));
    std::array<std::int64_t, Shape::kMaxDims> extents{};
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < dims; ++i) {
        const auto extent = in.take<std::uint64_t>();
        if (extent == 0 || __builtin_mul_overflow(elements, extent, &elements) || elements > (std::uint64_t{1} << 48U)) {
            in.bad(fmt::format("impossible extent {}", extent));
        }
        extents[dims - 1 - i] = static_cast<std::int64_t>(extent);
    }
    tensor.shape = Shape(std::span<const std::int64_t>(extents.data(), dims));
    tensor.type = static_cast<GgmlType>(in.take<std::uint32_t>());
    tensor.offset = in.take<std::uint64_t>();
    const auto* block = find_ggml_block(tensor.type);
    if (block == nullptr) in.bad(fmt::format("unknown ggml type {}", static_cast<std::uint32_t>(tensor.type)));
    if (static_cast<std::uint64_t>(tensor.row_elements()) % block->elements != 0) {
        in.bad(fmt::format("rows of {} elements are not whole blocks of {} ({} elements)", tensor.row_elements(), block->name,
                           block->elements));
    }
    tensor.bytes = elements / block->elements * block->bytes;
    return tensor;
}

void check_version(Cursor& in) {
    if (in.remaining() < 4 || in.take<std::uint32_t>() != 0x46554747U) in.bad("not a GGUF file: it does not begin with 'GGUF'");
    const auto version = in.take<std::uint32_t>();
    if (version >= 0x10000U) in.bad("a big-endian GGUF file; only little-endian ones are read");
    if (version < 2 || version > 3) in.bad(fmt::format("GGUF version {}; versions 2 and 3 are read", version));
}

std::uint64_t alignment(const Cursor& in, const GgufHeader& header) {
    const auto found = header.metadata.find("general.alignment");
    if (found == header.metadata.end()) return 32;
    const auto* value = std::get_if<std::uint64_t>(&found->second.value);
    if (value == nullptr || *value == 0 || (*value & (*value - 1)) != 0 || *value > (std::uint64_t{1} << 30U)) {
        in.bad("general.alignment is not a power of two");
    }
    return *value;
}

/// Offsets become positions in the file; data that lie outside of it, or overlap, are refused.
void place_tensors(const RandomAccessFile& file, GgufHeader& header, std::uint64_t header_end, std::uint64_t align) {
    const auto name = file.path().string();
    const auto data_start = (header_end + align - 1) / align * align;
    std::vector<const GgufTensor*> order;
    for (auto& t : header.tensors) {
        if (t.offset % align != 0)
            fail(Failure::Input, "{}: tensor '{}': offset {} is not a multiple of the alignment {}", name, t.name, t.offset, align);
        const auto available = file.size() > data_start ? file.size() - data_start : 0;
        if (t.offset > available || t.bytes > available - t.offset) {
            fail(Failure::Input, "{}: tensor '{}': its {} bytes at offset {} reach beyond the file, which has {} bytes of data: truncated",
                 name, t.name, t.bytes, t.offset, available);
        }
        t.offset += data_start;
        order.push_back(&t);
    }
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < order.size(); ++i) {
        if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
            fail(Failure::Input, "{}: tensors '{}' and '{}' overlap", name, order[i - 1]->name, order[i]->name);
        }
    }
}

}  // namespace

GgufHeader read_gguf_header(const RandomAccessFile& file) {
    Cursor in(file);
    GgufHeader header;
    check_version(in);
    const auto tensors = in.take_count(24, "tensors");     // name length, dimensions, type, offset
    const auto keys = in.take_count(13, "metadata keys");  // key length, type, one byte
    for (std::uint64_t i = 0; i < keys; ++i) {
        in.about(fmt::format("metadata key number {}", i));
        auto key = in.take_string();
        in.about(fmt::format("metadata key '{}'", key));
        const auto type = in.take<std::uint32_t>();
        auto value = take_value(in, type, 0);
        if (!header.metadata.emplace(std::move(key), std::move(value)).second) in.bad("the key occurs twice");
    }
    in.about("header");
    const auto align = alignment(in, header);
    header.tensors.reserve(tensors);
    for (std::uint64_t i = 0; i < tensors; ++i) header.tensors.push_back(take_tensor(in, i));
    place_tensors(file, header, in.position(), align);
    return header;
}

}  // namespace tandem::io_detail
