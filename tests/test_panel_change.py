"""Sites with and without the change, week by week: checks, single sites, what comes back."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.effect import difference_in_differences
from sqm.panel_change import (
    checked,
    coming_back,
    day_of,
    difference,
    less_what_comes_back,
    usable,
)

CHANGED = ["S00", "S01", "S02", "S03"]
DAY = "2025-07-28"  # the thirtieth week


def year(rng, *, sites=12, before=29, after=11, changed=4, step=0.0, drift=0.0, lasting=1.0):
    """Weeks that wander (autocorrelation 0.5, sd 1) about sites that differ (sd `lasting`)."""
    weeks = before + after
    wander = rng.normal(0, 1, (sites, weeks))
    for week in range(1, weeks):
        wander[:, week] = 0.5 * wander[:, week - 1] + 0.75**0.5 * wander[:, week]
    mean = 50 + rng.normal(0, lasting, (sites, 1)) + rng.normal(0, 1, weeks) + wander
    mean[:changed, before:] += step
    mean[:changed] += drift * np.arange(weeks)
    return panel_of(mean)


def panel_of(mean):
    sites, weeks = mean.shape
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{site:02d}" for site in range(sites)], weeks),
            "period": np.tile(pd.date_range("2025-01-06", periods=weeks, freq="7D"), sites),
            "n": 100,
            "mean": mean.ravel(),
        }
    )


def ask(panel, *, treated=CHANGED, change_on=DAY, design=difference, **settings):
    settings = {"confidence": 0.95, "rng": np.random.default_rng(1)} | settings
    return design(panel, treated=treated, change_on=change_on, **settings)


@pytest.fixture(scope="module")
def stepped():
    return year(np.random.default_rng(2), step=2.0)


# --- Difference in differences --------------------------------------------------------------------


def test_it_is_the_answer_of_the_finding(stepped):
    """The ladder's row and the room `effect` say the same."""
    rung = ask(stepped)
    found = difference_in_differences(
        stepped,
        treated=CHANGED,
        change_on=DAY,
        measure_name="wait",
        better="lower",
        rng=np.random.default_rng(1),
    )
    assert (rung.estimate, rung.low, rung.high) == (found.estimate, found.low, found.high)
    assert (rung.n, rung.clusters, rung.passed) == (found.n, 12, "yes")
    assert f"{found.as_large} of all 495 choices" in rung.check


def test_groups_that_drift_apart_fail_the_check():
    found = ask(year(np.random.default_rng(2), drift=0.15))
    assert found.passed == "no"
    assert "the drift" in found.check.split("failed: ")[1]


def test_other_choices_of_sites_draw_the_interval_out_to_zero():
    """Four sites move by about 1, a fifth by -9: of 495 choices, those with it are as large.

    Chosen alike, c(11, 3) = 165 choices hold that one, more than 20 % of 495.
    """
    mean = np.tile(np.arange(40) % 3 - 1.0, (12, 1))
    mean[:, 30:] += np.array([1, 1, 1, 1.01, -9, 0, 0, 0.01, 0, 0, 0, 0])[:, None]
    found = ask(panel_of(mean), change_on="2025-08-04", confidence=0.8)
    assert found.low == 0.0 < found.high and "drawn out to zero" in found.check
    free = ask(panel_of(mean), change_on="2025-08-04", confidence=0.6)
    assert free.low > 0


def test_too_short_a_past_cannot_say():
    """Eight noisy weeks before, then a long calm: the made-up date has tested little."""
    rng = np.random.default_rng(3)
    mean = np.hstack([rng.normal(0, 5, (12, 8)), rng.normal(0, 0.5, (12, 60))])
    mean[:, :8] -= mean[:, :8].mean(axis=1, keepdims=True)
    assert ask(panel_of(mean), change_on="2025-03-03").passed == "cannot say"


def test_one_changed_site_is_judged_by_the_others(stepped):
    """As a single site of `effect`: change less that of m others, t(m - 1) s root(1 + 1 / m)."""
    found = ask(stepped, treated=["S00"])
    after = stepped["period"] >= DAY
    by_site = [stepped[rows].groupby("site")["mean"].mean() for rows in (after, ~after)]
    change = by_site[0] - by_site[1]
    others = change.drop("S00")
    half = stats.t.ppf(0.975, 10) * others.std() * np.sqrt(1 + 1 / 11)
    assert found.estimate == pytest.approx(change["S00"] - others.mean())
    assert found.high - found.low == pytest.approx(2 * half)
    with pytest.raises(Refusal, match="fewer than three without"):
        ask(stepped[stepped["site"] < "S03"], treated=["S00"])


# --- What comes back by itself --------------------------------------------------------------------


def test_the_share_that_comes_back():
    """Nothing lasting: all of it; lasting differences of sd 10: next to nothing."""
    shares = []
    for lasting in (0.0, 10.0):
        panel = year(np.random.default_rng(5), lasting=lasting)
        used = usable(checked(panel, CHANGED), day_of(DAY))
        back = coming_back(used, rng=np.random.default_rng(1))
        assert 0 <= back.low <= back.share <= max(back.high, back.share) <= 1
        shares.append(back.share)
    assert shares[0] > 0.5 and shares[1] < 0.01


def test_the_worst_sites_come_back_and_it_is_taken_off():
    """Four worst of twelve by chance and by habit; nothing was changed, and no common shocks."""
    rng = np.random.default_rng(7)
    naive, less, taken = [], [], []
    for run in range(60):
        panel = year(rng, lasting=0.3)
        panel["mean"] -= panel.groupby("period")["mean"].transform("mean") - 50
        base = panel[panel["period"] < DAY].groupby("site")["mean"].mean()
        worst = base.nsmallest(4).index.tolist()
        moved = panel[panel["site"].isin(worst)].groupby(panel["period"] >= DAY)["mean"].mean()
        naive.append(moved[True] - moved[False])
        less.append(ask(panel, treated=worst, design=less_what_comes_back))
        if run < 8:  # the sites without the change come back too, downwards
            plain, off = (ask(panel, treated=worst, picked_worst=each) for each in (False, True))
            taken.append((plain.estimate - off.estimate) / (naive[-1] - less[-1].estimate))
    assert np.mean(naive) > 0.15
    # the worst are 4 of 12: the distance of both groups is 12 / 8 of that to the mean of all
    assert np.mean(taken) == pytest.approx(1.5, abs=0.1)
    assert abs(np.mean([each.estimate for each in less])) < 0.08
    assert np.mean([each.low <= 0 <= each.high for each in less]) >= 0.85
    assert "comes back by itself" in less[0].check


def test_too_few_sites_or_weeks_to_know_what_comes_back(stepped):
    with pytest.raises(Refusal, match="5 sites"):
        ask(stepped[stepped["site"] < "S04"], treated=["S00", "S01"], design=less_what_comes_back)
    late = stepped[stepped["period"] >= "2025-05-19"]
    with pytest.raises(Refusal, match="weeks in common"):
        ask(late, design=less_what_comes_back)


# --- Bad panels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"change_on": "2025-01-06"}, "no common weeks on both sides"),  # a step at the first point
        ({"change_on": "2025-02-24"}, "7 whole weeks before"),
        ({"treated": ["S0"]}, "did you mean"),
        ({"treated": []}, "no site with the change"),
    ],
)
def test_what_cannot_be_borne_is_refused(stepped, settings, words):
    with pytest.raises(Refusal, match=words):
        ask(stepped, **settings)


def test_no_common_weeks_duplicates_and_empty_rows(stepped):
    apart = stepped[stepped["site"].isin(CHANGED) == (stepped["period"] < "2025-05-01")]
    with pytest.raises(Refusal, match="no common weeks"):
        ask(apart)
    with pytest.raises(Problem, match="'S00' twice"):
        ask(pd.concat([stepped, stepped[:1]]))
    with pytest.raises(Problem, match="without a mean"):
        ask(stepped.assign(mean=stepped["mean"].where(stepped.index > 0)))
