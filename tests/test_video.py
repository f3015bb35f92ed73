"""Reading and writing clips: frames, times, sizes, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
from clips import GREYS, damaged, encoded, film, flat, with_matrix
from memory import peak_of
from PIL import Image

from utils.errors import UserError
from utils.interrupt import Stopped
from utils.video import Clip, Times, clip_times, is_clip, refuse_clip
from utils.video_writer import even_size, save_gif, video_writer

av = pytest.importorskip("av")


def frames(count: int, size: tuple[int, int] = (32, 24)) -> list[np.ndarray]:
    """Frames of one grey each, brighter from one to the next."""
    return [np.full((size[1], size[0], 3), 40 * index + 20, np.uint8) for index in range(count)]


def write(path, times: Times, size=(32, 24)) -> None:
    with video_writer(path, times, size) as add:
        for frame in frames(len(times), size):
            add(frame)


def test_a_video_comes_back_with_its_frames_times_and_size(tmp_path):
    times = Times(tuple(Fraction(n, 100) for n in (0, 10, 15, 40, 70)))
    write(tmp_path / "a:b.mp4", times)
    clip = Clip(tmp_path / "a:b.mp4", "--input_a")
    assert (len(clip), clip.size) == (4, (32, 24))
    assert [float(clip.times.seconds(i)) for i in range(5)] == pytest.approx([0, 0.1, 0.15, 0.4, 0.7], abs=1e-4)
    levels = [np.asarray(frame).mean() for frame in clip]
    assert levels == pytest.approx([20, 60, 100, 140], abs=4)
    assert is_clip(tmp_path / "a:b.mp4")
    with pytest.raises(UserError, match="must be a still image"):
        refuse_clip(tmp_path / "a:b.mp4", "--input_b")


def test_a_stopped_video_ends_with_the_frames_made_so_far(tmp_path):
    times = Times.constant(Fraction(10), 5)
    with pytest.raises(Stopped), video_writer(tmp_path / "x.mp4", times, (32, 24)) as add:
        for frame in frames(3):
            add(frame)
        raise Stopped
    assert len(Clip(tmp_path / "x.mp4", "--input_a")) == 3
    for error, number in ((Stopped, 0), (ValueError, 2)):
        with pytest.raises(error), video_writer(tmp_path / "y.mp4", times, (32, 24)) as add:
            for frame in frames(number):
                add(frame)
            raise error
        assert not (tmp_path / "y.mp4").exists()


def test_an_animation_lasts_as_long_as_it_says(tmp_path):
    images = [Image.fromarray(frame) for frame in frames(3)]
    images[0].save(tmp_path / "x.gif", save_all=True, append_images=images[1:], duration=[1000, 1000, 100])
    clip = Clip(tmp_path / "x.gif", "--input_a")
    assert len(clip) == 3 and clip.times.seconds(3) == Fraction(21, 10)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_video_is_shown_upright(tmp_path, angle):
    picture = np.zeros((24, 32, 3), np.uint8)
    picture[:12, :16] = 255  # bright at the top left as it is stored
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[angle]
    with_matrix(encoded(tmp_path / "x.mp4", [picture]), *matrix)
    (frame,) = Clip(tmp_path / "x.mp4", "--input_a")
    # The matrix turns clockwise: the bright corner goes on to the next one.
    corners = {90: (-1, 0), 180: (-1, -1), 270: (0, -1)}  # x, y as a share of the far side
    x, y = corners[angle]
    assert frame.size == ((24, 32) if angle != 180 else (32, 24))
    assert np.asarray(frame)[y * 4 if y else 3, x * 4 if x else 3].mean() > 200


def test_times_that_are_not_known_or_do_not_grow_are_those_of_the_declared_rate():
    for starts in ((None, None, None), (Fraction(0), Fraction(2), Fraction(1))):
        assert clip_times([(start, None) for start in starts], Fraction(10)) == Times.constant(Fraction(10), 3)


def test_sizes_of_videos_are_even(tmp_path):
    assert even_size((27, 48)) == (28, 48)
    times = Times.constant(Fraction(10), 2)
    save_gif(frames(2), tmp_path / "x.gif", times)
    assert Clip(tmp_path / "x.gif", "--input_a").times.seconds(2) == Fraction(1, 5)


def test_folders_natural_order_and_unequal_sizes(tmp_path):
    for name, level in (("10.png", 200), ("2.png", 100), (".hidden.png", 0)):
        Image.new("RGB", (20, 16), (level,) * 3).save(tmp_path / name)
    (tmp_path / "film.mpg").write_bytes(b"no picture")
    clip = Clip(tmp_path, "--input_a")
    assert [frame.getpixel((0, 0))[0] for frame in clip] == [100, 200] and clip.rate == 25
    Image.new("RGB", (22, 16)).save(tmp_path / "11.png")
    with pytest.raises(UserError, match="same size"):
        Clip(tmp_path, "--input_a")


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(1000)])
def test_what_is_no_video_is_one_line(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"^--input_a .*x\.mp4: ") as caught:
        Clip(tmp_path / "x.mp4", "--input_a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pixel", "angle", "shown"),
    [(Fraction(64, 27), None, (114, 32)), (Fraction(8, 9), None, (43, 32)), (Fraction(2), (0, 1, -1, 0), (32, 96))],
)
def test_pixels_are_square(tmp_path, pixel, angle, shown):
    path = encoded(tmp_path / "x.mp4", [flat(90)] * 3, pixel=pixel)
    clip = Clip(with_matrix(path, *angle) if angle else path, "--input_a")
    assert [frame.size for frame in clip] == [shown] * 3 and clip.size == shown


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.ts", "x.avi"])
@pytest.mark.parametrize("starts", [(0, 33, 5000), (0, 200, 400, 433, 467, 500)])
def test_frames_keep_their_own_times(tmp_path, name, starts):
    frames = [flat(grey) for grey in GREYS[: len(starts)]]
    codec = "libx264" if name == "x.ts" else "mpeg4"
    times = Clip(encoded(tmp_path / name, frames, codec, starts=starts, rate=30), "--input_a").times
    shown = [float(1000 * times.seconds(index)) for index in range(len(starts) + 1)]
    assert shown[:-1] == pytest.approx(starts, abs=0.1) and shown[-1] - starts[-1] == pytest.approx(33, abs=1.5)


def test_an_animation_of_one_frame_is_a_still_and_a_fast_one_slow(tmp_path):
    images = [Image.fromarray(frame) for frame in frames(3)]
    for kind in ("GIF", "WEBP", "PNG"):
        images[0].save(tmp_path / "one", format=kind, save_all=True, duration=40)
        assert not is_clip(tmp_path / "one")
        images[0].save(tmp_path / "x", format=kind, save_all=True, append_images=images[1:], duration=10)
        assert Clip(tmp_path / "x", "--input_a").rate == 10


def test_what_is_wrong_with_a_clip_is_said_once(tmp_path, capsys):
    first, *others = [Image.fromarray(frame) for frame in frames(4)]
    first.save(tmp_path / "x.webp", save_all=True, append_images=others, icc_profile=bytes(99))
    broken = damaged(encoded(tmp_path / "x.avi", [flat(g) for g in GREYS], "mjpeg", "yuvj420p"), 1, 4)
    hdr = encoded(
        tmp_path / "x.mkv", [flat(g) for g in GREYS], "libx264", options={"x264-params": "transfer=smpte2084"}
    )
    for path, count, words in ((tmp_path / "x.webp", 4, "profile"), (broken, 4, "2 damaged"), (hdr, 6, "HDR (PQ)")):
        clip = Clip(path, "--input_a")
        assert [len(list(clip)) for _ in range(3)] == [count] * 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"warning: --input_a {path}: ") and words in line


@pytest.mark.parametrize("where", ["a frame", "the file"])
def test_an_error_of_ffmpegs_in_mid_video_is_one_line(tmp_path, monkeypatch, where):
    clip = Clip(film(tmp_path / "x.mp4"), "--input_a")

    def fail(*_):
        raise av.error.PatchWelcomeError(0, "Not yet implemented in FFmpeg")

    if where == "a frame":
        monkeypatch.setattr("utils.video.Image.fromarray", fail)
    else:
        (tmp_path / "x.mp4").unlink()
    with pytest.raises(UserError, match=r"^--input_a .*x\.mp4: cannot be read"):
        list(clip)


def test_memory_does_not_grow_with_the_length(tmp_path):
    def use(count: int) -> None:
        path = film(tmp_path / "x.mp4", *(index % 256 for index in range(count)), size=(320, 240))
        assert sum(1 for _ in Clip(path, "--input_a")) == count

    use(60)  # The encoder looks ahead some fifty frames.
    short, long = peak_of(lambda: use(60)), peak_of(lambda: use(240))
    # 180 frames more are 41 MB as 8-bit pixels.
    assert long - short < 20e6
