"""How long did it take on the service's own clock, and in which week was it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from sqm.checks import Problem, Refusal, need_columns

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Calendar:
    """When a service works.

    Attributes
    ----------
    time_zone : str
        IANA name, such as ``Europe/Madrid``; local times are read in it.
    opens, closes : float
        Hours of the local day, 0 to 24, at which the clock starts and stops.
    days : tuple of str
        Days that are worked, from ``Mon`` to ``Sun``.
    holidays : tuple of date
        Days that are not, whatever their weekday.
    week_starts : str
        First day of a week.
    """

    time_zone: str = "UTC"
    opens: float = 0.0
    closes: float = 24.0
    days: tuple[str, ...] = DAYS
    holidays: tuple[date, ...] = ()
    week_starts: str = "Mon"

    def __post_init__(self) -> None:
        unknown = [day for day in (*self.days, self.week_starts) if day not in DAYS]
        if unknown:
            raise Problem(f"{unknown[0]!r} is no weekday.", f"use {', '.join(DAYS)}.")
        if not self.days:
            raise Problem("The service works on no day.", f"name some of {', '.join(DAYS)}.")
        if not 0 <= self.opens < self.closes <= 24:
            raise Problem(
                f"The service opens at {self.opens} and closes at {self.closes}.",
                "give hours of one day, opening before closing; split a night shift at midnight.",
            )


def hours_between(start: pd.Series, end: pd.Series) -> pd.Series:
    """Hours by the wall: what a customer waits, nights and holidays included.

    Times with a zone are counted in absolute time, so that the day on which
    the clocks change has 23 or 25 hours.
    """
    return (end - start) / pd.Timedelta(hours=1)


def working_hours(start: pd.Series, end: pd.Series, *, calendar: Calendar) -> pd.Series:
    """Hours during which the service was open between two times.

    Parameters
    ----------
    start, end : Series of datetime, shape (rows,)
        Local times; a missing one gives a missing result.
    calendar : Calendar

    Returns
    -------
    Series of float, shape (rows,)
        Negative where ``end`` lies before ``start``.

    Notes
    -----
    Worked hours are counted on the local clock: an opening from 8 to 20 is
    twelve hours also on the day on which the clocks change.

    Examples
    --------
    Friday 19:00 to Monday 09:00, open Monday to Friday 8 to 20: 1 + 1 hours.

    >>> shop = Calendar(opens=8, closes=20, days=("Mon", "Tue", "Wed", "Thu", "Fri"))
    >>> friday = pd.Series(pd.to_datetime(["2025-06-06 19:00"]))
    >>> monday = pd.Series(pd.to_datetime(["2025-06-09 09:00"]))
    >>> working_hours(friday, monday, calendar=shop).tolist()
    [2.0]
    """
    known = start.notna() & end.notna()
    result = pd.Series(np.nan, index=start.index)
    if known.any():
        begun, done = local(start[known]), local(end[known])
        result[known] = _worked_until(done, calendar) - _worked_until(begun, calendar)
    return result


def week_of(times: pd.Series, *, calendar: Calendar) -> pd.Series:
    """First local day of the week in which each time falls.

    Examples
    --------
    >>> wednesday = pd.Series(pd.to_datetime(["2025-10-01 23:30"]))
    >>> str(week_of(wednesday, calendar=Calendar())[0].date())
    '2025-09-29'
    """
    shown = local(times)
    back = (shown.dt.day_of_week - DAYS.index(calendar.week_starts)) % 7
    return shown.dt.normalize() - pd.to_timedelta(back, unit="D")


def whole_weeks(times: pd.Series, *, calendar: Calendar) -> pd.DatetimeIndex:
    """Weeks that the data cover from their first worked day to their last.

    A week at either end of the data that has worked days before the first or
    after the last record is a part of a week: it has fewer contacts for no
    reason of the service's, so it is not drawn, tested or averaged.

    Examples
    --------
    Data from a Monday to a Wednesday nine days later hold one whole week.

    >>> days = pd.Series(pd.date_range("2025-09-29", "2025-10-08"))
    >>> [str(week.date()) for week in whole_weeks(days, calendar=Calendar())]
    ['2025-09-29']
    """
    shown = local(times.dropna())
    if shown.empty:
        return pd.DatetimeIndex([])
    first, last = shown.min().normalize(), shown.max().normalize()
    weeks = pd.DatetimeIndex(sorted(week_of(times.dropna(), calendar=calendar).unique()))
    worked = worked_days(weeks.min(), weeks.max() + pd.Timedelta(days=6), calendar)
    outside = worked[(worked < first) | (worked > last)]
    cut = week_of(pd.Series(outside, dtype="datetime64[ns]"), calendar=calendar)
    return weeks[~weeks.isin(pd.DatetimeIndex(cut))]


def local(times: pd.Series) -> pd.Series:
    """Times as the clock on the wall shows them, without their zone."""
    return times.dt.tz_localize(None) if times.dt.tz is not None else times


def worked_days(first: pd.Timestamp, last: pd.Timestamp, calendar: Calendar) -> pd.DatetimeIndex:
    """Days from first to last on which the service works.

    Examples
    --------
    >>> office = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"))
    >>> len(worked_days(pd.Timestamp("2025-09-29"), pd.Timestamp("2025-10-06"), office))
    6
    """
    days = pd.date_range(first, last, freq="D")
    worked = days.day_of_week.isin([DAYS.index(day) for day in calendar.days])
    return days[worked & ~days.isin(pd.DatetimeIndex(pd.to_datetime(list(calendar.holidays))))]


def _worked_until(times: pd.Series, calendar: Calendar) -> np.ndarray:
    """Worked hours from a fixed long-ago day to each time."""
    day = times.dt.normalize().to_numpy().astype("datetime64[D]")
    mask = [name in calendar.days for name in DAYS]
    holidays = np.array(sorted(calendar.holidays), dtype="datetime64[D]")
    origin = np.datetime64("1970-01-01", "D")
    whole = np.busday_count(origin, day, weekmask=mask, holidays=holidays)
    open_today = np.is_busday(day, weekmask=mask, holidays=holidays)
    hour = (times - times.dt.normalize()) / pd.Timedelta(hours=1)
    today = np.clip(hour.to_numpy(), calendar.opens, calendar.closes) - calendar.opens
    return whole * (calendar.closes - calendar.opens) + np.where(open_today, today, 0.0)


def span_words(times: Sequence[pd.Timestamp] | pd.Series) -> str:
    """First and last day in words, for sentences.

    Examples
    --------
    >>> span_words(pd.Series(pd.to_datetime(["2025-01-02", "2025-03-04"])))
    '2025-01-02 to 2025-03-04'
    """
    times = pd.Series(times).dropna()
    if times.empty:
        return "no date"
    return f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"


def split(
    table: pd.DataFrame, *, time: str, day: str = "", until: str = "", share: float = 0.7
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part a table into an earlier stretch to learn from and a later one to be judged on.

    Parameters
    ----------
    table : DataFrame
    time : str
        Column of times; rows without one are in neither part.  Blank where
        there are no times: then all rows are earlier.
    day : str, default ""
        First day of the later part, such as ``2025-07-14``; blank for the day
        by which ``share`` of the time between first and last row is over.
    until : str, default ""
        First day that is in neither part; blank for all.
    share : float, default 0.7

    Examples
    --------
    >>> days = pd.DataFrame({"day": pd.date_range("2025-01-01", periods=11)})
    >>> [len(part) for part in split(days, time="day")]
    [7, 4]
    >>> [len(part) for part in split(days, time="day", day="2025-01-03", until="2025-01-06")]
    [2, 3]
    """
    if not time:
        return table, table.iloc[:0]
    need_columns(table, [time], source="the table")
    times = local(table[time])
    inside = times.notna() & (times < read_day(until)) if until else times.notna()
    if not inside.any():
        if not until:
            raise Refusal(f"No row has a time in {time!r}.", "check the export.")
        raise Refusal(f"No row has its {time!r} before {until}.", "name a later day.")
    first, last = times[inside].min(), times[inside].max()
    cut = read_day(day) if day else (first + share * (last - first)).normalize()
    if day and not first < cut:
        raise Refusal(f"No row has its {time!r} before {day}.", "name a later day.")
    return table[inside & (times < cut)], table[inside & (times >= cut)]


def before(table: pd.DataFrame, *, time: str, day: str = "") -> pd.DataFrame:
    """Rows whose time lies before a day, or all of them if the day is blank.

    Examples
    --------
    >>> days = pd.DataFrame({"day": pd.date_range("2025-01-01", periods=11)})
    >>> len(before(days, time="day", day="2025-01-03")), len(before(days, time="day"))
    (2, 11)
    """
    return table[local(table[time]) < read_day(day)] if day else table


def after(table: pd.DataFrame, *, time: str, day: str) -> pd.DataFrame:
    """Rows whose time lies after a day, that day itself left out.

    Examples
    --------
    >>> days = pd.DataFrame({"day": pd.date_range("2025-01-01", periods=11)})
    >>> len(after(days, time="day", day="2025-01-09"))
    2
    """
    return table[local(table[time]) >= read_day(day) + pd.Timedelta(days=1)]


def since(table: pd.DataFrame, *, time: str, day: str = "") -> pd.DataFrame:
    """Rows whose time lies on a day or after it; all of them if no day is given.

    Examples
    --------
    >>> days = pd.DataFrame({"day": pd.date_range("2025-01-01", periods=11)})
    >>> len(since(days, time="day", day="2025-01-03")), len(since(days, time="day"))
    (9, 11)
    """
    return table[local(table[time]) >= read_day(day)] if day else table


def wave_of(times: pd.Series, *, day: str) -> pd.Series:
    """On which side of a day each time lies: ``before`` or ``after``; blank without a time.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2025-09-28", "2025-09-29", None]))
    >>> wave_of(times, day="2025-09-29").tolist()
    ['before', 'after', '']
    """
    shown = local(times)
    side = pd.Series("before", index=times.index).where(shown < read_day(day), "after")
    return side.where(shown.notna(), "")


def read_day(day: str) -> pd.Timestamp:
    """Read a day from a parameter, or say how it is to be written."""
    try:
        return pd.Timestamp(datetime.strptime(day, "%Y-%m-%d"))
    except (ValueError, TypeError):
        raise Problem(f"{day!r} is no day.", "write days as 2025-12-31.") from None
