#include "parallel/launcher.h"

#include <dlfcn.h>
#include <mpi.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "kernels/base/error.h"
#include "parallel/runtime.h"

namespace tandem {
namespace {

/// Tasks of the srun step that this process belongs to; 1 outside of one. An orted that mpirun starts through srun is a step
/// as well, but its ranks have Open MPI's own variables.
int slurm_tasks() {
    if (environment("OMPI_COMM_WORLD_SIZE")) return 1;
    return std::atoi(environment("SLURM_STEP_NUM_TASKS").value_or("1").c_str());
}

[[noreturn]] void refuse_singletons() {
    fail(Failure::Configuration,
         "srun started {} tasks, but MPI cannot connect them: each would train alone. Use `srun --mpi=pmix ...` "
         "(`srun --mpi=list` shows what this Slurm offers) or `mpirun` inside the allocation",
         slurm_tasks());
}

/// Is this an Open MPI that knows PMIx and nothing older? Such a library ends the process in MPI_Init under
/// `srun --mpi=pmi2`. Its plug-ins tell; where they are built in, this says no and MPI_Init decides.
bool knows_pmix_only() {
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = {};
    int length = 0;
    if (MPI_Get_library_version(version, &length) != MPI_SUCCESS || !std::string(version).starts_with("Open MPI")) return false;
    Dl_info library = {};
    if (dladdr(reinterpret_cast<void*>(&MPI_Init_thread), &library) == 0 || library.dli_fname == nullptr) return false;
    bool pmix = false, older = false;
    std::error_code error;
    const auto folder = std::filesystem::canonical(library.dli_fname, error).parent_path();
    // As Open MPI installs itself, and as Debian does.
    for (const char* plugins : {"openmpi", "openmpi/lib/openmpi3", "openmpi/lib/openmpi"}) {
        for (const auto& file : std::filesystem::directory_iterator(folder / plugins, error)) {
            const auto name = file.path().filename().string();
            if (name.starts_with("mca_pmix_s") || name.starts_with("mca_pmix_cray")) older = true;
            else if (name.starts_with("mca_pmix_") && name.ends_with(".so")) pmix = true;
        }
    }
    return pmix && !older;
}

}  // namespace

bool started_by_launcher() {
    if (environment("OMPI_COMM_WORLD_SIZE") || environment("PMIX_RANK")) return true;
    const bool older_protocol = environment("PMI_RANK") || environment("PMI_FD");
    if (slurm_tasks() > 1 && (!older_protocol || knows_pmix_only())) refuse_singletons();
    return older_protocol;
}

void check_world_size(int size) {
    if (size == 1 && slurm_tasks() > 1) refuse_singletons();
}

}  // namespace tandem
