"""The same work on both domains, at the same time where that is faster."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch

Result = TypeVar("Result")


class DomainThreads:
    """Context manager: runs functions for domain a and for domain b, side by side on a CPU.

    The networks are too small to keep several cores busy with one call, but the two domains do the same
    work on different numbers. Inside, each of the two threads has half of PyTorch's threads for itself.
    On a GPU, or with a single thread, b simply follows a. The numbers are the same either way, up to rounding.

    Args:
        side_by_side: False lets b follow a on a CPU, too, with all threads each: that takes less memory.
        bf16: run the work under autocast to bfloat16; weights, images and losses stay in float32.
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

    def __call__(self, *stages: Callable[[int], Result]) -> tuple[Result, Result]:
        """For each domain all stages, in their order; a stage gets the domain's index, 0 or 1.

        Returns:
            What the last stage returned for a and for b.
        """
        other = self.pool.submit(self._second, stages) if self.parallel else None
        try:
            with self._cast():
                for stage in stages:
                    mine = stage(0)
        finally:
            if other is not None:
                wait([other])
        return mine, other.result() if other is not None else self._second(stages)

    def _second(self, stages: Sequence[Callable[[int], Result]]) -> Result:
        with self._cast():
            for stage in stages:
                result = stage(1)
        return result

    def _cast(self) -> AbstractContextManager:
        """Autocast, which is of the thread that enters it."""
        if not self.bf16:
            return nullcontext()
        # Weights change in the course of a piece of work, so their casts must not be kept.
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
