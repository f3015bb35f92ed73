"""The device a run computes on, and what is moved to it."""

import contextlib
import platform
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from utils.errors import UserError

CPU = torch.device("cpu")
# Numbers of an image: 64 x 64 pixels, in another shape some more. From a side of 90 on a team is faster when idle.
MOST_FOR_ONE_THREAD = 3 * 72**2


def available_gpus() -> list[torch.device]:
    """Every GPU: CUDA devices in their order, else Apple's."""
    if torch.cuda.is_available():
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device("mps")] if torch.backends.mps.is_available() else []


def pick_device(gpu_id: int | None, not_cuda: bool) -> torch.device:
    """The device `--gpu_id` and `--not_cuda` ask for: None is the first GPU if there is one, -1 the CPU.

    Raises:
        UserError: there is no such GPU; the line lists what there is.
    """
    gpus = available_gpus()
    if not_cuda or gpu_id == -1 or (gpu_id is None and not gpus):
        return CPU
    if (gpu_id or 0) < len(gpus):
        return gpus[gpu_id or 0]
    listing = ", ".join(f"{index} ({device_name(gpu)})" for index, gpu in enumerate(gpus)) or "none"
    raise UserError(f"--gpu_id {gpu_id}: there is no such GPU; GPUs here: {listing}; -1 is the CPU")


def device_flags(device: torch.device) -> list[str]:
    """The options that ask `pick_device` for this device, for commands that are printed."""
    return ["--gpu_id", "-1" if device.type == "cpu" else str(device.index or 0)]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device, without waiting for what the device still has to do."""
    if device.type == "cuda":
        # The device can fetch pinned memory by itself; PyTorch keeps the block until it has done so.
        tensor = tensor.pin_memory()
    # Apple's GPU does not keep the memory it copies from.
    return tensor.to(device, non_blocking=device.type != "mps")


@contextlib.contextmanager
def few_threads(device: torch.device, numbers: int) -> Iterator[None]:
    """One thread for work on images of so many numbers on a CPU, if these are few.

    A team of threads waits for its slowest member in a busy loop, which hurts beside another process. On 2 cores a draw
    of 64 pixels took 15 ms on one thread and 16 on a team; beside another process 21 and 83 (2026-11-28).
    """
    threads = torch.get_num_threads()
    if device.type == "cpu" and numbers <= MOST_FOR_ONE_THREAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def device_name(device: torch.device) -> str:
    """What the device is called in the run's records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def run_record(options: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What config.json keeps of a run: its options, the device, the versions of what computes."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {"options": options, "device": device_name(device), "versions": versions}
