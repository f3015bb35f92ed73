"""Clean up a translated image so that its patches are those of a reference: a one-image pyramid (SinGAN)."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("refine")

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from config import parse_refine, recorded
from models.inference import refined_from
from models.pyramid import Pyramid
from models.snapshot import Run
from options import RefineOptions
from training.lifecycle import announce, begin, stopped, writing
from training.loop import Trained, read_state, train
from training.one_image import OPTIMISER, PASSES, OneImageRecipe
from utils.clips.kind import refuse_clip
from utils.device import pick_device, run_record
from utils.errors import UserError
from utils.interrupt import StopRequest
from utils.image import fingerprint, image_to_tensor, open_image, save_image
from utils.palette import main_colours, recolour
from utils.sheet import save_sheet
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.geometry import ImageGeometry

COLOURS = 5  # of the quantised refinement
ROW = 4  # images in a row of the sheet


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_refine(arguments)
    device = pick_device(options.gpu_id, options.not_cuda)
    refuse_clip(options.input, "--input")
    refuse_clip(options.reference, "--reference")
    image = open_image(options.input, "--input")
    reference = open_image(options.reference, "--reference", options.min_size)
    geometry = fitted_geometry(options, reference.size)
    if options.start_scale is not None and not 1 <= options.start_scale <= geometry.stop_scale:
        raise UserError(f"--start_scale {options.start_scale}: must be 1 to {geometry.stop_scale} for this reference")
    run = Run(RunFolder(options.out), geometry, options.architecture, device)
    source = RunFolder(options.load) if options.load is not None else None
    prints = {"--reference": fingerprint(reference)}
    paths = {"--input": options.input, "--reference": options.reference}
    trained = begin(run, source, paths, prints, OPTIMISER, options.overwrite)
    costs = announce(run, trained, options.niter, PASSES, options.seed)
    if options.dry_run:
        return 0

    # Train where there is no finished pyramid, then refine.
    record = run_record(recorded(options), device) | {"fingerprints": list(prints.values())}
    with writing(run, source, options.overwrite, record):
        recipe = one_image_recipe(options, geometry, reference, device)
        with StopRequest() as stop:
            pyramids = train(run, recipe, options.schedule, trained, costs, stop)
            if pyramids and options.quantise:
                pyramids = quantised(run, recipe, pyramids[0], options, costs, stop)
        if pyramids is None:
            return stopped("refine.py", run, stop)
        write_results(run.folder, pyramids[0], recipe, image_to_tensor(image, geometry.shapes[-1], device), options)
    print(run.folder.path / "results.png")
    return 0


def fitted_geometry(options: RefineOptions, size: tuple[int, int]) -> ImageGeometry:
    """The pyramid's sizes for a reference of this (width, height); UserError where it is too small."""
    try:
        geometry = ImageGeometry(size[1], size[0], options.min_size, options.max_size)
        options.architecture.check_fits(geometry.shapes[0])
    except ValueError as error:
        raise UserError(f"--reference {options.reference}: {error}") from None
    return geometry


def one_image_recipe(
    options: RefineOptions, geometry: ImageGeometry, reference: Image.Image, device: torch.device
) -> OneImageRecipe:
    """What is to be trained."""
    whole = image_to_tensor(reference, reference.size[::-1], device)
    finest = resize(whole, geometry.shrink, geometry.finest) if geometry.shrink < 1 else whole
    reals = [shrunk(finest, geometry, scale) for scale in range(geometry.stop_scale + 1)]
    return OneImageRecipe(geometry=geometry, reals=reals, seed=options.seed, device=device)


def shrunk(image: Tensor, geometry: ImageGeometry, scale: int) -> Tensor:
    """An image of the finest size, at a scale."""
    return resize(image, geometry.factor ** (geometry.stop_scale - scale), geometry.shapes[scale]).clamp(-1, 1)


def palette_of(recipe: OneImageRecipe, scale: int) -> Tensor:
    """The reference's main colours at a scale."""
    return main_colours(recipe.reals[scale], COLOURS)


def quantised(
    run: Run,
    recipe: OneImageRecipe,
    pyramid: Pyramid,
    options: RefineOptions,
    costs: list[float],
    stop: Callable[[], bool],
) -> tuple[Pyramid] | None:
    """The pyramid with the start scale trained again on coarse images in few colours; None if stopped.

    What is trained again lies in a folder of its own, and is used or gone on with where it is there already.
    """
    scale, palette = options.start_scale, palette_of(recipe, options.start_scale)
    few = replace(recipe, recolour=lambda image: recolour(image, palette))
    again = replace(run, folder=run.folder.quantised(scale))
    if again.folder.scale(scale).is_file():
        networks, (sigma,) = again.load_scale(scale)
        return (pyramid.replaced(scale, networks.generators[0], sigma),)
    again.folder.make_writable()
    begun = Trained((pyramid.up_to(scale),), None, read_state(again, scale, OPTIMISER))
    pyramids = train(again, few, options.schedule, begun, costs, stop, last=scale)
    return pyramids and (pyramid.replaced(scale, pyramids[0].generators[scale], pyramids[0].sigmas[scale]),)


def write_results(
    folder: RunFolder, pyramid: Pyramid, recipe: OneImageRecipe, image: Tensor, options: RefineOptions
) -> None:
    """A refined image per start scale, and a sheet to choose from.

    Args:
        image: the image to refine, (1, 3, H, W) at the finest size.
    """
    geometry, cells = recipe.geometry, []
    for scale in range(1, geometry.stop_scale + 1) if options.start_scale is None else [options.start_scale]:
        if options.quantise:
            start, name = shrunk(recolour(image, palette_of(recipe, scale)), geometry, scale), "quantised"
        else:
            start, name = shrunk(image, geometry, scale - 1), "refined"
        refined = refined_from(pyramid, start, scale, options.seed)
        cells.append((f"{name}_{scale:02d}", refined))
        save_image(refined, folder.path / f"{name}_{scale:02d}.png")
    rows = [[("input", image), ("reference", recipe.reals[-1])]]
    save_sheet(rows + [cells[i : i + ROW] for i in range(0, len(cells), ROW)], folder.path / "results.png")
