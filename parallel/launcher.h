// Who started this process, and whether MPI can find the others.
#pragma once

namespace tandem {

/// Did mpirun or srun start this process as a rank of MPI? Throws Failure::Configuration where srun started several tasks
/// in a way that this MPI library cannot connect.
[[nodiscard]] bool started_by_launcher();

/// To be called with the size of the world that MPI found: throws Failure::Configuration where srun started more.
void check_world_size(int size);

}  // namespace tandem
