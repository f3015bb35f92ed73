"""Clips in, clips out: every frame once, in order, in its true colours; what is wrong is one line."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import GREYS, film, flat
from conftest import make_picture
from memory import peak_of
from PIL import Image

from training.frames import FrameStore
from utils.clips.video import Clip, is_clip, save_gif, video_writer
from utils.errors import UserError


def greys(clip) -> list[int]:
    """The mean of each frame."""
    return [round(float(np.asarray(frame).mean())) for frame in clip]


def frames_folder(folder: Path, *names: str, size: tuple[int, int] = (48, 32)) -> Path:
    """A folder of flat pictures, the greys in the order of the names."""
    folder.mkdir(exist_ok=True)
    for name, grey in zip(names, GREYS, strict=False):
        Image.fromarray(flat(grey, size)).save(folder / name)
    return folder


def error(path: Path, min_side: int = 1) -> str:
    """What opening says."""
    with pytest.raises(UserError) as caught:
        Clip(path, "--input_a", min_side)
    message = str(caught.value)
    assert message.startswith(f"--input_a {path}")
    assert "\n" not in message
    return message


# Reading.


def test_what_is_a_clip(tmp_path):
    assert is_clip(tmp_path)
    assert all(is_clip(Path(name)) for name in ("x.mp4", "x.MOV", "no/such.mkv"))
    assert not any(is_clip(Path(name)) for name in ("x.png", "x.gif", "mp4", "x", "x" * 5000))


def test_a_film_again_and_again(tmp_path):
    clip = Clip(film(tmp_path / "x.mp4", rate=Fraction(30000, 1001)), "--input_a")
    assert len(clip) == 6
    assert clip.size == (48, 32)
    assert clip.rate == Fraction(30000, 1001)
    for _ in range(2):
        assert greys(clip) == pytest.approx(GREYS, abs=2)
    first = [next(iter(clip)), next(iter(clip))]
    assert first[0].mode == "RGB"
    assert first[0] == first[1]


@pytest.mark.parametrize("name", ["two words.mp4", "a:b.mp4", "-dash.mp4", "Übersicht 日本.mp4", "100%d.mp4"])
def test_any_file_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert len(Clip(film(Path(name)), "--input_a")) == 6


def test_a_folder_in_natural_order(tmp_path):
    folder = frames_folder(tmp_path / "frames", "f1.png", "f2.PNG", "F10.jpg", "f100.tif")
    for name in ("Thumbs.db", "notes.txt", ".hidden.png", "film.mpg", "no_ending"):
        (folder / name).write_bytes(b"no picture")
    clip = Clip(folder, "--input_a")
    assert (len(clip), clip.size, clip.rate) == (4, (48, 32), 25)
    for _ in range(2):
        assert greys(clip) == [20, 60, 100, 140]


@pytest.mark.parametrize(
    ("codec", "kind", "matrix", "wide", "ending"),
    [
        ("libx264", "yuv420p", 1, False, "mp4"),
        ("libx264", "yuv420p", 6, False, "mkv"),
        ("libx264", "yuv420p", 2, False, "mp4"),
        ("libx264", "yuv420p", 1, True, "mp4"),
        ("libx264", "yuv444p", 6, True, "mov"),
        ("mjpeg", "yuvj420p", 2, True, "avi"),
        ("mpeg2video", "yuv420p", 2, False, "mpg"),
        ("libvpx-vp9", "yuv420p", 1, False, "webm"),
        ("ffv1", "bgr0", 2, False, "mkv"),
        ("png", "rgb24", 2, False, "mov"),
    ],
)
def test_colours_as_the_film_says(tmp_path, codec, kind, matrix, wide, ending):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (128, 128, 128), (16, 200, 240)]
    pixels = np.concatenate([flat(colour, (32, 32)) for colour in colours], axis=1)
    with av.open(str(tmp_path / f"x.{ending}"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 192, 32, kind, 4_000_000
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 2 if wide else 1
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        if frame.format.name != kind:
            space, span = 1 if matrix == 1 else 5, 2 if wide or kind == "bgr0" else 1
            frame = frame.reformat(format=kind, src_color_range=2, dst_colorspace=space, dst_color_range=span)
        for pts in range(3):
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for frame in Clip(tmp_path / f"x.{ending}", "--input_a"):
        assert np.abs(np.asarray(frame)[16, 16::32].astype(int) - colours).max() <= 5


def test_a_film_is_turned_upright(tmp_path):
    # A telephone held upright: encoded lying, to be turned a quarter clockwise, so left becomes top.
    lying = flat(255)
    lying[:, :16] = 0
    with video_writer(tmp_path / "x.mp4", Fraction(25), (48, 32)) as write:
        write(lying)
    content = bytearray((tmp_path / "x.mp4").read_bytes())
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "x.mp4").write_bytes(content)
    clip = Clip(tmp_path / "x.mp4", "--input_a")
    assert clip.size == (32, 48)
    (upright,) = (np.asarray(frame) for frame in clip)
    assert upright[:14].max() < 10
    assert upright[18:].min() > 245


def test_the_fingerprint_is_of_the_content(tmp_path):
    film(tmp_path / "two.mp4", 1, 2, 3)
    (tmp_path / "copy.mp4").write_bytes(film(tmp_path / "one.mp4").read_bytes())
    prints = [Clip(tmp_path / f"{name}.mp4", "--input_a").fingerprint() for name in ("one", "copy", "two")]
    assert prints[0] == prints[1] != prints[2]
    folder = frames_folder(tmp_path / "frames", "2.png", "10.png")
    before = Clip(folder, "--input_a").fingerprint()
    (folder / "10.png").rename(folder / "1.png")
    assert Clip(folder, "--input_a").fingerprint() != before


# What is wrong.


def test_no_such_file(tmp_path):
    assert "no such file or folder" in error(tmp_path / "x.mp4")


def test_a_text_called_film(tmp_path):
    (tmp_path / "x.mp4").write_text("no film\n" * 100)
    assert "cannot be decoded" in error(tmp_path / "x.mp4")


def test_half_a_film(tmp_path):
    path = film(tmp_path / "x.mp4")
    path.write_bytes(path.read_bytes()[:-300])
    assert "cannot be decoded" in error(path)


def test_an_empty_file(tmp_path):
    (tmp_path / "x.mp4").touch()
    assert "cannot be decoded" in error(tmp_path / "x.mp4")


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    assert "no film" in error(tmp_path / "x.mkv")


def test_a_film_that_changes_its_size(tmp_path):
    # Two streams of a format without a header, one after the other.
    parts = []
    for size in ((48, 32), (64, 32)):
        with av.open(str(tmp_path / "part.mpg"), "w", format="mpeg2video") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for pts in range(3):
                frame = av.VideoFrame.from_ndarray(flat(90, size), "rgb24").reformat(format="yuv420p")
                frame.pts = pts
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append((tmp_path / "part.mpg").read_bytes())
    (tmp_path / "x.mpg").write_bytes(b"".join(parts))
    assert "64x32 pixels, the ones before 48x32" in error(tmp_path / "x.mpg")


def test_too_small(tmp_path):
    film(tmp_path / "x.mp4")
    Clip(tmp_path / "x.mp4", "--input_a", min_side=32)
    assert "is 48x32 pixels; at least 33" in error(tmp_path / "x.mp4", min_side=33)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert "no pictures" in error(tmp_path)


def test_a_folder_with_two_sizes(tmp_path):
    frames_folder(tmp_path, "1.png", "2.png")
    make_picture(tmp_path / "3.png", 1, size=(48, 33))
    assert "frame 3 is 48x33 pixels, the ones before 48x32" in error(tmp_path)


def test_a_folder_with_a_damaged_picture(tmp_path):
    frames_folder(tmp_path, "1.png", "2.png")
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    assert f"{tmp_path / '2.png'}: cannot be read" in error(tmp_path)


def test_a_film_that_vanishes(tmp_path):
    clip = Clip(film(tmp_path / "x.mp4"), "--input_a")
    clip.path.unlink()
    with pytest.raises(UserError, match="cannot be decoded: No such file"):
        list(clip)


# Writing.


@pytest.mark.parametrize("size", [(48, 32), (47, 33), (1, 1)])
def test_written_colours_come_back(tmp_path, size):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (255, 255, 255), (0, 0, 0), (16, 200, 240)]
    with video_writer(tmp_path / "x.mp4", Fraction(12), size) as write:
        for colour in colours:
            write(flat(colour, size))
    clip = Clip(tmp_path / "x.mp4", "--input_a")
    assert (len(clip), clip.rate) == (len(colours), 12)
    assert clip.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    for frame, colour in zip(clip, colours, strict=True):
        assert np.abs(np.asarray(frame, int) - colour).max() <= 4


def test_a_written_film_says_what_it_is(tmp_path):
    with av.open(str(film(tmp_path / "x.mp4"))) as container:
        (stream,) = container.streams
        frame = next(container.decode(stream))
        assert stream.codec_context.name == "h264"
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 6, 1)
        assert stream.duration * stream.time_base == Fraction(6, 25)


def test_an_interrupted_film_leaves_the_old_one(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), video_writer(path, Fraction(25), (48, 32)) as write:
        write(flat(3))
        (unfinished,) = set(tmp_path.iterdir()) - {path}
        assert unfinished.name.startswith(".x.mp4.")
        assert unfinished.suffix == ".tmp"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without frames"), video_writer(tmp_path / "x.mp4", Fraction(25), (48, 32)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shape"), video_writer(tmp_path / "x.mp4", Fraction(25), (48, 32)) as write:
        write(flat(3, (32, 48)))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def limit_files():
    """`limit_files(n)`: no file may grow beyond n bytes, which ends like a full disk."""
    resource = pytest.importorskip("resource", reason="limits as POSIX has them")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [0, 4000])
def test_a_full_disk_leaves_nothing(tmp_path, limit_files, limit):
    noise = np.random.default_rng(1)
    limit_files(limit)
    with (
        pytest.raises(OSError, match="File too large"),
        video_writer(tmp_path / "x.mp4", Fraction(25), (64, 64)) as write,
    ):
        for _ in range(3):
            write(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rate", "durations"),
    [
        (Fraction(25), [40] * 6),
        (Fraction(30), [30, 40, 30] * 2),
        (Fraction(60), [30, 40, 30]),
        (Fraction(1), [1000] * 6),
    ],
)
def test_gif(tmp_path, rate, durations):
    save_gif((flat(grey) for grey in GREYS), tmp_path / "x.gif", rate)
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.n_frames == len(durations)
        assert gif.info["loop"] == 0
        shown = []
        for index, duration in enumerate(durations):
            gif.seek(index)
            assert gif.info["duration"] == duration
            shown.append(gif.convert("RGB"))
    assert greys(shown) == list(GREYS[:: 6 // len(durations)])


def test_gif_of_one_frame(tmp_path):
    save_gif([flat(77)], tmp_path / "x.gif", Fraction(25))
    assert greys([Image.open(tmp_path / "x.gif").convert("RGB")]) == [77]


# Memory.


def test_memory_does_not_grow_with_the_length(tmp_path):
    def use(count: int) -> None:
        film(tmp_path / "x.mp4", *(index % 256 for index in range(count)), size=(320, 240))
        with FrameStore(Clip(tmp_path / "x.mp4", "--input_a"), (240, 320), torch.device("cpu"), tmp_path) as store:
            assert sum(store[index].shape[0] for index in range(len(store))) == count

    use(60)  # The encoder looks ahead some fifty frames.
    short, long = peak_of(lambda: use(60)), peak_of(lambda: use(240))
    # 180 frames more are 41 MB as 8-bit pixels.
    assert long - short < 20e6
