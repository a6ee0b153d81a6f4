// The launch of a kernel as a function call, for CUDA and for the emulator alike.
#pragma once

#include <cstddef>
#include <tuple>

#include "kernels/cuda/handles.h"

namespace tandem::cuda {

struct Grid {
    unsigned x = 1, y = 1, z = 1;
};

/// Which kernel, by a name for messages, over how many threads, with how many bytes of shared memory a block.
struct Launch {
    const char* name;
    Grid grid;
    unsigned threads;  ///< a block's, along x; a multiple of 32
    std::size_t shared_bytes = 0;
};

/// A kernel without its types.
struct KernelCall {
    const void* kernel;
    void** arguments;          ///< one address for each parameter
    const std::size_t* sizes;  ///< of as many; outlives the call
    int count;
    void (*invoke)(const void* kernel, void** arguments);  ///< one thread's call; what the emulator runs
};

/// Implemented in kernels/cuda/native/launch.cpp and in tests/support/emulator/.
Status enqueue_now(const Launch& launch, const KernelCall& call, NativeStream stream);
/// Through the queue, which copies the arguments where it holds the call back (queue.cpp).
Status enqueue(const Launch& launch, const KernelCall& call, StreamHandle stream);

namespace detail {

template <class... P, std::size_t... I>
void invoke(const void* kernel, void** arguments, std::index_sequence<I...>) {
    reinterpret_cast<void (*)(P...)>(const_cast<void*>(kernel))(*static_cast<P*>(arguments[I])...);
}

template <class... P, std::size_t... I>
Status enqueue_tuple(const Launch& how, StreamHandle stream, void (*kernel)(P...), std::tuple<P...>& values, std::index_sequence<I...>) {
    void* addresses[sizeof...(P) + 1] = {&std::get<I>(values)..., nullptr};
    static constexpr std::size_t sizes[sizeof...(P) + 1] = {sizeof(P)..., 0};
    const auto one = [](const void* k, void** a) { invoke<P...>(k, a, std::index_sequence_for<P...>{}); };
    return enqueue(how, {reinterpret_cast<const void*>(kernel), addresses, sizes, static_cast<int>(sizeof...(P)), one}, stream);
}

}  // namespace detail

/// kernel(arguments...) on how.grid x how.threads threads. An empty grid is no launch. Arguments are copied.
template <class... P, class... A>
Status launch(const Launch& how, StreamHandle stream, void (*kernel)(P...), A... arguments) {
    if (how.grid.x == 0 || how.grid.y == 0 || how.grid.z == 0) return {};
    std::tuple<P...> values(static_cast<P>(arguments)...);
    return detail::enqueue_tuple(how, stream, kernel, values, std::index_sequence_for<P...>{});
}

}  // namespace tandem::cuda
