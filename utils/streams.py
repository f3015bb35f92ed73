"""Random streams: one explicit generator per purpose, a pure function of the seed and the purpose.

A stream is named by a path such as `("draws", scale, chunk)`. Whoever needs the random numbers of
step 1234 can have them without those of the steps before, so a resumed run repeats the uninterrupted
one, and pictures drawn for a look disturb nothing.
"""

import hashlib

import torch


def stream(seed: int, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded by a hash of `seed` and `path`."""
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *path)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)
