"""Is this record a defect?"""

from __future__ import annotations

import pandas as pd

from sqm.checks import Problem, need_columns, need_one_of

DIRECTIONS = ("at most", "at least")


def defects(records: pd.DataFrame, *, measure: str, direction: str, limit: float) -> pd.Series:
    """Mark the records that break a limit.

    Parameters
    ----------
    records : DataFrame
    measure : str
        Column of numbers or flags (a flag counts as 0 or 1).  Where a column
        ``<measure>_open`` is true, the measure is a duration still running.
    direction : {"at most", "at least"}
        On which side of the limit a record is good; the limit itself is good.
    limit : float
        In the unit of the measure.

    Returns
    -------
    Series of boolean, shape (rows,)
        Missing where the measure is, and where a duration still running has not
        settled it: it only grows, so beyond an "at most" limit it has failed
        for good, and beyond an "at least" limit it has passed for good.

    Raises
    ------
    Problem
        If there is no such column or direction, or the column is no number.

    Examples
    --------
    >>> cases = pd.DataFrame({"days": [3.0, 9.0, 9.0, 3.0, None],
    ...                       "days_open": [False, False, True, True, False]})
    >>> defects(cases, measure="days", direction="at most", limit=5).tolist()
    [False, True, True, <NA>, <NA>]
    """
    need_columns(records, [measure], source="the table of records")
    need_one_of(direction, DIRECTIONS, name="A CTQ: 'direction'")
    values = numbers(records[measure], measure)
    broken = values > limit if direction == "at most" else values < limit
    settled = values.notna()
    if f"{measure}_open" in records.columns:
        running = records[f"{measure}_open"].astype("boolean").fillna(False).astype(bool)
        settled &= ~running | (broken if direction == "at most" else ~broken)
    return broken.astype("boolean").where(settled)


def judged(
    records: pd.DataFrame, *, measure: str, direction: str, limit: float, time: str = ""
) -> tuple[pd.Series, str]:
    """Mark the records that break a limit, without those too young to be judged.

    Of the youngest records only the quick are known: a duration that has ended
    is short.  So all that began at or after the first one still undetermined are
    left out.

    Parameters
    ----------
    records, measure, direction, limit
        As for `defects`.
    time : str, optional
        Column that says when a record began; without it nothing is left out.

    Returns
    -------
    tuple of (Series of boolean, str)
        Missing where a record cannot be judged or is too young; a note that
        says how many are too young, empty if none.

    Examples
    --------
    >>> cases = pd.DataFrame({"days": [3.0, 1.0], "days_open": [True, False],
    ...                       "opened": pd.to_datetime(["2025-01-06", "2025-01-07"])})
    >>> judged(cases, measure="days", direction="at most", limit=5, time="opened")[1]
    '2 records from 2025-01-06 on are too young to judge'
    """
    broken = defects(records, measure=measure, direction=direction, limit=limit)
    running = f"{measure}_open"
    if running not in records.columns or time not in records.columns:
        return broken, ""
    waiting = broken.isna() & records[running].astype("boolean").fillna(False)
    first = records.loc[waiting, time].min()
    if pd.isna(first):
        return broken, ""
    young = records[time] >= first
    return broken.mask(young), (
        f"{int(young.sum()):,} records from {first:%Y-%m-%d} on are too young to judge"
    )


def numbers(column: pd.Series, measure: str) -> pd.Series:
    """A column of numbers or flags as floats, a flag as 0 or 1; a Problem if it holds words."""
    try:
        return column.astype("Float64").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"The measure {measure!r} holds {column.dropna().iloc[0]!r}, no number.",
            "name a column of numbers or flags, or give it that type in the study's parameters.",
        ) from None
