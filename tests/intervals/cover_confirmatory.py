"""How often do the intervals of confirmatory hold the truth?"""

import numpy as np
import pandas as pd

from sqm.measurement_model import one_factor
from sqm.methods.confirmatory import confirm
from tests.intervals.judge import Case

ITEMS = [f"q{i}" for i in range(8)]
DIMENSIONS = {"s": ITEMS[:4], "t": ITEMS[4:]}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.7] * 2)
CORRELATION = 0.6


def answers(rng, n, correlation=CORRELATION):
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=n)
    error = rng.normal(size=(n, 8)) * np.sqrt(1 - LOADINGS**2)
    return pd.DataFrame(factors[:, [0] * 4 + [1] * 4] * LOADINGS + error, columns=ITEMS)


def heavy(rng, n):
    """The same covariances with heavy tails: each respondent has a spread of their own."""
    spread = np.sqrt(6 / rng.chisquare(8, size=(n, 1)))  # t of 8 degrees of freedom, variance 1
    return answers(rng, n) * spread


def a_loading(draw):
    def one(rng, n):
        row = confirm(draw(rng, n), dimensions=DIMENSIONS).table.loc[1]
        return row["low"], row["high"], LOADINGS[1]

    return one


def rmsea_of_a_wrong_model(correlation):
    """One factor where there are two; the truth from the model fitted to the population."""
    truth = one_factor(_population(correlation), respondents=10**9).rmsea

    def one(rng, n):
        found = confirm(answers(rng, n, correlation), dimensions={"all": ITEMS})
        return found.rmsea_low, found.rmsea_high, truth

    return one


def _population(correlation=CORRELATION):
    factor = np.where(np.equal.outer([0] * 4 + [1] * 4, [0] * 4 + [1] * 4), 1, correlation)
    return np.outer(LOADINGS, LOADINGS) * factor + np.diag(1 - LOADINGS**2)


CASES = [
    Case("confirm, standardised loading, normal", a_loading(answers), replications=1000),
    Case("confirm, standardised loading, heavy tails", a_loading(heavy), replications=1000),
    Case(
        "confirm, RMSEA of a model slightly wrong",
        rmsea_of_a_wrong_model(0.95),
        said="approximate",
        level=0.9,
        replications=1000,
    ),
    Case(
        "confirm, RMSEA of a model badly wrong",
        rmsea_of_a_wrong_model(0.6),
        said="approximate",
        level=0.9,
        replications=1000,
    ),
]
