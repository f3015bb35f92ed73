"""How clips move, and matches that follow."""

import numpy as np
import pytest
import torch
from PIL import Image

from finishing.canvas import PATCH, Canvas
from finishing.coarse_to_fine import finish
from finishing.motion import Motion, carried, motion_between
from finishing.references import References
from utils.resize import resize

SHAPE = (96, 128)
CANVAS = Canvas([torch.zeros(1, 3, 80, 90)])


def texture(height, width, seed):
    """A smooth random picture, 8-bit."""
    noise = torch.randn(1, 3, height // 4 + 3, width // 4 + 3, generator=torch.Generator().manual_seed(seed))
    return ((resize(noise, 4.0, (height, width)).clamp(-1, 1) + 1) * 127).byte()[0].permute(1, 2, 0).numpy()


def frame(down, right):
    """A ground, and before it a square of another texture."""
    picture = texture(*SHAPE, 1)
    picture[20 + down : 60 + down, 30 + right : 70 + right] = texture(40, 40, 2)
    return Image.fromarray(picture)


def a_field():
    places = np.random.default_rng(0).choice(np.flatnonzero(CANVAS.usable), [side - PATCH + 1 for side in SHAPE])
    return places.astype(np.int32), np.zeros((2, *places.shape), np.float32)


def even(down, right, shape=SHAPE):
    """Everything was so many pixels further down and right."""
    back = np.array([down, right], np.float32)[:, None, None] / np.array(shape, np.float32)[:, None, None]
    return Motion(np.broadcast_to(back, (2, *shape)).copy(), np.ones(shape, bool))


def test_the_matches_of_a_moving_square_move_with_it():
    motion = motion_between(frame(0, 0), frame(3, 5), SHAPE)
    field, drift = a_field()
    kept, drift = carried(field, drift, CANVAS, motion)
    assert (kept[28:52, 42:64] == field[25:49, 37:59]).mean() > 0.95  # well inside the square
    assert (kept[:12] == field[:12]).mean() > 0.95 and (kept[:, 90:] == field[:, 90:]).mean() > 0.95  # the ground
    uncovered = ~motion.found[20:60, 30:35]  # on the left, where the square was
    assert uncovered.mean() > 0.5
    assert np.abs(drift).max() <= 1


@pytest.mark.parametrize("other", [texture(*SHAPE, 3), np.full((*SHAPE, 3), 90, np.uint8)])
def test_a_cut_keeps_no_match(other):
    kept, _ = carried(*a_field(), CANVAS, motion_between(frame(0, 0), Image.fromarray(other), SHAPE))
    assert (kept == -1).all()
    flat = [Image.new("RGB", SHAPE[::-1], (grey,) * 3) for grey in (30, 200)]
    assert not motion_between(*flat, SHAPE).found.any()
    faint = [Image.fromarray(texture(*SHAPE, seed) // 8 + 100) for seed in (1, 3)]
    assert not motion_between(*faint, SHAPE).found.any()


def test_what_moves_by_less_than_a_pixel_is_not_left_behind():
    field, drift = a_field()
    field[:] = CANVAS.width * 30 + 30
    for _ in range(12):  # 0.3 pixels a frame to the left, 3.6 in all
        field, drift = carried(field, drift, CANVAS, even(0, 0.3))
    inside = field[:, :-6]
    assert (np.abs(inside - (CANVAS.width * 30 + 30 + 3.6)) <= 1).all()
    assert inside + drift[1, :, :-6] == pytest.approx(CANVAS.width * 30 + 30 + 3.6, abs=1e-4)


def test_matches_that_would_leave_the_frame_or_the_reference():
    field, drift = a_field()
    kept, _ = carried(field, drift, CANVAS, even(2, 0))
    assert (kept[:-2] == field[2:]).all() and (kept[-2:] == -1).all()
    field[:] = CANVAS.width * 40 + 90 - PATCH  # the last there is to the right
    kept, _ = carried(field, drift + 2, CANVAS, even(0, 0))
    assert (kept == -1).all()


def test_nothing_to_be_seen_moves_as_the_rest_does():
    """A sky without anything in it, over a ground that all moves."""
    frames = []
    for right in (0, 4):
        picture = np.full((*SHAPE, 3), 60, np.uint8)
        picture[48:] = texture(48, 160, 1)[:, 10 - right : 138 - right]
        frames.append(Image.fromarray(picture))
    motion = motion_between(*frames, SHAPE)
    assert motion.back[1, :30] * SHAPE[1] == pytest.approx(-4, abs=0.3)


def test_the_frame_before_where_things_are_now():
    before = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))  # of another size than the motion
    moved = even(-4, 6).warped(before)
    assert torch.allclose(moved[..., 2:, :-3], before[..., :-2, 3:], atol=1e-4)


def test_a_frame_is_finished_with_matches_that_moved():
    # The reference has everything twice: which of the two it is, the frame before alone can tell.
    once = torch.from_numpy(texture(64, 80, 4)).permute(2, 0, 1)[None] / 127.5 - 1
    references = References([torch.cat([once, once], dim=2)], (30, 30), (60, 60), 1.0)
    learned = [resize(once[..., :60, left : left + 60], 0.5) for left in (0, 6)]
    first = finish(learned[0], references)

    def same(motion):
        second = finish(learned[1], references, (first, motion))
        return (second.matches[-1][0][5:45, 5:40] == first.matches[-1][0][5:45, 11:46]).mean()

    assert same(even(0, 6, (60, 60))) > 0.95
    # What moves by less than a pixel does so in the picture, too.
    motion = even(0, 0.4, (60, 60))
    moved, slow = motion.warped(first.image), finish(learned[0], references, (first, motion)).image
    off, way = ((moved - each)[..., 5:45, 5:40].abs().mean() for each in (slow, first.image))
    assert off < 0.25 * way
    # At a cut nothing is left of it, nor of its colours.
    cut = Motion(np.zeros((2, 60, 60), np.float32), np.zeros((60, 60), bool))
    second, alone = finish(learned[1], references, (first, cut)), finish(learned[1], references)
    assert torch.equal(second.image, alone.image) and torch.equal(second.colours, alone.colours)
    assert not torch.equal(first.colours, alone.colours)
