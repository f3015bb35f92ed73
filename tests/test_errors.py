"""How commands end that cannot start or go on: one line, and only for what the line says."""

import os
import signal
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from conftest import ROOT, TINY, run_process

from utils.errors import obey_quota, one_line_errors


def no_memory() -> Exception:
    """What PyTorch raises where the machine has not so much memory."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), "out of memory"),
        (no_memory(), "out of memory"),
        (OSError(28, "No space left on device", "out/log.jsonl"), "out/log.jsonl: No space left on device; free some"),
    ],
    ids=["Python", "GPU", "CPU", "disk"],
)
def test_an_error_a_person_can_mend_is_one_line(capsys, error, line):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    told = capsys.readouterr().err
    assert stop.value.code == 1 and told.startswith(f"error: {line}") and told.count("\n") == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: an illegal memory access"), ValueError("memory"), ImportError("no name 'x'")]
)
def test_other_errors_are_seen(error):
    with pytest.raises(type(error)) as caught, one_line_errors():
        raise error
    assert caught.value is error


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_a_reader_that_goes_away_ends_it_quietly():
    command = 'set -o pipefail; "$0" -c "$1" | true'
    program = (
        "import time; from utils.errors import one_line_errors\n"
        "with one_line_errors():\n    time.sleep(0.5)\n    print('x' * 10**6, flush=True)"
    )
    done = subprocess.run(["bash", "-c", command, sys.executable, program], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


# Imports.


def start(folder, script: str, module: str, content: str):
    """Start a script where a package is another one than it should be."""
    (folder / f"{module}.py").write_text(content)
    return run_process(script, env=os.environ | {"PYTHONPATH": str(folder)})


def missing(module: str, requirements: str) -> str:
    command = f"{sys.executable} -m pip install -r {ROOT / requirements}"
    return f"error: the package {module} is missing; to install it: {command}\n"


@pytest.mark.parametrize(("script", "module"), [("train.py", "torch"), ("scripts/report.py", "jinja2")])
def test_missing_package(tmp_path, script, module):
    result = start(tmp_path, script, module, f"raise ModuleNotFoundError('No module', name={module!r})")
    assert result == (1, "", missing(module, "requirements.txt"))


def test_missing_package_of_the_page(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "app", raising=False)
    with pytest.raises(SystemExit), one_line_errors():
        import_module("app")
    assert capsys.readouterr().err == missing("gradio", "requirements-app.txt")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_interrupted_import(tmp_path):
    content = f"import os, signal; os.kill(os.getpid(), {signal.SIGINT:d})"
    assert start(tmp_path, "train.py", "torch", content) == (130, "", "error: interrupted\n")


def test_still_images_do_not_need_av(cli, monkeypatch, inputs, tmp_path):
    code = "import sys; sys.modules['av'] = None; import train, eval, refine, finish"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)
    monkeypatch.setitem(sys.modules, "av", None)
    assert cli("train.py", *inputs, "--out", tmp_path / "out", *TINY, "--dry_run")[::2] == (0, "")


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"cpu.max": "765000 100000"}, "7"),
        ({"cpu.max": "50000 100000"}, "1"),
        ({"cpu.max": "1600000 100000"}, None),  # all processors
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, "2"),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_container_has_as_many_threads_as_it_may_run(monkeypatch, tmp_path, files, threads):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr("utils.errors.CGROUP", tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    for environ, wanted in (({}, threads), ({"OMP_NUM_THREADS": "3"}, "3")):
        monkeypatch.setattr("os.environ", environ)
        obey_quota()
        assert environ.get("OMP_NUM_THREADS") == wanted
