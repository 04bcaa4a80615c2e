"""Does the questionnaire measure the dimensions it claims?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import claim, look, measurement_model, scales
from sqm.checks import Refusal, need_one_of
from sqm.claim import Claim, basis_words, htmt, solved
from sqm.finding import Finding, counted
from sqm.interval import correlation_limits, spell, spell_p
from sqm.measurement_model import PER_PARAMETER, Fit
from sqm.moments import as_correlations

RMSEA_CONFIDENCE = 0.9  # the custom for this one index, whatever the other intervals have


@dataclass(frozen=True)
class FitRule:
    """Cut-offs for the indices of a measurement model.

    Attributes
    ----------
    cfi, tli : float
        At least this.
    rmsea, srmr : float
        At most this.
    source : str
    """

    cfi: float
    tli: float
    rmsea: float
    srmr: float
    source: str

    def met(self, cfi: float, tli: float, rmsea: float, srmr: float) -> int:
        """How many of the four are met."""
        checks = [cfi >= self.cfi, tli >= self.tli, rmsea <= self.rmsea, srmr <= self.srmr]
        return int(sum(checks))


FIT_RULES = {
    "hu-bentler-1999": FitRule(
        0.95, 0.95, 0.06, 0.08, "Hu and Bentler 1999, doi:10.1080/10705519909540118"
    ),
    "lenient": FitRule(
        0.90,
        0.90,
        0.08,
        0.08,
        "CFI and TLI after Bentler and Bonett 1980, doi:10.1037/0033-2909.88.3.588; RMSEA after "
        "Browne and Cudeck 1992, doi:10.1177/0049124192021002005; SRMR after Hu and Bentler 1999",
    ),
}


@dataclass(frozen=True, eq=False)
class Confirmation(Finding):
    """How well the claimed dimensions reproduce the answers, and how each item loads.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``dimension``; ``item``; ``estimate``, ``low``, ``high``, the standardised loading (the
        item's correlation with its dimension); ``own_share``, the share of the item's variance
        that the dimension leaves unexplained; ``note``.
    respondents, left_out : int
        Who answered every item (``missing`` says otherwise), and who did not.
    dimension_count : int
    confidence : float
        Level of the intervals of loadings, 0 to 1; that of the RMSEA is 0.9.
    chi2, df, p_value : float, int, float
        Against the unrestricted covariances.
    chi2_scaled, p_scaled : float
        The same after Satorra and Bentler; NaN where there are no single answers.
    cfi, tli, rmsea, rmsea_low, rmsea_high, srmr : float
        From the chi-square that is not scaled; NaN where the model has no degrees of freedom.
    aic, bic : float
    admissible : bool
        No negative variance, and factor correlations that can exist together.
    why_inadmissible : str
    cut_offs_met : int
        Of four.
    free : int
        Parameters estimated.
    basis : str
        ``answers``, ``answers with blanks`` or ``correlations``.
    rule : str
        A key of `FIT_RULES`.
    """

    respondents: int
    left_out: int
    dimension_count: int
    confidence: float
    chi2: float
    df: int
    p_value: float
    chi2_scaled: float
    p_scaled: float
    cfi: float
    tli: float
    rmsea: float
    rmsea_low: float
    rmsea_high: float
    srmr: float
    aic: float
    bic: float
    admissible: bool
    why_inadmissible: str
    cut_offs_met: int
    free: int
    basis: str
    rule: str

    def sentence(self) -> str:
        parts = [self._loading(), self._impossible(), self._test(), self._cut_offs()]
        parts += [self._basis(), _few(self.respondents, self.free)]
        return self._answer() + "\n" + " ".join(part for part in parts if part)

    def _answer(self) -> str:
        claimed = f"The claimed {counted(self.dimension_count, 'dimension')}"
        on = f"on {counted(self.respondents, 'respondent')}"
        if self.df == 0:
            return f"{claimed} cannot be put to the test: any answers would fit ({on})."
        how = {4: "fits the answers well", 0: "does not fit the answers"}.get(
            self.cut_offs_met, f"fits the answers only in part ({self.cut_offs_met} of 4 cut-offs)"
        )
        how = how if self.admissible else "has no admissible solution"
        rmsea = spell(
            self.rmsea, self.rmsea_low, self.rmsea_high, confidence=RMSEA_CONFIDENCE, digits=3
        )
        model = f"The model of {counted(self.dimension_count, 'dimension')} {how}"
        return f"{model}: RMSEA {rmsea}, CFI {self.cfi:.3f}, SRMR {self.srmr:.3f}, {on}."

    def _impossible(self) -> str:
        if self.admissible:
            return ""
        return f"The solution is not admissible: {self.why_inadmissible}; do not interpret it."

    def _test(self) -> str:
        if self.df == 0:
            return "It has as many parameters as the items give moments."
        words = (
            f"Chi-square {self.chi2:,.1f} on {self.df} degrees of freedom ({spell_p(self.p_value)})"
        )
        if np.isfinite(self.chi2_scaled):
            words += f", scaled for answers that are not normal {self.chi2_scaled:,.1f}"
            words += f" ({spell_p(self.p_scaled)}, Satorra-Bentler)"
        return f"{words}; with many respondents small misfit is significant too."

    def _cut_offs(self) -> str:
        rule = FIT_RULES[self.rule]
        if self.df == 0:
            return ""
        return (
            f"TLI {self.tli:.3f}. Cut-offs: CFI and TLI at least {rule.cfi:.2f}, RMSEA at most "
            f"{rule.rmsea:.2f}, SRMR at most {rule.srmr:.2f} ({rule.source}); they are "
            "conventions, not tests. The RMSEA's interval is approximate: too narrow for a model "
            "that is wrong."
        )

    def _loading(self) -> str:
        known = self.table.dropna(subset=["estimate", "low"])
        if known.empty:
            return "No loading has an interval (see the notes)."
        row = known.loc[known["estimate"].idxmin()]
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        return f"The lowest loading is that of {row['item']} on {row['dimension']}: {found}."

    def _basis(self) -> str:
        method = "Confirmatory factor analysis by maximum likelihood, each item on one dimension"
        if self.basis == "correlations":
            return f"{method}, from a correlation matrix; intervals assume normal answers."
        if self.basis == "answers":
            left = f"{self.left_out:,} who left an item blank are left out"
            return f"{method}; {left}; intervals allow for answers that are not normal."
        blank = f"{self.left_out:,} who left some items blank are used with what they answered"
        return f"{method} with full information; {blank}; intervals assume normal answers."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        half = np.sqrt(0.5)
        meaning = ["worse" if high < half else "usual" for high in self.table["high"]]
        names = [f"{row.dimension} · {row.item}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.axvline(half, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="How far does each item measure its dimension?",
            x="standardised loading (at the line half of the item's variance is the dimension's)",
        )


@dataclass(frozen=True, eq=False)
class Rivals(Finding):
    """The claimed dimensions against models with fewer.

    Attributes
    ----------
    table : DataFrame, one row per model, the claimed one first, one factor last
        ``model``; ``merged``, the dimensions made one; ``dimensions``, how many are left;
        ``chi2``, ``df``, ``p_value``; ``chi2_difference``, ``df_difference``,
        ``p_difference``, against the claimed model; ``cfi``, ``tli``; ``estimate``, ``low``,
        ``high``, the RMSEA with its 90 % interval; ``srmr``; ``aic``, ``bic`` (smaller is
        better); ``admissible``; ``note``.
    respondents, left_out : int
    dimension_count : int
        Claimed.
    best : str
        The model of smallest BIC among those with an admissible solution.
    bic_lead : float
        How far its BIC is below that of the claimed model; 0 if it is the claimed one.
    basis : str
        ``answers`` or ``correlations``.
    """

    respondents: int
    left_out: int
    dimension_count: int
    best: str
    bic_lead: float
    basis: str

    def sentence(self) -> str:
        parts = [self._claimed(), self._one_factor(), self._how()]
        return self._answer() + "\n" + " ".join(part for part in parts if part)

    def _answer(self) -> str:
        if not self.best:
            return "None of the models, claimed or merged, has an admissible solution."
        row = self.table.set_index("model").loc[self.best]
        rmsea = spell(
            row["estimate"], row["low"], row["high"], confidence=RMSEA_CONFIDENCE, digits=3
        )
        claimed = f"the {self.dimension_count} claimed dimensions"
        if self.best == self.table.loc[0, "model"]:
            beaten = f"No merged model describes the answers better than {claimed}"
            loose = row["low"] > FIT_RULES["lenient"].rmsea
            return f"{beaten}{', which fit badly' if loose else ''}: RMSEA {rmsea}."
        if self.bic_lead > 0:
            than = f"better than {claimed} (BIC lower by {self.bic_lead:,.1f})"
        else:
            than = f"best, where {claimed} have no admissible solution"
        if row["dimensions"] == 1:
            return f"One dimension for all items describes the answers {than}: RMSEA {rmsea}."
        which = f"({look.shorten(row['merged'], width=60)} as one)"
        fewer = f"{int(row['dimensions'])} dimensions {which}"
        return f"{fewer} describe the answers {than}: RMSEA {rmsea}."

    def _claimed(self) -> str:
        row = self.table.iloc[0]
        if not np.isfinite(row["chi2"]):
            return f"The claimed model: {row['note']}."
        rmsea = spell(
            row["estimate"], row["low"], row["high"], confidence=RMSEA_CONFIDENCE, digits=3
        )
        words = f"Claimed: RMSEA {rmsea}, CFI {row['cfi']:.3f}, BIC {row['bic']:,.1f}."
        return words if row["admissible"] else f"{words} Its solution is not admissible."

    def _one_factor(self) -> str:
        row = self.table.iloc[-1]
        if not np.isfinite(row["chi2_difference"]):
            return ""
        return (
            f"One dimension for all items: CFI {row['cfi']:.3f}, BIC {row['bic']:,.1f}; against the"
            f" claimed model chi-square rises by {row['chi2_difference']:,.1f} for "
            f"{counted(int(row['df_difference']), 'parameter')} fewer "
            f"({spell_p(row['p_difference'])})."
        )

    def _how(self) -> str:
        return (
            "From the claimed model on, the two dimensions of highest correlation are made one, "
            "step by step; the smallest BIC (Schwarz 1978) among admissible solutions is best. "
            "The order of merging was chosen on these answers, so confirm it on others. "
            "RMSEA intervals are approximate: too narrow for a model that is wrong. "
            + basis_words(self.basis, self.respondents, self.left_out, intervals=False)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        means = {True: "better", False: "usual"}
        meaning = [means[model == self.best] for model in self.table["model"]]
        meaning = [
            what if ok else "worse"
            for what, ok in zip(meaning, self.table["admissible"], strict=True)
        ]
        look.dots(ax, self.table, names=list(self.table["model"]), meaning=meaning)
        return look.label(
            ax,
            title="Would fewer dimensions describe the answers as well?",
            x="RMSEA, 90 % interval (smaller is better; downward: not admissible)",
        )


# --- Questions ------------------------------------------------------------------------------------


def confirm(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    rule: str = "hu-bentler-1999",
) -> Confirmation:
    """Put the claimed dimensions to the test, on the respondents who answered every item.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each dimension; a dimension of one item is that item.
    confidence : float, default 0.95
        Of the intervals of loadings.
    rule : str, default "hu-bentler-1999"
        A key of `FIT_RULES`.

    Returns
    -------
    Confirmation

    Raises
    ------
    Problem
        If an item is missing, not numeric, or in two dimensions.
    Refusal
        If an item never varies, two items say the same, there are not more respondents than
        parameters, or the model has no solution.

    Notes
    -----
    Maximum likelihood with divisor n (`measurement_model.fit`).  Standardised loadings are
    l / sqrt(l^2 + t); intervals are by the delta method on Fisher's z scale (plain where
    they would pass 1), with the sandwich standard errors of answers that are not normal [1]_.  The
    RMSEA's interval is from the noncentral chi-square [2]_; CFI, TLI and RMSEA use the chi-square
    that is not scaled.

    References
    ----------
    .. [1] Satorra, A., Bentler, P. M. (1994). Corrections to test statistics and standard errors
       in covariance structure analysis. In von Eye & Clogg (eds), Latent Variables Analysis,
       399-419.
    .. [2] Browne, M. W., Cudeck, R. (1992). Sociological Methods & Research 21, 230-258.
       doi:10.1177/0049124192021002005

    Examples
    --------
    A sample whose three items correlate .64 exactly has loadings of sqrt(.64).

    >>> rng = np.random.default_rng(1)
    >>> raw = rng.normal(size=(200, 3))
    >>> raw = (raw - raw.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    >>> alike = np.linalg.cholesky(np.full((3, 3), 0.64) + 0.36 * np.eye(3))
    >>> answers = pd.DataFrame(raw @ alike.T, columns=["a", "b", "c"])
    >>> found = confirm(answers, dimensions={"courtesy": ["a", "b", "c"]})
    >>> found.table["estimate"].round(6).tolist()
    [0.8, 0.8, 0.8]
    """
    source = claim.of_answers(answers, dimensions, confidence)
    return _confirmation(source, solved(source), confidence, rule)


def confirm_missing(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    rule: str = "hu-bentler-1999",
) -> Confirmation:
    """Put the claimed dimensions to the test with every answer given, blanks or not.

    Full information maximum likelihood (`measurement_model.fit_missing`): right if a blank's
    reason lies in the answers given.  Intervals assume normal answers.  Parameters, result and
    errors as in `confirm`; ``left_out`` counts those with some item blank.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> answers = pd.DataFrame(rng.normal(size=(200, 4)) + rng.normal(size=(200, 1)))
    >>> answers = answers.set_axis(list("abcd"), axis=1).mask(rng.random((200, 4)) < 0.1)
    >>> found = confirm_missing(answers, dimensions={"courtesy": list("abcd")})
    >>> found.respondents, found.df
    (200, 2)
    """
    scales.need_scales(answers, dimensions, confidence)
    items, groups = claim.layout(dimensions)
    values = answers[items].to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values).any(axis=1)]
    claim.need_moving(values, items)
    claim.need_enough(len(values), groups)
    found = measurement_model.fit_missing(values, groups=groups)
    blank = int((~np.isfinite(values).all(axis=1)).sum())
    source = Claim(dimensions, items, groups, found.implied, len(values), blank, None)
    return _confirmation(
        source, claim.need_solution(found), confidence, rule, basis="answers with blanks"
    )


def confirm_of_correlations(
    correlations: pd.DataFrame,
    *,
    respondents: int,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    rule: str = "hu-bentler-1999",
) -> Confirmation:
    """Put the claimed dimensions to the test on a published correlation matrix.

    Parameters
    ----------
    correlations : DataFrame, one row per item
        ``item`` and one column per item; the half above or below the diagonal may be blank.
    respondents : int
        The n behind the matrix.
    dimensions, confidence, rule
        As in `confirm`.

    Returns
    -------
    Confirmation
        Intervals assume normal answers.

    Raises
    ------
    Problem
        If an item is missing, or the matrix is not one of correlations.
    Refusal
        As in `confirm`; and if the matrix is not positive definite.

    Examples
    --------
    >>> table = pd.DataFrame({"item": ["a", "b", "c"], "a": [1, 0.64, 0.64],
    ...                       "b": [None, 1, 0.64], "c": [None, None, 1]})
    >>> found = confirm_of_correlations(table, respondents=200, dimensions={"s": ["a", "b", "c"]})
    >>> found.table["estimate"].round(6).tolist()
    [0.8, 0.8, 0.8]
    """
    source = claim.of_correlations(correlations, respondents, dimensions, confidence)
    return _confirmation(source, solved(source), confidence, rule)


def rivals(answers: pd.DataFrame, *, dimensions: dict[str, list[str]]) -> Rivals:
    """Compare the claimed dimensions with fewer, down to one.

    Parameters
    ----------
    answers, dimensions
        As in `confirm`.

    Returns
    -------
    Rivals
        A model without a solution has NaN and a note.

    Raises
    ------
    Problem
        As in `confirm`.
    Refusal
        As in `confirm`, and if there is one dimension only.

    Notes
    -----
    From the claimed model on, the two factors of highest correlation are merged, refitted, and
    so on.  Each is nested in the claimed model, so the difference of chi-squares has the
    difference of degrees of freedom (correlations are not held below 1: 1 is no edge).
    BIC = q log n - 2 log L [1]_.

    References
    ----------
    .. [1] Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6,
       461-464. doi:10.1214/aos/1176344136

    Examples
    --------
    See `rivals_of_correlations`.
    """
    source = claim.of_answers(answers, dimensions, 0.95)
    return _compared(source)


def rivals_of_correlations(
    correlations: pd.DataFrame, *, respondents: int, dimensions: dict[str, list[str]]
) -> Rivals:
    """Compare the same as `rivals` on a published correlation matrix.

    Parameters and errors as in `confirm_of_correlations`.

    Examples
    --------
    Six items that all correlate .5: two dimensions are one too many.

    >>> r = pd.DataFrame(np.full((6, 6), 0.5) + 0.5 * np.eye(6), columns=list("abcdef"))
    >>> found = rivals_of_correlations(r.assign(item=list("abcdef")), respondents=200,
    ...     dimensions={"s": ["a", "b", "c"], "t": ["d", "e", "f"]})
    >>> found.best
    'one dimension'
    """
    source = claim.of_correlations(correlations, respondents, dimensions, 0.95)
    return _compared(source)


# --- The model and its numbers --------------------------------------------------------------------


def _confirmation(
    source: Claim, found: Fit, confidence: float, rule: str, basis: str = ""
) -> Confirmation:
    need_one_of(rule, FIT_RULES, name="rule")
    low, high = found.rmsea_interval(confidence=RMSEA_CONFIDENCE)
    robust = source.rows is not None and found.df > 0
    scaled = found.chi2 / found.scale if robust else np.nan
    return Confirmation(
        table=_loadings(source, found, confidence),
        respondents=source.respondents,
        left_out=source.left_out,
        dimension_count=len(source.groups),
        confidence=confidence,
        chi2=found.chi2,
        df=found.df,
        p_value=found.p_value,
        chi2_scaled=scaled,
        p_scaled=float(stats.chi2.sf(scaled, found.df)) if robust else np.nan,
        cfi=found.cfi if found.df else np.nan,
        tli=found.tli,
        rmsea=found.rmsea,
        rmsea_low=low,
        rmsea_high=high,
        srmr=found.srmr,
        aic=found.aic,
        bic=found.bic,
        admissible=found.admissible,
        why_inadmissible=_why(source, found),
        cut_offs_met=FIT_RULES[rule].met(found.cfi, found.tli, found.rmsea, found.srmr),
        free=found.free,
        basis=basis or source.basis,
        rule=rule,
    )


def _why(source: Claim, found: Fit) -> str:
    """Why a solution is not admissible, in words; empty if it is."""
    words = []
    if found.negative_residuals:
        named = ", ".join(source.items[i] for i in found.negative_residuals)
        words.append(f"the residual variance of {named} is below 0 (a Heywood case)")
    if not found.correlations_possible:
        names, r = list(source.dimensions), np.tril(found.factor_correlations, -1)
        i, j = np.unravel_index(np.argmax(np.abs(r)), r.shape)
        words.append(
            "the correlations of the dimensions cannot exist together (highest: "
            f"{names[j]} with {names[i]}, {r[i, j]:.3f})"
        )
    return " and ".join(words)


def _loadings(source: Claim, found: Fit, confidence: float) -> pd.DataFrame:
    standard = found.standardised_loadings
    low, high = correlation_limits(standard, found.standardised_errors, confidence=confidence)
    names = [name for name, items in source.dimensions.items() for _ in items]
    single = np.isin(names, [name for name, items in source.dimensions.items() if len(items) == 1])
    heywood = np.isin(np.arange(len(names)), found.negative_residuals)
    low, high = (np.where(single | heywood, np.nan, limit) for limit in (low, high))
    note = np.where(single, "one item: the dimension is the item", "")
    note = np.where(heywood, "residual variance below 0: the loading exceeds 1", note)
    return pd.DataFrame(
        {
            "dimension": names,
            "item": source.items,
            "estimate": standard,
            "low": low,
            "high": high,
            "own_share": 1 - standard**2,
            "note": note,
        }
    )


# --- Models with fewer dimensions -----------------------------------------------------------------


def _compared(source: Claim) -> Rivals:
    claim.need_two(source.dimensions)
    claimed = f"{len(source.groups)} dimensions, as claimed"
    rows, reference = [], None
    groups, names = source.groups, [[name] for name in source.dimensions]
    while True:
        found, note = _tried(source, groups)
        reference = found if len(groups) == len(source.groups) else reference
        rows.append(_rival_row(names, claimed, found, reference, note))
        if len(groups) == 1:
            break
        groups, names = _merged(source, groups, names, found)
    table = pd.DataFrame(rows)
    usable = table[table["admissible"]]
    best = str(usable.loc[usable["bic"].idxmin(), "model"]) if len(usable) else ""
    lead = table.loc[0, "bic"] - usable["bic"].min() if len(usable) else np.nan
    return Rivals(
        table=table,
        respondents=source.respondents,
        left_out=source.left_out,
        dimension_count=len(source.groups),
        best=best,
        bic_lead=float(lead),
        basis=source.basis,
    )


def _tried(source: Claim, groups: list[list[int]]) -> tuple[Fit | None, str]:
    """The model if it has a solution, and what is wrong with it."""
    try:
        found = measurement_model.fit(
            source.covariances, respondents=source.respondents, groups=groups
        )
    except Refusal as refusal:
        return None, refusal.what
    if not found.converged:
        return None, "the model has no solution"
    return found, "" if found.admissible else "the solution is not admissible"


def _merged(
    source: Claim, groups: list[list[int]], names: list[list[str]], found: Fit | None
) -> tuple[list[list[int]], list[list[str]]]:
    """Make one of the two dimensions that go together most, by the model or else by HTMT."""
    if found is not None:
        closeness = found.factor_correlations[np.tril_indices(len(groups), -1)]
        pairs = list(zip(*np.tril_indices(len(groups), -1), strict=True))
    else:
        closeness = htmt(as_correlations(source.covariances), groups)
        pairs = list(combinations(range(len(groups)), 2))
    i, j = sorted(pairs[int(np.argmax(np.nan_to_num(closeness, nan=-np.inf)))])
    rest = [k for k in range(len(groups)) if k != j]
    return (
        [sorted(groups[k] + groups[j]) if k == i else groups[k] for k in rest],
        [names[k] + names[j] if k == i else names[k] for k in rest],
    )


def _rival_row(
    names: list[list[str]], claimed: str, found: Fit | None, reference: Fit | None, note: str
) -> dict:
    merged = "; ".join(" + ".join(each) for each in names if len(each) > 1)
    label = claimed if not merged else f"{len(names)} dimensions: {merged} as one"
    about = {
        "model": label if len(names) > 1 else "one dimension",
        "merged": merged,
        "dimensions": len(names),
    }
    numbers = ["chi2", "df", "p_value", "cfi", "tli", "rmsea", "srmr", "aic", "bic"]
    about |= {name: getattr(found, name, np.nan) for name in numbers}
    about["estimate"] = about.pop("rmsea")
    about["low"], about["high"] = found.rmsea_interval() if found else (np.nan, np.nan)
    both = found is not None and reference is not None and found is not reference
    about["chi2_difference"] = found.chi2 - reference.chi2 if both else np.nan
    about["df_difference"] = found.df - reference.df if both else np.nan
    about["p_difference"] = (
        float(stats.chi2.sf(about["chi2_difference"], about["df_difference"])) if both else np.nan
    )
    return {**about, "admissible": bool(found and found.admissible), "note": note}


# --- Words ----------------------------------------------------------------------------------------


def _few(respondents: int, free: int) -> str:
    if respondents >= PER_PARAMETER * free:
        return ""
    return (
        f"Few respondents: {respondents:,} for {free} parameters, where {PER_PARAMETER} for each "
        "are advised (Bentler and Chou 1987, doi:10.1177/0049124187016001004)."
    )
