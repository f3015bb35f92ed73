"""Finish any image with the patches of references: parse, open, finish, save (docs/method.md, section 14)."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("finish")

import sys
import tempfile
from collections.abc import Sequence

from PIL import Image

from config import parse_finish, recorded
from finishing.canvas import PATCH, Tile, inner_holes, opaque
from finishing.finished import TURNS, apply_sources, legend, save_sources
from finishing.full_size import Finisher, finish_all
from options import FILLED_SIZE, LEARNED_SIZE, FinishOptions
from utils.device import CPU, run_record
from utils.errors import StopRequest, UserError
from utils.files import write_atomic
from utils.image import image_to_tensor, masked, open_image
from utils.run_folder import RunFolder
from utils.sheet import save_sheet


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    options = parse_finish(arguments)
    out = RunFolder(options.out)
    named = [(name, getattr(options, name)) for name in ("input", "like", "keep_mask", "sources", "apply")]
    named += [(f"{name} {path}", path) for name in ("reference", "source_mask") for path in getattr(options, name)]
    inputs = {f"--{name}": path for name, path in named if path is not None}
    if options.apply is not None:
        return apply(options, out, inputs)
    image = masked(open_image(options.input, "--input", PATCH), options.keep_mask, "--keep_mask")
    like = image if options.like is None else open_image(options.like, "--like", PATCH)
    kept = image if options.keep_mask is not None else None
    if kept and opaque(kept).all():
        raise UserError(f"--keep_mask {options.keep_mask}: has no black, and so no hole to fill")
    tile = tuple(options.tile in (axis, "both") for axis in "yx")
    originals = open_references(options, kept, tile)
    turns, references = TURNS if options.turn else TURNS[:1], {}
    for index, turn in enumerate(turns):
        references |= {name + f" turned {index}" * (index > 0): turn(one) for name, one in originals.items()}
    if kept and any(opaque(image).roll(1, axis).narrow(axis, 0, 2).any() for axis in (0, 1) if tile[axis]):
        raise UserError(f"--keep_mask: white at the border, which --tile {options.tile} makes anew; paint that black")
    longer = max(image.size)
    size = longer if kept else options.finish_size or 512
    side = options.learned_size or min(longer, FILLED_SIZE if kept else LEARNED_SIZE, size)
    if side > longer:
        raise UserError(f"--learned_size {side}: --input {options.input} has only {image.width}x{image.height} pixels")
    if size < side:
        raise UserError(f"--finish_size {size}: must be at least the --learned_size, {side}")
    structure = options.structure if options.structure is not None else float(kept is None)
    finisher = Finisher(references, like.size[::-1], size, structure, kept, tile)
    try:
        _, factors, notes = finisher.sizes()
    except ValueError as error:
        flag, path = ("like", options.like) if options.like else ("input", options.input)
        raise UserError(f"--{flag} {path}: cannot be finished: {error}") from None
    out.check_free("finish.py", inputs, options.overwrite)
    check_sources(options)

    # Finish.
    with out.locked(), StopRequest("stopped; nothing was finished") as stop:
        out.begin("finish.py", run_record(recorded(options), CPU))
        out.claim("finished.png", "finished_source.png", "results.png")  # before the work, not after it
        for note in notes:
            print(f"note: the result {note}", file=sys.stderr)
        shape = tuple(max(1, round(side * length / max(finisher.like))) for length in finisher.like)
        learned = image_to_tensor(image, shape)
        ((_, full),) = finish_all([("finished", learned, finisher)], stop, out)
        if options.sources is not None:
            save_sources(options.sources, full.source, [*originals.values(), *[image] * bool(kept)], factors, turns)
        shown = [("input", image_to_tensor(image, full.image.shape[-2:]))]
        if kept:
            shown.append(("--keep_mask", 2 * opaque(kept).expand(1, 3, -1, -1) - 1))
        sources = [("source of each pixel", full.source_map())]
        for index, reference in enumerate(full.references.images[: len(originals)]):  # as they were given
            shown.append((f"reference {index + 1}", reference))
            colours = legend(reference.shape[-2:], index, len(references))
            sources.append((f"colours of reference {index + 1}", colours))
        save_sheet([[*shown, ("finished", full.image)], sources], out.claim("results.png"))
        out.note(finished=True)
    print(f"{out.path / 'finished.png'}: {100 * full.copied:.0f} % of patches copied with their neighbours")
    return 0


def open_references(options: FinishOptions, kept: Image.Image | None, tile: Tile) -> dict[str, Image.Image]:
    """By what messages call them; transparent where a mask bars copying, and of the input itself in its inner holes."""
    originals = {}
    for index, path in enumerate(options.reference):
        image, name = open_image(path, "--reference", PATCH), f"--reference {path}"
        if options.source_mask:
            mask = options.source_mask[index]
            image, name = masked(image, mask, "--source_mask"), f"{name} with --source_mask {mask}"
        elif kept and path.samefile(options.input):
            image.putalpha(Image.fromarray(~inner_holes(opaque(kept), tile)))
            name = f"{name} with --keep_mask {options.keep_mask}"
        originals[name] = image
    return originals


def check_sources(options: FinishOptions) -> None:
    """UserError where --sources cannot be written, before all is computed; makes its folder where it is missing."""
    if (path := options.sources) is None:
        return
    if path.suffix != ".npz" or path.is_dir():
        raise UserError(f"--sources {path}: must be the name of a file that ends in .npz")
    if path.exists() and not options.overwrite:
        raise UserError(f"--sources {path}: is there already; --overwrite replaces it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UserError(f"--sources {path}: cannot be written: {error.strerror}") from None


def apply(options: FinishOptions, out: RunFolder, inputs: dict) -> int:
    """Make the image whose sources are recorded from other maps."""
    end, content = apply_sources(options.apply, options.reference)
    out.check_free("finish.py", inputs, options.overwrite)
    with out.locked():
        out.begin("finish.py", run_record(recorded(options), CPU))
        path = out.claim(f"applied{end}")
        write_atomic(path, content)
        out.note(finished=True)
    print(path)
    return 0
