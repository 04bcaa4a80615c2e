"""What do the charts that remember, EWMA and CUSUM, make of a series?

Every function works along the last axis, so that thousands of simulated series are charted side by
side.  A period without a value (NaN) leaves the memory as it was, and has no value on the chart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from sqm.checks import Problem


class Cusum(NamedTuple):
    """The two sums of a CUSUM, and for how long each has been above 0.

    Attributes
    ----------
    above, below : ndarray, shape (..., periods)
        Sum of what lies above (below) the centre by more than the allowance, never under 0.
    periods_above, periods_below : ndarray of int, shape (..., periods)
        Periods with a value since the sum was last 0: N+ and N- of textbooks.
    """

    above: np.ndarray
    below: np.ndarray
    periods_above: np.ndarray
    periods_below: np.ndarray


class Shift(NamedTuple):
    """Where a CUSUM puts the beginning of a shift, and the level since.

    Attributes
    ----------
    start : int
        Index of the first period after the sum was last 0; -1 if the sum is 0.
    periods : int
        Periods with a value since then.
    level : float
        Estimated level since then, in the unit of the series; the centre if the sum is 0.
    """

    start: int
    periods: int
    level: float


def ewma(z: np.ndarray, *, weight: float, start: float = 0.0) -> np.ndarray:
    """Average each series with weights that fade into the past.

    Parameters
    ----------
    z : array, shape (..., periods)
        Distances from the centre, or values where ``start`` is the centre.
    weight : float
        Share of the latest value in the average, above 0 and up to 1 (lambda in textbooks).
    start : float, default 0
        What stands for the past before the first period.

    Returns
    -------
    ndarray, shape (..., periods)

    Raises
    ------
    Problem
        If the weight is not above 0 and up to 1.

    Notes
    -----
    E_t = w z_t + (1 - w) E_(t-1).  Roberts, S. W. (1959). Technometrics 1, 239-250.

    Examples
    --------
    0.3 * 52 + 0.7 * 50 = 50.6; 0.3 * 47 + 0.7 * 50.6 = 49.52.

    >>> ewma(np.array([52.0, 47.0]), weight=0.3, start=50).round(2).tolist()
    [50.6, 49.52]
    """
    _need_weight(weight)
    z = np.asarray(z, dtype=float)
    blank = np.isnan(z)
    if not blank.any():
        if not z.size:
            return z.copy()
        past = np.full((*z.shape[:-1], 1), (1 - weight) * start)
        return lfilter([weight], [1.0, weight - 1.0], z, axis=-1, zi=past)[0]
    if z.ndim == 1:
        found = np.full(z.shape, np.nan)
        found[~blank] = ewma(z[~blank], weight=weight, start=start)
        return found
    state, found = np.full(z.shape[:-1], float(start)), np.empty(z.shape)
    for t in range(z.shape[-1]):
        state = np.where(blank[..., t], state, weight * z[..., t] + (1 - weight) * state)
        found[..., t] = state
    return np.where(blank, np.nan, found)


def ewma_limits(periods: int, *, weight: float, width: float, exact: bool = True) -> np.ndarray:
    """Half the distance between the limits of an EWMA of independent z, period by period.

    Parameters
    ----------
    periods : int
    weight : float
    width : float
        How many standard deviations of the average the limits lie away (L in textbooks).
    exact : bool, default True
        The standard deviation of the period itself, which grows from the first period on; the one
        that it comes to (asymptotic) if False.

    Returns
    -------
    ndarray, shape (periods,)

    Notes
    -----
    width sqrt(w / (2 - w) (1 - (1 - w)^(2 t))).  The wide asymptotic limits hide a process that is
    off from the start; the exact ones are narrow there.

    Examples
    --------
    sqrt(0.3 / 1.7) = 0.4201; in the first period the average is 0.3 z.

    >>> ewma_limits(2, weight=0.3, width=3).round(3).tolist()
    [0.9, 1.099]
    >>> ewma_limits(1, weight=0.3, width=3, exact=False).round(3).tolist()
    [1.26]
    """
    _need_weight(weight)
    times = np.arange(1, periods + 1) if exact else np.full(periods, np.inf)
    faded = np.where(np.isfinite(times), (1 - weight) ** (2 * times), 0.0)
    return width * np.sqrt(weight / (2 - weight) * (1 - faded))


def page_sum(scores: np.ndarray, *, start: float = 0.0) -> np.ndarray:
    """Sum scores up, beginning anew at 0 whenever the sum would fall below it.

    Parameters
    ----------
    scores : array, shape (..., periods)
        Evidence of each period for a change, below 0 on average while there is none.
    start : float, default 0
        Head start.

    Returns
    -------
    ndarray, shape (..., periods)

    Notes
    -----
    C_t = max(0, C_(t-1) + score_t), here as the running sum less its lowest point so far.
    Page, E. S. (1954). Biometrika 41, 100-115.

    Examples
    --------
    >>> page_sum(np.array([-1.0, 2.0, -0.5, -3.0, 1.0])).tolist()
    [0.0, 2.0, 1.5, 0.0, 1.0]
    """
    scores = np.asarray(scores, dtype=float)
    blank = np.isnan(scores)
    total = np.cumsum(np.where(blank, 0.0, scores), axis=-1)
    lowest = np.minimum(np.minimum.accumulate(total, axis=-1), -float(start))
    return np.where(blank, np.nan, total - lowest)


def cusum(z: np.ndarray, *, allowance: float, start: float = 0.0) -> Cusum:
    """Sum up what lies beyond an allowance on either side of the centre.

    Parameters
    ----------
    z : array, shape (..., periods)
        Distances from the centre in standard deviations.
    allowance : float
        What a period may lie off without counting: half the shift that matters (k in textbooks).
    start : float, default 0
        Head start of both sums; half the limit is usual (fast initial response).

    Returns
    -------
    Cusum

    Raises
    ------
    Problem
        If the allowance or the start is below 0.

    Notes
    -----
    C+_t = max(0, C+_(t-1) + z_t - k), C-_t = max(0, C-_(t-1) - z_t - k): Montgomery, D. C. (2013),
    Introduction to Statistical Quality Control, section 9.1.

    Examples
    --------
    1.66 - 0.5 = 1.16, then 1.16 + 2.16 - 0.5 = 2.82.

    >>> found = cusum(np.array([-0.71, 1.66, 2.16]), allowance=0.5)
    >>> found.above.round(2).tolist(), found.periods_above.tolist(), found.below.round(2).tolist()
    ([0.0, 1.16, 2.82], [0, 1, 2], [0.21, 0.0, 0.0])
    """
    if not (allowance >= 0 and start >= 0):
        raise Problem(
            f"The CUSUM has an allowance of {allowance} and starts at {start}.",
            "give numbers of 0 or more.",
        )
    z = np.asarray(z, dtype=float)
    above = page_sum(z - allowance, start=start)
    below = page_sum(-z - allowance, start=start)
    return Cusum(above, below, periods_since_zero(above), periods_since_zero(below))


def periods_since_zero(sums: np.ndarray) -> np.ndarray:
    """Periods with a value since a sum was last 0, the period itself included; 0 if it is 0.

    Examples
    --------
    >>> periods_since_zero(np.array([0.5, 0.0, 1.0, np.nan, 2.0])).tolist()
    [1, 0, 1, 1, 2]
    """
    sums = np.asarray(sums, dtype=float)
    seen = np.cumsum(~np.isnan(sums), axis=-1)
    return seen - np.maximum.accumulate(np.where(sums == 0, seen, 0), axis=-1)


def shift(
    z: np.ndarray, *, allowance: float, at: int, centre: float = 0.0, sigma: float = 1.0
) -> Shift:
    """Where a CUSUM of one series says that the present shift began, and the level since.

    Parameters
    ----------
    z : array, shape (periods,)
        Distances from the centre in standard deviations.
    allowance : float
    at : int
        The period of the signal; of the two sums the larger one is read.
    centre, sigma : float
        Centre and standard deviation in the unit of the series.

    Returns
    -------
    Shift

    Notes
    -----
    The shift is put at the period after the sum was last 0; the level since is
    centre ± sigma (k + C / N) (Montgomery 2013, section 9.1).  Read at a signal both are biased
    towards the signal: the level is what the periods that gave the alarm came to.

    Examples
    --------
    (1.66 + 2.16) / 2 = 1.91 above the centre since period 1.

    >>> shift(np.array([-0.71, 1.66, 2.16]), allowance=0.5, at=2, centre=10)
    Shift(start=1, periods=2, level=11.91)
    """
    found = cusum(np.asarray(z, dtype=float)[: at + 1], allowance=allowance)
    up = found.above[at] >= found.below[at]
    sums, since = (found.above, found.periods_above) if up else (found.below, found.periods_below)
    periods, sign = int(since[at]), 1 if up else -1
    if periods == 0:
        return Shift(-1, 0, float(centre))
    zeros = np.flatnonzero(sums == 0)
    start = int(zeros[-1]) + 1 if len(zeros) else 0
    return Shift(start, periods, float(centre + sign * sigma * (allowance + sums[at] / periods)))


def poisson_scores(
    events: np.ndarray, exposure: np.ndarray | float, *, rate: float, ratio: float
) -> np.ndarray:
    """What each period's count says for a rate that is ``ratio`` times the usual one.

    Parameters
    ----------
    events : array, shape (..., periods)
    exposure : array or float
        Units in which the events may happen, such as contacts or days; 1 for plain counts.
    rate : float
        Usual events per unit of exposure.
    ratio : float
        Rate to be found over the usual one; above 1 a rise, below 1 a fall.

    Returns
    -------
    ndarray, shape (..., periods)
        Log likelihood ratios, for `page_sum`.

    Notes
    -----
    x log(r) - n rate (r - 1).  Over log(r) this is x - n k with the reference value
    k = rate (r - 1) / log(r) of Lucas, J. M. (1985). Technometrics 27, 129-144.

    Examples
    --------
    Three events where two were usual, for twice the rate: 3 log 2 - 2 = 0.0794.

    >>> float(poisson_scores(np.array([3.0]), 1, rate=2, ratio=2).round(4)[0])
    0.0794
    """
    _need_ratio(ratio, "ratio")
    if not rate > 0:
        raise Problem(f"The usual rate is {rate}.", "give events per unit of exposure, above 0.")
    exposure = np.asarray(exposure, dtype=float)
    return np.asarray(events, dtype=float) * np.log(ratio) - exposure * rate * (ratio - 1)


def bernoulli_scores(
    events: np.ndarray,
    chance: np.ndarray | float,
    *,
    odds_ratio: float,
    n: np.ndarray | float = 1.0,
) -> np.ndarray:
    """What each record says for odds that are ``odds_ratio`` times the expected ones.

    Parameters
    ----------
    events : array, shape (..., records)
        0 or 1 of each record, or the events among ``n`` records of the same chance.
    chance : array or float
        Expected chance of each record, given its mix (risk-adjusted), or one for all.
    odds_ratio : float
        Odds to be found over the expected ones; above 1 worse if events are bad.
    n : array or float, default 1
        Records behind each entry.

    Returns
    -------
    ndarray, shape (..., records)
        Log likelihood ratios, for `page_sum`.

    Raises
    ------
    Problem
        If a chance is not strictly between 0 and 1, or the odds ratio is no number above 0 but 1.

    Notes
    -----
    y log(R) - n log(1 - p + R p).  Steiner, S. H., Cook, R. J., Farewell, V. T., Treasure, T.
    (2000). Biostatistics 1, 441-452.

    Examples
    --------
    For double odds at an expected 0.2: an event gives log(2 / 1.2), none log(1 / 1.2).

    >>> bernoulli_scores(np.array([1, 0]), 0.2, odds_ratio=2).round(4).tolist()
    [0.5108, -0.1823]
    """
    _need_ratio(odds_ratio, "odds_ratio")
    chance = np.asarray(chance, dtype=float)
    if ((chance <= 0) | (chance >= 1)).any():
        raise Problem(
            "A record has an expected chance of 0 or 1 (or beyond).",
            "give chances strictly between 0 and 1.",
        )
    per_record = np.log1p(chance * (odds_ratio - 1))
    return np.asarray(events, dtype=float) * np.log(odds_ratio) - np.asarray(n) * per_record


def _need_weight(weight: float) -> None:
    if not 0 < weight <= 1:
        raise Problem(
            f"The weight of the EWMA is {weight}.", "give one above 0 and up to 1, such as 0.2."
        )


def _need_ratio(ratio: float, name: str) -> None:
    if not (np.isfinite(ratio) and ratio > 0 and ratio != 1):
        raise Problem(f"{name} is {ratio}.", "give a number above 0 that is not 1, such as 2.")
