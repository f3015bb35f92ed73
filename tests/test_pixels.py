"""How an image looks once it is opened: orientation, transparency, colour profile, bits; and the sheet of results."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from utils.errors import UserError
from utils.image import open_image
from utils.sheet import LARGEST, WIDEST, save_loss_curves, save_sheet

ORIENTATION = 0x0112
# Where the top left corner of the shown image lies in the file, as (right, bottom), and whether sides are exchanged.
STORED = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


@pytest.mark.parametrize("number", STORED)
@pytest.mark.parametrize(
    ("suffix", "options"), [("jpg", {}), ("png", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})]
)
def test_every_orientation_is_shown_upright(tmp_path, number, suffix, options):
    right, bottom = STORED[number]
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[slice(12, None) if bottom else slice(12), slice(20, None) if right else slice(20)] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = number
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, **options)
    shown = open_image(path, "--input_a")
    assert shown.size == ((40, 24) if number < 5 else (24, 40))
    assert np.asarray(shown)[3, 3].mean() > 240 and np.asarray(shown)[-4, -4].mean() < 15


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 2, 4))
    image.convert(mode).save(tmp_path / "x.png")
    shown = open_image(tmp_path / "x.png", "--input_a")
    assert shown.getpixel((0, 0)) == pytest.approx((10, 10, 10), abs=3) and shown.getpixel((3, 3)) == (255, 255, 255)


def test_grey_of_more_bits(tmp_path):
    values = np.array([[0, 100, 200, 255]])
    for name, image, expected in (
        ("16.png", Image.fromarray((values * 257).astype(np.uint16)), [0, 100, 200, 255]),
        ("i.tif", Image.fromarray(values.astype(np.int32)), [0, 100, 200, 255]),
        ("wide.tif", Image.fromarray((values * 257).astype(np.int32)), [0, 100, 200, 255]),
        ("f.tif", Image.fromarray((values / 255).astype(np.float32)), [0, 100, 200, 255]),
    ):
        image.save(tmp_path / name)
        assert np.asarray(open_image(tmp_path / name, "--input_a"))[0, :, 0].tolist() == expected, name
    Image.fromarray(np.array([[0.5, float("nan")]], np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(UserError, match="not within 0"):
        open_image(tmp_path / "nan.tif", "--input_a")


def test_colour_profiles(capsys, tmp_path):
    image = Image.new("RGB", (4, 4), (200, 60, 30))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "srgb.png", icc_profile=srgb)
    assert open_image(tmp_path / "srgb.png", "--input_a").getpixel((0, 0)) == pytest.approx((200, 60, 30), abs=1)
    # The red and blue primaries exchanged: the profile decides about the colours.
    swapped = srgb.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    image.save(tmp_path / "swapped.png", icc_profile=swapped)
    assert open_image(tmp_path / "swapped.png", "--input_a").getpixel((0, 0)) == pytest.approx((30, 60, 200), abs=40)
    assert capsys.readouterr().err == ""
    image.save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert open_image(tmp_path / "broken.png", "--input_a").getpixel((0, 0)) == (200, 60, 30)
    assert capsys.readouterr().err.count("warning: --input_a") == 1
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert open_image(tmp_path / "cmyk.jpg", "--input_a").mode == "RGB"


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


# The sheet.


def test_a_sheet_is_compact_and_in_true_colours(tmp_path):
    grey = torch.full((1, 3, 8, 8), 0.0)
    large = torch.full((1, 3, 600, 1200), 1.0)
    save_sheet(
        [[("large", large)], [(f"small {i}", grey) for i in range(4)], [("thin", grey[..., :1, :])]], tmp_path / "x.png"
    )
    sheet = np.asarray(Image.open(tmp_path / "x.png").convert("RGB"))
    assert sheet.shape[1] <= WIDEST and sheet.shape[0] < 2 * LARGEST
    # The four small ones stand beside the large one, each pixel a block of the same grey.
    assert sheet.shape[0] < 400
    assert (sheet == 128).all(axis=2).sum() >= 4 * 192 * 192
    save_sheet([[("a name that is much wider than its picture", grey[..., :1])]], tmp_path / "y.jpg")
    assert Image.open(tmp_path / "y.jpg").format == "JPEG"


def test_loss_curves_of_two_points_a_scale(tmp_path):
    terms = {f"{name}_{x}": 0.5 for name in ("D/real", "D/fake", "D/penalty", "G/adversarial", "G/cycle") for x in "ab"}
    save_loss_curves([{"scale": k, "step": n, **terms} for k in (0, 1) for n in (5, 10)], tmp_path / "x.png")
    save_loss_curves([], tmp_path / "none.png")
    assert all(Image.open(tmp_path / name).width > 500 for name in ("x.png", "none.png"))
