"""Everything random in the steps of a scale, made ahead and many steps at a time."""

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from models.pyramid import Pyramid, gaussian_noise
from training.step import DomainInputs, StepInputs
from utils.device import send
from utils.geometry import Shapes
from utils.rng import normal, stream, uniform

# Bounds of a chunk: enough images to use the machine, few enough that little is drawn in vain, and that they fit into
# a GPU's memory: a map of 128 features of that many pixels is 256 MiB.
MAX_STEPS, MAX_PIXELS, MAX_PIXELS_ON_GPU = 16, 2**14, 2**19

Result = TypeVar("Result")
Reals = tuple[Tensor, Tensor]  # of both domains at a step, (1, 3, H, W) each
Both = Callable[[Callable[[int], Result]], tuple[Result, Result]]  # does something for domain 0 and for domain 1


def one_after_other(work: Callable[[int], Result]) -> tuple[Result, Result]:
    """Something for domain a, then for domain b."""
    return work(0), work(1)


def steps_per_chunk(pixels: int, device: torch.device) -> int:
    """How many steps' draws to make at a time, for images of so many pixels.

    No random number depends on it; finished scales' calls round a little otherwise for other batches.
    """
    most = MAX_PIXELS if device.type == "cpu" else MAX_PIXELS_ON_GPU
    return max(1, min(MAX_STEPS, most // pixels))


def chunk_of(step: int, length: int) -> range:
    """The steps that are drawn together with a step."""
    first = step - step % length
    return range(first, first + length)


def rec_start(shapes: Shapes, device: torch.device, domain: int = 0, *, grey: bool = False) -> Tensor:
    """SinGAN's z*, the noise at scale 0 an image is reconstructed from: (1, 3, H, W) N(0, 1).

    It is the same for every seed: a pyramid whose training is resumed under another seed has to meet its own z* again.

    Args:
        shapes: (height, width) of every scale.
        grey: one channel repeated on three (docs/method.md, section 11).
    """
    return gaussian_noise(shapes, [stream(0, "reconstruction", domain)], device, grey_coarsest=grey)(0)


class StepDraws:
    """Draws the inputs of the steps of one scale (docs/method.md, sections 4 to 6).

    What finished scales draw depends on nothing a step changes, so the draws of a chunk of steps share each
    call of a generator. A step's inputs are a pure function of (seed, scale, step) and its real images, whatever ran
    before.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
        both: does the draws of both domains.
        self_term: whether the steps need noise for the self term (section 12), too.
        fixed_rec: every rec draw of a domain starts from its `rec_start`, as in SinGAN.
        real_start: share of the steps whose samples are made of the noisy real images of this scale, as an injection
            (section 8) makes them, instead of the rand draw, which such a step leaves unused; chosen at random.

    Attributes:
        sigmas: of both domains, amplitudes of the noise on drawn samples' inputs; 1 until they are set, as is right
            while scale 0 trains.
        real_sigmas: of both domains, amplitudes of the noise on real images: of the self term and of real starts.
    """

    def __init__(
        self,
        pyramids: tuple[Pyramid, Pyramid],
        scale: int,
        seed: int,
        device: torch.device,
        both: Both,
        self_term: bool = False,
        fixed_rec: bool = False,
        real_start: float = 0.0,
    ) -> None:
        self.pyramids, self.scale, self.seed, self.device, self.both = pyramids, scale, seed, device, both
        self.self_term, self.real_start = self_term, real_start
        self.steps_per_chunk = steps_per_chunk(max(math.prod(pyramid.shapes[scale]) for pyramid in pyramids), device)
        self.sigmas = self.real_sigmas = (1.0, 1.0)
        self.fixed_recs: tuple[Tensor, Tensor] | None = None
        if fixed_rec:
            starts = [rec_start(pyramid.shapes, device, domain) for domain, pyramid in enumerate(pyramids)]
            self.fixed_recs = both(lambda domain: pyramids[domain].draw(starts[domain], 0, scale))

    def chunk(self, steps: range, reals: Callable[[int], Reals]) -> list[tuple[StepInputs, Reals]]:
        """The inputs of some steps, counted from 0, each with its real images.

        Args:
            reals: from a step to its real images at this scale.
        """
        # Draw both domains for all steps at once.
        drawn = self.both(lambda domain: self._draw(domain, steps))
        noises = self.both(lambda domain: self._noise(domain, steps, drawn[domain][0].shape[1:]))

        # Put every step's inputs together.
        chunk = []
        for place, step in enumerate(steps):
            real, starts_real = reals(step), self._starts_real(step)
            sigmas = self.real_sigmas if starts_real else self.sigmas
            inputs = []
            for domain in (0, 1):
                prev, z_prev = (image[place : place + 1] for image in drawn[domain])
                noise, mix, on_real = noises[domain]
                prev = real[domain] if starts_real else prev
                noisy = sigmas[domain] * noise[place : place + 1] + prev
                own = None if on_real is None else self.real_sigmas[domain] * on_real[place : place + 1]
                inputs.append(DomainInputs(noisy, prev, z_prev, mix[place], own))
            chunk.append((tuple(inputs), real))
        return chunk

    def measure_sigmas(self, reals: Reals, noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitudes of a scale > 0: noise_amp times the RMSE of the first step's rec draw (section 5).

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

    def _noise(self, domain: int, steps: range, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor | None]:
        """Noise for the samples' inputs (steps, 3, H, W), the penalties' mixes, noise for the self term."""
        streams = self._streams("noise", domain, steps)
        noise = send(normal(shape, streams), self.device)
        mix = send(uniform((3 if self.self_term else 2,), streams), self.device)
        if not self.self_term:
            return noise, mix, None
        return noise, mix, send(normal((3, *self.pyramids[1 - domain].shapes[self.scale]), streams), self.device)
