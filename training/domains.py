"""Work on both domains at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


class DomainThreads:
    """Context manager: runs a function for domain a and for domain b, side by side on a CPU.

    The networks are too small to keep several cores busy with one call, but the two domains do the same
    work on different numbers. Inside, each of the two threads has half of PyTorch's threads for itself.
    On a GPU, or with a single thread, b simply follows a. The numbers are the same either way, up to rounding.

    Args:
        side_by_side: False lets b follow a on a CPU, too, with all threads each: that takes less memory.
        bf16: run the work under autocast to bfloat16; weights, pictures and losses stay in float32.
    """

    def __init__(self, device: torch.device, *, side_by_side: bool = True, bf16: bool = False) -> None:
        self.device, self.bf16 = device, bf16
        self.threads = torch.get_num_threads()
        self.parallel = side_by_side and device.type == "cpu" and self.threads > 1

    def __enter__(self) -> "DomainThreads":
        if self.parallel:
            torch.set_num_threads(self.threads // 2)
            self.pool = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *_: object) -> None:
        if self.parallel:
            self.pool.shutdown()
            torch.set_num_threads(self.threads)

    def __call__(self, work: Callable[[int], Result]) -> tuple[Result, Result]:
        """work(0), work(1): the domain's index in, its result out."""
        if self.bf16:
            work = self._in_bf16(work)
        if not self.parallel:
            return work(0), work(1)
        other = self.pool.submit(work, 1)
        try:
            mine = work(0)
        finally:
            theirs = other.result()
        return mine, theirs

    def _in_bf16(self, work: Callable[[int], Result]) -> Callable[[int], Result]:
        """The work under autocast, which is of the thread that enters it."""

        def cast(domain: int) -> Result:
            # Weights change in the course of a piece of work, so their casts must not be kept.
            with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
                return work(domain)

        return cast
