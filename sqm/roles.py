"""What does a study say about a table?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
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

# Options that mean something for each type, besides `column` and `type`.
OPTIONS = {
    "identifier": {"missing"},
    "category": {"missing"},
    "text": {"missing"},
    "number": {"missing", "unit", "range", "scale"},
    "flag": {"missing", "yes", "no"},
    "time": {"missing", "format"},
    "date": {"missing", "format"},
    "duration": {"start", "end", "unit", "clock", "until"},
}

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


class Table(_Strict):
    """One table of a study's ``data`` section: where it lies and what it holds.

    Attributes
    ----------
    path : str
        File, from the repository root, absolute, or from ``~``.
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
    missing: Codes = ()
    missing_answers: Codes = ()
    copies: Literal["each", "once"] = "each"
    key: str | None = None
    roles: dict[str, Role] = Field(default_factory=dict)
    scale: Pair | None = None
    dimensions: dict[str, Columns] = Field(default_factory=dict)
    expectations: dict[str, str] = Field(default_factory=dict)
    reverse: Columns = ()

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
        """Columns of the source that the study reads."""
        named = [role.column for role in self.roles.values() if role.column is not None]
        return tuple(dict.fromkeys([*named, *self.items()]))

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
    """Per role its type: its own, or that of the known role; None where neither says one.

    Examples
    --------
    >>> types_of(Table(path="s.csv", roles={"closed": "b", "mine": "c"}), "complaints")
    {'closed': 'time', 'mine': None}
    """
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
    ]


def _role_problems(table: Table, name: str) -> Iterator[Problem]:
    types = types_of(table, name)
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
        if end not in times:
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
