#include "src/plan/generation_plan.h"

#include <algorithm>

#include "parallel/dry_communicator.h"
#include "src/model/decoder.h"

namespace tandem {

MemoryBytes plan_generation(const RunConfig& config, const ModelDescription& description, const Split& split, const MeshIndex& place,
                            std::int64_t length, std::int64_t chunk) {
    DryDevice dry = make_dry_device(config, 1);
    DryCommunicator tensor(place.tensor, split.sizes.tensor), pipeline(place.pipeline, split.sizes.pipeline);
    const auto model = make_transformer(config, description, dry.device, {split.placement(place), tensor, length, chunk});
    Decoder decoder(*model, pipeline, length);
    const std::int64_t most = std::min(chunk, length - 1);
    for (const std::int64_t tokens : {most, std::int64_t{1}}) {
        if (tokens > 0) (void)decoder.next(std::vector<std::int32_t>(static_cast<std::size_t>(tokens), 0));
    }
    return dry.device.memory->peaks();
}

}  // namespace tandem
