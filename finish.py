"""Finish any image with the patches of references: parse, open, finish, save (docs/method.md, section 14)."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("finish")

import sys
from collections.abc import Sequence

from config import parse_finish, recorded
from finishing.canvas import PATCH
from finishing.finished import legend
from finishing.full_size import CPU, Finisher, finish_all, whole
from options import LEARNED_SIZE
from utils.device import run_record
from utils.errors import UserError
from utils.image import open_image
from utils.interrupt import StopRequest
from utils.run_folder import RunFolder
from utils.sheet import save_sheet


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_finish(arguments)
    image = open_image(options.input, "--input", PATCH)
    references = {f"--reference {path}": open_image(path, "--reference", PATCH) for path in options.reference}
    longer, like = max(image.size), image
    if options.like is not None:
        like = open_image(options.like, "--like", PATCH)
    side = options.learned_size or min(longer, LEARNED_SIZE, options.finish_size)
    if side > longer:
        raise UserError(f"--learned_size {side}: --input {options.input} has only {image.width}x{image.height} pixels")
    if options.finish_size < side:
        raise UserError(f"--finish_size {options.finish_size}: must be at least the --learned_size, {side}")
    finisher = Finisher(references, like.size[::-1], options.finish_size, options.structure)
    try:
        notes = finisher.sizes()[2]
    except ValueError as error:
        raise UserError(f"--input {options.input}: cannot be finished: {error}") from None
    out = RunFolder(options.out)
    inputs = {"--input": options.input} | {f"--reference {path}": path for path in options.reference}
    inputs |= {"--like": options.like} if options.like is not None else {}
    out.check_free("finish.py", inputs, options.overwrite)

    # Finish.
    with out.locked(), StopRequest("stopped; nothing was finished") as stop:
        out.begin("finish.py", run_record(recorded(options), CPU))
        for note in notes:
            print(f"note: the result {note}", file=sys.stderr)
        learned = whole(image, tuple(max(1, round(side * length / max(finisher.like))) for length in finisher.like))
        ((_, full),) = finish_all([("finished", learned, finisher)], stop, out)
        shown, sources = [("input", whole(image, full.image.shape[-2:]))], [("source of each pixel", full.source_map())]
        for index, reference in enumerate(full.references.images):
            shown.append((f"reference {index + 1}", reference))
            colours = legend(reference.shape[-2:], index, len(references))
            sources.append((f"colours of reference {index + 1}", colours))
        save_sheet([[*shown, ("finished", full.image)], sources], out.claim("results.png"))
        out.note(finished=True)
    print(f"{out.path / 'finished.png'}: {100 * full.copied:.0f} % of patches copied with their neighbours")
    return 0
