"""Generator, discriminator, and the few numbers that fix their shape (docs/method.md, sections 2 and 3)."""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DOMAINS = "ab"
PADDING_MODES = ("zeros", "reflect")  # reflect: the image mirrored about its edge pixel
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
        domains: 2 for a pair, 1 for the pyramid of a single image: there a generator's input is padded by a pixel a
            layer, with zeros, instead of every convolution's by one, as in SinGAN (docs/method.md, section 11).
        padding_mode: what the padding of a generator's convolutions holds: one of PADDING_MODES.
    """

    nfc: int = 32
    min_nfc: int = 32
    max_nfc: int = 128
    num_layer: int = 5
    ker_size: int = 3
    padd_size: int = 0
    switch_res: int = 2
    domains: int = 2
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


class MirroredConv2d(nn.Conv2d):
    """Convolution of an image that is continued beyond its edges by its mirror image about the edge pixel."""

    def forward(self, image: Tensor) -> Tensor:
        width = self.padding[0]
        # The way back of F.pad adds up in any order on a GPU, so that no run there could be repeated.
        image = F.pad(image, (width,) * 4, "reflect") if image.device.type == "cpu" else mirrored(image, width)
        return F.conv2d(image, self.weight, self.bias)


def mirrored(image: Tensor, width: int) -> Tensor:
    """As F.pad's "reflect", by so many pixels on every side, but the same bits each time on any device."""
    image = image.view_as(image)  # its gradient is summed before any other of the image
    for axis in (3, 2):
        before = image.narrow(axis, 1, width).flip(axis)
        after = image.narrow(axis, image.shape[axis] - 1 - width, width).flip(axis)
        image = torch.cat([before, image, after], axis)
    return image


def conv_stack(
    out_channels: int, width: int, min_width: int, num_layer: int, ker_size: int, padding: int, mirrored: bool = False
) -> nn.Sequential:
    """`num_layer` convolutions (stride 1) from 3 channels to `out_channels`: head, body blocks and tail.

    The head has `width` outputs, body block i = 1, 2, ... has max(width // 2**i, min_width). A block is convolution,
    normalisation of each channel of each image, LeakyReLU(0.2). The normalisation is batch normalisation in training
    mode on one image (biased variance, eps 1e-5), which is group normalisation with a channel a group. An image's
    result does not depend on what else is in its batch.

    forward: (N, 3, H, W) -> (N, out_channels, H', W'); each layer trims ker_size - 1 - 2 padding pixels.

    Args:
        mirrored: whether every convolution sees its input's mirror image outside it, instead of zeros.
    """
    kind, layers = MirroredConv2d if mirrored else nn.Conv2d, []
    widths = [3, width] + [max(width // 2**i, min_width) for i in range(1, num_layer - 1)]
    for before, after in itertools.pairwise(widths):
        layers.append(kind(before, after, ker_size, padding=padding))
        layers.append(nn.GroupNorm(after, after))  # faster than nn.InstanceNorm2d
        layers.append(nn.LeakyReLU(0.2, inplace=True))  # nothing else needs its input
    return nn.Sequential(*layers, kind(widths[-1], out_channels, ker_size, padding=padding))


class Generator(nn.Module):
    """The generator of one scale, also the translator into its domain.

    Residual kind: `G(x, y) = net(x) + y`. Plain kind, at the last `switch_res` scales: `G(x, y) = net(x)`.
    """

    def __init__(self, architecture: Architecture, scale: int, stop_scale: int) -> None:
        super().__init__()
        self.residual = scale <= stop_scale - architecture.switch_res
        self.border = architecture.num_layer * PADDING if architecture.domains == 1 else 0
        padding, mirrored = 0 if self.border else PADDING, architecture.padding_mode == "reflect"
        self.net = conv_stack(3, *architecture.widths(scale), architecture.num_layer, KER_SIZE, padding, mirrored)

    def forward(self, image: Tensor, base: Tensor) -> Tensor:
        """(N, 3, H, W) input and base -> (N, 3, H, W); `base` is added by the residual kind only."""
        out = torch.tanh(self.net(F.pad(image, (self.border,) * 4) if self.border else image))
        return out + base if self.residual else out


class Discriminator(nn.Module):
    """Scores every patch of an image of one scale; without padding each layer trims a pixel on every side."""

    def __init__(self, architecture: Architecture, scale: int) -> None:
        super().__init__()
        edge = architecture.ker_size, architecture.padd_size
        self.net = conv_stack(1, *architecture.widths(scale), architecture.num_layer, *edge)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1, H', W'), a map of scores, unbounded; losses use its mean."""
        return self.net(image)


class ScaleNetworks(nn.Module):
    """The unfilled networks of one scale: every domain's generator and discriminator, a's first."""

    def __init__(self, architecture: Architecture, scale: int, stop_scale: int) -> None:
        super().__init__()
        domains = range(architecture.domains)
        self.generators = nn.ModuleList(Generator(architecture, scale, stop_scale) for _ in domains)
        self.discriminators = nn.ModuleList(Discriminator(architecture, scale) for _ in domains)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill a network's parameters in order from `generator`: conv weights N(0, 0.02), norm weights
    N(1, 0.02), norm biases 0, conv biases U(-b, b) with b = 1 / sqrt(fan in), the framework's default.

    The numbers are drawn on the CPU and copied, so a network on any device can be filled.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(0.02 * torch.randn(module.weight.shape, generator=generator))
            bound = 1 / math.sqrt(module.weight[0].numel())
            module.bias.copy_(bound * (2 * torch.rand(module.bias.shape, generator=generator) - 1))
        elif isinstance(module, nn.GroupNorm):
            module.weight.copy_(1 + 0.02 * torch.randn(module.weight.shape, generator=generator))
            module.bias.zero_()
