"""Clean up a translated image so that its patches are those of a reference: a one-image pyramid (SinGAN)."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("refine")

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from config import parse_refine, recorded
from models.inference import refined_from
from models.pyramid import Pyramid
from models.run import Run
from options import RefineOptions
from training.loop import Schedule, train
from training.one_image import OneImageRecipe
from training.resume import carry_out
from training.state import ScaleState
from utils.device import pick_device
from utils.errors import StopRequest, UserError
from utils.geometry import ImageGeometry, aspect_of
from utils.image import fingerprint, image_to_tensor, main_colours, open_image, recolour, save_image
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.sheet import save_sheet

COLOURS = 5  # of the quantised refinement
ROW = 4  # images in a row of the sheet
OTHER_SHAPE = 1.1  # ratio of two aspects from which on an image is visibly squeezed


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_refine(arguments)
    device = pick_device(options.gpu_id, options.not_cuda)
    image = open_image(options.input, "--input")
    reference = open_image(options.reference, "--reference", options.min_size)
    try:
        geometry = ImageGeometry(reference.height, reference.width, options.min_size, options.max_size)
        options.architecture.check_fits(geometry.shapes[0])
    except ValueError as error:
        raise UserError(f"--reference {options.reference}: {error}") from None
    if options.start_scale is not None and not 1 <= options.start_scale <= geometry.stop_scale:
        raise UserError(f"--start_scale {options.start_scale}: must be 1 to {geometry.stop_scale} for this reference")
    ratio = aspect_of(image.size) / aspect_of(reference.size)
    if max(ratio, 1 / ratio) > OTHER_SHAPE:
        print(
            f"note: --input is {image.width}x{image.height}; it is stretched to the shape of --reference, "
            f"{reference.width}x{reference.height}",
            file=sys.stderr,
        )
    run = Run(RunFolder(options.out), geometry, options.architecture, device)
    finest = resize(image_to_tensor(reference, device=device), geometry.shrink, geometry.finest)
    reals = [shrunk(finest, geometry, scale) for scale in range(geometry.stop_scale + 1)]
    recipe = OneImageRecipe(reals=reals, seed=options.manualSeed)
    carry_out(
        "refine.py",
        run,
        recipe,
        options.schedule,
        {"--input": options.input, "--reference": options.reference},
        {"--reference": fingerprint(reference)},
        partial(write_results, options, run, recipe, image_to_tensor(image, geometry.shapes[-1], device)),
        load=options.load,
        overwrite=options.overwrite,
        dry_run=options.dry_run,
        options=recorded(options),
        result_options=("input", "reference", "start_scale", "quantise", "manualSeed"),
    )
    return 0


def shrunk(image: Tensor, geometry: ImageGeometry, scale: int) -> Tensor:
    """An image of the finest size, at a scale."""
    return resize(image, geometry.factor ** (geometry.stop_scale - scale), geometry.shapes[scale]).clamp(-1, 1)


def write_results(options: RefineOptions, run: Run, recipe: OneImageRecipe, image: Tensor, stop: StopRequest) -> None:
    """A refined image per start scale, and a sheet to choose from.

    Args:
        image: the image to refine, (1, 3, H, W) at the finest size.
    """
    geometry, pyramid, start, name = run.geometry, run.pyramids[0], image, "refined"
    if options.quantise:
        palette = main_colours(recipe.reals[options.start_scale], COLOURS)
        few = replace(recipe, recolour=lambda coarser: recolour(coarser, palette))
        pyramid = retrained(run, few, options.start_scale, options.schedule, stop)
        start, name = recolour(image, palette), "quantised"
    cells = []
    for scale in [options.start_scale] if options.start_scale else range(1, geometry.stop_scale + 1):
        stop.check()
        at = scale if options.quantise else scale - 1
        refined = refined_from(pyramid, shrunk(start, geometry, at), scale, options.manualSeed)
        cells.append((f"{name}_{scale:02d}", refined))
        save_image(refined, run.folder.claim(f"{name}_{scale:02d}.png"))
    rows = [[("input", image), ("reference", recipe.reals[-1])]]
    save_sheet(rows + [cells[i : i + ROW] for i in range(0, len(cells), ROW)], run.folder.claim("results.png"))


def retrained(run: Run, recipe: OneImageRecipe, scale: int, schedule: Schedule, stop: StopRequest) -> Pyramid:
    """The pyramid with one scale trained again, from a fresh start.

    What is trained again lies in a folder of its own inside the run's, and is used or resumed where it is there.
    """
    again = Run(RunFolder(run.folder.claim(f"retrained_{scale:02d}")), run.geometry, run.architecture, run.device)
    (trained,), (pyramid,) = run.pyramids, again.pyramids
    scales = list(zip(trained.generators, trained.sigmas, strict=True))
    for coarser in scales[:scale]:
        pyramid.append(*coarser)
    again.load_scales(again.folder)
    again.folder.path.mkdir(exist_ok=True)
    state = ScaleState.load(again, recipe.optimiser, again.folder.state)
    train(again, recipe, schedule, state, stop, last=scale)
    for finer in scales[scale + 1 :]:
        pyramid.append(*finer)
    return pyramid
