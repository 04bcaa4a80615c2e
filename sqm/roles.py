"""What does a study say about a table?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sqm.checks import Problem, nearest

# What the rooms know how to use. A study may add roles of its own; those need a type.
KNOWN: dict[str, dict[str, str]] = {
    "survey": {
        "respondent": "identifier",
        "answered": "time",
        "contact": "identifier",
        "site": "category",
        "region": "category",
        "agent": "category",
        "channel": "category",
        "language": "category",
        "wave": "category",
        "satisfaction": "number",
        "recommend": "number",
        "effort": "number",
        "duration_s": "number",
        "weight": "number",
        "text": "text",
    },
    "operations": {
        "contact": "identifier",
        "arrived": "time",
        "site": "category",
        "region": "category",
        "channel": "category",
        "reason": "category",
        "language": "category",
        "abandoned": "flag",
        "wait_s": "number",
        "service_s": "number",
        "agent": "category",
        "resolved": "flag",
    },
    "complaints": {
        "complaint": "identifier",
        "customer": "identifier",
        "contact": "identifier",
        "opened": "time",
        "acknowledged": "time",
        "closed": "time",
        "site": "category",
        "region": "category",
        "agent": "category",
        "channel": "category",
        "language": "category",
        "category": "category",
        "code": "category",  # the desk's own, finer than the category
        "reason": "category",
        "product": "category",
        "outcome": "category",  # how it ended; blank while it is open
        "reopened": "flag",
        "escalated": "flag",
        "severity": "number",
        "amount": "number",
        "cost": "number",
        "compensation": "number",
        "text": "text",
    },
    "counts": {  # contacts per interval, where single contacts were not recorded
        "arrived": "time",
        "contacts": "number",
    },
    "counted": {  # cases and events among them, already summed by unit and period
        "period": "date",
        "unit": "category",
        "part": "category",
        "n": "number",
        "events": "number",
    },
    "coding_sheet": {  # complaints drawn for people to read, and the categories they gave
        "complaint": "identifier",
        "stratum": "category",
        "chance": "number",
        "coder_a": "category",
        "coder_b": "category",
    },
    "invited": {  # one row an invitation to the survey
        "respondent": "identifier",
        "invited": "time",
        "answered": "flag",
        "site": "category",
        "region": "category",
        "channel": "category",
        "language": "category",
    },
    "population": {"variable": "category", "level": "category", "count": "number"},
    "retest": {  # the same people asked again
        "respondent": "identifier",
        "occasion": "category",
        "dimension": "category",
        "score": "number",
    },
    "correlations": {"item": "identifier"},  # a published matrix in place of answers
    **{  # the provider's side of the gap model, in the points of the survey's scale
        name: {
            "judge": "identifier",
            "site": "category",
            "dimension": "category",
            "score": "number",
        }
        for name in ("beliefs", "standards", "delivered", "promised")
    },
    "kano": {  # 1 like it, 2 expect it, 3 neutral, 4 can live with it, 5 dislike it
        "respondent": "identifier",
        "feature": "category",
        "functional": "number",
        "dysfunctional": "number",
    },
    "comparisons": {  # how many times more the first matters than the second, 1/9 to 9
        "judge": "identifier",
        "first": "category",
        "second": "category",
        "times": "number",
    },
    "coders": {
        "complaint": "identifier",
        "coder_a": "category",
        "coder_b": "category",
        "coder_c": "category",
        "coder_d": "category",
        "standard": "category",
        "coded": "time",
    },
    "verdicts": {  # two people apply a CTQ's definition to the same record
        "ctq": "category",
        "record": "identifier",
        "judge": "category",
        "defect": "flag",
    },
    "audit": {  # what the record says of a defect, and what was found
        "ctq": "category",
        "record": "identifier",
        "recorded": "flag",
        "found": "flag",
    },
    "gauge": {"part": "category", "operator": "category", "value": "number"},
    "trial": {"run": "number", "block": "category", "result": "number"},  # of a planned trial
    "steps": {"step": "category", "units": "number", "defects": "number"},
    "staffing": {
        "date": "date",
        "hour": "number",
        "site": "category",
        "region": "category",
        "agents": "number",
    },
}

ALIKE = (
    {"identifier", "category", "text"},
    {"time", "date"},
    {"number", "duration"},
    {"flag"},
)
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# A personal value of these types is read under a number; of all other types it is not read.
NUMBERED = ("identifier", "category")

# Options that mean something for each type, besides `column` and `type`.
OPTIONS = {
    "identifier": {"missing", "personal"},
    "category": {"missing", "personal"},
    "text": {"missing", "personal"},
    "number": {"missing", "unit", "range", "scale", "personal"},
    "flag": {"missing", "yes", "no", "personal"},
    "time": {"missing", "format", "personal"},
    "date": {"missing", "format", "personal"},
    "duration": {"start", "end", "unit", "clock", "until"},
}

# Options of a table that mean nothing once its rows are summed.
NOT_SUMMED = ("roles", "dimensions", "expectations", "reverse", "scale", "key", "copies", "sheet")
NOT_SUMMED += ("missing_answers",)

Type = Literal["identifier", "category", "text", "number", "flag", "time", "date", "duration"]
Unit = Literal["s", "min", "h", "d"]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _no_bare_yes(value: Any) -> Any:
    for each in value if isinstance(value, list | tuple) else ():
        if isinstance(each, bool):
            raise ValueError("put yes, no, on, off, true and false in quotes: YAML changes them")
    return _as_tuple(value)


def _as_words(value: Any) -> Any:
    """Words of a flag; YAML has already turned a bare yes or no into true or false."""
    if not isinstance(value, list | tuple):
        return value
    words: list[str] = []
    for each in value:
        if isinstance(each, bool):
            words += ["true", "yes", "on"] if each else ["false", "no", "off"]
        else:
            words.append(str(each).strip().casefold())
    return tuple(words)


def _as_day(value: Any) -> Any:
    """A study's file gives dates as text; what is no date is left for pydantic to refuse."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _low_below_high(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError(f"the first number of {list(pair)} must lie below the second")
    return pair


def _one_character(value: str) -> str:
    if len(value) != 1:
        raise ValueError("give one character")
    return value


Pair = Annotated[tuple[float, float], BeforeValidator(_as_tuple), AfterValidator(_low_below_high)]
Codes = Annotated[tuple[str | int | float | date, ...], BeforeValidator(_no_bare_yes)]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_words)]
Columns = Annotated[tuple[str, ...], BeforeValidator(_no_bare_yes)]
Character = Annotated[str, AfterValidator(_one_character)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Role(_Strict):
    """What one column means.

    Attributes
    ----------
    column : str
        Its name in the source (a ``duration`` has none: it is derived).
    type : str
        ``identifier``, ``category``, ``text``, ``number``, ``flag``, ``time``,
        ``date`` or ``duration``; known roles have theirs.
    missing : tuple
        Codes that stand for "no value", besides the table's and blank.
    format : str
        How a time or date is written, in ``strptime`` codes; ISO 8601 without.
    yes, no : tuple of str
        Words of a flag, upper and lower case alike.
    unit : str
        Unit in the source (``s``, ``min``, ``h``, ``d``); the role's suffix
        says the unit it is converted to. For a duration, the unit wanted.
    range : pair of float
        Possible values; others are set to missing, and counted.
    scale : pair of float
        Lowest and highest answer; any other answer is a Problem.
    start, end : str
        Roles between which a duration runs.
    clock : str
        ``calendar`` counts nights and holidays, ``working`` only opening hours.
    until : date
        What a duration that is still running is counted to.
    personal : bool
        Its values name or describe a person: none of them is kept, printed or
        drawn.

    Notes
    -----
    A personal **identifier or category** is read under a number, such as
    ``customer 0017``: people can still be counted, found again and joined,
    because the number is the same in every table of the study that has the
    role.  Numbers are given in the order in which people first appear, so that
    nothing of a value is in its number: no list of telephone numbers tried one
    by one leads back, as it would with a hash.  They hold for these data: with
    other rows the same number can be another person's, so compare no number
    between two runs over different data, and freeze no limits by one.

    A personal **text, number, flag, time or date** is not read at all.  A method
    cannot know which words of a text are a person's, and quotes, prints and draws what it is given;
    a question that needs the column stands under "Not examined".
    """

    column: str | None = None
    type: Type | None = None
    missing: Codes = ()
    format: str | None = None
    yes: Words | None = None
    no: Words | None = None
    unit: Unit | None = None
    range: Pair | None = None
    scale: Pair | None = None
    start: str | None = None
    end: str | None = None
    clock: Literal["calendar", "working"] | None = None
    until: Annotated[datetime | date | None, BeforeValidator(_as_day)] = None
    personal: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"column": given}
        if isinstance(given, dict):  # YAML reads the bare keys yes and no as true and false
            words = {True: "yes", False: "no"}
            return {words[k] if isinstance(k, bool) else k: v for k, v in given.items()}
        return given

    @model_validator(mode="after")
    def _column_or_duration(self) -> Role:
        if self.type == "duration":
            if self.column is not None or not (self.start and self.end):
                raise ValueError("a duration has `start` and `end`, the names of two roles")
        elif not self.column:
            raise ValueError("name the `column`")
        return self

    def options(self) -> set[str]:
        """Names of the options that are set, besides ``column`` and ``type``."""
        return {name for name in self.model_fields_set if getattr(self, name) not in (None, ())} - {
            "column",
            "type",
        }


class Condition(_Strict):
    """What a column must hold for a row to be read.

    Attributes
    ----------
    is_ : tuple
        ``is``: one of these values; a value or a list alone says the same.
    from_, to : date or float
        ``from`` and ``to``: first and last day, on the study's clock, or
        smallest and largest number.
    above, below : float
        A number beyond this one.
    format : str
        How the source writes a day, in ``strptime`` codes; ISO 8601 without.
    """

    is_: Codes = Field((), alias="is")
    from_: Annotated[date | float | None, BeforeValidator(_as_day)] = Field(None, alias="from")
    to: Annotated[date | float | None, BeforeValidator(_as_day)] = None
    above: float | None = None
    below: float | None = None
    format: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        if isinstance(given, str | int | float):
            return {"is": [given]}
        return {"is": given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        ends = [each for each in (self.from_, self.to) if each is not None]
        if not self.is_ and not ends and self.above is None and self.below is None:
            raise ValueError("say what the column must be: `is`, `from`, `to`, `above` or `below`")
        if len({isinstance(each, date) for each in ends}) > 1:
            raise ValueError("give `from` and `to` both as days or both as numbers")
        if self.format and not (ends and isinstance(ends[0], date)):
            raise ValueError("`format` goes with days")
        return self


class Sum(_Strict):
    """How one role of a table is made where many rows are summed.

    Attributes
    ----------
    rows : bool
        The number of rows; ``rows`` alone says the same.
    column : str
        A column whose values make groups; its name alone says the same.
    each : str
        ``day``, ``week`` or ``month``: the column is a time, and its periods make groups.
    format : str
        How the source writes that time, in ``strptime`` codes; ISO 8601 without.
    is_, above, below
        ``is``, ``above``, ``below``: the rows in which the column holds one of these
        values, or a number beyond this one, are counted.
    added : str
        A column of whole numbers that are added up.
    """

    rows: bool = False
    column: str | None = None
    each: Literal["day", "week", "month"] | None = None
    format: str | None = None
    is_: Codes = Field((), alias="is")
    above: float | None = None
    below: float | None = None
    added: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        if given == "rows":
            return {"rows": True}
        return {"column": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way(self) -> Sum:
        ways = [self.rows, self.column is not None, self.added is not None]
        if sum(ways) != 1:
            raise ValueError("say `rows`, or name a `column`, or a column to be `added`")
        counted = bool(self.is_) or self.above is not None or self.below is not None
        if self.column is None and (counted or self.each):
            raise ValueError("`each`, `is`, `above` and `below` go with a `column`")
        if counted and self.each:
            raise ValueError("`each` makes periods, `is`, `above` and `below` count: choose one")
        if self.format and not self.each:
            raise ValueError("`format` goes with `each`")
        return self

    @property
    def kind(self) -> Literal["rows", "period", "count", "added", "group"]:
        """What the role becomes."""
        if self.rows or self.added:
            return "rows" if self.rows else "added"
        if self.each:
            return "period"
        counted = self.is_ or self.above is not None or self.below is not None
        return "count" if counted else "group"


class Table(_Strict):
    """One table of a study's ``data`` section: where it lies and what it holds.

    Attributes
    ----------
    path : str
        File, from the repository root, absolute, or from ``~``; where rows are
        narrowed or summed also a folder, or a pattern such as ``part-*.parquet``.
    database, query : str
        ``env:NAME`` of the environment variable that holds a SQLAlchemy
        address (or an address without credentials), and one SELECT.
    sheet : str
        Sheet of an Excel file; the first without.
    encoding, separator, decimal, thousands : str
        Only where detection is to be overruled, or numbers are written with a
        decimal comma or with separated thousands.
    time_zone : str
        Zone in which the source's times were written; the study's without.
    where : dict of Condition
        Per column of the source what it must hold: other rows are not read.
    summed : dict of Sum
        Per role how it is made where only sums are read; `roles` then are these.
    missing : tuple
        Codes that stand for "no value" in every column; blank always does.
    missing_answers : tuple
        Codes that do so in survey items alone.
    copies : str
        ``once`` keeps the first of rows that are equal in every column.
    key : str
        Role that names a row.
    roles : dict of Role
        Role to column.
    scale : pair of float
        Lowest and highest answer to a survey item.
    dimensions : dict of tuple
        Survey items, by dimension, by their names in the source.
    expectations : dict
        Perception item to the item that asks the expectation.
    reverse : tuple
        Items worded in reverse; reading leaves them as they were answered.
    """

    path: str | None = None
    database: str | None = None
    query: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    separator: Character | None = None
    decimal: Character = "."
    thousands: Character | None = None
    time_zone: str | None = None
    where: dict[str, Condition] = Field(default_factory=dict)
    summed: dict[str, Sum] = Field(default_factory=dict)
    missing: Codes = ()
    missing_answers: Codes = ()
    copies: Literal["each", "once"] = "each"
    key: str | None = None
    roles: dict[str, Role] = Field(default_factory=dict)
    scale: Pair | None = None
    dimensions: dict[str, Columns] = Field(default_factory=dict)
    expectations: dict[str, str] = Field(default_factory=dict)
    reverse: Columns = ()

    @model_validator(mode="before")
    @classmethod
    def _roles_of_sums(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("summed"), dict):
            return given
        clash = [option for option in NOT_SUMMED if given.get(option)]
        if clash:
            raise ValueError(f"`{clash[0]}` does not go with `summed`, which makes the roles")
        sums = {role: Sum.model_validate(how) for role, how in given["summed"].items()}
        types = {"period": "date", "group": "category"}
        roles = {r: {"column": r, "type": types.get(h.kind, "number")} for r, h in sums.items()}
        return given | {"roles": roles}

    @model_validator(mode="after")
    def _sums_of_something(self) -> Table:
        kinds = [how.kind for how in self.summed.values()]
        if self.summed and not {"rows", "count", "added"} & set(kinds):
            raise ValueError("`summed` counts nothing: add a role that is `rows`")
        if kinds.count("period") > 1:
            raise ValueError("`summed` has two roles with `each`: sum by one time")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Table:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either `path` or `database`")
        if (self.database is None) != (self.query is None):
            raise ValueError("`database` and `query` go together")
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` cannot be the same character")
        if not self.roles and not self.dimensions:
            raise ValueError("name at least one column under `roles`")
        return self

    def items(self) -> tuple[str, ...]:
        """Survey items, perceptions before expectations, each once.

        Examples
        --------
        >>> care = {"care": ["p1", "p2"]}
        >>> Table(path="s.csv", dimensions=care, expectations={"p1": "e1"}).items()
        ('p1', 'p2', 'e1')
        """
        return tuple(dict.fromkeys([*self.perceptions(), *self.expectations.values()]))

    def perceptions(self) -> list[str]:
        """Survey items of all dimensions."""
        return [item for group in self.dimensions.values() for item in group]

    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the study reads.

        Examples
        --------
        >>> sums = {"unit": "site", "n": "rows", "events": {"column": "wait_s", "above": 300}}
        >>> Table(path="s.csv", summed=sums, where={"channel": "phone"}).columns()
        ('site', 'wait_s', 'channel')
        """
        named = [role.column for role in self.roles.values() if role.column is not None]
        if self.summed:
            each = [how.column or how.added for how in self.summed.values()]
            named = [column for column in each if column is not None]
        return tuple(dict.fromkeys([*named, *self.items(), *self.where]))

    def sums(self) -> Table:
        """The table that summing makes of this one: its roles, and nothing left to convert.

        Examples
        --------
        >>> Table(path="s.csv", summed={"n": "rows"}, missing=[99]).sums().missing
        ()
        """
        kept = {name: getattr(self, name) for name in ("path", "database", "query")}
        return Table.model_construct(**kept, roles=self.roles)

    def shown(self) -> str:
        """Name of the source for messages: a path, never a database address."""
        return self.path if self.path is not None else (self.query or "")[:80]


def columns_of(table: Table) -> tuple[str, ...]:
    """Columns that reading makes of a table, derived ones among them.

    Examples
    --------
    >>> columns_of(Table(path="s.csv", roles={"site": "place"}, dimensions={"care": ["p1"]}))
    ('site', 'p1')
    """
    made = [f"{role}_open" for role, spec in table.roles.items() if spec.type == "duration"]
    return tuple(dict.fromkeys([*table.roles, *made, *table.items()]))


def types_of(table: Table, name: str) -> dict[str, str | None]:
    """Per role that is read its type: its own, or that of the known role; None where neither is.

    Examples
    --------
    >>> types_of(Table(path="s.csv", roles={"closed": "b", "mine": "c"}), "complaints")
    {'closed': 'time', 'mine': None}
    """
    hidden = withheld(table, name)
    return {role: kind for role, kind in _all_types(table, name).items() if role not in hidden}


def withheld(table: Table, name: str) -> tuple[str, ...]:
    """Personal roles that are not read at all, because no number can stand for their values.

    Examples
    --------
    >>> roles = {"customer": {"column": "c", "personal": True},
    ...          "text": {"column": "t", "personal": True}}
    >>> withheld(Table(path="s.csv", roles=roles), "complaints")
    ('text',)
    """
    kinds = _all_types(table, name)
    return tuple(
        role for role, spec in table.roles.items() if spec.personal and kinds[role] not in NUMBERED
    )


def readable(table: Table, name: str) -> Table:
    """The table without the roles that are `withheld`."""
    hidden = withheld(table, name)
    if not hidden:
        return table
    roles = {role: spec for role, spec in table.roles.items() if role not in hidden}
    return table.model_copy(update={"roles": roles})


def personal_problems(tables: Mapping[str, Table], *, root: Path | None = None) -> list[Problem]:
    """List the roles and columns that are personal in one table and stand open in another.

    Parameters
    ----------
    tables : mapping of Table
        All of the study, by name.
    root : Path, optional
        Folder from which paths are counted; without, the one where we are.

    Examples
    --------
    >>> shut = Table(path="a.csv", roles={"contact": {"column": "c", "personal": True}})
    >>> open_ = Table(path="b.csv", roles={"contact": "c"})
    >>> print(personal_problems({"complaints": shut, "operations": open_})[0])
    'contact' is personal in complaints, and its values stand open in operations.
      To mend: mark it in both, contact: {column: c, personal: true}.
    """
    problems, told = [], set()
    for role in dict.fromkeys(role for table in tables.values() for role in table.roles):
        places = {name: t.roles[role] for name, t in tables.items() if role in t.roles}
        numbered = [n for n in places if _all_types(tables[n], n)[role] in NUMBERED]
        shut = [name for name in numbered if places[name].personal]
        for name in numbered if shut else ():
            if not places[name].personal:
                what = f"{role!r} is personal in {shut[0]}, and its values stand open in {name}."
                mark = f"{role}: {{column: {places[name].column}, personal: true}}"
                mend = f"mark it in both, {mark}."
                if tables[name].summed:
                    mend = "sum by another column: a table of sums cannot hide whose they are."
                problems.append(Problem(what, mend))
                told.add((name, role))
    again = _columns_open_elsewhere(tables, root or Path())
    return problems + [problem for place, problem in again if place not in told]


def _columns_open_elsewhere(
    tables: Mapping[str, Table], root: Path
) -> Iterator[tuple[tuple[str, str], Problem]]:
    """Personal columns of a source that another table reads from the same source unmarked."""
    for name, table in tables.items():
        shut = _shut_elsewhere(name, tables, root)
        for role, column in _read_openly(table):
            if column not in shut:
                continue
            mend = f"mark it there too, {role}: {{column: {column}, personal: true}}."
            if role in table.summed:
                mend = "sum by another column: a table of sums cannot hide whose they are."
            elif role not in table.roles:
                mend = "leave the item out, or take the mark away."
            what = f"{column!r} is personal in {shut[column]}, and {name} reads it openly"
            yield (name, role), Problem(f"{what} as {role!r}.", mend)


def _shut_elsewhere(name: str, tables: Mapping[str, Table], root: Path) -> dict[str, str]:
    """Per column that another table of the same source marks as personal, that table."""
    here = tables[name]
    return {
        column: other
        for other, its in reversed(tables.items())
        if other != name and _same_source(here, its, root)
        for column in _marked(its)
    }


def personal_columns(
    table: Table, tables: Mapping[str, Table], *, root: Path | None = None
) -> frozenset[str]:
    """Columns of a table's source that it, or another table of that source, marks as personal.

    Examples
    --------
    >>> shut = Table(path="a.csv", roles={"agent": {"column": "who", "personal": True}})
    >>> sums = Table(path="./a.csv", summed={"n": "rows"}, where={"who": "x"})
    >>> sorted(personal_columns(sums, {"operations": shut, "counted": sums}))
    ['who']
    """
    alike = [its for its in tables.values() if _same_source(table, its, root or Path())]
    return frozenset(column for its in [table, *alike] for column in _marked(its))


def _marked(table: Table) -> list[str]:
    return [spec.column for spec in table.roles.values() if spec.personal and spec.column]


def _read_openly(table: Table) -> list[tuple[str, str]]:
    """Roles and items of a table that are not marked, and the columns that they read."""
    if table.summed:
        found = [(role, how.column or how.added) for role, how in table.summed.items()]
    else:
        found = [(role, spec.column) for role, spec in table.roles.items() if not spec.personal]
    items = [(item, item) for item in table.items() if item not in table.roles]
    return [(role, column) for role, column in found if column is not None] + items


def _same_source(one: Table, two: Table, root: Path) -> bool:
    """Whether two tables can lie in the same place: a folder or pattern holds its files."""
    if one.database is not None or two.database is not None:
        said = [(each.database, " ".join((each.query or "").split())) for each in (one, two)]
        return said[0] == said[1]
    if None not in (one.sheet, two.sheet) and one.sheet != two.sheet:
        return False
    paths = [_whole_path(each.path or "", root) for each in (one, two)]
    return paths[0] == paths[1] or _holds(*paths) or _holds(*reversed(paths))


def _holds(wide: Path, path: Path) -> bool:
    """Whether a path is the folder of another, or a pattern that it may meet."""
    if path.parent == wide:
        return True
    if not _is_pattern(wide):
        return False
    if wide.parent == path:  # a folder, of which the pattern takes some files
        return True
    return wide.parent == path.parent and (_is_pattern(path) or fnmatch(path.name, wide.name))


def _is_pattern(path: Path) -> bool:
    return any(sign in path.name for sign in "*?[")


def _whole_path(given: str, root: Path) -> Path:
    try:
        return (root / Path(given).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):  # no file can have the name; reading will say so
        return root / given


def _all_types(table: Table, name: str) -> dict[str, str | None]:
    known = KNOWN.get(name, {})
    return {role: spec.type or known.get(role) for role, spec in table.roles.items()}


def suffix(role: str) -> str | None:
    """The unit of time that ends a role's name, if one does.

    Examples
    --------
    >>> suffix("wait_s"), suffix("cost")
    ('s', None)
    """
    tail = role.rsplit("_", 1)[-1]
    return tail if "_" in role and tail in SECONDS else None


def problems_of(table: Table, name: str) -> list[Problem]:
    """List all that is wrong in a description, whatever the data may hold."""
    return [
        *_role_problems(table, name),
        *_item_problems(table, name),
        *_dimension_problems(table, name),
        *_open_again(table, name),
    ]


def _role_problems(table: Table, name: str) -> Iterator[Problem]:
    types = _all_types(table, name)
    if name not in KNOWN and None in types.values():
        yield Problem(
            f"data has a table {name!r}, which no method knows.",
            f"{nearest(name, KNOWN)} A table of your own needs a type for every role.",
        )
        return
    for role, kind in types.items():
        if kind is None:
            known = nearest(role, KNOWN[name])
            yield Problem(
                f"{name} has no role {role!r}.",
                f"{known} A role of your own needs its type: "
                f"{role}: {{column: {table.roles[role].column}, type: number}}.",
            )
        else:
            yield from _type_problems(role, kind, table, name)
            yield from _unit_problems(role, kind, table, name)
    if table.key is not None and table.key not in table.roles:
        yield Problem(
            f"{name}: no role {table.key!r} to be the `key`.", nearest(table.key, table.roles)
        )
    elif table.key in withheld(table, name):
        yield Problem(
            f"{name}: the `key` {table.key!r} is personal and no identifier, so it is not read.",
            f"say what it is: {table.key}: {{column: ..., type: identifier, personal: true}}.",
        )


def _type_problems(role: str, kind: str, table: Table, name: str) -> Iterator[Problem]:
    usual = KNOWN.get(name, {}).get(role, kind)
    if not any({kind, usual} <= alike for alike in ALIKE):
        yield Problem(
            f"{name}: the role {role!r} is a {usual}, not a {kind}.",
            "leave its type out, or give the column to a role of another name.",
        )
    for option in sorted(table.roles[role].options() - OPTIONS[kind]):
        yield Problem(
            f"{name}: `{option}` does not go with {role!r}, which is a {kind}.",
            f"a {kind} takes {', '.join(sorted(OPTIONS[kind]))}.",
        )
    if kind == "duration":
        yield from _duration_problems(role, table, name)


def _duration_problems(role: str, table: Table, name: str) -> Iterator[Problem]:
    types = types_of(table, name)
    times = [other for other, kind in types.items() if kind in ("time", "date")]
    for end in (table.roles[role].start, table.roles[role].end):
        if end in withheld(table, name):
            yield Problem(
                f"{name}: {role!r} runs from or to {end!r}, which is personal and not read.",
                "leave the duration out, or have it reckoned before the data come here.",
            )
        elif end not in times:
            yield Problem(
                f"{name}: {role!r} runs from or to {end!r}, which is no time.", nearest(end, times)
            )
    if f"{role}_open" in table.roles:
        yield Problem(
            f"{name}: {role}_open is made beside {role!r} and cannot be a role too.",
            "give that role another name.",
        )


def _unit_problems(role: str, kind: str, table: Table, name: str) -> Iterator[Problem]:
    unit, said = table.roles[role].unit, suffix(role)
    if kind != "duration":
        if unit is not None and said is None:
            yield Problem(
                f"{name}: {role!r} has the unit {unit!r}, but its name does not say what to"
                " convert it to.",
                f"end the role's name in a unit, such as {role}_min.",
            )
    elif unit is None and said is None:
        yield Problem(f"{name}: {role!r} has no unit.", f"add unit: d, or name the role {role}_d.")
    elif None not in (unit, said) and unit != said:
        yield Problem(
            f"{name}: {role!r} is to be in {unit}, but its name says {said}.",
            "let the two agree.",
        )


def _item_problems(table: Table, name: str) -> Iterator[Problem]:
    for item in table.expectations:
        if item not in table.perceptions():
            yield Problem(
                f"{name}: `expectations` names {item!r}, which is in no dimension.",
                nearest(item, table.perceptions()),
            )
    for item in table.reverse:
        if item not in table.items():
            yield Problem(
                f"{name}: `reverse` names {item!r}, which is no item.",
                nearest(item, table.items()),
            )
    for item in table.items():
        if item in table.roles and table.roles[item].column != item:
            yield Problem(
                f"{name}: {item!r} is an item and also a role that reads another column.",
                "rename the item in the source, or leave out the role.",
            )


def _dimension_problems(table: Table, name: str) -> Iterator[Problem]:
    for dimension, group in table.dimensions.items():
        twice = sorted({item for item in group if group.count(item) > 1})
        if twice or not group:
            yield Problem(
                f"{name}: the dimension {dimension!r} "
                + (f"names {twice[0]!r} twice." if twice else "has no items."),
                "name each of its items once.",
            )


def _open_again(table: Table, name: str) -> Iterator[Problem]:
    """Personal columns whose values come in by another door."""
    for role, spec in table.roles.items():
        if not spec.personal:
            continue
        if spec.column in table.items():
            yield Problem(
                f"{name}: {spec.column!r} is a survey item and cannot be personal.",
                "leave the column out of `dimensions` and `expectations`, or take the mark away.",
            )
        for other, its in table.roles.items():
            if its.column == spec.column and not its.personal:
                yield Problem(
                    f"{name}: {spec.column!r} is personal as {role!r} and stands open as"
                    f" {other!r}.",
                    f"mark {other!r} too, or leave it out.",
                )
