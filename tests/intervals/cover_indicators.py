"""How often do the intervals of indicators and their total hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.indicators import indicator_system
from tests.intervals.judge import Case

SHARE = {"name": "share", "objective": "o", "table": "t", "measure": "x", "direction": "at most"}
SHARE |= {"limit": 1.0, "target": 0.9}
MEAN = {"name": "mean", "objective": "o", "table": "t", "measure": "y", "direction": "at most"}
MEAN |= {"statistic": "mean", "target": 0.5, "worst": 3.0}
MEDIAN = MEAN | {"name": "median", "statistic": "median", "measure": "z", "target": 0.2}


def _system(rng, n):
    """Three exponential measures of the same records, two of them correlated."""
    shared, own, other = rng.exponential(size=(3, n))
    return pd.DataFrame({"x": shared, "y": np.where(rng.random(n) < 0.5, shared, own), "z": other})


def mean_of_skewed(rng, n):
    row = indicator_system({"t": _system(rng, n)}, indicators=[MEAN]).table.iloc[0]
    return row["low"], row["high"], 1.0


def median_of_skewed(rng, n):
    row = indicator_system({"t": _system(rng, n)}, indicators=[MEDIAN]).table.iloc[0]
    return row["low"], row["high"], np.log(2)


def total_of_three(rng, n):
    """Attainments: 1 - 1/e over 0.9, (3 - 1) over 2.5, (3 - ln 2) over 2.8; weights 2, 1, 1."""
    found = indicator_system(
        {"t": _system(rng, n)}, indicators=[SHARE | {"weight": 2}, MEAN, MEDIAN]
    )
    parts = ((1 - np.exp(-1)) / 0.9, 2 / 2.5, (3 - np.log(2)) / 2.8)
    return found.low, found.high, 100 * (2 * parts[0] + parts[1] + parts[2]) / 4


def mean_of_alike_weeks(rng, n):
    """Normal values that share 20 % of their variance within each of 20 weeks."""
    week = np.repeat(np.arange(20), n // 20)
    values = 0.2**0.5 * rng.normal(size=20)[week] + 0.8**0.5 * rng.normal(size=len(week))
    start = pd.Timestamp("2025-01-06") + pd.to_timedelta(7 * week, unit="D")
    records = pd.DataFrame({"y": values, "at": start})
    low_is_good = MEAN | {"target": -1.0}
    row = indicator_system({"t": records}, indicators=[low_is_good], times={"t": "at"}).table
    return row.loc[0, "low"], row.loc[0, "high"], 0.0


CASES = [
    Case("indicator, mean of exponential values", mean_of_skewed, replications=1000),
    Case("indicator, median of exponential values", median_of_skewed, replications=1000),
    Case("indicators, total of three on the same records", total_of_three, replications=1000),
    Case("indicator, mean of records alike within weeks", mean_of_alike_weeks, replications=1000),
]
