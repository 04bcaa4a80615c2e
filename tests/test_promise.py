"""Shares in breach against a simulation with known truth, statsmodels, sums by hand, and limits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from statsmodels.duration.survfunc import SurvfuncRight

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.promise import sla, sla_by_group

REFERENCE = Path(__file__).parent / "reference"


def snapshot(n, seed, *, median=2.0):
    """Cases opened evenly over 30 days, lognormal times, looked at on the last day."""
    rng = np.random.default_rng(seed)
    opened = 30 * rng.random(n)
    days = median * np.exp(rng.normal(size=n))
    return pd.DataFrame(
        {
            "resolution_d": np.minimum(days, 30 - opened),
            "resolution_d_open": days > 30 - opened,
            "site": rng.choice(["north", "south"], n),
        }
    )


@pytest.fixture(scope="module")
def cases():
    return snapshot(600, 1)


def test_open_cases_are_worth_counting():
    """Arrivals on 30 days, lognormal times, snapshot: 18.0 % in truth, 13.7 % by closed ones."""
    case = json.loads((REFERENCE / "sla_censoring.json").read_text(encoding="utf-8"))
    expected, tolerance = case["expected"], case["tolerance"]
    found = sla(snapshot(200_000, 3), promised_d=case["input"]["sla_days"])
    assert found.breach == pytest.approx(expected["true_breach"], abs=tolerance)
    assert found.breach == pytest.approx(expected["kaplan_meier"], abs=tolerance)
    assert found.closed_only == pytest.approx(expected["closed_only"], abs=tolerance)
    assert found.open_cases / found.cases == pytest.approx(expected["open_share"], abs=tolerance)
    assert found.low < expected["true_breach"] < found.high


def test_the_curve_and_its_variance_are_those_of_statsmodels(cases):
    found = sla(cases, promised_d=5)
    other = SurvfuncRight(cases["resolution_d"], (~cases["resolution_d_open"]).astype(int))
    place = np.searchsorted(other.surv_times, 5, side="right") - 1
    share, error = other.surv_prob[place], other.surv_prob_se[place]
    assert found.breach == pytest.approx(share)
    assert (found.low, found.high) == pytest.approx(wilson(share, share * (1 - share) / error**2))
    assert found.median_d == other.quantile(0.5)


def test_by_hand_with_ties():
    # 10 at risk on day 1, one closes: 9/10; 7 left on day 3 (two open ones went), 2 close: 5/7
    days = [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    still = [False, True, True, False, False, True, True, True, True, True]
    found = sla(pd.DataFrame({"resolution_d": days, "resolution_d_open": still}), promised_d=3)
    assert found.breach == pytest.approx(9 / 10 * 5 / 7)
    assert (found.at_risk, found.open_cases, found.oldest_open_d) == (7, 7, 6)
    assert found.closed_only == 0
    assert np.isnan(found.median_d)
    assert "When half are closed is not known yet." in found.sentence()


def test_without_open_cases_it_is_a_plain_share():
    days = np.arange(1.0, 101.0)
    found = sla(pd.DataFrame({"resolution_d": days, "resolution_d_open": False}), promised_d=70)
    assert found.breach == pytest.approx(found.closed_only) == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx(wilson(0.3, 100))
    assert found.median_d == 50
    # where Wilson's interval takes in one half: shares .4038 to .5962 do
    assert (found.median_low_d, found.median_high_d) == (41, 60)


def test_a_case_that_closes_exactly_on_time_has_kept_the_promise():
    data = pd.DataFrame({"resolution_d": [5.0] * 10, "resolution_d_open": False})
    kept, broken = sla(data, promised_d=5), sla(data.assign(resolution_d=5.1), promised_d=5)
    assert (kept.breach, kept.low) == (0, 0)
    assert kept.high == pytest.approx(wilson(0, 10)[1])
    assert (broken.breach, broken.high) == (1, 1)
    assert broken.low == pytest.approx(wilson(1, 10)[0])


def test_all_closed_long_before_the_promise():
    data = pd.DataFrame({"resolution_d": np.arange(1.0, 21.0), "resolution_d_open": False})
    found = sla(data, promised_d=60)
    assert (found.breach, found.low, found.at_risk) == (0, 0, 0)
    assert found.high == pytest.approx(wilson(0, 20)[1])


def test_each_case_its_own_cluster_changes_only_the_quantile(cases):
    one = sla(cases, promised_d=5)
    own = sla(cases.assign(case=[str(i) for i in range(600)]), promised_d=5, clusters="case")
    assert (own.low, own.high) == pytest.approx((one.low, one.high), rel=1e-9)


def test_copies_of_every_case_weigh_as_clusters(cases):
    one = sla(cases, promised_d=5)
    copies = pd.concat([cases.assign(case=range(600))] * 4)
    blind, aware = sla(copies, promised_d=5), sla(copies, promised_d=5, clusters="case")
    assert blind.breach == pytest.approx(aware.breach) == pytest.approx(one.breach)
    assert aware.high - aware.low == pytest.approx(one.high - one.low, rel=0.02)
    assert blind.high - blind.low == pytest.approx((one.high - one.low) / 2, rel=0.02)
    assert "Cases of the same case may be alike" in aware.sentence()


def test_groups(cases):
    found = sla_by_group(cases, by="site", promised_d=5)
    north = sla(cases[cases["site"] == "north"], promised_d=5)
    row = found.table.set_index("group").loc["north"]
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx(
        [north.breach, north.low, north.high]
    )
    assert found.breach == sla(cases, promised_d=5).breach
    assert (
        row["open_late"]
        == (
            cases["resolution_d_open"] & (cases["resolution_d"] > 5) & (cases["site"] == "north")
        ).sum()
    )


def test_a_group_that_cannot_be_said_has_a_note(cases):
    more = pd.concat(
        [
            cases,
            cases.head(5).assign(site="small"),
            cases.head(12).assign(site="new", resolution_d=2.0, resolution_d_open=True),
        ],
        ignore_index=True,
    )
    found = sla_by_group(more, by="site", promised_d=5)
    notes = found.table.set_index("group")["note"]
    assert notes["small"] == "only 5 cases"
    assert notes["new"] == "no case has been followed for 5 days"
    assert "Not said: new (no case has been followed" in found.sentence()
    with pytest.raises(Refusal, match="No group of site"):
        sla_by_group(more[more["site"].isin(["small", "new"])], by="site", promised_d=5)


def test_blanks_are_left_out_and_counted(cases):
    blank = cases.astype({"resolution_d_open": "boolean"})
    blank.loc[:2, "resolution_d"] = np.nan
    blank.loc[3:4, "resolution_d_open"] = pd.NA
    found = sla(blank, promised_d=5)
    assert (found.cases, found.left_out) == (595, 5)
    assert "Left out, without what is needed: 5 cases." in found.sentence()


def test_bad_input(cases):
    with pytest.raises(Problem, match=r"1 of .* have a negative"):
        sla(cases.assign(resolution_d=[-1.0] + [1.0] * 599), promised_d=5)
    with pytest.raises(Problem, match="promised_d is 0"):
        sla(cases, promised_d=0)
    with pytest.raises(Problem, match="holds no numbers"):
        sla(cases.assign(resolution_d="soon"), promised_d=5)
    with pytest.raises(Refusal, match="followed for 90 days"):
        sla(cases, promised_d=90)
    with pytest.raises(Refusal, match="9 usable rows"):
        sla(cases.head(9), promised_d=5)
    with pytest.raises(Refusal, match="no column 'region'"):
        sla_by_group(cases, by="region", promised_d=5)


def test_all_still_open():
    data = pd.DataFrame({"resolution_d": np.arange(1.0, 21.0), "resolution_d_open": True})
    found = sla(data, promised_d=5)
    assert (found.breach, found.high) == (1, 1)
    assert np.isnan(found.closed_only)
    assert found.low == pytest.approx(wilson(1, 16)[0])  # 16 have been followed for 5 days
    assert "none is closed yet" in found.sentence()


def test_sentences_and_pictures(cases):
    cases = cases.assign(site=cases["site"].replace({"north": "<b>$ 😀"}))
    whole, groups = sla(cases, promised_d=5), sla_by_group(cases, by="site", promised_d=5)
    assert f"{100 * whole.breach:.1f} % (95% interval {100 * whole.low:.1f}" in whole.sentence()
    assert "outlast the promised 5 days" in whole.sentence()
    for found in (whole, groups):
        ax = found.plot(plt.figure().subplots())
        assert ax.lines
        assert ax.get_xlabel()
        assert len(found.sentence().splitlines()[0]) <= 220
    assert len(whole.days) <= 200
    plt.close("all")
