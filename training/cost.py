"""What a run will cost, before it starts."""

import time

import torch

from models.architecture import Architecture, ScaleNetworks
from utils.scales import Geometry, ImageGeometry


@torch.no_grad()
def step_costs(geometry: Geometry | ImageGeometry, architecture: Architecture, device: torch.device) -> list[float]:
    """Seconds of one generator forward pass at every scale.

    A step is 74 such passes (METHOD section 9), so the ratios between scales foretell the whole run's pace,
    small scales' fixed cost included.
    """
    costs = []
    for scale, shape in enumerate(geometry.domain_shapes[0]):
        generator = architecture.generator(scale, geometry.stop_scale).to(device)
        image = torch.zeros(1, 3, *shape, device=device)
        generator(image, image)  # The first call of a size sets things up.
        start = time.perf_counter()
        generator(image, image).sum().item()
        costs.append(time.perf_counter() - start)
    return costs


def cost_table(geometry: Geometry | ImageGeometry, architecture: Architecture, niter: int) -> str:
    """The scales with their sizes, widths, kinds and steps, and the totals."""
    lines, parameters = ["scale  size       channels  generator  steps"], 0
    for scale, (height, width) in enumerate(geometry.domain_shapes[0]):
        with torch.device("meta"):
            networks = ScaleNetworks(architecture, scale, geometry.stop_scale)
        parameters += sum(p.numel() for p in networks.parameters())
        kind = "residual" if networks.generator_a.residual else "plain"
        size = f"{width}x{height}"
        lines.append(f"{scale:5d}  {size:9s}  {architecture.widths(scale)[0]:8d}  {kind:9s}  {niter}")
    scales = len(geometry.domain_shapes[0])
    lines.append(f"{scales} scales, {scales * niter} steps, {parameters / 1e6:.2f} million parameters")
    return "\n".join(lines)
