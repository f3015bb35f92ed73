"""Make the drawn pictures, the clip, and the photographs that come inside scikit-image, next to this script.

Needs scikit-image, matplotlib and av, and no network. The other files are only copied; README.md has all.
"""

from pathlib import Path

import av
import numpy as np
from floating import balloons, collage, jellyfish, sketch
from letters import neon_letters, wooden_letters
from PIL import Image
from skimage import data

HERE = Path(__file__).parent
# Colours for grey photographs, from black to white in equal steps.
BRICK = ((30, 8, 4), (66, 22, 14), (148, 66, 46), (176, 136, 112), (196, 182, 164), (238, 228, 212))
GRAVEL = ((10, 10, 12), (94, 90, 88), (182, 174, 162), (255, 250, 242))


def tinted(grey, tones):
    """Return a grey photograph in the tones given for black to white."""
    levels = np.linspace(0, 255, len(tones))
    colored = np.dstack([np.interp(grey, levels, channel) for channel in np.transpose(tones)])
    return Image.fromarray(np.rint(colored).astype(np.uint8))


def pan(photograph, path):
    """Write a clip that looks from the left of a photograph to its right and back, and ends where it began."""
    with av.open(path, "w") as clip:
        stream = clip.add_stream("libx264", rate=16, options={"crf": "18", "preset": "slow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for turn in np.linspace(0, 2 * np.pi, 48, endpoint=False):
            x, y = np.array((240, 60)) * (1 - np.cos(turn))
            frame = photograph.resize((320, 240), Image.Resampling.LANCZOS, box=(x, y, x + 800, y + 600))
            clip.mux(stream.encode(av.VideoFrame.from_image(frame)))
        clip.mux(stream.encode())


# Line drawings and flat paint as PNG; what has grain as JPEG, a third as large.
PICTURES = {
    "balloons.jpg": lambda: balloons(np.random.default_rng(13)),
    "jellyfish.jpg": lambda: jellyfish(np.random.default_rng(26)),
    "sketch.png": lambda: sketch(np.random.default_rng(12)),
    "collage.png": lambda: collage(np.random.default_rng(16)),
    "letters_wood.jpg": lambda: wooden_letters(np.random.default_rng(8)),
    "letters_neon.jpg": lambda: neon_letters(np.random.default_rng(9)),
    "brick.jpg": lambda: tinted(np.rot90(data.brick()), BRICK),
    "gravel.jpg": lambda: tinted(data.gravel(), GRAVEL),
    "coffee.jpg": lambda: Image.fromarray(data.coffee()),
}

if __name__ == "__main__":
    for name, make in PICTURES.items():
        make().save(HERE / name, optimize=True, quality=90, subsampling=0)
    pan(Image.open(HERE / "alpine_path.jpg"), HERE / "pan.mp4")
