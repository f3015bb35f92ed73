"""Pictures and settings that invite trouble with numbers."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image

import train

STRIPES = Image.fromarray(np.tile(np.array([255, 0], np.uint8), (32, 20)))
PAIRS = {
    "both flat": (Image.new("RGB", (40, 32), "red"), Image.new("RGB", (40, 32), (3, 99, 200))),
    "identical": (STRIPES, STRIPES),
    "stripes": (STRIPES, Image.new("RGB", (40, 32), "black")),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_extreme_pictures_train(cli, monkeypatch, tmp_path, kind):
    monkeypatch.setattr(train, "save_sheet", lambda *_: None)
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    for picture, path in zip(PAIRS[kind], (a, b), strict=True):
        picture.save(path)
    words = ["--input_a", a, "--input_b", b, "--out", tmp_path / "run", *TINY, "--scale_factor", 0.55]
    assert cli("train.py", *words, "--niter", 4, "--print_interval", 2).code == 0
    for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines():
        assert all(math.isfinite(value) for value in json.loads(line).values())


def test_deterministic_runs_and_changes_nothing_on_the_cpu(cli, monkeypatch, inputs, trained, tmp_path):
    monkeypatch.setattr(train, "save_sheet", lambda *_: None)
    words = [*inputs, "--out", tmp_path / "run", *TINY, "--niter", 3]
    seen = []
    monkeypatch.setattr(train, "write_results", lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()))
    try:
        assert cli("train.py", *words, "--deterministic").code == 0
        assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["deterministic"] is True
        (tmp_path / "run" / "scale_03.safetensors").unlink()
        assert cli("train.py", "--load", tmp_path / "run", "--gpu_id", -1).code == 0  # the run remembers it
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen == [True, True]
    for path in trained.glob("scale_*.safetensors"):
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes()
