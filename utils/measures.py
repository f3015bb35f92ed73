"""Numbers for a result: its patches, its colours and its layout, against the two input images.

    sliced_wasserstein   patches of a2b against those of B          lower is better, 0 for identical images
    colour_difference    mean and covariance of the colours, to B   lower is better, 0 for identical images
    layout_agreement     where a2b has contrast, against A          higher is better, 1 for identical images

Every image is a (1, 3, H, W) tensor in [-1, 1], on any device; the two of a comparison may differ in
size. B itself is perfect in the first two and A in the third, so none of them judges a result alone.
"""

from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.resize import resize
from utils.rng import stream

# The names in `measure` that grow as a result gets better; all others shrink.
HIGHER_IS_BETTER = frozenset({"layout_agreement"})

# How many projected patches are held at a time: 16 MiB per image.
MAX_PROJECTIONS = 2**22
# Layouts are compared with the shorter side at this many pixels.
LAYOUT_SIDE = 64
# Local contrast that counts as none, as a share of a channel's standard deviation.
CONTRAST_FLOOR = 0.05
# Variance of a map of contrast below which it counts as uniform.
UNIFORM = 1e-10
# A channel that varies by less than half an 8-bit level (in [-1, 1]) is flat.
FLAT = 1 / 255


@torch.no_grad()
def measure(translated: Tensor, structure: Tensor, appearance: Tensor, seed: int = 0) -> dict[str, float]:
    """All measures of a translation that should have the layout of `structure` and the look of `appearance`.

    Returns:
        sliced_wasserstein: patches of `translated` against those of `appearance`, mean of the scales; lower
            is better.
        sliced_wasserstein_1, _2, _4: the same at the full size and with both shrunk to a half and a quarter;
            lower is better. A scale smaller than a patch is left out.
        colour_mean, colour_covariance: see `colour_difference`, to `appearance`; lower is better.
        layout_agreement: with `structure`, in [-1, 1]; higher is better.
    """
    distances = sliced_wasserstein(translated, appearance, seed=seed)
    colours = colour_difference(translated, appearance)
    return {
        "sliced_wasserstein": fmean(distances),
        **{f"sliced_wasserstein_{2**level}": distance for level, distance in enumerate(distances)},
        **{f"colour_{name}": difference for name, difference in colours.items()},
        "layout_agreement": layout_agreement(translated, structure),
    }


@torch.no_grad()
def sliced_wasserstein(
    image: Tensor, reference: Tensor, *, seed: int = 0, patch: int = 7, directions: int = 128, scales: int = 3
) -> list[float]:
    """Sliced Wasserstein distance between the RGB patches of two images, finest scale first.

    All overlapping `patch` x `patch` patches of an image, vectors of d = 3 * patch**2 values, are projected
    on random unit vectors. Along each the Wasserstein-1 distance between the two sets of projections is the
    mean distance of their sorted values; the result is the mean over the directions. It does not matter
    where in the image a patch lies. Lower is better; 0 for identical images.

    Units are those of the pixels, [-1, 1], whatever the patch size: a unit vector sums d values with weights
    of about 1 / sqrt(d), so that pixels that differ independently by r (root mean square), or all alike by
    r, differ by about r in projection. Two flat grey images a and b are |a - b| * sqrt(2 / pi) =
    0.80 |a - b| apart for every patch size, in expectation over the directions.

    Sources: Rabin et al., "Wasserstein Barycenter and its Application to Texture Mixing" (2011); over scales
    and 7x7 patches to judge GANs: Karras et al., "Progressive Growing of GANs" (2018). Unlike there, the
    pyramid holds shrunken images instead of differences, the channels are not normalised, because colour
    counts here, every patch is used, and the result is not multiplied by 1000.

    Args:
        image, reference: at the same magnification: a scale shrinks both by the same factor.
        seed: of the directions; the same ones at every scale, for every image and on every device.
        scales: each is half the size of the one before. One where either image is smaller than a patch is
            left out, with those after it.

    Raises:
        ValueError: an image is smaller than a patch.
    """
    if min(*image.shape[-2:], *reference.shape[-2:]) < patch:
        raise ValueError(f"both images must be at least {patch} pixels on each side")
    generator = stream(seed, "metrics", "directions")
    vectors = torch.randn(directions, 3, patch, patch, generator=generator)
    vectors = (vectors / vectors.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).to(image.device)
    distances = []
    for level in range(scales):
        pair = [resize(full.float(), 0.5**level) if level else full.float() for full in (image, reference)]
        if min(*pair[0].shape[-2:], *pair[1].shape[-2:]) < patch:
            break
        at_once = max(1, MAX_PROJECTIONS // max(side.shape[-2] * side.shape[-1] for side in pair))
        along_each = [_wasserstein(_project(pair[0], some), _project(pair[1], some)) for some in vectors.split(at_once)]
        distances.append(torch.cat(along_each).mean().item())
    return distances


def _project(image: Tensor, vectors: Tensor) -> Tensor:
    """Every patch of (1, 3, H, W) along every vector (K, 3, p, p), sorted: (K, patches)."""
    return F.conv2d(image, vectors)[0].flatten(1).sort(dim=1).values


def _wasserstein(one: Tensor, other: Tensor) -> Tensor:
    """Wasserstein-1 distances (K,) between the rows of two sorted (K, n) and (K, m).

    That is the integral of |F^-1(q) - G^-1(q)| over the quantiles q in (0, 1). Both quantile functions are
    steps; they are read at q = (i + 1/2) / max(n, m), which is exact where one number divides the other.
    """
    count = max(one.shape[1], other.shape[1])
    twice_middle = 2 * torch.arange(count, device=one.device) + 1
    one, other = (side[:, twice_middle * side.shape[1] // (2 * count)] for side in (one, other))
    return (one - other).abs().mean(dim=1)


@torch.no_grad()
def colour_difference(image: Tensor, reference: Tensor) -> dict[str, float]:
    """How far the colours of two images are apart, wherever in the image they are. Lower is better.

    Returns:
        mean: Euclidean distance of the mean colours, in pixel units, [-1, 1].
        covariance: Frobenius distance of the 3x3 covariances (over all pixels, divided by their number), in
            squared pixel units. It sees contrast and hue that are lost though the mean is right.
    """
    (mean, covariance), (wanted_mean, wanted_covariance) = (_colours(side) for side in (image, reference))
    return {
        "mean": (mean - wanted_mean).norm().item(),
        "covariance": (covariance - wanted_covariance).norm().item(),
    }


def _colours(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of the colours, float64."""
    colours = image[0].flatten(1).cpu().double()
    return colours.mean(dim=1), torch.cov(colours, correction=0)


@torch.no_grad()
def layout_agreement(image: Tensor, structure: Tensor, *, window: int = 3) -> float:
    """Do two images have contrast in the same places? In [-1, 1]; higher is better, 0 is chance.

    The correlation over all pixels of two maps of local contrast, each made so:
    1. The image is resampled to a shorter side of 64 pixels, antialiased: grain finer than that is texture.
    2. Each channel is set to mean 0 and variance 1; a flat one (deviation under half an 8-bit level) to 0.
    3. The variance in a `window` x `window` box about each pixel (what of it lies in the image), mean of the
       channels: the contrast c is its square root.
    4. The map is log(c + 0.05): the outlines of a pale object count as those of a glaring one.
    If the shapes still differ (another aspect ratio), the map of `structure` is stretched to the image's.

    Only places enter: inverting an image, or any gain and offset of a channel that does not clip, leaves the
    value as it is. An image without any contrast gives 0. The box is small and the map not smoothed because
    with wider boxes (5, 9) or smoothing the true layout stands out less from shifted and unrelated ones, on
    drawn scenes with objects up to 2 pixels off. So it does with plain contrast or its ranks in place of the
    logarithm (tried with a box of 5).
    Good analogies reach about 0.2 to 0.5, not 1: where A has grain, B may have none. Wrong layouts scatter by
    0.1 about 0, now and then up to 0.2, so compare images with one another, not with 1.
    """
    one, other = (resize(side.float().cpu(), LAYOUT_SIDE / min(side.shape[-2:])) for side in (image, structure))
    return contrast_agreement(one, other, window).item()


def contrast_agreement(image: Tensor, structure: Tensor, window: int = 3) -> Tensor:
    """Steps 2 to 4 of `layout_agreement`, at the images' own size and differentiable: a scalar on their device."""
    map_one, map_other = (_contrast(side, window) for side in (image, structure))
    if map_one.shape != map_other.shape:
        map_other = F.interpolate(map_other, map_one.shape[-2:], mode="bilinear", antialias=True)
    one, other = (side - side.mean() for side in (map_one, map_other))
    variances = one.square().mean(), other.square().mean()
    correlation = (one * other).mean() / (variances[0] * variances[1]).clamp_min(UNIFORM**2).sqrt()
    # Rounding alone makes a uniform map vary, but by less than this.
    uniform = (variances[0] < UNIFORM) | (variances[1] < UNIFORM)
    return torch.where(uniform, torch.zeros_like(correlation), correlation).clamp(-1, 1)


def _contrast(image: Tensor, window: int) -> Tensor:
    """Log of the local contrast, (1, 1, H, W)."""
    centred = image - image.mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    scaled = torch.where(variance > FLAT**2, centred / variance.clamp_min(FLAT**2).sqrt(), 0.0)
    local = (_box(scaled.square(), window) - _box(scaled, window).square()).clamp_min(0)
    # The least that is added keeps the root's slope finite.
    return ((local.mean(dim=1, keepdim=True) + CONTRAST_FLOOR**4).sqrt() + CONTRAST_FLOOR).log()


def _box(image: Tensor, window: int) -> Tensor:
    """Mean in a `window` x `window` box about each pixel, of what of it lies in the image; `window` is odd."""
    return F.avg_pool2d(image, window, stride=1, padding=window // 2, count_include_pad=False)
