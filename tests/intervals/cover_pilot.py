"""How often do the intervals of a pilot's value hold the truth, given the number of draws?"""

from functools import partial
from types import SimpleNamespace

import numpy as np
from scipy import stats

from sqm.methods.pilot import pilot_value
from sqm.scenario import Scenario
from tests.intervals.judge import Case

OPTIONS = tuple(map(Scenario, ("as is", "new")))
ERROR = 0.05  # of a week of the pilot, its two halves together


def _loss(mean, sd):
    z = abs(mean) / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


def shown(mean, weeks, rng, n):
    """A change of resolution N(0, 0.05) that carries 80 % of the spread of the benefit."""
    true = rng.normal(size=n)
    benefit = np.stack([np.zeros(n), mean + 0.8 * true + 0.6 * rng.normal(size=n)])
    change = np.zeros((2, n, 3))
    change[1, :, 0] = 0.05 * true
    played = SimpleNamespace(
        scenarios=OPTIONS,
        measures=("mean_wait_s", "contacts_per_day", "abandoned_per_day"),
        change=change,
        level=np.broadcast_to([1.0, 100.0, 0.0], (2, n, 3)),
        week_sd=np.full((2, 3), ERROR / 2),
        open_days_per_year=300.0,
    )
    found = pilot_value(
        played, benefit, weeks=[weeks], share=0.5, years=2, currency="EUR",
        measures=["mean_wait_s"], rng=rng,
    )  # fmt: skip
    spread = 0.8 * np.sqrt(weeks / (weeks + 1))
    return found.low, found.high, _loss(mean, spread)


CASES = [
    Case(
        f"pilot: value of {weeks} weeks, mean {mean:g} sd",
        partial(shown, mean, weeks),
        "approximate",
        replications=500,
    )
    for mean, weeks in [(0.5, 8), (0.5, 2), (1.0, 8)]
]
