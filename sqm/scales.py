"""How do the items of a scale hang together?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Problem, need_columns, need_numbers, need_share

SOURCE = "the answers"
FEWEST = 4  # complete rows below which no interval (Fisher's needs n - 3) can be given


def alpha(values: np.ndarray) -> float:
    """Cronbach's alpha of complete rows (respondents by items); NaN if the total never varies."""
    k = values.shape[1]
    total = values.sum(axis=1).var(ddof=1)
    if total == 0:
        return np.nan
    return float(k / (k - 1) * (1 - values.var(axis=0, ddof=1).sum() / total))


def feldt(alpha: float, n: int, k: int, confidence: float) -> tuple[float, float]:
    """Feldt's interval of alpha for n respondents and k items."""
    tail = (1 - confidence) / 2
    upper, lower = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (k - 1))
    return float(1 - (1 - alpha) * upper), float(1 - (1 - alpha) * lower)


def fisher(r: float, n: int, confidence: float) -> tuple[float, float]:
    """Fisher's z interval of a correlation of n pairs."""
    if not abs(r) < 1:
        return r, r
    half = stats.norm.ppf((1 + confidence) / 2) / np.sqrt(n - 3) if n > 3 else np.inf
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; NaN where one side never varies."""
    if a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def consistency(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Alpha with Feldt's interval, or Spearman-Brown for two items."""
    n, k = values.shape
    if k > 2:
        estimate = alpha(values)
        return estimate, *feldt(estimate, n, k, confidence)
    r = correlation(values[:, 0], values[:, 1])
    return tuple(map(spearman_brown, [r, *fisher(r, n, confidence)]))


def spearman_brown(r: float) -> float:
    """Reliability of the sum of two items that correlate r."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(2 * np.float64(r) / (1 + np.float64(r)))


def complete(answers: pd.DataFrame) -> np.ndarray:
    """Rows without a blank, as numbers."""
    return answers.dropna().to_numpy(dtype=float)


def never_vary(values: np.ndarray, items: list[str]) -> list[str]:
    """The items to which everyone who answered gave the same answer; blanks do not count.

    Examples
    --------
    >>> never_vary(np.array([[1.0, 2.0], [1.0, 3.0], [np.nan, 2.0]]), ["a", "b"])
    ['a']
    """
    given = (column[np.isfinite(column)] for column in values.T)
    return [
        item for item, each in zip(items, given, strict=True) if not len(each) or np.ptp(each) == 0
    ]


def why_not(values: np.ndarray, items: list[str]) -> str:
    """Why the consistency of these items cannot be given; empty if it can."""
    if len(items) < 2:
        return "one item has no internal consistency"
    if len(values) < FEWEST:
        return f"only {len(values)} respondents answered every item"
    flat = never_vary(values, items)
    return f"everyone gave the same answer to {', '.join(flat)}" if flat else ""


def summary(answers: pd.DataFrame, *, confidence: float) -> dict:
    """One scale in numbers: items, respondents, left out, consistency with its interval, a note."""
    items, values = list(answers), complete(answers)
    note = why_not(values, items)
    estimate, low, high = (np.nan,) * 3 if note else consistency(values, confidence)
    if not note and len(items) == 2:
        note = "two items: Spearman-Brown"
    elif not note and not np.isfinite(estimate):
        note = "the items cancel out"
    return {
        "items": len(items),
        "respondents": len(values),
        "left_out": len(answers) - len(values),
        "estimate": estimate,
        "low": low,
        "high": high,
        "note": note,
    }


def alpha_without(values: np.ndarray, i: int) -> float:
    """Alpha of the others (of two that are left too, as psychometric programs give it)."""
    return alpha(np.delete(values, i, axis=1)) if values.shape[1] > 2 else np.nan


def rest_correlations(values: np.ndarray) -> np.ndarray:
    """Correlation of each column with the sum of the others."""
    total = values.sum(axis=1)
    return np.array([correlation(column, total - column) for column in values.T])


# --- Coefficients of a covariance matrix ----------------------------------------------------------


def ten_berge(covariances: np.ndarray, *, step: int = 0) -> float:
    """Lower bounds mu_0 (alpha), mu_1 (Guttman's lambda 2), mu_2, ... of a sum's reliability.

    Notes
    -----
    With p_h the sum of the 2^h-th powers of the covariances of different items, k items and the
    variance V of the total: mu_r = (p_0 + (p_1 + ... (p_r k / (k - 1))^.5 ...)^.5) / V.  Ten Berge,
    J. M. F., Zegers, F. E. (1978). Psychometrika 43, 575-579. doi:10.1007/BF02293815

    Examples
    --------
    Three items of variance 1 that correlate 0.5: alpha is 1.5 * 3 / 6; all bounds agree.

    >>> [round(ten_berge(np.full((3, 3), 0.5) + np.eye(3) / 2, step=r), 4) for r in (0, 1, 2)]
    [0.75, 0.75, 0.75]
    """
    k = len(covariances)
    between = covariances[~np.eye(k, dtype=bool)]
    sums = [(between ** (2**h)).sum() for h in range(step + 1)]
    inner = sums.pop() * k / (k - 1)
    while sums:
        inner = sums.pop() + np.sqrt(inner)
    return float(inner / covariances.sum())


def lambda_6(covariances: np.ndarray) -> float:
    """Guttman's lambda 6: 1 - (what no other item predicts) / variance of the total."""
    return float(1 - (1 / np.diag(np.linalg.inv(covariances))).sum() / covariances.sum())


def halvings(k: int, *, most: int, rng: np.random.Generator) -> np.ndarray:
    """Ways to split k items into halves as equal as can be, as rows of 1 and -1.

    All of them where they are at most ``most``, otherwise that many drawn by chance.

    Examples
    --------
    >>> halvings(4, most=10, rng=np.random.default_rng(1)).tolist()
    [[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]]
    """
    if halvings_of(k) > most:
        half = np.where(np.arange(k) < k // 2, 1.0, -1.0)
        return rng.permuted(np.tile(half, (most, 1)), axis=1)
    chosen = [c for c in combinations(range(k), k // 2) if k % 2 or c[0] == 0]
    signs = -np.ones((len(chosen), k))
    signs[np.arange(len(chosen))[:, None], chosen] = 1
    return signs


def halvings_of(k: int) -> int:
    """How many ways there are to split k items into halves as equal as can be."""
    return comb(k, k // 2) // (1 if k % 2 else 2)


def split_half(covariances: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Reliability of the total from the correlation of each pair of halves.

    Notes
    -----
    Spearman-Brown where the halves are equal; for shares p and q of the items Horst's formula
    r (sqrt(r^2 + 4 p q (1 - r^2)) - r) / (2 p q (1 - r^2)), of which it is the case p = q.  Horst,
    P. (1951). Educational and Psychological Measurement 11, 368-371.

    Examples
    --------
    Items that all correlate 0.5: any split of three gives 3 * 0.5 / (1 + 2 * 0.5).

    >>> halves = halvings(3, most=10, rng=np.random.default_rng(1))
    >>> split_half(np.full((3, 3), 0.5) + np.eye(3) / 2, halves).round(4).tolist()
    [0.75, 0.75, 0.75]
    """
    total = covariances.sum()
    apart = ((halves @ covariances) * halves).sum(axis=1)
    uneven = halves @ covariances.sum(axis=1)
    both = (total + apart) / 2
    r = (total - apart) / 4 / np.sqrt((both + uneven) * (both - uneven) / 4)
    pq = (1 - halves.mean(axis=1) ** 2) / 4
    free = 2 * pq * (1 - r**2)
    return r * (np.sqrt(r**2 + 2 * free) - r) / free


def lambda_4(covariances: np.ndarray, halves: np.ndarray) -> float:
    """Guttman's lambda 4: 2 (1 - (V_a + V_b) / V) of the best of these splits."""
    apart = ((halves @ covariances) * halves).sum(axis=1)
    return float(1 - apart.min() / covariances.sum())


# --- Intervals without a bootstrap ----------------------------------------------------------------


def slopes(statistic: Callable[[np.ndarray], float], matrix: np.ndarray) -> np.ndarray:
    """Derivatives of a number by the entries of a symmetric matrix, by central differences.

    Returns
    -------
    ndarray, shape (k, k)
        Symmetric; an entry off the diagonal holds half the derivative, as it stands twice.

    Examples
    --------
    The sum of all entries rises by each of them.

    >>> slopes(np.sum, np.array([[4.0, 1.0], [1.0, 9.0]])).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    scale, k = np.sqrt(np.diag(matrix)), len(matrix)
    found = np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            step = np.zeros_like(matrix)
            step[i, j] = step[j, i] = 1e-4 * scale[i] * scale[j]
            rise = statistic(matrix + step) - statistic(matrix - step)
            found[i, j] = found[j, i] = rise / (2 * step[i, j] * (1 if i == j else 2))
    return found


def by_covariances(values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """How much each respondent moves a number of the covariances with these slopes."""
    off = values - values.mean(axis=0)
    moved = ((off @ slope) * off).sum(axis=1)
    return moved - moved.mean()


def jackknife(
    statistic: Callable[[np.ndarray], np.ndarray],
    values: np.ndarray,
    *,
    groups: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Standard errors of numbers by leaving out one random group of respondents at a time.

    Notes
    -----
    sqrt((G - 1) / G * sum (x_g - mean x)^2) over G groups.  Shao, J., Tu, D. (1995). The Jackknife
    and Bootstrap. Springer. Section 2.3.

    Examples
    --------
    Of a mean, with groups of one, it is s / sqrt(n): here sqrt(5 / 3 / 4).

    >>> rng = np.random.default_rng(1)
    >>> x = np.array([1.0, 2.0, 3.0, 4.0])
    >>> round(float(jackknife(np.mean, x, groups=4, rng=rng)), 4)
    0.6455
    """
    group = rng.permutation(np.arange(len(values)) % groups)
    without = np.array([statistic(values[group != g]) for g in range(groups)])
    return np.sqrt((groups - 1) * without.var(axis=0))


# --- What scales must hold ------------------------------------------------------------------------


def need_scales(answers: pd.DataFrame, dimensions: dict, confidence: float) -> None:
    """Insist on scales whose items are there once, and hold numbers."""
    need_share(confidence, name="confidence")
    if not dimensions:
        raise Problem("No scale is named.", "list the items of each dimension.")
    for name, items in dimensions.items():
        if not items or len(set(items)) < len(items):
            raise Problem(
                f"The scale {name!r} has no item, or one twice.", "list each of its items once."
            )
        need_columns(answers, items, source=SOURCE)
        need_numbers(answers, items, source=SOURCE)


def need_members(declared: list[str], dimensions: dict) -> None:
    """Insist that items declared as worded in reverse belong to a scale."""
    known = [item for items in dimensions.values() for item in items]
    lost = [item for item in declared if item not in known]
    if lost:
        raise Problem(
            f"{', '.join(lost)} is declared as worded in reverse but belongs to no scale.",
            "name it in its dimension too, or correct the spelling.",
        )
