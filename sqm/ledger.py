"""What was written down before the outcome was known, and does it still stand as it was written?"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock
import numpy as np
import pandas as pd

from sqm import shelf, writing
from sqm.checks import Problem

SEAL = "seal"
PATIENCE = 60  # seconds to wait for others that are adding rows


def read(path: Path) -> pd.DataFrame:
    """Read a ledger and insist that no row was changed or taken away since it was written.

    Parameters
    ----------
    path : Path
        A CSV file; where there is none, the ledger is empty.

    Returns
    -------
    DataFrame
        Columns of numbers as numbers, all others as text; without the seals.

    Raises
    ------
    Problem
        If the file is no ledger, or a row does not fit its seal.

    Notes
    -----
    The seal of a row is the SHA-256 of the seal before it and the row's own text.  A changed, added
    or missing row breaks every seal that follows.  Whoever can write the file can also seal it
    anew: keep it under version control.
    """
    return _typed(_texts(path).drop(columns=SEAL, errors="ignore"))


def append(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Write rows at the end of a ledger; what stands there already is never touched.

    Returns
    -------
    DataFrame
        The whole ledger, as `read` gives it.

    Raises
    ------
    Problem
        If the ledger has other columns, does not stand as it was written, or cannot be written.

    Notes
    -----
    Processes that add rows at the same time take turns: each reads what the one before it wrote.
    """
    with _alone(path):
        return _added(path, rows)


def _added(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    there = _texts(path)
    new = pd.DataFrame({column: [_text(value) for value in rows[column]] for column in rows})
    columns = [column for column in there if column != SEAL] or list(new)
    if list(new) != columns:
        raise Problem(
            f"{path.name} has the columns {', '.join(columns)}; the new rows have others.",
            "move the old ledger aside, so that a new one begins.",
        )
    seal = there[SEAL].iloc[-1] if len(there) else ""
    new[SEAL] = _seals(new, seal)
    whole = pd.concat([there, new], ignore_index=True)
    shown = whole.map(lambda text: text if _is_number(text) else shelf.guard(text))
    _write(path, shown.to_csv(index=False, lineterminator="\n").encode("utf-8"))
    return _typed(whole.drop(columns=SEAL))


def append_new(path: Path, rows: pd.DataFrame, *, apart_from: Sequence[str] = ()) -> int:
    """Write those rows that the ledger does not hold yet.

    Parameters
    ----------
    path : Path
    rows : DataFrame
    apart_from : sequence of str
        Columns that do not make a row another one, such as who wrote it.

    Returns
    -------
    int
        Rows written.
    """
    with _alone(path):
        there = _texts(path)
        own = [column for column in rows if column not in apart_from]
        held = set() if there.empty else set(map(tuple, there.reindex(columns=own).to_numpy()))
        told = [tuple(_text(value) for value in row) for row in rows[own].itertuples(index=False)]
        new = rows[[each not in held for each in told]]
        if len(new):
            _added(path, new)
    return len(new)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a ledger from reading to writing: what another added meanwhile would be lost."""
    held = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=PATIENCE)
    except filelock.Timeout:
        raise Problem(
            f"The ledger {path.name} is being written by another process.",
            "wait for it, then run again.",
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield
    finally:
        held.release()


def _write(path: Path, content: bytes) -> None:
    try:
        writing.write(path, content)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem(
        f"The ledger {path.name} cannot be written: {error.strerror or error}.",
        f"see that {path.parent.name}/ is a folder that may be written to, and that no folder"
        f" is called {path.name}.",
    )


def _texts(path: Path) -> pd.DataFrame:
    """The ledger as text, its seals tried."""
    if not path.is_file():
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        why = str(error).strip().rstrip(".")
        raise Problem(f"{path.name} is no ledger: {why}.", "restore it from a copy.") from None
    if SEAL not in table:
        raise Problem(f"{path.name} is no ledger: no column {SEAL!r}.", "restore it from a copy.")
    table = table.apply(lambda column: column.map(shelf.unguard))
    right = _seals(table.drop(columns=SEAL), "")
    for row, (is_there, due) in enumerate(zip(table[SEAL], right, strict=True), start=2):
        if is_there != due:
            raise Problem(
                f"{path.name}: line {row} does not stand as it was written; it, or a line before"
                " it, was changed or taken away.",
                "restore the file from version control; a ledger is only ever added to.",
            )
    return table


def _seals(table: pd.DataFrame, seal: str) -> list[str]:
    seals = []
    for row in table.itertuples(index=False):
        told = "\x1f".join([seal, *row]).encode("utf-8", errors="replace")
        seal = hashlib.sha256(told).hexdigest()[:16]
        seals.append(seal)
    return seals


def _text(value: object) -> str:
    """A cell as it is written; a line break would be read back in another form."""
    if pd.isna(value):
        return ""
    text = repr(float(value)) if isinstance(value, float) else str(value)
    return " ".join(text.replace("\x00", "").split())


def _is_number(text: str) -> bool:
    """Whether a spreadsheet takes the cell for a number, so that its minus sign starts nothing."""
    return re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", text) is not None


def _typed(texts: pd.DataFrame) -> pd.DataFrame:
    return texts.apply(_numbers) if len(texts) else texts


def _numbers(column: pd.Series) -> pd.Series:
    """A column as numbers, if each would be written again as it stands: a name 007 is no 7."""
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce")
    same = [text in ("", *_written(n)) for text, n in zip(column, numbers, strict=True)]
    return numbers if all(same) and numbers.notna().any() else column


def _written(number: float) -> tuple[str, ...]:
    if not np.isfinite(number):
        return ()
    return repr(float(number)), str(int(number))
