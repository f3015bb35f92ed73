"""ICC profiles, version 2, from their numbers (ICC.1:2001-04)."""

import struct
from itertools import product

SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
D50 = (0.9642, 1.0, 0.8249)


def srgb_curve() -> list[float]:
    """sRGB's transfer function, of 1024 equal steps."""
    levels = [index / 1023 for index in range(1024)]
    return [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]


def rgb_profile(primaries: tuple, curve: float | list[float]) -> bytes:
    """Of three primaries (XYZ under D50) and one curve for all channels, a gamma or a table."""
    tags = {f"{name}XYZ": _xyz(primary) for name, primary in zip("rgb", primaries, strict=True)}
    return _profile("RGB ", "XYZ ", tags | {f"{name}TRC": _curve(curve) for name in "rgb"})


def grey_profile(curve: float | list[float]) -> bytes:
    return _profile("GRAY", "XYZ ", {"kTRC": _curve(curve)})


def cmyk_profile(lightness_of_cyan: int) -> bytes:
    """Inks that are all neutral: no ink is L* 100, cyan alone this L*, all others and all mixtures black."""
    ramp = bytes(range(256))
    corners = b""
    for inks in product((0, 1), repeat=4):
        lightness = 100 if inks == (0, 0, 0, 0) else lightness_of_cyan if inks == (1, 0, 0, 0) else 0
        corners += bytes([round(lightness * 2.55), 128, 128])
    unity = struct.pack(">9i", *(65536 * (row == column) for row in range(3) for column in range(3)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unity + ramp * 4 + corners + ramp * 3
    return _profile("CMYK", "Lab ", {"A2B0": table})


def _xyz(values: tuple) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(curve: float | list[float]) -> bytes:
    if isinstance(curve, float):
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(curve * 256))
    return b"curv" + bytes(4) + struct.pack(f">I{len(curve)}H", len(curve), *(round(65535 * value) for value in curve))


def _profile(space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    tags |= {"wtpt": _xyz(D50), "cprt": b"text" + bytes(4) + b"none\0"}
    tags |= {"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)}
    place, entries, data = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        entries += name.encode() + struct.pack(">II", place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    names = b"prtr" if space == "CMYK" else b"mntr", space.encode(), connection.encode()
    header = struct.pack(">I4sI4s4s4s", place + len(data), b"none", 0x02400000, *names)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in D50)) + bytes(48)
    return header + struct.pack(">I", len(tags)) + entries + data
