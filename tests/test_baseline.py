"""What counts as a defect, and what the counts are worth."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_ctq import a_ctq

from sqm.checks import Problem
from sqm.clock import Calendar
from sqm.methods.baseline import baseline, weekly
from sqm.methods.ctq import ctq_tree
from sqm.predicate import defects

SIGMA = json.loads((Path(__file__).parent / "reference/dpmo_sigma_table.json").read_text())


def _waits(failed, of):
    return pd.DataFrame({"wait_s": np.where(np.arange(of) < failed, 90.0, 10.0)})


def _baseline(records, *, times=None, clusters=None, **changes):
    found = baseline(
        {"operations": records},
        ctqs=ctq_tree([a_ctq(**changes)]).table,
        times=times or {},
        clusters=clusters or {},
    )
    return found.table.iloc[0]


# --- What is a defect ---


@pytest.mark.parametrize(
    ("direction", "want"),
    [("at most", [False, False, True, pd.NA]), ("at least", [True, False, False, pd.NA])],
)
def test_the_limit_itself_is_good_and_a_blank_is_unknown(direction, want):
    found = defects(
        pd.DataFrame({"x": [59, 60, 61, None]}), measure="x", direction=direction, limit=60
    )
    assert found.tolist() == want
    assert found.dtype == "boolean"


def test_flags_count_as_nought_and_one():
    flags = pd.DataFrame({"resolved": pd.array([True, False, None], dtype="boolean")})
    assert defects(flags, measure="resolved", direction="at least", limit=1).tolist() == [
        False,
        True,
        pd.NA,
    ]
    plain = pd.DataFrame({"abandoned": [True, False]})
    assert defects(plain, measure="abandoned", direction="at most", limit=0).tolist() == [
        True,
        False,
    ]


def test_a_duration_still_running_is_settled_only_by_what_time_cannot_undo():
    running = pd.DataFrame({"d": [3.0, 9.0], "d_open": [True, True]})
    assert defects(running, measure="d", direction="at most", limit=5).tolist() == [pd.NA, True]
    assert defects(running, measure="d", direction="at least", limit=5).tolist() == [pd.NA, False]


def test_a_measure_of_words_and_an_unknown_one_are_problems():
    words = pd.DataFrame({"wait_s": ["long", "short"]})
    with pytest.raises(Problem, match="'wait_s' holds 'long', no number"):
        defects(words, measure="wait_s", direction="at most", limit=1)
    with pytest.raises(Problem, match="did you mean 'wait_s'"):
        defects(words, measure="waits", direction="at most", limit=1)
    with pytest.raises(Problem, match="'direction' is 'below'"):
        defects(words, measure="wait_s", direction="below", limit=1)


# --- The baseline ---


def test_by_hand():
    # 1 of 10: Wilson 1.79 to 40.42 % (Newcombe 1998 form); DPMO 100,000; z of .9 is 1.2816
    row = _baseline(_waits(1, 10))
    assert (row["n"], row["defects"], row["estimate"]) == (10, 1, 0.1)
    assert (row["low"], row["high"]) == pytest.approx((0.01788, 0.40415), abs=1e-5)
    assert row["sigma"] == pytest.approx(1.2815515655)
    assert row["sigma_low"] < row["sigma"] < row["sigma_high"]
    assert row["design_effect"] == 1


@pytest.mark.parametrize("at", range(len(SIGMA["input"]["dpmo"])))
def test_sigma_is_that_of_the_published_table(at):
    """DPMO given through the opportunities: 1 defect in n records of k chances each."""
    dpmo = SIGMA["input"]["dpmo"][at]
    found = baseline(
        {"operations": _waits(1, 1)},
        ctqs=ctq_tree([a_ctq()]).table.assign(opportunities=1e6 / dpmo),
        times={},
    ).table.iloc[0]
    assert found["dpmo"] == pytest.approx(dpmo)
    assert found["sigma"] == pytest.approx(SIGMA["expected"]["sigma_no_shift"][at], abs=1e-6)
    assert found["sigma_shifted"] == pytest.approx(SIGMA["expected"]["sigma_shift15"][at], abs=1e-6)


def test_twenty_opportunities_make_ten_per_cent_look_like_sigma_four():
    # 10 % defective: 2.78 counted once; z(.995) + 1.5 = 4.08 counted twenty times
    assert _baseline(_waits(10, 100))["sigma_shifted"] == pytest.approx(2.78, abs=0.005)
    twenty = _baseline(_waits(10, 100), opportunities=20)
    assert twenty["sigma_shifted"] == pytest.approx(4.08, abs=0.005)


def test_no_defect_is_no_infinite_sigma():
    # Wilson's high end of 0 of 100: z^2 / (100 + z^2) = 3.8415 / 103.8415 = 3.6994 %
    row = _baseline(_waits(0, 100))
    assert row["high"] == pytest.approx(0.036994, abs=1e-6)
    assert row["sigma"] == row["sigma_low"] == pytest.approx(1.787, abs=1e-3)
    assert np.isnan(row["sigma_high"])
    assert "at least" in row["note"]
    every = _baseline(_waits(100, 100))
    assert every["sigma"] == every["sigma_high"] < 0 and "at most" in every["note"]


@pytest.mark.parametrize(("target", "answer"), [(0.5, "yes"), (0.0, "no"), (0.1, "cannot say")])
def test_a_target_is_met_or_missed_only_by_the_whole_interval(target, answer):
    assert _baseline(_waits(10, 100), target=target)["meets_target"] == answer


def test_agents_that_differ_leave_fewer_records():
    # 4 agents with 25 records each, all alike within an agent: 4 say as much as 100 (times 3/4
    # for the correction of few groups)
    records = _waits(50, 100).assign(agent=np.repeat(["a", "b", "c", "d"], 25))
    row = _baseline(records, clusters={"operations": ["agent"]})
    assert row["effective_n"] == pytest.approx(3)
    assert _baseline(records)["effective_n"] == 100


def test_an_absent_agent_is_not_something_that_records_share():
    """Abandoned contacts have no agent: that must not make one agent of them all."""
    rng = np.random.default_rng(2)
    n = 4000
    gone = rng.random(n) < 0.1
    agent = pd.Series(rng.integers(20, size=n).astype(str)).mask(gone)
    records = pd.DataFrame(
        {
            "wait_s": np.where(gone, 90.0, 10.0),
            "agent": agent,
            "arrived": pd.Timestamp("2025-01-06") + pd.to_timedelta(rng.integers(80, size=n), "D"),
        }
    )
    row = _baseline(
        records, times={"operations": "arrived"}, clusters={"operations": ["agent", "day"]}
    )
    assert row["design_effect"] < 1.5
    blank = records.assign(agent=records["agent"].fillna(""))
    again = _baseline(
        blank, times={"operations": "arrived"}, clusters={"operations": ["agent", "day"]}
    )
    assert again["effective_n"] == row["effective_n"]


def test_the_interval_covers_where_agents_and_days_differ():
    """60 samples of 2,000 records by 25 agents on 40 days, both with effects of their own."""
    rng = np.random.default_rng(8)
    hits, naive = 0, 0
    for _ in range(60):
        agent, day = rng.integers(25, size=2000), rng.integers(40, size=2000)
        share = 0.3 + rng.uniform(-0.12, 0.12, 25)[agent] + rng.uniform(-0.12, 0.12, 40)[day]
        records = pd.DataFrame(
            {
                "wait_s": np.where(rng.random(2000) < share, 90.0, 10.0),
                "agent": agent,
                "arrived": pd.Timestamp("2025-01-06") + pd.to_timedelta(day, "D"),
            }
        )
        times = {"operations": "arrived"}
        row = _baseline(records, times=times, clusters={"operations": ["agent", "day"]})
        hits += row["low"] <= 0.3 <= row["high"]
        row = _baseline(records)
        naive += row["low"] <= 0.3 <= row["high"]
    assert hits / 60 > 0.90 > 0.80 > naive / 60


def test_until_leaves_out_what_began_on_that_day_or_later_by_the_local_clock():
    times = pd.to_datetime(["2025-09-28 23:30", "2025-09-29 00:30", None]).tz_localize(
        "Europe/Madrid"
    )
    found = baseline(
        {"operations": _waits(1, 3).assign(arrived=times)},
        ctqs=ctq_tree([a_ctq()]).table,
        times={"operations": "arrived"},
        until="2025-09-29",
    )
    row = found.table.iloc[0]
    assert (row["n"], row["defects"]) == (1, 1)
    assert "1 records without a time are left out" in row["note"]
    assert "before 2025-09-29" in found.sentence()


def test_open_cases_do_not_bias_the_share_of_late_ones():
    """Closed cases alone say 13.7 % late; 18.0 % are (normal tail at ln 2.5)."""
    rng = np.random.default_rng(3)
    began = rng.uniform(0, 30, 100_000)
    days = 2 * np.exp(rng.normal(size=len(began)))
    age = np.minimum(days, 30 - began)
    cases = pd.DataFrame(
        {
            "days": age,
            "days_open": days > age,
            "opened": pd.Timestamp("2025-06-01") + pd.to_timedelta(began, unit="D"),
        }
    )
    row = _baseline(cases, times={"operations": "opened"}, measure="days", limit=5, unit="days")
    assert (days[days == age] > 5).mean() == pytest.approx(0.137, abs=0.005)
    assert row["estimate"] == pytest.approx(0.1798, abs=0.005)
    assert row["undetermined"] + row["n"] == len(cases)
    assert "from 2025-06-26 on are too young to judge" in row["note"]


def test_what_is_absent_has_a_row_and_a_reason_and_stops_nothing():
    ctqs = [
        a_ctq(),
        a_ctq(name="content", table="survey", measure="satisfaction"),
        a_ctq(name="solved", measure="resolved"),
        a_ctq(name="empty", measure="nothing"),
    ]
    records = _waits(5, 10).assign(nothing=np.nan)
    found = baseline({"operations": records}, ctqs=ctq_tree(ctqs).table, times={})
    notes = found.table.set_index("ctq")["note"]
    assert notes["content"] == "there is no table survey"
    assert notes["solved"] == "operations has no resolved"
    assert "no record of nothing" in notes["empty"]
    assert found.table["n"].tolist() == [10, 0, 0, 0]
    assert found.table["estimate"].isna().tolist() == [False, True, True, True]
    assert found.unsaid == ("content", "solved", "empty") and found.missing == ("quick",)
    assert "content (there is no table survey)" in found.sentence()


def test_an_end_date_that_cannot_be_applied_is_said_and_a_wrong_one_is_a_problem():
    ctqs = ctq_tree([a_ctq()]).table
    found = baseline({"operations": _waits(1, 3)}, ctqs=ctqs, times={}, until="2025-09-29")
    assert "has no time" in found.table["note"].iloc[0]
    with pytest.raises(Problem, match="until is 'week 40', no date"):
        baseline({"operations": _waits(1, 3)}, ctqs=ctqs, times={}, until="week 40")


def test_records_of_another_table_may_be_alike_by_week():
    """Good and bad weeks in turn: as many pieces of news as weeks, and no more."""
    days = pd.date_range("2025-01-06", periods=20, freq="7D").repeat(50)
    cases = pd.DataFrame({"opened": days, "wait_s": np.tile([0.0] * 50 + [90.0] * 50, 10)})
    ctqs = ctq_tree([a_ctq(table="complaints")]).table
    found = baseline({"complaints": cases}, ctqs=ctqs, times={"complaints": "opened"})
    assert found.alike == ("complaints: week",)
    assert found.table.loc[0, "effective_n"] == pytest.approx(19)  # (20 - 1) / 20 of the weeks
    assert "may be alike (complaints: week)" in found.sentence()
    short = baseline({"complaints": cases[:450]}, ctqs=ctqs, times={"complaints": "opened"})
    assert short.alike == ("complaints: day",)


def test_three_kinds_of_cluster_are_too_many():
    records = _waits(1, 3).assign(a=1, b=2, c=3)
    with pytest.raises(Problem, match="3 kinds of cluster are named: a, b, c"):
        _baseline(records, clusters={"operations": ["a", "b", "c"]})


def test_the_baseline_is_told_and_drawn_with_its_interval_and_target():
    found = baseline(
        {"operations": _waits(30, 100)},
        ctqs=ctq_tree([a_ctq(), a_ctq(name="content", table="survey")]).table,
        times={},
    )
    said = found.sentence()
    assert "quick fails in 30.0 % (95% interval 21.9 to 39.6) of 100 records" in said
    assert "convention of a 1.5 shift calls 2.02" in said  # z(.7) = .5244
    ax = found.plot(plt.figure().subplots())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["quick", "content"]
    assert ax.lines[0].get_xdata() == pytest.approx([21.9, 39.6], abs=0.05)
    assert ax.lines[-1].get_xdata() == pytest.approx([20, 20])
    assert "not known" in [text.get_text() for text in ax.texts]
    plt.close(ax.figure)


# --- Week by week ---


def test_weeks_are_whole_and_only_judged_records_count():
    days = pd.date_range("2025-09-24 10:00", "2025-10-14 10:00", tz="Europe/Madrid")
    records = pd.DataFrame({"arrived": days, "wait_s": 10.0})
    records.loc[records.index[5:8], "wait_s"] = [90.0, 90.0, np.nan]  # from Monday 29 September
    ctqs = ctq_tree([a_ctq(), a_ctq(name="content", table="survey")]).table
    found = weekly(
        {"operations": records},
        ctqs=ctqs,
        times={"operations": "arrived"},
        calendar=Calendar("Europe/Madrid"),
    )
    assert list(found.columns) == ["ctq", "period", "defects", "n"]
    assert found["period"].tolist() == list(pd.to_datetime(["2025-09-29", "2025-10-06"]))
    assert found[["defects", "n"]].to_numpy().tolist() == [[2, 6], [0, 7]]
    assert set(found["ctq"]) == {"quick"}


def test_no_week_at_all_keeps_the_columns():
    none = weekly({}, ctqs=ctq_tree([a_ctq()]).table, times={}, calendar=Calendar())
    assert list(none.columns) == ["ctq", "period", "defects", "n"] and none.empty
