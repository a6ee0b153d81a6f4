#include "tests/support/toy_stage.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem::test {
namespace {

constexpr std::int64_t kPrime = 1'000'003;
constexpr std::int64_t kRate = 3;

std::int64_t times(std::int64_t a, std::int64_t b) { return a * b % kPrime; }
std::int64_t updated(std::int64_t weight, std::int64_t gradient) { return ((weight - times(kRate, gradient)) % kPrime + kPrime) % kPrime; }

Values numbers(std::int64_t seed, std::int64_t step, int micro_batch) {
    // Most are too long for MPI to take before they are received.
    constexpr std::int64_t lengths[] = {kToyLength - 7, 0, kToyLength, kToyLength - 1, 3, kToyLength - 40};
    Values values(static_cast<std::size_t>(lengths[micro_batch % 6]));
    std::int64_t state = 17 + seed + 1000 * step + 7 * micro_batch;
    for (auto& v : values) v = state = (times(state, 4711) + 12345) % kPrime;
    return values;
}

Tensor view(Values& values) { return {values.data(), DType::I64, Shape{static_cast<std::int64_t>(values.size())}}; }

}  // namespace

Values ToyModel::first_weights() const {
    Values weights(static_cast<std::size_t>(units));
    for (std::size_t u = 0; u < weights.size(); ++u) weights[u] = 1 + static_cast<std::int64_t>(u) * 7919;
    if (tied) weights.back() = weights.front();
    return weights;
}

Values ToyModel::tokens(std::int64_t step, int micro_batch) { return numbers(0, step, micro_batch); }
Values ToyModel::targets(std::int64_t step, int micro_batch) { return numbers(500'000, step, micro_batch); }

ToyResult train_toy(const ToyModel& model, int steps, int micro_batches) {
    const auto units = static_cast<std::size_t>(model.units);
    ToyResult result{model.first_weights(), 0};
    Values& w = result.weights;
    for (int step = 0; step < steps; ++step) {
        Values gradient(units);
        for (int m = 0; m < micro_batches; ++m) {
            const Values tokens = ToyModel::tokens(step, m), targets = ToyModel::targets(step, m);
            for (std::size_t k = 0; k < tokens.size(); ++k) {
                Values x(units + 1);
                x[0] = tokens[k];
                x[1] = times(w[0], x[0]);
                for (std::size_t u = 1; u + 1 < units; ++u) x[u + 1] = (times(times(w[u], x[u]), times(w[u], x[u])) + x[u]) % kPrime;
                result.loss = (result.loss + times(times(w[units - 1], x[units - 1]), targets[k])) % kPrime;
                gradient[units - 1] += times(x[units - 1], targets[k]);
                std::int64_t dy = times(w[units - 1], targets[k]);
                for (std::size_t u = units - 2; u > 0; --u) {
                    const std::int64_t dh = times(2 * times(w[u], x[u]), dy);
                    gradient[u] = (gradient[u] + times(dh, x[u])) % kPrime;
                    dy = (times(dh, w[u]) + dy) % kPrime;
                }
                gradient[0] = (gradient[0] + times(dy, x[0])) % kPrime;
            }
        }
        if (model.tied) gradient[0] = gradient[units - 1] = (gradient[0] + gradient[units - 1]) % kPrime;
        for (std::size_t u = 0; u < units; ++u) {
            const int bucket = model.tied && u + 1 == units ? 0 : static_cast<int>(u);
            if (std::ranges::count(model.trained, bucket) > 0) w[u] = updated(w[u], gradient[u] % kPrime);
        }
    }
    return result;
}

ToyStage::ToyStage(const ToyModel& model, const PipelineShape& shape, const Lowering& lowering, Communicator& pipeline, Communicator& data)
    : model_(model), shape_(shape), lowering_(lowering), pipeline_(pipeline), data_(data) {
    const Values first = model.first_weights();
    for (int chunk = 0; chunk < shape.chunks; ++chunk) {
        const auto units = lowering.parts[static_cast<std::size_t>(shape.part(pipeline.rank(), chunk))];
        for (int u = units.first; u < units.last; ++u) {
            weights_[u] = first[static_cast<std::size_t>(u)];
            masters_[bucket_of(u)] = weights_[u];
        }
    }
}

bool ToyStage::trained(int bucket) const { return std::ranges::count(model_.trained, bucket) > 0; }

ToyStage::Activations& ToyStage::at(const Instruction& i) {
    Activations& a = slots_[{i.chunk, i.slot}];
    require(a.micro_batch == i.micro_batch, "{}: slot {} holds micro-batch {}", to_text(i), i.slot, a.micro_batch);
    return a;
}

Tensor ToyStage::forward_input(const Instruction& i) {
    Activations& a = slots_[{i.chunk, i.slot}] = Activations();
    a.micro_batch = i.micro_batch;
    a.value.resize(ToyModel::tokens(step_, global(i.micro_batch)).size());
    return view(a.value);
}

Tensor ToyStage::forward_output(const Instruction& i) { return view(at(i).value); }

Tensor ToyStage::output_gradient(const Instruction& i) {
    at(i).gradient.assign(at(i).value.size(), -1);
    return view(at(i).gradient);
}

Tensor ToyStage::input_gradient(const Instruction& i) { return view(at(i).gradient); }

void ToyStage::forward(const Instruction& i) {
    if (i.units.first == 0) {
        Activations& fresh = slots_[{i.chunk, i.slot}] = Activations();
        fresh.micro_batch = i.micro_batch;
        fresh.value = ToyModel::tokens(step_, global(i.micro_batch));
    }
    Activations& a = at(i);
    for (int u = i.units.first; u < i.units.last; ++u) {
        const std::int64_t w = weights_.at(u);
        a.x[u] = a.value;
        if (is_head(u)) {
            const Values targets = ToyModel::targets(step_, global(i.micro_batch));
            a.gradient.resize(a.value.size());
            for (std::size_t k = 0; k < targets.size(); ++k) {
                loss_ = (loss_ + times(times(w, a.value[k]), targets[k])) % kPrime;
                gradients_[bucket_of(u)] += times(a.value[k], targets[k]);
                a.gradient[k] = times(w, targets[k]);
            }
            continue;
        }
        for (auto& v : a.value) v = times(w, v);
        if (u == 0) continue;
        if (!lowering_.recompute) a.h[u] = a.value;
        for (std::size_t k = 0; k < a.value.size(); ++k) a.value[k] = (times(a.value[k], a.value[k]) + a.x[u][k]) % kPrime;
    }
}

void ToyStage::recompute(const Instruction& i) {
    Activations& a = at(i);
    for (int u = i.units.first; u < i.units.last; ++u) {
        require(!a.h.contains(u), "{}: unit {} has its activations", to_text(i), u);
        a.h[u] = a.x.at(u);
        for (auto& v : a.h[u]) v = times(weights_.at(u), v);
    }
}

void ToyStage::input(int unit, Activations& a) {
    if (is_head(unit)) return;  // its forward did
    if (unit == 0) {
        a.dh[0] = a.gradient;
        return;
    }
    Values& dh = a.dh[unit] = a.gradient;
    const Values& h = a.h.at(unit);
    for (std::size_t k = 0; k < dh.size(); ++k) {
        dh[k] = times(2 * h[k], dh[k]);
        a.gradient[k] = (times(dh[k], weights_.at(unit)) + a.gradient[k]) % kPrime;
    }
    a.h.erase(unit);
}

void ToyStage::weight(int unit, Activations& a) {
    if (is_head(unit)) return;
    const Values& dh = a.dh.at(unit);
    auto& gradient = gradients_[bucket_of(unit)];
    for (std::size_t k = 0; k < dh.size(); ++k) gradient = (gradient + times(dh[k], a.x.at(unit)[k])) % kPrime;
    a.dh.erase(unit);
}

void ToyStage::backward_input(const Instruction& i) {
    for (int u = i.units.last - 1; u >= i.units.first; --u) input(u, at(i));
}

void ToyStage::backward_weight(const Instruction& i) {
    for (int u = i.units.first; u < i.units.last; ++u) weight(u, at(i));
}

void ToyStage::backward(const Instruction& i) {
    for (int u = i.units.last - 1; u >= i.units.first; --u) {
        input(u, at(i));
        weight(u, at(i));
    }
}

void ToyStage::reduce(int bucket) {
    double sum = static_cast<double>(gradients_[bucket] % kPrime);
    data_.sum(std::span(&sum, 1));
    reduced_[bucket] = (reduced_[bucket] + static_cast<std::int64_t>(sum)) % kPrime;
    gradients_[bucket] = 0;
}

void ToyStage::clip() {
    if (!model_.tied || !trained(0) || shape_.stages == 1) return;
    double sum = static_cast<double>(reduced_[0]);  // 0 between the ends
    pipeline_.sum(std::span(&sum, 1));
    if (masters_.contains(0)) reduced_[0] = static_cast<std::int64_t>(sum) % kPrime;
}

void ToyStage::update(int bucket) {
    masters_.at(bucket) = updated(masters_.at(bucket), reduced_[bucket]);
    reduced_[bucket] = 0;
}

void ToyStage::gather(int bucket) {
    gradients_[bucket] = 0;
    for (auto& [unit, value] : weights_) {
        if (bucket_of(unit) == bucket) value = masters_.at(bucket);
    }
}

}  // namespace tandem::test
