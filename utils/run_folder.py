"""The names of what a run leaves behind, and who may write where."""

import json
import shutil
from pathlib import Path
from typing import Any

from utils.errors import UserError

RESULTS = ("final_*.png", "real_*.png", "direct_*.png", "inject_*.png", "results.png", "losses.png")
OWN_FILES = ("config.json", "log.jsonl", "state.pt", "scale_*.pt", "samples/*.png", *RESULTS)


class RunFolder:
    """The folder of one training run or one evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.log = path / "log.jsonl"
        self.state = path / "state.pt"
        self.samples = path / "samples"

    def scale(self, scale: int) -> Path:
        """The checkpoint of a finished scale."""
        return self.path / f"scale_{scale:02d}.pt"

    def sample(self, scale: int, step: int, name: str) -> Path:
        """A picture made on the way."""
        return self.samples / f"{scale:02d}_step{step:05d}_{name}.png"

    def own_files(self) -> list[Path]:
        """Every file in the folder that bears a name of a run's files."""
        return [path for pattern in OWN_FILES for path in sorted(self.path.glob(pattern))]

    def recorded(self, entry: str) -> Any:
        """An entry of config.json; None where there is none."""
        try:
            return json.loads(self.config.read_text(encoding="utf-8")).get(entry)
        except (OSError, ValueError, AttributeError):
            return None

    def finished_scales(self) -> int:
        """How many scales are finished, counted from the coarsest without a gap."""
        scale = 0
        while self.scale(scale).is_file():
            scale += 1
        return scale

    def prepare(self, overwrite: bool, hint: str) -> None:
        """Make the folder ready for a new run.

        Raises:
            UserError: it cannot be written, or holds a run and `overwrite` is off; nothing is changed then.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--out {self.path}: is not a folder")
        old = self.own_files() if self.path.is_dir() else []
        if old and not overwrite:
            raise UserError(f"--out {self.path}: already holds results; {hint}")
        self.make_writable()
        for path in old:
            path.unlink()

    def make_writable(self) -> None:
        """Create the folder where it is missing and try it out; UserError where that fails."""
        try:
            self.samples.parent.mkdir(parents=True, exist_ok=True)
            trial = self.path / ".write_test"
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise UserError(f"--out {self.path}: cannot be written: {error.strerror}") from None

    def copy_from(self, other: "RunFolder") -> None:
        """Take over everything another run has made so far, so that this folder is whole by itself."""
        for source in other.own_files():
            target = self.path / source.relative_to(other.path)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
