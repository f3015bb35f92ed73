"""A clip translated frame by frame (docs/method.md, section 12), and finished."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from finishing.finished import Finished
from finishing.full_size import Finisher
from finishing.motion import Motion, motion_between
from models.inference import TrainedPair, default_injection_scale, draw_and_translate
from models.pyramid import gaussian_noise
from utils.errors import StopRequest
from utils.geometry import aspect_of
from utils.image import image_to_tensor, simplified, to_uint8
from utils.measures import COPIED, Flicker, save_metrics
from utils.progress import Bar, duration
from utils.rng import stream
from utils.run_folder import RunFolder
from utils.sheet import save_sheet
from utils.video import Clip
from utils.video_writer import even_size, video_writer

TOGETHER = 2**16  # pixels of the learned frames that go through the networks in one call, at most
PREVIEW = 5  # frames
# A frame, its translations by name, its motion since the one before, and the finished translation.
Made = tuple[Image.Image, dict[str, Tensor], Motion | None, Finished | None]


def translate_clip(
    folder: RunFolder,
    pair: TrainedPair,
    clip: Clip,
    *,
    inject_scale: int | None,
    seed: int,
    finisher: Finisher | None,
    compare: bool,
    stop: StopRequest,
) -> None:
    """Every frame from one injection scale with one fixed noise, as a video; what may be said of it in numbers.

    The video has the source's shape in any case. Before that a few frames as a sheet, preview.png, which shows whether
    the rest is worth the wait.

    Args:
        inject_scale: None: the default injection scale.
        finisher: finishes every frame, starting from the frame before's matches, moved as the source moves. What it
            makes then is a2b.mp4, and what the networks made learned_a2b.mp4.
        compare: also write compare.mp4, the source beside a2b.mp4.

    Raises:
        Stopped: a stop was asked for; the videos end with the frames made so far.
    """
    # Prepare the noise, which is the same for all frames, and the videos by name.
    scale = default_injection_scale(pair.geometry.shapes) if inject_scale is None else inject_scale
    shapes = pair.shapes_for(clip.size)
    pyramids = pair.reshaped(shapes, shapes)
    fresh = gaussian_noise(shapes, [stream(seed, "clip")], pair.device)
    noise = [fresh(own) for own in range(len(shapes))].__getitem__
    learned_shape = pair.geometry.shapes_for(aspect_of(clip.size), pair.out_size)[-1]
    shape = learned_shape if finisher is None else finisher.sizes()[0]
    width, height = even_size(shape)
    sizes = {"a2b": (width, height)} | ({} if finisher is None else {"learned_a2b": even_size(learned_shape)})
    sizes |= {"compare": (2 * width, height)} if compare else {}
    quant_level = pair.folder.options()["quant_level"]
    if finisher is not None:
        from finishing.coarse_to_fine import finish  # loads numba, which only finishing needs

        references = finisher.prepared(shapes[-1], lasting=True)
    together = max(1, TOGETHER // (shapes[-1][0] * shapes[-1][1]))

    def made(frames: Iterator[Image.Image]) -> Iterator[Made]:
        finished = before = None
        while some := list(islice(frames, together)):
            simple = [simplified(each, quant_level, shapes[-1]) for each in some]
            reals = torch.cat([image_to_tensor(each, shapes[scale], pair.device) for each in simple])
            _, translated = draw_and_translate(*pyramids, reals, scale, noise)
            for source, learned in zip(some, translated.split(1), strict=True):
                stop.check()
                motion = None if before is None else motion_between(before, source, shape)
                images = {"a2b": learned}
                if finisher is not None:
                    since = None if motion is None else (finished, motion)
                    finished = finish(learned, references, since, lambda _: stop.check())
                    images = {"a2b": finished.image, "learned_a2b": learned}
                yield source, images, motion, finished
                before = source

    # Show a few frames.
    chosen = sorted({round(index * (len(clip) - 1) / (PREVIEW - 1)) for index in range(PREVIEW)})
    rows, begun = [], time.monotonic()
    few = (frame for index, frame in enumerate(clip) if index in chosen)
    for index, (source, images, *_) in zip(chosen, made(few), strict=True):
        cells = {"A": image_to_tensor(source, images["a2b"].shape[-2:])} | images
        rows.append([(f"frame {index}: {name}", image) for name, image in cells.items()])
    save_sheet(rows, folder.claim("preview.png"))
    left = duration((time.monotonic() - begun) / len(chosen) * len(clip))
    print(f"{folder.path / 'preview.png'} shows {len(chosen)} of {len(clip)} frames; all take at most about {left}")

    # Translate and finish frame after frame.
    copied, flicker = 0.0, {name: Flicker() for name in sizes if name != "compare"}
    with ExitStack() as stack:
        write = {}
        for name, own in sizes.items():
            sound = None if name == "learned_a2b" else clip.sound
            write[name] = stack.enter_context(video_writer(folder.claim(f"{name}.mp4"), clip.times, own, sound))
        bar = stack.enter_context(Bar(len(clip)))
        for index, (source, images, motion, finished) in enumerate(made(iter(clip))):
            frames = {name: Image.fromarray(to_uint8(image)).resize(sizes[name]) for name, image in images.items()}
            if compare:
                frames["compare"] = np.hstack([source.resize(sizes["a2b"]), frames["a2b"]])
            for name, frame in frames.items():
                write[name](np.asarray(frame))
            for name, image in images.items():
                shown = image_to_tensor(source, image.shape[-2:])
                flicker[name].add(shown, image.cpu(), motion and motion.warped)
            copied += finished.copied / len(clip) if finished else 0.0
            bar.show(index + 1, f"frame {index + 1}/{len(clip)}")

    # Say what came of it.
    for name, each in flicker.items():
        value = each.value
        save_metrics(folder, {name: {"flicker": value}})
        said = "no flicker to compare with" if value is None else f"flicker {value:.2f} times the input's"
        print(f"{folder.path / name}.mp4: {len(clip)} frames, {said}")
    if finisher is not None:
        save_metrics(folder, {"a2b": {COPIED: copied}})
