"""How often do the intervals of a step in one series hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.interrupted import step_of
from tests.intervals.judge import Case

EFFECT = 0.5
SIZES = (24, 60, 120)


def wandering(rng, n, r, *, series=1):
    """Rows of a first-order autoregression of variance 1."""
    found = rng.normal(size=(series, n))
    for t in range(1, n):
        found[:, t] = r * found[:, t - 1] + np.sqrt(1 - r * r) * found[:, t]
    return found


def _time(n):
    at = np.arange(n)
    periods = pd.date_range("2024-01-01", periods=n, freq="7D").to_numpy()
    return {"at": at, "periods": periods, "after": at >= n // 2, "confidence": 0.95}


def of_a_mean(r, rng, n):
    """Half of the weeks after; the level steps by 0.5, the slope does not change."""
    time = _time(n)
    found = step_of(wandering(rng, n, r)[0] + EFFECT * time["after"], **time)
    return found.effect[1], found.effect[2], EFFECT


def of_counts(r, rng, n):
    """Some 30 events a week; their rate wanders by a tenth and falls by a quarter."""
    time = _time(n)
    rate = 30 * np.exp(0.1 * wandering(rng, n, r)[0] + np.log(0.75) * time["after"])
    found = step_of(rng.poisson(rate).astype(float), exposure=np.ones(n), **time)
    return found.effect[1], found.effect[2], np.log(0.75)


CASES = [
    *[
        Case(
            f"interrupted series, mean, autocorrelation {r}",
            partial(of_a_mean, r),
            "conservative",
            replications=1000,
            sizes=SIZES,
        )
        for r in (0, 0.3, 0.6)
    ],
    Case(
        "interrupted series, counts, autocorrelation 0.6",
        partial(of_counts, 0.6),
        "approximate",
        replications=500,
        sizes=SIZES,
    ),
]
