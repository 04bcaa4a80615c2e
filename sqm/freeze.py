"""What is written into a study's ledgers, by whom and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

import sqm
from sqm import chart_limits, ledger, parameters, shelf
from sqm.checks import Problem, nearest

PROPOSED = {"limits": "limits_proposed", "cycles": "cycle"}  # ledger: what Control keeps for it
SIGNED = ("who", "why", "frozen_on", "sqm")


@dataclass(frozen=True)
class Frozen:
    """What one ledger was given.

    Attributes
    ----------
    path : Path
        The ledger.
    rows : int
        Rows written; 0 if all of them stand there already.
    """

    path: Path
    rows: int


def freeze(
    study: str, *, root: Path, out: Path, who: str, why: str, only: str = ""
) -> list[Frozen]:
    """Write what the last run of Control proposes into the study's ledgers, signed.

    Parameters
    ----------
    study : str
        Its name, or the path of its file.
    root, out : Path
        The project, and where its runs are kept.
    who, why : str
        Who answers for the entry, and the reason.
    only : {"", "limits", "cycles"}, default ""
        One ledger only; blank for all.

    Returns
    -------
    list of Frozen

    Raises
    ------
    Problem
        If nothing is proposed, a name or reason is blank, or a ledger is not as it was written.
    """
    found, problems = parameters.check(study, root=root)
    if problems:
        raise problems[0]
    for name, words in (("who", who), ("why", why)):
        if not words.strip():
            raise Problem(f"{name} is blank.", "an entry of a ledger names its author and reason.")
    if only and only not in PROPOSED:
        raise Problem(f"There is no ledger {only!r}.", nearest(only, PROPOSED))
    place = out / found.study / "control"
    folder = root / found.ledger if found.ledger else out / found.study / "ledger"
    written = []
    for name, kept in PROPOSED.items():
        if (only and name != only) or not (place / f"{kept}.json").is_file():
            continue
        rows = shelf.recall(kept, shelf=place).table
        rows = chart_limits.to_freeze(rows) if name == "limits" else rows
        signed = {"who": who.strip(), "why": why.strip(), "frozen_on": f"{date.today():%Y-%m-%d}"}
        rows = rows.assign(**signed, sqm=sqm.__version__)
        path = folder / f"{name}.csv"
        written.append(Frozen(path, ledger.append_new(path, rows, apart_from=SIGNED)))
    if not written:
        raise Problem(
            f"{found.study}: Control has kept nothing to be frozen{f' in {only}' if only else ''}.",
            f"run it first: sqm run {found.study}",
        )
    return written


def alerts(study: str, *, out: Path) -> pd.DataFrame:
    """What fired in the study's last run of Control: its kept table ``alerts``.

    Raises
    ------
    Problem
        If Control kept no such table: then nothing was watched, which is no good news.
    """
    place = out / study / "control"
    if not (place / "alerts.json").is_file():
        raise Problem(
            f"{study}: nothing was watched.", "see in the report why no series could be charted."
        )
    return shelf.recall("alerts", shelf=place).table
