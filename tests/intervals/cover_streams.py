"""How often does the interval of an excess hold the records that were added?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods import streams as room
from tests.intervals.judge import Case

WAY = room._Way()
ADDED = 30.0


def excess(mean, extra, rng, n):
    """One of eight streams, in whose last week 30 records are added."""
    days = pd.date_range("2015-01-05", periods=n, freq="7D")
    level = np.full((8, n), float(mean))
    counts = rng.poisson(level * rng.gamma(1 / extra, extra, level.shape)).astype(float)
    counts[0, -1] += ADDED
    now = room.latest(
        counts,
        days=days,
        opened=np.ones(n),
        alive=np.ones(counts.shape, dtype=bool),
        rest=np.zeros(n),
        way=WAY,
    )
    _, low, high = room._usual_sum(now.expected[:, -4:], now.extra, now.error, WAY)
    seen = counts[0, -4:].sum()
    return seen - high[0], seen - low[0], ADDED


CASES = [
    Case("streams, excess, 40 usual", partial(excess, 10, 0.05), said="conservative"),
    Case("streams, excess, 400 usual", partial(excess, 100, 0.05), said="conservative"),
]
