"""How is a table narrowed and summed where it lies, so that only the sums come in?"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from sqm import files
from sqm.checks import Problem
from sqm.clock import DAYS, Calendar, whole_weeks, worked_days
from sqm.files import Note, Raw
from sqm.roles import Condition, Role, Sum, Table

MOST_SUMS = 1_000_000  # beyond, the groups are single cases and no longer sums
MOST_EXACT = 2**53  # beyond, a number with a point is no longer a count
MEMORY = "1GB"  # that DuckDB may hold; what is more it puts into a private folder
TEXTS = (".csv", ".tsv", ".txt")
READS = dict.fromkeys(("utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"), "utf-8")
YEARS = (1900, 2200)  # a time before or after is a sign for something else
ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?"
OFFSET = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
MACROS = (  # what has no spelling of its own in SQL that databases share
    "CREATE MACRO sqm_number(x) AS CASE WHEN isfinite(TRY_CAST(x AS DOUBLE))"
    " THEN TRY_CAST(x AS DOUBLE) END",
    "CREATE MACRO sqm_time(x) AS TRY_CAST(x AS TIMESTAMP)",
    "CREATE MACRO sqm_zoned(x) AS TRY_CAST(x AS TIMESTAMPTZ)",
)
FLAGS = {"1": "true", "yes": "true", "true": "true", "0": "false", "no": "false", "false": "false"}
POSTGRES = {1082: "date", 1114: "time", 1184: "zoned", 16: "flag"}  # by the type's number there
POSTGRES |= dict.fromkeys((20, 21, 23, 700, 701, 1700), "number")
KINDS = (  # of DuckDB's types, by how their names begin
    ("TIMESTAMP WITH TIME ZONE", "zoned"),
    ("TIMESTAMP", "time"),
    ("DATE", "date"),
    ("BOOLEAN", "flag"),
    ("VARCHAR", "text"),
    *((name, "number") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")),
    *((name, "number") for name in ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")),
    *((name, "number") for name in ("FLOAT", "DOUBLE", "DECIMAL")),
)


def asked(table: Table) -> bool:
    """Whether a table is narrowed or summed where it lies.

    Examples
    --------
    >>> asked(Table(path="s.csv", summed={"n": "rows"})), asked(Table(path="s", roles={"a": "a"}))
    (True, False)
    """
    return bool(table.where or table.summed)


def head(table: Table, name: str, *, root: Path) -> Raw:
    """The source's columns, and enough to know that there are rows; nothing else is read.

    Raises
    ------
    Problem
        If the source cannot be opened or read, or has no rows.
    """
    with _opened(table, name, root) as source:
        if not source.ask(lambda sa, place: sa.select(sa.text("1")).select_from(place).limit(1)):
            raise Problem(
                f"{files.file_name(table, name)} has no rows.", "check that the export worked."
            )
        return Raw(source.header, pd.DataFrame(index=range(1)))


def whole(
    table: Table,
    name: str,
    *,
    root: Path,
    calendar: Calendar,
    wanted: Container[str] | None = None,
    personal: Container[str] = (),
) -> Raw:
    """Read the rows that are within ``where``, or the sums of their groups.

    Parameters
    ----------
    table : Table
        With ``where``, ``summed`` or both.
    name : str
        Name of the table in the study, for messages.
    root : Path
        Folder from which paths are counted.
    calendar : Calendar
        The study's: its time zone is that of days and periods, and it says when weeks begin.
    wanted : container of str, optional
        Names of columns, where rows are read; all without.
    personal : container of str, optional
        Columns of which no value may stand in a message.

    Returns
    -------
    Raw
        Of sums one row a group, ordered by group, columns called by their roles.

    Raises
    ------
    Problem
        If the source lacks a column, a value cannot be read as a time or number, or no row is
        left.

    Notes
    -----
    A row counts for ``n: rows`` if every column that decides an event has a value in it; the
    others, and rows without a period, are left out and noted.  A period that is cut off at either
    end of what is read is left out too, as everywhere in a study.
    """
    with _opened(table, name, root) as source:
        files.need_header(Raw(source.header, pd.DataFrame()), table, name)
        words = _Words(source, table, name, calendar, personal)
        return _sums(words) if table.summed else _rows(words, wanted)


def values(table: Table, name: str, column: str, *, root: Path) -> Raw:
    """The different values of a column in all rows, in the order in which they first appear.

    Parameters
    ----------
    table : Table
        With ``where`` or ``summed``, which do not count here.
    name : str
        Name of the table in the study, for messages.
    column : str
        Name in the source.
    root : Path
        Folder from which paths are counted.

    Returns
    -------
    Raw
        One column; no more of it has left the place where the table lies.
    """
    one = {"roles": {"each": Role(column=column)}, "dimensions": {}, "expectations": {}}
    alone = _bare(table).model_copy(update=one)
    with _opened(alone, name, root) as source:
        files.need_header(Raw(source.header, pd.DataFrame()), alone, name)

        def question(sa: Any, place: Any) -> Any:
            held = source.columns[column][0]
            at = sa.func.row_number().over().label("at")
            each = sa.select(held.label("held"), at).select_from(place).subquery("each_row")
            first = sa.select(each.c.held.label(column)).group_by(each.c.held)
            return first.order_by(sa.func.min(each.c.at))

        raw = source.rows(question, [column], table)
        raw.labels = source.labels
        return raw


# --- where a table lies -------------------------------------------------------------------------


class _Source(Protocol):
    """A place that answers SQL: what it holds, and in which words it is asked."""

    dialect: str
    header: list[str]
    labels: dict[str, dict[str, str]]  # of an SPSS file, what each code means
    columns: Mapping[str, tuple[Any, str]]  # name in the source: SQLAlchemy's column, its kind

    def ask(self, question: Callable[[Any, Any], Any]) -> list[tuple]: ...

    def rows(self, question: Callable[[Any, Any], Any], header: list[str], table: Table) -> Raw: ...

    def sha256(self) -> str: ...


@contextmanager
def _opened(table: Table, name: str, root: Path) -> Iterator[_Source]:
    if table.database is not None:
        with _database(table, name, root) as source:
            yield source
        return
    with tempfile.TemporaryDirectory() as spill:
        source = _Files(table, name, root, spill)
        try:
            yield source
        finally:
            source.close()


class _Files:
    """Files that DuckDB reads, and nothing but these."""

    dialect = "duckdb"

    def __init__(self, table: Table, name: str, root: Path, spill: str) -> None:
        import duckdb
        import sqlalchemy

        self.sa, self.table, self.name, self.root = sqlalchemy, table, name, root
        self.labels = {}
        self.paths = [] if _sheet(table) else _paths(table, name, root)
        self.base = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
            }
        )
        try:
            self._shut(spill)
            self._find()
        except duckdb.Error as error:
            self.close()
            raise self._problem(error) from None
        except Problem:
            self.close()
            raise

    def close(self) -> None:
        self.base.close()

    def _shut(self, spill: str) -> None:
        """Let DuckDB see the named files and its own folder; from then on nothing can be set."""
        settings = {
            "temp_directory": spill,
            "memory_limit": MEMORY,
            "threads": _threads(),
            "TimeZone": "UTC",
            "preserve_insertion_order": not self.table.summed,
            "allowed_paths": [str(path) for path in self.paths],
            "enable_external_access": False,
        }
        for name, value in settings.items():
            self.base.execute(f"SET {name} = ?", [value])
        for macro in MACROS:
            self.base.execute(macro)
        self.base.execute("SET lock_configuration = true")

    def _find(self) -> None:
        found = self._relation()
        self.header = list(found.columns) if not hasattr(self, "header") else self.header
        if len(found.columns) != len(self.header):
            raise Problem(
                f"{self.table.path}: its columns cannot be told apart.",
                "give every column one heading, and name the `separator`.",
            )
        self.columns = {}
        for name, inner, kind in zip(self.header, found.columns, found.types, strict=True):
            held = self.sa.column(inner)
            if str(kind).startswith("TIMESTAMP_"):  # in nanoseconds, as pandas writes them
                held = self.sa.cast(held, self.sa.TIMESTAMP)
            self.columns.setdefault(name, (held, _kind(str(kind))))
        self.place = self.sa.table("source", *(self.sa.column(each) for each in found.columns))

    def _relation(self) -> Any:
        if not self.paths:
            raw = files.whole(_bare(self.table), self.name, root=self.root)
            self.header = [c for c in raw.header if c and raw.header.count(c) == 1]
            self.digest, self.labels = raw.sha256, raw.labels
            import pyarrow

            cells = pyarrow.Table.from_pandas(raw.under(self.header), preserve_index=False)
            self.base.register("source", cells)
            return self.base.table("source")
        paths = [str(path) for path in self.paths]
        if files.ending(self.paths[0]) == ".parquet":
            found = self.base.read_parquet(paths, hive_partitioning=False)
        else:
            encoding, separator, self.header = _opening(self.paths, self.table)
            found = self.base.read_csv(
                paths, **_csv(encoding, separator, len(self.header), self.table)
            )
        found.create_view("source")
        return found

    def ask(self, question: Callable[[Any, Any], Any]) -> list[tuple]:
        return self._told(question, lambda found: found.fetchall())

    def rows(self, question: Callable[[Any, Any], Any], header: list[str], table: Table) -> Raw:
        read = self._told(question, lambda found: found.to_arrow_table())
        return files.from_arrow(read, header, table)

    def _told(self, question: Callable[[Any, Any], Any], taken: Callable[[Any], Any]) -> Any:
        import duckdb
        from sqlalchemy.dialects import postgresql

        said = question(self.sa, self.place).compile(
            dialect=postgresql.dialect(paramstyle="numeric_dollar"),
            compile_kwargs={"render_postcompile": True},
        )
        given = [said.params[name] for name in said.positiontup]
        try:
            return taken(self.base.sql(str(said), params=given))
        except duckdb.Error as error:
            raise self._problem(error) from None

    def sha256(self) -> str:
        if not self.paths:
            return self.digest
        each = {path.name: _hash(path) for path in self.paths}
        if len(each) == 1:
            return next(iter(each.values()))
        return hashlib.sha256(repr(sorted(each.items())).encode()).hexdigest()

    def _problem(self, error: Exception) -> Problem:
        said = str(error).strip().split("\n")[0]
        for path in self.paths:
            said = said.replace(str(path), path.name)
        return Problem(
            f"{self.name}: {self.table.path} could not be read where it lies ({said[:200]}).",
            "save it anew as Parquet or as CSV in UTF-8; or leave `where` and `summed` out.",
        )


@contextmanager
def _database(table: Table, name: str, root: Path) -> Iterator[_Source]:
    import sqlalchemy

    url = files.address(table, name, root)
    query = files.one_select(table.query or "", name)
    dialect = url.get_backend_name()
    if dialect not in ("postgresql", "sqlite"):
        raise Problem(
            f"{name}: sqm does not know how {dialect} sums by period.",
            "sum in the query (GROUP BY) and name its columns under `roles`.",
        )
    engine = None
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            files.read_only(connection)
            yield _Base(connection, query, dialect)
            connection.rollback()
    except Problem:
        raise
    except Exception as error:  # drivers raise errors of their own besides SQLAlchemy's
        raise files.no_database(name, url, error) from None
    finally:
        if engine is not None:
            engine.dispose()


class _Base:
    """A query's answer, which the database itself narrows and sums."""

    def __init__(self, connection: Any, query: str, dialect: str) -> None:
        import sqlalchemy

        self.sa, self.connection, self.dialect = sqlalchemy, connection, dialect
        self.labels = {}
        plain = query.replace(":", "\\:") + "\n"  # no name to fill in; a comment ends with its line
        inner = sqlalchemy.text(plain)
        bare = inner.columns().subquery("source")
        told = connection.execute(
            sqlalchemy.select(sqlalchemy.text("*")).select_from(bare).limit(0)
        )
        described = told.cursor.description
        self.header = [str(each[0]) for each in described]
        kinds = [_kind_in(dialect, each[1]) for each in described]
        self.columns = {}
        for column, kind in zip(self.header, kinds, strict=True):
            self.columns.setdefault(column, (sqlalchemy.column(column), kind))
        self.place = bare
        self.digest = hashlib.sha256(repr(self.header).encode())

    def ask(self, question: Callable[[Any, Any], Any]) -> list[tuple]:
        found = [tuple(row) for row in self.connection.execute(question(self.sa, self.place))]
        told = (repr([files.as_text(value, ".") for value in row]) for row in found)
        self.digest.update("".join(sorted(told)).encode())  # a database promises no order of rows
        return found

    def rows(self, question: Callable[[Any, Any], Any], header: list[str], table: Table) -> Raw:
        records = self.ask(question)
        columns = {
            header.index(name): [files.as_text(row[at], table.decimal) for row in records]
            for at, name in enumerate(dict.fromkeys(header))
        }
        cells = {at: pd.array(values, dtype="str") for at, values in columns.items()}
        return Raw(header, pd.DataFrame(cells, index=pd.RangeIndex(len(records))))

    def sha256(self) -> str:
        return self.digest.hexdigest()


def _paths(table: Table, name: str, root: Path) -> list[Path]:
    """Files of a table, all of them of one kind."""
    found = [p for p in files.lies_in(table, root=root) if not p.name.startswith(".")]
    if not found:
        raise Problem(
            f"{name}: no file is {table.path}.", "check the pattern; it counts from the root."
        )
    for path in found:
        files.need_readable(path, table, name)
        if not path.stat().st_size:
            raise Problem(f"{name}: {path.name} is empty.", "check that the export worked.")
    kinds = {".csv" if files.ending(p) in TEXTS else files.ending(p) for p in found}
    if len(kinds) > 1 or (len(found) > 1 and kinds.isdisjoint({".csv", ".parquet"})):
        raise Problem(
            f"{name}: {table.path} holds files of more than one kind ({', '.join(sorted(kinds))}).",
            "name those that belong together by a pattern, such as data/part-*.parquet.",
        )
    return [path.resolve() for path in found]


def _sheet(table: Table) -> bool:
    """Whether the table is in a kind of file that DuckDB is not to open."""
    return files.ending(Path(table.path or "")) in (*files.BOOKS, ".sav")


def _bare(table: Table) -> Table:
    """The same table with nothing narrowed or summed."""
    return table.model_copy(update={"where": {}, "summed": {}})


def _opening(paths: list[Path], table: Table) -> tuple[str, str, list[str]]:
    """How the files are written; all must be written alike."""
    first = files.opening(paths[0], table)
    for path in paths[1:]:
        if files.opening(path, table) != first:
            raise Problem(
                f"{path.name} has other columns than {paths[0].name}, or is written otherwise.",
                "let the files of one table have the same columns, separator and encoding.",
            )
    return first


def _csv(encoding: str, separator: str, width: int, table: Table) -> dict[str, Any]:
    reads = READS.get(encoding.lower().replace("_", "-"))
    if reads is None:
        raise Problem(
            f"{table.path} is written in {encoding}, which cannot be read where it lies.",
            "save it anew as UTF-8.",
        )
    return {
        "columns": {f"column{at}": "VARCHAR" for at in range(width)},
        "auto_detect": False,
        "header": True,
        "delimiter": separator,
        "quotechar": '"',
        "escapechar": '"',
        "encoding": reads,
        "strict_mode": True,
    }


def _threads() -> int:
    """As many as the run allows a program, at most four."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(int(said) if said.isdigit() else 4, free or 1))


def _hash(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _kind(name: str) -> str:
    """What a column of DuckDB holds.

    Examples
    --------
    >>> _kind("TIMESTAMP WITH TIME ZONE"), _kind("DECIMAL(8,2)"), _kind("STRUCT(a INTEGER)")
    ('zoned', 'number', 'other')
    """
    return next((kind for begins, kind in KINDS if name.startswith(begins)), "other")


def _kind_in(dialect: str, code: Any) -> str:
    return "any" if dialect == "sqlite" else POSTGRES.get(code, "words")


# --- in which words it is asked -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Words:
    """What the description of a table means in the words of its source."""

    source: _Source
    table: Table
    name: str
    calendar: Calendar
    personal: Container[str] = ()

    @property
    def sa(self) -> Any:
        return self.source.sa

    @property
    def codes(self) -> list[str]:
        """What stands for no value."""
        return [files.as_text(code, self.table.decimal).strip() for code in self.table.missing]

    def held(self, column: str) -> tuple[Any, str]:
        return self.source.columns[column]

    def text(self, column: str) -> Any:
        held, kind = self.held(column)
        if kind != "text":
            held = self.sa.cast(held, self.sa.Text)
        return self.sa.func.trim(held)

    def blank(self, column: str) -> Any:
        """Rows without a value: nothing there, or a code for it."""
        held, kind = self.held(column)
        codes = self.codes
        if kind == "number":
            none = [held.is_(None), self._is_nan(held)]
            numbers = [n for n in map(_float, codes) if n is not None]
            return self.sa.or_(*none, *([held.in_(numbers)] if numbers else []))
        if kind in ("time", "zoned", "date"):
            moments = [m for m in map(_written_moment, codes) if m is not None]
            times = [self.sa.literal(moment, self.sa.TIMESTAMP()) for moment in moments]
            coded = [self.local(column, None).in_(times)] if times else []
            return self.sa.or_(held.is_(None), *coded)
        if kind == "flag":
            return held.is_(None)
        return self.sa.or_(held.is_(None), self.text(column).in_(["", *files.spellings(codes)]))

    def number(self, column: str) -> Any:
        """A column's numbers; NULL where a value is none."""
        held, kind = self.held(column)
        if kind == "number":
            return self.sa.case((self._is_finite(held), held))
        if kind == "any":  # SQLite: each value has a type of its own
            given = self.sa.func.typeof(held).in_(["integer", "real"])
            finite = self.sa.func.abs(held) <= sys.float_info.max
            return self.sa.case((self.sa.and_(given, finite), held))
        if kind != "text" or self.table.thousands is not None:
            raise self._unsuited(column, "a number")
        text, point = self.text(column), re.escape(self.table.decimal)
        plain = rf"[+-]?(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
        dotted = self.sa.func.replace(text, self.table.decimal, ".")
        shaped = self.sa.func.regexp_full_match(text, plain)  # a cast alone takes 1_000 too
        return self.sa.case((shaped, self.sa.func.sqm_number(dotted)))

    def _is_nan(self, held: Any) -> Any:
        double = self.sa.cast(held, self.sa.Double)
        if self.source.dialect == "duckdb":  # compares by a file's statistics, which know no NaN
            return self.sa.func.isnan(double)
        return double == self.sa.cast(self.sa.literal("NaN"), self.sa.Double)

    def _is_finite(self, held: Any) -> Any:
        double = self.sa.cast(held, self.sa.Double)
        if self.source.dialect == "duckdb":
            return self.sa.func.isfinite(double)
        ends = [self.sa.cast(self.sa.literal(f"{sign}Infinity"), self.sa.Double) for sign in "-+"]
        return self.sa.and_(double > ends[0], double < ends[1])  # NaN is above all numbers there

    def time(self, column: str, pattern: str | None) -> Any:
        """A column's times on the study's clock; NULL where a value is none of these years."""
        local = self.local(column, pattern)
        first, last = (date(year, 1, 1) for year in (YEARS[0], YEARS[1] + 1))
        return self.sa.case(
            (self.sa.and_(local >= self._moment(first), local < self._moment(last)), local)
        )

    def local(self, column: str, pattern: str | None) -> Any:
        """A column's times on the study's clock; NULL where a value is none."""
        held, kind = self.held(column)
        here = self.calendar.time_zone
        there = self.table.time_zone or here
        if kind == "date":
            return self.sa.cast(held, self.sa.TIMESTAMP)
        if kind == "zoned":
            return self.sa.func.timezone(here, held)
        if kind == "time":
            return self._moved(held, there)
        if kind == "any" and pattern is None and there == here:
            return self._in_sqlite(column)
        if kind != "text":
            raise self._unsuited(column, "a time")
        text = self.text(column)
        if pattern is not None:
            read = self.sa.func.try_strptime(text, pattern)
            if "%z" not in pattern:
                return self._moved(read, there)
            zoned = self.sa.cast(read, self.sa.TIMESTAMP(timezone=True))
            return self.sa.func.timezone(here, zoned)
        matches = self.sa.func.regexp_full_match
        plain = self._moved(self.sa.func.sqm_time(text), there)
        zoned = self.sa.func.timezone(here, self.sa.func.sqm_zoned(text))
        return self.sa.case((matches(text, ISO), plain), (matches(text, ISO + OFFSET), zoned))

    def _moved(self, held: Any, there: str) -> Any:
        here = self.calendar.time_zone
        if there == here:
            return held
        return self.sa.func.timezone(here, self.sa.func.timezone(there, held))

    def _in_sqlite(self, column: str) -> Any:
        """Text in ISO form without an offset, which SQLite would take off in silence."""
        text = self.text(column)
        shaped = text.op("GLOB")("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*")
        offset = self.sa.func.substr(text, 11).op("GLOB")("*[-+Zz]*")
        day = self.sa.func.date(text, "+0 days")  # which makes 2 March of 30 February
        real = day == self.sa.func.substr(text, 1, 10)
        return self.sa.case((shaped & ~offset & real, self.sa.func.datetime(text)))

    def period(self, local: Any, each: str) -> Any:
        """First day of the period in which a local time falls."""
        back = DAYS.index(self.calendar.week_starts)
        if self.source.dialect == "sqlite":
            return self._period_in_sqlite(local, each, (back + 1) % 7)
        trunc = self.sa.func.date_trunc
        if each != "week" or not back:
            return self.sa.cast(trunc(each, local), self.sa.Date)
        shift = self.sa.literal_column(f"INTERVAL '{back} days'")  # weeks of SQL begin on Mondays
        return self.sa.cast(trunc("week", local - shift) + shift, self.sa.Date)

    def _period_in_sqlite(self, local: Any, each: str, first: int) -> Any:
        day = self.sa.func.date
        if each == "week":
            weekday = self.sa.cast(self.sa.func.strftime("%w", local), self.sa.Integer)
            back = self.sa.cast((weekday + 7 - first) % 7, self.sa.Text)
            return day(local, self.sa.literal("-").concat(back).concat(" days"))
        return day(local, "start of month") if each == "month" else day(local)

    def is_one_of(self, column: str, values: Sequence[Any]) -> Any:
        held, kind = self.held(column)
        words = [files.as_text(value, self.table.decimal).strip() for value in values]
        if kind == "number":
            numbers = [_float(word) for word in words]
            if None in numbers:
                raise self._never(column, words[numbers.index(None)], "numbers")
            return held.in_(numbers)
        if kind == "flag":
            for word in words:
                if word.casefold() not in FLAGS:
                    raise self._never(column, word, "true and false")
            words = [FLAGS[word.casefold()] for word in words]
            return self.sa.cast(held, self.sa.String).in_(words)
        return self.text(column).in_(files.spellings(words))

    def meets(self, column: str, rule: Condition) -> Any:
        """Rows that a condition lets through; what is blank it does not."""
        parts = [self.sa.not_(self.blank(column))]
        if rule.is_:
            parts.append(self.is_one_of(column, rule.is_))
        ends = (rule.from_, rule.to)
        if any(isinstance(end, date) for end in ends):
            parts += self._days(self.time(column, rule.format), *ends)
        else:
            parts += self._between(column, rule)
        return self.sa.and_(*parts)

    def _days(self, local: Any, first: date | None, last: date | None) -> list[Any]:
        found = []
        if first is not None:
            found.append(local >= self._moment(first))
        if last is not None:
            found.append(local < self._moment(last + timedelta(days=1)))
        return found

    def _moment(self, day: date) -> Any:
        if self.source.dialect == "sqlite":
            return f"{day.isoformat()} 00:00:00"
        return self.sa.literal(datetime.combine(day, time()), self.sa.TIMESTAMP())

    def _between(self, column: str, rule: Condition | Sum) -> list[Any]:
        ends = [("from_", "__ge__"), ("to", "__le__"), ("above", "__gt__"), ("below", "__lt__")]
        said = [(getattr(rule, end, None), how) for end, how in ends]
        said = [(end, how) for end, how in said if end is not None]
        return [getattr(self.number(column), how)(end) for end, how in said]

    def happens(self, how: Sum) -> Any:
        """Rows in which what is counted has happened."""
        parts = self._between(how.column or "", how)
        if how.is_:
            parts.append(self.is_one_of(how.column or "", how.is_))
        return self.sa.and_(*parts)

    def unreadable(self) -> dict[str, Any]:
        """Per column the values that are no times, or no numbers, where such are asked for."""
        found = {}
        for column, value in self._read():
            bad = self.sa.and_(self.sa.not_(self.blank(column)), value.is_(None))
            found[column] = self.sa.or_(found[column], bad) if column in found else bad
        shown = {each: self.text(each) for each in found if each not in self.personal}
        nothing = self.sa.literal("")
        return {each: self.sa.case((bad, shown.get(each, nothing))) for each, bad in found.items()}

    def _read(self) -> Iterator[tuple[str, Any]]:
        for column, rule in self.table.where.items():
            if any(isinstance(end, date) for end in (rule.from_, rule.to)):
                yield column, self.time(column, rule.format)
            elif self._between(column, rule):
                yield column, self.number(column)
        for how in self.table.summed.values():
            if how.kind == "period":
                yield how.column or "", self.time(how.column or "", how.format)
            elif how.kind == "added":
                yield how.added or "", self.whole_number(how.added or "")
            elif self._between(how.column or "", how):
                yield how.column or "", self.number(how.column or "")

    def whole_number(self, column: str) -> Any:
        number = self.number(column)
        double = self.sa.cast(number, self.sa.Double)
        within = self.sa.and_(double >= -MOST_EXACT, double <= MOST_EXACT)
        whole = self.sa.cast(self.sa.case((within, number)), self.sa.BigInteger)
        return self.sa.case((whole == number, whole))

    def within(self) -> list[Any]:
        return [self.meets(column, rule) for column, rule in self.table.where.items()]

    def _unsuited(self, column: str, what: str) -> Problem:
        where = files.file_name(self.table, self.name)
        mend = (
            "change its type in the query (CAST), or sum in the query."
            if self.table.database is not None
            else "save the column with a type of its own (Parquet), without thousands separators."
        )
        return Problem(f"{where}: {column!r} cannot be read as {what} where it lies.", mend)

    def _never(self, column: str, word: str, holds: str) -> Problem:
        where = files.file_name(self.table, self.name)
        return Problem(
            f"{where}: {column!r} is asked to be {word!r}, and holds {holds}.",
            "write the value as the source does.",
        )

    def need_readable(self, found: Sequence[tuple]) -> None:
        """Insist that nothing was unreadable: per column, how many, and one of them."""
        for (column, _), (rows, example) in zip(self.unreadable().items(), found, strict=True):
            if rows:
                where = files.file_name(self.table, self.name)
                such = "" if column in self.personal else f", such as {str(example)[:40]!r}"
                raise Problem(
                    f"{where}: {column!r} has {int(rows):,} values that are neither blank nor what"
                    f" is asked of them{such}.",
                    "correct the source, list codes under `missing`, or give a `format`;"
                    " times are of the years 1900 to 2200, numbers finite, and those that are"
                    " added up whole.",
                )


def _float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _written_moment(code: str) -> datetime | None:
    try:
        return datetime.fromisoformat(code).replace(tzinfo=None)
    except ValueError:
        return None


# --- rows and sums ------------------------------------------------------------------------------


def _rows(words: _Words, wanted: Container[str] | None) -> Raw:
    """The rows within `where`, every column that is wanted as text."""
    source = words.source
    take = [c for c in dict.fromkeys(source.header) if wanted is None or c in wanted]
    total = _total(words)

    def question(sa: Any, place: Any) -> Any:
        labelled = [source.columns[name][0].label(name) for name in take]
        return sa.select(*labelled).select_from(place).where(*words.within())

    raw = source.rows(question, take, words.table)
    raw.sha256, raw.rows, raw.labels = source.sha256(), total, source.labels
    raw.notes = _noted(total, total - len(raw.cells))
    _need_some(len(raw.cells), total, words)
    return raw


def _total(words: _Words) -> int:
    """Rows in the source, all of them readable where they must be."""
    bad = words.unreadable()

    def question(sa: Any, place: Any) -> Any:
        return sa.select(sa.func.count(), *_told(sa, bad.values())).select_from(place)

    total, *found = words.source.ask(question)[0]
    words.need_readable(list(zip(found[::2], found[1::2], strict=True)))
    return int(total)


def _told(sa: Any, examples: Sequence[Any]) -> list[Any]:
    return [each for bad in examples for each in (sa.func.count(bad), sa.func.min(bad))]


def _noted(total: int, outside: int) -> list[Note]:
    notes = [("", "rows where the table lies", total, "detected")]
    return notes + ([("", "outside `where`", outside, "not asked for")] if outside else [])


def _need_some(rows: int, total: int, words: _Words) -> None:
    where = files.file_name(words.table, words.name)
    if not total:
        raise Problem(f"{where} has no rows.", "check that the export worked.")
    if not rows:
        raise Problem(
            f"{where} has no row that meets {' and '.join(words.table.where) or 'what is summed'}.",
            "see how the source writes these values, and which days it covers.",
        )


def _sums(words: _Words) -> Raw:
    """One row a group: its labels, and what was counted in it."""
    total = _total(words) if words.table.where else None
    found = _answered(words)
    if len(found) > MOST_SUMS:
        raise Problem(
            f"{words.name}: there are more than {MOST_SUMS:,} sums.",
            "sum by coarser columns, or longer periods.",
        )
    inside = int(found["rows"].sum())
    if total is None:
        total = inside
        words.need_readable(_unread(found))
    _need_some(inside, total, words)
    notes = _noted(total, total - inside)
    sums = _in_whole_periods(found, words, notes)
    _note_blanks(found, words, notes)
    made = _by_label(sums, words)
    _need_some(len(made), total, words)
    cells = made.set_axis(range(made.shape[1]), axis="columns").astype("str")
    return Raw(list(made.columns), cells, words.source.sha256(), notes, rows=total)


def _answered(words: _Words) -> pd.DataFrame:
    """What the source counted: one row a group, labels as text and counts as whole numbers."""
    groups, counts, ends = _roles_of(words.table)
    bad = {} if words.table.where else words.unreadable()
    told = [f"{what} {at}" for at in range(len(bad)) for what in ("bad", "example")]
    names = [*groups, "rows", "known", *counts, *told, *(["first", "last"] if ends else [])]
    found = words.source.ask(lambda sa, place: _question(words, bad, sa, place))
    frame = pd.DataFrame(found, columns=names, dtype=object)
    for role, how in groups.items():
        frame[role] = pd.array([_label(words, how, value) for value in frame[role]], dtype="str")
    whole = ["rows", "known", *counts, *told[::2]]
    return frame.assign(**{name: frame[name].fillna(0).astype("int64") for name in whole})


def _roles_of(table: Table) -> tuple[dict[str, Sum], dict[str, Sum], bool]:
    """Roles that make groups, roles that are counted by a column, and whether there are periods."""
    by_kind = {kind: {} for kind in ("group", "period", "count", "added", "rows")}
    for role, how in table.summed.items():
        by_kind[how.kind][role] = how
    labels = ("group", "period")
    groups = {role: how for role, how in table.summed.items() if how.kind in labels}
    return groups, by_kind["count"] | by_kind["added"], bool(by_kind["period"])


def _question(words: _Words, bad: Mapping[str, Any], sa: Any, place: Any) -> Any:
    """Rows and counts, group by group, with the first and last time.

    What is grouped by is worked out within and named there, because a database cannot know that
    two expressions with values left open are the same.
    """
    groups, counts, ends = _roles_of(words.table)
    by_row = _by_row(words, groups, counts) | {f"b{at}": b for at, b in enumerate(bad.values())}
    inner = sa.select(*(value.label(name) for name, value in by_row.items()))
    inner = inner.select_from(place).where(*words.within()).subquery("rows_within")
    labels = [inner.c[f"g{at}"] for at in range(len(groups))]
    known = [
        sa.func.sum(sa.case((inner.c.known == 1, inner.c[f"c{at}"]), else_=0))
        for at in range(len(counts))
    ]
    told = _told(sa, [inner.c[f"b{at}"] for at in range(len(bad))])
    span = [sa.func.min(inner.c.local), sa.func.max(inner.c.local)] if ends else []
    asked = sa.select(*labels, sa.func.count(), sa.func.sum(inner.c.known), *known, *told, *span)
    return asked.group_by(*labels).limit(MOST_SUMS + 1) if labels else asked


def _by_row(words: _Words, groups: Mapping[str, Sum], counts: Mapping[str, Sum]) -> dict[str, Any]:
    """What each row is: its labels, its time, what is counted of it and whether it counts."""
    sa, found = words.sa, {}
    for at, how in enumerate(groups.values()):
        column = how.column or ""
        if how.kind == "group":
            found[f"g{at}"] = words.held(column)[0]
            continue
        local = sa.case((sa.not_(words.blank(column)), words.time(column, how.format)))
        found |= {f"g{at}": words.period(local, how.each or "week"), "local": local}
    known = [sa.true()]
    for at, how in enumerate(counts.values()):
        known.append(sa.not_(words.blank(how.column or how.added or "")))
        happened = sa.case((words.happens(how), 1), else_=0) if how.kind == "count" else None
        found[f"c{at}"] = words.whole_number(how.added or "") if happened is None else happened
    return found | {"known": sa.case((sa.and_(*known), 1), else_=0)}


def _unread(found: pd.DataFrame) -> list[tuple[int, str]]:
    """Per column how many values could not be read, and one of them."""
    pairs = [name.replace("bad", "example") for name in found.columns if name.startswith("bad ")]
    return [
        (int(found[name.replace("example", "bad")].sum()), next(iter(found[name].dropna()), ""))
        for name in pairs
    ]


def _label(words: _Words, how: Sum, value: Any) -> str:
    """A group's label as text; blank where there is none."""
    if how.kind == "period":
        return "" if value is None else str(value)[:10]
    text = files.as_text(value, words.table.decimal).strip()
    labels = words.source.labels.get(how.column or "", {})
    return "" if text in files.spellings(words.codes) else labels.get(text, text)


def _by_label(sums: pd.DataFrame, words: _Words) -> pd.DataFrame:
    """Sums in the order of their labels; labels that differ by blanks around them are one."""
    groups, counts, _ = _roles_of(words.table)
    both = sums[[*groups, "known", *counts]]
    if groups:
        both = both.groupby(list(groups), sort=True).sum().reset_index()
    both = both[both["known"] > 0]
    rows = [role for role, how in words.table.summed.items() if how.kind == "rows"]
    both = both.assign(**dict.fromkeys(rows, both["known"]))
    return both[list(words.table.summed)].reset_index(drop=True)


def _note_blanks(found: pd.DataFrame, words: _Words, notes: list[Note]) -> None:
    groups, counts, _ = _roles_of(words.table)
    for role, how in groups.items():
        if how.kind == "group":
            rows = int(found.loc[found[role] == "", "rows"].sum())
            _add(notes, how.column or "", "blank", rows, "summed under no name")
    for role, how in counts.items():
        if how.is_ and found["known"].any() and not found[role].any():
            _note_absent(how, int(found["known"].sum()), words, notes)
    decide = dict.fromkeys(how.column or how.added or "" for how in counts.values())
    rows = int((found["rows"] - found["known"]).sum())
    _add(notes, " or ".join(decide), "blank", rows, "left out")


def _note_absent(how: Sum, rows: int, words: _Words, notes: list[Note]) -> None:
    """A value that no row holds may be misspelt: then every share is 0 and says nothing."""
    said = "" if how.column in words.personal else f" ({', '.join(map(str, how.is_))})"
    _add(notes, how.column or "", f"never holds what is counted{said}", rows, "kept")


def _in_whole_periods(found: pd.DataFrame, words: _Words, notes: list[Note]) -> pd.DataFrame:
    """Groups whose period the data cover from end to end; the others are noted."""
    groups = _roles_of(words.table)[0]
    periods = [(role, how) for role, how in groups.items() if how.kind == "period"]
    if not periods:
        return found
    role, how = periods[0]
    dated, rows = found[role] != "", found["rows"]
    _add(notes, how.column or "", "blank", int(rows[~dated].sum()), "left out")
    ends = found.loc[dated, "first"].dropna(), found.loc[dated, "last"].dropna()
    if not dated.any():
        return found[dated]
    span = (pd.Timestamp(min(ends[0])), pd.Timestamp(max(ends[1])))
    kept = found[role].isin(_whole(found.loc[dated, role], span, how.each or "", words.calendar))
    what = f"in a {how.each} cut off at an end of the data"
    _add(notes, how.column or "", what, int(rows[dated & ~kept].sum()), "left out")
    return found[kept]


def _add(notes: list[Note], column: str, what: str, rows: int, treatment: str) -> None:
    if rows:
        notes.append((column, what, rows, treatment))


def _whole(
    periods: pd.Series, ends: tuple[pd.Timestamp, pd.Timestamp], each: str, calendar: Calendar
) -> set[str]:
    """Periods, by their first day, of which no worked day lies outside the data.

    Examples
    --------
    From a Wednesday on, the first week is a part of one.

    >>> weeks = pd.Series(["2025-09-29", "2025-10-06"])
    >>> ends = (pd.Timestamp("2025-10-01"), pd.Timestamp("2025-10-12 18:00"))
    >>> _whole(weeks, ends, "week", Calendar())
    {'2025-10-06'}
    """
    starts = pd.to_datetime(pd.Series(sorted(set(periods))))
    if each == "day" or starts.empty:
        return set(periods)
    if each == "week":
        times = pd.Series([*ends, *starts[starts.between(*ends)]])
        return {f"{week:%Y-%m-%d}" for week in whole_weeks(times, calendar=calendar)}
    first, last = (end.normalize() for end in ends)
    found = set()
    for month in starts:
        days = worked_days(month, month + pd.offsets.MonthEnd(0), calendar)
        if not len(days) or (days[0] >= first and days[-1] <= last):
            found.add(f"{month:%Y-%m-%d}")
    return found
