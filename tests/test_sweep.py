"""The sweep in shell: a real tiny one, and the queue with a stand-in for the interpreter."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, TINY, make_picture
from folders import copy_run

SWEEP = ROOT / "scripts" / "sweep.sh"
# Takes the place of Python: "trains" at once, fails on --bad, and on --wait goes on until SIGTERM.
STAND_IN = f"""#!/usr/bin/env bash
[[ $1 != *run_state.py ]] || exec {sys.executable} "$@"
arguments="$*" out=${{*: -1}}
[[ $arguments != *--bad* ]] || {{ echo "error: --bad: is bad" >&2; exit 2; }}
mkdir -p "$out"
echo "${{OMP_NUM_THREADS-none}} ${{CUDA_VISIBLE_DEVICES-none}}" >"$out/seen"
printf '%s\\n' "$@" >"$out/arguments"
[[ $arguments == *--wait* ]] || exit 0
trap 'echo x >>"$out/saved"; exit 143' TERM
touch "$out/started"
while :; do sleep 0.05; done
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


@pytest.fixture(params=["parallel", "xargs"])
def queue_with(request, stand_in, tmp_path) -> dict[str, str]:
    """The stand-in's environment with each of the two queues; xargs has to do where `parallel` is not GNU's."""
    if request.param == "parallel":
        if shutil.which("parallel") is None:
            pytest.skip("GNU parallel is not installed")
        return stand_in
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "parallel").write_text("#!/bin/sh\necho parallel from moreutils\n")
    (folder / "parallel").chmod(0o755)
    return {**stand_in, "PATH": f"{folder}:{stand_in['PATH']}"}


@pytest.fixture
def pictures(tmp_path) -> tuple[Path, Path]:
    return make_picture(tmp_path / "my a.png", 1), make_picture(tmp_path / "my b.png", 2)


def sweep(*arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SWEEP, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=200, check=False
    )


def words(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What happened to each run, from the status lines."""
    lines = [line.split() for line in done.stdout.splitlines() if " min" in line]
    return {line[1]: line[0] for line in lines}


def wait_for_started(out: Path, count: int) -> None:
    """Until so many runs wait for a signal."""
    deadline = time.monotonic() + 60
    while len(list(out.glob("*/*/started"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def jobs(out: Path) -> list[list[str]]:
    """Name, A, B and flags of every run."""
    return [line.split("\t") for line in (out / "sweep.jobs").read_text().splitlines()]


def test_finished_runs_are_skipped_broken_ones_continued_and_failures_stop_nobody(tmp_path, pair, trained, grid):
    out = tmp_path / "the runs"
    done_before = copy_run(trained, out / "a-b" / "done")
    broken = copy_run(trained, out / "a-b" / "broken")
    for file in ("scale_02.safetensors", "scale_03.safetensors", "results.png", "real_a2b.png"):
        (broken / file).unlink()
    (out / "a-b" / "foreign").mkdir()
    (out / "a-b" / "foreign" / "notes.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in done_before.iterdir()}
    file = grid(f"*: --niter 3 {' '.join(TINY)}", "bad: --nosuch 1", "foreign:", "done:", "broken:")
    env = {**os.environ, "PYTHON": sys.executable}
    done = sweep("-j", 2, file, out, *pair, env=env)
    assert words(done) == {
        "a-b/bad": "failed",
        "a-b/foreign": "failed",
        "a-b/done": "skipped",
        "a-b/broken": "continued",
    }
    assert done.returncode == 1
    assert "--nosuch" in done.stdout  # why, on the status line
    assert "holds no run" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in done_before.iterdir()} == before
    assert (broken / "real_a2b.png").read_bytes() == (trained / "real_a2b.png").read_bytes()
    assert "--load" in (out / "a-b" / "broken.log").read_text()


def test_lists_expand_and_common_flags_come_first(tmp_path, pictures, grid, stand_in):
    file = grid("# comment", "*: --seed 1", "", "plain:", "x: --beta {1, 10} --alpha {0.5,2}", "q: --note 'two  words'")
    out = tmp_path / "out"
    done = subprocess.run([SWEEP, "--prepare", file, out, *pictures], capture_output=True, text=True, check=True)
    assert done.stdout == "6\n"
    names = [name.removeprefix("my a-my b/") for name, *_ in jobs(out)]
    assert names == ["plain", "x_1_0.5", "x_1_2", "x_10_0.5", "x_10_2", "q"]
    assert jobs(out)[3][1:] == [*map(str, pictures), "--seed 1 --beta 10 --alpha 0.5"]
    sweep(file, out, *pictures, env=stand_in)
    arguments = (out / "my a-my b" / "q" / "arguments").read_text().splitlines()
    assert arguments[1:5] == ["--seed", "1", "--note", "two  words"]
    assert arguments[5:9] == ["--input_a", str(pictures[0]), "--input_b", str(pictures[1])]


def test_folders_and_files_of_pairs(tmp_path, grid, stand_in):
    file = grid("plain:")
    folder = tmp_path / "all pairs"
    (folder / "one pair").mkdir(parents=True)
    for name in ("one pair/A.png", "one pair/B.jpg", "two_A.png", "two_B.png", "alone_A.png"):
        make_picture(folder / name, 1)
    assert sweep("--prepare", file, tmp_path / "out", folder, env=stand_in).stdout == "2\n"
    assert [name for name, *_ in jobs(tmp_path / "out")] == ["one pair/plain", "two/plain"]
    (folder / "pairs.txt").write_text('mixed: "one pair/A.png" two_B.png\n')
    assert sweep("--prepare", file, tmp_path / "out", folder, env=stand_in).stdout == "1\n"
    [(name, a, b, _)] = jobs(tmp_path / "out")
    assert (name, a, b) == ("mixed/plain", str(folder / "one pair/A.png"), str(folder / "two_B.png"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["plain"], "line 1: not 'name: flags'"),
        (["a/b: --beta 1"], "'a/b' is no name"),
        (["x: --beta {1,2"], "{ without its }"),
        (["x: --note 'open"], "quote"),
        (["x_1:", "x: --beta {1}"], "would be called my a-my b/x_1"),
        (["# nothing"], "holds no settings"),
    ],
)
def test_a_bad_grid_is_one_line(lines, message, tmp_path, pictures, grid, stand_in):
    done = sweep(grid(*lines), tmp_path / "out", *pictures, env=stand_in)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_flags_are_never_run_as_shell(tmp_path, pictures, grid, stand_in):
    out = tmp_path / "out"
    sweep(grid("x: --note $(touch pwned) `touch pwned` ; touch pwned *"), out, *pictures, env=stand_in)
    assert "$(touch" in (out / "my a-my b" / "x" / "arguments").read_text().splitlines()
    assert not list(tmp_path.rglob("pwned"))


def test_each_gpu_has_a_run_of_its_own(tmp_path, pictures, grid, queue_with):
    out = tmp_path / "out"
    done = sweep(grid("x: --beta {1,2,3,4}"), out, *pictures, env={**queue_with, "CUDA_VISIBLE_DEVICES": "3,5"})
    assert "2 at a time" in done.stdout
    assert {path.read_text().split()[1] for path in out.glob("*/*/seen")} <= {"3", "5"}


def test_cores_are_shared_out(tmp_path, pictures, grid, queue_with):
    out = tmp_path / "out"
    done = sweep("-c", 2, grid("x: --beta {1,2}"), out, *pictures, env={**queue_with, "CUDA_VISIBLE_DEVICES": "-1"})
    assert done.returncode == 0
    assert {path.read_text() for path in out.glob("*/*/seen")} == {"2 -1\n"}
    assert words(done) == {"my": "finished"}  # the pair's name holds a space


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_runs_which_save_once(number, code, tmp_path, pictures, grid, queue_with):
    out = tmp_path / "out"
    command = [SWEEP, "-j", "2", grid("x: --wait {1,2,3,4}"), out, *pictures]
    # As from a terminal; a process started in the background of a script ignores SIGINT.
    running = subprocess.Popen(command, env=queue_with, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_started(out, 2)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert [path.read_text() for path in out.glob("*/*/saved")] == ["x\n", "x\n"]
    assert "2 stopped of 4" in output


def test_two_sweeps_do_not_share_a_folder(tmp_path, pictures, grid, stand_in):
    if shutil.which("flock") is None:
        pytest.skip("flock is not installed")
    out = tmp_path / "out"
    file = grid("x: --wait 1")
    first = subprocess.Popen([SWEEP, file, out, *pictures], env=stand_in, stdout=subprocess.DEVNULL)
    wait_for_started(out, 1)
    second = sweep(file, out, *pictures, env=stand_in)
    first.terminate()
    first.wait(timeout=60)
    assert second.returncode == 2
    assert "another sweep is running there" in second.stderr
