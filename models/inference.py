"""Using a trained pair on real images and on nothing at all (METHOD sections 7 and 8)."""

from typing import NamedTuple

import torch
from torch import Tensor

from models.pyramid import Pyramid, Shape, gaussian_noise
from utils.streams import stream

Pyramids = tuple[Pyramid, Pyramid]


class Translations(NamedTuple):
    """What comes of the two real images at one injection scale; (1, 3, H, W) each, finest size."""

    refined_a: Tensor
    a2b: Tensor
    refined_b: Tensor
    b2a: Tensor


class Samples(NamedTuple):
    """Unconditional samples of both domains with their translations; (N, 3, H, W) each, finest size."""

    fake_a: Tensor
    a2b: Tensor
    fake_b: Tensor
    b2a: Tensor


def default_injection_scale(shapes: tuple[Shape, ...]) -> int:
    """The scale real images are injected at when one picture is wanted.

    The finest of at most 64 pixels, or else the coarsest of the five finest. In runs of 32 to 64 pixels the
    finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, shape in enumerate(shapes) if max(shape) <= 64]
    return max(small[-1] if small else 0, len(shapes) - 5)


def injection_scales(stop_scale: int, levels: int) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def inject(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]], scale: int, seed: int) -> Translations:
    """Start from the real images at a scale, refine each in its own domain, translate once.

    Args:
        reals: domain a's and b's real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    pictures = []
    for source, target, real, name in zip(pyramids, pyramids[::-1], reals, "ab", strict=True):
        noise = gaussian_noise(source.shapes, stream(seed, "inject", scale, name, device=real[scale].device))
        refined = source.draw(real[scale], scale, len(source.shapes), noise)
        pictures += [refined, target.translate(refined)]
    return Translations(*pictures)


def translate_directly(pyramids: Pyramids, reals: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
    """a2b and b2a of the finest real images, without refinement."""
    pyramid_a, pyramid_b = pyramids
    return pyramid_b.translate(reals[0][-1]), pyramid_a.translate(reals[1][-1])


def sample(pyramids: Pyramids, seed: int, device: torch.device, batch: int = 1) -> Samples:
    """Draw new pictures of each domain and translate them: "paired generation"."""
    pictures = []
    for source, target, name in zip(pyramids, pyramids[::-1], "ab", strict=True):
        noise = gaussian_noise(source.shapes, stream(seed, "sample", name, device=device), batch)
        start = torch.zeros(batch, 3, *source.shapes[0], device=device)
        fake = source.draw(start, 0, len(source.shapes), noise)
        pictures += [fake, target.translate(fake)]
    return Samples(*pictures)
