"""Rules for signals against two programs' marks on one series, and against each other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm import signal_rules
from sqm.chart_limits import standardised
from sqm.checks import Problem
from sqm.signal_rules import (
    completing,
    fewest_crossings,
    in_use,
    longest_run_allowed,
    marks,
    rule_set,
    rules_of,
    running,
    sides,
    with_limit,
)

REFERENCE = Path(__file__).parent / "reference"
AS_JASP = {
    "beyond_3s": "beyond 3",
    "same_side_7": "run of 7",
    "trend_7": "trend of 7 steps",
    "two_of_three_2s": "2 of 3 beyond 2",
    "within_1s_15": "15 within 1",
    "outside_1s_8": "8 outside 1 on any side",
    "four_of_five_1s": "4 of 5 beyond 1",
    "alternating_14": "alternating 14 steps",
}
AS_QCC = {
    "NEL1": "beyond 3",
    "NEL2_9": "run of 9",
    "NEL3_6": "trend of 6 points",
    "NEL4_14": "alternating 14 points",
    "NEL5": "2 of 3 beyond 2",
    "NEL6": "4 of 5 beyond 1",
    "NEL7": "15 within 1",
    "NEL8": "8 outside 1 on both sides",
    "WER4_8": "run of 8",
}


def reference(name):
    case = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    return case["input"], case["expected"]


def marked(z, rules, **settings):
    return (np.flatnonzero(marks(np.asarray(z, dtype=float), rules, **settings)[0]) + 1).tolist()


@pytest.mark.parametrize(("program", "rules"), [("jasp_minitab", AS_JASP), ("qcc3", AS_QCC)])
def test_each_rule_as_each_program_counts_it(program, rules):
    given, expected = reference("run_rules_individuals")
    x = np.array(given["x"])
    sigma = np.abs(np.diff(x)).mean() / 1.128
    assert x.mean() + 3 * sigma == pytest.approx(expected["ucl"])
    z = (x - x.mean()) / sigma
    assert {name: marked(z, text) for name, text in rules.items()} == expected[program]


def test_limits_of_runs():
    given, expected = reference("anhoej_runs_limits")
    assert [longest_run_allowed(n) for n in given["n_useful"]] == expected["longest_run_max"]
    assert [fewest_crossings(n) for n in given["n_useful"]] == expected["crossings_min"]


def test_too_few_crossings_in_montgomerys_circuit_boards():
    """26 boards: longest run 6 of 8 allowed, 7 crossings where 8 are the fewest."""
    given, expected = reference("c_chart_montgomery_7_3")
    z = np.array(given["counts"]) - expected["cbar"]
    assert running(z).max() == expected["anhoej"]["longest_run"]
    assert marked(z, "run over 8") == []
    assert marked(z, "crossings under 8 in 26") == [26]
    assert marked(z, "crossings under 7 in 26") == []


@pytest.mark.parametrize(
    ("case", "more"), [("C12", "2 of 3 beyond 2"), ("C13", "4 of 5 beyond 1"), ("C14", "run of 8")]
)
def test_run_lengths_of_champ_and_woodall(case, more):
    """Standard error of a mean of 2,000 run lengths: 2.2 %."""
    given, expected = reference("shewhart_run_rules_arl_champ_woodall_1987")
    z = np.random.default_rng(1).normal(given["mu"][0], 1, size=(2000, 800))
    hit = marks(z, f"beyond 3 + {more}")[0]
    some = hit.any(axis=1)
    watched = np.where(some, hit.argmax(axis=1) + 1, 800)
    assert watched.sum() / some.sum() == pytest.approx(expected[case][0], rel=0.06)


@pytest.mark.parametrize(
    ("case", "rules"),
    [
        ("three_sigma_only", "beyond 3"),
        ("anhoej_runs_only", "run over 9 + crossings under 23 in 60"),
        ("three_sigma_plus_anhoej", "limits and runs"),
        ("three_sigma_plus_run8", "limits and run of 8"),
    ],
)
def test_how_often_sixty_steady_points_signal(case, rules, charts_of_sixty):
    """Two simulations of 4,000: standard error of the difference 0.008 at 0.15."""
    expected = reference("false_alarm_family_n60")[1][case]
    taken = rule_set(rules, periods=60) if rules in signal_rules.NAMED else rules
    found = marks(charts_of_sixty, taken)[0].any(axis=1).mean()
    assert found == pytest.approx(expected, abs=0.025)


@pytest.fixture(scope="module")
def charts_of_sixty():
    values = np.random.default_rng(11).normal(size=(4000, 60))
    return standardised(values, np.ones(60), np.ones(60, dtype=bool), kind="xmr", data="mean")


@pytest.mark.parametrize("name", signal_rules.NAMED)
def test_text_and_rules_are_the_same(name):
    rules = rule_set(name, periods=30)
    assert rules_of(str(rules)) == rules
    assert rules_of(f"{rules}, all points").points == "all"
    assert rules_of(rules) is rules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("beyond", "'beyond' is no rule"),
        ("beyond 3 + run over", "did you mean 'run over 8'"),
        ("4 of 3 beyond 2", "cannot be followed"),
        ("ewma 1.2 at 3", "cannot be followed"),
        ("beyond 3.3.3", "no number"),
        ("", "is no rule"),
    ],
)
def test_what_is_no_rule(text, words):
    with pytest.raises(Problem, match=words):
        rules_of(text)
    with pytest.raises(Problem, match="no set of rules"):
        rule_set("Westinghouse")


def test_a_point_on_the_centre_neither_breaks_a_run_nor_counts_in_it():
    z = np.array([1.0, 1, 0, 1, -1, -1])
    assert running(z).tolist() == [1, 2, 0, 3, 1, 2]
    assert marked(z, "run over 2") == [4]
    assert marked(z, "run over 2, all points") == [1, 2, 4]


def test_all_points_of_a_pattern():
    z = [0.0, 2.5, 0, 2.2, 0, 1, 2, 3]
    assert marked(z, "2 of 3 beyond 1.9") == [4, 8]
    assert marked(z, "2 of 3 beyond 1.9, all points") == [2, 4, 7, 8]
    assert marked(z, "trend of 4 points, all points") == [5, 6, 7, 8]


def test_nothing_reaches_across_a_missing_period():
    z, gap = np.ones(8), np.arange(8) == 4
    for text in ("run over 4", "5 within 2", "5 of 6 beyond 0.5", "run over 4, all points"):
        assert marked(z, text) and marked(z, text, gap=gap) == []
    z = np.arange(8.0) - 4
    assert marked(z, "trend of 5 points") == [5, 6, 7, 8]
    assert marked(z, "trend of 5 points", gap=gap) == []
    assert marked(np.tile([1.0, -1], 4), "alternating 5 points", gap=gap) == []


def test_many_series_are_marked_as_each_alone():
    z = np.random.default_rng(3).normal(size=(40, 60)).round(1)
    gap = np.arange(60) == 30
    for text in (*map(str, map(rule_set, signal_rules.NAMED)), "run over 4, all points"):
        found, side = marks(z, text, gap=gap)[0], sides(z, text, gap=gap)
        for row, one, way in zip(z, found, side, strict=True):
            assert np.array_equal(marks(row, text, gap=gap)[0], one)
            assert np.array_equal(way != 0, one)


def test_where_a_signal_points():
    assert sides(np.array([0.5, 1, 2, 3.5]), "trend of 4 points").tolist() == [0, 0, 0, 1]
    falling = np.array([3.0, 2.5, 2, 1.5])
    assert sides(falling, "trend of 4 points").tolist() == [0, 0, 0, -1]
    assert sides(falling, "beyond 2.8 + trend of 4 points").tolist() == [1, 0, 0, -1]
    assert sides(np.full(9, -0.5), "9 within 1").tolist() == [0] * 8 + [-1]


def test_memory_by_hand():
    """EWMA 0.5: 1, 1.5 over sqrt(1 / 3 (1 - 0.25^2)) = 0.559; CUSUM: 1.5, 3, then 1.5 below."""
    z = np.array([2.0, 2, -2])
    assert marks(z, "ewma 0.5 at 2.6")[1] == ["", "ewma 0.5 at 2.6", ""]
    assert marked(z, "ewma 0.5 at 2.7") == []
    assert marked(z, "cusum 0.5 at 2.9") == [2]
    assert sides(-z, "cusum 0.5 at 2.9").tolist() == [0, -1, 0]


def test_the_rules_in_use_mark_what_completes_a_pattern():
    charts = pd.DataFrame(
        {
            "series": ["a", "a", "a", "b"],
            "period": [3, 1, 2, 1],
            "rules": [None, "beyond 2", "beyond 4 + run over 8, all points", ""],
        }
    )
    assert str(in_use(charts, "a", "beyond 3")) == "beyond 4 + run over 8"  # the latest told
    assert in_use(charts, "b", "Nelson") == rule_set("Nelson")
    assert in_use(charts.drop(columns="rules"), "a", "beyond 3, all points") == rules_of("beyond 3")
    assert completing(rules_of("run over 8, all points")) == rules_of("run over 8")
    with pytest.raises(Problem, match="no rule"):
        completing("beyond")


def test_names_and_other_limits():
    assert marks(np.array([3.2, 3.2]), "beyond 3 + run over 1")[1][1] == "beyond 3, run over 1"
    assert str(with_limit("beyond 3 + run over 8, all points", 3.25)) == (
        "beyond 3.25 + run over 8, all points"
    )
