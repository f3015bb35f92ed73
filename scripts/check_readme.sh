#!/usr/bin/env bash
# Run the application commands (```sh blocks) of README.md and docs/control.md, and look for the files they promise.
#   scripts/check_readme.sh         at tiny settings, in a temporary folder; about two minutes and a half
#   scripts/check_readme.sh --full  as they stand, here; makes what scripts/strips.py shows
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0; }

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
FULL=${1:-}
NETS="--nfc 4 --min_nfc 4 --niter 2 --print_interval 2 --gpu_id -1"

fail() { echo "error: $*" >&2; exit 1; }

# tiny COMMAND: the flags that make it quick; the last of two equal flags wins.
tiny() {
    case $1 in
        *train.py*) echo "--img_size 24 --min_size 11 --finish_size 48 $NETS" ;;
        *refine.py*--load*) echo "--gpu_id -1" ;;
        *refine.py*) echo "--max_size 40 $NETS" ;;
        *eval.py*) echo "--gpu_id -1" ;;
        *--keep_mask*|*--apply*) ;;
        *finish.py*) echo "--finish_size 64" ;;
    esac
}

# promised COMMAND OUT: the files the README promises of it.
promised() {
    case $1 in
        *train.py*) echo results.png finished_a2b.png finished_b2a_source.png real_a2b.png real_b2a.png final_a2b.png losses.png scale_00.safetensors config.json ;;
        *--samples*) echo samples.png sample_000_finished_a2b.png sample_000_fake_a.png sample_000_a2b.png sample_003_b2a.png ;;
        *eval.py*--load\ output_video*) echo a2b.mp4 learned_a2b.mp4 preview.png ;;
        *--inject_scale*) echo results.png inject_03_a2b.png ;;
        *--apply*) echo applied.png ;;
        *finish.py*) echo finished.png finished_source.png results.png metrics.json ;;
        *refine.py*--start_scale*) echo results.png refined_02.png ;;
        *refine.py*) echo results.png refined_01.png refined_02.png refined_03.png ;;
        *) echo results.png direct_a2b.png ;;
    esac
}

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
LOG=$FOLDER/log.txt
if [[ $FULL == --full ]]; then
    cd "$ROOT"
else
    cd "$FOLDER"
    ln -s "$ROOT"/*.py "$ROOT"/images .
fi

count=0
while IFS= read -r line; do
    [[ $line == "python "* ]] || fail "not a command of this program: $line"
    extra=--overwrite
    [[ $FULL == --full ]] || extra="$extra $(tiny "$line")"
    echo "+ $line"
    # The README's own words; no quoting in them.
    # shellcheck disable=SC2086
    "$PYTHON" ${line#python } $extra >"$LOG" 2>&1 || { cat "$LOG"; fail "$line"; }
    out=${line##*--out }
    for file in $(promised "$line"); do
        [[ -s $out/$file ]] || fail "$line: left no $file"
    done
    count=$((count + 1))
done < <(sed -n '/^```sh$/,/^```$/{/^```/d;p}' "$ROOT/README.md" "$ROOT/docs/control.md")
((count >= 10)) || fail "found only $count commands in README.md"
echo "$count commands ran"
