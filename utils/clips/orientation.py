"""Which way up: what EXIF and display matrices say is to be done with stored pixels."""

from collections.abc import Sequence

from PIL import Image

Transpose = Image.Transpose

# By EXIF's orientation tag; 1 is upright.
OF_EXIF = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# Those that exchange width and height.
LYING = {Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90}
# By (width and height exchanged, then left and right, then top and bottom).
OF_STEPS = {
    (False, True, False): Transpose.FLIP_LEFT_RIGHT,
    (False, False, True): Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Transpose.ROTATE_180,
    (True, False, False): Transpose.TRANSPOSE,
    (True, True, False): Transpose.ROTATE_270,
    (True, False, True): Transpose.ROTATE_90,
    (True, True, True): Transpose.TRANSVERSE,
}


def of_matrix(matrix: Sequence[int]) -> Transpose | None:
    """The transposition nearest to a display matrix (ISO 14496-12 6.2.2), None where there is none to do.

    Args:
        matrix: a b u c d v x y w; a pixel of the stored frame goes to (a x + c y, b x + d y), y downwards.
    """
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    lying = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if lying else (a, d)
    return OF_STEPS.get((lying, across < 0, down < 0))
