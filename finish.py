"""Finish any image with the patches of references: parse, open, finish, save (METHOD section 14)."""

import sys

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("finish")

from collections.abc import Sequence

from config import parse_finish, recorded
from finishing.canvas import PATCH
from finishing.full_size import CPU, Finisher, Job, Original, copied_shares, finish_all, whole
from finishing.source_map import legend
from options import LEARNED_SIZE
from utils.clips.kind import refuse_clip
from utils.device import run_record
from utils.errors import UserError
from utils.interrupt import Stopped, StopRequest
from utils.measures.metrics_file import write_metrics
from utils.pictures.image import image_to_tensor, open_image
from utils.pictures.sheet import save_sheet
from utils.runs.lock import FolderLock
from utils.runs.run_folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_finish(arguments)
    for path in options.reference:
        refuse_clip(path, "--reference")
    refuse_clip(options.input, "--input")
    image = open_image(options.input, "--input", PATCH)
    references = [Original(open_image(path, "--reference", PATCH), f"--reference {path}") for path in options.reference]
    longer = max(image.size)
    side = min(longer, LEARNED_SIZE) if options.learned_size is None else options.learned_size
    if side > longer:
        raise UserError(f"--learned_size {side}: --input {options.input} has {image.width}x{image.height} pixels only")
    shape = tuple(max(1, round(side * length / longer)) for length in (image.height, image.width))
    finisher = Finisher(references, options.finish_size, options.structure, stretched=False)
    if options.finish_size < side:
        raise UserError(f"--finish_size {options.finish_size}: must be at least the --learned_size, {side}")
    if min(finisher.sizes(shape)[0]) < PATCH:
        raise UserError(f"--input {options.input}: too long and thin to be finished at {options.finish_size} pixels")
    out = RunFolder(options.out)
    hint = "--overwrite to replace them, or choose another --out"
    inputs = {"--input": options.input, **{f"--reference ({i})": path for i, path in enumerate(options.reference, 1)}}
    out.check_spares(inputs)
    out.check_free(options.overwrite, hint)

    # Finish.
    with FolderLock(out.path, "--out"), StopRequest() as stop:
        out.check_free(options.overwrite, hint)  # again: another process may have been there meanwhile
        out.clear()
        out.record(run_record(recorded(options), CPU))
        jobs = [Job("finished", image_to_tensor(image, shape, CPU), (image.height, image.width), finisher)]
        try:
            finished = finish_all(jobs, out.path, stop)
        except Stopped:
            print("stopped; nothing was finished", file=sys.stderr)
            return 128 + stop.signal
        (out.path / "finished_source.png").rename(out.path / "source.png")
        write_metrics({}, copied_shares(finished), out.metrics, None)
        full = finished["finished"]
        shown = [("input", whole(image)), *((original.flag, whole(original.image)) for original in references)]
        legends = [legend((one.image.height, one.image.width), i, len(references)) for i, one in enumerate(references)]
        sources = [("source of each pixel", full.source), *(("colours of the reference", one) for one in legends)]
        save_sheet([shown, [("finished", full.image), *sources]], out.path / "results.png")
    print(f"{out.path / 'finished.png'}: {100 * full.copied:.0f} % copied in one piece")
    return 0
