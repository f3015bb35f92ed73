"""What a run will cost, before it starts."""

import time

import torch

from models.snapshot import Run
from utils.device import device_name
from utils.progress import duration

# Calls per scale, and seconds after which there are no more than the fewest. The quickest counts: where other processes
# want the machine, most calls have to wait.
FEWEST, MOST, PATIENCE = 4, 30, 0.4


@torch.no_grad()
def step_seconds(run: Run, passes: int) -> list[float]:
    """About how long a step takes at every scale: as long as `passes` forward passes of one generator.

    Small scales' fixed cost is included, so the ratios foretell the whole run's pace.
    """
    seconds = []
    for scale, shape in enumerate(run.geometry.domain_shapes[0]):
        generator = run.architecture.generator(scale, run.geometry.stop_scale).to(run.device)
        image = torch.zeros(1, 3, *shape, device=run.device)
        took: list[float] = []
        while len(took) < FEWEST or (len(took) < MOST and sum(took) < PATIENCE):
            # The first call sets things up; reading a value waits for the device.
            start = time.perf_counter()
            generator(image, image).sum().item()
            took.append(time.perf_counter() - start)
        seconds.append(passes * min(took))
    return seconds


def cost_table(run: Run, niter: int, seconds: list[float]) -> str:
    """The scales with their sizes, widths, kinds and steps, and the totals.

    Args:
        seconds: of a step at every scale.
    """
    lines, parameters = ["scale  size       channels  generator  steps"], 0
    for scale, (height, width) in enumerate(run.geometry.domain_shapes[0]):
        with torch.device("meta"):
            networks = run.networks(scale)
        parameters += sum(p.numel() for p in networks.parameters())
        kind = "residual" if networks.generator_a.residual else "plain"
        size = f"{width}x{height}"
        lines.append(f"{scale:5d}  {size:9s}  {run.architecture.widths(scale)[0]:8d}  {kind:9s}  {niter}")
    scales = len(run.geometry.domain_shapes[0])
    lines.append(f"{scales} scales, {scales * niter} steps, {parameters / 1e6:.2f} million parameters")
    lines.append(f"from the beginning about {duration(niter * sum(seconds))} on {device_name(run.device)}")
    return "\n".join(lines)
