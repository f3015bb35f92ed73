"""Finishing as the scripts use it: from learned images and the originals to files (docs/method.md, section 14)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from finishing.canvas import LEAST_SIDE, PATCH, PLAIN, Shape, Tile, opaque, white, white_side
from finishing.finished import Finished
from utils.errors import StopRequest
from utils.geometry import ceil_side
from utils.image import image_to_tensor, save_images
from utils.measures import COPIED, save_metrics
from utils.progress import Bar
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.video_writer import even_size

if TYPE_CHECKING:
    from finishing.references import References

MARGIN = 1 / 6  # of a picture's longer side, around a hole: what filling it looks at
# Of memory, at most about, for each pixel of the finished image and of its references: with structure, and without.
BYTES, BYTES_FREE = 400, 260
MUCH = 4e9  # bytes; who needs more is told so


@dataclass(frozen=True)
class Finisher:
    """Finishes learned images of one thing with the patches of given references.

    What comes out is the largest image up to `size` for which no reference has to be enlarged. References keep the
    magnification they had in training, where the images of both domains had equal areas: a finished image has at most
    as many pixels as the smallest reference.

    Args:
        references: whose patches are copied where they are opaque, by what messages call them.
        like: (height, width) of what the images depict, in any unit.
        size: wanted longer side of the finished image, pixels.
        structure: how strictly the learned image is followed, see `finishing.references.References`.
        kept: an image that stays as it is where it is opaque. What comes out is as large as it, `like` and `size` say
            the same, and no reference is shrunk.
        tile: see `finishing.references.References`.
        even: both sides of what comes out are even, as a video's must be.
    """

    references: dict[str, Image.Image]
    like: Shape
    size: int
    structure: float
    kept: Image.Image | None = None
    tile: Tile = PLAIN
    even: bool = False

    def __post_init__(self) -> None:
        if self.structure < 0:
            raise ValueError(f"structure must be at least 0, not {self.structure}")

    def sizes(self) -> tuple[Shape, list[float], list[str]]:
        """(height, width) of the finished image, by what each reference is shrunk, and what a person should know.

        Raises:
            ValueError: one of them is too thin for a patch then, or what a mask has white is.
        """
        # The longer side of the finished image that has as many pixels as a reference.
        unit = max(self.like) / math.sqrt(math.prod(self.like))
        available = {name: unit * math.sqrt(math.prod(image.size)) for name, image in self.references.items()}
        limit = min(available, key=available.get)
        longer = min(self.size, math.floor(available[limit] + 1e-6)) if self.kept is None else max(self.like)
        height, width = (max(1, round(longer * side / max(self.like))) for side in self.like)
        if self.even:
            width, height = even_size((height, width))
        if min(height, width) < PATCH:
            cause = f", all that {limit} allows," if longer < self.size else ""
            raise ValueError(f"at {width}x{height} pixels{cause} it would be narrower than a patch ({PATCH} pixels)")
        factors = [min(1.0, longer / most) if self.kept is None else 1.0 for most in available.values()]
        for (name, image), factor in zip(self.references.items(), factors, strict=True):
            if ceil_side(min(image.size) * factor) < PATCH:
                raise ValueError(f"{name}, shrunk for {longer} pixels, would be narrower than a patch ({PATCH} pixels)")
            if image.mode == "RGBA" and white_side(opaque(image)) * factor < LEAST_SIDE:
                side = math.ceil(LEAST_SIDE / factor)
                raise ValueError(f"{name}: no white square of {side} pixels is left to copy from")
        notes = []
        if longer < self.size:
            has = "{}x{}".format(*self.references[limit].size)
            notes.append(f"is limited to {width}x{height}: {limit} has only {has} pixels and is never enlarged")
        images = zip(self.references.values(), factors, strict=True)
        worked = height * width if self.kept is None else opaque(self.kept)[self.around_holes(self.like)[1]].numel()
        needed = (BYTES if self.structure else BYTES_FREE) * (
            worked + sum(math.prod(image.size) * factor**2 for image, factor in images)
        )
        if needed > MUCH:
            notes.append(f"needs about {needed / 1e9:.0f} GB of memory")
        return (height, width), factors, notes

    def around_holes(self, learned: Shape) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The rows and columns, of a learned image of a (height, width) and of `kept`, that filling its holes takes."""
        free, parts = opaque(self.kept).numpy() == 0, []
        margin = max(LEAST_SIDE, int(MARGIN * max(free.shape)))
        for axis, (length, side) in enumerate(zip(free.shape, learned, strict=True)):
            found = np.flatnonzero(free.any(axis=1 - axis))
            first, last = (0, length) if self.tile[axis] or not len(found) else found[[0, -1]] + (-margin, 1 + margin)
            low, high = max(0, first) * side // length, -(-min(length, last) * side // length)
            parts.append((slice(low, high), slice(round(low * length / side), round(high * length / side))))
        return tuple(zip(*parts, strict=True))

    def prepared(
        self, learned: Shape, shape: Shape | None = None, *, lasting: bool = False, start: float | None = None
    ) -> "References":
        """The references for learned images, and finished ones, of a (height, width).

        Args:
            shape: of the finished ones; None: what `sizes` says.
            lasting, start: see `References`.
        """
        from finishing.references import References  # loads numba, which only finishing needs

        whole, factors, _ = self.sizes()
        by_size = list(zip(self.references.values(), factors, strict=True))
        images = [resize(image_to_tensor(one), by) for one, by in by_size]
        masks = [white(opaque(one), by).float() for one, by in by_size]
        return References(images, learned, shape or whole, self.structure, masks, self.tile, lasting, start)

    def __call__(self, learned: Tensor, progress: Callable[[float], object] | None = None) -> Finished:
        """Finish a learned image, (1, 3, h, w) in [-1, 1]; for `progress` see `finishing.coarse_to_fine.finish`."""
        from finishing.coarse_to_fine import finish
        from finishing.fill import start_of

        if self.kept is None:
            return finish(learned, self.prepared(tuple(learned.shape[-2:])), progress=progress)
        there, near = self.around_holes(learned.shape[-2:])
        learned, image, mask = learned[(..., *there)], image_to_tensor(self.kept), opaque(self.kept)
        kept = image[(..., *near)] * mask[near], mask[near]  # nothing of what is in a hole
        start = None if self.structure else start_of(kept[1])
        references = self.prepared(tuple(learned.shape[-2:]), tuple(kept[1].shape), start=start)
        part = finish(learned, references, progress=progress, kept=kept)

        # Put it where it belongs.
        image[(..., *near)] = part.image
        own = np.stack([np.full(mask.shape, len(self.references)), *np.indices(mask.shape)]).astype(np.int32)
        filled = part.source[0] < len(self.references)
        own[(slice(None), *near)][:, filled] = part.source[:, filled]
        return part._replace(image=image, source=own)


def finish_all(
    wanted: Sequence[tuple[str, Tensor, Finisher]], stop: StopRequest, folder: RunFolder | None = None
) -> Iterator[tuple[str, Finished]]:
    """Finish learned images one after another; gives out one at a time by its name, and holds no more.

    Args:
        wanted: names, learned images, (1, 3, h, w) in [-1, 1], and what finishes them.
        folder: where each is written before it is given out, beside it a picture of where its pixels come from, and in
            metrics.json the share that was copied in one piece; None: nowhere.

    Raises:
        Stopped: a stop was asked for; what is finished is written.
    """
    with Bar(len(wanted)) as bar:
        for index, (name, learned, finisher) in enumerate(wanted):
            what = f"finishing {name.removeprefix('finished').lstrip('_')}".rstrip()

            def progress(share: float, index: int = index, what: str = what) -> None:
                bar.show(index + share, what)
                stop.check()

            finished = finisher(learned, progress=progress)
            if folder is not None:
                save_images({name: finished.image, f"{name}_source": finished.source_map()}, folder)
                save_metrics(folder, {name: {COPIED: finished.copied}})
            yield name, finished
