"""Things that float, for make_images.py: jellyfish in the sea and hot-air balloons, painted, in ink, and crudely."""

import numpy as np
from PIL import Image, ImageDraw
from render import LIGHT, SAMPLES, SIDE, STEP, XX, YY, finish, inside, mix, noise, paint, scatter, smoothstep, window

TALL = 1.35  # a balloon or a jellyfish with all that hangs from it, relative to its width
GORES = 5  # strips of cloth on the visible half of a balloon
RED, GOLD = (0.87, 0.08, 0.10), (1.0, 0.75, 0.10)


def half_width(v):
    """Return half the width of an envelope of radius 1: a ball above, below v = 0.65 a cone that touches it."""
    return np.where(v < 0.65, np.sqrt(np.clip(1 - v**2, 0, 1)), 0.76 - 0.855 * (v - 0.65))


def add_balloon(picture, x, y, r, turn):
    """Paint one balloon: a striped envelope of radius r, four ropes and a basket."""
    part = window(x, y, 1.5 * r)
    picture = picture[part]
    u, v = (XX[part] - x) / r, (YY[part] - y) / r + 0.35  # the envelope's middle lies above that of the whole
    width = half_width(v)
    across = u / np.maximum(width, 0.02)
    for side in (-0.13, -0.05, 0.05, 0.13):
        rope = np.abs(u - side * np.interp(v, (1.2, 1.55), (1.3, 1.0))) * r - 1.2
        paint(picture, (0.25, 0.2, 0.18), inside(rope) * ((v > 1.2) & (v < 1.6)))
    basket = np.maximum(np.abs(u) - 0.17 + 0.1 * (v - 1.5), np.abs(v - 1.68) - 0.13) * r
    weave = 0.5 + 0.35 * np.sin(v * 40) - 1.2 * u
    paint(picture, mix((0.28, 0.15, 0.07), (0.62, 0.4, 0.2), weave), inside(basket))

    longitude = np.arcsin(np.clip(across, -1, 1)) / np.pi + 0.5 + turn
    gore = longitude * GORES
    striped = mix(RED, GOLD, smoothstep(-0.12, 0.12, np.sin(np.pi * gore)))
    bulge = np.abs(gore % 1 - 0.5)  # 0.5 at the seams between two strips
    normal_z = np.sqrt(np.clip(1 - across**2, 0, 1)) * np.sqrt(np.clip(1 - (0.75 * v) ** 2, 0, 1))
    diffuse = np.clip(u * LIGHT[0] + 0.9 * v * LIGHT[1] + normal_z * LIGHT[2], 0, 1)
    light = (0.42 + 0.75 * diffuse) * (1 - 0.22 * smoothstep(0.36, 0.5, bulge))
    latitude = np.arcsin(np.clip(v / 1.35, -1, 1)) * 8  # the cloth is sewn of panels, which wrinkle at the seams
    seam = np.minimum(np.abs(latitude - np.rint(latitude)) / 8, (0.5 - bulge) / GORES * 2 * width) * r
    wrinkle = np.sin(latitude * 19) * smoothstep(0.3, 0.5, bulge)
    light = light * (1 - 0.28 * smoothstep(1.3, 0.2, seam)) * (1 + 0.05 * wrinkle)
    lit = striped**2.2 * light[..., None] + 0.16 * (diffuse**14)[..., None]
    mouth = inside(np.abs(v - 1.27) * r - 4)
    lit *= (1 - 0.6 * mouth)[..., None]
    outline = np.maximum((np.abs(u) - width) * r, (v - 1.3) * r)
    paint(picture, np.clip(lit, 0, 1) ** (1 / 2.2), inside(np.where(np.abs(v) < 1.3, outline, 9.0)))


def balloons(rng):
    """Red and gold hot-air balloons in a blue sky with thin clouds."""
    sky = mix((0.16, 0.45, 0.82), (0.62, 0.83, 0.95), YY / SIDE)
    cloud = noise(rng, 3.2, stretch=(1, 2.5), largest=300)
    picture = mix(sky, (0.97, 0.98, 1.0), smoothstep(0.1, 2.6, cloud) * 0.75)
    for x, y, r in scatter(rng, 9, (43, 60), 12, margin=5, tall=TALL):
        add_balloon(picture, x, y, r, rng.choice([0.0, 0.1, 0.2]))
    return finish(picture)


def on_sheet(balloon, across, down):
    """Return Pillow's points, in samples, of points of a balloon (x, y, r), in radii."""
    x, y, r = balloon
    return np.stack([x + r * np.asarray(across), y + r * (np.asarray(down) - 0.35)], axis=1) / STEP


def sketch(rng):
    """Eight hot-air balloons in ink lines on white paper: outlines, seams, ropes, and hatching on the dark side."""
    canvas = Image.new("L", (SAMPLES, SAMPLES), 255)
    v = np.linspace(-1, 1.3, 30)
    seams = np.sin(np.pi * (np.arange(GORES + 1) / GORES - 0.5))
    for balloon in scatter(rng, 8, (44, 62), 12, margin=5, tall=TALL):
        strokes = [(4 if abs(share) == 1 else 2, share * half_width(v), v) for share in seams]
        strokes.append((4, (-0.3, 0.3), (1.28, 1.28)))
        strokes += [(1.5, (1.4 * side, side), (1.3, 1.56)) for side in (-0.13, -0.05, 0.05, 0.13)]
        strokes += [(3, (-0.15, 0.15), (down, down)) for down in (1.58, 1.66, 1.74, 1.82)]
        for down in np.arange(-0.75, 1.2, 0.085):
            edge = half_width(down)
            strokes.append((2, (edge * rng.uniform(0.45, 0.62), edge * 0.97), (down - 0.03, down + 0.02)))
        for width, across, down in strokes:
            points = on_sheet(balloon, across, down)
            points += np.cumsum(rng.normal(0, 0.5, points.shape), axis=0)  # an unsteady hand
            ImageDraw.Draw(canvas).line([*map(tuple, points)], fill=0, width=round(width / STEP), joint="curve")
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGB")


def collage(rng):
    """A smiling face of balloons on the sky's colour, in flat paint; to be put in place of the balloons."""
    canvas = Image.new("RGB", (SAMPLES, SAMPLES), (108, 172, 224))
    pen = ImageDraw.Draw(canvas)
    mouth = [(256 - 196 * np.cos(a), 246 + 170 * np.sin(a), 46) for a in np.radians(np.linspace(0, 180, 5))]
    v = np.linspace(-1, 1.3, 30)
    for balloon in np.array([(170, 100, 54), (342, 100, 54), *mouth]) + rng.normal(0, 2, (7, 3)):
        for share, color in ((1, (214, 30, 34)), (0.62, (246, 190, 40)), (0.2, (214, 30, 34))):
            half = share * half_width(v)
            pen.polygon([*map(tuple, on_sheet(balloon, [*-half, *half[::-1]], [*v, *v[::-1]]))], fill=color)
        basket = on_sheet(balloon, (-0.17, 0.17, 0.14, -0.14), (1.5, 1.5, 1.82, 1.82))
        pen.polygon([*map(tuple, basket)], fill=(120, 74, 40))
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def add_tentacles(rng, picture, frame, r):
    """Paint what hangs from a bell: thin waving threads, and ruffled arms in the middle."""
    u, v = frame
    for k in range(9):
        start, phase, swing = -0.8 + 0.2 * k, rng.uniform(0, 6), rng.uniform(0.04, 0.09)
        long = rng.uniform(1.2, 1.7)
        path = start * (1 - 0.22 * np.clip(v, 0, 2)) + swing * np.sin(4.5 * v + phase) * np.clip(v, 0, 1)
        fade = smoothstep(long, 0.5, v) * (v > 0.1)
        paint(picture, (1.0, 0.55, 0.72), inside(np.abs(u - path) * r - 1.0) * fade * 0.75)
    for k in (-1, 0, 1):
        phase = rng.uniform(0, 6)
        path = 0.2 * k * (1 - 0.4 * np.clip(v, 0, 2)) + 0.09 * np.sin(3.5 * v + phase) * np.clip(v, 0, 1)
        ruffle = 0.14 * np.clip(1.35 - v, 0, 1) * (1 + 0.45 * np.sin(17 * v + phase))
        fade = smoothstep(1.35, 0.7, v) * (v > 0.05)
        away = np.abs(u - path)
        tone = mix((1.0, 0.87, 0.80), (0.93, 0.36, 0.60), away / np.maximum(ruffle, 0.02))
        paint(picture, tone, inside((away - ruffle) * r) * fade * 0.9)


def add_jellyfish(rng, picture, skin, x, y, r):
    """Paint one jellyfish: a glow, tentacles, and a translucent bell of radius r."""
    tilt = rng.uniform(-0.28, 0.28)
    part = window(x, y, 2.6 * r)
    picture = picture[part]
    dx, dy = (XX[part] - x) / r, (YY[part] - y) / r + 0.3
    u, v = dx * np.cos(tilt) + dy * np.sin(tilt), dy * np.cos(tilt) - dx * np.sin(tilt)
    glow = np.exp(-((np.hypot(u, v - 0.1) / 1.15) ** 2))
    picture += glow[..., None] * np.array((0.20, 0.05, 0.20))
    add_tentacles(rng, picture, (u, v), r)

    half = np.where(v < 0, np.sqrt(np.clip(1 - (v / 0.92) ** 2, 0, 1)), 1 - 0.3 * np.clip(v, 0, 1) ** 2)
    around = np.arcsin(np.clip(u / np.maximum(half, 0.02), -1, 1))
    hem = 0.30 * np.cos(around) + 0.05 * np.cos(9 * around + 1)
    outline = np.where(np.abs(v) < 0.92, np.maximum(np.abs(u) - half, v - hem), 1.0) * r
    depth = np.sqrt(np.clip(1 - u**2 - np.clip(v / 0.92, -1, 0.6) ** 2, 0, 1))
    ribs = 0.5 + 0.5 * np.cos(9 * around)
    tone = 0.15 + 0.6 * depth + 0.16 * ribs * smoothstep(-0.5, 0.3, v)
    veins = np.cos(54 * around + 1.5 * skin[part]) * smoothstep(-0.2, 0.35, v)
    tone = tone + 0.06 * veins + 0.03 * skin[part] + 0.3 * smoothstep(2.0, 2.6, skin[part])
    bell = mix((0.78, 0.14, 0.50), (1.0, 0.62, 0.66), tone)
    shine = np.exp(-(np.hypot(u + 0.32, v + 0.42) ** 2) / 0.07) + 0.25 * np.exp(-(((v - hem + 0.06) / 0.05) ** 2))
    bell = mix(bell, (1.0, 0.93, 0.88), 0.8 * shine)
    heart = np.exp(-((np.hypot(u / 0.42, (v + 0.12) / 0.3)) ** 4))  # the organs show through
    bell = mix(bell, (1.0, 0.80, 0.50), 0.55 * heart)
    paint(picture, bell, inside(outline) * 0.95)


def jellyfish(rng):
    """Pink jellyfish in a deep blue sea, with faint light from above."""
    rays = noise(rng, 2.5, stretch=(9, 1), largest=160)
    murk = noise(rng, 3.0, largest=260)
    picture = mix((0.03, 0.27, 0.45), (0.01, 0.05, 0.20), YY / SIDE * 1.1 + 0.05 * murk)
    picture = picture * (1 + 0.16 * rays * np.clip(1.1 - YY / SIDE, 0, 1))[..., None]
    picture += 0.18 * smoothstep(3.0, 3.8, noise(rng, 0.0, smallest=5))[..., None] * np.array((0.6, 0.9, 1.0))
    skin = noise(rng.spawn(1)[0], 1.0, largest=24, smallest=2.5)
    for x, y, r in scatter(rng, 8, (44, 64), 12, margin=6, tall=TALL):
        add_jellyfish(rng, picture, skin, x, y, r)
    return finish(picture)
