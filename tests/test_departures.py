"""What options may change of the paper: falling rates, one noise to reconstruct from, mirrored padding."""

import json

import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file
from torch import nn

from models.architecture import Architecture, ScaleNetworks
from models.blocks import initialise
from models.snapshot import Run
from training.optimisers import Optimisers, OptimiserSettings
from utils.runs.run_folder import RunFolder


def test_published_rates_are_constant():
    assert {OptimiserSettings().rate_factor(step, 100) for step in range(100)} == {1.0}


def test_rates_fall_linearly_over_the_end_share():
    settings = OptimiserSettings(lr_g=0.002, lr_d=0.0005, lr_decay=0.4)
    factors = [settings.rate_factor(step, 10) for step in range(10)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    networks = ScaleNetworks(Architecture(nfc=4, min_nfc=4), 0, 4)
    optimisers = Optimisers(networks, settings)
    optimisers.set_rates(8, 10)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers.all()]
    assert rates == pytest.approx([0.001, 0.001, 0.00025, 0.00025])


def test_lr_decay_changes_the_end_of_a_scale_only(cli, pair, tmp_path):
    for name, decay in (("constant", 0), ("falling", 0.3)):
        arguments = ["--input_a", pair[0], "--input_b", pair[1], "--niter", 10, "--lr_decay", decay, *TINY]
        result = cli("train.py", *arguments, "--print_interval", 6, "--out", tmp_path / name)
        assert result.code == 0, result.err
    runs = [tmp_path / "constant", tmp_path / "falling"]
    pictures = [(run / "samples" / "00_step00006_a2b.png").read_bytes() for run in runs]
    assert pictures[0] == pictures[1]
    last = [load_file(run / "scale_00.safetensors")["generator_a.net.tail.weight"] for run in runs]
    assert not torch.equal(*last)


def test_rec_noise_fixed_lets_a_scale_remember_its_picture(cli, pair, tmp_path):
    errors = []
    for kind in ("fresh", "fixed"):
        arguments = ["--input_a", pair[0], "--input_b", pair[1], *TINY, "--niter", 60, "--print_interval", 20]
        quick = ["--lr_g", 0.01, "--alpha", 10, "--rec_noise", kind]
        result = cli("train.py", *arguments, *quick, "--out", tmp_path / kind)
        assert result.code == 0, result.err
        errors.append(json.loads((tmp_path / kind / "log.jsonl").read_text().splitlines()[-1]))
    fresh, fixed = errors
    assert all(fixed[name] < 0.8 * fresh[name] for name in ("G/reconstruction_a", "G/reconstruction_b"))


@pytest.mark.parametrize("scale", [0, 3])  # residual, plain
def test_mirrored_padding_makes_no_frame(scale):
    """Rows that are all the same stay the same; zeros outside the picture would bend the outer ones."""
    row = torch.rand(1, 3, 1, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    picture = row.expand(-1, -1, 14, -1)
    frames = {}
    for mode in ("zeros", "reflect"):
        networks = ScaleNetworks(Architecture(nfc=4, min_nfc=4, padding_mode=mode), scale, 4)
        initialise(networks, torch.Generator().manual_seed(2))
        with torch.no_grad():
            out = networks.generator_a(picture, picture)
        frames[mode] = (out - out[:, :, 7:8]).abs().max().item()
    assert frames["reflect"] < 1e-5
    assert frames["zeros"] > 1e-3


def test_padding_mode_is_kept_with_the_scales(cli, pair, tmp_path):
    inputs = ["--input_a", pair[0], "--input_b", pair[1]]
    run = tmp_path / "mirrored"
    result = cli("train.py", *inputs, *TINY, "--niter", 2, "--padding_mode", "reflect", "--out", run)
    assert result.code == 0, result.err
    opened = Run.open(RunFolder(run), 2, torch.device("cpu"))
    assert opened.architecture.padding_mode == "reflect"
    networks, _ = opened.load_scale(1)
    assert {conv.padding_mode for conv in networks.generator_b.modules() if isinstance(conv, nn.Conv2d)} == {"reflect"}
    result = cli("train.py", *inputs, "--load", run, "--padding_mode", "zeros")
    assert result.code == 2
    assert "--padding_mode zeros contradicts reflect" in result.err
