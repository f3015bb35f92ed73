"""Which way up a film is shown: its display matrix, in EXIF's numbers."""

from collections.abc import Sequence

# By (width and height exchanged, then left and right, then top and bottom).
ORIENTATIONS = {
    (False, False, False): 1,
    (False, True, False): 2,
    (False, True, True): 3,
    (False, False, True): 4,
    (True, False, False): 5,
    (True, True, False): 6,
    (True, True, True): 7,
    (True, False, True): 8,
}


def orientation_of(matrix: Sequence[int]) -> int:
    """The EXIF orientation nearest to a display matrix (ISO 14496-12 6.2.2).

    Args:
        matrix: a b u c d v x y w; a pixel of the stored frame goes to (a x + c y, b x + d y), y downwards.
    """
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    lying = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if lying else (a, d)
    return ORIENTATIONS[lying, across < 0, down < 0]
