"""How a clip moves, and matches carried along from one frame to the next (docs/method.md, section 14)."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import uniform_filter
from torch import Tensor

from finishing.canvas import PATCH, Canvas, Shape

LONGEST, SHORTEST = 512, 16  # pixels, sides at which motion is looked for
APART = 1.0  # pixels, from where a pixel was and back again: further off, it was hidden or is not found
# A pixel that differs by more greys of 256 from where it was is another thing: of a frame's standard deviation, since
# faint or blurred frames differ little from any other, and beyond that, for noise.
CHANGED, NOISE = 0.4, 3
AROUND, FLAT = 15, 2.0  # pixels; greys from a pixel to the next, which are less there where nothing is to be seen
EVENED = 9  # pixels, side of the square over which motion is evened out, or each pixel would be rounded by itself
SLACK = 1.0  # pixels a match may lie beside where it belongs; the frame is moved by what is left
# Of all pixels; where fewer are found again, this is another shot. Between photographs, sharp or blurred, faint or not,
# at most 0.34 were found, in fast motion at least 0.56.
CUT = 0.45


class Motion(NamedTuple):
    """Where the pixels of a frame were in the frame before.

    Args:
        back: (2, H, W) float32, from each pixel down and right to where it was, in shares of the frame's sides.
        found: (H, W) bool, whether it was there: forward and backward flow agree and it looks alike. Nowhere at a cut.
    """

    back: np.ndarray
    found: np.ndarray

    def warped(self, before: Tensor) -> Tensor:
        """A frame before, (1, C, H, W) of any size, moved to where its pixels are now."""
        return moved(before, self.back)


def moved(image: Tensor, back: np.ndarray) -> Tensor:
    """An image, (1, C, H, W), each of whose pixels comes from `back`, see `Motion`, further down and right; bicubic."""
    shape = image.shape[-2:]
    back = F.interpolate(torch.from_numpy(back)[None], shape, mode="bilinear", align_corners=False)
    rows, columns = ((torch.arange(length) + 0.5) / length for length in shape)
    at = 2 * torch.stack([columns + back[0, 1], rows[:, None] + back[0, 0]], dim=2) - 1
    return F.grid_sample(image, at[None].to(image.device), mode="bicubic", padding_mode="border", align_corners=False)


def motion_between(before: Image.Image, now: Image.Image, shape: Shape) -> Motion:
    """Optical flow of two frames at this (height, width), or below: DIS (Kroeger et al. 2016), from OpenCV.

    It takes some hundredths of a second; scikit-image's methods take ten times as long.
    """
    import cv2  # needed for clips alone

    cv2.setNumThreads(1)  # so that their number cannot matter
    scale = min(1.0, LONGEST / max(shape))
    size = [max(SHORTEST, round(side * scale)) for side in reversed(shape)]
    greys = [np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC)) for image in (before, now)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, back = flow.calc(*greys, None), flow.calc(*reversed(greys), None)

    # Where nothing is to be seen, any motion fits: that moves as the rest does, if that agrees, or not at all.
    texture = sum(np.abs(cv2.Sobel(greys[1], cv2.CV_32F, *axes, scale=1 / 8)) for axes in ((1, 0), (0, 1)))
    flat = cv2.blur(texture, (AROUND, AROUND)) < FLAT
    if not flat.all():
        for each in (forward, back):
            usual = np.median(each[~flat], axis=0)
            spread = np.median(np.abs(each[~flat] - usual), axis=0)
            each[flat] = np.where(np.abs(usual) > 2 * spread, usual, 0)

    # Follow each pixel to where it was and back again.
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size))
    was = columns + back[..., 0], rows + back[..., 1]
    there = cv2.remap(forward, *was, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.remap(greys[0], *was, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = ((back + there) ** 2).sum(axis=2) < APART**2
    found &= cv2.absdiff(shown, greys[1]) < CHANGED * greys[1].std() + NOISE
    if found.mean() < CUT:
        found[:] = False
    return Motion((back / np.float32(size)).transpose(2, 0, 1)[::-1].copy(), found)


def carried(field: np.ndarray, drift: np.ndarray, canvas: Canvas, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """The matches of the frame before where their patches are now.

    Each patch takes the match of the one nearest to where it was: that one alone, moved by whole pixels. What is left
    of the way adds up in `drift`, by which the finished frame is moved: whole pixels alone would jerk.

    Args:
        field: (h, w), places.
        drift: (2, h, w) float32, how far down and right of its match each patch belongs.

    Returns:
        Places, int32, -1 where a patch was not found or was off the frame or the reference, and the new drift.
    """
    sides = np.add(field.shape, PATCH - 1)
    centres = [
        ((np.arange(length) + PATCH / 2) / side * own).astype(np.int64)
        for length, side, own in zip(field.shape, sides, motion.found.shape, strict=True)
    ]
    centres = np.ix_(*centres)
    found = motion.found[centres]
    way = motion.back[(slice(None), *centres)] * sides.astype(np.float32)[:, None, None]
    was = uniform_filter(way, (1, EVENED, EVENED), mode="nearest") + np.indices(field.shape, np.float32)
    nearest = np.rint(was).astype(np.int64)
    last = np.subtract(field.shape, 1)[:, None, None]
    found &= ((nearest >= 0) & (nearest <= last)).all(axis=0)
    row, column = np.clip(nearest, 0, last)
    left = was - nearest + drift[:, row, column]
    down, right = whole = np.where(np.abs(left) > SLACK, np.rint(left), 0).astype(np.int64)
    reference, *position = canvas.position(field[row, column])
    wanted = position[0] + down, position[1] + right
    place = canvas.place(reference, *wanted)
    found &= np.equal(canvas.position(place)[1:], wanted).all(axis=0)
    return np.where(found, place, -1).astype(np.int32), (left - whole).astype(np.float32)
