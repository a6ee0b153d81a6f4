#include "tests/invariance/matrix.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "kernels/base/philox.h"

namespace tandem::test {
namespace {

const std::array<std::string, 4> kSchedules = {"gpipe", "1f1b", "interleaved", "zb-h1"};

/// The settings as numbers, one for each axis.
std::vector<int> settings(const MatrixCase& c) {
    const auto schedule = static_cast<int>(std::find(kSchedules.begin(), kSchedules.end(), c.layout.schedule) - kSchedules.begin());
    return {c.layout.data,
            c.layout.tensor,
            c.layout.pipeline,
            c.layout.zero,
            schedule,
            c.layout.micro_batch,
            c.layout.recompute,
            c.layout.by_hand,
            static_cast<int>(c.subject.method),
            c.subject.tied,
            c.subject.packed,
            c.subject.sgd,
            static_cast<int>(c.subject.precision)};
}

using Pair = std::array<int, 4>;  ///< axis, value, axis, value

std::vector<Pair> pairs(const MatrixCase& c) {
    const auto values = settings(c);
    std::vector<Pair> list;
    for (int a = 0; a < static_cast<int>(values.size()); ++a) {
        for (int b = 0; b < a; ++b) list.push_back({b, values[static_cast<std::size_t>(b)], a, values[static_cast<std::size_t>(a)]});
    }
    return list;
}

/// Pipelines of one stage have no schedule; two chunks a rank need as many layers as parts.
bool allowed(const MatrixLayout& l, int ranks) {
    if (l.ranks() > ranks || l.pipeline > kMatrixLayers) return false;
    if (l.schedule == "interleaved") return l.pipeline > 1 && 2 * l.pipeline <= kMatrixLayers;
    return l.pipeline > 1 || l.schedule == "1f1b";
}

std::vector<MatrixLayout> all_layouts(int ranks) {
    std::vector<MatrixLayout> list;
    for (const int data : {1, 2, 3, 4})
        for (const int tensor : {1, 2, 4})
            for (const int pipeline : {1, 2, 3, 4})
                for (const int zero : {0, 1, 2})
                    for (const auto& schedule : kSchedules)
                        for (const int micro : {1, 2})
                            for (const bool recompute : {false, true}) {
                                const MatrixLayout l{data, tensor, pipeline, zero, schedule, micro, recompute, false};
                                // Without data-parallel ranks ZeRO has nothing to share out: one level is enough.
                                if (allowed(l, ranks) && (data > 1 || zero == 2)) list.push_back(l);
                            }
    return list;
}

/// Five layers, unevenly over the stages; parts of two chunks a rank go round.
std::string layers_by_hand(const MatrixLayout& l) {
    if (l.schedule == "interleaved") return "1,2,1,1";
    switch (l.pipeline) {
        case 2: return "1,4";
        case 3: return "3,1,1";
        case 4: return "1,1,1,2";
        default: return "5";
    }
}

}  // namespace

const char* precision_name(Precision precision) {
    switch (precision) {
        case Precision::Fp32: return "fp32";
        case Precision::Fp64: return "fp64";
        case Precision::Bf16: return "bf16";
    }
    return "?";
}

const char* method_name(MatrixMethod method) {
    switch (method) {
        case MatrixMethod::Lora: return "lora";
        case MatrixMethod::Full: return "full";
        case MatrixMethod::QLora: return "qlora";
    }
    return "?";
}

std::string name(const MatrixSubject& s) {
    return fmt::format("{} {} {} {} batch {} {}", method_name(s.method), s.tied ? "tied" : "untied", s.packed ? "packed" : "apart",
                       s.sgd ? "sgd" : "adamw", s.batch, precision_name(s.precision));
}

std::string name(const MatrixLayout& l) {
    return fmt::format("data {} tensor {} pipeline {} zero {} {} micro {}{}{}", l.data, l.tensor, l.pipeline, l.zero, l.schedule,
                       l.micro_batch, l.recompute ? " recompute" : "", l.by_hand ? " layers " + layers_by_hand(l) : "");
}

std::vector<std::string> options(const MatrixSubject& s) {
    std::vector<std::string> words = {"--method.type",
                                      method_name(s.method),
                                      "--data.packing",
                                      s.packed ? "true" : "false",
                                      "--device.backend",
                                      s.precision == Precision::Fp64 ? "ref" : s.backend,
                                      "--model.dtype",
                                      precision_name(s.precision),
                                      "--training.global_batch_size",
                                      std::to_string(s.batch)};
    if (s.sgd) words.insert(words.end(), {"--optimizer.name", "sgd", "--optimizer.learning_rate", "0.3"});
    return words;
}

std::vector<std::string> options(const MatrixLayout& l) {
    return {"--parallel.data",
            std::to_string(l.data),
            "--parallel.tensor",
            std::to_string(l.tensor),
            "--parallel.pipeline",
            std::to_string(l.pipeline),
            "--parallel.zero",
            std::to_string(l.zero),
            "--parallel.schedule",
            l.schedule,
            "--parallel.chunks",
            l.schedule == "interleaved" ? "2" : "1",
            "--training.micro_batch_size",
            std::to_string(l.micro_batch),
            "--training.recompute",
            l.recompute ? "full" : "none",
            "--parallel.layers",
            l.by_hand ? layers_by_hand(l) : "auto"};
}

std::vector<MatrixCase> whole_matrix(int ranks) {
    std::vector<MatrixCase> list;
    for (const auto method : {MatrixMethod::Lora, MatrixMethod::Full, MatrixMethod::QLora})
        for (const bool tied : {false, true})
            for (const bool packed : {false, true})
                for (MatrixLayout layout : all_layouts(ranks)) {
                    // Drawn rather than multiplied: the ways to split do not know of them.
                    const auto drawn = philox(3, 0, list.size());
                    const auto precision = drawn[0] % 2 == 0 ? Precision::Fp64 : Precision::Fp32;
                    layout.by_hand = layout.pipeline > 1 && drawn[2] % 2 == 0;
                    // Ranks and micro-batches must divide the rows of a step.
                    const int batch = layout.data == 3 ? 12 : 8;
                    list.push_back({{method, tied, packed, drawn[1] % 4 == 0, precision, batch}, layout});
                }
    return list;
}

std::vector<MatrixCase> spot_checks(int ranks) {
    using enum MatrixMethod;
    const auto subject = [](MatrixMethod method, bool tied, bool packed) {
        return MatrixSubject{method, tied, packed, false, Precision::Bf16, 8};
    };
    std::vector<MatrixCase> list = {{subject(Full, true, false), {2, 2, 2, 2, "1f1b", 1, false, false}},
                                    {subject(Lora, false, true), {1, 4, 2, 2, "zb-h1", 1, true, true}},
                                    {subject(Full, false, true), {1, 2, 3, 2, "gpipe", 2, false, false}},
                                    {subject(QLora, true, false), {4, 1, 2, 1, "interleaved", 2, true, false}}};
    std::erase_if(list, [&](const MatrixCase& c) { return c.layout.ranks() > ranks; });
    return list;
}

std::vector<MatrixCase> pairwise(const std::vector<MatrixCase>& cases) {
    std::set<Pair> open;
    for (const MatrixCase& c : cases) {
        for (const Pair& p : pairs(c)) open.insert(p);
    }
    constexpr std::size_t kCandidates = 400;
    std::vector<MatrixCase> chosen;
    for (std::uint64_t draw = 0; !open.empty();) {
        std::size_t best = 0, best_gain = 0;
        for (std::size_t k = 0; k < kCandidates; ++k, ++draw) {
            const std::size_t i = philox(7, 0, draw)[0] % cases.size();
            const auto candidate = pairs(cases[i]);
            const auto gain = static_cast<std::size_t>(
                std::count_if(candidate.begin(), candidate.end(), [&](const Pair& p) { return open.contains(p); }));
            if (gain > best_gain) best = i, best_gain = gain;
        }
        if (best_gain == 0) continue;
        chosen.push_back(cases[best]);
        for (const Pair& p : pairs(cases[best])) open.erase(p);
    }
    return chosen;
}

}  // namespace tandem::test
