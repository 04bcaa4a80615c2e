"""How often do the rows of the evidence ladder hold the truth?

The designs on series (interrupted, forecast, synthetic control) have files of their own; here
stand the designs on records, what comes back by itself, and difference in differences.  n is the
number of records a week over all sites.
"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.panel_change import difference, less_what_comes_back
from sqm.record_change import Changed, adjusted, before_and_after, stratified, weighted
from tests.intervals.judge import Case

CHANGED = ["S00", "S01", "S02", "S03"]
BEFORE, AFTER, STEP = 20, 8, 0.3
FIRST = pd.Timestamp("2025-01-06")
DAY = f"{FIRST + pd.Timedelta(weeks=BEFORE):%Y-%m-%d}"


def _wander(rng, sites, weeks, r, sd):
    """Weeks of standard deviation sd whose neighbours correlate r."""
    e = rng.normal(0, sd, (sites, weeks))
    for week in range(1, weeks):
        e[:, week] = r * e[:, week - 1] + (1 - r**2) ** 0.5 * e[:, week]
    return e


def _records(rng, n, sites, drift):
    """Records of changed sites: mix moves by 0.2, its effect is 1, sites react differently."""
    weeks = BEFORE + AFTER
    size = max(n // sites, 4)
    site, week = (each.ravel() for each in np.indices((sites, weeks * size)))
    week = week // size
    after = week >= BEFORE
    chat = rng.random(len(site)) < np.where(after, 0.5, 0.3)
    own = rng.normal(0, drift, sites)[site] * after
    value = chat + STEP * after + own + rng.normal(0, 1, len(site))
    value += _wander(rng, sites, weeks, 0.5, 0.1)[site, week] + 0.2 * site
    rows = pd.DataFrame(
        {
            "site": np.array([f"S{each:02d}" for each in range(sites)])[site],
            "period": FIRST + pd.to_timedelta(7 * week, unit="D"),
            "after": after,
            "channel": np.where(chat, "chat", "call"),
            "value": value,
        }
    )
    return Changed(rows, tuple(sorted(rows["site"].unique())), 0)


def of_records(design, sites, rng, n):
    """The effect on the average record after; the plain difference holds the mix as well."""
    changed = _records(rng, n, sites, 0.1)
    if design is before_and_after:
        found, truth = design(changed, confidence=0.95), STEP + 0.2
    elif design is stratified:
        found, truth = design(changed, strata=["channel"], confidence=0.95), STEP
    else:
        found, truth = design(changed, mix=["channel"], confidence=0.95), STEP
    return found.low, found.high, truth


def _panel(rng, n, sites, lasting, common, step=0.0, changed=4):
    weeks = BEFORE + AFTER
    mean = rng.normal(0, lasting, (sites, 1)) + _wander(rng, sites, weeks, 0.5, 0.2)
    mean = mean + rng.normal(0, 1 / np.sqrt(n / sites), (sites, weeks))
    mean = mean + common * rng.normal(0, 1, weeks)
    mean[:changed, BEFORE:] += step
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{site:02d}" for site in range(sites)], weeks),
            "period": np.tile(pd.date_range(FIRST, periods=weeks, freq="7D"), sites),
            "n": n / sites,
            "mean": mean.ravel(),
        }
    )


def of_difference(sites, changed, rng, n):
    panel = _panel(rng, n, sites, 0.3, 0.5, step=STEP, changed=changed)
    found = difference(panel, treated=CHANGED[:changed], change_on=DAY, confidence=0.95, rng=rng)
    return found.low, found.high, STEP


def of_the_worst(design, lasting, rng, n):
    """The four worst of twelve by their weeks before; nothing was changed.

    Where the design is difference in differences, what comes back is taken off it too.
    """
    panel = _panel(rng, n, 12, lasting, 0.3 * (design is difference))
    worst = panel[panel["period"] < DAY].groupby("site")["mean"].mean().nsmallest(4).index
    more = {"picked_worst": True} if design is difference else {}
    found = design(panel, treated=list(worst), change_on=DAY, confidence=0.95, rng=rng, **more)
    return found.low, found.high, 0.0


CASES = [
    *[
        Case(f"{design.__name__}, records of {sites} sites", partial(of_records, design, sites),
             said, replications=400)
        for design, said in (
            (before_and_after, "exact"),
            (stratified, "conservative"),
            (adjusted, "conservative"),
            (weighted, "conservative"),
        )
        for sites in (4, 10)
    ],
    Case("difference in differences, 4 of 12 sites", partial(of_difference, 12, 4),
         replications=400),
    Case("difference in differences, 1 of 12 sites", partial(of_difference, 12, 1),
         replications=400),
    *[
        Case(f"less what comes back by itself, lasting sd {lasting}",
             partial(of_the_worst, less_what_comes_back, lasting), replications=400)
        for lasting in (0.05, 0.3)
    ],
    Case("difference in differences, less what comes back", partial(of_the_worst, difference, 0.1),
         "conservative", replications=300),
]  # fmt: skip
