"""A scale in progress, and the file training resumes from."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Adam

from models.architecture import ScaleNetworks
from models.run import sigma_keys
from training.optimisers import Optimisers
from utils.checkpoint import (
    CheckpointError,
    check_tensors,
    load_checkpoint,
    save_checkpoint,
    with_prefix,
    without_prefix,
)
from utils.errors import RunError

STATE_KEYS = {"scale": int, "step": int, "sums": dict, "seconds": float}


@dataclass
class LossSums:
    """Sums of loss terms since the last line of the log, on the device, so that adding needs no host round trip."""

    count: int = 0
    names: list[str] = field(default_factory=list)
    total: Tensor | None = None

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add a step's scalars; where they are not the terms so far, as after a weight became 0, start anew."""
        values = torch.stack(list(losses.values())).float()
        if self.names != list(losses):
            self.count, self.names, self.total = 0, list(losses), torch.zeros_like(values)
        self.total = self.total + values
        self.count += 1

    def totals(self) -> dict[str, float]:
        """The sum of every term; waits for the device."""
        return {} if self.total is None else dict(zip(self.names, self.total.tolist(), strict=True))

    def means(self, scale: int, step: int) -> dict[str, float]:
        """Mean of every term; RunError naming scale, step and term where one is NaN or infinite."""
        means = {name: total / self.count for name, total in self.totals().items()}
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
        tensors = with_prefix("networks.", self.networks.state_dict())
        for index, optimiser in enumerate(self.optimisers.all()):
            tensors |= with_prefix(f"optimisers.{index}.", _moments(optimiser))
        sums = {"count": self.sums.count, "totals": self.sums.totals()}
        values = {"scale": self.scale, "step": self.step, "seconds": self.seconds, "sums": sums}
        save_checkpoint(tensors, values | dict(zip(sigma_keys(len(self.sigmas)), self.sigmas, strict=True)), path)

    def load(self, path: Path, device: torch.device) -> bool:
        """Resume from a saved state, with the optimiser settings of now.

        Returns:
            False, with nothing changed, where the state is of an earlier scale, which a crash just after finishing
            that scale leaves behind.

        Raises:
            CheckpointError: the file does not fit this scale's networks.
        """
        names = sigma_keys(len(self.networks.domains))
        tensors, values = load_checkpoint(path, STATE_KEYS | dict.fromkeys(names, float))
        if values["scale"] < self.scale:
            return False
        if values["scale"] > self.scale:
            raise CheckpointError(f"--load {path}: is of scale {values['scale']}, but scale {self.scale} is missing")
        weights = without_prefix("networks.", tensors)
        check_tensors(weights, self.networks.state_dict(), path)
        self.networks.load_state_dict(weights)
        for index, optimiser in enumerate(self.optimisers.all()):
            _load_moments(optimiser, without_prefix(f"optimisers.{index}.", tensors), path)
        totals = values["sums"]["totals"]
        total = torch.tensor(list(totals.values()), dtype=torch.float32, device=device) if totals else None
        self.sums = LossSums(values["sums"]["count"], list(totals), total)
        self.sigmas = tuple(values[name] for name in names)
        self.step, self.seconds = values["step"], values["seconds"]
        return True


def _moments(optimiser: Adam) -> dict[str, Tensor]:
    """Adam's moments and step counts, by the number and name of what they are of: "0.exp_avg"."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def _load_moments(optimiser: Adam, moments: dict[str, Tensor], path: Path) -> None:
    """Put saved moments into an optimiser after checking that they fit its parameters."""
    if not moments:  # saved before the first step
        return
    like: dict[str, Tensor] = {}
    for index, parameter in enumerate(optimiser.param_groups[0]["params"]):
        like[f"{index}.step"] = torch.tensor(0.0)
        like[f"{index}.exp_avg"] = like[f"{index}.exp_avg_sq"] = parameter
    check_tensors(moments, like, path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
