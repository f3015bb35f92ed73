#!/usr/bin/env bash
# Train a grid of settings on one or many pairs, several runs at a time. See usage() below and sweeps/example.txt.
set -uo pipefail
unset CDPATH  # with it, cd may print where it went

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SELF=$HERE/scripts/sweep.sh
TAB=$'\t'

usage() {
    cat <<'END'
usage: scripts/sweep.sh [-j JOBS] [-c CORES] GRID OUT A.png B.png     one pair
       scripts/sweep.sh [-j JOBS] [-c CORES] GRID OUT FOLDER          pairs: FOLDER/NAME/A.png and B.png, or
                                                                      FOLDER/NAME_A.png and NAME_B.png
       scripts/sweep.sh [-j JOBS] [-c CORES] GRID OUT PAIRS.txt       lines "name: A B", see sweeps/pairs.txt
  GRID     settings, one "name: flags" a line: sweeps/example.txt explains it
  OUT      gets a folder OUT/PAIR/NAME and a log OUT/PAIR/NAME.log a run
  -j JOBS  runs at a time; else one a GPU (those of CUDA_VISIBLE_DEVICES where set), without a GPU one per CORES cores
  -c CORES CPU threads of a run (OMP_NUM_THREADS); else 1 without a GPU, unset with one
Start it again to go on: finished runs are skipped, stopped ones continued. Ctrl-C stops all runs, and each saves.
Two parts of it for a scheduler of your own (scripts/sweep.slurm uses them):
  --prepare GRID OUT PAIRS   write OUT/sweep.jobs and print the number of runs
  --run N OUT                do run N (from 1) of OUT/sweep.jobs
PYTHON names the interpreter; else .venv/bin/python or python3. Exit: 0 all finished, 1 some failed, 2 wrong usage.
END
}

fail() { local why="$*"; printf 'error: %s\n' "${why//[[:cntrl:]]/?}" >&2; exit 2; }

python_here() {
    if [[ -n ${PYTHON:-} ]]; then echo "$PYTHON"
    elif [[ -x $HERE/.venv/bin/python ]]; then echo "$HERE/.venv/bin/python"
    else echo python3; fi
}

absolute() { case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$PWD/$1" ;; esac; }

# words TEXT: the shell-quoted words of a line into the array WORDS; nothing in it is expanded or run.
words() {
    local word
    WORDS=()
    xargs -r printf '%s\0' <<<"$1" >/dev/null 2>&1 || return 1
    while IFS= read -r -d '' word; do WORDS+=("$word"); done < <(xargs -r printf '%s\0' <<<"$1")
}

# shellcheck source=scripts/sweep_jobs.sh
. "$HERE/scripts/sweep_jobs.sh"

# ---- One run.

say() { # say WORD [DETAIL]: the run's status line; also kept for the sum at the end.
    printf '%-9s %-40s %3d.%d min%s\n' "$1" "$name" $((SECONDS / 60)) $((SECONDS % 60 / 6)) "${2:+   $2}"
    [[ -z ${SWEEP_TEMP:-} ]] || echo "$1" >"$SWEEP_TEMP/$number.status"
}

# Tell the child to save and stop, once: a second signal would stop it without saving.
pass_on() {
    stopped=yes
    [[ -n $child && -z $passed ]] || return 0
    passed=yes
    kill -TERM "$child" 2>/dev/null
}

# run_one N OUT [SLOT]: skip, start or continue run N; 0 finished, 1 failed, 3 stopped.
run_one() {
    local number=$1 out slot=${3:-} name a b flags state status stopped='' child='' passed='' began=finished
    out=$(absolute "$2")
    if [[ -n ${SWEEP_TEMP:-} ]]; then
        trap pass_on TERM INT
        echo $$ >"$SWEEP_TEMP/$number.pid"
    else  # A scheduler or a terminal signals every process of the run itself.
        trap 'stopped=yes' TERM INT
    fi
    [[ -z ${SWEEP_TEMP:-} || ! -e $SWEEP_TEMP/stop ]] || return 3
    IFS=$TAB read -r name a b flags < <(sed -n "${number}p" "$out/sweep.jobs")
    [[ -n ${name:-} ]] || fail "$out/sweep.jobs: has no run $number"
    words "$flags"
    local run=$out/$name log=$out/$name.log
    mkdir -p "$(dirname "$run")"
    state=$("$(python_here)" "$HERE/scripts/run_state.py" "$run" 2>&1) || { say failed "$state"; return 1; }
    case $state in
        finished*) say skipped "finished before"; return 0 ;;
        unfinished*) WORDS+=(--load "$run"); began=continued ;;
        foreign*) say failed "error: $run: ${state#foreign }"; return 1 ;;
    esac
    if [[ -n $slot && -n ${SWEEP_GPUS:-} ]]; then
        local gpus
        IFS=, read -ra gpus <<<"$SWEEP_GPUS"
        export CUDA_VISIBLE_DEVICES=${gpus[slot % ${#gpus[@]}]}
    fi
    set -- "$(python_here)" "$HERE/train.py" ${WORDS[@]+"${WORDS[@]}"} --input_a "$a" --input_b "$b" --out "$run"
    printf '$%s\n' "$(printf ' %q' "$@")" >>"$log"
    "$@" </dev/null >>"$log" 2>&1 &
    child=$!
    [[ -z $stopped || -z ${SWEEP_TEMP:-} ]] || pass_on
    while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
    if [[ $status -eq 0 ]]; then
        say $began
    elif [[ -n $stopped || $status -eq 129 || $status -eq 130 || $status -eq 143 ]]; then
        say stopped
        return 3
    else
        say failed "$(tail -n 1 "$log") ($log)"
        return 1
    fi
}

# ---- The queue.

count_cores() { env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

find_gpus() { # as a list 0,1,...; empty without a GPU
    if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then
        [[ $CUDA_VISIBLE_DEVICES == -1 ]] || echo "$CUDA_VISIBLE_DEVICES"
    elif command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | paste -sd, -
    fi
}

# Start run after run, JOBS at a time. A run's slot tells which GPU is its own.
queue() {
    if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q '^GNU parallel'; then
        seq "$1" | parallel --will-cite --ungroup --quote -j "$jobs" "$SELF" --run {} "$out" '{%}'
    elif xargs --process-slot-var=SLOT true </dev/null 2>/dev/null; then
        # shellcheck disable=SC2016  # for the inner shell to expand
        seq "$1" | xargs -P "$jobs" --process-slot-var=SLOT -n 1 bash -c '"$0" --run "$2" "$1" "$SLOT"' "$SELF" "$out"
    else
        seq "$1" | xargs -P "$jobs" -I{} "$SELF" --run {} "$out" 0
    fi
}

stop_all() {
    trap '' INT TERM
    ended=$1
    touch "$SWEEP_TEMP/stop"
    echo "stopping: every run saves first" >&2
    local file
    for file in "$SWEEP_TEMP"/*.pid; do
        [[ -e $file ]] && kill -TERM "$(<"$file")" 2>/dev/null
    done
}

sweep() {
    local jobs='' cores='' option OPTIND=1 ended=''
    while getopts :hj:c: option; do
        case $option in
            h) usage; exit 0 ;;
            j) jobs=$OPTARG ;;
            c) cores=$OPTARG ;;
            *) usage >&2; exit 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    [[ ${jobs:-1} =~ ^[1-9][0-9]*$ && ${cores:-1} =~ ^[1-9][0-9]*$ ]] || fail "-j and -c take whole numbers from 1"
    [[ $# -ge 3 ]] || { usage >&2; exit 2; }
    local out total lines
    lines=$(list_jobs "$@") || exit
    out=$(absolute "$2")
    make_folder "$out"
    if command -v flock >/dev/null; then
        exec 9>"$out/sweep.lock"
        flock -n 9 || fail "$out: another sweep is running there"
    fi
    write_jobs "$out" "$lines" || exit
    out=$(cd "$out" && pwd)
    total=$(wc -l <"$out/sweep.jobs")
    SWEEP_GPUS=$(find_gpus)
    if [[ -n $SWEEP_GPUS ]]; then
        option=${SWEEP_GPUS//[^,]/}
        jobs=${jobs:-$((${#option} + 1))}
    else
        cores=${cores:-1}
        option=$(($(count_cores) / cores))
        jobs=${jobs:-$((option > 0 ? option : 1))}
    fi
    [[ -z $cores ]] || export OMP_NUM_THREADS=$cores
    SWEEP_TEMP=$(mktemp -d)
    export SWEEP_GPUS SWEEP_TEMP
    trap 'rm -rf "$SWEEP_TEMP"' EXIT
    echo "$((total)) runs, $jobs at a time${cores:+, $cores threads each}${SWEEP_GPUS:+, GPUs $SWEEP_GPUS}, into $out"
    # A process group of its own: Ctrl-C then reaches this script alone, which tells every run once.
    set -m
    queue "$total" &
    local running=$!
    set +m
    trap 'stop_all 130' INT
    trap 'stop_all 143' TERM
    while wait "$running"; kill -0 "$running" 2>/dev/null; do :; done
    local word counted summary=''
    for word in finished continued skipped failed stopped; do
        counted=$(cat "$SWEEP_TEMP"/*.status 2>/dev/null | grep -cx "$word")
        [[ $counted -eq 0 ]] || summary+="${summary:+, }$counted $word"
    done
    echo "${summary:-nothing done} of $((total))"
    [[ -z $ended ]] || exit "$ended"
    [[ $(cat "$SWEEP_TEMP"/*.status 2>/dev/null | grep -cxE 'finished|continued|skipped') -eq $total ]]
}

case ${1:-} in
    --prepare) shift; prepare "$@" ;;
    --run) shift; run_one "$@" ;;
    --help) usage ;;
    *) sweep "$@" ;;
esac
