"""How often do the intervals of codes hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.codes import suspect_codes
from tests.intervals.judge import Case

ITEMS = list("abcdef")


def _coded(rng, n):
    """Six items of one trait from 1 to 5; a tenth of the answers to one are 0 by chance."""
    trait = rng.normal(size=(n, 1))
    answers = np.clip(np.round(3 + trait + rng.normal(size=(n, 6))), 1, 5)
    answers[rng.random(n) < 0.15, 0] = 0
    return pd.DataFrame(answers, columns=ITEMS)


def position_of_a_pure_code(rng, n):
    """Given whatever the trait, a code stands at 1: like the average respondent."""
    found = suspect_codes(_coded(rng, n), items=["a"], others=ITEMS[1:], points=(0, 5)).table
    row = found[(found["value"] == 0) & (found["item"] == "all items")].iloc[0]
    return row["low"], row["high"], 1.0


def shift_of_the_mean(rng, n):
    """Of mean 3 without the zeros and 0.85 * 3 with them: 0.45."""
    found = suspect_codes(_coded(rng, n), items=["a"], others=ITEMS[1:], points=(0, 5)).table
    row = found[(found["value"] == 0) & (found["item"] == "all items")].iloc[0]
    return row["shift_low"], row["shift_high"], 0.45


CASES = [
    Case(
        "suspect_codes, position of a pure code, Fieller",
        position_of_a_pure_code,
        sizes=(400,),
        replications=1000,
    ),
    Case("suspect_codes, shift of the mean", shift_of_the_mean, replications=1000),
]
