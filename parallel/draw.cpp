#include "parallel/draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/base/error.h"

namespace tandem {
namespace {

struct Sign {
    Op op;
    char sign;
    std::string_view meaning;
};

constexpr std::array<Sign, kOps> kSigns = {{{Op::ReceiveForward, '<', "receive"},
                                            {Op::Forward, 'F', "forward"},
                                            {Op::SendForward, '>', "send"},
                                            {Op::Recompute, 'R', "recompute"},
                                            {Op::ReceiveBackward, '<', "receive"},
                                            {Op::Backward, 'B', "backward"},
                                            {Op::BackwardInput, 'I', "gradient of the input"},
                                            {Op::BackwardWeight, 'W', "gradients of weights"},
                                            {Op::SendBackward, '>', "send"},
                                            {Op::Reduce, '+', "reduce"},
                                            {Op::Clip, 'c', "clip"},
                                            {Op::Update, 'U', "update"},
                                            {Op::Gather, 'G', "gather"}}};

const Sign& sign_of(Op op) { return kSigns.at(static_cast<std::size_t>(op)); }

std::string trimmed(std::string row) {
    row.erase(row.find_last_not_of(' ') + 1);
    return row;
}

struct Rows {
    std::string op, micro_batch, chunk;
};

Rows rows_of(const Program& program, const std::vector<TimeSpan>& spans, double seconds, int width) {
    const auto columns = static_cast<std::size_t>(width);
    Rows rows{std::string(columns, '.'), std::string(columns, ' '), std::string(columns, ' ')};
    for (std::size_t c = 0, i = 0; c < columns; ++c) {
        const double time = (static_cast<double>(c) + 0.5) * seconds / width;
        while (i < spans.size() && spans[i].end <= time) ++i;
        if (i == spans.size()) break;
        if (spans[i].start > time) continue;
        rows.op[c] = sign_of(program[i].op).sign;
        if (!has_slot(program[i].op)) continue;
        rows.micro_batch[c] = static_cast<char>('0' + program[i].micro_batch % 10);
        rows.chunk[c] = static_cast<char>('a' + program[i].chunk);
    }
    return rows;
}

}  // namespace

std::string draw(const std::vector<Program>& programs, const Timeline& timeline, int width) {
    require(width >= 10, "a drawing of {} columns", width);
    require(programs.size() == timeline.spans.size(), "{} programs and a timeline of {} ranks", programs.size(), timeline.spans.size());
    bool chunks = false;
    for (const auto& i : programs.at(0)) chunks = chunks || i.chunk > 0;
    std::string picture, seen;
    for (std::size_t rank = 0; rank < programs.size(); ++rank) {
        const Rows rows = rows_of(programs[rank], timeline.spans[rank], timeline.seconds, width);
        const auto margin = fmt::format("stage {:<3}", rank);
        picture += fmt::format("{} {}\n", margin, rows.op);
        picture += trimmed(fmt::format("{:{}} {}", "", margin.size(), rows.micro_batch)) + '\n';
        if (chunks) picture += trimmed(fmt::format("{:{}} {}", "", margin.size(), rows.chunk)) + '\n';
        seen += rows.op;
    }
    std::string legend;
    for (const auto& sign : kSigns) {
        const bool first = std::ranges::find(kSigns, sign.sign, &Sign::sign)->op == sign.op;
        if (first && seen.find(sign.sign) != std::string::npos) legend += fmt::format("{} {}, ", sign.sign, sign.meaning);
    }
    picture += fmt::format("{}. idle; below: micro-batch{}\n", legend, chunks ? ", chunk" : "");
    picture += fmt::format("step {:.4g} s, a column {:.3g} s, bubble {:.1f} % of computing\n", timeline.seconds, timeline.seconds / width,
                           100 * timeline.bubble());
    return picture;
}

}  // namespace tandem
