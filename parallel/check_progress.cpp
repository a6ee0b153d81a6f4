#include <deque>
#include <map>

#include "kernels/base/error.h"
#include "parallel/check.h"

namespace tandem {
namespace {

class Progress {
public:
    Progress(const std::vector<Program>& programs, int outbox)
        : programs_(programs), stages_(static_cast<int>(programs.size())), outbox_(outbox), at_(programs.size()) {}

    void run() {
        for (bool moved = true; moved;) {
            moved = false;
            for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
                while (at_[rank] < programs_[rank].size() && step(static_cast<int>(rank), programs_[rank][at_[rank]])) {
                    ++at_[rank];
                    moved = true;
                }
            }
        }
        for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
            if (at_[rank] < programs_[rank].size()) fail(Failure::Run, "the pipeline's ranks wait for each other: {}", places());
        }
        for (const auto& [link, messages] : under_way_) {
            if (!messages.empty())
                fail(Failure::Run, "rank {} sends {}, which rank {} never receives", link.from, text(link.from, messages.front()), link.to);
        }
    }

private:
    struct Link {
        int from = 0, to = 0;
        bool forward = true;
        friend auto operator<=>(const Link&, const Link&) = default;
    };

    /// Whether rank can take this step now; if so, takes it.
    bool step(int rank, const Instruction& i) {
        if (!is_message(i.op)) return true;
        if (i.peer < 0 || i.peer >= stages_) fail(Failure::Run, "rank {}: {} has no peer {}", rank, text(rank, i), i.peer);
        const bool forward = i.op == Op::SendForward || i.op == Op::ReceiveForward;
        if (is_send(i.op)) {
            auto& busy = busy_[{rank, forward}];
            if (busy == outbox_) return false;
            ++busy;
            under_way_[{rank, i.peer, forward}].push_back(i);
            return true;
        }
        auto& messages = under_way_[{i.peer, rank, forward}];
        if (messages.empty()) return false;
        const auto& sent = messages.front();
        if (sent.micro_batch != i.micro_batch || sender_chunk(rank, i, forward) != sent.chunk) {
            fail(Failure::Run, "rank {} is at {} when rank {} has sent {}", rank, text(rank, i), i.peer, text(i.peer, sent));
        }
        messages.pop_front();
        --busy_[{i.peer, forward}];
        return true;
    }
    /// The last rank's next part is rank 0's next chunk.
    [[nodiscard]] int sender_chunk(int receiver, const Instruction& i, bool forward) const {
        if (forward) return receiver == 0 ? i.chunk - 1 : i.chunk;
        return receiver == stages_ - 1 ? i.chunk + 1 : i.chunk;
    }
    [[nodiscard]] std::string text(int rank, const Instruction& i) const { return to_text(i, programs_[static_cast<std::size_t>(rank)]); }
    [[nodiscard]] std::string places() const {
        std::string list;
        for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
            if (!list.empty()) list += ", ";
            const bool done = at_[rank] == programs_[rank].size();
            list += fmt::format("rank {} {}", rank,
                                done ? std::string("has ended")
                                     : fmt::format("at {} (instruction {} of {})", text(static_cast<int>(rank), programs_[rank][at_[rank]]),
                                                   at_[rank], programs_[rank].size()));
        }
        return list;
    }

    const std::vector<Program>& programs_;
    int stages_;
    int outbox_;
    std::vector<std::size_t> at_;
    std::map<Link, std::deque<Instruction>> under_way_;
    std::map<std::pair<int, bool>, int> busy_;
};

}  // namespace

void check_progress(const std::vector<Program>& programs, int outbox) {
    require(outbox >= 1, "an outbox of {} messages", outbox);
    Progress(programs, outbox).run();
}

}  // namespace tandem
