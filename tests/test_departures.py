"""What options may change of the paper: falling rates, one noise to reconstruct from, mirrored padding."""

import pytest
import torch
from conftest import TINY
from PIL import Image
from torch import nn

import config
import train
from models.inference import TrainedPair
from models.networks import Architecture, MirroredConv2d, ScaleNetworks, initialise
from models.run import Run
from training.optimisers import Optimisers, OptimiserSettings
from utils.run_folder import RunFolder

CPU, SMALL = torch.device("cpu"), Architecture(nfc=4, min_nfc=4)
WORDS = ["--rec_noise", "fixed", "--save_memory", "--lr_decay", "0.3", "--real_start", "0.4", "--lambda_layout", "0.2"]


def test_rates_are_constant_or_fall_linearly_over_the_end_share():
    assert {OptimiserSettings().rate_factor(step, 100) for step in range(100)} == {1.0}
    settings = OptimiserSettings(lr_g=0.002, lr_d=0.0005, lr_decay=0.4)
    factors = [settings.rate_factor(step, 10) for step in range(10)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    networks = ScaleNetworks(Architecture(nfc=4, min_nfc=4), 0, 4)
    optimisers = Optimisers(networks, settings)
    optimisers.set_rates(8, 10)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers.all()]
    assert rates == pytest.approx([0.001, 0.001, 0.00025, 0.00025])


@pytest.mark.parametrize(("words", "expected"), [([], (False, False, 0, 0, 0)), (WORDS, (True, True, 0.3, 0.4, 0.2))])
def test_the_options_reach_the_recipe(words, expected):
    options = config.parse_train(["--input_a", "a.png", "--input_b", "b.png", "--out", "out", *words])
    run = Run(RunFolder(options.out), options.geometry, options.architecture, CPU)
    recipe = train.pair_recipe(options, run, Image.new("RGB", (4, 4)), ([], []))
    found = recipe.fixed_rec, recipe.recompute, recipe.optimiser.lr_decay, recipe.real_start
    assert (*found, recipe.weights.lambda_layout) == expected


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
            out = networks.generators[0](picture, picture)
        frames[mode] = (out - out[:, :, 7:8]).abs().max().item()
    assert frames["reflect"] < 1e-5
    assert frames["zeros"] > 1e-3


def test_padding_mode_is_kept_with_the_scales(cli, pair, tmp_path):
    inputs = ["--input_a", pair[0], "--input_b", pair[1]]
    run = tmp_path / "mirrored"
    result = cli("train.py", *inputs, *TINY, "--niter", 2, "--padding_mode", "reflect", "--out", run)
    assert result.code == 0, result.err
    opened = TrainedPair.load(run)
    assert opened.architecture.padding_mode == "reflect"
    convolutions = [module for module in opened.pyramids[1].generators[1].modules() if isinstance(module, nn.Conv2d)]
    assert {type(convolution) for convolution in convolutions} == {MirroredConv2d}
    result = cli("train.py", *inputs, "--load", run, "--padding_mode", "zeros")
    assert result.code == 2
    assert "--padding_mode zeros contradicts reflect" in result.err
