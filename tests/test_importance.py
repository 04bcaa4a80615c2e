"""Importance against R's relaimpo and domir, and the identities of variance explained."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.importance import (
    coefficients,
    complete_dominance,
    conditional_dominance,
    definite,
    explained_by_subsets,
    lmg,
    relative_weights,
)

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="module")
def published():
    return json.loads((REFERENCE / "relative_importance.json").read_text(encoding="utf-8"))


def correlations(data, predictors, outcome):
    r = pd.DataFrame(data)[[*predictors, outcome]].corr().to_numpy()
    return r[:-1, :-1], r[:-1, -1]


@pytest.mark.parametrize(("data", "outcome"), [("bank", "sat1"), ("swiss", "Fertility")])
def test_relative_weights_as_in_r(published, data, outcome):
    expected = published["expected"]["johnson"][data]
    found = relative_weights(*correlations(published["input"][data], expected["raw"], outcome))
    assert found == pytest.approx(list(expected["raw"].values()), abs=1e-9)
    assert found.sum() == pytest.approx(expected["R2"], abs=1e-9)


def test_lmg_as_in_relaimpo(published):
    expected = published["expected"]["lmg"]
    among, r = correlations(published["input"]["swiss"], expected["lmg"], "Fertility")
    assert lmg(among, r) == pytest.approx(list(expected["lmg"].values()), abs=1e-8)
    gains = conditional_dominance(among, r)
    assert gains[:, 0] == pytest.approx(list(expected["first"].values()), abs=1e-8)
    assert gains[:, -1] == pytest.approx(list(expected["last"].values()), abs=1e-8)
    assert coefficients(among, r) ** 2 == pytest.approx(list(expected["betasq"].values()), abs=1e-8)


def test_dominance_as_in_domir(published):
    expected = published["expected"]["dominance"]
    names = expected["predictors"]
    among, r = correlations(published["input"]["bank"], names, "sat1")
    assert lmg(among, r) == pytest.approx(list(expected["general"].values()), abs=1e-8)
    stated = np.array(list(expected["conditional"].values()))
    assert conditional_dominance(among, r) == pytest.approx(stated, abs=1e-8)
    found = complete_dominance(among, r)
    for i, name in enumerate(names):
        for j, said in enumerate(expected["complete"][name]):
            undecided = not found[i, j] and not found[j, i]
            assert undecided if said is None else found[i, j] == said


def test_every_way_of_sharing_adds_up_to_what_all_explain():
    rng = np.random.default_rng(5)
    r = np.corrcoef(rng.normal(size=(60, 5)) + rng.normal(size=(60, 1)), rowvar=False)
    among, with_outcome = r[:4, :4], r[:4, 4]
    whole = with_outcome @ np.linalg.solve(among, with_outcome)
    assert explained_by_subsets(among, with_outcome)[-1] == pytest.approx(whole)
    assert lmg(among, with_outcome).sum() == pytest.approx(whole)
    assert relative_weights(among, with_outcome).sum() == pytest.approx(whole)


def test_two_predictors_share_alike_in_both_measures():
    # with two predictors Johnson's weights and LMG are the same quantity
    among, r = np.array([[1, 0.4], [0.4, 1]]), np.array([0.5, 0.3])
    assert relative_weights(among, r) == pytest.approx(lmg(among, r))


def test_a_stack_of_matrices_gives_what_each_gives():
    among = np.array([[[1, 0.4], [0.4, 1]], [[1, -0.2], [-0.2, 1]]])
    r = np.array([[0.5, 0.3], [0.1, 0.6]])
    for measure in (relative_weights, lmg, coefficients):
        both = measure(among, r)
        for i in range(2):
            assert both[i] == pytest.approx(measure(among[i], r[i]))


def test_what_cannot_be_weighed():
    with pytest.raises(Refusal, match="not positive definite"):
        relative_weights(np.ones((2, 2)), np.array([0.5, 0.5]))
    with pytest.raises(Refusal, match="never varies"):
        lmg(np.array([[1, np.nan], [np.nan, 1]]), np.array([0.5, 0.5]))
    with pytest.raises(Problem, match="65,536 models"):
        lmg(np.eye(16), np.zeros(16))
    assert definite(np.array([np.eye(2), np.full((2, 2), np.nan)])).tolist() == [True, False]
