"""The learned image in its reference's colours: training for minutes leaves them pale."""

import torch
from torch import Tensor

FAINT = 0.01  # standard deviation, [-1, 1], below which a colour's variation counts as none


def colour_map(image: Tensor, references: list[Tensor]) -> Tensor:
    """The affine map (3, 4) of least change that gives an image the mean and covariance of its references' colours.

    Args:
        image, references: (1, 3, H, W) in [-1, 1].
    """
    pixels = image[0].flatten(1).double()
    wanted = torch.cat([reference[0].flatten(1) for reference in references], dim=1).double()
    faint = FAINT**2 * torch.eye(3, dtype=torch.float64)
    root = _root(torch.cov(pixels, correction=0) + faint)
    inverse = torch.linalg.inv(root)
    linear = inverse @ _root(root @ (torch.cov(wanted, correction=0) + faint) @ root) @ inverse
    shift = wanted.mean(dim=1) - linear @ pixels.mean(dim=1)
    return torch.cat([linear, shift[:, None]], dim=1).float()


def recoloured(image: Tensor, mapping: Tensor) -> Tensor:
    """(1, 3, H, W) through an affine map (3, 4) of its colours, within [-1, 1]."""
    return (torch.einsum("ij,njhw->nihw", mapping[:, :3], image) + mapping[:, 3].view(1, 3, 1, 1)).clamp(-1, 1)


def _root(matrix: Tensor) -> Tensor:
    """The positive root of a symmetric, positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T
