"""Clean up a translated picture so that its patches are those of a reference: a one-image pyramid (SinGAN)."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("refine")

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from config import RefineConfig, parse_refine
from models.inference import refined_from
from models.pyramid import Pyramid
from training.cost import cost_table, step_costs
from training.lifecycle import check_run, is_finished, prepare_run, resume_command
from training.loop import train, train_single_scale
from training.one_image import OneImageRecipe
from utils.device import compute_deterministically, device_name, pick_device, versions
from utils.errors import UserError
from utils.interrupt import StopRequest
from utils.pictures.image import fingerprint, image_to_tensor, open_image, save_image
from utils.pictures.palette import main_colours, recolour
from utils.pictures.sheet import save_sheet
from utils.resize import resize
from utils.runs.lock import FolderLock
from utils.runs.run_folder import RunFolder
from utils.scales import ImageGeometry

COLOURS = 5  # of the quantised refinement
ROW = 4  # pictures in a row of the sheet


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    config = parse_refine(arguments)
    compute_deterministically(config.deterministic)
    device = pick_device(config.gpu_id, config.not_cuda)
    picture = open_image(config.input, "--input")
    reference = open_image(config.reference, "--reference", config.min_size)
    geometry = geometry_of(config, reference.size)
    if config.start_scale is not None and not 1 <= config.start_scale <= geometry.stop_scale:
        raise UserError(f"--start_scale {config.start_scale}: must be 1 to {geometry.stop_scale} for this reference")
    run, source = RunFolder(config.out), RunFolder(config.load) if config.load is not None else None
    prints = {"--reference": fingerprint(reference)}
    check_run(run, source, prints, geometry, config.architecture, config.optimiser, config.overwrite)
    finished = is_finished(source, geometry.stop_scale)
    print(cost_table(geometry, config.architecture, config.schedule.niter))
    print(f"on {device_name(device)}, seed {config.seed}")
    if finished:
        print(f"the pyramid in {source.path} is finished: it is used as it is")
    if config.dry_run:
        return 0

    # Train where there is no finished pyramid, then refine.
    record = {"options": config.options, "fingerprints": list(prints.values())}
    record |= {"device": device_name(device), "versions": versions()}
    with FolderLock(run.path, "--out"):
        prepare_run(run, source, config.overwrite, record)
        with StopRequest() as stop:
            recipe = one_image_recipe(config, geometry, reference, device)
            costs = step_costs(geometry, config.architecture, device)
            pyramids = train(run, recipe, config.schedule, costs=costs, should_stop=stop)
            if pyramids and config.quantise:
                pyramids = quantised(run, recipe, pyramids[0], config, stop)
            if pyramids is None:
                command = resume_command("refine.py", run, config.gpu_id, config.not_cuda)
                print(f"stopped, everything is saved; to go on:\n{command}", file=sys.stderr)
                return 128 + stop.signal
        write_results(run, pyramids[0], recipe, image_to_tensor(picture, geometry.shapes[-1], device), config)
    print(run.path / "results.png")
    return 0


def geometry_of(config: RefineConfig, size: tuple[int, int]) -> ImageGeometry:
    """The pyramid's sizes for a reference of this (width, height); UserError where it is too small."""
    try:
        geometry = ImageGeometry(size[1], size[0], config.min_size, config.max_size, config.scale_factor)
        config.architecture.check_fits(geometry.shapes[0])
    except ValueError as error:
        raise UserError(f"--reference {config.reference}: {error}") from None
    return geometry


def one_image_recipe(
    config: RefineConfig, geometry: ImageGeometry, reference: Image.Image, device: torch.device
) -> OneImageRecipe:
    """What is to be trained."""
    whole = image_to_tensor(reference, reference.size[::-1], device)
    finest = resize(whole, geometry.shrink, geometry.finest) if geometry.shrink < 1 else whole
    reals = [shrunk(finest, geometry, scale) for scale in range(geometry.stop_scale + 1)]
    return OneImageRecipe(
        geometry=geometry,
        architecture=config.architecture,
        optimiser=config.optimiser,
        reals=reals,
        alpha=config.alpha,
        lambda_grad=config.lambda_grad,
        noise_amp=config.noise_amp,
        seed=config.seed,
        device=device,
    )


def shrunk(image: Tensor, geometry: ImageGeometry, scale: int) -> Tensor:
    """A picture of the finest size, at a scale."""
    return resize(image, geometry.factor ** (geometry.stop_scale - scale), geometry.shapes[scale]).clamp(-1, 1)


def palette_of(recipe: OneImageRecipe, scale: int) -> Tensor:
    """The reference's main colours at a scale."""
    return main_colours(recipe.reals[scale], COLOURS)


def quantised(
    run: RunFolder, recipe: OneImageRecipe, pyramid: Pyramid, config: RefineConfig, stop: Callable[[], bool]
) -> tuple[Pyramid] | None:
    """The pyramid with the start scale trained again on coarse pictures in few colours; None if stopped."""
    scale = config.start_scale
    palette = palette_of(recipe, scale)
    few = replace(recipe, recolour=lambda image: recolour(image, palette))
    generator_sigma = train_single_scale(run.quantised(scale), few, pyramid, scale, config.schedule, stop)
    if generator_sigma is None:
        return None
    return (pyramid.replaced(scale, *generator_sigma),)


def write_results(
    run: RunFolder, pyramid: Pyramid, recipe: OneImageRecipe, image: Tensor, config: RefineConfig
) -> None:
    """A refined picture per start scale, and a sheet to choose from.

    Args:
        image: the picture to refine, (1, 3, H, W) at the finest size.
    """
    geometry, cells = recipe.geometry, []
    for scale in range(1, geometry.stop_scale + 1) if config.start_scale is None else [config.start_scale]:
        if config.quantise:
            start, name = shrunk(recolour(image, palette_of(recipe, scale)), geometry, scale), "quantised"
        else:
            start, name = shrunk(image, geometry, scale - 1), "refined"
        refined = refined_from(pyramid, start, scale, config.seed)
        cells.append((f"{name}_{scale:02d}", refined))
        save_image(refined, run.path / f"{name}_{scale:02d}.png")
    rows = [[("input", image), ("reference", recipe.reals[-1])]]
    save_sheet(rows + [cells[i : i + ROW] for i in range(0, len(cells), ROW)], run.path / "results.png")
