"""Few colours: those of an image, and any image in them (docs/method.md, section 11, quantised)."""

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from utils.rng import stream


def main_colours(image: Tensor, count: int) -> Tensor:
    """The centres k-means finds among an image's RGB triples, always the same ones for the same image.

    Args:
        image: (1, 3, H, W).
        count: how many; fewer come where the image has fewer colours.

    Returns:
        (count, 3) on the image's device.
    """
    colours = image[0].flatten(1).T.cpu().double()  # Apple GPUs have no float64.
    different = colours.unique(dim=0)
    order = torch.randperm(len(different), generator=stream(0, "palette"))
    centres, _ = kmeans2(colours.numpy(), different[order[:count]].numpy(), iter=50, minit="matrix", missing="warn")
    return torch.from_numpy(centres).to(image.dtype).to(image.device)


def recolour(image: Tensor, palette: Tensor) -> Tensor:
    """Every pixel of (N, 3, H, W) in the nearest colour of (K, 3)."""
    distances = (image.unsqueeze(1) - palette.view(1, -1, 3, 1, 1)).square().sum(dim=2)
    return palette[distances.argmin(dim=1)].permute(0, 3, 1, 2).contiguous()
