// walk [--full] [--resume] [--only TEXT] [--table FILE] [--references DIR]: trains the cases of the matrix one after another on the ranks
// it is started with (8 for all of it), compares each with one rank's result, prints a row a case, and fails if any is out of bounds.
//   --full        every combination for just so many ranks rather than every pair of settings for up to so many
//   --resume      instead: two of three steps by one layout, the last by another, for all (or some) pairs of layouts
//   --only        of all combinations, those whose name, "SUBJECT; LAYOUT" as in the rows, contains TEXT, or each part of "TEXT + TEXT"
//   --references  keep one rank's results there, and take those that are there
//   --backend     what computes the cases (cpu); cuda has no fp64, and computes those in fp32. One rank's results are the cpu's
//   --every       of the cases that are left, the first and then every that many
//   --models      where tests/invariance/models is
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "tests/invariance/matrix_run.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

struct Options {
    bool full = false, resume = false;
    std::string only, table, backend = "cpu";
    fs::path references, models = source_directory() / "tests/invariance/models";
    int every = 1;
};

Options parse(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--full") o.full = true;
        else if (word == "--resume") o.resume = true;
        else if (word == "--only" && i + 1 < argc) o.only = argv[++i];
        else if (word == "--table" && i + 1 < argc) o.table = argv[++i];
        else if (word == "--references" && i + 1 < argc) o.references = argv[++i];
        else if (word == "--backend" && i + 1 < argc) o.backend = argv[++i];
        else if (word == "--every" && i + 1 < argc) o.every = std::max(1, std::atoi(argv[++i]));
        else if (word == "--models" && i + 1 < argc) o.models = argv[++i];
        else fail(Failure::Configuration, "unknown option {}", word);
    }
    return o;
}

/// The result of one rank, and what it started from.
struct Reference {
    MatrixResult result;
    HostTensors start;
};

class Walk {
public:
    Walk(Runtime& runtime, Options options) : runtime_(runtime), options_(std::move(options)), place_{runtime, options_.models} {
        std::string directory;
        if (runtime.rank() == 0) {
            std::string pattern = (fs::temp_directory_path() / "tandem-walk-XXXXXX").string();
            require(mkdtemp(pattern.data()) != nullptr, "{}: cannot be made", pattern);
            directory = pattern;
        }
        runtime.world().broadcast(directory, 0);
        root_ = directory;
    }

    int run() {
        const auto start = std::chrono::steady_clock::now();
        if (options_.resume) resume_pairs();
        else matrix();
        say(fmt::format("{} cases, {} out of bounds, {:.0f} s", cases_, failed_,
                        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()));
        for (const auto& [precision, worst] : worst_) {
            say(fmt::format("largest differences in {}: loss {:.1e}, norm {:.1e}, update {:.1e}", precision, worst.loss, worst.norm,
                            worst.update));
        }
        if (runtime_.rank() == 0) fs::remove_all(root_);
        std::array<std::int64_t, 1> failed = {failed_};
        runtime_.world().max(failed);
        return failed[0] == 0 && cases_ > 0 ? 0 : 1;
    }

private:
    void matrix() {
        auto cases = whole_matrix(runtime_.size());
        if (!options_.full && options_.only.empty()) cases = pairwise(cases);
        const auto spots = spot_checks(runtime_.size());
        cases.insert(cases.end(), spots.begin(), spots.end());
        if (options_.full) std::erase_if(cases, [&](const MatrixCase& c) { return c.layout.ranks() != runtime_.size(); });
        int met = 0;
        for (const MatrixCase& c : cases) {
            if (skip(name(c.subject) + "; " + name(c.layout)) || met++ % options_.every != 0) continue;
            MatrixSubject subject = c.subject;
            if (options_.backend == "cuda" && subject.precision == Precision::Fp64) subject.precision = Precision::Fp32;
            const Reference& want = reference(subject);
            const std::string output = fresh("case");
            subject.backend = options_.backend;
            train_case(place_, subject, c.layout, output);
            judge(subject, name(c.layout), output, want);
        }
    }

    /// Layouts of every shape, one of the other settings each.
    [[nodiscard]] std::vector<MatrixLayout> shapes() const {
        std::vector<MatrixLayout> list;
        const char* schedules[] = {"1f1b", "zb-h1", "gpipe"};
        for (const MatrixCase& c : whole_matrix(runtime_.size())) {
            const MatrixLayout& l = c.layout;
            const bool known = std::any_of(list.begin(), list.end(), [&](const MatrixLayout& k) {
                return k.data == l.data && k.tensor == l.tensor && k.pipeline == l.pipeline;
            });
            if (known) continue;
            list.push_back(l);
            const std::size_t n = list.size();
            list.back().zero = l.data > 1 ? static_cast<int>(n % 3) : 2;
            list.back().schedule = l.pipeline > 1 ? schedules[n % 3] : "1f1b";
            list.back().micro_batch = l.data == 4 ? 1 : 1 + static_cast<int>(n % 2);
            list.back().by_hand = l.pipeline > 1 && n % 4 == 1;
        }
        return list;
    }

    void resume_pairs() {
        const auto layouts = shapes();
        for (std::size_t a = 0; a < layouts.size(); ++a) {
            const MatrixSubject subject{.method = static_cast<MatrixMethod>(a / 3 % 3),
                                        .tied = a % 3 == 0,
                                        .packed = a % 4 == 3,
                                        .sgd = a % 6 == 5,
                                        .precision = a % 5 == 1 ? Precision::Fp64 : Precision::Fp32,
                                        .batch = 12};
            const std::string first = fresh("first");
            bool trained = false;
            for (std::size_t b = 0; b < layouts.size(); ++b) {
                // Without --full every layout saves once and resumes once.
                if (!options_.full && b != (a * 7 + 3) % layouts.size()) continue;
                const std::string label = fmt::format("{} -> {}", name(layouts[a]), name(layouts[b]));
                if (skip(label)) continue;
                const Reference& want = reference(subject);
                if (!trained) train_case(place_, subject, layouts[a], first, {"--checkpoint.every", "2", "--checkpoint.keep", "4"});
                trained = true;
                const std::string second = fresh("second");
                if (runtime_.rank() == 0) {
                    fs::create_directories(second);
                    fs::copy(first + "/log.jsonl", second);
                }
                runtime_.world().barrier();
                train_case(place_, subject, layouts[b], second, {"--checkpoint.resume", first + "/checkpoints/step-2.h5"});
                judge(subject, label, second, want);
            }
        }
    }

    [[nodiscard]] bool skip(const std::string& label) const {
        for (std::size_t first = 0; first <= options_.only.size();) {
            const std::size_t end = std::min(options_.only.find(" + ", first), options_.only.size());
            if (label.find(options_.only.substr(first, end - first)) == std::string::npos) return true;
            first = end + 3;
        }
        return false;
    }

    /// An empty directory's name, the same on every rank.
    std::string fresh(const std::string& what) {
        const std::string path = (root_ / fmt::format("{}{}", what, made_ % 4)).string();
        ++made_;
        runtime_.world().barrier();
        if (runtime_.rank() == 0) fs::remove_all(path);
        runtime_.world().barrier();
        return path;
    }

    const Reference& reference(const MatrixSubject& subject) {
        auto& known = references_[subject];
        if (known) return *known;
        known.emplace();
        const fs::path kept = (options_.references.empty() ? root_ / "references" : options_.references) / name(subject);
        const std::string start = kept / "start", result = kept / "result";
        const fs::path complete = kept / "complete";
        runtime_.world().barrier();
        if (!fs::exists(complete)) {
            MatrixSubject still = subject;
            still.sgd = false;  // whose learning rate is its own
            train_case(place_, still, {}, start, {"--optimizer.learning_rate", "0", "--training.max_steps", "1"});
            train_case(place_, subject, {}, result);
            if (runtime_.rank() == 0) std::ofstream(complete).put('\n');
            runtime_.world().barrier();
        }
        if (runtime_.rank() == 0) *known = {read_result(subject, result), read_result(subject, start).weights};
        return *known;
    }

    void judge(const MatrixSubject& subject, const std::string& label, const std::string& output, const Reference& want) {
        ++cases_;
        if (runtime_.rank() != 0) return;
        const Deviation d = compare(read_result(subject, output), want.result, want.start);
        const bool good = within(d, bounds_of(subject));
        if (!good) ++failed_;
        Deviation& worst = worst_[precision_name(subject.precision)];
        worst = {std::max(worst.loss, d.loss), std::max(worst.norm, d.norm), std::max(worst.update, d.update), worst.other || d.other};
        say(fmt::format("{} | {} | {} | loss {:.1e} | norm {:.1e} | update {:.1e}{}", good ? "ok  " : "FAIL", name(subject), label, d.loss,
                        d.norm, d.update, d.other ? " | counts differ" : ""));
    }

    void say(const std::string& line) {
        if (runtime_.rank() != 0) return;
        fmt::print("{}\n", line);
        std::fflush(stdout);
        if (options_.table.empty()) return;
        std::ofstream(options_.table, cases_ <= 1 ? std::ios::trunc : std::ios::app) << line << "\n";
    }

    Runtime& runtime_;
    Options options_;
    MatrixPlace place_;
    fs::path root_;
    std::map<MatrixSubject, std::optional<Reference>> references_;
    std::map<std::string, Deviation> worst_;
    int made_ = 0, cases_ = 0, failed_ = 0;
};

}  // namespace
}  // namespace tandem::test

int main(int argc, char** argv) {
    try {
        tandem::Runtime runtime;
        return tandem::run_ranks(runtime, [&] { return tandem::test::Walk(runtime, tandem::test::parse(argc, argv)).run(); });
    } catch (const std::exception& error) {
        return tandem::report_start_failure(error);
    }
}
