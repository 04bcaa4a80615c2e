"""How often do the intervals of held-out areas hold the truth?"""

from functools import cache, partial

import numpy as np
from scipy.special import expit

from sqm.methods import driver_check as room
from tests.intervals.judge import Case

GROUPS, FOLDS = 40, 5
T = room.stats.t.ppf(0.975, GROUPS - 1)


def _draw(rng, n, groups=GROUPS):
    """A score, a second one that it misses, and groups with a level of their own."""
    group = np.arange(n) % groups
    x, z = rng.normal(size=(2, n))
    y = rng.random(n) < expit(-0.5 + x + 0.7 * z + rng.normal(0, 0.5, groups)[group])
    return y.astype(float), x, x + 0.7 * z, group


@cache
def _truth(folds, per_fold, size):
    """Expected pairs in the right order over expected pairs, from a large simulation."""
    rng = np.random.default_rng(99)
    right, pairs = np.zeros(2), 0.0
    for _ in range(600):
        y, x, both, _ = _draw(rng, per_fold * size, per_fold)
        m, n = y.sum(), len(y) - y.sum()
        if m * n:
            right += np.array([room.area(y, score)[0] for score in (x, both)]) * m * n
            pairs += m * n
    return right / pairs


def _areas(rng, n):
    y, x, both, group = _draw(rng, n)
    one, other = (room._Scored(y, score, group % FOLDS) for score in (x, both))
    return one, other, group, _truth(FOLDS, GROUPS // FOLDS, n // GROUPS)


def _area(scored):
    return room._concordance(scored.y, scored.score, scored.fold)[0]


def area_of_whole_groups(rng, n):
    one, _, group, truth = _areas(rng, n)
    _, low, high = room._on_logit(_area(one), T * room._error(one, None, group))
    return low, high, truth[0]


def gain_of_whole_groups(rng, n):
    one, other, group, truth = _areas(rng, n)
    half = T * room._error(other, one, group)
    _, low, high = room._apart(_area(other) - _area(one), half)
    return low, high, truth[1] - truth[0]


def area_in_random_folds(rng, n):
    """One driver, so that every refit ranks alike; rows independent."""
    x = rng.normal(size=n)
    y = (rng.random(n) < expit(-0.5 + x)).astype(float)
    scored = room._Scored(y, x, rng.permutation(np.arange(n) % FOLDS))
    t = room.stats.t.ppf(0.975, n - 1)
    _, low, high = room._on_logit(_area(scored), t * room._error(scored, None, np.arange(n)))
    return low, high, _logistic_area()


@cache
def _logistic_area():
    rng = np.random.default_rng(98)
    x = rng.normal(size=4_000_000)
    return room.area((rng.random(len(x)) < expit(-0.5 + x)).astype(float), x)[0]


def calibration_of_groups(which, rng, n):
    """Predictions without the groups' own levels; the truth is from a large simulation."""
    group = np.arange(n) % GROUPS
    x = rng.normal(size=n)
    y = (rng.random(n) < expit(-0.5 + x + rng.normal(0, 0.5, GROUPS)[group])).astype(float)
    p = expit(-0.5 + x)
    if which == "ratio":
        _, low, high = room._ratio(y, p, group, T)
    else:
        _, low, high = room._line("binary", y, p, group, T, slope=True)
    return low, high, _calibration()[which]


@cache
def _calibration():
    rng = np.random.default_rng(97)
    n = 2_000_000
    x, level = rng.normal(size=(2, n))
    y = (rng.random(n) < expit(-0.5 + x + 0.5 * level)).astype(float)
    p = expit(-0.5 + x)
    slope = room._line("binary", y, p, np.arange(n), 2.0, slope=True)[0]
    return {"ratio": y.sum() / p.sum(), "slope": slope}


def drop_against_random_folds(rng, n):
    """A score that knows the groups' levels in random folds, and not in whole groups."""
    y, x, level, group = _with_levels(rng, n)
    first = room._Scored(y, x + level, rng.permutation(np.arange(n) % FOLDS))
    other = room._Scored(y, x, group % FOLDS)
    half = T * room._error(first, other, group)
    _, low, high = room._apart(_area(first) - _area(other), half)
    return low, high, _drop(n)


def _with_levels(rng, n):
    group = np.arange(n) % GROUPS
    x, level = rng.normal(size=n), rng.normal(0, 1, GROUPS)[group]
    return (rng.random(n) < expit(-0.5 + x + level)).astype(float), x, level, group


@cache
def _drop(n):
    """The mean over many data sets, by pairs as the estimate is."""
    rng, found = np.random.default_rng(96), []
    for _ in range(1000):
        y, x, level, group = _with_levels(rng, n)
        first = room._Scored(y, x + level, rng.permutation(np.arange(n) % FOLDS))
        found.append(_area(first) - _area(room._Scored(y, x, group % FOLDS)))
    return float(np.mean(found))


CASES = [
    Case("held out, area in random folds", area_in_random_folds),
    *[
        Case(f"held out, {name}", draw, said, replications=600, sizes=(400, 1200))
        for name, draw, said in (
            ("area in whole groups left out", area_of_whole_groups, "approximate"),
            ("gain of a flexible model, whole groups", gain_of_whole_groups, "approximate"),
            ("drop against random folds", drop_against_random_folds, "approximate"),
            ("observed over expected", partial(calibration_of_groups, "ratio"), "exact"),
            ("calibration slope", partial(calibration_of_groups, "slope"), "exact"),
        )
    ],
]
