"""Small rendering toolkit behind make_images.py: noise, layouts, and a lit height field.

Every rendered scene is a height field seen from straight above: a height, a colour and a
gloss for each pixel. Lighting that height field gives shading, soft shadows and highlights
that agree with each other, which is what makes plain numpy pictures look like photographs.
"""

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

SIDE = 512  # scenes are laid out on a square of this many units, whatever the size of the picture
SIZE = 512  # pixels on a side of a finished picture, at least 256
SAMPLES = 2 * SIZE  # scenes are sampled at twice the size and reduced, against jagged edges
STEP = SIDE / SAMPLES  # units from one sample to the next
YY, XX = (np.mgrid[0:SAMPLES, 0:SAMPLES] + 0.5) * STEP  # in units
LIGHT = np.array([-0.55, -0.5, 0.67])  # towards the lamp: from the upper left


def noise(rng, beta=2.0, stretch=(1.0, 1.0), largest=SIDE, smallest=2 * STEP):
    """Return periodic SAMPLES x SAMPLES noise with spectrum 1/f^beta, mean 0 and deviation 1.

    stretch lengthens the grain along (y, x); largest and smallest bound the wavelengths, in units.
    Waves of two units and more come from rng itself, shorter ones from a stream spawned from it: what is
    large in a picture stays where it is when SIZE changes.
    """
    coarse = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * (SAMPLES / SIDE)
    waves = np.fft.rfft2(rng.spawn(1)[0].standard_normal((SAMPLES, SAMPLES)))
    half = SIDE // 2
    waves[:half, :half], waves[-half:, :half] = coarse[:half, :half], coarse[-half:, :half]
    fy = np.fft.fftfreq(SAMPLES, STEP)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(SAMPLES, STEP)[None, :] * stretch[1]
    freq = np.hypot(fy, fx)
    gain = np.maximum(freq, 1.0 / largest) ** (-beta / 2) * (freq < 1.0 / smallest)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(waves * gain, (SAMPLES, SAMPLES))
    return field / field.std()


def blur(picture, sigma):
    """Blur the first two axes by a Gaussian of sigma units."""
    return ndimage.gaussian_filter(picture, sigma / STEP, mode="nearest", axes=(0, 1))


def slopes(height):
    """Return the slope of a height field along y and along x."""
    return np.gradient(height, STEP)


def lookup(picture, y, x, mode="nearest"):
    """Return an image's values at positions in units; colour images, too."""
    at = [np.asarray(y) / STEP - 0.5, np.asarray(x) / STEP - 0.5]
    planes = np.atleast_3d(picture).transpose(2, 0, 1)
    found = [ndimage.map_coordinates(plane, at, order=1, mode=mode) for plane in planes]
    return np.stack(found, axis=-1) if picture.ndim == 3 else found[0]


def mix(low, high, weight):
    """Blend two colours (or colour images) by a weight image, clipped to 0..1."""
    weight = np.clip(weight, 0.0, 1.0)[..., None]
    return np.asarray(low) * (1 - weight) + np.asarray(high) * weight


def smoothstep(edge0, edge1, value):
    """Rise smoothly from 0 at edge0 to 1 at edge1."""
    t = np.clip((value - edge0) / (edge1 - edge0), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def scatter(rng, count, radii, gap, margin=0.0, tall=1.0):
    """Throw darts until count discs (x, y, r), tall times as high as wide, lie at least gap apart."""
    discs = []
    for _ in range(20000):
        r = rng.uniform(*radii)
        edge = np.array((r, r * tall)) + margin
        x, y = rng.uniform(edge, SIDE - edge)
        if all(np.hypot(x - a, (y - b) / tall) > r + c + gap for a, b, c in discs):
            discs.append((x, y, r))
            if len(discs) == count:
                return discs
    raise ValueError(f"no room for {count} discs with radii {radii}")


def window(x, y, reach):
    """Return the slices of rows and columns that hold a square of half side reach about (x, y), all in units."""
    first = np.clip(np.array((y - reach, x - reach)) / STEP, 0, SAMPLES).astype(int)
    last = np.clip(np.array((y + reach, x + reach)) / STEP + 1, 0, SAMPLES).astype(int)
    return slice(first[0], last[0]), slice(first[1], last[1])


def heap(balls):
    """Return the height of a heap of balls, rows of (x, y, z, r), and the index of the topmost, else -1."""
    height, top = np.zeros((SAMPLES, SAMPLES)), np.full((SAMPLES, SAMPLES), -1)
    for k, (x, y, z, r) in enumerate(balls):
        part = window(x, y, r)
        d2 = (XX[part] - x) ** 2 + (YY[part] - y) ** 2
        surface = z + np.sqrt(np.clip(r**2 - d2, 0, None))
        seen = (d2 < r**2) & (surface > height[part])
        height[part][seen] = surface[seen]
        top[part][seen] = k
    return height, top


class Scene:
    """A height field with a colour (sRGB, 0..1) and a gloss for each pixel."""

    def __init__(self, height, color, gloss=0.0):
        self.height = np.broadcast_to(height, (SAMPLES, SAMPLES)).astype(float)
        self.color = np.broadcast_to(color, (SAMPLES, SAMPLES, 3)).astype(float)
        self.gloss = np.full((SAMPLES, SAMPLES), float(gloss))

    def add(self, height, color, gloss, where, part=...):
        """Put an object, drawn in a window of the scene, where its mask holds and it is the highest so far."""
        top = where & (height > self.height[part])
        self.height[part][top] = height[top]
        self.color[part][top] = np.broadcast_to(color, (*top.shape, 3))[top]
        self.gloss[part][top] = np.broadcast_to(gloss, top.shape)[top]

    def photograph(self, rng, ambient=0.42, sun=0.95):
        """Light the scene and return the finished SIZE x SIZE picture."""
        gy, gx = slopes(self.height)
        normal = np.dstack([-gx, -gy, np.ones_like(gx)])
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        lit = soft_shadow(rng, self.height)
        diffuse = np.clip(normal @ LIGHT, 0.0, None) * lit
        # The sky is a little blue and the lamp a little yellow, as outdoors.
        light = ambient * (occlusion(self.height) * (0.6 + 0.4 * normal[..., 2]))[..., None] * np.array(
            [0.94, 0.98, 1.08]
        ) + sun * diffuse[..., None] * np.array([1.06, 1.0, 0.92])
        half = LIGHT + np.array([0.0, 0.0, 1.0])
        shine = np.clip(normal @ (half / np.linalg.norm(half)), 0.0, 1.0)
        highlight = self.gloss * (0.9 * shine**220 + 0.25 * shine**30) * (0.15 + 0.85 * lit)
        rim = self.gloss * 0.12 * (1 - normal[..., 2]) ** 3  # grazing reflection of the sky
        linear = self.color**2.2 * light + (highlight + rim)[..., None]
        return finish(np.clip(linear, 0.0, None) ** (1 / 2.2))


def soft_shadow(rng, height, lamps=14, reach=90, step=2):
    """Return how much of a wide lamp each sample sees, by marching towards points on it (reach, step in units)."""
    margin = int(reach / STEP) + 2
    height = height.astype(np.float32)
    padded = np.pad(height, margin, mode="edge")
    seen = np.zeros_like(height)
    for _ in range(lamps):
        direction = LIGHT + rng.normal(0.0, 0.09, 3)
        direction /= np.hypot(direction[0], direction[1])
        blocked = np.zeros(height.shape, bool)
        for distance in range(step, reach, step):
            dx, dy = np.rint(direction[:2] * distance / STEP).astype(int) + margin
            view = padded[dy : dy + SAMPLES, dx : dx + SAMPLES]
            blocked |= view - height > np.float32(distance * direction[2] + 0.8)
        seen += ~blocked
    return blur(seen / lamps, 1.0)


def occlusion(height):
    """Return the share of sky that is open: samples lower than their surroundings are darker."""
    hidden = sum(np.clip(blur(height, s) - height, 0, None) / s for s in (3, 9, 24))
    return 1.0 / (1.0 + 1.1 * hidden)


def finish(picture):
    """Reduce a SAMPLES-sized RGB picture (0..1) to the finished Pillow image."""
    eight_bit = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    return Image.fromarray(eight_bit).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def text_mask(rows, size, font="DejaVuSans-Bold.ttf"):
    """Draw rows of letters, each letter centred in its cell of a grid, as a boolean mask; size in units."""
    # matplotlib carries the DejaVu fonts, so the letters look the same on every machine.
    face = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{font}", round(size / STEP))
    # Drawn too low and stretched upwards afterwards: tall letters fill the square better.
    low = SAMPLES * 4 // 5
    canvas = Image.new("L", (SAMPLES, low))
    pen = ImageDraw.Draw(canvas)
    for j, row in enumerate(rows):
        for i, letter in enumerate(row):
            left, top, right, bottom = pen.textbbox((0, 0), letter, font=face)
            x = SAMPLES * (i + 0.5) / len(row) - (left + right) / 2
            y = low * (j + 0.5) / len(rows) - (top + bottom) / 2
            pen.text((x, y), letter, fill=255, font=face)
    return np.asarray(canvas.resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC)) > 127
