"""The sweep in shell, with a stand-in for the interpreter, and the runs of its grid."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, make_picture

from scripts import sweep_jobs
from utils.errors import UserError

SWEEP, SLURM = ROOT / "scripts" / "sweep.sh", ROOT / "scripts" / "sweep.slurm"
# Takes the place of Python. For sweep_jobs.py: GRID holds the runs as they are to be. For train.py: "trains" at once,
# fails at --beta 66, and at --alpha 99 goes on until SIGTERM.
STAND_IN = """#!/usr/bin/env bash
[[ $1 != *sweep_jobs.py ]] || { mkdir -p "$3"; cp "$2" "$3/sweep.jobs"; exec wc -l <"$2"; }
arguments="$*" out=${*: -1}
[[ $arguments != *"--beta 66"* ]] || { echo "error: --beta: is bad" >&2; exit 2; }
mkdir -p "$out"
echo "${OMP_NUM_THREADS-none} ${CUDA_VISIBLE_DEVICES-none}" >"$out/seen"
trap 'sleep 0.3; echo x >>"$out/saved"; exit 143' TERM
touch "$out/started"
while [[ $arguments == *"--alpha 99"* ]]; do sleep 0.05; done
echo '{"finished": true}' >"$out/config.json"
"""


@pytest.fixture
def stand_in(tmp_path) -> dict[str, str]:
    """An environment with the stand-in as the interpreter."""
    path = tmp_path / "stand-in"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return {**os.environ, "PYTHON": str(path)}


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def runs(tmp_path: Path, *options: str) -> Path:
    """What the stand-in takes for the grid, with runs p/0, p/1 and so on."""
    return write(tmp_path / "a grid.txt", *(f"p/{index}\t{each}" for index, each in enumerate(options)))


def sweep(*arguments: object, env: dict[str, str] | None = None, script=SWEEP, **where) -> subprocess.CompletedProcess:
    env = env or {**os.environ, "PYTHON": sys.executable}
    words = ["bash", script, *map(str, arguments)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=200, check=False, **where)


def outcomes(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What happened to each run, from the status lines."""
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[1]: line[0] for line in lines if line[0] in {"skipped", "finished", "stopped", "failed"}}


def refusal(done: subprocess.CompletedProcess) -> str:
    """The one line of a refused sweep."""
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    return line


# The grid.


def test_lists_expand_and_common_options_come_first(tmp_path):
    (folder := tmp_path / "all pairs").mkdir()
    for file in ("y_a.png", "y_b.png", "it's z_A.png", "it's z_B.jpg"):
        make_picture(folder / file, 1)
    lines = ("# comment", "*: --seed {1,2}", "", "plain:", "x: --beta {1, 10} --alpha {0.5,2}")
    arguments = [write(tmp_path / "grid.txt", *lines), tmp_path / "out", folder]
    assert sweep_jobs.main([str(word) for word in arguments]) == 0
    wanted = {f"x_{seed}_{beta}_{alpha}" for seed in "12" for beta in ("1", "10") for alpha in ("0.5", "2")}
    jobs = dict(line.split("\t") for line in (tmp_path / "out" / "sweep.jobs").read_text().splitlines())
    assert jobs.keys() == {f"{pair}/{run}" for pair in ("y", "it's z") for run in wanted | {"plain_1", "plain_2"}}
    inputs = ["--input_a", str(folder / "it's z_A.png"), "--input_b", str(folder / "it's z_B.jpg")]
    own = ["--seed", "2", "--beta", "10", "--alpha", "0.5"]
    assert shlex.split(jobs["it's z/x_2_10_0.5"]) == own + inputs
    of_video = [write(tmp_path / "grid.txt", "x: --frames 3"), tmp_path / "out", folder, folder / "y_b.png"]
    assert sweep_jobs.main([str(word) for word in of_video]) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("plain", "line 1: not 'name: ...'"),
        ("a/b: --beta 1", "line 1: not 'name: ...'"),
        ("x: --beta {1,2", "line 1: --beta: must be a number"),
        ("x:\n\ny: --betta 1", "line 3: unrecognized arguments: --betta"),
        ("*: --betta 1\nx:", "line 2: unrecognized arguments: --betta"),
        ("x: --name 'open", "line 1: No closing quotation"),
        ("x_1:\nx: --beta {1}", "two runs would be called a-b/x_1"),
        ("# nothing", "no runs"),
    ],
)
def test_a_bad_grid_is_one_line(tmp_path, pair, content, message):
    grid = write(tmp_path / "grid.txt", content)
    with pytest.raises(UserError, match=re.escape(message)):
        sweep_jobs.main([str(grid), str(tmp_path / "out"), *map(str, pair)])
    assert not (tmp_path / "out").exists()


def test_bad_pairs_are_one_line(tmp_path, pair):
    grid = write(tmp_path / "grid.txt", "x:")
    halves = [tmp_path / x for x in "ab"]
    for folder in halves:
        folder.mkdir()
        make_picture(folder / f"y_{folder.name}.png", 1)
    listed = write(tmp_path / "pairs.txt", "x: a.png b.png c.png")
    for pairs, message in (
        (halves[:1], "y: must be A and B"),
        (halves[1:], "y: must be"),
        ([listed], "line 1: must be A and B"),
        ([write(tmp_path / "open.txt", "x: it's.png b.png")], "line 1: No closing quotation"),
    ):
        with pytest.raises(UserError, match=message):
            sweep_jobs.main([str(word) for word in (grid, tmp_path / "out", *pairs)])
    assert "no such file" in refusal(sweep(grid, tmp_path / "out", pair[0], tmp_path / "missing.png"))


# The queue.


def test_finished_runs_are_skipped_and_others_resumed(tmp_path, pair, stand_in):
    out = tmp_path / "the runs"
    for name, state in (("0", "true"), ("1", "false")):
        (out / "p" / name).mkdir(parents=True)
        (out / "p" / name / "config.json").write_text(f'{{"finished": {state}}}')
    done = sweep("-j", 2, runs(tmp_path, "", "--niter 3", "--beta '1 2' --seed 1"), out, *pair, env=stand_in)
    assert outcomes(done) == {"p/0": "skipped", "p/1": "finished", "p/2": "finished"}, done
    assert done.returncode == 0 and "3 of 3 finished" in done.stdout
    told = [(out / "p" / f"{name}.log").read_text() for name in "12"]
    run = str(out / "p" / "1").replace(" ", "\\ ")
    assert f"--niter 3 --load {run} --out {run}" in told[0]
    assert "--beta 1\\ 2 --seed 1 --out" in told[1]


def test_bad_arguments_are_one_line(tmp_path):
    assert "-j takes a whole number" in refusal(sweep("-j", 0, "grid", tmp_path, "pairs"))
    assert "runs count from 1" in refusal(sweep("--run", 0, tmp_path))
    assert "has no run 1" in refusal(sweep("--run", 1, tmp_path))
    assert "PROGRAM_FOLDER OUT" in refusal(sweep(tmp_path, script=SLURM))


def test_a_task_of_slurm_runs_wherever_it_is_started(tmp_path, stand_in):
    write(tmp_path / "sweep.jobs", "a/1\t", "a/2\t")
    copy = shutil.copy(SLURM, tmp_path)  # as Slurm does
    done = sweep(ROOT, tmp_path, script=copy, env=stand_in | {"SLURM_ARRAY_TASK_ID": "2"}, cwd=tmp_path)
    assert (done.returncode, outcomes(done)) == (0, {"a/2": "finished"}), done


@pytest.mark.parametrize(("given", "gpus"), [("3,5", {"3", "5"}), ("NoDevFiles", set())])
def test_gpus_or_cores_are_shared_out_and_a_failure_stops_nobody(tmp_path, pair, stand_in, given, gpus):
    more = {"CUDA_VISIBLE_DEVICES": given, "TMPDIR": str(tmp_path / "missing"), "OMP_NUM_THREADS": "2"}
    done = sweep(runs(tmp_path, "--beta 66", "", "", "", ""), tmp_path / "out", *pair, env=stand_in | more)
    assert (done.returncode, done.stderr) == (1, "")
    assert outcomes(done) == {"p/0": "failed"} | {f"p/{index}": "finished" for index in range(1, 5)}
    assert "--beta: is bad" in done.stdout and ("GPUs 3,5" in done.stdout) == bool(gpus)
    seen = {path.read_text() for path in tmp_path.glob("out/p/*/seen")}
    assert seen and seen <= {f"2 {gpu}\n" for gpu in gpus or {given}}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_runs_which_save_once(number, code, tmp_path, pair, stand_in):
    out = tmp_path / "out"
    command = [SWEEP, "-j", "2", runs(tmp_path, *["--alpha 99"] * 4), out, *pair]
    # As from a terminal; a process started in the background of a script ignores SIGINT.
    running = subprocess.Popen(command, env=stand_in, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*/*/started"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert [path.read_text() for path in out.glob("*/*/saved")] == ["x\n", "x\n"]
    assert output.count("stopped ") == 2 and "0 of 4 finished" in output
