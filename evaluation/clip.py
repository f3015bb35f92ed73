"""A clip translated frame by frame (docs/method.md, section 12), and finished."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from finishing.full_size import Finisher, FullSize, possible, whole
from models.inference import TrainedPair, default_injection_scale, redraw_and_translate
from models.pyramid import fixed_noise
from utils.clips.simplified import simplified
from utils.video import Clip
from utils.video_writer import save_gif, video_writer
from utils.interrupt import Stopped
from utils.flicker import Flicker
from utils.image import image_to_tensor, to_uint8
from utils.sheet import Cell, save_sheet
from utils.progress import Bar
from utils.geometry import Shapes
from utils.rng import stream


def translate_clip(
    folder: Path,
    pair: TrainedPair,
    clip: Clip,
    shapes: Shapes,
    size: tuple[int, int],
    *,
    scale: int | None,
    quant_level: int,
    seed: int,
    gif: bool,
    finisher: Finisher | None,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Every frame from one injection scale with one fixed noise, as a film; what may be said of it in numbers.

    Args:
        shapes: (height, width) of every scale for this clip.
        size: (width, height) of the film, which has the source's shape, also where the networks see squares.
        scale: where the frames are put in; None: the default injection scale.
        quant_level: to how many greys the frames are simplified first; 0: not at all.
        finisher: finishes every frame, starting from the frame before's field.
        should_stop: asked between frames.

    Raises:
        Stopped: it said so; no film is left.
    """
    source, target = pair.pyramids[0].reshaped(shapes), pair.pyramids[1]
    scale = default_injection_scale(shapes) if scale is None else scale
    noise = fixed_noise(shapes, stream(seed, "clip"), pair.device)
    frames = simplified(clip, quant_level, shapes[-1])
    shown = {0, len(clip) // 2, len(clip) - 1}
    rows: list[list[Cell]] = []
    flicker, finished_flicker, copied = Flicker(), Flicker(), 0.0
    finished: FullSize | None = None
    structure = clip.size[::-1]
    if finisher is not None and not possible({"finished_a2b.mp4": (finisher, structure)}):
        finisher = None
    with ExitStack() as stack:
        write = stack.enter_context(video_writer(folder / "a2b.mp4", clip.times, size))
        if finisher is not None:
            height, width = finisher.sizes(structure)[0]
            film = video_writer(folder / "finished_a2b.mp4", clip.times, (width, height))
            write_finished = stack.enter_context(film)
        bar = stack.enter_context(Bar(len(clip)))
        for index, frame in enumerate(frames):
            if should_stop():
                raise Stopped
            real = image_to_tensor(frame, shapes[-1], pair.device)
            injected = image_to_tensor(frame, shapes[scale], pair.device)
            redrawn, translated = redraw_and_translate(source, target, injected, scale, noise)
            write(resized(translated, size))
            flicker.add(real, translated)
            cells = {"input": real, f"redrawn, injected at {scale}": redrawn, "a2b": translated}
            if finisher is not None:
                finished = finisher(translated, structure, before=finished)
                write_finished(to_uint8(finished.image))
                finished_flicker.add(real, finished.image)
                copied += finished.copied / len(clip)
                cells = {"input": whole(frame), "a2b": translated, "finished": finished.image}
            if index in shown:
                rows.append([(f"frame {index}: {name}", image) for name, image in cells.items()])
            bar.show(index + 1, f"frame {index + 1}/{len(clip)}")
    save_sheet(rows, folder / "results.png")
    films = ["a2b"] + (["finished_a2b"] if finisher is not None else [])
    for name in films if gif else []:
        made = Clip(folder / f"{name}.mp4", "--out")
        save_gif((np.asarray(frame) for frame in made), folder / f"{name}.gif", clip.times)
    numbers = {"frames": len(clip), "rate": str(clip.rate), "size": list(size), "inject_scale": scale}
    numbers["flicker"] = flicker.value
    if finisher is not None:
        numbers |= {"finished_size": [width, height], "finished_flicker": finished_flicker.value}
        numbers["copied_in_one_piece"] = copied
    return numbers


def say_numbers(folder: Path, numbers: dict[str, Any]) -> None:
    """A line on each film."""
    for name, size, restless in (("a2b", "size", "flicker"), ("finished_a2b", "finished_size", "finished_flicker")):
        if size in numbers:
            width, height = numbers[size]
            times = numbers[restless]
            said = "the input does not move" if times is None else f"flicker {times:.2f} times the input's"
            print(f"{folder / name}.mp4: {numbers['frames']} frames, {width}x{height}, {said}")


def resized(image: Tensor, size: tuple[int, int]) -> np.ndarray:
    """(1, 3, H, W) in [-1, 1] as (height, width, 3) 8-bit of this (width, height)."""
    pixels = to_uint8(image)
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
