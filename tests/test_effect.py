"""Difference in differences: sums by hand, two published cases, and what its intervals promise."""

import json
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods import effect
from sqm.methods.effect import difference_in_differences, site_weeks
from sqm.panel_change import Choices, Fit, each_site, two_way

REFERENCE = Path(__file__).parent / "reference"
WORKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
CHANGED = ["S00", "S01", "S02", "S03"]


def year(rng, *, sites=12, before=24, after=8, changed=4, step=0.0, drift=0.0, n=200):
    """Site-weeks with autocorrelated site shocks, a common course, and a step at some sites."""
    weeks = before + after
    shock = np.zeros((sites, weeks))
    for week in range(1, weeks):
        shock[:, week] = 0.6 * shock[:, week - 1] + rng.normal(0, 0.016, sites)
    mean = 0.7 + rng.normal(0, 0.05, (sites, 1)) + rng.normal(0, 0.02, weeks) + shock
    mean = mean + rng.normal(0, 0.03, (sites, weeks))
    mean[:changed, before:] += step
    mean[:changed] += drift * np.arange(weeks)
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{site:02d}" for site in range(sites)], weeks),
            "period": np.tile(pd.date_range("2025-01-06", periods=weeks, freq="7D"), sites),
            "n": rng.integers(n // 2, n, sites * weeks),
            "mean": mean.ravel(),
        }
    )


def ask(panel, *, treated=CHANGED, change_on="2025-06-23", **settings):
    settings = {"measure_name": "resolved", "unit": "share", "better": "higher"} | settings
    return difference_in_differences(
        panel, treated=treated, change_on=change_on, rng=np.random.default_rng(1), **settings
    )


def changes(panel):
    """Each site's mean after less its mean before, all weeks alike."""
    after = panel["period"] >= "2025-06-23"
    means = [panel[rows].groupby("site")["mean"].mean() for rows in (after, ~after)]
    return means[0] - means[1]


@pytest.fixture(scope="module")
def improved():
    return ask(year(np.random.default_rng(3), step=0.10))


def row(found, kind):
    return found.table[found.table["kind"] == kind].iloc[0]


# --- The panel ------------------------------------------------------------------------------------


def test_site_weeks_by_hand():
    days = pd.date_range("2025-09-29", "2025-10-15", freq="D")  # two whole weeks and three days
    records = pd.DataFrame({"arrived": days, "site": "N1", "wait_s": np.arange(17.0)})
    records.loc[1, "wait_s"] = np.nan
    panel = site_weeks(records, measure="wait_s", calendar=Calendar())
    assert panel["period"].tolist() == [pd.Timestamp("2025-09-29"), pd.Timestamp("2025-10-06")]
    assert panel["n"].tolist() == [6, 7]
    # 0 + 2 + 3 + 4 + 5 + 6 = 20 over six; 7 to 13 have mean 10
    assert panel["mean"].tolist() == pytest.approx([20 / 6, 10])
    assert panel["left_out"].tolist() == [1, 0]


def test_site_weeks_of_flags_with_zone_and_blanks():
    arrived = pd.date_range("2025-09-29 08:00", periods=5, freq="D", tz="Europe/Madrid")
    resolved = pd.array([True, False, pd.NA, True, True], dtype="boolean")
    records = pd.DataFrame({"arrived": arrived, "site": "N1", "resolved": resolved})
    panel = site_weeks(
        records, measure="resolved", calendar=Calendar("Europe/Madrid", 8, 20, WORKDAYS)
    )
    assert panel[["n", "mean", "left_out"]].to_numpy().tolist() == [[4, 0.75, 1]]
    assert panel["period"].dt.tz is None


def test_site_weeks_refuses_text_and_a_misspelt_column():
    records = pd.DataFrame({"arrived": pd.to_datetime(["2025-09-29"]), "site": "A", "x": ["much"]})
    with pytest.raises(Problem, match="holds text such as 'much'"):
        site_weeks(records, measure="x", calendar=Calendar())
    with pytest.raises(Problem, match="did you mean 'site'"):
        site_weeks(records, measure="x", site="sites", calendar=Calendar())


# --- The estimate ---------------------------------------------------------------------------------


def test_published_card_and_krueger():
    """Balanced stores: 2.75, and 1.34 by Welch on first differences, which CR2 must equal."""
    case = json.loads((REFERENCE / "did_card_krueger_1994.json").read_text(encoding="utf-8"))
    wide = pd.DataFrame(case["stores"], columns=["new_jersey", "before", "after"])
    long = pd.DataFrame(
        {
            "site": np.tile([f"{store:03d}" for store in range(len(wide))], 2),
            "period": np.repeat([0, 1], len(wide)),
            "n": 1,
            "mean": np.concatenate([wide["before"], wide["after"]]),
        }
    )
    dose = long["period"] * np.tile(wide["new_jersey"], 2)
    fit = two_way(long, dose, confidence=0.95)
    assert fit.estimate == pytest.approx(case["balanced"]["did"], abs=1e-6)
    assert fit.standard_error == pytest.approx(case["balanced"]["se_hc2_welch"], abs=1e-6)
    assert fit.standard_error == pytest.approx(case["published"]["standard_error"], abs=0.005)


def test_published_organ_donations():
    case = json.loads((REFERENCE / "did_twfe_organ_donations.json").read_text(encoding="utf-8"))
    rates = pd.DataFrame(case["rates"])
    long = rates.melt(var_name="site", value_name="mean", ignore_index=False)
    long = long.rename_axis("period").reset_index().assign(n=1)
    dose = (long["site"] == case["treated"]) & (long["period"] >= case["first_after"])
    fit = two_way(long, dose, confidence=0.95)
    assert (len(long), fit.sites) == (case["expected"]["n"], case["expected"]["states"])
    assert fit.estimate == pytest.approx(case["expected"]["did"], abs=1e-6)


def test_equal_weights_give_welch_on_the_changes():
    """Estimate, standard error; the degrees of freedom are those of equal variances (6.1)."""
    panel = year(np.random.default_rng(5), step=0.05).assign(n=100)
    found = ask(panel)
    change = changes(panel)
    one, other = change[:4], change[4:]
    assert found.estimate == pytest.approx(one.mean() - other.mean())
    assert found.standard_error == pytest.approx(np.sqrt(one.var() / 4 + other.var() / 8))
    by_hand = (1 / 4 + 1 / 8) ** 2 / (1 / 4**2 / 3 + 1 / 8**2 / 7)
    assert found.degrees_of_freedom == pytest.approx(by_hand)
    assert found.naive == pytest.approx(one.mean())
    assert found.elsewhere == pytest.approx(other.mean())
    half = found.standard_error * stats.t.ppf(0.975, by_hand)
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))


def test_one_site_is_judged_by_the_spread_of_the_others():
    """With equal weights: the change against m others, t(m - 1), s sqrt(1 + 1/m)."""
    panel = year(np.random.default_rng(5), step=0.05).assign(n=100)
    change = changes(panel)
    others = change[4:]
    site = row(ask(panel), "site")
    half = stats.t.ppf(0.975, 7) * others.std() * np.sqrt(1 + 1 / 8)
    assert site["estimate"] == pytest.approx(change["S00"] - others.mean())
    assert site["high"] - site["low"] == pytest.approx(2 * half)
    alone = row(ask(panel), "untreated")
    rest = change[5:]
    assert alone["estimate"] == pytest.approx(change["S04"] - rest.mean())
    half = stats.t.ppf(0.975, 6) * rest.std() * np.sqrt(1 + 1 / 7)
    assert alone["high"] - alone["low"] == pytest.approx(2 * half)


def test_what_all_sites_share_and_where_they_start_do_not_matter(improved):
    panel = year(np.random.default_rng(3), step=0.10)
    moved = panel.assign(
        mean=panel["mean"]
        + panel["period"].map(lambda week: week.month / 10)
        + panel["site"].map(lambda site: int(site[1:]) / 5)
    )
    again = ask(moved)
    assert (again.estimate, again.low) == pytest.approx((improved.estimate, improved.low))
    assert again.p == improved.p


def test_choosing_other_sites_by_hand():
    """Two of four sites, equal weights: six choices, of which the true one and its mirror tie."""
    weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    after = {"A": 9.0, "B": 8.0, "C": 2.0, "D": 1.0}
    panel = pd.DataFrame(
        [
            {"site": site, "period": week, "n": 5, "mean": value if i >= 8 else 0.0}
            for site, value in after.items()
            for i, week in enumerate(weeks)
        ]
    )
    found = ask(panel, treated=["A", "B"], change_on="2025-03-03")
    assert (found.as_large, found.choices, found.all_choices) == (2, 6, True)
    assert found.p == pytest.approx(2 / 6)


def test_too_many_choices_are_sampled_and_the_same_again():
    panel = year(np.random.default_rng(3), step=0.10)
    one, two = (ask(panel, permutations=100) for _ in range(2))
    assert (one.choices, one.all_choices) == (100, False)
    assert one.as_large >= 1
    assert one.table.equals(two.table)
    assert "a sample of 100 choices" in one.sentence()


# --- What it says ---------------------------------------------------------------------------------


def test_a_step_is_found_and_told(improved):
    assert improved.verdict == "improved"
    assert improved.low < 0.10 < improved.high
    words = improved.sentence()
    assert f"{improved.estimate * 100:.1f} percentage points" in words
    assert "an improvement" in words and "24 whole weeks before and 8 after" in words
    assert f"{improved.as_large} of all 495 choices of 4 sites" in words
    assert "without the change these sites would have moved as the others did" in words


def test_an_interval_that_choices_of_sites_contradict_claims_nothing(improved):
    doubted = replace(improved, verdict="no change shown", low=0.01, high=0.2)
    said = doubted.sentence().split("\n")
    assert said[0].endswith("too little to claim a change.")
    assert said[1].startswith("The interval leaves zero out, but as large a difference")
    plain = replace(improved, verdict="no change shown", low=-0.01, high=0.2).sentence()
    assert "no change is shown" in plain


def test_a_site_without_the_change_is_not_called_improved(improved):
    alone = improved.table[improved.table["kind"] == "untreated"]
    assert len(alone) == improved.tried_alone == 8
    assert set(alone["called"]) == {"no change shown"}
    assert improved.called_without == 0
    assert improved.called_with >= 1


def test_the_direction_of_better_is_a_parameter():
    panel = year(np.random.default_rng(3), step=0.10)
    worse = ask(panel, better="lower")
    assert worse.verdict == "worsened"
    assert "a change for the worse" in worse.sentence()


def test_common_change_is_not_the_effect():
    """All sites improve by 0.1 and none was changed more: naive sees it, the method does not."""
    panel = year(np.random.default_rng(8))
    after = panel["period"] >= "2025-06-23"
    found = ask(panel.assign(mean=panel["mean"] + 0.1 * after))
    assert found.naive_low > 0.05
    assert found.verdict == "no change shown"
    assert found.elsewhere > 0.05


def test_a_drift_before_the_change_is_exposed():
    found = ask(year(np.random.default_rng(3), drift=0.004))
    assert found.slope_low < 13 * 0.004 < found.slope_high
    assert found.slope_low > 0
    assert "distrust the effect" in found.sentence()


def test_choices_can_contradict_the_interval():
    did = Fit(-20.6, -40.9, -0.3, 8.0, 5.8, 100, 12)
    chance = Choices(0.11, 55, 495, True)
    few = Choices(0.33, 2, 6, True)
    assert effect._verdict(did, chance, "lower", 0.95) == "no change shown"
    assert effect._verdict(did, few, "lower", 0.95) == "improved"


def test_holm_by_hand():
    """0.012 < 0.05 / 3, 0.016 < 0.05 / 2, 0.03 < 0.05 / 1; but 0.02 > 0.05 / 3 stops at once."""
    alone = pd.DataFrame({"estimate": [1.0, -1.0, 1.0], "p": [0.03, 0.012, 0.016]})
    called = effect._called(alone, "higher", 0.95)["called"].tolist()
    assert called == ["improved", "worsened", "improved"]
    none = effect._called(alone.assign(p=[0.03, 0.02, 0.04]), "higher", 0.95)["called"]
    assert set(none) == {"no change shown"}


def test_the_table_stands_on_its_own(improved):
    table = improved.table
    assert table["kind"].tolist()[:5] == ["did", "naive", "elsewhere", "false date", "slope"]
    assert (table["kind"] == "site").sum() == 4
    assert set(table["measure"]) == {"resolved"} and set(table["unit"]) == {"share"}
    assert (table["low"] < table["estimate"]).all() and (table["estimate"] < table["high"]).all()
    assert table["assumes"].str.len().gt(0).all()
    assert row(improved, "did")["n"] == improved.n


def test_picture(improved):
    ax = improved.plot(plt.figure().gca())
    assert ax.get_title().startswith("Did the change make the difference?")
    assert "percentage points" in ax.get_ylabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["effect", "95% interval"]
    step = next(line for line in ax.lines if line.get_label() == "effect")
    assert step.get_ydata()[0] == pytest.approx(improved.estimate * 100)
    plt.close("all")


# --- What it leaves out or refuses ----------------------------------------------------------------


def test_a_week_that_holds_the_change_and_a_site_that_closed_are_left_out_and_told():
    panel = year(np.random.default_rng(3), step=0.10)
    panel = panel[(panel["site"] != "S11") | (panel["period"] < "2025-06-01")]
    found = ask(panel.assign(left_out=2), change_on="2025-06-25")
    assert (found.weeks_before, found.weeks_after, found.weeks_left_out) == (24, 7, 1)
    assert found.sites_left_out == ("S11",)
    assert found.left_out == 2 * 11 * 31
    assert "1 week left out" in found.sentence() and "S11" in found.sentence()


@pytest.mark.parametrize(
    ("change_on", "words"),
    [
        ("2025-02-24", "7 whole weeks before"),
        ("2025-08-11", "1 whole week after"),
        ("2026-08-11", "no common weeks"),
    ],
)
def test_too_few_weeks_are_refused(change_on, words):
    with pytest.raises(Refusal, match=words):
        ask(year(np.random.default_rng(3)), change_on=change_on)


@pytest.mark.parametrize(
    ("treated", "words"),
    [
        (["S00"], "Only one site with the change"),
        ([f"S{site:02d}" for site in range(11)], "Only one site without the change"),
        ([f"S{site:02d}" for site in range(12)], "no site without the change"),
        ([], "no site with the change"),
    ],
)
def test_one_site_on_a_side_is_refused(treated, words):
    with pytest.raises(Refusal, match=words):
        ask(year(np.random.default_rng(3)), treated=treated)


def test_no_common_weeks_are_refused():
    panel = year(np.random.default_rng(3))
    early = panel["period"] < "2025-04-01"
    apart = panel[panel["site"].isin(CHANGED) == early]
    with pytest.raises(Refusal, match="no common weeks"):
        ask(apart)


def test_a_site_without_a_whole_week_or_misspelt_is_refused():
    with pytest.raises(Refusal, match="'S1' has no whole week") as caught:
        ask(year(np.random.default_rng(3)), treated=["S00", "S1"])
    assert "did you mean" in caught.value.mend


def test_a_measure_that_never_varies_is_refused():
    with pytest.raises(Refusal, match="the same in every week"):
        ask(year(np.random.default_rng(3)).assign(mean=0.0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"change_on": "29/09/2025"}, "cannot be read"),
        ({"better": "high"}, "did you mean 'higher'"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_bad_settings_are_problems(settings, words):
    with pytest.raises(Problem, match=words) as caught:
        ask(year(np.random.default_rng(3)), **settings)
    assert not isinstance(caught.value, Refusal)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda panel: pd.concat([panel, panel[:1]]), "'S00' twice in the week of 2025-01-06"),
        (lambda panel: panel.assign(n=0), "without records"),
        (lambda panel: panel.drop(columns="mean"), "no column 'mean'"),
        (lambda panel: panel.assign(period="2025-01-06"), "not a date"),
    ],
)
def test_bad_panels_are_problems(spoil, words):
    with pytest.raises(Problem, match=words):
        ask(spoil(year(np.random.default_rng(3))))


# --- Its promises ---------------------------------------------------------------------------------


def test_the_interval_covers_and_single_sites_raise_few_false_alarms():
    """120 years: 0.95 claimed, standard error 0.02; 0.05 for any false call, the same."""
    rng = np.random.default_rng(17)
    covered, narrow, false_calls = [], [], []
    for _ in range(120):
        panel = year(rng, before=10, after=4, step=0.08)
        panel["treated"] = panel["site"].isin(CHANGED)
        panel["after"] = panel["period"] >= "2025-03-17"
        fit = two_way(panel, panel["after"] * panel["treated"], confidence=0.95)
        covered.append(fit.low <= 0.08 <= fit.high)
        narrow.append(abs(fit.estimate - 0.08) <= 1.96 * fit.standard_error)
        alone = effect._called(each_site(panel, panel["after"], confidence=0.95), "higher", 0.95)
        false_calls.append(effect._counts(alone)["called_without"] > 0)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert np.mean(narrow) < np.mean(covered)
    assert np.mean(false_calls) <= 0.11
