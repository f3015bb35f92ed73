"""Landscapes for make_images.py: two like photographs, one painted in brush strokes."""

import numpy as np
from PIL import Image, ImageDraw
from render import (
    LIGHT,
    SAMPLES,
    SIDE,
    STEP,
    XX,
    YY,
    Scene,
    blur,
    finish,
    heap,
    lookup,
    mix,
    noise,
    slopes,
    smoothstep,
    window,
)
from scipy import ndimage

FAR = 330  # depth of the terrain, in units


def terrain(rng):
    """Return the height and the lit colour of a mountain range above a lake at height 0."""
    ridges = 1.1 - 0.8 * np.abs(noise(rng, 4.2, largest=260)) + 0.35 * noise(rng, 4.0, largest=400)
    rough = noise(rng, 3.2, largest=50)
    rise = smoothstep(80, 290, YY)  # the range stands behind the lake
    height = 7 * noise(rng, 3.8, largest=160) - 9 + rise * (14 + 85 * np.clip(ridges, 0, 2))
    height = height + (0.4 + 3.2 * rise) * rough
    gy, gx = slopes(height)
    shade = (1 + 0.75 * gx + 0.3 * gy) / np.sqrt(1 + gx**2 + gy**2)
    wood = mix((0.09, 0.16, 0.08), (0.24, 0.32, 0.12), 0.4 + 0.25 * rough)
    rock = mix((0.3, 0.27, 0.25), (0.5, 0.46, 0.43), 0.5 + 0.2 * rough)
    steep = np.hypot(gx, gy)
    color = mix(wood, rock, smoothstep(24, 46, height + 4 * rough + 5 * steep))
    color = mix(color, (0.93, 0.95, 0.99), smoothstep(46, 68, height + 5 * rough - 6 * steep))
    return height, color * np.clip(shade, 0.25, 1.5)[..., None]


def cloudy_sky(rng, horizon):
    """Return a blue sky that pales towards the horizon, with drifting clouds."""
    sky = mix((0.25, 0.47, 0.78), (0.83, 0.88, 0.93), (YY / horizon) ** 1.3)
    cloud = noise(rng, 3.0, stretch=(1, 3), largest=260)
    return mix(sky, (1.0, 0.99, 0.97), smoothstep(0.2, 2.0, cloud) * 0.9)


def mountains(rng):
    """A mountain lake: terrain drawn from far to near, with haze and a reflection."""
    horizon, eye = 0.58 * SIDE, 14.0
    height, color = terrain(rng)
    picture = cloudy_sky(rng, horizon)
    # Lines of ground at depths from near to far; in each column the first that reaches a row is seen there.
    depth = np.geomspace(12, FAR, 1400)[:, None]
    at = np.broadcast_arrays(depth, (SIDE / 2 + np.linspace(-0.5, 0.5, SAMPLES) * depth * 1.15) % (SIDE - 1))
    ground, paint = lookup(height, *at), lookup(color, *at)
    haze = 1 - np.exp(-depth / 520)[..., None]
    paint = paint * (1 - haze) + np.array((0.72, 0.8, 0.9)) * haze
    top = np.minimum.accumulate(horizon + (eye - np.maximum(ground, 0)) / depth * 460)
    seen = np.stack([np.searchsorted(-top[:, k], -YY[:, k]) for k in range(SAMPLES)], axis=1)
    land, line = seen < len(depth), np.minimum(seen, len(depth) - 1)
    columns = np.arange(SAMPLES)[None]
    ground_color = paint[line, columns]
    leaves = noise(rng.spawn(1)[0], 0.8, stretch=(1, 1.6), largest=14)  # the map is too coarse for trees close by
    green = smoothstep(0.02, 0.08, ground_color[..., 1] - ground_color[..., 0])
    ground_color = ground_color * (1 + 0.22 * leaves * green)[..., None]
    picture = np.where(land[..., None], ground_color, picture)
    water = land & (ground[line, columns] <= 0)
    # A calm lake shows what stands above its far shore upside down, broken by ripples.
    ripple = noise(rng, 1.5, stretch=(1, 12), largest=60) * np.clip((YY - horizon) / 60, 0, 2)
    shore = ndimage.gaussian_filter1d(water.argmax(0) * STEP, 4 / STEP)
    mirror = lookup(picture, 2 * shore - YY + 2 * ripple, XX + ripple)
    lake = mirror * np.array((0.72, 0.8, 0.84)) + 0.02 * ripple[..., None]
    return finish(np.where(water[..., None], lake, picture))


def hill_scene(rng):
    """Return (colour, stroke direction) of golden hills under a swirling evening sky."""
    color = mix((0.10, 0.20, 0.50), (0.95, 0.75, 0.42), (YY / 330) ** 1.6)
    angle = 0.35 * noise(rng, 4, largest=300)
    sun = np.hypot(XX - 380, YY - 105)
    for cx, cy, reach in ((380, 105, 95), (130, 95, 85), (250, 190, 50)):
        dx, dy = XX - cx, YY - cy
        near = np.exp(-((np.hypot(dx, dy) / reach) ** 2))
        angle = angle * (1 - near) + near * (np.arctan2(dy, dx) + np.pi / 2)
        swirl = np.sin(np.hypot(dx, dy) / 8) * near
        color = np.clip(color + 0.16 * swirl[..., None], 0, 1)
    color = mix(color, (0.99, 0.88, 0.45), np.exp(-((sun / 62) ** 2)))
    color = mix(color, (1.0, 0.97, 0.75), smoothstep(38, 30, sun))
    layers = (
        (290, 34, 150, (0.22, 0.33, 0.55)),
        (335, 30, 110, (0.25, 0.45, 0.38)),
        (385, 26, 130, (0.86, 0.66, 0.20)),
        (445, 18, 170, (0.55, 0.56, 0.16)),
    )
    for base, swell, length, paint in layers:
        line = base + swell * np.sin(XX / length * np.pi + rng.uniform(0, 6))
        below = line < YY
        rows = np.sin((YY - line) / 5 + XX / 40)
        color = np.where(below[..., None], np.array(paint) * (1 + 0.22 * rows[..., None]), color)
        angle = np.where(below, np.arctan(slopes(line)[1]), angle)
    tree = np.abs(XX - 85 - 6 * np.sin(YY / 30)) < 34 * np.clip((YY - 170) / 150, 0, 1) ** 0.7
    tree &= YY < 440
    color = np.where(tree[..., None], np.array((0.07, 0.22, 0.16)), color)
    return color, np.where(tree, np.pi / 2 + 0.5 * np.sin(YY / 18), angle)


def painted_hills(rng):
    """Paint the hill scene with short curved strokes, broad ones first, fine ones last."""
    color, angle = hill_scene(rng)
    canvas = Image.fromarray((np.clip(color * 0.8, 0, 1) * 255).astype(np.uint8))
    relief = Image.new("L", (SAMPLES, SAMPLES), 128)
    pen, carve = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for width, length, count in ((16, 60, 1500), (10, 44, 3500), (6, 26, 4500)):
        for x, y in rng.uniform(0, SIDE, (count, 2)):
            tone = color[int(y / STEP), int(x / STEP)] * rng.normal(1, 0.09) + rng.normal(0, 0.035, 3)
            path = [(x, y)]
            for _ in range(5):  # follow the direction field
                px, py = path[-1]
                row, column = np.clip((py / STEP, px / STEP), 0, SAMPLES - 1).astype(int)
                turn = angle[row, column]
                path.append((px + np.cos(turn) * length / 5, py + np.sin(turn) * length / 5))
            draw_stroke(rng, (pen, carve), path, width, tone)
    gy, gx = slopes(blur(np.asarray(relief, float) / 255, 0.6))
    lit = 1 - 0.9 * (gx * LIGHT[0] + gy * LIGHT[1])
    return finish(np.asarray(canvas) / 255 * lit[..., None])


def draw_stroke(rng, pens, path, width, tone):
    """Draw one stroke as a bundle of bristle lines of slightly different tone and height."""
    pen, carve = pens  # one for the colour, one for the thickness of the paint
    bristles = max(3, width // 2)
    dx, dy = path[-1][0] - path[0][0], path[-1][1] - path[0][1]
    norm = np.hypot(dx, dy) + 1e-9
    for k in range(bristles):
        off = (k - (bristles - 1) / 2) * width / bristles
        line = [((x - dy / norm * off) / STEP, (y + dx / norm * off) / STEP) for x, y in path]
        shade = np.clip(tone * rng.normal(1, 0.06), 0, 1)
        pen.line(line, fill=tuple((shade * 255).astype(int)), width=round((width / bristles + 0.5) / STEP))
        carve.line(line, fill=int(rng.integers(70, 200)), width=round((width / bristles + 0.5) / STEP))


def wood_of_tree(rng):
    """Return the mask of a trunk that forks into boughs, standing on a bare hill."""
    canvas = Image.new("L", (SAMPLES, SAMPLES))
    pen = ImageDraw.Draw(canvas)

    def grow(x, y, angle, length, width):
        for _ in range(40):
            angle += rng.normal(0, 0.03)
            x, y, width = x + length / 40 * np.cos(angle), y - length / 40 * np.sin(angle), width * 0.99
            pen.ellipse(tuple(c / STEP for c in (x - width, y - width, x + width, y + width)), fill=255)
        if width > 6:
            for turn in (0.55, -0.5):
                grow(x, y, angle + turn, length * 0.8, width * 0.7)

    grow(250, 470, np.pi / 2, 130, 22)
    hill = 448 + 0.0006 * (XX - 250) ** 2 + 1.5 * noise(rng, 1.5, largest=60) < YY
    foot = np.abs(XX - 250) < 20 + 34 * smoothstep(420, 466, YY) ** 2
    return (np.asarray(canvas) > 127) | hill | (foot & (YY > 430))


def crown(rng):
    """Return the clumps of a crown, rows of (x, y, z, r), and its flowers: (x, y, z, r), turn and paleness of each."""
    clumps, flowers = [], []
    while len(clumps) < 40:  # clumps that keep some distance inside a wide dome
        x, y, r = rng.uniform(40, 470), rng.uniform(40, 360), rng.uniform(38, 62)
        dome = np.hypot((x - 252) / 190, (y - 190) / 138)
        if dome < 1 and all(np.hypot(x - a, y - b) > 0.62 * max(r, c) for a, b, c in clumps):
            clumps.append((x, y, r))
    clumps = [(x, y, rng.uniform(0, 70), r) for x, y, r in clumps]
    for x, y, z, r in clumps:
        tint = rng.normal(0, 0.1)
        for _ in range(270):
            way = rng.standard_normal(3)
            way *= 0.9 * r / np.linalg.norm(way)
            ball = x + way[0], y + way[1], z + 15 + 0.8 * abs(way[2]), rng.uniform(5.5, 8.5)
            pale = 0.5 + tint + rng.normal(0, 0.2) - 0.5 * way[1] / r
            flowers.append((ball, rng.uniform(0, 2 * np.pi), np.clip(pale, 0, 1)))
    return clumps, flowers


def add_flower(scene, ball, turn, pale):
    """Put one flower on the scene: a shallow cup of five notched petals around yellow stamens."""
    x, y, z, r = ball
    part = window(x, y, r)
    dx, dy = (XX[part] - x) / r, (YY[part] - y) / r
    distance, wave = np.hypot(dx, dy), np.abs(np.cos(2.5 * (np.arctan2(dy, dx) + turn)))
    edge = 0.55 + 0.45 * wave**0.5 - 0.12 * wave**12
    height = z + r * (0.35 + 0.3 * distance**2 + 0.18 * wave)
    color = mix((0.85, 0.32, 0.52), (1.0, 0.86, 0.91), pale + 0.55 * distance - 0.3 + 0.15 * (wave - 0.5))
    color = mix(color, (0.96, 0.78, 0.30), smoothstep(0.26, 0.14, distance))
    scene.add(height, color, 0.0, distance < edge, part)


def blossom(rng):
    """A cherry tree in full blossom on a dark hill, before a plain evening sky."""
    sky = mix((0.07, 0.24, 0.38), (0.34, 0.56, 0.58), (YY / 430) ** 1.4)
    sky = sky * (1 + 0.012 * noise(rng, 3.2, stretch=(1, 2), largest=260))[..., None]
    wood = wood_of_tree(rng)
    bark, soil = noise(rng, 1.8, stretch=(6, 1), largest=90), noise(rng.spawn(1)[0], 1.4, largest=60)
    grain = np.where(YY < 445 + 0.0006 * (XX - 250) ** 2, bark, soil)
    ground = 12 * blur(wood.astype(float), 6) + 0.5 * grain
    scene = Scene(ground, mix((0.13, 0.08, 0.10), (0.30, 0.20, 0.20), 0.5 + 0.25 * grain))
    clumps, flowers = crown(rng)
    height, top = heap([(x, y, z, 0.8 * r) for x, y, z, r in clumps])
    shade = mix((0.34, 0.10, 0.20), (0.62, 0.24, 0.40), 0.5 + 0.3 * soil)  # seen between the flowers
    scene.add(height + soil, shade, 0.0, top >= 0)
    for flower in flowers:
        add_flower(scene, *flower)
    tree = finish(np.repeat((wood | (scene.height > ground))[..., None], 3, axis=2)).convert("L")
    return Image.composite(scene.photograph(rng, ambient=0.55), finish(sky), tree)
