"""How would two ordered answers correlate if they had been measured on a line?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import optimize, special

from sqm.checks import Problem, Refusal

EDGE = 0.9999  # correlations are looked for between -EDGE and EDGE
FEWEST = 10  # complete rows below which a table of two items says nothing
MOST = 20  # different answers beyond which an item is a measurement, not an ordered category
_FLOOR = 1e-12  # least probability of a cell, so that its logarithm exists
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


@dataclass(frozen=True, eq=False)
class Polychoric:
    """Correlations of the lines behind ordered answers.

    Attributes
    ----------
    correlations : ndarray, shape (items, items)
        Not smoothed: see ``smallest_eigenvalue``.
    thresholds : tuple of ndarray, one per item
        Where the line is cut (standard deviations), one fewer than the categories used.
    categories : tuple of ndarray, one per item
        The answers that occur, in order.  One that nobody used cannot be placed.
    respondents : int
    smallest_eigenvalue : float
        Not above 0: the matrix is no correlation matrix of any line, because the pairs were
        estimated one by one.
    at_edge : tuple of (int, int)
        Pairs whose table is so one-sided that the likelihood rises up to a correlation of 1 or -1;
        they stand at ``EDGE``, and their interval is not known.
    empty_cells : float
        Share of the cells of all pairs that nobody fell in, 0 to 1.
    """

    correlations: np.ndarray
    thresholds: tuple[np.ndarray, ...]
    categories: tuple[np.ndarray, ...]
    respondents: int
    smallest_eigenvalue: float
    at_edge: tuple[tuple[int, int], ...]
    empty_cells: float


def polychoric(answers: np.ndarray) -> Polychoric:
    """Correlate ordered answers as if each were a normal line cut into categories.

    Parameters
    ----------
    answers : ndarray of numbers, shape (respondents, items)
        Complete rows; any numbers that are in order.

    Returns
    -------
    Polychoric

    Raises
    ------
    Problem
        If there is a blank, or fewer than two items.
    Refusal
        If an item has one value only or more than twenty, or if there are fewer than ten
        respondents.

    Notes
    -----
    Two steps [1]_: the thresholds are the normal quantiles of the cumulated shares of each item;
    given them, each correlation has the greatest likelihood of its two-way table under a bivariate
    normal distribution.  Nothing is added to empty cells.  Whether the lines are normal is assumed,
    not seen.

    References
    ----------
    .. [1] Olsson, U. (1979). Maximum likelihood estimation of the polychoric correlation
       coefficient. Psychometrika 44, 443-460. doi:10.1007/BF02296207

    Examples
    --------
    Two questions cut at the median, 40 + 20 + 20 + 40 respondents: the share below both cuts is
    1/4 + arcsin(r) / (2 pi) = 1/3, so r = sin(pi / 6) = 1/2.

    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 20, 20, 40], axis=0)
    >>> round(float(polychoric(table).correlations[0, 1]), 6)
    0.5
    """
    answers = _need_ordered(np.asarray(answers, dtype=float))
    coded = [np.unique(column, return_inverse=True) for column in answers.T]
    codes = [code for _, code in coded]
    cuts = [_thresholds(code) for code in codes]
    correlations, edge, empty = np.eye(len(codes)), [], []
    for i, j in combinations(range(len(codes)), 2):
        counts = _counts(codes[i], codes[j])
        rho, at_edge = _pair(counts, cuts[i], cuts[j])
        correlations[i, j] = correlations[j, i] = rho
        edge += [(i, j)] if at_edge else []
        empty.append(counts == 0)
    return Polychoric(
        correlations=correlations,
        thresholds=tuple(cuts),
        categories=tuple(values for values, _ in coded),
        respondents=len(answers),
        smallest_eigenvalue=float(np.linalg.eigvalsh(correlations)[0]),
        at_edge=tuple(edge),
        empty_cells=float(np.mean(np.concatenate([each.ravel() for each in empty]))),
    )


def influence(answers: np.ndarray, found: Polychoric, *, gradient: np.ndarray) -> np.ndarray:
    """How much each respondent moves a number that rests on the correlations.

    Parameters
    ----------
    answers : ndarray, shape (respondents, items)
        What ``found`` was estimated from.
    found : Polychoric
    gradient : ndarray, shape (items, items), symmetric
        Half the derivative of the number by each correlation (half, as each stands twice).

    Returns
    -------
    ndarray, shape (respondents,)
        They sum to 0; the standard error of the number is the root of the sum of their
        squares, over n.

    Notes
    -----
    For one pair, with thresholds t, scores s of the likelihood and information I, it is
    (s_r - sum_j E(s_r s_tj) d_tj) / I, where d_tj = (1{x <= j} - P_j) / phi(t_j) is that of a
    threshold: the second step is charged with the chance in the first [1]_.

    References
    ----------
    .. [1] Jöreskog, K. G. (1994). On the estimation of polychoric correlations and their
       asymptotic covariance matrix. Psychometrika 59, 381-389. doi:10.1007/BF02296131

    Examples
    --------
    At r = 0 and cuts at the median the standard error is pi / (2 sqrt(n)).

    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], 25, axis=0)
    >>> one = influence(table, polychoric(table), gradient=np.array([[0, 0.5], [0.5, 0]]))
    >>> round(float(np.sqrt((one**2).sum()) / 100), 6) == round(np.pi / 20, 6)
    True
    """
    codes = [
        np.searchsorted(values, column)
        for values, column in zip(found.categories, np.asarray(answers, dtype=float).T, strict=True)
    ]
    total = np.zeros(len(answers))
    for i, j in combinations(range(len(codes)), 2):
        cells = _cell_influence(found.correlations[i, j], found.thresholds[i], found.thresholds[j])
        total += 2 * gradient[i, j] * cells[codes[i], codes[j]]
    return total


def below(first: np.ndarray, second: np.ndarray, rho: float) -> np.ndarray:
    """Chance that two standard normal lines that correlate ``rho`` lie below two limits.

    Parameters
    ----------
    first : ndarray, shape (a,)
    second : ndarray, shape (b,)
        Finite limits.
    rho : float, between -1 and 1

    Returns
    -------
    ndarray, shape (a, b)

    Notes
    -----
    Phi(h) Phi(k) + 1 / (2 pi) times the integral of exp(-(h^2 + k^2 - 2 h k sin t) / (2 cos^2 t))
    for t from 0 to arcsin(rho) [1]_, by Gauss and Legendre on 40 points.

    References
    ----------
    .. [1] Drezner, Z., Wesolowsky, G. O. (1990). On the computation of the bivariate normal
       integral. Journal of Statistical Computation and Simulation 35, 101-107.
       doi:10.1080/00949659008811236

    Examples
    --------
    Below the median of both at r = 0.5: 1/4 + arcsin(0.5) / (2 pi) = 1/3.

    >>> round(float(below(np.zeros(1), np.zeros(1), 0.5)[0, 0]), 10)
    0.3333333333
    """
    turn = np.arcsin(rho)
    angle = turn / 2 * (_NODES + 1)
    h, k = first[:, None, None], second[None, :, None]
    power = -(h**2 + k**2 - 2 * h * k * np.sin(angle)) / (2 * np.cos(angle) ** 2)
    area = np.exp(power) @ _WEIGHTS * turn / 2
    return special.ndtr(first)[:, None] * special.ndtr(second)[None, :] + area / (2 * np.pi)


# --- Two steps ------------------------------------------------------------------------------------


def _need_ordered(answers: np.ndarray) -> np.ndarray:
    if answers.ndim != 2 or answers.shape[1] < 2 or not np.isfinite(answers).all():
        raise Problem(
            "Polychoric correlations were asked of answers with a blank or of one item.",
            "give complete rows of two items or more.",
        )
    if len(answers) < FEWEST:
        raise Refusal(
            f"Only {len(answers)} respondents answered every item; polychoric correlations need "
            f"{FEWEST}.",
            "collect more answers.",
        )
    used = [len(np.unique(column)) for column in answers.T]
    if min(used) < 2:
        raise Refusal("An item has the same answer from everyone.", "leave the item out.")
    if max(used) > MOST:
        raise Refusal(
            f"An item has {max(used)} different answers: a measurement, not ordered categories.",
            "use its ordinary correlation.",
        )
    return answers


def _thresholds(codes: np.ndarray) -> np.ndarray:
    return special.ndtri(np.cumsum(np.bincount(codes))[:-1] / len(codes))


def _counts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    rows, columns = first.max() + 1, second.max() + 1
    return np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns)


def _pair(counts: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, bool]:
    """The likeliest correlation of one table, and whether it lies at the edge."""

    def unlikely(rho: float) -> float:
        return -float((counts * np.log(np.maximum(_cells(first, second, rho), _FLOOR))).sum())

    found = optimize.minimize_scalar(
        unlikely, bounds=(-EDGE, EDGE), method="bounded", options={"xatol": 1e-9}
    )
    rho = float(found.x)
    return (float(np.sign(rho)) * EDGE, True) if abs(rho) > EDGE - 1e-4 else (rho, False)


def _cells(first: np.ndarray, second: np.ndarray, rho: float) -> np.ndarray:
    """Chance of each cell of the table of two cut lines."""
    corners = np.zeros((len(first) + 2, len(second) + 2))
    corners[1:-1, 1:-1] = below(first, second, rho)
    corners[-1, 1:-1], corners[1:-1, -1] = special.ndtr(second), special.ndtr(first)
    corners[-1, -1] = 1.0
    return np.diff(np.diff(corners, axis=0), axis=1)


# --- How much one respondent moves a correlation --------------------------------------------------


def _cell_influence(rho: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Influence on one correlation of a respondent in each cell of its table."""
    chance = np.maximum(_cells(first, second, rho), _FLOOR)
    score = _slopes(first, second, rho) / chance
    information = (score**2 * chance).sum()
    rows = _of_thresholds(score, first, second, rho)
    columns = _of_thresholds(score.T, second, first, rho)
    return (score - rows[:, None] - columns[None, :]) / information


def _slopes(first: np.ndarray, second: np.ndarray, rho: float) -> np.ndarray:
    """Derivative of each cell's chance by the correlation: the bivariate density at its corners."""
    h, k = first[:, None], second[None, :]
    free = 1 - rho**2
    density = np.exp(-(h**2 + k**2 - 2 * rho * h * k) / (2 * free)) / (2 * np.pi * np.sqrt(free))
    return np.diff(np.diff(np.pad(density, 1), axis=0), axis=1)


def _of_thresholds(score: np.ndarray, own: np.ndarray, other: np.ndarray, rho: float) -> np.ndarray:
    """What each category of one item adds because its thresholds were estimated too."""
    height = np.exp(-(own**2) / 2) / np.sqrt(2 * np.pi)
    beyond = special.ndtr((other[None, :] - rho * own[:, None]) / np.sqrt(1 - rho**2))
    between = np.diff(np.pad(beyond, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)
    together = (height[:, None] * between * -np.diff(score, axis=0)).sum(axis=1)
    at_most = np.arange(len(own) + 1)[:, None] <= np.arange(len(own))[None, :]
    return ((at_most - special.ndtr(own)) / height) @ together
