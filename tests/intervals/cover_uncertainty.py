"""Coverage of the shares of the uncertainty; n is the number of draws."""

import numpy as np

from sqm import rehearsal as rehearsals
from sqm.methods import uncertainty
from sqm.rehearsal import Scenario
from tests.intervals.judge import Case

HORIZON = 4.0
# Variances: two inputs, what no input carries, and of a week days and chance.
KNOWN, REST, DAYS, CHANCE = (2.0, 1.0), 1.0, 8.0, 4.0
UNKNOWN = sum(KNOWN) + REST
TOTAL = UNKNOWN + (DAYS + CHANCE) / HORIZON


class Made:
    """As much of a rehearsal as the shares are computed from."""

    scenarios = (Scenario("as is"), Scenario("more"))
    measures = ("complaints_per_day",)
    input_names = ("arrivals", "complaints: a minute of wait")
    scores = ()
    plug_in = False
    weeks = 2

    def __init__(self, rng, n, skewed):
        self.inputs = rng.normal(size=(n, 2))
        rest = rng.exponential(size=n) - 1 if skewed else rng.normal(size=n)
        long_run = self.inputs @ np.sqrt(KNOWN) + REST**0.5 * rest
        days = DAYS**0.5 * rng.normal(size=(n, self.weeks))
        both = []
        for _ in range(2):
            weeks = long_run[:, None] + days + CHANCE**0.5 * rng.normal(size=(n, self.weeks))
            level = np.stack([np.full((n, self.weeks), 50.0), 60 + weeks])
            both.append(np.stack([level, np.ones_like(level)], axis=-1)[:, :, :, None, :])
        found = rehearsals._told_apart(both[0], both[1][:, : n // 2], self.inputs)
        self.level, self.change, self.spread = found["level"], found["change"], found["spread"]


def share(source, part, truth, *, skewed=False):
    def draw(rng, n):
        found = uncertainty.uncertainty(
            Made(rng, n, skewed),
            horizon_weeks=HORIZON,
            measures=["complaints_per_day"],
            resamples=200,
            rng=rng,
        )
        table = found.table
        of = table[table["source"].eq(source) & table["part"].eq(part)].iloc[-1]
        return of["low"], of["high"], truth

    return draw


def _case(name, source, part, truth, skewed, said):
    return Case(
        name, share(source, part, truth, skewed=skewed), said, replications=400, sizes=(400, 1000)
    )


CASES = [
    _case("share not known", "not known", "", UNKNOWN / TOTAL, False, "exact"),
    _case("share not known, skewed", "not known", "", UNKNOWN / TOTAL, True, "exact"),
    _case("share of days", "days", "", DAYS / HORIZON / TOTAL, False, "exact"),
    _case("share of chance", "chance", "", CHANCE / HORIZON / TOTAL, False, "exact"),
    _case("part of the queue", "not known", "queue", KNOWN[0] / TOTAL, False, "approximate"),
]
