#!/usr/bin/env bash
# command_line.sh PROGRAM ROOT: what the program does with command lines, right and wrong: exit codes, one message, nothing left behind.
set -u
program=$1 root=$2
[ -x "$program" ] || { echo "there is no program $program"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd "$work" || exit 1
failures=0
complain() {
    echo "$1"
    sed 's/^/    stderr: /' err
    failures=$((failures + 1))
}

accept() { # WORDS...: exit code 0, nothing on stderr; stdout stays in `out`
    "$program" "$@" >out 2>err
    local code=$?
    [ "$code" -eq 0 ] || complain "tandem $*: exit code $code, expected 0"
    [ ! -s err ] || complain "tandem $*: stderr is not empty"
}
check_message() { # CODE EXPECTED-CODE PART WHAT
    [ "$1" -eq "$2" ] || complain "$4: exit code $1, expected $2"
    [ "$(grep -c '^tandem: error: ' err)" = 1 ] || complain "$4: not exactly one message"
    grep -qF -- "$3" err || complain "$4: the message does not hold '$3'"
    [ ! -s out ] || complain "$4: something is on stdout"
}
refuse() { # CODE PART WORDS...
    local expected=$1 part=$2
    shift 2
    "$program" "$@" >out 2>err
    check_message $? "$expected" "$part" "tandem $*"
    [ "$(wc -l <err)" -le 2 ] || complain "tandem $*: more than a message on stderr"
}
refuse_by() { # RANKS CODE PART WORDS...: the same, once for all ranks
    local ranks=$1 expected=$2 part=$3
    shift 3
    "$root/tests/support/mpi-run" "$ranks" 60 "$program" "$@" >out 2>err
    check_message $? "$expected" "$part" "$ranks ranks: tandem $*"
}

# Help.
accept --help
for name in train eval plan bench prepare tokenize generate import quantize merge export doctor; do
    grep -q "^  $name " out || complain "--help does not list $name"
done
accept --version
grep -qE '^tandem [0-9]+\.[0-9]+\.[0-9]+$' out || complain "--version prints '$(cat out)'"
for name in train eval plan bench prepare tokenize generate import quantize merge export doctor; do
    accept "$name" --help
    grep -q "^usage: tandem $name" out || complain "$name --help does not say how it is used"
    refuse 2 "unknown option '--frobnicate' of tandem $name" "$name" --frobnicate
done
accept train --help
grep -q '^  training.max_steps ' out || complain 'train --help does not list the keys'
accept train --help-markdown
cmp -s out "$root/docs/configuration.md" ||
    complain 'docs/configuration.md is not up to date: build/tandem train --help-markdown > docs/configuration.md'

# Words.
refuse 2 'a subcommand is missing'
refuse 2 "unknown subcommand 'trian'; did you mean 'train'?" trian run.ini
refuse 2 "unknown subcommand 'frobnicate'" frobnicate
refuse 2 "unknown option '--verbose'" --verbose train
refuse 2 'CONFIG is missing; usage: tandem train CONFIG' train
refuse 2 "unexpected argument 'b.ini'" train a.ini b.ini
refuse 2 "did you mean '--training.max_steps'?" train run.ini --training.max_step 3
refuse 2 "did you mean '--optimizer.learning_rate'?" train run.ini --training.learning_rate 3
refuse 2 "unknown option '--training.max'" train run.ini --training.max 3
refuse 2 "option '--lora.r' has no value" train run.ini --lora.r
refuse 2 "option '--lora.r' is given twice" train run.ini --lora.r 4 --lora.r=8
refuse 2 "option '--model' is missing" generate --prompt x
refuse 2 'DIR is missing' import model.gguf

# Files.
refuse 2 'run.ini: cannot open the configuration file: No such file or directory' train run.ini
refuse 2 'nowhere' generate --model nowhere --prompt x
refuse 2 'nowhere' tokenize --model nowhere
refuse 2 'nowhere.gguf' import nowhere.gguf out-model
echo 'this is no model' >text.gguf
refuse 3 'text.gguf' import text.gguf out-model
[ ! -e out-model ] || complain 'a failed import leaves its directory'

# Configurations.
mkdir model
echo '{"text": "hello"}' >data.jsonl
printf '[model]\npath = model\n[data]\ntrain = data.jsonl\n[output]\ndir = run\n' >run.ini
refuse 2 'model/config.json' train run.ini
[ ! -e run ] || [ -z "$(find run -type f)" ] || complain "a refused run leaves files: $(find run -type f)"
{ cat run.ini; printf '[lora]\nrank = 3\n'; } >bad.ini
for name in train eval prepare; do refuse 2 "bad.ini:8: unknown key 'lora.rank'; did you mean 'lora.r'?" "$name" bad.ini; done
refuse 2 "command line: lora.r = 0: expected a whole number, from 1 to 65536" train run.ini --lora.r 0
refuse 2 'command line: offload.weights = host is not built in this version of tandem; use none' train run.ini --offload.weights=host
refuse 2 'run.ini: data.validation is missing' eval run.ini
# Whatever this machine has of CUDA, no model runs there in this version, and that is said before anything is loaded.
refuse 2 'command line: device.backend = cuda: ' train run.ini --device.backend cuda
[ ! -e run ] || [ -z "$(find run -type f)" ] || complain "a refused run leaves files: $(find run -type f)"

# Several ranks: one message, one help text.
refuse_by 2 2 "bad.ini:8: unknown key 'lora.rank'" train bad.ini
refuse_by 3 2 "unknown subcommand 'trian'" trian
"$root/tests/support/mpi-run" 2 60 "$program" --version >out 2>err || complain 'two ranks: --version fails'
[ "$(wc -l <out)" = 1 ] || complain "two ranks print --version $(wc -l <out) times"

# What doctor measures, plan reads, its reductions between two ranks included; a plan has an answer also where nothing fits.
"$root/tests/support/mpi-run" 2 60 "$program" doctor --hardware here.ini >out 2>err || complain 'two ranks: doctor --hardware fails'
grep -q '^all_reduce = 16777216:' here.ini || complain "doctor's hardware file has no measured all_reduce"
accept plan "$root/configs/bench-lora-135m.ini" --model.path "$root/configs/models/smollm2-135m" --hardware here.ini --training.micro_batch_size 2
grep -q ': 2 ranks' out || complain "plan does not see the two ranks of doctor's hardware file"
accept plan "$root/configs/bench-lora-135m.ini" --model.path "$root/configs/models/smollm2-135m" --hardware here.ini --training.micro_batch_size 2 \
    --ranks 1 --parallel.schedule interleaved --parallel.chunks 2 --parallel.zero 2 # one rank has no use for these, and no complaint
"$program" plan "$root/configs/bench-lora-135m.ini" --model.path "$root/configs/models/smollm2-135m" --hardware here.ini --training.micro_batch_size 2 \
    --device.memory_limit 100MiB >out 2>err
[ $? -eq 4 ] || complain 'plan of what does not fit: exit code is not 4'
grep -q 'does NOT fit' out || complain 'plan of what does not fit does not say so'

# Where nothing can be written.
"$program" --help >/dev/full 2>err
check=$?
: >out
check_message "$check" 1 'cannot write to standard output' 'tandem --help >/dev/full'

[ "$failures" -eq 0 ] && echo "the command line: all as expected"
exit $((failures > 0))
