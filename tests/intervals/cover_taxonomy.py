"""How often do the volumes of linked categories hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.taxonomy import _ratio, taxonomy
from tests.intervals.judge import Case


def renamed(rng, n):
    """About n cases before and after a renaming; the share of 0.3 rises to 0.36."""
    day = np.concatenate(
        [rng.integers(91, size=rng.poisson(n)), 91 + rng.integers(91, size=rng.poisson(n))]
    )
    share = np.where(day < 91, 0.3, 0.36)
    which = rng.random(len(day)) < share
    name = np.where(which, np.where(day < 91, "old", "new"), "rest")
    cases = pd.DataFrame(
        {"opened": pd.Timestamp("2025-01-01") + pd.to_timedelta(day, "D"), "category": name}
    )
    found = taxonomy(cases, rng=rng, resamples=20, fewest=10, false_alarm=0.5).table
    if len(found) != 1:
        return np.nan, np.nan, 1.2
    return found["low"].iloc[0], found["high"].iloc[0], 1.2


def _volumes(rng, n, uneven):
    weeks = [
        rng.poisson(n / 13 * rng.gamma(1 / uneven, uneven, 14) if uneven else np.full(14, n / 13))
        for _ in range(2)
    ]
    _, low, high = _ratio(weeks, np.array([14.0, 14.0]), 0.95)
    return low, high, 1.0


def even_weeks(rng, n):
    return _volumes(rng, n, 0)


def uneven_weeks(rng, n):
    return _volumes(rng, n, 0.1)


CASES = [
    Case("taxonomy, share after a renaming", renamed, "approximate", replications=300),
    Case("taxonomy, volume after a coming, even weeks", even_weeks, "approximate"),
    Case("taxonomy, volume after a coming, uneven weeks", uneven_weeks, "approximate"),
]
