"""Whose files a folder holds: only what this program wrote is replaced, by one process at a time."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, TINY, complaint, make_picture
from folders import contents, copy_run, names

from utils.errors import UserError
from utils.files import TEMPORARY
from utils.run_folder import LOCK, RunFolder

REFINE = ["--max_size", 32, "--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]
HOLD = (
    "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
    "from utils.run_folder import RunFolder\n"
    "with RunFolder(Path(sys.argv[2])).locked():\n    print('held', flush=True)\n    time.sleep(600)"
)


@pytest.fixture
def out(cli, pair, trained, tmp_path):
    """An evaluation's folder."""
    words = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--gpu_id", -1, "--inject_levels", 1]
    assert cli("eval.py", *words, "--out", tmp_path / "out").code == 0
    return tmp_path / "out"


def inputs(pair) -> list:
    return ["--input_a", pair[0], "--input_b", pair[1]]


# What config.json lists.


def test_config_lists_every_file_and_is_finished_last(trained, out):
    for folder in (trained, out):
        record = json.loads((folder / "config.json").read_text())
        assert record["program"] == "structural-analogy" and record["finished"] is True
        listed = {name for name in record["files"] if (folder / name).exists()}
        assert listed == names(folder) - {"config.json"}


def test_clearing_leaves_what_is_not_listed(tmp_path):
    run = RunFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    run.begin("train.py", {"options": {}})
    for name in ("results.png", "scale_00.safetensors", "samples/00_step00001_a2b.png"):
        path = run.claim(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    run.clear_results()
    assert names(tmp_path) == {"notes.txt", "config.json", "scale_00.safetensors", "samples/00_step00001_a2b.png"}
    run.clear()
    assert names(tmp_path) == {"notes.txt"} and not run.samples.exists()


def test_a_file_in_the_way_is_never_claimed(tmp_path):
    run = RunFolder(tmp_path)
    run.begin("eval.py", {})
    (tmp_path / "real_a.png").write_text("mine")
    with pytest.raises(UserError, match=r"real_a\.png is in the way"):
        run.claim("real_a.png")
    assert run.files() == []


def test_finished_scales_stop_at_a_gap(tmp_path):
    run = RunFolder(tmp_path)
    for scale in (0, 1, 3):
        run.scale(scale).touch()
    assert run.finished_scales() == 2


# Inputs and other people's files.


@pytest.mark.parametrize("kind", ["itself", "symbolic", "folder"])
def test_no_input_is_replaced(refused, pair, trained, tmp_path, out, kind):
    read = out / "real_a.png"
    if kind == "symbolic":
        (tmp_path / "link").symlink_to(read)
        read = tmp_path / "link"
    elif kind == "folder":
        (tmp_path / "link").symlink_to(out)
        read = tmp_path / "link" / "real_a.png"
    for command in (
        ["train.py", "--input_a", read, "--input_b", pair[1], *TINY],
        ["eval.py", "--input_a", pair[0], "--input_b", read, "--load", trained],
        ["refine.py", "--input", read, "--reference", pair[1], *REFINE],
        ["finish.py", "--input", pair[0], "--reference", read, "--finish_size", 20],
    ):
        line = refused([*command, "--out", out, "--overwrite"])
        assert str(read) in line and "would be replaced" in line


def test_no_clip_is_replaced(cli, refused, trained, tmp_path):
    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    for index in range(2):
        make_picture(frames / f"{index}.png", index)
    words = ["eval.py", "--load", trained, "--gpu_id", -1, "--out"]
    assert cli(*words, out, "--input_a", frames).code == 0
    assert "would be replaced" in refused([*words, out, "--overwrite", "--input_a", out / "a2b.mp4"])
    assert "frames of --input_a" in refused([*words, frames, "--input_a", frames])


@pytest.mark.parametrize("name", ["config.json", "log.jsonl", "results.png", "state.safetensors"])
def test_another_programs_files_stay(refused, pair, trained, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"model_type": "bert"}')
    for words in (["train.py", *inputs(pair), *TINY], ["train.py", "--load", trained]):
        line = refused([*words, "--out", out, "--overwrite"])
        assert f"{name} is in the way" in line


def test_a_folder_filled_by_another_script_says_so(cli, refused, pair, trained, out, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    line = refused(["train.py", *inputs(pair), *TINY, "--out", out])
    assert "results of eval.py" in line and "--load" not in line and "--overwrite" in line
    line = refused(["train.py", *inputs(pair), *TINY, "--out", run])
    assert "results of train.py" in line and "--load to resume" in line
    for script in ("eval.py", "finish.py"):
        words = ["--input", pair[0], "--reference", pair[1]]
        words = [*inputs(pair), "--load", trained] if script == "eval.py" else words
        assert "training run" in refused([script, *words, "--out", run, "--overwrite"])
    line = refused(["refine.py", "--input", pair[0], "--load", run, "--out", tmp_path / "new"])
    assert "is of train.py" in line


def test_a_run_replaces_an_evaluation(cli, pair, out):
    (out / "notes.txt").write_text("mine")
    assert cli("train.py", *inputs(pair), "--out", out, *TINY, "--niter", 1, "--overwrite").code == 0
    left = names(out)
    assert "notes.txt" in left and "real_a.png" not in left and "scale_03.safetensors" in left


def test_what_a_killed_process_left_half_written_is_removed(cli, pair, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{TEMPORARY}ab12_xyz").write_text("{")
    (out / ".backup.tmp").write_text("mine")
    assert cli("train.py", *inputs(pair), "--out", out, *TINY, "--niter", 1).code == 0
    assert not list(out.glob(f"{TEMPORARY}*")) and (out / ".backup.tmp").exists()


# One process at a time.


@pytest.fixture
def held(tmp_path):
    """`held(folder)`: another process that holds the folder's lock."""
    processes = []

    def start(folder) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(ROOT), str(folder)], stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_run_is_refused_and_touches_nothing(cli, held, pair, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    held(run)
    before = contents(tmp_path)
    for command in (
        ["train.py", *inputs(pair), *TINY, "--niter", 1, "--out", run, "--overwrite"],
        ["train.py", "--load", run],
        ["train.py", "--load", run, "--out", tmp_path / "copy"],
    ):
        line = complaint(cli(*command))
        assert "another process is writing" in line and str(run) in line
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX has them")
def test_a_killed_process_leaves_no_lock(cli, held, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    process = held(run)
    process.kill()
    process.wait()
    assert cli("train.py", "--load", run, "--gpu_id", -1).code == 0
    assert not (run / LOCK).exists()


def test_a_file_system_without_locks_is_told_and_used(monkeypatch, capsys, tmp_path):
    def no_locks(*_: object, **__: object) -> None:
        raise NotImplementedError("no flock")

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    with RunFolder(tmp_path / "run").locked():
        pass
    assert capsys.readouterr().err.startswith("warning: --out ")
