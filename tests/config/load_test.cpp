// What configurations mean: values reach their fields, the command line wins, ranks are laid out.
#include "tests/config/config_fixture.h"

namespace tandem {
namespace {

class Load : public ConfigFixture {};

TEST_F(Load, ValuesReachTheirFields) {
    const auto config = parse(
        "\xEF\xBB\xBF# a comment\r\n[model]\r\npath = model # the model\r\ninit=random\r\ndtype\t=\tfp32\r\n"
        "[ data ]\r\ntrain = train.jsonl , parts/*.jsonl\r\nvalidation = held.jsonl\r\nformat = sharegpt\r\ntrain_on = all\r\noverlong = "
        "split\r\npacking = No\r\nchat_template = template.jinja\r\n"
        "[lora]\r\nr = 8\r\nalpha = 16.5\r\ntarget_modules = q_proj,v_proj\r\nrslora = TRUE\r\nadapter = adapter\r\n"
        "[training]\r\nmax_steps = 10\r\nseed = 18446744073709551615\r\nnonfinite = skip\r\nrecompute = full\r\n"
        "[optimizer]\r\nname = sgd\r\nlearning_rate = 1e-3\r\nno_decay = norms, biases\r\n"
        "[schedule]\r\ntype = linear\r\nwarmup_ratio = 0.03\r\n[parallel]\r\ndata = 4\r\nlayers = 30\r\n"
        "[checkpoint]\r\nresume = adapter\r\nminutes = 0\r\n[output]\r\ndir = out#1\r\ndtype = fp32\r\n"
        "[device]\r\nmemory_limit = 24GiB\r\nthreads = 2\r\nbackend = ref\r\n[watchdog]\r\ndeadline = 2min");
    EXPECT_EQ(config.model.path, "model");
    EXPECT_EQ(config.model.init, ModelInit::Random);
    EXPECT_EQ(config.model.dtype, DType::F32);
    EXPECT_EQ(config.data.train, (std::vector<std::string>{"train.jsonl", "parts/*.jsonl"}));
    EXPECT_EQ(config.data.format, DataFormat::ShareGpt);
    EXPECT_EQ(config.data.train_on, TrainOn::All);
    EXPECT_EQ(config.data.overlong, Overlong::Split);
    EXPECT_FALSE(config.data.packing);
    EXPECT_EQ(config.data.chat_template, "template.jinja");
    EXPECT_EQ(config.lora.r, 8);
    EXPECT_EQ(config.lora.alpha, 16.5);
    EXPECT_EQ(config.lora.target_modules, (std::vector<std::string>{"q_proj", "v_proj"}));
    EXPECT_TRUE(config.lora.rslora);
    EXPECT_EQ(config.lora.adapter, "adapter");
    EXPECT_EQ(config.training.max_steps, 10);
    EXPECT_EQ(config.training.seed, 18446744073709551615U);
    EXPECT_EQ(config.training.nonfinite, NonFinite::Skip);
    EXPECT_EQ(config.training.recompute, Recompute::Full);
    EXPECT_EQ(config.optimizer.name, OptimizerName::Sgd);
    EXPECT_EQ(config.optimizer.learning_rate, 1e-3);
    EXPECT_TRUE(config.optimizer.no_decay_norms && config.optimizer.no_decay_biases);
    EXPECT_EQ(config.schedule.type, ScheduleType::Linear);
    EXPECT_EQ(config.schedule.warmup_ratio, 0.03);
    EXPECT_EQ(config.parallel.data, 4);
    EXPECT_EQ(config.parallel.layers, (std::vector<std::int64_t>{30}));
    EXPECT_EQ(config.checkpoint.resume, Resume::Path);
    EXPECT_EQ(config.checkpoint.resume_path, "adapter");
    EXPECT_EQ(config.checkpoint.minutes, 0);
    EXPECT_EQ(config.output.dir, "out#1");
    EXPECT_EQ(config.output.dtype, DType::F32);
    EXPECT_EQ(config.device.memory_limit, 24ULL << 30U);
    EXPECT_EQ(config.device.threads, 2);
    EXPECT_EQ(config.device.backend, DeviceBackend::Ref);
    EXPECT_EQ(config.watchdog.deadline, 120);
    EXPECT_EQ(config.origin("data.train"), "run.ini:7");
}

TEST_F(Load, DefaultsAreTheContracts) {
    const auto config = parse(kMinimal);
    EXPECT_EQ(config.model.dtype, DType::BF16);
    EXPECT_EQ(config.method.type, Method::Lora);
    EXPECT_EQ(config.lora.r, 16);
    EXPECT_EQ(config.lora.alpha, 32);
    EXPECT_EQ(config.lora.dropout, 0);
    EXPECT_EQ(config.lora.target_modules, (std::vector<std::string>{"all-linear"}));
    EXPECT_EQ(config.data.max_seq_length, 1024);
    EXPECT_TRUE(config.data.packing && config.data.shuffle);
    EXPECT_FALSE(config.training.max_steps.has_value());
    EXPECT_EQ(config.training.epochs, 1);
    EXPECT_EQ(config.training.global_batch_size, 16);
    EXPECT_EQ(config.training.micro_batch_size, 1);
    EXPECT_EQ(config.training.seed, 42U);
    EXPECT_EQ(config.optimizer.learning_rate, 2e-4);
    EXPECT_EQ(config.optimizer.beta2, 0.999);
    EXPECT_EQ(config.optimizer.eps, 1e-8);
    EXPECT_EQ(config.optimizer.max_grad_norm, 1);
    EXPECT_EQ(config.checkpoint.keep, 2);
    EXPECT_EQ(config.checkpoint.minutes, 30);
    EXPECT_EQ(config.parallel.zero, 2);
}

TEST_F(Load, TheCommandLineWinsAndSaysSo) {
    const auto config = parse(kMinimal + "lora.r = 8\n", {{"lora.r", "4"}, {"training.max_steps", " 7 "}});
    EXPECT_EQ(config.lora.r, 4);
    EXPECT_EQ(config.training.max_steps, 7);
    EXPECT_EQ(config.origin("lora.r"), "command line");
    EXPECT_TRUE(config.given("training.max_steps"));
    EXPECT_FALSE(config.given("lora.alpha"));
    // A value that is only refused in the end may be replaced before.
    EXPECT_EQ(refusal(kMinimal + "method.type = qlora\n", {{"method.type", "lora"}}), "");
}

TEST_F(Load, EachSubcommandNeedsItsKeys) {
    EXPECT_NE(refusal("[data]\ntrain = train.jsonl\n[output]\ndir = o\n").find("run.ini: model.path is missing"), std::string::npos);
    EXPECT_NE(refusal("[model]\npath = model\n[output]\ndir = o\n").find("data.train is missing"), std::string::npos);
    EXPECT_NE(refusal("[model]\npath = model\n[data]\ntrain = train.jsonl\n").find("output.dir is missing"), std::string::npos);
    EXPECT_EQ(refusal("model.path = model\ndata.validation = held.jsonl\ndata.cache = c\n", {}, Purpose::Eval), "");
    EXPECT_NE(refusal("model.path = model\ndata.validation = held.jsonl\n", {}, Purpose::Eval).find("output.dir is missing"),
              std::string::npos);
    EXPECT_NE(refusal("model.path = model\n", {}, Purpose::Eval).find("data.validation is missing"), std::string::npos);
    EXPECT_EQ(refusal("model.path = model\ndata.train = train.jsonl\ndata.cache = c\n", {}, Purpose::Prepare), "");
    EXPECT_NE(refusal("data.train = train.jsonl\ndata.cache = c\n", {}, Purpose::Prepare).find("model.path is missing"), std::string::npos);
}

TEST_F(Load, Fp16IsForSubcommandsThatDoNotTrain) {
    const std::string text = kMinimal + "model.dtype = fp16\n";
    for (const Purpose purpose : {Purpose::Eval, Purpose::Prepare}) EXPECT_EQ(refusal(text, {}, purpose), "");
    for (const Purpose purpose : {Purpose::Train, Purpose::Plan}) {
        const std::string said = refusal(text, {}, purpose);
        for (const char* part :
             {"model.dtype = fp16 is not built for training", "loss scaling", "bf16 or fp32", "eval and generate take fp16"})
            EXPECT_NE(said.find(part), std::string::npos) << said;
    }
}

TEST_F(Load, RanksAreLaidOutAndTheBatchIsCut) {
    const auto config = parse(kMinimal + "training.global_batch_size = 24\ntraining.micro_batch_size = 2\n");
    for (const auto& [ranks, accumulation] : std::vector<std::pair<int, int>>{{1, 12}, {2, 6}, {3, 4}, {4, 3}, {6, 2}, {12, 1}}) {
        const auto layout = resolve_layout(config, ranks, Purpose::Train);
        EXPECT_EQ(layout.data, ranks);
        EXPECT_EQ(layout.tensor * layout.pipeline, 1);
        EXPECT_EQ(layout.accumulation, accumulation);
    }
    EXPECT_EQ(resolve_layout(config, 5, Purpose::Eval).data, 5);
    try {
        (void)resolve_layout(config, 5, Purpose::Train);
        FAIL() << "24 does not divide by 2 x 5";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        EXPECT_NE(std::string(error.what()).find("run.ini:5: training.global_batch_size = 24"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("2 x 5 = 10; use 20 or 30"), std::string::npos) << error.what();
    }
}

TEST_F(Load, ALayoutMustFitTheJob) {
    const auto config = parse(kMinimal + "parallel.data = 4\n");
    EXPECT_EQ(resolve_layout(config, 4, Purpose::Train).data, 4);
    EXPECT_THROW((void)resolve_layout(config, 2, Purpose::Train), Error);
}

TEST_F(Load, FilesThatAreNoConfiguration) {
    const auto message = [](const std::string& path) -> std::string {
        try {
            (void)load_run_config(path, {}, Purpose::Train);
            return "";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration);
            return error.what();
        }
    };
    std::ofstream("binary.ini") << std::string(16, '\0');
    std::ofstream("large.ini") << std::string((1U << 20U) + 1, '#');
    std::ofstream("good.ini") << kMinimal;
    EXPECT_NE(message("missing.ini").find("missing.ini: cannot open"), std::string::npos);
    EXPECT_NE(message("model").find("model: is a directory"), std::string::npos);
    EXPECT_NE(message("binary.ini").find("binary.ini: is not a configuration file"), std::string::npos);
    EXPECT_NE(message("large.ini").find("large.ini: is not a configuration file"), std::string::npos);
    EXPECT_EQ(message("good.ini"), "");
}

}  // namespace
}  // namespace tandem
