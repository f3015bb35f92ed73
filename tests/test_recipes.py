"""The comparison of recipes: the yardstick, the table, and a toy comparison."""

import subprocess
from pathlib import Path
from statistics import fmean

import pytest
import torch
from conftest import TINY
from parity import fill
from PIL import Image

import train
from benchmarks import compare_recipes, patch_neighbours
from utils.errors import RunError, UserError
from utils.measures import colour_difference, measure
from utils.image import image_pyramid, open_image
from utils.geometry import Geometry

CPU = torch.device("cpu")
SMALL = Geometry(img_size=40, min_size=28)
SCRIPTS = {"train.py": train.main, "patch_neighbours.py": patch_neighbours.main}


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """Scripts run in this process, tiny ones, without sheets; what was started, by the name of its folder."""
    folders = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        folders.append(Path(command[command.index("--out") + 1]).name)
        script = Path(command[1]).name
        small = ["--img_size", "36"] if script == "patch_neighbours.py" else []
        return subprocess.CompletedProcess(command, SCRIPTS[script]([*command[2:], *small]))

    for sheet in ("save_sheet", "save_loss_curves"):
        monkeypatch.setattr(train, sheet, lambda *_: None)
    monkeypatch.setattr(compare_recipes.subprocess, "run", run)
    monkeypatch.setattr(compare_recipes, "SIDE", 48)
    monkeypatch.setattr(compare_recipes, "TRAINED", {"quick": ["--img_size", "36", *TINY[2:8]]})
    return folders


def arguments(folder: Path, *files: Path) -> list[str]:
    options = {"--niter": 2, "--work": folder / "work"}
    options |= {"--table": folder / "made/table.md", "--sheet": folder / "made/sheet.png"}
    words = [str(word) for item in options.items() for word in item]
    return [*words, "--seeds", "1", "4", "--pairs", *map(str, files)]


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


def test_means():
    rows = [
        {"look": look, "recipe": "quick", "seconds": seconds} | dict.fromkeys(compare_recipes.MEASURES, value)
        for look, seconds, value in (("b", 10.0, 0.1), ("b", 15.2, 0.2), ("c", 20.0, 0.6))
    ]
    assert compare_recipes.means(rows, "recipe") == [["quick", "0.3000", "0.3000", "0.3000", "15"]]
    assert [line[:3] for line in compare_recipes.means(rows, "look", "recipe")] == [
        ["b", "quick", "0.1500"],
        ["c", "quick", "0.6000"],
    ]


# The command.


def test_a_toy_comparison_and_the_same_again(tmp_path, pair, started):
    command = arguments(tmp_path, *pair)
    assert compare_recipes.main(command) == 0
    assert started == ["quick_1", "quick_4", "neighbours"]
    page = (tmp_path / "made/table.md").read_text(encoding="utf-8")
    results = [line.split(" | ") for line in page.splitlines() if line.startswith(("| a |", "| b |"))]
    assert [line[2] for line in results] == ["quick", "neighbours"] * 2
    assert {torch.__version__, "CPU"} <= set(page.replace(",", "").split())

    # What the table holds is the mean over the seeds of what the finished pictures measure.
    first, look = compare_recipes.at_side(pair[0]), compare_recipes.at_side(pair[1])
    measured = [
        measure(compare_recipes.at_side(tmp_path / f"work/a_b/quick_{seed}/finished_a2b.png"), first, look)
        for seed in (1, 4)
    ]
    assert float(results[0][3]) == pytest.approx(fmean(each["sliced_wasserstein"] for each in measured), abs=1e-4)
    with Image.open(tmp_path / "made/sheet.png") as sheet:
        assert sheet.width > 4 * 48

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
