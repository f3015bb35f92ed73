"""What may be copied, what stays, tiles, exact sources: finish.py's control, and eval.py's."""

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT, TINY, make_frames, make_picture
from PIL import Image

from finishing.canvas import Canvas, white, white_side
from finishing.field import settle
from finishing.full_size import Finisher
from finishing.votes import correction, steps_of
from models.inference import TrainedPair


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A 48x40 image, a 64x48 one with its mask that is white on the left, and a mask with a hole for the first."""
    folder = tmp_path_factory.mktemp("control")
    make_picture(folder / "a.png", 1, (48, 40))
    make_picture(folder / "b.png", 2, (64, 48))
    gravel = Image.open(ROOT / "images" / "gravel.jpg").resize((256, 256)).crop((0, 0, 96, 80))
    gravel.save(folder / "gravel.png")
    pit = np.full((80, 96), 255, np.uint8)
    pit[25:55, 30:66] = 0
    left, hole = np.zeros((48, 64), np.uint8), np.full((40, 48), 255, np.uint8)
    left[:, :36] = 255
    hole[12:26, 16:32] = 0
    noise = np.random.default_rng(0).integers(0, 65536, (48, 64, 3))
    for name, pixels in {
        "left": left,
        "hole": hole,
        "pit": pit,
        "speck": left * (np.indices(left.shape).sum(axis=0) < 8),
        "grey": noise[..., 0].astype(np.uint16),
        "alpha": (np.indices((48, 64)).sum(axis=0)[..., None] + [0, 50, 100, 140]).astype(np.uint8),
    }.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    Image.open(folder / "alpha.png").save(folder / "alpha.tiff")
    cv2.imwrite(str(folder / "deep.png"), noise.astype(np.uint16))
    cv2.imwrite(str(folder / "float.tiff"), noise.astype(np.float32) / 65536)
    return folder


@pytest.fixture
def finish(cli, files, tmp_path):
    """Finish a.png from b.png, unless told otherwise; -> the pixels of what came out."""

    def run(*words, input="a", reference="b", out="out", file="finished.png"):
        words = [files / f"{word}.png" if (files / f"{word}.png").exists() else word for word in words]
        given = ["--input", files / f"{input}.png", "--reference", files / f"{reference}.png"]
        result = cli("finish.py", *given, *words, "--out", tmp_path / out)
        assert result.code == 0, result.err
        return np.asarray(Image.open(tmp_path / out / file)).astype(int)

    return run


def sources(path):
    with np.load(path) as file:
        return file["reference"], file["row"], file["column"], file["sizes"]


@pytest.mark.parametrize("size", [48, 30])  # of b.png's own, and shrunk
def test_nothing_is_copied_from_under_a_black_mask(finish, files, tmp_path, size):
    b = np.asarray(Image.open(files / "b.png")).copy()
    b[:, 36:] = (255, 0, 255)  # nothing else is
    Image.fromarray(b).save(files / "marked.png")
    words = ["--finish_size", size, "--sources", tmp_path / "s.npz"]
    image = finish("--source_mask", "left", *words, reference="marked")
    column = sources(tmp_path / "s.npz")[2]
    assert column.max() < 36
    assert column.max() > 24  # but up to there
    assert not ((image - (255, 0, 255)) ** 2).sum(axis=2).min() < 5000


@pytest.mark.parametrize("tile", ["x", "both"])
def test_a_tile_goes_on_at_its_other_side(finish, tile):
    of = {"input": "gravel", "reference": "gravel"}
    plain, image = finish(out="plain", **of), finish("--tile", tile, "--structure", 0, **of)
    assert plain.shape == image.shape
    for axis in (0, 1):
        inside = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2)).max()  # from one row or column to the next
        before, after = (np.abs(each.take(0, axis) - each.take(-1, axis)).mean() for each in (plain, image))
        assert (after <= inside) == (axis == 1 or tile == "both"), (before, inside, after)
        assert before > inside


def test_a_tile_is_the_same_on_one_and_two_threads_and_however_it_is_shifted():
    rng, shape = np.random.default_rng(0), (96, 40)  # three bands of rows
    canvas = Canvas([torch.zeros(1, 3, 30, 30)], tile=(True, True))
    level = type("Level", (), {"canvas": canvas, "keys": rng.normal(size=(900, 4)).astype(np.float32)})
    queries = rng.normal(size=(*shape, 4)).astype(np.float32)
    field = rng.choice(np.flatnonzero(canvas.usable), shape).astype(np.int32)
    settled = []
    for count in (1, 2):
        torch.set_num_threads(count)
        settled.append(settle(field, queries, level, np.full(shape, -1, np.int32)))
    assert np.array_equal(*settled)
    across = [(each == np.roll(each, -1, 1) - 1).mean(axis=0) for each in settled]
    assert across[0][-1] > 0.5 * across[0][:-1].mean()  # what continues a neighbour's match does so around the edge


@pytest.mark.parametrize("tile", [(False, False), (True, False), (True, True)])
def test_a_correction_takes_steps_back(tile):
    wanted = np.random.default_rng(0).normal(size=(9, 12, 3))
    free = np.zeros((9, 12), bool)
    free[2:5, 3:9] = True
    for mask in (None, free):
        c = wanted if mask is None else wanted * mask[..., None]
        lacking = [steps_of(c, axis, tile[axis]) for axis in (0, 1)]
        found = correction(lacking, 1e4, tile, mask)
        assert np.abs(found - c - (found - c).mean(axis=(0, 1)) * (mask is None)).max() < 1e-4


def test_a_hole_over_a_horizon_is_filled_as_the_picture_was():
    y, x = np.indices((144, 192))
    rng = np.random.default_rng(0)
    picture = np.where(y < 70 + 0.1 * x, 160 + x / 4, 120 * rng.integers(0, 2, x.shape)).astype(np.uint8)
    kept, filled = np.full(picture.shape, 255, np.uint8), []
    kept[30:120, 60:130] = 0
    image = Image.fromarray(picture * (kept > 0)).convert("RGB")
    image.putalpha(Image.fromarray(kept))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        finisher = Finisher({"itself": image}, picture.shape, 192, 0.0, image)
        filled.append(127.5 * finisher(torch.zeros(1, 3, 120, 160)).image[0, 0].numpy() + 127.5)
    assert np.array_equal(*filled)
    rough = [np.abs(np.diff(each.astype(float), axis=1))[31:119, 61:129] > 20 for each in (filled[0], picture)]
    assert np.corrcoef(*(each.mean(axis=1) for each in rough))[0, 1] > 0.9


def test_a_hole_is_not_filled_with_what_was_in_it(finish, files, cli, tmp_path):
    hole = np.asarray(Image.open(files / "hole.png")) == 0
    finish("--keep_mask", "hole", "--sources", tmp_path / "s.npz", reference="a")
    reference, row, column, _ = sources(tmp_path / "s.npz")
    assert (reference[hole] == 0).all() and not hole[row, column][hole].any()
    # Of a tile, too, whose border is open: only what is wrong with it is not to be copied.
    border = np.pad(np.ones((28, 36), bool), 6) & ~hole
    Image.fromarray(border).save(files / "border.png")
    words = ["--keep_mask", "border", "--tile", "both", "--sources", tmp_path / "t.npz"]
    finish(*words, input="a", reference="a", out="tile")
    reference, row, column, _ = sources(tmp_path / "t.npz")
    assert not hole[row, column][~border].any() and (~border)[row, column][~border].any()
    Image.new("L", (48, 40), 255).save(files / "all.png")
    words = [word for name in ("input", "reference") for word in (f"--{name}", files / "a.png")]
    result = cli("finish.py", *words, "--keep_mask", files / "all.png", "--out", tmp_path / "none")
    assert result.code == 2 and "has no black" in result.err


@pytest.mark.parametrize("side", [0, 1, 2, 13, 14])
def test_the_largest_white_square_of_a_mask(side):
    mask = torch.zeros(30, 40)
    mask[3 : 3 + side, 5 : 5 + 2 * side] = 1
    assert white_side(mask) == side
    assert white_side(torch.ones(30, 40)) == 30


@pytest.mark.parametrize("factor", [1, 0.5, 0.04])
def test_a_single_black_pixel_counts_at_every_size(factor):
    mask = torch.ones(300, 400)
    mask[150, 200] = 0
    black = ~white(mask, factor)
    assert black[int(150.5 * factor), int(200.5 * factor)] and black.sum() <= 25


def test_what_is_kept_stays_bit_for_bit(cli, finish, files, tmp_path):
    a, hole, pit = (np.asarray(Image.open(files / f"{name}.png")) for name in ("a", "hole", "pit"))
    hole = hole == 0
    image = finish("--keep_mask", "hole", "--sources", tmp_path / "s.npz")
    assert np.array_equal(image[~hole], a[~hole])
    assert (image != a)[hole].mean() > 0.5
    # Joined without a seam: no larger steps into the hole than elsewhere.
    filled = finish("--keep_mask", "pit", "--source_mask", "pit", input="gravel", reference="gravel", out="gravel")
    for axis in (0, 1):
        steps, joint = np.abs(np.diff(filled, axis=axis)).mean(axis=2), np.diff(pit, axis=axis) != 0
        assert steps[joint].mean() <= 1.5 * steps[~joint].mean()
    # What was in the hole is forgotten, unless it is the guide.
    blank = a.copy()
    blank[hole] = 0
    Image.fromarray(blank).save(files / "blank.png")
    again = [finish("--keep_mask", "hole", *more, input="blank", out=str(more)) for more in ((), ("--structure", 1))]
    assert np.array_equal(again[0], image) and not np.array_equal(again[1], image)
    reference, *_, sizes = sources(tmp_path / "s.npz")
    assert np.array_equal(reference == 1, ~hole)
    assert sizes.tolist() == [[48, 64], [40, 48]]
    words = ["--apply", tmp_path / "s.npz", "--reference", files / "b.png", files / "a.png", "--out", tmp_path / "maps"]
    assert cli("finish.py", *words).code == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "maps" / "applied.png"))[~hole], a[~hole])


def test_only_what_is_near_a_hole_is_computed():
    image = Image.new("RGBA", (300, 120), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (100, 50, 110, 60))
    there, near = Finisher({}, (120, 300), 300, 0.0, image).around_holes((40, 100))
    # A sixth of 300 around it, in whole pixels of the learned image.
    assert there == (slice(0, 37), slice(16, 54)) and near == (slice(0, 111), slice(48, 162))
    _, near = Finisher({}, (120, 300), 300, 0.0, image, (True, False)).around_holes((40, 100))
    assert near == (slice(0, 120), slice(48, 162))


@pytest.mark.parametrize("words", [(), ("--turn",)])
def test_sources_are_exact_and_apply_to_other_maps_as_they_are(cli, finish, files, tmp_path, words):
    image = finish(*words, "--sources", tmp_path / "s.npz")
    reference, row, column, sizes = sources(tmp_path / "s.npz")
    b = np.asarray(Image.open(files / "b.png"))
    assert reference.shape == image.shape[:2] and not reference.any() and sizes.tolist() == [[48, 64]]
    unvoted = b[row, column].astype(int)
    assert np.abs(unvoted - image).mean() < 12  # before votes and seams
    for name in ("b.png", "grey.png", "deep.png", "alpha.png", "alpha.tiff", "float.tiff"):
        words = ["--apply", tmp_path / "s.npz", "--reference", files / name, "--out", tmp_path / name]
        applied = cv2.imread(cli("finish.py", *words).out.strip(), -1)
        pixels = cv2.imread(str(files / name.replace("alpha.tiff", "alpha.png")), -1)
        assert applied.dtype == pixels.dtype
        assert np.array_equal(applied, pixels[row, column])
    assert cv2.imread(str(tmp_path / "grey.png" / "applied.png"), -1).dtype == np.uint16


def test_a_turned_reference_gives_back_what_is_turned(finish, files):
    turned = Image.open(files / "b.png").transpose(Image.Transpose.TRANSVERSE)
    turned.save(files / "turned.png")
    found = [finish("--finish_size", 64, *more, input="turned", out=f"{more}") for more in ([], ["--turn"])]
    plain, turning = (np.abs(each - np.asarray(turned)).mean() for each in found)
    assert turning < 0.5 * plain


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--source_mask", "left", "left"], ["--source_mask: 2 given for 1 --reference"]),
        (["--reference", "left", "left"], ["--reference", "twice"]),
        (["--source_mask", "hole"], ["--source_mask", "48x40", "64x48", "one size"]),
        (["--source_mask", "speck"], ["b.png with --source_mask", "no white square of"]),
        (["--keep_mask", "left"], ["--keep_mask", "64x48", "48x40"]),
        (["--keep_mask", "hole", "--tile", "x"], ["--keep_mask", "--tile x", "border", "black"]),
        (["--keep_mask", "hole", "--learned_size", 20], ["--learned_size", "--structure"]),
        (["--keep_mask", "hole", "--finish_size", 40], ["--finish_size", "--keep_mask"]),
        (["--apply", "a"], ["--input", "--apply"]),
        (["--tile", "z"], ["--tile"]),
        (["--sources", "a"], ["--sources", "ends in .npz"]),
        (["--sources", "/dev/null/x.npz"], ["--sources", "cannot be written"]),
    ],
)
def test_what_control_cannot_use(refused, files, tmp_path, words, told):
    words = [files / f"{word}.png" if (files / f"{word}.png").exists() else word for word in words]
    given = ["--input", files / "a.png", "--reference", files / "b.png", "--out", tmp_path / "out"]
    line = refused(["finish.py", *given, *words])
    assert all(word in line for word in told), line


def test_what_apply_cannot_use(finish, refused, files, tmp_path):
    finish("--sources", tmp_path / "s.npz")
    (files / "empty.png").touch()
    cases = [("s", "a", "64x48"), ("s", "b b", "2 given"), ("gone", "b", "--apply")]
    cases += [("s", name, f"{name}.png: cannot be read") for name in ("empty", "no")]
    for path, maps, told in cases:
        words = ["--apply", tmp_path / f"{path}.npz", "--reference", *(files / f"{name}.png" for name in maps.split())]
        assert told in refused(["finish.py", *words, "--out", tmp_path / "other"])
    words = ["--input", files / "a.png", "--reference", files / "b.png", "--out", tmp_path / "other", "--sources"]
    assert "--overwrite" in refused(["finish.py", *words, tmp_path / "s.npz"])
    refused(["finish.py", *words, tmp_path / "new" / "s.npz", "--learned_size", 60])  # and no folder is made


def test_a_trained_pair_takes_masks(cli, refused, files, tmp_path):
    run, inputs = tmp_path / "run", ["--input_a", files / "a.png", "--input_b", files / "b.png"]
    assert cli("train.py", *inputs, "--out", run, *TINY, "--niter", 1).code == 0
    words = ["eval.py", *inputs, "--load", run, "--gpu_id", -1, "--seed", 0, "--source_mask_b", files / "left.png"]
    assert "--finish_size" in refused([*words, "--out", tmp_path / "none"])
    images = []
    for more in (words, words[:-2]):
        assert cli(*more, "--finish_size", 40, "--out", tmp_path / "out", "--overwrite").code == 0
        images.append(np.asarray(Image.open(tmp_path / "out" / "finished_a2b.png")))
    assert not np.array_equal(*images)
    pair = TrainedPair.load(run)
    assert np.array_equal(pair.translate(files / "a.png", finish_size=40, source_mask=files / "left.png"), images[0])
    free, left = (pair.sample(finish_size=40, source_masks=(None, mask)) for mask in (None, files / "left.png"))
    assert [name for name in free if free[name] != left[name]] == ["a2b", "fake_b"]  # those of B's patches
    assert "64x48" in refused([*words[:-1], files / "hole.png", "--finish_size", 40, "--out", tmp_path / "none"])
    words += ["--source_mask_a", files / "hole.png", "--finish_size", 40]
    words += ["--input_a", make_frames(tmp_path / "clip", 1)]
    assert "--source_mask_a: has no effect on a video" in refused([*words, "--out", tmp_path / "none"])
