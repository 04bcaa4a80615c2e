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


def spell_p(value: float) -> str:
    """Write a chance the way every sentence of sqm does.

    Examples
    --------
    >>> spell_p(0.0421), spell_p(0.00002)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def spell_chance(share: float, low: float, high: float) -> str:
    """Write a share of draws, no surer than so many draws can make it.

    Examples
    --------
    Of 200 draws without a failure the Wilson interval is 0.981 to 1.

    >>> spell_chance(1.0, 0.981, 1.0), spell_chance(0.42, 0.35, 0.49)
    ('over 98%', '42%')
    """
    if share > 0.99:
        return f"over {np.floor(low * 100):.0f}%"
    if share < 0.01:
        return f"under {np.ceil(high * 100):.0f}%"
    return f"{share:.0%}"


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


def student(values: np.ndarray, *, confidence: float) -> tuple:
    """Mean of the values, or of each column, with Student's interval; two rows are needed.

    Examples
    --------
    1, 2, 3: 2 with half a width of 4.3027 / sqrt(3).

    >>> [round(each, 4) for each in student(np.array([1.0, 2.0, 3.0]), confidence=0.95)]
    [2.0, -0.4841, 4.4841]
    """
    n = len(values)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    mean = values.mean(axis=0)
    if np.ndim(mean) == 0:
        return float(mean), float(mean - half), float(mean + half)
    return mean, mean - half, mean + half


def logit_limits(share: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a share between 0 and 1, half a width apart on the scale of log odds.

    Examples
    --------
    Odds of 1, divided and multiplied by 3.

    >>> [round(float(limit), 6) for limit in logit_limits(0.5, np.log(3))]
    [0.25, 0.75]
    """
    middle = np.log(share / (1 - share))
    return 1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))


def correlation_limits(
    estimate: np.ndarray, errors: np.ndarray, *, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a correlation from its standard error, on Fisher's z scale.

    Plain ones where those would pass 1: a correlation that may well be 1 then has an interval
    that holds 1.

    Examples
    --------
    >>> low, high = correlation_limits(np.array([0.0, 0.99]), np.array([0.1, 0.1]), confidence=0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([-0.194, 0.794], [0.194, 1.186])
    """
    half = stats.norm.ppf((1 + confidence) / 2) * errors
    inside = np.abs(estimate) + half < 1
    centre = np.arctanh(np.where(inside, estimate, 0.0))
    bent = half / (1 - np.tanh(centre) ** 2)
    low = np.where(inside, np.tanh(centre - bent), estimate - half)
    return low, np.where(inside, np.tanh(centre + bent), estimate + half)


def below_one(estimate: float, error: float, n: int, confidence: float) -> tuple[float, float]:
    """Interval of a coefficient that cannot exceed 1, from its standard error.

    Notes
    -----
    Symmetric in log(1 - estimate), with Student's quantile of n - 1.  Bonett, D. G. (2002).
    Journal of Educational and Behavioral Statistics 27, 335-340. doi:10.3102/10769986027004335

    Examples
    --------
    1 - 0.8 = 0.2 is divided and multiplied by exp(1.96 * 0.05 / 0.2).

    >>> [round(x, 3) for x in below_one(0.8, 0.05, 100_000, 0.95)]
    [0.674, 0.877]
    """
    if not estimate < 1:
        return np.nan, np.nan
    factor = np.exp(stats.t.ppf((1 + confidence) / 2, n - 1) * error / (1 - estimate))
    return float(1 - (1 - estimate) * factor), float(1 - (1 - estimate) / factor)


def percentiles(draws: np.ndarray, *, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The limits between which the middle of the draws lies, one column at a time.

    Examples
    --------
    >>> [float(limit) for limit in percentiles(np.arange(5), confidence=0.5)]
    [1.0, 3.0]
    """
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def kish(weights: np.ndarray) -> float:
    """How many rows of equal weight would tell as much: Kish's (sum w)^2 / sum w^2.

    Examples
    --------
    >>> float(kish(np.array([1.0, 1.0, 2.0])))  # 16 / 6
    2.6666666666666665
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


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
    return variance_of_sum(sums.to_numpy()) / len(values) ** 2


def variance_of_sum(parts: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Variance of a sum of what single rows contribute to an estimate (the sandwich).

    Parameters
    ----------
    parts : ndarray, shape (rows,)
        Each row's influence; they sum to 0.
    groups : ndarray of int, shape (rows,), optional
        Codes from 0 of what rows share: those of one group are allowed to be alike.

    Returns
    -------
    float
        G / (G - 1) times the sum of the squared sums of the G groups (or rows).

    Examples
    --------
    Of a mean of 1, 2, 3: 1 / 3; if the first two go together, 2 * (2 * (1 / 3)^2).

    >>> parts = np.array([-1, 0, 1]) / 3
    >>> round(variance_of_sum(parts), 4), round(variance_of_sum(parts, np.array([0, 0, 1])), 4)
    (0.3333, 0.4444)
    """
    sums = parts if groups is None else np.bincount(groups, weights=parts)
    return float((sums**2).sum()) * len(sums) / max(len(sums) - 1, 1)


def standard_error(influences: np.ndarray) -> float:
    """Standard error of a number from what each respondent contributes to it."""
    n = len(influences)
    return float(np.sqrt((influences**2).sum() / (n * (n - 1))))


def holm(chances: np.ndarray) -> np.ndarray:
    """Holm's adjusted p: the j-th smallest of m times (m - j + 1), never falling; NaN stays.

    Notes
    -----
    Holm, S. (1979). Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm(np.array([0.01, np.nan, 0.04, 0.03])).round(2).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    found = np.full(len(chances), np.nan)
    known = np.flatnonzero(~np.isnan(chances))
    order = known[np.argsort(chances[known], kind="stable")]
    raised = chances[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(raised), 1.0) if len(order) else raised
    return found
