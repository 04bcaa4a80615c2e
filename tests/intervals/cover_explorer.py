"""How often do the explorer's intervals hold the long run of a service that is known?

``n`` is the number of weeks of a log of two sites; the truth is a log of 2,700 weeks of
the same service with the change carried out.  Each data set is played once for all cases.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache, partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from sqm.methods.explorer import explore
from sqm.service_model import learn
from tests.intervals.judge import Case

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_service import CALENDAR, make_log

OPEN = SimpleNamespace(
    open=True, wait_error=0.0, abandon_error=0.0, contacts_error=0.0, sentence=lambda: "open"
)
PER_DAY, AGENTS = (60, 90), (2, 3)
POINTS = {  # agents added, demand factor, measure, whether the change
    "mean wait as it is": (0, 1.0, "mean_wait_s", False),
    "mean wait with one agent more": (1, 1.0, "mean_wait_s", False),
    "mean wait with 10 % more demand": (0, 1.1, "mean_wait_s", False),
    "change of the mean wait with 10 % more demand": (0, 1.1, "mean_wait_s", True),
    "abandonment with one agent more": (1, 1.0, "abandoned", False),
}


@cache
def _long_run(more, demand):
    agents, per_day = tuple(n + more for n in AGENTS), tuple(n * demand for n in PER_DAY)
    logs = [make_log(seed, weeks=900, per_day=per_day, agents=agents)[0] for seed in (1, 2, 3)]
    log = pd.concat(logs)
    return {"mean_wait_s": log["wait_s"].mean(), "abandoned": log["abandoned"].mean()}


@lru_cache(maxsize=4096)
def _played(seed, weeks):
    log, staffing = make_log(seed, weeks=weeks, per_day=PER_DAY, agents=AGENTS)
    service = learn(log, staffing=staffing, calendar=CALENDAR)
    found = explore(
        service,
        gate=OPEN,
        limit_s=120,
        agents=(0, 1),
        service_factors=(1,),
        demand_factors=(1, 1.1),
        confidence=0.95,
        draws=60,
        rng=np.random.default_rng(seed),
    )
    return found.table.set_index(["agents_added", "demand_factor", "measure"])


def holds(name, seeds, _, n):
    more, demand, measure, change = POINTS[name]
    row = _played(next(seeds[n]), n).loc[(more, demand, measure)]
    truth = _long_run(more, demand)[measure]
    if change:
        return row["change_low"], row["change_high"], truth - _long_run(0, 1.0)[measure]
    return row["low"], row["high"], truth


CASES = [
    Case(
        f"explorer, {name}, weeks of the log",
        partial(holds, name, {16: count(10_000), 40: count(10_000)}),
        replications=300,
        sizes=(16, 40),
    )
    for name in POINTS
]
