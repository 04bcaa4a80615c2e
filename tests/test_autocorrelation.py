"""Neighbouring weeks: closed forms against sums, and what was put in is learnt."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.autocorrelation import (
    correlations_of,
    needed_ratio,
    persistence,
    power_of,
    variance_of_change,
    variance_of_mean,
    weeks_of,
)
from sqm.checks import Problem, Refusal


def panel(means, first="2025-01-06"):
    sites, weeks = means.shape
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{i}" for i in range(sites)], weeks),
            "period": np.tile(pd.date_range(first, periods=weeks, freq="7D"), sites),
            "n": 10,
            "mean": means.ravel(),
        }
    )


@pytest.mark.parametrize("r", [-0.4, 0.0, 0.3, 0.9])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (5, 3), (39, 13)])
def test_the_closed_forms_are_the_sums(r, before, after):
    covariance = correlations_of(np.arange(before + after), r)
    weight = np.r_[np.full(before, -1 / before), np.full(after, 1 / after)]
    assert variance_of_change(before, after, r) == pytest.approx(weight @ covariance @ weight)
    part = covariance[:before, :before]
    assert variance_of_mean(before, r) == pytest.approx(part.mean())


def test_what_was_put_in_is_learnt_without_bias():
    """Least squares would say 0.30 for 0.5 on 20 weeks; the restricted likelihood does not."""
    rng = np.random.default_rng(4)
    chance = rng.normal(size=(400, 20))
    values = np.empty_like(chance)
    values[:, 0] = chance[:, 0]
    for week in range(1, 20):
        values[:, week] = 0.5 * values[:, week - 1] + np.sqrt(0.75) * chance[:, week]
    shared = 3 * rng.normal(size=20)
    found = persistence(
        values + shared + rng.normal(size=(400, 1)), shared=True, draws=400, rng=rng
    )
    assert found.correlation == pytest.approx(0.5, abs=0.03)
    assert found.variance == pytest.approx(1.0, abs=0.05)
    assert np.quantile(found.correlations, 0.01) < 0.5 < np.quantile(found.correlations, 0.99)


def test_a_week_that_is_missing_is_a_gap_and_not_a_neighbour():
    rng = np.random.default_rng(5)
    chance, whole = rng.normal(size=(300, 60)), np.empty((300, 60))
    whole[:, 0] = chance[:, 0]
    for week in range(1, 60):
        whole[:, week] = 0.8 * whole[:, week - 1] + 0.6 * chance[:, week]
    at = np.arange(0, 60, 2)  # neighbours here are two weeks apart and correlate 0.64
    assert persistence(whole[:, at], at=at, draws=9, rng=rng).correlation == pytest.approx(
        0.8, abs=0.03
    )
    assert persistence(whole[:, at], draws=9, rng=rng).correlation == pytest.approx(0.64, abs=0.03)


@pytest.mark.parametrize(("degrees", "power"), [(4, 0.8), (10, 0.9), (22.5, 0.8)])
def test_the_ratio_needed_gives_the_power(degrees, power):
    ratio = needed_ratio(np.array([degrees]), power=power, confidence=0.95)
    assert power_of(ratio, degrees, confidence=0.95) == pytest.approx(power, abs=0.002)


def test_the_power_is_that_of_many_tests():
    rng = np.random.default_rng(6)
    x = rng.normal(2.5 / np.sqrt(6), 1, (20_000, 6))
    t = x.mean(axis=1) / (x.std(axis=1, ddof=1) / np.sqrt(6))
    seen = (t > stats.t.ppf(0.975, 5)).mean()
    assert power_of(2.5, 5, confidence=0.95) == pytest.approx(seen, abs=0.01)


def test_sites_with_gaps_and_weeks_that_one_lacks_are_left_out():
    whole = panel(np.random.default_rng(1).normal(size=(4, 30)))
    gone = (whole["site"] == "S0") & (whole["period"] > "2025-05-01")
    gone |= (whole["site"] == "S1") & (whole["period"] == "2025-02-03")
    found = weeks_of(whole[~gone])
    assert found.sites == ("S1", "S2", "S3")
    assert (found.sites_left_out, found.weeks_left_out) == (1, 1)
    assert 4 not in found.at


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda p: p.drop(columns="n"), Refusal, "no column 'n'"),
        (lambda p: p[p["period"] < "2025-02-20"], Refusal, "weeks in common"),
        (lambda p: p.assign(mean=1.0), Refusal, "same in every week"),
        (lambda p: p.assign(mean="1"), Problem, "does not hold numbers"),
        (lambda p: p.assign(period=p["period"].astype("str")), Problem, "does not hold dates"),
        (lambda p: pd.concat([p, p.head(1)]), Problem, "twice"),
    ],
)
def test_a_panel_that_cannot_be_used_is_named(change, kind, match):
    with pytest.raises(kind, match=match):
        weeks_of(change(panel(np.random.default_rng(1).normal(size=(3, 20)))))
