"""Do the items of a survey scale agree with each other?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, scales
from sqm.finding import Finding
from sqm.interval import spell


@dataclass(frozen=True, eq=False)
class Reliability(Finding):
    """Internal consistency of each scale of a survey.

    Attributes
    ----------
    table : DataFrame, one row per dimension
        ``dimension``; ``items``; ``respondents`` who answered all of them;
        ``left_out``, who left one blank; ``estimate``, ``low``, ``high``,
        Cronbach's alpha (two items: Spearman-Brown); ``weakest_item``, whose
        absence leaves alpha highest; ``alpha_without_weakest``; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    turned : tuple of str
        Items that had been turned round before.
    """

    confidence: float
    turned: tuple[str, ...]

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return f"No scale's consistency can be given: {self._unsaid()}"
        worst, best = known.loc[known["estimate"].idxmin()], known.loc[known["estimate"].idxmax()]
        words = [f"The items agree least for {self._one(worst)}"]
        words[0] += f" and most for {self._one(best)}." if len(known) > 1 else "."
        words[0] += "\n"
        words.append(
            "The coefficient is Cronbach's alpha (1: the items say the same, 0: they share "
            "nothing) with Feldt's interval, on the respondents who answered every item of the "
            f"scale ({known['left_out'].min()} to {known['left_out'].max()} left one blank)."
        )
        two = known.loc[known["items"] == 2, "dimension"]
        if len(two):
            words.append(f"Two items only, so Spearman-Brown instead: {', '.join(two)}.")
        words += [self._gain(row) for row in known.itertuples() if _gains(row)]
        if self.turned:
            words.append(f"Turned round before: {', '.join(self.turned)}.")
        if len(known) < len(self.table):
            words.append(f"Not given: {self._unsaid()}")
        return " ".join(words).replace("\n ", "\n")

    def _one(self, row: pd.Series) -> str:
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        return f"{row['dimension']}: {found} on {row['respondents']} respondents"

    def _gain(self, row) -> str:
        return (
            f"Without {row.weakest_item}, {row.dimension} would reach "
            f"{row.alpha_without_weakest:.2f}."
        )

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        return "; ".join(f"{row.dimension} ({row.note})" for row in rest.itertuples()) + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} ({row.items} items)" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names)
        gain = [row for row in self.table.itertuples() if _gains(row)]
        if gain:
            ax.plot(
                [row.alpha_without_weakest for row in gain],
                [row.Index for row in gain],
                marker=look.MARKER["better"],
                color=look.MEANING["better"],
                ls="",
                mfc="none",
                label="without the weakest item",
            )
            ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="Do the items of each scale agree?",
            x="Cronbach's alpha (1: they say the same)",
        )


@dataclass(frozen=True, eq=False)
class ItemTable(Finding):
    """How each item of each scale behaves.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``dimension``, ``item``, ``respondents``; ``mean`` and ``sd`` in scale
        points; ``estimate``, ``low``, ``high``, the correlation with the sum of
        the other items (-1 to 1); ``alpha_without``, the scale's alpha if the
        item were dropped (NaN below three items); ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return "No item can be judged against its scale (see the notes)."
        weakest = known.loc[known["estimate"].idxmin()]
        found = spell(
            weakest["estimate"], weakest["low"], weakest["high"], confidence=self.confidence
        )
        return (
            f"Of {len(known)} items, {weakest['item']} goes least with the rest of its scale "
            f"({weakest['dimension']}): correlation {found} on {weakest['respondents']} "
            f"respondents. The next lies at {known['estimate'].nsmallest(2).iloc[-1]:.2f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} · {row.item}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="How far does each item go with its scale?",
            x="correlation with the other items of the scale",
        )


def cronbach_alpha(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    turned: Iterable[str] = (),
) -> Reliability:
    """Measure how far the items of each scale agree.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points, items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each scale.
    confidence : float, default 0.95
        Level of the intervals, between 0 and 1.
    turned : iterable of str
        Items that were turned round, to be named in the sentence.

    Returns
    -------
    Reliability
        A scale of one item, with an item that never varies, or with fewer than four complete
        rows gets NaN and a note.

    Raises
    ------
    Problem
        If an item is missing from ``answers``.

    Notes
    -----
    With k items, item variances s_i^2 and variance s^2 of the total,
    alpha = k / (k - 1) * (1 - sum(s_i^2) / s^2) [1]_.  Its interval is
    1 - (1 - alpha) F with F the quantiles of F(n - 1, (n - 1)(k - 1)) [2]_.
    A row with a blank in the scale is left out before anything is computed, so
    that alpha and its interval rest on the same respondents.  Two items:
    2 r / (1 + r) [3]_, the limits those of r by Fisher's z.

    References
    ----------
    .. [1] Cronbach, L. J. (1951). Psychometrika 16, 297-334.
       doi:10.1007/BF02310555
    .. [2] Feldt, L. S., Woodruff, D. J., Salih, F. A. (1987). Applied
       Psychological Measurement 11, 93-103. doi:10.1177/014662168701100107
    .. [3] Eisinga, R., te Grotenhuis, M., Pelzer, B. (2013). International
       Journal of Public Health 58, 637-642. doi:10.1007/s00038-012-0416-3

    Examples
    --------
    Item variances 5/3, 4/3, 8/3 sum to 17/3; totals 4, 7, 10, 13 have
    variance 15: alpha is 3/2 (1 - 17/45).

    >>> answers = pd.DataFrame({"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4],
    ...                         "listens": [1, 3, 3, 5]})
    >>> found = cronbach_alpha(answers, dimensions={"courtesy": list(answers)})
    >>> round(float(found.table["estimate"][0]), 4)
    0.9333
    """
    scales.need_scales(answers, dimensions, confidence)
    rows = [_scale_row(name, answers[items], confidence) for name, items in dimensions.items()]
    return Reliability(
        table=pd.DataFrame(rows),
        confidence=confidence,
        turned=tuple(dict.fromkeys(turned)),
    )


def item_table(
    answers: pd.DataFrame, *, dimensions: dict[str, list[str]], confidence: float = 0.95
) -> ItemTable:
    """Show how each item of each scale behaves, on the complete rows of its scale.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    dimensions : dict of str to list of str
    confidence : float, default 0.95

    Returns
    -------
    ItemTable

    Notes
    -----
    The correlation of an item with the sum of the others (corrected item-total
    correlation) has Fisher's z interval.

    Examples
    --------
    ``a`` against b + c = 3, 5, 7, 9 rises in step: a correlation of 1.

    >>> answers = pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 2, 4, 4], "c": [1, 3, 3, 5]})
    >>> float(item_table(answers, dimensions={"s": ["a", "b", "c"]}).table["estimate"][0].round(9))
    1.0
    """
    scales.need_scales(answers, dimensions, confidence)
    rows = [_item_rows(name, answers[items], confidence) for name, items in dimensions.items()]
    return ItemTable(table=pd.concat(rows, ignore_index=True), confidence=confidence)


# --- The numbers ----------------------------------------------------------------------------------


def _scale_row(name: str, answers: pd.DataFrame, confidence: float) -> dict:
    items, about = list(answers), scales.summary(answers, confidence=confidence)
    judged = np.isfinite(about["estimate"]) and len(items) > 2
    weakest, without = _weakest(scales.complete(answers), items) if judged else ("", np.nan)
    note = about.pop("note")
    more = {"weakest_item": weakest, "alpha_without_weakest": without, "note": note}
    return {"dimension": name, **about, **more}


def _weakest(values: np.ndarray, items: list[str]) -> tuple[str, float]:
    without = [scales.alpha_without(values, i) for i in range(len(items))]
    best = int(np.nanargmax(without)) if np.isfinite(without).any() else 0
    return items[best], without[best]


def _gains(row) -> bool:
    return row.items > 2 and row.alpha_without_weakest > row.estimate


def _item_rows(name: str, answers: pd.DataFrame, confidence: float) -> pd.DataFrame:
    items, values = list(answers), scales.complete(answers)
    note = scales.why_not(values, items)
    total = values.sum(axis=1)
    rows = []
    for i, item in enumerate(items):
        column = values[:, i]
        r = np.nan if note else scales.correlation(column, total - column)
        low, high = scales.fisher(r, len(values), confidence)
        rows.append(
            {
                "dimension": name,
                "item": item,
                "respondents": len(values),
                "mean": float(column.mean()) if len(column) else np.nan,
                "sd": float(column.std(ddof=1)) if len(column) > 1 else np.nan,
                "estimate": r,
                "low": low,
                "high": high,
                "alpha_without": np.nan if note else scales.alpha_without(values, i),
                "note": note,
            }
        )
    return pd.DataFrame(rows)
