"""What does a study's file say, and is every word of it understood?"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sqm import roles, sources
from sqm.checks import Problem, nearest
from sqm.clock import Calendar, read_day
from sqm.places import PHASES, locate, need_name, notebook

LARGEST_FILE = 1_000_000  # bytes: a study's file is written by hand
DEEPEST = 50  # lists and mappings within each other
HEAD = ("study", "title", "language", "report", "data")
SETTINGS = ("time_zone", "currency", "calendar", "ledger")
# What a value must be beyond its kind; a name means the same in every notebook.
SHARES = {"confidence", "false_alarm", "tolerable", "stability_bar", "band", "tolerance"}
SHARES |= {"answered_share", "answered_chance", "alarm_budget"}
LEAST = {
    **dict.fromkeys(("draws", "weeks", "watched", "alarm_periods", "smallest_group"), 1),
    **dict.fromkeys(("combinations", "years", "horizon_weeks", "answered_within_s", "limit_s"), 1),
    **dict.fromkeys(("budget", "trial_runs"), 0),
    "resamples": 10,
    "seed": 0,
}
ONE_OF = {
    "decision": ("", "adopt", "adapt", "abandon"),
    "compared_better": ("lower", "higher"),
}
DAY = re.compile(r".*_(until|on)")


class Sign(BaseModel):
    """Who stands behind the report; what is blank is left as a line to fill in by hand."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    organisation: str = ""
    author: str = ""
    approver: str = ""
    date: str = ""


class Hours(BaseModel):
    """When the service works, as the file gives it; see `sqm.clock.Calendar`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    opens: float = 0
    closes: float = 24
    days: list[str] = Field(default=["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    holidays: list[str] = []
    week_starts: str = "Mon"


@dataclass(frozen=True)
class StudyFile:
    """One study: its head, its tables and what it sets in each phase.

    Attributes
    ----------
    path : Path
        The YAML file.
    study, title, language, currency : str
    report : Sign
    calendar : Calendar
    ledger : str
        Folder of what is written down for good, from the project's own; blank for one in out/.
    tables : dict of str to roles.Table
    sections : dict of str to dict
        Per phase, the parameters that this study sets.
    sha256 : str
        Of the file's bytes as they were read.
    """

    path: Path
    study: str
    title: str
    language: str
    report: Sign
    currency: str
    calendar: Calendar
    ledger: str
    tables: dict[str, roles.Table]
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's first cell: what may be set, its default and what it means."""

    name: str
    kind: str
    default: Any
    meaning: str


def load(study: str, *, root: Path) -> StudyFile:
    """Read a study's file; the first thing that is wrong with it is raised.

    Raises
    ------
    Problem
        If the file is missing, no safe YAML, or says something unknown.
    """
    path = locate(study, root=root)
    found, problems = _understand(*_read_yaml(path), path)
    if problems:
        raise problems[0]
    _need_own_folder(found.ledger, root=root, path=path)
    return found


def check(
    study: str, *, root: Path, changes: Iterable[str] = ()
) -> tuple[StudyFile, list[Problem]]:
    """Everything about a study that can be known before a notebook runs.

    Parameters
    ----------
    study : str
        Name, or path of a YAML file.
    root : Path
        The project.
    changes : iterable of str
        ``phase.name=value`` overrides, as `sqm run --set` takes them.

    Returns
    -------
    StudyFile or None, list of Problem
        The study with the changes applied, and all that is wrong.
    """
    try:
        path = locate(study, root=root)
        said, sha256 = _read_yaml(path)
    except Problem as problem:
        return None, [problem]
    found, problems = _understand(said, sha256, path)
    if found is None:
        return None, problems
    found, refused = _apply(found, changes)
    problems += refused
    _collect(problems, lambda: _need_own_folder(found.ledger, root=root, path=path))
    for phase, section in found.sections.items():
        problems += _check_section(phase, section, root=root, path=path)
    problems += roles.personal_problems(found.tables, root=root)
    for name, table in found.tables.items():
        problems += sources.check(table, name, root=root, calendar=found.calendar)
    return found, problems


def parameters_of(phase: str, *, root: Path) -> dict[str, Parameter]:
    """Read what a notebook can be given from its cell tagged ``parameters``."""
    path = notebook(phase, root=root)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]  # nbformat takes two seconds
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", []):
            return _parse_parameters("".join(cell["source"]))
    raise Problem(f"{path.name} has no cell tagged 'parameters'.", "tag its first code cell.")


# --- reading ------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML without its traps: NO and on are words, 12:30 is a text, 2025-01-31 is a text."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 - the name is PyYAML's

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """A text of whole letters; JSON writes some of them as two halves."""
        text = super().construct_scalar(node)
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise _trap("half a letter stands there", node) from None


for _tag, _pattern, _first in (
    ("bool", r"true|false|True|False", "tfTF"),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", "-+0123456789"),  # what is longer is a name
    (
        "float",
        r"[-+]?((0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.|[0-9](?=[eE]))([eE][-+]?[0-9]+)?",
        "-+0123456789.",
    ),
    ("null", r"~|null|", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float):
            raise yaml.constructor.ConstructorError(
                None, None, "a name must be a word", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} stands twice", key_node.start_mark
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def read_value(text: str) -> Any:
    """Read one YAML value the way study files are read.

    Examples
    --------
    >>> read_value("0.90"), read_value("NO"), read_value("[1, 7]")
    (0.9, 'NO', [1, 7])
    """
    _need_no_trap(text)
    return yaml.load(text, Loader=_Loader)  # a SafeLoader, only stricter


def _need_no_trap(text: str) -> None:
    """Insist on YAML that says what it says where it stands, before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _trap("an alias (*name) stands where the value has to be written out", event)
        if getattr(event, "tag", None):
            raise _trap(f"a tag ({event.tag}) stands there", event)
        if depth > DEEPEST:
            raise _trap(f"more than {DEEPEST} lists or mappings lie within each other", event)


def _trap(problem: str, where: yaml.Event | yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, where.start_mark)


def _read_yaml(path: Path) -> tuple[dict, str]:
    """What a study's file says, and the SHA-256 of the bytes that said it."""
    if path.stat().st_size > LARGEST_FILE:
        raise Problem(
            f"{path.name} is larger than {LARGEST_FILE:,} bytes.",
            "a study's file holds parameters; put data into data/.",
        )
    try:
        content = path.read_bytes()
        said = read_value(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Problem(
            f"{path.name} is not UTF-8 text (byte {error.start}).", "save it as UTF-8."
        ) from None
    except yaml.YAMLError as error:
        raise Problem(f"{path.name} is no readable YAML: {_where(error)}.", _yaml_help()) from None
    if not isinstance(said, dict):
        raise Problem(f"{path.name} holds no sections.", "begin with a line such as `study: name`.")
    return said, hashlib.sha256(content).hexdigest()


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or 'it cannot be parsed'}{place}"


def _yaml_help() -> str:
    return "mend that line; indent with blanks, and put texts that hold : or # into quotes."


# --- understanding ------------------------------------------------------------------------------


def _understand(said: dict, sha256: str, path: Path) -> tuple[StudyFile | None, list[Problem]]:
    problems = [
        Problem(f"{path.name} has an unknown section {key!r}.", nearest(key, (*HEAD, *PHASES)))
        for key in said
        if key not in (*HEAD, *PHASES)
    ]
    data = said.get("data") or {}
    if not isinstance(data, dict):
        return None, [*problems, Problem(f"{path.name}: data is no mapping.", "name tables in it.")]
    name = str(said.get("study", path.stem))
    tables = {
        str(key): _model(roles.Table, value, f"{path.name}: data.{key}", problems)
        for key, value in data.items()
        if key not in SETTINGS
    }
    sign = _model(Sign, said.get("report") or {}, f"{path.name}: report", problems)
    if not tables:
        problems.append(
            Problem(f"{path.name} names no table.", "name one under `data`; `sqm new` begins it.")
        )
    calendar = _collect(problems, lambda: _calendar(data, path, problems))
    _collect(problems, lambda: need_name(name))
    sections = {phase: said.get(phase) or {} for phase in PHASES}
    problems += [
        Problem(f"{path.name}: {phase} is no mapping.", "write `name: value` lines under it.")
        for phase, section in sections.items()
        if not isinstance(section, dict)
    ]
    if calendar is None or sign is None or any(table is None for table in tables.values()):
        return None, problems
    found = StudyFile(
        path=path,
        sha256=sha256,
        study=name,
        title=str(said.get("title") or name),
        language=str(said.get("language") or "en"),
        report=sign,
        currency=str(data.get("currency") or ""),
        calendar=calendar,
        ledger=str(data.get("ledger") or ""),
        tables=tables,
        sections={p: s if isinstance(s, dict) else {} for p, s in sections.items()},
    )
    return found, problems


def _need_own_folder(ledger: str, *, root: Path, path: Path) -> None:
    """Insist on a folder within the project, wherever links on the way to it lead."""
    try:
        inside = (root / ledger).resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise Problem(
            f"{path.name}: data.ledger {ledger!r} lies outside the project.",
            "name a folder in it, such as data/<study>/ledger.",
        )


def _collect(problems: list[Problem], attempt: Callable[[], Any]) -> Any:
    try:
        return attempt()
    except Problem as problem:
        problems.append(problem)
        return None


def _model(model: type[BaseModel], said: Any, where: str, problems: list[Problem]) -> Any:
    try:
        return model.model_validate(said)
    except Problem as problem:
        problems.append(Problem(f"{where}: {problem.what}", problem.mend))
    except ValidationError as error:
        problems += [_translate(each, model, where) for each in error.errors(include_url=False)]
    return None


def _translate(error: dict, model: type[BaseModel], where: str) -> Problem:
    """Turn one of pydantic's errors into words an analyst can act on."""
    place = ".".join([where, *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        return Problem(f"{place} is not known.", nearest(error["loc"][-1], model.model_fields))
    if error["type"] == "missing":
        return Problem(f"{place} is missing.", "add it.")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Problem):
        return Problem(f"{where}: {cause.what}", cause.mend)
    what = error["msg"].removeprefix("Value error, ")
    what, _, mend = what.partition("\n  To mend: ")
    return Problem(f"{place}: {what}", mend or f"it says {str(error['input'])[:80]!r}: change it.")


def _calendar(data: dict, path: Path, problems: list[Problem]) -> Calendar:
    hours = _model(Hours, data.get("calendar") or {}, f"{path.name}: data.calendar", problems)
    zone = str(data.get("time_zone") or "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Problem(
            f"{path.name}: data.time_zone {zone!r} is not known.",
            "use a name such as Europe/Madrid or America/Mexico_City.",
        ) from None
    hours = hours or Hours()
    return Calendar(
        time_zone=zone,
        opens=hours.opens,
        closes=hours.closes,
        days=tuple(hours.days),
        holidays=tuple(_holiday(day, path) for day in hours.holidays),
        week_starts=hours.week_starts,
    )


def _holiday(day: str, path: Path) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise Problem(
            f"{path.name}: data.calendar.holidays holds {day!r}.", "write dates as 2025-12-25."
        ) from None


# --- sections and changes -----------------------------------------------------------------------


def _apply(found: StudyFile, changes: Iterable[str]) -> tuple[StudyFile, list[Problem]]:
    sections = {phase: dict(section) for phase, section in found.sections.items()}
    problems = []
    for change in changes:
        name, equals, text = change.partition("=")
        phase, dot, parameter = name.strip().partition(".")
        if not (equals and dot and parameter) or phase not in PHASES:
            problems.append(
                Problem(
                    f"--set {change!r} names no parameter.",
                    "write phase.name=value, for example measure.confidence=0.9.",
                )
            )
            continue
        try:
            sections[phase][parameter] = read_value(text)
        except yaml.YAMLError as error:
            problems.append(Problem(f"--set {change!r}: {_where(error)}.", _yaml_help()))
    return replace(found, sections=sections), problems


def _check_section(phase: str, section: dict, *, root: Path, path: Path) -> list[Problem]:
    known = parameters_of(phase, root=root)
    problems = []
    for name, value in section.items():
        if name == "study" or name not in known:
            others = [each for each in known if each != "study"]
            problems.append(
                Problem(f"{path.name}: {phase} has no parameter {name!r}.", nearest(name, others))
            )
        elif not _is_kind(value, known[name].kind):
            problems.append(
                Problem(
                    f"{path.name}: {phase}.{name} is {value!r}, where a {known[name].kind} is due.",
                    f"it means: {known[name].meaning or 'see the notebook'}.",
                )
            )
        elif mend := _out_of_range(name, value):
            problems.append(Problem(f"{path.name}: {phase}.{name} is {value!r}.", mend))
    return problems


def _out_of_range(name: str, value: Any) -> str:
    """Say how a value of the right kind is to be mended; blank if it can be meant."""
    if name in SHARES and not 0 < value < 1:
        return "give a share between 0 and 1, neither of them."
    if name in LEAST and not value >= LEAST[name]:
        return f"give {LEAST[name]} or more."
    if name in ONE_OF and value not in ONE_OF[name]:
        return nearest(value, filter(None, ONE_OF[name]))
    if DAY.fullmatch(name) and value:
        try:
            read_day(value)
        except Problem as problem:
            return problem.mend
    return ""


def _is_kind(value: Any, kind: str) -> bool:
    kinds = {"str": str, "int": int, "float": int | float, "bool": bool, "list": list, "dict": dict}
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, kinds[kind.partition("[")[0]])


def _parse_parameters(source: str) -> dict[str, Parameter]:
    meanings = _comments(source)
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            found[name] = Parameter(
                name=name,
                kind=ast.unparse(node.annotation),
                default=ast.literal_eval(node.value),
                meaning=meanings.get(node.end_lineno, ""),
            )
    return found


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
