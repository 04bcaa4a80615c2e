"""How often do the intervals of reliability hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods import reliability
from sqm.methods.reliability import cronbach_alpha
from sqm.polychoric import _cells
from tests.intervals.judge import Case

LOADINGS = np.array([0.8, 0.7, 0.6, 0.5])  # of uneven items of variance 1
CONGENERIC = np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)
CUTS = np.array([-1.5, -1.0, -0.2, 0.7])  # five points, more of them at the top
HALVES = np.array([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
GROUPED = np.kron(np.eye(3), np.full((3, 3), 0.36)) + 0.36  # .72 within a group, .36 between
np.fill_diagonal(GROUPED, 1.0)


def alpha_of_parallel_items(rng, n):
    """Four parallel items that correlate 0.4: alpha 8/11."""
    answers = 0.4**0.5 * rng.normal(size=(n, 1)) + 0.6**0.5 * rng.normal(size=(n, 4))
    found = cronbach_alpha(
        pd.DataFrame(answers, columns=list("abcd")), dimensions={"s": list("abcd")}
    )
    row = found.table.loc[0]
    return row["low"], row["high"], 8 / 11


def _uneven(rng, n):
    return rng.normal(size=(n, 1)) * LOADINGS + rng.normal(size=(n, 4)) * np.sqrt(1 - LOADINGS**2)


def _ordered(rng, n):
    """Five parallel items on five points, their lines correlating 0.5."""
    lines = 0.5**0.5 * (rng.normal(size=(n, 1)) + rng.normal(size=(n, 5)))
    return np.digitize(lines, CUTS).astype(float)


def _correlation_of_points():
    chance = _cells(CUTS, CUTS, 0.5)
    points, margin = np.arange(5), chance.sum(axis=0)
    mean, square = margin @ points, margin @ points**2
    return (points @ chance @ points - mean**2) / (square - mean**2)


def _stepped(r, k):
    return k * r / (1 + (k - 1) * r)


def omega_of_uneven_items(rng, n):
    _, low, high, _ = reliability._omega(_uneven(rng, n), 0.95)
    return low, high, LOADINGS.sum() ** 2 / CONGENERIC.sum()


def omega_of_five_points(rng, n):
    _, low, high, _ = reliability._omega(_ordered(rng, n), 0.95)
    return low, high, _stepped(_correlation_of_points(), 5)


def ordinal_alpha_of_five_points(rng, n):
    _, low, high, _ = reliability._ordinal(_ordered(rng, n), 0.95)
    return low, high, _stepped(0.5, 5)


def bound(name, rng, n):
    statistics = {
        "split-half (mean of splits)": lambda c: reliability.scales.split_half(c, HALVES).mean(),
        "lambda 2": lambda c: reliability.scales.ten_berge(c, step=1),
        "lambda 6": reliability.scales.lambda_6,
    }
    _, low, high, _ = reliability._bounds(_uneven(rng, n), HALVES, 0.95)[name]
    return low, high, statistics[name](CONGENERIC)


def of_groups(which, rng, n):
    """Three groups of three items."""
    values = 0.6 * rng.normal(size=(n, 1)) + 0.6 * np.repeat(rng.normal(size=(n, 3)), 3, axis=1)
    values += rng.normal(scale=0.28**0.5, size=(n, 9))
    found = reliability._grouped(values, 0.95, rng)[reliability.COEFFICIENTS[-2:][which]]
    truth = [1 - 9 * 0.28 / GROUPED.sum(), 81 * 0.36 / GROUPED.sum()][which]
    return found[1], found[2], truth


CASES = [
    Case("alpha, Feldt, parallel normal items", alpha_of_parallel_items, replications=1000),
    Case("omega of one factor, uneven normal items", omega_of_uneven_items),
    Case("omega of one factor, five points", omega_of_five_points),
    Case("ordinal alpha, five points", ordinal_alpha_of_five_points, replications=1000),
    *[
        Case(f"{name}, uneven normal items", partial(bound, name), replications=1000)
        for name in ("split-half (mean of splits)", "lambda 2", "lambda 6")
    ],
    Case("omega total, three groups", partial(of_groups, 0), "approximate", replications=100),
    Case(
        "omega hierarchical, three groups", partial(of_groups, 1), "approximate", replications=100
    ),
]
