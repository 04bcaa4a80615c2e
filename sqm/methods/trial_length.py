"""How many weeks must a trial run to see an effect?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.autocorrelation import (
    Persistence,
    needed_ratio,
    persistence,
    power_of,
    variance_of_change,
    variance_of_mean,
    weeks_of,
)
from sqm.checks import Problem, need_share, need_whole
from sqm.finding import Finding, counted
from sqm.interval import digits_for, spell

LONGEST = 260  # weeks that are looked at: five years
CONTROL, ALONE = "against control sites", "before and after"
MEASURED, IGNORED = "as measured", "ignored"
POWERS = (0.8, 0.9)
LONELY = "One site on each side cannot be compared: what happens to a single site has no measure."
HALF_A_YEAR = 26
CURVE = 60  # weeks that the picture shows at most
CHANCES_SHOWN = 0.9  # level of the picture's band


@dataclass(frozen=True, eq=False)
class TrialLength(Finding):
    """Weeks that a trial needs until an effect of a given size would be seen.

    Attributes
    ----------
    table : DataFrame, one row per design, power and way of taking neighbouring weeks
        ``design`` ('against control sites', 'before and after'); ``power``; ``neighbours`` ('as
        measured', or 'ignored': the mistake); ``estimate, low, high``, weeks after the change,
        NaN beyond 260; ``never``, share of the draws in which no trial of up to 260 weeks
        is long enough; ``note``.
    weeks, low, high : float
        Of the first design at the first power; NaN where more than 260 would be needed.
    ignored : float
        The same if neighbouring weeks were taken as unlike.
    design : str
    effect, power, confidence : float
        Effect to be seen, in the unit of the measure; chance of seeing it; level of the test and of
        every interval.
    correlation, correlation_low, correlation_high : float
        Of a site's week with its next, what all sites share taken away.
    week_sd : float
        Standard deviation of a site's week, what all sites share taken away.
    shared_correlation, shared_sd : float
        The same of the mean of all sites, which moves a comparison of before and after.
    measure_name, unit, remark : str
        ``remark``: why control sites that were planned are not used; empty otherwise.
    treated, control, sites, weeks_seen, weeks_before : int
    sites_left_out, weeks_left_out : int
    smallest, smallest_low, smallest_high : float
        Smallest effect that 26 weeks after the change would show, by the first design.
    curve_weeks, curve, curve_low, curve_high : tuple of float
        Chance of seeing the effect by weeks, and its 90 % band, of the first design.
    """

    weeks: float
    low: float
    high: float
    ignored: float
    design: str
    effect: float
    power: float
    confidence: float
    correlation: float
    correlation_low: float
    correlation_high: float
    week_sd: float
    shared_correlation: float
    shared_sd: float
    measure_name: str
    unit: str
    remark: str
    treated: int
    control: int
    sites: int
    weeks_seen: int
    weeks_before: int
    sites_left_out: int
    weeks_left_out: int
    smallest: float
    smallest_low: float
    smallest_high: float
    curve_weeks: tuple[float, ...]
    curve: tuple[float, ...]
    curve_low: tuple[float, ...]
    curve_high: tuple[float, ...]

    def sentence(self) -> str:
        return f"{self._answer()}\n{' '.join(filter(None, self._rest()))}"

    def _answer(self) -> str:
        what = f"{self._amount(self.effect)} in {self.measure_name}"
        chance = f"with {self.power:.0%} power, {self._how()}"
        if np.isnan(self.weeks):
            least = ""
            if np.isfinite(self.low):
                least = f" ({self.confidence * 100:.4g}% interval: {self.low:.0f} weeks or more)"
            return f"No trial of up to {LONGEST} weeks is enough{least} to see {what} {chance}."
        level = f"{self.confidence * 100:.4g}% interval"
        high = f"{self.high:.0f}" if np.isfinite(self.high) else f"beyond {LONGEST}"
        weeks = f"{counted(int(self.weeks), 'week')} ({level} {self.low:.0f} to {high})"
        return f"{weeks} to see {what} {chance}."

    def _how(self) -> str:
        if self.design == CONTROL:
            return f"{self.treated} sites with the change against {self.control} without"
        return f"{counted(self.treated, 'site')} before and after"

    def _amount(self, value: float) -> str:
        times, unit = _times_and_unit(self.unit)
        digits = digits_for(0, 2 * abs(value * times))
        return f"{value * times:+,.{digits}f}" + (f" {unit}" if unit else "")

    def _rest(self) -> list[str]:
        times, unit = _times_and_unit(self.unit)
        spread = f"{self.week_sd * times:.3g}" + (f" {unit}" if unit else "")
        return [
            self._smallest(),
            self._mistake(),
            self._other(),
            self.remark,
            f"It rests on {counted(self.weeks_seen, 'week')} of {counted(self.sites, 'site')}"
            f"{self._gone()}: a site's week varies by {spread} (standard deviation beyond what all"
            f" sites share) and correlates with its next by {self.correlation:.2f}"
            f" ({self.correlation_low:.2f} to {self.correlation_high:.2f}); the interval of the"
            " weeks carries what is not known of both.",
            f"The {counted(self.weeks_before, 'week')} just before the change are the comparison;"
            f" a difference is called seen at {(1 - self.confidence) * 100:.3g} % error, either"
            " side.",
            "It takes sites as alike in size and spread, the change as working from the first week"
            " and alike at every site, and the weeks to come as like those seen.",
        ]

    def _gone(self) -> str:
        gone = [
            counted(number, noun)
            for number, noun in ((self.sites_left_out, "site"), (self.weeks_left_out, "week"))
            if number
        ]
        return f" ({' and '.join(gone)} with gaps left out)" if gone else ""

    def _smallest(self) -> str:
        times, unit = _times_and_unit(self.unit)
        values = [v * times for v in (self.smallest, self.smallest_low, self.smallest_high)]
        spelt = spell(
            *values, confidence=self.confidence, digits=digits_for(*values[1:]), unit=unit
        )
        return f"In {HALF_A_YEAR} weeks the smallest effect that would be seen so often is {spelt}."

    def _mistake(self) -> str:
        """How wrong the answer is that takes neighbouring weeks as unlike."""
        if np.isnan(self.ignored) or np.isnan(self.weeks):
            return ""
        off = self.weeks - self.ignored
        if abs(off) < 1:
            return "Taking neighbouring weeks as unlike would say as many."
        word = "few" if off > 0 else "many"
        return (
            f"Taking neighbouring weeks as unlike would say {self.ignored:.0f}, {abs(off):.0f} too"
            f" {word}."
        )

    def _other(self) -> str:
        other = self.table[
            (self.table["design"] != self.design)
            & (self.table["power"] == self.power)
            & (self.table["neighbours"] == MEASURED)
        ]
        if other.empty:
            return ""
        found = other["estimate"].iloc[0]
        told = (
            f"needs {counted(int(found), 'week')}" if np.isfinite(found) else "is never long enough"
        )
        return (
            f"Before and after alone {told}, and cannot tell the change from anything else that"
            " came with it."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        colour = look.MEANING["usual"]
        band = f"{CHANCES_SHOWN:.0%} of what the weeks seen allow"
        ax.fill_between(
            self.curve_weeks, self.curve_low, self.curve_high, color=colour, alpha=0.2, lw=0,
            label=band,
        )  # fmt: skip
        ax.plot(self.curve_weeks, self.curve, color=colour, lw=1.8, label=self.design)
        ax.axhline(self.power, color=look.MEANING["limit"], ls="--", lw=1)
        last = self.curve_weeks[-1]
        if self.weeks <= last:
            colour = look.MEANING["better"]
            high = min(self.high, last) if np.isfinite(self.high) else last
            ax.hlines(self.power, self.low, high, color=colour, lw=1.8)
            ax.plot(
                self.weeks, self.power, look.MARKER["better"], color=colour, ls="",
                label=f"weeks for {self.power:.0%} power ({self.confidence * 100:.4g}% interval)",
            )  # fmt: skip
        ax.set_ylim(0, 1.02)
        ax.legend(
            frameon=False,
            fontsize="small",
            loc="lower right" if self.curve[-1] > 0.5 else "upper left",
        )
        return look.label(
            ax,
            title="How many weeks must a trial run to see the effect?",
            x="weeks after the change",
            y=f"chance to see {self._amount(self.effect)}",
        )


def _times_and_unit(unit: str) -> tuple[float, str]:
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)


def trial_length(
    panel: pd.DataFrame,
    *,
    effect: float,
    treated: int,
    control: int,
    weeks_before: int | None = None,
    measure_name: str,
    unit: str = "",
    power: float = 0.8,
    confidence: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> TrialLength:
    """Say how many weeks a trial must run until an effect would be seen.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period`` (first day of the week), ``n``, ``mean``, from weeks without the
        change, as `sqm.methods.effect.site_weeks` makes it.
    effect : float
        Effect to be seen, in the unit of ``mean``; its sign is for the words.
    treated, control : int
        Sites with the change and without it; ``control`` 0 leaves before and after alone.
    weeks_before : int, optional
        Weeks before the change that it is compared with; as many as the panel has if not given.
    measure_name, unit : str
        For the words; ``share`` marks a proportion, told in percentage points.
    power, confidence : float
        Chance of seeing the effect; level of the two-sided test and of the intervals.
    draws : int, default 1000
    rng : Generator

    Returns
    -------
    TrialLength

    Raises
    ------
    Refusal
        If the panel has fewer than 12 whole weeks, or never varies.
    Problem
        If the effect is 0, or there are not enough sites in the plan.

    Notes
    -----
    A site's week is a site's level, what all sites share in that week, and a first-order
    autoregression of its own; both moving parts are learnt by restricted likelihood (see
    `sqm.autocorrelation.persistence`).  With b weeks before and n after, a site's change has
    variance s^2 (v(b) + v(n) - 2 c(b, n)), v that of a mean of weeks in a row and c the covariance
    of neighbouring means.  Against control sites it is s^2 (1 / m1 + 1 / m0) times that and the
    test is Student's on the sites' changes, m1 + m0 - 2 degrees of freedom; before and after what
    sites share is added and the degrees are those that the effective number of weeks leaves.
    The weeks are those at which noncentral t reaches the power.  Estimate and interval are the
    median and the outer quantiles over draws from the restricted likelihood; as weeks are whole,
    the interval holds the truth a little more often than it says.

    Examples
    --------
    Unlike weeks: a site's change has variance 4 (1 / 50 + 1 / n) and the difference of 4 and 4
    sites half of that: 0.450 squared at 13 weeks, and 3.33 of these (6 degrees of freedom) are 1.5.

    >>> rng = np.random.default_rng(2)
    >>> weeks = pd.date_range("2025-01-06", periods=50, freq="7D")
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 9, "mean": rng.normal(0, 2)}
    ...                       for s in "ABCDEFGH" for w in weeks])
    >>> found = trial_length(panel, effect=1.5, treated=4, control=4, measure_name="wait",
    ...                      unit="min", rng=rng)
    >>> found.low <= 13 <= found.high
    True
    """
    _need_plan(effect, treated, control, weeks_before, power, confidence)
    seen = weeks_of(panel, fewest_sites=2 if control else 1)
    before = len(seen.at) if weeks_before is None else weeks_before
    spread = _learn(seen.means, seen.at, draws, rng)
    plan = _Plan(effect, treated, control, before, confidence)
    powers = tuple(dict.fromkeys([power, *POWERS]))
    designs = [CONTROL, ALONE] if control and treated + control > 2 else [ALONE]
    table = pd.DataFrame(
        [
            _row(plan, spread, design, each, how)
            for design in designs
            for each in powers
            for how in (MEASURED, IGNORED)
        ]
    )
    first, naive = table.iloc[0], table.iloc[1]
    low, high = np.quantile(
        spread.own.correlations, [(1 - confidence) / 2, (1 + confidence) / 2]
    ).tolist()
    return TrialLength(
        table=table,
        weeks=float(first["estimate"]),
        low=float(first["low"]),
        high=float(first["high"]),
        ignored=float(naive["estimate"]),
        design=designs[0],
        effect=float(effect),
        power=power,
        confidence=confidence,
        correlation=spread.own.correlation,
        correlation_low=low,
        correlation_high=high,
        week_sd=float(np.sqrt(spread.own.variance)),
        shared_correlation=spread.shared.correlation,
        shared_sd=float(np.sqrt(spread.shared.variance)),
        measure_name=measure_name,
        unit=unit,
        remark=LONELY if control and designs == [ALONE] else "",
        treated=treated,
        control=control if designs[0] == CONTROL else 0,
        sites=len(seen.sites),
        weeks_seen=len(seen.at),
        weeks_before=before,
        sites_left_out=seen.sites_left_out,
        weeks_left_out=seen.weeks_left_out,
        **_smallest(plan, spread, designs[0], power),
        **_curve(plan, spread, designs[0], float(first["estimate"])),
    )


def _need_plan(effect, treated, control, weeks_before, power, confidence) -> None:
    need_share(power, name="power")
    need_share(confidence, name="confidence")
    number = isinstance(effect, int | float) and not isinstance(effect, bool)
    if not number or not np.isfinite(effect) or effect == 0:
        raise Problem(
            f"The effect to be seen is {effect}.", "give the smallest change that would matter."
        )
    need_whole(treated, name="treated", least=1)
    need_whole(control, name="control", least=0)
    if weeks_before is not None:
        need_whole(weeks_before, name="weeks_before", least=1)


@dataclass(frozen=True, eq=False)
class _Spread:
    """How single sites wander beyond what they share, and how the mean of all of them does."""

    own: Persistence
    shared: Persistence
    sites: int


def _learn(values: np.ndarray, at: np.ndarray, draws: int, rng) -> _Spread:
    shared = persistence(values.mean(axis=0, keepdims=True), at=at, draws=draws, rng=rng)
    if len(values) == 1:
        return _Spread(shared, shared, 1)
    own = persistence(values, at=at, shared=True, draws=draws, rng=rng)
    return _Spread(own, shared, len(values))


@dataclass(frozen=True)
class _Plan:
    effect: float
    treated: int
    control: int
    before: int
    confidence: float

    def ratio(self, weeks, spread: _Spread, design: str, how: str) -> np.ndarray:
        """Effect over its standard error, (draws, weeks)."""
        own, shared = spread.own, spread.shared
        change = self._change(weeks, own, how)
        if design == CONTROL:
            return abs(self.effect) / np.sqrt(change * (1 / self.treated + 1 / self.control))
        more = max(1 / self.treated - 1 / spread.sites, 0) if spread.sites > 1 else 0.0
        variance = self._change(weeks, shared, how) + more * change
        return abs(self.effect) / np.sqrt(variance)

    def _change(self, weeks, part: Persistence, how: str) -> np.ndarray:
        if how == IGNORED:
            return part.plain_variances[:, None] * (1 / self.before + 1 / weeks)
        r = part.correlations[:, None]
        return part.variances[:, None] * variance_of_change(self.before, weeks, r)

    def degrees(self, weeks, spread: _Spread, design: str, how: str) -> np.ndarray:
        """Degrees of freedom of the test, (draws, weeks) or fewer."""
        if design == CONTROL:
            return np.full((1, len(weeks)), float(self.treated + self.control - 2))
        r = 0.0 if how == IGNORED else np.maximum(spread.shared.correlations[:, None], 0.0)
        worth = 1 / variance_of_mean(self.before, r) + 1 / variance_of_mean(weeks, r)
        return np.maximum(worth - 2, 1.0)


def _row(plan: _Plan, spread: _Spread, design: str, power: float, how: str) -> dict:
    """Weeks that are enough, over the draws."""
    weeks = np.arange(1, LONGEST + 1)
    ratio = plan.ratio(weeks, spread, design, how)
    needed = needed_ratio(
        plan.degrees(weeks, spread, design, how), power=power, confidence=plan.confidence
    )
    enough = ratio >= needed
    found = np.where(enough.any(axis=1), enough.argmax(axis=1) + 1.0, np.inf)
    tails = [(1 - plan.confidence) / 2, 0.5, (1 + plan.confidence) / 2]
    low, middle, high = np.quantile(found, tails, method="inverted_cdf")
    never = float(np.isinf(found).mean())
    return {
        "design": design,
        "power": power,
        "neighbours": how,
        "estimate": _within(middle),
        "low": _within(low),
        "high": _within(high),
        "never": never,
        "note": f"{never:.1%} of draws: not even {LONGEST} weeks are enough" if never else "",
    }


def _within(weeks: float) -> float:
    """Weeks that were looked at; NaN beyond them."""
    return float(weeks) if np.isfinite(weeks) else np.nan


def _smallest(plan: _Plan, spread: _Spread, design: str, power: float) -> dict[str, float]:
    """Smallest effect that half a year shows: the one that reaches the power exactly."""
    weeks = np.array([HALF_A_YEAR])
    error = abs(plan.effect) / plan.ratio(weeks, spread, design, MEASURED)
    degrees = plan.degrees(weeks, spread, design, MEASURED)
    found = error * needed_ratio(degrees, power=power, confidence=plan.confidence)
    tails = [0.5, (1 - plan.confidence) / 2, (1 + plan.confidence) / 2]
    names = ("smallest", "smallest_low", "smallest_high")
    return dict(zip(names, np.quantile(found, tails).tolist(), strict=True))


def _curve(plan: _Plan, spread: _Spread, design: str, found: float) -> dict:
    """Power by weeks: the middle of the draws and the band of nine tenths."""
    last = int(np.clip(2 * found if np.isfinite(found) else CURVE, 12, CURVE))
    weeks = np.unique(np.linspace(1, last, 24).round())
    ratio = plan.ratio(weeks, spread, design, MEASURED)
    degrees = np.broadcast_to(plan.degrees(weeks, spread, design, MEASURED), ratio.shape)
    tails = [(1 - CHANCES_SHOWN) / 2, 0.5, (1 + CHANCES_SHOWN) / 2]
    ratios = np.quantile(ratio, tails, axis=0)
    middle = np.median(degrees, axis=0)
    low, mid, high = power_of(ratios, middle, confidence=plan.confidence)
    return {
        "curve_weeks": tuple(weeks.tolist()),
        "curve": tuple(mid.tolist()),
        "curve_low": tuple(low.tolist()),
        "curve_high": tuple(high.tolist()),
    }
