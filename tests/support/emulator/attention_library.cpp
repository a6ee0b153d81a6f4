#include "tests/support/emulator/attention_library.h"

#include <cmath>
#include <cstdlib>
#include <vector>

#include "kernels/base/dtype.h"
#include "kernels/base/error.h"
#include "kernels/cuda/attention_library.h"
#include "tests/support/emulator/memory.h"
#include "tests/support/emulator/streams.h"

namespace tandem::emulator {

namespace {

/// What a test asks of a program that it starts.
AttentionLibraryWish wish_of_parent() {
    const char* text = std::getenv("TANDEM_EMULATED_LIBRARY");
    const std::string wish = text != nullptr ? text : "";
    if (wish == "missing") return {.missing = true};
    if (wish == "wrong") return {.lse_factor = 1.4427};
    require(wish.empty(), "TANDEM_EMULATED_LIBRARY is {}: missing or wrong", wish);
    return {};
}

AttentionLibraryWish wish_of_tests = wish_of_parent();
AttentionLibraryUse use_by_tests;

}  // namespace

void set_attention_library(const AttentionLibraryWish& wish) { wish_of_tests = wish; }
AttentionLibraryUse take_attention_library_use() { return std::exchange(use_by_tests, {}); }

}  // namespace tandem::emulator

namespace tandem::cuda {

namespace {

using emulator::AttentionLibraryWish;

/// Reads and writes of one call; the first that is not allowed is in `wrong`.
struct Access {
    std::string wrong;
    template <class T>
    T read(const T* at, const char* what) {
        note(emulator::memory().unreadable(at, sizeof(T)), what);
        return wrong.empty() ? *at : T{};
    }
    template <class T>
    void write(T* at, T value, const char* what) {
        note(emulator::memory().written(at, sizeof(T)), what);
        if (wrong.empty()) *at = value;
    }

private:
    void note(const std::string& fault, const char* what) {
        if (wrong.empty() && !fault.empty()) wrong = std::string("attention library: ") + what + " is " + fault;
    }
};

/// One query of one head over the keys [first, last] of its sample.
template <class T>
struct Query {
    const AttentionPlan& plan;
    const AttentionCall& call;
    std::int64_t q_at, k_at, v_at, o_at;  ///< elements before the query's row, the sample's keys and values, the result's row
    int first, last;

    float answer(Access& access) const {
        const auto* q = static_cast<const T*>(call.q) + q_at;
        std::vector<float> p;
        float largest = -INFINITY;
        for (int j = first; j <= last; ++j) {
            const auto* k = static_cast<const T*>(call.k) + k_at + j * plan.k_stride;
            float s = 0;
            for (int c = 0; c < plan.head_dim; ++c) s += float(access.read(q + c, "q")) * float(access.read(k + c, "k"));
            p.push_back(s * plan.scale);
            largest = std::max(largest, p.back());
        }
        float sum = 0;
        for (float& x : p) sum += x = std::exp(x - largest);
        for (int c = 0; c < plan.head_dim; ++c) {
            float o = 0;
            for (int j = first; j <= last; ++j)
                o += p[static_cast<std::size_t>(j - first)] *
                     float(access.read(static_cast<const T*>(call.v) + v_at + j * plan.v_stride + c, "v"));
            access.write(static_cast<T*>(call.o) + o_at + c, T(o / sum), "o");
        }
        return largest + std::log(sum);
    }
};

template <class T>
void one_sample(const AttentionPlan& plan, const AttentionCall& call, const AttentionLibraryWish& wish, int sample, Access& access) {
    const auto at = [&](const std::int64_t* table) { return access.read(table + sample, "a table of offsets"); };
    const std::int64_t q = at(call.tables.q), k = at(call.tables.k), v = at(call.tables.v), o = at(call.tables.o),
                       lse = at(call.tables.lse);
    const int length = access.read(call.tables.lengths + sample, "the table of lengths");
    if (length > plan.length) access.wrong = "attention library: a sample is longer than its plan says";
    for (int head = 0; head < plan.heads; ++head) {
        const std::int64_t column = std::int64_t{head} * plan.head_dim;
        const std::int64_t shared = std::int64_t{head} / (plan.heads / plan.kv_heads) * plan.head_dim;
        for (int i = 0; i < length && access.wrong.empty(); ++i) {
            const int window = plan.window > 0 ? plan.window + wish.window_too_wide : length;
            const Query<T> query{plan,
                                 call,
                                 q + i * plan.q_stride + column,
                                 k + shared,
                                 v + shared,
                                 o + i * plan.o_stride + column,
                                 std::max(0, i - window + 1),
                                 std::min({length - 1, i + wish.keys_too_many, wish.keys_seen - 1})};
            const auto value = static_cast<float>(query.answer(access) * wish.lse_factor);
            if (!wish.forgets_lse) access.write(call.lse + lse + std::int64_t{i} * plan.heads + head, value, "lse");
        }
    }
}

template <class T>
std::string compute(const AttentionPlan& plan, const AttentionCall& call, const AttentionLibraryWish& wish, int number) {
    const emulator::Memory::Open open(emulator::memory());
    Access access;
    for (std::size_t i = 0; i < wish.workspace; ++i)
        access.write(static_cast<std::uint8_t*>(call.workspace) + i, std::uint8_t{1}, "workspace");
    for (int sample = 0; sample < plan.samples && access.wrong.empty(); ++sample) one_sample<T>(plan, call, wish, sample, access);
    auto* o = static_cast<T*>(call.o);
    const std::int64_t end = access.read(call.tables.o + plan.samples, "a table of offsets");
    if (wish.writes_behind) access.write(o + end, T(9.0F), "o behind the last token");
    const std::int64_t lse_end = access.read(call.tables.lse + plan.samples, "a table of offsets");
    if (wish.lse_behind) access.write(call.lse + lse_end, 9.0F, "lse behind the last token");
    const std::int64_t v_end = access.read(call.tables.v + plan.samples, "a table of offsets");
    if (wish.reads_behind) access.write(o, T(float(*o) + 0.0F * float(access.read(static_cast<const T*>(call.v) + v_end, "v"))), "o");
    if (wish.drift > 0.0 && access.wrong.empty()) access.write(o, T(float(*o) + static_cast<float>(wish.drift * number)), "o");
    return access.wrong;
}

class EmulatedAttention final : public AttentionLibrary {
public:
    [[nodiscard]] std::string description() const override { return "emulated attention library"; }
    Prepared prepare(const AttentionPlan& /*plan*/) override {
        ++emulator::use_by_tests.prepared;
        return {emulator::wish_of_tests.workspace, emulator::wish_of_tests.refusal};
    }
    void run(const AttentionPlan& plan, const AttentionCall& call, NativeStream stream) override {
        if (emulator::wish_of_tests.fails) fail(Failure::Run, "the emulated library has no memory for its kernels");
        const int number = emulator::use_by_tests.run++;
        stream->push([plan, call, number, wish = emulator::wish_of_tests] {
            return plan.type == Element::BF16 ? compute<BFloat16>(plan, call, wish, number) : compute<Float16>(plan, call, wish, number);
        });
    }
};

}  // namespace

FoundAttentionLibrary find_attention_library() {
    if (emulator::wish_of_tests.missing) return {"", "the emulated library is missing"};
    return {"emulated attention library", ""};
}

std::unique_ptr<AttentionLibrary> make_attention_library(int /*device*/) {
    if (emulator::wish_of_tests.missing) fail(Failure::Configuration, "the emulated library is missing");
    return std::make_unique<EmulatedAttention>();
}

}  // namespace tandem::cuda
