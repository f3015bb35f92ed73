"""A trained pair from Python, and what a call's record says of it."""

import json
import signal

import numpy as np
import pytest
from conftest import TINY, make_picture
from folders import copy_run, names
from interrupted import stop_after
from PIL import Image

import eval as evaluate
from models.inference import TrainedPair
from utils.errors import StopRequest
from utils.image import to_uint8
from utils.run_folder import RunFolder


@pytest.fixture(scope="module")
def trained_pair(trained) -> TrainedPair:
    return TrainedPair.load(trained)


def test_a_file_an_image_and_an_array_are_read_alike(trained_pair, pair, tmp_path):
    transparent = Image.open(pair[0]).convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    exif = Image.Exif()
    exif[0x0112] = 6
    transparent.save(tmp_path / "x.png", exif=exif)
    from_file = trained_pair.translate(tmp_path / "x.png", seed=1)
    with Image.open(tmp_path / "x.png") as image:
        assert trained_pair.translate(image, seed=1).tobytes() == from_file.tobytes()
    plain = trained_pair.translate(pair[0], seed=1)
    assert trained_pair.translate(np.asarray(Image.open(pair[0])), seed=1).tobytes() == plain.tobytes()
    assert plain.tobytes() != from_file.tobytes()


def test_wrong_arguments_say_what_is_wrong(trained_pair, pair):
    for scale in (-1, 4, 99):
        with pytest.raises(ValueError, match="inject_scale must be 0 to 3"):
            trained_pair.translate(pair[0], inject_scale=scale)
    with pytest.raises(ValueError, match="direction"):
        trained_pair.translate(pair[0], "b2c")
    for image in (np.zeros((4, 4, 3)), 3):
        with pytest.raises(TypeError):
            trained_pair.translate(image)


def test_it_is_what_eval_writes(cli, trained_pair, trained, pair, tmp_path):
    words = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--out", tmp_path / "out", "--seed", 5]
    assert cli("eval.py", *words, "--gpu_id", -1).code == 0
    found = trained_pair.translate(pair[0], inject_scale=2, seed=5)
    assert found.tobytes() == Image.open(tmp_path / "out" / "inject_02_a2b.png").convert("RGB").tobytes()


def test_the_default_injection_scale_does_not_depend_on_the_size_of_the_result(cli, trained, pair, tmp_path):
    scales = set()
    for size in (20, 100):
        out = tmp_path / str(size)
        words = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--out", out, "--gpu_id", -1]
        assert cli("eval.py", *words, "--out_size", size, "--finish_size", size, "--inject_levels", 1).code == 0
        scales.add(json.dumps(sorted(name for name in names(out) if name.startswith("inject"))))
    assert len(scales) == 1 and "inject_03_a2b.png" in scales.pop()


def test_an_image_too_thin_for_its_shape_is_one_line(refused, trained, pair, tmp_path):
    make_picture(tmp_path / "thin.png", 1, size=(2000, 13))
    words = ["--input_a", tmp_path / "thin.png", "--input_b", pair[1], "--load", trained, "--out", tmp_path / "out"]
    assert "too long and thin" in refused(["eval.py", *words, "--keep_aspect", "--gpu_id", -1])


# Records.


def test_finished_means_that_all_results_are_there(cli, monkeypatch, pair, tmp_path):
    out = tmp_path / "run"
    words = ["--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--niter", 1, "--finish_size", 32]

    class Stop(StopRequest):
        def __call__(self) -> bool:
            if (out / "real_b2a.png").exists() and self.signal is None:
                signal.raise_signal(signal.SIGTERM)
            return super().__call__()

    monkeypatch.setattr("training.resume.StopRequest", Stop)
    assert cli("train.py", *words).code == 143
    assert RunFolder(out).record["finished"] is False and not (out / "results.png").exists()
    monkeypatch.undo()
    assert cli("train.py", "--load", out, "--gpu_id", -1).code == 0
    assert RunFolder(out).record["finished"] is True


def test_results_made_again_leave_the_training_record_and_no_stale_files(cli, trained, pair, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    result = cli("train.py", "--load", run, "--finish_size", 32, "--seed", 77, "--niter", 9, "--gpu_id", -1)
    assert result.code == 0 and "nothing is trained" in result.out
    assert (run / "finished_a2b.png").exists()
    record = RunFolder(run)
    assert record.record["options"] == RunFolder(trained).record["options"] | {"out": str(trained)}
    assert record.record["results"]["manualSeed"] == 77
    assert cli("train.py", "--load", run, "--finish_size", 0, "--gpu_id", -1).code == 0
    assert not list(run.glob("finished*")) and not (run / "metrics.json").exists() and record.record["finished"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_signals_stop_the_samples_too(cli, monkeypatch, trained, tmp_path, name):
    monkeypatch.setattr("eval.StopRequest", stop_after(3, getattr(signal, name)))
    words = ["--load", trained, "--out", tmp_path / "out", "--gpu_id", -1, "--samples", 300]
    assert cli("eval.py", *words).code == 128 + getattr(signal, name)
    assert (tmp_path / "out" / "sample_002_a2b.png").exists() and not (tmp_path / "out" / "sample_003_a2b.png").exists()


def test_tensorboard_gets_the_losses_and_its_files_are_the_run_s(cli, pair, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    words = ["--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--niter", 2, "--print_interval", 1]
    assert cli("train.py", *words, "--tensorboard").code == 0
    events = accumulator.EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert [each.step for each in events.Scalars("G/cycle_a")] == list(range(1, 9))  # counted over all scales
    assert cli("train.py", *words, "--overwrite").code == 0
    assert not (out / "tensorboard").exists()


def test_tensorboard_that_is_missing_is_one_line_before_anything_is_written(monkeypatch, refused, pair, tmp_path):
    monkeypatch.setattr("config.find_spec", lambda _: None)
    words = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "run", *TINY]
    assert "--tensorboard" in refused(["train.py", *words, "--tensorboard"])


def test_what_is_finished_is_saved_too(cli, monkeypatch, trained, pair, tmp_path):
    # As in a run of many scales, whose default injection scale a few --inject_levels leave out.
    monkeypatch.setattr("eval.default_injection_scale", lambda shapes: 0)
    finished, real_finish = {}, evaluate.finish_pair

    def finish_pair(folder, images, translations, *more):
        finished.update(translations)
        return real_finish(folder, images, translations, *more)

    monkeypatch.setattr("eval.finish_pair", finish_pair)
    words = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--gpu_id", -1, "--out", tmp_path / "out"]
    assert cli("eval.py", *words, "--inject_levels", 2).code == 0
    saved = np.asarray(Image.open(tmp_path / "out" / "inject_02_a2b.png"))
    assert np.array_equal(to_uint8(finished["a2b"]), saved)
