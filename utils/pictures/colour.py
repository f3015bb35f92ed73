"""Colours of any kind to 8-bit sRGB on white: range, colour profile, transparency."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

# Pillow's mode for the colours an ICC profile is made for.
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
# Up to so many levels from sRGB is sRGB: profiles of that name differ in their last digits.
SRGB_WITHIN = 1


class ProfileError(Exception):
    """A colour profile that is damaged, or made for another kind of image."""


def split_transparency(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours (mode L, I, I;16, F, RGB, CMYK or LAB) and opacity (mode L) of an image; None where it is opaque."""
    if image.mode in ("CMYK", "LAB") or image.mode.startswith(("I", "F")):
        return image, None
    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB"), None
    grey = image.mode in ("LA", "La")
    image = image.convert("LA" if grey else "RGBA")
    return image.convert("L" if grey else "RGB"), image.getchannel("A")


def on_white(image: Image.Image, opacity: Image.Image) -> Image.Image:
    """An RGB image of this opacity (mode L) in front of white."""
    return Image.composite(image, Image.new("RGB", image.size, "white"), opacity)


def to_16_bits(image: Image.Image, white: int | None) -> Image.Image:
    """Grey of 16 or 32 bits or floating point as mode I;16, 0 black and 65535 white.

    Args:
        white: the value that is white; None for the rule: of floating point 1; of integers 255 if none is larger,
            else 65535.

    Raises:
        ValueError: values beyond that.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise ValueError("has pixels that are NaN or infinite")
    least, most = values.min().item(), values.max().item()
    if white is None:
        white = 1 if image.mode == "F" else 255 if most <= 255 else 65535
    if least < 0 or most > white:
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise ValueError(
            f"has {kind} pixels from {least:g} to {most:g}, not within 0 (black) to {white} (white); "
            "scale them, or save it with 8 or 16 bits a channel"
        )
    return Image.fromarray(np.round(values * (65535 / white)).astype(np.uint16))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours of mode L, I;16, RGB, CMYK or LAB as 8-bit RGB.

    Args:
        profile: the ICC profile they follow, converted by relative colorimetry with black point compensation; None
            for none: sRGB, of CMYK the plain inverse, of LAB the CIE's under D50.

    Raises:
        ProfileError: the profile is damaged, or made for other colours than the image's.
    """
    if profile is not None:
        return _by_profile(image, profile)
    if image.mode == "LAB":
        return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB").apply(image)
    if image.mode == "I;16":
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        wanted, transform = _transform_of(profile, deep=image.mode == "I;16")
    except Exception:  # ImageCms has its own error, and lets those of reading a damaged profile through.
        raise ProfileError("is damaged") from None
    if wanted != image.mode:
        image = _as_mode(image, wanted)
    return image.convert("RGB") if transform is None else transform.apply(image)


@functools.lru_cache(maxsize=8)  # The frames of a clip have the same profile.
def _transform_of(profile: bytes, deep: bool) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The mode a profile is for, of grey the one of 16 bits if it is to be deep; the transform, None if it is sRGB."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = PROFILE_MODES[source.profile.xcolor_space.strip()]
    if deep and mode == "L":
        mode = "I;16"
    transform = _transform(source, mode)
    return mode, None if mode in ("RGB", "L") and _is_srgb(transform, mode) else transform


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Grey as RGB, or RGB that is grey as grey, as a profile asks for it."""
    if mode == "RGB" and image.mode in ("L", "I;16"):
        return to_srgb(image, None)
    if mode == "L" and image.mode == "RGB":
        red, green, blue = (band.tobytes() for band in image.split())
        if red == green == blue:
            return image.getchannel("R")
    raise ProfileError("is for another kind of image")


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves a grid of colours, and all greys, as they are."""
    levels = np.arange(256, dtype=np.uint8)
    colours = np.repeat(levels[:, None], 3, axis=1)
    if mode == "RGB":
        colours = np.concatenate([colours, np.stack(np.meshgrid(*[levels[::15]] * 3), axis=-1).reshape(-1, 3)])
    image = Image.fromarray(colours[None]).convert(mode)
    return np.abs(np.asarray(transform.apply(image), int) - colours).max() <= SRGB_WITHIN
