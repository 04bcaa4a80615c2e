"""How often do the intervals against a counterfactual hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm import counterfactual, synthetic_control
from sqm.interrupted import Groups
from tests.intervals.cover_interrupted_series import EFFECT, SIZES, wandering
from tests.intervals.judge import Case

CHANGED, OTHERS = 4, 8


def groups(rng, n, r):
    """Sites that share a wandering week and wander beside it; half of the weeks after."""
    sites = wandering(rng, n, r, series=CHANGED + OTHERS) + wandering(rng, n, r)
    after = np.arange(n) >= n // 2
    return Groups(
        changed_sites=tuple("ABCD"),
        other_sites=tuple("abcdefgh"),
        periods=pd.date_range("2024-01-01", periods=n, freq="7D").to_numpy(),
        at=np.arange(n),
        after=after,
        changed=sites[:CHANGED].mean(axis=0) + EFFECT * after,
        others=sites[CHANGED:] + np.arange(OTHERS)[:, None],
        sizes=np.full(OTHERS, 50.0),
        n=50 * CHANGED * n,
        weeks_left_out=0,
        sites_left_out=0,
    )


def by_forecast(r, rng, n):
    _, low, high = counterfactual._effect(groups(rng, n, r), 0.95)
    return low, high, EFFECT


def by_blend(r, rng, n):
    drawn = groups(rng, n, r)
    (_, low, high), _ = synthetic_control._step(drawn, synthetic_control._blended(drawn), 0.95)
    return low, high, EFFECT


CASES = [
    Case(
        f"{name}, autocorrelation {r}",
        partial(draw, r),
        "approximate" if draw is by_blend and r == 0.6 else "conservative",
        replications=1000,
        sizes=SIZES,
    )
    for name, draw in (
        ("forecast from the other sites", by_forecast),
        ("synthetic control", by_blend),
    )
    for r in (0, 0.3, 0.6)
]
