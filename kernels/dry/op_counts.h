// What the ops of a run do: calls, floating-point operations, bytes moved and, in a timed run, seconds, op by op.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

namespace tandem {

/// Equal calls of one op are kept together: a step has thousands of calls and a few dozen different ones.
class OpCounts {
public:
    struct Key {
        std::string_view op;  ///< name of the public op, "matmul"
        /// What the call's cost is a function of: m, n, k of a product; rows and columns of other ops.
        std::array<std::int64_t, 3> extents;
        std::int64_t flops;  ///< of one call
        std::int64_t bytes;  ///< of one call: every operand once
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Record {
        std::int64_t calls = 0;
        double seconds = 0;  ///< of all of them; stays 0 where nothing is timed
    };

    void add(const Key& key) { ++(last_ = &calls_[key])->calls; }
    /// The record of the last add().
    [[nodiscard]] Record& last() { return *last_; }
    /// Bytes between host and device, either way.
    void add_copy(std::size_t bytes) { copied_ += bytes; }
    [[nodiscard]] std::size_t copied() const { return copied_; }
    void clear() {
        calls_.clear();
        last_ = nullptr;
        copied_ = 0;
    }
    [[nodiscard]] const std::map<Key, Record>& calls() const { return calls_; }

private:
    std::map<Key, Record> calls_;
    Record* last_ = nullptr;
    std::size_t copied_ = 0;
};

}  // namespace tandem
