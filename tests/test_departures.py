"""What options may change of the paper: falling rates, one noise to reconstruct from."""

import json

import pytest
import torch
from conftest import TINY

from models.architecture import Architecture, ScaleNetworks
from training.optimisers import Optimisers, OptimiserSettings


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
    last = [
        torch.load(run / "scale_00.pt", weights_only=True)["networks"]["generator_a.net.tail.weight"] for run in runs
    ]
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
