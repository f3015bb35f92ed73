"""Milliseconds per training step at every scale: as published, and ours, domains one by one and side by side.

    python benchmarks/step.py [--preset quick] [--scales 0 1 2] [--repeats 5]

The forms take turns in one process, each from random networks of the same start, so that a slow moment of the machine
hits all; medians are printed, as a table in Markdown. `published` follows the published program call by call. Use an
idle machine.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.networks import Architecture, ScaleNetworks, initialise
from models.pyramid import Pyramid
from presets import QUICK
from training.domains import Both, one_by_one, side_by_side
from training.pair import StepDraws
from training.state import OptimiserSettings, ScaleState
from training.step import DomainInputs, LossWeights, training_step
from utils.geometry import Geometry
from utils.resize import resize_weights
from utils.rng import stream

CPU, WEIGHTS, RATES = torch.device("cpu"), LossWeights(), OptimiserSettings()
# What a form starts from: networks, both pyramids of finished scales, noise amplitudes, real images.
Start = tuple[ScaleNetworks, tuple[Pyramid, Pyramid], tuple[float, float], tuple[Tensor, Tensor]]


class Published:
    """docs/method.md, section 6 call by call, the way the published program computes it.

    Every step makes its own draws through all coarser scales, one image at a time, enlarged from 8 bits. Every network
    call is on one image, with batch normalisation; every penalty is by itself. The generators' loss is one graph, whose
    gradients also reach the discriminators' weights. Adam is PyTorch's default, and every loss is read.
    """

    def __init__(self, start: Start) -> None:
        networks, pyramids, self.sigmas, self.reals = start
        self.networks, self.pyramids = batch_normalised(networks), copy.deepcopy(pyramids)
        for pyramid in self.pyramids:
            pyramid.generators = [batch_normalised(generator) for generator in pyramid.generators]
        both_g, both_d = self.networks.generators, self.networks.discriminators
        self.optimiser_g = torch.optim.Adam(both_g.parameters(), lr=RATES.lr_g, betas=(RATES.beta1, 0.999))
        self.optimiser_d = torch.optim.Adam(both_d.parameters(), lr=RATES.lr_d, betas=(RATES.beta1, 0.999))

    def __call__(self, *_: object) -> list[float]:
        """Update both discriminators, then both generators; the weighted loss terms."""
        a, b = self.inputs(0), self.inputs(1)
        (g_a, g_b), (d_a, d_b), (real_a, real_b) = self.networks.generators, self.networks.discriminators, self.reals
        fake_a, fake_b = g_a(a.noisy, a.prev), g_b(b.noisy, b.prev)
        rec_a, rec_b = g_a(a.z_prev, a.z_prev), g_b(b.z_prev, b.z_prev)
        b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
        cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)

        losses_d = self.discriminator_losses(d_a, real_a, b2a.detach(), fake_a.detach(), a.mix)
        losses_d += self.discriminator_losses(d_b, real_b, a2b.detach(), fake_b.detach(), b.mix)
        self.optimiser_d.zero_grad()
        sum(losses_d).backward()
        self.optimiser_d.step()

        losses_g = [
            -d_a(b2a).mean() - d_a(fake_a).mean(),
            WEIGHTS.lambda_g * (-d_b(a2b).mean() - d_b(fake_b).mean()),
            WEIGHTS.alpha * F.mse_loss(rec_a, real_a),
            WEIGHTS.alpha * F.mse_loss(rec_b, real_b),
            WEIGHTS.beta * F.mse_loss(cyc_a, fake_a),
            WEIGHTS.beta * F.mse_loss(cyc_b, fake_b),
        ]
        self.optimiser_g.zero_grad()
        sum(losses_g).backward()
        self.optimiser_g.step()
        return [loss.item() for loss in losses_d + losses_g]

    def inputs(self, domain: int) -> DomainInputs:
        """Everything random in a step of one domain."""
        pyramid = self.pyramids[domain]
        zero = torch.zeros(1, 3, *pyramid.shapes[0])
        prev, z_prev = self.draw(pyramid, zero, True), self.draw(pyramid, torch.randn_like(zero), False)
        return DomainInputs(self.sigmas[domain] * torch.randn_like(prev) + prev, prev, z_prev, torch.rand(2))

    @torch.no_grad()
    def draw(self, pyramid: Pyramid, image: Tensor, noisy: bool) -> Tensor:
        """From the coarsest scale to the one that trains (docs/method.md, section 4); (1, 3, H, W)."""
        for i, (generator, sigma) in enumerate(zip(pyramid.generators, pyramid.sigmas, strict=True)):
            image = generator(sigma * torch.randn_like(image) + image if noisy else image, image)
            # Truncated to 8 bits, enlarged with weights made anew, and back.
            pixels = (127.5 * (image[0].clamp(-1, 1) + 1)).to(torch.uint8)
            anew, factor = resize_weights.__wrapped__, 1 / pyramid.factor
            rows, columns = map(anew, pixels.shape[1:], (factor, factor), pyramid.shapes[i + 1])
            rows, columns = (torch.from_numpy(each.toarray()).double() for each in (rows, columns))
            enlarged = rows @ pixels.double() @ columns.T
            image = (enlarged[None] / 127.5 - 1).clamp(-1, 1).float()
        return image

    def discriminator_losses(
        self, discriminator: nn.Module, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor
    ) -> list[Tensor]:
        def penalty(image: Tensor, share: Tensor) -> Tensor:
            point = (share * real + (1 - share) * image).requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
            return WEIGHTS.lambda_grad * ((gradient.norm(2, dim=1) - 1) ** 2).mean()

        judged = discriminator(translated).mean() + discriminator(fake).mean()
        return [-2 * discriminator(real).mean(), judged, penalty(translated, mix[0]), penalty(fake, mix[1])]


def batch_normalised(network: nn.Module) -> nn.Module:
    """A copy with batch normalisation in training mode: on one image, normalisation per image."""
    network = copy.deepcopy(network)
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index, norm in enumerate(layers):
            if isinstance(norm, nn.GroupNorm):
                layers[index] = nn.BatchNorm2d(norm.num_channels)
                layers[index].weight, layers[index].bias = norm.weight, norm.bias
    return network


def program(start: Start) -> Callable[[int, Both], object]:
    """The program's own step."""
    networks, pyramids, sigmas, reals = start
    scale = len(pyramids[0].generators)
    state, draws = ScaleState(scale, networks, RATES), StepDraws(pyramids, scale, 1, CPU, sigmas=sigmas)

    def take(step: int, both: Both) -> object:
        return training_step(state, both(lambda x: draws(x, step, reals[x])), reals, WEIGHTS, both)

    return take


def starting_point(scale: int, geometry: Geometry, architecture: Architecture) -> Start:
    """What a form starts from; the same at every call."""
    pyramids = tuple(Pyramid(shapes, geometry.factor) for shapes in geometry.domain_shapes)
    for finished in range(scale + 1):
        networks = ScaleNetworks(architecture, finished, geometry.stop_scale)
        initialise(networks, stream(finished, "benchmark"))
        if finished < scale:
            for pyramid, generator in zip(pyramids, networks.generators, strict=True):
                pyramid.append(generator, 0.02 if finished else 0.1)
    coarse = 2 * torch.rand(2, 3, 6, 6, generator=stream(0, "benchmark")) - 1
    smooth = F.interpolate(coarse, geometry.shapes[scale], mode="bilinear")
    return networks, pyramids, (0.02, 0.02) if scale else (1.0, 1.0), (smooth[:1], smooth[1:])


def medians(scale: int, geometry: Geometry, architecture: Architecture, repeats: int) -> list[float]:
    """Milliseconds of a step: published, one by one, side by side."""
    starts = [starting_point(scale, geometry, architecture) for _ in range(3)]
    takes = Published(starts[0]), program(starts[1]), program(starts[2])
    ways = nullcontext, partial(nullcontext, one_by_one), side_by_side
    times: list[list[float]] = [[], [], []]
    for step in range(repeats + 1):  # the first warms up
        for take, way, own in zip(takes, ways, times, strict=True):
            with way() as both:
                start = time.perf_counter()
                take(step, both)
                own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own[1:]) for own in times]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", choices=("paper", "quick"), default="paper", help="sizes and widths")
    parser.add_argument("--scales", type=int, nargs="+", help="default: all")
    parser.add_argument("--repeats", type=int, default=5, help="turns; the median counts")
    options = parser.parse_args(arguments)
    chosen = QUICK if options.preset == "quick" else {}
    geometry = Geometry(**{name: chosen[name] for name in ("img_size", "min_size", "scale_factor") if name in chosen})
    names = ("max_nfc", "switch_res", "padding_mode", "padd_size")
    architecture = Architecture(**{name: chosen[name] for name in names if name in chosen})
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; milliseconds a step\n")
    print("| side, px | channels | published | one by one | side by side |\n| --- | --- | --- | --- | --- |")
    for scale in options.scales or range(geometry.stop_scale + 1):
        cells = [geometry.shapes[scale][0], architecture.widths(scale)[0]]
        cells += [f"{value:.1f}" for value in medians(scale, geometry, architecture, options.repeats)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
