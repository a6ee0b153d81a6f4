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
    expect_refused(gpu + "reserved = 25GiB\n", {"gpu.reserved"});
    expect_refused("[gpu]\nmemory = 24GiB\nbf16_tflops = 71\n", {"gpu.memory_bandwidth"});
    expect_refused(gpu + "[measured]\nall_reduce = 1MiB\n", {"card.ini:6", "BYTES:RATE"});
}

TEST(Hardware, AWrittenFileReadsBack) {
    const Hardware h = parse_hardware(kTwoCards, "card.ini");
    const Hardware again = parse_hardware(to_ini(h), "written.ini");
    EXPECT_EQ(again.name, h.name);
    EXPECT_EQ(again.ranks(), h.ranks());
    EXPECT_EQ(again.gpus[0].memory, h.gpus[0].memory);
    EXPECT_EQ(again.gpus[0].bf16_tflops, h.gpus[0].bf16_tflops);
    EXPECT_EQ(again.link_bandwidth, h.link_bandwidth);
    EXPECT_EQ(again.node_rates, h.node_rates);
}

}  // namespace
}  // namespace tandem
