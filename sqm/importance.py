"""How much of the explained variation does each driver account for?"""

from __future__ import annotations

import numpy as np

from sqm.checks import Problem, Refusal

MOST_FOR_SUBSETS = 15  # predictors: every one more doubles the 32,768 models
SINGULAR = 1e-10  # an eigenvalue of a correlation matrix at or below it counts as nothing


def relative_weights(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """Johnson's relative weights: the part of R squared that each predictor accounts for.

    Parameters
    ----------
    among : ndarray, shape (..., k, k)
        Correlations among the predictors.
    with_outcome : ndarray, shape (..., k)
        Their correlations with the outcome.

    Returns
    -------
    ndarray, shape (..., k)
        Shares of the outcome's variance; they sum to R squared, and none is negative.

    Raises
    ------
    Refusal
        If the correlations are not positive definite (one predictor follows from the others).

    Notes
    -----
    With L the symmetric square root of the predictors' correlations and b = L^-1 r,
    weight j is sum_k L_jk^2 b_k^2 [1]_; Genizi's measure is the same [2]_.  Above k = 15 it
    stands in for `lmg`, to which it is close.

    References
    ----------
    .. [1] Johnson, J. W. (2000). Multivariate Behavioral Research 35, 1-19.
       doi:10.1207/S15327906MBR3501_1
    .. [2] Grömping, U. (2015). Variable importance in regression models. WIREs Computational
       Statistics 7, 137-152. doi:10.1002/wics.1346

    Examples
    --------
    Two uncorrelated predictors: the squared correlations.

    >>> relative_weights(np.eye(2), np.array([0.6, 0.2])).round(3).tolist()
    [0.36, 0.04]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        values, vectors = _eigen(among)
        root = (vectors * np.sqrt(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        turned = np.einsum("...ji,...j->...i", vectors, with_outcome) / np.sqrt(values)
        b = np.einsum("...ij,...j->...i", vectors, turned)
    return np.einsum("...jk,...k->...j", root**2, b**2)


def coefficients(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """Standardised regression coefficients, shape (..., k), from the same correlations.

    Examples
    --------
    (0.6 - 0.5 * 0.4) / 0.75 and (0.4 - 0.5 * 0.6) / 0.75.

    >>> coefficients(np.array([[1, 0.5], [0.5, 1]]), np.array([0.6, 0.4])).round(6).tolist()
    [0.533333, 0.133333]
    """
    _eigen(among)
    return np.linalg.solve(among, with_outcome[..., None])[..., 0]


def definite(correlations: np.ndarray) -> np.ndarray:
    """Whether each correlation matrix is positive definite, shape (...): the rest need it.

    Examples
    --------
    >>> definite(np.array([np.eye(2), np.ones((2, 2))])).tolist()
    [True, False]
    """
    finite = np.isfinite(correlations).all(axis=(-2, -1))
    safe = np.where(finite[..., None, None], correlations, 0.0)
    return finite & (np.linalg.eigvalsh(safe)[..., 0] > SINGULAR)


def _eigen(among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(among).all():
        raise Refusal(
            "A predictor never varies, so its correlations are not defined.",
            "leave out the one that everybody answered alike.",
        )
    values, vectors = np.linalg.eigh(among)
    if (values <= SINGULAR).any():
        raise Refusal(
            "The predictors' correlations are not positive definite: one follows from the others.",
            "leave one of them out, or average those that say the same.",
        )
    return values, vectors


def explained_by_subsets(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """R squared of every subset of the predictors.

    Returns
    -------
    ndarray, shape (..., 2 ** k)
        Place m holds the model whose predictors are the bits of m; place 0 is 0.

    Raises
    ------
    Problem
        With more than fifteen predictors.
    Refusal
        If the correlations are not positive definite.

    Examples
    --------
    >>> explained_by_subsets(np.eye(2), np.array([0.6, 0.2])).round(3).tolist()
    [0.0, 0.36, 0.04, 0.4]
    """
    k = with_outcome.shape[-1]
    if k > MOST_FOR_SUBSETS:
        raise Problem(
            f"{k} predictors have {2**k:,} models.",
            f"take Johnson's relative weights, or at most {MOST_FOR_SUBSETS} predictors.",
        )
    _eigen(among)
    explained = np.zeros((*with_outcome.shape[:-1], 2**k))
    for mask in range(1, 2**k):
        chosen = [j for j in range(k) if mask >> j & 1]
        r = with_outcome[..., chosen]
        b = np.linalg.solve(among[..., chosen, :][..., chosen], r[..., None])[..., 0]
        explained[..., mask] = (r * b).sum(axis=-1)
    return explained


def lmg(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """LMG: each predictor's gain in R squared, averaged over all orders of entry.

    Also known as general dominance and as the Shapley value of R squared.

    Parameters
    ----------
    among : ndarray, shape (..., k, k)
    with_outcome : ndarray, shape (..., k)

    Returns
    -------
    ndarray, shape (..., k)
        Shares of the outcome's variance; they sum to R squared.

    Raises
    ------
    Problem
        With more than fifteen predictors.
    Refusal
        If the correlations are not positive definite.

    References
    ----------
    .. [1] Grömping, U. (2006). Relative importance for linear regression in R: the package
       relaimpo. Journal of Statistical Software 17(1). doi:10.18637/jss.v017.i01

    Examples
    --------
    First or second into the model: 0.36 or 0.36 - 0.09 + 0 = 0.27, and 0.09 or 0.

    >>> lmg(np.array([[1, 0.5], [0.5, 1]]), np.array([0.6, 0.3])).round(6).tolist()
    [0.315, 0.045]
    """
    return conditional_dominance(among, with_outcome).mean(axis=-1)


def conditional_dominance(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """Each predictor's mean gain in R squared beside 0, 1, ... k - 1 others.

    Returns
    -------
    ndarray, shape (..., k, k)
        Predictor by number of others already there.  One predictor dominates another
        conditionally if its whole row lies above.

    References
    ----------
    .. [1] Azen, R., Budescu, D. V. (2003). The dominance analysis approach for comparing
       predictors in multiple regression. Psychological Methods 8, 129-148.
       doi:10.1037/1082-989X.8.2.129

    Examples
    --------
    >>> r = np.array([0.6, 0.3])
    >>> conditional_dominance(np.array([[1, 0.5], [0.5, 1]]), r).round(6).tolist()
    [[0.36, 0.27], [0.09, 0.0]]
    """
    explained = explained_by_subsets(among, with_outcome)
    k = with_outcome.shape[-1]
    subsets = np.arange(2**k)
    size = np.bitwise_count(subsets)
    gains = np.empty((*with_outcome.shape[:-1], k, k))
    for j in range(k):
        without = subsets[(subsets >> j & 1) == 0]
        gain = explained[..., without | 1 << j] - explained[..., without]
        for others in range(k):
            gains[..., j, others] = gain[..., size[without] == others].mean(axis=-1)
    return gains


def complete_dominance(among: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """Whether one predictor explains more than another beside every subset of the rest.

    Returns
    -------
    ndarray of bool, shape (k, k)
        Row i, column j is true if i dominates j completely; where neither [i, j] nor [j, i]
        is true, the pair is undecided.  The definition is Azen and Budescu's (2003); see
        `conditional_dominance`.

    Examples
    --------
    >>> complete_dominance(np.eye(2), np.array([0.6, 0.2])).tolist()
    [[False, True], [False, False]]
    """
    explained = explained_by_subsets(among, with_outcome)
    k = with_outcome.shape[-1]
    dominates = np.zeros((k, k), dtype=bool)
    for i in range(k):
        for j in (each for each in range(k) if each != i):
            rest = np.arange(2**k)
            rest = rest[(rest >> i & 1 | rest >> j & 1) == 0]
            dominates[i, j] = (explained[rest | 1 << i] > explained[rest | 1 << j]).all()
    return dominates
