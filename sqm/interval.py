"""How far may an estimate be from the truth?"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Refusal, need_share


@dataclass(frozen=True)
class Estimate:
    """One number with its interval and what it rests on.

    Attributes
    ----------
    estimate, low, high : float
        The number and the limits of its interval, in its own unit.
    confidence : float
        Level of the interval, 0 to 1.
    n : int
        Rows it was computed from.
    effective_n : float
        How many independent rows would carry the same information.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n: int
    effective_n: float

    def words(self, *, digits: int = 2, unit: str = "", times: float = 1.0) -> str:
        """Write it out: ``12.5 % (95% interval 11.0 to 14.1)``; ``times=100`` for per cent."""
        return spell(
            self.estimate * times,
            self.low * times,
            self.high * times,
            confidence=self.confidence,
            digits=digits,
            unit=unit,
        )


def spell(
    estimate: float, low: float, high: float, *, confidence: float, digits: int = 2, unit: str = ""
) -> str:
    """Write an estimate and its interval the way every sentence of sqm does.

    Examples
    --------
    >>> spell(12.51, 11, 14.07, confidence=0.95, digits=1, unit="%")
    '12.5 % (95% interval 11.0 to 14.1)'
    """
    unit = f" {unit}" if unit else ""
    return (
        f"{estimate:,.{digits}f}{unit} "
        f"({confidence * 100:.4g}% interval {low:,.{digits}f} to {high:,.{digits}f})"
    )


def digits_for(low: float, high: float) -> int:
    """Decimals that leave two figures to half an interval's width, and a limit its sign.

    Examples
    --------
    Half of 9.12 to 11.34 is 1.11, which keeps one decimal as 1.1.

    >>> digits_for(9.12, 11.34), digits_for(-0.00021, 0.00093), digits_for(120.0, 480.0)
    (1, 5, 0)
    """
    half = (high - low) / 2
    if not 0 < half < np.inf:
        return 2
    fewest = max(1 - floor(log10(half) + 1e-9), 0)
    nearest_zero = min(abs(low), abs(high))
    if nearest_zero > 0:
        fewest = max(fewest, min(-floor(log10(nearest_zero)), fewest + 2))
    return min(fewest, 6)


def wilson(share: float, effective_n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share observed on ``effective_n`` independent rows.

    Notes
    -----
    (p + z^2/2n ± z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) [1]_.

    References
    ----------
    .. [1] Wilson, E. B. (1927). JASA 22, 209-212. doi:10.2307/2276774

    Examples
    --------
    5 of 10 at 95 %: z^2 = 3.8415, centre 0.5, half width
    sqrt(0.025 + 0.0096037) * 1.95996 / 1.38415 = 0.2634.

    >>> [round(limit, 4) for limit in wilson(0.5, 10)]
    [0.2366, 0.7634]
    """
    z = stats.norm.ppf((1 + confidence) / 2)
    centre = share + z**2 / (2 * effective_n)
    half = z * np.sqrt(share * (1 - share) / effective_n + z**2 / (4 * effective_n**2))
    scale = 1 + z**2 / effective_n
    low, high = float((centre - half) / scale), float((centre + half) / scale)
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)  # exact at the ends


def share(
    hits: pd.Series, *, clusters: pd.DataFrame | None = None, confidence: float = 0.95
) -> Estimate:
    """Estimate a share, allowing for rows that belong together.

    Parameters
    ----------
    hits : Series of bool, shape (rows,)
        Whether each row counts; no missing values.
    clusters : DataFrame, shape (rows, 1 or 2), optional
        What the rows share (the agent, the day).  Rows with the same value
        are allowed to be alike.
    confidence : float, default 0.95

    Returns
    -------
    Estimate
        Wilson's interval at the effective number of rows: n over the design
        effect of the clusters, never more than n.  The interval allows for
        few clusters as Korn and Graubard do (1998, Survey Methodology 24,
        193-201): effective n times (t of n - 1 / t of clusters - 1)^2.
        Rows that all lie in one cluster are taken as they are: the answer is
        then about that cluster.  A share of exactly 0 or 1 shows no design
        effect, so its interval takes rows as independent and is too narrow
        where they are not.

    Raises
    ------
    Refusal
        If there is no row at all.

    Examples
    --------
    >>> share(pd.Series([True, False] * 5)).effective_n
    10.0
    """
    _need_some(hits, confidence)
    n, estimate = len(hits), float(hits.mean())
    effective = _effective_n(hits.astype(float), clusters)
    certain = effective * few_clusters(clusters, n, confidence)
    low, high = wilson(estimate, certain, confidence=confidence)
    return Estimate(estimate, low, high, confidence, n, effective)


def _need_some(values: pd.Series, confidence: float) -> None:
    need_share(confidence, name="confidence")
    if len(values) == 0:
        raise Refusal("There is no row to estimate from.", "check the filter, or collect data.")


def few_clusters(clusters: pd.DataFrame | None, n: int, confidence: float) -> float:
    """Squared ratio of Student's quantiles: as many degrees of freedom as rows, or as clusters."""
    counts = [] if clusters is None else [clusters[c].nunique(dropna=False) for c in clusters]
    counts = [count for count in counts if count > 1]
    if not counts:
        return 1.0
    tail = (1 + confidence) / 2
    return float((stats.t.ppf(tail, n - 1) / stats.t.ppf(tail, min(counts) - 1)) ** 2)


def _effective_n(values: pd.Series, clusters: pd.DataFrame | None) -> float:
    """Rows over the design effect; a share of exactly 0 or 1 shows no spread to judge by."""
    n = len(values)
    simple = float(values.var(ddof=0)) / n
    if clusters is None or simple == 0:
        return float(n)
    return float(n / max(_mean_variance(values, clusters) / simple, 1.0))


def _mean_variance(values: pd.Series, clusters: pd.DataFrame | None) -> float:
    """Variance of a mean: simple, or robust to one or two crossed kinds of cluster.

    Two kinds (agents and days) are combined by inclusion and exclusion
    (Cameron, Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136); the larger
    of the one-way variances is the least that is accepted.
    """
    if clusters is None:
        return float(values.var(ddof=1)) / len(values)
    one_way = [_one_way(values, [clusters[column]]) for column in clusters]
    if len(one_way) == 1:
        return one_way[0]
    both = _one_way(values, [clusters[column] for column in clusters])
    return max(sum(one_way) - both, *one_way)


def _one_way(values: pd.Series, by: list[pd.Series]) -> float:
    sums = (values - values.mean()).groupby([part.to_numpy() for part in by], dropna=False).sum()
    groups = len(sums)
    return float((sums**2).sum()) * groups / max(groups - 1, 1) / len(values) ** 2
