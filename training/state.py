"""A scale in progress, and the file a resume goes on from."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Adam

from models.architecture import ScaleNetworks
from models.snapshot import sigma_keys
from training.loss_sums import LossSums
from training.optimisers import Optimisers
from utils.checkpoint import (
    CheckpointError,
    check_tensors,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    with_prefix,
    without_prefix,
)

STATE_KEYS = {"scale": int, "step": int, "sums": dict, "seconds": float}


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
        """Write everything a resume needs.

        Raises:
            RunError: a loss became NaN or infinite since the last line of the log; nothing is written.
        """
        self.sums.check_finite(self.scale, self.step)
        tensors = with_prefix("networks.", self.networks.state_dict())
        for index, optimiser in enumerate(self.optimisers.all()):
            tensors |= with_prefix(f"optimisers.{index}.", _moments(optimiser))
        values = {"scale": self.scale, "step": self.step, "seconds": self.seconds, "sums": self.sums.state_dict()}
        values |= dict(zip(sigma_keys(len(self.sigmas)), self.sigmas, strict=True))
        save_checkpoint(tensors, values, path)

    def load(self, path: Path, device: torch.device) -> bool:
        """Go on from a saved state, with the optimiser settings of now.

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
        if values["step"] < 0:
            raise CheckpointError(f"--load {path}: 'step' is {values['step']}")
        if values["scale"] > self.scale:
            raise CheckpointError(f"--load {path}: is of scale {values['scale']}, but scale {self.scale} is missing")
        load_weights(self.networks, without_prefix("networks.", tensors), path)
        for index, optimiser in enumerate(self.optimisers.all()):
            _load_moments(optimiser, without_prefix(f"optimisers.{index}.", tensors), path)
        try:
            self.sums.load_state_dict(values["sums"], device)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"--load {path}: 'sums' is damaged") from None
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
