"""Wrong usage and unusable input: exit status 2, one line that names the flag or file, nothing touched."""

import os
import shlex
import shutil
import signal
import struct
import threading
import time
import zlib
from pathlib import Path

import pytest
import torch
from conftest import TINY, complaint, make_picture
from folders import copy_run, rewrite
from PIL import Image

import config
import train
from models.run import Run
from training.loop import load_state
from training.optimisers import OptimiserSettings
from utils.checkpoint import CheckpointError
from utils.device import available_gpus
from utils.errors import UserError
from utils.run_folder import RunFolder

CPU = torch.device("cpu")

needs_posix = pytest.mark.skipif(os.name != "posix", reason="FIFOs and links as POSIX has them")
needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here")


@pytest.fixture
def commands(pair, trained, tmp_path) -> dict[str, list]:
    """A train and an eval command that would work; what is appended to one wins."""
    inputs = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "out"]
    return {
        "train": ["train.py", *inputs, *TINY, "--niter", 1],
        "eval": ["eval.py", *inputs, "--load", trained, "--gpu_id", "-1"],
    }


@pytest.fixture(scope="session")
def stopped(tmp_path_factory, pair) -> Path:
    """A run stopped by Ctrl-C within its first scale; tests must not write into it."""
    out = tmp_path_factory.mktemp("stopped") / "run"

    def interrupt_when_saved() -> None:
        deadline = time.monotonic() + 60
        while not (out / "state.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_saved)
    thread.start()
    arguments = ["--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--niter", 10**6]
    arguments += ["--save_every", 0]
    assert train.main([str(argument) for argument in arguments]) == 130
    thread.join()
    return out


# Pictures.


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path: Path, side: int) -> None:
    """A 1-bit PNG of a hundred bytes that says it has `side` x `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks))


def cut_short(path: Path) -> None:
    make_picture(path, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD_PICTURES = {
    "missing.png": lambda path: None,
    "folder.png": lambda path: path.mkdir(),
    "text.png": lambda path: path.write_text("This is not a picture.\n"),
    "truncated.jpg": cut_short,
    "truncated.png": cut_short,
    "empty.jpg": lambda path: path.touch(),
    "pixel.png": lambda path: Image.new("RGB", (1, 1)).save(path),
    "thin.png": lambda path: Image.new("RGB", (40, 11)).save(path),
    "bomb.png": lambda path: bomb(path, 20000),
    "small_bomb.png": lambda path: bomb(path, 10000),
    "float.tiff": lambda path: Image.new("F", (40, 40), 7.5).save(path),
    "two\nlines.png": lambda path: path.write_text("This is not a picture.\n"),
}


@pytest.mark.parametrize("name", BAD_PICTURES, ids=lambda name: name.replace("\n", " "))
def test_bad_picture(refused, commands, tmp_path, name):
    BAD_PICTURES[name](tmp_path / name)
    line = refused([*commands["train"], "--input_b", tmp_path / name])
    assert "--input_b" in line
    assert name.split("\n")[0] in line


@pytest.mark.parametrize(("script", "flag"), [("train", "--input_a"), ("eval", "--input_a"), ("eval", "--input_b")])
def test_a_bad_picture_is_named_by_its_flag(refused, commands, tmp_path, script, flag):
    BAD_PICTURES["text.png"](tmp_path / "text.png")
    line = refused([*commands[script], flag, tmp_path / "text.png"])
    assert flag in line and "text.png" in line


@needs_posix
def test_symlink_loop_as_picture(refused, commands, tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    line = refused([*commands["eval"], "--input_a", tmp_path / "loop.png"])
    assert "--input_a" in line and "loop.png" in line


@needs_posix
def test_fifo_does_not_hang(cli, commands, tmp_path):
    def give_up(*_: object) -> None:
        raise TimeoutError("it hangs")

    os.mkfifo(tmp_path / "fifo.png")
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    try:
        line = complaint(cli(*commands["train"], "--input_b", tmp_path / "fifo.png"))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert "--input_b" in line and "fifo.png" in line
    assert not (tmp_path / "out").exists()


# Options.

WRONG_OPTIONS = [
    "--min_size 21",  # larger than --img_size 20
    "--max_size 6",  # leaves one scale
    "--min_size 9",  # nothing left for the discriminator
    "--padd_size 3",
    "--img_size 0",
    "--niter abc",
    "--niter 1.5",
    "--niter",
    "--scale_factor 0",
    "--scale_factor 1",
    "--scale_factor nan",
    "--lr_d 0",
    "--beta1 1",
    "--alpha inf",
    "--lambda_g -inf",
    "--nc_z 4",
    "--preset fast",
    "--seed -1",
    "--gpu_id -2",
    "--netG x",
    "--nite 1",
    "stray",
]


@pytest.mark.parametrize("words", WRONG_OPTIONS)
def test_wrong_option_of_train(words):
    flag, *_ = words.split()
    with pytest.raises(UserError, match=flag) as caught:
        config.parse_train(["--input_a", "a.png", "--input_b", "b.png", "--out", "out", *TINY, *words.split()])
    assert "\n" not in str(caught.value)


def test_kernel_that_leaves_nothing_to_score(refused, commands):
    line = refused([*commands["train"], "--ker_size", 5])
    assert all(words in line for words in ("--min_size", "12x12", "at least 21"))


@pytest.mark.parametrize("words", ["--inject_levels 0", "--niter 3", "--loa x", "--min_size 11", "--scale_factor 0.5"])
def test_wrong_option_of_eval(refused, commands, words):
    flag, value = words.split()
    line = refused([*commands["eval"], flag, value])
    assert flag in line


def test_missing_gpu_lists_what_there_is(refused, commands):
    line = refused([*commands["train"], "--gpu_id", 77])
    assert "--gpu_id 77" in line
    for name in [name for _, name in available_gpus()] or ["none"]:
        assert name in line


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("train.py --input_b b --out o", "--input_a"),
        ("train.py --input_a a --out o", "--input_b"),
        ("train.py --input_a a --input_b b", "--out"),
        ("eval.py --input_a a --input_b b --out o", "--load"),
        ("eval.py --input_a a --input_b b --load o", "--out"),
    ],
)
def test_required_option(refused, command, flag):
    assert flag in refused(shlex.split(command))


# Where the results go.


@pytest.mark.parametrize(("script", "name"), [("train", "file"), ("train", "file/below"), ("eval", "file/below")])
def test_unwritable_out(refused, commands, tmp_path, name, script):
    (tmp_path / "file").write_text("someone's notes\n")
    line = refused([*commands[script], "--out", tmp_path / name])
    assert "--out" in line
    assert name in line


@needs_proc
def test_out_where_no_folder_can_be_made(refused, commands):
    line = refused([*commands["train"], "--out", "/proc/x"])
    assert "--out" in line
    assert "/proc/x" in line


def test_out_that_holds_a_run(refused, commands, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    line = refused([*commands["train"], "--out", run])
    assert all(word in line for word in ("--out", "run", "--load", "--overwrite"))
    # Going on with one run does not replace another.
    assert "--overwrite" in refused([*commands["train"], "--load", trained, "--out", run])
    # An evaluation never replaces a training run.
    for extra in ([], ["--overwrite"]):
        assert "training run" in refused([*commands["eval"], "--out", run, *extra])


# Runs to load.


def replace_weight(change) -> object:
    """Change the first weight of a checkpoint's networks, whatever it is called."""

    def apply(tensors: dict, _: dict) -> None:
        name = next(name for name in tensors if "generator" in name)
        tensors[name] = change(tensors[name])

    return apply


def update_all(tensors: dict, like: str, change) -> None:
    """Change every tensor whose name contains `like`."""
    for name in [name for name in tensors if like in name]:
        tensors[name] = change(tensors[name])


DAMAGED_CONTENT = {
    "other shapes": replace_weight(lambda weight: weight[:1]),
    "NaN weights": replace_weight(lambda weight: weight * float("nan")),
    "infinite weights": replace_weight(lambda weight: weight / 0),
    "missing weight": lambda tensors, _: tensors.pop(next(name for name in tensors if "generator" in name)),
    "NaN sigma": lambda _, values: values.update(sigma_b=float("nan")),
    "sigma of another type": lambda _, values: values.update(sigma_a="0.1"),
    "no networks": lambda tensors, _: tensors.clear(),
    "another scale": lambda _, values: values.update(scale=3),
    "no scale": lambda _, values: values.pop("scale"),
}
DAMAGED_SHAPE = {
    "further weight": lambda tensors, _: tensors.update(more=torch.zeros(1)),
    "another side": lambda _, values: values["geometry"].update(img_size=24),
    "infinite side": lambda _, values: values["geometry"].update(img_size=float("inf")),
    "side of another type": lambda _, values: values["geometry"].update(img_size="20"),
    "no side": lambda _, values: values["geometry"].pop("img_size"),
    "another width": lambda _, values: values["architecture"].update(nfc=8),
    "negative width": lambda _, values: values["architecture"].update(nfc=-4),
    "width of another type": lambda _, values: values["architecture"].update(nfc="4"),
    "unknown padding": lambda _, values: values["architecture"].update(padding_mode="round"),
    "padding of another type": lambda _, values: values["architecture"].update(padding_mode=1),
    "further number": lambda _, values: values["architecture"].update(more=1),
}
DAMAGED_STATE = {
    "further weight": lambda tensors, _: tensors.update({"networks.more": torch.zeros(1)}),
    "step of another type": lambda _, values: values.update(step=True),
    "NaN moments": lambda tensors, _: update_all(tensors, "exp_avg", lambda moment: moment * float("nan")),
    "other moments": lambda tensors, _: tensors.update({"optimisers.2.0.exp_avg": torch.zeros(2)}),
    "a moment too few": lambda tensors, _: tensors.pop("optimisers.1.0.exp_avg"),
}


@pytest.mark.parametrize("name", ["scale_00", "scale_01"])
@pytest.mark.parametrize("damage", [*DAMAGED_CONTENT, *DAMAGED_SHAPE])
def test_damaged_scale(trained, tmp_path, damage, name):
    path = copy_run(trained, tmp_path / "run") / f"{name}.safetensors"
    rewrite(path, (DAMAGED_CONTENT | DAMAGED_SHAPE)[damage])
    with pytest.raises(CheckpointError, match=r"^--load .*\.safetensors: ") as caught:
        Run.load(path.parent, 2, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [*DAMAGED_CONTENT, *DAMAGED_STATE])
def test_damaged_state(stopped, finished, tmp_path, damage):
    path = tmp_path / "state.safetensors"
    shutil.copy(stopped / path.name, path)
    rewrite(path, (DAMAGED_CONTENT | DAMAGED_STATE)[damage])
    with pytest.raises(CheckpointError, match=r"^--load .*state\.safetensors: ") as caught:
        load_state(finished, OptimiserSettings(), RunFolder(tmp_path), 0)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def finished(trained) -> Run:
    """What a TINY run is; its folder is not to be written into."""
    return Run.load(trained, 2, CPU)


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
def test_nothing_to_load(refused, commands, tmp_path, script):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("missing", "empty", "file"):
        line = refused([*commands[script], "--load", tmp_path / name])
        assert "--load" in line
        assert name in line


@pytest.mark.parametrize("script", ["train", "eval"])
def test_another_geometry_names_both_values(refused, commands, trained, script):
    line = refused([*commands[script], "--load", trained, "--img_size", 24])
    assert "--img_size 24" in line
    assert "20" in line.replace(str(trained), "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        '{"options": 3}',
        '{"options": {"niter": "many"}}',
        '{"options": {"img_size": 24}}',
        "\0",
    ],
    ids=lambda text: text[:30],
)
def test_damaged_config(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"^--load {tmp_path}") as caught:
        config.parse_train(["--load", str(tmp_path)])
    assert "\n" not in str(caught.value)


def test_going_on_with_another_picture(refused, commands, trained, tmp_path):
    other = make_picture(tmp_path / "other.png", 9)
    line = refused([*commands["train"], "--load", trained, "--input_b", other])
    assert "--input_b" in line
    assert "--load" in line


def test_eval_of_an_unfinished_run(refused, commands, trained, stopped, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    (run / "scale_03.safetensors").unlink()
    line = refused([*commands["eval"], "--load", run])
    assert "3 of 4 scales" in line
    assert "--load" in refused([*commands["eval"], "--load", stopped])
