"""Milliseconds per training step at every scale: the program against a plain baseline.

The training loop minus everything else, at the paper's settings, with random networks: `python
benchmarks/bench_step.py --device cpu`. Both sides take turns, so that a slow moment of the machine hits both, and
medians are reported. FLOP/s count METHOD section 9's forward passes; the ceilings are measured in the same run.
"""

import contextlib
import copy
import ctypes
import itertools
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.architecture import Architecture, ScaleNetworks
from models.blocks import ConvBlock
from models.pyramid import Pyramid
from training.draws import StepDraws
from training.loop import start_networks
from training.losses import LossWeights
from training.optimisers import Optimisers, OptimiserSettings
from training.step import DomainInputs, StepInputs, training_step
from utils.arguments import Parser, integer
from utils.device import available_gpus, device_name
from utils.errors import one_line_errors
from utils.files import write_json
from utils.parallel import DomainThreads
from utils.resize import resize_weights
from utils.scales import Geometry

GEOMETRY, ARCHITECTURE, WEIGHTS, RATES = Geometry(), Architecture(), LossWeights(), OptimiserSettings()
SIGMA_COARSEST, SIGMA = 0.1, 0.02  # noise amplitudes such as training measures
SEED = 1
PASSES = 74  # forward passes in a step, METHOD section 9


class Program:
    """The step as train.py takes it."""

    def __init__(self, networks: ScaleNetworks, draws: StepDraws, reals: tuple[Tensor, Tensor]) -> None:
        self.networks, self.draws, self.reals = networks, draws, reals
        self.optimisers, self.steps = Optimisers(networks, RATES), itertools.count()

    def take_step(self) -> None:
        inputs = self.draws.inputs(next(self.steps))
        training_step(self.networks, self.optimisers, inputs, self.reals, WEIGHTS, self.draws.both)


class Baseline:
    """METHOD section 6 call by call, the way the published program computes it.

    Every step makes its own draws through all coarser scales, one picture at a time, enlarged on the host from
    8 bits. Every network call is on one picture, with batch normalisation; every penalty is by itself. The
    generators' loss is one graph, whose gradients also reach the discriminators' weights. Adam and threads are
    PyTorch's defaults, and every loss is read on the host.
    """

    def __init__(self, networks: ScaleNetworks, draws: StepDraws, reals: tuple[Tensor, Tensor]) -> None:
        self.networks, self.sigmas, self.reals = batch_normalised(networks), draws.sigmas, reals
        self.pyramids = copy.deepcopy(draws.pyramids)
        for pyramid in self.pyramids:
            pyramid.generators = [batch_normalised(generator) for generator in pyramid.generators]
        both_g, both_d = nn.ModuleList(self.networks.generators), nn.ModuleList(self.networks.discriminators)
        self.optimiser_g = torch.optim.Adam(both_g.parameters(), lr=RATES.lr_g, betas=(RATES.beta1, 0.999))
        self.optimiser_d = torch.optim.Adam(both_d.parameters(), lr=RATES.lr_d, betas=(RATES.beta1, 0.999))

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
        """From the coarsest scale to the one that trains (METHOD section 4); (1, 3, H, W)."""
        for i, (generator, sigma) in enumerate(zip(pyramid.generators, pyramid.sigmas, strict=True)):
            image = generator(sigma * torch.randn_like(image) + image if noisy else image, image)
            image = upsample_on_host(image, pyramid.factor, pyramid.shapes[i + 1])
        return image

    def step(self, inputs: StepInputs) -> dict[str, float]:
        """Update both discriminators, then both generators; the weighted loss terms, named as the program's."""
        (noisy_a, prev_a, z_prev_a, mix_a), (noisy_b, prev_b, z_prev_b, mix_b) = inputs
        (g_a, g_b), (d_a, d_b), (real_a, real_b) = self.networks.generators, self.networks.discriminators, self.reals
        fake_a, fake_b = g_a(noisy_a, prev_a), g_b(noisy_b, prev_b)
        rec_a, rec_b = g_a(z_prev_a, z_prev_a), g_b(z_prev_b, z_prev_b)
        b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
        cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)

        losses_d = discriminator_losses("a", d_a, real_a, b2a.detach(), fake_a.detach(), mix_a)
        losses_d |= discriminator_losses("b", d_b, real_b, a2b.detach(), fake_b.detach(), mix_b)
        self.optimiser_d.zero_grad()
        sum(losses_d.values()).backward()
        self.optimiser_d.step()

        losses_g = {
            "G/adversarial_a": -d_a(b2a).mean() - d_a(fake_a).mean(),
            "G/adversarial_b": WEIGHTS.lambda_g * (-d_b(a2b).mean() - d_b(fake_b).mean()),
            "G/reconstruction_a": WEIGHTS.alpha * F.mse_loss(rec_a, real_a),
            "G/reconstruction_b": WEIGHTS.alpha * F.mse_loss(rec_b, real_b),
            "G/cycle_a": WEIGHTS.beta * F.mse_loss(cyc_a, fake_a),
            "G/cycle_b": WEIGHTS.beta * F.mse_loss(cyc_b, fake_b),
        }
        self.optimiser_g.zero_grad()
        sum(losses_g.values()).backward()
        self.optimiser_g.step()
        return {name: loss.item() for name, loss in (losses_d | losses_g).items()}


def batch_normalised(network: nn.Module) -> nn.Module:
    """A copy with batch normalisation in training mode: on one picture, normalisation per image."""
    network = copy.deepcopy(network)
    for block in [module for module in network.modules() if isinstance(module, ConvBlock)]:
        scale, shift = block.norm.weight, block.norm.bias
        block.norm = nn.BatchNorm2d(len(scale), device=scale.device)
        block.norm.weight, block.norm.bias = scale, shift
    return network


def discriminator_losses(
    domain: str, discriminator: nn.Module, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor
) -> dict[str, Tensor]:
    def penalty(picture: Tensor, share: Tensor) -> Tensor:
        point = (share * real + (1 - share) * picture).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
        return WEIGHTS.lambda_grad * ((gradient.norm(2, dim=1) - 1) ** 2).mean()

    return {
        f"D/real_{domain}": -2 * discriminator(real).mean(),
        f"D/fake_{domain}": discriminator(translated).mean() + discriminator(fake).mean(),
        f"D/penalty_{domain}": penalty(translated, mix[0]) + penalty(fake, mix[1]),
    }


def upsample_on_host(image: Tensor, factor: float, shape: tuple[int, int]) -> Tensor:
    """Enlarge (1, 3, H, W) on the CPU: truncated to 8 bits, bicubic with weights made anew, and back."""
    pixels = (127.5 * (image[0].clamp(-1, 1) + 1)).cpu().to(torch.uint8)
    rows, columns = map(resize_weights, pixels.shape[1:], (1 / factor,) * 2, shape)
    enlarged = torch.from_numpy(rows) @ pixels.double() @ torch.from_numpy(columns).T
    return (enlarged[None] / 127.5 - 1).clamp(-1, 1).float().to(image.device)


def seconds_of(call: Callable[[], object], calls: int, device: torch.device) -> float:
    """Mean seconds of a call."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda _: None
    wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    wait(device)
    return (time.perf_counter() - start) / calls


@torch.no_grad()
def ceilings(channels: int, shape: tuple[int, int], device: torch.device) -> tuple[float, float]:
    """GFLOP/s of a 3x3 convolution on many pictures of a scale, in the better layout, and of a matrix product."""
    pixels, calls = (2**20, 20) if device.type == "cuda" else (2**16, 1)
    images = torch.randn(math.ceil(pixels / math.prod(shape)), channels, *shape, device=device)
    kernel, square = torch.randn(channels, channels, 3, 3, device=device), torch.randn(2048, 2048, device=device)

    def gflops(flop: float, call: Callable[..., object], *tensors: Tensor) -> float:
        return flop / min(seconds_of(lambda: call(*tensors), calls, device) for _ in range(5)) / 1e9

    flop, layouts = 2 * 9 * channels * images.numel(), (torch.contiguous_format, torch.channels_last)
    pairs = [(images.contiguous(memory_format=x), kernel.contiguous(memory_format=x)) for x in layouts]
    convolution = max(gflops(flop, lambda x, weight: F.conv2d(x, weight, padding=1), *pair) for pair in pairs)
    return convolution, gflops(2 * 2048**3, torch.matmul, square, square)


def peak_memory(device: torch.device) -> float:
    """MiB at the highest point since the last call, or where the system keeps that for good, since the start."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    with contextlib.suppress(OSError, AttributeError):  # On Linux, give back what is free and start again.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return peak


def both_sides(scale: int, device: torch.device, both: DomainThreads) -> tuple[Program, Baseline]:
    """Two sides with the same frozen scales, starting from the same networks."""
    pyramids = Pyramid(GEOMETRY.shapes, GEOMETRY.factor), Pyramid(GEOMETRY.shapes, GEOMETRY.factor)
    for i in range(scale):
        frozen = start_networks(i, GEOMETRY, ARCHITECTURE, None, SEED, device)
        for pyramid, generator in zip(pyramids, frozen.generators, strict=True):
            pyramid.append(generator, SIGMA if i else SIGMA_COARSEST)
    draws = StepDraws(pyramids, scale, SEED, device, both)
    draws.sigmas = (SIGMA, SIGMA) if scale else (1.0, 1.0)
    coarse = 2 * torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(SEED)) - 1
    smooth = F.interpolate(coarse, GEOMETRY.shapes[scale], mode="bilinear").to(device)
    networks = start_networks(scale, GEOMETRY, ARCHITECTURE, None, SEED, device)
    shared = draws, (smooth[:1], smooth[1:])
    return Program(networks, *shared), Baseline(networks, *shared)


def measure_scale(scale: int, device: torch.device, repeats: int) -> dict[str, float]:
    """A row of the table and of the record."""
    shape, channels = GEOMETRY.shapes[scale], ARCHITECTURE.widths(scale)[0]
    convolution, product = ceilings(channels, shape, device)
    threads, timings, peaks = torch.get_num_threads(), ([], []), []
    with DomainThreads(device) as both:
        sides, threads_of_sides = both_sides(scale, device, both), (torch.get_num_threads(), threads)
        # Whole chunks of draws, so that a step bears its share of them; on a GPU one step is too short.
        chunk = sides[0].draws.steps_per_chunk
        steps = chunk * math.ceil(16 / chunk) if device.type == "cuda" else chunk
        for turn, i in itertools.product(range(repeats + 1), (0, 1)):
            torch.set_num_threads(threads_of_sides[i])
            if turn:
                timings[i].append(seconds_of(sides[i].take_step, steps, device))
                continue
            peak_memory(device)
            seconds_of(sides[i].take_step, 2, device)  # to warm up
            peaks.append(peak_memory(device))

    program, baseline = map(statistics.median, timings)
    gflop = PASSES * 2 * 9 * (3 * channels + 3 * channels**2 + 3 * channels) * math.prod(shape) / 1e9
    row = {"scale": scale, "side": shape[0], "channels": channels, "steps": steps}
    row |= {"program_ms": 1e3 * program, "baseline_ms": 1e3 * baseline, "ratio": baseline / program}
    row |= {"program_gflops": gflop / program, "baseline_gflops": gflop / baseline}
    row |= {"convolution_gflops": convolution, "share_of_convolution": gflop / program / convolution}
    row |= {"product_gflops": product, "share_of_product": gflop / program / product}
    return row | {"program_mib": peaks[0], "baseline_mib": peaks[1]}


HEADER = """\
                              ms a step         |       GFLOP/s      | program's share of  |     peak MiB
scale side channels     program  baseline ratio |   program baseline | convolution product | program baseline"""
ROW = (
    "{scale:5} {side:4} {channels:8}  {program_ms:10.2f} {baseline_ms:9.2f} {ratio:5.2f} |"
    " {program_gflops:9.1f} {baseline_gflops:8.1f} | {share_of_convolution:11.1%} {share_of_product:7.1%} |"
    " {program_mib:7.0f} {baseline_mib:8.0f}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    every_scale = [str(scale) for scale in range(GEOMETRY.stop_scale + 1)]
    devices = ["cpu", *(str(device) for device, _ in available_gpus() if device.type == "cuda")]
    add = (parser := Parser(__doc__.splitlines()[0])).add_argument
    add("--device", choices=[*devices, "cuda"] if devices[1:] else devices, default=devices[:2][-1], help="where")
    add("--scales", default=",".join(every_scale), help="some of them, separated by commas")
    add("--repeats", type=integer(1), default=5, help="timings of each side after a warm-up")
    add("--precision", choices=("fp32", "tf32"), default="fp32", help="of products and convolutions on a GPU")
    add("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    device, tf32 = torch.device(options.device), options.precision == "tf32"
    if unknown := [name for name in options.scales.split(",") if name not in every_scale]:
        parser.error(f"--scales: there is no scale '{unknown[0]}'; there are {', '.join(every_scale)}")
    if tf32 and (device.type == "cpu" or torch.cuda.get_device_capability(device) < (8, 0)):
        parser.error(f"--precision tf32: has no effect on {device_name(device)}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32

    memory = "torch.cuda.max_memory_allocated" if device.type == "cuda" else "ru_maxrss, the whole process"
    record = {"device": device_name(device), "threads": torch.get_num_threads(), "torch": torch.__version__}
    record |= {"date": str(date.today()), "precision": options.precision, "repeats": options.repeats}
    record |= {"memory": memory, "rows": []}
    print(", ".join(f"{name} {value}" for name, value in record.items() if name != "rows"), HEADER, sep="\n")
    for scale in map(int, options.scales.split(",")):
        record["rows"].append(measure_scale(scale, device, options.repeats))
        print(ROW.format(**record["rows"][-1]), flush=True)
        if options.json:
            write_json(options.json, record)
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
