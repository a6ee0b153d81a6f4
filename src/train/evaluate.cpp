#include "src/train/evaluate.h"

#include <array>
#include <cmath>

#include "parallel/whereabouts.h"

namespace tandem {

double EvaluationResult::perplexity() const { return std::exp(loss); }

HostBatch host_batch(const MicroBatch& b) { return {b.ids, b.labels, b.positions, b.cu_seqlens, b.row_ids, b.max_length}; }

std::int64_t evaluation_rows(const MeshIndex& sizes, std::int64_t micro_batch_size) {
    return micro_batch_size * sizes.data * (sizes.pipeline > 1 ? 4 * sizes.pipeline : 1);
}

EvaluationResult evaluate(const Evaluator& e, const DataSource& data, std::int64_t micro_batch_size) {
    const InPhase evaluating(Phase::Evaluating);
    const MeshIndex &sizes = e.mesh.sizes(), &place = e.mesh.place();
    EvaluationStage stage(e.model, e.split.chunks_of(place.pipeline));
    Executor executor(e.mesh.pipeline(), e.outbox);
    Context ctx = e.model.context();
    EvaluationResult result;
    double sum = 0;
    for (std::int64_t step = 1; step <= data.plan->steps_in_epoch(0); ++step) {
        std::vector<MicroBatch> batches;
        for (const auto& rows : data.plan->deal(step, sizes.data, place.data, micro_batch_size))
            batches.push_back(assemble(data.prepared.file, rows));
        std::vector<HostBatch> views;
        for (const MicroBatch& batch : batches) views.push_back(host_batch(batch));
        const Program program = evaluation_programs(e.split, static_cast<int>(views.size()))[static_cast<std::size_t>(place.pipeline)];
        stage.clear();
        stage.start(views);
        executor.run(ctx, program, 0, program.size(), stage);
        // Every tensor-parallel rank of the last stage has the same sum; other stages have none.
        std::array<double, 1> batch_sum = {place.tensor == 0 ? stage.sum() : 0.0};
        e.mesh.world().sum(batch_sum);
        sum += batch_sum[0];
        result.tokens += data.plan->tokens(step);
        result.trained_tokens += data.plan->trained_tokens(step);
    }
    result.loss = sum / static_cast<double>(result.trained_tokens);
    return result;
}

}  // namespace tandem
