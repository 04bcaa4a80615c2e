"""Can the team's predictions be believed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import optimize, stats

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import Estimate, share, spell, student

LIMITS = (
    *("predicted", "predicted_low", "predicted_high"),
    *("realised", "realised_low", "realised_high"),
)
COLUMNS = ("study", "cycle", "measure", "unit", *LIMITS, "predicted_confidence", "confidence")
FEWEST_FOR_RATIO, FEWEST_FOR_RANGE = 3, 5
NEXT_TO_NOTHING = (
    0.01  # width of a predicted interval over the change itself: assumed, not foretold
)
MOST_REALISED = 2.0  # what Improve takes for its `realised`
MOST_DRAWN = 24
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class TrackRecord(Finding):
    """How predictions of many cycles compare with what came.

    Attributes
    ----------
    table : DataFrame, one row per prediction
        ``study``, ``cycle``, ``measure``, ``unit``; ``predicted``, ``predicted_low``,
        ``predicted_high``, ``predicted_confidence``; ``realised``, ``realised_low``,
        ``realised_high``, ``confidence``; ``inside`` (1 or 0, NaN if not judged), ``due_inside``,
        the chance of it if the interval is right; ``estimate, low, high``, realised over
        predicted; ``score`` and ``naive_score``, the interval score over the larger of the two
        changes, of the prediction and of its rival; ``note``, why a number is missing.
    predictions, cycles, studies, left_out : int
        Rows judged, cycles and studies they are from, and rows that cannot be judged.
    inside, inside_low, inside_high : float
        Share of realised changes inside the predicted interval.
    due_inside : float
        That share, on average, if the intervals are right, the realised changes being uncertain.
    verdict : str
        ``as it should be``, ``too narrow`` or ``too wide``.
    ratio, ratio_low, ratio_high : float
        Mean of realised over predicted, over cycles; NaN with fewer than three.
    ratio_spread : float
        Standard deviation of the true ratio from cycle to cycle.
    ratio_cycles : int
    nearer, nearer_low, nearer_high : float
        Share of predictions nearer to what came than "nothing changes" is.
    direction, direction_low, direction_high : float
        Share of predictions with the direction right.
    saved, saved_low, saved_high : float
        Interval score of the rival less that of the predictions, mean over cycles; above 0 the
        predictions were worth having.
    recommended : tuple of float
        Least, likeliest and most of `realised` for the next Improve; empty with fewer than five
        cycles.
    confidence : float
        Level of the intervals.
    levels : tuple of float
        Levels at which predictions were made.
    """

    predictions: int
    cycles: int
    studies: int
    left_out: int
    inside: float
    inside_low: float
    inside_high: float
    due_inside: float
    verdict: str
    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_spread: float
    ratio_cycles: int
    nearer: float
    nearer_low: float
    nearer_high: float
    direction: float
    direction_low: float
    direction_high: float
    saved: float
    saved_low: float
    saved_high: float
    recommended: tuple[float, ...]
    confidence: float
    levels: tuple[float, ...]

    def sentence(self) -> str:
        came = (
            f"; {self._spelt('ratio', 2)} of what was promised came"
            if not np.isnan(self.ratio)
            else ""
        )
        first = (
            f"Of {counted(self.predictions, 'prediction')} in {counted(self.cycles, 'cycle')},"
            f" {self._share('inside')} held what came, where {self.due_inside:.0%} is due{came}."
        )
        return "\n".join([first, " ".join(filter(None, self._rest()))])

    def _rest(self) -> list[str]:
        return [
            self._judged(),
            self._optimism(),
            f"Nearer to what came than 'nothing changes': {self._share('nearer')}; direction"
            f" right: {self._share('direction')}.",
            self._scored(),
            self._advice(),
            self._conventions(),
            self._gone(),
        ]

    def _judged(self) -> str:
        said = {
            "as it should be": "That the intervals are as wide as they should be is not refuted",
            "too narrow": "The intervals promised too much: they are too narrow",
            "too wide": "The intervals are wider than they need be",
        }[self.verdict]
        return f"{said}."

    def _optimism(self) -> str:
        if np.isnan(self.ratio):
            return (
                "How much of a promise comes is not told from"
                f" {counted(self.ratio_cycles, 'cycle')} whose promise is clear of 0;"
                f" {FEWEST_FOR_RATIO} are the fewest."
            )
        about = f"over {self.ratio_cycles} cycles that differ by {self.ratio_spread:.2f} (sd)"
        if self.ratio_high < 1:
            return f"The team was optimistic, {about}."
        if self.ratio_low > 1:
            return f"The team promised too little, {about}."
        return f"Neither optimism nor undue caution is shown, {about}."

    def _scored(self) -> str:
        if np.isnan(self.saved):
            return ""
        told = spell(self.saved, self.saved_low, self.saved_high, confidence=self.confidence)
        surely = self.saved_low > 0
        words = "better than" if surely else "not shown to be better than"
        return (
            f"By a score that rewards being near and sure they are {words} 'nothing changes'"
            f" (interval score saved, in units of the change: {told})."
        )

    def _advice(self) -> str:
        if not self.recommended:
            return (
                f"For a range of `realised` in the next Improve {FEWEST_FOR_RANGE} cycles are the"
                " fewest."
            )
        numbers = ", ".join(f"{each:.2f}" for each in self.recommended)
        return (
            f"For the next Improve: `realised: [{numbers}]`, the limits between which the ratio of"
            f" another cycle would lie (approximate {self.confidence * 100:.4g}% prediction"
            " interval)."
        )

    def _conventions(self) -> str:
        if len(self.levels) == 1:
            made = f"at {self.levels[0]:.0%}"
        else:
            made = f"at {self.levels[0]:.0%} to {self.levels[-1]:.0%}, each judged by its own level"
        return f"Intervals were promised {made}; measures of one cycle are taken as alike."

    def _gone(self) -> str:
        if not self.left_out:
            return ""
        why = self.table.loc[self.table["inside"].isna(), "note"].value_counts().sort_index()
        told = ", ".join(f"{number} {reason}" for reason, number in why.items())
        return f"Left out: {told}."

    def _spelt(self, name: str, digits: int) -> str:
        ends = (getattr(self, name + end) for end in ("", "_low", "_high"))
        return spell(*ends, confidence=self.confidence, digits=digits)

    def _share(self, name: str) -> str:
        ends = (getattr(self, name + end) * 100 for end in ("", "_low", "_high"))
        return spell(*ends, confidence=self.confidence, digits=0, unit="%")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["estimate"].notna()].head(MOST_DRAWN)
        inside = rows["inside"] == 1
        names = [f"{row.study} {row.cycle:g} · {row.measure}" for row in rows.itertuples()]
        look.dots(ax, rows, names=names, meaning=np.where(inside, "better", "worse").tolist())
        if len(rows):
            ax.axvline(1, color=look.MEANING["limit"], lw=1, label="as promised")
            ax.axvline(0, color=look.MEANING["limit"], lw=1, ls=":", label="no change")
            if not np.isnan(self.ratio):
                shade = {"color": look.MEANING["other"], "alpha": 0.2, "lw": 0}
                ax.axvspan(self.ratio_low, self.ratio_high, label="mean over cycles", **shade)
            for what, word in (("better", "inside the promise"), ("worse", "outside")):
                colour = look.MEANING[what]
                ax.plot([], [], look.MARKER[what], color=colour, ls="", label=word)
            below = {"loc": "upper left", "bbox_to_anchor": (0, -0.18)}
            ax.legend(frameon=False, ncols=3, fontsize="small", **below)
        title = "Can the team's predictions be believed?"
        return look.label(ax, title=title, x="realised change over predicted change")


def track_record(compared: pd.DataFrame, *, confidence: float = 0.95) -> TrackRecord:
    """Score predictions of several cycles or studies against what came.

    Parameters
    ----------
    compared : DataFrame, one row per prediction
        ``study``, ``cycle``, ``measure``, ``unit``; ``predicted``, ``predicted_low``,
        ``predicted_high`` as promised, at the level ``predicted_confidence``; ``realised``,
        ``realised_low``, ``realised_high`` at the level ``confidence``: the ledger ``cycles``, or
        several of them below one another.  Of a measure that comes twice in a cycle the last row
        counts.
    confidence : float, default 0.95
        Level of the answer's intervals.

    Returns
    -------
    TrackRecord

    Raises
    ------
    Problem
        If limits are the wrong way round, or a level is missing or not between 0 and 1.
    Refusal
        If no prediction can be held against what came.

    Notes
    -----
    A prediction whose interval is next to nothing was assumed, not foretold, and is left out.

    What came is itself an estimate.  With errors u and v of the predicted interval's sides and r of
    the realised change (sides over normal quantiles), a right interval holds the realised estimate
    with a chance of F(high side / sqrt(u^2 + r^2)) - F(- low side / sqrt(v^2 + r^2)), F the normal
    law: that is what is due.  The share's interval is Wilson's, for rows clustered in cycles.

    Realised over predicted: of each cycle the mean over its measures, weighted by precision; over
    cycles the plain mean with Student's interval, which holds, if anything too often, also where
    some cycles were measured far better than others [1]_ (a weighted random-effects mean with
    Hartung and Knapp's interval held 92 % of five such cycles).  The variance of the true ratio
    is Paule and Mandel's [2]_.  Predictions whose interval holds 0 have no ratio.  Of another
    cycle: mean ± t(k - 2) sqrt(variance + error^2) [3]_, cut to 0 to 2.

    The rival says that nothing changes, give or take the realised interval's half width.  Interval
    scores at level 1 - a: width + 2 / a times the distance outside [4]_, over the larger of
    the two changes.

    References
    ----------
    .. [1] Ibragimov, R., Müller, U. K. (2010). t-statistic based correlation and heterogeneity
       robust inference. Journal of Business and Economic Statistics 28, 453-468.
       doi:10.1198/jbes.2009.08046
    .. [2] Paule, R. C., Mandel, J. (1982). Consensus values and weighting factors. Journal of
       Research of the National Bureau of Standards 87, 377-385. doi:10.6028/jres.087.022
    .. [3] Higgins, J. P. T., Thompson, S. G., Spiegelhalter, D. J. (2009). A re-evaluation of
       random-effects meta-analysis. Journal of the Royal Statistical Society A 172, 137-159.
       doi:10.1111/j.1467-985X.2008.00552.x
    .. [4] Gneiting, T., Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and
       estimation. Journal of the American Statistical Association 102, 359-378.
       doi:10.1198/016214506000001437

    Examples
    --------
    Three cycles that bring 0.8, 0.9 and 1.0 of what was promised, each measured equally well: the
    mean is 0.9, and half the interval 4.3027 * 0.1 / sqrt(3).

    >>> rows = pd.DataFrame({"study": "a", "cycle": [1, 2, 3], "measure": "wait", "unit": "s",
    ...     "predicted": -10.0, "predicted_low": -14.0, "predicted_high": -6.0,
    ...     "realised": [-8.0, -9.0, -10.0], "predicted_confidence": 0.95, "confidence": 0.95})
    >>> rows = rows.assign(realised_low=rows["realised"] - 1, realised_high=rows["realised"] + 1)
    >>> found = track_record(rows)
    >>> round(found.ratio, 3), round(found.ratio_low, 3), found.inside
    (0.9, 0.652, 1.0)
    """
    need_share(confidence, name="confidence")
    if compared.empty:
        raise Refusal("No cycle was written down yet.", "close one with `sqm freeze`.")
    rows = _checked(compared)
    table = _rows(rows)
    judged = table[table["inside"].notna()].reset_index(drop=True)
    if judged.empty:
        raise Refusal(
            "No prediction can be held against what came.",
            "close a cycle whose prediction and outcome have an interval.",
        )
    by = judged[["study", "cycle"]].astype(str).agg("\x1f".join, axis=1).to_frame("by")
    shares = {
        "inside": judged["inside"] == 1,
        "nearer": (judged["realised"] - judged["predicted"]).abs() < judged["realised"].abs(),
        "direction": judged["realised"] * judged["predicted"] > 0,
    }
    found = {name: share(hit, clusters=by, confidence=confidence) for name, hit in shares.items()}
    due = float(judged["due_inside"].mean())
    return TrackRecord(
        table=table,
        predictions=len(judged),
        cycles=int(by["by"].nunique()),
        studies=int(judged["study"].nunique()),
        left_out=len(table) - len(judged),
        **{f"{name}{end}": value for name, each in found.items() for end, value in _ends(each)},
        due_inside=due,
        verdict=_verdict(found["inside"], due),
        **_ratios(judged, by["by"], confidence),
        **_saved(judged, by["by"], confidence),
        confidence=confidence,
        levels=tuple(sorted({float(each) for each in judged["predicted_confidence"]})),
    )


# --- Rows -----------------------------------------------------------------------------------------


def _checked(compared: pd.DataFrame) -> pd.DataFrame:
    need_columns(compared, COLUMNS, source="The table of predictions and outcomes")
    rows = compared.drop_duplicates(["study", "cycle", "measure"], keep="last")
    rows = rows.astype(dict.fromkeys(LIMITS, float)).reset_index(drop=True)
    for what in ("predicted", "realised"):
        wrong = rows[(rows[what] < rows[f"{what}_low"]) | (rows[what] > rows[f"{what}_high"])]
        if len(wrong):
            raise Problem(
                f"The {what} change of {wrong['measure'].iloc[0]!r} in {wrong['study'].iloc[0]!r}"
                " does not lie between its limits.",
                "give low, estimate and high in this order.",
            )
    for level in ("predicted_confidence", "confidence"):
        off = rows[~rows[level].between(0, 1, inclusive="neither")]
        if len(off):
            raise Problem(
                f"{level!r} is missing, or not between 0 and 1 (first rows: {first_rows(off)}).",
                "name the level at which each interval was made.",
            )
    return rows


def _rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Each prediction with what can be said of it."""
    note = pd.Series([_gap(row) for row in rows.itertuples()], index=rows.index, dtype=object)
    usable = note == ""
    predicted, low, high, came = (
        rows[name] for name in ("predicted", "predicted_low", "predicted_high", "realised")
    )
    error = _error(rows)
    inside = came.between(low, high).astype(float).where(usable)
    clear = usable & (low * high > 0)
    half = error * stats.norm.ppf((1 + rows["confidence"]) / 2) / predicted.abs()
    ratio = (came / predicted).where(clear)
    scale = np.maximum(predicted.abs(), came.abs())
    alpha = 1 - rows["predicted_confidence"]
    reach = error * stats.norm.ppf(1 - alpha / 2)
    note = note.where(~usable | clear, "the promise holds 0, so no ratio")
    return rows[list(COLUMNS)].assign(
        inside=inside,
        due_inside=_due(rows, error).where(usable),
        estimate=ratio,
        low=ratio - half,
        high=ratio + half,
        score=(_score(low, high, came, alpha) / scale).where(usable),
        naive_score=(_score(-reach, reach, came, alpha) / scale).where(usable),
        note=note.astype(str),
    )


def _gap(row) -> str:
    """Why a prediction cannot be judged, or nothing."""
    for what in ("predicted", "realised"):
        value = getattr(row, what)
        if np.isnan(value):
            return f"not {what}"
        if np.isnan([getattr(row, f"{what}_low"), getattr(row, f"{what}_high")]).any():
            return f"{what} without an interval"
    if row.predicted_high - row.predicted_low <= NEXT_TO_NOTHING * abs(row.predicted):
        return "assumed, not foretold"
    return "" if row.realised_high > row.realised_low else "realised without an interval"


def _error(rows: pd.DataFrame) -> pd.Series:
    """Standard error of what came."""
    reach = 2 * stats.norm.ppf((1 + rows["confidence"]) / 2)
    return (rows["realised_high"] - rows["realised_low"]) / reach


def _due(rows: pd.DataFrame, error: pd.Series) -> pd.Series:
    """Chance that a right interval holds what came."""
    z = stats.norm.ppf((1 + rows["predicted_confidence"]) / 2)
    above, below = (
        (rows[end] - rows["predicted"]).abs() for end in ("predicted_high", "predicted_low")
    )
    tails = [side / np.hypot(side / z, error) for side in (above, below)]
    return pd.Series(stats.norm.cdf(tails[0]) - stats.norm.cdf(-tails[1]), index=rows.index)


def _score(low, high, came: pd.Series, alpha: pd.Series) -> pd.Series:
    outside = (low - came).clip(lower=0) + (came - high).clip(lower=0)
    return high - low + 2 / alpha * outside


def _ends(each: Estimate) -> list[tuple[str, float]]:
    return [("", each.estimate), ("_low", each.low), ("_high", each.high)]


def _verdict(inside: Estimate, due: float) -> str:
    if due > inside.high:
        return "too narrow"
    return "too wide" if due < inside.low else "as it should be"


# --- Over cycles ----------------------------------------------------------------------------------


def _ratios(judged: pd.DataFrame, by: pd.Series, confidence: float) -> dict:
    """The mean ratio with its interval, and the range for another cycle."""
    clear = judged["estimate"].notna()
    error = _error(judged) / judged["predicted"].abs()
    weight = (1 / error**2)[clear]
    sums = (
        pd.DataFrame(
            {"weight": weight, "ratio": weight * judged["estimate"], "error": weight * error}
        )
        .dropna()
        .groupby(by)
        .sum()
    )
    count = len(sums)
    none = dict.fromkeys(("ratio", "ratio_low", "ratio_high", "ratio_spread"), NAN)
    if count < FEWEST_FOR_RATIO:
        return {**none, "ratio_cycles": count, "recommended": ()}
    ratio, error = ((sums[name] / sums["weight"]).to_numpy() for name in ("ratio", "error"))
    mean, half, between = over_cycles(ratio, error, confidence=confidence)
    told = {"ratio": mean, "ratio_low": mean - half, "ratio_high": mean + half}
    told |= {"ratio_spread": float(np.sqrt(between)), "ratio_cycles": count}
    if count < FEWEST_FOR_RANGE:
        return {**told, "recommended": ()}
    tail = (1 + confidence) / 2
    of_mean = half / stats.t.ppf(tail, count - 1)
    reach = stats.t.ppf(tail, count - 2) * np.sqrt(between + of_mean**2)
    points = np.clip([mean - reach, mean, mean + reach], 0, MOST_REALISED)
    return {**told, "recommended": tuple(float(each) for each in points)}


def over_cycles(
    values: np.ndarray, errors: np.ndarray, *, confidence: float
) -> tuple[float, float, float]:
    """Mean of unequally sure values that differ in truth, half its interval, their variance.

    Parameters
    ----------
    values, errors : ndarray, shape (k,)
        Estimates and their standard errors, all above 0; k is 2 or more.
    confidence : float

    Notes
    -----
    Plain mean, t(k - 1) s / sqrt(k).  The variance t^2 of the true values is such that
    sum w (x - weighted mean)^2 = k - 1 with w = 1 / (error^2 + t^2), or 0.

    Examples
    --------
    >>> mean, half, _ = over_cycles(np.array([1.0, 2, 3]), np.ones(3), confidence=0.95)
    >>> round(mean, 4), round(half, 4)
    (2.0, 2.4841)
    """
    k = len(values)

    def excess(between: float) -> float:
        w = 1 / (errors**2 + between)
        return float((w * (values - (w @ values) / w.sum()) ** 2).sum()) - (k - 1)

    between = 0.0
    if excess(0.0) > 0:
        between = float(optimize.brentq(excess, 0, k * np.ptp(values) ** 2 + 1e-12))
    mean, _, high = student(values, confidence=confidence)
    return mean, high - mean, between


def _saved(judged: pd.DataFrame, by: pd.Series, confidence: float) -> dict:
    """What the predictions save in interval score over the rival, over cycles."""
    saved = (judged["naive_score"] - judged["score"]).groupby(by).mean().to_numpy()
    if len(saved) < FEWEST_FOR_RATIO:
        return dict.fromkeys(("saved", "saved_low", "saved_high"), NAN)
    half = stats.t.ppf((1 + confidence) / 2, len(saved) - 1) * saved.std(ddof=1)
    half /= np.sqrt(len(saved))
    mean = float(saved.mean())
    return {"saved": mean, "saved_low": float(mean - half), "saved_high": float(mean + half)}
