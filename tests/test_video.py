"""Clips in, clips out: every frame once, in order, in its true colours; what is wrong is one line."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import (
    GREYS,
    cut_short,
    damaged,
    encoded,
    film,
    flat,
    with_matrix,
    without_default_duration,
)
from conftest import make_picture
from memory import peak_of
from PIL import Image, features
from profiles import PROPHOTO, rgb_profile

from training.frames import FrameStore
from utils.clips.kind import is_clip
from utils.clips.times import Times
from utils.video import Clip
from utils.video_writer import save_gif, video_writer
from utils.errors import UserError

ONE = Times.constant(Fraction(25), 1)


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


# Name: encoder, its pixels, FFmpeg's name of the container where the ending does not say it.
FILMS = {
    "x.flv": ("flv", "yuv420p"),
    "x.3gp": ("mpeg4", "yuv420p"),
    "x.ts": ("libx264", "yuv420p"),
    "x.vob": ("mpeg2video", "yuv420p"),
    "x.y4m": ("rawvideo", "yuv420p"),
    "x.mxf": ("mpeg2video", "yuv420p"),
    "x.asf": ("wmv2", "yuv420p"),
    "x.nut": ("ffv1", "yuv420p"),
    "x.qt": ("mpeg4", "yuv420p", "mov"),
    "x.divx": ("mpeg4", "yuv420p", "avi"),
    "x.mpe": ("mpeg1video", "yuv420p", "mpeg"),
    "x.m1v": ("mpeg1video", "yuv420p", "mpeg1video"),
    "x.264": ("libx264", "yuv420p", "h264"),
    "x.mjpeg": ("mjpeg", "yuvj420p"),
    "x.f4v": ("libx264", "yuv420p"),
    "x.gif": ("libvpx", "yuv420p", "webm"),
    "x.jpg": ("libx264", "yuv420p", "matroska"),
    "film": ("libx264", "yuv420p", "mp4"),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_known_by_its_content(tmp_path, name):
    codec, kind, *muxer = FILMS[name]
    path = encoded(tmp_path / name, [flat(grey) for grey in GREYS], codec, kind, muxer=muxer[0] if muxer else None)
    assert is_clip(path)
    clip = Clip(path, "--input_a")
    assert (len(clip), clip.size, clip.rate) == (6, (48, 32), 25)
    assert greys(clip) == pytest.approx(GREYS, abs=4)


ANIMATED = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}}
if features.check("avif"):  # from Pillow 11.3 on
    ANIMATED["AVIF"] = {"quality": 100}


@pytest.fixture(params=ANIMATED)
def animated(request, tmp_path):
    """`animated(greys, durations)`: an animated image with a name that says nothing."""

    def make(shown, durations, **more) -> Path:
        first, *others = [Image.fromarray(flat(grey)) for grey in shown]
        path = tmp_path / "x.mp4"
        options = {"save_all": True, "append_images": others, "duration": durations, **ANIMATED[request.param], **more}
        first.save(path, format=request.param, **options)
        return path

    return make


def test_an_animated_image_is_a_clip_with_times_of_its_own(animated):
    path = animated(GREYS[:4], [40, 80, 120, 160])
    assert is_clip(path)
    clip = Clip(path, "--input_a")
    assert (clip.size, clip.rate) == ((48, 32), 10)
    assert [1000 * clip.times.seconds(index) for index in range(5)] == [0, 40, 120, 240, 400]
    assert greys(clip) == pytest.approx(GREYS[:4], abs=2)


def test_frames_too_fast_for_browsers_last_a_tenth_of_a_second(animated):
    assert Clip(animated(GREYS[:3], [10, 10, 10]), "--input_a").rate == 10


def test_an_animated_image_of_one_frame_is_a_still(animated):
    assert not is_clip(animated(GREYS[:1], 40))


def test_the_image_before_an_animation_does_not_belong_to_it(tmp_path):
    first, *others = [Image.fromarray(flat(grey)) for grey in GREYS[:3]]
    first.save(tmp_path / "x.png", save_all=True, append_images=others, default_image=True)
    assert greys(Clip(tmp_path / "x.png", "--input_a")) == [60, 100]
    first.save(tmp_path / "x.png", save_all=True, append_images=others[:1], default_image=True)
    assert not is_clip(tmp_path / "x.png")


def test_images_texts_and_what_is_missing_are_no_clips(tmp_path):
    image = Image.fromarray(flat(9))
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TGA", "ICO"):
        image.save(tmp_path / "x.mp4", format=kind)
        assert not is_clip(tmp_path / "x.mp4")
    image.save(tmp_path / "x.tif", save_all=True, append_images=[image, image])
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tmp_path / "x.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    telephone = encoded(tmp_path / "x.heic", [flat(9)], "mpeg4", muxer="mp4")
    telephone.write_bytes(telephone.read_bytes().replace(b"ftypisom", b"ftypheic"))
    for name in ("x.tif", "x.png", "x.svg", "x.heic", "x" * 5000, "no/such.mkv"):
        assert not is_clip(tmp_path / name)


def test_a_title_in_another_encoding(tmp_path):
    path = encoded(tmp_path / "x.avi", [flat(90)] * 3, title="TITLE HERE")
    path.write_bytes(path.read_bytes().replace(b"TITLE HERE", "Été à Köln".encode("latin-1")))
    assert is_clip(path)
    assert len(Clip(path, "--input_a")) == 3


def test_a_text_is_no_film(tmp_path):
    (tmp_path / "x.txt").write_text("no film\n" * 100)  # FFmpeg shows texts in 25 frames a second.
    assert "no film in it" in error(tmp_path / "x.txt")


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


def corners(size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """A frame whose quarters differ."""
    pixels = flat(20, size)
    pixels[: size[1] // 2, size[0] // 2 :] = 90
    pixels[size[1] // 2 :, : size[0] // 2] = 160
    pixels[size[1] // 2 :, size[0] // 2 :] = 230
    return pixels


@pytest.mark.parametrize("pixel", [None, Fraction(2)])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("one", [1, -1])
@pytest.mark.parametrize("two", [1, -1])
def test_a_film_is_turned_and_mirrored_as_its_matrix_says(tmp_path, swap, one, two, pixel):
    a, b, c, d = (0, one, two, 0) if swap else (one, 0, 0, two)
    with_matrix(encoded(tmp_path / "x.mp4", [corners()], pixel=pixel), a, b, c, d)
    clip = Clip(tmp_path / "x.mp4", "--input_a")
    width = 48 if pixel is None else 96
    assert clip.size == ((32, width) if swap else (width, 32))
    (shown,) = (np.asarray(frame) for frame in clip)
    for x, y, grey in ((-1, -1, 20), (1, -1, 90), (-1, 1, 160), (1, 1, 230)):
        # From the middle of the frame to the middle of a quarter.
        across, down = a * x + c * y, b * x + d * y
        row, column = (shown.shape[0] * (2 + down) // 4, shown.shape[1] * (2 + across) // 4)
        assert abs(int(shown[row, column].mean()) - grey) < 8


@pytest.mark.parametrize(
    ("name", "codec", "muxer", "size", "pixel", "shown"),
    [
        ("x.mp4", "libx264", None, (48, 64), Fraction(64, 27), (114, 64)),  # 16:9
        ("x.mkv", "mpeg4", None, (72, 48), Fraction(8, 9), (64, 48)),  # NTSC
        ("x.mpg", "mpeg2video", None, (72, 58), Fraction(64, 45), (103, 58)),  # PAL, wide
        ("x.264", "libx264", "h264", (32, 24), Fraction(2), (64, 24)),
        ("x.mkv", "mpeg4", None, (32, 24), Fraction(200), (32, 24)),  # damaged
    ],
)
def test_pixels_are_square(tmp_path, name, codec, muxer, size, pixel, shown):
    clip = Clip(encoded(tmp_path / name, [corners(size)] * 3, codec, muxer=muxer, pixel=pixel), "--input_a")
    assert clip.size == shown
    assert all(frame.size == shown for frame in clip)


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("x.mov", "png", "rgba"),
        ("x.mov", "png", "ya8"),
        ("x.mov", "png", "rgba64be"),
        ("x.mov", "qtrle", "argb"),
        ("x.mov", "prores_ks", "yuva444p10le"),
        ("x.mkv", "ffv1", "yuva420p"),
        ("x.mkv", "ffv1", "bgra"),
        ("x.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_transparency_becomes_white(tmp_path, name, codec, kind):
    pixels = np.dstack([flat(60), np.full((32, 48), 255, np.uint8)])
    pixels[:, :16, 3] = 0
    pixels[:, 16:32, 3] = 128
    for frame in Clip(encoded(tmp_path / name, [pixels] * 3, codec, kind), "--input_a"):
        shown = np.asarray(frame, int)[16, [4, 24, 44]]
        assert np.abs(shown - [[255] * 3, [157] * 3, [60] * 3]).max() <= 8


def test_transparency_of_an_animation_becomes_white(animated, tmp_path):
    first, second = (Image.fromarray(np.dstack([flat(60), np.full((32, 48), alpha, np.uint8)])) for alpha in (0, 255))
    kind = Image.open(animated(GREYS[:2], 100)).format
    first.save(tmp_path / "x", format=kind, save_all=True, append_images=[second], duration=100, **ANIMATED[kind])
    assert greys(Clip(tmp_path / "x", "--input_a")) == pytest.approx([255, 60], abs=2)


@pytest.mark.parametrize("kind", sorted(ANIMATED.keys() - {"GIF"}))  # GIF has neither
def test_profile_and_orientation_of_an_animation(tmp_path, kind):
    first, *others = [Image.fromarray(flat((150, 100, 60))) for _ in range(3)]
    first.paste("white", (0, 0, 24, 32))
    others[1].paste("white", (0, 0, 24, 32))
    options = {"icc_profile": rgb_profile(PROPHOTO, 1.8), **ANIMATED[kind]}
    if kind != "AVIF":  # Pillow crashes when it is to write one that lies.
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6  # What is on the left is to be seen at the top.
    first.save(tmp_path / "x", format=kind, save_all=True, append_images=others, duration=100, **options)
    shown = [np.asarray(frame, int) for frame in Clip(tmp_path / "x", "--input_a")]
    if kind == "AVIF":
        shown = [frame.swapaxes(0, 1) for frame in shown]
    for frame, top in zip(shown, (255, (207, 105, 66), 255), strict=True):
        assert frame.shape == (48, 32, 3)
        assert np.abs(frame[:20] - top).max() <= 3
        assert np.abs(frame[28:] - (207, 105, 66)).max() <= 3


def test_an_animation_whose_profile_is_damaged_is_told_once(tmp_path, capsys):
    first, *others = [Image.fromarray(flat(grey)) for grey in GREYS]
    first.save(tmp_path / "x", format="WEBP", save_all=True, append_images=others, lossless=True, icc_profile=bytes(99))
    assert greys(Clip(tmp_path / "x", "--input_a")) == list(GREYS)
    line = f"warning: --input_a {tmp_path / 'x'}: its colour profile is damaged and is left out\n"
    assert capsys.readouterr().err == line


def test_an_animation_among_damaged_notes(tmp_path):
    first, *others = [Image.fromarray(flat(grey)) for grey in GREYS[:3]]
    first.save(tmp_path / "x.png", save_all=True, append_images=others)
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[:33] + b"\0\0\0\4tEXtwrong sum"[:16] + content[33:])
    assert is_clip(tmp_path / "x.png")
    assert greys(Clip(tmp_path / "x.png", "--input_a")) == list(GREYS[:3])


# Times.


def milliseconds(clip: Clip) -> list[float]:
    return [round(float(1000 * clip.times.seconds(index)), 1) for index in range(len(clip) + 1)]


@pytest.mark.parametrize("name", ["x.mkv", "none.mkv", "x.mp4", "x.mov", "x.nut", "x.ts", "x.flv", "x.asf", "x.avi"])
@pytest.mark.parametrize("starts", [(0, 33, 5000), (0, 200, 400, 433, 467, 500)])
def test_frames_keep_their_own_times(tmp_path, name, starts):
    codec = {".ts": "libx264", ".flv": "flv"}.get(Path(name).suffix, "mpeg4")
    path = encoded(tmp_path / name, [flat(grey) for grey in GREYS[: len(starts)]], codec, starts=starts, rate=30)
    clip = Clip(without_default_duration(path) if name == "none.mkv" else path, "--input_a")
    assert milliseconds(clip)[:-1] == list(starts)
    # As long as is usual in this film.
    assert milliseconds(clip)[-1] - starts[-1] == pytest.approx(33, abs=1.5)


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.ts", "x.nut"])
def test_a_film_that_does_not_start_at_0(tmp_path, name):
    codec = "libx264" if name == "x.ts" else "mpeg4"
    starts = [7000 + 40 * index for index in range(6)]
    clip = Clip(encoded(tmp_path / name, [flat(grey) for grey in GREYS], codec, starts=starts), "--input_a")
    assert clip.times == Times.constant(Fraction(25), 6)


@pytest.mark.parametrize(
    ("name", "codec", "muxer", "rate"),
    [
        ("x.264", "libx264", "h264", Fraction(30)),
        ("x.265", "libx265", "hevc", Fraction(50)),
        ("x.m2v", "mpeg2video", "mpeg2video", Fraction(24000, 1001)),
        ("x.y4m", "rawvideo", None, Fraction(30000, 1001)),
        ("x.mkv", "mpeg4", None, Fraction(24000, 1001)),
    ],
)
@pytest.mark.parametrize("count", [1, 6])
def test_the_rate_of_a_film_without_times_or_with_a_coarse_clock(tmp_path, name, codec, muxer, rate, count):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    frames = [flat(grey, (64, 48)) for grey in GREYS[:count]]
    path = encoded(tmp_path / name, frames, codec, muxer=muxer, rate=rate, options=options)
    assert Clip(path, "--input_a").times == Times.constant(rate, count)


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


INTRA = [
    ("x.avi", "mjpeg", "yuvj420p"),
    ("x.mov", "png", "rgb24"),
    ("x.mov", "prores_ks", "yuv422p10le"),
    ("x.mp4", "libx264", "yuv420p"),
    ("x.avi", "mpeg4", "yuv420p"),
]


@pytest.mark.parametrize(("name", "codec", "kind"), INTRA)
@pytest.mark.parametrize(("numbers", "words"), [((4,), "frame 4 is"), ((1, 5), "frames 1, 5 are")])
def test_damaged_frames_are_left_out(tmp_path, capsys, name, codec, kind, numbers, words):
    options = {"bf": "0", "g": "1"} if codec in ("libx264", "mpeg4") else {}
    path = damaged(encoded(tmp_path / name, [flat(grey) for grey in GREYS], codec, kind, options=options), *numbers)
    clip = Clip(path, "--input_a")
    assert capsys.readouterr().err == f"warning: --input_a {path}: {words} damaged and left out\n"
    good = [index for index in range(6) if index + 1 not in numbers]
    assert greys(clip) == pytest.approx([GREYS[index] for index in good], abs=4)
    # The others are shown when they were.
    assert milliseconds(clip)[:-1] == [40 * (index - good[0]) for index in good]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "codec", "kind", "options"),
    [
        ("x.mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
        ("x.mkv", "ffv1", "yuv420p", {}),
        ("x.webm", "libvpx", "yuv420p", {}),
        ("x.avi", "mjpeg", "yuvj420p", {}),
        ("x.flv", "flv", "yuv420p", {}),
        ("x.mxf", "mpeg2video", "yuv420p", {}),
    ],
)
def test_a_film_cut_short_gives_the_frames_it_has(tmp_path, capsys, name, codec, kind, options):
    noise = np.random.default_rng(1)
    frames = [noise.integers(0, 256, (32, 48, 3), dtype=np.uint8) for _ in range(8)]
    clip = Clip(cut_short(encoded(tmp_path / name, frames, codec, kind, muxer_options=options), 5), "--input_a")
    assert clip.times == Times.constant(Fraction(25), 4)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: --input_a {clip.path}: ")
    assert "it ends" in line


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_an_animation_cut_short_gives_the_frames_it_has(tmp_path, capsys, kind):
    noise = np.random.default_rng(1)
    first, *others = [Image.fromarray(noise.integers(0, 256, (32, 48, 3), dtype=np.uint8)) for _ in range(4)]
    first.save(tmp_path / "x", format=kind, save_all=True, append_images=others, duration=100)
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(content[: len(content) * 5 // 8])
    assert len(list(Clip(tmp_path / "x", "--input_a"))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "frame 3 is damaged" in line


def test_a_film_without_a_good_frame(tmp_path):
    path = encoded(tmp_path / "x.avi", [flat(grey) for grey in GREYS], "mjpeg", "yuvj420p")
    assert "no frames that can be decoded" in error(damaged(path, *range(1, 7)))


def test_a_film_that_changes_while_it_is_used(tmp_path):
    clip = Clip(film(tmp_path / "x.mp4"), "--input_a")
    film(tmp_path / "x.mp4", 1, 2, 3)
    with pytest.raises(UserError, match="has changed"):
        list(clip)


def test_a_cover_is_no_film(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        cover, stream = (container.add_stream(codec, rate=25) for codec in ("png", "mpeg4"))
        cover.disposition = av.stream.Disposition.attached_pic.value
        films = (cover, "rgb24", (400, 300), 1), (stream, "yuv420p", (48, 32), 3)
        for made, kind, size, _ in films:
            made.width, made.height, made.pix_fmt = *size, kind
        for made, kind, size, count in films:
            for pts in range(count):
                frame = av.VideoFrame.from_ndarray(flat(90, size), "rgb24").reformat(format=kind)
                frame.pts = pts
                container.mux(made.encode(frame))
            container.mux(made.encode(None))
    clip = Clip(tmp_path / "x.mp4", "--input_a")
    assert (clip.size, len(clip)) == ((48, 32), 3)


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


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert "no images" in error(tmp_path)


def test_frames_with_profiles_that_cannot_be_used_are_told_in_one_line(tmp_path, capsys):
    for number, grey in enumerate(GREYS[:3], start=1):
        Image.fromarray(flat(grey)).save(tmp_path / f"{number}.png", icc_profile=b"no profile")
    clip = Clip(tmp_path, "--input_a")
    line = f"warning: --input_a {tmp_path}: 1.png and 2 more: its colour profile is damaged and is left out\n"
    assert capsys.readouterr().err == line
    assert greys(clip) == list(GREYS[:3])
    assert capsys.readouterr().err == ""


def test_a_folder_from_a_telephone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "1.HEIC").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(200))
    with pytest.raises(UserError, match=r"1\.HEIC: .*pip install pillow-heif"):
        Clip(tmp_path, "--input_a")


def test_a_folder_with_two_sizes(tmp_path):
    frames_folder(tmp_path, "1.png", "2.png")
    make_picture(tmp_path / "3.png", 1, size=(48, 33))
    assert "frame 3 is 48x33 pixels, the ones before 48x32; a folder is a clip" in error(tmp_path)


def test_a_folder_with_a_damaged_image(tmp_path):
    frames_folder(tmp_path, "1.png", "2.png")
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    assert f"{tmp_path / '2.png'}: cannot be read" in error(tmp_path)


def test_a_film_that_vanishes(tmp_path):
    clip = Clip(film(tmp_path / "x.mp4"), "--input_a")
    clip.path.unlink()
    with pytest.raises(UserError, match="cannot be decoded, as an image or a film: No such file"):
        list(clip)


# Writing.


@pytest.mark.parametrize("size", [(48, 32), (47, 33), (1, 1)])
def test_written_colours_come_back(tmp_path, size):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (255, 255, 255), (0, 0, 0), (16, 200, 240)]
    with video_writer(tmp_path / "x.mp4", Times.constant(Fraction(12), len(colours)), size) as write:
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
    with pytest.raises(KeyboardInterrupt), video_writer(path, ONE, (48, 32)) as write:
        write(flat(3))
        (unfinished,) = set(tmp_path.iterdir()) - {path}
        assert unfinished.name.startswith(".x.mp4.")
        assert unfinished.suffix == ".tmp"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="0 frames in a film of 1"), video_writer(tmp_path / "x.mp4", ONE, (48, 32)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shape"), video_writer(tmp_path / "x.mp4", ONE, (48, 32)) as write:
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
        video_writer(tmp_path / "x.mp4", Times.constant(Fraction(25), 3), (64, 64)) as write,
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
    save_gif((flat(grey) for grey in GREYS), tmp_path / "x.gif", Times.constant(rate, 6))
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
    save_gif([flat(77)], tmp_path / "x.gif", ONE)
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
