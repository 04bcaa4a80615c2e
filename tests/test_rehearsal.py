"""Rehearsals against sums done by hand on a service of four customers, and on a simulated one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from four_customers import (
    BETTER,
    CTQS,
    DRIVERS,
    FASTER,
    MORE,
    SHUT,
    FourCustomers,
    at,
    chance,
    fit,
    logistic,
    play,
)
from small_service import CALENDAR, make_log

from sqm import rehearsal as scenarios
from sqm.checks import Problem, Refusal
from sqm.methods.target_chances import chance_of_target
from sqm.methods.what_if import what_if
from sqm.rehearsal import coin_variance
from sqm.service_model import learn


def test_the_cost_of_a_complaint_is_drawn_within_its_interval():
    priced = scenarios._draw_cost((50, 40, 62.5), 0.95, 4000, np.random.default_rng(1))
    assert np.quantile(priced, [0.025, 0.975]) == pytest.approx([40, 62.5], rel=0.03)


def test_a_scenario_that_changes_nothing_changes_exactly_nothing():
    rehearsal = play(
        [{"name": "same", "service_factor": 1.0}], drivers=fit({"(intercept)": -3.0}, 0.04)
    )
    assert (rehearsal.change[1] == 0).all()
    assert rehearsal.level[0, :, 3].std() > 0


def test_a_shut_gate_lets_nothing_through():
    with pytest.raises(Refusal, match="Foretold 50 s where 90 s came"):
        play(gate=SHUT)


def test_noise_of_the_simulation_is_taken_out_of_the_spread():
    """Parameters vary with sd 1; each draw is the mean of 6 weeks with sd 6 each."""
    rng = np.random.default_rng(5)
    truth = rng.normal(50, 1, (1, 4000))
    weeks = truth[:, :, None] + rng.normal(0, 6, (1, 4000, 6))
    sums = np.stack([weeks, np.ones_like(weeks)], axis=-1)[:, :, :, None, :]
    found = scenarios._told_apart(sums, sums[:, :2], np.zeros((4000, 0)))
    assert weeks.mean(axis=2).std() > 2.4
    assert found["level"][0, :, 0].std() == pytest.approx(1, rel=0.25)
    assert found["level"].mean() == pytest.approx(weeks.mean())
    assert found["week_sd"][0, 0] == pytest.approx(6, rel=0.02)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"drivers": fit({"(intercept)": -3, "week": 1.0})}, "term 'week'"),
        ({"drivers": fit({"wait_s": 1.0})}, "no intercept"),
        ({"drivers": DRIVERS.drop(columns="cov: wait_s")}, "no column 'cov: wait_s'"),
        ({"drivers": fit({"(intercept)": np.nan})}, "missing coefficient"),
        ({"cost_per_complaint": (40.0, 0.0, 50.0)}, "cost of a complaint"),
        ({"cost_confidence": 95}, "cost_confidence"),
        ({"ctqs": CTQS.assign(direction="below")}, "direction 'below'"),
    ],
)
def test_bad_input_is_a_problem(changed, words):
    with pytest.raises(Problem, match=words):
        play(**changed)


def test_an_hour_left_without_agents_is_a_problem():
    with pytest.raises(Problem, match="without any agent"):
        play([{"name": "none", "agents": {"add": -1}}])


def test_a_log_that_does_not_know_resolution_is_refused():
    class Silent(FourCustomers):
        def parameters(self, *, draws, rng):
            found = super().parameters(draws=draws, rng=rng)
            return replace(found, resolution=np.full((draws, 1, 1), np.nan))

    with pytest.raises(Refusal, match="which contacts were resolved"):
        play(service=Silent())


def test_fewer_than_two_draws_or_weeks_are_a_problem():
    for name in ("draws", "weeks"):
        with pytest.raises(Problem, match=f"{name} is 1"):
            play(**{name: 1})


# --- Several together, sizes that are not known ---------------------------------------------------


def column(rehearsal, scenario, measure, kind="level"):
    """The draws of one measure of one scenario."""
    names = [each.name for each in rehearsal.scenarios]
    values = getattr(rehearsal, kind)
    return values[names.index(scenario), :, rehearsal.measures.index(measure)]


def test_combinations_by_hand():
    """With one more agent nobody waits; 0.7 and 0.2 more are resolved; 400 s are halved twice."""
    twice = [MORE, BETTER, FASTER, FASTER | {"name": "faster still", "cost_per_year": 500}]
    rehearsal = play(twice, combinations=True)
    assert len(rehearsal.scenarios) == 1 + 15
    both = column(rehearsal, "more + better", "complaint_rate")
    assert both == pytest.approx(np.full(8, chance(0, 0.9)))
    assert column(rehearsal, "more + better", "resolved") == pytest.approx(np.full(8, 0.9))
    names = [each.name for each in rehearsal.scenarios]
    costs = dict(zip(names, rehearsal.running_cost[:, 0], strict=True))
    assert costs["more + faster still"] == 1500 and costs["better + faster"] == 0
    assert (column(rehearsal, "more + better", "agent_hours_per_day") == 4).all()
    assert (column(rehearsal, "as is", "agent_hours_per_day") == 2).all()
    limit = CTQS.assign(limit=[90, np.nan, 1, 150, 0, 5])  # 400 / 2 / 2 = 100 s are within 150 s
    quick = play(twice, combinations=2, ctqs=limit)
    assert len(quick.scenarios) == 1 + 4 + 6
    assert (column(quick, "faster", "defects: quick") == 1).all()
    assert (column(quick, "faster + faster still", "defects: quick") == 0).all()


def test_a_size_that_is_not_known_is_drawn_and_shared_by_its_combinations():
    """Triangular from 0 over 0.1 to 0.2: mean 0.1, variance 0.2^2 / 24."""
    unsure = {"name": "unsure", "resolution_points": [0.0, 0.1, 0.2]}
    rehearsal = play([unsure, MORE], draws=2000, weeks=2, combinations=True)
    gained = column(rehearsal, "unsure", "resolved", "change")
    assert gained.mean() == pytest.approx(0.1, abs=0.004)
    assert gained.std() == pytest.approx(0.2 / 24**0.5, rel=0.05)
    assert column(rehearsal, "unsure + more", "resolved", "change") == pytest.approx(gained)
    place = rehearsal.input_names.index("resolution_points: unsure")
    assert rehearsal.inputs[:, place] == pytest.approx(gained)


def test_a_combination_without_agents_says_how_to_mend():
    fewer = [{"name": n, "agents": {"add": -1}} for n in "ab"]

    class Two(FourCustomers):
        def typical_weeks(self, parameters, *, weeks, rng, days=None):
            found = super().typical_weeks(parameters, weeks=weeks, rng=rng)
            return replace(found, agents=found.agents * 2)

    with pytest.raises(Problem, match=r"'a \+ b' leaves hours(.|\n)*not_with"):
        play(fewer, service=Two(), combinations=True)
    apart = [fewer[0] | {"not_with": ["b"]}, fewer[1]]
    assert len(play(apart, service=Two(), combinations=True).scenarios) == 3


# --- What is carried along ------------------------------------------------------------------------

CONTENT = fit({"threshold|1": -1.0, "wait_s": -0.6, "threshold|2": 1.0, "ending=unresolved": -1.0})


def test_waits_and_resolution_are_carried_to_the_scores_of_those_served():
    """Of three served contacts two waited 60 and one 120 s; 0.7 are resolved."""
    ctqs = pd.DataFrame(
        [("pleased", "survey", "satisfaction", "at least", 2.0, 0.1), ("kind", "survey", "p1",
          "at least", 2.0, 0.1)],
        columns=["name", "table", "measure", "direction", "limit", "target"],
    )  # fmt: skip
    rehearsal = play([MORE], ctqs=ctqs, experience={"satisfaction": CONTENT})

    def at_most(threshold, wait_s, resolved=0.7):
        terms = -0.6 * wait_s / 60
        good, bad = logistic(threshold - terms), logistic(threshold - terms + 1)
        return resolved * good + (1 - resolved) * bad

    one, two = ((2 * at_most(t, 60) + at_most(t, 120)) / 3 for t in (-1.0, 1.0))
    assert column(rehearsal, "as is", "satisfaction") == pytest.approx(np.full(8, 3 - one - two))
    assert column(rehearsal, "as is", "satisfied") == pytest.approx(np.full(8, 1 - one))
    assert column(rehearsal, "as is", "defects: pleased") == pytest.approx(np.full(8, one))
    assert column(rehearsal, "more", "defects: pleased")[0] == pytest.approx(at_most(-1.0, 0))
    chances = chance_of_target(rehearsal, ctqs)
    assert chances.judged == 1
    note = chances.table.loc[chances.table["ctq"].eq("kind"), "note"].iloc[0]
    assert note == "no drivers of p1 were handed over, so the survey's answers are not simulated"


def test_drivers_of_a_score_must_be_those_of_a_score():
    with pytest.raises(Problem, match="drivers of 'satisfaction' are not those of a score"):
        play(experience={"satisfaction": DRIVERS})


def test_a_price_brings_what_its_contacts_pay_more():
    """4 contacts a day on 250 days at 6 EUR; nobody minds a price 10 % higher."""
    price = {"change": 0.1, "elasticity": 0, "revenue_per_contact": 6}
    rehearsal = play([{"name": "dearer", "price": price, "cost_per_year": 100}])
    assert rehearsal.revenue == pytest.approx(np.outer([0, 600], np.ones(8)))
    assert rehearsal.running_cost[1] == pytest.approx(np.full(8, -500))
    found = what_if(rehearsal, currency="EUR")
    assert at(found, "dearer", "revenue_per_year", "change") == pytest.approx(600)
    assert at(found, "dearer", "net_saving_per_year", "change") == pytest.approx(500)


def test_coins_that_the_simulation_does_not_toss_by_hand():
    """Ten contacts a day, two left; 4 in 100 complain, and a scenario halves it; five days."""
    measures = ("contacts_per_day", "abandoned_per_day", "complaint_rate", "complaints_per_day")
    level = np.array([[[10, 2, 0.04, 0.4]], [[10, 2, 0.02, 0.2]]])
    played = SimpleNamespace(
        measures=measures, level=level, change=level - level[:1], week_sd=np.zeros((2, 4)),
        open_days_per_year=260.0, defects=(),
    )  # fmt: skip
    rate = 0.04 * 0.96 / 50
    assert coin_variance(played)[0] == pytest.approx([0, 0, rate, rate * 100])
    change = coin_variance(played, of_change=True)
    assert change[1] == pytest.approx([0, 0, 0.02 * 0.98 / 50, 0.02 * 0.98 / 50 * 100])
    assert change[0] == pytest.approx(np.zeros(4))


def test_the_gate_s_error_of_contacts_moves_numbers_and_not_waits():
    rough = SimpleNamespace(
        open=True, wait_error=0.0, abandon_error=0.0, contacts_error=0.1, sentence=lambda: ""
    )
    rehearsal = play(gate=rough, draws=400)
    crowd = rehearsal.inputs[:, rehearsal.input_names.index("gate: error of contacts")]
    assert np.log(crowd).std() == pytest.approx(0.1, rel=0.1)
    assert column(rehearsal, "as is", "contacts_per_day") == pytest.approx(4 * crowd)
    assert column(rehearsal, "as is", "mean_wait_s") == pytest.approx(np.full(400, 105))


def test_inputs_are_what_was_drawn():
    rough = SimpleNamespace(
        open=True, wait_error=0.2, abandon_error=0.1, contacts_error=0.0, sentence=lambda: ""
    )
    drivers = DRIVERS.copy()
    drivers.loc[0, "cov: (intercept)"] = 0.04
    rehearsal = play(gate=rough, drivers=drivers, cost_per_complaint=(40, 30, 50), draws=50)
    of = dict(zip(rehearsal.input_names, rehearsal.inputs.T, strict=True))
    assert set(of) == {
        "complaints: level (log odds)", "cost of a complaint", "gate: error of waits",
        "gate: error of patience",
    }  # fmt: skip
    assert (of["cost of a complaint"] == rehearsal.cost).all()
    waits = column(rehearsal, "as is", "mean_wait_s")
    assert waits == pytest.approx(105 * of["gate: error of waits"])


def test_a_plug_in_takes_everything_as_certain():
    rough = SimpleNamespace(
        open=True, wait_error=0.2, abandon_error=0.1, contacts_error=0.0, sentence=lambda: ""
    )
    unsure = BETTER | {"resolution_points": [0.0, 0.1, 0.3], "cost_per_year": [1, 2, 9]}
    drivers = fit({"(intercept)": -3.0, "wait_s": 0.5}, 0.09)
    found = play([unsure], gate=rough, drivers=drivers, cost_per_complaint=(40, 1, 90),
                 plug_in=True)  # fmt: skip
    assert found.plug_in and found.input_names == ()
    assert (found.cost == 40).all() and (found.running_cost[1] == 2).all()
    assert column(found, "better", "resolved") == pytest.approx(np.full(8, 0.8))
    assert column(found, "as is", "mean_wait_s") == pytest.approx(np.full(8, 105))


# --- Telling noise apart --------------------------------------------------------------------------


def test_what_the_inputs_explain_is_kept_and_the_noise_taken_from_the_rest():
    """An input worth 2 an sd, something else worth 1, and noise of sd 3 in each draw's mean."""
    rng = np.random.default_rng(8)
    x, other = rng.normal(size=(2, 4000))
    weeks = (2 * x + other)[None, :, None] + rng.normal(0, 3 * 2**0.5, (1, 4000, 2))
    sums = np.stack([weeks, np.ones_like(weeks)], axis=-1)[:, :, :, None, :]
    level = scenarios._told_apart(sums, sums[:, :2], x[:, None])["level"][0, :, 0]
    assert level.std() == pytest.approx(5**0.5, rel=0.05)
    assert np.corrcoef(level, x)[0, 1] == pytest.approx(2 / 5**0.5, abs=0.02)


def test_the_variance_that_common_customers_save():
    """Two worlds whose weeks have variance 1 and correlation 0.9: (1 + 1) / (2 - 1.8) = 10."""
    rng = np.random.default_rng(9)
    common, own = rng.normal(size=(1, 3000, 4)), rng.normal(size=(2, 3000, 4))
    weeks = 50 + 0.9**0.5 * common + 0.1**0.5 * own
    sums = np.stack([weeks, np.ones_like(weeks)], axis=-1)[:, :, :, None, :]
    found = scenarios._told_apart(sums, sums[:, :2], np.zeros((3000, 0)))
    assert found["variance_saved"][1, 0] == pytest.approx(10, rel=0.06)
    assert np.isnan(found["variance_saved"][0, 0])
    assert found["week_sd_of_change"][1, 0] == pytest.approx(0.2**0.5, rel=0.02)


@pytest.fixture(scope="module")
def real():
    log, staffing = make_log(2)
    service = learn(log, staffing=staffing, calendar=CALENDAR)
    levers = [
        {"name": "more", "agents": {"add": 1, "hours": [10, 12]}},
        {"name": "faster", "service_factor": 0.8, "sites": ["N1"]},
    ]
    return log, play(levers, service=service, draws=40, weeks=4)


def test_the_queue_as_it_is_resembles_its_log(real):
    log, rehearsal = real
    row = what_if(rehearsal, currency="EUR").table.iloc[0]
    assert row["estimate"] == pytest.approx(log["wait_s"].mean(), rel=0.1)
    assert row["low"] < log["wait_s"].mean() < row["high"]


def test_more_agents_and_shorter_service_shorten_waits(real):
    found = what_if(real[1], currency="EUR")
    assert at(found, "more", "mean_wait_s", "change") < at(found, "faster", "mean_wait_s", "change")
    assert at(found, "faster", "mean_wait_s", "change") < 0
    assert found.open_days_per_year == pytest.approx(5 / 7 * 365.25)


def test_common_customers_save_variance(real):
    saved = real[1].variance_saved[1:, real[1].measures.index("mean_wait_s")]
    assert (saved > 1.5).all()


def test_two_sets_of_customers_on_the_same_days_share_what_the_days_bring():
    """Where a site's days hardly differ, next to nothing is shared; where they do, much is."""
    shares = []
    for cv in (0.0, 0.5):
        log, staffing = make_log(3, cv=cv)
        service = learn(log, staffing=staffing, calendar=CALENDAR)
        spread = play([FASTER], service=service, draws=120, weeks=4).spread
        shares.append(spread.days[0, :, 4].mean() / spread.noise[0, :, 4].mean())
    assert shares[0] == pytest.approx(0, abs=0.3) and shares[1] > 0.8


# --- Demand, queues and prices --------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(real):
    log, staffing = make_log(2)
    return learn(log, staffing=staffing, calendar=CALENDAR)


def alone(service, lever, **more):
    given = {"service": service, "draws": 12, "weeks": 3, "ctqs": None}
    return play([{"name": "it"} | lever], **(given | more))


@pytest.mark.parametrize(
    "lever",
    [
        {"demand": 1.0},
        {"demand": {"factor": 1.0, "hours": [9, 11], "weeks": 10}},
        {"routing": {"pool": ["N1"]}},
        {"sites": ["S1"], "routing": {"pool": True}},
        {"price": {"change": 0.2, "elasticity": 0}},
        {"agents": {"add": 0}},
    ],
)
def test_a_lever_that_changes_nothing_changes_exactly_nothing(service, lever):
    assert (alone(service, lever).change == 0).all()


def test_the_calendar_of_events_serves_one_class_as_the_recursion_does():
    log, staffing = make_log(2)
    one = learn(log.assign(reason="bill"), staffing=staffing, calendar=CALENDAR)
    rehearsal = alone(one, {"routing": {"priority": ["bill"]}}, draws=4)
    assert np.abs(rehearsal.change).max() < 1e-9


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_demand_moves_contacts_in_proportion(service, factor):
    rehearsal = alone(service, {"demand": factor}, draws=40)
    before, after = (column(rehearsal, name, "contacts_per_day") for name in ("as is", "it"))
    assert after.mean() / before.mean() == pytest.approx(factor, rel=0.02)
    plain = alone(service, FASTER, draws=40)
    usual = column(plain, "faster", "contacts_per_day").mean()
    assert before.mean() == pytest.approx(usual, rel=0.05)
    waits = column(rehearsal, "it", "mean_wait_s", "change")
    assert (waits > 0).all() if factor > 1 else (waits < 0).all()


def test_demand_of_some_weeks_and_hours_counts_for_its_share(service):
    """Twice the demand in half of the weeks is half the change; contacts, as they are added up."""
    whole = alone(service, {"demand": 2.0})
    half = alone(service, {"demand": {"factor": 2.0, "weeks": 26}})
    for measure in ("contacts_per_day", "complaints_per_day"):
        at_half, at_all = (
            each.spread.change[1, :, each.measures.index(measure)] for each in (half, whole)
        )
        assert at_half == pytest.approx(at_all / 2)
    morning = alone(service, {"demand": {"factor": 2.0, "hours": [9, 11]}})
    parts = [column(each, "it", "contacts_per_day", "change").mean() for each in (morning, whole)]
    assert parts[0] / parts[1] == pytest.approx(0.5, abs=0.05)  # two of four hours


def test_a_common_queue_shortens_waits(service):
    rehearsal = alone(service, {"routing": {"pool": True}})
    assert (column(rehearsal, "it", "mean_wait_s", "change") < 0).all()
    same = ("contacts_per_day", "agent_hours_per_day")
    assert all((column(rehearsal, "it", name, "change") == 0).all() for name in same)


def test_calling_back_serves_some_who_left(service):
    rehearsal = alone(service, {"routing": {"call_back": 1.0}}, draws=4)
    assert (column(rehearsal, "it", "abandoned", "change") < 0).all()


def test_rework_makes_others_wait(service):
    rehearsal = alone(service, {"routing": {"rework": {"share": 0.5, "after_s": 600}}}, draws=4)
    assert (column(rehearsal, "it", "mean_wait_s", "change") > 0).all()


def test_a_dearer_service_loses_customers_by_its_elasticity(service):
    """With an elasticity of -1 revenue stays as it is: 1.25 * (1 / 1.25) = 1."""
    price = {"change": 0.25, "elasticity": -1, "revenue_per_contact": 6}
    rehearsal = alone(service, {"price": price}, draws=40)
    before, after = (column(rehearsal, name, "contacts_per_day") for name in ("as is", "it"))
    assert (after / before).mean() == pytest.approx(0.8, rel=0.02)
    assert rehearsal.revenue == pytest.approx(np.zeros((2, 40)), abs=1e-6)


def test_the_same_seed_gives_the_same_rehearsal(service):
    first, second = (
        alone(service, {"demand": 1.2, "routing": {"pool": True}}, draws=4) for _ in range(2)
    )
    assert (first.level == second.level).all() and (first.inputs == second.inputs).all()
