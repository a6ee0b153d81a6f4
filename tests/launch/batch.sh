#!/usr/bin/env bash
# batch.sh PROGRAM ROOT: slurm/train.sbatch and launch/tandem in an allocation, with stand-ins for Slurm's programs and for tandem.
# launch/slurm-test does the same with a Slurm.
set -u
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
failures=0

mkdir "$work/bin" "$work/there"
cat >"$work/bin/srun" <<'SRUN'
#!/usr/bin/env bash
[ "$1" != --mpi=list ] || { echo '	pmix'; exit 0; }
printf '%s\n' "$@" >"$WORK/srun"
while [[ $1 == --* ]]; do shift; done
exec "$@"
SRUN
cat >"$work/bin/scontrol" <<'SCONTROL'
#!/usr/bin/env bash
case $1 in
    show) [ -z "${SLOW:-}" ] || { touch "$WORK/ready"; sleep 0.5; }
        printf 'JobId=%s JobName=tandem\n   NumNodes=1 NumCPUs=2 NumTasks=%s CPUs/Task=2\n   Command=%s a b\n   WorkDir=/x\n' "$3" "$TASKS" "$COMMAND" ;;
    requeue) echo "$2" >>"$WORK/requeued"; exit "${REQUEUE_CODE:-0}" ;;
esac
SCONTROL
cat >"$work/program" <<'PROGRAM'
#!/usr/bin/env bash
case $3 in
    say) printf '%s|' "$@" ;;
    fail) [ "$4" = 75 ] || echo 'tandem: error: it broke' >&2; exit "$4" ;;
    wait) trap 'sleep 0.3; exit 75' USR1; touch "$WORK/ready"; while [ ! -e "$WORK/over" ]; do sleep 0.05; done ;;
esac
PROGRAM
chmod +x "$work/bin/srun" "$work/bin/scontrol" "$work/program"
echo '[model]' >"$work/there/my run.ini"
cd "$work/there" || exit 1
unset -v SLURM_STEP_ID SLURM_RESTART_COUNT SLURM_NTASKS REQUEUES OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK
export WORK=$work TANDEM=$work/program PATH=$work/bin:$PATH TASKS=3 COMMAND=$root/slurm/train.sbatch
export SLURM_JOB_ID=12 SLURM_CPUS_PER_TASK=4 SLURM_SUBMIT_DIR=$root

# As Slurm does, from a copy.
cp "$root/slurm/train.sbatch" "$work/slurm_script"
batch() { rm -f "$work/requeued"; "$work/slurm_script" "$@" >"$work/out" 2>&1; code=$?; }
requeued() { cat "$work/requeued" 2>/dev/null; }
expect() { # WHAT FOUND EXPECTED
    [ "$2" = "$3" ] && return
    echo "$1: found '$2', expected '$3'"
    sed 's/^/    output: /' "$work/out"
    failures=$((failures + 1))
}

batch 'my run.ini' say 'a  b' ''
expect 'words and code' "$code $(cat "$work/out")" '0 train|my run.ini|say|a  b||'
expect 'ranks: those of the record' "$(grep -c -x -e --ntasks=3 "$work/srun")" 1
expect 'processors' "$(grep -c -x -e --cpus-per-task=4 "$work/srun")" 1
expect 'requeued after 0' "$(requeued)" ''

for status in 1 2 3 4 5; do
    batch 'my run.ini' fail "$status"
    expect "after $status" "$code $(requeued) $(tail -n 1 "$work/out")" "$status  tandem: error: it broke"
done
batch 'my run.ini' fail 75
expect 'after 75' "$code $(requeued)" '75 12'
REQUEUE_CODE=1 batch 'my run.ini' fail 75
expect 'Slurm refuses to requeue' "$code $(grep -c 'did not requeue' "$work/out")" '75 1'
SLURM_RESTART_COUNT=2 REQUEUES=2 batch 'my run.ini' fail 75
expect 'often enough' "$code $(requeued)$(grep -c 'not requeued' "$work/out")" '75 1'
SLURM_RESTART_COUNT=1 REQUEUES=2 batch 'my run.ini' fail 75
expect 'not yet often enough' "$code $(requeued)" '75 12'

for signal in USR1 TERM early; do # near the time limit; scancel; before the run has begun
    export SLOW=''
    [ "$signal" != early ] || signal=USR1 SLOW=1
    rm -f "$work/ready" "$work/requeued" "$work/over"
    setsid "$work/slurm_script" 'my run.ini' wait >"$work/out" 2>&1 &
    script=$!
    for ((tries = 0; tries < 200; tries++)); do [ ! -e "$work/ready" ] || break; sleep 0.05; done
    kill "-$signal" "$script"
    for ((tries = 0; tries < 200; tries++)); do kill -0 "$script" 2>/dev/null || break; sleep 0.1; done
    touch "$work/over" # ends a program that was not told to stop
    wait "$script"
    code=$?
    wanted=12
    [ "$signal" = USR1 ] || wanted=''
    expect "SIG$signal $SLOW" "$code $(requeued)" "75 $wanted"
done
SLOW=''

# Where the checkout is: the record's path, else where sbatch was called.
COMMAND="$root/slurm/train.sbatch x" SLURM_SUBMIT_DIR=/ batch 'my run.ini' say
expect 'called from elsewhere' "$code" 0
COMMAND='(null)' batch 'my run.ini' say
expect 'through a pipe' "$code" 0

refused() { # WHAT PATTERN: one message, code 2
    expect "$1" "$code $(grep -c '^tandem: error: ' "$work/out") $(grep -c -e "$2" "$work/out")" '2 1 1'
}
COMMAND='(null)' SLURM_SUBMIT_DIR=/ batch 'my run.ini' say
refused 'no checkout' 'no launch/tandem in /;'
batch
refused 'no configuration' 'configuration is missing'
batch --output.dir x
refused 'an option for a configuration' 'configuration is missing'
batch none.ini
refused 'no such configuration' 'no none.ini in'
TANDEM=$work/nothing batch 'my run.ini' say
refused 'no program' 'launch/build'
SLURM_JOB_ID='' batch 'my run.ini' say
refused 'no job' 'not in a Slurm job'

# launch/tandem by itself: in the shell of salloc, in a step, without processors for each task.
tandem() { rm -f "$work/srun"; "$root/launch/tandem" train x say >"$work/out" 2>&1; code=$?; }
SLURM_NTASKS=2 SLURM_STEP_ID=4294967290 tandem
expect 'the interactive step of salloc' "$code $(grep -c -x -e --ntasks=2 "$work/srun")" '0 1'
SLURM_NTASKS=2 SLURM_STEP_ID=0 tandem
expect 'a step: started by srun' "$code $(ls "$work/srun" 2>/dev/null)" '0 '
SLURM_NTASKS=2 SLURM_CPUS_PER_TASK='' tandem
expect 'no processors said' "$code $(grep -c -e cpus-per-task "$work/srun")" '0 0'
# Ranks that stop or fail together do not leave together: Slurm must not end the later ones with a signal.
expect 'all ranks may leave by themselves' "$(grep -c -x -e --kill-on-bad-exit=0 "$work/srun")" 1

[ "$failures" -eq 0 ] && echo "slurm/train.sbatch: all as expected"
exit $((failures > 0))
