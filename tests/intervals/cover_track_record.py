"""How often do the intervals of the track record hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from sqm.methods.track_record import _checked, _ratios, _rows, track_record
from tests.intervals.judge import Case

Z = stats.norm.ppf(0.975)
RATIO, BETWEEN = 0.8, 0.25


def _cycles(rng, n, measures=1):
    """Cycles that bring 0.8 of what was promised on average, some measured far better."""
    size = n * measures
    cycle = np.repeat(np.arange(n), measures)
    predicted = rng.uniform(-30, -10, size)
    true = (RATIO + BETWEEN * rng.standard_normal(n))[cycle] * predicted
    error = rng.choice([0.5, 2.0, 6.0], size)
    came = true + error * rng.standard_normal(size)
    names = np.tile([f"m{each}" for each in range(measures)], n)
    ends = {"predicted_low": predicted - 6.0, "predicted_high": predicted + 6.0}
    came_ends = {"realised_low": came - Z * error, "realised_high": came + Z * error}
    head = {"study": "a", "cycle": cycle, "measure": names, "unit": "s", "predicted": predicted}
    levels = {"predicted_confidence": 0.95, "confidence": 0.95}
    return pd.DataFrame({**head, **ends, "realised": came, **came_ends, **levels})


def ratio_of(rng, n, measures=1):
    table = _rows(_checked(_cycles(rng, n, measures)))
    found = _ratios(table, table["cycle"].astype(str), 0.95)
    return found["ratio_low"], found["ratio_high"], RATIO


def next_ratio(rng, n):
    """The range for another cycle, whose true ratio is drawn anew."""
    found = track_record(_cycles(rng, n)).recommended
    return found[0], found[2], float(np.clip(RATIO + BETWEEN * rng.standard_normal(), 0, 2))


TRUE = {}


def inside_of(rng, n, measures=1):
    """The share inside that such a team reaches in the long run."""
    if measures not in TRUE:
        many = _cycles(np.random.default_rng(99), 100_000, measures)
        held = many["realised"].between(many["predicted_low"], many["predicted_high"])
        TRUE[measures] = float(held.mean())
    found = track_record(_cycles(rng, n, measures))
    return found.inside_low, found.inside_high, TRUE[measures]


CASES = [
    Case("track record, ratio", ratio_of, said="conservative", sizes=(5, 20), replications=1500),
    Case(
        "track record, ratio, three measures a cycle",
        partial(ratio_of, measures=3),
        said="conservative",
        sizes=(5, 20),
        replications=1500,
    ),
    Case(
        "track record, ratio of another cycle",
        next_ratio,
        said="approximate",
        sizes=(6, 20),
        replications=400,
    ),
    Case("track record, share inside", inside_of, sizes=(20, 100), replications=400),
    Case(
        "track record, share inside, three measures",
        partial(inside_of, measures=3),
        sizes=(20, 100),
        replications=400,
    ),
]
