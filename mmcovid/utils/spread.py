"""A part of many things, spread over all of them."""

import numpy as np


def spread(number: int, most: int) -> list[int]:
    """Places of ``most`` of ``number`` things, evenly from the first to the last; all if fewer."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(int).tolist()
