#!/usr/bin/env bash
# found.sh PROGRAM FOLDER: cuDNN's library with some of its parts missing, as FOLDER's libcudnn.so.9 alone: cuDNN itself ends the process
# there, and tandem has to see it coming. The loader's cache is left out, which may have the whole of it.
set -u
[ -e "${2:-}/libcudnn.so.9" ] || { echo "libcudnn.so.9 is not beside its headers: not tested"; exit 77; }
program=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
loader=$(ldd "$program" | awk '/ld-linux/ { print $1 }')
others=$(ldd "$program" | awk '/=> \// { print $3 }' | xargs -n 1 dirname | sort -u | paste -s -d :)
failures=0
check() { # WHAT CUDNN-FOLDER LINE-1 LINE-2, the beginnings as patterns
    local said code=0
    said=$("$loader" --inhibit-cache --library-path "$2:$others" "$program" 2>&1) || code=$?
    if [ "$code" -ne 0 ] || ! grep -q "^found: $3" <<<"$said" || ! grep -q "^$4" <<<"$said"; then
        echo "$1: exit code $code, and it says:"; sed 's/^/    /' <<<"$said"; failures=$((failures + 1))
    fi
}
mkdir "$work/none" "$work/part"
part() { cp -L "$folder/lib$1.so.9" "$work/part/"; }
check 'no cuDNN' "$work/none" 'cuDNN cannot be opened: libcudnn.so.9: ' 'not started: cuDNN cannot be opened: '
part cudnn
check 'libcudnn alone' "$work/part" 'a part of cuDNN cannot be opened: libcudnn_graph.so.9: ' 'not started: a part of cuDNN cannot be opened: '
part cudnn_graph
check 'without engines' "$work/part" 'cuDNN 9' 'not started: a part of cuDNN cannot be opened: libcudnn_ops.so.9: '
check 'all of it' "$folder" 'cuDNN 9' '\(started\|not started: cuDNN 9.* cannot be started: \)'
[ "$failures" -eq 0 ] && echo "cuDNN: all as expected"
exit $((failures > 0))
