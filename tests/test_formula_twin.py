"""A service whose every hour is a steady queue, and one that is not, beside the formulas."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.checks import Problem
from sqm.methods.formula_twin import formula_twin, ratio_limits
from sqm.queue_formulas import erlang_a, erlang_c, waiting_longer
from sqm.service_model import learn


@pytest.fixture(scope="module")
def service():
    log, staffing = make_log(3, weeks=20)
    return learn(log, staffing=staffing, calendar=CALENDAR)


@pytest.fixture(scope="module")
def found(service):
    return formula_twin(service, limit_s=120, weeks=100, rng=np.random.default_rng(1))


def _row(found, quantity, group, formula):
    table = found.table
    match = table["quantity"].eq(quantity) & table["group"].eq(group)
    return table[match & table["formula"].eq(formula)].squeeze()


def _even(service, *, per_hour, service_s, leave_rate, agents):
    """The same service without any of what sets it apart from a steady queue but its evenings."""
    arrivals, pool = service.arrivals, service.pool
    counts = np.broadcast_to(
        per_hour * arrivals.site_days[..., None], arrivals.counts.shape
    ).astype(float)
    rng = np.random.default_rng(0)
    return replace(
        service,
        arrivals=replace(arrivals, counts=counts, spread=(0.0, 0.0, 0.0), strength=np.inf),
        pool=replace(pool, service_s=service_s * rng.exponential(1, len(pool.service_s)), pace=0.0),
        roster=replace(service.roster, agents=np.full_like(service.roster.agents, agents)),
        outcome=np.array([[1.0, leave_rate]]),
    )


def test_each_hour_is_the_formula_s_own(service):
    even = _even(service, per_hour=40, service_s=200, leave_rate=1 / 500, agents=3)
    found = formula_twin(even, limit_s=60, weeks=20, rng=np.random.default_rng(0))
    pool = even.pool
    means = [
        pool.service_s[a : a + n.sum()].mean()
        for a, n in zip(pool.start[:, 0], pool.size, strict=True)
    ]
    rates = [(40 / 3600, 1 / mean, 3) for mean in means]
    exact = [erlang_a(*each, abandon_rate=1 / 500) for each in rates]
    name = "Erlang A by the hour"
    for site, queue, each in zip(("N1", "S1"), exact, rates, strict=True):
        row = _row(found, "mean_wait_s", site, name)
        assert row["predicted"] == pytest.approx(queue.mean_wait)
        assert row["load"] == pytest.approx(each[0] / each[1])
        longer = waiting_longer(*each, than=60, abandon_rate=1 / 500)
        assert _row(found, "waited_longer", site, name)["predicted"] == pytest.approx(longer)
        assert _row(found, "abandoned", site, name)["predicted"] == pytest.approx(queue.p_abandon)
        plain = erlang_c(*each).mean_wait
        row = _row(found, "mean_wait_s", site, "Erlang C by the hour")
        assert row["predicted"] == pytest.approx(plain)
    assert found.predicted == pytest.approx(np.mean([each.mean_wait for each in exact]))


def test_short_services_are_near_a_steady_queue_and_long_ones_are_not(service):
    # services of 20 s: a day of four hours is soon as steady as its formula says
    short = _even(service, per_hour=400, service_s=20, leave_rate=1 / 60, agents=3)
    best = short.best()
    patience = replace(best, patience_shape=np.ones(1), patience_s=np.full(1, 60.0))
    object.__setattr__(short, "best", lambda: patience)
    found = formula_twin(short, weeks=20, rng=np.random.default_rng(0))
    assert found.low * 0.97 < found.predicted < found.high * 1.03
    # services of half an hour: the day is half over before the queue has filled
    long = _even(service, per_hour=5, service_s=1800, leave_rate=1 / 7200, agents=3)
    found = formula_twin(long, weeks=60, rng=np.random.default_rng(0))
    assert found.predicted > found.high
    assert found.lagged < found.predicted  # the lag knows that the day begins empty
    assert f"{found.predicted / found.estimate - 1:.0%} higher" in found.sentence()


def test_the_parts_of_the_difference_add_up_and_are_told(found):
    parts = [
        found.estimate - found.alike,
        found.alike - found.exponential,
        found.exponential - found.predicted,
    ]
    assert sum(parts) == pytest.approx(found.estimate - found.predicted)
    said = found.sentence()
    for part in parts:
        assert f"{part:+.1f} s" in said
    first = said.splitlines()[0]
    assert f"{found.predicted:.1f} s" in first and f"{found.low:.1f} to {found.high:.1f}" in first
    assert len(first) <= 220


def test_days_that_differ_wait_longer():
    log, staffing = make_log(4, weeks=20, cv=0.4)
    uneven = learn(log, staffing=staffing, calendar=CALENDAR)
    found = formula_twin(uneven, weeks=100, rng=np.random.default_rng(1))
    assert found.day_variation > 0.25
    assert found.estimate - found.alike > 2 * found._noise()


def test_the_table_is_tidy(found, service):
    table = found.table
    assert set(table["kind"]) == {"all", "site", "hour of the week"}
    assert not table.duplicated(["quantity", "group", "formula"]).any()
    assert table.loc[table["predicted"].isna(), "note"].str.len().gt(0).all()
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()
    good = table["predicted"].notna() & table["estimate"].gt(0)
    ratio = table["predicted"] / table["estimate"]
    np.testing.assert_allclose(table.loc[good, "ratio"], ratio[good])
    assert found.patience_s == pytest.approx(
        service.outcome[:, 0].sum() / service.outcome[:, 1].sum()
    )


def test_a_load_above_the_agents_is_refused_where_nobody_leaves(service):
    full = _even(service, per_hour=60, service_s=200, leave_rate=1 / 500, agents=3)  # load 3.3
    found = formula_twin(full, weeks=20, rng=np.random.default_rng(0))
    assert found.overloaded == pytest.approx(1)
    for formula in ("Erlang C by the hour", "Allen-Cunneen by the hour (approximation)"):
        row = _row(found, "mean_wait_s", "all", formula)
        assert np.isnan(row["predicted"]) and "100%" in row["note"]
    assert np.isfinite(found.predicted) and "100% of customers" in found.sentence()
    endless = replace(full, outcome=np.array([[1.0, 0.0]]))
    found = formula_twin(endless, weeks=20, rng=np.random.default_rng(0))
    assert found.formula == "Erlang C" and np.isnan(found.predicted) and np.isnan(found.patience_s)
    assert "No formula holds" in found.sentence() and "nobody ever left" in found.sentence()
    found.plot()
    plt.close("all")


def test_hours_with_nobody_on_duty_are_left_out_and_told(service):
    agents = service.roster.agents.copy()
    agents[:, 0, 1] = 0
    holes = replace(service, roster=replace(service.roster, agents=agents))
    found = formula_twin(holes, weeks=20, rng=np.random.default_rng(0))
    assert 0.05 < found.unstaffed < 0.2
    assert f"The {found.unstaffed:.1%} who come when nobody is on duty" in found.sentence()
    assert "nobody is on duty" in _row(found, "mean_wait_s", "N1", "Erlang A by the hour")["note"]


def test_many_weeks_are_played_in_parts(service, monkeypatch):
    monkeypatch.setattr("sqm.methods.formula_twin.CUSTOMERS_AT_ONCE", 3000)
    parts = formula_twin(service, weeks=100, rng=np.random.default_rng(1))
    monkeypatch.undo()
    whole = formula_twin(service, weeks=100, rng=np.random.default_rng(2))
    assert parts.predicted == whole.predicted
    noise = np.hypot(parts.high - parts.low, whole.high - whole.low) / 2
    assert abs(parts.estimate - whole.estimate) < 2 * noise


def test_the_same_seed_gives_the_same_table(found, service):
    again = formula_twin(service, limit_s=120, weeks=100, rng=np.random.default_rng(1))
    pd.testing.assert_frame_equal(found.table, again.table)


def test_it_draws_every_open_hour(found):
    ax = found.plot(plt.figure().subplots())
    hours = found.table.loc[found.table["kind"].eq("hour of the week"), "group"].nunique()
    assert hours == 20  # five days of four hours
    assert [len(line.get_xdata()) for line in ax.lines] == [hours] * 3
    assert ax.get_title().endswith("?") and "(s)" in ax.get_ylabel()
    plt.close("all")


def test_a_ratio_without_customers_is_missing():
    estimate, _, _ = ratio_limits(np.zeros((1, 5)), np.zeros((1, 5)), 0.95)
    assert np.isnan(estimate[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"limit_s": 0}, "limit_s is 0"), ({"weeks": 3}, "too few"), ({"confidence": 95}, "95")],
)
def test_impossible_settings_are_a_problem(service, settings, words):
    with pytest.raises(Problem, match=words):
        formula_twin(service, rng=np.random.default_rng(0), **settings)
