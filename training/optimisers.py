"""The optimisers of a scale and their rates."""

from dataclasses import dataclass

from torch.optim import Adam

from models.networks import ScaleNetworks


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam's settings: rates of the generators and discriminators, first-moment decay.

    Args:
        lr_decay: share of a scale's steps, at its end, over which the rates fall linearly to zero; the
            published rates are constant, which is 0.
        tenth_after: share of a scale's steps after which the rates are a tenth; 1 is never.
    """

    lr_g: float = 0.0005
    lr_d: float = 0.0001
    beta1: float = 0.5
    lr_decay: float = 0.0
    tenth_after: float = 1.0

    def rate_factor(self, step: int, niter: int) -> float:
        """What the rates are multiplied by at a step, counted from 0, of a scale of `niter` steps."""
        falling = self.lr_decay * niter
        factor = min(1.0, (niter - step) / falling) if falling else 1.0
        return factor if step < self.tenth_after * niter else 0.1 * factor


class Optimisers:
    """Adam, one per network, which is the same as one for both domains' networks."""

    def __init__(self, networks: ScaleNetworks, settings: OptimiserSettings) -> None:
        self.settings = settings
        betas = (settings.beta1, 0.999)
        self.generators = [
            Adam(each.parameters(), lr=settings.lr_g, betas=betas, fused=True) for each in networks.generators
        ]
        self.discriminators = [
            Adam(each.parameters(), lr=settings.lr_d, betas=betas, fused=True) for each in networks.discriminators
        ]

    def set_rates(self, step: int, niter: int) -> None:
        """The rates of a step."""
        factor = self.settings.rate_factor(step, niter)
        for rate, optimisers in ((self.settings.lr_g, self.generators), (self.settings.lr_d, self.discriminators)):
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = factor * rate

    def all(self) -> list[Adam]:
        """Generators a and b, discriminators a and b."""
        return self.generators + self.discriminators
