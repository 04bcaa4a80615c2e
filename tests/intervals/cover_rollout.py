"""How often do the smallest effects of ways of rolling out hold the truth?"""

from functools import partial

import numpy as np

from sqm.autocorrelation import (
    correlations_of,
    needed_ratio,
    power_of,
    variance_of_change,
    variance_of_mean,
)
from sqm.methods.rollout import rollout_power, stepped_wedge
from tests.intervals.cover_trial_length import OWN, SHARED, SITES, panel_of, wander
from tests.intervals.judge import Case

BETWEEN = 1.0  # variance of the sites' levels
STEPS, WEEKS = 3, 4


def draw(correlation, what, rng, n):
    level = np.sqrt(BETWEEN) * rng.normal(size=(SITES, 1))
    means = level + OWN * wander(rng, SITES, n, correlation)
    panel = panel_of(means + SHARED * wander(rng, 1, n, correlation))
    plan = stepped_wedge(panel, steps=STEPS, first_day="2027-01-04", rng=rng)
    found = rollout_power(panel, plan.table, effect=0.8, measure_name="wait", draws=300, rng=rng)
    if what == "all at once":
        row = found.table.iloc[2]
        return row["low"], row["high"], all_at_once(correlation)
    step = np.arange(SITES) * STEPS // SITES + 1
    changed = (step[:, None] <= np.repeat(np.arange(STEPS + 1), WEEKS)).astype(float)
    apart = changed - changed.mean(axis=0)
    covariance = BETWEEN + OWN**2 * correlations_of(np.arange(apart.shape[1]), correlation)
    error = 1 / np.sqrt((np.linalg.inv(covariance) * (apart.T @ apart)).sum())
    if what == "power":
        truth = power_of(0.8 / error, SITES - 2.0, confidence=0.95)
        return found.seen_low, found.seen_high, float(truth)
    ratio = needed_ratio(np.array([SITES - 2.0]), power=0.8, confidence=0.95)[0]
    return found.low, found.high, float(ratio * error)


def all_at_once(correlation):
    after = STEPS * WEEKS
    variance = (OWN**2 / SITES + SHARED**2) * variance_of_change(WEEKS, after, correlation)
    worth = 1 / variance_of_mean(WEEKS, correlation) + 1 / variance_of_mean(after, correlation)
    degrees = np.array([max(worth - 2, 1.0)])
    ratio = needed_ratio(degrees, power=0.8, confidence=0.95)[0]
    return float(ratio * np.sqrt(variance))


CASES = [
    Case(f"rollout: {what}, correlation {r}", partial(draw, r, what), replications=200,
         sizes=(39, 104))
    for what in ("smallest effect", "power", "all at once")
    for r in (0.0, 0.5)
]  # fmt: skip
