"""Is the usual level the one that the field's models give, and do its limits hold what they say?"""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.usual_level import adjusted, limits, normal_scores, open_days, predicted, usual_level

WEEKS = pd.date_range("2022-01-03", periods=160, freq="7D")
DAYS = pd.date_range("2024-01-01", periods=200, freq="D")


def _negative_binomial(rng, mean, extra, shape):
    return rng.poisson(mean * rng.gamma(1 / extra, extra, shape)).astype(float)


def _series(value, periods=None, **columns):
    periods = WEEKS[: len(value)] if periods is None else periods
    return pd.DataFrame(
        {"data": "count", "period": periods, "n": 1.0, "value": np.asarray(value, float)} | columns
    )


def test_counts_of_days_agree_with_a_quasi_poisson_regression_of_statsmodels():
    rng = np.random.default_rng(1)
    value = rng.poisson(np.where(DAYS.day_of_week > 4, 8.0, 20.0)).astype(float)
    usual = usual_level(value, periods=DAYS, trend=True)
    years = ((DAYS - usual.middle) / pd.Timedelta(days=1)).to_numpy() / 365.25
    dummies = np.column_stack([DAYS.day_of_week == i for i in range(1, 7)]).astype(float)
    design = np.column_stack([np.ones(len(DAYS)), years, dummies])
    theirs = sm.GLM(value, design, family=sm.families.Poisson()).fit(scale="X2")
    assert usual.down_weighted == 0
    assert usual.terms == ("level", "trend", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    assert usual.coefficients == pytest.approx(theirs.params, abs=1e-7)
    assert usual.dispersion == pytest.approx(theirs.scale, rel=1e-6)


def test_shares_with_a_season_agree_with_a_binomial_regression_of_statsmodels():
    rng = np.random.default_rng(2)
    turn = 2 * np.pi * WEEKS.day_of_year.to_numpy() / 365.25
    cases = np.full(160, 80.0)
    value = rng.binomial(80, 1 / (1 + np.exp(1.5 - 0.4 * np.cos(turn)))).astype(float)
    usual = usual_level(value, periods=WEEKS, data="share", n=cases, season=1)
    design = np.column_stack([np.ones(160), np.cos(turn), np.sin(turn)])
    theirs = sm.GLM(np.column_stack([value, cases - value]), design, family=sm.families.Binomial())
    if usual.down_weighted == 0:
        assert usual.coefficients == pytest.approx(theirs.fit().params, abs=1e-7)
    assert usual.terms == ("level", "season 1 cos", "season 1 sin")
    mean, variance = predicted(usual, WEEKS, n=cases)
    assert mean.sum() == pytest.approx(value.sum(), rel=0.01)
    assert (variance > mean * (1 - mean / 80)).all()  # the error of the level is in it


def test_scores_are_the_mid_p_values_of_scipys_laws():
    mean, variance, counts = 6.0, 15.0, np.arange(0, 25.0)
    law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    theirs = stats.norm.ppf(law.cdf(counts - 1) + law.pmf(counts) / 2)
    assert normal_scores(counts, mean, variance) == pytest.approx(theirs, abs=1e-8)
    share = stats.betabinom(50, 2.0, 8.0)
    theirs = stats.norm.ppf(share.cdf(np.arange(30) - 1) + share.pmf(np.arange(30)) / 2)
    ours = normal_scores(np.arange(30.0), share.mean(), share.var(), n=np.full(30, 50.0))
    assert ours == pytest.approx(theirs, abs=1e-8)
    exact = normal_scores(20.0, 10.0, 9.98, n=4_999.0)  # by the sum of chances
    smooth = normal_scores(20.0, 10.0, 9.98, n=5_001.0)  # by the smooth law
    assert smooth == pytest.approx(exact, abs=0.12)


def test_limits_are_the_last_counts_that_do_not_signal():
    mean, variance = np.array([0.3, 4.0, 90.0]), np.array([0.3, 6.0, 400.0])
    low, high = limits(mean, variance)
    assert (normal_scores(high, mean, variance) <= 3).all()
    assert (normal_scores(high + 1, mean, variance) > 3).all()
    assert (normal_scores(low, mean, variance) >= -3).all()
    assert low[0] == low[1] == 0 and normal_scores(low[2] - 1, 90.0, 400.0) < -3


@pytest.mark.parametrize(("mean", "extra", "n"), [(5, 1e-6, 30), (30, 0.1, 30), (8, 0.05, 104)])
def test_steady_counts_pass_the_limits_about_as_often_as_stated(mean, extra, n):
    value = _negative_binomial(np.random.default_rng(3), mean, extra, (3000, n + 4))
    usual = usual_level(value[:, :n], periods=WEEKS[:n])
    expected, variance = predicted(usual, WEEKS[n : n + 4])
    degrees = np.where(usual.extra > 0, usual.degrees, np.inf)[:, None]
    z = normal_scores(value[:, n:], expected, variance, degrees=degrees)
    assert 0.0010 < (np.abs(z) > 3).mean() < 0.0042  # 0.0027, counts being coarse
    assert 0.024 < (np.abs(z) > 2).mean() < 0.055  # 0.0455


def test_an_outbreak_of_the_past_does_not_hide_the_next():
    value = np.tile([9.0, 10.0, 11.0], 20)
    value[20:24] = 60.0
    usual = usual_level(value, periods=WEEKS[:60])
    plain = value.mean()
    assert usual.down_weighted == 4
    assert np.exp(usual.coefficients[0]) < 11.5 < plain


def test_weeks_with_holidays_are_expected_to_hold_less():
    calendar = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"), holidays=("2022-04-14",) * 1)
    assert open_days(WEEKS[14:16], calendar=calendar).tolist() == [4.0, 5.0]
    drawn = adjusted(_series(np.tile([19.0, 20.0, 21.0], 10)), calendar=calendar)
    thin, full = drawn.loc[14, "centre"], drawn.loc[15, "centre"]
    assert thin / full == pytest.approx(4 / 5)
    assert (drawn["low"] <= drawn["rate"]).all() and (drawn["rate"] <= drawn["high"]).all()


def test_closed_days_are_not_judged_and_immature_ones_not_either():
    value = np.where(DAYS.day_of_week > 4, 5.0, 20.0)
    calendar = Calendar(holidays=("2024-05-01",))
    series = _series(value, DAYS, mature=DAYS[190] > DAYS)
    drawn = adjusted(series, calendar=calendar)
    assert drawn.loc[drawn["z"].isna(), "period"].tolist() == [
        pd.Timestamp("2024-05-01"),
        *DAYS[190:],
    ]
    assert drawn.loc[0, "centre"] == pytest.approx(20) and drawn.loc[5, "centre"] == pytest.approx(
        5
    )


def test_a_share_is_drawn_as_a_share():
    series = _series(np.tile([9.0, 10.0, 11.0], 10)).assign(data="share", n=100.0)
    drawn = adjusted(series)
    assert drawn.loc[0, "centre"] == pytest.approx(0.1, abs=1e-9)
    assert 0 < drawn.loc[0, "low"] < 0.09 and 0.11 < drawn.loc[0, "high"] < 0.25


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda s: s.assign(period=[WEEKS[0], *WEEKS[:39]]), Problem, "twice"),
        (
            lambda s: s.assign(period=[*WEEKS[:39], WEEKS[39] + pd.Timedelta(days=2)]),
            Problem,
            "even",
        ),
        (lambda s: s.assign(value=0.0), Refusal, "no event"),
        (lambda s: s.iloc[:3], Refusal, "3 periods"),
        (lambda s: s.assign(value=-1.0), Problem, "negative"),
        (lambda s: s.assign(data="share"), Problem, "more events than cases"),
        (lambda s: s.assign(data="share", n=0.0, value=0.0), Refusal, "0 periods"),
        (lambda s: s.assign(data="mean"), Problem, "'mean'"),
        (lambda s: s.iloc[:0], Refusal, "no period"),
    ],
)
def test_bad_input_ends_in_words(change, error, said):
    with pytest.raises(error, match=said):
        adjusted(change(_series(np.full(40, 10.0))))


def test_a_season_needs_two_years():
    with pytest.raises(Refusal, match="season"):
        adjusted(_series(np.full(60, 10.0)), season=2)
    with pytest.raises(Problem, match="Holidays"):
        usual_level(np.full(60, 10.0), periods=WEEKS[:60], holidays=["2022-01-06"])
