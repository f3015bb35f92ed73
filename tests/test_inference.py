"""A trained pair from Python, and what a call's record says of it."""

import signal

import numpy as np
import pytest
import torch
from conftest import TINY, make_picture
from folders import eval_files, names
from interrupted import stop_after
from PIL import Image

from models import results
from models.inference import TrainedPair
from models.pyramid import Pyramid
from utils.image import to_uint8


@pytest.fixture(scope="module")
def trained_pair(trained) -> TrainedPair:
    return TrainedPair.load(trained)


@pytest.mark.parametrize(("file", "kind"), [("x.png", "transparent"), ("x.png", "16 bits"), ("x.tif", "float")])
def test_a_file_an_image_and_an_array_are_read_alike(trained_pair, pair, tmp_path, file, kind):
    picture, exif = Image.open(pair[0]), Image.Exif()
    transparent, grey = picture.convert("RGBA"), np.asarray(picture.convert("L"))
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    kinds = {"transparent": transparent, "16 bits": Image.fromarray(grey * np.uint16(257))}
    kinds["float"] = Image.fromarray(grey / np.float32(255))
    exif[0x0112] = 6
    kinds[kind].save(tmp_path / file, exif=exif)
    from_file = trained_pair.translate(tmp_path / file, seed=1)
    with Image.open(tmp_path / file) as image:
        assert trained_pair.translate(image, seed=1).tobytes() == from_file.tobytes()
    plain = trained_pair.translate(pair[0], seed=1)
    assert trained_pair.translate(np.asarray(Image.open(pair[0])), seed=1).tobytes() == plain.tobytes()
    assert plain.tobytes() != from_file.tobytes()


def test_wrong_arguments_say_what_is_wrong(trained_pair, pair):
    for scale in (-1, 4, 99):
        with pytest.raises(ValueError, match="inject_scale must be 0 to 3"):
            trained_pair.translate(pair[0], inject_scale=scale)
    with pytest.raises(ValueError, match="index must be 0 or more"):
        trained_pair.sample(index=-1)
    with pytest.raises(ValueError, match="direction"):
        trained_pair.translate(pair[0], "b2c")
    with pytest.raises(ValueError, match="structure"):
        trained_pair.translate(pair[0], finish_size=24, structure=-1)
    for image in (np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), torch.zeros(1, 3, 4, 4), 3):
        with pytest.raises(TypeError, match="image must be"):
            trained_pair.translate(image)
    assert trained_pair.translate(pair[0], finish_size=0).size == (20, 20)  # not finished


def test_it_is_what_eval_writes(evaluate, trained_pair, trained, inputs, pair):
    out = evaluate(trained, *inputs, "--seed", 5)
    found = trained_pair.translate(pair[0], inject_scale=2, seed=5)
    assert found.tobytes() == Image.open(out / "inject_02_a2b.png").convert("RGB").tobytes()
    # The shapes of training decide the default injection scale, not the size of the result.
    large = TrainedPair.load(trained, out_size=100)
    assert large.translate(pair[0], seed=5).tobytes() == large.translate(pair[0], inject_scale=3, seed=5).tobytes()


def test_small_draws_take_one_thread(monkeypatch, trained_pair):
    seen, translate = [], Pyramid.translate
    monkeypatch.setattr(Pyramid, "translate", lambda *of: seen.append(torch.get_num_threads()) or translate(*of))
    torch.set_num_threads(2)
    trained_pair.sample()
    assert seen == [1, 1] and torch.get_num_threads() == 2


def test_an_image_too_thin_for_its_shape_is_one_line(refused, trained, pair, tmp_path):
    make_picture(tmp_path / "thin.png", 1, size=(2000, 13))
    words = ["--input_a", tmp_path / "thin.png", "--input_b", pair[1], "--load", trained, "--out", tmp_path / "out"]
    assert "too long and thin" in refused(["eval.py", *words, "--keep_aspect", "--gpu_id", -1])
    with pytest.raises(ValueError, match="too long and thin"):
        TrainedPair.load(trained, keep_aspect=True).translate(tmp_path / "thin.png")


# Records.


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_signals_stop_injections_and_samples(cli, monkeypatch, trained, inputs, tmp_path, name):
    words = ["--load", trained, "--out", tmp_path / "out", "--gpu_id", -1, "--samples", 300]
    monkeypatch.setattr("eval.StopRequest", stop_after(0, getattr(signal, name)))
    assert cli("eval.py", *inputs, *words).code == 128 + getattr(signal, name)
    assert names(tmp_path / "out") == eval_files([]) - {"results.png"}
    monkeypatch.setattr("eval.StopRequest", stop_after(3, getattr(signal, name)))
    assert cli("eval.py", *words, "--overwrite").code == 128 + getattr(signal, name)
    assert (tmp_path / "out" / "sample_002_a2b.png").exists() and not (tmp_path / "out" / "sample_003_a2b.png").exists()


def test_tensorboard_gets_the_losses_and_its_files_are_the_run_s(cli, inputs, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    words = [*inputs, "--out", out, *TINY, "--niter", 2, "--print_interval", 1]
    assert cli("train.py", *words, "--tensorboard").code == 0
    events = accumulator.EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert [each.step for each in events.Scalars("G/cycle_a")] == list(range(1, 9))  # counted over all scales
    assert cli("train.py", *words, "--overwrite").code == 0
    assert not (out / "tensorboard").exists()


def test_tensorboard_that_is_missing_is_one_line_before_anything_is_written(monkeypatch, refused, inputs, tmp_path):
    monkeypatch.setattr("config.find_spec", lambda _: None)
    words = [*inputs, "--out", tmp_path / "run", *TINY]
    assert "--tensorboard" in refused(["train.py", *words, "--tensorboard"])


# Of another size the scale stays; in a run of many scales a few levels leave the default one out.
@pytest.mark.parametrize(("words", "default", "scale"), [("--out_size 100", None, 3), ("--inject_levels 2", 0, 2)])
def test_what_is_finished_is_saved_too(evaluate, monkeypatch, trained, inputs, words, default, scale):
    if default is not None:
        monkeypatch.setattr("eval.default_injection_scale", lambda shapes: default)
    finished = {}

    def finish_pair(folder, images, translations, *more):
        finished.update(translations)
        return results.finish_pair(folder, images, translations, *more)

    monkeypatch.setattr("eval.finish_pair", finish_pair)
    out = evaluate(trained, *inputs, *words.split())
    assert np.array_equal(to_uint8(finished["a2b"]), np.asarray(Image.open(out / f"inject_{scale:02d}_a2b.png")))
