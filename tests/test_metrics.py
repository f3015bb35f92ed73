"""The measures: identical images, a case worked out by hand for each, and what they must and must not see."""

import math
from statistics import fmean

import pytest
import torch
from torch import Tensor

from utils.measures import (
    HIGHER_IS_BETTER,
    colour_difference,
    contrast_agreement,
    layout_agreement,
    measure,
    sliced_wasserstein,
)

SIDE = 64


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(red: float, green: float, blue: float, height: int = 24, width: int = 24) -> Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, height, width).contiguous()


def noise(seed: int, height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(1, 3, height, width, generator=random(seed)) * 2 - 1


def discs(seed: int, count: int = 7) -> list[list[float]]:
    """A layout: row, column and radius of every disc."""
    spread, least = torch.tensor([SIDE - 10, SIDE - 10, 5]), torch.tensor([5, 5, 4])
    return (torch.rand(count, 3, generator=random(seed)) * spread + least).tolist()


def scene(layout: list[list[float]], ground: tuple, ball: tuple, grain: float, shift: float = 0) -> Tensor:
    """The discs of a layout in a colour, on grainy ground of another, all `shift` pixels to the right."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    picture = flat(*ground, SIDE, SIDE) + grain * torch.randn(1, 3, SIDE, SIDE, generator=random(len(layout)))
    for row, column, radius in layout:
        distance = ((rows - row) ** 2 + (columns - column - shift) ** 2).sqrt()
        inside = (radius - distance + 0.5).clamp(0, 1)
        shade = 0.02 * (rows - row + columns - column)
        picture = picture * (1 - inside) + (flat(*ball, SIDE, SIDE) - shade) * inside
    return picture.clamp(-1, 1)


def oranges(layout: list[list[float]]) -> Tensor:
    """Bright discs on pale cloth."""
    return scene(layout, ground=(0.5, 0.5, 0.4), ball=(0.8, 0.1, -0.7), grain=0.03)


def bowls(layout: list[list[float]], shift: float = 0) -> Tensor:
    """Dark discs on grass: the analogy to `oranges`."""
    return scene(layout, ground=(-0.2, 0.2, -0.6), ball=(-0.8, -0.8, -0.7), grain=0.1, shift=shift)


# Patches.


def test_identical_images_are_no_distance_apart():
    assert sliced_wasserstein(noise(1), noise(1)) == [0, 0, 0]


@pytest.mark.parametrize("patch", [1, 3, 7])
def test_distance_of_two_greys(patch):
    """A projection of flat grey a is a * sum(u); E|sum(u)| is sqrt(2 / pi) for many values, 0.87 for three.

    A unit vector of three values is uniform on the sphere, so its sum is sqrt(3) times a coordinate, which is
    uniform in [-1, 1].
    """
    light, dark = flat(0.5, 0.5, 0.5, 32, 32), flat(-0.1, -0.1, -0.1, 32, 32)
    distances = sliced_wasserstein(light, dark, patch=patch)
    many = sliced_wasserstein(light[..., :8, :8], dark[..., :8, :8], patch=patch, directions=20000, scales=1)
    expected = math.sqrt(3) / 2 if patch == 1 else math.sqrt(2 / math.pi)
    assert distances == pytest.approx([distances[0]] * 3, rel=1e-4)
    assert distances[0] == pytest.approx(0.6 * expected, rel=0.15)
    assert many == pytest.approx([0.6 * expected], rel=0.02)


def test_distance_of_single_pixels_by_sorting():
    """Greys {0, 1, 0.2} against {0.1, 0.3, 0.9} differ by 0.1 each once sorted: a third of a direction's sum."""
    greys = [torch.tensor(values).expand(1, 3, 1, 3).contiguous() for values in ([0.0, 1.0, 0.2], [0.1, 0.3, 0.9])]
    unit = sliced_wasserstein(flat(1, 1, 1, 1, 1), flat(0, 0, 0, 1, 1), patch=1, scales=1)[0]
    assert sliced_wasserstein(*greys, patch=1, scales=1)[0] == pytest.approx(0.1 * unit, rel=1e-5)


def test_unequal_numbers_of_patches():
    """Greys {0, 1} against {0, 0.5, 1}: the quantile functions differ by 0.5 on a third of (0, 1)."""
    two, three = (torch.tensor(values).expand(1, 3, 1, -1).contiguous() for values in ([1.0, 0.0], [0.0, 0.5, 1.0]))
    doubled = torch.cat([two, two], dim=2)
    unit = sliced_wasserstein(flat(1, 1, 1, 1, 1), flat(0, 0, 0, 1, 1), patch=1, scales=1)[0]
    assert sliced_wasserstein(two, doubled, patch=1, scales=1) == [0]
    assert sliced_wasserstein(two, three, patch=1, scales=1)[0] == pytest.approx(0.5 / 3 * unit, rel=1e-5)
    assert sliced_wasserstein(three, two, patch=1, scales=1)[0] == pytest.approx(0.5 / 3 * unit, rel=1e-5)


def test_a_place_in_the_image_does_not_matter():
    """Stripes 8 pixels apart: moved they have the same patches, 8 whole periods of them; turned they do not."""
    columns = torch.arange(8 * 8 + 6) * 2 * math.pi / 8
    stripes, moved = ((columns + phase).sin().expand(1, 3, 70, 70).contiguous() for phase in (0, 3 * math.pi / 4))
    assert sliced_wasserstein(stripes, moved, scales=1)[0] < 1e-5
    assert sliced_wasserstein(stripes, stripes.transpose(2, 3), scales=1)[0] > 0.05
    assert sliced_wasserstein(stripes, flat(0, 0, 0, 70, 70), scales=1)[0] > 0.2


def test_order_of_pixels_matters_within_a_patch():
    smooth = (torch.arange(64) * 2 * math.pi / 16).sin().expand(1, 3, 64, 64).contiguous()
    order = torch.randperm(64 * 64, generator=random(0))
    scattered = smooth.flatten(2)[..., order].view_as(smooth)
    assert sliced_wasserstein(smooth, scattered, patch=1, scales=1)[0] < 1e-6
    assert sliced_wasserstein(smooth, scattered, patch=7, scales=1)[0] > 0.1


def test_directions_follow_the_seed_alone():
    state = torch.get_rng_state()
    first = sliced_wasserstein(noise(1), noise(2), seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert sliced_wasserstein(noise(1), noise(2), seed=5) == first
    assert sliced_wasserstein(noise(1), noise(2), seed=6) != first


def test_directions_in_pieces_give_the_same(monkeypatch):
    whole = sliced_wasserstein(noise(1), noise(2))
    monkeypatch.setattr("utils.measures.MAX_PROJECTIONS", 3000)
    assert sliced_wasserstein(noise(1), noise(2)) == pytest.approx(whole, rel=1e-5)


def test_scales_smaller_than_a_patch_are_left_out():
    assert len(sliced_wasserstein(noise(1, 20, 40), noise(2, 64, 64))) == 2
    assert len(sliced_wasserstein(noise(1, 7, 7), noise(2, 7, 7))) == 1
    with pytest.raises(ValueError, match="7 pixels"):
        sliced_wasserstein(noise(1, 6, 20), noise(2))


# Colours.


def test_identical_images_have_the_same_colours():
    assert colour_difference(noise(1), noise(1)) == {"mean": 0, "covariance": 0}


def test_colours_by_hand():
    """Red is +-0.5, green the opposite: covariance [[.25, -.25, 0], [-.25, .25, 0], 0]; the other has none."""
    signs = torch.tensor([0.5, -0.5]).repeat(8)
    image = torch.stack([signs, -signs, torch.full((16,), 0.3)]).view(1, 3, 4, 4)
    difference = colour_difference(image, flat(0.2, 0.0, -0.3, 5, 7))
    assert difference["mean"] == pytest.approx(math.hypot(0.2, 0.6))
    assert difference["covariance"] == pytest.approx(0.5)


# Layout.


def test_an_image_agrees_with_itself():
    assert layout_agreement(noise(1), noise(1)) == pytest.approx(1)


def test_layout_by_hand():
    """Noise on one half, nothing on the other: the halves agree with themselves and oppose each other."""
    left, right = (noise(seed, SIDE, SIDE) for seed in (1, 2))
    left[..., SIDE // 2 :] = 0
    right[..., : SIDE // 2] = 0
    assert layout_agreement(left, left.flip(2)) > 0.8
    assert layout_agreement(left, right) < -0.8


@pytest.mark.parametrize("size", [SIDE, 100])
def test_layout_does_not_see_colours(size):
    image, other = 0.4 * noise(1, size, size), noise(2, size, size)
    image[..., : size // 2, :] *= 0.1
    gain, offset = (torch.tensor(values).view(1, 3, 1, 1) for values in ([2.0, -0.5, 0.3], [0.1, -0.4, 0.6]))
    for changed in (-image, image * gain + offset):
        assert layout_agreement(changed, image) == pytest.approx(1, abs=1e-5)
        assert layout_agreement(changed, other) == pytest.approx(layout_agreement(image, other), abs=1e-5)


@pytest.mark.parametrize("shift", [0, 1.5])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_true_layout_ranks_first(seed, shift):
    """Among other layouts and the shifted, mirrored and shuffled true one; also where all lies a little off."""
    result, truth = bowls(discs(seed), shift), oranges(discs(seed))
    tiles = [part for row in truth.split(SIDE // 4, dim=2) for part in row.split(SIDE // 4, dim=3)]
    order = torch.randperm(16, generator=random(seed)).tolist()
    shuffled = torch.cat([torch.cat([tiles[i] for i in order[k : k + 4]], dim=3) for k in range(0, 16, 4)], dim=2)
    wrong = [truth.roll((dy, dx), (2, 3)) for dy in (0, 21, 42) for dx in (0, 21, 42) if dy or dx]
    wrong += [truth.flip(2), truth.flip(3), truth.transpose(2, 3), shuffled]
    wrong += [oranges(discs(seed + 100 + other)) for other in range(8)]
    assert layout_agreement(result, truth) > max(layout_agreement(result, layout) for layout in wrong) + 0.05


def test_layout_across_sizes():
    small = oranges(discs(1))
    large = torch.nn.functional.interpolate(small, (160, 160), mode="bicubic")
    wide = torch.nn.functional.interpolate(small, (64, 96), mode="bicubic")
    assert layout_agreement(small, large) > 0.9
    assert layout_agreement(bowls(discs(1)), wide) > layout_agreement(bowls(discs(1)), wide.flip(3)) + 0.1
    assert layout_agreement(small[..., :9, :9], small) < 0.9


@pytest.mark.parametrize("window", [2, 3, 8])
def test_any_window(window):
    assert layout_agreement(noise(1), noise(1), window=window) == pytest.approx(1)


# All together.


def test_measure_gathers_everything():
    translated, structure, appearance = bowls(discs(1)), oranges(discs(1)), bowls(discs(2))
    measured = measure(translated, structure, appearance, seed=4)
    distances = sliced_wasserstein(translated, appearance, seed=4)
    colours = colour_difference(translated, appearance)
    assert measured == {
        "sliced_wasserstein": fmean(distances),
        "sliced_wasserstein_1": distances[0],
        "sliced_wasserstein_2": distances[1],
        "sliced_wasserstein_4": distances[2],
        "colour_mean": colours["mean"],
        "colour_covariance": colours["covariance"],
        "layout_agreement": layout_agreement(translated, structure),
    }
    assert set(measured) >= HIGHER_IS_BETTER
    untouched = measure(structure, structure, appearance, seed=4)
    for name in measured:
        assert measured[name] < untouched[name], name


def test_a_reference_of_another_size():
    measured = measure(noise(1, 32, 32), noise(2, 48, 40), noise(3, 29, 61))
    assert all(math.isfinite(value) for value in measured.values())


@pytest.mark.parametrize("other", [flat(0.3, -1, 1), oranges(discs(1))], ids=["flat", "scene"])
def test_flat_images(other):
    grey = flat(0.1, 0.1, 0.1)
    for measured in (measure(grey, other, other), measure(other, grey, grey)):
        assert all(math.isfinite(value) for value in measured.values())
        assert measured["layout_agreement"] == 0
    assert set(measure(grey, grey, grey).values()) == {0}


def test_pictures_with_gradients_are_measured_too():
    image = noise(1).requires_grad_()
    assert isinstance(measure(image, image, image)["layout_agreement"], float)


@pytest.mark.parametrize("kind", ["flat", "half flat"])
def test_contrast_agreement_has_a_finite_slope_everywhere(kind):
    """It is a loss, too: where an image is flat there is nothing to follow."""
    image = torch.zeros(1, 3, 24, 24)
    if kind == "half flat":  # with the mean of the flat half, so that its contrast is 0 without rounding
        image[..., :6], image[..., 6:12] = 0.5, -0.5
    image.requires_grad_()
    other = torch.rand(1, 3, 24, 24, generator=random(2))
    found = contrast_agreement(image, other)
    found.backward()
    assert image.grad.isfinite().all()
    assert image.grad.any() == (kind != "flat")
