"""Shares and ranks of complaints: by hand, against qcc, and under simulation."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods import voice
from sqm.methods.voice import NOT_RECORDED, need_weights, pareto

QCC = json.loads((Path(__file__).parent / "reference/pareto_qcc_defects.json").read_text())


def _complaints(counts):
    return pd.DataFrame({"category": [name for name, n in counts.items() for _ in range(n)]})


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_order_and_shares_are_those_of_qcc(rng):
    found, want = pareto(_complaints(QCC["input"]["counts"]), rng=rng), QCC["expected"]
    assert found.table["category"].tolist() == want["order"]
    assert found.table["complaints"].tolist() == want["freq"]
    assert 100 * found.table["estimate"].to_numpy() == pytest.approx(want["pct"])
    assert 100 * found.table["cumulative_share"].to_numpy() == pytest.approx(want["cum_pct"])
    assert found.for_80 == 3  # exactly 240 of 300


def test_the_interval_is_wilsons(rng):
    # 94 of 300, by Wilson's formula with z = 1.959964: centre .3133, see statsmodels
    row = pareto(_complaints(QCC["input"]["counts"]), rng=rng).table.iloc[0]
    z, n, p = 1.959963985, 300, 94 / 300
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert (row["low"], row["high"]) == pytest.approx((middle - half, middle + half))


def test_the_first_place_is_certain_only_where_the_binomial_test_says_so(rng):
    close = pareto(_complaints({"a": 94, "b": 80}), rng=rng)
    far = pareto(_complaints({"a": 94, "b": 50}), rng=rng)
    # P(X >= 94) for 174 fair coins, both sides: 2 * binom.sf(93, 174, .5)
    assert close.first_p == pytest.approx(2 * stats.binom.sf(93, 174, 0.5))
    assert (close.first_certain, far.first_certain) == (False, True)
    assert "not certain: a may stand from 1st to 2nd" in close.sentence()
    assert "first place is certain" in far.sentence()


def test_a_tie_is_ordered_by_name_and_shares_the_better_place(rng):
    table = pareto(_complaints({"b": 5, "c": 9, "a": 5}), rng=rng).table
    assert table["category"].tolist() == ["c", "a", "b"]
    assert table["rank"].tolist() == [1, 2, 2]


def test_blank_categories_stand_last_and_unranked_but_count(rng):
    rows = pd.DataFrame({"category": ["a", "a", "b", None, "  ", None, None]})
    found = pareto(rows, rng=rng)
    last = found.table.iloc[-1]
    assert (last["category"], last["complaints"], last["rank"]) == (NOT_RECORDED, 4, 3)
    assert found.table["estimate"].iloc[0] == pytest.approx(2 / 7)
    assert (found.leader, found.not_recorded, found.for_80) == ("a", 4, 0)
    assert "4 complaints have no category" in found.sentence()
    assert found.table["rank_high"].iloc[:2].max() <= 2
    assert found.table["complaints"].dtype == found.table["rank"].dtype == int


def test_the_unrecorded_row_is_a_category_like_any_other_in_its_interval(rng):
    table = pareto(pd.DataFrame({"category": ["a", "a", None]}), rng=rng).table
    assert table["low"].iloc[1] < 1 / 3 < table["high"].iloc[1]


def test_rank_intervals_shrink_with_the_data(rng):
    few = pareto(_complaints({"a": 6, "b": 5, "c": 4}), rng=rng).table
    many = pareto(_complaints({"a": 600, "b": 500, "c": 400}), rng=rng).table
    assert few["rank_high"].iloc[0] == 3 and few["rank_low"].iloc[2] == 1
    assert many[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1], [2, 2], [3, 3]]


def test_rank_intervals_cover_and_a_false_first_place_is_rare():
    """400 samples of 2,900 complaints; two categories tie in truth for the first place."""
    rng = np.random.default_rng(5)
    shares = np.array([0.24, 0.24, 0.2, 0.12, 0.11, 0.09])
    truth = np.array([[1, 2], [1, 2], [3, 3], [4, 4], [5, 5], [6, 6]])
    covered, claimed = [], 0
    for counts in rng.multinomial(2900, shares, size=400):
        ranks = voice._ranks(counts, 2900, 0.95, 200, rng)
        covered.append((ranks["rank_low"] <= truth[:, 1]) & (ranks["rank_high"] >= truth[:, 0]))
        claimed += voice._first_place(np.sort(counts)[::-1], 0.95)[0]
    assert np.mean(covered, axis=0).min() > 0.93
    assert claimed / 400 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_the_same_seed_gives_the_same_table():
    rows = _complaints({"a": 9, "b": 8, "c": 3})
    one, two = (pareto(rows, rng=np.random.default_rng(4)).table for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_recorded_is_refused(rng, rows):
    with pytest.raises(Refusal, match=f"None of {rows}"):
        pareto(pd.DataFrame({"category": pd.Series([None] * rows, dtype="str")}), rng=rng)


def test_one_complaint_has_an_answer(rng):
    found = pareto(pd.DataFrame({"category": ["a"]}), rng=rng)
    assert np.isnan(found.first_p) and not found.first_certain
    assert "1 category: a 100.0 % (95% interval 20.7 to 100.0)" in found.sentence()


def test_a_missing_column_is_named(rng):
    with pytest.raises(Problem, match="did you mean 'categry'"):
        pareto(pd.DataFrame({"categry": ["a"]}), rng=rng)


def test_hundreds_of_categories_stay_in_the_table_and_a_dozen_in_the_picture(rng):
    counts = {f"$c{i}$ <b>" + "长" * 60: 300 - i for i in range(300)}
    found = pareto(_complaints(counts), rng=rng)
    ax = found.plot(plt.figure().subplots())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(found.table) == 300 and len(labels) == 13
    assert labels[-1] == "others (288 categories)"
    assert "share of 45,150 complaints" in ax.get_xlabel()
    rows = found._rows_shown()
    assert rows["estimate"].sum() == pytest.approx(1)
    assert rows["cumulative_share"].iloc[-1] == pytest.approx(1)
    plt.close(ax.figure)


NEEDS = {"wait": "be quick", "late": "be quick", "bill": "be right", "lift": "be right"}


def test_a_need_weighs_all_its_categories_out_of_all_complaints(rng):
    rows = _complaints({"wait": 30, "late": 10, "bill": 20, "noise": 25})
    rows = pd.concat([rows, pd.DataFrame({"category": [None] * 15})])
    found = need_weights(rows, needs=NEEDS, rng=rng)
    assert found.table["need"].tolist() == ["be quick", "be right"]
    assert found.table["complaints"].tolist() == [40, 20]
    assert found.table["estimate"].tolist() == [0.4, 0.2]
    assert found.table["categories"].tolist() == ["late; wait", "bill; lift"]
    assert (found.without_need, found.not_recorded) == (25, 15)
    assert (found.unmapped, found.unseen) == (("noise",), ("lift",))
    said = found.sentence()
    assert "be quick 40.0 % (95% interval 30.9 to 49.8)" in said  # Wilson, 40 of 100
    assert "25 complaints belong to no need (categories: noise)" in said
    assert "15 have no category" in said and "nobody complained of lift" in said


def test_a_need_nobody_complains_of_weighs_nothing_with_an_interval(rng):
    found = need_weights(_complaints({"wait": 20}), needs=NEEDS, rng=rng)
    none = found.table.iloc[1]
    # Wilson's high end of 0 of 20: 3.8415 / 23.8415
    assert none["estimate"] == 0
    assert (none["low"], none["high"]) == pytest.approx((0, 0.16113), abs=1e-5)


def test_needs_of_unknown_categories_are_a_problem(rng):
    with pytest.raises(Problem, match="did you mean 'waiting'"):
        need_weights(_complaints({"waiting": 3}), needs={"waitng": "be quick"}, rng=rng)


def test_weights_of_no_complaint_are_refused(rng):
    empty = pd.DataFrame({"category": pd.Series([], dtype="str")})
    with pytest.raises(Refusal):
        need_weights(empty, needs=NEEDS, rng=rng)


def test_weights_are_drawn_with_their_intervals(rng):
    found = need_weights(_complaints({"wait": 20, "bill": 9}), needs=NEEDS, rng=rng)
    ax = found.plot(plt.figure().subplots())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["be quick", "be right"]
    line = ax.lines[0].get_xdata()
    assert line == pytest.approx(100 * found.table[["low", "high"]].iloc[0].to_numpy())
    plt.close(ax.figure)
