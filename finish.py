"""Finish any image with the patches of references: parse, open, finish, save (docs/method.md, section 14)."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("finish")

from collections.abc import Sequence

from PIL import Image

from config import parse_finish, recorded
from finishing.canvas import PATCH
from finishing.full_size import CPU, Finisher, FullSize, Job, Original, finish_all, whole
from finishing.source_map import legend
from options import LEARNED_SIZE
from utils.clips.kind import refuse_clip
from utils.device import run_record
from utils.errors import UserError
from utils.interrupt import Stopped, StopRequest
from utils.metrics_file import MetricsFile
from utils.image import image_to_tensor, open_image
from utils.sheet import Cell, save_sheet
from utils.runs.lock import FolderLock
from utils.run_folder import RunFolder
from utils.geometry import ceil_side


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_finish(arguments)
    for path in options.reference:
        refuse_clip(path, "--reference")
    refuse_clip(options.input, "--input")
    image = open_image(options.input, "--input", PATCH)
    references = [Original(open_image(path, "--reference", PATCH), f"--reference {path}") for path in options.reference]
    longer = max(image.size)
    side = options.learned_size or min(longer, LEARNED_SIZE, options.finish_size)
    if side > longer:
        raise UserError(f"--learned_size {side}: --input {options.input} has {image.width}x{image.height} pixels only")
    shape = tuple(max(1, round(side * length / longer)) for length in (image.height, image.width))
    finisher = Finisher(references, options.finish_size, options.structure, stretched=False)
    if options.finish_size < side:
        raise UserError(f"--finish_size {options.finish_size}: must be at least the --learned_size, {side}")
    own_shape = image.height, image.width
    if fault := finisher.fault(own_shape):
        raise UserError(f"--input {options.input}: cannot be finished: {fault}")
    out = RunFolder(options.out)
    inputs = {"--input": options.input, **{f"--reference ({i})": path for i, path in enumerate(options.reference, 1)}}
    out.check_untrained()
    out.check_spares(inputs)
    out.check_free(options.overwrite)

    # Finish.
    with FolderLock(out.path, "--out"), StopRequest() as stop:
        out.check_free(options.overwrite)  # again: another process may have been there meanwhile
        out.clear()
        out.record(run_record(recorded(options), CPU))
        job = Job("finished", image_to_tensor(image, shape, CPU), own_shape, finisher)
        try:
            ((_, full),) = finish_all([job], out.path, stop)
        except Stopped:
            print("stopped; nothing was finished", file=sys.stderr)
            return 128 + stop.signal
        (out.path / "finished_source.png").rename(out.path / "source.png")
        MetricsFile(out.metrics).add_copied({"finished": full.copied})
        save_sheet(sheet(image, references, finisher.sizes(own_shape)[1], full), out.path / "results.png")
    print(f"{out.path / 'finished.png'}: {100 * full.copied:.0f} % copied in one piece")
    return 0


def sheet(
    image: Image.Image, references: Sequence[Original], factors: Sequence[float], full: FullSize
) -> list[list[Cell]]:
    """The input and the references as large as they were used, below them what was made and how to read its source."""
    shown, sources = [("input", whole(image, full.image.shape[-2:]))], [("source of each pixel", full.source)]
    for index, (original, factor) in enumerate(zip(references, factors, strict=True)):
        shape = tuple(ceil_side(side * factor) for side in (original.image.height, original.image.width))
        shown.append((f"reference {index + 1}", whole(original.image, shape)))
        sources.append((f"colours of reference {index + 1}", legend(shape, index, len(references))))
    return [shown, [("finished", full.image), *sources]]
