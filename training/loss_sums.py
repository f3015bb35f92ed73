"""The sums of the loss terms between two lines of the log."""

import math

import torch
from torch import Tensor

from utils.errors import RunError

SUM_DTYPE = torch.float32  # Apple GPUs have no float64


class LossSums:
    """Sums of loss terms over steps, kept on the device so that adding needs no host round trip."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | None = None
        self.names: list[str] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add a step's scalars; where they are not the terms so far, as after a weight became 0, start anew."""
        if self.names != list(losses):
            self.names, self.total, self.count = list(losses), None, 0
        values = torch.stack(list(losses.values())).to(SUM_DTYPE)
        self.total = values if self.total is None else self.total + values
        self.count += 1

    def means(self) -> dict[str, float]:
        """Mean of every term since the last reset; waits for the device."""
        return {name: total / self.count for name, total in zip(self.names, self._totals(), strict=True)}

    def check_finite(self, scale: int, step: int) -> None:
        """Raise RunError naming scale, step and term where a sum is NaN or infinite."""
        for name, value in self.means().items():
            if not math.isfinite(value):
                raise RunError(
                    f"scale {scale}, step {step}: loss {name} became {value}; the last good checkpoint is kept; "
                    "try a lower --lr_g or --lr_d, a higher --lambda_grad, or another --seed"
                )

    def state_dict(self) -> dict:
        """Plain numbers, exact."""
        return {"count": self.count, "totals": dict(zip(self.names, self._totals(), strict=True))}

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        """Go on from `state_dict()`; ValueError, KeyError, TypeError or AttributeError where it is none."""
        self.count, self.names = int(state["count"]), list(state["totals"])
        totals = [float(value) for value in state["totals"].values()]
        if self.count < bool(totals) or not all(map(math.isfinite, totals)):
            raise ValueError("no sums of finite losses")
        self.total = torch.tensor(totals, dtype=SUM_DTYPE, device=device) if totals else None

    def _totals(self) -> list[float]:
        return [] if self.total is None else self.total.tolist()
