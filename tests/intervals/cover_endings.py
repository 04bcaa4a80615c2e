"""How often do the intervals of competing ends hold the truth?"""

from functools import partial

import numpy as np

from sqm import survival
from tests.intervals.judge import Case

RATES = np.array([0.08, 0.03])  # a day, of being resolved and withdrawn
OTHER = np.array([0.08, 0.06])
AT = 15.0


def truth(rates, kind):
    """The cumulative incidence of constant hazards."""
    return rates[kind] / rates.sum() * (1 - np.exp(-rates.sum() * AT))


def ended(rng, n, *, every, likely, kind, cluster=None):
    """Hazard of both ends, chance of the first; opened evenly over 60 days, looked at on the last.

    As `endings` estimates it.
    """
    days, followed = rng.exponential(size=n) / every, 60 * rng.random(n)
    end = np.where(days > followed, 0, np.where(rng.random(n) < likely, 1, 2))
    codes = np.arange(n) if cluster is None else cluster
    found = survival.aalen_johansen(np.minimum(days, followed), end, codes, kinds=2)
    return survival.ended(found, kind=kind + 1, time=AT)


def incidence(rng, n, kind):
    share = ended(rng, n, every=RATES.sum(), likely=RATES[0] / RATES.sum(), kind=kind)
    return *share.limits(0.95), truth(RATES, kind)


def clustered(rng, n, size):
    """The odds of how a case ends are shared by the cases of a customer."""
    likely = np.repeat(rng.beta(1, 1, size=n // size), size)
    customer = np.repeat(np.arange(n // size), size)
    share = ended(rng, n, every=0.1, likely=likely, kind=0, cluster=customer)
    return *share.limits(0.95), 0.5 * (1 - np.exp(-AT / 10))


def difference(rng, n):
    """In 2 of 5 cases withdrawing comes twice as often."""
    second = rng.binomial(n, 0.4)
    shares = [
        ended(rng, size, every=rates.sum(), likely=rates[0] / rates.sum(), kind=1)
        for size, rates in ((second, OTHER), (n - second, RATES))
    ]
    _, low, high = survival.difference(*shares, confidence=0.95)
    return low, high, truth(OTHER, 1) - truth(RATES, 1)


CASES = [
    Case("cumulative incidence of the common end", partial(incidence, kind=0)),
    Case("cumulative incidence of the rarer end", partial(incidence, kind=1)),
    Case("cumulative incidence, clusters of 5", partial(clustered, size=5)),
    Case("difference of cumulative incidence", difference),
]
