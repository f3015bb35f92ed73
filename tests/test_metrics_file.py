"""`eval.py --metrics`: the right pictures against the right ones, and all but SIFID without its weights."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import inception_v3

from utils.image import image_to_tensor, open_image
from utils.measures import HIGHER_IS_BETTER, measure
from utils.metrics_file import COPIED, MEASURES, TOO_SMALL, Measured, MetricsFile
from utils.sifid import inception_stem, sifid

SIZE = (20, 20)


@pytest.fixture(scope="module")
def stem():
    torch.manual_seed(0)
    return inception_stem(inception_v3(weights=None, init_weights=False))


def words(pair, trained, out) -> list:
    return ["--input_a", pair[0], "--input_b", pair[1], "--load", trained, "--out", out, "--gpu_id", -1]


def picture(path) -> torch.Tensor:
    return image_to_tensor(open_image(path, "test"), SIZE, torch.device("cpu"))


def test_every_translation_is_measured_as_saved(cli, monkeypatch, stem, pair, trained, tmp_path):
    monkeypatch.setattr("eval.load_inception_stem", lambda device: stem)
    out = tmp_path / "out"
    result = cli("eval.py", *words(pair, trained, out), "--metrics", "--samples", 1)
    assert (result.code, result.err) == (0, "")
    record = json.loads((out / "metrics.json").read_text())
    translated = [path.stem for path in out.glob("*_?2?.png") if not path.stem.startswith("sample")]
    assert len(translated) == 2 * (1 + 4)  # directly and from every scale
    assert sorted(record["values"]) == sorted(translated)
    real = {name: picture(out / f"real_{name}.png") for name in "ab"}
    for name, values in record["values"].items():
        structure, appearance = real[name[-3]], real[name[-1]]
        image = picture(out / f"{name}.png")
        wanted = measure(image, structure, appearance) | {"sifid": sifid(image, appearance, stem)}
        # 20 pixels, shrunk to a quarter, hold no patch.
        assert values == pytest.approx(wanted | {"sliced_wasserstein_4": None})
    assert record["missing"] == {"sliced_wasserstein_4": TOO_SMALL}
    # Each is described, once.
    described = record["measures"]
    assert all(described.keys() == values.keys() for values in record["values"].values())
    assert {name for name, each in described.items() if each["better"] == "higher"} == HIGHER_IS_BETTER
    assert all(each["what"] and each["source"] for each in described.values())

    # Another evaluation in its place leaves none behind.
    assert cli("eval.py", *words(pair, trained, out), "--overwrite").code == 0
    assert not (out / "metrics.json").exists()


def test_without_weights_the_other_measures_come(cli, monkeypatch, pair, trained, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    result = cli("eval.py", *words(pair, trained, tmp_path / "out"), "--metrics")
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if not line.startswith("Downloading: ")]
    reason = line.removeprefix("warning: ").removesuffix("; the other measures are in metrics.json")
    assert "no downloads in tests" in reason and "put https://download.pytorch.org/models/inception_v3_" in reason
    assert str(tmp_path / "cache" / "hub" / "checkpoints") in reason
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert text.count("put https://") == 1
    record = json.loads(text)
    assert record["missing"]["sifid"] == reason
    for values in record["values"].values():
        assert values["sifid"] is None
        assert all(isinstance(values[name], float) for name in values.keys() - record["missing"].keys())


def test_the_direction_matters(tmp_path):
    """B itself has B's look and not A's layout."""
    rng = np.random.default_rng(3)
    a, b = (
        image_to_tensor(Image.fromarray(grey).resize((64, 64)), (64, 64), torch.device("cpu"))
        for grey in rng.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    )
    file = MetricsFile(tmp_path / "metrics.json", None, "none at hand")
    file.add_measured({"x_a2b": Measured(b, a, b), "x_b2a": Measured(b, b, a)})
    record = json.loads((tmp_path / "metrics.json").read_text())
    values = record["values"]
    assert values.keys() == {"x_a2b", "x_b2a"}
    assert values["x_a2b"]["sliced_wasserstein"] == values["x_a2b"]["colour_mean"] == 0 < values["x_b2a"]["colour_mean"]
    assert values["x_a2b"]["layout_agreement"] < 0.5 < values["x_b2a"]["layout_agreement"] == pytest.approx(1)
    assert record["missing"] == {"sifid": "none at hand"}


def test_tiny_pictures_are_not_measured_but_written(tmp_path):
    file = MetricsFile(tmp_path / "metrics.json", None, "none at hand")
    file.add_measured({"direct_a2b": Measured(*[torch.zeros(1, 3, 5, 5)] * 3)})
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["values"]["direct_a2b"] == dict.fromkeys(MEASURES)
    assert record["missing"] == dict.fromkeys(MEASURES, TOO_SMALL) | {"sifid": "none at hand"}


def test_what_was_copied_joins_what_was_measured(tmp_path):
    file, path = MetricsFile(tmp_path / "metrics.json"), tmp_path / "metrics.json"
    file.add_copied({})
    assert not path.exists()
    file.add_copied({"finished_a2b": 0.5, "sample_000_finished_a2b": 0.25})
    record = json.loads(path.read_text())
    assert record["values"]["finished_a2b"] == {COPIED: 0.5}
    assert record["measures"].keys() == {COPIED}
    assert record["missing"] == {}
    image = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    file.add_measured({"finished_a2b": Measured(image, image, image)})
    record = json.loads(path.read_text())
    assert record["values"]["finished_a2b"].keys() == {COPIED, *MEASURES}
    assert record["values"]["sample_000_finished_a2b"] == {COPIED: 0.25}
    assert record["measures"].keys() == {COPIED, *MEASURES}


def test_nothing_to_measure_is_an_error(cli, pair, trained, tmp_path):
    common = ["--load", trained, "--out", tmp_path / "out", "--gpu_id", -1, "--metrics"]
    folder = tmp_path / "clip"
    folder.mkdir()
    for more, told in ((["--samples", 1], "--input_a"), (["--input_a", folder], "clip")):
        result = cli("eval.py", *common, *more)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: --metrics: ") and told in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
