"""Do the items of a survey scale agree with each other?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_on_scale, need_share
from sqm.finding import Finding
from sqm.interval import spell

SOURCE = "the answers"
FEWEST = 4  # complete rows below which no interval (Fisher's needs n - 3) can be given


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


@dataclass(frozen=True, eq=False)
class Careless(Finding):
    """Respondents who gave one answer throughout, and what they do to the scales.

    Attributes
    ----------
    table : DataFrame, two rows per dimension
        ``dimension``; ``who``, ``all`` or ``without one-answer``; ``items``;
        ``respondents``; ``estimate``, ``low``, ``high``, alpha (two items:
        Spearman-Brown) after the declared items are turned round; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    respondents, left_out : int
        Respondents who answered at least half of the items, and the others.
    one_answer : int
        Respondents who gave the same answer to every item they answered.
    share : float
        ``one_answer`` over ``respondents``.
    items : int
        Items looked at.
    longest_median, longest_95 : float
        Half, and 95 of 100 respondents, have no longer run of one answer.
    """

    confidence: float
    respondents: int
    left_out: int
    one_answer: int
    share: float
    items: int
    longest_median: float
    longest_95: float

    def sentence(self) -> str:
        words = (
            f"{self.one_answer} of {self.respondents} respondents ({self.share:.1%}) gave one "
            f"answer to all {self.items} items as recorded; the median respondent's longest run of "
            f"one answer is {self.longest_median:.0f}, that of 95 in 100 at most "
            f"{self.longest_95:.0f} (blanks skipped, items in the order asked)."
        )
        if self.left_out:
            words += f" {self.left_out} who answered fewer than half of the items are not judged."
        if self.one_answer:
            words += f" {self._change()} Show both; leaving people out is a choice to be stated."
        return words

    def _change(self) -> str:
        scales = self.table.set_index("dimension")
        before = scales.loc[scales["who"] == "all", "estimate"]
        after = scales.loc[scales["who"] == "without one-answer", "estimate"]
        change = (after - before).dropna()
        if change.empty:
            return "No scale's alpha can be compared without them."
        most = change.abs().idxmax()
        return (
            f"Without them alpha moves most for {most}: from {before[most]:.2f} "
            f"to {after[most]:.2f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        meaning = np.where(self.table["who"] == "all", "usual", "other")
        names = [f"{row.dimension} · {row.who}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        return look.label(
            ax, title="Do one-answer respondents change the scales?", x="Cronbach's alpha"
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
    _need_scales(answers, dimensions, confidence)
    _need_members(declared, dimensions)
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
    _need_scales(answers, dimensions, confidence)
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
    _need_scales(answers, dimensions, confidence)
    rows = [_item_rows(name, answers[items], confidence) for name, items in dimensions.items()]
    return ItemTable(table=pd.concat(rows, ignore_index=True), confidence=confidence)


def careless(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    dimensions: dict[str, list[str]],
    declared: Iterable[str] = (),
    confidence: float = 0.95,
) -> Careless:
    """Count respondents who gave one answer throughout, and compare alpha with and without them.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers as recorded, nothing turned round: an item worded in reverse is
        what makes one answer throughout implausible.
    items : iterable of str
        All items looked at, in the order in which they were asked.
    dimensions : dict of str to list of str
        The scales whose alpha is compared.
    declared : iterable of str
        Items worded in reverse; turned round for alpha alone.
    confidence : float, default 0.95

    Returns
    -------
    Careless

    Raises
    ------
    Problem
        If an item is missing from ``answers``.
    Refusal
        If nobody answered half of the items.

    Notes
    -----
    A run is unbroken by a blank.  One answer throughout is the plainest sign
    of careless answering, not proof of it, and other kinds go unseen [1]_.

    References
    ----------
    .. [1] Meade, A. W., Craig, S. B. (2012). Identifying careless responses in
       survey data. Psychological Methods 17, 437-455. doi:10.1037/a0028085

    Examples
    --------
    >>> answers = pd.DataFrame({"a": [4, 1, 2], "b": [4, 1, 3], "c": [4, 2, 3]})
    >>> found = careless(answers, items=["a", "b", "c"], dimensions={"s": ["a", "b", "c"]})
    >>> found.one_answer, found.longest_median
    (1, 2.0)
    """
    items, declared = list(dict.fromkeys(items)), list(dict.fromkeys(declared))
    need_columns(answers, items, source=SOURCE)
    _need_scales(answers, dimensions, confidence)
    _need_members(declared, dimensions)
    given = answers[items].notna().sum(axis="columns")
    judged = (given >= max(2, len(items) / 2)).to_numpy()
    if not judged.any():
        raise Refusal("Nobody answered half of the items.", "check that the answers were read.")
    longest = longest_run(answers[items])[judged]
    flat = longest == given.to_numpy()[judged]
    keep = np.ones(len(answers), dtype=bool)
    keep[np.flatnonzero(judged)[flat]] = False
    return Careless(
        table=_with_and_without(answers, keep, dimensions, declared, confidence),
        confidence=confidence,
        respondents=int(judged.sum()),
        left_out=int((~judged).sum()),
        one_answer=int(flat.sum()),
        share=float(flat.mean()),
        items=len(items),
        longest_median=float(np.median(longest)),
        longest_95=float(np.quantile(longest, 0.95, method="inverted_cdf")),
    )


def longest_run(answers: pd.DataFrame) -> np.ndarray:
    """Longest run of one answer in each row, columns in the order asked, blanks skipped.

    Examples
    --------
    >>> longest_run(pd.DataFrame([[3, 3, 2, 2, 2], [1, np.nan, 1, 2, 1]])).tolist()
    [3, 2]
    """
    values = answers.to_numpy(dtype=float, na_value=np.nan)
    last = np.full(len(values), np.nan)
    run, longest = np.zeros(len(values), dtype=int), np.zeros(len(values), dtype=int)
    for now in values.T:
        there = ~np.isnan(now)
        run = np.where(there, np.where(now == last, run + 1, 1), run)
        last = np.where(there, now, last)
        longest = np.maximum(longest, run)
    return longest


# --- The numbers ----------------------------------------------------------------------------------


def _alpha(values: np.ndarray) -> float:
    k = values.shape[1]
    total = values.sum(axis=1).var(ddof=1)
    if total == 0:
        return np.nan
    return float(k / (k - 1) * (1 - values.var(axis=0, ddof=1).sum() / total))


def _feldt(alpha: float, n: int, k: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    upper, lower = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (k - 1))
    return float(1 - (1 - alpha) * upper), float(1 - (1 - alpha) * lower)


def _fisher(r: float, n: int, confidence: float) -> tuple[float, float]:
    if not abs(r) < 1:
        return r, r
    half = stats.norm.ppf((1 + confidence) / 2) / np.sqrt(n - 3) if n > 3 else np.inf
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def _consistency(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Alpha with Feldt's interval, or Spearman-Brown for two items."""
    n, k = values.shape
    if k > 2:
        alpha = _alpha(values)
        return alpha, *_feldt(alpha, n, k, confidence)
    r = _correlation(values[:, 0], values[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, low, high = (2 * x / (1 + x) for x in np.array([r, *_fisher(r, n, confidence)]))
    return float(estimate), float(low), float(high)


def _complete(answers: pd.DataFrame) -> np.ndarray:
    return answers.dropna().to_numpy(dtype=float)


def _why_not(values: np.ndarray, items: list[str]) -> str:
    """Why the consistency of these items cannot be given; empty if it can."""
    if len(items) < 2:
        return "one item has no internal consistency"
    if len(values) < FEWEST:
        return f"only {len(values)} respondents answered every item"
    flat = [item for item, column in zip(items, values.T, strict=True) if np.ptp(column) == 0]
    return f"everyone gave the same answer to {', '.join(flat)}" if flat else ""


def _scale_row(name: str, answers: pd.DataFrame, confidence: float) -> dict:
    items, values = list(answers), _complete(answers)
    note = _why_not(values, items)
    estimate, low, high = (np.nan,) * 3 if note else _consistency(values, confidence)
    weakest, without = ("", np.nan) if note or len(items) < 3 else _weakest(values, items)
    if not note and len(items) == 2:
        note = "two items: Spearman-Brown"
    elif not note and not np.isfinite(estimate):
        note = "the items cancel out"
    return {
        "dimension": name,
        "items": len(items),
        "respondents": len(values),
        "left_out": len(answers) - len(values),
        "estimate": estimate,
        "low": low,
        "high": high,
        "weakest_item": weakest,
        "alpha_without_weakest": without,
        "note": note,
    }


def _weakest(values: np.ndarray, items: list[str]) -> tuple[str, float]:
    without = [_without(values, i) for i in range(len(items))]
    best = int(np.nanargmax(without)) if np.isfinite(without).any() else 0
    return items[best], without[best]


def _without(values: np.ndarray, i: int) -> float:
    """Alpha of the others (of two that are left too, as psychometric programs give it)."""
    return _alpha(np.delete(values, i, axis=1)) if values.shape[1] > 2 else np.nan


def _gains(row) -> bool:
    return row.items > 2 and row.alpha_without_weakest > row.estimate


def _item_rows(name: str, answers: pd.DataFrame, confidence: float) -> pd.DataFrame:
    items, values = list(answers), _complete(answers)
    note = _why_not(values, items)
    total = values.sum(axis=1)
    rows = []
    for i, item in enumerate(items):
        column = values[:, i]
        r = np.nan if note else _correlation(column, total - column)
        low, high = _fisher(r, len(values), confidence)
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
                "alpha_without": np.nan if note else _without(values, i),
                "note": note,
            }
        )
    return pd.DataFrame(rows)


# --- Which way an item runs -----------------------------------------------------------------------


def _direction_rows(
    name: str, answers: pd.DataFrame, declared: list[str], confidence: float
) -> pd.DataFrame:
    items, values = list(answers), _complete(answers)
    note = _why_not(values, items)
    said = np.array([item in declared for item in items])
    r = np.full(len(items), np.nan) if note else _as_recorded(values, said, confidence)
    limits = [_fisher(each, len(values), confidence) for each in r]
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
        return np.full(2, _correlation(values[:, 0], values[:, 1]))
    for _ in range(values.shape[1] // 2):
        against = _rest_correlations(values * direction)
        lowest = int(np.nanargmin(against)) if np.isfinite(against).any() else 0
        if not _fisher(against[lowest], len(values), confidence)[1] < 0:
            break
        direction[lowest] *= -1
    return _rest_correlations(values * direction) * direction


def _rest_correlations(values: np.ndarray) -> np.ndarray:
    total = values.sum(axis=1)
    return np.array([_correlation(column, total - column) for column in values.T])


def _with_and_without(answers, keep, dimensions, declared, confidence) -> pd.DataFrame:
    # the sign alone matters to alpha: -x serves as well as low + high - x
    turned = answers.assign(**{item: -answers[item] for item in declared})
    rows = []
    for name, items in dimensions.items():
        for who, some in (("all", turned), ("without one-answer", turned[keep])):
            rows.append({"who": who, **_scale_row(name, some[items], confidence)})
    columns = ["dimension", "who", "items", "respondents", "estimate", "low", "high", "note"]
    return pd.DataFrame(rows)[columns]


# --- The door -------------------------------------------------------------------------------------


def _need_scales(answers: pd.DataFrame, dimensions: dict, confidence: float) -> None:
    need_share(confidence, name="confidence")
    if not dimensions:
        raise Problem("No scale is named.", "list the items of each dimension.")
    for name, items in dimensions.items():
        if not items or len(set(items)) < len(items):
            raise Problem(
                f"The scale {name!r} has no item, or one twice.", "list each of its items once."
            )
        need_columns(answers, items, source=SOURCE)
        text = [item for item in items if not pd.api.types.is_numeric_dtype(answers[item])]
        if text:
            raise Problem(
                f"{SOURCE}: {text[0]!r} does not hold numbers.",
                "give answers in scale points; name the codes of blanks under `missing`.",
            )


def _need_members(declared: list[str], dimensions: dict) -> None:
    known = [item for items in dimensions.values() for item in items]
    lost = [item for item in declared if item not in known]
    if lost:
        raise Problem(
            f"{', '.join(lost)} is declared as worded in reverse but belongs to no scale.",
            "name it in its dimension too, or correct the spelling.",
        )
