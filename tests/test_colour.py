"""Colours of every kind come out as 8-bit sRGB on white: transparency, ranges, profiles; and files of other kinds."""

import io
import struct
import sys
import zlib

import numpy as np
import PIL
import pytest
import tifffile
from conftest import TINY, complaint
from PIL import Image, ImageCms
from profiles import PROPHOTO, SRGB, cmyk_profile, grey_profile, rgb_profile, srgb_curve

from utils.errors import UserError
from utils.image import open_image

WHITE = (255, 255, 255)


def read(path) -> list[tuple[int, ...]]:
    """Every pixel of an image, row by row."""
    return [tuple(pixel) for pixel in np.asarray(open_image(path, "--input_a")).reshape(-1, 3).tolist()]


def row(mode: str, *values) -> Image.Image:
    """An image one pixel high."""
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def large(mode: str, value) -> Image.Image:
    """One colour, large enough for any format and for the program's smallest scale."""
    return Image.new(mode, (32, 32), value)


# Transparency becomes white.


def png(path, depth: int, colour: int, values: bytes, width: int, **chunks: bytes) -> None:
    """A PNG one pixel high, written by hand: Pillow writes no 16-bit colours, and no small depths with tRNS."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))]
    parts += [chunk(name.encode(), content) for name, content in chunks.items()]
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + values)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


KEYS = {
    # bits a channel, colour type, pixels, how many, the transparent one, what is seen
    "1-bit grey": (1, 0, b"\x40", 2, (1,), [(0, 0, 0), WHITE]),
    "1-bit grey, black": (1, 0, b"\x40", 2, (0,), [WHITE, WHITE]),
    "2-bit grey": (2, 0, b"\x1b", 4, (1,), [(0, 0, 0), WHITE, (170,) * 3, WHITE]),
    "4-bit grey": (4, 0, b"\x05", 2, (5,), [(0, 0, 0), WHITE]),
    "8-bit grey": (8, 0, b"\x05\x06", 2, (5,), [WHITE, (6, 6, 6)]),
    "16-bit grey": (16, 0, b"\x05\x05\x05\x06", 2, (0x0505,), [WHITE, (5, 5, 5)]),
    "8-bit colour": (8, 2, b"\1\2\3\1\2\4", 2, (1, 2, 3), [WHITE, (1, 2, 4)]),
    "16-bit colour": (16, 2, b"\1\1\2\2\3\3\1\1\2\2\3\4", 2, (0x0101, 0x0202, 0x0303), [WHITE, (1, 2, 3)]),
}


@pytest.mark.parametrize("name", KEYS)
def test_png_with_one_transparent_colour(tmp_path, name):
    depth, colour, pixels, width, key, seen = KEYS[name]
    png(tmp_path / "x.png", depth, colour, pixels, width, tRNS=struct.pack(f">{len(key)}H", *key))
    assert read(tmp_path / "x.png") == seen


def patched(path, before: bytes, after: bytes) -> None:
    data = path.read_bytes()
    assert data.count(before) == 1
    path.write_bytes(data.replace(before, after))


@pytest.mark.parametrize(
    "mode",
    ["RGBA", pytest.param("LA", marks=pytest.mark.skipif(PIL.__version__ < "13", reason="new in Pillow 13"))],
)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_premultiplied_tiff(tmp_path, mode, compression):
    # A fifth of 51/51 = 255: 20 % of white, in front of white; and half transparent black.
    colours = [(51,) * (len(mode) - 1) + (51,), (0,) * (len(mode) - 1) + (128,), (0,) * len(mode)]
    row(mode, *colours).save(tmp_path / "x.tiff", compression=compression)
    # ExtraSamples 2, "unassociated", becomes 1, "associated".
    patched(tmp_path / "x.tiff", struct.pack("<HHLH", 338, 3, 1, 2), struct.pack("<HHLH", 338, 3, 1, 1))
    assert read(tmp_path / "x.tiff") == [WHITE, (127,) * 3, WHITE]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "JPEG2000", "ICO", "AVIF", "TGA"])
def test_transparency_of_other_formats(tmp_path, kind):
    image = large("RGBA", (200, 30, 40, 255))
    image.paste((10, 20, 30, 0), (0, 0, 32, 16))
    image.save(tmp_path / "x", format=kind)
    seen = np.asarray(open_image(tmp_path / "x", "--input_a"), int)
    assert np.abs(seen[:14] - 255).max() <= 3
    assert np.abs(seen[18:] - (200, 30, 40)).max() <= 12


def test_transparency_of_16_bits_and_of_palettes(tmp_path):
    values = struct.pack(">8H", 0xFFFF, 0, 0, 0x3333, 0x0909, 0, 0, 0)
    png(tmp_path / "x.png", 16, 6, values, 2)
    assert read(tmp_path / "x.png") == [(255, 204, 204), WHITE]
    png(tmp_path / "x.png", 16, 4, struct.pack(">4H", 0, 0x3333, 0x6464, 0xFFFF), 2)
    assert read(tmp_path / "x.png") == [(204, 204, 204), (100, 100, 100)]
    # Every entry of a palette has an opacity of its own; entries behind the last are opaque.
    png(tmp_path / "x.png", 8, 3, b"\0\1\2", 3, PLTE=b"\xff\0\0\xff\0\0\1\2\3", tRNS=b"\x33\0")
    assert read(tmp_path / "x.png") == [(255, 204, 204), WHITE, (1, 2, 3)]


# Ranges of more than 8 bits.


def written(path, values, kind: str, **options) -> None:
    tifffile.imwrite(path, np.array([values], dtype=kind), metadata=None, **options)


RANGES = {
    "int32 to 255": ([0, 100, 255], "int32", [0, 100, 255]),
    "int32 to 65535": ([0, 25700, 65535], "int32", [0, 100, 255]),
    "int16 to 255": ([0, 100, 255], "int16", [0, 100, 255]),
    "uint16": ([0, 25700, 65535], "uint16", [0, 100, 255]),
    "float32 to 1": ([0, 0.2, 1], "float32", [0, 51, 255]),
}
REFUSED = {
    "negative": ([-1, 7], "int32", "from -1 to 7"),
    "more than 65535": ([0, 65536], "int32", "0 to 65536"),
    "float to 255": ([0.0, 255.0], "float32", "within 0 (black) to 1 (white)"),
    "float below 0": ([-0.1, 0.5], "float32", "from -0.1 to 0.5"),
    "NaN": ([0.5, float("nan")], "float32", "NaN"),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", RANGES)
def test_range(tmp_path, name, order):
    values, kind, greys = RANGES[name]
    written(tmp_path / "x.tiff", values, kind, byteorder=order, photometric="minisblack")
    assert read(tmp_path / "x.tiff") == [(grey,) * 3 for grey in greys]


def test_16_bits_of_which_0_is_white(tmp_path):
    written(tmp_path / "x.tiff", [0, 25700, 65535], "uint16", photometric="miniswhite")
    assert read(tmp_path / "x.tiff") == [WHITE, (155,) * 3, (0,) * 3]


@pytest.mark.parametrize("name", REFUSED)
def test_range_that_is_not_known(cli, pair, tmp_path, name):
    values, kind, words = REFUSED[name]
    written(tmp_path / "x.tiff", values, kind, photometric="minisblack")
    path = tmp_path / "x.tiff"
    line = complaint(cli("train.py", "--input_a", pair[0], "--input_b", path, "--out", tmp_path / "o", *TINY))
    assert all(part in line for part in ("--input_b", "x.tiff", words))


def test_16_bits_that_are_next_to_black_are_told(capsys, tmp_path):
    written(tmp_path / "x.tiff", [0, 100, 255], "uint16")
    assert read(tmp_path / "x.tiff")[2] == (1, 1, 1)
    assert "x.tiff: has 16 bits a channel and no value over 255" in capsys.readouterr().err


@pytest.mark.parametrize("most", [1000, 65535])
def test_pgm_says_itself_what_is_white(tmp_path, most):
    (tmp_path / "x.pgm").write_bytes(b"P5 2 1 %d\n" % most + struct.pack(">2H", 0, most))
    assert read(tmp_path / "x.pgm") == [(0, 0, 0), WHITE]


# Colour profiles.

PROFILED = {
    # mode, pixel, profile, what is seen
    "ProPhoto": ("RGB", (150, 100, 60), rgb_profile(PROPHOTO, 1.8), (207, 105, 66)),
    # 100/255 of the light: 255 (1.055 (100/255)^(1/2.4) - 0.055) = 168.1
    "linear grey": ("L", 100, grey_profile(1.0), (168, 168, 168)),
    "grey of 16 bits": ("I;16", 25700, grey_profile(1.0), (168, 168, 168)),
    "grey, the profile's RGB": ("L", 100, rgb_profile(SRGB, 1.0), (168, 168, 168)),
    "RGB that is grey, the profile's grey": ("RGB", (100, 100, 100), grey_profile(1.0), (168, 168, 168)),
    # L* 50 (as 8 bits: 128/2.55) is sRGB 118.
    "ink": ("CMYK", (255, 0, 0, 0), cmyk_profile(50), (118, 118, 118)),
    "no ink": ("CMYK", (0, 0, 0, 0), cmyk_profile(50), WHITE),
    "palette": ("P", (150, 100, 60), rgb_profile(PROPHOTO, 1.8), (207, 105, 66)),
    "opaque": ("RGBA", (150, 100, 60, 255), rgb_profile(PROPHOTO, 1.8), (207, 105, 66)),
    # The profile first, then white: 0.2 of it and 0.8 of 255.
    "transparent": ("RGBA", (150, 100, 60, 51), rgb_profile(PROPHOTO, 1.8), (245, 225, 217)),
}
FORMATS = {"RGB": ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"], "L": ["PNG", "TIFF", "JPEG"], "CMYK": ["TIFF", "JPEG"]}
LOSSY = {"JPEG": 2, "AVIF": 2}


@pytest.mark.parametrize("name", PROFILED)
def test_profile(tmp_path, capsys, name):
    mode, pixel, profile, seen = PROFILED[name]
    image = large("RGB", pixel).quantize(2) if mode == "P" else large(mode, pixel)
    for kind in FORMATS.get(mode, ["PNG", "TIFF"]):
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}, "AVIF": {"quality": 100}}.get(kind, {})
        image.save(tmp_path / "x", format=kind, icc_profile=profile, **options)
        assert np.abs(np.array(read(tmp_path / "x")[-1]) - seen).max() <= LOSSY.get(kind, 0), kind
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "profile",
    [rgb_profile(SRGB, srgb_curve()), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()],
    ids=["with a table", "with a formula"],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_srgb_s_own_profile_changes_nothing(tmp_path, capsys, mode, profile):
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (40, 40, 4), dtype=np.uint8))
    image = image.convert("RGB").quantize(64) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "x.png", icc_profile=profile)
    assert read(tmp_path / "x.png") == read(tmp_path / "plain.png")
    assert capsys.readouterr().err == ""


def in_parts(profile: bytes) -> bytes:
    """A JPEG whose profile says that it has two parts, but has one."""
    buffer = io.BytesIO()
    large("RGB", (150, 100, 60)).save(buffer, format="JPEG", quality=100, icc_profile=profile)
    return buffer.getvalue().replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2")


def with_profile(kind: str, profile: bytes, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    pixel = (150, 100, 60) if mode == "RGB" else (0, 0, 0, 0)
    large(mode, pixel).save(buffer, format=kind, icc_profile=profile)
    return buffer.getvalue()


GOOD = rgb_profile(PROPHOTO, 1.8)
BROKEN_PROFILES = {
    "text.png": with_profile("PNG", b"no profile"),
    "cut.tiff": with_profile("TIFF", GOOD[:200]),
    "without a curve.png": with_profile("PNG", GOOD.replace(b"gTRC", b"none")),
    "zeros.webp": with_profile("WEBP", bytes(300)),
    "of a part.jpg": in_parts(GOOD),
    "of ink.png": with_profile("PNG", cmyk_profile(50)),
    "of grey.tiff": with_profile("TIFF", grey_profile(1.0)),
    "of light.tiff": with_profile("TIFF", GOOD, "CMYK"),
}


@pytest.mark.parametrize("name", BROKEN_PROFILES)
def test_profile_that_cannot_be_used(cli, pair, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BROKEN_PROFILES[name])
    done = cli("train.py", "--input_a", path, "--input_b", pair[1], "--out", tmp_path / "o", *TINY, "--dry_run")
    assert done.code == 0
    (line,) = [line for line in done.err.splitlines() if "profile" in line]
    assert line.startswith("warning: --input_a ")
    assert name in line
    seen = WHITE if name == "of light.tiff" else (150, 100, 60)
    assert np.abs(np.array(read(path)[-1]) - seen).max() <= 6


def test_large_profile_in_png(tmp_path):
    image = large("RGB", (150, 100, 60))
    image.save(tmp_path / "x.png", icc_profile=GOOD + bytes(2**21))
    assert read(tmp_path / "x.png")[0] == (207, 105, 66)


def test_lab(tmp_path):
    values = [(255, 128, 128), (0, 128, 128), (128, 128, 128)]
    row("LAB", *values).save(tmp_path / "x.tiff")
    assert np.abs(np.array(read(tmp_path / "x.tiff")) - [[255], [0], [119]]).max() <= 1


def test_profile_through_eval(cli, trained, tmp_path):
    """What the networks see is the colour under its profile."""
    for name in ("ProPhoto", "linear grey", "ink"):
        mode, pixel, profile, seen = PROFILED[name]
        large(mode, pixel).save(tmp_path / "a.tiff", icc_profile=profile)
        large("RGB", seen).save(tmp_path / "b.png")
        inputs = ["--input_a", tmp_path / "a.tiff", "--input_b", tmp_path / "b.png", "--inject_levels", 1]
        out = tmp_path / name
        assert cli("eval.py", "--load", trained, *inputs, "--out", out, "--gpu_id", -1).code == 0
        assert (out / "real_a.png").read_bytes() == (out / "real_b.png").read_bytes()


# Files of other kinds.


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    image = large("RGB", (200, 30, 40))
    image.paste((0, 0, 255), (0, 0, 32, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for orientation in (None, exif.tobytes()):
        heif.from_pillow(image.crop((0, 0, 32, 24))).save(tmp_path / "x.png", exif=orientation)
        seen = np.asarray(open_image(tmp_path / "x.png", "--input_a"), int)
        assert seen.shape == ((24, 32, 3) if orientation is None else (32, 24, 3))
        assert np.abs(seen[-2, 2] - (200, 30, 40)).max() < 12


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(200)
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(200)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEIC, "pip install pillow-heif"),
        (HEIC.replace(b"ftypheic", b"ftypmif1"), "pip install pillow-heif"),
        (HEIC.replace(b"heic", b"hevx"), "pip install pillow-heif"),
        (AVIF, "cannot be read"),
        (b"\xff\x0a" + bytes(200), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200), "JPEG XL"),
    ],
)
def test_formats_that_pillow_lacks(cli, pair, monkeypatch, tmp_path, content, words):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "x.jpg"  # whatever its name says
    path.write_bytes(content)
    line = complaint(cli("train.py", "--input_a", path, "--input_b", pair[1], "--out", tmp_path / "o", *TINY))
    assert all(part in line for part in ("--input_a", "x.jpg", words))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"keep_rgb": True}, {"YCCK": True}])
def test_jpeg_says_itself_how_its_colours_are_stored(tmp_path, mode, options):
    path, rng = tmp_path / "x.jpg", np.random.default_rng(4)
    values = rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    image = Image.frombytes("CMYK", (8, 8), values.tobytes()).convert(mode)
    options = dict(options)
    as_ycck = options.pop("YCCK", False)
    image.save(path, comment=b"note", **options)
    if as_ycck and mode == "CMYK":  # the last byte of Adobe's segment
        patched(path, b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(open_image(path, "--input_a")))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "AVIF", "MPO", "PDF"])
def test_first_of_several(tmp_path, kind):
    frames = [large("RGB", (255, 0, 0)), large("RGB", (0, 0, 255))]
    frames[0].save(tmp_path / "x", format=kind, save_all=True, append_images=frames[1:])
    if kind == "PDF":
        with pytest.raises(UserError, match="not an image Pillow can read"):
            open_image(tmp_path / "x", "--input_a")
    else:
        assert np.abs(np.array(read(tmp_path / "x")) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF", "JPEG2000", "BMP"])
def test_truncated(tmp_path, kind):
    path, rng = tmp_path / "x", np.random.default_rng(2)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path, format=kind)
    data = path.read_bytes()
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UserError, match=r"--input_a .*x: cannot be read"):
            open_image(path, "--input_a")
