#include "kernels/ops/attention.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

void check_inputs(const Check& check, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                  const Tensor& v) {
    check.that(params.window >= 0, "window {} is negative", params.window);
    check.that(params.softcap >= 0.0, "softcap {} is negative", params.softcap);
    check.dims("q", q, 3);
    check.floating("q", q);
    check.dims("k", k, 3);
    check.type("k", k, q.dtype());
    check.that(k.extent(2) == q.extent(2), "q is {} and k is {}: the head dimensions differ", q.str(), k.str());
    check.like("v", v, k);
    check.that(k.extent(1) > 0 && q.extent(1) % k.extent(1) == 0, "q is {} and k is {}: {} heads do not share {} key/value heads evenly",
               q.str(), k.str(), q.extent(1), k.extent(1));
    check.dims("segments.q", segments.q, 1);
    check.type("segments.q", segments.q, DType::I32);
    check.contiguous("segments.q", segments.q);
    check.that(segments.q.extent(0) >= 1, "segments.q is {}, but holds count + 1 offsets", segments.q.str());
    check.like("segments.k", segments.k, segments.q);
    check.contiguous("segments.k", segments.k);
}

void check_output(const Check& check, const Tensor& q, const Tensor& o, const Tensor& lse) {
    check.like("o", o, q);
    check.accumulation("lse", lse, q.dtype());
    check.shape("lse", lse, Shape{q.extent(1), q.extent(0)});
    check.contiguous("lse", lse);
}

}  // namespace

void attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
               const Tensor& o, const Tensor& lse) {
    const Check check("attention");
    check_inputs(check, params, segments, q, k, v);
    check_output(check, q, o, lse);
    for (const auto& [name, x] : {std::pair{"q", q}, std::pair{"k", k}, std::pair{"v", v}}) {
        check.apart(name, x, "o", o);
        check.apart(name, x, "lse", lse);
    }
    check.apart("o", o, "lse", lse);
    if (q.elements() == 0) return;
    ctx.backend.attention(ctx, params, segments, q, k, v, o, lse);
}

void attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                        const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq, const Tensor& dk,
                        const Tensor& dv) {
    const Check check("attention_backward");
    check_inputs(check, params, segments, q, k, v);
    check_output(check, q, o, lse);
    check.that(q.extent(0) == k.extent(0), "q is {} and k is {}: the backward pass needs as many queries as keys", q.str(), k.str());
    check.like("d_o", d_o, q);
    check.like("dq", dq, q);
    check.like("dk", dk, k);
    check.like("dv", dv, v);
    const std::pair<std::string_view, Tensor> inputs[] = {{"d_o", d_o}, {"q", q}, {"k", k}, {"v", v}, {"o", o}, {"lse", lse}};
    const std::pair<std::string_view, Tensor> outputs[] = {{"dq", dq}, {"dk", dk}, {"dv", dv}};
    for (const auto& [output, y] : outputs)
        for (const auto& [input, x] : inputs) check.apart(input, x, output, y);
    check.apart("dq", dq, "dk", dk);
    check.apart("dq", dq, "dv", dv);
    check.apart("dk", dk, "dv", dv);
    if (q.elements() == 0) return;
    ctx.backend.attention_backward(ctx, params, segments, d_o, q, k, v, o, lse, dq, dk, dv);
}

}  // namespace tandem::ops
