"""A staged roll-out: the closed form, brute force, balance, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.autocorrelation import correlations_of
from sqm.checks import Problem, Refusal
from sqm.methods.rollout import (
    _errors,
    hussey_hughes_variance,
    rollout_power,
    stepped_wedge,
)


def panel(sites=12, weeks=40, seed=1, level=1.0):
    rng = np.random.default_rng(seed)
    means = level * rng.normal(size=(sites, 1)) + rng.normal(size=(sites, weeks))
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{i:02d}" for i in range(sites)], weeks),
            "period": np.tile(pd.date_range("2025-01-06", periods=weeks, freq="7D"), sites),
            "n": np.repeat(np.arange(sites) * 10 + 20, weeks),
            "mean": means.ravel(),
        }
    )


def planned(data, **settings):
    usual = {"steps": 4, "first_day": "2026-01-12"}
    return stepped_wedge(data, **usual | settings, rng=np.random.default_rng(3))


def brute(changed, covariance):
    """Generalised least squares with every site, week and the change laid out."""
    sites, periods = changed.shape
    design = np.column_stack([np.tile(np.eye(periods), (sites, 1)), changed.ravel()])
    inverse = np.kron(np.eye(sites), np.linalg.inv(covariance))
    return np.linalg.inv(design.T @ inverse @ design)[-1, -1]


WEDGE = (np.array([1, 1, 2, 2, 3, 3])[:, None] <= np.arange(4)).astype(float)


@pytest.mark.parametrize(("within", "between"), [(1.0, 0.5), (0.3, 4.0), (2.0, 0.0)])
def test_the_closed_form_is_generalised_least_squares(within, between):
    covariance = between + within * np.eye(4)
    found = hussey_hughes_variance(WEDGE, within=within, between=between)
    assert found == pytest.approx(brute(WEDGE, covariance))


@pytest.mark.parametrize("r", [0.0, 0.4, -0.2])
def test_neighbouring_weeks_are_allowed_for(r):
    weeks = np.repeat(WEDGE, 3, axis=1)
    covariance = 0.7 + 1.5 * correlations_of(np.arange(12), r)
    found = _errors(weeks, np.array([[r, 1.5, 0.7]]))[0]
    assert found**2 == pytest.approx(brute(weeks, covariance))


def test_without_likeness_of_weeks_periods_and_weeks_say_the_same():
    """A mean of three unlike weeks holds all that the three do."""
    weeks = np.repeat(WEDGE, 3, axis=1)
    found = _errors(weeks, np.array([[0.0, 1.5, 0.7]]))[0]
    closed = hussey_hughes_variance(WEDGE, within=0.5, between=0.7)
    assert found**2 == pytest.approx(closed)


def test_every_site_changes_once_and_steps_are_even():
    plan = planned(panel(sites=10))
    grid = plan.table[list(plan.periods)].to_numpy()
    assert (np.diff(grid, axis=1) >= 0).all()
    assert grid[:, 0].sum() == 0
    assert (grid[:, -1] == 1).all()
    assert sorted(plan.table["step"].value_counts()) == [2, 2, 3, 3]
    assert plan.periods == ("2026-01-12", "2026-02-09", "2026-03-09", "2026-04-06", "2026-05-04")
    assert plan.last_day == "2026-05-31"
    first = plan.table["changes_on"] == plan.table["step"].map(lambda s: plan.periods[s])
    assert first.all()


def test_the_order_is_better_balanced_than_usual_and_still_drawn():
    data = panel()
    regions = {site: "north" if i < 6 else "south" for i, site in enumerate(data["site"].unique())}
    plans = [
        stepped_wedge(
            data, steps=3, first_day="2026-01-12", regions=regions, rng=np.random.default_rng(seed)
        )
        for seed in range(8)
    ]
    assert all(plan.imbalance < 0.7 * plan.usual_imbalance for plan in plans)
    assert len({tuple(plan.table["site"]) for plan in plans}) == 8
    by_step = plans[0].table.groupby("step")["region"].value_counts()
    assert by_step.max() <= 3
    assert "size, baseline, region" in plans[0].sentence()


def test_imbalance_is_the_share_between_steps():
    plan = planned(panel())
    shares = []
    for trait in ("n", "baseline"):
        values = plan.table[trait]
        between = values.groupby(plan.table["step"]).transform("mean")
        shares.append(between.var() / values.var())
    assert plan.imbalance == pytest.approx(np.mean(shares))


@pytest.fixture(scope="module")
def found():
    data = panel(weeks=100)
    return rollout_power(
        data, planned(data).table, effect=0.9, measure_name="wait", unit="min",
        rng=np.random.default_rng(4),
    )  # fmt: skip


def test_the_smallest_effect_is_that_of_what_was_put_in(found):
    step = np.repeat([1, 2, 3, 4], 3)
    weeks = (step[:, None] <= np.repeat(np.arange(5), 4)).astype(float)
    error = _errors(weeks, np.array([[0.0, 1.0, 1.0]]))[0]
    assert found.low < 3.11 * error < found.high  # Student's with 10 degrees: 2.228 + 0.88
    assert found.correlation == pytest.approx(0.0, abs=0.08)
    assert found.hussey_hughes == pytest.approx(error, rel=0.1)


def test_designs_stand_in_order_and_the_sentence_says_the_first(found):
    assert found.table["design"].tolist() == [
        "stepped wedge", "half of the sites at once", "all sites at once",
    ]  # fmt: skip
    first = found.sentence().splitlines()[0]
    assert f"{found.smallest:.3f} min (95% interval" in first
    assert "80% power" in first
    assert len(first) <= 220
    assert "promise that nothing else moves" in found.sentence()


def test_a_simulated_roll_out_has_the_power(found):
    """Generalised least squares on simulated sites and weeks, with the truth's covariance."""
    rng = np.random.default_rng(5)
    step = np.repeat([1, 2, 3, 4], 3)
    weeks = (step[:, None] <= np.repeat(np.arange(5), 4)).astype(float)
    covariance = 1.0 + correlations_of(np.arange(20), 0.0)
    apart = weeks - weeks.mean(axis=0)
    inverse = np.linalg.inv(covariance)
    root = np.linalg.cholesky(covariance)
    y = rng.normal(size=(4000, 12, 20)) @ root.T + found.smallest * weeks
    estimate = np.einsum("ij,jk,rik->r", apart, inverse, y) / (inverse * (apart.T @ apart)).sum()
    error = _errors(weeks, np.array([[0.0, 1.0, 1.0]]))[0]
    assert (np.abs(estimate) / error > 2.228).mean() == pytest.approx(0.8, abs=0.07)


def test_few_sites_are_warned_of():
    data = panel(sites=5)
    plan = planned(data, steps=2)
    assert "permutation test" in plan.sentence()
    power = rollout_power(
        data, plan.table, effect=1.0, measure_name="wait", rng=np.random.default_rng(1)
    )
    assert "rough allowance" in power.sentence()


def test_they_draw(found):
    ax = planned(panel()).plot()
    assert len(ax.get_yticks()) == 12
    plt.close("all")
    ax = found.plot()
    assert "min" in ax.get_xlabel()
    plt.close("all")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"steps": 1}, "steps is 1"),
        ({"steps": 13}, "steps is 13"),
        ({"weeks_per_step": 0}, "weeks_per_step is 0"),
        ({"first_day": "soon"}, "soon"),
        ({"regions": {"S00": "north"}}, "has no region"),
    ],
)
def test_a_plan_that_makes_no_sense_is_a_problem(settings, match):
    with pytest.raises(Problem, match=match):
        planned(panel(), **settings)


def test_three_sites_are_refused():
    with pytest.raises(Refusal, match="4 sites"):
        planned(panel(sites=3), steps=2)
