"""Train on one pair of images: parse, prepare the run folder, train every scale, write the results."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("train")

import os
from collections.abc import Sequence
from functools import partial

import torch
from PIL import Image

from config import parse_train, recorded
from models.inference import default_injection_scale, inject, injection_scales, sample
from models.results import Originals, finish_pair
from models.run import Run
from options import TrainOptions, pick
from training.frames import frames, still
from training.pair import PairRecipe
from training.resume import carry_out
from utils.device import pick_device
from utils.errors import StopRequest, UserError
from utils.geometry import Geometry
from utils.image import fingerprint, image_pyramid, open_image, save_images, simplified
from utils.measures import FLAT, measure
from utils.run_folder import RunFolder
from utils.sheet import save_loss_curves, save_sheet
from utils.video import Clip, Excerpt, open_input

# From what score on a run counts as failed, and the weight in it of what the discriminators still tell apart;
# docs/measurements.md has the runs they were chosen on.
POOR_LOOK, TOLD_APART = 0.25, 0.15
Reals = tuple[list[torch.Tensor], list[torch.Tensor]]  # of both domains, at every scale


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_train(arguments)
    if options.deterministic:  # or an error where PyTorch has no such operation
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the GPU is first used
        torch.use_deterministic_algorithms(True)
    device = pick_device(options.gpu_id, options.not_cuda)
    coarsest = min(options.geometry.shapes[0])
    a = open_input(options.input_a, "--input_a", coarsest, pick(Excerpt, options))
    b = open_image(options.input_b, "--input_b", coarsest)
    if isinstance(a, Clip):
        print(f"A: {len(a)} frames, {float(a.times[-1]):.1f} s; every scale reads them, in about {a.took:.1f} s")
    run = Run(RunFolder(options.out), fitted_geometry(options, (a.size, b.size)), options.architecture, device)
    stills = (next(iter(a)) if isinstance(a, Clip) else a, b)
    shapes_a, shapes_b = run.geometry.domain_shapes
    real_a = image_pyramid(simplified(stills[0], options.quant_level, shapes_a[-1]), shapes_a, device)
    reals = real_a, image_pyramid(b, shapes_b, device)

    # Train (training.loop takes the steps, training.pair draws their inputs, training.step is one), then write_results.
    carry_out(
        "train.py",
        run,
        pair_recipe(options, run, a, reals),
        options.schedule,
        {"--input_a": options.input_a, "--input_b": options.input_b},
        {"--input_a": a.fingerprint() if isinstance(a, Clip) else fingerprint(a), "--input_b": fingerprint(b)},
        partial(write_results, options, run, stills, reals),
        load=options.load,
        overwrite=options.overwrite,
        dry_run=options.dry_run,
        options=recorded(options),
        result_options=("input_a", "input_b", "finish_size", "structure", "manualSeed"),
    )
    return 0


def fitted_geometry(options: TrainOptions, sizes: tuple[tuple[int, int], tuple[int, int]]) -> Geometry:
    """The pyramids' sizes for images of these (width, height); UserError where one is too thin to keep its shape."""
    geometry = options.geometry.of_images(*sizes)
    for x, shapes in zip("ab", geometry.domain_shapes, strict=True):
        try:
            options.architecture.check_fits(shapes[0])
        except ValueError as error:
            raise UserError(f"--keep_aspect: --input_{x} is too long and thin; {error}") from None
    return geometry


def pair_recipe(options: TrainOptions, run: Run, a: Image.Image | Clip, reals: Reals) -> PairRecipe:
    """What is to be trained: the images `reals`, or all frames where A is a clip (docs/method.md, section 12)."""
    noise_amps = (options.noise_amp_a, options.noise_amp_b)
    coarsest_sigmas, source_a = noise_amps, still(reals[0])
    if isinstance(a, Clip):
        shapes = run.geometry.domain_shapes[0]
        source_a = frames(a, options.quant_level, shapes, options.manualSeed, run.device, options.out)
        coarsest_sigmas = (1.0, 1.0)
    return PairRecipe(
        optimiser=options.optimiser,
        reals=(source_a, still(reals[1])),
        weights=options.weights,
        noise_amps=noise_amps,
        coarsest_sigmas=coarsest_sigmas,
        fixed_rec=options.rec_noise == "fixed",
        real_start=options.real_start,
        recompute=options.save_memory,
        seed=options.manualSeed,
    )


def write_results(
    options: TrainOptions, run: Run, stills: tuple[Image.Image, Image.Image], reals: Reals, stop: StopRequest
) -> None:
    """The paired generation, the real images translated and finished, the loss curves; last the sheet
    (docs/method.md, section 7). A clip is shown by its first frame."""
    # Sample, and translate from every injection scale.
    folder = run.folder
    samples = {f"final_{name}": image for name, image in sample(run.pyramids, options.manualSeed, run.device).items()}
    save_images(samples, folder)
    rows = [[(f"new sample: {name.removeprefix('final_')}", image) for name, image in samples.items()]]
    for scale in injection_scales(run.geometry.stop_scale):
        stop.check()
        translations = inject(run.pyramids, "a2b", reals[0][scale], scale, options.manualSeed)
        translations |= inject(run.pyramids, "b2a", reals[1][scale], scale, options.manualSeed)
        rows.append([(f"{name}, injected at {scale}", image) for name, image in translations.items()])
        if scale == default_injection_scale(run.geometry.shapes):
            chosen = translations
    save_images({"real_a2b": chosen["a2b"], "real_b2a": chosen["b2a"]}, folder)
    logged = folder.logged()
    warn_of_poor_looks(chosen, reals, logged[-1] if logged else {})
    save_loss_curves(logged, folder.claim("losses.png"))

    # Finish.
    images = [simplified(stills[0], options.quant_level, stills[0].size[::-1]), stills[1]]
    originals = Originals(images, options.finish_size, options.structure)
    _, first_row = finish_pair(folder, images, chosen, originals, stop)
    save_sheet([first_row, *rows], folder.claim("results.png"))


def warn_of_poor_looks(translations: dict[str, torch.Tensor], reals: Reals, losses: dict[str, float]) -> None:
    """A line where neither domain's look was learned, as far as numbers can tell.

    The distance of a translation's patches, in standard deviations of the image that gives the look, alone misses pairs
    of unlike things; the last scores of the discriminators (`losses`, of a log line) alone would flag dark images.
    """
    distances, margins = [], []
    for name, layout, look in (("a2b", 0, 1), ("b2a", 1, 0)):
        real, x = reals[look][-1], "ab"[look]
        if measured := measure(translations[name], reals[layout][-1], real):  # nothing of images too small to tell
            distances.append(measured["sliced_wasserstein"] / max(real.std(dim=(2, 3)).mean().item(), FLAT))
        margins.append(-losses.get(f"D/real_{x}", 0.0) - losses.get(f"D/fake_{x}", 0.0))
    score = min(distances, default=0.0) + TOLD_APART * min(margins)
    if distances and score > POOR_LOOK:
        print(
            f"note: neither look was learned well (score {score:.2f}; good: below {POOR_LOOK}). The steps may be too "
            "few, or A and B have too little in common: see 'When it goes wrong' in README.md"
        )
