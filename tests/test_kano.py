"""Kano's categories by hand, by the printed table, and with doubt where doubt is due."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm import look
from sqm.checks import Problem, Refusal
from sqm.methods.kano import EVALUATION, kano_categories, kano_scores

CASE = json.loads(
    (Path(__file__).parent / "reference" / "kano_evaluation_table.json").read_text("utf-8")
)
# one pair of answers (functional, dysfunctional) for each category
PAIR = {"M": (3, 5), "O": (1, 5), "A": (1, 3), "I": (3, 3), "R": (5, 1), "Q": (1, 1)}


def answers(**features):
    """``answers(callback="AAO")``: one respondent a letter."""
    rows = [
        (f"r{at}", feature, *PAIR[letter])
        for feature, letters in features.items()
        for at, letter in enumerate(letters)
    ]
    return pd.DataFrame(rows, columns=["respondent", "feature", "functional", "dysfunctional"])


def categories(table, **more):
    return kano_categories(table, rng=np.random.default_rng(1), **more)


def test_the_evaluation_table_is_the_printed_one():
    assert [list(row) for row in EVALUATION] == CASE["expected"]["table"]


@pytest.mark.parametrize("functional", range(1, 6))
@pytest.mark.parametrize("dysfunctional", range(1, 6))
def test_every_cell_of_the_table_counts_where_it_should(functional, dysfunctional):
    letter = CASE["expected"]["table"][functional - 1][dysfunctional - 1]
    table = answers(x="I").assign(functional=functional, dysfunctional=dysfunctional)
    found = categories(table).table.loc[0]
    names = {"M": "must_be", "O": "one_dimensional", "A": "attractive"}
    names |= {"I": "indifferent", "R": "reverse", "Q": "questionable"}
    assert {name: int(found[name]) for name in names.values()} == {
        name: int(name == names[letter]) for name in names.values()
    }


def test_the_printed_example():
    example = CASE["expected"]["example"]
    found = categories(answers(x="".join(k * n for k, n in example["counts"].items())))
    row = found.table.loc[0]
    assert row["better"] == pytest.approx(example["better"], abs=1e-12)
    assert row["worse"] == pytest.approx(example["worse"], abs=1e-12)
    assert (row["category"], row["label"]) == ("one-dimensional", "one-dimensional")
    # Wilson's limits of 75 of 100: (0.75 + 0.019207 -+ 1.95996 sqrt(0.001875 + 0.000096)) / 1.0384
    assert [row["better_low"], row["better_high"]] == pytest.approx([0.6569, 0.8246], abs=2e-4)
    assert "worse -0.60 (95% interval -0.69 to -0.50)" in found.sentence()
    assert "Questionable: 1 of 103 pairs" in found.sentence()


def test_another_evaluation_table_can_be_given():
    """Some authors take must-be and must-be for a contradiction."""
    other = ("QAAAO", "RQIIM", "RIIIM", "RIIQM", "RRRRQ")
    table = answers(x="I" * 12).assign(functional=2, dysfunctional=2)
    assert categories(table).table["category"][0] == "indifferent"
    assert categories(table, evaluation=other).table["category"][0] == "questionable"


def test_the_rule_and_the_mode_may_disagree():
    """I leads with 9 of 20, but M + O + A = 11 outweigh it, and of them M is the largest."""
    row = categories(answers(x="I" * 9 + "M" * 5 + "O" * 3 + "A" * 3)).table.loc[0]
    assert (row["category"], row["category_by_rule"]) == ("indifferent", "must-be")


def test_a_tie_is_never_settled_and_goes_to_the_graver_category():
    row = categories(answers(x="A" * 30 + "M" * 30)).table.loc[0]
    assert (row["category"], row["runner_up"], row["label"]) == ("must-be", "attractive", "")
    assert row["stability"] == pytest.approx(0.5, abs=0.06)


def test_stability_is_the_chance_of_a_lead():
    """30 to 20: the lead in a resample of 50 is positive with the binomial's chance.

    P(Bin(50, 0.6) > 25) + P(= 25) / 2 = 0.9022 + 0.0405 / 2 = 0.9225.
    """
    found = categories(answers(x="A" * 30 + "I" * 20), resamples=20_000).table.loc[0]
    assert found["stability"] == pytest.approx(0.9225, abs=0.008)


def test_fong_by_hand():
    """N = 100, 30 against 20: 1.65 sqrt(50 * 150 / 200) = 10.10, so 10 is not enough, 11 is."""
    rest = "O" * 17 + "I" * 17 + "R" * 16
    assert not categories(answers(x="A" * 30 + "M" * 20 + rest)).table["fong"][0]
    # 31 against 20 of 101: 1.65 sqrt(51 * 151 / 202) = 10.19
    assert categories(answers(x="A" * 31 + "M" * 20 + rest)).table["fong"][0]


def test_few_answers_settle_nothing():
    found = categories(answers(few="A" * 9, enough="A" * 10))
    label = found.table.set_index("feature")["label"]
    assert label.to_dict() == {"few": "", "enough": "attractive"}
    assert "few (9 answers)" in found.sentence()


def test_all_contradicting_themselves():
    found = categories(answers(x="Q" * 40, y="R" * 40))
    assert found.table["better"].isna().all()
    assert found.table["note"].str.contains("reverse or questionable").all()
    assert found.sentence().startswith("No feature's effect can be given")
    found.plot(plt.figure().subplots())
    assert "No mean" in kano_scores(answers(x="Q" * 40)).sentence()
    plt.close("all")


def test_blanks_are_counted_feature_by_feature():
    table = answers(x="A" * 12, y="M" * 12)
    table.loc[[0, 13], "functional"] = np.nan
    table.loc[14, "dysfunctional"] = np.nan
    table.index = [0] * len(table)
    found = categories(table)
    assert found.table.set_index("feature")["left_out"].to_dict() == {"x": 1, "y": 2}
    assert found.left_out == 3
    scores = kano_scores(table).table.set_index("feature")
    assert scores["left_out"].to_dict() == {"x": 1, "y": 2}


def test_scores_by_hand():
    """Having: 4, 4, 0, 0, mean 2, sd 2.3094, t(3) 3.1824: half width 3.6747."""
    row = kano_scores(answers(x="AOIMQ")).table.loc[0]
    assert row["functional"] == 2.0
    assert row["functional_low"] == pytest.approx(2 - 3.6747, abs=1e-3)
    assert row["dysfunctional"] == pytest.approx((0 + 4 + 0 + 4) / 4)
    assert (row["respondents"], row["questionable"]) == (4, 1)
    assert (row["category"], row["label"]) == ("one-dimensional", "")


def test_a_quadrant_is_named_where_both_intervals_lie_in_it():
    table = answers(delight="A" * 40 + "O" * 4 + "I" * 4, unwanted="R" * 40 + "I" * 4)
    label = kano_scores(table).table.set_index("feature")["label"]
    assert label.to_dict() == {"delight": "attractive", "unwanted": "reverse"}


def test_the_same_seed_gives_the_same_answer_whatever_the_order_of_features():
    table = answers(x="A" * 20 + "O" * 18, y="M" * 30 + "O" * 20)
    once, again = categories(table), categories(table)
    pd.testing.assert_frame_equal(once.table, again.table)


def test_bad_input():
    good = answers(x="A" * 12)
    with pytest.raises(Problem, match=r"not 1, 2, 3, 4 or 5 .*values: \[9\]"):
        categories(good.assign(functional=[9] + [1] * 11))
    with pytest.raises(Problem, match="not 1, 2, 3, 4 or 5"):
        categories(good.assign(functional=1.5))
    with pytest.raises(Problem, match="does not hold numbers"):
        categories(good.assign(functional="like"))
    with pytest.raises(Problem, match="repeat a respondent and feature"):
        categories(pd.concat([good, good]))
    with pytest.raises(Refusal, match="Nobody answered both"):
        categories(good.assign(dysfunctional=np.nan))
    with pytest.raises(Refusal, match="no column 'feature'"):
        categories(good.drop(columns="feature"))
    with pytest.raises(Problem, match="The evaluation table is"):
        categories(good, evaluation=("QAAAO",))
    with pytest.raises(Problem, match="probability is 1"):
        categories(good, probability=1)
    with pytest.raises(Problem, match="resamples is 0"):
        categories(good, resamples=0)


def test_pictures_name_every_feature():
    look.apply()
    table = answers(**{"$5 <b>回电": "A" * 30 + "O" * 5, "hours": "M" * 20 + "O" * 15})
    for found in (categories(table), kano_scores(table)):
        ax = found.plot(plt.figure().subplots())
        assert ax.get_title(loc="left").endswith("?") or ax.get_title().endswith("?")
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        assert len(names) == 2
        assert any("$5 <b>回电" in name for name in names)
        first = found.sentence().splitlines()[0]
        assert len(first) <= 220
        assert "95% interval" in first
    plt.close("all")
