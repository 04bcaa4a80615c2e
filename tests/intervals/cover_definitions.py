"""How often do the intervals of agreement on a definition hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.definitions import verdicts_agree
from tests.intervals.judge import Case


def _judged(rng, n, *, prevalence, hit, judges):
    """Judges who see a true defect with chance ``hit`` and take a good record for one with 1 - hit.

    Then p = chance that a judge says defect, p11 = that two do.
    """
    true = rng.random((n, 1)) < prevalence
    said = rng.random((n, judges)) < np.where(true, hit, 1 - hit)
    rows = pd.DataFrame(
        {
            "ctq": "c",
            "record": np.repeat(np.arange(n), judges),
            "judge": np.tile(np.arange(judges), n),
            "defect": said.ravel(),
        }
    )
    p = prevalence * hit + (1 - prevalence) * (1 - hit)
    agreed = hit**2 + (1 - hit) ** 2
    return verdicts_agree(rows).table.iloc[0], p, agreed


def kappa_of_two(rng, n):
    row, p, agreed = _judged(rng, n, prevalence=0.3, hit=0.9, judges=2)
    chance = p**2 + (1 - p) ** 2
    return row["low"], row["high"], (agreed - chance) / (1 - chance)


def kappa_of_two_rare(rng, n):
    row, p, agreed = _judged(rng, n, prevalence=0.1, hit=0.95, judges=2)
    chance = p**2 + (1 - p) ** 2
    return row["low"], row["high"], (agreed - chance) / (1 - chance)


def kappa_of_four(rng, n):
    row, p, agreed = _judged(rng, n, prevalence=0.3, hit=0.85, judges=4)
    chance = p**2 + (1 - p) ** 2
    return row["low"], row["high"], (agreed - chance) / (1 - chance)


def ac1_of_two(rng, n):
    row, p, agreed = _judged(rng, n, prevalence=0.1, hit=0.95, judges=2)
    chance = 2 * p * (1 - p)
    return row["ac1_low"], row["ac1_high"], (agreed - chance) / (1 - chance)


def agreement_of_two(rng, n):
    """Wilson's coverage swings with the share, so the share is drawn anew: 68 to 90 %."""
    row, _, agreed = _judged(rng, n, prevalence=0.3, hit=rng.uniform(0.8, 0.95), judges=2)
    return row["agreed_low"], row["agreed_high"], agreed


def agreement_of_four(rng, n):
    row, _, agreed = _judged(rng, n, prevalence=0.3, hit=0.85, judges=4)
    return row["agreed_low"], row["agreed_high"], agreed


CASES = [
    Case("verdicts, Cohen's kappa, 30 % defects", kappa_of_two),
    Case("verdicts, Cohen's kappa, 10 % defects", kappa_of_two_rare),
    Case("verdicts, Fleiss' kappa, four judges", kappa_of_four),
    Case("verdicts, AC1, 10 % defects", ac1_of_two),
    Case("verdicts, agreement of two judges", agreement_of_two),
    Case("verdicts, agreement of four judges", agreement_of_four),
]
