"""How is a table read, and what does each column mean?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sqm import counting, files
from sqm.checks import Problem, first_rows, need_on_scale
from sqm.clock import Calendar, hours_between, working_hours
from sqm.roles import (
    NUMBERED,
    SECONDS,
    Role,
    Table,
    personal_columns,
    personal_problems,
    problems_of,
    readable,
    suffix,
    types_of,
    withheld,
)

YES = ("1", "true", "yes", "y", "sí", "si", "是")
NO = ("0", "false", "no", "n", "否")

DATES = (
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%Y%m%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y年%m月%d日",
)
CLOCKS = (" %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p")
FORMATS = (*DATES, *(day + clock for day in DATES for clock in CLOCKS))
ISO = (
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|[+-]\d{2}(?::?\d{2})?))?)?"
)
OFFSET = r":\d{2}(?:\.\d+)? ?(?:Z|[+-]\d{2}(?::?\d{2})?)$"


@dataclass(frozen=True, eq=False)
class Reading:
    """A table as the methods see it, and what reading did to it.

    Attributes
    ----------
    table : DataFrame
        Columns named by role, then the survey items under their own names.
        The index is the row's place in the source, header not counted, from 0.
    notes : DataFrame
        ``table, column, what, rows, treatment``: everything that was
        detected, converted, set to missing or set aside.
    file : str
        The source as the parameters name it; of a query the first 80 characters.
    sha256 : str
        Of the file's bytes; for a query, of its result.
    rows : int
        Rows in the source.
    """

    table: pd.DataFrame
    notes: pd.DataFrame
    file: str
    sha256: str
    rows: int


def check(table: Table, name: str, *, root: Path, calendar: Calendar) -> list[Problem]:
    """List everything that can be known to be wrong before the data are read.

    Parameters
    ----------
    table : Table
    name : str
        Name of the table in the study, such as ``complaints``.
    root : Path
        Folder from which paths are counted.
    calendar : Calendar
        The study's, for its time zone.

    Returns
    -------
    list of Problem
        Empty if the table can be read as far as its header shows.
    """
    problems = problems_of(table, name)
    for step in (
        lambda: _zone(table.time_zone or calendar.time_zone),
        lambda: files.need_header(_head(table, name, root), readable(table, name), name),
    ):
        try:
            step()
        except Problem as problem:
            problems.append(problem)
    return problems


class People:
    """Who is who in a study's tables, by a number and by no name.

    Parameters
    ----------
    tables : mapping of Table
        All of the study, by name.
    root : Path
        Folder from which paths are counted.
    prefix : str, default ""
        Stands before every number.

    Raises
    ------
    Problem
        If a role is personal in one table and stands open in another.

    Notes
    -----
    A role's people are numbered in the order in which they first appear, the
    tables taken in the order of the study's file.
    """

    def __init__(self, tables: Mapping[str, Table], *, root: Path, prefix: str = "") -> None:
        if problems := personal_problems(tables, root=root):
            raise problems[0]
        self._tables, self._root, self._prefix = tables, root, prefix
        self._numbered: dict[str, dict[str, str]] = {}

    def numbered(self, role: str) -> dict[str, str]:
        """Per value of a personal role what is read in its place, such as ``customer 0017``."""
        if role not in self._numbered:
            values = [self._values(name, role) for name in self._tables]
            known = pd.concat([each for each in values if each is not None]).dropna().unique()
            said = f"{self._prefix}{role}"
            self._numbered[role] = {v: f"{said} {n:04d}" for n, v in enumerate(known, start=1)}
        return self._numbered[role]

    def columns(self, table: Table) -> frozenset[str]:
        """Columns of a table's source of which no value may be shown, whoever marks them."""
        return personal_columns(table, self._tables, root=self._root)

    def _values(self, name: str, role: str) -> pd.Series | None:
        """What stands in a table's column, its labels in place of codes; None if it has none."""
        table = self._tables[name]
        kind = types_of(table, name).get(role)
        if kind not in NUMBERED or not table.roles[role].personal:
            return None
        column = table.roles[role].column
        raw = _everything(table, name, self._root, column)
        cells, notes = raw.under([column]), _Notes(name, [])
        return _Desk(table, name, cells, raw.labels, notes, Calendar(), self).words(role, kind)


def read(
    table: Table, name: str, *, root: Path, calendar: Calendar, people: People | None = None
) -> Reading:
    """Read a table into columns named by role.

    Parameters
    ----------
    table : Table
    name : str
        Name of the table in the study.
    root : Path
        Folder from which paths are counted.
    calendar : Calendar
        Its time zone is the one in which times are given; its hours count
        for durations on the ``working`` clock.
    people : People, optional
        Who is who in the study's tables.  Without, the people of this table are
        numbered by themselves, and their numbers name the table: no number of
        another table can be taken for one of these.

    Returns
    -------
    Reading

    Raises
    ------
    Problem
        If the source cannot be opened or decoded, a column is absent or
        twice there, or a value is not what its role says.
    """
    if problems := problems_of(table, name):
        raise problems[0]
    people = people or People({name: table}, root=root, prefix=f"{name} ")
    hidden = [table.roles[role].column for role in withheld(table, name)]
    personal = people.columns(table)
    table = readable(table, name)
    wanted = None if table.copies == "once" else table.columns()
    raw = _whole(table, name, root, wanted, calendar, personal)
    table = table.sums() if table.summed else table
    files.need_header(raw, table, name)
    notes = _Notes(name, raw.notes)
    cells = _without_copies(raw, table, notes)
    for column in hidden:
        notes.add(column, "personal", len(cells), "not read")
    desk = _Desk(table, files.file_name(table, name), cells, raw.labels, notes, calendar, people)
    columns = desk.columns(types_of(table, name))
    return Reading(
        table=pd.DataFrame(columns, index=cells.index),
        notes=notes.frame(),
        file=table.shown(),
        sha256=raw.sha256,
        rows=raw.rows or len(raw.cells),
    )


def formats_that_read(values: pd.Series) -> list[str]:
    """Formats, of those in common use, that read every value; ``"ISO 8601"`` comes first.

    Parameters
    ----------
    values : Series of str
        Without blanks.

    Examples
    --------
    Nothing tells day from month until a day above 12 turns up.

    >>> formats_that_read(pd.Series(["03/04/2025"]))
    ['%d/%m/%Y', '%m/%d/%Y']
    >>> formats_that_read(pd.Series(["03/04/2025", "28/04/2025"]))
    ['%d/%m/%Y']
    """
    values = pd.Series(values.str.strip().unique(), dtype="str")
    if values.empty:
        return []
    if _iso(values).notna().all():
        return ["ISO 8601"]
    samples = (values.head(20), values)
    return [
        pattern
        for pattern in FORMATS
        if all(_strptime(sample, pattern).notna().all() for sample in samples)
    ]


def as_written(table: Table, name: str, role: str, *, root: Path) -> list[str]:
    """The different values of a role's column as its source has them, and what its codes mean.

    No method may see them: this is for looking whether one of them stands where none should.

    Parameters
    ----------
    table : Table
    name : str
        Name of the table in the study.
    role : str
        Of the table; one that is not read too.
    root : Path
        Folder from which paths are counted.
    """
    column = table.roles[role].column or role
    raw = _everything(table, name, root, column)
    return [*raw.under([column])[column].unique(), *raw.labels.get(column, {}).values()]


def _head(table: Table, name: str, root: Path) -> files.Raw:
    return (counting if counting.asked(table) else files).head(table, name, root=root)


def _whole(
    table: Table, name: str, root: Path, wanted, calendar: Calendar, personal: frozenset[str]
) -> files.Raw:
    if counting.asked(table):
        told = {"wanted": wanted, "calendar": calendar, "personal": personal}
        return counting.whole(table, name, root=root, **told)
    return files.whole(table, name, root=root, wanted=wanted)


def _everything(table: Table, name: str, root: Path, column: str) -> files.Raw:
    """A column of all rows, also of those that `where` leaves out: people keep their numbers."""
    if not counting.asked(table):
        return files.whole(table, name, root=root, wanted=(column,))
    return counting.values(table, name, column, root=root)


class _Notes:
    def __init__(self, name: str, rows: list[files.Note]) -> None:
        self.name = name
        self.rows = list(rows)

    def add(self, column: str, what: str, rows: int, treatment: str) -> None:
        if rows:
            self.rows.append((column, what, int(rows), treatment))

    def frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.rows, columns=["column", "what", "rows", "treatment"])
        frame.insert(0, "table", self.name)
        return frame.astype(
            {"table": "str", "column": "str", "what": "str", "rows": "int64", "treatment": "str"}
        )


def _zone(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise Problem(
            f"{time_zone!r} is no time zone.", "give an IANA name, such as Europe/Madrid or UTC."
        ) from None


def _without_copies(raw: files.Raw, table: Table, notes: _Notes) -> pd.DataFrame:
    """Cells under their column names, copies of a row set aside if so asked."""
    cells = raw.under(table.columns())
    if table.copies == "each":
        return cells
    copies = raw.cells.duplicated()
    notes.add("", "exact copies of another row", copies.sum(), "set aside, the first kept")
    return cells[~copies]


@dataclass(frozen=True, eq=False)
class _Column:
    """One column while it is being read: its text, and where it has no value."""

    name: str
    role: str
    spec: Role
    text: pd.Series
    blank: pd.Series


@dataclass(frozen=True, eq=False)
class _Desk:
    """One table while it is being read: its text, and where notes are taken."""

    table: Table
    source: str
    cells: pd.DataFrame
    labels: dict[str, dict[str, str]]
    notes: _Notes
    calendar: Calendar
    people: People

    def columns(self, types: dict[str, str]) -> dict[str, pd.Series]:
        done = {
            role: self._column(role, kind) for role, kind in types.items() if kind != "duration"
        }
        self._one_clock(done, [role for role, kind in types.items() if kind == "time"])
        for role, kind in types.items():
            if kind == "duration":
                done |= self._duration(role, self.table.roles[role], done)
        for item in self.table.items():
            done[item] = self._item(item)
        ordered = {role: done.pop(role) for role in types} | done
        self._report_key(ordered)
        return ordered

    # One column ---------------------------------------------------------------------------------

    def _column(self, role: str, kind: str) -> pd.Series:
        column = self._opened(role)
        if column.blank.all():
            self._all_missing(column.name, "end" if self._is_later(role, kind) else kind)
        if column.spec.personal:
            return self._by_number(column, kind)
        read = {
            "identifier": self._words,
            "category": self._labels,
            "text": self._free_text,
            "number": self._number,
            "flag": self._flag,
            "time": self._time,
            "date": self._date,
        }
        return read[kind](column)

    def words(self, role: str, kind: str) -> pd.Series:
        """What stands under a role of words, labels in place of their codes."""
        column = self._opened(role)
        return self._labels(column) if kind == "category" else self._words(column)

    def _by_number(self, column: _Column, kind: str) -> pd.Series:
        """Personal words: whose they are is told by a number alone."""
        words = self._labels(column) if kind == "category" else self._words(column)
        given = words.notna().sum()
        self.notes.add(column.name, "personal values, read under numbers", given, "kept")
        return words.map(self.people.numbered(column.role), na_action="ignore").astype("str")

    def _opened(self, role: str) -> _Column:
        spec = self.table.roles[role]
        name = spec.column or role
        text, blank = self._text(name, spec.missing, personal=spec.personal)
        return _Column(name, role, spec, text, blank)

    def _text(
        self, name: str, missing: tuple, *, personal: bool = False
    ) -> tuple[pd.Series, pd.Series]:
        """A column's text without outer blanks, and where it is missing."""
        text = self.cells[name].str.strip()
        blank = text == ""
        self.notes.add(name, "blank", blank.sum(), "missing")
        codes = (*self.table.missing, *missing)
        codes = {files.as_text(code, self.table.decimal).strip() for code in codes} - {""}
        coded = text.isin(files.spellings(codes))
        for code, rows in text[coded].value_counts().sort_index().items():
            what = "a missing code" if personal else f"missing code {code}"
            self.notes.add(name, what, rows, "missing")
        return text, blank | coded

    def _is_later(self, role: str, kind: str) -> bool:
        """A time beside the first one, such as the closing of cases that are all open, may lack."""
        types = types_of(self.table, self.notes.name)
        first = next((each for each, k in types.items() if k in ("time", "date")), role)
        return kind in ("time", "date") and role != first

    def _all_missing(self, name: str, kind: str) -> None:
        if kind in ("time", "date", "item"):
            raise Problem(
                f"{self.source}: {name!r} is missing in all {len(self.cells)} rows.",
                "leave it out of the study's parameters, or check the export.",
            )
        self.notes.add(name, "missing in every row", len(self.cells), "kept, of no use")

    def _words(self, column: _Column) -> pd.Series:
        trimmed = (self.cells[column.name] != column.text) & ~column.blank
        self.notes.add(column.name, "blanks around the value", trimmed.sum(), "cut off")
        return column.text.mask(column.blank)

    def _labels(self, column: _Column) -> pd.Series:
        words = self._words(column)
        if column.name not in self.labels:
            return words
        given = words.notna().sum()
        self.notes.add(column.name, "value labels", given, "read in place of the codes")
        return words.replace(self.labels[column.name])

    def _free_text(self, column: _Column) -> pd.Series:
        return self.cells[column.name].mask(column.blank)

    def _number(self, column: _Column) -> pd.Series:
        name, spec = column.name, column.spec
        numbers = self._numbers(name, column.text, column.blank)
        if spec.scale is not None:
            need_on_scale(numbers.to_frame(name), points=spec.scale, source=self.source)
        if spec.range is not None:
            low, high = spec.range
            outside = (numbers < low) | (numbers > high)
            self.notes.add(name, f"outside {low:g} to {high:g}", outside.sum(), "missing")
            numbers = numbers.mask(outside)
        wanted = suffix(column.role)
        if spec.unit not in (None, wanted):
            numbers = numbers * (SECONDS[spec.unit] / SECONDS[wanted])
            given = numbers.notna().sum()
            self.notes.add(name, f"in {spec.unit}", given, f"converted to {wanted}")
        return numbers

    def _numbers(self, name: str, text: pd.Series, blank: pd.Series) -> pd.Series:
        plain = text.mask(blank)
        if self.table.thousands is not None:
            plain = _without_thousands(plain, self.table.thousands, self.table.decimal)
        if self.table.decimal != ".":
            plain = plain.where(~plain.str.contains(".", regex=False).fillna(False), "no number")
            plain = plain.str.replace(self.table.decimal, ".", regex=False)
        numbers = pd.to_numeric(plain, errors="coerce").astype("float64")
        bad = ~blank & ~np.isfinite(numbers)
        if bad.any():
            raise Problem(
                f"{self.source}: {name!r} has {bad.sum()} values that are no numbers"
                f" (first rows: {first_rows(text[bad])}; values: {_shown(text[bad])}).",
                _number_mend(text[bad]),
            )
        return numbers

    def _item(self, item: str) -> pd.Series:
        text, blank = self._text(item, self.table.missing_answers)
        if blank.all():
            self._all_missing(item, "item")
        answers = self._numbers(item, text, blank)
        if self.table.scale is not None:
            need_on_scale(answers.to_frame(item), points=self.table.scale, source=self.source)
        between = (answers % 1).fillna(0) != 0
        self.notes.add(item, "answers between two points", between.sum(), "kept")
        return answers

    def _flag(self, column: _Column) -> pd.Series:
        words, spec = column.text.str.casefold(), column.spec
        custom = spec.yes is not None or spec.no is not None
        yes, no = (spec.yes or (), spec.no or ()) if custom else (YES, NO)
        if both := sorted(set(yes) & set(no)):
            raise Problem(
                f"{self.source}: {column.name!r} has {both[0]!r} both as `yes` and as `no`.",
                "let each word stand once.",
            )
        is_yes, is_no = words.isin(files.spellings(yes)), words.isin(files.spellings(no))
        unknown = ~(is_yes | is_no | column.blank)
        if unknown.any():
            raise self._neither(column, column.text[unknown])
        return is_yes.astype("boolean").mask(column.blank)

    def _neither(self, column: _Column, unknown: pd.Series) -> Problem:
        return Problem(
            f"{self.source}: {column.name!r} has {len(unknown)} values that are neither yes nor no"
            f" (first rows: {first_rows(unknown)}; values: {_shown(unknown)}).",
            f"say what they mean: {column.role}: {{column: {column.name}, yes: [...], no: [...]}},"
            " or list them under `missing`.",
        )

    # Time ---------------------------------------------------------------------------------------

    def _time(self, column: _Column) -> pd.Series:
        times, clocked = self._moments(column)
        return self._in_zone(column.name, times) if clocked else times

    def _date(self, column: _Column) -> pd.Series:
        times, clocked = self._moments(column)
        if not clocked:
            return times
        given = times.notna().sum()
        self.notes.add(column.name, "clock time in a date", given, "day alone kept")
        return self._in_zone(column.name, times).dt.tz_localize(None).dt.normalize()

    def _moments(self, column: _Column) -> tuple[pd.Series, bool]:
        """Times as written, or in UTC if the source gives offsets; and whether they are clocked."""
        given, pattern = column.text.mask(column.blank), column.spec.format
        times = _iso(given) if pattern is None else _strptime(given, pattern)
        bad = ~column.blank & times.isna()
        if bad.any():
            raise self._unreadable(column, given, bad)
        if pattern is not None and _either_way(pattern) is not None:
            swapped = _strptime(given, _either_way(pattern))
            either = (swapped.notna() & (swapped != times)).sum()
            what = "times that could be read with day and month exchanged"
            self.notes.add(column.name, what, either, f"read as {pattern}")
        clocked = times.dt.tz is not None or (times.dropna() != times.dropna().dt.normalize()).any()
        return times, bool(clocked)

    def _unreadable(self, column: _Column, given: pd.Series, bad: pd.Series) -> Problem:
        pattern = column.spec.format
        how = repr(pattern) if pattern else "ISO 8601 (such as 2025-12-31 or 2025-12-31T08:00)"
        return Problem(
            f"{self.source}: {column.name!r} has {bad.sum()} of {given.notna().sum()} times that"
            f" cannot be read as {how} (first rows: {first_rows(given[bad])};"
            f" values: {_shown(given[bad])}).",
            _time_mend(given.dropna(), column.name),
        )

    def _in_zone(self, name: str, times: pd.Series) -> pd.Series:
        """Times in the study's zone; notes the hours a clock change skips or repeats."""
        zone = _zone(self.calendar.time_zone)
        if times.dt.tz is not None:
            return times.dt.tz_convert(zone)
        here = _zone(self.table.time_zone or self.calendar.time_zone)
        twice = times.dt.tz_localize(here, ambiguous="NaT", nonexistent="shift_forward")
        never = times.dt.tz_localize(here, ambiguous=True, nonexistent="NaT")
        for lost, change, treatment in (
            (twice, "makes happen twice", "taken as the first of the two"),
            (never, "skips", "moved to the end of the gap"),
        ):
            rows = (times.notna() & lost.isna()).sum()
            self.notes.add(name, f"local times that a clock change {change}", rows, treatment)
        return _localised(times, here).dt.tz_convert(zone)

    def _one_clock(self, done: dict[str, pd.Series], times: list[str]) -> None:
        """Where one time of a table has a clock, dates beside it begin at their midnight."""
        dates = [role for role in times if done[role].dt.tz is None]
        for role in dates if len(dates) < len(times) else ():
            name = self.table.roles[role].column or role
            given = done[role].notna().sum()
            self.notes.add(name, "a day without a clock time", given, "midnight")
            done[role] = self._in_zone(name, done[role])

    # Durations ----------------------------------------------------------------------------------

    def _duration(self, role: str, spec: Role, done: dict[str, pd.Series]) -> dict[str, pd.Series]:
        start, end = self._together(done[spec.start], done[spec.end])
        running = start.notna() & end.isna()
        until = self._until(spec, start, end)
        late = running & (start > until)
        last = spec.until or until
        self.notes.add(role, f"still running at {last:%Y-%m-%d}", running.sum(), "time so far")
        self.notes.add(role, "begun after `until`", late.sum(), "missing")
        self.notes.add(role, "ended before it began", (end < start).sum(), "kept, below zero")
        end = end.mask(running & ~late, until)
        if spec.clock == "working":
            hours = working_hours(start, end, calendar=self.calendar)
            day = self.calendar.closes - self.calendar.opens
        else:
            hours, day = hours_between(start, end), 24.0
        unit = spec.unit or suffix(role)
        per_hour = 1 / day if unit == "d" else 3600.0 / SECONDS[unit]
        return {role: (hours * per_hour).astype("float64"), f"{role}_open": running.astype(bool)}

    def _together(self, *times: pd.Series) -> list[pd.Series]:
        """Times that can be subtracted: a date beside a clock time begins at its midnight."""
        if len({each.dt.tz is None for each in times}) > 1:
            zone = self.calendar.time_zone
            times = [_localised(each, zone) if each.dt.tz is None else each for each in times]
        return [each.dt.as_unit("us") for each in times]

    def _until(self, spec: Role, start: pd.Series, end: pd.Series) -> pd.Timestamp:
        if spec.until is None:
            return max(each.max() for each in (start, end) if each.notna().any())
        until = pd.Timestamp(spec.until)
        if start.dt.tz is None:
            return until.tz_localize(None)
        if not isinstance(spec.until, datetime):
            until += pd.Timedelta(days=1)  # the day named is the last one counted
        if until.tz is not None:
            return until
        return _localised(pd.Series([until]), self.calendar.time_zone)[0]

    def _report_key(self, done: dict[str, pd.Series]) -> None:
        if self.table.key is None:
            return
        names = done[self.table.key]
        column = self.table.roles[self.table.key].column or self.table.key
        again = names.duplicated() & names.notna()
        self.notes.add(column, "a key that stands in an earlier row", again.sum(), "kept")
        self.notes.add(column, "no key", names.isna().sum(), "kept")


def _localised(times: pd.Series, zone: str | ZoneInfo) -> pd.Series:
    """Local times in their zone: of an hour that comes twice the first, of a gap the end."""
    first = np.ones(len(times), dtype=bool)
    return times.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")


def _iso(given: pd.Series) -> pd.Series:
    """ISO 8601 times; NaT where a value is none, or has no offset where others have one."""
    fits = given.str.fullmatch(ISO).fillna(False).astype(bool)
    offset = given.str.contains(OFFSET).fillna(False).astype(bool)
    clocked = given.str.contains(":", regex=False).fillna(False).astype(bool)
    zoned = bool(offset.any())
    if zoned and (fits & clocked & ~offset).any():
        fits &= offset
    return pd.to_datetime(given.where(fits), format="ISO8601", errors="coerce", utc=zoned)


def _strptime(given: pd.Series, pattern: str) -> pd.Series:
    try:
        return pd.to_datetime(given, format=pattern, errors="coerce", utc="%z" in pattern)
    except (ValueError, TypeError):
        raise Problem(
            f"{pattern!r} is no format for times.", 'use strptime codes, such as "%d/%m/%Y %H:%M".'
        ) from None


def _either_way(pattern: str) -> str | None:
    """The format with day and month exchanged, where both are written in figures."""
    if "%d" not in pattern or "%m" not in pattern:
        return None
    return pattern.replace("%d", "%#").replace("%m", "%d").replace("%#", "%m")


def _time_mend(given: pd.Series, column: str) -> str:
    reads = [pattern for pattern in formats_that_read(given) if pattern != "ISO 8601"]
    if len(reads) == 1:
        return f'add the format that reads every row: {{column: {column}, format: "{reads[0]}"}}.'
    if reads:
        shown = " and ".join(f'"{pattern}"' for pattern in reads[:4])
        return f"say which `format` is meant: {shown} read every row."
    sample = given.head(2000)
    counts = [(_strptime(sample, pattern).notna().sum(), pattern) for pattern in FORMATS]
    count, best = max(counts, key=lambda pair: pair[0])
    if not count:
        return 'say how they are written, for example format: "%d/%m/%Y %H:%M".'
    if both := _two_formats(given, best):
        return both
    return (
        f'no one format reads every row; "{best}" reads {count} of the first {len(sample)}.'
        " Correct the others, or list codes under `missing`."
    )


def _two_formats(given: pd.Series, first: str) -> str:
    """Say so where two formats read every row between them; blank if no two do."""
    read = _strptime(given, first)
    rest = given[read.isna()]
    sample = rest.head(2000)
    for second in (each for each in FORMATS if _strptime(sample, each).notna().all()):
        other = _strptime(given, second)
        if other[rest.index].notna().all():
            either = (read.notna() & other.notna() & (read != other)).sum()
            said = f"{either} could be either" if either else "no row could be either"
            return (
                f'the column is written in two formats: "{first}" reads {len(given) - len(rest)} of'
                f' {len(given)} rows, "{second}" the other {len(rest)}, and {said}.'
                " Export it anew in one format."
            )
    return ""


def _without_thousands(plain: pd.Series, thousands: str, decimal: str) -> pd.Series:
    """Take out separators that stand in their places; 1.2.3 stays no number."""
    t, d = re.escape(thousands), re.escape(decimal)
    apart = plain.str.fullmatch(rf"[+-]?\d{{1,3}}({t}\d{{3}})+({d}\d+)?").fillna(False).astype(bool)
    return plain.mask(apart, plain.str.replace(thousands, "", regex=False))


def _number_mend(bad: pd.Series) -> str:
    if bad.str.fullmatch(r"[+-]?\d+,\d+").all():
        thousands = bool(bad.str.fullmatch(r"[+-]?\d{1,3}(,\d{3})+").all())
        return 'if the comma is a decimal comma, add decimal: ","' + (
            '; if it separates thousands, add thousands: ",".' if thousands else " to the table."
        )
    if bad.str.fullmatch(r"[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?").all():
        return 'add `thousands` (and `decimal`) to the table, for example thousands: ".".'
    return "correct the source, or list the codes under `missing` in the study's parameters."


def _shown(values: pd.Series) -> str:
    some = [value if len(value) <= 40 else value[:39] + "…" for value in values.unique()[:5]]
    return f"[{', '.join(map(repr, some))}]"
