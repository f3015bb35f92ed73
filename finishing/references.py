"""What finishing takes from the references alone: nothing here depends on the image, so a clip makes it once."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from finishing.canvas import LEAST_SIDE, PATCH, PLAIN, Canvas, Shape, Tile, white, white_side
from finishing.kernels import Check, in_bands, project
from utils.resize import resize

COMPONENTS = 24  # of a patch's 147 values
ANCHOR, ANCHOR_COMPONENTS = 5, 30  # samples on a side; of their 75 values
SAMPLES = 4096  # at most about this many patches decide about the components
RATIO = 4 / 3  # at most, of a level to the one before
FIRST_SIDE = 128  # pixels; the first level is searched exhaustively, in time that grows with its side's fourth power
# Levels with more places are made anew for every frame: all kept ones together have at most about 800 bytes a place.
MOST_KEPT = 2**21


class References:
    """The references prepared for finished images of one size.

    Args:
        images: (1, 3, H, W) in [-1, 1] each, on the CPU, as large as their patches are to be copied.
        learned: (height, width) of the learned images.
        shape: (height, width) of the finished images.
        structure: 0 hides a learned image's faults, 1 is the default and follows it closely. On pairs of things on a
            ground, of textures and of letters alike, 0.5 made rounder things and 1 kept more of the layout, with
            nearer patches and colours; above 1 only the weight grows further.
        masks: (H, W) float each, 1 where patches may be copied from, else 0; not given: everywhere.
        tile: whether the finished images go around.
        lasting: whether what is made for one image is held for the next, where it is not too large.
        start: about the ratio of the first pass's size to the finished image; None: what suits `structure`.

    Attributes:
        scale: ratio of a learned image to the finished one.
        factors: ratio of every pass's size to the finished image.
        small: `images` at the learned size.
        palette: (3, pixels), the colours of what may be copied, at that size.
        barred: whether a mask has black.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        learned: Shape,
        shape: Shape,
        structure: float,
        masks: Sequence[Tensor] = (),
        tile: Tile = PLAIN,
        lasting: bool = False,
        start: float | None = None,
    ) -> None:
        bounded = min(structure, 1.0)
        self.weight = 8 * structure  # of the anchors' features, squared in distances; at 1 as a patch's pixels
        self.reach = 2 * 4**-bounded  # distance of the anchors' samples, in pixels of the learned image
        self.masks = masks or [torch.ones(image.shape[-2:]) for image in images]
        self.barred = not all(mask.all() for mask in self.masks)
        sides = [*shape, *(side for image in images for side in image.shape[-2:])]
        self.scale = min(1.0, math.sqrt(math.prod(learned) / math.prod(shape)))
        start = start or 0.75 * (64 / 27) ** bounded * self.scale
        self.factors = pass_factors(start, min(*sides, *map(white_side, self.masks)), max(sides))
        self.images, self.shape, self.small = images, shape, [resize(image, self.scale) for image in images]
        shares = [resize(mask, self.scale) for mask in self.masks]
        chosen = [image[0][:, share > 0.9 * share.max()] for image, share in zip(self.small, shares, strict=True)]
        self.palette, self.tile = torch.cat(chosen, dim=1), tile
        self.levels: dict[int, Level] = {}
        self.lasting, self.latest = lasting, (1.0, images)

    def at(self, factor: float) -> list[Tensor]:
        """`images` at another size; the latest is at hand, for a pass begins at the size of the one before."""
        if self.latest[0] != factor:
            self.latest = factor, [resize(image, factor) for image in self.images]
        return self.latest[1]

    def level(self, index: int, check: Check) -> "Level":
        """The references at the size of a pass."""
        factor = self.factors[index]
        before = min(self.factors[index - 1] if index else self.scale, factor)
        level = self.levels.get(index) or Level(self, before, factor, check)
        if self.lasting and len(level.keys) <= MOST_KEPT:
            self.levels[index] = level
        return level


class Level:
    """The references at the size of one pass, and what patches are compared by there.

    A patch's feature has principal components of its own pixels, and of its anchor: samples about the same centre, of
    the learned image, and of the references at its size.

    Args:
        before: ratio to the finished size of what the patches' images were enlarged from, at most `factor`.
        factor: ratio of this size to the finished one.
        check: called now and then; may raise to stop.

    Attributes:
        keys: (places, K) float32, the features of all patches of the canvas.
    """

    def __init__(self, references: References, before: float, factor: float, check: Check) -> None:
        scale = references.scale
        blurred, sharp = references.at(before), references.at(factor)

        def enlarged(images: Sequence[Tensor], ratio: float) -> list[Tensor]:
            return [resize(image, ratio, own.shape[-2:]) for image, own in zip(images, sharp, strict=True)]

        # What was enlarged is compared with references enlarged likewise, or blur would find blur.
        if before < factor:
            blurred = enlarged(blurred, factor / before)
        small = enlarged(references.small, factor / scale) if references.weight else sharp
        self.spacing = max(1, round(references.reach * factor / scale))
        self.margin = ANCHOR // 2 * self.spacing - PATCH // 2  # negative where the samples lie inside the patch
        self.patches = principal_components(blurred, PATCH, 1, COMPONENTS)
        self.anchors = np.empty((0, 3, ANCHOR, ANCHOR), np.float32)
        if references.weight:
            wide = [padded(image, self.margin) for image in small]
            self.anchors = principal_components(wide, ANCHOR, self.spacing, ANCHOR_COMPONENTS)
            self.anchors *= np.float32(references.weight * PATCH / ANCHOR)
        masks = [white(mask, factor).numpy() for mask in references.masks] if references.barred else ()
        self.canvas = Canvas(sharp, masks, references.tile)
        self.keys, parts = self.canvas.room((COMPONENTS + len(self.anchors),), np.float32)
        for *pictures, part in zip(blurred, small, parts, strict=True):
            self.features(*pictures, check, out=part)

    def features(
        self, image: Tensor, small: Tensor, check: Check, tile: Tile = PLAIN, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Of all patches of an image, (h, w, K) float32.

        Args:
            image, small: (1, 3, H, W), at this size, what patches and anchors are taken from.
            out: where to, from the top left corner on; None: a new array.
        """
        image = padded(image, 0, tile)
        height, width = image.shape[-2:]
        shape = height - PATCH + 1, width - PATCH + 1, COMPONENTS + len(self.anchors)
        out = np.empty(shape, np.float32) if out is None else out[: shape[0], : shape[1]]
        taken = [(image, self.patches, 1, out[..., :COMPONENTS])]
        if len(self.anchors):
            taken.append((padded(small, self.margin, tile), self.anchors, self.spacing, out[..., COMPONENTS:]))
        for picture, components, spacing, part in taken:
            in_bands(project, len(out), picture[0].contiguous().numpy(), components, spacing, part, check=check)
        return out


def padded(image: Tensor, margin: int, tile: Tile = PLAIN) -> Tensor:
    """An image with its edge repeated on every side; one that goes around goes on there, at the end a patch further."""
    for axis, around in zip((-2, -1), tile, strict=True):
        if not (margin or around):
            continue
        length = image.shape[axis]
        pixels = torch.arange(-margin, length + margin + (PATCH - 1) * around)
        image = image.index_select(axis, pixels % length if around else pixels.clamp(0, length - 1))
    return image


def principal_components(images: Sequence[Tensor], side: int, spacing: int, count: int) -> np.ndarray:
    """The first principal components of the patches of some images, (1, 3, H, W) each: side x side pixels, spaced.

    Returns:
        (count, 3, side, side) float32, orthonormal up to 2**-20, to which they are rounded, so that they do not
        depend on the order in which a library sums.
    """
    reach, samples = (side - 1) * spacing + 1, []
    step = max(1, round((sum(image[0, 0].numel() for image in images) / SAMPLES) ** 0.5))
    for image in images:
        patches = image[0].unfold(1, reach, step).unfold(2, reach, step)[..., ::spacing, ::spacing]
        samples.append(patches.permute(1, 2, 0, 3, 4).reshape(-1, 3 * side * side).numpy())
    centred = np.concatenate(samples, dtype=np.float64)
    centred -= centred.mean(axis=0)
    vectors = np.linalg.eigh(centred.T @ centred)[1].T[::-1][:count]
    return (np.rint(vectors * 2**20) / 2**20).astype(np.float32).reshape(-1, 3, side, side)


def pass_factors(start: float, shortest: int, longest: int) -> list[float]:
    """Ratios of the passes' sizes to the finished one: equal steps of at most RATIO up to 1, and 1 once more, sharp.

    Args:
        start: of the first, if that has room for a few patches and is not too large to be searched.
        shortest, longest: sides at the finished size, over the image and all references.
    """
    first = min(1.0, max(min(start, FIRST_SIDE / longest), LEAST_SIDE / shortest))
    steps = math.ceil(math.log(1 / first) / math.log(RATIO) - 1e-9)
    return [first ** (1 - step / steps) for step in range(steps)] + [1.0, 1.0]
