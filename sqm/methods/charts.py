"""Is the process steady?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import chart_limits, look, signal_rules, steady_process
from sqm.chart_limits import FEWEST_PERIODS, Limits
from sqm.checks import (
    Problem,
    Refusal,
    need_columns,
    need_one_of,
    need_rows,
    need_share,
    need_whole,
)
from sqm.clock import local
from sqm.finding import Finding, counted, listed
from sqm.signal_rules import longest_run_allowed
from sqm.steady_process import Steady

SIGMAS = 3.0
FEWEST_EXPECTED = 2.0  # below it a lone defect is beyond the limits: 0.4 expected gives 3 % alarms
FEW_EXPECTED = 9.0  # below it the lower 3 sigma limit of a count lies under zero
UNSTEADY = 0.05  # chance of so many signals in a steady baseline, from which it is called unsteady
COUNTED = ("share", "rate", "count")
USUAL_KIND = {"share": "p'", "rate": "u'", "count": "u'", "gap": "g", "time": "t"}
SHOWN = 2  # series that the first line names for either direction
NAME_LETTERS = 26
CHARTED = ["series", "data", "period", "n", "rate", "centre", "low", "high", "z", "signal", "rule"]
CHARTED += ["baseline", "mature", "false_alarm", "false_alarm_since", "kind", "rules", "frozen"]
CHARTED += ["sigmas"]


# --- One series -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Chart(Finding):
    """The chart of one series, on its own scale.

    Attributes
    ----------
    table : DataFrame, one row per period, in order of time
        ``series``; ``data``; ``period``; ``n``; ``rate``, what is drawn; ``centre``, ``low``,
        ``high``, the limits at that n (NaN for a run chart); ``z``, the distance from the centre
        in sigmas; ``signal``, ``worse``, ``better`` or empty; ``rule``, what gave it;
        ``baseline``, whether the limits rest on this period; ``mature``, False where records may
        still come (no signal is looked for there); ``false_alarm`` and ``false_alarm_since``, as
        below; ``kind``, ``rules``, ``sigmas``; ``frozen``, whether the limits come from a ledger.
    series, data, kind, rules, sigma_method, convention : str
        What is followed, and how it is charted.
    unit : str
    centre, spread : float
        Of the newest limits, see `chart_limits.Limits`.
    sigmas : float
    periods, baseline_periods, left_out, immature, gaps : int
        Periods drawn; those the limits rest on; those without a case; those that records may still
        reach; how often one or more periods are missing between two.
    worse, better : int
        Periods that signal, by direction.
    baseline_signals : int
        Signals of the baseline if nothing after it is looked at (a run counts where it completes).
    unsteady : bool
        Whether these are more than chance explains (one in twenty), or the chance is not known.
    first_since : str
        First day of the first period after the baseline that signals, or empty.
    false_alarm, false_alarm_since, false_alarm_ever, per_point : float
        Chance that a steady process would signal at least once in the latest periods, since the
        baseline (0 if there are none), over the whole chart; and in a single period.
    last : int
        How many the latest periods are.
    run_length : float
        Mean number of periods from the end of the baseline to the first false alarm.
    autocorrelation : float
        Of neighbouring baseline periods.
    alike : bool
        Whether that is more than chance explains; the chances then allow for it.
    expected : float
        Events (or non-events, if fewer) expected in the median baseline period; NaN for others.
    target : float
        What is aimed at; NaN if none was given.
    frozen : bool
        Whether the limits are those of a ledger.
    """

    series: str
    data: str
    kind: str
    rules: str
    sigma_method: str
    convention: str
    unit: str
    centre: float
    spread: float
    sigmas: float
    periods: int
    baseline_periods: int
    left_out: int
    immature: int
    gaps: int
    worse: int
    better: int
    baseline_signals: int
    unsteady: bool
    first_since: str
    false_alarm: float
    false_alarm_since: float
    false_alarm_ever: float
    per_point: float
    last: int
    run_length: float
    autocorrelation: float
    alike: bool
    expected: float
    target: float
    frozen: bool

    def sentence(self) -> str:
        words = [self._limits(), self._chances(), *self._cautions()]
        return f"{self._found()}\n{' '.join(words)}"

    def _found(self) -> str:
        name = f"{look.shorten(self.series, width=NAME_LETTERS)}: " if self.series else ""
        watched = self.periods - self.immature
        if self.worse + self.better == 0:
            return f"{name}none of {counted(watched, 'period')} signals."
        first = f" (since the baseline first on {self.first_since})" if self.first_since else ""
        return (
            f"{name}{self.worse + self.better} of {counted(watched, 'period')} signal: "
            f"{self.worse} for the worse, {self.better} for the better{first}."
        )

    def _limits(self) -> str:
        how = ", ".join(each for each in (self.sigma_method, self.convention) if each)
        where = "frozen in the ledger" if self.frozen else "from the baseline"
        wide = (
            f" They spread {self.spread:.2f} times as widely as counting alone would make them."
            if self.kind in ("p'", "u'")
            else ""
        )
        return (
            f"A chart of kind {self.kind} (spread by {how}): centre "
            f"{_spelt(self.centre, self.data, self.unit)}, {where} of "
            f"{counted(self.baseline_periods, 'period')}.{wide} A signal is: {self.rules}."
        )

    def _chances(self) -> str:
        if np.isnan(self.false_alarm_ever):
            return "How often a steady process would signal is not known: too few baseline periods."
        since = int((~self.table["baseline"] & self.table["mature"]).sum())
        after = f", in the {since} since the baseline {self.false_alarm_since:.0%}" if since else ""
        return (
            f"A steady process would signal at least once in such a chart with a chance of "
            f"{self.false_alarm_ever:.0%}{after}. After the baseline its first false alarm comes "
            f"after {_length(self.run_length)}, on average."
        )

    def _cautions(self) -> list[str]:
        words = []
        if self.unsteady:
            words.append(_unsteady_words(self.baseline_signals, self.baseline_periods))
        if self.alike:
            words.append(
                f"Neighbouring baseline periods are alike (correlation {self.autocorrelation:.2f});"
                f" the chances allow for that."
            )
        if self.expected < FEW_EXPECTED:
            words.append(
                f"With {self.expected:.1f} of the rarer outcome expected in a typical period the "
                f"chart can hardly show a fall of it in one period."
            )
        if self.left_out:
            words.append(f"{counted(self.left_out, 'period')} without a case left out.")
        if self.gaps:
            words.append(
                f"Periods are missing in {counted(self.gaps, 'place')}: no run and no difference of"
                f" neighbours reaches across."
            )
        if self.immature:
            words.append(
                f"{counted(self.immature, 'period')} that records may still reach (grey) "
                f"{'is' if self.immature == 1 else 'are'} not judged."
            )
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, table = look.axes(ax), self.table
        times = 100 if self.data in ("share", "nps") and self.kind != "np" else 1
        limit = {"color": look.MEANING["limit"], "lw": 1.2}
        ax.step(table["period"], table["low"] * times, where="mid", **limit)
        ax.step(table["period"], table["high"] * times, where="mid", **limit, label="limits")
        ax.step(
            table["period"], table["centre"] * times, where="mid", **limit, ls="--", label="centre"
        )
        if np.isfinite(self.target):
            ax.axhline(self.target * times, color=look.MEANING["other"], ls=":", label="target")
        ax.plot(table["period"], table["rate"] * times, color=look.MEANING["usual"], lw=0.8)
        for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
            some = table[(table["signal"] == signal) & table["mature"]]
            ax.plot(some["period"], some["rate"] * times, **_marker(what), label=signal or None)
        _draw_young(ax, table["period"], table["rate"] * times, ~table["mature"])
        after = table.loc[~table["baseline"], "period"]
        if len(after):
            ax.axvline(after.iloc[0], color=look.MEANING["limit"], ls=":", label="baseline ends")
        _key(ax, y=-0.18)
        return look.label(
            look.dates(ax), title="Is the process steady?", x="period", y=self._scale()
        )

    def _scale(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return {
            "share": "number of cases" if self.kind == "np" else "share of cases (%)",
            "rate": f"events per unit{unit}",
            "count": f"events{unit}",
            "nps": "promoters less detractors (percentage points)",
            "gap": "opportunities between events",
            "time": "time between events (days)",
        }.get(self.data, f"{'spread' if self.kind == 's' else 'mean'} of the period{unit}")


def one_chart(
    periods: pd.DataFrame,
    *,
    kind: str = "",
    rules: str = "",
    sigmas: float = SIGMAS,
    sigma_method: str = "",
    convention: str = "",
    limits: Limits | None = None,
    baseline_until: str | None = None,
    last: int = 4,
    target: float | None = None,
    unit: str = "",
    simulations: int = 4_000,
    rng: np.random.Generator,
) -> Chart:
    """Chart one series against limits that are taken from its baseline, or were frozen before.

    Parameters
    ----------
    periods : DataFrame, one row per period of one series
        ``data`` (share, rate, count, mean, score, nps, gap, time), ``period`` (its first day; the
        day of the event for gap and time), ``n``, ``value`` (events of shares and rates), and where
        they are known ``series``, ``sd``, ``better`` (lower, if not given) and ``mature``.
    kind : str, optional
        Of `chart_limits.KINDS`; if not given p' for shares, u' for rates and counts, i' for means
        whose ``sd`` is known, else xmr, g for gaps, t for times.
    rules : str, optional
        What is a signal, see `signal_rules`; beyond the limits and the longest run if not given.
    sigmas : float, default 3
        Where the limits are drawn.
    sigma_method, convention : str, optional
        See `chart_limits.limits_from`.
    limits : Limits, optional
        Frozen ones; then kind, sigmas, sigma_method and convention are theirs.
    baseline_until : str, optional
        A date: periods that begin before it are the baseline; all of them if not given.
    last : int, default 4
        Latest periods for which the chance of a false alarm is told.
    target : float, optional
        What is aimed at, in the unit of the series; it is drawn, the limits do not depend on it.
    unit : str, optional
        Of what is drawn, for words and picture.
    simulations : int, default 4_000
        Steady processes from which the false-alarm rates are counted.
    rng : Generator

    Returns
    -------
    Chart

    Raises
    ------
    Problem
        If a column is missing, a period comes twice, there are more events than cases, or the kind
        does not suit the data.
    Refusal
        If the baseline has fewer than 12 periods, expects fewer than two events (or non-events) in
        its median period and no kind was asked for, or never varies.

    Notes
    -----
    Limits and conventions: `chart_limits.limits_from`.  The usual rules are beyond the limits, and
    more in a row on one side of the centre than round(log2(m) + 3), m the baseline periods off the
    centre [1]_; all points of such a run are marked, and the length stays as it is when periods are
    added.  The false-alarm rates are those of these limits and rules on steady processes of the
    law that fits the baseline (`steady_process`), each charted with limits from its own baseline,
    so that the noise of the limits and the coarseness of small counts are in them.

    References
    ----------
    .. [1] Anhøj, J., Olesen, A. V. (2014). Run charts revisited. PLoS ONE 9(11), e113825.
       doi:10.1371/journal.pone.0113825

    Examples
    --------
    10 and 20 defects of 100 in turn: the centre is 0.15, neighbours always differ by
    0.1 / sqrt(0.15 * 0.85 / 100) = 2.8006, over 1.1284 gives 2.482.

    >>> weeks = pd.DataFrame({"period": pd.date_range("2025-01-06", periods=12, freq="7D"),
    ...                       "data": "share", "value": [10, 20] * 6, "n": 100})
    >>> chart = one_chart(weeks, simulations=100, rng=np.random.default_rng(1))
    >>> chart.kind, chart.centre, round(chart.spread, 3), chart.worse + chart.better
    ("p'", 0.15, 2.482, 0)
    """
    rows = _ready(periods)
    base = _in_baseline(rows["period"], baseline_until) & rows["mature"].to_numpy()
    frozen = limits is not None
    limits = limits or _limits_of(rows[base], kind, sigmas, sigma_method, convention)
    table = _drawn(rows, base, [(None, limits, rules)], frozen)
    chart = _chart(table, rows, limits, last, simulations, rng)
    return replace(
        chart,
        left_out=len(periods) - len(rows),
        unit=unit,
        target=np.nan if target is None else float(target),
    )


# --- Every series ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ControlCharts(Finding):
    """The charts of all series that are followed.

    Attributes
    ----------
    table : DataFrame, one row per series and period
        The columns of `Chart.table`; ``false_alarm`` and ``false_alarm_since`` are the chances that
        a steady process signals at least once in the latest periods, and in all since the baseline.
    last : int
        How many of the latest periods those are.
    charted, frozen : int
        Series with a chart, and those among them with limits from the ledger.
    alike : tuple of str
        Series whose neighbouring periods are alike; the chances allow for it.
    unsteady : tuple of str
        Series that signal within their own baseline more than chance explains, each with how often.
    refused : tuple of str
        Series without a chart, each with the reason.
    left_out, immature, gaps : int
        Periods without a case; periods that records may still reach; places where periods are
        missing.
    expected_false : float
        Series that would signal in the latest periods if all were steady, on average.
    """

    last: int
    charted: int
    frozen: int
    alike: tuple[str, ...]
    unsteady: tuple[str, ...]
    refused: tuple[str, ...]
    left_out: int
    immature: int
    gaps: int
    expected_false: float

    def sentence(self) -> str:
        since = self.table[~self.table["baseline"] & self.table["mature"]]
        hits = since[since["signal"] != ""].groupby(["series", "signal"], sort=False).size()
        hits = hits.sort_values(ascending=False, kind="stable")
        told = []
        for signal in ("worse", "better"):
            names = [
                f"{look.shorten(name, width=NAME_LETTERS)} in {n}"
                for (name, which), n in hits.items()
                if which == signal
            ]
            told += [f"for the {signal}: {listed(names, most=SHOWN)}"] * bool(names)
        first = (
            f"{_of_series(self.charted)} charted. Periods that signal since the baseline: "
            f"{'; '.join(told) or 'none'}."
        )
        return f"{first}\n{' '.join([self._limits(), self._rates(), *self._cautions()])}"

    def _limits(self) -> str:
        if not self.frozen:
            return "The limits rest on the baseline alone."
        if self.frozen == self.charted:
            return "The limits are those of the ledger."
        return (
            f"The limits of {self.frozen} are those of the ledger, of the others they rest on the "
            f"baseline."
        )

    def _rates(self) -> str:
        chance = self.table.groupby("series")[["false_alarm_since", "false_alarm"]].first()
        unknown = ", ".join(chance.index[chance["false_alarm"].isna()])
        if chance["false_alarm"].isna().all():
            return "How often a steady series would signal is not known: no baseline is at hand."
        but = f" That of {unknown} is not known." if unknown else ""
        since, last = (
            f"{each.min():.0%} to {each.max():.0%}" if self.charted > 1 else f"{each.min():.0%}"
            for _, each in chance.items()
        )
        return (
            f"A steady series would signal at least once since the baseline with a chance of "
            f"{since}, in the last {self.last} periods with {last}. If all were steady, "
            f"{self.expected_false:.2g} of {self.charted} would signal there, on average.{but}"
        )

    def _cautions(self) -> list[str]:
        words = []
        if self.alike:
            words.append(
                f"That allows for neighbouring periods being alike in {', '.join(self.alike)}."
            )
        if self.unsteady:
            words.append(
                f"More signals within the baseline itself than chance explains: "
                f"{', '.join(self.unsteady)}; limits that rest on an unsteady stretch may be off."
            )
        if self.immature:
            words.append(
                f"{counted(self.immature, 'period')} that records may still reach (grey)"
                f" {'is' if self.immature == 1 else 'are'} not judged."
            )
        if self.left_out:
            words.append(f"{counted(self.left_out, 'period')} without a case left out.")
        if self.gaps:
            words.append(f"No run reaches across the {counted(self.gaps, 'gap')} in time.")
        if self.refused:
            words.append(f"No chart: {'; '.join(self.refused)}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = list(dict.fromkeys(self.table["series"]))
        for lane, (_, rows) in enumerate(self.table.groupby("series", sort=False)):
            for offset, style in ((-0.35, "-"), (0, ":"), (0.35, "-")):
                ax.axhline(lane + offset, color=look.MEANING["limit"], lw=0.8, ls=style)
            _draw_lane(ax, rows.assign(z=rows["z"] / rows["sigmas"]), lane)
        after = self.table.loc[~self.table["baseline"], "period"]
        if len(after):
            ax.axvline(after.min(), color=look.MEANING["limit"], ls="--", label="baseline ends")
        ax.set_yticks(range(len(names)), [look.shorten(name, width=34) for name in names])
        ax.set_ylim(len(names) - 0.4, -0.6)
        _more_room(ax, len(names))
        for what in ("worse", "better"):
            ax.plot([], [], **_marker(what), label=f"signal, {what}")
        if self.immature:
            ax.plot([], [], **_YOUNG, label="may still change")
        _key(ax, y=-0.18, columns=2)
        return look.label(
            look.dates(ax),
            title="Has it left its limits?",
            x="period (lines: the limits; up: a higher value, of a CTQ more defects)",
        )


def control_charts(
    series: pd.DataFrame,
    *,
    chosen: pd.DataFrame | None = None,
    limits: pd.DataFrame | None = None,
    baseline_until: str | None = None,
    last: int = 4,
    rng: np.random.Generator,
    simulations: int = 4_000,
) -> ControlCharts:
    """Chart every series against limits frozen in the ledger, else from its baseline.

    Parameters
    ----------
    series : DataFrame, one row per series and period
        ``series`` and the columns of `one_chart`'s periods.
    chosen : DataFrame, optional
        ``series``, ``kind``, ``rules``, ``sigmas``, and where there are such ``sigma_method``,
        ``convention`` and ``chosen`` (rows where it is False are skipped); one row a series, a
        blank kind with its ``reason`` means no chart.  Series that are not named get the usual.
    limits : DataFrame, optional
        Rows of the ledger: ``series``, ``valid_from``, ``rules`` and the columns of
        `chart_limits.Limits`.  Each period is held against the row in force on its first day,
        those before the first row against that; a row whose day has not come within the data does
        not count.  No pattern reaches across a change of limits.
    baseline_until : str, optional
        A date: limits rest on the periods that begin before it; on all but the ``last`` that are
        mature if none is given.
    last : int, default 4
        Latest periods for which the chance of a false alarm is told.
    rng : Generator
    simulations : int, default 4_000

    Returns
    -------
    ControlCharts
        A series whose baseline cannot bear limits is among ``refused``.

    Raises
    ------
    Problem
        If a column is missing, a series is chosen twice, or a row of the ledger is broken.
    Refusal
        If no series can be charted.

    Notes
    -----
    See `one_chart`.  Against frozen limits the chances are those of laws such as the baseline might
    have come from; otherwise each steady process has limits from its own baseline, which are not
    made anew.

    Examples
    --------
    >>> weekly = pd.DataFrame({
    ...     "series": "answered late", "data": "share", "n": 100, "value": [10, 20] * 8,
    ...     "period": pd.date_range("2025-01-06", periods=16, freq="7D"), "better": "lower"})
    >>> charts = control_charts(weekly, rng=np.random.default_rng(1), simulations=200)
    >>> charts.charted, int(charts.table["baseline"].sum())
    (1, 12)
    """
    need_columns(series, ["series", "data", "period", "n", "value"], source="The series")
    need_whole(last, name="last", least=1)
    names = list(dict.fromkeys(series["series"]))
    choice, ledger = _choices(chosen, names), _in_ledger(limits)
    charts, refused = [], []
    for name, each in zip(names, rng.spawn(len(names)), strict=True):
        rows = series[series["series"] == name]
        held = choice.get(name), ledger.get(name)
        try:
            charts.append(_one(rows, *held, baseline_until, last, each, simulations))
        except Refusal as why:
            refused.append(f"{name} ({why.what[0].lower()}{why.what[1:].rstrip('.')})")
    if not charts:
        raise Refusal(
            "No series can be charted: "
            f"{'; '.join(refused) or 'none could be counted over a whole period'}.",
            "collect more periods, or count over longer ones.",
        )
    return _gathered(charts, refused, last)


def _gathered(charts: list[Chart], refused: list[str], last: int) -> ControlCharts:
    return ControlCharts(
        table=pd.concat([each.table for each in charts], ignore_index=True),
        last=last,
        charted=len(charts),
        frozen=sum(each.frozen for each in charts),
        alike=tuple(each.series for each in charts if each.alike),
        unsteady=tuple(
            f"{each.series} ({each.baseline_signals} of {each.baseline_periods})"
            for each in charts
            if each.unsteady
        ),
        refused=tuple(refused),
        left_out=sum(each.left_out for each in charts),
        immature=sum(each.immature for each in charts),
        gaps=sum(each.gaps for each in charts),
        expected_false=float(np.nansum([each.false_alarm for each in charts])),
    )


def _one(rows, choice, ledger, baseline_until, last, rng, simulations) -> Chart:
    """The chart of one series of several."""
    ready = _ready(rows)
    ledger = _come(ledger, ready)
    for _, limits, _ in ledger:
        _need_same_data(limits, ready)
    if ledger:
        segments, base = ledger, np.zeros(len(ready), dtype=bool)
    else:
        choice = {"kind": "", "rules": "", "sigmas": SIGMAS} if choice is None else choice
        _need_suited(choice)
        base = _in_baseline(ready["period"], baseline_until or _until(ready, last))
        base = base & ready["mature"].to_numpy()
        named = [choice.get(each, "") for each in ("sigma_method", "convention")]
        own = _limits_of(ready[base], choice["kind"], choice["sigmas"], *named)
        segments = [(None, own, choice["rules"])]
    table = _drawn(ready, base, segments, bool(ledger))
    chart = _chart(table, ready, segments[-1][1], last, simulations, rng)
    return replace(chart, left_out=len(rows) - len(ready))


def _come(ledger: list[tuple] | None, rows: pd.DataFrame) -> list[tuple]:
    """Frozen limits whose first day has come within the data."""
    latest = local(rows["period"]).max() if ledger and len(rows) else pd.NaT
    return [entry for entry in ledger or [] if entry[0] <= latest]


def _need_same_data(limits: Limits, rows: pd.DataFrame) -> None:
    data = str(rows["data"].iloc[0])
    if limits.data != data:
        raise Problem(
            f"The frozen limits of {str(rows['series'].iloc[0])!r} are of data of the kind"
            f" {limits.data!r}, and the series is now of the kind {data!r}.",
            "give the series another name, or freeze its limits anew.",
        )


def _until(rows: pd.DataFrame, last: int) -> str:
    """The day of the first of the latest mature periods."""
    mature = rows.loc[rows["mature"], "period"]
    return str(mature.iloc[-min(last, len(mature))]) if len(mature) else "1900-01-01"


def _choices(chosen: pd.DataFrame | None, names: list[str]) -> dict[str, dict]:
    if chosen is None:
        return {}
    need_columns(chosen, ["series", "kind", "rules"], source="The choice of charts")
    rows = chosen[chosen["chosen"].astype(bool)] if "chosen" in chosen else chosen
    twice = rows.loc[rows["series"].duplicated(), "series"]
    if len(twice):
        raise Problem(f"A chart is chosen twice for {twice.iloc[0]!r}.", "keep one row a series.")
    return {
        row["series"]: _choice(row) for row in rows.to_dict("records") if row["series"] in names
    }


def _choice(row: dict) -> dict:
    told = {key: "" if pd.isna(entry) else entry for key, entry in row.items()}
    return {**told, "sigmas": float(told.get("sigmas") or SIGMAS), "named": True}


def _need_suited(choice: dict) -> None:
    """Refuse what the choice of charts refused."""
    if choice.get("named") and not choice["kind"]:
        why = str(choice.get("note") or choice.get("reason") or "No chart suits it")
        raise Refusal(why, "collect more periods, or count over longer ones.")


def _in_ledger(limits: pd.DataFrame | None) -> dict[str, list[tuple]]:
    """Of each series its frozen limits, the oldest first, each with its first day and rules."""
    if limits is None or limits.empty:
        return {}
    need_columns(limits, ["series", "valid_from", "kind"], source="The ledger of limits")
    frozen: dict[str, list[tuple]] = {}
    rows = limits.assign(valid_from=_days(limits["valid_from"]))
    for row in rows.sort_values("valid_from", kind="stable").to_dict("records"):
        rules = "" if pd.isna(row.get("rules", "")) else str(row.get("rules", ""))
        entry = (row["valid_from"], chart_limits.limits_of(row), rules)
        frozen.setdefault(row["series"], []).append(entry)
    return frozen


def _days(written: pd.Series) -> pd.Series:
    days = pd.to_datetime(written.astype(str).str[:10], errors="coerce")
    if days.isna().any():
        raise Problem(
            "The ledger of limits has a valid_from that is no date:"
            f" {written[days.isna()].iloc[0]!r}.",
            "do not write in the ledger by hand; freeze the limits anew.",
        )
    return days


# --- The data at the door -------------------------------------------------------------------------


def _ready(periods: pd.DataFrame) -> pd.DataFrame:
    """The periods of one series that have cases, in order of time, with every column."""
    rows = chart_limits.sound(periods)
    for name, usual in (("series", ""), ("better", "lower"), ("mature", True)):
        rows[name] = rows.get(name, usual)
    for name in ("series", "data", "better"):
        if len(set(rows[name])) > 1:
            raise Problem(
                f"One chart is to hold several {name}: {listed(sorted(set(rows[name])), most=3)}.",
                "give the rows of one series.",
            )
    for better in rows["better"].unique():
        need_one_of(better, ("lower", "higher"), name="better")
    return rows.astype({"mature": bool})


def _in_baseline(period: pd.Series, until: str | None) -> np.ndarray:
    if not until:
        return np.ones(len(period), dtype=bool)
    if not pd.api.types.is_datetime64_any_dtype(period):
        raise Problem("The periods are no dates.", "give each period's first day as a date.")
    return (local(period) < pd.Timestamp(until).tz_localize(None)).to_numpy()


def _limits_of(rows: pd.DataFrame, kind: str, sigmas, sigma_method, convention) -> Limits:
    """Limits from the baseline; where no kind is asked for, of the usual one if it is sound."""
    if not kind:
        need_rows(rows, FEWEST_PERIODS, source="The baseline", why="a chart's limits (in periods)")
        expected = _expected(rows)
        if expected < FEWEST_EXPECTED:
            raise Refusal(
                f"A typical period expects {expected:.1f} events (or non-events), where limits "
                f"need {FEWEST_EXPECTED:g}: a lone one would be an alarm.",
                "count over longer periods, or watch the time from one to the next.",
            )
        kind = _usual_kind(rows)
    return chart_limits.limits_from(
        rows, kind=kind, sigmas=sigmas, sigma_method=sigma_method, convention=convention
    )


def _usual_kind(rows: pd.DataFrame) -> str:
    data = rows["data"].iloc[0]
    known = bool((rows["sd"].notna() & (rows["n"] > 1)).all())
    return USUAL_KIND.get(data, "i'" if known else "xmr")


def _expected(rows: pd.DataFrame) -> float:
    """Events, or non-events of a share if fewer, expected in a typical period; NaN for others."""
    if rows.empty or rows["data"].iloc[0] not in COUNTED:
        return np.nan
    level = float(rows["value"].sum() / rows["n"].sum())
    rarer = min(level, 1 - level) if rows["data"].iloc[0] == "share" else level
    return float(rows["n"].median()) * rarer


# --- One chart ------------------------------------------------------------------------------------


def _drawn(rows: pd.DataFrame, base: np.ndarray, segments: list[tuple], frozen: bool):
    """Every period against the limits in force, and its signal; the newest segment is told."""
    starts = [start for start, _, _ in segments]
    which = np.zeros(len(rows), dtype=int)
    for number, start in enumerate(starts[1:], start=1):
        which[(local(rows["period"]) >= start).to_numpy()] = number
    parts = []
    for number, (_, limits, rules) in enumerate(segments):
        mine = which == number
        if mine.any():
            some = rows[mine].reset_index(drop=True)
            own = _frozen_baseline(some, limits) if frozen else base[mine]
            parts.append(_segment(some, own, limits, rules).assign(segment=number, frozen=frozen))
    return pd.concat(parts, ignore_index=True)


def _segment(rows: pd.DataFrame, base: np.ndarray, limits: Limits, rules: str) -> pd.DataFrame:
    table = chart_limits.charted(rows, limits)
    mature = table["mature"].to_numpy()
    z, rows = table["z"].to_numpy(), table[mature]
    useful = int((z[base] != 0).sum()) or limits.baseline_periods
    followed = _rules(rules, useful, limits)
    gap = chart_limits.missing_before(rows["period"], data=limits.data)
    names, side = np.full(len(table), "", dtype=object), np.zeros(len(table), dtype=int)
    names[mature] = signal_rules.marks(z[mature], followed, gap=gap)[1]
    side[mature] = signal_rules.sides(z[mature], followed, gap=gap)
    worse = 1 if table["better"].iloc[0] == "lower" else -1
    alone = np.zeros(len(table), dtype=bool)  # a run that only later periods make long is not one
    own = chart_limits.missing_before(table.loc[base, "period"], data=limits.data)
    completing = replace(followed, points="completing")
    alone[base] = signal_rules.marks(z[base], completing, gap=own)[0]
    return table.assign(
        alone=alone,
        signal=np.select([side == worse, side == -worse], ["worse", "better"], default=""),
        rule=names.astype(str),
        baseline=base,
        kind=limits.kind,
        rules=str(followed),
        sigmas=limits.sigmas,
    )


def _rules(text: str, useful: int, limits: Limits) -> signal_rules.Rules:
    """Rules from their text or the name of their set; the usual ones if there is none."""
    if text in signal_rules.NAMED:
        named = signal_rules.rule_set(text, periods=useful)
        return signal_rules.with_limit(named, limits.sigmas)
    if text:
        return signal_rules.rules_of(text)
    return _usual_rules(limits.sigmas, longest_run_allowed(useful))


def _usual_rules(sigmas: float, allowed: int) -> signal_rules.Rules:
    beyond = signal_rules.Pattern("beyond", size=sigmas)
    return signal_rules.Rules((beyond, signal_rules.Pattern("run", count=allowed)), points="all")


def _frozen_baseline(rows: pd.DataFrame, limits: Limits) -> np.ndarray:
    """Mature periods that frozen limits rest on."""
    day = rows["period"].astype(str).str[:10]
    inside = (day >= limits.baseline_from) & (day <= limits.baseline_to)
    return (inside & rows["mature"]).to_numpy() & bool(limits.baseline_from)


def _gaps(rows: pd.DataFrame) -> int:
    data = rows["data"].iloc[0] if len(rows) else ""
    return int(chart_limits.missing_before(rows["period"], data=data).sum())


def _chart(table, rows, limits: Limits, last, simulations, rng) -> Chart:
    """The finding of one series whose periods are drawn and marked."""
    frozen = bool(table["frozen"].iloc[0])
    base = _frozen_baseline(rows, limits) if frozen else table["baseline"].to_numpy()
    law = _law(rows[base], limits)
    chances = _chances(table, rows[base], law, limits, last, simulations, rng)
    table = table.assign(**{name: chances[name] for name in ("false_alarm", "false_alarm_since")})
    return Chart(
        table=table[CHARTED],
        **{
            name: getattr(limits, name)
            for name in ("data", "kind", "sigma_method", "convention", "centre", "spread", "sigmas")
        },
        **_told(table),
        **chances,
        unsteady=_unsteady(int(table["alone"].sum()), int(base.sum()), chances["per_point"]),
        baseline_periods=limits.baseline_periods or int(base.sum()),
        left_out=0,
        gaps=_gaps(rows),
        last=last,
        unit="",
        autocorrelation=np.nan if law is None else law.autocorrelation,
        alike=law is not None and law.correlation != 0,
        expected=_expected(rows[base]),
        target=np.nan,
        frozen=frozen,
    )


def _told(table: pd.DataFrame) -> dict:
    signals = table["signal"] != ""
    since = table.loc[~table["baseline"] & signals, "period"]
    return {
        "series": str(table["series"].iloc[0]),
        "rules": table["rules"].iloc[-1],
        "periods": len(table),
        "immature": int((~table["mature"]).sum()),
        "worse": int((table["signal"] == "worse").sum()),
        "better": int((table["signal"] == "better").sum()),
        "baseline_signals": int(table["alone"].sum()),
        "first_since": str(since.iloc[0])[:10] if len(since) else "",
    }


def _unsteady(signals: int, periods: int, per_point: float) -> bool:
    """Whether more of the baseline signals than chance explains."""
    if not signals or np.isnan(per_point):
        return signals > 0
    return bool(stats.poisson.sf(signals - 1, periods * per_point) < UNSTEADY)


def _law(rows: pd.DataFrame, limits: Limits) -> Steady | None:
    """What the baseline looks like while nothing changes; nothing if it cannot be told."""
    try:
        return steady_process.steady_from(rows)
    except Refusal:
        return None


def _chances(table, base_rows, law: Steady | None, limits, last, simulations, rng) -> dict:
    """What these limits and rules do on steady processes of the same kind."""
    names = ("false_alarm", "false_alarm_since", "false_alarm_ever", "per_point", "run_length")
    if law is None:
        return dict.fromkeys(names, np.nan)
    newest = table[(table["segment"] == table["segment"].iloc[-1]) & table["mature"]]
    after = newest.loc[~newest["baseline"], "n"].to_numpy()
    before = base_rows["n"].to_numpy()
    found = steady_process.false_alarms(
        law,
        np.concatenate([before, after]),
        np.arange(len(before) + len(after)) < len(before),
        kind=limits.kind,
        sigma_method="" if limits.kind == "t" else limits.sigma_method,
        convention=limits.convention,
        sigmas=limits.sigmas,
        rules=replace(signal_rules.rules_of(table["rules"].iloc[-1]), points="completing"),
        limits=limits if bool(table["frozen"].iloc[0]) else None,
        last=last,
        simulations=simulations,
        rng=rng,
    )
    told = (found.lately, found.since, found.ever, found.per_point, found.run_length)
    return dict(zip(names, map(float, told), strict=True))


# --- Words ----------------------------------------------------------------------------------------


def _spelt(number: float, data: str, unit: str) -> str:
    if data == "share":
        return f"{number:.1%}"
    if data == "nps":
        return f"{number * 100:.0f} points"
    unit = unit or {"gap": "opportunities", "time": "days"}.get(data, "")
    return f"{number:.3g} {unit}".strip()


def _length(periods: float) -> str:
    return f"{periods:,.0f} periods" if np.isfinite(periods) else "more periods than simulated"


def _unsteady_words(signals: int, periods: int) -> str:
    return (
        f"{counted(signals, 'signal')} within the {periods} baseline periods, more than chance "
        f"explains: limits that rest on an unsteady stretch may be off."
    )


def _of_series(number: int) -> str:
    return f"{number:,} series"


# --- Which characteristics were steady ------------------------------------------------------------


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
    One p' chart per CTQ (see `one_chart`), but the rule is made for the
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


def _lane(rows, name, until, rng, simulations, budget) -> tuple[dict, pd.DataFrame]:
    """One CTQ's verdict and points, or why there is none."""
    used = _ready(rows.assign(data="share", value=rows["defects"], series=name, better="lower"))
    used = used[_in_baseline(used["period"], until)].reset_index(drop=True)
    try:
        limits = _limits_of(used, "", SIGMAS, "", "")
    except Refusal as why:
        return _no_verdict(name, used, why)
    table = chart_limits.charted(used, limits)
    n, base, gap = _shape(used)
    law = steady_process.steady_from(used)
    plain = replace(law, correlation=0.0)
    steady = steady_process.scores(plain, n, base, kind="p'", simulations=simulations, rng=rng)
    k, allowed, false_alarm = _rule_within(steady, budget)
    marks = _marked(table["z"].to_numpy(), _usual_rules(k, allowed), gap)
    note = _alike_note(law, n, base, k, allowed, simulations, rng) if law.correlation else ""
    row = {
        "ctq": name,
        "periods": len(used),
        "steady": "no" if (marks != "").any() else "yes",
        "signals": int((marks != "").sum()),
        **_span(table, limits, k),
        "limit_sigma": k,
        "run_limit": allowed,
        "false_alarm": false_alarm,
        "autocorrelation": law.autocorrelation,
        "note": note,
    }
    return row, _points(name, used["period"], table["z"].to_numpy() / k, marks)


def _shape(used: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gap = chart_limits.missing_before(used["period"])
    return used["n"].to_numpy(), np.ones(len(used), dtype=bool), gap


def _marked(z: np.ndarray, rules: signal_rules.Rules, gap: np.ndarray) -> np.ndarray:
    side = signal_rules.sides(z, rules, gap=gap)
    return np.select([side > 0, side < 0], ["worse", "better"], default="")


def _span(table: pd.DataFrame, limits: Limits, k: float) -> dict[str, float]:
    """Centre and limits in a period of median n."""
    p, n = limits.centre, float(table["n"].median())
    half = k * limits.spread * np.sqrt(p * (1 - p) / n)
    low, high = max(p - half, 0.0), min(p + half, 1.0)
    return {"centre": p, "low": low, "high": high, "sigma_z": limits.spread}


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
    longest, farthest = signal_rules.running(steady).max(axis=1), np.abs(steady).max(axis=1)
    allowed = int(np.ceil(np.quantile(longest, 1 - budget / 2, method="inverted_cdf")))
    by_run = longest > allowed
    spare = int(np.floor(budget * len(steady))) - int(by_run.sum())
    quiet = np.sort(farthest[~by_run])[::-1]
    k = float(quiet[min(max(spare, 0), len(quiet) - 1)])
    return k, allowed, float((by_run | (farthest > k)).mean())


def _alike_note(law: Steady, n, base, k, allowed, simulations, rng) -> str:
    z = steady_process.scores(law, n, base, kind="p'", simulations=simulations, rng=rng)
    share = signal_rules.marks(z, _usual_rules(k, allowed))[0].any(axis=1).mean()
    return (
        f"neighbouring periods are alike (correlation {law.autocorrelation:.2f}): with as much, a "
        f"process without any change would signal with a chance of about {share:.0%}"
    )


# --- Drawing --------------------------------------------------------------------------------------

_SIZE = {"usual": 3.0, "worse": 7.0, "better": 7.0}


def _marker(what: str) -> dict:
    return {"marker": look.MARKER[what], "color": look.MEANING[what], "ls": "", "ms": _SIZE[what]}


def _draw_lane(ax: Axes, points: pd.DataFrame, lane: int) -> None:
    height = lane - 0.35 * points["z"].clip(-1.3, 1.3)
    ax.plot(points["period"], height, color=look.MEANING["usual"], lw=0.7)
    young = ~points["mature"] if "mature" in points else np.zeros(len(points), dtype=bool)
    for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
        some = (points["signal"] == signal) & ~young
        ax.plot(points.loc[some, "period"], height[some], **_marker(what))
    _draw_young(ax, points["period"], height, young, named=False)


_YOUNG = {"marker": "o", "ls": "", "ms": 4, "mfc": "white", "color": look.MEANING["limit"]}


def _draw_young(ax: Axes, period, height, young, *, named: bool = True) -> None:
    """Periods that records may still reach: hollow and grey."""
    if young.any():
        label = "may still change" if named else None
        ax.plot(period[young], height[young], **_YOUNG, label=label)


def _key(ax: Axes, *, y: float, columns: int = 5) -> None:
    below = {"loc": "upper left", "bbox_to_anchor": (0, y)}
    ax.legend(fontsize="small", frameon=False, ncols=columns, **below)


def _more_room(ax: Axes, lanes: int) -> None:
    """A picture that holds nothing else grows with its lanes."""
    more = 0.4 * (lanes - 8)
    if more > 0 and len(ax.figure.axes) == 1:
        width, height = ax.figure.get_size_inches()
        ax.figure.set_size_inches(width, height + more)
