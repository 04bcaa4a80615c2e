"""Which factors lie behind these correlations?"""

from __future__ import annotations

import numpy as np
from scipy import linalg, optimize
from scipy.fft import dct

from sqm.checks import Problem, Refusal

LEAST_UNIQUENESS = 0.005  # of an item's variance; where it is reached, the case is called Heywood
LEAST_EIGENVALUE = 1e-8  # below it a matrix cannot be inverted to any use
ROTATION_STEPS, ROTATION_GRADIENT = 1000, 1e-6
ROUGH_GRADIENT = 1e-4  # of many sets at once, whose spread is asked for, not their values
NEWTON_STEPS, NEWTON_SETTLED = 30, 1e-6
_EDGES = (LEAST_UNIQUENESS, 1.0)


def need_correlations(correlations: np.ndarray) -> np.ndarray:
    """Insist on a matrix of correlations that can be inverted, and hand it back as numbers.

    Parameters
    ----------
    correlations : array, shape (k, k)

    Raises
    ------
    Problem
        If it is not square and symmetric with ones in the diagonal, or not all known.
    Refusal
        If it is not positive definite: some item is a sum of others, or the correlations were
        computed pair by pair on different respondents.
    """
    matrix = np.asarray(correlations, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise Problem(f"A matrix of {matrix.shape} is no correlation matrix.", "give it square.")
    if not np.isfinite(matrix).all():
        raise Problem("A correlation is unknown.", "leave out the item that never varies.")
    off = np.abs(matrix) > 1 + 1e-9
    if off.any() or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1):
        raise Problem(
            "The matrix is not one of correlations (-1 to 1, symmetric, ones in the diagonal).",
            "give correlations, not covariances, and the same figure above and below the diagonal.",
        )
    matrix = (matrix + matrix.T) / 2
    if len(matrix) == 0 or linalg.eigvalsh(matrix)[0] < LEAST_EIGENVALUE:
        raise Refusal(
            "The matrix of correlations is not positive definite: some item follows from others, "
            "or each correlation rests on different respondents.",
            "leave out an item that repeats others, or use complete rows only.",
        )
    return matrix


def spare_facts(items: int, factors: int) -> int:
    """Correlations left over after the loadings are found: the degrees of freedom of the model.

    Examples
    --------
    25 items, 5 factors: (20^2 - 30) / 2.

    >>> spare_facts(25, 5), spare_facts(4, 2)
    (185, -1)
    """
    return ((items - factors) ** 2 - (items + factors)) // 2


def need_identified(items: int, factors: int) -> None:
    """Insist that so many items can tell so many factors apart."""
    if factors < 1 or factors != int(factors):
        raise Problem(f"factors is {factors}.", "give a whole number of factors, at least 1.")
    if spare_facts(items, factors) < 0:
        raise Refusal(
            f"{items} items cannot tell {factors} factors apart: there are fewer correlations "
            "than loadings.",
            "ask for fewer factors, or add items.",
        )


def minres(
    correlations: np.ndarray, *, factors: int, start: np.ndarray | None = None
) -> np.ndarray:
    """Loadings that leave the smallest residual correlations, unrotated.

    Parameters
    ----------
    correlations : array, shape (k, k)
    factors : int
        m, how many factors.
    start : array, shape (k,), optional
        Uniquenesses to begin from; those of the squared multiple correlations if not given.

    Returns
    -------
    array, shape (k, m)
        Columns by falling sum of squares; each column sums to at least 0.

    Raises
    ------
    Problem, Refusal
        See `need_correlations` and `need_identified`.

    Notes
    -----
    Minimum residuals, which is unweighted least squares [1]_: the uniquenesses u minimise the
    sum of squared eigenvalues of R - diag(u) beyond the first m, by the gradient of [2]_.  They
    are held at 0.005 or more; see `heywood`.

    References
    ----------
    .. [1] Harman, H. H., Jones, W. H. (1966). Psychometrika 31, 351-368. doi:10.1007/BF02289468
    .. [2] Jöreskog, K. G. (1977). Factor analysis by least-squares and maximum-likelihood
       methods. In Enslein, K., Ralston, A., Wilf, H. S. (eds), Statistical Methods for Digital
       Computers. Wiley.

    Examples
    --------
    Loadings .8, .7, .6, .5 give r = .56, .48, .40, .42, .35, .30, and are found again.

    >>> told = np.array([0.8, 0.7, 0.6, 0.5])
    >>> r = np.outer(told, told); np.fill_diagonal(r, 1)
    >>> [round(float(each), 3) for each in minres(r, factors=1)[:, 0]]
    [0.8, 0.7, 0.6, 0.5]
    """
    r = _ready(correlations, factors)
    begin = 1 / np.diag(linalg.inv(r)) if start is None else start
    found = _search(_unexplained, r, factors, begin)
    return _signed(_loadings(r - np.diag(found), factors))


def maximum_likelihood(
    correlations: np.ndarray, *, factors: int, start: np.ndarray | None = None
) -> np.ndarray:
    """Loadings under which these correlations are likeliest, answers taken as normal; unrotated.

    Parameters
    ----------
    correlations : array, shape (k, k)
    factors : int
    start : array, shape (k,), optional
        Uniquenesses to begin from.

    Returns
    -------
    array, shape (k, m)
        Columns by falling sum of squares; each column sums to at least 0.

    Raises
    ------
    Problem, Refusal
        See `need_correlations` and `need_identified`.

    Notes
    -----
    The uniquenesses u minimise the sum of e - log(e) - 1 over the eigenvalues e of
    diag(u)^-1/2 R diag(u)^-1/2 beyond the first m [1]_, as R's factanal does.

    References
    ----------
    .. [1] Lawley, D. N., Maxwell, A. E. (1971). Factor Analysis as a Statistical Method, 2nd ed.
       Butterworths.

    Examples
    --------
    >>> told = np.array([0.8, 0.7, 0.6, 0.5])
    >>> r = np.outer(told, told); np.fill_diagonal(r, 1)
    >>> [round(float(each), 3) for each in maximum_likelihood(r, factors=1)[:, 0]]
    [0.8, 0.7, 0.6, 0.5]
    """
    r = _ready(correlations, factors)
    begin = (1 - factors / len(r) / 2) / np.diag(linalg.inv(r)) if start is None else start
    scale = np.sqrt(_search(_unlikelihood, r, factors, begin))
    return _signed(_by_size(scale[:, None] * _loadings(_scaled(r, scale), factors, less=1.0)))


def minres_each(matrices: np.ndarray, *, factors: int, start: np.ndarray) -> np.ndarray:
    """Unrotated `minres` loadings of many matrices, such as those of resamples, side by side.

    Parameters
    ----------
    matrices : array, shape (sets, k, k)
        Positive definite correlations; they are not checked.
    factors : int
    start : array, shape (k,) or (sets, k)
        Uniquenesses to begin from.

    Returns
    -------
    array, shape (sets, k, m)
        The signs of columns are left as they come.

    Notes
    -----
    Newton's steps with the second derivatives that hold where the residuals are small [1]_; a
    matrix on which they do not settle is left to `minres`.

    References
    ----------
    .. [1] Jöreskog, K. G. (1977), as in `minres`.
    """
    unique, settled = _newton(_unexplained_each, matrices, factors, start, edges=_EDGES)
    for i in np.flatnonzero(~settled):
        unique[i] = _search(_unexplained, matrices[i], factors, unique[i])
    return _loadings(matrices - _diagonal(unique), factors)


def maximum_likelihood_each(matrices: np.ndarray, *, factors: int, start: np.ndarray) -> np.ndarray:
    """Unrotated `maximum_likelihood` loadings of many matrices side by side.

    Parameters and result are those of `minres_each`.
    """
    found, settled = _newton(
        _unlikelihood_each, matrices, factors, np.log(start), edges=np.log(_EDGES)
    )
    unique = np.exp(found)
    for i in np.flatnonzero(~settled):
        unique[i] = _search(_unlikelihood, matrices[i], factors, unique[i])
    scale = np.sqrt(unique)
    return scale[:, :, None] * _loadings(_scaled(matrices, scale), factors, less=1.0)


def communalities(loadings: np.ndarray, phi: np.ndarray | None = None) -> np.ndarray:
    """Share of each item's variance that the factors explain (``phi``: how factors correlate)."""
    return ((loadings if phi is None else loadings @ phi) * loadings).sum(axis=-1)


def heywood(loadings: np.ndarray, phi: np.ndarray | None = None) -> np.ndarray:
    """Which items are explained wholly: a Heywood case, no solution to be trusted.

    Examples
    --------
    >>> heywood(np.array([[0.9], [0.999]])).tolist()
    [False, True]
    """
    return communalities(loadings, phi) >= 1 - LEAST_UNIQUENESS - 1e-4


def oblimin(
    loadings: np.ndarray, *, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Turn factors until each item loads on few of them; factors may then correlate.

    Parameters
    ----------
    loadings : array, shape (k, m)
        Unrotated.
    start : array, shape (m, m), optional
        Directions of the factors to begin from (columns of length 1).

    Returns
    -------
    rotated : array, shape (k, m)
        The pattern: weights of the factors in each item.
    phi : array, shape (m, m)
        Correlations of the factors.

    Notes
    -----
    Direct quartimin, oblimin with gamma 0 [1]_: the least sum of products of squared loadings
    of one item on two factors, by projected gradients [2]_.  Rows are not normalised.  Unless
    ``start`` is given the search begins twice, from the axes and from axes turned away, because
    it can halt on a saddle; the simpler pattern is kept.

    References
    ----------
    .. [1] Jennrich, R. I., Sampson, P. F. (1966). Psychometrika 31, 313-323.
       doi:10.1007/BF02289465
    .. [2] Jennrich, R. I. (2002). Psychometrika 67, 7-19. doi:10.1007/BF02294706

    Examples
    --------
    Two clean factors, turned by 45 degrees, are turned back and do not correlate.

    >>> clean = np.array([[0.8, 0], [0.6, 0], [0, 0.7], [0, 0.5]])
    >>> turned = clean @ np.array([[1, -1], [1, 1]]) / 2**0.5
    >>> rotated, phi = oblimin(turned)
    >>> np.sort(np.abs(rotated)).round(3).tolist(), abs(round(float(phi[0, 1]), 3))
    ([[0.0, 0.8], [0.0, 0.6], [0.0, 0.7], [0.0, 0.5]], 0.0)
    """
    loadings, m = np.asarray(loadings, dtype=float), np.shape(loadings)[1]
    begin = [np.eye(m), dct(np.eye(m), norm="ortho")] if start is None else [start]
    directions = _turned(np.stack([loadings] * len(begin)), np.stack(begin))
    complexity, _ = _complexity(loadings, directions)
    best = directions[np.argmax(complexity <= complexity.min() + 1e-9)]  # the axes if they do
    return loadings @ linalg.inv(best).T, best.T @ best


def oblimin_each(loadings: np.ndarray, *, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn each of many sets of loadings as `oblimin` does, from one start.

    Parameters
    ----------
    loadings : array, shape (sets, k, m)
    start : array, shape (m, m)

    Returns
    -------
    rotated : array, shape (sets, k, m)
    phi : array, shape (sets, m, m)
    """
    directions = _turned(loadings, np.repeat(start[None], len(loadings), axis=0), ROUGH_GRADIENT)
    back = np.linalg.inv(directions).swapaxes(1, 2)
    return loadings @ back, directions.swapaxes(1, 2) @ directions


def schmid_leiman(correlations: np.ndarray, *, factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Part what all items share from what only groups of them share.

    Parameters
    ----------
    correlations : array, shape (k, k)
        Items worded in reverse already turned round.
    factors : int
        m, how many groups.

    Returns
    -------
    general : array, shape (k,)
        Loadings on the factor behind all items; their sum is at least 0.
    group : array, shape (k, m)
        Loadings on the groups, which correlate neither with each other nor with the general
        factor.  With one group it is nought: everything shared is general.

    Raises
    ------
    Problem, Refusal
        See `need_correlations` and `need_identified`; Refusal also where the factors correlate so
        that they cannot be told apart.

    Notes
    -----
    Minres factors, oblimin, then one minres factor of their correlations with loadings g:
    general = pattern g, group = pattern * sqrt(1 - g^2) [1]_.  Two factors cannot tell their
    loadings on a third, so both get the square root of their correlation.  A Heywood case shows
    in ``heywood(np.column_stack([general, group]))`` or in a group with hardly any loading.

    References
    ----------
    .. [1] Schmid, J., Leiman, J. M. (1957). Psychometrika 22, 53-61. doi:10.1007/BF02289209

    Examples
    --------
    Two groups of three items, .8 within and .32 between: group factors load .8^.5 = .894 and
    correlate .32 / .8 = .4, so general = .894 * .4^.5 = .566 and group = .894 * .6^.5 = .693.

    >>> r = np.kron(np.eye(2), np.full((3, 3), 0.48)) + 0.32
    >>> np.fill_diagonal(r, 1)
    >>> general, group = schmid_leiman(r, factors=2)
    >>> round(float(general[0]), 3), round(float(np.abs(group[0]).max()), 3)
    (0.566, 0.693)
    """
    unrotated = minres(correlations, factors=factors)
    if factors == 1:
        return unrotated[:, 0], np.zeros_like(unrotated)
    pattern, phi = oblimin(unrotated)
    above = _second_order(phi)
    general = pattern @ above
    group = pattern * np.sqrt(np.maximum(1 - above**2, 0))
    return (general if general.sum() >= 0 else -general), group


# --- The search -----------------------------------------------------------------------------------


def _ready(correlations: np.ndarray, factors: int) -> np.ndarray:
    r = need_correlations(correlations)
    need_identified(len(r), factors)
    return r


def _search(objective, r: np.ndarray, factors: int, start: np.ndarray) -> np.ndarray:
    """Uniquenesses where the objective is least."""
    found = optimize.minimize(
        objective,
        np.clip(start, *_EDGES),
        args=(r, factors),
        jac=True,
        method="L-BFGS-B",
        bounds=[_EDGES] * len(r),
        options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-7},
    )
    return found.x


def _unexplained(unique: np.ndarray, r: np.ndarray, factors: int) -> tuple[float, np.ndarray]:
    """Half the sum of squared residuals, and its slope."""
    values, vectors = np.linalg.eigh(r - np.diag(unique))
    values, vectors = _others(values, vectors, factors, sought=0.0)
    return 0.5 * float(values @ values), -(vectors**2) @ values


def _unlikelihood(unique: np.ndarray, r: np.ndarray, factors: int) -> tuple[float, np.ndarray]:
    """The discrepancy of maximum likelihood, and its slope."""
    values, vectors = np.linalg.eigh(_scaled(r, np.sqrt(unique)))
    values, vectors = _others(values, vectors, factors, sought=1.0)
    return float((values - np.log(values) - 1).sum()), (vectors**2) @ (1 - values) / unique


def _others(
    values: np.ndarray, vectors: np.ndarray, factors: int, *, sought: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the factors leave: all but the largest eigenvalues that exceed ``sought``."""
    taken = min(factors, int((values > sought).sum()))
    return values[: len(values) - taken], vectors[:, : len(values) - taken]


def _scaled(r: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return r / scale[..., :, None] / scale[..., None, :]


def _diagonal(values: np.ndarray) -> np.ndarray:
    return values[..., None] * np.eye(values.shape[-1])


def _loadings(reduced: np.ndarray, factors: int, *, less: float = 0.0) -> np.ndarray:
    values, vectors = np.linalg.eigh(reduced)
    values, vectors = values[..., : -factors - 1 : -1], vectors[..., : -factors - 1 : -1]
    return vectors * np.sqrt(np.maximum(values - less, 0))[..., None, :]


def _signed(loadings: np.ndarray) -> np.ndarray:
    return loadings * np.where(loadings.sum(axis=0) < 0, -1, 1)


def _by_size(loadings: np.ndarray) -> np.ndarray:
    return loadings[:, np.argsort(-(loadings**2).sum(axis=0), kind="stable")]


def _second_order(phi: np.ndarray) -> np.ndarray:
    """Loadings of correlated factors on the one above them."""
    if len(phi) > 2:
        return minres(phi, factors=1)[:, 0]
    root = np.sqrt(abs(phi[0, 1]))
    return np.array([root, np.copysign(root, phi[0, 1])])


# --- Many at once ---------------------------------------------------------------------------------


def _newton(
    derivatives, matrices: np.ndarray, factors: int, start: np.ndarray, *, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the slope is nought, or at an edge that it points over; and which have settled."""
    found = np.clip(np.broadcast_to(start, matrices.shape[:2]), *edges).copy()
    moving = np.arange(len(matrices))
    for _ in range(NEWTON_STEPS):
        now = found[moving]
        slope, second = derivatives(now, matrices[moving], factors)
        held = ((now <= edges[0]) & (slope > 0)) | ((now >= edges[1]) & (slope < 0))
        slope[held] = 0
        second[held[:, :, None] | held[:, None, :]] = 0
        second += _diagonal(np.where(held, 1, 1e-9))
        step = np.linalg.solve(second, slope[:, :, None])[:, :, 0]
        found[moving] = np.clip(now - step, *edges)
        moving = moving[np.abs(found[moving] - now).max(axis=1) > NEWTON_SETTLED]
        if not len(moving):
            break
    settled = np.ones(len(matrices), dtype=bool)
    settled[moving] = False
    return found, settled


def _unexplained_each(
    unique: np.ndarray, matrices: np.ndarray, factors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of half the squared residuals, and second derivatives."""
    values, vectors = np.linalg.eigh(matrices - _diagonal(unique))
    values, vectors = values[:, :-factors], vectors[:, :, :-factors]
    return -(vectors**2 @ values[:, :, None])[:, :, 0], (vectors @ vectors.swapaxes(1, 2)) ** 2


def _unlikelihood_each(
    logarithm: np.ndarray, matrices: np.ndarray, factors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of the discrepancy in the logarithms of uniquenesses, and second derivatives."""
    values, vectors = np.linalg.eigh(_scaled(matrices, np.exp(logarithm / 2)))
    values, vectors = values[:, :-factors], vectors[:, :, :-factors]
    return (vectors**2 @ (1 - values)[:, :, None])[:, :, 0], (vectors @ vectors.swapaxes(1, 2)) ** 2


# --- The rotation ---------------------------------------------------------------------------------


def _turned(
    loadings: np.ndarray, directions: np.ndarray, least: float = ROTATION_GRADIENT
) -> np.ndarray:
    """Directions of the factors where the complexity is least, sought from those given."""
    directions, step = directions.copy(), np.ones(len(loadings))
    complexity, slope = _complexity(loadings, directions)
    moving = np.arange(len(loadings))
    for _ in range(ROTATION_STEPS):
        now = directions[moving]
        way = slope[moving] - now * (now * slope[moving]).sum(axis=1, keepdims=True)
        far = np.sqrt((way**2).sum(axis=(1, 2))) >= least
        moving, way = moving[far], way[far]
        step[moving] *= 2
        state = (directions, complexity, slope, step)
        moving = moving[_stepped(loadings, moving, way, state)]
        if not len(moving):
            break
    return directions


def _stepped(
    loadings: np.ndarray, moving: np.ndarray, way: np.ndarray, state: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Take the longest step that helps, halving it up to 20 times; which ones could."""
    directions, complexity, slope, step = state
    size = (way**2).sum(axis=(1, 2))
    waiting = np.arange(len(moving))
    for _ in range(20):
        which = moving[waiting]
        tried = directions[which] - step[which, None, None] * way[waiting]
        tried /= np.sqrt((tried**2).sum(axis=1, keepdims=True))
        now, now_slope = _complexity(loadings[which], tried)
        helps = now < complexity[which] - size[waiting] * step[which] / 2
        done = which[helps]
        directions[done], complexity[done] = tried[helps], now[helps]
        slope[done] = now_slope[helps]
        step[which[~helps]] /= 2
        waiting = waiting[~helps]
        if not len(waiting):
            break
    could = np.ones(len(moving), dtype=bool)
    could[waiting] = False  # this is as far as the numbers go
    return could


def _complexity(loadings: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products of squared loadings over pairs of factors, and the slopes in the directions."""
    back = np.linalg.inv(directions)
    pattern = loadings @ back.swapaxes(-1, -2)
    squared = pattern**2
    others = squared.sum(axis=-1, keepdims=True) - squared
    slope = -(pattern.swapaxes(-1, -2) @ (pattern * others) @ back).swapaxes(-1, -2)
    return (squared * others).sum(axis=(-1, -2)) / 4, slope
