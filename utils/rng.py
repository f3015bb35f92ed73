"""Random streams: one explicit generator per purpose, a pure function of the seed and the purpose.

A stream is named by a path such as `("draws", scale, step)`. Whoever needs the random numbers of
step 1234 can have them without those of the steps before, so a resumed run repeats the uninterrupted
one, images drawn for a look disturb nothing, and it does not matter how many steps' numbers are
drawn at a time.

All random numbers are drawn on the CPU and sent to where they are needed, because a GPU's own generators
give other numbers: so a run meets the same noise, z* above all, on whatever device it is gone on with.
Between two devices differ only the roundings: of what the networks compute, and, between processors of
different kinds, of the last bit of a normal number. Training amplifies them: two runs on two devices start
alike and part after some twenty steps, as two right programs do (docs/method.md, section 13).
It costs little: a step at 220 pixels needs 3/4 of a million numbers, milliseconds of the CPU's time while
the device still computes what it was given before.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def stream(seed: int, *path: int | str) -> torch.Generator:
    """A generator, seeded by a hash of `seed` and `path`."""
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *path)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def normal(shape: tuple[int, ...], generators: Sequence[torch.Generator]) -> Tensor:
    """(N, *shape) of N(0, 1) on the CPU, each of the N from a generator of its own."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def uniform(shape: tuple[int, ...], generators: Sequence[torch.Generator]) -> Tensor:
    """The same of U(0, 1)."""
    return torch.stack([torch.rand(shape, generator=generator) for generator in generators])
