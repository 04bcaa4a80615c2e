"""How can the roll-out make its own control group?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.autocorrelation import (
    WEEK,
    Weeks,
    correlations_of,
    needed_ratio,
    persistence,
    power_of,
    variance_of_change,
    variance_of_mean,
    weeks_of,
)
from sqm.checks import Problem, Refusal, need_columns, need_share, need_whole
from sqm.clock import read_day
from sqm.finding import Finding, counted
from sqm.interval import digits_for, spell

ORDERS = 2_000  # orders among which the balanced ones are kept
BALANCED = 0.1  # share of them that is kept, of which one is drawn
FEW_SITES = 12  # below which few sites are warned of: a convention of sqm
WEDGE, PARALLEL, ALONE = "stepped wedge", "half of the sites at once", "all sites at once"


@dataclass(frozen=True, eq=False)
class Rollout(Finding):
    """In what order the sites change, drawn by chance and balanced.

    Attributes
    ----------
    table : DataFrame, one row per site in the order of changing
        ``site``; ``step``, from 1; ``changes_on``, date; ``n``, records a week; ``baseline``, mean
        before; ``region`` where given; and one column per period, named by its first day, 0 before
        the change and 1 after.
    steps, weeks_per_step, sites : int
    first_day, last_day : str
        First day of the first period, in which no site has changed, and last day of the last.
    periods : tuple of str
        First day of each period.
    imbalance : float
        Share of the differences between sites (size, baseline, region) that goes with the step, 0
        to 1; the less, the less the order can be mistaken for the change.
    usual_imbalance : float
        The same of an order drawn without balancing, in the median.
    balanced_on : tuple of str
    measure_name : str
    """

    steps: int
    weeks_per_step: int
    sites: int
    first_day: str
    last_day: str
    periods: tuple[str, ...]
    imbalance: float
    usual_imbalance: float
    balanced_on: tuple[str, ...]
    measure_name: str

    def sentence(self) -> str:
        few = ""
        if self.sites < FEW_SITES:
            few = (
                f" With {self.sites} sites a single odd one weighs much: plan to compare orders"
                " drawn by chance (a permutation test) beside the model."
            )
        return (
            f"{self.sites} sites change in {counted(self.steps, 'step')} of"
            f" {counted(self.weeks_per_step, 'week')}, from {self.periods[1]} on; the sites still"
            " waiting are the control group.\n"
            f"The order was drawn by chance among those that are balanced on"
            f" {', '.join(self.balanced_on)}: {self.imbalance:.0%} of the differences between sites"
            f" goes with the step, {self.usual_imbalance:.0%} in a usual order. From"
            f" {self.first_day} nothing is changed for {counted(self.weeks_per_step, 'week')}, and"
            f" the last period ends on {self.last_day}. Keep the dates: a site that changes when it"
            " is ready, or because it is doing badly, is no control any more. Every site changes in"
            f" the end; what moves everywhere is told from the change by those still waiting.{few}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        grid = self.table[list(self.periods)].to_numpy()
        for (row, column), changed in np.ndenumerate(grid):
            what = "better" if changed else "limit"
            ax.plot(column, row, look.MARKER["better" if changed else "usual"], ms=8,
                    color=look.MEANING[what], mfc=None if changed else "none")  # fmt: skip
        ax.step(
            *_stairs(grid), where="mid", color=look.MEANING["usual"], lw=1.2, label="the change"
        )
        ax.set_yticks(range(len(grid)), [look.shorten(str(each)) for each in self.table["site"]])
        names = [period[5:] for period in self.periods]
        ax.set_xticks(range(len(names)), names, rotation=0 if len(names) < 9 else 60)
        ax.set_ylim(len(grid) - 0.5, -0.5)
        return look.label(
            ax,
            title="When does each site change, and who is still the control?",
            x="first day of the period (filled: with the change)",
        )


def _stairs(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line between waiting and changed sites."""
    changed = grid.sum(axis=0)
    return np.arange(len(changed)), changed - 0.5


def stepped_wedge(
    panel: pd.DataFrame,
    *,
    steps: int,
    first_day: str,
    weeks_per_step: int = 4,
    regions: Mapping[str, str] | None = None,
    measure_name: str = "the measure",
    rng: np.random.Generator,
) -> Rollout:
    """Draw the order in which sites change, so that those still waiting are the control group.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean`` from weeks before the change, as
        `sqm.methods.effect.site_weeks` makes it.
    steps : int
        Steps by which all sites change, at least 2 and at most as many as sites.
    first_day : str
        First day of the first period, in which no site has changed yet: ``2026-01-12``.
    weeks_per_step : int, default 4
    regions : dict of site to region, optional
        Balanced too.
    measure_name : str
        For the words.
    rng : Generator
        Draws the order.

    Returns
    -------
    Rollout

    Raises
    ------
    Refusal
        If there are fewer than 4 sites, or too few weeks of each to balance by.
    Problem
        If the steps, the day or the regions do not make sense.

    Notes
    -----
    Constrained randomisation [1]_: of 2,000 orders the tenth with least imbalance is kept and one
    of these is drawn.  Imbalance is the mean over size, baseline and regions of the share of the
    variance between sites that lies between steps.

    References
    ----------
    .. [1] Moulton, L. H. (2004). Covariate-based constrained randomization of group-randomized
       trials. Clinical Trials 1, 297-305. doi:10.1191/1740774504cn024oa

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=12, freq="7D")
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 9, "mean": float(i + j % 3)}
    ...                       for i, s in enumerate("ABCD") for j, w in enumerate(weeks)])
    >>> plan = stepped_wedge(panel, steps=2, first_day="2025-06-02", rng=np.random.default_rng(1))
    >>> plan.table[list(plan.periods)].sum().tolist()
    [0, 2, 4]
    """
    seen = weeks_of(panel, fewest_sites=4)
    first = read_day(first_day)
    if not (isinstance(steps, int) and 2 <= steps <= len(seen.sites)):
        raise Problem(
            f"steps is {steps!r} for {len(seen.sites)} sites.",
            f"give a whole number from 2 to {len(seen.sites)}.",
        )
    need_whole(weeks_per_step, name="weeks_per_step", least=1)
    traits, names = _traits(seen, regions)
    step, imbalance, usual = _order(traits, steps, rng)
    periods = [first + WEEK * weeks_per_step * i for i in range(steps + 1)]
    days = tuple(f"{day:%Y-%m-%d}" for day in periods)
    table = pd.DataFrame(
        {
            "site": list(seen.sites),
            "step": step,
            "changes_on": [days[each] for each in step],
            "n": seen.size,
            "baseline": seen.means.mean(axis=1),
        }
    )
    if regions:
        table["region"] = [str(regions[site]) for site in seen.sites]
    for i, day in enumerate(days):
        table[day] = (step <= i).astype(int)
    table = table.sort_values(["step", "site"], ignore_index=True)
    last = periods[-1] + WEEK * weeks_per_step - pd.Timedelta(days=1)
    return Rollout(
        table=table,
        steps=steps,
        weeks_per_step=weeks_per_step,
        sites=len(seen.sites),
        first_day=days[0],
        last_day=f"{last:%Y-%m-%d}",
        periods=days,
        imbalance=imbalance,
        usual_imbalance=usual,
        balanced_on=names,
        measure_name=measure_name,
    )


def _traits(seen: Weeks, regions: Mapping[str, str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """What the steps shall not differ in: (sites, traits), each of equal weight."""
    groups = [seen.size[:, None], seen.means.mean(axis=1)[:, None]]
    names = ["size", "baseline"]
    if regions:
        lost = [site for site in seen.sites if site not in regions]
        if lost:
            raise Problem(f"{lost[0]!r} has no region.", "give the region of every site, or none.")
        codes, known = pd.factorize(pd.Series([str(regions[s]) for s in seen.sites]), sort=True)
        groups.append((codes[:, None] == np.arange(len(known))).astype(float))
        names.append("region")
    kept = []
    for group in groups:
        centred = group - group.mean(axis=0)
        total = (centred**2).sum()
        if total > 0:
            kept.append(centred / np.sqrt(total))
    if not kept:
        return np.zeros((len(seen.sites), 1)), tuple(names)
    return np.column_stack(kept) / np.sqrt(len(kept)), tuple(names)


def _order(
    traits: np.ndarray, steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, float, float]:
    """Step of each site, its imbalance, and that of a usual order."""
    sites = len(traits)
    even = np.arange(sites) * steps // sites + 1
    orders = rng.permuted(np.tile(even, (ORDERS, 1)), axis=1)
    found = np.zeros(ORDERS)
    for step in range(1, steps + 1):
        here = orders == step
        found += ((here @ traits) ** 2).sum(axis=1) / here.sum(axis=1)
    kept = np.argsort(found, kind="stable")[: int(ORDERS * BALANCED)]
    chosen = int(rng.choice(kept))
    return orders[chosen], float(found[chosen]), float(np.median(found))


# --- What it would show ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RolloutPower(Finding):
    """How small an effect the staged roll-out would show, beside other ways of rolling out.

    Attributes
    ----------
    table : DataFrame, one row per design
        ``design``; ``estimate, low, high``, smallest effect that would be seen with the power
        asked for, in the unit of the measure; ``power, power_low, power_high``, chance to see the
        effect that was named; ``standard_error`` of the effect; ``degrees_of_freedom``; ``note``.
    smallest, low, high : float
        Smallest effect that the staged roll-out would show.
    seen, seen_low, seen_high : float
        Chance that it shows the effect that was named, 0 to 1.
    hussey_hughes : float
        Standard error by the closed form of Hussey and Hughes, which takes a site's periods as
        independent once its level is allowed for.
    effect, power, confidence : float
    correlation, week_sd, site_sd : float
        Of a site's week with its next; standard deviations of a week and of the sites' levels.
    measure_name, unit : str
    sites, steps, weeks_per_step, weeks_seen : int
    """

    smallest: float
    low: float
    high: float
    seen: float
    seen_low: float
    seen_high: float
    hussey_hughes: float
    effect: float
    power: float
    confidence: float
    correlation: float
    week_sd: float
    site_sd: float
    measure_name: str
    unit: str
    sites: int
    steps: int
    weeks_per_step: int
    weeks_seen: int

    def sentence(self) -> str:
        times, unit = _times_and_unit(self.unit)
        limits = (self.low * times, self.high * times)
        found = spell(
            self.smallest * times, *limits, confidence=self.confidence,
            digits=digits_for(*limits), unit=unit,
        )  # fmt: skip
        parts = [self._chance(), self._others(), self._model(), self._caution()]
        return (
            f"The staged roll-out would show an effect of {found} in {self.measure_name} with"
            f" {self.power:.0%} power.\n{' '.join(parts)}"
        )

    def _chance(self) -> str:
        times, unit = _times_and_unit(self.unit)
        chance = spell(
            self.seen * 100, self.seen_low * 100, self.seen_high * 100,
            confidence=self.confidence, digits=0, unit="%",
        )  # fmt: skip
        return (
            f"An effect of {self.effect * times:g} {unit}".rstrip() + f" would be seen in {chance}."
        )

    def _others(self) -> str:
        times, _ = _times_and_unit(self.unit)
        rest = self.table[self.table["design"] != WEDGE].dropna(subset="estimate")
        told = [f"{row.design} {row.estimate * times:.3g}" for row in rest.itertuples()]
        return (
            f"In as many weeks the smallest effect would be, in the same unit: {'; '.join(told)}."
            " All sites at once cannot tell the change from whatever else comes with it, so its"
            " number is a promise that nothing else moves."
        )

    def _model(self) -> str:
        times, unit = _times_and_unit(self.unit)
        return (
            f"It rests on {counted(self.weeks_seen, 'week')} of {counted(self.sites, 'site')}: a"
            f" site's week varies by {self.week_sd * times:.3g} {unit}".rstrip()
            + f", correlates with its next by {self.correlation:.2f}, and sites differ by"
            f" {self.site_sd * times:.3g} (standard deviations). The model of the analysis has a"
            " level for each site (random) and week, and the change; Hussey and Hughes' closed"
            f" form, without the likeness of neighbouring weeks, has a standard error of"
            f" {self.hussey_hughes * times:.3g}, this one"
            f" {self.table['standard_error'].iloc[0] * times:.3g}."
        )

    def _caution(self) -> str:
        few = (
            f" With {self.sites} sites, Student's t of sites less 2 is a rough allowance."
            if self.sites < FEW_SITES
            else ""
        )
        return (
            "It takes the change as working at once, alike everywhere, and sites as alike in"
            f" size.{few}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        times, unit = _times_and_unit(self.unit)
        shown = self.table.assign(**(self.table[["estimate", "low", "high"]] * times))
        look.dots(ax, shown, names=shown["design"])
        ax.axvline(
            abs(self.effect) * times, color=look.MEANING["limit"], ls="--", label="effect wanted"
        )
        ax.set_xlim(left=0)
        ax.legend(frameon=False, fontsize="small")
        return look.label(
            ax,
            title="How small an effect would each way of rolling out show?",
            x=f"smallest effect seen with {self.power:.0%} power" + (f" ({unit})" if unit else ""),
        )


def _times_and_unit(unit: str) -> tuple[float, str]:
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)


def hussey_hughes_variance(changed: np.ndarray, *, within: float, between: float) -> float:
    """Variance of the effect of a stepped wedge by the closed form of Hussey and Hughes.

    Parameters
    ----------
    changed : ndarray, shape (sites, periods)
        0 and 1.
    within : float
        Variance of the mean of one site in one period about the site's level.
    between : float
        Variance of the sites' levels.

    Notes
    -----
    I s^2 (s^2 + T t^2) / ((I U - W) s^2 + (U^2 + I T U - T W - I V) t^2) with U the sum of the
    table, W the sum of squared sums of periods, V that of sites, s^2 within and t^2 between.
    Hussey, M. A., Hughes, J. P. (2007). Contemporary Clinical Trials 28, 182-191.
    doi:10.1016/j.cct.2006.05.007

    Examples
    --------
    Two sites, three periods, sites alike (between 0): weeks and the change alone; only in the
    middle period do sites differ, so that the variance is 1 + 1.

    >>> hussey_hughes_variance(np.array([[0, 1, 1], [0, 0, 1]]), within=1.0, between=0.0)
    2.0
    """
    sites, periods = changed.shape
    u = changed.sum()
    w, v = (changed.sum(axis=0) ** 2).sum(), (changed.sum(axis=1) ** 2).sum()
    below = (sites * u - w) * within
    below += (u**2 + sites * periods * u - periods * w - sites * v) * between
    return float(sites * within * (within + periods * between) / below)


def rollout_power(
    panel: pd.DataFrame,
    plan: pd.DataFrame,
    *,
    effect: float,
    weeks_per_step: int = 4,
    measure_name: str,
    unit: str = "",
    power: float = 0.8,
    confidence: float = 0.95,
    draws: int = 400,
    rng: np.random.Generator,
) -> RolloutPower:
    """Say how small an effect a staged roll-out would show.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        As for `stepped_wedge`.
    plan : DataFrame, one row per site
        The table of `stepped_wedge`: ``site``, ``step`` and a column per period.
    effect : float
        Effect that matters, in the unit of ``mean``.
    weeks_per_step : int, default 4
    measure_name, unit : str
        For the words; ``share`` marks a proportion, told in percentage points.
    power, confidence : float
    draws : int, default 400
    rng : Generator

    Returns
    -------
    RolloutPower

    Raises
    ------
    Refusal
        If the panel has too few weeks or sites.

    Notes
    -----
    Weeks of a site have variance t^2 + s^2 and covariance t^2 + s^2 r^|i - j|, learnt by restricted
    likelihood; all weeks have a level of their own.  As the sites' covariance V is one and the
    same, the variance of the effect by generalised least squares is 1 / sum d_i' V^-1 d_i, d_i the
    weeks with the change less their mean over sites; with r = 0 and periods for weeks it is
    Hussey and Hughes' closed form.  Half of the sites at once is judged by the same model; all at
    once by the mean of all sites, with no week's level of its own.  Degrees of freedom: sites less
    2.  Limits are quantiles over draws of s, r and t.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=30, freq="7D")
    >>> rng = np.random.default_rng(1)
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 9, "mean": rng.normal()}
    ...                       for s in "ABCDEF" for w in weeks])
    >>> plan = stepped_wedge(panel, steps=3, first_day="2026-01-12", rng=rng)
    >>> found = rollout_power(panel, plan.table, effect=1.0, measure_name="wait", rng=rng)
    >>> 0.6 < found.smallest < 1.3, found.seen > 0.5
    (True, True)
    """
    need_share(power, name="power")
    need_share(confidence, name="confidence")
    if not (np.isfinite(effect) and effect != 0):
        raise Problem(f"The effect is {effect}.", "give the smallest change that would matter.")
    seen = weeks_of(panel, fewest_sites=4)
    changed = _by_week(plan, weeks_per_step)
    if len(changed) < 4:
        raise Refusal(f"The plan has {len(changed)} sites.", "plan with four sites or more.")
    spread = _learn(seen, draws, rng)
    designs = _designs(changed, spread)
    table = pd.DataFrame(
        [_design_row(name, *found, effect, power, confidence) for name, *found in designs]
    )
    first = table.iloc[0]
    periods = changed[:, ::weeks_per_step]
    within = spread.best[1] * float(variance_of_mean(weeks_per_step, 0.0))
    closed = hussey_hughes_variance(periods, within=within, between=spread.best[2])
    return RolloutPower(
        table=table,
        smallest=float(first["estimate"]),
        low=float(first["low"]),
        high=float(first["high"]),
        seen=float(first["power"]),
        seen_low=float(first["power_low"]),
        seen_high=float(first["power_high"]),
        hussey_hughes=float(np.sqrt(closed)),
        effect=float(effect),
        power=power,
        confidence=confidence,
        correlation=spread.best[0],
        week_sd=float(np.sqrt(spread.best[1])),
        site_sd=float(np.sqrt(spread.best[2])),
        measure_name=measure_name,
        unit=unit,
        sites=len(changed),
        steps=int(plan["step"].max()),
        weeks_per_step=weeks_per_step,
        weeks_seen=len(seen.at),
    )


def _by_week(plan: pd.DataFrame, weeks_per_step: int) -> np.ndarray:
    """The plan as sites by weeks, 0 and 1."""
    need_columns(plan, ["site", "step"], source="The plan")
    step = plan["step"].to_numpy(dtype=int)
    if step.min() < 1 or len(np.unique(step)) < 2:
        raise Problem("The plan has fewer than two steps.", "give the table of stepped_wedge.")
    period = np.repeat(np.arange(step.max() + 1), weeks_per_step)
    return (step[:, None] <= period).astype(float)


@dataclass(frozen=True, eq=False)
class _Spread:
    """Correlation, variance of a week and of the sites' levels: best, and draws by rows."""

    best: tuple[float, float, float]
    drawn: np.ndarray  # (draws, 3)
    shared: np.ndarray  # (1 + draws, 2): correlation and variance of the mean of all sites


def _learn(seen: Weeks, draws: int, rng: np.random.Generator) -> _Spread:
    own = persistence(seen.means, at=seen.at, shared=True, draws=draws, rng=rng)
    mean = seen.means.mean(axis=0, keepdims=True)
    shared = persistence(mean, at=seen.at, draws=draws, rng=rng)
    sites, weeks = seen.means.shape
    r = np.r_[own.correlation, own.correlations]
    s2 = np.r_[own.variance, own.variances]
    levels = seen.means.mean(axis=1).var(ddof=1)
    chance = np.r_[1.0, rng.chisquare(sites - 1, draws) / (sites - 1)]
    t2 = np.maximum(levels / chance - s2 * variance_of_mean(weeks, r), 0.0)
    all_of_them = np.column_stack([r, s2, t2])
    return _Spread(
        best=tuple(all_of_them[0].tolist()),
        drawn=all_of_them[1:],
        shared=np.column_stack(
            [
                np.r_[shared.correlation, shared.correlations],
                np.r_[shared.variance, shared.variances],
            ]
        ),
    )


def _designs(changed: np.ndarray, spread: _Spread) -> list[tuple]:
    """Standard errors (best, then draws) and degrees of freedom of each way of rolling out."""
    sites, weeks = changed.shape
    parts = np.vstack([spread.best, spread.drawn])
    first = int(np.argmax(changed.any(axis=0)))
    half = np.zeros_like(changed)
    half[: sites // 2, first:] = 1
    r, variance = spread.shared.T
    alone = np.sqrt(variance * variance_of_change(first, weeks - first, r))
    held = 1 / variance_of_mean(first, np.maximum(r, 0.0))
    held = held + 1 / variance_of_mean(weeks - first, np.maximum(r, 0.0)) - 2
    return [
        (WEDGE, _errors(changed, parts), np.full(len(parts), sites - 2.0), ""),
        (PARALLEL, _errors(half, parts), np.full(len(parts), sites - 2.0), ""),
        (ALONE, alone, np.maximum(held, 1.0), "only if nothing else moves"),
    ]


def _errors(changed: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Standard error of the effect by generalised least squares, one per row of parts."""
    apart = changed - changed.mean(axis=0)
    at = np.arange(changed.shape[1])
    products = apart.T @ apart
    found = []
    for r, s2, t2 in parts:
        inverse = np.linalg.inv(t2 + s2 * correlations_of(at, r))
        found.append((inverse * products).sum())
    return 1 / np.sqrt(np.array(found))


def _design_row(name, errors, degrees, note, effect, power, confidence) -> dict:
    smallest = errors * needed_ratio(degrees, power=power, confidence=confidence)
    seen = power_of(abs(effect) / errors, degrees, confidence=confidence)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(smallest[1:], tails)
    power_low, power_high = np.quantile(seen[1:], tails)
    return {
        "design": name,
        "estimate": float(np.median(smallest[1:])),
        "low": float(low),
        "high": float(high),
        "power": float(np.median(seen[1:])),
        "power_low": float(power_low),
        "power_high": float(power_high),
        "standard_error": float(errors[0]),
        "degrees_of_freedom": float(degrees[0]),
        "note": note,
    }
