"""The sweep in shell: a real tiny one, and the queue with a stand-in for the interpreter."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, TINY, make_picture
from folders import copy_run

SWEEP = ROOT / "scripts" / "sweep.sh"
# Takes the place of Python for train.py: "trains" at once, fails at --beta 66, and at --alpha 99 goes on until SIGTERM.
STAND_IN = f"""#!/usr/bin/env bash
[[ $1 != *sweep_jobs.py ]] || exec {sys.executable} "$@"
arguments="$*" out=${{*: -1}}
[[ $arguments != *"--beta 66"* ]] || {{ echo "error: --beta: is bad" >&2; exit 2; }}
mkdir -p "$out"
echo "${{OMP_NUM_THREADS-none}} ${{CUDA_VISIBLE_DEVICES-none}}" >"$out/seen"
trap 'sleep 0.3; echo x >>"$out/saved"; exit 143' TERM
touch "$out/started"
while [[ $arguments == *"--alpha 99"* ]]; do sleep 0.05; done
echo '{{"finished": true}}' >"$out/config.json"
"""


@pytest.fixture
def grid(tmp_path):
    """`grid(line, ...)` -> the grid's file."""

    def write(*lines: str) -> Path:
        path = tmp_path / "a grid.txt"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def stand_in(tmp_path) -> dict[str, str]:
    """An environment with the stand-in as the interpreter."""
    path = tmp_path / "stand-in"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return {**os.environ, "PYTHON": str(path)}


def sweep(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    env = env or {**os.environ, "PYTHON": sys.executable}
    words = [SWEEP, *map(str, arguments)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=200, check=False)


def words(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What happened to each run, from the status lines."""
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[1]: line[0] for line in lines if line[0] in {"skipped", "finished", "stopped", "failed"}}


def jobs(out: Path) -> list[list[str]]:
    """Name, A, B and flags of every run."""
    return [line.split("\t") for line in (out / "sweep.jobs").read_text().splitlines()]


def refusal(done: subprocess.CompletedProcess) -> str:
    """The one line of a refused sweep."""
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    return line


def test_finished_runs_are_skipped_and_stopped_ones_resumed(tmp_path, pair, trained, grid):
    out = tmp_path / "the runs"
    before = {path: path.stat().st_mtime_ns for path in copy_run(trained, out / "a-b" / "done").iterdir()}
    broken = copy_run(trained, out / "a-b" / "broken")
    config = broken / "config.json"
    assert '"finished": true' in config.read_text()
    config.write_text(config.read_text().replace('"finished": true', '"finished": false'))
    for file in (*broken.glob("scale_0[23].*"), broken / "real_a2b.png"):
        file.unlink()
    done = sweep("-j", 2, grid(f"*: --niter 3 {' '.join(TINY)}", "done:", "broken:"), out, *pair)
    assert words(done) == {"a-b/done": "skipped", "a-b/broken": "finished"}, done
    assert done.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "a-b" / "done").iterdir()} == before
    assert (broken / "real_a2b.png").read_bytes() == (trained / "real_a2b.png").read_bytes()
    assert "--load" in (out / "a-b" / "broken.log").read_text()


def test_lists_expand_and_common_flags_come_first(tmp_path, grid):
    folder, out = tmp_path / "all pairs", tmp_path / "out"
    for file in ("y_a.png", "y_b.png", "z/A.png", "z/B.jpg", "alone_A.png"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        make_picture(folder / file, 1)
    file = grid("# comment", "*: --seed 1", "", "plain:", "x: --beta {1, 10} --alpha {0.5,2}")
    done = sweep("--prepare", file, out, folder)
    assert done.stdout == "10\n", done
    assert "alone_A.png" in done.stderr
    runs = ["plain", "x_1_0.5", "x_1_2", "x_10_0.5", "x_10_2"]
    assert sorted(name for name, *_ in jobs(out)) == sorted(f"{pair}/{run}" for pair in "yz" for run in runs)
    own = next(job[1:] for job in jobs(out) if job[0] == "y/x_10_0.5")
    assert own == [str(folder / "y_a.png"), str(folder / "y_b.png"), "--seed 1 --beta 10 --alpha 0.5"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("plain", "line 1: not 'name: ...'"),
        ("a/b: --beta 1", "line 1: not 'name: ...'"),
        ("x: --beta {1,2", "line 1: a brace"),
        ("x:\n\ny: --betta 1", "line 3: unrecognized arguments: --betta"),
        ("x: --name 'open", "line 1: "),
        ("x_1:\nx: --beta {1}", "two runs would be called x_1"),
        ("# nothing", "holds no runs"),
    ],
)
def test_a_bad_grid_is_one_line(tmp_path, pair, grid, content, message):
    assert message in refusal(sweep("--prepare", grid(content), tmp_path / "out", *pair))
    assert not (tmp_path / "out").exists()


def test_bad_arguments_are_one_line(tmp_path, grid, pair):
    assert "no such file" in refusal(sweep(grid("x:"), tmp_path / "out", pair[0], tmp_path / "missing.png"))
    assert "holds no pairs" in refusal(sweep(grid("x:"), tmp_path / "out", tmp_path / "nowhere"))
    assert "runs count from 1" in refusal(sweep("--run", 0, tmp_path))
    assert "has no run 1" in refusal(sweep("--run", 1, tmp_path))
    task = ["bash", SWEEP.with_name("sweep.slurm"), tmp_path]
    assert "PROGRAM_FOLDER OUT" in refusal(subprocess.run(task, capture_output=True, text=True, check=False))


@pytest.mark.parametrize(("given", "gpus"), [("3,5", {"3", "5"}), ("NoDevFiles", None), ("-1", None), ("", None)])
def test_each_gpu_has_a_run_of_its_own(tmp_path, pair, grid, stand_in, given, gpus):
    env = {**stand_in, "CUDA_VISIBLE_DEVICES": given, "TMPDIR": str(tmp_path / "missing")}
    done = sweep(grid("x: --beta {1,2,3,4}"), tmp_path / "out", *pair, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    seen = {path.read_text().rstrip("\n").partition(" ")[2] for path in tmp_path.glob("out/*/*/seen")}
    assert seen <= (gpus or {given}) and seen
    assert ("GPUs" in done.stdout) == (gpus is not None)


def test_cores_are_shared_out_and_a_failure_stops_nobody(tmp_path, pair, grid, stand_in):
    env = {**stand_in, "CUDA_VISIBLE_DEVICES": "-1"}
    done = sweep("-c", 2, grid("bad: --beta 66", "x: --beta {1,2}"), tmp_path / "out", *pair, env=env)
    assert done.returncode == 1
    assert words(done) == {"a-b/bad": "failed", "a-b/x_1": "finished", "a-b/x_2": "finished"}
    assert "--beta: is bad" in done.stdout
    assert {path.read_text() for path in tmp_path.glob("out/*/*/seen")} == {"2 -1\n"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_runs_which_save_once(number, code, tmp_path, pair, grid, stand_in):
    out = tmp_path / "out"
    command = [SWEEP, "-j", "2", grid("x: --alpha 99 --beta {1,2,3,4}"), out, *pair]
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
