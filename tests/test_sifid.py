"""SIFID: the Fréchet distance against hand-computed and independent values, the network with random weights."""

import socket
import time
import urllib.request

import pytest
import torch
import torchvision
from scipy.linalg import sqrtm
from torchvision.models import inception_v3

from utils.errors import UserError
from utils.sifid import MIN_SIDE, frechet_distance, inception_stem, load_inception_stem, sifid


@pytest.fixture(scope="module")
def stem():
    torch.manual_seed(0)
    return inception_stem(inception_v3(weights=None, init_weights=False))


def noise(seed: int, side: int = 40) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_by_hand():
    one = torch.tensor([[0.0, 0], [2, 0], [0, 2], [2, 2]], dtype=torch.float64)  # mean (1, 1), covariance 4/3 I
    other = torch.tensor([[3.0, 1], [3, 1], [3, 1]], dtype=torch.float64)  # no spread
    assert frechet_distance(one, other) == pytest.approx(4 + 8 / 3)
    assert frechet_distance(one, 2 * one) == pytest.approx(2 + 2 * (2 - 1) ** 2 * 4 / 3)


def test_against_the_matrix_square_root():
    one = torch.randn(200, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    other = one @ torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 1
    first, second = (torch.cov(vectors.T).numpy() for vectors in (one, other))
    means = (one.mean(0) - other.mean(0)).square().sum().item()
    wanted = means + (first + second - 2 * sqrtm(first @ second).real).trace()
    assert frechet_distance(one, other) == pytest.approx(wanted, rel=1e-9)


def test_the_stem_has_64_features_behind_the_first_pooling(stem):
    assert stem(noise(1, 75)).shape == (1, 64, 17, 17)


def test_identical_images_are_0_and_others_are_not(stem):
    assert sifid(noise(1), noise(1), stem) == pytest.approx(0, abs=1e-9)
    near, far = noise(1) * 0.9, noise(1) * 0.1 + 0.5
    assert 0 < sifid(near, noise(1), stem) < sifid(far, noise(1), stem)
    assert sifid(far, noise(1), stem) == pytest.approx(sifid(noise(1), far, stem))


def test_sizes_may_differ_but_not_be_tiny(stem):
    assert sifid(noise(1, MIN_SIDE), noise(2, 64), stem) > 0
    with pytest.raises(ValueError, match="too few"):
        sifid(noise(1, MIN_SIDE - 1), noise(1), stem)


def test_missing_weights_say_what_to_do(monkeypatch):
    def offline(**_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models, "inception_v3", offline)
    with pytest.raises(UserError, match=r"no network.*put https://.*inception.*pth into .*checkpoints") as caught:
        load_inception_stem(torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_a_network_that_never_answers_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr("utils.sifid.PATIENCE", 0.3)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: urllib.request.urlopen(address).read())
        begun = time.monotonic()
        with pytest.raises(UserError, match="SIFID needs Inception v3's weights"):
            load_inception_stem(torch.device("cpu"))
    assert time.monotonic() - begun < 60 and socket.getdefaulttimeout() is None
