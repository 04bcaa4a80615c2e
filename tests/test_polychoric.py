"""Polychoric correlations against closed forms, psych, and their own promises."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.polychoric import below, influence, polychoric

REFERENCE = Path(__file__).parent / "reference"


def two(counts):
    rows, columns = np.indices(np.shape(counts))
    return np.repeat(np.column_stack([rows.ravel(), columns.ravel()]), np.ravel(counts), axis=0)


def lines(rho, n, seed, cuts=(-1, 0, 1)):
    shared = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    return np.digitize(shared, cuts)


def test_published_correlations_and_thresholds():
    case = json.loads((REFERENCE / "reliability_bfi.json").read_text(encoding="utf-8"))
    rows = [r for r in zip(*case["input"].values(), strict=True) if "." not in r]
    answers = np.array(rows).astype(int)
    answers[:, 0] = 7 - answers[:, 0]
    found, expected = polychoric(answers), case["expected"]["polychoric"]
    assert found.respondents == expected["n"]
    assert np.abs(found.correlations - expected["rho"]).max() < case["tolerance"]["polychoric"]
    assert np.abs(np.array(found.thresholds) - expected["tau"]).max() < 1e-9
    assert found.smallest_eigenvalue > 0
    assert found.at_edge == ()


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.99])
def test_the_bivariate_normal_is_scipys(rho):
    limits = np.array([-2.0, -0.3, 0.0, 1.2])
    law = stats.multivariate_normal(cov=[[1, rho], [rho, 1]])
    theirs = [[law.cdf([a, b]) for b in limits] for a in limits]
    assert below(limits, limits, rho) == pytest.approx(np.array(theirs), abs=1e-6)


@pytest.mark.parametrize("counts", [(30, 20), (40, 10), (10, 40)])
def test_cuts_at_the_median_have_a_closed_form(counts):
    same, other = counts  # P(both below) = 1/4 + arcsin(r) / (2 pi)
    found = polychoric(two([[same, other], [other, same]])).correlations[0, 1]
    assert found == pytest.approx(
        np.sin(2 * np.pi * (same / (2 * (same + other)) - 0.25)), abs=1e-6
    )


def test_turning_an_item_round_turns_the_sign():
    answers = lines(0.4, 300, 1)
    turned = np.column_stack([answers[:, 0], 3 - answers[:, 1]])
    assert polychoric(turned).correlations[0, 1] == pytest.approx(
        -polychoric(answers).correlations[0, 1], abs=1e-6
    )


def test_only_the_order_of_the_answers_counts():
    answers = lines(0.4, 300, 1)
    renamed = np.array([-5.0, 1.0, 1.5, 99.0])[answers]
    assert polychoric(renamed).correlations == pytest.approx(polychoric(answers).correlations)


def test_the_correlation_behind_the_answers_is_found():
    assert polychoric(lines(0.6, 20_000, 2)).correlations[0, 1] == pytest.approx(0.6, abs=0.02)


def test_influences_sum_to_nothing_and_give_the_spread_of_samples():
    """300 samples of 200: the standard deviation of the estimates, known to 4 %."""
    gradient = np.array([[0, 0.5], [0.5, 0]])
    found, told = [], []
    for seed in range(300):
        answers = lines(0.5, 200, seed)
        each = polychoric(answers)
        moved = influence(answers, each, gradient=gradient)
        assert abs(moved.sum()) < 1e-4
        found.append(each.correlations[0, 1])
        told.append(np.sqrt((moved**2).sum()) / 200)
    assert np.mean(told) == pytest.approx(np.std(found), rel=0.12)


def test_a_table_that_never_contradicts_itself_is_at_the_edge():
    found = polychoric(two([[20, 0], [0, 20]]))
    assert found.at_edge == ((0, 1),)
    assert found.empty_cells == 0.5


def test_a_matrix_that_is_not_positive_definite_is_said_and_not_smoothed():
    """Twelve respondents on five items of seven points."""
    rng = np.random.default_rng(0)
    found = [polychoric(rng.integers(1, 8, (12, 6))) for _ in range(20)]
    smallest = [np.linalg.eigvalsh(each.correlations)[0] for each in found]
    assert min(smallest) < 0
    assert [each.smallest_eigenvalue for each in found] == pytest.approx(smallest)


def test_a_category_that_nobody_used_has_no_threshold():
    answers = np.array([1, 2, 5, 1, 2, 5, 1, 2, 5, 1])
    found = polychoric(np.column_stack([answers, answers[::-1]]))
    assert found.categories[0].tolist() == [1, 2, 5]
    assert len(found.thresholds[0]) == 2


def test_bad_input():
    answers = lines(0.5, 50, 1).astype(float)
    with pytest.raises(Problem, match="a blank or of one item"):
        polychoric(np.where(np.arange(50)[:, None] == 3, np.nan, answers))
    with pytest.raises(Problem, match="a blank or of one item"):
        polychoric(answers[:, :1])
    with pytest.raises(Refusal, match="Only 9 respondents"):
        polychoric(answers[:9])
    with pytest.raises(Refusal, match="same answer from everyone"):
        polychoric(np.column_stack([answers, np.ones(50)]))
    with pytest.raises(Refusal, match="a measurement"):
        polychoric(np.column_stack([answers, np.arange(50)]))
