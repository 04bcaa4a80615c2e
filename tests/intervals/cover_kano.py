"""How often do the intervals of kano hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.kano import DYSFUNCTIONAL, FUNCTIONAL, kano_categories, kano_scores
from tests.intervals.judge import Case

# one pair of answers for each of M, O, A, I, R, Q
HAVING = np.array([3, 1, 1, 3, 5, 1])
MISSING = np.array([5, 5, 3, 3, 2, 1])
SHARES = np.array([0.18, 0.30, 0.22, 0.22, 0.05, 0.03])
SOUND = SHARES[:5] / SHARES[:5].sum()


def _answers(rng, n):
    at = rng.choice(6, size=n, p=SHARES)
    who = np.arange(n).astype(str)
    given = {"functional": HAVING[at], "dysfunctional": MISSING[at]}
    return pd.DataFrame({"respondent": who, "feature": "callback", **given})


def better(rng, n):
    row = kano_categories(_answers(rng, n), rng=rng.spawn(1)[0], resamples=100).table.loc[0]
    return row["better_low"], row["better_high"], (0.30 + 0.22) / 0.92


def worse(rng, n):
    row = kano_categories(_answers(rng, n), rng=rng.spawn(1)[0], resamples=100).table.loc[0]
    return row["worse_low"], row["worse_high"], -(0.18 + 0.30) / 0.92


def functional(rng, n):
    row = kano_scores(_answers(rng, n)).table.loc[0]
    return row["functional_low"], row["functional_high"], SOUND @ FUNCTIONAL[HAVING[:5] - 1]


def dysfunctional(rng, n):
    row = kano_scores(_answers(rng, n)).table.loc[0]
    truth = SOUND @ DYSFUNCTIONAL[MISSING[:5] - 1]
    return row["dysfunctional_low"], row["dysfunctional_high"], truth


CASES = [
    Case("Kano better, Wilson", better),
    Case("Kano worse, Wilson", worse),
    Case("Kano functional mean, Student", functional),
    Case("Kano dysfunctional mean, Student", dysfunctional),
]
