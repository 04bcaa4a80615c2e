"""The queue against formulas, against SimPy customer by customer, and against its own future."""

import json
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import simpy
from scipy.optimize import minimize_scalar

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods import queueing
from sqm.methods.queueing import (
    calibrate,
    erlang_a,
    erlang_c,
    held_out,
    learn,
    simulate,
    spells,
)

KNOWN = json.loads((Path(__file__).parent / "reference" / "queueing.json").read_text("utf-8"))
CALENDAR = Calendar(opens=9, closes=13, days=("Mon", "Tue", "Wed", "Thu", "Fri"))


# --- Formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", KNOWN["erlang_c"], ids=lambda case: case["name"])
def test_erlang_c_is_the_textbook_s(case):
    found = erlang_c(case["arrival_rate"], case["service_rate"], case["agents"])
    for name in ("p_wait", "mean_wait", "mean_queue", "utilisation"):
        assert getattr(found, name) == pytest.approx(case[name], rel=1e-9)


def test_fifty_agents_with_and_without_patience():
    case = KNOWN["garnett_2002"]
    plain = erlang_c(case["arrival_rate"], case["service_rate"], case["servers"])
    assert plain.mean_wait * 60 == pytest.approx(case["erlang_c"]["wait_s"], rel=1e-9)
    patient = erlang_a(
        case["arrival_rate"],
        case["service_rate"],
        case["servers"],
        abandon_rate=case["abandon_rate"],
    )
    exact, printed = case["erlang_a"], case["printed"]["erlang_a"]
    assert patient.p_abandon == pytest.approx(exact["p_abandon"], rel=1e-9)
    assert patient.mean_wait * 60 == pytest.approx(exact["wait_s"], rel=1e-9)
    assert patient.mean_queue == pytest.approx(exact["queue"], rel=1e-9)
    assert patient.utilisation == pytest.approx(exact["util"], rel=1e-9)
    assert patient.p_wait == pytest.approx(exact["p_wait"], rel=1e-9)
    assert round(patient.p_abandon, 3) == printed["p_abandon"]


def test_endless_patience_is_erlang_c():
    endless, plain = erlang_a(2, 1, 3, abandon_rate=1e-7), erlang_c(2, 1, 3)
    assert endless.mean_wait == pytest.approx(plain.mean_wait, rel=1e-4)


def test_patience_lets_an_overloaded_queue_settle():
    found = erlang_a(12, 1, 10, abandon_rate=0.5)
    # what comes in goes out: served by busy agents, or lost
    assert 10 * found.utilisation + 12 * found.p_abandon == pytest.approx(12)


@pytest.mark.parametrize(
    ("rates", "words"),
    [((3, 1, 3), "grows without end"), ((0, 1, 3), "arrival_rate"), ((1, 1, 0), "agents is 0")],
)
def test_a_queue_without_a_long_run_is_a_problem(rates, words):
    with pytest.raises(Problem, match=words):
        erlang_c(*rates)


# --- The engine -----------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", [1, 3])
def test_the_recursion_is_simpy_customer_by_customer(agents):
    rng = np.random.default_rng(agents)
    arrival = rng.exponential(1 / agents, 600).cumsum()
    service, patience = rng.lognormal(-0.2, 0.8, 600), rng.exponential(1.5, 600)
    fast = simulate(
        arrival[None],
        service[None],
        patience[None],
        starts_s=np.zeros((1, agents)),
        ends_s=np.full((1, agents), np.inf),
    )
    wait, served = _by_simpy(arrival, service, patience, agents)
    assert 0.02 < 1 - served.mean() < 0.5  # some leave, some stay
    np.testing.assert_array_equal(fast.served[0], served)
    np.testing.assert_allclose(fast.wait_s[0], wait, atol=1e-9)


def _by_simpy(arrival, service, patience, agents):
    world = simpy.Environment()
    desk = simpy.Resource(world, capacity=agents)
    wait, served = np.zeros(len(arrival)), np.zeros(len(arrival), bool)

    def customer(i):
        yield world.timeout(arrival[i])
        with desk.request() as turn:
            outcome = yield turn | world.timeout(patience[i])
            wait[i], served[i] = world.now - arrival[i], turn in outcome
            if served[i]:
                yield world.timeout(service[i])

    for i in range(len(arrival)):
        world.process(customer(i))
    world.run()
    return wait, served


def test_many_agents_wait_as_erlang_says():
    case = next(each for each in KNOWN["erlang_c"] if each["name"] == "mmc_c10_rho09")
    done = _steady(case["arrival_rate"], 10, lambda rng, shape: rng.exponential(1, shape))
    _agrees(done.wait_s.mean(axis=1), case["mean_wait"])
    _agrees((done.wait_s > 0).mean(axis=1), case["p_wait"])


@pytest.mark.parametrize("k", [0, 1, 3])
def test_one_agent_waits_as_pollaczek_and_khinchine_say(k):
    scv = KNOWN["mg1"]["scv"][k]
    sigma = np.sqrt(np.log1p(scv))
    done = _steady(0.8, 1, lambda rng, shape: rng.lognormal(-(sigma**2) / 2, sigma, shape))
    _agrees(done.wait_s.mean(axis=1), KNOWN["mg1"]["wq"][k])


def test_impatient_customers_leave_as_erlang_a_says():
    truth = erlang_a(9.5, 1, 10, abandon_rate=0.5)
    done = _steady(9.5, 10, lambda rng, shape: rng.exponential(1, shape), patience=2.0)
    _agrees(done.wait_s.mean(axis=1), truth.mean_wait)
    _agrees(1 - done.served.mean(axis=1), truth.p_abandon)


def test_a_day_that_starts_empty_is_as_another_simulator_found():
    case = KNOWN["mmc_day"]
    given, found = case["input"], case["expected"]
    rng, lanes, most = np.random.default_rng(4), 300, 2400
    arrival = rng.exponential(1 / given["arrival_rate"], (lanes, most)).cumsum(axis=1)
    arrival[arrival > given["day_min"]] = np.inf
    assert np.isinf(arrival[:, -1]).all()
    service = rng.exponential(1 / given["service_rate"], (lanes, most))
    done = _run(arrival, service, np.full((lanes, most), 1e9), given["servers"])
    mean = np.nanmean(done.wait_s, axis=1)
    half = 1.96 * mean.std(ddof=1) / np.sqrt(lanes)
    low, high = found["asa_ci95"]
    assert mean.mean() - half < high and mean.mean() + half > low


def _steady(rate, agents, draw, *, patience=np.inf, lanes=250, customers=4000):
    """The last three quarters of many long runs."""
    rng, shape = np.random.default_rng(1), (lanes, customers)
    arrival = rng.exponential(1 / rate, shape).cumsum(axis=1)
    limit = rng.exponential(patience, shape) if np.isfinite(patience) else np.full(shape, np.inf)
    done = _run(arrival, draw(rng, shape), limit, agents)
    late = slice(customers // 4, None)
    return queueing.Simulated(done.wait_s[:, late], done.served[:, late])


def _run(arrival, service, patience, agents):
    starts, ends = np.zeros((1, agents)), np.full((1, agents), np.inf)
    return simulate(arrival, service, patience, starts_s=starts, ends_s=ends)


def _agrees(runs, truth):
    assert abs(runs.mean() - truth) < 4 * runs.std(ddof=1) / np.sqrt(len(runs))


def test_an_agent_finishes_the_contact_but_begins_none_after_the_shift():
    # one agent in the first hour, none in the second, one in the third, who stays to the end
    starts, ends = spells(np.array([[1, 0, 1]]))
    done = simulate(
        [[3500, 3550, 7000, 7100]],
        [[600, 100, 5000, 10]],
        [[1e6, 30, 1e6, 1e6]],
        starts_s=starts,
        ends_s=ends,
    )
    # the first is served at once, until 4100; the second loses patience; the third waits for
    # 7200 and is served until 12200, past the last hour; the fourth is served after that
    assert done.wait_s[0].tolist() == [0, 30, 200, 5100]
    assert done.served[0].tolist() == [True, False, True, True]


def test_lanes_do_not_touch_each_other():
    rng = np.random.default_rng(2)
    arrival = np.sort(rng.uniform(0, 1000, (5, 40)), axis=1)
    arrival[2, 10:] = np.inf
    service, patience = rng.exponential(60, (5, 40)), rng.exponential(100, (5, 40))
    together = _run(arrival, service, patience, 2)
    for lane in range(5):
        alone = _run(arrival[[lane]], service[[lane]], patience[[lane]], 2)
        np.testing.assert_array_equal(together.wait_s[lane], alone.wait_s[0])
    assert np.isnan(together.wait_s[2, 10:]).all() and not together.served[2, 10:].any()


@pytest.mark.parametrize(
    ("arrival", "service", "patience", "words"),
    [
        ([5, 1], [1, 1], [1, 1], "out of order"),
        ([1, 5], [1, -1], [1, 1], "service_s"),
        ([1, 5], [1, 1], [np.nan, 1], "patience_s"),
    ],
)
def test_impossible_customers_are_a_problem(arrival, service, patience, words):
    with pytest.raises(Problem, match=words):
        _run([arrival], [service], [patience], 1)


def test_spells_follow_the_table():
    starts, ends = spells(np.array([[1, 2, 1], [0, 0, 0]]))
    assert (starts[0].tolist(), ends[0].tolist()) == ([0, 3600], [np.inf, 7200])
    assert np.isinf(starts[1]).all() and (ends[1] == 0).all()


# --- Learning from a log --------------------------------------------------------------------------


def make_log(
    seed=0, *, weeks=16, per_day=(60, 90), agents=(2, 3), cv=0.15, shift=None, patience=600
):
    """A small service with two sites, open four hours a day: its log and its staffing.

    From week ``shift`` on, 40 % more customers come.
    """
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2025-03-03", periods=weeks * 5)
    rows, staffed = [], []
    for site, mean, number in zip(("N1", "S1"), per_day, agents, strict=True):
        more = np.where(np.arange(len(days)) >= 5 * (shift or 999), 1.4, 1.0)
        factor = rng.gamma(cv**-2, cv**2, len(days)) if cv else np.ones(len(days))
        count = rng.poisson(mean * more * factor)
        shape = (len(days), count.max())
        arrival = np.where(
            np.arange(shape[1]) < count[:, None], rng.uniform(0, 4 * 3600, shape), np.inf
        )
        arrival.sort(axis=1)
        reason = rng.choice(["bill", "fault"], shape)
        service = rng.exponential(np.where(reason == "bill", 200, 400), shape) + 1
        table = np.full((len(days), 4), number)
        starts, ends = spells(table)
        limit = rng.exponential(patience, shape)
        done = simulate(arrival, service, limit, starts_s=starts, ends_s=ends)
        lane, k = np.nonzero(np.isfinite(arrival))
        rows.append(
            pd.DataFrame(
                {
                    "arrived": days[lane]
                    + pd.Timedelta(hours=9)
                    + pd.to_timedelta(arrival[lane, k], "s"),
                    "site": site,
                    "channel": "phone",
                    "reason": reason[lane, k],
                    "abandoned": ~done.served[lane, k],
                    "wait_s": done.wait_s[lane, k],
                    "service_s": np.where(done.served[lane, k], service[lane, k], np.nan),
                    "resolved": pd.array(rng.random(len(lane)) < 0.7, dtype="boolean"),
                }
            )
        )
        staffed.append(
            pd.DataFrame(
                {
                    "date": np.repeat(days, 4),
                    "hour": np.tile(np.arange(9, 13), len(days)),
                    "site": site,
                    "agents": number,
                }
            )
        )
    log = pd.concat(rows, ignore_index=True)
    log["resolved"] = log["resolved"].mask(log["abandoned"])
    log.insert(0, "contact", [f"K{i}" for i in range(len(log))])
    return log, pd.concat(staffed, ignore_index=True)


@pytest.fixture(scope="module")
def tables():
    return make_log()


@pytest.fixture(scope="module")
def service(tables):
    log, staffing = tables
    return learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-05-26"))


@pytest.fixture(scope="module")
def calibration(service):
    return calibrate(service, rng=np.random.default_rng(1))


def test_what_was_put_in_is_learnt(calibration):
    table = calibration.table.set_index(["quantity", "group"])
    truth = {
        ("contacts a day", "N1"): 60,
        ("contacts a day", "S1"): 90,
        ("service time, mean", "N1"): 301,
        ("resolved, share of served", "bill"): 0.7,
        ("patience, median", "all"): 600 * np.log(2),
        ("patience, Weibull shape", "all"): 1.0,
    }
    for place, value in truth.items():
        row = table.loc[place]
        reach = 1.6 * (row["high"] - row["low"]) / 2  # about three standard errors
        assert abs(row["estimate"] - value) < reach, place
    assert 0.08 < calibration.day_variation < 0.22


def test_the_mean_wait_of_those_who_left_is_not_their_patience(calibration):
    assert calibration.naive_patience_s < 0.5 * 600
    assert calibration.low < 600 * np.log(2) < calibration.high
    assert f"{calibration.naive_patience_s / 60:.1f} minutes" in calibration.sentence()


def test_arrivals_by_the_hour_follow_the_log(service):
    best = service.best()
    assert best.rate.shape == (1, 2, 5, 4)
    seen = service.arrivals.counts.sum(axis=(0, 2, 3)) / service.arrivals.site_days.sum(axis=(0, 2))
    np.testing.assert_allclose(best.rate[0].sum(axis=2).mean(axis=1), seen, rtol=1e-6)


def test_a_site_with_hours_of_its_own_is_followed():
    log, staffing = make_log(3)
    early = log["site"].eq("N1")
    hours = pd.to_timedelta(log["arrived"].dt.hour - 9, "h")
    log["arrived"] = log["arrived"].where(~early, log["arrived"] - hours)  # all in the first hour
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    rate = found.best().rate[0, 0].sum(axis=0)
    assert np.isfinite(found.arrivals.strength) and rate[0] > 0.95 * rate.sum()


def test_plain_poisson_days_show_no_further_variation():
    log, staffing = make_log(4, cv=0)
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    assert np.sqrt(sum(found.arrivals.spread)) < 0.09
    assert np.isinf(found.arrivals.strength) or found.arrivals.strength > 30


def test_kaplan_meier_by_hand():
    # 120 wait: at 1 s 30 leave, at 2 s 30 are answered, at 3 s 30 of the 60 left leave
    waited = np.repeat([1.0, 2.0, 3.0, 4.0], 30)
    time, share, low, high = queueing._kaplan_meier(
        waited, np.repeat([True, False, True, False], 30)
    )
    assert time == (1.0, 3.0)
    assert share == pytest.approx((0.75, 0.375))
    assert all(a < b < c for a, b, c in zip(low, share, high, strict=True))


def test_censored_exponential_patience_is_total_waiting_over_leavers():
    """With shape 1 the scale is the closed form; the profile may prefer a neighbour of 1."""
    log, staffing = make_log(5)
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    closed_form = log["wait_s"].sum() / log["abandoned"].sum()
    one = int(np.argmin(abs(queueing.SHAPES - 1)))
    power = found.patience.power_sum.sum(axis=0)[one] / found.patience.leavers.sum()
    assert power * queueing.PATIENCE_UNIT_S == pytest.approx(closed_form, rel=1e-3)


def test_the_shape_of_patience_is_not_tied_to_the_shapes_tried():
    """Against a search of the censored likelihood itself."""
    log, staffing = make_log(5)
    found = learn(log, staffing=staffing, calendar=CALENDAR).best()
    left = log["abandoned"].to_numpy()
    t = np.where(left, np.maximum(log["wait_s"], 0.5), log["wait_s"]) / 600

    def against(k):
        power = (t**k).sum() / left.sum()
        return -(left.sum() * np.log(k / power) + (k - 1) * np.log(t[left]).sum())

    best = minimize_scalar(against, bounds=(0.5, 2), method="bounded", options={"xatol": 1e-7}).x
    assert found.patience_shape[0] == pytest.approx(best, rel=1e-3)
    scale = 600 * ((t**best).sum() / left.sum()) ** (1 / best)
    assert found.patience_s[0] == pytest.approx(scale, rel=1e-3)


def test_a_year_has_the_share_of_its_weekdays_that_the_log_has():
    """Eight weeks without a Monday off, from Wednesday to Wednesday: still 5 days in 7."""
    dates = pd.Series(pd.bdate_range("2025-02-05", "2025-04-02"))
    calendar = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"))
    assert queueing._open_days(calendar, dates) == pytest.approx(365.25 * 5 / 7)
    assert queueing._open_days(calendar, dates.drop(range(4))) == pytest.approx(365.25 * 5 / 7)
    assert queueing._open_days(calendar, dates.drop([10])) == pytest.approx(
        365.25 * 5 / 7 * 40 / 41
    )


def test_impossible_contacts_are_set_aside_and_counted(tables, calibration):
    log, staffing = tables
    bad = log.iloc[:4].copy()
    bad["contact"] = ["a", "b", "K9", "d"]
    bad.loc[bad.index[0], "wait_s"] = -3
    bad.loc[bad.index[1], "wait_s"] = 90_000
    bad.loc[bad.index[3], "arrived"] = pd.Timestamp("2025-03-08 10:00")  # a Saturday
    found = learn(pd.concat([log, bad], ignore_index=True), staffing=staffing, calendar=CALENDAR)
    assert (found.contacts, found.set_aside) == (len(log), 4)
    assert "impossible ones set aside" in calibration.sentence()


def test_a_holiday_is_no_open_day(tables):
    log, staffing = tables
    closed = Calendar(opens=9, closes=13, days=CALENDAR.days, holidays=(date(2025, 3, 4),))
    found = learn(log, staffing=staffing, calendar=closed)
    of_the_day = log["arrived"].dt.date.eq(date(2025, 3, 4)).sum()
    assert found.set_aside == of_the_day and of_the_day > 0


def test_one_day_of_data_is_refused(tables):
    log, staffing = tables
    with pytest.raises(Refusal, match="1 open days"):
        learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-03-04"))


def test_nobody_ever_on_duty_is_a_problem(tables):
    log, staffing = tables
    with pytest.raises(Problem, match="nobody on duty"):
        learn(log, staffing=staffing[staffing["hour"] != 10], calendar=CALENDAR)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: pd.concat([table, table.head(2)]), "2 rows name a site"),
        (lambda table: table.assign(agents=-1), "negative or missing"),
        (lambda table: table.drop(columns="hour"), "no column 'hour'"),
    ],
)
def test_bad_staffing_is_a_problem(tables, spoil, words):
    log, staffing = tables
    with pytest.raises(Problem, match=words):
        learn(log, staffing=spoil(staffing), calendar=CALENDAR)


def test_overload_without_abandonment_is_refused(tables):
    log, staffing = tables
    endless = log.assign(abandoned=False, service_s=log["service_s"].fillna(300) * 5)
    with pytest.raises(Refusal, match="nobody leaves"):
        learn(endless, staffing=staffing, calendar=CALENDAR)


def test_where_nobody_hangs_up_patience_has_no_limit(tables):
    log, staffing = tables
    patient = log[~log["abandoned"]]
    found = calibrate(
        learn(patient, staffing=staffing, calendar=CALENDAR), draws=20, rng=np.random.default_rng(1)
    )
    assert np.isnan(found.patience_median_s) and "Nobody hung up" in found.sentence()
    assert found.plot().get_xlabel() == "time without an answer (minutes)"
    plt.close()


def test_a_log_without_reasons_or_resolution_still_serves(tables):
    log, staffing = tables
    found = learn(
        log.drop(columns=["reason", "channel", "resolved"]), staffing=staffing, calendar=CALENDAR
    )
    assert np.isnan(found.best().resolution).all() and found.grid.reasons == ("(blank)",)


def test_few_weeks_resample_days(tables):
    log, staffing = tables
    short = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-03-24"))
    assert (short.resampled, len(short.arrivals.counts)) == ("days", 15)


# --- The gate -------------------------------------------------------------------------------------


def _gate(log, staffing, until="2025-05-26", **more):
    found = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp(until))
    rng = np.random.default_rng(1)
    return held_out(found, log, staffing=staffing, limit_s=120, draws=200, rng=rng, **more)


@pytest.fixture(scope="module")
def gate(tables):
    return _gate(*tables)


def test_a_service_that_stays_the_same_opens_the_gate(gate, tables):
    log, _ = tables
    later = log[log["arrived"] >= "2025-05-26"]
    whole = gate.table[gate.table["stretch"].eq("all")].set_index("quantity")
    assert gate.open and "The gate is open, what-ifs may be shown" in gate.sentence()
    assert whole.loc["mean_wait_s", "actual"] == pytest.approx(later["wait_s"].mean())
    assert whole.loc["contacts_per_day", "actual"] == pytest.approx(len(later) / gate.days)
    assert f"{later['wait_s'].mean():.0f} s came" in gate.sentence()


def test_demand_that_shifts_after_learning_keeps_the_gate_shut():
    gate = _gate(*make_log(7, shift=12))
    assert not gate.open and gate.wait_error > 0.2
    assert "stays shut" in gate.sentence() and "contacts a day" in gate.sentence()


def test_the_band_holds_the_four_together():
    values = np.random.default_rng(3).multivariate_normal(np.zeros(4), np.eye(4) + 1, size=5000)
    level = queueing._joint_level(values, 0.9)
    low, high = np.quantile(values, [level, 1 - level], axis=0)
    inside = ((values >= low) & (values <= high)).all(axis=1).mean()
    assert inside == pytest.approx(0.9, abs=0.01)


def test_a_right_model_opens_the_gate_about_as_often_as_stated():
    """No tolerance; with 9 in 10 the chance of fewer than 9 of 14 is 2 in 10,000."""
    opened = 0
    for seed in range(14):
        log, staffing = make_log(100 + seed)
        found = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-05-26"))
        rng = np.random.default_rng(seed)
        opened += held_out(
            found, log, staffing=staffing, limit_s=120, draws=60, tolerance=0.0, rng=rng
        ).open
    assert opened >= 9


def test_the_gate_needs_days_and_known_sites(tables):
    log, staffing = tables
    with pytest.raises(Refusal, match="open days come after"):
        _gate(log, staffing, until="2025-06-19")
    new = log.assign(site=log["site"].mask(log["arrived"] >= "2025-06-01", "X9"))
    with pytest.raises(Refusal, match="X9 had no contact"):
        _gate(new, staffing)


def test_the_same_chance_gives_the_same_answer(tables, gate):
    pd.testing.assert_frame_equal(gate.table, _gate(*tables).table)


def test_pictures_are_drawn(gate, calibration):
    figure, axes = plt.subplots(2)
    assert gate.plot(axes[0]).get_title() == "Did the queue foretell weeks it had not seen?"
    assert len(axes[0].get_yticks()) == 4
    assert len(calibration.plot(axes[1]).lines) == 3
    plt.close(figure)
