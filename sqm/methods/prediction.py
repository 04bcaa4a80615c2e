"""Did the prediction come true?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding
from sqm.interval import digits_for

COLUMNS = ("measure", "unit", "estimate", "low", "high")
INSIDE = "the realised change lies inside the predicted interval"
UNSURE = "outside the predicted interval, but within the uncertainty of the two together"
SMALLER = "smaller than predicted: the prediction overstated the change"
LARGER = "larger than predicted: the prediction understated the change"
OTHER_WAY = "the other way than predicted"
NEXT_TO_NOTHING = 0.01  # width of a predicted interval over the change itself
DRAWN = {SMALLER: "worse", OTHER_WAY: "worse", LARGER: "better"}  # the rest is as predicted


@dataclass(frozen=True, eq=False)
class Compared(Finding):
    """What was predicted beside what happened.

    Where the unit is ``share``, numbers are proportions, told in percentage points.

    Attributes
    ----------
    table : DataFrame, one row per measure
        ``measure``, ``unit``; ``predicted``, ``predicted_low``,
        ``predicted_high``; ``realised``, ``realised_low``, ``realised_high``;
        ``estimate``, ``low``, ``high``, realised minus predicted; ``verdict``
        in words; ``score``, the interval score of the prediction (smaller is
        better); ``note``, why a row is not comparable or what to bear in mind.
    confidence : float
        Level of all intervals, 0 to 1.
    predicted_confidence : float
        Level at which the predicted intervals had been made.
    compared, inside, missed : int
        Measures with both numbers; realised inside the predicted interval;
        difference surely not zero.
    """

    confidence: float
    predicted_confidence: float
    compared: int
    inside: int
    missed: int

    def sentence(self) -> str:
        rows = self.table[self.table["verdict"] != ""]
        words = [
            f"{self.missed or 'None'} of {self.compared} predicted"
            f" {'change' if self.compared == 1 else 'changes'}"
            f" {'differ' if self.missed > 1 else 'differs'} from what happened by more than chance"
            f" explains ({self.confidence * 100:.4g}% intervals){self._weak(rows)}.\n"
        ]
        words += [_told(row) for row in rows.itertuples()]
        words += [self._assumed(rows), self._about()]
        left = self.table.loc[self.table["verdict"] == ""]
        if len(left):
            names = "; ".join(f"{row.measure} ({row.note})" for row in left.itertuples())
            words.append(f"Not comparable: {names}.")
        return " ".join(filter(None, words)).replace("\n ", "\n")

    def _assumed(self, rows: pd.DataFrame) -> str:
        """An interval of next to no width comes from an assumption, not from a forecast."""
        width = rows["predicted_high"] - rows["predicted_low"]
        names = rows.loc[width < NEXT_TO_NOTHING * rows["predicted"].abs(), "measure"]
        return (
            f"Predicted with next to no interval, so assumed rather than foretold:"
            f" {', '.join(names)}."
            if len(names)
            else ""
        )

    def _weak(self, rows: pd.DataFrame) -> str:
        """A change that cannot be told from none confirms nothing."""
        weak = int(((rows["note"] != "") & ~rows["verdict"].isin(DRAWN)).sum())
        return f"; {weak} of them could not be told from no change at all" if weak else ""

    def _about(self) -> str:
        about = "A predicted interval is about the long run; the chance of the weeks is in the"
        about += " realised one."
        if self.predicted_confidence == self.confidence:
            return about
        return (
            f"{about} Predicted intervals, made at {self.predicted_confidence * 100:.4g}%, are"
            f" stretched to {self.confidence * 100:.4g}%."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["verdict"] != ""]
        for place, row in enumerate(rows.itertuples()):
            what = DRAWN.get(row.verdict, "usual")
            scale = _widest(row)
            for kind, meaning, shift in (("predicted", "other", -0.16), ("realised", what, 0.16)):
                values = [getattr(row, kind + end) / scale for end in ("_low", "", "_high")]
                colour = look.MEANING[meaning]
                ax.plot(values[::2], [place + shift] * 2, color=colour, lw=1.8)
                ax.plot(values[1], place + shift, look.MARKER[meaning], color=colour, ms=6)
                ax.text(1.06, place + shift, _numbers(row, kind), va="center", fontsize="small")
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        names = [_name(row) for row in rows.itertuples()]
        ax.set_yticks(range(len(rows)), names)
        ax.set(
            ylim=(len(rows) - 0.5, -0.5), xlim=(-1.1, 2.1), xticks=[0], xticklabels=["no change"]
        )
        _legend(ax)
        title = "Did the prediction come true?"
        return look.label(ax, title=title, x="change, each measure on its own scale")


def compare(
    predicted: pd.DataFrame,
    realised: pd.DataFrame,
    *,
    confidence: float = 0.95,
    predicted_confidence: float | None = None,
) -> Compared:
    """Hold what was predicted against what happened, measure by measure.

    Parameters
    ----------
    predicted, realised : DataFrame, one row a measure
        ``measure``, ``unit``, ``estimate``, ``low``, ``high``: changes of the
        same measure, in the same unit, with intervals.
    confidence : float, default 0.95
        Level of the realised intervals, and of the answer.
    predicted_confidence : float, optional
        Level at which the predicted intervals were made, if another: they are
        stretched about their estimate by the ratio of the normal quantiles.

    Returns
    -------
    Compared
        Measures in the order of ``predicted``, then those only realised.

    Raises
    ------
    Problem
        If a measure comes twice, has two units, or its limits are the wrong
        way round.
    Refusal
        If no measure is in both.

    Notes
    -----
    The difference d = realised - predicted has the limits
    d - sqrt((r - r_low)^2 + (p_high - p)^2) and
    d + sqrt((r_high - r)^2 + (p - p_low)^2) [1]_.  For symmetric intervals this
    is the normal approximation from their half-widths; it takes the two for
    independent, as a forecast from earlier data and a later measurement are.

    The interval score of a prediction made at level 1 - a is its width plus 2 / a times the
    distance by which the realised value lies outside [2]_: it cannot be improved by an interval
    that is wider or narrower than one believes in.  It is in the unit of the measure, so it
    compares forecasts of one measure, study by study.

    References
    ----------
    .. [1] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27, 1693-1702.
       doi:10.1002/sim.3095
    .. [2] Gneiting, T., Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and
       estimation. Journal of the American Statistical Association 102, 359-378.
       doi:10.1198/016214506000001437

    Examples
    --------
    Predicted -10 with half-width 3, realised -6 with half-width 4: the
    difference is 4, its half-width sqrt(9 + 16) = 5.

    >>> head = ["measure", "unit", "estimate", "low", "high"]
    >>> predicted = pd.DataFrame([["wait", "s", -10.0, -13.0, -7.0]], columns=head)
    >>> realised = pd.DataFrame([["wait", "s", -6.0, -10.0, -2.0]], columns=head)
    >>> compare(predicted, realised).table[["estimate", "low", "high"]].values.tolist()
    [[4.0, -1.0, 9.0]]
    """
    made_at = confidence if predicted_confidence is None else predicted_confidence
    need_share(confidence, name="confidence")
    need_share(made_at, name="predicted_confidence")
    made = _checked(predicted, "predicted")
    pairs = _stretched(made, made_at, confidence).merge(
        _checked(realised, "realised"), on="measure", how="outer", suffixes=("", "_realised")
    )
    order = [*predicted["measure"], *realised["measure"]]
    pairs = pairs.sort_values("measure", key=lambda names: names.map(order.index))
    table = pd.DataFrame([_pair(row) for _, row in pairs.iterrows()])
    table.insert(len(table.columns) - 1, "score", _scores(table, made, made_at))
    compared = table[table["verdict"] != ""]
    if compared.empty:
        raise Refusal(
            "No measure was both predicted and realised.",
            "give both the same measure names, with an estimate and its limits.",
        )
    return Compared(
        table=table,
        confidence=confidence,
        predicted_confidence=made_at,
        compared=len(compared),
        inside=int((compared["verdict"] == INSIDE).sum()),
        missed=int(compared["verdict"].isin(DRAWN).sum()),
    )


def _checked(changes: pd.DataFrame, which: str) -> pd.DataFrame:
    need_columns(changes, COLUMNS, source=f"The table of {which} changes")
    twice = changes.loc[changes["measure"].duplicated(), "measure"]
    if len(twice):
        raise Problem(f"{twice.iloc[0]!r} is {which} twice.", "give one row a measure.")
    low, middle, high = (changes[name] for name in ("low", "estimate", "high"))
    wrong = changes.loc[(low > middle) | (middle > high) | (low > high), "measure"]
    if len(wrong):
        raise Problem(
            f"The {which} change of {wrong.iloc[0]!r} does not lie between its limits.",
            "give low, estimate and high in this order.",
        )
    renamed = {"estimate": which, "low": f"{which}_low", "high": f"{which}_high"}
    return changes[list(COLUMNS)].rename(columns=renamed)


def _stretched(predicted: pd.DataFrame, made_at: float, wanted: float) -> pd.DataFrame:
    """Intervals about the same estimates at another level."""
    ratio = stats.norm.ppf((1 + wanted) / 2) / stats.norm.ppf((1 + made_at) / 2)
    limits = ["predicted_low", "predicted_high"]
    reach = predicted[limits].sub(predicted["predicted"], axis="index")
    return predicted.assign(**reach.mul(ratio).add(predicted["predicted"], axis="index"))


def _pair(row: pd.Series) -> dict:
    told = {
        name: row[name]
        for kind in ("predicted", "realised")
        for name in (kind, f"{kind}_low", f"{kind}_high")
    }
    units = [unit for unit in (row["unit"], row["unit_realised"]) if not pd.isna(unit)]
    if len(set(units)) > 1:
        raise Problem(
            f"{row['measure']!r} is predicted in {units[0]!r} and realised in {units[1]!r}.",
            "bring both to one unit.",
        )
    head = {"measure": row["measure"], "unit": units[0] if units else ""}
    why = _gap(pd.Series(told))
    if why:
        nothing = dict.fromkeys(("estimate", "low", "high"), np.nan)
        return {**head, **told, **nothing, "verdict": "", "note": why}
    unsure = told["realised_low"] <= 0 <= told["realised_high"]
    note = "the realised interval holds no change at all too" if unsure else ""
    return {**head, **told, **_difference(**told), "note": note}


def _scores(table: pd.DataFrame, made: pd.DataFrame, made_at: float) -> np.ndarray:
    """Interval score of each prediction as it was made, at its own level."""
    limits = table[["measure"]].merge(made, on="measure", how="left")
    low, high, came = limits["predicted_low"], limits["predicted_high"], table["realised"]
    outside = (low - came).clip(lower=0) + (came - high).clip(lower=0)
    return (high - low + 2 / (1 - made_at) * outside).to_numpy(float)


def _gap(told: pd.Series) -> str:
    """Why a measure cannot be compared, or nothing."""
    for kind, other in (("predicted", "realised"), ("realised", "predicted")):
        if pd.isna(told[kind]):
            return f"{other} only"
        if told[[f"{kind}_low", f"{kind}_high"]].isna().any():
            return f"{kind} without an interval"
    return ""


def _difference(
    predicted: float,
    predicted_low: float,
    predicted_high: float,
    realised: float,
    realised_low: float,
    realised_high: float,
) -> dict:
    estimate = realised - predicted
    low = estimate - float(np.hypot(realised - realised_low, predicted_high - predicted))
    high = estimate + float(np.hypot(realised_high - realised, predicted - predicted_low))
    if low <= 0 <= high:
        verdict = INSIDE if predicted_low <= realised <= predicted_high else UNSURE
    elif realised * predicted < 0:
        verdict = OTHER_WAY
    else:
        verdict = SMALLER if abs(realised) < abs(predicted) else LARGER
    return {"estimate": estimate, "low": low, "high": high, "verdict": verdict}


def _told(row) -> str:
    unit = f" {_unit(row)[1]}" if _unit(row)[1] else ""
    note = f"; {row.note}" if row.note else ""
    return (
        f"{row.measure}: predicted {_numbers(row, 'predicted')}{unit}, realised"
        f" {_numbers(row, 'realised')}, difference {_spelt(row, ('estimate', 'low', 'high'))}:"
        f" {row.verdict}{note}."
    )


def _name(row) -> str:
    return "\n".join([look.shorten(row.measure, width=36), _unit(row)[1]]).rstrip()


def _unit(row) -> tuple[float, str]:
    return (100.0, "percentage points") if row.unit == "share" else (1.0, row.unit)


def _numbers(row, kind: str) -> str:
    return _spelt(row, (kind, f"{kind}_low", f"{kind}_high"))


def _spelt(row, names: tuple[str, str, str]) -> str:
    """An estimate and its limits, with as many decimals as the realised interval bears."""
    times = _unit(row)[0]
    digits = digits_for(row.realised_low * times, row.realised_high * times)
    shown = [round(getattr(row, name) * times, digits) + 0.0 for name in names]
    return "{:,.{d}f} ({:,.{d}f} to {:,.{d}f})".format(*shown, d=digits)


def _limits(row) -> list[tuple[float, float]]:
    return [(row.predicted_low, row.predicted_high), (row.realised_low, row.realised_high)]


def _widest(row) -> float:
    """What the picture divides by, so that measures in different units share an axis."""
    return max(abs(limit) for pair in _limits(row) for limit in pair) or 1.0


def _legend(ax: Axes) -> None:
    words = {
        "other": "predicted",
        "usual": "realised",
        "better": "realised, larger",
        "worse": "realised, smaller",
    }
    for meaning, word in words.items():
        ax.plot([], [], look.MARKER[meaning], color=look.MEANING[meaning], label=word)
    ax.legend(frameon=False, ncols=2, fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.18))
