"""Which contacts of a log can have happened, and when and where did each come?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sqm.checks import Problem, need_columns, need_numbers
from sqm.clock import DAYS, Calendar, local
from sqm.queue_engine import HOUR_S

BLANK = "(blank)"
Aside = tuple[tuple[str, int], ...]  # why rows were set aside, and how many


@dataclass(frozen=True, eq=False)
class Grid:
    """What the places of an array mean; weekdays count from Monday 0."""

    sites: tuple[str, ...]
    reasons: tuple[str, ...]
    channels: tuple[str, ...]
    weekdays: tuple[int, ...]
    hours: tuple[int, ...]


def usable_log(
    operations: pd.DataFrame, *, calendar: Calendar, until: pd.Timestamp | None = None
) -> tuple[pd.DataFrame, Aside]:
    """Contacts that can have happened, with their date and hour, and why the others cannot.

    Parameters
    ----------
    operations : DataFrame, one row per contact
        Columns ``arrived``, ``site``, ``abandoned``, ``wait_s``, ``service_s``; ``contact`` if
        there.
    calendar : Calendar
    until : Timestamp, optional
        Contacts that arrived at or after this moment are not looked at.

    Returns
    -------
    log : DataFrame
        The usable rows with ``date`` and ``hour`` of the local day.
    aside : tuple of (str, int)
        Each reason for setting rows aside, with its number of rows; a row counts once, for the
        first reason that applies.

    Raises
    ------
    Problem
        If ``arrived`` holds no times, or a duration no numbers.
    Refusal
        If a column is missing.

    Examples
    --------
    Of two contacts one hung up five seconds before it came.

    >>> log = pd.DataFrame({"arrived": pd.to_datetime(["2025-03-03 10:00", "2025-03-03 10:01"]),
    ...     "site": "N1", "abandoned": [False, True], "wait_s": [0, -5], "service_s": [60, None]})
    >>> usable_log(log, calendar=Calendar())[1]
    (('that hung up before they came (negative wait)', 1),)
    """
    needed = ["arrived", "site", "abandoned", "wait_s", "service_s"]
    need_columns(operations, needed, source="operations")
    need_numbers(operations, ["wait_s", "service_s"], source="operations")
    if not pd.api.types.is_datetime64_any_dtype(operations["arrived"]):
        raise Problem(
            "operations: 'arrived' does not hold times.", "read it as date and time of the day."
        )
    log = operations.assign(arrived=local(operations["arrived"]))
    if until is not None:
        log = log[~(log["arrived"] >= pd.Timestamp(until))]
    log = log.assign(date=log["arrived"].dt.normalize(), hour=log["arrived"].dt.hour)
    good, aside = np.ones(len(log), bool), []
    for why, wrong in _impossible(log, calendar).items():
        wrong = wrong.fillna(False).to_numpy(bool) & good
        good &= ~wrong
        if wrong.any():
            aside.append((why, int(wrong.sum())))
    log = log[good].reset_index(drop=True)
    return log.assign(hour=log["hour"].astype(int)), tuple(aside)


def _impossible(log: pd.DataFrame, calendar: Calendar) -> dict[str, pd.Series]:
    """Each reason for which a row cannot be learnt from; the first that applies is told."""
    time = log["hour"] + log["arrived"].dt.minute / 60
    worked = log["date"].dt.day_of_week.isin([DAYS.index(day) for day in calendar.days])
    worked &= ~log["date"].isin(pd.to_datetime(list(calendar.holidays)))
    left, wait, service = log["abandoned"].eq(True), log["wait_s"], log["service_s"]
    again = pd.Series(False, index=log.index)
    if "contact" in log:
        again = log["contact"].duplicated() & log["contact"].notna()
    return {
        "without a time, a site or an outcome": log[["arrived", "site", "abandoned"]]
        .isna()
        .any(axis=1),
        "that repeat another contact": again,
        "on days that are not worked": ~worked,
        "outside opening hours": ~time.between(calendar.opens, calendar.closes, inclusive="left"),
        "without a wait": wait.isna(),
        "that hung up before they came (negative wait)": left & wait.lt(0),
        "served before they came (negative wait)": wait.lt(0),
        "that waited longer than a day is open": wait.gt(
            (calendar.closes - calendar.opens) * HOUR_S
        ),
        "served without a service time": ~left & service.isna(),
        "served in no time or less": ~left & service.le(0),
    }


def aside_words(aside: Aside) -> str:
    """Why rows were set aside, with the number of each reason.

    Examples
    --------
    >>> aside_words((("without a wait", 1200), ("outside opening hours", 3)))
    '1,200 without a wait, 3 outside opening hours'
    """
    return ", ".join(f"{n:,} {why}" for why, n in aside)


def grid_of(log: pd.DataFrame, calendar: Calendar) -> Grid:
    """The sites, reasons, channels, weekdays and hours that a usable log has."""
    return Grid(
        sites=_levels(log, "site"),
        reasons=_levels(log, "reason"),
        channels=_levels(log, "channel"),
        weekdays=tuple(sorted(log["date"].dt.day_of_week.unique().tolist())),
        hours=tuple(range(int(calendar.opens), int(np.ceil(calendar.closes)))),
    )


def _levels(log: pd.DataFrame, column: str) -> tuple[str, ...]:
    return tuple(sorted(text_of(log, column).unique().tolist()))


def text_of(log: pd.DataFrame, column: str) -> pd.Series:
    """A column as text, blank where it is missing or not there at all."""
    if column not in log:
        return pd.Series(BLANK, index=log.index)
    return log[column].astype("str").where(log[column].notna(), BLANK)


def placed(log: pd.DataFrame, grid: Grid, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Give each contact its places in the grid; ``day`` is -1 where there is no such date."""
    return log.assign(
        s=pd.Index(grid.sites).get_indexer(text_of(log, "site")),
        r=pd.Index(grid.reasons).get_indexer(text_of(log, "reason")),
        c=pd.Index(grid.channels).get_indexer(text_of(log, "channel")),
        d=pd.Index(grid.weekdays).get_indexer(log["date"].dt.day_of_week),
        h=log["hour"].to_numpy() - grid.hours[0],
        day=dates.get_indexer(log["date"]),
        left=log["abandoned"].astype(bool),
        wait_s=log["wait_s"].astype(float),
        service_s=log["service_s"].astype(float),
    )


def tally(log: pd.DataFrame, columns: list[str], shape: tuple[int, ...], of=None) -> np.ndarray:
    """Count rows (or add up the column ``of``) by the places they have in an array."""
    place = np.ravel_multi_index(tuple(log[columns].to_numpy(int).T), shape)
    weight = None if of is None else log[of].to_numpy(float)
    return np.bincount(place, weights=weight, minlength=int(np.prod(shape))).reshape(shape)
