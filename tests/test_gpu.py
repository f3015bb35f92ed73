"""What only a CUDA GPU can show. Skipped without one; where there is one: `python -m pytest -m gpu`."""

import contextlib

import pytest
import torch
from conftest import TINY, make_frames, run_process
from interrupted import same_results, stop_after
from tiny_steps import CHANGES, GEOMETRY, one_image_steps, pair_steps

from models.networks import Architecture
from training.frames import frames
from training.state import ScaleState
from utils.geometry import Geometry
from utils.run_folder import RunFolder
from utils.video import Clip

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and there is none"),
]
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ON_GPU = [*TINY, "--gpu_id", 0, "--scale_factor", 0.55]


@contextlib.contextmanager
def no_waits():
    """An error where the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("changes", [{}, *CHANGES], ids="-".join)
def test_no_pairs_step_waits(changes):
    pair_steps(GPU)  # whatever is set up once
    pair_steps(GPU, watch=no_waits, count=20, **changes)


def test_no_clips_step_waits(tmp_path):
    source = frames(Clip(make_frames(tmp_path, 0, 1, 2), "--input_a"), 0, GEOMETRY.domain_shapes[0], 1, GPU, tmp_path)
    pair_steps(GPU)
    pair_steps(GPU, watch=no_waits, count=5, real_a=source)


def test_no_step_of_one_image_waits():
    one_image_steps(GPU)
    one_image_steps(GPU, watch=no_waits)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_deterministic_runs_are_equal(inputs, tmp_path, padding):
    words = [*inputs, *ON_GPU, "--niter", 40, "--padding_mode", padding]
    for name in ("one", "other"):  # each in a process of its own: cuBLAS reads its settings once
        done = run_process("train.py", *words, "--deterministic", "--out", tmp_path / name)
        assert done.code == 0, done.err
    same_results(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_gpu_computes_what_a_cpu_does(monkeypatch, padding):
    # Tolerances as docs/method.md, section 13 has them for two right programs.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    architecture = Architecture(nfc=16, min_nfc=16, padding_mode=padding)
    geometry = Geometry(img_size=32, min_size=24)
    taken = [pair_steps(device, geometry=geometry, architecture=architecture, count=3) for device in (CPU, GPU)]
    for step, (on_cpu, on_gpu) in enumerate(zip(*taken, strict=True)):
        tolerance = 1e-2 if step else 1e-4
        for domain in "ab":
            names = f"D/real_{domain}", f"D/fake_{domain}"  # each alone drifts with the last bias
            sums = [sum(losses[name].item() for name in names) for losses, _ in (on_cpu, on_gpu)]
            assert sums[1] == pytest.approx(sums[0], rel=tolerance, abs=4e-4)
        for name in (f"{term}_{domain}" for term in ("D/penalty", "G/reconstruction", "G/cycle") for domain in "ab"):
            assert on_gpu[0][name].item() == pytest.approx(on_cpu[0][name].item(), rel=tolerance), (step, name)
        for name, image in on_cpu[1].items():
            assert (on_gpu[1][name].cpu() - image).abs().max() < (0.02 if step else 1e-3), (step, name)


@pytest.mark.parametrize(("first", "then"), [(-1, 0), (0, -1)])
def test_a_run_goes_on_on_another_device(cli, monkeypatch, inputs, tmp_path, first, then):
    words = [*inputs, *ON_GPU, "--niter", 5, "--print_interval", 1, "--rec_noise", "fixed"]
    assert cli("train.py", *words, "--out", tmp_path / "whole", "--gpu_id", first).code == 0
    monkeypatch.setattr("training.resume.StopRequest", stop_after(7))
    assert cli("train.py", *words, "--out", tmp_path / "run", "--gpu_id", first).code == 130
    monkeypatch.undo()
    assert cli("train.py", "--load", tmp_path / "run", "--gpu_id", then).code == 0
    whole, run = (RunFolder(tmp_path / name).logged() for name in ("whole", "run"))
    assert [(line["scale"], line["step"]) for line in run] == [(line["scale"], line["step"]) for line in whole]
    # It meets the same random numbers, so for a few steps it computes the same.
    for name in ("G/reconstruction_a", "G/reconstruction_b", "D/penalty_a", "D/penalty_b"):
        assert run[7][name] == pytest.approx(whole[7][name], rel=2e-2), name


def test_memory_does_not_grow(cli, monkeypatch, inputs, tmp_path):
    held, add = [], ScaleState.add
    monkeypatch.setattr(ScaleState, "add", lambda *given: add(*given) or held.append(torch.cuda.memory_allocated()))
    assert cli("train.py", *inputs, *ON_GPU, "--niter", 216, "--out", tmp_path / "run").code == 0
    for scale in range(len(held) // 216):
        own = held[216 * scale : 216 * (scale + 1)]
        assert own[207] <= own[15] + 2**16, scale
