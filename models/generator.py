"""The generator of one scale, also the translator into its domain (METHOD section 3)."""

import torch
from torch import Tensor, nn

from models.blocks import ConvStack

# METHOD section 3: generators are always 3x3 with padding 1, so that the size is kept.
KER_SIZE, PADDING = 3, 1


class Generator(nn.Module):
    """Residual kind: `G(x, y) = net(x) + y`. Plain kind: `G(x, y) = net(x)`."""

    def __init__(self, width: int, min_width: int, num_layer: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.net = ConvStack(3, width, min_width, num_layer, KER_SIZE, PADDING)

    def forward(self, image: Tensor, base: Tensor) -> Tensor:
        """(N, 3, H, W) input and base -> (N, 3, H, W); `base` is added by the residual kind only."""
        out = torch.tanh(self.net(image))
        return out + base if self.residual else out
