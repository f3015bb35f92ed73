"""Random streams: one generator per purpose, a pure function of the seed and a path such as ("draws", scale, step).

Whoever needs the numbers of step 1234 has them without those of the steps before, so a resumed run repeats the
uninterrupted one. All are drawn on the CPU and sent to where they are needed, so a run meets the same noise on every
device; it costs milliseconds. Between devices only roundings differ: of what the networks compute (newer NVIDIA GPUs
round to TF32, PyTorch's default) and, between processors of different kinds, of the last bit of a normal number
(docs/method.md, section 13).
"""

import hashlib

import torch


def stream(seed: int, *path: int | str) -> torch.Generator:
    """A generator, seeded by a hash of `seed` and `path`."""
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *path)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
