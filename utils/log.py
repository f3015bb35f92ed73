"""`log.jsonl`: what a run says of its losses, for programs."""

import json
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
        """Every complete line; one a crash cut short, or that is not of this program, is left out."""
        if not self.path.is_file():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
        return [record for record in records if _is_record(record)]

    def forget_after(self, scale: int, step: int) -> None:
        """Drop what lies beyond the point a run is resumed from: it is about to be computed again."""
        kept = [r for r in self.records() if (r["scale"], r["step"]) <= (scale, step)]
        if self.path.is_file():
            write_atomic(self.path, "".join(json.dumps(r) + "\n" for r in kept).encode())


def positions(records: list[dict]) -> tuple[list[int], list[int]]:
    """The step of each record counted over all scales, and those at which a scale ends."""
    found: list[int] = []
    ends: list[int] = []
    before = 0
    for index, record in enumerate(records):
        found.append(before + record["step"])
        if index + 1 == len(records) or records[index + 1]["scale"] != record["scale"]:
            before = found[-1]
            ends.append(before)
    return found, ends


def _is_record(record: object) -> bool:
    """Whether it is a line of the log: the scale, the step, and numbers under names."""
    if not isinstance(record, dict) or not all(type(value) in {int, float} for value in record.values()):
        return False
    return type(record.get("scale")) is int and type(record.get("step")) is int
