"""What-ifs against sums done by hand on a service of four customers."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from four_customers import at, chance, fit, logistic, play

from sqm.checks import Problem
from sqm.methods.what_if import what_if


@pytest.fixture(scope="module")
def found():
    return what_if(play(), currency="EUR")


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
    assert f"Against {as_is:,.0f} complaints a year as it is, more does most" in found.sentence()
    assert f"{-spared:+,.0f} (95% interval {-spared:+,.0f} to" in found.sentence()
    assert "takes agents as a sample" in found.sentence()


def test_better_resolution_works_through_served_contacts_alone(found):
    by_hand = (2 * chance(60, 0.9) + chance(120, 0.9) + logistic(-3 + 0.5 * 3 + 2)) / 4
    assert at(found, "better", "complaint_rate") == pytest.approx(by_hand)
    assert at(found, "better", "resolved") == pytest.approx(0.9)
    assert at(found, "better", "mean_wait_s", "change") == 0


def test_resolution_is_never_more_than_all():
    found = what_if(play([{"name": "wish", "resolution_points": 0.9}]), currency="EUR")
    assert at(found, "wish", "resolved") == pytest.approx(1)


def test_the_error_of_the_gate_widens_waits():
    rough = SimpleNamespace(
        open=True, wait_error=0.2, abandon_error=0.0, contacts_error=0.0, sentence=lambda: ""
    )
    widened = what_if(play(gate=rough, draws=400), currency="EUR")
    row = widened.table.iloc[0]
    assert row["measure"] == "mean_wait_s"
    # lognormal with sigma 0.2: limits 105 * exp(±1.96 * 0.2)
    assert row["low"] == pytest.approx(105 * np.exp(-0.392), rel=0.08)
    assert row["high"] == pytest.approx(105 * np.exp(0.392), rel=0.08)
    assert "less what chance explains of it (20%)" in widened.sentence()


def test_money_needs_a_currency():
    with pytest.raises(Problem, match="currency"):
        what_if(play(), currency=" ")


def test_coefficients_bring_their_uncertainty():
    """Only the intercept is uncertain: with rare complaints their number is lognormal."""
    drivers = fit({"(intercept)": -7.0}, 0.09)
    found = what_if(play(drivers=drivers, draws=2000), currency="EUR")
    row = found.table[found.table["measure"].eq("complaints_per_year")].iloc[0]
    assert np.log(row["high"] / row["low"]) == pytest.approx(2 * 1.96 * 0.3, rel=0.06)


def test_the_picture_has_a_row_for_each_scenario(found):
    figure, axes = plt.subplots()
    assert found.plot(axes).get_title() == "What would each scenario do to complaints?"
    assert len(axes.get_yticks()) == 3
    plt.close(figure)


def test_combinations_are_told_apart_by_letters_and_named_in_full_in_the_table():
    rehearsal = play(combinations=True)
    found = what_if(rehearsal, currency="EUR")
    assert found.combinations == 4 and len(found.labels) == 7
    assert found.labels[:2] == ("a: more", "b: faster") and found.labels[-1] == "a + b + c"
    assert set(found.table["scenario"]) >= {"more + faster", "more + faster + better"}
    assert "as it is, more + better does most" in found.sentence().split("\n")[0]
    assert "(and 4 combinations, in the table)" in found.sentence()
    figure, axes = plt.subplots()
    found.plot(axes)
    assert [each.get_text() for each in axes.get_yticklabels()] == list(found.labels)
    plt.close(figure)


def test_the_first_line_is_short_and_holds_the_saving(found):
    first = found.sentence().split("\n")[0]
    assert len(first) <= 220 and f"{found.saving:,.0f} EUR ({found.low:,.0f} to" in first


def test_the_variance_saved_is_stated():
    """Four customers who never vary have none to save."""
    rehearsal = play()
    assert what_if(rehearsal, currency="EUR").table["variance_saved"].isna().all()
    rehearsal.variance_saved[:] = [[np.nan], [8.2], [40.1], [8.2]]
    found = what_if(rehearsal, currency="EUR")
    assert "own variance of the change in complaints 8 to 40 times smaller" in found.sentence()


def test_more_is_better_for_some_measures():
    found = what_if(play([{"name": "better", "resolution_points": 0.2}]), currency="EUR")
    table = found.table[found.table["kind"].eq("change")].set_index("measure")
    assert table.loc["resolved", "chance_better"] == 1
    assert table.loc["complaints_per_year", "chance_better"] == 1
    assert np.isnan(table.loc["contacts_per_year", "chance_better"])
    assert table.loc["agent_hours_per_year", "unit"] == "hours"
