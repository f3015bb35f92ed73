"""refine.py through its command line: files, going on, using a pyramid again, refusals."""

import pytest
from conftest import TINY, make_picture
from folders import contents, copy_run, differing, names, size, weights
from interrupted import same_results, stop_after

import refine
from utils.run_folder import RunFolder

NITER = 3
# Three scales: 32x25, 36x29 and 40x32 px.
SMALL = ["--nfc", 4, "--min_nfc", 4, "--niter", NITER, "--gpu_id", -1, "--seed", 5]
QUANTISE = ["--start_scale", 2, "--quantise"]


@pytest.fixture(scope="module")
def image_inputs(pair):
    return ["--input", pair[0], "--reference", pair[1]]


def refine_into(out, *words):
    assert refine.main([str(word) for word in [*words, "--out", out, *SMALL]]) == 0
    return out


@pytest.fixture(scope="module")
def refined(tmp_path_factory, image_inputs):
    """A finished refinement from every start scale; tests must not write into it."""
    return refine_into(tmp_path_factory.mktemp("refined") / "run", *image_inputs)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory, image_inputs):
    """A finished quantised refinement; tests must not write into it."""
    return refine_into(tmp_path_factory.mktemp("quantised") / "run", *image_inputs, *QUANTISE)


def trained_files(scales=(0, 1, 2)) -> set[str]:
    samples = {f"samples/{scale:02d}_step{NITER:05d}_{name}.png" for scale in scales for name in ("fake_a", "rec_a")}
    return samples | {f"scale_{scale:02d}.safetensors" for scale in scales} | {"log.jsonl"}


def test_what_a_refinement_leaves(refined):
    assert names(refined) == trained_files() | {"config.json", "results.png", "refined_01.png", "refined_02.png"}
    assert size(refined / "refined_01.png") == size(refined / "refined_02.png") == (40, 32)
    assert (refined / "refined_01.png").read_bytes() != (refined / "refined_02.png").read_bytes()
    for scale, wanted in enumerate([(32, 25), (36, 29), (40, 32)]):
        assert size(refined / "samples" / f"{scale:02d}_step00003_rec_a.png") == wanted


def test_a_finished_pyramid_is_used_for_another_picture(cli, refined, tmp_path):
    before, other = contents(refined), make_picture(tmp_path / "other.png", 9, size=(70, 33))
    words = ["--load", refined, "--input", other, "--gpu_id", -1]
    result = cli("refine.py", *words, "--out", tmp_path / "out", "--start_scale", 2)
    assert result.code == 0, result.err
    assert "only its results are remade" in result.out and "70x33; it is stretched to" in result.err
    assert contents(refined) == before
    # Whole by itself, and nothing of the other picture in it.
    assert names(tmp_path / "out") == trained_files() | {"config.json", "results.png", "refined_02.png"}
    assert weights(tmp_path / "out") == weights(refined)
    assert size(tmp_path / "out" / "refined_02.png") == (40, 32)
    assert differing(tmp_path / "out", refined, ["refined_02.png"])


def test_used_again_it_gives_the_same(cli, refined, tmp_path):
    assert cli("refine.py", "--load", refined, "--out", tmp_path / "out", "--gpu_id", -1).code == 0
    same_results(refined, tmp_path / "out")
    more = RunFolder(tmp_path / "more")
    assert cli("refine.py", "--load", refined, "--out", more.path, "--gpu_id", -1, "--seed", 6, "--niter", 9).code == 0
    # Beside how it was trained, what the pictures were made with.
    assert more.record["options"] == RunFolder(refined).record["options"] and more.options()["manualSeed"] == 6
    assert len(differing(more.path, refined, ["refined_01.png", "refined_02.png"])) == 2


def test_in_place(cli, refined, tmp_path):
    run = copy_run(refined, tmp_path / "run")
    assert cli("refine.py", "--load", run, "--start_scale", 1, "--gpu_id", -1).code == 0
    assert names(run) == names(refined) - {"refined_02.png"}  # of the call before
    assert not differing(run, refined, ["refined_01.png"])


def test_quantised(cli, refined, quantised, tmp_path):
    files = {f"retrained_02/{name}" for name in [*trained_files([2]), "config.json"]}
    assert names(quantised) == trained_files() | files | {"config.json", "results.png", "quantised_02.png"}
    assert size(quantised / "quantised_02.png") == (40, 32)
    # One scale is trained again, from a fresh start; the pyramid stays.
    again = (quantised / "retrained_02" / "scale_02.safetensors").read_bytes()
    assert weights(quantised) == weights(refined) and again != weights(refined)["scale_02.safetensors"]
    assert (quantised / "quantised_02.png").read_bytes() != (refined / "refined_02.png").read_bytes()
    # The second time it is there; beside a pyramid without it, it is trained.
    before = contents(quantised / "retrained_02") | {"config.json": None}
    for name, load in (("again", quantised), ("later", refined)):
        assert cli("refine.py", "--load", load, "--out", tmp_path / name, *QUANTISE, "--gpu_id", -1).code == 0
        assert not differing(tmp_path / name, quantised, ["quantised_02.png"])
    assert contents(tmp_path / "again" / "retrained_02") | {"config.json": None} == before
    # Without the options it is the plain one again.
    assert cli("refine.py", "--load", quantised, "--out", tmp_path / "plain", "--gpu_id", -1).code == 0
    assert not differing(tmp_path / "plain", refined, ["refined_02.png"])


def test_stopped_and_gone_on_with(cli, monkeypatch, image_inputs, quantised, tmp_path):
    # In the first scale, between two, in the scale trained again, and before the picture.
    done, command = 0, [*image_inputs, "--out", tmp_path / "run", *SMALL, *QUANTISE]
    for moment in (1, NITER, 3 * NITER + 1, 4 * NITER):
        monkeypatch.setattr("training.resume.StopRequest", stop_after(moment - done))
        result = cli("refine.py", *command)
        assert result.code == 130 and "refine.py --load" in result.err.splitlines()[-1]
        assert not (tmp_path / "run" / "results.png").exists()
        done, command = moment, ["--load", tmp_path / "run", "--gpu_id", -1]
    monkeypatch.undo()
    assert cli("refine.py", "--load", tmp_path / "run", "--gpu_id", -1).code == 0
    same_results(quantised, tmp_path / "run", scales=4)


# Refusals.


@pytest.fixture
def command(image_inputs, tmp_path):
    """A command that would work; what is appended wins."""
    return ["refine.py", *image_inputs, "--out", tmp_path / "out", *SMALL]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--start_scale 0", "1 or more"),
        ("--start_scale 3", "1 to 2"),
        ("--quantise", "--start_scale"),
        ("--min_size 5", "at least"),
        ("--niter 0", "1 or more"),
        ("--beta 1", "--beta"),
    ],
)
def test_wrong_options(refused, command, words, told):
    line = refused([*command, *words.split()])
    assert words.split()[0] in line and told in line


def test_bad_files(refused, command, refined, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for flag in ("--input", "--reference"):
        line = refused([*command, flag, tmp_path / "text.png"])
        assert flag in line and "text.png" in line
    for size_ in ((20, 60), (25, 25), (2000, 60)):  # smaller than the coarsest scale
        line = refused([*command, "--reference", make_picture(tmp_path / "small.png", 3, size=size_)])
        assert "--reference" in line and "25" in line
    assert "--input, --reference" in refused(["refine.py", "--out", tmp_path / "out"])
    # Another reference than the pyramid's.
    line = refused(["refine.py", "--load", refined, *command[3:7], "--reference", command[2]])
    assert "--reference" in line and "--load" in line


def test_folders_of_the_other_program(refused, command, inputs, refined, trained, tmp_path):
    pictures = [*inputs, "--out", tmp_path / "out", "--gpu_id", -1]
    assert "holds results of refine.py" in refused(["eval.py", *pictures, "--load", refined])
    assert "--load" in refused([*command, "--load", trained])
    assert "--load" in refused(["refine.py", *command[1:7], "--load", trained, "--gpu_id", -1])
    assert "--load" in refused(["train.py", *pictures, *TINY, "--load", refined])
    assert "--load" in refused(["train.py", *pictures, "--load", refined])
