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
    from PIL import Image
    from render import SIZE, WORK, XX, YY, Scene, finish, mix, noise, scatter, smoothstep, text_mask
    from scipy import ndimage, spatial  # comes with scikit-image
    from sketch import collage, fruit_sketch
    from skimage import data
except ModuleNotFoundError as error:
    sys.exit(f"make_images.py needs {error.name}: pip install scikit-image matplotlib pillow")


def wood_ground(rng, dark, light, planks=3):
    """Return (height, colour) of planks that run down the picture."""
    grain = noise(rng, 1.6, stretch=(14, 1), largest=120)
    wave = noise(rng, 3.0, stretch=(5, 1), largest=300)
    rings = np.sin(XX / 7 + 5 * wave)
    shade = 0.5 + 0.1 * grain + 0.07 * rings
    plank = (XX * planks / WORK).astype(int)
    shade = shade + rng.uniform(-0.1, 0.1, planks)[plank]
    gap = np.abs((XX * planks / WORK + 0.5) % 1 - 0.5) * WORK / planks
    seam = 1 - smoothstep(0.5, 4.0, gap)
    seam[:, : WORK // (2 * planks)] = 0  # no seam at the picture's own edges
    seam[:, -WORK // (2 * planks) :] = 0
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
    blush = noise(rng, 3.0, largest=120)
    for x, y, r in scatter(rng, 9, (48, 62), 14, margin=4):
        turn, squash = rng.uniform(0, 2 * np.pi), rng.uniform(0.93, 1.0)
        dx, dy = XX - x, YY - y
        along = dx * np.cos(turn) + dy * np.sin(turn)
        across = dy * np.cos(turn) - dx * np.sin(turn)
        d2 = (along**2 + (across / squash) ** 2) / r**2
        inside = d2 < 1
        height = r * (0.12 + 0.95 * np.sqrt(np.clip(1 - d2, 0, 1))) + 0.16 * pores * (1 - d2)
        # The stem end sits off the middle, so that each fruit lies its own way.
        stem = np.hypot(along - 0.42 * r, across) / r
        petals = 1 + 0.3 * np.cos(5 * np.arctan2(across, along - 0.42 * r) + turn)
        calyx = stem < 0.1 * petals
        height -= 0.05 * r * np.exp(-((stem / 0.16) ** 2))
        ripe = 0.55 + 0.22 * blush + rng.uniform(-0.25, 0.25) - 0.5 * np.exp(-((stem / 0.3) ** 2))
        color = mix((0.97, 0.66, 0.12), (0.95, 0.45, 0.04), ripe)
        color[calyx] = (0.36, 0.42, 0.16)
        scene.add(height + 2.5 * calyx, color, np.where(calyx, 0.0, 0.35), inside)
    return scene.photograph(rng)


def bowls(rng):
    """Dark blue glazed bowls on a wooden table."""
    scene = Scene(*wood_ground(rng, (0.50, 0.53, 0.50), (0.86, 0.88, 0.82)), gloss=0.03)
    cloud = noise(rng, 2.6, largest=90)
    specks = noise(rng, 0.0, smallest=4)
    for x, y, r in scatter(rng, 9, (46, 76), 12, margin=3):
        angle = np.arctan2(YY - y, XX - x)
        wobble = 1 + 0.015 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.008 * np.cos(3 * angle)
        d = np.hypot(XX - x, YY - y) / (r * wobble)
        wall, rim = 0.75 * r, 0.92
        outer = wall * np.sqrt(np.clip(1 - ((d - rim) / (1 - rim)) ** 2, 0, 1))
        inner = wall * (0.2 + 0.8 * smoothstep(0.32, 1.0, d / rim) ** 0.8)
        height = np.where(d > rim, outer, inner) + 0.15 * cloud
        glaze = mix((0.08, 0.17, 0.42), (0.16, 0.34, 0.64), 0.35 + 0.2 * cloud)
        glaze = mix(glaze, (0.22, 0.5, 0.66), 0.8 * np.exp(-((d / 0.4) ** 2)) + 0.08 * cloud)
        glaze = mix(glaze, (0.75, 0.82, 0.85), (specks > 2.6) * 0.8)
        # Glaze runs thin on the rim and lets the brown clay through.
        glaze = mix(glaze, (0.55, 0.4, 0.28), np.exp(-(((d - 0.95) / 0.028) ** 2)) * 0.85)
        scene.add(height, glaze, 0.7, d < 1)
    return scene.photograph(rng)


def coins():
    """Greek coins: a square cut from scikit-image's `coins` photograph."""
    grey = Image.fromarray(data.coins()).crop((12, 87, 228, 303))
    return grey.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB")


def add_daisy(scene, rng, x, y, r):
    """Put one daisy on the scene: a ring of petals around a yellow dome."""
    dx, dy = (XX - x) / r, (YY - y) / r
    count, start = rng.integers(15, 21), rng.uniform(0, 6)
    for k in range(count):
        angle = start + 2 * np.pi * k / count + rng.normal(0, 0.05)
        long, wide = rng.uniform(0.88, 1.0), rng.uniform(0.12, 0.15)
        u = (dx * np.cos(angle) + dy * np.sin(angle)) / long
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / wide
        width = np.sqrt(np.clip(u * 1.25, 0.02, 1)) * np.sqrt(np.clip(1 - u**6, 0, 1))
        inside = (u > 0.1) & (u < 1) & (np.abs(v) < width)
        # Neighbours take turns to lie on top; tips droop.
        height = 20 + 3.5 * (k % 2) + r * (0.2 * u - 0.16 * u**3) - 2.2 * v**2 + 0.35 * np.cos(9 * v)
        color = mix((0.83, 0.84, 0.72), (0.97, 0.97, 0.96), 2.2 * u - 0.4)
        scene.add(height, color, 0.0, inside)
    d = np.hypot(dx, dy) / 0.27
    florets = noise(rng, -1.0, smallest=6)
    dome = 23 + 0.24 * r * np.sqrt(np.clip(1 - 0.85 * d**2, 0, 1)) + 1.1 * florets
    yellow = mix((0.98, 0.8, 0.1), (0.85, 0.52, 0.03), 0.3 + 0.5 * d**3 - 0.2 * florets)
    scene.add(dome + 4, yellow, 0.05, d < 1)


def daisies(rng):
    """Daisies in a lawn; the lawn is scikit-image's `grass` photograph, coloured green."""
    photo = Image.fromarray(data.grass()).crop((60, 60, 400, 400)).resize((WORK, WORK))
    grass = np.asarray(photo, float) / 255
    grass = ndimage.gaussian_filter(grass, 1.2)  # the lawn lies a little out of focus
    ground = mix((0.04, 0.11, 0.03), (0.42, 0.56, 0.2), grass * 1.15 - 0.15)
    scene = Scene(7 * grass, ground)
    for x, y, r in scatter(rng, 11, (42, 66), 6):
        add_daisy(scene, rng, x, y, r)
    return scene.photograph(rng)


def pebbles(rng):
    """Wet beach pebbles, packed edge to edge."""
    points = rng.uniform(-40, WORK + 40, (130, 2))
    grid = np.dstack([XX, YY])
    for _ in range(3):  # move points to the middle of their cells, so that sizes even out
        near = spatial.cKDTree(points).query(grid)[1]
        for k in np.unique(near):
            points[k] = 0.4 * points[k] + 0.6 * grid[near == k].mean(0)
    warp = 4 * np.dstack([noise(rng, 5, largest=150), noise(rng, 5, largest=150)])
    distance, nearest = spatial.cKDTree(points).query(grid + warp, k=2)
    cell = nearest[..., 0]
    edge = np.clip((distance[..., 1] - distance[..., 0] - 5) / 40, 0, 1)  # 0 in the joints
    height = 26 * ndimage.gaussian_filter(np.sqrt(1 - (1 - edge) ** 2), 3)
    greys = [(0.45, 0.47, 0.5), (0.34, 0.37, 0.41), (0.62, 0.6, 0.57), (0.8, 0.78, 0.74)]
    warm_and_green = [(0.55, 0.43, 0.36), (0.7, 0.64, 0.55), (0.4, 0.44, 0.41)]
    palette = np.array(greys + warm_and_green)
    color = palette[rng.integers(0, len(palette), len(points))][cell]
    color = color * (1 + 0.08 * rng.standard_normal(len(points)))[cell][..., None]
    grain = noise(rng, 1.2, largest=30)[..., None]
    bands = np.sin(XX / 5 + YY / 9 + 3 * noise(rng, 3, largest=200))[..., None]
    banded = (rng.random(len(points)) < 0.35)[cell][..., None]
    color = np.clip(color * (1 + 0.05 * grain + 0.1 * bands * banded), 0, 1)
    color *= smoothstep(-0.15, 0.2, edge)[..., None]
    return Scene(height, color, gloss=0.22).photograph(rng)


def basket(rng):
    """Woven straw, turned by a few degrees."""
    tilt, pitch = np.radians(28), 52.0
    u = XX * np.cos(tilt) + YY * np.sin(tilt) + 4 * noise(rng, 4, largest=300)
    v = YY * np.cos(tilt) - XX * np.sin(tilt) + 4 * noise(rng, 4, largest=300)
    fibre = noise(rng, 1.2, stretch=(1, 30), largest=200)
    layers = []
    for a, b, phase in ((u, v, 0), (v, u, 1)):  # a runs across this band, b along it
        band, inside = np.floor(a / pitch), (a / pitch) % 1 - 0.5
        rise = 0.5 + 0.5 * np.cos(np.pi * (b / pitch + 0.5 + band + phase))
        reeds = np.abs(np.sin(3 * np.pi * (inside + 0.5))) ** 0.5  # three reeds to a band
        profile = np.sqrt(np.clip(1 - (inside / 0.49) ** 4, 0, 1))
        at = [(a * 2) % WORK, b % WORK]
        streak = ndimage.map_coordinates(fibre, at, order=1, mode="grid-wrap")
        tone = np.sin(12.9 * band + 3 * phase + np.floor(3 * (inside + 0.5)))
        height = 17 * rise * profile + 5 * reeds + 0.35 * streak
        layers.append((height, 0.5 + 0.13 * streak + 0.13 * tone - 0.25 * phase))
    (h0, c0), (h1, c1) = layers
    color = mix((0.5, 0.32, 0.14), (0.93, 0.78, 0.5), np.where(h0 > h1, c0, c1))
    return Scene(np.maximum(h0, h1), color, gloss=0.06).photograph(rng)


def wooden_letters(rng):
    """OAK ELM: wooden letters on pale paper."""
    paper = noise(rng, 1.5, largest=40)
    scene = Scene(0.15 * paper, np.array((0.88, 0.87, 0.83)) * (1 + 0.012 * paper[..., None]))
    mask = text_mask(("OAK", "ELM"), 170)
    depth = ndimage.distance_transform_edt(mask)
    grain, timber = wood_ground(rng, (0.36, 0.17, 0.06), (0.8, 0.5, 0.24), planks=1)
    height = 24 + 7 * smoothstep(0, 9, depth) + 0.5 * grain
    scene.add(height, timber, 0.08, mask)
    return scene.photograph(rng)


def neon_letters(rng):
    """GYM BAR: neon tubes on a dark wall; the wall is scikit-image's `brick` photograph."""
    wall = np.rot90(data.brick()).astype(float) / 255
    picture = wall[..., None] ** 1.4 * np.array((0.10, 0.11, 0.16))
    mask = text_mask(("GYM", "BAR"), 168)
    depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    tube = np.abs(ndimage.gaussian_filter(depth, 1.5) - 6)  # distance to the bent tube
    flicker = 1 + 0.05 * noise(rng, 2.0, largest=60)
    line, core = smoothstep(5.5, 3.5, tube) * flicker, smoothstep(3.2, 0.5, tube)[..., None]
    for upper, color in ((True, (1.0, 0.16, 0.5)), (False, (0.1, 0.75, 1.0))):
        row = np.where((YY < WORK / 2) == upper, line, 0.0)  # each row of letters has its gas
        spread = ((0.9, 8), (1.3, 24), (1.6, 60))
        glow = sum(weight * ndimage.gaussian_filter(row, blur) for weight, blur in spread)
        lit_wall = (0.25 + 0.75 * wall) * glow * 0.8
        picture += (lit_wall + row)[..., None] * np.array(color)
    picture += 0.75 * core
    return finish(1 - np.exp(-1.5 * picture))


PICTURES = {
    "oranges": lambda: oranges(np.random.default_rng(3)),
    "bowls": lambda: bowls(np.random.default_rng(4)),
    "coins": coins,
    "daisies": lambda: daisies(np.random.default_rng(5)),
    "pebbles": lambda: pebbles(np.random.default_rng(6)),
    "basket": lambda: basket(np.random.default_rng(7)),
    "letters_wood": lambda: wooden_letters(np.random.default_rng(8)),
    "letters_neon": lambda: neon_letters(np.random.default_rng(9)),
    "mountains": lambda: mountains(np.random.default_rng(29)),
    "painted_hills": lambda: painted_hills(np.random.default_rng(11)),
    "fruit_sketch": lambda: fruit_sketch(np.random.default_rng(12)),
    "balloons": lambda: balloons(np.random.default_rng(13)),
    "jellyfish": lambda: jellyfish(np.random.default_rng(26)),
    "blossom": lambda: blossom(np.random.default_rng(15)),
    "collage": lambda: collage(np.random.default_rng(16)),
}


def main():
    """Write the pictures, or those named on the command line, next to this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to make (default: all)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    args = parser.parse_args()
    unknown = set(args.names) - set(PICTURES)
    if unknown:
        parser.error(f"unknown picture {sorted(unknown)[0]}; choose from {', '.join(PICTURES)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or PICTURES:
        PICTURES[name]().save(args.out / f"{name}.png", optimize=True)
        print(args.out / f"{name}.png")


if __name__ == "__main__":
    main()
