"""How often do the intervals of themes hold the truth?"""

from functools import partial

import numpy as np

from sqm.methods.themes import cost_share, share_trend
from tests.intervals.judge import Case

MONTHS = np.arange(12.0)
START, RISE = -1.5, 0.08  # of the log odds, and by month
SPREAD = 0.3  # of the log odds between months, where they differ by more than chance


def trend(spread, rng, n):
    """The share of a theme among n texts a year; its mean slope over the months."""
    texts = np.maximum(rng.multinomial(n, np.full(12, 1 / 12)), 1).astype(float)
    odds = START + RISE * MONTHS
    hits = rng.binomial(texts.astype(int), 1 / (1 + np.exp(-odds - spread * rng.normal(size=12))))
    if not 0 < hits.sum() < texts.sum():
        return np.nan, np.nan, 0.0
    _, low, high = share_trend(hits.astype(float), texts, MONTHS, 0.95)
    share = (1 / (1 + np.exp(-odds))).mean()
    return low, high, RISE * share * (1 - share)


def cost(spread, rng, n):
    """A theme of a fifth of the complaints, which cost half as much again as the others."""
    inside = rng.random(n) < 0.2
    costs = rng.lognormal(0, spread, n) * np.where(inside, 1.5, 1)
    if not 0 < inside.sum() < n:
        return np.nan, np.nan, 0.0
    _, low, high = cost_share(costs, inside, np.arange(n), 0.95)
    return low, high, 0.3 / 1.1


CASES = [
    Case("trend of a theme's share", partial(trend, 0.0)),
    Case("trend of a theme's share, uneven months", partial(trend, SPREAD), sizes=(400, 1600)),
    Case("share of cost, log-normal of 0.7", partial(cost, 0.7), "approximate"),
    Case("share of cost, log-normal of 1.2", partial(cost, 1.2), "approximate"),
]
