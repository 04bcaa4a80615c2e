"""Gauge studies against the AIAG's example by both methods, sums by hand, and limits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.gauge import KEPT, POOLED, RANGE, _expected_range, gauge_rr

REFERENCE = Path(__file__).parent / "reference"


def case(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def long(data):
    rows = [
        (f"part {i:02d}", "ABC"[j // 3], value)
        for i, row in enumerate(data)
        for j, value in enumerate(row)
    ]
    return pd.DataFrame(rows, columns=["part", "operator", "value"])


@pytest.fixture(scope="module")
def aiag():
    return long(case("gauge_rr_anova")["input"]["data"])


@pytest.fixture(scope="module")
def found(aiag):
    return gauge_rr(aiag, tolerance=8, rng=np.random.default_rng(1))


def rows(found, model):
    return found.table[found.table["model"] == model].set_index("source")


def test_the_aiags_analysis_of_variance(found):
    full, tolerance = case("gauge_rr_anova")["expected"]["anova_full"], 2e-4
    got = {
        "part": found.ms_part,
        "operator": found.ms_operator,
        "interaction": found.ms_interaction,
        "repeatability": found.ms_repeatability,
    }
    assert got == pytest.approx(full["ms"], abs=tolerance)
    assert found.interaction_f == pytest.approx(full["F"]["interaction"], abs=tolerance)
    assert found.interaction_p == pytest.approx(full["p_interaction"], abs=tolerance)
    assert (found.parts, found.operators, found.times) == (10, 3, 3)
    assert found.model == POOLED


def test_the_aiags_components_pooled_and_not(found):
    expected, tolerance = case("gauge_rr_anova")["expected"], 2e-4
    names = {
        "repeatability": "repeatability",
        "reproducibility": "reproducibility",
        "grr": "total gauge",
        "part": "part to part",
        "total": "total",
    }
    pooled, kept = rows(found, POOLED), rows(found, KEPT)
    for key, source in names.items():
        row = pooled.loc[source]
        assert row["estimate"] == pytest.approx(
            expected["variance_no_interaction"][key], abs=tolerance
        )
        assert row["sd"] == pytest.approx(expected["sd_no_interaction"][key], abs=tolerance)
        assert 100 * row["contribution"] == pytest.approx(
            expected["pct_contribution"][key], abs=tolerance
        )
        assert 100 * row["study_share"] == pytest.approx(
            expected["pct_study_var"][key], abs=tolerance
        )
    for key, variance in expected["variance_with_interaction"].items():
        source = names.get(key, key)
        assert kept.loc[source, "estimate"] == pytest.approx(variance, abs=tolerance)
    assert kept.loc["interaction", "note"] == "estimated at or below 0, taken as 0"
    assert found.classes == pytest.approx(expected["ndc_unrounded"], abs=tolerance)
    assert "tells 4 classes of parts apart" in found.sentence()
    assert found.tolerance_share == pytest.approx(6 * expected["sd_no_interaction"]["grr"] / 8)


def test_average_and_range(found):
    expected = case("gauge_rr_range")["expected"]
    sd = rows(found, RANGE)["sd"]
    names = {
        "EV": "repeatability",
        "AV": "reproducibility",
        "GRR": "total gauge",
        "PV": "part to part",
        "TV": "total",
    }
    for key, source in names.items():
        assert sd[source] == pytest.approx(expected[key], abs=1e-4)
    share = rows(found, RANGE).loc["total gauge", "study_share"]
    assert 100 * share == pytest.approx(expected["pct_GRR"], abs=2e-3)
    assert found.classes_by_range == pytest.approx(expected["ndc_unrounded"], abs=2e-4)
    assert int(found.classes_by_range) == expected["ndc"]


@pytest.mark.parametrize(("n", "k2"), [(2, 0.7071), (3, 0.5231), (5, 0.4030), (10, 0.3146)])
def test_the_printed_constants(n, k2):
    assert 1 / _expected_range(n)[1] == pytest.approx(k2, abs=6e-5)


def test_the_mean_range_of_two_and_of_three():
    assert _expected_range(2)[0] == pytest.approx(2 / np.pi**0.5, abs=1e-6)
    assert _expected_range(3)[0] == pytest.approx(3 / np.pi**0.5, abs=1e-6)


def test_repeatability_has_the_interval_of_chi_square(found):
    # pooled: SS 3.117916, 78 df
    ss = 0.35898222 + 2.75893333
    row = rows(found, POOLED).loc["repeatability"]
    assert row["low"] == pytest.approx(ss / stats.chi2.ppf(0.975, 78), rel=0.01)
    assert row["high"] == pytest.approx(ss / stats.chi2.ppf(0.025, 78), rel=0.01)


def test_shares_add_up_and_intervals_hold_the_estimates(found):
    for model in (POOLED, KEPT, RANGE):
        table = rows(found, model)
        assert table.loc[["total gauge", "part to part"], "contribution"].sum() == pytest.approx(1)
    known = found.table[found.table["model"] != RANGE].query("estimate > 0")
    assert (known["low"] <= known["estimate"]).all()
    assert (known["estimate"] <= known["high"]).all()


def test_units_and_order_of_rows_do_not_matter(aiag, found):
    other = gauge_rr(
        aiag.sample(frac=1, random_state=2).assign(value=lambda t: 60 * t["value"] + 7),
        tolerance=480,
        rng=np.random.default_rng(1),
    )
    assert other.gauge_share == pytest.approx(found.gauge_share)
    assert (other.low, other.high) == pytest.approx((found.low, found.high))
    assert other.tolerance_share == pytest.approx(found.tolerance_share)


def test_an_interaction_is_kept_where_it_shows():
    rng = np.random.default_rng(4)
    part, both = 3 * rng.normal(size=(8, 1, 1)), 2 * rng.normal(size=(8, 3, 1))
    cube = part + both + 0.3 * rng.normal(size=(8, 3, 2))
    at = np.indices(cube.shape).reshape(3, -1)
    study = pd.DataFrame({"part": at[0], "operator": at[1], "value": cube.ravel()})
    found = gauge_rr(study, rng=rng)
    assert found.model == KEPT
    assert rows(found, KEPT).loc["interaction", "estimate"] == pytest.approx(4, rel=0.9)
    assert "interaction kept, since p 0.000 is not above 0.05" in found.sentence()


def test_bad_input(aiag):
    rng = np.random.default_rng(1)
    with pytest.raises(Refusal, match="C measured part 09 2 times, A measured part 00 3 times"):
        gauge_rr(aiag.iloc[:-1], rng=rng)
    with pytest.raises(Refusal, match="not measure every part equally often"):
        gauge_rr(aiag[~((aiag["part"] == "part 03") & (aiag["operator"] == "B"))], rng=rng)
    with pytest.raises(Refusal, match="10 parts and 1 operator"):
        gauge_rr(aiag[aiag["operator"] == "A"], rng=rng)
    with pytest.raises(Refusal, match="measured once only"):
        gauge_rr(aiag.groupby(["part", "operator"], as_index=False).head(1), rng=rng)
    with pytest.raises(Refusal, match="very same value each time"):
        gauge_rr(aiag.assign(value=1.0), rng=rng)
    with pytest.raises(Problem, match="no numbers"):
        gauge_rr(aiag.assign(value="long"), rng=rng)
    with pytest.raises(Problem, match="tolerance is 0"):
        gauge_rr(aiag, tolerance=0, rng=rng)
    with pytest.raises(Refusal, match="0 parts"):
        gauge_rr(aiag.assign(value=np.nan), rng=rng)


def test_blank_rows_are_counted(aiag):
    more = pd.concat([aiag, aiag.head(2).assign(value=np.nan)])
    found = gauge_rr(more, rng=np.random.default_rng(1))
    assert found.left_out == 2
    assert "Left out, without a value, part or operator: 2 rows." in found.sentence()


def test_sentence_and_picture(found):
    first = found.sentence().splitlines()[0]
    assert f"The measuring is 27.9 % (95% interval {100 * found.low:.1f}" in first
    assert "AIAG 2010" in first
    assert len(first) <= 220
    ax = found.plot(plt.figure().subplots())
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == "total gauge"
    assert "total" not in names
    plt.close("all")
