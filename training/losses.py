"""The losses (METHOD section 6): pure functions of tensors.

A critic's score of a picture is the mean of its map of patch scores. Pictures that share a call do not
influence one another, because the normalisation is per image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms.

    Args:
        alpha: reconstruction; 0 leaves the term and its cost out.
        beta: cycle; 0 leaves the term and its cost out.
        lambda_g: domain b's adversarial terms in the generators' loss, relative to a's.
        lambda_grad: gradient penalty.
        lambda_self: the translated noisy real image (METHOD section 12); 0 leaves the terms and their cost out.
    """

    alpha: float = 1.0
    beta: float = 1.0
    lambda_g: float = 1.0
    lambda_grad: float = 0.1
    lambda_self: float = 0.0


Network = Callable[[Tensor], Tensor]


def batches(images: Sequence[Tensor]) -> list[Tensor]:
    """Pictures (1, 3, H, W), in as few batches as can share a call: one where all have the same shape."""
    return [torch.cat(list(images))] if len({image.shape for image in images}) == 1 else list(images)


def scores(discriminator: Network, images: Sequence[Tensor]) -> Tensor:
    """The score of each of N pictures (1, 3, H, W): (N,), unbounded."""
    return torch.cat([discriminator(batch).mean(dim=(1, 2, 3)) for batch in batches(images)])


def gradient_penalty(discriminator: Network, real: Tensor, fakes: Sequence[Tensor], mix: Tensor) -> Tensor:
    """WGAN-GP penalty, per pixel, of every fake (unweighted).

    Args:
        real: (1, 3, H, W).
        fakes: N pictures, (1, 3, H', W') each, detached. Where a fake's shape is not the real picture's, the
            middle that both have is used.
        mix: (N,) in [0, 1], the share of the real picture in each point the gradient is taken at.

    Returns:
        (N,): for each fake the mean over pixels of (length of the gradient over channels - 1) squared,
        where the gradient is that of the summed score map. Differentiable in the critic's weights.
    """
    points, together = [], batches(fakes)
    for batch, shares in zip(together, mix.split([len(batch) for batch in together]), strict=True):
        height, width = map(min, real.shape[-2:], batch.shape[-2:])
        share = shares.view(-1, 1, 1, 1)
        point = share * middle(real, height, width) + (1 - share) * middle(batch, height, width)
        points.append(point.requires_grad_())
    total = sum(discriminator(point).sum() for point in points)
    gradients = torch.autograd.grad(total, points, create_graph=True)
    lengths = [torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients]
    return torch.cat([(length - 1).square().mean(dim=(1, 2)) for length in lengths])


def middle(image: Tensor, height: int, width: int) -> Tensor:
    """The central (..., height, width) of a picture at least that large."""
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]
