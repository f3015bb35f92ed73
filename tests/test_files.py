"""What must survive a crash: files, the log, the run folder; and the small helpers of a run."""

import json
import math
import os
import signal

import pytest
import torch

from training.state import LossSums
from utils.errors import RunError
from utils.files import write_atomic, write_json
from utils.interrupt import StopRequest
from utils.log import RunLog
from utils.progress import duration


def test_write_atomic(tmp_path):
    path = tmp_path / "file.bin"
    for content in (b"old", b"\x00new\xff"):
        write_atomic(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_write_atomic_gives_the_mode_of_an_ordinary_file(tmp_path):
    (tmp_path / "ordinary").touch()
    write_atomic(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("failing", ["fsync", "replace", "chmod"])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch, failing):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def disk_is_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, disk_is_full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_json(tmp_path):
    record = {"out": "Übersicht/日本", "beta": 10.0, "load": None}
    write_json(tmp_path / "x.json", record)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == record


# The log.


def test_log_drops_a_line_cut_short(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    assert log.records() == []
    records = [{"scale": 0, "step": step, "D/real_a": 0.5} for step in (10, 20)]
    for record in records:
        log.append(record)
    with log.path.open("a") as file:
        file.write('{"scale": 0, "step": 30, "D/re')
    assert log.records() == records


@pytest.mark.parametrize(
    "line", ["[" * 10**5, "\0", "[]", '{"scale": "x", "step": 1}', '{"scale": 0, "step": 1, "D/x": []}', '{"step": 1}']
)
def test_log_leaves_out_what_is_no_record(tmp_path, line):
    log, record = RunLog(tmp_path / "log.jsonl"), {"scale": 0, "step": 10, "D/real_a": 0.5}
    log.path.write_text(f"{line}\n")
    log.append(record)
    assert log.records() == [record]


def test_forget_after_keeps_what_was_done_before(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log.forget_after(0, 0)
    assert not log.path.exists()
    places = [(0, 10), (0, 20), (1, 10), (1, 20), (2, 10)]
    for scale, step in places:
        log.append({"scale": scale, "step": step})
    with log.path.open("a") as file:
        file.write('{"scale": 2, "st')
    log.forget_after(1, 10)
    log.append({"scale": 1, "step": 15})  # must start a line of its own
    assert [(r["scale"], r["step"]) for r in log.records()] == [*places[:3], (1, 15)]
    assert len(log.path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (3600, "60 min"),
        (7200, "2.0 h"),
        (12600, "3.5 h"),
        (172800, "2.0 days"),
        (math.inf, "an unknown time"),
        (math.nan, "an unknown time"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def losses(real: float, rec: float) -> dict[str, torch.Tensor]:
    return {"D/real_a": torch.tensor(real), "G/rec_a": torch.tensor(rec)}


def test_loss_sums_are_means_over_the_steps():
    sums = LossSums()
    assert sums.means(0, 0) == {}
    for real, rec in ((1.0, -2.0), (3.0, -5.0)):
        sums.add(losses(real, rec))
    assert sums.means(0, 2) == {"D/real_a": 2.0, "G/rec_a": -3.5}


def test_loss_sums_start_anew_where_the_terms_change():
    sums = LossSums()
    sums.add(losses(1.0, -2.0))
    sums.add({"D/real_a": torch.tensor(5.0)})
    assert sums.means(0, 2) == {"D/real_a": 5.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_loss_is_named(bad):
    sums = LossSums()
    sums.add(losses(1.0, 1.0))
    sums.means(3, 1)
    sums.add(losses(1.0, bad))
    sums.add(losses(1.0, 1.0))
    with pytest.raises(RunError, match=r"scale 3, step 41.*G/rec_a"):
        sums.means(3, 41)


# Stopping.


def test_the_first_signal_is_noted_and_the_second_interrupts():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_handlers_are_restored_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="some"), StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        raise ValueError("something else")
    assert signal.getsignal(signal.SIGTERM) is before
