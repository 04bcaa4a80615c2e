"""The staffing plan against queueing formulas, a published day, and removals tried by hand."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm import queue_formulas
from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods import staffing_plan as room
from sqm.methods.staffing_plan import (
    answered_in_time,
    share_of_clusters,
    staffing_plan,
    staffing_plan_from_counts,
)
from sqm.queue_engine import simulate
from sqm.service_model import learn

CASES = json.loads((Path(__file__).parent / "reference/staffing_plan.json").read_text("utf-8"))
SHORT = Calendar(opens=9, closes=11, days=("Mon", "Tue"))


def counts(days=40, *, per_half_hour=(20, 40, 30, 10), cv=0.2, seed=1, calendar=SHORT):
    """Contacts of Mondays and Tuesdays, half-hour by half-hour."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2025-01-06", periods=7 * days)
    dates = dates[dates.day_of_week < 2][:days]
    times = [day + pd.Timedelta(hours=9.0 + i / 2) for day in dates for i in range(4)]
    factor = np.repeat(rng.gamma(cv**-2, cv**2, days), 4) if cv else 1.0
    return pd.DataFrame(
        {"arrived": times, "contacts": rng.poisson(np.tile(per_half_hour, days) * factor)}
    )


def of_counts(table=None, **changed):
    given = {
        "service_s": [150, 180, 240],
        "patience_s": 300,
        "answered_within_s": 30,
        "calendar": SHORT,
        "days": 60,
        "rng": np.random.default_rng(2),
    }
    return staffing_plan_from_counts(counts() if table is None else table, **(given | changed))


@pytest.fixture(scope="module")
def service():
    log, staffing = make_log(weeks=12)
    return learn(log, staffing=staffing, calendar=CALENDAR)


@pytest.fixture(scope="module")
def found(service):
    return staffing_plan(service, answered_within_s=60, days=100, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def assumed():
    return of_counts()


# --- The formula ----------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", [3, 5, 8])
@pytest.mark.parametrize("within_s", [0.0, 20.0, 300.0])
def test_exponential_patience_gives_erlang_a(agents, within_s):
    rate, talk, patience = 0.02, 240.0, 400.0
    share = answered_in_time(
        np.array([rate]),
        np.array([agents]),
        service_s=np.array([talk]),
        shape=1.0,
        scale_s=patience,
        within_s=within_s,
    )
    exact = queue_formulas.answered_within(
        rate, 1 / talk, agents, within=within_s, abandon_rate=1 / patience
    )
    assert share[0] == pytest.approx(exact, abs=2e-4)


def test_endless_patience_gives_erlang_c_and_nothing_where_agents_cannot_keep_up():
    share = answered_in_time(
        np.full(2, 0.02),
        np.array([6, 4]),
        service_s=np.full(2, 240.0),
        shape=1.0,
        scale_s=np.inf,
        within_s=30.0,
    )
    exact = queue_formulas.answered_within(0.02, 1 / 240, 6, within=30.0)
    assert share[0] == pytest.approx(exact, abs=2e-4)
    assert share[1] == 0


def test_the_published_queue_of_fifty_agents():
    case = CASES["erlang_a_50_agents"]
    given = case["input"]

    def within(minutes):
        return answered_in_time(
            np.array([given["arrival_rate"]]),
            np.array([given["agents"]]),
            service_s=np.array([given["service_min"]]),
            shape=1.0,
            scale_s=given["patience_min"],
            within_s=minutes,
        )[0]

    assert within(0.0) == pytest.approx(1 - case["expected"]["p_wait"], abs=1e-4)
    assert within(10.0) == pytest.approx(1 - case["expected"]["p_abandon"], abs=case["tolerance"])


def test_weibull_patience_against_a_simulation():
    rng = np.random.default_rng(4)
    shape, scale, lanes, n = 2.0, 200.0, 200, 2500
    arrival = rng.exponential(50.0, (lanes, n)).cumsum(axis=1)
    done = simulate(
        arrival,
        rng.exponential(200.0, (lanes, n)),
        scale * rng.weibull(shape, (lanes, n)),
        starts_s=np.zeros((1, 4)),
        ends_s=np.full((1, 4), np.inf),
    )
    soon = (done.served & (done.wait_s <= 60))[:, 200:].mean(axis=1)
    share = answered_in_time(
        np.array([1 / 50]),
        np.array([4]),
        service_s=np.array([200.0]),
        shape=shape,
        scale_s=scale,
        within_s=60.0,
    )
    assert share[0] == pytest.approx(soon.mean(), abs=4 * soon.std() / np.sqrt(lanes))


def _place(rate, *, talk_s, patience_s=np.inf, interval_s=1800.0):
    rate = np.atleast_2d(np.asarray(rate, float))
    service = np.full((len(rate), 1), talk_s) * -np.log1p(-room._middles(200))
    return room._Place(
        names=tuple(("", day) for day in room.DAYS[: len(rate)]),
        clock=room._clock(480, rate.shape[1], int(interval_s // 60)),
        interval_s=interval_s,
        rate=rate,
        load=room._load(rate, service, interval_s),
        service=service,
        shape=1.0,
        scale_s=patience_s,
        today=np.full(rate.shape, np.nan),
        source="made up",
    )


def _exponential_days(rate, number, *, talk_s, patience_s, interval_s, seed=1):
    rng = np.random.default_rng(seed)
    count = rng.poisson(np.tile(rate, (number, 1)))
    there = np.arange(count.sum(axis=1).max()) < count.sum(axis=1)[:, None]
    arrival = np.full(there.shape, np.inf)
    interval = np.repeat(np.tile(np.arange(count.shape[1]), number), count.ravel())
    arrival[there] = (interval + rng.random(len(interval))) * interval_s
    return room._Days(
        np.zeros(number, int),
        np.arange(number),
        None,
        np.sort(arrival, axis=1),
        rng.exponential(talk_s, there.shape),
        rng.exponential(patience_s, there.shape) if np.isfinite(patience_s) else 0 * arrival + 1e9,
    )


def test_the_published_day_is_answered_as_printed():
    case = CASES["day_of_eight_hours"]
    given, expected = case["input"], case["expected"]
    rate = np.full(16, given["arrival_rate_min"] * 30)
    place = _place(rate, talk_s=120)
    days = _exponential_days(rate, 400, talk_s=120, patience_s=1e9, interval_s=1800.0)
    asked = room._Asked(given["within_s"], 0.8, 0.9)
    judged = room._judged(place, asked, days, np.full((400, 16), given["agents"]))
    _, low, high = share_of_clusters(
        judged.soon.sum(axis=1), judged.came.sum(axis=1), np.arange(400), confidence=0.95
    )
    assert low <= expected["high"]
    assert high >= expected["low"]


def test_the_formula_gives_the_least_agents_and_more_for_more_demand():
    place = _place([30.0, 90.0, 60.0, 0.0], talk_s=200, patience_s=300)
    asked = room._Asked(30.0, 0.8, 0.9)
    agents = room._by_formula(place, asked, np.ones(1))
    assert agents[0, 3] == 0  # nobody comes

    def share(n):
        return answered_in_time(
            place.load[:, :3] / place.service.mean(),
            n,
            service_s=np.full((1, 1), place.service.mean()),
            shape=1.0,
            scale_s=300.0,
            within_s=30.0,
        )

    assert (share(agents[:, :3]) >= 0.8).all()
    assert (share(agents[:, :3] - 1) < 0.8).all()
    assert (room._by_formula(place, asked, np.full(1, 1.5)) >= agents).all()


# --- The search -----------------------------------------------------------------------------------


def test_no_agent_can_be_taken_away_from_the_plan():
    rate = np.array([15.0, 40.0, 25.0, 10.0])
    place = _place(rate, talk_s=200, patience_s=300)
    asked = room._Asked(30.0, 0.8, 0.9)
    days = _exponential_days(rate, 150, talk_s=200, patience_s=300, interval_s=1800.0)
    plan, _, step = room._search(place, asked, days)
    assert step == 1

    def kept(agents):
        judged = room._judged(place, asked, days, agents[days.group])
        return room._meets(judged, asked, days.group, 1)[0]

    assert kept(plan)
    for interval in range(4):
        fewer = plan.copy()
        fewer[0, interval] -= 1
        assert fewer[0, interval] < 1 or not kept(fewer)


def test_the_promise_is_kept_on_days_that_were_not_searched(found):
    assert found.met_high >= 0.9
    assert found.met > found.met_today
    assert found.table["estimate"].dropna().between(0.75, 1).all()  # asked of each on average: 0.8


def test_more_certainty_and_a_higher_level_take_more_agents(service, found):
    def hours(**changed):
        given = {"answered_within_s": 60, "days": 40, "interval_min": 60}
        rng = np.random.default_rng(1)
        return staffing_plan(service, rng=rng, **(given | changed)).agent_hours

    assert hours(probability=0.5) < hours(probability=0.95)
    assert hours(level=0.6) < hours(level=0.9)


def test_agents_of_today_and_their_hours_are_those_of_the_log(found):
    # two and three agents, four hours a day, five days
    assert found.agent_hours_today == pytest.approx(5 * 4 * 5)
    assert set(found.table["agents_today"]) == {2.0, 3.0}
    assert found.agent_hours == pytest.approx(found.table["agents"].sum() / 2)


def test_the_table_has_a_row_for_each_site_weekday_and_interval(found):
    assert len(found.table) == 2 * 5 * 8
    assert found.table["interval"].unique().tolist()[:3] == ["09:00", "09:30", "10:00"]
    assert (found.table["low"] <= found.table["estimate"]).all()
    assert (found.table["estimate"] <= found.table["high"]).all()
    assert (found.table["agents"] >= 1).all()


def test_the_same_seed_gives_the_same_plan(service, found):
    again = staffing_plan(service, answered_within_s=60, days=100, rng=np.random.default_rng(1))
    pd.testing.assert_frame_equal(again.table, found.table)


def test_customers_who_never_leave_can_be_planned_for():
    log, staffing = make_log(weeks=12, per_day=(40, 60), agents=(3, 4), patience=1e7)
    never = learn(log, staffing=staffing, calendar=CALENDAR)
    found = staffing_plan(
        never, answered_within_s=60, interval_min=60, days=40, rng=np.random.default_rng(1)
    )
    assert not log["abandoned"].any()
    assert found.met > 0.8


# --- What is said ---------------------------------------------------------------------------------


def test_the_sentence_says_hours_chance_and_today(found):
    first = found.sentence().splitlines()[0]
    assert first.startswith("To answer 80 % within 60 s on 90 % of days takes ")
    assert f"{found.agent_hours:,.0f} agent-hours a week, where 100 are on duty today" in first
    assert f"{found.met * 100:.0f} % (95% interval" in first
    assert len(first) <= 220
    assert "Erlang's formula for the average day asks" in found.sentence()
    assert "assumed" not in found.sentence()


def test_what_is_assumed_is_said_and_moved(assumed):
    words = assumed.sentence()
    assert "Service times are assumed, not measured: mean 180 s" in words
    assert "If service took 150 s" in words
    assert "If service took 240 s" in words
    assert "patience were" not in words  # one number: taken for certain
    assert np.isnan(assumed.agent_hours_today)
    assert "on duty today" not in words
    assert assumed.agent_hours_least < assumed.agent_hours < assumed.agent_hours_most
    assert (assumed.table["agents_least"] <= assumed.table["agents"]).all()
    assert (assumed.table["agents"] <= assumed.table["agents_most"]).all()


def test_days_that_differ_need_more_than_the_average_day(assumed):
    assert assumed.agent_hours > assumed.agent_hours_by_formula
    assert assumed.met_by_formula_high < assumed.met


def test_share_of_clusters_takes_alike_rows_as_one():
    # ten clusters of five equal rows tell as much as ten rows
    rows = np.repeat(np.tile([0.0, 1.0], 5), 5)
    whole = np.ones(50)
    alike = share_of_clusters(rows, whole, np.repeat(np.arange(10), 5), confidence=0.95)
    ten = share_of_clusters(rows[::5], whole[::5], np.arange(10), confidence=0.95)
    assert alike == pytest.approx(ten)
    alone = share_of_clusters(rows, whole, np.arange(50), confidence=0.95)
    assert alone[1] > alike[1]


def test_it_is_drawn_with_load_and_range(found, assumed):
    ax = found.plot(plt.figure().gca())
    assert ax.get_title().endswith("?")
    assert "agents" in ax.get_ylabel()
    names = [each.get_text() for each in ax.get_legend().get_texts()]
    assert names == ["needed", "on duty today", "offered load"]
    ax = assumed.plot(plt.figure().gca())
    names = [each.get_text() for each in ax.get_legend().get_texts()]
    assert names == ["needed, over what is assumed", "needed", "offered load"]
    plt.close("all")


# --- Bad input ------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_told(service):
    def ask(**changed):
        given = {"answered_within_s": 60, "rng": np.random.default_rng(1)}
        return staffing_plan(service, **(given | changed))

    for changed, words in (
        ({"level": 80}, "level is 80"),
        ({"probability": 1.0}, "probability is 1"),
        ({"answered_within_s": -1}, "answered_within_s is -1"),
        ({"interval_min": 45}, "interval_min is 45"),
        ({"days": 5}, "days is 5"),
    ):
        with pytest.raises(Problem, match=words):
            ask(**changed)


def test_assumptions_that_make_no_sense_are_told():
    with pytest.raises(Problem, match="service_s is 0"):
        of_counts(service_s=0)
    with pytest.raises(Problem, match="service_s is"):
        of_counts(service_s=[240, 180, 150])
    with pytest.raises(Problem, match="patience_s is -5"):
        of_counts(patience_s=[-5, 100, 200])


def test_counts_that_cannot_be_planned_from_are_refused():
    with pytest.raises(Refusal, match="1 open days"):
        of_counts(counts().head(4))
    with pytest.raises(Refusal, match="Nobody came"):
        of_counts(counts().assign(contacts=0))
    with pytest.raises(Problem, match="negative or missing"):
        of_counts(counts().assign(contacts=-1))
    with pytest.raises(Refusal, match="no column 'calls'"):
        of_counts(contacts="calls")


def test_hours_without_a_count_need_nobody_and_are_named():
    late = Calendar(opens=9, closes=12, days=("Mon", "Tue"))
    found = of_counts(calendar=late, days=20)
    night = found.table[found.table["interval"].ge("11:00")]
    assert (night["agents"] == 0).all()
    assert (night["note"] == "nobody comes").all()
    assert "never counted" in found.sentence()
