"""How often does a further period lie within the limits of its usual level?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.usual_level import limits, predicted, usual_level
from tests.intervals.judge import Case

TWO_SIGMAS = 1.959963985  # of 95 %


def next_period(mean, extra, season, rng, n):
    """n weeks (or so many, and a wave a year) and one more."""
    weeks = pd.date_range("2015-01-05", periods=n + 1, freq="7D")
    turn = 2 * np.pi * weeks.day_of_year.to_numpy() / 365.25
    usual = mean * np.exp((0.3 if season else 0.0) * np.cos(turn))
    value = rng.poisson(usual * rng.gamma(1 / extra, extra, n + 1)).astype(float)
    found = usual_level(value[:n], periods=weeks[:n], season=int(season))
    expected, variance = predicted(found, weeks[n:])
    degrees = float(found.degrees) if found.extra > 0 else np.inf
    low, high = limits(expected, variance, sigmas=TWO_SIGMAS, degrees=degrees)
    return low[0], high[0], value[n]


CASES = [
    Case("usual level, next week, mean 300, overdispersed", partial(next_period, 300, 0.02, False)),
    Case(
        "usual level, next week, mean 300, a wave a year",
        partial(next_period, 300, 0.02, True),
        sizes=(110, 400),
    ),
    Case(
        "usual level, next week, mean 4 (coarse counts)",
        partial(next_period, 4, 0.1, False),
        said="conservative",
    ),
]
