#include "kernels/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

namespace {

/// One sample: tokens [q_begin, q_end) and [k_begin, k_end) of the packed row.
struct Sample {
    std::int64_t q_begin, q_end, k_begin, k_end;

    /// The keys that query i (a packed index) sees: [first, last).
    struct Range {
        std::int64_t first, last;
    };
    [[nodiscard]] Range keys_of(std::int64_t i, std::int64_t window) const {
        const auto own = i - q_end + k_end;  // the key aligned with the query
        return {window > 0 ? std::max(k_begin, own - window + 1) : k_begin, own + 1};
    }
};

std::vector<Sample> samples_of(const Segments& segments, std::int64_t nq, std::int64_t nk) {
    const auto* q = segments.q.data<std::int32_t>();
    const auto* k = segments.k.data<std::int32_t>();
    const auto count = segments.q.extent(0) - 1;
    std::vector<Sample> samples;
    for (std::int64_t b = 0; b < count; ++b) {
        const Sample s{q[b], q[b + 1], k[b], k[b + 1]};
        require(s.q_begin <= s.q_end && s.k_begin <= s.k_end, "attention: sample {} has queries [{}, {}) and keys [{}, {}): not ascending",
                b, s.q_begin, s.q_end, s.k_begin, s.k_end);
        require(s.q_end - s.q_begin <= s.k_end - s.k_begin, "attention: sample {} has {} queries and only {} keys", b, s.q_end - s.q_begin,
                s.k_end - s.k_begin);
        require(s.k_end - s.k_begin <= segments.max_length, "attention: sample {} has {} keys, more than max_length {}", b,
                s.k_end - s.k_begin, segments.max_length);
        samples.push_back(s);
    }
    require(q[0] == 0 && k[0] == 0 && q[count] == nq && k[count] == nk,
            "attention: samples span queries [{}, {}) of {} and keys [{}, {}) of {}", q[0], q[count], nq, k[0], k[count], nk);
    return samples;
}

/// The operands that forward and backward share, and the scores they define.
template <class T>
struct Scores {
    Attention params;
    View<T> q, k, v;
    std::int64_t d, group;  ///< head dimension; query heads that read one key/value head

    Scores(const Attention& p, const Tensor& q_, const Tensor& k_, const Tensor& v_)
        : params(p), q(q_), k(k_), v(v_), d(q_.extent(2)), group(q_.extent(1) / k_.extent(1)) {}

    /// sum_c x_(i, h)c y_(j, h')c
    double dot(const View<T>& x, std::int64_t i, std::int64_t h, const View<T>& y, std::int64_t j, std::int64_t hy) const {
        double sum = 0.0;
        for (std::int64_t c = 0; c < d; ++c) sum += x(i, h * d + c) * y(j, hy * d + c);
        return sum;
    }

    /// s_ij of query head h.
    [[nodiscard]] double score(std::int64_t i, std::int64_t j, std::int64_t h) const {
        const double s = params.scale * dot(q, i, h, k, j, h / group);
        return params.softcap > 0.0 ? params.softcap * std::tanh(s / params.softcap) : s;
    }

    /// d s / d (scale q.k), from s.
    [[nodiscard]] double cap_derivative(double s) const {
        return params.softcap > 0.0 ? 1.0 - (s / params.softcap) * (s / params.softcap) : 1.0;
    }
};

/// o_i = sum_j p_ij v_j with a running maximum: sums so far are rescaled when a larger score arrives.
template <class T>
void attend(const Scores<T>& a, Sample::Range keys, std::int64_t i, std::int64_t h, const View<T>& o,
            const View<ref::Accumulation<T>>& lse) {
    const auto d = a.d;
    double largest = -std::numeric_limits<double>::infinity();
    double sum = 0.0;
    std::vector<double> mean(static_cast<std::size_t>(d), 0.0);  // unnormalised
    for (std::int64_t j = keys.first; j < keys.last; ++j) {
        const double s = a.score(i, j, h);
        const double rescale = s > largest ? std::exp(largest - s) : 1.0;
        largest = std::max(largest, s);
        const double p = std::exp(s - largest);
        sum = sum * rescale + p;
        for (std::int64_t c = 0; c < d; ++c) {
            auto& value = mean[static_cast<std::size_t>(c)];
            value = value * rescale + p * a.v(j, h / a.group * d + c);
        }
    }
    for (std::int64_t c = 0; c < d; ++c) o.set(i, h * d + c, mean[static_cast<std::size_t>(c)] / sum);
    lse.set(h, i, largest + std::log(sum));
}

/// What backward knows of a pair (i, j) of query head h.
struct Pair {
    double p, ds;
};

template <class T>
struct Backward {
    Scores<T> a;
    View<T> d_o, o;
    View<ref::Accumulation<T>> lse;

    /// ds_ij is the gradient with respect to scale q_i.k_j.
    [[nodiscard]] Pair pair(std::int64_t i, std::int64_t j, std::int64_t h) const {
        const double s = a.score(i, j, h);
        const double p = std::exp(s - lse(h, i));
        const double delta = a.dot(d_o, i, h, o, i, h);  // D_i
        return {p, p * (a.dot(d_o, i, h, a.v, j, h / a.group) - delta) * a.cap_derivative(s)};
    }

    /// dq_i = scale sum_j ds_ij k_j
    void query_gradient(const Sample& sample, std::int64_t i, std::int64_t h, const View<T>& dq) const {
        std::vector<double> sum(static_cast<std::size_t>(a.d), 0.0);
        const auto keys = sample.keys_of(i, a.params.window);
        for (std::int64_t j = keys.first; j < keys.last; ++j) {
            const double ds = pair(i, j, h).ds;
            for (std::int64_t c = 0; c < a.d; ++c) sum[static_cast<std::size_t>(c)] += ds * a.k(j, h / a.group * a.d + c);
        }
        for (std::int64_t c = 0; c < a.d; ++c) dq.set(i, h * a.d + c, a.params.scale * sum[static_cast<std::size_t>(c)]);
    }

    /// dk_j = scale sum_i ds_ij q_i, dv_j = sum_i p_ij do_i, over the queries that see j and the heads that read it
    void key_gradient(const Sample& sample, std::int64_t j, std::int64_t kv_head, const View<T>& dk, const View<T>& dv) const {
        std::vector<double> dk_sum(static_cast<std::size_t>(a.d), 0.0);
        std::vector<double> dv_sum(static_cast<std::size_t>(a.d), 0.0);
        for (std::int64_t h = kv_head * a.group; h < (kv_head + 1) * a.group; ++h) {
            for (std::int64_t i = sample.q_begin; i < sample.q_end; ++i) {
                const auto keys = sample.keys_of(i, a.params.window);
                if (j < keys.first || j >= keys.last) continue;
                const auto [p, ds] = pair(i, j, h);
                for (std::int64_t c = 0; c < a.d; ++c) {
                    dk_sum[static_cast<std::size_t>(c)] += ds * a.q(i, h * a.d + c);
                    dv_sum[static_cast<std::size_t>(c)] += p * d_o(i, h * a.d + c);
                }
            }
        }
        for (std::int64_t c = 0; c < a.d; ++c) {
            dk.set(j, kv_head * a.d + c, a.params.scale * dk_sum[static_cast<std::size_t>(c)]);
            dv.set(j, kv_head * a.d + c, dv_sum[static_cast<std::size_t>(c)]);
        }
    }
};

}  // namespace

void RefBackend::attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& o, const Tensor& lse) {
    const auto samples = samples_of(segments, q.extent(0), k.extent(0));
    ref::with_type(q, [&]<class T>(T) {
        const Scores<T> scores(params, q, k, v);
        const View<T> out(o);
        const View<ref::Accumulation<T>> log_sum(lse);
        for (const auto& sample : samples)
            for (std::int64_t i = sample.q_begin; i < sample.q_end; ++i)
                for (std::int64_t h = 0; h < q.extent(1); ++h) attend(scores, sample.keys_of(i, params.window), i, h, out, log_sum);
    });
}

void RefBackend::attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) {
    const auto samples = samples_of(segments, q.extent(0), k.extent(0));
    ref::with_type(q, [&]<class T>(T) {
        const Backward<T> backward{Scores<T>(params, q, k, v), View<T>(d_o), View<T>(o), View<ref::Accumulation<T>>(lse)};
        const View<T> query(dq), key(dk), value(dv);
        for (const auto& sample : samples) {
            require(sample.q_end - sample.q_begin == sample.k_end - sample.k_begin,
                    "attention_backward: a sample has {} queries and {} keys; equal numbers are needed", sample.q_end - sample.q_begin,
                    sample.k_end - sample.k_begin);
            for (std::int64_t i = sample.q_begin; i < sample.q_end; ++i)
                for (std::int64_t h = 0; h < q.extent(1); ++h) backward.query_gradient(sample, i, h, query);
            for (std::int64_t j = sample.k_begin; j < sample.k_end; ++j)
                for (std::int64_t h = 0; h < k.extent(1); ++h) backward.key_gradient(sample, j, h, key, value);
        }
    });
}

}  // namespace tandem
