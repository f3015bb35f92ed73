"""Wrong usage and unusable input: exit status 2, one line that names the flag or file, nothing touched."""

import os
import signal
from pathlib import Path

import pytest
from conftest import TINY, make_picture, train_tiny
from folders import copy_run
from interrupted import stop_after
from PIL import Image

import config
from models.inference import TrainedPair
from utils.device import available_gpus, device_name
from utils.errors import Stopped, UserError
from utils.files import load_checkpoint, save_checkpoint


@pytest.fixture
def commands(inputs, trained, tmp_path) -> dict[str, list]:
    """A train and an eval command that would work; what is appended to one wins."""
    words = [*inputs, "--out", tmp_path / "out"]
    return {
        "train": ["train.py", *words, *TINY, "--niter", 1],
        "eval": ["eval.py", *words, "--load", trained, "--gpu_id", "-1"],
    }


@pytest.fixture(scope="session")
def stopped(tmp_path_factory, inputs) -> Path:
    """A run stopped within its first scale; tests must not write into it."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("training.resume.StopRequest", stop_after(2))
        train_tiny(out, *inputs, "--niter", 9)
    return out


# Images.


@pytest.mark.parametrize(("script", "flag"), [("train", "--input_b"), ("eval", "--input_a")])
def test_bad_images(refused, commands, pair, tmp_path, script, flag):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "two\nlines.png").write_text("This is not an image.\n")
    (tmp_path / "empty.jpg").touch()
    content = pair[0].read_bytes()
    (tmp_path / "truncated.png").write_bytes(content[: len(content) // 2])
    Image.new("RGB", (40, 11)).save(tmp_path / "thin.png")
    Image.new("F", (40, 40), 7.5).save(tmp_path / "float.tiff")
    os.mkfifo(tmp_path / "fifo.png")
    signal.alarm(60)  # ends a test that waits for somebody to write into it
    names = ["missing.png", *(path.name for path in tmp_path.iterdir())]
    for name in names:
        if name != "folder.png" or flag == "--input_b":  # A may be a folder of frames.
            line = refused([*commands[script], flag, tmp_path / name])
            assert flag in line and name.split("\n")[0] in line
    signal.alarm(0)


# Options.

WRONG_OPTIONS = [
    "--min_size 21",  # larger than --img_size 20
    "--max_size 6",  # leaves one scale
    "--min_size 9",  # nothing left for the discriminator
    *("--img_size 0", "--niter abc", "--scale_factor 1", "--scale_factor nan", "--lr_d 0", "--alpha inf"),
    *("--nc_z 4", "--preset fast", "--gpu_id -2", "--netG x", "--nite 1", "stray"),
    *("--quant_level 2", "--start 1", "--frames 2", "--every 2", "--fps 5"),  # of clips
    *("--start 1:x", "--start 1:2:3:4"),
]


@pytest.mark.parametrize("words", WRONG_OPTIONS)
def test_wrong_option_of_train(words):
    flag, *_ = words.split()
    with pytest.raises(UserError, match=flag) as caught:
        config.parse_train(["--input_a", "a.png", "--input_b", "b.png", "--out", "out", *TINY, *words.split()])
    assert "\n" not in str(caught.value)


GPUS = [device_name(gpu) for gpu in available_gpus()] or ["none"]


@pytest.mark.parametrize(
    ("script", "words", "told"),
    [
        ("train", "--ker_size 5", ["--min_size", "12x12", "at least 21"]),
        ("train", "--gpu_id 77", ["--gpu_id 77", *GPUS]),
        ("eval", "--inject_levels 0", ["--inject_levels"]),
        ("eval", "--inject_scale 4", ["--inject_scale 4", "0 to 3"]),
        ("eval", "--samples 0", ["--samples", "1 or more"]),
        ("eval", "--out_size 11", ["--out_size 11", "12 to 32768"]),
        ("eval", "--out_size 32769", ["--out_size 32769", "12 to 32768"]),
        ("eval", "--niter 3", ["--niter"]),
        ("eval", "--loa x", ["--loa"]),
        ("eval", "--min_size 11", ["--min_size"]),
    ],
)
def test_what_a_wrong_option_is_told(refused, commands, script, words, told):
    line = refused([*commands[script], *words.split()])
    assert all(word in line for word in told)


def test_required_options(refused):
    assert "--input_a, --input_b, --out must be given" in refused(["train.py"])
    assert "--load must be given" in refused(["eval.py", "--input_a", "a", "--input_b", "b", "--out", "o"])
    assert "--reference must be given" in refused(["finish.py", "--input", "a", "--out", "o"])


# Where the results go.


@pytest.mark.parametrize("script", ["train", "eval"])
def test_unwritable_out(refused, commands, tmp_path, script):
    (tmp_path / "file").write_text("someone's notes\n")
    for out in (tmp_path / "file" / "below", *(["/proc/x"] if Path("/proc").is_dir() else [])):
        line = refused([*commands[script], "--out", out])
        assert "--out" in line and str(out) in line


def test_a_resumed_run_does_not_replace_another(refused, commands, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    assert "--overwrite" in refused([*commands["train"], "--load", trained, "--out", run])


# Runs to load.


@pytest.mark.parametrize("change", [("scale", 3), ("geometry", {"img_size": 24}), ("architecture", {"nfc": 8})])
def test_a_scale_of_another_run(trained, tmp_path, change):
    path, (name, value) = copy_run(trained, tmp_path / "run") / "scale_01.safetensors", change
    tensors, values = load_checkpoint(path)
    save_checkpoint(tensors, values | {name: value}, path)
    with pytest.raises(UserError, match=r"^--load .*scale_01\.safetensors: is not scale 1 of this run$"):
        TrainedPair.load(path.parent)


@pytest.mark.parametrize(
    ("script", "name"), [("train", "scale_01"), ("eval", "scale_00"), ("eval", "scale_03"), ("train", "state")]
)
def test_a_damaged_file_is_one_line(refused, commands, trained, stopped, tmp_path, script, name):
    path = copy_run(stopped if name == "state" else trained, tmp_path / "run") / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    # Neither into a new folder nor in place.
    for out in (tmp_path / "out", path.parent) if script == "train" else (tmp_path / "out",):
        assert f"--load {path}: damaged" in refused([*commands[script], "--load", path.parent, "--out", out])


@pytest.mark.parametrize("script", ["train", "eval"])
def test_nothing_to_load(refused, commands, trained, tmp_path, script):
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        line = refused([*commands[script], "--load", tmp_path / name])
        assert "--load" in line and name in line
    # Another geometry: both values.
    line = refused([*commands[script], "--load", trained, "--img_size", 24])
    assert "--img_size 24" in line and "20" in line.replace(str(trained), "")


@pytest.mark.parametrize("text", ["", "[]", '{"options": 3}', '{"options": {"niter": "many"}}', "\0"])
def test_damaged_config(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"^--load {tmp_path}[^\n]*$"):
        config.parse_train(["--load", str(tmp_path)])


def test_going_on_with_another_picture(refused, commands, trained, tmp_path):
    line = refused([*commands["train"], "--load", trained, "--input_b", make_picture(tmp_path / "other.png", 9)])
    assert "--input_b" in line and "--load" in line


def test_eval_of_an_unfinished_run(refused, commands, trained, stopped, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    (run / "scale_03.safetensors").unlink()
    assert "3 of 4 scales" in refused([*commands["eval"], "--load", run])
    assert "--load" in refused([*commands["eval"], "--load", stopped])
