"""Levels of invariance against the lavaan tutorial, data made to fail a level, and refusals."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.invariance import RULES, invariance, mean_differences

REFERENCE = Path(__file__).parent / "reference"
ITEMS = [f"q{i}" for i in range(8)]
DIMENSIONS = {"s": ITEMS[:4], "t": ITEMS[4:]}


@pytest.fixture(scope="module")
def holzinger():
    case = json.loads((REFERENCE / "cfa_holzinger_swineford.json").read_text(encoding="utf-8"))
    given = {"dimensions": case["input"]["dimensions"], "group": "school"}
    return case["invariance"], pd.DataFrame(case["input"]["rows"]), given


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def wave(rng, name, n=400, loadings=(0.8,) * 8, intercepts=(0.0,) * 8, mean=(0.0, 0.0)):
    factors = rng.multivariate_normal(mean, [[1, 0.5], [0.5, 1]], size=n)
    error = rng.normal(size=(n, 8)) * 0.6
    answers = factors[:, [0] * 4 + [1] * 4] * np.array(loadings) + error + np.array(intercepts)
    return pd.DataFrame(answers, columns=ITEMS).assign(wave=name)


def waves(rng, **second):
    return pd.concat([wave(rng, "2023"), wave(rng, "2024", **second)], ignore_index=True)


def test_the_tutorial_by_school(holzinger):
    expected, answers, given = holzinger
    found = invariance(answers, **given, reference="Pasteur")
    for row in found.table.itertuples():
        printed = {"chisq": row.chi2, "df": row.df, "bic": row.bic, "cfi": row.cfi}
        printed["rmsea"] = row.estimate
        assert {k: round(v, 3) for k, v in printed.items()} == expected[row.level]
    assert found.highest == "metric"
    assert found.respondents == (156, 145)
    assert found.table["df_difference"].to_list()[1:] == [6, 6]
    # 164.103 - 124.044
    assert found.table.loc[2, "chi2_difference"] == pytest.approx(40.059, abs=0.001)
    assert "compare relations, not means" in found.sentence().split("\n")[0]
    with pytest.raises(Refusal, match="highest level that holds: metric"):
        mean_differences(answers, **given)


def test_the_reference_changes_no_fit(holzinger):
    _, answers, given = holzinger
    one, other = (
        invariance(answers, **given, reference=name).table["chi2"].to_list()
        for name in ("Pasteur", "Grant-White")
    )
    assert one == pytest.approx(other)


def test_groups_that_read_alike_and_differ_in_mean(rng):
    answers = waves(rng, n=2000, mean=(0.5, 0.0))
    assert invariance(answers, dimensions=DIMENSIONS, group="wave").highest == "scalar"
    found = mean_differences(answers, dimensions=DIMENSIONS, group="wave")
    assert found.table["estimate"].to_list() == pytest.approx([0.5, 0.0], abs=0.12)
    assert (found.table["low"] < [0.5, 0.0]).all() and (found.table["high"] > [0.5, 0.0]).all()
    row = found.table.loc[0]
    assert f"{row['estimate']:.2f}" in found.sentence().split("\n")[0]


def test_a_loading_that_differs_fails_the_metric_level(rng):
    answers = waves(rng, loadings=(0.1, 0.8, 0.8, 0.8) * 2)
    found = invariance(answers, dimensions=DIMENSIONS, group="wave")
    assert found.highest == "configural"
    assert "weigh the items differently" in found.sentence()


def test_an_intercept_that_differs_fails_the_scalar_level(rng):
    answers = waves(rng, intercepts=(0.8, 0, 0, 0, 0, 0, 0, 0))
    found = invariance(answers, dimensions=DIMENSIONS, group="wave")
    assert found.highest == "metric"
    assert found.table["holds"].to_list() == [True, True, False]


def test_levels_are_nested(rng):
    table = invariance(waves(rng), dimensions=DIMENSIONS, group="wave").table
    assert table["chi2"].is_monotonic_increasing
    # 8 loadings less 2 scales; 8 intercepts less 2 means
    assert table["df"].to_list() == [38, 44, 50]


def test_three_groups_one_too_small(rng):
    parts = [wave(rng, name, n=n) for name, n in [("a", 150), ("b", 150), ("c", 150), ("d", 60)]]
    answers = pd.concat(parts, ignore_index=True)
    found = invariance(answers, dimensions=DIMENSIONS, group="wave")
    assert (found.groups, found.too_small) == (("a", "b", "c"), ("d",))
    assert "Fewer than 100, not compared: d." in found.sentence()
    assert found.table["df_difference"].to_list()[1:] == [12, 12]
    means = mean_differences(answers, dimensions=DIMENSIONS, group="wave", reference="b")
    assert means.table["group"].to_list() == ["a", "c"] * 2
    assert means.reference == "b"


@pytest.mark.parametrize(
    ("rule", "changes", "holds"),
    [
        ("chen-2007", (-0.012, 0.016, 0.0), False),
        ("chen-2007", (-0.012, 0.001, 0.001), True),  # the fall of the CFI alone
        ("chen-2007", (-0.009, 0.020, 0.040), True),
        ("chen-2007-small", (-0.006, 0.011, 0.0), False),
        ("cheung-rensvold-2002", (-0.012, 0.0, 0.0), False),
        ("cheung-rensvold-2002", (-0.009, 0.1, 0.1), True),
    ],
)
def test_rules_as_published(rule, changes, holds):
    assert RULES[rule].holds("metric", *changes) is holds


def test_blanks_are_counted(rng):
    answers = waves(rng)
    answers.loc[:9, "q3"] = np.nan
    answers["wave"] = answers["wave"].astype("str").where(answers.index != 20)
    assert invariance(answers, dimensions=DIMENSIONS, group="wave").left_out == 11


def test_pictures_are_drawn_and_first_lines_are_short(rng):
    answers = waves(rng)
    for ask in (invariance, mean_differences):
        found = ask(answers, dimensions=DIMENSIONS, group="wave")
        assert len(found.sentence().split("\n")[0]) <= 220
        ax = found.plot(plt.figure().subplots())
        assert len(ax.get_yticklabels()) == len(found.table)
        plt.close("all")


# --- What cannot be said --------------------------------------------------------------------------


def test_small_groups_are_refused_with_the_rule(rng):
    answers = pd.concat([wave(rng, "a", n=60), wave(rng, "b", n=400)])
    with pytest.raises(Refusal, match=r"1 group with 100 respondents or more .*too small: a"):
        invariance(answers, dimensions=DIMENSIONS, group="wave")
    found = invariance(answers, dimensions=DIMENSIONS, group="wave", fewest=50)
    assert found.respondents == (60, 400)
    with pytest.raises(Refusal, match="reference 'a' has fewer"):
        invariance(answers, dimensions=DIMENSIONS, group="wave", reference="a")


def test_a_group_needs_more_respondents_than_parameters(rng):
    # 24 places and one correlation: 25 parameters
    answers = pd.concat([wave(rng, "a", n=25), wave(rng, "b", n=26)])
    with pytest.raises(Refusal, match="26 respondents or more"):
        invariance(answers, dimensions=DIMENSIONS, group="wave", fewest=2)


def test_an_item_without_variance_in_one_group_is_refused(rng):
    answers = waves(rng)
    answers.loc[answers["wave"] == "2024", "q1"] = 3.0
    with pytest.raises(Refusal, match="'2024' everyone gave the same answer to q1"):
        invariance(answers, dimensions=DIMENSIONS, group="wave")


def test_what_is_not_there_is_named(rng):
    answers = waves(rng)
    with pytest.raises(Refusal, match="no column 'site'"):
        invariance(answers, dimensions=DIMENSIONS, group="site")
    with pytest.raises(Problem, match="2025"):
        invariance(answers, dimensions=DIMENSIONS, group="wave", reference="2025")
    with pytest.raises(Problem, match="more than one dimension"):
        invariance(answers, dimensions={"s": ITEMS[:4], "t": ITEMS[3:]}, group="wave")
    with pytest.raises(Problem, match="rule"):
        invariance(answers, dimensions=DIMENSIONS, group="wave", rule="chen")
