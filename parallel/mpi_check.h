// Return codes of MPI as exceptions. Communicators of tandem return errors instead of ending the process.
#pragma once

#include <mpi.h>

#include <string_view>

#include "kernels/base/error.h"

namespace tandem {

/// Throws Failure::Run naming the call and MPI's own words for `code`, unless it is MPI_SUCCESS.
inline void mpi_check(int code, std::string_view call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
    fail(Failure::Run, "{} failed: {} (code {})", call, std::string_view(text, static_cast<std::size_t>(length)), code);
}

}  // namespace tandem
