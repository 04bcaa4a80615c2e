"""Do the intervals of a calibration hold what was put into a small made-up service?

``n`` is the number of days of the log.  Site-days vary independently, so weeks are as good as any
block; a log of half as many days has its own cases.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from sqm.methods import calibration as room
from sqm.service_model import learn
from tests.intervals.judge import Case

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_service import CALENDAR, make_log

REPLICATIONS = 400
CV, PATIENCE_S, BILL_S = 0.15, 600.0, 200.0
QUANTITIES = {  # quantity and group: truth
    ("variation of a site's day beyond Poisson (coefficient)", "all"): CV,
    ("contacts a day", "N1"): 60.0,
    ("service time, mean, by site", "N1"): 301.0,
    ("service time, mean, by reason", "bill"): BILL_S + 1,
    ("service time, median, by reason", "bill"): BILL_S * np.log(2) + 1,
    ("resolved, share of served", "bill"): 0.7,
    ("patience, median", "all"): PATIENCE_S * np.log(2),
    ("patience, Weibull shape", "all"): 1.0,
    ("would still wait after 5 min if nobody answered", "all"): np.exp(-0.5),
}


@lru_cache(maxsize=8)
def _found(seed: int, days: int):
    log, staffing = make_log(50_000 + seed, weeks=days // 5, cv=CV, patience=PATIENCE_S)
    service = learn(log, staffing=staffing, calendar=CALENDAR)
    drawn = service.parameters(draws=200, rng=np.random.default_rng(seed))
    # what `calibrate` puts into its table, without the comparisons that take most of its time
    rows = [each.row(0.95) for each in room._quantities(service, service.best(), drawn)]
    rows += [*room._at_once(service, 0.95), room._day_variation(service, 0.95)[0]]
    return pd.DataFrame(rows).set_index(["quantity", "group"])[["low", "high"]]


def _draw(place: tuple[str, str], truth: float) -> Callable:
    turn = {}

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        row = _found(next(turn.setdefault(n, count())), n).loc[place]
        return float(row["low"]), float(row["high"]), truth

    return draw


CASES = [
    Case(
        f"calibration, {quantity}, {group} (n: days)",
        _draw((quantity, group), truth),
        replications=REPLICATIONS,
        sizes=(80, 160),
    )
    for (quantity, group), truth in QUANTITIES.items()
]
