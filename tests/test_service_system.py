"""One description of a system, read by formulas, the recursion and the event calendar."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm.arrival_counts import arrivals_from_counts
from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.event_calendar import Routing
from sqm.queue_engine import simulate
from sqm.queue_formulas import erlang_a, erlang_c
from sqm.service_system import Days, ServiceSystem

KNOWN = json.loads((Path(__file__).parent / "reference" / "queueing.json").read_text("utf-8"))
PLAIN = {
    "days": ["Mon", "Tue"],
    "opens": 9,
    "closes": 13,
    "interval_min": 30,
    "arrivals_per_hour": {"Mon": 40, "Tue": [20, 20, 30, 40, 60, 60, 40, 20]},
    "day_variation": 0.2,
    "service": {"mean_s": 240, "log_sd": 0.7},
    "patience": {"mean_s": 300, "shape": 1.2},
    "staffing": {"Mon": [[9, 11.5, 3], [11.5, 13, 2]], "Tue": 3},
}
ROUTED = PLAIN | {
    "service": {
        "bill": {"share": 0.6, "mean_s": 200, "log_sd": 0.5, "resolved": 0.9},
        "fault": {"share": 0.4, "mean_s": 400, "resolved": 0.6},
    },
    "staffing": {"desk": 3, "experts": [[9, 13, 2]]},
    "routing": {
        "priority": ["fault", "bill"],
        "serves": {"experts": ["fault"]},
        "second_line": ["experts"],
        "call_back": {"share": 0.5, "after_s": 600},
        "rework": {"share": 0.3, "after_s": 1800, "factor": 0.8},
        "escalate": {"share": 0.1, "factor": 1.5},
    },
}


def _rng():
    return np.random.default_rng(11)


# --- Reading --------------------------------------------------------------------------------------


def test_a_plain_description_is_read():
    system = ServiceSystem.from_description(PLAIN)
    assert system.weekdays == (0, 1) and system.interval_s == 1800
    # 40 an hour are 20 in a half-hour
    assert system.arrivals.tolist() == [[20.0] * 8, [10, 10, 15, 20, 30, 30, 20, 10]]
    assert system.agents.tolist() == [[[3, 3, 3, 3, 3, 2, 2, 2], [3] * 8]]
    assert system.from_h.tolist() == [9, 9.5, 10, 10.5, 11, 11.5, 12, 12.5]
    assert system.groups == ("agents",) and system.routing == Routing()
    # exp(0.49) - 1
    assert system.service_scv == pytest.approx(np.expm1(0.49))


def test_routing_is_read_by_name():
    system = ServiceSystem.from_description(ROUTED)
    assert system.groups == ("desk", "experts")
    assert system.routing == Routing(
        priority=(1, 0),
        serves=((0, 1), (1,)),
        second_line=(1,),
        call_back=0.5,
        call_back_after_s=600,
        rework=0.3,
        rework_after_s=1800,
        rework_factor=0.8,
        escalate=0.1,
        escalation_factor=1.5,
    )
    assert system.mean_service_s == pytest.approx(0.6 * 200 + 0.4 * 400)
    # E[S^2]: 0.6 * 200^2 * exp(0.25) + 0.4 * 2 * 400^2
    square = 0.6 * 200**2 * np.exp(0.25) + 0.4 * 2 * 400**2
    assert system.service_scv == pytest.approx(square / 280**2 - 1)


def _with(**change):
    return {key: value for key, value in (PLAIN | change).items() if value is not None}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ([], "The system is"),
        (_with(patiens={"mean_s": 3}), "did you mean 'patience'"),
        (_with(service=None), "no 'service'"),
        (_with(staffing=None), "no 'staffing'"),
        (_with(days=["Mon", "Tues"]), "did you mean 'Tue'"),
        (_with(days=[]), "works on no day"),
        (_with(opens=14), "opening before closing"),
        (_with(interval_min=45), "no whole number of intervals"),
        (_with(interval_min=0), "interval_min is 0"),
        (_with(arrivals_per_hour=[1, 2]), "2 numbers where there are 8 intervals"),
        (_with(arrivals_per_hour={"Mon": 3}), "says nothing of Tue"),
        (_with(arrivals_per_hour={"Mon": 3, "Tus": 3}), "did you mean 'Tue'"),
        (_with(arrivals_per_hour=-1), "arrivals_per_hour is -1"),
        (_with(arrivals_per_hour="many"), "arrivals_per_hour is 'many'"),
        (_with(service={"mean_s": -5}), "mean_s is -5"),
        (_with(service={"log_sd": 0.5}), "service has no 'mean_s'"),
        (_with(service={"mean_s": float("nan")}), "mean_s is nan"),
        (_with(service={"mean_s": 5, "resolved": 1.4}), "resolved is 1.4"),
        (_with(service={"a": {"mean_s": 5, "share": 0.5}}), "add up to 0.5"),
        (_with(service={"a": {"mean_s": 5}}), "service: a has no 'share'"),
        (_with(service={"a": {"mean": 5, "share": 1}}), "did you mean 'mean_s'"),
        (_with(service=7), "service is 7"),
        (_with(patience={"shape": 1}), "patience has no 'mean_s'"),
        (_with(staffing=[[9, 12, 3], [11, 13, 3]]), "9 to 12 and 11 to 13 overlap"),
        (_with(staffing={"a": {"Mon": 3, "Tue": [[9, 12, 3], [9, 12, 3]]}}), "a, Tue: the shifts"),
        (_with(staffing=[[9, 12.2, 3]]), "begins or ends at 12.2"),
        (_with(staffing=[[12, 9, 3]]), "a shift from 12 to 9"),
        (_with(staffing=2.5), "part of an agent"),
        (_with(staffing={}), "staffing is empty"),
        (_with(staffing=[[9, 12, 3]]), "Customers come on Mon at 12:00 and nobody is on duty"),
        (_with(staffing={"a": 2, "b": 2}, routing={"serves": {"c": []}}), "unknown key 'c'"),
        (_with(routing={"priority": ["bills"]}), "names 'bills'"),
        (_with(routing={"call_backs": 0.3}), "did you mean 'call_back'"),
        (_with(routing={"call_back": {"after_s": 3}}), "call_back has no 'share'"),
        (_with(routing={"rework": {"share": 0.2, "after_s": -3}}), "after_s is -3"),
        (_with(routing={"escalate": 1.5}), "share is 1.5"),
        (_with(patience=None, arrivals_per_hour=60), "the queue grows without end"),
    ],
)
def test_a_bad_description_says_where(described, words):
    with pytest.raises(Problem, match=words.replace("(", r"\(")):
        ServiceSystem.from_description(described)


def test_a_reason_that_nobody_on_duty_serves_is_found():
    gap = ROUTED | {"routing": {"serves": {"desk": ["bill"], "experts": ["fault"]}}}
    gap |= {"staffing": {"desk": 3, "experts": [[9, 12, 2]]}}
    with pytest.raises(Problem, match="Mon at 12:00 and nobody is on duty who serves 'fault'"):
        ServiceSystem.from_description(gap)


def test_too_much_work_for_one_skill_is_found():
    # 40 an hour, 0.4 of them faults of 400 s: 1.78 agents are needed of the one expert
    few = ROUTED | {"patience": None, "staffing": {"desk": 9, "experts": 1}}
    few |= {"routing": {"serves": {"desk": ["bill"], "experts": ["fault"]}}}
    with pytest.raises(Problem, match="busy 178% of their time with 'fault' and nobody leaves"):
        ServiceSystem.from_description(few)
    assert ServiceSystem.from_description(few | {"patience": {"mean_s": 60}}).patience_shape == 1


def test_rework_counts_as_work():
    # 40 an hour of 240 s are 2.67 agents; every second unresolved contact again makes it 3.07
    tight = _with(patience=None, staffing=3, arrivals_per_hour=40)
    tight["service"] = {"mean_s": 240, "resolved": 0.7}
    assert ServiceSystem.from_description(tight).routing.plain
    with pytest.raises(Problem, match="busy 102% of their time"):
        ServiceSystem.from_description(tight | {"routing": {"rework": 0.5}})


# --- Drawing --------------------------------------------------------------------------------------


def test_drawn_customers_are_as_described():
    system = ServiceSystem.from_description(ROUTED | {"day_variation": 0.3})
    days = system.draw(weeks=1500, rng=_rng())
    there = np.isfinite(days.arrival_s)
    assert days.weekday[:4].tolist() == [0, 1, 0, 1] and days.week[:4].tolist() == [0, 0, 1, 1]
    interval = np.where(there, days.arrival_s, -1) // 1800
    tuesday = days.weekday == 1
    mean = [(interval[tuesday] == i).sum() / tuesday.sum() for i in range(8)]
    np.testing.assert_allclose(mean, system.arrivals[1], rtol=0.05)
    number = there[~tuesday].sum(axis=1)
    # Poisson and a factor with coefficient of variation 0.3: 160 + 0.09 * 160^2
    assert number.var() == pytest.approx(160 + 0.09 * 160**2, rel=0.12)
    bill = there & (days.reason == 0)
    assert bill.sum() / there.sum() == pytest.approx(0.6, abs=0.01)
    assert days.service_s[bill].mean() == pytest.approx(200, rel=0.01)
    assert np.log(days.service_s[bill]).std() == pytest.approx(0.5, rel=0.01)
    fault = there & (days.reason == 1)
    assert days.service_s[fault].std() == pytest.approx(400, rel=0.02)  # exponential
    assert days.resolved[fault].mean() == pytest.approx(0.6, abs=0.01)
    assert days.patience_s[there].mean() == pytest.approx(300, rel=0.01)
    assert (np.diff(days.arrival_s[there]) >= 0).mean() > 0.99  # in order but at a new lane


def test_the_same_seed_draws_the_same_customers_and_patience_does_not_disturb_them():
    system = ServiceSystem.from_description(PLAIN)
    one, two = (system.draw(weeks=3, rng=_rng()) for _ in range(2))
    for each in fields(Days):
        np.testing.assert_array_equal(getattr(one, each.name), getattr(two, each.name))
    patient = replace(system, patience_mean_s=np.inf).draw(weeks=3, rng=_rng())
    np.testing.assert_array_equal(patient.service_s, one.service_s)
    assert np.isinf(patient.patience_s[np.isfinite(patient.arrival_s)]).all()


def test_some_weekdays_alone_can_be_drawn():
    system = ServiceSystem.from_description(PLAIN)
    assert set(system.draw(weeks=5, weekdays=[1], rng=_rng()).weekday.tolist()) == {1}
    with pytest.raises(Problem, match="closed on Sun"):
        system.draw(weeks=5, weekdays=[6], rng=_rng())


# --- Simulating -----------------------------------------------------------------------------------


def test_both_engines_give_the_same_waits():
    system = ServiceSystem.from_description(PLAIN)
    days = system.draw(weeks=20, rng=_rng())
    by_recursion = system.simulate(days)
    serves = Routing(serves=((0,),), longest_wait_first=True)  # plain, said at length
    by_calendar = replace(system, routing=serves).simulate(days)
    assert (by_calendar.spell >= 0).any() and (by_recursion.spell < 0).all()
    np.testing.assert_allclose(by_recursion.wait_s, by_calendar.wait_s, atol=1e-9)
    np.testing.assert_array_equal(by_recursion.served, by_calendar.served)
    assert 0.02 < 1 - by_recursion.served[np.isfinite(days.arrival_s)].mean() < 0.5


def test_half_hours_with_the_same_staff_are_hours():
    system = ServiceSystem.from_description(PLAIN | {"staffing": [2, 2, 3, 3, 4, 4, 3, 3]})
    hourly = _with(interval_min=60, staffing=[2, 3, 4, 3], arrivals_per_hour=40)
    days = system.draw(weeks=20, rng=_rng())
    one, two = system.simulate(days), ServiceSystem.from_description(hourly).simulate(days)
    np.testing.assert_array_equal(one.wait_s, two.wait_s)


def test_agents_end_within_an_hour():
    # intervals of five minutes; the one agent is there until 9:05 and again from 9:55, and who
    # calls at 400 s waits for 3300 s
    given = _with(interval_min=5, closes=10, days=["Mon"], arrivals_per_hour=1)
    given |= {"staffing": 1, "service": {"mean_s": 10}}
    system = ServiceSystem.from_description(given)
    agents = np.zeros((1, 1, 12), int)
    agents[0, 0, [0, 11]] = 1
    days = system.draw(weeks=1, rng=_rng())
    one = [np.array([[value]]) for value in (400.0, 10.0, 1e6, 0, True, 0.5, 1e6)]
    days = Days(days.week, days.weekday, *one)
    assert system.simulate(days, agents=agents).wait_s.tolist() == [[3300 - 400]]


def test_routing_goes_to_the_calendar_and_closes_with_the_day():
    system = ServiceSystem.from_description(ROUTED)
    days = system.draw(weeks=40, rng=_rng())
    done = system.simulate(days)
    there = np.isfinite(days.arrival_s)
    assert (done.attempts[there] > 1).any() and done.escalated.any() and done.reworked.any()
    # no call-back can follow who leaves within 600 s of closing
    late = there & ~done.first_served & (days.arrival_s + done.wait_s + 600 >= 4 * 3600)
    assert late.any() and (done.attempts[late] == 1).all()
    # faults go first
    waits = [done.wait_s[there & (days.reason == c)].mean() for c in (0, 1)]
    assert waits[1] < 0.7 * waits[0]


def test_a_day_is_as_another_simulator_found():
    case = KNOWN["mmc_day"]
    given, found = case["input"], case["expected"]
    system = ServiceSystem.from_description(
        {
            "days": ["Mon"],
            "opens": 9,
            "closes": 17,
            "arrivals_per_hour": 60 * given["arrival_rate"],
            "service": {"mean_s": 60 / given["service_rate"]},
            "staffing": given["servers"],
        }
    )
    done = system.simulate(system.draw(weeks=300, rng=_rng()))
    for runs, interval in (
        (np.nanmean(done.wait_s, axis=1) / 60, found["asa_ci95"]),
        (np.nanmean(np.where(np.isnan(done.wait_s), np.nan, done.wait_s <= 20), axis=1), None),
    ):
        half = 1.96 * runs.std(ddof=1) / np.sqrt(len(runs))
        low, high = interval or (0.9, 0.904)  # its service level, printed beside
        assert runs.mean() - half < high and runs.mean() + half > low


def test_nobody_on_duty_is_a_problem():
    system = ServiceSystem.from_description(PLAIN)
    with pytest.raises(Problem, match="Nobody is on duty"):
        system.simulate(system.draw(weeks=1, rng=_rng()), agents=0 * system.agents)
    with pytest.raises(Problem, match="shape"):
        system.staffed(np.zeros((1, 2, 3)))
    with pytest.raises(Problem, match="negative"):
        system.staffed(system.agents - 5)


# --- Formulas -------------------------------------------------------------------------------------


def test_formulas_read_the_same_description():
    table = ServiceSystem.from_description(PLAIN).formulas()
    row = table[(table["weekday"] == "Tue") & (table["from_h"] == 11)].iloc[0]
    assert row["arrival_rate_per_h"] == 60 and row["service_rate_per_h"] == 15
    truth = erlang_a(60, 15, 3, abandon_rate=12)
    assert row["mean_wait_s"] == pytest.approx(3600 * truth.mean_wait)
    assert row["abandoned"] == pytest.approx(truth.p_abandon)
    assert (table["note"] == "").all() and len(table) == 16


def test_formulas_stay_silent_where_there_is_no_long_run():
    given = _with(patience=None, arrivals_per_hour=[0, 20, 30, 60, 40, 20, 20, 20], staffing=3)
    table = ServiceSystem.from_description(given).formulas()
    table = table[table["weekday"] == "Mon"].set_index("from_h")
    assert table.loc[9, "note"] == "nobody comes"
    assert table.loc[10.5, "note"].startswith("busier than always")
    assert np.isnan(table.loc[10.5, "mean_wait_s"])
    assert table.loc[9.5, "mean_wait_s"] == pytest.approx(3600 * erlang_c(20, 15, 3).mean_wait)
    routed = ServiceSystem.from_description(ROUTED).formulas()
    assert routed["note"].str.startswith("as if all agents").all()
    assert (routed["agents"] == 5).all()


# --- Counts alone ---------------------------------------------------------------------------------

SHOP = Calendar(opens=8, closes=12, days=("Mon", "Tue", "Wed", "Thu", "Fri"))


def _counts(weeks=80, day_cv=0.2, interval_cv=0.0, seed=5, minutes=5):
    """Counts every five minutes of a service whose truth is known."""
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2025-01-06", periods=5 * weeks)
    steps = 4 * 60 // minutes
    hour = (
        np.repeat([60, 120, 90, 30], steps // 4)[None]
        * (1 + 0.1 * dates.day_of_week.to_numpy())[:, None]
    )
    mean = hour * minutes / 60
    half = rng.gamma(interval_cv**-2, interval_cv**2, (len(dates), 8)) if interval_cv else 1.0
    factor = rng.gamma(day_cv**-2, day_cv**2, (len(dates), 1)) if day_cv else 1.0
    factor = factor * (np.repeat(half, steps // 8, axis=1) if interval_cv else 1.0)
    return pd.DataFrame(
        {
            "arrived": (
                dates.to_numpy()[:, None]
                + np.timedelta64(8, "h")
                + np.arange(steps) * np.timedelta64(minutes, "m")
            ).ravel(),
            "contacts": rng.poisson(mean * factor).ravel(),
        }
    )


def test_counts_give_back_what_made_them():
    found = arrivals_from_counts(_counts(weeks=200), interval_min=30, calendar=SHOP)
    truth = np.repeat([30, 60, 45, 15], 2) * (1 + 0.1 * np.arange(5))[:, None]
    np.testing.assert_allclose(found.mean, truth, rtol=0.08)
    assert found.day_cv == pytest.approx(0.2, abs=0.02) and found.interval_cv < 0.05
    assert found.days == 1000 and found.left_out == ()


def test_variation_of_single_half_hours_is_told_from_that_of_days():
    found = arrivals_from_counts(
        _counts(weeks=100, day_cv=0.15, interval_cv=0.25), interval_min=30, calendar=SHOP
    )
    assert found.day_cv == pytest.approx(0.15, abs=0.025)
    assert found.interval_cv == pytest.approx(0.25, abs=0.025)


def test_poisson_counts_show_no_variation_beyond():
    found = [
        arrivals_from_counts(_counts(weeks=8, day_cv=0, seed=s), calendar=SHOP) for s in range(40)
    ]
    # unbiased moments: half of the estimates are cut at zero, the others stay small
    assert 0.25 < np.mean([each.day_cv == 0 for each in found]) < 0.75
    assert max(each.day_cv for each in found) < 0.06


def test_a_system_of_counts_is_simulated_with_what_is_assumed():
    system = ServiceSystem.from_counts(
        _counts(weeks=30),
        service_mean_s=180,
        service_log_sd=0.8,
        patience_mean_s=240,
        interval_min=30,
        calendar=SHOP,
    )
    assert system.assumed == (
        "Service times are assumed, not measured: mean 180 s, lognormal with log sd 0.8.",
        "Patience is assumed, not measured: exponential, mean 240 s.",
    )
    assert not system.agents.any() and system.interval_s == 1800
    with pytest.raises(Problem, match="Nobody is on duty"):
        system.simulate(system.draw(weeks=1, rng=_rng()))
    staffed = system.staffed(np.full_like(system.agents, 6))
    done = staffed.simulate(staffed.draw(weeks=30, rng=_rng()))
    assert 0.5 < done.served.sum() / (done.attempts > 0).sum() < 0.99
    plain = simulate(
        *(
            getattr(staffed.draw(weeks=30, rng=_rng()), name)
            for name in ("arrival_s", "service_s", "patience_s")
        ),
        starts_s=np.zeros((1, 6)),
        ends_s=np.full((1, 6), np.inf),
    )
    np.testing.assert_array_equal(done.wait_s, plain.wait_s)


def test_what_lies_outside_or_was_never_counted_is_said():
    counts = _counts(weeks=12)
    gone = (counts["arrived"].dt.hour == 11) & (counts["arrived"].dt.day_of_week == 2)
    early = pd.DataFrame({"arrived": pd.to_datetime(["2025-01-06 07:55"]), "contacts": [9]})
    counts = pd.concat([early, counts[~gone]], ignore_index=True)
    found = arrivals_from_counts(counts, calendar=SHOP)
    assert found.mean[2].tolist()[6:] == [0, 0] and (found.mean[2, :6] > 0).all()
    assert "1 counts outside" in found.left_out[0] and "2 intervals" in found.left_out[1]


def test_a_stretch_without_a_row_is_not_taken_for_no_customers():
    counts = _counts(weeks=100, day_cv=0)
    keep = np.random.default_rng(0).random(len(counts)) < 0.5
    found = arrivals_from_counts(counts[keep], interval_min=60, calendar=SHOP)
    np.testing.assert_allclose(found.mean[0], [60, 120, 90, 30], rtol=0.06)


def _bad(change, **more):
    counts = _counts(weeks=4)
    return change(counts), more


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        (_bad(lambda c: c[c["arrived"] < "2025-01-07"]), Refusal, "from 1 open days"),
        (_bad(lambda c: c.iloc[:0]), Refusal, "from 0 open days"),
        (_bad(lambda c: c.assign(contacts=-1)), Problem, "negative or missing in 960 rows"),
        (_bad(lambda c: c.assign(contacts=np.nan)), Problem, "negative or missing"),
        (_bad(lambda c: c.assign(contacts="x")), Problem, "does not hold numbers"),
        (_bad(lambda c: c.assign(arrived="x")), Problem, "holds no times"),
        (_bad(lambda c: pd.concat([c, c])), Problem, "960 stretches twice"),
        (_bad(lambda c: c.drop(columns="contacts")), Refusal, "no column 'contacts'"),
        (_bad(lambda c: c, interval_min=2), Problem, "every 5 minutes and asked for every 2"),
        (_bad(lambda c: c, interval_min=50), Problem, "no whole number of intervals"),
        (_bad(lambda c: c, interval_min=-5), Problem, "interval_min is -5"),
        (
            _bad(lambda c: c.assign(arrived=c["arrived"] + pd.Timedelta(minutes=2))),
            Problem,
            "do not begin on a grid",
        ),
        (_bad(lambda c: c, service_mean_s=-4), Problem, "service_mean_s is -4"),
        (_bad(lambda c: c, patience_mean_s=0), Problem, "patience_mean_s is 0"),
        (_bad(lambda c: c, service_log_sd=-1), Problem, "service_log_sd is -1"),
    ],
)
def test_counts_that_cannot_bear_the_question(case, kind, words):
    counts, more = case
    given = {"service_mean_s": 100, "service_log_sd": None, "calendar": SHOP} | more
    with pytest.raises(kind, match=words) as caught:
        ServiceSystem.from_counts(counts, **given)
    assert caught.type is kind
