"""Milliseconds per training step at every scale: the program against a plain baseline.

The training loop minus everything else: draws and steps of the paper's pyramid (`--scales` picks some), with
random networks. Both sides take turns, so that a slow moment of the machine hits both; medians are reported.
FLOP/s count METHOD section 9's 74 forward passes a step and nothing else, for both sides alike, and are set
against ceilings measured in the same run.

    python benchmarks/bench_step.py --device cpu --json bench.json
"""

import contextlib
import datetime
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import Parser, integer
from models.architecture import Architecture, ScaleNetworks
from models.blocks import initialise
from models.pyramid import Pyramid
from training.draws import StepDraws
from training.losses import LossWeights
from training.step import DomainInputs, Optimisers, OptimiserSettings, StepInputs, training_step
from utils.device import available_gpus, device_name
from utils.errors import UserError, one_line_errors
from utils.files import write_json
from utils.image import image_to_tensor, open_image
from utils.parallel import DomainThreads
from utils.resize import cubic
from utils.scales import Geometry
from utils.streams import stream

IMAGES = Path(__file__).resolve().parent.parent / "images"
SEED = 1
# Noise amplitudes of the frozen scales, of the size that training measures.
SIGMA_COARSEST, SIGMA = 0.1, 0.02
PASSES = 74  # forward passes in a step, METHOD section 9
LEAST_STEPS_ON_GPU = 16  # timed at a time: one step would be too short


class Program:
    """The step as train.py takes it."""

    def __init__(self, networks: ScaleNetworks, draws: StepDraws, reals: tuple[Tensor, Tensor]) -> None:
        self.networks, self.draws, self.reals = networks, draws, reals
        self.optimisers = Optimisers(networks, OptimiserSettings())
        self.steps_done = 0

    def take_step(self) -> None:
        inputs = self.draws.inputs(self.steps_done)
        training_step(self.networks, self.optimisers, inputs, self.reals, LossWeights(), self.draws.both)
        self.steps_done += 1


class Baseline:
    """METHOD section 6 call by call, the way the published program computes it.

    What stands for the published program: every step makes its own draws through all coarser scales, one
    picture at a time, enlarged on the host from pictures truncated to 8 bits; every network call is on one
    picture, every penalty by itself; the generators' loss is one graph, whose gradients also reach the
    discriminators' weights; PyTorch's default Adam and threads; every loss is read on the host in every step.
    Networks are the program's own: normalisation per image is batch normalisation on one image.
    """

    def __init__(
        self,
        networks: ScaleNetworks,
        pyramids: tuple[Pyramid, Pyramid],
        sigmas: tuple[float, float],
        reals: tuple[Tensor, Tensor],
        settings: OptimiserSettings,
        weights: LossWeights,
    ) -> None:
        self.networks, self.pyramids, self.sigmas, self.reals = networks, pyramids, sigmas, reals
        self.weights = weights
        betas = (settings.beta1, 0.999)
        generators, discriminators = (nn.ModuleList(pair) for pair in (networks.generators, networks.discriminators))
        self.optimiser_g = torch.optim.Adam(generators.parameters(), lr=settings.lr_g, betas=betas)
        self.optimiser_d = torch.optim.Adam(discriminators.parameters(), lr=settings.lr_d, betas=betas)

    def take_step(self) -> None:
        self.step((self.inputs(0), self.inputs(1)))

    def inputs(self, domain: int) -> DomainInputs:
        """Everything random in a step of one domain."""
        real = self.reals[domain]
        prev = self.draw(self.pyramids[domain], torch.zeros_like, noisy=True)
        z_prev = self.draw(self.pyramids[domain], torch.randn_like, noisy=False)
        noisy = self.sigmas[domain] * torch.randn_like(real) + prev
        return DomainInputs(noisy, prev, z_prev, torch.rand(2, device=real.device))

    @torch.no_grad()
    def draw(self, pyramid: Pyramid, start: Callable[[Tensor], Tensor], noisy: bool) -> Tensor:
        """From the coarsest scale to the one that trains (METHOD section 4); (1, 3, H, W)."""
        image = start(torch.empty(1, 3, *pyramid.shapes[0], device=self.reals[0].device))
        for i, (generator, sigma) in enumerate(zip(pyramid.generators, pyramid.sigmas, strict=True)):
            image = generator(sigma * torch.randn_like(image) + image if noisy else image, image)
            image = upsample_on_host(image, pyramid.factor, pyramid.shapes[i + 1])
        return image

    def step(self, inputs: StepInputs) -> dict[str, float]:
        """Update both discriminators, then both generators; the weighted loss terms, named as the program's."""
        g_a, g_b = self.networks.generators
        (noisy_a, prev_a, z_prev_a, mix_a), (noisy_b, prev_b, z_prev_b, mix_b) = inputs
        fake_a, fake_b = g_a(noisy_a, prev_a), g_b(noisy_b, prev_b)
        rec_a, rec_b = g_a(z_prev_a, z_prev_a), g_b(z_prev_b, z_prev_b)
        b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
        cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)
        d_a, d_b = self.networks.discriminators
        real_a, real_b = self.reals

        terms_d = self.discriminator_terms("a", d_a, real_a, b2a.detach(), fake_a.detach(), mix_a)
        terms_d |= self.discriminator_terms("b", d_b, real_b, a2b.detach(), fake_b.detach(), mix_b)
        self.optimiser_d.zero_grad()
        sum(terms_d.values()).backward()
        self.optimiser_d.step()

        alpha, beta = self.weights.alpha, self.weights.beta
        terms_g = {
            "G/adversarial_a": -d_a(b2a).mean() - d_a(fake_a).mean(),
            "G/adversarial_b": self.weights.lambda_g * (-d_b(a2b).mean() - d_b(fake_b).mean()),
            "G/reconstruction_a": alpha * F.mse_loss(rec_a, real_a),
            "G/reconstruction_b": alpha * F.mse_loss(rec_b, real_b),
            "G/cycle_a": beta * F.mse_loss(cyc_a, fake_a),
            "G/cycle_b": beta * F.mse_loss(cyc_b, fake_b),
        }
        self.optimiser_g.zero_grad()
        sum(terms_g.values()).backward()
        self.optimiser_g.step()
        return {name: term.item() for name, term in (terms_d | terms_g).items()}

    def discriminator_terms(
        self, name: str, discriminator: nn.Module, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor
    ) -> dict[str, Tensor]:
        def penalty(share: Tensor, picture: Tensor) -> Tensor:
            point = (share * real + (1 - share) * picture).requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
            return ((gradient.norm(2, dim=1) - 1) ** 2).mean()

        return {
            f"D/real_{name}": -2 * discriminator(real).mean(),
            f"D/fake_{name}": discriminator(translated).mean() + discriminator(fake).mean(),
            f"D/penalty_{name}": self.weights.lambda_grad * (penalty(mix[0], translated) + penalty(mix[1], fake)),
        }


def upsample_on_host(image: Tensor, factor: float, shape: tuple[int, int]) -> Tensor:
    """Enlarge (1, 3, H, W) in [-1, 1] on the CPU: truncated to 8 bits, then bicubic by numpy, then back."""
    pixels = (255 * ((image[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1)).cpu().numpy().astype(np.uint8)
    resized = enlarge_axis(enlarge_axis(pixels, 0, factor, shape[0]), 1, factor, shape[1])
    result = torch.from_numpy(resized.transpose(2, 0, 1)[None] / 255).to(image.device, torch.float32)
    return ((result - 0.5) * 2).clamp(-1, 1)


def enlarge_axis(pixels: np.ndarray, axis: int, factor: float, out_length: int) -> np.ndarray:
    """Bicubic by 1 / factor along one axis, geometry as in utils.resize; weights are made anew in every call."""
    length = pixels.shape[axis]
    centres = (np.arange(out_length) + 0.5) * factor - 0.5
    taps = np.floor(centres).astype(int)[:, None] + np.arange(-1, 3)
    weights = cubic(taps - centres[:, None])
    taps = np.mod(taps, 2 * length)
    taps = np.where(taps < length, taps, 2 * length - 1 - taps)
    lines = np.moveaxis(pixels, axis, 0)
    return np.moveaxis((lines[taps] * weights[:, :, None, None]).sum(axis=1), 0, axis)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(calls: int, call: Callable[[], object], device: torch.device) -> float:
    """Seconds per call."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    synchronise(device)
    return (time.perf_counter() - start) / calls


@torch.no_grad()
def ceiling(flop: float, call: Callable[[], object], device: torch.device) -> float:
    """The best GFLOP/s of a few trials after a warm-up."""
    call()
    return flop / min(seconds_of(20 if device.type == "cuda" else 1, call, device) for _ in range(4)) / 1e9


def matmul_ceiling(device: torch.device, side: int = 2048) -> float:
    """GFLOP/s of a square matrix product."""
    matrix = torch.randn(side, side, device=device)
    return ceiling(2 * side**3, lambda: matrix @ matrix, device)


def convolution_ceiling(channels: int, shape: tuple[int, int], device: torch.device) -> float:
    """GFLOP/s of a 3x3 convolution at a scale's size and width, many pictures at once, in the better layout."""
    batch = math.ceil((2**20 if device.type == "cuda" else 2**16) / math.prod(shape))
    flop = 2 * 9 * channels**2 * math.prod(shape) * batch
    rates = []
    for layout in (torch.contiguous_format, torch.channels_last):
        images = torch.randn(batch, channels, *shape, device=device).to(memory_format=layout)
        kernel = torch.randn(channels, channels, 3, 3, device=device).to(memory_format=layout)
        rates.append(ceiling(flop, lambda x=images, k=kernel: F.conv2d(x, k, padding=1), device))
    return max(rates)
