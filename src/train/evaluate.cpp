#include "src/train/evaluate.h"

#include <array>
#include <cmath>

#include "src/engine/evaluation.h"

namespace tandem {

double EvaluationResult::perplexity() const { return std::exp(loss); }

HostBatch host_batch(const MicroBatch& b) { return {b.ids, b.labels, b.positions, b.cu_seqlens, b.row_ids, b.max_length}; }

EvaluationResult evaluate(Transformer& model, const DataSource& data, std::int64_t micro_batch_size, Communicator& group) {
    EvaluationPass pass(model);
    EvaluationResult result;
    double sum = 0;
    for (std::int64_t step = 1; step <= data.plan->steps_in_epoch(0); ++step) {
        pass.start();
        for (const auto& rows : data.plan->deal(step, group.size(), group.rank(), micro_batch_size))
            pass.add(host_batch(assemble(data.prepared.file, rows)));
        std::array<double, 1> batch_sum = {pass.sum()};
        group.sum(batch_sum);
        sum += batch_sum[0];
        result.tokens += data.plan->tokens(step);
        result.trained_tokens += data.plan->trained_tokens(step);
    }
    result.loss = sum / static_cast<double>(result.trained_tokens);
    return result;
}

}  // namespace tandem
