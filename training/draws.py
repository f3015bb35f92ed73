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
from utils.scales import Shapes
from utils.streams import stream

# Bounds of a chunk: enough pictures to use the machine, few enough that little is drawn in vain.
MAX_STEPS, MAX_PIXELS = 16, 2**14

Inputs = TypeVar("Inputs")


def steps_per_chunk(pixels: int) -> int:
    """How many steps' draws to make at a time, for pictures of so many pixels."""
    return max(1, min(MAX_STEPS, MAX_PIXELS // pixels))


def in_chunks(make_chunk: Callable[[int], list[Inputs]], length: int) -> Callable[[int], Inputs]:
    """The inputs of a step, counted from 0, made a chunk of `length` steps at a time; keeps the last chunk."""
    newest = lru_cache(maxsize=1)(make_chunk)
    return lambda step: newest(step // length)[step % length]


def rec_start(shapes: Shapes, device: torch.device, domain: int = 0, *, grey: bool = False) -> Tensor:
    """SinGAN's z*, the noise at scale 0 a picture is remembered by: (1, 3, H, W) N(0, 1); `grey`: one channel thrice.

    It is the same for every seed: a pyramid that is gone on with under another one has to meet its own z* again.
    """
    return gaussian_noise(shapes, stream(0, "reconstruction", domain), device, grey_coarsest=grey)(0)


class StepDraws:
    """The inputs of the steps of one scale (METHOD sections 4 to 6).

    The draws of frozen scales depend on nothing a step changes, so those of a chunk of steps share each
    generator call. A chunk is a pure function of (seed, scale, chunk), whatever ran before.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
        both: runs the draws of both domains.
        self_term: whether the steps need noise for the self term (METHOD section 12), too.
        fixed_rec: start every reconstruction of a domain from the same noise, as SinGAN does.

    Attributes:
        sigmas: amplitudes of the noise on the samples' inputs.
        self_sigmas: amplitudes of the noise on the other domain's real picture.
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
    ) -> None:
        self.pyramids, self.scale, self.seed, self.device, self.both = pyramids, scale, seed, device, both
        self.self_term = self_term
        largest = max(math.prod(pyramid.shapes[scale]) for pyramid in pyramids)
        self.steps_per_chunk = steps_per_chunk(largest)
        self.fixed_recs = both(self._fixed_rec) if fixed_rec else None
        self.sigmas = self.self_sigmas = (1.0, 1.0)
        self.inputs: Callable[[int], StepInputs] = in_chunks(self._make_chunk, self.steps_per_chunk)

    def measure_sigmas(self, reals: tuple[Tensor, Tensor], noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitude of a scale > 0: noise_amp times the RMSE of the first step's rec draw (section 5)."""

        def measure(domain: int) -> float:
            _, z_prev = self._draw(domain, chunk=0)
            return noise_amps[domain] * (reals[domain] - z_prev[:1]).square().mean().sqrt().item()

        return self.both(measure)

    def _draw(self, domain: int, chunk: int) -> tuple[Tensor, Tensor]:
        """prev and z_prev of a chunk of steps, (steps, 3, H, W) each."""
        pyramid, batch = self.pyramids[domain], self.steps_per_chunk
        generator = stream(self.seed, "draws", self.scale, chunk, domain)
        noise = gaussian_noise(pyramid.shapes, generator, self.device, batch)
        start = torch.zeros(batch, 3, *pyramid.shapes[0], device=self.device)
        prev = pyramid.draw(start, 0, self.scale, noise)
        if self.fixed_recs:
            return prev, self.fixed_recs[domain].expand_as(prev)
        return prev, pyramid.draw(noise(0), 0, self.scale)

    def _fixed_rec(self, domain: int) -> Tensor:
        """The one z_prev of all steps, (1, 3, H, W)."""
        pyramid = self.pyramids[domain]
        return pyramid.draw(rec_start(pyramid.shapes, self.device, domain), 0, self.scale)

    def _make_chunk(self, chunk: int) -> list[StepInputs]:
        """The inputs of a chunk of steps."""
        return list(zip(*self.both(lambda domain: self._make_domain(domain, chunk)), strict=True))

    def _make_domain(self, domain: int, chunk: int) -> list[DomainInputs]:
        """The inputs of one domain for a chunk of steps."""
        prev, z_prev = self._draw(domain, chunk)
        generator = stream(self.seed, "noise", self.scale, chunk, domain)
        noise = send(torch.randn(prev.shape, generator=generator), self.device)
        noisy = self.sigmas[domain] * noise + prev
        mix = send(torch.rand(len(prev), 3 if self.self_term else 2, generator=generator), self.device)
        chunks = [noisy.split(1), prev.split(1), z_prev.split(1), mix.unbind()]
        if self.self_term:
            shape = (len(prev), 3, *self.pyramids[1 - domain].shapes[self.scale])
            on_real = send(torch.randn(shape, generator=generator), self.device)
            chunks.append((self.self_sigmas[domain] * on_real).split(1))
        return [DomainInputs(*parts) for parts in zip(*chunks, strict=True)]
