"""How often do the intervals of drivers by group hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit

from sqm.methods.driver_segments import effects_by_segment
from sqm.regression import fit_logistic
from tests.intervals.judge import Case

AGENTS = 60


def _found(rng, n):
    """Two groups, agents in both of them; slopes 0.8 and 0.4, all with the agent's own level."""
    agent = rng.integers(0, AGENTS, n)
    channel = rng.integers(0, 2, n)
    x = rng.normal(size=n)
    eta = -0.4 + np.array([0.8, 0.4])[channel] * x
    records = pd.DataFrame(
        {
            "agent": pd.Series(agent).map("a{}".format),
            "channel": np.array(["chat", "phone"])[channel],
            "x": x,
            "complained": rng.random(n) < expit(eta),
        }
    )
    fit = fit_logistic(records, drivers=["x"], fixed="", cluster="agent")
    return effects_by_segment(fit, records).table


def of_chat(measure, rng, n):
    """The log odds ratio, and the spread: |b| times the deviation of x, which is 1 here."""
    table = _found(rng, n)
    row = table[(table["segment"] == "chat") & (table["measure"] == measure)].iloc[0]
    return row["low"], row["high"], 0.8


def agreement(rng, n):
    """Not an interval: p of two equal groups is above .05 in 95 % (given as 0 to p, truth .05)."""
    agent = rng.integers(0, AGENTS, n)
    x = rng.normal(size=n)
    level = rng.normal(0, 0.5, AGENTS)[agent]
    records = pd.DataFrame(
        {
            "agent": pd.Series(agent).map("a{}".format),
            "channel": np.array(["chat", "phone"])[rng.integers(0, 2, n)],
            "x": x,
            "complained": rng.random(n) < expit(-0.4 + 0.5 * x + level),
        }
    )
    fit = fit_logistic(records, drivers=["x"], fixed="", cluster="agent")
    return 0.0, effects_by_segment(fit, records).smallest_p, 0.05


CASES = [
    Case("drivers by group, log odds ratio", partial(of_chat, "coefficient"), replications=400,
         sizes=(400, 2000)),
    Case("drivers by group, spread", partial(of_chat, "spread"), "approximate", replications=400,
         sizes=(400, 2000)),
    Case("drivers by group, test that groups agree", agreement, replications=400,
         sizes=(400, 2000)),
]  # fmt: skip
