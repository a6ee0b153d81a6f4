#include "parallel/collective_operands.h"

namespace tandem {
namespace {

std::byte* begin(const Tensor& x) { return static_cast<std::byte*>(x.raw()); }

bool overlap(const Tensor& a, const Tensor& b) { return begin(a) < begin(b) + b.bytes() && begin(b) < begin(a) + a.bytes(); }

}  // namespace

void check_operand(const char* verb, const Tensor& x) {
    require(x.contiguous() && (x || x.elements() == 0), "{}: {} is {}", verb, x.str(), x ? "not contiguous" : "absent");
}

void check_peer(const char* verb, int peer, int ranks) {
    require(peer >= 0 && peer < ranks, "{}: there is no rank {} in a group of {}", verb, peer, ranks);
}

void check_all_reduce(const Tensor& x) {
    check_operand("all_reduce", x);
    require(x.dtype() != DType::U8, "all_reduce: {} values are not summed", name(x.dtype()));
}

void check_reduce_scatter(const Tensor& x, const Tensor& shard, int ranks) {
    check_operand("reduce_scatter", x);
    check_operand("reduce_scatter", shard);
    require(x.dtype() == shard.dtype() && x.elements() == shard.elements() * ranks,
            "reduce_scatter over {} ranks: {} does not have {} blocks like {}", ranks, x.str(), ranks, shard.str());
    require(x.dtype() != DType::U8, "reduce_scatter: {} values are not summed", name(x.dtype()));
}

void check_all_gather(const Tensor& shard, const Tensor& x, int rank, int ranks) {
    check_operand("all_gather", shard);
    check_operand("all_gather", x);
    require(x.dtype() == shard.dtype() && x.elements() == shard.elements() * ranks,
            "all_gather over {} ranks: {} does not have {} blocks like {}", ranks, x.str(), ranks, shard.str());
    require(begin(shard) == begin(x) + static_cast<std::size_t>(rank) * shard.bytes() || !overlap(shard, x),
            "all_gather: the shard lies in {} but is not block {} of it", x.str(), rank);
}

void check_all_to_all(const Tensor& x, const Tensor& y, int ranks) {
    check_operand("all_to_all", x);
    check_operand("all_to_all", y);
    require(x.dtype() == y.dtype() && x.elements() == y.elements() && x.elements() % ranks == 0,
            "all_to_all over {} ranks: {} and {} must be equal in type and size and have {} blocks", ranks, x.str(), y.str(), ranks);
    require(!overlap(x, y), "all_to_all: {} and {} overlap", x.str(), y.str());
}

}  // namespace tandem
