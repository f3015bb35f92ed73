"""Use a trained pair: parse, load, inject real images or a clip's frames, or draw new ones, translate, finish, save."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("eval")

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from config import parse_eval, recorded
from models.clip import translate_clip
from models.inference import SAMPLE, TrainedPair, default_injection_scale, inject, injection_scales
from models.results import Originals, draw_samples, finish_pair, save_choices
from options import EvalOptions, pick
from utils.device import device_name, pick_device, run_record
from utils.errors import StopRequest, UserError
from utils.geometry import MAX_SIDE, Geometry
from utils.image import image_pyramid, image_to_tensor, open_image, save_images, simplified
from utils.measures import measure_saved, save_metrics
from utils.run_folder import RunFolder
from utils.sheet import save_sheet
from utils.video import Clip, Excerpt, open_input

Inputs = tuple[Image.Image | Clip | None, Image.Image | None]


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_eval(arguments)
    device = pick_device(options.gpu_id, options.not_cuda)
    pair = TrainedPair.load(options.load, device, out_size=options.out_size, keep_aspect=options.keep_aspect)
    as_trained = pair.folder.options()
    check_against(options, pair.geometry)
    finish_size = size_to_finish_at(options, pair.geometry, as_trained["finish_size"])
    inputs = open_inputs(options, pair)
    out = RunFolder(options.out)
    read = {"--input_a": options.input_a, "--input_b": options.input_b}
    masks = options.source_mask_a, options.source_mask_b
    read |= {"--source_mask_a": masks[0], "--source_mask_b": masks[1]}
    read |= {f"--load {options.load}: its image {x}": Path(as_trained[f"input_{x}"]) for x in "ab"}
    out.check_free("eval.py", {flag: path for flag, path in read.items() if path is not None}, options.overwrite)
    originals = Originals()
    if any(masks) and not (finish_size or options.choices):
        raise UserError("--source_mask_a, --source_mask_b: are for finishing; give --finish_size")
    if masks[0] and isinstance(inputs[0], Clip):
        raise UserError("--source_mask_a: has no effect on a video, which gets B's patches; leave it out")
    if finish_size or options.choices or options.metrics:
        structure = as_trained["structure"] if options.structure is None else options.structure
        originals = Originals.find(pair, inputs, masks, finish_size, structure)
    with out.locked(), StopRequest(f"stopped; everything made so far is in {out.path}") as stop:
        out.begin("eval.py", run_record(recorded(options), device))
        print(f"on {device_name(device)}, seed {options.manualSeed}")

        # Translate what is there, or draw.
        if isinstance(inputs[0], Clip):
            translate_clip(
                out,
                pair,
                inputs[0],
                inject_scale=options.inject_scale,
                seed=options.manualSeed,
                finisher=originals.finishers(["a2b"], [inputs[0].size[::-1]], even=True).get("a2b"),
                compare=options.compare,
                stop=stop,
            )
        elif inputs[0] is not None:
            translate_images(options, out, pair, inputs, originals, stop)
        if options.samples:
            draw_samples(out, pair, options.samples, options.manualSeed, originals, stop)
        out.note(finished=True)
    if not isinstance(inputs[0], Clip):  # of which all that is made is told
        samples = "finished_samples.png" if (out.path / "finished_samples.png").exists() else "samples.png"
        print(out.path / (samples if inputs[0] is None else "results.png"))
    return 0


def check_against(options: EvalOptions, geometry: Geometry) -> None:
    """UserError where sizes or scales do not fit how the pair was trained."""
    for name in ("img_size", "min_size", "max_size", "scale_factor"):
        asked, found = getattr(options, name), getattr(geometry, name)
        if asked is not None and asked != found:
            raise UserError(f"--{name} {asked}: contradicts {found} of the run in --load; leave it out")
    scale, out_size = options.inject_scale, options.out_size
    if scale is not None and scale > geometry.stop_scale:
        raise UserError(f"--inject_scale {scale}: must be 0 to {geometry.stop_scale}, the run's finest scale")
    if out_size is not None and not geometry.min_size <= out_size <= MAX_SIDE:
        raise UserError(f"--out_size {out_size}: must be {geometry.min_size} to {MAX_SIDE}")


def size_to_finish_at(options: EvalOptions, geometry: Geometry, trained_size: int) -> int:
    """Longer side of finished images, pixels, not below that of learned ones; 0 to finish none."""
    learned = options.out_size or geometry.img_size
    if options.finish_size is None:
        return max(trained_size, learned) if trained_size else 0
    if 0 < options.finish_size < learned:
        raise UserError(
            f"--finish_size {options.finish_size}: must be at least {learned}, the side of the learned images, or 0"
        )
    return options.finish_size


def open_inputs(options: EvalOptions, pair: TrainedPair) -> Inputs:
    """A, an image or a clip, and B."""
    coarsest, a, b = min(pair.geometry.shapes[0]), options.input_a, options.input_b
    inputs = (
        open_input(a, "--input_a", coarsest, pick(Excerpt, options)) if a else None,
        open_image(b, "--input_b", coarsest) if b else None,
    )
    if isinstance(inputs[0], Clip):
        import av  # noqa: F401  (an error now, not when the old results are cleared)
        import cv2  # noqa: F401
    for flag, image in zip(("--input_a", "--input_b"), inputs, strict=True):
        try:
            if image is not None:
                pair.shapes_for(image.size)
        except ValueError as error:
            raise UserError(f"{flag}: {error}") from None
    return inputs


def translate_images(
    options: EvalOptions,
    out: RunFolder,
    pair: TrainedPair,
    images: Sequence[Image.Image],
    originals: Originals,
    stop: StopRequest,
) -> None:
    """Both images, directly and from each injection scale; one of these finished; the sheet; the measures."""
    # Translate.
    out.claim("results.png")  # before the work, not after it
    device = pair.device
    shapes = [pair.shapes_for(image.size) for image in images]
    # A still in place of a clip is simplified as the clip was; what is shown of it, and finished, at its own size.
    of_clip = partial(simplified, images[0], pair.folder.options()["quant_level"])
    reals_a = image_pyramid(of_clip(shapes[0][-1]), shapes[0], device)
    reals_b = image_pyramid(images[1], shapes[1], device)
    images = of_clip(images[0].size[::-1]), images[1]
    real_a, real_b, pyramids = reals_a[-1], reals_b[-1], pair.reshaped(*shapes)
    results = {"real_a": real_a, "real_b": real_b}
    results |= {"direct_a2b": pyramids[1].translate(real_a), "direct_b2a": pyramids[0].translate(real_b)}
    save_images(results, out)
    rows = [list(results.items())]
    scales = injection_scales(pair.geometry.stop_scale, options.inject_levels)
    finished_scale = max(default_injection_scale(pair.geometry.shapes), scales[0])
    if options.inject_scale is not None:
        finished_scale, scales = options.inject_scale, [options.inject_scale]
    injected = {}
    for scale in scales:
        stop.check()
        injected[scale] = inject(pyramids, "a2b", reals_a[scale], scale, options.manualSeed)
        injected[scale] |= inject(pyramids, "b2a", reals_b[scale], scale, options.manualSeed)
        named = {f"inject_{scale:02d}_{name}": image for name, image in injected[scale].items()}
        save_images(named, out)
        results |= named
        rows.append(list(named.items()))

    # Finish what comes of one injection scale, and measure.
    finished, first_row = finish_pair(out, images, injected[finished_scale], originals, stop)
    save_sheet([first_row, *rows], out.claim("results.png"))
    if options.choices:
        save_choices(out, images, injected, options.manualSeed, originals, stop)
    if options.metrics:
        # Layouts are compared with the given images', looks with those that were trained on, where these are at hand.
        looks = [original or image for original, image in zip(originals.images, images, strict=True)]
        look_a, look_b = (image_to_tensor(image, pair.shapes_for(image.size)[-1], device) for image in looks)
        real = {"a2b": (real_a, look_b), "b2a": (real_b, look_a)}
        measured = {name: (image, *real[name[-3:]]) for name, image in results.items() if name[-3:] in real}
        for name, full in finished.items():
            own = images[SAMPLE[name[-3:]][0]]
            measured[name] = (full.image, image_to_tensor(own, full.image.shape[-2:]), full.references.images[0])
        save_metrics(out, measure_saved(measured))
