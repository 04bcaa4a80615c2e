"""Claimed dimensions against what lavaan prints, by hand, and their own promises."""

import dataclasses
import json

import claimed
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from claimed import REFERENCE, TWO, two

from sqm.checks import Problem, Refusal
from sqm.methods.confirmatory import (
    confirm,
    confirm_missing,
    confirm_of_correlations,
    rivals,
    rivals_of_correlations,
)


@pytest.fixture(scope="module")
def holzinger():
    return claimed.holzinger()


@pytest.fixture(scope="module")
def servqual():
    return claimed.servqual()


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# --- What others print ----------------------------------------------------------------------------


def test_lavaan_tutorial(holzinger):
    expected, answers, dimensions = holzinger
    found = confirm(answers, dimensions=dimensions)
    loadings = found.table.set_index("item")["estimate"].to_dict()
    assert loadings == pytest.approx(expected["std"], abs=1e-6)
    names = {"chi2": "chisq", "df": "df", "cfi": "cfi", "tli": "tli", "rmsea": "rmsea"}
    names |= {"rmsea_low": "rmsea.ci.lower", "rmsea_high": "rmsea.ci.upper", "srmr": "srmr"}
    for ours, theirs in names.items():
        assert getattr(found, ours) == pytest.approx(expected["fit"][theirs], rel=1e-6), ours
    assert round(found.chi2_scaled, 3) == 80.872


def test_blanks_by_full_information():
    case = json.loads((REFERENCE / "cfa_corp_reputation.json").read_text(encoding="utf-8"))
    answers = pd.DataFrame(case["input"]["rows"]).replace(-99, np.nan)
    dimensions, expected = case["input"]["dimensions"], case["expected"]
    full = confirm_missing(answers, dimensions=dimensions)
    whole = confirm(answers, dimensions=dimensions)
    assert full.chi2 == pytest.approx(expected["fit_fiml"]["chisq"], rel=1e-6)
    assert whole.chi2 == pytest.approx(expected["fit_listwise"]["chisq"], rel=1e-6)
    assert (full.respondents, full.left_out) == (344, 344 - whole.respondents)
    assert "are used with what they answered" in full.sentence()
    loadings = full.table.set_index("item")["estimate"].to_dict()
    assert loadings == pytest.approx(expected["std_fiml"], abs=2e-6)


def test_servqual_has_no_admissible_solution(servqual):
    expected, table, settings = servqual
    found = confirm_of_correlations(table, **settings)
    assert found.chi2 == pytest.approx(expected["cfa5"]["fit"]["chisq"])
    assert found.bic == pytest.approx(expected["cfa5"]["fit"]["bic"])
    assert not found.admissible
    first, rest = found.sentence().split("\n")
    assert "has no admissible solution" in first
    assert "RES with EMP, 0.999" in rest


def test_servqual_is_better_described_by_four(servqual):
    expected, table, settings = servqual
    found = rivals_of_correlations(table, **settings)
    assert found.table["dimensions"].to_list() == [5, 4, 3, 2, 1]
    assert found.table.loc[4, "chi2"] == pytest.approx(expected["cfa1"]["fit"]["chisq"])
    assert found.table.loc[4, "chi2_difference"] == pytest.approx(
        expected["cfa1"]["fit"]["chisq"] - expected["cfa5"]["fit"]["chisq"]
    )
    assert found.table["df_difference"].to_list()[1:] == [4, 7, 9, 10]
    assert found.best == "4 dimensions: RES + EMP as one"
    assert found.bic_lead > 0
    assert "describe the answers better than the 5 claimed" in found.sentence()


# --- Promises -------------------------------------------------------------------------------------


def test_what_was_built_is_found(rng):
    answers = two(rng, n=2000)
    found = confirm(answers, dimensions=TWO)
    assert found.cut_offs_met == 4
    assert "fits the answers well" in found.sentence()
    assert found.table["estimate"].to_list() == pytest.approx([0.8] * 6, abs=0.05)
    assert rivals(answers, dimensions=TWO).best == "2 dimensions, as claimed"


def test_the_best_of_bad_models_is_not_praised(rng):
    found = rivals(two(rng, n=1000), dimensions=TWO)
    assert "which fit badly" not in found.sentence()
    bad = found.table.assign(estimate=0.16, low=0.15, high=0.17)
    assert "which fit badly: RMSEA 0.16" in dataclasses.replace(found, table=bad).sentence()


def test_one_thing_measured_twice_is_found(rng):
    found = rivals(two(rng, n=1000, correlation=1.0), dimensions=TWO)
    assert found.best == "one dimension"
    assert found.sentence().startswith("One dimension for all items describes the answers")


def test_the_answer_is_the_same_from_answers_and_from_their_correlations(rng):
    answers = two(rng)
    table = answers.corr().reset_index(names="item")
    given = {"respondents": len(answers), "dimensions": TWO}
    one, other = confirm(answers, dimensions=TWO), confirm_of_correlations(table, **given)
    assert other.chi2 == pytest.approx(one.chi2)
    assert other.table["estimate"].to_list() == pytest.approx(one.table["estimate"].to_list())
    assert np.isnan(other.chi2_scaled)
    half = table.set_index("item").where(np.tri(6, dtype=bool)).reset_index()
    assert confirm_of_correlations(half, **given).chi2 == pytest.approx(one.chi2)
    assert rivals_of_correlations(table, **given).best == rivals(answers, dimensions=TWO).best


def test_rules_are_chosen_and_named(holzinger):
    _, answers, dimensions = holzinger
    strict = confirm(answers, dimensions=dimensions)
    lenient = confirm(answers, dimensions=dimensions, rule="lenient")
    assert (strict.cut_offs_met, lenient.cut_offs_met) == (1, 2)  # .931 .896 .092 .065
    assert "Bentler and Bonett 1980" in lenient.sentence()
    with pytest.raises(Problem, match="hu-bentler"):
        confirm(answers, dimensions=dimensions, rule="hu-bentler")


@pytest.mark.parametrize("ask", [confirm, rivals])
def test_sentences_say_the_number_and_pictures_are_drawn(holzinger, ask):
    _, answers, dimensions = holzinger
    found = ask(answers, dimensions=dimensions)
    first = found.sentence().split("\n")[0]
    number = getattr(found, "rmsea", None) or found.table.loc[0, "estimate"]
    assert f"{number:.2f}"[:4] in first
    assert len(first) <= 220
    ax = found.plot(plt.figure().subplots())
    assert len(ax.get_yticklabels()) == len(found.table)
    assert "?" in ax.get_title(loc="left") + ax.get_title()
    plt.close("all")


# --- What cannot be said --------------------------------------------------------------------------


def test_a_dimension_of_one_item_stands_for_itself(rng):
    dimensions = {"staff": TWO["staff"], "place": ["b1"]}
    row = confirm(two(rng), dimensions=dimensions).table.loc[3]
    assert row["estimate"] == 1 and np.isnan(row["low"]) and "one item" in row["note"]


def test_a_heywood_case_is_told():
    r = np.array([[1, 0.72, 0.72], [0.72, 1, 0.4], [0.72, 0.4, 1]])
    table = pd.DataFrame(r, columns=list("abc")).assign(item=list("abc"))
    given = {"respondents": 100, "dimensions": {"s": list("abc")}}
    found = confirm_of_correlations(table, **given)
    assert not found.admissible
    assert "the residual variance of a is below 0 (a Heywood case)" in found.sentence()
    assert np.isnan(found.table.loc[0, "low"])


def test_three_items_cannot_be_put_to_the_test(rng):
    found = confirm(two(rng), dimensions={"staff": TWO["staff"]})
    assert found.df == 0 and np.isnan(found.rmsea)
    assert "cannot be put to the test" in found.sentence()


def test_two_items_alone_are_refused(rng):
    with pytest.raises(Refusal, match="3 moments"):
        confirm(two(rng), dimensions={"staff": ["a1", "a2"]})


def test_one_dimension_has_no_rival(rng):
    with pytest.raises(Refusal, match="one dimension only"):
        rivals(two(rng), dimensions={"staff": TWO["staff"]})


def test_twelve_respondents_are_refused(rng):
    with pytest.raises(Refusal, match=r"12 respondents .* 13 parameters"):
        confirm(two(rng, n=12), dimensions=TWO)


def test_few_respondents_get_a_caution(rng):
    assert "Few respondents: 60 for 13" in confirm(two(rng, n=60), dimensions=TWO).sentence()


def test_an_item_that_never_varies_is_refused_by_name(rng):
    with pytest.raises(Refusal, match="same answer to b2"):
        confirm(two(rng).assign(b2=4), dimensions=TWO)


def test_straight_lines_are_refused(rng):
    lines = pd.DataFrame({item: rng.integers(1, 8, 50) for item in ["x"]})
    answers = pd.DataFrame(dict.fromkeys(TWO["staff"] + TWO["place"], lines["x"]))
    with pytest.raises(Refusal, match="exactly the same"):
        confirm(answers, dimensions=TWO)


def test_an_item_that_others_add_up_to_is_refused(rng):
    answers = two(rng)
    answers["b3"] = answers["b1"] + answers["b2"]
    with pytest.raises(Refusal, match="not positive definite"):
        confirm(answers, dimensions=TWO)


def test_an_item_in_two_dimensions_is_a_problem(rng):
    with pytest.raises(Problem, match="a1 belongs to more than one"):
        confirm(two(rng), dimensions={"staff": TWO["staff"], "place": ["a1", "b1"]})


def test_unrelated_items_have_no_solution_but_a_sentence():
    table = pd.DataFrame(np.eye(4), columns=list("abcd")).assign(item=list("abcd"))
    given = {"respondents": 100, "dimensions": {"s": ["a", "b"], "t": ["c", "d"]}}
    with pytest.raises(Refusal, match="has no solution"):
        confirm_of_correlations(table, **given)
    found = rivals_of_correlations(table, **given)
    assert found.table.loc[0, "note"] == "the model has no solution"
    assert isinstance(found.sentence(), str)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"b": [0.5, 1, 0.5]}, "a with b is 0.5 and 0.64"),
        ({"a": [1.5, 0.64, 0.64]}, "a with a is 1.5"),
        ({"a": [1, None, 0.64], "b": [None, 1, 0.64]}, "blank on both sides"),
        ({"item": ["a", "b", "b"]}, "not one row for b, c"),
    ],
)
def test_what_is_no_correlation_matrix_is_a_problem(change, reason):
    r = np.full((3, 3), 0.64) + 0.36 * np.eye(3)
    table = pd.DataFrame(r, columns=list("abc")).assign(item=list("abc")).assign(**change)
    with pytest.raises(Problem, match=reason):
        confirm_of_correlations(table, respondents=100, dimensions={"s": list("abc")})


def test_names_may_hold_anything(rng):
    names = dict(zip(two(rng).columns, ["$p<1>", "é 1", "服务", "😀", "a b", "%s{}"], strict=True))
    answers = two(rng).rename(columns=names)
    new = list(names.values())
    found = confirm(answers, dimensions={"$staff": new[:3], "<place>": new[3:]})
    assert found.table["item"].to_list() == new
    found.plot(plt.figure().subplots())
    plt.close("all")
