"""How often do the intervals of importance and performance hold the truth?"""

import numpy as np
import pandas as pd

from sqm.importance import relative_weights
from sqm.methods.priorities import importance_performance
from tests.intervals.judge import Case

ITEMS = list("abcde")
AMONG = np.full((5, 5), 0.3) + 0.7 * np.eye(5)
EFFECTS = np.array([0.6, 0.4, 0.3, 0.2, 0.1])
SPREAD = np.sqrt(EFFECTS @ AMONG @ EFFECTS + 1)
WEIGHTS = relative_weights(AMONG, AMONG @ EFFECTS / SPREAD)


def _placed(rng, n):
    """Five items that correlate 0.3, and satisfaction that rests on them with unit noise."""
    values = rng.normal(size=(n, 5)) @ np.linalg.cholesky(AMONG).T
    answers = pd.DataFrame(values, columns=ITEMS)
    answers["satisfaction"] = values @ EFFECTS + rng.normal(size=n)
    return importance_performance(
        answers, dimensions={"all": ITEMS}, points=(-9, 9), resamples=300, rng=rng
    )


def strongest_weight(rng, n):
    row = _placed(rng, n).table.loc[0]
    return row["importance_low"], row["importance_high"], WEIGHTS[0]


def weakest_weight(rng, n):
    row = _placed(rng, n).table.loc[4]
    return row["importance_low"], row["importance_high"], WEIGHTS[4]


def explained(rng, n):
    found = _placed(rng, n)
    return found.explained_low, found.explained_high, WEIGHTS.sum()


def performance(rng, n):
    row = _placed(rng, n).table.loc[0]
    return row["performance_low"], row["performance_high"], 0.0


CASES = [
    Case("importance of the strongest item", strongest_weight, "approximate", replications=500),
    Case("importance of the weakest item", weakest_weight, "approximate", replications=500),
    Case("share explained by all items", explained, "approximate", replications=500),
    Case("performance of an item", performance, replications=500),
]
