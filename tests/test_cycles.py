"""Cycles of improvement: built from a comparison, written, decided later, and read back."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm import ledger as ledgers
from sqm.checks import Problem, Refusal
from sqm.methods.cycles import LEDGER, cycle_row, history, latest
from sqm.methods.prediction import compare

HEAD = ["measure", "unit", "estimate", "low", "high"]
GIVEN = {"study": "calls", "option": "training", "change_on": "2025-09-29"}


@pytest.fixture
def compared():
    """One inside, one outside, one foretold only; promised at 90 %, told at 95 %."""
    predicted = pd.DataFrame(
        [
            ["resolved", "share", 0.10, 0.08, 0.12],
            ["wait", "s", -20.0, -24.0, -16.0],
            ["cost", "EUR", -5.0, -6.0, -4.0],
        ],
        columns=HEAD,
    )
    realised = pd.DataFrame(
        [["resolved", "share", 0.09, 0.07, 0.11], ["wait", "s", -10.0, -13.0, -7.0]], columns=HEAD
    )
    return compare(predicted, realised, predicted_confidence=0.9).table


def rows(compared, **more):
    settings = {"predicted_confidence": 0.9, "treated": ["N2", "S4"], **GIVEN, **more}
    return cycle_row(compared, **settings)


def test_a_cycle_is_laid_out_as_it_was_promised(compared):
    """compare() stretched the 90 % interval; the ledger holds what was promised."""
    found = rows(compared, target=0.2, ctq="resolved at first contact")
    assert found.columns.tolist() == list(LEDGER)
    assert found["predicted_low"].tolist() == pytest.approx([0.08, -24, -6])
    assert set(found["predicted_confidence"]) == {0.9}
    assert found["inside"].tolist() == ["yes", "no", "cannot say"]
    assert found["treated"].unique().tolist() == ["N2; S4"]
    assert found["note"].tolist()[2] == "predicted only"
    assert set(found["cycle"]) == {1}


def test_the_same_change_is_the_same_cycle_and_another_the_next(compared):
    first = rows(compared)
    assert rows(compared, ledger=first, decision="adopt")["cycle"].unique().tolist() == [1]
    assert rows(compared, ledger=first, option="menu")["cycle"].unique().tolist() == [2]
    assert rows(compared, ledger=first, study="letters")["cycle"].unique().tolist() == [1]


def test_a_decision_that_comes_later_counts_and_the_ledger_keeps_both(compared, tmp_path):
    path = tmp_path / "cycles.csv"
    first = ledgers.append(path, rows(compared))
    people = {"decided_by": "Ana", "lessons": "start\nearlier", "next_question": "Why waits?"}
    both = ledgers.append(path, rows(compared, ledger=first, decision="adapt", **people))
    assert len(both) == 6
    found = history(both)
    assert (found.cycles, found.open, found.adapted) == (1, 0, ("training",))
    row = found.table.loc[0]
    assert row[["decision", "decided_by", "lessons"]].tolist() == ["adapt", "Ana", "start earlier"]
    assert (row["measures"], row["measures_inside"]) == (2, 1)
    assert history(first).undecided == ("training",)


def test_the_sentence_tells_the_last_cycle_and_where_define_starts(compared):
    one = rows(compared, decision="abandon", lessons="too dear")
    two = rows(
        compared,
        option="menu",
        ledger=one,
        decision="adopt",
        decided_by="Li",
        next_question="Which hours?",
    )
    three = rows(compared, option="call back", ledger=pd.concat([one, two]))
    found = history(pd.concat([one, two, three]))
    first, rest = found.sentence().split("\n")
    assert first == (
        "3 cycles so far; the last, call back from 2025-09-29: resolved predicted +10.0, came +9.0"
        " (+7.0 to +11.0) percentage points, inside the promise (1 of 2 measures inside); decision"
        " still to be taken."
    )
    assert len(first) <= 220
    assert "Adopted, so part of the process now: menu." in rest
    assert "Tried and abandoned, so not to be proposed anew without a new reason: training." in rest
    assert "the decision still to be taken: call back." in rest
    assert "The next question: Which hours?" in found.starts_from()
    assert "Learnt: too dear." in rest
    assert "Decided by nobody who is named: cycle 1." in rest


def test_a_cycle_without_a_realised_interval_is_told(compared):
    bare = compared.assign(realised_low=np.nan, realised_high=np.nan, note="no interval")
    words = history(rows(bare)).sentence()
    assert "what happened cannot be held against the promise (no interval)" in words
    assert "cannot be held together in cycle 1 (no interval)" in words


def test_the_picture_has_a_row_for_each_cycle(compared):
    one = rows(compared, decision="adopt")
    ax = history(pd.concat([one, rows(compared, option="menu", ledger=one)])).plot(
        plt.figure().gca()
    )
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1 · training", "2 · menu"]
    assert "resolved: predicted +10.0,\ncame +9.0" in ax.texts[0].get_text()
    plt.close("all")


def test_what_is_wrong_is_a_problem(compared):
    with pytest.raises(Problem, match="did you mean 'adopt'"):
        rows(compared, decision="adpot")
    with pytest.raises(Problem, match="no option"):
        rows(compared, option=" ")
    with pytest.raises(Problem, match="no day"):
        rows(compared, change_on="soon")
    with pytest.raises(Problem, match="predicted_confidence is 90"):
        rows(compared, predicted_confidence=90)
    with pytest.raises(Refusal, match="Nothing was compared"):
        rows(compared[:0])
    with pytest.raises(Refusal, match="No cycle"):
        history(pd.DataFrame())
    with pytest.raises(Problem, match="A decision in the ledger"):
        history(rows(compared).assign(decision="perhaps"))
    assert len(latest(rows(compared))) == 3
