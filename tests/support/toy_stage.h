// A model so small that a step is exact: integers modulo a prime, one weight a unit. What any pipeline makes of it must equal the plain
// loop to the last digit, whatever the order of sums.
//   unit 0        x = w t                  (tokens t)
//   layer u       y = (w x)^2 + x          h = w x is what recomputation brings back
//   last unit     loss = sum w x g         (targets g); its forward forms the gradient as well
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/lowering.h"
#include "parallel/stage.h"

namespace tandem::test {

using Values = std::vector<std::int64_t>;

struct ToyModel {
    int units = 3;
    bool tied = false;              ///< the last unit's weight is unit 0's
    std::vector<int> trained = {};  ///< buckets

    [[nodiscard]] Values first_weights() const;
    /// Tokens or targets of a micro-batch of the step, of several lengths, 0 among them.
    [[nodiscard]] static Values tokens(std::int64_t step, int micro_batch);
    [[nodiscard]] static Values targets(std::int64_t step, int micro_batch);
};

/// Longest micro-batch, elements: more than MPI takes before a receive is there.
inline constexpr std::int64_t kToyLength = 600;

struct ToyResult {
    Values weights;  ///< of all units
    std::int64_t loss = 0;
};

/// `steps` steps of plain SGD over micro-batches 0 ... count - 1, without any split.
ToyResult train_toy(const ToyModel& model, int steps, int micro_batches);

/// One rank's part. Checks as it goes that activations are where and what they should be; throws Error{Run} if not.
class ToyStage final : public Stage {
public:
    ToyStage(const ToyModel& model, const PipelineShape& shape, const Lowering& lowering, Communicator& pipeline, Communicator& data);

    void begin_step(std::int64_t step) { step_ = step; }
    [[nodiscard]] const std::map<int, std::int64_t>& weights() const { return weights_; }  ///< by unit; of a tied last unit as well
    [[nodiscard]] std::int64_t loss() const { return loss_; }                              ///< of all steps, on the last rank

    Tensor forward_input(const Instruction& i) override;
    Tensor forward_output(const Instruction& i) override;
    Tensor output_gradient(const Instruction& i) override;
    Tensor input_gradient(const Instruction& i) override;
    void forward(const Instruction& i) override;
    void recompute(const Instruction& i) override;
    void backward(const Instruction& i) override;
    void backward_input(const Instruction& i) override;
    void backward_weight(const Instruction& i) override;
    void reduce(int bucket) override;
    void clip() override;
    void update(int bucket) override;
    void gather(int bucket) override;

private:
    struct Activations {
        int micro_batch = -1;
        Values value, gradient;          ///< what flows, up and down
        std::map<int, Values> x, h, dh;  ///< of each unit
    };
    Activations& at(const Instruction& i);
    [[nodiscard]] int global(int micro_batch) const { return data_.rank() * shape_.micro_batches + micro_batch; }
    [[nodiscard]] bool is_head(int unit) const { return unit == model_.units - 1; }
    [[nodiscard]] int bucket_of(int unit) const { return model_.tied && is_head(unit) ? 0 : unit; }
    [[nodiscard]] bool trained(int bucket) const;
    void input(int unit, Activations& a);
    void weight(int unit, Activations& a);

    ToyModel model_;
    PipelineShape shape_;
    const Lowering& lowering_;
    Communicator& pipeline_;
    Communicator& data_;
    std::int64_t step_ = 0, loss_ = 0;
    std::map<std::pair<int, int>, Activations> slots_;  // of chunk and slot
    std::map<int, std::int64_t> weights_, masters_, gradients_, reduced_;
};

}  // namespace tandem::test
