"""How do the categories that several people gave to the same cases compare?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from sqm.interval import wilson

FEWEST = 10  # cases filed by two people or more, below which agreement is not estimated


def as_text(value: object) -> str:
    """A category as text: 2.0 and 2 are the same.

    Examples
    --------
    >>> as_text(2.0), as_text(2), as_text("late"), as_text(True)
    ('2', '2', 'late', 'True')
    """
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value)


# --- Two people -----------------------------------------------------------------------------------


def crossed(first: pd.Series, second: pd.Series) -> tuple[list[str], np.ndarray]:
    """Categories that either used, in order, and the square table of counts.

    Examples
    --------
    >>> names, counts = crossed(pd.Series(["a", "a", "b"]), pd.Series(["a", "b", "b"]))
    >>> names, counts.tolist()
    (['a', 'b'], [[1.0, 1.0], [0.0, 1.0]])
    """
    a, b = first.astype(str).to_numpy(dtype=object), second.astype(str).to_numpy(dtype=object)
    names = sorted({*a, *b})
    place = {name: at for at, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, ([place[x] for x in a], [place[x] for x in b]), 1)
    return names, counts


def cohen(counts: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Cohen's kappa of a square table of counts, with its limits; all missing if chance is sure.

    Examples
    --------
    20, 5, 10, 15 of 50: p_o = 0.7, p_e = 0.5; artanh(0.4) = 0.42365, half the interval is
    2.00958 sqrt(0.016128) / 0.84 = 0.30382 there.

    >>> [round(each, 4) for each in cohen(np.array([[20, 5], [10, 15]]), 0.95)]
    [0.4, 0.1193, 0.6215]
    """
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    agreed, chance = np.trace(p), rows @ columns
    if np.isclose(chance, 1):
        return np.nan, np.nan, np.nan
    kappa = (agreed - chance) / (1 - chance)
    if np.trace(counts) == n:
        return 1.0, least_beyond(chance, n, confidence), 1.0
    return float(kappa), *fisher_limits(kappa, kappa_variance(counts), n, confidence)


def kappa_variance(counts: np.ndarray) -> float:
    """Large-sample variance of kappa, from a square table of counts.

    Notes
    -----
    Fleiss, Cohen and Everitt (1969), doi:10.1037/h0028106, with p the shares,
    r and c their margins and k kappa:
    [sum_i p_ii (1 - (r_i + c_i)(1 - k))^2 + (1 - k)^2 sum_(i != j) p_ij (c_i + r_j)^2
    - (k - p_e (1 - k))^2] / (n (1 - p_e)^2).

    Examples
    --------
    20, 5, 10, 15 of 50: k = 0.4, p_e = 0.5; the three terms are
    0.0664 + 0.1084, 0.36 * (0.1 * 1.21 + 0.2 * 0.81) and 0.01.

    >>> round(float(kappa_variance(np.array([[20, 5], [10, 15]]))), 6)
    0.016128
    """
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    chance = rows @ columns
    kappa = (np.trace(p) - chance) / (1 - chance)
    same = np.diag(p) @ (1 - (rows + columns) * (1 - kappa)) ** 2
    apart = (p - np.diag(np.diag(p))) * (columns[:, None] + rows[None, :]) ** 2
    centre = (kappa - chance * (1 - kappa)) ** 2
    variance = same + (1 - kappa) ** 2 * apart.sum() - centre
    return float(max(variance, 0.0) / (n * (1 - chance) ** 2))


# --- Several people -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sums:
    """What every coefficient is computed from; first axis: cases, or data sets summed over them.

    Attributes
    ----------
    cases : ndarray, shape (sets,)
    alike, coinciding : ndarray, shape (sets, categories, categories)
        Pairs of categories within cases, each case with weight 1, and with its
        number of ratings.
    shares : ndarray, shape (sets, categories)
        Shares of the categories in each case, summed.
    full : ndarray, shape (sets,)
        Cases that every rater filed.
    crossed : ndarray, shape (sets, pairs of raters, categories, categories)
        The table of each pair of raters on those.
    """

    cases: np.ndarray
    alike: np.ndarray
    coinciding: np.ndarray
    shares: np.ndarray
    full: np.ndarray
    crossed: np.ndarray

    def map(self, change: Callable[[np.ndarray, str], np.ndarray]) -> Sums:
        """Every sum changed by ``change(value, name)``."""
        return Sums(**{key: change(value, key) for key, value in vars(self).items()})

    def agreed(self, weights: np.ndarray) -> np.ndarray:
        """Mean over cases of how far pairs of ratings agree, a pair of categories by its weight."""
        return np.einsum("rij,ij->r", self.alike, weights) / self.cases

    @property
    def used(self) -> np.ndarray:
        """Mean share of each category."""
        return self.shares / self.cases[:, None]


def sums_of_each(codes: np.ndarray, categories: int) -> Sums:
    """What each row of codes (places of the categories, -1: blank) adds to the sums.

    Examples
    --------
    Three raters of one case, two say 0 and one says 1: two of six ordered pairs agree.

    >>> sums_of_each(np.array([[0, 0, 1]]), 2).agreed(np.eye(2)).round(4).tolist()
    [0.3333]
    """
    one = (codes[:, :, None] == np.arange(categories)).astype(float)
    uses = one.sum(axis=1)
    ratings = uses.sum(axis=1)
    pairs = uses[:, :, None] * uses[:, None, :]
    diagonal = np.arange(categories)
    pairs[:, diagonal, diagonal] -= uses
    full = (codes >= 0).all(axis=1).astype(float)
    crossed = [
        one[:, g, :, None] * one[:, h, None, :] * full[:, None, None]
        for g, h in combinations(range(codes.shape[1]), 2)
    ]
    return Sums(
        cases=np.ones(len(codes)),
        alike=pairs / (ratings * (ratings - 1))[:, None, None],
        coinciding=pairs / (ratings - 1)[:, None, None],
        shares=uses / ratings[:, None],
        full=full,
        crossed=np.stack(crossed, axis=1),
    )


def beyond(agreed: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Agreement beyond chance, as a share of what chance leaves, and that chance.

    Examples
    --------
    >>> beyond(0.75, 0.5)
    (0.5, 0.5)
    """
    return (agreed - chance) / (1 - chance), chance


def fleiss(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fleiss' kappa, with the agreement it takes for luck.

    Examples
    --------
    Two cases, aa and ab: p_o = 1/2, q = 3/4 and 1/4, p_e = 10/16.

    >>> each = sums_of_each(np.array([[0, 0], [0, 1]]), 2)
    >>> kappa, chance = fleiss(each.map(lambda value, _: value.sum(axis=0)[None]), np.eye(2))
    >>> round(float(kappa[0]), 4), float(chance[0])
    (-0.3333, 0.625)
    """
    q = sums.used
    return beyond(sums.agreed(weights), np.einsum("ri,ij,rj->r", q, weights, q))


# --- Limits ---------------------------------------------------------------------------------------


def least_beyond(chance: float, cases: float, confidence: float) -> float:
    """Lower limit of agreement beyond chance where all cases agree: Wilson's of the agreement.

    Examples
    --------
    Of 10 cases Wilson's lower limit is 10 / (10 + 3.8415) = 0.7225.

    >>> round(least_beyond(0.5, 10, 0.95), 4)
    0.4449
    """
    least, _ = wilson(1.0, cases, confidence=confidence)
    return float((least - chance) / (1 - chance))


def fisher_limits(
    estimate: float, variance: float, cases: float, confidence: float
) -> tuple[float, float]:
    """Student's interval on the scale of artanh, on which coefficients up to 1 spread evenly.

    Examples
    --------
    At 0 the spread is 0.1, Student's quantile of 99 is 1.9842, and tanh(0.19842) = 0.1959.

    >>> [round(each, 4) for each in fisher_limits(0.0, 0.01, 100, 0.95)]
    [-0.1959, 0.1959]
    """
    if not (abs(estimate) < 1 and np.isfinite(variance) and cases > 2):
        return np.nan, np.nan
    spread = np.sqrt(variance) / (1 - estimate**2)
    half = stats.t.ppf((1 + confidence) / 2, cases - 1) * spread
    at = np.arctanh(estimate)
    return float(np.tanh(at - half)), float(np.tanh(at + half))


def share_limits(share: float, variance: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval at the effective number: what independent cases would spread as much.

    Examples
    --------
    0.25 / 0.025 = 10 independent cases, however many were seen.

    >>> share_limits(0.5, 0.025, 40, 0.95) == wilson(0.5, 10)
    True
    """
    if 0 < share < 1 and variance > 0:
        n = share * (1 - share) / variance
    return wilson(share, n, confidence=confidence)
