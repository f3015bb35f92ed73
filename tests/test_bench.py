"""The benchmark runs, and its two sides compute the same."""

import json
import math

import pytest
import torch
from parity import fill

from benchmarks import bench_step
from training.step import training_step
from utils.errors import UserError
from utils.resize import upsample

CPU = torch.device("cpu")


def test_a_run(tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert bench_step.main(["--device", "cpu", "--scales", "0", "--repeats", "1", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    assert {"device", "threads", "torch", "date", "precision", "repeats", "memory", "rows"} == set(record)
    (row,) = record["rows"]
    assert (row["scale"], row["side"], row["channels"]) == (0, 18, 32)
    measured = {"program_ms", "baseline_ms", "ratio", "program_gflops", "baseline_gflops", "convolution_gflops"}
    measured |= {"product_gflops", "share_of_convolution", "share_of_product", "program_mib", "baseline_mib"}
    assert set(row) == measured | {"scale", "side", "channels", "steps"}
    assert all(math.isfinite(row[name]) and row[name] > 0 for name in measured)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[-1].split()[:3] == ["0", "18", "32"]


@pytest.mark.parametrize("scale", [0, 1])
def test_both_sides_compute_the_same(domain_threads, scale):
    both = domain_threads(1)
    program, baseline = bench_step.both_sides(scale, CPU, both)
    # An updated critic's biases carry rounding noise, so its rate is 0 where its judgement is compared.
    for optimiser in (*program.optimisers.discriminators, baseline.optimiser_d):
        optimiser.param_groups[0]["lr"] = 0.0
    inputs = program.draws.inputs(0)
    wanted, _ = training_step(program.networks, program.optimisers, inputs, program.reals, bench_step.WEIGHTS, both)
    found = baseline.step(inputs)
    assert found == pytest.approx({name: loss.item() for name, loss in wanted.items()}, rel=1e-4)

    # One Adam step apart, the convolutions agree but for the sign of gradients that are next to nothing.
    pairs = zip(program.networks.generators, baseline.networks.generators, strict=True)
    for generator, rival in pairs:
        for wanted_layer, layer in zip(generator.modules(), rival.modules(), strict=True):
            if isinstance(layer, torch.nn.Conv2d):
                assert torch.allclose(layer.weight.grad, wanted_layer.weight.grad, rtol=1e-3, atol=1e-6)


def test_the_baselines_draws(domain_threads):
    _, baseline = bench_step.both_sides(2, CPU, domain_threads(1))
    noisy, prev, z_prev, mix = baseline.inputs(0)
    assert noisy.shape == prev.shape == z_prev.shape == (1, 3, 30, 30)
    assert (noisy - prev).std().item() == pytest.approx(bench_step.SIGMA, rel=0.1)
    assert mix.shape == (2,)
    assert not prev.requires_grad


def test_upsampling_through_8_bits():
    image = fill((1, 3, 7, 9), 1)
    truncated = (127.5 * (image + 1)).floor() / 127.5 - 1
    found = bench_step.upsample_on_host(image, 0.75, (9, 12))
    assert torch.allclose(found, upsample(truncated, 0.75, (9, 12)), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [["--scales", "11"], ["--scales", "0,"], ["--device", "tpu"], ["--device", "cpu", "--precision", "tf32"]],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(arguments):
    with pytest.raises(UserError, match=arguments[-2]) as caught:
        bench_step.main(arguments)
    assert "\n" not in str(caught.value)
