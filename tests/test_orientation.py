"""Images lie in their files in eight ways, in every mode and compression, among notes that may be damaged."""

import re
import struct
import zlib

import numpy as np
import pytest
import tifffile
from conftest import TINY
from PIL import Image

from utils.image import open_image

ORIENTATION = 0x0112
# How pixels that lie so in a file are to be shown.
UPRIGHT = {
    1: lambda rows: rows,
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows[::-1].swapaxes(0, 1),
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows[:, ::-1].swapaxes(0, 1),
}
MODES = ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "LAB", "I;16", "I", "F"]
LOSSLESS = [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd"]
COMPRESSIONS = {"1": ["group3", "group4", "tiff_ccitt"], "L": ["jpeg"], "RGB": ["jpeg"], "CMYK": ["jpeg"]}


def noise(mode: str, size: tuple[int, int] = (12, 7)) -> Image.Image:
    """An image of random pixels, wider than high."""
    rng, shape = np.random.default_rng(3), size[::-1]
    if mode in ("I;16", "I"):
        return Image.fromarray(rng.integers(0, 65536, shape).astype({"I;16": np.uint16, "I": np.int32}[mode]))
    if mode == "F":
        return Image.fromarray(rng.random(shape, dtype=np.float32))
    values = rng.integers(0, 256, (*shape, 4), dtype=np.uint8)
    if mode in ("CMYK", "LAB", "RGBX"):
        image = Image.new(mode, size)
        image.frombytes(values[..., : len(image.getbands())].tobytes())
        return image
    image = Image.fromarray(values)
    if mode in ("P", "PA"):
        palette = image.convert("RGB").quantize(8)
        return palette if mode == "P" else palette.convert("PA")
    return image.convert(mode)


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def read(path) -> np.ndarray:
    return np.asarray(open_image(path, "--input_a"))


def pillows(path) -> np.ndarray:
    """What Pillow makes of an already open file, on white."""
    with path.open("rb") as file, Image.open(file) as opened:
        image = opened.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


@pytest.mark.parametrize("mode", MODES)
def test_tiff(tmp_path, mode):
    image, path = noise(mode), tmp_path / "x.tiff"
    for compression in [*LOSSLESS, *COMPRESSIONS.get(mode, [])]:
        image.save(path, compression=compression)
        upright = read(path)
        assert upright.shape == (7, 12, 3)
        assert upright.std() > 20
        if mode not in ("LAB", "I;16", "I", "F"):
            assert np.array_equal(upright, pillows(path)), compression
        for number, turn in UPRIGHT.items():
            image.save(path, compression=compression, exif=oriented(number))
            assert np.array_equal(read(path), turn(upright)), (compression, number)


@pytest.mark.parametrize("pixels", ["uint8", "uint16", "int32"])
@pytest.mark.parametrize(
    "layout",
    [
        {"rowsperstrip": 3},
        {"byteorder": ">", "rowsperstrip": 3},
        {"tile": (16, 16), "byteorder": ">"},
        {"bigtiff": True, "tile": (16, 16)},
    ],
    ids=["strips", "big-endian", "big-endian tiles", "BigTIFF tiles"],
)
def test_tiff_of_other_programs(tmp_path, layout, pixels):
    values, path = np.arange(20 * 7, dtype=pixels).reshape(7, 20), tmp_path / "x.tif"
    scale = 257 if pixels == "uint16" else 1
    tags = [(ORIENTATION, "H", 1, 6, True), (270, "s", 0, "notes", True)]
    tifffile.imwrite(path, values * scale, photometric="minisblack", metadata=None, extratags=tags, **layout)
    assert np.array_equal(read(path)[..., 0], UPRIGHT[6](values))


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "AVIF"])
def test_other_formats(tmp_path, kind):
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(kind, {})
    path = tmp_path / "x"
    noise("RGB", (16, 8)).save(path, format=kind, **options)
    upright = read(path).astype(int)
    for number, turn in UPRIGHT.items():
        noise("RGB", (16, 8)).save(path, format=kind, exif=oriented(number), **options)
        found = read(path).astype(int)
        assert found.shape == turn(upright).shape
        assert np.abs(found - turn(upright)).max() <= (2 if kind == "AVIF" else 0)


# EXIF whose other entries are damaged: only the orientation is read.


def exif_block(order: str, *entries: tuple, tail: bytes = b"", count: int | None = None, after: int = 0) -> bytes:
    """EXIF of raw entries (tag, type, number of values, value or its place)."""
    mark = {"II": "<", "MM": ">"}[order]
    block = b"Exif\0\0" + order.encode() + struct.pack(mark + "HL", 42, 8)
    block += struct.pack(mark + "H", len(entries) if count is None else count)
    for tag, kind, number, value in sorted(entries):
        block += struct.pack(mark + "HHL", tag, kind, number)
        block += value if isinstance(value, bytes) else struct.pack(mark + "L", value)
    return block + struct.pack(mark + "L", after) + tail


def damaged_exif(order: str) -> dict[str, bytes]:
    """Blocks that all say 6."""
    mark = {"II": "<", "MM": ">"}[order]
    six, behind = (ORIENTATION, 3, 1, struct.pack(mark + "HH", 6, 0)), 38
    return {
        "signed rational -1/0": exif_block(order, six, (0x011A, 10, 1, behind), tail=struct.pack(mark + "ll", -1, 0)),
        "rational 0/0": exif_block(order, six, (0x011A, 5, 1, behind), tail=bytes(8)),
        "NaN": exif_block(order, six, (0x011A, 11, 1, struct.pack(mark + "f", float("nan")))),
        "maker's name outside": exif_block(order, six, (0x010F, 2, 20, 10**6)),
        "maker's name of 4 GB": exif_block(order, six, (0x010F, 2, 2**32 - 1, 8)),
        "unknown type": exif_block(order, six, (0x010F, 99, 1, 5)),
        "text that is not ASCII": exif_block(order, six, (0x010F, 2, 4, b"\xff\xfe\xfd\xfc")),
        "directory outside": exif_block(order, six, (0x8769, 4, 1, 10**6)),
        "directory at -5": exif_block(order, six, (0x8769, 9, 1, struct.pack(mark + "l", -5))),
        "directory in itself": exif_block(order, six, (0x8825, 4, 1, 8), after=8),
        "more entries than there are": exif_block(order, six, count=500),
        "cut short": exif_block(order, six, (0x0131, 2, 50, behind))[:-3],
        "orientation as a byte": exif_block(order, (ORIENTATION, 1, 1, b"\6\0\0\0")),
        "orientation of 32 bits": exif_block(order, (ORIENTATION, 4, 1, 6)),
        "two headers": b"Exif\0\0" + exif_block(order, six),
    }


EXIF_WITHOUT = {
    "empty": b"Exif\0\0",
    "no TIFF": b"Exif\0\0hello",
    "no directory": b"Exif\0\0II*\0\x08\0\0\0",
    "directory far away": b"Exif\0\0MM\0*\x7f\0\0\0",
    "0": exif_block("II", (ORIENTATION, 3, 1, 0)),
    "9": exif_block("II", (ORIENTATION, 3, 1, 9)),
    "text": exif_block("II", (ORIENTATION, 2, 4, b"six\0")),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif(tmp_path, kind):
    image, path, options = noise("RGB", (16, 8)), tmp_path / "x", {"lossless": True} if kind == "WEBP" else {}
    image.save(path, format=kind, **options)
    upright = read(path)
    blocks = [(name, block, 6) for order in ("II", "MM") for name, block in damaged_exif(order).items()]
    for name, block, number in [*blocks, *((name, block, 1) for name, block in EXIF_WITHOUT.items())]:
        image.save(path, format=kind, exif=block, **options)
        assert np.array_equal(read(path), UPRIGHT[number](upright)), name


def test_avif_turns_by_its_own_property_whatever_its_exif(tmp_path):
    path = tmp_path / "x.avif"
    noise("RGB", (16, 8)).save(path)
    upright = read(path)
    noise("RGB", (16, 8)).save(path, exif=oriented(6))
    assert np.abs(read(path).astype(int) - UPRIGHT[6](upright)).max() <= 2
    data = path.read_bytes()
    for damaged in (b"no\0*", b"MM\0\0", b"II*\0"):  # the header of the EXIF's TIFF
        path.write_bytes(re.sub(rb"II\*\0|MM\0\*", damaged, data))
        assert read(path).shape == (16, 8, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_in_xmp_alone(tmp_path, kind):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    image, path = noise("RGB", (16, 8)), tmp_path / "x"
    image.save(path, format=kind)
    upright = read(path)
    if kind == "PNG":
        _insert(path, 33, _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    else:
        image.save(path, format=kind, xmp=xmp)
    assert np.array_equal(read(path), UPRIGHT[8](upright))


# Notes of other kinds.


def _png_chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(name + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _insert(path, place: int, note: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:place] + note + data[place:])


TOO_LONG = zlib.compress(bytes(2**21))
NOTES = {
    "wrong checksum": ("PNG", _png_chunk(b"tEXt", b"Comment\0hello", checksum=1)),
    "long text": ("PNG", _png_chunk(b"zTXt", b"Comment\0\0" + TOO_LONG)),
    "text of another packing": ("PNG", _png_chunk(b"zTXt", b"Comment\0\7x")),
    "text called transparency": ("PNG", _png_chunk(b"tEXt", b"transparency\0yes")),
    "short resolution": ("PNG", _png_chunk(b"pHYs", b"\0")),
    "short gamma": ("PNG", _png_chunk(b"gAMA", b"\0")),
    "short whites": ("PNG", _png_chunk(b"cHRM", b"\0")),
    "an animation's empty header": ("PNG", _png_chunk(b"acTL", b"")),
    "short JFIF": ("JPEG", _segment(0xE0, b"JFIF")),
    "short Adobe": ("JPEG", _segment(0xEE, b"Adobe")),
    "short MPF": ("JPEG", _segment(0xE2, b"MPF\0")),
    "MPF of other images": ("JPEG", _segment(0xE2, b"MPF\0II*\0\x08\0\0\0\1\0\1\xb0\4\0\1\0\0\0\5\0\0\0\0\0\0\0")),
    "short Photoshop": ("JPEG", _segment(0xED, b"Photoshop 3.0\0" + b"8BIM")),
    "short gain map": ("JPEG", _segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0")),
}


@pytest.mark.parametrize("name", NOTES)
def test_damaged_notes(tmp_path, name):
    kind, note = NOTES[name]
    path = tmp_path / "x"
    noise("RGB").save(path, format=kind)
    before = read(path)
    _insert(path, {"PNG": 33, "JPEG": 2}[kind], note)
    assert np.array_equal(read(path), before)


TIFF_NOTES = {
    "description outside": (270, 2, 10**6, 10**8),
    "resolution as text": (282, 2, 4, b"abc\0"),
    "resolution outside": (282, 5, 1, 10**8),
    "resolution -1/0": (282, 10, 1, 8),
    "date as a float": (306, 11, 1, struct.pack("<f", float("nan"))),
    "directory outside": (34665, 4, 1, 10**8),
    "directory at -5": (34665, 9, 1, struct.pack("<l", -5)),
    "Photoshop outside": (34377, 7, 10**6, 10**8),
    "XMP as a number": (700, 3, 1, 7),
}


@pytest.mark.parametrize("name", TIFF_NOTES)
def test_damaged_notes_of_tiff(tmp_path, name):
    path = tmp_path / "x.tiff"
    noise("RGB").save(path)
    upright = read(path)
    tags = {tag: 7 if tag != 306 else "2020" for tag in (282, 283, 306)}
    noise("RGB").save(path, tiffinfo=tags | {296: 3, 270: "long enough"}, exif=oriented(6))
    data = path.read_bytes()
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {data[at : at + 2]: data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)}
    tag, kind, number, value = TIFF_NOTES[name]
    value = value if isinstance(value, bytes) else struct.pack("<L", value)
    entries[struct.pack("<H", tag)] = struct.pack("<HHL", tag, kind, number) + value
    entries[struct.pack("<H", 274)] = struct.pack("<HHLHH", 274, 3, 1, 6, 0)
    order = sorted(entries.values(), key=lambda entry: struct.unpack_from("<H", entry))
    directory = struct.pack("<H", len(order)) + b"".join(order) + bytes(4)
    path.write_bytes(data[:4] + struct.pack("<L", len(data)) + data[8:] + directory)
    assert np.array_equal(read(path), UPRIGHT[6](upright))


def test_a_camera_s_raw_file_is_not_its_thumbnail(tmp_path):
    path = tmp_path / "x.dng"
    noise("RGB").save(path, format="TIFF", tiffinfo={254: 1})
    with pytest.raises(Exception, match=r"--input_a .*x\.dng: .*raw.*PNG"):
        open_image(path, "--input_a")


# Through the command line.


def test_through_eval(cli, trained, tmp_path):
    """Whatever way they lie, the program sees the upright images."""
    for number, mode, suffix in ((6, "L", "tiff"), (8, "CMYK", "tiff"), (5, "RGB", "png")):
        lying, path, upright = noise(mode, (40, 32)), tmp_path / f"lying.{suffix}", tmp_path / "upright.png"
        lying.save(path, exif=oriented(number))
        Image.fromarray(UPRIGHT[number](np.asarray(lying.convert("RGB")))).save(upright)
        out = tmp_path / mode
        levels = ["--inject_levels", 1, "--gpu_id", -1]
        done = cli("eval.py", "--load", trained, "--input_a", path, "--input_b", upright, "--out", out, *levels)
        assert done.code == 0, done.err
        assert (out / "real_a.png").read_bytes() == (out / "real_b.png").read_bytes()


def test_damaged_notes_through_train(cli, pair, tmp_path):
    blocks = damaged_exif("II")
    for name in ("signed rational -1/0", "NaN", "directory at -5"):
        noise("RGB", (32, 24)).save(tmp_path / "x.jpg", exif=blocks[name])
        arguments = ["--input_a", tmp_path / "x.jpg", "--input_b", pair[1], "--out", tmp_path / "out", *TINY]
        done = cli("train.py", *arguments, "--dry_run")
        assert done.code == 0, done.err
