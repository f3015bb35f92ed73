"""Reading and writing clips: frames, times, sizes, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
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
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")), *stream.encode(None)]:
            container.mux(packet)
    data = bytearray((tmp_path / "x.mp4").read_bytes())
    track = data.index(b"tkhd") + 4 + 40  # the track's display matrix (ISO 14496-12)
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[angle]
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        data[track + place : track + place + 4] = value.to_bytes(4, "big", signed=True)
    (tmp_path / "x.mp4").write_bytes(bytes(data))
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
