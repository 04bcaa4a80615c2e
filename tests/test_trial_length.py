"""Weeks of a trial: closed form by hand, power attained by simulation, what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.autocorrelation import needed_ratio, variance_of_change
from sqm.checks import Problem, Refusal
from sqm.methods.trial_length import LONGEST, trial_length


def wander(rng, shape, r):
    chance = rng.normal(size=shape)
    found = np.empty(shape)
    found[..., 0] = chance[..., 0]
    for week in range(1, shape[-1]):
        found[..., week] = r * found[..., week - 1] + np.sqrt(1 - r**2) * chance[..., week]
    return found


def panel(r=0.5, sites=12, weeks=104, seed=1, shared=0.5):
    rng = np.random.default_rng(seed)
    means = wander(rng, (sites, weeks), r) + shared * wander(rng, (1, weeks), r)
    return pd.DataFrame(
        {
            "site": np.repeat([f"S{i}" for i in range(sites)], weeks),
            "period": np.tile(pd.date_range("2024-01-01", periods=weeks, freq="7D"), sites),
            "n": 50,
            "mean": means.ravel() + 10,
        }
    )


def asked(data, **settings):
    usual = {"effect": 0.6, "treated": 4, "control": 8, "measure_name": "wait", "unit": "min"}
    return trial_length(data, **usual | settings, rng=np.random.default_rng(2))


@pytest.fixture(scope="module")
def found():
    return asked(panel())


def test_the_weeks_are_those_of_the_closed_form(found):
    """With the correlation and spread that were put in: the first n that is enough."""
    n = np.arange(1, LONGEST + 1)
    error = np.sqrt(variance_of_change(104, n, 0.5) * (1 / 4 + 1 / 8))
    needed = needed_ratio(np.array([10.0]), power=0.8, confidence=0.95)
    truth = n[0.6 / error >= needed][0]
    assert found.low <= truth <= found.high
    assert found.weeks == pytest.approx(truth, rel=0.15)


def test_a_trial_of_so_many_weeks_has_the_power(found):
    """Student's test of the sites' changes, on trials simulated with the truth."""
    rng = np.random.default_rng(3)
    weeks = int(found.weeks)
    runs = wander(rng, (1500, 12, 104 + weeks), 0.5)
    change = runs[..., 104:].mean(axis=-1) - runs[..., :104].mean(axis=-1)
    change[:, :4] += 0.6
    seen = stats.ttest_ind(change[:, :4], change[:, 4:], axis=1).pvalue < 0.05
    assert seen.mean() == pytest.approx(0.8, abs=0.05)


def test_ignoring_that_weeks_are_alike_says_too_few(found):
    assert found.ignored < found.weeks / 1.5
    assert f"would say {found.ignored:.0f}, {found.weeks - found.ignored:.0f} too few" in str(
        " ".join(found.sentence().split())
    )


def test_where_weeks_are_unlike_it_makes_no_difference():
    plain = asked(panel(r=0.0))
    assert abs(plain.weeks - plain.ignored) <= 1
    assert plain.correlation_low < 0 < plain.correlation_high


def test_what_sites_share_matters_before_and_after_alone():
    """Against control sites it cancels, however large."""
    calm, stormy = (asked(panel(shared=each), effect=1.2) for each in (0.0, 1.5))

    def of(answer, design):
        rows = answer.table[answer.table["neighbours"] == "as measured"]
        return rows[rows["design"] == design]["estimate"].iloc[0]

    assert of(calm, "against control sites") == of(stormy, "against control sites")
    alone = of(stormy, "before and after")
    assert np.isnan(alone) or alone > 2 * of(calm, "before and after")


def test_more_power_needs_more_weeks_and_a_larger_effect_fewer(found):
    rows = found.table[found.table["neighbours"] == "as measured"].set_index(["design", "power"])
    against = rows.loc["against control sites", "estimate"]
    assert against[0.9] > against[0.8]
    assert asked(panel(), effect=-1.0).weeks < found.weeks


def test_an_effect_too_small_is_never_seen_and_the_sentence_says_what_would_be():
    never = asked(panel(), effect=0.05)
    assert np.isnan(never.weeks)
    assert never.table["never"].iloc[0] > 0.9
    first, rest = never.sentence().split("\n")
    assert first.startswith("No trial of up to 260 weeks is enough")
    assert "In 26 weeks the smallest effect" in rest
    error = np.sqrt(variance_of_change(104, 26, 0.5) * (1 / 4 + 1 / 8))
    truth = error * needed_ratio(np.array([10.0]), power=0.8, confidence=0.95)[0]
    assert never.smallest_low < truth < never.smallest_high


def test_the_sentence_says_the_weeks_with_their_interval(found):
    first = found.sentence().splitlines()[0]
    assert first.startswith(
        f"{found.weeks:.0f} weeks (95% interval {found.low:.0f} to {found.high:.0f}) to see"
    )
    assert "80% power, 4 sites with the change against 8 without" in first
    assert len(first) <= 220


def test_without_control_sites_only_before_and_after_is_told():
    alone = asked(panel(), control=0)
    assert set(alone.table["design"]) == {"before and after"}
    one = asked(panel(sites=1), treated=1, control=0, effect=1.5)
    assert one.sites == 1
    assert "1 site before and after" in one.sentence()


def test_one_site_on_each_side_is_no_comparison():
    lonely = asked(panel(sites=2), treated=1, control=1, effect=1.5)
    assert lonely.design == "before and after"
    assert "One site on each side cannot be compared" in lonely.sentence()


def test_a_share_is_told_in_points():
    share = asked(panel().assign(mean=lambda p: p["mean"] / 100), effect=-0.006, unit="share")
    assert "-0.60 percentage points" in share.sentence()


def test_the_same_seed_says_the_same(found):
    pd.testing.assert_frame_equal(asked(panel()).table, found.table)


def test_it_draws(found):
    ax = found.plot()
    assert ax.get_title().replace("\n", " ").endswith("see the effect?")
    assert ax.get_xlabel() == "weeks after the change"
    plt.close("all")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"effect": 0}, "effect to be seen is 0"),
        ({"treated": 0}, "treated is 0"),
        ({"treated": 1.5}, "treated is 1.5"),
        ({"effect": "ten"}, "effect to be seen is ten"),
        ({"weeks_before": 0}, "weeks_before is 0"),
        ({"power": 1.0}, "power is 1.0"),
    ],
)
def test_a_plan_that_makes_no_sense_is_a_problem(settings, match):
    with pytest.raises(Problem, match=match):
        asked(panel(), **settings)


def test_too_few_weeks_are_refused():
    with pytest.raises(Refusal, match="weeks in common"):
        asked(panel(weeks=8))
