"""The names of what a run leaves behind, and who may write where."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import write_atomic, write_json
from utils.runs.lock import NAME as LOCK

# What tells our config.json from another program's.
PROGRAM = "structural-analogy"
# An option that one script alone has, by which config.json tells which of them filled a folder.
OWN_OPTION = {
    "train.py": "num_layer",
    "eval.py": "inject_levels",
    "refine.py": "start_scale",
    "finish.py": "learned_size",
}
# What is made at the end of a call: it is of that call's inputs.
RESULTS = re.compile(
    r"results\.png|losses\.png|metrics\.json|growth\.gif|samples\.png|a2b\.(mp4|gif)|(refined|quantised)_\d+\.png"
    r"|report_cache\.json|sample_\d+_(finished_)?(fake_a|a2b|fake_b|b2a)(_source)?\.png"
    r"|finished_samples\.png|finished(_source)?\.png|source\.png|finished_(a2b|b2a)(_source)?\.png|finished_a2b\.(mp4|gif)"
    r"|(final|real|direct|inject_\d+)_((fake_|redrawn_)?[ab]|a2b|b2a)\.png"
)
# What a run may replace, where config.json says that the folder is ours; all else in it is somebody's own.
OWN_FILES = re.compile(
    r"config\.json|log\.jsonl|state\.safetensors|scale_\d+\.safetensors|samples/\d+_step\d+_(fake_a|a2b|fake_b|b2a|rec_a)\.png"
    r"|tensorboard/events\.out\.tfevents\.[^/]+|" + RESULTS.pattern
)
MOST_CONFIG = 2**20  # bytes; what is larger was not written by this program
SAMPLE = re.compile(r"(\d+)_step(\d+)_(\w+)\.png")
UNFINISHED = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")  # utils.files.replacing: of a process killed


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
        """An image made on the way."""
        return self.samples / f"{scale:02d}_step{step:05d}_{name}.png"

    def own_files(self) -> list[Path]:
        """Every file in the folder that bears a name of a run's files."""
        return [path for path in self._own_names() if path.is_file()]

    def unfinished_files(self) -> list[Path]:
        """Every file in the folder that a killed process left half-written."""
        hidden = [path for folder in self.folders if os.path.isdir(folder) for path in folder.glob(".*.tmp")]
        finals = {path: match[1] for path in hidden if (match := UNFINISHED.fullmatch(path.name))}
        return [path for path, name in finals.items() if self._is_own_name(path.with_name(name)) and path.is_file()]

    def _own_names(self) -> Iterator[Path]:
        """Whatever bears a name of a run's files, and the files of runs within."""
        if not os.path.isdir(self.path):  # Path.is_dir() raises on names that are too long.
            return
        for folder in self.folders:
            yield from (path for path in sorted(folder.glob("*")) if self._is_own_name(path))
        for inner in sorted(self.path.glob("quantised_[0-9][0-9]")):
            if inner.is_dir():
                yield from RunFolder(inner)._own_names()

    def _is_own_name(self, path: Path) -> bool:
        return OWN_FILES.fullmatch(path.relative_to(self.path).as_posix()) is not None

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

    def filled_by(self) -> str | None:
        """The script whose results these are; None where config.json does not tell."""
        options = self.recorded("options")
        known = options if isinstance(options, dict) else {}
        return next((script for script, option in OWN_OPTION.items() if option in known), None)

    def check_filled_by(self, script: str) -> None:
        """UserError where another script filled the folder --load names."""
        if (other := self.filled_by()) not in {script, None}:
            raise UserError(f"--load {self.path}: is of {other}; name a folder that {script} filled")

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

    def record(self, record: dict[str, Any]) -> None:
        """Write config.json, which makes the folder ours."""
        write_json(self.config, {"program": PROGRAM} | record)

    def record_options(self, options: dict[str, Any]) -> None:
        """Write some options into config.json, by their names; all else in it stays."""
        record = json.loads(self.config.read_text(encoding="utf-8"))
        record["options"] |= options
        write_json(self.config, record)

    def is_empty(self) -> bool:
        """Whether a run may start here as in a new folder: nothing is there but what a killed process left behind."""
        left = {self.path / LOCK, *self.unfinished_files()}
        return not os.path.lexists(self.path) or (self.path.is_dir() and left.issuperset(self.path.iterdir()))

    def check_untrained(self) -> None:
        """UserError where the folder holds a training run, which nothing but training may replace."""
        if {self.scale(0), self.state} & set(self.own_files()):
            raise UserError(f"--out {self.path}: holds a training run{_of(self.filled_by())}; choose another --out")

    def check_free(self, overwrite: bool) -> None:
        """UserError where a new run must not write here.

        The path is no folder, or something in it is in the way; or it holds a run and `overwrite` is off; or files
        with names of ours without our config.json, which are another program's.
        """
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise UserError(f"--out {self.path}: is not a folder")
        own, in_the_way = self.own_files(), [path for path in self._own_names() if not path.is_file()]
        in_the_way += [path for path in self.folders[1:] if os.path.lexists(path) and not os.path.isdir(path)]
        if in_the_way:
            raise UserError(
                f"--out {self.path}: {in_the_way[0].name} is in the way of a result; move it, or choose another --out"
            )
        if own and self.recorded("program") != PROGRAM:
            raise UserError(
                f"--out {self.path}: holds {own[0].relative_to(self.path)}, and no config.json of this program, "
                "so it may be somebody else's and stays; move it, or choose another --out"
            )
        if own and not overwrite:
            script = self.filled_by()
            go_on = f"{script} --load to go on with them, " if script in {"train.py", "refine.py"} else ""
            raise UserError(
                f"--out {self.path}: already holds results{_of(script)}; {go_on}"
                "--overwrite to replace them, or choose another --out"
            )

    def check_spares(self, inputs: dict[str, Path | None], source: "RunFolder | None" = None) -> None:
        """UserError where a file that is read is also one that is cleared or replaced here, whatever links lead to it.

        Args:
            inputs: files, and folders with frames, by the option they came from.
            source: the run that is read; no matter if it is this one.
        """
        given = {flag: path for flag, path in inputs.items() if path is not None}
        for flag, path in given.items():
            if os.path.isdir(path) and self.is_same(RunFolder(path)):
                raise UserError(f"--out {self.path}: is the folder with the frames of {flag}; choose another --out")
        ours = {_identity(path): path for path in self.own_files() + self.unfinished_files()}
        if not ours:
            return
        read = [
            (flag, file)
            for flag, path in given.items()
            for file in (sorted(path.iterdir()) if os.path.isdir(path) else [path])
        ]
        if source is not None and not self.is_same(source):
            read += [("--load", path) for path in source.own_files()]
        for flag, file in read:
            if (mine := ours.get(_identity(file))) is not None:
                raise UserError(
                    f"{flag} {file}: is {mine.relative_to(self.path)} of --out {self.path}, "
                    "where it would be replaced; choose another --out"
                )

    def clear(self) -> None:
        """Make the folder ready for a new run; UserError where it cannot be written."""
        self.make_writable()
        # config.json goes last: without it a crash in between would leave files that seem to be another program's.
        for path in sorted(self.own_files(), key=lambda path: path == self.config):
            path.unlink()

    def make_writable(self) -> None:
        """Create the folder where it is missing and try it out; UserError where that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            for path in self.unfinished_files():
                path.unlink()
        except OSError as error:
            raise UserError(f"--out {self.path}: cannot be written: {error.strerror}") from None

    def copy_from(self, other: "RunFolder") -> None:
        """Take over all another run has trained so far, so that this folder is whole by itself; results are not."""
        # config.json is the first: it makes the folder ours before anything else lies in it.
        for source in [path for path in other.own_files() if not RESULTS.fullmatch(path.name)]:
            target = self.path / source.relative_to(other.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, source.read_bytes())


def _of(script: str | None) -> str:
    """What an error line adds where it is known whose results it speaks of."""
    return f" of {script}" if script else ""


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file, links included; None where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
