"""A problem says what is wrong and how to mend it, in every process it crosses."""

import pickle

import numpy as np
import pandas as pd
import pytest

from sqm.checks import (
    Problem,
    Refusal,
    first_rows,
    nearest,
    need_columns,
    need_numbers,
    need_on_scale,
    need_one_of,
    need_passed,
    need_rows,
    need_settings,
    need_share,
    need_sound_weights,
)


@pytest.mark.parametrize("kind", [Problem, Refusal])
def test_a_problem_crosses_processes_whole(kind):
    back = pickle.loads(pickle.dumps(kind("q7 has 3 answers off.", "correct the source.")))
    assert type(back) is kind
    assert (back.what, back.mend) == ("q7 has 3 answers off.", "correct the source.")
    assert str(back) == "q7 has 3 answers off.\n  To mend: correct the source."


def test_a_refusal_is_a_problem_and_a_problem_is_a_value_error():
    assert issubclass(Refusal, Problem)
    assert issubclass(Problem, ValueError)
    assert not issubclass(Problem, Refusal)


def test_the_nearest_name_or_all_of_them():
    assert nearest("curtesy", ["courtesy", "parking"]) == "did you mean 'courtesy'?"
    assert nearest("xyz", []) == "known are: none."
    assert nearest("7", [7, 8]) == "did you mean '7'?"


def test_a_missing_column_is_named_with_its_source():
    table = pd.DataFrame({"courtesy_1": [1]})
    need_columns(table, ["courtesy_1"], source="survey.csv")
    with pytest.raises(Problem) as caught:
        need_columns(table, ["courtesy_1", "curtesy_1"], source="survey.csv")
    assert str(caught.value) == (
        "survey.csv has no column 'curtesy_1'.\n  To mend: did you mean 'courtesy_1'?"
    )


def test_answers_off_the_scale_are_counted_and_placed():
    given = pd.DataFrame({"q1": [1.0, 7.0, np.nan], "q7": [9.0, 7.0, 0.0]}, index=[2, 5, 11])
    need_on_scale(given[["q1"]], points=(1, 7), source="survey.csv")
    with pytest.raises(Problem) as caught:
        need_on_scale(given, points=(1, 7), source="survey.csv")
    assert caught.value.what == (
        "survey.csv: 'q7' has 2 answers outside 1 to 7 (first rows: 2, 11; values: [0.0, 9.0])."
    )


def test_no_more_than_five_rows_and_eight_values_are_shown():
    given = pd.DataFrame({"q1": np.arange(100.0, 120.0)})
    assert first_rows(given) == "0, 1, 2, 3, 4"
    with pytest.raises(Problem, match=r"has 20 answers .* 107\.0\]\)"):
        need_on_scale(given, points=(1, 7), source="survey.csv")


def test_too_few_rows_are_refused_not_a_fault_of_the_data():
    table = pd.DataFrame({"a": range(9)})
    need_rows(table, 9, source="complaints", why="a chart")
    with pytest.raises(Refusal, match="has 9 usable rows where a chart needs 10"):
        need_rows(table, 10, source="complaints", why="a chart")


@pytest.mark.parametrize("value", [0, 1, -0.1, 95, float("nan")])
def test_a_share_lies_between_nought_and_one(value):
    need_share(0.95, name="confidence")
    with pytest.raises(Problem, match="confidence is") as caught:
        need_share(value, name="confidence")
    assert not isinstance(caught.value, Refusal)


def test_a_word_is_one_of_those_known():
    need_one_of("low", iter(["low", "high"]), name="better")
    with pytest.raises(Problem, match="better is 'lo'"):
        need_one_of("lo", ["low", "high"], name="better")


def test_an_earlier_check_that_failed_refuses_what_rests_on_it():
    need_passed(True, check="the model fits")
    with pytest.raises(Refusal, match="the model misses by 40 %"):
        need_passed(False, check="the model misses by 40 %")


def test_answers_in_words_are_no_numbers():
    table = pd.DataFrame({"q1": [1, 2], "q2": ["much", "little"]})
    need_numbers(table, ["q1"], source="the answers")
    with pytest.raises(Problem, match="the answers: 'q2' does not hold numbers"):
        need_numbers(table, ["q1", "q2"], source="the answers")


def test_weights_are_none_below_zero_and_not_all_zero():
    assert need_sound_weights(pd.Series([0, 2]), name="'w'").tolist() == [0.0, 2.0]
    with pytest.raises(Problem, match=r"'w' has 2 blank or negative weights \(first rows: 1, 2\)"):
        need_sound_weights(pd.Series([1, None, -1]), name="'w'")
    with pytest.raises(Problem, match="sum to zero"):
        need_sound_weights(pd.Series([0.0, 0.0]), name="'w'")


def test_settings_are_known_and_complete():
    need_settings({"weeks": 4}, known=["weeks", "share"], needs=["weeks"], name="pilot")
    with pytest.raises(Problem, match="pilot has a setting 'shere'"):
        need_settings({"shere": 1}, known=["weeks", "share"], needs=[], name="pilot")
    with pytest.raises(Problem, match="pilot has no setting 'weeks'"):
        need_settings({}, known=["weeks"], needs=["weeks"], name="pilot")
