// A table of good and bad configurations. Each stands after four good lines, so its first line is line 5.
#include "tests/config/config_fixture.h"

namespace tandem {
namespace {

struct Case {
    const char* text;
    const char* message;  ///< a part of what it is refused with; "" where it is good
};

class Cases : public ConfigFixture {};

constexpr Case kCases[] = {
    // Form.
    {"", ""},
    {"\n\n# only a comment\n   # another\n", ""},
    {"[lora]\nr = 8 # eight\n", ""},
    {"[lora]\nr=8\n[data]\npacking=off\n[lora]\nalpha=8\n", ""},
    {"lora.r = 8\n[training]\nmax_steps = 3\n", ""},
    {"[lora]   # the adapter\nr = 8", ""},
    {"[lora\nr = 8\n", "run.ini:5: found '[lora', expected [section]"},
    {"[lroa]\n", "run.ini:5: unknown section [lroa]; did you mean 'lora'?"},
    {"[]\n", "run.ini:5: unknown section []"},
    {"[wandb]\n", "run.ini:5: unknown section [wandb]"},
    {"[lora]\nr\n", "run.ini:6: found 'r', expected key = value"},
    {"[lora]\n= 8\n", "run.ini:6: found '= 8', expected key = value"},
    {"[lora]\nr =\n", "run.ini:6: lora.r has no value, expected a whole number"},
    {"[lora]\nr = # none\n", "run.ini:6: lora.r has no value"},
    {"[lora]\nr = 8\n\nr = 16\n", "run.ini:8: lora.r is already set at run.ini:6"},
    {"[lora]\nr = 8\n[training]\nmax_steps=1\n[lora]\nr = 8\n", "run.ini:10: lora.r is already set at run.ini:6"},
    {"[output]\ndir = elsewhere\n", "run.ini:6: output.dir is already set at run.ini:3"},
    {"; semicolon\n", "run.ini:5: found '; semicolon', expected key = value, [section] or # comment"},
    {"training: 3\n", "run.ini:5: found 'training: 3'"},
    {"[lora]\nR = 8\n", "run.ini:6: unknown key 'lora.R'; did you mean 'lora.r'?"},
    {"[training]\nmax-steps = 8\n", "run.ini:6: unknown key 'training.max-steps'; did you mean 'training.max_steps'?"},
    {"[training]\nfrobnicate = 8\n", "run.ini:6: unknown key 'training.frobnicate'"},
    // Whole numbers.
    {"lora.r = 0\n", "run.ini:5: lora.r = 0: expected a whole number, from 1 to 65536"},
    {"lora.r = -1\n", "run.ini:5: lora.r = -1: expected a whole number"},
    {"lora.r = 1e3\n", "run.ini:5: lora.r = 1e3: expected a whole number"},
    {"lora.r = 8.0\n", "run.ini:5: lora.r = 8.0: expected a whole number"},
    {"lora.r = 8 16\n", "run.ini:5: lora.r = 8 16: expected a whole number"},
    {"lora.r = 99999999999999999999\n", "run.ini:5: lora.r = 99999999999999999999: expected a whole number"},
    {"lora.r = \"8\"\n", "run.ini:5: lora.r = \"8\": expected a whole number"},
    {"training.max_steps = 0\n", "training.max_steps = 0: expected a whole number"},
    {"training.max_steps = none\n", ""},
    {"training.max_steps = all\n", "training.max_steps = all: expected a whole number, at least 1, or none"},
    {"training.seed = -1\n", "training.seed = -1: expected a whole number from 0 to 2^64 - 1"},
    {"training.global_batch_size = 0\n", "training.global_batch_size = 0: expected"},
    {"data.max_seq_length = 1\n", "data.max_seq_length = 1: expected a whole number, from 2"},
    {"evaluation.every = 0\n", ""},
    {"log.every = 0\n", "log.every = 0: expected a whole number"},
    {"checkpoint.keep = 0\n", "checkpoint.keep = 0: expected a whole number"},
    // Numbers.
    {"optimizer.learning_rate = nan\n", "run.ini:5: optimizer.learning_rate = nan: expected a number, at least 0"},
    {"optimizer.learning_rate = inf\n", "optimizer.learning_rate = inf: expected a number"},
    {"optimizer.learning_rate = -1e-4\n", "optimizer.learning_rate = -1e-4: expected a number"},
    {"optimizer.learning_rate = 2e-4 1\n", "optimizer.learning_rate = 2e-4 1: expected a number"},
    {"optimizer.learning_rate = 2,4\n", "optimizer.learning_rate = 2,4: expected a number"},
    {"optimizer.learning_rate = 1e400\n", "optimizer.learning_rate = 1e400: expected a number"},
    {"optimizer.learning_rate = 0\n", ""},
    {"optimizer.beta1 = 1\n", "optimizer.beta1 = 1: expected a number, from 0, below 1"},
    {"optimizer.max_grad_norm = 0\n", ""},
    {"optimizer.name = adamw_8bit\n", ""},
    {"optimizer.name = paged_adamw_8bit\n", ""},
    {"lora.dropout = 1\n", "lora.dropout = 1: expected a number, from 0, below 1"},
    {"lora.alpha = 0\n", "lora.alpha = 0: expected a number, above 0"},
    {"schedule.warmup_ratio = 3\n", "schedule.warmup_ratio = 3: expected a number, from 0 to 1, or none"},
    {"schedule.min_lr_ratio = 0.1\n", ""},
    {"training.epochs = 0\n", "training.epochs = 0: expected a number, above 0"},
    {"training.epochs = 0.5\n", ""},
    // Words.
    {"method.type = full\n", ""},
    {"method.type = lroa\n", "method.type = lroa: expected lora, full or qlora; did you mean 'lora'?"},
    {"model.dtype = bfloat16\n", "model.dtype = bfloat16: expected bf16, fp32, fp64 or fp16"},
    {"data.format = chatml\n", "data.format = chatml: expected auto, text"},
    {"data.packing = maybe\n", "data.packing = maybe: expected true or false"},
    {"data.overlong = truncate\n", "data.overlong = truncate: expected drop, cut or split"},
    {"schedule.type = Cosine\n", "schedule.type = Cosine: expected cosine, linear or constant; did you mean 'cosine'?"},
    {"optimizer.no_decay = norms\n", ""},
    {"optimizer.no_decay = norm\n", "optimizer.no_decay = norm: expected none, norms, biases"},
    {"output.dtype = model\n", ""},
    {"output.dtype = int8\n", "output.dtype = int8: expected model, bf16, fp32 or fp16"},
    // Bytes, times, lists.
    {"device.memory_limit = 24GiB\n", ""},
    {"device.memory_limit = 24 gigs\n", "device.memory_limit = 24 gigs: expected a number of bytes"},
    {"device.graphs = on\n", ""},
    {"device.graphs = true\n", "device.graphs = true: expected off or on"},
    {"watchdog.deadline = auto\n", ""},
    {"watchdog.deadline = soon\n", "watchdog.deadline = soon: expected a time"},
    {"lora.target_modules = q_proj,\n", "lora.target_modules = q_proj,: expected a comma-separated list"},
    {"lora.target_modules = all-linear,q_proj\n", "all-linear stands alone"},
    {"parallel.layers = 20,x\n", "parallel.layers = 20,x: expected auto, or the number of layers of each part"},
    {"parallel.layers = 20,0\n", "parallel.layers = 20,0: expected auto, or the number of layers of each part, from 1"},
    {"parallel.layers = 20,12\n", "parallel.layers = 20,12 has 2 of the 1 numbers"},
    // What this version does not build.
    {"method.type = qlora\n", ""},
    {"quantization.block_size = 96\n", "run.ini:5: quantization.block_size = 96: expected a power of two, 32 to 4096"},
    {"model.dtype = fp16\n",
     "run.ini:5: model.dtype = fp16 is not built for training, whose gradients would need dynamic loss scaling; use bf16"},
    {"output.dtype = fp16\nmethod.type = full\n", ""},
    {"offload.weights = host\n", "offload.weights = host is not built"},
    {"offload.optimizer = host\n", "offload.optimizer = host is not built"},
    {"offload.activations = host\n", "offload.activations = host is not built"},
    {"parallel.zero = 3\n", "parallel.zero = 3 is not built in this version of tandem; use 0, 1 or 2"},
    {"parallel.zero = 4\n", "parallel.zero = 4: expected a whole number, from 0 to 3"},
    {"device.backend = cuda\n", ""},  // what is there of CUDA is found out when the device is opened
    // Idle keys.
    {"parallel.zero = 0\nparallel.schedule = zb-h1\nquantization.block_size = 128\n", ""},
    // Values together.
    {"model.dtype = fp64\n", "model.dtype = fp64 needs device.backend = ref"},
    {"model.dtype = fp64\ndevice.backend = ref\n", ""},
    {"optimizer.name = adamw_8bit\nmodel.dtype = fp64\ndevice.backend = ref\n",
     "run.ini:5: optimizer.name = adamw_8bit updates fp32 weights; with model.dtype = fp64 use adamw or sgd"},
    {"optimizer.name = paged_adamw_8bit\nmodel.dtype = fp64\ndevice.backend = ref\n", "optimizer.name = paged_adamw_8bit updates fp32"},
    {"training.max_steps = 5\nschedule.warmup_steps = 6\n", ""},
    {"training.micro_batch_size = 32\n", "run.ini:5: training.micro_batch_size = 32 is more than training.global_batch_size = 16"},
    // Paths.
    {"lora.adapter = nowhere\n", "run.ini:5: lora.adapter = nowhere: does not exist"},
    {"lora.adapter = train.jsonl\n", "lora.adapter = train.jsonl: is not a directory"},
    {"checkpoint.resume = none\n", ""},
    {"checkpoint.resume = nowhere.h5\n", "checkpoint.resume = nowhere.h5: does not exist"},
    {"data.chat_template = adapter\n", "data.chat_template = adapter: is a directory, expected a file"},
    {"data.cache = train.jsonl\n", "data.cache = train.jsonl: is a file, expected a directory"},
};

TEST_F(Cases, EachIsAcceptedOrRefusedWithItsLine) {
    EXPECT_GE(std::size(kCases), 60U);
    for (const auto& [text, expected] : kCases) {
        const auto message = refusal(kMinimal + text);
        if (*expected == '\0') EXPECT_EQ(message, "") << text;
        else EXPECT_NE(message.find(expected), std::string::npos) << text << "found: " << message << "\nexpected: " << expected;
    }
}

TEST_F(Cases, CommandLineValuesAreRefusedAlike) {
    const auto message = [](const Override& override) { return refusal(kMinimal, {override}); };
    EXPECT_NE(message({"lora.r", "0"}).find("command line: lora.r = 0: expected a whole number"), std::string::npos);
    EXPECT_NE(message({"lora.rank", "8"}).find("command line: unknown key 'lora.rank'; did you mean 'lora.r'?"), std::string::npos);
    EXPECT_NE(message({"lora.r", ""}).find("command line: lora.r has no value"), std::string::npos);
    EXPECT_NE(message({"model.path", "train.jsonl"}).find("model.path = train.jsonl: is a file, expected a Hugging Face"),
              std::string::npos);
    EXPECT_EQ(message({"model.path", "model.gguf"}), "");
    EXPECT_NE(message({"model.path", "nowhere"}).find("command line: model.path = nowhere: does not exist"), std::string::npos);
    EXPECT_NE(message({"data.train", "gone.jsonl"}).find("command line: data.train = gone.jsonl: does not exist"), std::string::npos);
    EXPECT_NE(message({"output.dir", "train.jsonl"}).find("output.dir = train.jsonl: is a file"), std::string::npos);
    EXPECT_NE(refusal(kMinimal, {{"lora.r", "8"}, {"lora.r", "9"}}).find("--lora.r is given twice"), std::string::npos);
    EXPECT_EQ(message({"data.train", "parts/*.jsonl"}), "");
}

}  // namespace
}  // namespace tandem
