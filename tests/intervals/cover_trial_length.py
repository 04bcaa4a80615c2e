"""How often do the weeks and the smallest effect of a planned trial hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.autocorrelation import needed_ratio, persistence, variance_of_change, variance_of_mean
from sqm.methods.trial_length import LONGEST, trial_length
from tests.intervals.judge import Case

SITES, TREATED, CONTROL = 12, 4, 8
SHARED, OWN = 0.5, 1.0  # standard deviations of what sites share, and of a site's own week
EFFECT = 0.75


def wander(rng, series, weeks, correlation):
    """First-order autoregressions of variance 1."""
    chance = rng.normal(size=(series, weeks))
    found = np.empty((series, weeks))
    found[:, 0] = chance[:, 0]
    for week in range(1, weeks):
        found[:, week] = (
            correlation * found[:, week - 1] + np.sqrt(1 - correlation**2) * chance[:, week]
        )
    return found


def panel_of(means):
    """Sites by weeks as a panel."""
    sites, weeks = means.shape
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{i:02d}" for i in range(sites)], weeks),
            "period": np.tile(pd.date_range("2024-01-01", periods=weeks, freq="7D"), sites),
            "n": 100,
            "mean": means.ravel(),
        }
    )


def panel(rng, weeks, correlation):
    own = OWN * wander(rng, SITES, weeks, correlation)
    return panel_of(own + SHARED * wander(rng, 1, weeks, correlation) + rng.normal(size=(SITES, 1)))


def variances(before, weeks, correlation):
    """Of the difference of changes, and of the treated sites' change alone."""
    change = variance_of_change(before, weeks, correlation)
    alone = (OWN**2 / TREATED + SHARED**2) * change
    return OWN**2 * change * (1 / TREATED + 1 / CONTROL), alone


def true_weeks(before, correlation, control):
    weeks = np.arange(1, LONGEST + 1)
    against, alone = variances(before, weeks, correlation)
    degrees = np.full(LONGEST, TREATED + CONTROL - 2.0)
    if not control:
        worth = 1 / variance_of_mean(before, correlation) + 1 / variance_of_mean(weeks, correlation)
        degrees, against = np.maximum(worth - 2, 1), alone
    enough = EFFECT / np.sqrt(against) >= needed_ratio(degrees, power=0.8, confidence=0.95)
    return float(weeks[enough][0])


def weeks_needed(correlation, control, rng, n):
    found = trial_length(
        panel(rng, n, correlation), effect=EFFECT, treated=TREATED, control=control,
        measure_name="wait", draws=300, rng=rng,
    )  # fmt: skip
    low = found.low if np.isfinite(found.low) else LONGEST + 1  # beyond what is looked at
    high = found.high if np.isfinite(found.high) else np.inf
    return low, high, true_weeks(n, correlation, control)


def smallest(correlation, rng, n):
    found = trial_length(
        panel(rng, n, correlation), effect=EFFECT, treated=TREATED, control=CONTROL,
        measure_name="wait", draws=300, rng=rng,
    )  # fmt: skip
    degrees = np.array([TREATED + CONTROL - 2.0])
    ratio = needed_ratio(degrees, power=0.8, confidence=0.95)[0]
    truth = ratio * np.sqrt(variances(n, 26, correlation)[0])
    return found.smallest_low, found.smallest_high, float(truth)


def own_correlation(correlation, rng, n):
    found = persistence(wander(rng, 1, n, correlation), draws=300, rng=rng).correlations
    return *np.quantile(found, [0.025, 0.975]), correlation


CASES = [
    *(
        Case(
            f"trial_length: smallest effect, correlation {r}",
            partial(smallest, r),
            replications=200,
            sizes=(39, 104),
        )
        for r in (0.0, 0.5)
    ),
    *(
        Case(
            f"trial_length: weeks {name}, correlation {r} (whole weeks)",
            partial(weeks_needed, r, control),
            said="conservative",
            replications=200,
            sizes=(39, 104),
        )
        for name, control in (("against control", CONTROL), ("before and after", 0))
        for r in (0.0, 0.5)
    ),
    *(
        Case(
            f"trial_length: correlation of one series, {r}",
            partial(own_correlation, r),
            replications=400,
            sizes=(39, 104),
        )
        for r in (0.0, 0.3, 0.6)
    ),
]
