#include "kernels/cuda/native/cudnn/forward_graph.h"

namespace tandem::cuda::cudnn {

namespace fe = cudnn_frontend;

namespace {

using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using Shape = std::vector<std::int64_t>;

fe::graph::Tensor_attributes attributes(const char* name, Operand uid, const Shape& shape, const Shape& strides, fe::DataType_t type) {
    return fe::graph::Tensor_attributes().set_name(name).set_uid(uid).set_dim(shape).set_stride(strides).set_data_type(type);
}

}  // namespace

std::shared_ptr<fe::graph::Graph> forward_graph(const AttentionPlan& plan, int architecture) {
    const fe::DataType_t type = plan.type == Element::BF16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::HALF;
    auto graph = std::make_shared<fe::graph::Graph>();
    graph->set_io_data_type(type).set_intermediate_data_type(fe::DataType_t::FLOAT).set_compute_data_type(fe::DataType_t::FLOAT);
    graph->set_sm_version(architecture);
    const std::int64_t samples = plan.samples, length = plan.length;
    const auto table = [&](const char* name, Operand uid, std::int64_t count, fe::DataType_t of) {
        return graph->tensor(attributes(name, uid, {count, 1, 1, 1}, {1, 1, 1, 1}, of));
    };
    const auto offsets = [&](const char* name, Operand uid) { return table(name, uid, samples + 1, fe::DataType_t::INT64); };
    const auto lengths = [&](const char* name, Operand uid) { return table(name, uid, samples, fe::DataType_t::INT32); };
    // Of a tensor with ragged offsets the first stride is not used.
    const auto strides = [&](std::int64_t token) { return Shape{length * token, plan.head_dim, token, 1}; };
    const auto operand = [&](const char* name, Operand uid, std::int64_t heads, std::int64_t stride, const Tensor& ragged) {
        return graph->tensor(
            attributes(name, uid, {samples, heads, length, plan.head_dim}, strides(stride), type).set_ragged_offset(ragged));
    };
    const Tensor q = operand("q", kQ, plan.heads, plan.q_stride, offsets("q offsets", kQOffsets));
    const Tensor k = operand("k", kK, plan.kv_heads, plan.k_stride, offsets("k offsets", kKOffsets));
    const Tensor v = operand("v", kV, plan.kv_heads, plan.v_stride, offsets("v offsets", kVOffsets));

    fe::graph::SDPA_attributes options;
    options.set_name("attention").set_generate_stats(true).set_attn_scale(plan.scale);
    options.set_padding_mask(true).set_seq_len_q(lengths("q lengths", kQLengths)).set_seq_len_kv(lengths("k lengths", kKLengths));
    // With as many keys as queries, the diagonal from the top left is the one through the last of both.
    options.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT).set_diagonal_band_right_bound(0);
    if (plan.window > 0) options.set_diagonal_band_left_bound(plan.window);
    const auto [o, lse] = graph->sdpa(q, k, v, options);
    o->set_output(true).set_uid(kO).set_dim({samples, plan.heads, length, plan.head_dim}).set_stride(strides(plan.o_stride));
    o->set_ragged_offset(offsets("o offsets", kOOffsets));
    lse->set_output(true).set_uid(kLse).set_data_type(fe::DataType_t::FLOAT).set_dim({samples, plan.heads, length, 1});
    lse->set_stride({length * plan.heads, 1, plan.heads, 1}).set_ragged_offset(offsets("lse offsets", kLseOffsets));
    return graph;
}

}  // namespace tandem::cuda::cudnn
