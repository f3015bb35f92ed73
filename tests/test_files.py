"""What must survive a crash: files, the log, the run folder; and the small helpers of a run."""

import json
import math
import os
import signal

import pytest
import torch
from folders import names

from training.loss_sums import LossSums
from utils.errors import RunError
from utils.files import write_atomic, write_json
from utils.interrupt import StopRequest
from utils.progress import duration
from utils.log import RunLog
from utils.run_folder import RunFolder


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


# The run folder.


def test_finished_scales_stop_at_a_gap(tmp_path):
    run = RunFolder(tmp_path)
    assert run.finished_scales() == 0
    for scale in (0, 1, 3):
        run.scale(scale).touch()
    assert run.finished_scales() == 2


def test_own_files_are_those_a_run_or_an_evaluation_writes(tmp_path):
    own = ["config.json", "log.jsonl", "state.safetensors", "results.png", "losses.png", "real_a.png", "direct_b2a.png"]
    own += [
        "scale_00.safetensors",
        "scale_10.safetensors",
        "scale_100.safetensors",
        "final_fake_b.png",
        "final_a2b.png",
        "real_b2a.png",
    ]
    own += ["inject_06_a2b.png", "inject_10_redrawn_b.png", "samples/00_step01000_a2b.png"]
    own += ["samples/10_step120000_fake_a.png", "samples/02_step02000_rec_a.png", "refined_03.png", "quantised_03.png"]
    own += ["sample_000_fake_b.png", "sample_017_a2b.png", "samples.png", "a2b.mp4", "a2b.gif"]
    own += [
        "quantised_03/scale_03.safetensors",
        "quantised_03/state.safetensors",
        "quantised_03/samples/03_step00010_rec_a.png",
    ]
    foreign = [
        "notes.txt",
        "real_photo.png",
        "final_draft.png",
        "scale_00 (copy).safetensors",
        "scale_notes.safetensors",
        "state.safetensors.bak",
        "scale_00.pt",
    ]
    foreign += ["samples/mine.png", "inject_me.png", "other/config.json", "a2b.png", "a2b.mov", "b2a.mp4"]
    foreign += ["refined_me.png", "sample_me.png", "sample_000_real_a.png", "quantised_03/notes.txt"]
    foreign += ["quantised_mine/scale_03.safetensors", "quantised_04"]
    for name in own + foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "scale_11.safetensors").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in RunFolder(tmp_path).own_files()]
    assert sorted(found) == sorted(own)
    assert RunFolder(tmp_path / "missing").own_files() == []

    # A copy has what was trained; results are of the inputs of their call, and are made again.
    run, copy = RunFolder(tmp_path), RunFolder(tmp_path / "copy")
    copy.clear()
    copy.copy_from(run)
    trained = {name for name in own if name.endswith((".safetensors", ".json", ".jsonl")) or "samples/" in name}
    assert names(copy.path) == trained

    run.clear()
    assert run.own_files() == []
    assert names(tmp_path) - {f"copy/{name}" for name in trained} == set(foreign)


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
    assert sums.means() == {}
    for real, rec in ((1.0, -2.0), (3.0, -5.0)):
        sums.add(losses(real, rec))
    assert sums.means() == {"D/real_a": 2.0, "G/rec_a": -3.5}


def test_loss_sums_start_anew_where_the_terms_change():
    sums = LossSums()
    sums.add(losses(1.0, -2.0))
    sums.add({"D/real_a": torch.tensor(5.0)})
    assert sums.means() == {"D/real_a": 5.0}


def test_loss_sums_go_on_from_their_state():
    whole, first, second = LossSums(), LossSums(), LossSums()
    steps = [losses(0.1 * i, 1 / (i + 1)) for i in range(7)]
    for step in steps:
        whole.add(step)
    for step in steps[:3]:
        first.add(step)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())), torch.device("cpu"))
    for step in steps[3:]:
        second.add(step)
    assert second.means() == whole.means()
    second.load_state_dict(LossSums().state_dict(), torch.device("cpu"))
    assert second.means() == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_loss_is_named(bad):
    sums = LossSums()
    sums.add(losses(1.0, 1.0))
    sums.check_finite(3, 1)
    sums.add(losses(1.0, bad))
    sums.add(losses(1.0, 1.0))
    with pytest.raises(RunError, match=r"scale 3, step 41.*G/rec_a"):
        sums.check_finite(3, 41)


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
