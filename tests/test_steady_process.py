"""Laws of steady series against their known truth, and published false-alarm rates."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm.chart_limits import charted, limits_from
from sqm.checks import Problem, Refusal
from sqm.steady_process import (
    Steady,
    alarms_of,
    drawn,
    false_alarms,
    likeness,
    redrawn,
    scores,
    steady_from,
)

REFERENCE = Path(__file__).parent / "reference"
NORMAL = Steady(
    data="mean",
    family="normal",
    level=0.0,
    between=1.0,
    within=0.0,
    shape=np.nan,
    correlation=0.0,
    periods=60,
    size=1.0,
    autocorrelation=0.0,
    autocorrelation_usual=0.2,
    memory=0.0,
    memory_usual=0.2,
    dispersion=np.nan,
    dispersion_p=np.nan,
)


def reference(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def rng(seed=1):
    return np.random.default_rng(seed)


def series(data, value, n=1.0, sd=np.nan):
    value = np.asarray(value, dtype=float)
    start = pd.date_range("2024-01-01", periods=len(value), freq="7D")
    return pd.DataFrame({"data": data, "period": start, "n": n, "value": value, "sd": sd})


def autoregression(correlation, periods, seed=1):
    return drawn(
        replace(NORMAL, correlation=correlation), np.ones(periods), simulations=1, rng=rng(seed)
    )[0]


def test_dispersion_of_wetherill_and_brown():
    case = reference("overdispersion_test_wetherill_brown")
    given, said = case["input"], case["expected"]
    shares = steady_from(series("share", given["binomial"]["x"], given["binomial"]["size"]))
    counts = steady_from(series("count", given["poisson"]["x"]))
    for found, name in ((shares, "binomial"), (counts, "poisson")):
        assert found.dispersion == pytest.approx(said[name]["ratio"], rel=1e-6)
        assert found.dispersion_p == pytest.approx(said[name]["p_value"], rel=1e-6)
    # the counts spread more than chance explains at one in ten, the shares do not
    assert (shares.family, counts.family) == ("binomial", "negative binomial")


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ("beyond 3", "three_sigma_only"),
        ("run over 9 + crossings under 24 in 60", "anhoej_runs_only"),
        ("beyond 3 + run over 9 + crossings under 24 in 60", "three_sigma_plus_anhoej"),
        ("beyond 3 + run of 8", "three_sigma_plus_run8"),
    ],
)
def test_steady_charts_of_sixty_points_signal_as_often_as_simulated_elsewhere(rules, name):
    case = reference("false_alarm_family_n60")
    every = np.ones(60, dtype=bool)
    found = false_alarms(NORMAL, np.ones(60), every, kind="xmr", rules=rules, rng=rng())
    assert found.ever == pytest.approx(case["expected"][name], abs=case["tolerance"])
    assert found.ever_low < found.ever < found.ever_high


@pytest.mark.parametrize(
    ("correlation", "name"),
    [(0.0, "normal"), (0.2, "ar1_phi02"), (0.4, "ar1_phi04"), (0.6, "ar1_phi06")],
)
def test_false_points_of_a_chart_of_400(correlation, name):
    case = reference("false_alarm_family_n60")
    law, every = replace(NORMAL, correlation=correlation), np.ones(400, dtype=bool)
    z = scores(law, np.ones(400), every, kind="xmr", simulations=1000, rng=rng())
    assert (np.abs(z) > 3).mean() == pytest.approx(case["expected"]["per_point"][name], rel=0.2)


def test_laney_is_worse_than_p_where_less_than_one_is_expected():
    case = reference("false_alarm_family_n60")["expected"]["per_point"]
    law = replace(NORMAL, data="share", family="binomial", level=0.02, between=0.0, size=20.0)
    n, every = np.full(60, 20.0), np.ones(60, dtype=bool)
    found = {
        kind: (np.abs(scores(law, n, every, kind=kind, simulations=2000, rng=rng())) > 3).mean()
        for kind in ("p", "p'")
    }
    assert found["p"] == pytest.approx(case["p_chart_n20_p02"], rel=0.1)
    assert found["p'"] == pytest.approx(case["same_laney"], rel=0.1)


def test_shewhart_run_length_by_hand():
    """1 / 0.0027 = 370.4 where limits are known: here they come from 2,000 periods."""
    base = np.arange(2000) < 2000
    found = false_alarms(
        NORMAL, np.ones(2000), base, kind="xmr", rules="beyond 3", simulations=1000, rng=rng()
    )
    assert found.run_length_low < 370.4 < found.run_length_high
    assert found.run_length_high / found.run_length_low < 1.4


def test_alarms_are_counted_where_they_fall():
    z = np.zeros((4, 6))
    z[0, 0] = z[1, 3] = z[2, 5] = 4
    found = alarms_of(z, np.arange(6) < 3, rules="beyond 3", last=2)
    # one of four before the baseline ends, two after it, one of these in the last two
    assert (found.ever, found.since, found.lately) == (0.75, 0.5, 0.25)
    assert found.per_point == 3 / 24
    # first signals after 1, 3 and never within 3: 2 in 3 + 1 + 3 + 3 periods
    assert found.run_length == pytest.approx(10 / 2)


def test_all_points_mark_back_from_the_chart_only():
    """A run over 3 that is complete only in the periods beyond the chart marks nothing on it."""
    z = np.array([[-1.0, 1, -1, 1, -1, 1, 1, 1, 1, -1]])
    base = np.arange(6) < 3
    for rules in ("run over 3", "run over 3, all points"):
        found = alarms_of(z, base, rules=rules, further=4)
        # the run of 6th to 9th is seen at the 9th, the 6th after the baseline
        assert (found.ever, found.since, found.run_length) == (0, 0, 6)
    found = alarms_of(z[:, :9], np.arange(9) < 8, rules="run over 3, all points")
    assert found.per_point == pytest.approx(4 / 9)  # on the chart all four are marked


@pytest.mark.parametrize("convention", ["mean and 3 sd", "Provost"])
def test_gaps_are_measured_by_the_sigmas_of_their_limits(convention):
    """Each series as it would be charted, whose z is 2 at limits of 2 sigmas."""
    law = replace(NORMAL, data="gap", family="geometric", level=24.0, between=0.0)
    n, base = np.ones(60), np.ones(60, dtype=bool)
    settings = {"kind": "g", "convention": convention, "simulations": 200, "sigmas": 2.0}
    z = scores(law, n, base, rng=rng(), **settings)
    value = drawn(law, n, simulations=200, rng=rng())
    rows = series("gap", value[0])
    limits = limits_from(rows, kind="g", convention=convention, sigmas=2.0)
    assert charted(rows, limits)["z"].to_numpy() == pytest.approx(z[0])
    told = false_alarms(law, n, base, rules="beyond 2", rng=rng(), **settings)
    assert told.per_point == pytest.approx((np.abs(z) > 2).mean(), rel=0.1)


def test_a_chart_of_the_baseline_alone_has_no_alarm_since():
    found = alarms_of(np.zeros((3, 6)), np.ones(6, dtype=bool), rules="beyond 3")
    assert (found.ever, found.since, found.lately) == (0, 0, 0)


@pytest.mark.parametrize(
    ("data", "make", "n", "family"),
    [
        ("share", lambda r: r.binomial(200, r.beta(9.9, 89.1, 400)), 200, "beta-binomial"),
        ("rate", lambda r: r.poisson(50 * r.gamma(4, 0.1, 400)), 50, "negative binomial"),
        ("count", lambda r: r.poisson(r.gamma(10, 2, 400)), 1, "negative binomial"),
        ("mean", lambda r: r.normal(5, 2, 400), 1, "normal"),
        ("gap", lambda r: r.geometric(0.05, 400) - 1, 1, "geometric"),
        ("time", lambda r: 9 * r.weibull(1.5, 400), 1, "weibull"),
    ],
)
def test_a_law_gives_back_the_mean_and_spread_it_was_fitted_to(data, make, n, family):
    value = make(rng(3)).astype(float)
    law = steady_from(series(data, value, n))
    again = drawn(law, np.full(400, float(n)), simulations=200, rng=rng(4))
    assert law.family == family
    assert again.mean() == pytest.approx(value.mean(), rel=0.01)
    assert again.std() == pytest.approx(value.std(), rel=0.08)
    if data == "time":
        assert law.shape == pytest.approx(1.5, rel=0.1)


def test_means_of_records_split_into_sampling_and_the_rest():
    """Standard deviation 0.3 between periods beside 1 / sqrt(50) = 0.141 of sampling."""
    value = rng(5).normal(7, np.hypot(0.3, 1 / np.sqrt(50)), 300)
    law = steady_from(series("score", value, 50, sd=1.0))
    assert law.within == 1.0
    assert law.between == pytest.approx(0.3, rel=0.1)
    only = steady_from(series("score", rng(5).normal(7, 1 / np.sqrt(50), 300), 50, sd=1.0))
    assert only.between == 0


def test_correlation_is_noticed_where_it_is_and_drawn_again():
    laws = [steady_from(series("mean", autoregression(0.6, 100, seed))) for seed in range(30)]
    # standard error sqrt((1 - 0.36) / 100 / 30) = 0.015
    assert np.mean([law.correlation for law in laws]) == pytest.approx(0.6, abs=0.05)
    law = laws[0]
    again = drawn(law, np.ones(2000), simulations=1, rng=rng())[0]
    assert np.corrcoef(again[1:], again[:-1])[0, 1] == pytest.approx(law.correlation, abs=0.05)


def test_a_latent_level_is_more_alike_than_the_counts_show():
    r = rng(8)
    level = 20 * np.exp(0.3 * autoregression(0.8, 400, seed=8))
    law = steady_from(series("count", r.poisson(level)))
    assert law.correlation > law.autocorrelation
    again = drawn(law, np.ones(400), simulations=50, rng=r)
    seen = np.mean([likeness(each).plain for each in again])
    assert seen == pytest.approx(law.autocorrelation, abs=0.1)


def test_independent_series_are_called_alike_once_in_twenty():
    called = [likeness(each).plain > likeness(each).usual for each in rng(2).normal(size=(300, 40))]
    assert np.mean(called) == pytest.approx(0.05, abs=0.03)


def test_a_season_is_remembered_longer_than_by_an_autoregression():
    season = 2 * np.sin(2 * np.pi * np.arange(52) / 52) + rng(1).normal(size=52)
    found = likeness(season)
    assert found.memory > found.memory_usual
    wandering = [likeness(autoregression(0.5, 52, seed)) for seed in range(60)]
    assert np.mean([each.memory > each.memory_usual for each in wandering]) < 0.15


def test_a_profile_is_in_every_series():
    law = replace(NORMAL, data="count", family="poisson", level=10.0, between=0.0)
    profile = np.tile([1.0, 2.0], 20)
    found = drawn(law, np.ones(40), simulations=500, rng=rng(), profile=profile).mean(axis=0)
    assert found[1::2].mean() / found[::2].mean() == pytest.approx(2, rel=0.02)


def test_frozen_limits_are_not_moved_and_what_is_not_known_of_the_law_is_drawn():
    rows = series("mean", rng(6).normal(0, 1, 24))
    law, limits = steady_from(rows), limits_from(rows, kind="xmr")
    far = replace(limits, centre=limits.centre + 3 * limits.spread)
    settings = {"kind": "xmr", "rules": "beyond 3", "simulations": 1000}
    n, base = np.ones(37), np.arange(37) < 24
    near = false_alarms(law, n, base, limits=limits, rng=rng(), **settings).since
    moved = false_alarms(law, n, base, limits=far, rng=rng(), **settings).since
    assert near < 0.2 < 0.9 < moved
    spread = np.std([each.level for each in redrawn(law, times=400, rng=rng())])
    assert spread == pytest.approx(law.between / np.sqrt(24), rel=0.15)


def test_the_same_seed_gives_the_same_chances():
    n, base = np.ones(37), np.arange(37) < 24
    settings = {"kind": "xmr", "rules": "beyond 3", "simulations": 200}
    one, two = (false_alarms(NORMAL, n, base, rng=rng(7), **settings) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (series("mean", [1.0, 2, 3]), Refusal, "3 periods"),
        (series("count", np.zeros(20)), Refusal, "no event"),
        (series("mean", np.ones(20)), Refusal, "the same in every period"),
        (series("share", np.full(20, 9.0), 9), Refusal, "the same in every period"),
        (series("time", np.zeros(20)), Refusal, "the same"),
        (series("shares", np.arange(20)), Problem, "'shares'"),
        (series("time", np.arange(20) - 1), Problem, "below 0"),
        (series("mean", np.arange(20)).drop(columns="sd"), Refusal, "sd"),
    ],
)
def test_bad_input_is_named(rows, error, words):
    with pytest.raises(error, match=words):
        steady_from(rows)
