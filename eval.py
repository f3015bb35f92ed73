"""Use a trained pair: parse, load, inject real images or a clip's frames, or draw new ones, translate, save."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("eval")

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from config import parse_eval, recorded
from evaluation.clip import say_numbers, translate_clip
from evaluation.finishing import Finishing, find_references, trained_option
from finishing.full_size import FullSize, Job, Original, copied_shares, finish_all, finished_row, whole
from models.inference import (
    TrainedPair,
    default_injection_scale,
    inject,
    injection_scales,
    sample,
    translate_directly,
)
from options import EvalOptions
from utils.clips.ffmpeg import import_av
from utils.clips.kind import is_clip, refuse_clip
from utils.clips.video import Clip
from utils.device import device_name, pick_device, run_record
from utils.errors import UserError
from utils.interrupt import Stopped, StopRequest
from utils.measures.metrics_file import Measured, write_metrics
from utils.measures.sifid import load_inception_stem
from utils.pictures.image import image_pyramid, image_to_tensor, open_image, save_image
from utils.pictures.sheet import Cell, save_sheet
from utils.runs.lock import FolderLock
from utils.runs.run_folder import RunFolder
from utils.scales import GEOMETRY_OPTIONS, MAX_SIDE, aspect_of

SHEET_SAMPLES = 16
# The images of a sample: whose shape each has, and whose look; 0 is a, 1 is b.
SAMPLE_KINDS = (("fake_a", 0, 0), ("a2b", 0, 1), ("fake_b", 1, 1), ("b2a", 1, 0))


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_eval(arguments)
    device = pick_device(options.gpu_id, options.not_cuda)
    trained = RunFolder(options.load)
    pair = load_trained(options, device)
    coarsest = min(pair.geometry.shapes[0])
    a, b = options.input_a, options.input_b
    clip = Clip(a, "--input_a", coarsest) if a and is_clip(a) else None
    if clip:
        import_av(f"--out {options.out}: ")  # now, not when the old results are cleared
    if b:
        refuse_clip(b, "--input_b")
    image_a = open_image(a, "--input_a", coarsest) if a and not clip else None
    image_b = open_image(b, "--input_b", coarsest) if b else None
    quant_level = trained_option(trained, "quant_level", int) if clip else 0
    finishing = finishing_of(options, pair, trained, (image_a, image_b))
    out = RunFolder(options.out)
    check_out(options, out, trained)
    with FolderLock(out.path, "--out"), StopRequest() as stop:
        check_out(options, out, trained)  # again: another process may have been there meanwhile
        out.clear()
        print(f"on {device_name(device)}, seed {options.seed}")
        record = run_record(recorded(options), device)
        out.record(record)

        # Translate what is there, or draw.
        try:
            if clip is not None:
                numbers = translate_film(options, out, pair, clip, quant_level, finishing, stop)
                out.record(record | {"clip": numbers})
                if image_b is not None:
                    finest = pair.shapes_for(image_b.size, options.out_size, options.keep_aspect)[-1]
                    save_image(image_to_tensor(image_b, finest, device), out.path / "real_b.png")
            elif image_a is not None:
                translate_images(options, out, pair, (image_a, image_b), finishing, stop)
            if options.samples:
                draw_samples(options, out, pair, finishing, stop)
        except Stopped:
            print(f"stopped; what was made until then is in {out.path}", file=sys.stderr)
            return 128 + stop.signal
    print(out.path / ("results.png" if a else "samples.png"))
    return 0


def load_trained(options: EvalOptions, device: torch.device) -> TrainedPair:
    """The pair in --load; UserError where it is unfinished, or what is asked of it does not fit."""
    pair = TrainedPair.load(options.load, device)
    for name in GEOMETRY_OPTIONS:
        asked, made = getattr(options, name), getattr(pair.geometry, name)
        if asked not in (None, made):
            raise UserError(f"--{name} {asked} contradicts {made}, which --load {options.load} was made with")
    finest, coarsest = pair.geometry.stop_scale, pair.geometry.min_size
    if options.inject_scale is not None and options.inject_scale > finest:
        raise UserError(
            f"--inject_scale {options.inject_scale}: the run in --load {options.load} has scales 0 to {finest}"
        )
    if options.out_size is not None and not coarsest <= options.out_size <= MAX_SIDE:
        raise UserError(f"--out_size {options.out_size}: must be {coarsest} to {MAX_SIDE} for this run")
    return pair


def finishing_of(
    options: EvalOptions, pair: TrainedPair, trained: RunFolder, given: tuple[Image.Image | None, Image.Image | None]
) -> Finishing | None:
    """How to finish, as asked for or else as the run was trained; None for not at all."""
    size, structure = options.finish_size, options.structure
    size = trained_option(trained, "finish_size", int) if size is None else size
    structure = trained_option(trained, "structure", float) if structure is None else structure
    learned = options.out_size or pair.geometry.img_size
    if not size:
        return None
    if size < learned:
        raise UserError(f"--finish_size {size}: must be at least {learned}, the learned images' side, or 0")
    keep_aspect = pair.geometry.keep_aspect or options.keep_aspect
    return Finishing(size, structure, keep_aspect, find_references(trained, given))


def check_out(options: EvalOptions, out: RunFolder, trained: RunFolder) -> None:
    """UserError where the results must not go into --out."""
    if out.is_same(trained):
        raise UserError(f"--out {options.out}: is the folder --load names; choose another for the evaluation")
    if {out.scale(0), out.state} & set(out.own_files()):
        raise UserError(f"--out {options.out}: holds a training run; choose another for the evaluation")
    out.check_spares({"--input_a": options.input_a, "--input_b": options.input_b}, trained)
    out.check_free(options.overwrite, "--overwrite to replace them, or choose another --out")


def translate_images(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    images: tuple[Image.Image, Image.Image],
    finishing: Finishing | None,
    should_stop: Callable[[], bool],
) -> None:
    """Both images directly and from every injection scale (METHOD section 8), one pair of them finished; measured."""
    # Translate.
    shapes = [pair.shapes_for(image.size, options.out_size, options.keep_aspect) for image in images]
    reals = tuple(image_pyramid(image, own, pair.device) for image, own in zip(images, shapes, strict=True))
    pyramids = pair.reshaped(*shapes)
    results = {"real_a": reals[0][-1], "real_b": reals[1][-1]}
    results["direct_a2b"], results["direct_b2a"] = translate_directly(pyramids, reals)
    rows = [list(results.items())]
    scales = injection_scales(pair.geometry.stop_scale, options.inject_levels)
    for scale in scales if options.inject_scale is None else [options.inject_scale]:
        injected = inject(pyramids, reals, scale, options.seed)._asdict()
        row = [(f"inject_{scale:02d}_{name}", image) for name, image in injected.items()]
        results |= dict(row)
        rows.append(row)
    for name, image in results.items():
        save_image(image, out.path / f"{name}.png")
    save_sheet(rows, out.path / "results.png")
    real_a, real_b = results["real_a"], results["real_b"]
    compared = {"a2b": (real_a, real_b), "b2a": (real_b, real_a)}
    measured = {name: Measured(image, *compared[name[-3:]]) for name, image in results.items() if name[-3:] in compared}

    # Finish what comes of one injection scale.
    finished: dict[str, FullSize] = {}
    if finishing is not None:
        scale = default_injection_scale(shapes[0]) if options.inject_scale is None else options.inject_scale
        if f"inject_{scale:02d}_a2b" not in results:  # --inject_levels leaves it out
            injected = inject(pyramids, reals, scale, options.seed)._asdict()
            results |= {f"inject_{scale:02d}_{name}": image for name, image in injected.items()}
        shown = [Original(image, "") for image in images]
        jobs = finishing.jobs("finished_a2b", results[f"inject_{scale:02d}_a2b"], 1, shown[0])
        jobs += finishing.jobs("finished_b2a", results[f"inject_{scale:02d}_b2a"], 0, shown[1])
        finished = finish_all(jobs, out.path, should_stop)
        row = finished_row(shown, finished)
        save_sheet([row, *rows], out.path / "results.png")
    for name, full in finished.items():
        own = images[0] if name == "finished_a2b" else images[1]
        measured[name] = Measured(full.image, whole(own, full.image.shape[-2:]), full.reference)
    write_measures(options.metrics, out, measured, copied_shares(finished), pair.device)


def write_measures(
    wanted: bool, out: RunFolder, measured: dict[str, Measured], copied: dict[str, float], device: torch.device
) -> None:
    """Write the measures of the translations, without SIFID where its network cannot be had, and what was copied."""
    stem, reason = None, ""
    if wanted:
        try:
            stem = load_inception_stem(device)
        except UserError as error:
            reason = " ".join(str(error).split())
            print(f"warning: {reason}; the other measures are in metrics.json", file=sys.stderr)
    if wanted or copied:
        write_metrics(measured if wanted else {}, copied, out.metrics, stem, reason)


def draw_samples(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    finishing: Finishing | None,
    should_stop: Callable[[], bool],
) -> None:
    """New images of each domain, each with its analogy in the other: "paired generation"; finished, too."""
    aspects = pair.geometry.aspect_a, pair.geometry.aspect_b
    pyramids = pair.reshaped(*(pair.geometry.shapes_for(aspect, options.out_size) for aspect in aspects))
    rows: list[list[Cell]] = []
    jobs: list[Job] = []
    for index in range(options.samples):
        images = sample(pyramids, options.seed, pair.device, index)._asdict()
        row = [(f"sample_{index:03d}_{name}", image) for name, image in images.items()]
        for name, image in row:
            save_image(image, out.path / f"{name}.png")
        rows += [row] if index < SHEET_SAMPLES else []
        for name, layout, look in SAMPLE_KINDS if finishing is not None else ():
            jobs += finishing.jobs(f"sample_{index:03d}_finished_{name}", images[name], look, finishing.references[layout])
    save_sheet(rows, out.path / "samples.png")
    if jobs:
        finished = finish_all(jobs, out.path, should_stop)
        cells = [(name, full.image) for name, full in finished.items()][: 4 * SHEET_SAMPLES]
        save_sheet([cells[i : i + 4] for i in range(0, len(cells), 4)], out.path / "finished_samples.png")
        if not options.input_a:
            write_metrics({}, copied_shares(finished), out.metrics, None)


def translate_film(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    clip: Clip,
    quant_level: int,
    finishing: Finishing | None,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """A clip translated, and finished; its numbers."""
    numbers = translate_clip(
        out.path,
        pair,
        clip,
        pair.shapes_for(clip.size, options.out_size, options.keep_aspect),
        pair.geometry.shapes_for(aspect_of(clip.size), options.out_size)[-1][::-1],
        scale=options.inject_scale,
        quant_level=quant_level,
        seed=options.seed,
        gif=options.gif,
        finisher=finishing.finisher(1) if finishing is not None else None,
        should_stop=should_stop,
    )
    say_numbers(out.path, numbers)
    return numbers
