"""How do waits and unresolved contacts move satisfaction and loyalty?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.linalg import LinAlgWarning
from scipy.special import expit

from sqm import interval, look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted, together
from sqm.regression import (
    Fit,
    assumption_of,
    design_of,
    effect,
    fit_outcome,
    groups_of,
    is_number,
    known_to,
    newton,
    outcome_of,
    start_of,
)

FOLDS = 5
EARLIER = 0.7  # share of the answers that the model learns from where a time is given
FEWEST_HELD_OUT = 100  # answers to judge by, a convention of sqm
SLOPE = (0.7, 1.3)  # range that the calibration slope's interval must meet, a convention of sqm
LARGE_ERROR = 0.1  # of the score's standard deviation, in the mean: a convention of sqm
DOUBT = 0.01
RARE = 0.05  # share at either end that is joined before effects are compared between levels
MOST_SEARCHED = 20_000  # answers on which a levelling-off is looked for
LEVELS_OFF_AT = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)  # quantiles that are tried
WINS = 1.645  # standard errors by which levelling-off must do better in folds
DRIVERS = ("wait_s", "ending", "channel", "reason")
SELECTION = (
    "Only served customers who answered are in it: where the displeased stay silent, level and"
    " effects are theirs no more."
)


@dataclass(frozen=True, eq=False)
class ScoresHeldOut(Finding):
    """Whether what happened in the contact foretells a score on answers not seen before.

    Attributes
    ----------
    table : DataFrame, one row per group of answers held out
        ``by`` ('prediction' in fifths, or a driver; numbers in fourths); ``group``; ``records``;
        ``predicted``, mean score that was expected; ``estimate, low, high``, mean score given.
    score : str
        Column of the score.
    usable : bool
    because : str
        What decided.
    skill, skill_low, skill_high : float
        Share of the error of the whole distribution (continuous ranked probability score) that
        knowing the contact takes away; 0: no better than without.
    error, error_low, error_high : float
        Mean score given less expected, in points.
    slope, slope_low, slope_high : float
        Rise of the score given with the score expected; 1 is right.
    root_mean_square, without : float
        Typical error of one expected score in points, with and without knowing the contact.
    levels_off : float
        Value of ``levels_off_of`` beyond which more of it adds nothing; NaN: no such value won.
    levels_off_of, held : str
        The driver that was tried; and what was held out, in words.
    records, learnt_from, left_out, groups : int
        Answers held out, answers learnt from, answers left out, clusters among the first.
    confidence : float
    """

    score: str
    usable: bool
    because: str
    skill: float
    skill_low: float
    skill_high: float
    error: float
    error_low: float
    error_high: float
    slope: float
    slope_low: float
    slope_high: float
    root_mean_square: float
    without: float
    levels_off: float
    levels_off_of: str
    held: str
    records: int
    learnt_from: int
    left_out: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        verdict = "may be used" if self.usable else "must not be used"
        skill = self._spelt("skill", times=100, digits=1, unit="%")
        return (
            f"What happened in the contact {verdict} to foretell {_name(self.score)}: it takes away"
            f" {skill} of the error on {counted(self.records, 'answer')} held out.\n"
            f"That is so because {self.because}. Held out: {self.held}. The mean given less the"
            f" mean expected is {self._spelt('error')} points and the calibration slope"
            f" {self._spelt('slope')}; one expected score is typically"
            f" {self.root_mean_square:.2f} points off, {self.without:.2f} without knowing the"
            f" contact: it serves for averages, not for one customer. {self._levelling()}"
            f"Learnt from {counted(self.learnt_from, 'answer')}; {self.left_out:,} left out (a"
            " blank, no contact on file, not served, or a level that is new). The rule is a"
            " convention of sqm: better than without by the whole interval, no large error of the"
            f" mean, a slope whose interval meets {SLOPE[0]} to {SLOPE[1]}."
        )

    def _spelt(self, name: str, *, times: float = 1.0, digits: int = 2, unit: str = "") -> str:
        values = (getattr(self, name + part) * times for part in ("", "_low", "_high"))
        return interval.spell(*values, confidence=self.confidence, digits=digits, unit=unit)

    def _levelling(self) -> str:
        if not self.levels_off_of:
            return ""
        if np.isnan(self.levels_off):
            return f"That {self.levels_off_of} matters up to a value only did not win. "
        return (
            f"Beyond {self.levels_off:g}, more of {self.levels_off_of} adds nothing: that won on"
            " answers held out. "
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.by}: {row.group}" for row in self.table.itertuples()]
        right = self.table["predicted"].between(self.table["low"], self.table["high"])
        meaning = np.where(right | self.table["low"].isna(), "usual", "worse")
        look.dots(ax, self.table, names=names, meaning=meaning)
        rows = np.arange(len(self.table))
        colour = look.MEANING["other"]
        ax.plot(self.table["predicted"], rows, "x", color=colour, label="expected")
        ax.legend(frameon=False, fontsize="small")
        return look.label(
            ax,
            title=f"Does the model foretell {_name(self.score)} it has not seen?",
            x=f"mean score given (points), {self.confidence * 100:.4g}% interval",
        )


@dataclass(frozen=True, eq=False)
class Experience(Finding):
    """How what happens in a contact moves the score that the customer gives.

    Attributes
    ----------
    table : DataFrame, one row per coefficient
        ``term`` (a number's column, ``column=level``, or ``threshold|k``); ``estimate, low, high``
        on the logit; ``unit_per``, what a number is divided by first; ``levels_off``, the value
        from which more of a number adds nothing (NaN: none); ``step``, points by which the score
        rises where threshold k is passed (NaN for others); ``effect, effect_low, effect_high``,
        change of the mean score in points per unit, or against the reference (NaN for thresholds);
        ``cov: <term>``, the covariance with each other row.  The chance of a score of k or less is
        logistic(threshold k - sum of terms); a level without a row is the reference, adding
        nothing.
    score : str
    usable : bool
        Verdict of the check on answers not seen before.
    check : str
        Its first line.
    mean, mean_low, mean_high : float
        Mean score of those who answered, in points.
    wait, wait_low, wait_high : float
        Change of the mean score with one unit more of the wait; NaN where it is no driver.
    unresolved, unresolved_low, unresolved_high : float
        Change of the mean score if everybody were left unresolved and not resolved; NaN likewise.
    points : tuple of float
        The scores that were given, lowest first.
    references : tuple of str
    doubted : str
        The driver whose effect differs most from level to level; ``p`` of its test.
    p, confidence : float
    records, left_out, groups : int
    """

    score: str
    usable: bool
    check: str
    mean: float
    mean_low: float
    mean_high: float
    wait: float
    wait_low: float
    wait_high: float
    unresolved: float
    unresolved_low: float
    unresolved_high: float
    points: tuple[float, ...]
    references: tuple[str, ...]
    doubted: str
    p: float
    confidence: float
    records: int
    left_out: int
    groups: int

    def sentence(self) -> str:
        mean = interval.spell(
            self.mean, self.mean_low, self.mean_high, confidence=self.confidence, unit="points"
        )
        parts = [
            f"It rests on {counted(self.records, 'answer')} with a mean of {mean};"
            f" {self.left_out:,} left out (a blank, no contact on file, or not served); intervals"
            f" allow for {counted(self.groups, 'group')} of answers that may be alike.",
            "The model is a cumulative logit: effects are means over these answers with the other"
            " drivers held still, and go together with the score; that they cause it is not shown.",
            self._doubt(),
            SELECTION,
            f"On answers not seen before: {self.check}",
        ]
        return f"{self._effects()}\n{' '.join(filter(None, parts))}"

    def _effects(self) -> str:
        effects = self.table.dropna(subset="effect")
        first = effects[effects["term"].isin(["wait_s", "ending=unresolved"])]
        told = first if len(first) else effects.head(2)
        said = [self._one(row, first=i == 0) for i, row in enumerate(told.itertuples())]
        verdict = "" if self.usable else " (not fit to be used: see the check)"
        return f"Mean {_name(self.score)} moves by {' and by '.join(said)}{verdict}."

    def _one(self, row, *, first: bool) -> str:
        """One effect; the level of the interval is named with the first alone."""
        d = interval.digits_for(row.effect_low, row.effect_high)
        level = f"{self.confidence * 100:.4g}% interval " if first else ""
        return (
            f"{row.effect:,.{d}f} points ({level}{row.effect_low:,.{d}f} to"
            f" {row.effect_high:,.{d}f}) {_when(row.term, row.unit_per, self.references)}"
        )

    def _doubt(self) -> str:
        if not self.p < DOUBT:
            return ""
        return (
            f"The effect of {self.doubted} is not the same at every level of the score"
            f" ({interval.spell_p(self.p)}): its one number is an average."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        told = self.table.dropna(subset="effect")
        shown = pd.DataFrame(
            {
                "estimate": told["effect"],
                "low": told["effect_low"],
                "high": told["effect_high"],
            }
        )
        sides = zip(shown["low"], shown["high"], strict=True)
        meaning = ["better" if low > 0 else "worse" if high < 0 else "usual" for low, high in sides]
        names = [
            _amount(row.term, row.unit_per) if "=" not in row.term else row.term
            for row in told.itertuples()
        ]
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title=f"What moves {_name(self.score)}?",
            x=f"change of the mean score (points), {self.confidence * 100:.4g}% interval",
        )


def _name(score: str) -> str:
    return f"'{score.replace('_', ' ')}'"


def _amount(column: str, per: float) -> str:
    """``wait_s`` per 60 in words: 'minute of wait'."""
    if column.endswith("_s") and per in (1.0, 60.0, 3600.0):
        unit = {1.0: "second", 60.0: "minute", 3600.0: "hour"}[per]
        return f"{unit} of {column[:-2].replace('_', ' ')}"
    return f"{column.replace('_', ' ')}, {per:g} more"


def _when(term: str, per: float, references: Sequence[str]) -> str:
    column, level = term.split("=", 1) if "=" in term else (term, "")
    if not level:
        return f"with each {_amount(term, per)}"
    other = dict(each.split("=", 1) for each in references).get(column, "the reference")
    if column == "ending":
        return f"where the contact ended {level} and not {other}"
    return f"where {column.replace('_', ' ')} is {level} and not {other}"


# --- What comes in --------------------------------------------------------------------------------


def with_contacts(
    survey: pd.DataFrame, contacts: pd.DataFrame, *, contact: str = "contact"
) -> pd.DataFrame:
    """Lay each answer beside the contact that it is about.

    Parameters
    ----------
    survey : DataFrame, one row per respondent
        Its column ``contact`` names the contact.
    contacts : DataFrame, one row per contact
        A column that both have is taken from here.  Without a column ``ending`` it is made from
        ``resolved`` (and ``abandoned``).
    contact : str

    Returns
    -------
    DataFrame, one row per respondent
        An answer without a contact on file, or about one that was not served, has blanks, so that
        it is counted among those left out.

    Raises
    ------
    Problem
        If a contact stands twice in the log.
    Refusal
        If a column is missing, or no answer names a contact on file.

    Examples
    --------
    >>> survey = pd.DataFrame({"contact": ["K1", "K3"], "satisfaction": [6, 2]})
    >>> log = pd.DataFrame({"contact": ["K1", "K2"], "resolved": [True, False], "wait_s": [5, 9]})
    >>> with_contacts(survey, log)[["satisfaction", "ending"]].fillna("").values.tolist()
    [[6, 'resolved'], [2, '']]
    """
    need_columns(survey, [contact], source="The survey")
    need_columns(contacts, [contact], source="The log of contacts")
    named = survey[contact].dropna().unique()
    log = contacts[contacts[contact].isin(named)]
    if log.empty:
        raise Refusal(
            "No answer of the survey names a contact on file.",
            "give the number of the contact in both tables, written alike.",
        )
    twice = log[log.duplicated(contact)]
    if len(twice):
        raise Problem(
            f"The contact {twice[contact].iloc[0]!r} stands twice in the log (first rows:"
            f" {first_rows(twice)}).",
            "count copies once, or give every contact a number of its own.",
        )
    if "ending" not in log:
        log = log.assign(ending=_ending(log))
    log = log.assign(ending=log["ending"].mask(log["ending"].eq("abandoned").fillna(False)))
    own = survey.drop(columns=[c for c in survey if c in log and c != contact])
    return own.merge(log, on=contact, how="left", validate="many_to_one")


def _ending(log: pd.DataFrame) -> pd.Series:
    need_columns(log, ["resolved"], source="The log of contacts")
    solved = log["resolved"].astype("boolean")
    ending = pd.Series(pd.NA, index=log.index, dtype="str")
    ending = ending.mask(solved.fillna(False), "resolved")
    ending = ending.mask(~solved.fillna(True), "unresolved")
    if "abandoned" in log:
        ending = ending.mask(log["abandoned"].astype("boolean").fillna(False), "abandoned")
    return ending


# --- Answers held out -----------------------------------------------------------------------------


def scores_held_out(
    answers: pd.DataFrame,
    *,
    score: str = "satisfaction",
    drivers: Sequence[str] = DRIVERS,
    time: str = "answered",
    levels_off_of: str = "wait_s",
    cluster: str = "agent",
    fixed: str = "",
    per: Mapping[str, float] | None = None,
    reference: Mapping[str, str] | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> ScoresHeldOut:
    """Judge on answers not seen before whether the contact foretells the score.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        As `with_contacts` makes it.
    score : str
        Column of the score: whole points, up to 30 of them.
    drivers : sequence of str
        Columns of what happened in the contact.
    time : str
        Column of times: the model learns from the earlier 70 % and is judged on the rest.  Empty:
        on five folds drawn by chance.
    levels_off_of : str
        Driver of which it is tried whether beyond some value more of it adds nothing; empty: none.
    cluster, fixed, per, reference, confidence
        As in `sqm.regression.fit_outcome`.
    rng : Generator
        Draws the folds.

    Returns
    -------
    ScoresHeldOut

    Raises
    ------
    Refusal
        If fewer than 100 answers can be held out, or the answers cannot bear the model.

    Notes
    -----
    The continuous ranked probability score of an answer y is the sum over thresholds k of the step
    times (F(k) - [y <= k])^2 [1]_; the skill is one less the ratio of its mean to that of a model
    with thresholds alone.  Intervals by the delta method, summed by cluster, with Student's t.
    A levelling-off is chosen among quantiles of the driver on folds of the part learnt from, and
    kept only if it wins there by 1.645 standard errors and again on the answers held out.

    References
    ----------
    .. [1] Gneiting, T., Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and
       estimation. Journal of the American Statistical Association 102, 359-378.
       doi:10.1198/016214506000001437
    """
    need_share(confidence, name="confidence")
    settings = {
        "drivers": list(drivers),
        "outcome": score,
        "kind": "ordered",
        "fixed": fixed,
        "cluster": cluster,
        "per": dict(per or {}),
        "reference": dict(reference or {}),
        "confidence": confidence,
    }
    need_columns(answers, [score, *drivers], source="The survey with its contacts")
    whole = answers.dropna(subset=[score, *drivers])
    fold, held = _held(whole, time, rng)
    off = levels_off_of if levels_off_of in drivers and is_number(whole[levels_off_of]) else ""
    case = _Case(whole, fold, settings, off)
    level = case.level_off(rng)
    judged = case.judge(level)
    return _verdict(judged, score, off, level, held, len(answers), confidence)


def _held(whole: pd.DataFrame, time: str, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Fold of each answer; -1 is learnt from only."""
    if not time:
        fold = rng.permutation(np.arange(len(whole)) % FOLDS)
        held, words = len(whole), f"each fifth in turn, drawn by chance, {FOLDS} folds"
    else:
        need_columns(whole, [time], source="The survey with its contacts")
        place = whole[time].rank(method="first", pct=True, na_option="top").to_numpy()
        fold = np.where(place > EARLIER, 0, -1)
        held, words = int((fold == 0).sum()), f"the last {1 - EARLIER:.0%} by {time}"
    if held < FEWEST_HELD_OUT:
        raise Refusal(
            f"Only {held} answers can be held out where {FEWEST_HELD_OUT} are needed to judge by.",
            "collect more answers with their contact.",
        )
    return fold, words


@dataclass(frozen=True, eq=False)
class _Judged:
    """Answers held out: what was given and what was expected of them."""

    rows: pd.DataFrame
    drivers: tuple[str, ...]
    given: np.ndarray
    expected: np.ndarray
    crps: np.ndarray
    crps_without: np.ndarray
    without: np.ndarray
    groups: np.ndarray
    learnt_from: int


@dataclass(frozen=True, eq=False)
class _Case:
    whole: pd.DataFrame
    fold: np.ndarray
    settings: dict
    off: str

    def judge(self, level: float) -> _Judged:
        """Fit without each fold, and expect it."""
        data, parts, learnt = _levelled(self.whole, self.off, level), [], []
        for each in range(self.fold.max() + 1):
            fit = fit_outcome(data[self.fold != each], **self.settings)
            rows, _ = known_to(fit, data[self.fold == each])
            parts.append((rows, *_foretold(fit, rows)))
            learnt.append(fit.records)
        rows = pd.concat([part[0] for part in parts])
        numbers = [np.concatenate([part[i] for part in parts]) for i in range(1, 6)]
        groups = groups_of(rows, self.settings["fixed"], self.settings["cluster"])
        drivers = tuple(self.settings["drivers"])
        shown = self.whole.loc[rows.index]
        return _Judged(shown, drivers, *numbers, groups=groups, learnt_from=max(learnt))

    def level_off(self, rng: np.random.Generator) -> float:
        """The value beyond which more adds nothing, if that wins twice; else NaN."""
        if not self.off:
            return np.nan
        learnt = self.whole if self.fold.min() == 0 else self.whole[self.fold < 0]
        if len(learnt) > MOST_SEARCHED:
            learnt = learnt.iloc[np.sort(rng.permutation(len(learnt))[:MOST_SEARCHED])]
        level = _best_level(learnt, self.off, self.settings, rng)
        if np.isnan(level):
            return level
        gain = self.judge(np.nan).crps.mean() - self.judge(level).crps.mean()
        return level if gain > 0 else np.nan


def _levelled(data: pd.DataFrame, column: str, level: float) -> pd.DataFrame:
    return data if np.isnan(level) else data.assign(**{column: data[column].clip(upper=level)})


def _best_level(learnt: pd.DataFrame, off: str, settings: dict, rng) -> float:
    """The level that does best in folds, if it clearly beats a straight line."""
    fit = fit_outcome(learnt, **settings)
    used, _ = known_to(fit, learnt)
    fold = rng.permutation(np.arange(len(used)) % FOLDS)
    values = used[off].to_numpy(dtype=float)
    levels = np.unique(np.quantile(values, LEVELS_OFF_AT))
    levels = levels[(levels > values.min()) & (levels < values.max())]
    straight = _crps_in_folds(fit, used, fold)
    best = (0.0, np.nan)
    for level in levels:
        gain = straight - _crps_in_folds(fit, _levelled(used, off, level), fold)
        error = np.sqrt(interval.variance_of_sum((gain - gain.mean()) / len(gain), fit.members))
        if np.isfinite(gain).all() and gain.mean() > max(WINS * error, best[0]):
            best = (gain.mean(), float(level))
    return best[1]


def _crps_in_folds(fit: Fit, used: pd.DataFrame, fold: np.ndarray) -> np.ndarray:
    """Score of each answer by a model that has not seen its fold; NaN where that has no answer."""
    design, found = design_of(used, fit.terms), np.full(len(used), np.nan)
    seen = outcome_of(fit, used)
    for each in range(FOLDS):
        train, test = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
        start = np.r_[start_of(fit.seen), fit.b[seen.cuts :]]
        try:
            b = newton(seen.at(train), design[train], start)
        except Refusal:  # a level that occurs in this fold alone
            return np.full(len(used), np.nan)
        below = _below(b, design[test], seen.cuts)
        found[test] = _crps(below, seen.y[test], np.array(fit.steps))
    return found


def _below(b: np.ndarray, design: np.ndarray, cuts: int) -> np.ndarray:
    """Chance of lying at or below each level but the highest, (rows, cuts)."""
    return expit(-(design[:, cuts:] @ b[cuts:])[:, None] - b[:cuts])


def _crps(below: np.ndarray, place: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each answer, in points."""
    came = place[:, None] <= np.arange(len(steps))
    return ((below - came) ** 2) @ steps


def _foretold(fit: Fit, rows: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Given and expected score, score of the distribution with and without, mean without."""
    seen, steps = outcome_of(fit, rows), np.array(fit.steps)
    below = _below(fit.b, design_of(rows, fit.terms), len(steps))
    usual = expit(-start_of(fit.seen))[None, :]
    place = np.minimum(seen.y, len(steps))
    given = fit.lowest + np.concatenate([[0.0], np.cumsum(steps)])[place]
    expected = fit.lowest + (1 - below) @ steps
    mean = np.full(len(rows), fit.lowest + float((1 - usual[0]) @ steps))
    return given, expected, _crps(below, place, steps), _crps(usual, place, steps), mean


def _verdict(judged: _Judged, score, off, level, held, of: int, confidence) -> ScoresHeldOut:
    n = len(judged.given)
    t = float(stats.t.ppf((1 + confidence) / 2, max(judged.groups.max(), 1)))
    measures = {
        **_three("skill", *_skill(judged), judged.groups, t),
        **_three("error", *_mean(judged.given - judged.expected), judged.groups, t),
        **_three("slope", *_slope(judged), judged.groups, t),
    }
    against = _against(measures, float(judged.given.std()))
    return ScoresHeldOut(
        table=_groups(judged, confidence),
        score=score,
        usable=not against,
        because=together(against) if against else "it met the rule",
        **measures,
        root_mean_square=float(np.sqrt(((judged.given - judged.expected) ** 2).mean())),
        without=float(np.sqrt(((judged.given - judged.without) ** 2).mean())),
        levels_off=float(level),
        levels_off_of=off,
        held=held,
        records=n,
        learnt_from=judged.learnt_from,
        left_out=of - (n if held.startswith("each") else n + judged.learnt_from),
        groups=int(judged.groups.max()) + 1,
        confidence=confidence,
    )


def _three(name: str, found: float, influence: np.ndarray, groups, t: float) -> dict[str, float]:
    half = t * float(np.sqrt(interval.variance_of_sum(influence, groups)))
    return {name: found, f"{name}_low": found - half, f"{name}_high": found + half}


def _mean(values: np.ndarray) -> tuple[float, np.ndarray]:
    return float(values.mean()), (values - values.mean()) / len(values)


def _skill(judged: _Judged) -> tuple[float, np.ndarray]:
    ratio = judged.crps.mean() / judged.crps_without.mean()
    influence = -(judged.crps - ratio * judged.crps_without) / judged.crps_without.sum()
    return float(1 - ratio), influence


def _slope(judged: _Judged) -> tuple[float, np.ndarray]:
    """Least squares of the score given on the score expected."""
    x = judged.expected - judged.expected.mean()
    y = judged.given - judged.given.mean()
    size = float(x @ x)
    if size < 1e-12:
        return np.nan, np.zeros(len(x))
    slope = float(x @ y) / size
    return slope, x * (y - slope * x) / size


def _against(found: dict[str, float], spread: float) -> list[str]:
    against = []
    if not found["skill_low"] > 0:
        against.append("it is not clearly better than knowing nothing of the contact")
    large = LARGE_ERROR * spread
    if abs(found["error"]) > large and not found["error_low"] <= 0 <= found["error_high"]:
        against.append(f"the mean score was foretold wrongly by {found['error']:+.2f} points")
    if not (found["slope_low"] <= SLOPE[1] and found["slope_high"] >= SLOPE[0]):
        against.append(
            f"the calibration slope, {found['slope']:.2f}, lies outside {SLOPE[0]} to {SLOPE[1]}"
        )
    return against


def _groups(judged: _Judged, confidence: float) -> pd.DataFrame:
    """Scores given and expected, by fifths of the prediction and by each driver."""
    by = {"prediction": _parts(pd.Series(judged.expected, index=judged.rows.index), 5)}
    for column in judged.drivers:
        values = judged.rows[column]
        by[column] = _parts(values, 4) if is_number(values) else values.astype("str")
    rows = []
    for name, groups in by.items():
        codes, names = pd.factorize(groups, sort=True)
        for code, group in enumerate(names):
            here = codes == code
            rows.append({"by": name, "group": str(group)} | _observed(judged, here, confidence))
    return pd.DataFrame(rows)


def _parts(values: pd.Series, number: int) -> pd.Series:
    """So many parts of equal size, named by their limits; equal values stay together."""
    limits = np.unique(np.quantile(values, np.linspace(0, 1, number + 1)))
    if len(limits) < 3:  # nearly all are alike
        least = f"{limits[0]:.3g}"
        above = values.to_numpy() > limits[0]
        return pd.Series(np.where(above, f"above {least}", least), index=values.index)
    place = np.clip(np.searchsorted(limits, values, side="left"), 1, len(limits) - 1)
    names = [f"{i}: {a:.3g} to {b:.3g}" for i, (a, b) in enumerate(pairwise(limits), start=1)]
    return pd.Series(np.array(names, dtype=object)[place - 1], index=values.index)


def _observed(judged: _Judged, here: np.ndarray, confidence: float) -> dict:
    given = judged.given[here]
    mean, influence = _mean(given)
    codes = pd.factorize(judged.groups[here])[0]
    half = np.nan
    if codes.max() > 0:
        t = float(stats.t.ppf((1 + confidence) / 2, codes.max()))
        half = t * float(np.sqrt(interval.variance_of_sum(influence, codes)))
    expected = float(judged.expected[here].mean())
    limits = {"estimate": mean, "low": mean - half, "high": mean + half}
    return {"records": len(given), "predicted": expected} | limits


# --- The model itself -----------------------------------------------------------------------------


def experience(
    answers: pd.DataFrame,
    *,
    check: ScoresHeldOut,
    drivers: Sequence[str] = DRIVERS,
    cluster: str = "agent",
    fixed: str = "",
    per: Mapping[str, float] | None = None,
    reference: Mapping[str, str] | None = None,
    confidence: float = 0.95,
) -> Experience:
    """Say how waits and unresolved contacts go with a score, and hand over the model.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        As `with_contacts` makes it; all of them serve, those that were held out too.
    check : ScoresHeldOut
        The verdict on answers not seen before; its score is the one explained, and its
        levelling-off is taken over.
    drivers, cluster, fixed, per, reference, confidence
        As in `scores_held_out`; the model must be the same.

    Returns
    -------
    Experience

    Raises
    ------
    Refusal
        If the answers cannot bear the model; see `sqm.regression.fit_outcome`.

    Notes
    -----
    Proportional odds by maximum likelihood, covariance summed by cluster; effects by the delta
    method.  McCullagh, P. (1980). Journal of the Royal Statistical Society B 42, 109-142.
    doi:10.1111/j.2517-6161.1980.tb01109.x

    Examples
    --------
    Two levels: 120 of 200 are pleased if resolved and 30 of 100 if not, so the threshold is the
    logit of 80 / 200, log(2 / 3), and the effect 0.3 - 0.6 points.

    >>> answers = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "score": [2] * 120 + [1] * 80 + [2] * 30 + [1] * 70})
    >>> settings = {"drivers": ["ending"], "cluster": ""}
    >>> check = scores_held_out(answers, score="score", time="", rng=np.random.default_rng(1),
    ...                         **settings)
    >>> found = experience(answers, check=check, **settings)
    >>> found.table[["term", "estimate", "effect"]].round(4).values.tolist()
    [['ending=unresolved', -1.2528, -0.3], ['threshold|1', -0.4055, nan]]
    """
    used = answers
    if not np.isnan(check.levels_off):
        used = _levelled(answers, check.levels_off_of, check.levels_off)
    fit = fit_outcome(
        used,
        drivers=list(drivers),
        outcome=check.score,
        kind="ordered",
        fixed=fixed,
        cluster=cluster,
        per=dict(per or {}),
        reference=dict(reference or {}),
        confidence=confidence,
    )
    points = fit.lowest + np.concatenate([[0.0], np.cumsum(fit.steps)])
    table = _coefficients(fit, points, check)
    doubted, p = _doubted(used, fit)
    told = table.set_index("term")
    return Experience(
        table=table,
        score=check.score,
        usable=check.usable,
        check=check.sentence().splitlines()[0],
        **_three("mean", *_mean(points[fit.seen.y]), fit.members, fit.quantile),
        **_effect_of("wait", told, "wait_s"),
        **_effect_of("unresolved", told, "ending=unresolved"),
        points=tuple(points.tolist()),
        references=tuple(f"{column}={level}" for column, level in fit.references.items()),
        doubted=doubted,
        p=p,
        confidence=confidence,
        records=fit.records,
        left_out=fit.left_out,
        groups=fit.groups,
    )


def _doubted(used: pd.DataFrame, fit: Fit) -> tuple[str, float]:
    """The driver whose effect differs most from level to level, rare levels joined at the ends."""
    values = used[fit.outcome].astype(float)
    joined = values.clip(*values.quantile([RARE, 1 - RARE]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            found = assumption_of(
                fit_outcome(
                    used.assign(**{fit.outcome: joined}),
                    drivers=list(fit.drivers),
                    outcome=fit.outcome,
                    kind="ordered",
                    fixed=fit.fixed,
                    cluster=fit.cluster,
                    per={term.column: term.per for term in fit.terms if term.per != 1},
                    confidence=fit.confidence,
                )
            )
    except (Problem, LinAlgWarning):  # too few at some level to tell
        return "", np.nan
    return found.driver, found.p


def _coefficients(fit: Fit, points: np.ndarray, check: ScoresHeldOut) -> pd.DataFrame:
    """Terms first, thresholds after them: minus the intercepts, and their covariance likewise."""
    cuts = len(fit.steps)
    names = [f"threshold|{point:g}" for point in points[:-1]]
    names += [term.name for term in fit.terms[cuts:]]
    sign = np.r_[-np.ones(cuts), np.ones(len(fit.b) - cuts)]
    covariance = fit.covariance * np.outer(sign, sign)
    half = fit.quantile * np.sqrt(np.diag(covariance))
    order = np.r_[np.arange(cuts, len(fit.b)), np.arange(cuts)]
    levels = [
        check.levels_off if term.name == check.levels_off_of else np.nan for term in fit.terms
    ]
    table = pd.DataFrame(
        {
            "term": names,
            "estimate": sign * fit.b,
            "low": sign * fit.b - half,
            "high": sign * fit.b + half,
            "unit_per": [term.per for term in fit.terms],
            "levels_off": levels,
            "step": [*fit.steps, *[np.nan] * (len(fit.b) - cuts)],
        }
    )
    table = table.join(pd.DataFrame([_effect(fit, place) for place in range(len(fit.b))]))
    spread = pd.DataFrame(covariance[:, order], columns=[f"cov: {names[i]}" for i in order])
    return table.join(spread).iloc[order].reset_index(drop=True)


def _effect(fit: Fit, place: int) -> dict[str, float]:
    """Change of the mean score with one term, and its limits; thresholds have none."""
    if place < len(fit.steps):
        return dict.fromkeys(("effect", "effect_low", "effect_high"), np.nan)
    value, gradient = effect(fit, place)
    half = fit.quantile * float(np.sqrt(gradient @ fit.covariance @ gradient))
    return {"effect": value, "effect_low": value - half, "effect_high": value + half}


def _effect_of(name: str, told: pd.DataFrame, term: str) -> dict[str, float]:
    found = told.loc[term] if term in told.index else dict.fromkeys(told.columns, np.nan)
    return {f"{name}{part}": float(found[f"effect{part}"]) for part in ("", "_low", "_high")}
