"""How often do the intervals of a choice hold the truth, given the number of draws?"""

from functools import partial
from types import SimpleNamespace

import numpy as np
from scipy import stats

from sqm.methods.choice import best_option
from sqm.scenario import Scenario
from tests.intervals.judge import Case

OPTIONS = tuple(map(Scenario, ("as is", "new")))


def _loss(mean, sd):
    z = abs(mean) / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


def perfect(mean, rng, n):
    """Nothing against N(mean, 1)."""
    benefit = np.stack([np.zeros(n), rng.normal(mean, 1, n)])
    found = best_option(SimpleNamespace(scenarios=OPTIONS), benefit, currency="EUR")
    return found.perfect_low, found.perfect_high, _loss(mean, 1)


CASES = [
    *[
        Case(
            f"choice: perfect information, mean {mean:g} sd",
            partial(perfect, mean),
            "conservative",
            replications=1000,
        )
        for mean in (0.0, 0.5, 1.0, 2.0)
    ],
]
