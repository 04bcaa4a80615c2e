"""How often do the intervals of counted cases hold the truth, where units and weeks differ?"""

import functools

import numpy as np
import pandas as pd

from sqm.methods.counted_cases import event_parts, event_share
from tests.intervals.judge import Case

CASES_EACH, BETWEEN_UNITS, BETWEEN_WEEKS = 400, 0.3, 0.2
PARTS = np.array([-2.0, -1.5, -2.5])


def _drawn(rng, units, weeks):
    """Sums of cases by unit, week and part; the units and weeks are a sample."""
    unit = rng.normal(0, BETWEEN_UNITS, (units, 1, 1))
    week = rng.normal(0, BETWEEN_WEEKS, (1, weeks, 1))
    chance = 1 / (1 + np.exp(-(PARTS + unit + week)))
    at = np.indices(chance.shape).reshape(3, -1)
    table = {"unit": at[0], "period": at[1], "part": np.array(["a", "b", "c"])[at[2]]}
    return pd.DataFrame(table).assign(n=CASES_EACH, events=rng.binomial(CASES_EACH, chance).ravel())


@functools.cache
def _truth():
    """Mean chance of each part over all the units and weeks that there might be."""
    rng = np.random.default_rng(1)
    score = rng.normal(0, np.hypot(BETWEEN_UNITS, BETWEEN_WEEKS), (1_000_000, 1))
    return (1 / (1 + np.exp(-(PARTS + score)))).mean(axis=0)


def units_and_weeks(rng, n):
    """A tenth of n units, and ten weeks."""
    found = event_share(_drawn(rng, n // 10, 10))
    return found.low, found.high, _truth().mean()


def share_of_a_part(rng, n):
    """The share of the events that lie in part b."""
    rows = event_parts(_drawn(rng, n // 10, 10)).table.set_index("part")
    return *rows.loc["b", ["low", "high"]], _truth()[1] / _truth().sum()


def rate_of_a_part(rng, n):
    """Events per case of part a."""
    rows = event_parts(_drawn(rng, n // 10, 10)).table.set_index("part")
    return *rows.loc["a", ["rate_low", "rate_high"]], _truth()[0]


def _rare(rng, units, where, cases):
    """The same with a part x, as likely an event as part a, in few of the units."""
    counts = _drawn(rng, units, 10)
    rows = counts[(counts["part"] == "a") & counts["unit"].isin(where)]
    rate = rows["events"] / rows["n"]
    rare = rows.assign(part="x", n=cases, events=rng.binomial(cases, rate))
    return pd.concat([counts, rare], ignore_index=True)


def rate_of_a_part_of_three_units(rng, n):
    rows = event_parts(_rare(rng, n // 10, range(3), CASES_EACH)).table.set_index("part")
    return *rows.loc["x", ["rate_low", "rate_high"]], _truth()[0]


def ranks_with_a_part_of_one_unit(rng, n):
    """Whether all ranks hold; x, of one unit, has fewer events than a and more than c."""
    units = n // 10
    cases = CASES_EACH * units * 5 // 6
    rows = event_parts(_rare(rng, units, [0], cases)).table.set_index("part").loc[list("baxc")]
    held = (rows["rank_low"] <= range(1, 5)) & (rows["rank_high"] >= range(1, 5))
    return 0.0, 1.0, 0.5 if held.all() else np.nan


CASES = [
    Case("counted share, units and weeks differ", units_and_weeks, "approximate"),
    Case("counted parts, share of the events", share_of_a_part, "conservative"),
    Case("counted parts, rate", rate_of_a_part, "approximate"),
    Case(
        "counted parts, rate of one in three units",
        rate_of_a_part_of_three_units,
        "conservative",
        sizes=(120,),
    ),
    Case(
        "counted parts, all ranks, one in one unit",
        ranks_with_a_part_of_one_unit,
        "conservative",
        sizes=(120,),
    ),
]
