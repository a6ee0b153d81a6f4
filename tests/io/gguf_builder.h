// GGUF files made in a test, field by field, so that any of them can be wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tandem {

class GgufBuilder {
public:
    enum : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

    template <class T>
    static std::string raw(T value) {
        std::string bytes(sizeof(T), '\0');
        std::memcpy(bytes.data(), &value, sizeof(T));
        return bytes;
    }
    static std::string text(const std::string& s) { return raw(std::uint64_t{s.size()}) + s; }

    GgufBuilder& key(const std::string& name, std::uint32_t type, const std::string& value) {
        keys_ += text(name) + raw(type) + value;
        ++key_count;
        return *this;
    }
    GgufBuilder& u32(const std::string& name, std::uint32_t value) { return key(name, U32, raw(value)); }
    GgufBuilder& f32(const std::string& name, float value) { return key(name, F32, raw(value)); }
    GgufBuilder& string(const std::string& name, const std::string& value) { return key(name, String, text(value)); }
    GgufBuilder& boolean(const std::string& name, bool value) { return key(name, Bool, raw(static_cast<std::uint8_t>(value))); }
    GgufBuilder& strings(const std::string& name, const std::vector<std::string>& values) {
        std::string body = raw(std::uint32_t{String}) + raw(std::uint64_t{values.size()});
        for (const auto& v : values) body += text(v);
        return key(name, Array, body);
    }
    template <class T>
    GgufBuilder& list(const std::string& name, std::uint32_t type, const std::vector<T>& values) {
        std::string body = raw(type) + raw(std::uint64_t{values.size()});
        for (const auto v : values) body += raw(v);
        return key(name, Array, body);
    }

    /// Extents innermost first, as in the file. The data follow those of the tensor before, aligned.
    GgufBuilder& tensor(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type, const std::string& data) {
        data_.resize((data_.size() + 31) / 32 * 32);
        return info(name, extents, type, data_.size(), data);
    }
    GgufBuilder& info(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type, std::uint64_t offset,
                      const std::string& data = {}) {
        infos_ += text(name) + raw(static_cast<std::uint32_t>(extents.size()));
        for (const auto e : extents) infos_ += raw(e);
        infos_ += raw(type) + raw(offset);
        data_ += data;
        ++tensor_count;
        return *this;
    }
    /// fp32 tensor of the shape with its outermost extent first.
    GgufBuilder& floats(const std::string& name, std::vector<std::uint64_t> shape, const std::vector<float>& values) {
        std::string bytes(values.size() * sizeof(float), '\0');
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return tensor(name, {shape.rbegin(), shape.rend()}, 0, bytes);
    }

    [[nodiscard]] std::string header() const { return magic + raw(version) + raw(tensor_count) + raw(key_count) + keys_ + infos_; }
    [[nodiscard]] std::string bytes() const {
        auto all = header();
        all.resize((all.size() + 31) / 32 * 32);
        return all + data_;
    }

    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t tensor_count = 0, key_count = 0;

private:
    std::string keys_, infos_, data_;
};

}  // namespace tandem
