"""How restless a translated clip is (docs/method.md, section 12)."""

from torch import Tensor


class Flicker:
    """How much more restless a translated clip is than its source; holds one frame of each.

    The mean absolute difference between consecutive frames of the output, over that of the input: 1 is as
    lively as the source, above it flickers.
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._changes = [0.0, 0.0]

    def add(self, source: Tensor, output: Tensor) -> None:
        """The next frame of both, in order; each always of the same shape, in [-1, 1]."""
        if self._last is not None:
            for i, (before, now) in enumerate(zip(self._last, (source, output), strict=True)):
                self._changes[i] += (now - before).abs().mean().item()
        self._last = (source.detach().clone(), output.detach().clone())

    @property
    def value(self) -> float | None:
        """The ratio; None where the source does not change (fewer than two frames, a still)."""
        source, output = self._changes
        return output / source if source > 0 else None
