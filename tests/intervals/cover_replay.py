"""How often do the intervals of replay hold the truth?"""

from functools import cache, partial

import numpy as np
import pandas as pd
from scipy import stats

from sqm.methods.replay import cheapest_rules, garwood, replay
from tests.intervals.judge import Case

LIMIT, SHIFT, NOTICED = 2.5, 1.0, 13
BEYOND = stats.norm.sf(LIMIT) + stats.norm.cdf(-LIMIT)
BEYOND_SHIFTED = stats.norm.sf(LIMIT - SHIFT) + stats.norm.cdf(-LIMIT - SHIFT)
YEAR = 365.25 / 7


def counted(rng, n):
    """False alarms in n periods, 0.03 a period."""
    low, high = garwood(rng.poisson(0.03 * n), confidence=0.95)
    return low, high, 0.03 * n


def replayed(alike, rng, n):
    """Three steady series of n weeks that move together, limits of 2."""
    z = alike**0.5 * rng.normal(size=n) + (1 - alike) ** 0.5 * rng.normal(size=(3, n))
    charts = pd.DataFrame(
        {
            "series": np.repeat(["a", "b", "c"], n),
            "period": np.tile(pd.date_range("2015-01-05", periods=n, freq="7D"), 3),
            "z": z.ravel(),
        }
    ).assign(baseline=False, mature=True)
    found = replay(charts, rules="beyond 2", rivals=(), rng=rng)
    chance = 2 * stats.norm.sf(2)
    begun = chance + (n - 1) * chance * (1 - chance)
    return found.low, found.high, begun / n * YEAR


def _wandering(rng, shape, r):
    z = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        z[..., t] = r * z[..., t - 1] + (1 - r**2) ** 0.5 * z[..., t]
    return z


@cache
def _truth(quantity, r):
    if r == 0 and quantity == "found":
        return 1 - (1 - BEYOND_SHIFTED) ** NOTICED
    if r == 0:
        return (BEYOND + 51 * BEYOND * (1 - BEYOND)) * YEAR / 52
    z = _wandering(np.random.default_rng(0), (200_000, 52), r)
    if quantity == "found":
        return (np.abs(z[:, :NOTICED] + SHIFT) > LIMIT).any(axis=1).mean()
    on = np.abs(z) > LIMIT
    return (on[:, 0] + (on[:, 1:] & ~on[:, :-1]).sum(axis=1)).mean() * YEAR / 52


def planted(quantity, r, rng, n):
    """One series of n steady periods, judged on the second half."""
    periods = pd.date_range("2015-01-05", periods=n, freq="7D")
    charts = pd.DataFrame({"series": "a", "period": periods, "z": _wandering(rng, (n,), r)})
    charts = charts.assign(baseline=False, mature=True)
    found = cheapest_rules(
        charts, rules=f"beyond {LIMIT}", grid=(), sizes=(SHIFT,), noticed_after=NOTICED, rng=rng
    ).table
    found = found[(found["half"] == "judged on") & (found["quantity"] == quantity)]
    row = found[found["shift_sigma"].isna()].iloc[0]
    return row["low"], row["high"], _truth(quantity, r)


CASES = [
    Case("false alarms counted, Garwood", counted, "conservative"),
    *[
        Case(
            f"false alarms replayed, series alike {alike}",
            partial(replayed, alike),
            "approximate" if alike else "conservative",
            replications=500,
        )
        for alike in (0.0, 0.9)
    ],
    *[
        Case(
            f"planted: {quantity}, neighbours alike {r}",
            partial(planted, quantity, r),
            "approximate",
            replications=200,
        )
        for quantity in ("found", "false alarms a year")
        for r in (0.0, 0.4)
    ],
]
