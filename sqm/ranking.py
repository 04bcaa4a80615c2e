"""Which of the needs weighs most, in words and in a picture?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.finding import counted
from sqm.interval import spell


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The heaviest first, with their ``rank``; equal weights share one, and stand by name.

    Examples
    --------
    >>> table = pd.DataFrame({"need": ["b", "c", "a"], "estimate": [0.25, 0.5, 0.25]})
    >>> ranked(table)[["need", "rank"]].values.tolist()
    [['c', 1], ['a', 2], ['b', 2]]
    """
    rounded = table.assign(place=table["estimate"].round(12))
    table = rounded.sort_values(["place", "need"], ascending=[False, True], ignore_index=True)
    rank = table.pop("place").rank(method="min", ascending=False).astype(int)
    return table.assign(rank=rank)


def heaviest(table: pd.DataFrame, confidence: float) -> str:
    """The heaviest needs with their intervals, and the lightest: an answer's first line."""
    told = []
    for row in table.head(2).itertuples():
        limits = [100 * each for each in (row.estimate, row.low, row.high)]
        found = (
            spell(*limits, confidence=confidence, digits=1, unit="%")
            if np.isfinite(row.low)
            else f"{limits[0]:.1f} %"
        )
        told.append(f"{look.shorten(row.need, width=40)}: {found}")
    more = f"; the lightest {look.shorten(str(table['need'].iloc[-1]), width=30)}"
    last = f"{more}: {100 * table['estimate'].iloc[-1]:.1f} %" if len(table) > 2 else ""
    return f"Of {counted(len(table), 'need')} the heaviest is {', then '.join(told)}{last}."


def dots(ax: Axes | None, table: pd.DataFrame, *, title: str) -> Axes:
    """Draw the weights with their intervals, and what each would be if all weighed the same."""
    ax = look.axes(ax)
    look.dots(ax, table, names=table["need"])
    ax.set_xlim(left=0)
    ax.axvline(1 / len(table), color=look.MEANING["limit"], ls="--", lw=1.2, zorder=1)
    ax.annotate(
        "equal weights",
        (1 / len(table), 0),
        (3, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        size=8,
        color=look.MEANING["usual"],
    )
    return look.label(ax, title=title, x="weight (0 to 1, all together 1)")
