"""The worth of an investment against annuities, closed forms and sums done by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.business_case import (
    business_case,
    cash_flows,
    internal_rate,
    payback_years,
    present_value,
)
from sqm.scenario import Scenario

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "money_and_decision.json").read_text(encoding="utf-8")
)


def played(draws, investment=(0.0,), running_cost=(0.0,), names=("as is", "better", "other")):
    """The service as it is and one scenario for each investment."""
    nothing = np.zeros((1, draws))
    return SimpleNamespace(
        scenarios=tuple(Scenario(name) for name in names[: len(investment) + 1]),
        investment=np.vstack([nothing, *(np.full((1, draws), each) for each in investment)]),
        running_cost=np.vstack([nothing, *(np.full((1, draws), each) for each in running_cost)]),
        revenue=np.zeros((len(investment) + 1, draws)),
    )


def case_of(savings, rehearsal, confidence=0.9, **more):
    saving = np.vstack([np.zeros(len(savings[0])), *savings])
    settings = {"years": 5, "discount_rate": 0.08, "rng": np.random.default_rng(1)} | more
    flows = cash_flows(rehearsal, saving, **settings)
    return business_case(rehearsal, flows, currency="EUR", confidence=confidence)


def row(finding, quantity, scenario="better"):
    table = finding.table
    return table[table["scenario"].eq(scenario) & table["quantity"].eq(quantity)].iloc[0]


def test_the_published_definitions_are_met():
    case = REFERENCE["npv_irr_payback"]
    given, expected, close = case["input"], case["expected"], {"rel": case["tolerance"]}
    flows = np.array([-given["investment"], *[given["yearly_saving"]] * given["years"]], float)
    assert present_value(flows, given["rate"]) == pytest.approx(expected["npv"], **close)
    assert internal_rate(flows) == pytest.approx(expected["irr"], **close)
    assert payback_years(flows) == pytest.approx(expected["payback_years"], **close)
    annuity = present_value(np.array([0.0, 1, 1, 1, 1, 1]), given["rate"])
    assert annuity == pytest.approx(expected["annuity_factor"], **close)
    answer = case_of([np.full(50, 30_000.0)], played(50, (100_000.0,)))
    assert row(answer, "return_on_investment")["estimate"] == pytest.approx(expected["roi"])
    assert answer.net_present_value == pytest.approx(expected["npv"], **close)
    assert (answer.low, answer.high) == (
        pytest.approx(expected["npv"]),
        pytest.approx(expected["npv"]),
    )


def test_uncertain_savings_pay_as_often_as_the_closed_form_says():
    case = REFERENCE["roi_lognormal_product"]
    given, expected, n = case["input"], case["expected"], 100_000
    rng = np.random.default_rng(3)
    saving = np.ones(n)
    for name in ("volume", "unit_cost", "effect"):
        part = given[name]
        saving *= part["median"] * np.exp(part["sigma"] * rng.standard_normal(n))
    answer = case_of(
        [saving], played(n, (given["investment"],)), years=1, discount_rate=0.0, confidence=0.9
    )
    chance = expected["p_pays_back"]
    assert answer.chance == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n))
    mean = answer.net_present_value + given["investment"]
    assert mean == pytest.approx(expected["mean"], abs=4 * saving.std() / np.sqrt(n))
    assert answer.low + given["investment"] == pytest.approx(expected["q05"], rel=0.01)
    assert answer.high + given["investment"] == pytest.approx(expected["q95"], rel=0.01)
    ratio = row(answer, "benefit_over_cost")["estimate"] * given["investment"]
    assert ratio == pytest.approx(expected["median"], rel=0.01)


def test_at_the_internal_rate_the_present_value_is_nothing():
    rng = np.random.default_rng(2)
    flows = np.column_stack([-rng.uniform(1, 400, 500), rng.uniform(0, 60, (500, 7))])
    rates = internal_rate(flows)
    assert present_value(flows, rates) == pytest.approx(np.zeros(500), abs=1e-7)
    assert (rates < 0).any() and (rates > 0).any()
    assert ((present_value(flows, 0.1) > 0) == (rates > 0.1)).all()


@pytest.mark.parametrize(
    ("flows", "rate"),
    [
        ([-100, 0, 0, 0], -1.0),  # nothing comes back
        ([-100, -5, -5, -5], -1.0),
        ([0, 10, 10, 10], np.inf),  # nothing is spent
        ([-100, 300, -250, 10], np.nan),  # the sign changes three times
        ([100, -60, -60, 0], np.nan),  # earned first, spent later
        ([0, 0, 0, 0], np.nan),
        ([-100, 50, 0, 0], -0.5),
        ([0, -100, 0, 121], 0.1),  # the beginning may be put off
    ],
)
def test_a_rate_is_given_where_there_is_just_one(flows, rate):
    assert internal_rate(np.array(flows, float)) == pytest.approx(rate, nan_ok=True)


@pytest.mark.parametrize(
    ("flows", "years"),
    [
        ([0, 10, 10], 0.0),
        ([0, 0, 0], 0.0),
        ([-10, 10, 10], 1.0),
        ([-10, 4, 3], np.inf),
        ([-10, 20, -15, 10], 2.5),  # in the red again after the second year
        ([0, -4, 8], 1.5),
        ([-10, 20, -30, 5], np.inf),
    ],
)
def test_payback_is_when_the_sum_is_made_good_for_good(flows, years):
    assert payback_years(np.array(flows, float)) == pytest.approx(years)


def test_ramp_up_growth_and_the_share_that_comes_stand_in_the_flows():
    """100 x 0.8: half of it in year 1, then 10 % more each year; 7 a year and 50 at first."""
    rehearsal = played(2, (50.0,), (7.0,))
    flows = cash_flows(
        rehearsal, np.array([[0.0, 0.0], [100.0, 100.0]]), years=3, discount_rate=0.05,
        growth=0.1, ramp_up=0.5, realised=0.8, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert flows.net[1, 0].tolist() == pytest.approx([-50, 40 - 7, 88 - 7, 96.8 - 7])
    assert flows.net[0].tolist() == [[0] * 4] * 2
    by_hand = -50 + 33 / 1.05 + 81 / 1.05**2 + 89.8 / 1.05**3
    assert flows.present_value[1] == pytest.approx([by_hand, by_hand])


def test_revenue_is_a_benefit_and_comes_in_full_at_once():
    """30 of revenue stand in a running cost of 10 as 40 - 30."""
    rehearsal = played(2, (0.0,), (10.0,))
    rehearsal.revenue[1] = 30.0
    flows = cash_flows(
        rehearsal, np.array([[0.0, 0.0], [100.0, 100.0]]), years=2, discount_rate=0.0,
        growth=0.1, ramp_up=0.5, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert flows.benefit[1, 0].tolist() == pytest.approx([0, 50 + 30, 110 + 33])
    assert flows.spent[1, 0].tolist() == [0, 40, 40]


def test_each_draw_keeps_its_rate_for_all_scenarios():
    flows = cash_flows(
        played(300, (50.0, 50.0), (0.0, 0.0)), np.full((3, 300), 20.0), years=3,
        discount_rate=[0.0, 0.05, 0.2], realised=[0.2, 0.9, 1.1], rng=np.random.default_rng(1),
    )  # fmt: skip
    assert flows.present_value[1].tolist() == flows.present_value[2].tolist()
    assert flows.present_value[1].std() > 1
    assert flows.realised.mean() == pytest.approx(2.2 / 3, abs=0.05)


def test_never_paying_back_is_told_as_a_share_of_the_draws():
    """Of 100 draws, 40 save nothing; the others 50 a year of 100."""
    answer = case_of([np.repeat([0.0, 50.0], [40, 60])], played(100, (100.0,)))
    payback = row(answer, "payback")
    assert payback["estimate"] == 2.0
    assert np.isnan(payback["high"])
    assert payback["note"] == "not within 5 years in 40.0% of the draws"
    assert row(answer, "chance_never_pays_back")["estimate"] == 0.4
    assert "2.0 years (2.0 to never)" in answer.sentence()
    assert answer.chance == 0.6


def test_more_likely_never_than_ever_is_said():
    answer = case_of([np.repeat([0.0, 500.0], [60, 40])], played(100, (100.0,)))
    assert np.isnan(answer.payback_years)
    assert "payback more likely than not later than 5 years" in answer.sentence()


def test_without_any_cost_it_pays_from_the_first_day_and_has_no_rate():
    answer = case_of([np.full(100, 10.0)], played(100))
    assert answer.payback_years == 0
    assert "from the first day" in answer.sentence()
    for quantity in ("internal_rate_of_return", "benefit_over_cost", "return_on_investment"):
        assert np.isnan(row(answer, quantity)["estimate"])
    assert "nothing is spent first" in row(answer, "internal_rate_of_return")["note"]
    assert "it costs nothing" in row(answer, "benefit_over_cost")["note"]
    assert row(answer, "break_even_share")["estimate"] == 0


def test_what_brings_nothing_is_not_called_a_case():
    answer = case_of([np.zeros(100)], played(100, (100.0,)))
    assert "no scenario is expected to pay" in answer.sentence()
    assert "under 4%" in answer.sentence()
    assert row(answer, "internal_rate_of_return")["estimate"] == -1
    assert "it brings nothing" in row(answer, "break_even_share")["note"]


def test_the_sentence_names_the_best_and_says_its_conventions():
    rng = np.random.default_rng(5)
    savings = [rng.normal(40_000, 9_000, 400), rng.normal(20_000, 2_000, 400)]
    answer = case_of(savings, played(400, (100_000.0, 10_000.0), (0.0, 0.0)))
    first, rest = answer.sentence().split("\n")
    assert len(first) <= 220
    assert answer.best == "other" and "Over 5 years other is worth most" in first
    assert "better: " in rest and "without inflation" in rest and "400 draws" in rest
    worth = row(answer, "net_present_value", "other")
    assert worth["estimate"] == pytest.approx(savings[1].mean() * 3.99271 - 10_000, rel=1e-5)


def test_the_picture_shows_the_worth_of_each_scenario():
    savings = [np.full(50, 40.0), np.full(50, 1.0)]
    ax = case_of(savings, played(50, (100.0, 10.0), (0.0, 0.0))).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["better", "other"]
    assert "net present value over 5 years, EUR" in ax.get_xlabel().replace("\n", " ")
    plt.close("all")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"years": 0}, "years is 0"),
        ({"years": 2.5}, "years is 2.5"),
        ({"discount_rate": 8}, "discount_rate is 8"),
        ({"discount_rate": [0.05, -0.01, 0.1]}, "discount_rate is"),
        ({"ramp_up": 1.5}, "ramp_up is 1.5"),
        ({"growth": -1.0}, "growth is -1.0"),
        ({"realised": "most"}, "realised is 'most'"),
    ],
)
def test_parameters_that_make_no_sense_are_problems(setting, words):
    with pytest.raises(Problem, match=words):
        case_of([np.ones(10)], played(10), **setting)


def test_the_saving_has_to_be_of_this_rehearsal_and_without_blanks():
    rng = np.random.default_rng(1)
    settings = {"years": 1, "discount_rate": 0.0, "rng": rng}
    with pytest.raises(Problem, match="shape"):
        cash_flows(played(10), np.ones((2, 9)), **settings)
    with pytest.raises(Problem, match="blanks"):
        cash_flows(played(10), np.full((2, 10), np.nan), **settings)
    flows = cash_flows(played(10), np.ones((2, 10)), **settings)
    with pytest.raises(Problem, match="another rehearsal"):
        business_case(played(9), flows, currency="EUR")
    with pytest.raises(Problem, match="no currency"):
        business_case(played(10), flows, currency=" ")


def test_the_service_as_it_is_alone_has_no_case():
    alone = played(10, (), ())
    flows = cash_flows(
        alone, np.zeros((1, 10)), years=1, discount_rate=0.0, rng=np.random.default_rng(1)
    )
    with pytest.raises(Refusal, match="No scenario"):
        business_case(alone, flows, currency="EUR")


def test_of_many_scenarios_the_best_five_are_told_and_combinations_have_letters():
    one = [Scenario(f"improvement {name}") for name in "abcde"]
    both = Scenario(f"{one[0].name} + {one[1].name}", together=tuple(one[:2]))
    rehearsal = played(50, [10.0] * 6, [0.0] * 6)
    rehearsal.scenarios = (Scenario("as is"), *one, both)
    answer = case_of([np.full(50, 10.0 * w) for w in range(1, 7)], rehearsal)
    assert answer.labels[-2:] == ("e: improvement e", "a + b")
    first, rest = answer.sentence().splitlines()
    assert "Over 5 years improvement a + improvement b is worth most" in first
    assert "(the best 5 of 6; the rest is in the table): improvement a + improvement b: " in rest
    assert "improvement b: " in rest and "; improvement a: " not in rest
    assert [each.get_text() for each in answer.plot().get_yticklabels()] == list(answer.labels)
    plt.close("all")
