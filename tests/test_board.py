"""`train.py --tensorboard`: what TensorBoard shows is what the log and the samples hold, also after a crash."""

import io
import json
import sys
from pathlib import Path

import pytest
from conftest import TINY
from PIL import Image

from utils.board import Board
from utils.errors import RunError

SIDES = (12, 15, 17, 20)  # of the TINY pyramid


def words(pair, out, *more: object) -> list:
    return ["--input_a", pair[0], "--input_b", pair[1], "--out", out, *TINY, "--niter", 3, "--tensorboard", *more]


def shown(run: Path):
    """What TensorBoard reads."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return accumulator.EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0}).Reload()


def check_shown(run: Path, niter: int = 3) -> None:
    """All scalars of the log, and all samples, each once, on one axis."""
    events = shown(run)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [record["scale"] * niter + record["step"] for record in records]
    assert steps == sorted(set(steps))
    assert set(events.Tags()["scalars"]) == records[0].keys() - {"step"}
    for name in records[0].keys() - {"step"}:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == steps, name
        assert [scalar.value for scalar in scalars] == pytest.approx([record[name] for record in records]), name
    for name in ("fake_a", "a2b", "fake_b", "b2a"):
        images = events.Images(f"samples/{name}")
        assert [image.step for image in images] == steps
        for image, record in zip(images, records, strict=True):
            saved = run / "samples" / f"{record['scale']:02d}_step{record['step']:05d}_{name}.png"
            with Image.open(io.BytesIO(image.encoded_image_string)) as one, Image.open(saved) as other:
                assert one.size == other.size == (SIDES[record["scale"]],) * 2
                assert one.tobytes() == other.tobytes()


def test_the_log_and_the_samples_are_shown(cli, pair, trained, tmp_path):
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    result = cli("train.py", *words(pair, run, "--print_interval", 2))
    assert result.code == 0, result.err
    check_shown(run)
    for scale in range(len(SIDES)):  # It changes nothing else.
        name = f"samples/{scale:02d}_step00003_a2b.png"
        assert (run / name).read_bytes() == (trained / name).read_bytes()

    # A run in its place clears the events, and nobody else's files.
    (run / "tensorboard" / "notes.txt").write_text("somebody's own")
    arguments = [word for word in words(pair, run, "--overwrite") if word != "--tensorboard"]
    assert cli("train.py", *arguments).code == 0
    assert [path.name for path in (run / "tensorboard").iterdir()] == ["notes.txt"]


def test_after_a_crash_nothing_is_shown_twice(cli, monkeypatch, pair, tmp_path):
    pytest.importorskip("tensorboard")
    add = Board.add

    def crash(board: Board, record: dict, pictures: dict) -> None:
        add(board, record, pictures)
        if (record["scale"], record["step"]) == (1, 2):
            raise RunError("as if killed")

    monkeypatch.setattr(Board, "add", crash)
    assert cli("train.py", *words(pair, tmp_path / "run", "--print_interval", 1, "--save_every", 3600)).code == 1
    monkeypatch.undo()
    assert [each.step for each in shown(tmp_path / "run").Scalars("scale")] == [1, 2, 3, 4, 5]
    # Scale 1 starts anew, and says something at its steps 2 and 3 alone; the option is the loaded run's.
    more = ["--print_interval", 2, "--gpu_id", -1]
    assert cli("train.py", "--load", tmp_path / "run", "--out", tmp_path / "second", *more).code == 0
    assert [each.step for each in shown(tmp_path / "second").Scalars("scale")] == [1, 2, 3, 5, 6, 8, 9, 11, 12]
    check_shown(tmp_path / "second")


def test_the_axis_goes_on_where_the_steps_of_a_scale_change(cli, monkeypatch, pair, tmp_path):
    pytest.importorskip("tensorboard")
    add = Board.add

    def crash(board: Board, record: dict, pictures: dict) -> None:
        add(board, record, pictures)
        if record["scale"] == 1:
            raise RunError("as if killed")

    monkeypatch.setattr(Board, "add", crash)
    assert cli("train.py", *words(pair, tmp_path / "run")).code == 1
    monkeypatch.undo()
    assert cli("train.py", "--load", tmp_path / "run", "--niter", 1, "--gpu_id", -1).code == 0
    assert [each.step for each in shown(tmp_path / "run").Scalars("scale")] == [3, 4, 5, 6]


@pytest.mark.parametrize("more", [[], ["--dry_run"]])
def test_a_missing_package_is_told_before_anything_starts(cli, monkeypatch, pair, tmp_path, more):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    result = cli("train.py", *words(pair, tmp_path / "run", *more))
    assert (result.code, result.out) == (2, "")
    assert result.err == ("error: --tensorboard: needs a package; install it: python -m pip install tensorboard\n")
    assert not (tmp_path / "run").exists()
