"""Images in, images out: every kind a person may pass, with the pixel values worked out by hand; the sheets."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from utils.errors import UserError
from utils.image import image_pyramid, image_to_tensor, open_image, save_image
from utils.sheet import LARGEST, WIDEST, save_loss_curves, save_sheet

CPU = torch.device("cpu")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(path, image: Image.Image, **options) -> list[tuple[int, ...]]:
    """The pixels of an image written to a file and opened again the way the program does, row by row."""
    image.save(path, **options)
    opened = open_image(path, "--input_a")
    assert opened.mode == "RGB"
    return pixels(opened)


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()]


def row(mode: str, *values) -> Image.Image:
    """An image one pixel high."""
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    """One pixel per palette entry."""
    image = row("P", *range(len(colours)))
    image.putpalette([channel for colour in colours for channel in colour])
    return image


COLOURS = [(255, 0, 0), (0, 128, 7), (1, 2, 3)]
GREY_OF_16_BITS = np.array([[0, 128, 129, 25700, 65535]])  # 257 to a grey level, rounded to the nearest


@pytest.mark.parametrize(
    ("name", "image", "options", "shown"),
    [
        ("rgb.png", row("RGB", *COLOURS), {}, COLOURS),
        ("-two words\nÜbersicht 日本", row("RGB", *COLOURS), {"format": "PNG"}, COLOURS),
        ("grey.png", row("L", 0, 100, 255), {}, [0, 100, 255]),
        ("16.png", Image.fromarray(GREY_OF_16_BITS.astype(np.uint16)), {}, [0, 0, 1, 100, 255]),
        ("16.tiff", Image.fromarray(GREY_OF_16_BITS.astype(np.uint16)), {}, [0, 0, 1, 100, 255]),
        ("32.tiff", Image.fromarray(GREY_OF_16_BITS.astype(np.int32)), {}, [0, 0, 1, 100, 255]),
        ("float.tiff", Image.fromarray(np.array([[0, 0.2, 1]], np.float32)), {}, [0, 51, 255]),
        ("palette.png", palette(*COLOURS), {}, COLOURS),
        ("one bit.png", row("1", 0, 1), {}, [0, 255]),
        # 255 (1 - 51/255) = 204 of white shines through where a fifth is opaque.
        ("rgba.png", row("RGBA", (255, 0, 0, 51), (9, 9, 9, 0)), {}, [(255, 204, 204), 255]),
        ("la.png", row("LA", (100, 255), (0, 51), (9, 0)), {}, [100, 204, 255]),
        ("clear.png", palette(*COLOURS), {"transparency": 1}, [COLOURS[0], 255, COLOURS[2]]),
        ("srgb.png", row("RGB", *COLOURS), {"icc_profile": SRGB}, COLOURS),
        ("moving.gif", palette(*COLOURS), {"save_all": True, "append_images": [palette((9, 9, 9))] * 2}, COLOURS),
    ],
)  # fmt: skip
def test_every_kind_of_pixels(capsys, tmp_path, name, image, options, shown):
    wanted = [value if isinstance(value, tuple) else (value,) * 3 for value in shown]
    assert saved(tmp_path / name, image, **options) == wanted
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("values", "kind"), [([-1, 7], "int32"), ([0, 65536], "int32"), ([0, 255], "float32"), ([0.5, "nan"], "float32")]
)
def test_a_range_that_is_not_known(tmp_path, values, kind):
    with pytest.raises(UserError, match=r"^--input_a .*x.tiff: has values outside 0 \(black\) to "):
        saved(tmp_path / "x.tiff", Image.fromarray(np.array([values]).astype(kind)))


@pytest.mark.parametrize(
    ("ink", "colour"), [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 0), (255,) * 3), ((0, 0, 0, 255), (0,) * 3)]
)
def test_cmyk_jpeg(tmp_path, ink, colour):
    assert saved(tmp_path / "x.jpg", Image.new("CMYK", (16, 16), ink), quality=95)[40] == pytest.approx(colour, abs=3)


def test_colour_profiles(capsys, tmp_path):
    # The red and blue primaries exchanged: the profile decides about the colours.
    exchanged = SRGB.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    image = row("RGB", (200, 60, 30))
    assert saved(tmp_path / "x.png", image, icc_profile=exchanged)[0] == pytest.approx((30, 60, 200), abs=40)
    assert capsys.readouterr().err == ""
    for _ in range(2):  # The line comes once.
        assert saved(tmp_path / "x.png", image, icc_profile=b"no profile") == [(200, 60, 30)]
    line = "its colour profile cannot be used and is ignored"
    assert capsys.readouterr().err == f"warning: --input_a {tmp_path / 'x.png'}: {line}\n"


# Where the top left corner of the shown image lies in the file, as (right, bottom); from 5 on sides are exchanged.
STORED = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


@pytest.mark.parametrize("number", STORED)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_every_orientation_is_shown_upright(tmp_path, number, kind):
    right, bottom = STORED[number]
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[slice(12, None) if bottom else slice(12), slice(20, None) if right else slice(20)] = 255
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(stored).save(tmp_path / f"x.{kind}", exif=exif)
    shown = open_image(tmp_path / f"x.{kind}", "--input_a")
    assert shown.size == ((40, 24) if number < 5 else (24, 40))
    assert np.asarray(shown)[3, 3].mean() > 240 and np.asarray(shown)[-4, -4].mean() < 15


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damaged_files_are_one_line_or_an_image(tmp_path, kind):
    buffer, random = io.BytesIO(), np.random.default_rng(1)
    Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(buffer, format=kind)
    for _ in range(40):
        data = bytearray(buffer.getvalue())
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(0, 256)
        (tmp_path / "x").write_bytes(bytes(data[: random.integers(1, len(data))]))
        try:
            open_image(tmp_path / "x", "--input_a")
        except UserError as error:
            assert str(error).startswith("--input_a ") and "\n" not in str(error)


def test_too_many_pixels(tmp_path, monkeypatch):
    blobs().save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(UserError, match=r"^--input_a .*851 pixels.*smaller$"):
        open_image(tmp_path / "x.png", "--input_a")


# Tensors.


def blobs(size: tuple[int, int] = (37, 23)) -> Image.Image:
    """An image with every kind of edge in it, not square."""
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(9, 9), (12, 20), (50, 50)])
def test_resizing_is_pillows_bilinear(shape):
    resized = np.asarray(blobs().resize(shape[::-1], Image.Resampling.BILINEAR))
    wanted = torch.from_numpy((resized / 255 - 0.5) / 0.5).permute(2, 0, 1)
    # Every scale is resized from the original.
    coarse, _ = image_pyramid(blobs(), (shape, (60, 60)), CPU)
    torch.testing.assert_close(coarse, wanted.float()[None])


def test_images_are_saved_in_true_colours_never_stretched(tmp_path):
    # (0.5 + 1) 127.5 = 191.25.
    for values, wanted in ((0.5,), 191), ((-3.0,), 0), ((0.0,), 128), ((1.5,), 255):
        save_image(torch.tensor(values).expand(1, 3, 4, 5), tmp_path / "x.png")
        assert pixels(Image.open(tmp_path / "x.png")) == [(wanted,) * 3] * 20
    save_image(image_to_tensor(blobs(), (23, 37), CPU), tmp_path / "blobs.png")
    assert pixels(Image.open(tmp_path / "blobs.png")) == pixels(blobs())


# The sheet, and the curves.


def test_a_sheet_is_compact_and_in_true_colours(tmp_path):
    grey, large = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 600, 1200)
    rows = [[("large", large)], [(f"small {i}", grey) for i in range(4)], [("thin", grey[..., :1, :])]]
    save_sheet(rows, tmp_path / "x.png")
    sheet = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))
    # The four small ones stand beside the large one, each pixel a block of the same grey.
    assert sheet.shape[1] <= WIDEST and sheet.shape[0] < 400 < LARGEST
    assert (sheet == 128).all(axis=2).sum() >= 4 * 192 * 192
    # A row that is too wide goes on below.
    save_sheet([[("a name that is much wider than its image", grey)] * 12], tmp_path / "y.jpg")
    with Image.open(tmp_path / "y.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width <= WIDEST and 400 < sheet.height < 500
    # A label is never cut off.
    save_sheet([[("a name that is wider than its image", grey[..., :1])]], tmp_path / "z.png")
    assert (np.asarray(Image.open(tmp_path / "z.png").convert("L"))[:, 30 + 192 // 8 :] < 99).any()


def test_loss_curves_of_two_points_a_scale(tmp_path):
    terms = {f"{name}_{x}": 0.5 for name in ("D/real", "D/fake", "D/penalty", "G/adversarial", "G/cycle") for x in "ab"}
    save_loss_curves([{"scale": k, "step": n, **terms} for k in (0, 1) for n in (5, 10)], tmp_path / "x.png")
    save_loss_curves([], tmp_path / "none.png")
    assert all(Image.open(tmp_path / name).width > 500 for name in ("x.png", "none.png"))
