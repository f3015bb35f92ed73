"""Using a trained pair on real images and on nothing at all (docs/method.md, section 7 and 8)."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from models.architecture import DOMAINS
from models.pyramid import Noise, Pyramid, gaussian_noise
from models.snapshot import Run
from utils.commands import command
from utils.device import device_flags
from utils.image import image_pyramid, open_image, to_uint8
from utils.resize import upsample
from utils.checkpoint import CheckpointError
from utils.run_folder import RunFolder
from utils.geometry import Geometry, Shapes, aspect_of
from utils.rng import stream

Pyramids = tuple[Pyramid, Pyramid]


class Translations(NamedTuple):
    """What comes of the two real images at one injection scale; (1, 3, H, W) each, finest size."""

    redrawn_a: Tensor
    a2b: Tensor
    redrawn_b: Tensor
    b2a: Tensor


class Samples(NamedTuple):
    """An unconditional sample of each domain with its translation; (1, 3, H, W) each, finest size."""

    fake_a: Tensor
    a2b: Tensor
    fake_b: Tensor
    b2a: Tensor


def default_injection_scale(shapes: Shapes) -> int:
    """The scale real images are injected at when one image is wanted.

    The finest of at most 64 pixels, or else the coarsest of the five finest. In runs of 32 to 64 pixels the
    finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, shape in enumerate(shapes) if max(shape) <= 64]
    return max(small[-1] if small else 0, len(shapes) - 5)


def injection_scales(stop_scale: int, levels: int) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def redraw_and_translate(
    source: Pyramid, target: Pyramid, image: Tensor, scale: int, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Start from an image of the source domain at a scale, redraw it there, translate it once.

    Args:
        image: (1, 3, H, W) at scale `scale` of `source`, [-1, 1].
        noise: see `Pyramid.draw`.

    Returns:
        The redrawn and the translated image, finest size.
    """
    redrawn = source.draw(image, scale, len(source.shapes), noise)
    return redrawn, target.translate(redrawn)


def inject_one(pyramids: Pyramids, direction: str, real: list[Tensor], scale: int, seed: int) -> tuple[Tensor, Tensor]:
    """A real image put in at one scale, redrawn and translated; see `redraw_and_translate`.

    Args:
        direction: "a2b" or "b2a".
        real: the real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    domain = DOMAINS.index(direction[0])
    source, target = pyramids[domain], pyramids[1 - domain]
    noise = gaussian_noise(source.shapes, [stream(seed, "inject", scale, direction[0])], real[scale].device)
    return redraw_and_translate(source, target, real[scale], scale, noise)


def inject(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]], scale: int, seed: int) -> Translations:
    """Both directions from the real images at one scale.

    Args:
        reals: domain a's and domain b's real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    a2b, b2a = (
        inject_one(pyramids, direction, real, scale, seed)
        for direction, real in zip(("a2b", "b2a"), reals, strict=True)
    )
    return Translations(*a2b, *b2a)


def translate_directly(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
    """a2b and b2a of the finest real images, without redrawing."""
    pyramid_a, pyramid_b = pyramids
    return pyramid_b.translate(reals[0][-1]), pyramid_a.translate(reals[1][-1])


def sample(pyramids: Pyramids, seed: int, device: torch.device, index: int = 0) -> Samples:
    """Draw a new image of each domain and translate it: "paired generation".

    `index` counts the samples of a seed; each is drawn from random numbers of its own.
    """
    images = []
    for source, target, name in zip(pyramids, pyramids[::-1], DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, [stream(seed, "sample", index, name)], device)
        start = torch.zeros(1, 3, *source.shapes[0], device=device)
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
        run = Run.open(RunFolder(Path(folder)), 2, torch.device(device))
        pyramids, _ = run.load_pyramids()
        finished, scales = len(pyramids[0].generators), run.geometry.stop_scale + 1
        if finished < scales:
            raise CheckpointError(
                f"--load {folder}: only {finished} of {scales} scales are finished; "
                f"to finish them: {command('train.py', '--load', Path(folder), *device_flags(run.device))}"
            )
        return cls(run.geometry, pyramids, run.device)

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

    def translate(
        self, image: Image.Image | str | Path, direction: str = "a2b", *, scale: int | None = None, seed: int = 0
    ) -> Image.Image:
        """An image with another one's appearance, as eval.py makes it.

        Args:
            image: a file, or an opened image; of domain A for "a2b", of domain B for "b2a".
            scale: where to put it in (docs/method.md, section 8); None: the default injection scale.
        """
        if direction not in {"a2b", "b2a"}:
            raise ValueError(f"direction must be 'a2b' or 'b2a', not {direction!r}")
        if not isinstance(image, Image.Image):
            image = open_image(Path(image), "image")
        shapes = self.shapes_for(image.size)
        scale = default_injection_scale(shapes) if scale is None else scale
        real = image_pyramid(image.convert("RGB"), shapes, self.device)
        _, translated = inject_one(self.reshaped(shapes, shapes), direction, real, scale, seed)
        return Image.fromarray(to_uint8(translated))
