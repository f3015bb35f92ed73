"""The store, the order, simplified frames, flicker; numbers worked out by hand."""

import pytest
import torch
from clips import GREYS, film
from conftest import make_picture

from training.frames import FrameOrder, FrameStore
from utils.flicker import Flicker
from utils.image import image_to_tensor
from utils.simplified import simplify
from utils.video import Clip

CPU = torch.device("cpu")


@pytest.fixture
def clip(tmp_path) -> Clip:
    """A folder of seven pictures."""
    (tmp_path / "frames").mkdir()
    for seed in range(7):
        make_picture(tmp_path / "frames" / f"{seed}.png", seed)
    return Clip(tmp_path / "frames", "--input_a")


@pytest.mark.parametrize("shape", [(12, 15), (32, 40), (50, 50)])
def test_the_store_gives_what_the_clip_has(clip, shape, tmp_path):
    with FrameStore(clip, shape, CPU, tmp_path) as store:
        assert len(store) == 7
        wanted = [image_to_tensor(frame, shape, CPU) for frame in clip]
        for index in (3, 0, 6, 3, 1, 2, 4, 5):
            assert store[index].shape == (1, 3, *shape)
            assert torch.equal(store[index], wanted[index])
        # In its own memory: what is done to one frame does not reach the next.
        store[0].zero_()
        assert torch.equal(store[0], wanted[0])
        for outside in (-1, 7):
            with pytest.raises(IndexError):
                store[outside]
        assert [path.name for path in tmp_path.iterdir()] == ["frames"]
    with pytest.raises(ValueError, match="closed"):
        store[0]


def test_the_store_of_a_film(tmp_path):
    with FrameStore(Clip(film(tmp_path / "x.mp4"), "--input_a"), (8, 8), CPU) as store:
        levels = [(store[index].mean().item() + 1) * 127.5 for index in range(len(store))]
    assert levels == pytest.approx(GREYS, abs=2)


# The order.


def test_every_frame_once_a_pass():
    order = FrameOrder(10, seed=1, scale=0)
    passes = [[order(10 * turn + place) for place in range(10)] for turn in range(4)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4


def test_the_order_depends_on_seed_scale_and_step_alone():
    straight = [FrameOrder(10, seed=1, scale=0)(step) for step in range(40)]
    order = FrameOrder(10, seed=1, scale=0)
    assert [order(step) for step in reversed(range(40))] == straight[::-1]
    for other in (FrameOrder(10, seed=2, scale=0), FrameOrder(10, seed=1, scale=1)):
        assert [other(step) for step in range(40)] != straight


def test_the_only_frame():
    assert [FrameOrder(1, seed=1, scale=0)(step) for step in range(3)] == [0, 0, 0]


# Simplified frames.


@pytest.mark.parametrize(
    ("grey", "levels", "wanted"),
    [
        # 2 (-grey - 0.01) without its fraction, halved.
        (1.0, 2, -1.0),  # -2.02 -> -2
        (0.995, 2, -1.0),  # -2.01 -> -2
        (0.98, 2, -0.5),  # -1.98 -> -1
        (0.5, 2, -0.5),  # -1.02 -> -1
        (0.48, 2, 0.0),  # -0.98 -> 0
        (0.0, 2, 0.0),
        (-0.5, 2, 0.0),  # 0.98 -> 0
        (-0.52, 2, 0.5),  # 1.02 -> 1
        (-1.0, 2, 0.5),  # 1.98 -> 1
        (-1.0, 4, 0.75),  # 3.96 -> 3
        (-0.3, 4, 0.25),  # 1.16 -> 1
    ],
)
def test_simplify(grey, levels, wanted):
    simple = simplify(torch.full((1, 3, 2, 3), grey), levels)
    assert torch.equal(simple, torch.full((1, 3, 2, 3), wanted))


def test_simplify_sees_brightness_not_colour():
    # Pure red, green, blue are grey 2 (0.299, 0.587, 0.114) - 1 = -0.402, 0.174, -0.772.
    colours = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]).view(1, 3, 1, 3)
    # 10 x (0.402, -0.174, 0.772), less 0.1 -> 3, -1, 7.
    assert simplify(colours, 10).tolist() == [[[pytest.approx([0.3, -0.1, 0.7])]] * 3]


# Flicker.


def frame(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def test_flicker():
    flicker = Flicker()
    assert flicker.value is None
    # The input changes by (0.2 + 0) / 2 and (0 + 0.4) / 2, the output by 0.5 and 0.1.
    for source, output in (
        (frame(0, 0), frame(0.5)),
        (frame(0.2, 0), frame(0)),
        (frame(0.2, -0.4), frame(0.1)),
    ):
        flicker.add(source, output)
    assert flicker.value == pytest.approx(0.6 / 0.3)


def test_flicker_of_a_clip_with_itself_is_one():
    flicker = Flicker()
    for step in range(4):
        flicker.add(frame(step / 10), frame(step / 10))
    assert flicker.value == 1


def test_a_still_has_no_flicker():
    flicker = Flicker()
    for output in (0.1, 0.3):
        flicker.add(frame(0.5), frame(output))
    assert flicker.value is None


def test_flicker_keeps_frames_that_are_written_over():
    flicker, source, output = Flicker(), frame(0.0), frame(0.0)
    for _ in range(3):
        flicker.add(source, output)
        source += 0.1
        output += 0.2
    assert flicker.value == pytest.approx(2)
