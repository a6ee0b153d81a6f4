#include "kernels/cuda/check.h"

#include <cstdio>
#include <exception>

#include "kernels/cuda/queue.h"
#include "kernels/cuda/runtime.h"

namespace tandem::cuda {

std::string list(std::span<const Tensor> operands) {
    std::string out;
    for (const Tensor& x : operands) {
        out += out.empty() ? " of " : ", ";
        out += x.str();
        if (!x.contiguous()) out += fmt::format(" (rows {} apart)", x.row_stride());
    }
    return out;
}

std::string place(const std::source_location& where) {
    const std::string_view file = where.file_name();
    const auto start = file.rfind("kernels/cuda/");
    return fmt::format("{}:{}", start == std::string_view::npos ? file : file.substr(start), where.line());
}

void check(Status status, std::string_view what, std::initializer_list<Tensor> operands, std::source_location where) {
    const std::span<const Tensor> all(operands.begin(), operands.size());
    if (!status.ok()) fail_with(status, what, all, where);
    if (status.held_back != nullptr) status.held_back->note(what, all, where);
}

void fail_with(Status status, std::string_view what, std::span<const Tensor> operands, const std::source_location& where) {
    const StatusText text = describe(status);
    fail(text.kind == StatusKind::OutOfMemory ? Failure::OutOfMemory : Failure::Run, "cuda: {}{}: {}: {} ({}){}", what, list(operands),
         text.name, text.text, place(where),
         text.kind == StatusKind::EarlierWork
             ? "; the cause may be an op before this one: CUDA_LAUNCH_BLOCKING=1 (with device.graphs = off) reports it where it happens"
             : "");
}

void report(Status status, const char* what) noexcept {
    if (!status.ok() && std::uncaught_exceptions() == 0)
        std::fprintf(stderr, "tandem: %s: %s\n", what, std::string(describe(status).text).c_str());
}

void report(const Error& error, const char* what) noexcept {
    if (std::uncaught_exceptions() == 0) std::fprintf(stderr, "tandem: %s: %s\n", what, error.what());
}

}  // namespace tandem::cuda
