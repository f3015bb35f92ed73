"""SIFID: the Fréchet distance against hand-computed and independent values, the network with random weights."""

import socket
import time
import urllib.request

import pytest
import torch
from scipy.linalg import sqrtm

from utils.errors import UserError
from utils.measures import frechet_distance, load_inception_stem, sifid

CPU = torch.device("cpu")


def random_inception(**_: object) -> torch.nn.Module:
    from torchvision.models.inception import inception_v3  # takes two seconds to import

    torch.manual_seed(0)
    return inception_v3(weights=None, init_weights=False)


def noise(seed: int, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


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


def test_identical_images_are_0_and_others_are_not(monkeypatch):
    monkeypatch.setattr("torchvision.models.inception_v3", random_inception)
    stem = load_inception_stem(CPU)
    assert stem(noise(1, 75, 75)).shape == (1, 64, 17, 17)  # behind the first pooling
    assert sifid(noise(1), noise(1), stem) == pytest.approx(0, abs=1e-9)
    near, far = noise(1) * 0.9, noise(1) * 0.1 + 0.5
    assert 0 < sifid(near, noise(1), stem) < sifid(far, noise(1), stem)
    assert sifid(far, noise(1, 15, 15), stem) == pytest.approx(sifid(noise(1, 15, 15), far, stem))


def test_a_network_that_never_answers_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr("utils.measures.PATIENCE", 0.3)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: urllib.request.urlopen(address).read())
        begun = time.monotonic()
        with pytest.raises(UserError, match="SIFID needs"):
            load_inception_stem(CPU)
    assert time.monotonic() - begun < 60 and socket.getdefaulttimeout() is None
