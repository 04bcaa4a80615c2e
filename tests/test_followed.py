"""Series of every kind have one shape, and young periods are marked."""

import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods.followed import answered_for, followed

TIMES = {"calls": "at", "survey": "answered"}
NONE = pd.DataFrame(columns=["ctq"])


@pytest.fixture
def tables():
    """Two whole weeks, one call a day; every fourth call is severe."""
    days = pd.date_range("2025-09-29", "2025-10-12", tz="Europe/Madrid")
    calls = pd.DataFrame(
        {"at": days, "wait_s": np.arange(14.0), "severe": [3, 1, 1, 1] * 3 + [3, 1]}
    )
    survey = pd.DataFrame({"answered": days[:7], "recommend": [10, 10, 9, 8, 7, 6, 0]})
    return {"calls": calls, "survey": survey}


def one(tables, **entry):
    entry = {"name": "it", "table": "calls", "better": "lower", **entry}
    return followed(tables, ctqs=NONE, also=[entry], times=TIMES, calendar=Calendar()).table


def test_a_ctq_is_followed_as_the_share_of_its_defects(tables):
    rule = {"table": "calls", "measure": "wait_s", "direction": "at most", "limit": 4}
    ctqs = pd.DataFrame([{"ctq": "quick", **rule}])
    table = followed(tables, ctqs=ctqs, times=TIMES, calendar=Calendar()).table
    assert table[["data", "n", "value", "better"]].to_numpy().tolist() == [
        ["share", 7.0, 2.0, "lower"],  # waits 5 and 6 of the first week
        ["share", 7.0, 7.0, "lower"],
    ]


def test_a_mean_carries_the_spread_within_its_week(tables):
    row = one(tables, data="mean", measure="wait_s").iloc[0]
    assert (row["n"], row["value"]) == (7, 3)
    assert row["sd"] == pytest.approx(np.std(range(7), ddof=1))


def test_net_promoters_of_a_week(tables):
    row = one(tables, data="nps", table="survey", measure="recommend").iloc[0]
    assert row["value"] == pytest.approx((3 - 2) / 7)
    p, d = 3 / 7, 2 / 7
    assert row["sd"] ** 2 * 6 / 7 == pytest.approx(p + d - (p - d) ** 2)


def test_events_are_counted_and_a_week_without_one_is_a_zero(tables):
    table = one(tables, data="count", where={"wait_s": [2, 3]})
    assert table["value"].tolist() == [2, 0]


def test_a_rate_has_the_other_tables_records_as_units(tables):
    table = one(tables, data="rate", where={"severe": 3}, exposure="survey")
    assert table[["n", "value"]].to_numpy().tolist() == [[7, 2]]  # no answers in the second week


def test_gaps_and_times_run_from_event_to_event(tables):
    gaps = one(tables, data="gap", where={"severe": 3})
    assert gaps["value"].tolist() == [3, 3, 3]
    times = one(tables, data="time", where={"severe": 3})
    assert times["value"].tolist() == [4, 4, 4]
    assert times["period"].dt.day.tolist() == [3, 7, 11]


def test_counts_that_come_summed_by_month():
    months = pd.date_range("2025-01-01", periods=3, freq="MS").repeat(2)
    sums = pd.DataFrame({"period": months, "n": [10.0, 20] * 3, "late": [1.0, 2, 3, 4, np.nan, 5]})
    entry = {"name": "late", "table": "sums", "data": "share", "measure": "late", "of": "n"}
    entry |= {"every": "month", "better": "lower"}
    table = followed(
        {"sums": sums}, ctqs=NONE, also=[entry], times={"sums": "period"}, calendar=Calendar()
    ).table
    assert table[["n", "value"]].to_numpy().tolist() == [[30, 3], [30, 7], [20, 5]]


def test_a_month_that_the_data_cut_off_is_left_out(tables):
    days = pd.date_range("2025-01-20", "2025-03-31")
    tables["calls"] = pd.DataFrame({"at": days})
    assert one(tables, data="count", every="month")["value"].tolist() == [28, 31]
    assert len(one(tables, data="count", every="day")) == len(days)


def test_a_period_ripens(tables):
    assert one(tables, data="count", ripens_d=7)["mature"].tolist() == [True, False]
    assert one(tables, data="count")["mature"].all()
    found = followed(
        tables,
        ctqs=NONE,
        also=[{"name": "calls", "table": "calls", "data": "count", "better": "lower"}],
        times=TIMES,
        calendar=Calendar(),
        mature_until="2025-10-06",
    )
    assert found.young == ("calls",)
    assert "not mature" in found.sentence()
    assert found.plot().get_title() == "What is followed from period to period?"


def test_what_cannot_be_followed_is_named(tables):
    also = [
        {"name": "calls", "table": "calls", "data": "count", "better": "lower"},
        {"name": "mail", "table": "mail", "data": "count", "better": "lower"},
    ]
    found = followed(tables, ctqs=NONE, also=also, times=TIMES, calendar=Calendar())
    assert found.without == ("mail (there is no table mail)",)
    with pytest.raises(Refusal, match="No series has data: mail"):
        followed(tables, ctqs=NONE, also=also[1:], times=TIMES, calendar=Calendar())


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"data": "shares"}, "'data' is 'shares'"),
        ({"data": "mean"}, "has no 'measure'"),
        ({"data": "rate"}, "has no 'exposure'"),
        ({"data": "mean", "measure": "wait"}, "needs calls.wait"),
        ({"data": "count", "ripens_d": -1}, "'ripens_d' is -1"),
        ({"data": "count", "better": "up"}, "'better' is 'up'"),
        ({"data": "count", "where": "severe"}, "'where' is"),
        ({"data": "count", "ownr": "Ana"}, "ownr"),
    ],
)
def test_an_entry_that_makes_no_sense_is_a_problem(tables, entry, words):
    with pytest.raises(Problem, match=words):
        one(tables, **entry)


def test_two_series_of_one_name_are_a_problem(tables):
    entry = {"name": "calls", "table": "calls", "data": "count", "better": "lower"}
    with pytest.raises(Problem, match="Two series are called 'calls'"):
        followed(tables, ctqs=NONE, also=[entry, entry], times=TIMES, calendar=Calendar())


def test_who_answers_is_told_for_ctqs_and_others_alike():
    ctqs = pd.DataFrame({"ctq": ["quick"], "owner": ["Ana"], "target": [0.2]})
    also = [{"name": "calls", "table": "calls", "data": "count", "better": "lower"}]
    table = answered_for(ctqs, also=also)
    assert table["series"].tolist() == ["quick", "calls"]
    assert table.loc[0, "owner"] == "Ana"
    assert table.loc[1, "escalate_after"] == 0
