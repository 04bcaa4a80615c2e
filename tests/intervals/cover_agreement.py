"""How often do the intervals of agreement hold the truth?"""

from functools import cache, partial

import numpy as np
import pandas as pd

from sqm.methods.agreement import agreement_card, category_agreement, cohen_kappa
from tests.intervals.judge import Case

SHARES = np.array([0.4, 0.3, 0.2, 0.1])
RIGHT = 0.8
NAMES = np.array(list("0123"))


def ratings(rng, n, raters):
    """Each rater finds the right category in RIGHT of the cases, else guesses by SHARES."""
    truth = rng.choice(4, n, p=SHARES)
    given = {
        f"coder_{i}": NAMES[np.where(rng.random(n) < RIGHT, truth, rng.choice(4, n, p=SHARES))]
        for i in "abc"[:raters]
    }
    return pd.DataFrame(given)


@cache
def joint():
    """Chance of each pair of categories that two raters give."""
    rest = RIGHT * np.eye(4) + (1 - RIGHT) * SHARES
    return np.einsum("c,ci,cj->ij", SHARES, rest, rest)


def chance_corrected(kind):
    """The coefficient in the population."""
    p, place = joint(), np.arange(4)
    weights = np.eye(4)
    if kind == "quadratic":
        weights = 1 - np.subtract.outer(place, place) ** 2 / 9
    agreed, q = (p * weights).sum(), SHARES
    chance = {
        "ac1": (q * (1 - q)).sum() / 3,
        "pabak": 1 / 4,
    }.get(kind, q @ weights @ q)
    return (agreed - chance) / (1 - chance)


def ordinal_alpha():
    ranks = SHARES.cumsum() - SHARES / 2
    apart = np.subtract.outer(ranks, ranks) ** 2
    return 1 - (joint() * apart).sum() / (SHARES @ apart @ SHARES)


def coefficient(rng, n, raters, name, weights, truth):
    data = ratings(rng, n, raters)
    table = agreement_card(data, raters=list(data), ordered="0123").table
    row = table[(table["coefficient"] == name) & (table["weights"] == weights)].iloc[0]
    return row["low"], row["high"], truth


def two_coders(rng, n):
    found = cohen_kappa(ratings(rng, n, 2))
    return found.low, found.high, chance_corrected("kappa")


def specific(rng, n):
    data = ratings(rng, n, 3)
    row = category_agreement(data, raters=list(data)).table.loc[3]
    return row["low"], row["high"], joint()[3, 3] / SHARES[3]


def category_kappa(rng, n):
    data = ratings(rng, n, 3)
    row = category_agreement(data, raters=list(data)).table.loc[3]
    return row["kappa_low"], row["kappa_high"], RIGHT**2


def _card(name, weights, truth, raters=2):
    draw = partial(coefficient, raters=raters, name=name, weights=weights, truth=truth)
    return Case(f"{name} ({weights}), {raters} raters", draw, replications=600)


KAPPA = chance_corrected("kappa")

CASES = [
    Case("Cohen's kappa, two coders", two_coders),
    _card("agreement", "none", float(np.trace(joint())), 3),
    _card("Fleiss' kappa", "none", KAPPA, 3),
    _card("Conger's kappa", "none", KAPPA, 3),
    _card("Light's kappa", "none", KAPPA, 3),
    _card("Cohen's kappa", "quadratic", chance_corrected("quadratic")),
    _card("Gwet's AC1", "none", chance_corrected("ac1")),
    _card("PABAK", "none", chance_corrected("pabak")),
    _card("Krippendorff's alpha", "none", KAPPA, 3),
    _card("Krippendorff's alpha", "ordinal", ordinal_alpha()),
    _card("Kendall's W", "ranks", (1 + ordinal_alpha()) / 2),
    Case("specific agreement of a rare category", specific, said="conservative", replications=600),
    Case("kappa of a rare category", category_kappa, said="conservative", replications=600),
]
