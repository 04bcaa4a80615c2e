"""Counts by hand, Little's law as an identity, and files that hold no backlog."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.backlog import backlog, backlog_age

REFERENCE = Path(__file__).parent / "reference"


def desk(seed=1, *, weeks=26, zone=None):
    """About 40 cases a week, each open for ten days on average."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(40 * weeks)
    opened = pd.Timestamp("2025-01-06") + pd.to_timedelta(7 * weeks * rng.random(n), unit="D")
    closed = opened + pd.to_timedelta(rng.exponential(10, n), unit="D")
    end = pd.Timestamp("2025-01-06") + pd.Timedelta(weeks=weeks)
    cases = pd.DataFrame({"opened": opened, "closed": closed})
    cases["closed"] = cases["closed"].where(cases["closed"] < end)
    cases["category"] = rng.choice(["bill", "staff"], n)
    if zone:
        cases[["opened", "closed"]] = cases[["opened", "closed"]].apply(
            lambda each: each.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        )
    return cases


UNTIL = "2025-07-06"  # the last day of 26 weeks


@pytest.fixture(scope="module")
def found():
    return backlog(desk(), until=UNTIL)


def test_every_week_is_the_one_before_plus_what_came_less_what_went(found):
    table = found.table
    assert len(table) == 26
    rest = table["open"].diff().dropna() - (table["opened"] - table["closed"])[1:]
    assert (rest == 0).all()
    assert table["open"].iloc[0] == table["opened"].iloc[0] - table["closed"].iloc[0]
    assert found.open_now == table["open"].iloc[-1] == desk()["closed"].isna().sum()


def test_ages_by_hand(found):
    cases = desk()
    age = (pd.Timestamp("2025-07-07") - cases.loc[cases["closed"].isna(), "opened"]) / pd.Timedelta(
        days=1
    )
    assert found.age_median_d == pytest.approx(age.median())
    assert found.age_oldest_d == pytest.approx(age.max())
    assert found.table["age_oldest_d"].iloc[-1] == pytest.approx(age.max())
    at = pd.Timestamp(found.table["week"].iloc[9]) + pd.Timedelta(days=7)
    still = (cases["opened"] < at) & ~(cases["closed"] < at)
    assert found.table["open"].iloc[9] == still.sum()


def test_rates_are_students(found):
    recent = found.table[found.table["recent"]]
    assert len(recent) == found.weeks == 13
    net = recent["opened"] - recent["closed"]
    half = stats.t.ppf(0.975, 12) * net.std() / np.sqrt(13)
    assert (found.change_low, found.change_high) == pytest.approx(
        (net.mean() - half, net.mean() + half)
    )
    assert found.weeks_of_work == pytest.approx(found.open_now / recent["closed"].mean())
    assert found.weeks_of_work_low == pytest.approx(found.open_now / found.outflow_high)


def test_little_s_law_of_a_printed_case():
    """Arrivals 0, 1, 2, 5, departures 3, 4, 6, 7: area 12, so 12 / 7 present and 3 each."""
    case = json.loads((REFERENCE / "little_law.json").read_text(encoding="utf-8"))
    begin, horizon = pd.Timestamp("2025-01-06"), case["input"]["horizon"]
    arrivals, departures = (np.array(case["input"][k]) for k in ("arrivals", "departures"))
    weeks = [begin + pd.Timedelta(days=horizon * week) for week in range(8)]
    cases = pd.DataFrame(
        {
            "opened": [w + pd.Timedelta(days=int(d)) for w in weeks for d in arrivals],
            "closed": [w + pd.Timedelta(days=float(d) - 1e-9) for w in weeks for d in departures],
        }
    )
    later = pd.DataFrame({"opened": [weeks[-1] + pd.Timedelta(days=9)], "closed": [pd.NaT]})
    found = backlog(pd.concat([cases, later], ignore_index=True), until="2025-03-02", weeks=4)
    assert found.little_d == pytest.approx(case["expected"]["W"])
    assert found.mean_open == pytest.approx(case["expected"]["L"])
    assert found.closed_mean_d == pytest.approx(case["expected"]["W"])
    assert (found.open_now, found.weeks_of_work, found.after) == (0, 0, 1)
    assert "there is nothing to clear" in found.sentence()


def test_a_steady_desk_has_little_s_days(found):
    assert found.little_d == pytest.approx(10, abs=1.5)
    assert found.mean_open == pytest.approx(40 / 7 * 10, rel=0.2)


def test_a_growing_backlog_is_never_cleared():
    days = pd.date_range("2025-01-06", periods=70)
    cases = pd.DataFrame(
        {"opened": [*days, *days], "closed": [*(days + pd.Timedelta(days=1)), *[pd.NaT] * 70]}
    )
    found = backlog(cases, until="2025-03-16", weeks=6)
    assert found.change == found.change_low == 7
    assert np.isinf(found.weeks_to_clear)
    assert "the backlog grows" in found.sentence()
    assert "does not go to nothing" in found.sentence()


def test_a_shrinking_backlog():
    """90 old cases; 14 a week are closed from the ninth day, 7 come: 7 fewer a week."""
    old = pd.DatetimeIndex([pd.Timestamp("2024-12-30")] * 130)
    new = pd.date_range("2025-01-06", periods=56)
    opened = [*old, *new]
    closings = np.repeat(new, 2)
    closed = [*closings[:112], *[pd.NaT] * (186 - 112)]
    found = backlog(pd.DataFrame({"opened": opened, "closed": closed}), until="2025-03-02", weeks=6)
    assert (found.open_now, found.change, found.outflow) == (74, -7, 14)
    assert found.weeks_to_clear == pytest.approx(74 / 7)
    assert found.weeks_of_work == pytest.approx(74 / 14)
    assert "the backlog shrinks" in found.sentence()


def test_a_day_without_clock_and_a_time_zone_change_nothing():
    whole = desk()[["opened", "closed"]].apply(lambda each: each.dt.normalize())
    found = backlog(whole, until=UNTIL)
    assert found.open_now == whole["closed"].isna().sum()
    assert len(found.table) == 26
    local = backlog(desk(zone="Europe/Madrid"), until=UNTIL)
    assert local.table["open"].tolist() == backlog(desk(), until=UNTIL).table["open"].tolist()


def test_a_look_back():
    found = backlog(desk(), until="2025-05-04")
    cases = desk()
    at = pd.Timestamp("2025-05-05")
    assert found.open_now == ((cases["opened"] < at) & ~(cases["closed"] < at)).sum()
    assert found.after == (cases["opened"] >= at).sum()
    assert f"{found.after:,} cases opened later" in found.sentence()


def test_ages_by_category():
    cases = desk()
    found = backlog_age(cases, until=UNTIL, edges_d=[5, 20])
    still = cases[cases["closed"].isna()]
    age = (pd.Timestamp("2025-07-07") - still["opened"]) / pd.Timedelta(days=1)
    table = found.table.set_index(["group", "band"])["open"]
    assert table[("all", "0 to 5")] == (age < 5).sum()
    assert table[("bill", "20 and more")] == ((age >= 20) & (still["category"] == "bill")).sum()
    assert found.table[found.table["group"] != "all"]["open"].sum() == len(still)
    assert f"{found.beyond:,} (" in found.sentence()


def test_many_categories_stand_together():
    cases = desk().assign(category=lambda c: [f"kind {i % 30}" for i in range(len(c))])
    cases.loc[cases.index[-40:], "category"] = None
    found = backlog_age(cases, until=UNTIL)
    assert found.table["group"].nunique() == 13
    assert found.table["group"].iloc[-1] == "(others)"
    assert found.table.groupby("group")["open"].sum().drop("all").sum() == found.open_now


def test_files_without_open_cases():
    cases = desk()
    with pytest.raises(Refusal, match="Every case of the file is closed"):
        backlog(cases.dropna())
    some = cases.dropna()
    old = cases.head(5).assign(closed=pd.NaT)
    with pytest.raises(Refusal, match="seems to hold closed cases only"):
        backlog(pd.concat([some, old], ignore_index=True), until=UNTIL)


def test_bad_input():
    cases = desk()
    wrong = cases.copy()
    wrong.loc[3, "closed"] = wrong.loc[3, "opened"] - pd.Timedelta(days=1)
    with pytest.raises(Problem, match=r"1 case closed before opened \(first rows: 3\)"):
        backlog(wrong)
    with pytest.raises(Problem, match="holds no times"):
        backlog(cases.assign(opened="yesterday"))
    with pytest.raises(Problem, match="until is"):
        backlog(cases, until="soon")
    with pytest.raises(Problem, match="weeks is 2"):
        backlog(cases, weeks=2)
    with pytest.raises(Problem, match="rising days"):
        backlog_age(cases, edges_d=[30, 7])
    with pytest.raises(Refusal, match="no column"):
        backlog_age(cases, by="product")
    with pytest.raises(Refusal, match="whole week"):
        backlog(cases[cases["opened"] < "2025-01-15"], until="2025-01-15")
    blank = cases.copy()
    blank.loc[:4, "opened"] = pd.NaT
    assert backlog(blank, until=UNTIL).left_out == 5


def test_sentences_and_pictures(found):
    strange = desk().assign(category=lambda c: c["category"].replace({"bill": "<b>$ 😀 账单"}))
    ages = backlog_age(strange, until=UNTIL)
    assert f"{found.open_now} cases open on 2025-07-06" in found.sentence()
    assert "has no interval" in found.sentence()
    assert "has no interval" in ages.sentence()
    for each in (found, ages):
        assert len(each.sentence().splitlines()[0]) <= 220
        ax = each.plot(plt.figure().subplots())
        assert ax.get_xlabel()
        assert ax.lines or ax.patches
    plt.close("all")


def test_one_old_case_and_a_tie_are_told_as_they_are():
    days = pd.date_range("2025-01-01", periods=20)
    cases = pd.DataFrame({"opened": days, "closed": pd.NaT, "category": ["bill", "wait"] * 10})
    cases["closed"] = cases["closed"].astype(cases["opened"].dtype)
    one = backlog_age(cases, until="2025-01-20", edges_d=[19])
    assert (
        one.sentence()
        .splitlines()[0]
        .endswith("1 (5 %) has been open for 19 days or more, in category bill.")
    )
    tied = backlog_age(cases, until="2025-01-20", edges_d=[18])
    assert tied.beyond == 2 and tied.worst == ""
    assert tied.sentence().splitlines()[0].endswith("2 (10 %) have been open for 18 days or more.")
