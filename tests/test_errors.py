"""How commands end that cannot start or go on: one line, and only for what the line says."""

import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, run_process

from utils.errors import SMALLER, one_line_errors


def run_help(script: str) -> str:
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as told:
        import_module(Path(script).stem).main(["--help"])
    return told.getvalue()


def ended(capsys, error: BaseException, script: str = "") -> str:
    """The line that is left of an error; an error that is to be seen goes through."""
    with pytest.raises(SystemExit) as stop, one_line_errors(script):
        raise error
    assert stop.value.code == 1
    return capsys.readouterr().err


def no_memory() -> Exception:
    """What PyTorch raises where the machine has not so much memory."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        no_memory(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to"),
    ],
    ids=["Python", "GPU", "CPU", "CPU under Windows"],
)
def test_out_of_memory(capsys, error):
    assert ended(capsys, error) == "error: out of memory\n"
    assert ended(capsys, error, "eval.py") == "error: out of memory; try a smaller --out_size or --finish_size\n"
    for script, advice in SMALLER.items():  # options that the script has
        done = run_help(script)
        assert all(flag in done for flag in re.findall(r"--\w+", advice)), script


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("unsupported operation: more than one element refers to a single memory location"),
        RuntimeError("Expected a channels_last memory format"),
        ValueError("memory"),
    ],
)
def test_other_errors_are_seen(error):
    with pytest.raises(type(error)) as caught, one_line_errors():
        raise error
    assert caught.value is error


def test_this_program_s_own_import_errors_are_seen():
    for name in ("utils.missing", "train"):
        with pytest.raises(ImportError), one_line_errors():
            raise ImportError("cannot import name 'x'", name=name)


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    command = 'set -o pipefail; "$0" -c "$1" | true'
    program = (
        "import time; from utils.errors import one_line_errors\n"
        "with one_line_errors():\n    time.sleep(0.5)\n    print('x' * 10**6, flush=True)"
    )
    done = subprocess.run(["bash", "-c", command, sys.executable, program], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


# Imports, in processes of their own.


def start(folder, script: str, module: str, content: str, *arguments: object):
    """Start a script where a package is another one than it should be."""
    (folder / "first").mkdir(exist_ok=True)
    (folder / "first" / f"{module}.py").write_text(content)
    return run_process(script, *arguments, env=os.environ | {"PYTHONPATH": str(folder / "first")})


@pytest.mark.parametrize(
    ("script", "module"),
    [("train.py", "torch"), ("eval.py", "safetensors"), ("refine.py", "PIL"), ("scripts/report.py", "jinja2")],
)
def test_missing_package(tmp_path, script, module):
    result = start(tmp_path, script, module, f"raise ModuleNotFoundError('No module', name={module!r})")
    command = f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}"
    assert result == (1, "", f"error: the package {module} is missing; to install it: {command}\n")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("script", ["train.py", "eval.py", "refine.py", "scripts/report.py"])
def test_interrupted_import(tmp_path, script):
    module = "jinja2" if script == "scripts/report.py" else "torch"
    content = f"import os, signal; os.kill(os.getpid(), {signal.SIGINT:d})"
    assert start(tmp_path, script, module, content) == (130, "", "error: interrupted\n")


def test_still_images_do_not_need_av(pair, tmp_path):
    content = "raise ModuleNotFoundError('No module', name='av')"
    inputs = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "out", *TINY, "--preset", "quick"]
    result = start(tmp_path, "train.py", "av", content, *inputs, "--dry_run")
    assert (result.code, result.err) == (0, "")


def test_measures_without_torchvision(pair, trained, tmp_path):
    content = "raise ModuleNotFoundError('No module', name='torchvision')"
    inputs = ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--out", tmp_path / "out"]
    inputs += ["--inject_levels", 1, "--metrics", "--gpu_id", -1]
    result = start(tmp_path, "eval.py", "torchvision", content, *inputs)
    assert result.code == 0, result.err
    assert result.err.startswith("warning: SIFID needs torchvision")
    assert result.err.count("\n") == 1
    assert (tmp_path / "out" / "metrics.json").stat().st_size > 2
