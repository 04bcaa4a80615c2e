"""What must the service do for its customers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from sqm import boxes, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_one_of
from sqm.finding import Finding, counted
from sqm.predicate import DIRECTIONS

TEXTS = ("name", "need", "driver", "definition", "table", "measure", "direction")
REQUIRED = (*TEXTS, "limit", "unit", "target")
OPTIONAL = MappingProxyType(
    {
        **{"opportunities": 1, "owner": "", "reaction": ""},
        **{"escalation": "", "escalate_after": 0, "ripens_d": 0},
    }
)


@dataclass(frozen=True, eq=False)
class CtqTree(Finding):
    """From what customers need to what is measured.

    Attributes
    ----------
    table : DataFrame, one row per CTQ, in the order given
        ``ctq`` (its name), ``need``, ``driver``, ``definition``, ``table``,
        ``measure``, ``direction``, ``limit`` (in ``unit``), ``unit``,
        ``target`` (tolerated share of defects, 0 to 1), ``opportunities``,
        ``owner``, ``reaction``, ``escalation``, ``escalate_after``, ``ripens_d``;
        ``weight``, ``weight_low``, ``weight_high``, the share of complaints that
        touch the need, missing if not weighed.
    needs, drivers, ctqs : int
        How many of each.
    uncovered : tuple of str
        Needs that were weighed but have no CTQ, the weightiest first.
    """

    needs: int
    drivers: int
    ctqs: int
    uncovered: tuple[str, ...]

    def sentence(self) -> str:
        said = (
            f"{counted(self.needs, 'need')} of customers, {counted(self.drivers, 'driver')} and "
            f"{counted(self.ctqs, 'CTQ')}."
        )
        if self.uncovered:
            return f"{said} Complained of, but without a CTQ: {', '.join(self.uncovered)}."
        if self.table["weight"].notna().any():
            return f"{said} Every need that complaints weigh has a CTQ."
        return said

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        boxes.canvas(ax, title="What must the service do? Need, driver, CTQ")
        nodes = _tree_nodes(self.table)
        size = boxes.text_size(ax, [(text, box) for text, box, _ in nodes])
        for text, box, parent in nodes:
            if parent is not None:
                middles = [(each.y0 + each.y1) / 2 for each in (parent, box)]
                ax.plot([parent.x1, box.x0], middles, color=look.MEANING["limit"], lw=1, zorder=0)
            boxes.draw(ax, text, box, size=size, filled=parent is None)
        return ax


def ctq_tree(ctqs: Sequence[Mapping], *, weights: pd.DataFrame | None = None) -> CtqTree:
    """Check and arrange the characteristics that are critical to quality (CTQ).

    Parameters
    ----------
    ctqs : sequence of mappings
        Each has ``name``, ``need``, ``driver``, ``definition``, ``table``,
        ``measure``, ``direction`` ("at most" or "at least"), ``limit`` (a
        number in ``unit``), ``unit`` (may be empty) and ``target`` (tolerated
        share of defects, from 0 to below 1); optional ``opportunities`` for a
        defect in one record (default 1), ``owner``, ``reaction`` (what is
        done when an alarm fires), ``escalation`` (to whom it then goes if it
        lasts for ``escalate_after`` periods), ``ripens_d`` (days until all
        that belongs to a period is known).
    weights : DataFrame, optional
        ``need``, ``estimate``, ``low``, ``high``: how much of what is complained
        of touches each need.

    Returns
    -------
    CtqTree

    Raises
    ------
    Problem
        If a key is missing, unknown or of the wrong kind, or a name comes twice.
    Refusal
        If there is no CTQ at all.

    Examples
    --------
    >>> quick = {"name": "answered in time", "need": "be quick", "driver": "waiting",
    ...          "definition": "seconds from ringing to an agent", "table": "operations",
    ...          "measure": "wait_s", "direction": "at most", "limit": 60, "unit": "s",
    ...          "target": 0.2}
    >>> print(ctq_tree([quick]))
    1 need of customers, 1 driver and 1 CTQ.
    """
    if not ctqs:
        raise Refusal("No CTQ is named.", "name at least one under `ctqs`.")
    rows = [_checked(each, at) for at, each in enumerate(ctqs, start=1)]
    table = pd.DataFrame(rows).rename(columns={"name": "ctq"})
    twice = table["ctq"][table["ctq"].duplicated()]
    if len(twice):
        raise Problem(f"Two CTQs are called {twice.iloc[0]!r}.", "give each its own name.")
    table, uncovered = _weighed(table, weights)
    return CtqTree(
        table=table,
        needs=int(table["need"].nunique()),
        drivers=len(table[["need", "driver"]].drop_duplicates()),
        ctqs=len(table),
        uncovered=uncovered,
    )


def _checked(ctq: Mapping, at: int) -> dict:
    """One CTQ with its defaults filled in; every complaint about it names it."""
    if not isinstance(ctq, Mapping):
        raise Problem(f"CTQ number {at} is {ctq!r}.", "write it as names and values.")
    who = f"CTQ {ctq['name']!r}" if ctq.get("name") else f"CTQ number {at}"
    for key in ctq:
        if key not in (*REQUIRED, *OPTIONAL):
            raise Problem(f"{who} has an unknown {key!r}.", nearest(key, (*REQUIRED, *OPTIONAL)))
    for key in REQUIRED:
        if key not in ctq:
            raise Problem(f"{who} has no {key!r}.", f"add `{key}`.")
    full = {key: ctq.get(key, OPTIONAL.get(key)) for key in (*REQUIRED, *OPTIONAL)}
    for key in (*TEXTS, "unit", "owner", "reaction", "escalation"):
        if not isinstance(full[key], str) or (key in TEXTS and not full[key].strip()):
            raise Problem(f"{who}: {key!r} is {full[key]!r}.", "write it as text, between quotes.")
    need_one_of(full["direction"], DIRECTIONS, name=f"{who}: 'direction'")
    _need_numbers(full, who)
    return full


def _need_numbers(ctq: dict, who: str) -> None:
    limit, target, chances = ctq["limit"], ctq["target"], ctq["opportunities"]
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not np.isfinite(limit):
        raise Problem(
            f"{who}: 'limit' is {limit!r}.", f"give a number in {ctq['unit'] or 'units'}."
        )
    if isinstance(target, bool) or not isinstance(target, int | float) or not 0 <= target < 1:
        raise Problem(
            f"{who}: 'target' is {target!r}.",
            "give the share of defects that is tolerated, from 0 to below 1: 0.05 is 5 %.",
        )
    if isinstance(chances, bool) or not isinstance(chances, int) or chances < 1:
        raise Problem(f"{who}: 'opportunities' is {chances!r}.", "give a whole number from 1 up.")
    for key in ("escalate_after", "ripens_d"):
        if isinstance(ctq[key], bool) or not isinstance(ctq[key], int) or ctq[key] < 0:
            raise Problem(f"{who}: {key!r} is {ctq[key]!r}.", "give a whole number, 0 or more.")


def _weighed(
    table: pd.DataFrame, weights: pd.DataFrame | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    columns = {"estimate": "weight", "low": "weight_low", "high": "weight_high"}
    table = table.astype({"limit": float, "target": float})
    if weights is None:
        return table.assign(**dict.fromkeys(columns.values(), np.nan)), ()
    need_columns(weights, ["need", *columns], source="the table of weights")
    by_need = weights.set_index("need")[list(columns)].rename(columns=columns)
    heavy = by_need.sort_values("weight", ascending=False, kind="stable").index
    has = set(table["need"])
    return table.join(by_need, on="need"), tuple(str(each) for each in heavy if each not in has)


def _tree_nodes(table: pd.DataFrame) -> list[tuple[str, Bbox, Bbox | None]]:
    """Text, box and parent's box of every need, driver and CTQ, none over another."""
    places = {"at_need": pd.factorize(table["need"])[0]}
    places["at_driver"] = table.groupby(["need", "driver"], sort=False).ngroup()
    rows = table.assign(**places).sort_values(list(places), kind="stable", ignore_index=True)
    nodes, needs, drivers = [], {}, {}
    for need, part in rows.groupby("need", sort=False):
        needs[need] = _node_box(part.index, len(rows), 0.0, 0.22)
        nodes.append((_need_text(part.iloc[0]), needs[need], None))
    for (need, driver), part in rows.groupby(["need", "driver"], sort=False):
        drivers[need, driver] = _node_box(part.index, len(rows), 0.28, 0.22)
        nodes.append((driver, drivers[need, driver], needs[need]))
    for at, row in rows.iterrows():
        box = _node_box([at], len(rows), 0.56, 0.44)
        nodes.append((_ctq_text(row), box, drivers[row["need"], row["driver"]]))
    return nodes


def _node_box(rows: Sequence[int], of: int, left: float, width: float) -> Bbox:
    """A box in the middle of its rows, as high as they are together or three of them."""
    height = min(len(rows), 3) / of
    middle = 1 - (min(rows) + max(rows) + 1) / (2 * of)
    return Bbox.from_bounds(left, middle - 0.43 * height, width, 0.86 * height)


def _need_text(row: pd.Series) -> str:
    weight = row["weight"]
    return row["need"] if np.isnan(weight) else f"{row['need']}\n{100 * weight:.1f} % of complaints"


def _ctq_text(row: pd.Series) -> str:
    goal = f"{row['direction']} {row['limit']:.6g}\N{NO-BREAK SPACE}{row['unit']}".strip()
    return f"{row['ctq']}: {goal}, tolerated {100 * row['target']:.4g} %"
