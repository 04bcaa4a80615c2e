"""A claim holds the same from answers and from their correlations; the ratio by hand."""

import numpy as np
import pandas as pd
import pytest

from sqm import claim
from sqm.checks import Problem, Refusal

TWO = {"staff": ["a", "b"], "place": ["c", "d"]}


@pytest.fixture
def answers():
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(200, 2))[:, [0, 0, 1, 1]] + rng.normal(size=(200, 1))
    return pd.DataFrame(factors + rng.normal(size=(200, 4)), columns=list("cabd"))


def test_items_stand_in_the_order_of_the_claim(answers):
    found = claim.of_answers(answers, TWO, 0.95)
    assert (found.items, found.groups) == (list("abcd"), [[0, 1], [2, 3]])
    assert found.covariances == pytest.approx(np.cov(answers[list("abcd")].T, ddof=0))
    assert (found.basis, found.respondents, found.left_out) == ("answers", 200, 0)


def test_a_matrix_gives_the_claim_of_its_answers_up_to_units(answers):
    table = answers.corr().reset_index(names="item")
    found = claim.of_correlations(table, 200, TWO, 0.95)
    scaled = answers[list("abcd")] / answers[list("abcd")].std()
    assert found.covariances == pytest.approx(np.cov(scaled.T, ddof=0))
    assert found.basis == "correlations" and found.rows is None
    whole = claim.of_answers(scaled, TWO, 0.95)
    assert claim.solved(found).loadings == pytest.approx(claim.solved(whole).loadings, abs=1e-6)


def test_the_ratio_of_one_item_is_not_known():
    r = np.full((3, 3), 0.5) + np.eye(3) / 2
    assert np.isnan(claim.htmt(r, [[0, 1], [2]])).all()


def test_what_no_model_can_bear(answers):
    with pytest.raises(Problem, match="a belongs to more than one"):
        claim.layout({"one": ["a", "b"], "two": ["a"]})
    with pytest.raises(Refusal, match="same answer to b"):
        claim.of_answers(answers.assign(b=3), TWO, 0.95)
    with pytest.raises(Refusal, match="a and b"):
        claim.of_answers(answers.assign(b=2 * answers["a"]), TWO, 0.95)
    with pytest.raises(Refusal, match=r"9 respondents .* 9 parameters"):
        claim.of_answers(answers.head(9), TWO, 0.95)
    with pytest.raises(Refusal, match="one dimension only"):
        claim.need_two({"staff": ["a", "b"]})
