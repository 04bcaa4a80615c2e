"""The measurement model against lavaan, against matrices it must reproduce, and its own slopes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm import measurement_model as model
from sqm.checks import Problem, Refusal

REFERENCE = Path(__file__).parent / "reference"
SAME = {"cfi": "cfi", "tli": "tli", "rmsea": "rmsea", "srmr": "srmr", "aic": "aic", "bic": "bic"}


def reference(name):
    return json.loads((REFERENCE / f"cfa_{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def holzinger():
    case = reference("holzinger_swineford")
    rows = pd.DataFrame(case["input"]["rows"])
    values = rows.drop(columns="school").to_numpy()
    return case, rows["school"], values


@pytest.fixture(scope="module")
def reputation():
    case = reference("corp_reputation")
    rows = pd.DataFrame(case["input"]["rows"]).replace(case["input"]["missing_code"], np.nan)
    sizes = [len(items) for items in case["input"]["dimensions"].values()]
    return case, rows.to_numpy(float), in_order(sizes)


@pytest.fixture(scope="module")
def servqual():
    case = reference("servqual_1992")
    return case, np.array(case["input"]["correlations"]) * 501 / 502  # lavaan rescales


def in_order(sizes):
    ends = np.cumsum(sizes)
    return [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]


def moments(values):
    return np.cov(values, rowvar=False, ddof=0)


def assert_fits_as(found, expected, within=1e-6):
    assert (found.df, found.chi2) == (
        expected["df"],
        pytest.approx(expected["chisq"], rel=within),
    )
    for ours, theirs in SAME.items():
        if theirs in expected:
            assert getattr(found, ours) == pytest.approx(expected[theirs], rel=within), ours


def test_lavaan_tutorial(holzinger):
    case, _, values = holzinger
    expected = case["expected"]
    found = model.fit(moments(values), respondents=301, groups=in_order([3, 3, 3]))
    assert_fits_as(found, expected["fit"])
    low, high = found.rmsea_interval()
    assert low == pytest.approx(expected["fit"]["rmsea.ci.lower"], rel=1e-6)
    assert high == pytest.approx(expected["fit"]["rmsea.ci.upper"], rel=1e-6)
    assert found.baseline_chi2 == pytest.approx(expected["fit"]["baseline.chisq"])
    assert found.baseline_df == expected["fit"]["baseline.df"]
    assert found.p_value == pytest.approx(expected["fit"]["pvalue"], rel=1e-6)
    assert found.log_likelihood == pytest.approx(expected["logl"])
    assert found.standardised_loadings == pytest.approx(list(expected["std"].values()), abs=1e-6)
    phi = pd.DataFrame(expected["cov_std"]).to_numpy()
    assert found.factor_correlations == pytest.approx(phi, abs=1e-6)
    assert found.converged and found.admissible


def test_standard_errors_of_ratios_of_loadings_are_lavaans(holzinger):
    """With the first loading fixed at 1, a loading is a ratio of ours: delta method."""
    case, _, values = holzinger
    found = model.fit(moments(values), respondents=301, groups=in_order([3, 3, 3]))
    for first, items in [(0, (1, 2)), (3, (4, 5)), (6, (7, 8))]:
        for item in items:
            slope = np.zeros(len(found.covariance_of_estimates))
            slope[first] = -found.loadings[item] / found.loadings[first] ** 2
            slope[item] = 1 / found.loadings[first]
            name = f"x{item + 1}"
            ratio = found.loadings[item] / found.loadings[first]
            assert ratio == pytest.approx(case["expected"]["est"][name], rel=1e-6)
            error = model.spread_of(found, slope)
            assert error == pytest.approx(case["expected"]["se"][name], rel=1e-5)


def test_satorra_bentler_as_printed(holzinger):
    case, _, values = holzinger
    plain = model.fit(moments(values), respondents=301, groups=in_order([3, 3, 3]))
    found = model.robust(plain, values)
    assert round(found.chi2 / found.scale, 3) == case["satorra_bentler"]["chisq"]
    assert round(found.scale, 3) == case["satorra_bentler"]["scaling"]


def test_sandwich_of_normal_rows_is_nearly_the_expected_information():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40_000, 4)) + rng.normal(size=(40_000, 1))
    plain = model.one_factor(moments(rows), respondents=len(rows))
    found = model.robust(plain, rows)
    assert found.standard_errors == pytest.approx(plain.standard_errors, rel=0.03)
    assert found.scale == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("level", model.LEVELS)
def test_invariance_as_the_tutorial_prints_it(holzinger, level):
    case, school, values = holzinger
    samples = [model.sample(values[(school == name).to_numpy()]) for name in school.unique()]
    found = model.fit_groups(samples, groups=in_order([3, 3, 3]), level=level)
    expected = case["invariance"][level]
    printed = {"chisq": found.chi2, "df": found.df, "bic": found.bic}
    printed |= {"cfi": found.cfi, "rmsea": found.rmsea}
    assert {name: round(value, 3) for name, value in printed.items()} == expected
    assert found.admissible


def test_blanks_by_full_information(reputation):
    case, values, groups = reputation
    found = model.fit_missing(values, groups=groups)
    expected = case["expected"]
    assert_fits_as(found, expected["fit_fiml"])
    assert (found.free, found.respondents) == (expected["fit_fiml"]["npar"], expected["n_used"])
    published = list(expected["std_fiml"].values())
    assert found.standardised_loadings == pytest.approx(published, abs=2e-6)


def test_complete_rows_of_the_same_file(reputation):
    case, values, groups = reputation
    whole = values[np.isfinite(values).all(axis=1)]
    found = model.fit(moments(whole), respondents=len(whole), groups=groups)
    assert_fits_as(found, case["expected"]["fit_listwise"])


def test_blanks_by_full_information_without_blanks_have_the_errors_of_the_observed_information():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(500, 4)) + rng.normal(size=(500, 1))
    with_means = model.fit_missing(rows, groups=[range(4)])
    plain = model.one_factor(moments(rows), respondents=500)
    assert with_means.chi2 == pytest.approx(plain.chi2, abs=1e-6)
    assert with_means.loadings == pytest.approx(plain.loadings)
    assert with_means.standard_errors == pytest.approx(plain.standard_errors, rel=0.1)


@pytest.mark.parametrize("name", ["cfa5", "cfa1"])
def test_servqual_as_published(servqual, name):
    case, covariances = servqual
    expected = case["expected"][name]
    groups = in_order([4, 5, 4, 4, 5]) if name == "cfa5" else [range(22)]
    found = model.fit(covariances, respondents=502, groups=groups)
    assert_fits_as(found, expected["fit"])
    assert found.admissible is expected["post_check"]
    published = [max(each.values()) if isinstance(each, dict) else each[0]
                 for each in expected["std"].values()]  # fmt: skip
    assert found.standardised_loadings == pytest.approx(published, abs=1e-4)
    if name == "cfa5":
        phi = pd.DataFrame(expected["phi"]).to_numpy()
        assert found.factor_correlations == pytest.approx(phi, abs=1e-4)


def test_servqual_in_five_other_dimensions(servqual):
    case, covariances = servqual
    expected = case["expected"]["cfa_vignette_FCO"]
    table = pd.DataFrame(expected["std"]).T
    items = [case["input"]["items"].index(item) for item in table.index]
    groups = [np.flatnonzero(table[factor]).tolist() for factor in table]
    found = model.fit(covariances[np.ix_(items, items)], respondents=502, groups=groups)
    assert_fits_as(found, expected["fit"])
    assert found.standardised_loadings == pytest.approx(table.max(axis=1).to_numpy(), abs=1e-4)
    assert found.admissible


def population(loadings, belongs, phi):
    loadings, factor = np.array(loadings), np.array(phi)[np.ix_(belongs, belongs)]
    return np.outer(loadings, loadings) * factor + np.diag(1 - loadings**2)


def test_a_matrix_that_the_model_made_is_given_back():
    loadings, phi = [0.9, 0.3, -0.5, 0.6, 0.7], [[1, 0.4], [0.4, 1]]
    made = population(loadings, [0, 0, 0, 1, 1], phi)
    found = model.fit(made, respondents=300, groups=[[0, 1, 2], [3, 4]])
    assert found.loadings == pytest.approx(loadings, abs=1e-6)
    assert found.factor_correlations == pytest.approx(np.array(phi), abs=1e-6)
    assert found.chi2 == pytest.approx(0, abs=1e-8)
    assert (found.cfi, found.rmsea) == (1, 0)


def test_units_of_the_items_do_not_matter(servqual):
    _, covariances = servqual
    units = np.geomspace(0.001, 1000, 22)
    groups = in_order([4, 5, 4, 4, 5])
    plain = model.fit(covariances, respondents=502, groups=groups)
    other = model.fit(covariances * np.outer(units, units), respondents=502, groups=groups)
    assert other.chi2 == pytest.approx(plain.chi2)
    assert other.loadings / units == pytest.approx(plain.loadings, rel=1e-5)
    assert other.standardised_errors == pytest.approx(plain.standardised_errors, rel=1e-4)


def test_gradient_is_that_of_the_likelihood(holzinger):
    """Central differences of the value, in two groups with equal loadings and intercepts."""
    _, school, values = holzinger
    samples = [model.sample(values[(school == name).to_numpy()]) for name in school.unique()]
    made = model._model(samples, in_order([3, 3, 3]), with_means=True, level="scalar")
    data = model._stack(samples)
    slope = model._value_and_slope(made.start, made, data)[1]
    moved = np.eye(made.free) * 1e-6
    by_hand = [
        (
            model._value_and_slope(made.start + step, made, data)[0]
            - model._value_and_slope(made.start - step, made, data)[0]
        )
        / 2e-6
        for step in moved
    ]
    assert slope == pytest.approx(by_hand, abs=1e-6)


def test_standard_errors_fall_with_the_root_of_n():
    made = population([0.7] * 4, [0] * 4, [[1]])
    few, many = (model.one_factor(made, respondents=n).standard_errors for n in (100, 400))
    assert few == pytest.approx(2 * many)


def test_a_factor_of_one_item_is_the_item():
    made = population([0.8, 0.8, 0.8, 1.0], [0, 0, 0, 1], [[1, 0.5], [0.5, 1]])
    found = model.fit(made, respondents=100, groups=[[0, 1, 2], [3]])
    assert found.residual_variances[3] == 0
    assert found.standardised_loadings[3] == 1
    assert found.factor_correlations[0, 1] == pytest.approx(0.5)
    assert found.converged and found.admissible


def test_a_heywood_case_is_told():
    # r12 r13 / r23 = .72 * .72 / .4 = 1.296 is the first item's communality: above 1
    r = np.array([[1, 0.72, 0.72], [0.72, 1, 0.4], [0.72, 0.4, 1]])
    found = model.one_factor(r, respondents=100)
    assert found.loadings[0] ** 2 == pytest.approx(1.296)
    assert found.negative_residuals == (0,)
    assert not found.admissible


def test_two_items_by_themselves_are_refused():
    with pytest.raises(Refusal, match="4 parameters where the items give 3 moments"):
        model.one_factor(np.array([[1, 0.5], [0.5, 1]]), respondents=100)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.ones((3, 3)), "not positive definite"),
        (np.diag([1.0, 1.0, 0.0]), "without variance"),
        (np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]), "not positive definite"),
    ],
)
def test_a_matrix_that_is_none_is_refused(matrix, reason):
    with pytest.raises(Refusal, match=reason):
        model.one_factor(matrix, respondents=100)


def test_items_must_have_one_factor_each():
    with pytest.raises(Problem, match="one factor"):
        model.fit(np.eye(4), respondents=100, groups=[[0, 1], [1, 2, 3]])


def test_unrelated_items_have_no_solution_rather_than_a_false_one():
    found = model.fit(np.eye(4), respondents=100, groups=[[0, 1], [2, 3]])
    assert not found.converged


def test_a_model_that_fits_badly_still_has_its_solution():
    """Fisher scoring alone crawls here: the expected information is not the curvature."""
    made = population([0.8, 0.7, 0.6, 0.7] * 2, [0] * 4 + [1] * 4, [[1, 0.3], [0.3, 1]])
    for seed in range(20):
        rows = np.random.default_rng(seed).multivariate_normal(np.zeros(8), made, size=100)
        assert model.one_factor(moments(rows), respondents=100).converged


def test_items_never_answered_together_are_refused():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    rows[:30, 0] = rows[30:, 1] = np.nan
    with pytest.raises(Refusal, match="never answered by the same"):
        model.fit_missing(rows, groups=[range(3)])


def test_an_unknown_level_is_named():
    one = model.Sample(100, np.zeros(3), np.eye(3) / 2 + 0.5)
    with pytest.raises(Problem, match="strict"):
        model.fit_groups([one, one], groups=[range(3)], level="strict")
