"""What a step must not do to a GPU, seen without one: its operators on meta tensors, which have a device but no values.

Meta tensors stand for a GPU's: PyTorch takes the same way through the program, forwards and backwards, and computes
nothing. `OneDevice` watches every operator of the thread, those of the way back included.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
