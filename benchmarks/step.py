"""Milliseconds per training step at every scale: as published, the plain step, the two domains side by side.

    python benchmarks/step.py [--preset quick] [--scales 0 1 2] [--repeats 5] [--json FILE]

The forms take turns in one process, each from random networks of the same start, so that a slow moment of the machine
hits all; medians are reported. `published` follows the published program call by call. Use an idle machine.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.networks import Architecture, ScaleNetworks
from models.blocks import ConvBlock, initialise
from models.pyramid import Pyramid
from presets import QUICK
from training.draws import StepDraws, one_after_other
from training.losses import LossWeights
from training.optimisers import Optimisers, OptimiserSettings
from training.side_by_side import DomainThreads, side_by_side_step
from training.step import DomainInputs, StepInputs, training_step
from utils.geometry import Geometry
from utils.resize import resize_weights
from utils.rng import stream

# What a side starts from: networks, both pyramids of finished scales, noise amplitudes, real pictures.
Start = tuple[ScaleNetworks, tuple[Pyramid, Pyramid], tuple[float, float], tuple[Tensor, Tensor]]


class Baseline:
    """docs/method.md, section 6 call by call, the way the published program computes it.

    Every step makes its own draws through all coarser scales, one picture at a time, enlarged on the host from
    8 bits. Every network call is on one picture, with batch normalisation; every penalty is by itself. The
    generators' loss is one graph, whose gradients also reach the discriminators' weights. Adam and threads are
    PyTorch's defaults, and every loss is read on the host.
    """

    def __init__(self, start: Start, weights: LossWeights, rates: OptimiserSettings) -> None:
        networks, pyramids, self.sigmas, self.reals = start
        self.networks, self.weights = batch_normalised(networks), weights
        self.pyramids = copy.deepcopy(pyramids)
        for pyramid in self.pyramids:
            pyramid.generators = [batch_normalised(generator) for generator in pyramid.generators]
        both_g, both_d = nn.ModuleList(self.networks.generators), nn.ModuleList(self.networks.discriminators)
        self.optimiser_g = torch.optim.Adam(both_g.parameters(), lr=rates.lr_g, betas=(rates.beta1, 0.999))
        self.optimiser_d = torch.optim.Adam(both_d.parameters(), lr=rates.lr_d, betas=(rates.beta1, 0.999))

    def take_step(self) -> None:
        self.step((self.inputs(0), self.inputs(1)))

    def inputs(self, domain: int) -> DomainInputs:
        """Everything random in a step of one domain."""
        pyramid, real = self.pyramids[domain], self.reals[domain]
        zero = torch.zeros(1, 3, *pyramid.shapes[0], device=real.device)
        prev, z_prev = self.draw(pyramid, zero, True), self.draw(pyramid, torch.randn_like(zero), False)
        noisy = self.sigmas[domain] * torch.randn_like(prev) + prev
        return DomainInputs(noisy, prev, z_prev, torch.rand(2, device=real.device))

    @torch.no_grad()
    def draw(self, pyramid: Pyramid, image: Tensor, noisy: bool) -> Tensor:
        """From the coarsest scale to the one that trains (docs/method.md, section 4); (1, 3, H, W)."""
        for i, (generator, sigma) in enumerate(zip(pyramid.generators, pyramid.sigmas, strict=True)):
            image = generator(sigma * torch.randn_like(image) + image if noisy else image, image)
            image = upsample_on_host(image, pyramid.factor, pyramid.shapes[i + 1])
        return image

    def step(self, inputs: StepInputs) -> dict[str, float]:
        """Update both discriminators, then both generators; the weighted loss terms, named as the program's."""
        a, b = inputs
        (g_a, g_b), (d_a, d_b), (real_a, real_b) = self.networks.generators, self.networks.discriminators, self.reals
        fake_a, fake_b = g_a(a.noisy, a.prev), g_b(b.noisy, b.prev)
        rec_a, rec_b = g_a(a.z_prev, a.z_prev), g_b(b.z_prev, b.z_prev)
        b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
        cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)

        losses_d = self.discriminator_losses("a", d_a, real_a, b2a.detach(), fake_a.detach(), a.mix)
        losses_d |= self.discriminator_losses("b", d_b, real_b, a2b.detach(), fake_b.detach(), b.mix)
        self.optimiser_d.zero_grad()
        sum(losses_d.values()).backward()
        self.optimiser_d.step()

        losses_g = {
            "G/adversarial_a": -d_a(b2a).mean() - d_a(fake_a).mean(),
            "G/adversarial_b": self.weights.lambda_g * (-d_b(a2b).mean() - d_b(fake_b).mean()),
            "G/reconstruction_a": self.weights.alpha * F.mse_loss(rec_a, real_a),
            "G/reconstruction_b": self.weights.alpha * F.mse_loss(rec_b, real_b),
            "G/cycle_a": self.weights.beta * F.mse_loss(cyc_a, fake_a),
            "G/cycle_b": self.weights.beta * F.mse_loss(cyc_b, fake_b),
        }
        self.optimiser_g.zero_grad()
        sum(losses_g.values()).backward()
        self.optimiser_g.step()
        return {name: loss.item() for name, loss in (losses_d | losses_g).items()}

    def discriminator_losses(
        self, domain: str, discriminator: nn.Module, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor
    ) -> dict[str, Tensor]:
        def penalty(picture: Tensor, share: Tensor) -> Tensor:
            point = (share * real + (1 - share) * picture).requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
            return self.weights.lambda_grad * ((gradient.norm(2, dim=1) - 1) ** 2).mean()

        return {
            f"D/real_{domain}": -2 * discriminator(real).mean(),
            f"D/fake_{domain}": discriminator(translated).mean() + discriminator(fake).mean(),
            f"D/penalty_{domain}": penalty(translated, mix[0]) + penalty(fake, mix[1]),
        }


def batch_normalised(network: nn.Module) -> nn.Module:
    """A copy with batch normalisation in training mode: on one picture, normalisation per image."""
    network = copy.deepcopy(network)
    for block in [module for module in network.modules() if isinstance(module, ConvBlock)]:
        scale, shift = block.norm.weight, block.norm.bias
        block.norm = nn.BatchNorm2d(len(scale), device=scale.device)
        block.norm.weight, block.norm.bias = scale, shift
    return network


def upsample_on_host(image: Tensor, factor: float, shape: tuple[int, int]) -> Tensor:
    """Enlarge (1, 3, H, W) on the CPU: truncated to 8 bits, bicubic with weights made anew, and back."""
    pixels = (127.5 * (image[0].clamp(-1, 1) + 1)).cpu().to(torch.uint8)
    rows, columns = map(resize_weights, pixels.shape[1:], (1 / factor,) * 2, shape)
    enlarged = torch.from_numpy(rows) @ pixels.double() @ torch.from_numpy(columns).T
    return (enlarged[None] / 127.5 - 1).clamp(-1, 1).float().to(image.device)


def starting_point(scale: int, geometry: Geometry, architecture: Architecture) -> Start:
    """What a form starts from; the same at every call."""
    cpu = torch.device("cpu")
    pyramids = tuple(Pyramid(shapes, geometry.factor) for shapes in geometry.domain_shapes)
    for coarser in range(scale):
        networks = ScaleNetworks(architecture, coarser, geometry.stop_scale)
        initialise(networks, stream(coarser, "benchmark"))
        for pyramid, generator in zip(pyramids, networks.generators, strict=True):
            pyramid.append(generator, 0.02 if coarser else 0.1)
    networks = ScaleNetworks(architecture, scale, geometry.stop_scale).to(cpu)
    initialise(networks, stream(scale, "benchmark"))
    coarse = 2 * torch.rand(2, 3, 6, 6, generator=stream(0, "benchmark")) - 1
    smooth = F.interpolate(coarse, geometry.shapes[scale], mode="bilinear")
    return networks, pyramids, (0.02, 0.02) if scale else (1.0, 1.0), (smooth[:1], smooth[1:])


def program(start: Start, weights: LossWeights, rates: OptimiserSettings, threads: DomainThreads | None) -> Callable:
    """The program's own step: plain, or side by side on these threads."""
    networks, pyramids, sigmas, reals = start
    scale, optimisers = len(pyramids[0].generators), Optimisers(networks, rates)
    draws = StepDraws(pyramids, scale, 1, torch.device("cpu"), threads or one_after_other)
    draws.sigmas = sigmas
    length = draws.steps_per_chunk

    def chunk(first: int) -> None:
        for inputs, real in draws.chunk(range(first, first + length), lambda _: reals):
            if threads is None:
                training_step(networks, optimisers, inputs, real, weights)
            else:
                side_by_side_step(networks, optimisers, inputs, real, weights, threads)

    chunk.steps = length
    return chunk


def milliseconds(call: Callable[[], object], steps: int) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start) / steps


def measure(scale: int, geometry: Geometry, architecture: Architecture, repeats: int) -> dict[str, float]:
    """Median milliseconds of a step in each form."""
    weights, rates = LossWeights(), OptimiserSettings()
    start = [starting_point(scale, geometry, architecture) for _ in range(3)]
    published, plain = Baseline(start[0], weights, rates), program(start[1], weights, rates, None)
    threads = DomainThreads()
    both = program(start[2], weights, rates, threads)
    found: dict[str, list[float]] = {"published": [], "plain": [], "side by side": []}
    for turn in range(repeats + 1):  # the first warms up
        times = [
            milliseconds(published.take_step, 1),
            milliseconds(lambda turn=turn: plain(turn * plain.steps), plain.steps),
        ]
        with threads:
            times.append(milliseconds(lambda turn=turn: both(turn * both.steps), both.steps))
        for values, value in zip(found.values(), times if turn else [], strict=False):
            values.append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--preset", choices=("paper", "quick"), default="paper", help="sizes and widths of the networks"
    )
    parser.add_argument("--scales", type=int, nargs="+", help="default: all")
    parser.add_argument("--repeats", type=int, default=5, help="turns; the median counts")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args(arguments)
    chosen = QUICK if options.preset == "quick" else {}
    geometry = Geometry(**{name: chosen[name] for name in ("img_size", "min_size", "scale_factor") if name in chosen})
    names = ("max_nfc", "switch_res", "padding_mode", "padd_size")
    architecture = Architecture(**{name: chosen[name] for name in names if name in chosen})
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; milliseconds a step")
    print(f"{'side':>5} {'channels':>9} {'published':>10} {'plain':>8} {'side by side':>13}")
    rows = []
    for scale in options.scales or range(geometry.stop_scale + 1):
        row = measure(scale, geometry, architecture, options.repeats)
        side, channels = geometry.shapes[scale][0], architecture.widths(scale)[0]
        print(
            f"{side:5} {channels:9} {row['published']:10.1f} {row['plain']:8.1f} {row['side by side']:13.1f}",
            flush=True,
        )
        rows.append({"side": side, "channels": channels, **row})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
