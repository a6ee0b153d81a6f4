#include "parallel/simulate.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "kernels/base/error.h"

namespace tandem {
namespace {

class Simulation {
public:
    Simulation(const std::vector<Program>& programs, const Costs& costs) : programs_(programs), costs_(costs), clock_(programs.size()) {
        timeline_.spans.resize(programs.size());
        timeline_.busy.resize(programs.size());
    }

    Timeline run() {
        for (bool moved = true; moved;) {
            moved = false;
            for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
                while (at(rank) < programs_[rank].size() && step(rank, programs_[rank][at(rank)])) moved = true;
            }
        }
        for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
            require(at(rank) == programs_[rank].size(), "the programs do not end: rank {} waits at {}", rank,
                    at(rank) < programs_[rank].size() ? to_text(programs_[rank][at(rank)], programs_[rank]) : "the end");
        }
        timeline_.seconds = *std::ranges::max_element(clock_);
        return std::move(timeline_);
    }

private:
    struct Link {
        std::vector<double> sent;      ///< when each message can be received
        std::vector<double> received;  ///< when each was
    };
    using Direction = std::pair<int, bool>;  ///< sender, forward: each has one receiver

    [[nodiscard]] std::size_t at(std::size_t rank) const { return timeline_.spans[rank].size(); }

    bool step(std::size_t rank, const Instruction& i) {
        if (i.op == Op::Clip) return clip(rank, i);
        const int me = static_cast<int>(rank);
        if (!is_message(i.op)) {
            work(rank, i, clock_[rank]);
            return true;
        }
        const bool forward = i.op == Op::SendForward || i.op == Op::ReceiveForward;
        if (is_send(i.op)) {
            Link& link = links_[{me, forward}];
            const std::size_t number = link.sent.size();
            const auto outbox = static_cast<std::size_t>(costs_.outbox);
            if (number >= outbox && link.received.size() <= number - outbox) return false;
            work(rank, i, std::max(clock_[rank], number >= outbox ? link.received[number - outbox] : 0));
            link.sent.push_back(std::max(clock_[rank], number > 0 ? link.sent.back() : 0) + costs_.message_seconds(me, i));
            return true;
        }
        Link& link = links_[{i.peer, forward}];
        const std::size_t number = link.received.size();
        if (link.sent.size() <= number) return false;
        work(rank, i, std::max(clock_[rank], link.sent[number]));
        link.received.push_back(clock_[rank]);
        return true;
    }
    /// Where all ranks meet: the last one to come takes all of them on.
    bool clip(std::size_t rank, const Instruction& i) {
        for (std::size_t r = 0; r < programs_.size(); ++r) {
            const bool there = at(r) < programs_[r].size() && programs_[r][at(r)].op == Op::Clip;
            if (!there && !met_) return false;
        }
        if (!met_) met_ = *std::ranges::max_element(clock_);
        work(rank, i, *met_);
        return true;
    }
    void work(std::size_t rank, const Instruction& i, double start) {
        const double seconds = costs_.seconds(static_cast<int>(rank), i);
        require(seconds >= 0, "{} takes {} s", to_text(i), seconds);
        clock_[rank] = start + seconds;
        timeline_.spans[rank].push_back({start, clock_[rank]});
        timeline_.busy[rank][static_cast<std::size_t>(i.op)] += seconds;
    }

    const std::vector<Program>& programs_;
    const Costs& costs_;
    std::vector<double> clock_;
    std::map<Direction, Link> links_;
    std::optional<double> met_;
    Timeline timeline_;
};

bool is_computing(Op op) { return op == Op::Forward || op == Op::Recompute || op == Op::BackwardInput || writes_weights(op); }

}  // namespace

Costs uniform_costs(const UnitSeconds& unit) {
    Costs costs;
    costs.seconds = [unit](int, const Instruction& i) {
        const double n = i.units.count();
        switch (i.op) {
            case Op::Forward: return n * unit.forward;
            case Op::Recompute: return n * unit.recompute;
            case Op::Backward: return n * (unit.input + unit.weight);
            case Op::BackwardInput: return n * unit.input;
            case Op::BackwardWeight: return n * unit.weight;
            default: return 0.0;
        }
    };
    costs.message_seconds = [unit](int, const Instruction&) { return unit.message; };
    return costs;
}

double Timeline::busy_seconds(int rank) const {
    const auto& by_op = busy.at(static_cast<std::size_t>(rank));
    return std::accumulate(by_op.begin(), by_op.end(), 0.0);
}

double Timeline::bubble() const {
    double idle = 0, computing = 0;
    for (std::size_t rank = 0; rank < busy.size(); ++rank) {
        idle += idle_seconds(static_cast<int>(rank));
        for (int op = 0; op < kOps; ++op) computing += is_computing(static_cast<Op>(op)) ? busy[rank][static_cast<std::size_t>(op)] : 0;
    }
    return computing > 0 ? idle / computing : 0;
}

Timeline simulate(const std::vector<Program>& programs, const Costs& costs) {
    require(!programs.empty() && costs.seconds && costs.message_seconds && costs.outbox >= 1, "a simulation of {} ranks without costs",
            programs.size());
    return Simulation(programs, costs).run();
}

}  // namespace tandem
