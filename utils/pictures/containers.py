"""Reduce a file to what makes its image, so that damage to its notes cannot refuse a good image.

Pillow gives up on a whole file for a comment with a wrong checksum, a resolution that is no number or a thumbnail that
lies elsewhere. What it is given here holds the pixels and what says how they look: orientation, transparency, profile.
"""

import os
import re
import struct
import zlib
from typing import BinaryIO, NamedTuple

HEAD = 256  # bytes that tell what a file is
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
# Little- or big-endian; the 32-bit files, and BigTIFF's 64-bit ones.
TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
AVIF_BRANDS = {b"avif", b"avis"}
ORIENTATION, ICC_PROFILE = 0x0112, 34675
# Size, layout, compression, meaning of the pixels; all other tags of a TIFF are notes.
TIFF_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, 273, ORIENTATION, 277, 278, 279, 284, 292, 293, 317, 320}
TIFF_TAGS |= {322, 323, 324, 325, 338, 339, 347, *range(512, 522), 529, 530, 531, 532, ICC_PROFILE}
PNG_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
PNG_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
MOST_PROFILE = 1 << 26  # bytes
# An "item information entry" of type Exif: by their standard these files turn by a property of the image, not by it.
EXIF_ITEM = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)


class Essentials(NamedTuple):
    """What is left of a file.

    Attributes:
        data: the file for Pillow; b"" for the file as it is.
        profile: the ICC profile, b"" for a damaged one, None where Pillow is to say.
        key: the one grey or RGB value, 16-bit each, that is transparent, of PNG.
    """

    data: bytes
    profile: bytes | None = None
    key: tuple[int, ...] | None = None


def brands(head: bytes) -> set[bytes]:
    """The brands of a file of the MP4 family, from its first bytes; of any other none."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return {head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))}


def is_known(head: bytes) -> bool:
    """Whether `essentials` can reduce a file with these first bytes."""
    return head.startswith((PNG, JPEG, *TIFF)) or bool(brands(head) & (HEIC_BRANDS | AVIF_BRANDS))


def is_still(head: bytes) -> bool:
    """Whether a file is a still image by these first bytes alone; that a PNG, say, is one, they do not tell."""
    found = brands(head)
    heif = not found.isdisjoint(HEIC_BRANDS | {b"avif", b"mif1", b"mif2"}) and b"avis" not in found
    return heif or head.startswith((JPEG, *TIFF, *JPEG_XL))


def png_frames(file: BinaryIO) -> int:
    """How many frames a PNG says its animation has; 0 where it has none."""
    file.seek(len(PNG))
    while len(chunk := file.read(8)) == 8 and chunk[4:] != b"IDAT":
        length = int.from_bytes(chunk[:4], "big")
        if chunk[4:] == b"acTL" and length == 8:
            chunk += file.read(12)
            return int.from_bytes(chunk[8:12], "big") if _is_sound(chunk) else 0
        file.seek(length + 4, os.SEEK_CUR)
    return 0


def essentials(data: bytes, animated: bool = False) -> Essentials:
    """Reduce a file; one whose structure is damaged stays as it is from there on.

    Args:
        animated: keep what makes a PNG an animation.
    """
    if data.startswith(PNG):
        return _png(data, animated)
    if data.startswith(JPEG):
        return _jpeg(data)
    if data.startswith(tuple(TIFF)):
        return _tiff(data)
    return Essentials(EXIF_ITEM.sub(rb"\1none", data))


def orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8 (or whatever stands there), in a block of EXIF; None without one.

    Read by itself: Pillow stops at the first entry whose value lies outside the block.
    """
    tiff = re.sub(rb"^(Exif\0\0){1,2}", b"", exif)
    order = TIFF.get(tiff[:4])
    try:
        (start,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, position)
            if tag == ORIENTATION:
                return struct.unpack_from(order + {1: "B", 3: "H", 4: "L"}.get(kind, "H"), tiff, position + 8)[0]
    except struct.error:  # no EXIF, or cut short
        pass
    return None


def _png(data: bytes, animated: bool) -> Essentials:
    kept, profile, key, position = [PNG], None, None, len(PNG)
    colour = int.from_bytes(data[25:26], "big")
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">L4s", data, position)
        end = position + 12 + length
        if end > len(data) or not name.isalpha():
            break
        if name[:1].isupper() or (animated and name in PNG_ANIMATION):
            kept.append(data[position:end])
        else:
            content, sound = data[position + 8 : end - 4], _is_sound(data[position:end])
            if name == b"iCCP":
                profile = _inflated(content) if sound else b""
            elif name == b"tRNS" and colour in (0, 2) and not animated:
                if sound and len(content) >= 2 * (colour + 1):
                    key = struct.unpack_from(f">{colour + 1}H", content)
            elif sound and (name in (b"tRNS", b"eXIf") or content.startswith(PNG_TEXTS)):
                kept.append(data[position:end])
        position = end
    return Essentials(b"".join([*kept, data[position:]]), profile, key)


def _is_sound(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _inflated(content: bytes) -> bytes:
    _, _, packed = content.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], MOST_PROFILE)
    except zlib.error:
        return b""


def _jpeg(data: bytes) -> Essentials:
    kept, profiles, position = [data[:2]], [], 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segment, content = data[position:end], data[position + 4 : end]
        if marker == 0xDA or marker < 0xC0 or 0xD0 <= marker <= 0xD9 or end > len(data):
            break
        position = end
        if marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
            profiles.append(content[12:])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or _says_colours(marker, content):
            kept.append(segment)
    return Essentials(b"".join([*kept, data[position:]]), _joined(profiles) if profiles else None)


def _says_colours(marker: int, content: bytes) -> bool:
    """Whether an application's segment of a JPEG says how the image is to be shown."""
    return (
        (marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14)
        or (marker == 0xE1 and content.startswith((b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0")))
        or (marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12)
    )


def _joined(parts: list[bytes]) -> bytes:
    """An ICC profile from its parts, each behind its number and how many there are; b"" where one is missing."""
    if any(part[1:2] != bytes([len(parts) % 256]) for part in parts):
        return b""
    return b"".join(part[2:] for part in sorted(parts))


def _tiff(data: bytes) -> Essentials:
    """With one directory, of the first image, that holds the needed entries alone; nothing else moves."""
    order, big = TIFF[data[:4]], data[2:4] in (b"+\0", b"\0+")
    first, number, size, word = (8, "Q", 20, "Q") if big else (4, "H", 12, "L")
    entries = []
    try:
        (start,) = struct.unpack_from(order + word, data, first)
        (count,) = struct.unpack_from(order + number, data, start)
        body = start + struct.calcsize(order + number)
        for position in range(body, min(body + count * size, len(data) - size + 1), size):
            (tag,) = struct.unpack_from(order + "H", data, position)
            if tag in TIFF_TAGS:
                entries.append(data[position : position + size])
    except struct.error:
        return Essentials(data)
    end = body + len(entries) * size
    directory = struct.pack(order + number, len(entries)) + b"".join(entries) + struct.pack(order + word, 0)
    return Essentials(b"".join([data[:start], directory, data[end + struct.calcsize(order + word) :]]))
