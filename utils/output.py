"""Output that nobody may be reading: a closed pipe, a full disk or a terminal that is gone must not cost a run."""

import io
import os
import select
import sys


class Output(io.FileIO):
    """Standard output or standard error; what cannot be written is dropped, and said once on standard error.

    Unbuffered, so that a signal handler may print while a print is under way. A pipe that is full and does not block
    is waited for.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.called, self.lost = name, False

    def write(self, data: bytes) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                written = super().write(rest)
                if written is None:
                    select.select([], [self], [])
                rest = rest[written or 0 :]
        except OSError as error:
            if not self.lost:
                self.lost = True
                self._say(error)
        return size

    def _say(self, error: OSError) -> None:
        if self.called != "standard error":
            reason = error.strerror or error
            print(f"warning: {self.called} cannot be written ({reason}); going on without it", file=sys.stderr)


def outlive_readers() -> None:
    """Let no print fail from now on, whatever standard output and standard error lead to; the files are the result.

    Streams that are no plain file descriptors of this process (a test's, a Windows console) stay as they are.
    """
    # A descriptor that was closed at the start would become that of the next file to be opened.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, called in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as the process)
        elif stream is getattr(sys, f"__{name}__") and _is_plain(stream):
            output = Output(stream.fileno(), called)
            setattr(sys, name, io.TextIOWrapper(output, stream.encoding, stream.errors, line_buffering=True))


def _is_plain(stream: io.TextIOBase) -> bool:
    return isinstance(getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None)), io.FileIO)
