"""A run that was stopped or killed and resumed equals the uninterrupted one, bit for bit (on the CPU)."""

import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, train_tiny
from folders import contents, weights
from interrupted import same_results, stop_after
from tiny_steps import PAIR, run_of

import training.pair
from training.state import OptimiserSettings, ScaleState
from utils.files import load_checkpoint
from utils.geometry import Geometry

NITER = 17
FLAGS = [*TINY, "--scale_factor", 0.55, "--niter", NITER, "--print_interval", 7, "--save_every", 0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, inputs) -> Path:
    """The uninterrupted run; tests must not write into it."""
    return train_tiny(tmp_path_factory.mktemp("whole") / "run", *inputs, *FLAGS)


def test_stopped_again_and_again(cli, monkeypatch, whole, inputs, tmp_path):
    # Before the first step, inside a chunk of draws, at a chunk's and a scale's end, just before the last step and
    # after it; the last times in another folder, which leaves the first as it was.
    run, done, words = tmp_path / "run", 0, [*inputs, *FLAGS, "--save_every", 3600, "--out"]
    for moment in (0, 5, 16, NITER, 3 * NITER - 1):
        monkeypatch.setattr("training.resume.StopRequest", stop_after(moment - done))
        assert cli("train.py", *words, run).code == 130
        done, words = moment, ["--gpu_id", -1, "--load"]
    before, second = contents(run), tmp_path / "second"
    monkeypatch.setattr("training.resume.StopRequest", stop_after(1))
    assert cli("train.py", "--load", run, "--out", second, "--gpu_id", -1).code == 130
    assert not (run / "results.png").exists() and not (second / "real_a2b.png").exists()
    monkeypatch.undo()
    assert cli("train.py", "--load", second, "--gpu_id", -1).code == 0
    assert contents(run) == before
    same_results(whole, second)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_prints_the_command_that_resumes(cli, monkeypatch, whole, inputs, tmp_path, number, code):
    out, real_step = tmp_path / "run with a space", training.pair.training_step

    def interrupted_step(*arguments):
        if (out / "scale_00.safetensors").exists():
            signal.raise_signal(number)
        return real_step(*arguments)

    monkeypatch.setattr(training.pair, "training_step", interrupted_step)
    words = [*inputs, "--out", out, *FLAGS, "--save_every", 3600]
    stopped = cli("train.py", *words)
    assert stopped.code == code and "Traceback" not in stopped.err
    assert load_checkpoint(out / "state.safetensors")[1]["step"] == 1
    monkeypatch.undo()
    python, *words = shlex.split(stopped.err.strip().splitlines()[-1])
    assert [python, *words[:3]] == [sys.executable, str(ROOT / "train.py"), "--load", str(out)]
    assert cli("train.py", *words[1:]).code == 0
    same_results(whole, out)


@pytest.mark.slow
def test_killed_three_times_at_random_moments(cli, whole, inputs, tmp_path):
    out = tmp_path / "run"
    moments = random.Random(5)
    program = sys.executable, ROOT / "train.py"
    arguments = [*program, *inputs, "--out", out, *map(str, FLAGS)]
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watched = [out / "state.safetensors", out / "scale_00.safetensors", out / "scale_01.safetensors"][kills]
        deadline = time.monotonic() + 120
        while not watched.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        arguments = [*program, "--load", out, "--gpu_id", "-1", "--save_every", "0"]
    assert kills == 3 and not (out / "results.png").exists()
    assert cli("train.py", *arguments[2:]).code == 0  # in this process: with the same loss curves
    same_results(whole, out)


def test_the_same_bits_on_several_threads(inputs, tmp_path):
    torch.set_num_threads(4)  # two for each domain
    same_results(*(train_tiny(tmp_path / name, *inputs, *FLAGS, "--niter", 2) for name in ("first", "second")))


def test_save_and_print_intervals_change_no_weight(whole, inputs, tmp_path):
    train_tiny(tmp_path / "run", *inputs, *FLAGS, "--save_every", 3600, "--print_interval", 100)
    assert weights(whole) == weights(tmp_path / "run")
    assert (whole / "results.png").read_bytes() == (tmp_path / "run" / "results.png").read_bytes()


def test_a_state_left_behind_by_a_crash_after_the_scale_was_written_is_ignored(tmp_path):
    run, path = run_of(Geometry(), PAIR, 3, torch.device("cpu")), tmp_path / "state.safetensors"
    for scale, ignored in ((2, True), (3, False)):
        ScaleState(scale, run.networks, OptimiserSettings(), (0.1, 0.1)).save(path)
        assert (ScaleState.load(run, OptimiserSettings(), path) is None) is ignored


def test_a_bad_loss_stops_the_run_and_keeps_the_last_good_state(cli, monkeypatch, inputs, tmp_path):
    real_step = training.pair.training_step

    def sick_step(state, *arguments):
        losses, pictures = real_step(state, *arguments)
        if state.step >= 9:
            losses["G/cycle_b"] = losses["G/cycle_b"] * float("nan")
        return losses, pictures

    monkeypatch.setattr(training.pair, "training_step", sick_step)
    result = cli("train.py", *inputs, "--out", tmp_path / "run", *FLAGS, "--niter", 10)
    assert result.code == 1
    line = result.err.strip().splitlines()[-1]
    assert all(word in line for word in ("error: scale 0, step 10: loss G/cycle_b", "checkpoint", "--lr_g", "--seed"))
    assert load_checkpoint(tmp_path / "run" / "state.safetensors")[1]["step"] == 9
    monkeypatch.undo()
    assert cli("train.py", "--load", tmp_path / "run", "--gpu_id", -1).code == 0
    assert (tmp_path / "run" / "results.png").exists()
