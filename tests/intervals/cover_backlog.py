"""How often do the intervals of the weeks that a backlog takes hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods.backlog import backlog
from tests.intervals.judge import Case

WEEK = pd.Timedelta(days=7)
START = pd.Timestamp("2025-01-06")


def desk(rng, n):
    """n cases wait at the beginning; over 16 weeks more are closed than come, first come first."""
    came, went = rng.poisson(n / 20, 16), rng.poisson(n / 14, 16)
    opened = START + WEEK * np.repeat(np.arange(17), [n, *came])
    opened = opened + pd.to_timedelta(rng.random(len(opened)) * 6.5, unit="D")
    opened = opened.sort_values()
    done = int(min(went.sum(), len(opened)))
    closed = START + WEEK * np.repeat(np.arange(1, 17), went)[:done] + pd.Timedelta(days=6.9)
    cases = pd.DataFrame({"opened": opened, "closed": [*closed, *[pd.NaT] * (len(opened) - done)]})
    return cases[cases["closed"].isna() | (cases["closed"] >= cases["opened"])]


def weeks(rng, n, name):
    found = backlog(desk(rng, n), until="2025-05-04", weeks=13)
    rate = n / 14 if name == "weeks_of_work" else n / 14 - n / 20
    low, high = getattr(found, f"{name}_low"), getattr(found, f"{name}_high")
    return low, high, found.open_now / rate


CASES = [
    Case("weeks of work in the backlog", partial(weeks, name="weeks_of_work"), replications=500),
    Case("weeks to clear the backlog", partial(weeks, name="weeks_to_clear"), replications=500),
]
