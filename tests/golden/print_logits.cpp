// print_logits MODEL DATA.jsonl FILE [ADAPTER]: the logits of every position of every sample, computed in fp32, as doubles in FILE, for
// check_end_to_end.py. DATA is tokenized.
#include <fstream>
#include <iostream>

#include "src/engine/model_setup.h"
#include "src/plan/capacity.h"
#include "tests/golden/packed_ids.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

void print_logits(const Arguments& words) {
    require(words.size() == 3 || words.size() == 4, "usage: print_logits MODEL DATA.jsonl FILE [ADAPTER]");
    RunConfig config;
    config.model.path = words[0];
    config.model.dtype = DType::F32;
    config.method.type = words.size() == 4 ? Method::Lora : Method::Full;
    if (words.size() == 4) config.lora.adapter = words[3];
    config.device.backend = DeviceBackend::Cpu;
    const auto samples = read_json_lines(words[1]);
    std::int64_t longest = 0;
    for (const auto& sample : samples) longest = std::max(longest, static_cast<std::int64_t>(sample.at("input_ids").size()));
    auto device = make_device(config, 2);
    reserve_up_to(device, machine_memory());
    const auto self = make_self_communicator();
    const auto model = load_whole_model(config, device, *self, longest);
    std::ofstream out(words[2], std::ios::binary);
    for (const auto& sample : samples) {
        PackedIds packed;
        packed.append(sample.at("input_ids").get<std::vector<std::int32_t>>());
        const auto logits = all_logits(*model.transformer, packed.batch());
        out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * sizeof(double)));
    }
    require(out.good(), "{}: cannot be written", words[2]);
}

}  // namespace
}  // namespace tandem::test

int main(int argc, char** argv) {
    try {
        tandem::test::print_logits({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "print_logits: " << error.what() << "\n";
        return 1;
    }
}
