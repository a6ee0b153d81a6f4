// The pass that says when a bucket's gradients are complete.
#include <map>

#include "parallel/lowering.h"

namespace tandem::passes {
namespace {

/// Units of an instruction in the order in which they are computed.
std::vector<int> in_order(const Instruction& i) {
    std::vector<int> units;
    for (int k = 0; k < i.units.count(); ++k) units.push_back(i.op == Op::BackwardWeight ? i.units.first + k : i.units.last - 1 - k);
    return units;
}

class Reducer {
public:
    Reducer(const Program& program, const PipelineShape& shape, int rank, const Lowering& lowering)
        : program_(program), shape_(shape), rank_(rank), lowering_(lowering) {
        for (std::size_t index = 0; index < program.size(); ++index) {
            if (!writes_weights(program[index].op)) continue;
            for (const int unit : in_order(program[index])) {
                for (const int bucket : lowering.buckets_of(unit)) last_[key(bucket, program[index])] = {index, unit};
            }
        }
    }

    Program run() {
        for (std::size_t index = 0; index < program_.size(); ++index) {
            const auto& i = program_[index];
            if (writes_weights(i.op)) split(index);
            else out_.push_back(i);
            if (i.op == Op::SendBackward) release();
        }
        return std::move(out_);
    }

private:
    using Place = std::pair<std::size_t, int>;  ///< instruction, unit
    using Key = std::pair<int, int>;            ///< bucket and, where every micro-batch is reduced, which

    [[nodiscard]] Key key(int bucket, const Instruction& i) const {
        return {bucket, lowering_.reduction == ReduceMoment::Each ? i.micro_batch : 0};
    }
    void split(std::size_t index) {
        const auto& i = program_[index];
        // The part before waits for the gradient; the data ranks meet once it is on its way.
        const bool hold =
            lowering_.reduction == ReduceMoment::Last && i.op == Op::Backward && lowering_.sends_gradient(shape_.part(rank_, i.chunk));
        Instruction piece = i;
        int pending = 0;
        for (const int unit : in_order(i)) {
            if (pending++ == 0) piece.units = {unit, unit + 1};
            piece.units = {std::min(piece.units.first, unit), std::max(piece.units.last, unit + 1)};
            for (const int bucket : lowering_.buckets_of(unit)) {
                if (last_.at(key(bucket, i)) != Place(index, unit)) continue;
                if (!hold && pending > 0) {
                    out_.push_back(piece);
                    pending = 0;
                }
                held_.push_back(reduce(i, bucket));
                if (!hold) release();
            }
        }
        if (pending > 0) out_.push_back(piece);
    }
    static Instruction reduce(const Instruction& after, int bucket) {
        Instruction i;
        i.op = Op::Reduce;
        i.chunk = after.chunk;
        i.micro_batch = after.micro_batch;
        i.bucket = bucket;
        return i;
    }
    void release() {
        out_.insert(out_.end(), held_.begin(), held_.end());
        held_.clear();
    }

    const Program& program_;
    const PipelineShape& shape_;
    int rank_;
    const Lowering& lowering_;
    std::map<Key, Place> last_;
    Program held_, out_;
};

}  // namespace

Program insert_reductions(const Program& program, const PipelineShape& shape, int rank, const Lowering& lowering) {
    return Reducer(program, shape, rank, lowering).run();
}

}  // namespace tandem::passes
