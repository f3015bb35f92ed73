"""Whose files a folder holds: only what this program wrote is replaced, by one process at a time."""

import json
import os
import subprocess
import sys

import pytest
from conftest import TINY, complaint, make_frames
from folders import contents, copy_run, names

from utils.run_folder import LOCK, RunFolder

HOLD = "import sys; from filelock import FileLock\nwith FileLock(sys.argv[1]):\n    print('held', flush=True); input()"


@pytest.fixture
def out(evaluate, inputs, trained):
    """An evaluation's folder."""
    return evaluate(trained, *inputs, "--inject_levels", 1)


# What config.json lists.


def test_config_lists_every_file_and_is_finished_last(trained, out):
    for folder in (trained, out):
        record = json.loads((folder / "config.json").read_text())
        assert record["program"] == "structural-analogy" and record["finished"] is True
        listed = {name for name in record["files"] if (folder / name).exists()}
        assert listed == {name.partition("/")[0] for name in names(folder)} - {"config.json"}


@pytest.fixture
def filled(tmp_path) -> RunFolder:
    """A run with a result, a folder of its own and somebody's note."""
    run = RunFolder(tmp_path / "filled")
    run.path.mkdir()
    (run.path / "notes.txt").write_text("mine")
    run.begin("train.py", {"options": {"niter": 3}})
    for name in ("results.png", "scale_00.safetensors", "samples", "retrained_02"):
        path = run.claim(name)
        path = path if path.suffix else path / "more" / "log.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    run.note(finished=True)
    return run


KEPT = {"config.json", "scale_00.safetensors", "samples/more/log.jsonl", "retrained_02/more/log.jsonl"}


def test_resuming_keeps_what_was_trained_and_beginning_does_not(filled, tmp_path):
    filled.resume(filled)
    assert names(filled.path) == KEPT | {"notes.txt"} and filled.record["finished"] is False
    # Into a folder with another run, which goes.
    other = RunFolder(tmp_path / "other")
    other.path.mkdir()
    other.begin("train.py", {"options": {}})
    other.claim("scale_01.safetensors").touch()
    before = contents(filled.path)
    other.resume(filled)
    assert names(other.path) == KEPT and contents(filled.path) == before
    assert (other.options(), other.record["finished"]) == ({"niter": 3}, False)
    # What it lists outside itself, or what holds it, stays.
    filled.note(files=[*filled.record["files"], f"../{other.path.name}", "..", str(other.path)])
    filled.begin("eval.py", {})
    assert names(filled.path) == {"config.json", "notes.txt"} and names(other.path) == KEPT


# Inputs and other people's files.


def test_no_input_is_replaced(refused, pair, trained, tmp_path, out):
    (tmp_path / "link").symlink_to(out)
    read = tmp_path / "link" / "real_a.png"
    for command in (
        ["train.py", "--input_a", read, "--input_b", pair[1], *TINY],
        ["eval.py", "--input_a", pair[0], "--input_b", read, "--load", trained],
        ["refine.py", "--input", read, "--reference", pair[1], "--max_size", 32, "--gpu_id", -1],
        ["finish.py", "--input", pair[0], "--reference", read, "--finish_size", 20],
        ["finish.py", "--input", read, "--reference", pair[1], "--finish_size", 20],
    ):
        assert f"{read}: is --out" in refused([*command, "--out", out, "--overwrite"])
    frames = make_frames(tmp_path / "frames", 0, 1)
    words = ["eval.py", "--load", trained, "--gpu_id", -1, "--out", frames, "--input_a", frames]
    assert f"--input_a {frames}: is --out" in refused(words)


def test_another_programs_files_stay(cli, refused, inputs, tmp_path):
    words = ["train.py", *inputs, *TINY, "--niter", 1, "--overwrite", "--out"]
    for name in ("config.json", "log.jsonl", "samples", "results.png"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text('{"model_type": "bert"}')
        run = refused if name == "config.json" else lambda words: complaint(cli(*words))
        assert f"{name} exists and is not from" in run([*words, tmp_path / name])
        assert (tmp_path / name / name).read_text() == '{"model_type": "bert"}'
        assert not list((tmp_path / name).glob("scale_*"))  # nothing was trained in vain


def test_a_folder_filled_by_another_script_says_so(refused, inputs, pair, trained, out, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    line = refused(["train.py", *inputs, *TINY, "--out", out])
    assert "results of eval.py" in line and "--load" not in line and "--overwrite" in line
    assert "training run" in refused(["finish.py", "--input", pair[0], "--reference", pair[1], "--out", run])
    words = ["eval.py", *inputs, "--load", trained, "--gpu_id", -1, "--overwrite", "--out", run]
    assert "training run" in refused(words)
    words = ["refine.py", "--input", pair[0], "--load", run, "--out", tmp_path / "new"]
    assert "holds results of train.py" in refused(words)


def test_a_run_replaces_an_evaluation_alone(cli, inputs, out):
    (out / "notes.txt").write_text("mine")
    assert cli("train.py", *inputs, "--out", out, *TINY, "--niter", 1, "--overwrite").code == 0
    left = names(out)
    assert {"notes.txt", "scale_03.safetensors"} <= left and "real_a.png" not in left


# One process at a time.


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX has them")
def test_a_second_run_is_refused_until_the_first_ends(cli, inputs, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    program = [sys.executable, "-c", HOLD, str(run / LOCK)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holding:
        assert holding.stdout.readline() == b"held\n"
        before = contents(tmp_path)
        for command in (
            ["train.py", *inputs, *TINY, "--niter", 1, "--out", run, "--overwrite"],
            ["train.py", "--load", run],
        ):
            line = complaint(cli(*command))
            assert "another process is writing" in line and str(run) in line
        assert contents(tmp_path) == before
        holding.kill()
    assert cli("train.py", "--load", run, "--gpu_id", -1).code == 0
    assert not (run / LOCK).exists()
