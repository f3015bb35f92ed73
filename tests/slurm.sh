#!/usr/bin/env bash
# Try scripts/sweep.slurm on a real Slurm of one node, started here and stopped at the end. Needs root and Debian's
# slurm-wlm and munge; not part of the tests that always run. PYTHON names the interpreter.
#
# An array of 6 tiny runs; one is requeued in the middle. Each must end with the same weights and pictures as the same
# run without Slurm. Exit 0: all equal.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null || { echo "skipped: $program is missing (apt-get install slurm-wlm munge)"; exit 77; }
done
[[ $(id -u) -eq 0 ]] || { echo "skipped: needs root"; exit 77; }

dir=$(mktemp -d)
chmod 755 "$dir"
export SLURM_CONF=$dir/slurm.conf PYTHON=${PYTHON:-$PWD/.venv/bin/python} OMP_NUM_THREADS=1
started=()
stop() {
    scancel --user=root 2>/dev/null || true
    local index
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        kill "${started[index]}" 2>/dev/null || true
        wait "${started[index]}" 2>/dev/null || true
    done
    if [[ -n ${KEEP:-} ]]; then echo "kept: $dir"; else rm -rf "$dir"; fi
}
trap stop EXIT

node=$(hostname -s)
mkdir "$dir"/{ctld,slurmd,munge}
head -c 1024 /dev/urandom >"$dir/munge/key"
chmod 400 "$dir/munge/key"
cat >"$SLURM_CONF" <<END
ClusterName=trial
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=cred_expire=10,socket=$dir/munge/socket
StateSaveLocation=$dir/ctld
SlurmdSpoolDir=$dir/slurmd
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,requeue_delay=1,sched_interval=2
KillWait=60
MpiDefault=none
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(env -u OMP_NUM_THREADS nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
END
munged --foreground --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" --pid-file="$dir/munge/pid" \
    --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" >"$dir/daemons.log" 2>&1 &
started+=($!)
sleep 1
slurmctld -D >>"$dir/daemons.log" 2>&1 &
started+=($!)
sleep 2
slurmd -D -N "$node" >>"$dir/daemons.log" 2>&1 &
started+=($!)
for _ in {1..30}; do [[ $(sinfo --noheader --format=%t) == idle ]] && break; sleep 1; done
[[ $(sinfo --noheader --format=%t) == idle ]] || { cat "$dir/daemons.log"; exit 1; }
sinfo

# The same grid for both.
cat >"$dir/grid.txt" <<END
*: --img_size 24 --min_size 16 --nfc 4 --min_nfc 4 --gpu_id -1 --seed 7 --niter ${NITER:-60} --print_interval 20
plain:
beta: --beta {1,10}
alpha: --alpha {2,5}
narrow: --nfc 2
END
runs=$(scripts/sweep.sh --prepare "$dir/grid.txt" "$dir/slurm_runs" images/balloons.jpg images/jellyfish.jpg)
job=$(sbatch --parsable --array=1-"$runs" --output="$dir/task-%a.out" scripts/sweep.slurm "$PWD" "$dir/slurm_runs")
echo "job $job: $runs tasks"

# Requeue the first task while it trains; a sample picture says that it does.
for _ in {1..600}; do compgen -G "$dir/slurm_runs/*/plain/samples/*" >/dev/null && break; sleep 0.1; done
echo "requeue ${job}_1:"
scontrol requeue "${job}_1"
sleep 5
for _ in {1..1200}; do [[ -z $(squeue --noheader) ]] && break; sleep 0.5; done
squeue
for task in "$dir"/task-*.out; do echo "${task##*/}:"; cat "$task"; done
echo "log of the requeued run:"
cat "$dir"/slurm_runs/*/plain.log

scripts/sweep.sh "$dir/grid.txt" "$dir/local_runs" images/balloons.jpg images/jellyfish.jpg
"$PYTHON" - "$dir" <<'END'
import sys
from pathlib import Path

top = Path(sys.argv[1])
same = 0
for run in sorted((top / "local_runs").glob("*/*/")):
    other = top / "slurm_runs" / run.relative_to(top / "local_runs")
    files = sorted(path.name for path in run.glob("*.png") if path.name != "losses.png")
    equal = all((run / name).read_bytes() == (other / name).read_bytes() for name in files)
    for path in sorted(run.glob("scale_*.safetensors")):
        equal &= path.read_bytes() == (other / path.name).read_bytes()
    print(run.name, "equal" if equal and files else "DIFFERENT")
    same += bool(equal and files)
sys.exit(0 if same == 6 else 1)
END
