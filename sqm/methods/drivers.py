"""What makes a contact turn into a complaint?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import statsmodels.api as sm
from matplotlib.axes import Axes
from scipy import linalg, stats
from scipy.special import expit, logit
from statsmodels.stats.sandwich_covariance import cov_cluster
from statsmodels.tools.sm_exceptions import PerfectSeparationError

from sqm import interval, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share
from sqm.finding import Finding

INTERCEPT = "(intercept)"
MOST_LEVELS = 30
LEAKS_ABOVE = 0.98  # AUC of one driver alone
FEWEST_GROUPS, FEW_GROUPS = 10, 30

# Peduzzi, P. et al. (1996). Journal of Clinical Epidemiology 49, 1373-1379.
# doi:10.1016/S0895-4356(96)00236-3
EVENTS_PER_COEFFICIENT = 10

# Vergouwe, Y. et al. (2005). Journal of Clinical Epidemiology 58, 475-483.
# doi:10.1016/j.jclinepi.2004.06.017
HELD_OUT_EVENTS = 100


@dataclass(frozen=True)
class Rule:
    """What a model must show on records it has not seen, before it is used.

    Attributes
    ----------
    purpose : str
        What it may then be used for, in words.
    auc : float
        The area under the curve must exceed this, with its whole interval
        where it is 0.5 (a coin).
    slope, observed_over_expected : (float, float)
        Range in which the estimate must lie.
    source : str
    """

    purpose: str
    auc: float
    slope: tuple[float, float]
    observed_over_expected: tuple[float, float]
    source: str


RULES = {
    "averages": Rule(
        "for averages over many contacts",
        0.5,
        (0.7, 1.3),
        (0.8, 1.25),
        "a convention of sqm: averages need calibration more than they need discrimination "
        "(Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7)",
    ),
    "cases": Rule(
        "to single out contacts",
        0.7,
        (0.7, 1.3),
        (0.8, 1.25),
        "area from 0.7 'acceptable' (Hosmer and Lemeshow 2000, Applied Logistic Regression, "
        "section 5.2.4); the two ranges are a convention of sqm",
    ),
}


@dataclass(frozen=True)
class Term:
    """One coefficient: the intercept, a number (``level`` empty) or a level of a category."""

    name: str
    column: str
    level: str
    per: float
    fixed: bool


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model, to be asked by `drivers_of`, `coefficients_of` and `held_out`.

    Attributes
    ----------
    terms : tuple of Term
        In the order of ``b`` and ``covariance``.
    references : dict of str to str
        The level of each category that has no coefficient.
    b : array, shape (terms,)
    covariance : array, shape (terms, terms)
        Cluster-robust.
    design : array, shape (records, terms)
        Indicators, and numbers in units of ``per``.
    outcome, drivers, fixed, cluster : str, tuple of str, str, str
        The settings.
    confidence, quantile : float
        Level of the intervals, and by how many standard errors they reach.
    records, events, left_out, same_group, groups : int
        Rows used, those with the outcome, rows left out because of a blank,
        rows left out because every row of their fixed group had the same
        outcome, and clusters.
    """

    terms: tuple[Term, ...]
    references: dict[str, str]
    b: np.ndarray
    covariance: np.ndarray
    design: np.ndarray = field(repr=False)
    outcome: str
    drivers: tuple[str, ...]
    fixed: str
    cluster: str
    confidence: float
    quantile: float
    records: int
    events: int
    left_out: int
    same_group: int
    groups: int


@dataclass(frozen=True, eq=False)
class Drivers(Finding):
    """What goes with the outcome, each driver with the others held still.

    Attributes
    ----------
    table : DataFrame, one row per term
        ``term``; ``driver``, its column; ``level`` and ``reference``, for
        categories; ``per``, by how much a number is raised; ``odds_ratio``,
        ``odds_low``, ``odds_high``; ``estimate, low, high``, the average
        marginal effect as a probability (0 to 1).
    outcome, fixed, cluster : str
        Columns: what is explained, what is held fixed, whose rows may be alike.
    records, events, left_out, same_group, groups : int
        As in `Fit`.
    confidence : float
    """

    outcome: str
    fixed: str
    cluster: str
    records: int
    events: int
    left_out: int
    same_group: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        return " ".join(
            [
                f"{self._effects()}\n{self.events:,} of {self.records:,} contacts ended in the "
                f"outcome '{self.outcome}'.",
                self._basis(),
                self._chosen(),
                "These go together; that one causes the other is not shown.",
            ]
        )

    def _effects(self) -> str:
        """The largest effect of each driver, those that may be nil apart."""
        by_size = self.table.assign(size=self.table["estimate"].abs())
        by_size["clear"] = (by_size["low"] > 0) | (by_size["high"] < 0)
        by_size = by_size.sort_values(["clear", "size"], ascending=False, kind="stable")
        largest = by_size.drop_duplicates("driver")
        clear, unclear = largest[largest["clear"]], largest.loc[~largest["clear"], "driver"]
        said = [
            _effect_words(row, self.confidence if first else 0)
            for first, row in zip([True, *[False] * 3], clear[:4].itertuples(), strict=False)
        ]
        words = f"'{self.outcome}' per 100 contacts, the other drivers held still: "
        words += "; ".join(said) if said else "no driver shows an effect"
        if len(clear) > 4:
            words += f"; {len(clear) - 4} more are in the table"
        if len(unclear):
            words += f". Whether {_and(unclear)} matters these data do not tell"
        return words + "."

    def _chosen(self) -> str:
        several = self.table.loc[self.table["level"] != "", "driver"].duplicated().any()
        return (
            "Of a driver with several levels the largest effect is told, which flatters it; the"
            " table has all."
            if several
            else "The table has odds ratios too."
        )

    def _basis(self) -> str:
        words = f"{_basis_words(self.fixed, self.cluster, self.groups)}; "
        words += f"{self.left_out:,} rows with a blank left out"
        if self.same_group:
            words += f", and {self.same_group:,} of a {self.fixed} without both outcomes"
        return words + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        per_100 = self.table.assign(**(self.table[["estimate", "low", "high"]] * 100))
        meaning = [
            "worse" if row.low > 0 else "better" if row.high < 0 else "usual"
            for row in per_100.itertuples()
        ]
        names = [_short_words(row) for row in per_100.itertuples()]
        look.dots(ax, per_100, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title=f"What goes with '{self.outcome}'?",
            x=f"more per 100 contacts, {self.confidence * 100:.4g}% interval",
        )


@dataclass(frozen=True, eq=False)
class Coefficients(Finding):
    """The model itself, for those who predict from it.

    Attributes
    ----------
    table : DataFrame, one row per coefficient
        ``term``; ``estimate, low, high`` on the logit; ``unit_per``, what a
        number is divided by first; and ``cov: <term>``, the covariance with
        each other coefficient.  The linear predictor is the sum of estimate
        times the indicator (``column=level``) or the number over
        ``unit_per``; a level without a row is the reference and adds nothing.
    outcome : str
    references : tuple of str
        The reference of each category, as ``column=level``.
    records, events, groups : int
    confidence : float
    """

    outcome: str
    references: tuple[str, ...]
    records: int
    events: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        standing = f" Reference: {_and(self.references)}." if self.references else ""
        return (
            f"The model of '{self.outcome}' has {len(self.table)} coefficients on the logit, "
            f"fitted to {self.events:,} events in {self.records:,} contacts; their covariance "
            f"allows for {self.groups:,} groups of contacts that may be alike.{standing}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rest = self.table[self.table["term"] != INTERCEPT]
        look.dots(ax, rest, names=rest["term"])
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title=f"Which coefficients predict '{self.outcome}'?",
            x=f"change of the log odds, {self.confidence * 100:.4g}% interval",
        )


@dataclass(frozen=True, eq=False)
class HeldOut(Finding):
    """How the model does on records it has not seen.

    Attributes
    ----------
    table : DataFrame, one row per tenth of the contacts by predicted chance
        ``tenth``; ``records, events``; ``predicted``, mean chance;
        ``estimate, low, high``, the share that came true, 0 to 1.
    usable : bool
        Whether the rule is met.
    purpose, because, source : str
        What the rule is for, what decided, and where the rule is from.
    auc, auc_low, auc_high : float
        Chance that a contact with the outcome was given more than one without.
    slope, slope_low, slope_high : float
        Calibration slope: 1 if the predictions spread rightly, less if too far.
    intercept, intercept_low, intercept_high : float
        Calibration in the large, on the logit: 0 if the level is right.
    ratio, ratio_low, ratio_high : float
        Events observed over events expected.
    records, events, left_out, groups : int
        ``left_out`` had a blank, or a level the model has not met.
    confidence : float
    """

    usable: bool
    purpose: str
    because: str
    source: str
    auc: float
    auc_low: float
    auc_high: float
    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    records: int
    events: int
    left_out: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        def spell(name):
            values = (getattr(self, name + part) for part in ("", "_low", "_high"))
            return interval.spell(*values, confidence=self.confidence)

        verdict = "may be used" if self.usable else "must not be used"
        return (
            f"The model {verdict} {self.purpose}: on {self.records:,} contacts it had not seen, "
            f"observed over expected is {spell('ratio')}.\nThat is so because {self.because}: "
            f"area under the curve {spell('auc')}, calibration slope {spell('slope')}, intercept "
            f"{spell('intercept')}, from {self.events:,} events; {self.left_out:,} rows left out "
            f"(a blank, or a level that is new). The rule: {self.source}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        told = self.table[["predicted", "estimate", "low", "high"]] * 100
        most = float(told.max().max()) * 1.05
        ax.plot([0, most], [0, most], color=look.MEANING["limit"], ls="--", lw=1)
        for each in told.itertuples():
            kind = "usual" if each.low <= each.predicted <= each.high else "worse"
            colour, marker = look.MEANING[kind], look.MARKER[kind]
            ax.plot([each.predicted] * 2, [each.low, each.high], color=colour, lw=1.6)
            ax.plot(each.predicted, each.estimate, marker=marker, color=colour, ms=6)
        return look.label(
            ax,
            title="Does what the model predicts come true?",
            x="predicted per 100 contacts, by tenths",
            y=f"observed per 100, {self.confidence * 100:.4g}% interval",
        )


def fit_logistic(
    records: pd.DataFrame,
    *,
    drivers: Sequence[str],
    outcome: str = "complained",
    fixed: str = "site",
    cluster: str = "agent",
    per: Mapping[str, float] | None = None,
    reference: Mapping[str, str] | None = None,
    confidence: float = 0.95,
) -> Fit:
    """Fit a logistic regression whose errors allow for rows that belong together.

    Parameters
    ----------
    records : DataFrame, one row per contact
    drivers : sequence of str
        Columns: numbers enter as they are, anything else by its levels.
    outcome : str
        Column of true and false (or 1 and 0).
    fixed : str
        Column whose groups each have their own level (a fixed effect); empty for none.
    cluster : str
        Column of what rows share; a row without one belongs to the group
        "no agent" of its ``fixed`` group.  Empty: every row for itself.
    per : mapping of column to float, optional
        Unit in which a number enters: 60 makes seconds into minutes.
    reference : mapping of column to level, optional
        The level that others are set against; else the most frequent (of
        equals the first by name).
    confidence : float, default 0.95

    Returns
    -------
    Fit

    Raises
    ------
    Problem
        If a column is missing or a setting names what is not there, or one
        driver is a combination of others.
    Refusal
        If only one outcome occurs; there are fewer than 10 events (or
        non-events) per coefficient [1]_; a driver never varies, has more than
        30 levels, or separates the outcomes; one driver alone reaches an
        area under the curve above 0.98, which is a leak, not a cause; or
        there are fewer than 10 clusters.

    Notes
    -----
    Maximum likelihood; sandwich covariance summed by cluster, times
    G / (G - 1) · (n - 1) / (n - k); intervals by Student's t with G - 1
    degrees of freedom [2]_.

    References
    ----------
    .. [1] Peduzzi, P. et al. (1996). Journal of Clinical Epidemiology 49,
       1373-1379. doi:10.1016/S0895-4356(96)00236-3
    .. [2] Cameron, A. C., Miller, D. L. (2015). Journal of Human Resources
       50, 317-372. doi:10.3368/jhr.50.2.317

    Examples
    --------
    30 of 100 complain if unresolved and 20 of 200 if not: the logit of 0.1 is
    -ln 9, and the odds ratio is (30 / 70) / (20 / 180) = 27 / 7.

    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> fit = fit_logistic(records, drivers=["ending"], fixed="", cluster="")
    >>> [term.name for term in fit.terms]
    ['(intercept)', 'ending=unresolved']
    >>> np.exp(fit.b).round(4).tolist()
    [0.1111, 3.8571]
    """
    per, reference = dict(per or {}), dict(reference or {})
    _need_settings(records, drivers, outcome, fixed, cluster, per, reference, confidence)
    used, left_out = _complete(records, [outcome, *drivers, *filter(None, [fixed])])
    used, same_group = _both_outcomes(used, outcome, fixed)
    y = _true_or_false(used[outcome])
    _need_both(y, outcome)
    _need_fit_drivers(used, y, drivers)
    terms, references = _terms(used, drivers, fixed, per, reference)
    _need_events(y, len(terms) - 1)
    design = _design(used, terms)
    _need_independent(design, terms)
    groups = _groups(used, fixed, cluster)
    b, covariance = _robust(y, design, groups)
    clusters = int(groups.max()) + 1
    return Fit(
        terms=terms,
        references=references,
        b=b,
        covariance=covariance,
        design=design,
        outcome=outcome,
        drivers=tuple(drivers),
        fixed=fixed,
        cluster=cluster,
        confidence=confidence,
        quantile=float(stats.t.ppf((1 + confidence) / 2, clusters - 1)),
        records=len(y),
        events=int(y.sum()),
        left_out=left_out,
        same_group=same_group,
        groups=clusters,
    )


def drivers_of(fit: Fit) -> Drivers:
    """Say what goes with the outcome, in odds and in contacts.

    Parameters
    ----------
    fit : Fit
        From `fit_logistic`.

    Returns
    -------
    Drivers
        Without the intercept and the fixed groups.

    Notes
    -----
    The average marginal effect of a level is the mean over all records of
    P(everyone at the level) - P(everyone at the reference); of a number, the
    mean of p (1 - p) b, per its unit.  Their intervals are by the delta
    method with the records as they are.

    Examples
    --------
    30 % against 10 %: twenty more per hundred.

    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> found = drivers_of(fit_logistic(records, drivers=["ending"], fixed="", cluster=""))
    >>> found.table[["odds_ratio", "estimate"]].round(4).values.tolist()
    [[3.8571, 0.2]]
    """
    rows = [_driver_row(fit, place) for place, term in enumerate(fit.terms) if _is_driver(term)]
    return Drivers(
        table=pd.DataFrame(rows),
        outcome=fit.outcome,
        fixed=fit.fixed,
        cluster=fit.cluster,
        records=fit.records,
        events=fit.events,
        left_out=fit.left_out,
        same_group=fit.same_group,
        groups=fit.groups,
        confidence=fit.confidence,
    )


def coefficients_of(fit: Fit) -> Coefficients:
    """Hand over the coefficients and their covariance, for predictions that carry uncertainty.

    Examples
    --------
    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> found = coefficients_of(fit_logistic(records, drivers=["ending"], fixed="", cluster=""))
    >>> list(found.table.columns[:5]), found.references
    (['term', 'estimate', 'low', 'high', 'unit_per'], ('ending=resolved',))
    """
    names = [term.name for term in fit.terms]
    half = fit.quantile * np.sqrt(np.diag(fit.covariance))
    table = pd.DataFrame(
        {
            "term": names,
            "estimate": fit.b,
            "low": fit.b - half,
            "high": fit.b + half,
            "unit_per": [term.per for term in fit.terms],
        }
    )
    covariance = pd.DataFrame(fit.covariance, columns=[f"cov: {name}" for name in names])
    return Coefficients(
        table=pd.concat([table, covariance], axis="columns"),
        outcome=fit.outcome,
        references=tuple(f"{column}={level}" for column, level in fit.references.items()),
        records=fit.records,
        events=fit.events,
        groups=fit.groups,
        confidence=fit.confidence,
    )


def held_out(fit: Fit, later: pd.DataFrame, *, rule: str = "averages") -> HeldOut:
    """Judge the model on records it has not seen.

    Parameters
    ----------
    fit : Fit
        Fitted to the earlier part.
    later : DataFrame, one row per contact
        The same columns, from a later period.  That none of these rows was
        used for the fit is for the caller to see to.
    rule : str
        A key of `RULES`: what the model is to be used for.

    Returns
    -------
    HeldOut

    Raises
    ------
    Refusal
        If only one outcome occurs in the later records, or fewer than 10 clusters do.

    Notes
    -----
    The area under the curve is the share of pairs (one with the outcome, one
    without) put in the right order; its variance sums DeLong's components [1]_
    by cluster, as do those of the ratio and of the two calibration
    regressions: logit(y) = a + logit(p), and logit(y) = a + slope logit(p).
    Intervals of the area and the ratio are built on the logit and log scale,
    all by Student's t with the clusters' degrees of freedom.  With fewer than
    100 events the model is never usable [2]_.

    References
    ----------
    .. [1] DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988).
       Biometrics 44, 837-845. doi:10.2307/2531595
    .. [2] Vergouwe, Y. et al. (2005). Journal of Clinical Epidemiology 58,
       475-483. doi:10.1016/j.jclinepi.2004.06.017

    Examples
    --------
    Later, 40 of 100 unresolved complain where 30 were expected, and 10 of 100
    resolved as expected: 50 / 40 = 1.25.

    >>> columns = ["ending", "complained"]
    >>> def of(ending, yes, no):
    ...     return [[ending, 1]] * yes + [[ending, 0]] * no
    >>> earlier = pd.DataFrame(of("resolved", 20, 180) + of("unresolved", 30, 70), columns=columns)
    >>> later = pd.DataFrame(of("resolved", 10, 90) + of("unresolved", 40, 60), columns=columns)
    >>> fit = fit_logistic(earlier, drivers=["ending"], fixed="", cluster="")
    >>> found = held_out(fit, later)
    >>> round(found.ratio, 6), found.usable
    (1.25, False)
    """
    if rule not in RULES:
        raise Problem(f"There is no rule {rule!r}.", f"use {' or '.join(RULES)}.")
    used, left_out = _known_to(fit, later)
    y = _true_or_false(used[fit.outcome])
    _need_both(y, fit.outcome)
    groups = _groups(used, fit.fixed, fit.cluster)
    t = float(stats.t.ppf((1 + fit.confidence) / 2, groups.max()))
    p = expit(_design(used, fit.terms) @ fit.b)
    measures = {
        **_three("auc", _auc(y, p, groups, t)),
        **_three("slope", _calibration(y, p, groups, t, slope=True)),
        **_three("intercept", _calibration(y, p, groups, t, slope=False)),
        **_three("ratio", _ratio(y, p, groups, t)),
    }
    against = _against(RULES[rule], measures, int(min(y.sum(), len(y) - y.sum())))
    return HeldOut(
        table=_tenths(y, p, groups, fit.confidence),
        usable=not against,
        purpose=RULES[rule].purpose,
        because=_and(against) if against else "it met the rule",
        source=RULES[rule].source,
        **measures,
        records=len(y),
        events=int(y.sum()),
        left_out=left_out,
        groups=int(groups.max()) + 1,
        confidence=fit.confidence,
    )


# --- What may enter -------------------------------------------------------------------------------


def _need_settings(records, drivers, outcome, fixed, cluster, per, reference, confidence) -> None:
    need_share(confidence, name="confidence")
    if isinstance(drivers, str) or not drivers:
        raise Problem("No list of drivers is given.", "name one column or more under `drivers`.")
    need_columns(records, [outcome, *drivers], source="The table of records")
    for name, column in (("fixed", fixed), ("cluster", cluster)):
        if column and column not in records:
            raise Refusal(
                f"There is no column {column!r}, which `{name}` names.",
                f'set analyse.{name} to "" for none, or name another: '
                + nearest(column, records.columns),
            )
    twice = [c for c in dict.fromkeys(drivers) if [outcome, fixed, *drivers].count(c) > 1]
    if twice:
        raise Problem(f"{twice[0]!r} has two parts in the model.", "name each column once.")
    for column in [*per, *reference]:
        if column not in [*drivers, fixed] and column not in records:
            raise Refusal(
                f"`per` or `reference` names {column!r}, which is no column.",
                f"name drivers there only; they are: {', '.join(drivers)}.",
            )
    if not all(isinstance(unit, int | float) and unit > 0 for unit in per.values()):
        raise Problem("A unit in `per` is not above zero.", "give for example 60 for `wait_s`.")


def _complete(records: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, int]:
    whole = records[columns].notna().all(axis="columns")
    for column in columns:
        if pd.api.types.is_float_dtype(records[column]):
            whole &= np.isfinite(records[column].to_numpy(dtype=float, na_value=np.nan))
    return records[whole], int((~whole).sum())


def _both_outcomes(records: pd.DataFrame, outcome: str, fixed: str) -> tuple[pd.DataFrame, int]:
    """Leave out fixed groups with one outcome only: they say nothing of the drivers."""
    if not fixed or records.empty:
        return records, 0
    varies = _true_or_false_series(records[outcome]).groupby(records[fixed]).transform("nunique")
    return records[varies > 1], int((varies < 2).sum())


def _true_or_false(outcome: pd.Series) -> np.ndarray:
    return _true_or_false_series(outcome).to_numpy(dtype=float)


def _true_or_false_series(outcome: pd.Series) -> pd.Series:
    try:
        return outcome.astype("boolean").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"{outcome.name!r} should hold true and false, and holds"
            f" {outcome.unique().tolist()[:5]}.",
            "give a column of true and false, or of 1 and 0.",
        ) from None


def _need_both(y: np.ndarray, outcome: str) -> None:
    if len(y) == 0 or y.min() == y.max():
        said = "no row is complete" if len(y) == 0 else f"all {len(y):,} rows have the same outcome"
        raise Refusal(
            f"{outcome!r}: {said} once rows with a blank are left out.",
            "look for a driver that is blank unless the outcome is true, or take a longer period.",
        )


def _need_fit_drivers(records: pd.DataFrame, y: np.ndarray, drivers: Sequence[str]) -> None:
    for column in drivers:
        values = records[column]
        if values.nunique() < 2:
            raise Refusal(f"{column!r} has one value only.", "leave it out of the drivers.")
        if not _is_number(values) and values.nunique() > MOST_LEVELS:
            raise Refusal(
                f"{column!r} has {values.nunique()} levels, more than {MOST_LEVELS}.",
                "join rare levels, use it as `fixed` or `cluster`, or leave it out.",
            )
        _need_no_leak(column, values, y)


def _need_no_leak(column: str, values: pd.Series, y: np.ndarray) -> None:
    """One column that tells the outcome all but perfectly was written after it, or for it."""
    score = values.astype(float).to_numpy() if _is_number(values) else _rate_of(values, y)
    auc = _area(y, score)[0]
    if max(auc, 1 - auc) > LEAKS_ABOVE:
        raise Refusal(
            f"{column!r} alone tells the outcome (area under the curve {max(auc, 1 - auc):.3f}):"
            " it seems to be known only afterwards, or to be the outcome in other words.",
            "leave it out of the drivers.",
        )


def _rate_of(values: pd.Series, y: np.ndarray) -> np.ndarray:
    return (
        pd.Series(y, index=values.index).groupby(values.astype("str")).transform("mean").to_numpy()
    )


def _need_events(y: np.ndarray, coefficients: int) -> None:
    fewer = int(min(y.sum(), len(y) - y.sum()))
    if fewer < EVENTS_PER_COEFFICIENT * coefficients:
        raise Refusal(
            f"The rarer outcome occurs {fewer} times for {coefficients} coefficients, fewer than"
            f" {EVENTS_PER_COEFFICIENT} each (Peduzzi et al. 1996).",
            "take a longer period, fewer drivers, levels joined, or no fixed effect.",
        )


def _need_independent(design: np.ndarray, terms: tuple[Term, ...]) -> None:
    """Pivoted QR of the Gram matrix: terms that others make up come last, with nothing left."""
    scaled = design / np.sqrt((design**2).mean(axis=0))
    _, r, order = linalg.qr(scaled.T @ scaled / len(design), pivoting=True)
    spare = np.abs(np.diag(r)) < 1e-10 * np.abs(r[0, 0])
    if spare.any():
        names = _and(sorted(terms[i].name for i in order[spare]))
        raise Problem(
            f"{names} can be worked out from the other drivers (or the fixed groups).",
            "leave one of them out.",
        )


def _is_number(values: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values)
    return numeric and not pd.api.types.is_bool_dtype(values)


# --- The model ------------------------------------------------------------------------------------


def _terms(records, drivers, fixed, per, reference) -> tuple[tuple[Term, ...], dict[str, str]]:
    terms, references = [Term(INTERCEPT, "", "", 1.0, False)], {}
    for column in [*drivers, *filter(None, [fixed])]:
        if column != fixed and _is_number(records[column]):
            terms.append(Term(column, column, "", float(per.get(column, 1.0)), False))
            continue
        levels = records[column].astype("str").value_counts()
        levels = levels.sort_index().sort_values(ascending=False, kind="stable")
        references[column] = _reference(column, list(levels.index), reference)
        others = sorted(set(levels.index) - {references[column]})
        terms += [Term(f"{column}={each}", column, each, 1.0, column == fixed) for each in others]
    return tuple(terms), references


def _reference(column: str, levels: list[str], reference: Mapping[str, str]) -> str:
    wanted = str(reference.get(column, levels[0]))
    if wanted not in levels:
        raise Refusal(
            f"{column!r} has no level {wanted!r} to be the reference.",
            f"name another under analyse.reference: {', '.join(sorted(levels)[:20])}.",
        )
    return wanted


def _design(records: pd.DataFrame, terms: tuple[Term, ...]) -> np.ndarray:
    text = {term.column: records[term.column].astype("str") for term in terms if term.level}
    columns = []
    for term in terms:
        if term.level:
            columns.append(text[term.column].eq(term.level).to_numpy(dtype=float))
        elif term.column:
            columns.append(records[term.column].to_numpy(dtype=float) / term.per)
        else:
            columns.append(np.ones(len(records)))
    return np.column_stack(columns)


def _groups(records: pd.DataFrame, fixed: str, cluster: str) -> np.ndarray:
    """Number the clusters from 0; a row without one goes to "no agent" of its fixed group."""
    if not cluster:
        return np.arange(len(records))
    where = ", " + records[fixed].astype("str") if fixed else ""
    nobody = pd.Series(f"no {cluster}", index=records.index) + where
    codes, names = pd.factorize(records[cluster].astype("str").fillna(nobody), sort=True)
    if len(names) < FEWEST_GROUPS:
        raise Refusal(
            f"There are {len(names)} groups of {cluster!r}; errors that allow for groups need"
            f" {FEWEST_GROUPS} at least (Cameron and Miller 2015 would have 20 to 50).",
            "cluster by something finer, or leave `cluster` empty if rows are independent.",
        )
    return codes


def _robust(y: np.ndarray, design: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    result = _maximum_likelihood(y, design)
    _need_no_separation(result, design)
    return result.params, cov_cluster(result, groups, use_correction=True)


def _maximum_likelihood(y: np.ndarray, design: np.ndarray, offset: np.ndarray | None = None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = sm.Logit(y, design, offset=offset)
            result = model.fit(disp=0, maxiter=60, method="newton", tol=1e-10)
        except (np.linalg.LinAlgError, PerfectSeparationError):
            raise _separated() from None
    if not result.mle_retvals["converged"] or not np.isfinite(result.params).all():
        raise _separated()
    return result


def _need_no_separation(result, design: np.ndarray) -> None:
    """Where outcomes are parted, a coefficient runs away and its error with it."""
    spread = design.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = np.sqrt(np.diag(result.cov_params()))
    runaway = ~np.isfinite(error) | (error * spread > 5) | (np.abs(result.params) * spread > 15)
    if (runaway & (spread > 0)).any():
        raise _separated()


def _separated() -> Refusal:
    return Refusal(
        "Some drivers part the outcomes perfectly (a level in which the outcome always or"
        " never occurs): their effect has no finite estimate.",
        "join that level with another, or leave the driver out.",
    )


# --- Effects --------------------------------------------------------------------------------------


def _is_driver(term: Term) -> bool:
    return bool(term.column) and not term.fixed


def _driver_row(fit: Fit, place: int) -> dict:
    term, b = fit.terms[place], fit.b[place]
    half = fit.quantile * np.sqrt(fit.covariance[place, place])
    effect, gradient = _effect(fit, place)
    reach = fit.quantile * float(np.sqrt(gradient @ fit.covariance @ gradient))
    return {
        "term": term.name,
        "driver": term.column,
        "level": term.level,
        "reference": fit.references.get(term.column, ""),
        "per": np.nan if term.level else term.per,
        "odds_ratio": float(np.exp(b)),
        "odds_low": float(np.exp(b - half)),
        "odds_high": float(np.exp(b + half)),
        "estimate": effect,
        "low": effect - reach,
        "high": effect + reach,
    }


def _effect(fit: Fit, place: int) -> tuple[float, np.ndarray]:
    """Average marginal effect of one term and its derivative by the coefficients."""
    if not fit.terms[place].level:
        p = expit(fit.design @ fit.b)
        slope = p * (1 - p)
        gradient = fit.b[place] * ((slope * (1 - 2 * p)) @ fit.design) / len(p)
        gradient[place] += slope.mean()
        return float(fit.b[place] * slope.mean()), gradient
    at_level, d_level = _mean_chance(fit, place, 1.0)
    at_reference, d_reference = _mean_chance(fit, place, 0.0)
    return at_level - at_reference, d_level - d_reference


def _mean_chance(fit: Fit, place: int, value: float) -> tuple[float, np.ndarray]:
    """Mean chance, and its derivative, if every record had this level (or the reference)."""
    column = fit.terms[place].column
    same = [i for i, term in enumerate(fit.terms) if term.column == column]
    eta = fit.design @ fit.b - fit.design[:, same] @ fit.b[same] + value * fit.b[place]
    p = expit(eta)
    slope = p * (1 - p)
    gradient = slope @ fit.design / len(p)
    gradient[same] = 0.0
    gradient[place] = value * slope.mean()
    return float(p.mean()), gradient


# --- On records it has not seen -------------------------------------------------------------------


def _known_to(fit: Fit, later: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    columns = [fit.outcome, *fit.drivers, *filter(None, [fit.fixed])]
    need_columns(later, [*columns, *filter(None, [fit.cluster])], source="later records")
    used, left_out = _complete(later, columns)
    met = pd.Series(True, index=used.index)
    for column, reference in fit.references.items():
        levels = {reference, *(term.level for term in fit.terms if term.column == column)}
        met &= used[column].astype("str").isin(levels)
    return used[met], left_out + int((~met).sum())


def _three(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, values), strict=True))


def _clustered_error(influence: np.ndarray, groups: np.ndarray) -> float:
    return float(np.sqrt(interval.variance_of_sum(influence, groups)))


def _area(y: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under the curve, and the share of the other kind each record is ordered right to."""
    events = y == 1
    m, n = events.sum(), (~events).sum()
    rank = stats.rankdata(score)
    right = np.empty(len(y))
    right[events] = (rank[events] - stats.rankdata(score[events])) / n
    right[~events] = 1 - (rank[~events] - stats.rankdata(score[~events])) / m
    return float(right[events].mean()), right


def _auc(y, p, groups, t) -> tuple[float, float, float]:
    auc, right = _area(y, p)
    influence = (right - auc) / np.where(y == 1, y.sum(), len(y) - y.sum())
    error = _clustered_error(influence, groups)
    if not 0 < auc < 1:
        return auc, auc, auc
    half = t * error / (auc * (1 - auc))
    return auc, *interval.logit_limits(auc, half)


def _ratio(y, p, groups, t) -> tuple[float, float, float]:
    ratio = y.sum() / p.sum()
    error = _clustered_error((y - ratio * p) / p.sum(), groups)
    half = t * error / ratio
    return ratio, ratio * np.exp(-half), ratio * np.exp(half)


def _calibration(y, p, groups, t, *, slope: bool) -> tuple[float, float, float]:
    predicted, one = logit(p), np.ones((len(p), 1))
    if slope:
        result = _maximum_likelihood(y, np.column_stack([one, predicted]))
    else:
        result = _maximum_likelihood(y, one, offset=predicted)
    covariance = cov_cluster(result, groups, use_correction=True)
    half = t * np.sqrt(covariance[-1, -1])
    return result.params[-1], result.params[-1] - half, result.params[-1] + half


def _against(rule: Rule, found: dict[str, float], fewer: int) -> list[str]:
    """What speaks against using the model; nothing if the rule is met."""
    against = []
    if fewer < HELD_OUT_EVENTS:
        against.append(
            f"{fewer} of the rarer outcome are too few to judge by "
            f"({HELD_OUT_EVENTS} are needed, Vergouwe et al. 2005)"
        )
    if not found["auc"] > rule.auc or (rule.auc == 0.5 and not found["auc_low"] > 0.5):
        told = "is not clearly better than a coin" if rule.auc == 0.5 else f"is below {rule.auc}"
        against.append(f"the area under the curve, {found['auc']:.2f}, {told}")
    for name, words, (least, most) in (
        ("ratio", "observed over expected", rule.observed_over_expected),
        ("slope", "the calibration slope", rule.slope),
    ):
        if not least <= found[name] <= most:
            against.append(f"{words}, {found[name]:.2f}, is outside {least} to {most}")
    return against


def _tenths(y, p, groups, confidence: float) -> pd.DataFrame:
    """Tenths by predicted chance; equal predictions stay together."""
    tenth = np.ceil(stats.rankdata(p, method="average") / len(p) * 10).astype(int)
    rows = []
    for each in np.unique(tenth):
        here = tenth == each
        clusters = pd.DataFrame({"group": groups[here]})
        lonely = clusters["group"].nunique() < 2
        found = interval.share(
            pd.Series(y[here] == 1), clusters=None if lonely else clusters, confidence=confidence
        )
        rows.append(
            {
                "tenth": int(each),
                "records": found.n,
                "events": int(y[here].sum()),
                "predicted": float(p[here].mean()),
                "estimate": found.estimate,
                "low": found.low,
                "high": found.high,
            }
        )
    return pd.DataFrame(rows)


# --- Words ----------------------------------------------------------------------------------------

UNITS = {"s": "s", "min": "min", "h": "h", "d": "days", "eur": "EUR", "usd": "USD"}


def _and(words: Sequence[str]) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _amount(column: str, per: float) -> tuple[str, str]:
    """``wait_s`` per 60 in words: '60 s' and 'wait'."""
    name, _, unit = column.rpartition("_")
    if name and unit in UNITS:
        return f"{per:g} {UNITS[unit]}", name.replace("_", " ")
    return f"{per:g}", column.replace("_", " ")


def _short_words(row) -> str:
    if row.level:
        return f"{row.driver}: {row.level} (not {row.reference})"
    amount, name = _amount(row.driver, row.per)
    return f"{name}: {amount} more"


def _effect_words(row, confidence: float) -> str:
    """More of the outcome or fewer, both told by a number above zero.

    The level is named with the first effect alone (``confidence`` 0: not named).
    """
    values = np.array([row.estimate, row.low, row.high]) * 100
    more = row.estimate >= 0
    values = values if more else -values[[0, 2, 1]]
    spelt = "{:,.2f} ({:,.2f} to {:,.2f})".format(*values)
    if confidence:
        spelt = f"goes with {interval.spell(*values, confidence=confidence)}"
    if row.level:
        what = f"{row.driver} {row.level} (not {row.reference})"
    else:
        amount, name = _amount(row.driver, row.per)
        what = f"{amount} more of {name}"
    return f"{what} {spelt} {'more' if more else 'fewer'}"


def _basis_words(fixed: str, cluster: str, groups: int) -> str:
    words = f"Every {fixed} has its own level; " if fixed else ""
    if not cluster:
        return f"{words}each row counts as independent"
    words = (
        f"{words}intervals allow for contacts of one {cluster} being alike"
        f" ({groups:,} groups; rows without one {f'by {fixed}' if fixed else 'as one'})"
    )
    if groups < FEW_GROUPS:
        words += ", which are few: intervals are likely too narrow"
    return words[0].upper() + words[1:]
