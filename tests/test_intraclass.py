"""Intraclass correlations against Shrout and Fleiss, sums by hand, and identities."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.intraclass import icc, retest, stepped_up

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="module")
def judged():
    case = json.loads((REFERENCE / "icc_shrout_fleiss.json").read_text(encoding="utf-8"))
    return np.array(case["input"]["ratings"], dtype=float), case


def long(values, raters="wxyz"):
    n, k = np.shape(values)
    return pd.DataFrame(
        {
            "target": np.repeat([f"t{i}" for i in range(n)], k),
            "rater": np.tile(list(raters[:k]), n),
            "score": np.ravel(values),
        }
    )


def occasions(values, dimension="courtesy"):
    table = long(values, "12345").rename(columns={"target": "respondent", "rater": "occasion"})
    return table.assign(dimension=dimension)


def by_form(found):
    return found.table.set_index("form")


def test_published_forms_and_limits(judged):
    values, case = judged
    table = by_form(icc(long(values)))
    for form, printed in case["expected"].items():
        assert table.loc[form, "estimate"] == pytest.approx(printed["icc"], abs=1e-6)
        assert table.loc[form, "f_low"] == pytest.approx(printed["lo"], abs=1e-6)
        assert table.loc[form, "f_high"] == pytest.approx(printed["hi"], abs=1e-6)
        if not form.startswith("ICC2"):
            assert table.loc[form, "low"] == table.loc[form, "f_low"]
    rounded = table["estimate"].round(2).tolist()
    assert rounded == list(case["published"].values())


def test_the_sentence_says_the_number_and_the_picture_draws_it(judged):
    found = icc(long(judged[0]))
    assert "0.29 (95% interval" in found.sentence().splitlines()[0]
    assert len(found.sentence().splitlines()[0]) <= 220
    assert "6 targets with 4 scores each" in found.sentence()
    assert "ICC(3,1) is 0.71 (95% interval 0.34 to 0.95)" in found.sentence()
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title().endswith("?")
    assert len(ax.get_yticklabels()) == 6
    plt.close("all")


def test_raters_of_one_severity_make_the_forms_agree():
    """No difference between raters and many targets: ICC2 and ICC3 are as good as one."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4000, 1)) + rng.normal(size=(4000, 3))
    table = by_form(icc(long(values - values.mean(axis=0))))
    assert table.loc["ICC2", "estimate"] == pytest.approx(table.loc["ICC3", "estimate"], abs=1e-3)
    assert table.loc["ICC3", "estimate"] == pytest.approx(0.5, abs=0.03)
    assert stepped_up(table.loc["ICC3", "estimate"], 3) == pytest.approx(
        table.loc["ICC3k", "estimate"]
    )


def test_the_mean_of_raters_is_cronbachs_alpha(judged):
    """ICC(3,k) is alpha with the raters as items."""
    values = judged[0]
    alpha = 4 / 3 * (1 - values.var(axis=0, ddof=1).sum() / values.sum(axis=1).var(ddof=1))
    assert by_form(icc(long(values))).loc["ICC3k", "estimate"] == pytest.approx(alpha)


def test_a_constant_added_by_one_rater_leaves_icc3(judged):
    values = judged[0]
    moved = by_form(icc(long(values + np.array([0, 0, 0, 5]))))
    still = by_form(icc(long(values)))
    assert moved.loc["ICC3", "estimate"] == pytest.approx(still.loc["ICC3", "estimate"])
    assert moved.loc["ICC2", "estimate"] < still.loc["ICC2", "estimate"]


def test_a_rater_who_rated_nothing_and_a_target_not_rated_by_all(judged):
    values = np.column_stack([judged[0], np.full(6, np.nan)])
    values = np.vstack([values, [5, np.nan, 4, 4, np.nan]])
    found = icc(long(values, "wxyzq"))
    assert (found.silent, found.targets, found.left_out) == (("q",), 6, 1)
    assert "Scored nothing, left out: q." in found.sentence()
    assert "(1 target without all scores left out)" in found.sentence()
    whole = icc(long(judged[0]))
    assert found.table["estimate"].tolist() == whole.table["estimate"].tolist()


def test_raters_who_differ_from_target_to_target_leave_the_one_way_forms(judged):
    scores = long(judged[0])
    scores["rater"] = np.arange(len(scores)).astype(str)
    found, crossed = by_form(icc(scores)), by_form(icc(long(judged[0])))
    assert found["estimate"].notna().tolist() == [True, False, False, True, False, False]
    assert found.loc["ICC1"].iloc[3:6].tolist() == crossed.loc["ICC1"].iloc[3:6].tolist()
    assert found.loc["ICC2", "note"] == "needs raters who scored every target"
    assert "only the one-way forms are given" in icc(scores).sentence()


def test_raters_who_agree_wholly_have_no_interval():
    found = icc(long([[1, 2], [3, 4], [5, 6], [7, 8]]))
    table = by_form(found)
    assert table.loc["ICC3", "estimate"] == 1
    assert np.isnan(table.loc["ICC3", "low"])
    assert "never differ but by a constant" in found.sentence()


def test_targets_that_do_not_differ():
    found = by_form(icc(long([[1, 3], [3, 1], [2, 2], [4, 0]])))
    assert found.loc["ICC1", "estimate"] == -1
    assert np.isnan(found.loc["ICC1k", "estimate"])
    assert found.loc["ICC1k", "note"].startswith("The targets do not differ")


def test_bad_scores(judged):
    scores = long(judged[0])
    with pytest.raises(Problem, match="more than one score by rater 'w'"):
        icc(pd.concat([scores, scores.iloc[:1]]))
    with pytest.raises(Problem, match="does not hold numbers"):
        icc(scores.astype({"score": str}))
    with pytest.raises(Problem, match="did you mean 'rater'"):
        icc(scores, rater="ratter")
    with pytest.raises(Refusal, match="Every score is the same"):
        icc(scores.assign(score=3.0))
    with pytest.raises(Refusal, match="2 targets have more than one score"):
        icc(scores.iloc[:8])
    with pytest.raises(Refusal, match="more than one score"):
        icc(scores.assign(score=np.nan))
    with pytest.raises(Problem, match="confidence is 95"):
        icc(scores, confidence=95)


def test_retest_by_hand():
    """Differences 1, 1, 2, 0: mean 1, variance 2/3; t(3) = 3.1824."""
    found = retest(occasions([[1, 2], [2, 3], [3, 5], [4, 4]]))
    row = found.table.loc[0]
    half = 3.182446 * np.sqrt(2 / 3 / 4)
    assert [row["change"], row["change_low"], row["change_high"]] == pytest.approx(
        [1, 1 - half, 1 + half], abs=1e-5
    )
    assert row["error"] == pytest.approx(np.sqrt(1 / 3))
    # 3 degrees of freedom: 3 E = 1 over chi-square quantiles 9.3484 and 0.21580
    assert [row["error_low"], row["error_high"]] == pytest.approx(
        [np.sqrt(1 / 9.3484), np.sqrt(1 / 0.21580)], abs=1e-4
    )
    assert row["smallest_change"] == pytest.approx(1.959964 * np.sqrt(2 / 3))


def test_retest_is_icc_with_occasions_as_raters():
    values = np.random.default_rng(2).normal(size=(30, 1)) + np.random.default_rng(3).normal(
        size=(30, 2)
    )
    one = by_form(icc(long(values))).loc["ICC2", "estimate"]
    assert retest(occasions(values)).table.loc[0, "estimate"] == pytest.approx(one)


def test_retest_says_what_moved_and_what_is_missing():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(80, 1)) + rng.normal(scale=0.3, size=(80, 2))
    values[0, 1] = np.nan
    found = retest(
        pd.concat(
            [
                occasions(values, "steady"),
                occasions(values + np.array([0, 0.5]), "moved"),
                occasions(values[:2], "few"),
                occasions(np.ones((9, 2)), "flat"),
            ]
        )
    )
    table = found.table.set_index("dimension")
    assert table["respondents"].to_dict() == {"few": 1, "flat": 9, "moved": 79, "steady": 79}
    assert table["left_out"].to_dict() == {"few": 1, "flat": 0, "moved": 1, "steady": 1}
    words = found.sentence()
    assert f"{table.loc['steady', 'estimate']:.2f} (95% interval" in words.splitlines()[0]
    assert "The mean moved between 1 and 2 for moved by 0." in words
    assert "few (1 respondent with a score on every occasion)" in words
    assert "flat (every score is the same)" in words
    ax = found.plot(plt.figure().subplots())
    assert [each.get_text() for each in ax.get_yticklabels()][-1] == "steady (n = 79)"
    plt.close("all")


def test_retest_takes_the_occasions_in_the_order_that_is_said():
    table = occasions([[1, 2], [2, 3], [3, 5], [4, 4]])
    table["occasion"] = table["occasion"].map({"1": "first", "2": "a fortnight later"})
    said = retest(table, occasions=["first", "a fortnight later"])
    unsaid = retest(table)
    assert said.table.loc[0, "change"] == 1
    assert unsaid.table.loc[0, "change"] == -1
    assert "alphabetical order" in unsaid.sentence()
    assert "alphabetical" not in said.sentence()
    with pytest.raises(Problem, match="did you mean 'first'"):
        retest(table, occasions=["firts", "a fortnight later"])


def test_retest_with_one_occasion_is_refused():
    with pytest.raises(Refusal, match="one occasion only"):
        retest(occasions(np.ones((9, 1))))
    nothing = retest(occasions(np.ones((9, 2))))
    assert nothing.sentence().startswith("No dimension's scores can be compared")
