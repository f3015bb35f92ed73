"""Use a trained pair: parse, load, inject real images or a clip's frames, or draw new ones, translate, save."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("eval")

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from config import parse_eval, recorded
from models.inference import (
    TrainedPair,
    default_injection_scale,
    inject,
    injection_scales,
    refine_and_translate,
    sample,
    translate_directly,
)
from models.pyramid import fixed_noise
from options import EvalOptions
from utils.clips.ffmpeg import import_av
from utils.clips.kind import is_clip, refuse_clip
from utils.clips.simplified import SimplifiedClip
from utils.clips.video import Clip
from utils.clips.writer import save_gif, video_writer
from utils.device import device_name, pick_device, run_record
from utils.errors import UserError
from utils.measures.flicker import Flicker
from utils.measures.metrics_file import write_metrics
from utils.measures.sifid import load_inception_stem
from utils.pictures.image import image_pyramid, image_to_tensor, open_image, save_image, to_uint8
from utils.pictures.sheet import Cell, save_sheet
from utils.runs.lock import FolderLock
from utils.runs.run_folder import RunFolder
from utils.scales import GEOMETRY_OPTIONS, MAX_SIDE, aspect_of
from utils.streams import stream

SHEET_SAMPLES = 16


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
    picture_a = open_image(a, "--input_a", coarsest) if a and not clip else None
    picture_b = open_image(b, "--input_b", coarsest) if b else None
    quant_level = trained_quant_level(trained) if clip else 0
    out = RunFolder(options.out)
    check_out(options, out, trained)
    with FolderLock(out.path, "--out"):
        check_out(options, out, trained)  # again: another process may have been there meanwhile
        out.clear()
        print(f"on {device_name(device)}, seed {options.seed}")
        record = run_record(recorded(options), device)
        out.record(record)

        # Translate what is there, or draw.
        if clip is not None:
            numbers = translate_clip(options, out, pair, clip, quant_level)
            out.record(record | {"clip": numbers})
            if picture_b is not None:
                finest = pair.shapes_for(picture_b.size, options.out_size, options.keep_aspect)[-1]
                save_image(image_to_tensor(picture_b, finest, device), out.path / "real_b.png")
        elif picture_a is not None:
            results = translate_pictures(options, out, pair, (picture_a, picture_b))
            if options.metrics:
                measure_results(out, results, device)
        if options.samples:
            draw_samples(options, out, pair)
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


def trained_quant_level(trained: RunFolder) -> int:
    """To how many greys the run's clip was simplified, 0 for not at all."""
    options = trained.recorded("options")
    level = options.get("quant_level", 0) if isinstance(options, dict) else None
    if not isinstance(level, int) or level < 0:
        raise UserError(f"--load {trained.config}: damaged, or not of this program")
    return level


def check_out(options: EvalOptions, out: RunFolder, trained: RunFolder) -> None:
    """UserError where the results must not go into --out."""
    if out.is_same(trained):
        raise UserError(f"--out {options.out}: is the folder --load names; choose another for the evaluation")
    if {out.scale(0), out.state} & set(out.own_files()):
        raise UserError(f"--out {options.out}: holds a training run; choose another for the evaluation")
    out.check_spares({"--input_a": options.input_a, "--input_b": options.input_b}, trained)
    out.check_free(options.overwrite, "--overwrite to replace them, or choose another --out")


def translate_pictures(
    options: EvalOptions, out: RunFolder, pair: TrainedPair, pictures: tuple[Image.Image, Image.Image]
) -> dict[str, Tensor]:
    """Both pictures directly and from every injection scale (METHOD section 8); all pictures written, by name."""
    shapes = [pair.shapes_for(picture.size, options.out_size, options.keep_aspect) for picture in pictures]
    reals = tuple(image_pyramid(picture, own, pair.device) for picture, own in zip(pictures, shapes, strict=True))
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
    return results


def measure_results(out: RunFolder, results: dict[str, Tensor], device: torch.device) -> None:
    """Write the measures of the translations, without SIFID where its network cannot be had."""
    stem, reason = None, ""
    try:
        stem = load_inception_stem(device)
    except UserError as error:
        reason = " ".join(str(error).split())
        print(f"warning: {reason}; the other measures are in metrics.json", file=sys.stderr)
    write_metrics(results, out.metrics, stem, reason)


def draw_samples(options: EvalOptions, out: RunFolder, pair: TrainedPair) -> None:
    """New pictures of each domain, each with its analogy in the other: "paired generation"."""
    aspects = pair.geometry.aspect_a, pair.geometry.aspect_b
    pyramids = pair.reshaped(*(pair.geometry.shapes_for(aspect, options.out_size) for aspect in aspects))
    rows: list[list[Cell]] = []
    for index in range(options.samples):
        pictures = sample(pyramids, options.seed, pair.device, index)._asdict()
        row = [(f"sample_{index:03d}_{name}", image) for name, image in pictures.items()]
        for name, image in row:
            save_image(image, out.path / f"{name}.png")
        rows += [row] if index < SHEET_SAMPLES else []
    save_sheet(rows, out.path / "samples.png")


def translate_clip(
    options: EvalOptions, out: RunFolder, pair: TrainedPair, clip: Clip, quant_level: int
) -> dict[str, Any]:
    """Every frame from one injection scale with one fixed noise, as a film (METHOD section 12); its numbers."""
    device, shapes = pair.device, pair.shapes_for(clip.size, options.out_size, options.keep_aspect)
    source, target = pair.pyramids[0].reshaped(shapes), pair.pyramids[1]
    scale = default_injection_scale(shapes) if options.inject_scale is None else options.inject_scale
    noise = fixed_noise(shapes, stream(options.seed, "clip", device=device))
    # The film has the source's shape, also where the networks see squares.
    height, width = pair.geometry.shapes_for(aspect_of(clip.size), options.out_size)[-1]
    frames = SimplifiedClip(clip, shapes[-1], quant_level) if quant_level else clip
    flicker, film = Flicker(), out.path / "a2b.mp4"
    rows: list[list[Cell]] = []
    shown = {0, len(clip) // 2, len(clip) - 1}
    with video_writer(film, clip.times, (width, height)) as write:
        for index, frame in enumerate(frames):
            real = image_to_tensor(frame, shapes[-1], device)
            refined, translated = refine_and_translate(
                source, target, image_to_tensor(frame, shapes[scale], device), scale, noise
            )
            write(resized(translated, (width, height)))
            flicker.add(real, translated)
            if index in shown:
                cells = {"input": real, f"refined, injected at {scale}": refined, "a2b": translated}
                rows.append([(f"frame {index}: {name}", image) for name, image in cells.items()])
    save_sheet(rows, out.path / "results.png")
    if options.gif:
        save_gif((np.asarray(frame) for frame in Clip(film, "--out")), out.path / "a2b.gif", clip.times)
    numbers = {"frames": len(clip), "rate": str(clip.rate), "size": [width, height], "inject_scale": scale}
    restless = "the input does not move" if flicker.value is None else f"flicker {flicker.value:.2f} times the input's"
    print(f"{film}: {len(clip)} frames, {width}x{height}, {restless}")
    return numbers | {"flicker": flicker.value}


def resized(image: Tensor, size: tuple[int, int]) -> np.ndarray:
    """(1, 3, H, W) in [-1, 1] as (height, width, 3) 8-bit of this (width, height)."""
    pixels = to_uint8(image)
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
