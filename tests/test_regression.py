"""Models of ordered outcomes, counts and durations against sums by hand, R and statsmodels."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.miscmodels.ordinal_model import OrderedModel

from sqm import regression as room
from sqm.checks import Problem, Refusal
from sqm.regression import (
    alone,
    assumption_of,
    effect,
    fit_outcome,
    known_to,
    outcome_of,
    predicted,
)

HOUSING = json.loads((Path(__file__).parent / "reference/ordinal_logit_housing.json").read_text())
KINDS = {
    "binary": {"outcome": "yes"},
    "ordered": {"outcome": "mark", "kind": "ordered"},
    "count": {"outcome": "letters", "kind": "count", "exposure": "days"},
    "time": {"outcome": "age_d", "kind": "time", "running": "age_d_open"},
}
SETTINGS = {"drivers": ["x", "level"], "fixed": "", "cluster": "group", "reference": {"level": "a"}}


def world(n=1500, *, seed=1, groups=50):
    """Everything goes by 0.5 x + 0.4 if b - 0.3 if c, and by the group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    x, level = rng.normal(size=n), rng.choice(list("abc"), n)
    eta = 0.5 * x + 0.4 * (level == "b") - 0.3 * (level == "c")
    eta = eta + rng.normal(0, 0.2, groups)[group]
    days, ends = rng.uniform(0.5, 3, n), np.ceil(10 * rng.exponential(size=n) * np.exp(-eta))
    watched = np.ceil(rng.uniform(1, 40, n))
    return pd.DataFrame(
        {
            "x": x,
            "level": level,
            "group": pd.Series(group).map("g{:02d}".format),
            "yes": rng.random(n) < 1 / (1 + np.exp(-eta)),
            "mark": np.digitize(eta + rng.logistic(size=n), [-2, -0.5, 1]) + 1,
            "days": days,
            "letters": rng.poisson(days * np.exp(eta - 0.5)),
            "age_d": np.minimum(ends, watched),
            "age_d_open": ends > watched,
        }
    )


@pytest.fixture(scope="module")
def fits():
    return {kind: fit_outcome(world(), **SETTINGS, **more) for kind, more in KINDS.items()}


def housing():
    cells = pd.DataFrame(HOUSING["input"]["rows"], columns=HOUSING["input"]["columns"])
    rows = cells.loc[cells.index.repeat(cells["Freq"])].reset_index(drop=True)
    order = pd.CategoricalDtype(["Low", "Medium", "High"], ordered=True)
    rows["Sat"] = rows["Sat"].astype(order)
    return fit_outcome(
        rows,
        drivers=["Infl", "Type", "Cont"],
        outcome="Sat",
        kind="ordered",
        fixed="",
        cluster="",
        reference={"Infl": "Low", "Type": "Tower", "Cont": "Low"},
    )


# --- Ordered --------------------------------------------------------------------------------------


def test_proportional_odds_of_the_copenhagen_housing_survey_as_in_R():
    fit, said = housing(), HOUSING["expected"]
    b = {term.name.replace("=", ""): value for term, value in zip(fit.terms, fit.b, strict=True)}
    for name, value in said["clm_coef"].items():
        assert b[name] == pytest.approx(value, abs=1e-6)
    # a threshold is minus the log odds of lying above it
    assert b["(above Low)"] == pytest.approx(-said["zeta"]["Low|Medium"], abs=2e-5)
    assert b["(above Medium)"] == pytest.approx(-said["zeta"]["Medium|High"], abs=2e-5)
    rows, score, information = room.likelihood(fit.seen, fit.b, fit.design)
    assert rows.sum() == pytest.approx(said["loglik"], abs=1e-7)
    assert score.sum(axis=0) == pytest.approx(0, abs=1e-6)
    errors = dict(zip(b, np.sqrt(np.diag(np.linalg.inv(information))), strict=True))
    for name, value in said["se"].items():
        name = {"Low|Medium": "(above Low)", "Medium|High": "(above Medium)"}.get(name, name)
        assert errors[name] == pytest.approx(value, rel=HOUSING["tolerance"])


def test_the_test_of_proportional_odds_is_that_of_R():
    fit, said = housing(), HOUSING["expected"]["nominal_test"]
    for term, gain, p in list(zip(said["term"], said["LRT"], said["p"], strict=True))[1:]:
        found = room._relaxed(fit, room.places_of(fit, term))
        assert found == pytest.approx((gain, p), abs=HOUSING["tolerance"])
    most = assumption_of(fit)
    assert (most.driver, most.p) == ("Cont", pytest.approx(3 * said["p"][3], abs=1e-3))


def test_ordered_coefficients_are_those_of_statsmodels(fits):
    fit = fits["ordered"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrderedModel(world()["mark"], fit.design[:, 3:], distr="logit")
        other = model.fit(method="bfgs", disp=0, gtol=1e-8, maxiter=500)
    cuts = model.transform_threshold_params(other.params.to_numpy())[1:-1]
    assert fit.b == pytest.approx(np.r_[-cuts, other.params[:3]], abs=1e-5)


def test_two_levels_are_a_logistic_regression(fits):
    records = world()
    records["point"] = records["yes"] + 3
    settings = {**SETTINGS, "outcome": "point", "kind": "ordered"}
    fit = fit_outcome(records, **settings)
    assert fit.b == pytest.approx(fits["binary"].b, abs=1e-6)
    assert fit.covariance == pytest.approx(fits["binary"].covariance, abs=1e-6)
    assert predicted(fit, records) == pytest.approx(3 + predicted(fits["binary"], records))


# --- Counts and durations -------------------------------------------------------------------------


def test_counts_are_those_of_statsmodels(fits):
    records, fit = world(), fits["count"]
    model = sm.GLM(
        records["letters"], fit.design, family=sm.families.Poisson(), exposure=records["days"]
    )
    groups = pd.factorize(records["group"])[0]
    other = model.fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert fit.b == pytest.approx(other.params.to_numpy(), abs=1e-9)
    assert fit.covariance == pytest.approx(other.cov_params().to_numpy(), abs=1e-9)
    assert predicted(fit, records) == pytest.approx(other.fittedvalues.to_numpy())
    assert assumption_of(fit).statistic == pytest.approx(other.pearson_chi2 / other.df_resid)


def test_a_coefficient_of_time_is_cox_with_ties_after_efron(fits):
    fit, sorted_ = fits["time"], world().sort_values("age_d", kind="stable")
    ended = (~sorted_["age_d_open"]).astype(int).to_numpy()
    other = PHReg(sorted_["age_d"].to_numpy(), fit.design[:, 1:], status=ended, ties="efron").fit()
    assert fit.b[1:] == pytest.approx(other.params, abs=1e-7)
    _, score, information = room.likelihood(fit.seen, fit.b[1:], fit.design[:, 1:])
    assert np.sqrt(np.diag(np.linalg.inv(information))) == pytest.approx(other.bse, rel=1e-6)
    assert score.sum(axis=0) == pytest.approx(0, abs=1e-6)


def test_cumulative_hazard_by_hand():
    # nothing depends on x at b = 0; ends at 1, 2 and 2 of four, one still running at 3: after
    # Efron 1/4 + 1/3 + 1/2 by the time 2
    y, ended = np.array([1.0, 2, 2, 3]), np.array([True, True, True, False])
    seen = room.Observed("time", y, np.ones(4), ended)
    x = np.array([[1.0], [-1], [1], [-1]])
    level, moved = room._baseline(seen, np.zeros(1), x, np.zeros((4, 1)), 2.0)
    assert np.exp(level) == pytest.approx(1 / 4 + 1 / 3 + 1 / 2)
    assert moved.sum() == pytest.approx(0, abs=1e-12)
    rows = room.likelihood(seen, np.zeros(1), x)[0]
    # log likelihood -log 4 - log 3 - log 2
    assert rows.sum() == pytest.approx(-np.log(24))


def test_the_error_of_a_risk_is_that_of_leaving_one_out():
    records = world(250)
    settings = {"drivers": ["x"], "fixed": "", "cluster": "", "horizon": 6, **KINDS["time"]}
    fit = fit_outcome(records, **settings)
    without = np.array(
        [fit_outcome(records.drop(index=i), **settings).b for i in range(len(records))]
    )
    jackknife = np.sqrt(((without - without.mean(axis=0)) ** 2).sum(axis=0))
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(jackknife, rel=0.1)


def test_risks_meet_the_share_that_ended_where_nothing_runs():
    records = world()
    records["age_d_open"] = False
    fit = fit_outcome(records, **{**SETTINGS, **KINDS["time"]}, horizon=5)
    ended = (records["age_d"] <= 5).mean()
    assert predicted(fit, records).mean() == pytest.approx(ended, abs=0.02)


def test_an_effect_that_fades_is_told():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, 3000)
    early = rng.exponential(10 / (1 + 4 * x))
    age = np.where(early < 2, early, 2 + rng.exponential(10, 3000))
    records = pd.DataFrame({"x": x, "z": rng.normal(size=3000), "age_d": age})
    settings = {"drivers": ["x", "z"], "outcome": "age_d", "kind": "time"}
    found = assumption_of(fit_outcome(records, **settings, fixed="", cluster=""))
    assert found.driver == "x" and found.p < 1e-6
    records["age_d"] = rng.exponential(10 / np.exp(0.5 * x))
    assert assumption_of(fit_outcome(records, **settings, fixed="", cluster="")).p > 0.01


def test_an_effect_at_one_level_only_is_told():
    rng = np.random.default_rng(4)
    x = rng.normal(size=3000)
    mark = (rng.random(3000) < 0.6).astype(int)
    mark = mark + (mark == 1) * (rng.random(3000) < 1 / (1 + np.exp(-2 * x)))
    found = assumption_of(
        fit_outcome(
            pd.DataFrame({"x": x, "z": rng.normal(size=3000), "mark": mark}),
            drivers=["x", "z"],
            fixed="",
            cluster="",
            **KINDS["ordered"],
        )
    )
    assert found.driver == "x" and found.p < 1e-6


# --- Of every kind --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_in_is_found(fits, kind):
    b = dict(zip((term.name for term in fits[kind].terms), fits[kind].b, strict=True))
    errors = dict(zip(b, np.sqrt(np.diag(fits[kind].covariance)), strict=True))
    for name, true in (("x", 0.5), ("level=b", 0.4), ("level=c", -0.3)):
        assert abs(b[name] - true) < 4 * errors[name] < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_every_effect_is_its_slope(fits, kind):
    fit = fits[kind]
    for place in room.places_of(fit, "x") + room.places_of(fit, "level"):
        _, gradient = effect(fit, place)
        for i in range(len(fit.b)):
            step = np.zeros(len(fit.b))
            step[i] = 1e-5
            up, down = (effect(replace(fit, b=fit.b + s * step), place)[0] for s in (1, -1))
            assert gradient[i] == pytest.approx((up - down) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_of_a_level_is_a_difference_of_what_is_predicted(fits, kind):
    records, fit = world(), fits[kind]
    bare = replace(fit, exposure="")
    at_b, at_a = (predicted(bare, records.assign(level=level)) for level in "ba")
    weight = records["days"] if kind == "count" else np.ones(len(records))
    place = [term.name for term in fit.terms].index("level=b")
    expected = np.average(at_b - at_a, weights=weight)
    assert effect(fit, place)[0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_alone_is_the_fit_without_the_others(fits, kind):
    single = alone(fits[kind], "level")
    other = fit_outcome(world(), **{**SETTINGS, "drivers": ["level"]}, **KINDS[kind])
    assert single.b == pytest.approx(other.b, abs=1e-8)
    assert single.covariance == pytest.approx(other.covariance, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_later_records_are_read_alike(fits, kind):
    later = world(seed=2)
    later.loc[0, "level"], later.loc[1, "x"] = "new", np.nan
    used, left_out = known_to(fits[kind], later)
    assert left_out == 2
    seen = outcome_of(fits[kind], used)
    assert len(seen.y) == len(predicted(fits[kind], used)) == len(later) - 2
    if kind == "ordered":
        assert (seen.y + 1).tolist() == used["mark"].tolist()


def test_order_of_the_rows_does_not_matter(fits):
    shuffled = world().sample(frac=1, random_state=1)
    for kind, more in KINDS.items():
        fit = fit_outcome(shuffled, **SETTINGS, **more)
        assert fit.b == pytest.approx(fits[kind].b, abs=1e-7)
        assert fit.covariance == pytest.approx(fits[kind].covariance, abs=1e-7)


# --- Refusals -------------------------------------------------------------------------------------


def refused(of, records=None, **settings):
    records = world() if records is None else records
    with pytest.raises(Problem) as said:
        fit_outcome(records, **{**SETTINGS, **KINDS[of], **settings})
    assert said.value.mend
    return said.value


@pytest.mark.parametrize("kind", ["ordered", "count", "time"])
def test_one_outcome_only(kind):
    records = world()
    column = KINDS[kind]["outcome"]
    records[column], records["age_d_open"] = 0, True
    why = refused(kind, records)
    assert isinstance(why, Refusal) and "the same outcome" in why.what


@pytest.mark.parametrize(
    ("kind", "said"),
    [("ordered", "differ count as"), ("count", "a count above zero"), ("time", "The end came")],
)
def test_too_few_events(kind, said):
    records = world(45, groups=15)
    records["age_d_open"] = np.arange(45) > 20
    records["letters"] = (np.arange(45) < 20).astype(int)
    records["mark"] = 1 + (np.arange(45) % 9 == 0)
    why = refused(kind, records)
    assert isinstance(why, Refusal) and said in why.what and "Peduzzi" in why.what


def test_a_level_without_any_event_is_separation():
    records = world()
    records.loc[records["level"] == "c", "letters"] = 0
    records.loc[records["level"] == "c", "age_d_open"] = True
    records.loc[records["level"] == "c", "mark"] = 1
    for kind in ("ordered", "count", "time"):
        why = refused(kind, records).what
        assert "'level': c. Some drivers part the outcomes perfectly" in why


def test_a_driver_of_5000_levels_and_a_leak():
    records = world(6000)
    records["ticket"] = pd.Series(np.arange(6000) % 5000).map("t{}".format)
    records["echo"] = records["age_d"] * 24
    for kind in KINDS:
        assert "5000 levels" in refused(kind, records, drivers=["x", "ticket"]).what
    assert "'echo' alone tells the outcome (rank" in refused("time", records, drivers=["echo"]).what


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("binary", {"kind": "sum"}, "kind is 'sum'"),
        ("binary", {"exposure": "days"}, "belongs to the kind 'count'"),
        ("count", {"outcome": "x", "drivers": ["level"]}, "not a whole number of 0 or more"),
        ("count", {"outcome": "level"}, "two parts"),
        ("count", {"exposure": "level", "drivers": ["x"]}, "does not hold numbers"),
        ("count", {"exposure": "x", "drivers": ["level"]}, "not above zero"),
        ("ordered", {"outcome": "group", "cluster": ""}, "words whose order is not known"),
        ("ordered", {"outcome": "age_d"}, "more than 30"),
        ("time", {"outcome": "x", "drivers": ["level"]}, "not 0 or more"),
        ("time", {"running": "mark"}, "should hold true and false"),
        ("time", {"horizon": 0}, "horizon is 0"),
        ("time", {"horizon": 1000}, "nothing was watched for so long"),
        ("time", {"cluster": "level"}, "3 groups"),
    ],
)
def test_settings_that_cannot_be(kind, settings, said):
    assert said in refused(kind, **settings).what


def test_a_site_without_an_end_is_left_out():
    records = world()
    records["site"] = np.where(records["x"] > 1.2, "far", np.where(records["x"] > 0, "b", "a"))
    records.loc[records["site"] == "far", ["age_d_open", "letters"]] = [True, 0]
    far = (records["site"] == "far").sum()
    for kind in ("count", "time"):
        fit = fit_outcome(
            records, **{**SETTINGS, "drivers": ["level"], "fixed": "site"}, **KINDS[kind]
        )
        assert fit.same_group == far and "site=far" not in {term.name for term in fit.terms}
