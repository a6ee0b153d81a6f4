// Logits of the tiny models, sequence by sequence packed into one batch, against transformers.
#include <gtest/gtest.h>

#include "src/engine/model_setup.h"
#include "tests/golden/packed_ids.h"
#include "tests/support/figures.h"
#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

constexpr int kSequences = 3;  ///< as many have reference logits

struct Case {
    const char* name;
    DeviceBackend backend;
    DType dtype;
    double bound;  ///< on ||got - want|| / ||want||
    friend std::ostream& operator<<(std::ostream& out, const Case& how) { return out << how.name; }
};

// References are stored as fp32. bf16: every activation is rounded to 8 bits, through two layers with a steep softmax; fp16 has three more.
const Case kCases[] = {{"fp64_ref", DeviceBackend::Ref, DType::F64, 1e-7},
                       {"fp32_cpu", DeviceBackend::Cpu, DType::F32, 1e-5},
                       {"bf16_cpu", DeviceBackend::Cpu, DType::BF16, 0.05},
                       {"fp16_cpu", DeviceBackend::Cpu, DType::F16, 0.05 / 8}};

const char* const kModels[] = {"llama_gqa",  "llama_tied", "llama3_rope", "mistral_window",
                               "qwen2_bias", "qwen3_norm", "llama2_mha",  "llama_head_dim"};

class GoldenLogits : public testing::TestWithParam<std::tuple<const char*, Case>> {};

TEST_P(GoldenLogits, Match) {
    const auto [name, how] = GetParam();
    const auto directory = source_directory() / "tests/golden/models" / name;
    RunConfig config;
    config.model.path = directory.string();
    config.model.dtype = how.dtype;
    config.method.type = Method::Full;
    config.device.backend = how.backend;
    config.device.threads = 1;

    PackedIds packed;
    const auto samples = read_json_lines(directory / "data.jsonl");
    for (std::size_t i = 0; i < kSequences; ++i) packed.append(samples.at(i).at("input_ids").get<std::vector<std::int32_t>>());
    auto device = make_device(config, 1);
    reserve_up_to(device, std::size_t{8} << 30U);
    const auto self = make_self_communicator();
    const auto model = load_whole_model(config, device, *self, static_cast<std::int64_t>(packed.batch().ids.size()));
    const auto logits = all_logits(*model.transformer, packed.batch());

    const auto reference = with_prefix(read_safetensors(directory / "reference.safetensors"), "logits.");
    std::vector<double> want;
    for (int i = 0; i < kSequences; ++i) {
        const auto& values = reference.at(std::to_string(i)).values;
        want.insert(want.end(), values.begin(), values.end());
    }
    ASSERT_EQ(logits.size(), want.size());
    const auto distance = relative_distance({{"logits", {{}, logits}}}, {{"logits", {{}, want}}});
    EXPECT_LE(note_figure(std::string(how.name) + " logits", distance), how.bound);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenLogits, testing::Combine(testing::ValuesIn(kModels), testing::ValuesIn(kCases)),
                         [](const auto& test) { return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param).name; });

}  // namespace
}  // namespace tandem::test
