"""Do two people file the same case alike?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, wilson


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

FEWEST = 10


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
    names, counts = _crossed(pairs[first], pairs[second])
    if len(names) < 2:
        raise Refusal(
            f"Both used the one category {look.shorten(names[0])!r} throughout.",
            "draw cases of more than one kind: agreement beyond chance cannot be seen here.",
        )
    n, agreed = len(pairs), float(np.trace(counts) / counts.sum())
    kappa, low, high = _kappa(counts, confidence)
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


def _crossed(first: pd.Series, second: pd.Series) -> tuple[list[str], np.ndarray]:
    """Categories that either used, in order, and the square table of counts."""
    a, b = first.astype(str).to_numpy(dtype=object), second.astype(str).to_numpy(dtype=object)
    names = sorted({*a, *b})
    place = {name: at for at, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, ([place[x] for x in a], [place[x] for x in b]), 1)
    return names, counts


def _kappa(counts: np.ndarray, confidence: float) -> tuple[float, float, float]:
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    agreed, chance = np.trace(p), rows @ columns
    if np.isclose(chance, 1):
        return np.nan, np.nan, np.nan
    kappa = (agreed - chance) / (1 - chance)
    if np.trace(counts) == n:
        least, _ = wilson(1.0, n, confidence=confidence)
        return 1.0, float((least - chance) / (1 - chance)), 1.0
    return float(kappa), *_fisher_limits(kappa, kappa_variance(counts), n, confidence)


def kappa_variance(counts: np.ndarray) -> float:
    """Large-sample variance of kappa, from a square table of counts.

    Notes
    -----
    Fleiss, Cohen and Everitt (1969), doi:10.1037/h0028106, with p the shares,
    r and c their margins and k kappa:
    [sum_i p_ii (1 - (r_i + c_i)(1 - k))^2 + (1 - k)^2 sum_(i != j) p_ij (c_i + r_j)^2
    - (k - p_e (1 - k))^2] / (n (1 - p_e)^2).

    Examples
    --------
    20, 5, 10, 15 of 50: k = 0.4, p_e = 0.5; the three terms are
    0.0664 + 0.1084, 0.36 * (0.1 * 1.21 + 0.2 * 0.81) and 0.01.

    >>> round(float(kappa_variance(np.array([[20, 5], [10, 15]]))), 6)
    0.016128
    """
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    chance = rows @ columns
    kappa = (np.trace(p) - chance) / (1 - chance)
    same = np.diag(p) @ (1 - (rows + columns) * (1 - kappa)) ** 2
    apart = (p - np.diag(np.diag(p))) * (columns[:, None] + rows[None, :]) ** 2
    centre = (kappa - chance * (1 - kappa)) ** 2
    variance = same + (1 - kappa) ** 2 * apart.sum() - centre
    return float(max(variance, 0.0) / (n * (1 - chance) ** 2))


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
                "kappa": _kappa(against_rest, confidence)[0],
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


@dataclass(frozen=True)
class _Sums:
    """What every coefficient is computed from, summed over cases; first axis: data sets.

    ``alike`` and ``coinciding`` count pairs of categories within cases, each case
    with weight 1, and with its number of ratings; ``shares`` are the shares of the
    categories; ``crossed`` the table of each pair of raters on the ``full`` cases.
    """

    cases: np.ndarray
    alike: np.ndarray
    coinciding: np.ndarray
    shares: np.ndarray
    full: np.ndarray
    crossed: np.ndarray

    def map(self, change: Callable[[np.ndarray, str], np.ndarray]) -> _Sums:
        return _Sums(**{key: change(value, key) for key, value in vars(self).items()})


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
    texts = ratings[active].map(_text, na_action="ignore")
    names = _names(texts, ordered)
    codes = np.column_stack([pd.Categorical(texts[r], categories=names).codes for r in active])
    enough = (codes >= 0).sum(axis=1) >= 2
    need_rows(
        ratings[enough], FEWEST, source="The ratings", why="agreement (in cases with two ratings)"
    )
    patterns, times = np.unique(codes[enough].astype(int), axis=0, return_counts=True)
    left_out = len(ratings) - int(enough.sum())
    return _Rated(patterns, times, names, tuple(active), tuple(silent), left_out)


def _text(value: object) -> str:
    """A category as text: 2.0 and 2 are the same."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value)


def _names(texts: pd.DataFrame, ordered: Sequence[object] | None) -> list[str]:
    used = sorted({name for column in texts for name in texts[column].dropna()})
    if ordered is None:
        names = used
    else:
        names = list(dict.fromkeys(_text(each) for each in ordered))
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


def _parts(codes: np.ndarray, categories: int) -> _Sums:
    """What each pattern adds to the sums."""
    one = (codes[:, :, None] == np.arange(categories)).astype(float)
    uses = one.sum(axis=1)
    ratings = uses.sum(axis=1)
    pairs = uses[:, :, None] * uses[:, None, :]
    diagonal = np.arange(categories)
    pairs[:, diagonal, diagonal] -= uses
    full = (codes >= 0).all(axis=1).astype(float)
    crossed = [
        one[:, g, :, None] * one[:, h, None, :] * full[:, None, None]
        for g, h in combinations(range(codes.shape[1]), 2)
    ]
    return _Sums(
        cases=np.ones(len(codes)),
        alike=pairs / (ratings * (ratings - 1))[:, None, None],
        coinciding=pairs / (ratings - 1)[:, None, None],
        shares=uses / ratings[:, None],
        full=full,
        crossed=np.stack(crossed, axis=1),
    )


def _blocks(rated: _Rated) -> Iterator[slice]:
    """Runs of patterns that fit into memory."""
    raters = rated.codes.shape[1]
    each = len(rated.names) ** 2 * (2 + raters * (raters - 1) / 2)
    rows = max(int(AT_ONCE / each), 1)
    return (slice(at, at + rows) for at in range(0, len(rated.codes), rows))


def _total(rated: _Rated) -> _Sums:
    found = None
    for block in _blocks(rated):
        times, parts = rated.times[block], _parts(rated.codes[block], len(rated.names))
        part = parts.map(lambda value, _, times=times: np.tensordot(times, value, axes=1)[None])
        found = (
            part
            if found is None
            else found.map(lambda value, key, part=part: value + getattr(part, key))
        )
    return found


Coefficient = Callable[[_Sums], tuple[np.ndarray, np.ndarray]]


def _judge(
    rated: _Rated, total: _Sums, coefficient: Coefficient, *, full: bool = False
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


def _without(rated: _Rated, total: _Sums, coefficient: Coefficient, block: slice) -> np.ndarray:
    """The coefficient without one case of each pattern of a block."""
    parts = _parts(rated.codes[block], len(rated.names))
    return coefficient(total.map(lambda value, key: value - getattr(parts, key)))[0]


# --- The coefficients -----------------------------------------------------------------------------


def _beyond(agreed: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (agreed - chance) / (1 - chance), chance


def _agreed(sums: _Sums, weights: np.ndarray) -> np.ndarray:
    return np.einsum("rij,ij->r", sums.alike, weights) / sums.cases


def _uses(sums: _Sums) -> np.ndarray:
    return sums.shares / sums.cases[:, None]


def _fleiss(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = _uses(sums)
    return _beyond(_agreed(sums, weights), np.einsum("ri,ij,rj->r", q, weights, q))


def _gwet(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, k = _uses(sums), len(weights)
    chance = weights.sum() / (k * (k - 1)) * (q * (1 - q)).sum(axis=1)
    return _beyond(_agreed(sums, weights), chance)


def _even(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _beyond(_agreed(sums, weights), np.full(len(sums.cases), weights.mean()))


def _pairwise(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Agreement and chance of each pair of raters."""
    p = sums.crossed / sums.full[:, None, None, None]
    agreed = np.einsum("rgij,ij->rg", p, weights)
    return agreed, np.einsum("rgi,ij,rgj->rg", p.sum(axis=3), weights, p.sum(axis=2))


def _conger(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    agreed, chance = _pairwise(sums, weights)
    return _beyond(agreed.mean(axis=1), chance.mean(axis=1))


def _light(sums: _Sums, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    agreed, chance = _pairwise(sums, weights)
    return _beyond(agreed, chance)[0].mean(axis=1), chance.mean(axis=1)


def _krippendorff(
    sums: _Sums, metric: str, values: np.ndarray | None
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


def _kendall(sums: _Sums) -> tuple[np.ndarray, np.ndarray]:
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
    table = disagreement.rename(index=_text, columns=_text)
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


def _fisher_limits(
    estimate: float, variance: float, cases: float, confidence: float
) -> tuple[float, float]:
    """Student's interval on the scale of artanh, on which coefficients up to 1 spread evenly."""
    if not (abs(estimate) < 1 and np.isfinite(variance) and cases > 2):
        return np.nan, np.nan
    spread = np.sqrt(variance) / (1 - estimate**2)
    half = stats.t.ppf((1 + confidence) / 2, cases - 1) * spread
    at = np.arctanh(estimate)
    return float(np.tanh(at - half)), float(np.tanh(at + half))


def _share_limits(
    share: float, variance: float, n: float, confidence: float
) -> tuple[float, float]:
    """Wilson's interval at the effective number: what independent cases would spread as much."""
    if 0 < share < 1 and variance > 0:
        n = share * (1 - share) / variance
    return wilson(share, n, confidence=confidence)


def _row(
    rated: _Rated,
    total: _Sums,
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
        least, _ = wilson(1.0, cases, confidence=confidence)
        low, high = (least - chance) / (1 - chance), 1.0
    if estimate != 1:
        low, high = _fisher_limits(estimate, variance, cases, confidence)
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


def _percent_row(rated: _Rated, total: _Sums, confidence: float) -> dict:
    alike = np.eye(len(rated.names))
    estimate, variance, _, cases = _judge(
        rated, total, lambda sums: (_agreed(sums, alike), np.full(len(sums.cases), np.nan))
    )
    variance *= (cases - 1) / cases  # of two raters this leaves n itself
    low, high = _share_limits(estimate, variance, cases, confidence)
    limits = {"estimate": estimate, "low": low, "high": high, "chance": np.nan, "note": ""}
    return {"coefficient": "agreement", "weights": "none", "cases": int(cases), **limits}


def _kappa_rows(
    rated: _Rated, total: _Sums, name: str, weights: np.ndarray, confidence: float
) -> list[dict]:
    several = len(rated.raters) > 2
    kinds = [("Conger's kappa" if several else "Cohen's kappa", _conger, True)]
    kinds += [("Light's kappa", _light, True)] * several
    kinds += [
        ("Fleiss' kappa", _fleiss, False),
        ("Gwet's AC1" if name == "none" else "Gwet's AC2", _gwet, False),
        ("PABAK", _even, False),
    ]
    rows = [
        _row(rated, total, kind, name, partial(formula, weights=weights), confidence, full=full)
        for kind, formula, full in kinds
    ]
    if name == "none" and not several:
        kappa, low, high = _kappa(total.crossed[0, 0], confidence)
        rows[0] |= {"estimate": kappa, "low": low, "high": high}
    return rows


def _krippendorff_rows(rated: _Rated, total: _Sums, ordered: bool, confidence: float) -> list[dict]:
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


def _kendall_row(rated: _Rated, total: _Sums, confidence: float) -> dict:
    row = _row(rated, total, "Kendall's W", "ranks", _kendall, confidence, full=True)
    if row["estimate"] == 1:
        row |= {"low": np.nan, "note": "full agreement: no lower limit can be given"}
    if row["low"] < 0:
        row["low"] = 0.0  # W cannot be less
    return row


def _card(
    table: pd.DataFrame, rated: _Rated, total: _Sums, confidence: float, ordered: bool
) -> AgreementCard:
    plain = table[(table["weights"] == "none") & table["chance"].notna()].dropna(subset="estimate")
    leading = "Cohen's kappa" if len(rated.raters) == 2 else "Krippendorff's alpha"
    lead = plain.set_index("coefficient").loc[leading]
    lowest, highest = plain.loc[plain["estimate"].idxmin()], plain.loc[plain["estimate"].idxmax()]
    uses = _uses(total)[0]
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


def _category_row(rated: _Rated, total: _Sums, i: int, confidence: float) -> dict:
    share, variance, _, _ = _judge(rated, total, partial(_specific, category=i))
    used_for = int(rated.times[(rated.codes == i).any(axis=1)].sum())
    low, high = _share_limits(share, variance, used_for, confidence)
    against = partial(_against_rest, category=i)
    kappa = _row(rated, total, "", "", against, confidence)
    p = float(_uses(total)[0, i])
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


def _specific(sums: _Sums, category: int) -> tuple[np.ndarray, np.ndarray]:
    """Given that one rater chose the category, the share in which another did."""
    row = sums.coinciding[:, category]
    share = row[:, category] / row.sum(axis=1)
    return share, np.full(len(share), np.nan)


def _against_rest(sums: _Sums, category: int) -> tuple[np.ndarray, np.ndarray]:
    row, q = sums.alike[:, category], _uses(sums)[:, category]
    agreed = 1 - 2 * (row.sum(axis=1) - row[:, category]) / sums.cases
    return _beyond(agreed, q**2 + (1 - q) ** 2)


def _mistaken(rated: _Rated, total: _Sums) -> tuple[str, str, float]:
    apart = np.triu(total.alike[0], 1)
    if not apart.any():
        return "", "", 0.0
    i, j = np.unravel_index(int(apart.argmax()), apart.shape)
    return rated.names[i], rated.names[j], float(apart[i, j] / apart.sum())


# --- Against a standard ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StandardAgreement(Finding):
    """How far raters agree with themselves, with each other and with the standard.

    Attributes
    ----------
    table : DataFrame, one row per assessment and rater
        ``assessment``: ``within`` (a rater files the same case the same way
        every time), ``vs standard`` (and as the standard says), and, of two
        raters or more, ``between`` (all alike, every time) and ``all vs
        standard``; ``rater``, blank where it is all; ``matched`` of
        ``inspected`` cases; ``estimate``, ``low``, ``high``, that share;
        ``low_one_sided``, where all match, the bound that some programs print
        instead of ``low``; ``fleiss_kappa``, ``cohen_kappa``, of the single
        ratings; ``miss``, ``false_alarm``, the shares of single ratings that
        overlook the defect, or see one where none is (missing unless a
        category is named as the defect); ``note``.
    raters, silent : tuple of str
        Columns judged, and those without any rating.
    cases, without_standard : int
        Cases with a standard, and rows without.
    most_trials : int
        How often a rater filed one case, at most.
    defect : str
        The category that is the defect; blank if none is named.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    raters: tuple[str, ...]
    silent: tuple[str, ...]
    cases: int
    without_standard: int
    most_trials: int
    defect: str
    confidence: float

    def sentence(self) -> str:
        each = self.table[self.table["assessment"] == "vs standard"]
        worst = each.loc[each["estimate"].idxmin()]
        first = f"Least often right is {self._one(worst)}"
        together = self.table[self.table["assessment"] == "all vs standard"]
        for row in together.dropna(subset="estimate").itertuples():
            first += f"; all are right together on {100 * row.estimate:.0f} %"
        return f"{first}.\n{' '.join(filter(None, self._rest()))}"

    def _one(self, row: pd.Series) -> str:
        limits = (100 * row[name] for name in ("estimate", "low", "high"))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="%")
        return (
            f"{row['rater']}: as the standard says on {found} of "
            f"{counted(row['inspected'], 'case')}"
        )

    def _rest(self) -> list[str]:
        said = [
            "A case counts as right if every rating of it is; intervals are Clopper and Pearson's, "
            "which are conservative.",
            self._within(),
            self._errors(),
        ]
        if self.table["low_one_sided"].notna().any():
            said.append(
                "Where all match, programs such as Minitab print a one-sided lower limit, which is "
                "higher (column low_one_sided)."
            )
        if self.silent:
            said.append(f"Without any rating, so not judged: {', '.join(self.silent)}.")
        if self.without_standard:
            said.append(f"Left out, without a standard: {counted(self.without_standard, 'row')}.")
        return said

    def _within(self) -> str:
        rows = self.table[(self.table["assessment"] == "within") & (self.table["inspected"] > 0)]
        if rows.empty:
            return "No rater filed a case twice, so nobody can be compared with himself or herself."
        worst = rows.loc[rows["estimate"].idxmin()]
        return (
            f"Least in agreement with himself or herself is {worst['rater']}: the same every time "
            f"on {worst['matched']} of {worst['inspected']} cases."
        )

    def _errors(self) -> str:
        known = self.table.dropna(subset=["miss", "false_alarm"])
        known = known[known["assessment"] == "vs standard"]
        if known.empty:
            return ""
        each = "; ".join(
            f"{row.rater} {row.miss:.0%} and {row.false_alarm:.0%}" for row in known.itertuples()
        )
        return f"Defects ({look.shorten(self.defect)}) overlooked and false alarms: {each}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.dropna(subset="estimate")
        shown = rows.assign(**{name: rows[name] * 100 for name in ("estimate", "low", "high")})
        names = [f"{row.assessment} {row.rater}".strip() for row in rows.itertuples()]
        look.dots(ax, shown, names=names)
        ax.set_xlim(0, 101)
        return look.label(
            ax, title="Do raters judge as the standard says?", x="cases that match throughout (%)"
        )


def standard_agreement(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    standard: str = "standard",
    case: str = "complaint",
    defect: str = "",
    confidence: float = 0.95,
) -> StandardAgreement:
    """Compare raters with themselves, with each other and with the standard.

    Parameters
    ----------
    ratings : DataFrame, one row per case and trial
        A case that a rater filed again stands in a further row; its standard is the same in each.
    raters : sequence of str
        One column or more.
    standard, case : str
        Columns of the right category and of the case's identifier.
    defect : str, default ""
        The category that is a defect; blank if none is.
    confidence : float, default 0.95

    Returns
    -------
    StandardAgreement

    Raises
    ------
    Problem
        If a column is missing, or one case has two standards.
    Refusal
        If fewer than ten cases have a standard and a rating.

    Notes
    -----
    A case matches if all of its ratings do.  The interval of the share of
    matched cases is Clopper and Pearson's [1]_: conservative, it holds the
    truth at least as often as it says.  At n of n matched its lower limit is
    (a/2)^(1/n), a = 1 - confidence, where Minitab prints the one-sided a^(1/n).
    Fleiss' kappa takes the trials of a rater as raters (within), the mean
    over trials of trial and standard (against the standard), or all trials of
    all raters (between); Cohen's pools all ratings against the standard.

    References
    ----------
    .. [1] Clopper, C. J., Pearson, E. S. (1934). Biometrika 26, 404-413.
       doi:10.1093/biomet/26.4.404

    Examples
    --------
    10 of 10 right: the lower limit is 0.025^(1/10).

    >>> ratings = pd.DataFrame({"complaint": range(10), "standard": list("xy") * 5,
    ...                         "coder_a": list("xy") * 5, "coder_b": list("xx") * 5})
    >>> found = standard_agreement(ratings).table.query("assessment == 'vs standard'")
    >>> found[["matched", "low"]].round(4).values.tolist()
    [[10.0, 0.6915], [5.0, 0.1871]]
    """
    need_share(confidence, name="confidence")
    trials = _trials(ratings, list(raters), standard, case)
    silent = tuple(r for r in raters if trials.ratings[r].isna().all())
    active = [r for r in raters if r not in silent]
    if not active:
        raise Refusal("No rater filed a case that has a standard.", "give ratings to compare.")
    need_rows(trials.standard, FEWEST, source="The ratings", why="a comparison with the standard")
    rows = [_within_row(trials, r, confidence) for r in active]
    rows += [_standard_row(trials, [r], defect, confidence) for r in active]
    if len(active) > 1:
        rows.append(_between_row(trials, active, confidence))
        rows.append(_standard_row(trials, active, defect, confidence))
    return StandardAgreement(
        table=pd.DataFrame(rows),
        raters=tuple(active),
        silent=silent,
        cases=len(trials.standard),
        without_standard=int(ratings[standard].isna().sum()),
        most_trials=int(trials.ratings.index.get_level_values("trial").max()) + 1,
        defect=defect,
        confidence=confidence,
    )


@dataclass(frozen=True)
class _Trials:
    """Ratings by case and trial, and each case's standard."""

    ratings: pd.DataFrame
    standard: pd.Series

    def wide(self, raters: Sequence[str]) -> pd.DataFrame:
        """One row per case, one column per rater and trial."""
        trials = self.ratings[list(raters)].groupby(level="trial")
        return pd.concat({trial: rows.droplevel("trial") for trial, rows in trials}, axis=1)


def _trials(ratings: pd.DataFrame, raters: list[str], standard: str, case: str) -> _Trials:
    if not raters or len(set(raters)) < len(raters):
        raise Problem(f"The raters are {raters}.", "name each column once.")
    need_columns(ratings, [case, standard, *raters], source="the ratings")
    texts = ratings[[standard, *raters]].map(_text, na_action="ignore")
    known = texts[texts[standard].notna() & ratings[case].notna()]
    by = ratings.loc[known.index, case].astype(str)
    mixed = known.groupby(by)[standard].nunique()
    if (mixed > 1).any():
        raise Problem(
            f"The ratings: case {mixed.idxmax()!r} has {mixed.max()} different standards.",
            "give each case one right category.",
        )
    known = known.set_axis(
        pd.MultiIndex.from_arrays([by, known.groupby(by).cumcount()], names=["case", "trial"])
    )
    return _Trials(known[raters], known[standard].groupby("case").first())


def _match_row(
    assessment: str, rater: str, matched: pd.Series, confidence: float, **more: float
) -> dict:
    """The share of cases that match, with its interval."""
    n, k = len(matched), int(matched.sum())
    row = {"assessment": assessment, "rater": rater, "matched": k, "inspected": n}
    row |= dict.fromkeys(("estimate", "low", "high", "low_one_sided"), np.nan)
    if n:
        found = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
        row |= {"estimate": k / n, "low": float(found.low), "high": float(found.high)}
    if n and k == n:
        row["low_one_sided"] = (1 - confidence) ** (1 / n)
    missing = dict.fromkeys(("fleiss_kappa", "cohen_kappa", "miss", "false_alarm"), np.nan)
    return row | missing | more | {"note": "" if n else "no case to compare"}


def _within_row(trials: _Trials, rater: str, confidence: float) -> dict:
    wide = trials.wide([rater])
    wide = wide[wide.notna().sum(axis=1) > 1]
    kappa = _fleiss_of(wide)
    return _match_row("within", rater, _throughout(wide), confidence, fleiss_kappa=kappa)


def _between_row(trials: _Trials, raters: list[str], confidence: float) -> dict:
    wide = _filed_by_all(trials, raters)
    kappa = _fleiss_of(wide)
    return _match_row("between", "", _throughout(wide), confidence, fleiss_kappa=kappa)


def _standard_row(trials: _Trials, raters: list[str], defect: str, confidence: float) -> dict:
    wide = _filed_by_all(trials, raters)
    right = trials.standard.reindex(wide.index)
    columns = [pd.DataFrame({"given": wide[each], "right": right}).dropna() for each in wide]
    single = pd.concat(columns, ignore_index=True)
    fleiss = [_fleiss_of(pair) for pair in columns if len(pair)]
    names, counts = _crossed(single["given"], single["right"])
    alone = len(raters) == 1
    return _match_row(
        "vs standard" if alone else "all vs standard",
        raters[0] if alone else "",
        _throughout(wide, right),
        confidence,
        fleiss_kappa=float(np.mean(fleiss)) if fleiss else np.nan,
        cohen_kappa=_kappa(counts, confidence)[0] if len(names) > 1 else np.nan,
        **_error_shares(single, defect),
    )


def _throughout(wide: pd.DataFrame, value: pd.Series | None = None) -> pd.Series:
    """Rows of which all ratings are ``value``, or, without it, are alike."""
    if wide.empty:
        return pd.Series(dtype=bool)
    value = wide.bfill(axis=1).iloc[:, 0] if value is None else value
    return (wide.eq(value, axis=0) | wide.isna()).all(axis=1)


def _filed_by_all(trials: _Trials, raters: list[str]) -> pd.DataFrame:
    """Cases that each of the raters filed at least once, one row each."""
    filed = trials.ratings[raters].notna().groupby(level="case").any().all(axis=1)
    return trials.wide(raters).loc[filed.index[filed]]


def _fleiss_of(wide: pd.DataFrame) -> float:
    """Fleiss' kappa of the columns of a table as raters."""
    wide = wide[wide.notna().sum(axis=1) > 1] if len(wide) else wide
    names = sorted({name for column in wide for name in wide[column].dropna()})
    if len(names) < 2:
        return np.nan
    codes = np.column_stack([pd.Categorical(wide[c], categories=names).codes for c in wide])
    parts = _parts(codes.astype(int), len(names))
    sums = parts.map(lambda value, _: value.sum(axis=0)[None])
    return float(_fleiss(sums, np.eye(len(names)))[0][0])


def _error_shares(single: pd.DataFrame, defect: str) -> dict[str, float]:
    if not defect:
        return {}
    bad, seen = single["right"] == defect, single["given"] == defect
    return {
        "miss": float((~seen[bad]).mean()) if bad.any() else np.nan,
        "false_alarm": float(seen[~bad].mean()) if (~bad).any() else np.nan,
    }


# --- Over the months ------------------------------------------------------------------------------

DAYS_IN_MONTH = 30.4375


@dataclass(frozen=True, eq=False)
class AgreementDrift(Finding):
    """Whether agreement holds over the months.

    Attributes
    ----------
    table : DataFrame, one row per month with a case
        ``period`` (first day of the month); ``cases``; ``estimate``, ``low``,
        ``high``, the share of pairs of ratings that agree; ``note``.
    slope, low, high : float
        Change of that share in a month, with its interval.
    verdict : str
        ``sinks``, ``rises`` or ``no drift shown``.
    cases, left_out, months : int
        Cases used; cases without a time or two ratings; months with a case.
    standard : str
        The column that ratings were compared with; blank: with each other.
    raters : tuple of str
    confidence : float
        Level of the intervals, 0 to 1.
    """

    slope: float
    low: float
    high: float
    verdict: str
    cases: int
    left_out: int
    months: int
    standard: str
    raters: tuple[str, ...]
    confidence: float

    def sentence(self) -> str:
        found = spell(
            *(100 * x for x in (self.slope, self.low, self.high)),
            confidence=self.confidence,
            digits=2,
            unit="points",
        )
        said = {
            "sinks": f"Agreement sinks: {found} a month",
            "rises": f"Agreement rises: {found} a month",
            "no drift shown": f"No drift of the agreement is shown: {found} a month",
        }[self.verdict]
        whom = f"with {self.standard}" if self.standard else "with each other"
        rest = [
            f"It is the straight-line change of the share of ratings that agree {whom}, with "
            "errors that need not be even (HC3); cases count as independent.",
            "Harder cases in later months look the same as drift: compare like with like.",
        ]
        if self.verdict == "no drift shown":
            rest.append(
                f"A loss of up to {100 * max(-self.low, 0):.2f} points a month is not excluded."
            )
        if self.left_out:
            rest.append(
                f"Left out, without a time or two ratings: {counted(self.left_out, 'case')}."
            )
        over = f"{counted(self.cases, 'case')} in {counted(self.months, 'month')}"
        return f"{said}, over {over}.\n{' '.join(rest)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        at = self.table["period"] + pd.Timedelta(days=DAYS_IN_MONTH / 2)
        colour = look.MEANING["usual"]
        ax.vlines(at, 100 * self.table["low"], 100 * self.table["high"], color=colour, lw=1.6)
        ax.plot(at, 100 * self.table["estimate"], ls="", marker=look.MARKER["usual"], color=colour)
        centre = np.average(self.table["estimate"], weights=self.table["cases"])
        months = (at - at.iloc[0]).dt.days / DAYS_IN_MONTH
        line = centre + self.slope * (months - np.average(months, weights=self.table["cases"]))
        ax.plot(at, 100 * line, color=look.MEANING["limit"], lw=1.2)
        look.dates(ax)
        return look.label(
            ax, title="Does agreement hold over the months?", y="ratings that agree (%)"
        )


def agreement_drift(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    time: str = "coded",
    standard: str = "",
    confidence: float = 0.95,
) -> AgreementDrift:
    """Follow agreement over the months.

    Parameters
    ----------
    ratings : DataFrame, one row per case
    raters : sequence of str
        Two columns or more; one is enough with a standard.
    time : str
        Column of the time at which a case was filed.
    standard : str, default ""
        Column to compare each rating with; blank: compare the raters with each other.
    confidence : float, default 0.95

    Returns
    -------
    AgreementDrift
        A month's interval is Wilson's at the effective number of cases.

    Raises
    ------
    Problem
        If a column is missing or ``time`` holds no times.
    Refusal
        If fewer than ten cases can be used, they lie in fewer than two months,
        or all of them agree.

    Notes
    -----
    The share of pairs of ratings of a case that agree is regressed on its time
    by least squares, with the heteroscedasticity-consistent variance HC3 [1]_
    and Student's quantile with n - 2 degrees of freedom.

    References
    ----------
    .. [1] MacKinnon, J. G., White, H. (1985). Journal of Econometrics 29,
       305-325. doi:10.1016/0304-4076(85)90158-7

    Examples
    --------
    All five of January agree, none of the five a month (31 days) later: a fall of 100 points in
    31 / 30.4375 months.

    >>> ratings = pd.DataFrame({"coded": ["2025-01-10"] * 5 + ["2025-02-10"] * 5,
    ...                         "coder_a": ["x"] * 10, "coder_b": ["x"] * 5 + ["y"] * 5})
    >>> ratings["coded"] = pd.to_datetime(ratings["coded"])
    >>> round(agreement_drift(ratings).slope, 4)
    -0.9819
    """
    need_share(confidence, name="confidence")
    alike, times = _alike_by_time(ratings, list(raters), time, standard)
    months = clock.local(times).dt.to_period("M").dt.to_timestamp()
    _need_drift(alike, months)
    slope, low, high = _slope(alike, times, confidence)
    rows = [_month_row(month, alike[months == month], confidence) for month in sorted(set(months))]
    verdict = "sinks" if high < 0 else "rises" if low > 0 else "no drift shown"
    return AgreementDrift(
        table=pd.DataFrame(rows),
        slope=slope,
        low=low,
        high=high,
        verdict=verdict,
        cases=len(alike),
        left_out=len(ratings) - len(alike),
        months=len(rows),
        standard=standard,
        raters=tuple(raters),
        confidence=confidence,
    )


def _alike_by_time(
    ratings: pd.DataFrame, raters: list[str], time: str, standard: str
) -> tuple[pd.Series, pd.Series]:
    """The share of pairs that agree, and the time, of each case that has both."""
    if len(raters) < (1 if standard else 2) or len(set(raters)) < len(raters):
        raise Problem(f"The raters are {raters}.", "name two columns or more, each once.")
    others = [standard] if standard else []
    need_columns(ratings, [*raters, time, *others], source="the ratings")
    if not pd.api.types.is_datetime64_any_dtype(ratings[time]):
        raise Problem(f"the ratings: {time!r} holds no times.", "give it the type time.")
    texts = ratings[[*raters, *others]].map(_text, na_action="ignore")
    pairs = [(r, standard) for r in raters] if standard else list(combinations(raters, 2))
    same = np.array(
        [(texts[a] == texts[b]).where(texts[a].notna() & texts[b].notna()) for a, b in pairs],
        dtype=float,
    )
    filed = np.isfinite(same).any(axis=0) & ratings[time].notna().to_numpy()
    alike = pd.Series(np.nanmean(same[:, filed], axis=0), index=ratings.index[filed])
    return alike, ratings.loc[filed, time]


def _need_drift(alike: pd.Series, months: pd.Series) -> None:
    need_rows(alike, FEWEST, source="The ratings", why="a trend (in cases with a time)")
    if months.nunique() < 2:
        raise Refusal("All cases were filed in one month.", "file cases again in later months.")
    if alike.nunique() < 2:
        raise Refusal(
            f"All {len(alike)} cases agree to the same extent ({alike.iloc[0]:.0%}).",
            "a trend cannot be seen, nor its limits; the card shows the interval of the agreement.",
        )


def _slope(alike: pd.Series, times: pd.Series, confidence: float) -> tuple[float, float, float]:
    days = (times - times.min()) / pd.Timedelta(days=1)
    x = days.to_numpy(dtype=float) / DAYS_IN_MONTH
    x = x - x.mean()
    y, n = alike.to_numpy(dtype=float), len(alike)
    slope = float(x @ y / (x @ x))
    left = y - y.mean() - slope * x
    leverage = 1 / n + x**2 / (x @ x)
    room = np.clip(1 - leverage, 1e-9, None)
    spread = np.sqrt((x**2 * (left / room) ** 2).sum()) / (x @ x)
    half = stats.t.ppf((1 + confidence) / 2, n - 2) * spread
    return slope, slope - half, slope + half


def _month_row(month: pd.Timestamp, alike: pd.Series, confidence: float) -> dict:
    n, share = len(alike), float(alike.mean())
    variance = float(alike.var(ddof=0)) / n
    low, high = _share_limits(share, variance, n, confidence)
    note = f"fewer than {FEWEST} cases" if n < FEWEST else ""
    return {
        "period": month,
        "cases": n,
        "estimate": share,
        "low": low,
        "high": high,
        "note": note,
    }
