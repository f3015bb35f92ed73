"""Photographs that come inside scikit-image, for make_images.py: as they are, coloured, or enlarged."""

import numpy as np
from PIL import Image
from render import SAMPLES, blur, finish, noise
from skimage import data

# Colours for grey photographs, from black to white in equal steps.
BRICK = ((30, 8, 4), (66, 22, 14), (148, 66, 46), (176, 136, 112), (196, 182, 164), (238, 228, 212))
GRASS = ((8, 14, 4), (60, 84, 30), (146, 164, 84), (236, 238, 196))
GRAVEL = ((10, 10, 12), (94, 90, 88), (182, 174, 162), (255, 250, 242))


def photograph(picture, tones=None):
    """Return a photograph of scikit-image as it is or, if it is grey, in the tones given for black to white."""
    if tones is None:
        return Image.fromarray(picture)
    levels = np.linspace(0, 255, len(tones))
    colored = np.dstack([np.interp(picture, levels, channel) for channel in np.transpose(tones)])
    return Image.fromarray(np.rint(colored).astype(np.uint8))


def coins(rng):
    """Greek coins: a square cut from scikit-image's `coins` photograph, which is small: grain is added."""
    grey = Image.fromarray(data.coins()).crop((12, 87, 228, 303))
    grey = np.asarray(grey.resize((SAMPLES, SAMPLES), Image.Resampling.BICUBIC), float) / 255
    grey = grey + 0.5 * (grey - blur(grey, 3))  # the enlarged edges, steeper
    worn, film = noise(rng, 1.6, largest=12), noise(rng, 0.3, largest=6)
    grey = grey * (1 + 0.035 * worn) + 0.008 * film
    return finish(np.repeat(grey[..., None], 3, axis=2))
