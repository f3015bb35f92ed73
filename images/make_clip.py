"""Make the example clip of this folder, volcano.mp4: run `python images/make_clip.py`.

A smoke plume over a volcano, computed from a fixed seed; its last frame goes over into its first.
"""

import argparse
import sys
from fractions import Fraction
from pathlib import Path

try:
    import av
    import numpy as np
    from PIL import Image
    from render import XX, YY, Scene, blur, finish, heap, mix, noise, smoothstep
except ModuleNotFoundError as error:
    sys.exit(f"make_clip.py needs {error.name}: pip install av scikit-image matplotlib pillow")

FRAMES, RATE = 32, 16  # one round of the loop, and frames a second
WIDTH, HEIGHT = 320, 240  # of the clip; 4 x 3, the upper three quarters of a square scene
CRATER = (190, 292)  # x and y
PUFFS, LIFE = 9, 3  # puffs in a round, and rounds from the crater until a puff has left the picture
BUMPS = 60  # on each puff
SEED = 17


def backdrop(rng):
    """Return the evening sky, the mountain in front of it, and where the mountain is."""
    sky = mix((0.10, 0.20, 0.45), (0.62, 0.44, 0.42), (YY / 390) ** 1.8)
    away = np.abs(XX - CRATER[0])
    rough = noise(rng, 2.6, largest=90, smallest=3)
    slope = CRATER[1] - 6 + 0.55 * np.clip(away - 26, 0, None) ** 1.03 + 3 * blur(rough, 1.5)
    gully = noise(rng, 2.4, stretch=(3, 1), largest=120)
    height = 8 * gully + 4 * rough - 0.45 * away
    lit = Scene(height, mix((0.16, 0.12, 0.15), (0.34, 0.25, 0.24), 0.5 + 0.3 * rough)).photograph(rng)
    return finish(sky), lit, finish(np.repeat((slope < YY)[..., None], 3, axis=2)).convert("L")


def make_puffs(rng):
    """Return what tells the puffs of a round apart: birth, drift, size and the bumps on each."""
    bumps = rng.standard_normal((PUFFS, BUMPS, 3))
    bumps /= np.linalg.norm(bumps, axis=2, keepdims=True)
    return {
        "birth": (np.arange(PUFFS) + rng.uniform(-0.2, 0.2, PUFFS)) / PUFFS,
        "drift": rng.normal(0, 0.5, PUFFS),
        "size": rng.uniform(0.85, 1.15, PUFFS),
        "spin": rng.choice([-1, 1], PUFFS) * rng.uniform(0.6, 1.2, PUFFS),
        "bumps": bumps,
        "bump_size": rng.uniform(0.22, 0.48, (PUFFS, BUMPS)),
    }


def plume(puffs, time):
    """Return the balls (x, y, z, r) of the smoke at a time in rounds, and the age (0 to 1) of each."""
    balls, ages = [], []
    for k in range(PUFFS):
        for life in range(LIFE):
            age = ((time - puffs["birth"][k]) % 1 + life) / LIFE
            r = puffs["size"][k] * (15 + 78 * age**0.8)
            x = CRATER[0] + 170 * age**1.6 + puffs["drift"][k] * (8 + 75 * age)
            y = CRATER[1] + 22 - 400 * age**0.85
            turn = puffs["spin"][k] * age * 3
            across, up, near = puffs["bumps"][k].T  # roll about the line of sight
            sides = across * np.cos(turn) - up * np.sin(turn), across * np.sin(turn) + up * np.cos(turn)
            balls.append((x, y, 70, 0.9 * r))
            size = r * puffs["bump_size"][k]
            balls += zip(x + 0.78 * r * sides[0], y + 0.78 * r * sides[1], 70 + 0.78 * r * near, size, strict=True)
            ages += [age] * (1 + len(size))
    return balls, np.array(ages)


def frame(setting, puffs, grain, time):
    """Return one frame as a Pillow image."""
    sky, mountain, mountain_mask = setting
    balls, ages = plume(puffs, time)
    height, top = heap(balls)
    smoke = top >= 0
    age = blur(np.where(smoke, ages[top], 0), 3)
    color = mix((0.42, 0.36, 0.36), (0.90, 0.87, 0.86), smoothstep(0, 0.55, age) + 0.04 * grain)
    color = mix((1.0, 0.42, 0.08), color, smoothstep(0.02, 0.14, age))  # lit from the crater
    height = blur(np.where(smoke, height, 30), 2.0) + 0.12 * grain
    lit = Scene(height, color).photograph(np.random.default_rng(SEED), ambient=0.6, sun=0.8)
    soft = blur(smoke.astype(float), 2.0)
    cover = finish(np.repeat(soft[..., None], 3, axis=2)).convert("L")
    picture = Image.composite(lit, sky, cover)
    picture.paste(mountain, mask=mountain_mask)
    side = picture.width
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=(0, 0, side, side * HEIGHT // WIDTH))


def write(path, frames):
    """Write Pillow images as an H.264 clip."""
    with av.open(str(path), "w") as container:
        options = {"crf": "16", "preset": "slow", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())


def main():
    """Write the clip next to this script, or into the folder that --out names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    setting, puffs = backdrop(rng), make_puffs(rng)
    grain = noise(rng, 1.5, largest=40)
    path = args.out / "volcano.mp4"
    write(path, (frame(setting, puffs, grain, t / FRAMES) for t in range(FRAMES)))
    print(path)


if __name__ == "__main__":
    main()
