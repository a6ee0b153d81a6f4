# To be sourced: a Slurm of two nodes on this machine, with everything it has in one directory. Nothing of an installed Slurm or munge
# is read, written or stopped: own configuration, key, socket, ports, state and logs.
#
#   cluster_start DIRECTORY   which is there, empty, reachable for all (munged wants that) and short (sockets); sets SLURM_CONF;
#                             returns 1 where a daemon does not start
#   cluster_stop              ends the jobs, then every process that this cluster started
#   cluster_report [JOB]      what Slurm knows, and the ends of the logs
#   cluster_named             whether each node has its own host name (takes root)
# shellcheck shell=bash

cluster=''

cluster_say_why() { echo "slurm_cluster: $*" >&2; return 1; }

cluster_free_port() { # below the range that the system gives to outgoing connections, where nobody listens
    local port tries
    for ((tries = 0; tries < 100; tries++)); do
        port=$((20000 + RANDOM % 10000))
        (exec 9<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    cluster_say_why 'no free port found'
}

cluster_configuration() {
    local processors host affinity=task/none
    processors=$(nproc) host=$(hostname -s)
    # Binding is part of what is tested, but counts on processors 0 to N - 1.
    [ "$processors" -ne "$(nproc --all)" ] || affinity=task/affinity
    cat <<CONF
ClusterName=tandemtest
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(cluster_free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
# After a requeue the job waits until its old credential has expired (2 minutes by default).
AuthInfo=socket=$cluster/munge/socket,cred_expire=6
StateSaveLocation=$cluster/state
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdPidFile=$cluster/%n.pid
SlurmdLogFile=$cluster/%n.log
SlurmdSpoolDir=$cluster/spool.%n
# The PMIx plugin keeps its sockets there; nodes of one machine must not share them.
TmpFS=$cluster/tmp.%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=$affinity
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2
# As on a cluster that is not set up for tandem: the scripts must ask for these.
MpiDefault=none
JobRequeue=0
KillOnBadExit=0
KillWait=20
ReturnToService=2
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(cluster_free_port) CPUs=$processors
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$(cluster_free_port) CPUs=$processors
PartitionName=main Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF
}

cluster_named() { unshare --uts true 2>/dev/null; }

cluster_daemon() { # NAME COMMAND...: in the background
    local name=$1
    shift
    setsid "$@" >"$cluster/$name.out" 2>&1 </dev/null 3>&- &
    disown
}

cluster_node() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    if cluster_named; then
        cluster_daemon "$1" unshare --uts sh -c 'hostname "$1" && exec slurmd -D -N "$1"' sh "$1"
    else
        cluster_daemon "$1" slurmd -D -N "$1"
    fi
}

cluster_start() {
    cluster=$1
    export SLURM_CONF=$cluster/slurm.conf
    mkdir -m 755 "$cluster/munge" "$cluster/state" "$cluster/tmp.node1" "$cluster/tmp.node2" "$cluster/spool.node1" "$cluster/spool.node2"
    (umask 077 && head -c 1024 /dev/urandom >"$cluster/munge/key")
    cluster_configuration >"$SLURM_CONF" || return 1
    cluster_daemon munged munged --foreground --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" \
        --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed"
    cluster_within 10 test -S "$cluster/munge/socket" || { cluster_say_why 'munged does not start'; return 1; }
    cluster_daemon slurmctld slurmctld -D -i
    cluster_node node1
    cluster_node node2
    cluster_within 30 cluster_is_up || { cluster_say_why 'the two nodes do not come up'; return 1; }
}
cluster_is_up() { [ "$(timeout 5 sinfo -h -N -t idle -o %N 2>/dev/null | sort | tr '\n' ' ')" = 'node1 node2 ' ]; }

cluster_within() { # SECONDS COMMAND...: waits until it succeeds
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

cluster_processes() { # every one has the cluster's SLURM_CONF in its environment; munged, the daemons, the jobs, their programs
    local file
    for file in /proc/[0-9]*/environ; do
        if tr '\0' '\n' <"$file" 2>/dev/null | grep -qxF "SLURM_CONF=$cluster/slurm.conf"; then file=${file#/proc/}; echo "${file%/*}"; fi
    done 2>/dev/null
}
cluster_is_empty() { [ -z "$(timeout 5 squeue -h 2>/dev/null)" ]; }
cluster_is_gone() { [ -z "$(cluster_processes)" ]; }

cluster_stop() {
    [ -n "$cluster" ] || return 0
    local process
    if timeout 5 scancel --state=PENDING --user="$(id -un)" 2>/dev/null && timeout 5 scancel --user="$(id -un)" 2>/dev/null; then
        cluster_within 25 cluster_is_empty || true
    fi
    for signal in TERM KILL; do
        for process in $(cluster_processes); do kill "-$signal" "$process" 2>/dev/null; done
        ! cluster_within 8 cluster_is_gone || break
    done
    cluster=''
}

cluster_report() {
    local log
    echo '---- squeue, scontrol show job, sinfo'
    timeout 5 squeue
    [ -z "${1:-}" ] || timeout 5 scontrol show job "$1"
    timeout 5 sinfo -N -l
    for log in "$cluster"/munged.out "$cluster"/slurmctld.log "$cluster"/node[12].log; do
        [ -s "$log" ] || continue
        echo "---- ${log#"$cluster"/}"
        tail -n 25 "$log"
    done
}
