"""Queueing formulas against textbooks, published tables and each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from sqm.checks import Problem
from sqm.queue_formulas import (
    answered_within,
    erlang_a,
    erlang_b,
    erlang_b_load,
    erlang_c,
    kingman,
    least_agents,
    limited_room,
    little,
    offered_load,
    pollaczek_khinchine,
    sinusoidal_load,
    square_root_agents,
    tandem,
    wait_quantile,
    waiting_longer,
)

KNOWN = json.loads((Path(__file__).parent / "reference" / "queueing.json").read_text("utf-8"))


def _rates(case):
    return case["arrival_rate"], case["service_rate"]


@pytest.mark.parametrize("case", KNOWN["erlang_c"], ids=lambda case: case["name"])
def test_erlang_c_is_the_textbook_s(case):
    found = erlang_c(*_rates(case), case["agents"])
    for name in ("p_wait", "mean_wait", "mean_queue", "utilisation"):
        assert getattr(found, name) == pytest.approx(case[name], rel=1e-12)
    stay = found.mean_wait + 1 / case["service_rate"]
    assert stay == pytest.approx(case["mean_stay"], rel=1e-12)
    assert case["arrival_rate"] * stay == pytest.approx(case["mean_present"], rel=1e-12)
    longer = waiting_longer(*_rates(case), case["agents"], than=case["t"])
    assert longer == pytest.approx(case["p_wait_gt_t"], rel=1e-12)


def test_erlang_b_without_overflow():
    case = KNOWN["erlang_b"]
    found = [erlang_b(load, agents) for agents, load in case["input"]["cases"]]
    np.testing.assert_allclose(found, case["expected"]["blocking"], rtol=case["tolerance"])


def test_the_traffic_table_is_erlang_b_the_other_way_round():
    case = KNOWN["erlang_b_table"]
    blocking = case["input"]["blocking"]
    found = [erlang_b_load(blocking, agents) for agents in case["input"]["servers"]]
    np.testing.assert_allclose(found, case["expected"]["exact"], rtol=1e-9)
    np.testing.assert_allclose(found, case["expected"]["offered_load"], atol=case["tolerance"])


@pytest.mark.parametrize("name", ["mm1k", "mmck"])
def test_limited_room(name):
    given, expected = KNOWN[name]["input"], KNOWN[name]["expected"]
    found = limited_room(*_rates(given), given["servers"], room=given["capacity"])
    named = {
        "p_block": found.p_block,
        "lq": found.mean_queue,
        "wq": found.mean_wait,
        "effective_rate": found.accepted_rate,
        "l": found.mean_present,
    }
    assert named == pytest.approx(expected, rel=1e-10)


def test_room_for_those_in_service_alone_is_erlang_b():
    assert limited_room(5, 1, 7, room=7).p_block == pytest.approx(erlang_b(5, 7), rel=1e-12)


def test_fifty_agents_with_and_without_patience():
    case = KNOWN["garnett_2002"]
    rates = *_rates(case), case["servers"]
    plain, exact = erlang_c(*rates), case["erlang_c"]
    assert plain.mean_wait * 60 == pytest.approx(exact["wait_s"], rel=1e-9)
    assert plain.mean_queue == pytest.approx(exact["queue"], rel=1e-9)
    assert wait_quantile(*rates, share=0.9) * 60 == pytest.approx(exact["p90_s"], rel=1e-9)
    patient, exact = erlang_a(*rates, abandon_rate=case["abandon_rate"]), case["erlang_a"]
    printed = case["printed"]["erlang_a"]
    assert patient.p_abandon == pytest.approx(exact["p_abandon"], rel=1e-9)
    assert patient.mean_wait * 60 == pytest.approx(exact["wait_s"], rel=1e-9)
    assert patient.mean_queue == pytest.approx(exact["queue"], rel=1e-9)
    assert patient.utilisation == pytest.approx(exact["util"], rel=1e-9)
    assert patient.p_wait == pytest.approx(exact["p_wait"], rel=1e-9)
    assert round(patient.p_abandon, 3) == printed["p_abandon"]
    p90 = wait_quantile(*rates, share=0.9, abandon_rate=case["abandon_rate"])
    assert p90 * 60 == pytest.approx(exact["p90_s"], rel=1e-9)


def test_endless_patience_is_erlang_c():
    endless, plain = erlang_a(2, 1, 3, abandon_rate=1e-7), erlang_c(2, 1, 3)
    assert endless.mean_wait == pytest.approx(plain.mean_wait, rel=1e-4)
    longer = waiting_longer(2, 1, 3, than=0.4, abandon_rate=1e-7)
    assert longer == pytest.approx(waiting_longer(2, 1, 3, than=0.4), rel=1e-4)


def test_patience_lets_an_overloaded_queue_settle():
    found = erlang_a(12, 1, 10, abandon_rate=0.5)
    # what comes in goes out: served by busy agents, or lost
    assert 10 * found.utilisation + 12 * found.p_abandon == pytest.approx(12)


@pytest.mark.parametrize("agents", [8, 12])  # over and under its load of 10
def test_the_tail_of_erlang_a_adds_up_to_its_mean(agents):
    queue = erlang_a(10, 1, agents, abandon_rate=0.7)

    def longer(time):
        return waiting_longer(10, 1, agents, than=time, abandon_rate=0.7)

    area, _ = integrate.quad(longer, 0, np.inf)
    assert area == pytest.approx(queue.mean_wait, rel=1e-7)
    assert longer(0) == pytest.approx(queue.p_wait, rel=1e-12)
    everybody = answered_within(10, 1, agents, within=1e6, abandon_rate=0.7)
    assert everybody == pytest.approx(1 - queue.p_abandon, rel=1e-12)
    # who neither waits longer nor is answered in time has left before
    left = 1 - longer(0.2) - answered_within(10, 1, agents, within=0.2, abandon_rate=0.7)
    assert 0 < left < queue.p_abandon


def test_least_agents_are_just_enough():
    for patience in (0.0, 0.5):
        level = {"within": 20 / 60, "abandon_rate": patience}
        agents = least_agents(48, 1, share=0.8, **level)
        assert answered_within(48, 1, agents, **level) >= 0.8
        assert answered_within(48, 1, agents - 1, **level) < 0.8
    assert least_agents(0.01, 1, share=0.5, within=0) == 1


def test_the_square_root_rule_comes_near_erlang_c():
    for load in (50, 400):
        agents = square_root_agents(load, p_wait=0.3)
        exact = next(c for c in range(load + 1, 2 * load) if erlang_c(load, 1, c).p_wait <= 0.3)
        assert abs(agents - exact) <= 1
    # beta = 1: 1 / (1 + Phi(1) / phi(1))
    p_wait = 1 / (1 + stats.norm.cdf(1) / stats.norm.pdf(1))
    assert square_root_agents(100, p_wait=p_wait + 1e-9) == 110


@pytest.mark.parametrize("k", range(5))
def test_pollaczek_khinchine(k):
    case = KNOWN["mg1"]
    found = pollaczek_khinchine(
        case["arrival_rate"], case["mean_service"], service_scv=case["scv"][k]
    )
    assert found == pytest.approx(case["wq"][k], rel=1e-12)
    same = kingman(
        case["arrival_rate"], case["mean_service"], arrival_scv=1, service_scv=case["scv"][k]
    )
    assert same == pytest.approx(found, rel=1e-12)


def test_kingman():
    given = KNOWN["kingman"]["input"]
    found = kingman(
        given["rho"] / given["mean_service"],
        given["mean_service"],
        arrival_scv=given["ca2"],
        service_scv=given["cs2"],
    )
    assert found == pytest.approx(KNOWN["kingman"]["expected"]["wq"], rel=1e-12)
    many = kingman(9, 1, arrival_scv=1, service_scv=1, agents=10)
    assert many == pytest.approx(erlang_c(9, 1, 10).mean_wait, rel=1e-12)


def test_little_s_law_is_an_identity():
    given, expected = KNOWN["little"]["input"], KNOWN["little"]["expected"]
    found = little(np.array(given["arrivals"]), np.array(given["departures"]))
    named = {
        "area": found.area,
        "L": found.mean_present,
        "lam": found.arrival_rate,
        "W": found.mean_stay,
    }
    assert named == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(1)
    comes = rng.uniform(0, 9, 200)
    goes = comes + rng.exponential(1, 200)
    path = little(comes, goes)
    assert path.area == pytest.approx((goes - comes).sum())
    assert path.mean_present == pytest.approx(path.arrival_rate * path.mean_stay)


def test_two_stations_in_a_row():
    given, expected = KNOWN["tandem"]["input"], KNOWN["tandem"]["expected"]
    found = tandem(given["arrival_rate"], given["service_rates"])
    assert found.mean_stay == pytest.approx(expected["w_total"], rel=1e-12)
    assert found.mean_present == pytest.approx(tuple(expected["l"]), rel=1e-12)


def test_the_load_lags_behind_the_arrivals():
    case = KNOWN["sinusoid"]
    given, times = case["input"], np.array(case["input"]["times"])
    swing = {name: given[name] for name in ("base_rate", "amplitude", "period", "service_rate")}
    found = sinusoidal_load(times, **swing)
    np.testing.assert_allclose(found, case["expected"]["mean_busy"], rtol=case["tolerance"])
    # the same from rates in steps of three minutes and quantiles of service, on the fifth day
    step, quantiles = 0.05, (np.arange(20_000) + 0.5) / 20_000
    middle = step * (np.arange(int(5 * 24 / step)) + 0.5)
    rates = given["base_rate"] + given["amplitude"] * np.sin(2 * np.pi * middle / 24)
    service = -np.log1p(-quantiles) / given["service_rate"]
    stepped = offered_load(rates, step=step, service=service, times=times + 4 * 24)
    np.testing.assert_allclose(stepped, found, rtol=1e-3)


def test_a_queue_that_starts_empty_fills_up():
    # 10 an hour, exponential service of half an hour: 5 (1 - exp(-2 t)); nobody comes after 3 h
    service = -np.log1p(-(np.arange(5000) + 0.5) / 5000) / 2
    found = offered_load([10] * 3, step=1, service=service, times=np.array([0, 0.5, 3, 4]))
    end = 5 * (1 - np.exp(-6))
    expected = [0, 5 * (1 - np.exp(-1)), end, end * np.exp(-2)]
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("rates", "words"),
    [((3, 1, 3), "grows without end"), ((0, 1, 3), "arrival_rate"), ((1, 1, 0), "agents is 0")],
)
def test_a_queue_without_a_long_run_is_a_problem(rates, words):
    with pytest.raises(Problem, match=words):
        erlang_c(*rates)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pollaczek_khinchine(1.0, 1.2, service_scv=1), "busy 120%"),
        (lambda: kingman(2, 1, arrival_scv=1, service_scv=1, agents=2), "busy 100%"),
        (lambda: pollaczek_khinchine(0.5, 1, service_scv=-1), "service_scv is -1"),
        (lambda: tandem(1, [2, 0.9]), "grows without end"),
        (lambda: tandem(1, [2, 3], agents=[1]), "2 stations have 1"),
        (lambda: waiting_longer(3, 1, 3, than=1), "grows without end"),
        (lambda: waiting_longer(1, 1, 3, than=-1), "than is -1"),
        (lambda: erlang_b(float("nan"), 3), "load is nan"),
        (lambda: erlang_b_load(1.0, 3), "blocking is 1.0"),
        (lambda: least_agents(1, 1, share=80, within=1), "share is 80"),
        (lambda: limited_room(1, 1, 3, room=2), "room for 2"),
        (lambda: little(np.array([1.0]), np.array([0.5])), "leave before they come"),
        (lambda: little(np.array([0.0]), np.array([0.0])), "No time passes"),
        (
            lambda: offered_load([1, -1], step=1, service=np.ones(1), times=np.ones(1)),
            "negative, missing",
        ),
    ],
)
def test_what_no_formula_can_answer_is_a_problem(call, words):
    with pytest.raises(Problem, match=words):
        call()
