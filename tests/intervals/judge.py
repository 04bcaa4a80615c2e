"""Does a simulated coverage agree with the level that was promised?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

Draw = Callable[[np.random.Generator, int], tuple[float, float, float]]


@dataclass(frozen=True)
class Case:
    """One interval whose coverage is simulated.

    Attributes
    ----------
    name : str
        Room, function and situation.
    draw : callable
        ``draw(rng, n)`` makes one data set of n rows and gives
        ``(low, high, truth)``; NaN limits count as not held.
    said : str
        What the docstring promises: ``exact``, ``conservative`` (above the level is
        allowed) or ``approximate`` (below is allowed, and the sentence says so).
    level : float
        Nominal coverage.
    replications : int
    sizes : tuple of int
        Rows of each data set.
    """

    name: str
    draw: Draw
    said: str = "exact"
    level: float = 0.95
    replications: int = 2000
    sizes: tuple[int, ...] = (100, 400)


def held(case: Case, n: int, seed: int = 1) -> int:
    """In how many data sets the interval held the truth."""
    rng = np.random.default_rng([seed, n])
    drawn = (case.draw(rng, n) for _ in range(case.replications))
    return sum(low <= truth <= high for low, high, truth in drawn)


def verdict(case: Case, times: int) -> tuple[str, float, float]:
    """``pass`` or ``fail``, with the 99 % binomial interval of the coverage (Clopper-Pearson)."""
    found = stats.binomtest(times, case.replications).proportion_ci(0.99, method="exact")
    low, high = float(found.low), float(found.high)
    within = low <= case.level <= high
    above = low > case.level and case.said == "conservative"
    below = high < case.level and case.said == "approximate"
    return ("pass" if within or above or below else "fail"), low, high
