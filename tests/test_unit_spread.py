"""Truth: by hand, and published analyses of 13 trials and of eight schools."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm import unit_spread
from sqm.checks import Problem, Refusal

CASES = json.loads((Path(__file__).parent / "reference" / "unit_spread.json").read_text("utf-8"))


def on_scale(y, error):
    """Means whose errors are known, as published; nothing scaled."""
    m, ones = len(y), np.ones(len(y))
    names = tuple(f"{i}" for i in range(m))
    group = np.zeros(m, dtype=int)
    kept = (0, 0.0, 0.0, 0, 0)
    return unit_spread.Units(
        "mean", names, ("",) * m, group, ones, y, 0 * y, ones, error, 0.0, y, error, *kept
    )


def test_the_spread_between_trials_is_as_published():
    case = CASES["bcg"]
    a, b, c, d = np.array(case["cases"], dtype=float).T
    y = np.log(a / (a + b) / (c / (c + d)))
    units = on_scale(y, np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)))
    assert unit_spread.heterogeneity(units) == pytest.approx(case["q"], abs=case["tolerance"])
    estimate, low, high = unit_spread.profile(units, confidence=0.95)
    assert low == pytest.approx(case["tau2_low"], abs=case["tolerance"])
    assert high == pytest.approx(case["tau2_high"], abs=case["tolerance"])
    assert unit_spread.heterogeneity(units, estimate) == pytest.approx(12)


def test_levels_of_eight_schools_are_as_published():
    case = CASES["eight_schools"]
    units = on_scale(np.array(case["y"], dtype=float), np.array(case["error"], dtype=float))
    levels = unit_spread.levels_of(units, draws=8_000, rng=np.random.default_rng(1))
    found = np.quantile(levels.effect, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0).T
    off = np.abs(found - np.array(case["points"]))
    assert off[:, 1:4].max() <= case["tolerance"]["middle"]
    # printed from 200 draws: the lower outer points are within reach, the upper too noisy
    assert off[:, 0].max() <= case["tolerance"]["low"]


def test_a_spread_of_nothing_draws_all_levels_together_and_a_wide_one_leaves_them():
    y = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    rng = np.random.default_rng(1)
    apart = unit_spread.levels_of(on_scale(100 * y, np.ones(5)), draws=2_000, rng=rng)
    assert np.abs(apart.effect.mean(axis=0) - 100 * y).max() < 0.2
    alike = unit_spread.levels_of(on_scale(y / 100, np.ones(5)), draws=2_000, rng=rng)
    assert np.ptp(alike.effect.mean(axis=0)) < 0.1


def test_limits_keep_their_false_alarm_rate_whether_units_differ_or_not():
    rng = np.random.default_rng(7)
    for tau in (0.0, 3.0):
        hits = []
        for _ in range(400):
            units = on_scale(np.sqrt(1 + tau**2) * rng.normal(size=12), np.ones(12))
            units = on_scale(units.y - units.y.mean(), np.ones(12))
            variance, _ = unit_spread.winsorised_spread(units)
            hits.append((unit_spread.distances(units, variance)[2] < 0.05).mean())
        assert 0.02 < np.mean(hits) < 0.065  # 5 % if the spread were known; less where it is 0


def test_a_unit_is_set_against_a_level_that_it_is_part_of():
    # three units of equal n: variance of y_1 - mean is 2/3 of that of y_1
    units = on_scale(np.array([-1.0, 0.0, 1.0]), np.ones(3))
    error, z, _ = unit_spread.distances(units, 0.0)
    assert error == pytest.approx(np.full(3, np.sqrt(2 / 3)))
    assert z[2] == pytest.approx(np.sqrt(1.5))


def table(**changed):
    return pd.DataFrame({"unit": ["a", "b", "c"], "n": 100, "value": [10.0, 20.0, 30.0]} | changed)


@pytest.mark.parametrize(
    ("units", "error", "says"),
    [
        (table(unit=["a", " ", "c"]), Problem, "without a name"),
        (table(unit=["a", None, "c"]), Problem, "without a name"),
        (table(unit=["a", "a", "c"]), Problem, "more than once"),
        (table(value=[10.0, 101.0, 5.0]), Problem, "more events than cases"),
        (table(value=[10.0, -1.0, 5.0]), Problem, "negative number of events"),
        (table(value=[10.0, np.nan, 5.0]), Problem, "no number"),
        (table(value=["10", "x", "5"]), Problem, "does not hold numbers"),
        (table(expected=[10.0, np.nan, 5.0]), Problem, "no expectation"),
        (table(value=0.0), Refusal, "any event"),
        (table(value=100.0), Refusal, "Every case"),
        (table(n=0, value=0.0), Refusal, "0 unit"),
        (table().iloc[:1], Refusal, "1 unit"),
        (table().iloc[:2], Refusal, "needs 3"),
        (table().drop(columns="n"), Refusal, "no column 'n'"),
    ],
)
def test_bad_units_are_named(units, error, says):
    with pytest.raises(error, match=says):
        unit_spread.units_from(units, kind="share", smallest=5, source="units")
