"""The recursion against SimPy, customer by customer, and against formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
import simpy

from sqm import queue_engine
from sqm.checks import Problem
from sqm.queue_engine import Simulated, simulate, spells
from sqm.queue_formulas import erlang_a

KNOWN = json.loads((Path(__file__).parent / "reference" / "queueing.json").read_text("utf-8"))


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("agents", [1, 3])
def test_the_recursion_is_simpy_customer_by_customer(agents, patient):
    rng = np.random.default_rng(agents)
    arrival = rng.exponential(1 / agents, 600).cumsum()
    service = rng.lognormal(-0.4, 0.8, 600)
    patience = np.full(600, np.inf) if patient else rng.exponential(1.5, 600)
    shifts = np.zeros(agents), np.full(agents, np.inf)
    served = _same_as_simpy(arrival, service, patience, *shifts)
    assert served.all() if patient else 0.02 < 1 - served.mean() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_with_shifts_that_end_it_is_simpy_as_well(seed):
    rng = np.random.default_rng(seed)
    agents = rng.integers(0, 4, 9)
    agents[[2, 6, 8]] = 2, 0, 1  # nobody for an hour; somebody stays to the end
    hourly = rng.poisson(12 + 10 * np.sin(np.arange(9)))  # customers come unevenly
    arrival = np.sort(np.repeat(np.arange(9), hourly) * 3600 + rng.uniform(0, 3600, hourly.sum()))
    service = rng.lognormal(5.5, 0.9, len(arrival))
    patience = 900 * rng.weibull(0.8, len(arrival))
    starts, ends = spells(agents[None])
    assert np.isfinite(ends[0]).sum() >= 3
    served = _same_as_simpy(arrival, service, patience, starts[0], ends[0])
    assert 0.05 < 1 - served.mean() < 0.9


def _same_as_simpy(arrival, service, patience, starts, ends):
    fast = simulate(
        arrival[None], service[None], patience[None], starts_s=starts[None], ends_s=ends[None]
    )
    wait, served = _by_simpy(arrival, service, patience, starts, ends)
    np.testing.assert_array_equal(fast.served[0], served)
    np.testing.assert_allclose(fast.wait_s[0], wait, atol=1e-9)
    return served


def _by_simpy(arrival, service, patience, starts, ends):
    """Agents take the customer who came first, the one idle longest first; shifts end."""
    world = simpy.Environment()
    waiting = simpy.Store(world)
    wait, served = np.zeros(len(arrival)), np.zeros(len(arrival), bool)

    def customer(i):
        yield world.timeout(arrival[i])
        mine = (i, world.event())
        waiting.put(mine)
        give_up = world.timeout(patience[i]) if np.isfinite(patience[i]) else world.event()
        yield mine[1] | give_up
        wait[i], served[i] = world.now - arrival[i], mine[1].triggered
        if not served[i]:
            waiting.items.remove(mine)

    def agent(start, end):
        yield world.timeout(start)
        while world.now < end:
            taken = waiting.get()
            yield taken | (world.timeout(end - world.now) if np.isfinite(end) else world.event())
            if not taken.triggered:
                taken.cancel()
                return
            i, begins = taken.value
            begins.succeed()
            yield world.timeout(service[i])

    for start, end in zip(starts, ends, strict=True):
        if np.isfinite(start):
            world.process(agent(start, end))
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
    in_target = (done.wait_s <= given["target_wait_min"]).sum(axis=1)
    ends = arrival + done.wait_s + service
    busy = np.minimum(ends, given["day_min"]) - np.minimum(ends - service, given["day_min"])
    _overlaps(np.nanmean(done.wait_s, axis=1), found["asa_ci95"])
    _overlaps(in_target, found["in_target_ci95"])
    _overlaps(in_target / np.isfinite(arrival).sum(axis=1), found["service_level_ci95"])
    occupied = np.where(np.isfinite(arrival), busy, 0).sum(axis=1)
    _overlaps(occupied / given["servers"] / given["day_min"], found["occupancy_ci95"])


def _overlaps(days, limits):
    half = 1.96 * days.std(ddof=1) / np.sqrt(len(days))
    assert days.mean() - half < limits[1] and days.mean() + half > limits[0]


def _steady(rate, agents, draw, *, patience=np.inf, lanes=250, customers=4000):
    """The last three quarters of many long runs."""
    rng, shape = np.random.default_rng(1), (lanes, customers)
    arrival = rng.exponential(1 / rate, shape).cumsum(axis=1)
    limit = rng.exponential(patience, shape) if np.isfinite(patience) else np.full(shape, np.inf)
    done = _run(arrival, draw(rng, shape), limit, agents)
    late = slice(customers // 4, None)
    return Simulated(done.wait_s[:, late], done.served[:, late])


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


@pytest.mark.parametrize("shifts", [False, True])
def test_blocks_and_tiles_leave_no_trace(monkeypatch, shifts):
    rng = np.random.default_rng(3)
    arrival = np.sort(rng.uniform(0, 4 * 3600, (23, 30)), axis=1)
    arrival[np.arange(30) >= rng.integers(0, 31, 23)[:, None]] = np.inf  # some lanes are empty
    service, patience = rng.exponential(900, (23, 30)), rng.exponential(600, (23, 30))
    starts, ends = spells(rng.integers(1, 4, (23, 4)) if shifts else np.full((23, 4), 2))
    whole = simulate(arrival, service, patience, starts_s=starts, ends_s=ends)
    monkeypatch.setattr(queue_engine, "LANES_AT_ONCE", 4)
    monkeypatch.setattr(queue_engine, "CUSTOMERS_AT_ONCE", 7)
    parts = simulate(arrival, service, patience, starts_s=starts, ends_s=ends)
    np.testing.assert_array_equal(whole.wait_s, parts.wait_s)
    np.testing.assert_array_equal(whole.served, parts.served)
    np.testing.assert_array_equal(np.isfinite(whole.wait_s), np.isfinite(arrival))


def test_the_short_way_for_one_agent_is_the_long_way():
    rng = np.random.default_rng(5)
    arrival = rng.exponential(1, (3, 500)).cumsum(axis=1)
    arrival[1, 400:] = np.inf
    service, endless = rng.lognormal(-0.6, 1, (3, 500)), np.full((3, 500), np.inf)
    short = simulate(arrival, service, endless, starts_s=[[5.0]], ends_s=[[np.inf]])
    never = {"starts_s": [[5.0, np.inf]], "ends_s": [[np.inf, 0.0]]}  # a second who never begins
    long = simulate(arrival, service, endless, **never)
    np.testing.assert_allclose(short.wait_s, long.wait_s, atol=1e-9)
    np.testing.assert_array_equal(short.wait_s == 0, long.wait_s == 0)
    np.testing.assert_array_equal(short.served, long.served)


def test_where_nobody_is_on_duty_everybody_leaves():
    starts, ends = spells(np.zeros((1, 3), int))
    done = simulate([[1, 2]], [[5, 5]], [[30, np.inf]], starts_s=starts, ends_s=ends)
    assert done.wait_s[0].tolist() == [30, np.inf] and not done.served.any()
    nobody = simulate(np.full((2, 3), np.inf), *np.ones((2, 2, 3)), starts_s=starts, ends_s=ends)
    assert np.isnan(nobody.wait_s).all() and not nobody.served.any()


def test_three_hundred_agents_of_whom_one_goes_home():
    # one customer more than agents: the first agent is back after an hour, when the shift of
    # the second, back just before, is over
    agents, hour = 300, 3600.0
    ends = np.full((1, agents), np.inf)
    ends[0, 1] = hour / 2
    service = np.full((1, agents + 1), 2 * hour)
    service[0, :2] = hour, 0.9 * hour
    arrival = np.append(np.arange(agents) / 1000, 1.0)[None]
    done = simulate(
        arrival, service, np.full_like(arrival, 1e9), starts_s=np.zeros((1, agents)), ends_s=ends
    )
    assert done.wait_s[0, :-1].max() == 0
    assert done.wait_s[0, -1] == hour - 1


@pytest.mark.parametrize(
    ("arrival", "service", "patience", "words"),
    [
        ([5, 1], [1, 1], [1, 1], "out of order"),
        ([1, 5], [1, -1], [1, 1], "service_s"),
        ([1, 5], [1, 1], [np.nan, 1], "patience_s"),
        ([np.nan, 5], [1, 1], [1, 1], "out of order"),
    ],
)
def test_impossible_customers_are_a_problem(arrival, service, patience, words):
    with pytest.raises(Problem, match=words):
        _run([arrival], [service], [patience], 1)


def test_spells_follow_the_table():
    starts, ends = spells(np.array([[1, 2, 1], [0, 0, 0]]))
    assert (starts[0].tolist(), ends[0].tolist()) == ([0, 3600], [np.inf, 7200])
    assert np.isinf(starts[1]).all() and (ends[1] == 0).all()
