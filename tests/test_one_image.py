"""Statements of docs/method.md, section 11 that could be got wrong, each against a hand-computed case."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_steps import networks, random

from models.inference import refined_from
from models.networks import Architecture, Generator
from models.pyramid import Pyramid
from models.run import Run
from training.one_image import OneImageRecipe, one_image_step
from training.state import OptimiserSettings, ScaleState
from utils.geometry import ImageGeometry
from utils.image import main_colours, recolour
from utils.resize import upsample
from utils.run_folder import RunFolder

CPU = torch.device("cpu")
GEOMETRY = ImageGeometry(height=30, width=40, min_size=14, scale_factor=0.6)
SMALL = Architecture(nfc=4, min_nfc=4, switch_res=0, domains=1)


# Geometry.


@pytest.mark.parametrize(
    ("size", "finest", "scales", "sides"),
    [
        # Shorter side 188: ceil(log(25/188) / log 0.75) + 1 = ceil(7.01) + 1 = 9, less ceil(log 1) = 0.
        ((250, 188), (250, 188), 10, {0: (34, 25), 8: (200, 151)}),
        # ceil(4.82) + 1 = 6; r = 0.25 ** (1/6), so that level 3 is half.
        ((100, 100), (100, 100), 7, {0: (25, 25), 1: (32, 32), 3: (50, 50)}),
        # ceil(8.64) + 1 = 10 of the full 300, less ceil(log(250/400) / log 0.75) = ceil(1.63) = 2; 187.5 is 188.
        ((400, 300), (250, 188), 9, {0: (34, 25), 4: (92, 69)}),
    ],
)
def test_sizes_of_an_images_pyramid(size, finest, scales, sides):
    geometry = ImageGeometry(height=size[1], width=size[0])
    shapes = [shape[::-1] for shape in geometry.shapes]
    assert (shapes[-1], len(shapes)) == (finest, scales)
    assert {scale: shapes[scale] for scale in sides} == sides
    assert geometry.factor == pytest.approx((25 / min(finest)) ** (1 / (scales - 1)))
    assert geometry.shrink == min(250 / size[0], 1)
    upright = ImageGeometry(height=size[0], width=size[1])
    assert list(upright.shapes) == shapes


def test_generator_pads_its_input_by_what_its_layers_trim():
    generator, image, base = Generator(SMALL, 0, 0), random(1, 3, 14, 17), random(1, 3, 14, 17, seed=1)
    by_hand = torch.tanh(generator.net(F.pad(image, (5, 5, 5, 5)))) + base
    assert torch.allclose(generator(image, base), by_hand, atol=1e-5)


# What the steps see.


def recipe_for(**changes) -> OneImageRecipe:
    reals = [random(1, 3, *shape, seed=scale) for scale, shape in enumerate(GEOMETRY.shapes)]
    return OneImageRecipe(**(dict(reals=reals, seed=3) | changes))


@pytest.fixture
def steps_of(monkeypatch):
    """What `one_image_step` is given in the first two steps at a scale: (inputs, real, rec) each."""

    def run(recipe: OneImageRecipe, scale: int) -> tuple[list, ScaleState, Pyramid]:
        seen = []
        monkeypatch.setattr("training.one_image.one_image_step", lambda *given: seen.append(given[1:]))
        ran = Run(RunFolder(Path("nowhere")), GEOMETRY, SMALL, CPU)
        for coarser in range(scale):
            ran.add_scale(networks(coarser, 3, SMALL), (1.0 if coarser == 0 else 0.2,))
        state = ScaleState(scale, networks(scale, 3, SMALL), OptimiserSettings())
        with recipe.steps(ran, state, int) as take:
            for step in range(2):
                take(step)
        return seen, state, ran.pyramids[0]

    return run


def is_grey(image: torch.Tensor) -> bool:
    return torch.equal(image[:, 0], image[:, 1]) and torch.equal(image[:, 0], image[:, 2])


def test_the_coarsest_scale_sees_grey_noise_of_amplitude_1(steps_of):
    recipe = recipe_for()
    (first, second), state, _ = steps_of(recipe, 0)
    assert state.sigmas == (1.0,)
    for inputs, real, (rec_input, rec_base) in (first, second):
        assert real is recipe.reals[0]
        noisy = [noisy for noisy, _, _ in inputs]
        assert len(noisy) == 3
        assert torch.equal(noisy[0], noisy[1]) and torch.equal(noisy[0], noisy[2])
        assert is_grey(noisy[0]) and noisy[0].std().item() == pytest.approx(1, rel=0.15)
        assert not any(base.any() for _, base, _ in inputs)
        assert len({mix.item() for _, _, mix in inputs}) == 3
        # What the image itself is remembered by is fixed, grey, no sample, and the same for every seed.
        assert is_grey(rec_input) and rec_input.std().item() == pytest.approx(1, rel=0.15)
        assert torch.equal(rec_input, first[2][0]) and not torch.equal(rec_input, noisy[0])
        assert not rec_base.any()
    assert not torch.equal(first[0][0][0], second[0][0][0])
    (other, _), _, _ = steps_of(recipe_for(seed=4), 0)
    assert torch.equal(first[2][0], other[2][0])
    assert not torch.equal(first[0][0][0], other[0][0][0])


def test_a_finer_scale_sees_fresh_coarse_draws_under_one_noise(steps_of):
    recipe = recipe_for()
    seen, state, pyramid = steps_of(recipe, 2)
    rec = steps_of(recipe, 0)[0][0][2][0]  # z*
    with torch.no_grad():
        for scale in (0, 1):  # Nothing is added above scale 0.
            base = torch.zeros_like(rec) if scale == 0 else rec
            enlarged = pyramid.generators[scale](rec, base)
            rec = upsample(enlarged, GEOMETRY.factor, GEOMETRY.shapes[scale + 1])
    for inputs, _, (rec_input, rec_base) in seen:
        assert torch.allclose(rec_base, rec, atol=1e-5) and torch.equal(rec_input, rec_base)
        noises = [noisy - base for noisy, base, _ in inputs]
        assert all(torch.allclose(noise, noises[0], atol=1e-5) for noise in noises)
        assert not is_grey(noises[0])
        assert noises[0].std().item() == pytest.approx(state.sigmas[0], rel=0.1)
        bases = [base for _, base, _ in inputs]
        assert not torch.equal(bases[0], bases[1]) and not torch.equal(bases[1], bases[2])
    assert state.sigmas[0] == pytest.approx(0.1 * F.mse_loss(rec, recipe.reals[2]).sqrt().item(), rel=1e-4)


def test_quantised_training_recolours_what_comes_from_coarser_scales(steps_of):
    recipe = recipe_for(recolour=lambda image: image.sign())
    ((inputs, real, (_, rec_base)), _), state, _ = steps_of(recipe, 2)
    for base in (rec_base, *(base for _, base, _ in inputs)):
        assert set(base.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert state.sigmas[0] == pytest.approx(0.1 * F.mse_loss(rec_base, real).sqrt().item(), rel=1e-4)


def test_the_steps_of_a_small_scale_take_one_thread(steps_of):
    seen = []
    torch.set_num_threads(2)
    steps_of(recipe_for(recolour=lambda image: seen.append(torch.get_num_threads()) or image), 2)
    assert seen[1:] == [1, 1] and torch.get_num_threads() == 2


# The step.


@pytest.mark.usefixtures("sharing")
def test_a_step_is_three_discriminator_and_three_generator_updates():
    # In double precision: else Adam makes much of the rounding in gradients that are zero.
    nets, (real, noise, *pictures) = networks(0, 3, SMALL).double(), random(7, 3, 16, 15).double().split(1)
    reference = copy.deepcopy(nets)
    state = ScaleState(0, nets, OptimiserSettings(lr_d=0.01, lr_g=0.01))
    bases, rec = pictures[:3], tuple(pictures[3:])
    inputs = [(base + noise, base, torch.tensor([0.2 + 0.3 * i])) for i, base in enumerate(bases)]
    losses, _ = one_image_step(state, inputs, real, rec)

    (generator,), (discriminator,) = reference.generators, reference.discriminators
    adam_g, adam_d = (
        torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.5, 0.999)) for net in (generator, discriminator)
    )
    for noisy, base, mix in inputs:
        fake = generator(noisy, base).detach()
        point = (mix * real + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
        penalty = 0.1 * (gradient.norm(dim=1) - 1).square().mean()
        adam_d.zero_grad()
        # Weight 1 on the real picture, unlike in a pair's step.
        (-discriminator(real).mean() + discriminator(fake).mean() + penalty).backward()
        adam_d.step()
    for _ in range(3):
        noisy, base, _ = inputs[-1]
        adversarial = -discriminator(generator(noisy, base)).mean()
        loss = adversarial + 10 * F.mse_loss(generator(*rec), real)
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()

    assert losses["G/adversarial"].item() == pytest.approx(adversarial.item())
    assert losses["G/reconstruction"].item() == pytest.approx((loss - adversarial).item())
    for (name, found), wanted in zip(nets.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(found, wanted, atol=1e-6), name
        assert found.requires_grad, name


# Refining.


def test_refinement_starts_at_a_scale_from_a_picture_enlarged():
    shapes, factor = GEOMETRY.shapes, GEOMETRY.factor
    pyramid = Pyramid(shapes, factor)
    for scale in range(len(shapes)):
        pyramid.append(networks(scale, 3, SMALL).generators[0], 0.0)  # without noise it can be followed
    coarse = random(1, 3, *shapes[1], seed=5)
    start = upsample(coarse, factor, shapes[2])
    expected = start
    for scale in range(2, len(shapes)):
        expected = pyramid.generators[scale](expected, expected)
        if scale + 1 < len(shapes):
            expected = upsample(expected, factor, shapes[scale + 1])
    assert expected.shape[2:] == (30, 40)
    assert torch.equal(refined_from(pyramid, coarse, 2, seed=1), expected)
    # A picture on the start scale's own grid is taken as it is.
    assert torch.equal(refined_from(pyramid, start, 2, seed=1), expected)
    pyramid.sigmas = [0.0, 0.0, 0.1, *pyramid.sigmas[3:]]
    first, again, other = (refined_from(pyramid, coarse, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, expected)


# Few colours.

COLOURS = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 0.0], [0.5, 0.5, 0.5], [-1.0, -1.0, -1.0]])


def test_main_colours_are_the_clusters_of_rgb_triples():
    counts = (30, 20, 10, 4)
    pixels = COLOURS.repeat_interleave(torch.tensor(counts), dim=0)
    image = pixels.T.reshape(1, 3, 8, 8)
    found = main_colours(image, 4)
    assert sorted(found.tolist()) == sorted(COLOURS.tolist())
    # Fewer colours than asked for.
    assert sorted(main_colours(image, 9).tolist()) == sorted(COLOURS.tolist())
    # Two clusters about two far points have their means.
    spread = torch.cat([COLOURS[:1] + 0.1, COLOURS[:1] - 0.1, COLOURS[1:2]] * 2, dim=0).T.reshape(1, 3, 2, 3)
    assert sorted(main_colours(spread, 2).tolist()) == [pytest.approx([-1, 1, 0]), pytest.approx([1, -1, -1])]
    assert torch.equal(main_colours(random(1, 3, 9, 9), 5), main_colours(random(1, 3, 9, 9), 5))


def test_every_pixel_takes_the_nearest_colour():
    near = [[0.9, -0.8, -1.0], [-0.9, 0.7, 0.2], [0.4, 0.3, 0.5], [-0.8, -0.7, -0.6]]
    image = torch.tensor(near).T.reshape(1, 3, 2, 2)
    found = recolour(torch.cat([image, image.flip(3)]), COLOURS)
    expected = COLOURS.T.reshape(1, 3, 2, 2)
    assert torch.equal(found, torch.cat([expected, expected.flip(3)]))
