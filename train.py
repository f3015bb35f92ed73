"""Train on one pair of images: parse, prepare the run folder, train every scale, write the results."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("train")

from collections.abc import Callable, Sequence

import torch
from PIL import Image

from config import parse_train, recorded
from finishing.full_size import Original, finish_all, finished_row, translation_jobs
from models.inference import Pyramids, default_injection_scale, inject, injection_scales, sample
from models.snapshot import Run
from options import TrainOptions
from training.domains import DomainThreads
from training.lifecycle import announce, begin, stopped, writing
from training.loop import train
from training.pair import PASSES, PairRecipe
from training.reals import frames, still
from utils.clips.kind import is_clip, refuse_clip
from utils.clips.simplified import first_frame, simplified
from utils.video import Clip
from utils.device import compute_deterministically, pick_device, run_record, use_precision
from utils.errors import UserError
from utils.interrupt import Stopped, StopRequest
from utils.metrics_file import MetricsFile
from utils.image import fingerprint, image_pyramid, open_image, save_image
from utils.sheet import save_sheet
from utils.log import RunLog
from utils.runs.loss_curves import save_loss_curves
from utils.run_folder import RunFolder
from utils.geometry import Geometry

SHEET_LEVELS = 5
Inputs = tuple[Image.Image | Clip, Image.Image]
Reals = tuple[list[torch.Tensor], list[torch.Tensor]]  # of both domains, at every scale


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_train(arguments)
    compute_deterministically(options.deterministic)
    device = pick_device(options.gpu_id, options.not_cuda)
    use_precision(options.precision, device)
    inputs = open_inputs(options)
    a, b = inputs
    fingerprints = {
        "--input_a": a.fingerprint() if isinstance(a, Clip) else fingerprint(a),
        "--input_b": fingerprint(b),
    }
    run = Run(RunFolder(options.out), fitted_geometry(options, inputs), options.architecture, device)
    source = RunFolder(options.load) if options.load is not None else None
    paths = {"--input_a": options.input_a, "--input_b": options.input_b}
    trained = begin(run, source, paths, fingerprints, options.optimiser, options.overwrite)
    costs = announce(run, trained, options.niter, PASSES, options.seed)
    if device.type == "cpu" and options.preset == "paper" and trained.scale <= run.geometry.stop_scale:
        print(
            "warning: the paper's settings are made for a GPU and take days on a CPU; "
            "--preset quick gives a smaller result in minutes",
            file=sys.stderr,
        )
    if options.dry_run:
        return 0

    # Train.
    record = run_record(recorded(options), device) | {"fingerprints": list(fingerprints.values())}
    finished = trained.scale > run.geometry.stop_scale
    threads = DomainThreads(device, side_by_side=not options.save_memory, bf16=options.precision == "bf16")
    with writing(run, source, options.overwrite, None if finished else record):
        if finished:  # The record of its training stays; only what its results are made with now is new.
            made_with = ("input_a", "input_b", "finish_size", "structure")
            run.folder.record_options({name: recorded(options)[name] for name in made_with})
        reals = still_pyramids(options, run.geometry, inputs, device)
        with StopRequest() as stop:
            with threads as both:
                recipe = pair_recipe(options, run, a, reals, both)
                pyramids = train(run, recipe, options.schedule, trained, costs, stop)
            if pyramids is None:
                return stopped("train.py", run, stop)

            # Write what a person wants to see.
            originals = tuple(first_frame(image, options.quant_level, image.size[::-1]) for image in inputs)
            try:
                write_results(options, run.folder, pyramids, reals, originals, stop)
            except Stopped:
                return stopped("train.py", run, stop)
    print(run.folder.path / "results.png")
    return 0


def pair_recipe(
    options: TrainOptions, run: Run, a: Image.Image | Clip, reals: Reals, both: DomainThreads
) -> PairRecipe:
    """What is to be trained: on the images `reals`, but on all frames where A is a clip (docs/method.md, section 5 and 12)."""
    noise_amps = (options.noise_amp_a, options.noise_amp_b)
    coarsest_sigmas = noise_amps
    source_a, source_b = still(reals[0]), still(reals[1])
    if isinstance(a, Clip):
        clip = simplified(a, options.quant_level, run.geometry.domain_shapes[0][-1])
        source_a = frames(clip, run.geometry.domain_shapes[0], options.seed, run.device, options.out)
        coarsest_sigmas = (1.0, 1.0)
    return PairRecipe(
        optimiser=options.optimiser,
        reals=(source_a, source_b),
        weights=options.weights,
        noise_amps=noise_amps,
        coarsest_sigmas=coarsest_sigmas,
        fixed_rec=options.rec_noise == "fixed",
        real_start=options.real_start,
        recompute=options.save_memory,
        seed=options.seed,
        device=run.device,
        both=both,
    )


def open_inputs(options: TrainOptions) -> Inputs:
    """An image or a clip, and an image; UserError where one cannot be used."""
    coarsest = min(options.geometry.shapes[0])
    refuse_clip(options.input_b, "--input_b")
    kind = Clip if is_clip(options.input_a) else open_image
    return kind(options.input_a, "--input_a", coarsest), open_image(options.input_b, "--input_b", coarsest)


def fitted_geometry(options: TrainOptions, inputs: Inputs) -> Geometry:
    """The pyramids' sizes for these images; UserError where one is too long and thin for its shape to be kept."""
    geometry = options.geometry.of_images(*(image.size for image in inputs))
    for x, shapes in zip("ab", geometry.domain_shapes, strict=True):
        try:
            options.architecture.check_fits(shapes[0])
        except ValueError as error:
            raise UserError(f"--keep_aspect: --input_{x} is too long and thin; {error}") from None
    return geometry


def still_pyramids(options: TrainOptions, geometry: Geometry, inputs: Inputs, device: torch.device) -> Reals:
    """Both images, or the clip's first frame and the image, at every scale."""
    return tuple(
        image_pyramid(first_frame(image, options.quant_level, shapes[-1]), shapes, device)
        for image, shapes in zip(inputs, geometry.domain_shapes, strict=True)
    )


def write_results(
    options: TrainOptions,
    folder: RunFolder,
    pyramids: Pyramids,
    reals: Reals,
    originals: tuple[Image.Image, Image.Image],
    should_stop: Callable[[], bool],
) -> None:
    """The paired generation, the real images translated and finished, the sheet, the loss curves (docs/method.md, section 7)."""
    # Sample, and translate from every injection scale.
    samples = sample(pyramids, options.seed, reals[0][0].device)
    for name, image in samples._asdict().items():
        save_image(image, folder.path / f"final_{name}.png")
    rows = [[("A", reals[0][-1]), ("B", reals[1][-1])]]
    rows.append([(f"final_{name}: sampled", image) for name, image in samples._asdict().items()])
    for scale in injection_scales(len(reals[0]) - 1, SHEET_LEVELS):
        translations = inject(pyramids, reals, scale, options.seed)
        rows.append([(f"{name}, injected at {scale}", image) for name, image in translations._asdict().items()])
        if scale == default_injection_scale(pyramids[0].shapes):
            real = translations
    save_image(real.a2b, folder.path / "real_a2b.png")
    save_image(real.b2a, folder.path / "real_b2a.png")
    save_sheet(rows, folder.path / "results.png")
    save_loss_curves(RunLog(folder.log).records(), folder.path / "losses.png")

    # Finish.
    if options.finish_size:
        named = [Original(image, f"--input_{x}") for image, x in zip(originals, "ab", strict=True)]
        jobs = translation_jobs(
            named, (real.a2b, real.b2a), options.finish_size, options.structure, options.keep_aspect
        )
        finished = dict(finish_all(jobs, folder.path, should_stop))
        MetricsFile(folder.metrics).add_copied({name: full.copied for name, full in finished.items()})
        if finished:
            save_sheet([finished_row(named, finished), *rows[1:]], folder.path / "results.png")
