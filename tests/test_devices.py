"""What a GPU would meet, seen without one: steps and pictures on meta tensors (tests/devices.py)."""

import contextlib
from collections.abc import Iterator
from dataclasses import astuple, replace
from itertools import chain

import pytest
import torch
import torch.nn.functional as F
from conftest import make_picture
from devices import META, WrongDevice, one_device
from tiny_steps import GEOMETRY, ONE_IMAGE, PAIR, SINGLE, one_image_steps, pair_steps, pyramids_of, reals_of
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import training.step
from models.blocks import ConvStack, Mirror
from models.inference import inject, refined_from, sample
from training.batching import share_call
from training.draws import StepDraws, one_after_other, rec_start, steps_per_chunk
from training.frames import frames
from training.losses import LossWeights
from training.one_image import OneImageRecipe
from training.step import autocast
from utils.palette import main_colours, recolour
from utils.video import Clip

CPU = torch.device("cpu")


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
    monkeypatch.setattr("training.batching.MOST_PIXELS_SHARED_ON_GPU", 0)
    pair_steps(META, watch=one_device, real_start=0.5, weights=LossWeights(lambda_self=1.0, lambda_layout=0.5))


def test_a_clips_step_stays_on_its_device(tmp_path):
    pair_steps(
        META, watch=one_device, real_a=frames(clip_of(tmp_path), 0, GEOMETRY.domain_shapes[0], 1, META, tmp_path)
    )


@pytest.mark.parametrize("scale", [0, 1])
def test_one_images_step_stays_on_its_device(scale):
    one_image_steps(META, watch=one_device, scale=scale)


def test_one_images_step_in_few_colours_stays_on_its_device():
    palette = torch.zeros(5, 3, device=META)
    one_image_steps(META, watch=one_device, scale=1, recolour=lambda image: recolour(image, palette))


def test_translations_and_samples_stay_on_their_device():
    pyramids = pyramids_of(GEOMETRY, PAIR, GEOMETRY.stop_scale + 1, META)
    (real_a, real_b), (coarse, finest) = reals_of(GEOMETRY, META), (0, GEOMETRY.stop_scale)
    with one_device():
        images = [*sample(pyramids, 1, META), *inject(pyramids, "a2b", real_a[finest], finest, 1)]
        images += [*inject(pyramids, "b2a", real_b[coarse], coarse, 1), refined_from(pyramids[0], real_a[0], 1, 1)]
    assert {image.device for image in images} == {META}


# Random numbers are the same for every device.


@pytest.mark.parametrize("grey", [False, True])
def test_z_star_is_drawn_on_the_cpu_and_sent(monkeypatch, grey):
    # A generator of the device's own would be made on it.
    sent = []
    monkeypatch.setattr("models.pyramid.send", lambda tensor, device: sent.append(tensor) or tensor.to(device))
    assert rec_start(GEOMETRY.shapes, META, 1, grey=grey).device == META
    assert torch.equal(sent[0].expand(-1, 3, -1, -1), rec_start(GEOMETRY.shapes, CPU, 1, grey=grey))


@pytest.mark.parametrize("scale", [0, 1])
def test_no_random_number_depends_on_how_many_steps_are_drawn_at_a_time(monkeypatch, scale):
    pyramids = pyramids_of(GEOMETRY, PAIR, scale, CPU)
    reals = [torch.zeros(1, 3, *shape) for shape in ONE_IMAGE.shapes]
    recipe = OneImageRecipe(geometry=ONE_IMAGE, reals=reals, seed=1, device=CPU)
    (single,) = pyramids_of(ONE_IMAGE, SINGLE, scale, CPU)
    found = []
    for most in (1, 5, 16):
        monkeypatch.setattr("training.draws.MAX_STEPS", most)
        draws = [StepDraws(pyramids, scale, 3, CPU, one_after_other, True, fixed) for fixed in (False, True)]
        assert draws[0].steps_per_chunk == most
        inputs, chunks = [], [range(first, first + most) for first in range(0, 7, most)]
        for own in draws:
            steps = chain.from_iterable(own.chunk(steps, lambda _: (None, None)) for steps in chunks)
            inputs.append([[astuple(each) for each in step] for step, _ in steps][:7])
        steps = chain.from_iterable(recipe._draw(single, scale, 0.1, steps) for steps in chunks)
        inputs.append(list(steps)[:7])
        found.append(tree_leaves(inputs))
    # At scale 0 they are random numbers alone; above, PyTorch's operators round otherwise for another batch.
    rounding = 0.0 if scale == 0 else 1e-5
    for one, *others in zip(*found, strict=True):
        for other in others:
            torch.testing.assert_close(one, other, rtol=0, atol=rounding)


@pytest.mark.parametrize(("device", "side", "steps", "share"), [(CPU, 220, 1, False), (META, 220, 10, True)])
def test_a_gpu_has_fewer_and_larger_calls(device, side, steps, share):
    assert steps_per_chunk(side**2, device) == steps
    assert share_call([torch.zeros(1, 3, side, side, device=device)] * 2) is share


# Types.


def test_draws_are_float32_also_where_training_is_not():
    pyramids, found = pyramids_of(GEOMETRY, PAIR, 1, CPU), []
    for bf16 in (True, False):
        with autocast(CPU, bf16):
            draws = [StepDraws(pyramids, 1, 3, CPU, one_after_other, True, fixed) for fixed in (False, True)]
            chunks = [each.chunk(range(1), lambda _: (None, None)) for each in draws]
            found.append([[astuple(each) for each in chunk[0][0]] for chunk in chunks])
    for inputs, exact in zip(*map(tree_leaves, found), strict=True):
        assert inputs.dtype == torch.float32 and torch.equal(inputs, exact)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_cuda_casts_no_features_between_the_first_and_the_last_convolution(padding_mode):
    # Fake tensors: where autocast casts is decided by their type alone.
    casts = []

    class Casts(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._to_copy.default and args[0].dim() == 4 and len(args[0]) == 1:
                casts.append((args[0].shape[1], kwargs["dtype"]))
            return func(*args, **(kwargs or {}))

    with FakeTensorMode(), torch.device("cuda"):
        net, image = ConvStack(3, 8, 8, 5, 3, 1, padding_mode), torch.zeros(1, 3, 16, 16)
        with Casts(), cuda_autocast():
            net(image)
    assert casts == [(3, torch.bfloat16), (8, torch.float32)]


@contextlib.contextmanager
def cuda_autocast() -> Iterator[None]:
    """torch.autocast("cuda", torch.bfloat16), which switches itself off where there is no GPU."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
        torch.clear_autocast_cache()


class OnApple(Tensor):
    """Stands for a tensor on Apple's GPU: there is no float64."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is Tensor.cpu:
            return args[0].as_subclass(Tensor)
        result = super().__torch_function__(func, types, args, kwargs)
        if isinstance(result, Tensor) and result.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return result


def test_the_main_colours_of_an_image_on_apples_gpu():
    image = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(main_colours(image.as_subclass(OnApple), 4), main_colours(image, 4))


# The mirror.


@pytest.mark.parametrize(("shape", "width"), [((2, 3, 5, 7), 1), ((1, 2, 6, 4), 2), ((1, 1, 2, 2), 1)])
def test_the_mirror_is_pytorchs_with_a_way_back_that_can_be_repeated(shape, width):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mirrored, wanted = Mirror.apply(image, width), F.pad(image, (width,) * 4, mode="reflect")
    assert torch.equal(mirrored, wanted)
    weights = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad(result, image, weights)[0] for result in (mirrored, wanted)]
    torch.testing.assert_close(*gradients)


# What the watch must notice.


@pytest.mark.parametrize(
    ("slip", "complaint"),
    [
        (lambda x: x.mean().item(), "asks for a value"),
        (lambda x: x.cpu(), "asks for a value"),
        (lambda x: x * torch.tensor(0.5), "meets cpu and meta"),
        (lambda x: x + torch.zeros(x.shape), "meets cpu and meta"),
        (lambda x: x + torch.zeros(x.shape).to(x.device), "blocks"),
        (lambda x: x + torch.randn_like(x), "random numbers"),
    ],
    ids=["item", "cpu", "scalar", "tensor", "blocking", "random"],
)
def test_a_slip_in_the_step_is_noticed(monkeypatch, slip, complaint):
    real_scores = training.step.scores

    def scores(discriminator, images):
        slip(images)
        return real_scores(discriminator, images)

    monkeypatch.setattr(training.step, "scores", scores)
    with pytest.raises(WrongDevice, match=complaint):
        pair_steps(META, watch=one_device)


def test_a_slip_on_the_way_back_is_noticed():
    image = torch.zeros(1, 3, 4, 4, device=META, requires_grad=True)
    image_back = image * 1
    image_back.register_hook(lambda gradient: gradient.sum().item() * gradient)
    with one_device(), pytest.raises(WrongDevice, match="asks for a value"):
        image_back.sum().backward()


def test_an_operator_that_cannot_be_repeated_is_noticed():
    image = torch.zeros(1, 3, 4, 4, device=META, requires_grad=True)
    with one_device(), pytest.raises(WrongDevice, match="reflection_pad2d_backward"):
        torch.nn.functional.pad(image, (1,) * 4, mode="reflect").sum().backward()
