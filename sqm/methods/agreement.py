"""Do two people file the same case alike?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, wilson
from sqm.ratings import (
    FEWEST,
    Sums,
    as_text,
    beyond,
    cohen,
    crossed,
    fisher_limits,
    fleiss,
    least_beyond,
    share_limits,
    sums_of_each,
)


@dataclass(frozen=True)
class Words:
    """Words for the size of a coefficient: ``names[i]`` up to ``edges[i]``, the last above.

    Attributes
    ----------
    edges : tuple of float
        Upper edges, rising, the last one open.
    names : tuple of str
        One more than edges.
    source : str
        Who says so.
    """

    edges: tuple[float, ...]
    names: tuple[str, ...]
    source: str

    def of(self, value: float) -> str:
        """The word for a value.

        Examples
        --------
        >>> LANDIS_KOCH.of(0.6), LANDIS_KOCH.of(0.61)
        ('moderate', 'substantial')
        """
        return self.names[int(np.searchsorted(self.edges, round(value, 2), side="left"))]


# Biometrics 33, 159-174, doi:10.2307/2529310. The bands have two decimals, and the authors
# themselves call them arbitrary.
LANDIS_KOCH = Words(
    edges=(-0.005, 0.20, 0.40, 0.60, 0.80),
    names=("poor", "slight", "fair", "moderate", "substantial", "almost perfect"),
    source="Landis and Koch 1977",
)


@dataclass(frozen=True, eq=False)
class Agreement(Finding):
    """How far two people agree on the category of the same cases.

    Attributes
    ----------
    table : DataFrame, one row per category
        ``category``; ``first`` and ``second``, cases each put into it;
        ``both``; ``estimate``, ``low``, ``high``, the positive agreement: of
        the uses of the category, the share in which the other agreed;
        ``kappa`` of the category against all others; ``prevalence_index``,
        the same way, 0 (used for half of the cases) to 1 (for none or all).
    kappa, low, high : float
        Cohen's kappa: agreement beyond chance, 1 at most.
    agreed, agreed_low, agreed_high : float
        Share of cases filed alike.
    ac1 : float
        Gwet's AC1, which does not sink when one category is rare.
    largest_category : str
        Category used most.
    largest_share : float
        Its share of all uses.
    prevalence_index : float
        Of two categories; NaN for more (see the table).
    confidence : float
        Level of the intervals, 0 to 1.
    pairs, left_out : int
        Cases filed by both, and the others.
    confused_first, confused_second : str
        What the first and the second person called the cases they most often
        file differently; empty if none.
    confused : int
        How many cases these are.
    word, word_low, word_high, source : str
        Word for kappa and for the limits of its interval, and whose words they are.
    first_name, second_name : str
        Columns that were compared.
    """

    kappa: float
    low: float
    high: float
    agreed: float
    agreed_low: float
    agreed_high: float
    ac1: float
    largest_category: str
    largest_share: float
    prevalence_index: float
    confidence: float
    pairs: int
    left_out: int
    confused_first: str
    confused_second: str
    confused: int
    word: str
    word_low: str
    word_high: str
    source: str
    first_name: str
    second_name: str

    def sentence(self) -> str:
        share = spell(
            *(100 * x for x in (self.agreed, self.agreed_low, self.agreed_high)),
            confidence=self.confidence,
            digits=1,
            unit="%",
        )
        kappa = spell(self.kappa, self.low, self.high, confidence=self.confidence)
        words = [
            f"The two file {share} of {self.pairs} cases alike; beyond chance that is a kappa of "
            f"{kappa}: {self._size()} in the words of {self.source}.\nGwet's AC1, which minds rare "
            f"categories less, is {self.ac1:.2f} (most used: {self._name(self.largest_category)}, "
            f"{self.largest_share:.0%} of all)."
        ]
        known = self.table.dropna(subset="estimate")
        worst = known.loc[known["estimate"].idxmin()]
        words.append(
            f"They agree least on {self._name(worst['category'])} ({worst['estimate']:.0%}, "
            f"{worst['low']:.0%} to {worst['high']:.0%})."
        )
        if self.confused:
            words.append(
                f"Most often, what {self.first_name} files as {self._name(self.confused_first)}, "
                f"{self.second_name} files as {self._name(self.confused_second)} "
                f"({self.confused} cases)."
            )
        if self.left_out:
            words.append(f"{self.left_out} cases that only one of them filed are left out.")
        return " ".join(words)

    def _size(self) -> str:
        if self.word_low == self.word_high:
            return self.word
        return f"{self.word} (the interval reaches from {self.word_low} to {self.word_high})"

    @staticmethod
    def _name(category: str) -> str:
        return look.shorten(category)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.sort_values("estimate", ascending=False, kind="stable")
        shown = rows.assign(**{name: rows[name] * 100 for name in ("estimate", "low", "high")})
        names = [
            f"{look.shorten(row.category, width=30)} ({row.both})" for row in rows.itertuples()
        ]
        look.dots(ax, shown, names=names)
        ax.axvline(self.agreed * 100, color=look.MEANING["limit"], label="all cases")
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="Do two people file the same case alike?",
            x="uses of the category in which both agree (%; in brackets: cases)",
        )


def cohen_kappa(
    ratings: pd.DataFrame,
    *,
    first: str = "coder_a",
    second: str = "coder_b",
    confidence: float = 0.95,
    words: Words = LANDIS_KOCH,
) -> Agreement:
    """Measure how far two people agree beyond chance.

    Parameters
    ----------
    ratings : DataFrame, one row per case
        The category each of the two gave; cases one of them left blank are
        left out and counted.
    first, second : str
        The columns of the two.
    confidence : float, default 0.95
    words : Words, default `LANDIS_KOCH`
        What a kappa of some size is called.

    Returns
    -------
    Agreement

    Raises
    ------
    Problem
        If a column is missing.
    Refusal
        If fewer than ten cases were filed by both, or they used one category between them.

    Notes
    -----
    With p_o the share filed alike and p_e the share expected from the two
    margins, kappa = (p_o - p_e) / (1 - p_e) [1]_; its interval takes the
    large-sample standard error of [2]_ to Fisher's scale (artanh), where kappa
    spreads more evenly, with Student's quantile for n - 1; or, where all cases
    agree and that is 0, Wilson's lower limit of p_o in the same formula.  AC1 replaces p_e
    by sum(q (1 - q)) / (K - 1), q the mean share of each of K categories
    used [3]_.  Positive agreement is 2 a / (2 a + b + c), a cases in the
    category by both, b and c by one; its interval is Wilson's for
    a / (a + b + c), carried over.  The prevalence index of two categories is
    the difference of the shares in which both chose the one or the other [4]_.

    References
    ----------
    .. [1] Cohen, J. (1960). Educational and Psychological Measurement 20,
       37-46. doi:10.1177/001316446002000104
    .. [2] Fleiss, J. L., Cohen, J., Everitt, B. S. (1969). Psychological
       Bulletin 72, 323-327. doi:10.1037/h0028106
    .. [3] Gwet, K. L. (2008). British Journal of Mathematical and Statistical
       Psychology 61, 29-48. doi:10.1348/000711006X126600
    .. [4] Byrt, T., Bishop, J., Carlin, J. B. (1993). Journal of Clinical
       Epidemiology 46, 423-429. doi:10.1016/0895-4356(93)90018-V

    Examples
    --------
    20 both yes, 15 both no, 5 and 10 apart: p_o = 0.7,
    p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa = 0.4.

    >>> ratings = pd.DataFrame({"coder_a": ["y"] * 25 + ["n"] * 25,
    ...                         "coder_b": ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15})
    >>> round(cohen_kappa(ratings).kappa, 6)
    0.4
    """
    need_share(confidence, name="confidence")
    need_columns(ratings, [first, second], source="the ratings")
    pairs = ratings[[first, second]].dropna()
    need_rows(pairs, FEWEST, source="The ratings", why="agreement (in cases filed by both)")
    names, counts = crossed(pairs[first], pairs[second])
    if len(names) < 2:
        raise Refusal(
            f"Both used the one category {look.shorten(names[0])!r} throughout.",
            "draw cases of more than one kind: agreement beyond chance cannot be seen here.",
        )
    n, agreed = len(pairs), float(np.trace(counts) / counts.sum())
    kappa, low, high = cohen(counts, confidence)
    agreed_low, agreed_high = wilson(agreed, n, confidence=confidence)
    table = _per_category(names, counts, confidence)
    uses = (counts.sum(axis=0) + counts.sum(axis=1)) / (2 * n)
    i, j, confused = _most_confused(counts)
    return Agreement(
        table=table,
        kappa=kappa,
        low=low,
        high=high,
        agreed=agreed,
        agreed_low=agreed_low,
        agreed_high=agreed_high,
        ac1=_ac1(agreed, uses),
        largest_category=names[int(uses.argmax())],
        largest_share=float(uses.max()),
        prevalence_index=float(table["prevalence_index"][0]) if len(names) == 2 else np.nan,
        confidence=confidence,
        pairs=n,
        left_out=len(ratings) - n,
        confused_first=names[i] if confused else "",
        confused_second=names[j] if confused else "",
        confused=confused,
        word=words.of(kappa),
        word_low=words.of(low),
        word_high=words.of(high),
        source=words.source,
        first_name=first,
        second_name=second,
    )


def _ac1(agreed: float, uses: np.ndarray) -> float:
    chance = (uses * (1 - uses)).sum() / (len(uses) - 1)
    return float((agreed - chance) / (1 - chance))


def _per_category(names: list[str], counts: np.ndarray, confidence: float) -> pd.DataFrame:
    n = counts.sum()
    rows = []
    for i, name in enumerate(names):
        both, first, second = counts[i, i], counts[i].sum(), counts[:, i].sum()
        either = first + second - both
        low, high = wilson(both / either, either, confidence=confidence)
        neither = n - either
        against_rest = np.array([[both, first - both], [second - both, neither]])
        rows.append(
            {
                "category": name,
                "first": int(first),
                "second": int(second),
                "both": int(both),
                "estimate": float(2 * both / (first + second)),
                "low": 2 * low / (1 + low),
                "high": 2 * high / (1 + high),
                "kappa": cohen(against_rest, confidence)[0],
                "prevalence_index": float(abs(both - neither) / n),
            }
        )
    return pd.DataFrame(rows)


def _most_confused(counts: np.ndarray) -> tuple[int, int, int]:
    apart = counts - np.diag(np.diag(counts))
    i, j = np.unravel_index(int(apart.argmax()), apart.shape)
    return int(i), int(j), int(apart[i, j])


# --- Every coefficient side by side ---------------------------------------------------------------

FEW_APART = 20  # cases filed apart, below which coefficients with weights are known too loosely
MOST_CATEGORIES = 60
AT_ONCE = 1_000_000  # numbers held at a time


@dataclass(frozen=True, eq=False)
class AgreementCard(Finding):
    """The usual coefficients of agreement of two or more people, side by side.

    Attributes
    ----------
    table : DataFrame, one row per coefficient
        ``coefficient``; ``weights``, how a near miss counts (``none``: it is a
        miss); ``cases`` it rests on; ``estimate``, ``low``, ``high``;
        ``chance``, the agreement it takes for luck (0 to 1; missing where the
        coefficient has none); ``note``.
    agreed, agreed_low, agreed_high : float
        Share of pairs of ratings of the same case that agree.
    leading : str
        The coefficient that the first line names: Cohen's for two people,
        Krippendorff's for more.
    estimate, low, high : float
        That coefficient.
    lowest, highest : float
        Of the coefficients without weights that allow for chance.
    lowest_name, highest_name : str
        Which these are.
    largest_category : str
        Category used most.
    largest_share : float
        Its share of all uses, 0 to 1.
    prevalence_index, bias_index : float
        Of two categories: how unevenly they are used (0 evenly to 1), and how
        far the raters' shares of one differ (0 to 1); NaN for more categories.
    apart : int
        Cases on which not all agree.
    cases, left_out : int
        Cases with two ratings or more, and the others.
    raters, silent : tuple of str
        Columns compared, and those without any rating.
    confidence : float
        Level of the intervals, 0 to 1.
    ordered : bool
        Whether the categories have an order.
    """

    agreed: float
    agreed_low: float
    agreed_high: float
    leading: str
    estimate: float
    low: float
    high: float
    lowest: float
    highest: float
    lowest_name: str
    highest_name: str
    largest_category: str
    largest_share: float
    prevalence_index: float
    bias_index: float
    apart: int
    cases: int
    left_out: int
    raters: tuple[str, ...]
    silent: tuple[str, ...]
    confidence: float
    ordered: bool

    def sentence(self) -> str:
        share = spell(
            *(100 * x for x in (self.agreed, self.agreed_low, self.agreed_high)),
            confidence=self.confidence,
            digits=1,
            unit="%",
        )
        beyond = spell(self.estimate, self.low, self.high, confidence=self.confidence)
        whose = "cases" if len(self.raters) == 2 else "pairs of ratings"
        first = (
            f"{len(self.raters)} raters file {share} of {whose} alike; beyond chance that is "
            f"{beyond} by {self.leading}, on {counted(self.cases, 'case')}."
        )
        rest = [self._spread(), self._shares(), self._intervals(), self._absent()]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _spread(self) -> str:
        if f"{self.lowest:.2f}" == f"{self.highest:.2f}":
            return f"All coefficients that allow for chance say {self.lowest:.2f}."
        return (
            f"The coefficients that allow for chance run from {self.lowest:.2f} "
            f"({self.lowest_name}) to {self.highest:.2f} ({self.highest_name}): they differ in "
            "what they take for luck, not in what was agreed."
        )

    def _shares(self) -> str:
        most = f"The most used category, {look.shorten(self.largest_category)}, has "
        most += f"{self.largest_share:.0%} of all uses"
        if np.isnan(self.prevalence_index):
            return f"{most}."
        return (
            f"{most} (prevalence index {self.prevalence_index:.2f}, bias index "
            f"{self.bias_index:.2f}): the more uneven, the lower kappa at the same agreement."
        )

    def _intervals(self) -> str:
        said = "Intervals leave out one case at a time (jackknife) on Fisher's scale."
        if self.ordered and self.apart < FEW_APART:
            said += (
                f" Only {counted(self.apart, 'case')} were filed apart: intervals of coefficients "
                "with weights are approximate."
            )
        return said

    def _absent(self) -> str:
        said = []
        if self.silent:
            said.append(f"Without any rating, so not compared: {', '.join(self.silent)}.")
        if self.left_out:
            said.append(f"Left out, with fewer than two ratings: {counted(self.left_out, 'case')}.")
        return " ".join(said)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="estimate")
        names = [
            row.coefficient if row.weights == "none" else f"{row.coefficient}, {row.weights}"
            for row in known.itertuples()
        ]
        luck = known["chance"].isna()
        look.dots(ax, known, names=names, meaning=np.where(luck, "other", "usual"))
        ax.axvline(0, color=look.MEANING["limit"])
        ax.set_xlim(right=1.02)
        return look.label(
            ax,
            title="How far do the raters agree, coefficient by coefficient?",
            x="agreement (1: always; diamonds do not allow for chance, for circles 0 is luck)",
        )


@dataclass(frozen=True, eq=False)
class CategoryAgreement(Finding):
    """How far raters agree on each category.

    Attributes
    ----------
    table : DataFrame, one row per category
        ``category``; ``uses`` by all raters; ``raters``, how many used it;
        ``estimate``, ``low``, ``high``, the specific agreement: given that one
        rater chose it, the chance that another did too; ``kappa``,
        ``kappa_low``, ``kappa_high``, Fleiss' kappa of the category against
        all others; ``prevalence_index`` and ``bias_index`` of the category
        against all others; ``note``.
    cases : int
        Cases with two ratings or more.
    raters : tuple of str
    confidence : float
        Level of the intervals, 0 to 1.
    confused_first, confused_second : str
        The two categories most often mistaken for each other; empty if none.
    confused_share : float
        Their share of all pairs of ratings that differ, 0 to 1.
    """

    cases: int
    raters: tuple[str, ...]
    confidence: float
    confused_first: str
    confused_second: str
    confused_share: float

    def sentence(self) -> str:
        worst = self.table.loc[self.table["estimate"].idxmin()]
        best = self.table.loc[self.table["estimate"].idxmax()]
        first = f"Raters agree least on {self._one(worst)} and most on {self._one(best)}."
        rest = [
            "Read: where one rater chose the category, how often another chose it too; "
            f"{len(self.raters)} raters, {counted(self.cases, 'case')}."
        ]
        if self.confused_first:
            rest.append(
                f"Most often mistaken for each other: {look.shorten(self.confused_first)} and "
                f"{look.shorten(self.confused_second)} ({self.confused_share:.0%} of all pairs of "
                "ratings that differ)."
            )
        alone = self.table.loc[self.table["raters"] == 1, "category"]
        if len(alone):
            rest.append(f"Used by one rater only: {', '.join(map(look.shorten, alone))}.")
        return f"{first}\n{' '.join(rest)}"

    def _one(self, row: pd.Series) -> str:
        limits = (100 * row[name] for name in ("estimate", "low", "high"))
        found = spell(*limits, confidence=self.confidence, digits=0, unit="%")
        return f"{look.shorten(row['category'])}: {found}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.sort_values("estimate", ascending=False, kind="stable")
        shown = rows.assign(**{name: rows[name] * 100 for name in ("estimate", "low", "high")})
        names = [
            f"{look.shorten(row.category, width=30)} ({row.uses})" for row in rows.itertuples()
        ]
        look.dots(ax, shown, names=names)
        return look.label(
            ax,
            title="On which categories do raters agree?",
            x="where one chose it, another did too (%; in brackets: uses)",
        )


def agreement_card(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    ordered: Sequence[object] | None = None,
    disagreement: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> AgreementCard:
    """Measure how far two or more people agree, by every usual coefficient.

    Parameters
    ----------
    ratings : DataFrame, one row per case
        The category each rater gave; blanks are allowed.
    raters : sequence of str
        Two columns or more.
    ordered : sequence, optional
        All categories, from one end to the other, if they have an order: adds
        linear and quadratic weights, Gwet's AC2, Kendall's W and Krippendorff's
        ordinal alpha; where all are numbers, his interval and ratio alpha too.
    disagreement : DataFrame, optional
        Own weights: how bad each confusion is, categories as index and as
        columns, 0 on the diagonal, the same both ways.
    confidence : float, default 0.95

    Returns
    -------
    AgreementCard

    Raises
    ------
    Problem
        If a column is missing, fewer than two raters are named, or the weights
        or the order lack a category.
    Refusal
        If fewer than ten cases have two ratings, or one category was used throughout.

    Notes
    -----
    A coefficient is (p_o - p_e) / (1 - p_e), p_o the mean over cases of the
    share of pairs of ratings that agree, p_e what luck would give, by

    - Cohen [1]_ (two raters) and Conger [2]_ (more): the margins of each pair of raters;
    - Light: the mean of Cohen's kappas of all pairs;
    - Fleiss [3]_: the shares q of the categories over all raters, sum(q^2);
    - Gwet [4]_: sum(q (1 - q)) / (K - 1) of K categories (AC1; AC2 with weights);
    - PABAK [5]_, of K categories also called Brennan and Prediger's: 1 / K.

    Weights make a pair of categories c and k agree by 1 - |c - k| / (K - 1)
    (linear) or 1 - (c - k)^2 / (K - 1)^2 (quadratic), c and k their places.
    Krippendorff's alpha [6]_ is 1 - observed over expected disagreement in the
    coincidence matrix; its metrics are nominal, ordinal, interval and ratio.
    Kendall's W is that of tied ranks.  Cohen, Conger, Light and W rest on cases
    that every rater filed, the others on cases with two ratings or more.

    The variance is the jackknife's, over cases, the interval Student's on
    Fisher's scale (artanh); that of Cohen's kappa is as in `cohen_kappa`, that of plain agreement
    Wilson's at the effective number of cases.  Where no case was filed apart,
    the lower limit puts Wilson's for the agreement into the formula.

    References
    ----------
    .. [1] Cohen, J. (1968). Psychological Bulletin 70, 213-220.
       doi:10.1037/h0026256
    .. [2] Conger, A. J. (1980). Psychological Bulletin 88, 322-328.
       doi:10.1037/0033-2909.88.2.322
    .. [3] Fleiss, J. L. (1971). Psychological Bulletin 76, 378-382.
       doi:10.1037/h0031619
    .. [4] Gwet, K. L. (2008). British Journal of Mathematical and Statistical
       Psychology 61, 29-48. doi:10.1348/000711006X126600
    .. [5] Byrt, T., Bishop, J., Carlin, J. B. (1993). Journal of Clinical
       Epidemiology 46, 423-429. doi:10.1016/0895-4356(93)90018-V
    .. [6] Hayes, A. F., Krippendorff, K. (2007). Communication Methods and
       Measures 1, 77-89. doi:10.1080/19312450709336664

    Examples
    --------
    20 both yes, 15 both no, 5 and 10 apart: p_o = 0.7.  Cohen: 0.4.  PABAK:
    0.7 - 0.3 = 0.4.  Fleiss: q = 0.55, p_e = 0.505, kappa = 0.195 / 0.495.

    >>> ratings = pd.DataFrame({"coder_a": ["y"] * 25 + ["n"] * 25,
    ...                         "coder_b": ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15})
    >>> card = agreement_card(ratings).table.set_index("coefficient")["estimate"]
    >>> card[["Cohen's kappa", "PABAK", "Fleiss' kappa"]].round(4).tolist()
    [0.4, 0.4, 0.3939]
    """
    need_share(confidence, name="confidence")
    rated = _rated(ratings, raters, ordered)
    _need_two_categories(rated)
    weights = _weights(rated.names, disagreement, ordered is not None)
    total = _total(rated)
    rows = [_percent_row(rated, total, confidence)]
    for name, table in weights.items():
        rows += _kappa_rows(rated, total, name, table, confidence)
    rows += _krippendorff_rows(rated, total, ordered is not None, confidence)
    if ordered is not None:
        rows.append(_kendall_row(rated, total, confidence))
    return _card(pd.DataFrame(rows), rated, total, confidence, ordered is not None)


def category_agreement(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    confidence: float = 0.95,
) -> CategoryAgreement:
    """Measure how far two or more people agree on each category.

    Parameters
    ----------
    ratings : DataFrame, one row per case
    raters : sequence of str
    confidence : float, default 0.95

    Returns
    -------
    CategoryAgreement

    Raises
    ------
    Problem, Refusal
        As for `agreement_card`.

    Notes
    -----
    Specific agreement is the chance that a second rater chose the category,
    given that a first one did; the kappa is that of Fleiss (1971,
    doi:10.1037/h0031619) for one category against all others.  Intervals rest
    on the jackknife over cases: Wilson's at the effective number of uses, and
    Student's on Fisher's scale; that of a rarely used category is conservative.
    A category that was never, or always, agreed on has Wilson's at the number
    of cases it was used for.

    Examples
    --------
    Of a: 40 by both, 9 and 6 by one: 80 of 95 uses were shared.

    >>> ratings = pd.DataFrame({"coder_a": ["a"] * 49 + ["b"] * 51,
    ...                         "coder_b": ["a"] * 40 + ["b"] * 9 + ["a"] * 6 + ["b"] * 45})
    >>> float(category_agreement(ratings).table["estimate"].round(4)[0])
    0.8421
    """
    need_share(confidence, name="confidence")
    rated = _rated(ratings, raters, None)
    _need_two_categories(rated)
    total = _total(rated)
    rows = [_category_row(rated, total, i, confidence) for i in range(len(rated.names))]
    first, second, share = _mistaken(rated, total)
    return CategoryAgreement(
        table=pd.DataFrame(rows),
        cases=rated.cases,
        raters=rated.raters,
        confidence=confidence,
        confused_first=first,
        confused_second=second,
        confused_share=share,
    )


# --- Ratings as numbers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rated:
    """Patterns of ratings that occur, as places of the categories (-1: blank), and how often."""

    codes: np.ndarray
    times: np.ndarray
    names: list[str]
    raters: tuple[str, ...]
    silent: tuple[str, ...]
    left_out: int

    @property
    def cases(self) -> int:
        return int(self.times.sum())


def _rated(
    ratings: pd.DataFrame, raters: Sequence[str], ordered: Sequence[object] | None
) -> _Rated:
    raters = list(raters)
    if len(raters) < 2 or len(set(raters)) < len(raters):
        raise Problem(f"The raters are {raters}.", "name two columns or more, each once.")
    need_columns(ratings, raters, source="the ratings")
    silent = [rater for rater in raters if ratings[rater].isna().all()]
    active = [rater for rater in raters if rater not in silent]
    if len(active) < 2:
        raise Refusal(f"Without any rating: {', '.join(silent)}.", "agreement needs two who rated.")
    texts = ratings[active].map(as_text, na_action="ignore")
    names = _names(texts, ordered)
    codes = np.column_stack([pd.Categorical(texts[r], categories=names).codes for r in active])
    enough = (codes >= 0).sum(axis=1) >= 2
    need_rows(
        ratings[enough], FEWEST, source="The ratings", why="agreement (in cases with two ratings)"
    )
    patterns, times = np.unique(codes[enough].astype(int), axis=0, return_counts=True)
    left_out = len(ratings) - int(enough.sum())
    return _Rated(patterns, times, names, tuple(active), tuple(silent), left_out)


def _names(texts: pd.DataFrame, ordered: Sequence[object] | None) -> list[str]:
    used = sorted({name for column in texts for name in texts[column].dropna()})
    if ordered is None:
        names = used
    else:
        names = list(dict.fromkeys(as_text(each) for each in ordered))
        if missing := [name for name in used if name not in names]:
            raise Problem(
                f"The ratings hold {look.shorten(missing[0])!r}, which the order does not name.",
                nearest(missing[0], names),
            )
    if len(names) > MOST_CATEGORIES:
        raise Refusal(
            f"The ratings hold {len(names)} categories.",
            "compare categories, not free text; measurements need an intraclass correlation.",
        )
    return names


def _need_two_categories(rated: _Rated) -> None:
    used = np.unique(rated.codes[rated.codes >= 0])
    if len(used) < 2:
        raise Refusal(
            f"All used the one category {look.shorten(rated.names[used[0]])!r} throughout.",
            "draw cases of more than one kind: agreement beyond chance cannot be seen here.",
        )


def _blocks(rated: _Rated) -> Iterator[slice]:
    """Runs of patterns that fit into memory."""
    raters = rated.codes.shape[1]
    each = len(rated.names) ** 2 * (2 + raters * (raters - 1) / 2)
    rows = max(int(AT_ONCE / each), 1)
    return (slice(at, at + rows) for at in range(0, len(rated.codes), rows))


def _total(rated: _Rated) -> Sums:
    found = None
    for block in _blocks(rated):
        times, parts = rated.times[block], sums_of_each(rated.codes[block], len(rated.names))
        part = parts.map(lambda value, _, times=times: np.tensordot(times, value, axes=1)[None])
        found = (
            part
            if found is None
            else found.map(lambda value, key, part=part: value + getattr(part, key))
        )
    return found


Coefficient = Callable[[Sums], tuple[np.ndarray, np.ndarray]]


def _judge(
    rated: _Rated, total: Sums, coefficient: Coefficient, *, full: bool = False
) -> tuple[float, float, float, float]:
    """A coefficient with its jackknife variance: estimate, variance, chance, cases."""
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, chance = (float(each[0]) for each in coefficient(total))
        without = [_without(rated, total, coefficient, block) for block in _blocks(rated)]
    times = rated.times * ((rated.codes >= 0).all(axis=1) if full else 1)
    cases, without = float(times.sum()), np.concatenate(without)
    use = times > 0
    if not use.any():
        return np.nan, np.nan, np.nan, 0.0
    mean = times[use] @ without[use] / cases
    variance = (cases - 1) / cases * (times[use] @ (without[use] - mean) ** 2)
    return estimate, float(variance), chance, cases


def _without(rated: _Rated, total: Sums, coefficient: Coefficient, block: slice) -> np.ndarray:
    """The coefficient without one case of each pattern of a block."""
    parts = sums_of_each(rated.codes[block], len(rated.names))
    return coefficient(total.map(lambda value, key: value - getattr(parts, key)))[0]


# --- The coefficients -----------------------------------------------------------------------------


def _gwet(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, k = sums.used, len(weights)
    chance = weights.sum() / (k * (k - 1)) * (q * (1 - q)).sum(axis=1)
    return beyond(sums.agreed(weights), chance)


def _even(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return beyond(sums.agreed(weights), np.full(len(sums.cases), weights.mean()))


def _pairwise(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Agreement and chance of each pair of raters."""
    p = sums.crossed / sums.full[:, None, None, None]
    agreed = np.einsum("rgij,ij->rg", p, weights)
    return agreed, np.einsum("rgi,ij,rgj->rg", p.sum(axis=3), weights, p.sum(axis=2))


def _conger(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    agreed, chance = _pairwise(sums, weights)
    return beyond(agreed.mean(axis=1), chance.mean(axis=1))


def _light(sums: Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    agreed, chance = _pairwise(sums, weights)
    return beyond(agreed, chance)[0].mean(axis=1), chance.mean(axis=1)


def _krippendorff(
    sums: Sums, metric: str, values: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    uses = sums.coinciding.sum(axis=2)
    apart = _distance(uses, metric, values)
    n = uses.sum(axis=1)
    observed = (sums.coinciding * apart).sum(axis=(1, 2)) / n
    expected = np.einsum("ri,rij,rj->r", uses, apart, uses) / (n * (n - 1))
    return 1 - observed / expected, 1 - expected / apart.max(axis=(1, 2))


def _distance(uses: np.ndarray, metric: str, values: np.ndarray | None) -> np.ndarray:
    """Squared distance of each two categories: Krippendorff's metrics."""
    if metric == "nominal":
        square = (1 - np.eye(uses.shape[1]))[None]
    elif metric == "ordinal":
        ranks = uses.cumsum(axis=1) - uses / 2
        return (ranks[:, :, None] - ranks[:, None, :]) ** 2
    else:
        difference, size = values[:, None] - values, values[:, None] + values
        relative = np.divide(difference, size, out=np.zeros_like(size), where=size != 0)
        square = (difference if metric == "interval" else relative)[None] ** 2
    return np.broadcast_to(square, (len(uses), *square.shape[1:]))


def _kendall(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """W with ties: the variance of the rank sums over its largest possible one."""
    pairs = sums.crossed
    raters = int((1 + np.sqrt(1 + 8 * pairs.shape[1])) / 2)
    which = list(combinations(range(raters), 2))
    margin = [pairs[:, 0].sum(axis=2), *(pairs[:, g].sum(axis=1) for g in range(raters - 1))]
    ranks = [m.cumsum(axis=1) - m / 2 - sums.full[:, None] / 2 for m in margin]
    own = sum((m * r**2).sum(axis=1) for m, r in zip(margin, ranks, strict=True))
    both = sum(
        np.einsum("ri,rij,rj->r", ranks[g], pairs[:, at], ranks[h])
        for at, (g, h) in enumerate(which)
    )
    return (own + 2 * both) / (raters * own), np.full(len(own), np.nan)


def _weights(
    names: list[str], disagreement: pd.DataFrame | None, ordered: bool
) -> dict[str, np.ndarray]:
    """How far each two categories agree, 1 to 0, by the name of the weights."""
    found = {"none": np.eye(len(names))}
    if ordered:
        place = np.arange(len(names))
        linear = np.abs(place[:, None] - place) / max(len(names) - 1, 1)
        found |= {"linear": 1 - linear, "quadratic": 1 - linear**2}
    return found if disagreement is None else found | {"own": _own(names, disagreement)}


def _own(names: list[str], disagreement: pd.DataFrame) -> np.ndarray:
    table = disagreement.rename(index=as_text, columns=as_text)
    for side in (table.index, table.columns):
        if missing := [name for name in names if name not in side]:
            raise Problem(
                f"The weights lack the category {look.shorten(missing[0])!r}.",
                "give one row and one column to each category.",
            )
    square = table.loc[names, names].to_numpy(dtype=float)
    good = np.isfinite(square).all() and (square >= 0).all() and square.max() > 0
    if not (good and (np.diag(square) == 0).all() and np.allclose(square, square.T)):
        raise Problem(
            "The weights are no table of disagreement.",
            "0 on the diagonal, positive elsewhere, the same both ways.",
        )
    return 1 - square / square.max()


# --- Rows of the tables ---------------------------------------------------------------------------


def _row(
    rated: _Rated,
    total: Sums,
    name: str,
    weights: str,
    coefficient: Coefficient,
    confidence: float,
    *,
    full: bool = False,
) -> dict:
    estimate, variance, chance, cases = _judge(rated, total, coefficient, full=full)
    note = ""
    if cases < FEWEST:
        estimate, note = np.nan, f"only {cases:.0f} cases were filed by every rater"
    elif np.isclose(estimate, 1):
        estimate = 1.0
        low, high = least_beyond(chance, cases, confidence), 1.0
    if estimate != 1:
        low, high = fisher_limits(estimate, variance, cases, confidence)
    return {
        "coefficient": name,
        "weights": weights,
        "cases": int(cases),
        "estimate": estimate,
        "low": low,
        "high": high,
        "chance": chance,
        "note": note,
    }


def _percent_row(rated: _Rated, total: Sums, confidence: float) -> dict:
    alike = np.eye(len(rated.names))
    estimate, variance, _, cases = _judge(
        rated, total, lambda sums: (sums.agreed(alike), np.full(len(sums.cases), np.nan))
    )
    variance *= (cases - 1) / cases  # of two raters this leaves n itself
    low, high = share_limits(estimate, variance, cases, confidence)
    limits = {"estimate": estimate, "low": low, "high": high, "chance": np.nan, "note": ""}
    return {"coefficient": "agreement", "weights": "none", "cases": int(cases), **limits}


def _kappa_rows(
    rated: _Rated, total: Sums, name: str, weights: np.ndarray, confidence: float
) -> list[dict]:
    several = len(rated.raters) > 2
    kinds = [("Conger's kappa" if several else "Cohen's kappa", _conger, True)]
    kinds += [("Light's kappa", _light, True)] * several
    kinds += [
        ("Fleiss' kappa", fleiss, False),
        ("Gwet's AC1" if name == "none" else "Gwet's AC2", _gwet, False),
        ("PABAK", _even, False),
    ]
    rows = [
        _row(rated, total, kind, name, partial(formula, weights=weights), confidence, full=full)
        for kind, formula, full in kinds
    ]
    if name == "none" and not several:
        kappa, low, high = cohen(total.crossed[0, 0], confidence)
        rows[0] |= {"estimate": kappa, "low": low, "high": high}
    return rows


def _krippendorff_rows(rated: _Rated, total: Sums, ordered: bool, confidence: float) -> list[dict]:
    values = _values(rated.names) if ordered else None
    metrics = ["nominal"] + ["ordinal"] * ordered
    if values is not None:
        metrics += ["interval"] + ["ratio"] * bool((values >= 0).all())
    return [
        _row(
            rated,
            total,
            "Krippendorff's alpha",
            "none" if metric == "nominal" else metric,
            partial(_krippendorff, metric=metric, values=values),
            confidence,
        )
        for metric in metrics
    ]


def _values(names: list[str]) -> np.ndarray | None:
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return None


def _kendall_row(rated: _Rated, total: Sums, confidence: float) -> dict:
    row = _row(rated, total, "Kendall's W", "ranks", _kendall, confidence, full=True)
    if row["estimate"] == 1:
        row |= {"low": np.nan, "note": "full agreement: no lower limit can be given"}
    if row["low"] < 0:
        row["low"] = 0.0  # W cannot be less
    return row


def _card(
    table: pd.DataFrame, rated: _Rated, total: Sums, confidence: float, ordered: bool
) -> AgreementCard:
    plain = table[(table["weights"] == "none") & table["chance"].notna()].dropna(subset="estimate")
    leading = "Cohen's kappa" if len(rated.raters) == 2 else "Krippendorff's alpha"
    lead = plain.set_index("coefficient").loc[leading]
    lowest, highest = plain.loc[plain["estimate"].idxmin()], plain.loc[plain["estimate"].idxmax()]
    uses = total.used[0]
    two = len(rated.names) == 2
    apart = [len(set(pattern[pattern >= 0])) > 1 for pattern in rated.codes]
    return AgreementCard(
        table=table,
        agreed=float(table["estimate"][0]),
        agreed_low=float(table["low"][0]),
        agreed_high=float(table["high"][0]),
        leading=leading,
        estimate=float(lead["estimate"]),
        low=float(lead["low"]),
        high=float(lead["high"]),
        lowest=float(lowest["estimate"]),
        highest=float(highest["estimate"]),
        lowest_name=lowest["coefficient"],
        highest_name=highest["coefficient"],
        largest_category=rated.names[int(uses.argmax())],
        largest_share=float(uses.max()),
        prevalence_index=float(abs(2 * uses[0] - 1)) if two else np.nan,
        bias_index=_bias(rated, 0) if two else np.nan,
        apart=int(rated.times[apart].sum()),
        cases=rated.cases,
        left_out=rated.left_out,
        raters=rated.raters,
        silent=rated.silent,
        confidence=confidence,
        ordered=ordered,
    )


def _bias(rated: _Rated, category: int) -> float:
    """How far the raters' shares of a category differ, of the cases each filed."""
    filed = rated.times @ (rated.codes >= 0)
    shares = rated.times @ (rated.codes == category) / np.where(filed > 0, filed, np.nan)
    return float(np.nanmax(shares) - np.nanmin(shares))


def _category_row(rated: _Rated, total: Sums, i: int, confidence: float) -> dict:
    share, variance, _, _ = _judge(rated, total, partial(_specific, category=i))
    used_for = int(rated.times[(rated.codes == i).any(axis=1)].sum())
    low, high = share_limits(share, variance, used_for, confidence)
    against = partial(_against_rest, category=i)
    kappa = _row(rated, total, "", "", against, confidence)
    p = float(total.used[0, i])
    raters = int((rated.codes == i).any(axis=0).sum())
    return {
        "category": rated.names[i],
        "uses": int(rated.times @ (rated.codes == i).sum(axis=1)),
        "raters": raters,
        "estimate": share,
        "low": low,
        "high": high,
        "kappa": kappa["estimate"],
        "kappa_low": kappa["low"],
        "kappa_high": kappa["high"],
        "prevalence_index": abs(2 * p - 1),
        "bias_index": _bias(rated, i),
        "note": "one rater only used it" if raters == 1 else "",
    }


def _specific(sums: Sums, category: int) -> tuple[np.ndarray, np.ndarray]:
    """Given that one rater chose the category, the share in which another did."""
    row = sums.coinciding[:, category]
    share = row[:, category] / row.sum(axis=1)
    return share, np.full(len(share), np.nan)


def _against_rest(sums: Sums, category: int) -> tuple[np.ndarray, np.ndarray]:
    row, q = sums.alike[:, category], sums.used[:, category]
    agreed = 1 - 2 * (row.sum(axis=1) - row[:, category]) / sums.cases
    return beyond(agreed, q**2 + (1 - q) ** 2)


def _mistaken(rated: _Rated, total: Sums) -> tuple[str, str, float]:
    apart = np.triu(total.alike[0], 1)
    if not apart.any():
        return "", "", 0.0
    i, j = np.unravel_index(int(apart.argmax()), apart.shape)
    return rated.names[i], rated.names[j], float(apart[i, j] / apart.sum())
