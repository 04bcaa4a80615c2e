"""How often do the intervals of structure hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.structure import explore, factorable, parallel_analysis
from tests.intervals.judge import Case

ITEMS = list("abcdef")
PATTERN = np.kron(np.eye(2), [[0.8], [0.7], [0.6]])  # two groups of three items
BETWEEN = 0.4  # correlation of the two factors
TRUE = PATTERN @ [[1, BETWEEN], [BETWEEN, 1]] @ PATTERN.T
np.fill_diagonal(TRUE, 1)
FEWER = {"replications": 500}


def answers(rng, n):
    drawn = rng.multivariate_normal(np.zeros(6), TRUE, size=n)
    return pd.DataFrame(drawn, columns=ITEMS)


def adequacy(rng, n):
    found = factorable(answers(rng, n), items=ITEMS)
    return found.low, found.high, true_adequacy().sum() / total().sum()


def adequacy_of_an_item(rng, n):
    row = factorable(answers(rng, n), items=ITEMS).table.loc[2]
    return row["low"], row["high"], true_adequacy()[2] / total()[2]


def true_adequacy():
    return (TRUE**2).sum(axis=0) - 1


def total():
    inverse = np.linalg.inv(TRUE)
    partial = inverse / np.sqrt(np.outer(np.diag(inverse), np.diag(inverse)))
    return true_adequacy() + (partial**2).sum(axis=0) - 1


def first_component(rng, n):
    found = parallel_analysis(answers(rng, n), items=ITEMS, rng=rng, resamples=200)
    row = found.table.loc[0]
    return row["low"], row["high"], np.linalg.eigvalsh(TRUE)[-1]


def explored(rng, n):
    return explore(answers(rng, n), items=ITEMS, factors=2, rng=rng, resamples=200).table


def of_item(table, item):
    rows = table[(table["kind"] == "loading") & (table["item"] == item)]
    return rows.loc[rows["estimate"].abs().sort_values().index]


def loading(rng, n):
    row = of_item(explored(rng, n), "b").iloc[-1]
    return row["low"], row["high"], 0.7


def loading_on_the_other(rng, n):
    row = of_item(explored(rng, n), "b").iloc[0]
    return row["low"], row["high"], 0.0


def communality(rng, n):
    row = explored(rng, n).query("kind == 'communality' and item == 'c'").iloc[0]
    return row["low"], row["high"], 0.36


def factor_correlation(rng, n):
    row = explored(rng, n).query("kind == 'factor correlation'").iloc[0]
    return row["low"], row["high"], BETWEEN


CASES = [
    Case("sampling adequacy of all items", adequacy, said="conservative"),
    Case("sampling adequacy of an item", adequacy_of_an_item, said="conservative"),
    Case("first component's eigenvalue", first_component, said="approximate", **FEWER),
    Case("loading, its own factor", loading, said="approximate", **FEWER),
    Case("loading, the other factor", loading_on_the_other, said="approximate", **FEWER),
    Case("communality", communality, said="approximate", **FEWER),
    Case("correlation of factors", factor_correlation, said="approximate", **FEWER),
]
