"""Train on one pair of images: parse, prepare the run folder, train every scale, write the results."""

import hashlib
import shlex
import sys
from collections.abc import Sequence

import torch

from config import TrainConfig, parse_train
from models.inference import Pyramids, default_injection_scale, inject, injection_scales, sample
from training.cost import cost_table, step_costs
from training.loop import check_resumable, train
from utils.device import compute_deterministically, device_name, pick_device, versions
from utils.errors import UserError, one_line_errors
from utils.figure import save_loss_curves, save_sheet
from utils.files import write_json
from utils.image import image_pyramid, open_image, save_image
from utils.interrupt import StopRequest
from utils.lock import FolderLock, check_unlocked
from utils.log import RunLog
from utils.parallel import DomainThreads
from utils.run_folder import RunFolder

SHEET_LEVELS = 5
OUT_TAKEN = "--load it to go on, --overwrite to replace it, or choose another --out"


def main(arguments: Sequence[str] | None = None) -> int:
    # Parse and check everything before anything is written.
    config = parse_train(arguments)
    compute_deterministically(config.deterministic)
    device = pick_device(config.gpu_id, config.not_cuda)
    coarsest = min(config.geometry.shapes[0])
    pictures = (
        open_image(config.input_a, "--input_a", min_side=coarsest),
        open_image(config.input_b, "--input_b", min_side=coarsest),
    )
    fingerprints = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    check_run(config, fingerprints)
    print(cost_table(config.geometry, config.architecture, config.schedule.niter))
    print(f"on {device_name(device)}, seed {config.seed}")
    if is_finished(config):
        print("all scales of this run are finished: nothing is trained, its pictures are made again")
    elif device.type == "cpu" and config.options["preset"] == "paper":
        print(
            "warning: the paper's settings are made for a GPU and take days on a CPU; "
            "--preset quick gives a smaller result in minutes",
            file=sys.stderr,
        )
    if config.dry_run:
        return 0

    # Train.
    with FolderLock(config.out, "--out"):
        run = prepare_run(config, fingerprints, device)
        reals = tuple(image_pyramid(picture, config.geometry.shapes, device) for picture in pictures)
        with StopRequest() as stop, DomainThreads(device) as both:
            pyramids = train(
                run,
                reals,
                config.geometry,
                config.architecture,
                config.weights,
                config.optimiser,
                config.schedule,
                seed=config.seed,
                costs=step_costs(config.geometry, config.architecture, device),
                device=device,
                both=both,
                should_stop=stop,
            )
            if pyramids is None:
                print(f"stopped, everything is saved; to go on:\n{resume_command(config, run)}", file=sys.stderr)
                return 128 + stop.signal

        # Write what a person wants to see.
        write_results(run, pyramids, reals, config.seed)
        print(run.path / "results.png")
        return 0


def check_run(config: TrainConfig, fingerprints: list[str]) -> None:
    """UserError where the run to go on with does not fit, or --out holds another one."""
    run = RunFolder(config.out)
    check_unlocked(run.path, "--out")
    if config.load is not None:
        source = RunFolder(config.load)
        check_unlocked(source.path, "--load")
        recorded = source.recorded("fingerprints")
        if not isinstance(recorded, list) or len(recorded) != len(fingerprints):
            raise UserError(f"--load {source.config}: damaged, or not of this program")
        for flag, mine, theirs in zip("ab", fingerprints, recorded, strict=True):
            if mine != theirs:
                raise UserError(f"--input_{flag}: not the picture the run in --load {config.load} is trained on")
        check_resumable(source, config.geometry, config.architecture, config.optimiser)
        if run.is_same(source):
            return
    run.check_free(config.overwrite, OUT_TAKEN)


def prepare_run(config: TrainConfig, fingerprints: list[str], device: torch.device) -> RunFolder:
    """The run folder, with the loaded run in it and its config.json written."""
    run = RunFolder(config.out)
    source = RunFolder(config.load) if config.load is not None else None
    if source is not None and run.is_same(source):
        run.make_writable()
    else:
        run.check_free(config.overwrite, OUT_TAKEN)  # again: the first time it was not locked yet
        run.clear()
        if source is not None:
            run.copy_from(source)
    if not is_finished(config):  # A finished run's record stays as it is.
        record = {"options": config.options | {"manualSeed": config.seed}, "fingerprints": fingerprints}
        write_json(run.config, record | {"device": device_name(device), "versions": versions()})
    return run


def is_finished(config: TrainConfig) -> bool:
    """Whether every scale of the run to go on with is finished."""
    return config.load is not None and RunFolder(config.load).finished_scales() >= len(config.geometry.shapes)


def resume_command(config: TrainConfig, run: RunFolder) -> str:
    """The command that goes on where this run stopped."""
    words = [sys.executable, "train.py", "--load", str(run.path)]
    if config.gpu_id is not None:
        words += ["--gpu_id", str(config.gpu_id)]
    if config.not_cuda:
        words.append("--not_cuda")
    return shlex.join(words)


def write_results(run: RunFolder, pyramids: Pyramids, reals: tuple, seed: int) -> None:
    """The paired generation, the real images translated, the sheet and the loss curves (METHOD section 7)."""
    stop_scale = len(reals[0]) - 1
    samples = sample(pyramids, seed, reals[0][0].device)
    for name, image in samples._asdict().items():
        save_image(image, run.path / f"final_{name}.png")
    rows = [[("A", reals[0][-1]), ("B", reals[1][-1])]]
    rows.append([(f"final_{name}: sampled", image) for name, image in samples._asdict().items()])
    for scale in injection_scales(stop_scale, SHEET_LEVELS):
        translations = inject(pyramids, reals, scale, seed)
        rows.append([(f"{name}, injected at {scale}", image) for name, image in translations._asdict().items()])
        if scale == default_injection_scale(pyramids[0].shapes):
            save_image(translations.a2b, run.path / "real_a2b.png")
            save_image(translations.b2a, run.path / "real_b2a.png")
    save_sheet(rows, run.path / "results.png")
    save_loss_curves(RunLog(run.log).records(), run.path / "losses.png")


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
