"""Limits of every kind of chart against published cases and against each other."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm import chart_limits
from sqm.chart_limits import (
    Limits,
    c4,
    charted,
    dispersion,
    hotelling_t2,
    limits_from,
    limits_of,
    missing_before,
    range_law,
    scored,
    standardised,
)
from sqm.checks import Problem, Refusal

REFERENCE = Path(__file__).parent / "reference"


def reference(name):
    case = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    return case["input"], case["expected"]


def series(value, n=1.0, *, data, sd=np.nan):
    start = pd.date_range("2024-01-01", periods=len(value), freq="7D")
    return pd.DataFrame({"period": start, "data": data, "n": n, "value": value, "sd": sd})


def chart(rows, **settings):
    limits = limits_from(rows, fewest=2, **settings)
    return limits, charted(rows, limits)


def signals(table):
    return (table["z"].abs() > 3).to_numpy().nonzero()[0] + 1


def test_c_chart_of_montgomery():
    given, expected = reference("c_chart_montgomery_7_3")
    rows = series(given["counts"], data="count")
    limits, table = chart(rows, kind="c")
    assert limits.centre == pytest.approx(expected["cbar"], rel=1e-9)
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx(
        [expected["lcl"], expected["ucl"]], rel=1e-9
    )
    assert signals(table).tolist() == expected["signals"]
    revised = limits_from(rows.drop(index=[5, 19]), kind="c")
    low, high = charted(rows, revised).loc[0, ["low", "high"]]
    assert (revised.centre, low, high) == pytest.approx(
        tuple(expected["revised"][key] for key in ("cbar", "lcl", "ucl")), rel=1e-9
    )


def test_p_chart_of_montgomery_and_its_number_of_cases():
    given, expected = reference("p_chart_montgomery")
    rows = series(given["defectives"], given["n"], data="share")
    limits, table = chart(rows, kind="p")
    assert limits.centre == pytest.approx(expected["pbar"])
    assert np.allclose(table["low"], expected["lcl"]) and np.allclose(
        table["high"], expected["ucl"]
    )
    assert signals(table).tolist() == expected["signals"]
    _, counts = chart(rows, kind="np")
    for name in ("rate", "low", "high"):
        assert np.allclose(counts[name], table[name] * given["n"])
    assert np.allclose(counts["z"], table["z"])


def test_laney_chart_of_english_emergencies():
    given, expected = reference("laney_p_prime_nhs_4h")
    rows = series(given["within_4h"], given["attendances"], data="share")
    limits, table = chart(rows, kind="p'")
    assert limits.centre == pytest.approx(expected["pbar"], rel=1e-9)
    assert limits.spread == pytest.approx(expected["sigma_z_exact"], rel=1e-9)
    # the published limits round 2 / sqrt(pi) to 1.128
    half = (table["high"] - limits.centre) * chart_limits.D2 / 1.128
    assert np.allclose(limits.centre + half, expected["laney_ucl"], rtol=0, atol=1e-9)
    assert np.allclose(limits.centre - half, expected["laney_lcl"], rtol=0, atol=1e-9)
    assert signals(table).tolist() == expected["laney_signals"]
    assert signals(chart(rows, kind="p")[1]).tolist() == expected["p_signals"]
    found = dispersion(rows["value"], rows["n"], data="share")
    assert found.ratio == pytest.approx(expected["phi_pearson"], rel=1e-9)


def test_u_chart_of_dyed_cloth():
    given, expected = reference("u_chart_variable_area_dyed_cloth")
    units = np.array(given["square_meters"]) / given["unit"]
    limits, table = chart(series(given["defects"], units, data="rate"), kind="u")
    assert limits.centre == pytest.approx(expected["ubar"], rel=1e-9)
    assert np.allclose(table["low"], expected["lcl"]) and np.allclose(
        table["high"], expected["ucl"]
    )
    assert signals(table).tolist() == expected["signals"]


@pytest.mark.parametrize("case", ["xbar_s_piston_rings", "qcc_pistonrings_xbar_R_S"])
def test_means_and_spreads_of_piston_rings(case):
    given, expected = reference(case)
    rings = np.array(given["x"] if "x" in given else given["subgroups"]).reshape(25, 5)
    rows = series(rings.mean(axis=1), 5.0, data="mean", sd=rings.std(axis=1, ddof=1))
    limits, table = chart(rows, kind="s", sigma_method="mean sd")
    _, means = chart(rows, kind="xbar", sigma_method="mean sd")
    if "S" in expected:
        assert limits.spread == pytest.approx(expected["S"]["std_dev"], rel=1e-8)
        centre, high = expected["S"]["center"], expected["S"]["ucl"]
    else:
        centre, high = expected["sbar"], expected["s_ucl"]
        assert means.loc[0, ["centre", "low", "high"]].tolist() == pytest.approx(
            [expected[name] for name in ("xbarbar", "xbar_lcl", "xbar_ucl")], rel=1e-9
        )
    assert table.loc[0, ["centre", "low", "high"]].tolist() == pytest.approx([centre, 0, high])


def test_ranges_of_piston_rings():
    """qcc takes d2 and d3 of five from a table, 2.326 and 0.8640855, where it is exact to 4e-5."""
    given, expected = reference("qcc_pistonrings_xbar_R_S")
    rings = np.array(given["subgroups"])
    spread, (d2, d3) = np.ptp(rings, axis=1).mean(), range_law(5)
    assert (d2, d3) == pytest.approx((2.325929, 0.864082), abs=5e-7)
    assert spread + 3 * d3 / d2 * spread == pytest.approx(expected["R"]["ucl"], rel=2e-5)
    sigma = spread / 2.326
    assert sigma == pytest.approx(expected["xbar"]["std_dev"], rel=1e-8)
    assert spread + 3 * 0.8640855 * sigma == pytest.approx(expected["R"]["ucl"], rel=1e-8)
    frozen = Limits("xbar", "mean", centre=rings.mean(), spread=sigma)
    found = charted(series([74.0], 5.0, data="mean"), frozen).loc[0, ["low", "high"]].tolist()
    assert found == pytest.approx([expected["xbar"]["lcl"], expected["xbar"]["ucl"]], rel=1e-9)


def test_constants():
    given, expected = reference("chart_constants")
    n = np.array(given["n"])
    d2, factor = np.array([range_law(each)[0] for each in n]), c4(n)
    found = {
        "d2": d2,
        "c4": factor,
        "A2": 3 / d2 / np.sqrt(n),
        "A3": 3 / factor / np.sqrt(n),
        "B3": np.maximum(1 - 3 * np.sqrt(1 - factor**2) / factor, 0),
        "B4": 1 + 3 * np.sqrt(1 - factor**2) / factor,
    }
    for name, values in expected.items():
        assert np.allclose(found[name], values, rtol=1e-9, atol=0)
    assert 1 - c4(5000) == pytest.approx(1 / 4 / 5000, rel=1e-3)  # no overflow


def test_g_chart_by_convention():
    given, expected = reference("g_chart_two_conventions")
    rows = series(given["gaps"], data="gap")
    jasp, sds = expected["convention_minitab_jasp"], expected["convention_mean_3sd"]
    limits, table = chart(rows, kind="g", convention="Minitab and JASP")
    assert (limits.centre, limits.spread) == pytest.approx((expected["mean"], jasp["p"]), rel=1e-9)
    found = table.loc[0, ["centre", "low", "high"]].tolist()
    assert found == pytest.approx([jasp["cl"], jasp["lcl"], jasp["ucl"]], rel=1e-9)
    _, table = chart(rows, kind="g", convention="mean and 3 sd")
    found = table.loc[0, ["centre", "low", "high"]].tolist()
    assert found == pytest.approx([sds["cl_median"], sds["lcl"], sds["ucl"]], rel=1e-9)
    _, table = chart(rows, kind="g", convention="Provost")
    assert table.loc[0, "centre"] == pytest.approx(expected["convention_provost_cl"], rel=1e-9)


@pytest.mark.parametrize("convention", chart_limits.CONVENTIONS["g"])
def test_z_of_a_gap_is_three_at_the_limit_and_nought_at_the_centre(convention):
    rows = series(reference("g_chart_two_conventions")[0]["gaps"], data="gap")
    limits, table = chart(rows, kind="g", convention=convention)
    lines = table.loc[0, ["centre", "high"]].to_numpy(dtype=float)
    assert scored(lines, np.ones(2), limits) == pytest.approx([0, 3], abs=2e-3)
    # JASP's limit of 0.07 calls a gap of 0 a signal; the mid-probability of 0 is 0.009
    assert (scored(np.zeros(1), np.ones(1), limits)[0] < -3) == (convention == "Minitab and JASP")


def test_t_chart_by_convention():
    given, expected = reference("t_chart_time_between_events")
    rows = series(given["hours"], data="time")
    limits, table = chart(rows, kind="t", convention="power 1/3.6")
    assert limits.centre == pytest.approx(expected["cl"], rel=1e-9)
    middle = expected["transformed_mean"]
    assert limits.spread == pytest.approx(expected["transformed_mr_bar"] / chart_limits.D2)
    reach = (table.loc[0, "high"] ** (1 / 3.6) - middle) * chart_limits.D2 / 1.128
    assert (middle + reach) ** 3.6 == pytest.approx(expected["ucl"], rel=1e-9)
    assert table.loc[0, "low"] == expected["lcl"] and signals(table).tolist() == []
    law = expected["alternative_weibull_mle"]
    limits, table = chart(rows, kind="t")
    assert limits.spread == pytest.approx(law["shape"], rel=1e-6)
    found = table.loc[0, ["centre", "low", "high"]].tolist()
    assert found == pytest.approx([law["cl_median"], law["lcl"], law["ucl"]], rel=2e-6)
    lines = np.array([law["cl_median"], law["lcl"], law["ucl"]])
    assert scored(lines, np.ones(3), limits) == pytest.approx([0, -3, 3], abs=1e-5)


def test_times_of_nought():
    rows = series([0.0, 4, 1, 3, 2, 6, 1, 2, 9, 3, 1, 2], data="time")
    with pytest.raises(Refusal, match="1 times between events are 0"):
        limits_from(rows, kind="t", convention="power 1/3.6")
    halved = rows.assign(value=rows["value"].replace(0, 0.5))
    assert limits_from(rows, kind="t").spread == limits_from(halved, kind="t").spread


def test_dispersion_of_wetherill_and_brown():
    given, expected = reference("overdispersion_test_wetherill_brown")
    shares = given["binomial"]
    for found, wanted in (
        (dispersion(shares["x"], shares["size"], data="share"), expected["binomial"]),
        (dispersion(given["poisson"]["x"], 1, data="count"), expected["poisson"]),
    ):
        assert asdict(found) == pytest.approx(
            {**wanted, "degrees": 29, "ratio": wanted["ratio"]}, rel=1e-9
        )


def test_several_measures_at_once():
    given, expected = reference("hotelling_t2_individuals_jasp")
    found = hotelling_t2(np.array(given["x"]), confidence=given["confidence"])
    assert np.allclose(found.distances, expected["T2"], rtol=1e-8)
    assert np.allclose(found.covariance, expected["cov"], rtol=1e-9)
    assert np.linalg.det(found.covariance) == pytest.approx(expected["det"], rel=1e-9)
    assert found.limit == pytest.approx(expected["ucl_phase1_beta"], rel=1e-6)
    with pytest.raises(Refusal, match="how 2 measures vary together"):
        hotelling_t2(np.column_stack([range(9), range(9)]), confidence=0.99)


def test_a_chart_of_taylors_kind_lies_between_its_two_neighbours():
    """Huge periods: moving ranges alone.  No spread between periods: counting alone."""
    draw = np.random.default_rng(1)
    share = 0.3 + 0.05 * draw.standard_normal(40)
    big = series(np.round(share * 1e8), 1e8, data="share")
    moving = limits_from(series(share, data="mean"), kind="xmr").spread
    assert limits_from(big, kind="i'").spread == pytest.approx(moving, rel=1e-3)
    calm = series(np.tile([30.0, 31], 10), 100.0, data="share")
    limits, table = chart(calm, kind="i'")
    assert limits.spread == 0
    assert np.allclose(table["z"], chart(calm, kind="p")[1]["z"])


def test_taylors_spread_is_found_again():
    """Between 0.04, within sqrt(0.2 * 0.8 / n), n from 50 to 5,000."""
    draw = np.random.default_rng(2)
    n = draw.choice([50, 500, 5000], size=4000)
    level = np.clip(0.2 + 0.04 * draw.standard_normal(4000), 0, 1)
    found = limits_from(series(draw.binomial(n, level), n, data="share"), kind="i'")
    assert found.spread == pytest.approx(0.04, rel=0.05)


@pytest.mark.parametrize("kind", chart_limits.KINDS)
def test_one_calculation_stands_beneath_both(kind):
    """Limits from the baseline and z of the whole chart are those of the matrix."""
    data = "mean" if kind in ("xmr", "run") else chart_limits.SUITS[kind][0]
    draw = np.random.default_rng(3)
    n = np.full(40, 60.0) if kind in ("np", "xbar") else draw.integers(40, 80, 40).astype(float)
    n = np.ones(40) if kind in ("c", "g", "t", "xmr", "run") else n
    value = draw.poisson(12, 40).astype(float) + 1
    sd = draw.uniform(1, 2, 40)
    rows = series(value, n, data=data, sd=sd)
    base = np.arange(40) < 30
    limits = limits_from(rows[base], kind=kind)
    z = standardised(np.vstack([value, value]), n, base, kind=kind, data=data, sd=sd)
    assert np.allclose(z[0], charted(rows, limits)["z"]) and np.allclose(z[0], z[1])
    written = limits_of({name: str(entry) for name, entry in asdict(limits).items()})
    assert str(written) == str(limits)


def test_sigma_methods():
    """Values 0 and 1 in turn, then a jump of 20: screening leaves the jump out."""
    rows = series([0.0, 1] * 10 + [20.0], data="mean")
    plain, screened = (
        limits_from(rows, kind="xmr", sigma_method=method).spread
        for method in ("moving range", "screened moving range")
    )
    assert plain == pytest.approx((19 + 19) / 20 / chart_limits.D2)
    assert screened == pytest.approx(1 / chart_limits.D2)
    whole = limits_from(rows, kind="xmr", sigma_method="standard deviation").spread
    assert whole == pytest.approx(rows["value"].std() / c4(21))


def test_promoters_less_detractors_have_a_variance_of_their_own():
    """p = 0.5, d = 0.2: sqrt(0.7 - 0.09) = 0.781 within, over sqrt(100), three of them."""
    rows = series([0.3, 0.28] * 6, 100.0, data="nps", sd=np.sqrt(0.5 + 0.2 - 0.3**2))
    limits, table = chart(rows, kind="xbar")
    assert limits.spread == pytest.approx(np.sqrt(0.61 * 100 / 99))
    assert table.loc[0, "high"] - limits.centre == pytest.approx(0.3 * limits.spread)


def test_a_missing_week_parts_its_neighbours():
    """0 and 1 in turn, with a step of 9 across three missing weeks."""
    rows = series([0.0, 1] * 6 + [10.0, 11] * 6, data="mean")
    late = rows["period"] + pd.to_timedelta(np.where(rows.index >= 12, 21, 0), unit="D")
    assert limits_from(rows, kind="xmr").spread > 1 / chart_limits.D2
    apart = limits_from(rows.assign(period=late), kind="xmr").spread
    assert apart == pytest.approx(1 / chart_limits.D2)
    days = pd.Series(pd.bdate_range("2024-01-01", periods=15).delete(7))
    assert missing_before(days).sum() == 1  # no Saturday is missing, one Wednesday is


def test_a_run_chart_tells_the_side_only():
    _, table = chart(series([3.0, 1, 2, 9], data="mean"), kind="run")
    assert table["z"].tolist() == [1, -1, -1, 1] and table["low"].isna().all()


@pytest.mark.parametrize(
    ("rows", "kind", "error", "words"),
    [
        (series([1.0, 2, 3], data="mean"), "xmr", Refusal, "3 usable rows"),
        (series(np.zeros(20), 50.0, data="share"), "p'", Refusal, "no event in the baseline"),
        (series(np.full(20, 50.0), 50.0, data="share"), "p", Refusal, "Every case"),
        (series(np.ones(20), 0.0, data="share"), "p", Refusal, "0 usable rows"),
        (series(np.full(20, 60.0), 50.0, data="share"), "p", Problem, "20 periods have a value"),
        (series(np.full(20, np.nan), data="mean"), "xmr", Problem, "blank or impossible"),
        (series(np.ones(20), -1.0, data="rate"), "u", Problem, "impossible"),
        (series(np.ones(20), data="mean"), "xmr", Refusal, "the same in every"),
        (series(np.ones(20), data="count"), "p", Problem, "cannot be drawn of a count"),
        (series(np.ones(20), data="mean"), "zzz", Problem, "kind of chart is 'zzz'"),
        (series(np.arange(20.0), 9.0, data="mean"), "xbar", Refusal, "spread within each"),
        (series(np.ones(20), np.arange(1.0, 21), data="share"), "np", Refusal, "size of the peri"),
        (series(np.zeros(20), data="gap"), "g", Refusal, "Every opportunity"),
        (series(np.zeros(20), data="time"), "t", Refusal, "same moment"),
        (pd.concat([series([1.0, 2], data="mean")] * 2), "xmr", Problem, "comes twice"),
    ],
)
def test_what_bears_no_limits(rows, kind, error, words):
    with pytest.raises(error, match=words):
        limits_from(rows, kind=kind)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"centre": ""}, "centre is missing"),
        ({"centre": "1,5"}, "centre is '1,5'"),
        ({"spread": -1}, "centre 1, spread -1"),
        ({"kind": "q"}, "kind 'q'"),
        ({"data": np.nan}, "data is missing"),
    ],
)
def test_a_ledger_edited_by_hand(entry, words):
    row = {"series": "wait", "kind": "xmr", "data": "mean", "centre": 1, "spread": 2} | entry
    with pytest.raises(Problem, match=f"'wait' cannot be used: {words}"):
        limits_of(row)
