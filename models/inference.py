"""Using a trained pair on real images and on nothing at all (docs/method.md, sections 7 and 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from finishing.canvas import Shape
from finishing.full_size import Finisher
from models.networks import DOMAINS
from models.pyramid import Noise, Pyramid, gaussian_noise
from models.run import Run
from utils.device import few_threads
from utils.errors import UserError
from utils.geometry import Shapes, aspect_of
from utils.image import as_rgb, fingerprint, image_pyramid, open_image, to_uint8
from utils.palette import simplified
from utils.resize import upsample
from utils.rng import stream
from utils.video import Clip, is_clip

Pyramids = tuple[Pyramid, Pyramid]
DIRECTIONS = ("a2b", "b2a")
# The images of a sample: the domain whose layout each has, and the one whose look.
SAMPLE = {"fake_a": (0, 0), "a2b": (0, 1), "fake_b": (1, 1), "b2a": (1, 0)}


def default_injection_scale(shapes: Shapes) -> int:
    """The scale real images are injected at when one image is wanted, from the square shapes a pair is trained at.

    The finest of at most 64 pixels or the coarsest of the five finest, whichever is finer. In runs of 32 to 64 pixels
    the finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, (side, _) in enumerate(shapes) if side <= 64]
    return max(small[-1] if small else 0, len(shapes) - 5)


def injection_scales(stop_scale: int, levels: int) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def inject(
    pyramids: Pyramids, direction: str, image: Tensor, scale: int, seed: int, noise: Noise | None = None
) -> tuple[Tensor, Tensor]:
    """Put a real image in at a scale, redraw it from there on, translate it once (docs/method.md, section 8).

    Args:
        direction: "a2b" or "b2a".
        image: (1, 3, H, W) at scale `scale` of the source domain, [-1, 1].
        noise: see `Pyramid.draw`; None: from the seed, the same for the same seed and scale.

    Returns:
        The redrawn and the translated image, (1, 3, H, W) each at the finest size.
    """
    source, target = pyramids if direction == "a2b" else pyramids[::-1]
    noise = noise or gaussian_noise(source.shapes, [stream(seed, "inject", scale, direction[0])], image.device)
    return _drawn(source, target, image, scale, noise)


def inject_both(pyramids: Pyramids, reals: Sequence[Sequence[Tensor]], scale: int, seed: int) -> dict[str, Tensor]:
    """Both directions from the real images at one scale: redrawn_a, a2b, redrawn_b, b2a.

    Args:
        reals: domain a's and domain b's real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    images = {}
    for direction, real in zip(DIRECTIONS, reals, strict=True):
        redrawn, translated = inject(pyramids, direction, real[scale], scale, seed)
        images |= {f"redrawn_{direction[0]}": redrawn, direction: translated}
    return images


def sample(pyramids: Pyramids, seed: int, device: torch.device, index: int = 0) -> dict[str, Tensor]:
    """Draw a new image of each domain and translate it, "paired generation": fake_a, a2b, fake_b, b2a.

    `index` counts the samples of a seed; each is drawn from random numbers of its own. (1, 3, H, W) at the finest size.
    """
    images = []
    for source, target, name in zip(pyramids, pyramids[::-1], DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, [stream(seed, "sample", index, name)], device)
        images += _drawn(source, target, torch.zeros(1, 3, *source.shapes[0], device=device), 0, noise)
    return dict(zip(SAMPLE, images, strict=True))


def _drawn(source: Pyramid, target: Pyramid, image: Tensor, scale: int, noise: Noise) -> tuple[Tensor, Tensor]:
    with few_threads(image.device, 3 * source.shapes[-1][0] * source.shapes[-1][1]):
        drawn = source.draw(image, scale, len(source.shapes), noise)
        return drawn, target.translate(drawn)


def refined_from(pyramid: Pyramid, image: Tensor, scale: int, seed: int) -> Tensor:
    """An image cleaned up by one domain's pyramid, from a start scale on (docs/method.md, section 11).

    Args:
        image: (1, 3, H, W) on the grid of the start scale, or of the one before, then enlarged.
        scale: the start scale, 1 or more.

    Returns:
        (1, 3, H', W') at the finest scale.
    """
    if image.shape[-2:] != pyramid.shapes[scale]:
        image = upsample(image, pyramid.factor, pyramid.shapes[scale])
    noise = gaussian_noise(pyramid.shapes, [stream(seed, "refine", scale)], image.device)
    return pyramid.draw(image, scale, len(pyramid.shapes), noise)


@dataclass(frozen=True)
class TrainedPair:
    """A run of train.py with all its scales finished, to translate images with."""

    run: Run

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> "TrainedPair":
        """The pair in a run's folder; UserError where it cannot be used."""
        return cls(Run.load(Path(folder), 2, torch.device(device)))

    def translate(
        self,
        image: Image.Image | np.ndarray | str | Path,
        direction: str = "a2b",
        *,
        inject_scale: int | None = None,
        finish_size: int | None = None,
        structure: float = 1.0,
        seed: int = 0,
    ) -> Image.Image:
        """An image with another one's appearance, as eval.py makes it.

        Args:
            image: a file, an opened image, or an array (H, W, 3) or (H, W) of 8 bits; of domain A for "a2b", of domain
                B for "b2a". All are read alike: upright, in sRGB, on white where they are transparent.
            inject_scale: where to put it in, 0 the coarsest; None: the default injection scale.
            finish_size: longer side of the result, finished with the patches of the image that was trained on,
                pixels; None: the learned image as it is.
            structure: how closely finishing follows the learned image.

        Raises:
            TypeError, ValueError: an argument that is none of these; the message says what it should be.
            UserError: the image, or the one that was trained on, cannot be used.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be 'a2b' or 'b2a', not {direction!r}")
        stop_scale = self.run.geometry.stop_scale
        if inject_scale is not None and not 0 <= inject_scale <= stop_scale:
            raise ValueError(f"inject_scale must be 0 to {stop_scale}, not {inject_scale}")
        image = _opened(image)
        if direction == "a2b":
            image = simplified(image, self.run.folder.options()["quant_level"], image.size[::-1])
        shapes = self.shapes_for(image.size)
        scale = self.default_scale() if inject_scale is None else inject_scale
        real = image_pyramid(image, shapes[scale : scale + 1], self.run.device)[0]
        _, translated = inject(self.reshaped(shapes, shapes), direction, real, scale, seed)
        if finish_size is not None:
            finisher = self.finisher(1 - DIRECTIONS.index(direction), finish_size, structure)
            translated = finisher(translated, (image.height, image.width)).image
        return Image.fromarray(to_uint8(translated))

    def sample(
        self, *, finish_size: int | None = None, structure: float = 1.0, seed: int = 0, index: int = 0
    ) -> dict[str, Image.Image]:
        """A new image of each domain with its translation: fake_a, a2b, fake_b, b2a, as `eval.py --samples` makes them.

        Args:
            index: which of a seed's samples.
            finish_size, structure: see `translate`.
        """
        images = sample(self.run.pyramids, seed, self.run.device, index)
        if finish_size is not None:
            finishers = [self.finisher(domain, finish_size, structure) for domain in (0, 1)]
            for name, (layout, look) in SAMPLE.items():
                images[name] = finishers[look](images[name], own_shape(finishers[layout])).image
        return {name: Image.fromarray(to_uint8(image)) for name, image in images.items()}

    def shapes_for(self, size: tuple[int, int], img_size: int | None = None, keep_aspect: bool = False) -> Shapes:
        """(height, width) of every scale for an image of this (width, height).

        Args:
            img_size: side of the finest scale, or of a square of as large an area, pixels; None: as trained.
            keep_aspect: keep the image's shape also where the pair was trained on squares.
        """
        aspect = aspect_of(size) if self.run.geometry.keep_aspect or keep_aspect else 1.0
        return self.run.geometry.shapes_for(aspect, img_size)

    def reshaped(self, *shapes: Shapes) -> Pyramids:
        """The pyramids for images of other shapes, a's and b's."""
        return tuple(pyramid.reshaped(own) for pyramid, own in zip(self.run.pyramids, shapes, strict=True))

    def default_scale(self) -> int:
        """The scale real images are injected at when one image is wanted."""
        return default_injection_scale(self.run.geometry.shapes)

    def finisher(self, look: int, size: int, structure: float, given: Image.Image | None = None) -> Finisher:
        """What finishes with the patches of domain `look`'s image, the one that was trained on (docs/method.md,
        section 14).

        Args:
            given: an image that is used if it is that one; otherwise it is read from where the run's record has it.

        Raises:
            UserError: the image is not there, or has changed.
        """
        folder = self.run.folder
        wanted, options = folder.record["fingerprints"][look], folder.options()
        if given is None or fingerprint(given) != wanted:
            path = Path(options[f"input_{DOMAINS[look]}"])
            source = Clip(path, "--load") if is_clip(path) else open_image(path, "--load")
            if (source.fingerprint() if isinstance(source, Clip) else fingerprint(source)) != wanted:
                raise UserError(f"{path}: is not the image the run in {folder.path} was trained on")
            if isinstance(source, Clip):
                source = simplified(next(iter(source)), options["quant_level"], source.size[::-1])
            given = source
        return Finisher({"AB"[look]: given}, size, structure)


def own_shape(finisher: Finisher) -> Shape:
    """(height, width) of the image whose patches it copies."""
    (image,) = finisher.references.values()
    return image.height, image.width


def _opened(image: Image.Image | np.ndarray | str | Path) -> Image.Image:
    """The one way in for what Python hands over."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise TypeError(f"an array must be (H, W, 3) or (H, W) uint8, not {image.shape} {image.dtype}")
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        return as_rgb(image, "image")
    if isinstance(image, str | Path):
        return open_image(Path(image), "image")
    raise TypeError(f"image must be a path, a PIL image or a NumPy array, not {type(image).__name__}")
