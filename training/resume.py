"""What every script that trains does around the loop: check, resume, hold the folder, stop."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.run import Run
from training.cost import cost_table
from training.loop import Recipe, Schedule, load_state, train
from utils.device import device_flags, run_record
from utils.errors import ROOT, UserError, command
from utils.interrupt import StopRequest
from utils.run_folder import RunFolder


def carry_out(
    script: str,
    run: Run,
    recipe: Recipe,
    schedule: Schedule,
    inputs: dict[str, Path],
    fingerprints: dict[str, str],
    write_results: Callable[[StopRequest], None],
    *,
    load: Path | None,
    overwrite: bool,
    dry_run: bool,
    options: dict[str, Any],
    result_options: Sequence[str],
) -> None:
    """Train the scales that are not finished, then write the results.

    Args:
        inputs: every file or folder that is read, by the option it came from.
        fingerprints: of those the run must be trained on.
        load: the folder of the run to resume, if any.
        dry_run: write nothing, but print what the run costs.
        options: all, for config.json; where all scales are finished, the record of their training stays instead.
        result_options: those that the results of a finished run are made with now.

    Raises:
        Stopped: a stop was asked for; everything is saved.
        UserError: the run to resume does not fit, or the folder to write into holds another one, or an input.
    """
    # Check, and take up what was trained already.
    folder, source, state = run.folder, RunFolder(load) if load is not None else None, None
    folder.check_free(script, inputs, overwrite, source)
    if source is not None:
        for (flag, mine), theirs in zip(fingerprints.items(), source.record["fingerprints"], strict=False):
            if mine != theirs:
                raise UserError(f"{flag} {inputs[flag]}: is not the image the run in --load {load} was trained on")
        run.load_scales(source)
        state = None if run.finished else load_state(run, recipe.optimiser, source, run.scale)

    # Say what is to come.
    print(cost_table(run, schedule.niter, recipe.passes, estimate=dry_run))
    print(f"seed {'random' if recipe.seed is None else recipe.seed}")
    if run.finished:
        print("all scales of this run are finished: nothing is trained, only its results are remade")
    if dry_run:
        return

    # Train, and write what a person wants to see.
    record = run_record(options, run.device) | {"fingerprints": list(fingerprints.values()), "results": {}}
    resume = command(ROOT / script, "--load", folder.path, *device_flags(run.device))
    with folder.locked(), StopRequest(f"stopped, everything is saved; to resume:\n{resume}") as stop:
        if source is None:
            folder.begin(script, record)
        else:
            folder.resume(source)
            folder.note(**({"results": {name: options[name] for name in result_options}} if run.finished else record))
        train(run, recipe, schedule, state, stop)
        write_results(stop)
        folder.note(finished=True)
    print(folder.path / "results.png")
