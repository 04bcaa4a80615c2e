"""How often do the effects on a score, and its check on answers held out, hold the truth?"""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd

from sqm.methods.experience import _foretold, experience, scores_held_out
from sqm.regression import effect, fit_outcome
from tests.intervals.judge import Case

AGENTS = 60
SETTINGS = {"drivers": ["wait_s", "ending"], "per": {"wait_s": 60}}
SETTINGS |= {"reference": {"ending": "resolved"}}


def world(rng, n, agents):
    """Answers from 1 to 5; agents differ."""
    agent = rng.integers(0, agents, n)
    wait = rng.exponential(300, n)
    ending = np.where(rng.random(n) < 0.3, "unresolved", "resolved")
    eta = -0.06 * wait / 60 - 0.9 * (ending == "unresolved") + rng.normal(0, 0.25, agents)[agent]
    score = 1 + np.digitize(eta + rng.logistic(size=n), [-3.5, -2, -0.5, 1])
    return pd.DataFrame(
        {
            "satisfaction": score,
            "wait_s": wait,
            "ending": ending,
            "agent": pd.Series(agent).astype("str"),
            "answered": pd.date_range("2025-01-01", periods=n, freq="min"),
        }
    )


def fitted(answers):
    return fit_outcome(answers, outcome="satisfaction", kind="ordered", fixed="", **SETTINGS)


@cache
def large():
    """A world of very many agents, and what the same model finds in it."""
    rows = world(np.random.default_rng(99), 200_000, 10_000)
    return rows, fitted(rows).b


def moves(name, term, rng, n):
    """The effect on the answers there are."""
    rows = world(rng, n, AGENTS)
    check = checked(rows, rng)
    found = experience(rows, check=check, **SETTINGS)
    fit = fitted(rows)
    place = [each.name for each in fit.terms].index(term)
    truth = effect(replace(fit, b=large()[1]), place)[0]
    return getattr(found, f"{name}_low"), getattr(found, f"{name}_high"), truth


def mean(rng, n):
    rows = world(rng, n, AGENTS)
    found = experience(rows, check=checked(rows, rng), **SETTINGS)
    return found.mean_low, found.mean_high, float(large()[0]["satisfaction"].mean())


def checked(rows, rng):
    return scores_held_out(rows, levels_off_of="", rng=rng, **SETTINGS)


def judged(name, rng, n):
    """What the model of the earlier answers is worth on any answers."""
    rows = world(rng, n, AGENTS)
    found = checked(rows, rng)
    fit = fitted(rows[rows["answered"].rank(pct=True) <= 0.7])
    given, expected, crps, without, _ = _foretold(fit, large()[0].iloc[:40_000])
    truth = {
        "skill": 1 - crps.mean() / without.mean(),
        "error": (given - expected).mean(),
        "slope": np.polyfit(expected, given, 1)[0],
    }[name]
    return getattr(found, f"{name}_low"), getattr(found, f"{name}_high"), float(truth)


CASES = [
    *(
        Case(
            f"experience: effect of {term}, {AGENTS} agents",
            partial(moves, name, term),
            replications=800,
            sizes=(600, 2400),
        )
        for name, term in (("wait", "wait_s"), ("unresolved", "ending=unresolved"))
    ),
    Case("experience: mean score", mean, replications=500, sizes=(600, 2400)),
    *(
        Case(
            f"experience: {name} on answers held out",
            partial(judged, name),
            replications=150,
            sizes=(600, 2400),
        )
        for name in ("skill", "error", "slope")
    ),
]
