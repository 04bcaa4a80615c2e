"""Run lengths against published tables, by hand, and against simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from sqm import run_length
from sqm.checks import Problem
from sqm.memory_charts import ewma, ewma_limits, page_sum
from sqm.run_length import both_sides

REFERENCE = Path(__file__).parent / "reference"
LIMITS = both_sides(1, 1, 3.0)
SETS = {
    "C1": LIMITS,
    "C12": LIMITS + both_sides(2, 3, 2.0),
    "C13": LIMITS + both_sides(4, 5, 1.0),
    "C14": LIMITS + both_sides(8, 8, 0.0),
}


def case(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SETS)
def test_runs_rules_of_champ_and_woodall(name):
    of = case("shewhart_run_rules_arl_champ_woodall_1987")
    found = [run_length.patterns(mu, rules=SETS[name]) for mu in of["input"]["mu"]]
    assert found == pytest.approx(of["expected"][name], rel=of["tolerance"])


def test_limits_alone_by_hand():
    """One in 1 / 0.0026998 periods; in 60 periods 1 - 0.9973^60 = 0.1497."""
    assert run_length.patterns(0, rules=LIMITS) == pytest.approx(370.398, abs=0.001)
    assert run_length.patterns_chance(0, rules=LIMITS, periods=60) == pytest.approx(
        0.1497, abs=1e-4
    )
    # two heads in a row: 6 tosses on average
    two = (run_length.Pattern(2, 2, 0.0, np.inf),)
    assert run_length.patterns(0, rules=two) == pytest.approx(6)


def test_ewma_of_lucas_and_saccucci():
    of = case("ewma_arl_lucas_saccucci_1990")
    given, expected = of["input"], of["expected"]
    for each in ("case1", "case2"):
        plan = {"weight": given[each]["lam"], "width": given[each]["L"]}
        found = [run_length.ewma(mu, **plan) for mu in given["mu"]]
        assert found == pytest.approx(expected[f"spc_{each}"], rel=1e-8)
        assert found == pytest.approx(expected[f"published_{each}"], rel=of["tolerance"])
    for more in expected["more"]:
        plan = {"weight": more["lambda"], "width": more["L"]}
        assert [run_length.ewma(mu, **plan) for mu in more["mu"]] == pytest.approx(
            more["arl"], rel=1e-8
        )
    manual = expected["sas_qc_lam025_L3_mu1"]
    assert run_length.ewma(1, weight=0.25, width=3) == pytest.approx(manual, abs=1e-8)


def test_widths_of_crowder():
    """L for 250 periods, Crowder (1989), as the reference notes them."""
    weights = [0.05, 0.1, 0.15, 0.2, 0.25]
    found = [run_length.ewma_width(250, weight=weight) for weight in weights]
    assert found == pytest.approx([2.32, 2.55, 2.65, 2.72, 2.76], abs=0.005)


def test_cusum_of_lucas_and_crosier():
    of = case("cusum_arl_lucas_crosier_1982")
    expected, shifts = of["expected"], of["input"]["mu"]
    plain = [run_length.cusum(mu, allowance=0.5, limit=4) for mu in shifts]
    ahead = [run_length.cusum(mu, allowance=0.5, limit=4, start=2) for mu in shifts]
    assert plain == pytest.approx(expected["spc_plain"], rel=1e-7)
    assert ahead == pytest.approx(expected["spc_fir"], rel=1e-7)
    assert plain == pytest.approx(expected["published_plain"], rel=of["tolerance"])
    assert ahead == pytest.approx(expected["published_fir"], rel=of["tolerance"])


def test_poisson_ewma_of_borror():
    of = case("poisson_ewma_arl_borror_1998")
    given = of["input"]
    plan = {"usual": given["mu0"], "weight": given["lam"], "width": given["A"]}
    found = [run_length.poisson_ewma(mu, **plan) for mu in given["mu"]]
    assert found == pytest.approx(of["expected"]["spc_classic"], rel=of["tolerance"])


def test_alike_neighbours_of_kramer_and_schmid():
    of = case("shewhart_ar1_arl_kramer_schmid_2000")
    given, expected = of["input"], of["expected"]
    for row, phi in enumerate(given["phi"]):
        plan = {"sigmas": given["c"], "autocorrelation": phi}
        found = [run_length.shewhart_alike(delta, **plan) for delta in given["delta"]]
        assert found == pytest.approx(expected["spc"][row], rel=1e-8)
        assert found == pytest.approx(expected["published"][row], rel=of["tolerance"])
    alone = run_length.shewhart_alike(1, sigmas=3, autocorrelation=0)
    assert alone == pytest.approx(run_length.patterns(1, rules=LIMITS), rel=1e-9)


def test_all_the_weight_on_the_latest_period_is_the_plain_chart():
    for exact in (False, True):
        found = run_length.ewma(1, weight=1.0, width=3, exact=exact)
        assert found == pytest.approx(run_length.patterns(1, rules=LIMITS), rel=1e-6)
    chance = run_length.ewma_chance(1, weight=1.0, width=3, periods=10)
    assert chance == pytest.approx(run_length.patterns_chance(1, rules=LIMITS, periods=10))


def test_limits_far_away_change_nothing():
    plan = {"weight": 0.2, "width": 2.86, "exact": True}
    near = run_length.ewma(0.5, sigmas=50, **plan)
    assert near == pytest.approx(run_length.ewma(0.5, **plan), rel=1e-3)
    plan = {"allowance": 0.5, "limit": 5}
    near = run_length.cusum(0.5, sigmas=50, **plan)
    assert near == pytest.approx(run_length.cusum(0.5, **plan), rel=1e-3)


def _cusum_signals(z):
    up, down = page_sum(z - 0.5), page_sum(-z - 0.5)
    return (np.maximum(up, down) > 5) | (np.abs(z) > 3)


def _ewma_signals(z):
    return np.abs(ewma(z, weight=0.2)) > ewma_limits(z.shape[1], weight=0.2, width=2.86)


def test_simulation_agrees_with_what_is_computed():
    rng = np.random.default_rng(7)
    computed = {
        _cusum_signals: run_length.cusum(1, allowance=0.5, limit=5, sigmas=3),
        _ewma_signals: run_length.ewma(1, weight=0.2, width=2.86, exact=True),
    }
    for signals, truth in computed.items():
        found = run_length.simulated(signals, shift=1, periods=100, simulations=8000, rng=rng)
        assert abs(found.arl - truth) < 3.3 * found.error
        assert found.error < 0.01 * truth


def test_chance_of_the_chain_and_of_the_simulation():
    z = np.random.default_rng(8).normal(size=(20_000, 30))
    truth = run_length.ewma_chance(0, weight=0.2, width=2.86, periods=30, exact=True)
    assert _ewma_signals(z).any(axis=1).mean() == pytest.approx(truth, abs=0.005)  # 3 errors
    width = run_length.ewma_width_for_chance(truth, weight=0.2, periods=30, exact=True)
    assert width == pytest.approx(2.86, abs=1e-4)


def test_counted_cusums_against_simulation():
    rng = np.random.default_rng(9)
    counts = rng.poisson(2.0, size=(2000, 600))
    found = run_length.mean_run_length(page_sum(counts - 2.5) > 6 + 1e-9)
    truth = run_length.poisson_cusum(2.0, reference=2.5, limit=6)
    assert abs(found.arl - truth) < 3.3 * found.error
    records = rng.random(size=(2000, 1000)) < 0.05
    found = run_length.mean_run_length(page_sum(records - 0.05) > 1.5 + 1e-9)
    truth = run_length.bernoulli_cusum(0.05, reference=0.05, limit=1.5)
    assert abs(found.arl - truth) < 3.3 * found.error


def test_two_events_close_together_by_hand():
    """Reference 1/2, limit 1/2: a first event leaves 1/2, at once another passes, else 0 again.

    From 0 the length is a = 1 + p b + (1 - p) a, from 1/2 b = 1 + (1 - p) a: for p = 1/2, a = 6.
    """
    found = run_length.bernoulli_cusum(0.5, reference=0.5, limit=0.5)
    assert found == pytest.approx(6)


def test_the_design_gives_what_was_wished_for():
    for allowance in (0.25, 1.0):
        limit = run_length.cusum_limit(370, allowance=allowance)
        assert run_length.cusum(0, allowance=allowance, limit=limit) == pytest.approx(370, rel=1e-5)
    limit = run_length.cusum_limit(370, allowance=0.5, start_share=0.5)
    assert run_length.cusum(0, allowance=0.5, limit=limit, start=limit / 2) == pytest.approx(370)
    best, height = run_length.best_allowance(1.0, arl=370)
    soonest = run_length.cusum(1, allowance=best, limit=height)
    for other in (0.3, 0.7):
        rival = run_length.cusum_limit(370, allowance=other)
        assert soonest < run_length.cusum(1, allowance=other, limit=rival)


def test_a_chart_that_never_signals():
    found = run_length.mean_run_length(np.zeros((5, 9), dtype=bool))
    assert found.arl == np.inf
    # 7 a period: 14 after two, 21 (standard deviation sqrt 3) after three, so seldom a fourth
    told = run_length.cusum(9.0, allowance=2.0, limit=20.0)
    assert told == pytest.approx(3 + norm.cdf(-1 / 3**0.5), abs=1e-4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: run_length.ewma_width(1, weight=0.2), "wished for is 1"),
        (lambda: run_length.cusum(0, allowance=0.5, limit=4, start=5), "starts at 5"),
        (lambda: run_length.shewhart_alike(0, sigmas=3, autocorrelation=1), "autocorrelation is 1"),
        (lambda: run_length.poisson_cusum(1, reference=0, limit=3), "reference of 0"),
        (lambda: run_length.best_allowance(0, arl=370), "shift to be found is 0"),
        (lambda: run_length.ewma_width_for_chance(1, weight=0.2, periods=9), "false alarm is 1"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(Problem, match=says):
        call()
