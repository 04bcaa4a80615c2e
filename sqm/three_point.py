"""What is drawn where a study knows only the least, the likeliest and the most?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sqm.checks import Problem

LARGEST = 1e12  # beyond it a number in a study's file is a slip of the keys


def three_points(value: Any, *, name: str) -> tuple[float, float, float]:
    """Read one number, or a range of three, as it stands in a study's parameters.

    Parameters
    ----------
    value : number, or sequence of three numbers
        Least, likeliest and most, in this order; one number is taken as known for certain.
    name : str
        What it is called where it is wrong.

    Returns
    -------
    tuple of three float

    Raises
    ------
    Problem
        If it is neither, too large to be meant, or the three are out of order.

    Examples
    --------
    >>> three_points(5, name="price"), three_points([4, 5, 8], name="price")
    ((5.0, 5.0, 5.0), (4.0, 5.0, 8.0))
    """
    given = list(value) if isinstance(value, list | tuple) else [value] * 3
    sound = len(given) == 3 and all(_is_number(each) for each in given)
    if not sound:
        raise Problem(f"{name} is {value!r}.", "give one number, or [least, likeliest, most].")
    if max(abs(each) for each in given) >= LARGEST:
        raise Problem(f"{name} is {value!r}.", f"give numbers below {LARGEST:g}.")
    if not given[0] <= given[1] <= given[2]:
        raise Problem(f"{name} is {value!r}.", "put least, likeliest and most in this order.")
    return tuple(float(each) for each in given)


def drawn(points: Sequence[float], size: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw from the triangular distribution between the least and the most.

    Notes
    -----
    Mean (least + likeliest + most) / 3; it is the simplest distribution with these three, wider
    than the beta distribution that PERT fits to them.

    Examples
    --------
    >>> drawn((5, 5, 5), 2, rng=np.random.default_rng(0)).tolist()
    [5.0, 5.0]
    """
    least, likeliest, most = points
    u = rng.random(size)  # one number a draw, so that a range and a single number use the same
    span = most - least
    if span == 0:
        return np.full(size, float(likeliest))
    below = u * span < likeliest - least
    rising = least + np.sqrt(u * span * (likeliest - least))
    falling = most - np.sqrt((1 - u) * span * (most - likeliest))
    return np.where(below, rising, falling)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
