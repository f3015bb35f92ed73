"""A scale in training: its networks, their optimisers, its losses, and the file training resumes from."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor
from torch.optim import Adam

from models.networks import ScaleNetworks, initialise
from models.run import Run
from utils.errors import RunError
from utils.files import load_checkpoint, save_checkpoint
from utils.rng import stream


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


@dataclass
class ScaleState:
    """A scale in training. The random numbers of a step follow from (seed, scale, step) alone.

    Attributes:
        sigmas: of every domain; measured before the first step.
        step: steps done.
        seconds: spent on them.
        sums: of every loss term since the last line of the log, on the device, so that adding needs no host round trip.
        summed: steps in these.
        adam_g, adam_d: of all generators, and of all discriminators.
    """

    scale: int
    networks: ScaleNetworks
    settings: OptimiserSettings
    sigmas: tuple[float, ...] = ()
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, Tensor | float] = field(default_factory=dict)
    summed: int = 0

    def __post_init__(self) -> None:
        betas, networks = (self.settings.beta1, 0.999), self.networks
        self.adam_g = Adam(networks.generators.parameters(), lr=self.settings.lr_g, betas=betas, fused=True)
        self.adam_d = Adam(networks.discriminators.parameters(), lr=self.settings.lr_d, betas=betas, fused=True)

    @classmethod
    def new(cls, run: Run, settings: OptimiserSettings, seed: int) -> "ScaleState":
        """A run's next scale: it starts from the one before's networks where the widths agree, else fresh
        (docs/method.md, section 3)."""
        scale, widths = run.scale, run.architecture.widths
        networks = run.new_networks(scale).to(run.device)
        if run.networks is not None and widths(scale) == widths(scale - 1):
            networks.load_state_dict(run.networks.state_dict())
        else:
            initialise(networks, stream(seed, "initialise", scale))
        return cls(scale, networks, settings)

    @classmethod
    def load(cls, run: Run, settings: OptimiserSettings, path: Path) -> "ScaleState | None":
        """A run's next scale as a file has it, with the optimiser settings of now.

        None where there is no file, or one of another scale, such as a crash leaves behind just after a scale's end.
        """
        if not path.is_file():
            return None
        tensors, values = load_checkpoint(path)
        if values.pop("scale") != run.scale:
            return None
        state = cls(run.scale, run.new_networks(run.scale).to(run.device), settings, **values)
        parts: dict[str, dict[str, Tensor]] = {"networks": {}, "adam_g": {}, "adam_d": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        state.networks.load_state_dict(parts["networks"])
        for part, adam in (("adam_g", state.adam_g), ("adam_d", state.adam_d)):
            record = adam.state_dict()
            for name, tensor in parts[part].items():
                index, moment = name.split(".")
                record["state"].setdefault(int(index), {})[moment] = tensor
            adam.load_state_dict(record)
        return state

    def save(self, path: Path) -> None:
        """Write everything a resume needs; RunError, with nothing written, where a loss became NaN or infinite."""
        self.mean_losses()
        tensors = {f"networks.{name}": tensor for name, tensor in self.networks.state_dict().items()}
        for part, adam in (("adam_g", self.adam_g), ("adam_d", self.adam_d)):
            for index, moments in adam.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{name}": moment for name, moment in moments.items()}
        sums = {name: float(total) for name, total in self.sums.items()}
        values = {name: getattr(self, name) for name in ("scale", "sigmas", "step", "seconds", "summed")}
        save_checkpoint(tensors, values | {"sums": sums}, path)

    def set_rates(self, niter: int) -> None:
        """The rates of the next step of a scale of `niter` steps."""
        falling = self.settings.lr_decay * niter
        factor = min(1.0, (niter - self.step) / falling) if falling else 1.0
        factor = factor if self.step < self.settings.tenth_after * niter else 0.1 * factor
        self.adam_g.param_groups[0]["lr"] = factor * self.settings.lr_g
        self.adam_d.param_groups[0]["lr"] = factor * self.settings.lr_d

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add a step's loss terms, scalars on the device; where a weight was changed to or from 0, start anew."""
        if self.sums.keys() != losses.keys():
            self.sums, self.summed = {}, 0
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in losses.items()}
        self.summed += 1

    def mean_losses(self) -> dict[str, float]:
        """Mean of every term; waits for the device. RunError naming scale, step and term where one is not finite."""
        means = {name: float(total) / self.summed for name, total in self.sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise RunError(
                    f"scale {self.scale}, step {self.step}: loss {name} became {value}; the last good checkpoint is "
                    "kept; try a lower --lr_g or --lr_d, a higher --lambda_grad, or another --seed"
                )
        return means
