"""The generator of one scale, also the translator into its domain (docs/method.md, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import ConvStack

# docs/method.md, section 3: generators are always 3x3 with padding 1, so that the size is kept.
KER_SIZE, PADDING = 3, 1


class Generator(nn.Module):
    """Residual kind: `G(x, y) = net(x) + y`. Plain kind: `G(x, y) = net(x)`.

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
