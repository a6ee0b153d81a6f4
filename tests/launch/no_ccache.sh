#!/usr/bin/env bash
# no_ccache.sh PROGRAM ROOT: compiles as on a machine without ccache, one file of each language. Builds beside ccache cannot show what is
# wrong there.
set -eu
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
command -v ninja >/dev/null || { echo "ninja is not here: not tested"; exit 77; }
# shellcheck disable=SC2086 # CMAKE_ARGS holds several words
cmake -S "$root" -B "$work" -G Ninja -DCCACHE=OFF -DTANDEM_TESTS=OFF -DCMAKE_CUDA_ARCHITECTURES=80 ${CMAKE_ARGS:-} >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
objects=(kernels/CMakeFiles/tandem_kernels.dir/base/dtype.cpp.o)
cuda=kernels/cuda/CMakeFiles/tandem_cuda_objects.dir/sums.cu.o
if grep -q 'CUDA part: CUDA' "$work/log"; then objects+=("$cuda"); else echo "no CUDA part here: C++ alone"; fi
cmake --build "$work" --target "${objects[@]}"
if ninja -C "$work" -t commands "${objects[@]}" | grep ccache; then echo "ccache is used, and the test shows nothing"; exit 1; fi
[ ${#objects[@]} -eq 1 ] || [ -s "$work/$cuda.ptxas" ] || { echo "no $cuda.ptxas: what ptxas says of kernels is lost"; exit 1; }
