"""The folder of a run: the names of its files, who may write there, its log, and config.json, which lists its files.

config.json is the first file of a folder. It holds the script, its options as used, the versions, the device, the name
of every file and folder the program wrote there ("files"), and "finished": true once all that was asked for is there.
Only what it lists is ever replaced or removed.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from utils.errors import UserError
from utils.files import errors_name, write_atomic, write_json

PROGRAM = "structural-analogy"  # what tells our config.json from another program's
LOCK = ".structural-analogy.lock"
TRAINING = {"train.py", "refine.py"}
# What was trained; all else is results, made again.
TRAINED = ("scale_", "samples", "tensorboard", "log.jsonl", "state.safetensors", "retrained_")


class RunFolder:
    """The folder of one training run, evaluation, refinement or finished image."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.log_file = path / "log.jsonl"
        self.state = path / "state.safetensors"

    def scale(self, scale: int) -> Path:
        """The checkpoint of a finished scale."""
        return self.path / f"scale_{scale:02d}.safetensors"

    # What config.json says.

    @property
    def record(self) -> dict[str, Any]:
        """What config.json holds; nothing where it is missing, damaged or not from this program."""
        try:
            record = json.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(record, dict) or record.get("program") != PROGRAM:
            return {}
        # Of a folder that came from elsewhere, too, nothing outside it is ours.
        record["files"] = [name for name in record.get("files", []) if Path(name).name == name != ".."]
        return record

    def note(self, **entries: Any) -> None:
        """Write entries into config.json; all others in it stay."""
        write_json(self.config, {"program": PROGRAM} | self.record | entries)

    def options(self, script: str | None = None) -> dict[str, Any]:
        """The options of the run; of a finished one, those of its results are the ones they were last made with.

        Raises:
            UserError: the folder holds no run, or none of this script.
        """
        record = self.record
        if not isinstance(record.get("options"), dict):
            what = "holds no run (config.json is missing or damaged)" if self.path.is_dir() else "no such folder"
            raise UserError(f"--load {self.path}: {what}")
        if script is not None and record["script"] != script:
            raise UserError(
                f"--load {self.path}: holds results of {record['script']}; name a folder written by {script}"
            )
        return record["options"] | record.get("results", {})

    def claim(self, *names: str) -> Path:
        """List files, or folders, in config.json before they are written; the path of the first.

        Raises:
            UserError: one is there already and is not ours.
        """
        known = self.record.get("files", [])
        if new := [name for name in names if name not in known]:
            for name in new:
                self._refuse(name)
            self.note(files=known + new)
        return self.path / names[0]

    def _refuse(self, name: str) -> None:
        if (self.path / name).exists():
            raise UserError(f"--out {self.path}: {name} exists and is not from this program; move it away")

    # Who may write.

    def check_free(
        self, script: str, inputs: dict[str, Path], overwrite: bool, source: "RunFolder | None" = None
    ) -> None:
        """UserError where a script must not write here; writes nothing.

        Args:
            inputs: the files and folders that are read, by their options: none may be replaced.
            overwrite: whether results of this program may be.
            source: the run that is resumed, which may be this one.
        """
        record = self.record
        if not record:
            self._refuse("config.json")
        ours = {(self.path / name).resolve() for name in record.get("files", [])}
        for flag, path in inputs.items():
            place = path.resolve()
            if place == self.path.resolve() or ours.intersection([place, *place.parents]):
                raise UserError(f"{flag} {path}: is --out {self.path} or inside it, and would be replaced")
        if source is not None and self.path.resolve() == source.path.resolve():
            return
        other = record.get("script")
        if other in TRAINING and script not in TRAINING:
            raise UserError(f"--out {self.path}: holds a training run; choose another --out")
        if other and not overwrite:
            resume = "--load to resume it, " if other in TRAINING else ""
            raise UserError(
                f"--out {self.path}: already holds results of {other}; "
                f"{resume}--overwrite to replace them, or choose another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder where it is missing, and keep other processes from writing into it.

        Raises:
            UserError: another process writes into it, or it cannot be written.
        """
        lock = FileLock(self.path / LOCK)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0.2)
        except Timeout:
            raise UserError(f"--out {self.path}: another process is writing to it; wait until it ends") from None
        except OSError as error:
            raise UserError(f"--out {self.path}: cannot be written: {error.strerror}") from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps it while it is open.
                (self.path / LOCK).unlink()
            lock.release()

    def begin(self, script: str, record: dict[str, Any]) -> None:
        """Remove what this program wrote here before, and begin anew."""
        self._remove(self.record.get("files", []))
        write_json(self.config, {"program": PROGRAM, "script": script, "finished": False, "files": []} | record)

    def resume(self, source: "RunFolder") -> None:
        """Take over all a run has trained so far, from this folder or another; what is made at its end is removed."""
        record, here = source.record, self.path.resolve() == source.path.resolve()
        trained = [name for name in record["files"] if name.startswith(TRAINED) and (source.path / name).exists()]
        self._remove([name for name in self.record.get("files", []) if not (here and name in trained)])
        write_json(self.config, record | {"files": trained, "finished": False})
        found = [source.path / name for name in trained if not here]
        for file in [file for path in found for file in (path, *path.rglob("*")) if file.is_file()]:
            target = self.path / file.relative_to(source.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, file.read_bytes())

    def _remove(self, names: list[str]) -> None:
        if names:
            self.note(finished=False)
        for path in [self.path / name for name in names]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    # The log: one JSON object per print interval.

    def log(self, record: dict[str, Any]) -> None:
        """Append a line to log.jsonl."""
        with errors_name(self.log_file), self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def logged(self) -> list[dict[str, Any]]:
        """Every whole line of log.jsonl; one that a crash cut short is left out."""
        records = []
        if self.log_file.is_file():
            for line in self.log_file.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError):
                    records.append(json.loads(line))
        return records

    def forget_after(self, scale: int, step: int) -> None:
        """Drop what is logged beyond the point a run is resumed from: it is about to be computed again."""
        kept = [record for record in self.logged() if (record["scale"], record["step"]) <= (scale, step)]
        if self.log_file.is_file():
            write_atomic(self.log_file, "".join(json.dumps(record) + "\n" for record in kept).encode())
