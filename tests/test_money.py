"""Amounts as sentences write them, and limits of draws against their definition."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem
from sqm.money import amount, limits, need_currency, on_axis, spell_money


@pytest.mark.parametrize("missing", ["", "  ", None])
def test_money_without_a_currency_is_a_problem(missing):
    with pytest.raises(Problem, match="no currency"):
        need_currency(missing)


def test_a_further_draw_lies_between_the_limits_as_often_as_said():
    """99 draws: positions 5 and 95 of 100 gaps leave 90 of them between."""
    low, high = limits(np.arange(1.0, 100.0)[::-1], confidence=0.9)
    assert (low, high) == (pytest.approx(5), pytest.approx(95))


def test_limits_go_along_the_last_axis_and_few_draws_give_their_ends():
    low, high = limits(np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]), confidence=0.95)
    assert low.tolist() == [1, 5]
    assert high.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (9_999, "9,999 EUR"),
        (10_000, "10.0 thousand EUR"),
        (123_456, "123 thousand EUR"),
        (-2_500_000, "-2.50 million EUR"),
        (0.0, "0 EUR"),
        (1.5e9, "1,500 million EUR"),
    ],
)
def test_amounts_read_well(value, words):
    assert amount(value, currency="EUR") == words


def test_an_interval_shares_the_unit_of_its_largest_limit():
    words = spell_money(9_000, -2_000, 20_000, confidence=0.95, currency="EUR")
    assert words == "9 thousand EUR (95% interval -2 to 20)"
    words = spell_money(900, 800, 1_000, confidence=0.95, currency="CHF")
    assert words == "900 CHF (95% interval 800 to 1,000)"


def test_a_long_axis_is_written_in_millions():
    _, ax = plt.subplots()
    ax.set_xlim(-500_000, 3_000_000)
    assert on_axis(ax.xaxis, currency="EUR") == "million EUR"
    assert ax.xaxis.get_major_formatter()(1_500_000, 0) == "1.5"
    plt.close("all")
