"""Monte Carlo limits of false-alarm chances and run lengths; n is the number of simulations."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sqm.steady_process import HORIZON, alarms_of
from tests.intervals.judge import Case

LIMIT = 2.5
CHANCE = 2 * stats.norm.sf(LIMIT)  # of a single period to lie beyond the limits


def _chance(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    found = alarms_of(rng.standard_normal((n, 37)), np.arange(37) < 24, rules=f"beyond {LIMIT}")
    return found.since_low, found.since_high, 1 - (1 - CHANCE) ** 13


def _run_length(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    z = rng.standard_normal((n, 1 + HORIZON))
    found = alarms_of(z, np.ones(1, dtype=bool), rules=f"beyond {LIMIT}", further=HORIZON)
    return found.run_length_low, found.run_length_high, 1 / CHANCE


CASES = [
    Case("steady_process, chance of an alarm in 13 periods (Wilson)", _chance),
    Case("steady_process, mean run length, watched for 200 periods", _run_length),
]
