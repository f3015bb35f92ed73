"""The comparison of recipes: how long the paper's runs are, the yardstick, the table, and a toy comparison."""

import subprocess
from pathlib import Path

import pytest
import torch
from parity import fill
from PIL import Image

import train
from benchmarks import compare_recipes, patch_neighbours
from utils.errors import RunError, UserError
from utils.measures.metrics import colour_difference
from utils.pictures.image import image_pyramid, open_image
from utils.scales import Geometry

CPU = torch.device("cpu")
SMALL = Geometry(img_size=40, min_size=28)
SCRIPTS = {"train.py": train.main, "patch_neighbours.py": patch_neighbours.main}


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """Scripts run in this process, with narrow networks and no sheets; what was started, by the name of its folder."""
    folders = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        folders.append(Path(command[command.index("--out") + 1]).name)
        script = Path(command[1]).name
        narrow = ["--nfc", "4", "--min_nfc", "4"] if script == "train.py" else []
        return subprocess.CompletedProcess(command, SCRIPTS[script]([*command[2:], *narrow]))

    for sheet in ("save_sheet", "save_loss_curves"):
        monkeypatch.setattr(train, sheet, lambda *_: None)
    monkeypatch.setattr(compare_recipes.subprocess, "run", run)
    monkeypatch.setattr(compare_recipes, "CALIBRATION_STEPS", 2)
    return folders


def arguments(folder: Path, *files: Path) -> list[str]:
    options = {"--img_size": 36, "--niter": 2, "--work": folder / "work"}
    options |= {"--table": folder / "made/table.md", "--sheet": folder / "made/sheet.png"}
    return [*(str(word) for item in options.items() for word in item), "--pairs", *map(str, files)]


# The time.


def test_steps_that_fit():
    # 10 steps took 2 s at one scale and 3 s at the other, and 4 s went by around them: 46 s are left of 50.
    log = [{"scale": 0, "step": 5, "seconds": 1.5}, {"scale": 0, "step": 10, "seconds": 2.0}]
    log.append({"scale": 1, "step": 10, "seconds": 3.0})
    assert compare_recipes.steps_that_fit(50.0, 9.0, log, 10) == 92
    assert compare_recipes.steps_that_fit(50.4, 9.0, log, 10) == 92
    assert compare_recipes.steps_that_fit(4.2, 9.0, log, 10) == 1
    assert compare_recipes.steps_that_fit(1.0, 9.0, log, 10) == 1


# The yardstick.


def test_the_yardstick_gives_a_picture_back_in_its_own_patches(pair):
    pyramid = image_pyramid(open_image(pair[0], "--input_a"), SMALL.shapes, CPU)
    assert torch.allclose(patch_neighbours.translate(pyramid, pyramid, SMALL.factor), pyramid[-1], atol=1e-5)


def test_the_yardstick_takes_its_colours_from_b(pair):
    a, b = (image_pyramid(open_image(path, "--pairs"), SMALL.shapes, CPU) for path in pair)
    found = patch_neighbours.translate(a, b, SMALL.factor)
    assert found.shape == b[-1].shape
    assert colour_difference(found, b[-1])["mean"] < 0.5 * colour_difference(a[-1], b[-1])["mean"]


def test_nearest_patches_by_hand(monkeypatch):
    monkeypatch.setattr(patch_neighbours, "QUERIES_AT_ONCE", 1)
    queries, keys = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.9], [3.0], [-8.0]])
    # Squared distances: 0.81 9 64; 0.01 4 81; 16.81 4 169. Of each key to its nearest query: 0.01 4 64.
    monkeypatch.setattr(patch_neighbours, "COMPLETENESS", 1e6)
    assert patch_neighbours.nearest_patches(queries, keys).tolist() == [0, 0, 1]
    monkeypatch.setattr(patch_neighbours, "COMPLETENESS", 1e-3)
    assert patch_neighbours.nearest_patches(queries, keys).tolist() == [2, 0, 1]


def test_colours_are_matched_in_mean_and_covariance():
    picture, reference = 0.3 * fill((1, 3, 20, 20), 1), 0.1 * fill((1, 3, 16, 24), 2) + 0.2
    reference[:, 1] += reference[:, 0]
    found = colour_difference(patch_neighbours.match_colours(picture, reference), reference)
    assert max(found.values()) < 1e-3
    grey = picture[:, :1].expand_as(picture)
    assert colour_difference(patch_neighbours.match_colours(grey, reference), reference)["mean"] < 1e-3
    assert torch.allclose(patch_neighbours.match_colours(picture, picture), picture, atol=1e-5)


# The table.


def test_the_table():
    assert compare_recipes.table(["a", "b"], [["1", ""], ["2", "3"]]) == (
        "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3 |\n"
    )


def test_means_and_numbers():
    rows = [
        {"recipe": recipe, "seconds": seconds} | dict.fromkeys(compare_recipes.MEASURES, value)
        for recipe, seconds, value in (("input", None, 0.5), ("quick", 10.0, 0.1), ("quick", 15.2, 0.2))
    ]
    untouched, quick = compare_recipes.means(rows)
    assert compare_recipes.numbers(untouched) == ["0.500"] * 4 + [""]
    assert compare_recipes.numbers(quick) == ["0.150"] * 4 + ["13"]


# The command.


def test_a_toy_comparison_and_the_same_again(tmp_path, pair, started):
    command = arguments(tmp_path, *pair)
    assert compare_recipes.main(command) == 0
    assert started == ["quick", "calibration", "paper", "neighbours"]
    page = (tmp_path / "made/table.md").read_text(encoding="utf-8")
    results = [line.split(" | ") for line in page.splitlines() if line.startswith(("| a |", "| b |"))]
    assert [line[2].partition(",")[0] for line in results] == ["input", "quick", "paper", "neighbours"] * 2
    assert results[1][2] == "quick, 2 steps"
    assert [line[6] for line in results if line[2] == "input"] == ["1.000", "1.000"]
    assert {torch.__version__, "CPU"} <= set(page.replace(",", "").split())
    with Image.open(tmp_path / "made/sheet.png") as sheet:
        assert sheet.width > 5 * 250

    # What is finished is not repeated, what is not is; the table is made again.
    (tmp_path / "work/a_b/neighbours.json").unlink()
    (tmp_path / "made/table.md").unlink()
    started.clear()
    assert compare_recipes.main(command) == 0
    assert started == ["neighbours"]
    assert (tmp_path / "made/table.md").is_file()


def test_a_run_with_other_arguments_or_without_its_folder_is_repeated(tmp_path, monkeypatch):
    times = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        times.append(command)
        (tmp_path / "quick").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(compare_recipes.subprocess, "run", run)
    first = compare_recipes.run_once(tmp_path / "quick", "train.py", "--niter", "1")
    assert compare_recipes.run_once(tmp_path / "quick", "train.py", "--niter", "1") == first
    assert len(times) == 1
    compare_recipes.run_once(tmp_path / "quick", "train.py", "--niter", "2")
    assert len(times) == 2
    (tmp_path / "quick").rmdir()
    compare_recipes.run_once(tmp_path / "quick", "train.py", "--niter", "2")
    assert len(times) == 3


def test_a_script_that_fails_leaves_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_recipes.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 3))
    with pytest.raises(RunError, match=r"train\.py ended with status 3"):
        compare_recipes.run_once(tmp_path / "quick", "train.py")
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_is_one_line(tmp_path, pair, started):
    for files in ([pair[0]], [pair[0], tmp_path / "none.png"]):
        with pytest.raises(UserError, match="--pairs") as caught:
            compare_recipes.main(arguments(tmp_path, *files))
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="--min_size 28 is larger"):
        patch_neighbours.main(
            ["--input_a", str(pair[0]), "--input_b", str(pair[1]), "--out", str(tmp_path), "--img_size", "20"]
        )
    assert started == []
