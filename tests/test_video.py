"""Reading and writing clips: frames, times, sizes, and what is refused."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import GREYS, encoded, film, flat, steady, with_matrix
from memory import peak_of
from PIL import Image

from utils.arguments import seconds
from utils.errors import Stopped, UserError
from utils.video import Clip, Excerpt, is_clip
from utils.video_writer import even_size, video_writer

IMAGES = [Image.fromarray(flat(grey)) for grey in GREYS]


def milliseconds(clip: Clip) -> list[float]:
    return [float(1000 * time) for time in clip.times]


def animation(path, kind: str, duration: int | list[int], count: int = 3, **options) -> Clip:
    others = IMAGES[1:count]
    IMAGES[0].save(path, format=kind, save_all=True, append_images=others, duration=duration, **options)
    return Clip(path, "--input_a")


def test_a_video_comes_back_with_its_frames_times_and_size(tmp_path):
    path, times = tmp_path / "a:b.mp4", [Fraction(n, 100) for n in (0, 10, 15, 40, 70)]
    with video_writer(path, times, (48, 32)) as write:
        for grey in GREYS[:4]:
            write(flat(grey))
    clip = Clip(path, "--input_a")
    assert (len(clip), clip.size) == (4, (48, 32))
    assert milliseconds(clip) == pytest.approx([0, 100, 150, 400, 700], abs=0.1)
    assert [np.asarray(frame).mean() for frame in clip] == pytest.approx(GREYS[:4], abs=4)
    assert is_clip(path)
    assert even_size((48, 27)) == (26, 48)


@pytest.mark.parametrize("colorspace", [1, 6])
def test_colours_of_a_video(tmp_path, colorspace):
    frame = np.full((32, 48, 3), (200, 60, 30), np.uint8)
    path = encoded(tmp_path / "x.mp4", [frame], "libx264", colorspace=colorspace, options={"crf": "1"})
    with video_writer(own := tmp_path / "y.mp4", steady(25, 1), (48, 32)) as write:
        write(frame)
    for file in (path, own):
        (shown,) = Clip(file, "--input_a")
        assert shown.getpixel((24, 16)) == pytest.approx((200, 60, 30), abs=3)


def test_a_stopped_video_ends_with_the_frames_made_so_far(tmp_path):
    for error, number in ((Stopped, 3), (Stopped, 0), (ValueError, 2)):
        path = tmp_path / f"{number}.mp4"
        with pytest.raises(error), video_writer(path, steady(10, 5), (48, 32)) as write:
            for grey in GREYS[:number]:
                write(flat(grey))
            raise error
        assert path.exists() == (number == 3)
    assert milliseconds(Clip(tmp_path / "3.mp4", "--input_a")) == pytest.approx([0, 100, 200, 300], abs=0.1)


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.ts", "x.avi"])
@pytest.mark.parametrize("starts", [(0, 33, 5000), (0, 200, 400, 433, 467, 500)])
def test_frames_keep_their_own_times(tmp_path, name, starts):
    frames = [flat(grey) for grey in GREYS[: len(starts)]]
    codec = "libx264" if name == "x.ts" else "mpeg4"
    *shown, end = milliseconds(Clip(encoded(tmp_path / name, frames, codec, starts=starts, rate=30), "--input_a"))
    assert shown == pytest.approx(starts, abs=0.1) and end - shown[-1] == pytest.approx(33, abs=1.5)


def test_a_video_that_does_not_say_its_times_has_a_constant_rate(tmp_path):
    path = encoded(tmp_path / "x.h264", [flat(grey) for grey in GREYS], "libx264")
    assert milliseconds(Clip(path, "--input_a")) == [40 * index for index in range(7)]


@pytest.mark.parametrize(
    ("kind", "matrix", "pixel", "shown", "bright"),
    [
        # The matrix turns clockwise: the corner that is bright as it is stored, at the top left, goes on to the next.
        ("mp4", (0, 1, -1, 0), None, (32, 48), (-4, 3)),
        ("mp4", (-1, 0, 0, -1), None, (48, 32), (-4, -4)),
        ("mp4", (0, -1, 1, 0), None, (32, 48), (3, -4)),
        ("mp4", (0, 1, -1, 0), Fraction(2), (32, 96), (-4, 3)),
        ("mkv", None, Fraction(64, 27), (114, 32), (3, 3)),
        ("mpg", None, Fraction(12, 13), (44, 32), (3, 3)),
    ],
)
def test_a_video_is_shown_upright_with_square_pixels(tmp_path, kind, matrix, pixel, shown, bright):
    picture = flat(0)
    picture[:16, :24] = 255
    path = encoded(tmp_path / f"x.{kind}", [picture], "mpeg1video" if kind == "mpg" else "mpeg4", pixel=pixel)
    (frame,) = clip = Clip(with_matrix(path, *matrix) if matrix else path, "--input_a")
    assert is_clip(path) and frame.size == clip.size == shown
    assert np.asarray(frame)[bright[1], bright[0]].mean() > 200


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_images(tmp_path, kind):
    # The last frame is as long as it says, and 10 ms are too fast.
    assert milliseconds(animation(tmp_path / "x", kind, [1000, 1000, 120])) == [0, 1000, 2000, 2120]
    assert milliseconds(animation(tmp_path / "x", kind, 10)) == [0, 100, 200, 300]
    IMAGES[0].save(tmp_path / "one", format=kind, save_all=True, duration=40)
    assert is_clip(tmp_path / "x") and not is_clip(tmp_path / "one")


def test_a_folder_of_frames(tmp_path):
    for name, level in (("10.png", 200), ("2.png", 100), (".hidden.png", 0)):
        Image.new("RGB", (20, 16), (level,) * 3).save(tmp_path / name)
    (tmp_path / "notes.txt").write_bytes(b"no image")
    clip = Clip(tmp_path, "--input_a")
    assert [frame.getpixel((0, 0))[0] for frame in clip] == [100, 200] and milliseconds(clip) == [0, 40, 80]
    assert milliseconds(Clip(tmp_path, "--input_a", excerpt=Excerpt(fps=12.5))) == [0, 80, 160]
    Image.new("RGB", (22, 16)).save(tmp_path / "11.png")
    with pytest.raises(UserError, match="frame 3 differs in size"):
        Clip(tmp_path, "--input_a")


@pytest.mark.parametrize(
    ("excerpt", "greys", "times"),
    [
        ({"start": 0.04, "frames": 2, "every": 2}, (60, 140), (0, 80, 160)),
        ({"start": 0.05, "every": 3}, (100, 220), (0, 120, 160)),
        ({"frames": 100}, GREYS, range(0, 280, 40)),
    ],
)
def test_an_excerpt(tmp_path, excerpt, greys, times):
    path = film(tmp_path / "x.mp4")
    clip = Clip(path, "--input_a", excerpt=Excerpt(**excerpt))
    assert [np.asarray(frame).mean() for frame in clip] == pytest.approx(greys, abs=4) and len(clip) == len(greys)
    assert milliseconds(clip) == pytest.approx(list(times), abs=0.1)
    assert [seconds(text) for text in ("4", "1:30", "1:02:30.5", "0:0.04")] == [4, 90, 3750.5, 0.04]
    for wrong, error in (({"start": 0.3}, "--start 0.3: .* it lasts 0.24 s"), ({"fps": 10}, "--fps: ")):
        with pytest.raises(UserError, match=error):
            Clip(path, "--input_a", excerpt=Excerpt(**wrong))


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mpg", "x.avi"])
def test_what_lies_before_an_excerpt_is_not_decoded(tmp_path, monkeypatch, name):
    path = encoded(tmp_path / name, [flat(2 * index) for index in range(120)], "mpeg2video", options={"g": "12"})
    decoded, to_image = [], av.VideoFrame.to_image
    monkeypatch.setattr(av.VideoFrame, "to_image", lambda *args, **more: decoded.append(1) or to_image(*args, **more))
    for start in (0.5, 3.0, 4.76):
        clip, index = Clip(path, "--input_a", excerpt=Excerpt(start=start, frames=2)), round(25 * start)
        greys = [2 * index, 2 * index + 2][: len(clip)]
        assert [np.asarray(frame).mean() for frame in clip] == pytest.approx(greys, abs=2)
        assert len(clip) == min(2, 120 - index) and milliseconds(clip)[:2] == pytest.approx([0, 40], abs=0.1)
        few = name in ("x.mp4", "x.mkv")
        assert len(decoded) < 35 if few else len(decoded) >= 2 * index
        decoded.clear()
    with pytest.raises(UserError, match=r"--start 9: .* it lasts 4\.8 s"):
        Clip(path, "--input_a", excerpt=Excerpt(start=9))


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(1000), None])
def test_what_is_no_video_is_one_line(tmp_path, content):
    path = film(tmp_path / "x.mp4")
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    with pytest.raises(UserError, match=r"^--input_a .*x\.mp4: [^\n]*$"):
        Clip(path, "--input_a")


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_what_is_wrong_with_a_clip_is_said_once(tmp_path, capsys, transfer, name):
    colours = animation(tmp_path / "x.webp", "WEBP", 40, icc_profile=bytes(99))
    hdr = {"x264-params": f"transfer={transfer}"}
    hdr = Clip(encoded(tmp_path / "x.mkv", [flat(g) for g in GREYS], "libx264", options=hdr), "--input_a")
    for clip, count in ((colours, 3), (hdr, 6)):
        assert [len(list(clip)) for _ in range(2)] == [count] * 2
    profile, kind = capsys.readouterr().err.splitlines()
    assert profile.startswith(f"warning: --input_a {tmp_path / 'x.webp'}: its colour profile")
    assert kind.startswith(f"warning: --input_a {tmp_path / 'x.mkv'}: is HDR ({name})")


def test_memory_does_not_grow_with_the_length(tmp_path):
    def use(count: int) -> None:
        path = film(tmp_path / "x.mp4", *(index % 256 for index in range(count)), size=(320, 240))
        assert sum(1 for _ in Clip(path, "--input_a")) == count

    use(60)  # The encoder looks ahead some fifty frames.
    # 180 frames more are 41 MB as 8-bit pixels.
    assert peak_of(lambda: use(240)) - peak_of(lambda: use(60)) < 20e6


def with_sound(path, codec):
    """A second of video, 25 frames, with a tone."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=25), container.add_stream(codec, rate=8000)
        video.width, video.height, audio.layout = 48, 32, "mono"
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(flat(8 * index), "rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        kind, amplitude = ("fltp", 0.5) if codec == "aac" else ("s16", 9000)
        tone = amplitude * np.sin(np.arange(8000) * 0.3)
        sound = av.AudioFrame.from_ndarray(tone.astype("f4" if codec == "aac" else "i2")[None], kind, "mono")
        sound.sample_rate = 8000
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))
    return path


def sound_in(path):
    """Every packet of the sound: when it is heard, and its bytes."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(("first", "frames"), [(0, 25), (0, 10), (10, 10)])
def test_the_sound_of_the_frames_is_copied_as_it_is(tmp_path, first, frames):
    source = with_sound(tmp_path / "source.mp4", "aac")
    clip = Clip(source, "--input_a", excerpt=Excerpt(start=first / 25, frames=frames))
    with video_writer(tmp_path / "out.mp4", clip.times, (48, 32), clip.sound) as write:
        for frame in clip:
            write(np.asarray(frame))
    wanted, found = ({bytes: float(at) for at, bytes in sound_in(path)} for path in (source, tmp_path / "out.mp4"))
    assert len(found) == pytest.approx(frames / 25 * len(wanted), abs=2)
    assert all(at == pytest.approx(wanted[packet] - first / 25, abs=1e-3) for packet, at in found.items())
    assert len(Clip(tmp_path / "out.mp4", "--out")) == frames


def test_sound_that_mp4_cannot_hold_is_left_out_with_a_line(tmp_path, capsys):
    pcm, unknown = with_sound(tmp_path / "pcm.avi", "pcm_s16le"), with_sound(tmp_path / "aac.mp4", "aac")
    renamed = unknown.read_bytes().replace(b"mp4a", b"apac").replace(b"esds", b"free")
    unknown.write_bytes(renamed)  # nothing here decodes that
    for source, codec in ((pcm, "pcm_s16le"), (unknown, "unknown")):
        with video_writer(tmp_path / "out.mp4", steady(25, 1), (48, 32), (source, Fraction(0))) as write:
            write(flat(0))
        assert sound_in(tmp_path / "out.mp4") is None
        assert f"its sound ({codec}) does not fit into MP4" in capsys.readouterr().err
