"""Competing ends by hand and against statsmodels; what the naive answer gets wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.endings import endings


def snapshot(n, seed, *, rates=(0.05, 0.02), odd=0.0):
    """Constant hazards of two ends, cases opened evenly over 120 days."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["north", "south"], n)
    second = rates[1] + odd * (site == "north")
    days = np.ceil(rng.exponential(size=n) / (rates[0] + second))
    followed = np.floor(120 * rng.random(n))
    ended = np.where(rng.random(n) < rates[0] / (rates[0] + second), "resolved", "withdrawn")
    return pd.DataFrame(
        {
            "resolution_d": np.minimum(days, followed),
            "resolution_d_open": days > followed,
            "outcome": pd.Series(np.where(days > followed, None, ended), dtype="str"),
            "site": site,
        }
    )


@pytest.fixture(scope="module")
def cases():
    return snapshot(600, 1)


def test_by_hand():
    """Ten cases: 2 resolved on day 1 (2/10), 1 withdrawn on 2 (8/10 * 1/8), 3 go open at 2,
    2 resolved on day 3 of 4 left: 7/10 * 2/4."""
    data = pd.DataFrame(
        {
            "resolution_d": [1.0, 1, 2, 2, 2, 2, 3, 3, 9, 9],
            "resolution_d_open": [False] * 3 + [True] * 3 + [False] * 2 + [True] * 2,
            "outcome": ["r", "r", "w", None, None, None, "r", "r", None, None],
        }
    )
    found = endings(data, at=[2, 3])
    assert found.table["estimate"].tolist() == pytest.approx([0.2, 0.2 + 0.35, 0.1, 0.1])
    assert found.still_open == pytest.approx((0.7, 0.35))
    # one minus Kaplan-Meier, withdrawals taken for open: 1 - 8/10 * 2/4
    assert found.table["naive"].tolist() == pytest.approx([0.2, 0.6, 1 / 8, 1 / 8])
    assert found.most_wrong == pytest.approx(0.05)
    assert found.table["ended"].tolist() == [2, 4, 1, 1]


def test_estimates_are_those_of_statsmodels(cases):
    found = endings(cases, at=[30])
    code = cases["outcome"].map({"resolved": 1, "withdrawn": 2}).fillna(0).astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):  # at its last time
        other = CumIncidenceRight(cases["resolution_d"], code)
    place = np.searchsorted(other.times, 30, side="right") - 1
    for kind in (0, 1):
        row = found.table.iloc[kind]
        share, error = other.cinc[kind][place], other.cinc_se[kind][place]
        assert row["estimate"] == pytest.approx(share)
        limits = wilson(share, share * (1 - share) / error**2)
        assert (row["low"], row["high"]) == pytest.approx(limits, abs=0.002)
    naive = SurvfuncRight(cases["resolution_d"], (code == 1).astype(int))
    place = np.searchsorted(naive.surv_times, 30, side="right") - 1
    assert found.table["naive"].iloc[0] == pytest.approx(1 - naive.surv_prob[place])


def test_the_truth_is_found_where_the_naive_answer_is_not():
    """Hazards of .05 and .02: 5/7 of 1 - exp(-2.1) are resolved by day 30, not 1 - exp(-1.5)."""
    found = endings(snapshot(20_000, 2), at=[30])
    row = found.table.iloc[0]
    assert row["low"] < 5 / 7 * (1 - np.exp(-2.1)) < row["high"]
    assert row["naive"] == pytest.approx(1 - np.exp(-1.5), abs=0.01)
    assert row["naive"] > row["high"] + 0.1


def test_groups():
    found = endings(snapshot(1500, 3, odd=0.04), at=[30], by="site")
    rows = found.table.set_index(["group", "outcome"])
    alone = snapshot(1500, 3, odd=0.04)
    north = endings(alone[alone["site"] == "north"], at=[30]).table.set_index("outcome")
    for outcome in ("resolved", "withdrawn"):
        assert rows.loc[("north", outcome), "estimate"] == pytest.approx(
            north.loc[outcome, "estimate"]
        )
    row = rows.loc[("north", "withdrawn")]
    assert row["difference_low"] > 0
    assert row["stays"]
    assert row["difference"] == pytest.approx(-rows.loc[("south", "withdrawn"), "difference"])
    assert found.compared == 4
    assert "north, withdrawn after 30 days" in found.sentence()


def test_an_end_without_a_name_is_an_end_of_its_own(cases):
    blank = cases.copy()
    ended = blank.index[blank["outcome"].notna()][:40]
    blank.loc[ended, "outcome"] = ["", None] * 20
    found, whole = endings(blank, at=[30]), endings(cases, at=[30])
    assert found.not_stated == 40
    assert found.outcomes[-1] == "(not stated)"
    assert found.still_open == pytest.approx(whole.still_open)
    assert "Ended without an outcome" in found.sentence()


def test_an_outcome_without_an_end_is_left_out_and_said(cases):
    odd = cases.copy()
    still = odd.index[odd["resolution_d_open"]][:20]
    odd.loc[still, "outcome"] = "resolved"
    found = endings(odd, at=[30])
    assert (found.contradictory, found.cases) == (20, 580)
    assert "Left out, with an outcome but no end: 20 cases." in found.sentence()
    odd.loc[odd["resolution_d_open"], "outcome"] = "resolved"
    with pytest.raises(Problem, match="have an 'outcome' but no end"):
        endings(odd, at=[30])


def test_a_state_of_open_cases_is_no_end(cases):
    state = cases.copy()
    state.loc[state["resolution_d_open"], "outcome"] = "in progress"
    found, plain = endings(state, at=[30]), endings(cases, at=[30])
    assert found.statuses == ("in progress",)
    assert found.outcomes == plain.outcomes
    assert found.table["estimate"].tolist() == pytest.approx(plain.table["estimate"].tolist())
    assert "Only open cases have in progress" in found.sentence()


def test_times_and_groups_that_cannot_be_said(cases):
    still = pd.DataFrame({"resolution_d": 119.0, "resolution_d_open": True, "outcome": None,
                          "site": ["north", "south"]})  # fmt: skip
    cases = pd.concat([cases, still], ignore_index=True)
    more = pd.concat([cases, cases.head(4).assign(site="tiny")], ignore_index=True)
    found = endings(more, at=[30, 900], by="site")
    late = found.table[found.table["at"] == 900]
    assert late["estimate"].isna().all()
    assert set(late["note"]) == {"no case has been followed for 900 days", "only 4 cases"}
    assert "After 900 days nothing can be said" in found.sentence()
    assert "tiny (only 4 cases)" in found.sentence()
    with pytest.raises(Refusal, match="No case has been followed for 900 days"):
        endings(cases, at=[900])


def test_bad_input(cases):
    with pytest.raises(Refusal, match="no column 'ended'"):
        endings(cases, outcome="ended")
    with pytest.raises(Refusal, match="No ended case has an outcome"):
        endings(cases.assign(outcome=None))
    with pytest.raises(Problem, match="give times above 0"):
        endings(cases, at=[0])
    with pytest.raises(Problem, match="negative"):
        endings(cases.assign(resolution_d=-1.0))
    many = cases.assign(outcome=[f"end {i % 20}" for i in range(600)], resolution_d_open=False)
    with pytest.raises(Refusal, match="20 different outcomes"):
        endings(many)
    with pytest.raises(Refusal, match="600 groups"):
        endings(cases.assign(who=[f"customer {i}" for i in range(600)]), by="who")
    with pytest.raises(Refusal, match="usable rows"):
        endings(cases.head(5))


def test_one_way_to_end_and_a_group_called_all(cases):
    one = cases.assign(outcome=cases["outcome"].where(cases["outcome"].isna(), "<b>$ 😀"))
    found = endings(one.assign(site="all"), at=[30], by="site")
    assert found.table["naive"].tolist() == pytest.approx(found.table["estimate"].tolist())
    assert found.table["group"].tolist() == ["all", "'all'"]


def test_sentences_and_pictures(cases):
    whole, groups = endings(cases, at=[30, 60]), endings(cases, at=[30, 60], by="site")
    row = whole.table[(whole.table["at"] == 60)].iloc[0]
    assert f"{row['outcome']} {100 * row['estimate']:.1f} % (95% interval" in whole.sentence()
    assert f"would say {100 * row['naive']:.1f} %" in whole.sentence()
    for found in (whole, groups):
        assert len(found.sentence().splitlines()[0]) <= 220
        ax = found.plot(plt.figure().subplots())
        assert ax.lines
        assert ax.get_xlabel()
    assert len(whole.curves) == 2 * len(whole.curve_times)
    plt.close("all")


def test_the_first_line_of_groups_says_whether_and_where_they_differ(cases):
    found = endings(snapshot(1500, 3, odd=0.04), at=[30], by="site")
    first = found.sentence().splitlines()[0]
    assert first.startswith("Ends differ by site, most for ")
    assert "points (95% interval" in first
    same = endings(cases, at=[30], by="site")
    first, rest = same.sentence().splitlines()
    assert not same.table["stays"].any()
    assert first.startswith("No site surely ends otherwise than the others (4 comparisons, ")
    assert (
        f"smallest p = {same.table['p_holm'].min():.3f} adjusted; resolved after 30 days" in first
    )
    assert "After 30 days: resolved" in rest
    lone = endings(cases.assign(site="north"), at=[30], by="site")
    assert "cannot be said: no two groups have enough" in lone.sentence().splitlines()[0]
