"""Work for domain a and for domain b: one after the other, or side by side on a CPU of several threads.

The networks are too small to keep several cores busy with one call, but the two domains do the same work on different
numbers. A thread for each is faster than all threads for one after the other, and far less hurt by other processes,
because no team of threads waits for its slowest member.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Result = TypeVar("Result")
Both = Callable[[Callable[[int], Result]], tuple[Result, Result]]  # calls a function with domain 0 and with domain 1


def one_by_one(function: Callable[[int], Result]) -> tuple[Result, Result]:
    """What a function returns for domain 0, then for domain 1."""
    return function(0), function(1)


class DomainThreads:
    """Context manager: `one_by_one`, but side by side. Each of the two threads has half of PyTorch's for itself."""

    def __enter__(self) -> "DomainThreads":
        self.threads = torch.get_num_threads()
        torch.set_num_threads(max(1, self.threads // 2))
        self.pool = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        torch.set_num_threads(self.threads)

    def __call__(self, function: Callable[[int], Result]) -> tuple[Result, Result]:
        other = self.pool.submit(function, 1)
        try:
            mine = function(0)
        finally:
            wait([other])
        return mine, other.result()
