"""Scenarios against sums done by hand on a service of four customers, and on a simulated one."""

from dataclasses import dataclass
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_queueing import CALENDAR, make_log

from sqm.checks import Problem, Refusal
from sqm.methods import scenarios
from sqm.methods.queueing import learn
from sqm.methods.scenarios import chance_of_target, read_scenarios, rehearse, what_if

OPEN = SimpleNamespace(open=True, wait_error=0.0, abandon_error=0.0, sentence=lambda: "open")
SHUT = SimpleNamespace(open=False, sentence=lambda: "Foretold 50 s where 90 s came.")
MORE = {"name": "more", "agents": {"add": 1, "hours": [10, 12]}, "cost_per_year": 1000}
FASTER = {"name": "faster", "service_factor": 0.5}
BETTER = {"name": "better", "resolution_points": 0.2}


def logistic(x):
    return 1 / (1 + np.exp(-x))


def fit(terms, variance=0.0):
    """A fit as Analyse hands it over, its coefficients independent; waits per minute."""
    table = pd.DataFrame({"term": list(terms), "estimate": list(terms.values())})
    table["unit_per"] = [60.0 if term == "wait_s" else np.nan for term in terms]
    for i, term in enumerate(terms):
        table[f"cov: {term}"] = np.where(np.arange(len(table)) == i, variance, 0.0)
    return table


DRIVERS = fit({"(intercept)": -3.0, "wait_s": 0.5, "ending=unresolved": 1.0, "ending=abandoned": 2})


@dataclass(frozen=True)
class Days:
    draw: np.ndarray
    unit: np.ndarray
    site: np.ndarray
    agents: np.ndarray
    arrival_s: np.ndarray
    service_s: np.ndarray
    patience_s: np.ndarray
    reason: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True)
class Found:
    weights: np.ndarray
    resolution: np.ndarray

    def part(self, first, last):
        return Found(self.weights[first:last], self.resolution[first:last])


class FourCustomers:
    """One day a week, four customers: waits of 60, 60, 120 s, the fourth leaves after 180 s.

    With a second agent nobody waits and nobody leaves.
    """

    grid = SimpleNamespace(sites=("N1",), reasons=("bill",), channels=("phone",), hours=(10, 11))
    open_days_per_year = 250.0

    def parameters(self, *, draws, rng):
        return Found(np.ones((draws, 1)), np.full((draws, 1, 1), 0.7))

    def typical_weeks(self, parameters, *, weeks, rng):
        lanes = len(parameters.weights) * weeks
        flat, table = np.zeros(lanes, int), np.zeros((lanes, 4))
        return Days(
            draw=np.repeat(np.arange(len(parameters.weights)), weeks),
            unit=np.tile(np.arange(weeks), len(parameters.weights)),
            site=flat,
            agents=np.ones((lanes, 2), int),
            arrival_s=table,
            service_s=table + 400,
            patience_s=table + 180,
            reason=table.astype(int),
            channel=table.astype(int),
        )

    def serve(self, customers, *, agents, service_factor):
        alone = (agents == 1).all(axis=1)[:, None]
        wait = np.where(alone, [60.0, 60.0, 120.0, 180.0], 0.0)
        return SimpleNamespace(wait_s=wait, served=~(alone & np.array([False] * 3 + [True])))


CTQS = pd.DataFrame(
    [
        ("soon", "operations", "wait_s", "at most", 90.0, 0.4),
        ("answered", "operations", "abandoned", "at most", np.nan, 0.3),
        ("at once", "operations", "resolved", "at least", 1.0, 0.25),
        ("quick", "operations", "service_s", "at most", 300.0, 0.5),
        ("content", "operations", "complained", "at most", 0.0, 0.02),
        ("polite", "survey", "p01", "at least", 5.0, 0.1),
    ],
    columns=["name", "table", "measure", "direction", "limit", "target"],
)


def play(levers=(MORE, FASTER, BETTER), *, service=None, **changed):
    given = {
        "gate": OPEN,
        "drivers": DRIVERS,
        "cost_per_complaint": (40.0, 40.0, 40.0),
        "ctqs": CTQS,
        "draws": 8,
        "weeks": 3,
        "rng": np.random.default_rng(1),
    }
    return rehearse(service or FourCustomers(), list(levers), **(given | changed))


@pytest.fixture(scope="module")
def found():
    return what_if(play(), currency="EUR")


def at(found, scenario, measure, kind="level"):
    table = found.table
    row = table[
        table["scenario"].eq(scenario) & table["measure"].eq(measure) & table["kind"].eq(kind)
    ]
    return row["estimate"].item()


def chance(wait_s, resolved):
    """Complaint of a served contact by hand: resolved or not, averaged."""
    logit = -3 + 0.5 * wait_s / 60
    return resolved * logistic(logit) + (1 - resolved) * logistic(logit + 1)


def test_levels_by_hand(found):
    by_hand = (2 * chance(60, 0.7) + chance(120, 0.7) + logistic(-3 + 0.5 * 3 + 2)) / 4
    assert at(found, "as is", "mean_wait_s") == pytest.approx(105)
    assert at(found, "as is", "abandoned") == pytest.approx(0.25)
    assert at(found, "as is", "resolved") == pytest.approx(0.7)
    assert at(found, "as is", "complaint_rate") == pytest.approx(by_hand)
    assert at(found, "as is", "complaints_per_year") == pytest.approx(by_hand * 4 * 250)
    assert at(found, "as is", "cost_per_year") == pytest.approx(by_hand * 4 * 250 * 40)


def test_changes_by_hand(found):
    before, after = at(found, "as is", "complaint_rate"), chance(0, 0.7)
    assert at(found, "more", "complaint_rate") == pytest.approx(after)
    assert at(found, "more", "mean_wait_s", "change") == pytest.approx(-105)
    spared = (before - after) * 4 * 250
    assert at(found, "more", "complaints_per_year", "change") == pytest.approx(-spared)
    assert at(found, "more", "net_saving_per_year", "change") == pytest.approx(spared * 40 - 1000)
    assert found.best == "more" and f"{-spared:+,.0f}" in found.sentence()
    assert found.best_share == 1.0 and "In 100% of the draws more saves most" in found.sentence()
    as_is = at(found, "as is", "complaints_per_year")
    assert f"Against {as_is:,.0f} (95% interval {as_is:,.0f} to" in found.sentence()
    assert "takes agents as a sample" in found.sentence()


def test_better_resolution_works_through_served_contacts_alone(found):
    by_hand = (2 * chance(60, 0.9) + chance(120, 0.9) + logistic(-3 + 0.5 * 3 + 2)) / 4
    assert at(found, "better", "complaint_rate") == pytest.approx(by_hand)
    assert at(found, "better", "resolved") == pytest.approx(0.9)
    assert at(found, "better", "mean_wait_s", "change") == 0


def test_resolution_is_never_more_than_all():
    found = what_if(play([{"name": "wish", "resolution_points": 0.9}]), currency="EUR")
    assert at(found, "wish", "resolved") == pytest.approx(1)


def test_defects_by_hand():
    table = chance_of_target(play(), CTQS).table.set_index(["ctq", "scenario"])
    by_hand = {
        ("soon", "as is"): 0.5,  # 120 and 180 s are above 90
        ("soon", "more"): 0.0,
        ("answered", "as is"): 0.25,
        ("at once", "as is"): 0.3,
        ("at once", "better"): 0.1,
        ("quick", "as is"): 1.0,  # 400 s are above 300, 200 s are not
        ("quick", "faster"): 0.0,
        ("content", "more"): chance(0, 0.7),
    }
    for place, share in by_hand.items():
        assert table.loc[place, "defects"] == pytest.approx(share), place
        target = CTQS.set_index("name").loc[place[0], "target"]
        assert table.loc[place, "estimate"] == (share <= target), place


def test_what_a_simulation_cannot_judge_is_left_open():
    chances = chance_of_target(play(), CTQS)
    polite = chances.table[chances.table["ctq"].eq("polite")]
    assert polite["estimate"].isna().all() and polite["note"].str.contains("survey").all()
    assert "1 of 6 cannot be judged" in chances.sentence()
    # 8 draws without an exception: Wilson's limit is 8 / (8 + 1.96^2) = 0.676
    assert "soon, under 33 % as it is and over 67 % with more" in chances.sentence()
    assert "share of 8 draws" in chances.sentence()


def test_a_ctq_that_was_not_played_is_a_problem():
    with pytest.raises(Problem, match="without the CTQ 'soon'"):
        chance_of_target(play(ctqs=None), CTQS)


def test_a_scenario_that_changes_nothing_changes_exactly_nothing():
    rehearsal = play(
        [{"name": "same", "service_factor": 1.0}], drivers=fit({"(intercept)": -3.0}, 0.04)
    )
    assert (rehearsal.change[1] == 0).all()
    assert rehearsal.level[0, :, 3].std() > 0


def test_a_shut_gate_lets_nothing_through():
    with pytest.raises(Refusal, match="Foretold 50 s where 90 s came"):
        play(gate=SHUT)


def test_the_error_of_the_gate_widens_waits():
    rough = SimpleNamespace(open=True, wait_error=0.2, abandon_error=0.0, sentence=lambda: "")
    widened = what_if(play(gate=rough, draws=400), currency="EUR")
    row = widened.table.iloc[0]
    assert row["measure"] == "mean_wait_s"
    # lognormal with sigma 0.2: limits 105 * exp(±1.96 * 0.2)
    assert row["low"] == pytest.approx(105 * np.exp(-0.392), rel=0.08)
    assert row["high"] == pytest.approx(105 * np.exp(0.392), rel=0.08)
    assert "error of 20% beyond chance" in widened.sentence()


def test_coefficients_and_cost_bring_their_uncertainty():
    """Only the intercept is uncertain: with rare complaints their number is lognormal."""
    drivers = fit({"(intercept)": -7.0}, 0.09)
    found = what_if(play(drivers=drivers, draws=2000), currency="EUR")
    row = found.table[found.table["measure"].eq("complaints_per_year")].iloc[0]
    assert np.log(row["high"] / row["low"]) == pytest.approx(2 * 1.96 * 0.3, rel=0.06)
    priced = scenarios._draw_cost((50, 40, 62.5), 0.95, 4000, np.random.default_rng(1))
    assert np.quantile(priced, [0.025, 0.975]) == pytest.approx([40, 62.5], rel=0.03)


def test_noise_of_the_simulation_is_taken_out_of_the_spread():
    """Parameters vary with sd 1; each draw is the mean of 6 weeks with sd 6 each."""
    rng = np.random.default_rng(5)
    truth = rng.normal(50, 1, (1, 4000))
    weeks = truth[:, :, None] + rng.normal(0, 6, (1, 4000, 6))
    sums = np.stack([weeks, np.ones_like(weeks)], axis=-1)[:, :, :, None, :]
    level, _ = scenarios._levels_and_changes(sums)
    assert weeks.mean(axis=2).std() > 2.4
    assert level[0, :, 0].std() == pytest.approx(1, rel=0.25)
    assert level.mean() == pytest.approx(weeks.mean())


# --- Reading scenarios ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "a", "agnets": {"add": 1}}, "unknown lever 'agnets'.*\n.*'agents'"),
        ({"name": "a", "agents": {"add": 1, "hour": [1, 2]}}, "unknown part 'hour'"),
        ({"name": "a", "agents": 1}, "agents is 1"),
        ({"name": "a", "agents": {"add": 1, "hours": [14, 10]}}, "hours is"),
        ({"name": "a", "agents": {"add": 1, "hours": [6, 10]}}, "between 8 and 20"),
        ({"name": "a", "service_factor": 0}, "service_factor is 0"),
        ({"name": "a", "service_factor": "short"}, "'short'"),
        ({"name": "a", "resolution_points": 8}, "8 percentage points"),
        ({"name": "a", "service_factor": 0.9, "sites": ["N11"]}, "no site 'N11'.*\n.*'N1'"),
        ({"name": "a", "service_factor": 0.9, "sites": "N1"}, "give a list"),
        ({"name": "a"}, "changes nothing"),
        ({"service_factor": 0.9}, "has no name"),
        ({"name": "as is", "service_factor": 0.9}, "Two scenarios are called 'as is'"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_a_problem(given, words):
    with pytest.raises(Problem, match=words):
        read_scenarios([given], sites=["N1", "S1"], hours=range(8, 20))


def test_a_scenario_names_its_sites_once_for_all_its_levers():
    given = {"name": "both", "service_factor": 0.94, "resolution_points": 0.1, "sites": ["S1"]}
    read = read_scenarios([given], sites=["N1", "S1"])[0]
    assert read.sites == ("S1",) and (read.service_factor, read.resolution_points) == (0.94, 0.1)
    assert read_scenarios([FASTER], sites=["N1", "S1"])[0].sites == ("N1", "S1")


def test_no_scenario_is_a_problem():
    with pytest.raises(Problem, match="No scenario"):
        read_scenarios([], sites=["N1"])


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


def test_money_needs_a_currency():
    with pytest.raises(Problem, match="currency"):
        what_if(play(), currency=" ")


def test_an_hour_left_without_agents_is_a_problem():
    with pytest.raises(Problem, match="without any agent"):
        play([{"name": "none", "agents": {"add": -1}}])


def test_a_log_that_does_not_know_resolution_is_refused():
    class Silent(FourCustomers):
        def parameters(self, *, draws, rng):
            return Found(np.ones((draws, 1)), np.full((draws, 1, 1), np.nan))

    with pytest.raises(Refusal, match="which contacts were resolved"):
        play(service=Silent())


# --- With the queue itself ------------------------------------------------------------------------


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


def test_pictures_are_drawn(found):
    figure, axes = plt.subplots(2)
    assert found.plot(axes[0]).get_title() == "What would each scenario do to complaints?"
    assert len(axes[0].get_yticks()) == 3
    chance_of_target(play(), CTQS).plot(axes[1])
    assert [label.get_text() for label in axes[1].get_yticklabels()] == CTQS["name"].tolist()
    plt.close(figure)
