"""What is followed from period to period?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import clock, look
from sqm.checks import Problem, Refusal, first_rows, nearest, need_one_of, need_settings, need_whole
from sqm.finding import Finding, counted, listed
from sqm.predicate import judged, numbers

DATA = ("share", "rate", "count", "mean", "score", "nps", "gap", "time")
EVENTS = ("count", "rate", "gap", "time")  # each record is an event; no measure is asked for
ENTRY = ("name", "table", "data", "better")
TEXTS = ("name", "table", "measure", "of", "exposure")
TEXTS += ("definition", "unit", "owner", "reaction", "escalation")
LONGEST_D = 3_660  # days that records may take to arrive
OPTIONAL = {
    **dict.fromkeys(("measure", "of", "exposure", "definition", "unit", "owner", "reaction"), ""),
    **{"where": None, "target": np.nan, "ripens_d": 0, "escalation": "", "escalate_after": 0},
    "every": "week",
}
COLUMNS = ["series", "data", "period", "n", "value", "sd", "better", "mature"]
ANSWERS_FOR = ["definition", "unit", "target", "owner", "reaction", "escalation", "escalate_after"]
PROMOTER, DETRACTOR = 9, 6  # of 0 to 10: from here up, and down to here
EVERY = {
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(days=7),
    "month": pd.DateOffset(months=1),
}
KIND_WORDS = {
    **{kind: kind for kind in ("share", "rate", "count", "mean")},
    "score": "mean score",
    "nps": "net promoter score",
    "gap": "gap between events",
    "time": "time between events",
}


@dataclass(frozen=True, eq=False)
class Followed(Finding):
    """Every series that the charts draw and the watch looks at.

    Attributes
    ----------
    table : DataFrame, one row a series and period
        ``series``; ``data``, its kind (share, rate, count, mean, score, nps,
        gap, time); ``period``, first day of the week, or the day of the event
        (gap, time); ``n``, cases, units of exposure or records; ``value``,
        events, mean, or the gap before the event; ``sd`` of the records within the
        week (mean, score, nps); ``better``; ``mature``, whether all of the
        period's records have had time to arrive.
    series, periods : int
        Series with data; weeks that the longest has.
    young : tuple of str
        Series with periods that are not mature.
    without : tuple of str
        Series that cannot be followed, and why.
    """

    series: int
    periods: int
    young: tuple[str, ...]
    without: tuple[str, ...]

    def sentence(self) -> str:
        kinds = self.table.drop_duplicates("series")["data"].value_counts(sort=False)
        words = [counted(number, KIND_WORDS[kind]) for kind, number in kinds.items()]
        head = (
            f"{self.series} series {'is' if self.series == 1 else 'are'} followed over up to"
            f" {counted(self.periods, 'period')}: {', '.join(words)}.\n"
        )
        young = (
            f"The newest periods of {listed(self.young, most=4)} are not mature: records may still"
            " arrive, so they are drawn grey and raise no alarm. "
            if self.young
            else "All periods are mature. "
        )
        gone = f"Not followed: {'; '.join(self.without)}." if self.without else ""
        whole = "A week or month cut off at either end of the data is left out. "
        if (self.table["data"] == "share").any():
            whole += "A CTQ is followed as the share of its defects: less is better. "
        return (head + young + whole + gone).rstrip()

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = list(dict.fromkeys(self.table["series"]))
        for row, name in enumerate(names):
            rows = self.table[self.table["series"] == name]
            for mature, what in ((True, "usual"), (False, "limit")):
                some = rows[rows["mature"] == mature]
                place = np.full(len(some), row)
                ax.plot(some["period"], place, look.MARKER[what], color=look.MEANING[what], ms=3)
        ax.set_yticks(range(len(names)), [look.shorten(name) for name in names])
        ax.set_ylim(len(names) - 0.5, -0.5)
        return look.label(
            look.dates(ax),
            title="What is followed from period to period?",
            x="period (grey squares: records may still arrive)",
        )


def followed(
    tables: Mapping[str, pd.DataFrame],
    *,
    ctqs: pd.DataFrame,
    also: Sequence[Mapping] = (),
    times: Mapping[str, str],
    calendar: clock.Calendar,
    mature_until: str = "",
) -> Followed:
    """Lay out all that is watched as series of one shape.

    Parameters
    ----------
    tables : mapping
        The study's tables by name.
    ctqs : DataFrame, one row a CTQ
        As Define keeps it; each is followed as the share of its defects.
    also : sequence of mappings
        Further series: ``name``, ``table``, ``data`` (share, rate, count,
        mean, score, nps, gap, time), ``better`` (lower or higher); ``measure``
        (not for count, rate, gap, time, where each record is an event);
        ``where``, values that columns must have; ``exposure``, the table whose
        records a rate is counted against; ``of``, where rows hold counts
        already, the column of cases or units that ``measure`` is counted of;
        ``every``, day, week or month; ``ripens_d``, days until a period's
        records are all there; what the control plan says of it.
    times : mapping
        For each table the column of its time.
    calendar : Calendar
    mature_until : str, optional
        A day: periods from it on are not mature, whatever the series.

    Returns
    -------
    Followed

    Raises
    ------
    Problem
        If an entry is not as above, or two series have one name.
    Refusal
        If no series has data.

    Notes
    -----
    ``gap``: records of the table from one event (a record that ``where``
    chooses) to the next; ``time``: days between them.  ``nps``: share of 9 and
    10 less share of 0 to 6.  A period is mature when ``ripens_d`` days have
    passed between its end and the last time in any table.

    Examples
    --------
    >>> calls = pd.DataFrame({"at": pd.date_range("2025-09-29", "2025-10-12")})
    >>> found = followed({"calls": calls}, ctqs=pd.DataFrame(columns=["ctq"]), also=[
    ...     {"name": "calls a week", "table": "calls", "data": "count", "better": "lower"}],
    ...     times={"calls": "at"}, calendar=clock.Calendar())
    >>> found.table["value"].tolist()
    [7.0, 7.0]
    """
    entries = [_entry(each, at) for at, each in enumerate(also, start=1)]
    _need_own_names([*ctqs["ctq"], *(each["name"] for each in entries)])
    last = _last_time(tables, times)
    found, without = [], []
    for each in [*map(_of_ctq, ctqs.to_dict("records")), *entries]:
        why = _cannot(each, tables, times)
        rows = None if why else _series(each, tables, times, calendar)
        if why or rows.empty:
            few = "fewer than two events" if each["data"] in ("gap", "time") else ""
            without.append(f"{each['name']} ({why or few or 'no whole week of data'})")
            continue
        rows["mature"] = _mature(rows, each, last, mature_until)
        found.append(rows)
    if not found:
        raise Refusal(
            f"No series has data: {'; '.join(without) or 'none is named'}.",
            "name CTQs in Define, or series under `also_followed`, whose tables the study has.",
        )
    table = pd.concat(found, ignore_index=True)[COLUMNS]
    young = table.loc[~table["mature"], "series"]
    return Followed(
        table=table,
        series=len(found),
        periods=int(table.groupby("series").size().max()),
        young=tuple(dict.fromkeys(young)),
        without=tuple(without),
    )


def answered_for(ctqs: pd.DataFrame, *, also: Sequence[Mapping] = ()) -> pd.DataFrame:
    """Who answers for each series, what is then done, and how it is measured.

    Returns
    -------
    DataFrame, one row a series
        ``series``, ``definition``, ``unit``, ``target``, ``owner``,
        ``reaction``, ``escalation``, ``escalate_after`` (periods; 0: not said).

    Examples
    --------
    >>> calls = {"name": "calls", "table": "calls", "data": "count", "better": "lower"}
    >>> who = answered_for(pd.DataFrame(columns=["ctq"]), also=[calls | {"owner": "Ana"}])
    >>> who[["series", "owner"]].values.tolist()
    [['calls', 'Ana']]
    """
    entries = [_entry(each, at) for at, each in enumerate(also, start=1)]
    rows = [*map(_of_ctq, ctqs.to_dict("records")), *entries]
    columns = ["name", *ANSWERS_FOR]
    return pd.DataFrame(rows, columns=columns).rename(columns={"name": "series"})


def _entry(entry: Mapping, at: int) -> dict:
    """One series with its defaults filled in."""
    if not isinstance(entry, Mapping):
        raise Problem(f"Series number {at} is {entry!r}.", "write it as names and values.")
    who = f"Series {entry['name']!r}" if entry.get("name") else f"Series number {at}"
    need_settings(dict(entry), known=(*ENTRY, *OPTIONAL), needs=ENTRY, name=who)
    full = {**OPTIONAL, **{key: value for key, value in entry.items() if value is not None}}
    need_one_of(full["data"], DATA, name=f"{who}: 'data'")
    need_one_of(full["better"], ("lower", "higher"), name=f"{who}: 'better'")
    need_one_of(full["every"], EVERY, name=f"{who}: 'every'")
    for key in TEXTS:
        if not isinstance(full[key], str):
            raise Problem(f"{who}: {key!r} is {full[key]!r}.", "write it as text, between quotes.")
    if not full["name"].strip():
        raise Problem(f"{who} has no name.", "name it.")
    if full["data"] not in EVENTS and not full["measure"]:
        raise Problem(f"{who} has no 'measure'.", f"name the column that the {full['data']} is of.")
    if full["data"] == "rate" and not (full["exposure"] or full["of"]):
        raise Problem(f"{who} has no 'exposure'.", "name the table whose records it is counted by.")
    if full["of"] and (full["data"] not in ("share", "rate") or not full["measure"]):
        raise Problem(f"{who} has 'of'.", "it goes with 'measure', for a share or a rate.")
    _need_choice(full["where"] or {}, who)
    if not _is_number(full["ripens_d"]) or not 0 <= full["ripens_d"] <= LONGEST_D:
        mend = f"give a number of days, 0 to {LONGEST_D:,}."
        raise Problem(f"{who}: 'ripens_d' is {full['ripens_d']!r}.", mend)
    if not _is_number(full["target"]) or np.isinf(full["target"]):
        raise Problem(f"{who}: 'target' is {full['target']!r}.", "give a number, or leave it out.")
    need_whole(full["escalate_after"], name=f"{who}: 'escalate_after'", least=0)
    return full


def _need_choice(where: object, who: str) -> None:
    """Insist on columns, each with a value or a list of values."""
    if not isinstance(where, Mapping):
        raise Problem(f"{who}: 'where' is {where!r}.", "write {column: value}.")
    for column, wanted in where.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or not all(isinstance(each, str | int | float) for each in values):
            raise Problem(
                f"{who}: 'where' asks {column!r} to be {wanted!r}.",
                "give a value, or a list of values.",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_ctq(ctq: Mapping) -> dict:
    """A CTQ as a series: the share of its defects, where less is better."""
    given = {key: ctq[key] for key in OPTIONAL if key in ctq and not pd.isna(ctq[key])}
    rule = {key: ctq.get(key) for key in ("direction", "limit", "table")}
    return {**OPTIONAL, **given, **rule, "name": ctq["ctq"], "data": "share", "better": "lower"}


def _need_own_names(names: Sequence[str]) -> None:
    twice = pd.Series(names, dtype=object)
    twice = twice[twice.duplicated()]
    if len(twice):
        raise Problem(f"Two series are called {twice.iloc[0]!r}.", "give each its own name.")


def _last_time(tables: Mapping[str, pd.DataFrame], times: Mapping[str, str]) -> pd.Timestamp:
    lasts = [
        clock.local(tables[name][time].dropna()).max()
        for name, time in times.items()
        if name in tables and time in tables[name].columns
    ]
    return max((each for each in lasts if pd.notna(each)), default=pd.NaT)


def _cannot(entry: Mapping, tables: Mapping[str, pd.DataFrame], times: Mapping[str, str]) -> str:
    """Why a series cannot be made; blank if it can."""
    for name in filter(None, (entry["table"], entry["exposure"])):
        if name not in tables:
            return f"there is no table {name}"
        if times.get(name) not in tables[name].columns:
            return f"{name} has no time"
    wanted = [*filter(None, [entry["measure"], entry["of"]]), *(entry["where"] or {})]
    gone = [column for column in wanted if column not in tables[entry["table"]].columns]
    if gone and not entry.get("direction"):
        near = nearest(gone[0], tables[entry["table"]].columns)
        raise Problem(f"The series {entry['name']!r} needs {entry['table']}.{gone[0]}.", near)
    if gone:
        return f"{entry['table']} has no {gone[0]}"
    if entry["where"] and not _chosen(tables[entry["table"]], entry["where"]).any():
        asked = ", ".join(f"{column} {wanted}" for column, wanted in entry["where"].items())
        return f"no record has {asked}"
    return ""


def _series(entry: Mapping, tables, times, calendar: clock.Calendar) -> pd.DataFrame:
    """One series' rows: ``period``, ``n``, ``value``, ``sd``."""
    records, time = tables[entry["table"]], times[entry["table"]]
    records = records[records[time].notna()]
    chosen = _chosen(records, entry["where"] or {})
    if entry["data"] in ("gap", "time"):
        rows = _between(records, chosen, time, gaps=entry["data"] == "gap")
    else:
        period, whole = _periods(records[time], entry["every"], calendar)
        rows = _by_period(entry, records[chosen], period[chosen], whole, time)
        if entry["data"] == "rate" and not entry["of"]:
            other = tables[entry["exposure"]][times[entry["exposure"]]].dropna()
            units = _periods(other, entry["every"], calendar)[0].value_counts()
            rows["n"] = rows["period"].map(units).astype(float)
            rows = rows[rows["n"] > 0]
    return rows.assign(series=entry["name"], data=entry["data"], better=entry["better"])


def _periods(times: pd.Series, every: str, calendar: clock.Calendar):
    """The period of each time, and those that the data cover from end to end."""
    if every == "week":
        whole = clock.whole_weeks(times, calendar=calendar)
        return clock.week_of(times, calendar=calendar), whole
    day = clock.local(times).dt.normalize()
    if every == "day":
        worked = clock.worked_days(day.min(), day.max(), calendar) if len(day) else day
        return day, pd.DatetimeIndex(day.unique()).union(pd.DatetimeIndex(worked))
    month = day.dt.to_period("M").dt.start_time
    whole = pd.DatetimeIndex(np.sort(month.unique()))
    if len(whole) and (day != month).any():  # dates within the month: its ends may be cut off
        first, last = day.min(), day.max()
        ends = whole + pd.offsets.MonthEnd(0)
        worked = [clock.worked_days(*each, calendar) for each in zip(whole, ends, strict=True)]
        inside = [not len(days) or (days[0] >= first and days[-1] <= last) for days in worked]
        whole = whole[inside]
    return month, whole


def _chosen(records: pd.DataFrame, where: Mapping) -> np.ndarray:
    """Rows whose columns have the values asked for, compared as they are written."""
    chosen = np.ones(len(records), dtype=bool)
    for column, wanted in where.items():
        values = wanted if isinstance(wanted, list | tuple) else [wanted]
        written = {str(value) for value in values} | {
            str(float(value)) for value in values if isinstance(value, int | float)
        }
        chosen &= records[column].astype("str").isin(written).to_numpy()
    return chosen


def _between(records: pd.DataFrame, event: np.ndarray, time: str, *, gaps: bool) -> pd.DataFrame:
    """Opportunities, or days, from one event to the next; dated by the event that ends it."""
    order = np.argsort(records[time].to_numpy(), kind="stable")
    when = clock.local(records[time]).to_numpy()[order]
    at = np.flatnonzero(event[order])
    days = np.diff(when[at]) / np.timedelta64(1, "D")
    value = np.diff(at) - 1 if gaps else days
    return pd.DataFrame(
        {"period": when[at[1:]], "n": 1.0, "value": value.astype(float), "sd": np.nan}
    )


def _by_period(entry, records: pd.DataFrame, period: pd.Series, whole, time: str) -> pd.DataFrame:
    if entry["of"]:
        return _summed(entry, records, period, whole)
    if entry["data"] in ("count", "rate"):
        value = period.value_counts().reindex(whole, fill_value=0).astype(float)
        return pd.DataFrame({"period": whole, "n": 1.0, "value": value.to_numpy(), "sd": np.nan})
    known = _measured(entry, records, time)
    used = known.notna() & period.isin(whole)
    by = known[used].astype(float).groupby(period[used])
    rows = by.agg(n="size", total="sum", mean="mean", spread="std").rename_axis("period")
    of_share = entry["data"] == "share"
    rows["value"] = rows["total"] if of_share else rows["mean"]
    rows["sd"] = np.nan if of_share else rows["spread"]
    return rows.reset_index().astype({"n": float})[["period", "n", "value", "sd"]]


def _summed(entry: Mapping, records: pd.DataFrame, period: pd.Series, whole) -> pd.DataFrame:
    """Rows that hold counts already: their sums by period."""
    parts = {"n": entry["of"], "value": entry["measure"]}
    counts = pd.DataFrame(
        {name: numbers(records[column], column) for name, column in parts.items()}
    )
    _need_counts(counts, entry)
    known = counts.notna().all(axis="columns") & period.isin(whole)
    rows = counts[known].groupby(period[known]).sum().rename_axis("period").reset_index()
    return rows.assign(sd=np.nan)


def _measured(entry: Mapping, records: pd.DataFrame, time: str) -> pd.Series:
    """One number a record: whether it is a defect or an event, what was measured, or -1, 0, 1."""
    measure = entry["measure"]
    if entry.get("direction"):
        rule = {"direction": entry["direction"], "limit": entry["limit"]}
        return judged(records, time=time, measure=measure, **rule)[0]
    values = numbers(records[measure], measure)
    if entry["data"] == "share":
        _need_within(values, entry, values.isin([0, 1]), "give a column of yes and no, or 1 and 0.")
    if entry["data"] != "nps":
        return values
    _need_within(values, entry, values.between(0, 10), "give answers from 0 to 10.")
    happy = (values >= PROMOTER).astype(float) - (values <= DETRACTOR).astype(float)
    return happy.where(values.notna())


def _need_within(values: pd.Series, entry: Mapping, sound: pd.Series, mend: str) -> None:
    wrong = values[values.notna() & ~sound]
    if len(wrong):
        raise Problem(
            f"The series {entry['name']!r} is a {entry['data']}, and {entry['measure']!r} holds"
            f" {wrong.iloc[0]:g} (first rows: {first_rows(wrong)}).",
            mend,
        )


def _need_counts(counts: pd.DataFrame, entry: Mapping) -> None:
    """Insist on counts of 0 or more and, for a share, on no more events than cases."""
    wrong = counts[(counts < 0).any(axis="columns") | np.isinf(counts).any(axis="columns")]
    if len(wrong):
        raise Problem(
            f"The series {entry['name']!r} has counts below 0 (first rows: {first_rows(wrong)}).",
            f"correct {entry['measure']!r} or {entry['of']!r}.",
        )
    if entry["data"] == "rate":
        bare = counts[(counts["n"] == 0) & (counts["value"] > 0)]
        if len(bare):
            raise Problem(
                f"The series {entry['name']!r} has {entry['measure']!r} where {entry['of']!r} is 0"
                f" (first rows: {first_rows(bare)}).",
                "correct the counts.",
            )
    over = counts[counts["value"] > counts["n"]]
    if entry["data"] == "share" and len(over):
        raise Problem(
            f"The series {entry['name']!r} counts more {entry['measure']!r} than {entry['of']!r}"
            f" (first rows: {first_rows(over)}).",
            "correct the counts, or follow it as a rate.",
        )


def _mature(rows: pd.DataFrame, entry: Mapping, last: pd.Timestamp, until: str) -> np.ndarray:
    """Periods whose records have all had time to arrive."""
    ripens = pd.Timedelta(days=float(entry["ripens_d"]))
    single = entry["data"] in ("gap", "time")
    ends = rows["period"] if single else rows["period"] + EVERY[entry["every"]]
    ripe = (ends + ripens <= last.normalize() + pd.Timedelta(days=1)) | (not ripens)
    if until:
        ripe &= rows["period"] < clock.read_day(until)
    return ripe.to_numpy(dtype=bool)
