// What the ops of a dry run would have done: calls, floating-point operations and bytes moved, op by op.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>

namespace tandem {

/// Equal calls of one op are kept together: a step has thousands of calls and a few dozen different ones.
class OpCounts {
public:
    struct Key {
        std::string_view op;  ///< name of the public op, "matmul"
        std::int64_t flops;   ///< of one call
        std::int64_t bytes;   ///< of one call: every operand once
        friend auto operator<=>(const Key&, const Key&) = default;
    };

    void add(std::string_view op, std::int64_t flops, std::int64_t bytes) { ++calls_[{op, flops, bytes}]; }
    void clear() { calls_.clear(); }
    /// Number of calls of every kind.
    [[nodiscard]] const std::map<Key, std::int64_t>& calls() const { return calls_; }

private:
    std::map<Key, std::int64_t> calls_;
};

}  // namespace tandem
