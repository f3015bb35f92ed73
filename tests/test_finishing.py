"""Finishing: what comes back, from where, and from bad input."""

import time
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import texture
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from finishing import kernels, references
from finishing.canvas import Canvas
from finishing.coarse_to_fine import finish
from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.finished import legend
from finishing.full_size import Finisher, finish_all
from finishing.kernels import in_bands, nearest, sweep
from finishing.motion import Motion
from finishing.references import References, pass_factors
from utils.errors import Stopped, StopRequest
from utils.image import to_uint8
from utils.measures import sliced_wasserstein
from utils.resize import resize
from utils.run_folder import RunFolder

STILL = Motion(np.zeros((2, 9, 9), np.float32), np.ones((9, 9), bool))


def finished(learned, images, shape, structure=1.0, **more):
    return finish(learned, References(images, tuple(learned.shape[-2:]), shape, structure), **more)


def random_features(canvas, shape):
    """Queries, and a level of random keys."""
    rng = np.random.default_rng(0)
    queries, keys = (rng.normal(size=(*of, 4)).astype(np.float32) for of in (shape, canvas.usable.shape))
    return queries, SimpleNamespace(canvas=canvas, keys=keys)


def test_an_image_comes_back_from_its_own_shrunk_copy():
    image, progress = texture(96, 80), []
    full = finished(resize(image, 0.5), [image], (96, 80), progress=progress.append)
    assert sliced_wasserstein(full.image, image) < 1e-4
    assert full.copied > 0.9
    right = (full.source[1] == np.arange(96)[:, None]) & (full.source[2] == np.arange(80))
    assert right.mean() > 0.95
    assert progress == sorted(progress) and len(set(progress)) > 3 and progress[-1] == 1


def test_every_part_comes_from_the_reference_that_has_it():
    left, right = texture(48, 40, 1), texture(64, 36, 2)
    full = finished(resize(torch.cat([left, right[..., :48, :]], dim=3), 0.5), [left, right], (48, 76))
    assert (full.source[0, :, :34] == 0).mean() > 0.95
    assert (full.source[0, :, 42:] == 1).mean() > 0.95
    # The map shows both in the colours of their legends.
    for index, shape, x in ((0, (48, 40), 5), (1, (64, 36), 70)):
        row, column = full.source[1:, 20, x]
        assert torch.equal(full.source_map()[0, :, 20, x], legend(shape, index, 2)[0, :, row, column])


def test_same_bits_on_one_and_two_threads():
    learned, reference = texture(30, 40, 3), texture(120, 100, 4)
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(finished(learned, [reference], (96, 128)))
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


def test_alike_patches_share_the_references_patches_out(monkeypatch):
    queries, level = random_features(Canvas([torch.zeros(1, 3, 30, 30)]), (20, 20))
    found = search(np.zeros_like(queries), level)
    assert len(np.unique(found)) > 2
    assert level.canvas.usable[found].all()
    monkeypatch.setattr("finishing.field.MOST_COMPARED", 400 * 24**2 // 10)  # a tenth of them
    found = search(queries, level)
    assert 2 < len(np.unique(found)) <= 24**2 // 10 and level.canvas.usable[found].all()


def test_blas_is_kept_to_one_thread():
    seen = []
    with threadpool_limits(2, "blas"):
        look = {"x": Image.fromarray(to_uint8(texture(40, 40)))}
        Finisher(look, (40, 40), 40, 1.0)(torch.zeros(1, 3, 16, 16), lambda _: seen.append(threadpool_info()))
    assert seen and {each["num_threads"] for info in seen for each in info if each["user_api"] == "blas"} == {1}


def energy(field, distance, width, coherence):
    """The sum that sweeps lower, in float64: every pair of neighbours that continues counts for both."""
    pairs = (field[:, 1:] == field[:, :-1] + 1).sum() + (field[1:] == field[:-1] + width).sum()
    return distance.sum(dtype=np.float64) - float(coherence) * pairs


@pytest.mark.parametrize("shape", [(70, 20), (5, 9), (1, 1)])
def test_a_sweep_never_raises_the_energy(shape):
    canvas = Canvas([torch.zeros(1, 3, 20, 31), torch.zeros(1, 3, 25, 17)])
    queries, level = random_features(canvas, shape)
    field = np.random.default_rng(1).choice(np.flatnonzero(canvas.usable), shape).astype(np.int32)
    distance = ((queries - level.keys[field]) ** 2).sum(axis=2)
    nothing, coherence = np.full(shape, -1, np.int32), np.float32(2.0)
    fixed = (queries, level.keys, canvas.usable, canvas.width, canvas.tile, coherence, nothing, np.float32(0))
    energies, changed = [energy(field, distance, canvas.width, coherence)], np.zeros(shape, np.int8)
    for turn in range(6):
        everywhere = field.copy(), distance.copy(), np.full(shape, 99, np.int8)
        in_bands(sweep, len(field), *fixed, turn, *everywhere, apart=1)
        in_bands(sweep, len(field), *fixed, turn, field, distance, changed, apart=1)
        assert np.array_equal(field, everywhere[0])  # what is left out would have changed nothing
        assert canvas.usable[field].all()
        assert np.allclose(distance, ((queries - level.keys[field]) ** 2).sum(axis=2), atol=1e-4)
        energies.append(energy(field, distance, canvas.width, coherence))
    assert all(after <= before + 1e-3 for before, after in pairwise(energies))
    assert energies[-1] < energies[0] or shape == (1, 1)


def test_a_match_is_kept_where_no_other_is_clearly_better():
    queries, level = random_features(Canvas([torch.zeros(1, 3, 30, 30)]), (12, 12))
    usable = np.flatnonzero(level.canvas.usable).astype(np.int32)
    first, other = (np.random.default_rng(seed).choice(usable, (12, 12)) for seed in (1, 2))
    level.keys[other[3, 3]] = queries[3, 3]  # an exact match
    level.keys[first[3, 3]] = queries[3, 3] + 9  # clearly worse
    settled = settle(first, queries, level, np.where(np.arange(144).reshape(12, 12) == 39, other, first))
    assert settled[3, 3] == other[3, 3]
    free = settle(first, queries, level, np.full((12, 12), -1, np.int32))
    assert (settled == first).mean() > (free == first).mean()


def test_a_frame_keeps_to_the_frame_before():
    references = References([texture(64, 64, 5)], (32, 32), (64, 64), 1.0)
    learned, noise = texture(32, 32, 7), 0.1 * texture(32, 32, 6)
    one = finish(learned, references)
    alone, after = (finish(learned + noise, references, before) for before in (None, (one, STILL)))
    fields = [each.matches[-1][0] for each in (one, alone, after)]
    assert (fields[2] == fields[0]).mean() > (fields[1] == fields[0]).mean()
    assert torch.allclose(finish(learned, references, (one, STILL)).image, one.image, atol=1e-4)
    assert torch.equal(after.colours, one.colours) and not torch.equal(alone.colours, one.colours)


@pytest.mark.parametrize("seed", range(12))
def test_sources_lie_in_the_references_for_every_size_and_aspect(seed):
    rng = np.random.default_rng(seed)
    (height, width), *sides = rng.choice([7, 8, 13, 22, 39, 40], (2 + seed % 3, 2)).tolist()
    learned, structure = rng.choice([1, 2, 7, 30, 50], 2).tolist(), rng.choice([0.0, 0.5, 1.0, 2.0, 9.0])
    images = [texture(*shape, seed) for seed, shape in enumerate(sides)]
    full = finished(texture(*learned, 9), images, (height, width), structure)
    assert full.image.shape == (1, 3, height, width)
    assert full.image.isfinite().all()
    heights, widths = (np.array(length)[full.source[0]] for length in zip(*sides, strict=True))
    assert (full.source >= 0).all()
    assert (full.source[1] < heights).all()
    assert (full.source[2] < widths).all()


@pytest.mark.parametrize("seed", range(30))
def test_an_enlarged_field_stays_inside(seed):
    rng = np.random.default_rng(seed)
    lengths, ratio = rng.choice([7, 8, 19, 44, 60], 4).tolist(), [1, 1.5, 4 / 3, rng.uniform(1, 1.5)][seed % 4]
    old = Canvas([torch.zeros(1, 3, *lengths[:2]), torch.zeros(1, 3, *lengths[1:3])])
    new = Canvas([torch.zeros(1, 3, *np.ceil(shape * ratio).astype(int)) for shape in old.shapes])
    field = rng.choice(np.flatnonzero(old.usable), lengths[2:]).astype(np.int32)
    larger = enlarge(field, old, new, ratio, tuple(np.ceil(np.array(field.shape) * ratio).astype(int)))
    assert new.usable[larger].all()


def test_a_field_in_one_piece_stays_so():
    old, new = Canvas([torch.zeros(1, 3, 30, 40)]), Canvas([torch.zeros(1, 3, 60, 80)])
    field = (np.arange(2, 20)[:, None] * 40 + np.arange(3, 30)).astype(np.int32)
    larger = enlarge(field, old, new, 2.0, (36, 54))
    assert copied_share(field, old) == copied_share(larger, new) == 1
    broken, hole = field.copy(), np.arange(24)[:, None] + np.zeros(33) < 11
    broken[9:] = 0
    assert 0 < copied_share(broken, old) < copied_share(broken, old, hole) == 1
    assert larger[0, 0] == 4 * 80 + 6
    reference, row, column = source_of(field, old)
    assert (reference == 0).all()
    assert (row == np.arange(2, 26)[:, None]).all()
    assert (column == np.arange(3, 36)).all()


@pytest.mark.parametrize("learned", [texture(20, 20), torch.full((1, 3, 20, 20), 0.3), torch.zeros(1, 3, 1, 1)])
def test_a_reference_of_one_colour_gives_that_colour(learned):
    full = finished(learned, [torch.full((1, 3, 30, 40), 0.25)], (32, 32))
    assert torch.allclose(full.image, torch.full_like(full.image, 0.25), atol=1e-6)


def test_structure_rules_all_three_together():
    loose, middle, strict, more = (References([texture(64, 64)], (32, 32), (64, 64), of) for of in (0, 0.5, 1, 2))
    assert loose.weight < middle.weight < strict.weight < more.weight
    assert loose.reach > middle.reach > strict.reach == more.reach
    assert loose.factors[0] < middle.factors[0] < strict.factors[0] == more.factors[0]


@pytest.mark.parametrize(
    ("like", "references", "size", "expected"),
    [
        ((100, 400), [(200, 200)], 200, ((50, 200), [0.5], "")),
        # Of equal area.
        ((100, 400), [(200, 200)], 1000, ((100, 400), [1.0], "is limited to 400x100: 0 has only 200x200")),
        ((9, 9), [(800, 200), (100, 100)], 300, ((100, 100), [0.25, 1.0], "is limited to 100x100: 1 has only 100x100")),
        ((10, 10), [(4096, 4096)], 4096, ((4096, 4096), [1.0], "needs about 13 GB of memory")),
    ],
)
def test_no_reference_is_enlarged(like, references, size, expected):
    images = {str(index): Image.new("RGB", each) for index, each in enumerate(references)}
    *sizes, notes = Finisher(images, like, size, 1.0).sizes()
    assert tuple(sizes) == expected[:2]
    assert len(notes) == bool(expected[2]) and "".join(notes).startswith(expected[2])


def test_passes_grow_by_at_most_a_third_to_the_full_size():
    factors = pass_factors(0.2, 300, 400)
    assert factors[0] == pytest.approx(0.2)
    assert factors[-2:] == [1, 1]
    assert all(1 < after / before < 1.3334 for before, after in pairwise(factors[:-1]))
    assert pass_factors(1.5, 300, 400)[0] == pytest.approx(128 / 400)  # searched exhaustively: not too large
    assert pass_factors(0.001, 28, 400)[0] == 0.5  # nor too small for patches
    assert pass_factors(0.5, 7, 7) == [1.0, 1.0]


@pytest.mark.parametrize("most", [references.MOST_KEPT, 0])
def test_a_clip_prepares_its_references_once(monkeypatch, most):
    made = []
    monkeypatch.setattr(references, "MOST_KEPT", most)
    monkeypatch.setattr(references, "Level", lambda *of, make=references.Level: made.append(make(*of)) or made[-1])
    finisher = Finisher({"a": Image.fromarray(to_uint8(texture(60, 70, 1)))}, (45, 60), 60, 1.0)
    prepared = finisher.prepared((24, 32), lasting=True)
    before, counts = None, []
    for frame in [texture(24, 32, seed) for seed in (2, 3, 4, 5)]:
        since = before and (before, STILL)
        alone = finish(frame, finisher.prepared((24, 32)), since)
        made.clear()
        before = finish(frame, prepared, since)
        counts.append(len(made))
        assert torch.equal(before.image, alone.image)
    # From the second frame on all is there, but for what is too large.
    assert counts[0] > 0 and counts[1:] == ([0] * 3 if most else counts[:1] * 3)


def test_a_stop_is_honoured_in_the_middle_of_a_level(tmp_path):
    finisher = Finisher({"a": Image.fromarray(to_uint8(texture(512, 512, 1)))}, (512, 512), 512, 1.0)
    asked = []

    class Stop(StopRequest):
        def __call__(self):
            asked.append(time.monotonic())
            return len(asked) > 400

    with pytest.raises(Stopped):
        list(finish_all([("x", texture(64, 64, 2), finisher)], Stop(), RunFolder(tmp_path)))
    assert len(asked) == 401
    assert not list(tmp_path.iterdir())
    assert max(after - before for before, after in pairwise(asked[20:])) < 1  # of the first ones, some compile


def add_one(first, last, out):
    out[first:last] += 1


@pytest.mark.parametrize("trouble", [".nbi", ".nbc", "full"])
def test_a_broken_cache_of_numba_is_no_trouble(monkeypatch, tmp_path, trouble):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    if trouble == "full":
        monkeypatch.setattr("numba.core.caching.FunctionCache.save_overload", fail)
    for _ in range(2):
        monkeypatch.setattr(kernels, "KERNELS", [])  # as in the next process
        out = np.zeros(3)
        in_bands(kernels.compiled(add_one), 3, out)
        assert (out == 1).all()
        files = list(tmp_path.rglob("*.nb?"))
        assert files or trouble == "full"
        for file in files:
            if file.suffix == trouble:
                file.write_bytes(file.read_bytes()[:50] if trouble == ".nbc" else b"")
