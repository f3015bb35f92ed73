"""Bicubic resampling by an exact factor, as two matrix products (docs/method.md, section 4).

Pixel v of the output has its centre at v + 0.5; dividing by the factor gives the same point on the input, whose pixel u
has its centre at u + 0.5: u = (v + 0.5) / factor - 0.5. The grid follows the factor, not the ratio of the two sizes,
which rounding makes a little different. Each output pixel is a weighted sum of the input under the kernel centred
on u, stretched by 1 / factor when shrinking, against aliasing. Outside, the image is mirrored, the edge pixel repeated;
or it goes on at its other side, if it is a tile, and is then resampled by the ratio of the sizes after all.
"""

from functools import lru_cache

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from utils.device import send
from utils.geometry import ceil_side


def cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5, zero from distance 2 on."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
def resize_weights(length: int, factor: float, out_length: int, around: bool = False) -> csr_array:
    """Weights (out_length, length), float32, that resample a line of `length` pixels by `factor`, or a closed one."""
    factor = out_length / length if around else factor
    stretch = max(1.0, 1.0 / factor)
    centres = (np.arange(out_length) + 0.5) / factor - 0.5
    first = np.floor(centres - 2 * stretch).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 2)
    weights = cubic((taps - centres[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    # Mirror with the edge pixel repeated: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...
    mirrored = np.mod(taps, 2 * length)
    mirrored = np.mod(taps, length) if around else np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
    rows = np.repeat(np.arange(out_length), taps.shape[1])
    return csr_array((weights.ravel(), (rows, mirrored.ravel())), (out_length, length)).astype(np.float32)


def resize(
    image: Tensor, factor: float, shape: tuple[int, int] | None = None, tile: tuple[bool, bool] = (False, False)
) -> Tensor:
    """Resample (..., H, W) by an exact factor; antialiased when shrinking.

    `shape` (height, width) cuts the result at the bottom and right; default: ceil(H * factor) x ceil(W * factor).
    `tile`: whether rows, and columns, go on at the other side; that axis becomes what `shape` says, whole.
    """
    if factor == 1 and tuple(shape or image.shape[-2:]) == image.shape[-2:]:
        return image
    return resampled(image, *both_weights(image.shape[-2:], factor, shape, tile))


def both_weights(
    size: tuple[int, int], factor: float, shape: tuple[int, int] | None = None, tile: tuple[bool, bool] = (False, False)
) -> tuple[csr_array, csr_array]:
    """The `resize_weights` of rows and of columns for a (height, width), see `resize`."""
    shape = shape or tuple(ceil_side(side * factor) for side in size)
    return tuple(map(resize_weights, size, (factor, factor), shape, tile))


def resampled(image: Tensor, rows: csr_array, columns: csr_array) -> Tensor:
    """rows @ image @ columns.T of (..., H, W), `resize_weights` each, with no gradient; on one thread of the CPU."""
    planes = image.detach().float().cpu().reshape(-1, *image.shape[-2:]).numpy()
    out = np.stack([(columns @ (rows @ plane).T).T for plane in planes])
    return torch.from_numpy(out).reshape(*image.shape[:-2], *out.shape[1:]).to(image.device)


@lru_cache(maxsize=64)
def dense_weights(length: int, factor: float, out_length: int, device: torch.device) -> Tensor:
    """`resize_weights` on a device; built once for the same arguments."""
    return send(torch.from_numpy(resize_weights(length, factor, out_length).toarray()), device)


def upsample(image: Tensor, factor: float, shape: tuple[int, int]) -> Tensor:
    """Bring a (N, 3, H, W) image in [-1, 1] to the next finer scale of a pyramid of ratio `factor`, on its device.

    Bicubic by 1 / factor, cut at the bottom and right to `shape`, clamped to [-1, 1] before and after.
    """
    rows, columns = (
        dense_weights(side, 1 / factor, wanted, image.device)
        for side, wanted in zip(image.shape[-2:], shape, strict=True)
    )
    return (rows @ image.clamp(-1, 1) @ columns.T).clamp(-1, 1)
