"""What patches are compared by: a few principal components of their pixels and of their surroundings."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.kernels import in_bands, project

COMPONENTS = 24  # of a patch's 147 values
ANCHOR, ANCHOR_COMPONENTS = 5, 30  # samples on a side; of their 75 values
SAMPLES = 4096  # at most about this many patches decide about the components


class Features:
    """Features of all patches of an image, and of all patches of the references it is compared with.

    Attributes:
        shape: (h, w), how many patches the image has.
        queries: (h, w, K) float32, the image's.
        keys: (places, K) float32, the references', by their place in the canvas.
    """

    def __init__(self, image_shape: tuple[int, int], canvas: Canvas) -> None:
        self.canvas = canvas
        self.shape = image_shape[0] - PATCH + 1, image_shape[1] - PATCH + 1
        self.queries = np.zeros((*self.shape, COMPONENTS + ANCHOR_COMPONENTS), np.float32)
        self.keys = np.zeros((canvas.places, COMPONENTS + ANCHOR_COMPONENTS), np.float32)

    def compare(self, image: Tensor, references: list[Tensor]) -> None:
        """Set the features of the patches themselves; (1, 3, H, W) each, at this size."""
        self._set(slice(COMPONENTS), image, references, principal_components(references, PATCH, 1, COMPONENTS))

    def anchor(self, image: Tensor, references: list[Tensor], spacing: int, weight: float) -> None:
        """Set the features of the patches' surroundings, usually in more blurred images.

        Args:
            image, references: (1, 3, H, W) each, at this size.
            spacing: of the samples, pixels.
            weight: 1 makes the samples count as much as the pixels of a patch.
        """
        margin = (ANCHOR // 2 * spacing - PATCH // 2,) * 4  # negative where the samples lie inside the patch
        image, *references = [F.pad(one, margin, mode="replicate") for one in (image, *references)]
        components = principal_components(references, ANCHOR, spacing, ANCHOR_COMPONENTS)
        components *= np.float32(weight * PATCH / ANCHOR)
        self._set(slice(COMPONENTS, None), image, references, components, spacing)

    def _set(
        self, part: slice, image: Tensor, references: list[Tensor], components: np.ndarray, spacing: int = 1
    ) -> None:
        _project(image, components, spacing, self.queries[..., part])
        keys = self.keys.reshape(-1, self.canvas.width, self.keys.shape[1])[..., part]
        for top, (height, width), reference in zip(self.canvas.tops, self.canvas.shapes, references, strict=True):
            _project(reference, components, spacing, keys[top : top + height - PATCH + 1, : width - PATCH + 1])


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


def _project(image: Tensor, components: np.ndarray, spacing: int, out: np.ndarray) -> None:
    in_bands(project, len(out), image[0].contiguous().numpy(), components, spacing, out)
