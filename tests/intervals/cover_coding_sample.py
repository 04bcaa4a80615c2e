"""How often do the shares from a coding sample hold what reading all would have given?"""

from functools import partial

import numpy as np

from sqm.methods import coding_sample
from tests.intervals.judge import Case

SHARES = np.array([0.36, 0.25, 0.18, 0.12, 0.06, 0.03])
NAMES = np.array(list("abcdef"), dtype=object)
ALL = 3000
OFFICES = 4


def _labels(rng, wrong):
    """What people would say of each complaint, and an automatic label that errs unevenly."""
    true = rng.choice(6, ALL, p=SHARES)
    step = 1 + (rng.random(ALL) * rng.random(ALL) * 5).astype(int)
    return true, np.where(rng.random(ALL) < wrong, (true + step) % 6, true)


def _drawn(rng, n, wrong, by_label):
    true, label = _labels(rng, wrong)
    strata = label if by_label else rng.integers(OFFICES, size=ALL)
    of_each = np.bincount(strata)
    allotted = coding_sample._allotted(of_each, n, 5)
    chosen = [
        rng.choice(np.flatnonzero(strata == h), take, replace=False)
        for h, take in enumerate(allotted)
    ]
    at = np.concatenate(chosen)
    sample = coding_sample._Sample(
        code=NAMES[true[at]],
        label=NAMES[label[at]],
        stratum=strata[at],
        weight=(of_each / allotted)[strata[at]],
        unread=(1 - allotted / of_each)[strata[at]],
        all_labels=NAMES[label],
        by_label=by_label,
        left_out=0,
    )
    return sample, true, label


def combined(which, wrong, by_label, rng, n):
    sample, true, label = _drawn(rng, n, wrong, by_label)
    y, f = (sample.code == NAMES[which]).astype(float), sample.label == NAMES[which]
    labelled = float((label == which).mean())
    _, low, high, *_ = coding_sample._combined(sample, y, f, labelled, 0.95)
    return low, high, (true == which).mean()


def alone(which, by_label, rng, n):
    sample, true, _ = _drawn(rng, n, 0.2, by_label)
    _, low, high = coding_sample._alone(sample, (sample.code == NAMES[which]).astype(float), 0.95)
    return low, high, (true == which).mean()


def distance(wrong, rng, n):
    sample, true, label = _drawn(rng, n, wrong, True)
    table, moved = coding_sample._table(sample, list(NAMES), 0.95)
    _, low, high = coding_sample._distance(sample, table, moved, 0.95)
    shares = [np.bincount(each, minlength=6) / ALL for each in (true, label)]
    return low, high, np.abs(shares[0] - shares[1]).sum() / 2


CASES = [
    *[
        Case(
            f"share of {SHARES[which]:.0%}, combined, {wrong:.0%} of labels wrong, strata {by}",
            partial(combined, which, wrong, by == "by label"),
            "conservative",
        )
        for which in (0, 2, 5)
        for wrong in (0.1, 0.3)
        for by in ("by label", "by office")
    ],
    *[
        Case(
            f"share of {SHARES[which]:.0%}, sample alone, strata {by}",
            partial(alone, which, by == "by label"),
            "conservative",
        )
        for which in (0, 5)
        for by in ("by label", "by office")
    ],
    *[
        Case(
            f"distance of the labels, {wrong:.0%} wrong",
            partial(distance, wrong),
            "conservative",
            replications=500,
        )
        for wrong in (0.1, 0.3)
    ],
]
