"""Generator, discriminator, and the few numbers that fix their shape (docs/method.md, sections 2 and 3)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import ConvStack

DOMAINS = "ab"
PADDING_MODES = ("zeros", "reflect")  # what the generators' convolutions may see outside the image
KER_SIZE, PADDING = 3, 1  # of the generators, always, so that the size is kept


@dataclass(frozen=True)
class Architecture:
    """Widths and depth of the networks.

    Args:
        nfc, min_nfc: channels of the head and least channels of a body block at scales 0 to 3;
            doubled every fourth scale.
        max_nfc: upper bound of both.
        num_layer: convolutions per network.
        ker_size, padd_size: kernel side and padding of the discriminator.
        switch_res: how many of the finest scales are plain instead of residual.
        domains: 2 for a pair, 1 for the pyramid of a single image.
        pad_once, padding_mode: the generators' padding, see `Generator`.
    """

    nfc: int = 32
    min_nfc: int = 32
    max_nfc: int = 128
    num_layer: int = 5
    ker_size: int = 3
    padd_size: int = 0
    switch_res: int = 2
    domains: int = 2
    pad_once: bool = False
    padding_mode: str = "zeros"

    def check_fits(self, coarsest: tuple[int, int]) -> None:
        """ValueError where the discriminators leave nothing of a coarsest (height, width)."""
        if self.padd_size >= self.ker_size:
            raise ValueError(f"--padd_size {self.padd_size} must be smaller than --ker_size {self.ker_size}")
        trimmed = self.ker_size - 1 - 2 * self.padd_size
        # One pixel must be left to score, and the last normalisation needs more than one value.
        least = max(1 + self.num_layer * trimmed, 2 + (self.num_layer - 1) * trimmed)
        if min(coarsest) < least:
            height, width = coarsest
            raise ValueError(
                f"--min_size: the coarsest scale is {width}x{height}, but the discriminator's {self.num_layer} "
                f"layers trim {trimmed} pixels each; it needs at least {least}"
            )

    def widths(self, scale: int) -> tuple[int, int]:
        """(nfc, min_nfc) of a scale."""
        doubled = 2 ** (scale // 4)
        return min(self.nfc * doubled, self.max_nfc), min(self.min_nfc * doubled, self.max_nfc)


class Generator(nn.Module):
    """The generator of one scale, also the translator into its domain.

    Residual kind: `G(x, y) = net(x) + y`. Plain kind: `G(x, y) = net(x)`.

    Args:
        padding_mode: what the padding of every convolution holds, "zeros" or "reflect" (the image mirrored
            about its edge pixel).
        pad_once: pad the input by a pixel a layer before the first convolution, as SinGAN does (docs/method.md,
            section 11), with zeros, instead of every convolution's by one.
    """

    def __init__(
        self,
        width: int,
        min_width: int,
        num_layer: int,
        residual: bool,
        *,
        pad_once: bool = False,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        self.residual = residual
        self.border = num_layer * PADDING if pad_once else 0
        padding = 0 if pad_once else PADDING
        self.net = ConvStack(3, width, min_width, num_layer, KER_SIZE, padding, padding_mode)

    def forward(self, image: Tensor, base: Tensor) -> Tensor:
        """(N, 3, H, W) input and base -> (N, 3, H, W); `base` is added by the residual kind only."""
        out = torch.tanh(self.net(F.pad(image, (self.border,) * 4) if self.border else image))
        return out + base if self.residual else out


class Discriminator(nn.Module):
    """Scores every patch of an image of one scale; without padding each layer trims a pixel on every side."""

    def __init__(self, width: int, min_width: int, num_layer: int, ker_size: int, padd_size: int) -> None:
        super().__init__()
        self.net = ConvStack(1, width, min_width, num_layer, ker_size, padd_size)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1, H', W'), a map of scores, unbounded; losses use its mean."""
        return self.net(image)


class ScaleNetworks(nn.Module):
    """The unfilled networks of one scale: a generator and a discriminator per domain, `generator_a` and so on.

    The generators of the last `switch_res` scales are plain, those before residual.
    """

    def __init__(self, architecture: Architecture, scale: int, stop_scale: int) -> None:
        super().__init__()
        self.domains = DOMAINS[: architecture.domains]
        residual = scale <= stop_scale - architecture.switch_res
        size = *architecture.widths(scale), architecture.num_layer
        padding = dict(pad_once=architecture.pad_once, padding_mode=architecture.padding_mode)
        for name in self.domains:
            setattr(self, f"generator_{name}", Generator(*size, residual, **padding))
        for name in self.domains:
            discriminator = Discriminator(*size, architecture.ker_size, architecture.padd_size)
            setattr(self, f"discriminator_{name}", discriminator)

    @property
    def generators(self) -> tuple[Generator, ...]:
        return tuple(getattr(self, f"generator_{name}") for name in self.domains)

    @property
    def discriminators(self) -> tuple[Discriminator, ...]:
        return tuple(getattr(self, f"discriminator_{name}") for name in self.domains)

    def discriminators_require_grad(self, wanted: bool) -> None:
        """Whether a backward pass is to reach the discriminators' weights."""
        for discriminator in self.discriminators:
            discriminator.requires_grad_(wanted)
