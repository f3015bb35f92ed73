"""Finishing as the scripts use it: from a learned image and the originals to files (docs/method.md, section 14)."""

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from finishing.canvas import PATCH, Shape
from finishing.finished import Finished
from finishing.motion import Motion
from utils.geometry import ceil_side
from utils.image import image_to_tensor, save_image
from utils.interrupt import Stopped
from utils.progress import Bar

CPU = torch.device("cpu")
BYTES = 400  # of memory, at most about, for each pixel of the finished image and of its references
MUCH = 4e9  # bytes; who needs more is told so


def whole(image: Image.Image, shape: Shape | None = None) -> Tensor:
    """An image at its own size, or resized to a (height, width), (1, 3, H, W) in [-1, 1], on the CPU."""
    return image_to_tensor(image, shape or (image.height, image.width), CPU)


@dataclass(frozen=True)
class Finisher:
    """Finishes learned images with the patches of given references.

    Args:
        references: whose patches are copied, by what error lines call them; none is ever enlarged.
        size: wanted longer side of the finished image, pixels.
        structure: how strictly the learned image is followed, see `finishing.references.References`.
    """

    references: dict[str, Image.Image]
    size: int
    structure: float

    def sizes(self, shape: Shape) -> tuple[Shape, list[float], str | None]:
        """The largest finished image up to `size` for which no reference has to be enlarged.

        References keep the magnification they had in training, where the images of both domains had equal areas: a
        finished image has at most as many pixels as the smallest reference.

        Args:
            shape: (height, width) of what it depicts, in any unit.

        Returns:
            Its (height, width), by what each reference is to be shrunk, at most 1, and which of them limits it.

        Raises:
            ValueError: one of them is too thin for a patch then.
        """

        # The longer side of the finished image that has as many pixels as a reference.
        unit = max(shape) / math.sqrt(math.prod(shape))
        available = {name: unit * math.sqrt(math.prod(image.size)) for name, image in self.references.items()}
        limit = min(available, key=available.get)
        longer = min(self.size, math.floor(available[limit] + 1e-6))
        height, width = (max(1, round(longer * side / max(shape))) for side in shape)
        if min(height, width) < PATCH:
            raise ValueError(f"at {width}x{height} pixels it is thinner than {PATCH}")
        factors = [min(1.0, longer / most) for most in available.values()]
        for (name, image), factor in zip(self.references.items(), factors, strict=True):
            if ceil_side(min(image.size) * factor) < PATCH:
                raise ValueError(f"{name}, shrunk for {longer} pixels, is thinner than {PATCH}")
        return (height, width), factors, limit if longer < self.size else None

    def __call__(
        self,
        learned: Tensor,
        shape: Shape,
        before: Finished | None = None,
        motion: Motion | None = None,
        progress: Callable[[float], object] = bool,
    ) -> Finished:
        """Finish a learned image, (1, 3, h, w) in [-1, 1], in the aspect of a (height, width).

        Args:
            before, motion, progress: see `finishing.coarse_to_fine.finish`. From a clip's third frame on, what depends
                on the references alone is there.
        """
        from finishing.coarse_to_fine import finish  # loads numba, which only this needs
        from finishing.references import References, resized

        if before is not None:
            return finish(learned, before.prepared, before, motion, progress)
        finished, factors, _ = self.sizes(shape)
        images = [resized(whole(one), by) for one, by in zip(self.references.values(), factors, strict=True)]
        references = References(images, tuple(learned.shape[-2:]), finished, self.structure)
        return finish(learned, references, progress=progress)


class Job(NamedTuple):
    """A learned image to finish: the name its files get, (1, 3, h, w), the (height, width) of what it depicts."""

    name: str
    learned: Tensor
    shape: Shape
    finisher: Finisher


def finish_all(
    jobs: Sequence[Job],
    folder: Path,
    should_stop: Callable[[], bool] = bool,
    claim: Callable[..., object] = lambda *_: None,
) -> Iterator[tuple[str, Finished]]:
    """Finish learned images one after another, each written as soon as it is there, and given out by its name.

    What is too long and thin is left out, with a line on standard error. Holds one image, however many there are.

    Args:
        should_stop: asked now and then.
        claim: told the names of files before they are written.

    Raises:
        Stopped: a stop was asked for; what is finished is written.
    """
    left = possible({job.name: (job.finisher, job.shape) for job in jobs})
    with Bar(len(left)) as bar:
        for index, job in enumerate(job for job in jobs if job.name in left):

            def progress(share: float, index: int = index, name: str = job.name) -> None:
                bar.show(index + share, f"finishing {name}")
                if should_stop():
                    raise Stopped

            progress(0.0)
            finished = job.finisher(job.learned, job.shape, progress=progress)
            claim(f"{job.name}.png", f"{job.name}_source.png")
            save_image(finished.image, folder / f"{job.name}.png")
            save_image(finished.source_map(), folder / f"{job.name}_source.png")
            yield job.name, finished


def possible(wanted: dict[str, tuple[Finisher, Shape]]) -> set[str]:
    """Which images of these (height, width) hold patches once finished, by name.

    A line on standard error on the others, on those that get fewer pixels than wanted, and on those that need much
    memory; one on all that are alike.
    """
    left, notes = set(), defaultdict(list)
    for name, (finisher, own) in wanted.items():
        try:
            shape, factors, limit = finisher.sizes(own)
        except ValueError as error:
            notes[f"is left out: {error}"].append(name)
            continue
        left.add(name)
        if limit is not None:
            has, gets = finisher.references[limit].size, shape[::-1]
            why = f"as many pixels as {limit} has, {has[0]}x{has[1]}; its patches are never enlarged"
            notes[f"becomes {gets[0]}x{gets[1]}, {why}"].append(name)
        images = zip(finisher.references.values(), factors, strict=True)
        pixels = math.prod(shape) + sum(math.prod(image.size) * factor**2 for image, factor in images)
        if pixels * BYTES > MUCH:
            notes[f"needs about {pixels * BYTES / 1e9:.0f} GB of memory"].append(name)
    for note, names in notes.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        print(f"note: {names[0]}{more} {note}", file=sys.stderr)
    return left
