"""Clean up a translated image so that its patches are those of a reference: a one-image pyramid (SinGAN)."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("refine")

import sys
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from config import parse_refine, recorded
from models.inference import refined_from
from models.pyramid import Pyramid
from models.run import Run
from options import RefineOptions
from training.cost import cost_table
from training.loop import load_state, train
from training.one_image import OPTIMISER, PASSES, OneImageRecipe
from training.resume import prepare, stopped, writing
from utils.device import pick_device, run_record
from utils.errors import UserError
from utils.geometry import ImageGeometry, aspect_of
from utils.image import fingerprint, image_to_tensor, open_image, save_image
from utils.interrupt import Stopped, StopRequest
from utils.palette import main_colours, recolour
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
    source = RunFolder(options.load) if options.load is not None else None
    prints = {"--reference": fingerprint(reference)}
    paths = {"--input": options.input, "--reference": options.reference}
    state = prepare("refine.py", run, source, paths, prints, OPTIMISER, options.overwrite)
    print(cost_table(run, options.niter, PASSES, estimate=options.dry_run))
    print(f"seed {'random' if options.seed is None else options.seed}")
    if run.finished:
        print("all scales of this run are finished: nothing is trained, only its results are remade")
    if options.dry_run:
        return 0

    # Train where there is no finished pyramid, then refine.
    record = run_record(recorded(options), device) | {"fingerprints": list(prints.values())}
    results = {
        name: recorded(options)[name] for name in ("input", "reference", "start_scale", "quantise", "manualSeed")
    }
    with writing(run, source, "refine.py", record, results), StopRequest() as stop:
        recipe = one_image_recipe(options, geometry, reference, device)
        try:
            if not train(run, recipe, options.schedule, state, stop, tensorboard=options.tensorboard):
                raise Stopped
            pyramid = quantised(run, recipe, options, stop) if options.quantise else run.pyramids[0]
            write_results(
                run.folder, pyramid, recipe, image_to_tensor(image, geometry.shapes[-1], device), options, stop
            )
        except Stopped:
            return stopped("refine.py", run, stop)
        run.folder.note(finished=True)
    print(run.folder.path / "results.png")
    return 0


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


def quantised(run: Run, recipe: OneImageRecipe, options: RefineOptions, stop: StopRequest) -> Pyramid:
    """The pyramid with the start scale trained again on coarse images in few colours; Stopped if it was stopped.

    What is trained again lies in a folder of its own inside the run's, and is used or resumed where it is there.
    """
    scale, palette = options.start_scale, main_colours(recipe.reals[options.start_scale], COLOURS)
    few = replace(recipe, recolour=lambda image: recolour(image, palette))
    again = Run(RunFolder(run.folder.claim(f"retrained_{scale:02d}")), run.geometry, run.architecture, run.device)
    for coarser in range(scale):
        again.add_scale(*run.load_scale(coarser, run.folder))
    again.networks = None  # It starts afresh.
    if again.folder.scale(scale).is_file():
        again.add_scale(*again.load_scale(scale, again.folder))
    else:
        state = load_state(again, OPTIMISER, again.folder, scale)
        again.folder.path.mkdir(exist_ok=True)
        if not train(again, few, options.schedule, state, stop, last=scale):
            raise Stopped
    (pyramid,) = again.pyramids
    return run.pyramids[0].replaced(scale, pyramid.generators[scale], pyramid.sigmas[scale])


def write_results(
    folder: RunFolder,
    pyramid: Pyramid,
    recipe: OneImageRecipe,
    image: Tensor,
    options: RefineOptions,
    stop: StopRequest,
) -> None:
    """A refined image per start scale, and a sheet to choose from.

    Args:
        image: the image to refine, (1, 3, H, W) at the finest size.
    """
    geometry, cells = recipe.geometry, []
    for scale in range(1, geometry.stop_scale + 1) if options.start_scale is None else [options.start_scale]:
        stop.check()
        if options.quantise:
            palette = main_colours(recipe.reals[scale], COLOURS)
            start, name = shrunk(recolour(image, palette), geometry, scale), "quantised"
        else:
            start, name = shrunk(image, geometry, scale - 1), "refined"
        refined = refined_from(pyramid, start, scale, options.seed)
        cells.append((f"{name}_{scale:02d}", refined))
        save_image(refined, folder.claim(f"{name}_{scale:02d}.png"))
    rows = [[("input", image), ("reference", recipe.reals[-1])]]
    save_sheet(rows + [cells[i : i + ROW] for i in range(0, len(cells), ROW)], folder.claim("results.png"))
