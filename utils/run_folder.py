"""The folder of a run: the names of its files, who may write there, and config.json, which says what was written.

config.json is the first file of a folder and the last to go. It holds the script, its options as used, the versions,
the device, the name of every file the program wrote there ("files"), and "finished": true once all that was asked for
is there. Only what it lists is ever replaced or removed.
"""

import errno
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from utils.errors import UserError
from utils.files import TEMPORARY, write_atomic, write_json

PROGRAM = "structural-analogy"  # what tells our config.json from another program's
LOCK = ".structural-analogy.lock"
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
TRAINED = (
    "scale_",
    "samples/",
    "tensorboard/",
    "log.jsonl",
    "state.safetensors",
    "retrained_",
)  # all else is results, made again


class RunFolder:
    """The folder of one training run, evaluation, refinement or finished image."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.log = path / "log.jsonl"
        self.state = path / "state.safetensors"
        self.samples = path / "samples"

    def scale(self, scale: int) -> Path:
        """The checkpoint of a finished scale."""
        return self.path / f"scale_{scale:02d}.safetensors"

    def finished_scales(self) -> int:
        """How many scales are finished, counted from the coarsest without a gap."""
        scale = 0
        while self.scale(scale).is_file():
            scale += 1
        return scale

    def is_same(self, other: "RunFolder") -> bool:
        """Whether both names lead to the same folder."""
        return self.path.resolve() == other.path.resolve()

    # What config.json says.

    def recorded(self, entry: str, default: Any = None) -> Any:
        """An entry of config.json; `default` where there is none."""
        try:
            record = json.loads(self.config.read_text(encoding="utf-8"))
            return record.get(entry, default) if record["program"] == PROGRAM else default
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return default

    def options(self) -> dict[str, Any]:
        """The options the run was trained with; where the inputs are and how it was finished, as used last.

        Raises:
            UserError: the folder holds no run.
        """
        if not self.path.is_dir():
            raise UserError(f"--load {self.path}: no such folder")
        options = self.recorded("options")
        if not isinstance(options, dict):
            raise UserError(f"--load {self.path}: holds no run (config.json is missing or damaged)")
        return options | self.recorded("results", {})

    def check_filled_by(self, script: str) -> None:
        """UserError where another script filled the folder --load names."""
        if (other := self.recorded("script", script)) != script:
            raise UserError(f"--load {self.path}: is of {other}; name a folder that {script} filled")

    def files(self) -> list[Path]:
        """The files that config.json lists and that are there."""
        return [path for name in self.recorded("files", []) if (path := self.path / name).exists()]

    def record(self, **entries: Any) -> None:
        """Write entries into config.json; all others in it stay."""
        record = {"program": PROGRAM}
        with suppress(FileNotFoundError):
            record = json.loads(self.config.read_text(encoding="utf-8"))
        write_json(self.config, record | entries)

    def claim(self, *names: str) -> Path:
        """List files in config.json before they are written; the path of the first.

        Raises:
            UserError: one is there already and is not ours.
        """
        known = self.recorded("files", [])
        if new := [name for name in names if name not in known]:
            for name in new:
                if (self.path / name).exists():
                    raise UserError(f"--out {self.path}: {name} is in the way and not of this program; move it away")
            self.record(files=known + new)
        return self.path / names[0]

    def adopt(self, *paths: Path) -> None:
        """List files that a library wrote under names of its own."""
        known = self.recorded("files", [])
        self.record(files=list(dict.fromkeys([*known, *(path.relative_to(self.path).as_posix() for path in paths)])))

    # Who may write.

    def check_free(
        self, names: Sequence[str], overwrite: bool, inputs: dict[str, Path], source: "RunFolder | None" = None
    ) -> None:
        """UserError where a call must not write here; writes nothing.

        Args:
            names: of files it is going to write.
            overwrite: whether results of this program may be replaced.
            inputs: the files and folders that are read, by their options: none may be replaced or removed.
            source: the run that is resumed or used, which may be this one.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--out {self.path}: is not a folder")
        known = self.recorded("files", [])
        for name in ["config.json", *names]:
            if (self.path / name).exists() and name not in known and (name in names or not self.recorded("program")):
                raise UserError(
                    f"--out {self.path}: {name} is in the way and not of this program; move it, or choose another --out"
                )
        ours = {path.resolve(): path for path in self.files()}
        for flag, path in inputs.items():
            if path.resolve() == self.path.resolve():
                raise UserError(f"--out {self.path}: is the folder with the frames of {flag}; choose another --out")
            read = sorted(path.iterdir()) if path.is_dir() else [path]
            if found := next((file for file in read if file.resolve() in ours), None):
                raise UserError(
                    f"{flag} {found}: lies in --out {self.path} and would be replaced; choose another --out"
                )
        if source is not None and self.is_same(source):
            return
        script = self.recorded("script")
        if script and not overwrite:
            resume = "--load to resume it, " if script in {"train.py", "refine.py"} else ""
            raise UserError(
                f"--out {self.path}: already holds results of {script}; "
                f"{resume}--overwrite to replace them, or choose another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder where it is missing, and keep other processes from writing into it.

        Raises:
            UserError: another process writes into it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            reason = "is not a folder" if isinstance(error, FileExistsError) else error.strerror
            raise UserError(f"--out {self.path}: cannot be written: {reason}") from None
        with _lock(self.path / LOCK, f"--out {self.path}"):
            for path in [*self.path.glob(TEMPORARY + "*"), *self.samples.glob(TEMPORARY + "*")]:
                path.unlink()  # what a killed process left half-written
            yield

    def check_unlocked(self, flag: str) -> None:
        """UserError where another process writes into the folder."""
        if (self.path / LOCK).exists():
            with _lock(self.path / LOCK, f"{flag} {self.path}"):
                pass

    def begin(self, script: str, record: dict[str, Any]) -> None:
        """Remove what this program wrote here before, and begin anew."""
        self.clear()
        write_json(self.config, {"program": PROGRAM, "script": script, "finished": False, "files": []} | record)

    def clear(self) -> None:
        """Remove every file that config.json lists, itself last."""
        self._remove(self.files())
        self.config.unlink(missing_ok=True)

    def clear_results(self) -> None:
        """Remove what is made at the end of a call; what was trained stays."""
        names = self.recorded("files", [])
        self._remove([self.path / name for name in names if not name.startswith(TRAINED)])
        self.record(files=[name for name in names if name.startswith(TRAINED)], finished=False)

    def finish(self) -> None:
        """Say that all that was asked for is there."""
        self.record(finished=True)

    def copy_trained(self, other: "RunFolder") -> None:
        """Take over all another run has trained so far, so that this folder is whole by itself; results are not."""
        record = json.loads(other.config.read_text(encoding="utf-8"))
        trained = [name for name in record["files"] if name.startswith(TRAINED) and (other.path / name).exists()]
        write_json(self.config, record | {"files": trained, "finished": False})
        for name in trained:
            target, found = self.path / name, other.path / name
            if found.is_dir():  # what refine.py trains again, a run folder of its own
                target.mkdir(exist_ok=True)
                RunFolder(target).copy_trained(RunFolder(found))
                continue
            target.parent.mkdir(exist_ok=True)
            write_atomic(target, found.read_bytes())

    def _remove(self, paths: Sequence[Path]) -> None:
        folders = {path.parent for path in paths} - {self.path}
        for path in paths:
            if path.is_dir():
                RunFolder(path).clear()
                folders.add(path)
            else:
                path.unlink(missing_ok=True)
        for folder in folders:
            with suppress(OSError):  # Somebody's own file lies in it.
                folder.rmdir()


@contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        raise UserError(f"{name}: another process is writing into it; wait for it, or choose another folder") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise UserError(f"{name}: cannot be written: {error.strerror}") from None
        print(f"warning: {name}: no file locks there ({error}); let no other run write into it", file=sys.stderr)
    except NotImplementedError as error:
        print(f"warning: {name}: no file locks there ({error}); let no other run write into it", file=sys.stderr)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps it while it is open.
            path.unlink()
        lock.release()
