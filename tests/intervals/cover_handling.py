"""How often do the intervals of handling times hold the truth?"""

from functools import partial

import numpy as np
from scipy import stats

from sqm import survival
from tests.intervals.judge import Case

PROMISED = 5.0
MEDIANS = (2.0, 3.0)
KEPT = [float(stats.norm.cdf(np.log(PROMISED / median))) for median in MEDIANS]


def difference(rng, n, share):
    """Two sites, opened evenly over 30 days and looked at on the last."""
    slow = rng.random(n) < share
    return _limits(rng, slow, rng.normal(size=n), None)


def clustered(rng, n, size):
    """Half of the spread of log time lies between customers, who may have cases at both sites."""
    shared = np.repeat(rng.normal(size=n // size), size)
    customer = np.repeat(np.arange(n // size), size)
    log_time = (shared + rng.normal(size=n)) / 2**0.5
    return _limits(rng, rng.random(n) < 0.5, log_time, customer)


def _limits(rng, slow, log_time, customer):
    """As `handling_times` does for the levels of a column."""
    days = np.where(slow, MEDIANS[1], MEDIANS[0]) * np.exp(log_time)
    followed = 30 * rng.random(len(days))
    times, still = np.minimum(days, followed), days > followed
    shares = []
    for part in (slow, ~slow):
        codes = np.arange(part.sum()) if customer is None else customer[part]
        curve = survival.kaplan_meier(times[part], still[part], codes)
        cluster = None if customer is None else codes
        shares.append(survival.closed_within(curve, PROMISED, cluster=cluster))
    _, low, high = survival.difference(*shares, confidence=0.95)
    return low, high, KEPT[1] - KEPT[0]


CASES = [
    Case("difference within the promise, halves", partial(difference, share=0.5)),
    Case("difference within the promise, one in five", partial(difference, share=0.2)),
    Case("difference within the promise, clusters of 5", partial(clustered, size=5)),
]
