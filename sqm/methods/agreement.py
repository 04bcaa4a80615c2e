"""Do two people file the same case alike?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Refusal, need_columns, need_rows, need_share
from sqm.finding import Finding
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
    large-sample standard error of [2]_, or, where all cases agree and that is
    0, Wilson's lower limit of p_o in the same formula.  AC1 replaces p_e
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
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(kappa_variance(counts))
    return float(kappa), float(max(kappa - half, -1)), float(min(kappa + half, 1))


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
