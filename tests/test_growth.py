"""`scripts/growth.py`: the samples of every scale in order, enlarged, and the final pictures for longer."""

import numpy as np
import pytest
from conftest import make_picture
from folders import copy_run
from PIL import Image, ImageSequence

from scripts.growth import GAP, HOLD, main, save_growth
from utils.errors import UserError
from utils.run_folder import RunFolder

SIDE = 240  # the finest scale, 20, twelvefold
PALETTE = 10  # How far 256 colours may be from the true ones, in the mean; other pictures are some 50 away.


def frames_of(path) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as gif:
        # One at a time: the iterator moves on in the same picture.
        frames = [(np.asarray(f.convert("RGB"), dtype=float), f.info["duration"]) for f in ImageSequence.Iterator(gif)]
    return [frame for frame, _ in frames], [duration for _, duration in frames]


def enlarged(path, size) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.NEAREST), dtype=float)


def test_growth_of_a_run_from_what_is_left_of_it(trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    assert main([str(run)]) == 0
    frames, durations = frames_of(run / "growth.gif")
    assert durations == [500] * 4 + [500 * HOLD]
    stems = [f"samples/{scale:02d}_step00003" for scale in range(4)] + ["final"]
    for frame, stem in zip(frames, stems, strict=True):
        assert frame.shape == (SIDE, 2 * SIDE + GAP, 3)
        for name, shown in (("a2b", frame[:, :SIDE]), ("b2a", frame[:, -SIDE:])):
            assert np.abs(shown - enlarged(run / f"{stem}_{name}.png", (SIDE, SIDE))).mean() < PALETTE, (stem, name)
        assert (frame[:, SIDE : SIDE + GAP] > 250).all()
    for path in (run / "samples").glob("01_*_b2a.png"):
        path.unlink()
    assert main([str(run)]) == 0
    assert len(frames_of(run / "growth.gif")[0]) == 4
    (run / "final_a2b.png").unlink()
    with pytest.raises(UserError, match="holds no finished run"):
        main([str(run)])


def test_pictures_of_two_shapes(tmp_path):
    run = RunFolder(tmp_path)
    run.samples.mkdir()
    for seed, (name, size) in enumerate({"a2b": (30, 16), "b2a": (20, 30)}.items()):
        make_picture(run.sample(0, 5, name), seed, (size[0] // 2, size[1] // 2))
        make_picture(tmp_path / f"final_{name}.png", seed + 2, size)
    save_growth(run)
    frames, _ = frames_of(tmp_path / "growth.gif")
    assert [frame.shape for frame in frames] == [(240, 240 + GAP + 160, 3)] * 2  # eightfold
    assert (frames[0][128:, :240] > 250).all()
    for frame, stem in zip(frames, ("samples/00_step00005", "final"), strict=True):
        assert np.abs(frame[:128, :240] - enlarged(tmp_path / f"{stem}_a2b.png", (240, 128))).mean() < PALETTE
        assert np.abs(frame[:, -160:] - enlarged(tmp_path / f"{stem}_b2a.png", (160, 240))).mean() < PALETTE


def test_a_damaged_sample_is_named(trained, tmp_path):
    run = RunFolder(copy_run(trained, tmp_path / "run"))
    run.sample(2, 3, "a2b").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"RUN .*02_step00003_a2b\.png"):
        save_growth(run)


def test_the_last_sample_counts_by_its_step(tmp_path):
    run = RunFolder(tmp_path)
    run.samples.mkdir()
    for step in (9000, 100000, 20000):
        run.sample(1, step, "a2b").touch()
    (run.samples / "01_step200000_mine.png").touch()
    assert run.last_samples() == {(1, "a2b"): run.sample(1, 100000, "a2b")}
