"""Two processes, one folder: the second is refused with a line that names the first."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from folders import contents, copy_run

from utils.errors import UserError
from utils.runs import lock
from utils.runs.lock import NAME, FolderLock, check_unlocked

pytestmark = pytest.mark.skipif(lock.fcntl is None, reason="no flock here")
HOLD = "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
HOLD += "from utils.runs.lock import FolderLock\n"
HOLD += "with FolderLock(Path(sys.argv[2]), '--out'):\n    print('held', flush=True)\n    time.sleep(600)"


@pytest.fixture
def held(tmp_path):
    """`held(folder)`: another process that holds the folder's lock."""
    processes = []

    def start(folder: Path) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(ROOT), str(folder)], stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def inputs(pair) -> list:
    return ["--input_a", pair[0], "--input_b", pair[1], "--gpu_id", -1]


def refused(result, process, folder) -> None:
    """Exit 2, one line with the process and the folder."""
    assert result.code == 2
    (line,) = result.err.strip().splitlines()
    assert line.startswith("error: --")
    assert f"process {process.pid} " in line
    assert str(folder) in line


def test_the_second_run_is_refused_and_touches_nothing(cli, held, pair, trained, tmp_path):
    run, new = copy_run(trained, tmp_path / "run"), tmp_path / "new"
    for folder in (run, new):
        process = held(folder)
        before = contents(tmp_path)
        refused(cli("train.py", *inputs(pair), *TINY, "--niter", 1, "--out", folder), process, folder)
        refused(cli("train.py", *inputs(pair), *TINY, "--niter", 1, "--out", folder, "--overwrite"), process, folder)
        assert contents(tmp_path) == before
    process = held(tmp_path / "eval")
    refused(cli("eval.py", *inputs(pair), "--load", trained, "--out", tmp_path / "eval"), process, tmp_path / "eval")


def test_a_run_somebody_else_goes_on_with_is_neither_resumed_nor_copied(cli, held, pair, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    process = held(run)
    before = contents(tmp_path)
    refused(cli("train.py", "--load", run), process, run)
    refused(cli("train.py", "--load", run, "--dry_run"), process, run)
    refused(cli("train.py", "--load", run, "--out", tmp_path / "copy"), process, run)
    assert contents(tmp_path) == before


def test_a_killed_process_leaves_a_file_but_no_lock(cli, held, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    process = held(run)
    process.kill()
    process.wait()
    assert (run / NAME).exists()
    assert cli("train.py", "--load", run, "--gpu_id", -1).code == 0
    assert not (run / NAME).exists()


def test_the_lock_file_is_no_result_and_is_not_copied(cli, held, pair, trained, tmp_path):
    run, out = copy_run(trained, tmp_path / "run"), tmp_path / "out"
    out.mkdir()
    for folder in (run, out):
        (folder / NAME).write_text("1 left-behind\n")
    assert cli("train.py", "--load", run, "--out", out, "--gpu_id", -1).code == 0
    assert not (out / NAME).exists()


def test_the_lock_ends_with_the_block_also_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="some"), FolderLock(tmp_path / "deep" / "run", "--out"):
        with pytest.raises(UserError, match=rf"process {os.getpid()} "):
            check_unlocked(tmp_path / "deep" / "run", "--out")
        with pytest.raises(UserError, match=rf"process {os.getpid()} "), FolderLock(tmp_path / "deep" / "run", "--out"):
            pass
        raise ValueError("something else")
    assert list((tmp_path / "deep" / "run").iterdir()) == []
    with FolderLock(tmp_path / "deep" / "run", "--out"):
        pass


def test_of_many_at_once_one_at_a_time_gets_in(tmp_path):
    # Each takes the lock, and while it has it nobody else may; the file's removal must not let two in.
    code = HOLD.partition("with")[0] + (
        "from utils.errors import UserError\nimport os\nfolder = Path(sys.argv[2])\ndone = 0\n"
        "while done < 40:\n"
        "    try:\n"
        "        with FolderLock(folder, '--out'):\n"
        "            os.close(os.open(folder / 'inside', os.O_CREAT | os.O_EXCL))\n"
        "            os.unlink(folder / 'inside')\n"
        "            done += 1\n"
        "    except UserError:\n"
        "        pass\n"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "run")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_and_used(monkeypatch, capsys, tmp_path, reason):
    def no_locks(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    with FolderLock(tmp_path / "run", "--out"):
        check_unlocked(tmp_path / "run", "--out")
        assert list((tmp_path / "run").iterdir()) == []
    assert capsys.readouterr().err.startswith("warning: --out ")
