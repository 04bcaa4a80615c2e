"""Steadiness is asked before capability, and both answers are shown with their evidence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.assurance import case_by_ctq

EVERY = [
    ("no", "no", "assurance"),
    ("no", "cannot say", "assurance"),
    ("no", "yes", "assurance"),
    ("yes", "no", "improvement"),
    ("yes", "cannot say", "cannot say"),
    ("yes", "yes", "hold"),
    ("cannot say", "no", "cannot say"),
    ("cannot say", "cannot say", "cannot say"),
    ("cannot say", "yes", "cannot say"),
]


def _tables(answers, names=None):
    names = names or [f"ctq {at}" for at in range(len(answers))]
    baseline = pd.DataFrame(
        {
            "ctq": names,
            "estimate": 0.125,
            "low": 0.11,
            "high": 0.141,
            "target": 0.1,
            "meets_target": [each[1] for each in answers],
            "note": "",
        }
    )
    steadiness = pd.DataFrame(
        {
            "ctq": names,
            "steady": [each[0] for each in answers],
            "signals": [3 if each[0] == "no" else 0 for each in answers],
            "periods": 39,
            "false_alarm": 0.08,
            "note": "",
        }
    )
    return baseline, steadiness


def test_every_combination_has_its_case():
    found = case_by_ctq(*_tables(EVERY))
    assert found.table["case"].tolist() == [case for *_, case in EVERY]
    assert found.improvement == ("ctq 3",) and found.hold == ("ctq 5",)
    assert len(found.assurance) == 3 and len(found.cannot_say) == 4


def test_the_evidence_holds_the_counts_the_false_alarm_and_the_interval():
    found = case_by_ctq(*_tables([("no", "no")]))
    assert found.table["evidence"].iloc[0] == (
        "unsteady: 3 signals in 39 periods (a steady process of that length signals with a chance "
        "of 8%); 12.5 % defects (interval 11 to 14.1) where 10 % are tolerated: misses the target."
    )


def test_the_sentence_answers_in_plain_words():
    found = case_by_ctq(*_tables([("no", "no"), ("yes", "no"), ("yes", "yes")], ["a", "b", "c"]))
    said = found.sentence()
    first, rest = said.split("\n")
    assert first == "A case for assurance: a. A case for improvement: b. Hold: c."
    assert "A case for assurance means: unsteady, so find the cause" in rest
    assert "A case for improvement means: steady but not good enough" in rest
    # three charts, each with 8 %: at most 24 % that one of them signals
    assert found.family_false_alarm == pytest.approx(0.24)
    assert "At least one of the 3 charts would signal with a chance of up to 24%" in said


def test_an_unsteady_chart_with_a_remark_is_called_less_sure():
    baseline, steadiness = _tables([("no", "no"), ("yes", "no")], ["a", "b"])
    steadiness["note"] = ["neighbouring periods are alike", "neighbouring periods are alike"]
    found = case_by_ctq(baseline, steadiness)
    assert found.doubtful == ("a",)
    assert "Less sure than the others: a (neighbouring periods are alike)." in found.sentence()
    assert "chance of 8%), but neighbouring periods are alike;" in found.table.loc[0, "evidence"]
    assert "alike" not in found.table.loc[1, "evidence"]
    assert "Less sure" not in case_by_ctq(baseline, steadiness.assign(note="")).sentence()


def test_what_was_not_charted_cannot_be_said_and_says_why():
    baseline, steadiness = _tables([("yes", "no"), ("yes", "no")], ["a", "b"])
    baseline.loc[1, ["estimate", "low", "high"]] = np.nan
    baseline.loc[1, ["meets_target", "note"]] = ["cannot say", "there is no table survey"]
    found = case_by_ctq(baseline, steadiness.iloc[:1])
    row = found.table.iloc[1]
    assert (row["case"], row["signals"], row["periods"]) == ("cannot say", 0, 0)
    assert "b (steadiness not known: it was not charted; defects not known: there is no table" in (
        found.sentence()
    )
    assert found.family_false_alarm == pytest.approx(0.08)


def test_too_short_a_chart_gives_its_reason():
    baseline, steadiness = _tables([("cannot say", "no")])
    steadiness["note"], steadiness["false_alarm"] = "8 weeks are too few", np.nan
    found = case_by_ctq(baseline, steadiness)
    assert "8 weeks are too few" in found.sentence()
    assert "signal with a chance" not in found.sentence()


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        (0, "meets_target", "Yes", "meets_target of 'ctq 0' is 'Yes'"),
        (1, "steady", "maybe", "steady of 'ctq 0' is 'maybe'"),
        (1, "ctq", "ctq O", "No baseline for the CTQ 'ctq O'.\n.*'ctq 0'"),
    ],
)
def test_wrong_answers_and_names_are_problems(table, column, value, message):
    both = _tables([("yes", "no")])
    both[table][column] = value
    with pytest.raises(Problem, match=message):
        case_by_ctq(*both)


def test_a_ctq_twice_a_missing_column_and_none():
    baseline, steadiness = _tables([("yes", "no")])
    with pytest.raises(Problem, match="'ctq 0' comes twice"):
        case_by_ctq(pd.concat([baseline] * 2), steadiness)
    with pytest.raises(Problem, match="no column 'steady'"):
        case_by_ctq(baseline, steadiness.rename(columns={"steady": "stead"}))
    with pytest.raises(Refusal, match="no CTQ to judge"):
        case_by_ctq(baseline.iloc[:0], steadiness.iloc[:0])


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("answers", [EVERY, [("yes", "no")] * 12, [("no", "yes")]])
def test_names_in_the_map_do_not_overlap(answers):
    names = [f"{at} 首次解决 $x$ answered within the time agreed" for at in range(len(answers))]
    figure, ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    found = case_by_ctq(*_tables(answers, names))
    found.plot(ax)
    figure.draw_without_rendering()
    texts = [text.get_window_extent() for text in ax.texts if text.get_text().strip()]
    for at, one in enumerate(texts):
        for other in texts[at + 1 :]:
            apart_x = one.x1 <= other.x0 or other.x1 <= one.x0
            assert apart_x or one.y1 <= other.y0 + 1 or other.y1 <= one.y0 + 1
    fields = 9 if answers is EVERY else 4
    assert len(ax.patches) == fields
    assert ax.get_ylabel() == "is it steady?"
    plt.close(figure)
