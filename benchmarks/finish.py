"""Seconds and memory to finish an image, by size.

    python benchmarks/finish.py [--sizes 220 512 1024]

The learned image is balloons.jpg at 64 pixels, the reference jellyfish.jpg brought to each size: larger than it is
that only makes it smooth, which costs as much. Every size has a process of its own, whose first call compiles, or loads
what was compiled before; the least of three later calls counts. Memory is the process's peak less what it had before
the first call; the whole peak stands beside it. Use an idle machine.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from finishing.full_size import whole
from utils.errors import ROOT
from utils.image import open_image

LEARNED_SIDE = 64
CALLS = 3


def inputs(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The learned image and the reference, (1, 3, side, side) in [-1, 1]."""
    balloons, jellyfish = (open_image(ROOT / "images" / f"{name}.jpg", "images") for name in ("balloons", "jellyfish"))
    return whole(balloons, (LEARNED_SIDE, LEARNED_SIDE)), whole(jellyfish, (size, size))


def peak() -> float:
    """The most memory this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def finish_row(size: int) -> str:
    """A line of the table, measured in this process."""
    start = time.perf_counter()
    from finishing.coarse_to_fine import finish
    from finishing.references import References

    loaded = time.perf_counter() - start
    learned, reference = inputs(size)
    before, seconds = peak(), []
    for _ in range(1 + CALLS):
        start = time.perf_counter()
        finished = finish(learned, References([reference], (LEARNED_SIDE, LEARNED_SIDE), (size, size), 1.0))
        seconds.append(time.perf_counter() - start)
    first, least, most = seconds[0] + loaded, min(seconds[1:]), peak()
    return f"{size:6} {first:12.2f} {least:10.2f} {most - before:12.0f} {most:10.0f} {finished.copied:8.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[220, 512, 1024], help="sides, pixels")
    options = parser.parse_args(arguments)
    print(f"{torch.get_num_threads()} threads")
    print(f"{'side':>6} {'first call s':>12} {'later s':>10} {'added MiB':>12} {'peak MiB':>10} {'copied':>8}")
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1, maxtasksperchild=1) as pool:
        for size in options.sizes:
            print(pool.apply(finish_row, (size,)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
