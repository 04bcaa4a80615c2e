"""Capability against printed tables and programs, identities and known percentiles."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.capability import (
    _chi,
    _indices,
    _two_sided_factor,
    defects_per_unit,
    dpmo_table,
    normal_capability,
    percentile_capability,
    smallest_n,
    tolerance_limits,
)

REFERENCE = Path(__file__).parent / "reference"


def case(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def counts(n, defects, **more):
    return pd.DataFrame({"ctq": ["quick"], "n": [n], "defects": [defects]} | more)


@pytest.fixture(scope="module")
def days():
    return pd.DataFrame({"resolution_d": np.random.default_rng(5).lognormal(0, 1, 5000)})


# --- Defects per million opportunities ------------------------------------------------------------


@pytest.mark.parametrize(("shift", "key"), [(1.5, "sigma_shift15"), (0.0, "sigma_no_shift")])
def test_the_universal_table_of_dpmo_and_sigma(shift, key):
    printed = case("dpmo_sigma_table")
    for dpmo, sigma in zip(printed["input"]["dpmo"], printed["expected"][key], strict=True):
        found = dpmo_table(counts(10_000_000, round(dpmo * 10)), shift=shift, counted_as=[1])
        assert found.table.loc[0, "dpmo"] == pytest.approx(dpmo)
        assert found.table.loc[0, "estimate"] == pytest.approx(sigma, abs=1e-6)


def test_ten_per_cent_is_another_sigma_by_what_is_counted():
    # the same 10 % of records: 2.78 with one opportunity, 4.08 with twenty
    found = dpmo_table(counts(1000, 100))
    sigma = found.table.set_index("opportunities")["estimate"]
    assert sigma[1] == pytest.approx(1.5 + stats.norm.isf(0.1))
    assert (round(sigma[1], 2), round(sigma[20], 2)) == (2.78, 4.08)
    assert found.table.loc[found.table["declared"], "opportunities"].tolist() == [1]
    low, high = wilson(0.1, 1000)
    row = found.table.loc[0]
    assert [row["low"], row["high"]] == pytest.approx(
        [1.5 + stats.norm.isf(high), 1.5 + stats.norm.isf(low)]
    )
    assert "with a shift of 1.5" in found.sentence()
    assert "20: 4.08" in found.sentence()


def test_no_defect_gives_a_bound_and_all_defects_another():
    none = dpmo_table(counts(500, 0), counted_as=[1])
    bound = 1.5 + stats.norm.isf(wilson(0, 500)[1])
    assert none.table.loc[0, "estimate"] == pytest.approx(bound)
    assert np.isnan(none.table.loc[0, "high"])
    assert f"at least {bound:.2f}" in none.sentence()
    every = dpmo_table(counts(500, 500), counted_as=[1])
    assert np.isfinite(every.table.loc[0, "estimate"])
    assert "at most" in every.sentence()


def test_declared_opportunities_and_dependent_records():
    own = dpmo_table(counts(1000, 100, opportunities=[4], effective_n=[200.0]), counted_as=[1])
    row = own.table[own.table["declared"]].iloc[0]
    assert (row["opportunities"], row["dpmo"]) == (4, 25_000)
    assert [row["share_low"], row["share_high"]] == pytest.approx(wilson(0.1, 200))


def test_bad_counts():
    with pytest.raises(Problem, match="30 defects in 20 records"):
        dpmo_table(counts(20, 30))
    with pytest.raises(Problem, match="less than 1"):
        dpmo_table(counts(20, 3), counted_as=[0])
    with pytest.raises(Refusal, match="No CTQ has a record"):
        dpmo_table(counts(0, 0))


# --- Defects per unit -----------------------------------------------------------------------------


def test_defects_per_unit_are_poissons():
    # Garwood by the chance itself: at the limits, 12 or more, and 12 or fewer, have chance .025
    steps = pd.DataFrame({"step": ["a", "b"], "units": [200, 50], "defects": [12, 0]})
    table = defects_per_unit(steps).table
    low, high = table.loc[0, ["low", "high"]]
    assert stats.poisson.sf(11, 200 * low) == pytest.approx(0.025)
    assert stats.poisson.cdf(12, 200 * high) == pytest.approx(0.025)
    assert table.loc[1, ["estimate", "low"]].tolist() == [0, 0]
    assert table.loc[0, "clean"] == pytest.approx(np.exp(-0.06))
    with pytest.raises(Problem, match="0 units"):
        defects_per_unit(steps.assign(units=0))
    with pytest.raises(Refusal, match="0 usable rows"):
        defects_per_unit(steps.head(0))


# --- Indices of a normal process ------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed():
    return case("capability_normal")


@pytest.fixture(scope="module")
def grouped(printed):
    groups = printed["input"]["subgroups"]
    rows = [(i, value) for i, group in enumerate(groups) for value in group]
    return pd.DataFrame(rows, columns=["day", "value"])


def test_the_capability_study_that_minitab_verified(printed, grouped):
    given, expected, tolerance = printed["input"], printed["expected"], printed["tolerance"]
    found = normal_capability(
        grouped,
        measure="value",
        lower=given["lsl"],
        upper=given["usl"],
        target=given["target"],
        subgroup="day",
        within="range",
        confidence=given["confidence"],
    )
    rows = found.table.set_index("index")
    for index in ("Pp", "PPL", "PPU", "Ppk", "Cpm", "Cp", "CPL", "CPU", "Cpk"):
        assert rows.loc[index, "estimate"] == pytest.approx(expected[index], abs=tolerance)
        if f"{index}_ci" in expected:
            assert rows.loc[index, ["low", "high"]].tolist() == pytest.approx(
                expected[f"{index}_ci"], abs=tolerance
            )
    assert (found.mean, found.sd) == pytest.approx((expected["mean"], expected["sd_total"]))
    assert found.sd_within == pytest.approx(expected["sd_within"], abs=1e-4)  # d2 unrounded
    assert rows.loc["Cpk", "z"] == pytest.approx(expected["Z_ST"], abs=tolerance)
    assert rows.loc["Ppk", "z"] == pytest.approx(expected["Z_LT"], abs=tolerance)
    assert 1e6 * found.outside == pytest.approx(expected["ppm_observed"]["total"])
    assert 1e6 * found.outside_normal == pytest.approx(expected["ppm_overall"]["total"], abs=0.01)
    assert 1e6 * found.outside_within == pytest.approx(expected["ppm_within"]["total"], rel=1e-3)
    assert "its interval is approximate" in found.sentence()


def test_intervals_at_twenty_values():
    expected = case("capability_interval_n20")["expected"]
    cp = (62 - 38) / (6 * 1.75)
    assert cp == pytest.approx(expected["Cp"])
    assert (cp * _chi(19, 0.95)).tolist() == pytest.approx(expected["Cp_ci95"], abs=1e-6)
    rows = _indices(("Pp", "PPL", "PPU", "Ppk"), (np.nan, 3 * 1.33), 0, 1, 20, 19, 0.95)
    assert [rows[3]["low"], rows[3]["high"]] == pytest.approx(
        expected["Cpk_ci95_for_1_33"], abs=1e-6
    )


def test_pooled_and_no_subgroups(grouped):
    pooled = normal_capability(grouped, measure="value", upper=12, subgroup="day")
    by_hand = np.sqrt(grouped.groupby("day")["value"].var().mean())
    assert pooled.sd_within == pytest.approx(by_hand)
    none = normal_capability(grouped, measure="value", upper=12)
    assert np.isnan(none.table.set_index("index").loc["Cpk", "estimate"])
    assert none.table.set_index("index").loc["Pp", "note"] == "a limit is missing"
    assert "Without subgroups" in none.sentence()


def test_skewed_values_and_waits_that_carry_over_are_said(days):
    found = normal_capability(days, measure="resolution_d", upper=9)
    assert "use percentiles instead" in found.sentence()
    rng = np.random.default_rng(1)
    walk = pd.DataFrame({"wait_s": np.convolve(rng.normal(size=502), [1, 1, 1], "valid")})
    found = normal_capability(walk, measure="wait_s", upper=4)
    assert found.autocorrelation == pytest.approx(2 / 3, abs=0.08)
    assert "the intervals are too narrow" in found.sentence()


def test_bad_input_of_indices(grouped):
    with pytest.raises(Problem, match="Neither limit"):
        normal_capability(grouped, measure="value")
    with pytest.raises(Problem, match="limits are 12 and 0"):
        normal_capability(grouped, measure="value", lower=12, upper=0)
    with pytest.raises(Refusal, match="1 throughout"):
        normal_capability(grouped.assign(value=1.0), measure="value", upper=2)
    with pytest.raises(Refusal, match="9 usable rows"):
        normal_capability(grouped.head(9), measure="value", upper=2)
    with pytest.raises(Problem, match="not of one size"):
        normal_capability(
            grouped.head(98), measure="value", upper=9, subgroup="day", within="range"
        )
    with pytest.raises(Refusal, match="1 values at most"):
        one_each = grouped.assign(day=range(100))
        normal_capability(one_each, measure="value", upper=9, subgroup="day")
    with pytest.raises(Problem, match="holds no numbers"):
        normal_capability(grouped.assign(value="x"), measure="value", upper=2)


# --- Percentiles ----------------------------------------------------------------------------------


def test_percentile_index_of_a_normal_sample_is_its_ppk():
    # a sample of exact normal quantiles: 1 at mean + 3 sd
    x = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    found = percentile_capability(
        pd.DataFrame({"x": x}), measure="x", upper=3, rng=np.random.default_rng(1)
    )
    assert found.ppk == pytest.approx(1, abs=2e-3)
    assert found.normal_ppk == pytest.approx(1, abs=2e-3)
    assert found.low < 1 < found.high
    assert found.share == pytest.approx(0.00135, abs=1e-4)


def test_a_lognormal_is_judged_by_its_percentiles_and_shares(days):
    # median 1, P99.865 exp(3) = 20.09: room to 9 is 8 of 19.09
    found = percentile_capability(
        days, measure="resolution_d", upper=9, unit="d", rng=np.random.default_rng(1)
    )
    assert found.low < 8 / (np.exp(3) - 1) < found.high
    by_share = stats.norm.isf(stats.norm.sf(np.log(9))) / 3
    row = found.table.iloc[0]
    assert row["by_share_low"] < by_share < row["by_share_high"]
    assert found.share == (days["resolution_d"] > 9).mean()
    assert found.share_if_normal < found.share / 5
    assert f"{100 * found.share:.2f} % (95% interval" in found.sentence()
    assert "beyond 9 d" in found.sentence()


def test_both_sides_give_the_lesser(days):
    found = percentile_capability(
        days, measure="resolution_d", lower=0.001, upper=9, rng=np.random.default_rng(1)
    )
    table = found.table.set_index("side")
    assert list(table.index) == ["lower", "upper", "both"]
    assert found.ppk == table["estimate"].min() == table.loc["upper", "estimate"]
    assert table.loc["both", "outside"] == table["outside"].iloc[:2].sum()


def test_too_few_values_for_extremes_are_said(days):
    few = percentile_capability(
        days.head(400), measure="resolution_d", upper=9, rng=np.random.default_rng(1)
    )
    assert np.isnan(few.ppk)
    assert (few.needed, few.needed_interval) == (741, 2731)
    assert "too few for a Ppk by percentiles" in few.sentence()
    assert "741 values are needed" in few.sentence()
    some = percentile_capability(
        days.head(1000), measure="resolution_d", upper=9, rng=np.random.default_rng(1)
    )
    assert np.isnan(some.low)
    assert np.isfinite(some.ppk)
    none = percentile_capability(
        days.head(400), measure="resolution_d", upper=1e6, rng=np.random.default_rng(1)
    )
    assert "only a bound" in none.sentence()


# --- Tolerance limits -----------------------------------------------------------------------------


def test_wilks_numbers():
    printed = case("wilks_n")
    found = [smallest_n(content=p, confidence=g) for p, g in printed["input"]["cases"]]
    assert found == printed["expected"]["n"]
    assert smallest_n(content=0.9, confidence=0.95, sides=2) == 46  # Wilks' table


@pytest.mark.parametrize(("n", "factor"), [(10, 3.393), (20, 2.760), (50, 2.382)])
def test_two_sided_factors_of_the_iso_table(n, factor):
    # ISO 16269-6, both sides, 95 % content with 95 % confidence
    assert _two_sided_factor(n, 0.95, 0.95) == pytest.approx(factor, abs=6e-4)


def test_one_sided_factor_of_the_printed_table():
    # n = 10, 95 % content with 95 % confidence: k = 2.911
    x = pd.DataFrame({"x": np.r_[np.arange(10.0)]})
    row = tolerance_limits(x, measure="x").table.set_index("method").loc["normal"]
    assert row["factor"] == pytest.approx(2.911, abs=6e-4)
    assert row["high"] == pytest.approx(4.5 + row["factor"] * x["x"].std())


def test_order_statistics_by_rank():
    x = pd.DataFrame({"x": np.arange(1.0, 94.0)})
    upper = tolerance_limits(x, measure="x").table.loc[0]
    lower = tolerance_limits(x, measure="x", side="lower").table.loc[0]
    both = tolerance_limits(x, measure="x", side="two-sided").table.loc[0]
    assert (upper["high"], lower["low"]) == (92, 2)
    assert (both["low"], both["high"], both["dropped"]) == (1, 93, 0)
    # of 93 with one dropped: the chance of two or more above the 95 % point
    assert upper["achieved"] == pytest.approx(1 - 0.95**93 - 93 * 0.05 * 0.95**92)


def test_too_few_values_for_a_tolerance_limit(days):
    found = tolerance_limits(days.head(58), measure="resolution_d", unit="d")
    assert "59 values are needed and there are 58" in found.sentence()
    assert np.isnan(found.table.loc[0, "high"])


@pytest.mark.parametrize(
    "answer",
    [
        lambda d: dpmo_table(counts(1000, 100)),
        lambda d: defects_per_unit(
            pd.DataFrame({"step": ["<b>$ 😀", "b"], "units": [200, 50], "defects": [12, 0]})
        ),
        lambda d: normal_capability(d, measure="resolution_d", lower=0, upper=9, unit="d"),
        lambda d: percentile_capability(
            d, measure="resolution_d", upper=9, unit="d", rng=np.random.default_rng(1)
        ),
        lambda d: tolerance_limits(d, measure="resolution_d", side="two-sided", unit="d"),
    ],
)
def test_every_finding_draws_and_speaks(days, answer):
    found = answer(days)
    ax = found.plot(plt.figure().subplots())
    assert ax.lines
    assert ax.get_xlabel()
    first = found.sentence().splitlines()[0]
    assert "95%" in first
    assert len(first) <= 220
    plt.close("all")
