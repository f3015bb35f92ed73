"""Use a trained pair: parse, load, inject real images or a clip's frames, or draw new ones, translate, finish, save."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("eval.py", "eval")

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from config import parse_eval, recorded
from finishing.full_size import whole
from models.clip import translate_clip
from models.inference import TrainedPair, injection_scales
from models.results import Finishing, draw_samples, find_references, finish_pair, inject_both, save_images
from use_options import EvalOptions
from utils.device import device_name, pick_device, run_record
from utils.errors import UserError
from utils.geometry import GEOMETRY_OPTIONS, MAX_SIDE, aspect_of
from utils.image import image_pyramid, image_to_tensor, open_image
from utils.interrupt import Stopped, StopRequest
from utils.measures import MetricsFile
from utils.palette import simplified
from utils.run_folder import RunFolder
from utils.sheet import save_sheet
from utils.video import Clip, is_clip


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_eval(arguments)
    device = pick_device(options.gpu_id, options.not_cuda)
    trained = RunFolder(options.load)
    pair = load_trained(options, device)
    as_trained = trained.options()
    inputs = open_inputs(options, min(pair.geometry.shapes[0]), as_trained["quant_level"])
    for flag, image in zip(("--input_a", "--input_b"), inputs, strict=True):
        if image is not None and min(pair.shapes_for(image.size, options.out_size, options.keep_aspect)[0]) < 2:
            raise UserError(f"{flag}: is too long and thin for --keep_aspect; leave the option out, or cut the image")
    learned = options.out_size or pair.geometry.img_size
    finish_size = options.finish_size
    if finish_size is None:
        finish_size = max(as_trained["finish_size"], learned) if as_trained["finish_size"] else 0
    if 0 < finish_size < learned:
        raise UserError(f"--finish_size {finish_size}: must be at least {learned}, the learned images' side, or 0")
    structure = as_trained["structure"] if options.structure is None else options.structure
    keep_aspect = pair.geometry.keep_aspect or options.keep_aspect
    out = RunFolder(options.out)
    read = {"--input_a": options.input_a, "--input_b": options.input_b}
    read |= {f"--load {trained.path}: its image {x}": Path(as_trained[f"input_{x}"]) for x in "ab"}
    out.check_free("eval.py", {flag: path for flag, path in read.items() if path is not None}, options.overwrite)
    finishing = None
    if finish_size:
        references = find_references(trained, inputs, "b" if isinstance(inputs[0], Clip) else "ab")
        finishing = Finishing(references, finish_size, structure, keep_aspect)
    with out.locked(), StopRequest() as stop:
        out.begin("eval.py", run_record(recorded(options), device))
        print(f"on {device_name(device)}, seed {options.seed}")
        metrics = MetricsFile(out.path / "metrics.json")

        # Translate what is there, or draw.
        try:
            if isinstance(inputs[0], Clip):
                translate_video(options, out, pair, inputs, as_trained["quant_level"], finishing, stop)
            elif inputs[0] is not None:
                translate_images(options, out, pair, inputs, finishing, metrics, stop)
            if options.samples:
                shares = draw_samples(out, pair, options.samples, options.out_size, options.seed, finishing, stop)
                add_copied(metrics, shares, out)
        except Stopped:
            print(f"stopped; what was made until then is in {out.path}", file=sys.stderr)
            return stop.status
        out.record(finished=True)
    print(out.path / ("results.png" if inputs[0] is not None else "samples.png"))
    return 0


def load_trained(options: EvalOptions, device: torch.device) -> TrainedPair:
    """The trained pair; UserError where it cannot be used, or options contradict how it was trained."""
    pair = TrainedPair.load(options.load, device)
    for name in GEOMETRY_OPTIONS:
        asked, found = getattr(options, name), getattr(pair.geometry, name)
        if asked is not None and asked != found:
            raise UserError(f"--{name} {asked}: contradicts {found}, which the run in --load was trained with")
    stop_scale, out_size = pair.geometry.stop_scale, options.out_size
    if options.inject_scale is not None and options.inject_scale > stop_scale:
        raise UserError(f"--inject_scale {options.inject_scale}: must be 0 to {stop_scale}, the run's finest scale")
    if out_size is not None and not pair.geometry.min_size <= out_size <= MAX_SIDE:
        raise UserError(f"--out_size {out_size}: must be {pair.geometry.min_size} to {MAX_SIDE}")
    return pair


def open_inputs(
    options: EvalOptions, coarsest: int, quant_level: int
) -> tuple[Image.Image | Clip | None, Image.Image | None]:
    """A, an image or a clip, and B; a still in place of a clip is simplified as the clip was."""
    a, b = options.input_a, options.input_b
    image_b = open_image(b, "--input_b", coarsest) if b else None
    if a and is_clip(a):
        import av  # noqa: F401  (an error now, not when the old results are cleared)

        return Clip(a, "--input_a", coarsest), image_b
    if not a:
        return None, image_b
    image = open_image(a, "--input_a", coarsest)
    return simplified(image, quant_level, image.size[::-1]), image_b


def translate_images(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    images: Sequence[Image.Image],
    finishing: Finishing | None,
    metrics: MetricsFile,
    stop: StopRequest,
) -> None:
    """Both images, directly and from each injection scale; one of these finished; the sheet; the measures."""
    # Translate.
    shapes = [pair.shapes_for(image.size, options.out_size, options.keep_aspect) for image in images]
    reals = [image_pyramid(image, own, pair.device) for image, own in zip(images, shapes, strict=True)]
    pyramids = pair.reshaped(*shapes)
    direct = {"real_a": reals[0][-1], "real_b": reals[1][-1]}
    direct |= {"direct_a2b": pyramids[1].translate(reals[0][-1]), "direct_b2a": pyramids[0].translate(reals[1][-1])}
    save_images(direct, out)
    results, rows = dict(direct), [list(direct.items())]
    finest = injection_scales(pair.geometry.stop_scale, options.inject_levels)
    shown = pair.default_scale() if options.inject_scale is None else options.inject_scale
    for scale in finest if options.inject_scale is None else [shown]:
        stop.check()
        injected = inject_both(pyramids, reals, scale, options.seed)
        named = {f"inject_{scale:02d}_{name}": image for name, image in injected.items()}
        save_images(named, out)
        results |= named
        rows.append(list(named.items()))
        if scale == shown:
            chosen = injected
    if shown not in finest and options.inject_scale is None:  # --inject_levels leaves it out
        chosen = inject_both(pyramids, reals, shown, options.seed)

    # Finish what comes of one injection scale, and measure.
    finished, first_row = finish_pair(out, images, chosen, finishing, stop)
    save_sheet([first_row, *rows], out.claim("results.png"))
    add_copied(metrics, {name: full.copied for name, full in finished.items()}, out)
    if options.metrics:
        out.claim("metrics.json")
        real = dict(zip(("a2b", "b2a"), ((reals[0][-1], reals[1][-1]), (reals[1][-1], reals[0][-1])), strict=True))
        measured = {name: (image, *real[name[-3:]]) for name, image in results.items() if name[-3:] in real}
        for name, full in finished.items():
            own = images[0 if name.endswith("a2b") else 1]
            measured[name] = (full.image, whole(own, tuple(full.image.shape[-2:])), full.references[0])
        metrics.add_measured(measured)


def add_copied(metrics: MetricsFile, shares: dict[str, float], out: RunFolder) -> None:
    """Record the share of each finished image that was copied in one piece."""
    if shares:
        out.claim("metrics.json")
        metrics.add_copied(shares)


def translate_video(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    inputs: tuple[Clip, Image.Image | None],
    quant_level: int,
    finishing: Finishing | None,
    stop: StopRequest,
) -> None:
    """A clip translated, and finished; its numbers go into config.json."""
    clip, image_b = inputs
    if image_b is not None:
        finest = pair.shapes_for(image_b.size, options.out_size, options.keep_aspect)[-1]
        save_images({"real_b": image_to_tensor(image_b, finest, pair.device)}, out)
    numbers = translate_clip(
        out,
        pair,
        clip,
        pair.shapes_for(clip.size, options.out_size, options.keep_aspect),
        pair.geometry.shapes_for(aspect_of(clip.size), options.out_size)[-1][::-1],
        scale=pair.default_scale() if options.inject_scale is None else options.inject_scale,
        quant_level=quant_level,
        seed=options.seed,
        gif=options.gif,
        finisher=finishing.finishers[1] if finishing is not None else None,
        stop=stop,
    )
    out.record(clip=numbers)
