"""`scripts/to_tensorboard.py`: TensorBoard shows what the log and the samples hold, also after a run went back."""

import io
import json
import sys
from pathlib import Path

import pytest
from folders import copy_run
from PIL import Image

from scripts.to_tensorboard import Board, main
from utils.errors import UserError
from utils.run_folder import RunFolder


def shown(run: Path):
    """What TensorBoard reads."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return accumulator.EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0}).Reload()


def test_the_log_and_the_samples_are_shown(trained, tmp_path, capsys):
    pytest.importorskip("tensorboard")
    run = copy_run(trained, tmp_path / "run")
    for _ in range(2):  # The second time replaces the first.
        assert main([str(run)]) == 0
        records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        events = shown(run)
        assert set(events.Tags()["scalars"]) == records[0].keys() - {"step"}
        steps = [scalar.step for scalar in events.Scalars("scale")]
        assert steps == sorted(set(steps))
        assert len(steps) == len(records)
        for name in records[0].keys() - {"step"}:
            values = [scalar.value for scalar in events.Scalars(name)]
            assert values == pytest.approx([record[name] for record in records]), name
        for image, record in zip(events.Images("samples/a2b"), records, strict=True):
            saved = run / "samples" / f"{record['scale']:02d}_step{record['step']:05d}_a2b.png"
            with Image.open(io.BytesIO(image.encoded_image_string)) as one, Image.open(saved) as other:
                assert one.tobytes() == other.tobytes()


def test_a_run_that_went_back_is_shown_once(trained, tmp_path):
    pytest.importorskip("tensorboard")
    run = RunFolder(copy_run(trained, tmp_path / "run"))
    lines = run.log.read_text().splitlines(keepends=True)
    board = Board(run)
    run.log.write_text("".join(lines[:3]))
    assert board.catch_up() == 3
    run.log.write_text("".join([*lines[:2], *lines[3:]]))
    board.catch_up()
    board.writer.close()
    assert len(shown(run.path).Scalars("scale")) == len(lines) - 1


def test_a_missing_package_and_a_missing_run_are_told(monkeypatch, trained, tmp_path):
    with pytest.raises(UserError, match="holds no log"):
        main([str(tmp_path)])
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        main([str(copy_run(trained, tmp_path / "run"))])
