"""Everything random in the steps of a scale, made ahead and many steps at a time."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from models.pyramid import Pyramid, gaussian_noise
from training.domains import DomainThreads
from training.step import DomainInputs, StepInputs
from utils.device import send
from utils.geometry import Shapes
from utils.rng import normal, stream, uniform

# Bounds of a chunk: enough images to use the machine, few enough that little is drawn in vain, and that they fit into
# a GPU's memory: a map of 128 features of that many pixels is 256 MiB.
MAX_STEPS, MAX_PIXELS, MAX_PIXELS_ON_GPU = 16, 2**14, 2**19

Inputs = TypeVar("Inputs")
# N(0, 1) for the sample's input, then what `DomainInputs` has from prev on.
Drawn = tuple[Tensor, ...]


def steps_per_chunk(pixels: int, device: torch.device) -> int:
    """How many steps' draws to make at a time, for images of so many pixels.

    No random number depends on it; finished scales' calls round a little otherwise for other batches.
    """
    most = MAX_PIXELS if device.type == "cpu" else MAX_PIXELS_ON_GPU
    return max(1, min(MAX_STEPS, most // pixels))


def in_chunks(make: Callable[[range], list[Inputs]], length: int) -> Callable[[int], Inputs]:
    """The inputs of a step, counted from 0, made for a chunk of `length` steps at a time; keeps the last chunk.

    Args:
        make: from the numbers of some steps to the inputs of each.
    """
    kept = lru_cache(maxsize=1)(make)

    def inputs(step: int) -> Inputs:
        first = step - step % length
        return kept(range(first, first + length))[step - first]

    return inputs


def rec_start(shapes: Shapes, device: torch.device, domain: int = 0, *, grey: bool = False) -> Tensor:
    """SinGAN's z*, the noise at scale 0 an image is reconstructed from: (1, 3, H, W) N(0, 1).

    It is the same for every seed: a pyramid whose training goes on under another seed has to meet its own z* again.

    Args:
        shapes: (height, width) of every scale.
        grey: one channel repeated on three (docs/method.md, section 11).
    """
    return gaussian_noise(shapes, [stream(0, "reconstruction", domain)], device, grey_coarsest=grey)(0)


class StepDraws:
    """The inputs of the steps of one scale (docs/method.md, section 4 to 6).

    What finished scales draw depends on nothing a step changes, so the draws of a chunk of steps share each
    call of a generator. A step's inputs are a pure function of (seed, scale, step) and its real images, whatever ran
    before.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
        both: runs the draws of both domains.
        self_term: whether the steps need noise for the self term (docs/method.md, section 12), too.
        fixed_rec: every rec draw of a domain starts from its `rec_start`, as in SinGAN.
        real_start: share of the steps whose samples are made of the noisy real images of this scale, as an injection
            (docs/method.md, section 8) makes them, instead of the rand draw, which such a step leaves unused; chosen at random.

    Attributes:
        sigmas: of both domains, amplitudes of the noise on drawn samples' inputs; 1 until they are set, as is right
            while scale 0 trains.
        real_sigmas: of both domains, amplitudes of the noise on real images: of the self term and of real starts; set
            at every scale that uses either.
    """

    def __init__(
        self,
        pyramids: tuple[Pyramid, Pyramid],
        scale: int,
        seed: int,
        device: torch.device,
        both: DomainThreads,
        self_term: bool = False,
        fixed_rec: bool = False,
        real_start: float = 0.0,
    ) -> None:
        self.pyramids, self.scale, self.seed, self.device, self.both = pyramids, scale, seed, device, both
        self.self_term, self.real_start = self_term, real_start
        largest = max(math.prod(pyramid.shapes[scale]) for pyramid in pyramids)
        self.steps_per_chunk = steps_per_chunk(largest, device)
        self.fixed_recs = both(self._fixed_rec) if fixed_rec else None
        self.sigmas = self.real_sigmas = (1.0, 1.0)
        self._drawn = in_chunks(self._make, self.steps_per_chunk)

    def inputs(self, step: int, reals: tuple[Tensor, Tensor]) -> StepInputs:
        """The inputs of a step, counted from 0, whose real images at this scale these are, (1, 3, H, W) each."""
        starts_real = self._starts_real(step)
        sigmas = self.real_sigmas if starts_real else self.sigmas

        def of_domain(domain: int) -> DomainInputs:
            noise, drawn, *others = self._drawn(step)[domain]
            prev = reals[domain] if starts_real else drawn
            return DomainInputs(sigmas[domain] * noise + prev, prev, *others)

        return of_domain(0), of_domain(1)

    def measure_sigmas(self, reals: tuple[Tensor, Tensor], noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitudes of a scale > 0: noise_amp times the RMSE of the first step's rec draw (docs/method.md, section 5).

        Args:
            reals: the first step's real images at this scale, (1, 3, H, W) each.
        """

        def measure(domain: int) -> float:
            _, z_prev = self._draw(domain, range(1))
            return noise_amps[domain] * (reals[domain] - z_prev).square().mean().sqrt().item()

        return self.both(measure)

    def _starts_real(self, step: int) -> bool:
        """Whether a step's samples are made of the real images; the same for both domains."""
        if not self.real_start:
            return False
        return torch.rand((), generator=stream(self.seed, "start", self.scale, step)).item() < self.real_start

    def _streams(self, purpose: str, domain: int, steps: range) -> list[torch.Generator]:
        """A random stream per step."""
        return [stream(self.seed, purpose, self.scale, step, domain) for step in steps]

    def _draw(self, domain: int, steps: range) -> tuple[Tensor, Tensor]:
        """prev (the rand draw) and z_prev (the rec draw) of some steps, (steps, 3, H, W) each."""
        pyramid = self.pyramids[domain]
        # Scale 0's noise comes first in each stream for the rand draw, and once more after it for the rec draw.
        noise = gaussian_noise(pyramid.shapes, self._streams("draws", domain, steps), self.device)
        start = torch.zeros(len(steps), 3, *pyramid.shapes[0], device=self.device)
        prev = pyramid.draw(start, 0, self.scale, noise)
        if self.fixed_recs:
            return prev, self.fixed_recs[domain].expand_as(prev)
        return prev, pyramid.draw(noise(0), 0, self.scale)

    def _fixed_rec(self, domain: int) -> Tensor:
        """The one z_prev of all steps, (1, 3, H, W)."""
        pyramid = self.pyramids[domain]
        return pyramid.draw(rec_start(pyramid.shapes, self.device, domain), 0, self.scale)

    def _make(self, steps: range) -> list[tuple[Drawn, Drawn]]:
        """What is random in some steps, for both domains."""
        return list(zip(*self.both(lambda domain: self._make_domain(domain, steps)), strict=True))

    def _make_domain(self, domain: int, steps: range) -> list[Drawn]:
        """What is random in some steps, for one domain."""
        prev, z_prev = self._draw(domain, steps)
        streams = self._streams("noise", domain, steps)
        noise = send(normal(prev.shape[1:], streams), self.device)
        mix = send(uniform((3 if self.self_term else 2,), streams), self.device)
        parts = [noise.split(1), prev.split(1), z_prev.split(1), mix.unbind()]
        if self.self_term:
            shape = (3, *self.pyramids[1 - domain].shapes[self.scale])
            on_real = send(normal(shape, streams), self.device)
            parts.append((self.real_sigmas[domain] * on_real).split(1))
        return list(zip(*parts, strict=True))
