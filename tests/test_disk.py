"""A disk that is full at any one write: one line that names the file, and nothing lost that was saved."""

import errno
import itertools
import os
import tempfile
from pathlib import Path

import pytest
import torch
from conftest import TINY
from folders import weights

import train
from utils.files import write_atomic

FLAGS = [*TINY, "--img_size", "16", "--scale_factor", "0.55", "--num_layer", "3", "--niter", "2"]
FLAGS += ["--print_interval", "1", "--save_every", "0"]


class FullDisk:
    """Lets the `fail_at`-th write operation of the program fail, after writing half of what it was given."""

    def __init__(self, monkeypatch, fail_at: int) -> None:
        self.fail_at, self.count = fail_at, 0
        for module, name in ((tempfile, "mkstemp"), (os, "fsync"), (os, "replace"), (Path, "mkdir"), (Path, "touch")):
            monkeypatch.setattr(module, name, self.wrap(getattr(module, name)))
        real_fdopen, real_open = os.fdopen, Path.open
        monkeypatch.setattr(os, "fdopen", lambda handle, mode: self.watch(real_fdopen(handle, mode)))

        def path_open(path, mode="r", *more, **options):
            file = real_open(path, mode, *more, **options)
            return self.watch(file) if mode == "a" else file

        monkeypatch.setattr(Path, "open", path_open)

    def spend(self) -> bool:
        """Count an operation; whether it is the one to fail."""
        self.count += 1
        return self.count == self.fail_at

    def wrap(self, operation):
        def wrapped(*arguments, **options):
            if self.spend():
                # As the system does it: only what is given a path names it.
                name = [str(arguments[0])] if arguments and isinstance(arguments[0], Path) else []
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *name)
            return operation(*arguments, **options)

        return wrapped

    def watch(self, file):
        disk, write = self, file.write

        class Watched:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, content):
                if disk.spend():
                    write(content[: len(content) // 2])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return write(content)

            def flush(self):
                file.flush()

            def fileno(self):
                return file.fileno()

        return Watched()


@pytest.fixture
def quick(monkeypatch):
    """Figures of a few bytes: how they are drawn has nothing to do with the disk."""
    monkeypatch.setattr(train, "save_sheet", lambda _, path: write_atomic(path, b"sheet"))
    monkeypatch.setattr(train, "save_loss_curves", lambda _, path: write_atomic(path, b"curves"))


# All of the first and some of the others; the start changes, so every kind of operation is hit.
@pytest.mark.parametrize("every", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_full_at_every_write_in_turn(cli, quick, pair, tmp_path, every):
    start = ["train.py", "--input_a", pair[0], "--input_b", pair[1], *FLAGS, "--out"]
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, fail_at=0)
        assert cli(*start, tmp_path / "whole").code == 0
    operations, wanted, refused = disk.count, weights(tmp_path / "whole"), 0
    for number in itertools.chain(range(1, 12), range(12, operations + 1, every)):
        run = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, fail_at=number)
            result = cli(*start, run)
        lines = [line for line in result.err.splitlines() if not line.startswith("warning")]
        assert len(lines) == 1, (number, result.err)
        # The trial at the start refuses the folder; later a run stops.
        assert result.code == (2 if "--out" in lines[0] else 1), (number, lines)
        assert lines[0].startswith("error: ") and str(run) in lines[0] and "No space left" in lines[0]
        assert ".tmp" not in lines[0]
        refused += result.code == 2
        assert list(run.rglob("*.tmp")) == []
        again = ["train.py", "--load", run, "--gpu_id", -1] if (run / "config.json").exists() else [*start, run]
        result = cli(*again)
        assert result.code == 0, (number, result.err)
        found = weights(run)
        assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert refused <= 3


def test_full_while_a_run_is_copied(cli, quick, trained, tmp_path):
    for number in (4, 60):
        out = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, fail_at=number)
            result = cli("train.py", "--load", trained, "--out", out, "--gpu_id", -1)
        assert result.code == 1 and str(out) in result.err.splitlines()[-1]
        assert cli("train.py", "--load", trained, "--out", out, "--gpu_id", -1, "--overwrite").code == 0
        assert weights(out).keys() == weights(trained).keys()
