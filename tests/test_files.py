"""What must survive a crash, files and the log; stopping; and the small helpers of a run."""

import os
import re
import signal

import pytest
import torch

from models.networks import Architecture, ScaleNetworks
from training.state import OptimiserSettings, ScaleState
from utils import progress
from utils.errors import StopRequest
from utils.files import write_atomic
from utils.run_folder import RunFolder


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch, failing):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def disk_is_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, disk_is_full)
    with pytest.raises(OSError, match=r"No space .*file\.bin'$"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# The log.


def test_forget_after_keeps_what_was_done_before(tmp_path):
    run = RunFolder(tmp_path)
    run.forget_after(0, 0)
    assert run.logged() == [] and not run.log_file.exists()
    places = [(0, 10), (0, 20), (1, 10), (1, 20), (2, 10)]
    records = [{"scale": scale, "step": step, "D/real_a": 0.5} for scale, step in places]
    for record in records:
        run.log(record)
    with run.log_file.open("a") as file:
        file.write('{"scale": 2, "st')  # A crash cut it short.
    assert run.logged() == records
    run.forget_after(1, 10)
    run.log({"scale": 1, "step": 15})  # must start a line of its own
    assert run.logged() == [*records[:3], {"scale": 1, "step": 15}]
    assert len(run.log_file.read_text().splitlines()) == 4


# The loss sums.


def test_loss_sums_are_means_over_the_steps_and_start_anew_where_the_terms_change():
    state = ScaleState(0, ScaleNetworks(Architecture(nfc=2, min_nfc=2), 0, 4), OptimiserSettings())
    assert state.mean_losses() == {}
    for real, rec in ((1.0, -2.0), (3.0, -5.0)):
        state.add({"D/real_a": torch.tensor(real), "G/rec_a": torch.tensor(rec)})
    assert state.mean_losses() == {"D/real_a": 2.0, "G/rec_a": -3.5}
    state.add({"D/real_a": torch.tensor(5.0)})
    assert state.mean_losses() == {"D/real_a": 5.0}


# Progress.


@pytest.mark.parametrize(
    ("seconds", "text"), [(119.4, "119 s"), (120, "2 min"), (7200, "2.0 h"), (12600, "3.5 h"), (172800, "2.0 days")]
)
def test_duration(seconds, text):
    assert progress.duration(seconds) == text


@pytest.fixture
def printed(monkeypatch, capsys):
    """What some work of 4000 steps has printed when the first ones are done, which take so many seconds each."""
    now = [100.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def run(steps: list[float]) -> list[str]:
        with progress.Bar(4000, advice="do less") as bar:
            for step, seconds in enumerate(steps, start=1):
                now[0] += seconds
                bar.show(step, f"step {step}")
        return capsys.readouterr().err.splitlines()

    return run


def test_short_work_prints_nothing_and_long_work_a_line_now_and_then(printed):
    assert printed([2] * 10) == []
    lines = printed([1] * 100)
    assert len(lines) == 3 and lines[0] == "step 30: 1 %, 1:06:10 left"


def test_a_slow_start_is_soon_forgotten(printed):
    *_, last = printed([20, 20] + [0.1] * 1000)
    step, _, minutes, seconds = map(int, re.findall(r"\d+", last))
    assert 60 * minutes + seconds == pytest.approx((4000 - step) * 0.1, rel=0.3)


@pytest.mark.parametrize(("per_step", "warns"), [(14, True), (10, False)])
def test_half_a_day_is_warned_of_once(printed, per_step, warns):
    assert "".join(printed([per_step] * 10)).count("do less") == warns


# Stopping.


def test_the_first_signal_is_noted_and_the_second_interrupts():
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP] if os.name == "posix" else [signal.SIGINT]
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
            assert not stop()
            signal.raise_signal(number)
            assert stop()
            for other in numbers[1:]:  # changes nothing
                signal.raise_signal(other)
            assert stop.signal == number
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in numbers] == before
