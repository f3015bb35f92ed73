"""A scale in progress, and the file a resume goes on from."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from models.architecture import ScaleNetworks
from models.snapshot import sigma_keys
from training.loss_sums import LossSums
from training.optimisers import Optimisers
from utils.runs.checkpoint import CheckpointError, check_tensors, load_checkpoint, load_weights, save_checkpoint

STATE_KEYS = {"scale": int, "step": int, "networks": dict, "optimisers": list, "sums": dict, "seconds": float}


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
        """Write everything a resume needs, unless a loss has gone bad since the last save."""
        self.sums.check_finite(self.scale, self.step)
        content = {
            "scale": self.scale,
            "step": self.step,
            "seconds": self.seconds,
            "networks": self.networks.state_dict(),
            "optimisers": [optimiser.state_dict()["state"] for optimiser in self.optimisers.all()],
            "sums": self.sums.state_dict(),
        }
        content |= dict(zip(sigma_keys(len(self.sigmas)), self.sigmas, strict=True))
        save_checkpoint(content, path)

    def load(self, path: Path, device: torch.device) -> None:
        """Go on from a saved state, with the optimiser settings of now; nothing happens where the state
        is of an earlier scale, which a crash just after finishing that scale leaves behind.

        Raises:
            CheckpointError: the file does not fit this scale's networks.
        """
        names = sigma_keys(len(self.networks.domains))
        content = load_checkpoint(path, STATE_KEYS | dict.fromkeys(names, float))
        if content["scale"] < self.scale:
            return
        if content["step"] < 0:
            raise CheckpointError(f"--load {path}: 'step' is {content['step']}")
        if content["scale"] > self.scale:
            raise CheckpointError(f"--load {path}: is of scale {content['scale']}, but scale {self.scale} is missing")
        load_weights(self.networks, content["networks"], path)
        if len(content["optimisers"]) != len(self.optimisers.all()):
            raise CheckpointError(f"--load {path}: the optimisers' state is damaged")
        for optimiser, saved in zip(self.optimisers.all(), content["optimisers"], strict=True):
            _load_adam(optimiser, saved, path)
        try:
            self.sums.load_state_dict(content["sums"], device)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"--load {path}: 'sums' is damaged") from None
        self.sigmas = tuple(content[name] for name in names)
        self.step, self.seconds = content["step"], content["seconds"]


def _load_adam(optimiser: torch.optim.Adam, state: dict, path: Path) -> None:
    """Put saved moments into an optimiser after checking that they fit its parameters."""
    if state == {}:  # saved before the first step
        return
    parameters = optimiser.param_groups[0]["params"]
    like = {}
    for index, parameter in enumerate(parameters):
        like[f"{index}.step"] = torch.tensor(0.0)
        like[f"{index}.exp_avg"] = like[f"{index}.exp_avg_sq"] = parameter
    try:
        flat = {f"{index}.{name}": value for index, moments in state.items() for name, value in moments.items()}
    except AttributeError:
        raise CheckpointError(f"--load {path}: the optimisers' state is damaged") from None
    check_tensors(flat, like, path)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
