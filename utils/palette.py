"""Few colours: those of an image, and any image in them (docs/method.md, section 11, quantised); few greys (12)."""

import torch
from PIL import Image
from torch import Tensor

from utils.image import image_to_tensor, to_uint8
from utils.rng import stream


def main_colours(image: Tensor, count: int) -> Tensor:
    """The centres k-means finds among an image's RGB triples, always the same ones for the same image.

    Args:
        image: (1, 3, H, W).
        count: how many; fewer come where the image has fewer colours.

    Returns:
        (count, 3) on the image's device.
    """
    from scipy.cluster.vq import kmeans2  # half a second; only this needs it

    colours = image[0].flatten(1).T.cpu().double()  # Apple GPUs have no float64.
    different = colours.unique(dim=0)
    order = torch.randperm(len(different), generator=stream(0, "palette"))
    centres, _ = kmeans2(colours.numpy(), different[order[:count]].numpy(), iter=50, minit="matrix", missing="warn")
    return torch.from_numpy(centres).to(image.dtype).to(image.device)


def recolour(image: Tensor, palette: Tensor) -> Tensor:
    """Every pixel of (N, 3, H, W) in the nearest colour of (K, 3)."""
    distances = (image.unsqueeze(1) - palette.view(1, -1, 3, 1, 1)).square().sum(dim=2)
    return palette[distances.argmin(dim=1)].permute(0, 3, 1, 2).contiguous()


def simplified(image: Image.Image, levels: int, shape: tuple[int, int]) -> Image.Image:
    """Few grey levels, dark and bright exchanged, as the paper has some clips (docs/method.md, section 12).

    With x the inverted grey value in [-1, 1], the result is `trunc((x - 0.01) levels) / levels`: a multiple
    of 1 / levels from -1 to 1 - 1 / levels, rounded towards mid-grey. The 0.01 takes white out of a level
    of its own. Two levels give -1, -0.5, 0 and 0.5.

    Args:
        levels: the published `quant_level`, 2 there; 0 leaves the image as it is.
        shape: (height, width) it is resized to first.
    """
    if not levels:
        return image
    colours = image_to_tensor(image, shape, torch.device("cpu"))
    inverted = -(colours * colours.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return Image.fromarray(to_uint8((torch.trunc((inverted - 0.01) * levels) / levels).expand_as(colours)))
