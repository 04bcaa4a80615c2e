"""How is a finding put on the shelf, and taken from it as it was?"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sqm import look, writing
from sqm.finding import Finding

# What a spreadsheet would run if a cell began with it; the wide forms count too.  Blanks, signs
# that nobody sees and quotation marks may stand before it.  A spreadsheet that is set to Spanish or
# German parts cells at semicolons, blind to our quotation marks: each line of a text begins a cell.
RUNS = "=+@＝＋－＠-"
UNSEEN = r"\s\"'\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
BEFORE = rf"[{UNSEEN}\ufff9-\ufffb;]"
FORMULA = re.compile(rf"((?:\A{BEFORE}*+|(?<!{BEFORE}){BEFORE}++))(?=[{RUNS}])")
PARTED = re.compile(r"[;\t\r\n]")
# What a terminal would obey, or what would turn the text around it, if a record were printed there.
OBEYED = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, eq=False)
class Kept:
    """A finding as an earlier phase kept it: its table, its sentence and its named numbers."""

    table: pd.DataFrame
    sentence: str
    numbers: dict[str, Any]


def keep(
    finding: Finding, name: str, *, shelf: Path, phase: str, answer: str, settings: dict[str, Any]
) -> None:
    """Write a finding's table, its sentence and numbers, and its picture into a folder.

    Nothing is written before all three are made, and the record that makes it a finding comes last.
    """
    question, page, notes = _picture(finding, name)
    table = _flat(finding.table)
    record = {
        "name": name,
        "phase": phase,
        "question": question,
        "sentence": finding.sentence(),
        "numbers": {f.name: plain(getattr(finding, f.name)) for f in fields(finding)[1:]},
        "method": f"{type(finding).__module__}.{type(finding).__qualname__}",
        "answer": answer,
        "columns": {str(column): str(table[column].dtype) for column in table},
        "index": _index_names(finding.table),
        "unshown": list(finding.unshown),
        "picture_notes": notes,
        "settings": settings,
    }
    content = {"svg": page, "csv": as_csv(table), "json": writing.as_json(record)}
    shelf.mkdir(parents=True, exist_ok=True)
    for suffix, made in content.items():
        if made:
            writing.write(shelf / f"{name}.{suffix}", made)
        else:
            (shelf / f"{name}.{suffix}").unlink(missing_ok=True)


def recall(name: str, *, shelf: Path) -> Kept:
    """Take a finding from its folder, the table's types as they were."""
    record = json.loads((shelf / f"{name}.json").read_text(encoding="utf-8"))
    return Kept(
        table=_read_table(shelf / f"{name}.csv", record),
        sentence=record["sentence"],
        numbers=record["numbers"],
    )


def files_of(name: str, *, shelf: Path) -> dict[str, str]:
    """The files of a kept finding, each with the SHA-256 of its bytes."""
    return {
        path.name: writing.sha256(path)
        for suffix in ("csv", "json", "svg")
        if (path := shelf / f"{name}.{suffix}").is_file()
    }


def _picture(finding: Finding, name: str) -> tuple[str, bytes, list[str]]:
    """Draw the finding; where there is nothing to draw there is no picture."""
    figure, ax = plt.subplots()
    try:
        drawn = finding.plot(ax)
        page, notes = look.svg(figure) if len(finding.table) else (b"", [])
    except NotImplementedError:
        return name.replace("_", " "), b"", []
    finally:
        plt.close(figure)
    titles = [drawn.get_title(loc=side) for side in ("left", "center", "right")]
    return next((title for title in titles if title), name.replace("_", " ")), page, notes


def plain(value: Any) -> Any:
    """A value as JSON can hold it; what is not a number is null."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(each) for each in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _index_names(table: pd.DataFrame) -> list[str]:
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    return [] if numbered else [str(name or "index") for name in table.index.names]


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    names = _index_names(table)
    return table.rename_axis(index=names).reset_index() if names else table


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV in which no cell and no heading starts a spreadsheet's formula."""
    safe = table.copy()
    for column in safe:
        if not pd.api.types.is_numeric_dtype(safe[column].dtype) and not (
            pd.api.types.is_datetime64_any_dtype(safe[column].dtype)
        ):
            texts = [None if pd.isna(v) else guard(str(v)) for v in safe[column]]
            safe[column] = pd.Series(texts, index=safe.index, dtype=object)
    safe.columns = [guard(str(column)) for column in safe.columns]
    text = safe.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # without quotes it would end the row, and what follows could be a formula
        text = safe.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
    return text.encode("utf-8", errors="replace")


def guard(text: str) -> str:
    """Put a quote before what a spreadsheet would run; `unguard` takes it away.

    Examples
    --------
    >>> guard("=cmd()"), guard("refund"), unguard(guard("=cmd()"))
    ("'=cmd()", 'refund', '=cmd()')
    >>> guard("late;  +1"), guard("late + rude")
    ("late;  '+1", 'late + rude')
    """
    text = FORMULA.sub(lambda found: f"{found[0]}'" if _begins_a_cell(found) else found[0], text)
    return f"'{text}" if re.match(r"'*+[\t\r]", text) else text


def unguard(text: str) -> str:
    """The text as it was before `guard`."""
    text = text[1:] if re.match(r"'++[\t\r]", text) else text
    return FORMULA.sub(
        lambda found: found[0].removesuffix("'") if _begins_a_cell(found) else found[0], text
    )


def _begins_a_cell(before: re.Match[str]) -> bool:
    """Whether what stands before a sign is the text's beginning, or holds what may part cells."""
    return before.start() == 0 or PARTED.search(before[0]) is not None


def _read_table(path: Path, record: dict) -> pd.DataFrame:
    raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    raw.columns = list(record["columns"])
    table = pd.DataFrame(
        {column: _typed(raw[column], kind) for column, kind in record["columns"].items()}
    )
    return table.set_index(record["index"]) if record["index"] else table


def _typed(texts: pd.Series, kind: str) -> pd.Series:
    known = texts.where(texts != "")
    convert: dict[str, Callable[[], pd.Series]] = {
        "bool": lambda: texts.map({"True": True, "False": False}).astype(bool),
        "boolean": lambda: texts.map({"True": True, "False": False}).astype("boolean"),
    }
    if kind in convert:
        return convert[kind]()
    if kind.startswith(("int", "uint", "Int", "UInt", "float", "Float")):
        return _numbers(known, kind)
    if kind.startswith("datetime64"):
        utc = "," in kind
        return pd.to_datetime(known, utc=utc).astype(kind)
    return texts.map(unguard)


def _numbers(texts: pd.Series, kind: str) -> pd.Series:
    """Numbers as they were: whole ones without a detour over floats, which lose the long ones."""
    if kind.startswith(("float", "Float")):
        return pd.to_numeric(texts).astype(kind)
    whole = [pd.NA if pd.isna(text) else int(text) for text in texts]
    return pd.Series(whole, index=texts.index, dtype="object").astype(kind)
