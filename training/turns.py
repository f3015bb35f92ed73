"""Trainings that take turns, for a page: each is a train.py in a process of its own, one at a time."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from utils.errors import ROOT


class Training:
    """train.py at work, or waiting for its turn.

    Attributes:
        notes: its lines for a person so far: `error: ...`, `note: ...`, `warning: ...`.
    """

    turns = ThreadPoolExecutor(1)

    def __init__(self, words: Sequence[str]) -> None:
        self.process, self.stopping, self.line = None, False, ""
        self.notes: list[str] = []
        self.turn = self.turns.submit(self._work, words)

    def _work(self, words: Sequence[str]) -> None:
        command, every = [sys.executable, str(ROOT / "train.py"), *words], os.environ | {"PROGRESS_SECONDS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        with subprocess.Popen(command, env=every, **pipes) as self.process:
            if self.stopping:  # while it was starting
                self.process.terminate()
            for line in self.process.stdout:
                self.line = line
                if line.startswith(("error: ", "note: ", "warning: ")):
                    self.notes.append(line.strip())

    def stop(self) -> None:
        """Take it out of the queue, or let it save and end. (On Windows it ends at once, with what was saved last.)"""
        self.stopping = True
        if not self.turn.cancel() and self.process is not None:
            self.process.terminate()

    def progress(self) -> tuple[str, int]:
        """What it is doing, as a sentence, and how much is done, in percent."""
        if not self.turn.running():
            return "Waiting: one training at a time.", 0
        if self.stopping:
            return "Stopping after this step, and saving.", 0
        if found := re.match(r"(.+): (\d+) %, (\S+) left", self.line):  # what utils.progress.Bar prints
            return f"{found[1].capitalize()}, {found[3]} left", int(found[2])
        return "Starting.", 0
