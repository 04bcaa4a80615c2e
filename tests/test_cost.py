"""Costs by hand, and their intervals against simulated truths."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods import cost
from sqm.methods.cost import complaint_cost


def _cases(costs, *, every_days=1, closed=None):
    opened = pd.Timestamp("2025-01-06 10:00") + pd.to_timedelta(
        np.arange(len(costs)) * every_days, unit="D"
    )
    closed = opened + pd.Timedelta(days=3) if closed is None else closed
    return pd.DataFrame({"cost": np.array(costs, dtype=float), "opened": opened, "closed": closed})


def _found(cases, **changes):
    given = {"currency": "EUR", "rng": np.random.default_rng(1)} | changes
    return complaint_cost(cases, **given)


def test_by_hand():
    # 200 days, 10 and 30 in turn: mean 20, total 4,000, 365.25 * 4,000 / 200 = 7,305 a year
    found = _found(_cases([10, 30] * 100))
    assert (found.mean, found.total, found.days, found.without_cost) == (20, 4000, 200, 0)
    assert found.annual == found.annual_all == pytest.approx(7305)
    # standard error 10 / sqrt(200) = .707: 18.6 to 21.4
    assert (found.low, found.high) == pytest.approx((18.6, 21.4), abs=0.15)
    assert found.half_share == pytest.approx(67 / 200)  # 67 * 30 = 2,010 is the first half


def test_the_table_holds_the_currency_and_the_same_numbers():
    found = _found(_cases([10, 30] * 100), currency="MXN")
    table = found.table.set_index("quantity")
    assert table["unit"].tolist() == ["MXN", "MXN", "MXN a year", "MXN a year"]
    row = table.loc["mean cost of a closed complaint"]
    assert (row["estimate"], row["low"], row["high"]) == (found.mean, found.low, found.high)
    assert np.isnan(table.loc["recorded costs in all", "low"])
    assert found.sentence().count("MXN") == 3


def test_open_complaints_with_a_cost_are_in_the_total_alone_and_blanks_are_counted():
    cases = _cases([10.0] * 98 + [1000.0, np.nan])
    cases.loc[98:, "closed"] = pd.NaT
    found = _found(cases)
    assert (found.mean, found.closed, found.total) == (10, 98, 1980)
    assert (found.complaints, found.without_cost) == (100, 1)
    assert found.annual == pytest.approx(365.25 * 1980 / 100)
    assert found.annual_all == pytest.approx(365.25 * 1990 / 100)  # the blank costs the mean
    assert "1 of 100 complaints have no cost yet" in found.sentence()


def test_without_a_column_of_closing_every_cost_counts():
    found = _found(_cases([10, 20] * 60).drop(columns="closed"))
    assert (found.mean, found.closed) == (15, 120)


def test_few_weeks_give_a_mean_but_no_year():
    found = _found(_cases([10, 20] * 6))
    assert found.mean == 15 and np.isnan(found.annual) and np.isnan(found.annual_high)
    assert "no yearly sum is given: the data cover 2 weeks where 13 are needed" in found.sentence()


def test_complaints_without_a_date_give_a_mean_but_no_year():
    cases = _cases([10, 20] * 6)
    cases["opened"] = pd.Series(pd.NaT, index=cases.index, dtype="datetime64[us]")
    found = _found(cases)
    assert found.mean == 15 and np.isnan(found.annual) and found.days == 0


def test_one_case_can_hold_half_the_money_and_no_money_has_no_half():
    assert _found(_cases([1.0] * 99 + [99.0])).half_share == pytest.approx(0.01)
    free = _found(_cases([0.0] * 100))
    assert np.isnan(free.half_share) and free.low == free.high == 0
    assert "hold half" not in free.sentence()
    plt.close(free.plot(plt.figure().subplots()).figure)


def test_equal_costs_have_no_spread():
    found = _found(_cases([7.0] * 150))
    assert found.low == found.mean == found.high == 7


@pytest.mark.parametrize(
    ("costs", "message"),
    [([5, -3, 4], "1 negative or infinite costs .first rows: 1"), ([5, np.inf, 4], "infinite")],
)
def test_costs_below_nothing_are_a_problem(costs, message):
    with pytest.raises(Problem, match=message):
        _found(_cases(costs))


def test_words_a_missing_column_and_no_currency_are_problems():
    cases = _cases([5, 6])
    with pytest.raises(Problem, match="holds '5 EUR', no amount"):
        _found(cases.assign(cost=["5 EUR", "6 EUR"]))
    with pytest.raises(Problem, match="did you mean 'costs'"):
        _found(cases.rename(columns={"cost": "costs"}))
    with pytest.raises(Problem, match="no currency"):
        _found(cases, currency=" ")


@pytest.mark.parametrize("costs", [[], [np.nan, np.nan], [5, np.nan]])
def test_less_than_two_costs_are_refused(costs):
    with pytest.raises(Refusal, match=r"usable rows? where a mean needs 2"):
        _found(_cases(costs))


def test_the_same_seed_gives_the_same_bytes_however_much_is_drawn_at_once(monkeypatch):
    cases = _cases(np.random.default_rng(2).lognormal(3, 1, 300))
    one = _found(cases)
    monkeypatch.setattr(cost, "AT_ONCE", 1000)
    pd.testing.assert_frame_equal(one.table, _found(cases).table)


def test_bca_is_that_of_scipy():
    from scipy import stats

    paid = np.random.default_rng(6).lognormal(3, 1, 60)
    want = stats.bootstrap((paid,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1))
    _, low, high = cost._mean(paid, 0.95, 20_000, np.random.default_rng(2))
    assert (low, high) == pytest.approx(tuple(want.confidence_interval), rel=0.02)


def test_the_mean_and_the_year_cover_the_truth():
    """Lognormal costs (sigma 1); weeks that are busy or not; 40 weeks of about 40 complaints."""
    rng = np.random.default_rng(9)
    mean, hits, yearly, runs = np.exp(0.5), 0, 0, 150
    for _ in range(runs):
        counts = rng.poisson(40 * rng.gamma(25, 1 / 25, 40))
        week = np.repeat(np.arange(40), counts)
        days = pd.to_timedelta(7 * week + rng.integers(0, 7, len(week)), unit="D")
        cases = pd.DataFrame(
            {"cost": rng.lognormal(0, 1, len(week)), "opened": pd.Timestamp("2025-01-06") + days}
        )
        found = _found(cases, rng=rng, resamples=300)
        hits += found.low <= mean <= found.high
        yearly += found.annual_low <= 40 / 7 * 365.25 * mean <= found.annual_high
    assert 0.88 < hits / runs <= 1 and 0.88 < yearly / runs <= 1


def test_the_picture_names_the_currency_and_draws_the_interval():
    found = _found(_cases(np.random.default_rng(2).lognormal(3, 1, 300)))
    ax = found.plot(plt.figure().subplots())
    assert "EUR" in ax.get_xlabel() and ax.get_xscale() == "log"
    assert ax.lines[0].get_xdata() == pytest.approx([found.low, found.high])
    assert sum(found.counts) == 300
    plt.close(ax.figure)
