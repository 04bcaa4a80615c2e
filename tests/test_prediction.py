"""Predicted against realised: intervals by hand, every verdict, and what cannot be compared."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods import prediction
from sqm.methods.prediction import compare


def changes(*rows):
    return pd.DataFrame(rows, columns=["measure", "unit", "estimate", "low", "high"])


def one(predicted, realised):
    found = compare(changes(("x", "s", *predicted)), changes(("x", "s", *realised)))
    return found.table.iloc[0]


def test_symmetric_intervals_add_their_half_widths_in_square():
    row = one((-10, -13, -7), (-6, -10, -2))  # 3 and 4 give 5
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx([4, -1, 9])


def test_each_side_of_a_lopsided_interval_counts_where_it_matters():
    # low: realised below by 3, predicted above by 4; high: realised above by 12, predicted below 5
    row = one((10, 5, 14), (20, 17, 32))
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx([10, 5, 23])


def test_a_prediction_without_error_leaves_the_realised_interval():
    row = one((10, 10, 10), (12, 9, 15))
    assert row[["low", "high"]].tolist() == pytest.approx([-1, 5])


@pytest.mark.parametrize(
    ("predicted", "realised", "verdict"),
    [
        ((-10, -13, -7), (-8, -9, -7), prediction.INSIDE),
        ((-10, -11, -9), (-8, -11, -5), prediction.UNSURE),
        ((-10, -11, -9), (-3, -5, -1), prediction.SMALLER),
        ((10, 9, 11), (3, 1, 5), prediction.SMALLER),
        ((-10, -11, -9), (-20, -22, -18), prediction.LARGER),
        ((-10, -11, -9), (3, 1, 5), prediction.OTHER_WAY),
    ],
)
def test_verdicts(predicted, realised, verdict):
    assert one(predicted, realised)["verdict"] == verdict


def test_no_change_at_all_is_remarked_upon():
    assert "no change at all" in one((-3, -5, -1), (-2, -5, 1))["note"]
    assert one((-3, -5, -1), (-2, -3, -1))["note"] == ""


@pytest.fixture
def compared():
    predicted = changes(
        ("Resolved", "share", 0.08, 0.07, 0.09),
        ("Wait", "s", -20.0, -30, -10),
        ("Cost", "EUR", -5.0, -9, -1),
        ("Calls", "n", 3.0, np.nan, np.nan),
    )
    realised = changes(
        ("Agents", "n", 1.0, 0, 2),
        ("Calls", "n", 2.0, 1, 3),
        ("Wait", "s", -21.0, -41, -1),
        ("Resolved", "share", 0.102, 0.091, 0.113),
    )
    return compare(predicted, realised)


def test_rows_keep_the_order_of_the_prediction_and_say_what_is_missing(compared):
    table = compared.table
    assert table["measure"].tolist() == ["Resolved", "Wait", "Cost", "Calls", "Agents"]
    assert table["note"].tolist() == [
        "",
        "",
        "predicted only",
        "predicted without an interval",
        "realised only",
    ]
    assert table.loc[2:, ["estimate", "low", "high"]].isna().all(axis=None)
    assert table["unit"].tolist() == ["share", "s", "EUR", "n", "n"]
    assert (compared.compared, compared.inside, compared.missed) == (2, 1, 1)


def test_intervals_made_at_another_level_are_stretched_to_the_same():
    """At 90 % a normal interval reaches 1.644854 errors, at 95 % 1.959964."""
    ninety = changes(("Wait", "s", -10.0, -11.644854, -8.355146))
    realised = changes(("Wait", "s", -10.0, -10.0, -10.0))
    found = compare(ninety, realised, predicted_confidence=0.9)
    row = found.table.loc[0]
    assert (row["predicted_low"], row["predicted_high"]) == pytest.approx((-11.959964, -8.040036))
    assert (row["low"], row["high"]) == pytest.approx((-1.959964, 1.959964))
    assert "made at 90%, are stretched to 95%" in found.sentence()
    assert "stretched" not in compare(ninety, realised).sentence()


def test_a_lever_of_the_scenario_is_not_taken_for_a_forecast():
    predicted = changes(("Solved", "share", 0.11, 0.1099, 0.1101), ("Wait", "s", -10.0, -11, -9))
    realised = changes(("Solved", "share", 0.10, 0.09, 0.11), ("Wait", "s", -10.0, -11, -9))
    said = compare(predicted, realised).sentence()
    assert "assumed rather than foretold: Solved." in said


def test_what_cannot_be_told_from_no_change_confirms_nothing():
    predicted = changes(("Wait", "s", -10.0, -11, -9), ("Cost", "EUR", -5.0, -6, -4))
    realised = changes(("Wait", "s", -2.0, -12, 8), ("Cost", "EUR", -5.0, -6, -4))
    said = compare(predicted, realised).sentence()
    assert said.startswith("None of 2 predicted changes differs")
    assert "; 1 of them could not be told from no change at all." in said.split("\n")[0]


def test_the_sentence_gives_both_numbers_in_their_unit(compared):
    words = compared.sentence()
    assert words.startswith("1 of 2 predicted changes differs from what happened")
    assert "predicted 8.0 (7.0 to 9.0) percentage points, realised 10.2 (9.1 to 11.3)" in words
    assert "Wait: predicted -20 (-30 to -10) s, realised -21 (-41 to -1)" in words
    assert "Not comparable: Cost (predicted only)" in words


def test_the_picture_pairs_the_intervals(compared):
    ax = compared.plot(plt.figure().gca())
    assert ax.get_title() == "Did the prediction come true?"
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["Resolved\npercentage points", "Wait\ns"]
    written = [text.get_text() for text in ax.texts]
    assert written[:2] == ["8.0 (7.0 to 9.0)", "10.2 (9.1 to 11.3)"]
    # resolved is drawn on its own scale: its widest limit, 0.113, is 1
    spans = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert spans[1][1] == pytest.approx(1.0)
    plt.close("all")


@pytest.mark.parametrize(
    ("predicted", "realised", "words"),
    [
        ([("x", "s", 1, 0, 2)] * 2, [("x", "s", 1, 0, 2)], "'x' is predicted twice"),
        ([("x", "s", 1, 0, 2)], [("x", "min", 1, 0, 2)], "in 's' and realised in 'min'"),
        ([("x", "s", 1, 2, 0)], [("x", "s", 1, 0, 2)], "does not lie between"),
    ],
)
def test_bad_tables_are_problems(predicted, realised, words):
    with pytest.raises(Problem, match=words):
        compare(changes(*predicted), changes(*realised))


def test_missing_columns_levels_and_measures():
    good = changes(("x", "s", 1, 0, 2))
    with pytest.raises(Problem, match="no column 'unit'"):
        compare(good.drop(columns="unit"), good)
    with pytest.raises(Problem, match="confidence is 95"):
        compare(good, good, confidence=95)
    with pytest.raises(Refusal, match="No measure was both"):
        compare(good, changes(("y", "s", 1, 0, 2)))
    with pytest.raises(Refusal, match="No measure was both"):
        compare(good, good[:0])


def test_the_difference_covers():
    """2,000 pairs of independent estimates, true difference 1: 0.95, standard error 0.005."""
    rng = np.random.default_rng(4)
    predicted = rng.normal(2, 1.5, 2000)
    realised = rng.normal(3, 1.0, 2000)
    half = 1.959964 * np.array([1.5, 1.0])
    hits = [
        found["low"] <= 1 <= found["high"]
        for found in (
            prediction._difference(p, p - half[0], p + half[0], r, r - half[1], r + half[1])
            for p, r in zip(predicted, realised, strict=True)
        )
    ]
    assert 0.935 <= np.mean(hits) <= 0.965


def test_the_interval_score_by_hand():
    """Width 6 at 90 %; a miss by 2 costs 2 / 0.1 for each unit."""
    inside = compare(
        changes(("x", "s", -10, -13, -7)),
        changes(("x", "s", -8, -9, -7)),
        predicted_confidence=0.9,
    )
    outside = compare(
        changes(("x", "s", -10, -13, -7)),
        changes(("x", "s", -5, -9, -1)),
        predicted_confidence=0.9,
    )
    assert inside.table["score"].tolist() == pytest.approx([6])
    assert outside.table["score"].tolist() == pytest.approx([46])
