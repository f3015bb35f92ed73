"""A disk that is full at any one write: one line that names the file, and nothing lost that was saved."""

import errno
import itertools
import os
from pathlib import Path

import pytest
from conftest import TINY
from folders import weights

import train
from utils.files import write_atomic

FLAGS = [*TINY, "--img_size", "16", "--scale_factor", "0.55", "--num_layer", "3", "--niter", "2"]
FLAGS += ["--print_interval", "1", "--save_every", "0"]


class FullDisk:
    """Lets the `fail_at`-th write operation of the program fail; of what is written to a file, half is there then."""

    def __init__(self, monkeypatch, fail_at: int) -> None:
        self.fail_at, self.count, self.mkdir = fail_at, 0, Path.mkdir
        for module, name in ((os, "fsync"), (os, "replace"), (Path, "mkdir")):
            monkeypatch.setattr(module, name, self.wrap(getattr(module, name)))
        write_bytes, path_open = Path.write_bytes, Path.open

        def write_half(path, content):
            return self.wrap(write_bytes, lambda: write_bytes(path, content[: len(content) // 2]))(path, content)

        def open_to_append(path, mode="r", *more, **options):
            file = path_open(path, mode, *more, **options)
            if mode == "a":
                write = file.write
                file.write = lambda text: self.wrap(write, lambda: write(text[: len(text) // 2]))(text)
            return file

        monkeypatch.setattr(Path, "write_bytes", write_half)
        monkeypatch.setattr(Path, "open", open_to_append)

    def wrap(self, operation, before=lambda: None):
        def wrapped(*arguments, **options):
            self.count += 1
            if self.count == self.fail_at:
                before()
                # As the system does it: only what is given a path names it.
                name = [str(arguments[0])] if operation is self.mkdir else []
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *name)
            return operation(*arguments, **options)

        return wrapped


@pytest.fixture
def quick(monkeypatch):
    """A sheet of a few bytes: how it is drawn has nothing to do with the disk."""
    monkeypatch.setattr(train, "save_sheet", lambda _, path: write_atomic(path, b"sheet"))


# All of the first and some of the others; the start changes, so every kind of operation is hit.
@pytest.mark.parametrize("every", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_full_at_every_write_in_turn(cli, quick, inputs, tmp_path, every):
    start = ["train.py", *inputs, *FLAGS, "--out"]
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, fail_at=0)
        assert cli(*start, tmp_path / "whole").code == 0
    wanted = weights(tmp_path / "whole")
    for number in itertools.chain(range(1, 6), range(6, disk.count + 1, every)):
        run = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, fail_at=number)
            result = cli(*start, run)
        lines = [line for line in result.err.splitlines() if not line.startswith("warning")]
        assert len(lines) == 1, (number, result.err)
        assert result.code == (2 if "cannot be written" in lines[0] else 1)  # the folder itself; later a run stops
        assert lines[0].startswith("error: ") and str(run) in lines[0] and "No space left" in lines[0]
        assert list(run.rglob(".structural-analogy*")) == []
        again = ["train.py", "--load", run, "--gpu_id", -1] if (run / "config.json").exists() else [*start, run]
        assert cli(*again).code == 0, number
        assert weights(run) == wanted, number


def test_full_while_a_run_is_copied(cli, quick, trained, tmp_path):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        FullDisk(patch, fail_at=40)
        result = cli("train.py", "--load", trained, "--out", out, "--gpu_id", -1)
    assert result.code == 1 and str(out) in result.err.splitlines()[-1]
    assert cli("train.py", "--load", trained, "--out", out, "--gpu_id", -1, "--overwrite").code == 0
    assert weights(out) == weights(trained)
