"""The convolution block both networks are made of, and the initialisation (METHOD section 3)."""

import math

import torch
from torch import Tensor, nn

LEAK = 0.2


class ConvBlock(nn.Sequential):
    """Convolution (stride 1), normalisation per image, LeakyReLU(0.2).

    Batch normalisation in training mode on one image is a normalisation of each channel of each image with
    a learned scale and shift (biased variance, eps 1e-5): group normalisation with a channel a group. An
    image's result then does not depend on what else is in its batch.
    """

    def __init__(self, in_channels: int, out_channels: int, ker_size: int, padding: int, padding_mode: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, ker_size, padding=padding, padding_mode=padding_mode)
        self.norm = nn.GroupNorm(out_channels, out_channels)  # faster than nn.InstanceNorm2d
        self.activation = nn.LeakyReLU(LEAK, inplace=True)  # nothing else needs its input


class ConvStack(nn.Sequential):
    """Head, body blocks and tail: `num_layer` convolutions from 3 channels to `out_channels`.

    The head has `width` outputs, body block i = 1, 2, ... has max(width // 2**i, min_width). `padding_mode` is
    what every convolution sees outside its input, as nn.Conv2d has it.
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
        self.tail = nn.Conv2d(widths[-1], out_channels, ker_size, padding=padding, padding_mode=padding_mode)

    def forward(self, image: Tensor) -> Tensor:
        features = self.body(self.head(image))
        # Colours and scores are float32 also where convolutions are not: 8 bits of mantissa would show.
        with torch.autocast(image.device.type, enabled=False):
            return self.tail(features.to(self.tail.weight.dtype))


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill a network's parameters in order from `generator`: conv weights N(0, 0.02), norm weights
    N(1, 0.02), norm biases 0, conv biases U(-b, b) with b = 1 / sqrt(fan in), the framework's default.

    The numbers are drawn on the generator's device and copied, so a network on any device can be filled.
    """

    def normal(like: Tensor, mean: float) -> Tensor:
        return mean + 0.02 * torch.randn(like.shape, generator=generator, device=generator.device)

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(normal(module.weight, 0.0))
            bound = 1 / math.sqrt(module.weight[0].numel())
            uniform = torch.rand(module.bias.shape, generator=generator, device=generator.device)
            module.bias.copy_(bound * (2 * uniform - 1))
        elif isinstance(module, nn.GroupNorm):
            module.weight.copy_(normal(module.weight, 1.0))
            module.bias.zero_()
