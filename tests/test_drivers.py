"""Complaint drivers against sums by hand, statsmodels, and data whose truth is known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit

from sqm.checks import Problem, Refusal
from sqm.methods.drivers import coefficients_of, drivers_of
from sqm.regression import fit_logistic, fit_outcome


def year(n=6000, *, seed=1, agents=60, spread=0.0):
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
    eta = -2.5 + 0.05 * records["wait_s"] / 60 + rng.normal(0, spread, agents)[agent]
    eta += records["ending"].map({"resolved": 0.0, "unresolved": 1.2, "abandoned": 0.4})
    records["complained"] = rng.random(n) < expit(eta)
    records["agent"] = records["agent"].mask(records["ending"] == "abandoned")
    return records


SETTINGS = {"drivers": ["wait_s", "ending"], "per": {"wait_s": 60}}


@pytest.fixture(scope="module")
def fitted():
    return fit_logistic(year(), **SETTINGS)


def table_of_four(a, b, c, d):
    """a of a + b unresolved contacts complain, c of c + d resolved ones."""
    return pd.DataFrame(
        {
            "ending": ["unresolved"] * (a + b) + ["resolved"] * (c + d),
            "complained": [True] * a + [False] * b + [True] * c + [False] * d,
        }
    )


def test_two_by_two_by_hand():
    # odds ratio (30 · 180) / (70 · 20) = 27 / 7; variance of its log: the reciprocals' sum, which
    # a saturated model's sandwich equals, times n / (n - 2) for the correction with n clusters
    fit = fit_logistic(table_of_four(30, 70, 20, 180), drivers=["ending"], fixed="", cluster="")
    row = drivers_of(fit).table.iloc[0]
    error = np.sqrt((1 / 30 + 1 / 70 + 1 / 20 + 1 / 180) * 300 / 298)
    t = stats.t.ppf(0.975, 299)
    assert row["odds_ratio"] == pytest.approx(27 / 7)
    assert row["odds_low"] == pytest.approx(27 / 7 * np.exp(-t * error))
    assert row["odds_high"] == pytest.approx(27 / 7 * np.exp(t * error))
    # difference of shares 0.3 - 0.1, variance p q / n of each
    half = t * np.sqrt((0.21 / 100 + 0.09 / 200) * 300 / 298)
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx([0.2, 0.2 - half, 0.2 + half])


def test_coefficients_and_clustered_covariance_are_those_of_statsmodels(fitted):
    records = year()
    groups = records["agent"].fillna("no agent, " + records["site"])
    other = sm.Logit(records["complained"].astype(float), fitted.design).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": pd.factorize(groups)[0]}
    )
    assert fitted.b == pytest.approx(other.params.to_numpy(), abs=1e-8)
    assert fitted.covariance == pytest.approx(other.cov_params().to_numpy(), abs=1e-8)
    assert fitted.groups == groups.nunique() == 66
    assert fitted.quantile == pytest.approx(stats.t.ppf(0.975, 65))


def test_marginal_effects_are_those_of_statsmodels():
    records = year()
    records = records[records["ending"] != "abandoned"]
    fit = fit_logistic(records, **SETTINGS)
    groups = pd.factorize(records["agent"])[0]
    other = sm.Logit(records["complained"].astype(float).to_numpy(), fit.design).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": groups}
    )
    effects = other.get_margeff(at="overall", dummy=True)
    found = drivers_of(fit).table
    assert found["estimate"].to_numpy() == pytest.approx(effects.margeff[:2], rel=1e-6)
    errors = (found["high"] - found["estimate"]).to_numpy() / fit.quantile
    assert errors == pytest.approx(effects.margeff_se[:2], rel=1e-5)


def test_units_change_the_numbers_not_the_answer():
    in_seconds = drivers_of(fit_logistic(year(), drivers=["wait_s", "ending"])).table
    in_minutes = drivers_of(fit_logistic(year(), **SETTINGS)).table
    assert in_minutes.loc[0, "estimate"] == pytest.approx(60 * in_seconds.loc[0, "estimate"])
    assert in_minutes.loc[1, "estimate"] == pytest.approx(in_seconds.loc[1, "estimate"])


def test_turning_the_reference_turns_the_odds():
    one = drivers_of(fit_logistic(year(), **SETTINGS)).table.set_index("term")
    other = drivers_of(fit_logistic(year(), **SETTINGS, reference={"ending": "unresolved"}))
    other = other.table.set_index("term")
    assert one.loc["ending=unresolved", "odds_ratio"] == pytest.approx(
        1 / other.loc["ending=resolved", "odds_ratio"]
    )
    assert one.loc["ending=unresolved", "low"] == pytest.approx(
        -other.loc["ending=resolved", "high"]
    )


def test_intervals_cover_what_was_put_in_though_agents_differ():
    """Of 60 data sets with agents that differ, about 95 % of intervals hold the true 0.05."""
    covered = 0
    for seed in range(60):
        fit = fit_logistic(year(2000, seed=seed, spread=0.3), **SETTINGS, fixed="", cluster="agent")
        covered += abs(fit.b[1] - 0.05) <= fit.quantile * np.sqrt(fit.covariance[1, 1])
    assert 52 <= covered <= 60


def test_a_coefficient_predicts_as_the_table_says(fitted):
    found = coefficients_of(fitted)
    b = found.table.set_index("term")
    records = year().head(200)
    eta = np.full(200, b.loc["(intercept)", "estimate"])
    for term, row in b.iterrows():
        column, _, level = term.partition("=")
        if level:
            eta += row["estimate"] * (records[column] == level)
        elif column in records:
            eta += row["estimate"] * records[column] / row["unit_per"]
    assert np.asarray(eta) == pytest.approx(fitted.design[:200] @ fitted.b)
    covariance = found.table.filter(like="cov: ").to_numpy()
    assert covariance == pytest.approx(fitted.covariance)
    assert list(found.table.filter(like="cov: ")) == [f"cov: {term}" for term in b.index]
    assert "ending=resolved" in found.references


def test_rows_with_a_blank_are_counted_and_left_out():
    records = year()
    records.loc[[3, 5], "wait_s"] = [np.nan, np.inf]
    records.loc[7, "ending"] = None
    fit = fit_logistic(records, **SETTINGS)
    assert (fit.left_out, fit.records) == (3, 5997)
    assert "3 rows with a blank left out" in drivers_of(fit).sentence()


def test_a_site_without_a_complaint_is_left_out_and_said():
    records = year()
    records.loc[records["site"] == "B", "complained"] = False
    fit = fit_logistic(records, **SETTINGS)
    assert fit.same_group == (records["site"] == "B").sum()
    assert "of a site without both outcomes" in drivers_of(fit).sentence()


# --- What is said and drawn -----------------------------------------------------------------------


def test_sentence_says_more_and_fewer_per_hundred():
    four = table_of_four(30, 70, 20, 180)
    for reference, words in (
        ("resolved", "ending unresolved (not resolved) goes with 20.00 (95% interval"),
        ("unresolved", "ending resolved (not unresolved) goes with 20.00 (95% interval"),
    ):
        fit = fit_logistic(
            four, drivers=["ending"], fixed="", cluster="", reference={"ending": reference}
        )
        said = drivers_of(fit).sentence()
        assert words in said
        assert (") fewer" in said) == (reference == "unresolved")
        assert "50 of 300 contacts" in said and "causes the other is not shown" in said


def marks(n=2000, *, seed=1):
    """Marks of 1 to 5 and counts, by a driver of two levels and a number."""
    rng = np.random.default_rng(seed)
    fast, price = rng.random(n) < 0.5, rng.normal(10, 2, n)
    eta = 1.0 * fast - 0.2 * (price - 10)
    mark = np.digitize(eta + rng.logistic(size=n), [-1.5, -0.5, 0.5, 1.5]) + 1
    records = pd.DataFrame({"served": np.where(fast, "fast", "slow"), "price_eur": price})
    records["group"] = pd.Series(rng.integers(0, 40, n)).map("g{}".format)
    letters, age = rng.poisson(np.exp(eta - 1)), rng.exponential(10 * np.exp(-eta))
    return records.assign(mark=mark, letters=letters, age_d=age)


def other_kind(kind, outcome, **more):
    settings = {"drivers": ["served", "price_eur"], "fixed": "", "cluster": "group"}
    return fit_outcome(marks(), outcome=outcome, kind=kind, **settings, **more)


def test_a_saturated_ordered_effect_is_the_difference_of_means():
    records = marks().assign(mark=lambda t: (t["mark"] > 3) * 2.0 + 1)
    settings = {"drivers": ["served"], "outcome": "mark", "kind": "ordered"}
    fit = fit_outcome(records, **settings, fixed="", cluster="", reference={"served": "slow"})
    row = drivers_of(fit).table.iloc[0]
    mean = records.groupby("served")["mark"].mean()
    assert row["estimate"] == pytest.approx(mean["fast"] - mean["slow"])
    # two levels, two points apart: more at the top are as many fewer at the bottom
    assert row["top"] == pytest.approx(row["estimate"] / 2) == pytest.approx(-row["bottom"])
    assert row["top_low"] == pytest.approx(row["low"] / 2)


def test_a_saturated_rate_is_the_ratio_and_the_difference_of_means():
    settings = {"drivers": ["served"], "outcome": "letters", "kind": "count"}
    fit = fit_outcome(marks(), **settings, fixed="", cluster="", reference={"served": "slow"})
    row, mean = drivers_of(fit).table.iloc[0], marks().groupby("served")["letters"].mean()
    assert row["odds_ratio"] == pytest.approx(mean["fast"] / mean["slow"])
    assert row["estimate"] == pytest.approx(mean["fast"] - mean["slow"])


def test_levels_shift_between_bottom_and_top():
    table = drivers_of(other_kind("ordered", "mark")).table
    assert (np.sign(table["top"]) == np.sign(table["estimate"])).all()
    assert (np.sign(table["bottom"]) == -np.sign(table["estimate"])).all()


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("ordered", "mark", ["Mean 'mark', in its points", ") lower", "at every level"]),
        ("count", "letters", ["'letters' per letters of", "times as much as Poisson's"]),
        ("time", "age_d", ["Ended by 7", "per 100 letters of", "early and late"]),
    ],
)
def test_each_kind_speaks_its_own_unit(kind, outcome, words):
    horizon = {"horizon": 7} if kind == "time" else {}
    fit = other_kind(kind, outcome, **horizon)
    who = "Complainers are not customers."
    found = drivers_of(fit, rows="letters of", selection=who)
    assert found.sentence().endswith(who)
    assert [each for each in words if each not in found.sentence()] == []
    assert len(found.sentence().splitlines()[0]) <= 260
    row = found.table.set_index("term").loc["price_eur"]
    scale = 100 if kind == "time" else 1
    assert f"{abs(row['estimate']) * scale:.2f}" in found.sentence()
    told = coefficients_of(fit)
    assert told.kind == kind and "40 groups" in told.sentence()
    for each in (found, told):
        ax = each.plot(plt.figure().add_subplot())
        assert len(ax.lines) == 2 * len(found.table) + 1
    plt.close("all")


def test_an_effect_that_differs_between_levels_is_said():
    rng = np.random.default_rng(4)
    x = rng.normal(size=3000)
    mark = (rng.random(3000) < 0.6).astype(int)
    mark = mark + (mark == 1) * (rng.random(3000) < expit(2 * x))
    records = pd.DataFrame({"x": x, "z": rng.normal(size=3000), "mark": mark})
    settings = {"outcome": "mark", "kind": "ordered", "fixed": "", "cluster": ""}
    said = drivers_of(fit_outcome(records, drivers=["x", "z"], **settings)).sentence()
    assert "The effect of x is not the same at every level (p < 0.001)" in said


def test_pictures(fitted):
    for found in (drivers_of(fitted), coefficients_of(fitted)):
        ax = found.plot(plt.figure().add_subplot())
        assert len(ax.lines) >= 2 * len(drivers_of(fitted).table)
        assert ax.get_title(loc="left") + ax.get_title() and "interval" in (
            ax.get_xlabel() + ax.get_ylabel()
        )
    plt.close("all")


# --- Refusals -------------------------------------------------------------------------------------


def refused(records, **settings):
    with pytest.raises(Refusal) as said:
        fit_logistic(records, **{**SETTINGS, **settings})
    assert said.value.mend
    return said.value.what


def test_one_outcome_only():
    assert "the same outcome" in refused(year().assign(complained=False), fixed="")
    assert "no row is complete" in refused(year().assign(wait_s=np.nan))


def test_a_column_that_is_blank_unless_one_complains():
    records = year()
    records["wait_s"] = records["wait_s"].where(records["complained"])
    assert "the same outcome" in refused(records, fixed="")


def test_too_few_events():
    assert "Peduzzi" in refused(year(400))


def test_a_driver_with_one_value_or_too_many():
    assert "one value only" in refused(year().assign(ending="resolved"))
    many = pd.Series(np.arange(6000) % 31).map("l{}".format)
    assert "31 levels" in refused(year().assign(ending=many))


def test_a_leak():
    records = year()
    records["cost_eur"] = np.where(records["complained"], 50.0, 0.0)
    assert "'cost_eur' alone tells the outcome" in refused(records, drivers=["cost_eur"], per={})
    records["state"] = np.where(records["complained"], "closed", "none")
    assert "known only afterwards" in refused(records, drivers=["state"], per={})


def test_separation_by_a_level():
    records = year()
    records.loc[records["ending"] == "abandoned", "complained"] = False
    assert "part the outcomes perfectly" in refused(records)


def test_separation_by_two_drivers_together():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 2000))
    records = pd.DataFrame({"a": a, "b": b, "complained": a + b > 0})
    said = refused(records, drivers=["a", "b"], per={}, fixed="", cluster="")
    assert "part the outcomes perfectly" in said


def test_few_clusters():
    assert "6 groups of 'site'" in refused(year(), fixed="", cluster="site")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"drivers": ["wait"]}, "no column 'wait'"),
        ({"drivers": []}, "No list of drivers"),
        ({"drivers": "wait_s"}, "No list of drivers"),
        ({"drivers": ["wait_s", "wait_s"]}, "two parts"),
        ({"drivers": ["wait_s", "site"]}, "two parts"),
        ({"per": {"wait": 60}}, "is no column"),
        ({"per": {"wait_s": 0}}, "not above zero"),
        ({"reference": {"ending": "solved"}}, "no level 'solved'"),
        ({"outcome": "site", "fixed": ""}, "should hold true and false"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(Problem, match=said):
        fit_logistic(year(), **{**SETTINGS, **settings})


def test_drivers_that_make_each_other_up():
    records = year()
    records["wait_min"] = records["wait_s"] / 60
    with pytest.raises(Problem, match="can be worked out from the other drivers"):
        fit_logistic(records, drivers=["wait_s", "wait_min"])
    records["region"] = records["site"].map(dict(zip("ABCDEF", "NNNSSS", strict=True)))
    with pytest.raises(Problem, match="worked out"):
        fit_logistic(records, drivers=["wait_s", "region"])
