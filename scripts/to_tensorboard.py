"""Show a run in TensorBoard: `python scripts/to_tensorboard.py RUN [--follow]`.

Writes the numbers of the run's log and its sample images into RUN/tensorboard, on one axis of steps over all scales;
then `tensorboard --logdir RUN`. TensorBoard is an optional package.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.to_tensorboard")

import time
from collections.abc import Sequence

import numpy as np

from utils.arguments import LineParser, pathname
from utils.commands import install, python
from utils.errors import UserError
from utils.image import open_image
from utils.log import RunLog, positions
from utils.run_folder import RunFolder
from utils.runs.state import run_state

LOOK_EVERY = 5.0  # seconds between two looks at the log


class Board:
    """The event file of a run, filled up with what the log has gained.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, run: RunFolder) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError(f"TensorBoard is missing; to install it: {install('tensorboard')}") from None
        self.run, self.make_writer = run, SummaryWriter
        self.start()

    def start(self) -> None:
        """Begin anew: what an earlier call wrote comes again, from the log."""
        for path in self.run.tensorboard.glob("events.out.tfevents.*"):
            path.unlink()
        self.shown: list[dict] = []
        self.writer = self.make_writer(str(self.run.tensorboard))

    def catch_up(self) -> int:
        """Write what is new; anew from the beginning where the run was taken back to an earlier step."""
        records = RunLog(self.run.log).records()
        if records[: len(self.shown)] != self.shown:
            self.writer.close()
            self.start()
        steps, _ = positions(records)
        fresh = len(records) - len(self.shown)
        for record, step in list(zip(records, steps, strict=True))[len(self.shown) :]:
            for name in record.keys() - {"step"}:
                self.writer.add_scalar(name, record[name], step)
            for name, path in self.run.samples_of(record["scale"], record["step"]).items():
                pixels = np.asarray(open_image(path, "RUN"))
                self.writer.add_image(f"samples/{name}", pixels, step, dataformats="HWC")
        self.shown = records
        self.writer.flush()
        return fresh


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write a run's log and sample images for TensorBoard.")
    parser.add_argument("run", type=pathname, metavar="RUN", help="the folder train.py or refine.py filled")
    parser.add_argument("--follow", action="store_true", help="go on until the run is finished, or Ctrl-C")
    options = parser.parse_args(arguments)
    run = RunFolder(options.run)
    if not run.log.is_file():
        raise UserError(f"RUN {options.run}: holds no log ({run.log.name} is missing)")
    board = Board(run)
    try:
        written = board.catch_up()
        while options.follow and run_state(run).kind != "finished":
            time.sleep(LOOK_EVERY)
            written += board.catch_up()
    finally:
        board.writer.close()
    look = python("-m", "tensorboard.main", "--logdir", run.path)
    print(f"{run.tensorboard}: {written} lines of the log; to look:\n{look}")
    return 0
