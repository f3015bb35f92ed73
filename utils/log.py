"""`log.jsonl`: what a run says of its losses, for programs."""

import json
from contextlib import suppress
from pathlib import Path

from utils.files import naming, write_atomic


class RunLog:
    """`log.jsonl`: one JSON object per print interval."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: dict) -> None:
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict]:
        """Every whole line; one that a crash cut short is left out."""
        records = []
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError):
                    records.append(json.loads(line))
        return records

    def forget_after(self, scale: int, step: int) -> None:
        """Drop what lies beyond the point a run is resumed from: it is about to be computed again."""
        kept = [r for r in self.records() if (r["scale"], r["step"]) <= (scale, step)]
        if self.path.is_file():
            write_atomic(self.path, "".join(json.dumps(r) + "\n" for r in kept).encode())
