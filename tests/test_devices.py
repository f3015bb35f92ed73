"""What steps and pictures must not do to a GPU, seen without one: on meta tensors, which have a device but no values.

PyTorch takes the same way through the program with them, forwards and backwards, and computes nothing. `OneDevice`
watches every operator of the thread, those of the way back included.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_frames
from tiny_steps import CHANGES, GEOMETRY, PAIR, one_image_steps, pair_steps, reals_of, run_of
from torch import Tensor
from torch.optim import adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.inference import inject, refined_from, sample
from models.networks import mirrored
from training.frames import frames
from training.step import LossWeights
from utils.image import recolour
from utils.video import Clip

META = torch.device("meta")

# What needs the values at once: the host would wait for the device in the middle of a step.
ASKS_FOR_VALUES = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"}
# Of what networks may use, what torch.use_deterministic_algorithms lists as having no deterministic version on CUDA.
NOT_REPEATABLE = {"reflection_pad2d_backward", "replication_pad2d_backward", "_adaptive_avg_pool2d_backward"}
NOT_REPEATABLE |= {f"{name}_backward" for name in ("upsample_bilinear2d", "upsample_bicubic2d", "grid_sampler_2d")}


class WrongDevice(AssertionError):
    """An operator that a GPU could not do at all, not without a wait, not twice alike, or not like another device."""


class OneDevice(TorchDispatchMode):
    """Context manager: raises WrongDevice at an operator that meets two devices, waits, or cannot be repeated anywhere.

    The only way from the CPU to the device is a copy that does not block; there is none back.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name, met = func.overloadpacket.__name__, devices_of((args, kwargs))
        if name in NOT_REPEATABLE:
            raise WrongDevice(f"{name} has no deterministic version on CUDA")
        if META in met and name in ASKS_FOR_VALUES:
            raise WrongDevice(f"{name} asks for a value on the host")
        if name == "_to_copy":
            check_copy(args[0].device, kwargs.get("device") or args[0].device, kwargs.get("non_blocking"))
        elif name == "copy_":
            check_copy(args[1].device, args[0].device, [*args[2:], kwargs.get("non_blocking")][0])
        elif len(met) > 1:
            raise WrongDevice(f"{name} meets {' and '.join(sorted(map(str, met)))}")
        result = func(*args, **kwargs)
        if META in met | devices_of(result) and torch.Tag.nondeterministic_seeded in func.tags:
            raise WrongDevice(f"{name} draws random numbers that another device would not")
        return result


def check_copy(source: torch.device, target: torch.device, non_blocking: bool | None) -> None:
    """WrongDevice for a copy that the host or the device would wait for."""
    if source != target:
        if source == META:
            raise WrongDevice("a copy asks for a value on the host")
        if not non_blocking:
            raise WrongDevice("a copy to the device blocks")


def devices_of(values: Any) -> set[torch.device]:
    """The devices of all tensors among some values, however nested."""
    return {value.device for value in tree_leaves(values) if isinstance(value, Tensor)}


@contextlib.contextmanager
def one_device() -> Iterator[None]:
    """OneDevice, with what else steps on meta tensors need."""
    with pytest.MonkeyPatch.context() as patch:
        # Adam is asked for its fused version, which lists the devices it is made for.
        patch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)
        with OneDevice():
            yield


# Steps and pictures.


@pytest.mark.usefixtures("sharing")
@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 0, "count": 2},
        {"architecture": replace(PAIR, padding_mode="reflect", padd_size=1)},
        {"weights": LossWeights(alpha=0.0, beta=0.0)},
        {"weights": LossWeights(lambda_self=1.0, lambda_layout=0.5), "real_start": 0.5},
        *CHANGES,
    ],
    ids="-".join,
)
def test_a_pairs_step_stays_on_its_device(changes):
    pair_steps(META, watch=one_device, **changes)


def test_a_clips_step_stays_on_its_device(tmp_path):
    real_a = frames(Clip(make_frames(tmp_path, 0, 1, 2), "--input_a"), 0, GEOMETRY.domain_shapes[0], 1, META, tmp_path)
    pair_steps(META, watch=one_device, real_a=real_a)


@pytest.mark.parametrize("changes", [{"scale": 0}, {}, {"recolour": lambda x: recolour(x, x[0, :, :5, 0].T)}])
def test_one_images_step_stays_on_its_device(changes):
    one_image_steps(META, watch=one_device, **changes)


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
    found, wanted = mirrored(image, width), F.pad(image, (width,) * 4, mode="reflect")
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
