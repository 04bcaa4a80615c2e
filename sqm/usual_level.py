"""What level is usual for this period, and how far may a count stray from it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from sqm.checks import Problem, Refusal, need_columns, need_one_of
from sqm.clock import DAYS, Calendar, local

DATA = ("count", "rate", "share")
OUTBREAK = 2.58  # residual from which a past period is down-weighted (Noufaily et al.)
FEWEST = 12  # periods that a level with its dispersion needs
FEWEST_TO_A_TERM = 4  # periods for each further coefficient
MIDDLE = 0.6745  # median size of a normal residual, in standard deviations
YEAR_D = 365.25
ROUNDS = 30  # of reweighting, at most
LARGE = 5_000  # cases of a period beyond which the law of a share is approximated
RARE = 0.1  # share below which its events are then counts
SOURCE = "The series"


@dataclass(frozen=True)
class Usual:
    """The usual level of one series, or of several alike in time, as it was fitted.

    Attributes
    ----------
    data : {"count", "rate", "share"}
    terms : tuple of str
        Of the level: ``level``, ``trend`` (a year), ``Tue`` to ``Sun``, ``holiday``, seasons.
    coefficients : ndarray, shape (..., terms)
        On the scale of logs (shares: of log odds).
    covariance : ndarray, shape (..., terms, terms)
        Of the coefficients, dispersion included.
    extra : ndarray, shape (...)
        What spreads the counts beyond their law: for counts and rates a period of mean m has
        variance m + extra m^2 (negative binomial), for shares n p q (1 + extra (n - 1))
        (beta-binomial).
    dispersion : ndarray, shape (...)
        Pearson's chi-squared over its degrees of freedom; about 1 where the law itself holds.
    degrees : ndarray, shape (...)
        Periods of the baseline (as many as would count alike) less coefficients, 1 or more.
    periods : int
        Of the baseline.
    down_weighted : ndarray of int, shape (...)
        Of them, those down-weighted as past outbreaks.
    middle : Timestamp
        From which the trend is counted.
    holidays : tuple of Timestamp
    """

    data: str
    terms: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    extra: np.ndarray
    dispersion: np.ndarray
    degrees: np.ndarray
    periods: int
    down_weighted: np.ndarray
    middle: pd.Timestamp
    holidays: tuple[pd.Timestamp, ...] = ()


def open_days(periods: Sequence, *, calendar: Calendar, days: int = 7) -> np.ndarray:
    """Worked days in each period: the first thing by which a thin week differs from a full one.

    Parameters
    ----------
    periods : sequence of datetime
        First day of each period.
    calendar : Calendar
        Weekdays worked and holidays.
    days : int, default 7
        Length of a period.

    Examples
    --------
    A week with a holiday on its Wednesday.

    >>> opened = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"), holidays=("2025-01-01",))
    >>> open_days(pd.to_datetime(["2024-12-23", "2024-12-30"]), calendar=opened).tolist()
    [5.0, 4.0]
    """
    first = _days(periods).to_numpy().astype("datetime64[D]")
    closed = np.array(sorted(pd.to_datetime(list(calendar.holidays))), dtype="datetime64[D]")
    mask = [name in calendar.days for name in DAYS]
    return np.busday_count(first, first + days, weekmask=mask, holidays=closed).astype(float)


def usual_level(
    value: np.ndarray,
    *,
    periods: Sequence,
    data: str = "count",
    n: np.ndarray | None = None,
    base: np.ndarray | None = None,
    trend: bool = False,
    weekdays: bool | None = None,
    season: int | None = None,
    holidays: Sequence = (),
    half_life: float | None = None,
) -> Usual:
    """Fit the level that is usual for the weekday, the season and the trend, with its dispersion.

    Parameters
    ----------
    value : ndarray, shape (..., periods)
        Events of each period, of one series or of several.
    periods : sequence of datetime
        First day of each period, evenly spaced, oldest first.
    data : {"count", "rate", "share"}, default "count"
    n : ndarray, optional
        Exposure of each period (open days, customers) or, of a share, its cases.  A period with
        none is left out.
    base : ndarray of bool, shape (periods,), optional
        The periods that the level rests on; all if not given.
    trend : bool, default False
        A steady rise or fall (by the year, on the scale of logs).
    weekdays : bool, optional
        A level for each weekday; if not given, where periods are days.
    season : int, optional
        Waves a year; if not given, two where the baseline spans two years, else none.
    holidays : sequence of datetime, optional
        Days with a level of their own where periods are days.  For weeks give open days as ``n``.
    half_life : float, optional
        Periods after which a past period counts half; all count alike if not given.

    Returns
    -------
    Usual

    Raises
    ------
    Problem
        If periods are not evenly spaced or not in order, a number is blank or below 0, or a share
        has more events than cases.
    Refusal
        If the baseline is too short for what is asked, or has no event.

    Notes
    -----
    Quasi-likelihood: log links with Poisson weights, log odds with binomial weights [1]_; the
    dispersion by moments, at least that of the law; standard errors robust to the variance.
    Periods whose Anscombe residual exceeds 2.58 on the high side count (2.58 / residual)^2, as in
    [2]_, so that an outbreak of the past does not hide the next.  A series of several that has no
    event in its baseline is given half of one.

    References
    ----------
    .. [1] McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman and
       Hall. Chapter 9.
    .. [2] Noufaily, A. et al. (2013). An improved algorithm for outbreak detection in multiple
       surveillance systems. Statistics in Medicine 32, 1206-1222. doi:10.1002/sim.5595

    Examples
    --------
    A level alone is the mean.

    >>> weeks = pd.date_range("2025-01-06", periods=12, freq="7D")
    >>> usual = usual_level(np.tile([2.0, 6.0], 6), periods=weeks)
    >>> round(float(np.exp(usual.coefficients[0])), 6)
    4.0
    """
    days, value, n = _sound(value, periods, data, n)
    rest = _days(holidays)
    given = np.ones(len(days), dtype=bool) if base is None else np.asarray(base, dtype=bool)
    terms = _terms(days, given, trend, weekdays, season, rest)
    weight = _counting(days, given, terms, rest, half_life) * (n > 0)
    seen = weight.reshape(-1, len(days)).any(axis=0)
    _need_enough(value, weight, seen, terms)
    middle = days[seen][0] + (days[seen][-1] - days[seen][0]) / 2
    design = _design(days, terms, middle, rest)
    floored = _floored(value, n, weight)
    fit, down = _robust(floored, np.where(n > 0, n, 1.0), design, weight, data)
    return Usual(data, terms, *fit, int(seen.sum()), down, middle, tuple(rest))


def predicted(
    usual: Usual, periods: Sequence, *, n: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the events of each period, the error of the fitted level included.

    Parameters
    ----------
    usual : Usual
    periods : sequence of datetime
        Of the baseline or after it.
    n : ndarray, optional
        Exposure or cases of each period; 1 if not given.

    Returns
    -------
    mean, variance : ndarray, shape (..., periods)
        NaN where a period has no exposure, or is a holiday and the baseline had too few.

    Notes
    -----
    V(m) + (dm/deta)^2 x' C x, with V the variance of the law and x' C x that of the linear
    predictor.

    Examples
    --------
    Twelve weeks of mean 4 and no more spread than Poisson's: 4 + 4 / 12.

    >>> weeks = pd.date_range("2025-01-06", periods=13, freq="7D")
    >>> usual = usual_level(np.tile([3.0, 4.0, 5.0], 4), periods=weeks[:12])
    >>> [round(float(each[0]), 4) for each in predicted(usual, weeks[12:])]
    [4.0, 4.3333]
    """
    days = _days(periods)
    design = _design(days, usual.terms, usual.middle, pd.DatetimeIndex(usual.holidays))
    n = np.ones(len(days)) if n is None else np.asarray(n, dtype=float)
    mean, inner, big = _moments(usual.coefficients @ design.T, n, usual.data)
    of_level = np.einsum("ti,...ij,tj->...t", design, usual.covariance, design)
    slope = inner if usual.data == "share" else mean
    variance = inner + usual.extra[..., None] * big + slope**2 * of_level
    lost = n <= 0
    if "holiday" not in usual.terms and len(usual.holidays):
        lost = lost | days.isin(pd.DatetimeIndex(usual.holidays))
    return np.where(lost, np.nan, mean), np.where(lost, np.nan, variance)


def normal_scores(
    value: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    n: np.ndarray | None = None,
    degrees: float | np.ndarray = np.inf,
) -> np.ndarray:
    """How far each count lies from what was expected, in sigmas of a normal law.

    Parameters
    ----------
    value, mean, variance : ndarray
        Events, and what was predicted of them.
    n : ndarray, optional
        Cases of each period where events are a share of them.
    degrees : float or ndarray
        On which the variance rests; the scores of a variance known for certain if not given.

    Notes
    -----
    z with P(Z < z) = P(Y < y) + P(Y = y) / 2, the mid-p value, under the negative binomial law
    with this mean and variance (Poisson where the variance is the mean); of a share, the
    beta-binomial.  Nothing is randomised, so the same data give the same scores; those of
    small means are coarse and vary a little less than normal ones.  A variance estimated on few
    degrees makes tails heavier: scores are then those of Student's law.  Lancaster, H. O. (1961).
    JASA 56, 223-234. doi:10.1080/01621459.1961.10482105

    Examples
    --------
    Poisson with mean 1: P(Y = 0) = P(Y = 1) = 0.3679; half of the first is 0.1839, whose normal
    quantile is -0.9; the first and half of the second are 0.5518, whose quantile is 0.13.

    >>> [round(float(normal_scores(y, 1.0, 1.0)), 3) for y in (0, 1, 4)]
    [-0.9, 0.13, 2.279]
    """
    value, mean, variance = np.broadcast_arrays(
        *(np.asarray(each, dtype=float) for each in (value, mean, variance))
    )
    below, above = (
        _count_tails(value, mean, variance)
        if n is None
        else (
            _share_tails(
                value, np.broadcast_to(np.asarray(n, dtype=float), mean.shape), mean, variance
            )
        )
    )
    low = below < above
    z = special.ndtri(np.clip(np.where(low, below, above), 1e-300, 0.5))
    z = np.where(low, z, -z)
    heavy = -special.ndtri(np.clip(stats.t.sf(np.abs(z), degrees), 1e-300, 0.5))
    return np.where(np.isfinite(degrees), np.sign(z) * heavy, z)


def limits(
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    sigmas: float = 3.0,
    n: np.ndarray | None = None,
    degrees: float | np.ndarray = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most events of a period that do not signal.

    Parameters
    ----------
    mean, variance, n, degrees
        As in `normal_scores`.
    sigmas : float, default 3.0
        A steady period lies outside with a chance of about 2 P(Z > sigmas), 0.0027 for 3; less
        where means are so small that the lower limit is 0.

    Returns
    -------
    low, high : ndarray of float
        Whole numbers; their scores lie within, and those of low - 1 and high + 1 outside.

    Examples
    --------
    Poisson with mean 4: P(Y > 10) + P(Y = 10) / 2 = 0.0055, with 11 for 10 it is 0.0019, and 0.0006
    with 12, which is below 0.00135.

    >>> [float(limit) for limit in limits(np.array(4.0), np.array(4.0))]
    [0.0, 11.0]
    """
    mean, variance = np.broadcast_arrays(np.asarray(mean, float), np.asarray(variance, float))
    top = np.ceil(mean + (sigmas + 20) * np.sqrt(variance) * 3 + 20)
    top = np.where(np.isfinite(mean), top if n is None else np.asarray(n, float), 0.0)

    def score(events: np.ndarray) -> np.ndarray:
        return normal_scores(events, mean, variance, n=n, degrees=degrees)

    high = _last(lambda events: score(events) <= sigmas, top)
    low = top - _last(lambda back: score(top - back) >= -sigmas, top)
    lost = ~np.isfinite(mean)
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)


def adjusted(
    periods: pd.DataFrame,
    *,
    base: np.ndarray | None = None,
    sigmas: float = 3.0,
    calendar: Calendar | None = None,
    trend: bool = False,
    weekdays: bool | None = None,
    season: int | None = None,
    half_life: float | None = None,
) -> pd.DataFrame:
    """Limits that move with the weekday, the season and the days open, on the original scale.

    Parameters
    ----------
    periods : DataFrame, one row a period of one series, in order
        ``data`` (``count``, ``rate`` or ``share``), ``period``, ``n``, ``value`` (events);
        ``mature`` (bool, optional).
    base : ndarray of bool, optional
        Periods that the level rests on; all mature ones if not given.
    sigmas : float, default 3.0
        Where the limits lie, in normal scores.
    calendar : Calendar, optional
        Its holidays have a level of their own where periods are days; where they are longer,
        counts are expected to follow the days open.
    trend, weekdays, season, half_life
        As in `usual_level`.

    Returns
    -------
    DataFrame
        The periods with ``rate`` (events, over n for rates and shares), ``centre``, ``low``,
        ``high`` (the last rate on either side that does not signal) and ``z``; NaN for immature
        periods, for those without cases, and for closed days.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=13, freq="7D")
    >>> series = pd.DataFrame({"data": "count", "period": weeks, "n": 1.0,
    ...     "value": [3.0, 4.0, 5.0] * 4 + [14.0]})
    >>> last = adjusted(series, base=weeks < weeks[12]).iloc[-1]
    >>> round(float(last["centre"]), 2), float(last["high"]), bool(last["z"] > 3)
    (4.0, 11.0, True)
    """
    need_columns(periods, ["data", "period", "n", "value"], source=SOURCE)
    if periods.empty:
        raise Refusal(f"{SOURCE} has no period.", "give a longer series.")
    data = str(periods["data"].iloc[0])
    need_one_of(data, DATA, name="data")
    days, value = _days(periods["period"]), periods["value"].to_numpy(dtype=float)
    n = periods["n"].to_numpy(dtype=float)
    step, rest = _step(days), () if calendar is None else pd.to_datetime(list(calendar.holidays))
    if calendar is not None and step > 1:
        n, rest = n * (open_days(days, calendar=calendar, days=step) if data != "share" else 1), ()
    ripe = np.ones(len(days), dtype=bool)
    if "mature" in periods:
        ripe = periods["mature"].to_numpy(dtype=bool)
    usual = usual_level(
        value,
        **{"periods": days, "data": data, "n": n, "trend": trend, "weekdays": weekdays},
        base=ripe if base is None else ripe & np.asarray(base, dtype=bool),
        **{"season": season, "holidays": rest, "half_life": half_life},
    )
    return _drawn(periods, usual, n, ripe, sigmas, rest)


def _drawn(
    periods: pd.DataFrame, usual: Usual, n: np.ndarray, ripe: np.ndarray, sigmas: float, rest
) -> pd.DataFrame:
    value = periods["value"].to_numpy(dtype=float)
    cases = n if usual.data == "share" else None
    mean, variance = predicted(usual, periods["period"], n=n)
    mean = np.where(ripe, mean, np.nan)
    degrees = float(usual.degrees) if usual.extra > 0 else np.inf
    low, high = limits(mean, variance, sigmas=sigmas, n=cases, degrees=degrees)
    z = normal_scores(value, mean, variance, n=cases, degrees=degrees)
    own = periods["n"].to_numpy(dtype=float) if usual.data != "count" else np.ones(len(value))
    with np.errstate(divide="ignore", invalid="ignore"):
        each = {"rate": value, "centre": mean, "low": low, "high": high}
        each = {name: np.where(own > 0, events / own, np.nan) for name, events in each.items()}
    return periods.assign(**each, z=np.where(np.isfinite(mean), z, np.nan))


# --- What the data must hold ----------------------------------------------------------------------


def _days(periods: Sequence) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(local(pd.Series(pd.to_datetime(list(periods))))).normalize()


def _step(days: pd.DatetimeIndex) -> int:
    """Days from one period to the next."""
    apart = np.diff(days.to_numpy().astype("datetime64[D]")).astype(int)
    if (apart <= 0).any():
        again = days[1:][apart <= 0][0]
        raise Problem(
            f"{SOURCE} has {again:%Y-%m-%d} twice, or out of order.",
            "give one row a period, oldest first.",
        )
    least = int(apart.min()) if len(apart) else 1
    if (apart % least).any():
        raise Problem(
            f"{SOURCE} is not evenly spaced: periods are {least} to {apart.max()} days apart.",
            "count by day or by week.",
        )
    return least


def _sound(
    value: np.ndarray, periods: Sequence, data: str, n: np.ndarray | None
) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    need_one_of(data, DATA, name="data")
    days, value = _days(periods), np.asarray(value, dtype=float)
    if n is None and data == "share":
        raise Problem(f"{SOURCE} is of shares and has no cases.", "give the cases as n.")
    n = np.broadcast_to(np.ones(1) if n is None else np.asarray(n, dtype=float), value.shape)
    if value.shape[-1] != len(days):
        raise Problem(
            f"{SOURCE} has {value.shape[-1]} values and {len(days)} periods.", "give one to each."
        )
    _step(days)
    wrong = ~np.isfinite(value) | (value < 0) | ~np.isfinite(n) | (n < 0)
    if wrong.any():
        first = days[wrong.reshape(-1, len(days)).any(axis=0)][0]
        raise Problem(
            f"{SOURCE} has blank or negative numbers (first: {first:%Y-%m-%d}).",
            "give 0 for a period without events.",
        )
    over = (value > n) & (data == "share")
    if over.any():
        first = days[over.reshape(-1, len(days)).any(axis=0)][0]
        raise Problem(
            f"{SOURCE} has more events than cases (first: {first:%Y-%m-%d}).",
            "count each event among its cases.",
        )
    return days, value, n


def _need_enough(
    value: np.ndarray, weight: np.ndarray, seen: np.ndarray, terms: tuple[str, ...]
) -> None:
    need = max(FEWEST, FEWEST_TO_A_TERM * len(terms))
    if seen.sum() < need:
        raise Refusal(
            f"{SOURCE} has {seen.sum()} periods to rest a usual level of {len(terms)} terms on;"
            f" it needs {need}.",
            "give a longer baseline, or leave terms out.",
        )
    if not (value * (weight > 0)).any():
        raise Refusal(f"{SOURCE} has no event in its baseline.", "give a longer baseline.")


# --- The level ------------------------------------------------------------------------------------


def _terms(
    days: pd.DatetimeIndex,
    used: np.ndarray,
    trend: bool,
    weekdays: bool | None,
    season: int | None,
    rest: pd.DatetimeIndex,
) -> tuple[str, ...]:
    """What the level is made of, by name."""
    step, base = _step(days), days[used]
    if len(rest) and step > 1:
        raise Problem(
            "Holidays are given for periods longer than a day.", "give the open days of each as n."
        )
    years = (base[-1] - base[0]).days / YEAR_D + step / YEAR_D if len(base) else 0.0
    if season and years < 1.99:
        raise Refusal(
            f"A season is asked for, and the baseline spans {years:.1f} years.",
            "give two years or more, or leave the season out.",
        )
    waves = (2 if years >= 1.99 else 0) if season is None else season
    terms = ["level", *(["trend"] if trend else [])]
    if (step == 1) if weekdays is None else weekdays:
        terms += [name for i, name in enumerate(DAYS) if i and (base.day_of_week == i).any()]
        if not (base.day_of_week == 0).any():
            terms.remove(next(name for name in DAYS if name in terms))  # the level is that day's
    if base.isin(rest).sum() >= FEWEST_TO_A_TERM:
        terms.append("holiday")
    terms += [f"season {wave} {part}" for wave in range(1, waves + 1) for part in ("cos", "sin")]
    return tuple(terms)


def _design(
    days: pd.DatetimeIndex, terms: tuple[str, ...], middle: pd.Timestamp, rest: pd.DatetimeIndex
) -> np.ndarray:
    """One column a term."""
    years = ((days - middle) / pd.Timedelta(days=1)).to_numpy() / YEAR_D
    turn = 2 * np.pi * days.day_of_year.to_numpy() / YEAR_D
    columns = []
    for term in terms:
        if term == "level":
            columns.append(np.ones(len(days)))
        elif term == "trend":
            columns.append(years)
        elif term == "holiday":
            columns.append(days.isin(rest).astype(float))
        elif term in DAYS:
            columns.append((days.day_of_week == DAYS.index(term)).astype(float))
        else:
            _, wave, part = term.split()
            columns.append((np.cos if part == "cos" else np.sin)(int(wave) * turn))
    return np.column_stack(columns)


def _counting(
    days: pd.DatetimeIndex,
    used: np.ndarray,
    terms: tuple[str, ...],
    rest: pd.DatetimeIndex,
    half_life: float | None,
) -> np.ndarray:
    """How much each period counts; none outside the baseline."""
    weight = used.astype(float)
    if "holiday" not in terms and len(rest):
        weight[days.isin(rest)] = 0.0
    if half_life is not None:
        if not half_life > 0:
            raise Problem(f"half_life is {half_life}.", "give periods, more than 0.")
        age = (days[-1] - days) / pd.Timedelta(days=_step(days))
        weight = weight * 0.5 ** (age.to_numpy() / half_life)
    return weight


def _floored(value: np.ndarray, n: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Half an event for a series that has none, spread as its exposure is."""
    exposure = n * (weight > 0)
    none = ~(value * (weight > 0)).any(axis=-1, keepdims=True)
    spread = 0.5 * exposure / np.maximum(exposure.sum(axis=-1, keepdims=True), 1e-300)
    return np.where(none, spread, value)


def _robust(
    value: np.ndarray, n: np.ndarray, design: np.ndarray, weight: np.ndarray, data: str
) -> tuple[tuple, np.ndarray]:
    """Coefficients, covariance, extra, dispersion, degrees; and how many were down-weighted."""
    weight = np.broadcast_to(weight, value.shape)
    trimmed = weight
    for _ in range(3):
        beta = _irls(value, n, design, trimmed, data)
        extra, dispersion, degrees = _spread(value, n, beta @ design.T, trimmed, data, len(beta.T))
        residual = _residuals(value, n, beta @ design.T, extra, data)
        high = (residual > OUTBREAK) & (weight > 0)
        shrunk = weight * (OUTBREAK / np.where(high, residual, OUTBREAK)) ** 2
        settled, trimmed = np.array_equal(shrunk, trimmed), shrunk
        if settled:
            break
    covariance = _sandwich(n, design, beta, extra, trimmed, data)
    return (beta, covariance, extra, dispersion, degrees), high.sum(axis=-1)


def _moments(eta: np.ndarray, n: np.ndarray, data: str) -> tuple[np.ndarray, ...]:
    """Mean, variance of the law itself, and what a unit of ``extra`` adds to it."""
    eta = np.clip(eta, -30, 30)
    if data == "share":
        share = special.expit(eta)
        inner = n * share * (1 - share)
        return n * share, inner, inner * np.maximum(n - 1, 0)
    mean = n * np.exp(eta)
    return mean, mean, mean**2


def _irls(
    value: np.ndarray, n: np.ndarray, design: np.ndarray, weight: np.ndarray, data: str
) -> np.ndarray:
    """Coefficients by iteratively reweighted least squares, many series at once."""
    overall = (weight * value).sum(axis=-1) / np.maximum((weight * n).sum(axis=-1), 1e-300)
    overall = np.maximum(overall, 1e-12)
    start = special.logit(np.clip(overall, 1e-9, 1 - 1e-9)) if data == "share" else np.log(overall)
    beta = np.zeros((*value.shape[:-1], design.shape[1]))
    beta[..., 0] = start
    tiny = 1e-10 * np.eye(design.shape[1])
    for _ in range(ROUNDS):
        eta = np.clip(beta @ design.T, -30, 30)
        mean, inner, _ = _moments(eta, n, data)
        inner = np.maximum(inner, 1e-12)
        across = (weight * inner)[..., None, :] * design.T
        left = across @ design
        left = left + tiny * (np.trace(left, axis1=-2, axis2=-1)[..., None, None] + 1e-9)
        right = (across @ (eta + (value - mean) / inner)[..., None])[..., 0]
        fresh = np.linalg.solve(left, right[..., None])[..., 0]
        moved, beta = np.abs(fresh - beta).max(), fresh
        if moved < 1e-9:
            break
    return beta


def _spread(
    value: np.ndarray, n: np.ndarray, eta: np.ndarray, weight: np.ndarray, data: str, terms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By moments: extra variance (at least 0), Pearson's dispersion, and degrees of freedom."""
    mean, inner, big = _moments(eta, n, data)
    inner, square = np.maximum(inner, 1e-12), (value - mean) ** 2
    total, sizes = weight.sum(axis=-1), (weight**2).sum(axis=-1)
    effective = total**2 / np.maximum(sizes, 1e-300)
    degrees = np.maximum(effective - terms, 1.0)
    lift = effective / degrees
    over = (weight * (lift[..., None] * square - inner)).sum(axis=-1)
    extra = np.maximum(over / np.maximum((weight * big).sum(axis=-1), 1e-300), 0.0)
    dispersion = lift * (weight * square / inner).sum(axis=-1) / np.maximum(total, 1e-300)
    return extra, dispersion, degrees


def _residuals(
    value: np.ndarray, n: np.ndarray, eta: np.ndarray, extra: np.ndarray, data: str
) -> np.ndarray:
    """Anscombe's for counts, Pearson's for shares, over the square root of the dispersion.

    An outbreak widens the dispersion by which it is judged: it is not let beyond twice what
    the middle half of the residuals says.
    """
    mean, inner, big = _moments(eta, n, data)
    inner, mean = np.maximum(inner, 1e-12), np.maximum(mean, 1e-12)
    plain = (value - mean) / np.sqrt(inner)
    if data != "share":
        plain = 1.5 * (value ** (2 / 3) - mean ** (2 / 3)) / mean ** (1 / 6)
    middle = np.median(np.abs(plain), axis=-1, keepdims=True) / MIDDLE
    wide = np.sqrt(1 + extra[..., None] * big / inner)
    return plain / np.minimum(wide, 2 * np.maximum(middle, 1.0))


def _sandwich(
    n: np.ndarray,
    design: np.ndarray,
    beta: np.ndarray,
    extra: np.ndarray,
    weight: np.ndarray,
    data: str,
) -> np.ndarray:
    _, inner, big = _moments(beta @ design.T, n, data)
    bread = np.linalg.pinv(((weight * inner)[..., None, :] * design.T) @ design)
    variance = inner + extra[..., None] * big
    filling = ((weight**2 * variance)[..., None, :] * design.T) @ design
    return bread @ filling @ bread


# --- The law --------------------------------------------------------------------------------------


def _count_tails(
    value: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P(Y < y) + P(Y = y) / 2, and the same from above."""
    mean, before = np.maximum(mean, 1e-12), np.maximum(value - 1, 0)
    plain = ~(variance > mean * (1 + 1e-9))
    size = mean**2 / np.where(plain, 1.0, variance - mean)
    chance = size / (size + mean)
    some = value >= 1
    upto = np.where(plain, special.pdtr(value, mean), special.betainc(size, value + 1, chance))
    less = np.where(plain, special.pdtr(before, mean), special.betainc(size, before + 1, chance))
    beyond = np.where(
        plain, special.pdtrc(value, mean), special.betainc(value + 1, size, 1 - chance)
    )
    more = np.where(
        plain, special.pdtrc(before, mean), special.betainc(before + 1, size, 1 - chance)
    )
    return (np.where(some, less, 0.0) + upto) / 2, (np.where(some, more, 1.0) + beyond) / 2


def _share_tails(
    value: np.ndarray, n: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same under the beta-binomial law, period by period."""
    below, above = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    for at in np.ndindex(mean.shape):
        if np.isfinite(mean[at]) and n[at] > 0:
            below[at], above[at] = _one_share(value[at], n[at], mean[at], variance[at])
    return below, above


def _one_share(value: float, n: float, mean: float, variance: float) -> tuple[float, float]:
    share = float(np.clip(mean / n, 1e-12, 1 - 1e-12))
    inner = n * share * (1 - share)
    rho = min(max((variance / inner - 1) / max(n - 1, 1), 0.0), 0.999)
    if n > LARGE:
        return _one_large(value, n, share, rho, mean, variance)
    if rho < 1e-9:
        law = stats.binom(n, share)
    else:
        law = stats.betabinom(n, share * (1 / rho - 1), (1 - share) * (1 / rho - 1))
    chances = law.pmf(np.arange(int(n) + 1))
    at = int(value)
    half = chances[at] / 2
    return float(chances[:at].sum() + half), float(chances[at + 1 :].sum() + half)


def _one_large(
    value: float, n: float, share: float, rho: float, mean: float, variance: float
) -> tuple[float, float]:
    """Of very many cases: rare events (or rare exceptions) as counts, others by a smooth law."""
    if share < RARE:
        below, above = _count_tails(*np.array([[value], [mean], [variance]]))
        return float(below[0]), float(above[0])
    if share > 1 - RARE:
        above, below = _count_tails(*np.array([[n - value], [n - mean], [variance]]))
        return float(below[0]), float(above[0])
    precision = n / (1 + rho * (n - 1)) - 1
    law = stats.beta(share * precision, (1 - share) * precision)
    ends = np.clip([(value - 0.5) / n, (value + 0.5) / n], 0, 1)
    return float(law.cdf(ends).mean()), float(law.sf(ends).mean())


def _last(holds, top: np.ndarray) -> np.ndarray:
    """The largest whole number from 0 to ``top`` at which it still holds, by halving."""
    low, high = np.zeros_like(top), np.asarray(top, dtype=float).copy()
    while (high > low).any():
        middle = np.ceil((low + high) / 2)
        yes = holds(middle)
        low, high = np.where(yes, middle, low), np.where(yes, high, np.minimum(middle - 1, high))
        high = np.maximum(high, low)
    return low
