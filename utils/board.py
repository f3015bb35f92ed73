"""The log and the sample pictures once more, for TensorBoard, which is an optional package."""

from pathlib import Path
from types import TracebackType

from torch import Tensor

from utils.errors import UserError
from utils.image import to_uint8


class Board:
    """Writes the log's records as scalars and the sample pictures, on one axis of steps over all scales.

    Each process writes an event file of its own; the first `start_scale` makes it.
    """

    def __init__(self, folder: Path) -> None:
        """UserError where the package is missing."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("--tensorboard: needs a package; install it: python -m pip install tensorboard") from None
        self.folder = folder
        self.before = 0
        self._make, self._writer = SummaryWriter, None

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def start_scale(self, before: int, step: int) -> None:
        """Say where the records to come are: `before` steps of coarser scales, then `step` of this one, are done."""
        self.before = before
        if self._writer is None:
            # TensorBoard drops what an earlier process wrote from this step on: it is about to be computed again.
            self._writer = self._make(str(self.folder), purge_step=before + step + 1)

    def add(self, record: dict, pictures: dict[str, Tensor]) -> None:
        """Write a record of the log and its pictures, (1, 3, H, W) in [-1, 1] each."""
        position = self.before + record["step"]
        for name, value in record.items():
            if name != "step":
                self._writer.add_scalar(name, value, position)
        for name, picture in pictures.items():
            self._writer.add_image(f"samples/{name}", to_uint8(picture), position, dataformats="HWC")
        self._writer.flush()  # A run that is killed goes on from its last save, and does not write this again.
