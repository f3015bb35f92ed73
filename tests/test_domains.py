"""The two domains side by side on threads, and with little memory: the same step as one by one."""

import copy

import pytest
import torch
from memory import peak_of
from tiny_steps import SQUARE, WIDE_AND_TALL, inputs_for, networks, pair_steps, real_pictures

from models.networks import Architecture, ScaleNetworks
from training.domains import one_by_one, side_by_side
from training.state import OptimiserSettings, ScaleState
from training.step import LossWeights, training_step

CPU = torch.device("cpu")
CASES = {
    "published": (SQUARE, LossWeights()),
    "all weights, all shapes": (WIDE_AND_TALL, LossWeights(2.0, 10.0, 3.0, 0.5, 0.7, 0.6)),
}


def b_first(function):
    """`one_by_one` the other way round."""
    return (function(1), function(0))[::-1]


def three_steps(nets: ScaleNetworks, shapes, weights: LossWeights, both, recompute: bool = False) -> list[torch.Tensor]:
    """Everything three steps compute: losses, images, gradients, weights."""
    nets, found = copy.deepcopy(nets), []
    state = ScaleState(0, nets, OptimiserSettings(lr_g=0.01, lr_d=0.01))
    for step in range(3):
        inputs, reals = inputs_for(weights, shapes, seed=100 * step), real_pictures(shapes)
        losses, images = training_step(state, inputs, reals, weights, both, recompute)
        assert all(parameter.requires_grad for parameter in nets.parameters())
        found += [*losses.values(), *images.values()]
        found += [each.clone() for parameter in nets.parameters() for each in (parameter.detach(), parameter.grad)]
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", ["the other way round", "on threads", "recomputed", "recomputed on threads"])
def test_no_bit_depends_on_the_order_the_threads_or_what_is_kept(case, way):
    start = networks()
    torch.set_num_threads(2)
    with side_by_side() as threads:  # one each, here as there
        both = b_first if way == "the other way round" else threads if "threads" in way else one_by_one
        found = three_steps(start, *CASES[case], both, "recomputed" in way)
        wanted = three_steps(start, *CASES[case], one_by_one)
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_the_threads_are_given_back_and_an_error_in_either_is_raised():
    torch.set_num_threads(4)
    for culprit in (0, 1):
        with pytest.raises(ZeroDivisionError), side_by_side() as both:
            assert torch.get_num_threads() == 2
            both(lambda domain, culprit=culprit: 1 / (domain != culprit))
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("threads", "save_memory", "small", "apart"), [(1, 0, 1, 0), (2, 0, 0, 1), (2, 1, 1, 1), (2, 1, 0, 0)]
)
def test_threads_are_used_where_there_are_several_and_memory_enough(monkeypatch, threads, save_memory, small, apart):
    used = []
    if not small:
        monkeypatch.setattr("training.pair.MOST_FOR_ONE_THREAD", 3)
    monkeypatch.setattr("training.pair.training_step", lambda *args: used.append(args[4:]) or training_step(*args))
    torch.set_num_threads(threads)
    pair_steps(CPU, recompute=bool(save_memory))
    ((both, recompute),) = used
    assert (both is not one_by_one) is bool(apart) and recompute is bool(save_memory)


def test_save_memory_takes_less():
    def step(recompute: bool) -> None:
        shapes, weights = ((96, 96), (96, 96)), LossWeights()
        own = ScaleState(0, nets, OptimiserSettings()), inputs_for(weights, shapes), real_pictures(shapes)
        training_step(*own, weights, one_by_one, recompute)

    nets, taken = networks(architecture=Architecture(nfc=16, min_nfc=16)), []
    for recompute in (False, True):
        step(recompute)  # whatever is set up once
        taken.append(peak_of(lambda recompute=recompute: step(recompute)))
    assert taken[1] < 0.8 * taken[0]
