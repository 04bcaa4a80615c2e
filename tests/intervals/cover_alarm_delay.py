"""How often do the intervals of simulated run lengths hold the truth?"""

from functools import partial

import numpy as np
from scipy import stats

from sqm import run_length
from sqm.methods.alarm_delay import limits
from tests.intervals.judge import Case

NORMAL = float(stats.norm.ppf(0.975))


def simulated(periods, limit, rng, n):
    """n simulated series, each followed for so many periods at most; one side, no shift."""
    found = run_length.simulated(
        lambda z: np.abs(z) > limit, periods=periods, simulations=n, rng=rng
    )
    return *limits(found, NORMAL), 1 / (2 * stats.norm.sf(limit))


CASES = [
    Case("run length, all series signal", partial(simulated, 400, 2.0)),
    Case(
        "run length, a third of the series signal", partial(simulated, 150, 3.0), replications=1000
    ),
]
