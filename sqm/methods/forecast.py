"""What is promised of the option that was chosen, before anybody can know how it ends?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.clock import local, read_day
from sqm.finding import Finding, counted
from sqm.interval import digits_for

ENTRY = ("option", "plan", "known_until")  # what tells one promise from another
PROMISE = ("measure", "unit", "estimate", "low", "high")
NAMES = {
    "mean_wait_s": "mean wait",
    "abandoned": "share who hang up",
    "resolved": "resolved at first contact",
    "complaint_rate": "complaints per contact",
}


def promise(
    changes: pd.DataFrame,
    *,
    option: str,
    plan: dict,
    known: pd.DataFrame,
    time: str = "arrived",
    confidence: float,
) -> pd.DataFrame:
    """Lay a prediction out as the rows of a ledger.

    Parameters
    ----------
    changes : DataFrame, one row per measure
        ``measure``, ``unit``, ``estimate``, ``low``, ``high``: the change that is foretold.
    option : str
        The option that is to be carried out.
    plan : dict
        What it consists of, as the study's parameters say.
    known : DataFrame
        The records from which it was foretold.
    time : str
        Column of ``known`` that says when.
    confidence : float
        Level of the intervals, 0 to 1.

    Returns
    -------
    DataFrame, one row per measure
        ``option``, ``plan`` (as text), ``known_until`` (the last day of the records), ``records``
        (their number), ``data_sha256`` (of their content, first 16 figures), the five columns of
        ``changes`` and ``confidence``.

    Raises
    ------
    Problem
        If nothing is promised, or nothing was known.

    Examples
    --------
    >>> changes = pd.DataFrame([["wait", "s", -10.0, -13.0, -7.0]], columns=PROMISE)
    >>> known = pd.DataFrame({"arrived": pd.to_datetime(["2025-09-26 10:00"])})
    >>> row = promise(changes, option="train", plan={"sites": ["N1"]}, known=known, confidence=0.9)
    >>> row[["option", "known_until", "estimate"]].values.tolist()
    [['train', '2025-09-26', -10.0]]
    """
    need_columns(changes, PROMISE, source="the table of changes")
    need_columns(known, [time], source="the records")
    need_share(confidence, name="confidence")
    if changes.empty or not known[time].notna().any():
        raise Problem("There is nothing to promise.", "foretell a change from records that exist.")
    head = {
        "option": _one_line(option),
        "plan": _one_line(json.dumps(plan, ensure_ascii=False, sort_keys=True, default=str)),
        "known_until": f"{local(known[time]).max():%Y-%m-%d}",
        "records": len(known),
        "data_sha256": _content(known, time),
    }
    rows = changes[list(PROMISE)].reset_index(drop=True).assign(confidence=confidence)
    for place, (name, value) in enumerate(head.items()):
        rows.insert(place, name, value)
    return rows


def _one_line(text: str) -> str:
    """A text as a ledger gives it back, where rows of blanks and line breaks are one blank."""
    return " ".join(str(text).replace("\x00", "").split())


def _content(known: pd.DataFrame, time: str) -> str:
    """SHA-256 of the records, the same whatever order they came in."""
    plain = known[sorted(known.columns)].astype({time: str})
    text = plain.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    head, *lines = text.rstrip("\n").split("\n")
    told = "\n".join([head, *sorted(lines)]).encode("utf-8", errors="replace")
    return hashlib.sha256(told).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Forecast(Finding):
    """What stands in the ledger for the chosen option, beside the same calculation made today.

    Attributes
    ----------
    table : DataFrame, one row per measure
        ``measure``, ``unit``; ``estimate, low, high`` as frozen; ``now, now_low, now_high`` as
        calculated today; ``note`` where today's estimate lies outside the frozen interval.
    option, known_until : str
        Which option, and the last day of the records it was foretold from.
    records : int
    data_sha256 : str
        Of those records, first 16 figures.
    data_unchanged : bool
        Whether the records up to that day are still what they were.
    moved : int
        Measures whose estimate of today lies outside the frozen interval.
    earlier : int
        Other promises of the same option that stand before it in the ledger.
    confidence : float
        Level of the frozen intervals.
    """

    option: str
    known_until: str
    records: int
    data_sha256: str
    data_unchanged: bool
    moved: int
    earlier: int
    confidence: float

    def sentence(self) -> str:
        """Say what is promised, from what, and whether it would be promised again today."""
        told = "; ".join(
            f"{NAMES[row.measure]} {_figures(row)}"
            for row in self.table.itertuples()
            if row.measure in NAMES
        )
        return (
            f"Promised of {self.option} ({self.confidence * 100:.4g}% intervals): {told}.\n"
            f"It was frozen from {counted(self.records, 'record')} up to {self.known_until} (hash"
            f" {self.data_sha256}) and stands in the study's ledger, where Control reads it back."
            f" {self._again()}{self._others()}"
        )

    def _again(self) -> str:
        if not self.data_unchanged:
            return (
                "The records up to that day have been changed since: their hash is another one."
                " The promise stands as it was made."
            )
        if self.moved:
            return (
                f"Calculated again now, {counted(self.moved, 'measure')} would lie outside the"
                " frozen interval, because settings or the program changed; the promise stands."
            )
        return "Calculated again now, every estimate lies inside the frozen interval."

    def _others(self) -> str:
        if not self.earlier:
            return ""
        were = "was" if self.earlier == 1 else "were"
        return f" {counted(self.earlier, 'other promise')} of this option {were} frozen before."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each promised change on its own scale, frozen and as calculated today."""
        ax = look.axes(ax)
        rows = self.table[self.table["measure"].isin(NAMES)]
        for place, row in enumerate(rows.itertuples()):
            scale = max(abs(row.low), abs(row.high), abs(row.now_low), abs(row.now_high)) or 1.0
            for kind, values, shift in (
                ("usual", (row.low, row.estimate, row.high), -0.12),
                ("other", (row.now_low, row.now, row.now_high), 0.12),
            ):
                low, middle, high = (value / scale for value in values)
                colour = look.MEANING[kind]
                ax.plot([low, high], [place + shift] * 2, color=colour, lw=1.8)
                ax.plot(middle, place + shift, look.MARKER[kind], color=colour, ms=6)
            ax.text(1.06, place, _figures(row), va="center", fontsize="small")
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        ax.set_yticks(range(len(rows)), [NAMES[name] for name in rows["measure"]])
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-1.1, 2.1), xticks=[0])
        ax.set_xticklabels(["no change"])
        for kind, word in (("usual", "frozen"), ("other", "calculated again now")):
            ax.plot([], [], look.MARKER[kind], color=look.MEANING[kind], label=word)
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.15)}
        ax.legend(frameon=False, ncols=2, fontsize="small", **below)
        title = f"What is promised of {look.shorten(self.option)}?"
        return look.label(ax, title=title, x="change, each measure on its own scale")


def frozen(ledger: pd.DataFrame, rows: pd.DataFrame) -> Forecast:
    """Hold what the ledger says of an option beside the same calculation made today.

    Parameters
    ----------
    ledger : DataFrame
        The whole ledger, see `promise`.
    rows : DataFrame
        What `promise` makes of today's calculation.

    Returns
    -------
    Forecast

    Raises
    ------
    Problem
        If the ledger has no such entry.
    """
    need_columns(ledger, [*ENTRY, *PROMISE, "data_sha256"], source="the ledger of forecasts")
    ledger = _once(ledger)
    of_option = ledger[ledger["option"].astype(str) == rows["option"].iloc[0]]
    entry = of_option[_same(of_option, rows.iloc[0])]
    if entry.empty:
        raise Problem("The ledger does not hold this forecast.", "freeze it first.")
    now = rows[["measure", "estimate", "low", "high"]]
    now = now.set_axis(["measure", "now", "now_low", "now_high"], axis=1)
    table = entry[list(PROMISE)].merge(now, on="measure", how="left")
    moved = ~table["now"].between(table["low"] - _dust(table), table["high"] + _dust(table))
    moved &= table["now"].notna()
    table["note"] = np.where(moved, "calculated now, it lies outside the frozen interval", "")
    first = entry.iloc[0]
    others = of_option[~_same(of_option, rows.iloc[0])].loc[: entry.index[0]]
    return Forecast(
        table=table,
        option=str(first["option"]),
        known_until=str(first["known_until"]),
        records=int(first["records"]),
        data_sha256=str(first["data_sha256"]),
        data_unchanged=str(first["data_sha256"]) == str(rows["data_sha256"].iloc[0]),
        moved=int(moved.sum()),
        earlier=len(others[list(ENTRY)].drop_duplicates()),
        confidence=float(first["confidence"]),
    )


def promised(ledger: pd.DataFrame, *, change_on: str, option: str = "") -> pd.DataFrame:
    """Take from the ledger what was promised last before a change began.

    Parameters
    ----------
    ledger : DataFrame
        See `promise`.
    change_on : str
        First day of the change, as 2025-09-29.
    option : str, optional
        The option that was carried out; blank for the one promised last.

    Returns
    -------
    DataFrame
        The rows of that one entry.

    Raises
    ------
    Refusal
        If nothing was promised, or only from records that reach into the change: such a promise
        foretells nothing.
    """
    if ledger.empty:
        raise Refusal("Nothing was promised.", "name `planned` under improve, and run it first.")
    need_columns(ledger, [*ENTRY, *PROMISE], source="the ledger of forecasts")
    ledger = _once(ledger)
    chosen = ledger[ledger["option"].astype(str).eq(_one_line(option))] if option else ledger
    if chosen.empty:
        known = ", ".join(map(str, ledger["option"].unique()))
        raise Refusal(f"Nothing was promised of {option!r}.", f"the ledger knows {known}.")
    day = read_day(change_on)
    fair = chosen[pd.to_datetime(chosen["known_until"]) < day]
    if fair.empty:
        raise Refusal(
            f"What was promised rests on records up to {chosen['known_until'].max()}, the change"
            f" began on {change_on}.",
            "set `judge_until` under improve to the day of the change.",
        )
    return fair[_same(fair, fair.iloc[-1])].reset_index(drop=True)


def _once(ledger: pd.DataFrame) -> pd.DataFrame:
    """An entry frozen by hand and then by a run stands twice: the first, of the run, counts."""
    return ledger.drop_duplicates([*ENTRY, "measure"], ignore_index=True)


def _same(rows: pd.DataFrame, entry: pd.Series) -> pd.Series:
    return rows[list(ENTRY)].astype(str).eq(entry[list(ENTRY)].astype(str)).all(axis=1)


def _dust(table: pd.DataFrame) -> pd.Series:
    """An interval without width still holds its own estimate, rounding apart."""
    return 1e-9 * table["estimate"].abs()


def _figures(row) -> str:
    times, unit, digits = _shown(row)
    low, middle, high = (value * times for value in (row.low, row.estimate, row.high))
    return f"{middle:+,.{digits}f}{unit} ({low:+,.{digits}f} to {high:+,.{digits}f})"


def _shown(row) -> tuple[float, str, int]:
    share = row.unit.startswith("share")
    times, unit = (100.0, " points") if share else (1.0, f" {row.unit}")
    return times, unit, digits_for(row.low * times, row.high * times)
