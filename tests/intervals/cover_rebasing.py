"""How often do the intervals of re-basing hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.autocorrelation import persistence
from sqm.chart_limits import limits_from
from sqm.methods import rebasing
from tests.intervals.judge import Case

SHARE = 0.2


def _weeks(data, value, size):
    period = pd.date_range("2020-01-06", periods=len(value), freq="7D")
    return pd.DataFrame(
        {"period": period, "data": data, "n": size, "value": value, "sd": np.nan, "mature": True}
    )


def level_of_a_share(rng, n):
    """Shares that spread more widely than counting makes them, weeks of different size."""
    size = rng.integers(200, 800, n).astype(float)
    share = rng.beta(SHARE * 300, (1 - SHARE) * 300, n)
    weeks = _weeks("share", rng.binomial(size.astype(int), share).astype(float), size)
    return (*rebasing._level(weeks, limits_from(weeks, kind="p'"), 0.0, 0.95), SHARE)


def level_of_a_mean(rng, n, correlation=0.0):
    """The correlation is learnt from a baseline of 39 weeks."""
    z = rebasing._steady(np.full(1, correlation), 39 + n, rng)[0]
    learnt = persistence(z[None, :39], draws=1, rng=rng).correlation if correlation else 0.0
    weeks = _weeks("mean", z[39:], 1.0)
    limits = limits_from(weeks, kind="xmr")
    return (*rebasing._level(weeks, limits, float(np.clip(learnt, 0, 0.9)), 0.95), 0.0)


def level_of_times(rng, n):
    weeks = _weeks("gap", rng.geometric(0.02, n) - 1.0, 1.0)
    return (*rebasing._level(weeks, limits_from(weeks, kind="g"), 0.0, 0.95), 49.0)


def day_of_a_step(rng, n, by=1.0):
    z = rng.standard_normal(n)
    at = int(rng.integers(n // 2, n))
    z[at:] += by
    _, low, high = rebasing._when(z, n // 2, 0.0, 0.95)
    return low, high, at


CASES = [
    Case("rebasing, level of a share", level_of_a_share, sizes=(13, 52)),
    Case("rebasing, level of a mean", level_of_a_mean, sizes=(13, 52)),
    Case(
        "rebasing, level of a mean, neighbours .3",
        partial(level_of_a_mean, correlation=0.3),
        sizes=(13, 52),
    ),
    Case("rebasing, level of gaps", level_of_times, sizes=(13, 52)),
    Case("rebasing, day of a step", day_of_a_step, said="conservative", sizes=(52, 104)),
    Case(
        "rebasing, day of a large step",
        partial(day_of_a_step, by=3.0),
        said="conservative",
        sizes=(52, 104),
    ),
]
