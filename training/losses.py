"""The losses (METHOD section 6): pure functions of tensors.

A critic's score of a picture is the mean of its map of patch scores. Pictures that share a call do not
influence one another, because the normalisation is per image.
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
    """

    alpha: float = 1.0
    beta: float = 1.0
    lambda_g: float = 1.0
    lambda_grad: float = 0.1


def scores(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The score of each picture: (N, 3, H, W) -> (N,), unbounded."""
    return discriminator(images).mean(dim=(1, 2, 3))


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP penalty, per pixel, summed over the fakes (unweighted).

    Args:
        real: (1, 3, H, W).
        fakes: (N, 3, H, W), detached.
        mix: (N,) in [0, 1], the share of the real picture in each point the gradient is taken at.

    Returns:
        Scalar: for each fake the mean over pixels of (length of the gradient over channels - 1) squared,
        where the gradient is that of the summed score map. Differentiable in the critic's weights.
    """
    share = mix.view(-1, 1, 1, 1)
    points = (share * real + (1 - share) * fakes).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    length = torch.linalg.vector_norm(gradient, dim=1)
    return (length - 1).square().mean(dim=(1, 2)).sum()
