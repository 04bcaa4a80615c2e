"""How many customers come when, and how far do days differ, told by counts alone?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sqm.checks import Problem, Refusal, first_rows, need_columns
from sqm.clock import DAYS, Calendar, local
from sqm.system_description import intervals_of, need_number

FEWEST_DAYS = 10  # for variation between days


@dataclass(frozen=True, eq=False)
class ArrivalPattern:
    """What counts tell of arrivals.

    Attributes
    ----------
    weekdays : tuple of int
        Those with counts, Monday 0.
    mean : ndarray, shape (weekdays, intervals)
        Contacts expected in each interval; 0 where it was never counted.
    day_cv, interval_cv : float
        Coefficients of variation of the factors that multiply a whole day, and each interval by
        itself: variation beyond Poisson.
    days : int
        Open days counted.
    left_out : tuple of str
        What was left out, in sentences.
    """

    weekdays: tuple[int, ...]
    mean: np.ndarray
    day_cv: float
    interval_cv: float
    days: int
    left_out: tuple[str, ...]


def arrivals_from_counts(
    counts: pd.DataFrame,
    *,
    interval_min: float = 30,
    calendar: Calendar,
    arrived: str = "arrived",
    contacts: str = "contacts",
) -> ArrivalPattern:
    """Learn the pattern of the week, and variation beyond Poisson, from counts by interval.

    Parameters
    ----------
    counts : DataFrame, one row per stretch of time
        ``arrived``, the beginning of the stretch (local time), and ``contacts`` in it.  A stretch
        without a row was not recorded; one without customers has a row with 0.
    interval_min : float, default 30
        Minutes of an interval; a multiple of the stretch that was counted.
    calendar : Calendar
        Rows outside opening hours, worked days and holidays are set aside.
    arrived, contacts : str
        Column names.

    Returns
    -------
    ArrivalPattern

    Raises
    ------
    Problem
        If counts are negative or missing or given twice, a stretch is longer than an interval,
        or opening hours are no whole number of intervals.
    Refusal
        If fewer than ten open days are counted.

    Notes
    -----
    Contacts expected, m: the mean of the weekday and interval.  Variances of the factors come
    from moments: with e = counted - m, what the intervals of a day share, sum over pairs of
    e_i e_j / sum over pairs of m_i m_j, belongs to the day; what sum(e^2 - m) / sum(m^2) has
    beyond that, to the interval.  Squares of e are divided by 1 - 1/n, where n days make a mean.
    Trends and seasons count as variation between days.

    Examples
    --------
    On ten Mondays 3 contacts come in each half-hour from 9 to 10:

    >>> mondays = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> times = [day + pd.Timedelta(hours=h) for day in mondays for h in (9, 9.5)]
    >>> told = pd.DataFrame({"arrived": times, "contacts": 3})
    >>> found = arrivals_from_counts(told, calendar=Calendar(opens=9, closes=10))
    >>> found.weekdays, found.mean.tolist(), found.day_cv
    ((0,), [[3.0, 3.0]], 0.0)
    """
    need_columns(counts, [arrived, contacts], source="the table of counts")
    need_number(interval_min, "interval_min")
    intervals = intervals_of(calendar.opens, calendar.closes, interval_min)
    kept, aside = _usable(counts, arrived, contacts, calendar)
    days = kept["date"].nunique()
    if days < FEWEST_DAYS:
        raise Refusal(
            f"Arrivals cannot be learnt from {days} open days of counts.",
            f"give {FEWEST_DAYS} days or more, and see that the calendar says when it is open.",
        )
    counted, recorded, weekday = _by_interval(kept, calendar.opens, interval_min, intervals)
    weekdays = tuple(np.unique(weekday).tolist())
    mean, n = _means(counted, recorded, weekday)
    place = np.searchsorted(weekdays, weekday)
    day_cv, interval_cv = _beyond_poisson(
        counted, np.nan_to_num(mean)[place] * recorded, n[place] * (recorded > 0)
    )
    return ArrivalPattern(
        weekdays=weekdays,
        mean=np.nan_to_num(mean),
        day_cv=day_cv,
        interval_cv=interval_cv,
        days=days,
        left_out=_left_out(aside, int(np.isnan(mean).sum())),
    )


def _usable(counts, arrived: str, contacts: str, calendar: Calendar) -> tuple[pd.DataFrame, int]:
    """Rows within opening hours, and how many are not."""
    _need_counts(counts, arrived, contacts)
    time = local(counts[arrived])
    table = pd.DataFrame({"time": time, "date": time.dt.normalize()})
    table["n"] = counts[contacts].to_numpy(float)
    table["hour"] = (table["time"] - table["date"]) / pd.Timedelta(hours=1)
    worked = table["date"].dt.day_of_week.isin([DAYS.index(day) for day in calendar.days])
    worked &= ~table["date"].isin(pd.to_datetime(list(calendar.holidays)))
    inside = worked & table["hour"].between(calendar.opens, calendar.closes, inclusive="left")
    return table[inside], int((~inside).sum())


def _need_counts(counts: pd.DataFrame, arrived: str, contacts: str) -> None:
    if not pd.api.types.is_datetime64_any_dtype(counts[arrived]):
        raise Problem(f"{arrived!r} holds no times.", "give it the type of a time.")
    if not pd.api.types.is_numeric_dtype(counts[contacts]):
        raise Problem(f"{contacts!r} does not hold numbers.", "give contacts counted.")
    wrong = counts[~(counts[contacts] >= 0).fillna(False)]
    if len(wrong):
        raise Problem(
            f"{contacts!r} is negative or missing in {len(wrong)} rows (first rows:"
            f" {first_rows(wrong)}).",
            "write 0 where nobody came, and leave out stretches that were not counted.",
        )
    twice = counts[counts[arrived].duplicated() & counts[arrived].notna()]
    if len(twice):
        raise Problem(
            f"{arrived!r} has {len(twice)} stretches twice (first rows: {first_rows(twice)}).",
            "add them up, or keep one line or site.",
        )


def _by_interval(
    kept: pd.DataFrame, opens: float, interval_min: float, intervals: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contacts and share recorded, both (days, intervals), and the weekday of each day."""
    stretch = _stretch(kept, opens)
    times = interval_min / stretch
    if round(times) < 1 or abs(times - round(times)) > 1e-6:
        raise Problem(
            f"Contacts are counted every {stretch:g} minutes and asked for every {interval_min:g}.",
            f"make interval_min a multiple of {stretch:g}.",
        )
    day, dates = pd.factorize(kept["date"], sort=True)
    interval = ((kept["hour"] - opens) * 60 / interval_min + 1e-6).to_numpy(int)
    shape = (len(dates), intervals)
    place = np.ravel_multi_index((day, interval), shape)
    counted, rows = (
        np.bincount(place, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)
        for weights in (kept["n"].to_numpy(), None)
    )
    weekday = pd.DatetimeIndex(dates).day_of_week.to_numpy()
    return counted, rows * stretch / interval_min, weekday


def _stretch(kept: pd.DataFrame, opens: float) -> float:
    """Minutes of one count: the least step between two, on whose grid all of them lie."""
    step = kept["time"].sort_values().diff() / pd.Timedelta(minutes=1)
    stretch = float(step[step > 0].min())
    minute = (kept["hour"] - opens) * 60
    off = kept[(minute / stretch - (minute / stretch).round()).abs() > 1e-6]
    if len(off):
        raise Problem(
            f"{len(off)} counts do not begin on a grid of {stretch:g} minutes from opening (first"
            f" rows: {first_rows(off)}).",
            "count in stretches of one length, from opening on.",
        )
    return stretch


def _means(counted, recorded, weekday) -> tuple[np.ndarray, np.ndarray]:
    """Mean and number of days by weekday and interval; NaN where nothing was recorded."""
    weekdays = np.unique(weekday)
    mean = np.full((len(weekdays), counted.shape[1]), np.nan)
    n = np.zeros(mean.shape)
    for d, day in enumerate(weekdays):
        of_day = weekday == day
        whole = recorded[of_day].sum(axis=0)
        n[d] = (recorded[of_day] > 0).sum(axis=0)
        np.divide(counted[of_day].sum(axis=0), whole, out=mean[d], where=whole > 0)
    return mean, n


def _beyond_poisson(counted, expected, n) -> tuple[float, float]:
    """Coefficients of variation of the factors of a day and of an interval."""
    use = n > 1  # of n days that make their own mean, residuals keep 1 - 1/n of the variance
    error = np.where(use, counted - expected, 0.0) / np.sqrt(1 - 1 / np.maximum(n, 2))
    expected = np.where(use, expected, 0.0)
    squares = (expected**2).sum()
    pairs = (expected.sum(axis=1) ** 2).sum() - squares
    shared = (error.sum(axis=1) ** 2).sum() - (error**2).sum()
    day = max(float(shared / pairs), 0.0) if pairs > 0 else 0.0
    own = float(((error**2).sum() - expected.sum()) / squares) if squares > 0 else 0.0
    interval = max((own - day) / (1 + day), 0.0)  # (1 + day)(1 + interval) = 1 + own
    return float(np.sqrt(day)), float(np.sqrt(interval))


def _left_out(aside: int, empty: int) -> tuple[str, ...]:
    told = []
    if aside:
        told.append(f"{aside:,} counts outside opening hours and worked days were left out.")
    if empty:
        told.append(
            f"{empty} intervals of the week were never counted and are taken to have no customers."
        )
    return tuple(told)
