"""From a field to an image: votes, and seams taken out."""

import numpy as np
import torch
from conftest import texture

from finishing.canvas import Canvas
from finishing.votes import EDGE, averaged, seamless


def joined(field, canvas, reach):
    """The picture of a field, with its seams and without."""
    picture = averaged(field, canvas)
    return picture, seamless(picture, field, canvas, reach)


def test_a_picture_in_one_piece_is_not_changed():
    image = texture(30, 40)
    field = (np.arange(2, 18)[:, None] * 40 + np.arange(3, 28)).astype(np.int32)
    assert torch.allclose(joined(field, Canvas([image]), 4.0)[1], image[..., 2:24, 3:34], atol=1e-6)


def test_an_edge_is_no_seam():
    image = torch.zeros(1, 3, 20, 80)
    image[..., 40:] = 1.0  # a distance of sqrt(3) in three channels, over two pixels
    field = (np.arange(14)[:, None] * 80 + np.where(np.arange(54) < 27, np.arange(54), np.arange(18, 72))).astype(
        np.int32
    )
    before, after = joined(field, Canvas([image]), 5.0)
    assert before.diff(dim=3).norm(dim=1).max() > EDGE
    assert (after - before).abs().max() < 0.1


def test_the_correction_is_the_least_squares_solution():
    canvas = Canvas([0.05 * texture(40, 50)])
    reach = 2.5
    field = np.random.default_rng(0).choice(np.flatnonzero(canvas.usable), (6, 3)).astype(np.int32)
    image, after = joined(field, canvas, reach)
    correction = after - image
    # What each pair of neighbours lacks, voted for by every patch that holds both.
    equations, wanted = [np.eye(108) / reach], [np.zeros(108)]
    values, bell = canvas.values[:, 0], np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    for y, x, down, right in [(y, x, d, 1 - d) for d in (0, 1) for y in range(12 - d) for x in range(8 + d)]:
        total = weights = 0.0
        for dy, dx in np.ndindex(7 - down, 7 - right):
            if 0 <= y - dy < 6 and 0 <= x - dx < 3:
                place = field[y - dy, x - dx] + dy * 50 + dx
                weight = np.sqrt(bell[dy] * bell[dy + down] * bell[dx] * bell[dx + right])
                total += weight * (values[place + down * 50 + right] - values[place])
                weights += weight
        row = np.zeros((12, 9))
        row[y, x], row[y + down, x + right] = -1, 1
        equations.append(row.reshape(1, -1))
        wanted.append([total / weights - float(image[0, 0, y + down, x + right] - image[0, 0, y, x])])
    solution = np.linalg.lstsq(np.concatenate(equations), np.concatenate(wanted), rcond=None)[0].reshape(12, 9)
    assert np.abs(correction[0, 0].numpy() - solution).max() < 0.02 * np.abs(solution).max()  # EDGE takes the rest
