// Hardware files: what they may say, what is refused, and that a written one reads back.
#include "src/plan/hardware.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"

namespace tandem {
namespace {

constexpr const char* kTwoCards = R"(
[hardware]
name = two of a kind
[gpu]
name = RTX 3090
memory = 24GiB
reserved = 512MiB
bf16_tflops = 71
memory_bandwidth = 936
[node]
gpus = 2
link = pcie
link_bandwidth = 13
p2p = no
[measured]
all_reduce = 1MiB:3.5, 1GiB:6
)";

void expect_refused(const std::string& text, const std::vector<std::string>& words) {
    try {
        (void)parse_hardware(text, "card.ini");
        ADD_FAILURE() << "accepted:\n" << text;
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        for (const auto& word : words) EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
}

TEST(Hardware, ReadsWhatAFileSays) {
    const Hardware h = parse_hardware(kTwoCards, "card.ini");
    EXPECT_EQ(h.ranks(), 2);
    EXPECT_EQ(h.gpus[1].memory, std::uint64_t{24} << 30U);
    EXPECT_EQ(h.gpus[1].reserved, std::uint64_t{512} << 20U);
    EXPECT_FALSE(h.p2p);
    EXPECT_EQ(h.node_rates.at("all_reduce").at(std::uint64_t{1} << 20U), 3.5);
    EXPECT_DOUBLE_EQ(h.gpus[0].matmul_rate(DType::BF16), 0.85 * 71e12);
    EXPECT_DOUBLE_EQ(h.gpus[0].matmul_rate(DType::F32), 0.85 * 71e12 / 4);
}

TEST(Hardware, ACardOfItsOwnDiffers) {
    const Hardware h = parse_hardware(
        "[gpu]\n1.memory = 12GiB\nmemory = 24GiB\nbf16_tflops = 71\nmemory_bandwidth = 936\n"
        "[node]\ngpus = 3\nlink_bandwidth = 13\n",
        "card.ini");
    EXPECT_EQ(h.gpus[0].memory, std::uint64_t{24} << 30U);
    EXPECT_EQ(h.gpus[1].memory, std::uint64_t{12} << 30U);
    EXPECT_EQ(h.gpus[2].memory, std::uint64_t{24} << 30U);
}

TEST(Hardware, MistakesAreNamed) {
    const std::string gpu = "[gpu]\nmemory = 24GiB\nbf16_tflops = 71\nmemory_bandwidth = 936\n";
    expect_refused(gpu + "memori = 3GiB\n", {"card.ini:5", "gpu.memori", "gpu.memory"});
    expect_refused(gpu + "power = lots\n", {"card.ini:5", "gpu.power", "lots"});
    expect_refused(gpu + "[node]\ngpus = 2\n", {"node.link_bandwidth"});
    expect_refused(gpu + "[hardware]\nnodes = 2\n", {"network.bandwidth"});
    expect_refused(gpu + "[node]\nlink = rope\n", {"card.ini:6", "pcie, bridge, nvswitch or memory"});
    expect_refused(gpu + "7.memory = 24GiB\n", {"card.ini:5", "gpu.7.memory"});
    expect_refused(gpu + "attention = fast\n", {"card.ini:5", "gpu.attention", "own or cudnn"});
    expect_refused(gpu + "reserved = 25GiB\n", {"gpu.reserved"});
    expect_refused("[gpu]\nmemory = 24GiB\nbf16_tflops = 71\n", {"gpu.memory_bandwidth"});
    expect_refused(gpu + "[measured]\nall_reduce = 1MiB\n", {"card.ini:6", "BYTES:RATE"});
}

/// Every key, away from its default, and cards that differ.
constexpr const char* kEveryKey = R"(
[hardware]
name = of every kind
nodes = 3
[gpu]
name = one
backend = cpu
memory = 24GiB
reserved = 512MiB
bf16_tflops = 71
fp16_tflops = 70
attention = cudnn
fp32_tflops = 35.5
sustained_tflops = 60
memory_bandwidth = 936
power = 350
price = 0.2
1.name = other
1.memory = 12GiB
[node]
gpus = 4
link = bridge
link_bandwidth = 13
link_latency = 7
p2p = no
bridge_pairs = 0-1,2-3
bridge_bandwidth = 50
host_bandwidth = 11
host_memory_bandwidth = 90
host_memory = 128GiB
[network]
bandwidth = 12.5
latency = 9
gpudirect = no
all_reduce = 1MiB:3.5, 1GiB:6
send = 1KiB:0.5
[measured]
all_gather = 1MiB:13.5
matmul = 1x2x3:4
attention = 5x6x7:8
)";

TEST(Hardware, AWrittenFileReadsBack) {
    for (const char* text : {kTwoCards, kEveryKey}) {
        const Hardware h = parse_hardware(text, "card.ini");
        EXPECT_EQ(parse_hardware(to_ini(h), "written.ini"), h) << to_ini(h);
    }
    Hardware alone;
    alone.gpus.resize(1);
    alone.gpus[0].memory = 1;
    alone.gpus[0].bf16_tflops = alone.gpus[0].memory_bandwidth = 0.1;
    EXPECT_EQ(parse_hardware(to_ini(alone), "written.ini"), alone) << to_ini(alone);
}

}  // namespace
}  // namespace tandem
