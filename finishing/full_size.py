"""Finishing as the scripts use it: from a learned image and the originals to files (docs/method.md, section 14)."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from finishing.canvas import PATCH
from finishing.sizes import Shape, finished_sizes
from utils.interrupt import Stopped
from utils.image import image_to_tensor, save_image
from utils.sheet import Cell
from utils.progress import Bar
from utils.resize import resize
from utils.geometry import ceil_side

if TYPE_CHECKING:
    from finishing.coarse_to_fine import Finished

CPU = torch.device("cpu")


class Original(NamedTuple):
    """An image at its own size, and the option it came from, for what is said of it."""

    image: Image.Image
    flag: str


def whole(image: Image.Image, shape: Shape | None = None) -> Tensor:
    """An image at its own size, or resized to a (height, width), (1, 3, H, W) in [-1, 1], on the CPU."""
    return image_to_tensor(image, shape or (image.height, image.width), CPU)


class FullSize(NamedTuple):
    """A finished image and what may be said of it.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        source: (1, 3, H, W) in [-1, 1], in colours where in the references each pixel comes from.
        copied: share of the patches that were copied in one piece with their neighbours, 0 to 1.
        reference: the (first) reference at the size whose patches were copied, (1, 3, H', W') in [-1, 1].
        state: for the next frame of a clip.
    """

    image: Tensor
    source: Tensor
    copied: float
    reference: Tensor
    state: "Finished"


@dataclass(frozen=True)
class Finisher:
    """Finishes learned images with the patches of given references.

    Args:
        references: whose patches are copied; none is ever enlarged.
        size: wanted longer side of the finished image, pixels.
        structure: how strictly the learned image is followed, see `finishing.coarse_to_fine.faithfulness`.
        stretched: whether training stretched its images to squares.
    """

    references: Sequence[Original]
    size: int
    structure: float
    stretched: bool

    def sizes(self, structure: Shape) -> tuple[Shape, tuple[float, ...], Original | None]:
        """Of a finished image of this aspect: (height, width), the references' factors, and which of them limits it."""
        shapes = [(original.image.height, original.image.width) for original in self.references]
        shape, factors, limit = finished_sizes(structure, shapes, self.size, stretched=self.stretched)
        return shape, factors, None if limit is None else self.references[limit]

    def fault(self, structure: Shape) -> str:
        """Why nothing of this aspect can be finished: too thin for a patch; "" where it can."""
        (height, width), factors, _ = self.sizes(structure)
        if min(height, width) < PATCH:
            return f"at {width}x{height} pixels it is thinner than {PATCH}"
        for original, factor in zip(self.references, factors, strict=True):
            if ceil_side(min(original.image.size) * factor) < PATCH:
                return f"{original.flag}, shrunk for {max(height, width)} pixels, is thinner than {PATCH}"
        return ""

    def __call__(
        self,
        learned: Tensor,
        structure: Shape,
        before: FullSize | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> FullSize:
        """Finish a learned image, (1, 3, h, w) in [-1, 1], in the aspect of `structure`, a (height, width).

        Args:
            before: the frame before of a clip, finished by the same finisher.
            progress: called now and then with the share of the work that is done; may raise to stop it.
        """
        from finishing.coarse_to_fine import finish  # loads numba, which only this needs
        from finishing.source_map import source_map

        shape, factors, _ = self.sizes(structure)
        wholes = [whole(original.image) for original in self.references]
        references = [resize(one, factor) if factor < 1 else one for one, factor in zip(wholes, factors, strict=True)]
        done = finish(
            learned,
            references,
            shape,
            structure=self.structure,
            before=None if before is None else before.state,
            progress=progress,
        )
        colours = source_map(done.source, [(one.shape[-2], one.shape[-1]) for one in references])
        return FullSize(done.image, colours, done.copied, references[0], done)


class Job(NamedTuple):
    """A learned image to finish: the name its files get, (1, 3, h, w), the (height, width) of what it depicts."""

    name: str
    learned: Tensor
    structure: Shape
    finisher: Finisher


def finish_all(
    jobs: Sequence[Job], folder: Path, should_stop: Callable[[], bool] = bool
) -> Iterator[tuple[str, FullSize]]:
    """Finish learned images one after another, each written as soon as it is there, and given out by its name.

    What is too long and thin is left out, with a line on standard error. Holds one image, however many there are.

    Args:
        should_stop: asked now and then.

    Raises:
        Stopped: it said so; what is finished is written.
    """
    left = possible({job.name: (job.finisher, job.structure) for job in jobs})
    jobs = [job for job in jobs if job.name in left]
    with Bar(len(jobs)) as bar:
        for index, job in enumerate(jobs):

            def progress(share: float, index: int = index, name: str = job.name) -> None:
                bar.show(index + share, f"finishing {name}")
                if should_stop():
                    raise Stopped

            progress(0.0)
            finished = job.finisher(job.learned, job.structure, progress=progress)
            save_image(finished.image, folder / f"{job.name}.png")
            save_image(finished.source, folder / f"{job.name}_source.png")
            yield job.name, finished


def possible(wanted: dict[str, tuple[Finisher, Shape]]) -> set[str]:
    """Which images of these (height, width) hold patches once finished, by name.

    A line on standard error on the others, and on those that get fewer pixels than wanted; one on all that are alike.
    """
    left, notes = set(), defaultdict(list)
    for name, (finisher, structure) in wanted.items():
        if fault := finisher.fault(structure):
            notes[f"is left out: {fault}"].append(name)
            continue
        left.add(name)
        shape, _, limit = finisher.sizes(structure)
        if limit is not None:
            size = f"{limit.image.width}x{limit.image.height}"
            why = f"{limit.flag} has {size} and is never enlarged"
            notes[f"gets {max(shape)} pixels, not {finisher.size}: {why}"].append(name)
    for note, names in notes.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        print(f"note: {names[0]}{more} {note}", file=sys.stderr)
    return left


def translation_jobs(
    originals: Sequence[Original], learned: Sequence[Tensor], size: int, structure: float, keep_aspect: bool
) -> list[Job]:
    """Of a's image translated into b, and the reverse: each in the shape of its own original, of the other's patches.

    Args:
        originals, learned: a's image and b's; a2b and b2a.
        keep_aspect: whether training kept the images' shapes.
    """
    jobs = []
    for name, image, own, other in zip(("a2b", "b2a"), learned, originals, originals[::-1], strict=True):
        finisher = Finisher([other], size, structure, stretched=not keep_aspect)
        jobs.append(Job(f"finished_{name}", image, (own.image.height, own.image.width), finisher))
    return jobs


def finished_row(originals: Sequence[Original], finished: dict[str, FullSize]) -> list[Cell]:
    """The first row of a sheet: a's and b's originals as high as what was finished, at least one, and that."""
    height = max(each.image.shape[-2] for each in finished.values())
    cells = []
    for label, original in zip("AB", originals, strict=True):
        width = max(1, round(height * original.image.width / original.image.height))
        cells.append((label, whole(original.image, (height, width))))
    return cells + [(name, each.image) for name, each in finished.items()]
