"""How many things does this questionnaire measure?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import optimize, special, stats

from sqm import factors as factoring
from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_numbers, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell
from sqm.moments import as_correlations, published, resampled

SOURCE = "the answers"
FEWEST_ITEMS = 3  # two items have one correlation, which shows no structure
FEWEST_RESPONDENTS, PER_ITEM = 30, 3  # below, resamples hold hardly more people than items
FEWEST_RESAMPLES = 100
LEAST_ADEQUACY = 0.5  # Kaiser calls less unacceptable
_LIMITS = ("estimate", "low", "high")
_EDGES = {  # an oblique loading may exceed 1
    "loading": (-np.inf, np.inf),
    "communality": (0.0, 1.0),
    "factor correlation": (-1.0, 1.0),
    "explained": (0.0, 1.0),
}
HARDLY = 0.3  # a largest loading below this is shown as one that belongs nowhere
METHODS = {
    "minres": (factoring.minres, factoring.minres_each),
    "maximum likelihood": (factoring.maximum_likelihood, factoring.maximum_likelihood_each),
}
# Kaiser, H. F. (1974). An index of factorial simplicity. Psychometrika 39, 31-36.
# doi:10.1007/BF02291575
KAISER = (
    (0.9, "marvelous"),
    (0.8, "meritorious"),
    (0.7, "middling"),
    (0.6, "mediocre"),
    (0.5, "miserable"),
    (-np.inf, "unacceptable"),
)


@dataclass(frozen=True, eq=False)
class Factorability(Finding):
    """Whether items share enough for factors to be sought behind them.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``item``; ``msa``, its measure of sampling adequacy as programs print it (0 to 1);
        ``estimate``, ``low``, ``high``, the same freed from sampling noise, with its interval;
        ``note``.
    kmo : float
        Kaiser-Meyer-Olkin measure of all items as programs print it, 0 to 1.
    estimate, low, high : float
        The same freed from sampling noise, and the limits of its interval (conservative).
    confidence : float
        Level of the intervals, 0 to 1.
    bartlett_chi2, bartlett_df, bartlett_p : float, int, float
        Bartlett's test that no item correlates with any other.
    respondents, left_out : int
        Who answered every item, and who left one blank.
    from_answers : bool
        False where only correlations were at hand; the answers are then taken as normal.
    """

    kmo: float
    estimate: float
    low: float
    high: float
    confidence: float
    bartlett_chi2: float
    bartlett_df: int
    bartlett_p: float
    respondents: int
    left_out: int
    from_answers: bool

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        return f"{self._answer(len(known))}\n" + " ".join(
            each for each in [*self._basis(), self._bartlett(), *self._items(known)] if each
        )

    def _answer(self, items: int) -> str:
        found = spell(self.estimate, self.low, self.high, confidence=self.confidence)
        return f"The {items} items {self._verdict()}: Kaiser-Meyer-Olkin {found}, {self._words()}."

    def _verdict(self) -> str:
        if self.bartlett_p >= 1 - self.confidence:
            return "cannot be told from items that share nothing"
        if self.high < LEAST_ADEQUACY:
            return "share too little for factors to be sought"
        if self.low < LEAST_ADEQUACY:
            return "may or may not share enough for factors to be sought"
        return "share enough for factors to be sought"

    def _words(self) -> str:
        low, high = _kaiser(self.low), _kaiser(self.high)
        return f"'{low}' in Kaiser's words" if low == high else f"'{low}' to '{high}' (Kaiser)"

    def _basis(self) -> list[str]:
        return [
            "It compares correlations with what is left of them once the other items are held "
            "constant (1: all is shared, below 0.5: factors would be noise).",
            f"As programs print it, it is {self.kmo:.3f}; that figure errs low with few "
            "respondents, so the estimate takes the sampling noise out. The interval is "
            "conservative.",
            _rests_on(self.respondents, self.left_out, self.from_answers),
        ]

    def _bartlett(self) -> str:
        p = "p < 0.0001" if self.bartlett_p < 1e-4 else f"p = {self.bartlett_p:.4f}"
        return (
            "Bartlett's test that no item correlates with another: chi-square "
            f"{self.bartlett_chi2:,.1f}, {self.bartlett_df} degrees of freedom, {p}."
        )

    def _items(self, known: pd.DataFrame) -> list[str]:
        weakest = known.loc[known["estimate"].idxmin()]
        low = known.loc[known["high"] < LEAST_ADEQUACY, "item"]
        found = spell(
            weakest["estimate"], weakest["low"], weakest["high"], confidence=self.confidence
        )
        words = [f"The item that shares least is {weakest['item']}: {found}."]
        if len(low):
            words.append(f"Below 0.5 for certain: {', '.join(low)}.")
        return [*words, _unsaid(self.table)]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="estimate").sort_values("estimate", kind="stable")
        meaning = ["worse" if high < LEAST_ADEQUACY else "usual" for high in known["high"]]
        look.dots(ax, known, names=known["item"], meaning=meaning)
        ax.axvline(LEAST_ADEQUACY, color=look.MEANING["limit"], ls="--", lw=1)
        ax.axvline(self.estimate, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="Do the items share enough for factors?",
            x="sampling adequacy, 0 to 1 (dashed: least bearable; line: all items)",
        )


@dataclass(frozen=True, eq=False)
class ParallelAnalysis(Finding):
    """How many dimensions stand above what chance alone would show.

    Attributes
    ----------
    table : DataFrame, one row per kind and position
        ``kind``, ``component`` (all variance) or ``factor`` (shared variance); ``position``, 1
        for the largest; ``estimate``, ``low``, ``high``, the eigenvalue with its interval;
        ``by_chance_mean`` and ``by_chance``, the mean and the ``quantile`` of the eigenvalues of
        items that share nothing; ``kept``; ``note``.
    components, components_low, components_high : int
        Components above chance; those whose whole interval is; those whose interval reaches above.
    factors, factors_low, factors_high : int
        The same of factors.
    quantile : float
        Of the eigenvalues by chance, 0 to 1.
    resamples : int
        Simulated sets, and resamples behind the intervals.
    first_component_share, first_factor_share : float
        Share of all variance in the first component, and in a single factor (Harman's), 0 to 1.
    confidence : float
        Level of the intervals, 0 to 1.
    respondents, left_out : int
    unused : int
        Resamples that could not be used because an item did not vary in them.
    from_answers : bool
        False where only correlations were at hand.
    excluded : tuple of str
        Items that never vary, left out.
    """

    components: int
    components_low: int
    components_high: int
    factors: int
    factors_low: int
    factors_high: int
    quantile: float
    resamples: int
    first_component_share: float
    first_factor_share: float
    confidence: float
    respondents: int
    left_out: int
    unused: int
    from_answers: bool
    excluded: tuple[str, ...]

    def sentence(self) -> str:
        rest = [
            self._agreement(),
            f"A component counts while its eigenvalue exceeds the {self.quantile:.0%} quantile of "
            f"{self.resamples:,} simulated sets of normal, unrelated items as large as this one "
            "(Horn, Glorfeld); a factor likewise, on the matrix less each item's own variance as "
            "a single minres factor leaves it.",
            "The range counts the eigenvalues whose approximate interval lies wholly above chance, "
            "and those whose interval reaches above it.",
            f"The first component holds {self.first_component_share:.1%} of all variance, a single "
            f"factor {self.first_factor_share:.1%} (Harman's share; it proves nothing by itself).",
            _rests_on(self.respondents, self.left_out, self.from_answers),
            f"{counted(self.unused, 'resample')} could not be used." if self.unused else "",
            f"Left out, because everyone answered alike: {', '.join(self.excluded)}."
            if self.excluded
            else "",
        ]
        return f"{self._answer()}\n" + " ".join(each for each in rest if each)

    def _answer(self) -> str:
        level = f"approximate {self.confidence * 100:.4g}% interval"
        return (
            f"The answers hold {counted(self.components, 'component')} ({level} "
            f"{self.components_low} to {self.components_high}) and "
            f"{counted(self.factors, 'factor')} ({self.factors_low} to {self.factors_high}) above "
            "chance, by parallel analysis."
        )

    def _agreement(self) -> str:
        if self.components == self.factors:
            return "Both counts agree."
        return (
            "The counts differ, as they often do: components summarise all variance, factors only "
            "what items share; small factors above the count of components are seldom worth a name."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for kind, meaning in (("component", "usual"), ("factor", "other")):
            _scree(ax, self.table[self.table["kind"] == kind], kind, meaning)
        ax.axhline(0, color="#e3e6e8", lw=0.8)
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="How many dimensions stand above chance?",
            x="position, largest eigenvalue first",
            y="eigenvalue (items' variances)",
        )


@dataclass(frozen=True, eq=False)
class Factors(Finding):
    """Which items go with which factor.

    Attributes
    ----------
    table : DataFrame
        ``kind``: ``loading`` (one row per item and factor: the pattern), ``communality`` (one per
        item: share of its variance explained), ``factor correlation`` (one per pair) or
        ``explained`` (one: share of all variance); ``item``; ``factor``, F1 the strongest;
        ``other_factor``; ``dimension`` the item is meant for;
        ``main``, whether it is the item's largest loading; ``estimate``, ``low``, ``high``;
        ``note``.
    factors : int
    method : str
    explained : float
        Share of all variance that the factors explain, 0 to 1.
    residual : float
        Root mean square of the correlations left over.
    with_dimension, with_dimension_low, with_dimension_high : int
        Items whose largest loading is on the factor of their dimension, with the interval of
        that count over the resamples; -1 where no dimensions were given.
    placed : int
        Items that have a dimension.
    strays : tuple of str
        Items whose largest loading is on another factor than their dimension's.
    shared : tuple of str
        Dimensions without a factor of their own.
    heywood : tuple of str
        Items explained wholly, which no sound solution does.
    confidence : float
    resamples, unused : int
        Resamples drawn, and those of them that had no solution.
    unsound : float
        Share of resamples with a Heywood case, 0 to 1.
    respondents, left_out : int
    from_answers : bool
        False where only correlations were at hand.
    """

    factors: int
    method: str
    explained: float
    residual: float
    with_dimension: int
    with_dimension_low: int
    with_dimension_high: int
    placed: int
    strays: tuple[str, ...]
    shared: tuple[str, ...]
    heywood: tuple[str, ...]
    confidence: float
    resamples: int
    unused: int
    unsound: float
    respondents: int
    left_out: int
    from_answers: bool

    def sentence(self) -> str:
        rest = [
            self._explained(),
            *self._dimensions(),
            self._nowhere(),
            self._correlation(),
            self._heywood(),
            f"Method: {self.method}"
            + (", oblimin (factors may correlate)." if self.factors > 1 else "."),
            f"Approximate intervals from {self.resamples:,} resamples, each turned to match.",
            _rests_on(self.respondents, self.left_out, self.from_answers),
            f"{counted(self.unused, 'resample')} had no solution and could not be used."
            if self.unused
            else "",
            _unsaid(self.table),
        ]
        return f"{self._answer()}\n" + " ".join(each for each in rest if each)

    def _answer(self) -> str:
        caution = "No sound solution (a Heywood case). " if self.heywood else ""
        if self.with_dimension < 0:
            loadings = self._loadings()
            top = loadings.loc[loadings["estimate"].abs().idxmax()]
            found = spell(top["estimate"], top["low"], top["high"], confidence=self.confidence)
            drawn = "1 factor was" if self.factors == 1 else f"{self.factors} factors were"
            return f"{caution}{drawn} drawn; {top['item']} loads most, {found} on {top['factor']}."
        return (
            f"{caution}Of {counted(self.placed, 'item')}, {self.with_dimension} "
            f"({self.confidence * 100:.4g}% interval {self.with_dimension_low} to "
            f"{self.with_dimension_high}) group as the questionnaire claims when "
            f"{counted(self.factors, 'factor')} may form."
        )

    def _loadings(self) -> pd.DataFrame:
        return self.table[(self.table["kind"] == "loading") & self.table["estimate"].notna()]

    def _explained(self) -> str:
        row = self.table[self.table["kind"] == "explained"].iloc[0]
        found = spell(
            row["estimate"] * 100,
            row["low"] * 100,
            row["high"] * 100,
            confidence=self.confidence,
            digits=0 if row["high"] - row["low"] > 0.03 else 1,
            unit="%",
        )
        return (
            f"Of all variance the factors explain {found}; correlations of "
            f"{self.residual:.3f} (root mean square) are left over."
        )

    def _dimensions(self) -> list[str]:
        words = []
        if self.strays:
            words.append(f"With another group: {', '.join(self.strays)}.")
        if self.shared:
            words.append(f"Dimensions without a factor of their own: {', '.join(self.shared)}.")
        return words

    def _nowhere(self) -> str:
        main = self._loadings()
        main = main[main["main"] & (main["estimate"].abs() < HARDLY)]
        return f"Nowhere above {HARDLY}: {', '.join(main['item'])}." if len(main) else ""

    def _correlation(self) -> str:
        pairs = self.table[self.table["kind"] == "factor correlation"]
        if pairs.empty:
            return ""
        most = pairs.loc[pairs["estimate"].abs().idxmax()]
        found = spell(most["estimate"], most["low"], most["high"], confidence=self.confidence)
        return f"{most['factor']} and {most['other_factor']} correlate most, {found}."

    def _heywood(self) -> str:
        words = []
        if self.heywood:
            words.append(
                f"Explained wholly, which no sound solution does: {', '.join(self.heywood)}; too "
                "many factors for these items is the usual reason."
            )
        if self.unsound > 0:
            words.append(
                f"In {self.unsound:.0%} of the resamples an item was explained wholly (Heywood)."
            )
        return " ".join(words)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        main = self._loadings()
        main = main[main["main"]].sort_values("factor", kind="stable", key=_number)
        look.dots(
            ax,
            main,
            names=[_row_name(row) for row in main.itertuples()],
            meaning=["worse" if row.item in self.strays else "usual" for row in main.itertuples()],
        )
        ax.axvline(0, color=look.MEANING["limit"])
        claim = " (▼: not with its dimension)" if self.strays else ""
        return look.label(
            ax,
            title="Which items go together?",
            x=f"loading on the factor it goes with most, -1 to 1{claim}",
        )


def factorable(
    answers: pd.DataFrame, *, items: Iterable[str], confidence: float = 0.95
) -> Factorability:
    """Judge whether items share enough for factors to be sought.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points.  Rows with a blank among the items are left out.
    items : iterable of str
        Three or more.  One that never varies gets NaN and a note.
    confidence : float, default 0.95

    Returns
    -------
    Factorability

    Raises
    ------
    Problem
        If an item is named twice or does not hold numbers.
    Refusal
        If a column is missing, fewer than three items vary, fewer than 30 respondents (or three
        to an item) answered all, or the correlations are not positive definite.

    Notes
    -----
    With correlations r and partial correlations p of two items given the others, the measure is
    a / (a + b), a the sum of r^2 and b that of p^2 over pairs [1]_ [2]_; of one item, over its
    pairs.  Bartlett's test is -(n - 1 - (2k + 5)/6) log det R on k(k-1)/2 degrees of freedom [3]_.

    Chance adds about (1 - r^2)^2/(n - 1) to each r^2 and (1 - p^2)^2/(n - k + 1) to each p^2, so
    with few respondents the measure errs low; the estimate subtracts both.  Its interval is normal
    for log(a / b) with the delta method on the answers' own fourth moments, to which the variance
    of the noise is added: conservative.

    References
    ----------
    .. [1] Kaiser, H. F. (1970). Psychometrika 35, 401-415. doi:10.1007/BF02291817
    .. [2] Kaiser, H. F., Rice, J. (1974). Educational and Psychological Measurement 34, 111-117.
       doi:10.1177/001316447403400115
    .. [3] Bartlett, M. S. (1951). Biometrika 38, 337-344. doi:10.1093/biomet/38.3-4.337

    Examples
    --------
    Three items that all correlate .5 have partial correlations (.5 - .25) / .75 = 1/3, so the
    measure is .25 / (.25 + 1/9) = 9/13 whatever n is; see `factorable_of_correlations`.
    """
    return _factorability(_of_answers(answers, items), confidence)


def factorable_of_correlations(
    correlations: pd.DataFrame, *, respondents: int, confidence: float = 0.95
) -> Factorability:
    """Judge from correlations alone whether items share enough for factors to be sought.

    Parameters
    ----------
    correlations : DataFrame
        Column ``item`` and one column per item.
    respondents : int
        Who answered all items.
    confidence : float, default 0.95

    Returns
    -------
    Factorability
        As of `factorable`; the interval takes the answers as normal.

    Raises
    ------
    Problem, Refusal
        As `factorable` does.

    Examples
    --------
    Three items that all correlate .5: .25 / (.25 + 1/9) = 9/13.

    >>> table = pd.DataFrame({"item": list("abc"), "a": [1, 0.5, 0.5], "b": [0.5, 1, 0.5],
    ...                       "c": [0.5, 0.5, 1]})
    >>> round(factorable_of_correlations(table, respondents=200).kmo, 4) == round(9 / 13, 4)
    True
    """
    return _factorability(_of_correlations(correlations, respondents), confidence)


def parallel_analysis(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    rng: np.random.Generator,
    resamples: int = 1000,
    quantile: float = 0.95,
    confidence: float = 0.95,
) -> ParallelAnalysis:
    """Count the dimensions that stand above what items sharing nothing would show.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
    items : iterable of str
    rng : numpy Generator
    resamples : int, default 1000
        Simulated sets, and resamples for the intervals; 100 or more.
    quantile : float, default 0.95
        Of the simulated eigenvalues, that a real one has to exceed; 0 to 1.
    confidence : float, default 0.95

    Returns
    -------
    ParallelAnalysis

    Raises
    ------
    Problem, Refusal
        As `factorable` does.

    Notes
    -----
    Eigenvalues of the correlations (components) and of the correlations with the communalities
    of one minres factor in the diagonal (factors), the convention of psych's fa.parallel, against
    normal unrelated items: Horn compared with their mean [1]_, Glorfeld with an upper quantile
    [2]_.  Counting stops at the first that fails.  An interval is normal with the standard
    deviation over resamples of respondents, and approximate.

    References
    ----------
    .. [1] Horn, J. L. (1965). Psychometrika 30, 179-185. doi:10.1007/BF02289447
    .. [2] Glorfeld, L. W. (1995). Educational and Psychological Measurement 55, 377-393.
       doi:10.1177/0013164495055003002

    Examples
    --------
    Three items that share one thing, three that share another.

    >>> rng = np.random.default_rng(1)
    >>> shared = np.repeat(rng.normal(size=(300, 2)), 3, axis=1)
    >>> answers = pd.DataFrame(shared + 0.7 * rng.normal(size=(300, 6)), columns=list("abcdef"))
    >>> found = parallel_analysis(answers, items="abcdef", rng=rng, resamples=100)
    >>> found.components, found.factors
    (2, 2)
    """
    return _parallel(_of_answers(answers, items), rng, resamples, quantile, confidence)


def parallel_analysis_of_correlations(
    correlations: pd.DataFrame,
    *,
    respondents: int,
    rng: np.random.Generator,
    resamples: int = 1000,
    quantile: float = 0.95,
    confidence: float = 0.95,
) -> ParallelAnalysis:
    """Count the dimensions above chance from correlations alone.

    Parameters
    ----------
    correlations : DataFrame
        Column ``item`` and one column per item.
    respondents : int
    rng : numpy Generator
    resamples : int, default 1000
    quantile : float, default 0.95
    confidence : float, default 0.95

    Returns
    -------
    ParallelAnalysis
        As of `parallel_analysis`; resamples are drawn as if the answers were normal.

    Raises
    ------
    Problem, Refusal
        As `factorable` does.
    """
    sample = _of_correlations(correlations, respondents)
    return _parallel(sample, rng, resamples, quantile, confidence)


def explore(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    factors: int,
    rng: np.random.Generator,
    method: str = "minres",
    resamples: int = 1000,
    dimensions: dict[str, list[str]] | None = None,
    confidence: float = 0.95,
) -> Factors:
    """Let the items group themselves, and hold the groups against the questionnaire's claim.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
    items : iterable of str
    factors : int
        How many may form.
    rng : numpy Generator
    method : str, default ``minres``
        Or ``maximum likelihood``.
    resamples : int, default 1000
        100 or more.
    dimensions : dict of str to list of str, optional
        The items that are meant to belong together.
    confidence : float, default 0.95

    Returns
    -------
    Factors
        A Heywood case is told in the first line.

    Raises
    ------
    Problem, Refusal
        As `factorable` does; Problem too for an item in two dimensions; Refusal where the items
        cannot tell so many factors apart, or most resamples have no solution.

    Notes
    -----
    Factors by minimum residuals or maximum likelihood, turned by oblimin (gamma 0, rows not
    normalised), ordered by the variance they carry; see `sqm.factors`.  Each resample of
    respondents is solved anew, turned to the first solution by orthogonal Procrustes before
    oblimin, its factors then matched by congruence and sign; otherwise the order of factors,
    which means nothing, would pass for uncertainty [1]_.  Limits are the estimate plus and minus
    the normal quantile times the standard deviation over resamples, and approximate.  A dimension
    gets the factor on which most of its items load most, each factor going to one dimension.

    References
    ----------
    .. [1] Zhang, G., Preacher, K. J., Luo, S. (2010). Multivariate Behavioral Research 45,
       104-134. doi:10.1080/00273170903504836

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> shared = np.repeat(rng.normal(size=(300, 2)), 3, axis=1)
    >>> answers = pd.DataFrame(shared + 0.7 * rng.normal(size=(300, 6)), columns=list("abcdef"))
    >>> found = explore(answers, items="abcdef", factors=2, rng=rng, resamples=100,
    ...                 dimensions={"kind": ["a", "b", "c"], "quick": ["d", "e", "f"]})
    >>> found.with_dimension, found.strays
    (6, ())
    """
    sample = _of_answers(answers, items)
    return _explored(sample, factors, method, rng, resamples, dimensions, confidence)


def explore_of_correlations(
    correlations: pd.DataFrame,
    *,
    respondents: int,
    factors: int,
    rng: np.random.Generator,
    method: str = "minres",
    resamples: int = 1000,
    dimensions: dict[str, list[str]] | None = None,
    confidence: float = 0.95,
) -> Factors:
    """Let items group themselves from correlations alone.

    Parameters
    ----------
    correlations : DataFrame
        Column ``item`` and one column per item.
    respondents : int
    factors : int
    rng : numpy Generator
    method : str, default ``minres``
    resamples : int, default 1000
    dimensions : dict of str to list of str, optional
    confidence : float, default 0.95

    Returns
    -------
    Factors
        As of `explore`; resamples are drawn as if the answers were normal.

    Raises
    ------
    Problem, Refusal
        As `explore` does.
    """
    sample = _of_correlations(correlations, respondents)
    return _explored(sample, factors, method, rng, resamples, dimensions, confidence)


# --- What is asked --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """Items that vary, their correlations, and where these come from."""

    items: list[str]
    excluded: list[str]  # never vary
    r: np.ndarray
    n: int
    left_out: int
    scores: np.ndarray | None  # standardised answers, where there are answers

    @property
    def names(self) -> list[str]:
        return self.items + self.excluded


def _of_answers(answers: pd.DataFrame, items: Iterable[str]) -> _Sample:
    items = list(items)
    need_columns(answers, items, source=SOURCE)
    if len(set(items)) < len(items):
        raise Problem("An item is named twice.", "name each item once.")
    need_numbers(answers, items, source=SOURCE)
    values = answers[items].dropna().to_numpy(dtype=float)
    if not np.isfinite(values).all():
        raise Problem(f"{SOURCE} hold an endless number.", "correct the source.")
    _need_respondents(len(values), len(items))
    varies = np.ptp(values, axis=0) > 0
    kept = [item for item, each in zip(items, varies, strict=True) if each]
    _need_items(len(kept))
    scores = values[:, varies] - values[:, varies].mean(axis=0)
    scores /= scores.std(axis=0)
    r = factoring.need_correlations(_correlations(scores))
    flat = [item for item in items if item not in kept]
    return _Sample(kept, flat, r, len(values), len(answers) - len(values), scores)


def _of_correlations(correlations: pd.DataFrame, respondents: int) -> _Sample:
    need_columns(correlations, ["item"], source="the correlations")
    items = correlations["item"].astype(str).tolist()
    need_columns(correlations, items, source="the correlations")
    if len(set(items)) < len(items):
        raise Problem("The correlations name an item twice.", "name each item once.")
    _need_items(len(items))
    _need_respondents(respondents, len(items))
    r = published(correlations, items, source="the correlations")
    r = factoring.need_correlations(r)
    return _Sample(items, [], r, int(respondents), 0, None)


def _need_items(items: int) -> None:
    if items < FEWEST_ITEMS:
        raise Refusal(
            f"{counted(items, 'item')} that varies cannot show a structure."
            if items == 1
            else f"{counted(items, 'item')} that vary cannot show a structure.",
            f"ask with {FEWEST_ITEMS} items or more.",
        )


def _need_respondents(respondents: int, items: int) -> None:
    fewest = max(FEWEST_RESPONDENTS, PER_ITEM * items)
    if respondents <= 0:
        raise Refusal(
            "Nobody is said to have answered.",
            "say how many respondents stand behind the correlations (`matrix_respondents`).",
        )
    if not respondents >= fewest:
        raise Refusal(
            f"{respondents:,} respondents answered all of {counted(items, 'item')}, where the "
            f"structure needs {fewest}; with fewer, the correlations are mostly noise.",
            "collect more answers, or ask about fewer items.",
        )


def _need_settings(resamples: int, confidence: float) -> None:
    need_share(confidence, name="confidence")
    if resamples < FEWEST_RESAMPLES:
        raise Refusal(
            f"resamples is {resamples}: too few to set limits by.",
            f"give {FEWEST_RESAMPLES} or more.",
        )


def _correlations(scores: np.ndarray) -> np.ndarray:
    covariance = scores.T @ scores
    sd = np.sqrt(np.diag(covariance))
    r = covariance / sd[:, None] / sd
    np.fill_diagonal(r, 1)
    return r


# --- Resamples ------------------------------------------------------------------------------------


def _resampled(sample: _Sample, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Correlations of resamples: of respondents, or of normal answers; (resamples, k, k)."""
    if sample.scores is None:
        return _normal(np.linalg.cholesky(sample.r), sample.n, resamples, rng)
    return _to_correlations(resampled(sample.scores, resamples=resamples, rng=rng)[1])


def _normal(root: np.ndarray, n: int, sets: int, rng: np.random.Generator) -> np.ndarray:
    """Correlations of ``sets`` samples of n normal rows, drawn by Bartlett's decomposition."""
    k = len(root)
    below = np.tril(rng.normal(size=(sets, k, k)), -1)
    below[:, np.arange(k), np.arange(k)] = np.sqrt(rng.chisquare(n - 1 - np.arange(k), (sets, k)))
    drawn = root @ below
    return _to_correlations(drawn @ drawn.swapaxes(1, 2))


def _to_correlations(covariances: np.ndarray) -> np.ndarray:
    """Those of the sets in which every item varies and none follows from others."""
    varies = (np.diagonal(covariances, axis1=1, axis2=2) > 1e-9).all(axis=1)
    r = as_correlations(covariances[varies])
    return r[np.linalg.eigvalsh(r)[:, 0] > factoring.LEAST_EIGENVALUE]


# --- Sampling adequacy ----------------------------------------------------------------------------


def _factorability(sample: _Sample, confidence: float) -> Factorability:
    need_share(confidence, name="confidence")
    k = len(sample.r)
    every = ~np.eye(k, dtype=bool)
    whole = _adequacy(sample, every, confidence)
    names = ["msa", "estimate", "low", "high"]
    one = [_adequacy(sample, every & _pairs_of(i, k), confidence) for i in range(k)]
    rows = [
        {"item": item, **dict(zip(names, each, strict=True)), "note": ""}
        for item, each in zip(sample.items, one, strict=True)
    ]
    chi2, df, p = _bartlett(sample.r, sample.n)
    return Factorability(
        pd.DataFrame(rows + [_flat_row(item, names) for item in sample.excluded]),
        *whole,
        confidence,
        chi2,
        df,
        p,
        sample.n,
        sample.left_out,
        sample.scores is not None,
    )


def _pairs_of(i: int, k: int) -> np.ndarray:
    mine = np.arange(k) == i
    return mine[:, None] | mine


def _flat_row(item: str, names: list[str]) -> dict:
    return {"item": item, **dict.fromkeys(names, np.nan), "note": "everyone answered alike"}


def _adequacy(
    sample: _Sample, pairs: np.ndarray, confidence: float
) -> tuple[float, float, float, float]:
    """Sampling adequacy over some pairs, the same freed from noise, and its limits."""
    r, n, k = sample.r, sample.n, len(sample.r)
    inverse = np.linalg.inv(r)
    own = np.diag(inverse)
    partial = inverse / np.sqrt(np.outer(own, own))  # but for the sign
    a, noise_a, spread_a = _freed(r[pairs], n - 1)
    b, noise_b, spread_b = _freed(partial[pairs], n - k + 1)
    middle = np.where(pairs, inverse / np.outer(own, own), 0)
    middle -= np.diag(np.where(pairs, partial**2, 0).sum(axis=1) / own)
    slope = np.where(pairs, r, 0) / a + inverse @ middle @ inverse / b
    error = np.sqrt(_variance(sample, slope) + spread_a / a**2 + spread_b / b**2)
    half = stats.norm.ppf((1 + confidence) / 2) * error
    with_noise = (a + noise_a) / (a + noise_a + b + noise_b)
    freed, low, high = special.expit(np.log(a / b) + np.array([0, -half, half]))
    return float(with_noise), float(freed), float(low), float(high)


def _freed(correlations: np.ndarray, df: int) -> tuple[float, float, float]:
    """Sum of squares over pairs without its noise, the noise, and the variance of the noise."""
    each = (1 - correlations**2) ** 2 / df
    noise, found = each.sum() / 2, (correlations**2).sum() / 2
    freed = max(found - noise, 0.1 * noise)  # never nought: its logarithm is taken
    return freed, found - freed, (each**2).sum()


def _variance(sample: _Sample, slope: np.ndarray) -> float:
    """Variance of a number whose slope in the correlations is given (delta method)."""
    form = slope - np.diag(np.diag(slope))
    form -= np.diag((form * sample.r).sum(axis=1))
    if sample.scores is None:
        return float(2 * np.trace(form @ sample.r @ form @ sample.r)) / sample.n
    return float(((sample.scores @ form) * sample.scores).sum(axis=1).var()) / sample.n


def _bartlett(r: np.ndarray, n: int) -> tuple[float, int, float]:
    k = len(r)
    chi2 = -(n - 1 - (2 * k + 5) / 6) * np.linalg.slogdet(r)[1]
    df = k * (k - 1) // 2
    return float(chi2), df, float(stats.chi2.sf(chi2, df))


def _kaiser(value: float) -> str:
    return next(word for edge, word in KAISER if value >= edge)


# --- Parallel analysis ----------------------------------------------------------------------------


def _parallel(
    sample: _Sample,
    rng: np.random.Generator,
    resamples: int,
    quantile: float,
    confidence: float,
) -> ParallelAnalysis:
    _need_settings(resamples, confidence)
    need_share(quantile, name="quantile")
    chance = _normal(np.eye(len(sample.r)), sample.n, resamples, rng)
    again = _resampled(sample, resamples, rng)
    _need_usable(len(again), resamples)
    z = stats.norm.ppf((1 + confidence) / 2)
    both = {
        kind: _against_chance(kind, find, sample.r, chance, again, quantile, z)
        for kind, find in (("component", _component_values), ("factor", _factor_values))
    }
    counts = [int(_run(t[c], t["by_chance"])) for t in both.values() for c in _LIMITS]
    share = [float(both["component"]["estimate"][0]) / len(sample.r), _single_share(sample.r)]
    return ParallelAnalysis(
        pd.concat(both.values(), ignore_index=True),
        *counts,
        quantile,
        resamples,
        *share,
        confidence,
        sample.n,
        sample.left_out,
        resamples - len(again),
        sample.scores is not None,
        tuple(sample.excluded),
    )


def _against_chance(
    kind: str,
    find: Callable[[np.ndarray], np.ndarray],
    r: np.ndarray,
    chance: np.ndarray,
    again: np.ndarray,
    quantile: float,
    z: float,
) -> pd.DataFrame:
    """Eigenvalues of one kind with their limits, beside those by chance."""
    estimate, by_chance = find(r[None])[0], find(chance)
    half = z * find(again).std(axis=0)
    limit = np.quantile(by_chance, quantile, axis=0)
    position = np.arange(1, len(r) + 1)
    return pd.DataFrame(
        {
            "kind": kind,
            "position": position,
            "estimate": estimate,
            "low": estimate - half,
            "high": estimate + half,
            "by_chance_mean": by_chance.mean(axis=0),
            "by_chance": limit,
            "kept": position <= _run(estimate, limit),
            "note": "",
        }
    )


def _run(values: np.ndarray, limits: np.ndarray) -> int:
    """How many values exceed their limits before the first that does not."""
    return int(np.logical_and.accumulate(np.asarray(values) > np.asarray(limits)).sum())


def _component_values(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(matrices)[:, ::-1]


def _factor_values(matrices: np.ndarray) -> np.ndarray:
    index = np.arange(matrices.shape[1])
    start = 1 / np.linalg.inv(matrices)[:, index, index]
    reduced = matrices.copy()
    reduced[:, index, index] = factoring.communalities(
        factoring.minres_each(matrices, factors=1, start=start)
    )
    return np.linalg.eigvalsh(reduced)[:, ::-1]


def _single_share(r: np.ndarray) -> float:
    return float(factoring.communalities(factoring.minres(r, factors=1)).mean())


def _scree(ax: Axes, rows: pd.DataFrame, kind: str, meaning: str) -> None:
    colour = look.MEANING[meaning]
    ax.vlines(rows["position"], rows["low"], rows["high"], color=colour, lw=1.6)
    ax.plot(rows["position"], rows["by_chance"], color=colour, ls="--", lw=1)
    for kept, fill in ((True, colour), (False, "none")):
        some = rows[rows["kept"] == kept]
        label = f"{kind}: {'above chance' if kept else 'not above'}"
        ax.plot(
            some["position"],
            some["estimate"],
            ls="",
            marker=look.MARKER[meaning],
            color=colour,
            mfc=fill,
            label=label,
        )
    ax.plot([], [], color=colour, ls="--", lw=1, label=f"{kind}: by chance")


# --- Factors --------------------------------------------------------------------------------------


def _explored(
    sample: _Sample,
    factors: int,
    method: str,
    rng: np.random.Generator,
    resamples: int,
    dimensions: dict[str, list[str]] | None,
    confidence: float,
) -> Factors:
    need_one_of(method, METHODS, name="method")
    _need_settings(resamples, confidence)
    belongs = _belongs(sample, dimensions or {})
    fit, fit_each = METHODS[method]
    first = _solve(sample.r, factors, fit)
    matrices = _resampled(sample, resamples, rng)
    _need_usable(len(matrices), resamples)
    again = _again(first, matrices, fit_each)
    z = stats.norm.ppf((1 + confidence) / 2)
    half = z * np.std([each.numbers() for each in again], axis=0)
    shared = factoring.communalities(first.pattern, first.phi)
    left = sample.r - first.pattern @ first.phi @ first.pattern.T
    return Factors(
        _factor_table(sample, first, half, belongs),
        factors,
        method,
        float(shared.mean()),
        float(np.sqrt((left[np.triu_indices(len(left), 1)] ** 2).mean())),
        *_claim(sample.items, first, again, belongs, confidence),
        tuple(np.array(sample.items, dtype=object)[_wholly(first)]),
        confidence,
        resamples,
        resamples - len(again),
        float(np.mean([_wholly(each).any() for each in again])),
        sample.n,
        sample.left_out,
        sample.scores is not None,
    )


@dataclass(frozen=True)
class _Solution:
    """Factors as found, before and after they were turned."""

    unrotated: np.ndarray
    pattern: np.ndarray
    phi: np.ndarray

    def numbers(self) -> np.ndarray:
        """Loadings, communalities, correlations of factors and explained share, in one row."""
        shared = factoring.communalities(self.pattern, self.phi)
        pairs = self.phi[np.triu_indices(len(self.phi), 1)]
        return np.concatenate([self.pattern.ravel(), shared, pairs, [shared.mean()]])


def _solve(r: np.ndarray, factors: int, fit: Callable) -> _Solution:
    unrotated = fit(r, factors=factors)
    pattern, phi = (unrotated, np.eye(1)) if factors == 1 else factoring.oblimin(unrotated)
    order = np.argsort(-np.diag(phi @ pattern.T @ pattern), kind="stable")
    sign = np.where(pattern.sum(axis=0) < 0, -1, 1)
    return _Solution(unrotated, *_arranged(pattern, phi, order, sign))


def _arranged(
    pattern: np.ndarray, phi: np.ndarray, order: np.ndarray, sign: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors in another order, some of them turned to point the other way."""
    return (pattern * sign)[:, order], (phi * np.outer(sign, sign))[np.ix_(order, order)]


def _again(first: _Solution, matrices: np.ndarray, fit_each: Callable) -> list[_Solution]:
    """The solution of each resample, its factors matched to the first."""
    m = first.pattern.shape[1]
    unique = 1 - factoring.communalities(first.unrotated)
    start = np.maximum(unique, factoring.LEAST_UNIQUENESS)
    unrotated = fit_each(matrices, factors=m, start=start)
    left, _, right = np.linalg.svd(unrotated.swapaxes(1, 2) @ first.unrotated)
    unrotated = unrotated @ left @ right  # orthogonal Procrustes
    pattern, phi = unrotated, np.ones((len(unrotated), 1, 1))
    if m > 1:
        directions = np.linalg.lstsq(first.pattern, first.unrotated, rcond=None)[0].T
        directions /= np.sqrt((directions**2).sum(axis=0))
        pattern, phi = factoring.oblimin_each(unrotated, start=directions)
    return [_matched(first, *each) for each in zip(unrotated, pattern, phi, strict=True)]


def _matched(
    first: _Solution, unrotated: np.ndarray, pattern: np.ndarray, phi: np.ndarray
) -> _Solution:
    alike = first.pattern.T @ pattern / np.sqrt((pattern**2).sum(axis=0) + 1e-12)
    order = optimize.linear_sum_assignment(-np.abs(alike))[1]
    sign = np.ones(len(order))
    sign[order] = np.where(alike[np.arange(len(order)), order] < 0, -1, 1)
    return _Solution(unrotated, *_arranged(pattern, phi, order, sign))


def _wholly(solution: _Solution) -> np.ndarray:
    return factoring.heywood(solution.pattern, solution.phi)


def _need_usable(usable: int, resamples: int) -> None:
    if usable < resamples / 2:
        raise Refusal(
            f"Only {usable} of {resamples:,} resamples could be solved, so no interval holds.",
            "collect more answers, or leave out items that hardly vary or repeat each other.",
        )


def _belongs(sample: _Sample, dimensions: dict[str, list[str]]) -> list[str]:
    """The dimension of each item, empty where it has none."""
    claimed = [(item, name) for name, items in dimensions.items() for item in items]
    twice = [item for item, _ in claimed if sum(item == other for other, _ in claimed) > 1]
    lost = [item for item, _ in claimed if item not in sample.names]
    if twice or lost:
        wrong = f"{twice[0]!r} is named twice" if twice else f"{lost[0]!r} is not among the items"
        raise Problem(f"dimensions: {wrong}.", "name each item in one dimension.")
    return [dict(claimed).get(item, "") for item in sample.items]


def _claim(
    items: list[str],
    first: _Solution,
    again: list[_Solution],
    belongs: list[str],
    confidence: float,
) -> tuple[int, int, int, int, tuple[str, ...], tuple[str, ...]]:
    """Items with their dimension, limits of that count, items placed, strays, dimensions alone."""
    placed = np.array([bool(name) for name in belongs])
    if not placed.any() or first.pattern.shape[1] == 1:
        return -1, -1, -1, 0, (), ()
    names = list(dict.fromkeys(name for name in belongs if name))
    at_home = _at_home(first.pattern, belongs, names)
    counts = [int(_at_home(each.pattern, belongs, names).sum()) for each in again]
    tail = (1 - confidence) / 2
    count = int(at_home.sum())
    low = min(count, int(np.quantile(counts, tail, method="lower")))
    high = max(count, int(np.quantile(counts, 1 - tail, method="higher")))
    held = {name for name, home in zip(belongs, at_home, strict=True) if home}
    return (
        count,
        low,
        high,
        int(placed.sum()),
        tuple(np.array(items, dtype=object)[placed & ~at_home].tolist()),
        tuple(name for name in names if name not in held),
    )


def _at_home(pattern: np.ndarray, belongs: list[str], names: list[str]) -> np.ndarray:
    """Which items load most on the factor of their dimension, each factor given to one."""
    main = np.abs(pattern).argmax(axis=1)
    member = np.array([[name == each for name in names] for each in belongs])
    on_factor = np.eye(pattern.shape[1])[main]
    weight = np.abs(pattern[np.arange(len(main)), main]) * 1e-3  # parts dimensions that tie
    dimension, factor = optimize.linear_sum_assignment(
        -(member.T @ (on_factor * (1 + weight)[:, None]))
    )
    home = np.full(len(names), -1)
    home[dimension] = factor
    return member.any(axis=1) & (home[member.argmax(axis=1)] == main)


def _factor_table(
    sample: _Sample, found: _Solution, half: np.ndarray, belongs: list[str]
) -> pd.DataFrame:
    """One row per number of `_Solution.numbers`, in its order; then the items left out."""
    m = found.pattern.shape[1]
    factors = [f"F{j + 1}" for j in range(m)]
    main = np.abs(found.pattern).argmax(axis=1)
    first, second = np.triu_indices(m, 1)
    rows = [
        ("loading", item, factors[j], "", belongs[i], bool(j == main[i]))
        for i, item in enumerate(sample.items)
        for j in range(m)
    ]
    rows += [
        ("communality", item, "", "", belongs[i], False) for i, item in enumerate(sample.items)
    ]
    rows += [
        ("factor correlation", "", factors[i], factors[j], "", False)
        for i, j in zip(first, second, strict=True)
    ]
    rows.append(("explained", "", "", "", "", False))
    names = ["kind", "item", "factor", "other_factor", "dimension", "main"]
    table = pd.DataFrame(rows, columns=names)
    table["estimate"] = found.numbers()
    edges = np.array([_EDGES[kind] for kind in table["kind"]])
    table["low"] = np.maximum(table["estimate"] - half, edges[:, 0])
    table["high"] = np.minimum(table["estimate"] + half, edges[:, 1])
    table["note"] = ""
    blank = {"kind": "loading", "factor": "", "other_factor": "", "dimension": "", "main": False}
    rest = [{**_flat_row(item, list(_LIMITS)), **blank} for item in sample.excluded]
    return pd.concat([table, pd.DataFrame(rest)], ignore_index=True) if rest else table


# --- Words ----------------------------------------------------------------------------------------


def _rests_on(respondents: int, left_out: int, from_answers: bool) -> str:
    if not from_answers:
        return (
            f"It rests on correlations alone, of {respondents:,} respondents; the interval takes "
            "their answers as normal."
        )
    return (
        f"It rests on {respondents:,} respondents who answered every item; {left_out:,} left "
        "one blank."
    )


def _unsaid(table: pd.DataFrame) -> str:
    rest = table[table["estimate"].isna()]
    if rest.empty:
        return ""
    return "Not given: " + "; ".join(f"{r.item} ({r.note})" for r in rest.itertuples()) + "."


def _row_name(row) -> str:
    item = look.shorten(row.item, width=26)
    meant = f" ({look.shorten(row.dimension, width=12)})" if row.dimension else ""
    return f"{row.factor} · {item}{meant}"


def _number(factor: pd.Series) -> pd.Series:
    return factor.str[1:].astype(int)
