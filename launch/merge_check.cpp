#include "launch/merge_check.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "parallel/communicator.h"
#include "src/engine/device.h"
#include "src/engine/model_setup.h"
#include "src/model/decoder.h"
#include "src/plan/capacity.h"

namespace tandem {
namespace {

constexpr std::int32_t kSequences = 3, kLength = 16;

/// The sequences packed into one batch: ids are multiples of three primes, so that they lie all over the vocabulary.
struct Prompts {
    std::vector<std::int32_t> ids, targets, positions, cu_seqlens = {0};
    std::vector<std::int64_t> row_ids;

    explicit Prompts(std::int64_t vocabulary) {
        constexpr std::array<std::int64_t, kSequences> steps = {7919, 104729, 1299709};
        for (const std::int64_t step : steps) {
            for (std::int32_t i = 0; i < kLength; ++i) {
                ids.push_back(static_cast<std::int32_t>((i + 1) * step % vocabulary));
                positions.push_back(i);
            }
            cu_seqlens.push_back(static_cast<std::int32_t>(ids.size()));
        }
        targets.assign(ids.size(), -100);
        for (std::size_t i = 0; i < ids.size(); ++i) row_ids.push_back(static_cast<std::int64_t>(i));
    }
    [[nodiscard]] HostBatch batch() const { return {ids, targets, positions, cu_seqlens, row_ids, kLength}; }
};

std::vector<double> logits_of(RunConfig config, int threads, std::int64_t& vocabulary) {
    config.model.dtype = DType::F32;
    config.device.backend = DeviceBackend::Cpu;
    Device device = make_device(config, threads);
    reserve_up_to(device, machine_memory());
    const auto self = make_self_communicator();
    OpenedModel opened = open_model(config, Trained::Nothing);
    vocabulary = opened.description.model.vocabulary;
    const ModelPlace place{whole_model(opened.description.model), *self, kLength, kSequences * kLength};
    const LoadedModel model = load_model(config, std::move(opened), device, place);
    return all_logits(*model.transformer, Prompts(vocabulary).batch());
}

}  // namespace

std::size_t merge_check_bytes(const std::filesystem::path& merged) {
    const ModelConfig model = load_model_config(merged);
    std::size_t elements = 0;
    for (const Parameter& p : list_parameters(model, Trained::Nothing, nullptr)) elements += static_cast<std::size_t>(p.global.elements());
    constexpr std::size_t kBeside = std::size_t{512} << 20;
    return elements * sizeof(float) + kBeside;
}

MergeCheck check_merge(const RunConfig& config, const std::filesystem::path& merged, int threads) {
    RunConfig of_merged;
    of_merged.model.path = merged;
    of_merged.method.type = Method::Full;
    std::int64_t vocabulary = 0;
    const std::vector<double> before = logits_of(config, threads, vocabulary);
    const std::vector<double> after = logits_of(of_merged, threads, vocabulary);
    MergeCheck check{.tokens = kSequences * kLength};
    for (std::size_t i = 0; i < before.size(); ++i) {
        check.largest_difference = std::max(check.largest_difference, std::abs(before[i] - after[i]));
        check.largest_logit = std::max(check.largest_logit, std::abs(before[i]));
    }
    for (std::int64_t row = 0; row < check.tokens; ++row) {
        const auto best = [&](const std::vector<double>& z) {
            const auto first = z.begin() + row * vocabulary;
            return std::max_element(first, first + vocabulary) - first;
        };
        if (best(before) == best(after)) check.agreement += 1.0 / static_cast<double>(check.tokens);
    }
    return check;
}

}  // namespace tandem
