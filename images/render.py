"""What the drawn pictures of make_images.py share: noise, layouts, colours, and the way to a finished picture."""

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 512  # pixels on a side of a finished picture, and units in which scenes are laid out
SAMPLES = 2 * SIDE  # scenes are sampled at twice the size and reduced, against jagged edges
STEP = SIDE / SAMPLES  # units from one sample to the next
YY, XX = (np.mgrid[0:SAMPLES, 0:SAMPLES] + 0.5) * STEP  # in units
LIGHT = np.array([-0.55, -0.5, 0.67])  # towards the lamp: from the upper left


def noise(rng, beta=2.0, stretch=(1.0, 1.0), largest=SIDE, smallest=2 * STEP):
    """Return periodic SAMPLES x SAMPLES noise with spectrum 1/f^beta, mean 0 and deviation 1.

    stretch lengthens the grain along (y, x); largest and smallest bound the wavelengths, in units.
    """
    coarse = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * (SAMPLES / SIDE)
    waves = np.fft.rfft2(rng.spawn(1)[0].standard_normal((SAMPLES, SAMPLES)))
    half = SIDE // 2
    waves[:half, :half], waves[-half:, :half] = coarse[:half, :half], coarse[-half:, :half]
    freq = np.hypot(np.fft.fftfreq(SAMPLES, STEP)[:, None] * stretch[0], np.fft.rfftfreq(SAMPLES, STEP) * stretch[1])
    gain = np.maximum(freq, 1.0 / largest) ** (-beta / 2) * (freq < 1.0 / smallest)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(waves * gain, (SAMPLES, SAMPLES))
    return field / field.std()


def blur(picture, sigma):
    """Blur by a Gaussian of sigma units."""
    return ndimage.gaussian_filter(picture, sigma / STEP, mode="nearest")


def mix(low, high, weight):
    """Blend two colours (or colour images) by a weight image, clipped to 0..1."""
    weight = np.clip(weight, 0.0, 1.0)[..., None]
    return np.asarray(low) * (1 - weight) + np.asarray(high) * weight


def smoothstep(edge0, edge1, value):
    """Rise smoothly from 0 at edge0 to 1 at edge1."""
    t = np.clip((value - edge0) / (edge1 - edge0), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def inside(distance):
    """Cover where a distance to an outline, in units, is negative; soft over a pixel."""
    return smoothstep(STEP, -STEP, distance)


def paint(picture, color, cover):
    """Lay a colour (or colour image) over the picture where cover is 1."""
    picture += (np.asarray(color) - picture) * cover[..., None]


def scatter(rng, count, radii, gap, margin=0.0, tall=1.0):
    """Throw darts until count discs (x, y, r), tall times as high as wide, lie at least gap apart."""
    discs = []
    while len(discs) < count:
        r = rng.uniform(*radii)
        edge = np.array((r, r * tall)) + margin
        x, y = rng.uniform(edge, SIDE - edge)
        if all(np.hypot(x - a, (y - b) / tall) > r + c + gap for a, b, c in discs):
            discs.append((x, y, r))
    return discs


def window(x, y, reach):
    """Return the slices of rows and columns that hold a square of half side reach about (x, y), all in units."""
    first = np.clip(np.array((y - reach, x - reach)) / STEP, 0, SAMPLES).astype(int)
    last = np.clip(np.array((y + reach, x + reach)) / STEP + 1, 0, SAMPLES).astype(int)
    return slice(first[0], last[0]), slice(first[1], last[1])


def finish(picture):
    """Reduce a SAMPLES-sized RGB picture (0..1) to the finished Pillow image."""
    eight_bit = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    return Image.fromarray(eight_bit).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
