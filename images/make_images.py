"""Make the example pictures of this folder: run `python images/make_images.py`.

Everything is drawn from fixed seeds, or from photographs without known copyright restrictions that come
inside the scikit-image package, so the pictures are free to ship. README.md lists them.
"""

import argparse
import sys
from pathlib import Path

try:
    import numpy as np
    from floating import balloons, jellyfish
    from landscapes import blossom, mountains, painted_hills
    from photographs import BRICK, GRASS, GRAVEL, coins, photograph
    from PIL import Image
    from render import (
        SAMPLES,
        SIDE,
        STEP,
        XX,
        YY,
        Scene,
        blur,
        finish,
        mix,
        noise,
        scatter,
        smoothstep,
        text_mask,
        window,
    )
    from scipy import ndimage  # comes with scikit-image
    from sketch import collage, fruit_sketch
    from skimage import data
    from textures import basket, pebbles
except ModuleNotFoundError as error:
    sys.exit(f"make_images.py needs {error.name}: pip install scikit-image matplotlib pillow")


def wood_ground(rng, dark, light, planks=3):
    """Return (height, colour) of planks that run down the picture."""
    grain = noise(rng, 1.6, stretch=(14, 1), largest=120)
    fibre = noise(rng.spawn(1)[0], 1.2, stretch=(60, 1), largest=200)
    grain = 0.6 * grain + 0.8 * fibre
    wave = noise(rng, 3.0, stretch=(5, 1), largest=300)
    rings = np.sin(XX / 7 + 5 * wave)
    shade = 0.5 + 0.1 * grain + 0.07 * rings
    plank = (np.maximum(XX, 0) * planks / SIDE).astype(int)
    shade = shade + rng.uniform(-0.1, 0.1, planks)[plank]
    gap = np.abs((XX * planks / SIDE + 0.5) % 1 - 0.5) * SIDE / planks
    seam = 1 - smoothstep(0.5, 4.0, gap)
    seam[:, : SAMPLES // (2 * planks)] = 0  # no seam at the picture's own edges
    seam[:, -SAMPLES // (2 * planks) :] = 0
    return 0.35 * grain - 5 * seam, mix(dark, light, shade) * (1 - 0.5 * seam[..., None])


def cloth_ground(rng, color):
    """Return (height, colour) of pale linen with fine threads and shallow folds."""
    slub = noise(rng, 1.0, stretch=(1, 24), smallest=3)
    slub = slub + noise(rng, 1.0, stretch=(24, 1), smallest=3)
    weave = np.sin(XX * np.pi / 3) * np.sin(YY * np.pi / 3)
    folds = noise(rng, 4.5, largest=260, smallest=60)
    height = 0.2 * weave + 0.2 * slub + 3.5 * folds
    return height, np.asarray(color) * (1 + 0.012 * slub[..., None])


def oranges(rng):
    """Oranges on pale linen."""
    scene = Scene(*cloth_ground(rng, (0.86, 0.84, 0.79)))
    pores = noise(rng, -0.5, smallest=5)
    pores = pores + 0.7 * noise(rng.spawn(1)[0], -1.0, smallest=2.6)
    blush = noise(rng, 3.0, largest=120)
    for x, y, r in scatter(rng, 9, (48, 62), 14, margin=4):
        turn, squash = rng.uniform(0, 2 * np.pi), rng.uniform(0.93, 1.0)
        part = window(x, y, 1.1 * r)
        dx, dy = XX[part] - x, YY[part] - y
        along = dx * np.cos(turn) + dy * np.sin(turn)
        across = dy * np.cos(turn) - dx * np.sin(turn)
        d2 = (along**2 + (across / squash) ** 2) / r**2
        inside = d2 < 1
        height = r * (0.12 + 0.95 * np.sqrt(np.clip(1 - d2, 0, 1))) + 0.16 * pores[part] * (1 - d2)
        # The stem end sits off the middle, so that each fruit lies its own way.
        stem = np.hypot(along - 0.42 * r, across) / r
        petals = 1 + 0.3 * np.cos(5 * np.arctan2(across, along - 0.42 * r) + turn)
        calyx = stem < 0.1 * petals
        height -= 0.05 * r * np.exp(-((stem / 0.16) ** 2))
        ripe = 0.55 + 0.22 * blush[part] + rng.uniform(-0.25, 0.25) - 0.5 * np.exp(-((stem / 0.3) ** 2))
        color = mix((0.97, 0.66, 0.12), (0.95, 0.45, 0.04), ripe)
        color[calyx] = (0.36, 0.42, 0.16)
        scene.add(height + 2.5 * calyx, color, np.where(calyx, 0.0, 0.35), inside, part)
    return scene.photograph(rng)


def bowls(rng):
    """Dark blue glazed bowls on a wooden table."""
    scene = Scene(*wood_ground(rng, (0.50, 0.53, 0.50), (0.86, 0.88, 0.82)), gloss=0.03)
    cloud = noise(rng, 2.6, largest=90)
    specks = noise(rng, 0.0, smallest=4)
    for x, y, r in scatter(rng, 9, (46, 76), 12, margin=3):
        part = window(x, y, 1.1 * r)
        dx, dy, clouded = XX[part] - x, YY[part] - y, cloud[part]
        angle = np.arctan2(dy, dx)
        wobble = 1 + 0.015 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.008 * np.cos(3 * angle)
        d = np.hypot(dx, dy) / (r * wobble)
        wall, rim = 0.75 * r, 0.92
        outer = wall * np.sqrt(np.clip(1 - ((d - rim) / (1 - rim)) ** 2, 0, 1))
        inner = wall * (0.2 + 0.8 * smoothstep(0.32, 1.0, d / rim) ** 0.8)
        height = np.where(d > rim, outer, inner) + 0.15 * clouded
        glaze = mix((0.08, 0.17, 0.42), (0.16, 0.34, 0.64), 0.35 + 0.2 * clouded)
        glaze = mix(glaze, (0.22, 0.5, 0.66), 0.8 * np.exp(-((d / 0.4) ** 2)) + 0.08 * clouded)
        glaze = mix(glaze, (0.75, 0.82, 0.85), (specks[part] > 2.6) * 0.8)
        # Glaze runs thin on the rim and lets the brown clay through.
        glaze = mix(glaze, (0.55, 0.4, 0.28), np.exp(-(((d - 0.95) / 0.028) ** 2)) * 0.85)
        scene.add(height, glaze, 0.7, d < 1, part)
    return scene.photograph(rng)


def add_daisy(scene, rng, x, y, r):
    """Put one daisy on the scene: a ring of petals around a yellow dome."""
    part = window(x, y, 1.1 * r)
    dx, dy = (XX[part] - x) / r, (YY[part] - y) / r
    count, start = rng.integers(15, 21), rng.uniform(0, 6)
    for k in range(count):
        angle = start + 2 * np.pi * k / count + rng.normal(0, 0.05)
        long, wide = rng.uniform(0.88, 1.0), rng.uniform(0.12, 0.15)
        u = (dx * np.cos(angle) + dy * np.sin(angle)) / long
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / wide
        width = np.sqrt(np.clip(u * 1.25, 0.02, 1)) * np.sqrt(np.clip(1 - u**6, 0, 1))
        inside = (u > 0.1) & (u < 1) & (np.abs(v) < width)
        # Neighbours take turns to lie on top; tips droop.
        veins = 0.4 * np.cos(9 * v) + 0.12 * np.cos(23 * v + 2 * u)
        height = 20 + 3.5 * (k % 2) + r * (0.2 * u - 0.16 * u**3) - 2.2 * v**2 + veins
        color = mix((0.83, 0.84, 0.72), (0.97, 0.97, 0.96), 2.2 * u - 0.4)
        scene.add(height, color, 0.0, inside, part)
    d = np.hypot(dx, dy) / 0.27
    florets = noise(rng, -1.0, smallest=4)[part]
    dome = 23 + 0.24 * r * np.sqrt(np.clip(1 - 0.85 * d**2, 0, 1)) + 1.1 * florets
    yellow = mix((0.98, 0.8, 0.1), (0.85, 0.52, 0.03), 0.3 + 0.5 * d**3 - 0.2 * florets)
    scene.add(dome + 4, yellow, 0.05, d < 1, part)


def daisies(rng):
    """Daisies in a lawn; the lawn is scikit-image's `grass` photograph, coloured green."""
    photo = Image.fromarray(data.grass()).resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC)
    grass = np.asarray(photo, float) / 255
    ground = mix((0.04, 0.11, 0.03), (0.42, 0.56, 0.2), grass * 1.15 - 0.15)
    scene = Scene(7 * grass, ground)
    for x, y, r in scatter(rng, 11, (42, 66), 6):
        add_daisy(scene, rng, x, y, r)
    return scene.photograph(rng)


def wooden_letters(rng):
    """OAK ELM: wooden letters on pale paper."""
    paper = noise(rng, 1.5, largest=40)
    scene = Scene(0.15 * paper, np.array((0.88, 0.87, 0.83)) * (1 + 0.012 * paper[..., None]))
    mask = text_mask(("OAK", "ELM"), 170)
    depth = ndimage.distance_transform_edt(mask) * STEP
    grain, timber = wood_ground(rng, (0.36, 0.17, 0.06), (0.8, 0.5, 0.24), planks=1)
    height = 24 + 7 * smoothstep(0, 9, depth) + 0.5 * grain
    scene.add(height, timber, 0.08, mask)
    return scene.photograph(rng)


def neon_letters(rng):
    """GYM BAR: neon tubes on a dark wall; the wall is scikit-image's `brick` photograph."""
    photo = Image.fromarray(np.rot90(data.brick())).resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC)
    wall = np.asarray(photo, float) / 255
    picture = wall[..., None] ** 1.4 * np.array((0.10, 0.11, 0.16))
    mask = text_mask(("GYM", "BAR"), 168)
    depth = (ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)) * STEP
    tube = np.abs(blur(depth, 1.5) - 6)  # distance to the bent tube
    flicker = 1 + 0.05 * noise(rng, 2.0, largest=60)
    line, core = smoothstep(5.5, 3.5, tube) * flicker, smoothstep(3.2, 0.5, tube)[..., None]
    for upper, color in ((True, (1.0, 0.16, 0.5)), (False, (0.1, 0.75, 1.0))):
        row = np.where((YY < SIDE / 2) == upper, line, 0.0)  # each row of letters has its gas
        spread = ((0.9, 8), (1.3, 24), (1.6, 60))
        glow = sum(weight * blur(row, sigma) for weight, sigma in spread)
        lit_wall = (0.25 + 0.75 * wall) * glow * 0.8
        picture += (lit_wall + row)[..., None] * np.array(color)
    picture += 0.75 * core
    return finish(1 - np.exp(-1.5 * picture))


# Line drawings and flat paint as PNG; what has grain as JPEG, a third as large.
PICTURES = {
    "oranges.jpg": lambda: oranges(np.random.default_rng(3)),
    "bowls.jpg": lambda: bowls(np.random.default_rng(4)),
    "coins.jpg": lambda: coins(np.random.default_rng(2)),
    "daisies.jpg": lambda: daisies(np.random.default_rng(5)),
    "pebbles.jpg": lambda: pebbles(np.random.default_rng(6)),
    "basket.jpg": lambda: basket(np.random.default_rng(7)),
    "letters_wood.jpg": lambda: wooden_letters(np.random.default_rng(8)),
    "letters_neon.jpg": lambda: neon_letters(np.random.default_rng(9)),
    "mountains.jpg": lambda: mountains(np.random.default_rng(29)),
    "painted_hills.jpg": lambda: painted_hills(np.random.default_rng(11)),
    "fruit_sketch.png": lambda: fruit_sketch(np.random.default_rng(12)),
    "balloons.jpg": lambda: balloons(np.random.default_rng(13)),
    "jellyfish.jpg": lambda: jellyfish(np.random.default_rng(26)),
    "blossom.jpg": lambda: blossom(np.random.default_rng(15)),
    "collage.png": lambda: collage(np.random.default_rng(16)),
    "brick.jpg": lambda: photograph(np.rot90(data.brick()), BRICK),
    "grass.jpg": lambda: photograph(data.grass(), GRASS),
    "gravel.jpg": lambda: photograph(data.gravel(), GRAVEL),
    "coffee.jpg": lambda: photograph(data.coffee()),
    "rocket.jpg": lambda: photograph(data.rocket()),
}


def main():
    """Write the pictures, or those named on the command line, next to this script."""
    names = {Path(file).stem: file for file in PICTURES}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to make (default: all)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    args = parser.parse_args()
    unknown = set(args.names) - set(names)
    if unknown:
        parser.error(f"unknown picture {sorted(unknown)[0]}; choose from {', '.join(names)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or names:
        path = args.out / names[name]
        PICTURES[path.name]().save(path, optimize=True, quality=90, subsampling=0)
        print(path)


if __name__ == "__main__":
    main()
