"""Whose files a folder holds: what is read is never cleared, and only what this program wrote is."""

import json
import os
import re
from pathlib import Path

import pytest
from conftest import TINY, complaint, make_picture
from folders import contents, copy_run

from options import EvalOptions, FinishOptions, RefineOptions, TrainOptions
from utils.arguments import options_of
from utils.errors import UserError
from utils.files import write_atomic
from utils.runs.lock import NAME as LOCK
from utils.run_folder import OWN_OPTION, RunFolder
from utils.runs.state import run_state

REFINE = ["--max_size", 32, "--nfc", 4, "--min_nfc", 4, "--niter", 1, "--gpu_id", -1]


def link(path, target, kind: str):
    """A name for a file: itself, or a symbolic or a hard link, or a symbolic link to its folder."""
    if kind == "itself":
        return target
    if kind == "folder":
        path.symlink_to(target.parent)
        return path / target.name
    path.symlink_to(target) if kind == "symbolic" else os.link(target, path)
    return path


@pytest.fixture
def out(cli, pair, trained, tmp_path):
    """An evaluation's folder."""
    words = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--gpu_id", -1, "--inject_levels", 1]
    assert cli("eval.py", *words, "--out", tmp_path / "out").code == 0
    return tmp_path / "out"


# Inputs.


@pytest.mark.parametrize("kind", ["itself", "symbolic", "hard", "folder"])
def test_no_input_is_replaced(refused, pair, trained, tmp_path, out, kind):
    read, more = link(tmp_path / "link", out / "real_a.png", kind), ["--out", out, "--overwrite"]
    for command in (
        ["train.py", "--input_a", read, "--input_b", pair[1], *TINY],
        ["train.py", "--input_a", pair[0], "--input_b", read, *TINY],
        ["eval.py", "--input_a", read, "--input_b", pair[1], "--load", trained],
        ["eval.py", "--input_a", pair[0], "--input_b", read, "--load", trained],
        ["refine.py", "--input", read, "--reference", pair[1], *REFINE],
        ["refine.py", "--input", pair[0], "--reference", read, *REFINE, "--min_size", 16],
    ):
        line = refused([*command, *more])
        flag = command[command.index(read) - 1]
        assert f"{flag} {read}: is real_a.png of --out {out}" in line


def test_no_clip_is_replaced(cli, refused, trained, tmp_path):
    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    for index in range(2):
        make_picture(frames / f"{index}.png", index)
    words = ["eval.py", "--load", trained, "--gpu_id", -1, "--out"]
    assert cli(*words, out, "--input_a", frames).code == 0
    # The film it has made; a folder of frames that is the folder of the results, or has one of them among its own.
    assert "a2b.mp4" in refused([*words, out, "--overwrite", "--input_a", out / "a2b.mp4"])
    assert "frames of --input_a" in refused([*words, out, "--overwrite", "--input_a", out])
    assert "frames of --input_a" in refused([*words, frames, "--input_a", frames])
    make_picture(frames / "2.png", 2).rename(out / "real_a.png")
    (frames / "2.png").symlink_to(out / "real_a.png")
    assert "2.png: is real_a.png" in refused([*words, out, "--overwrite", "--input_a", frames])


def test_refine_going_on_spares_its_own_result(cli, refused, pair, tmp_path):
    out = tmp_path / "out"
    assert cli("refine.py", "--input", pair[0], "--reference", pair[1], "--out", out, *REFINE).code == 0
    line = refused(["refine.py", "--load", out, "--input", out / "refined_01.png", "--gpu_id", -1])
    assert "is refined_01.png of --out" in line


@pytest.mark.parametrize("script", ["train.py", "eval.py"])
def test_the_loaded_run_is_not_cleared_through_links(cli, refused, pair, trained, tmp_path, script):
    run, out = copy_run(trained, tmp_path / "run"), tmp_path / "copy"
    out.mkdir()
    (out / "config.json").write_bytes((run / "config.json").read_bytes())
    (out / "samples").symlink_to(run / "samples")
    words = [script, "--input_a", pair[0], "--input_b", pair[1], "--gpu_id", -1, "--overwrite", "--load", run, "--out"]
    assert "--load" in refused([*words, out])
    (out / "samples").unlink()
    assert cli(*words, out).code == 0


# Other people's files.

FOREIGN = {
    "config.json": '{"model_type": "bert"}',
    "log.jsonl": '{"loss": 0.5}\n',
    "results.png": "a plot",
    "state.safetensors": "weights",
    "metrics.json": "[1, 2]",
    "samples/00_step00001_a2b.png": "mine",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_another_programs_files_stay(refused, pair, trained, tmp_path, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text(FOREIGN[name])
    inputs = ["--input_a", pair[0], "--input_b", pair[1], "--out", out]
    for words in (["train.py", *inputs, *TINY], ["train.py", "--load", trained, "--out", out]):
        for overwrite in ([], ["--overwrite"]):
            line = refused([*words, *overwrite])
            assert name in line and "somebody else's" in line
    line = refused(["refine.py", "--input", pair[0], "--reference", pair[1], "--out", out, *REFINE, "--overwrite"])
    assert name in line
    line = refused(["eval.py", *inputs, "--load", trained, "--overwrite"])
    assert name in line or "training run" in line


def test_a_config_of_ours_or_not(tmp_path):
    run = RunFolder(tmp_path)
    (tmp_path / "results.png").touch()
    for text in ("", "{", "[]", "null", '{"program": 1}', '{"program": "other"}', "\xff", "[" * 10000):
        run.config.write_text(text, encoding="latin-1")
        with pytest.raises(UserError, match="somebody else's"):
            run.check_free(overwrite=True)
    run.record({"options": {}})
    run.check_free(overwrite=True)
    with pytest.raises(UserError, match="already holds results; --overwrite"):
        run.check_free(overwrite=False)


@pytest.mark.parametrize("name", ["results.png", "config.json", "samples", "log.jsonl"])
def test_what_is_in_the_way_is_found_first(refused, pair, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    if name == "samples":
        (out / name).touch()
    elif name == "log.jsonl":
        (out / name).symlink_to(tmp_path / "nowhere")
    else:
        (out / name).mkdir()
    line = refused(["train.py", "--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--overwrite"])
    assert f"{name} is in the way" in line


# Of which script.


@pytest.fixture
def folders(cli, pair, trained, out, tmp_path):
    """A folder that each script has filled, by the script."""
    refined, finished = tmp_path / "refined", tmp_path / "finished"
    assert cli("refine.py", "--input", pair[0], "--reference", pair[1], "--out", refined, *REFINE).code == 0
    assert (
        cli("finish.py", "--input", pair[0], "--reference", pair[1], "--out", finished, "--finish_size", 20).code == 0
    )
    run = copy_run(trained, tmp_path / "run")
    return {"train.py": run, "eval.py": out, "refine.py": refined, "finish.py": finished}


def test_a_folder_filled_by_another_script_says_so(refused, pair, trained, folders, tmp_path):
    pictures = ["--input_a", pair[0], "--input_b", pair[1]]
    image = ["--input", pair[0], "--reference", pair[1]]
    commands = {
        "train.py": [*pictures, *TINY],
        "eval.py": [*pictures, "--load", trained, "--gpu_id", -1],
        "refine.py": [*image, *REFINE],
        "finish.py": image,
    }
    for filler, folder in folders.items():
        for script, words in commands.items():
            line = refused([script, *words, "--out", folder])
            assert f"--out {folder}: " in line and f" of {filler}; " in line and "choose another --out" in line
            # Only what trained it can go on with it.
            assert f"{filler} --load to go on" in line or "--load" not in line
            if script not in {filler, "finish.py"} and (script, filler) != ("eval.py", "train.py"):
                line = refused([script, *words, "--load", folder, "--out", tmp_path / "new"])
                assert f"--load {folder}: is of {filler}; name a folder that" in line


def test_what_tells_the_scripts_apart_is_an_option_of_one_alone():
    kinds = {"train.py": TrainOptions, "eval.py": EvalOptions, "refine.py": RefineOptions, "finish.py": FinishOptions}
    for script, option in OWN_OPTION.items():
        assert [other for other, kind in kinds.items() if option in options_of(kind)] == [script]


# What a killed process leaves.


def left_behind(folder) -> None:
    """What is there after a kill before config.json was written."""
    folder.mkdir(exist_ok=True)
    (folder / LOCK).write_text("1 gone\n")
    (folder / ".config.json.ab12_xyz.tmp").write_text("{")


def test_after_a_kill_before_the_record(cli, pair, tmp_path):
    out = tmp_path / "out"
    left_behind(out)
    assert run_state(RunFolder(out)).kind == "empty"
    # Names that only look like it are somebody's own.
    (out / ".results.png.my-backup.tmp").write_text("mine")
    (out / ".write_test").write_text("mine")
    (out / ".run.lock").write_text("mine")
    assert run_state(RunFolder(out)).kind == "foreign"
    assert cli("train.py", "--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--niter", 1).code == 0
    assert not (out / ".config.json.ab12_xyz.tmp").exists() and not (out / LOCK).exists()
    assert all(
        (out / name).read_text() == "mine" for name in (".results.png.my-backup.tmp", ".write_test", ".run.lock")
    )


def test_a_temporary_file_has_the_name_that_is_cleared(monkeypatch, tmp_path):
    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    with pytest.raises(SystemExit):
        write_atomic(tmp_path / "scale_00.safetensors", b"")
    monkeypatch.undo()
    assert [path.name for path in RunFolder(tmp_path).unfinished_files()] == os.listdir(tmp_path) != []


def test_a_kill_while_old_results_are_cleared(cli, monkeypatch, pair, trained, tmp_path):
    words = ["--input_a", pair[0], "--input_b", pair[1], *TINY, "--niter", 1, "--overwrite"]
    real = Path.unlink
    total = len(RunFolder(trained).own_files())
    for number in (1, total // 2, total - 1, total):
        run, left = copy_run(trained, tmp_path / str(number)), [number]

        def unlink(path, *more, left=left, run=run, **options):
            if run in path.parents and path.name != LOCK:
                left[0] -= 1
                if left[0] < 0:
                    raise SystemExit(9)
            return real(path, *more, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            cli("train.py", "--out", run, *words)
        RunFolder(run).check_free(overwrite=True)
    assert cli("train.py", "--out", tmp_path / "1", *words).code == 0


def test_a_run_and_an_evaluation_are_marked_and_replace_each_other(cli, pair, trained, tmp_path, out):
    for folder in (trained, out):
        assert json.loads((folder / "config.json").read_text())["program"] == "structural-analogy"
    (out / "notes.txt").write_text("mine")
    inputs = ["--input_a", pair[0], "--input_b", pair[1], "--out", out, "--overwrite"]
    assert cli("train.py", *inputs, *TINY, "--niter", 1).code == 0
    left = contents(out)
    assert left["notes.txt"] == b"mine" and "real_a.png" not in left
    line = complaint(cli("eval.py", *inputs, "--load", trained))
    assert re.search("holds a training run", line)


def test_a_run_without_a_finished_scale_says_how_to_go_on(cli, pair, trained, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((trained / "config.json").read_bytes())
    words = ["--input_a", pair[0], "--input_b", pair[1], "--load", begun, "--out", tmp_path / "out", "--gpu_id", -1]
    missing = f"error: --load {begun}: holds no finished scale (scale_00.safetensors is missing)"
    assert cli("eval.py", *words).err.splitlines()[-1] == missing
    (begun / "state.safetensors").write_bytes(b"")
    line = cli("eval.py", *words).err.splitlines()[-1]
    assert line.startswith(f"{missing}; to finish it: ")
    assert f"train.py --load {begun}" in line
