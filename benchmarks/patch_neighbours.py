"""A's layout in B's patches without any training: every patch is replaced by its nearest neighbour in B.

A yardstick for the trained recipes (`compare_recipes.py`), not a part of the program: plain brute force on the CPU. It
follows Granot et al., "Drop the GAN: In Defense of Patches Nearest Neighbors as Single Image Generative Models" (2022,
arXiv 2103.15545): coarse to fine, distances divided by how near a patch of B has any neighbour at all, so that more of
B appears, and overlapping patches averaged. Added here: the start is A in B's colours, and the local contrast of A
counts at every scale, which keeps the layout (and flatters it in `layout_agreement`, which compares contrast, too). The
coarsest side and the two weights were chosen by a look at oranges/bowls, coins/daisies and mountains/painted_hills:
lower ones are crisper, but lose the layout.

    python benchmarks/patch_neighbours.py --input_a images/oranges.jpg --input_b images/bowls.jpg --out output_nn
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.arguments import LineParser, integer
from utils.errors import UserError, one_line_errors
from utils.image import image_pyramid, open_image, save_image
from utils.resize import upsample
from utils.geometry import Geometry

PATCH = 7
ITERATIONS = 3  # per scale
CONTRAST_WEIGHT = 0.1  # a deviation of the local contrast counts as much as this difference of all pixels
COMPLETENESS = 0.02  # the paper's alpha, in squared pixel units: smaller makes more of B appear
QUERIES_AT_ONCE = 256


@torch.no_grad()
def translate(structure: Sequence[Tensor], appearance: Sequence[Tensor], factor: float) -> Tensor:
    """The layout of one picture in patches of another.

    Args:
        structure, appearance: pyramids of (1, 3, H, W) in [-1, 1], coarsest first, of the same shapes.
        factor: ratio of a scale's side to the next finer one's.

    Returns:
        (1, 3, H, W) at the finest scale. Where both pyramids are the same it is that picture.
    """
    picture = blurred = None
    for layout, reference in zip(structure, appearance, strict=True):
        shape = reference.shape[-2:]
        contrasts = [CONTRAST_WEIGHT * standardised_contrast(side) for side in (layout, reference)]
        # What was enlarged is compared with B enlarged likewise, or blur would find blur.
        keys = reference if blurred is None else upsample(blurred, factor, shape)
        picture = match_colours(layout, reference) if picture is None else upsample(picture, factor, shape)
        for _ in range(ITERATIONS):
            nearest = nearest_patches(features(picture, contrasts[0]), features(keys, contrasts[1]))
            chosen = F.unfold(reference, PATCH)[:, :, nearest]
            counts = F.fold(torch.ones_like(chosen), shape, PATCH)
            picture, keys = F.fold(chosen, shape, PATCH) / counts, reference
        blurred = reference
    return picture


def features(picture: Tensor, contrast: Tensor) -> Tensor:
    """What patches are compared by, (patches, values): squared distances are means over a patch's pixels."""
    patches = F.unfold(picture, PATCH)[0].T
    return torch.cat([patches / patches.shape[1] ** 0.5, contrast], dim=1)


def standardised_contrast(picture: Tensor) -> Tensor:
    """Standard deviation in every patch, mean 0 and variance 1 over the picture: (patches, 1)."""
    pixels = F.unfold(picture, PATCH)[0].unflatten(0, (3, -1))
    contrast = pixels.var(dim=1).mean(dim=0).sqrt()
    return ((contrast - contrast.mean()) / contrast.std().clamp_min(1e-6))[:, None]


def nearest_patches(queries: Tensor, keys: Tensor) -> Tensor:
    """For each of (n, d) queries the index of the nearest of (m, d) keys, every key's distance divided by that
    of its own nearest query: (n,)."""
    lengths = keys.square().sum(dim=1)

    def distances() -> Iterator[Tensor]:
        for some in queries.split(QUERIES_AT_ONCE):
            block = torch.addmm(lengths[None], some, keys.T, alpha=-2)
            yield block.add_(some.square().sum(dim=1, keepdim=True)).clamp_min_(0)

    closest = torch.stack([block.amin(dim=0) for block in distances()]).amin(dim=0)
    return torch.cat([(block / (COMPLETENESS + closest)).argmin(dim=1) for block in distances()])


def match_colours(picture: Tensor, reference: Tensor) -> Tensor:
    """A picture in the mean and covariance of another's colours; the least change that gives them."""
    pixels, wanted = (side[0].flatten(1).double() for side in (picture, reference))
    little = 1e-4 * torch.eye(3, dtype=torch.float64, device=picture.device)  # grey pictures have singular covariances
    root = matrix_root(torch.cov(pixels) + little)
    inverse = torch.linalg.inv(root)
    change = inverse @ matrix_root(root @ (torch.cov(wanted) + little) @ root) @ inverse
    matched = change @ (pixels - pixels.mean(dim=1, keepdim=True)) + wanted.mean(dim=1, keepdim=True)
    return matched.view_as(picture).clamp(-1, 1).to(picture.dtype)


def matrix_root(matrix: Tensor) -> Tensor:
    """The positive root of a symmetric, positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def main(arguments: Sequence[str] | None = None) -> int:
    add = (parser := LineParser("Translate both of two pictures by nearest patches, without training.")).add_argument
    add("--input_a", type=Path, required=True, metavar="A", help="image A")
    add("--input_b", type=Path, required=True, metavar="B", help="image B")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for real_a2b.png and real_b2a.png")
    add("--img_size", type=integer(1), default=64, help="side of the results, pixels")
    add("--min_size", type=integer(PATCH), default=28, help="side of the coarsest scale, pixels")
    options = parser.parse_args(arguments)
    try:
        geometry = Geometry(img_size=options.img_size, min_size=options.min_size)
    except ValueError as error:
        raise UserError(str(error)) from None
    pyramids = [
        image_pyramid(open_image(path, flag, options.min_size), geometry.shapes, torch.device("cpu"))
        for path, flag in ((options.input_a, "--input_a"), (options.input_b, "--input_b"))
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (structure, appearance) in {"a2b": pyramids, "b2a": pyramids[::-1]}.items():
        save_image(translate(structure, appearance, geometry.factor), options.out / f"real_{name}.png")
    print(options.out)
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
