"""Statements of docs/method.md, section 3 to 5, 8 and 12 that could be got wrong, each against a hand-computed case."""

import math
from dataclasses import astuple

import pytest
import torch
import torch.nn.functional as F
from tiny_steps import SMALL, networks, random, run_of
from torch import nn

from models.inference import default_injection_scale, inject
from models.networks import Architecture, ScaleNetworks
from models.pyramid import Pyramid, gaussian_noise
from training.frames import still
from training.pair import PairRecipe, StepDraws
from training.state import OptimiserSettings, ScaleState
from training.step import LossWeights
from utils.geometry import Geometry
from utils.resize import upsample
from utils.rng import stream

CPU, GEOMETRY = torch.device("cpu"), Geometry(img_size=20, min_size=12)


def trained_scales(scales: int = len(GEOMETRY.shapes)) -> tuple[Pyramid, Pyramid]:
    return run_of(GEOMETRY, SMALL, scales, CPU).pyramids


# Section 3: networks.


def test_last_two_scales_are_plain():
    with torch.device("meta"):
        kinds = [ScaleNetworks(Architecture(), scale, 10).generators[0].residual for scale in range(11)]
    assert kinds == [True] * 9 + [False] * 2
    image, base = random(1, 3, 12, 12), random(1, 3, 12, 12, seed=1)
    for nets, expected in ((networks(0, 4), True), (networks(4, 4), False)):
        difference = nets.generators[0](image, base) - nets.generators[0](image, torch.zeros_like(base))
        assert torch.allclose(difference, base if expected else torch.zeros_like(base), atol=1e-6)


def test_widths_of_the_layers():
    architecture = Architecture(nfc=32, min_nfc=8)
    convs = [m for m in ScaleNetworks(architecture, 4, 10).generators[0].modules() if isinstance(m, nn.Conv2d)]
    # At scale 4 both are doubled: head 64, body max(64 / 2**i, 16), tail 3.
    assert [(c.in_channels, c.out_channels) for c in convs] == [(3, 64), (64, 32), (32, 16), (16, 16), (16, 3)]
    assert Architecture(nfc=64, min_nfc=64).widths(8) == (128, 128)
    assert Architecture(max_nfc=48).widths(8) == (48, 48)


@pytest.mark.parametrize("name", ["generators", "discriminators"])
def test_result_does_not_depend_on_the_rest_of_the_batch(name):
    network = getattr(networks(), name)[0]
    batch = torch.cat([random(1, 3, 14, 14, seed=i) * (i + 1) for i in range(3)])
    call = (lambda x: network(x, x)) if name == "generators" else network
    assert torch.allclose(call(batch)[1:2], call(batch[1:2]), atol=1e-5)


def test_initialisation():
    nets = networks(architecture=Architecture(nfc=64, min_nfc=64)).requires_grad_(False)
    conv, norm = nets.generators[0].net[3], nets.generators[0].net[4]
    assert conv.weight.mean().abs() < 1e-3 and conv.weight.std() == pytest.approx(0.02, rel=0.02)
    assert norm.weight.mean() == pytest.approx(1, abs=0.01) and norm.weight.std() == pytest.approx(0.02, rel=0.3)
    assert not norm.bias.any()
    bound = 1 / math.sqrt(64 * 9)
    assert 0.9 * bound < conv.bias.abs().max() <= bound
    assert not torch.equal(nets.generators[0].net[-1].weight, nets.generators[1].net[-1].weight)


def test_warm_start_where_the_widths_agree_also_from_residual_to_plain():
    def start(scale: int, architecture: Architecture) -> ScaleNetworks:
        return ScaleState.new(run_of(Geometry(), architecture, scale, CPU), OptimiserSettings(), seed=0).networks

    for scale, copied in ((3, True), (4, False), (9, True)):
        networks_now, old = start(scale, Architecture()), networks(scale - 1, 10, Architecture()).state_dict()
        same = all(v.shape == old[k].shape and torch.equal(v, old[k]) for k, v in networks_now.state_dict().items())
        assert same is copied
    assert not networks_now.generators[0].residual
    # Equal nfc alone is not enough: min_nfc must agree, too.
    narrow = Architecture(nfc=128, min_nfc=32)
    assert narrow.widths(3)[0] == narrow.widths(4)[0]
    assert start(4, narrow).generators[0].net[-1].weight.shape[1] == 64


# Section 4: the draw.


def test_upsample_clamps_before_and_after_and_mirrors():
    flat = torch.full((1, 3, 6, 6), 7.0)
    assert torch.equal(upsample(flat, 0.75, (8, 8)), torch.ones(1, 3, 8, 8))
    edge = torch.ones(1, 3, 6, 6)
    edge[..., 3:] = -1
    enlarged = upsample(edge, 0.5, (12, 12))
    assert enlarged.abs().max() <= 1  # bicubic overshoots without the second clamp
    image = random(1, 3, 9, 9)
    for axis in (2, 3):
        mirrored = upsample(image.flip(axis), 0.75, (12, 12))
        assert torch.allclose(upsample(image, 0.75, (12, 12)).flip(axis), mirrored, atol=1e-5)
    longer = torch.cat([image.flip(2), image, image.flip(2)], dim=2)  # the edge pixel repeated
    assert torch.allclose(upsample(longer, 0.75, (36, 12))[:, :, 12:24], upsample(image, 0.75, (12, 12)), atol=1e-5)


# Section 5: noise amplitudes.


def test_sigma_is_measured_with_the_first_steps_own_reconstruction_draw_per_domain():
    run = run_of(GEOMETRY, SMALL, 1, CPU)
    reals = random(1, 3, *GEOMETRY.shapes[1], seed=5), random(1, 3, *GEOMETRY.shapes[1], seed=6)
    sources = tuple(still([None, real]) for real in reals)
    fixed = dict(coarsest_sigmas=(1.0, 1.0), real_start=0.0, recompute=False, seed=3, optimiser=OptimiserSettings())
    for fixed_rec in (False, True):
        recipe = PairRecipe(reals=sources, weights=LossWeights(), noise_amps=(0.1, 0.3), fixed_rec=fixed_rec, **fixed)
        state = ScaleState(1, networks(1), OptimiserSettings())
        draws = StepDraws(run.pyramids, 1, seed=3, device=CPU, fixed_rec=fixed_rec)
        with recipe.steps(run, state, int):
            pass
        for x, amp in enumerate((0.1, 0.3)):
            error = F.mse_loss(draws(x, 0, reals[x]).z_prev, reals[x]).sqrt().item()
            assert state.sigmas[x] == pytest.approx(amp * error, rel=1e-5)


def test_reconstructions_start_from_one_noise_if_wanted():
    pyramids = trained_scales()
    draws = [StepDraws(pyramids, 2, seed, CPU, fixed_rec=True) for seed in (3, 4)]
    for x, pyramid in enumerate(pyramids):
        expected = pyramid.draw(gaussian_noise(GEOMETRY.shapes, [stream(0, "reconstruction", x)], CPU)(0), 0, 2)
        found = [draw(x, step, None) for draw in draws for step in (0, 1, 20)]
        assert all(torch.equal(inputs.z_prev, expected) for inputs in found)
        assert len({inputs.prev.sum().item() for inputs in found}) == len(found)


def test_scale_0_trains_on_noise_of_amplitude_1_and_nothing_else():
    empty = Pyramid(Geometry().shapes, Geometry().factor), Pyramid(Geometry().shapes, Geometry().factor)
    first = [StepDraws(empty, 0, seed=1, device=CPU)(x, 0, None) for x in (0, 1)]
    for domain in first:
        assert not domain.prev.any()
        for picture in (domain.noisy, domain.z_prev):
            assert picture.shape == (1, 3, 18, 18) and 0.9 < picture.std() < 1.1
        assert not torch.equal(domain.noisy, domain.z_prev)
    assert not torch.equal(first[0].noisy, first[1].noisy)


def test_inputs_of_a_step_do_not_depend_on_the_steps_taken_before():
    pyramids = trained_scales()
    ordered, direct = (StepDraws(pyramids, 2, seed=3, device=CPU, self_term=True) for _ in range(2))
    sequence = [ordered(1, step, None) for step in range(40)]
    for found, expected in zip(astuple(direct(1, 37, None)), astuple(sequence[37]), strict=True):
        assert torch.equal(found, expected)
    assert not torch.equal(sequence[0].prev, sequence[1].prev)
    assert min(each.mix.min() for each in sequence) >= 0 and max(each.mix.max() for each in sequence) <= 1


@pytest.mark.parametrize("scale", [0, 2])
def test_a_share_of_the_steps_starts_from_the_real_images(scale):
    pyramids = trained_scales(scale)
    reals = [random(1, 3, *GEOMETRY.shapes[scale], seed=seed) for seed in (5, 6)]
    mixed, drawn = (
        StepDraws(pyramids, scale, seed=3, device=CPU, real_start=share, sigmas=(0.1, 0.2)) for share in (0.3, 0)
    )
    started, drawn_sigmas = 0, (0.1, 0.2) if scale else (1.0, 1.0)
    for step in range(100):
        real = torch.equal(mixed(0, step, reals[0]).prev, reals[0])
        started += real
        for domain in (0, 1):
            one, other = mixed(domain, step, reals[domain]), drawn(domain, step, reals[domain])
            noise = (other.noisy - other.prev) / drawn_sigmas[domain]
            prev, sigma = (reals[domain], (0.1, 0.2)[domain]) if real else (other.prev, drawn_sigmas[domain])
            assert torch.equal(one.prev, prev)
            assert torch.allclose(one.noisy, prev + sigma * noise, atol=1e-6)
            assert torch.equal(one.z_prev, other.z_prev) and torch.equal(one.mix, other.mix)
    assert 15 <= started <= 45


# Section 12: the self term's noise.


@pytest.mark.parametrize("scale", [0, 1])
def test_noise_of_the_self_term_has_the_other_pictures_shape_and_the_own_sigma(scale):
    # A is wide, B is tall.
    geometry = Geometry(img_size=40, min_size=31, keep_aspect=True, aspect_a=1.5, aspect_b=0.5)
    pyramids = tuple(Pyramid(own, geometry.factor) for own in geometry.domain_shapes)
    for pyramid, generator in zip(pyramids, networks(0, geometry.stop_scale).generators, strict=True):
        for _ in range(scale):
            pyramid.append(generator, 0.1)
    draws = StepDraws(pyramids, scale, seed=3, device=CPU, self_term=True, sigmas=(1.0, 0.25))
    a, b = draws(0, 0, None), draws(1, 0, None)
    wide, tall = [((26, 38), (44, 22)), ((29, 44), (50, 25))][scale]
    assert [each.shape[2:] for each in (a.noisy, b.noisy, a.self_noise, b.self_noise)] == [wide, tall, tall, wide]
    for domain, sigma in zip((a, b), draws.sigmas, strict=True):
        assert domain.mix.shape == (3,)
        assert domain.self_noise.std().item() == pytest.approx(sigma, rel=0.1)
        # The samples' noise is 1 while scale 0 trains, and sigma from then on.
        assert (domain.noisy - domain.prev).std().item() == pytest.approx(sigma if scale else 1, rel=0.1)


# Section 8: real images.


def test_injection_starts_from_the_real_image_and_translates_once_with_the_finest_generator():
    pyramids = trained_scales()
    real = [random(1, 3, *shape, seed=1) for shape in GEOMETRY.shapes]
    for pyramid in pyramids:
        pyramid.sigmas = [0.0] * len(pyramid.sigmas)
    finest = GEOMETRY.stop_scale
    redrawn, a2b = inject(pyramids, "a2b", real[finest], finest, seed=0).values()
    # Without noise the finest injection is one pass over the real image, on input and base.
    assert torch.equal(redrawn, pyramids[0].generators[-1](real[-1], real[-1]))
    assert torch.equal(a2b, pyramids[1].generators[-1](redrawn, redrawn))
    redrawn = inject(pyramids, "b2a", real[finest - 1], finest - 1, seed=0)["redrawn_b"]
    assert torch.equal(redrawn, pyramids[1].draw(real[finest - 1], finest - 1, finest + 1))


def test_injection_adds_its_own_noise_at_every_scale_from_there_on():
    pyramids = trained_scales()
    for scale, shape in enumerate(GEOMETRY.shapes):
        real = random(1, 3, *shape, seed=1)
        first, again, other = (inject(pyramids, "a2b", real, scale, seed) for seed in (0, 0, 1))
        assert torch.equal(first["a2b"], again["a2b"])
        assert not torch.equal(first["redrawn_a"], other["redrawn_a"])


@pytest.mark.parametrize(
    ("img_size", "min_size", "factor", "scale"), [(64, 32, 0.5, 2), (220, 18, 0.75, 6), (128, 32, 0.5, 1)]
)
def test_default_injection_scale(img_size, min_size, factor, scale):
    shapes = Geometry(img_size, min_size, scale_factor=factor).shapes
    assert default_injection_scale(shapes) == scale
