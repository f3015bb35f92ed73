"""finish.py through its command line: what it leaves, and refuses."""

import json

import numpy as np
import pytest
from conftest import make_picture
from folders import names, size
from PIL import Image

from utils.measures import COPIED


def test_any_image_is_finished(cli, images, sheets, tmp_path):
    out, words = tmp_path / "out", ["--input", images[0], "--reference", images[1], "--finish_size", 34]
    result = cli("finish.py", *words, "--out", out)
    assert (result.code, result.err) == (0, "")
    assert names(out) == {"finished.png", "finished_source.png", "metrics.json", "config.json"}
    assert size(out / "finished.png") == size(out / "finished_source.png") == (34, 27)
    values = json.loads((out / "metrics.json").read_text())["values"]
    assert {name: list(each) for name, each in values.items()} == {"finished": [COPIED]}
    assert sheets["results.png"] == [
        ["input", "reference 1", "finished"],
        ["source of each pixel", "colours of reference 1"],
    ]
    first = (out / "finished.png").read_bytes()
    assert cli("finish.py", *words, "--out", out, "--overwrite", "--structure", 0).code == 0
    assert (out / "finished.png").read_bytes() != first
    assert cli("finish.py", *words, "--out", out, "--overwrite").code == 0
    assert (out / "finished.png").read_bytes() == first


def test_several_references(cli, sheets, tmp_path):
    left, right = make_picture(tmp_path / "left.png", 1, (40, 40)), make_picture(tmp_path / "right.png", 2, (40, 40))
    both = np.concatenate([np.asarray(Image.open(path)) for path in (left, right)], axis=1)
    Image.fromarray(both).resize((40, 20)).save(tmp_path / "both.png")
    words = ["--input", tmp_path / "both.png", "--reference", left, right, "--finish_size", 40]
    assert cli("finish.py", *words, "--out", tmp_path / "out").code == 0
    assert [len(row) for row in sheets["results.png"]] == [4, 3]
    source = np.asarray(Image.open(tmp_path / "out" / "finished_source.png"))
    assert source.shape == (20, 40, 3)
    # Every reference has hues of its own: the left half is of one of them, the right half of the other.
    one, other = (set(map(tuple, source[:, half].reshape(-1, 3))) for half in (slice(16), slice(24, 40)))
    assert not one & other


def test_a_reference_with_fewer_pixels_than_wanted(cli, images, tmp_path):
    words = ["--input", images[0], "--reference", images[1], "--out", tmp_path / "out"]
    result = cli("finish.py", *words, "--finish_size", 500)
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert line.startswith("note: the result is limited to ") and "36x48 pixels" in line
    assert size(tmp_path / "out" / "finished.png") == (46, 37)


def test_like_gives_the_result_another_images_shape(cli, images, tmp_path):
    like = make_picture(tmp_path / "like.png", 3, size=(60, 30))
    words = ["--input", images[0], "--reference", images[1], "--like", like, "--finish_size", 40]
    assert cli("finish.py", *words, "--out", tmp_path / "out").code == 0
    assert size(tmp_path / "out" / "finished.png") == (40, 20)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["small.png", "--reference", "b.png"], ["--input", "6x40"]),
        (["a.png", "--reference", "b.png", "small.png"], ["--reference", "small.png", "6x40"]),
        (["thin.png", "--reference", "b.png"], ["--input", "at 415x4 pixels"]),
        (["a.png", "--reference", "a.png", "thin.png"], ["--reference", "thin.png", "shrunk for 40 pixels"]),
        (["a.png", "--reference", "none.png"], ["--reference", "none.png", "no such file"]),
        (["a.png", "--reference", "b.png", "--finish_size", 20, "--learned_size", 30], ["--finish_size 20", "30"]),
        (["a.png", "--reference", "b.png", "--finish_size", 13], ["--finish_size", "14 or more"]),
        (["a.png", "--reference", "b.png", "--learned_size", 50], ["--learned_size 50"]),
        (["a.png", "--reference", "b.png", "--structure", "nan"], ["--structure", "nan"]),
        (["a.png"], ["--reference", "must be given"]),
    ],
)
def test_what_finish_cannot_use(refused, tmp_path, words, told):
    for file, of in (("a", (40, 32)), ("b", (36, 48)), ("small", (6, 40)), ("thin", (800, 8))):
        make_picture(tmp_path / f"{file}.png", 1, size=of)
    words = [tmp_path / word if str(word).endswith(".png") else word for word in words]
    line = refused(["finish.py", "--input", *words, "--out", tmp_path / "out"])
    assert all(word in line for word in told), line
