#!/usr/bin/env bash
# scripts.sh PROGRAM ROOT: the scripts of launch/ and slurm/ are well-formed, and docs/install.md names what launch/build installs.
set -u
cd "$2" || exit 1
failures=0
complain() { echo "$1"; failures=$((failures + 1)); }

scripts=()
for file in launch/* slurm/*.sbatch .ci/run; do
    [ "$(head -c 19 "$file")" = '#!/usr/bin/env bash' ] && scripts+=("$file")
done
[ ${#scripts[@]} -ge 6 ] || complain "only ${#scripts[@]} scripts found"
for script in "${scripts[@]}"; do
    [ -x "$script" ] || complain "$script is not executable"
    bash -n "$script" || complain "$script: bash finds an error"
done
if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning "${scripts[@]}" || complain 'shellcheck has something to say (above)'
fi

# name|minimum|package|why, as launch/build has them and as the page shows them.
built=$(sed -n "/^cat <<'TABLE'/,/^TABLE/p; s/.*echo '\(clang-format|.*\)'.*/\1/p" <(sed 's/^ *cat/cat/' launch/build) | grep '|')
# shellcheck disable=SC2016 # backquotes of Markdown
page=$(sed -n 's/^| `\([^`]*\)` | \([0-9.]*\) | `\([^`]*\)` | \(.*\) |$/\1|\2|\3|\4/p' docs/install.md)
[ -n "$built" ] || complain 'launch/build: no table of dependencies found'
diff <(echo "$built") <(echo "$page") || complain 'docs/install.md and the table in launch/build differ (above)'

# Every required find_package of the build has its row.
while read -r name; do
    case $name in OpenMP | PkgConfig) continue ;; esac # come with g++ and pkg-config
    grep -q "^$name|" <<<"$built" || complain "launch/build does not know $name, which CMakeLists.txt looks for"
done < <(sed -n 's/^ *find_package(\([A-Za-z0-9_]*\)[ )].*/\1/p' CMakeLists.txt tests/CMakeLists.txt)

# Wrong words.
for script in launch/build launch/quickstart launch/bundle launch/fetch-cudnn-frontend launch/gpu-check launch/gpu-train launch/slurm-test launch/train-30b; do
    "$script" --frobnicate >/dev/null 2>&1
    [ $? -eq 2 ] || complain "$script --frobnicate: exit code is not 2"
    "$script" --help | grep -q "^usage: $script" || complain "$script --help does not say how it is used"
done

[ "$failures" -eq 0 ] && echo "scripts: all as expected"
exit $((failures > 0))
