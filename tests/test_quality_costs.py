"""The costs of quality against sums done by hand, and the definition of the four classes."""

import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.quality_costs import CLASSES, OWN_COST, quality_costs, read_costs, yearly_costs
from sqm.scenario import Scenario

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "money_and_decision.json").read_text(encoding="utf-8")
)
MEASURES = (
    "contacts_per_day",
    "abandoned_per_day",
    "unresolved_per_day",
    "complaints_per_day",
)
COURT = {"name": "court", "class": "external failure", "per": "complaint", "cost": 500}
PEOPLE = {"name": "quality team", "class": "appraisal", "per_year": 30_000}


def played(draws=2, change=(0.0, 0.0, 0.0, -1.0), running_cost=1000.0, **more):
    """1,000 contacts a day, 100 lost, 300 unresolved, 10 complaints; one scenario spares some."""
    level = np.zeros((2, draws, 4))
    level[:] = (1000, 100, 300, 10)
    moved = np.zeros((2, draws, 4))
    moved[1] = change
    of = {
        "scenarios": (Scenario("as is"), Scenario("better $ < 🙂")),
        "measures": MEASURES,
        "level": level + moved,
        "change": moved,
        "cost": np.linspace(50, 150, draws),
        "running_cost": np.stack([np.zeros(draws), np.full(draws, running_cost)]),
        "revenue": np.zeros((2, draws)),
        "open_days_per_year": 250.0,
    }
    return SimpleNamespace(**of | more)


def found(costs, rehearsal=None, **more):
    rehearsal = rehearsal or played()
    rng = np.random.default_rng(1)
    yearly = yearly_costs(rehearsal, costs, rng=rng)
    return quality_costs(rehearsal, yearly, currency="EUR", rng=rng, **more)


def row(finding, scenario, name, kind):
    table = finding.table
    at = table["scenario"].eq(scenario) & table["name"].eq(name) & table["kind"].eq(kind)
    return table[at].iloc[0]


def test_the_four_classes_add_up_as_defined():
    case = REFERENCE["coq_paf"]
    given, expected = case["input"], case["expected"]
    costs = [{"name": c, "class": c, "per_year": given[c]} for c in CLASSES]
    answer = found(costs, played(running_cost=0.0), sales=given["sales"])
    close = {"rel": case["tolerance"]}
    assert answer.total == pytest.approx(expected["total"], **close)
    assert answer.conformance == pytest.approx(expected["conformance"], **close)
    assert answer.nonconformance == pytest.approx(expected["nonconformance"], **close)
    assert answer.share_of_sales == pytest.approx(expected["share_of_sales"], **close)


@pytest.mark.parametrize(
    ("per", "units"),
    [("contact", 1000), ("lost contact", 100), ("unresolved contact", 300), ("complaint", 10)],
)
def test_each_unit_is_counted_over_the_open_days(per, units):
    line = {"name": "x", "class": "internal failure", "per": per, "cost": 2, "share": 0.1}
    assert found([line]).total == pytest.approx(units * 250 * 2 * 0.1)


def test_a_scenario_spares_the_failures_and_adds_its_own_cost():
    """9 of 10 complaints a day remain: 1 x 250 x 500 spared, 1,000 spent."""
    answer = found([COURT, PEOPLE])
    scenario = answer.best
    assert answer.total == pytest.approx(10 * 250 * 500 + 30_000)
    assert row(answer, scenario, "court", "change")["estimate"] == pytest.approx(-125_000)
    assert row(answer, scenario, OWN_COST, "change")["estimate"] == 1000
    assert row(answer, scenario, "prevention", "level")["estimate"] == 1000
    assert row(answer, scenario, "quality team", "change")["note"] == "nothing moves it"
    assert answer.change == pytest.approx(-124_000)


def test_revenue_is_no_cost_of_quality():
    """What a higher price brings was taken off the running cost: 1,000 spent, 600 brought in."""
    earning = played(running_cost=400.0, revenue=np.array([[0.0] * 2, [600.0] * 2]))
    answer = found([COURT], earning)
    assert row(answer, answer.best, OWN_COST, "level")["estimate"] == 1000


def test_the_own_cost_may_stand_in_another_class():
    answer = found([COURT], scenario_class="appraisal")
    assert row(answer, answer.best, "appraisal", "level")["estimate"] == 1000
    assert row(answer, answer.best, "prevention", "level")["estimate"] == 0
    assert "counted as appraisal" in answer.sentence()


def test_classes_are_the_sum_of_their_lines_in_every_scenario():
    costs = [COURT, PEOPLE, COURT | {"name": "refunds", "cost": [5, 20, 90], "share": 0.4}]
    table = found(costs, played(draws=50)).table
    level = table[table["kind"].eq("level")]
    for _, rows in level.groupby("scenario"):
        by_class = rows[rows["part"].eq("line")].groupby("class")["estimate"].sum()
        for name, total in by_class.items():
            said = rows[rows["part"].eq("class") & rows["name"].eq(name)]["estimate"].item()
            assert total == pytest.approx(said)


def test_scenarios_share_the_draws_of_a_unit_cost():
    """Nothing changes: with draws of their own, the change would be noise about zero."""
    rehearsal = played(draws=200, change=(0, 0, 0, 0), running_cost=0.0)
    answer = found([COURT | {"cost": [100, 500, 2000]}], rehearsal)
    assert answer.high > answer.low
    assert (answer.change, answer.change_low, answer.change_high) == (0, 0, 0)


def test_a_measured_cost_comes_from_the_rehearsal():
    rehearsal = played(draws=5)
    yearly = yearly_costs(rehearsal, [COURT | {"cost": "measured"}], rng=np.random.default_rng(0))
    assert yearly.money[0, 0].tolist() == (10 * 250 * rehearsal.cost).tolist()
    assert yearly.saving[1].tolist() == (250 * rehearsal.cost).tolist()


def test_without_lines_complaints_stand_alone_and_the_sentence_says_so():
    answer = found([])
    assert answer.lines == 1
    assert "No line was given for prevention, appraisal and internal failure" in answer.sentence()


def test_the_sentence_says_the_answer_in_its_first_line():
    answer = found([COURT, PEOPLE], sales=[4e6, 5e6, 7e6])
    first = answer.sentence().splitlines()[0]
    assert len(first) <= 220
    assert "1.28 million EUR" in first and "98% of it failures" in first
    assert "changes by -124.00 thousand EUR" in first
    assert "of sales" in answer.sentence()


def test_a_dearer_scenario_is_not_called_a_saving():
    answer = found([COURT], played(change=(0, 0, 0, 1.0)))
    assert "No scenario lowers it" in answer.sentence()


def test_one_scenario_alone_has_nothing_to_compare():
    alone = played()
    alone.scenarios = alone.scenarios[:1]
    for name in ("level", "change", "running_cost", "revenue"):
        setattr(alone, name, getattr(alone, name)[:1])
    answer = found([COURT], alone)
    assert answer.best == "" and "With" not in answer.sentence().splitlines()[0]
    answer.plot()
    plt.close("all")


def test_the_picture_shows_each_scenario_and_the_total():
    answer = found([COURT, PEOPLE])
    ax = answer.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["as is", "better $ < 🙂"]
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(2 * 1_280_000 - 124_000)
    assert "EUR a year" in ax.get_xlabel().replace("\n", " ")
    plt.close("all")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class": "external"}, "class is 'external'"),
        ({"class": None}, "class is None"),
        ({"cost": -5}, "cost is -5"),
        ({"cost": "much"}, "cost is 'much'"),
        ({"share": 1.2}, "share is 1.2"),
        ({"share": [0.1, -0.2, 0.3]}, "share is"),
        ({"per": "complaints"}, "did you mean 'complaint'"),
        ({"per": "contact", "cost": "measured"}, "only the cost of a complaint is measured"),
        ({"per_year": 3}, "either an amount a year or"),
        ({"price": 3}, "unknown part 'price'"),
        ({"name": " "}, "has no name"),
    ],
)
def test_a_line_that_makes_no_sense_is_a_problem(change, words):
    with pytest.raises(Problem, match=words):
        read_costs([COURT | change])


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ([COURT, COURT], "Two costs are called 'court'"),
        ("court", "The costs are 'court'"),
        (["court"], "has no name"),
        ([{"name": "x", "class": "appraisal"}], "either an amount a year or"),
        ([{"name": "x", "class": "appraisal", "per": "complaint"}], "says no amount"),
        ([PEOPLE | {"share": 0.5}], "has a 'share' too"),
        ([PEOPLE | {"per_year": -1}], "per_year is -1"),
    ],
)
def test_lines_that_make_no_sense_are_a_problem(costs, words):
    with pytest.raises(Problem, match=words):
        read_costs(costs)


@pytest.mark.parametrize("sales", [0, -5, [0, 1, 2], "many"])
def test_sales_have_to_be_above_zero(sales):
    with pytest.raises(Problem, match=r"[Ss]ales (are|is)"):
        found([COURT], sales=sales)


def test_money_needs_a_currency_and_the_draws_their_rehearsal():
    rehearsal = played()
    yearly = yearly_costs(rehearsal, [COURT], rng=np.random.default_rng(1))
    with pytest.raises(Problem, match="no currency"):
        quality_costs(rehearsal, yearly, currency="")
    with pytest.raises(Problem, match="another rehearsal"):
        quality_costs(played(draws=3), yearly, currency="EUR")
    with pytest.raises(Problem, match="no `rng`"):
        quality_costs(rehearsal, yearly, currency="EUR", sales=[1, 2, 3])


def test_units_that_were_not_rehearsed_are_refused():
    with pytest.raises(Refusal, match="not rehearsed"):
        found([COURT], played(measures=("a", "b", "c", "d")))
    blank = played()
    blank.level[:, :, 2] = np.nan
    with pytest.raises(Refusal, match="is not known"):
        found([COURT | {"per": "unresolved contact"}], blank)


def test_combinations_have_letters_in_the_picture_and_names_in_words():
    one, other = Scenario("first-contact resolution"), Scenario("training")
    both = Scenario("first-contact resolution + training", together=(one, other))
    rehearsal = played()
    rehearsal.scenarios = (Scenario("as is"), one, other, both)
    for name in ("level", "change", "running_cost", "revenue"):
        of = getattr(rehearsal, name)
        setattr(rehearsal, name, np.concatenate([of, of[1:], of[1:]]))
    rehearsal.change[3] *= 3
    rehearsal.level[3] = rehearsal.level[0] + rehearsal.change[3]
    answer = found([COURT], rehearsal)
    first = answer.sentence().splitlines()[0]
    assert "With first-contact resolution + training it changes by -" in first
    shown = [label.get_text() for label in answer.plot().get_yticklabels()]
    assert shown == ["as is", "a: first-contact resolution", "b: training", "a + b"]
    plt.close("all")
