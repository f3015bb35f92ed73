"""The convolution block both networks are made of, and the initialisation (docs/method.md, section 3)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2


class Mirror(torch.autograd.Function):
    """An image continued beyond its edges by its mirror image about the edge pixel: F.pad's "reflect".

    PyTorch's way back of it adds up in any order on a GPU, so that no run there could be repeated; here every pixel
    gets back its own gradient, then that of its image beyond the edge. On a CPU this is faster, too.
    """

    @staticmethod
    def forward(context: Any, image: Tensor, width: int) -> Tensor:
        """(N, C, H, W), H and W > width -> (N, C, H + 2 width, W + 2 width)."""
        context.width = width
        return F.pad(image, (width,) * 4, mode="reflect")

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        width = context.width
        for axis in (-2, -1):
            before, inside, after = gradient.split((width, gradient.shape[axis] - 2 * width, width), axis)
            gradient, length = inside.clone(), inside.shape[axis]
            gradient.narrow(axis, 1, width).add_(before.flip(axis))
            gradient.narrow(axis, length - 1 - width, width).add_(after.flip(axis))
        return gradient, None


class MirroredConv2d(nn.Conv2d):
    """Convolution of an image that is continued by its mirror image, not by zeros."""

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(Mirror.apply(features, self.padding[0]), self.weight, self.bias)


CONVOLUTIONS = {"zeros": nn.Conv2d, "reflect": MirroredConv2d}  # by what they see outside the image


class ConvBlock(nn.Sequential):
    """Convolution (stride 1), normalisation of each channel of each image, LeakyReLU(0.2).

    The normalisation is batch normalisation in training mode on one image (biased variance, eps 1e-5), which is group
    normalisation with a channel a group. An image's result does not depend on what else is in its batch.
    """

    def __init__(self, in_channels: int, out_channels: int, ker_size: int, padding: int, padding_mode: str) -> None:
        super().__init__()
        self.conv = CONVOLUTIONS[padding_mode](in_channels, out_channels, ker_size, padding=padding)
        self.norm = nn.GroupNorm(out_channels, out_channels)  # faster than nn.InstanceNorm2d
        self.activation = nn.LeakyReLU(LEAK, inplace=True)  # nothing else needs its input


class ConvStack(nn.Sequential):
    """Head, body blocks and tail: `num_layer` convolutions from 3 channels to `out_channels`.

    The head has `width` outputs, body block i = 1, 2, ... has max(width // 2**i, min_width). `padding_mode` is
    what every convolution sees outside its input: "zeros", or "reflect", the input mirrored about its edge pixel.
    forward: (N, 3, H, W) -> (N, out_channels, H', W'); each layer trims ker_size - 1 - 2 padding pixels.
    """

    def __init__(
        self,
        out_channels: int,
        width: int,
        min_width: int,
        num_layer: int,
        ker_size: int,
        padding: int,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        widths = [width] + [max(width // 2**i, min_width) for i in range(1, num_layer - 1)]
        edge = ker_size, padding, padding_mode
        self.head = ConvBlock(3, width, *edge)
        self.body = nn.Sequential(*(ConvBlock(widths[i], widths[i + 1], *edge) for i in range(num_layer - 2)))
        self.tail = CONVOLUTIONS[padding_mode](widths[-1], out_channels, ker_size, padding=padding)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill a network's parameters in order from `generator`: conv weights N(0, 0.02), norm weights
    N(1, 0.02), norm biases 0, conv biases U(-b, b) with b = 1 / sqrt(fan in), the framework's default.

    The numbers are drawn on the CPU and copied, so a network on any device can be filled.
    """

    def normal(like: Tensor, mean: float) -> Tensor:
        return mean + 0.02 * torch.randn(like.shape, generator=generator)

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(normal(module.weight, 0.0))
            bound = 1 / math.sqrt(module.weight[0].numel())
            uniform = torch.rand(module.bias.shape, generator=generator)
            module.bias.copy_(bound * (2 * uniform - 1))
        elif isinstance(module, nn.GroupNorm):
            module.weight.copy_(normal(module.weight, 1.0))
            module.bias.zero_()
