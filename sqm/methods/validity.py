"""Do the items of a dimension belong together, and apart from those of the others?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import claim, look
from sqm.checks import Refusal, need_one_of
from sqm.claim import Claim, basis_words, htmt, solved
from sqm.finding import Finding, counted
from sqm.interval import correlation_limits, logit_limits, spell
from sqm.measurement_model import Fit, composite, extracted
from sqm.moments import as_correlations, resampled


@dataclass(frozen=True)
class ApartRule:
    """From where on two dimensions are not told apart.

    Attributes
    ----------
    htmt : float
        Heterotrait-monotrait ratio of correlations.
    source : str
    """

    htmt: float
    source: str


APART_RULES = {
    "htmt-0.90": ApartRule(
        0.90, "Henseler, Ringle and Sarstedt 2015, doi:10.1007/s11747-014-0403-8"
    ),
    "htmt-0.85": ApartRule(
        0.85,
        "Henseler, Ringle and Sarstedt 2015, doi:10.1007/s11747-014-0403-8, the stricter of two",
    ),
}

# What a dimension should reach: the reliability of its sum, and the variance its items share.
LEAST_RELIABILITY = (0.7, "Nunnally 1978, Psychometric Theory")
LEAST_EXTRACTED = (0.5, "Fornell and Larcker 1981, doi:10.1177/002224378101800104")


@dataclass(frozen=True, eq=False)
class Convergence(Finding):
    """How well the items of each dimension measure one thing, by the model.

    Attributes
    ----------
    table : DataFrame, two rows per dimension
        ``dimension``; ``measure``, ``composite reliability`` (omega) or ``average variance
        extracted``; ``items``; ``estimate``, ``low``, ``high``, 0 to 1; ``at_least``, the rule of
        thumb; ``with_observed_variance``, composite reliability over the variance of the sum as
        observed, not as the model has it (some programs' default); ``reached``, whether the
        estimate reaches ``at_least``; ``note``.
    respondents, left_out : int
    confidence : float
    admissible : bool
    basis : str
        ``answers`` or ``correlations``.
    """

    respondents: int
    left_out: int
    confidence: float
    admissible: bool
    basis: str

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return f"No dimension's reliability can be given: {self._unsaid()}."
        parts = [self._extracted(known), self._short(known), self._how()]
        if not self.admissible:
            parts.insert(0, "The model's solution is not admissible: take these with a caution.")
        if self.table["estimate"].isna().any():
            parts.append(f"Not given: {self._unsaid()}.")
        return self._answer(known) + "\n" + " ".join(part for part in parts if part)

    def _answer(self, known: pd.DataFrame) -> str:
        rows = known[known["measure"] == "composite reliability"]
        worst, best = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
        words = f"Composite reliability is lowest for {self._one(worst)}"
        words += f" and highest for {self._one(best)}" if len(rows) > 1 else ""
        return f"{words}."

    def _extracted(self, known: pd.DataFrame) -> str:
        rows = known[known["measure"] == "average variance extracted"]
        worst = rows.loc[rows["estimate"].idxmin()]
        return f"Least average variance extracted: {self._one(worst)}."

    def _one(self, row: pd.Series) -> str:
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        return f"{row['dimension']}: {found}"

    def _short(self, known: pd.DataFrame) -> str:
        words = []
        for measure, rows in known.groupby("measure", sort=False):
            short = rows.loc[~rows["reached"], "dimension"]
            if len(short):
                words.append(f"{measure} of {', '.join(short)}")
        rules = (
            f"{LEAST_RELIABILITY[0]} for reliability ({LEAST_RELIABILITY[1]}), "
            f"{LEAST_EXTRACTED[0]} for the variance extracted ({LEAST_EXTRACTED[1]})"
        )
        if not words:
            return f"All reach the rules of thumb: {rules}."
        return f"Below the rules of thumb: {'; '.join(words)}. The rules: {rules}."

    def _how(self) -> str:
        return (
            "Reliability is McDonald's omega of the unweighted sum, from the model of all "
            "dimensions; the variance extracted is that of the items as answered (Fornell and "
            f"Larcker). {basis_words(self.basis, self.respondents, self.left_out)}"
        )

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()].drop_duplicates("dimension")
        return "; ".join(f"{row.dimension} ({row.note})" for row in rest.itertuples())

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        short = {"composite reliability": "reliability", "average variance extracted": "variance"}
        names = [f"{row.dimension} · {short[row.measure]}" for row in self.table.itertuples()]
        meaning = ["usual" if row.reached else "worse" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.plot(self.table["at_least"], range(len(self.table)), "|", color="#9aa4ab", ms=12)
        return look.label(
            ax,
            title="Do the items of each dimension measure one thing?",
            x="share of variance (0 to 1; the stroke marks the rule of thumb)",
        )


@dataclass(frozen=True, eq=False)
class Discriminant(Finding):
    """Which dimensions the answers tell apart.

    Attributes
    ----------
    table : DataFrame, one row per pair of dimensions, the closest first
        ``first``, ``second``; ``estimate``, ``low``, ``high``, the heterotrait-monotrait ratio;
        ``htmt2``, with geometric means; ``factor_correlation``, ``correlation_low``,
        ``correlation_high``, from the measurement model; ``told_apart``, ``yes`` (the whole
        interval below the rule), ``no`` (the estimate not below), ``undecided`` or empty;
        ``note``.
    respondents, left_out : int
    confidence : float
    resamples : int
    admissible : bool
        Whether the measurement model's solution is; the ratio does not rest on it.
    basis : str
        ``answers`` or ``correlations``.
    rule : str
        A key of `APART_RULES`.
    """

    respondents: int
    left_out: int
    confidence: float
    resamples: int
    admissible: bool
    basis: str
    rule: str

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return "No pair of dimensions can be compared (see the notes)."
        parts = [self._pairs(), self._model(), self._how()]
        if len(known) < len(self.table):
            parts.append(f"{counted(len(self.table) - len(known), 'pair')} not given (see notes).")
        return self._answer(known) + "\n" + " ".join(part for part in parts if part)

    def _answer(self, known: pd.DataFrame) -> str:
        row, said = known.iloc[0], known["told_apart"].value_counts()
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        closest = f"closest: {row['first']} and {row['second']}, HTMT {found}"
        no, open_ = int(said.get("no", 0)), int(said.get("undecided", 0))
        if not no and not open_:
            return f"All {counted(len(known), 'pair')} of dimensions are told apart; {closest}."
        are = "is" if no == 1 else "are"
        words = f"{no} of {counted(len(known), 'pair')} of dimensions {are} not told apart"
        return f"{words}{f', {open_} undecided' if open_ else ''}; {closest}."

    def _pairs(self) -> str:
        words = {}
        for what, start in [("no", "Not told apart"), ("undecided", "Undecided")]:
            rows = self.table[self.table["told_apart"] == what]
            words[start] = [f"{row.first} with {row.second}" for row in rows.itertuples()]
        return " ".join(f"{start}: {', '.join(each)}." for start, each in words.items() if each)

    def _model(self) -> str:
        known = self.table.dropna(subset="factor_correlation")
        if known.empty:
            return "The measurement model has no solution, so no correlation of dimensions."
        row = known.loc[known["factor_correlation"].idxmax()]
        words = f"The highest correlation in the model is {row['factor_correlation']:.2f}"
        if np.isfinite(row["correlation_low"]):
            words += f" ({row['correlation_low']:.2f} to {row['correlation_high']:.2f})"
        words += f", {row['first']} with {row['second']}."
        return words if self.admissible else f"{words} That solution is not admissible."

    def _how(self) -> str:
        rule = APART_RULES[self.rule]
        drawn = "respondents" if self.basis == "answers" else "normal answers with this matrix"
        return (
            "HTMT: mean correlation between items of two dimensions over that within them (1: the "
            f"same thing measured twice), absolute values; told apart below {rule.htmt:.2f} "
            f"({rule.source}). Intervals are approximate, from {self.resamples:,} resamples of "
            f"{drawn}. " + basis_words(self.basis, self.respondents, self.left_out, intervals=False)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        means = {"yes": "better", "no": "worse"}
        meaning = [means.get(each, "usual") for each in self.table["told_apart"]]
        names = [f"{row.first} with {row.second}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.axvline(APART_RULES[self.rule].htmt, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Which dimensions do the answers tell apart?",
            x="heterotrait-monotrait ratio (1: the same thing; the line: the rule)",
        )


# --- Questions ------------------------------------------------------------------------------------


def convergence(
    answers: pd.DataFrame, *, dimensions: dict[str, list[str]], confidence: float = 0.95
) -> Convergence:
    """Measure how well each dimension's items measure one thing, by the measurement model.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each dimension; a dimension of one item is that item.
    confidence : float, default 0.95

    Returns
    -------
    Convergence
        A dimension of one item, or with a residual variance below 0, has NaN and a note.

    Raises
    ------
    Problem
        If an item is missing, not numeric, or in two dimensions.
    Refusal
        If an item never varies, two items say the same, there are not more respondents than
        parameters, or the model has no solution.

    Notes
    -----
    With loadings l and residual variances t of a dimension: composite reliability
    (sum l)^2 / ((sum l)^2 + sum t), average variance extracted sum l^2 / (sum l^2 + sum t)
    [1]_.  Intervals by the delta method on the logit scale, with sandwich standard errors over
    n - q for q parameters: conservative with about a hundred respondents, whose answers are
    normal (there they hold the truth in 96 to 97 of 100 samples where 95 are meant).

    References
    ----------
    .. [1] Fornell, C., Larcker, D. F. (1981). Journal of Marketing Research 18, 39-50.
       doi:10.1177/002224378101800104

    Examples
    --------
    See `convergence_of_correlations`.
    """
    source = claim.of_answers(answers, dimensions, confidence)
    return _converged(source, solved(source), confidence)


def convergence_of_correlations(
    correlations: pd.DataFrame,
    *,
    respondents: int,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
) -> Convergence:
    """Measure the same as `convergence` on a published correlation matrix.

    Parameters
    ----------
    correlations : DataFrame, one row per item
        ``item`` and one column per item; the half above or below the diagonal may be blank.
    respondents : int
        The n behind the matrix.
    dimensions, confidence
        As in `convergence`.

    Raises
    ------
    Problem
        If an item is missing, or the matrix is not one of correlations.
    Refusal
        As in `convergence`; and if the matrix is not positive definite.

    Examples
    --------
    Three items that correlate .64: (3 * .8)^2 / (5.76 + 3 * .36) = .8421, and .64.

    >>> table = pd.DataFrame({"item": ["a", "b", "c"], "a": [1, 0.64, 0.64],
    ...                       "b": [None, 1, 0.64], "c": [None, None, 1]})
    >>> found = convergence_of_correlations(table, respondents=200,
    ...                                     dimensions={"s": ["a", "b", "c"]})
    >>> found.table["estimate"].round(4).tolist()
    [0.8421, 0.64]
    """
    source = claim.of_correlations(correlations, respondents, dimensions, confidence)
    return _converged(source, solved(source), confidence)


def discriminant(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
    rule: str = "htmt-0.90",
) -> Discriminant:
    """Ask which dimensions the answers tell apart.

    Parameters
    ----------
    answers, dimensions, confidence
        As in `convergence`.
    rng : Generator
    resamples : int, default 1000
        Of respondents.
    rule : str, default "htmt-0.90"
        A key of `APART_RULES`.

    Returns
    -------
    Discriminant
        The factor correlations are NaN where the measurement model has no solution; the ratio is
        NaN with a dimension of one item.

    Raises
    ------
    Problem
        As in `convergence`.
    Refusal
        If there is one dimension only, or an item never varies.

    Notes
    -----
    HTMT [1]_ = mean |r| between the items of two dimensions / sqrt(mean |r| within the one *
    mean |r| within the other); HTMT2 takes geometric means [2]_.  Percentile interval of the
    bootstrap, its tails widened for n [3]_; approximate: with a hundred respondents it holds the
    truth in about 93 of 100 samples where 95 are meant.

    References
    ----------
    .. [1] Henseler, J., Ringle, C. M., Sarstedt, M. (2015). Journal of the Academy of Marketing
       Science 43, 115-135. doi:10.1007/s11747-014-0403-8
    .. [2] Roemer, E., Schuberth, F., Henseler, J. (2021). Industrial Management & Data Systems
       121, 2637-2650. doi:10.1108/IMDS-02-2021-0082
    .. [3] Hesterberg, T. C. (2015). The American Statistician 69, 371-386.
       doi:10.1080/00031305.2015.1089789

    Examples
    --------
    See `discriminant_of_correlations`.
    """
    need_one_of(rule, APART_RULES, name="rule")
    source = claim.of_answers(answers, dimensions, confidence)
    claim.need_two(dimensions)
    _, draws = resampled(source.rows, resamples=resamples, rng=rng)
    return _apart(source, htmt(as_correlations(draws), source.groups), confidence, rule)


def discriminant_of_correlations(
    correlations: pd.DataFrame,
    *,
    respondents: int,
    dimensions: dict[str, list[str]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
    rule: str = "htmt-0.90",
) -> Discriminant:
    """Ask the same as `discriminant` of a published correlation matrix.

    Intervals are from covariances drawn for as many normal respondents (Wishart).  Parameters
    and errors as in `convergence_of_correlations` and `discriminant`.

    Examples
    --------
    Between .32, within .64: the ratio is .5.

    >>> between, within = np.full((2, 2), 0.32), np.full((2, 2), 0.64) + 0.36 * np.eye(2)
    >>> r = np.block([[within, between], [between, within]])
    >>> table = pd.DataFrame(r, columns=list("abcd")).assign(item=list("abcd"))
    >>> found = discriminant_of_correlations(table, respondents=200, resamples=200,
    ...     dimensions={"s": ["a", "b"], "t": ["c", "d"]}, rng=np.random.default_rng(1))
    >>> float(found.table["estimate"][0].round(9)), found.table["told_apart"][0]
    (0.5, 'yes')
    """
    need_one_of(rule, APART_RULES, name="rule")
    source = claim.of_correlations(correlations, respondents, dimensions, confidence)
    claim.need_two(dimensions)
    draws = stats.wishart.rvs(respondents - 1, source.covariances, size=resamples, random_state=rng)
    return _apart(source, htmt(as_correlations(draws), source.groups), confidence, rule)


# --- Items that belong together -------------------------------------------------------------------


def _logit(value: float, error: float, confidence: float) -> tuple[float, float]:
    """Limits on the logit scale; NaN outside 0 to 1."""
    if not 0 < value < 1:
        return np.nan, np.nan
    half = stats.norm.ppf((1 + confidence) / 2) * error / (value * (1 - value))
    low, high = logit_limits(value, half)
    return float(low), float(high)


def _converged(source: Claim, found: Fit, confidence: float) -> Convergence:
    measures = {
        "composite reliability": (composite, LEAST_RELIABILITY[0]),
        "average variance extracted": (extracted, LEAST_EXTRACTED[0]),
    }
    rows = []
    for factor, name in enumerate(source.dimensions):
        note = _why_no_share(found, factor)
        for measure, (function, least) in measures.items():
            value, error = (np.nan, np.nan) if note else function(found, factor=factor)
            low, high = _logit(value, error, confidence)
            about = {"dimension": name, "measure": measure, "items": len(found.groups[factor])}
            about |= {"estimate": value, "low": low, "high": high, "at_least": least}
            about["with_observed_variance"] = (
                np.nan if note or function is extracted else _observed(source, found, factor)
            )
            rows.append({**about, "reached": bool(value >= least), "note": note})
    return Convergence(
        table=pd.DataFrame(rows),
        respondents=source.respondents,
        left_out=source.left_out,
        confidence=confidence,
        admissible=found.admissible,
        basis=source.basis,
    )


def _observed(source: Claim, found: Fit, factor: int) -> float:
    """Composite reliability with the variance of the sum as observed, not as the model has it."""
    items = list(found.groups[factor])
    return float(found.loadings[items].sum() ** 2 / source.covariances[np.ix_(items, items)].sum())


def _why_no_share(found: Fit, factor: int) -> str:
    if len(found.groups[factor]) == 1:
        return "one item"
    if set(found.groups[factor]) & set(found.negative_residuals):
        return "a residual variance below 0"
    return ""


# --- Ratios of correlations -----------------------------------------------------------------------


def _htmt2(r: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    """The ratio with geometric means, (pairs,)."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(r))
    within = [
        logs[np.ix_(g, g)][np.tril_indices(len(g), -1)].mean() if len(g) > 1 else np.nan
        for g in groups
    ]
    return np.array(
        [
            np.exp(logs[np.ix_(groups[a], groups[b])].mean() - (within[a] + within[b]) / 2)
            for a, b in combinations(range(len(groups)), 2)
        ]
    )


def _apart(source: Claim, drawn: np.ndarray, confidence: float, rule: str) -> Discriminant:
    r, names = as_correlations(source.covariances), list(source.dimensions)
    estimate = htmt(r, source.groups)
    low, high = _percentiles(drawn, confidence, source.respondents)
    table = pd.DataFrame(
        [(names[a], names[b]) for a, b in combinations(range(len(names)), 2)],
        columns=["first", "second"],
    ).assign(estimate=estimate, low=low, high=high, htmt2=_htmt2(r, source.groups))
    correlations, admissible = _factor_correlations(source, confidence)
    table = table.assign(**correlations)
    limit = APART_RULES[rule].htmt
    said = np.where(estimate >= limit, "no", np.where(high < limit, "yes", "undecided"))
    unknown = ~np.isfinite(estimate)
    table["told_apart"] = np.where(unknown, "", said)
    table["note"] = np.where(unknown, "a dimension of one item has no correlation within", "")
    order = np.lexsort((np.arange(len(table)), -np.nan_to_num(estimate, nan=-np.inf)))
    return Discriminant(
        table=table.iloc[order].reset_index(drop=True),
        respondents=source.respondents,
        left_out=source.left_out,
        confidence=confidence,
        resamples=len(drawn),
        admissible=admissible,
        basis=source.basis,
        rule=rule,
    )


def _percentiles(drawn: np.ndarray, confidence: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentile limits of each column, expanded for n rows; NaN for a column without a number."""
    known = np.isfinite(drawn).any(axis=0)
    limits = np.full((2, drawn.shape[1]), np.nan)
    tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1))
    limits[:, known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return limits[0], limits[1]


def _factor_correlations(source: Claim, confidence: float) -> tuple[dict, bool]:
    """The model's correlation of each pair of dimensions, with limits; NaN without a solution."""
    columns = ["factor_correlation", "correlation_low", "correlation_high"]
    try:
        found = solved(source)
    except Refusal:
        return dict.fromkeys(columns, np.nan), False
    a, b = np.array(list(combinations(range(len(source.groups)), 2))).T
    r, errors = found.factor_correlations[a, b], found.correlation_errors[a, b]
    return dict(
        zip(columns, [r, *correlation_limits(r, errors, confidence=confidence)], strict=True)
    ), found.admissible
