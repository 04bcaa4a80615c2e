"""How often do the intervals of a promise hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Refusal
from sqm.methods.promise import sla
from tests.intervals.judge import Case

PROMISED = 5.0
LATE = float(stats.norm.sf(np.log(PROMISED / 2)))  # of lognormal times with median 2


def cases(rng, n, days):
    """Cases opened evenly over 30 days, looked at on the last."""
    followed = 30 * rng.random(n)
    return pd.DataFrame(
        {
            "resolution_d": np.minimum(days, followed),
            "resolution_d_open": days > followed,
        }
    )


def breach(rng, n):
    found = sla(cases(rng, n, 2 * np.exp(rng.normal(size=n))), promised_d=PROMISED)
    return found.low, found.high, LATE


def rare(rng, n):
    """Where nobody was followed for so long it is refused, and there is no interval to judge."""
    try:
        found = sla(cases(rng, n, 2 * np.exp(rng.normal(size=n))), promised_d=12)
    except Refusal:
        return rare(rng, n)
    return found.low, found.high, float(stats.norm.sf(np.log(6)))


def median(rng, n):
    found = sla(cases(rng, n, 2 * np.exp(rng.normal(size=n))), promised_d=PROMISED)
    return found.median_low_d, found.median_high_d, 2.0


def clustered(rng, n, size):
    """Half of the spread of log time lies between sites of ``size`` cases."""
    sites = n // size
    shared = np.repeat(rng.normal(size=sites), size)
    own = rng.normal(size=n)
    data = cases(rng, n, 2 * np.exp((shared + own) / 2**0.5))
    data["site"] = np.repeat(np.arange(sites), size).astype(str)
    found = sla(data, promised_d=PROMISED, clusters="site")
    return found.low, found.high, LATE


CASES = [
    Case("share in breach, open cases", breach),
    Case("share in breach, rare", rare),
    Case("median days, open cases", median),
    Case("share in breach, clusters of 5", partial(clustered, size=5)),
]
