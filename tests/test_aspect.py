"""Pictures that keep their shape, and results of other sizes than trained."""

import itertools
import math

import pytest
from conftest import TINY, make_picture, train_tiny
from folders import size

from utils.geometry import Geometry

# Four scales of the areas of squares of 17 to 24 pixels: their sides for 3:2.
KEPT = [*TINY, "--img_size", 24, "--min_size", 17, "--keep_aspect"]
LONGER, SHORTER = (21, 24, 27, 30), (14, 16, 18, 20)


# Geometry; (height, width).


def test_square_pictures_have_the_published_sides():
    assert Geometry().domain_shapes == (Geometry().shapes,) * 2
    assert [height for height, _ in Geometry().shapes] == [18, 24, 30, 39, 49, 63, 81, 104, 134, 172, 220]
    assert Geometry(48, 47).stop_scale == 2  # sides as near as can be make a pyramid, too
    assert Geometry(keep_aspect=True).of_images((7, 7), (300, 300)).domain_shapes == Geometry().domain_shapes
    assert Geometry().of_images((400, 300), (3, 4)) == Geometry()


def test_areas_are_those_of_the_squares_where_the_aspect_is_kept():
    geometry = Geometry(keep_aspect=True).of_images((400, 300), (188, 250))
    wide, tall = geometry.domain_shapes
    # 220 sqrt(3 / 4) = 190.5, 220 sqrt(4 / 3) = 254.03; 18: 15.6, 20.8; likewise with 188 / 250.
    assert (wide[-1], wide[0]) == ((191, 255), (16, 21))
    assert (tall[-1], tall[0]) == ((254, 191), (21, 16))
    assert (geometry.stop_scale, geometry.factor) == (10, Geometry().factor)


@pytest.mark.parametrize("aspect", [1, 4 / 3, 188 / 250, 3, 1 / 7])
@pytest.mark.parametrize("side", [None, 64, 333])
def test_a_scale_enlarged_reaches_the_next(aspect, side):
    # What upsampling makes is cut at the bottom and right, never lacks a row.
    geometry = Geometry()
    shapes = geometry.shapes_for(aspect, side)
    for coarse, fine in itertools.pairwise(shapes):
        for before, after in zip(coarse, fine, strict=True):
            assert before <= after <= math.ceil(before / geometry.factor)


# The command lines.


@pytest.fixture(scope="module")
def shaped_pair(tmp_path_factory):
    """A is 3:2, B is 2:3."""
    folder = tmp_path_factory.mktemp("shaped")
    a = make_picture(folder / "a.png", 1, size=(60, 40))
    return ["--input_a", a, "--input_b", make_picture(folder / "b.png", 2, size=(40, 60))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory, shaped_pair):
    """A finished run that keeps the shapes, with every term; tests must not write into it."""
    words = [*shaped_pair, *KEPT, "--niter", 3, "--lambda_self", 0.5, "--finish_size", 35]
    return train_tiny(tmp_path_factory.mktemp("kept") / "run", *words)


def sizes(folder, *pictures: str) -> set[tuple[int, int]]:
    return {size(folder / f"{name}.png") for name in pictures}


def test_a_run_keeps_both_shapes(kept):
    for name, wide in {"fake_a": True, "a2b": True, "fake_b": False, "b2a": False}.items():
        for scale, sides in enumerate(zip(LONGER, SHORTER, strict=True)):
            wanted = sides if wide else sides[::-1]
            assert size(kept / "samples" / f"{scale:02d}_step00003_{name}.png") == wanted
        assert size(kept / f"final_{name}.png") == ((30, 20) if wide else (20, 30))
    assert size(kept / "real_a2b.png") == (30, 20) and size(kept / "real_b2a.png") == (20, 30)
    assert size(kept / "finished_a2b.png") == (35, 23) and size(kept / "finished_b2a.png") == (23, 35)  # 23.3


def test_a_picture_too_long_and_thin_to_train_on(refused, shaped_pair, tmp_path):
    thin = make_picture(tmp_path / "thin.png", 3, size=(60, 20))
    command = ["train.py", *shaped_pair, "--out", tmp_path / "out", *KEPT, "--niter", 1]
    line = refused([*command, "--input_b", thin])
    assert all(word in line for word in ("--keep_aspect", "--input_b", "30x10", "at least 11"))


def test_keep_aspect_is_as_trained(cli, refused, kept, shaped_pair, trained):
    assert "30x20" in cli("train.py", "--load", kept, "--gpu_id", -1, "--dry_run").out
    assert "--keep_aspect" in refused(["train.py", *shaped_pair, "--load", trained, "--keep_aspect"])


def test_the_pictures_given_decide_the_shape(evaluate, kept, tmp_path):
    # 24 sqrt(70 / 50) = 28.4, 24 sqrt(50 / 70) = 20.3; a square B.
    other = make_picture(tmp_path / "other.png", 5, size=(70, 50))
    square = make_picture(tmp_path / "square.png", 6, size=(40, 40))
    out = evaluate(kept, "--input_a", other, "--input_b", square)
    assert sizes(out, "real_a", "direct_a2b", "inject_00_redrawn_a", "inject_00_a2b", "inject_03_a2b") == {(29, 21)}
    assert sizes(out, "real_b", "direct_b2a", "inject_00_b2a", "inject_03_redrawn_b") == {(24, 24)}


def test_a_run_on_squares_evaluates_at_the_pictures_shapes(evaluate, trained, shaped_pair):
    out = evaluate(trained, *shaped_pair, "--keep_aspect")
    # 20 sqrt(60 / 40) = 24.5, 20 sqrt(40 / 60) = 16.3.
    assert sizes(out, "real_a", "inject_00_a2b", "direct_a2b") == {(25, 17)}
    assert sizes(out, "real_b", "inject_02_b2a") == {(17, 25)}


def test_results_of_another_size(evaluate, kept, shaped_pair):
    out = evaluate(kept, *shaped_pair, "--out_size", 40, "--samples", 1)
    assert sizes(out, "real_a", "direct_a2b", "inject_00_a2b", "inject_03_redrawn_a", "sample_000_a2b") == {(49, 33)}
    assert sizes(out, "real_b", "inject_03_b2a", "sample_000_fake_b") == {(33, 49)}
