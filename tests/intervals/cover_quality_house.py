"""How often do the intervals of quality_house hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.quality_house import quality_house
from tests.intervals.judge import Case

WEIGHTS = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
NEEDS = list("abcde")
COMMON = {"unit": "", "direction": "higher", "target": 1}
FEATURES = [
    {"name": "f", **COMMON, "serves": {"a": 9, "c": 3}},
    {"name": "g", **COMMON, "serves": {"b": 9, "c": 1}},
    {"name": "h", **COMMON, "serves": {"c": 9, "d": 3, "e": 9}},
]
RELATIONS = np.array([[9, 0, 0], [0, 9, 0], [3, 1, 9], [0, 0, 3], [0, 0, 9]])
TRUTH = WEIGHTS @ RELATIONS / (WEIGHTS @ RELATIONS).sum()


def share_of_first(rng, n):
    """Weights as shares of n answers, each with Wald's interval, so that they sum to 1."""
    shares = rng.multinomial(n, WEIGHTS) / n
    half = 1.959964 * np.sqrt(shares * (1 - shares) / n)
    limits = {"low": shares - half, "high": shares + half}
    weights = pd.DataFrame({"need": NEEDS, "estimate": shares, **limits})
    found = quality_house(FEATURES, weights=weights, rng=rng, draws=1000)
    row = found.table.set_index("feature").loc["f"]
    return row["low"], row["high"], TRUTH[0]


CASES = [
    Case(
        "house of quality, share of importance",
        share_of_first,
        said="approximate",
        replications=1000,
    )
]
