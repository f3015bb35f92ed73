"""Using a trained pair on real images and on nothing at all (METHOD sections 7 and 8)."""

from typing import NamedTuple

import torch
from torch import Tensor

from models.architecture import DOMAINS
from models.pyramid import Noise, Pyramid, gaussian_noise
from utils.resize import upsample
from utils.scales import Shapes
from utils.streams import stream

Pyramids = tuple[Pyramid, Pyramid]


class Translations(NamedTuple):
    """What comes of the two real images at one injection scale; (1, 3, H, W) each, finest size."""

    refined_a: Tensor
    a2b: Tensor
    refined_b: Tensor
    b2a: Tensor


class Samples(NamedTuple):
    """An unconditional sample of each domain with its translation; (1, 3, H, W) each, finest size."""

    fake_a: Tensor
    a2b: Tensor
    fake_b: Tensor
    b2a: Tensor


def default_injection_scale(shapes: Shapes) -> int:
    """The scale real images are injected at when one picture is wanted.

    The finest of at most 64 pixels, or else the coarsest of the five finest. In runs of 32 to 64 pixels the
    finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, shape in enumerate(shapes) if max(shape) <= 64]
    return max(small[-1] if small else 0, len(shapes) - 5)


def injection_scales(stop_scale: int, levels: int) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def refine_and_translate(
    source: Pyramid, target: Pyramid, image: Tensor, scale: int, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Start from a picture of the source domain at a scale, refine it there, translate it once.

    Args:
        image: (1, 3, H, W) at scale `scale` of `source`, [-1, 1].
        noise: see `Pyramid.draw`.

    Returns:
        The refined and the translated picture, finest size.
    """
    refined = source.draw(image, scale, len(source.shapes), noise)
    return refined, target.translate(refined)


def inject(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]], scale: int, seed: int) -> Translations:
    """Both directions from the real images at one scale.

    Args:
        reals: domain a's and b's real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    pictures: list[Tensor] = []
    for source, target, real, name in zip(pyramids, pyramids[::-1], reals, DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, stream(seed, "inject", scale, name, device=real[scale].device))
        pictures += refine_and_translate(source, target, real[scale], scale, noise)
    return Translations(*pictures)


def translate_directly(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
    """a2b and b2a of the finest real images, without refinement."""
    pyramid_a, pyramid_b = pyramids
    return pyramid_b.translate(reals[0][-1]), pyramid_a.translate(reals[1][-1])


def sample(pyramids: Pyramids, seed: int, device: torch.device, index: int = 0) -> Samples:
    """Draw a new picture of each domain and translate it: "paired generation".

    `index` counts the samples of a seed; each is drawn from random numbers of its own.
    """
    pictures = []
    for source, target, name in zip(pyramids, pyramids[::-1], DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, stream(seed, "sample", index, name, device=device))
        start = torch.zeros(1, 3, *source.shapes[0], device=device)
        fake = source.draw(start, 0, len(source.shapes), noise)
        pictures += [fake, target.translate(fake)]
    return Samples(*pictures)


def refined_from(pyramid: Pyramid, image: Tensor, scale: int, seed: int) -> Tensor:
    """A picture cleaned up by one domain's pyramid, from a start scale on (METHOD section 11).

    Args:
        image: (1, 3, H, W) on the grid of the start scale, or of the one before, then enlarged.
        scale: the start scale, 1 or more.

    Returns:
        (1, 3, H', W') at the finest scale.
    """
    if image.shape[-2:] != pyramid.shapes[scale]:
        image = upsample(image, pyramid.factor, pyramid.shapes[scale])
    noise = gaussian_noise(pyramid.shapes, stream(seed, "refine", scale, device=image.device))
    return pyramid.draw(image, scale, len(pyramid.shapes), noise)
