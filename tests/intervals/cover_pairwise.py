"""How often do the intervals of pairwise hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.pairwise import ahp_weights, consistency
from tests.intervals.judge import Case

LOGS = np.log([0.32, 0.26, 0.20, 0.13, 0.09])
PAIRS = np.array(np.triu_indices(5, 1))
NEEDS = np.array(list("abcde"))


def _comparisons(rng, n, *, kept=1.0, noise=0.3):
    """Judges whose own log weights vary around LOGS; ``kept`` is the share of pairs compared."""
    own = LOGS + rng.normal(0, 0.35, size=(n, 5))
    log = own[:, PAIRS[0]] - own[:, PAIRS[1]] + rng.normal(0, noise, size=(n, 10))
    said = pd.DataFrame(
        {
            "judge": np.repeat(np.arange(n).astype(str), 10),
            "first": np.tile(NEEDS[PAIRS[0]], n),
            "second": np.tile(NEEDS[PAIRS[1]], n),
            "times": np.exp(np.clip(log, -2.19, 2.19)).ravel(),
        }
    )
    return said[rng.random(len(said)) < kept]


def _limits(found, need, truth):
    row = found.table.set_index("need").loc[need]
    return row["low"], row["high"], truth


def heaviest(rng, n):
    return _limits(ahp_weights(_comparisons(rng, n)), "a", 0.32)


def lightest(rng, n):
    return _limits(ahp_weights(_comparisons(rng, n)), "e", 0.09)


def with_missing_pairs(rng, n):
    return _limits(ahp_weights(_comparisons(rng, n, kept=0.7)), "b", 0.26)


def lead(rng, n):
    found = ahp_weights(_comparisons(rng, n))
    low, high = found.lead_low, found.lead_high
    # the lead is of whoever comes first; where that is not a over b it is not the question
    order = found.table["need"].tolist()[:2]
    return (low, high, 0.32 / 0.26) if order == ["a", "b"] else (1 / high, 1 / low, 0.32 / 0.26)


def within_limit(rng, n):
    """Three needs, one free contradiction: the ratio is within 0.1 with a chance known by design.

    With a = e^d times the consistent answer, lambda_max is 1 + e^(d/3) + e^(-d/3); two thirds
    of the judges have d = 0 and the others d = 3.
    """
    off = np.where(rng.random(n) < 2 / 3, 0.0, 3.0)
    log = np.column_stack([np.full(n, 0.5), np.full(n, 0.5), 1.0 - off])
    said = pd.DataFrame(
        {
            "judge": np.repeat(np.arange(n).astype(str), 3),
            "first": np.tile(list("aba"), n),
            "second": np.tile(list("bcc"), n),
            "times": np.exp(log).ravel(),
        }
    )
    found = consistency(said)
    return found.low, found.high, 2 / 3


CASES = [
    Case("AHP, heaviest need", heaviest, said="approximate", replications=500),
    Case("AHP, lightest need", lightest, said="approximate", replications=500),
    Case("AHP, 30 % of pairs missing", with_missing_pairs, said="approximate", replications=500),
    Case("AHP, few judges", heaviest, said="approximate", replications=500, sizes=(4, 8, 20)),
    Case("AHP, lead of the first", lead, said="approximate", replications=500),
    Case("AHP, share of consistent judges, Wilson", within_limit, replications=1000),
]
