"""Using a trained pair on real images and on nothing at all (docs/method.md, sections 7 and 8)."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.architecture import DOMAINS
from models.pyramid import Noise, Pyramid, gaussian_noise
from models.run import Run
from utils.device import few_threads
from utils.geometry import Geometry, Shapes, aspect_of
from utils.image import as_rgb, image_pyramid, open_image, to_uint8
from utils.resize import upsample
from utils.rng import stream

Pyramids = tuple[Pyramid, Pyramid]
DIRECTIONS = ("a2b", "b2a")


class Samples(NamedTuple):
    """An unconditional sample of each domain with its translation; (1, 3, H, W) each, finest size."""

    fake_a: Tensor
    a2b: Tensor
    fake_b: Tensor
    b2a: Tensor


def default_injection_scale(shapes: Shapes) -> int:
    """The scale real images are injected at when one image is wanted, from the shapes the pair was trained at.

    The finest of at most 64 pixels, or else the coarsest of the five finest. In runs of 32 to 64 pixels the
    finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, shape in enumerate(shapes) if max(shape) <= 64]
    return max(small[-1] if small else 0, len(shapes) - 5)


def injection_scales(stop_scale: int, levels: int) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def inject(
    pyramids: Pyramids, direction: str, image: Tensor, scale: int, seed: int, noise: Noise | None = None
) -> tuple[Tensor, Tensor]:
    """Put a real image in at a scale, redraw it from there on, translate it once (docs/method.md, section 8).

    Args:
        direction: "a2b" or "b2a".
        image: (1, 3, H, W) at scale `scale` of the source domain, [-1, 1].
        noise: see `Pyramid.draw`; None: fresh, from the seed.

    Returns:
        The redrawn and the translated image, (1, 3, H, W) each at the finest size.
    """
    domain = DOMAINS.index(direction[0])
    source, target = pyramids[domain], pyramids[1 - domain]
    noise = noise or gaussian_noise(source.shapes, [stream(seed, "inject", scale, direction[0])], image.device)
    with few_threads(image.device, 3 * source.shapes[-1][0] * source.shapes[-1][1]):
        redrawn = source.draw(image, scale, len(source.shapes), noise)
        return redrawn, target.translate(redrawn)


def sample(pyramids: Pyramids, seed: int, device: torch.device, index: int = 0) -> Samples:
    """Draw a new image of each domain and translate it: "paired generation".

    `index` counts the samples of a seed; each is drawn from random numbers of its own.
    """
    images = []
    for source, target, name in zip(pyramids, pyramids[::-1], DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, [stream(seed, "sample", index, name)], device)
        start = torch.zeros(1, 3, *source.shapes[0], device=device)
        with few_threads(device, 3 * source.shapes[-1][0] * source.shapes[-1][1]):
            fake = source.draw(start, 0, len(source.shapes), noise)
            images += [fake, target.translate(fake)]
    return Samples(*images)


def refined_from(pyramid: Pyramid, image: Tensor, scale: int, seed: int) -> Tensor:
    """An image cleaned up by one domain's pyramid, from a start scale on (docs/method.md, section 11).

    Args:
        image: (1, 3, H, W) on the grid of the start scale, or of the one before, then enlarged.
        scale: the start scale, 1 or more.

    Returns:
        (1, 3, H', W') at the finest scale.
    """
    if image.shape[-2:] != pyramid.shapes[scale]:
        image = upsample(image, pyramid.factor, pyramid.shapes[scale])
    noise = gaussian_noise(pyramid.shapes, [stream(seed, "refine", scale)], image.device)
    return pyramid.draw(image, scale, len(pyramid.shapes), noise)


@dataclass(frozen=True)
class TrainedPair:
    """A finished run of train.py, to translate images with.

    Args:
        geometry: the sizes it was trained at.
        pyramids: of a and of b.
        device: where they are.
    """

    geometry: Geometry
    pyramids: Pyramids
    device: torch.device

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> "TrainedPair":
        """The pair in a run's folder; CheckpointError (a UserError) where it cannot be used."""
        return cls.of_run(Run.load(Path(folder), 2, torch.device(device)))

    @classmethod
    def of_run(cls, run: Run) -> "TrainedPair":
        """The pair of a run whose scales are all finished."""
        return cls(run.geometry, run.pyramids, run.device)

    def shapes_for(self, size: tuple[int, int], img_size: int | None = None, keep_aspect: bool = False) -> Shapes:
        """(height, width) of every scale for an image of this (width, height).

        Args:
            img_size: longer side of the finest scale, pixels; None: as trained.
            keep_aspect: keep the image's shape also where the pair was trained on squares.
        """
        aspect = aspect_of(size) if self.geometry.keep_aspect or keep_aspect else 1.0
        return self.geometry.shapes_for(aspect, img_size)

    def reshaped(self, *shapes: Shapes) -> Pyramids:
        """The pyramids for images of other shapes, a's and b's."""
        return tuple(pyramid.reshaped(own) for pyramid, own in zip(self.pyramids, shapes, strict=True))

    def default_scale(self) -> int:
        """The scale real images are injected at when one image is wanted."""
        return default_injection_scale(self.geometry.domain_shapes[0])

    def translate(
        self,
        image: Image.Image | np.ndarray | str | Path,
        direction: str = "a2b",
        *,
        inject_scale: int | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """An image with another one's appearance, as eval.py makes it.

        Args:
            image: a file, an opened image, or an array (H, W, 3) or (H, W) of 8 bits; of domain A for "a2b", of domain
                B for "b2a". All are read alike: upright, in sRGB, on white where they are transparent.
            inject_scale: where to put it in, 0 the coarsest; None: the default injection scale.

        Raises:
            TypeError, ValueError: an argument that is none of these; the message says what it should be.
            UserError: the image cannot be used.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be 'a2b' or 'b2a', not {direction!r}")
        if inject_scale is not None and not 0 <= inject_scale <= self.geometry.stop_scale:
            raise ValueError(f"inject_scale must be 0 to {self.geometry.stop_scale}, not {inject_scale}")
        image = _opened(image)
        shapes = self.shapes_for(image.size)
        scale = self.default_scale() if inject_scale is None else inject_scale
        real = image_pyramid(image, shapes[scale : scale + 1], self.device)[0]
        _, translated = inject(self.reshaped(shapes, shapes), direction, real, scale, seed)
        return Image.fromarray(to_uint8(translated))


def _opened(image: Image.Image | np.ndarray | str | Path) -> Image.Image:
    """The one way in for what Python hands over."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise TypeError(f"an array must be (H, W, 3) or (H, W) uint8, not {image.shape} {image.dtype}")
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        return as_rgb(image, "image")
    if isinstance(image, str | Path):
        return open_image(Path(image), "image")
    raise TypeError(f"image must be a path, a PIL image or a NumPy array, not {type(image).__name__}")
