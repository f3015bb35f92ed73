"""The losses (METHOD section 6): pure functions of tensors.

A discriminator's score of an image is the mean of its map of patch scores.
"""

from collections.abc import Callable
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


def scores(discriminator: Network, images: Tensor) -> Tensor:
    """The score of each of (N, 3, H, W) images: (N,), unbounded."""
    return discriminator(images).mean(dim=(1, 2, 3))


def gradient_penalty(discriminator: Network, real: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP penalty, per pixel, of every fake (unweighted).

    Args:
        real: (1, 3, H, W).
        fakes: (N, 3, H', W'), detached. Where their shape is not the real image's, the middle that both have is
            used.
        mix: (N,) in [0, 1], the share of the real image in each point the gradient is taken at.

    Returns:
        (N,): for each fake the mean over pixels of (length of the gradient over channels - 1) squared,
        where the gradient is that of the summed score map. Differentiable in the discriminator's weights.
    """
    height, width = map(min, real.shape[-2:], fakes.shape[-2:])
    share = mix.view(-1, 1, 1, 1)
    points = share * middle(real, height, width) + (1 - share) * middle(fakes, height, width)
    points.requires_grad_()
    (gradients,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return (torch.linalg.vector_norm(gradients, dim=1) - 1).square().mean(dim=(1, 2))


def middle(image: Tensor, height: int, width: int) -> Tensor:
    """The central (..., height, width) of an image at least that large."""
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]
