"""Drawn as if by hand, for make_images.py: a black-and-white sketch of fruit, and a crude painting."""

import numpy as np
from PIL import Image, ImageDraw
from render import SAMPLES, SIZE, STEP, scatter


def on_sheet(points):
    """Turn points in units into Pillow's coordinates, in samples."""
    return [(x / STEP, y / STEP) for x, y in points]


def ring(rng, x, y, r, *, start=0.0, span=2 * np.pi):
    """Return the points of a hand-drawn ring or arc around (x, y)."""
    t = np.linspace(start, start + span, 180)
    wave = sum(rng.normal(0, 0.012) * np.cos(k * t + rng.uniform(0, 6)) for k in (2, 3, 5))
    return list(zip(x + r * (1 + wave) * np.cos(t), y + r * (1 + wave) * np.sin(t), strict=True))


def ink(rng, pen, points, width):
    """Draw one pen stroke: full in the middle, thin at both ends, and never quite even."""
    points = np.asarray(on_sheet(points))
    along = np.linspace(0, 1, 1 + int(np.hypot(*np.diff(points, axis=0).T).sum()))
    at = np.linspace(0, 1, len(points))
    unsteady = sum(rng.normal(0, 0.08) * np.cos(np.pi * k * along + rng.uniform(0, 6)) for k in (2, 5, 9))
    radius = width / STEP / 2 * (0.45 + 0.55 * np.sin(np.pi * along) ** 0.5 + unsteady)
    for x, y, r in zip(np.interp(along, at, points[:, 0]), np.interp(along, at, points[:, 1]), radius, strict=True):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=0)


def draw_fruit(rng, pen, x, y, r):
    """Draw one fruit: a doubled outline, hatching on the dark side, pores, a stem and a shadow."""
    for k in np.linspace(-0.5, 0.9, 12):  # shadow on the ground, lower right
        sx, sy = x + 0.45 * r, y + r * (0.35 + 0.7 * k)
        half = 0.85 * r * np.sqrt(max(0.0, 1 - (k - 0.2) ** 2 / 0.6))
        shift = rng.normal(0, 2.5, 2)
        ink(rng, pen, [(sx - half, sy), (sx, sy - 1), (sx + half + shift[0], sy - 4 + 0.3 * shift[1])], 1.8)
    outline = ring(rng, x, y, r)
    pen.polygon(on_sheet(outline), fill=255)
    around = rng.integers(len(outline))
    ink(rng, pen, outline[around:] + outline[:around] + outline[around : around + 12], 5)
    ink(rng, pen, ring(rng, x + 1, y + 1, r * 1.01, start=rng.uniform(-0.6, 0.2), span=4.4), 2)
    for k in range(9):  # curved hatching that follows the roundness
        start, span = -0.35 + 0.1 * k + rng.normal(0, 0.04), 2.2 - 0.19 * k
        ink(rng, pen, ring(rng, x, y, r * (0.92 - 0.075 * k), start=start, span=span), 2.4 - 0.1 * k)
    for _ in range(int(r / 2)):  # pores
        a, d = rng.uniform(0, 2 * np.pi), r * 0.85 * np.sqrt(rng.uniform(0, 1))
        ink(rng, pen, [(x + d * np.cos(a), y + d * np.sin(a)), (x + d * np.cos(a) + 1.2, y + d * np.sin(a) + 0.6)], 1.6)
    turn = rng.uniform(2.6, 5.6)
    cx, cy = x + 0.42 * r * np.cos(turn), y + 0.42 * r * np.sin(turn)
    for k in range(5):
        a = turn + 2 * np.pi * k / 5 + rng.normal(0, 0.08)
        ink(rng, pen, [(cx, cy), (cx + 0.17 * r * np.cos(a), cy + 0.17 * r * np.sin(a))], 4)


def fruit_sketch(rng):
    """Eight round fruits in ink lines on white paper."""
    canvas = Image.new("L", (SAMPLES, SAMPLES), 255)
    pen = ImageDraw.Draw(canvas)
    for x, y, r in scatter(rng, 8, (46, 78), 22, margin=16):
        draw_fruit(rng, pen, x, y, r)
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB")


def paint_orange(rng, pen, x, y, r):
    """Dab one orange as with a paint program: a few flat shapes, none of them exact."""

    def dab(dx, dy, size, color):
        pen.polygon(on_sheet(ring(rng, x + dx * r, y + dy * r, size * r)), fill=color)

    dab(0.16, 0.2, 1.0, (168, 160, 148))  # its shadow
    dab(0, 0, 1.0, (204, 96, 8))
    dab(-0.1, -0.1, 0.84, (244, 136, 14))
    dab(-0.3, -0.32, 0.36, (255, 178, 64))
    dab(0.2, 0.25, 0.12, (92, 108, 40))


def collage(rng):
    """A smiling face of oranges on the linen's colour, painted crudely; stands in for the oranges."""
    canvas = Image.new("RGB", (SAMPLES, SAMPLES), (219, 214, 201))
    pen = ImageDraw.Draw(canvas)
    mouth = np.radians(np.linspace(8, 172, 5))
    spots = [(176, 116, 56), (340, 112, 56)]
    spots += [(256 + 184 * np.cos(a), 246 + 182 * np.sin(a), 48) for a in mouth]
    for x, y, r in spots:
        dx, dy = rng.normal(0, 2.5, 2)
        paint_orange(rng, pen, x + dx, y + dy, r * rng.uniform(0.95, 1.04))
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
