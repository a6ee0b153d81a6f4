// What operands of collectives and messages must be, whatever transport carries them. Each function throws Run, naming the verb and the
// tensors, before anything is sent: ranks that agree about shapes fail together.
#pragma once

#include "kernels/base/tensor.h"

namespace tandem {

/// Contiguous, and present unless it is empty.
void check_operand(const char* verb, const Tensor& x);
void check_peer(const char* verb, int peer, int ranks);
void check_all_reduce(const Tensor& x);
void check_reduce_scatter(const Tensor& x, const Tensor& shard, int ranks);
/// `shard` may be block `rank` of x, and else lies apart from x.
void check_all_gather(const Tensor& shard, const Tensor& x, int rank, int ranks);
void check_all_to_all(const Tensor& x, const Tensor& y, int ranks);

}  // namespace tandem
