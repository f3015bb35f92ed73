"""What every script that trains does around the loop: check, say what it costs, resume, hold the folder, stop."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from models.run import Run
from training.loop import OVERHEAD, Recipe, Schedule, step_costs, train
from training.state import ScaleState
from utils.device import device_flags, device_name, few_threads, run_record
from utils.errors import ROOT, StopRequest, UserError, command
from utils.progress import LONG, duration
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
        state = ScaleState.load(run, recipe.optimiser, source.state)

    # Say what is to come.
    print(cost_table(run, schedule.niter, recipe, estimate=dry_run))
    print(f"seed {'random' if recipe.seed is None else recipe.seed}")
    if run.finished:
        print("all scales of this run are finished: only its results are remade; to train otherwise, start a new run")
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
        folder.claim("results.png")  # before the work, not after it
        train(run, recipe, schedule, state, stop)
        write_results(stop)
        folder.note(finished=True)
    print(folder.path / "results.png")


@torch.no_grad()
def cost_table(run: Run, niter: int, recipe: Recipe, *, estimate: bool) -> str:
    """The scales with their sizes, widths, kinds and steps, and the totals.

    Args:
        estimate: time some calls of a network and say about how long the run takes. While a run goes on, its own
            steps tell that better.
    """
    # Describe the scales, without memory for their weights.
    with torch.device("meta"):
        scales = [run.new_networks(scale) for scale in range(run.geometry.stop_scale + 1)]
    lines = ["scale  size       channels  generator  steps"]
    for scale, (height, width) in enumerate(run.geometry.domain_shapes[0]):
        size, kind = f"{width}x{height}", "residual" if scales[scale].generators[0].residual else "plain"
        lines.append(f"{scale:5d}  {size:9s}  {run.architecture.widths(scale)[0]:8d}  {kind:9s}  {niter}")
    parameters = sum(each.numel() for networks in scales for each in networks.parameters())
    lines.append(f"{len(scales)} scales, {len(scales) * niter} steps, {parameters / 1e6:.2f} million parameters")
    if not estimate:
        return "\n".join(lines)

    # Time the middle scale's generator; the quickest of some calls, so that other processes matter less.
    costs, middle, took = step_costs(run, recipe), len(scales) // 2, []
    generator = run.new_networks(middle).generators[0].to(run.device)
    image = torch.zeros(1, 3, *run.geometry.domain_shapes[0][middle], device=run.device)
    with few_threads(run.device, image.numel()):
        for _ in range(5):
            start = time.perf_counter()
            generator(image, image).sum().item()  # waits for the device
            took.append(time.perf_counter() - start)
    total = niter * sum(costs) * recipe.passes * min(took) / (costs[middle] - OVERHEAD)
    hint = "; --preset quick takes minutes" if total > LONG and run.device.type == "cpu" else ""
    lines.append(f"from scratch about {duration(total)} on {device_name(run.device)}{hint}")
    return "\n".join(lines)
