"""The networks of a scale, from the few numbers that fix their shape (docs/method.md, section 2 and 3)."""

from dataclasses import dataclass

from torch import nn

from models.discriminator import Discriminator
from models.generator import Generator
from utils.geometry import width_at

DOMAINS = "ab"

# What the generators' convolutions may see outside the image.
PADDING_MODES = ("zeros", "reflect")

# Far beyond any use; what lies outside is a mistake, or a file made to fill the memory.
LIMITS = {"nfc": (1, 4096), "min_nfc": (1, 4096), "max_nfc": (1, 4096), "num_layer": (2, 100), "ker_size": (1, 100)}


@dataclass(frozen=True)
class Architecture:
    """Widths and depth of the networks.

    Args:
        nfc, min_nfc: channels of the head and least channels of a body block at scales 0 to 3;
            doubled every fourth scale.
        max_nfc: upper bound of both.
        num_layer: convolutions per network.
        ker_size, padd_size: kernel side and padding of the discriminator.
        switch_res: how many of the finest scales are plain instead of residual.
        domains: 2 for a pair, 1 for the pyramid of a single image.
        pad_once, padding_mode: the generators' padding, see `Generator`.
    """

    nfc: int = 32
    min_nfc: int = 32
    max_nfc: int = 128
    num_layer: int = 5
    ker_size: int = 3
    padd_size: int = 0
    switch_res: int = 2
    domains: int = 2
    pad_once: bool = False
    padding_mode: str = "zeros"

    def check_fits(self, coarsest: tuple[int, int]) -> None:
        """ValueError where a value cannot be, or the discriminators leave nothing of a coarsest (height, width)."""
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"--{name} must be {least} to {most}, not {getattr(self, name)}")
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"--padding_mode must be one of {', '.join(PADDING_MODES)}, not {self.padding_mode!r}")
        if self.padd_size >= self.ker_size:
            raise ValueError(f"--padd_size {self.padd_size} must be smaller than --ker_size {self.ker_size}")
        trimmed = self.ker_size - 1 - 2 * self.padd_size
        # One pixel must be left to score, and the last normalisation needs more than one value.
        least = max(1 + self.num_layer * trimmed, 2 + (self.num_layer - 1) * trimmed)
        if min(coarsest) < least:
            height, width = coarsest
            raise ValueError(
                f"--min_size: the coarsest scale is {width}x{height}, but the discriminator's {self.num_layer} "
                f"layers trim {trimmed} pixels each; it needs at least {least}"
            )

    def widths(self, scale: int) -> tuple[int, int]:
        """(nfc, min_nfc) of a scale."""
        return width_at(scale, self.nfc, self.max_nfc), width_at(scale, self.min_nfc, self.max_nfc)

    def is_residual(self, scale: int, stop_scale: int) -> bool:
        """Whether a scale's generators add their base; the last `switch_res` scales do not."""
        return scale <= stop_scale - self.switch_res

    def generator(self, scale: int, stop_scale: int) -> Generator:
        """An unfilled generator of a scale."""
        residual = self.is_residual(scale, stop_scale)
        padding = dict(pad_once=self.pad_once, padding_mode=self.padding_mode)
        return Generator(*self.widths(scale), self.num_layer, residual, **padding)

    def discriminator(self, scale: int) -> Discriminator:
        """An unfilled discriminator of a scale."""
        return Discriminator(*self.widths(scale), self.num_layer, self.ker_size, self.padd_size)


class ScaleNetworks(nn.Module):
    """The networks of one scale: a generator and a discriminator per domain, `generator_a` and so on."""

    def __init__(self, architecture: Architecture, scale: int, stop_scale: int) -> None:
        super().__init__()
        self.domains = DOMAINS[: architecture.domains]
        for name in self.domains:
            setattr(self, f"generator_{name}", architecture.generator(scale, stop_scale))
        for name in self.domains:
            setattr(self, f"discriminator_{name}", architecture.discriminator(scale))

    @property
    def generators(self) -> tuple[Generator, ...]:
        return tuple(getattr(self, f"generator_{name}") for name in self.domains)

    @property
    def discriminators(self) -> tuple[Discriminator, ...]:
        return tuple(getattr(self, f"discriminator_{name}") for name in self.domains)

    def discriminators_require_grad(self, wanted: bool) -> None:
        """Whether a backward pass is to reach the discriminators' weights."""
        for discriminator in self.discriminators:
            discriminator.requires_grad_(wanted)
