// The groups a rank works in, whoever made them: a Mesh over real ranks, or a planner that only counts.
#pragma once

#include "parallel/communicator.h"

namespace tandem {

struct RankGroups {
    Communicator& world;
    Communicator& data;
    Communicator& tensor;
    Communicator& pipeline;
    Communicator& ends;  ///< first and last stage, see Mesh::ends()
};

}  // namespace tandem
