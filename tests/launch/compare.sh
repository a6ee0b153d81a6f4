#!/usr/bin/env bash
# compare.sh PROGRAM ROOT: what tests/bench/compare_transformers.py says where a case fails, with stand-ins for tandem and torch.
set -u
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
command -v python3 >/dev/null || { echo "compare: left out: python3 is not here"; exit 0; }
cat >"$work/tandem" <<'STAND_IN'
#!/usr/bin/env bash
case $* in *full*) echo "out of memory, planned" >&2; exit 4 ;; esac
echo '{"step_seconds": 2.0, "mfu": 0.5, "memory_peak_bytes": 3000000000}'
STAND_IN
chmod +x "$work/tandem"
echo 'raise ImportError("no torch here")' >"$work/torch.py"
PYTHONPATH=$work python3 "$root/tests/bench/compare_transformers.py" --device cuda --tandem "$work/tandem" --rounds 2 --method full-7b lora-8b \
    >"$work/out" 2>"$work/err"
code=$?
failures=0
[ "$code" = 1 ] || { echo "exit code $code instead of 1"; failures=1; }
# 4 rows of 2048 tokens in 2 s, both rounds; half of the rate of large products.
for line in 'full-7b +tandem +failed: exit code 4' 'full-7b +transformers +failed: exit code 1' 'lora-8b +tandem +4096 +4096 4096 +50[.]0 +3[.]00' \
    'lora-8b +transformers +failed: exit code 1'; do
    grep -qE "^$line" "$work/out" || { echo "no line: $line"; failures=1; }
done
if [ "$failures" = 0 ]; then echo "compare: all as expected"; else sed 's/^/    /' "$work/out" "$work/err"; fi
exit "$failures"
