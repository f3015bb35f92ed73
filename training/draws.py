"""Everything random in a step: its draws through the finished scales, its noise, its mixes (docs/method.md, sections 4
to 6)."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from models.pyramid import Pyramid, gaussian_noise
from training.step import DomainInputs, StepInputs
from utils.device import send
from utils.geometry import Shapes
from utils.rng import normal, stream, uniform

Result = TypeVar("Result")
Both = Callable[[Callable[[int], Result]], tuple[Result, Result]]  # does something for domain 0 and for domain 1


def rec_start(shapes: Shapes, device: torch.device, domain: int = 0, *, grey: bool = False) -> Tensor:
    """SinGAN's z*, the noise at scale 0 an image is reconstructed from: (1, 3, H, W) N(0, 1).

    It is the same for every seed: a pyramid whose training is resumed under another seed has to meet its own z* again.

    Args:
        shapes: (height, width) of every scale.
        grey: one channel repeated on three (docs/method.md, section 11).
    """
    return gaussian_noise(shapes, [stream(0, "reconstruction", domain)], device, grey_coarsest=grey)(0)


class StepDraws:
    """Draws the inputs of the steps of one scale: a pure function of (seed, scale, step) and the step's real images.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
        both: does the draws of both domains.
        self_term: whether the steps need noise for the self term (section 12), too.
        fixed_rec: every rec draw of a domain starts from its `rec_start`, as in SinGAN.
        real_start: share of the steps whose samples are made of the noisy real images of this scale, as an injection
            (section 8) makes them, instead of the rand draw; chosen at random, for both domains alike.

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
        self.sigmas = self.real_sigmas = (1.0, 1.0)
        self.fixed_recs: tuple[Tensor, Tensor] | None = None
        if fixed_rec:
            starts = [rec_start(pyramid.shapes, device, domain) for domain, pyramid in enumerate(pyramids)]
            self.fixed_recs = both(lambda domain: pyramids[domain].draw(starts[domain], 0, scale))

    def __call__(self, step: int, reals: tuple[Tensor, Tensor]) -> StepInputs:
        """The inputs of a step, counted from 0, with these real images, (1, 3, H, W) each at this scale."""
        starts_real = self._starts_real(step)
        sigmas = self.real_sigmas if starts_real else self.sigmas

        def inputs(domain: int) -> DomainInputs:
            own = [stream(self.seed, "noise", self.scale, step, domain)]
            prev, z_prev = self._draw(domain, step, reals[domain] if starts_real else None)
            noisy = sigmas[domain] * send(normal(prev.shape[1:], own), self.device) + prev
            mix = send(uniform((3 if self.self_term else 2,), own)[0], self.device)
            if not self.self_term:
                return DomainInputs(noisy, prev, z_prev, mix)
            on_real = send(normal((3, *self.pyramids[1 - domain].shapes[self.scale]), own), self.device)
            return DomainInputs(noisy, prev, z_prev, mix, self.real_sigmas[domain] * on_real)

        return self.both(inputs)

    def measure_sigmas(self, reals: tuple[Tensor, Tensor], noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitudes of a scale > 0: noise_amp times the RMSE of the first step's rec draw (section 5).

        Args:
            reals: the first step's real images at this scale, (1, 3, H, W) each.
        """

        def measure(domain: int) -> float:
            _, z_prev = self._draw(domain, 0, reals[domain] if self._starts_real(0) else None)
            return noise_amps[domain] * (reals[domain] - z_prev).square().mean().sqrt().item()

        return self.both(measure)

    def _starts_real(self, step: int) -> bool:
        if not self.real_start:
            return False
        return torch.rand((), generator=stream(self.seed, "start", self.scale, step)).item() < self.real_start

    def _draw(self, domain: int, step: int, real: Tensor | None) -> tuple[Tensor, Tensor]:
        """prev (the real image, if the samples are made of it, else the rand draw) and z_prev (the rec draw)."""
        pyramid = self.pyramids[domain]
        noise = gaussian_noise(pyramid.shapes, [stream(self.seed, "draws", self.scale, step, domain)], self.device)
        z_prev = self.fixed_recs[domain] if self.fixed_recs else pyramid.draw(noise(0), 0, self.scale)
        if real is not None:
            return real, z_prev
        start = torch.zeros(1, 3, *pyramid.shapes[0], device=self.device)
        return pyramid.draw(start, 0, self.scale, noise), z_prev
