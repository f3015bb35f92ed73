"""What options may change of the paper: falling rates, one noise to reconstruct from, mirrored padding."""

import pytest
import torch
from conftest import complaint, train_tiny
from PIL import Image
from torch import nn

import config
import train
from models.inference import TrainedPair
from models.networks import Architecture, MirroredConv2d, ScaleNetworks, initialise
from models.run import Run
from training.state import OptimiserSettings, ScaleState
from utils.run_folder import RunFolder

CPU, SMALL = torch.device("cpu"), Architecture(nfc=4, min_nfc=4)
WORDS = ["--rec_noise", "fixed", "--save_memory", "--lr_decay", "0.3", "--real_start", "0.4", "--lambda_layout", "0.2"]


def test_rates_are_constant_or_fall_linearly_over_the_end_share():
    def rates(**settings: float) -> list[tuple[float, float]]:
        state, found = ScaleState(0, ScaleNetworks(SMALL, 0, 4), OptimiserSettings(**settings)), []
        for state.step in range(10):
            state.set_rates(10)
            found.append((1000 * state.adam_g.param_groups[0]["lr"], 1000 * state.adam_d.param_groups[0]["lr"]))
        return found

    assert set(rates()) == {(0.5, 0.1)}
    falling = rates(lr_g=0.002, lr_d=0.0005, lr_decay=0.4)
    assert [g for g, _ in falling] == pytest.approx([2] * 7 + [1.5, 1, 0.5])
    assert [d for _, d in falling] == pytest.approx([0.5] * 7 + [0.375, 0.25, 0.125])
    assert [g for g, _ in rates(tenth_after=0.8)] == pytest.approx([0.5] * 8 + [0.05] * 2)


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


def test_penalties_now_and_then_are_taken_in_turn_and_count_more(inputs, tmp_path):
    def logged(every: int) -> list[float]:
        words = ["--niter", 4, "--print_interval", 1, "--penalty_every", every]
        return [line["D/penalty_a"] for line in RunFolder(train_tiny(tmp_path / f"{every}", *inputs, *words)).logged()]

    each, second, fourth = logged(1), logged(2), logged(4)
    assert second[0] != each[0] and second[0] == pytest.approx(each[0], rel=0.2)  # twice one of two that are alike
    assert fourth[0] == pytest.approx(2 * second[0])
    assert fourth[1] == fourth[3] == 0 < min(*second, fourth[2])


def test_padding_mode_is_kept_with_the_scales(cli, inputs, tmp_path):
    run = train_tiny(tmp_path / "mirrored", *inputs, "--niter", 1, "--padding_mode", "reflect")
    opened = TrainedPair.load(run)
    assert opened.architecture.padding_mode == "reflect"
    convolutions = [module for module in opened.pyramids[1].generators[1].modules() if isinstance(module, nn.Conv2d)]
    assert {type(convolution) for convolution in convolutions} == {MirroredConv2d}
    told = complaint(cli("train.py", *inputs, "--load", run, "--padding_mode", "zeros"))
    assert "--padding_mode zeros contradicts reflect" in told
