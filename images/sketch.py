"""Drawn as if by hand, for make_images.py: a black-and-white sketch of fruit, and a crude painting."""

import numpy as np
from PIL import Image, ImageDraw
from render import SIZE, WORK, scatter


def wobbly_ring(rng, x, y, r, *, start=0.0, span=2 * np.pi):
    """Return the points of a hand-drawn ring or arc around (x, y)."""
    t = np.linspace(start, start + span, 90)
    wave = sum(rng.normal(0, 0.012) * np.cos(k * t + rng.uniform(0, 6)) for k in (2, 3, 5))
    return list(zip(x + r * (1 + wave) * np.cos(t), y + r * (1 + wave) * np.sin(t), strict=True))


def draw_fruit(rng, pen, x, y, r):
    """Draw one fruit: a doubled outline, hatching on the dark side, a stem and a shadow."""
    for k in np.linspace(-0.5, 0.9, 9):  # shadow on the ground, lower right
        sx, sy = x + 0.45 * r, y + r * (0.35 + 0.7 * k)
        half = 0.85 * r * np.sqrt(max(0.0, 1 - (k - 0.2) ** 2 / 0.6))
        pen.line([(sx - half, sy), (sx + half, sy - 4)], fill=0, width=2)
    outline = wobbly_ring(rng, x, y, r)
    pen.polygon(outline, fill=255)
    pen.line(outline + outline[:2], fill=0, width=5, joint="curve")
    pen.line(wobbly_ring(rng, x + 1, y + 1, r * 1.01), fill=0, width=2)
    for k in range(7):  # curved hatching that follows the roundness
        start, span = -0.35 + 0.13 * k, 2.2 - 0.24 * k
        pen.line(wobbly_ring(rng, x, y, r * (0.9 - 0.1 * k), start=start, span=span), fill=0, width=3)
    turn = rng.uniform(2.6, 5.6)
    cx, cy = x + 0.42 * r * np.cos(turn), y + 0.42 * r * np.sin(turn)
    for k in range(5):
        a = turn + 2 * np.pi * k / 5
        tip = (cx + 0.17 * r * np.cos(a), cy + 0.17 * r * np.sin(a))
        pen.line([(cx, cy), tip], fill=0, width=4)


def fruit_sketch(rng):
    """Eight round fruits in ink lines on white paper."""
    canvas = Image.new("L", (WORK, WORK), 255)
    pen = ImageDraw.Draw(canvas)
    for x, y, r in scatter(rng, 8, (46, 78), 22, margin=16):
        draw_fruit(rng, pen, x, y, r)
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB")


def paint_orange(rng, pen, x, y, r):
    """Dab one orange as with a paint program: a few flat shapes, none of them exact."""
    pen.polygon(wobbly_ring(rng, x + 0.16 * r, y + 0.2 * r, r), fill=(168, 160, 148))  # its shadow
    pen.polygon(wobbly_ring(rng, x, y, r), fill=(204, 96, 8))
    pen.polygon(wobbly_ring(rng, x - 0.1 * r, y - 0.1 * r, 0.84 * r), fill=(244, 136, 14))
    pen.polygon(wobbly_ring(rng, x - 0.3 * r, y - 0.32 * r, 0.36 * r), fill=(255, 178, 64))
    pen.polygon(wobbly_ring(rng, x + 0.2 * r, y + 0.25 * r, 0.12 * r), fill=(92, 108, 40))


def collage(rng):
    """A smiling face of oranges on the linen's colour, painted crudely; stands in for oranges.png."""
    canvas = Image.new("RGB", (WORK, WORK), (219, 214, 201))
    pen = ImageDraw.Draw(canvas)
    mouth = np.radians(np.linspace(8, 172, 5))
    spots = [(176, 116, 56), (340, 112, 56)]
    spots += [(256 + 184 * np.cos(a), 246 + 182 * np.sin(a), 48) for a in mouth]
    for x, y, r in spots:
        dx, dy = rng.normal(0, 2.5, 2)
        paint_orange(rng, pen, x + dx, y + dy, r * rng.uniform(0.95, 1.04))
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
