"""How often do the intervals of the staffing plan hold the truth?"""

from functools import partial

import numpy as np

from sqm.methods.staffing_plan import share_of_clusters
from tests.intervals.judge import Case


def of_days(level, spread, rng, n):
    """Share answered in time: days differ in number of contacts and in their own level."""
    came = rng.poisson(20 * rng.gamma(25, 1 / 25, n))
    own = rng.beta(level * spread, (1 - level) * spread, n)
    soon = rng.binomial(came, own)
    return *share_of_clusters(soon, came, np.arange(n), confidence=0.95)[1:], level


def of_kept_days(rng, n):
    """Share of days kept, five days of a week alike: a chance of 0.9 that differs by week."""
    chance = np.repeat(rng.beta(9, 1, n), 5)
    kept = (rng.random(5 * n) < chance).astype(float)
    week = np.repeat(np.arange(n), 5)
    return *share_of_clusters(kept, np.ones(5 * n), week, confidence=0.95)[1:], 0.9


CASES = [
    Case("level of an interval, days alike", partial(of_days, 0.8, 1e6)),
    Case("level of an interval, days that differ", partial(of_days, 0.85, 5.0)),
    Case("share of days kept, weeks that differ", of_kept_days),
]
