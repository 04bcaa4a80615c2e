"""How do the columns of a table vary together, here and in samples like this one?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sqm.checks import Problem, need_columns

CELLS = 4_000_000  # numbers held at once while resampling


def as_correlations(covariances: np.ndarray) -> np.ndarray:
    """Correlations of covariance matrices, shape (..., k, k); NaN beside what never varies.

    Examples
    --------
    >>> as_correlations(np.array([[4.0, 3.0], [3.0, 9.0]])).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    spread = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariances / spread[..., :, None] / spread[..., None, :]


def resampled(
    values: np.ndarray, *, resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of bootstrap samples of the rows, computed side by side.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        Complete rows.
    resamples : int
    rng : Generator

    Returns
    -------
    means : ndarray, shape (resamples, k)
    covariances : ndarray, shape (resamples, k, k)
        Divisor n - 1.

    Examples
    --------
    >>> means, spread = resampled(np.eye(2), resamples=5, rng=np.random.default_rng(1))
    >>> means.shape, spread.shape, bool(np.allclose(means.sum(axis=1), 1))
    ((5, 2), (5, 2, 2), True)
    """
    n, k = values.shape
    centre = values.mean(axis=0)
    centred = values - centre  # so that large means cost no digits
    above, beside = np.triu_indices(k)
    products = np.empty((resamples, len(above)))
    means = np.empty((resamples, k))
    for rows, times in _times(n, resamples, rng):
        means[rows] = times @ centred / n
        for i in range(k):
            of_i = above == i
            products[rows, of_i] = times @ (centred[:, i : i + 1] * centred[:, beside[of_i]])
    spread = np.empty((resamples, k, k))
    covariance = (products / n - means[:, above] * means[:, beside]) * n / (n - 1)
    spread[:, above, beside] = spread[:, beside, above] = covariance
    return means + centre, spread


def _times(n: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, np.ndarray]]:
    """How often each row is drawn, for some resamples at a time."""
    step = max(CELLS // n, 1)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        yield slice(start, start + size), times.astype(float)


def published(correlations: pd.DataFrame, items: list[str], *, source: str) -> np.ndarray:
    """Read a printed matrix of correlations, of which one half may be left blank.

    Parameters
    ----------
    correlations : DataFrame, one row per item
        ``item`` and one column per item.
    items : list of str
        Those wanted, in the order of the answer.
    source : str
        What to call the table.

    Returns
    -------
    ndarray, shape (k, k)

    Raises
    ------
    Problem
        If an item has not one row, a correlation stands on neither side, or they are not -1 to 1,
        symmetric, with 1 in the diagonal.
    Refusal
        If an item has no column.

    Examples
    --------
    >>> table = pd.DataFrame({"item": ["a", "b"], "a": [1, 0.5], "b": [None, 1]})
    >>> published(table, ["a", "b"], source="the correlations").tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    need_columns(correlations, ["item", *items], source=source)
    table = correlations.set_index(correlations["item"].astype(str))
    lost = [item for item in items if list(table.index).count(item) != 1]
    if lost:
        raise Problem(
            f"{source} have not one row for {', '.join(lost)}.", "give each item one row."
        )
    half = table.loc[items, items].to_numpy(dtype=float, na_value=np.nan)
    r = np.where(np.isfinite(half), half, half.T)
    _need_correlations(r, items)
    return r


def _need_correlations(r: np.ndarray, items: list[str]) -> None:
    blank = np.argwhere(~np.isfinite(r))
    if len(blank):
        i, j = blank[0]
        raise Problem(
            f"The correlation of {items[i]} with {items[j]} is blank on both sides.", "give it."
        )
    off = np.argwhere(~np.isclose(r, r.T, atol=1e-6) | (np.abs(r) > 1 + 1e-9))
    if len(off) or not np.allclose(np.diag(r), 1, atol=1e-6):
        i, j = off[0] if len(off) else [int(np.argmax(np.abs(np.diag(r) - 1)))] * 2
        raise Problem(
            f"{items[i]} with {items[j]} is {r[i, j]:g} and {r[j, i]:g}: the matrix is not one of "
            "correlations.",
            "give the same correlation on both sides, between -1 and 1, and 1 in the diagonal.",
        )
