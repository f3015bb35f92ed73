"""The frames of a clip as training sees them, simplified frames, flicker; numbers worked out by hand."""

import pytest
import torch
from clips import GREYS, film
from conftest import make_picture

from training.frames import frame_of_step, frames
from utils.flicker import Flicker
from utils.image import image_to_tensor
from utils.palette import simplify
from utils.video import Clip

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(12, 15), (50, 50)])
def test_a_step_sees_the_frame_of_its_turn(tmp_path, shape):
    (tmp_path / "frames").mkdir()
    for seed in range(7):
        make_picture(tmp_path / "frames" / f"{seed}.png", seed)
    clip = Clip(tmp_path / "frames", "--input_a")
    wanted = [image_to_tensor(frame, shape, CPU) for frame in clip]
    with frames(clip, 0, ((9, 9), shape), 1, CPU, tmp_path)(1) as real:
        for step in (3, 0, 6, 13, 3):
            shown = real(step)
            assert torch.equal(shown, wanted[frame_of_step(step, 7, seed=1, scale=1)])
            shown.zero_()  # In its own memory: the next one is whole again.
        assert [path.name for path in tmp_path.iterdir()] == ["frames"]  # nameless


def test_frames_of_a_film(tmp_path):
    with frames(Clip(film(tmp_path / "x.mp4"), "--input_a"), 0, ((8, 8),), 1, CPU, tmp_path)(0) as real:
        levels = sorted((real(step).mean().item() + 1) * 127.5 for step in range(len(GREYS)))
    assert levels == pytest.approx(GREYS, abs=2)


def test_the_order_of_frames():
    passes = [[frame_of_step(10 * turn + place, 10, seed=1, scale=0) for place in range(10)] for turn in range(4)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    for other in ({"seed": 2, "scale": 0}, {"seed": 1, "scale": 1}):
        assert [frame_of_step(step, 10, **other) for step in range(10)] != passes[0]
    assert [frame_of_step(step, 1, seed=1, scale=0) for step in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("grey", "levels", "wanted"),
    [
        # 2 (-grey - 0.01) without its fraction, halved.
        (1.0, 2, -1.0),  # -2.02 -> -2
        (0.98, 2, -0.5),  # -1.98 -> -1
        (0.5, 2, -0.5),  # -1.02 -> -1
        (0.48, 2, 0.0),  # -0.98 -> 0
        (-0.5, 2, 0.0),  # 0.98 -> 0
        (-0.52, 2, 0.5),  # 1.02 -> 1
        (-1.0, 2, 0.5),  # 1.98 -> 1
        (-1.0, 4, 0.75),  # 3.96 -> 3
    ],
)
def test_simplify(grey, levels, wanted):
    assert torch.equal(simplify(torch.full((1, 3, 2, 3), grey), levels), torch.full((1, 3, 2, 3), wanted))


def test_simplify_sees_brightness_not_colour():
    # Pure red, green, blue are grey 2 (0.299, 0.587, 0.114) - 1 = -0.402, 0.174, -0.772.
    colours = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]).view(1, 3, 1, 3)
    # 10 x (0.402, -0.174, 0.772), less 0.1 -> 3, -1, 7.
    assert simplify(colours, 10).tolist() == [[[pytest.approx([0.3, -0.1, 0.7])]] * 3]


def test_flicker():
    flicker, source, output = Flicker(), torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1)
    # The input changes by (0.2 + 0) / 2 and (0 + 0.4) / 2, the output by 0.5 and 0.1; frames may be written over.
    for change, shown in ((0.0, 0.0), 0.5), ((0.2, 0.0), 0.0), ((0.0, -0.4), 0.1):
        source += torch.tensor(change)
        flicker.add(source, output.fill_(shown))
    assert flicker.value == pytest.approx(0.6 / 0.3)
    still = Flicker()
    for shown in (0.1, 0.3):
        still.add(torch.zeros(1), torch.tensor(shown))
    assert still.value is None
