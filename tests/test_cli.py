"""The command lines as published: defaults, presets, the files they leave, and going on from them."""

import json
import re
import shlex
import shutil

import pytest
import torch
from conftest import ROOT, TINY, make_picture
from folders import contents, copy_run, differing, eval_files, names, size
from interrupted import stop_after

import config
from options import FIXED, HEADINGS, PER_CALL, EvalOptions, FinishOptions, RefineOptions, TrainOptions
from presets import QUICK, REFINE_QUICK
from train import warn_of_poor_looks
from utils.errors import NO_MEMORY
from utils.rng import stream
from utils.sheet import save_loss_curves

# The published options of train.py with their defaults.
PUBLISHED = dict(nc_z=3, nc_im=3, nfc=32, min_nfc=32, ker_size=3, num_layer=5, stride=1, padd_size=0, switch_res=2)
PUBLISHED |= dict(scale_factor=0.75, min_size=18, max_size=250, img_size=220, noise_amp_a=0.1, noise_amp_b=0.1)
PUBLISHED |= dict(niter=20000, lr_g=0.0005, lr_d=0.0001, beta1=0.5, lambda_grad=0.1, alpha=1.0, beta=1.0, lambda_g=1.0)
PUBLISHED |= dict(print_interval=1000, load=None, gpu_id=None, not_cuda=False, manualSeed=None)
PUBLISHED |= dict(input_a=None, input_b=None, out=None)
OF_EVAL = {"input_a", "input_b", "gpu_id", "not_cuda", "manualSeed", "out", "load", "inject_levels"}
OF_EVAL |= {"img_size", "min_size", "max_size", "scale_factor"}
KINDS = {"train.py": TrainOptions, "eval.py": EvalOptions, "refine.py": RefineOptions, "finish.py": FinishOptions}
REQUIRED = ["--input_a", "a.png", "--input_b", "b.png", "--out", "out"]
SIDES = (12, 15, 17, 20)  # of the TINY pyramid
TERMS = ("D/real", "D/fake", "D/penalty", "G/adversarial", "G/reconstruction", "G/cycle")
NAMES = ("fake_a", "a2b", "fake_b", "b2a")


def run_files(niter: int) -> set[str]:
    """What a finished TINY run leaves, if `niter` is within one print interval."""
    files = {"config.json", "log.jsonl", "results.png", "losses.png", "real_a2b.png", "real_b2a.png"}
    files |= {f"final_{name}.png" for name in NAMES}
    files |= {f"scale_{scale:02d}.safetensors" for scale in range(len(SIDES))}
    return files | {f"samples/{scale:02d}_step{niter:05d}_{name}.png" for scale in range(len(SIDES)) for name in NAMES}


def options_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["options"]


# Options.


def test_published_defaults_reach_the_settings():
    defaults, chosen = vars(TrainOptions()), {"manualSeed", "input_a", "input_b", "out"}
    assert {name: defaults[name] for name in PUBLISHED} == PUBLISHED
    settings = config.parse_train([*REQUIRED, "--load", "", "--input_b", "~nobody.png"])
    assert str(settings.input_b) == "~nobody.png"
    assert {name: getattr(settings, name) for name in PUBLISHED.keys() - chosen}.items() <= PUBLISHED.items()
    for part in ("geometry", "architecture", "weights", "optimiser", "schedule"):
        for name, value in vars(getattr(settings, part)).items():
            assert value == PUBLISHED.get(name, value)
    assert settings.preset == "paper" and len(settings.geometry.shapes) == 11
    of_eval = vars(EvalOptions())
    assert of_eval.keys() >= OF_EVAL and (of_eval["inject_levels"], of_eval["img_size"]) == (5, None)  # as trained


@pytest.mark.parametrize("script", KINDS)
def test_help_lists_every_option_with_its_default(cli, script):
    result = cli(script, "--help")
    assert (result.code, result.err) == (0, "")
    entries = [" ".join(entry.split()) for entry in re.split(r"\n  (?=-)", result.out)[1:]]
    for name, default in vars(KINDS[script]()).items():
        (entry,) = [entry for entry in entries if entry.startswith(f"--{name} ")]
        # Without a default the text says what happens instead.
        told = re.search(r"; default: |\(required", entry) if default in (None, ()) else None
        shown = "off" if default is False else default
        assert told or f"(default: {shown})" in entry
        assert not ("; default:" in entry and "(default:" in entry)  # it would say two things
        assert len(entry.removesuffix(f"(default: {shown})").split()) > 3  # it says something
    assert bool(re.search(r"--manualSeed .*, --seed ", result.out)) == (script != "finish.py")
    # What is advised where memory runs out is here, unless another script is named.
    for flag, other in re.findall(r"(--\w+)(?: of (\w+\.py))?", NO_MEMORY):
        assert other not in ("", script) or f"{flag} " in result.out, flag
    # The example parses; the presets say what they set.
    told = " ".join(result.out.split())
    python, name, *arguments = told.rpartition("example: ")[2].split()
    assert (python, name) == ("python", script)
    assert getattr(config, f"parse_{script[:-3]}")(arguments).out is not None
    for quick in {"train.py": [QUICK], "refine.py": [REFINE_QUICK]}.get(script, []):
        listed = " ".join(f"--{name} {value}" for name, value in quick.items())
        assert f"quick, for a laptop: {listed}; options given explicitly win (default: paper)" in told


def test_every_option_stands_under_one_heading():
    listed = " ".join(HEADINGS.values()).split()
    assert sorted(listed) == sorted({name for kind in KINDS.values() for name in vars(kind())})
    assert set(listed) > FIXED and set(listed) > PER_CALL and not FIXED & PER_CALL


def test_preset_quick_changes_only_what_it_lists():
    paper = vars(config.parse_train([*REQUIRED, "--seed", "1"]))
    quick = vars(config.parse_train([*REQUIRED, "--seed", "1", "--preset", "quick"]))
    differing = {name: value for name, value in quick.items() if value != paper[name]}
    assert differing == {**QUICK, "preset": "quick"}
    # What is given wins, also where it asks for the published default again, and wherever it stands.
    words = ["--niter", "20000", "--preset", "quick", "--beta", "1", "--img_size", "96"]
    settings = config.parse_train([*REQUIRED, *words])
    assert (settings.schedule.niter, settings.weights.beta, settings.geometry.img_size) == (20000, 1.0, 96)
    assert settings.geometry.min_size == QUICK["min_size"]


def test_an_option_of_the_loaded_run_holds_unless_given(trained):
    loaded = config.parse_train(["--load", str(trained)])
    assert (loaded.schedule.niter, loaded.manualSeed, loaded.geometry.img_size) == (3, 7, 20)
    assert loaded.out == trained
    again = config.parse_train(["--load", str(trained), "--niter", "9", "--lr_g", "0.01"])
    assert (again.schedule.niter, again.optimiser.lr_g, again.architecture.nfc) == (9, 0.01, 4)


# Training.


def test_dry_run_writes_nothing(cli, monkeypatch, inputs, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    before = contents(tmp_path)
    result = cli("train.py", *inputs, "--out", tmp_path / "out", "--gpu_id", -1, "--dry_run")
    assert result.code == 0
    # What it will cost: sides, steps, parameters; and the way out.
    assert all(f"{side}x{side}" in result.out for side in (18, 24, 104, 220))
    assert "11 scales, 220000 steps" in result.out and "million parameters" in result.out
    assert "from scratch about" in result.out and "--preset quick" in result.out
    assert cli("train.py", "--load", run, "--niter", 5, "--dry_run").code == 0
    assert contents(tmp_path) == before
    # It finds what the run itself would stumble over.
    assert cli("train.py", *inputs, "--out", run, *TINY, "--dry_run").code == 2
    (run / "scale_02.safetensors").write_bytes(b"")
    assert cli("train.py", "--load", run, "--dry_run").code == 2
    # The run itself tells from its own steps how long it takes, and nothing before them.
    monkeypatch.setattr("training.resume.StopRequest", stop_after(0))
    begun = cli("train.py", *inputs, "--out", tmp_path / "out", "--gpu_id", -1)
    assert begun.code == 130 and "about" not in begun.out + begun.err


def test_dry_run_prints_no_seed_that_the_run_will_not_have(cli, pair, tmp_path):
    for script, a, b in (("train.py", "--input_a", "--input_b"), ("refine.py", "--input", "--reference")):
        words = [script, a, pair[0], b, pair[1], "--out", tmp_path / "out", "--gpu_id", -1, "--preset", "quick"]
        result = cli(*words, "--dry_run")
        assert "seed random" in result.out.splitlines() and result.err == ""
        assert "seed 3" in cli(*words, "--dry_run", "--seed", 3).out.splitlines()
    assert not list(tmp_path.iterdir())


PUBLISHED_TRAIN = "--input_a A --input_b B --gpu_id 0 --out ./output0/ --beta 10.0 --alpha 1.0"
PUBLISHED_EVAL = "--input_a A --input_b B --gpu_id 0 --out ./eval_output0/ --load ./output0/"


def test_published_commands(cli, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = {"A": str(pair[0]), "B": str(pair[1])}
    tiny = TINY[: TINY.index("--seed")]

    def words(command: str) -> list[str]:
        return [pictures.get(word, word) for word in shlex.split(command)]

    # Train.
    monkeypatch.setattr("train.save_loss_curves", save_loss_curves)
    result = cli("train.py", *words(PUBLISHED_TRAIN), "--min_size", 25, "--nfc", 128, *tiny, "--niter", 1)
    run = tmp_path / "output0"
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == "output0/results.png"
    assert names(run) == run_files(niter=1)
    for name in NAMES:
        assert size(run / f"final_{name}.png") == (20, 20)
        for scale, side in enumerate(SIDES):
            assert size(run / "samples" / f"{scale:02d}_step00001_{name}.png") == (side, side)
    assert size(run / "real_a2b.png") == size(run / "real_b2a.png") == (20, 20)
    assert size(run / "losses.png")[0] == 1100

    # The seed is random, printed and recorded, beside everything as used.
    options = options_of(run)
    assert 1 <= options["manualSeed"] <= 10000
    assert f"seed {options['manualSeed']}" in result.out
    assert (options["beta"], options["alpha"], options["nfc"], options["gpu_id"]) == (10.0, 1.0, 4, -1)
    assert options.keys() >= PUBLISHED.keys()
    record = json.loads((run / "config.json").read_text())
    assert record["device"].startswith("CPU") and "torch" in record["versions"]

    # Evaluate.
    result = cli("eval.py", *words(PUBLISHED_EVAL), "--min_size", 12, "--img_size", 20, "--gpu_id", -1)
    out = tmp_path / "eval_output0"
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == "eval_output0/results.png"
    assert names(out) == eval_files(range(4))
    for name in names(out) - {"config.json", "results.png"}:
        assert size(out / name) == (20, 20)
    assert f"seed {options_of(out)['manualSeed']}" in result.out
    assert names(run) == run_files(niter=1)


def test_the_log_holds_every_term(trained):
    records = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [(record["scale"], record["step"]) for record in records] == [(scale, 3) for scale in range(4)]
    for record in records:
        assert record["seconds"] > 0
        terms = {key: value for key, value in record.items() if "/" in key}
        assert terms.keys() == {f"{term}_{domain}" for term in TERMS for domain in "ab"}
        assert all(isinstance(value, float) for value in terms.values())


def test_a_finished_run_copied_is_whole_by_itself(cli, evaluate, inputs, trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    out = tmp_path / "deeper" / "out"
    assert cli("train.py", *inputs, "--load", run, "--out", out, "--gpu_id", -1).code == 0
    assert contents(run) == contents(trained)
    assert names(out) == names(trained)
    assert not differing(out, trained, names(trained) - {"config.json", "losses.png", "results.png"})
    # Nothing in it refers to the folder it came from.
    shutil.rmtree(run)
    evaluate(out, *inputs, "--inject_levels", 1)


# Evaluation.


def test_the_seed_decides_the_pictures(evaluate, inputs, trained, tmp_path):
    other_a = make_picture(tmp_path / "other.png", 5, size=(70, 31))
    ways = ["--seed", 1], ["--seed", 1], ["--manualSeed", 2], ["--seed", 1, "--input_a", other_a]
    words = [*inputs, "--inject_levels", 2]
    first, again, other, unseen = (evaluate(trained, *words, *way, name=f"{i}") for i, way in enumerate(ways))
    assert names(first) == names(unseen) == eval_files([2, 3])
    for name in names(first) - {"config.json", "results.png"}:
        same = [(first / name).read_bytes() == (run / name).read_bytes() for run in (again, other, unseen)]
        # Without noise the seed has nothing to decide; a picture not trained on changes what is made of it.
        of_a = name.endswith(("real_a.png", "a2b.png", "redrawn_a.png"))
        assert same == [True, not name.startswith("inject_"), not of_a], name


def test_the_quick_preset_is_listed_as_it_is():
    text = (ROOT / "docs" / "measurements.md").read_text()
    rows = re.findall(r"^\| `--(\w+)` \| (\S+) \| (\S+) \|", text, re.MULTILINE)
    defaults = vars(TrainOptions())
    kinds = {name: type(default) for name, default in defaults.items()}
    assert {name: kinds[name](quick) for name, quick, _ in rows} == QUICK
    assert {name: kinds[name](paper) for name, _, paper in rows} == {name: defaults[name] for name, _, _ in rows}


def test_a_run_whose_looks_were_not_learned_says_so(cli, inputs, tmp_path, capsys):
    assert "note: neither look" in cli("train.py", *inputs, *TINY, "--niter", 1, "--out", tmp_path / "run").out
    a, b = torch.rand(2, 3, 32, 32, generator=stream(1)).mul(2).sub(1).split(1)
    for margin, told in ((1.0, False), (2.0, True)):  # perfect patches, told apart or not
        warn_of_poor_looks({"a2b": b, "b2a": a}, ([a], [b]), {"D/real_a": -margin, "D/fake_b": -margin})
        assert bool(capsys.readouterr().out) == told


def test_images_too_thin_to_measure_are_trained_on(cli, pair, tmp_path):
    thin = make_picture(tmp_path / "thin.png", 3, size=(720, 20))
    words = ["--input_a", thin, "--input_b", pair[1], *TINY, "--keep_aspect", "--padd_size", 1, "--niter", 1]
    assert cli("train.py", *words, "--out", tmp_path / "run").code == 0
