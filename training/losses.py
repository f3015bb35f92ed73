"""What L_D and L_G of docs/method.md, section 6 are made of: their weights, an image's score, the gradient penalty.

training/step.py puts them together. "mean D(image)" is here an image's score: the mean of its map of patch scores.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from utils.measures import contrast_agreement

# Height times width of the largest images that share a call of a discriminator. One call is faster than several, but
# holds a larger graph, and from a side of about 100 pixels on it is no faster on a CPU. A GPU is kept busy by fewer and
# larger calls, so there images of all sizes of the paper's settings share them.
MOST_PIXELS_SHARED = {"cpu": 2**13, "gpu": 2**16}


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms.

    Args:
        alpha: reconstruction, in L_G; 0 leaves the term and its cost out.
        beta: cycle, in L_G; 0 leaves the term and its cost out.
        lambda_g: domain b's adversarial terms in L_G; a's have weight 1.
        lambda_grad: gradient penalty, in L_D.
        lambda_self: the terms of the translated noisy real image self_x, in both (docs/method.md, section 12); 0 leaves
            them and their cost out.
        lambda_layout: that a translation has contrast where its source has, in L_G (`layout_loss`); not the paper's; 0
            leaves the term and its cost out.
    """

    alpha: float = 1.0
    beta: float = 1.0
    lambda_g: float = 1.0
    lambda_grad: float = 0.1
    lambda_self: float = 0.0
    lambda_layout: float = 0.0


Network = Callable[[Tensor], Tensor]


def scores(discriminator: Network, images: Tensor) -> Tensor:
    """mean D(image) of each of (N, 3, H, W) images: (N,), unbounded."""
    return discriminator(images).mean(dim=(1, 2, 3))


def batches_with(images: Sequence[Tensor], *others: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Batches for a call of a network each, with what belongs to their images of every other sequence.

    Images in one batch do not influence one another, because the normalisation is per image.

    Args:
        images: (1, 3, H, W) each; small ones of one shape make one batch, others one each.
    """
    most = MOST_PIXELS_SHARED["cpu" if images[0].device.type == "cpu" else "gpu"]
    shared = len({image.shape for image in images}) == 1 and images[0].shape[-2:].numel() <= most
    size = len(images) if shared else 1
    for first in range(0, len(images), size):
        part = slice(first, first + size)
        yield torch.cat(list(images[part])), *(other[part] for other in others)


def layout_loss(translated: Tensor, source: Tensor) -> Tensor:
    """How far a translation's contrast is from being where its source's is: 0 for the same places, up to 2.

    1 minus `utils.measures.contrast_agreement`, so only places count, neither colours nor how strong the
    contrast is. A scalar, differentiable in `translated`; `source` is taken as it is. (1, 3, H, W) each.
    """
    return 1 - contrast_agreement(translated.float(), source.detach().float())


def gradient_penalty(discriminator: Network, real: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP penalty, per pixel, of every fake: GP of docs/method.md, section 6 without its factor lambda_grad.

        x = e real + (1 - e) fake;  g = d(sum D(x)) / dx;  mean over pixels of (||g||_2 over channels - 1)^2

    Args:
        real: (1, 3, H, W).
        fakes: (N, 3, H', W'), detached. Where their shape is not the real image's, the middle that both have is
            used.
        mix: (N,) in [0, 1], e of every fake: the real image's share.

    Returns:
        (N,), differentiable in the discriminator's weights.
    """
    height, width = map(min, real.shape[-2:], fakes.shape[-2:])
    e = mix.view(-1, 1, 1, 1)
    points = e * middle(real, height, width) + (1 - e) * middle(fakes, height, width)
    points.requires_grad_()
    (gradients,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return (torch.linalg.vector_norm(gradients, dim=1) - 1).square().mean(dim=(1, 2))


def middle(image: Tensor, height: int, width: int) -> Tensor:
    """The central (..., height, width) of an image at least that large."""
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]
