"""How often does the interval of the rolled throughput yield hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.throughput import rolled_yield
from tests.intervals.judge import Case

ANY = np.random.default_rng(1)  # for the ranks of the steps, which the interval does not use


def _interval(n, defects, counted):
    steps = pd.DataFrame({"step": range(len(defects)), "units": n, "defects": defects})
    found = rolled_yield(steps, rng=ANY, counted=counted)
    return found.low, found.high


def five_steps(rng, n):
    """Five steps that lose 2 to 30 %."""
    lost = np.array([0.02, 0.05, 0.1, 0.15, 0.3])
    return *_interval(n, rng.binomial(n, lost), "defective units"), np.prod(1 - lost)


def a_rare_loss(rng, n):
    """Three steps that lose 1, 1 and 5 %: often one without any defect."""
    lost = np.array([0.01, 0.01, 0.05])
    return *_interval(n, rng.binomial(n, lost), "defective units"), np.prod(1 - lost)


def poisson_steps(rng, n):
    """Three steps whose units can have several defects."""
    rate = np.array([0.05, 0.2, 0.6])
    return *_interval(n, rng.poisson(n * rate), "defects"), np.exp(-rate.sum())


CASES = [
    Case("rolled yield, five steps", five_steps),
    Case("rolled yield, rare losses", a_rare_loss),
    Case("rolled yield, defects (Poisson)", poisson_steps),
]
