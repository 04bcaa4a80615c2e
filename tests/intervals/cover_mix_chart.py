"""How often do the intervals of the mix chart hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.case_mix import expected
from sqm.methods import mix_chart
from tests.intervals.judge import Case


def moves(name, wander, rng, n):
    """Weeks of 100 records, three quarters of them before; weeks wander in log odds."""
    week = np.repeat(np.arange(n), 100)
    until = 3 * n // 4
    later = week >= until
    chat = rng.random(len(week)) < np.where(later, 0.7, 0.5)
    level = np.where(chat, -0.5, -2.0) + 0.3 * later + (wander * rng.normal(size=n))[week]
    records = pd.DataFrame(
        {
            "arrived": pd.Timestamp("2000-01-03") + pd.to_timedelta(7 * week, unit="D"),
            "channel": np.where(chat, "chat", "call"),
            "bad": rng.random(len(week)) < 1 / (1 + np.exp(-level)),
        }
    )
    day = f"{pd.Timestamp('2000-01-03') + pd.Timedelta(days=7 * until):%Y-%m-%d}"
    given = expected(records, outcome="bad", mix=["channel"], until=day)
    used = records.rename(columns={"arrived": "period"}).assign(
        o=given.observed, e=given.expected, v=given.variance, fitted=given.fitted, cell=given.cell
    )
    weeks = mix_chart._weeks(used, week, given)
    base = np.arange(n) < until
    found = mix_chart._with_limits(
        mix_chart._moves(used, week, weeks, base, given), base, 0.0, 0.95
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)

    def mean(shift):
        chances = 1 / (1 + np.exp(-(shift + wander * nodes)))
        return (weights * chances).sum() / weights.sum()

    share = chat[later].mean()
    mix = share * mean(-0.5) + (1 - share) * mean(-2.0)
    now = share * mean(-0.2) + (1 - share) * mean(-1.7)
    # the mix that came is taken as it is, before the change too
    was = chat[~later].mean()
    before = was * mean(-0.5) + (1 - was) * mean(-2.0)
    truth = {"service": now - mix, "mix": mix - before, "crude": now - before}[name]
    return found[f"{name}_low"], found[f"{name}_high"], truth


CASES = [
    Case(
        f"{name}, weeks that wander by {wander}",
        partial(moves, name, wander),
        said="approximate" if name == "service" else "conservative",
        sizes=(24, 52),
        replications=250,
    )
    for name in ("service", "crude", "mix")
    for wander in (0.0, 0.2)
]
