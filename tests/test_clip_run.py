"""A clip through the command lines: trained on, translated, resumed, refused."""

import contextlib
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from clips import GREYS, RATE, encoded, film, flat, moving
from conftest import TINY, make_frames, make_picture, train_tiny
from folders import copy_run, names
from interrupted import same_results, stop_after
from PIL import Image

import config
import models.clip
import training.pair
from models.inference import TrainedPair
from utils.files import load_checkpoint
from utils.run_folder import RunFolder
from utils.video import Clip

SIZE, COUNT = (48, 32), 6
NITER = 3  # of TINY's four scales


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return moving(tmp_path_factory.mktemp("clip") / "clip.mp4", COUNT)


@pytest.fixture(scope="module")
def clip_inputs(clip, pair):
    return ["--input_a", clip, "--input_b", pair[1]]


@pytest.fixture(scope="module")
def clip_run(tmp_path_factory, clip_inputs):
    """A finished run on a clip; tests must not write into it."""
    return train_tiny(tmp_path_factory.mktemp("clip_run") / "run", *clip_inputs, "--niter", NITER)


@pytest.fixture
def evaluate(evaluate, clip_run, clip):
    """Translate a clip with this run, or another; -> the folder."""
    return lambda *more, load=clip_run: evaluate(load, "--input_a", clip, "--seed", 1, "--overwrite", *more)


# Options.


def test_defaults_of_a_clip(tmp_path):
    def parsed(a, *more: str) -> tuple:
        words = ["--input_a", str(a), "--input_b", "b.png", "--out", "out", *more]
        settings = config.parse_train(words)
        return settings.schedule.niter, settings.geometry.min_size, settings.weights.lambda_self

    given = ["--niter", "20000", "--min_size", "18", "--lambda_self", "0", "--preset", "quick"]
    for clip in (tmp_path, film(tmp_path / "clip.mp4")):
        assert parsed(clip) == (24000, 22, 1)
        # A preset wins over them, what is given wins over all.
        assert parsed(clip, "--preset", "quick") == (160, 20, 1)
        assert parsed(clip, *given) == (20000, 18, 0)
    assert parsed("a.png") == (20000, 18, 0)


# Training.


def test_noise_of_the_coarsest_scale_is_1(clip_run, trained):
    of_clip, of_pair = (load_checkpoint(run / "scale_00.safetensors")[1] for run in (clip_run, trained))
    assert of_clip["sigmas"] == [1.0, 1.0]
    assert of_pair["sigmas"] == [0.1, 0.1]


def test_the_first_frame_of_an_excerpt_is_found_again(clip_run, tmp_path):
    run, folder = RunFolder(copy_run(clip_run, tmp_path / "run")), make_frames(tmp_path / "frames", *range(4))
    options = run.options() | {"input_a": str(folder), "start": 0.2, "fps": 10}
    run.note(options=options, fingerprints=[Clip(folder, "A").fingerprint(), ""])
    found = TrainedPair.load(run.path).original(0)
    assert found.tobytes() == list(Clip(folder, "A"))[2].tobytes()


@pytest.mark.parametrize(("kind", "steps"), [("film", 9), ("frames", 2)])
def test_a_stopped_run_goes_on_with_the_same_frames(cli, monkeypatch, clip, pair, clip_run, tmp_path, kind, steps):
    # A folder of the clip's frames is as good as the clip.
    if kind == "frames":
        (tmp_path / "frames").mkdir()
        for index, frame in enumerate(Clip(clip, "--input_a")):
            frame.save(tmp_path / "frames" / f"{index}.png")
        clip = tmp_path / "frames"
    monkeypatch.setattr("training.resume.StopRequest", stop_after(steps))
    words = ["--input_a", clip, "--input_b", pair[1], "--out", tmp_path / "run", *TINY, "--niter", NITER]
    stopped = cli("train.py", *words)
    assert stopped.code == 130 and "A: 6 frames" in stopped.out and "every scale reads them, in about" in stopped.out
    monkeypatch.undo()
    assert cli("train.py", "--load", tmp_path / "run", "--gpu_id", -1).code == 0
    same_results(clip_run, tmp_path / "run", scales=4)


def test_going_on_with_another_clip(refused, clip_run, tmp_path):
    other = film(tmp_path / "other.mp4")
    line = refused(["train.py", "--load", clip_run, "--out", tmp_path / "out", "--input_a", other, "--gpu_id", -1])
    assert "--input_a" in line and "--load" in line


# Evaluation.


def test_size_scale_and_what_is_written(cli, clip_run, clip, tmp_path):
    out, words = tmp_path / "out", ["--out_size", 30, "--inject_scale", 1, "--compare", "--every", 2, "--frames", 2]
    words += ["--input_a", clip, "--finish_size", 500]
    result = cli("eval.py", "--load", clip_run, "--out", out, "--gpu_id", -1, *words)
    # The size that is said is the file's, with even sides.
    assert result.code == 0 and "a2b at 500 pixels is limited to 42x28: " in result.err
    assert names(out) == {"a2b.mp4", "compare.mp4", "learned_a2b.mp4", "preview.png", "metrics.json", "config.json"}
    shown, beside = (Clip(out / name, "--out") for name in ("a2b.mp4", "compare.mp4"))
    assert (shown.size, beside.size, len(shown), len(beside)) == ((42, 28), (84, 28), 2, 2)
    assert float(shown.times[1]) == pytest.approx(float(2 / RATE), abs=1e-4)
    assert np.asarray(next(iter(beside)))[:, :42].std() > 20  # A itself


def test_the_size_of_a_video_does_not_move_its_injection_scale(evaluate):
    ways = [], ["--inject_scale", 3]
    default, finest = ((evaluate("--out_size", 100, *more) / "preview.png").read_bytes() for more in ways)
    assert default == finest


def test_all_frames_have_the_same_noise(evaluate, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr("models.clip.video_writer", lambda *_: contextlib.nullcontext(written.append))
    frames = make_frames(tmp_path / "frames", 8, 8, 9, 8)
    for seed in (1, 1, 2):
        evaluate("--input_a", frames, "--inject_scale", 0, "--seed", seed)
    shown = [frame.tobytes() for frame in written]
    assert shown[0] == shown[1] == shown[3] == shown[4] and shown[0] not in (shown[2], shown[8])


def test_a_stopped_translation_leaves_a_video_of_the_frames_made(cli, monkeypatch, clip_run, clip, tmp_path):
    monkeypatch.setattr("eval.StopRequest", stop_after(8))  # five times in the preview
    words = ["--input_a", clip, "--load", clip_run, "--out", tmp_path / "out", "--gpu_id", -1]
    assert cli("eval.py", *words).code == 130
    assert names(tmp_path / "out") == {"a2b.mp4", "preview.png", "config.json"}
    result = Clip(tmp_path / "out" / "a2b.mp4", "--out")
    assert 0 < len(result) <= 3 and result.size == (24, 16)


def test_frames_are_shown_when_those_of_the_source_were(evaluate, tmp_path):
    # Two frames, a still, then a burst.
    uneven = [0, 40, 2000, 2033, 2067, 2100, 2110, 2120]
    path = encoded(tmp_path / "x.mkv", [flat(25 * i, SIZE) for i in range(8)], starts=uneven, rate=30)
    out = evaluate("--input_a", path)
    shown, own = (np.array(Clip(file, "--out").times, float) for file in (out / "a2b.mp4", path))
    assert shown == pytest.approx(own, abs=1e-4) and list(1000 * shown[:-1]) == pytest.approx(uneven, abs=0.1)


def test_frames_are_simplified_as_trained(cli, clip_inputs, evaluate, monkeypatch, tmp_path):
    seen = []

    def watch(module: ModuleType, name: str, place: int, picture: Callable) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: seen.append(picture(args[place])) or real(*args))

    watch(training.pair, "training_step", 2, lambda reals: reals[0])
    watch(models.clip, "draw_and_translate", 2, lambda image: image)
    run = train_tiny(tmp_path / "run", *clip_inputs, "--min_size", 16, "--niter", 2, "--quant_level", 2)
    trained_on = len(seen)
    evaluate(load=run)
    assert trained_on and len(seen) == trained_on + 2  # calls for the preview and for all
    # At the finest scale the greys are the few themselves: -1, -0.5, 0 and 0.5, alike in all channels.
    for picture in seen:
        assert torch.equal(picture[:, 0], picture[:, 1]) and torch.equal(picture[:, 0], picture[:, 2])
    finest = torch.cat([picture.flatten() for picture in seen if picture.shape[-1] == 20])
    assert set((2 * finest).round(decimals=1).tolist()) <= {-2, -1, 0, 1}
    assert "--quant_level" in cli("train.py", "--load", run, "--quant_level", 4, "--gpu_id", -1).err
    # A still in place of the clip is simplified likewise, from the command line and from Python.
    still = make_picture(tmp_path / "still.png", 1)
    words = ["--input_a", still, "--input_b", still, "--load", run, "--seed", 5, "--inject_levels", 1, "--gpu_id", -1]
    assert cli("eval.py", *words, "--finish_size", 0, "--out", tmp_path / "stills").code == 0
    assert set(np.unique(np.asarray(Image.open(tmp_path / "stills" / "real_a.png")))) <= {0, 64, 128, 191}
    (saved,) = (tmp_path / "stills").glob("inject_*_a2b.png")
    found = TrainedPair.load(run).translate(still, inject_scale=int(saved.name[7:9]), seed=5)
    assert np.array_equal(np.asarray(found), np.asarray(Image.open(saved)))


# Bad clips.


@pytest.mark.parametrize("script", ["train", "eval"])
def test_bad_clips(refused, clip_run, clip, pair, tmp_path, script):
    (tmp_path / "no images").mkdir()
    (tmp_path / "text.mp4").write_text("This is not a film.\n")
    film(tmp_path / "small.mp4", size=(10, 10))
    more = [*TINY, "--niter", 1] if script == "train" else ["--load", clip_run, "--gpu_id", -1]
    for name in ("missing.mp4", "text.mp4", "no images", "small.mp4"):
        words = ["--input_a", tmp_path / name, "--input_b", pair[1], "--out", tmp_path / "out"]
        line = refused([f"{script}.py", *words, *more])
        assert "--input_a" in line and name in line
    line = refused([f"{script}.py", "--input_a", pair[0], "--input_b", clip, "--out", tmp_path / "out", *more])
    assert f"--input_b {clip}: cannot be read: not a still image" in line


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
