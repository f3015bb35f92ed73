"""Fixtures: the command lines, in this process or as a person starts them, on small pictures made here."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

# Tiny networks gain nothing from threads, and lose much where other processes use the same cores.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from folders import contents
from PIL import Image

import train
import training.step
from utils.errors import one_line_errors
from utils.image import save_image
from utils.resize import resize

# Where the tests are a shell's background job, Ctrl-C is ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # likewise under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
# Four tiny scales: 12, 15, 17, 20 px.
TINY = ["--img_size", "20", "--min_size", "12", "--nfc", "4", "--min_nfc", "4", "--gpu_id", "-1", "--seed", "7"]


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def run_process(script: str, *arguments: object, **options: object) -> Result:
    """Run a script as a person would; for what needs a process of its own."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True, scope="session")
def no_curves():
    """A single pixel in place of the loss curves, which take longer to draw than a tiny run to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "save_loss_curves", lambda _, path: save_image(torch.zeros(1, 3, 1, 1), path))
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """However many threads a test has PyTorch take, the next one has one again."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch):
    """Weights that are not at hand stay away."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no downloads in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def cli(capsys):
    """Run a script's command line in this process: `cli("train.py", "--input_a", ...)` -> Result."""

    def run(script: str, *arguments: object) -> Result:
        capsys.readouterr()
        try:
            with one_line_errors():
                code = import_module(script.removesuffix(".py")).main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def train_tiny(out: Path, *arguments: object) -> Path:
    """Train a tiny run, for a fixture that many tests read; -> its folder."""
    assert train.main([str(argument) for argument in ["--out", out, *TINY, *arguments]]) == 0
    return out


@pytest.fixture
def evaluate(cli, tmp_path):
    """Evaluate a run into a new folder, without a word on standard error; -> that folder."""

    def run(load: Path, *arguments: object, name: str = "out") -> Path:
        result = cli("eval.py", "--load", load, "--out", tmp_path / name, "--gpu_id", -1, *arguments)
        assert (result.code, result.err) == (0, "")
        assert Path(result.out.splitlines()[-1]).parent == tmp_path / name
        return tmp_path / name

    return run


@pytest.fixture
def sheets(monkeypatch):
    """The labels of every sheet that a script writes, by the file's name; the last of each."""
    seen = {}

    def keep(rows, path):
        seen[path.name] = [[label for label, _ in row] for row in rows]

    for module in ("train", "eval", "finish", "models.results"):
        monkeypatch.setattr(f"{module}.save_sheet", keep)
    return seen


def complaint(result) -> str:
    """The one line of a refused command, once everything about how it ended is as promised."""
    assert result.code == 2, result
    lines = [line for line in result.err.splitlines() if not line.startswith(("warning: ", "note: "))]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.err + result.out
    return lines[0]


@pytest.fixture
def refused(cli, tmp_path):
    """Run a command that must be refused and leave `tmp_path` as it was; -> its line."""

    def run(command: list) -> str:
        before = contents(tmp_path)
        line = complaint(cli(*command))
        assert contents(tmp_path) == before
        return line

    return run


@pytest.fixture(params=["sharing", "alone"])
def sharing(request, monkeypatch):
    """Pictures share the calls of a discriminator, as small ones do, or have one each, as large ones do."""
    if request.param == "alone":
        monkeypatch.setattr(training.step, "MOST_PIXELS_SHARED", {"cpu": 0, "gpu": 0})
    return request.param


def make_picture(path: Path, seed: int, size: tuple[int, int] = (40, 32)) -> Path:
    """A picture of coloured blobs, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def texture(height, width, seed=0):
    """A smooth random image in [-1, 1], no place like another."""
    noise = torch.randn(1, 3, height // 2 + 3, width // 2 + 3, generator=torch.Generator().manual_seed(seed))
    return resize(noise, 2.0, (height, width)).clamp(-1, 1)


def make_frames(folder: Path, *seeds: int) -> Path:
    """A folder of such pictures, which is a clip."""
    folder.mkdir(exist_ok=True)
    for index, seed in enumerate(seeds):
        make_picture(folder / f"{index}.png", seed)
    return folder


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """Two small pictures, A and B."""
    folder = tmp_path_factory.mktemp("pair")
    return make_picture(folder / "a.png", 1), make_picture(folder / "b.png", 2)


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> tuple[Path, Path]:
    """A 40x32 image, and a 36x48 one: large enough to be finished at 32 pixels."""
    folder = tmp_path_factory.mktemp("images")
    return make_picture(folder / "a.png", 1), make_picture(folder / "b.png", 2, size=(36, 48))


@pytest.fixture(scope="session")
def inputs(pair) -> list:
    """The words that name both."""
    return ["--input_a", pair[0], "--input_b", pair[1]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, inputs) -> Path:
    """A finished tiny run; tests must not write into it."""
    return train_tiny(tmp_path_factory.mktemp("trained") / "run", *inputs, "--niter", 3)
