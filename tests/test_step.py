"""The step, docs/method.md, section 6 and 12: its losses and gradients against one graph, call by call."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny_steps import SQUARE, WIDE_AND_TALL, inputs_for, networks, random, real_pictures
from torchvision.transforms import functional as TF

import training.step
from models.networks import ScaleNetworks
from training.state import OptimiserSettings, ScaleState
from training.step import LossWeights, gradient_penalty, training_step
from utils.measures import contrast_agreement


def test_penalty_between_pictures_of_different_shapes_is_in_the_middle_both_have():
    def discriminator(points: torch.Tensor) -> torch.Tensor:
        return points.square().sum(dim=1, keepdim=True) / 2  # its gradient is the point itself

    real, wide = random(1, 3, 7, 4), random(2, 3, 5, 8, seed=1)
    found = gradient_penalty(discriminator, real, wide, torch.tensor([0.25, 0.5]))
    points = [share * real[..., 1:6, :] + (1 - share) * wide[i : i + 1, ..., 2:6] for i, share in ((0, 0.25), (1, 0.5))]
    expected = [(point.norm(dim=1) - 1).square().mean().item() for point in points]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def generators_loss(nets: ScaleNetworks, both_inputs, reals, weights: LossWeights) -> torch.Tensor:
    """L_G of docs/method.md, section 6 and 12, call by call in one graph."""
    (g_a, g_b), (d_a, d_b), (a, b) = nets.generators, nets.discriminators, both_inputs
    fake_a, fake_b = g_a(a.noisy, a.prev), g_b(b.noisy, b.prev)
    rec_a, rec_b = g_a(a.z_prev, a.z_prev), g_b(b.z_prev, b.z_prev)
    b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
    cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)
    loss_a, loss_b = -d_a(b2a).mean() - d_a(fake_a).mean(), -d_b(a2b).mean() - d_b(fake_b).mean()
    if weights.lambda_self:
        self_a, self_b = self_translations(nets, both_inputs, reals)
        loss_a = loss_a - weights.lambda_self * d_a(self_a).mean()
        loss_b = loss_b - weights.lambda_self * d_b(self_b).mean()
    moved = sum(1 - contrast_agreement(new, old.detach()) for new, old in ((a2b, fake_a), (b2a, fake_b)))
    loss = loss_a + weights.lambda_g * loss_b + weights.lambda_layout * moved
    loss = loss + weights.alpha * (F.mse_loss(rec_a, reals[0]) + F.mse_loss(rec_b, reals[1]))
    return loss + weights.beta * (F.mse_loss(cyc_a, fake_a) + F.mse_loss(cyc_b, fake_b))


def self_translations(nets: ScaleNetworks, both_inputs, reals) -> tuple[torch.Tensor, torch.Tensor]:
    """The other domain's noisy real image, translated (docs/method.md, section 12); the noise is amplified already."""
    noisy = both_inputs[0].self_noise + reals[1], both_inputs[1].self_noise + reals[0]
    return nets.generators[0](noisy[0], noisy[0]), nets.generators[1](noisy[1], noisy[1])


def discriminator_loss(discriminator, real, fakes, fake_weights, mix) -> torch.Tensor:
    """L_D of docs/method.md, section 6 and 12, call by call; the penalty is in the middle that both shapes have."""
    loss = -sum(fake_weights) * discriminator(real).mean()
    for fake, weight, e in zip(fakes, fake_weights, mix, strict=True):
        size = [min(real.shape[axis], fake.shape[axis]) for axis in (2, 3)]
        point = (e * TF.center_crop(real, size) + (1 - e) * TF.center_crop(fake, size)).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
        penalty = (gradient.square().sum(dim=1).sqrt() - 1).square().mean()
        loss = loss + weight * (discriminator(fake).mean() + 0.1 * penalty)
    return loss


@pytest.mark.usefixtures("sharing")
@pytest.mark.parametrize(
    ("scale", "shapes", "weights"),
    [
        (0, SQUARE, LossWeights(beta=10)),
        (4, SQUARE, LossWeights(alpha=0, beta=0, lambda_self=2)),
        (0, WIDE_AND_TALL, LossWeights(alpha=0, lambda_g=3)),
        (4, WIDE_AND_TALL, LossWeights(alpha=2, beta=0, lambda_g=3, lambda_self=0.7, lambda_layout=0.7)),
    ],
    ids=["residual", "plain, self alone", "residual, no rec", "plain, no cycle, all shapes"],
)
def test_gradients_are_those_of_both_losses_the_generators_judged_by_the_updated_discriminators(scale, shapes, weights):
    nets = networks(scale)
    before, reals, inputs = copy.deepcopy(nets), real_pictures(shapes), inputs_for(weights, shapes)
    losses, images = training_step(ScaleState(0, nets, OptimiserSettings(lr_d=0.05)), inputs, reals, weights)
    # A translation has the shape of what it is made from.
    assert [image.shape[2:] for image in images.values()] == [shapes[0], shapes[1], shapes[1], shapes[0]]

    fakes = [[images["b2a"], images["fake_a"]], [images["a2b"], images["fake_b"]]]
    if weights.lambda_self:
        for own, third in zip(fakes, self_translations(before, inputs, reals), strict=True):
            own.append(third.detach())
    fake_weights = [1, 1, weights.lambda_self][: len(fakes[0])]
    for x, name in enumerate("ab"):
        loss = discriminator_loss(before.discriminators[x], reals[x], fakes[x], fake_weights, inputs[x].mix)
        loss.backward()
        terms = sum(losses[f"D/{term}_{name}"].item() for term in ("real", "fake", "penalty"))
        assert terms == pytest.approx(loss.item(), rel=1e-4)
        for found, wanted in zip(
            nets.discriminators[x].parameters(), before.discriminators[x].parameters(), strict=True
        ):
            assert torch.allclose(found.grad, wanted.grad, rtol=1e-3, atol=1e-5)

    reference = copy.deepcopy(before)
    for own, updated in zip(reference.discriminators, nets.discriminators, strict=True):
        own.load_state_dict(updated.state_dict())
    loss = generators_loss(reference, inputs, reals, weights)
    # The rate is high enough that the discriminators before their update would have given something else.
    assert generators_loss(before, inputs, reals, weights).item() != pytest.approx(loss.item(), rel=1e-2)
    assert sum(term.item() for name, term in losses.items() if name[0] == "G") == pytest.approx(loss.item(), rel=1e-4)
    loss.backward()
    for domain in (0, 1):
        wanted = dict(reference.generators[domain].named_parameters())
        for name, found in nets.generators[domain].named_parameters():
            if name.endswith("weight"):  # biases before a normalisation have none
                error = (found.grad - wanted[name].grad).norm()
                assert error <= 1e-3 * wanted[name].grad.norm() + 1e-5, name


def test_weight_zero_leaves_a_term_out_and_large_pictures_have_a_call_each(monkeypatch):
    nets, calls = networks(), {"generators": [], "discriminators": []}
    for name, own in calls.items():
        getattr(nets, name)[0].register_forward_hook(lambda _, args, __, own=own: own.append(len(args[0])))

    def step(weights: LossWeights) -> list[str]:
        for found in calls.values():
            found.clear()
        state = ScaleState(0, nets, OptimiserSettings())
        losses, _ = training_step(state, inputs_for(weights), real_pictures(), weights)
        return [name for name in losses if name.startswith("G/")]

    assert step(LossWeights(alpha=0, beta=0)) == ["G/adversarial_a", "G/adversarial_b"]
    # No cost either: the sample, the translation; the discriminator on all three, at the penalties' points, as judge.
    assert calls == {"generators": [1, 1], "discriminators": [3, 2, 1, 1]}
    step(LossWeights(lambda_self=1))
    assert calls == {"generators": [1] * 5, "discriminators": [4, 3, 1, 1, 1]}
    monkeypatch.setitem(training.step.MOST_PIXELS_SHARED, "cpu", 14 * 14 - 1)
    step(LossWeights())
    assert calls == {"generators": [1] * 4, "discriminators": [1] * 7}
