"""Does any item of a survey run against its scale?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, scales
from sqm.checks import need_columns, need_on_scale
from sqm.finding import Finding
from sqm.scales import SOURCE


@dataclass(frozen=True, eq=False)
class Reversed(Finding):
    """Which items run against their scale, on the answers as recorded.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``dimension``, ``item``, ``respondents``; ``estimate``, ``low``,
        ``high``, the correlation with the sum of the other items (-1 to 1);
        ``declared``, whether it is said to be worded in reverse;
        ``runs_against``, whether the whole interval lies below 0; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    confirmed : tuple of str
        Declared, and they run against their scale.
    suspects : tuple of str
        Not declared, but they run against their scale.
    unconfirmed : tuple of str
        Declared, but they do not run against their scale.
    """

    confidence: float
    confirmed: tuple[str, ...]
    suspects: tuple[str, ...]
    unconfirmed: tuple[str, ...]

    def sentence(self) -> str:
        words = [
            f"{len(self.confirmed) + len(self.suspects)} of {len(self.table)} items run against "
            f"their scale as recorded (correlation with the rest wholly below 0 at "
            f"{self.confidence * 100:.4g}%)."
        ]
        if self.confirmed:
            words.append(f"Declared as worded in reverse and found so: {self._each('confirmed')}.")
        if self.suspects:
            words.append(
                f"Not declared: {self._each('suspects')}; read the wording, and declare "
                "the item if it is in reverse."
            )
        if self.unconfirmed:
            words.append(
                f"Declared but not found so: {self._each('unconfirmed')}; "
                "they may have been turned round before."
            )
        unseen = int(self.table["estimate"].isna().sum())
        if unseen:
            words.append(f"{unseen} items could not be judged (see the notes).")
        return " ".join(words)

    def _each(self, which: str) -> str:
        rows = self.table[self.table["item"].isin(getattr(self, which))]
        return ", ".join(
            f"{row.item} ({row.estimate:.2f}, interval {row.low:.2f} to {row.high:.2f}, "
            f"{row.respondents} respondents)"
            for row in rows.itertuples()
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        meaning = np.where(self.table["runs_against"], "worse", "usual")
        meaning[(self.table["runs_against"] & self.table["declared"]).to_numpy()] = "other"
        names = [
            f"{row.dimension} · {row.item}{' (declared)' if row.declared else ''}"
            for row in self.table.itertuples()
        ]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Which items run against their scale?",
            x="correlation with the other items of the scale, as recorded",
        )


def turn_round(
    answers: pd.DataFrame, *, items: Iterable[str], points: tuple[float, float]
) -> pd.DataFrame:
    """Turn reverse-worded items round: low + high - answer; everything else stays.

    Parameters
    ----------
    answers : DataFrame
    items : iterable of str
        Columns to turn round.
    points : tuple of float
        Lowest and highest answer.

    Raises
    ------
    Problem
        If an item is missing or has an answer off the scale.

    Examples
    --------
    >>> answers = pd.DataFrame({"rude": [1, 7, 3]})
    >>> turn_round(answers, items=["rude"], points=(1, 7))["rude"].tolist()
    [7, 1, 5]
    """
    items = list(dict.fromkeys(items))
    need_columns(answers, items, source=SOURCE)
    need_on_scale(answers[items], points=points, source=SOURCE)
    low, high = points
    return answers.assign(**{item: low + high - answers[item] for item in items})


def reversed_items(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    declared: Iterable[str] = (),
) -> Reversed:
    """Find the items that run against their scale, on the answers as recorded.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points, nothing turned round.
    dimensions : dict of str to list of str
        The items of each scale.
    confidence : float, default 0.95
    declared : iterable of str
        Items said to be worded in reverse.

    Returns
    -------
    Reversed

    Raises
    ------
    Problem
        If an item is missing, or a declared one belongs to no scale.

    Notes
    -----
    Each item as recorded is correlated with the sum of the others, those
    turned that are known to run the other way: the declared ones first; then,
    while an item's interval (Fisher's z [1]_) lies wholly below 0 against that
    sum, the lowest is turned and the sums are taken again.  So one reversed item
    does not drag the others down.  No more than half of a scale is turned: beyond
    that nobody could say which side is the scale.

    References
    ----------
    .. [1] Fisher, R. A. (1921). On the probable error of a coefficient of
       correlation. Metron 1, 3-32.

    Examples
    --------
    The sum of the other two is 5, 6, 9, 10 while ``rude`` falls: a correlation
    of -10.5 / sqrt(17 * 6.75) = -0.98.

    >>> answers = pd.DataFrame({"kind": [2, 3, 4, 5], "prompt": [3, 3, 5, 5], "rude": [5, 5, 3, 2]})
    >>> found = reversed_items(answers, dimensions={"staff": list(answers)})
    >>> round(float(found.table["estimate"][2]), 2)
    -0.98
    """
    declared = list(dict.fromkeys(declared))
    scales.need_scales(answers, dimensions, confidence)
    scales.need_members(declared, dimensions)
    table = pd.concat(
        [
            _direction_rows(name, answers[items], declared, confidence)
            for name, items in dimensions.items()
        ],
        ignore_index=True,
    )
    against, said = table["runs_against"], table["declared"]
    return Reversed(
        table=table,
        confidence=confidence,
        confirmed=tuple(table.loc[against & said, "item"]),
        suspects=tuple(table.loc[against & ~said, "item"]),
        unconfirmed=tuple(table.loc[~against & said, "item"]),
    )


# --- Which way an item runs -----------------------------------------------------------------------


def _direction_rows(
    name: str, answers: pd.DataFrame, declared: list[str], confidence: float
) -> pd.DataFrame:
    items, values = list(answers), scales.complete(answers)
    note = scales.why_not(values, items)
    said = np.array([item in declared for item in items])
    r = np.full(len(items), np.nan) if note else _as_recorded(values, said, confidence)
    limits = [scales.fisher(each, len(values), confidence) for each in r]
    if not note and len(items) == 2 and not said.any() and limits[0][1] < 0:
        note = "two items run against each other: which one is reversed, the wording must say"
    return pd.DataFrame(
        {
            "dimension": name,
            "item": items,
            "respondents": len(values),
            "estimate": r,
            "low": [low for low, _ in limits],
            "high": [high for _, high in limits],
            "declared": said,
            "runs_against": [bool(high < 0) for _, high in limits],
            "note": note,
        }
    )


def _as_recorded(values: np.ndarray, said: np.ndarray, confidence: float) -> np.ndarray:
    """Correlation of each item as recorded with the others, these put in one direction."""
    direction = np.where(said, -1.0, 1.0)
    if values.shape[1] == 2 and not said.any():
        return np.full(2, scales.correlation(values[:, 0], values[:, 1]))
    for _ in range(values.shape[1] // 2):
        against = scales.rest_correlations(values * direction)
        lowest = int(np.nanargmin(against)) if np.isfinite(against).any() else 0
        if not scales.fisher(against[lowest], len(values), confidence)[1] < 0:
            break
        direction[lowest] *= -1
    return scales.rest_correlations(values * direction) * direction
