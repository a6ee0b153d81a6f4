#!/usr/bin/env bash
# gpu_check.sh PROGRAM ROOT: what launch/gpu-check says and returns, with stand-ins for the driver, the program and its tests: whatever
# this machine has, each run meets exactly one obstacle, or none.
set -u
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
failures=0
complain() { echo "$1"; sed 's/^/    /' "$work/err"; failures=$((failures + 1)); }

bundle="$work/a bundle"
mkdir -p "$bundle"/{launch,build} "$work"/{libraries,empty,tools}
# Whatever Python and CUDA tools this machine has.
printf '#!/usr/bin/env bash\nexit 1\n' >"$work/tools/python3"
printf '#!/usr/bin/env bash\necho "under $2: ${*: -1}"\n[ ! -e "$0.finds" ] || exit 9\n' >"$work/tools/compute-sanitizer"
chmod +x "$work"/tools/*
cp "$root/launch/gpu-check" "$bundle/launch/"
printf '#!/usr/bin/env bash\necho "trained: $*"\n[ ! -e "$0.fails" ]\n' >"$bundle/launch/gpu-train"
chmod +x "$bundle/launch/gpu-train"
touch "$work/libraries/libcuda.so.1" "$work/libraries/libcublasLt.so.99"
stand_in() { # FILE, script on stdin
    { echo '#!/usr/bin/env bash'; cat; } >"$bundle/build/$1"
    chmod +x "$bundle/build/$1"
}
check() { # CODE PART-OF-THE-MESSAGE LIBRARIES
    (cd "$work" && PATH="$work/tools:$PATH" LD_LIBRARY_PATH=$3 CUDA_VISIBLE_DEVICES='' CMAKE_ARGS='' "$bundle/launch/gpu-check" -o "$work/report.md" >"$work/out" 2>"$work/err")
    local code=$?
    [ "$code" -eq "$1" ] || complain "exit code $code instead of $1, expecting '$2'"
    cat "$work/out" "$work/err" | grep -qF -- "$2" || complain "nothing says '$2'"
    grep -qF -- "$2" "$work/report.md" || complain "the report does not say '$2'"
}
printf 'program   tandem\nglibc     2.1\ncuda      libcublasLt.so.99 \n' >"$bundle/BUNDLE"

check 3 'has no CUDA part' "$work/libraries"
stand_in libtandem_cuda.so </dev/null
check 3 'there is no program beside' "$work/libraries"
stand_in tandem <<<'[ "$2" = --json ] && echo "{\"cuda\":{\"status\":\"NVIDIA has no card here\",\"usable\":false}}" || echo text'
[ -n "$(ldconfig -p 2>/dev/null | grep libcuda.so.1)" ] || [ -e /usr/local/nvidia/lib64/libcuda.so.1 ] || check 3 'libcuda.so.1 is nowhere' "$work/empty"
rm "$work/libraries/libcublasLt.so.99"
check 3 'libcublasLt.so.99 is missing' "$work/libraries"
touch "$work/libraries/libcublasLt.so.99"
check 3 'no GPU can be used: NVIDIA has no card here' "$work/libraries"
stand_in tandem <<<'[ "$2" = --json ] && echo "{\"cuda\":{\"status\":\"one\",\"usable\":true}}" || echo "what doctor says"'
check 1 'there is no test_cuda' "$work/libraries"
stand_in test_cuda <<<'echo "[  PASSED  ] 7 tests."; echo "[  SKIPPED ] 1 test, listed below:"'
stand_in bench_cuda <<<'echo 123 TFLOP/s'
stand_in bench_ops <<<'echo "ops: $*"'
check 1 'there is no walk' "$work/libraries"
stand_in golden_cuda_test <<<'echo golden; [ ! -e "$0.skips" ] || echo "[  SKIPPED ] one"'
stand_in walk <<<'echo "walked on $CUDA_VISIBLE_DEVICES: $*"'
check 1 'tests were skipped' "$work/libraries"
stand_in test_cuda <<<'echo "[  PASSED  ] 7 tests."; exit 1'
check 1 'FAILED: Tests of the CUDA part; cuDNN; 7 tests passed' "$work/libraries"
stand_in test_cuda <<<'case $2 in *=-*) ;; *HasCudnn) echo "a card, attention forward by cuDNN 9.99.9" ;; *) echo "cuDNN: $2"; [ ! -e "$0.cudnn_fails" ] || exit 1 ;; esac
echo "[  PASSED  ] 7 tests."'
check 0 '7 tests passed; everything that was run succeeded' "$work/libraries"
for part in 'attention forward by cuDNN 9.99.9' 'cuDNN: --gtest_filter=*cuda_cudnn*'; do
    grep -qF -- "$part" "$work/report.md" || complain "the report lacks '$part'"
done
touch "$bundle/build/test_cuda.cudnn_fails"
check 1 "FAILED: Tests of cuDNN's attention; 7 tests passed" "$work/libraries"
stand_in test_cuda <<<'[ "$2" != "--gtest_filter=*HasCudnn" ] || printf "%s\n" "no cuDNN to test: libcudnn.so.9 is not here" "[  SKIPPED ] 1 test"
echo "[  PASSED  ] 7 tests."'
check 0 "cuDNN's attention is not tested: libcudnn.so.9 is not here" "$work/libraries"
for part in 'trained: parity' 'trained: speed' 'trained: large' 'what doctor says' '123 TFLOP/s' '| system |' './build/bench_cuda' \
    'ops: --backend cuda --shape llama3-8b 4096' ': --backend cuda --models' 'under memcheck: --gtest_filter' 'under racecheck' 'under synccheck' \
    'under initcheck' 'transformers + peft are left out'; do
    grep -qF -- "$part" "$work/report.md" || complain "the report lacks '$part'"
done
printf '#!/usr/bin/env bash\n[ "$1" = -c ] || echo "compared: $*"\n' >"$work/tools/python3"
check 0 '7 tests passed; everything that was run succeeded' "$work/libraries"
grep -qF 'compared: ' "$work/report.md" || complain 'nothing was compared with transformers'
touch "$bundle/build/golden_cuda_test.skips"
check 1 'FAILED: golden runs were skipped' "$work/libraries"
rm "$bundle/build/golden_cuda_test.skips"
touch "$work/tools/compute-sanitizer.finds"
check 1 'FAILED: compute-sanitizer: memcheck; compute-sanitizer: racecheck; compute-sanitizer: synccheck; compute-sanitizer: initcheck' "$work/libraries"
rm "$work/tools/compute-sanitizer.finds"
touch "$bundle/launch/gpu-train.fails"
check 1 'FAILED: Training: parity; Training: speed; Training: large; 7 tests passed' "$work/libraries"
rm "$bundle/launch/gpu-train.fails"
# What a scheduler gave this task, a limit of the machine's, and NCCL of a Python wheel.
stand_in bench_cuda <<<'echo "on card $CUDA_VISIBLE_DEVICES"; sleep "$(cat "$0.lasts" 2>/dev/null || echo 0)"'
one_part() { # CODE VISIBLE WORDS...
    local expected=$1 visible=$2
    shift 2
    (cd "$work" && PATH="$work/tools:$PATH" LD_LIBRARY_PATH="$work/libraries" CUDA_VISIBLE_DEVICES=$visible "$bundle/launch/gpu-check" -o "$work/report.md" \
        --part bench --part matrix "$@" >"$work/out" 2>"$work/err")
    local code=$?
    [ "$code" -eq "$expected" ] || complain "exit code $code instead of $expected with $visible and $*"
}
one_part 0 5,7 --device 1
grep -qFx 'on card 7' "$work/report.md" || complain '--device 1 of 5,7 is not 7'
one_part 0 5,7
grep -qFx 'on card 5,7' "$work/report.md" || complain 'without --device not all cards are seen'
grep -qF 'walked on 5:' "$work/report.md" || complain 'the matrix is not walked on one card'
one_part 2 5,7 --device 2
grep -qF 'CUDA_VISIBLE_DEVICES=5,7 shows 2' "$work/err" || complain 'a card that is not visible is not refused'
echo 30 >"$bundle/build/bench_cuda.lasts"
one_part 1 5 --limit 1
for part in 'on card 5' 'stopped: no end in 1 s'; do grep -qF "$part" "$work/report.md" || complain "with --limit the report lacks '$part'"; done
rm "$bundle/build/bench_cuda.lasts"
mkdir -p "$work/wheel"
touch "$work/wheel/libnccl.so.2"
[ -n "$(ldconfig -p 2>/dev/null | grep libnccl.so.2)" ] || VIRTUAL_ENV="$work/wheel" one_part 0 5
[ -n "$(ldconfig -p 2>/dev/null | grep libnccl.so.2)" ] || grep -qE '^\| LD_LIBRARY_PATH \| .*/wheel:' "$work/report.md" || complain 'NCCL of a wheel is not found'
sed -i 's/^glibc.*/glibc     9.99/' "$bundle/BUNDLE"
check 3 'was made for 9.99 or newer' "$work/libraries"

# A checkout is built where that has not been done, and not before there is a driver.
rm -r "$bundle/build" "$bundle/BUNDLE"
printf '#!/usr/bin/env bash\necho "built: $CMAKE_ARGS: $*"\n[ ! -e "$0.fails" ]\n' >"$bundle/launch/build"
printf '#!/usr/bin/env bash\n' >"$work/tools/nvcc"
chmod +x "$bundle/launch/build" "$work/tools/nvcc"
check 3 'has no CUDA part' "$work/libraries"
grep -qF 'built:  -DTANDEM_CUDA=on: --tests' "$work/out" || complain 'a checkout is not built'
touch "$bundle/launch/build.fails"
check 3 'launch/build --tests failed' "$work/libraries"
mkdir -p "$bundle/build-test/tests/kernels"
touch "$bundle/build-test/"{CMakeCache.txt,libtandem_cuda.so,tests/kernels/test_cuda}
printf '#!/usr/bin/env bash\necho "rebuilt: $*"\n[ ! -e "$0.fails" ]\n' >"$work/tools/cmake"
chmod +x "$work/tools/cmake"
check 3 'there is no program beside' "$work/libraries"
grep -qF 'building what has changed' "$work/out" || complain 'what was built before is not brought up to date'
touch "$work/tools/cmake.fails"
check 3 'the build in build-test failed' "$work/libraries"
grep -qF 'rebuilt: --build' "$work/err" || complain 'why a build failed is not shown'
if [ -z "$(ldconfig -p 2>/dev/null | grep libcuda.so.1)" ] && [ ! -e /usr/local/nvidia/lib64/libcuda.so.1 ]; then
    check 3 'libcuda.so.1 is nowhere' "$work/empty"
    ! grep -qF 'built:' "$work/out" || complain 'a checkout is built without a driver'
fi

[ "$failures" -eq 0 ] && echo "gpu-check: all as expected"
exit $((failures > 0))
