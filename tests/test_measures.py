"""The measures: a case worked out by hand for each, what they must and must not see; and `metrics.json`."""

import json
import math
import signal
import socket
import time
import urllib.request

import pytest
import torch
import torch.nn.functional as F
from conftest import make_picture
from folders import eval_files, names
from scipy.linalg import sqrtm
from torch import Tensor

from utils.errors import UserError
from utils.image import image_to_tensor, open_image
from utils.measures import (
    COPIED,
    HIGHER_IS_BETTER,
    MEASURES,
    MIN_SIDE,
    contrast_agreement,
    frechet_distance,
    layout_agreement,
    load_inception_stem,
    measure,
    save_metrics,
    sifid,
    sliced_wasserstein,
)
from utils.run_folder import RunFolder

SIDE = 64


def random_inception(**_: object) -> torch.nn.Module:
    from torchvision.models.inception import inception_v3  # takes two seconds to import

    torch.manual_seed(0)
    return inception_v3(weights=None, init_weights=False)


def noise(seed: int, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(red: float, green: float, blue: float, height: int = 24, width: int = 24) -> Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, height, width).contiguous()


def scene(seed: int, ground: tuple, thing: tuple, grain: float) -> Tensor:
    """A layout of square things of one colour on grainy ground of another: oranges on cloth, bowls on grass."""
    things = torch.rand(1, 1, 8, 8, generator=random(seed)).gt(0.7).float()
    mask = F.interpolate(things, scale_factor=SIDE // 8)
    picture = mask * flat(*thing, SIDE, SIDE) + (1 - mask) * flat(*ground, SIDE, SIDE)
    return (picture + grain * torch.randn(1, 3, SIDE, SIDE, generator=random(seed + 1))).clamp(-1, 1)


def oranges(seed: int) -> Tensor:
    return scene(seed, ground=(0.5, 0.5, 0.4), thing=(0.8, 0.1, -0.7), grain=0.03)


def bowls(seed: int) -> Tensor:
    return scene(seed, ground=(-0.2, 0.2, -0.6), thing=(-0.8, -0.8, -0.7), grain=0.1)


def test_distance_of_two_greys():
    """A projection of flat grey a is a * sum(u); for unit vectors of many values E|sum(u)| is sqrt(2 / pi)."""
    distance = sliced_wasserstein(flat(0.5, 0.5, 0.5), flat(-0.1, -0.1, -0.1))
    assert distance == pytest.approx(0.6 * math.sqrt(2 / math.pi), rel=0.15)


def test_distance_of_single_pixels_by_sorting():
    """On a line {0, 1, 0.2} and {0.1, 0.3, 0.9} differ by 0.1 each, {0, 1} and {0, 0.5, 1} by 0.5 on a third."""

    def distance(one: list[float], other: list[float]) -> float:
        images = (torch.tensor(values).expand(1, 3, 1, -1).contiguous() for values in (one, other))
        return sliced_wasserstein(*images, patch=1, scales=1)

    unit = distance([1.0], [0.0])
    assert distance([0.0, 1.0, 0.2], [0.1, 0.3, 0.9]) == pytest.approx(0.1 * unit, rel=1e-5)
    assert distance([1.0, 0.0], [0.0, 0.5, 1.0]) == pytest.approx(0.5 / 3 * unit, rel=1e-5)
    assert distance([0.0, 0.5, 1.0], [1.0, 0.0]) == pytest.approx(0.5 / 3 * unit, rel=1e-5)


def test_a_place_in_the_image_does_not_matter():
    """Stripes 8 pixels apart: moved they have the same patches, 8 whole periods of them; turned they do not."""
    columns = torch.arange(8 * 8 + 6) * 2 * math.pi / 8
    stripes, moved = ((columns + phase).sin().expand(1, 3, 70, 70).contiguous() for phase in (0, 3 * math.pi / 4))
    distances = [sliced_wasserstein(stripes, other, scales=1) for other in (moved, stripes.transpose(2, 3))]
    assert distances[0] < 1e-5 and distances[1] > 0.05


# Layout.


def test_layout_by_hand():
    """Noise on one half, nothing on the other: the halves agree with themselves and oppose each other."""
    left, right = (noise(seed, SIDE, SIDE) for seed in (1, 2))
    left[..., SIDE // 2 :] = 0
    right[..., : SIDE // 2] = 0
    assert layout_agreement(left, left.flip(2)) > 0.8
    assert layout_agreement(left, right) < -0.8


def test_layout_does_not_see_colours():
    image, other = 0.4 * noise(1, 100, 100), noise(2, 100, 100)
    image[..., :50, :] *= 0.1
    gain, offset = (torch.tensor(values).view(1, 3, 1, 1) for values in ([2.0, -0.5, 0.3], [0.1, -0.4, 0.6]))
    for changed in (-image, image * gain + offset):
        assert layout_agreement(changed, image) == pytest.approx(1, abs=1e-5)
        assert layout_agreement(changed, other) == pytest.approx(layout_agreement(image, other), abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_true_layout_ranks_first(seed):
    """Among other layouts and the shifted and mirrored true one; also a pixel off, or at another aspect ratio."""
    truth, analogy = oranges(seed), bowls(seed)
    wrong = [truth.roll((dy, dx), (2, 3)) for dy in (0, 21, 42) for dx in (0, 21, 42) if dy or dx]
    wrong += [truth.flip(2), truth.flip(3), *(oranges(seed + 100 + other) for other in range(8))]
    for result in (analogy, analogy.roll(1, 3), F.interpolate(analogy, (64, 96), mode="bicubic")):
        assert layout_agreement(result, truth) > max(layout_agreement(result, layout) for layout in wrong) + 0.05


@pytest.mark.parametrize("kind", ["flat", "half flat"])
def test_contrast_agreement_has_a_finite_slope_everywhere(kind):
    """It is a loss, too: where an image is flat there is nothing to follow."""
    image = torch.zeros(1, 3, 24, 24)
    if kind == "half flat":  # with the mean of the flat half, so that its contrast is 0 without rounding
        image[..., :6], image[..., 6:12] = 0.5, -0.5
    image.requires_grad_()
    contrast_agreement(image, torch.rand(1, 3, 24, 24, generator=random(2))).backward()
    assert image.grad.isfinite().all()
    assert image.grad.any() == (kind != "flat")


# SIFID.


def test_frechet_distance_is_that_of_the_matrix_square_root():
    one = torch.randn(200, 6, generator=random(1), dtype=torch.float64)
    other = one @ torch.randn(6, 6, generator=random(2), dtype=torch.float64) + 1
    first, second = (torch.cov(vectors.T).numpy() for vectors in (one, other))
    means = (one.mean(0) - other.mean(0)).square().sum().item()
    wanted = means + (first + second - 2 * sqrtm(first @ second).real).trace()
    assert frechet_distance(one, other) == pytest.approx(wanted, rel=1e-9)
    still = one.mean(0).expand(3, 6) + 1  # no spread
    assert frechet_distance(one, still) == pytest.approx(6 + first.trace())


def test_sifid_of_identical_images_is_0_and_of_others_is_not(monkeypatch):
    monkeypatch.setattr("torchvision.models.inception_v3", random_inception)
    stem = load_inception_stem(torch.device("cpu"))
    assert stem(noise(1, 75, 75)).shape == (1, 64, 17, 17)  # behind the first pooling
    assert sifid(noise(1), noise(1), stem) == pytest.approx(0, abs=1e-9)
    near, far = noise(1) * 0.9, noise(1) * 0.1 + 0.5
    assert 0 < sifid(near, noise(1), stem) < sifid(far, noise(1), stem)
    assert sifid(far, noise(1, 15, 15), stem) == pytest.approx(sifid(noise(1, 15, 15), far, stem))


def test_weights_that_never_come_are_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr("utils.measures.PATIENCE", 0.3)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: urllib.request.urlopen(address).read())
        begun = time.monotonic()
        with pytest.raises(UserError, match="SIFID needs"):
            load_inception_stem(torch.device("cpu"))
    assert time.monotonic() - begun < 60 and socket.getdefaulttimeout() is None


# All together.


def test_a_translation_is_better_than_none_in_every_measure():
    translated, structure, appearance = bowls(1), oranges(1), bowls(2)
    found, copy = measure(translated, structure, appearance), measure(appearance, structure, appearance)
    untouched = measure(structure, structure, appearance)
    assert found.keys() == MEASURES.keys() - {COPIED, "flicker", "sifid"}
    assert all(found[name] < untouched[name] for name in ("sliced_wasserstein", "colour_mean"))
    # B itself is perfect but for its layout, A in that alone.
    assert copy["sliced_wasserstein"] == copy["colour_mean"] == 0 < found["colour_mean"]
    assert copy["layout_agreement"] < found["layout_agreement"] < untouched["layout_agreement"] == pytest.approx(1)
    assert {name for name, means in MEASURES.items() if means.endswith("higher is better")} == HIGHER_IS_BETTER


def test_sizes_may_differ_but_not_be_tiny():
    images = noise(1, MIN_SIDE, 32), noise(2, 48, 40), flat(0.2, 0.4, 0, 29, 61)
    images[0][:] += flat(0.5, 0, 0, 1, 1) - images[0].mean(dim=(2, 3), keepdim=True)
    found = measure(*images)
    assert found["colour_mean"] == pytest.approx(0.5)
    assert all(math.isfinite(value) for value in found.values())
    assert measure(images[0][..., 1:, :], *images[1:]) == {}


def test_flat_images_have_no_layout():
    grey, other = flat(0.1, 0.1, 0.1), oranges(1)
    for measured in (measure(grey, other, other), measure(other, grey, grey), measure(grey, grey, grey)):
        assert math.isfinite(measured["sliced_wasserstein"]) and measured["layout_agreement"] == 0


# metrics.json.


def test_every_translation_is_measured_as_saved(evaluate, monkeypatch, inputs, trained):
    monkeypatch.setattr("torchvision.models.inception_v3", random_inception)
    out = evaluate(trained, *inputs, "--metrics", "--samples", 1)
    record = json.loads((out / "metrics.json").read_text())
    translated = [path.stem for path in out.glob("*_?2?.png") if not path.stem.startswith("sample")]
    assert len(translated) == 2 * (1 + 4)  # directly and from every scale
    assert sorted(record["values"]) == sorted(translated)
    stem = load_inception_stem(torch.device("cpu"))

    def saved(name: str) -> Tensor:
        return image_to_tensor(open_image(out / f"{name}.png", "test"), (20, 20), torch.device("cpu"))

    for name, values in record["values"].items():
        image, structure, appearance = saved(name), saved(f"real_{name[-3]}"), saved(f"real_{name[-1]}")
        wanted = measure(image, structure, appearance) | {"sifid": sifid(image, appearance, stem)}
        assert values == pytest.approx(wanted, rel=1e-4)
    assert record["measures"] == {name: MEASURES[name] for name in wanted}


def test_without_weights_the_other_measures_come(cli, monkeypatch, inputs, trained, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    words = [*inputs, "--load", trained, "--out", tmp_path / "out", "--gpu_id", -1]
    result = cli("eval.py", *words, "--metrics")
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if not line.startswith("Downloading: ")]
    assert line.startswith("warning: SIFID needs") and "no downloads in tests" in line
    assert f"put https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth into {tmp_path}" in line
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert record["measures"].keys() == MEASURES.keys() - {COPIED, "flicker", "sifid"}
    # Whoever is tired of waiting for them, and presses Ctrl-C twice, has all pictures.
    twice = [signal.SIGINT] * 2
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: [*map(signal.raise_signal, twice)])
    assert cli("eval.py", *words, "--metrics", "--overwrite").code == 130
    assert names(tmp_path / "out") == eval_files(range(4))


def test_what_is_measured_joins_what_was(tmp_path):
    folder = RunFolder(tmp_path)
    save_metrics(folder, {"x": {COPIED: 0.5}, "y": {"flicker": None}})
    save_metrics(folder, {"x": {"colour_mean": 0.25}})
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["values"] == {"x": {COPIED: 0.5, "colour_mean": 0.25}, "y": {"flicker": None}}
    assert record["measures"] == {name: MEASURES[name] for name in (COPIED, "flicker", "colour_mean")}
    assert folder.record["files"] == ["metrics.json"]


def test_looks_are_measured_against_the_images_that_were_trained_on(cli, inputs, trained, tmp_path):
    other = ["--input_b", make_picture(tmp_path / "other.png", 9)]
    for name, given in (("own", inputs), ("other", inputs + other)):
        words = ["--load", trained, "--out", tmp_path / name, "--gpu_id", -1, "--metrics", "--inject_levels", 1]
        assert cli("eval.py", *given, *words).code == 0
    own, found = (json.loads((tmp_path / name / "metrics.json").read_text())["values"] for name in ("own", "other"))
    assert found["direct_a2b"] == own["direct_a2b"]
    assert found["direct_b2a"]["layout_agreement"] != own["direct_b2a"]["layout_agreement"]


@pytest.mark.parametrize("flag", ["--metrics", "--choices"])
def test_nothing_to_measure_or_choose_from_is_an_error(refused, trained, tmp_path, flag):
    command = ["eval.py", "--load", trained, "--out", tmp_path / "out", "--gpu_id", -1, flag]
    (folder := tmp_path / "clip").mkdir()
    assert "--input_a" in refused([*command, "--samples", 1])
    assert "still images" in refused([*command, "--input_a", folder])
