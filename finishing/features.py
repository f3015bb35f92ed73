"""What patches are compared by: a few principal components of their pixels and of their surroundings."""

from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.kernels import in_bands, project

COMPONENTS = 24  # of a patch's 147 values
ANCHOR, ANCHOR_COMPONENTS = 5, 30  # samples on a side; of their 75 values
SAMPLES = 4096  # at most about this many patches decide about the components
PATCHES, ANCHORS = slice(COMPONENTS), slice(COMPONENTS, COMPONENTS + ANCHOR_COMPONENTS)  # their places in a feature


class Keys:
    """One part of the features of all patches of the references, PATCHES or ANCHORS; the same for every image.

    Args:
        canvas: says where the patches lie.
        images: (1, 3, H, W) each, at the canvas's size; anchors are usually taken from more blurred ones.
        spacing: of an anchor's samples, pixels; None for the pixels of the patch itself.
        weight: 1 makes the samples of an anchor count as much as the pixels of a patch.
    """

    def __init__(self, canvas: Canvas, images: list[Tensor], spacing: int | None = None, weight: float = 1.0) -> None:
        self.canvas, self.values = canvas, None
        if spacing is None:
            self.part, self.spacing, self.margin = PATCHES, 1, 0
            self.images = images
            self.components = principal_components(images, PATCH, 1, COMPONENTS)
        else:
            self.part, self.spacing = ANCHORS, spacing
            self.margin = ANCHOR // 2 * spacing - PATCH // 2  # negative where the samples lie inside the patch
            self.images = [self._padded(image) for image in images]
            self.components = principal_components(self.images, ANCHOR, spacing, ANCHOR_COMPONENTS)
            self.components *= np.float32(weight * PATCH / ANCHOR)

    def write(self, keys: np.ndarray, check: Callable[[], object], keep: bool) -> None:
        """Write this part of all keys, (places, K).

        Args:
            keep: whether to hold them for the next image of a clip; else this can be done once, and its images go.
        """
        if self.values is None:
            rows = keys.reshape(-1, self.canvas.width, keys.shape[1])[..., self.part]
            for top, (height, width), image in zip(self.canvas.tops, self.canvas.shapes, self.images, strict=True):
                out = rows[top : top + height - PATCH + 1, : width - PATCH + 1]
                in_bands(project, len(out), _array(image), self.components, self.spacing, out, check=check)
            self.images, self.values = [], keys[:, self.part].copy() if keep else None
        else:
            keys[:, self.part] = self.values

    def write_queries(self, image: Tensor, queries: np.ndarray, check: Callable[[], object]) -> None:
        """The same part of an image's features, (h, w, K); (1, 3, H, W)."""
        pixels, out = _array(self._padded(image)), queries[..., self.part]
        in_bands(project, len(out), pixels, self.components, self.spacing, out, check=check)

    def _padded(self, image: Tensor) -> Tensor:
        return F.pad(image, (self.margin,) * 4, mode="replicate") if self.margin else image


class Features:
    """Features of all patches of an image, and of all patches of the references it is compared with.

    Args:
        image_shape: (height, width) of the image.
        places: of the canvas with the references.
        check: called now and then; may raise to stop.
        keep: whether the references' features are held for the next image of a clip.

    Attributes:
        shape: (h, w), how many patches the image has.
        queries: (h, w, K) float32, the image's.
        keys: (places, K) float32, the references', by their place in the canvas.
    """

    def __init__(self, image_shape: tuple[int, int], places: int, check: Callable[[], object], keep: bool) -> None:
        self.check, self.keep = check, keep
        self.shape = image_shape[0] - PATCH + 1, image_shape[1] - PATCH + 1
        self.queries = np.zeros((*self.shape, ANCHORS.stop), np.float32)
        self.keys = np.zeros((places, ANCHORS.stop), np.float32)

    def compare(self, image: Tensor, keys: Keys) -> None:
        """Set one part of both; (1, 3, H, W) at this size."""
        keys.write_queries(image, self.queries, self.check)
        keys.write(self.keys, self.check, self.keep)


def principal_components(images: list[Tensor], side: int, spacing: int, count: int) -> np.ndarray:
    """The first principal components of the patches of some images.

    Args:
        images: (1, 3, H, W) each.
        side, spacing: a patch has side x side pixels, `spacing` apart.
        count: how many components.

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


def _array(image: Tensor) -> np.ndarray:
    return image[0].contiguous().numpy()
