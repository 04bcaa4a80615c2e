"""Who was on duty, hour by hour, as planned or as the log lets us guess?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of
from sqm.clock import Calendar, local
from sqm.contact_log import Grid, text_of, usable_log
from sqm.queue_engine import HOUR_S

# How agents on duty may be guessed from the contacts they had; each is wrong in its own way.
WAYS = {
    "busy at once": "most contacts handled at the same moment of the hour",
    "had a contact": "agents who handled a contact in the hour",
    "had one nearby": "agents who handled a contact in the hour or within an hour of it",
    "first to last": "agents between their first and their last contact of the day",
}
NEARBY_S = 3600.0
ROUNDING_S = 1.0  # an agent's next contact may begin so much before the last one's end
COLUMNS = ["date", "hour", "site", "agents"]


@dataclass(frozen=True, eq=False)
class Roster:
    """Agents on duty, ``agents`` (dates, sites, hours); ``date`` and ``weekday`` of each date."""

    agents: np.ndarray
    date: pd.DatetimeIndex
    weekday: np.ndarray


def roster_of(staffing: pd.DataFrame, grid: Grid, first, last) -> Roster:
    """Lay the staffing table out by date, site and hour."""
    need_columns(staffing, COLUMNS, source="staffing")
    _need_sound_staffing(staffing)
    table = staffing.assign(
        date=local(pd.to_datetime(staffing["date"])).dt.normalize(), site=text_of(staffing, "site")
    )
    table = table[table["date"].between(first, last) & table["agents"].gt(0)]
    table = table[table["date"].dt.day_of_week.isin(grid.weekdays)]
    table = table[table["site"].isin(grid.sites) & table["hour"].isin(grid.hours)]
    dates = pd.DatetimeIndex(sorted(table["date"].unique()))
    agents = np.zeros((len(dates), len(grid.sites), len(grid.hours)), int)
    place = (
        dates.get_indexer(table["date"]),
        pd.Index(grid.sites).get_indexer(table["site"]),
        table["hour"].to_numpy(int) - grid.hours[0],
    )
    agents[place] = table["agents"].to_numpy(int)
    return Roster(agents, dates, pd.Index(grid.weekdays).get_indexer(dates.day_of_week))


def _need_sound_staffing(staffing: pd.DataFrame) -> None:
    agents = pd.to_numeric(staffing["agents"], errors="coerce").astype(float)
    wrong = staffing[~agents.ge(0)]
    if len(wrong):
        raise Problem(
            f"staffing: {len(wrong)} rows have a negative or missing number of agents"
            f" (first rows: {first_rows(wrong)}).",
            "write 0 where nobody is on duty.",
        )
    broken = staffing[agents % 1 != 0]
    if len(broken):
        raise Problem(
            f"staffing: {len(broken)} rows have a part of an agent"
            f" (first rows: {first_rows(broken)}; {agents[broken.index[0]]:g}).",
            "give whole agents: round, or use shorter shifts.",
        )
    twice = staffing[staffing.duplicated(["date", "hour", "site"])]
    if len(twice):
        raise Problem(
            f"staffing: {len(twice)} rows name a site, date and hour again"
            f" (first rows: {first_rows(twice)}).",
            "add overlapping shifts up, so that each hour of a site has one row.",
        )


def on_duty(log: pd.DataFrame, roster: Roster) -> tuple[pd.DataFrame, int]:
    """Set aside site-days without staffing; insist on staff in nearly all hours with customers.

    ``log`` is what `placed` returned, and comes back with ``alone``: nobody was on duty in the
    hour in which the contact came.
    """
    on = np.zeros(len(log), int)
    known = log["day"].to_numpy() >= 0
    on[known] = roster.agents[tuple(log.loc[known, ["day", "s", "h"]].to_numpy().T)]
    alone = log[on == 0]
    if len(alone) > 0.01 * len(log):
        first = alone.iloc[0]
        raise Problem(
            f"staffing has nobody on duty in hours in which {len(alone)} of {len(log)} contacts"
            f" came (first: {first['site']}, {first['date']:%Y-%m-%d}, {first['hour']} o'clock).",
            "complete the staffing table, or narrow the opening hours in `data`.",
        )
    staffed = np.zeros(len(log), bool)
    staffed[known] = roster.agents.any(axis=2)[tuple(log.loc[known, ["day", "s"]].to_numpy().T)]
    log = log.assign(alone=on == 0)
    return log[staffed].reset_index(drop=True), int((~staffed).sum())


# --- Other ways to know it ------------------------------------------------------------------------


def hours_of_shifts(shifts: pd.DataFrame) -> pd.DataFrame:
    """Turn shifts into agents on duty by the hour.

    Parameters
    ----------
    shifts : DataFrame, one row per shift
        ``agent``, ``site``, ``starts``, ``ends`` (local times).

    Returns
    -------
    DataFrame
        ``date``, ``hour``, ``site``, ``agents``, as `learn` takes it.  Beginnings and ends are
        rounded to the nearest hour.

    Raises
    ------
    Problem
        If a shift ends before it starts, or an agent has two shifts at once.

    Examples
    --------
    >>> hours_of_shifts(pd.DataFrame({"agent": ["a", "b"], "site": "N1",
    ...     "starts": pd.to_datetime(["2025-03-03 08:00", "2025-03-03 09:00"]),
    ...     "ends": pd.to_datetime(["2025-03-03 10:00", "2025-03-03 10:00"])}))["agents"].tolist()
    [1, 2]
    """
    need_columns(shifts, ["agent", "site", "starts", "ends"], source="staffing")
    table = shifts.assign(starts=local(shifts["starts"]), ends=local(shifts["ends"]))
    _need_sound_shifts(table)
    starts, ends = table["starts"].dt.round("h"), table["ends"].dt.round("h")
    hours = ((ends - starts) / pd.Timedelta(hours=1)).to_numpy(int)
    row = np.repeat(np.arange(len(table)), hours)
    nth = np.arange(len(row)) - np.repeat(hours.cumsum() - hours, hours)
    at = starts.to_numpy()[row] + nth * np.timedelta64(1, "h")
    return _by_hour(pd.DataFrame({"at": at, "site": text_of(table, "site").to_numpy()[row]}))


def _need_sound_shifts(table: pd.DataFrame) -> None:
    wrong = table[~(table["ends"] > table["starts"])]
    if len(wrong):
        raise Problem(
            f"staffing: {len(wrong)} shifts end before they start or lack a time"
            f" (first rows: {first_rows(wrong)}).",
            "correct them; a shift through the night ends on the next date.",
        )
    order = table.sort_values(["agent", "starts"], kind="stable")
    same = order["agent"].eq(order["agent"].shift())
    clash = order[same & (order["starts"] < order.groupby("agent")["ends"].cummax().shift())]
    if len(clash):
        raise Problem(
            f"staffing: {len(clash)} shifts overlap another of the same agent (first rows:"
            f" {first_rows(clash)}; {clash['agent'].iloc[0]}, {clash['starts'].iloc[0]}).",
            "an agent is on duty once at a time: correct the shifts, or leave one out.",
        )


def _by_hour(present: pd.DataFrame) -> pd.DataFrame:
    """Count rows by the hour ``at`` and the site."""
    counted = present.groupby(["at", "site"]).size().reset_index(name="agents")
    counted = counted.assign(date=counted["at"].dt.normalize(), hour=counted["at"].dt.hour)
    return counted[COLUMNS]


def infer_staffing(operations: pd.DataFrame, *, calendar: Calendar, way: str) -> pd.DataFrame:
    """Guess the agents on duty from the contacts they handled.

    Parameters
    ----------
    operations : DataFrame, one row per contact
        As for `learn`, with ``agent`` but for the way ``busy at once``.
    calendar : Calendar
    way : str
        ``busy at once``, ``had a contact``, ``had one nearby`` or ``first to last``: see `WAYS`.

    Returns
    -------
    DataFrame
        ``date``, ``hour``, ``site``, ``agents``, as `learn` takes it; hours with nobody are
        left out.

    Raises
    ------
    Problem
        If the way is unknown.
    Refusal
        If no served contact tells its agent.

    Notes
    -----
    A contact is handled from ``arrived`` + ``wait_s`` for ``service_s`` seconds.  None of the
    ways is right: an agent who sits idle leaves no trace (the first two count too few), and one
    who goes home or to a break between two contacts is taken for present (the last two count too
    many).

    Examples
    --------
    One agent from 9:50 to 10:10 and at 12:00; a second at 10:05.

    >>> log = pd.DataFrame({"site": "N1", "agent": ["a", "b", "a"], "abandoned": False,
    ...     "wait_s": 0.0, "service_s": [1200.0, 60.0, 60.0], "arrived": pd.to_datetime(
    ...     ["2025-03-03 09:50", "2025-03-03 10:05", "2025-03-03 12:00"])})
    >>> for way in ("had a contact", "first to last"):
    ...     infer_staffing(log, calendar=Calendar(), way=way)[["hour", "agents"]].values.tolist()
    [[9, 1], [10, 2], [12, 1]]
    [[9, 1], [10, 2], [11, 1], [12, 1]]
    """
    need_one_of(way, WAYS, name="way")
    log, _ = usable_log(operations, calendar=calendar)
    log = log[log["abandoned"].eq(False)]
    begun = (log["arrived"] - log["date"]).dt.total_seconds() + log["wait_s"].astype(float)
    held = pd.DataFrame(
        {
            "date": log["date"],
            "site": text_of(log, "site"),
            "begun": begun,
            "done": begun + log["service_s"].astype(float),
        }
    )
    if way == "busy at once":
        return _busy_at_once(held, calendar)
    need_columns(operations, ["agent"], source="operations")
    held = held.assign(agent=log["agent"])[log["agent"].notna()]
    if held.empty:
        raise Refusal("No served contact names its agent.", "give the column `agent`.")
    if way == "first to last":
        held = held.groupby(["date", "site", "agent"], as_index=False).agg(
            begun=("begun", "min"), done=("done", "max")
        )
    margin = NEARBY_S if way == "had one nearby" else 0.0
    held = held.assign(begun=held["begun"] - margin, done=held["done"] + margin)
    return _distinct_agents(held, calendar)


def _distinct_agents(held: pd.DataFrame, calendar: Calendar) -> pd.DataFrame:
    """Different agents with a spell that touches the hour."""
    opens, closes = int(calendar.opens), int(np.ceil(calendar.closes))
    first = np.clip(held["begun"].to_numpy() // HOUR_S, opens, closes).astype(int)
    last = np.clip(np.ceil(held["done"].to_numpy() / HOUR_S), opens, closes).astype(int)
    hours = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(held)), hours)
    hour = first[row] + np.arange(len(row)) - np.repeat(hours.cumsum() - hours, hours)
    there = held.iloc[row][["date", "site", "agent"]].assign(hour=hour).drop_duplicates()
    return there.groupby(["date", "hour", "site"]).size().reset_index(name="agents")[COLUMNS]


def _busy_at_once(held: pd.DataFrame, calendar: Calendar) -> pd.DataFrame:
    """Most contacts in hand at one moment of each hour, by counting up and down."""
    opens, closes = int(calendar.opens), int(np.ceil(calendar.closes))
    days = held[["date", "site"]].drop_duplicates()
    marks = days.loc[days.index.repeat(closes - opens)]
    marks = marks.assign(at=np.tile(np.arange(opens, closes) * float(HOUR_S), len(days)), step=0)
    keys = ["date", "site", "at", "step"]
    ups = held.rename(columns={"begun": "at"}).assign(step=1)[keys]
    downs = held.rename(columns={"done": "at"}).assign(step=-1)[keys]
    downs = downs.assign(at=downs["at"] - ROUNDING_S)
    moves = pd.concat([downs, marks, ups]).sort_values(keys, kind="stable")
    moves["agents"] = moves.groupby(["date", "site"])["step"].cumsum()
    moves["hour"] = (moves["at"] // HOUR_S).astype(int)
    moves = moves[moves["hour"].between(opens, closes - 1)]
    most = moves.groupby(["date", "hour", "site"])["agents"].max().reset_index()
    return most[most["agents"] > 0].reset_index(drop=True)[COLUMNS]
