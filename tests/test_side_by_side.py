"""The step of two threads (training/side_by_side.py) against the plain one (training/step.py), in double precision."""

import copy

import pytest
import torch
from memory import peak_of
from tiny_steps import SQUARE, WIDE_AND_TALL, inputs_for, pair_steps, real_pictures

from models.blocks import initialise
from models.networks import Architecture, ScaleNetworks
from training.losses import LossWeights
from training.optimisers import Optimisers, OptimiserSettings
from training.side_by_side import DomainThreads, one_by_one, side_by_side_step
from training.step import training_step
from utils.rng import stream

CASES = {
    "published": (SQUARE, LossWeights()),
    "all weights, all shapes": (WIDE_AND_TALL, LossWeights(2.0, 10.0, 3.0, 0.5, 0.7, 0.6)),
    "no reconstruction": (WIDE_AND_TALL, LossWeights(alpha=0)),
    "no cycle": (SQUARE, LossWeights(beta=0, lambda_self=0.7)),
    "neither": (SQUARE, LossWeights(alpha=0, beta=0, lambda_layout=0.6)),
}


def networks(scale: int) -> ScaleNetworks:
    nets = ScaleNetworks(Architecture(nfc=4, min_nfc=4), scale, 4)
    initialise(nets, stream(0, "test"))
    return nets.double()


def in_order(*order: int):
    """Does all stages of one domain, then all of the other; stands for `DomainThreads`."""

    def both(*stages):
        found = {domain: [stage(domain) for stage in stages][-1] for domain in order}
        return found[0], found[1]

    return both


def three_steps(nets: ScaleNetworks, take_step, shapes, weights: LossWeights, *more) -> dict[str, torch.Tensor]:
    """Everything three steps compute: losses, images, gradients, weights, by name; and how many calls they make."""
    optimisers, found = Optimisers(nets, OptimiserSettings(lr_g=0.01, lr_d=0.01)), {}
    calls = {name: [] for name, _ in nets.named_children()}
    for name, network in nets.named_children():
        network.register_forward_hook(lambda _, args, __, name=name: calls[name].append(len(args[0])))
    for step in range(3):
        inputs = inputs_for(weights, shapes, seed=100 * step, dtype=torch.float64)
        reals = real_pictures(shapes, dtype=torch.float64)
        losses, images = take_step(nets, optimisers, inputs, reals, weights, *more)
        gradients = {f"{name}.grad": parameter.grad.clone() for name, parameter in nets.named_parameters()}
        assert all(parameter.requires_grad for parameter in nets.parameters())
        state = {name: value.clone() for name, value in nets.state_dict().items()}
        found |= {f"{step} {name}": value for name, value in (losses | images | gradients | state).items()}
    return found | {name: torch.tensor(sorted(batches)) for name, batches in calls.items()}


@pytest.mark.usefixtures("sharing")
@pytest.mark.parametrize("scale", [0, 4], ids=["residual", "plain"])
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_the_plain_step_does_in_as_many_calls(case, scale):
    start = networks(scale)
    shapes, weights = CASES[case]
    wanted = three_steps(copy.deepcopy(start), training_step, shapes, weights)
    with DomainThreads() as both:
        found = three_steps(copy.deepcopy(start), side_by_side_step, shapes, weights, both)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        # After an update 1e-7: Adam makes something of rounding where a gradient is zero (docs/method.md, section 13).
        exact = name.startswith("0 ") and name.endswith(".grad")
        # The layout term alone is computed in single precision.
        tolerance = 1e-5 if weights.lambda_layout else 1e-9 if exact else 1e-7
        assert torch.allclose(found[name], value, rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("case", CASES)
def test_no_number_depends_on_which_domains_thread_is_first(case):
    one, other = (three_steps(networks(4), side_by_side_step, *CASES[case], in_order(*o)) for o in ((0, 1), (1, 0)))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_threads_are_given_back_and_an_error_in_either_is_raised(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        for culprit in (0, 1):
            with pytest.raises(ZeroDivisionError), DomainThreads() as both:
                assert torch.get_num_threads() == 2
                both(lambda domain, culprit=culprit: 1 / (domain != culprit))
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


FORMS = [(1, False, "p"), (2, False, "s"), (2, True, "s"), (1, True, "s")]


@pytest.mark.parametrize(("threads", "recompute", "wanted"), FORMS)
def test_it_is_taken_on_a_cpu_of_several_threads_and_where_memory_is_short(monkeypatch, threads, recompute, wanted):
    taken = []
    for letter, name, real in (("p", "training_step", training_step), ("s", "side_by_side_step", side_by_side_step)):
        monkeypatch.setattr(
            f"training.pair.{name}", lambda *args, letter=letter, real=real: taken.append(letter) or real(*args)
        )
    monkeypatch.setattr("training.pair.torch.get_num_threads", lambda: threads)
    pair_steps(torch.device("cpu"), recompute=recompute)
    assert taken == [wanted]


def save_memory_step(nets: ScaleNetworks, recompute: bool, side: int = 16) -> list[torch.Tensor]:
    """Everything a step with `--save_memory` computes, or the same with its graphs kept."""
    weights, shapes = LossWeights(), ((side, side), (side, side))
    optimisers = Optimisers(nets, OptimiserSettings())
    inputs, reals = inputs_for(weights, shapes), real_pictures(shapes)
    losses, images = side_by_side_step(nets, optimisers, inputs, reals, weights, one_by_one, recompute)
    return [*losses.values(), *images.values(), *nets.parameters(), *(p.grad for p in nets.parameters())]


def test_save_memory_changes_no_bit():
    start = networks(0).float()
    kept, again = (save_memory_step(copy.deepcopy(start), recompute) for recompute in (False, True))
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))


def test_save_memory_takes_less():
    nets, taken = ScaleNetworks(Architecture(nfc=16, min_nfc=16), 0, 4), []
    for recompute in (False, True):
        save_memory_step(nets, recompute, 128)  # whatever is set up once
        taken.append(peak_of(lambda recompute=recompute: save_memory_step(nets, recompute, 128)))
    assert taken[1] < 0.8 * taken[0]
