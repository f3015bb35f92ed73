"""Use a trained pair: parse, load, inject real images or a clip's frames, or draw new ones, translate, save."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("eval")

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn

from config import parse_eval, recorded
from evaluation.clip import say_numbers, translate_clip
from evaluation.finishing import Finishing, find_finishing, trained_inputs, trained_option
from evaluation.samples import draw_samples
from finishing.full_size import FullSize, Job, Original, finish_all, finished_row, whole
from models.inference import (
    TrainedPair,
    default_injection_scale,
    inject,
    injection_scales,
    translate_directly,
)
from options import EvalOptions
from utils.clips.ffmpeg import import_av
from utils.clips.kind import is_clip, refuse_clip
from utils.video import Clip
from utils.device import device_name, pick_device, run_record
from utils.errors import UserError
from utils.interrupt import Stopped, StopRequest
from utils.metrics_file import Measured, MetricsFile
from utils.sifid import load_inception_stem
from utils.image import image_pyramid, image_to_tensor, open_image, save_image
from utils.sheet import save_sheet
from utils.runs.lock import FolderLock
from utils.run_folder import RunFolder
from utils.geometry import GEOMETRY_OPTIONS, MAX_SIDE, aspect_of


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
    finishing = find_finishing(
        trained,
        options.finish_size,
        options.structure,
        learned=options.out_size or pair.geometry.img_size,
        keep_aspect=pair.geometry.keep_aspect or options.keep_aspect,
        given=(image_a, image_b),
        wanted="b" if clip else "ab",
    )
    out = RunFolder(options.out)
    check_out(options, out, trained)
    with FolderLock(out.path, "--out"), StopRequest() as stop:
        check_out(options, out, trained)  # again: another process may have been there meanwhile
        out.clear()
        print(f"on {device_name(device)}, seed {options.seed}")
        record = run_record(recorded(options), device)
        out.record(record)
        metrics = MetricsFile(out.metrics, *(network_for_sifid(device) if options.metrics else ()))

        # Translate what is there, or draw.
        try:
            if clip is not None:
                numbers = translate_film(options, out, pair, clip, quant_level, finishing, stop)
                out.record(record | {"clip": numbers})
                if image_b is not None:
                    finest = pair.shapes_for(image_b.size, options.out_size, options.keep_aspect)[-1]
                    save_image(image_to_tensor(image_b, finest, device), out.path / "real_b.png")
            elif image_a is not None:
                translate_images(options, out, pair, (image_a, image_b), finishing, metrics, stop)
            if options.samples:
                draw_samples(
                    out.path,
                    pair,
                    options.samples,
                    out_size=options.out_size,
                    seed=options.seed,
                    finishing=finishing,
                    metrics=metrics,
                    should_stop=stop,
                )
        except Stopped:
            print(f"stopped; what was made until then is in {out.path}", file=sys.stderr)
            return 128 + stop.signal
    print(out.path / ("results.png" if a else "samples.png"))
    return 0


def load_trained(options: EvalOptions, device: torch.device) -> TrainedPair:
    """The pair in --load; UserError where it is unfinished, or what is asked of it does not fit."""
    RunFolder(options.load).check_filled_by("train.py")
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


def check_out(options: EvalOptions, out: RunFolder, trained: RunFolder) -> None:
    """UserError where the results must not go into --out."""
    if out.is_same(trained):
        raise UserError(f"--out {options.out}: is the folder --load names; choose another for the evaluation")
    out.check_untrained()
    inputs = {"--input_a": options.input_a, "--input_b": options.input_b}
    out.check_spares(inputs | trained_inputs(trained), trained)
    out.check_free(options.overwrite)


def translate_images(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    images: tuple[Image.Image, Image.Image],
    finishing: Finishing | None,
    metrics: MetricsFile,
    should_stop: Callable[[], bool],
) -> None:
    """Both images directly and from every injection scale (docs/method.md, section 8), one pair of them finished; measured."""
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
    if options.metrics:
        metrics.add_measured(measured)

    # Finish what comes of one injection scale.
    if finishing is None:
        return
    scale = default_injection_scale(shapes[0]) if options.inject_scale is None else options.inject_scale
    if f"inject_{scale:02d}_a2b" not in results:  # --inject_levels leaves it out
        injected = inject(pyramids, reals, scale, options.seed)._asdict()
        results |= {f"inject_{scale:02d}_{name}": image for name, image in injected.items()}
    originals = {name: Original(image, "") for name, image in zip(("a2b", "b2a"), images, strict=True)}
    jobs: list[Job] = []
    for look, (name, original) in zip((1, 0), originals.items(), strict=True):
        jobs += finishing.jobs(f"finished_{name}", results[f"inject_{scale:02d}_{name}"], look, original)
    finished = dict(finish_all(jobs, out.path, should_stop))
    metrics.add_copied({name: full.copied for name, full in finished.items()})
    if finished:
        save_sheet([finished_row([*originals.values()], finished), *rows], out.path / "results.png")
    if options.metrics:
        metrics.add_measured({name: measured_finished(originals[name[-3:]], full) for name, full in finished.items()})


def measured_finished(original: Original, full: FullSize) -> Measured:
    """A finished translation, compared at its own size, on its device."""
    shape, device = full.image.shape[-2:], full.image.device
    return Measured(full.image, whole(original.image, shape).to(device), full.reference.to(device))


def network_for_sifid(device: torch.device) -> tuple[nn.Module | None, str]:
    """SIFID's network; or none, for a reason that is said, too."""
    try:
        return load_inception_stem(device), ""
    except UserError as error:
        reason = " ".join(str(error).split())
        print(f"warning: {reason}; the other measures are in metrics.json", file=sys.stderr)
        return None, reason


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
