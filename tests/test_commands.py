"""Command lines: the ones the program prints run where they are pasted; paths on the ones it is given."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT, TINY, complaint, make_picture
from folders import contents
from interrupted import StopAfter

from scripts import report
from utils.commands import python

ODD_NAMES = [
    "my run",
    "it's  two",
    'a"b$HOME`x`!',
    "tab\tand\nline",
    "-run",
    "ü 日本",
    os.fsdecode(b"no\xfftext"),
    "#~*",
]
BASH = "/bin/bash"


def pasted(line: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run a printed command line in a shell of another folder."""
    return subprocess.run([BASH, "-c", line], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    folder = tmp_path / "else where"
    folder.mkdir()
    return folder


# What the scripts answer.


SCRIPTS = [
    path
    for path in sorted((ROOT / "scripts").glob("*.*"))
    if path.suffix != ".slurm" and re.search(r"^#!|__main__", path.read_text())
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_says_what_it_does(capsys, script):
    if "def main(" in script.read_text():
        with pytest.raises(SystemExit) as stop:
            import_module(f"scripts.{script.stem}").main(["--help"])
        code, told = stop.value.code, capsys.readouterr().out
    else:
        command = [sys.executable if script.suffix == ".py" else BASH, script, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        code, told = done.returncode, done.stdout
    assert code == 0
    assert len(told.split()) > 12


# Printed commands.


@pytest.mark.parametrize("name", ODD_NAMES)
def test_words_arrive_as_they_were(monkeypatch, tmp_path, elsewhere, name):
    monkeypatch.chdir(tmp_path)
    line = python("-c", "import os, sys; os.write(1, os.fsencode(sys.argv[1]))", Path(name))
    done = subprocess.run([BASH, "-c", line], cwd=elsewhere, capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["it's  two", "-tab\tand $x"])
def test_the_hints_for_going_on_run_elsewhere(cli, monkeypatch, pair, tmp_path, elsewhere, name):
    # Names relative to the folder the run was started in, and a run stopped there.
    monkeypatch.chdir(tmp_path)
    for picture, short in zip(pair, "ab", strict=True):
        Path(short).write_bytes(picture.read_bytes())
    monkeypatch.setattr("train.StopRequest", lambda: StopAfter(2))
    stopped = cli("train.py", "--input_a", "a", "--input_b", "b", f"--out={name}", *TINY, "--niter", 1, "--not_cuda")
    assert stopped.code == 130
    monkeypatch.undo()
    line = stopped.err.splitlines()[-1]
    assert line.endswith(" --gpu_id -1")

    # The evaluation of what is unfinished names the same command.
    out = ["--out", tmp_path / "eval", "--gpu_id", -1, "--not_cuda"]
    told = cli("eval.py", *(f"--input_{x}={tmp_path / x}" for x in "ab"), "--load", tmp_path / name, *out)
    assert complaint(told).endswith(line)

    done = pasted(line, elsewhere)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name / "results.png").is_file()
    assert contents(elsewhere) == {}


def test_the_hint_of_refine_runs_elsewhere(cli, monkeypatch, pair, tmp_path, elsewhere):
    monkeypatch.chdir(tmp_path)
    for picture, short in zip(pair, "ab", strict=True):
        Path(short).write_bytes(picture.read_bytes())
    monkeypatch.setattr("refine.StopRequest", lambda: StopAfter(1))
    words = ["--max_size", 32, "--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]
    stopped = cli("refine.py", "--input", "a", "--reference", "b", "--out", "my run", *words)
    assert stopped.code == 130, stopped.err
    done = pasted(stopped.err.splitlines()[-1], elsewhere)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my run" / "results.png").is_file()


# Inputs of a run that is gone on with.


def test_a_run_knows_its_inputs_from_elsewhere(cli, capsys, monkeypatch, pair, tmp_path, elsewhere):
    def problems(run: str) -> str:
        assert report.main([run]) == 0
        capsys.readouterr()
        return " ".join(report.read_run(Path(run), Path(run)).problems)

    monkeypatch.chdir(tmp_path)
    for picture, short in zip(pair, "ab", strict=True):
        Path(f"{short}.png").write_bytes(picture.read_bytes())
    assert cli("train.py", "--input_a", "a.png", "--input_b", "./b.png", "--out", "run", *TINY, "--niter", 1).code == 0
    monkeypatch.chdir(elsewhere)
    assert cli("train.py", "--load", "../run", "--gpu_id", -1).code == 0
    assert problems("../run") == ""

    # Moved: the line names the recorded place and the option; both the loop and the report learn the new one.
    new = elsewhere / "new b.png"
    (tmp_path / "b.png").rename(new)
    told = problems("../run")
    assert f"--input_b {tmp_path / 'b.png'}: no such file" in told
    for words in ([], ["--out", "copy"], ["--dry_run"]):
        line = complaint(cli("train.py", "--load", "../run", "--gpu_id", -1, *words))
        assert line.startswith(f"error: --input_b {tmp_path / 'b.png'}: ") and line.endswith("--input_b FILE")
    assert cli("train.py", "--load", "../run", "--gpu_id", -1, "--input_b", "new b.png").code == 0
    monkeypatch.chdir(tmp_path)
    assert cli("train.py", "--load", "run", "--gpu_id", -1).code == 0
    assert problems("run") == ""


def test_a_moved_clip_and_a_moved_reference(cli, pair, tmp_path):
    frames, reference = tmp_path / "frames", tmp_path / "reference.png"
    frames.mkdir()
    for index in range(2):
        make_picture(frames / f"{index}.png", index)
    make_picture(reference, 3)
    words = ["--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]
    assert (
        cli("train.py", "--input_a", frames, "--input_b", pair[1], "--out", tmp_path / "clip", *TINY, *words).code == 0
    )
    words += ["--max_size", 32]
    paths = ["--input", pair[0], "--reference", reference, "--out", tmp_path / "refined"]
    assert cli("refine.py", *paths, *words).code == 0
    frames.rename(tmp_path / "moved")
    reference.rename(tmp_path / "moved.png")
    assert f"--input_a {frames}" in complaint(cli("train.py", "--load", tmp_path / "clip"))
    assert f"--reference {reference}" in complaint(cli("refine.py", "--load", tmp_path / "refined"))
    more = ["--reference", tmp_path / "moved.png", "--gpu_id", -1]
    assert cli("refine.py", "--load", tmp_path / "refined", *more).code == 0
    assert cli("refine.py", "--load", tmp_path / "refined", "--gpu_id", -1).code == 0
