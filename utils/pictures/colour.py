"""Colours of any kind to 8-bit sRGB on white: range, colour profile, transparency."""

import io

import numpy as np
from PIL import Image, ImageCms

# Pillow's mode for the colours an ICC profile is made for.
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
# Up to so many levels from sRGB is sRGB: profiles of that name differ in their last digits.
SRGB_WITHIN = 1


class ProfileError(Exception):
    """A colour profile that is damaged, or made for another kind of picture."""


def split_transparency(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours (mode L, I, I;16, F, RGB, CMYK or LAB) and opacity (mode L) of a picture; None where it is opaque."""
    if picture.mode in ("CMYK", "LAB") or picture.mode.startswith(("I", "F")):
        return picture, None
    if picture.has_transparency_data:
        grey = picture.mode in ("LA", "La")
        picture = picture.convert("LA" if grey else "RGBA")
        return picture.convert("L") if grey else picture.convert("RGB"), picture.getchannel("A")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB"), None


def on_white(picture: Image.Image, opacity: Image.Image) -> Image.Image:
    """An RGB picture of this opacity (mode L) in front of white."""
    picture = picture.copy()
    picture.putalpha(opacity)
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def to_16_bits(picture: Image.Image, white: int | None) -> Image.Image:
    """Grey of 16 or 32 bits or floating point as mode I;16, 0 black and 65535 white.

    Args:
        white: the value that is white; None for the rule: of floating point 1; of integers 255 if none is larger,
            else 65535.

    Raises:
        ValueError: values beyond that.
    """
    values = np.asarray(picture)
    if not np.isfinite(values).all():
        raise ValueError("has pixels that are NaN or infinite")
    least, most = values.min().item(), values.max().item()
    if white is None:
        white = 1 if picture.mode == "F" else 255 if most <= 255 else 65535
    if least < 0 or most > white:
        kind = "floating-point" if picture.mode == "F" else "32-bit"
        raise ValueError(
            f"has {kind} pixels from {least:g} to {most:g}, not within 0 (black) to {white} (white); "
            "scale them, or save it with 8 or 16 bits a channel"
        )
    return Image.fromarray(np.round(values * (65535 / white)).astype(np.uint16))


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours of mode L, I;16, RGB, CMYK or LAB as 8-bit RGB.

    Args:
        profile: the ICC profile they follow, converted by relative colorimetry with black point compensation; None
            for none: sRGB, of CMYK the plain inverse, of LAB the CIE's under D50.

    Raises:
        ProfileError: the profile is damaged, or made for other colours than the picture's.
    """
    if profile is not None:
        return _by_profile(picture, profile)
    if picture.mode == "LAB":
        return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB").apply(picture)
    if picture.mode == "I;16":
        picture = Image.fromarray(np.round(np.asarray(picture) / 257).astype(np.uint8))
    return picture.convert("RGB")


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        wanted = PROFILE_MODES[source.profile.xcolor_space.strip()]
        if wanted == "L" and picture.mode == "I;16":
            wanted = "I;16"
        transform = _transform(source, wanted)
    except Exception:  # ImageCms has its own error, and lets those of reading a damaged profile through.
        raise ProfileError("is damaged") from None
    if wanted != picture.mode:
        picture = _as_mode(picture, wanted)
    if wanted in ("RGB", "L") and _is_srgb(transform, wanted):
        return picture.convert("RGB")
    return transform.apply(picture)


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Grey as RGB, or RGB that is grey as grey, as a profile asks for it."""
    if mode == "RGB" and picture.mode in ("L", "I;16"):
        return to_srgb(picture, None)
    if mode == "L" and picture.mode == "RGB":
        red, green, blue = (band.tobytes() for band in picture.split())
        if red == green == blue:
            return picture.getchannel("R")
    raise ProfileError("is for another kind of picture")


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves a grid of colours, and all greys, as they are."""
    levels = np.arange(256, dtype=np.uint8)
    if mode == "L":
        before = levels[:, None]
    else:
        grid = np.stack(np.meshgrid(*[levels[::15]] * 3), axis=-1).reshape(-1, 3)
        before = np.concatenate([grid, np.repeat(levels[:, None], 3, axis=1)])
    picture = Image.fromarray(before if mode == "L" else before[None])
    after = np.asarray(transform.apply(picture)).reshape(len(before), 3)
    return np.abs(after.astype(int) - before).max() <= SRGB_WITHIN
