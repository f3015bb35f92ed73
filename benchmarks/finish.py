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
from itertools import pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from finishing.full_size import Finisher
from utils.errors import ROOT
from utils.image import image_to_tensor, open_image

LEARNED = (64, 64)  # pixels
CALLS = 4


def peak() -> float:
    """The most memory this process has had, MiB; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def finish_row(size: int) -> str:
    """A line of the table, measured in this process."""
    learned = image_to_tensor(open_image(ROOT / "images" / "balloons.jpg", "images"), LEARNED)
    reference = open_image(ROOT / "images" / "jellyfish.jpg", "images").resize((size, size))
    before, times = peak(), [time.perf_counter()]
    for _ in range(CALLS):
        finished = Finisher({"B": reference}, (size, size), size, 1.0)(learned)
        times.append(time.perf_counter())
    first, *later = (end - start for start, end in pairwise(times))
    return f"{size:6} {first:12.2f} {min(later):10.2f} {peak() - before:12.0f} {peak():10.0f} {finished.copied:8.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[220, 512, 1024], help="sides, pixels")
    sizes = parser.parse_args().sizes
    print(f"{torch.get_num_threads()} threads")
    print(f"{'side':>6} {'first call s':>12} {'later s':>10} {'added MiB':>12} {'peak MiB':>10} {'copied':>8}")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for row in pool.imap(finish_row, sizes, chunksize=1):
            print(row, flush=True)
