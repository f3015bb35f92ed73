"""Work for domain a and for domain b: one after the other, or side by side on a CPU of several threads.

The networks are too small to keep several cores busy with one call, but the two domains do the same work on different
numbers. A thread for each is faster than all threads for one after the other, and far less hurt by other processes,
because no team of threads waits for its slowest member.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")
Both = Callable[[Callable[[int], Result]], tuple[Result, Result]]  # calls a function with domain 0 and with domain 1


def one_by_one(function: Callable[[int], Result]) -> tuple[Result, Result]:
    """What a function returns for domain 0, then for domain 1."""
    return function(0), function(1)


@contextmanager
def side_by_side() -> Iterator[Both]:
    """`one_by_one`, but side by side: each of two threads has half of PyTorch's for itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))
    try:
        with ThreadPoolExecutor(2) as pool:
            yield lambda function: tuple(pool.map(function, (0, 1)))
    finally:
        torch.set_num_threads(threads)
