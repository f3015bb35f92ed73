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


def prepare(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess:
    """`sweep.sh --prepare GRID tmp_path/out PAIRS...`, which starts nothing; `arguments` are GRID and PAIRS."""
    return sweep("--prepare", arguments[0], tmp_path / "out", *arguments[1:], env={**os.environ})


def refusal(done: subprocess.CompletedProcess) -> str:
    """The one line of a refused sweep."""
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_finished_runs_are_skipped_and_broken_ones_continued(tmp_path, pair, trained, grid):
    out = tmp_path / "the runs"
    done_before = copy_run(trained, out / "a-b" / "done")
    broken = copy_run(trained, out / "a-b" / "broken")
    for file in (*broken.glob("scale_0[23].*"), broken / "results.png", broken / "real_a2b.png"):
        file.unlink()
    (out / "a-b" / "foreign").mkdir()
    (out / "a-b" / "foreign" / "notes.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in done_before.iterdir()}
    file = grid(f"*: --niter 3 {' '.join(TINY)}", "foreign:", "done:", "broken:")
    done = sweep("-j", 2, file, out, *pair, env={**os.environ, "PYTHON": sys.executable})
    assert words(done) == {"a-b/foreign": "failed", "a-b/done": "skipped", "a-b/broken": "continued"}
    assert done.returncode == 1
    assert "holds no run" in done.stdout  # why, on the status line
    assert {path: path.stat().st_mtime_ns for path in done_before.iterdir()} == before
    assert (broken / "real_a2b.png").read_bytes() == (trained / "real_a2b.png").read_bytes()
    assert "--load" in (out / "a-b" / "broken.log").read_text()


def test_lists_expand_and_common_flags_come_first(tmp_path, pictures, grid):
    lines = ["# comment", "*: --seed 1", "", "plain:", "x: --beta {1, 10} --alpha {0.5,2}", "größe: --note {ä,ö}"]
    done = prepare(tmp_path, grid(*lines), *pictures)
    assert done.stdout == "7\n"
    names = [name.removeprefix("my a-my b/") for name, *_ in jobs(tmp_path / "out")]
    assert names == ["plain", "x_1_0.5", "x_1_2", "x_10_0.5", "x_10_2", "größe_ä", "größe_ö"]
    assert jobs(tmp_path / "out")[3][1:] == [*map(str, pictures), "--seed 1 --beta 10 --alpha 0.5"]


ENCODINGS = {
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: "\ufeff".encode("utf-16-be") + text.encode("utf-16-be"),
    "Windows' line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "all of Windows'": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "line ends of an old Mac": lambda text: text.replace("\n", "\r").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
}


def test_lists_as_editors_save_them(tmp_path, pictures):
    both = list(map(str, pictures))
    for kind, encode in ENCODINGS.items():
        (tmp_path / "grid").write_bytes(encode("größe:\n# no\nx: --note 'two  words'\n"))
        (tmp_path / "pairs").write_bytes(encode('é: "my a.png"\t"my b.png"\n'))
        done = prepare(tmp_path, tmp_path / "grid", tmp_path / "pairs")
        assert (done.stdout, done.stderr) == ("2\n", ""), kind
        assert jobs(tmp_path / "out") == [["é/größe", *both, ""], ["é/x", *both, "--note 'two  words'"]], kind


ODD_NAMES = [
    "with  space",
    "trailing ",
    "-n",
    "it's",
    'say "x"',
    "back\\slash",
    "größe",
    "*",
    "$(touch pwned)",
    "#{1,2}: %s",
]


def test_names_as_people_give_them(tmp_path, grid, stand_in):
    """As pairs, in a folder that is a link, with flags that no shell may touch: train.py gets all as it is."""
    folder, out = tmp_path / "-all 'pairs'", tmp_path / 'an "out" \\ put'
    a, b = make_picture(tmp_path / "a.png", 1), make_picture(tmp_path / "b.png", 2)
    for index, name in enumerate(ODD_NAMES):
        (folder / name).mkdir(parents=True)
        for file, target in (("A.png", a), ("B.JPG", b)):  # as links, too
            (folder / name / file).symlink_to(target) if index % 2 else shutil.copy(target, folder / name / file)
    (tmp_path / "-link").symlink_to(folder)
    flags = ["--note", "two  words", "a\tb", "$(touch", "pwned)", "*", "-e"]
    file = grid("x: --note 'two  words' \"a\tb\" $(touch pwned) * -e")
    command = [SWEEP, "--", file.name, out.name, "-link"]
    done = subprocess.run(command, env=stand_in, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ODD_NAMES:
        given = (out / name / "x" / "arguments").read_text().splitlines()[1:]
        inputs = [tmp_path / "-link" / name / file for file in ("A.png", "B.JPG")]
        assert given == [
            *flags,
            "--input_a",
            str(inputs[0]),
            "--input_b",
            str(inputs[1]),
            "--out",
            str(out / name / "x"),
        ]
    assert not list(tmp_path.rglob("pwned"))


def test_what_lies_beside_the_pictures(tmp_path, grid):
    """Other files are left alone, a picture alone is named; a list in the folder counts more than its names."""
    folder = tmp_path / "all pairs"
    (folder / "one pair").mkdir(parents=True)
    (folder / "folder_B.png").mkdir()
    for name in ("one pair/A.png", "one pair/B.jpg", "two_A.PNG", "two_B.png", "alone_A.png", "one_pair_B.webp"):
        make_picture(folder / name, 1)
    for name in ("one pair/B.png.bak", "one pair/B.txt", "two_A.json", "two_A.PNG.tmp", "notes_A.md", "one pair/A.xmp"):
        (folder / name).touch()
    done = prepare(tmp_path, grid("plain:"), folder)
    assert [name for name, *_ in jobs(tmp_path / "out")] == ["one pair/plain", "two/plain"]
    assert jobs(tmp_path / "out")[0][1:3] == [str(folder / "one pair/A.png"), str(folder / "one pair/B.jpg")]
    notes = done.stderr.splitlines()
    assert [[name for name in ("alone_", "notes_", "one_pair_") if name in note] for note in notes] == [
        ["alone_"],
        ["notes_"],
        ["one_pair_"],
    ]
    (folder / "pairs.txt").write_text('mixed: "one pair/A.png" two_B.png\n')
    assert prepare(tmp_path, grid("plain:"), folder).stdout == "1\n"
    [(name, a, b, _)] = jobs(tmp_path / "out")
    assert (name, a, b) == ("mixed/plain", str(folder / "one pair/A.png"), str(folder / "two_B.png"))


BAD_GRIDS = {
    "plain": "line 1: not 'name: flags'",
    "a/b: --beta 1": "'a/b' is no name",
    "x: --beta {1,2": "{ without its }",
    "\n\nx: --note 'open": "line 3: a quote",
    "x_1:\nx: --beta {1}": "two settings would be called x_1",
    "x:\nx.log:": "x.log: a name must not end in .log",
    "# nothing": "holds no settings",
    "": "holds no settings",
    "x\0:\0": "save it as plain text in UTF-8",
}
A_LIST = ["a.png", "b.png", "it's.png", "pairs.txt"]
BAD_PAIRS = [
    (["x/A.png", "x/B.jpg", "x/B.png"], "B.jpg and B.png: which of them is it?"),
    (["x/A.png", "x/B.png", "x_A.png", "x_B.png"], "two pairs would be called x"),
    (["a\tb/A.png", "a\tb/B.png"], "control character"),
    (["x/A.png", "x/B.\n.png"], "control character"),
    (["sweep.lock_A.png", "sweep.lock_B.png"], "'sweep.lock' is no name"),
    (["a.png"], "holds no pairs"),
    ("x: a.png missing.png", "line 1: "),
    ("x: a.png b.png\n\nx: b.png a.png", "two pairs would be called x"),
    ("x: it's.png b.png", "line 1: a quote that does not end"),
    ("x: my a.png b.png", "line 1: not 'name: A B'"),
    ('x: "a\tb.png" b.png', "control character"),
    ("", "holds no pairs"),
]


def test_a_bad_grid_is_one_line(tmp_path, pictures):
    for content, message in BAD_GRIDS.items():
        (tmp_path / "grid").write_text(content)
        assert message in refusal(prepare(tmp_path, tmp_path / "grid", *pictures)), content
        assert not (tmp_path / "out").exists()


def test_bad_pairs_are_one_line(tmp_path, grid):
    """Which never blames the grid."""
    for index, (given, message) in enumerate(BAD_PAIRS):
        folder = tmp_path / str(index)
        for name in A_LIST if isinstance(given, str) else given:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(given if name == "pairs.txt" else "")
        line = refusal(prepare(tmp_path, grid("plain:"), folder))
        assert message in line, given
        assert "grid" not in line, given
        assert not (tmp_path / "out").exists()


def test_bad_arguments_are_one_line(tmp_path, grid, pictures):
    (tmp_path / "file").touch()
    tabbed = pictures[0].rename(tmp_path / "a\tb.png")
    for arguments, message in [
        ([tmp_path / "no\nsuch", "out", *pictures], "no such file"),
        ([grid("x:"), "", *pictures], "OUT is empty"),
        ([grid("x:"), tmp_path / "file", tabbed, pictures[1]], "control character"),
        ([grid("x:"), tmp_path / "file", pictures[1], pictures[1]], "cannot be made a folder"),
        ([grid("x:"), "out", ""], "PAIRS is empty"),
        ([grid("x:"), "out", "nowhere"], "nowhere: no such file or folder"),
    ]:
        assert message in refusal(sweep(*arguments, env={**os.environ}))


def test_each_gpu_has_a_run_of_its_own(tmp_path, pictures, grid, queue_with):
    out = tmp_path / "out"
    done = sweep(grid("x: --beta {1,2,3,4}"), out, *pictures, env={**queue_with, "CUDA_VISIBLE_DEVICES": "3,5"})
    assert "2 at a time" in done.stdout
    assert {path.read_text().split()[1] for path in out.glob("*/*/seen")} <= {"3", "5"}


def test_cores_are_shared_out_and_a_failure_stops_nobody(tmp_path, pair, grid, stand_in):
    out = tmp_path / "out"
    env = {**stand_in, "CUDA_VISIBLE_DEVICES": "-1"}
    done = sweep("-c", 2, grid("bad: --bad 1", "x: --beta {1,2}"), out, *pair, env=env)
    assert done.returncode == 1
    assert words(done) == {"a-b/bad": "failed", "a-b/x_1": "finished", "a-b/x_2": "finished"}
    assert "--bad: is bad" in done.stdout
    assert {path.read_text() for path in out.glob("*/*/seen")} == {"2 -1\n"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_runs_which_save_once(number, code, tmp_path, pictures, grid, queue_with):
    out = tmp_path / "out"
    command = [SWEEP, "-j", "2", grid("x: --wait {1,2,3,4}"), out, *pictures]
    # As from a terminal; a process started in the background of a script ignores SIGINT.
    running = subprocess.Popen(command, env=queue_with, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_started(out, 2)
    if shutil.which("flock"):
        assert "another sweep is running there" in refusal(sweep(*command[3:], env=queue_with))
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert [path.read_text() for path in out.glob("*/*/saved")] == ["x\n", "x\n"]
    assert "2 stopped of 4" in output
