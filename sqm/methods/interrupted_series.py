"""Did the level or the slope step at the change?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import interrupted as ground
from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import digits_for, spell

NO_CHANGE = "no change shown"
COUNTED = ("count", "rate")
AVERAGED = ("share", "mean", "score", "nps")
MONTH_DAYS = (28, 31)
ROWS = ("effect", "level", "slope", "false date")

LABELS = {
    "effect": "mean over the periods after",
    "level": "step at the change",
    "slope": "change of slope, a period",
    "false date": "placebo: a made-up date before the change",
}


@dataclass(frozen=True, eq=False)
class InterruptedSeries(Finding):
    """A step of level and slope at a change, measured against the series' own trend before it.

    Attributes
    ----------
    table : DataFrame, one row a kind of step
        ``kind`` (``effect``, ``level``, ``slope``, ``false date``), ``label``, ``measure``,
        ``unit``, ``estimate``, ``low``, ``high``, ``note``.  Counts and rates are told as ratios,
        1 is no change.
    measure_name, unit, better : str
    verdict : str
        ``improved``, ``worsened`` or ``no change shown``, by the interval of the mean over the
        periods after; no change is claimed where the made-up date gives a step too.
    ratio : bool
        Whether estimates are ratios.
    estimate, low, high : float
        Mean over the periods after, against the trend of those before.
    level, level_low, level_high : float
        At the change.
    slope, slope_low, slope_high : float
        Change of slope in a period; NaN where too few periods lie after.
    false_date, false_date_low, false_date_high : float
        The same with a made-up date in the middle of the periods before; NaN if too few.
    passed : str
        Of that placebo: ``yes``, ``no`` or ``cannot say``.
    confidence : float
    correlation : float
        Of neighbouring periods about the line.
    seasonal : bool
        Whether the time of year was taken out (from two years on).
    change_on : str
    before, after, missing, left_out : int
        Periods before and after; missing on the calendar between them; not mature, set aside.
    n : float
        Records, or units of exposure.
    periods : tuple of str
    observed, fitted, expected : tuple of float
        Of each period: as seen, the line, and the line without the change.
    """

    measure_name: str
    unit: str
    better: str
    verdict: str
    ratio: bool
    estimate: float
    low: float
    high: float
    level: float
    level_low: float
    level_high: float
    slope: float
    slope_low: float
    slope_high: float
    false_date: float
    false_date_low: float
    false_date_high: float
    passed: str
    confidence: float
    correlation: float
    seasonal: bool
    change_on: str
    before: int
    after: int
    missing: int
    left_out: int
    n: float
    periods: tuple[str, ...]
    observed: tuple[float, ...]
    fitted: tuple[float, ...]
    expected: tuple[float, ...]

    def sentence(self) -> str:
        parts = [self._parts(), self._rests(), self._placebo(), self._cautions()]
        return f"{self._answer()}\n{' '.join(parts)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        times, unit = _times_and_unit(self.unit, ratio=False)
        unit = "%" if self.unit == "share" else unit  # of a level, where steps are in points
        what = {"improved": "better", "worsened": "worse"}.get(self.verdict, "usual")
        days = pd.to_datetime(list(self.periods))
        seen, fitted, expected = (
            np.array(each) * times for each in (self.observed, self.fitted, self.expected)
        )
        after = days >= pd.Timestamp(self.change_on)
        for rows, meaning in ((~after, "usual"), (after, what)):
            colour = look.MEANING[meaning]
            ax.plot(days[rows], seen[rows], look.MARKER[meaning], color=colour, ms=4)
            ax.plot(days[rows], fitted[rows], color=colour, lw=1.8)
        ax.plot(
            days[after],
            expected[after],
            color=look.MEANING["limit"],
            ls="--",
            label="trend of before, gone on",
        )
        self._draw_interval(ax, days[after], expected[after], times, look.MEANING[what])
        ax.axvline(pd.Timestamp(self.change_on), color=look.MEANING["limit"], ls="--", lw=1)
        ax.legend(loc="best", frameon=False, fontsize="small")
        name = look.shorten(self.measure_name)
        return look.label(
            look.dates(ax),
            title=f"Did the level or the slope step at the change? {name}",
            x=f"period (dashed: the change of {self.change_on}); {self.better} is better",
            y=name + (f" ({unit})" if unit else ""),
        )

    def _draw_interval(
        self, ax: Axes, days: pd.DatetimeIndex, expected: np.ndarray, times: float, colour: str
    ) -> None:
        """Where the line without the change would lie, moved by either limit of the mean effect."""
        low, high = (
            expected * each if self.ratio else expected + each * times
            for each in (self.low, self.high)
        )
        label = f"{self.confidence * 100:.4g}% interval of the mean step"
        ax.fill_between(days, low, high, color=colour, alpha=0.2, lw=0, label=label)

    def _answer(self) -> str:
        found = {"improved": "better than that trend", "worsened": "worse than that trend"}
        nothing = "no change is shown"
        if self.verdict == NO_CHANGE and self.passed == "no":
            nothing = "but a made-up date gives a step too: no change is claimed"
        name = self.measure_name[:1].upper() + self.measure_name[1:]
        return (
            f"{name} ({self.better} is better): over the {counted(self.after, 'period')} since"
            f" {self.change_on} it {self._moved(self.estimate, self.low, self.high)} its own trend,"
            f" {found.get(self.verdict, nothing)}."
        )

    def _moved(self, *limits: float) -> str:
        if self.ratio:
            return f"was {self._words(*limits)} times"
        return f"moved by {self._words(*limits)} against"

    def _words(self, estimate: float, low: float, high: float) -> str:
        times, unit = _times_and_unit(self.unit, ratio=self.ratio)
        digits = digits_for(low * times, high * times)
        return spell(
            estimate * times,
            low * times,
            high * times,
            confidence=self.confidence,
            digits=digits,
            unit=unit,
        )

    def _parts(self) -> str:
        by = "by a factor of " if self.ratio else "by "
        step = f"At the change the level stepped {by}" + self._words(
            self.level, self.level_low, self.level_high
        )
        if not np.isfinite(self.slope):
            return f"{step}; too few periods lie after it to tell a change of slope."
        slope = self._words(self.slope, self.slope_low, self.slope_high)
        return f"{step}; the slope changed {by}{slope} a period."

    def _rests(self) -> str:
        gaps = f"; {counted(self.missing, 'period')} missing in between" if self.missing else ""
        young = f"; {counted(self.left_out, 'period')} set aside" if self.left_out else ""
        season = (
            "the time of year is taken out"
            if self.seasonal
            else "with less than two years the time of year is not taken out"
        )
        return (
            f"It rests on {counted(self.before, 'period')} before and {self.after} after"
            f" ({self.n:,.0f} records or units{gaps}{young}); neighbouring periods correlate"
            f" {self.correlation:.2f}, which the intervals allow for; {season}."
        )

    def _placebo(self) -> str:
        if not np.isfinite(self.false_date):
            return "Too few periods lie before the change to try a made-up date in them."
        words = self._words(self.false_date, self.false_date_low, self.false_date_high)
        end = {
            "yes": ".",
            "no": ": it should be none, so distrust the step.",
            "cannot say": ": too wide to say much.",
        }[self.passed]
        return f"Placebo: a made-up date before the change gives {words}{end}"

    def _cautions(self) -> str:
        counts = "For counts the limits are approximate where the rate itself wanders. "
        return (counts if self.ratio else "") + (
            "It assumes that the trend of before would have gone on: whatever else came at that"
            " time counts as the change. No other series stands beside it."
        )


def interrupted_series(
    series: pd.DataFrame,
    *,
    change_on: str,
    unit: str = "",
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> InterruptedSeries:
    """Measure the step in one followed series.

    Parameters
    ----------
    series : DataFrame, one row a period of one series
        ``series`` (name), ``data`` (``count``, ``rate``, ``share``, ``mean``, ``score``, ``nps``),
        ``period``, ``n``, ``value`` (events of a count, rate or share), ``better``; ``mature``
        where it is there: periods that are not are set aside.
    change_on : str
        Date of the change, ``2025-09-29``; a period that has begun by then is set aside.
    unit : str
        Of a mean or score.
    confidence : float, default 0.95
    rng : Generator
        Not used: nothing here is drawn.

    Raises
    ------
    Problem
        If a period stands twice, or a value is no number.
    Refusal
        With fewer than eight periods before or two after, a step at the first point, a series that
        never varies, a count without events on one side, or times between events.

    Notes
    -----
    Means and shares by generalised least squares, weighed by ``n``; counts and rates by
    quasi-likelihood with a log link; errors follow a first-order autoregression whose correlation
    is weighed by its restricted likelihood (`sqm.interrupted`).
    Limits of counts are approximate: where chance of each period lies over a rate that wanders
    (autocorrelation 0.6, a quarter of the variance) the 95 % interval held the truth in 0.96, 0.93
    and 0.90 of 500 series of 24, 60 and 120 periods.  The design: Lopez Bernal, J.,
    Cummins, S., Gasparrini, A. (2017). International Journal of Epidemiology 46, 348-355.
    doi:10.1093/ije/dyw098

    Examples
    --------
    10 and 12 a week by turns before, half of it after.

    >>> weeks = pd.date_range("2025-01-06", periods=32, freq="7D")
    >>> events = np.tile([10.0, 12.0], 16) * np.where(np.arange(32) >= 20, 0.5, 1.0)
    >>> one = pd.DataFrame({"series": "calls", "data": "count", "period": weeks, "n": 1.0,
    ...                     "value": events, "better": "lower"})
    >>> found = interrupted_series(one, change_on="2025-05-26", rng=np.random.default_rng(1))
    >>> round(found.estimate, 1), found.verdict
    (0.5, 'improved')
    """
    need_share(confidence, name="confidence")
    rows, data, name, better = _one(series)
    day = ground.day_of(change_on)
    mature = rows["mature"].astype(bool) if "mature" in rows else pd.Series(True, index=rows.index)
    length = _length(rows["period"])
    cut = (rows["period"] < day) & (rows["period"] + length > day)
    used = rows[mature & ~cut].reset_index(drop=True)
    ground.need_two_sides(used["period"], day)
    value, n = (used[column].to_numpy(float) for column in ("value", "n"))
    ratio = data in COUNTED
    seen = value / n if data in (*COUNTED, "share") else value
    ground.need_movement(seen)
    after = (used["period"] >= day).to_numpy()
    if ratio and not (value[after].any() and value[~after].any()):
        raise Refusal("There is no event on one side of the change.", "follow it for longer.")
    given = {
        "at": _places(used["period"], length),
        "periods": used["period"].to_numpy(),
        "confidence": confidence,
    }
    weighed = {"exposure": n} if ratio else {"weights": n}
    values = value if ratio else seen
    step = ground.step_of(values, after=after, **given, **weighed)
    return _finding(
        step,
        _placebo(values, after, given, weighed),
        seen=seen,
        periods=used["period"],
        at=given["at"],
        day=day,
        ratio=ratio,
        said={"measure_name": name, "better": better, "confidence": confidence}
        | {"unit": "share" if data in ("share", "nps") else "" if ratio else unit}
        | {"n": float(n.sum()), "left_out": len(rows) - len(used)},
    )


def interrupted_mean(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    measure_name: str,
    unit: str = "",
    better: str,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> InterruptedSeries:
    """Measure the step in the weekly mean of the changed sites.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``, as `sqm.methods.effect.site_weeks` makes it.
    treated : list of str
    change_on : str
    measure_name, unit : str
        ``share`` marks a proportion, told in percentage points.
    better : {"lower", "higher"}
    confidence : float, default 0.95
    rng : Generator
        Not used: nothing here is drawn.

    Raises
    ------
    Problem, Refusal
        As `sqm.interrupted.groups_of`.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=24, freq="7D")
    >>> wave = np.tile([0.1, -0.1], 12) + np.where(np.arange(24) >= 12, 3.0, 1.0)
    >>> panel = pd.DataFrame({"site": "N1", "period": weeks, "n": 10, "mean": wave})
    >>> found = interrupted_mean(panel, treated=["N1"], change_on="2025-03-31",
    ...                          measure_name="wait", better="lower", rng=np.random.default_rng(1))
    >>> round(found.estimate, 1), found.verdict
    (2.0, 'worsened')
    """
    need_one_of(better, ["lower", "higher"], name="better")
    found = ground.interrupted(
        panel, treated=treated, change_on=change_on, confidence=confidence, rng=rng
    )
    groups = found.groups
    return _finding(
        found.step,
        found.placebo,
        seen=groups.changed,
        periods=pd.Series(groups.periods),
        at=groups.at,
        day=ground.day_of(change_on),
        ratio=False,
        said={"measure_name": measure_name, "better": better, "confidence": confidence}
        | {"unit": unit, "n": float(groups.n), "left_out": groups.weeks_left_out},
    )


# --- What comes in --------------------------------------------------------------------------------


def _one(series: pd.DataFrame) -> tuple[pd.DataFrame, str, str, str]:
    """The rows in order, their kind of data, the name, and which way is better."""
    columns = ["series", "data", "period", "n", "value", "better"]
    need_columns(series, columns, source="The series")
    for column in ("series", "data", "better"):
        held = series[column].unique()
        if len(held) != 1:
            raise Problem(
                f"The table holds {len(held)} values of {column!r}.",
                "give the periods of one series.",
            )
    name, data, better = (str(series[column].iloc[0]) for column in ("series", "data", "better"))
    if data in ("gap", "time"):
        raise Refusal(
            f"{name}: times between events have no regular periods.", "follow the events per week."
        )
    need_one_of(data, (*COUNTED, *AVERAGED), name="data")
    need_one_of(better, ["lower", "higher"], name="better")
    if not pd.api.types.is_datetime64_any_dtype(series["period"]):
        raise Problem("'period' does not hold dates.", "give the first day of each period.")
    rows = series.sort_values("period", ignore_index=True)
    rows = rows.assign(period=rows["period"].dt.tz_localize(None))
    nothing = (rows["n"] == 0) & ((rows["value"] == 0) | rows["value"].isna())
    rows = rows[~nothing].reset_index(drop=True)  # periods without a case say nothing
    if rows.empty:
        raise Refusal(f"{name} has no period with a case.", "follow what has cases.")
    _need_sound(rows, name, data)
    return rows, data, name, better


def _need_sound(rows: pd.DataFrame, name: str, data: str) -> None:
    twice = rows.loc[rows["period"].duplicated(), "period"]
    if len(twice):
        raise Problem(
            f"{name} has the period of {twice.iloc[0]:%Y-%m-%d} twice.", "give one row a period."
        )
    value, n = rows["value"].astype(float), rows["n"].astype(float)
    wrong = ~np.isfinite(value) | ~(n > 0) | ~np.isfinite(n)
    wrong |= (value < 0) if data in (*COUNTED, "share") else False
    wrong |= (value > n) if data == "share" else False
    if wrong.any():
        raise Problem(
            f"{name} has {counted(int(wrong.sum()), 'period')} without records, or with a value"
            f" that cannot be (first: {rows.loc[wrong, 'period'].iloc[0]:%Y-%m-%d}).",
            "leave such periods out, or mend them.",
        )


def _length(periods: pd.Series) -> pd.Timedelta:
    return periods.diff().median() if len(periods) > 1 else ground.WEEK


def _places(periods: pd.Series, length: pd.Timedelta) -> np.ndarray:
    """Places on the calendar: months where they are months, else steps of the usual length."""
    if MONTH_DAYS[0] <= length.days <= MONTH_DAYS[1]:
        months = periods.dt.year * 12 + periods.dt.month
        return (months - months.iloc[0]).to_numpy()
    return np.round((periods - periods.iloc[0]) / length).to_numpy().astype(int)


def _placebo(
    values: np.ndarray, after: np.ndarray, given: dict, weighed: dict
) -> tuple[float, float, float]:
    """A made-up date in the middle of the periods before; NaN if too few."""
    before = np.flatnonzero(~after)
    half = len(before) // 2
    if half < ground.FEWEST_BEFORE:
        return (np.nan,) * 3
    cut = {key: each[before] for key, each in (given | weighed).items() if key != "confidence"}
    try:
        return ground.step_of(
            values[before],
            after=np.arange(len(before)) >= half,
            confidence=given["confidence"],
            **cut,
        ).effect
    except Refusal:
        return (np.nan,) * 3


# --- What goes out --------------------------------------------------------------------------------


def _finding(
    step: ground.Step,
    placebo: tuple[float, float, float],
    *,
    seen: np.ndarray,
    periods: pd.Series,
    at: np.ndarray,
    day: pd.Timestamp,
    ratio: bool,
    said: dict,
) -> InterruptedSeries:
    _, passed = ground.said_of_placebo(placebo, step.effect)
    bend = np.exp if ratio else np.asarray
    rows = {
        kind: tuple(float(each) for each in bend(limits))
        for kind, limits in zip(ROWS, (step.effect, step.level, step.slope, placebo), strict=True)
    }
    after = (periods >= day).to_numpy()
    names = [("estimate", "low", "high")] + [
        (kind, f"{kind}_low", f"{kind}_high") for kind in ("level", "slope", "false_date")
    ]
    numbers = {
        name: number
        for each, limits in zip(names, rows.values(), strict=True)
        for name, number in zip(each, limits, strict=True)
    }
    return InterruptedSeries(
        table=_table(rows, said, ratio),
        **numbers,
        **said,
        verdict=_verdict(step.effect, passed, said["better"]),
        ratio=ratio,
        passed=passed,
        correlation=step.correlation,
        seasonal=step.seasonal,
        change_on=f"{day:%Y-%m-%d}",
        before=int((~after).sum()),
        after=int(after.sum()),
        missing=int(at[-1] + 1 - len(at)),
        periods=tuple(f"{each:%Y-%m-%d}" for each in periods),
        observed=tuple(seen.tolist()),
        fitted=tuple(bend(step.fitted).tolist()),
        expected=tuple(bend(step.expected).tolist()),
    )


def _table(rows: dict, said: dict, ratio: bool) -> pd.DataFrame:
    short = {"slope": "too few periods after", "false date": "too few periods before"}
    return pd.DataFrame(
        {
            "kind": kind,
            "label": LABELS[kind],
            "measure": said["measure_name"],
            "unit": "ratio" if ratio else said["unit"],
            "estimate": limits[0],
            "low": limits[1],
            "high": limits[2],
            "note": "" if np.isfinite(limits[0]) else short[kind],
        }
        for kind, limits in rows.items()
    )


def _verdict(effect: tuple[float, float, float], passed: str, better: str) -> str:
    if effect[1] <= 0 <= effect[2] or passed == "no":
        return NO_CHANGE
    return "improved" if (effect[0] > 0) == (better == "higher") else "worsened"


def _times_and_unit(unit: str, *, ratio: bool) -> tuple[float, str]:
    if ratio:
        return 1.0, ""
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)
