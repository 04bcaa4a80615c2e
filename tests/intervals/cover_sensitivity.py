"""How often do the intervals of sensitivity hold the truth?"""

from functools import partial

import numpy as np

from sqm.methods.sensitivity import outcome_at, variance_shares
from tests.intervals.judge import Case

SLOPES = np.array([3.0, 1.0, 0.0])  # shares 9, 1 and 0 tenths
SCHEFFE = 2.0  # variance of the noise in the second model


def share_of_line(which, rng, n):
    """A straight line of three independent unknowns."""
    x = rng.standard_normal((n, 3))
    shares, _ = variance_shares(x, x @ SLOPES, confidence=0.95)
    return shares[which, 1], shares[which, 2], SLOPES[which] ** 2 / (SLOPES @ SLOPES)


def share_of_curve(rng, n):
    """A parabola beside noise: Var(x^2) = 2 of 4."""
    x = rng.standard_normal((n, 1))
    y = x[:, 0] ** 2 + np.sqrt(SCHEFFE) * rng.standard_normal(n)
    shares, _ = variance_shares(x, y, confidence=0.95)
    return shares[0, 1], shares[0, 2], 0.5


def rest_of_line(rng, n):
    """Three lines and noise of a fifth of the variance."""
    x = rng.standard_normal((n, 3))
    y = x @ [1.0, 1.0, 1.0] + np.sqrt(0.75) * rng.standard_normal(n)
    _, (_, low, high) = variance_shares(x, y, confidence=0.95)
    return low, high, 0.2


def outcome_of_line(rng, n):
    """Expected value at the 10 % point that the draws show."""
    x = rng.standard_normal((n, 2))
    at = float(np.quantile(x[:, 0], 0.1))
    _, low, high = outcome_at(x[:, 0], x @ [1.0, 2.0], at=at, confidence=0.95)
    return low, high, at


CASES = [
    Case("share of nine tenths", partial(share_of_line, 0), "approximate", replications=1000),
    Case("share of a tenth", partial(share_of_line, 1), "approximate", replications=1000),
    Case("share of nothing", partial(share_of_line, 2), "conservative", replications=1000),
    Case("share of a parabola", share_of_curve, "approximate", replications=1000),
    Case("what is left of three lines", rest_of_line, "approximate", replications=1000),
    Case("outcome at the 10 % point", outcome_of_line, "approximate", replications=1000),
]
