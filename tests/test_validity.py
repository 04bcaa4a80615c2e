"""Reliability and ratios against what semTools prints, by hand, and their own promises."""

from itertools import combinations

import claimed
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from claimed import TWO, two

from sqm.checks import Problem, Refusal
from sqm.methods.validity import (
    convergence,
    convergence_of_correlations,
    discriminant,
    discriminant_of_correlations,
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


def test_variance_extracted_and_reliability_of_semtools(holzinger):
    """semTools divides by the observed variance of the sum; sqm by the model's, and shows both."""
    expected, answers, dimensions = holzinger
    table = convergence(answers, dimensions=dimensions).table
    ave = table[table["measure"] == "average variance extracted"]
    assert ave["estimate"].to_list() == pytest.approx(list(expected["AVE"].values()), abs=1e-6)
    omega = table[table["measure"] == "composite reliability"]
    published = list(expected["CR_omega"].values())
    assert omega["with_observed_variance"].to_list() == pytest.approx(published, abs=1e-6)
    assert omega["estimate"].to_list() == pytest.approx(published, abs=0.02)


def test_ratios_of_semtools(holzinger, rng):
    expected, answers, dimensions = holzinger
    found = discriminant(answers, dimensions=dimensions, rng=rng, resamples=50)
    for row in found.table.itertuples():
        assert row.estimate == pytest.approx(expected["htmt"][row.first][row.second], abs=1e-9)
        assert row.htmt2 == pytest.approx(expected["htmt2"][row.first][row.second], abs=1e-9)
        published = expected["cov_std"][row.first][row.second]
        assert row.factor_correlation == pytest.approx(published, abs=1e-6)


def test_servqual_pairs_not_told_apart(servqual, rng):
    _, table, settings = servqual
    found = discriminant_of_correlations(table, **settings, rng=rng, resamples=300)
    top = found.table.loc[0]
    # RES is Q10-13, EMP Q18-22: mean of their 20 correlations over the root of the two means within
    r = table.drop(columns="item").to_numpy()
    within = [np.mean([r[i, j] for i, j in combinations(part, 2)])
              for part in (range(9, 13), range(17, 22))]  # fmt: skip
    by_hand = r[9:13, 17:22].mean() / np.sqrt(np.prod(within))
    assert (top["first"], top["second"], top["told_apart"]) == ("RES", "EMP", "no")
    assert top["estimate"] == pytest.approx(by_hand)
    assert top["low"] < by_hand < top["high"]
    assert found.sentence().startswith("2 of 10 pairs of dimensions are not told apart; closest")


# --- Promises -------------------------------------------------------------------------------------


def test_dimensions_built_apart_are_told_apart(rng):
    assert "All 1 pair" in discriminant(two(rng, n=2000), dimensions=TWO, rng=rng).sentence()


def test_one_thing_measured_twice_is_not_told_apart(rng):
    answers = two(rng, n=1000, correlation=1.0)
    pair = discriminant(answers, dimensions=TWO, rng=rng, resamples=200).table.loc[0]
    assert pair["told_apart"] == "no"


def test_the_answer_is_the_same_from_answers_and_from_their_correlations(rng):
    answers = two(rng)
    given = {"respondents": len(answers), "dimensions": TWO}
    table = answers.corr().reset_index(names="item")
    whole, part = convergence(answers, dimensions=TWO), convergence_of_correlations(table, **given)
    reliable = [each.table.loc[0, "estimate"] for each in (whole, part)]
    assert reliable[0] == pytest.approx(reliable[1], abs=0.02)  # units of the items matter to omega
    one = discriminant(answers, dimensions=TWO, rng=rng, resamples=400).table.loc[0]
    other = discriminant_of_correlations(table, **given, rng=rng, resamples=400).table.loc[0]
    assert other["estimate"] == pytest.approx(one["estimate"])
    assert other["low"] == pytest.approx(one["low"], abs=0.03)


def test_the_same_seed_gives_the_same_interval(rng):
    answers = two(rng)
    a, b = (
        discriminant(answers, dimensions=TWO, rng=np.random.default_rng(3), resamples=100).table
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(a, b)


def test_rules_are_known(holzinger, rng):
    _, answers, dimensions = holzinger
    with pytest.raises(Problem, match="rule"):
        discriminant(answers, dimensions=dimensions, rng=rng, rule="x")


@pytest.mark.parametrize("ask", [convergence, discriminant])
def test_sentences_say_the_number_and_pictures_are_drawn(holzinger, rng, ask):
    _, answers, dimensions = holzinger
    more = {"rng": rng, "resamples": 50} if ask is discriminant else {}
    found = ask(answers, dimensions=dimensions, **more)
    first = found.sentence().split("\n")[0]
    number = found.table.loc[0, "estimate"]
    assert f"{number:.2f}"[:4] in first
    assert len(first) <= 220
    ax = found.plot(plt.figure().subplots())
    assert len(ax.get_yticklabels()) == len(found.table)
    assert "?" in ax.get_title(loc="left") + ax.get_title()
    plt.close("all")


# --- What cannot be said --------------------------------------------------------------------------


def test_a_dimension_of_one_item_has_no_correlation_within(rng):
    dimensions = {"staff": TWO["staff"], "place": ["b1"]}
    answers = two(rng)
    pair = discriminant(answers, dimensions=dimensions, rng=rng, resamples=20)
    assert np.isnan(pair.table.loc[0, "estimate"]) and pair.table.loc[0, "told_apart"] == ""
    assert "No pair" in pair.sentence()
    assert "place (one item)" in convergence(answers, dimensions=dimensions).sentence()


def test_a_heywood_case_has_no_shares():
    r = np.array([[1, 0.72, 0.72], [0.72, 1, 0.4], [0.72, 0.4, 1]])
    table = pd.DataFrame(r, columns=list("abc")).assign(item=list("abc"))
    shares = convergence_of_correlations(table, respondents=100, dimensions={"s": list("abc")})
    assert "a residual variance below 0" in shares.sentence()


def test_one_dimension_is_apart_from_nothing(rng):
    with pytest.raises(Refusal, match="one dimension only"):
        discriminant(two(rng), dimensions={"staff": TWO["staff"]}, rng=rng)
