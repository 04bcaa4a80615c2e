"""Did a series step at a change, beyond its own trend and its own wandering?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special, stats

from sqm.autocorrelation import GRID, WEEK, weeks_of
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.evidence import Rung
from sqm.finding import counted
from sqm.interval import digits_for
from sqm.panel_change import day_of, known_sites

FEWEST_BEFORE, FEWEST_AFTER = 8, 2
FEWEST_FOR_SLOPE = 8  # periods after the change below which only the level may step
YEAR_DAYS, HARMONICS = 365.25, 2
CORRELATIONS = GRID[::2]  # a step of 0.02 is fine enough for sums over them
HALVINGS = 32  # of the stretch in which a limit is looked for
LEAST_CHANCE = 1e-6  # of the likeliest correlation, below which one is left out
STEPS = 100  # of iterated weighting, before it is said that there is no finite answer
STEADY, ZERO = 1e-12, 1e-24  # shares of the sum of squares that count as nothing

DESIGN = "interrupted series"
ESTIMAND = "mean change at the changed sites over the weeks after, against their own trend before"
ASSUMES = "without the change, the trend of the weeks before would have gone on"


# --- What is compared: the changed sites and the others, week by week -----------------------------


@dataclass(frozen=True, eq=False)
class Groups:
    """The changed sites' mean and each of the other sites, in the weeks that all have.

    Attributes
    ----------
    changed_sites, other_sites : tuple of str
    periods : ndarray of datetime, shape (weeks,)
    at : ndarray of int, shape (weeks,)
        Place of each week on the calendar, the first is 0.
    after : ndarray of bool, shape (weeks,)
    changed : ndarray, shape (weeks,)
        Mean of the changed sites, each weighing by its mean number of records: a week in which
        one of them was busy does not move it.
    others : ndarray, shape (other sites, weeks)
    sizes : ndarray, shape (other sites,)
        Mean number of records in a week.
    n : int
        Records of the changed sites in these weeks.
    weeks_left_out, sites_left_out : int
        Set aside for a change in mid-week or for gaps.
    """

    changed_sites: tuple[str, ...]
    other_sites: tuple[str, ...]
    periods: np.ndarray
    at: np.ndarray
    after: np.ndarray
    changed: np.ndarray
    others: np.ndarray
    sizes: np.ndarray
    n: int
    weeks_left_out: int
    sites_left_out: int

    def of(self, kept: np.ndarray, after: np.ndarray) -> Groups:
        """The same in some of the weeks, with another date of the change."""
        return replace(
            self,
            periods=self.periods[kept],
            at=self.at[kept],
            after=after[kept],
            changed=self.changed[kept],
            others=self.others[:, kept],
        )


def groups_of(
    panel: pd.DataFrame, *, treated: list[str], change_on: str, others: int = 0
) -> Groups:
    """Lay out the changed sites, and the other sites if a design needs them.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period`` (first day of the week), ``n``, ``mean``.
    treated : list of str
    change_on : str
        Date of the change; a week that has begun by then is neither before nor after.
    others : int, default 0
        Fewest other sites; 0 leaves them out altogether.

    Raises
    ------
    Problem
        If the date cannot be read, a site has a week twice, or a mean is no finite number.
    Refusal
        With an unknown site, fewer than eight weeks before or two after, too few other sites, or
        no common weeks.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=12, freq="7D")
    >>> panel = pd.DataFrame({"site": "N1", "period": weeks, "n": 10, "mean": range(12)})
    >>> found = groups_of(panel, treated=["N1"], change_on="2025-03-10")
    >>> int(found.after.sum()), found.n
    (3, 120)
    """
    day = day_of(change_on)
    rows = _sound(panel)
    if not treated:
        raise Refusal("There is no site with the change.", "name the sites with the change.")
    treated = known_sites(treated, rows)
    rows = rows[rows["site"].isin(treated)] if not others else rows
    whole = rows[(rows["period"] >= day) | (rows["period"] + WEEK <= day)]
    mine = whole["site"].isin(treated)
    need_two_sides(whole.loc[mine, "period"], day)
    if others:
        _need_common(whole, mine, day, others)
    weeks = weeks_of(whole)
    is_changed = np.isin(weeks.sites, treated)
    after = weeks.periods >= day.to_datetime64()
    need_two_sides(pd.Series(weeks.periods), day)
    _need_groups(is_changed, others)
    names, used = np.array(weeks.sites, dtype=object), whole["period"].isin(weeks.periods)
    return Groups(
        changed_sites=tuple(names[is_changed]),
        other_sites=tuple(names[~is_changed]),
        periods=weeks.periods,
        at=weeks.at,
        after=after,
        changed=np.average(weeks.means[is_changed], axis=0, weights=weeks.size[is_changed]),
        others=weeks.means[~is_changed],
        sizes=weeks.size[~is_changed],
        n=int(whole.loc[used & whole["site"].isin(names[is_changed]), "n"].sum()),
        weeks_left_out=rows["period"].nunique() - len(weeks.periods),
        sites_left_out=rows["site"].nunique() - len(names),
    )


def need_two_sides(periods: pd.Series, day: pd.Timestamp) -> None:
    """Insist on enough periods before and after the change."""
    before, after = (periods[side].nunique() for side in (periods < day, periods >= day))
    if not before and after:
        raise Refusal(
            f"The change of {day:%Y-%m-%d} comes at the first point: nothing before it shows how"
            " the series was.",
            "add the periods before the change.",
        )
    if not after:
        raise Refusal(
            f"No whole period lies after the change of {day:%Y-%m-%d}.", "wait, or check the date."
        )
    for count, fewest, side in ((before, FEWEST_BEFORE, "before"), (after, FEWEST_AFTER, "after")):
        if count < fewest:
            raise Refusal(
                f"Only {counted(count, 'whole period')} {side} the change of {day:%Y-%m-%d};"
                f" {fewest} are the fewest that show how the series moves by itself.",
                "collect more periods.",
            )


def _sound(panel: pd.DataFrame) -> pd.DataFrame:
    need_columns(panel, ["site", "period", "n", "mean"], source="The panel")
    if not pd.api.types.is_datetime64_any_dtype(panel["period"]):
        raise Problem("'period' does not hold dates.", "give the first day of each week.")
    period = panel["period"]
    if period.dt.tz is not None:
        period = period.dt.tz_localize(None)
    rows = panel.assign(site=panel["site"].astype("str"), period=period)
    if pd.api.types.is_numeric_dtype(rows["mean"]) and np.isinf(rows["mean"].astype(float)).any():
        raise Problem("'mean' holds a number without end.", "check the division behind it.")
    return rows


def _need_common(rows: pd.DataFrame, mine: pd.Series, day: pd.Timestamp, others: int) -> None:
    count = rows.loc[~mine, "site"].nunique()
    _need_groups(np.arange(count + 1) == 0, others)
    common = set(rows.loc[mine, "period"]) & set(rows.loc[~mine, "period"])
    if not common:
        raise Refusal(
            "Sites with and without the change have no common weeks on both sides of"
            f" {day:%Y-%m-%d}.",
            "compare sites that were observed at the same time, before and after.",
        )


def _need_groups(is_changed: np.ndarray, others: int) -> None:
    if not is_changed.any():
        raise Refusal(
            "The sites with the change lack more than a tenth of the weeks.", "fill the gaps."
        )
    if (~is_changed).sum() < others:
        raise Refusal(
            f"{counted(int((~is_changed).sum()), 'site')} without the change can be used;"
            f" {others} are the fewest for this design.",
            "compare with more sites.",
        )


# --- Regression on weeks that wander --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fits:
    """A regression fitted at each correlation of neighbouring periods, and how likely each is.

    Attributes
    ----------
    chances : ndarray, shape (correlations,)
        Sum to 1.
    coefficients : ndarray, shape (correlations, columns)
    inverses : ndarray, shape (correlations, columns, columns)
        Times ``variances``: the covariance of the coefficients.
    variances : ndarray, shape (correlations,)
        Of one period about the regression (of weight 1).
    degrees : int
        Of freedom, of the variance.
    """

    chances: np.ndarray
    coefficients: np.ndarray
    inverses: np.ndarray
    variances: np.ndarray
    degrees: int

    @property
    def correlation(self) -> float:
        """The mean of the correlations as the likelihood weighs them."""
        return float(self.chances @ CORRELATIONS)


def fits_of(
    values: np.ndarray,
    design: np.ndarray,
    *,
    at: np.ndarray,
    weights: np.ndarray | None = None,
) -> Fits:
    """Regression whose errors are a first-order autoregression, at every correlation of a grid.

    Parameters
    ----------
    values : ndarray, shape (periods,)
    design : ndarray, shape (periods, columns)
    at : ndarray of int, shape (periods,)
        Places on the calendar: a gap in time weakens the tie across it.
    weights : ndarray, shape (periods,), optional
        A period's variance is taken as one over its weight.

    Raises
    ------
    Refusal
        With no period to spare beyond the coefficients, or columns that say the same.

    Notes
    -----
    Generalised least squares at each correlation r; the chance of r is its restricted likelihood,
    coefficients and variance integrated out, |R|^-1/2 |X'R^-1X|^-1/2 S(r)^-(n-p)/2, under the
    reference prior (1 - r^2)^-1/2 from -0.7 to 0.98 [1]_ [2]_.  Given r a contrast follows
    Student's t with n - p degrees of freedom; over r it follows the mixture of these, so that what
    is not known of the correlation widens the interval.

    References
    ----------
    .. [1] Cooper, D. M., Thompson, R. (1977). Biometrika 64, 625-628. doi:10.1093/biomet/64.3.625
    .. [2] Berger, J. O., Yang, R. (1994). Noninformative priors and Bayesian testing for the AR(1)
       model. Econometric Theory 10, 461-482.

    Examples
    --------
    >>> y = np.array([1.0, 3.0, 2.0, 2.0, 1.0, 3.0, 2.0, 2.0, 3.0, 1.0, 1.0, 3.0])
    >>> found = fits_of(y, np.ones((12, 1)), at=np.arange(12))
    >>> found.degrees, abs(found.correlation) < 0.5
    (11, True)
    """
    degrees = len(values) - design.shape[1]
    if degrees < 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise Refusal(
            f"{len(values)} periods cannot bear a regression with {design.shape[1]} coefficients.",
            "collect more periods.",
        )
    root = 1.0 if weights is None else np.sqrt(weights / weights.mean())[:, None]
    scale = np.abs(design).max(axis=0)
    whole = np.column_stack([design / scale, values])
    white, height = _whitened(whole * root, at)
    products = np.einsum("gni,gnj->gij", white, white)
    inner, cross = products[:, :-1, :-1], products[:, :-1, -1]
    inverses = np.linalg.inv(inner)
    coefficients = np.einsum("gij,gj->gi", inverses, cross)
    residual = white[:, :, -1] - np.einsum("gni,gi->gn", white[:, :, :-1], coefficients)
    total = float((values - values.mean()) @ (values - values.mean()))
    least = max(STEADY**2 * total, np.finfo(float).tiny)  # of a series without any wobble
    squares = np.maximum((residual**2).sum(axis=1), least)
    height = height - np.linalg.slogdet(inner)[1] / 2 - degrees / 2 * np.log(squares)
    height = height - np.log(1 - CORRELATIONS**2) / 2  # the prior
    chances = np.exp(height - height.max())
    return Fits(
        chances=chances / chances.sum(),
        coefficients=coefficients / scale,
        inverses=inverses / np.outer(scale, scale),
        variances=squares / degrees,
        degrees=degrees,
    )


def _whitened(columns: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns less what the period before foretells, and half the log determinant, at each r."""
    near = nearness(np.diff(at))
    own = 1 / np.sqrt(1 - near**2)
    white = np.empty((len(CORRELATIONS), *columns.shape))
    white[:, 0] = columns[0]
    white[:, 1:] = (columns[1:] - near[:, :, None] * columns[:-1]) * own[:, :, None]
    return white, np.log(own).sum(axis=1)


def nearness(apart: np.ndarray) -> np.ndarray:
    """Correlation of periods so far apart, at each correlation of neighbours, (correlations, ...).

    Examples
    --------
    >>> float(nearness(np.array([2]))[0, 0].round(2))  # -0.7 squared
    0.49
    """
    return np.sign(CORRELATIONS)[:, None] ** apart * np.abs(CORRELATIONS)[:, None] ** apart


def combined(
    fits: Fits,
    contrasts: np.ndarray,
    *,
    shift: np.ndarray | float = 0.0,
    more: np.ndarray | float = 0.0,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates and limits of contrasts of the coefficients, over all correlations.

    Parameters
    ----------
    fits : Fits
    contrasts : ndarray, shape (contrasts, columns) or (correlations, contrasts, columns)
    shift : ndarray, shape (correlations, contrasts), optional
        Added to each contrast.
    more : ndarray, shape (correlations, contrasts), optional
        Variance beside that of the coefficients, as a share of ``fits.variances``.
    confidence : float

    Returns
    -------
    estimate, low, high : ndarray, shape (contrasts,)

    Notes
    -----
    The mean and the quantiles of the mixture of Student's t; quantiles by halving.
    """
    each = np.broadcast_to(contrasts, (len(fits.chances), *np.shape(contrasts)[-2:]))
    means = np.einsum("gkp,gp->gk", each, fits.coefficients) + shift
    spread = np.einsum("gkp,gpq,gkq->gk", each, fits.inverses, each) + more
    errors = np.sqrt(fits.variances[:, None] * spread)
    tail = (1 - confidence) / 2
    low, high = (_quantile(fits, means, errors, chance) for chance in (tail, 1 - tail))
    return fits.chances @ means, low, high


def _quantile(fits: Fits, means: np.ndarray, errors: np.ndarray, chance: float) -> np.ndarray:
    likely = fits.chances > LEAST_CHANCE * fits.chances.max()
    weights = fits.chances[likely] / fits.chances[likely].sum()
    means, errors = means[likely], np.maximum(errors[likely], np.finfo(float).tiny)
    single = means + stats.t.ppf(chance, fits.degrees) * errors
    low, high = single.min(axis=0), single.max(axis=0)  # the mixture's lies between them
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = weights @ special.stdtr(fits.degrees, (middle - means) / errors) < chance
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def effective(fits: Fits, contrast: np.ndarray, n: int) -> float:
    """How many independent records would tell as much: n times variance if alike over as is."""
    errors = np.einsum("p,gpq,q->g", contrast, fits.inverses, contrast) * fits.variances
    alone = errors[np.argmin(np.abs(CORRELATIONS))]
    return float(n * min(alone / max(float(fits.chances @ errors), np.finfo(float).tiny), 1.0))


# --- Counts and rates -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Poisson:
    """Events at a rate that a regression multiplies, by quasi-likelihood.

    Attributes
    ----------
    coefficients : ndarray, shape (columns,)
        On the scale of logs.
    covariance : ndarray, shape (columns, columns)
        Of independent periods, dispersion included.
    dispersion : float
        Pearson's chi-squared over its degrees of freedom; 1 for Poisson counts.
    expected : ndarray, shape (periods,)
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    dispersion: float
    expected: np.ndarray


def quasi_poisson(events: np.ndarray, exposure: np.ndarray, design: np.ndarray) -> Poisson:
    """Fit log(expected) = log(exposure) + design x coefficients.

    Parameters
    ----------
    events, exposure : ndarray, shape (periods,)
    design : ndarray, shape (periods, columns)

    Raises
    ------
    Refusal
        If the counts lead to no finite answer.

    Notes
    -----
    Iterated weighted least squares; the variance is the dispersion times the mean.  McCullagh, P.,
    Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman and Hall. Chapter 9.

    Examples
    --------
    3 events on 10, 6 on 10: the rate doubles.

    >>> found = quasi_poisson(np.array([3.0, 3, 6, 6]), np.full(4, 10.0),
    ...                       np.array([[1.0, 0], [1, 0], [1, 1], [1, 1]]))
    >>> np.exp(found.coefficients).round(6).tolist()
    [0.3, 2.0]
    """
    scale = np.abs(design).max(axis=0)
    x, expected = design / scale, (events + events.mean()) / 2 + ZERO
    eta = np.log(expected / exposure)
    for _ in range(STEPS):
        weighted = x * expected[:, None]
        answer = eta + (events - expected) / expected
        new = x @ np.linalg.lstsq(weighted.T @ x, weighted.T @ answer, rcond=None)[0]
        moved, eta = np.abs(new - eta).max(), np.clip(new, -60, 60)
        expected = exposure * np.exp(eta)
        if moved < 1e-10:
            break
    else:
        raise Refusal("The counts lead to no finite rate.", "follow a more frequent event.")
    inverse = np.linalg.inv((x * expected[:, None]).T @ x)
    dispersion = float(((events - expected) ** 2 / expected).sum() / (len(events) - x.shape[1]))
    coefficients = np.linalg.lstsq(x, eta, rcond=None)[0]
    return Poisson(
        coefficients / scale, dispersion * inverse / np.outer(scale, scale), dispersion, expected
    )


def fits_of_counts(
    events: np.ndarray, exposure: np.ndarray, design: np.ndarray, *, at: np.ndarray
) -> Fits:
    """The same as `fits_of` for events at a rate; coefficients are logs of ratios.

    Notes
    -----
    The quasi-Poisson fit made linear at its answer, with the working residuals as a first-order
    autoregression.  At a correlation of 0 the coefficients are those of `quasi_poisson`.  Liang,
    K.-Y., Zeger, S. L. (1986). Biometrika 73, 13-22. doi:10.1093/biomet/73.1.13
    """
    found = quasi_poisson(events, exposure, design)
    eta = np.log(found.expected / exposure)
    answer = eta + (events - found.expected) / found.expected
    return fits_of(answer, design, at=at, weights=found.expected)


# --- The step -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Step:
    """A step in one series: of its level, of its slope, and what both come to over the time after.

    All of them are logs of ratios if the series was fitted as counts.

    Attributes
    ----------
    effect, level, slope : tuple of float
        Estimate, low and high: mean over the periods after; at the change; per period after it
        (NaN if the slope was not let change).
    correlation : float
        Of neighbouring periods.
    seasonal : bool
        Whether the time of year was taken out.
    degrees : int
    effective : float
        Share of the periods' information that is left after their likeness.
    fitted, expected : ndarray, shape (periods,)
        The line as fitted, and as it would have gone on without the change.
    """

    effect: tuple[float, float, float]
    level: tuple[float, float, float]
    slope: tuple[float, float, float]
    correlation: float
    seasonal: bool
    degrees: int
    effective: float
    fitted: np.ndarray
    expected: np.ndarray


def step_of(
    values: np.ndarray,
    *,
    at: np.ndarray,
    periods: np.ndarray,
    after: np.ndarray,
    weights: np.ndarray | None = None,
    exposure: np.ndarray | None = None,
    confidence: float,
) -> Step:
    """Fit level and trend before, step and change of trend after.

    Parameters
    ----------
    values : ndarray, shape (periods,)
        Means or shares; events if ``exposure`` is given.
    at : ndarray of int
        Places on the calendar.
    periods : ndarray of datetime
        First day of each period, for the time of year.
    after : ndarray of bool
    weights : ndarray, optional
        Records behind each value.
    exposure : ndarray, optional
        Units at risk: the values are then counts, fitted with a log link.
    confidence : float

    Notes
    -----
    The slope may change where eight periods or more lie after.  From two years on, two sine waves
    of the year are taken out.  The effect is the mean over the periods after (weighed by records or
    exposure) of what lies between the line as fitted and as it would have gone on.

    Examples
    --------
    A level of 1 that steps to 3 on weeks that go up and down by 0.1.

    >>> at, wave = np.arange(24), np.tile([0.1, -0.1], 12)
    >>> found = step_of(np.where(at >= 12, 3.0, 1.0) + wave, at=at, after=at >= 12,
    ...                 periods=pd.date_range("2025-01-06", periods=24, freq="7D").to_numpy(),
    ...                 confidence=0.95)
    >>> round(found.effect[0], 1), found.effect[1] < 2.0 < found.effect[2]
    (2.0, True)
    """
    design, sloped = _design(at, periods, after)
    importance = exposure if exposure is not None else weights
    contrasts = _contrasts(design, after, sloped, importance)
    if exposure is None:
        fits = fits_of(values, design, at=at, weights=weights)
    else:
        fits = fits_of_counts(values, exposure, design, at=at)
    estimate, low, high = combined(fits, contrasts, confidence=confidence)
    rows = list(zip(estimate.tolist(), low.tolist(), high.tolist(), strict=True))
    coefficients = fits.chances @ fits.coefficients
    still = design.copy()
    still[:, 2 : 4 if sloped else 3] = 0
    return Step(
        effect=rows[0],
        level=rows[1],
        slope=rows[2] if sloped else (np.nan,) * 3,
        correlation=fits.correlation,
        seasonal=design.shape[1] > 4,
        degrees=fits.degrees,
        effective=effective(fits, contrasts[0], 1),
        fitted=design @ coefficients,
        expected=still @ coefficients,
    )


def _design(at: np.ndarray, periods: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, bool]:
    """Columns: level, trend, step, (change of trend), (two waves of the year)."""
    since = at - at[after][0]
    sloped = int(after.sum()) >= FEWEST_FOR_SLOPE
    columns = [np.ones(len(at)), since.astype(float), after.astype(float)]
    if sloped:
        columns.append(np.where(after, since, 0.0))
    days = (periods - periods[0]) / np.timedelta64(1, "D")
    if days[-1] + days[1] >= 2 * YEAR_DAYS - 7:
        angle = 2 * np.pi * days / YEAR_DAYS
        for k in range(1, HARMONICS + 1):
            columns += [np.sin(k * angle), np.cos(k * angle)]
    return np.column_stack(columns), sloped


def _contrasts(
    design: np.ndarray, after: np.ndarray, sloped: bool, weights: np.ndarray | None
) -> np.ndarray:
    """Rows: mean over the periods after, at the change, (per period)."""
    rows = np.zeros((3 if sloped else 2, design.shape[1]))
    rows[:2, 2] = 1
    if sloped:
        rows[0, 3] = np.average(
            design[after, 3], weights=None if weights is None else weights[after]
        )
        rows[2, 3] = 1
    return rows


# --- The rung -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Interrupted:
    """The changed sites' own series as its own yardstick.

    Attributes
    ----------
    rung : Rung
    groups : Groups
    step : Step
    placebo : tuple of float
        Estimate, low and high of a made-up date in the weeks before; NaN if too few.
    """

    rung: Rung
    groups: Groups
    step: Step
    placebo: tuple[float, float, float]


def interrupted(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    confidence: float,
    rng: np.random.Generator,
) -> Interrupted:
    """Interrupted time series of the changed sites' weekly mean.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``; other sites are not looked at.
    treated : list of str
    change_on : str
    confidence : float
    rng : Generator
        Not used: nothing here is drawn.  All designs are called alike.

    Raises
    ------
    Problem, Refusal
        As `groups_of`; refused too where the measure never varies.

    Notes
    -----
    The interval is conservative on short series that do not wander.  Coverage of the 95 % interval
    of the mean effect, simulated with half the weeks after, at autocorrelations of 0, 0.3 and 0.6
    (1,000 series each; slope let change): 24 weeks 0.97, 0.97, 0.96; 60 weeks 0.96, 0.96, 0.97; 120
    weeks 0.97, 0.96, 0.96.  ``tests/intervals/cover_interrupted_series.py`` simulates it.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=24, freq="7D")
    >>> wave = np.tile([0.1, -0.1], 12) + np.where(np.arange(24) >= 12, 3.0, 1.0)
    >>> panel = pd.DataFrame({"site": "N1", "period": weeks, "n": 10, "mean": wave})
    >>> found = interrupted(panel, treated=["N1"], change_on="2025-03-31", confidence=0.95,
    ...                     rng=np.random.default_rng(1))
    >>> round(found.rung.estimate, 1), found.rung.clusters
    (2.0, 24)
    """
    need_share(confidence, name="confidence")
    groups = groups_of(panel, treated=treated, change_on=change_on)
    need_movement(groups.changed)
    step = _step(groups, confidence)
    placebo = in_time(groups, lambda earlier: _step(earlier, confidence).effect)
    check, passed = said_of_placebo(placebo, step.effect)
    if not step.seasonal:
        check += "; with less than two years, the time of year cannot be told from the change"
        passed = "cannot say" if passed == "yes" else passed
    estimate, low, high = step.effect
    rung = Rung(
        design=DESIGN,
        estimand=ESTIMAND,
        estimate=estimate,
        low=low,
        high=high,
        n=groups.n,
        clusters=len(groups.at),
        effective_n=groups.n * step.effective,
        assumes=ASSUMES,
        check=check,
        passed=passed,
    )
    return Interrupted(rung, groups, step, placebo)


def _step(groups: Groups, confidence: float) -> Step:
    return step_of(
        groups.changed,
        at=groups.at,
        periods=groups.periods,
        after=groups.after,
        confidence=confidence,
    )


def need_movement(values: np.ndarray) -> None:
    """Insist on a series that varies."""
    if np.ptp(values) <= STEADY * np.abs(values).max():
        raise Refusal("The measure is the same in every period.", "check the measure.")


# --- A made-up date in the weeks before -----------------------------------------------------------


def in_time(
    groups: Groups, effect: Callable[[Groups], tuple[float, float, float]]
) -> tuple[float, float, float]:
    """What a design says of a made-up date in the middle of the weeks before; NaN if too few."""
    weeks = int((~groups.after).sum())
    half = weeks // 2
    if half < FEWEST_BEFORE:
        return (np.nan,) * 3
    try:
        return effect(groups.of(~groups.after, np.arange(len(groups.at)) >= half))
    except Refusal:
        return (np.nan,) * 3


def said_of_placebo(
    placebo: tuple[float, float, float], effect: tuple[float, float, float], *, times: float = 1.0
) -> tuple[str, str]:
    """The check in words, and whether it was passed.

    A placebo that holds zero passes, unless it would also hold an effect as large as the one
    that the design claims: then it says little.

    Examples
    --------
    >>> said_of_placebo((0.0, -0.5, 0.5), (2.0, 1.0, 3.0))
    ('a made-up date before the change gives 0.00 (-0.50 to 0.50)', 'yes')
    >>> said_of_placebo((0.6, 0.2, 1.0), (2.0, 1.0, 3.0))[1]
    'no'
    >>> said_of_placebo((0.0, -2.5, 2.5), (2.0, 1.0, 3.0))[1]
    'cannot say'
    """
    estimate, low, high = (each * times for each in placebo)
    if not np.isfinite(estimate):
        return "too few weeks before the change to try a made-up date in them", "cannot say"
    digits = digits_for(low, high)
    words = (
        "a made-up date before the change gives"
        f" {estimate:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"
    )
    if low > 0 or high < 0:
        return words, "no"
    claimed = effect[1] > 0 or effect[2] < 0
    wide = max(-low, high) >= abs(effect[0] * times)
    return words, "cannot say" if claimed and wide else "yes"
