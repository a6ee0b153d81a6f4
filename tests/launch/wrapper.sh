#!/usr/bin/env bash
# wrapper.sh PROGRAM ROOT: launch/tandem with a stand-in for the program that does what its words say.
set -u
root=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
failures=0

cat >"$work/program" <<'PROGRAM'
#!/usr/bin/env bash
here=$(dirname "$0") rank=${OMPI_COMM_WORLD_RANK:-0}
shift # the subcommand
case ${1:-} in
    say) shift; [ "$rank" = 0 ] && printf '%s|' "$@"; echo "rank $rank" ;;
    fail) [ "$rank" = 0 ] && echo "tandem: error: it broke" >&2; sleep 0.3; exit "$2" ;;
    mute) exit "$2" ;;
    die) [ "$rank" = 0 ] || kill -9 $$; exec sleep 20 ;;
    quote) printf '%b\n' "$2" >&2; exit 1 ;;
    record) mkdir -p "$3"; printf '{"code": 1,\n "message": "disk \\"full\\" on \\\\x", "rank": 1}\n' >"$3/failure.json"; exit 1 ;;
    wait) trap 'exit 75' USR1; trap 'echo interrupted >>"$here/stopped"; exit 1' TERM; touch "$here/ready"; while :; do sleep 0.05; done ;;
    early) touch "$here/ready"; exec sleep 20 ;;
    stubborn) trap '' USR1; trap 'exit 1' TERM; touch "$here/ready"; while :; do sleep 0.05; done ;;
    count) [ "$rank" = 0 ] && echo x >>"$here/count"; [ "$(wc -l <"$here/count")" -ge 3 ] || exit 1 ;;
esac
PROGRAM
chmod +x "$work/program"
export TANDEM=$work/program
launch() { "$root/launch/tandem" "$@" >"$work/out" 2>"$work/err"; code=$?; }
expect() { # WHAT FOUND EXPECTED
    [ "$2" = "$3" ] && return
    echo "$1: found '$2', expected '$3'"
    sed 's/^/    stderr: /' "$work/err"
    failures=$((failures + 1))
}
last_line() { tail -n 1 "$work/err"; }

# Words and exit codes reach and leave the program unchanged.
launch train say 'a  b' '' "c'd"
expect 'words' "$(cat "$work/out")" "a  b||c'd|rank 0"
expect 'code 0' "$code" 0
for status in 1 2 3 4 5 75; do
    launch train fail "$status"
    expect "code $status alone" "$code" "$status"
    launch -n 2 train fail "$status"
    expect "code $status of two ranks" "$code" "$status"
    [ "$status" = 75 ] || expect "last line after $status" "$(last_line)" 'tandem: error: it broke'
done
launch doctor fail 3
expect 'code of another subcommand' "$code" 3

# As many ranks as asked for, also more than there are cores.
for ranks in 1 2 5; do
    launch -n "$ranks" train say
    expect "$ranks ranks" "$(grep -c rank "$work/out")" "$ranks"
done

# Why a job failed, where no rank could say so.
launch -n 2 train mute 1
expect 'a silent failure' "$(last_line)" 'tandem: error: the job ended with code 1 and no rank said why'
launch -n 2 train die
expect 'a rank that is killed' "$(last_line | grep -c "^tandem: error: rank 1 on $(hostname) died of signal 9 (Killed): nobody")" 1
launch train quote 'prterun noticed that process rank 3 with PID 12 on node hostB exited on\nsignal 11 (Segmentation fault).\n----'
expect 'a rank that crashes under Open MPI 5' "$(last_line)" 'tandem: error: rank 3 on hostB died of signal 11 (Segmentation fault)'
launch train quote 'srun: error: node2: task 5: Killed'
expect 'a rank that is killed under srun' "$(last_line | grep -c '^tandem: error: rank 5 on node2 died of a signal (Killed): nobody')" 1
launch -n 2 train record --output.dir "$work/elsewhere"
expect 'a record where the command line says' "$(last_line)" 'tandem: error: disk "full" on \x'
printf '[model]\npath = m\n[output] # here\n dir = %s # there\r\n' "$work/run" >"$work/run.ini"
launch -n 2 train record "$work/run.ini" "$work/run"
expect 'a record where the configuration says' "$(last_line)" 'tandem: error: disk "full" on \x'

# Signals.
signal() { # SIGNAL WORDS...: starts, sends once ready, leaves the exit code in `code`
    local name=$1 tries=0
    shift
    rm -f "$work/ready"
    # setsid: as from a terminal; and with SIGINT not ignored, as bash has it for background jobs.
    setsid bash -c 'trap - INT; exec "$@"' - env --default-signal=INT "$root/launch/tandem" "$@" >"$work/out" 2>"$work/err" &
    wrapper=$!
    while [ ! -e "$work/ready" ] && [ $((tries += 1)) -lt 200 ]; do sleep 0.1; done
    sleep 0.5
    kill "-$name" "$wrapper"
}
for name in INT TERM USR1; do
    for ranks in 1 2; do
        signal "$name" -n "$ranks" train wait
        wait "$wrapper"
        expect "SIG$name to $ranks ranks" "$?" 75
    done
done
for ranks in 1 2; do
    signal USR1 -n "$ranks" train early
    wait "$wrapper"
    expect "SIGUSR1 to $ranks ranks without a handler yet" "$?" 75
done
expect 'a first signal interrupts nothing' "$(cat "$work/stopped" 2>/dev/null)" ''
signal INT train stubborn
sleep 1
kill -INT "$wrapper"
wait "$wrapper"
expect 'a second SIGINT ends it' "$?" 1

# Starting again.
: >"$work/count"
launch --restarts 1 train count
expect 'two starts do not suffice' "$code $(wc -l <"$work/count")" '1 2'
: >"$work/count"
launch --restarts=5 train count
expect 'the third start succeeds' "$code $(wc -l <"$work/count")" '0 3'
: >"$work/count"
launch --restarts 5 train fail 3
expect 'bad data is not tried again' "$code $(grep -c again "$work/err")" '3 0'

# Its own command line.
for words in '-n 0 train' '-n two train' '-n' '--restarts x train' '--restarts'; do
    # shellcheck disable=SC2086
    launch $words
    expect "launch/tandem $words" "$code $(grep -c '^tandem: error: launch/tandem: ' "$work/err")" '2 1'
done
TANDEM=$work/nothing launch train
expect 'no program' "$code" 2

[ "$failures" -eq 0 ] && echo "launch/tandem: all as expected"
exit $((failures > 0))
