"""How often do the intervals of validity hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.validity import convergence, discriminant
from tests.intervals.judge import Case

ITEMS = [f"q{i}" for i in range(8)]
DIMENSIONS = {"s": ITEMS[:4], "t": ITEMS[4:]}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.7] * 2)
CORRELATION = 0.6


def answers(rng, n):
    factors = rng.multivariate_normal([0, 0], [[1, CORRELATION], [CORRELATION, 1]], size=n)
    error = rng.normal(size=(n, 8)) * np.sqrt(1 - LOADINGS**2)
    return pd.DataFrame(factors[:, [0] * 4 + [1] * 4] * LOADINGS + error, columns=ITEMS)


def heavy(rng, n):
    """The same covariances with heavy tails: each respondent has a spread of their own."""
    spread = np.sqrt(6 / rng.chisquare(8, size=(n, 1)))  # t of 8 degrees of freedom, variance 1
    return answers(rng, n) * spread


def a_share(measure, draw):
    def one(rng, n):
        table = convergence(draw(rng, n), dimensions=DIMENSIONS).table
        row = table[table["measure"] == measure].iloc[0]
        shared, rest = LOADINGS[:4].sum() ** 2, (1 - LOADINGS[:4] ** 2).sum()
        truth = shared / (shared + rest)
        if measure != "composite reliability":
            truth = (LOADINGS[:4] ** 2).mean()
        return row["low"], row["high"], truth

    return one


def _population():
    factor = np.where(np.equal.outer([0] * 4 + [1] * 4, [0] * 4 + [1] * 4), 1, CORRELATION)
    return np.outer(LOADINGS, LOADINGS) * factor + np.diag(1 - LOADINGS**2)


def _true_htmt():
    r = _population()
    within = r[:4, :4][np.tril_indices(4, -1)].mean()
    return r[:4, 4:].mean() / within


HTMT = _true_htmt()


def htmt(draw):
    def one(rng, n):
        found = discriminant(draw(rng, n), dimensions=DIMENSIONS, rng=rng, resamples=300)
        row = found.table.loc[0]
        return row["low"], row["high"], HTMT

    return one


def factor_correlation(rng, n):
    found = discriminant(answers(rng, n), dimensions=DIMENSIONS, rng=rng, resamples=2)
    row = found.table.loc[0]
    return row["correlation_low"], row["correlation_high"], CORRELATION


CASES = [
    Case(
        "convergence, composite reliability, normal",
        a_share("composite reliability", answers),
        said="conservative",
        replications=1000,
    ),
    Case(
        "convergence, composite reliability, heavy tails",
        a_share("composite reliability", heavy),
        said="conservative",
        replications=1000,
    ),
    Case(
        "convergence, variance extracted, normal",
        a_share("average variance extracted", answers),
        said="conservative",
        replications=1000,
    ),
    Case("discriminant, HTMT, normal", htmt(answers), said="approximate", replications=500),
    Case("discriminant, HTMT, heavy tails", htmt(heavy), said="approximate", replications=500),
    Case("discriminant, factor correlation, normal", factor_correlation, replications=1000),
]
