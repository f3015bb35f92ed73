"""eval.py: new pictures from nothing, a chosen injection scale, and inputs that may be left out."""

import shutil

import pytest
from conftest import make_frames
from folders import differing, eval_files, names, size

import config

NAMES = ("fake_a", "a2b", "fake_b", "b2a")


def sample_files(count: int) -> set[str]:
    return {f"sample_{index:03d}_{name}.png" for index in range(count) for name in NAMES}


def test_samples_alone(evaluate, trained):
    three, again, two, other = (
        evaluate(trained, "--samples", count, "--seed", seed, name=f"{i}")
        for i, (count, seed) in enumerate(((3, 1), (3, 1), (2, 1), (2, 2)))
    )
    assert names(three) == sample_files(3) | {"samples.png", "config.json"}
    assert not differing(three, again, sample_files(3) | {"samples.png"})
    # The first of many are the few.
    assert not differing(three, two, sample_files(2))
    assert differing(other, two, sample_files(2)) == sample_files(2)
    assert len({(three / name).read_bytes() for name in sample_files(3)}) == 12
    assert size(three / "sample_000_a2b.png") == (20, 20)


def test_the_first_sample_is_the_one_a_run_ends_with(evaluate, trained):
    out = evaluate(trained, "--samples", 1, "--seed", 7)
    for name in NAMES:
        assert (out / f"sample_000_{name}.png").read_bytes() == (trained / f"final_{name}.png").read_bytes()


def test_the_sheet_shows_the_first_samples_only(evaluate, trained, sheets, monkeypatch):
    monkeypatch.setattr("models.results.SHEET_SAMPLES", 2)
    assert names(evaluate(trained, "--samples", 5)) == sample_files(5) | {"config.json"}
    assert [row[0] for row in sheets["samples.png"]] == ["sample_000_fake_a", "sample_001_fake_a"]


def test_one_injection_scale(evaluate, trained, inputs):
    all_scales = evaluate(trained, *inputs, "--seed", 1, name="all")
    out = evaluate(trained, *inputs, "--seed", 1, "--inject_scale", 1)
    assert names(out) == eval_files([1])
    assert not differing(out, all_scales, ["inject_01_a2b.png", "inject_01_b2a.png"])


def test_inputs_that_are_left_out_are_those_trained_on(evaluate, refused, trained, inputs, tmp_path):
    given, neither = (evaluate(trained, *words, "--seed", 1, name=str(len(words))) for words in (inputs, []))
    only_b = evaluate(trained, *inputs[2:], "--seed", 1, "--samples", 1, name="b")
    for other in (neither, only_b):
        assert not differing(given, other, eval_files([3]) - {"config.json"})
    moved = shutil.copytree(trained, tmp_path / "moved")
    text = (moved / "config.json").read_text(encoding="utf-8")
    (moved / "config.json").write_text(text.replace(inputs[1].name, "gone.png"), encoding="utf-8")
    line = refused(["eval.py", "--load", moved, "--out", tmp_path / "out", *inputs[2:]])
    assert "--input_a" in line and "gone.png" in line


def test_a_clip_has_no_samples(tmp_path):
    make_frames(tmp_path, 1)
    with pytest.raises(config.UserError, match="--samples"):
        config.parse_eval(["--input_a", str(tmp_path), "--load", "x", "--out", "y", "--samples", "1"])
