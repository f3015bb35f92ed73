"""The numbers of the published program: the parity card, its rule for filling tensors, docs/method.md, section 13."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.networks import Architecture, ScaleNetworks
from models.pyramid import Pyramid
from training.state import OptimiserSettings, ScaleState
from training.step import DomainInputs, LossWeights, training_step
from utils.geometry import Geometry
from utils.resize import resize

CARD = json.loads(Path(__file__).with_name("parity.json").read_text())


def fill(shape: tuple[int, ...], seed: int) -> Tensor:
    k = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    value = k * (k + seed) * 0.6180339887498949
    return (2 * (value - value.floor()) - 1).float().view(shape)


@torch.no_grad()
def fill_network(network: nn.Module, base: int) -> nn.Module:
    """Fill parameter by parameter in the order head conv, norm, body likewise, tail."""
    index = 0
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.GroupNorm):
            continue
        weight, bias = fill(module.weight.shape, base + index), fill(module.bias.shape, base + index + 1)
        spread = 0.02 * math.sqrt(3) * weight
        module.weight.copy_(spread if isinstance(module, nn.Conv2d) else 1 + spread)
        module.bias.copy_(0.01 * bias)
        index += 2
    return network


@pytest.mark.parametrize("row", CARD["geometry"], ids=lambda row: f"{row['img_size']}-{row['min_size']}")
def test_geometry(row):
    geometry = Geometry(row["img_size"], row["min_size"], row["max_size"], row["scale_factor"])
    assert geometry.stop_scale == row["stop_scale"]
    assert geometry.factor == pytest.approx(row["scale_factor_used"], abs=1e-12)
    assert [height for height, _ in geometry.shapes][1:] == row["sizes"][1:]
    assert geometry.shapes[0] == (row["min_size"], row["min_size"])
    assert [Architecture().widths(s)[0] for s in range(geometry.stop_scale + 1)] == row["nfc"]


@pytest.mark.parametrize("row", CARD["resize"], ids=lambda row: row["factor"])
def test_resize(row):
    numerator, _, denominator = row["factor"].partition("/")
    factor = float(numerator) / float(denominator or 1)
    image = 127.5 * (fill((7, 9, 3), 5) + 1)
    resized = resize(image.permute(2, 0, 1), factor).permute(1, 2, 0)
    assert list(resized.shape) == row["shape"]
    middle = resized[resized.shape[0] // 2, resized.shape[1] // 2]
    assert middle.tolist() == pytest.approx(row["mid"], rel=1e-4)


def step_inputs(step: int, side: int) -> tuple[DomainInputs, DomainInputs]:
    shape = (1, 3, side, side)
    prev_a, prev_b, z_prev_a, z_prev_b = (0.5 * fill(shape, 1000 * step + i) for i in (1, 2, 3, 4))
    noisy_a = 0.05 * fill(shape, 1000 * step + 5) + prev_a
    noisy_b = 0.07 * fill(shape, 1000 * step + 6) + prev_b
    return (
        DomainInputs(noisy_a, prev_a, z_prev_a, torch.tensor([0.3, 0.6])),
        DomainInputs(noisy_b, prev_b, z_prev_b, torch.tensor([0.45, 0.8])),
    )


def card_names(losses: dict) -> dict[str, float]:
    short = {"real": "real", "fake": "fake", "penalty": "gp", "adversarial": "adv"}
    short |= {"reconstruction": "rec", "cycle": "cyc"}
    renamed = {}
    for name, value in losses.items():
        side, term = name.split("/")
        kind, domain = term.rsplit("_", 1)
        renamed[f"{side}_{short[kind]}_{domain}"] = value.item()
    return renamed


def gradient_norm(network: nn.Module) -> float:
    total = 0.0
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.GroupNorm):
            total += module.weight.grad.double().square().sum().item()
        if isinstance(module, nn.GroupNorm):
            total += module.bias.grad.double().square().sum().item()
    return math.sqrt(total)


@pytest.mark.parametrize("case", CARD["step"], ids=lambda case: f"{case['nfc']}-{case['size']}")
@pytest.mark.parametrize("sharing", ["sharing", "alone"], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_step(case, dtype, sharing):
    """In float32 the first step, in float64 all: after a step two right programs part by what rounding is, which is
    another thing on every processor (docs/method.md, section 13)."""
    width, side = case["nfc"], case["size"]
    architecture = Architecture(nfc=width, min_nfc=width, switch_res=2)
    networks = ScaleNetworks(architecture, scale=0, stop_scale=2 if case["residual"] else 1)
    assert networks.generators[0].residual is case["residual"]
    named = dict(zip(("G_a", "G_b", "D_a", "D_b"), (*networks.generators, *networks.discriminators), strict=True))
    for base, network in zip((100, 200, 300, 400), named.values(), strict=True):
        fill_network(network, base)
    networks.to(dtype)
    state = ScaleState(0, networks, OptimiserSettings())
    weights = LossWeights(alpha=1, beta=10, lambda_g=1, lambda_grad=0.1)
    reals = fill((1, 3, side, side), 1).to(dtype), fill((1, 3, side, side), 2).to(dtype)

    for step, expected in enumerate(case["steps"], start=1):
        inputs = tuple(
            DomainInputs(own.noisy.to(dtype), own.prev.to(dtype), own.z_prev.to(dtype), own.mix.to(dtype))
            for own in step_inputs(step, side)
        )
        losses, pictures = training_step(state, inputs, reals, weights)
        found = card_names(losses)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            tolerance = (1e-4 if step == 1 else 1e-2) * abs(value)
            if name.startswith("G_adv"):
                tolerance += 4e-4  # the rounding noise Adam makes of zero gradients, docs/method.md, section 13
            assert found[name] == pytest.approx(value, abs=tolerance), (step, name)
        if step == 1:
            for short, norm in case["grad_l2_first_step"].items():
                assert gradient_norm(named[short]) == pytest.approx(norm, rel=1e-4), short
        if dtype == torch.float32:
            return

    for short, expected in case["weights_after"].items():
        squares = sum(p.double().square().sum() for p in named[short].parameters())
        assert squares.sqrt().item() == pytest.approx(expected["l2"], rel=1e-3), short
    for name, expected in case["images"].items():
        assert pictures[name].abs().sum().item() == pytest.approx(expected["abs"], rel=1e-3), name


def card_pyramid() -> Pyramid:
    card = CARD["draw"]
    geometry = Geometry(card["img_size"], card["min_size"])
    assert [height for height, _ in geometry.shapes] == card["sizes"]
    architecture = Architecture(nfc=card["nfc"], min_nfc=card["nfc"])
    pyramid = Pyramid(geometry.shapes, geometry.factor)
    for scale, sigma in enumerate(card["amps"]):
        generator = ScaleNetworks(architecture, scale, geometry.stop_scale).generators[0]
        pyramid.append(fill_network(generator, 100 * (scale + 1)), sigma)
    assert [g.residual for g in pyramid.generators] == [True, True, True, False]
    return pyramid


@pytest.mark.parametrize("kind", ["rand", "rec"])
def test_draw(kind):
    pyramid, expected = card_pyramid(), CARD["draw"][kind]
    shapes = [(1, 3, *shape) for shape in pyramid.shapes]
    if kind == "rand":
        image = pyramid.draw(torch.zeros(shapes[0]), 0, 4, lambda scale: fill(shapes[scale], 50 + scale))
    else:
        image = pyramid.draw(fill(shapes[0], 70), 0, 4)
    assert image.sum().item() == pytest.approx(expected["sum"], rel=1e-4)
    assert image.abs().sum().item() == pytest.approx(expected["abs"], rel=1e-4)
    assert image[0, :, 0, 0].tolist() == pytest.approx(expected["pixel_0_0"], abs=1e-3)
    assert image[0, :, 20, 20].tolist() == pytest.approx(expected["pixel_20_20"], abs=1e-3)
