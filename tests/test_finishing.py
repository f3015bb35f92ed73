"""Finishing: what comes back, from where, and from bad input."""

import os
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finishing import references
from finishing.canvas import PATCH, Canvas
from finishing.coarse_to_fine import finish
from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.full_size import Finisher, Job, finish_all, possible, whole
from finishing.kernels import in_bands, nearest, sweep
from finishing.references import faithfulness
from finishing.sizes import PAIR, finished_sizes, level_factors, shares_done
from finishing.source_map import legend, source_map
from finishing.votes import EDGE, averaged, seamless
from utils.commands import ROOT
from utils.image import to_uint8
from utils.interrupt import Stopped
from utils.measures import sliced_wasserstein
from utils.resize import resize


def texture(height, width, seed=0):
    """A smooth random image in [-1, 1], no place like another."""
    noise = torch.randn(1, 3, height // 2 + 3, width // 2 + 3, generator=torch.Generator().manual_seed(seed))
    return resize(noise, 2.0, (height, width)).clamp(-1, 1)


class Plain:
    """Features that are given, in place of those of images."""

    check = bool

    def __init__(self, queries, keys):
        self.queries, self.keys, self.shape = queries, keys, queries.shape[:2]


def random_features(canvas, shape, seed=0, values=4):
    rng = np.random.default_rng(seed)
    queries = rng.normal(size=(*shape, values)).astype(np.float32)
    return Plain(queries, rng.normal(size=(canvas.places, values)).astype(np.float32))


def test_an_image_comes_back_from_its_own_shrunk_copy():
    image = texture(96, 80)
    finished = finish(resize(image, 0.5), [image], (96, 80))
    assert max(sliced_wasserstein(finished.image, image)) < 1e-4
    assert finished.copied > 0.9
    assert (finished.source[0] == 0).all()
    right = (finished.source[1] == np.arange(96)[:, None]) & (finished.source[2] == np.arange(80))
    assert right.mean() > 0.95


def test_every_part_comes_from_the_reference_that_has_it():
    left, right = texture(48, 40, 1), texture(64, 36, 2)
    learned = resize(torch.cat([left, right[..., :48, :]], dim=3), 0.5)
    finished = finish(learned, [left, right], (48, 76))
    reference = finished.source[0]
    assert (reference[:, :34] == 0).mean() > 0.95
    assert (reference[:, 42:] == 1).mean() > 0.95
    shapes = [(48, 40), (64, 36)]
    for index, (height, width) in enumerate(shapes):
        assert (finished.source[1][reference == index] < height).all()
        assert (finished.source[2][reference == index] < width).all()
    # The map shows both in the colours of their legends.
    pictured = source_map(finished.source, shapes)
    row, column = finished.source[1:, 20, 5]
    assert torch.equal(pictured[0, :, 20, 5], legend(shapes[0], 0, 2)[0, :, row, column])
    row, column = finished.source[1:, 20, 70]
    assert torch.equal(pictured[0, :, 20, 70], legend(shapes[1], 1, 2)[0, :, row, column])


def test_same_bits_on_one_and_two_threads():
    threads = torch.get_num_threads()
    learned, reference = texture(30, 40, 3), texture(120, 100, 4)
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(finish(learned, [reference], (96, 128)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0].image, results[1].image)
    assert np.array_equal(results[0].source, results[1].source)


def test_nearest_is_what_brute_force_finds():
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(50, 6)).astype(np.float32)
    keys = rng.normal(size=(2100, 6)).astype(np.float32)  # more than are summed side by side
    prices = rng.uniform(0, 2, size=2100).astype(np.float32)
    found = np.empty(50, np.int64)
    in_bands(nearest, 50, queries, np.ascontiguousarray(keys.T), prices, found)
    costs = ((queries[:, None].astype(np.float64) - keys) ** 2).sum(axis=2) + prices
    assert np.array_equal(found, costs.argmin(axis=1))


def test_alike_patches_share_the_references_patches_out():
    canvas = Canvas([torch.zeros(1, 3, 30, 30)])
    features = random_features(canvas, (20, 20))
    features.queries[:] = 0
    assert len(np.unique(search(features, canvas))) > 2
    assert canvas.usable[search(features, canvas)].all()


def energy(field, distance, width, coherence):
    """The sum that sweeps lower, in float64: every pair of neighbours that continues counts for both."""
    pairs = (field[:, 1:] == field[:, :-1] + 1).sum() + (field[1:] == field[:-1] + width).sum()
    return distance.sum(dtype=np.float64) - float(coherence) * pairs


@pytest.mark.parametrize("shape", [(70, 20), (5, 9), (1, 1)])
def test_a_sweep_never_raises_the_energy(shape):
    canvas = Canvas([torch.zeros(1, 3, 20, 31), torch.zeros(1, 3, 25, 17)])
    features = random_features(canvas, shape)
    field = np.random.default_rng(1).choice(np.flatnonzero(canvas.usable), shape).astype(np.int32)
    distance = ((features.queries - features.keys[field]) ** 2).sum(axis=2)
    nothing, coherence = np.full(shape, -1, np.int32), np.float32(2.0)
    fixed = (features.queries, features.keys, canvas.usable, canvas.width, coherence, nothing, np.float32(0))
    energies = [energy(field, distance, canvas.width, coherence)]
    for turn in range(6):
        in_bands(sweep, len(field), *fixed, turn % 2 == 1, field, distance, neighbours_apart=True)
        assert canvas.usable[field].all()
        assert np.allclose(distance, ((features.queries - features.keys[field]) ** 2).sum(axis=2), atol=1e-4)
        energies.append(energy(field, distance, canvas.width, coherence))
    assert all(after <= before + 1e-3 for before, after in pairwise(energies))
    assert energies[-1] < energies[0] or shape == (1, 1)


def test_a_match_is_kept_where_no_other_is_clearly_better():
    canvas = Canvas([torch.zeros(1, 3, 30, 30)])
    features = random_features(canvas, (12, 12))
    usable = np.flatnonzero(canvas.usable).astype(np.int32)
    first, other = (np.random.default_rng(seed).choice(usable, (12, 12)) for seed in (1, 2))
    features.keys[other[3, 3]] = features.queries[3, 3]  # an exact match
    features.keys[first[3, 3]] = features.queries[3, 3] + 9  # clearly worse
    settled = settle(first, features, canvas, np.where(np.arange(144).reshape(12, 12) == 39, other, first))
    assert settled[3, 3] == other[3, 3]
    free = settle(first, features, canvas, np.full((12, 12), -1, np.int32))
    assert (settled == first).mean() > (free == first).mean()


def test_a_frame_keeps_to_the_frame_before():
    reference, noise = texture(64, 64, 5), 0.1 * texture(32, 32, 6)
    learned = texture(32, 32, 7)
    one = finish(learned, [reference], (64, 64))
    alone, after = (finish(learned + noise, [reference], (64, 64), before=before) for before in (None, one))
    assert (after.fields[-1] == one.fields[-1]).mean() > (alone.fields[-1] == one.fields[-1]).mean()
    assert torch.equal(finish(learned, [reference], (64, 64), before=one).image, one.image)
    with pytest.raises(ValueError, match="another size"):
        finish(learned, [reference], (48, 64), before=one)


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(7, 40),
    width=st.integers(7, 40),
    sides=st.lists(st.tuples(st.integers(7, 40), st.integers(7, 40)), min_size=1, max_size=3),
    learned=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    structure=st.sampled_from([0.0, 0.5, 1.0, 2.0, 9.0]),
)
def test_sources_lie_in_the_references_for_every_size_and_aspect(height, width, sides, learned, structure):
    references = [texture(*shape, seed) for seed, shape in enumerate(sides)]
    finished = finish(texture(*learned, 9), references, (height, width), structure=structure)
    assert finished.image.shape == (1, 3, height, width)
    assert finished.image.isfinite().all()
    heights, widths = (np.array(length)[finished.source[0]] for length in zip(*sides, strict=True))
    assert (finished.source >= 0).all()
    assert (finished.source[1] < heights).all()
    assert (finished.source[2] < widths).all()


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(7, 60)] * 4), st.floats(1, 1.5))
def test_an_enlarged_field_stays_inside(lengths, ratio):
    old = Canvas([torch.zeros(1, 3, *lengths[:2]), torch.zeros(1, 3, *lengths[1:3])])
    new = Canvas([torch.zeros(1, 3, *np.ceil(np.array(image.shape[-2:]) * ratio).astype(int)) for image in old.images])
    field = np.random.default_rng(0).choice(np.flatnonzero(old.usable), lengths[2:]).astype(np.int32)
    larger = enlarge(field, old, new, ratio, tuple(np.ceil(np.array(field.shape) * ratio).astype(int)))
    assert new.usable[larger].all()


def test_a_field_in_one_piece_stays_so():
    old, new = Canvas([torch.zeros(1, 3, 30, 40)]), Canvas([torch.zeros(1, 3, 60, 80)])
    field = (np.arange(2, 20)[:, None] * 40 + np.arange(3, 30)).astype(np.int32)
    larger = enlarge(field, old, new, 2.0, (36, 54))
    assert copied_share(field, old) == copied_share(larger, new) == 1
    assert larger[0, 0] == 4 * 80 + 6
    reference, row, column = source_of(field, old)
    assert (reference == 0).all()
    assert (row == np.arange(2, 26)[:, None]).all()
    assert (column == np.arange(3, 36)).all()


def test_a_picture_in_one_piece_is_not_changed():
    canvas = Canvas([texture(30, 40)])
    field = (np.arange(2, 18)[:, None] * 40 + np.arange(3, 28)).astype(np.int32)
    assert torch.allclose(seamless(field, canvas, (22, 31), 4.0), canvas.images[0][..., 2:24, 3:34], atol=1e-6)


def two_pieces(step, shape=(20, 60)):
    """A canvas, dark at the left, lighter by `step` at the right, and a field with a seam down the middle."""
    image = torch.zeros(1, 3, 20, 80)
    image[..., 40:] = step
    rows, columns = np.arange(shape[0] - PATCH + 1)[:, None], np.arange(shape[1] - PATCH + 1)
    middle = len(columns) // 2
    return Canvas([image]), (rows * 80 + np.where(columns < middle, columns % 30, 45 + columns % 25)).astype(np.int32)


def test_a_seam_fades_out_over_the_reach():
    step, reach = 0.02, 5.0
    canvas, field = two_pieces(step)
    before, after = averaged(field, canvas, (20, 60)), seamless(field, canvas, (20, 60), reach)
    assert before.diff(dim=3).abs().max() > 0.45 * step
    assert after.diff(dim=3).abs().max() < 0.11 * step  # half of it on either side, falling by exp(-1 / reach) a pixel
    line = after[0, 0, 10]
    assert (line.diff() > -1e-6).all()
    assert line[2] < 0.01 * step and line[-3] > 0.99 * step
    assert torch.isclose(after.mean(), before.mean(), atol=1e-6)


def test_an_edge_is_no_seam():
    canvas, field = two_pieces(1.0)  # a distance of sqrt(3) in three channels, over two pixels
    before, after = averaged(field, canvas, (20, 60)), seamless(field, canvas, (20, 60), 5.0)
    assert before.diff(dim=3).norm(dim=1).max() > EDGE
    assert (after - before).abs().max() < 0.1


def test_the_correction_is_the_least_squares_solution():
    canvas = Canvas([0.05 * texture(40, 50)])
    shape, reach = (12, 9), 2.5
    field = np.random.default_rng(0).choice(np.flatnonzero(canvas.usable), (6, 3)).astype(np.int32)
    image = averaged(field, canvas, shape)
    correction = seamless(field, canvas, shape, reach) - image
    # What each pair of neighbours lacks, voted for by every patch that holds both.
    equations, wanted = [np.eye(108) / reach], [np.zeros(108)]
    values, bell = canvas.values[:, 0], np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    for y, x, down, right in [(y, x, d, 1 - d) for d in (0, 1) for y in range(12 - d) for x in range(8 + d)]:
        total = weights = 0.0
        for dy, dx in np.ndindex(7 - down, 7 - right):
            if 0 <= y - dy < 6 and 0 <= x - dx < 3:
                place = field[y - dy, x - dx] + dy * 50 + dx
                weight = np.sqrt(bell[dy] * bell[dy + down] * bell[dx] * bell[dx + right])
                total += weight * (values[place + down * 50 + right] - values[place])
                weights += weight
        row = np.zeros((12, 9))
        row[y, x], row[y + down, x + right] = -1, 1
        equations.append(row.reshape(1, -1))
        wanted.append([total / weights - float(image[0, 0, y + down, x + right] - image[0, 0, y, x])])
    solution = np.linalg.lstsq(np.concatenate(equations), np.concatenate(wanted), rcond=None)[0].reshape(12, 9)
    assert np.abs(correction[0, 0].numpy() - solution).max() < 0.02 * np.abs(solution).max()  # EDGE takes the rest


@pytest.mark.parametrize("learned", [texture(20, 20), torch.full((1, 3, 20, 20), 0.3), torch.zeros(1, 3, 1, 1)])
def test_a_reference_of_one_colour_gives_that_colour(learned):
    finished = finish(learned, [torch.full((1, 3, 30, 40), 0.25)], (32, 32))
    assert torch.allclose(finished.image, torch.full_like(finished.image, 0.25), atol=1e-6)


def test_what_cannot_be_finished_is_said():
    image = texture(20, 20)
    with pytest.raises(ValueError, match=f"at least {PATCH} pixels"):
        finish(image, [texture(6, 20)], (20, 20))
    with pytest.raises(ValueError, match=f"at least {PATCH} pixels"):
        finish(image, [image], (20, 6))
    with pytest.raises(ValueError, match="must not be negative"):
        finish(image, [image], (20, 20), structure=-1)
    with pytest.raises(ValueError, match="must be a reference"):
        finish(image, [], (20, 20))


def test_progress_goes_up_to_one():
    shares = []
    finish(texture(20, 20), [texture(64, 64)], (64, 64), progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[-1] == 1


def test_structure_rules_all_three_together():
    loose, middle, strict = map(faithfulness, (0, 0.5, 1))
    assert loose.weight < middle.weight < strict.weight
    assert loose.reach > middle.reach > strict.reach
    assert loose.start < middle.start < strict.start
    assert faithfulness(2).weight > strict.weight


@pytest.mark.parametrize(
    ("structure", "references", "size", "stretched", "shape", "factors", "limited_by"),
    [
        ((300, 400), [(220, 220)], 110, False, (82, 110), (0.5,), None),
        ((300, 400), [(220, 220)], 512, False, (165, 220), (1.0,), 0),
        ((100, 400), [(200, 200)], 1000, True, (100, 400), (1.0,), 0),  # of equal area
        ((64, 64), [(200, 400), (100, 100)], 300, False, (100, 100), (0.25, 1.0), 1),
    ],
)
def test_no_reference_is_enlarged(structure, references, size, stretched, shape, factors, limited_by):
    sizes = finished_sizes(structure, references, size, stretched=stretched)
    assert sizes.shape == shape
    assert sizes.factors == pytest.approx(factors)
    assert sizes.limited_by == limited_by


def test_levels_grow_by_at_most_a_third_to_the_full_size():
    factors = level_factors(0.2, 300, 400)
    assert factors[0] == pytest.approx(0.2)
    assert factors[-1] == 1
    assert all(1 < after / before < 1.3334 for before, after in pairwise(factors))
    assert level_factors(1.5, 300, 400)[0] == pytest.approx(128 / 400)  # searched exhaustively: not too large
    assert level_factors(0.001, 28, 400)[0] == 0.5  # nor too small for patches
    assert level_factors(0.5, 7, 7) == [1.0]


def test_the_shares_of_the_time_are_those_of_the_work():
    done = shares_done((32, 32), [(16, 64)], [0.5, 1.0])
    # The first level's pairs, the pixels of both levels, and half of the last one's again.
    search, levels = PAIR * 256 * 256, [512, 2048]
    whole = search + sum(levels) + 1024
    assert done == pytest.approx([search / whole, (search + 512) / whole, (search + 2560) / whole, 1])
    assert done[-1] == 1


def picture(height, width, seed=0):
    """`texture` as an image file holds it."""
    return Image.fromarray(to_uint8(texture(height, width, seed)))


def test_a_clip_prepares_its_references_once(monkeypatch):
    made = []
    monkeypatch.setattr(references, "Level", lambda *of, make=references.Level: made.append(make(*of)) or made[-1])
    finisher, frames = (
        Finisher({"a": picture(60, 70, 1)}, 60, 1.0, False),
        [texture(24, 32, seed) for seed in (2, 3, 4, 5)],
    )
    before, counts = None, []
    for frame in frames:
        alone = finish(frame, [resize(whole(finisher.references["a"]), 60 / 70)], (45, 60), before=before)
        made.clear()
        before = finisher(frame, (45, 60), before=before)
        counts.append(len(made))
        assert torch.equal(before.image, alone.image)
        assert np.array_equal(before.source, alone.source)
    # The second frame shows that it is a clip; from then on all is there.
    assert counts[0] == counts[1] > 0 and counts[2:] == [0, 0]
    # What is large is not held.
    monkeypatch.setattr(references, "MOST_KEPT", 0)
    large = Finisher(finisher.references, 60, 1.0, False)
    for _ in range(3):
        made.clear()
        assert torch.equal(large(frames[0], (45, 60)).image, finisher(frames[0], (45, 60)).image)
        assert len(made) == counts[0]


def test_a_stop_is_honoured_in_the_middle_of_a_level(tmp_path):
    finisher = Finisher({"a": picture(512, 512, 1)}, 512, 1.0, False)
    job, asked = Job("x", texture(64, 64, 2), (512, 512), finisher), []

    def should_stop():
        asked.append(time.monotonic())
        return len(asked) > 400

    with pytest.raises(Stopped):
        list(finish_all([job], tmp_path, should_stop))
    assert len(asked) == 401
    assert not list(tmp_path.iterdir())
    assert max(after - before for before, after in pairwise(asked[20:])) < 1  # of the first ones, some compile


def test_what_needs_much_memory_is_said(capsys):
    large = Finisher({"a": Image.new("RGB", (4096, 4096))}, 4096, 1.0, False)
    assert possible({"finished": (large, (10, 10))}) == {"finished"}
    assert capsys.readouterr().err == "note: finished needs about 13 GB of memory\n"
    possible({"finished": (Finisher(large.references, 1024, 1.0, False), (10, 10))})
    assert not capsys.readouterr().err


COMPILE = """
import numpy as np
from finishing.kernels import distances, in_bands
one, out = np.ones((1, 1, 3), np.float32), np.zeros((1, 1), np.float32)
in_bands(distances, 1, 3 * one, one[0], np.zeros((1, 1), np.int32), out)
print(out[0, 0])
"""


@pytest.mark.parametrize("trouble", [".nbi", ".nbc", "full"])
def test_a_broken_cache_of_numba_is_no_trouble(tmp_path, trouble):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if not name.startswith("COV")}  # it writes, too

    def compile_it(**options):
        command = [sys.executable, "-c", COMPILE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)
        assert (done.stdout, done.stderr) == ("12.0\n", "")

    if trouble == "full":
        resource = pytest.importorskip("resource")
        compile_it(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        return
    compile_it()
    files = list(tmp_path.rglob(f"*{trouble}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:50] if trouble == ".nbc" else b"")
    compile_it()
