"""How often does the prediction of a recent period's count hold what it came to?"""

import numpy as np
import pandas as pd

from sqm.methods.nowcast import nowcast
from tests.intervals.judge import Case

DAYS = 420
LAST = pd.Timestamp("2025-06-30")


def _predicted(rng, n, *, volume, pace, back):
    """Months of about n cases; ``volume`` multiplies the cases of a day, ``pace`` their delays."""
    day = np.repeat(np.arange(DAYS), rng.poisson(n / 30.4 * volume))
    onset = LAST - pd.to_timedelta(DAYS - 1 - day, unit="D")
    delay = np.floor(rng.lognormal(np.log(20), 0.9, len(day)) * pace[day])
    cases = pd.DataFrame({"opened": onset, "closed": onset + pd.to_timedelta(delay, unit="D")})
    found = nowcast(cases, until=f"{LAST:%Y-%m-%d}")
    row = found.table.iloc[-1 - back]
    truth = (cases["opened"].dt.to_period("M") == row["period"].to_period("M")).sum()
    return row["low"], row["high"], truth


def steady(rng, n):
    return _predicted(rng, n, volume=np.ones(DAYS), pace=np.ones(DAYS), back=1)


def youngest(rng, n):
    return _predicted(rng, n, volume=np.ones(DAYS), pace=np.ones(DAYS), back=0)


def overdispersed(rng, n):
    """Months differ in volume by a quarter."""
    volume = np.repeat(rng.gamma(16, 1 / 16, DAYS // 30 + 1), 30)[:DAYS]
    return _predicted(rng, n, volume=volume, pace=np.ones(DAYS), back=1)


def uneven_pace(rng, n):
    """Months differ in volume by a quarter and in the length of their delays by a fifth."""
    volume = np.repeat(rng.gamma(16, 1 / 16, DAYS // 30 + 1), 30)[:DAYS]
    pace = np.repeat(rng.lognormal(0, 0.2, DAYS // 30 + 1), 30)[:DAYS]
    return _predicted(rng, n, volume=volume, pace=pace, back=1)


CASES = [
    Case("nowcast, steady, month before last", steady, "conservative", replications=300),
    Case("nowcast, steady, last month", youngest, "conservative", replications=300),
    Case("nowcast, uneven volume", overdispersed, "conservative", replications=300),
    Case("nowcast, uneven volume and delays", uneven_pace, "approximate", replications=300),
]
