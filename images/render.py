"""Small rendering toolkit behind make_images.py: noise, layouts, and a lit height field.

Every rendered scene is a height field seen from straight above: a height, a colour and a
gloss for each pixel. Lighting that height field gives shading, soft shadows and highlights
that agree with each other, which is what makes plain numpy pictures look like photographs.
"""

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

SIZE = 256  # side of a finished picture
WORK = 2 * SIZE  # scenes are drawn at twice the size and reduced, against jagged edges
YY, XX = np.mgrid[0:WORK, 0:WORK].astype(float)
LIGHT = np.array([-0.55, -0.5, 0.67])  # towards the lamp: from the upper left


def noise(rng, beta=2.0, stretch=(1.0, 1.0), largest=WORK, smallest=2.0):
    """Return periodic WORK x WORK noise with spectrum 1/f^beta, mean 0 and deviation 1.

    stretch lengthens the grain along (y, x); largest and smallest bound the wavelengths.
    """
    fy = np.fft.fftfreq(WORK)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(WORK)[None, :] * stretch[1]
    freq = np.hypot(fy, fx)
    gain = np.maximum(freq, 1.0 / largest) ** (-beta / 2) * (freq < 1.0 / smallest)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((WORK, WORK))) * gain, (WORK, WORK))
    return field / field.std()


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
        x, y = rng.uniform(edge, WORK - edge)
        if all(np.hypot(x - a, (y - b) / tall) > r + c + gap for a, b, c in discs):
            discs.append((x, y, r))
            if len(discs) == count:
                return discs
    raise ValueError(f"no room for {count} discs with radii {radii}")


def heap(balls):
    """Return the height of a heap of balls, rows of (x, y, z, r), and the index of the topmost, else -1."""
    height, top = np.zeros((WORK, WORK)), np.full((WORK, WORK), -1)
    for k, (x, y, z, r) in enumerate(balls):
        rows = slice(max(0, int(y - r)), max(0, int(y + r) + 2))
        columns = slice(max(0, int(x - r)), max(0, int(x + r) + 2))
        d2 = (XX[rows, columns] - x) ** 2 + (YY[rows, columns] - y) ** 2
        surface = z + np.sqrt(np.clip(r**2 - d2, 0, None))
        seen = (d2 < r**2) & (surface > height[rows, columns])
        height[rows, columns][seen] = surface[seen]
        top[rows, columns][seen] = k
    return height, top


class Scene:
    """A height field with a colour (sRGB, 0..1) and a gloss for each pixel."""

    def __init__(self, height, color, gloss=0.0):
        self.height = np.broadcast_to(height, (WORK, WORK)).astype(float)
        self.color = np.broadcast_to(color, (WORK, WORK, 3)).astype(float)
        self.gloss = np.full((WORK, WORK), float(gloss))

    def add(self, height, color, gloss, where):
        """Put an object where its mask holds and where it is the highest thing so far."""
        top = where & (height > self.height)
        self.height[top] = height[top]
        self.color[top] = np.broadcast_to(color, self.color.shape)[top]
        self.gloss[top] = np.broadcast_to(gloss, self.gloss.shape)[top]

    def photograph(self, rng, ambient=0.42, sun=0.95):
        """Light the scene and return the finished SIZE x SIZE picture."""
        gy, gx = np.gradient(self.height)
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
    """Return how much of a wide lamp each pixel sees, by marching towards points on it."""
    padded = np.pad(height, reach + 2, mode="edge")
    seen = np.zeros_like(height)
    for _ in range(lamps):
        direction = LIGHT + rng.normal(0.0, 0.09, 3)
        direction /= np.hypot(direction[0], direction[1])
        blocked = np.zeros(height.shape, bool)
        for distance in range(step, reach, step):
            dx, dy = np.rint(direction[:2] * distance).astype(int) + reach + 2
            view = padded[dy : dy + WORK, dx : dx + WORK]
            blocked |= view > height + distance * direction[2] + 0.8
        seen += ~blocked
    return ndimage.gaussian_filter(seen / lamps, 1.2)


def occlusion(height):
    """Return the share of sky that is open: pixels lower than their surroundings are darker."""
    hidden = sum(np.clip(ndimage.gaussian_filter(height, s, mode="nearest") - height, 0, None) / s for s in (3, 9, 24))
    return 1.0 / (1.0 + 1.1 * hidden)


def finish(picture):
    """Reduce a WORK-sized RGB picture (0..1) to the finished Pillow image."""
    eight_bit = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    return Image.fromarray(eight_bit).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def text_mask(rows, size, font="DejaVuSans-Bold.ttf"):
    """Draw rows of letters, each letter centred in its cell of a grid, as a boolean mask."""
    # matplotlib carries the DejaVu fonts, so the letters look the same on every machine.
    face = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{font}", size)
    # Drawn too low and stretched upwards afterwards: tall letters fill the square better.
    low = WORK * 4 // 5
    canvas = Image.new("L", (WORK, low))
    pen = ImageDraw.Draw(canvas)
    for j, row in enumerate(rows):
        for i, letter in enumerate(row):
            left, top, right, bottom = pen.textbbox((0, 0), letter, font=face)
            x = WORK * (i + 0.5) / len(row) - (left + right) / 2
            y = low * (j + 0.5) / len(rows) - (top + bottom) / 2
            pen.text((x, y), letter, fill=255, font=face)
    return np.asarray(canvas.resize((WORK, WORK), Image.Resampling.BICUBIC)) > 127
