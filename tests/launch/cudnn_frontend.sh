#!/usr/bin/env bash
# cudnn_frontend.sh PROGRAM ROOT: when launch/build fetches the headers of cuDNN's frontend, and that it goes on where they cannot be had.
# CMake and pip3 are stand-ins, and no other program is on the PATH but the few that are named here.
set -u
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
failures=0
mkdir -p "$work"/{checkout/launch,tools}
cp "$root"/launch/{build,fetch-cudnn-frontend} "$work/checkout/launch/"
for tool in bash env sed grep awk cat rm mv mkdir mktemp tail head nproc dirname sha256sum unzip; do
    ln -s "$(command -v "$tool" || echo /nowhere)" "$work/tools/$tool"
done
cat >"$work/tools/cmake" <<'TOOL'
#!/usr/bin/env bash
[ "$1" = -S ] || exit 0
echo "configured" >>"$TRACE"
[ -e "$4/cudnn-frontend/include" ] || echo "-- cuDNN's attention: not built, $OBSTACLE"
TOOL
cat >"$work/tools/pip3" <<'TOOL'
#!/usr/bin/env bash
echo "asked" >>"$TRACE"
echo "WARNING: a line of pip's" >&2
case $NETWORK in
    none) exit 1 ;;
    wrong) while [ "$1" != --dest ]; do shift; done; : >"$2/nvidia_cudnn_frontend-1.32.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl" ;;
esac
TOOL
chmod +x "$work"/tools/{cmake,pip3}

check() { # WHAT, NETWORK, OBSTACLE, TRACE, PART-OF-THE-OUTPUT, WORD...
    local what=$1 want=$4 part=$5 code=0
    : >"$work/trace"
    (export NETWORK=$2 OBSTACLE=$3 TRACE=$work/trace PATH="$work/tools"; shift 5; "$work/checkout/launch/build" "$@") >"$work/out" 2>&1 || code=$?
    [ "$code" -eq 0 ] || { echo "$what: exit code $code"; failures=$((failures + 1)); }
    [ "$(tr '\n' ' ' <"$work/trace")" = "$want" ] || { echo "$what: it $(tr '\n' ' ' <"$work/trace")instead of $want"; failures=$((failures + 1)); }
    if [ -z "$part" ]; then ! grep -q cuDNN "$work/out"; else [ "$(grep -c cuDNN "$work/out")" -eq 1 ] && grep -qF -- "$part" "$work/out"; fi ||
        { echo "$what: not one line with '$part':"; sed 's/^/    /' "$work/out"; failures=$((failures + 1)); }
    if grep -q "a line of pip's" "$work/out"; then echo "$what: pip's words are shown"; failures=$((failures + 1)); fi
}
missing='there is no cudnn_frontend.h (launch/fetch-cudnn-frontend fetches it; CUDNN_FRONTEND_INCLUDE_DIR names its directory)'
grep -qF -- "$missing" "$root/cmake/cudnn.cmake" || { echo "cmake/cudnn.cmake says something else"; failures=$((failures + 1)); }
check 'no network' none "$missing" 'configured asked ' "going on without cuDNN's attention: the download of nvidia-cudnn-frontend 1.32.0 failed" --tests
check 'another file' wrong "$missing" 'configured asked ' "is not the file that was expected" --tests
check 'no CUDA' none 'there is no CUDA part' 'configured ' '' --tests
check 'a user who builds' none "$missing" 'configured asked ' "going on without cuDNN's attention: the download of nvidia-cudnn-frontend 1.32.0 failed"
check 'a user without rights' none "$missing" 'configured ' '' --tests --no-install
rm "$work/tools/pip3"
check 'no pip' none "$missing" 'configured ' "going on without cuDNN's attention: pip3 is not here (Debian package python3-pip)" --tests
mkdir -p "$work/checkout/build-test/cudnn-frontend/include" && echo "#" >"$work/checkout/build-test/cudnn-frontend/include/cudnn_frontend.h"
check 'they are there' none "$missing" 'configured ' '' --tests
there=$(PATH="$work/tools" "$work/checkout/launch/fetch-cudnn-frontend" "$work/checkout/build-test" 2>&1)
[ "$there" = "$work/checkout/build-test/cudnn-frontend/include" ] || { echo "what is there is fetched again: $there"; failures=$((failures + 1)); }

[ "$failures" -eq 0 ] && echo "cuDNN's frontend: all as expected"
exit $((failures > 0))
