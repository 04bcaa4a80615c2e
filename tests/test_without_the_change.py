"""Without the change: the flagship's numbers, one picture, and what happens to what is refused."""

import json
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.counterfactual import counterfactual
from sqm.methods.without_the_change import without_the_change
from sqm.synthetic_control import synthetic_control

WEEKS = pd.date_range("2025-01-06", periods=40, freq="7D")
CHANGE = "2025-07-28"  # 29 weeks before, 11 after
SITES = list("TUABCDEF")


def panel_of(seed, *, step=0.0, sites=SITES, shared=1.0):
    rng = np.random.default_rng(seed)
    common = shared * np.cumsum(rng.normal(size=40))
    means = common + rng.normal(0, 0.5, (len(sites), 40)) + np.arange(len(sites))[:, None]
    means[:2, WEEKS >= CHANGE] += step
    return pd.DataFrame(
        {"site": np.repeat(sites, 40), "period": list(WEEKS) * len(sites), "n": 60}
    ).assign(mean=means.ravel())


def asked(panel, **more):
    given = {"treated": ["T", "U"], "change_on": CHANGE, "measure_name": "mean wait", "unit": "s"}
    given |= {"better": "lower", "rng": np.random.default_rng(1)}
    return without_the_change(panel, **given | more)


@pytest.fixture(scope="module")
def found():
    return asked(panel_of(1, step=-3.0))


def test_the_step_is_found_and_told(found):
    assert found.low < -3 < found.high < 0
    assert found.verdict == "improved"
    first, rest = found.sentence().split("\n")
    assert f"differed by {found.estimate:.1f}" in first
    assert first.endswith("an improvement.")
    assert len(first) <= 220
    assert "Against a blend of other sites: " in rest
    assert f"p = {found.p:.2g}" in rest
    assert "approximate where weeks are few and wander" in rest


def test_the_rows_are_the_designs_own_answers(found):
    panel = panel_of(1, step=-3.0)
    given = {"treated": ["T", "U"], "change_on": CHANGE, "confidence": 0.95}
    given["rng"] = np.random.default_rng(1)
    rows = found.table.set_index("design")
    for design in (counterfactual, synthetic_control):
        rung = design(panel, **given).rung
        row = rows.loc[rung.design]
        assert (row["estimate"], row["low"], row["high"]) == (rung.estimate, rung.low, rung.high)


def test_observed_less_forecast_is_the_effect(found):
    after = pd.to_datetime(list(found.weeks)) >= CHANGE
    gap = (np.array(found.observed) - np.array(found.forecast))[after]
    assert gap.mean() == pytest.approx(found.estimate, abs=1e-9)
    low, high = (np.array(each)[after] for each in (found.forecast_low, found.forecast_high))
    assert ((low < high) & np.isfinite(low)).all()


def test_the_picture_holds_three_lines_and_the_limits(found):
    ax = found.plot(plt.figure().gca())
    labels = ax.get_legend_handles_labels()[1]
    assert labels == [
        "forecast from the others",
        "blend of others",
        "own trend",
        "95% limits of a week",
    ]
    assert ax.get_title().startswith("What would have happened without the change?")


def test_with_one_other_site_the_blend_is_refused_in_its_row():
    found = asked(panel_of(2, sites=["T", "U", "A"]))
    row = found.table.set_index("design").loc["synthetic control"]
    assert np.isnan(row["estimate"])
    assert "5 are the fewest" in row["refused"]
    assert found.synthetic == ()
    assert "A blend of other sites is not given: 1 site without" in found.sentence()
    assert found.plot(plt.figure().gca()).get_title()


def test_without_other_sites_the_trend_is_left():
    found = asked(panel_of(2, sites=["T", "U"]))
    assert found.design == "interrupted series"
    assert "from their own trend" in found.sentence()


def test_nothing_is_left():
    panel = panel_of(1)
    with pytest.raises(Refusal, match="at the first point"):
        asked(panel, change_on="2025-01-06")
    with pytest.raises(Problem, match="twice"):
        asked(pd.concat([panel, panel.head(1)]))
    with pytest.raises(Refusal, match="same in every"):
        asked(panel.assign(mean=1.0))
    with pytest.raises(Problem, match="better"):
        asked(panel, better="less")


def test_no_common_weeks_leaves_their_own_trend():
    panel = panel_of(1)
    late = panel["period"] + pd.to_timedelta(420 * (~panel["site"].isin(["T", "U"])), unit="D")
    found = asked(panel.assign(period=late))
    assert found.table["refused"].str.contains("no common weeks").sum() == 2


def test_a_failed_check_claims_nothing(found):
    doubted = replace(found, verdict="no change shown", passed="no")
    assert "but the check of that yardstick failed" in doubted.sentence()


def test_numbers_can_be_kept(found):
    kept = {k: v for k, v in vars(found).items() if k != "table"}
    assert json.loads(json.dumps(kept))["design"] == "forecast from the other sites"
