"""`--save_memory` and `--precision`: what they change, and that it is no more than they say."""

import copy

import pytest
import torch
from conftest import TINY, complaint
from interrupted import StopAfter
from memory import peak_of
from torch import nn

from models.architecture import Architecture, ScaleNetworks
from models.blocks import initialise
from training.losses import LossWeights, scores
from training.optimisers import Optimisers, OptimiserSettings
from training.side_by_side import one_by_one, side_by_side_step
from training.step import DomainInputs, autocast
from utils.device import run_record, use_precision
from utils.errors import UserError
from utils.rng import stream

CPU = torch.device("cpu")


def networks(width: int = 16) -> ScaleNetworks:
    nets = ScaleNetworks(Architecture(nfc=width, min_nfc=width), 0, 4)
    initialise(nets, stream(0, "test"))
    return nets


def step(nets: ScaleNetworks, side: int = 16, recompute: bool = False, bf16: bool = False, lr_d: float = 0.0001):
    """A step from the same numbers every time; its losses and pictures."""
    generator = torch.Generator().manual_seed(1)
    pictures = 2 * torch.rand(8, 1, 3, side, side, generator=generator) - 1
    inputs = tuple(DomainInputs(*pictures[i : i + 3], torch.tensor([0.3, 0.6])) for i in (0, 3))
    optimisers = Optimisers(nets, OptimiserSettings(lr_d=lr_d))
    with autocast(CPU, bf16):
        reals = pictures[6], pictures[7]
        return side_by_side_step(nets, optimisers, inputs, reals, LossWeights(), one_by_one, recompute)


def test_save_memory_changes_no_bit():
    start, found = networks(), []
    for recompute in (False, True):
        nets = copy.deepcopy(start)
        losses, images = step(nets, recompute=recompute)
        found.append([*losses.values(), *images.values(), *nets.parameters(), *(p.grad for p in nets.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_save_memory_takes_less():
    # Pictures that have a call each; the domains one after the other as on a GPU.
    taken = []
    for recompute in (False, True):
        nets = networks()
        step(nets, side=128)  # whatever is set up once
        taken.append(peak_of(lambda nets=nets, recompute=recompute: step(nets, side=128, recompute=recompute)))
    assert taken[1] < 0.8 * taken[0]


def test_bf16_is_of_the_convolutions_before_the_last_alone():
    nets, seen = networks(), {}
    for name, module in nets.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out.dtype))
    losses, pictures = step(nets, bf16=True)
    assert {dtype for name, dtype in seen.items() if name.endswith("tail")} == {torch.float32}
    assert {dtype for name, dtype in seen.items() if not name.endswith("tail")} == {torch.bfloat16}
    results = [*losses.values(), *pictures.values(), *nets.parameters()]
    assert {result.dtype for result in results} == {torch.float32}


def test_bf16_comes_near_float32():
    start = networks()
    (losses, images), (exact, exact_images) = (step(copy.deepcopy(start), bf16=bf16) for bf16 in (True, False))
    for name, image in exact_images.items():
        assert 0 < (images[name] - image).norm() < 0.01 * image.norm(), name
    # Not what the updated discriminators say: Adam's first update is the gradients' signs, where rounding counts.
    for name in [name for name in exact if not name.startswith("G/adversarial")]:
        assert losses[name].item() == pytest.approx(exact[name].item(), rel=0.02, abs=0.005), name


@torch.no_grad()
def test_bf16_judges_with_the_updated_discriminators():
    nets = networks()
    before = copy.deepcopy(nets)
    with torch.enable_grad():
        losses, images = step(nets, bf16=True, lr_d=0.02)
    for index, (x, names) in enumerate({"a": ("b2a", "fake_a"), "b": ("a2b", "fake_b")}.items()):
        fakes = torch.cat([images[name] for name in names])
        updated, old = (-scores(net.discriminators[index], fakes).sum() for net in (nets, before))
        found = losses[f"G/adversarial_{x}"]
        assert abs(found - updated) < abs(old - updated) / 20


def test_both_reach_the_steps_and_are_remembered(cli, monkeypatch, pair, tmp_path):
    seen = []

    def spy(*arguments):
        seen.append((torch.is_autocast_enabled("cpu"), arguments[-1]))
        return side_by_side_step(*arguments)

    monkeypatch.setattr("training.pair.side_by_side_step", spy)
    monkeypatch.setattr("train.StopRequest", lambda: StopAfter(2))
    words = ["--input_a", pair[0], "--input_b", pair[1], *TINY, "--niter", 3, "--precision", "bf16", "--save_memory"]
    assert cli("train.py", *words, "--out", tmp_path / "run").code == 130
    assert cli("train.py", "--load", tmp_path / "run", "--gpu_id", -1).code == 130
    assert seen == [(True, True)] * 4


def test_tf32_where_there_is_none_is_one_line(cli, pair, tmp_path):
    words = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "run", *TINY]
    assert "--precision tf32: has no effect on CPU" in complaint(cli("train.py", *words, "--precision", "tf32"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("precision", "capability", "used"),
    [
        (None, (9, 0), "tf32"),  # as PyTorch has it
        (None, (7, 5), "fp32"),
        ("tf32", (8, 0), "tf32"),
        ("fp32", (9, 0), "fp32"),
        ("bf16", (9, 0), "bf16"),
    ],
)
def test_convolutions_compute_in_what_was_asked_for_and_the_record_says_it(monkeypatch, precision, capability, used):
    # As on a GPU: nothing is computed.
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr("utils.device.device_name", lambda _: "a GPU")
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's default; a run before may have changed it
    try:
        use_precision(precision, gpu)
        assert flags[1].allow_tf32 is (precision in (None, "tf32"))
        assert flags[0].allow_tf32 == before[0]  # the resampler's products stay as they are
        assert run_record({"precision": precision}, gpu)["precision"] == used
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value
    assert run_record({}, CPU)["precision"] == "fp32"


def test_tf32_is_of_newer_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr("utils.device.device_name", lambda _: "an old GPU")
    with pytest.raises(UserError, match="--precision tf32: has no effect on an old GPU"):
        use_precision("tf32", torch.device("cuda"))
