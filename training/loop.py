"""Train every scale, coarse to fine: warm start, steps, the log, sample images, checkpoints."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from models.run import Run
from training.frames import Check
from training.state import OptimiserSettings, ScaleState
from utils.errors import StopRequest
from utils.image import save_image
from utils.progress import Bar
from utils.run_folder import RunFolder

Losses = dict[str, Tensor]  # a step's weighted terms by name, detached scalars on the device
Images = dict[str, Tensor]  # those a step made, by name, (1, 3, H, W) each, [-1, 1]
TakeStep = Callable[[int], tuple[Losses, Images]]  # takes a step, counted from 0: updates the scale's networks
SLOW = "--preset quick learns a smaller image in minutes on a CPU and finishes it at full size"
OVERHEAD = 3e9  # floating-point operations that take as long as a step's fixed cost does on a CPU


@dataclass(frozen=True)
class Schedule:
    """How long a run is, and how often it reports and saves.

    Args:
        niter: steps per scale.
        print_interval: steps between two lines of the log.
        save_every: seconds between two saves of the scale in progress.
        tensorboard: whether the log and the sample images are written for TensorBoard, too.
    """

    niter: int = 20000
    print_interval: int = 1000
    save_every: float = 60.0
    tensorboard: bool = False


class Recipe(Protocol):
    """What is trained, and what a step of it is: a pair (training.pair) or one image (training.one_image)."""

    optimiser: OptimiserSettings
    seed: int
    passes: float  # what a step costs, in forward passes of one network

    def steps(self, run: Run, state: ScaleState, check: Check) -> AbstractContextManager[TakeStep]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet.

        Args:
            check: called now and then while it prepares; may raise to stop.
        """


def step_costs(run: Run, recipe: Recipe) -> list[float]:
    """The cost of a step at every scale, in floating-point operations (docs/method.md, section 9)."""
    costs = []
    for scale in range(run.geometry.stop_scale + 1):
        channels, _ = run.architecture.widths(scale)
        per_pixel = 2 * 9 * (3 * channels + (run.architecture.num_layer - 2) * channels**2 + 3 * channels)
        pixels = sum(math.prod(shapes[scale]) for shapes in run.geometry.domain_shapes) / len(run.pyramids)
        costs.append(OVERHEAD + recipe.passes * per_pixel * pixels)
    return costs


def train(
    run: Run,
    recipe: Recipe,
    schedule: Schedule,
    state: ScaleState | None,
    stop: StopRequest,
    *,
    last: int | None = None,
) -> None:
    """Train every scale of a run that is not finished yet; its pyramids grow.

    Args:
        state: the scale in progress, if there is one.
        last: the last scale to train; the finest if None.

    Raises:
        Stopped: a stop was asked for; the scale in progress is saved.
        RunError: a loss became NaN or infinite; noticed within a print interval.
    """
    last = run.geometry.stop_scale if last is None else last
    if run.scale > last:
        return
    # Prepare the reports. The bar counts what steps cost, so that the time left is right across scales.
    folder, niter, writer = run.folder, schedule.niter, nullcontext()
    folder.claim(folder.log_file.name, folder.state.name, "samples")
    if schedule.tensorboard:
        from torch.utils.tensorboard import SummaryWriter  # optional; config.py has seen that it is there

        writer = SummaryWriter(str(folder.claim("tensorboard")))
    costs = step_costs(run, recipe)[: last + 1]
    done = niter * sum(costs[: run.scale]) + (min(state.step, niter) if state else 0) * costs[run.scale]
    advice = SLOW if run.device.type == "cpu" else ""
    with Bar(niter * sum(costs), done, advice) as bar, writer as events:
        for scale in range(run.scale, last + 1):
            # Start from what was saved, or from the previous scale.
            if state is None:
                state = ScaleState.new(run, recipe.optimiser, recipe.seed)
            folder.forget_after(scale, state.step)
            with recipe.steps(run, state, stop.check) as take_step:
                saved = time.monotonic()
                begun = saved - state.seconds
                while state.step < niter:
                    if stop():
                        state.save(folder.state)
                        stop.check()

                    # Take a step.
                    state.set_rates(niter)
                    losses, images = take_step(state.step)
                    state.step += 1
                    state.add(losses)

                    # Report it.
                    bar.show(bar.n + costs[scale], f"scale {scale}, step {state.step}/{niter}")
                    state.seconds = time.monotonic() - begun
                    if state.step % schedule.print_interval == 0 or state.step == niter:
                        means = report(folder, state, images, events, scale * niter + state.step)
                        totals = {
                            f"loss {net}": sum(means[name] for name in means if name.startswith(f"{net}/"))
                            for net in "DG"
                        }
                        bar.set_postfix(totals, refresh=False)

                    # Save now and then.
                    if time.monotonic() - saved >= schedule.save_every:
                        state.save(folder.state)
                        saved = time.monotonic()

            # Keep the scale, and freeze its generators.
            run.save_scale(state.networks, state.sigmas)
            folder.state.unlink(missing_ok=True)
            state = None


def report(folder: RunFolder, state: ScaleState, images: Images, events: Any, step: int) -> dict[str, float]:
    """Write a line of the log and the images of the step just taken; start new sums.

    Args:
        events: TensorBoard's SummaryWriter, if any.
        step: counted over all scales.

    Returns:
        The mean of every loss term since the last report.
    """
    means = state.mean_losses()
    state.sums, state.summed = {}, 0
    folder.log({"scale": state.scale, "step": state.step, **means, "seconds": round(state.seconds, 2)})
    samples = folder.path / "samples"
    samples.mkdir(exist_ok=True)
    for name, image in images.items():
        save_image(image, samples / f"{state.scale:02d}_step{state.step:05d}_{name}.png")
    if events is not None:
        for name, value in means.items():
            events.add_scalar(name, value, step)
        for name, image in images.items():
            events.add_image(f"samples/{name}", (image[0].cpu().clamp(-1, 1) + 1) / 2, step)
    return means
