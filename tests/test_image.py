"""Pictures in, pictures out: every kind a person may pass, with the pixel values worked out by hand."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from utils.errors import UserError
from utils.image import image_pyramid, image_to_tensor, open_image, save_image, to_uint8

CPU = torch.device("cpu")


def saved(path, picture: Image.Image, **options) -> Image.Image:
    """A picture written to a file and opened again the way the program does."""
    picture.save(path, **options)
    opened = open_image(path, "--input_a")
    assert opened.mode == "RGB"
    return opened


def pixels(picture: Image.Image) -> list[tuple[int, ...]]:
    """Every pixel, row by row."""
    return [tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()]


def row(mode: str, *values) -> Image.Image:
    """A picture one pixel high."""
    picture = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        picture.putpixel((x, 0), value)
    return picture


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    """One pixel per palette entry."""
    picture = row("P", *range(len(colours)))
    picture.putpalette([channel for colour in colours for channel in colour])
    return picture


def test_rgb(tmp_path):
    colours = [(255, 0, 0), (0, 128, 7), (1, 2, 3)]
    assert pixels(saved(tmp_path / "x.png", row("RGB", *colours))) == colours


def test_grey(tmp_path):
    assert pixels(saved(tmp_path / "x.png", row("L", 0, 100, 255))) == [(0,) * 3, (100,) * 3, (255,) * 3]


@pytest.mark.parametrize("name", ["x.png", "x.tiff"])
def test_grey_of_16_bits(tmp_path, name):
    # 65535 is white: 257 to a grey level, rounded to the nearest.
    picture = Image.fromarray(np.array([[0, 128, 129, 25700, 65535]], dtype=np.uint16))
    assert pixels(saved(tmp_path / name, picture)) == [(0,) * 3, (0,) * 3, (1,) * 3, (100,) * 3, (255,) * 3]


def test_palette(tmp_path):
    colours = [(10, 20, 30), (200, 100, 0)]
    assert pixels(saved(tmp_path / "x.png", palette(*colours))) == colours


def test_palette_with_transparency(tmp_path):
    picture = palette((10, 20, 30), (200, 100, 0))
    assert pixels(saved(tmp_path / "x.png", picture, transparency=1)) == [(10, 20, 30), (255, 255, 255)]


def test_one_bit(tmp_path):
    assert pixels(saved(tmp_path / "x.png", row("1", 0, 1))) == [(0, 0, 0), (255, 255, 255)]


def test_transparency_shows_white(tmp_path):
    # 255 (1 - 51/255) = 204 of white shines through where a fifth is opaque.
    picture = row("RGBA", (255, 0, 0, 255), (255, 0, 0, 51), (9, 9, 9, 0))
    assert pixels(saved(tmp_path / "x.png", picture)) == [(255, 0, 0), (255, 204, 204), (255, 255, 255)]


def test_grey_with_transparency_shows_white(tmp_path):
    picture = row("LA", (100, 255), (0, 51), (9, 0))
    assert pixels(saved(tmp_path / "x.png", picture)) == [(100,) * 3, (204,) * 3, (255,) * 3]


@pytest.mark.parametrize(
    ("ink", "colour"),
    [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 0), (255, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_jpeg(tmp_path, ink, colour):
    opened = saved(tmp_path / "x.jpg", Image.new("CMYK", (16, 16), ink), quality=95)
    assert np.abs(np.asarray(opened, int) - colour).max() <= 3


def test_exif_orientation_is_applied(tmp_path):
    # Orientation 6: to be turned a quarter clockwise for display, so left becomes top.
    picture = Image.new("L", (32, 16), 255)
    picture.paste(0, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = saved(tmp_path / "x.jpg", picture, exif=exif)
    assert opened.size == (16, 32)
    values = np.asarray(opened)
    assert values[:14].max() < 10
    assert values[18:].min() > 245


def test_first_frame_of_an_animation(tmp_path):
    first, second = Image.new("RGB", (8, 6), (255, 0, 0)), Image.new("RGB", (8, 6), (0, 0, 255))
    opened = saved(tmp_path / "x.gif", first, save_all=True, append_images=[second])
    assert opened.size == (8, 6)
    assert set(pixels(opened)) == {(255, 0, 0)}


@pytest.mark.parametrize("name", ["two words.png", "two\nlines.png", "Übersicht 日本.png", "-dash.png", "no_ending"])
def test_any_file_name(tmp_path, name):
    assert pixels(saved(tmp_path / name, row("RGB", (1, 2, 3)), format="PNG")) == [(1, 2, 3)]


def blobs(size: tuple[int, int] = (37, 23)) -> Image.Image:
    """A picture with every kind of edge in it, not square."""
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(9, 9), (12, 20), (23, 37), (50, 50)])
def test_resizing_is_pillows_bilinear(shape):
    tensor = image_to_tensor(blobs(), shape, CPU)
    assert tensor.shape == (1, 3, *shape)
    assert tensor.dtype == torch.float32
    height, width = shape
    resized = np.asarray(blobs().resize((width, height), Image.Resampling.BILINEAR))
    wanted = torch.from_numpy((resized / 255 - 0.5) / 0.5).permute(2, 0, 1)
    torch.testing.assert_close(tensor[0], wanted.float())


def test_value_range():
    tensor = image_to_tensor(row("RGB", (0, 51, 255)), (1, 1), CPU)
    torch.testing.assert_close(tensor.flatten(), torch.tensor([-1, -0.6, 1]))


def test_every_scale_is_resized_from_the_original():
    shapes = ((8, 8), (11, 11), (16, 16))
    pyramid = image_pyramid(blobs(), shapes, CPU)
    for level, shape in zip(pyramid, shapes, strict=True):
        assert torch.equal(level, image_to_tensor(blobs(), shape, CPU))
    finest = Image.fromarray(to_uint8(pyramid[-1]))
    assert not torch.equal(pyramid[0], image_to_tensor(finest, shapes[0], CPU))


def test_a_grey_picture_keeps_its_own_grey(tmp_path):
    # (0.5 + 1) * 127.5 = 191.25; stretched to its own range it would be black or white.
    save_image(torch.full((1, 3, 4, 5), 0.5), tmp_path / "x.png")
    assert pixels(open_image(tmp_path / "x.png", "--input_a")) == [(191, 191, 191)] * 20


def test_saving_clips_what_is_out_of_range(tmp_path):
    save_image(torch.tensor([-3.0, 0.0, 1.5]).view(1, 3, 1, 1), tmp_path / "x.png")
    assert pixels(open_image(tmp_path / "x.png", "--input_a")) == [(0, 128, 255)]


def test_true_colours_come_back(tmp_path):
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    save_image(image_to_tensor(levels, (16, 16), CPU), tmp_path / "levels.png")
    assert pixels(Image.open(tmp_path / "levels.png")) == pixels(levels)
    save_image(image_to_tensor(blobs(), (23, 37), CPU), tmp_path / "blobs.png")
    assert pixels(Image.open(tmp_path / "blobs.png")) == pixels(blobs())


def grey_profile() -> bytes:
    """An ICC profile, version 2, of grey in proportion to light."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * x) for x in (0.9642, 1, 0.8249)))
    names = b"none" + struct.pack(">I", 0x02400000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white[8:]
    table = struct.pack(">I4sII4sII", 2, b"kTRC", 156, 14, b"wtpt", 172, 20)
    content = names + bytes(48) + table + curve + white
    return struct.pack(">I", 4 + len(content)) + content


def test_a_profile_of_grey(capsys, tmp_path):
    # 100/255 of the light: 255 (1.055 (100/255)^(1/2.4) - 0.055) = 168.1
    assert pixels(saved(tmp_path / "x.png", row("L", 100), icc_profile=grey_profile())) == [(168,) * 3]
    assert capsys.readouterr().err == ""
    # It cannot be for colours, which stay.
    for _ in range(2):
        assert pixels(saved(tmp_path / "c.png", row("RGB", (150, 100, 60)), icc_profile=grey_profile())) == [
            (150, 100, 60)
        ]
    line = "its colour profile cannot be used and is left out"
    assert capsys.readouterr().err == f"warning: --input_a {tmp_path / 'c.png'}: {line}\n"


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([-1, 7], "int32", "from -1 to 7, not within 0 (black) to 255 (white)"),
        ([0, 65536], "int32", "from 0 to 65536, not within 0 (black) to 65535"),
        ([0, 255], "float32", "not within 0 (black) to 1 (white)"),
        ([-0.1, 0.5], "float32", "from -0.1 to 0.5"),
    ],
)
def test_range_that_is_not_known(tmp_path, values, kind, words):
    Image.fromarray(np.array([values], kind)).save(tmp_path / "x.tiff")
    with pytest.raises(UserError) as caught:
        open_image(tmp_path / "x.tiff", "--input_a")
    assert words in str(caught.value) and "\n" not in str(caught.value)
