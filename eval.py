"""Translate real images with a trained pair: parse, load, inject at the finest scales, translate, save."""

import sys
from collections.abc import Sequence

from config import parse_eval
from models.inference import inject, injection_scales, translate_directly
from models.snapshot import load_pyramids, read_shape
from utils.device import device_name, pick_device, versions
from utils.errors import UserError, one_line_errors
from utils.figure import save_sheet
from utils.files import write_json
from utils.image import image_pyramid, open_image, save_image
from utils.lock import FolderLock
from utils.run_folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    config = parse_eval(arguments)
    device = pick_device(config.gpu_id, config.not_cuda)
    trained = RunFolder(config.load)
    geometry, architecture = read_shape(trained)
    for name, asked in config.geometry.items():
        if asked != (made := getattr(geometry, name)):
            raise UserError(f"--{name} {asked} contradicts {made}, which --load {config.load} was made with")
    pyramids, _ = load_pyramids(trained, geometry, architecture, device)
    scales, finished = geometry.stop_scale + 1, len(pyramids[0].generators)
    if finished < scales:
        raise UserError(
            f"--load {config.load}: only {finished} of {scales} scales are finished; "
            f"to finish them: python train.py --load {config.load}"
        )
    coarsest = min(geometry.shapes[0])
    reals = tuple(
        image_pyramid(open_image(path, flag, min_side=coarsest), geometry.shapes, device)
        for path, flag in ((config.input_a, "--input_a"), (config.input_b, "--input_b"))
    )
    out = RunFolder(config.out)
    if out.is_same(trained):
        raise UserError(f"--out {config.out}: is the folder --load names; choose another for the evaluation")
    if out.scale(0) in out.own_files():
        raise UserError(f"--out {config.out}: holds a training run; choose another for the evaluation")
    with FolderLock(out.path, "--out"):
        out.check_free(config.overwrite, "--overwrite to replace them, or choose another --out")
        out.clear()
        print(f"on {device_name(device)}, seed {config.seed}")
        record = {"options": config.options | {"manualSeed": config.seed}, "device": device_name(device)}
        write_json(out.config, record | {"versions": versions()})

        # Translate directly, then from every injection scale.
        pictures = {"real_a": reals[0][-1], "real_b": reals[1][-1]}
        pictures["direct_a2b"], pictures["direct_b2a"] = translate_directly(pyramids, reals)
        rows = [[(name.replace("_", " "), image) for name, image in pictures.items()]]
        for scale in injection_scales(geometry.stop_scale, config.inject_levels):
            translations = inject(pyramids, reals, scale, config.seed)._asdict()
            pictures |= {f"inject_{scale:02d}_{name}": image for name, image in translations.items()}
            rows.append([(f"{name}, injected at {scale}", image) for name, image in translations.items()])

        # Save every picture under its own name, and one sheet of all.
        for name, image in pictures.items():
            save_image(image, out.path / f"{name}.png")
        save_sheet(rows, out.path / "results.png")
        print(out.path / "results.png")
        return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
