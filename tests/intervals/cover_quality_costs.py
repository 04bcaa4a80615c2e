"""How often do the intervals of the costs of quality hold the truth?

Draws are made as a rehearsal makes them: about estimates that are themselves off the truth.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np

from sqm.methods.quality_costs import quality_costs, yearly_costs
from sqm.scenario import Scenario
from tests.intervals.judge import Case

COMPLAINTS, FALL, COST = 20.0, -4.0, 80.0
LINES = [
    {"name": "measured", "class": "external failure", "per": "complaint", "cost": "measured"},
    {"name": "court", "class": "external failure", "per": "complaint", "cost": 300, "share": 0.1},
]


def _played(rng, n):
    before = COMPLAINTS + rng.normal() + rng.normal(size=n)
    fall = FALL + rng.normal() + rng.normal(size=n)
    error = 0.05
    cost = COST * np.exp(error * (rng.normal() + rng.normal(size=n)))
    change = np.stack([np.zeros(n), fall])[..., None]
    return SimpleNamespace(
        scenarios=(Scenario("as is"), Scenario("better")),
        measures=("complaints_per_day",),
        level=before[:, None] + change,
        change=change,
        cost=cost,
        running_cost=np.zeros((2, n)),
        revenue=np.zeros((2, n)),
        open_days_per_year=300.0,
    )


def total(which, rng, n):
    rehearsal = _played(rng, n)
    yearly = yearly_costs(rehearsal, LINES, rng=rng)
    found = quality_costs(rehearsal, yearly, currency="EUR")
    a_day = {"level": COMPLAINTS, "change": FALL}[which]
    limits = {
        "level": (found.low, found.high),
        "change": (found.change_low, found.change_high),
    }
    return *limits[which], a_day * 300 * (COST + 30)


CASES = [
    Case("quality costs: total as it is, n draws", partial(total, "level")),
    Case("quality costs: change of the total, n draws", partial(total, "change")),
]
