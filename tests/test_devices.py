"""What a GPU would meet, seen without one: steps and pictures on meta tensors (tests/devices.py)."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import make_picture
from devices import META, WrongDevice, one_device
from tiny_steps import GEOMETRY, PAIR, one_image_steps, pair_steps, reals_of, run_of
from torch import nn

import training.step
from models.inference import inject, refined_from, sample
from models.networks import MirroredConv2d
from training.frames import frames
from training.step import LossWeights
from utils.image import recolour
from utils.video import Clip


def clip_of(folder) -> Clip:
    """A folder of three pictures as a clip."""
    for seed in range(3):
        make_picture(folder / f"{seed}.png", seed)
    return Clip(folder, "--input_a")


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 0, "count": 2},
        {"architecture": replace(PAIR, padding_mode="reflect", padd_size=1)},
        {"weights": LossWeights(lambda_self=1.0)},
        {"weights": LossWeights(lambda_layout=1.0), "real_start": 0.5},
        {"weights": LossWeights(alpha=0.0, beta=0.0)},
        {"fixed_rec": True},
        {"recompute": True},
    ],
    ids="-".join,
)
def test_a_pairs_step_stays_on_its_device(changes):
    pair_steps(META, watch=one_device, **changes)


def test_a_pairs_step_stays_on_its_device_where_images_have_a_call_each(monkeypatch):
    monkeypatch.setitem(training.step.MOST_PIXELS_SHARED, "gpu", 0)
    pair_steps(META, watch=one_device, real_start=0.5, weights=LossWeights(lambda_self=1.0, lambda_layout=0.5))


def test_a_clips_step_stays_on_its_device(tmp_path):
    real_a = frames(clip_of(tmp_path), 0, GEOMETRY.domain_shapes[0], 1, META, tmp_path)
    pair_steps(META, watch=one_device, real_a=real_a)


@pytest.mark.parametrize("scale", [0, 1])
def test_one_images_step_stays_on_its_device(scale):
    one_image_steps(META, watch=one_device, scale=scale)


def test_one_images_step_in_few_colours_stays_on_its_device():
    palette = torch.zeros(5, 3, device=META)
    one_image_steps(META, watch=one_device, scale=1, recolour=lambda image: recolour(image, palette))


def test_translations_and_samples_stay_on_their_device():
    pyramids = run_of(GEOMETRY, PAIR, GEOMETRY.stop_scale + 1, META).pyramids
    (real_a, real_b), (coarse, finest) = reals_of(GEOMETRY, META), (0, GEOMETRY.stop_scale)
    with one_device():
        images = [*sample(pyramids, 1, META).values(), *inject(pyramids, "a2b", real_a[finest], finest, 1).values()]
        images += [*inject(pyramids, "b2a", real_b[coarse], coarse, 1).values()]
        images.append(refined_from(pyramids[0], real_a[0], 1, 1))
    assert {image.device for image in images} == {META}


# The mirror.


@pytest.mark.parametrize(("shape", "width"), [((2, 3, 5, 7), 1), ((1, 2, 6, 4), 2), ((1, 1, 2, 2), 1)])
def test_the_mirror_is_pytorchs_with_a_way_back_that_can_be_repeated(shape, width):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ours = MirroredConv2d(shape[1], 2, 1 + width, padding=width)
    theirs = nn.Conv2d(shape[1], 2, 1 + width, padding=width, padding_mode="reflect")
    theirs.load_state_dict(ours.state_dict())
    found, wanted = ours(image), theirs(image)
    assert torch.equal(found, wanted)
    weights = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(*(torch.autograd.grad(result, image, weights)[0] for result in (found, wanted)))


# What the watch must notice.


def on_the_way_back(image: torch.Tensor) -> None:
    between = image * 1
    between.register_hook(lambda gradient: gradient.sum().item() * gradient)
    between.sum().backward()


@pytest.mark.parametrize(
    ("slip", "complaint"),
    [
        (lambda x: x.mean().item(), "asks for a value"),
        (lambda x: x.cpu(), "asks for a value"),
        (on_the_way_back, "asks for a value"),
        (lambda x: x * torch.tensor(0.5), "meets cpu and meta"),
        (lambda x: x + torch.zeros(x.shape), "meets cpu and meta"),
        (lambda x: x + torch.zeros(x.shape).to(x.device), "blocks"),
        (lambda x: x + torch.randn_like(x), "random numbers"),
        (lambda x: F.pad(x, (1,) * 4, mode="reflect").sum().backward(), "reflection_pad2d_backward"),
    ],
    ids=["item", "cpu", "way back", "scalar", "tensor", "blocking", "random", "not repeatable"],
)
def test_a_slip_is_noticed(slip, complaint):
    with one_device(), pytest.raises(WrongDevice, match=complaint):
        slip(torch.zeros(1, 3, 4, 4, device=META, requires_grad=True))
