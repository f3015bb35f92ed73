"""Numbers for a result, and `metrics.json`, which holds them.

Images are (1, 3, H, W) in [-1, 1], on any device; the two of a comparison may differ in size. B itself is perfect in
all but the layout, and A in that, so no measure judges a result alone.
"""

import json
import socket
import sys
from collections.abc import Callable
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.errors import UserError
from utils.files import write_json
from utils.image import pixels_to_tensor, to_uint8
from utils.resize import resize
from utils.rng import stream
from utils.run_folder import RunFolder

COPIED = "copied_with_neighbours"
# What each measure is: metrics.json says it, too.
MEASURES = {
    "sifid": "distance between its local features (Inception v3) and the look image's; lower is better",
    "sliced_wasserstein": "distance between its 7x7 patches and the look image's; lower is better",
    "colour_mean": "distance between its mean colour and the look image's; lower is better",
    "layout_agreement": "correlation of its local contrast with the layout image's, -1 to 1; higher is better",
    COPIED: "share of patches whose right and lower neighbours are also neighbours in the reference, 0 to 1",
    "flicker": "frame-to-frame change beyond A's motion, divided by A's; null if A has none; lower is better",
}
HIGHER_IS_BETTER = {"layout_agreement"}

MIN_SIDE = 15  # pixels; what is smaller is not measured
LAYOUT_SIDE = 64  # pixels, the shorter side layouts are compared at
CONTRAST_FLOOR = 0.05  # local contrast that counts as none, as a share of a channel's standard deviation
UNIFORM = 1e-10  # variance of a map of contrast below which it counts as uniform: rounding alone makes it vary
FLAT = 1 / 255  # a channel that varies by less, half an 8-bit level, is flat
WEIGHTS = "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth"
PATIENCE = 20.0  # seconds without an answer after which the download is given up


@torch.no_grad()
def measure(
    translated: Tensor, structure: Tensor, appearance: Tensor, stem: nn.Module | None = None
) -> dict[str, float]:
    """What MEASURES says of a translation that should have the layout of `structure` and the look of `appearance`.

    No SIFID without its network; nothing at all where a side is shorter than MIN_SIDE.
    """
    if min(side for image in (translated, structure, appearance) for side in image.shape[-2:]) < MIN_SIDE:
        return {}
    return ({} if stem is None else {"sifid": sifid(translated, appearance, stem)}) | {
        "sliced_wasserstein": sliced_wasserstein(translated, appearance),
        "colour_mean": (translated.mean(dim=(2, 3)) - appearance.mean(dim=(2, 3))).norm().item(),
        "layout_agreement": layout_agreement(translated, structure),
    }


def load_inception_stem(device: torch.device) -> nn.Module:
    """Inception v3 up to its first max pooling: from torch hub's cache, else downloaded; UserError without both."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)  # torch hub's download has no time limit of its own
    try:
        from torchvision.models import inception_v3  # two seconds; only this needs it

        net = inception_v3(weights="IMAGENET1K_V1", progress=False)
    except Exception as error:  # No network, a proxy, a damaged file, another torchvision: each raises its own kind.
        raise UserError(
            f"SIFID needs torchvision's Inception v3, which cannot be loaded ({' '.join(str(error).split())}); "
            f"put {WEIGHTS} into {torch.hub.get_dir()}/checkpoints/"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    stem = nn.Sequential(net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, net.maxpool1)
    return stem.eval().requires_grad_(False).to(device)


@torch.no_grad()
def sifid(image: Tensor, reference: Tensor, stem: nn.Module) -> float:
    """Single image Fréchet inception distance: of two images' locations behind the `stem`, 64 numbers each.

    0 for identical images; sides have 15 pixels or more. Source: Rott Shaham et al. 2019, "SinGAN", section 3.2, with
    torchvision's weights for ImageNet.
    """
    return frechet_distance(*(stem(side.float())[0].flatten(1).T.cpu().double() for side in (image, reference)))


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Squared Fréchet distance of two sets of vectors (n, d) and (m, d), as if of normal distributions.

    |mean_1 - mean_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with the covariances C divided by their number less one.
    """
    means = (one.mean(dim=0) - other.mean(dim=0)).square().sum()
    one, other = torch.cov(one.T), torch.cov(other.T)
    # C_1 C_2 and C_1^(1/2) C_2 C_1^(1/2) have the same eigenvalues; the latter is symmetric, so they come out real.
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ other @ root).clamp_min(0).sqrt().sum()
    return max(0.0, (means + one.trace() + other.trace() - 2 * shared).item())


@torch.no_grad()
def sliced_wasserstein(image: Tensor, reference: Tensor, *, patch: int = 7, scales: int = 3) -> float:
    """Sliced Wasserstein distance between the RGB patches of two images, wherever in the image they lie.

    All overlapping `patch` x `patch` patches are projected on 128 unit vectors, the same for every image. Along each,
    the Wasserstein-1 distance is the mean distance of the sorted projections. The result is the mean over the vectors,
    then over `scales`: the full size, a half, a quarter, as far as both images hold a patch. In pixel units: two flat
    greys a and b are about 0.8 |a - b| apart. Sources: Rabin et al. 2011, "Wasserstein Barycenter and its Application
    to Texture Mixing"; over scales, of normalised differences: Karras et al. 2018, "Progressive Growing of GANs".
    """
    vectors = torch.randn(128, 3, patch, patch, generator=stream(0, "metrics", "directions"))
    vectors = F.normalize(vectors.flatten(1)).view_as(vectors).to(image.device).split(8)  # some at once, for memory
    distances = []
    for level in range(scales):
        pair = [resize(full.float(), 0.5**level) for full in (image, reference)]
        if min(*pair[0].shape[-2:], *pair[1].shape[-2:]) < patch:
            break
        distances.append(torch.cat([_wasserstein(*pair, some) for some in vectors]).mean().item())
    return fmean(distances)


def _wasserstein(image: Tensor, reference: Tensor, vectors: Tensor) -> Tensor:
    """Wasserstein-1 distances (K,) between all patches of two images along vectors (K, 3, p, p)."""
    one, other = (F.conv2d(side, vectors)[0].flatten(1).sort(dim=1).values for side in (image, reference))
    # Both quantile functions, which are steps, read at the middles of the steps of the one that has more.
    count = max(one.shape[1], other.shape[1])
    one, other = (F.interpolate(side[None], count, mode="nearest-exact")[0] for side in (one, other))
    return (one - other).abs().mean(dim=1)


def layout_agreement(image: Tensor, structure: Tensor) -> float:
    """Do two images have contrast in the same places? -1 to 1, higher is better, 0 is chance.

    `contrast_agreement` at a shorter side of 64 pixels, antialiased: grain finer than that is texture. Good analogies
    reach 0.2 to 0.5, since where A has grain B may have none; wrong layouts scatter by 0.1 about 0.
    """
    sides = [side.detach().float().cpu() for side in (image, structure)]
    return contrast_agreement(*(resize(side, LAYOUT_SIDE / min(side.shape[-2:])) for side in sides)).item()


def contrast_agreement(image: Tensor, structure: Tensor) -> Tensor:
    """Correlation of two maps of local contrast, at the images' own size; a differentiable scalar in [-1, 1].

    Each channel is set to mean 0 and variance 1, a flat one to 0. The contrast c of a pixel is the square root of the
    variance in the 3x3 box about it, mean of the channels; its map is log(c + 0.05), so the outlines of a pale object
    count as those of a glaring one. If the shapes differ, the map of `structure` is stretched to the image's. Inverting
    an image, or any gain and offset of a channel, leaves the value as it is; an image without contrast gives 0.
    """
    one, other = _contrast(image), _contrast(structure)
    if one.shape != other.shape:
        other = F.interpolate(other, one.shape[-2:], mode="bilinear", antialias=True)
    one, other = one - one.mean(), other - other.mean()
    variances = one.square().mean(), other.square().mean()
    correlation = (one * other).mean() / (variances[0] * variances[1]).clamp_min(UNIFORM**2).sqrt()
    return torch.where(torch.minimum(*variances) < UNIFORM, 0.0, correlation).clamp(-1, 1)


def _contrast(image: Tensor) -> Tensor:
    """Log of the local contrast, (1, 1, H, W)."""
    centred = image - image.mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    scaled = torch.where(variance > FLAT**2, centred / variance.clamp_min(FLAT**2).sqrt(), 0.0)
    mean, square = (F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False) for x in (scaled, scaled.square()))
    local = (square - mean.square()).clamp_min(0).mean(dim=1, keepdim=True)
    # The least that is added keeps the root's slope finite.
    return ((local + CONTRAST_FLOOR**4).sqrt() + CONTRAST_FLOOR).log()


class Flicker:
    """How much a translated video changes from frame to frame beyond what moves, over its source's own such change.

    A change is the mean absolute difference to the frame before, which the source's motion has moved to where things
    are now (docs/method.md, section 12).
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, ...] = ()
        self._changes = [0.0, 0.0]

    def add(self, source: Tensor, output: Tensor, warped: Callable[[Tensor], Tensor] | None = None) -> None:
        """The next frame of both, in order; each always of the same shape, in [-1, 1].

        Args:
            warped: moves the frame before to where things are in this one; not given: nothing moves.
        """
        now = source.detach().clone(), output.detach().clone()
        for i, before in enumerate(self._last):
            self._changes[i] += (now[i] - (warped(before) if warped else before)).abs().mean().item()
        self._last = now

    @property
    def value(self) -> float | None:
        """The ratio; None where the source only moves (fewer than two frames, a still)."""
        return self._changes[1] / self._changes[0] if self._changes[0] > 0 else None


def measure_saved(images: dict[str, tuple[Tensor, Tensor, Tensor]]) -> dict[str, dict[str, float]]:
    """`measure` of translations by name, each with its structure and its appearance image, as saved with 8 bits.

    Where SIFID's network is not to be had, a line on standard error, and the other measures.
    """
    device = next(iter(images.values()))[0].device
    stem = None
    try:
        stem = load_inception_stem(device)
    except UserError as error:
        print(f"warning: {error}; the other measures are taken", file=sys.stderr)
    return {
        name: measure(*(pixels_to_tensor(to_uint8(image), device) for image in three), stem)
        for name, three in images.items()
    }


def save_metrics(folder: RunFolder, values: dict[str, dict[str, float | None]]) -> None:
    """Add values, by image and measure, to `metrics.json`, which also says what each measure is."""
    path = folder.claim("metrics.json")
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"measures": {}, "values": {}}
    for name, found in values.items():
        record["values"].setdefault(name, {}).update(found)
        record["measures"] |= {each: MEASURES[each] for each in found}
    write_json(path, record)
