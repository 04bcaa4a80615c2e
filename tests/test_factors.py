"""Factors against loadings that were told, identities, and what psych and factanal print."""

import json
from pathlib import Path

import numpy as np
import pytest

from sqm import factors
from sqm.checks import Problem, Refusal

REFERENCE = Path(__file__).parent / "reference"
FITS = [factors.minres, factors.maximum_likelihood]
EACH = [factors.minres_each, factors.maximum_likelihood_each]
PAIRS = list(zip(FITS, EACH, strict=True))
PATTERN = np.kron(np.eye(3), np.full((4, 1), 0.7))  # three groups of four
PHI = np.array([[1, 0.3, 0.2], [0.3, 1, 0.5], [0.2, 0.5, 1]])


def told(pattern=PATTERN, phi=PHI):
    r = pattern @ phi @ pattern.T
    np.fill_diagonal(r, 1)
    return r


def case(name):
    found = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    return np.array(found["input"]["correlations"]), found


@pytest.fixture(scope="module")
def bfi():
    r, found = case("factors_bfi25")
    return r, {name: each["values"] for name, each in found["expected"].items()}


def values(named):
    return np.array(list(named.values()))


@pytest.mark.parametrize("fit", FITS)
def test_loadings_that_made_the_correlations_are_found_again(fit):
    unrotated = fit(told(), factors=3)
    assert unrotated @ unrotated.T == pytest.approx(PATTERN @ PHI @ PATTERN.T, abs=1e-5)
    pattern, phi = factors.oblimin(unrotated)
    place = np.abs(pattern).argmax(axis=0) // 4
    sign = np.sign(pattern.sum(axis=0))
    assert (pattern * sign)[:, np.argsort(place)] == pytest.approx(PATTERN, abs=1e-4)
    found = (phi * np.outer(sign, sign))[np.ix_(np.argsort(place), np.argsort(place))]
    assert found == pytest.approx(PHI, abs=1e-4)


@pytest.mark.parametrize("fit", FITS)
def test_columns_fall_in_size_and_point_upwards(fit):
    found = fit(told(), factors=3)
    assert (np.diff((found**2).sum(axis=0)) <= 0).all()
    assert (found.sum(axis=0) >= 0).all()


def test_minres_and_oblimin_as_psych_prints_them(bfi):
    r, expected = bfi
    expected = expected["efa_minres_oblimin_bfi25"]
    unrotated = factors.minres(r, factors=5)
    shared = factors.communalities(unrotated)
    assert shared == pytest.approx(values(expected["communality"]), abs=1e-4)
    pattern, phi = factors.oblimin(unrotated)
    theirs = np.array([values(row) for row in expected["loadings"].values()])
    order, sign = match(pattern, theirs)
    assert (pattern * sign)[:, order] == pytest.approx(theirs, abs=0.005)
    phi = (phi * np.outer(sign, sign))[np.ix_(order, order)]
    their_phi = np.array([values(row) for row in expected["phi"].values()])
    assert phi == pytest.approx(their_phi, abs=0.005)


def match(ours, theirs):
    """Order and sign of our columns that make them theirs."""
    alike = theirs.T @ ours
    order = np.abs(alike).argmax(axis=1)
    sign = np.empty(len(order))
    sign[order] = np.sign(alike[np.arange(len(order)), order])
    return order, sign


def test_maximum_likelihood_as_factanal_prints_it(bfi):
    r, expected = bfi
    expected = expected["efa_ml_factanal_bfi25"]
    found = factors.maximum_likelihood(r, factors=5)
    unique = 1 - factors.communalities(found)
    assert unique == pytest.approx(values(expected["uniqueness"]), abs=0.0005)
    implied = found @ found.T + np.diag(unique)
    _, logarithm = np.linalg.slogdet(implied)
    criterion = logarithm + np.trace(np.linalg.solve(implied, r)) - np.linalg.slogdet(r)[1] - 25
    assert criterion == pytest.approx(expected["criteria"], abs=1e-6)
    assert factors.spare_facts(25, 5) == expected["dof"]


def omegas(r, groups):
    """Omega hierarchical and total, items that run against the general factor turned round."""
    general, _ = factors.schmid_leiman(r, factors=groups)
    turn = np.where(general < 0, -1, 1)
    r = r * np.outer(turn, turn)
    general, _ = factors.schmid_leiman(r, factors=groups)
    unique = 1 - factors.communalities(factors.minres(r, factors=groups))
    return general.sum() ** 2 / r.sum(), 1 - unique.sum() / r.sum()


def test_schmid_leiman_gives_the_omegas_that_psych_prints(bfi):
    r, expected = bfi
    expected = expected["omega_bfi25_schmid_leiman"]
    hierarchical, total = omegas(r, 5)
    assert hierarchical == pytest.approx(expected["omega_h"], abs=0.005)
    assert total == pytest.approx(expected["omega_total"], abs=0.005)
    r, found = case("factors_ecsi_perq")
    hierarchical, total = omegas(r, 3)
    assert hierarchical == pytest.approx(found["expected"]["psych_omega_h_3f"], abs=0.005)
    assert total == pytest.approx(found["expected"]["psych_omega_total_3f"], abs=0.005)


def test_schmid_leiman_parts_a_hierarchy_that_was_told():
    # general .6 for all, .5 on the own group: within a group .36 + .25, between groups .36
    r = np.kron(np.eye(3), np.full((4, 4), 0.25)) + 0.36
    np.fill_diagonal(r, 1)
    general, group = factors.schmid_leiman(r, factors=3)
    assert general == pytest.approx(np.full(12, 0.6), abs=1e-4)
    assert np.sort(np.abs(group))[:, 2] == pytest.approx(np.full(12, 0.5), abs=1e-4)
    assert np.sort(np.abs(group))[:, :2] == pytest.approx(np.zeros((12, 2)), abs=1e-4)


def test_one_group_is_all_general_and_two_share_their_correlation():
    pattern = np.full((4, 1), 0.6)
    general, group = factors.schmid_leiman(told(pattern, np.eye(1)), factors=1)
    assert general == pytest.approx(np.full(4, 0.6), abs=1e-5)
    assert not group.any()
    opposed = told(np.kron(np.eye(2), np.full((4, 1), 0.7)), np.array([[1, -0.4], [-0.4, 1]]))
    general, _ = factors.schmid_leiman(opposed, factors=2)
    assert np.abs(general) == pytest.approx(np.full(8, 0.7 * 0.4**0.5), abs=1e-4)
    assert np.sign(general[0]) == -np.sign(general[-1])


@pytest.mark.parametrize(("fit", "each"), PAIRS)
def test_many_at_once_are_solved_as_one_by_one(bfi, fit, each):
    rng = np.random.default_rng(3)
    samples = rng.multivariate_normal(np.zeros(25), bfi[0], size=(6, 300))
    matrices = np.stack([np.corrcoef(sample.T) for sample in samples])
    found = each(matrices, factors=5, start=np.full(25, 0.5))
    alone = np.stack([fit(r, factors=5) for r in matrices])
    assert found @ found.swapaxes(1, 2) == pytest.approx(alone @ alone.swapaxes(1, 2), abs=1e-3)
    axes = np.eye(5)
    turned, phi = factors.oblimin_each(alone, start=axes)
    one, one_phi = factors.oblimin(alone[2], start=axes)
    assert turned[2] == pytest.approx(one, abs=0.01)  # many at once are turned less finely
    assert phi[2] == pytest.approx(one_phi, abs=0.01)


@pytest.mark.parametrize(("fit", "each"), PAIRS)
def test_a_heywood_case_is_found(fit, each):
    # one factor would need .8 * .8 / .5 = 1.28 of the first item's variance
    r = np.array([[1, 0.8, 0.8], [0.8, 1, 0.5], [0.8, 0.5, 1]])
    assert np.linalg.eigvalsh(r)[0] > 0
    assert factors.heywood(fit(r, factors=1)).tolist() == [True, False, False]
    assert factors.heywood(each(r[None], factors=1, start=np.full(3, 0.5))[0])[0]
    assert not factors.heywood(fit(told(), factors=3)).any()


def test_bad_matrices():
    with pytest.raises(Problem, match="no correlation matrix"):
        factors.minres(np.ones((2, 3)), factors=1)
    with pytest.raises(Problem, match="is unknown"):
        factors.minres(np.array([[1, np.nan], [np.nan, 1]]), factors=1)
    with pytest.raises(Problem, match="not one of correlations"):
        factors.minres(np.diag([1.0, 2, 3]), factors=1)
    with pytest.raises(Problem, match="not one of correlations"):
        factors.minres(np.array([[1, 0.2], [0.4, 1]]), factors=1)
    indefinite = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    for r in (np.ones((4, 4)), indefinite, np.zeros((0, 0))):
        with pytest.raises(Refusal, match="not positive definite"):
            factors.schmid_leiman(r, factors=1)
    with pytest.raises(Refusal, match="cannot tell 2 factors apart"):
        factors.minres(told(PATTERN[:4, :1], np.eye(1)), factors=2)
    with pytest.raises(Problem, match="factors is 0"):
        factors.minres(told(), factors=0)
