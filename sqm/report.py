"""What did the study find, on one page that can be read, printed and signed?"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath, PureWindowsPath
from statistics import median
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

from sqm import look, shelf, writing
from sqm.checks import Problem
from sqm.places import PHASES

QUESTIONS = {
    "define": (
        "What must this service do for its customers, and what does it cost when it does not?"
    ),
    "measure": (
        "Can the numbers be trusted, how good is the service today, and is this a case "
        "for assurance or for improvement?"
    ),
    "analyse": (
        "What makes a contact turn into a complaint, and what do the complaints say in "
        "the customers' own words?"
    ),
    "improve": (
        "What would each improvement bring, in waits, complaints and money, before any is spent?"
    ),
    "control": (
        "Does the service stay where it should, who acts when it does not, and did the "
        "change make the difference?"
    ),
}

SMALL = 12  # rows up to which a table stands open on the page
SHOWN = 20  # rows of a longer table that the page shows; all of them stand in its CSV
LONGEST = 300  # characters of a cell that the page shows
LONGEST_TEXT = 10_000  # characters of any other text

# Signs that no page may hold, and the two that turn letters around so that a name reads as another.
UNSHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\ufffe\uffff]")
# Marks over and under letters; no language sets more than four on one, and a tower of them would
# stand over the lines around it.
MARKS = r"[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
MARKS += r"\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
TOWER = re.compile(f"({MARKS}{{4}}){MARKS}+")

INTERVAL = ("estimate", "low", "high")  # written with the same decimals
UNITS = {"s": "s", "min": "min", "h": "h", "days": "days", "pct": "%", "ppm": "ppm"}
CURRENCIES = {"eur", "usd", "gbp", "chf", "mxn", "cny", "jpy", "inr", "brl", "cop", "ars", "clp"}
NOT_COUNTED = {"year", "id", "seed", "code"}  # whole numbers that are names: no thousands separator

MIDNIGHT = re.compile(r"^(\d{4}-\d\d-\d\d)([ T]00:00:00(\.0+)?(Z|[+-]\d\d:?\d\d)?)?$")


@dataclass(frozen=True)
class Head:
    """What stands above the findings, as the study's parameters give it.

    Attributes
    ----------
    study, title : str
        The study's name and its title.
    language : str
        Language of the title, the organisation and the parameters (``en``,
        ``es``, ``zh``).  The page's own words are English.
    organisation, author, approver, date : str
        Who was studied, who answers for it and when; what is blank is left
        as a ruled line to be filled in by hand.
    currency, time_zone, week : str
        In which money, zone and weeks the numbers are given.
    version : str
        Version of sqm that wrote the page.
    """

    study: str
    title: str
    language: str = "en"
    organisation: str = ""
    author: str = ""
    approver: str = ""
    date: str = ""
    currency: str = ""
    time_zone: str = ""
    week: str = ""
    version: str = ""


@dataclass(frozen=True)
class Column:
    """One column as the page shows it: its heading, its kind and a text (or None) for each row."""

    heading: str
    kind: str
    cells: tuple[str | None, ...]


@dataclass(frozen=True)
class Sheet:
    """The part of a table that the page shows, and how many rows there are in all."""

    columns: tuple[Column, ...]
    rows: int

    @property
    def lines(self) -> list[tuple[str | None, ...]]:
        return list(zip(*(column.cells for column in self.columns), strict=True))

    @property
    def has_interval(self) -> bool:
        return {"low", "high"} <= {column.heading for column in self.columns}

    @property
    def has_blanks(self) -> bool:
        return any(None in column.cells for column in self.columns)


@dataclass(frozen=True)
class Item:
    """One finding from a shelf, ready to be laid out."""

    name: str
    place: str
    number: str
    question: str
    sentence: str
    answer: str
    method: str
    confidence: str
    alarms: int | None
    numbers: dict[str, str]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    sheet: Sheet | None
    picture: str
    files: dict[str, str]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """One phase of the study: what its shelf holds, or that there is none."""

    name: str
    number: int
    begun: bool
    done: bool
    notebook: str
    record: Mapping[str, Any]
    items: tuple[Item, ...]

    @property
    def title(self) -> str:
        return self.name.capitalize()

    @property
    def question(self) -> str:
        return QUESTIONS[self.name]


def render(folder: Path, *, head: Head) -> str:
    """Lay out everything that a study kept as one self-contained page.

    Parameters
    ----------
    folder : Path
        The study's shelves, with one folder a phase.  A phase without a
        ``phase.json`` was not carried out, and the page says so.
    head : Head

    Returns
    -------
    str
        HTML without scripts that asks no other host for anything.  It is made
        from the files alone: the same files give the same text.  Links to
        tables and notebooks are relative to ``folder``.

    Raises
    ------
    Problem
        If a record on a shelf is missing or cannot be read.
    """
    phases = [_phase(folder, name, number) for number, name in enumerate(PHASES, start=1)]
    page = _template().render(
        head=head,
        phases=phases,
        answers=_answers(phases),
        watched=[item for phase in phases for item in phase.items if item.alarms is not None],
        unexamined=sum(len(phase.record.get("not_examined", ())) for phase in phases),
        reasons=[(phase, *each) for phase in phases for each in _reasons(phase)],
        tables=_tables_read(phases),
        set_aside=_set_aside(phases),
        versions=_versions(phases),
        small=SMALL,
        shown=SHOWN,
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _template() -> Any:
    env = Environment(
        autoescape=True,
        finalize=_fit_for_a_page,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["digest"] = _digest
    env.filters["link"] = lambda path: quote(path, safe="/")
    env.filters["plain"] = _plain
    env.tests["nested"] = _is_nested
    text = resources.files("sqm").joinpath("report.html.j2").read_text(encoding="utf-8")
    return env.from_string(text)


def _fit_for_a_page(value: Any) -> Any:
    """Whatever the template writes out; text without signs that would spoil what stands around it.

    Examples
    --------
    >>> _fit_for_a_page("a\\x1b[31mb"), _fit_for_a_page("e" + 9 * "\\u0301") == "e" + 4 * "\\u0301"
    ('a�[31mb', True)
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value  # no text, or what the template itself has laid out
    text = TOWER.sub(r"\1", UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", value[: LONGEST_TEXT + 1]))
    return text if len(value) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _digest(css: str) -> str:
    """The hash by which the page's security policy lets this style sheet through and no other."""
    return base64.b64encode(hashlib.sha256(str(css).encode()).digest()).decode()


# From the shelf


def _phase(folder: Path, name: str, number: int) -> Phase:
    place = folder / name
    done = (place / "phase.json").is_file()
    record = _read_json(place / "phase.json", phase=name) if done else {}
    notebook = f"{name}/{number}-{name}.ipynb"
    kept = enumerate(record.get("kept", ()), start=1)
    return Phase(
        name=name,
        number=number,
        begun=place.is_dir(),
        done=done,
        notebook=notebook if (folder / notebook).is_file() else "",
        record=record,
        items=tuple(_item(place, each, f"{number}.{count}") for count, each in kept),
    )


def _read_json(file: Path, *, phase: str) -> dict[str, Any]:
    where = f"{phase}/{file.name}"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise Problem(f"{where} is missing.", f"carry out {phase} again.") from missing
    except ValueError as unread:
        raise Problem(f"{where} cannot be read: {unread}.", f"carry out {phase} again.") from unread


def _item(place: Path, kept: Mapping[str, Any], number: str) -> Item:
    name, files = kept["name"], kept.get("files", {})
    found = _read_json(place / f"{name}.json", phase=place.name)
    numbers = found.get("numbers", {})
    alarms = numbers.get("alarms")
    return Item(
        name=name,
        place=f"{place.name}/{name}",
        number=number,
        question=found.get("question") or name.replace("_", " ").capitalize(),
        sentence=found.get("sentence", ""),
        answer=found.get("answer", ""),
        method=found.get("method", ""),
        confidence=_level(numbers.get("confidence", found.get("settings", {}).get("confidence"))),
        alarms=alarms if isinstance(alarms, int) else None,
        numbers={_heading(key): _number(value) for key, value in numbers.items()},
        settings=found.get("settings", {}),
        notes=tuple(found.get("picture_notes", ())),
        sheet=_sheet(place / f"{name}.csv", found.get("columns", {}), found.get("unshown", ())),
        picture=_picture(place / f"{name}.svg"),
        files={f"{place.name}/{file}": sha256 for file, sha256 in files.items()},
        changed=tuple(file for file, sha256 in files.items() if _differs(place / file, sha256)),
    )


def _level(confidence: Any) -> str:
    return f"{confidence * 100:.4g}%" if isinstance(confidence, float) else ""


def _differs(file: Path, sha256: str) -> bool:
    return not file.is_file() or writing.sha256(file) != sha256


def _picture(file: Path) -> str:
    """A picture as an address of its own; inside an ``img`` no script of an SVG ever runs."""
    if not file.is_file():
        return ""
    return "data:image/svg+xml;base64," + base64.b64encode(file.read_bytes()).decode()


# Across the phases


def _answers(phases: Iterable[Phase]) -> dict[str, list[Item]]:
    """Headline questions in the order of the phases, each with the findings that answer it."""
    answers: dict[str, list[Item]] = {}
    for phase in phases:
        for item in phase.items:
            if item.answer:
                answers.setdefault(item.answer, []).append(item)
    return answers


def _tables_read(phases: Iterable[Phase]) -> list[dict[str, Any]]:
    """Every file that was read, once, with the phases that read it."""
    read: dict[tuple[str, ...], dict[str, Any]] = {}
    for phase in phases:
        for each in phase.record.get("read", ()):
            key = (each["table"], each["file"], each["sha256"])
            row = read.setdefault(
                key, {**each, "file": _without_folders(each["file"]), "phases": []}
            )
            row["phases"].append(phase.title)
    names = [table for table, _, _ in read]
    return [{**row, "versions": names.count(row["table"])} for row in read.values()]


def _set_aside(phases: Iterable[Phase]) -> list[dict[str, Any]]:
    """What the reading of the tables left out or changed, once, with the phases concerned."""
    notes: dict[tuple[Any, ...], dict[str, Any]] = {}
    for phase in phases:
        for read in phase.record.get("read", ()):
            for note in read.get("notes", ()):
                row = {"table": read["table"], **note}
                row = notes.setdefault(tuple(map(str, row.values())), {**row, "phases": []})
                if phase.title not in row["phases"]:
                    row["phases"].append(phase.title)
    return list(notes.values())


def _reasons(phase) -> list[tuple[str, str, list[str]]]:
    """Why questions of a phase were not answered, what it would take, and which they are."""
    asked: dict[tuple[str, str], list[str]] = {}
    for each in phase.record.get("not_examined", ()):
        asked.setdefault((each["reason"], each["mend"]), []).append(each["question"])
    return [(*why, questions) for why, questions in asked.items()]


def _versions(phases: Iterable[Phase]) -> list[tuple[str, str, list[str]]]:
    """Each program and its version, with the phases that ran on it."""
    found: dict[tuple[str, str], list[str]] = {}
    for phase in phases:
        for program, version in phase.record.get("versions", {}).items():
            found.setdefault((program, version), []).append(phase.title)
    return [(*key, found[key]) for key in sorted(found)]


def _without_folders(text: str) -> str:
    """Leave out the folders of somebody's machine: they say nothing to a reader."""
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(text)
        if path.is_absolute() and len(path.parts) > 2:
            return path.name
    return text


# Values as a reader likes them


class _Yaml(yaml.SafeDumper):
    """YAML in which a short list stands on one line and all else on lines of its own."""

    def represent_list(self, data: list) -> yaml.Node:
        flow = not any(isinstance(each, dict | list) for each in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


_Yaml.add_representer(list, _Yaml.represent_list)


def _plain(value: Any) -> str:
    """Write a parameter as the study's YAML would, so that it can be copied from the page."""
    if isinstance(value, str):
        return _without_folders(value)
    text = yaml.dump(_portable(value), Dumper=_Yaml, allow_unicode=True, sort_keys=False, width=88)
    return text.removesuffix("...\n").rstrip("\n")


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_portable(each) for each in value]
    return _without_folders(value) if isinstance(value, str) else value


def _is_nested(value: Any) -> bool:
    inner = value if isinstance(value, list) else []
    return isinstance(value, dict) or any(isinstance(each, dict | list) for each in inner)


def _sheet(file: Path, dtypes: Mapping[str, str], unshown: Iterable[str] = ()) -> Sheet | None:
    """Read a kept table as text and write each column in the manner of its type."""
    if not file.is_file():
        return None
    try:
        table = pd.read_csv(file, dtype=str, na_filter=False, index_col=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        return Sheet((), 0)
    table = table.drop(columns=list(unshown), errors="ignore")
    top = table if len(table) <= SHOWN else table.head(SHOWN)
    given = {name: [cell or None for cell in top[name]] for name in top}
    kinds = {
        name: _kind(dtypes.get(shelf.unguard(name), ""), cells) for name, cells in given.items()
    }
    interval = [cell for name in INTERVAL for cell in given.get(name, ())]
    columns = []
    for name, cells in given.items():
        alike = interval if name in INTERVAL else cells
        texts = _cells(cells, kind=kinds[name], name=name, alike=alike)
        columns.append(Column(_heading(name), kinds[name], tuple(texts)))
    return Sheet(tuple(columns), len(table))


def _kind(dtype: str, cells: Sequence[str | None]) -> str:
    """Tell numbers, dates, flags and text apart; an index has no type of its own on the shelf."""
    for start, kind in (("int", "whole"), ("uint", "whole"), ("float", "number")):
        if dtype.lower().startswith(start):
            return kind
    if dtype.startswith("bool"):
        return "flag"
    if dtype.startswith("datetime"):
        return "time"
    known = [cell for cell in cells if cell]
    if not dtype and known and all(re.fullmatch(r"-?(0|[1-9]\d*)", cell) for cell in known):
        return "whole"
    return "text"


def _cells(
    cells: Sequence[str | None], *, kind: str, name: str, alike: Sequence[str | None]
) -> list[str | None]:
    if kind == "whole":
        apart = not NOT_COUNTED & set(name.lower().split("_"))
        return [_whole(cell, apart=apart) for cell in cells]
    if kind == "number":
        decimals = _decimals([_float(cell) for cell in alike])
        return [_figures(_float(cell), decimals=decimals) for cell in cells]
    if kind == "flag":
        return [{"True": "yes", "False": "no"}.get(cell or "", cell) for cell in cells]
    if kind == "time":
        dates = [MIDNIGHT.match(cell) for cell in cells if cell]
        return [cell[:10] if cell and all(dates) else cell for cell in cells]
    return [_unguarded(cell or "") for cell in cells]


def _unguarded(cell: str) -> str:
    """Text without its guard against spreadsheets, and no longer than fits."""
    return look.shorten(shelf.unguard(cell), width=LONGEST)


def _float(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan


def _decimals(values: Sequence[float], *, digits: int = 3) -> int:
    """Decimals that show ``digits`` figures of a typical value, one more of the largest at most.

    Examples
    --------
    >>> _decimals([0.3104, 0.2253]), _decimals([0.5, 0.25]), _decimals([812.0, 590.0])
    (3, 2, 0)
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes:
        return 0
    place = math.floor(math.log10(max(sizes))), math.floor(math.log10(median(sizes)))
    most = min(max(min(digits - place[0], digits - 1 - place[1]), 0), 6)
    enough = (d for d in range(most) if all(math.isclose(v, round(v, d)) for v in sizes))
    return next(enough, most)


def _whole(cell: str | None, *, apart: bool) -> str | None:
    """Write a whole number, its thousands apart unless it is a name such as a year."""
    if cell is None or not apart or not re.fullmatch(r"-?\d+", cell):
        return cell
    return _typeset(f"{int(cell):,}")


def _figures(value: float, *, decimals: int) -> str | None:
    """Write a number with a column's decimals, or with two figures where these would hide it.

    Examples
    --------
    >>> [_figures(value, decimals=3) for value in (1234.5, 0.25, 0.00012, -0.0)]
    ['1,234.500', '0.250', '0.00012', '0.000']
    >>> _figures(-1.5e-7, decimals=2), _figures(float("nan"), decimals=2)
    ('−1.5 × 10⁻⁷', None)
    """
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    hidden = 0 < abs(value) < 0.5 * 10.0 ** (1 - decimals)
    style = ".2g" if hidden else ".3g" if abs(value) >= 1e15 else f",.{decimals}f"
    return _typeset(f"{value + 0.0:{style}}")


def _typeset(text: str) -> str:
    mantissa, _, power = text.replace("-", "−").partition("e")
    if not power:
        return mantissa
    raised = str(int(power.replace("−", "-"))).translate(
        str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    )
    return f"{mantissa} × 10{raised}"


def _number(value: Any) -> str:
    """Write one named number of a finding."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int | float):
        return _figures(float(value), decimals=_decimals([float(value)], digits=4)) or "–"
    if isinstance(value, list):
        return ", ".join(map(_number, value)) or "none"
    return look.shorten(str(value), width=LONGEST)


def _heading(name: str) -> str:
    """A column's name as words, its unit in brackets.

    Examples
    --------
    >>> _heading("wait_s"), _heading("cost_eur"), _heading("alpha_without")
    ('wait (s)', 'cost (EUR)', 'alpha without')
    """
    words = shelf.unguard(name).split("_")
    unit = UNITS.get(words[-1]) or (words[-1].upper() if words[-1] in CURRENCIES else "")
    if unit and len(words) > 1:
        return f"{' '.join(words[:-1])} ({unit})"
    return " ".join(words).strip() or "row"
