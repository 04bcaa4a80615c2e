"""The charts that remember, against printed series and the plain recursion."""

import json
from pathlib import Path

import numpy as np
import pytest

from sqm.checks import Problem
from sqm.memory_charts import (
    bernoulli_scores,
    cusum,
    ewma,
    ewma_limits,
    page_sum,
    periods_since_zero,
    poisson_scores,
    shift,
)

REFERENCE = Path(__file__).parent / "reference"


def case(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def test_ewma_of_the_handbook():
    of = case("ewma_nist_6324")
    given, expected = of["input"], of["expected"]
    found = ewma(np.array(given["x"]), weight=given["lam"], start=given["mu0"])
    assert found == pytest.approx(expected["ewma"], abs=0.006)  # printed to two decimals
    half = given["sigma"] * ewma_limits(20, weight=0.3, width=3, exact=False)[-1]
    assert given["mu0"] + half == pytest.approx(expected["ucl"], abs=of["tolerance"])
    assert given["mu0"] - half == pytest.approx(expected["lcl"], abs=of["tolerance"])
    assert not (np.abs(found - given["mu0"]) > half).any()


def test_exact_limits_grow_to_the_asymptotic_ones():
    exact = ewma_limits(200, weight=0.1, width=2.7)
    assert exact[0] == pytest.approx(2.7 * 0.1)  # the first average is 0.1 z
    assert (np.diff(exact) >= 0).all()
    assert exact[-1] == pytest.approx(ewma_limits(1, weight=0.1, width=2.7, exact=False)[0])


def test_tabular_cusum_of_montgomery():
    of = case("cusum_tabular_montgomery_9_1")
    given, expected = of["input"], of["expected"]
    z = (np.array(given["x"]) - given["target"]) / given["sigma"]
    found = cusum(z, allowance=given["k"])
    assert found.above == pytest.approx(expected["C_plus"], abs=1e-9)
    assert found.below == pytest.approx(expected["C_minus"], abs=1e-9)
    assert found.periods_above.tolist() == expected["N_plus"]
    assert found.periods_below.tolist() == expected["N_minus"]
    signal = int(np.argmax(found.above > given["h"]))
    assert signal + 1 == expected["first_signal"]
    told = shift(z, allowance=given["k"], at=signal, centre=10, sigma=1)
    assert told.start + 1 == expected["estimated_shift_start"]
    assert told.level == pytest.approx(expected["estimated_new_mean"], abs=1e-9)


def test_many_series_side_by_side_are_each_charted_as_alone():
    z = np.random.default_rng(3).normal(size=(2, 3, 40))
    for method in (lambda x: ewma(x, weight=0.2), lambda x: cusum(x, allowance=0.3, start=1).below):
        assert method(z)[1, 2] == pytest.approx(method(z[1, 2]), abs=1e-12)


def test_the_running_sum_is_the_recursion():
    scores, state, found = np.random.default_rng(4).normal(-0.2, size=500), 2.0, []
    for score in scores:
        state = max(0.0, state + score)
        found.append(state)
    assert page_sum(scores, start=2.0) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_a_period_without_a_value_leaves_the_memory_as_it_was(shape):
    z = np.broadcast_to(np.array([1.0, np.nan, 1.0, np.nan, 2.0]), shape)
    full = np.broadcast_to(np.array([1.0, 1.0, 2.0]), (*shape[:-1], 3))
    kept = [0, 2, 4]
    assert np.array_equal(ewma(z, weight=0.5)[..., kept], ewma(full, weight=0.5))
    assert np.isnan(ewma(z, weight=0.5)[..., 1]).all()
    found = cusum(z, allowance=0.5)
    assert np.array_equal(found.above[..., kept], cusum(full, allowance=0.5).above)
    assert found.periods_above[..., -1].max() == 3


def test_counts_by_hand():
    """Twice the rate on an exposure of 10 at 0.3: x log 2 - 3; page's sum of 5 and 2 events."""
    scores = poisson_scores(np.array([5, 2]), 10, rate=0.3, ratio=2)
    assert scores == pytest.approx([5 * np.log(2) - 3, 2 * np.log(2) - 3])
    assert page_sum(scores) == pytest.approx([5 * np.log(2) - 3, 0])


def test_records_one_by_one_or_together():
    """Ten records of the same chance say as much as their sum; harder cases excuse an event."""
    events = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    alone = bernoulli_scores(events, 0.1, odds_ratio=2).sum()
    assert alone == pytest.approx(float(bernoulli_scores(2, 0.1, odds_ratio=2, n=10)))
    easy, hard = bernoulli_scores(np.array([1, 1]), np.array([0.01, 0.5]), odds_ratio=2)
    assert easy > hard > 0


def test_risk_adjusted_sum_falls_while_outcomes_are_as_expected():
    """At the expected odds the mean score is minus a Kullback-Leibler distance: below 0."""
    rng = np.random.default_rng(5)
    chance = rng.uniform(0.02, 0.4, size=20_000)
    as_expected = rng.random(20_000) < chance
    odds = 2 * chance / (1 - chance)
    doubled = rng.random(20_000) < odds / (1 + odds)
    assert bernoulli_scores(as_expected, chance, odds_ratio=2).mean() < -0.01
    assert bernoulli_scores(doubled, chance, odds_ratio=2).mean() > 0.01


def test_counting_since_zero():
    assert periods_since_zero(np.array([[0, 1, 2, 0], [1, 1, 1, 1]])).tolist() == [
        [0, 1, 2, 0],
        [1, 2, 3, 4],
    ]
    assert shift(np.zeros(3), allowance=0.5, at=2, centre=7).level == 7


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ewma(np.ones(3), weight=0), "weight of the EWMA is 0"),
        (lambda: cusum(np.ones(3), allowance=-1), "allowance of -1"),
        (lambda: poisson_scores(np.ones(3), 1, rate=0, ratio=2), "usual rate is 0"),
        (lambda: poisson_scores(np.ones(3), 1, rate=1, ratio=1), "ratio is 1"),
        (lambda: bernoulli_scores(np.ones(3), 1.0, odds_ratio=2), "chance of 0 or 1"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(Problem, match=says):
        call()
