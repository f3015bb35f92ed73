"""Finishing as the scripts use it: from a learned image and the originals to files (docs/method.md, section 14)."""

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from finishing.canvas import PATCH
from finishing.sizes import BYTES, Shape, finished_sizes
from utils.geometry import ceil_side
from utils.image import image_to_tensor, save_image
from utils.interrupt import Stopped
from utils.progress import Bar
from utils.resize import resize

CPU = torch.device("cpu")
MUCH = 4e9  # bytes; who needs more is told so


def whole(image: Image.Image, shape: Shape | None = None) -> Tensor:
    """An image at its own size, or resized to a (height, width), (1, 3, H, W) in [-1, 1], on the CPU."""
    return image_to_tensor(image, shape or (image.height, image.width), CPU)


class Finished(NamedTuple):
    """A finished image and where it comes from.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        source: (3, H, W) int32: for every pixel the index of its reference, and its row and column there.
        copied: share of patches whose right and lower neighbours continue in the reference, 0 to 1: "copied in one
            piece".
        references: as large as their patches were copied, (1, 3, H', W') in [-1, 1] each.
        fields, colours: for the next frame of a clip.
    """

    image: Tensor
    source: np.ndarray
    copied: float
    references: tuple[Tensor, ...]
    fields: tuple[np.ndarray, ...]
    colours: Tensor

    def source_map(self) -> Tensor:
        """(1, 3, H, W) in [-1, 1]: in colours where in the references each pixel comes from."""
        from finishing.source_map import source_map

        return source_map(self.source, [(one.shape[-2], one.shape[-1]) for one in self.references])


@dataclass(frozen=True)
class Finisher:
    """Finishes learned images with the patches of given references.

    Args:
        references: whose patches are copied, by what error lines call them; none is ever enlarged.
        size: wanted longer side of the finished image, pixels.
        structure: how strictly the learned image is followed, see `finishing.references.faithfulness`.
        stretched: whether training stretched its images to squares.
    """

    references: dict[str, Image.Image]
    size: int
    structure: float
    stretched: bool
    _prepared: dict = field(default_factory=dict, repr=False, compare=False)  # by shapes; the last only

    def sizes(self, shape: Shape) -> tuple[Shape, tuple[float, ...], str | None]:
        """Of a finished image of this aspect: (height, width), the references' factors, and which of them limits it."""
        shapes = [(image.height, image.width) for image in self.references.values()]
        finished, factors, limit = finished_sizes(shape, shapes, self.size, stretched=self.stretched)
        return finished, factors, None if limit is None else list(self.references)[limit]

    def fault(self, shape: Shape) -> str:
        """Why nothing of this aspect can be finished: too thin for a patch; "" where it can."""
        (height, width), factors, _ = self.sizes(shape)
        if min(height, width) < PATCH:
            return f"at {width}x{height} pixels it is thinner than {PATCH}"
        for (name, image), factor in zip(self.references.items(), factors, strict=True):
            if ceil_side(min(image.size) * factor) < PATCH:
                return f"{name}, shrunk for {max(height, width)} pixels, is thinner than {PATCH}"
        return ""

    def memory(self, shape: Shape) -> float:
        """About how many bytes are needed to finish something of this aspect."""
        finished, factors, _ = self.sizes(shape)
        images = zip(self.references.values(), factors, strict=True)
        return BYTES * (math.prod(finished) + sum(math.prod(image.size) * factor**2 for image, factor in images))

    def __call__(
        self,
        learned: Tensor,
        shape: Shape,
        before: Finished | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> Finished:
        """Finish a learned image, (1, 3, h, w) in [-1, 1], in the aspect of a (height, width).

        From the second image of the same two shapes on, as of a clip, what depends on the references alone is held.

        Args:
            before: the frame before of a clip, finished by the same finisher.
            progress: called every fraction of a second with the share of the work that is done; may raise to stop it.
        """
        from finishing.coarse_to_fine import finish_with  # loads numba, which only this needs
        from finishing.references import References

        finished, factors, _ = self.sizes(shape)
        known = (tuple(learned.shape[-2:]), finished)
        references = self._prepared.get(known)
        if references is None:
            pairs = zip(map(whole, self.references.values()), factors, strict=True)
            images = [resize(one, factor) if factor < 1 else one for one, factor in pairs]
            references = References(images, *known, self.structure)
            self._prepared.clear()
            self._prepared[known] = references
        else:
            references.keep = True
        return finish_with(references, learned, before, progress)


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
    jobs = [job for job in jobs if job.name in left]
    with Bar(len(jobs)) as bar:
        for index, job in enumerate(jobs):

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
        if fault := finisher.fault(own):
            notes[f"is left out: {fault}"].append(name)
            continue
        left.add(name)
        shape, _, limit = finisher.sizes(own)
        if limit is not None:
            width, height = finisher.references[limit].size
            why = f"{limit} has {width}x{height} and is never enlarged"
            notes[f"gets {max(shape)} pixels, not {finisher.size}: {why}"].append(name)
        if (needed := finisher.memory(own)) > MUCH:
            notes[f"needs about {needed / 1e9:.0f} GB of memory"].append(name)
    for note, names in notes.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        print(f"note: {names[0]}{more} {note}", file=sys.stderr)
    return left
