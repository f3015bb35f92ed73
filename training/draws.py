"""Everything random in the steps of a scale, made ahead and many steps at a time."""

import math

import torch
from torch import Tensor

from models.pyramid import Pyramid, gaussian_noise
from training.step import StepInputs
from utils.streams import stream

# Bounds of a chunk: enough pictures to use the machine, few enough that little is drawn in vain.
MAX_STEPS, MAX_PIXELS = 16, 2**14


class StepDraws:
    """The inputs of the steps of one scale (METHOD sections 4 to 6).

    The draws of frozen scales depend on nothing a step changes, so those of a chunk of steps share each
    generator call. A chunk is a pure function of (seed, scale, chunk), whatever ran before.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
    """

    def __init__(self, pyramids: tuple[Pyramid, Pyramid], scale: int, seed: int, device: torch.device) -> None:
        self.pyramids, self.scale, self.seed, self.device = pyramids, scale, seed, device
        self.shape = pyramids[0].shapes[scale]
        self.steps_per_chunk = max(1, min(MAX_STEPS, MAX_PIXELS // math.prod(self.shape)))
        self.sigmas = (1.0, 1.0)
        self._chunk: int | None = None
        self._previous: list[tuple[Tensor, Tensor]] = []
        self._inputs: list[StepInputs] = []

    def measure_sigmas(self, reals: tuple[Tensor, Tensor], noise_amps: tuple[float, float]) -> tuple[float, float]:
        """Noise amplitude of a scale > 0: noise_amp times the RMSE of the first step's rec draw (section 5)."""
        self._draw_previous(chunk=0)
        errors = (
            (real - z_prev[:1]).square().mean().sqrt().item()
            for real, (_, z_prev) in zip(reals, self._previous, strict=True)
        )
        sigma_a, sigma_b = (amp * error for amp, error in zip(noise_amps, errors, strict=True))
        return sigma_a, sigma_b

    def inputs(self, step: int) -> StepInputs:
        """Inputs of a step, counted from 0."""
        chunk, index = divmod(step, self.steps_per_chunk)
        if chunk != self._chunk:
            self._draw_previous(chunk)
            self._draw_noise(chunk)
            self._chunk = chunk
        return self._inputs[index]

    def _draw_previous(self, chunk: int) -> None:
        """prev_x and z_prev_x of a chunk of steps, per domain."""
        batch = self.steps_per_chunk
        generator = stream(self.seed, "draws", self.scale, chunk, device=self.device)
        self._previous = []
        for pyramid in self.pyramids:
            noise = gaussian_noise(pyramid.shapes, generator, batch)
            start = torch.zeros(batch, 3, *pyramid.shapes[0], device=self.device)
            prev = pyramid.draw(start, 0, self.scale, noise)
            z_prev = pyramid.draw(noise(0), 0, self.scale)
            self._previous.append((prev, z_prev))

    def _draw_noise(self, chunk: int) -> None:
        """Noise of the scale itself and the penalty's mixing numbers; splits the chunk into steps."""
        batch = self.steps_per_chunk
        generator = stream(self.seed, "noise", self.scale, chunk, device=self.device)
        columns: list[Tensor] = []
        for pyramid, (prev, z_prev), sigma in zip(self.pyramids, self._previous, self.sigmas, strict=True):
            noisy = sigma * gaussian_noise(pyramid.shapes, generator, batch)(self.scale) + prev
            mix = torch.rand(batch, 2, generator=generator, device=self.device)
            columns += [noisy, prev, z_prev, mix]
        self._inputs = [StepInputs(*(c[i] if c.dim() == 2 else c[i : i + 1] for c in columns)) for i in range(batch)]
