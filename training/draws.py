"""Everything random in a step: its draws through the finished scales, its noise, its mixes (docs/method.md, sections 4
to 6)."""

import torch
from torch import Tensor

from models.pyramid import Noise, Pyramid, gaussian_noise
from training.domains import Both
from training.step import DomainInputs, StepInputs
from utils.device import send
from utils.geometry import Shapes
from utils.rng import normal, stream, uniform


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
        both: does the draws of both domains, see training.domains.
        self_term: whether the steps need noise for the self term (section 12), too.
        fixed_rec: every rec draw of a domain starts from its `rec_start`, as in SinGAN.
        real_start: share of the steps whose samples are made of the noisy real images of this scale, as an injection
            (section 8) makes them, instead of the rand draw; chosen at random, for both domains alike.

    Attributes:
        sigmas: of both domains, the scale's noise amplitudes (section 5), to be set before the first step.
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
        self.sigmas = (1.0, 1.0)
        self.fixed_recs: tuple[Tensor, Tensor] | None = None
        if fixed_rec:
            starts = [rec_start(pyramid.shapes, device, domain) for domain, pyramid in enumerate(pyramids)]
            self.fixed_recs = both(lambda domain: pyramids[domain].draw(starts[domain], 0, scale))

    def __call__(self, step: int, reals: tuple[Tensor, Tensor]) -> StepInputs:
        """The inputs of a step, counted from 0, with these real images, (1, 3, H, W) each at this scale."""
        starts_real = self._starts_real(step)
        # While scale 0 itself trains, the input drawn from nothing is noise of amplitude 1 (section 5).
        sigmas = self.sigmas if self.scale or starts_real else (1.0, 1.0)

        def inputs(domain: int) -> DomainInputs:
            own = [stream(self.seed, "noise", self.scale, step, domain)]
            pyramid, draws = self.pyramids[domain], self._draws_noise(domain, step)
            z_prev, prev = self._rec_draw(domain, draws), reals[domain]
            if not starts_real:
                zero = torch.zeros(1, 3, *pyramid.shapes[0], device=self.device)
                prev = pyramid.draw(zero, 0, self.scale, draws)
            noisy = sigmas[domain] * send(normal(prev.shape[1:], own), self.device) + prev
            mix = send(uniform((3 if self.self_term else 2,), own)[0], self.device)
            if not self.self_term:
                return DomainInputs(noisy, prev, z_prev, mix)
            on_real = send(normal((3, *self.pyramids[1 - domain].shapes[self.scale]), own), self.device)
            return DomainInputs(noisy, prev, z_prev, mix, self.sigmas[domain] * on_real)

        return self.both(inputs)

    def measure_sigmas(self, reals: tuple[Tensor, Tensor], noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitudes of a scale > 0: noise_amp times the RMSE of the first step's rec draw (section 5).

        Args:
            reals: the first step's real images at this scale, (1, 3, H, W) each.
        """

        def measure(domain: int) -> float:
            z_prev = self._rec_draw(domain, self._draws_noise(domain, 0))
            return noise_amps[domain] * (reals[domain] - z_prev).square().mean().sqrt().item()

        return self.both(measure)

    def _starts_real(self, step: int) -> bool:
        if not self.real_start:
            return False
        return torch.rand((), generator=stream(self.seed, "start", self.scale, step)).item() < self.real_start

    def _draws_noise(self, domain: int, step: int) -> Noise:
        """The noise of a step's draws: the rec draw's comes first."""
        streams = [stream(self.seed, "draws", self.scale, step, domain)]
        return gaussian_noise(self.pyramids[domain].shapes, streams, self.device)

    def _rec_draw(self, domain: int, noise: Noise) -> Tensor:
        """z_prev, (1, 3, H, W)."""
        return self.fixed_recs[domain] if self.fixed_recs else self.pyramids[domain].draw(noise(0), 0, self.scale)
