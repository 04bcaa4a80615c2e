"""The link between a notebook and its study: tables come in, findings are kept and recalled."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.core.magic import no_var_expand, output_can_be_silenced

import sqm
from sqm import ledger, look, roles, shelf, sources, writing
from sqm.checks import Problem, Refusal, nearest
from sqm.finding import Finding
from sqm.parameters import load, parameters_of
from sqm.places import DEFAULT_STUDY, PHASES, find_root, need_name, out_folder

PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn", "pingouin", "matplotlib")


class Study:
    """What a notebook knows of the study it carries out.

    Parameters
    ----------
    study : str
        Name of a study in params/, or the path of a YAML file.
    phase : str
        One of define, measure, analyse, improve, control.

    Attributes
    ----------
    title, language, currency : str
    calendar : sqm.clock.Calendar
        When the service works, in which time zone, and what a week is.
    shelf : Path
        The folder into which this notebook's findings go.

    Notes
    -----
    A batch run names the shelf in the environment variable ``SQM_SHELF``.
    Whatever is run by hand writes under ``by-hand/``, which no report reads.
    """

    def __init__(self, study: str = DEFAULT_STUDY, *, phase: str) -> None:
        if phase not in PHASES:
            raise Problem(f"There is no phase {phase!r}.", nearest(phase, PHASES))
        self.phase = phase
        self.root = find_root()
        self._file = load(study, root=self.root)
        self.study, self.title = self._file.study, self._file.title
        self.language, self.currency = self._file.language, self._file.currency
        self.calendar = self._file.calendar
        self._finished = out_folder(self.root) / self.study
        by_hand = self._finished / "by-hand" / phase
        self.shelf = Path(os.environ.get("SQM_SHELF") or by_hand)
        self._readings: dict[str, sources.Reading] = {}
        self._people = sources.People(self._file.tables, root=self.root)
        self._kept: list[str] = []
        self._not_examined: dict[str, dict[str, str]] = {}
        self._unmade: dict[str, str] = {}  # names that passed-over cells make, with their questions
        self._recalled: dict[str, str] = {}
        self._ledgers_read: set[str] = set()
        look.apply()
        _register_needs(self)

    # --- tables -----------------------------------------------------------------------------

    def table(self, name: str) -> pd.DataFrame:
        """The named table, its columns called by their roles."""
        return self.reading(name).table.copy(deep=False)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table that the study has, by name."""
        return {name: self.table(name) for name in self.tables_named}

    @property
    def tables_named(self) -> list[str]:
        """The names of the tables that the study has."""
        return list(self._file.tables)

    def reading(self, name: str) -> sources.Reading:
        """A table with what was noticed and set aside while it was read; read once."""
        if name not in self._readings:
            self._readings[name] = sources.read(
                self._spec(name),
                name,
                root=self.root,
                calendar=self.calendar,
                people=self._people,
            )
        return self._readings[name]

    def notes(self) -> pd.DataFrame:
        """What was set aside in all the tables read so far."""
        notes = [reading.notes for reading in self._readings.values()]
        return pd.concat(notes, ignore_index=True) if notes else pd.DataFrame()

    def keys(self) -> dict[str, str]:
        """Per table, the role that names a row."""
        return {name: table.key for name, table in self._file.tables.items() if table.key}

    def times(self) -> dict[str, str]:
        """Per table, the role that says when: its first role of a time or a date."""
        found = {}
        for name, table in self._file.tables.items():
            types = roles.types_of(table, name)
            when = [role for role, kind in types.items() if kind in ("time", "date")]
            found |= {name: when[0]} if when else {}
        return found

    @property
    def dimensions(self) -> dict[str, list[str]]:
        """The survey's dimensions, each with its perception items."""
        return self.dimensions_of("survey")

    def dimensions_of(self, table: str) -> dict[str, list[str]]:
        """The dimensions of a table of items or of their correlations."""
        return {name: list(items) for name, items in self._spec(table).dimensions.items()}

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest answer of each of the survey's roles that has a scale."""
        roles_of = self._spec("survey").roles
        return _Scales({name: role.scale for name, role in roles_of.items() if role.scale})

    @property
    def perceptions(self) -> list[str]:
        """The perception items of all dimensions."""
        return [item for items in self.dimensions.values() for item in items]

    @property
    def expectations(self) -> dict[str, str]:
        """For each perception item the item that asks for the expectation."""
        return dict(self._spec("survey").expectations)

    @property
    def reverse_worded(self) -> list[str]:
        """The survey items that the study declares as worded in reverse."""
        return list(self._spec("survey").reverse)

    @property
    def points(self) -> tuple[float, float]:
        """Lowest and highest answer of the survey's items."""
        scale = self._spec("survey").scale
        if scale is None:
            raise Refusal(
                "The survey's items have no scale.",
                "give the lowest and highest answer, as `scale: [1, 7]` under data.survey.",
            )
        return scale

    def lacks(self, need: str) -> str:
        """Say why ``need`` is not met; blank if it is.

        Parameters
        ----------
        need : str
            A table (``survey``), a role of one (``survey.recommend``), an
            earlier phase's finding (``define.ctq_tree``), or a name that an
            earlier cell of this notebook should have made (``drivers``).
        """
        whole, _, part = need.partition(".")
        if whole in PHASES:
            found, done = self._find(whole, part), (self._finished / whole / "phase.json").is_file()
            why = "its question was not answered" if done else "carry out that phase first"
            return "" if found else f"{whole} has kept no {part!r}; {why}"
        if whole in self._file.tables:
            spec = self._file.tables[whole]
            if part in roles.withheld(spec, whole):
                return f"{part!r} of the table {whole!r} is marked as personal, so it is not read"
            known = {"dimensions": spec.dimensions, "expectations": spec.expectations}
            met = not part or part in roles.columns_of(spec) or bool(known.get(part))
            return "" if met else f"the table {whole!r} of this study has no {part!r}"
        if not part and whole in _namespace():
            value = _namespace()[whole]
            empty = isinstance(value, str | list | dict | float) and not value
            if empty and whole not in parameters_of(self.phase, root=self.root):
                return f"nothing was put into {whole!r}"
            return f"the study sets no {whole!r}" if empty else ""
        if whole in roles.KNOWN:
            return f"the study has no table {whole!r}"
        cause = self.cause(whole)
        return cause["reason"] if cause else f"it rests on {whole!r}, which was not made"

    def cause(self, name: str) -> dict[str, str] | None:
        """The note of the unanswered question whose cell would have made ``name``, if any."""
        return self._not_examined.get(self._unmade.get(name, ""))

    def withheld(self, table: str) -> tuple[str, ...]:
        """The roles of a table that are personal and not read."""
        return roles.withheld(self._spec(table), table)

    def _spec(self, name: str) -> roles.Table:
        if name not in self._file.tables:
            raise Problem(
                f"The study {self.study} has no table {name!r}.",
                f"add it under `data` in {self._file.path.name}; "
                + nearest(name, self._file.tables),
            )
        return self._file.tables[name]

    # --- findings ---------------------------------------------------------------------------

    def keep(self, finding: Finding, name: str, *, answer: str = "") -> None:
        """Put a finding on the shelf: its table, its sentence and numbers, its picture.

        Parameters
        ----------
        finding : Finding
        name : str
            Names the files; letters, digits, - and _.
        answer : str, default ""
            The question of the report's first screen that this finding
            answers; blank for a finding that stands in its phase only.
        """
        need_name(name)
        shelf.keep(
            finding,
            name,
            shelf=self.shelf,
            phase=self.phase,
            answer=answer,
            settings=self._settings(),
        )
        self._kept = [each for each in self._kept if each != name] + [name]

    def recall(self, phase: str, name: str) -> shelf.Kept:
        """Take a finding of this or an earlier phase from its shelf, types as they were.

        Raises
        ------
        Problem
            If the phase has not kept it.
        """
        found = self._find(phase, name)
        if found is None:
            raise Problem(
                f"The phase {phase} has kept no {name!r} for the study {self.study}.",
                f"carry out {phase} first.",
            )
        self._recalled[f"{phase}/{name}"] = writing.sha256(found / f"{name}.csv")
        return shelf.recall(name, shelf=found)

    def freeze(self, rows: pd.DataFrame, name: str, *, same: Iterable[str]) -> pd.DataFrame:
        """Write rows into a ledger of the study, once and for good.

        Parameters
        ----------
        rows : DataFrame
            One entry; the columns in ``same`` hold one value each.
        name : str
            Names the ledger.
        same : iterable of str
            Columns that say which entry it is: where the ledger has one with the same values,
            that one stands and nothing is written.

        Returns
        -------
        DataFrame
            The whole ledger, with the version of sqm that wrote each row.
        """
        there = self.ledger(name)
        entry = {column: str(rows[column].iloc[0]) for column in same}
        alike = [
            there[column].astype(str) == value for column, value in entry.items() if len(there)
        ]
        if not alike or not pd.concat(alike, axis=1).all(axis=1).any():
            ledger.append(self._ledgers(name)[-1], rows.assign(sqm=sqm.__version__))
        return self.ledger(name)

    def ledger(self, name: str) -> pd.DataFrame:
        """What stands in a ledger of the study; empty if nothing was written yet."""
        self._ledgers_read.add(name)
        read = [ledger.read(path) for path in self._ledgers(name)]
        return pd.concat([rows for rows in read if len(rows)] or read[:1], ignore_index=True)

    def _ledgers(self, name: str) -> list[Path]:
        """The study's own ledger, and last the one to write to: by hand that is another."""
        need_name(name)
        folder = self.root / self._file.ledger if self._file.ledger else self._finished / "ledger"
        by_hand = [] if os.environ.get("SQM_SHELF") else [self._finished / "by-hand" / "ledger"]
        return [place / f"{name}.csv" for place in (folder, *by_hand)]

    def not_examined(self, question: str, *, reason: str, mend: str) -> None:
        """Note for the report a question that was not answered, why, and what it would take.

        Of a question that several cells share the first reason stays: it is the cause.
        """
        note = {"question": question, "reason": reason, "mend": mend}
        self._not_examined.setdefault(question, note)

    def examined(self, question: str) -> None:
        """Take back a note of `not_examined`: a cell that is run again may now give the answer."""
        self._not_examined.pop(question, None)

    def unmade(self, question: str, names: Iterable[str]) -> None:
        """Remember which names a passed-over cell would have made, for those who need them."""
        self._unmade |= {name: question for name in names if question}

    def close(self) -> pd.DataFrame:
        """Write the phase's record, last of all: only with it does the phase count as done.

        Returns
        -------
        DataFrame
            What was kept and what was not examined.
        """
        self.shelf.mkdir(parents=True, exist_ok=True)
        record = {
            "study": self.study,
            "phase": self.phase,
            "parameters": self._settings(),
            "read": [_read_record(n, self._readings[n]) for n in sorted(self._readings)],
            "recalled": dict(sorted(self._recalled.items())),
            "ledgers": sorted(self._ledgers_read),
            "kept": [
                {"name": name, "files": shelf.files_of(name, shelf=self.shelf)}
                for name in self._kept
            ],
            "not_examined": list(self._not_examined.values()),
            "versions": versions(),
        }
        writing.write(self.shelf / "phase.json", writing.as_json(record))
        kept = [(name, "kept", "") for name in self._kept]
        missing = [(e["question"], "not examined", e["reason"]) for e in record["not_examined"]]
        return pd.DataFrame(kept + missing, columns=["what", "state", "reason"])

    def _find(self, phase: str, name: str) -> Path | None:
        """The shelf that holds a finding: this run's own, by hand before the batch's."""
        shelves = [self._finished / phase]
        if not os.environ.get("SQM_SHELF"):
            shelves.insert(0, self._finished / "by-hand" / phase)
        if phase == self.phase:
            shelves.insert(0, self.shelf)
        return next((place for place in shelves if (place / f"{name}.json").is_file()), None)

    def _settings(self) -> dict[str, Any]:
        """The parameters this notebook runs with, as they stand in its first cell now."""
        known = parameters_of(self.phase, root=self.root)
        given = _namespace()
        return {
            name: shelf.plain(given.get(name, parameter.default))
            for name, parameter in known.items()
            if name != "study"
        }


class _Scales(dict[str, tuple[float, float]]):
    """Scales by role; asked for one that the study does not give, they refuse the question."""

    def __missing__(self, role: str) -> tuple[float, float]:
        raise Refusal(
            f"The survey's {role!r} has no scale.",
            f"give its lowest and highest answer: {role}: {{column: …, scale: [1, 7]}}.",
        )


def versions() -> dict[str, str]:
    """What made the numbers: sqm, Python and the packages that compute."""
    return {
        "sqm": sqm.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


# --- the %%needs magic --------------------------------------------------------------------------


def _namespace() -> dict[str, Any]:
    shell = get_ipython()
    return shell.user_ns if shell else {}


def _register_needs(here: Study) -> None:
    """Teach the notebook ``%%needs``; outside a notebook there is nothing to teach."""
    shell = get_ipython()
    if shell is None:
        return

    @no_var_expand
    @output_can_be_silenced
    def needs(line: str, cell: str) -> Any:
        wanted, _, question = line.partition(":")
        question = question.strip()
        for need in wanted.split():
            if reason := here.lacks(need):
                here.unmade(question, _made(shell, cell))
                return _pass_over(here, question, reason, _mend(need, here))
        try:
            shown = _run(shell, cell)
        except Refusal as refusal:
            here.unmade(question, _made(shell, cell))
            return _pass_over(here, question or wanted, refusal.what, refusal.mend)
        here.examined(question)
        return shown

    shell.register_magic_function(needs, magic_kind="cell", magic_name="needs")


def _run(shell: Any, cell: str) -> Any:
    """Run a cell's lines in the notebook's own namespace and hand back its last expression."""
    code = shell.transform_cell(cell)
    name = shell.compile.cache(code)
    tree = shell.compile.ast_parse(code, filename=name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), shell.user_ns)  # it is the user's own cell
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval"), shell.user_ns)


def _made(shell: Any, cell: str) -> set[str]:
    """The names that a cell sets."""
    nodes = ast.walk(shell.compile.ast_parse(shell.transform_cell(cell)))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _pass_over(here: Study, question: str, reason: str, mend: str) -> None:
    if question:
        here.not_examined(question, reason=reason, mend=mend)
        print(f"Not examined: {question}\n  Why: {reason}\n  To mend: {mend}")


def _mend(need: str, here: Study) -> str:
    whole, _, part = need.partition(".")
    if whole in PHASES:
        return f"run the phase {whole} of this study, and see what it could not examine."
    if whole in here.tables_named and part in here.withheld(whole):
        return "leave it so; or, if the people agree, take `personal: true` off its role."
    if whole in roles.KNOWN:
        there = whole in here.tables_named and part
        what = "items" if part in ("dimensions", "expectations") else "column"
        return f"name the {what if there else 'table'} under data.{whole} in the study's file."
    if whole in parameters_of(here.phase, root=here.root):
        return f"set {whole} under {here.phase} in the study's file."
    cause = here.cause(whole)
    return cause["mend"] if cause else "see why the earlier cell was passed over."


def _read_record(name: str, reading: sources.Reading) -> dict[str, Any]:
    return {
        "table": name,
        "file": reading.file,
        "sha256": reading.sha256,
        "rows": reading.rows,
        "notes": [
            {key: shelf.plain(value) for key, value in note.items() if key != "table"}
            for note in reading.notes.to_dict("records")
        ],
    }
