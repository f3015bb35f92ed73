"""A clip through the command lines: trained on, translated, resumed, refused."""

import contextlib
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import GREYS, encoded, film, flat
from conftest import ROOT, TINY, make_picture
from folders import copy_run, names, size
from interrupted import StopAfter, same_results
from PIL import Image, ImageSequence

import config
import models.clip
import training.pair
from utils.checkpoint import load_checkpoint
from utils.video import Clip
from utils.video_writer import video_writer

RATE, SIZE, COUNT = Fraction(24000, 1001), (48, 32), 6
NITER = 3  # of TINY's four scales


def moving(path, count: int = COUNT, size: tuple[int, int] = SIZE):
    """A film of a bright square that moves over a coloured ground."""
    ground = np.asarray(Image.open(make_picture(path.with_suffix(".png"), 4, size=size)))
    with video_writer(path, [index / RATE for index in range(count + 1)], size) as write:
        for index in range(count):
            frame = ground.copy()
            frame[8:20, (left := 4 * index % (size[0] - 12)) : left + 12] = 250
            write(frame)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return moving(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def inputs(clip, pair):
    return ["--input_a", clip, "--input_b", pair[1]]


@pytest.fixture(scope="module")
def clip_run(tmp_path_factory, inputs):
    """A finished run on a clip; tests must not write into it."""
    import train

    out = tmp_path_factory.mktemp("clip_run") / "run"
    assert train.main([str(word) for word in [*inputs, "--out", out, *TINY, "--niter", NITER]]) == 0
    return out


@pytest.fixture
def evaluate(cli, clip_run, clip, tmp_path):
    """Translate a clip with the run; -> the folder."""

    def run(*more: object, load=clip_run):
        words = ["--input_a", clip, "--load", load, "--out", tmp_path / "eval", "--gpu_id", -1, "--seed", 1]
        result = cli("eval.py", *words, "--overwrite", *more)
        assert (result.code, result.err) == (0, "")
        return tmp_path / "eval"

    return run


# Options.


@pytest.mark.parametrize("kind", ["clip.mp4", "frames"])
def test_defaults_of_a_clip(tmp_path, kind):
    (tmp_path / kind).mkdir() if kind == "frames" else film(tmp_path / kind)
    words = ["--input_a", str(tmp_path / kind), "--input_b", "b.png", "--out", "out"]
    settings = config.parse_train(words)
    assert (settings.schedule.niter, settings.geometry.min_size, settings.weights.lambda_self) == (24000, 22, 1)
    # A preset wins over them, what is given wins over all.
    quick = config.parse_train([*words, "--preset", "quick"])
    assert (quick.schedule.niter, quick.geometry.min_size, quick.weights.lambda_self) == (180, 32, 1)
    given = ["--niter", "20000", "--min_size", "18", "--lambda_self", "0", "--preset", "quick"]
    settings = config.parse_train([*words, *given])
    assert (settings.schedule.niter, settings.geometry.min_size, settings.weights.lambda_self) == (20000, 18, 0)
    # B as a clip's picture changes nothing: A decides.
    pictures = config.parse_train(["--input_a", "a.png", "--input_b", "b.png", "--out", "out"])
    assert (pictures.schedule.niter, pictures.geometry.min_size, pictures.weights.lambda_self) == (20000, 18, 0)


# Training.


def test_noise_of_the_coarsest_scale_is_1(clip_run, trained):
    of_clip, of_pair = (load_checkpoint(run / "scale_00.safetensors", {})[1] for run in (clip_run, trained))
    assert (of_clip["sigma_a"], of_clip["sigma_b"]) == (1.0, 1.0)
    assert (of_pair["sigma_a"], of_pair["sigma_b"]) == (0.1, 0.1)


@pytest.fixture
def seen(monkeypatch):
    """A's real picture in every step taken."""
    pictures, step = [], training.pair.training_step

    def training_step(networks, optimisers, inputs, reals, *more):
        pictures.append(reals[0])
        return step(networks, optimisers, inputs, reals, *more)

    monkeypatch.setattr(training.pair, "training_step", training_step)
    return pictures


def test_every_frame_once_before_any_comes_again(cli, inputs, seen, monkeypatch, tmp_path):
    monkeypatch.setattr("train.StopRequest", lambda: StopAfter(2 * COUNT))
    assert cli("train.py", *inputs, "--out", tmp_path / "run", *TINY, "--niter", 3 * COUNT).code == 130
    shown = [picture.numpy().tobytes() for picture in seen]
    first, second = shown[:COUNT], shown[COUNT:]
    assert len(set(first)) == COUNT
    assert sorted(first) == sorted(second) and first != second


@pytest.mark.parametrize(("kind", "steps"), [("film", 9), ("frames", 2)])
def test_a_stopped_run_goes_on_with_the_same_frames(cli, monkeypatch, clip, pair, clip_run, tmp_path, kind, steps):
    # A folder of the clip's frames is as good as the clip.
    if kind == "frames":
        (tmp_path / "frames").mkdir()
        for index, frame in enumerate(Clip(clip, "--input_a")):
            frame.save(tmp_path / "frames" / f"{index}.png")
        clip = tmp_path / "frames"
    monkeypatch.setattr("train.StopRequest", lambda: StopAfter(steps))
    words = ["--input_a", clip, "--input_b", pair[1], "--out", tmp_path / "run", *TINY, "--niter", NITER]
    assert cli("train.py", *words).code == 130
    monkeypatch.undo()
    result = cli("train.py", "--load", tmp_path / "run", "--gpu_id", -1)
    assert result.code == 0, result.err
    same_results(clip_run, tmp_path / "run", scales=4)


def test_going_on_with_another_clip(refused, clip_run, tmp_path):
    other = film(tmp_path / "other.mp4")
    line = refused(["train.py", "--load", clip_run, "--out", tmp_path / "out", "--input_a", other, "--gpu_id", -1])
    assert "--input_a" in line
    assert "--load" in line


# Evaluation.


def test_size_scale_gif_and_b(evaluate, pair):
    out = evaluate("--out_size", 40, "--inject_scale", 1, "--gif", "--input_b", pair[1])
    assert names(out) == {"a2b.mp4", "a2b.gif", "real_b.png", "results.png", "config.json"}
    assert Clip(out / "a2b.mp4", "--out").size == (40, 28)  # 26.7
    assert json.loads((out / "config.json").read_text())["clip"]["inject_scale"] == 1
    assert size(out / "real_b.png") == (40, 40)
    with Image.open(out / "a2b.gif") as gif:
        assert (gif.n_frames, gif.size) == (COUNT, (40, 28))


def test_the_shape_kept(evaluate, pair):
    # 40x32 -> 20x16.
    assert size(evaluate("--keep_aspect", "--input_b", pair[1]) / "real_b.png") == (20, 16)


@pytest.fixture
def written(monkeypatch):
    """The frames handed to the encoder."""
    frames = []

    @contextlib.contextmanager
    def keep(*_):
        yield frames.append

    monkeypatch.setattr("models.clip.video_writer", keep)
    return frames


def test_all_frames_have_the_same_noise(evaluate, written, tmp_path):
    (tmp_path / "frames").mkdir()
    for index, seed in enumerate((8, 8, 9, 8)):
        make_picture(tmp_path / "frames" / f"{index}.png", seed)
    for seed in (1, 1, 2):
        evaluate("--input_a", tmp_path / "frames", "--inject_scale", 0, "--seed", seed)
    first, second, third, fourth = written[:4]
    assert np.array_equal(first, second) and np.array_equal(first, fourth)
    assert not np.array_equal(first, third)
    assert np.array_equal(written[4], first) and not np.array_equal(written[8], first)


def test_a_stopped_translation_leaves_a_video_of_the_frames_made(cli, monkeypatch, clip_run, clip, tmp_path):
    monkeypatch.setattr("eval.StopRequest", lambda: StopAfter(3))
    words = ["--input_a", clip, "--load", clip_run, "--out", tmp_path / "out", "--gpu_id", -1, "--gif"]
    assert cli("eval.py", *words).code == 130
    assert names(tmp_path / "out") == {"a2b.mp4", "config.json"}
    result = Clip(tmp_path / "out" / "a2b.mp4", "--out")
    assert 0 < len(result) <= 3 and result.size == (20, 14)


def test_frames_are_shown_when_those_of_the_source_were(evaluate, tmp_path):
    # Two frames, a still, then a burst; faster than a GIF can be at the end.
    uneven = [0, 40, 2000, 2033, 2067, 2100, 2110, 2120]
    path = encoded(tmp_path / "x.mkv", [flat(25 * i, SIZE) for i in range(8)], starts=uneven, rate=30)
    out = evaluate("--input_a", path, "--gif")
    shown, own = (np.array(Clip(file, "--out").times, float) for file in (out / "a2b.mp4", path))
    assert shown == pytest.approx(own, abs=1e-4) and list(1000 * shown[:-1]) == pytest.approx(uneven, abs=0.1)
    numbers = json.loads((out / "config.json").read_text())["clip"]
    assert float(Fraction(numbers["rate"])) == pytest.approx(8 / 2.15, abs=0.02)
    with Image.open(out / "a2b.gif") as gif:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
    assert min(durations) >= 20
    assert sum(durations) == round(1000 * shown[-1], -1)


def test_frames_are_simplified_as_trained(cli, inputs, seen, evaluate, monkeypatch, tmp_path):
    run = tmp_path / "run"
    assert cli("train.py", *inputs, "--out", run, *TINY, "--min_size", 16, "--niter", 2, "--quant_level", 2).code == 0
    real, injected = models.clip.inject, []
    monkeypatch.setattr("models.clip.inject", lambda *args: injected.append(args[2]) or real(*args))
    evaluate(load=run)
    assert len(injected) == COUNT
    # At the finest scale the greys are the few themselves: -1, -0.5, 0 and 0.5, alike in all channels.
    for picture in seen + injected:
        assert torch.equal(picture[:, 0], picture[:, 1]) and torch.equal(picture[:, 0], picture[:, 2])
    finest = torch.cat([picture.flatten() for picture in seen + injected if picture.shape[-1] == 20])
    assert set((2 * finest).round(decimals=1).tolist()) <= {-2, -1, 0, 1}
    assert "--quant_level" in cli("train.py", "--load", run, "--quant_level", 4, "--gpu_id", -1).err


@pytest.mark.parametrize("options", [3, {"quant_level": "2"}])
def test_a_damaged_record(refused, clip_run, clip, tmp_path, options):
    run = copy_run(clip_run, tmp_path / "run")
    (run / "config.json").write_text(json.dumps({"options": options}))
    line = refused(["eval.py", "--input_a", clip, "--load", run, "--out", tmp_path / "out", "--gpu_id", -1])
    assert "config.json" in line


# Bad clips.


@pytest.mark.parametrize("script", ["train", "eval"])
def test_bad_clips(refused, clip_run, pair, tmp_path, script):
    (tmp_path / "no images").mkdir()
    (tmp_path / "text.mp4").write_text("This is not a film.\n")
    film(tmp_path / "small.mp4", size=(10, 10))
    more = [*TINY, "--niter", 1] if script == "train" else ["--load", clip_run, "--gpu_id", -1]
    for name in ("missing.mp4", "text.mp4", "no images", "small.mp4"):
        words = ["--input_a", tmp_path / name, "--input_b", pair[1], "--out", tmp_path / "out"]
        line = refused([f"{script}.py", *words, *more])
        assert "--input_a" in line and name in line


@pytest.mark.parametrize("script", ["train", "eval"])
def test_a_clip_as_b(refused, clip_run, clip, tmp_path, script):
    more = [*TINY, "--niter", 1] if script == "train" else ["--load", clip_run, "--gpu_id", -1]
    line = refused([f"{script}.py", "--input_a", clip, "--out", tmp_path / "out", *more, "--input_b", clip])
    assert f"--input_b {clip}: cannot be read: not an image" in line


def test_stills_need_no_package_for_films():
    code = "import sys; sys.modules['av'] = None; import train, eval, refine"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)


def test_an_animation_is_not_translated_without_the_package_for_films(cli, clip_run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    first, second = (Image.fromarray(flat(grey)) for grey in GREYS[:2])
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.png").write_bytes(b"old")
    words = ["--input_a", tmp_path / "x.gif", "--load", clip_run, "--out", tmp_path / "out", "--overwrite"]
    result = cli("eval.py", *words, "--gpu_id", -1)
    assert (result.code, result.err.count("\n")) == (1, 1) and "the package av is missing" in result.err
    assert (tmp_path / "out" / "results.png").read_bytes() == b"old"


def test_simplified_pictures_are_of_clips(refused, pair, tmp_path):
    command = ["train.py", "--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "out", *TINY]
    assert "--quant_level" in refused([*command, "--quant_level", 2])
