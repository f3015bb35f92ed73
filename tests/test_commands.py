"""Command lines: the ones the program prints run where they are pasted; paths on the ones it is given."""

import shlex
from pathlib import Path

import pytest
from conftest import ROOT, TINY, complaint, make_frames, train_tiny
from folders import contents
from interrupted import stop_after

from scripts import report


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    folder = tmp_path / "else where"
    folder.mkdir()
    return folder


@pytest.fixture
def beside(monkeypatch, pair, tmp_path) -> Path:
    """The folder of the process now, with the pictures a.png and b.png."""
    monkeypatch.chdir(tmp_path)
    for picture, name in zip(pair, "ab", strict=True):
        Path(f"{name}.png").write_bytes(picture.read_bytes())
    return tmp_path


# Printed commands.


def test_the_hints_for_resuming_run_elsewhere(cli, monkeypatch, beside, elsewhere):
    def resumed(line: str) -> Path:
        """Do what a printed line says, in another folder."""
        words = shlex.split(line)
        monkeypatch.chdir(elsewhere)
        result = cli(Path(words[1]).name, *words[2:])
        monkeypatch.chdir(beside)
        assert result.code == 0, result.err
        assert Path(words[1]).parent == ROOT and contents(elsewhere) == {}
        return Path(words[words.index("--load") + 1])

    name, patch = "it's  two", pytest.MonkeyPatch()
    patch.setattr("training.resume.StopRequest", stop_after(2))
    words = ["--input_a", "a.png", "--input_b", "b.png", "--out", name, *TINY, "--niter", 1, "--not_cuda"]
    stopped = cli("train.py", *words)
    patch.setattr("training.resume.StopRequest", stop_after(1))
    words = ["--max_size", 32, "--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]
    refining = cli("refine.py", "--input", "a.png", "--reference", "b.png", "--out", "my run", *words)
    patch.undo()
    assert (stopped.code, refining.code) == (130, 130), refining.err

    # The evaluation of what is unfinished names the same command.
    line = stopped.err.splitlines()[-1]
    told = cli("eval.py", "--input_a", "a.png", "--input_b", "b.png", "--load", name, "--out", "eval", "--gpu_id", -1)
    assert line.endswith(" --gpu_id -1") and complaint(told).endswith(line)
    assert resumed(line) == beside / name and (beside / name / "results.png").is_file()
    assert (resumed(refining.err.splitlines()[-1]) / "results.png").is_file()


# Inputs of a run that is resumed.


def test_a_run_knows_its_inputs_from_elsewhere(cli, capsys, monkeypatch, beside, elsewhere):
    def problems(run: str) -> str:
        assert report.main([run]) == 0
        capsys.readouterr()
        return " ".join(report.read_run(Path(run), Path(run)).problems)

    train_tiny(Path("run"), "--input_a", "a.png", "--input_b", "./b.png", "--niter", 1)
    monkeypatch.chdir(elsewhere)
    assert cli("train.py", "--load", "../run", "--gpu_id", -1).code == 0
    assert problems("../run") == ""

    # Moved: the line names the recorded place and the option; both the run and the report learn the new one.
    (beside / "b.png").rename(elsewhere / "new b.png")
    assert f"--input_b {beside / 'b.png'}: no such file" in problems("../run")
    for words in ([], ["--out", "copy"], ["--dry_run"]):
        line = complaint(cli("train.py", "--load", "../run", "--gpu_id", -1, *words))
        assert line.startswith(f"error: --input_b {beside / 'b.png'}: ") and line.endswith("--input_b FILE")
    assert cli("train.py", "--load", "../run", "--gpu_id", -1, "--input_b", "new b.png").code == 0
    monkeypatch.chdir(beside)
    assert cli("train.py", "--load", "run", "--gpu_id", -1).code == 0
    assert problems("run") == ""


def test_a_moved_clip_and_a_moved_reference(cli, beside):
    make_frames(Path("frames"), 0, 1)
    words = ["--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]
    train_tiny(Path("clip"), "--input_a", "frames", "--input_b", "b.png", *words)
    image = ["--input", "a.png", "--reference", "b.png", "--out", "refined", "--max_size", 32, *words]
    assert cli("refine.py", *image).code == 0
    Path("frames").rename("moved")
    Path("b.png").rename("moved.png")
    assert f"--input_a {beside / 'frames'}" in complaint(cli("train.py", "--load", "clip"))
    assert f"--reference {beside / 'b.png'}" in complaint(cli("refine.py", "--load", "refined"))
    more = ["--reference", "moved.png", "--gpu_id", -1]
    assert cli("refine.py", "--load", "refined", *more).code == 0
    assert cli("refine.py", "--load", "refined", "--gpu_id", -1).code == 0
