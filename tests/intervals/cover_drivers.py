"""How often do the intervals of the drivers' effects hold the truth, of each kind of outcome?"""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd
from scipy.special import expit

from sqm.methods.drivers import drivers_of
from sqm.regression import effect, fit_outcome
from tests.intervals.judge import Case

GROUPS = 40
SETTINGS = {"drivers": ["x", "level"], "fixed": "", "cluster": "group", "reference": {"level": "a"}}
KINDS = {
    "binary": {"outcome": "yes"},
    "ordered": {"outcome": "mark", "kind": "ordered"},
    "count": {"outcome": "letters", "kind": "count", "exposure": "days"},
    "time": {"outcome": "age_d", "kind": "time", "running": "age_d_open", "horizon": 8.0},
}


def world(rng, n, groups):
    """Groups that differ in the outcome and in x, so that rows of one group are alike twice."""
    group = rng.integers(0, groups, n)
    x = 0.6 * rng.normal(size=groups)[group] + 0.8 * rng.normal(size=n)
    level = rng.choice(list("ab"), n)
    eta = 0.5 * x + 0.5 * (level == "b") + rng.normal(0, 0.3, groups)[group]
    days, watched = rng.uniform(0.5, 3, n), rng.uniform(1, 40, n)
    ends = 15 * rng.exponential(size=n) * np.exp(-eta)
    return pd.DataFrame(
        {
            "x": x,
            "level": level,
            "group": pd.Series(group).astype("str"),
            "yes": rng.random(n) < expit(eta - 1),
            "mark": np.digitize(eta + rng.logistic(size=n), [-1.5, 0, 1]),
            "days": days,
            "letters": rng.poisson(days * np.exp(0.7 * eta - 0.5) * rng.gamma(2, 0.5, n)),
            "age_d": np.ceil(np.minimum(ends, watched)),
            "age_d_open": ends > watched,
        }
    )


@cache
def truth(kind):
    """What the same model finds in a world of very many groups."""
    return fit_outcome(world(np.random.default_rng(99), 400_000, 8000), **SETTINGS, **KINDS[kind]).b


def effects(kind, term, ratio, rng, n):
    """The effect on the records there are, or the ratio."""
    fit = fit_outcome(world(rng, n, GROUPS), **SETTINGS, **KINDS[kind])
    row = drivers_of(fit).table.set_index("term").loc[term]
    place = [each.name for each in fit.terms].index(term)
    if ratio:
        return row["odds_low"], row["odds_high"], float(np.exp(truth(kind)[place]))
    return row["low"], row["high"], effect(replace(fit, b=truth(kind)), place)[0]


CASES = [
    Case(
        f"{'ratio' if ratio else 'effect'} of {term}, {kind}, {GROUPS} groups",
        partial(effects, kind, term, ratio),
        replications=600,
        sizes=(400, 2000),
    )
    for kind in KINDS
    for term, ratio in (("x", False), ("level=b", False), ("x", True))
]
