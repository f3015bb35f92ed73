"""Using a trained pair: translating real images, drawing new ones (docs/method.md, sections 7 and 8)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from finishing.full_size import Finisher
from models.networks import DOMAINS, Architecture
from models.pyramid import Noise, Pyramid, gaussian_noise
from models.run import Run
from utils.device import device_flags, few_threads
from utils.errors import ROOT, UserError, command
from utils.files import load_checkpoint
from utils.geometry import Geometry, Shapes, aspect_of
from utils.image import as_rgb, fingerprint, image_to_tensor, masked, open_image, simplified, to_uint8
from utils.resize import upsample
from utils.rng import stream
from utils.run_folder import RunFolder
from utils.video import Clip, Excerpt, is_clip

Pyramids = tuple[Pyramid, Pyramid]
INJECT_LEVELS = 5  # the finest scales, at which real images are injected
DIRECTIONS = ("a2b", "b2a")
# The images of a sample: the domain whose layout each has, and the one whose look.
SAMPLE = {"fake_a": (0, 0), "a2b": (0, 1), "fake_b": (1, 1), "b2a": (1, 0)}


def injection_scales(stop_scale: int, levels: int = INJECT_LEVELS) -> range:
    """The `levels` finest scales (all, if there are fewer), coarsest first."""
    return range(max(0, stop_scale + 1 - levels), stop_scale + 1)


def default_injection_scale(shapes: Shapes) -> int:
    """The scale real images are injected at when one image is wanted, from the square shapes a pair is trained at.

    The finest of at most 64 pixels or the coarsest of the INJECT_LEVELS finest, whichever is finer. In runs of 32 to
    64 pixels the finest scale kept every object in its place, and coarser ones merged, moved or dropped some.
    """
    small = [scale for scale, (side, _) in enumerate(shapes) if side <= 64]
    return max([injection_scales(len(shapes) - 1)[0], *small])


def draw_and_translate(
    source: Pyramid, target: Pyramid, image: Tensor, scale: int, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Run an image through a domain's pyramid from a scale on, then translate it into the other domain.

    Args:
        image: (N, 3, H, W) at scale `scale` of the source domain, [-1, 1]; zero for a new image.

    Returns:
        The drawn and the translated image, (N, 3, H, W) each at the finest size.
    """
    with few_threads(image.device, 3 * source.shapes[-1][0] * source.shapes[-1][1]):
        drawn = source.draw(image, scale, len(source.shapes), noise)
        return drawn, target.translate(drawn)


def inject(pyramids: Pyramids, direction: str, image: Tensor, scale: int, seed: int) -> dict[str, Tensor]:
    """Put a real image in at a scale, redraw it from there on, translate it once (docs/method.md, section 8).

    Args:
        direction: "a2b" or "b2a".
        image: (1, 3, H, W) at scale `scale` of the source domain, [-1, 1].
        seed: of the noise, which is the same for the same seed and scale.

    Returns:
        redrawn_a and a2b, or redrawn_b and b2a, (1, 3, H, W) at the finest size.
    """
    source, target = pyramids if direction == "a2b" else pyramids[::-1]
    noise = gaussian_noise(source.shapes, [stream(seed, "inject", scale, direction[0])], image.device)
    redrawn, translated = draw_and_translate(source, target, image, scale, noise)
    return {f"redrawn_{direction[0]}": redrawn, direction: translated}


def sample(pyramids: Pyramids, seed: int, device: torch.device, index: int = 0) -> dict[str, Tensor]:
    """Draw a new image of each domain and translate it, "paired generation": fake_a, a2b, fake_b, b2a.

    `index` counts the samples of a seed; each is drawn from random numbers of its own. (1, 3, H, W) at the finest size.
    """
    images = []
    for source, target, name in zip(pyramids, pyramids[::-1], DOMAINS, strict=True):
        noise = gaussian_noise(source.shapes, [stream(seed, "sample", index, name)], device)
        nothing = torch.zeros(1, 3, *source.shapes[0], device=device)
        images += draw_and_translate(source, target, nothing, 0, noise)
    return dict(zip(SAMPLE, images, strict=True))


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


@dataclass
class TrainedPair(Run):
    """A run of train.py with all its scales finished, to translate images with.

    Args:
        out_size: side of the finest scale, or of a square of as large an area, pixels; None: as trained.
        keep_aspect: keep images' shapes also where the pair was trained on squares.
    """

    out_size: int | None = None
    keep_aspect: bool = False

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: torch.device | str = "cpu",
        *,
        out_size: int | None = None,
        keep_aspect: bool = False,
    ) -> "TrainedPair":
        """The pair in a run's folder.

        Raises:
            UserError: a scale is missing or damaged, or it is not a pair's run.
        """
        folder, device = RunFolder(Path(path)), torch.device(device)
        folder.options("train.py")
        resume = command(ROOT / "train.py", "--load", folder.path, *device_flags(device))
        if not folder.scale(0).is_file():
            raise UserError(f"--load {path}: no scale is completed; resume with: {resume}")
        _, values = load_checkpoint(folder.scale(0))
        geometry, architecture = Geometry(**values["geometry"]), Architecture(**values["architecture"])
        pair = cls(folder, geometry, architecture, device, out_size, keep_aspect)
        pair.load_scales(folder)
        if not pair.finished:
            scales = geometry.stop_scale + 1
            raise UserError(f"--load {path}: only {pair.scale} of {scales} scales are done; resume with: {resume}")
        aspects = geometry.aspect_a, geometry.aspect_b
        pair.pyramids = pair.reshaped(*(geometry.shapes_for(aspect, pair.out_size) for aspect in aspects))
        return pair

    def translate(
        self,
        image: Image.Image | np.ndarray | str | Path,
        direction: str = "a2b",
        *,
        inject_scale: int | None = None,
        finish_size: int | None = None,
        structure: float = 1.0,
        source_mask: str | Path | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """Translate an image, as eval.py does.

        Args:
            image: a file, an opened image, or an array (H, W, 3) or (H, W) of 8 bits; of domain A for "a2b", of domain
                B for "b2a". All are read alike: upright, in sRGB, on white where they are transparent.
            inject_scale: scale to inject at, 0 the coarsest; None: the default injection scale.
            finish_size: longer side of the result, finished with the patches of the image that was trained on,
                pixels; None or 0: the learned image as it is.
            structure: how closely finishing follows the learned image.
            source_mask: a file, as large as the image that was trained on: white may be copied from in finishing.

        Raises:
            TypeError, ValueError: an unusable argument; the message says what it should be.
            UserError: the image, or the one that was trained on, cannot be used.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be 'a2b' or 'b2a', not {direction!r}")
        stop_scale = self.geometry.stop_scale
        if inject_scale is not None and not 0 <= inject_scale <= stop_scale:
            raise ValueError(f"inject_scale must be 0 to {stop_scale}, not {inject_scale}")
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,), (4,)):
                raise TypeError(f"image must be (H, W, 3) or (H, W), uint8, not {image.shape}, {image.dtype}")
            image = Image.fromarray(image)
        if not isinstance(image, Image.Image | str | Path):
            raise TypeError(f"image must be a path, a PIL image or an array, not {type(image).__name__}")
        image = as_rgb(image, "image") if isinstance(image, Image.Image) else open_image(Path(image), "image")
        shapes = self.shapes_for(image.size)
        levels = self.folder.options()["quant_level"] if direction == "a2b" else 0
        scale = default_injection_scale(self.geometry.shapes) if inject_scale is None else inject_scale
        real = image_to_tensor(simplified(image, levels, shapes[-1]), shapes[scale], self.device)
        translated = inject(self.reshaped(shapes, shapes), direction, real, scale, seed)[direction]
        if finish_size:
            look = SAMPLE[direction][1]
            references = {"AB"[look]: masked(self.original(look), source_mask, "source_mask")}
            translated = Finisher(references, image.size[::-1], finish_size, structure)(translated).image
        return Image.fromarray(to_uint8(translated))

    def sample(
        self,
        *,
        finish_size: int | None = None,
        structure: float = 1.0,
        source_masks: Sequence[str | Path | None] = (None, None),
        seed: int = 0,
        index: int = 0,
    ) -> dict[str, Image.Image]:
        """A new image of each domain with its translation: fake_a, a2b, fake_b, b2a, as `eval.py --samples` makes them.

        Args:
            index: which of a seed's samples, from 0.
            finish_size, structure: see `translate`; source_masks: likewise, of A and of B.
        """
        if index < 0:
            raise ValueError(f"index must be 0 or more, not {index}")
        images = sample(self.pyramids, seed, self.device, index)
        if finish_size:
            originals = [masked(self.original(x), source_masks[x], "source_masks") for x in (0, 1)]
            for name, (layout, look) in SAMPLE.items():
                finisher = Finisher({"AB"[look]: originals[look]}, originals[layout].size[::-1], finish_size, structure)
                images[name] = finisher(images[name]).image
        return {name: Image.fromarray(to_uint8(image)) for name, image in images.items()}

    def shapes_for(self, size: tuple[int, int]) -> Shapes:
        """(height, width) of every scale for an image of this (width, height); ValueError where that is too thin."""
        aspect = aspect_of(size) if self.geometry.keep_aspect or self.keep_aspect else 1.0
        shapes = self.geometry.shapes_for(aspect, self.out_size)
        if min(shapes[0]) < 2:
            raise ValueError(
                "the image is too long and thin for --keep_aspect; leave the option out, or crop the image"
            )
        return shapes

    def reshaped(self, *shapes: Shapes) -> Pyramids:
        """The pyramids for images of other shapes, a's and b's: the networks are convolutional."""
        return tuple(replace(pyramid, shapes=own) for pyramid, own in zip(self.pyramids, shapes, strict=True))

    def original(self, domain: int, given: Image.Image | None = None) -> Image.Image:
        """The image of a domain that was trained on, of a video the first frame.

        Args:
            given: used if it is that image; otherwise the path in the run's record is read.

        Raises:
            UserError: the image is not there, or has changed.
        """
        folder = self.folder
        wanted, options = folder.record["fingerprints"][domain], folder.options()
        if given is not None and fingerprint(given) == wanted:
            return given
        path, flag = Path(options[f"input_{DOMAINS[domain]}"]), f"{DOMAINS[domain].upper()} of training,"
        if is_clip(path):
            clip = Clip(path, flag, excerpt=Excerpt(start=options["start"], frames=1, fps=options["fps"]))
            image = simplified(next(iter(clip)), options["quant_level"], clip.size[::-1])
            found = clip.fingerprint()
        else:
            image = open_image(path, flag)
            found = fingerprint(image)
        if found != wanted:
            raise UserError(f"{flag} {path}: is not the image the run in {folder.path} was trained on")
        return image
