"""How often do the intervals of gaps and of their reliability hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.gaps import gap_gate, servqual_gaps
from tests.intervals.judge import Case

ITEMS = [f"p{i}" for i in range(4)]
PAIRS = {f"p{i}": f"e{i}" for i in range(4)}


def _answers(rng, n):
    """Scores of unit true variance that correlate 0.5, four items each with unit error."""
    felt = rng.normal(size=(n, 1))
    hoped = 0.5 * felt + 0.75**0.5 * rng.normal(size=(n, 1))
    seen = felt + rng.normal(size=(n, 4))
    return pd.DataFrame(
        np.hstack([seen, hoped + 1 + rng.normal(size=(n, 4))]), columns=[*ITEMS, *PAIRS.values()]
    )


def mean_gap(rng, n):
    found = servqual_gaps(
        _answers(rng, n), dimensions={"d": ITEMS}, expectations=PAIRS, resamples=10, rng=rng
    )
    return found.low, found.high, -1.0


def reliability_of_the_gap(rng, n):
    """True variance 1 + 1 - 2 * 0.5, error 2 / 4: 1 / 1.5."""
    found = gap_gate(
        _answers(rng, n), dimensions={"d": ITEMS}, expectations=PAIRS, resamples=300, rng=rng
    )
    row = found.table.loc[0]
    return row["low"], row["high"], 2 / 3


CASES = [
    Case("mean gap, Student", mean_gap),
    Case(
        "reliability of the gap, bootstrap",
        reliability_of_the_gap,
        said="approximate",
        replications=500,
    ),
]
