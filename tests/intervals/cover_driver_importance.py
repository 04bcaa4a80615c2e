"""How often do the intervals of the drivers' shares and ranks hold the truth?"""

from functools import cache, partial

import numpy as np
import pandas as pd
from scipy.special import expit

from sqm.methods import driver_importance as room
from sqm.regression import fit_outcome
from tests.intervals.judge import Case

GROUPS = 50
KINDS = {"binary": {"outcome": "yes"}, "count": {"outcome": "letters", "kind": "count"}}
DRIVERS = ["a", "b", "c", "level"]
UNEVEN, TIED = (0.8, 0.4, 0.1), (0.5, 0.5, 0.5)  # effects of a, b and c


def world(rng, n, groups, weights):
    group = rng.integers(0, groups, n)
    numbers = 0.5 * rng.normal(size=(n, 1)) + 0.87 * rng.normal(size=(n, 3))
    level = rng.choice(["low", "mid", "high"], n)
    eta = numbers @ np.array(weights) + 0.7 * (level == "high")
    eta = eta + rng.normal(0, 0.3, groups)[group]
    records = pd.DataFrame(numbers, columns=list("abc"))
    return records.assign(
        level=level,
        group=pd.Series(group).astype("str"),
        yes=rng.random(n) < expit(eta - 0.5),
        letters=rng.poisson(np.exp(0.5 * eta)),
    )


def shares(records, kind, rng):
    fit = fit_outcome(records, drivers=DRIVERS, fixed="", cluster="group", **KINDS[kind])
    sample = room._drawn(fit, rng)
    whole, parts, _ = room._exact(sample)
    return whole / whole.sum(), room._influence(whole, parts, sample.members), sample


@cache
def truth(kind, weights):
    """Mean of twenty samples as large as may be, each of very many groups."""
    rng = np.random.default_rng(99)
    each = [shares(world(rng, 20_000, 4000, weights), kind, rng)[0] for _ in range(20)]
    return np.mean(each, axis=0)


def share(kind, place, rng, n):
    estimate, sums, sample = shares(world(rng, n, GROUPS, UNEVEN), kind, rng)
    low, high = room._limits(estimate, sums, 0.95, *room._near_nothing(sample))
    return low[place], high[place], truth(kind, UNEVEN)[place]


def rank(kind, weights, place, true, rng, n):
    estimate, sums, _ = shares(world(rng, n, GROUPS, weights), kind, rng)
    found = room._ranks(estimate, sums, 0.95, 200, rng)
    return found["rank_low"][place], found["rank_high"][place], true


CASES = [
    Case(f"share of {DRIVERS[j]}, {kind}", partial(share, kind, j), said, replications=400)
    for kind in KINDS
    for j, said in ((0, "exact"), (1, "exact"), (2, "approximate"), (3, "exact"))
]
CASES += [
    Case(f"rank, {name}", partial(rank, "count", *given), "conservative", replications=400)
    for name, given in {
        "settled order": (UNEVEN, 0, 1),
        "three that matter alike, the first": (TIED, 0, 1),
        "three that matter alike, the third": (TIED, 2, 3),
    }.items()
]
CASES = [Case(c.name, c.draw, c.said, replications=400, sizes=(400, 2000)) for c in CASES]
