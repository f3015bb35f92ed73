"""The frames of a clip as training sees them, simplified frames, flicker; numbers worked out by hand."""

import numpy as np
import pytest
import torch
from conftest import make_frames
from PIL import Image

from training.frames import frame_of_step, frames
from utils.image import image_to_tensor, simplified
from utils.measures import Flicker
from utils.video import Clip

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(12, 15), (50, 50)])
def test_a_step_sees_the_frame_of_its_turn(tmp_path, shape):
    clip = Clip(make_frames(tmp_path / "frames", *range(7)), "--input_a")
    wanted = [image_to_tensor(frame, shape, CPU) for frame in clip]
    asked = []  # whether to stop, for every frame that is read
    real = frames(clip, 0, ((9, 9), shape), 1, CPU, tmp_path)(1, lambda: asked.append(1))
    assert len(asked) == 7
    for step in (3, 0, 6, 13, 3):
        shown = real(step)
        assert torch.equal(shown, wanted[frame_of_step(step, 7, seed=1, scale=1)])
        shown.zero_()  # In its own memory: the next one is whole again.
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]  # nameless


def test_the_order_of_frames():
    passes = [[frame_of_step(10 * turn + place, 10, seed=1, scale=0) for place in range(10)] for turn in range(4)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    for other in ({"seed": 2, "scale": 0}, {"seed": 1, "scale": 1}):
        assert [frame_of_step(step, 10, **other) for step in range(10)] != passes[0]
    assert [frame_of_step(step, 1, seed=1, scale=0) for step in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("colour", "levels", "wanted"),
    [
        # With the inverted grey value x in [-1, 1]: 2 (x - 0.01) without its fraction, halved.
        (255, 2, -1.0),  # -2.02 -> -2
        (252, 2, -0.5),  # -1.97 -> -1
        (192, 2, -0.5),  # -1.03 -> -1
        (188, 2, 0.0),  # -0.97 -> 0
        (64, 2, 0.0),  # 0.98 -> 0
        (60, 2, 0.5),  # 1.04 -> 1
        (0, 2, 0.5),  # 1.98 -> 1
        (0, 4, 0.75),  # 3.96 -> 3
        # It is brightness that counts. Pure red is grey 2 0.299 - 1 = -0.402, green 0.174, blue -0.772.
        ((255, 0, 0), 10, 0.3),  # 3.92 -> 3
        ((0, 255, 0), 10, -0.1),  # -1.84 -> -1
        ((0, 0, 255), 10, 0.7),  # 7.62 -> 7
    ],
)
def test_simplified(colour, levels, wanted):
    image = Image.new("RGB", (4, 4), colour if isinstance(colour, tuple) else (colour,) * 3)
    assert simplified(image, 0, (2, 3)) is image
    shown = simplified(image, levels, (2, 3))
    assert shown.size == (3, 2) and (np.asarray(shown) == round(127.5 * (wanted + 1))).all()


def test_flicker():
    flicker, source, output = Flicker(), torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1)
    # The input changes by (0.2 + 0) / 2 and (0 + 0.4) / 2, the output by 0.5 and 0.1; frames may be written over.
    for change, shown in ((0.0, 0.0), 0.5), ((0.2, 0.0), 0.0), ((0.0, -0.4), 0.1):
        source += torch.tensor(change)
        flicker.add(source, output.fill_(shown))
    assert flicker.value == pytest.approx(0.6 / 0.3)
    moved = Flicker()
    for shown in (0.1, 0.2, 0.4):  # the input moves by 0.05, beyond that it changes by 0.05 and 0.15
        moved.add(torch.full((1,), shown), torch.full((1,), -shown), lambda before: before + 0.05)
    assert moved.value == pytest.approx(0.4 / 0.2)
    still = Flicker()
    for shown in (0.1, 0.3):
        still.add(torch.zeros(1), torch.tensor(shown))
    assert still.value is None
