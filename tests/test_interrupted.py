"""Interrupted series: published figures, identities, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import GLS

from sqm.autocorrelation import correlations_of
from sqm.checks import Problem, Refusal
from sqm.interrupted import (
    CORRELATIONS,
    combined,
    fits_of,
    fits_of_counts,
    groups_of,
    interrupted,
    quasi_poisson,
    step_of,
)

WEEKS = pd.date_range("2025-01-06", periods=30, freq="7D")
SICILY = json.loads(
    (Path(__file__).parent / "reference/its_sicily_smoking_ban.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def sicily():
    given = {
        name: np.array(each, float) for name, each in SICILY["input"].items() if name != "model"
    }
    time = np.arange(float(len(given["aces"])))
    angle = 2 * np.pi * (time + 1) / 12
    plain = np.column_stack([np.ones(len(time)), given["smokban"], time + 1])
    waves = [f(k * angle) for k in (1, 2) for f in (np.sin, np.cos)]
    return given["aces"], given["stdpop"], plain, np.column_stack([plain, *waves])


def ratio_of(found):
    half = stats.norm.ppf(0.975) * np.sqrt(found.covariance[1, 1])
    return np.exp(found.coefficients[1] + np.array([0, -half, half])).tolist()


def test_sicily_quasi_poisson(sicily):
    events, exposure, plain, seasonal = sicily
    for key, design in (("quasipoisson", plain), ("quasipoisson_seasonal", seasonal)):
        found, said = quasi_poisson(events, exposure, design), SICILY["expected"][key]
        assert ratio_of(found) == pytest.approx([said["rr"], *said["ci"]], rel=1e-5)
        assert found.dispersion == pytest.approx(said["dispersion"], rel=1e-5)


def test_sicily_poisson_trend_and_slope(sicily):
    events, exposure, plain, seasonal = sicily
    said = SICILY["expected"]
    found = quasi_poisson(events, exposure, plain)
    half = stats.norm.ppf(0.975) * np.sqrt(found.covariance[1, 1] / found.dispersion)
    limits = np.exp(found.coefficients[1] + np.array([-half, half]))
    assert limits.tolist() == pytest.approx(said["poisson"]["ci"], rel=1e-5)
    trend = np.exp(12 * quasi_poisson(events, exposure, seasonal).coefficients[2])
    assert trend == pytest.approx(said["trend_per_year_seasonal"], rel=1e-5)
    bent = np.column_stack([seasonal, plain[:, 1] * plain[:, 2]])
    found = quasi_poisson(events, exposure, bent)
    assert found.coefficients[-1] == pytest.approx(said["slope_change"]["coef"], rel=1e-5)
    error = np.sqrt(found.covariance[-1, -1])
    assert error == pytest.approx(said["slope_change"]["se"], rel=1e-5)


def test_counts_at_correlation_zero_are_the_quasi_poisson_fit(sicily):
    events, exposure, plain, _ = sicily
    fits, plainly = (
        fits_of_counts(events, exposure, plain, at=np.arange(len(events))),
        quasi_poisson(events, exposure, plain),
    )
    zero = int(np.argmin(np.abs(CORRELATIONS)))
    assert fits.coefficients[zero] == pytest.approx(plainly.coefficients, rel=1e-8)
    covariance = fits.variances[zero] * fits.inverses[zero]
    assert covariance == pytest.approx(plainly.covariance, rel=1e-6)


def test_each_correlation_is_generalised_least_squares_across_gaps():
    rng = np.random.default_rng(3)
    at = np.array([0, 1, 2, 4, 5, 6, 9, 10, 11, 12])
    design = np.column_stack([np.ones(10), at])
    y, weights = rng.normal(size=10), rng.uniform(1, 3, 10)
    fits = fits_of(y, design, at=at, weights=weights)
    for g in (20, 70):
        sizes = np.sqrt(weights.mean() / weights)
        by_gls = GLS(y, design, correlations_of(at, CORRELATIONS[g]) * np.outer(sizes, sizes)).fit()
        assert fits.coefficients[g] == pytest.approx(by_gls.params, rel=1e-8)
        covariance = fits.variances[g] * fits.inverses[g]
        assert covariance == pytest.approx(by_gls.cov_params(), rel=1e-8)


def test_one_correlation_gives_students_interval():
    """Were the correlation known, the mixture would be Student's t alone."""
    y = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 3.0])
    fits = fits_of(y, np.ones((6, 1)), at=np.arange(6))
    zero = np.abs(CORRELATIONS) == np.abs(CORRELATIONS).min()
    known = type(fits)(
        zero / zero.sum(), fits.coefficients, fits.inverses, fits.variances, fits.degrees
    )
    _, low, high = combined(known, np.ones((1, 1)), confidence=0.9)
    assert (low[0], high[0]) == pytest.approx(
        stats.t.interval(0.9, 5, y.mean(), y.std(ddof=1) / 6**0.5), rel=1e-6
    )


def panel_of(values, site="N1", weeks=WEEKS):
    return pd.DataFrame({"site": site, "period": weeks[: len(values)], "n": 50, "mean": values})


def asked(panel, change_on="2025-05-05", treated=("N1",)):
    return interrupted(
        panel,
        treated=list(treated),
        change_on=change_on,
        confidence=0.95,
        rng=np.random.default_rng(1),
    )


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(5).normal(size=30)


def test_a_step_moves_the_answer_by_the_step(noise):
    after = WEEKS >= "2025-05-05"
    plain, stepped = asked(panel_of(noise)), asked(panel_of(noise + 7.0 * after))
    for limit in ("estimate", "low", "high"):
        moved = getattr(stepped.rung, limit) - getattr(plain.rung, limit)
        assert moved == pytest.approx(7.0, abs=1e-6)
    assert stepped.step.level[0] - plain.step.level[0] == pytest.approx(7.0, abs=1e-6)
    assert stepped.placebo == pytest.approx(plain.placebo, abs=1e-9)


def test_a_mean_over_the_weeks_after_is_level_and_half_the_slope(noise):
    """13 weeks after: the mean of 0 to 12 weeks of slope is 6 slopes."""
    step = asked(panel_of(noise)).step
    after = WEEKS >= "2025-05-05"
    assert after.sum() == 13
    assert step.effect[0] == pytest.approx(step.level[0] + 6 * step.slope[0], abs=1e-9)
    lines = (step.fitted - step.expected)[after]
    assert lines.mean() == pytest.approx(step.effect[0], abs=1e-9)


def test_two_years_take_the_season_out():
    """A wave of the year that would look like a step, and no step."""
    weeks = pd.date_range("2023-01-02", periods=112, freq="7D")
    days = (weeks - weeks[0]).days.to_numpy()
    wave = 5 * np.cos(2 * np.pi * days / 365.25)
    noise = np.random.default_rng(2).normal(0, 0.1, 112)
    found = asked(panel_of(wave + noise, weeks=weeks), "2024-09-02")
    assert found.step.seasonal
    assert found.rung.low < 0 < found.rung.high
    assert found.rung.high - found.rung.low < 1
    assert "time of year" not in found.rung.check


def test_one_year_cannot_say(noise):
    found = asked(panel_of(noise)).rung
    assert "time of year cannot be told" in found.check
    assert found.passed == "cannot say"


@pytest.mark.parametrize(
    ("change_on", "words"),
    [
        ("2025-01-06", "at the first point"),
        ("2025-02-17", "Only 6 whole periods before"),
        ("2026-02-17", "No whole period lies after"),
        ("2025-07-28", "Only 1 whole period after"),
    ],
)
def test_too_few_weeks_are_refused(noise, change_on, words):
    with pytest.raises(Refusal, match=words):
        asked(panel_of(noise), change_on)


def test_bad_panels(noise):
    with pytest.raises(Refusal, match="same in every"):
        asked(panel_of(np.ones(30)))
    with pytest.raises(Problem, match="twice"):
        asked(pd.concat([panel_of(noise), panel_of(noise).head(1)]))
    with pytest.raises(Problem, match="cannot be read"):
        asked(panel_of(noise), "week 40")
    with pytest.raises(Problem, match="without end"):
        asked(panel_of(np.where(np.arange(30) == 3, np.inf, noise)))
    with pytest.raises(Refusal, match="'N9' has no whole week"):
        asked(panel_of(noise), treated=["N9"])
    with pytest.raises(Refusal, match="no common weeks"):
        groups_of(
            pd.concat([panel_of(noise), panel_of(noise, "S1", WEEKS + pd.Timedelta(weeks=60))]),
            treated=["N1"],
            change_on="2025-05-05",
            others=1,
        )


def test_a_gap_keeps_its_place(noise):
    kept = np.delete(np.arange(30), [4, 5])
    groups = groups_of(panel_of(noise).iloc[kept], treated=["N1"], change_on="2025-05-05")
    assert groups.at.tolist() == kept.tolist()


def test_a_mid_week_change_sets_that_week_aside(noise):
    groups = groups_of(panel_of(noise), treated=["N1"], change_on="2025-05-07")
    assert groups.weeks_left_out == 1
    assert len(groups.at) == 29


def test_a_busy_site_does_not_move_the_mean_by_being_busy():
    low, high = panel_of(np.zeros(30), "a"), panel_of(np.ones(30), "b")
    high["n"] = np.where(np.arange(30) % 2, 100, 200)  # 150 on average, beside 50
    both = pd.concat([low.assign(mean=np.r_[0.1, np.zeros(29)]), high])
    groups = groups_of(both, treated=["a", "b"], change_on="2025-05-05")
    assert groups.changed[1:] == pytest.approx(np.full(29, 0.75))


def test_it_covers_where_least_squares_does_not():
    """Autocorrelation 0.6 on 60 weeks: 95 % intervals of 100 series."""
    rng, n = np.random.default_rng(8), 60
    at, held = np.arange(n), 0
    periods = pd.date_range("2024-01-01", periods=n, freq="7D").to_numpy()
    series = rng.normal(size=(100, n))
    for t in range(1, n):
        series[:, t] = 0.6 * series[:, t - 1] + 0.8 * series[:, t]
    for y in series:
        found = step_of(y, at=at, periods=periods, after=at >= 30, confidence=0.95)
        held += found.effect[1] <= 0 <= found.effect[2]
    assert held > 85  # least squares holds about 70
