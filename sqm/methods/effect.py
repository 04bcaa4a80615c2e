"""Did the change make the difference?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import need_one_of, need_share
from sqm.finding import Finding
from sqm.interval import digits_for, spell
from sqm.panel_change import (
    PERMUTATIONS,
    WEEK,
    Choices,
    Fit,
    checked,
    contradicted,
    day_of,
    each_site,
    fits_of,
    need_enough,
    usable,
)
from sqm.panel_change import site_weeks as site_weeks  # a notebook makes the panel from here

NO_CHANGE = "no change shown"
LABELS = {
    "did": "difference in differences",
    "naive": "before and after, sites with the change",
    "elsewhere": "before and after, the other sites",
    "false date": "placebo: a made-up date before the change",
    "slope": "placebo: drift apart in 13 weeks before",
}
ALONE = {"site": "site ", "untreated": "placebo: unchanged site "}

ASSUMES = {
    "naive": "nothing else changed at those sites when the change came",
    "elsewhere": "nothing: it is what moved where nothing was changed",
    "did": "without the change, both groups of sites would have moved alike (parallel trends)",
    "false date": "should hold zero: nothing was changed on that day",
    "slope": "should hold zero: before the change both groups moved alike",
    "site": "parallel trends; the site wobbles as the sites without the change do, for its size",
    "untreated": "should hold zero: nothing was changed there",
}


@dataclass(frozen=True, eq=False)
class DifferenceInDifferences(Finding):
    """What a change at some sites did, measured against the sites without it.

    Estimates are in the unit of the measure; where ``unit`` is ``share`` they
    are proportions, told in percentage points.

    Attributes
    ----------
    table : DataFrame, one row per estimate
        ``kind`` (``did``, ``naive``, ``elsewhere``, ``false date``, ``slope``,
        ``site``, ``untreated``), ``label``, ``measure``, ``unit``,
        ``estimate``, ``low``, ``high``; ``p``, for the first and the placebos
        in time from choosing other sites, for single sites from their
        interval; ``called``, the verdict where the row has one; ``n``
        (records), ``sites``, ``assumes``.
    measure_name, unit, better : str
        What was measured, in what unit, and whether lower or higher is better.
    verdict : str
        ``improved``, ``worsened`` or ``no change shown``; a change is claimed
        where the interval leaves zero out and ``p`` does not contradict it.
    estimate, low, high, p : float
        The difference in differences.
    standard_error, degrees_of_freedom : float
        Clustered by site, and of Student's t that the interval uses.
    confidence : float
        Level of every interval, 0 to 1.
    naive, naive_low, naive_high : float
        Before and after at the changed sites alone.
    elsewhere : float
        Before and after at the other sites.
    false_date, false_date_low, false_date_high : float
        The same method with a made-up date in the middle of the weeks before.
    slope, slope_low, slope_high : float
        By how much more the changed sites moved in 13 weeks before the change.
    change_on : str
        The date of the change.
    treated, untreated : tuple of str
        Sites with and without the change.
    weeks_before, weeks_after : int
        Whole weeks used.
    weeks_left_out : int
        Weeks set aside: that of a change in mid-week, or without both groups.
    sites_left_out : tuple of str
        Sites without data on both sides of the change.
    n, left_out : int
        Records used; records of those site-weeks without a value.
    called_with, called_without, tried_alone : int
        Taken alone, how many sites with and without the change are called
        changed, and how many without it could be tried.
    as_large, choices : int
        In how many of the choices of sites the difference is as large.
    all_choices : bool
        Whether every possible choice was tried, or a sample.
    weeks : tuple of str
        First day of each week used.
    gap : tuple of float
        In each week, changed minus other sites, each site less its own mean
        before the change.
    """

    measure_name: str
    unit: str
    better: str
    verdict: str
    estimate: float
    low: float
    high: float
    p: float
    standard_error: float
    degrees_of_freedom: float
    confidence: float
    naive: float
    naive_low: float
    naive_high: float
    elsewhere: float
    false_date: float
    false_date_low: float
    false_date_high: float
    slope: float
    slope_low: float
    slope_high: float
    change_on: str
    treated: tuple[str, ...]
    untreated: tuple[str, ...]
    weeks_before: int
    weeks_after: int
    weeks_left_out: int
    sites_left_out: tuple[str, ...]
    n: int
    left_out: int
    called_with: int
    called_without: int
    tried_alone: int
    as_large: int
    choices: int
    all_choices: bool
    weeks: tuple[str, ...]
    gap: tuple[float, ...]

    def sentence(self) -> str:
        parts = [self._doubt(), self._rows(), self._naive(), self._placebos(), self._assumption()]
        return f"{self._effect()}\n{' '.join(part for part in parts if part)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        _, unit = _times_and_unit(self.unit)
        meaning = {"improved": "better", "worsened": "worse"}.get(self.verdict, "usual")
        self._draw_weeks(ax, meaning)
        self._draw_step(ax, meaning)
        ax.legend(loc="upper left", frameon=False, ncols=2, fontsize="small")
        ax.margins(y=0.25)
        return look.label(
            look.dates(ax),
            title=f"Did the change make the difference? {look.shorten(self.measure_name)}",
            x=f"week (dashed: the change of {self.change_on})",
            y="changed minus other sites" + (f" ({unit})" if unit else ""),
        )

    def _draw_weeks(self, ax: Axes, meaning: str) -> None:
        """Each week's difference; after the change its shape says better or worse."""
        weeks = pd.to_datetime(list(self.weeks))
        gap = np.array(self.gap) * _times_and_unit(self.unit)[0]
        after = weeks >= pd.Timestamp(self.change_on)
        ax.plot(weeks, gap, color=look.MEANING["limit"], lw=0.8, zorder=1)
        for rows, what in ((~after, "usual"), (after, meaning)):
            ax.plot(weeks[rows], gap[rows], look.MARKER[what], color=look.MEANING[what], ms=5)

    def _draw_step(self, ax: Axes, meaning: str) -> None:
        """Nothing before the change, and after it the effect with its interval."""
        times, colour = _times_and_unit(self.unit)[0], look.MEANING[meaning]
        first, change = (pd.Timestamp(day) for day in (self.weeks[0], self.change_on))
        span = [change, pd.Timestamp(self.weeks[-1]) + WEEK]
        low, middle, high = (value * times for value in (self.low, self.estimate, self.high))
        label = f"{self.confidence * 100:.4g}% interval"
        ax.plot([first, change], [0, 0], color=look.MEANING["usual"], lw=1.6)
        ax.plot(span, [middle, middle], color=colour, lw=2, label="effect")
        ax.fill_between(span, low, high, color=colour, alpha=0.2, lw=0, label=label)
        ax.axhline(0, color=look.MEANING["limit"], lw=0.8, zorder=0)
        ax.axvline(change, color=look.MEANING["limit"], ls="--", lw=1)

    def _effect(self) -> str:
        found = {"improved": "an improvement", "worsened": "a change for the worse"}
        nothing = "too little to claim a change" if self._doubt() else "no change is shown"
        name = self.measure_name[:1].upper() + self.measure_name[1:]
        return (
            f"{name}: the {len(self.treated)} sites with the change of {self.change_on}"
            f" ({', '.join(self.treated)}) moved by"
            f" {self._words(self.estimate, self.low, self.high)} against the"
            f" {len(self.untreated)} others, {found.get(self.verdict, nothing)}."
        )

    def _rows(self) -> str:
        gone = f"; {_weeks(self.weeks_left_out)} left out" if self.weeks_left_out else ""
        if self.sites_left_out:
            gone += f"; left out for want of weeks: {', '.join(self.sites_left_out)}"
        blank = f", {self.left_out:,} more had no value" if self.left_out else ""
        return (
            f"It rests on {self.weeks_before} whole weeks before and {self.weeks_after} after;"
            f" {self.n:,} records{blank}{gone}."
        )

    def _doubt(self) -> str:
        """Where the interval leaves zero out and choosing other sites contradicts it."""
        if self.verdict != NO_CHANGE or self.low <= 0 <= self.high:
            return ""
        return (
            "The interval leaves zero out, but as large a difference comes up too often among other"
            " choices of sites."
        )

    def _naive(self) -> str:
        times, unit = _times_and_unit(self.unit)
        digits = digits_for(self.naive_low * times, self.naive_high * times)
        return (
            "Before and after at those sites alone would say"
            f" {self._words(self.naive, self.naive_low, self.naive_high)}, but the others, where"
            f" nothing was changed, moved by {self.elsewhere * times:,.{digits}f}"
            f"{f' {unit}' if unit else ''} in the same weeks."
        )

    def _placebos(self) -> str:
        tried = "all" if self.all_choices else "a sample of"
        false_date = (self.false_date, self.false_date_low, self.false_date_high)
        slope = (self.slope, self.slope_low, self.slope_high)
        return (
            "Placebos, where zero is right: a made-up date before the change gives"
            f" {self._bare(*false_date)} and the drift between the groups before it is"
            f" {self._bare(*slope)} a quarter; {self._one_by_one()};"
            f" a difference as large comes up in {self.as_large} of {tried} {self.choices:,}"
            f" choices of {len(self.treated)} sites (p = {self.p:.2g})."
        )

    def _one_by_one(self) -> str:
        if not self.tried_alone:
            return "too few sites without the change to try one alone"
        return (
            f"one by one, {self.called_with} of {len(self.treated)} sites with the change and"
            f" {self.called_without} of {self.tried_alone} without it are called changed"
            f" (chance of any false call: {(1 - self.confidence) * 100:.2g} %)"
        )

    def _bare(self, estimate: float, low: float, high: float) -> str:
        """A placebo and what it is worth: a wide interval round zero proves little."""
        times, _ = _times_and_unit(self.unit)
        digits = digits_for(low * times, high * times)
        shown = [_rounded(value * times, digits) for value in (estimate, low, high)]
        words = "{:,.{d}f} ({:,.{d}f} to {:,.{d}f}".format(*shown, d=digits)
        if low > 0 or high < 0:
            return f"{words}: not zero, distrust the effect)"
        wide = max(-low, high) >= abs(self.estimate) and self.verdict != NO_CHANGE
        return f"{words}: too wide to say much)" if wide else f"{words})"

    def _assumption(self) -> str:
        return (
            "It assumes that without the change these sites would have moved as the others did;"
            " the placebos test that on the weeks before, nothing can prove it for those after."
            " Sites chosen because they had just done badly would have improved by themselves."
        )

    def _words(self, estimate: float, low: float, high: float) -> str:
        times, unit = _times_and_unit(self.unit)
        digits = digits_for(low * times, high * times)
        limits = [_rounded(value * times, digits) for value in (estimate, low, high)]
        return spell(*limits, confidence=self.confidence, digits=digits, unit=unit)


def difference_in_differences(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    measure_name: str,
    unit: str = "",
    better: str,
    confidence: float = 0.95,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> DifferenceInDifferences:
    """Measure what a change did at some sites, with the other sites for comparison.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``, as `site_weeks` makes it;
        ``left_out`` is counted in the sentence where it is there.
    treated : list of str
        Sites with the change; two or more, and two or more without it.
    change_on : str
        Date of the change, ``2025-09-29``.  A week that has begun by then is
        neither before nor after.
    measure_name, unit : str
        For the words; ``share`` marks a proportion, told in percentage points.
    better : {"lower", "higher"}
    confidence : float, default 0.95
    rng : Generator
        Draws the choices of sites where there are too many to try all.
    permutations : int, default 4999
        The most choices of sites to try.

    Returns
    -------
    DifferenceInDifferences

    Raises
    ------
    Problem
        If a site is unknown, the date cannot be read, or a site has a week twice.
    Refusal
        With fewer than eight weeks before or two after, fewer than two sites
        with or without the change, no common weeks, or a measure that never
        varies.

    Notes
    -----
    Site means follow a site effect, a week effect and a step d at the changed
    sites, fitted by least squares with ``n`` as weights.  The standard error
    of d is clustered by site with the CR2 correction, and the interval is
    Student's with Satterthwaite's degrees of freedom [1]_ [2]_: with a dozen
    sites the normal quantile is too short.  With two periods and equal weights
    this is Welch's comparison of the sites' changes.

    Coverage of the 95 % interval, measured on simulated shares at 12 sites of
    35 to 60 contacts a day, 39 weeks before and 13 after, 4 sites changed,
    site-level shocks with autocorrelation 0.6 (1,000 years each): 0.955;
    without autocorrelation 0.946; with 0.9 0.960; sites of 10 to 150 contacts
    0.950; 12 weeks before and 4 after 0.944; 3 of 6 sites 0.950; 2 of 12 sites
    0.997 (too wide).  Where the effect itself differs between sites (sd 0.03
    round 0.10) 0.992 for the mean of these four sites, 0.926 for that of all
    sites like them.  On 300 simulated years of the contact centre that comes
    with sqm: resolved 0.960, complaints 0.967, waits 0.957, abandoned 0.980.

    The interval of one site is d_i - d +- t(m - 1) s sqrt(1/w_i + 1/sum(w)),
    where d and s come from the changes d_j of the m sites without the change,
    and w_j = 1 / (1 / n_before + 1 / n_after): a single changed site has no
    spread of its own, so that of the others is borrowed [3]_.  The sites
    without the change are tried alone in the same way against the rest of
    them, which calls 5 % of them changed at 95 %.

    A change is claimed where the interval leaves zero out, unless as large a
    difference comes up in more than 5 % (at 95 %) of 40 or more choices of
    sites.  Single sites are called changed by Holm's rule over all of them, so
    that the chance of any false call is 5 %; their intervals are one by one.
    Sites that were chosen because they had just done badly would improve by
    themselves (regression to the mean): no row here removes that.

    References
    ----------
    .. [1] Bell, R. M., McCaffrey, D. F. (2002). Bias reduction in standard
       errors for linear regression with multi-stage samples. Survey
       Methodology 28, 169-181.
    .. [2] Pustejovsky, J. E., Tipton, E. (2018). Journal of Business &
       Economic Statistics 36, 672-683. doi:10.1080/07350015.2016.1247004
    .. [3] Conley, T. G., Taber, C. R. (2011). Review of Economics and
       Statistics 93, 113-125. doi:10.1162/REST_a_00049

    Examples
    --------
    Sites A and B go from 1 to 4 and to 6; C and D from 1 to 2: the changes are
    3 and 5 against 1 and 1, so the difference in differences is 4 - 1 = 3.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> after = {"A": 4.0, "B": 6.0, "C": 2.0, "D": 2.0}
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 100, "mean": 1.0 if i < 8 else m}
    ...                       for s, m in after.items() for i, w in enumerate(weeks)])
    >>> found = difference_in_differences(
    ...     panel, treated=["A", "B"], change_on="2025-03-03", measure_name="Wait", unit="min",
    ...     better="lower", rng=np.random.default_rng(1))
    >>> round(found.estimate, 6), round(found.naive, 6), found.verdict
    (3.0, 4.0, 'no change shown')
    """
    need_share(confidence, name="confidence")
    need_one_of(better, ("lower", "higher"), name="better")
    day = day_of(change_on)
    used = usable(checked(panel, treated), day)
    need_enough(used)
    fits, chosen = fits_of(used, confidence, rng, permutations)
    did, by_chance = fits["did"], chosen["did"]
    verdict = _verdict(did, by_chance, better, confidence)
    alone = _called(each_site(used, used["after"], confidence=confidence), better, confidence)
    return DifferenceInDifferences(
        table=_table(fits, chosen, verdict, alone).pipe(_named, measure_name, unit),
        measure_name=measure_name,
        unit=unit,
        better=better,
        verdict=verdict,
        estimate=did.estimate,
        low=did.low,
        high=did.high,
        p=by_chance.p,
        standard_error=did.standard_error,
        degrees_of_freedom=did.degrees_of_freedom,
        confidence=confidence,
        **_limits("naive", fits["naive"]),
        elsewhere=fits["elsewhere"].estimate,
        **_limits("false_date", fits["false date"]),
        **_limits("slope", fits["slope"]),
        change_on=f"{day:%Y-%m-%d}",
        **_extent(panel, used),
        **_counts(alone),
        as_large=by_chance.as_large,
        choices=by_chance.choices,
        all_choices=by_chance.all_choices,
        weeks=tuple(f"{week:%Y-%m-%d}" for week in sorted(used["period"].unique())),
        gap=tuple(_weekly_gap(used).tolist()),
    )


def _extent(panel: pd.DataFrame, used: pd.DataFrame) -> dict:
    """What the answer rests on, and what was set aside."""
    sites = used.drop_duplicates("site")
    weeks = used.drop_duplicates("period")["after"]
    return {
        "treated": tuple(sites.loc[sites["treated"], "site"]),
        "untreated": tuple(sites.loc[~sites["treated"], "site"]),
        "weeks_before": int((~weeks).sum()),
        "weeks_after": int(weeks.sum()),
        "weeks_left_out": panel["period"].nunique() - len(weeks),
        "sites_left_out": tuple(sorted(set(panel["site"].astype(str)) - set(used["site"]))),
        "n": int(used["n"].sum()),
        "left_out": int(used["left_out"].sum()) if "left_out" in used else 0,
    }


# --- What goes out --------------------------------------------------------------------------------


def _called(alone: pd.DataFrame, better: str, confidence: float) -> pd.DataFrame:
    """Call single sites changed by Holm's rule, so that any false call has a known chance."""
    order = alone["p"].sort_values(kind="stable").dropna()
    limits = (1 - confidence) / np.arange(len(order), 0, -1)
    sure = order.index[np.minimum.accumulate(order.to_numpy() <= limits)]
    towards = alone["estimate"].map(lambda moved: _direction(moved, better))
    return alone.assign(called=towards.where(alone.index.isin(sure), NO_CHANGE))


def _counts(alone: pd.DataFrame) -> dict[str, int]:
    changed, treated = alone["called"] != NO_CHANGE, alone["kind"] == "site"
    return {
        "called_with": int((changed & treated).sum()),
        "called_without": int((changed & ~treated).sum()),
        "tried_alone": int((alone["low"].notna() & ~treated).sum()),
    }


def _verdict(did: Fit, by_chance: Choices, better: str, confidence: float) -> str:
    """A change is claimed where the interval and the choices, if there are enough, agree."""
    if did.low <= 0 <= did.high or contradicted(by_chance, confidence):
        return NO_CHANGE
    return _direction(did.estimate, better)


def _direction(moved: float, better: str) -> str:
    return "improved" if (moved < 0) == (better == "lower") else "worsened"


def _table(
    fits: dict[str, Fit], chosen: dict[str, Choices], verdict: str, alone: pd.DataFrame
) -> pd.DataFrame:
    groups = pd.DataFrame(
        [
            {
                "kind": kind,
                "label": label,
                "estimate": fits[kind].estimate,
                "low": fits[kind].low,
                "high": fits[kind].high,
                "p": chosen[kind].p if kind in chosen else np.nan,
                "called": verdict if kind == "did" else "",
                "n": fits[kind].n,
                "sites": fits[kind].sites,
            }
            for kind, label in LABELS.items()
        ]
    )
    alone = alone.assign(label=alone["kind"].map(ALONE) + alone["label"])
    return pd.concat([groups, alone[groups.columns]], ignore_index=True)


def _named(table: pd.DataFrame, measure: str, unit: str) -> pd.DataFrame:
    table.insert(2, "measure", measure)
    table.insert(3, "unit", unit)
    return table.assign(assumes=table["kind"].map(ASSUMES))


def _limits(name: str, fit: Fit) -> dict[str, float]:
    return {name: fit.estimate, f"{name}_low": fit.low, f"{name}_high": fit.high}


def _weekly_gap(used: pd.DataFrame) -> np.ndarray:
    """Changed minus other sites by week, each site less its own mean before the change."""
    before = used[~used["after"]]
    level = (before["mean"] * before["n"]).groupby(before["site"]).sum()
    level = level / before.groupby("site")["n"].sum()
    moved = (used["mean"] - used["site"].map(level)) * used["n"]
    by = [used["treated"], used["period"]]
    weekly = moved.groupby(by).sum() / used["n"].groupby(by).sum()
    return (weekly[True] - weekly[False]).to_numpy()


def _weeks(number: int, kind: str = "") -> str:
    return f"{number} {kind}week" + ("" if number == 1 else "s")


def _times_and_unit(unit: str) -> tuple[float, str]:
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)


def _rounded(value: float, digits: int) -> float:
    """Rounded for words, without a minus before a zero."""
    return round(value, digits) + 0.0
