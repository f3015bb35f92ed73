"""Train on one pair of images: parse, prepare the run folder, train every scale, write the results."""

import sys
from collections.abc import Sequence

import torch
from PIL import Image

from config import TrainConfig, parse_train
from models.inference import Pyramids, default_injection_scale, inject, injection_scales, sample
from training.cost import cost_table, step_costs
from training.domains import DomainThreads
from training.lifecycle import check_run, is_finished, prepare_run, resume_command
from training.loop import train
from training.pair import PairRecipe
from training.reals import frames, still
from utils.clips.kind import is_clip, refuse_clip
from utils.clips.simplified import SimplifiedClip
from utils.clips.video import Clip
from utils.device import compute_deterministically, device_name, pick_device, use_precision, versions
from utils.errors import UserError, one_line_errors
from utils.interrupt import StopRequest
from utils.pictures.image import fingerprint, image_pyramid, open_image, save_image
from utils.pictures.sheet import save_sheet
from utils.runs.lock import FolderLock
from utils.runs.log import RunLog
from utils.runs.loss_curves import save_loss_curves
from utils.runs.run_folder import RunFolder
from utils.scales import Geometry

SHEET_LEVELS = 5
Inputs = tuple[Image.Image | Clip, Image.Image]
Reals = tuple[list[torch.Tensor], list[torch.Tensor]]  # of both domains, at every scale


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    config = parse_train(arguments)
    compute_deterministically(config.deterministic)
    device = pick_device(config.gpu_id, config.not_cuda)
    use_precision(config.precision, device)
    inputs = open_inputs(config)
    geometry = fitted_geometry(config, inputs)
    run, source = RunFolder(config.out), RunFolder(config.load) if config.load is not None else None
    a, b = inputs
    prints = {"--input_a": a.fingerprint() if isinstance(a, Clip) else fingerprint(a), "--input_b": fingerprint(b)}
    check_run(run, source, prints, geometry, config.architecture, config.optimiser, config.overwrite)
    finished = is_finished(source, geometry.stop_scale)
    print(cost_table(geometry, config.architecture, config.schedule.niter))
    print(f"on {device_name(device)}, seed {config.seed}")
    if finished:
        print("all scales of this run are finished: nothing is trained, its pictures are made again")
    elif device.type == "cpu" and config.options["preset"] == "paper":
        print(
            "warning: the paper's settings are made for a GPU and take days on a CPU; "
            "--preset quick gives a smaller result in minutes",
            file=sys.stderr,
        )
    if config.dry_run:
        return 0

    # Train.
    record = {"options": config.options, "fingerprints": list(prints.values())}
    record |= {"device": device_name(device), "versions": versions()}
    with FolderLock(run.path, "--out"):
        prepare_run(run, source, config.overwrite, None if finished else record)
        reals = still_pyramids(config, geometry, inputs, device)
        threads = DomainThreads(device, side_by_side=not config.save_memory, bf16=config.precision == "bf16")
        with StopRequest() as stop, threads as both:
            recipe = pair_recipe(config, geometry, a, reals, device, both)
            costs = step_costs(geometry, config.architecture, device)
            pyramids = train(run, recipe, config.schedule, costs=costs, should_stop=stop)
            if pyramids is None:
                command = resume_command("train.py", run, config.gpu_id, config.not_cuda)
                print(f"stopped, everything is saved; to go on:\n{command}", file=sys.stderr)
                return 128 + stop.signal

        # Write what a person wants to see.
        write_results(run, pyramids, reals, config.seed)
    print(run.path / "results.png")
    return 0


def pair_recipe(
    config: TrainConfig,
    geometry: Geometry,
    a: Image.Image | Clip,
    reals: Reals,
    device: torch.device,
    both: DomainThreads,
) -> PairRecipe:
    """What is to be trained: on the pictures `reals`, but on all frames where A is a clip."""
    noise_amps = coarsest_sigmas = (config.noise_amp_a, config.noise_amp_b)
    source_a, source_b = still(reals[0]), still(reals[1])
    if isinstance(a, Clip):
        clip = simplified(config, geometry, a)
        source_a = frames(clip, geometry.domain_shapes[0], config.seed, device, config.out)
        coarsest_sigmas = (1.0, 1.0)
    return PairRecipe(
        geometry=geometry,
        architecture=config.architecture,
        optimiser=config.optimiser,
        reals=(source_a, source_b),
        weights=config.weights,
        noise_amps=noise_amps,
        coarsest_sigmas=coarsest_sigmas,
        fixed_rec=config.rec_noise == "fixed",
        recompute=config.save_memory,
        seed=config.seed,
        device=device,
        both=both,
    )


def open_inputs(config: TrainConfig) -> Inputs:
    """A picture or a clip, and a picture; UserError where one cannot be used."""
    coarsest = min(config.geometry.shapes[0])
    refuse_clip(config.input_b, "--input_b")
    kind = Clip if is_clip(config.input_a) else open_image
    return kind(config.input_a, "--input_a", coarsest), open_image(config.input_b, "--input_b", coarsest)


def fitted_geometry(config: TrainConfig, inputs: Inputs) -> Geometry:
    """The pyramids' sizes for these pictures; UserError where one is too long and thin for its shape to be kept."""
    geometry = config.geometry.of_pictures(*(picture.size for picture in inputs))
    for flag, shapes in zip("ab", geometry.domain_shapes, strict=True):
        try:
            config.architecture.check_fits(shapes[0])
        except ValueError as error:
            raise UserError(f"--keep_aspect: --input_{flag} is too long and thin; {error}") from None
    return geometry


def simplified(config: TrainConfig, geometry: Geometry, clip: Clip) -> Clip | SimplifiedClip:
    """The clip as the networks are to see it."""
    if not config.quant_level:
        return clip
    return SimplifiedClip(clip, geometry.domain_shapes[0][-1], config.quant_level)


def still_pyramids(config: TrainConfig, geometry: Geometry, inputs: Inputs, device: torch.device) -> Reals:
    """Both pictures, or the clip's first frame and the picture, at every scale."""
    a, b = inputs
    first = next(iter(simplified(config, geometry, a))) if isinstance(a, Clip) else a
    return tuple(
        image_pyramid(picture, shapes, device)
        for picture, shapes in zip((first, b), geometry.domain_shapes, strict=True)
    )


def write_results(run: RunFolder, pyramids: Pyramids, reals: Reals, seed: int) -> None:
    """The paired generation, the real images translated, the sheet and the loss curves (METHOD section 7)."""
    stop_scale = len(reals[0]) - 1
    samples = sample(pyramids, seed, reals[0][0].device)
    for name, image in samples._asdict().items():
        save_image(image, run.path / f"final_{name}.png")
    rows = [[("A", reals[0][-1]), ("B", reals[1][-1])]]
    rows.append([(f"final_{name}: sampled", image) for name, image in samples._asdict().items()])
    for scale in injection_scales(stop_scale, SHEET_LEVELS):
        translations = inject(pyramids, reals, scale, seed)
        rows.append([(f"{name}, injected at {scale}", image) for name, image in translations._asdict().items()])
        if scale == default_injection_scale(pyramids[0].shapes):
            save_image(translations.a2b, run.path / "real_a2b.png")
            save_image(translations.b2a, run.path / "real_b2a.png")
    save_sheet(rows, run.path / "results.png")
    save_loss_curves(RunLog(run.log).records(), run.path / "losses.png")


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
