"""Finishing through the command lines: what train.py and eval.py leave, stopped, resumed and refused."""

import json
import shlex
from itertools import pairwise

import numpy as np
import pytest
from clips import moving
from conftest import ROOT, TINY, make_picture, train_tiny
from folders import contents, copy_run, differing, eval_files, names, size
from interrupted import stop_when

from utils.measures import COPIED, MEASURES
from utils.run_folder import RunFolder
from utils.video import Clip

FINISHED = {f"finished_{name}{kind}.png" for name in ("a2b", "b2a") for kind in ("", "_source")}
SAMPLES = ("fake_a", "a2b", "fake_b", "b2a")


@pytest.fixture(scope="module")
def inputs(images):
    """The words that name images of two shapes."""
    return ["--input_a", images[0], "--input_b", images[1]]


@pytest.fixture(scope="module")
def run(tmp_path_factory, inputs):
    """A tiny run whose translations are finished; tests must not write into it."""
    return train_tiny(tmp_path_factory.mktemp("finished") / "run", *inputs, "--niter", 1, "--finish_size", 32)


@pytest.fixture
def evaluate(evaluate, run):
    """Evaluate this run, or another, with its seed into a new folder; -> that folder."""
    return lambda name, *words, load=run: evaluate(load, "--seed", 7, *words, name=name)


def copied(folder) -> dict:
    values = json.loads((folder / "metrics.json").read_text())["values"]
    return {name: each[COPIED] for name, each in values.items() if COPIED in each}


# Training.


def test_training_ends_with_finished_translations(cli, run, sheets, evaluate, inputs, tmp_path):
    assert names(run) >= FINISHED | {"real_a2b.png", "results.png", "metrics.json"}
    # Each has its own image's shape; 36x48 shrinks to 32 on its longer side.
    assert size(run / "finished_a2b.png") == size(run / "finished_a2b_source.png") == (32, 26)
    assert size(run / "finished_b2a.png") == (24, 32)
    assert copied(run).keys() == {"finished_a2b", "finished_b2a"}
    assert all(0 < share <= 1 for share in copied(run).values())
    # A finished run makes them again, otherwise if asked to, and records how beside how it was trained.
    out = tmp_path / "again"
    assert cli("train.py", "--load", run, "--out", out, "--gpu_id", -1).code == 0
    assert not differing(out, run, FINISHED | {"metrics.json"})
    assert sheets["results.png"][0] == ["A", "B", "finished_a2b", "finished_b2a"]
    trained = RunFolder(out).record["options"]
    other = ["--finish_size", 28, "--structure", 0.5, "--seed", 77, "--niter", 9]
    result = cli("train.py", "--load", out, *other, "--gpu_id", -1)
    assert result.code == 0 and "only its results are remade" in result.out and "about" not in result.out
    assert size(out / "finished_a2b.png") == (28, 22)
    options = RunFolder(out).options()
    assert [options[name] for name in ("finish_size", "structure", "manualSeed")] == [28, 0.5, 77]
    assert RunFolder(out).record["options"] == trained and trained["finish_size"] == 32
    assert size(evaluate("eval", *inputs, load=out) / "finished_a2b.png") == (28, 22)
    # Nothing stale is left.
    assert cli("train.py", "--load", out, "--finish_size", 0, "--gpu_id", -1).code == 0
    assert not names(out) & (FINISHED | {"metrics.json"}) and RunFolder(out).record["finished"]


def test_a_stop_while_finishing_keeps_what_is_learned(cli, monkeypatch, run, inputs, tmp_path):
    out = tmp_path / "run"
    monkeypatch.setattr("training.resume.StopRequest", stop_when((out / "finished_a2b.png").exists))
    result = cli("train.py", *inputs, "--out", out, *TINY, "--niter", 1, "--finish_size", 32)
    assert result.code == 130 and "Traceback" not in result.err
    whole = names(run)
    assert names(out) == whole - {"finished_b2a.png", "finished_b2a_source.png", "results.png"}
    assert RunFolder(out).record["finished"] is False
    assert copied(out).keys() == {"finished_a2b"}
    assert not differing(out, run, ["real_b2a.png"])
    words = shlex.split(result.err.splitlines()[-1])
    assert words[1:3] == [str(ROOT / "train.py"), "--load"]
    monkeypatch.undo()
    assert cli("train.py", *words[2:]).code == 0
    assert names(out) == whole and RunFolder(out).record["finished"] is True
    assert not differing(out, run, FINISHED | {"metrics.json"})


# Evaluation.


def test_evaluation_finishes_as_trained(evaluate, run, inputs, sheets):
    out = evaluate("as trained", *inputs)
    assert names(out) == (eval_files(range(4)) - {"results.png"}) | FINISHED | {"metrics.json"}
    assert sheets["results.png"][0] == ["A", "B", "finished_a2b", "finished_b2a"]
    # From the default injection scale, with the run's seed: what training ended with.
    assert not differing(out, run, FINISHED)
    assert copied(out) == copied(run)


def test_size_scale_and_structure_of_an_evaluation(evaluate, run, inputs):
    assert not names(evaluate("off", *inputs, "--finish_size", 0)) & (FINISHED | {"metrics.json"})
    assert size(evaluate("size", *inputs, "--out_size", 28, "--finish_size", 28) / "finished_a2b.png") == (28, 22)
    for words in (["--inject_scale", 0], ["--structure", 0]):
        out = evaluate(words[0], *inputs, *words)
        assert differing(out, run, ["finished_a2b.png"])
    # The scale that is finished need not be among those that are shown.
    out = evaluate("levels", *inputs, "--inject_levels", 1, "--inject_scale", 3)
    assert not differing(out, run, ["finished_a2b.png"])
    # Larger than the run's images were finished: not below what is learned.
    assert size(evaluate("large", *inputs, "--out_size", 36) / "finished_a2b.png") == (36, 29)


def test_samples_are_finished(evaluate, inputs, sheets):
    alone = evaluate("alone", "--samples", 2)
    finished = {f"sample_{i:03d}_finished_{name}" for i in range(2) for name in SAMPLES}
    assert names(alone) >= {f"{name}{kind}.png" for name in finished for kind in ("", "_source")}
    assert copied(alone).keys() == finished
    assert [len(row) for row in sheets["finished_samples.png"]] == [4, 4]
    # In the shape of the image whose layout they have.
    assert [size(alone / f"sample_000_finished_{name}.png") for name in SAMPLES] == [(32, 26)] * 2 + [(24, 32)] * 2
    both = evaluate("both", *inputs, "--samples", 1, "--inject_levels", 1)
    assert copied(both).keys() == {"finished_a2b", "finished_b2a"} | {f"sample_000_finished_{name}" for name in SAMPLES}


def test_the_measures_cover_what_is_finished(cli, run, inputs, tmp_path):
    words = ["--load", run, "--out", tmp_path / "out", "--gpu_id", -1, "--metrics", "--inject_levels", 1]
    result = cli("eval.py", *inputs, *words)
    assert result.code == 0 and result.err.count("warning: ") == 1  # SIFID's network, once
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for name in ("finished_a2b", "finished_b2a"):
        values = record["values"][name]
        assert values.keys() == MEASURES.keys() - {"sifid", "flicker"}
        assert values["sliced_wasserstein"] < record["values"][f"inject_03_{name[-3:]}"]["sliced_wasserstein"]
    assert COPIED not in record["values"]["inject_03_a2b"]


def test_another_image_has_the_patches_of_those_trained_on(evaluate, run, inputs, tmp_path):
    other = make_picture(tmp_path / "other.png", 5, size=(60, 30))
    out = evaluate("guided", "--input_a", other, "--input_b", inputs[3])
    assert size(out / "finished_a2b.png") == (32, 16)
    assert size(out / "finished_b2a.png") == (24, 32)
    # B's translation is A's, whatever is given as A.
    assert not differing(out, run, ["finished_b2a.png"])


def test_an_image_that_is_not_there_any_more(cli, run, inputs, tmp_path):
    copy = copy_run(run, tmp_path / "run")
    place = tmp_path / "moved.png"
    record = json.loads((copy / "config.json").read_text())
    record["options"]["input_a"] = str(place)
    (copy / "config.json").write_text(json.dumps(record))
    other = make_picture(tmp_path / "other.png", 5)
    words = ["eval.py", "--load", copy, "--gpu_id", -1, "--seed", 7, "--input_b", inputs[3]]
    for out in ("gone", "another"):
        result = cli(*words, "--input_a", other, "--out", tmp_path / out)
        assert result.code == 0
        (line,) = result.err.splitlines()
        assert line.startswith("note: ") and "A's patches" in line and str(place) in line
        assert names(tmp_path / out) & FINISHED == {"finished_a2b.png", "finished_a2b_source.png"}
        make_picture(place, 8)  # for the second
    # The image itself, wherever it is now, is as good.
    result = cli(*words, "--input_a", inputs[1], "--out", tmp_path / "whole")
    assert (result.code, result.err) == (0, "")
    assert not differing(tmp_path / "whole", run, ["finished_b2a.png"])


def test_a_stopped_evaluation_leaves_whole_files(cli, monkeypatch, run, inputs, tmp_path):
    out = tmp_path / "out"
    monkeypatch.setattr("eval.StopRequest", stop_when((out / "finished_a2b.png").exists))
    result = cli("eval.py", *inputs, "--load", run, "--out", out, "--gpu_id", -1)
    assert result.code == 130 and "stopped" in result.err
    finished = {"finished_a2b.png", "finished_a2b_source.png", "metrics.json"}
    assert names(out) == (eval_files(range(4)) | finished) - {"results.png"}


# Clips.


def test_every_frame_is_finished(evaluate, inputs, tmp_path):
    clip = moving(tmp_path / "clip.mp4", 5)
    run = train_tiny(tmp_path / "run", "--input_a", clip, *inputs[2:], "--niter", 1, "--finish_size", 32)
    assert size(run / "finished_b2a.png") == (24, 32)  # of the first frame's patches
    out = evaluate("clip", "--input_a", clip, load=run)
    assert names(out) == {"a2b.mp4", "learned_a2b.mp4", "preview.png", "config.json", "metrics.json"}
    film = Clip(out / "a2b.mp4", "--out")
    assert (len(film), film.size) == (5, (32, 20))  # 21, made even
    shown = [np.asarray(frame).astype(float) for frame in film]
    assert any(np.abs(one - other).mean() > 0.1 for one, other in pairwise(shown))  # it moves
    values = json.loads((out / "metrics.json").read_text())["values"]
    assert 0 < values["a2b"][COPIED] <= 1 and values["a2b"]["flicker"] > 0
    assert values["learned_a2b"].keys() == {"flicker"}
    # Images translated by it: A's patches are the first frame's.
    assert names(evaluate("still", *inputs, load=run)) >= FINISHED


# Bad input.


def test_what_is_too_thin_is_left_out(cli, tmp_path, inputs):
    thin = make_picture(tmp_path / "thin.png", 6, size=(200, 12))
    words = ["--input_a", thin, *inputs[2:], "--out", tmp_path / "out", *TINY, "--niter", 1, "--finish_size", 40]
    result = cli("train.py", *words)
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if not line.startswith("warning: ")]
    assert line == "note: a2b at 40 pixels is left out: at 40x2 pixels it would be narrower than a patch (7 pixels)"
    assert names(tmp_path / "out") & FINISHED == {"finished_b2a.png", "finished_b2a_source.png"}


@pytest.mark.parametrize(
    ("words", "told"), [(["--finish_size", 19], ["--finish_size 19", "20"]), (["--structure", -0.5], ["--structure"])]
)
@pytest.mark.parametrize("script", ["train", "eval"])
def test_what_the_others_cannot_use(refused, run, inputs, tmp_path, script, words, told):
    more = [*TINY, "--niter", 1] if script == "train" else ["--load", run, "--gpu_id", -1]
    line = refused([f"{script}.py", *inputs, "--out", tmp_path / "out", *more, *words])
    assert all(word in line for word in told), line


def test_nothing_that_a_run_was_trained_on_is_cleared(refused, cli, inputs, tmp_path):
    out = tmp_path / "out"
    words = ["finish.py", "--input", inputs[1], "--reference", inputs[3], "--out", out]
    assert cli(*words).code == 0
    assert "already holds results" in refused(words)
    trained = train_tiny(tmp_path / "on it", "--input_a", out / "finished.png", *inputs[2:], "--niter", 1)
    again = ["eval.py", "--load", trained, "--samples", 1, "--out", out, "--overwrite", "--gpu_id", -1]
    assert "finished.png" in refused(again)
    # A folder that holds the inputs, and nothing of ours, takes the results beside them.
    folder = tmp_path / "beside"
    folder.mkdir()
    image, reference = make_picture(folder / "image.png", 1), make_picture(folder / "reference.png", 2)
    before = contents(folder)
    assert cli("finish.py", "--input", image, "--reference", reference, "--out", folder).code == 0
    assert before.items() <= contents(folder).items()


def test_choices_are_of_every_injection_scale_and_structure(cli, run, inputs, sheets, tmp_path):
    words = [*inputs, "--load", run, "--gpu_id", -1, "--inject_levels", 2, "--seed", 7, "--choices"]
    assert cli("eval.py", *words, "--out", tmp_path / "out").code == 0
    labels = [label for row in sheets["choices.png"] for label in row]
    assert len(labels) == len(set(labels)) == 2 * 2 * 3
    assert labels[4] == "b2a: --inject_scale 2 --structure 0.5 --seed 7"
