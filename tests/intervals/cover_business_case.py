"""How often do the intervals of a business case hold the truth?

The saving is drawn about an estimate that is itself off the truth, as a rehearsal draws it.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np
from scipy import stats

from sqm.methods.business_case import (
    business_case,
    cash_flows,
    internal_rate,
    payback_years,
    present_value,
)
from sqm.scenario import Scenario
from tests.intervals.judge import Case

SAVING, ERROR, INVESTMENT, RATE = 40_000.0, 4_000.0, 100_000.0, 0.06
TRUE = np.array([-INVESTMENT, *[SAVING] * 5])
TRUTH = {
    "net_present_value": float(present_value(TRUE, RATE)),
    "payback": float(payback_years(TRUE)),
    "internal_rate_of_return": float(internal_rate(TRUE)),
}


def _case(saving, rng):
    n = len(saving)
    rehearsal = SimpleNamespace(
        scenarios=(Scenario("as is"), Scenario("better")),
        investment=np.stack([np.zeros(n), np.full(n, INVESTMENT)]),
        running_cost=np.zeros((2, n)),
        revenue=np.zeros((2, n)),
    )
    flows = cash_flows(
        rehearsal, np.stack([np.zeros(n), saving]), years=5, discount_rate=RATE, rng=rng
    )
    return business_case(rehearsal, flows, currency="EUR").table.set_index("quantity")


def of(quantity, rng, n):
    saving = SAVING + ERROR * (rng.normal() + rng.normal(size=n))
    row = _case(saving, rng).loc[quantity]
    return row["low"], row["high"], TRUTH[quantity]


def chance(rng, n):
    """Chance that it pays, given the number of draws: savings above 100,000 over the annuity."""
    row = _case(rng.normal(27_000, 6_000, n), rng).loc["chance_pays"]
    annuity = present_value(np.array([0.0, 1, 1, 1, 1, 1]), RATE)
    return row["low"], row["high"], stats.norm.sf(INVESTMENT / annuity, 27_000, 6_000)


CASES = [
    *[Case(f"business case: {name}, n draws", partial(of, name)) for name in TRUTH],
    Case("business case: chance that it pays, n draws", chance),
]
