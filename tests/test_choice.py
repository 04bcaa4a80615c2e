"""Choices against closed forms of the normal loss, and against sums done by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.choice import best_option
from sqm.scenario import Scenario

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "money_and_decision.json").read_text(encoding="utf-8")
)


def options(*names):
    return SimpleNamespace(scenarios=tuple(Scenario(name) for name in names))


def normal_draws(mean, sd, n):
    """Evenly spread over a normal distribution: its moments without chance."""
    draws = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return mean + sd * draws / draws.std()


def normal_loss(mean, sd):
    """Expected gain over choosing by the mean, between nothing and N(mean, sd)."""
    z = abs(mean) / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


def row(finding, option, quantity):
    table = finding.table
    return table[table["option"].eq(option) & table["quantity"].eq(quantity)].iloc[0]


def choose(*benefits, names=("as is", "new", "other"), **more):
    benefit = np.array(benefits, float)
    return best_option(options(*names[: len(benefit)]), benefit, currency="EUR", **more)


def test_perfect_information_is_worth_what_the_closed_form_says():
    case = REFERENCE["evpi_normal"]
    given, expected = case["input"], case["expected"]["evpi"]
    assert normal_loss(given["mean"], given["sd"]) == pytest.approx(expected, rel=1e-9)
    even = normal_draws(given["mean"], given["sd"], 200_000)
    found = choose(np.full(len(even), given["alternative"]), even)
    assert found.perfect_information == pytest.approx(expected, rel=1e-4)
    chance = np.random.default_rng(4).normal(given["mean"], given["sd"], 4000)
    found = choose(np.zeros(4000), chance)
    assert found.perfect_low < expected < found.perfect_high
    assert found.chance == pytest.approx(stats.norm.cdf(0.5), abs=0.03)


def test_loss_and_chance_by_hand():
    """Three equal thirds: nothing best, new best (by 6), other best (by 3)."""
    found = choose(np.zeros(30), np.tile([-3.0, 9.0, 3.0], 10), np.tile([-9.0, 3.0, 6.0], 10))
    assert found.best == "new" and found.second == "as is"
    assert found.net_benefit == 3 and found.ahead == 3
    assert found.perfect_information == pytest.approx((3 + 0 + 3) / 3)
    assert row(found, "as is", "expected_loss")["estimate"] == pytest.approx((0 + 9 + 6) / 3)
    assert row(found, "other", "expected_loss")["estimate"] == pytest.approx((9 + 6 + 0) / 3)
    assert row(found, "other", "chance_best")["estimate"] == pytest.approx(1 / 3)
    assert found.losing_draws == 20


def test_losses_and_benefits_tell_the_same():
    rng = np.random.default_rng(1)
    benefit = rng.normal([[0.0], [1.0], [2.0]], [[0.0], [2.0], [3.0]], (3, 500))
    table = choose(*benefit).table.set_index(["quantity", "option"])["estimate"]
    both = table["net_benefit"] + table["expected_loss"]
    assert both.tolist() == pytest.approx([benefit.max(axis=0).mean()] * 3)
    assert table["chance_best"].sum() == pytest.approx(1)


def test_ties_share_the_chance_of_being_best():
    found = choose(np.zeros(40), np.tile([0.0, -1.0], 20))
    assert row(found, "as is", "chance_best")["estimate"] == 0.75
    assert row(found, "new", "chance_best")["estimate"] == 0.25


def test_an_option_that_another_leaves_behind_is_named():
    up = np.arange(40.0)
    found = choose(up + 1, up[::-1].copy(), up + 2)
    assert row(found, "as is", "net_benefit")["note"] == "other is at least as good in every draw"
    assert row(found, "new", "net_benefit")["note"] == "other is ahead at every quantile"
    assert row(found, "other", "net_benefit")["note"] == ""
    assert "2 options are left behind" in found.sentence()


def test_crossing_options_leave_none_behind():
    found = choose(np.zeros(40), np.linspace(-1, 5, 40))
    assert row(found, "as is", "net_benefit")["note"] == ""
    assert "left behind" not in found.sentence()


def test_the_sentence_of_a_choice_says_what_to_do():
    rng = np.random.default_rng(2)
    found = choose(np.zeros(400), rng.normal(30_000, 20_000, 400), rng.normal(9_000, 100, 400))
    first, rest = found.sentence().split("\n")
    assert len(first) <= 220
    assert first.startswith(f"Choose new: worth {found.net_benefit / 1000:.0f} thousand EUR")
    assert f"the best with chance {found.chance:.0%}" in first
    assert "no pilot of what was drawn can be worth more" in rest and "Next comes other" in rest
    assert "approximate" not in rest


def test_few_losing_draws_are_said_to_make_the_interval_rough():
    found = choose(np.zeros(100), np.r_[np.full(97, 50.0), [-1.0, -2.0, -3.0]])
    assert found.losing_draws == 3
    assert "Only in 3 draws was another option better" in found.sentence()
    assert "over" not in found.sentence().splitlines()[0]
    certain = choose(np.zeros(100), np.full(100, 50.0))
    assert (certain.perfect_information, certain.perfect_high) == (0, 0)
    assert "chance over 96%" in certain.sentence()


def test_the_picture_of_a_choice_marks_the_best():
    ax = choose(np.zeros(40), np.linspace(-1, 5, 40)).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["as is", "new"]
    assert "^" in [line.get_marker() for line in ax.lines]
    plt.close("all")


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(Refusal, match="same money in every draw"):
        choose(np.arange(50.0), np.arange(50.0))
    with pytest.raises(Refusal, match="rests on 1 draw "):
        choose([1.0], [2.0])
    with pytest.raises(Refusal, match="one option only"):
        choose(np.arange(50.0))
    with pytest.raises(Problem, match="or holds blanks"):
        choose(np.zeros(50), np.full(50, np.nan))
    with pytest.raises(Problem, match="for 2 options"):
        best_option(options("as is", "new"), np.zeros((3, 50)), currency="EUR")
    with pytest.raises(Problem, match="no currency"):
        best_option(options("as is", "new"), np.zeros((2, 50)), currency="")


def test_a_combination_is_a_letter_in_the_picture_and_whole_in_words():
    new, other = Scenario("first-contact resolution raised"), Scenario("training at all sites")
    both = Scenario(f"{new.name} + {other.name}", together=(new, other))
    rng = np.random.default_rng(2)
    benefit = np.vstack([np.zeros(400), rng.normal([[1.0], [2.0], [9.0]], 3.0, (3, 400))])
    played = SimpleNamespace(scenarios=(Scenario("as is"), new, other, both))
    found = best_option(played, 1000 * benefit, currency="EUR")
    assert found.labels == ("as is", f"a: {new.name}", f"b: {other.name}", "a + b")
    assert [each.get_text() for each in found.plot().get_yticklabels()] == list(found.labels)
    first = found.sentence().splitlines()[0]
    assert first.startswith(f"Choose {new.name} + {other.name}: worth ")
    assert len(first) <= 220
    plt.close("all")
