"""What a run costs: its scales, and about how long a step takes."""

import math
import time

import torch

from models.run import Run
from utils.device import device_name, few_threads
from utils.progress import LONG, duration

OVERHEAD = 3e9  # floating-point operations that take as long as a step's fixed cost does on a CPU


def step_costs(run: Run, passes: int) -> list[float]:
    """The cost of a step at every scale, in floating-point operations (docs/method.md, section 9).

    Args:
        passes: what a step costs, in forward passes of one network.
    """
    costs = []
    for scale in range(run.geometry.stop_scale + 1):
        channels, _ = run.architecture.widths(scale)
        per_pixel = 2 * 9 * (3 * channels + (run.architecture.num_layer - 2) * channels**2 + 3 * channels)
        pixels = sum(math.prod(shapes[scale]) for shapes in run.geometry.domain_shapes) / len(run.pyramids)
        costs.append(OVERHEAD + passes * per_pixel * pixels)
    return costs


@torch.no_grad()
def cost_table(run: Run, niter: int, passes: int, *, estimate: bool) -> str:
    """The scales with their sizes, widths, kinds and steps, and the totals.

    Args:
        estimate: time some calls of a network and say about how long the run takes. While a run goes on, its own
            steps tell that better.
    """
    # Describe the scales, without memory for their weights.
    lines, parameters = ["scale  size       channels  generator  steps"], 0
    for scale, (height, width) in enumerate(run.geometry.domain_shapes[0]):
        with torch.device("meta"):
            networks = run.new_networks(scale)
        parameters += sum(p.numel() for p in networks.parameters())
        kind = "residual" if networks.generators[0].residual else "plain"
        size = f"{width}x{height}"
        lines.append(f"{scale:5d}  {size:9s}  {run.architecture.widths(scale)[0]:8d}  {kind:9s}  {niter}")
    scales = run.geometry.stop_scale + 1
    lines.append(f"{scales} scales, {scales * niter} steps, {parameters / 1e6:.2f} million parameters")
    if not estimate:
        return "\n".join(lines)

    # Time the middle scale's generator; the quickest of some calls, so that other processes matter less.
    costs, middle, took = step_costs(run, passes), scales // 2, []
    generator = run.new_networks(middle).generators[0].to(run.device)
    image = torch.zeros(1, 3, *run.geometry.domain_shapes[0][middle], device=run.device)
    with few_threads(run.device, image.numel()):
        for _ in range(5):
            start = time.perf_counter()
            generator(image, image).sum().item()  # waits for the device
            took.append(time.perf_counter() - start)
    total = niter * sum(costs) * passes * min(took) / (costs[middle] - OVERHEAD)
    hint = "; --preset quick takes minutes" if total > LONG and run.device.type == "cpu" else ""
    lines.append(f"from the beginning about {duration(total)} on {device_name(run.device)}{hint}")
    return "\n".join(lines)
