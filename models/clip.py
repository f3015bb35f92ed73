"""A clip translated frame by frame (docs/method.md, section 12), and finished."""

from contextlib import ExitStack

import numpy as np
from PIL import Image

from finishing.full_size import Finisher, whole
from finishing.motion import motion_between
from models.inference import TrainedPair, draw_and_translate
from models.pyramid import gaussian_noise
from utils.geometry import Shapes
from utils.image import image_to_tensor, to_uint8
from utils.interrupt import StopRequest
from utils.measures import COPIED, Flicker, save_metrics
from utils.palette import simplified
from utils.progress import Bar
from utils.rng import stream
from utils.run_folder import RunFolder
from utils.sheet import Cell, save_sheet
from utils.video import Clip
from utils.video_writer import even_size, video_writer


def translate_clip(
    folder: RunFolder,
    pair: TrainedPair,
    clip: Clip,
    shapes: Shapes,
    size: tuple[int, int],
    *,
    scale: int,
    seed: int,
    finisher: Finisher | None,
    stop: StopRequest,
) -> None:
    """Every frame from one injection scale with one fixed noise, as a video; what may be said of it in numbers.

    Args:
        shapes: (height, width) of every scale for this clip.
        size: (width, height) of the video, which has the source's shape, also where the networks see squares.
        finisher: finishes every frame, starting from the frame before's matches, moved as the source moves. What it
            makes then is a2b.mp4, and what the networks made learned_a2b.mp4.

    Raises:
        Stopped: a stop was asked for; the videos end with the frames made so far.
    """
    # Prepare the noise, which is the same for all frames, and the videos by name.
    pyramids = pair.reshaped(shapes, shapes)
    fresh = gaussian_noise(shapes, [stream(seed, "clip")], pair.device)
    noise = [fresh(own) for own in range(len(shapes))].__getitem__
    shape = size[::-1] if finisher is None else finisher.sizes()[0]
    sizes = {"a2b": even_size(shape[::-1])} | ({} if finisher is None else {"learned_a2b": even_size(size)})
    flicker = {name: Flicker() for name in sizes}
    quant_level = pair.folder.options()["quant_level"]
    shown = {0, len(clip) // 2, len(clip) - 1}
    rows: list[list[Cell]] = []
    copied, finished, before = 0.0, None, None

    # Translate and finish frame after frame.
    with ExitStack() as stack:
        write = {}
        for name, own in sizes.items():
            sound = clip.file if name == "a2b" else None
            write[name] = stack.enter_context(video_writer(folder.claim(f"{name}.mp4"), clip.times, own, sound))
        bar = stack.enter_context(Bar(len(clip)))
        for index, source in enumerate(clip):
            stop.check()
            frame = simplified(source, quant_level, shapes[-1])
            real = image_to_tensor(frame, shapes[scale], pair.device)
            redrawn, translated = draw_and_translate(*pyramids, real, scale, noise)
            motion = None if before is None else motion_between(before, source, shape)
            images = {"a2b": translated}
            if finisher is not None:
                finished = finisher(translated, finished, motion, lambda _: stop.check())
                images = {"a2b": finished.image, "learned_a2b": translated}
                copied += finished.copied / len(clip)
            for name, image in images.items():
                write[name](np.asarray(Image.fromarray(to_uint8(image)).resize(sizes[name])))
                flicker[name].add(whole(source, tuple(image.shape[-2:])), image.cpu(), motion and motion.warped)
            if index in shown:
                cells = {"input": whole(frame, images["a2b"].shape[-2:]), f"redrawn, injected at {scale}": redrawn}
                rows.append([(f"frame {index}: {name}", image) for name, image in (cells | images).items()])
            before = source
            bar.show(index + 1, f"frame {index + 1}/{len(clip)}")

    # Write the rest, and say what came of it.
    save_sheet(rows, folder.claim("results.png"))
    folder.note(clip={"frames": len(clip), "rate": str(clip.rate), "inject_scale": scale, "sizes": sizes})
    for name, (width, height) in sizes.items():
        value = flicker[name].value
        save_metrics(folder, {name: {"flicker": value}})
        said = "no flicker to compare with" if value is None else f"flicker {value:.2f} times the input's"
        print(f"{folder.path / name}.mp4: {len(clip)} frames, {width}x{height}, {said}")
    if finisher is not None:
        save_metrics(folder, {"a2b": {COPIED: copied}})
