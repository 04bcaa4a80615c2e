"""How does an outcome go with several columns at once, and how surely?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import linalg, stats
from scipy.special import expit, logit
from statsmodels.tools.sm_exceptions import PerfectSeparationError

from sqm import interval
from sqm.checks import Problem, Refusal, nearest, need_columns, need_one_of, need_share
from sqm.finding import listed, together

INTERCEPT = "(intercept)"
KINDS = ("binary", "ordered", "count", "time")
MOST_LEVELS = 30
LEAKS_ABOVE = 0.98  # AUC of one driver alone; of other kinds, the rank correlation
FEWEST_GROUPS, FEW_GROUPS = 10, 30
# Peduzzi, P. et al. (1996). Journal of Clinical Epidemiology 49, 1373-1379.
# doi:10.1016/S0895-4356(96)00236-3
EVENTS_PER_COEFFICIENT = 10
STEPS = 60  # of Newton's method, before it is said that there is no finite answer


@dataclass(frozen=True)
class Term:
    """One coefficient: an intercept, a number (``level`` empty) or a level of a category."""

    name: str
    column: str
    level: str
    per: float
    fixed: bool


@dataclass(frozen=True, eq=False)
class Observed:
    """What was seen of the outcome, row by row.

    Attributes
    ----------
    kind : str
    y : array, shape (rows,)
        1 and 0; place of the level, from 0; count; or duration, shortest first.
    weight : array, shape (rows,)
        Exposure of a count, else ones.
    ended : array of bool, shape (rows,)
        Of a duration, whether it had come to its end, else all true.
    cuts : int
        Intercepts: one less than there are levels, else 1.
    """

    kind: str
    y: np.ndarray
    weight: np.ndarray
    ended: np.ndarray
    cuts: int = 1

    def at(self, rows: np.ndarray) -> Observed:
        """The same, of these rows only (their order kept)."""
        return Observed(self.kind, self.y[rows], self.weight[rows], self.ended[rows], self.cuts)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model, to be asked by those who speak of drivers.

    Attributes
    ----------
    terms : tuple of Term
        In the order of ``b`` and ``covariance``: the intercepts first (of an
        ordered outcome one for each level but the lowest), then the drivers.
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
        Rows used; those with the outcome (not at the lowest level, sum of
        counts, durations that ended); rows left out because of a blank; rows
        left out because every row of their fixed group had the same outcome;
        and clusters.
    kind : str
        ``binary``, ``ordered``, ``count`` or ``time``.
    exposure, running : str
        Columns: what a count is out of, and which durations had not ended.
    horizon : float
        Of a duration: the time by which the risk is told.
    lowest, steps : float, tuple of float
        Value of the lowest level, and how far each further one is from the last.
    seen : Observed
    members : array of int, shape (records,)
        Cluster of each row.
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
    kind: str = "binary"
    exposure: str = ""
    running: str = ""
    horizon: float = np.nan
    lowest: float = 0.0
    steps: tuple[float, ...] = (1.0,)
    seen: Observed | None = field(default=None, repr=False)
    members: np.ndarray | None = field(default=None, repr=False)


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
    """Fit an outcome of yes and no: `fit_outcome` with ``kind="binary"``.

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
    return fit_outcome(
        records,
        drivers=drivers,
        outcome=outcome,
        fixed=fixed,
        cluster=cluster,
        per=per,
        reference=reference,
        confidence=confidence,
    )


def fit_outcome(
    records: pd.DataFrame,
    *,
    drivers: Sequence[str],
    outcome: str = "complained",
    kind: str = "binary",
    fixed: str = "site",
    cluster: str = "agent",
    per: Mapping[str, float] | None = None,
    reference: Mapping[str, str] | None = None,
    exposure: str = "",
    running: str = "",
    horizon: float | None = None,
    confidence: float = 0.95,
) -> Fit:
    """Fit the usual model of an outcome; its errors allow for rows that belong together.

    Parameters
    ----------
    records : DataFrame, one row per contact, respondent, case or cell
    drivers : sequence of str
        Columns: numbers enter as they are, anything else by its levels.
    outcome : str
        Column of true and false (or 1 and 0); of an ordered answer, in numbers
        or an ordered category; of counts; or of durations.
    kind : str
        ``binary``: logistic regression.  ``ordered``: proportional odds [3]_.
        ``count``: Poisson regression, whose sandwich errors hold whatever the
        spread of the counts [4]_.  ``time``: Cox's proportional hazards, ties
        after Efron [5]_.
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
    exposure : str
        Of counts: column of what each is out of (customers, days); empty: one each.
    running : str
        Of durations: column that is true where the end had not come yet.
    horizon : float, optional
        Of durations: the time by which a risk is told; else the median of
        those that ended.
    confidence : float, default 0.95

    Returns
    -------
    Fit

    Raises
    ------
    Problem
        If a column is missing or a setting names what is not there, the outcome
        is not of its kind, or one driver is a combination of others.
    Refusal
        If only one outcome occurs; there are fewer than 10 events (or
        non-events) per coefficient [1]_; a driver never varies, has more than
        30 levels, or separates the outcomes; one driver alone reaches an
        area under the curve above 0.98 (of other kinds, a rank correlation),
        which is a leak, not a cause; or there are fewer than 10 clusters.

    Notes
    -----
    Maximum likelihood; sandwich covariance summed by cluster, times
    G / (G - 1) · (n - 1) / (n - k); intervals by Student's t with G - 1
    degrees of freedom [2]_.  The coefficients are log odds of the outcome, log
    odds of lying above a level, log rates, or log hazards; the intercept of a
    duration is the log of the cumulative hazard by the horizon, so that the
    risk is 1 - exp(-exp(linear predictor)), and its error is counted.  Events
    of an ordered outcome are counted as n - sum n_k^3 / n^2 [6]_.

    References
    ----------
    .. [1] Peduzzi, P. et al. (1996). Journal of Clinical Epidemiology 49,
       1373-1379. doi:10.1016/S0895-4356(96)00236-3
    .. [2] Cameron, A. C., Miller, D. L. (2015). Journal of Human Resources
       50, 317-372. doi:10.3368/jhr.50.2.317
    .. [3] McCullagh, P. (1980). Journal of the Royal Statistical Society B 42,
       109-142. doi:10.1111/j.2517-6161.1980.tb01109.x
    .. [4] Gourieroux, C., Monfort, A., Trognon, A. (1984). Econometrica 52,
       701-720. doi:10.2307/1913472
    .. [5] Efron, B. (1977). Journal of the American Statistical Association
       72, 557-565. doi:10.1080/01621459.1977.10480613
    .. [6] Harrell, F. E. (2015). Regression Modeling Strategies, 2nd edition,
       section 4.4. Springer. doi:10.1007/978-3-319-19425-7

    Examples
    --------
    Counts of 1, 2, 3 without and 2, 4, 6 with a campaign: 2 and 4 in the mean.

    >>> cells = pd.DataFrame({"campaign": ["no"] * 30 + ["yes"] * 30,
    ...                       "complaints": [1, 2, 3] * 10 + [2, 4, 6] * 10})
    >>> fit = fit_outcome(cells, drivers=["campaign"], outcome="complaints", kind="count",
    ...                   fixed="", cluster="", reference={"campaign": "no"})
    >>> np.exp(fit.b).round(6).tolist()
    [2.0, 2.0]
    """
    per, reference = dict(per or {}), dict(reference or {})
    more = [*filter(None, [exposure, running])]
    _need_settings(records, drivers, outcome, fixed, cluster, per, reference, confidence)
    _need_kind(records, kind, exposure, running, horizon)
    used, left_out = _complete(records, [outcome, *drivers, *filter(None, [fixed]), *more])
    used, same_group = _that_vary(used, outcome, kind, fixed, running)
    if kind == "time":
        used = used.sort_values(outcome, kind="stable")
    seen, lowest, steps, levels = _observed(used, outcome, kind, exposure, running)
    _need_fit_drivers(used, seen, drivers)
    terms, references = _terms(used, drivers, fixed, per, reference, levels)
    _need_events(seen, len(terms) - seen.cuts)
    _need_mixed_levels(used, seen, drivers)
    design = design_of(used, terms)
    _need_independent(design[:, seen.cuts - 1 :], terms[seen.cuts - 1 :])
    members = groups_of(used, fixed, cluster)
    horizon = _horizon(seen, horizon)
    b, covariance = _robust(seen, design, members, horizon)
    clusters = int(members.max()) + 1
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
        records=len(used),
        events=_events(seen),
        left_out=left_out,
        same_group=same_group,
        groups=clusters,
        kind=kind,
        exposure=exposure,
        running=running,
        horizon=horizon,
        lowest=lowest,
        steps=steps,
        seen=seen,
        members=members,
    )


# --- What must hold before anything is fitted -----------------------------------------------------


def need_grouping(records: pd.DataFrame, *, fixed: str = "", cluster: str = "") -> None:
    """Insist that the columns by which rows are grouped are there, or say how to do without."""
    for name, column in (("fixed", fixed), ("cluster", cluster)):
        if column and column not in records:
            raise Refusal(
                f"There is no column {column!r}, which `{name}` names.",
                f'set analyse.{name} to "" for none, or name another: '
                + nearest(column, records.columns),
            )


def _need_settings(records, drivers, outcome, fixed, cluster, per, reference, confidence) -> None:
    need_share(confidence, name="confidence")
    if isinstance(drivers, str) or not drivers:
        raise Problem("No list of drivers is given.", "name one column or more under `drivers`.")
    need_columns(records, [outcome, *drivers], source="The table of records")
    need_grouping(records, fixed=fixed, cluster=cluster)
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


def _need_kind(records, kind, exposure, running, horizon) -> None:
    need_one_of(kind, KINDS, name="kind")
    for name, column, of in (("exposure", exposure, "count"), ("running", running, "time")):
        if not column:
            continue
        if kind != of:
            raise Problem(
                f"`{name}` belongs to the kind {of!r}, not {kind!r}.", f"leave {name} empty."
            )
        need_columns(records, [column], source="The table of records")
    if exposure and not is_number(records[exposure]):
        raise Problem(f"{exposure!r} does not hold numbers.", "give what each count is out of.")
    if horizon is not None and not (kind == "time" and 0 < horizon < np.inf):
        raise Problem(f"horizon is {horizon}.", "give a time above zero, of durations only.")


def _complete(records: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, int]:
    whole = records[columns].notna().all(axis="columns")
    for column in columns:
        if pd.api.types.is_float_dtype(records[column]):
            whole &= np.isfinite(records[column].to_numpy(dtype=float, na_value=np.nan))
    return records[whole], int((~whole).sum())


def _that_vary(records, outcome, kind, fixed, running) -> tuple[pd.DataFrame, int]:
    """Leave out fixed groups with one outcome only: they say nothing of the drivers."""
    if not fixed or records.empty:
        return records, 0
    by = records[fixed]
    if kind in ("count", "time"):
        happened = pd.Series(1.0, index=records.index)
        if kind == "count":
            happened = _numbers(records[outcome])
        elif running:
            happened = 1 - _true_or_false_series(records[running])
        varies = happened.groupby(by).transform("sum") > 0
    else:
        values = records[outcome]
        values = _true_or_false_series(values) if kind == "binary" else values.astype("str")
        varies = values.groupby(by).transform("nunique") > 1
    return records[varies], int((~varies).sum())


def true_or_false(outcome: pd.Series) -> np.ndarray:
    """Read an outcome as 1.0 and 0.0, whether it is written as true and false or as numbers."""
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


def _numbers(values: pd.Series) -> pd.Series:
    if not is_number(values):
        raise Problem(f"{values.name!r} does not hold numbers.", "name another outcome, or kind.")
    return values.astype(float)


def need_both(y: np.ndarray, outcome: str) -> None:
    """Insist that the outcome occurs, and does not always occur."""
    if len(y) == 0 or y.min() == y.max():
        said = "no row is complete" if len(y) == 0 else f"all {len(y):,} rows have the same outcome"
        raise Refusal(
            f"{outcome!r}: {said} once rows with a blank are left out.",
            "look for a driver that is blank unless the outcome is true, or take a longer period.",
        )


def outcome_of(fit: Fit, records: pd.DataFrame) -> Observed:
    """Read the outcome of further records the way the fit read its own."""
    given = (fit.kind, fit.exposure, fit.running)
    if fit.kind != "ordered":
        return _observed(records, fit.outcome, *given)[0]
    value = _level_values(records[fit.outcome])[0]
    points = fit.lowest + np.concatenate([[0.0], np.cumsum(fit.steps)])
    ones = np.ones(len(value))
    return Observed("ordered", np.searchsorted(points, value), ones, ones == 1, len(fit.steps))


def _observed(records, outcome, kind, exposure, running):
    """The outcome, the value of its lowest level, the steps between levels, and their names."""
    ones = np.ones(len(records))
    ended, lowest, steps, levels = ones == 1, 0.0, (1.0,), ()
    if kind == "binary":
        y = true_or_false(records[outcome])
    elif kind == "ordered":
        value, names = _level_values(records[outcome])
        points, y = np.unique(value, return_inverse=True)
        _need_levels(points, outcome)
        levels = tuple(names.get(point, f"{point:g}") for point in points)
        if len(points):
            lowest, steps = float(points[0]), tuple(np.diff(points).tolist()) or (1.0,)
    else:
        y = _numbers(records[outcome]).to_numpy()
        _need_sound(y, outcome, kind)
        if running:
            ended = true_or_false(records[running]) == 0
    weight = _numbers(records[exposure]).to_numpy() if exposure else ones
    if (weight <= 0).any():
        raise Problem(f"{exposure!r} is not above zero.", "leave out rows that were not exposed.")
    need_both(ended if kind == "time" and not ended.any() else y, outcome)
    return Observed(kind, y, weight, ended, len(steps)), lowest, steps, levels


def _level_values(values: pd.Series) -> tuple[np.ndarray, dict[float, str]]:
    """Ordered answers as numbers; ordered categories by their place, from 1, with their names."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        names = {float(i): str(name) for i, name in enumerate(values.cat.categories, start=1)}
        return values.cat.codes.to_numpy(dtype=float) + 1, names
    if not is_number(values):
        raise Problem(
            f"{values.name!r} holds words whose order is not known.",
            "give numbers, or an ordered category.",
        )
    return values.to_numpy(dtype=float), {}


def _need_levels(points: np.ndarray, outcome: str) -> None:
    if len(points) > MOST_LEVELS:
        raise Refusal(
            f"{outcome!r} has {len(points):,} levels, more than {MOST_LEVELS}.",
            "join levels, or name another kind than ordered.",
        )


def _need_sound(y: np.ndarray, outcome: str, kind: str) -> None:
    wrong = (y < 0) | ((y != np.round(y)) & (kind == "count"))
    if wrong.any():
        whole = "a whole number of 0 or more" if kind == "count" else "0 or more"
        raise Problem(
            f"{outcome!r} is not {whole} in {int(wrong.sum()):,} rows"
            f" (for example {y[wrong][0]:g}).",
            "correct the source, or name another kind.",
        )


def _need_fit_drivers(records: pd.DataFrame, seen: Observed, drivers: Sequence[str]) -> None:
    for column in drivers:
        values = records[column]
        if values.nunique() < 2:
            raise Refusal(f"{column!r} has one value only.", "leave it out of the drivers.")
        if not is_number(values) and values.nunique() > MOST_LEVELS:
            raise Refusal(
                f"{column!r} has {values.nunique()} levels, more than {MOST_LEVELS}.",
                "join rare levels, use it as `fixed` or `cluster`, or leave it out.",
            )
        _need_no_leak(column, values, seen)


def _need_no_leak(column: str, values: pd.Series, seen: Observed) -> None:
    """One column that tells the outcome all but perfectly was written after it, or for it."""
    rate = seen.y / seen.weight
    score = values.astype(float).to_numpy() if is_number(values) else _rate_of(values, rate)
    if seen.kind == "binary":
        auc = area(seen.y, score)[0]
        how, measure = max(auc, 1 - auc), "area under the curve"
    else:
        how, measure = abs(float(stats.spearmanr(rate, score).statistic)), "rank correlation"
    if how > LEAKS_ABOVE:
        raise Refusal(
            f"{column!r} alone tells the outcome ({measure} {how:.3f}):"
            " it seems to be known only afterwards, or to be the outcome in other words.",
            "leave it out of the drivers.",
        )


def _rate_of(values: pd.Series, y: np.ndarray) -> np.ndarray:
    return (
        pd.Series(y, index=values.index).groupby(values.astype("str")).transform("mean").to_numpy()
    )


def _events(seen: Observed) -> int:
    if seen.kind == "ordered":
        return int((seen.y > 0).sum())
    return int(seen.ended.sum() if seen.kind == "time" else seen.y.sum())


def _need_events(seen: Observed, coefficients: int) -> None:
    y, n = seen.y, len(seen.y)
    if seen.kind == "ordered":
        rarer = int(n - (np.bincount(y) / n) ** 2 @ np.bincount(y))
        said = f"The answers that differ count as {rarer}"
    elif seen.kind == "time":
        rarer = int(seen.ended.sum())
        said = f"The end came {rarer} times"
    elif seen.kind == "count":
        rarer = int((y > 0).sum())
        said = f"{rarer} rows have a count above zero"
    else:
        rarer = int(min(y.sum(), n - y.sum()))
        said = f"The rarer outcome occurs {rarer} times"
    if rarer < EVENTS_PER_COEFFICIENT * coefficients:
        raise Refusal(
            f"{said} for {coefficients} coefficients, fewer than"
            f" {EVENTS_PER_COEFFICIENT} each (Peduzzi et al. 1996).",
            "take a longer period, fewer drivers, levels joined, or no fixed effect.",
        )


def _need_mixed_levels(records: pd.DataFrame, seen: Observed, drivers: Sequence[str]) -> None:
    """Name the levels in which the outcome always or never occurs: they have no finite effect."""
    happened = seen.ended if seen.kind == "time" else seen.y / max(seen.cuts, 1)
    always = np.inf if seen.kind in ("time", "count") else 1.0
    for column in (each for each in drivers if not is_number(records[each])):
        text = records[column].astype("str")
        mean = pd.Series(happened, index=text.index, dtype=float).groupby(text).mean()
        pure = sorted(mean.index[(mean <= 0) | (mean >= always)])
        if pure:
            what = _separated().what
            raise Refusal(f"{column!r}: {listed(pure, most=5)}. {what}", _separated().mend)


def _need_independent(design: np.ndarray, terms: tuple[Term, ...]) -> None:
    """Pivoted QR of the Gram matrix: terms that others make up come last, with nothing left."""
    scaled = design / np.sqrt((design**2).mean(axis=0))
    _, r, order = linalg.qr(scaled.T @ scaled / len(design), pivoting=True)
    spare = np.abs(np.diag(r)) < 1e-10 * np.abs(r[0, 0])
    if spare.any():
        names = together(sorted(terms[i].name for i in order[spare]))
        raise Problem(
            f"{names} can be worked out from the other drivers (or the fixed groups).",
            "leave one of them out.",
        )


# --- Terms and groups -----------------------------------------------------------------------------


def is_number(values: pd.Series) -> bool:
    """Whether a column enters as it is, and not by its levels."""
    numeric = pd.api.types.is_numeric_dtype(values)
    return numeric and not pd.api.types.is_bool_dtype(values)


def _terms(
    records, drivers, fixed, per, reference, levels
) -> tuple[tuple[Term, ...], dict[str, str]]:
    above = [f"(above {level})" for level in levels[:-1]]
    terms, references = [Term(name, "", "", 1.0, False) for name in above or [INTERCEPT]], {}
    for column in [*drivers, *filter(None, [fixed])]:
        if column != fixed and is_number(records[column]):
            terms.append(Term(column, column, "", float(per.get(column, 1.0)), False))
            continue
        counts = records[column].astype("str").value_counts()
        counts = counts.sort_index().sort_values(ascending=False, kind="stable")
        references[column] = _reference(column, list(counts.index), reference)
        others = sorted(set(counts.index) - {references[column]})
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


def design_of(records: pd.DataFrame, terms: tuple[Term, ...]) -> np.ndarray:
    """Lay out records for the model: indicators, and numbers in their unit."""
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


def groups_of(records: pd.DataFrame, fixed: str, cluster: str) -> np.ndarray:
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


# --- The likelihoods ------------------------------------------------------------------------------
#
# Each hands back, at the coefficients b: what every row adds to the log likelihood, what it adds
# to the score, shape (rows, coefficients), and the information (minus the second derivative).


def likelihood(seen: Observed, b: np.ndarray, design: np.ndarray):
    """Log likelihood and score by row, and information, of an outcome of any kind.

    The intercepts come first, except of a duration, which has none.

    Examples
    --------
    Two of four: log(1 / 2) each; the score is y - 1 / 2, the information 4 / 4.

    >>> y, ones = np.array([1.0, 1, 0, 0]), np.ones(4)
    >>> seen = Observed("binary", y, ones, ones == 1)
    >>> rows, score, information = likelihood(seen, np.zeros(1), ones[:, None])
    >>> rows.round(4).tolist(), score[:, 0].tolist(), information.tolist()
    ([-0.6931, -0.6931, -0.6931, -0.6931], [0.5, 0.5, -0.5, -0.5], [[1.0]])
    """
    with np.errstate(all="ignore"):
        if seen.kind == "ordered":
            return _ordered(seen, b, *_sides(seen, design))
        if seen.kind == "time":
            return _cox(seen, b, design)
        rows, slope, curve = _by_row(seen, design @ b)
        return rows, design * slope[:, None], (design * curve[:, None]).T @ design


def _by_row(seen: Observed, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood of a yes and no or a count, its slope, and minus its slope's slope."""
    if seen.kind == "binary":
        p = expit(eta)
        rows = np.log1p(-np.where(seen.y == 1, 1 - p, p))
        return rows, seen.y - p, p * (1 - p)
    mean = seen.weight * np.exp(eta)
    return seen.y * (eta + np.log(seen.weight)) - mean, seen.y - mean, mean


def _summed(seen: Observed, b: np.ndarray, design: np.ndarray):
    """The same sums as of `likelihood`, without laying out what each row adds to the score."""
    if seen.kind in ("binary", "count"):
        rows, slope, curve = _by_row(seen, design @ b)
        return float(rows.sum()), slope @ design, (design * curve[:, None]).T @ design
    rows, score, information = likelihood(seen, b, design)
    return float(rows.sum()), score.sum(axis=0), information


def _sides(seen: Observed, design: np.ndarray, relaxed: np.ndarray | None = None):
    """The linear predictors' columns above and below each row's level.

    ``relaxed`` columns have an effect of their own at every level.
    """
    sides = []
    for at in (seen.y - 1, seen.y):
        which = (at[:, None] == np.arange(seen.cuts)).astype(float)
        parts = [which, design[:, seen.cuts :]]
        if relaxed is not None:
            parts += [relaxed * which[:, [cut]] for cut in range(1, seen.cuts)]
        side = np.hstack(parts)
        side[(at < 0) | (at >= seen.cuts)] = 0.0
        sides.append(side)
    return sides


def _ordered(seen: Observed, b: np.ndarray, above: np.ndarray, below: np.ndarray):
    """Of a level: chance of lying above the one before, less the chance of lying above it."""
    upper = np.where(seen.y > 0, expit(above @ b), 1.0)
    lower = np.where(seen.y < seen.cuts, expit(below @ b), 0.0)
    p = upper - lower
    d_upper, d_lower = upper * (1 - upper) / p, -lower * (1 - lower) / p
    curve_upper = d_upper**2 - d_upper * (1 - 2 * upper)
    curve_lower = d_lower**2 - d_lower * (1 - 2 * lower)
    cross = above.T @ (below * (d_upper * d_lower)[:, None])
    information = above.T @ (above * curve_upper[:, None]) + cross + cross.T
    information += below.T @ (below * curve_lower[:, None])
    return np.log(p), above * d_upper[:, None] + below * d_lower[:, None], information


@dataclass(frozen=True, eq=False)
class _AtRisk:
    """Cox's sums at each end that came; those at one time count as one after another (Efron)."""

    when: np.ndarray  # rows: place of their time
    ends: np.ndarray  # ends: place of their time
    passed: np.ndarray  # ends: what share of those of the same time went before
    risk: np.ndarray  # rows: exp of the linear predictor
    still: np.ndarray  # ends: sum of the risks still there
    mean: np.ndarray  # ends: mean design of those, by risk
    ended: np.ndarray  # rows


def _at_risk(seen: Observed, b: np.ndarray, design: np.ndarray) -> _AtRisk:
    first = np.flatnonzero(np.r_[True, np.diff(seen.y) > 0])
    at = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(seen.y)]))
    risk = np.exp(design @ b)
    both = np.column_stack([risk, risk[:, None] * design])
    there = np.add.reduceat(both, first, axis=0)[::-1].cumsum(axis=0)[::-1]
    going = np.add.reduceat(both * seen.ended[:, None], first, axis=0)
    ends = at[seen.ended]
    tied = np.bincount(ends, minlength=len(first))
    before = np.arange(len(ends)) - (np.cumsum(tied) - tied)[ends]
    passed = before / tied[ends]
    sums = there[ends] - passed[:, None] * going[ends]
    return _AtRisk(at, ends, passed, risk, sums[:, 0], sums[:, 1:] / sums[:, :1], seen.ended)


def _up_to(s: _AtRisk, each: np.ndarray) -> np.ndarray:
    """Sum of something over the ends up to each row's time, a tie's own share allowed for."""
    size = int(s.when[-1]) + 1
    total = sums_by(each, s.ends, size).cumsum(axis=0)
    own = sums_by((each.T * s.passed).T, s.ends, size)
    return total[s.when] - (own[s.when].T * s.ended).T


def _in_tie(s: _AtRisk, each: np.ndarray) -> np.ndarray:
    """Mean of something over the ends of a row's own time, for rows that ended."""
    size = int(s.when[-1]) + 1
    tied = np.maximum(np.bincount(s.ends, minlength=size), 1)
    return (sums_by(each, s.ends, size)[s.when].T * (s.ended / tied[s.when])).T


def _cox(seen: Observed, b: np.ndarray, design: np.ndarray):
    """Partial likelihood; a row's part is its derivative by the row's weight."""
    s = _at_risk(seen, b, design)
    hazard = s.risk * _up_to(s, 1 / s.still)
    rows = seen.ended * (design @ b + 1) - _in_tie(s, np.log(s.still)) - hazard
    score = seen.ended[:, None] * design - _in_tie(s, s.mean)
    score -= hazard[:, None] * design - s.risk[:, None] * _up_to(s, s.mean / s.still[:, None])
    information = (design * hazard[:, None]).T @ design - s.mean.T @ s.mean
    return rows, score, information


def start_of(seen: Observed) -> np.ndarray:
    """The intercepts of a model without anything else."""
    if seen.kind == "time":
        return np.zeros(0)
    if seen.kind == "count":
        return np.log([seen.y.sum() / seen.weight.sum()])
    y = seen.y.astype(int)
    above = 1 - np.cumsum(np.bincount(y, minlength=seen.cuts + 1))[:-1] / len(y)
    return logit(above)


def newton(
    seen: Observed, design: np.ndarray, b: np.ndarray, sides=None, *, tolerance: float = 1e-12
) -> np.ndarray:
    """Climb to the maximum of the likelihood from ``b``; without a finite one, refuse.

    The gain of the last step, in log likelihood, is about half of ``tolerance`` times its size.

    Examples
    --------
    Three of four: log odds of log 3.

    >>> y, ones = np.array([1.0, 1, 1, 0]), np.ones(4)
    >>> seen = Observed("binary", y, ones, ones == 1)
    >>> newton(seen, ones[:, None], np.zeros(1)).round(6).tolist()
    [1.098612]
    """

    def at(b):
        if sides is None:
            return _summed(seen, b, design)
        rows, score, information = _ordered(seen, b, *sides)
        return float(rows.sum()), score.sum(axis=0), information

    with np.errstate(all="ignore"):
        height, slope, information = at(b)
        for _ in range(STEPS):
            try:
                step = linalg.solve(information, slope, assume_a="sym")
            except (np.linalg.LinAlgError, ValueError):
                raise _separated() from None
            gain = float(slope @ step)
            if gain < tolerance * (abs(height) + 1):
                return b + step
            higher = at(b + step)
            while not higher[0] > height - 1e-9 * abs(height) and np.abs(step).max() > 1e-10:
                step = step / 2
                higher = at(b + step)
            b, (height, slope, information) = b + step, higher
    raise _separated()


def _robust(seen, design, members, horizon) -> tuple[np.ndarray, np.ndarray]:
    if seen.kind == "binary":
        b = maximum_likelihood(seen.y, design).params
    elif seen.kind == "time":
        b = newton(seen, design[:, 1:], np.zeros(design.shape[1] - 1))
    else:
        start = np.r_[start_of(seen), np.zeros(design.shape[1] - seen.cuts)]
        b = newton(seen, design, start)
    own = design[:, 1:] if seen.kind == "time" else design
    _, score, information = likelihood(seen, b, own)
    _need_no_separation(b, information, own)
    influence = score @ linalg.inv(information)
    if seen.kind == "time":
        level, moved = _baseline(seen, b, own, influence, horizon)
        b, influence = np.r_[level, b], np.column_stack([moved, influence])
    return b, clustered(influence, members)


def sums_by(values: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    """Sums of rows that share a code from 0, shape (size, ...).

    Examples
    --------
    >>> sums_by(np.array([[1.0, 4], [2, 5], [3, 6]]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 4.0], [5.0, 11.0]]
    """
    if values.ndim == 1:
        return np.bincount(codes, weights=values, minlength=size)
    columns = [np.bincount(codes, weights=column, minlength=size) for column in values.T]
    return np.column_stack(columns) if columns else np.zeros((size, 0))


def clustered(influence: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Covariance of estimates from what each row contributes, summed by cluster.

    Times G / (G - 1) and (n - 1) / (n - k), as Stata and statsmodels do.

    Examples
    --------
    A mean of 1, 2, 3, 4 with the rows of two clusters: sums of -1 / 2 and 1 / 2.

    >>> influence = (np.array([[1.0], [2], [3], [4]]) - 2.5) / 4
    >>> clustered(influence, np.array([0, 0, 1, 1])).tolist()
    [[1.0]]
    """
    n, k = influence.shape
    groups = int(members.max()) + 1
    sums = sums_by(influence, members, groups)
    return groups / (groups - 1) * (n - 1) / (n - k) * sums.T @ sums


def _baseline(seen, b, design, influence, horizon) -> tuple[float, np.ndarray]:
    """Log of the cumulative hazard by the horizon at the references, and each row's part in it."""
    s = _at_risk(seen, b, design)
    early = seen.y[seen.ended] <= horizon
    each = early / s.still
    hazard = each.sum()
    rows = _in_tie(s, each) - s.risk * _up_to(s, each / s.still)
    rows -= influence @ (s.mean * each[:, None]).sum(axis=0)
    return float(np.log(hazard)), rows / hazard


def _horizon(seen: Observed, horizon: float | None) -> float:
    if seen.kind != "time":
        return np.nan
    ends = seen.y[seen.ended]
    horizon = float(np.median(ends)) if horizon is None else float(horizon)
    if not (ends <= horizon).any() or horizon > seen.y.max():
        raise Refusal(
            f"By {horizon:g} no end was seen, or nothing was watched for so long"
            f" (durations reach {seen.y.max():g}).",
            "take a horizon inside the durations.",
        )
    return horizon


def maximum_likelihood(y: np.ndarray, design: np.ndarray, offset: np.ndarray | None = None):
    """Fit a logistic regression; where it has no finite answer, refuse."""
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


def _need_no_separation(b: np.ndarray, information: np.ndarray, design: np.ndarray) -> None:
    """Where outcomes are parted, a coefficient runs away and its error with it."""
    spread = design.std(axis=0)
    with np.errstate(all="ignore"):
        try:
            error = np.sqrt(np.diag(linalg.inv(information)))
        except (np.linalg.LinAlgError, ValueError):
            raise _separated() from None
        runaway = ~np.isfinite(error) | (error * spread > 5) | (np.abs(b) * spread > 15)
    if (runaway & (spread > 0)).any():
        raise _separated()


def _separated() -> Refusal:
    return Refusal(
        "Some drivers part the outcomes perfectly (a level in which the outcome always or"
        " never occurs): their effect has no finite estimate.",
        "join that level with another, or leave the driver out.",
    )


# --- What is asked of a fit -----------------------------------------------------------------------


def known_to(fit: Fit, later: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The records that a model can speak of, and how many it cannot: a blank, a new level."""
    columns = [fit.outcome, *fit.drivers]
    columns += filter(None, [fit.fixed, fit.exposure, fit.running])
    need_columns(later, [*columns, *filter(None, [fit.cluster])], source="later records")
    used, left_out = _complete(later, columns)
    met = pd.Series(True, index=used.index)
    for column, reference in fit.references.items():
        levels = {reference, *(term.level for term in fit.terms if term.column == column)}
        met &= used[column].astype("str").isin(levels)
    return used[met], left_out + int((~met).sum())


def fitted_records(fit: Fit, records: pd.DataFrame) -> pd.DataFrame:
    """The rows that a model was fitted to, in the order of its design, or a Problem."""
    used, _ = known_to(fit, records)
    if len(used) != fit.records:
        raise Problem(
            f"The fit rests on {fit.records:,} records, and {len(used):,} of those given are "
            "complete.",
            "give the records that it was fitted to.",
        )
    return used.sort_values(fit.outcome, kind="stable") if fit.kind == "time" else used


def predicted(fit: Fit, records: pd.DataFrame) -> np.ndarray:
    """What the model expects of each record that it knows (see `known_to`).

    Returns
    -------
    ndarray, shape (records,)
        A chance; of an ordered outcome the mean of its values; a count (its
        exposure allowed for); or the risk of having ended by the horizon.

    Examples
    --------
    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> fit = fit_logistic(records, drivers=["ending"], fixed="", cluster="")
    >>> predicted(fit, records.iloc[[0, -1]]).round(6).tolist()
    [0.1, 0.3]
    """
    expected = _expected(fit, design_of(records, fit.terms))
    return expected * records[fit.exposure].to_numpy(dtype=float) if fit.exposure else expected


def _expected(fit: Fit, design: np.ndarray) -> np.ndarray:
    cuts = len(fit.steps)
    eta = design[:, cuts:] @ fit.b[cuts:]
    chances = [step * _link(fit.kind, eta + cut)[0] for cut, step in _cuts(fit, fit.steps)]
    return fit.lowest + np.sum(chances, axis=0)


def _cuts(fit: Fit, steps: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(fit.b[: len(steps)], steps, strict=True))


def _link(kind: str, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is expected at a linear predictor, its slope, and the slope's slope."""
    if kind == "count":
        mean = np.exp(eta)
        return mean, mean, mean
    if kind == "time":
        hazard = np.exp(eta)
        slope = hazard * np.exp(-hazard)
        return -np.expm1(-hazard), slope, slope * (1 - hazard)
    p = expit(eta)
    slope = p * (1 - p)
    return p, slope, slope * (1 - 2 * p)


def effect(
    fit: Fit, place: int, *, steps: Sequence[float] | None = None
) -> tuple[float, np.ndarray]:
    """Average marginal effect of one term and its derivative by the coefficients.

    Parameters
    ----------
    fit : Fit
    place : int
        Of the term in ``fit.terms``.
    steps : sequence of float, optional
        What each passing of a level is worth, of an ordered outcome: its values
        unless given; 0, ..., 0, 1 asks for the share in the top level.

    Notes
    -----
    The mean over all records (of a count: weighed by exposure) of what is
    expected if everyone were at the level less what is expected if everyone
    were at the reference; of a number, of the slope of what is expected.
    """
    steps = fit.steps if steps is None else tuple(steps)
    if fit.terms[place].level:
        at_level, d_level = _mean_if(fit, place, 1.0, steps)
        at_reference, d_reference = _mean_if(fit, place, 0.0, steps)
        return at_level - at_reference, d_level - d_reference
    cuts, b = len(steps), fit.b[place]
    eta, weight = fit.design[:, cuts:] @ fit.b[cuts:], _weights(fit)
    value, gradient = 0.0, np.zeros(len(fit.b))
    for i, (cut, step) in enumerate(_cuts(fit, steps)):
        _, slope, curve = _link(fit.kind, eta + cut)
        value += step * float(weight @ slope)
        gradient[i] += step * b * float(weight @ curve)
        gradient[cuts:] += step * b * ((weight * curve) @ fit.design[:, cuts:])
    gradient[place] += value
    return b * value, gradient


def _weights(fit: Fit) -> np.ndarray:
    if fit.seen is None:
        return np.full(len(fit.design), 1 / len(fit.design))
    return fit.seen.weight / fit.seen.weight.sum()


def _mean_if(fit: Fit, place: int, value: float, steps) -> tuple[float, np.ndarray]:
    """Mean of what is expected, and its slope, if every record had this level (or none)."""
    cuts, column = len(steps), fit.terms[place].column
    same = [i for i, term in enumerate(fit.terms) if term.column == column]
    eta = fit.design[:, cuts:] @ fit.b[cuts:] - fit.design[:, same] @ fit.b[same]
    eta, weight = eta + value * fit.b[place], _weights(fit)
    mean, gradient = 0.0, np.zeros(len(fit.b))
    for i, (cut, step) in enumerate(_cuts(fit, steps)):
        expected, slope, _ = _link(fit.kind, eta + cut)
        mean += step * float(weight @ expected)
        by = step * weight * slope
        gradient[i] += by.sum()
        gradient[cuts:] += by @ fit.design[:, cuts:]

    own = gradient[place] if value else 0.0
    gradient[same] = 0.0
    gradient[place] = own and value * gradient[:cuts].sum()
    return mean, gradient


def alone(fit: Fit, driver: str) -> Fit:
    """The same outcome and rows with this one driver (and the fixed groups).

    Raises
    ------
    Refusal
        If the driver alone parts the outcomes.
    """
    keep = [i for i, t in enumerate(fit.terms) if t.column == driver or t.fixed or not t.column]
    design = fit.design[:, keep]
    b, covariance = _robust(fit.seen, design, fit.members, fit.horizon)
    terms = tuple(fit.terms[i] for i in keep)
    return replace(fit, terms=terms, drivers=(driver,), design=design, b=b, covariance=covariance)


# --- What the model takes for granted -------------------------------------------------------------


@dataclass(frozen=True)
class Assumption:
    """What a model of this kind takes for granted, and whether the records speak against it.

    Attributes
    ----------
    kind : str
    driver : str
        The driver that speaks most against it; empty where none is asked.
    statistic, p : float
        Of that driver's test, p corrected for the number of drivers (Holm's
        first step); of counts, Pearson's dispersion (1 if Poisson) without p.
    """

    kind: str
    driver: str
    statistic: float
    p: float


def assumption_of(fit: Fit) -> Assumption:
    """Test what the model takes for granted.

    Notes
    -----
    Ordered: that a driver's effect is the same at every level, by a likelihood
    ratio test of the driver against the model in which its effect is free, the
    others' held the same; where rows are clustered, divided by the mean design
    effect of the driver's coefficients.  Count: Pearson's chi-squared over its
    degrees of freedom.  Time: that a driver's effect is the same early and
    late, by the correlation of the scaled Schoenfeld residuals with the order
    of the ends [1]_.  Binary: nothing is tested.

    References
    ----------
    .. [1] Grambsch, P. M., Therneau, T. M. (1994). Biometrika 81, 515-526.
       doi:10.1093/biomet/81.3.515
    """
    if fit.kind == "count":
        mean = fit.seen.weight * _expected(fit, fit.design)
        pearson = float(((fit.seen.y - mean) ** 2 / mean).sum())
        return Assumption("count", "", pearson / (fit.records - len(fit.b)), np.nan)
    if fit.kind == "binary" or (fit.kind == "ordered" and len(fit.steps) < 2):
        return Assumption(fit.kind, "", np.nan, np.nan)
    test = _relaxed if fit.kind == "ordered" else _early_and_late
    tests = {driver: test(fit, places_of(fit, driver)) for driver in fit.drivers}
    worst = min(tests, key=lambda driver: (tests[driver][1], -tests[driver][0]))
    statistic, p = tests[worst]
    return Assumption(fit.kind, worst, statistic, min(1.0, p * len(tests)))


def places_of(fit: Fit, driver: str) -> list[int]:
    """Where a driver's coefficients stand."""
    return [i for i, term in enumerate(fit.terms) if term.column == driver and not term.fixed]


def _relaxed(fit: Fit, places: list[int]) -> tuple[float, float]:
    """Twice the gain in log likelihood if a driver's effect may differ from level to level."""
    sides = _sides(fit.seen, fit.design, relaxed=fit.design[:, places])
    free = (fit.seen.cuts - 1) * len(places)
    try:
        b = newton(fit.seen, fit.design, np.r_[fit.b, np.zeros(free)], sides)
    except Refusal:  # a level that too few of a kind reached: nothing to test
        return np.nan, 1.0
    rows, score, information = _ordered(fit.seen, b, *sides)
    gain = 2 * float(rows.sum() - likelihood(fit.seen, fit.b, fit.design)[0].sum())
    if fit.cluster:
        inverse = linalg.inv(information)
        robust = clustered(score @ inverse, fit.members)[-free:, -free:]
        gain /= max(float(np.trace(linalg.solve(inverse[-free:, -free:], robust))) / free, 1e-9)
    return gain, float(stats.chi2.sf(gain, free))


def _early_and_late(fit: Fit, places: list[int]) -> tuple[float, float]:
    """Whether a driver's Schoenfeld residuals drift with the order of the ends."""
    design, own = fit.design[:, 1:], np.array(places) - 1
    s = _at_risk(fit.seen, fit.b[1:], design)
    residual = design[fit.seen.ended] - s.mean
    order = stats.rankdata(fit.seen.y[fit.seen.ended])
    order -= order.mean()
    inverse = linalg.inv(likelihood(fit.seen, fit.b[1:], design)[2])
    drift = (inverse @ (order @ residual))[own]
    statistic = float(drift @ linalg.solve(inverse[np.ix_(own, own)], drift))
    statistic *= len(order) / float(order @ order)
    return statistic, float(stats.chi2.sf(statistic, len(own)))


def area_limits(
    y: np.ndarray, score: np.ndarray, groups: np.ndarray, quantile: float
) -> tuple[float, float, float]:
    """Area under the curve and its limits on the logit, DeLong's components summed by group.

    An area of 0 or 1 has no spread: its limits are the area itself.
    """
    found, right = area(y, score)
    if not 0 < found < 1:
        return found, found, found
    influence = (right - found) / np.where(y == 1, y.sum(), len(y) - y.sum())
    error = float(np.sqrt(interval.variance_of_sum(influence, groups)))
    return found, *interval.logit_limits(found, quantile * error / (found * (1 - found)))


def area(y: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under the curve, and the share of the other kind each record is ordered right to."""
    events = y == 1
    m, n = events.sum(), (~events).sum()
    rank = stats.rankdata(score)
    right = np.empty(len(y))
    right[events] = (rank[events] - stats.rankdata(score[events])) / n
    right[~events] = 1 - (rank[~events] - stats.rankdata(score[~events])) / m
    return float(right[events].mean()), right
