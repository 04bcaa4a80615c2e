"""Three rankings against published counts, sums by hand and limiting cases."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.pareto import pareto

QCC = json.loads((Path(__file__).parent / "reference/pareto_qcc_defects.json").read_text())


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def cases(counts, **amounts):
    """So many complaints of each category, at one cost each."""
    table = pd.DataFrame({"category": [name for name, n in counts.items() for _ in range(n)]})
    return table.assign(cost=table["category"].map(amounts).astype(float)) if amounts else table


def of(found, measure):
    return found.table[found.table["measure"] == measure].set_index("level")


# --- by count -------------------------------------------------------------------------------------


def test_the_counts_are_those_of_a_published_chart(rng):
    rows = of(pareto(cases(QCC["input"]["counts"]), money="", rng=rng), "count")
    want = QCC["expected"]
    assert list(rows.index) == want["order"]
    assert rows["value"].tolist() == want["freq"]
    assert (100 * rows["estimate"]).tolist() == pytest.approx(want["pct"], abs=QCC["tolerance"])
    share = 100 * rows["cumulated_share"]
    assert share.tolist() == pytest.approx(want["cum_pct"], abs=QCC["tolerance"])
    assert rows["vital"].tolist() == [True] * 3 + [False] * 2  # exactly 80 % of 300


def test_shares_are_wilsons(rng):
    row = of(pareto(cases({"a": 30, "b": 70}), money="", rng=rng), "count").loc["a"]
    assert (row["low"], row["high"]) == pytest.approx(wilson(0.3, 100))


def test_complaints_that_always_come_in_fours_tell_as_much_as_one(rng):
    once = cases({"a": 30, "b": 70})
    fours = pd.concat([once] * 4).assign(customer=lambda t: t.index.astype(str))
    alone = of(pareto(once, money="", rng=rng), "count").loc["a"]
    together = pareto(fours, money="", clusters="customer", rng=rng)
    row = of(together, "count").loc["a"]
    wide, narrow = (each["high"] - each["low"] for each in (row, alone))
    assert wide == pytest.approx(narrow, rel=0.03)  # Student's for the normal quantile
    assert together.clusters == 100 and "cluster" in together.sentence()
    naive = of(pareto(fours, money="", rng=rng), "count").loc["a"]
    assert (naive["high"] - naive["low"]) == pytest.approx(narrow / 2, rel=0.03)


def test_ranks_part_what_is_far_apart_and_leave_ties_open(rng):
    rows = of(pareto(cases({"a": 500, "b": 100, "c": 100}), money="", rng=rng), "count")
    assert rows[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [
        [1, 1, 1],
        [2, 2, 3],
        [2, 2, 3],
    ]


def test_two_levels_are_parted_as_mcnemar_would(rng):
    """Of two levels (a - b) / sqrt(a + b) is compared with 1.96."""
    many = {"rng": rng, "money": "", "resamples": 20_000}
    apart = pareto(cases({"a": 62, "b": 38}), **many)  # 2.4
    close = pareto(cases({"a": 57, "b": 43}), **many)  # 1.4
    assert of(apart, "count")["rank_high"].tolist() == [1, 2]
    assert of(close, "count")["rank_high"].tolist() == [2, 2]
    assert "by count it is certain" in apart.sentence()
    assert "by count 2 levels may be" in close.sentence()


def test_how_often_the_vital_few_are_the_same(rng):
    clear = pareto(cases({"a": 900, "b": 50, "c": 50}), money="", rng=rng)
    tied = pareto(cases({"a": 400, "b": 205, "c": 200, "d": 195}), money="", rng=rng)
    assert clear.vital == ("a",) and clear.vital_again == 1
    assert tied.vital == ("a", "b", "c") and tied.vital_again < 0.7


# --- by rate --------------------------------------------------------------------------------------


def test_a_rate_turns_the_order_round(rng):
    exposure = pd.Series({"a": 100_000, "b": 1_000, "elsewhere": 5})
    found = pareto(cases({"a": 300, "b": 100}), money="", exposure=exposure, rng=rng)
    rows = of(found, "rate")
    assert rows["estimate"].to_dict() == pytest.approx({"b": 10.0, "a": 0.3})
    assert rows["cumulated_share"].tolist() == pytest.approx([0.25, 1])  # of the complaints
    # Poisson's score interval: c + z^2 / 2 -+ z sqrt(c + z^2 / 4), times 100 / 1,000
    z = 1.959964
    half = z * np.sqrt(100 + z**2 / 4)
    limits = [(100 + z**2 / 2 + sign * half) / 10 for sign in (-1, 1)]
    assert rows.loc["b", ["low", "high"]].tolist() == pytest.approx(limits)
    assert "by rate: b, 10.0 per 100 contacts" in found.sentence()


def test_a_level_without_exposure_has_a_note(rng):
    found = pareto(
        cases({"a": 30, "b": 20, "c": 5}), money="", exposure=pd.Series({"a": 9, "b": 9}), rng=rng
    )
    rows = of(found, "rate")
    assert np.isnan(rows.loc["c", "estimate"]) and rows.loc["c", "note"] == "no exposure is given"
    assert "Not ranked by rate: c (no exposure is given)." in found.sentence()


# --- by money -------------------------------------------------------------------------------------


def test_where_count_and_money_disagree_beyond_chance_it_is_named(rng):
    counts = {"a": 400, "b": 300, "c": 200, "d": 50}
    found = pareto(cases(counts, a=1, b=2, c=30, d=500), rng=rng)
    assert of(found, "money")["value"].to_dict() == {"d": 25_000, "c": 6_000, "b": 600, "a": 400}
    assert found.sure == (
        "a (rank 1 by count, rank 4 by money)",
        "d (rank 1 by money, rank 4 by count)",
    )
    assert "disagree beyond chance on a (rank 1 by count, rank 4 by money)" in found.sentence()
    same = pareto(cases(counts, a=1, b=1, c=1, d=1), rng=rng)
    assert same.sure == same.perhaps == ()
    assert "name the same first 3" in same.sentence()


def test_what_the_largest_cases_hold(rng):
    table = cases({"a": 100, "b": 99, "c": 1}, a=1, b=2, c=702)
    found = pareto(table, rng=rng)
    # 2 of 200 are the largest 1 %: 702 and one of 2, of 100 + 198 + 702
    assert (found.top_cases, found.money) == (2, 1000)
    assert found.top_share == pytest.approx(0.704)
    assert found.leader_without == "b" and "c is no longer first but b" in found.sentence()
    row = of(found, "money").loc["c"]
    assert row["high"] - row["low"] > 0.9 and row["rank_high"] > 1  # one case proves nothing


def test_equal_amounts_make_money_follow_the_count(rng):
    found = pareto(cases({"a": 60, "b": 40}, a=10, b=10), rng=rng)
    count, money = of(found, "count").loc["a"], of(found, "money").loc["a"]
    assert money["estimate"] == count["estimate"]
    assert money[["low", "high"]].tolist() == pytest.approx(
        count[["low", "high"]].tolist(), abs=0.01
    )


def test_the_unit_of_money_changes_nothing(rng):
    table = cases({"a": 60, "b": 40, "c": 20}).assign(cost=lambda t: np.arange(len(t)) + 1.0)
    one = pareto(table, rng=np.random.default_rng(1)).table
    other = pareto(table.assign(cost=table["cost"] * 100), rng=np.random.default_rng(1)).table
    columns = ["estimate", "low", "high", "rank_low", "rank_high"]
    np.testing.assert_allclose(one[columns], other[columns])


def test_open_cases_without_an_amount_are_counted(rng):
    table = cases({"a": 50, "b": 30, "c": 5}, a=10, b=20)
    found = pareto(table, rng=rng)
    assert found.unknown == 5 and of(found, "money").loc["c", "note"] == "no amount is known"
    assert "5 complaints have no known amount" in found.sentence()
    assert of(found, "money")["unknown"].to_dict() == {"a": 0, "b": 0, "c": 5}


def test_too_few_amounts_are_no_ranking(rng):
    table = cases({"a": 50, "b": 30}).assign(cost=[5.0] * 3 + [np.nan] * 77)
    found = pareto(table, rng=rng)
    assert of(found, "money")["estimate"].isna().all() and np.isnan(found.money)
    assert "fewer than 10 amounts above 0" in found.sentence()


# --- words, picture, bad input --------------------------------------------------------------------


def test_the_first_line_fits_and_says_the_numbers(rng):
    names = {"A very long name of a category, with all of its particulars": 60, "b $x$ 投诉": 40}
    table = cases(names).assign(cost=10.0)
    exposure = pd.Series(dict.fromkeys(names, 1000))
    found = pareto(table, exposure=exposure, rng=rng)
    first = found.sentence().splitlines()[0]
    assert "60.0 % (95% interval 50.2 to 69.1)" in first and len(first) <= 220


def test_the_picture_draws_a_line_for_each_ranking(rng):
    counts = {f"level {i:02d}": 60 - i for i in range(40)}
    found = pareto(cases(counts).assign(cost=1.0), rng=rng)
    ax = found.plot(plt.figure().gca())
    assert len(ax.get_yticklabels()) == 10
    assert "30 other levels not drawn" in ax.get_xlabel().replace("\n", " ")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["by count", "by money"]


def test_the_same_seed_gives_the_same_table():
    table = cases({"a": 60, "b": 55, "c": 50}, a=3, b=4, c=5)
    one, other = (pareto(table, rng=np.random.default_rng(7)) for _ in range(2))
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.sentence() == other.sentence()


def test_blank_levels_are_left_out_and_said(rng):
    table = pd.DataFrame({"category": ["a"] * 5 + [None, " "]})
    found = pareto(table, money="", rng=rng)
    assert (found.complaints, found.not_recorded) == (5, 2)
    assert "2 complaints without category are left out" in found.sentence()


def test_more_cases_than_are_resampled_one_by_one(rng):
    table = pd.DataFrame({"category": rng.choice(["a", "b", "c"], 50_000, p=[0.5, 0.31, 0.19])})
    found = pareto(table.assign(cost=1.0), rng=rng)
    assert found.vital == ("a", "b") and found.vital_again > 0.99


@pytest.mark.parametrize(
    ("change", "settings", "what"),
    [
        ({"cost": [-1.0] * 4}, {}, "4 negative or infinite amounts"),
        ({"cost": ["ten"] * 4}, {}, "no amount"),
        ({}, {"exposure": pd.Series({"a": 0})}, "not above 0"),
        ({}, {"exposure": pd.Series([1, 2], index=["a", "a"])}, "twice"),
        ({}, {"per": 0}, "per is 0"),
        ({}, {"resamples": 5}, "too few"),
    ],
)
def test_what_is_wrong_is_a_problem(rng, change, settings, what):
    table = pd.DataFrame({"category": list("aabb"), "cost": 1.0}).assign(**change)
    with pytest.raises(Problem, match=what):
        pareto(table, rng=rng, **settings)


def test_what_cannot_be_ranked_is_refused(rng):
    with pytest.raises(Refusal, match="5,000 levels"):
        pareto(pd.DataFrame({"category": [f"c{i}" for i in range(5000)]}), money="", rng=rng)
    with pytest.raises(Refusal, match="None of 3 complaints"):
        pareto(pd.DataFrame({"category": pd.Series([None] * 3, dtype="str")}), money="", rng=rng)
    with pytest.raises(Refusal, match="no column 'cost'"):
        pareto(pd.DataFrame({"category": ["a"]}), rng=rng)


def test_one_level_and_one_complaint(rng):
    found = pareto(pd.DataFrame({"category": ["a"]}), money="", rng=rng)
    assert found.table[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 1]]
    assert found.sentence().startswith("First by count: a, 100.0 %")


def test_the_first_line_says_where_the_leader_is_not_certain(rng):
    cases = pd.DataFrame({"category": ["a"] * 52 + ["b"] * 48 + ["c"] * 5})
    close = pareto(cases, money="", rng=rng)
    assert (close.table["rank_low"] == 1).sum() == 2
    assert close.sentence().splitlines()[0].endswith(", one of 2 that may be.")
    clear = pareto(pd.DataFrame({"category": ["a"] * 90 + ["b"] * 9}), money="", rng=rng)
    assert "that may be" not in clear.sentence()
