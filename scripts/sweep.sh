#!/usr/bin/env bash
# Train a grid of settings on one or many pairs, several runs at a time; sweeps/example.txt explains the grid.
#
#   scripts/sweep.sh [-j JOBS] GRID OUT A.png B.png   one pair
#   scripts/sweep.sh [-j JOBS] GRID OUT PAIRS         a folder (NAME_A.* and NAME_B.*) or a list (sweeps/pairs.txt)
#
# JOBS runs at a time; without -j one per GPU, without a GPU one per core. On the CPU a run
# uses one thread and one core, or as many of both as the environment variable OMP_NUM_THREADS says.
# Every run gets a folder OUT/PAIR/NAME and a log OUT/PAIR/NAME.log. Start the sweep again to resume: finished runs are
# skipped, stopped ones resumed. Ctrl-C saves and stops all runs. For schedulers (scripts/sweep.slurm):
#   --prepare GRID OUT PAIRS   write OUT/sweep.jobs and print the number of runs
#   --run N OUT                do run N (from 1) of OUT/sweep.jobs
# PYTHON names the interpreter; default: .venv/bin/python or python3. Exit: 0 all finished, 1 some not, 2 wrong usage.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SELF=$HERE/scripts/sweep.sh
[[ -x $HERE/.venv/bin/python ]] && PYTHON=${PYTHON:-$HERE/.venv/bin/python}
PYTHON=${PYTHON:-python3}

usage() { sed -n '2,13s/^# \{0,1\}//p' "$SELF"; }
fail() { echo "error: $*" >&2; exit 2; }
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) && xargs --version >/dev/null 2>&1 && command -v nproc >/dev/null ||
    fail "sweeps need bash 4.4 or newer, and xargs and nproc of GNU, which macOS lacks"

finished() { grep -q '"finished": true' "$1/config.json" 2>/dev/null; }
prepare() { "$PYTHON" "$HERE/scripts/sweep_jobs.py" "$@"; }

# run_one N OUT [SLOT]: skip, start or resume a run. A run's slot tells which GPU is its own.
run_one() {
    local line name options run log gpus words child status stopped=''
    [[ ${1:-} =~ ^[1-9][0-9]*$ ]] || fail "--run ${1:-}: runs count from 1 (for Slurm: --array=1-N)"
    line=$(sed -n "${1}p" "$2/sweep.jobs" 2>/dev/null)
    [[ -n $line ]] || fail "$2/sweep.jobs: has no run $1"
    IFS=$'\t' read -r name options <<<"$line"
    run=$2/$name log=$2/$name.log
    mkdir -p "$(dirname "$run")"
    ! finished "$run" || { echo "skipped   $name"; return 0; }
    if [[ -n ${3:-} && -n ${SWEEP_GPUS:-} ]]; then
        IFS=, read -ra gpus <<<"$SWEEP_GPUS"
        export CUDA_VISIBLE_DEVICES=${gpus[$3 % ${#gpus[@]}]}
    fi
    mapfile -d '' -t words < <(xargs printf '%s\0' <<<"$options")
    [[ ! -f $run/config.json ]] || words+=(--load "$run")
    words=("$PYTHON" "$HERE/train.py" "${words[@]}" --out "$run")
    printf '$%s\n' "$(printf ' %q' "${words[@]}")" >>"$log"
    trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM INT USR1
    "${words[@]}" </dev/null >>"$log" 2>&1 &
    child=$!
    while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
    if [[ $status -eq 0 ]]; then
        echo "finished  $name   $((SECONDS / 60)) min"
    elif [[ -n $stopped || $status -gt 128 ]]; then
        echo "stopped   $name"
    else
        echo "failed    $name   $(tail -n 1 "$log") ($log)"
    fi
    return $((status != 0))
}

find_gpus() { # as a list 0,1,...; empty without a GPU
    if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then
        [[ ! $CUDA_VISIBLE_DEVICES =~ ^(GPU-|MIG-|[0-9]) ]] || echo "$CUDA_VISIBLE_DEVICES"
    elif command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | paste -sd, -
    fi
}

sweep() {
    local jobs='' out total cores running name count=0 done=0
    [[ ${1:-} != -j ]] || { jobs=${2:-none}; shift $(($# > 1 ? 2 : 1)); }
    [[ ${jobs:-1} =~ ^[1-9][0-9]*$ ]] || fail "-j takes a whole number from 1"
    [[ $# -ge 3 ]] || { usage >&2; exit 2; }
    total=$(prepare "$@") || exit 2
    out=$(cd "$2" && pwd)
    export SWEEP_GPUS=$(find_gpus)
    if [[ -n $SWEEP_GPUS ]]; then
        jobs=${jobs:-$(tr , '\n' <<<"$SWEEP_GPUS" | wc -l)}
    else
        export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
        cores=$(env -u OMP_NUM_THREADS nproc) # it would count those threads
        jobs=${jobs:-$(((cores + OMP_NUM_THREADS - 1) / OMP_NUM_THREADS))}
    fi
    echo "$total runs, $jobs at a time${SWEEP_GPUS:+, GPUs $SWEEP_GPUS}, into $out"
    # A process group of its own: Ctrl-C then reaches this script alone, which tells every run once.
    set -m
    { seq "$total" | xargs -P "$jobs" --process-slot-var=SLOT -n 1 \
        bash -c '"$0" --run "$2" "$1" "$SLOT"; exit 0' "$SELF" "$out"; } &
    running=$!
    set +m
    trap 'done=$((done ? done : 130)); kill -TERM -- -$running' INT
    trap 'done=143; kill -TERM -- -$running' TERM
    while kill -0 -- -"$running" 2>/dev/null; do sleep 0.2; done # until the last has saved
    while IFS=$'\t' read -r name _; do ! finished "$out/$name" || count=$((count + 1)); done <"$out/sweep.jobs"
    echo "$count of $total finished"
    exit $((done ? done : count != total))
}

case ${1:-} in
    --prepare) shift; [[ $# -ge 3 ]] || { usage >&2; exit 2; }; prepare "$@" ;;
    --run) shift; run_one "$@" ;;
    -h | --help) usage ;;
    *) sweep "$@" ;;
esac
