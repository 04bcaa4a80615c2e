"""How often do the intervals of the mean cost of a case hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods.redress import mean_limits
from tests.intervals.judge import Case


def skewed(rng, n, paid):
    """Lognormal sums, of which a share is 0."""
    money = np.exp(rng.normal(size=n)) * (rng.random(n) < paid)
    _, low, high = mean_limits(money, None, 0.95, rng)
    return low, high, paid * np.exp(0.5)


def clustered(rng, n, size):
    """Customers of 5 cases whose sums are alike."""
    shared = np.repeat(rng.normal(size=n // size), size)
    money = np.exp((shared + rng.normal(size=n)) / 2**0.5)
    group = pd.DataFrame({"customer": np.repeat(np.arange(n // size), size)})
    _, low, high = mean_limits(money, group, 0.95, rng)
    return low, high, np.exp(0.5)


CASES = [
    Case("mean cost, lognormal", partial(skewed, paid=1.0), said="approximate", replications=1000),
    Case("mean cost, 4 in 10", partial(skewed, paid=0.4), said="approximate", replications=1000),
    Case("mean cost, clusters", partial(clustered, size=5), said="approximate", replications=1000),
]
