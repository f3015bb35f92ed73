"""A clip of few greys, as the paper uses for some clips (docs/method.md, section 12)."""

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from utils.image import image_to_tensor, to_uint8
from utils.video import Clip

LUMA = (0.299, 0.587, 0.114)


def simplify(image: Tensor, levels: int) -> Tensor:
    """Few grey levels, dark and bright exchanged (docs/method.md, section 12).

    With x the inverted grey value in [-1, 1], the result is `trunc((x - 0.01) levels) / levels`: a multiple
    of 1 / levels from -1 to 1 - 1 / levels, rounded towards mid-grey. The 0.01 takes white out of a level
    of its own. Two levels give -1, -0.5, 0 and 0.5.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        levels: the published `quant_level`, 2 there.

    Returns:
        (1, 3, H, W), all channels alike.
    """
    inverted = -(image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return (torch.trunc((inverted - 0.01) * levels) / levels).expand_as(image).contiguous()


def simplified_image(image: Image.Image, levels: int, shape: tuple[int, int]) -> Image.Image:
    """An image simplified at a (height, width); as it is where `levels` is 0."""
    if not levels:
        return image
    return Image.fromarray(to_uint8(simplify(image_to_tensor(image, shape, torch.device("cpu")), levels)))


class SimplifiedClip:
    """A clip whose frames are simplified at one (height, width); stands wherever a clip does. Holds one frame."""

    def __init__(self, clip: Clip, levels: int, shape: tuple[int, int]) -> None:
        self.rate, self.size = clip.rate, (shape[1], shape[0])
        self._clip, self._levels, self._shape = clip, levels, shape

    def __len__(self) -> int:
        return len(self._clip)

    def __iter__(self) -> Iterator[Image.Image]:
        for frame in self._clip:
            yield simplified_image(frame, self._levels, self._shape)


def simplified(clip: Clip, quant_level: int, shape: tuple[int, int]) -> Clip | SimplifiedClip:
    """The clip as the networks are to see it, at a (height, width) where it is simplified."""
    return SimplifiedClip(clip, quant_level, shape) if quant_level else clip


def first_frame(image: Image.Image | Clip, quant_level: int, shape: tuple[int, int]) -> Image.Image:
    """An image as it is; of a clip the first frame, see `simplified`."""
    return next(iter(simplified(image, quant_level, shape))) if isinstance(image, Clip) else image
