"""How alike are neighbouring weeks, and what is a mean of several of them worth?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

from sqm.checks import Problem, Refusal, need_columns

FEWEST_WEEKS = 12  # below which the likeness of neighbouring weeks cannot be told from chance
MOST_GAPS = 0.1  # share of weeks that a site may lack before it is set aside
GRID = np.linspace(-0.7, 0.98, 169)  # correlations that are looked at
WEEK = pd.Timedelta(days=7)


@dataclass(frozen=True, eq=False)
class Persistence:
    """Weeks that wander about their mean as a first-order autoregression.

    Attributes
    ----------
    correlation, variance : float
        Of a week with the next, and of a week, at the peak of the restricted likelihood.
    correlations, variances : ndarray, shape (draws,)
        Pairs as the likelihood weighs them.
    plain_variance : float
        Variance of a week if neighbouring weeks are taken as unlike.
    plain_variances : ndarray, shape (draws,)
    """

    correlation: float
    variance: float
    correlations: np.ndarray
    variances: np.ndarray
    plain_variance: float
    plain_variances: np.ndarray


@dataclass(frozen=True, eq=False)
class Weeks:
    """A panel of sites and weeks without gaps between sites.

    Attributes
    ----------
    sites : tuple of str
    periods : ndarray of datetime, shape (weeks,)
    at : ndarray of int, shape (weeks,)
        Place of each week on the calendar, the first is 0.
    means : ndarray, shape (sites, weeks)
    size : ndarray, shape (sites,)
        Mean number of records in a week.
    sites_left_out, weeks_left_out : int
    """

    sites: tuple[str, ...]
    periods: np.ndarray
    at: np.ndarray
    means: np.ndarray
    size: np.ndarray
    sites_left_out: int
    weeks_left_out: int


def weeks_of(panel: pd.DataFrame, *, fewest_sites: int = 1) -> Weeks:
    """Lay out a panel as sites by weeks, and say what had to be left out.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period`` (first day of the week), ``n``, ``mean``.
    fewest_sites : int

    Raises
    ------
    Refusal
        If fewer sites or weeks are left than the question needs, or nothing ever varies.

    Notes
    -----
    A site that lacks more than a tenth of the weeks is set aside, then each week that one of the
    others lacks.

    Examples
    --------
    >>> periods = pd.date_range("2025-01-06", periods=12, freq="7D")
    >>> panel = pd.DataFrame({"site": "N1", "period": periods, "n": 10, "mean": range(12)})
    >>> found = weeks_of(panel)
    >>> found.means.shape, found.at[-1].item()
    ((1, 12), 11)
    """
    need_columns(panel, ["site", "period", "n", "mean"], source="The panel")
    need_sound_panel(panel)
    wide = panel.assign(site=panel["site"].astype("str")).pivot_table(
        index="site", columns="period", values="mean"
    )
    wide = wide.sort_index().sort_index(axis="columns")
    kept = wide[wide.isna().mean(axis="columns") <= MOST_GAPS]
    whole = kept.dropna(axis="columns")
    if len(whole) < fewest_sites or whole.shape[1] < FEWEST_WEEKS:
        raise Refusal(
            f"{len(whole)} sites have {whole.shape[1] if len(whole) else 0} weeks in common;"
            f" {fewest_sites} sites and {FEWEST_WEEKS} weeks are the fewest.",
            "collect more weeks, or leave out sites with gaps.",
        )
    values = whole.to_numpy(dtype=float)
    if np.ptp(values - values[:, :1]) == 0:
        raise Refusal("The measure is the same in every week.", "check the measure.")
    used = panel[panel["site"].astype("str").isin(whole.index)]
    size = used.groupby(used["site"].astype("str"))["n"].mean().reindex(whole.index)
    periods = pd.DatetimeIndex(whole.columns)
    return Weeks(
        sites=tuple(whole.index),
        periods=periods.to_numpy(),
        at=np.round((periods - periods[0]) / WEEK).to_numpy().astype(int),
        means=values,
        size=size.to_numpy(dtype=float),
        sites_left_out=len(wide) - len(whole),
        weeks_left_out=wide.shape[1] - whole.shape[1],
    )


def need_sound_panel(panel: pd.DataFrame) -> None:
    """Insist on dates, numbers, and one row a site and week."""
    if not pd.api.types.is_datetime64_any_dtype(panel["period"]):
        raise Problem(
            "'period' does not hold dates (text is not a date).", "give the first day of each week."
        )
    twice = panel[panel.duplicated(["site", "period"])]
    if len(twice):
        raise Problem(
            f"The panel has {twice['site'].iloc[0]!r} twice in the week of"
            f" {twice['period'].iloc[0]:%Y-%m-%d}.",
            "give one row a site and week.",
        )
    if not pd.api.types.is_numeric_dtype(panel["mean"]):
        raise Problem("'mean' does not hold numbers.", "give the measure's mean in each week.")


def variance_of_mean(weeks: np.ndarray | float, correlation: np.ndarray | float) -> np.ndarray:
    """Variance of a mean of so many weeks in a row, as a share of that of one week.

    Notes
    -----
    (1/n) (1 + 2 sum (1 - k/n) r^k), k from 1 to n - 1, which is
    (1/n) ((1 + r) / (1 - r) - 2 r (1 - r^n) / (n (1 - r)^2)).  Box, Jenkins, Reinsel (1994), Time
    Series Analysis, 3rd edition, section 2.1.

    Examples
    --------
    Two weeks that correlate 0.5: (1 + 1 + 2 * 0.5) / 4.

    >>> float(variance_of_mean(2, 0.5)), float(variance_of_mean(10, 0.0))
    (0.75, 0.1)
    """
    n, r = np.asarray(weeks, dtype=float), np.asarray(correlation, dtype=float)
    return ((1 + r) / (1 - r) - 2 * r * (1 - r**n) / (n * (1 - r) ** 2)) / n


def variance_of_change(
    before: np.ndarray | float, after: np.ndarray | float, correlation: np.ndarray | float
) -> np.ndarray:
    """Variance of the mean of the weeks after less that of the weeks just before.

    As a share of the variance of one week.

    Examples
    --------
    One week each, correlation 0.5: 1 + 1 - 2 * 0.5.

    >>> float(variance_of_change(1, 1, 0.5))
    1.0
    """
    b, n = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    r = np.asarray(correlation, dtype=float)
    between = r * (1 - r**b) * (1 - r**n) / ((1 - r) ** 2 * b * n)
    return variance_of_mean(b, r) + variance_of_mean(n, r) - 2 * between


def correlations_of(at: np.ndarray, correlation: float | np.ndarray) -> np.ndarray:
    """Correlation matrix of weeks at these places on the calendar, (..., weeks, weeks)."""
    apart = np.abs(at[:, None] - at[None, :])
    r = np.asarray(correlation, dtype=float)[..., None, None]
    return np.sign(r) ** apart * np.abs(r) ** apart


def persistence(
    values: np.ndarray,
    *,
    at: np.ndarray | None = None,
    shared: bool = False,
    draws: int,
    rng: np.random.Generator,
) -> Persistence:
    """Learn how weeks wander, with what is not known of it.

    Parameters
    ----------
    values : ndarray, shape (series, weeks)
        Independent series of one law, each about a mean of its own.
    at : ndarray of int, shape (weeks,), optional
        Places on the calendar; one after another if not given.
    shared : bool, default False
        Whether to take away what all series share in a week; two series or more are needed.
    draws : int
    rng : Generator

    Notes
    -----
    Restricted likelihood of a first-order autoregression, the means integrated out, so that
    neither the correlation nor the variance is biased down by fitting them [1]_.  What all series
    share is taken away by contrasts between them, which costs one series.  Draws: the correlation
    from its marginal restricted likelihood (flat prior from -0.7 to 0.98), the variance given it
    as sum of squares over chi-squared.

    References
    ----------
    .. [1] Cooper, D. M., Thompson, R. (1977). A note on the estimation of the parameters of the
       autoregressive-moving average process. Biometrika 64, 625-628. doi:10.1093/biomet/64.3.625

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = persistence(rng.normal(0, 2, (40, 50)), draws=200, rng=rng)
    >>> round(found.correlation, 1) + 0.0, round(found.variance)
    (0.0, 4)
    """
    at = np.arange(values.shape[1]) if at is None else at
    count = len(values) - shared
    values = values - values.mean(axis=0) if shared else values
    cross = values.T @ values
    heights, squares = _heights(GRID, at, cross, count)
    peak = _peak(at, cross, count, GRID[np.argmax(heights)])
    degrees = count * (len(at) - 1)
    weight = np.exp(heights - heights.max())
    where = rng.choice(len(GRID), size=draws, p=weight / weight.sum())
    step = (GRID[1] - GRID[0]) * (rng.random(draws) - 0.5)
    chosen = np.clip(GRID[where] + step, GRID[0], GRID[-1])
    total = np.exp(np.interp(chosen, GRID, np.log(squares)))
    chance = stats.chi2.rvs(degrees, size=draws, random_state=rng)
    plain = _heights(np.zeros(1), at, cross, count)[1][0]
    return Persistence(
        correlation=peak,
        variance=float(_heights(np.array([peak]), at, cross, count)[1][0] / degrees),
        correlations=chosen,
        variances=total / chance,
        plain_variance=float(plain / degrees),
        plain_variances=plain / chance,
    )


def _heights(r: np.ndarray, at, cross: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Log of the restricted likelihood and the weighted sum of squares at these correlations.

    A first-order autoregression remembers its last week only, so that its inverse correlations
    stand beside the diagonal and can be written down, whatever the gaps.
    """
    gaps = np.diff(at)
    near = np.sign(r)[:, None] ** gaps * np.abs(r)[:, None] ** gaps  # (correlations, weeks - 1)
    own = 1 / (1 - near**2)
    beside, level = -near * own, np.ones((len(r), len(at)))
    level[:, :-1] += own - 1
    level[:, 1:] += own - 1
    ones = level.copy()
    ones[:, :-1] += beside
    ones[:, 1:] += beside
    square = level @ np.diag(cross) + 2 * beside @ np.diag(cross, 1)
    total = ones.sum(axis=1)
    square = square - ((ones @ cross) * ones).sum(axis=1) / total
    fixed = -np.log(own).sum(axis=1) + np.log(total)
    height = -count / 2 * fixed - count * (len(at) - 1) / 2 * np.log(square)
    return height, square


def _peak(at: np.ndarray, cross: np.ndarray, count: int, near: float) -> float:
    step = GRID[1] - GRID[0]
    bounds = (max(near - step, GRID[0]), min(near + step, GRID[-1]))
    found = optimize.minimize_scalar(
        lambda r: -_heights(np.array([r]), at, cross, count)[0][0], bounds=bounds, method="bounded"
    )
    return float(found.x)


def needed_ratio(degrees: np.ndarray, *, power: float, confidence: float) -> np.ndarray:
    """Effect over standard error at which Student's two-sided test finds it so often.

    Parameters
    ----------
    degrees : ndarray
        Degrees of freedom, from 1 on.
    power, confidence : float

    Notes
    -----
    The noncentrality at which noncentral t passes the quantile; the other side is left out, as it
    adds next to nothing.  Between whole degrees it is interpolated on 1 / degrees.

    Examples
    --------
    Without limit of degrees: 1.96 + 0.84.

    >>> round(float(needed_ratio(np.array([1e6]), power=0.8, confidence=0.95)[0]), 2)
    2.8
    """
    known = np.array([1.0, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 35, 60, 120, 500, 1e5])
    ratios = [_needed_ratio(float(each), power, confidence) for each in known]
    return np.interp(1 / np.asarray(degrees, dtype=float), 1 / known[::-1], ratios[::-1])


@lru_cache(maxsize=1024)
def _needed_ratio(degrees: float, power: float, confidence: float) -> float:
    quantile = stats.t.ppf((1 + confidence) / 2, degrees)
    return optimize.brentq(
        lambda ratio: stats.nct.sf(quantile, degrees, ratio) - power, 0, 4 * quantile + 10
    )


def power_of(ratio: np.ndarray, degrees: np.ndarray, *, confidence: float) -> np.ndarray:
    """How often Student's two-sided test finds an effect of so many standard errors.

    Notes
    -----
    Chance that noncentral t passes the quantile on the side of the effect.

    Examples
    --------
    >>> round(float(power_of(2.802, 1e6, confidence=0.95)), 2)
    0.8
    """
    quantile = stats.t.ppf((1 + confidence) / 2, degrees)
    return stats.nct.sf(quantile, degrees, ratio)
