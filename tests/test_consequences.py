"""What waits and endings lead to, against closed forms."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from four_customers import fit, logistic

from sqm.checks import Problem
from sqm.consequences import (
    complaint_chance,
    draw_fit,
    need_score,
    score_measures,
    score_shares,
    share_beyond,
)

GRID = SimpleNamespace(sites=("N1", "S1"), reasons=("bill",), channels=("phone", "chat"))
DELTA = json.loads(
    (Path(__file__).parent / "reference/delta_method_logit.json").read_text(encoding="utf-8")
)


def drawn(table, draws=5, **more):
    return draw_fit(table, GRID, draws=draws, rng=np.random.default_rng(3), **more)


def test_coefficient_draws_give_the_delta_methods_error():
    """P at x and its error in closed form; the draws' own spread is that to first order."""
    given, expected = DELTA["input"], DELTA["expected"]
    table = pd.DataFrame({"term": ["(intercept)", "wait_s"], "estimate": given["b"]})
    for i, term in enumerate(table["term"]):
        table[f"cov: {term}"] = [row[i] for row in given["V"]]
    fitted = drawn(table, 200_000)
    p = logistic(fitted.intercept * given["x"][0] + fitted.per_second * given["x"][1])
    assert p.std() == pytest.approx(expected["se"], rel=0.02)
    certain = drawn(table, 1, plug_in=True)
    at = certain.intercept * given["x"][0] + certain.per_second * given["x"][1]
    assert logistic(at)[0] == pytest.approx(expected["p"], abs=DELTA["tolerance"])


def test_levels_find_their_places_and_waits_their_unit():
    fitted = drawn(fit({"(intercept)": -1.0, "wait_s": 0.6, "site=S1": 2.0, "channel=chat": 3.0}))
    assert fitted.per_second == pytest.approx(0.01)
    at = fitted.before_waiting(np.array([0, 4]), np.array([0, 1]), np.array([0, 0]), [0, 1])
    assert at == pytest.approx([-1, 4])


def test_a_complaint_averages_over_resolution_and_asks_no_abandoned_contact_for_it():
    found = complaint_chance(
        np.exp([-1.0, -1.0]), np.array([True, False]), np.array([0.7, 0.7]),
        (1.0, np.exp(0.5), np.exp(2.0)),
    )  # fmt: skip
    assert found == pytest.approx([0.7 * logistic(-1) + 0.3 * logistic(-0.5), logistic(1)])


SCORE = fit({"threshold|3": 1.5, "wait_s": -0.6, "threshold|1": -2.0, "threshold|2": 0.0,
             "ending=unresolved": -1.0})  # fmt: skip


def test_a_score_by_hand():
    """Terms raise the score: P(score <= k) = logistic(threshold_k - sum of terms)."""
    fitted = drawn(SCORE, 1)
    assert fitted.points == (1, 2, 3, 4)
    assert fitted.thresholds[0] == pytest.approx([-2, 0, 1.5])
    odds = np.exp(fitted.per_second[0] * np.array([100.0]))
    cuts = np.exp(fitted.thresholds[0])[:, None]
    shares = score_shares(odds, 0.75, np.exp(fitted.ending[0, :2]), cuts)[:, 0]
    by_hand = [
        0.75 * logistic(t + 1.0) + 0.25 * logistic(t + 1.0 + 1.0) for t in (-2.0, 0.0, 1.5)
    ]  # fmt: skip
    assert shares == pytest.approx(by_hand)
    told = score_measures("satisfaction", fitted.points)
    constant, weights = told["satisfaction"]
    points = np.diff([0, *by_hand, 1])  # shares of 1, 2, 3 and 4
    assert constant + weights @ shares == pytest.approx(points @ [1, 2, 3, 4])
    constant, weights = told["satisfied"]
    assert constant + weights @ shares == pytest.approx(points[2:].sum())


def test_a_wait_that_levels_off_and_points_that_are_not_one_apart():
    table = SCORE.assign(levels_off=[np.nan, 90, *[np.nan] * 3], step=[2.0, np.nan, 1, 1, np.nan])
    fitted = drawn(table, 1)
    assert fitted.points == (1, 2, 3, 5)
    assert fitted.of_wait(0, np.array([60.0, 90, 500])) == pytest.approx(np.exp([-0.6, -0.9, -0.9]))


def test_the_net_promoter_score_of_shares_by_hand():
    points = np.array([0, 0, 0, 0.1, 0, 0.1, 0.1, 0.1, 0.2, 0.3, 0.1])
    constant, weights = score_measures("recommend", tuple(range(11)))["nps"]
    assert constant + weights @ points.cumsum()[:-1] == pytest.approx(100 * (0.4 - 0.3))


@pytest.mark.parametrize(
    ("limit", "above", "share"),
    [
        (2, False, 0.1), (2.5, False, 0.3), (1, False, 0.0), (5, False, 1.0),
        (2, True, 0.7), (2.5, True, 0.7), (4, True, 0.0), (0, True, 1.0),
    ],
)  # fmt: skip
def test_the_share_beyond_a_limit(limit, above, share):
    """Shares of 1 to 4: 0.1, 0.2, 0.3, 0.4."""
    constant, weights = share_beyond((1, 2, 3, 4), limit, above=above)
    assert constant + weights @ [0.1, 0.3, 0.6] == pytest.approx(share)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (fit({"(intercept)": -3, "week": 1.0}), "term 'week'"),
        (fit({"wait_s": 1.0}), "no intercept"),
        (fit({"(intercept)": np.nan}), "missing coefficient"),
        (fit({"threshold|low": 1.0}), "threshold|low"),
    ],
)
def test_bad_drivers_are_a_problem(table, words):
    with pytest.raises(Problem, match=words):
        drawn(table)


def test_a_score_needs_thresholds():
    with pytest.raises(Problem, match="drivers of 'satisfaction' are not those of a score"):
        need_score(drawn(fit({"(intercept)": 1.0})), name="satisfaction")
