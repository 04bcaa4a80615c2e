"""Held-out records against sums by hand, and against worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from scipy.special import expit

from sqm.checks import Problem, Refusal
from sqm.methods import driver_check as room
from sqm.methods.driver_check import held_out, held_out_ways
from sqm.regression import area, fit_logistic, fit_outcome


def year(n=6000, *, seed=1, agents=60):
    """Contacts of six sites: -2.5 + 0.05 a minute + 1.2 if unresolved + 0.4 if abandoned."""
    rng = np.random.default_rng(seed)
    agent = rng.integers(0, agents, n)
    records = pd.DataFrame(
        {
            "site": np.array(list("ABCDEF"))[agent % 6],
            "agent": pd.Series(agent).map("a{:02d}".format),
            "wait_s": rng.exponential(300, n),
            "ending": rng.choice(["resolved", "unresolved", "abandoned"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    eta = -2.5 + 0.05 * records["wait_s"] / 60
    eta += records["ending"].map({"resolved": 0.0, "unresolved": 1.2, "abandoned": 0.4})
    records["complained"] = rng.random(n) < expit(eta)
    records["agent"] = records["agent"].mask(records["ending"] == "abandoned")
    return records


SETTINGS = {"drivers": ["wait_s", "ending"], "per": {"wait_s": 60}}


@pytest.fixture(scope="module")
def fitted():
    return fit_logistic(year(), **SETTINGS)


# --- A later period -------------------------------------------------------------------------------


def test_area_and_ratio_by_hand():
    y = np.array([1.0, 1, 0, 0])
    # pairs: 0.8 over 0.5, 0.8 over 0.2, 0.5 ties 0.5, 0.5 over 0.2: 3.5 of 4
    auc, right = area(y, np.array([0.8, 0.5, 0.5, 0.2]))
    assert auc == 3.5 / 4
    assert right.tolist() == [1.0, 0.75, 0.75, 1.0]


def test_delong_interval_of_single_rows_is_the_textbook_one():
    # variance: S10 / m + S01 / n with the components' sample variances (DeLong et al. 1988);
    # summed over single rows the corrections are (m - 1) / m and (n - 1) / n, hence the tolerance
    rng = np.random.default_rng(3)
    y = np.repeat([1.0, 0.0], [150, 250])
    score = expit(rng.normal(y, 1))
    auc, right = area(y, score)
    textbook = np.sqrt(right[:150].var(ddof=1) / 150 + right[150:].var(ddof=1) / 250)
    error = room._clustered_error((right - auc) / np.where(y == 1, 150, 250), np.arange(400))
    assert error == pytest.approx(textbook, rel=0.01)


def test_a_true_model_is_usable_on_the_next_year(fitted):
    found = held_out(fitted, year(seed=2))
    assert found.usable
    assert found.auc_low < found.auc < found.auc_high
    assert found.slope_low < 1 < found.slope_high
    assert found.ratio_low < 1 < found.ratio_high
    assert found.table["events"].sum() == found.events
    assert "may be used for averages over many records" in found.sentence()


def test_calibration_on_the_rows_of_the_fit_is_perfect(fitted):
    # maximum likelihood: sums agree, and the best slope on its own predictions is 1
    found = held_out(fitted, year())
    assert (found.slope, found.ratio) == pytest.approx((1, 1), abs=1e-6)
    assert found.intercept == pytest.approx(0, abs=1e-6)


def test_a_world_that_changed_is_told(fitted):
    later = year(seed=2)
    drop = np.random.default_rng(0).random(len(later)) < 0.5
    found = held_out(fitted, later.assign(complained=later["complained"] & ~drop))
    assert not found.usable
    assert "must not be used" in found.sentence()
    assert "observed over expected, 0." in found.because


def test_chance_is_no_model(fitted):
    later = year(seed=2)
    shuffled = np.random.default_rng(0).permutation(later["complained"])
    found = held_out(fitted, later.assign(complained=shuffled))
    assert not found.usable and "coin" in found.because
    assert found.auc_low < 0.5 < found.auc_high


def test_few_events_do_not_permit_a_verdict(fitted):
    found = held_out(fitted, year(400, seed=2))
    assert found.events < 100
    assert not found.usable and "too few to judge by" in found.because


def test_levels_that_are_new_are_left_out(fitted):
    later = year(seed=2)
    later.loc[later.index[:50], "site"] = "Z"
    assert held_out(fitted, later).left_out == 50


def test_unknown_rule(fitted):
    with pytest.raises(Problem, match="no rule 'always'"):
        held_out(fitted, year(), rule="always")


def test_picture_of_the_later_period(fitted):
    ax = held_out(fitted, year(seed=2)).plot(plt.figure().add_subplot())
    assert ax.get_title().endswith("?") and "interval" in ax.get_ylabel()
    plt.close("all")


# --- Several ways: what is counted ----------------------------------------------------------------


def test_pairs_are_compared_within_a_fold_only():
    # fold 0: 0.9 over 0.1, right; fold 1: 0.2 under 0.3, wrong; across folds nothing is compared
    y, score = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.1, 0.2, 0.3])
    found, parts = room._concordance(y, score, np.array([0, 0, 1, 1]))
    assert found == 0.5
    assert parts.tolist() == [0.25, 0.25, -0.25, -0.25]
    assert room._concordance(y, score, np.zeros(4, dtype=int))[0] == 0.5 + 0.25


def test_concordance_of_levels_by_hand():
    # levels 0, 1, 2; pairs 0-1 right, 0-2 right, 1-2 tied: 2.5 of 3
    found, parts = room._concordance(
        np.array([0.0, 1, 2]), np.array([0.1, 0.5, 0.5]), np.zeros(3, dtype=int)
    )
    assert found == pytest.approx(2.5 / 3)
    assert parts.sum() == pytest.approx(0)


def test_concordance_is_somers_d():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 5, 300).astype(float)
    score = (y + rng.normal(0, 2, 300)).round(1)
    found, _ = room._concordance(y, score, np.zeros(300, dtype=int))
    assert 2 * found - 1 == pytest.approx(stats.somersd(y, score).statistic)


def test_one_fold_has_delongs_components():
    rng = np.random.default_rng(3)
    y = np.repeat([1.0, 0.0], [150, 250])
    score = rng.normal(y)
    auc, right = area(y, score)
    found, parts = room._concordance(y, score, np.zeros(400, dtype=int))
    assert found == pytest.approx(auc)
    assert parts == pytest.approx((right - auc) / np.where(y == 1, 150, 250))


def test_pairs_of_clusters_by_hand():
    # clusters a (an event at .9, a non-event at .5) and b (.4 and .1): all 4 pairs but b's event
    # over a's non-event are right, 3 of 4; 1 - 3/4 each, -3/4 for that one, over 4 pairs
    scored = room._Scored(
        np.array([1.0, 0, 1, 0]), np.array([0.9, 0.5, 0.4, 0.1]), np.zeros(4, dtype=int)
    )
    dyads = room._dyads(scored, np.array([0, 0, 1, 1]), 2)
    assert dyads * 16 == pytest.approx(np.array([[1, 1], [-3, 1]]))
    # sums of a and b: 1 + (1 - 3) = -1 each; squares 2, less (-2)^2 = 4, at least half of 2: 1;
    # times 2 / (2 - 1)
    assert room._dyadic_error(dyads) == pytest.approx(np.sqrt(2) / 16)


def test_groups_that_are_each_a_fold_vary_as_their_own_areas():
    """Equal pairs in each group: the area is the mean of theirs, with the error of a mean."""
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(12), 40)
    y, score = np.tile([1.0, 0], 240), rng.normal(size=480)
    own = np.array([area(y[group == g], score[group == g])[0] for g in range(12)])
    found = room._error(room._Scored(y, score, group), None, group)
    assert found == pytest.approx(own.std(ddof=1) / np.sqrt(12))


def test_the_refit_is_that_of_maximum_likelihood(fitted):
    used = room.known_to(fitted, year())[0].reset_index(drop=True)
    case = room._case(fitted, used)
    b = room._refit(case, np.arange(len(used)))
    assert b == pytest.approx(fitted.b, abs=2e-4)  # the ridge is worth less than a record


def test_a_level_that_was_not_met_gets_the_mean_of_the_others():
    """Sites A and B complain at 0.2 and 0.6, A with three times as many: C is given 0.3."""
    records = pd.DataFrame(
        {
            "site": ["A"] * 300 + ["B"] * 100 + ["C"] * 100,
            "odd": np.arange(500) % 2,
            "complained": [1, 0, 0, 0, 0] * 60 + [1, 1, 1, 0, 0] * 20 + [1, 0] * 50,
        }
    )
    fit = fit_logistic(records, drivers=["odd"], fixed="site", cluster="")
    case = room._case(fit, records)
    train, test = np.arange(400), np.arange(400, 500)
    p, unmet = room._predict(case, room._refit(case, train), train, test)
    assert unmet == 100
    assert p.mean() == pytest.approx(0.3, abs=1e-3)


def test_line_of_calibration_is_that_of_the_later_period(fitted):
    later = year(seed=2)
    expected = held_out(fitted, later)
    known, _ = room.known_to(fitted, later)
    y = known["complained"].to_numpy(dtype=float)
    p = expit(room.design_of(known, fitted.terms) @ fitted.b)
    codes = room.groups_of(known, "site", "agent")
    t = stats.t.ppf(0.975, codes.max())
    found = room._line("binary", y, p, codes, t, slope=True)
    assert found[0] == pytest.approx(expected.slope, abs=1e-8)
    assert found[2] == pytest.approx(expected.slope_high, abs=1e-3)  # (n - 1) / (n - 2) apart
    assert room._line("binary", y, p, codes, t, slope=False)[1] == pytest.approx(
        expected.intercept_low, abs=1e-3
    )


# --- Several ways: what is found ------------------------------------------------------------------


def companies(n=3000, *, seed=1, own=0.0, level=0.9):
    """Thirty companies, each with its own level and its own wording of letters."""
    rng = np.random.default_rng(seed)
    company = rng.integers(0, 30, n)
    x = rng.normal(size=n)
    eta = -1 + rng.normal(0, level, 30)[company] + own * x
    return pd.DataFrame(
        {
            "company": pd.Series(company).map("c{:02d}".format),
            "letter": pd.Series(company).map("wording {:02d}".format),
            "x": x,
            "complained": rng.random(n) < expit(eta),
            "arrived": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(n), unit="h"),
        }
    )


def ways(records, drivers, *, groups=("company",), folds=2, **settings):
    fit = fit_logistic(records, drivers=drivers, fixed="", cluster="")
    return held_out_ways(
        fit,
        records,
        groups=groups,
        folds=folds,
        rng=np.random.default_rng(3),
        **{"time": "", **settings},
    )


@pytest.fixture(scope="module")
def by_letter():
    return ways(companies(), ["letter"])


def test_the_company_was_the_driver(by_letter):
    """Random folds tell companies apart by their letters; whole companies held out, a coin."""
    found = by_letter
    assert found.random_low > 0.65
    assert found.worst == "whole company" and found.worst_estimate == pytest.approx(0.5, abs=1e-9)
    assert found.drop_matters and not found.holds
    first, second = found.sentence().splitlines()
    assert "worst when whole groups of 'company' are left out" in first and len(first) <= 220
    assert "the company that a record came from" in second
    assert "given the average of the others" in second


def test_a_driver_of_its_own_holds_in_companies_never_met():
    found = ways(companies(own=1.0, level=0.3), ["x"], folds=5)
    assert found.holds and not found.drop_matters
    assert "about as well in each" in found.sentence() or found.worst == "random folds"
    whole = found.table.set_index("way").loc["whole company"]
    assert whole["slope_low"] < 1 < whole["slope_high"]
    assert whole["ratio_low"] < 1 < whole["ratio_high"]
    assert whole["clusters"] == 30 and whole["folds"] == 5


def test_boosting_shows_a_curve_that_the_line_misses():
    rng = np.random.default_rng(2)
    records = companies(level=0.0)
    records["complained"] = rng.random(3000) < expit(-2 + 1.5 * records["x"] ** 2)
    found = ways(records, ["x"], groups=())
    assert found.gain_matters and found.gain_low > 0.1
    assert "misses a curve or an interaction" in found.sentence()


def test_boosting_adds_nothing_to_a_straight_line():
    found = ways(companies(own=1.0, level=0.0), ["x"], groups=())
    assert not found.gain_matters and found.gain_high < 0.02


def test_a_driver_that_stopped_driving_is_seen_in_the_later_period():
    records = companies(4000, own=1.5, level=0.0)
    late = records["arrived"].rank(pct=True) > 0.7
    shuffled = np.random.default_rng(0).permutation(records.loc[late, "complained"])
    records.loc[late, "complained"] = shuffled
    found = ways(records, ["x"], time="arrived")
    assert found.worst == "later period" and found.drop_matters
    assert found.table.set_index("way").loc["later period", "records"] == 1200
    assert "has changed" in found.sentence()


def test_counts_are_judged_with_their_exposure():
    rng = np.random.default_rng(4)
    x, days = rng.normal(size=600), rng.integers(1, 9, 600)
    records = pd.DataFrame(
        {"x": x, "days": days, "complaints": rng.poisson(days * np.exp(0.5 * x))}
    )
    fit = fit_outcome(
        records, drivers=["x"], outcome="complaints", kind="count", fixed="", cluster="",
        exposure="days",
    )  # fmt: skip
    found = held_out_ways(fit, records, time="", groups=(), folds=2, rng=np.random.default_rng(1))
    only = found.table.iloc[0]
    assert only["estimate"] > 0.7
    assert only["ratio"] == pytest.approx(1, abs=0.05) and only["slope"] == pytest.approx(
        1, abs=0.1
    )


def test_ordered_answers_are_judged_by_their_mean():
    rng = np.random.default_rng(4)
    x = rng.normal(size=800)
    records = pd.DataFrame({"x": x, "mark": np.clip(np.round(4 + x + rng.normal(size=800)), 1, 7)})
    fit = fit_outcome(records, drivers=["x"], outcome="mark", kind="ordered", fixed="", cluster="")
    found = held_out_ways(fit, records, time="", groups=(), folds=2, rng=np.random.default_rng(1))
    assert found.random_low > 0.7 and found.table["ratio"].iloc[0] == pytest.approx(1, abs=0.01)
    assert "stands in for the ordered model" in found.sentence()


def test_a_sample_is_drawn_and_said():
    found = ways(companies(own=1.0), ["x"], most_records=1000)
    assert found.records == 1000 and found.of == 3000
    assert "1,000 records, drawn at random from 3,000" in found.sentence()


def test_blank_groups_and_times_are_never_held_out():
    records = companies(own=1.0)
    records.loc[:99, ["company"]] = None
    records.loc[200:299, ["arrived"]] = pd.NaT
    table = ways(records, ["x"], time="arrived").table.set_index("way")
    assert table.loc["whole company", "records"] == 2900
    assert table.loc["later period", "records"] == 870


def test_what_cannot_be_tried_is_said():
    records = companies(own=1.0).assign(company="only one")
    found = ways(records, ["x"])
    row = found.table.iloc[1]
    assert np.isnan(row["estimate"]) and row["note"] == "there is one group only"
    assert "Not tried" in found.sentence()


def test_few_groups_are_noted():
    records = companies(own=1.0).assign(company=lambda r: r["company"].str[-1])
    records["company"] = records["company"].map(lambda c: "a" if c < "5" else "b")
    row = ways(records, ["x"]).table.iloc[1]
    assert row["note"].startswith("2 groups") and row["clusters"] == 3000


def test_same_chance_same_answer():
    one, other = (ways(companies(own=1.0), ["x"], groups=()).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_picture_of_the_ways(by_letter):
    ax = by_letter.plot(plt.figure().add_subplot())
    assert [t.get_text() for t in ax.get_yticklabels()][::2] == ["random folds", "whole company"]
    assert ax.get_title().endswith("?") and "interval" in ax.get_xlabel()
    plt.close("all")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"groups": "company"}, "one text"),
        ({"folds": 1}, "folds is 1"),
        ({"later": 1.5}, "later is 1.5"),
        ({"most_records": 10}, "most_records is 10"),
        ({"groups": ("compny",)}, "did you mean 'company'"),
        ({"time": "arived"}, "did you mean 'arrived'"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(Problem, match=said):
        ways(companies(own=1.0), ["x"], **settings)


def test_a_time_is_refused():
    rng = np.random.default_rng(1)
    records = pd.DataFrame({"x": rng.normal(size=200), "resolution_d": rng.exponential(1, 200)})
    fit = fit_outcome(
        records, drivers=["x"], outcome="resolution_d", kind="time", fixed="", cluster=""
    )
    with pytest.raises(Refusal, match="kind 'time'"):
        held_out_ways(fit, records, rng=rng, time="", groups=())


def test_what_is_left_out_is_counted_in_words(fitted):
    later = year(seed=2)
    later.loc[later.index[0], "ending"] = "lost"
    assert "; 1 row left out (a blank" in held_out(fitted, later).sentence()
