"""The best mix against sums done by hand on four sets of improvements."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.best_mix import best_mix
from sqm.scenario import Scenario

DRAWS = 10


AS_IS, A, B = map(Scenario, ("as is", "A", "B"))
BOTH = Scenario("A + B", together=(A, B))
# net saving by draw: A is 30 always; B is 60 in six draws and 0 in four; together 50 or 25
BRINGS = np.array([[0.0] * 10, [30.0] * 10, [60.0] * 6 + [0.0] * 4, [50.0] * 6 + [25.0] * 4])
INVESTED = np.array([[0.0] * 10, [10.0] * 10, [20.0] * 9 + [50.0], [30.0] * 9 + [60.0]])
RUNNING = np.array([[0.0], [5.0], [5.0], [10.0]]) * np.ones(DRAWS)


def played(worlds=(AS_IS, A, B, BOTH), rows=(0, 1, 2, 3), **changed):
    rows = list(rows)
    complaints = -(BRINGS + RUNNING)[rows] / 250 / 4
    given = {
        "scenarios": tuple(worlds),
        "measures": ("complaints_per_day", "defects: soon"),
        "change": np.stack([complaints, 0 * complaints], axis=2),
        "level": np.stack([complaints, 0.1 - BRINGS[rows] / 1000], axis=2),
        "cost": np.full(DRAWS, 4.0),
        "open_days_per_year": 250.0,
        "running_cost": RUNNING[rows],
        "investment": INVESTED[rows],
        "revenue": 0 * INVESTED[rows],
        "defects": (SimpleNamespace(name="soon", target=0.06),),
    }
    return SimpleNamespace(**(given | changed))


def row(found, name):
    return found.table.set_index("set").loc[name]


def test_benefit_is_the_cost_of_complaints_spared_less_the_running_cost():
    table = best_mix(played(), budget=100, currency="EUR").table.set_index("set")
    assert table["estimate"].to_dict() == pytest.approx({"as is": 0, "A": 30, "B": 36, "A + B": 40})
    assert table["cost"].to_dict() == pytest.approx({"as is": 0, "A": 15, "B": 28, "A + B": 43})


def test_the_largest_expected_benefit_is_chosen_and_its_doubt_by_hand():
    found = best_mix(played(), budget=100, currency="EUR")
    assert (found.best, found.runner_up) == ("A + B", "B")
    # in six draws B has 60 and in four A has 30: both together never lead
    assert found.chance_best == 0
    assert row(found, "B")["chance_best"] == pytest.approx(0.6)
    assert row(found, "A")["chance_best"] == pytest.approx(0.4)
    # 60 - 50 in six draws and 30 - 25 in four
    assert found.expected_loss == pytest.approx(0.6 * 10 + 0.4 * 5)
    assert found.ahead == pytest.approx(4)


def test_no_choice_loses_less_than_the_one_with_the_largest_mean():
    table = best_mix(played(), budget=100, currency="EUR").table
    assert table["expected_loss"].idxmin() == table["estimate"].idxmax()
    # loss + benefit is the same for all: the mean of the largest
    assert np.ptp(table["expected_loss"] + table["estimate"]) == pytest.approx(0)


def test_a_set_must_be_payable_with_the_chance_that_is_asked_for():
    # B needs 25 in nine draws and 55 in one: payable from 30 with a chance of 0.9
    found = best_mix(played(), budget=30, currency="EUR", sure=0.9)
    assert row(found, "B")["affordable_chance"] == pytest.approx(0.9)
    assert row(found, "B")["budget_needed"] == 25
    assert found.best == "B"
    assert best_mix(played(), budget=30, currency="EUR", sure=0.95).best == "A"
    assert row(found, "A + B")["note"] == "beyond the budget"
    assert np.isnan(row(found, "A + B")["chance_best"])


def test_revenue_adds_to_the_benefit_but_not_to_the_budget():
    # the running cost of B is handed over less a revenue of 10: what must be paid stays 25
    revenue = np.array([[0.0], [0.0], [10.0], [0.0]]) * np.ones(DRAWS)
    given = played(revenue=revenue, running_cost=RUNNING - revenue)
    found = best_mix(given, budget=30, currency="EUR")
    assert row(found, "B")["budget_needed"] == 25
    assert row(found, "B")["estimate"] == pytest.approx(36 + 10)


def test_without_money_nothing_is_done_and_it_says_so():
    found = best_mix(played(), budget=0, currency="EUR")
    assert (found.best, found.affordable, found.runner_up) == ("as is", 1, "")
    assert "leave the service as it is" in found.sentence().splitlines()[0]


def test_what_does_not_pay_is_not_done():
    loses = np.vstack([np.zeros((1, DRAWS)), np.full((3, DRAWS), -5.0)])
    found = best_mix(played(), budget=100, currency="EUR", benefit=loses)
    assert found.best == "as is"
    assert found.chance_best == 1


def test_the_interaction_is_the_whole_less_its_parts():
    found = best_mix(played(), budget=100, currency="EUR", confidence=0.9)
    # 50 - 30 - 60 in six draws, 25 - 30 - 0 in four
    both = row(found, "A + B")
    assert both["interaction"] == pytest.approx(0.6 * -40 + 0.4 * -5)
    assert (both["interaction_low"], both["interaction_high"]) == pytest.approx((-40, -5))
    assert np.isnan(row(found, "A")["interaction"])
    assert "Beyond the sum of their parts: A + B -26 (-40 to -5)" in found.sentence()


def test_the_frontier_leaves_out_what_costs_more_and_brings_less():
    worse = np.array([[0.0], [30.0], [20.0], [40.0]]) * np.ones(DRAWS)
    table = best_mix(played(), budget=100, currency="EUR", benefit=worse).table.set_index("set")
    assert table["on_frontier"].to_dict() == {"as is": True, "A": True, "B": False, "A + B": True}


def test_combinations_that_were_not_played_are_named_and_not_made_up():
    found = best_mix(played((AS_IS, A, B), (0, 1, 2)), budget=100, currency="EUR")
    assert found.best == "B"
    assert found.not_played == ("A + B",)
    assert "1 combination was not played and cannot be the answer: A + B" in found.sentence()
    assert "Nothing is known of how improvements work together" in found.sentence()
    whole = best_mix(played(), budget=100, currency="EUR")
    assert whole.missing == 0
    assert "not played" not in whole.sentence()


def test_the_chance_of_each_target_is_that_of_the_chosen_set():
    # defects 0.1 - 0.06 in six draws of B, 0.1 in four: at most 0.06 with a chance of 0.6
    found = best_mix(played(), budget=30, currency="EUR")
    assert row(found, "B")["chance: soon"] == pytest.approx(0.6)
    assert "Chance of each target with it: soon 60 %" in found.sentence()


def test_the_first_line_says_budget_set_and_interval():
    first = best_mix(played(), budget=30, currency="EUR").sentence().splitlines()[0]
    assert first == (
        "With 30 EUR in the first year, B is the best set: net saving a year 36 EUR"
        " (95% interval 0 to 60)."
    )


def test_what_makes_no_sense_is_told():
    for budget in (-1, float("nan"), "much", True):
        with pytest.raises(Problem, match="budget is"):
            best_mix(played(), budget=budget, currency="EUR")
    with pytest.raises(Problem, match="no currency"):
        best_mix(played(), budget=1, currency=" ")
    with pytest.raises(Problem, match="4 by 10"):
        best_mix(played(), budget=1, currency="EUR", benefit=np.zeros((2, 10)))
    with pytest.raises(Problem, match="some are missing"):
        best_mix(played(), budget=1, currency="EUR", benefit=BRINGS * np.nan)
    with pytest.raises(Refusal, match="No improvement"):
        best_mix(played((AS_IS,), (0,)), budget=1, currency="EUR")


def test_ties_go_to_the_first_and_names_may_hold_anything():
    odd = (AS_IS, Scenario("$a$ <b>"), Scenario("成本 🙂"))
    same = np.vstack([np.zeros((1, DRAWS)), np.full((2, DRAWS), 7.0)])
    found = best_mix(played(odd, (0, 1, 1)), budget=100, currency="EUR", benefit=same)
    assert found.best == "$a$ <b>"
    assert found.chance_best == 1
    found.plot(plt.figure().gca()).figure.canvas.draw()
    plt.close("all")


def test_it_is_drawn_with_frontier_and_budget_and_letters():
    ax = best_mix(played(), budget=30, currency="EUR").plot(plt.figure().gca())
    assert ax.get_title().endswith("?")
    assert "EUR" in ax.get_xlabel() and "a: A; b: B" in ax.get_xlabel().replace("\u00a0", " ")
    assert [each.get_text() for each in ax.get_legend().get_texts()] == [
        "best that a budget buys",
        "within the budget",
        "beyond it",
        "budget",
    ]
    assert {text.get_text() for text in ax.texts} == {"as is", "a", "b", "a + b"}
    assert [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"] == ["b"]
    plt.close("all")


def test_what_lies_far_beyond_the_budget_is_named_below_the_picture():
    found = best_mix(played(), budget=16, currency="EUR")  # both together need 40
    ax = found.plot(plt.figure().gca())
    assert {text.get_text() for text in ax.texts} == {"as is", "a", "b"}
    assert "beyond 2 times the budget: a + b" in ax.get_xlabel()
    assert ax.get_xlim()[1] < 40
    plt.close("all")


def test_without_combinations_the_names_stand_beside_the_marks():
    ax = best_mix(played((AS_IS, A, B), (0, 1, 2)), budget=30, currency="EUR").plot(
        plt.figure().gca()
    )
    assert {text.get_text() for text in ax.texts} == {"as is", "A", "B"}
    assert "a: A" not in ax.get_xlabel()
    plt.close("all")


def test_a_long_combination_does_not_read_like_one_of_its_parts():
    one, other = Scenario("A" * 60), Scenario("B" * 60)
    both = Scenario(f"{one.name} + {other.name}", together=(one, other))
    first = best_mix(played((AS_IS, one, other, both)), budget=100, currency="EUR").sentence()
    assert f"{'A' * 43}… + {'B' * 43}… is the best set" in first.splitlines()[0]
