"""How often do the intervals of fair comparison hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from sqm import unit_spread
from sqm.methods.fair_comparison import _consistency
from tests.intervals.judge import Case

SIZES = (12, 60)  # units


def _units(rng, units, share, spread):
    n = np.exp(rng.uniform(np.log(300), np.log(3_000), units)).astype(int)
    level = logit(share) + spread * rng.normal(size=units)
    value = rng.binomial(n, expit(level)).astype(float)
    names = [f"{i}" for i in range(units)]
    return pd.DataFrame({"unit": names, "n": n, "value": value})


def real_share_of_means(rng, n):
    """Levels of variance 1, means of 50 records of variance 25: two thirds."""
    seen = rng.normal(size=n) + rng.normal(scale=0.5**0.5, size=n)
    units = pd.DataFrame({"unit": [f"{i}" for i in range(n)], "n": 50, "value": seen, "sd": 5.0})
    found = unit_spread.units_from(units, kind="mean", smallest=5, source="units")
    answer = _consistency(found, 0.95)
    return answer["real_low"], answer["real_high"], 2 / 3


def record_share(share, spread, rng, n):
    """Levels normal in log odds; the variance of the shares by quadrature, over p (1 - p)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    level = expit(logit(share) + spread * nodes)
    mean = (weights * level).sum() / weights.sum()
    truth = (weights * (level - mean) ** 2).sum() / weights.sum() / (mean * (1 - mean))
    units = _units(rng, n, share, spread)
    found = unit_spread.units_from(units, kind="share", smallest=0, source="units")
    answer = _consistency(found, 0.95)
    return answer["record_low"], answer["record_high"], truth


CASES = [
    Case("real share of the spread, means", real_share_of_means, sizes=SIZES, replications=500),
    Case(
        "share of a record's variance, share 0.7",
        partial(record_share, 0.7, 0.25),
        "approximate",
        sizes=SIZES,
        replications=500,
    ),
    Case(
        "share of a record's variance, share 0.03",
        partial(record_share, 0.03, 0.25),
        "approximate",
        sizes=SIZES,
        replications=500,
    ),
]
