"""How often do the shares, rates and ranks of a Pareto hold the truth?"""

from functools import partial

import numpy as np

from sqm.methods import pareto
from sqm.methods.pareto import COUNT, MONEY, RATE
from tests.intervals.judge import Case

CHANCES = {
    "apart": np.array([0.34, 0.24, 0.17, 0.12, 0.08, 0.05]),
    "near-ties": np.array([0.172, 0.170, 0.168, 0.166, 0.164, 0.160]),
}
MEANS = np.array([30.0, 45.0, 60.0, 80.0, 100.0, 140.0])  # of an amount
EXPOSURE = 50 * np.array([900.0, 400.0, 500.0, 200.0, 300.0, 100.0])
RESAMPLES = 200


def _true(chances):
    money = chances * MEANS
    return {COUNT: chances, RATE: chances / EXPOSURE, MONEY: money}


def _cases(rng, n, chances, *, sigma=1.0, together=1):
    """Complaints one by one, or of customers who send 1 to 2 * together - 1 of the same level."""
    level = rng.choice(6, n, p=chances)
    each = rng.integers(1, 2 * together, size=n)
    group, level = np.repeat(np.arange(n), each), np.repeat(level, each)
    noise = np.exp(sigma * rng.normal(size=len(level)) - sigma**2 / 2)
    return pareto._Cases(list("abcdef"), level, group, MEANS[level] * noise, EXPOSURE)


def interval(measure, which, sigma, together, rng, n):
    chances = CHANCES["apart"]
    sent = rng.poisson(n) if measure == RATE else n  # a year's complaints are no fixed number
    cases = _cases(rng, sent, chances, sigma=sigma, together=together)
    _, low, high = pareto._intervals(measure, pareto._sums(cases, 1.0), 6, 0.95)
    true = _true(chances)[measure]
    true = n * together * true if measure == RATE else true / true.sum()
    return low[which], high[which], true[which]


def _held(measures, chances, rng, n, **how):
    """1 if every true rank of these rankings lies in its set, as an interval around 1."""
    cases = _cases(rng, n, chances, **how)
    ranked = {m: np.arange(6) + 6 * [COUNT, RATE, MONEY].index(m) for m in measures}
    found = pareto._ranks(pareto._sums(cases, 1.0), ranked, 0.95, RESAMPLES, rng)
    held = True
    for measure, (low, high) in found.items():
        true = 6 - _true(chances)[measure].argsort().argsort()
        held &= bool(((low <= true) & (true <= high)).all())
    return (1.0, 1.0, 1.0) if held else (0.0, 0.0, 1.0)


def ranks(which, measures, together, rng, n):
    return _held(measures, CHANCES[which], rng, n, together=together)


CASES = [
    *[
        Case(f"share of the count, {how}", partial(interval, COUNT, 2, 1.0, k))
        for k, how in ((1, "each alone"), (3, "customers send 1 to 5"))
    ],
    *[
        Case(f"rate, {how}", partial(interval, RATE, 2, 1.0, k), said)
        for k, how, said in (
            (1, "each alone", "conservative"),
            (3, "customers send 1 to 5", "conservative"),
        )
    ],
    *[
        Case(
            f"share of the money, level {which + 1}, sigma {sigma:g}",
            partial(interval, MONEY, which, sigma, 1),
            said,
            sizes=sizes,
        )
        for which, sigma, said, sizes in (
            (0, 0.5, "conservative", (100, 400)),
            (0, 1.0, "conservative", (100, 400)),
            (0, 1.5, "approximate", (100, 400)),
            (5, 0.5, "conservative", (100, 400)),  # 5 cases of 100: it says next to nothing
            (5, 1.0, "conservative", (100, 400)),
            (5, 1.5, "conservative", (100,)),
            (5, 1.5, "approximate", (400,)),
        )
    ],
    *[
        Case(
            f"ranks of all levels together, {which}, by {' and '.join(measures)}",
            partial(ranks, which, measures, together),
            "conservative",
            replications=400,
        )
        for which, measures, together in (
            ("apart", (COUNT,), 1),
            ("near-ties", (COUNT,), 1),
            ("near-ties", (COUNT,), 3),
            ("near-ties", (MONEY,), 1),
            ("apart", (COUNT, RATE, MONEY), 1),
            ("near-ties", (COUNT, RATE, MONEY), 1),
        )
    ],
]
