"""Alarms replayed by hand, and the cheapest rules where the answer is known."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.replay import _runs, cheapest_rules, garwood, over_draws, replay

WEEKS = pd.date_range("2025-01-06", periods=52, freq="7D", tz="Europe/Madrid")
CHANGE = {"name": "new roster", "series": "Wait", "from": "2025-09-29", "to": "2025-10-26"}
COSTS = {"false_alarm_cost": 100, "delay_cost": 10, "currency": "EUR"}


def chart(series="Wait", z=None, **columns):
    """24 baseline weeks and 28 watched; quiet unless z says otherwise."""
    quiet = np.where(np.arange(52) % 2, 0.5, -0.5)
    for week, value in (z or {}).items():
        quiet[week] = value
    table = pd.DataFrame(
        {
            "series": series,
            "period": WEEKS,
            "z": quiet,
            "baseline": np.arange(52) < 24,
            "mature": True,
        }
    )
    return table.assign(**columns)


def played(charts, **settings):
    settings = {"rivals": [], "rng": np.random.default_rng(1), **settings}
    return replay(charts, **settings)


def test_an_alarm_in_the_change_is_true_one_elsewhere_false():
    """29 September is the Monday of week 38; the alarm comes in its third week, one came in 30."""
    charts = chart(z={10: 9.0, 30: 4.0, 31: 4.0, 40: 4.0})
    found = played(charts, events=[CHANGE], **COSTS)
    row = found.table.iloc[0]
    assert (row["alarms"], row["true"], row["false"]) == (2, 1, 1)  # week 10 is baseline
    assert (row["events"], row["found"], row["missed"], row["late"]) == (1, 1, 0, 3)
    assert found.median_delay == 3
    years = 28 * 7 / 365.25
    assert row["years"] == pytest.approx(years)
    assert found.cost == pytest.approx(100 + 3 * 10)
    assert found.weeks == pytest.approx(28, abs=0.01)  # an hour more, when the clocks go back
    assert "have cost 130 EUR over the 28 weeks replayed" in found.sentence()
    outside = 20 * 7 / 365.25  # four weeks of change and four of its window cannot be false
    assert row["years_outside"] == pytest.approx(outside)
    assert found.false_a_year == pytest.approx(1 / outside)
    assert found.low == pytest.approx(stats.chi2.ppf(0.025, 2) / 2 / outside)
    assert found.high == pytest.approx(stats.chi2.ppf(0.975, 4) / 2 / outside)
    first = found.sentence().splitlines()[0]
    assert "2 alarms, 1 of them true: approximately" in first
    assert "1 of 1 known change found, after 3 periods" in first


def test_the_window_after_a_change_belongs_to_it():
    charts = chart(z={44: 4.0})  # the change lasts from week 38 to 41
    within = played(charts, events=[CHANGE], window=3)
    assert (within.true, within.false, within.found, within.median_delay) == (1, 0, 1, 7)
    beyond = played(charts, events=[CHANGE], window=2)
    assert (beyond.true, beyond.false, beyond.missed) == (0, 1, 1)
    assert beyond.table.iloc[0]["late"] == 4  # it went on for four weeks unseen


def test_a_missed_change_costs_until_it_is_noticed_anyway():
    lasting = {key: CHANGE[key] for key in ("name", "series", "from")}  # 14 weeks to the end
    missed = played(chart(), events=[lasting], **COSTS)
    assert missed.table.iloc[0]["late"] == 13
    sooner = played(chart(), events=[lasting], noticed_after=5, **COSTS)
    assert sooner.cost == pytest.approx(50)


def test_an_alarm_on_the_wrong_side_is_not_the_change():
    charts = chart(z={39: 4.0}, better="lower")
    worse = played(charts, events=[{**CHANGE, "direction": "worse"}])
    better = played(charts, events=[{**CHANGE, "direction": "better"}])
    assert (worse.true, better.true, better.missed) == (1, 0, 1)
    signals = chart(z={39: 4.0, 30: -4.0}, signal="").assign(
        signal=lambda t: np.where(t["z"] < -3, "worse", "")
    )
    told = played(signals, events=[{**CHANGE, "direction": "worse"}])
    assert (told.true, told.false) == (0, 2)  # the chart says that downwards is worse


def test_the_points_of_a_run_were_not_known_before_it_was_complete():
    """More than 8 in a row from week 38 on are known in week 46, the ninth of the change."""
    lasting = {key: CHANGE[key] for key in ("name", "series", "from")}
    high = {37: -0.5, **dict.fromkeys(range(38, 52), 0.4)}
    charts = chart(z=high, rules="beyond 3 + run over 8, all points")
    found = played(charts, events=[lasting])
    assert (found.raised, found.true, found.median_delay) == (1, 1, 9)


def test_series_and_rules_side_by_side():
    charts = pd.concat([chart(z={40: 2.5}), chart("Cost", z={30: 2.5}, rules="beyond 2")])
    found = played(charts, events=[CHANGE], rivals=["beyond 2"])
    by = found.table.set_index(["series", "name"])["alarms"]
    assert by.to_dict() == {
        ("Cost", "in use"): 1,
        ("Cost", "beyond 2"): 1,
        ("Wait", "in use"): 0,
        ("Wait", "beyond 2"): 1,
        ("", "in use"): 1,
        ("", "beyond 2"): 2,
    }
    assert "under other rules: beyond 2 (1 true, 1 false, 1 found)" in found.sentence()


def test_what_cannot_be_replayed_is_said():
    early = {"name": "move", "series": "Wait", "from": "2025-02-03"}
    young = chart("Young").tail(20)
    found = played(pd.concat([chart(), young]), events=[early])
    assert (found.series, found.unplayed, found.events) == (1, 1, 0)
    assert "Young: fewer than 24 periods" in found.sentence()
    assert "1 change before the watch left out" in found.sentence()
    assert "no change is known" in found.sentence()
    whole = played(chart(baseline=True))
    assert "limits and past overlap" in whole.sentence()
    immature = played(chart(z={51: 9.0}).assign(mature=np.arange(52) < 50))
    assert immature.raised == 0


def test_a_change_of_several_series_is_charged_once():
    """Told in week 4 of one series and week 2 of the other, and never in a third."""
    charts = pd.concat([chart("a", z={41: 4.0}), chart("b", z={39: 4.0}), chart("c")])
    for where in ({"series": ["a", "b", "c"]}, {"series": "all"}, {}):
        event = {"name": "new roster", "from": CHANGE["from"], "to": CHANGE["to"], **where}
        found = played(charts, events=[event], **COSTS)
        by = found.table.set_index("series")
        assert by["late"].to_dict() == {"a": 4, "b": 2, "c": 4, "": 2}
        assert (found.events, found.found, found.missed, found.median_delay) == (1, 1, 0, 2)
        assert found.cost == pytest.approx(20)
        assert found.true == 2
    each = [{**CHANGE, "series": name, "name": name} for name in "ab"]
    assert played(charts, events=each, **COSTS).cost == pytest.approx(20 + 40 + 100 * 0)
    quiet = pd.concat([chart("a"), chart("b")])
    missed = played(quiet, events=[{**CHANGE, "series": "all"}], **COSTS)
    assert (missed.missed, missed.cost) == (1, 40)


def test_the_delay_of_a_change_for_the_better_costs_nothing():
    charts = chart(z={40: -4.0}, better="lower")
    better = played(charts, events=[{**CHANGE, "direction": "better"}], **COSTS)
    assert (better.found, better.median_delay, better.cost) == (1, 3, 0)
    assert "for a change for the better not at all" in better.sentence()
    wrong = played(charts, events=[{**CHANGE, "direction": "worse"}], **COSTS)
    assert (wrong.false, wrong.table.iloc[0]["false_outside"]) == (1, 0)
    assert (wrong.cost, wrong.false_a_year) == (140, 0)


def test_nothing_outside_the_known_changes_gives_no_rate():
    event = {"name": "merger", "from": WEEKS[24].strftime("%Y-%m-%d")}
    found = played(chart(z={40: 4.0}), events=[event])
    assert np.isnan(found.false_a_year) and found.true == 1
    assert "no rate of false ones" in found.sentence().splitlines()[0]
    assert "interval" not in found.sentence()
    assert "Wait: all within known changes" in found.sentence()
    found.plot(plt.figure().subplots())
    plt.close("all")


def test_a_change_of_all_reaches_only_the_series_that_have_data_then():
    old = chart("Old").assign(period=lambda t: t["period"] - pd.Timedelta(weeks=52))
    found = played(pd.concat([chart(), old]), events=[{"name": "storm", "from": "2025-09-29"}])
    assert found.table.set_index("series")["events"].to_dict() == {"Old": 0, "Wait": 1, "": 1}
    unripe = chart().assign(mature=np.arange(52) < 30)  # the change has not ripened yet
    found = played(unripe, events=[{"name": "storm", "from": "2025-09-29"}])
    assert found.events == 0
    assert "1 change after the last mature period left out" in found.sentence()


def test_years_of_single_events_are_those_of_the_calendar():
    """Gaps of 1 and 9 days in turn: 60 events are 59 gaps of 295 days, each the mean of them."""
    days = np.cumsum(np.r_[0, np.tile([1, 9], 30)[:59]])
    charts = pd.DataFrame(
        {
            "series": "falls",
            "data": "time",
            "period": pd.Timestamp("2025-01-01") + pd.to_timedelta(days, unit="D"),
            "z": np.tile([0.5, -0.5], 30),
            "baseline": False,
            "mature": True,
        }
    )
    found = played(charts)
    assert found.table.iloc[0]["years"] == pytest.approx(60 * days[-1] / 59 / 365.25)
    told = charts.assign(z=np.where(np.arange(60) == 41, 4.0, charts["z"]))
    move = {"name": "move", "from": charts["period"][40] + pd.Timedelta(hours=12)}
    assert played(told, events=[move]).median_delay == 1  # the first event after the move


def test_a_range_of_costs_has_an_interval():
    costs = {**COSTS, "false_alarm_cost": [50, 100, 200]}
    found = played(chart(z={30: 4.0}), **costs)
    assert 50 < found.cost_low < found.cost < found.cost_high < 200
    assert found.cost == pytest.approx(350 / 3, rel=0.01)
    assert "EUR" in found.sentence()
    assert "No costs are given" in played(chart()).sentence()


def test_runs_and_garwood():
    assert _runs(np.array([1, 0, 1, 1], dtype=bool)) == [(0, 0), (2, 3)]
    # Ulm (1990): 95 % limits of 10 are 4.795 and 18.390
    assert garwood(10, confidence=0.95) == pytest.approx((4.795, 18.390), abs=0.001)


def test_over_draws_leaves_out_the_noise_within_a_draw():
    """Draws differ with standard deviation 1, the 8 values in each with 4: means with sqrt(3)."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(400, 1, 1)) + 4 * rng.normal(size=(400, 1, 8))
    mean, low, high = over_draws(values, confidence=0.9)
    plain = np.ptp(np.quantile(values.mean(axis=(1, 2)), [0.05, 0.95]))
    assert mean == pytest.approx(values.mean())
    assert 2 * 1.645 * 0.85 < high - low < plain * 0.75


@pytest.fixture(scope="module")
def steady():
    rng = np.random.default_rng(11)
    periods = pd.date_range("2023-01-02", periods=120, freq="7D")
    return pd.concat(
        pd.DataFrame({"series": name, "period": periods, "z": rng.normal(size=120)}).assign(
            baseline=False, mature=True
        )
        for name in ("a", "b")
    )


def test_planted_shifts_are_found_as_often_as_theory_says(steady):
    """Limits of 2.5, one sigma: 0.0670 a period, in 13 periods 1 - 0.933^13 = 0.594."""
    found = cheapest_rules(
        steady, rules="beyond 2.5", grid=(), sizes=(1.0,), rng=np.random.default_rng(3)
    )
    chance = stats.norm.sf(1.5) + stats.norm.cdf(-3.5)
    assert found.found == pytest.approx(1 - (1 - chance) ** 13, abs=0.12)
    assert found.found_low < 1 - (1 - chance) ** 13 < found.found_high
    assert found.chosen == ""
    assert np.isnan(found.cost)
    assert found.sentence().startswith("No costs are given")


def test_the_costs_decide(steady):
    """Dear false alarms call for wide limits, dear delay for narrow ones."""
    settings = {"grid": ["beyond 2", "beyond 4"], "shifts_a_year": 1, "currency": "EUR"}
    quiet = cheapest_rules(
        steady, false_alarm_cost=1000, delay_cost=1, rng=np.random.default_rng(3), **settings
    )
    alert = cheapest_rules(
        steady, false_alarm_cost=1, delay_cost=1000, rng=np.random.default_rng(3), **settings
    )
    assert (quiet.chosen, alert.chosen) == ("beyond 4", "beyond 2")
    assert alert.clear and alert.saving_low > 0
    row = alert.table.query("half == 'judged on' and rules == 'beyond 2'").set_index(
        ["quantity", "shift_sigma"]
    )["estimate"]
    by_hand = row["false alarms a year", np.nan] * 1 + row["delay", np.nan] * 1000
    assert alert.cost == pytest.approx(2 * by_hand, rel=1e-9)  # two series
    assert "the cheapest is beyond 2: approximately" in alert.sentence()


def test_a_budget_of_false_alarms_binds(steady):
    settings = {"grid": ["beyond 2", "beyond 4"], "shifts_a_year": 1, "currency": "EUR"}
    settings |= {"false_alarm_cost": 1, "delay_cost": 1000}
    kept = cheapest_rules(steady, most_false_alarms=0.5, rng=np.random.default_rng(3), **settings)
    assert kept.within_budget and kept.chosen in ("beyond 3", "beyond 4")
    never = cheapest_rules(steady, most_false_alarms=1e-9, rng=np.random.default_rng(3), **settings)
    assert not never.within_budget and never.chosen == "beyond 4"
    assert "No rules keep to" in never.sentence()


def test_rules_that_do_the_same_are_not_clear_of_each_other(steady):
    found = cheapest_rules(
        steady, grid=["beyond 3.001"], shifts_a_year=1, rng=np.random.default_rng(3), **COSTS
    )
    assert not found.clear
    assert "not clear of the next best" in found.sentence().splitlines()[0]


def test_periods_of_an_event_are_not_steady(steady):
    shaken = steady.copy()
    shaken.loc[shaken["z"].index >= 80, "z"] += 8.0
    event = {"name": "storm", "series": ["a", "b"], "from": "2024-07-15"}
    plan = {"rules": "beyond 3", "grid": (), "rng": np.random.default_rng(3)}
    assert cheapest_rules(shaken, events=[event], **plan).false_a_year < 2
    touched = {"name": "storm", "from": "2024-07-15"}  # without a series every one is
    assert cheapest_rules(shaken, events=[touched], **plan).false_a_year < 2
    assert cheapest_rules(shaken, **plan).found > 0.95  # without it the level seems to wander


def test_the_rate_of_shifts_counts_a_change_once_and_none_for_the_better(steady):
    """Jeffreys: 1.5 over the years of both series for one change, 0.5 for none."""
    event = {"name": "storm", "from": "2025-03-03"}
    years = 2 * 120 * 7 / 365.25
    plan = {"rules": "beyond 3", "grid": (), "draws": 100}
    for direction, shifts in (("worse", 1.5), ("better", 0.5)):
        rates = [
            cheapest_rules(
                steady,
                events=[{**event, "direction": direction}],
                rng=np.random.default_rng(seed),
                **plan,
            ).shifts_a_year
            for seed in range(3)
        ]
        assert np.mean(rates) == pytest.approx(shifts / years, rel=0.25)


def test_pictures(steady):
    for found in (
        played(chart("花费 $ <b>", z={30: 4.0})),
        cheapest_rules(steady, grid=["beyond 2"], rng=np.random.default_rng(1), **COSTS),
        cheapest_rules(steady, grid=["beyond 2"], rng=np.random.default_rng(1)),
    ):
        ax = found.plot(plt.figure().subplots())
        assert ax.get_title().endswith("?")
        assert len(ax.get_yticks()) >= 2
        assert len(found.sentence().splitlines()[0]) <= 220
    plt.close("all")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"events": [{**CHANGE, "series": "Wiat"}]}, "'Wiat', which has no chart"),
        ({"events": [{**CHANGE, "series": []}]}, "names no series"),
        ({"events": [{"name": "x", "from": "2015-09-29"}]}, "outside the data"),
        ({"events": [CHANGE, {**CHANGE, "series": "all"}]}, "stands twice"),
        ({"events": [{**CHANGE, "from": "2027-01-04", "to": None}]}, "outside the data"),
        ({"events": [{**CHANGE, "from": "2024-01-01"}]}, "outside the data"),
        ({"events": [{**CHANGE, "to": "2025-09-01"}]}, "ends before it begins"),
        ({"events": [{**CHANGE, "from": "last spring"}]}, "has no dates"),
        ({"events": [{**CHANGE, "untill": "2025-12-01"}]}, "setting 'untill'"),
        ({"events": [{**CHANGE, "direction": "up"}]}, "direction 'up'"),
        ({**COSTS, "false_alarm_cost": -1}, "false alarm is -1"),
        ({**COSTS, "currency": None}, "no currency"),
        ({**COSTS, "delay_cost": None}, "only one is given"),
    ],
)
def test_bad_input(wrong, says):
    with pytest.raises(Problem, match=says):
        played(chart(), **wrong)


def test_too_short_a_past_is_refused(steady):
    with pytest.raises(Refusal, match="24 periods"):
        played(chart().head(23))
    with pytest.raises(Refusal, match="12 steady periods"):
        cheapest_rules(chart().head(23), rng=np.random.default_rng(1))
    with pytest.raises(Problem, match="twice"):
        played(pd.concat([chart(), chart()]))
    with pytest.raises(Problem, match="sizes of shifts"):
        cheapest_rules(steady, sizes=(0,), rng=np.random.default_rng(1))
