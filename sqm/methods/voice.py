"""What do customers complain of, and how sure is the order?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import interval, look
from sqm.checks import Refusal, nearest, need_columns, need_rows, need_share
from sqm.finding import Finding, counted, listed

NOT_RECORDED = "(not recorded)"
TAKEN = "Each complaint counts by itself and as it was filed: wrong filing is in no interval."
SHOWN = 12  # categories that a picture names; the rest are drawn as one


@dataclass(frozen=True, eq=False)
class Pareto(Finding):
    """What is complained of, the commonest first.

    Attributes
    ----------
    table : DataFrame, one row per category
        ``category``; ``complaints``, the count; ``estimate``, ``low``, ``high``,
        its share of all complaints (0 to 1); ``cumulative_share``; ``rank``
        (1 is the commonest, ties share the better place), ``rank_low``,
        ``rank_high``.  Complaints without a category stand in the last row,
        whatever their number, and take no part in the ranking.
    complaints, not_recorded : int
        Complaints in all, and those without a category.
    categories : int
        Categories recorded.
    leader : str
        The commonest category.
    first_certain : bool
        Whether ``leader`` can be told from the runner-up at ``confidence``.
    first_p : float, 0 to 1
        Chance of a lead as large as this one or larger if the first two were
        equally common; missing if there is only one.
    for_80 : int
        Categories, the commonest first, that make 80 % of all complaints; 0 if
        all of them together do not.
    confidence : float
        Level of every interval, 0 to 1.
    resamples : int
        Resamples behind the rank intervals.
    """

    complaints: int
    not_recorded: int
    categories: int
    leader: str
    first_certain: bool
    first_p: float
    for_80: int
    confidence: float
    resamples: int

    def sentence(self) -> str:
        rest = " ".join(filter(None, [self._order(), self._eighty()]))
        return f"{self._leaders()}\n{rest}"

    def _leaders(self) -> str:
        named = [
            f"{look.shorten(each.category)} {self._words(each)}"
            for each in self.table.head(min(self.categories, 3)).itertuples()
        ]
        return (
            f"{self.complaints:,} complaints fall into {counted(self.categories, 'category')}: "
            f"{'; '.join(named)}{'; and so on' if self.categories > 3 else ''}."
        )

    def _words(self, row: tuple) -> str:
        return interval.spell(
            100 * row.estimate,
            100 * row.low,
            100 * row.high,
            confidence=self.confidence,
            digits=1,
            unit="%",
        )

    def _order(self) -> str:
        if self.categories == 1:
            return ""
        leader, second = (look.shorten(each) for each in self.table["category"].iloc[:2])
        chance = "less than 0.001" if self.first_p < 0.001 else f"{self.first_p:.2g}"
        if self.first_certain:
            return (
                f"The first place is certain at the {self.confidence * 100:.4g} % level: if "
                f"{leader} and {second} were equally common, the chance of such a lead would be "
                f"{chance}."
            )
        last = int(self.table["rank_high"].iloc[0])
        return (
            f"The first place is not certain: {leader} may stand from 1st to "
            f"{max(last, 2)}{_ordinal(max(last, 2))}, and its lead over {second} is no more than "
            f"chance can make (p = {chance})."
        )

    def _eighty(self) -> str:
        blank = (
            f"{self.not_recorded:,} complaints have no category and stand in a row of their own."
            if self.not_recorded
            else "Every complaint has a category."
        )
        if not self.for_80:
            return (
                f"All the categories together do not make 80 % of the complaints; {blank} {TAKEN}"
            )
        word = "makes" if self.for_80 == 1 else "make"
        return f"{counted(self.for_80, 'category')} {word} 80 % of the complaints. {blank} {TAKEN}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self._rows_shown()
        at, share = np.arange(len(rows)), 100 * rows[["estimate", "low", "high"]]
        ax.barh(at, share["estimate"], color="#c9d0d5", height=0.7)
        ax.hlines(at, share["low"], share["high"], color=look.MEANING["usual"], lw=1.8)
        ax.plot(
            100 * rows["cumulative_share"],
            at,
            marker=look.MARKER["other"],
            color=look.MEANING["other"],
            ms=4,
            lw=0.8,
            label="added up",
        )
        ax.axvline(80, color=look.MEANING["limit"], lw=0.8, ls="--")
        ax.set_yticks(at, [look.shorten(each) for each in rows["category"]])
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 102))
        ax.legend(frameon=False, loc="center right")
        what = f"share of {self.complaints:,} complaints, %"
        return look.label(ax, title="What do customers complain of?", x=what)

    def _rows_shown(self) -> pd.DataFrame:
        columns = ["category", "estimate", "low", "high", "cumulative_share"]
        if self.categories <= SHOWN + 1:
            return self.table[columns]
        rest = self.table.iloc[SHOWN : self.categories]
        both = interval.wilson(
            rest["complaints"].sum() / self.complaints, self.complaints, confidence=self.confidence
        )
        share = rest["complaints"].sum() / self.complaints
        name = f"others ({len(rest)} categories)"
        others = [name, share, *both, rest["cumulative_share"].iloc[-1]]
        return pd.concat(
            [
                self.table[columns].head(SHOWN),
                pd.DataFrame([others], columns=columns),
                self.table[columns].iloc[self.categories :],
            ],
            ignore_index=True,
        )


@dataclass(frozen=True, eq=False)
class NeedWeights(Finding):
    """How much of what is complained of touches each need.

    Attributes
    ----------
    table : DataFrame, one row per need, the weightiest first
        ``need``; ``categories``, joined by semicolons; ``complaints``, the count;
        ``estimate``, ``low``, ``high``, its share of all complaints (0 to 1);
        ``rank``, ``rank_low``, ``rank_high`` among the needs.
    complaints, not_recorded : int
        Complaints in all, and those without a category.
    without_need : int
        Complaints whose category belongs to no need.
    unmapped : tuple of str
        Those categories, the commonest first.
    unseen : tuple of str
        Categories that belong to a need but occur in no complaint.
    confidence : float
        Level of every interval, 0 to 1.
    resamples : int
        Resamples behind the rank intervals.
    """

    complaints: int
    not_recorded: int
    without_need: int
    unmapped: tuple[str, ...]
    unseen: tuple[str, ...]
    confidence: float
    resamples: int

    def sentence(self) -> str:
        weights = [
            f"{look.shorten(each.need)} "
            + interval.spell(
                100 * each.estimate,
                100 * each.low,
                100 * each.high,
                confidence=self.confidence,
                digits=1,
                unit="%",
            )
            for each in self.table.head(6).itertuples()
        ]
        more = len(self.table) - len(weights)
        return (
            f"Weight of each need, as its share of {self.complaints:,} complaints: "
            f"{'; '.join(weights)}{f'; and {more} more' if more else ''}.\n"
            f"{self._left_out()} {TAKEN}"
        )

    def _left_out(self) -> str:
        said = []
        if self.unmapped:
            said.append(
                f"{self.without_need:,} complaints belong to no need (categories: "
                f"{_some(self.unmapped)})"
            )
        if self.not_recorded:
            said.append(f"{self.not_recorded:,} have no category")
        if self.unseen:
            said.append(f"nobody complained of {_some(self.unseen)}")
        if not said:
            return "Every complaint belongs to a need."
        text = "; ".join(said)
        return f"{text[0].upper()}{text[1:]}."

    def plot(self, ax: Axes | None = None) -> Axes:
        percent = self.table.assign(**100 * self.table[["estimate", "low", "high"]])
        ax = look.dots(look.axes(ax), percent, names=self.table["need"])
        ax.set_xlim(left=0)
        what = f"share of {self.complaints:,} complaints, %"
        return look.label(ax, title="Which need do complaints touch most?", x=what)


def pareto(
    complaints: pd.DataFrame,
    *,
    category: str = "category",
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Pareto:
    """Count complaints by category, and say how sure their order is.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    category : str
        Column with the category; a blank one is counted as such.
    confidence : float, default 0.95
        Level of every interval.
    resamples : int, default 1000
        For the rank intervals.
    rng : numpy Generator

    Returns
    -------
    Pareto
        Its ``table`` has one row per category.

    Raises
    ------
    Problem
        If the column is missing.
    Refusal
        If no complaint has a category.

    Notes
    -----
    Shares have Wilson's interval, one category at a time.

    Ranks: counts are drawn anew from the multinomial with the observed shares,
    and the interval runs from the lower quantile of the best to the upper
    quantile of the worst place that ties allow.  It holds for one category at a
    time, knows nothing of categories that nobody has used yet, and is too
    narrow where several are almost equally common [1]_ (five within half a
    point of each other: 84 % where 95 was meant).

    First place: so it is not read from the ranks, but tested.  The exact
    two-sided binomial test of the first two counts keeps its level although the
    data chose which two to compare [2]_.

    All of it takes complaints as independent: copies of one letter, sent by
    many, make it look surer than it is.

    References
    ----------
    .. [1] Hall, P., Miller, H. (2009). Using the bootstrap to quantify the
       authority of an empirical ranking. Annals of Statistics 37, 3929-3959.
    .. [2] Hung, K., Fithian, W. (2019). Rank verification for exponential
       families. Annals of Statistics 47, 758-782.

    Examples
    --------
    Five against one: 2 (6 + 1) / 2^6 = 0.21875, so even that order may be chance.

    >>> found = pareto(pd.DataFrame({"category": ["wait"] * 5 + ["bill"]}),
    ...                rng=np.random.default_rng(1))
    >>> found.leader, found.first_certain, round(found.first_p, 5)
    ('wait', False, 0.21875)
    """
    need_columns(complaints, [category], source="complaints")
    need_share(confidence, name="confidence")
    named = _named(complaints[category])
    counts = _counts(named.dropna())
    blank = int(named.isna().sum())
    if counts.empty:
        raise Refusal(
            f"None of {len(complaints):,} complaints has a {category!r}.",
            "record the category, or code a sample of the texts.",
        )
    first, p = _first_place(counts.to_numpy(), confidence)
    return Pareto(
        table=_pareto_table(counts, blank, confidence, resamples, rng),
        complaints=len(named),
        not_recorded=blank,
        categories=len(counts),
        leader=str(counts.index[0]),
        first_certain=first,
        first_p=p,
        for_80=_for_80(counts.to_numpy(), len(named)),
        confidence=confidence,
        resamples=resamples,
    )


def need_weights(
    complaints: pd.DataFrame,
    *,
    category: str = "category",
    needs: Mapping[str, str],
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> NeedWeights:
    """Weigh each need by the share of complaints that touch it.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    category : str
        Column with the category.
    needs : mapping of str to str
        The need to which each category belongs; categories not named belong
        to none.
    confidence : float, default 0.95
    resamples : int, default 1000
        For the rank intervals.
    rng : numpy Generator

    Returns
    -------
    NeedWeights
        Its ``table`` has one row per need.

    Raises
    ------
    Problem
        If the column is missing, or no category of ``needs`` occurs.
    Refusal
        If there is no complaint.

    Notes
    -----
    The weight is a share of all complaints, those without a need included:
    the weights need not add up to 1.  It says how often a need is hurt loudly
    enough to complain, not how much it matters to those who are silent.
    Intervals as in `pareto`.

    Examples
    --------
    >>> found = need_weights(pd.DataFrame({"category": ["wait", "wait", "bill", "lift"]}),
    ...     needs={"wait": "be quick", "bill": "be right"}, rng=np.random.default_rng(1))
    >>> found.table[["need", "estimate"]].to_dict("list"), found.unmapped
    ({'need': ['be quick', 'be right'], 'estimate': [0.5, 0.25]}, ('lift',))
    """
    need_columns(complaints, [category], source="complaints")
    need_share(confidence, name="confidence")
    need_rows(complaints, 1, source="complaints", why="a weight")
    needs = {str(each): str(need) for each, need in needs.items() if need not in (None, "")}
    named = _named(complaints[category])
    counts = _counts(named.dropna())
    _need_known_categories(needs, counts)
    by_need = dict.fromkeys(sorted(set(needs.values())), 0)
    for each, count in counts.items():
        if each in needs:
            by_need[needs[each]] += int(count)
    unmapped = counts[[each not in needs for each in counts.index]]
    return NeedWeights(
        table=_needs_table(by_need, needs, len(named), confidence, resamples, rng),
        complaints=len(named),
        not_recorded=int(named.isna().sum()),
        without_need=int(unmapped.sum()),
        unmapped=tuple(unmapped.index),
        unseen=tuple(sorted(set(needs) - set(counts.index))),
        confidence=confidence,
        resamples=resamples,
    )


def _named(column: pd.Series) -> pd.Series:
    """Categories as text without stray blanks; nothing but blanks is missing."""
    text = column.astype("str").str.strip()
    return text.where(column.notna() & text.ne("") & text.ne(NOT_RECORDED))


def _counts(named: pd.Series) -> pd.Series:
    """Count each category, the commonest first, ties by name."""
    counts = named.value_counts().sort_index(kind="stable")
    return counts.sort_values(ascending=False, kind="stable")


def _pareto_table(
    counts: pd.Series, blank: int, confidence: float, resamples: int, rng: np.random.Generator
) -> pd.DataFrame:
    n = int(counts.sum()) + blank
    ranks = _ranks(counts.to_numpy(), n, confidence, resamples, rng)
    table = pd.DataFrame({"category": counts.index.astype("str"), **ranks})
    table.insert(1, "complaints", counts.to_numpy())
    if blank:
        last = len(table) + 1
        table.loc[len(table)] = [NOT_RECORDED, blank, last, last, last]
    for at, name in enumerate(("estimate", "low", "high"), start=2):
        table.insert(at, name, [row[at - 2] for row in _shares(table["complaints"], n, confidence)])
    table.insert(5, "cumulative_share", table["complaints"].cumsum() / n)
    return table


def _needs_table(
    by_need: dict[str, int],
    needs: Mapping[str, str],
    n: int,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    names = sorted(by_need, key=lambda each: (-by_need[each], each))
    counts = np.array([by_need[each] for each in names])
    shares = _shares(counts, n, confidence)
    return pd.DataFrame(
        {
            "need": pd.Series(names, dtype="str"),
            "categories": [
                "; ".join(sorted(c for c in needs if needs[c] == each)) for each in names
            ],
            "complaints": counts,
            "estimate": [row[0] for row in shares],
            "low": [row[1] for row in shares],
            "high": [row[2] for row in shares],
            **_ranks(counts, n, confidence, resamples, rng),
        }
    )


def _shares(counts: np.ndarray, n: int, confidence: float) -> list[tuple[float, float, float]]:
    return [(count / n, *interval.wilson(count / n, n, confidence=confidence)) for count in counts]


def _ranks(
    counts: np.ndarray, n: int, confidence: float, resamples: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Rank of each count, and where it may stand in data of the same kind."""
    shares = np.append(counts, n - counts.sum()) / n  # the last: what takes no part
    draws = rng.multinomial(n, shares, size=resamples)[:, :-1]
    best = stats.rankdata(-draws, method="min", axis=1)
    worst = stats.rankdata(-draws, method="max", axis=1)
    tail = (1 - confidence) / 2
    return {
        "rank": stats.rankdata(-counts, method="min").astype(int),
        "rank_low": np.quantile(best, tail, axis=0, method="inverted_cdf").astype(int),
        "rank_high": np.quantile(worst, 1 - tail, axis=0, method="inverted_cdf").astype(int),
    }


def _first_place(counts: np.ndarray, confidence: float) -> tuple[bool, float]:
    if len(counts) < 2:
        return False, float("nan")
    p = float(stats.binomtest(int(counts[0]), int(counts[0] + counts[1]), 0.5).pvalue)
    return p < 1 - confidence, p


def _for_80(counts: np.ndarray, n: int) -> int:
    """In whole numbers, so that exactly 80 % is 80 %."""
    enough = 5 * np.cumsum(counts) >= 4 * n
    return int(np.argmax(enough)) + 1 if enough.any() else 0


def _need_known_categories(needs: Mapping[str, str], counts: pd.Series) -> None:
    if not any(each in counts.index for each in needs):
        wanted = next(iter(needs), "")
        raise Refusal(
            f"No complaint has a category that belongs to a need (named: {_some(tuple(needs))}).",
            f"under define.needs name them as in the data: {nearest(wanted, counts.index[:20])}",
        )


def _some(names: tuple[str, ...]) -> str:
    return listed([look.shorten(each) for each in names], most=5) or "none"


def _ordinal(n: int) -> str:
    if n % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
