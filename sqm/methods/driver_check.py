"""Does the model of the drivers hold on records that it has not seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from statsmodels.stats.sandwich_covariance import cov_cluster
from threadpoolctl import threadpool_limits

from sqm import interval, look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted, together
from sqm.regression import (
    FEWEST_GROUPS,
    Fit,
    area,
    area_limits,
    design_of,
    groups_of,
    known_to,
    maximum_likelihood,
    need_both,
    outcome_of,
    true_or_false,
)

# Vergouwe, Y. et al. (2005). Journal of Clinical Epidemiology 58, 475-483.
# doi:10.1016/j.jclinepi.2004.06.017
HELD_OUT_EVENTS = 100
RANDOM, LATER = "random folds", "later period"
MATTERS = 0.02  # of the area under the curve: a convention of sqm
RIDGE = 0.01  # worth less than one record, so that a level without an event stays finite
MOST_LEVELS = 254  # of one column, which is what the boosting takes
MOST_OFFSETS = 200  # groups over which an unknown one is averaged singly
MOST_DYADS = 400  # clusters whose pairs are looked at one by one
MOST_STEPS = 50  # outcomes that are told apart when pairs are counted


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
        "for averages over many records",
        0.5,
        (0.7, 1.3),
        (0.8, 1.25),
        "a convention of sqm: averages need calibration more than they need discrimination "
        "(Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7)",
    ),
    "cases": Rule(
        "to single out records",
        0.7,
        (0.7, 1.3),
        (0.8, 1.25),
        "area from 0.7 'acceptable' (Hosmer and Lemeshow 2000, Applied Logistic Regression, "
        "section 5.2.4); the two ranges are a convention of sqm",
    ),
}


@dataclass(frozen=True, eq=False)
class HeldOut(Finding):
    """How the model does on records it has not seen.

    Attributes
    ----------
    table : DataFrame, one row per tenth of the records by predicted chance
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
            f"The model {verdict} {self.purpose}: on {self.records:,} records it had not seen, "
            f"observed over expected is {spell('ratio')}.\nThat is so because {self.because}: "
            f"area under the curve {spell('auc')}, calibration slope {spell('slope')}, intercept "
            f"{spell('intercept')}, from {self.events:,} events; {counted(self.left_out, 'row')} "
            f"left out (a blank, or a level that is new). The rule: {self.source}."
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
            x="predicted per 100 records, by tenths",
            y=f"observed per 100, {self.confidence * 100:.4g}% interval",
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

    >>> from sqm.regression import fit_logistic
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
    _need_later(fit, later)
    used, left_out = known_to(fit, later)
    y = true_or_false(used[fit.outcome])
    need_both(y, fit.outcome)
    groups = groups_of(used, fit.fixed, fit.cluster)
    t = float(stats.t.ppf((1 + fit.confidence) / 2, groups.max()))
    p = expit(design_of(used, fit.terms) @ fit.b)
    measures = {
        **_three("auc", area_limits(y, p, groups, t)),
        **_three("slope", _calibration(y, p, groups, t, slope=True)),
        **_three("intercept", _calibration(y, p, groups, t, slope=False)),
        **_three("ratio", _ratio(y, p, groups, t)),
    }
    against = _against(RULES[rule], measures, int(min(y.sum(), len(y) - y.sum())))
    return HeldOut(
        table=_tenths(y, p, groups, fit.confidence),
        usable=not against,
        purpose=RULES[rule].purpose,
        because=together(against) if against else "it met the rule",
        source=RULES[rule].source,
        **measures,
        records=len(y),
        events=int(y.sum()),
        left_out=left_out,
        groups=int(groups.max()) + 1,
        confidence=fit.confidence,
    )


def _need_later(fit: Fit, later: pd.DataFrame) -> None:
    if fit.kind != "binary":
        raise Refusal(
            f"A model of the kind {fit.kind!r} has no calibration of chances to judge.",
            "see how it does in other places, which is told of every kind.",
        )
    if later.empty:
        raise Refusal(
            "No record lies in the later period on which the model is to be judged.",
            "name an earlier day under `fit_until`, or leave it blank for the last 30 %; give "
            "`time`, the column of the day.",
        )


def _three(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, values), strict=True))


def _clustered_error(influence: np.ndarray, groups: np.ndarray) -> float:
    return float(np.sqrt(interval.variance_of_sum(influence, groups)))


def _ratio(y, p, groups, t) -> tuple[float, float, float]:
    ratio = y.sum() / p.sum()
    error = _clustered_error((y - ratio * p) / p.sum(), groups)
    half = t * error / ratio
    return ratio, ratio * np.exp(-half), ratio * np.exp(half)


def _calibration(y, p, groups, t, *, slope: bool) -> tuple[float, float, float]:
    predicted, one = logit(p), np.ones((len(p), 1))
    if slope:
        result = maximum_likelihood(y, np.column_stack([one, predicted]))
    else:
        result = maximum_likelihood(y, one, offset=predicted)
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


# --- Held out in several ways ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class HeldOutWays(Finding):
    """How the model does on records held out at random, by whole groups, and later in time.

    Attributes
    ----------
    table : DataFrame, one row per way of holding out
        ``way`` ('random folds', 'whole ' and a column, 'later period');
        ``estimate, low, high``, the area under the curve within folds (0.5 is
        a coin); ``slope``, ``intercept``, ``ratio``, each with ``_low, _high``:
        calibration slope, calibration in the large, observed over expected;
        ``flexible``, the area of gradient boosting on the same folds, and
        ``gain``, what it adds, each with ``_low, _high``; ``drop`` with
        ``_low, _high``, the area in random folds (for whole groups: of the
        same records) less that of this way;
        ``records, events`` judged; ``folds``; ``clusters`` of the intervals;
        ``unmet``, records of a level that the fit had not met; ``note``.
    worst : str
        The way with the lowest area; ``worst_estimate, worst_low, worst_high``.
    random, random_low, random_high : float
        Area in random folds.
    drop, drop_low, drop_high : float
        The drop of the worst way; 0 if that is random folds.
    gain, gain_low, gain_high : float
        What the flexible model adds in random folds.
    drop_matters, gain_matters : bool
        Whether the whole interval lies above 0, and the estimate at 0.02 or more.
    holds : bool
        Whether in every way that could be tried the whole interval lies above 0.5.
    outcome, kind, fixed : str
    records, of, left_out : int
        Records used, those they were drawn from, and those with a blank or a new level.
    confidence : float
    """

    worst: str
    worst_estimate: float
    worst_low: float
    worst_high: float
    random: float
    random_low: float
    random_high: float
    drop: float
    drop_low: float
    drop_high: float
    gain: float
    gain_low: float
    gain_high: float
    drop_matters: bool
    gain_matters: bool
    holds: bool
    outcome: str
    kind: str
    fixed: str
    records: int
    of: int
    left_out: int
    confidence: float

    def sentence(self) -> str:
        parts = [self._meaning(), self._calibrated(), self._flexible(), self._basis()]
        return f"{self._first()}\n{' '.join(filter(None, parts))}"

    def _spell(self, name: str, digits: int = 2) -> str:
        values = (getattr(self, name + part) for part in ("", "_low", "_high"))
        return interval.spell(*values, confidence=self.confidence, digits=digits)

    def _first(self) -> str:
        tried = counted(int(self.table["estimate"].notna().sum()), "way")
        if self.worst == RANDOM:
            return (
                f"Held out in {tried}, the model does nowhere worse than in random folds: area "
                f"{self._spell('random')}."
            )
        found = _spelt(self, "worst")
        if not self.drop_matters:
            alike = "about as well in each" if self.drop_high < MATTERS else "nowhere surely worse"
            return (
                f"Held out in {tried}, the model does {alike}: area "
                f"{self._spell('random')} in random folds, at the least {found} "
                f"{_in_words(self.worst)}."
            )
        return (
            f"Held out in {tried}, the model does worst {_in_words(self.worst)}: area {found}, "
            f"against {self.random:.2f} in random folds."
        )

    def _meaning(self) -> str:
        if self.worst == RANDOM:
            return ""
        if not self.drop_matters:
            drop = self._spell("drop")
            return f"The drop, {drop}, is not both clear and {MATTERS} or more."
        what = self.worst.removeprefix("whole ")
        if self.worst == LATER:
            why = "what goes with the outcome has changed, or was peculiar to the earlier months"
        else:
            why = f"part of what seemed to be the drivers was the {what} that a record came from"
        return f"The drop, {self._spell('drop')}, is clear: {why}."

    def _calibrated(self) -> str:
        known = self.table.dropna(subset=["ratio"])
        if known.empty:
            return ""
        off = known.loc[known["ratio"].map(np.log).abs().idxmax()]
        ratio = interval.spell(off.ratio, off.ratio_low, off.ratio_high, confidence=self.confidence)
        flat = known.loc[(known["slope"] - 1).abs().idxmax()]
        slope = interval.spell(
            flat.slope, flat.slope_low, flat.slope_high, confidence=self.confidence
        )
        return (
            f"Observed over expected is farthest from 1 {_in_words(off.way)}, {ratio}; the "
            f"calibration slope {_in_words(flat.way)}, {slope}."
        )

    def _flexible(self) -> str:
        if np.isnan(self.gain):
            return ""
        what = (
            "so the model misses a curve or an interaction that matters"
            if self.gain_matters
            else f"so it finds nothing missed that is both clear and {MATTERS} or more"
        )
        return (
            "Gradient boosting, which finds curves and interactions by itself, changes the area in "
            f"random folds by {self._spell('gain', 3)}, {what}."
        )

    def _basis(self) -> str:
        words = f"{self.records:,} records"
        if self.of > self.records:
            words += f", drawn at random from {self.of:,}"
        words += f"; {self.left_out:,} with a blank or a new level left out. "
        if self.table["unmet"].any():
            words += "A level that the fit had not met is given the average of the others. "
        blank = self.table[self.table["estimate"].isna()]
        for row in blank.itertuples():
            words += f"Not tried, {_in_words(row.way)}: {row.note}. "
        if self.kind == "ordered":
            words += "A straight line through the levels stands in for the ordered model. "
        return words + (
            f"{MATTERS} is a convention of sqm. Intervals are approximate: they are for the models "
            "as they were fitted, not for what other fits would have given."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset=["estimate"])
        rows, names, meaning = [], [], []
        for each in known.itertuples():
            rows.append((each.estimate, each.low, each.high))
            names.append(each.way)
            bad = each.way == self.worst and self.drop_matters
            meaning.append("worse" if bad else "usual")
            rows.append((each.flexible, each.flexible_low, each.flexible_high))
            names.append("  gradient boosting")
            meaning.append("other")
        shown = pd.DataFrame(rows, columns=["estimate", "low", "high"])
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.axvline(0.5, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="Does the model hold, however records are held out?",
            x="area under the curve on records held out, "
            f"{self.confidence * 100:.4g}% interval; 0.5 is a coin",
        )


def _spelt(found: HeldOutWays, name: str) -> str:
    values = (getattr(found, f"{name}_{part}") for part in ("estimate", "low", "high"))
    return interval.spell(*values, confidence=found.confidence)


def _in_words(way: str) -> str:
    if way == RANDOM:
        return "in random folds"
    if way == LATER:
        return "in the later period"
    return (
        f"when whole groups of '{look.shorten(way.removeprefix('whole '), width=30)}' are left out"
    )


def held_out_ways(
    fit: Fit,
    records: pd.DataFrame,
    *,
    rng: np.random.Generator,
    time: str = "arrived",
    groups: Sequence[str] = ("site",),
    folds: int = 5,
    later: float = 0.3,
    most_records: int = 50_000,
) -> HeldOutWays:
    """Hold records out at random, by whole groups and by time, and compare.

    Parameters
    ----------
    fit : Fit
        Its settings are used; it is fitted anew to every part that is not held out.
    records : DataFrame, one row per case
        All of them, the earlier and the later.
    rng : Generator
        Deals records and groups into folds.
    time : str
        Column of times, for the later period; blank for none.
    groups : sequence of str
        Columns whose whole groups are held out (site, company, template).
    folds : int, default 5
    later : float, default 0.3
        Share of the records, the last by time, that the later period holds.
    most_records : int, default 50,000
        Of more, a plain random sample is used, so that the shares stay right.

    Returns
    -------
    HeldOutWays

    Raises
    ------
    Problem
        If a setting cannot be.
    Refusal
        If a column is missing, one outcome only occurs, or the outcome is a time.

    Notes
    -----
    Every way tests each record once, by a fit to records of other folds; for
    whole groups a fold is several groups, as many folds as at random, so that
    fits learn from equally much.  Only pairs within a fold are compared, for
    the fits of different folds have different levels: area = sum of pairs put
    in the right order / sum of pairs.  For counts and ordered levels a pair is
    any two records of different outcome (Harrell's concordance).  Each pair
    belongs to one or two clusters; the variance sums the products of those pairs
    of clusters that have one in common [2]_, which for differences of areas are
    differences, for they are of the same records.  With more than 400 clusters
    DeLong's components [1]_ are summed by cluster, which is conservative.  With 40
    clusters the 95 % intervals of area, gain and drop held 93 % of the time.  Clusters
    are the groups held out where there are 10 or more, else those of the fit.
    A group (or level) that the fit has not met is predicted by the mean
    over the groups it has met, weighted by their records.  Coefficients have a
    ridge penalty worth less than one record.  The flexible model is histogram
    gradient boosting of 100 trees of up to 8 leaves, 20 records a leaf at
    least, learning rate 0.07, without early stopping; it sees the same columns.

    References
    ----------
    .. [1] DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988).
       Biometrics 44, 837-845. doi:10.2307/2531595
    .. [2] Aronow, P. M., Samii, C., Assenova, V. A. (2015). Cluster-robust
       variance estimation for dyadic data. Political Analysis 23, 564-577.
       doi:10.1093/pan/mpv018

    Examples
    --------
    Half of the unresolved complain and a tenth of the resolved: of pairs 0.45
    are put in the right order, 0.05 in the wrong one and 0.5 tie within 0.7.

    >>> from sqm.regression import fit_logistic
    >>> records = pd.DataFrame({"ending": ["resolved"] * 500 + ["unresolved"] * 500,
    ...                         "complained": ([1] + [0] * 9) * 50 + [1, 0] * 250})
    >>> fit = fit_logistic(records, drivers=["ending"], fixed="", cluster="")
    >>> found = held_out_ways(fit, records, time="", groups=(), rng=np.random.default_rng(1))
    >>> round(found.random, 2), found.worst   # (5/6 + 9/14) / 2 = 0.738
    (0.74, 'random folds')
    """
    _need_ways(fit, records, time, groups, folds, later, most_records)
    known, left_out = known_to(fit, records)
    used = _sampled(known, most_records, rng).reset_index(drop=True)
    case = _case(fit, used)
    ways = [(RANDOM, rng.permutation(np.arange(len(used)) % folds), "")]
    ways += [(f"whole {column}", *_whole(used[column], folds, rng)) for column in groups]
    ways += [(LATER, *_later(used[time], later))] if time else []
    tried = [_tried(case, name, fold, note, used, fit) for name, fold, note in ways]
    table = _side_by_side(tried, fit.confidence)
    return HeldOutWays(
        table=table,
        **_verdict(table),
        outcome=fit.outcome,
        kind=fit.kind,
        fixed=fit.fixed,
        records=len(used),
        of=len(known),
        left_out=left_out,
        confidence=fit.confidence,
    )


def _need_ways(fit, records, time, groups, folds, later, most_records) -> None:
    if isinstance(groups, str):
        raise Problem("groups is one text.", "give a list of columns.")
    need_share(later, name="later")
    if not 2 <= folds <= 50:
        raise Problem(f"folds is {folds}.", "give 2 to 50.")
    if not most_records >= 1000:
        raise Problem(f"most_records is {most_records}.", "give 1,000 or more.")
    need_columns(records, [*groups, *filter(None, [time])], source="The table of records")
    if fit.kind not in FAMILIES:
        raise Refusal(
            f"Records cannot yet be held out for an outcome of the kind {fit.kind!r}.",
            "ask it of a yes or no, for example whether it lasted longer than promised.",
        )


def _sampled(records: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    if len(records) <= most:
        return records
    return records.iloc[np.sort(rng.choice(len(records), most, replace=False))]


def _verdict(table: pd.DataFrame) -> dict:
    known = table.dropna(subset=["estimate"])
    if known.empty:
        raise Refusal(
            f"No way of holding out could be tried: {table['note'].iloc[0]}.",
            "take a longer period, or fewer folds.",
        )
    first = table.iloc[0]
    worst = known.loc[known["estimate"].idxmin()]
    same = worst["way"] == RANDOM
    drop = (0.0, 0.0, 0.0) if same else tuple(worst[["drop", "drop_low", "drop_high"]])
    return {
        "worst": str(worst["way"]),
        "worst_estimate": float(worst["estimate"]),
        "worst_low": float(worst["low"]),
        "worst_high": float(worst["high"]),
        **_three("random", tuple(first[["estimate", "low", "high"]])),
        **_three("drop", drop),
        **_three("gain", tuple(first[["gain", "gain_low", "gain_high"]])),
        "drop_matters": bool(drop[0] >= MATTERS and drop[1] > 0),
        "gain_matters": bool(first["gain"] >= MATTERS and first["gain_low"] > 0),
        "holds": bool((known["low"] > 0.5).all()),
    }


# --- The folds of each way ------------------------------------------------------------------------


def _whole(values: pd.Series, folds: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Deal whole groups into folds, the largest first; a row without a group is never held out."""
    codes, names = pd.factorize(values.astype("str"), sort=True)
    if len(names) < 2:
        return np.full(len(values), -1), "there is one group only"
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    shuffled = rng.permutation(len(names))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    load, fold_of = np.zeros(min(folds, len(names))), np.empty(len(names), dtype=int)
    for group in order:
        fold_of[group] = int(load.argmin())
        load[fold_of[group]] += sizes[group]
    return np.where(codes >= 0, fold_of[codes], -1), ""


def _later(times: pd.Series, share: float) -> tuple[np.ndarray, str]:
    """Fold 0 are the last records by time; the others, and those without a time, are fitted to."""
    known = times.dropna().sort_values(kind="stable")
    if known.nunique() < 2:
        return np.full(len(times), -1), "there is one time only"
    first = known.iloc[min(int(np.ceil(len(known) * (1 - share))), len(known) - 1)]
    return np.where((times >= first).fillna(False).to_numpy(dtype=bool), 0, -1), ""


# --- Refitting ------------------------------------------------------------------------------------


def _exp(eta: np.ndarray) -> np.ndarray:
    return np.exp(np.clip(eta, -30, 30))


FAMILIES = {  # of each kind: mean from the linear predictor, and its slope from the mean
    "binary": (expit, lambda mean: mean * (1 - mean)),
    "count": (_exp, lambda mean: mean),
    "ordered": (lambda eta: eta, np.ones_like),
}
INVERSES = {"binary": logit, "count": np.log, "ordered": np.asarray}


@dataclass(frozen=True, eq=False)
class _Case:
    """What every way of holding out works on."""

    kind: str
    y: np.ndarray
    offset: np.ndarray  # log of what a count is out of
    design: np.ndarray
    blocks: tuple[tuple[np.ndarray, np.ndarray], ...]  # level of each row, places of its terms
    features: np.ndarray
    categorical: np.ndarray
    clusters: np.ndarray


def _case(fit: Fit, used: pd.DataFrame) -> _Case:
    seen, spare = outcome_of(fit, used), len(fit.steps) - 1
    y = np.cumsum([fit.lowest, *fit.steps])[seen.y.astype(int)] if spare else seen.y
    if np.ptp(y) == 0:
        need_both(np.zeros(len(y)), fit.outcome)
    blocks = []
    for column in fit.references:
        places = np.flatnonzero([term.column == column for term in fit.terms]) - spare
        blocks.append((pd.factorize(used[column].astype("str"), sort=True)[0], places))
    columns = [*fit.drivers, *filter(None, [fit.fixed])]
    numbers = np.array([column not in fit.references for column in columns])
    return _Case(
        kind=fit.kind,
        y=y,
        offset=np.log(seen.weight),
        design=design_of(used, fit.terms)[:, spare:],  # the intercepts are alike
        blocks=tuple(blocks),
        features=np.column_stack([_feature(used[c], c in fit.references) for c in columns]),
        categorical=~numbers,
        clusters=groups_of(used, fit.fixed, fit.cluster),
    )


def _feature(values: pd.Series, category: bool) -> np.ndarray:
    """A column as boosting takes it: categories numbered by size, the rarest of very many blank."""
    if not category:
        return values.to_numpy(dtype=float)
    named = values.astype("str")
    sizes = named.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    place = pd.Series(np.arange(len(sizes), dtype=float), index=sizes.index)
    return named.map(place.where(place < MOST_LEVELS)).to_numpy(dtype=float)


def _refit(case: _Case, train: np.ndarray) -> np.ndarray:
    """Coefficients by maximum likelihood with a slight ridge, by Newton's method."""
    kind, y, design, offset = case.kind, case.y[train], case.design[train], case.offset[train]
    mean_of, slope_of = FAMILIES[kind]
    penalty = RIDGE * design.var(axis=0)
    penalty[design.var(axis=0) == 0] = RIDGE  # a level that is absent: 0
    penalty[0] = 0.0
    b = np.zeros(design.shape[1])
    b[0] = INVERSES[kind](y.sum() / np.exp(offset).sum())
    for _ in range(50):
        mean = mean_of(design @ b + offset)
        slope = slope_of(mean)
        bread = (design * slope[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(bread, design.T @ (y - mean) - penalty * b)
        b = b + step * min(1.0, 5 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return b


def _predict(case: _Case, b: np.ndarray, train: np.ndarray, test: np.ndarray):
    """Predicted outcome of the rows held out, and how many have a level that was not met."""
    mean_of = FAMILIES[case.kind][0]
    eta = case.design[test] @ b + case.offset[test]
    unmet = np.column_stack(
        [~np.isin(codes[test], np.unique(codes[train])) for codes, _ in case.blocks]
        or [np.zeros(len(test), dtype=bool)]
    )
    predicted = mean_of(eta)
    for pattern in np.unique(unmet[unmet.any(axis=1)], axis=0):
        rows = (unmet == pattern).all(axis=1)
        places = np.concatenate([case.blocks[i][1] for i in np.flatnonzero(pattern)])
        own = case.design[np.ix_(test[rows], places)] @ b[places]
        met = case.design[np.ix_(train, places)] @ b[places]
        predicted[rows] = _averaged(eta[rows] - own, met, mean_of)
    return predicted, int(unmet.any(axis=1).sum())


def _averaged(eta: np.ndarray, offsets: np.ndarray, mean_of) -> np.ndarray:
    """Mean prediction over the groups that the fit has met, weighted by their records."""
    levels, counts = np.unique(offsets.round(12), return_counts=True)
    if len(levels) > MOST_OFFSETS:
        levels = np.quantile(offsets, (np.arange(MOST_OFFSETS) + 0.5) / MOST_OFFSETS)
        counts = np.ones(MOST_OFFSETS)
    total = sum(count * mean_of(eta + level) for level, count in zip(levels, counts, strict=True))
    return total / counts.sum()


def _boosted(case: _Case, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predicted outcome of the rows held out, by gradient boosting on one thread."""
    settings = {
        "max_iter": 100,
        "learning_rate": 0.07,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 20,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "categorical_features": case.categorical,
        "random_state": 0,
    }
    x, rate = case.features[train], case.y[train] / np.exp(case.offset[train])
    with threadpool_limits(limits=1):
        if case.kind == "binary":
            model = HistGradientBoostingClassifier(**settings).fit(x, rate)
            return model.predict_proba(case.features[test])[:, 1]
        loss = "poisson" if case.kind == "count" else "squared_error"
        model = HistGradientBoostingRegressor(loss=loss, **settings)
        model.fit(x, rate, sample_weight=np.exp(case.offset[train]))
        return model.predict(case.features[test]) * np.exp(case.offset[test])


# --- One way --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scored:
    """Outcomes, predictions and folds of the rows that a way held out; -1: not held out."""

    y: np.ndarray
    score: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True, eq=False)
class _Tried:
    """One way of holding out: its numbers, and what they were computed from."""

    row: dict
    scored: _Scored
    clusters: np.ndarray
    t: float


def _tried(case: _Case, name: str, fold: np.ndarray, note: str, used, fit: Fit) -> _Tried:
    n = len(case.y)
    simple, flexible, unmet = np.full(n, np.nan), np.full(n, np.nan), 0
    for each in range(fold.max() + 1):
        train, test = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
        if np.ptp(case.y[train]) == 0:
            return _untried(name, "the rest has one outcome only", case)
        b = _refit(case, train)
        simple[test], new = _predict(case, b, train, test)
        flexible[test] = _boosted(case, train, test)
        unmet += new
    if note:
        return _untried(name, note, case)
    clusters, few = _clusters_of(case, name, fold, used)
    row = {"way": name, "unmet": unmet, "folds": int(fold.max()) + 1, "note": few}
    return _measured(case, row, fold, simple, flexible, clusters, fit.confidence)


def _untried(name: str, note: str, case: _Case) -> _Tried:
    row = {"way": name, "unmet": 0, "folds": 0, "note": note, "records": 0, "events": 0}
    nothing = np.full(len(case.y), -1)
    return _Tried(row, _Scored(case.y, nothing, nothing), case.clusters, np.nan)


def _clusters_of(case: _Case, name: str, fold: np.ndarray, used) -> tuple[np.ndarray, str]:
    """Rows that may be alike: the groups held out, where they are enough."""
    column = name.removeprefix("whole ")
    if name == column:
        return case.clusters, ""
    codes, names = pd.factorize(used[column].astype("str"), sort=True)
    if len(names) < FEWEST_GROUPS:
        return case.clusters, f"{len(names)} groups: the interval is for these, not for others"
    codes[codes < 0] = len(names)  # never held out, so they add nothing
    return codes, ""


def _measured(case, row, fold, simple, flexible, clusters, confidence: float) -> _Tried:
    tested = fold >= 0
    y, p = case.y[tested], simple[tested]
    codes = pd.factorize(clusters[tested], sort=True)[0]
    t = float(stats.t.ppf((1 + confidence) / 2, max(codes.max(), 1)))
    row |= {"records": int(tested.sum()), "events": int((y > 0).sum()), "clusters": codes.max() + 1}
    scored = _Scored(case.y, simple, fold)
    found = _concordance(y, p, fold[tested])[0]
    if np.isnan(found):
        return _Tried(row | {"note": "no fold has two outcomes"}, scored, clusters, np.nan)
    other = _concordance(y, flexible[tested], fold[tested])[0]
    rival = _Scored(case.y, flexible, fold)
    error, rival_error, gain_error = (
        _error(each, against, clusters)
        for each, against in ((scored, None), (rival, None), (rival, scored))
    )
    row |= dict(zip(("estimate", "low", "high"), _on_logit(found, t * error), strict=True))
    row |= _three("flexible", _on_logit(other, t * rival_error))
    row |= _three("gain", _apart(other - found, t * gain_error))
    row |= _three("ratio", _ratio(y, np.maximum(p, 1e-12), codes, t))
    row |= _three("slope", _line(case.kind, y, p, codes, t, slope=True))
    row |= _three("intercept", _line(case.kind, y, p, codes, t, slope=False))
    return _Tried(row, scored, clusters, t)


def _concordance(y: np.ndarray, score: np.ndarray, fold: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of pairs of a fold put in the right order, and what each record adds to its error."""
    right, pairs = np.zeros(len(y)), np.zeros(len(y))
    total = 0.0
    y = _in_steps(y)
    for each in np.unique(fold):
        here = np.flatnonzero(fold == each)
        for level in np.unique(y[here])[:-1]:
            rows = here[y[here] >= level]
            above = y[rows] > level
            m, n = above.sum(), (~above).sum()
            against = np.where(above, n, m)
            right[rows] += area(above.astype(float), score[rows])[1] * against
            pairs[rows] += against
            total += m * n
    if total == 0:
        return np.nan, right
    found = float(right.sum() / pairs.sum())
    return found, (right - found * pairs) / total


def _in_steps(y: np.ndarray) -> np.ndarray:
    """Very many different outcomes are told apart by fiftieths."""
    if len(np.unique(y)) <= MOST_STEPS:
        return y
    return np.ceil(stats.rankdata(y) / len(y) * MOST_STEPS)


def _error(scored: _Scored, other: _Scored | None, clusters: np.ndarray) -> float:
    """Standard error of an area, or of its difference from another, allowing for clusters."""
    rows = scored.fold >= 0
    if other is not None:
        rows |= other.fold >= 0
    codes = np.full(len(rows), -1)
    codes[rows] = pd.factorize(clusters[rows], sort=True)[0]
    size = int(codes.max()) + 1
    if size > MOST_DYADS:
        parts = _parts(scored) - (0 if other is None else _parts(other))
        return _clustered_error(parts[rows], codes[rows])
    dyads = _dyads(scored, codes, size) - (0 if other is None else _dyads(other, codes, size))
    return _dyadic_error(dyads)


def _on_the_rows_of(scored: _Scored, other: _Scored) -> _Scored:
    """The same predictions, of those records only that the other way held out too."""
    return _Scored(scored.y, scored.score, np.where(other.fold >= 0, scored.fold, -1))


def _area_of(scored: _Scored) -> float:
    rows = scored.fold >= 0
    return _concordance(scored.y[rows], scored.score[rows], scored.fold[rows])[0]


def _parts(scored: _Scored) -> np.ndarray:
    """What each record adds to the area, 0 if it was not held out."""
    rows, parts = scored.fold >= 0, np.zeros(len(scored.fold))
    parts[rows] = _concordance(scored.y[rows], scored.score[rows], scored.fold[rows])[1]
    return parts


def _dyads(scored: _Scored, codes: np.ndarray, size: int) -> np.ndarray:
    """What pairs of clusters add to the area, the row's with the higher outcome; square."""
    rows, found = np.flatnonzero(scored.fold >= 0), _area_of(scored)
    y, sums, total = _in_steps(scored.y[rows]), np.zeros((size, size)), 0.0
    for each in np.unique(scored.fold[rows]):
        here = np.flatnonzero(scored.fold[rows] == each)
        for level in np.unique(y[here])[:-1]:
            above, below = here[y[here] > level], here[y[here] == level]
            total += len(above) * len(below)
            scores = scored.score[rows[above]]
            for group in np.unique(codes[rows[below]]):
                others = np.sort(scored.score[rows[below[codes[rows[below]] == group]]])
                right = np.searchsorted(others, scores) + np.searchsorted(others, scores, "right")
                weights = right / 2 - found * len(others)
                sums[:, group] += np.bincount(codes[rows[above]], weights, size)
    return sums / max(total, 1.0)


def _dyadic_error(dyads: np.ndarray) -> float:
    """Root of the sum of products of those pairs of clusters that have a cluster in common."""
    both = dyads + dyads.T
    sums = both.sum(axis=1) - np.diag(dyads)
    twice = (both[np.triu_indices(len(both), 1)] ** 2).sum()
    squares, groups = (sums**2).sum(), len(sums)
    return float(np.sqrt(max(squares - twice, squares / 2) * groups / max(groups - 1, 1)))


def _on_logit(found: float, half: float) -> tuple[float, float, float]:
    """An area and its limits, half a width apart."""
    if not 0 < found < 1:
        return found, found, found
    return found, *interval.logit_limits(found, half / (found * (1 - found)))


def _apart(found: float, half: float) -> tuple[float, float, float]:
    return found, found - half, found + half


def _line(kind: str, y, p, codes, t: float, *, slope: bool) -> tuple[float, float, float]:
    """Calibration slope, or calibration in the large, on the scale of the linear predictor."""
    mean_of, slope_of = FAMILIES[kind]
    top = 1 - 1e-12 if kind == "binary" else np.inf
    eta = INVERSES[kind](np.clip(p, -np.inf if kind == "ordered" else 1e-12, top))
    if slope and np.ptp(eta) < 1e-9:
        return (np.nan,) * 3
    x = np.column_stack([np.ones(len(y)), eta]) if slope else np.ones((len(y), 1))
    b = np.array([0.0, 1.0]) if slope else np.zeros(1)
    offset = 0.0 if slope else eta
    for _ in range(50):
        mean = mean_of(x @ b + offset)
        bread = np.linalg.inv((x * slope_of(mean)[:, None]).T @ x)
        step = bread @ (x.T @ (y - mean))
        b = b + step
        if np.abs(step).max() < 1e-10:
            break
    parts = (x @ bread[-1]) * (y - mean)
    half = t * _clustered_error(parts, codes)
    return b[-1], b[-1] - half, b[-1] + half


def _side_by_side(tried: list[_Tried], confidence: float) -> pd.DataFrame:
    """One row per way, with how far each falls short of random folds."""
    first, rows = tried[0], []
    for each in tried:
        row = dict(each.row)
        if "estimate" in row and "estimate" in first.row and each is not first:
            same = (
                first.scored
            )  # of all: a driver that stopped driving fails on the last ones anyhow
            if row["way"] != LATER:
                same = _on_the_rows_of(first.scored, each.scored)
            half = each.t * _error(same, each.scored, each.clusters)
            row |= _three("drop", _apart(_area_of(same) - row["estimate"], half))
        rows.append(row)
    spread = [
        f"{name}{part}"
        for name in ("slope", "intercept", "ratio", "flexible", "gain", "drop")
        for part in ("", "_low", "_high")
    ]
    columns = ["way", "estimate", "low", "high", *spread]
    columns += ["records", "events", "folds", "clusters", "unmet", "note"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    return table.assign(clusters=table["clusters"].fillna(0).astype(int))
