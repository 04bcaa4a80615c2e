"""Did some people answer without reading?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, scales
from sqm.checks import Refusal, need_columns
from sqm.finding import Finding
from sqm.scales import SOURCE


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
    scales.need_scales(answers, dimensions, confidence)
    scales.need_members(declared, dimensions)
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


def _with_and_without(answers, keep, dimensions, declared, confidence) -> pd.DataFrame:
    # the sign alone matters to alpha: -x serves as well as low + high - x
    turned = answers.assign(**{item: -answers[item] for item in declared})
    rows = []
    for name, items in dimensions.items():
        for who, some in (("all", turned), ("without one-answer", turned[keep])):
            about = scales.summary(some[items], confidence=confidence)
            rows.append({"dimension": name, "who": who, **about})
    columns = ["dimension", "who", "items", "respondents", "estimate", "low", "high", "note"]
    return pd.DataFrame(rows)[columns]
