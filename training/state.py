"""A scale in progress, and the file training resumes from."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from models.networks import ScaleNetworks
from training.optimisers import Optimisers
from utils.errors import RunError, UserError
from utils.files import load_checkpoint, save_checkpoint

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of a parameter


@dataclass
class LossSums:
    """Sums of loss terms since the last line of the log, on the device, so that adding needs no host round trip."""

    count: int = 0
    totals: dict[str, Tensor] = field(default_factory=dict)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add a step's scalars; where they are not the terms so far, as after a weight became 0, start anew."""
        if self.totals.keys() != losses.keys():
            self.count, self.totals = 0, dict.fromkeys(losses, 0.0)
        self.totals = {name: self.totals[name] + value for name, value in losses.items()}
        self.count += 1

    def means(self, scale: int, step: int) -> dict[str, float]:
        """Mean of every term; waits for the device. RunError naming scale, step and term where one is not finite."""
        means = {name: float(total) / self.count for name, total in self.totals.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise RunError(
                    f"scale {scale}, step {step}: loss {name} became {value}; the last good checkpoint is kept; "
                    "try a lower --lr_g or --lr_d, a higher --lambda_grad, or another --seed"
                )
        return means


@dataclass
class ScaleState:
    """A scale in progress. The random numbers of a step follow from (seed, scale, step) alone."""

    scale: int
    networks: ScaleNetworks
    optimisers: Optimisers
    sigmas: tuple[float, ...] = ()  # of every domain; measured before the first step
    step: int = 0  # steps done
    seconds: float = 0.0  # spent on them
    sums: LossSums = field(default_factory=LossSums)

    def save(self, path: Path) -> None:
        """Write everything a resume needs; RunError, with nothing written, where a loss became NaN or infinite."""
        self.sums.means(self.scale, self.step)
        tensors = {f"networks.{name}": tensor for name, tensor in self.networks.state_dict().items()}
        for number, optimiser in enumerate(self.optimisers.all()):
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"optimisers.{number}.{index}.{name}": moments[name] for name in MOMENTS}
        sums = {"count": self.sums.count, "totals": {name: float(total) for name, total in self.sums.totals.items()}}
        values = {"scale": self.scale, "step": self.step, "seconds": self.seconds, "sums": sums}
        save_checkpoint(tensors, values | {"sigmas": self.sigmas}, path)

    def load(self, path: Path, device: torch.device) -> bool:
        """Resume from a saved state, with the optimiser settings of now.

        Returns:
            False, with nothing changed, where the state is of an earlier scale, which a crash just after finishing
            that scale leaves behind.

        Raises:
            UserError: the file does not fit this scale's networks.
        """
        tensors, values = load_checkpoint(path)
        if values["scale"] < self.scale:
            return False
        if values["scale"] > self.scale:
            raise UserError(f"--load {path}: belongs to scale {values['scale']}, but scale {self.scale} is missing")
        start = "networks."
        weights = {name.removeprefix(start): each for name, each in tensors.items() if name.startswith(start)}
        self.networks.load_state_dict(weights)
        if values["step"]:  # There are no moments before the first.
            for number, optimiser in enumerate(self.optimisers.all()):
                entries = optimiser.state_dict()
                for index in range(len(optimiser.param_groups[0]["params"])):
                    entries["state"][index] = {name: tensors[f"optimisers.{number}.{index}.{name}"] for name in MOMENTS}
                optimiser.load_state_dict(entries)
        totals = {name: torch.tensor(total, device=device) for name, total in values["sums"]["totals"].items()}
        self.sums = LossSums(values["sums"]["count"], totals)
        self.sigmas = tuple(values["sigmas"])
        self.step, self.seconds = values["step"], values["seconds"]
        return True
