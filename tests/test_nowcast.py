"""Late cases are added back, and nothing is added where nothing is missing."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods import nowcast as room
from sqm.methods.nowcast import all_closed, nowcast

LAST = pd.Timestamp("2025-06-30")


def made(rng, *, days=420, a_day=10, pace=15):
    day = np.repeat(np.arange(days), rng.poisson(a_day, days))
    opened = LAST - pd.to_timedelta(days - 1 - day, unit="D")
    delay = np.floor(rng.exponential(pace, len(day)))
    return pd.DataFrame({"opened": opened, "closed": opened + pd.to_timedelta(delay, unit="D")})


@pytest.fixture(scope="module")
def cases():
    return made(np.random.default_rng(3))


@pytest.fixture(scope="module")
def found(cases):
    return nowcast(cases[cases["closed"] <= LAST], until="2025-06-30")


def test_completeness_is_that_of_the_delays(found):
    # exponential delays of mean 15, cut to whole days: in after x days 1 - exp(-(x + 1) / 15)
    june = np.mean([1 - np.exp(-(x + 1) / 15) for x in range(30)])
    assert found.table["complete"].iloc[-1] == pytest.approx(june, abs=0.02)
    assert (found.table["complete"].diff().dropna() < 1e-9).all()
    assert found.table["immature"].tolist()[-1]
    assert found.table["complete"].iloc[0] == pytest.approx(1)


def test_the_count_in_the_end_lies_in_the_interval(cases, found):
    last = found.table.iloc[-1]
    truth = (cases["opened"] >= "2025-06-01").sum()
    assert last["seen"] < truth
    assert last["low"] <= truth <= last["high"]
    assert last["estimate"] == pytest.approx(truth, rel=0.15)
    assert f"end at {last['estimate']:,.0f} (95% prediction interval" in found.sentence()
    assert "approximate" in found.sentence()


def test_hiding_by_until_is_hiding_by_hand(cases, found):
    again = nowcast(cases, until="2025-06-30")
    pd.testing.assert_frame_equal(again.table, found.table)
    assert again.later == (cases["closed"] > LAST).sum() > 0
    assert f"{again.later:,} not yet seen on 2025-06-30" in again.sentence()


def test_the_chain_ladder_by_hand():
    # Periods of one delay step: after the file's first day 10 seen at once and 10 a day later, the
    # last day shows only the first half: R(1) = 20 a day, N(1) = 10, F(0) = 1 - 10 / 20.
    onset = np.repeat(np.arange(10), 20)
    end = onset + np.tile([0] * 10 + [1] * 10, 10)
    keep = end <= 9
    curve = room._Curve(onset[keep], end[keep], 9, 30)
    assert curve.share[:2].tolist() == pytest.approx([0.5, 1.0])
    # Greenwood in reverse: g / (R (1 - g)) with R = 180 on the nine days that can show it
    assert curve.error[1] == pytest.approx(0.5 / (180 * 0.5))


def test_a_file_in_which_nothing_is_late_is_left_as_it_is(cases):
    prompt = cases.assign(closed=cases["opened"])
    found = nowcast(prompt, until="2025-06-30")
    assert not found.table["immature"].any()
    assert found.table["estimate"].tolist() == pytest.approx(found.table["seen"].tolist())
    assert found.sentence().startswith("No month is waiting for cases")


def test_a_period_too_young_is_refused_in_its_row(cases):
    slow = nowcast(cases, until="2025-06-02")
    last = slow.table.iloc[-1]
    assert not last["whole"]
    assert np.isnan(last["estimate"])
    assert "too young" in last["note"]
    assert "1 month got no estimate" in slow.sentence()
    assert slow.sentence().startswith("Month 2025-05 has")


def test_a_change_of_the_delays_is_told():
    rng = np.random.default_rng(4)
    early, late = made(rng, pace=10), made(rng, pace=25)
    cut = pd.Timestamp("2025-01-01")
    both = pd.concat([early[early["opened"] < cut], late[late["opened"] >= cut]])
    changed = nowcast(both, until="2025-06-30")
    assert changed.drift_p < 0.001
    assert changed.median_d > changed.earlier_median_d
    assert "The delays changed" in changed.sentence()
    assert nowcast(early, until="2025-06-30").drift_p > 0.05


def test_weeks_start_where_the_calendar_says(cases):
    found = nowcast(cases, until="2025-06-30", by="week")
    assert set(found.table["period"].dt.day_of_week) == {0}
    assert found.table["seen"].sum() == nowcast(cases, until="2025-06-30").table["seen"].sum()
    zoned = cases.apply(lambda each: each.dt.tz_localize("Europe/Madrid"))
    pd.testing.assert_frame_equal(nowcast(zoned, until="2025-06-30", by="week").table, found.table)


def test_a_file_of_closed_cases_is_told_from_a_whole_one(cases):
    whole = cases.assign(closed=cases["closed"].where(cases["closed"] <= LAST))
    assert not all_closed(whole)
    assert all_closed(cases[cases["closed"] <= LAST])
    with pytest.raises(Refusal, match="still running"):
        nowcast(whole)


def test_blanks_of_a_file_of_closed_cases_are_counted(cases):
    cut = cases[cases["closed"] <= LAST].reset_index(drop=True)
    blank = cut.assign(closed=cut["closed"].mask(cut.index % 400 == 0))
    found = nowcast(blank, until="2025-06-30")
    assert found.blank == -(-len(cut) // 400)
    assert f"{found.blank} without a second time" in found.sentence()


def test_a_few_slips_are_counted_and_many_are_a_problem(cases):
    slip = cases.copy()
    slip.loc[:9, "closed"] = slip.loc[:9, "opened"] - pd.Timedelta(days=3)
    found = nowcast(slip, until="2025-06-30")
    assert found.backwards == 10
    assert "10 seen before it began" in found.sentence()
    swapped = cases.rename(columns={"opened": "closed", "closed": "opened"})
    with pytest.raises(Problem, match="swapped"):
        nowcast(swapped, until="2025-06-30")


def test_what_cannot_be_asked_is_refused(cases):
    with pytest.raises(Refusal, match="usable rows"):
        nowcast(cases.head(20))
    with pytest.raises(Refusal, match="no column"):
        nowcast(cases, seen="ended")
    with pytest.raises(Problem, match="holds no times"):
        nowcast(cases.astype(str))
    with pytest.raises(Refusal, match="covers 3 periods"):
        nowcast(cases[cases["opened"] >= "2025-04-01"], until="2025-06-30")
    with pytest.raises(Refusal, match="No case has both"):
        nowcast(cases.assign(closed=pd.NaT))
    slow = made(np.random.default_rng(5), pace=600)
    with pytest.raises(Refusal, match="take longer than it reaches"):
        nowcast(slow[slow["closed"] <= LAST])
    for wrong in ({"by": "day"}, {"youngest": 0.99}, {"window_d": 3}, {"until": "30/06/2025"}):
        with pytest.raises(Problem):
            nowcast(cases, **wrong)


def test_past_answers_are_judged_by_the_errors_of_the_others(found):
    assert found.asked >= 10
    assert found.held / found.asked > 0.8
    assert found.dispersion >= 1


def test_the_picture_shows_what_is_still_expected(found):
    ax = found.plot(plt.figure().add_subplot())
    assert ax.get_title().endswith("?")
    assert len(ax.patches) == len(found.table) + found.table["immature"].sum()
    hollow = [bar for bar in ax.patches if not bar.get_fill()]
    assert hollow[-1].get_height() == pytest.approx(
        found.table["estimate"].iloc[-1] - found.table["seen"].iloc[-1]
    )
    plt.close("all")


def test_a_period_that_is_not_over_is_not_said_to_end_at_what_has_begun(cases):
    """Its onsets to come are in no estimate: half a month in, the month ends at about twice."""
    found = nowcast(cases, until="2025-06-15")
    last = found.table.iloc[-1]
    assert not last["whole"] and np.isfinite(last["estimate"])
    first = found.sentence().splitlines()[0]
    assert "is expected to end at" not in first
    assert "is not over" in first and "expected of what began by 2025-06-15" in first
    assert first.endswith("; what begins later comes on top.")
    assert " 1 days" not in found.sentence()
