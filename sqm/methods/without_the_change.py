"""What would have happened without the change?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import counterfactual as others
from sqm import interrupted as alone
from sqm import look
from sqm import synthetic_control as blended
from sqm.checks import Refusal, need_one_of, need_share
from sqm.evidence import Rung, laid_out, refused
from sqm.finding import Finding, counted
from sqm.interval import digits_for, spell

NO_CHANGE = "no change shown"
SHORT = {
    others.DESIGN: "the forecast from the other sites",
    blended.DESIGN: "a blend of other sites",
    alone.DESIGN: "their own trend",
}
CHECKED = {"yes": "held", "no": "failed", "cannot say": "cannot say"}
FOUND = {"improved": "an improvement", "worsened": "a change for the worse"}


@dataclass(frozen=True, eq=False)
class WithoutTheChange(Finding):
    """The changed sites' weeks after, beside three answers to what they would have been.

    Attributes
    ----------
    table : DataFrame, one row a design
        As `sqm.evidence.laid_out`: ``design``, ``estimand``, ``estimate``, ``low``, ``high``,
        ``n``, ``clusters``, ``effective_n``, ``assumes``, ``check``, ``passed``, ``refused``; and
        ``measure``, ``unit``.  The headline rests on the first row that was not refused.
    measure_name, unit, better : str
    verdict : str
        ``improved``, ``worsened`` or ``no change shown``, by the interval of the design that the
        headline rests on; no change is claimed where that design's own check failed.
    design : str
        The one that the headline rests on.
    estimate, low, high : float
        Observed less what would have been, mean over the weeks after.
    passed : str
        Of that design's check: ``yes``, ``no`` or ``cannot say``.
    confidence : float
    change_on : str
    treated : tuple of str
    before, after, n, others : int
        Weeks before and after, records of the changed sites, other sites.
    p, least_p : float
        Placebo in space of the blend, and the least that so many sites can give; NaN if refused.
    weeks : tuple of str
    observed, forecast, forecast_low, forecast_high, trend, synthetic : tuple of float
        Of each week; empty where the design was refused.  Limits are for single weeks after the
        change, NaN before it.
    """

    measure_name: str
    unit: str
    better: str
    verdict: str
    design: str
    estimate: float
    low: float
    high: float
    passed: str
    confidence: float
    change_on: str
    treated: tuple[str, ...]
    before: int
    after: int
    n: int
    others: int
    p: float
    least_p: float
    weeks: tuple[str, ...]
    observed: tuple[float, ...]
    forecast: tuple[float, ...]
    forecast_low: tuple[float, ...]
    forecast_high: tuple[float, ...]
    trend: tuple[float, ...]
    synthetic: tuple[float, ...]

    def sentence(self) -> str:
        parts = [self._others(), self._checks(), self._rests(), self._cautions()]
        return f"{self._answer()}\n{' '.join(part for part in parts if part)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        times, unit = _times_and_unit(self.unit)
        unit = "%" if self.unit == "share" else unit  # of a level, where differences are in points
        days, change = pd.to_datetime(list(self.weeks)), pd.Timestamp(self.change_on)
        after = days >= change
        what = {"improved": "better", "worsened": "worse"}.get(self.verdict, "usual")
        self._draw_expected(ax, days, after, times)
        seen = np.array(self.observed) * times
        for rows, meaning in ((~after, "usual"), (after, what)):
            colour = look.MEANING[meaning]
            ax.plot(days[rows], seen[rows], look.MARKER[meaning], color=colour, ms=4.5)
        ax.axvline(change, color=look.MEANING["limit"], ls="--", lw=1)
        ax.legend(loc="upper left", frameon=False, ncols=2, fontsize="small")
        ax.margins(y=0.25)
        name = look.shorten(self.measure_name)
        return look.label(
            look.dates(ax),
            title=f"What would have happened without the change? {name}",
            x=f"week (points: observed; dashed: the change of {self.change_on})",
            y=name + (f" ({unit})" if unit else ""),
        )

    def _draw_expected(
        self, ax: Axes, days: pd.DatetimeIndex, after: np.ndarray, times: float
    ) -> None:
        """What each design expects; the limits are those of a single week's forecast."""
        shown = [
            (self.forecast, "other", "-", "forecast from the others"),
            (self.synthetic, "usual", ":", "blend of others"),
            (self.trend, "limit", "-.", "own trend"),
        ]
        for values, meaning, style, label in shown:
            if values:
                line = np.array(values) * times
                ax.plot(days, line, style, color=look.MEANING[meaning], lw=1.5, label=label)
        if self.forecast:
            low, high = (
                np.array(x)[after] * times for x in (self.forecast_low, self.forecast_high)
            )
            label = f"{self.confidence * 100:.4g}% limits of a week"
            ax.fill_between(
                days[after], low, high, color=look.MEANING["other"], alpha=0.2, lw=0, label=label
            )

    def _answer(self) -> str:
        name = self.measure_name[:1].upper() + self.measure_name[1:]
        words = self._words(self.estimate, self.low, self.high)
        nothing = (
            "but the check of that yardstick failed"
            if self.passed == "no" and not self.low <= 0 <= self.high
            else "no change is shown"
        )
        return (
            f"{name}: after the change of {self.change_on} the changed sites differed by {words}"
            f" from {SHORT[self.design]}, {FOUND.get(self.verdict, nothing)}."
        )

    def _words(self, estimate: float, low: float, high: float) -> str:
        times, unit = _times_and_unit(self.unit)
        limits = [each * times for each in (estimate, low, high)]
        digits = digits_for(*limits[1:])
        return spell(*limits, confidence=self.confidence, digits=digits, unit=unit)

    def _others(self) -> str:
        said = []
        for row in self.table[self.table["design"] != self.design].itertuples():
            name = SHORT[row.design]
            if row.refused:
                said.append(f"{name[:1].upper()}{name[1:]} is not given: {row.refused}")
            else:
                said.append(f"Against {name}: {self._words(row.estimate, row.low, row.high)}.")
        return " ".join(said)

    def _checks(self) -> str:
        held = self.table[self.table["refused"] == ""]
        said = [f"{SHORT[row.design]}, {CHECKED[row.passed]}" for row in held.itertuples()]
        space = ""
        if np.isfinite(self.p):
            space = (
                f" If every site in turn is taken as changed, p = {self.p:.2g}"
                f" (with so few sites no less than {self.least_p:.2g})."
            )
        return (
            "Checks on the weeks before, where a made-up date should give nothing:"
            f" {'; '.join(said)}.{space}"
        )

    def _rests(self) -> str:
        return (
            f"It rests on {counted(self.before, 'week')} before and {self.after} after at"
            f" {counted(len(self.treated), 'changed site')} ({self.n:,} records)"
            f" and {counted(self.others, 'other site')}. That weeks resemble their neighbours is"
            f" allowed for{self._approximate()}."
        )

    def _approximate(self) -> str:
        if not self.synthetic:
            return ""
        return " (for the blend the limits are approximate where weeks are few and wander)"

    def _cautions(self) -> str:
        return (
            "It cannot be proved that the trend would have gone on, or that the others show what"
            " these sites would have done and were not reached by the change. Where the answers"
            " differ, suspect first what all sites share: a season, a drift."
        )


def without_the_change(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    measure_name: str,
    unit: str = "",
    better: str,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> WithoutTheChange:
    """Set the changed sites beside three answers to what they would have been.

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
        Not used today: nothing here is drawn.

    Raises
    ------
    Problem
        If the panel or the date is not sound.
    Refusal
        If none of the three designs can be borne.

    Notes
    -----
    Which design the headline rests on is settled beforehand: the forecast from the other sites if
    it can be made, else the blend of them, else the sites' own trend.  The designs:
    `sqm.counterfactual`, `sqm.synthetic_control`, `sqm.interrupted`.

    Examples
    --------
    Six sites that go up and down together; one is 2 higher after the change.

    >>> weeks, wave = pd.date_range("2025-01-06", periods=24, freq="7D"), np.tile([1.0, 2.0], 12)
    >>> mine = wave + np.where(np.arange(24) >= 16, 2.0, 0.0)
    >>> panel = pd.DataFrame({"site": np.repeat(list("TABCDE"), 24), "period": list(weeks) * 6,
    ...                       "n": 10, "mean": [*mine, *list(wave) * 5]})
    >>> found = without_the_change(
    ...     panel, treated=["T"], change_on="2025-04-28", measure_name="wait", unit="min",
    ...     better="lower", rng=np.random.default_rng(1))
    >>> round(found.estimate, 3), found.verdict
    (2.0, 'worsened')
    """
    need_one_of(better, ["lower", "higher"], name="better")
    need_share(confidence, name="confidence")
    designs = {
        others: others.counterfactual,
        blended: blended.synthetic_control,
        alone: alone.interrupted,
    }
    asked = {"treated": treated, "change_on": change_on, "confidence": confidence, "rng": rng}
    found, rungs = {}, []
    for room, design in designs.items():
        answer = _tried(room, design, panel, asked)
        rungs.append(answer if isinstance(answer, Rung) else answer.rung)
        found[room] = None if isinstance(answer, Rung) else answer
    if all(rung.refused for rung in rungs):
        raise Refusal(rungs[-1].refused, "collect more weeks, or compare with more sites.")
    return _finding(
        found, rungs, {"measure_name": measure_name, "unit": unit, "better": better}, asked
    )


def _tried(room, design, panel: pd.DataFrame, asked: dict):
    """The design's answer, or a rung that says why there is none."""
    try:
        return design(panel, **asked)
    except Refusal as why:
        return refused(room.DESIGN, room.ESTIMAND, why)


def _finding(found: dict, rungs: list[Rung], said: dict, asked: dict) -> WithoutTheChange:
    main = next(rung for rung in rungs if not rung.refused)
    groups = next(each.groups for each in found.values() if each is not None)
    forecast, blend, trend = found[others], found[blended], found[alone]
    lines = {
        "forecast": _on(groups, forecast, forecast and forecast.expected),
        "forecast_low": _on(groups, forecast, forecast and forecast.low),
        "forecast_high": _on(groups, forecast, forecast and forecast.high),
        "trend": _on(groups, trend, trend and trend.step.expected),
        "synthetic": _on(groups, blend, blend and blend.expected),
    }
    compared = [each.groups for each in (forecast, blend) if each is not None]
    return WithoutTheChange(
        table=laid_out(rungs).assign(measure=said["measure_name"], unit=said["unit"]),
        **said,
        verdict=_verdict(main, said["better"]),
        design=main.design,
        estimate=main.estimate,
        low=main.low,
        high=main.high,
        passed=main.passed,
        confidence=asked["confidence"],
        change_on=f"{alone.day_of(asked['change_on']):%Y-%m-%d}",
        treated=groups.changed_sites,
        before=int((~groups.after).sum()),
        after=int(groups.after.sum()),
        n=groups.n,
        others=len(compared[0].other_sites) if compared else 0,
        p=blend.p if blend else np.nan,
        least_p=1 / blend.placebos if blend else np.nan,
        weeks=tuple(f"{pd.Timestamp(each):%Y-%m-%d}" for each in groups.periods),
        observed=tuple(groups.changed.tolist()),
        **lines,
    )


def _on(groups: alone.Groups, answer: object, values: np.ndarray | None) -> tuple[float, ...]:
    """A design's line in the weeks of the picture; empty if the design was refused."""
    if answer is None:
        return ()
    return tuple(pd.Series(values, index=answer.groups.periods).reindex(groups.periods).tolist())


def _verdict(main: Rung, better: str) -> str:
    if main.low <= 0 <= main.high or main.passed == "no":
        return NO_CHANGE
    return "improved" if (main.estimate > 0) == (better == "higher") else "worsened"


def _times_and_unit(unit: str) -> tuple[float, str]:
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)
