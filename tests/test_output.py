"""Output that nobody reads never costs a run: closed pipes, full devices, closed descriptors, lost terminals."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from folders import names

BASH = "/bin/bash"

TRAIN = "{python} {root}/train.py --input_a {a} --input_b {b} --out {out} --niter 3 " + " ".join(TINY)
LOST = "warning: standard output cannot be written"


def shell(line: str, pair, out: Path) -> subprocess.CompletedProcess:
    """Run a line of bash around a training command."""
    train = TRAIN.format(python=sys.executable, root=ROOT, a=pair[0], b=pair[1], out=out)
    words = [BASH, "-c", "set -o pipefail; " + line.replace("TRAIN", train)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


# What a script does around its work, without what takes a second to import.
SMALL = """
import sys
sys.path.insert(0, sys.argv[1])
from utils.errors import UserError, one_line_errors
with one_line_errors():
    for number in range(2000):
        print(number, "x" * 100)
    print("a warning", file=sys.stderr)
    open(sys.argv[2], "w").write("saved")
    if sys.argv[3:]:
        raise UserError("wrong")
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SMALL | head -n 1", True),
        ("SMALL | true", True),
        ("export PYTHONUNBUFFERED=1; SMALL | head -n 1", True),
        ("SMALL > /dev/full", True),
        ("SMALL 2>&1 | true", False),
        ("SMALL >/dev/full 2>&1", False),
        ("SMALL 2>/dev/full >/dev/null", False),
        ("SMALL >&-", False),
        ("SMALL 2>&- >/dev/null", False),
        ("SMALL >&- 2>&- <&-", False),
    ],
)
@pytest.mark.parametrize("wrong", [False, True])
def test_a_closed_output_costs_no_work(tmp_path, line, said, wrong):
    (tmp_path / "small.py").write_text(SMALL)
    small = f"{sys.executable} {tmp_path}/small.py {ROOT} {tmp_path}/file" + " wrong" * wrong
    done = subprocess.run(
        [BASH, "-c", "set -o pipefail; " + line.replace("SMALL", small)], capture_output=True, text=True, check=False
    )
    assert done.returncode == (2 if wrong else 0)
    assert (tmp_path / "file").read_text() == "saved"
    assert done.stderr.count(LOST) == said
    assert "Exception ignored" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("line", ["export PYTHONUNBUFFERED=1; TRAIN | head -n 1", "TRAIN >&- 2>&- <&-"])
def test_a_closed_output_costs_no_run(pair, tmp_path, line):
    done = shell(line, pair, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert {"results.png", "final_a2b.png", "scale_03.safetensors"} <= names(tmp_path / "run")
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.stderr.count(LOST) == ("head" in line)


def read_until_saved(process: subprocess.Popen, out: Path) -> None:
    deadline = time.monotonic() + 60
    while not (out / "state.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None


def test_a_reader_that_goes_away_in_mid_run(pair, tmp_path):
    out = tmp_path / "run"
    words = TRAIN.format(python=sys.executable, root=ROOT, a=pair[0], b=pair[1], out=out).split()
    words += ["--niter", "12", "--save_every", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    read_until_saved(process, out)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert (out / "results.png").is_file()


@pytest.mark.parametrize("ignored", [False, True], ids=["hangup", "nohup"])
def test_a_terminal_that_goes_away(pair, tmp_path, ignored):
    """The run saves and stops; under nohup it goes on."""
    out = tmp_path / "run"
    words = TRAIN.format(python=sys.executable, root=ROOT, a=pair[0], b=pair[1], out=out).split()
    words += ["--niter", "12" if ignored else "1000000", "--save_every", "0"]
    master, slave = pty.openpty()
    hold = "import os, sys, signal, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    # Not as the tests themselves were started: they may run under nohup.
    hold += f"signal.signal(signal.SIGHUP, signal.{'SIG_IGN' if ignored else 'SIG_DFL'}); "
    hold += "os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, *words], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        deadline = time.monotonic() + 60
        os.set_blocking(master, False)
        while not (out / "state.safetensors").exists() and time.monotonic() < deadline:
            try:
                os.read(master, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)
        os.close(master)
        assert process.wait(timeout=60) == (0 if ignored else 129)
    finally:
        process.kill()
    assert (out / ("results.png" if ignored else "state.safetensors")).is_file()


def test_a_slow_reader_of_a_pipe_that_does_not_block(tmp_path):
    code = "import os, sys; sys.path.insert(0, sys.argv[1]); from utils.output import outlive_readers\n"
    code += "os.set_blocking(1, False); outlive_readers(); print('x' * 300000); print('end')"
    process = subprocess.Popen([sys.executable, "-c", code, str(ROOT)], stdout=subprocess.PIPE)
    time.sleep(0.3)
    out, _ = process.communicate(timeout=30)
    assert (len(out), out[-5:], process.returncode) == (300005, b"\nend\n", 0)
