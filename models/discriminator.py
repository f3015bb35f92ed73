"""The patch discriminator of one scale (docs/method.md, section 3)."""

from torch import Tensor, nn

from models.blocks import ConvStack


class Discriminator(nn.Module):
    """Scores every patch of an image; without padding each layer trims a pixel on every side."""

    def __init__(self, width: int, min_width: int, num_layer: int, ker_size: int, padd_size: int) -> None:
        super().__init__()
        self.net = ConvStack(1, width, min_width, num_layer, ker_size, padd_size)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1, H', W'), a map of scores, unbounded; losses use its mean."""
        return self.net(image)
