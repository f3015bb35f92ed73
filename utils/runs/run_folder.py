"""The names of what a run leaves behind, and who may write where."""

import json
import os
import re
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import write_atomic

# What is made at the end of a call: it is of that call's inputs.
RESULTS = re.compile(
    r"results\.png|losses\.png|metrics\.json|growth\.gif|samples\.png|a2b\.(mp4|gif)|(refined|quantised)_\d+\.png"
    r"|report_cache\.json|sample_\d+_(fake_a|a2b|fake_b|b2a)\.png"
    r"|(final|real|direct|inject_\d+)_((fake_|refined_)?[ab]|a2b|b2a)\.png"
)
# What a run may replace; everything else in its folder is somebody's own.
OWN_FILES = re.compile(
    r"config\.json|log\.jsonl|state\.safetensors|scale_\d+\.safetensors|samples/\d+_step\d+_(fake_a|a2b|fake_b|b2a|rec_a)\.png"
    r"|tensorboard/events\.out\.tfevents\.[^/]+|" + RESULTS.pattern
)
MOST_CONFIG = 2**20  # bytes; what is larger was not written by this program
SAMPLE = re.compile(r"(\d+)_step(\d+)_(\w+)\.png")


class RunFolder:
    """The folder of one training run or one evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.log = path / "log.jsonl"
        self.state = path / "state.safetensors"
        self.metrics = path / "metrics.json"
        self.report_cache = path / "report_cache.json"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"
        self.folders = (self.path, self.samples, self.tensorboard)

    def scale(self, scale: int) -> Path:
        """The checkpoint of a finished scale."""
        return self.path / f"scale_{scale:02d}.safetensors"

    def quantised(self, scale: int) -> "RunFolder":
        """What refine.py trains again for a quantised start scale: a run folder of its own."""
        return RunFolder(self.path / f"quantised_{scale:02d}")

    def sample(self, scale: int, step: int, name: str) -> Path:
        """A picture made on the way."""
        return self.samples / f"{scale:02d}_step{step:05d}_{name}.png"

    def own_files(self) -> list[Path]:
        """Every file in the folder that bears a name of a run's files."""
        if not os.path.isdir(self.path):  # Path.is_dir() raises on names that are too long.
            return []
        files = [path for folder in self.folders for path in sorted(folder.glob("*")) if path.is_file()]
        own = [path for path in files if OWN_FILES.fullmatch(path.relative_to(self.path).as_posix())]
        inner = [path for path in sorted(self.path.glob("quantised_[0-9][0-9]")) if path.is_dir()]
        return own + [path for folder in inner for path in RunFolder(folder).own_files()]

    def samples_of(self, scale: int, step: int) -> dict[str, Path]:
        """The images made on the way at a step of a scale, by name."""
        paths = sorted(self.samples.glob(self.sample(scale, step, "*").name))
        return {match[3]: path for path in paths if (match := SAMPLE.fullmatch(path.name))}

    def last_samples(self) -> dict[tuple[int, str], Path]:
        """The last image made on the way, by scale and name."""
        last: dict[tuple[int, str], tuple[int, Path]] = {}
        for path in self.own_files():
            if path.parent == self.samples and (match := SAMPLE.fullmatch(path.name)):
                scale, step, name = int(match[1]), int(match[2]), match[3]
                last[scale, name] = max(last.get((scale, name), (-1, path)), (step, path))
        return {key: path for key, (_, path) in last.items()}

    def is_same(self, other: "RunFolder") -> bool:
        """Whether both names lead to the same folder."""
        return os.path.realpath(self.path) == os.path.realpath(other.path)

    def recorded(self, entry: str) -> Any:
        """An entry of config.json; None where there is none."""
        try:
            if self.config.stat().st_size > MOST_CONFIG:
                return None
            return json.loads(self.config.read_text(encoding="utf-8")).get(entry)
        except (OSError, ValueError, AttributeError, RecursionError):
            return None

    def check_format(self) -> None:
        """UserError where the folder holds a run of the program's first format."""
        if not self.scale(0).is_file() and any((self.path / name).is_file() for name in ("scale_00.pt", "state.pt")):
            raise UserError(
                f"--load {self.path}: holds .pt files, a format this program no longer reads; train it anew"
            )

    def finished_scales(self) -> int:
        """How many scales are finished, counted from the coarsest without a gap."""
        scale = 0
        while self.scale(scale).is_file():
            scale += 1
        return scale

    def check_free(self, overwrite: bool, hint: str) -> None:
        """UserError where the path is no folder, or one that holds a run and `overwrite` is off."""
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise UserError(f"--out {self.path}: is not a folder")
        if self.own_files() and not overwrite:
            raise UserError(f"--out {self.path}: already holds results; {hint}")

    def clear(self) -> None:
        """Make the folder ready for a new run; UserError where it cannot be written."""
        self.make_writable()
        for path in self.own_files():
            path.unlink()

    def make_writable(self) -> None:
        """Create the folder where it is missing and try it out; UserError where that fails."""
        try:
            self.samples.parent.mkdir(parents=True, exist_ok=True)
            trial = self.path / ".write_test"
            trial.touch()
            trial.unlink()
            # Of a process killed.
            for unfinished in [path for folder in self.folders for path in folder.glob(".*.tmp")]:
                final = unfinished.with_name(unfinished.name[1:].rsplit(".", 2)[0])
                if OWN_FILES.fullmatch(final.relative_to(self.path).as_posix()):
                    unfinished.unlink()
        except OSError as error:
            raise UserError(f"--out {self.path}: cannot be written: {error.strerror}") from None

    def copy_from(self, other: "RunFolder") -> None:
        """Take over all another run has trained so far, so that this folder is whole by itself; results are not."""
        for source in [path for path in other.own_files() if not RESULTS.fullmatch(path.name)]:
            target = self.path / source.relative_to(other.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, source.read_bytes())
