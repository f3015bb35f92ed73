"""Lettering for make_images.py: wooden letters on paper and neon tubes on a wall."""

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from render import LIGHT, SAMPLES, SIDE, STEP, XX, YY, blur, finish, inside, mix, noise, paint, smoothstep
from scipy import ndimage
from skimage import data


def distance_to_letters(rows, size):
    """Draw rows of letters, each in the middle of its cell of a grid; return the distance to them, negative inside."""
    # matplotlib carries the DejaVu fonts, so the letters look the same on every machine.
    face = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", round(size / STEP))
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
    mask = np.asarray(canvas.resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC)) > 127
    return (ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)) * STEP


def wooden_letters(rng):
    """OAK ELM: wooden letters on pale paper."""
    paper = 1 + 0.015 * noise(rng, 1.5, largest=40)
    distance = distance_to_letters(("OAK", "ELM"), 170)
    cover = inside(distance)
    shadow = blur(ndimage.shift(cover, (12 / STEP, 13 / STEP), order=1), 5)
    picture = np.array((0.88, 0.87, 0.83)) * (paper * (1 - 0.62 * shadow))[..., None]
    fibre = 0.6 * noise(rng, 1.6, stretch=(14, 1), largest=120) + 0.8 * noise(rng, 1.2, stretch=(60, 1), largest=200)
    rings = np.sin(XX / 7 + 5 * noise(rng, 3.0, stretch=(5, 1), largest=300))
    timber = mix((0.36, 0.17, 0.06), (0.8, 0.5, 0.24), 0.5 + 0.1 * fibre + 0.07 * rings)
    down, right = np.gradient(7 * smoothstep(0, -9, blur(distance, 1)) + 0.15 * fibre, STEP)
    light = (LIGHT[2] - right * LIGHT[0] - down * LIGHT[1]) / np.sqrt(1 + right**2 + down**2)
    paint(picture, timber * (0.3 + 1.05 * np.clip(light, 0, 1))[..., None], cover)
    return finish(picture)


def neon_letters(rng):
    """GYM BAR: neon tubes on a dark wall; the wall is scikit-image's `brick` photograph."""
    photo = Image.fromarray(np.rot90(data.brick())).resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC)
    wall = np.asarray(photo, float) / 255
    picture = wall[..., None] ** 1.4 * np.array((0.10, 0.11, 0.16))
    tube = np.abs(6 + blur(distance_to_letters(("GYM", "BAR"), 168), 1.5))  # distance to the bent tube
    flicker = 1 + 0.05 * noise(rng, 2.0, largest=60)
    line = smoothstep(5.5, 3.5, tube) * flicker
    for upper, color in ((True, (1.0, 0.16, 0.5)), (False, (0.1, 0.75, 1.0))):
        row = np.where((YY < SIDE / 2) == upper, line, 0.0)  # each row of letters has its gas
        glow = sum(weight * blur(row, sigma) for weight, sigma in ((0.9, 8), (1.3, 24), (1.6, 60)))
        lit_wall = (0.25 + 0.75 * wall) * glow * 0.8
        picture += (lit_wall + row)[..., None] * np.array(color)
    return finish(1 - np.exp(-1.5 * (picture + 0.75 * smoothstep(3.2, 0.5, tube)[..., None])))
