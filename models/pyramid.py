"""The trained scales of one domain, and the coarse-to-fine draw everything else calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.networks import Generator
from utils.device import send
from utils.geometry import Shapes
from utils.resize import upsample

Noise = Callable[[int], Tensor]  # from a scale i to N(0, 1) of shape (N, 3, H_i, W_i)


def gaussian_noise(
    shapes: Shapes, streams: Sequence[torch.Generator], device: torch.device, *, grey_coarsest: bool = False
) -> Noise:
    """Noise on the device, fresh at every call, each of its N images from a random stream of its own.

    With `grey_coarsest` all three channels of scale 0 are one and the same (docs/method.md, section 11).
    """

    def noise(scale: int) -> Tensor:
        shape = (1 if grey_coarsest and scale == 0 else 3, *shapes[scale])
        drawn = torch.stack([torch.randn(shape, generator=each) for each in streams])
        return send(drawn, device).expand(-1, 3, -1, -1)

    return noise


@dataclass
class Pyramid:
    """Finished generators of one domain with their noise amplitudes, coarsest first.

    Args:
        shapes: (height, width) of every scale of the whole pyramid.
        factor: ratio < 1 of a scale to the next finer one.
    """

    shapes: Shapes
    factor: float
    generators: list[Generator] = field(default_factory=list)
    sigmas: list[float] = field(default_factory=list)

    def append(self, generator: Generator, sigma: float) -> None:
        """Add the next finer finished scale; its generator is frozen."""
        self.generators.append(generator.requires_grad_(False))
        self.sigmas.append(sigma)

    @torch.no_grad()
    def draw(self, image: Tensor, start: int, stop: int, noise: Noise | None = None) -> Tensor:
        """Run scales start .. stop - 1 on an image of scale `start`'s size (docs/method.md, sections 4, 8).

        Args:
            image: (N, 3, H, W) at scale `start`, [-1, 1]; zero or noise to draw from nothing.
            stop: the scale whose grid the result is on; the number of scales for the finished image.
            noise: added, times sigma_i, to the input of scale i's generator, never to its base; None for the
                reconstruction path, which has none.

        Returns:
            (N, 3, H', W') on the grid of scale `stop`, or of the finest scale if there is no such scale.
        """
        for scale in range(start, stop):
            noisy = image if noise is None else image + self.sigmas[scale] * noise(scale)
            image = self.generators[scale](noisy, image)
            if scale + 1 < len(self.shapes):
                image = upsample(image, self.factor, self.shapes[scale + 1])
        return image

    @torch.no_grad()
    def translate(self, image: Tensor) -> Tensor:
        """The finest generator as translator into this domain; (N, 3, H, W) at the finest size, [-1, 1]."""
        return self.generators[-1](image, image)
