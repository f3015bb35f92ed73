"""How commands end that cannot start or go on: one line, and only for what the line says."""

import os
import signal
import sys

import pytest
import torch
from conftest import ROOT, TINY, run_process

from utils.errors import one_line_errors


def ended(capsys, error: BaseException) -> str:
    """The line that is left of an error; an error that is to be seen goes through."""
    with pytest.raises(SystemExit) as stop, one_line_errors():
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
    assert ended(capsys, error) == "error: out of memory; try a smaller --img_size or fewer channels (--max_nfc)\n"


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


def test_a_package_that_is_not_required_is_asked_for_by_name(capsys):
    line = ended(capsys, ModuleNotFoundError("No module named 'cycler'", name="cycler"))
    assert line == f"error: the package cycler is missing; to install it: {sys.executable} -m pip install cycler\n"


# Imports, in processes of their own.


def start(folder, script: str, module: str, content: str, *arguments: object):
    """Start a script where a package is another one than it should be."""
    (folder / "first").mkdir(exist_ok=True)
    (folder / "first" / f"{module}.py").write_text(content)
    return run_process(script, *arguments, env=os.environ | {"PYTHONPATH": str(folder / "first")})


@pytest.mark.parametrize(
    ("script", "module"),
    [("train.py", "torch"), ("eval.py", "numpy"), ("refine.py", "PIL"), ("scripts/report.py", "jinja2")],
)
def test_missing_package(tmp_path, script, module):
    result = start(tmp_path, script, module, f"raise ModuleNotFoundError('No module', name={module!r})")
    name = {"PIL": "pillow"}.get(module, module)
    command = f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}"
    assert result == (1, "", f"error: the package {name} is missing; to install it: {command}\n")


def test_broken_package(tmp_path):
    content = "raise ImportError('libx.so: cannot open\\nshared object file', name='torch._C')"
    result = start(tmp_path, "train.py", "torch", content)
    assert result.code == 1
    assert result.err.startswith(
        "error: the package torch cannot be imported (libx.so: cannot open shared object file)"
    )
    assert result.err.count("\n") == 1


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
