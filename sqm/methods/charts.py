"""Is the process steady?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_rows, need_share
from sqm.clock import local
from sqm.finding import Finding, counted

D2 = 2 / np.sqrt(np.pi)  # mean range of two standard normal values
SIGMAS = 3.0
FEWEST_PERIODS = 12
FEWEST_EXPECTED = 2.0  # below it a lone defect is beyond the limits: 0.4 expected gives 3 % alarms
FEW_EXPECTED = 9.0  # below it the lower 3 sigma limit of a count lies under zero
ALIKE = 0.95  # steady processes whose neighbouring periods are less alike than is remarked upon


@dataclass(frozen=True, eq=False)
class PPrime(Finding):
    """Laney's p' chart of a share of defects, with limits frozen from a baseline.

    Attributes
    ----------
    table : DataFrame, one row per period, in order of time
        ``period``; ``n`` cases and ``defects`` among them; ``rate``; ``z``,
        the distance from the centre in sigma'; ``centre``, ``low``, ``high``,
        the limits at that n; ``signal``, ``worse``, ``better`` or empty;
        ``rule``, what gave the signal; ``baseline``, whether the limits rest
        on this period.
    centre : float
        Share of defects over the baseline, 0 to 1.
    sigma_z : float
        Spread from period to period over what counting alone would give.
    periods, baseline_periods, left_out : int
        Periods drawn; those among them the limits rest on; periods without a case.
    worse, better : int
        Periods that signal, by direction.
    first_since : str
        First day of the first period after the baseline that signals, or empty.
    run_limit : int
        Longest run on one side of the centre that gives no signal.
    false_alarm, false_alarm_since, per_point : float
        Chance that a steady process would signal at least once over the whole
        chart, and in the periods after the baseline (0 if there are none);
        chance for a single period to lie beyond the limits.
    autocorrelation : float
        Correlation of neighbouring baseline periods.
    alike : bool
        Whether it is larger than in 95 of 100 steady processes.
    false_alarm_alike : float
        ``false_alarm`` if neighbours are as alike as that; NaN unless ``alike``.
    expected : float
        Defects (or non-defects, if fewer) expected in the median baseline period.
    target : float
        Share that is aimed at; NaN if none was given.
    """

    centre: float
    sigma_z: float
    periods: int
    baseline_periods: int
    left_out: int
    worse: int
    better: int
    first_since: str
    run_limit: int
    false_alarm: float
    false_alarm_since: float
    per_point: float
    autocorrelation: float
    alike: bool
    false_alarm_alike: float
    expected: float
    target: float

    def sentence(self) -> str:
        since = self.periods - self.baseline_periods
        words = [
            f"{self._found()} A signal is a period beyond {SIGMAS:g} sigma' or more than "
            f"{self.run_limit} in a row on one side of the centre ({self.centre:.1%}, from "
            f"{self.baseline_periods} baseline periods; they spread {self.sigma_z:.2f} times as "
            f"widely as counting alone would make them). "
            f"A steady process would show at least one signal in {self.periods} such periods with "
            f"a chance of {self.false_alarm:.0%}"
            + (f", in the {since} since the baseline {self.false_alarm_since:.0%}" if since else "")
            + f"; a single period lies beyond the limits with a chance of {self.per_point:.2%}."
        ]
        return " ".join([*words, *self._cautions()])

    def _found(self) -> str:
        if self.worse + self.better == 0:
            return f"None of {self.periods} periods signals."
        first = f" (since the baseline first on {self.first_since})" if self.first_since else ""
        return (
            f"{self.worse + self.better} of {self.periods} periods signal: {self.worse} for the "
            f"worse, {self.better} for the better{first}."
        )

    def _cautions(self) -> list[str]:
        words = []
        if self.alike:
            words.append(
                f"Neighbouring baseline periods are alike (correlation "
                f"{self.autocorrelation:.2f}), so these chances do not hold: over the whole chart "
                f"it would be about {self.false_alarm_alike:.0%}."
            )
        if self.expected < FEW_EXPECTED:
            words.append(
                f"With {self.expected:.1f} of the rarer outcome expected in a typical period the "
                f"chart can hardly show a fall of it in one period."
            )
        if self.left_out:
            words.append(f"{counted(self.left_out, 'period')} without a case left out.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, table = look.axes(ax), self.table
        limit = {"color": look.MEANING["limit"], "lw": 1.2}
        ax.step(table["period"], table["low"] * 100, where="mid", **limit)
        ax.step(table["period"], table["high"] * 100, where="mid", **limit, label="limits")
        ax.axhline(self.centre * 100, **limit, ls="--", label="centre of the baseline")
        if np.isfinite(self.target):
            ax.axhline(self.target * 100, color=look.MEANING["other"], ls=":", label="target")
        ax.plot(table["period"], table["rate"] * 100, color=look.MEANING["usual"], lw=0.8)
        for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
            some = table[table["signal"] == signal]
            ax.plot(some["period"], some["rate"] * 100, **_marker(what), label=signal or None)
        if self.baseline_periods < self.periods:
            after = table.loc[~table["baseline"], "period"].iloc[0]
            ax.axvline(after, color=look.MEANING["limit"], ls=":", label="baseline ends")
        ax.legend(
            fontsize="small", frameon=False, ncols=6, loc="upper left", bbox_to_anchor=(0, -0.18)
        )
        return look.label(
            look.dates(ax), title="Is the process steady?", x="period", y="share of defects (%)"
        )


def p_prime_chart(
    periods: pd.DataFrame,
    *,
    period: str = "period",
    defects: str = "defects",
    n: str = "n",
    baseline_until: str | None = None,
    better: str = "lower",
    target: float | None = None,
    simulations: int = 10_000,
    rng: np.random.Generator,
) -> PPrime:
    """Chart a share of defects against limits that allow for more than counting noise.

    Parameters
    ----------
    periods : DataFrame, one row per period
        Columns ``period`` (its first day), ``defects`` and ``n`` (cases).
    baseline_until : str, optional
        A date: periods that begin before it are the baseline, from which the
        limits come; all of them if not given.
    better : {"lower", "higher"}, default "lower"
        Which way the share should go.
    target : float, optional
        Share that is aimed at, 0 to 1; it is drawn, the limits do not depend on it.
    simulations : int, default 10_000
        Steady processes from which the false-alarm rates are counted.
    rng : Generator

    Returns
    -------
    PPrime

    Raises
    ------
    Problem
        If a column is missing, a period comes twice, or there are more defects than cases.
    Refusal
        If the baseline has fewer than 12 periods, expects fewer than two
        defects (or non-defects) in its median period, or never varies.

    Notes
    -----
    z_i = (p_i - p) / sqrt(p (1 - p) / n_i) with p the share over the
    baseline; sigma_z is the mean moving range of its z over 2 / sqrt(pi)
    (unscreened and unrounded) and the limits are
    p ± 3 sigma_z sqrt(p (1 - p) / n_i) [1]_.  A run on one side of the centre
    signals when it is longer than round(log2(m) + 3), m the baseline periods
    off the centre [2]_; all of its periods are marked, and the length stays as
    it is when weeks are added.

    The false-alarm rates are those of this rule set: beta-binomial counts with
    the same n, the baseline's share and the standard deviation of its z (at
    least 1) are charted in the same way, each with limits from its own
    baseline, so the noise of the limits and the coarseness of small counts are
    in the rates.  They hold for independent periods that spread like a beta;
    where log-odds spread like a normal variable, simulation found 22 % where
    19 % was stated (52 periods, share 0.1, sigma_z 1.8).

    References
    ----------
    .. [1] Laney, D. B. (2002). Improved control charts for attributes.
       Quality Engineering 14, 531-537. doi:10.1081/QEN-120003555
    .. [2] Anhøj, J., Olesen, A. V. (2014). Run charts revisited. PLoS ONE
       9(11), e113825. doi:10.1371/journal.pone.0113825

    Examples
    --------
    10 and 20 defects of 100 in turn: the centre is 0.15, neighbours always
    differ by 0.1 / sqrt(0.15 * 0.85 / 100) = 2.8006, over 1.1284 gives 2.482.

    >>> weeks = pd.DataFrame({"period": pd.date_range("2025-01-06", periods=12, freq="7D"),
    ...                       "defects": [10, 20] * 6, "n": 100})
    >>> chart = p_prime_chart(weeks, simulations=100, rng=np.random.default_rng(1))
    >>> chart.centre, round(chart.sigma_z, 3), chart.worse + chart.better
    (0.15, 2.482, 0)
    """
    used = _usable(periods, period=period, defects=defects, n=n)
    _need_direction(better)
    base = _in_baseline(used["period"], baseline_until)
    centre, sigma_z, expected = _limits(used, base)
    z = _z(used, centre) / sigma_z
    allowed = longest_run_allowed(int((z[base] != 0).sum()))
    table = _chart_table(used, base, centre, sigma_z).assign(
        **_signals(z, SIGMAS, allowed, worse_above=better == "lower")
    )
    return PPrime(
        table=table[[*_COLUMNS, "signal", "rule", "baseline"]],
        **_counted(table, left_out=len(periods) - len(used)),
        centre=centre,
        sigma_z=sigma_z,
        expected=expected,
        run_limit=allowed,
        target=np.nan if target is None else float(target),
        **_chances(used["n"].to_numpy(), base, centre, z * sigma_z, allowed, simulations, rng),
    )


def longest_run_allowed(useful: int) -> int:
    """Longest run on one side of the centre that chance explains among ``useful`` points.

    Examples
    --------
    log2(24) + 3 = 7.58, rounded 8.

    >>> longest_run_allowed(24)
    8
    """
    return round(np.log2(max(useful, 1)) + 3)


@dataclass(frozen=True, eq=False)
class Steadiness(Finding):
    """Which critical-to-quality characteristics were steady over a stretch.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``; ``periods``; ``steady``, ``yes``, ``no`` or ``cannot say``;
        ``signals``, periods that signal; ``centre``, the share of defects, and
        ``low`` and ``high``, its limits in a period of median n; ``sigma_z``;
        ``limit_sigma`` and ``run_limit``, the rule in use; ``false_alarm``,
        the chance that a steady process would signal at least once under it;
        ``autocorrelation`` of neighbouring periods; ``note``.
    budget : float
        Chance of a false verdict per CTQ that the rule was made for.
    judged, steady : int
        CTQs with a verdict, and those called steady.
    point_ctq, point_period : tuple of str
        CTQ and first day of each point in the picture.
    point_z : tuple of float
        Its distance from the centre over the distance of the limit.
    point_signal : tuple of str
        ``worse`` (more defects), ``better`` or empty.
    """

    budget: float
    judged: int
    steady: int
    point_ctq: tuple[str, ...]
    point_period: tuple[str, ...]
    point_z: tuple[float, ...]
    point_signal: tuple[str, ...]

    def sentence(self) -> str:
        if not self.judged:
            return "Of no CTQ can be said whether it was steady: " + self._unsaid()
        unsteady = self.table[self.table["steady"] == "no"]
        words = [f"{self.steady} of {self.judged} CTQs judged show no sign of being unsteady."]
        if len(unsteady):
            each = [
                f"{row.ctq} ({row.signals} of {row.periods} periods)"
                for row in unsteady.itertuples()
            ]
            words.append(f"Not steady: {', '.join(each)}.")
        together = min(1.0, self.budget * self.judged)  # a bound however they hang together
        words[-1] += "\n"
        words.append(
            f"The rule (limits and longest run, set for each CTQ by simulation) calls a steady CTQ "
            f"unsteady with a chance of {self.budget:.0%}"
            + (
                f"; at least one of {self.judged} steady ones with up to {together:.0%}."
                if self.judged > 1
                else "."
            )
        )
        alike = self.table.loc[self.table["note"].str.startswith("neighbouring"), "ctq"]
        if len(alike):
            words.append(
                f"Neighbouring periods are alike for {', '.join(alike)}: "
                "there the chance of a false verdict is larger (see the table)."
            )
        if self.judged < len(self.table):
            words.append("Cannot say: " + self._unsaid())
        return " ".join(words).replace("\n ", "\n")

    def _unsaid(self) -> str:
        rest = self.table[self.table["steady"] == "cannot say"]
        return "; ".join(f"{row.ctq} ({row.note})" for row in rest.itertuples()) + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        points = pd.DataFrame(
            {
                "ctq": self.point_ctq,
                "period": pd.to_datetime(list(self.point_period)),
                "z": np.array(self.point_z, dtype=float),
                "signal": self.point_signal,
            }
        )
        for lane, ctq in enumerate(self.table["ctq"]):
            for offset, style in ((-0.35, "-"), (0, ":"), (0.35, "-")):
                ax.axhline(lane + offset, color=look.MEANING["limit"], lw=0.8, ls=style)
            _draw_lane(ax, points[points["ctq"] == ctq], lane)
        names = [
            f"{look.shorten(row.ctq, width=28)}\nsteady: {row.steady}"
            for row in self.table.itertuples()
        ]
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        for what in ("worse", "better"):
            ax.plot([], [], **_marker(what), label=f"signal, {what}")
        ax.legend(
            fontsize="small", frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2
        )
        return look.label(
            look.dates(ax), title="Was it steady?", x="period (lines: the limits; up: more defects)"
        )


def steadiness(
    weekly: pd.DataFrame,
    *,
    baseline_until: str | None = None,
    rng: np.random.Generator,
    simulations: int = 10_000,
    budget: float = 0.05,
) -> Steadiness:
    """Judge CTQ by CTQ whether a stretch was steady, at a known chance of a false verdict.

    Parameters
    ----------
    weekly : DataFrame, one row per CTQ and period
        Columns ``ctq``, ``period`` (first day), ``defects`` and ``n`` (cases).
    baseline_until : str, optional
        A date: only periods that begin before it are judged.
    rng : Generator
    simulations : int, default 10_000
    budget : float, default 0.05
        Chance with which a steady CTQ may be called unsteady.

    Returns
    -------
    Steadiness
        A CTQ of fewer than 12 periods, with fewer than two defects expected in
        its median period, or that never varies gets ``cannot say``.

    Raises
    ------
    Problem
        If a column is missing, a period comes twice, or there are more defects than cases.

    Notes
    -----
    One p' chart per CTQ (see `p_prime_chart`), but the rule is made for the
    length of the stretch, since three sigma limits cry wolf the more often the
    more periods are looked at.  Steady processes of the same n, share and
    spread are simulated and charted, limits estimated from each.  Half of the
    budget goes to runs: the longest run allowed is the smallest whole number
    exceeded in no more than that share of them.  The rest goes to single
    points: the limits are widened to the distance at which the share of steady
    processes with any signal is the budget.
    ``yes`` means no sign of the contrary: a small or slow change may go unseen.

    Examples
    --------
    >>> weekly = pd.DataFrame({
    ...     "ctq": "answered in time", "n": 100, "defects": [10, 20, 20, 10] * 3,
    ...     "period": pd.date_range("2025-01-06", periods=12, freq="7D")})
    >>> steadiness(weekly, rng=np.random.default_rng(1), simulations=500).table["steady"][0]
    'yes'
    """
    need_columns(weekly, ["ctq", "period", "defects", "n"], source="the counts per CTQ and period")
    need_share(budget, name="budget")
    names = list(dict.fromkeys(weekly["ctq"]))
    if not names:
        raise Refusal(
            "No CTQ could be counted over a whole period.",
            "see in the baseline which lack their table or measure; else collect whole weeks.",
        )
    lanes = [
        _lane(weekly[weekly["ctq"] == name], str(name), baseline_until, each, simulations, budget)
        for name, each in zip(names, rng.spawn(len(names)), strict=True)
    ]
    table = pd.DataFrame([row for row, _ in lanes])
    points = pd.concat([points for _, points in lanes], ignore_index=True)
    return Steadiness(
        table=table,
        budget=budget,
        judged=int((table["steady"] != "cannot say").sum()),
        steady=int((table["steady"] == "yes").sum()),
        point_ctq=tuple(points["ctq"].tolist()),
        point_period=tuple(points["period"].tolist()),
        point_z=tuple(points["z"].tolist()),
        point_signal=tuple(points["signal"].tolist()),
    )


@dataclass(frozen=True, eq=False)
class ControlCharts(Finding):
    """The charts of all CTQs, their limits frozen from the baseline.

    Attributes
    ----------
    table : DataFrame, one row per CTQ and period
        ``ctq``, then the columns of `PPrime.table`, then ``false_alarm`` and
        ``false_alarm_since``: the chances that a steady process signals at
        least once in the latest periods, and in all since the baseline.  Where
        neighbouring baseline periods are alike they are those of a process
        whose neighbours are as much alike, if these are larger.
    alike : tuple of str
        CTQs of which that is so.
    last : int
        How many of the latest periods those are.
    charted : int
        CTQs with a chart.
    refused : tuple of str
        The others, each with the reason.
    """

    alike: tuple[str, ...]
    last: int
    charted: int
    refused: tuple[str, ...]

    def sentence(self) -> str:
        since = self.table[~self.table["baseline"]]
        counts = since[since["signal"] != ""].groupby(["ctq", "signal"], sort=False).size()
        told = [f"{ctq} in {n} (for the {signal})" for (ctq, signal), n in counts.items()]
        words = [
            f"{counted(self.charted, 'CTQ')} charted. Signals in the {since['period'].nunique()} "
            f"periods since the baseline: {', '.join(told) or 'none'}.\n"
            f"The limits rest on the baseline alone. {self._rates()}"
        ]
        if self.alike:
            words.append(
                f"That allows for neighbouring periods being alike in {', '.join(self.alike)}."
            )
        if self.refused:
            words.append(f"No chart: {'; '.join(self.refused)}.")
        return " ".join(words)

    def _rates(self) -> str:
        chance = self.table.groupby("ctq")[["false_alarm_since", "false_alarm"]].first()
        low, high = chance.min(), chance.max()
        since, last = (
            f"{low[name]:.0%} to {high[name]:.0%}" if self.charted > 1 else f"{low[name]:.0%}"
            for name in chance
        )
        return (
            f"A steady CTQ would signal at least once since with a chance of {since}, "
            f"in the last {self.last} periods {last}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = list(dict.fromkeys(self.table["ctq"]))
        for lane, (_, rows) in enumerate(self.table.groupby("ctq", sort=False)):
            for offset, style in ((-0.35, "-"), (0, ":"), (0.35, "-")):
                ax.axhline(lane + offset, color=look.MEANING["limit"], lw=0.8, ls=style)
            _draw_lane(ax, rows.assign(z=rows["z"] / SIGMAS), lane)
        after = self.table.loc[~self.table["baseline"], "period"]
        if len(after):
            ax.axvline(after.min(), color=look.MEANING["limit"], ls="--", label="baseline ends")
        ax.set_yticks(range(len(names)), [look.shorten(name, width=28) for name in names])
        ax.set_ylim(len(names) - 0.4, -0.6)
        for what in ("worse", "better"):
            ax.plot([], [], **_marker(what), label=f"signal, {what}")
        ax.legend(
            fontsize="small", frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3
        )
        return look.label(
            look.dates(ax),
            title="Has it left its limits?",
            x="period (lines: the limits; up: more defects)",
        )


def control_charts(
    weekly: pd.DataFrame,
    *,
    baseline_until: str | None = None,
    last: int = 4,
    rng: np.random.Generator,
    simulations: int = 10_000,
) -> ControlCharts:
    """Chart every CTQ against limits frozen from its baseline.

    Parameters
    ----------
    weekly : DataFrame, one row per CTQ and period
        Columns ``ctq``, ``period`` (first day), ``defects`` and ``n`` (cases).
    baseline_until : str, optional
        A date: limits rest on the periods that begin before it; on all but
        the ``last`` if none is given.
    last : int, default 4
        Latest periods for which the chance of a false alarm is told.
    rng : Generator
    simulations : int, default 10_000

    Returns
    -------
    ControlCharts
        A CTQ whose baseline cannot bear limits is among ``refused``.

    Notes
    -----
    One p' chart per CTQ, see `p_prime_chart`; all signals count defects, so
    fewer is better.  The chances hold for the baseline's length, and for limits
    that are not made anew.

    Examples
    --------
    >>> weekly = pd.DataFrame({
    ...     "ctq": "answered in time", "n": 100, "defects": [10, 20] * 8,
    ...     "period": pd.date_range("2025-01-06", periods=16, freq="7D")})
    >>> charts = control_charts(weekly, rng=np.random.default_rng(1), simulations=200)
    >>> charts.charted, int(charts.table["baseline"].sum())
    (1, 12)
    """
    need_columns(weekly, ["ctq", "period", "defects", "n"], source="the counts per CTQ and period")
    names = list(dict.fromkeys(weekly["ctq"]))
    charts, refused = [], []
    for name, each in zip(names, rng.spawn(len(names)), strict=True):
        rows = weekly[weekly["ctq"] == name]
        try:
            charts.append(_frozen(rows, baseline_until, last, each, simulations))
        except Refusal as why:
            refused.append(f"{name} ({why.what[0].lower()}{why.what[1:].rstrip('.')})")
    if not charts:
        raise Refusal(
            "No CTQ can be charted: "
            f"{'; '.join(refused) or 'none could be counted over a whole period'}.",
            "collect more periods, or count over longer ones.",
        )
    return ControlCharts(
        table=pd.concat(charts, ignore_index=True).drop(columns="alike"),
        alike=tuple(each["ctq"].iloc[0] for each in charts if each["alike"].iloc[0]),
        last=last,
        charted=len(charts),
        refused=tuple(refused),
    )


def _frozen(rows, baseline_until, last, rng, simulations) -> pd.DataFrame:
    """One CTQ's chart, with the chance of a false alarm in its latest periods."""
    until = baseline_until or str(rows["period"].sort_values().iloc[-min(last, len(rows))])
    chart = p_prime_chart(rows, baseline_until=until, simulations=simulations, rng=rng)
    base, n = chart.table["baseline"].to_numpy(), chart.table["n"].to_numpy()
    z = _z(chart.table, chart.centre)
    shares = _steady_shares(n, chart.centre, _spread(z[base]), simulations, rng)
    steady = [_standardised(shares, n, base)]
    if chart.alike:
        steady.append(_alike(n, base, chart.autocorrelation, simulations, rng))
    alarms = [_alarms(each, chart.run_limit) for each in steady]
    watched = np.arange(len(n)) >= len(n) - last
    lately, since = (
        float(max(each[:, periods & ~base].any(axis=1).mean() for each in alarms))
        for periods in (watched, np.ones(len(n), dtype=bool))
    )
    return chart.table.assign(
        ctq=rows["ctq"].iloc[0], false_alarm=lately, false_alarm_since=since, alike=chart.alike
    )[["ctq", *chart.table.columns, "false_alarm", "false_alarm_since", "alike"]]


# --- The data at the door -------------------------------------------------------------------------

_COLUMNS = ["period", "n", "defects", "rate", "z", "centre", "low", "high"]


def _usable(periods: pd.DataFrame, *, period: str, defects: str, n: str) -> pd.DataFrame:
    """The periods with a case, in order of time, under the house's own names."""
    source = "the counts per period"
    need_columns(periods, [period, defects, n], source=source)
    table = pd.DataFrame(
        {"period": periods[period], "defects": periods[defects], "n": periods[n]}
    ).sort_values("period", kind="stable")
    twice = table[table["period"].duplicated()]
    if len(twice):
        raise Problem(
            f"{source}: {twice['period'].iloc[0]} comes twice (first rows: {first_rows(twice)}).",
            "sum each period into one row.",
        )
    table = table[table["n"].fillna(0) != 0].reset_index(drop=True)
    off = table[~table["defects"].between(0, table["n"]) | (table["n"] < 0)]
    if len(off):
        raise Problem(
            f"{source}: {len(off)} periods have defects below 0, blank, or above their cases "
            f"(first: {off['period'].iloc[0]}).",
            "count the defects among the cases of the same period.",
        )
    return table.astype({"defects": float, "n": float})


def _need_direction(better: str) -> None:
    if better not in ("lower", "higher"):
        raise Problem(f"better is {better!r}.", "say 'lower' or 'higher'.")


def _in_baseline(period: pd.Series, until: str | None) -> np.ndarray:
    if until is None:
        return np.ones(len(period), dtype=bool)
    if not pd.api.types.is_datetime64_any_dtype(period):
        raise Problem("The periods are no dates.", "give each period's first day as a date.")
    return (local(period) < pd.Timestamp(until)).to_numpy()


def _limits(used: pd.DataFrame, base: np.ndarray) -> tuple[float, float, float]:
    """Centre, sigma_z and the count expected in a typical baseline period, or a refusal."""
    rows = used[base]
    need_rows(rows, FEWEST_PERIODS, source="The baseline", why="a chart's limits (in periods)")
    centre = float(rows["defects"].sum() / rows["n"].sum())
    expected = float(rows["n"].median()) * min(centre, 1 - centre)
    if expected < FEWEST_EXPECTED:
        raise Refusal(
            f"A typical period expects {expected:.1f} defects (or non-defects), where limits need "
            f"{FEWEST_EXPECTED:g}: a lone one would be an alarm.",
            "count over longer periods, or watch the time from one to the next.",
        )
    sigma_z = float(np.abs(np.diff(_z(rows, centre))).mean() / D2)
    if sigma_z == 0:
        raise Refusal(
            "The share is the same in every baseline period.",
            "check how the defects were counted; real counts vary.",
        )
    return centre, sigma_z, expected


def _z(rows: pd.DataFrame, centre: float) -> np.ndarray:
    share = (rows["defects"] / rows["n"]).to_numpy()
    return (share - centre) / np.sqrt(centre * (1 - centre) / rows["n"].to_numpy())


# --- One chart ------------------------------------------------------------------------------------


def _chart_table(used: pd.DataFrame, base: np.ndarray, centre: float, sigma_z: float):
    half = SIGMAS * sigma_z * np.sqrt(centre * (1 - centre) / used["n"])
    return used.assign(
        defects=used["defects"].astype(int) if _whole(used["defects"]) else used["defects"],
        n=used["n"].astype(int) if _whole(used["n"]) else used["n"],
        rate=used["defects"] / used["n"],
        z=_z(used, centre) / sigma_z,
        centre=centre,
        low=np.maximum(centre - half, 0.0),
        high=np.minimum(centre + half, 1.0),
        baseline=base,
    )


def _whole(values: pd.Series) -> bool:
    return bool((values == values.round()).all())


def _signals(z: np.ndarray, k: float, allowed: int, *, worse_above: bool) -> dict[str, np.ndarray]:
    """Mark each period: beyond the limits, part of a run that is too long, or neither."""
    beyond, run = np.abs(z) > k, _in_long_run(z, allowed)
    worse = (z > 0) == worse_above
    rules = ["beyond the limits, long run", "beyond the limits", "long run"]
    return {
        "signal": np.where(beyond | run, np.where(worse, "worse", "better"), ""),
        "rule": np.select([beyond & run, beyond, run], rules, default=""),
    }


def _in_long_run(z: np.ndarray, allowed: int) -> np.ndarray:
    """Periods of every run on one side of the centre longer than ``allowed``.

    A period exactly on the centre neither breaks a run nor counts in it.
    """
    off = np.flatnonzero(z)
    side = np.sign(z[off])
    number = np.cumsum(np.r_[True, side[1:] != side[:-1]]) if len(off) else np.array([], dtype=int)
    marked = np.zeros(len(z), dtype=bool)
    marked[off] = np.bincount(number)[number] > allowed
    return marked


def _counted(table: pd.DataFrame, *, left_out: int) -> dict:
    since = table.loc[~table["baseline"] & (table["signal"] != ""), "period"]
    return {
        "periods": len(table),
        "baseline_periods": int(table["baseline"].sum()),
        "left_out": left_out,
        "worse": int((table["signal"] == "worse").sum()),
        "better": int((table["signal"] == "better").sum()),
        "first_since": str(since.iloc[0])[:10] if len(since) else "",
    }


def _autocorrelation(z: np.ndarray) -> np.ndarray:
    """Correlation of neighbours along the last axis."""
    centred = z - z.mean(axis=-1, keepdims=True)
    return (centred[..., 1:] * centred[..., :-1]).sum(axis=-1) / (centred**2).sum(axis=-1)


# --- Steady processes, charted in the same way ----------------------------------------------------


def _chances(n, base, centre, z, allowed, simulations, rng) -> dict:
    """What this chart's rules do on steady processes of the same kind."""
    shares = _steady_shares(n, centre, _spread(z[base]), simulations, rng)
    steady = _standardised(shares, n, base)
    signals, usual = _alarms(steady, allowed), _usual_autocorrelation(steady[:, base])
    mine = float(_autocorrelation(z[base]))
    alike = mine > usual
    return {
        "false_alarm": float(signals.any(axis=1).mean()),
        "false_alarm_since": float(signals[:, ~base].any(axis=1).mean()),
        "per_point": float((np.abs(steady) > SIGMAS).mean()),
        "autocorrelation": mine,
        "alike": bool(alike),
        "false_alarm_alike": float(
            _alarms(_alike(n, base, mine, simulations, rng), allowed).any(axis=1).mean()
        )
        if alike
        else np.nan,
    }


def _alarms(z: np.ndarray, allowed: int) -> np.ndarray:
    return (np.abs(z) > SIGMAS) | (_running(z) > allowed)


def _spread(z: np.ndarray) -> float:
    """Standard deviation of binomial z: for a steady process surer than the moving range."""
    return float(z.std(ddof=1))


def _steady_shares(n, centre, spread, simulations, rng) -> np.ndarray:
    """Shares of steady processes, shape (simulations, periods).

    Beta-binomial with variance max(spread, 1)^2 p (1 - p) / n in each period.
    """
    size = (simulations, len(n))
    cases = np.maximum(np.round(n), 1).astype(np.int64)
    if spread <= 1:
        return rng.binomial(cases, centre, size=size) / cases
    rho = np.clip((spread**2 - 1) / np.maximum(cases - 1, 1), 1e-12, 0.99)
    share = rng.beta(centre * (1 / rho - 1), (1 - centre) * (1 / rho - 1), size=size)
    return rng.binomial(cases, share) / cases


def _alike(n, base, correlation, simulations, rng) -> np.ndarray:
    """Standardised charts of normal processes whose neighbours are correlated."""
    z = rng.normal(size=(simulations, len(n)))
    for t in range(1, len(n)):
        z[:, t] = correlation * z[:, t - 1] + np.sqrt(1 - correlation**2) * z[:, t]
    # a share of one half with a spread so small that nothing is cut off at 0 or 1
    return _standardised(0.5 + 1e-3 * z / np.sqrt(n), n, base)


def _standardised(share: np.ndarray, n: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Each row's distance from its own centre in its own sigma'; 0 where there is no spread."""
    centre = (share[:, base] @ n[base] / n[base].sum())[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (share - centre) / np.sqrt(centre * (1 - centre) / n)
        z = z / (np.abs(np.diff(z[:, base], axis=1)).mean(axis=1, keepdims=True) / D2)
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)


def _running(z: np.ndarray) -> np.ndarray:
    """How long the run on one side has become at each period, row by row."""
    side = np.sign(z).astype(np.int8)
    last, length = np.zeros(len(z), dtype=np.int8), np.zeros(len(z), dtype=np.int32)
    running = np.zeros(z.shape, dtype=np.int32)
    for t in range(z.shape[1]):
        now = side[:, t]
        length = np.where(now == 0, length, np.where(now == last, length + 1, 1))
        last = np.where(now == 0, last, now)
        running[:, t] = np.where(now == 0, 0, length)
    return running


def _usual_autocorrelation(z: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.nanquantile(_autocorrelation(z), ALIKE))


# --- One lane of the steadiness question ----------------------------------------------------------


def _lane(rows, name, until, rng, simulations, budget) -> tuple[dict, pd.DataFrame]:
    used = _usable(rows, period="period", defects="defects", n="n")
    used = used[_in_baseline(used["period"], until)].reset_index(drop=True)
    base = np.ones(len(used), dtype=bool)
    try:
        centre, sigma_z, _ = _limits(used, base)
    except Refusal as why:
        return _no_verdict(name, used, why)
    n, z = used["n"].to_numpy(), _z(used, centre) / sigma_z
    shares = _steady_shares(n, centre, _spread(z * sigma_z), simulations, rng)
    steady = _standardised(shares, n, base)
    k, allowed, false_alarm = _rule_within(steady, budget)
    marks = _signals(z, k, allowed, worse_above=True)["signal"]
    mine = float(_autocorrelation(z))
    alike = mine > _usual_autocorrelation(steady)
    note = _alike_note(mine, _alike(n, base, mine, simulations, rng), k, allowed) if alike else ""
    half = k * sigma_z * np.sqrt(centre * (1 - centre) / np.median(n))
    signals = int((marks != "").sum())
    row = {
        "ctq": name,
        "periods": len(used),
        "steady": "no" if signals else "yes",
        "signals": signals,
        "centre": centre,
        "low": max(centre - half, 0.0),
        "high": min(centre + half, 1.0),
        "sigma_z": sigma_z,
        "limit_sigma": k,
        "run_limit": allowed,
        "false_alarm": false_alarm,
        "autocorrelation": mine,
        "note": note,
    }
    return row, _points(name, used["period"], z / k, marks)


def _no_verdict(name: str, used: pd.DataFrame, why: Refusal) -> tuple[dict, pd.DataFrame]:
    blank = dict.fromkeys(
        ["centre", "low", "high", "sigma_z", "limit_sigma", "run_limit", "false_alarm"], np.nan
    )
    row = {"ctq": name, "periods": len(used), "steady": "cannot say", "signals": 0, **blank}
    note = why.what[0].lower() + why.what[1:].rstrip(".")
    none = np.array([], dtype=object)
    return {**row, "autocorrelation": np.nan, "note": note}, _points(
        name, used["period"][:0], none, none
    )


def _points(name: str, period: pd.Series, z: np.ndarray, marks: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"ctq": name, "period": period.astype(str).str[:10], "z": z, "signal": marks}
    )


def _rule_within(steady: np.ndarray, budget: float) -> tuple[float, int, float]:
    """Limit in sigma', longest run allowed, and the share of steady processes that signal."""
    longest, farthest = _running(steady).max(axis=1), np.abs(steady).max(axis=1)
    allowed = int(np.ceil(np.quantile(longest, 1 - budget / 2, method="inverted_cdf")))
    by_run = longest > allowed
    spare = int(np.floor(budget * len(steady))) - int(by_run.sum())
    quiet = np.sort(farthest[~by_run])[::-1]
    k = float(quiet[min(max(spare, 0), len(quiet) - 1)])
    return k, allowed, float((by_run | (farthest > k)).mean())


def _alike_note(mine: float, z: np.ndarray, k: float, allowed: int) -> str:
    share = ((np.abs(z) > k) | (_running(z) > allowed)).any(axis=1).mean()
    return (
        f"neighbouring periods are alike (correlation {mine:.2f}): with as much, a process "
        f"without any change would signal with a chance of about {share:.0%}"
    )


# --- Drawing --------------------------------------------------------------------------------------


def _marker(what: str) -> dict:
    return {"marker": look.MARKER[what], "color": look.MEANING[what], "ls": "", "ms": _SIZE[what]}


_SIZE = {"usual": 3.0, "worse": 7.0, "better": 7.0}


def _draw_lane(ax: Axes, points: pd.DataFrame, lane: int) -> None:
    height = lane - 0.35 * points["z"].clip(-1.3, 1.3)
    ax.plot(points["period"], height, color=look.MEANING["usual"], lw=0.7)
    for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
        some = points["signal"] == signal
        ax.plot(points.loc[some, "period"], height[some], **_marker(what))
