"""Textures for make_images.py: beach pebbles and woven straw."""

import numpy as np
from render import SIDE, XX, YY, Scene, blur, lookup, mix, noise, smoothstep
from scipy import spatial


def pebbles(rng):
    """Wet beach pebbles, packed edge to edge."""
    points = rng.uniform(-40, SIDE + 40, (130, 2))
    grid = np.dstack([XX, YY])
    for _ in range(3):  # move points to the middle of their cells, so that sizes even out
        near = spatial.cKDTree(points).query(grid)[1]
        for k in np.unique(near):
            points[k] = 0.4 * points[k] + 0.6 * grid[near == k].mean(0)
    warp = 4 * np.dstack([noise(rng, 5, largest=150), noise(rng, 5, largest=150)])
    distance, nearest = spatial.cKDTree(points).query(grid + warp, k=2)
    cell = nearest[..., 0]
    edge = np.clip((distance[..., 1] - distance[..., 0] - 5) / 40, 0, 1)  # 0 in the joints
    height = 26 * blur(np.sqrt(1 - (1 - edge) ** 2), 3)
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
        streak = lookup(fibre, a * 2, b, mode="grid-wrap")
        tone = np.sin(12.9 * band + 3 * phase + np.floor(3 * (inside + 0.5)))
        height = 17 * rise * profile + 5 * reeds + 0.35 * streak
        layers.append((height, 0.5 + 0.13 * streak + 0.13 * tone - 0.25 * phase))
    (h0, c0), (h1, c1) = layers
    color = mix((0.5, 0.32, 0.14), (0.93, 0.78, 0.5), np.where(h0 > h1, c0, c1))
    return Scene(np.maximum(h0, h1), color, gloss=0.06).photograph(rng)
