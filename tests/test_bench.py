"""The benchmark runs, and its two sides compute the same."""

import contextlib
import json
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from parity import fill

from benchmarks import bench_finish, bench_step
from benchmarks.baseline import Baseline, upsample_on_host
from training.step import DomainInputs, training_step
from utils.errors import RunError, UserError
from utils.resize import upsample
from utils.geometry import Geometry

CPU, PLAIN = torch.device("cpu"), bench_step.Setup("fp32", save_memory=False)


def test_a_run(tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert (
        bench_step.main(["--device", "cpu", "--scales", "0", "--img_size", "20", "--repeats", "1", "--json", str(file)])
        == 0
    )
    record = json.loads(file.read_text())
    about = {"device", "threads", "torch", "date", "precision", "save_memory", "repeats", "img_size", "memory"}
    assert set(record) == about | {"rows"}
    (row,) = record["rows"]
    assert (row["scale"], row["side"], row["channels"]) == (0, 18, 32)
    measured = {"program_ms", "baseline_ms", "ratio", "program_gflops", "baseline_gflops", "convolution_gflops"}
    measured |= {"product_gflops", "share_of_convolution", "share_of_product", "program_mib", "baseline_mib"}
    assert set(row) == measured | {"scale", "side", "channels", "steps"}
    assert all(math.isfinite(row[name]) and row[name] > 0 for name in measured)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:4] == ["scale", "side", "channels", "program_ms"]
    assert lines[2].split()[:3] == ["0", "18", "32"]


def test_a_table_of_finishing(capfd):
    assert bench_finish.main(["--sizes", "40", "--exact", "32"]) == 0
    _, head, row, exact = capfd.readouterr().out.splitlines()
    assert head.split()[0] == "side"
    side, *numbers = row.split()
    assert side == "40" and all(float(number) >= 0 for number in numbers)
    assert re.fullmatch(r"one exact search at 32: \d+\.\d\d s", exact)


@pytest.mark.slow
def test_the_program_alone_at_the_finest_scale(tmp_path):
    file = tmp_path / "bench.json"
    options = ["--device", "cpu", "--scales", "last", "--img_size", "20", "--program_only", "--repeats", "1"]
    options += ["--precision", "bf16", "--save_memory"]
    assert bench_step.main([*options, "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    assert (record["precision"], record["save_memory"]) == ("bf16", True)
    (row,) = record["rows"]
    assert (row["scale"], row["side"]) == (2, 20)
    assert not [name for name in row if "baseline" in name or name == "ratio"]


def test_an_error_in_a_worker_is_one_line():
    ours, theirs = multiprocessing.Pipe()
    bench_step.serve(theirs, "program", 11, Geometry(), CPU, PLAIN)
    assert str(ours.recv()) == "program at scale 11: IndexError: tuple index out of range"


@pytest.mark.slow
def test_a_worker_that_dies_is_one_line():
    with bench_step.Worker("baseline", 0, Geometry(), CPU, PLAIN) as worker:
        worker.process.kill()
        with pytest.raises(RunError, match="baseline at scale 0: its process ended with status -9"):
            worker.ask(1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_ctrl_c_leaves_no_workers():
    command = [sys.executable, ROOT / "benchmarks" / "bench_step.py", "--device", "cpu", "--img_size", "20"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    run.stdout.readline()
    deadline = time.monotonic() + 30
    while len(workers_of(run.pid)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (130, "error: interrupted\n")
    assert workers_of(run.pid) == []


def workers_of(group: int) -> list[int]:
    """The living workers of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It may have ended meanwhile.
            if os.getpgid(int(folder.name)) == group and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize("scale", [0, 1])
def test_both_sides_compute_the_same(domain_threads, scale):
    # In double precision, or the processor's rounding decides how near they come.
    both = domain_threads(1)
    networks, pyramids, sigmas, reals = bench_step.starting_point(scale, Geometry(), CPU)
    start = networks.double(), pyramids, sigmas, tuple(real.double() for real in reals)
    program, rival = bench_step.Program(start, both), Baseline(start, bench_step.WEIGHTS, bench_step.RATES)
    rival.networks.double()
    # An updated discriminator's biases carry rounding noise, so its rate is 0 where its judgement is compared.
    for optimiser in (*program.optimisers.discriminators, rival.optimiser_d):
        optimiser.param_groups[0]["lr"] = 0.0
    inputs = tuple(
        DomainInputs(*(tensor.double() for tensor in own[:4])) for own in program.draws.inputs(0, program.reals)
    )
    wanted, _ = training_step(program.networks, program.optimisers, inputs, program.reals, bench_step.WEIGHTS, both)
    found = rival.step(inputs)
    assert found == pytest.approx({name: loss.item() for name, loss in wanted.items()}, rel=1e-8)

    # One Adam step apart, the convolutions agree but for the sign of gradients that are next to nothing.
    pairs = zip(program.networks.generators, rival.networks.generators, strict=True)
    for generator, rival_generator in pairs:
        for wanted_layer, layer in zip(generator.modules(), rival_generator.modules(), strict=True):
            if isinstance(layer, torch.nn.Conv2d):
                assert torch.allclose(layer.weight.grad, wanted_layer.weight.grad, rtol=1e-6, atol=1e-9)


def test_the_baselines_draws():
    start = bench_step.starting_point(2, Geometry(), CPU)
    noisy, prev, z_prev, mix = Baseline(start, bench_step.WEIGHTS, bench_step.RATES).inputs(0)[:4]
    assert noisy.shape == prev.shape == z_prev.shape == (1, 3, 30, 30)
    assert (noisy - prev).std().item() == pytest.approx(bench_step.SIGMA, rel=0.1)
    assert mix.shape == (2,)
    assert not prev.requires_grad


def test_upsampling_through_8_bits():
    image = fill((1, 3, 7, 9), 1)
    truncated = (127.5 * (image + 1)).floor() / 127.5 - 1
    found = upsample_on_host(image, 0.75, (9, 12))
    assert torch.allclose(found, upsample(truncated, 0.75, (9, 12)), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scales", "11"],
        ["--img_size", "19"],
        ["--device", "tpu"],
        ["--device", "cpu", "--precision", "tf32"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(arguments):
    with pytest.raises(UserError, match=arguments[-2]) as caught:
        bench_step.main(arguments)
    assert "\n" not in str(caught.value)
