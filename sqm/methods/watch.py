"""What needs a reaction now?"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_whole
from sqm.finding import Finding, counted, listed

STATES = ("worse", "better", "cannot say", "quiet")  # in the order in which they are listed
SIGNALS = ("", "worse", "better")
CHARTED = (
    *("series", "period", "rate", "centre", "low", "high"),
    *("signal", "rule", "baseline", "false_alarm"),
)
NEEDED = ("source", "series", "state", "since", "rule", "false_alarm")
BLANKS = {
    **dict.fromkeys(("rate", "centre", "low", "high", "expected_loss"), np.nan),
    **dict.fromkeys(("owner", "reaction", "escalation", "note"), ""),
    "escalate": False,
}
ALERTS = (
    *("source", "series", "state", "since", "rule", "rate", "centre", "low", "high"),
    *("false_alarm", "owner", "reaction", "escalate", "escalation", "expected_loss", "note"),
)
DRAWN = {"quiet": "usual", "worse": "worse", "better": "better", "baseline": "limit"}
BY_EVENT = ("gap", "time")  # a point for each event, not for each period
COUNTED = ("share", "rate", "count")  # data of which more than usual can be counted, and cost
MOST_NAMED, MOST_DRAWN = 3, 24
RULE_LETTERS = 60
SPOKEN = (  # how the texts of signal_rules are said
    (r"beyond (\S+)", r"beyond \1 sigma"),
    (r"run over (\d+)", r"more than \1 in a row on one side"),
    (r"(\d+ of \d+) beyond (\S+)", r"\1 beyond \2 sigma"),
    (r"trend of (\d+) \w+", r"\1 in a row up or down"),
    (r"alternating (\d+) \w+", r"\1 up and down in turn"),
    (r"(\d+) within (\S+)", r"\1 in a row within \2 sigma"),
    (r"(\d+) outside (\S+) on .*", r"\1 in a row outside \2 sigma"),
    (r"crossings under \d+ in \d+", "too few crossings of the centre"),
    (r"ewma .*", "a weighted mean (EWMA) off the centre"),
    (r"cusum .*", "a cumulative sum (CUSUM) off the centre"),
)


@dataclass(frozen=True, eq=False)
class EarlyWarning(Finding):
    """Which charted series signals now, since when, and who does what.

    Attributes
    ----------
    table : DataFrame, one row per series, what needs a reaction first
        The columns of alerts, see `what_fires`: ``source`` (``chart``), ``series``; ``state``
        (``worse``, ``better``, ``cannot say`` or ``quiet``); ``since``, first day of the
        unbroken run of such signals that reaches into the periods watched; ``rule``, what gave
        the signal; ``rate``, ``centre``, ``low``, ``high`` (limits of the chart) in the latest that
        is worse, if any is, else in the latest of
        them; ``false_alarm``, the chance that a steady process signals in the periods watched;
        ``owner``, ``reaction``; ``escalate``, whether the run has lasted long enough, and
        ``escalation``, to whom it then goes; ``expected_loss``; ``note``.  Besides: ``watched``,
        periods looked at; ``signals``, those among them that signal as ``state`` says; ``lasted``,
        periods of the run; ``course``, a word for each period (``none`` without data, ``young``
        where records are still to come).
    worse, better, quiet, cannot_say : int
        How many series are in each state.
    escalated : int
        How many of the worse have lasted long enough to be passed on.
    expected_false_alarms : float
        Series that would be listed if all were steady, on average.
    unstated : tuple of str
        Series watched whose chance of a false alarm is not known.
    periods : tuple of str
        First day of each period drawn.
    currency : str
        Of ``expected_loss``; empty if no cost of a defect was given.
    """

    worse: int
    better: int
    quiet: int
    cannot_say: int
    escalated: int
    expected_false_alarms: float
    unstated: tuple[str, ...]
    periods: tuple[str, ...]
    currency: str

    def sentence(self) -> str:
        watched = self.worse + self.better + self.quiet
        head = (
            f"Of {watched:,} series watched over {counted(len(self.periods), 'period')}"
            f" ({self.periods[0]} to {self.periods[-1]}),"
            f" {self.worse or 'none'} {'need' if self.worse > 1 else 'needs'} a reaction"
        )
        worse = "; ".join(_alarm(row) for row in self._rows("worse"))
        first = f"{head}: {worse}." if worse else f"{head}."
        words = [*self._others(), _false_ones(self.expected_false_alarms, self.unstated, watched)]
        return "\n".join([first, " ".join(words)])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows, columns = np.arange(len(self.table)), np.arange(len(self.periods))
        for row, course in enumerate(self.table["course"]):
            ax.plot([-0.5, len(columns) - 0.6], [row, row], color="#e3e6e8", lw=0.8, zorder=0)
            for column, word in zip(columns, course.split(), strict=True):
                _mark(ax, column, row, word)
        for row, each in zip(rows, self.table.itertuples(), strict=True):
            ax.text(len(columns) - 0.5, row, _rates(each), va="center", fontsize="small")
        words = {word for course in self.table["course"] for word in course.split()}
        _key(ax, {word: what for word, what in DRAWN.items() if word in words}, "young" in words)
        ax.set_yticks(rows, [look.shorten(name, width=32) for name in self.table["series"]])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xticks(columns, self.periods, rotation=30, ha="right")
        ax.set_xlim(-0.5, len(columns) + 1.5)
        label = "period; right: latest rate and its limits"
        return look.label(ax, title="What needs a reaction now?", x=label)

    def _rows(self, state: str) -> list:
        return list(self.table[self.table["state"] == state].itertuples())

    def _others(self) -> list[str]:
        words = []
        if self.escalated:
            passed = [row for row in self._rows("worse") if row.escalate]
            words.append(f"To be passed on: {'; '.join(map(_passed_on, passed))}.")
        if self.better:
            names = "; ".join(f"{row.series} since {row.since}" for row in self._rows("better"))
            words.append(f"Better than the limits allow, so find out why and keep it: {names}.")
        if self.cannot_say:
            names = "; ".join(f"{row.series} ({row.note})" for row in self._rows("cannot say"))
            words.append(f"Nothing can be said of {names}.")
        return words


@dataclass(frozen=True, eq=False)
class Alerts(Finding):
    """All that fires now, whichever room saw it, the costliest first.

    Attributes
    ----------
    table : DataFrame, one row per thing watched
        ``source`` (the room), ``series``, ``state`` (``worse`` fires), ``since``, ``rule``,
        ``rate``, ``centre``, ``low``, ``high`` (limits), ``false_alarm`` (its chance if nothing
        has changed), ``owner``, ``reaction``, ``escalate``, ``escalation``, ``expected_loss``,
        ``note``.
    watched, fires, escalated, better, cannot_say : int
        Rows of which something can be said; those that fire; those among them to be passed on;
        those that signal for the better; those of which nothing can be said.
    expected_false_alarms : float
        Rows that would signal if nothing had changed, on average, of those whose chance is stated.
    unstated : tuple of str
        Rows whose chance is not stated.
    currency : str
        Of ``expected_loss``; empty if there is none.
    """

    watched: int
    fires: int
    escalated: int
    better: int
    cannot_say: int
    expected_false_alarms: float
    unstated: tuple[str, ...]
    currency: str

    def sentence(self) -> str:
        needs = "need" if self.fires > 1 else "needs"
        head = f"{self.fires or 'None'} of {self.watched:,} watched {needs} a reaction now"
        if self.fires:
            worst = next(self.table.itertuples())
            many = " first" if self.fires > 1 else ""
            head = f"{head},{many} {_short_alarm(worst)}"
        false = _false_ones(self.expected_false_alarms, self.unstated, self.watched)
        return "\n".join([f"{head}.", " ".join([*self._others(), false])])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.head(MOST_DRAWN)
        for place, row in enumerate(rows.itertuples()):
            ax.plot([-1, 1], [place, place], color=look.MEANING["limit"], lw=1.6, zorder=1)
            where = _from_centre(row)
            what = DRAWN.get(row.state, "limit")
            ax.plot(where, place, look.MARKER[what], color=look.MEANING[what], ms=7)
            ax.text(3.2, place, _rates(row), va="center", fontsize="small")
        ax.axvline(0, color=look.MEANING["limit"], ls="--", lw=1)
        states = {word: what for word, what in DRAWN.items() if word in set(rows["state"])}
        _key(ax, states, False)
        names = [
            f"{look.shorten(row.series, width=32)} ({row.source})" for row in rows.itertuples()
        ]
        ax.set_yticks(range(len(rows)), names)
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-3.1, 8.8), xticks=[-1, 1])
        ax.set_xticklabels(["lower\nlimit", "upper\nlimit"])
        label = "latest value (of a CTQ: its defects) between its own limits; dashed: centre"
        return look.label(ax, title="What fires now?", x=label)

    def _others(self) -> list[str]:
        firing = list(self.table[self.table["state"] == "worse"].itertuples())
        words = []
        if len(firing) > 1:
            names = [f"{row.series} since {row.since} ({_owner(row)})" for row in firing[1:]]
            words.append(f"Then: {listed(names, most=MOST_NAMED, apart='; ')}.")
        if self.escalated:
            passed = [_passed_on(row) for row in firing if row.escalate]
            words.append(f"To be passed on: {listed(passed, most=MOST_NAMED, apart='; ')}.")
        words += [self._losses()] if self.currency else []
        better = self.table[self.table["state"] == "better"]
        if len(better):
            names = listed(list(dict.fromkeys(better["series"])), most=MOST_NAMED)
            words.append(f"Better than expected, so find out why and keep it: {names}.")
        unsaid = self.table[self.table["state"] == "cannot say"]
        if len(unsaid):
            names = [
                f"{row.series} ({row.note or 'no reason given'})" for row in unsaid.itertuples()
            ]
            words.append(f"Nothing can be said of {listed(names, most=MOST_NAMED, apart='; ')}.")
        return words

    def _losses(self) -> str:
        known = self.table.loc[self.table["state"] == "worse", "expected_loss"].dropna()
        if known.empty:
            return "What the alarms cost is not known."
        return (
            f"They are listed by expected loss, known for {len(known)} of {self.fires}: together"
            f" {known.sum():,.0f} {self.currency} above the usual in the periods that signal."
        )


def early_warning(
    charts: pd.DataFrame,
    *,
    ctqs: pd.DataFrame,
    last: int = 4,
    name: str = "ctq",
    currency: str = "",
) -> EarlyWarning:
    """List the series that signal in the latest periods, with what is to be done.

    Parameters
    ----------
    charts : DataFrame, one row a series and period
        ``series``, ``period`` (datetime), ``rate``, ``centre``, ``low``, ``high``,
        ``signal`` (empty, ``worse`` or ``better``), ``rule``, ``baseline``
        (bool), ``false_alarm``: the chance, one number a series, that a steady
        process signals at least once in the periods watched.  Optional: ``mature`` (bool; false
        where records are still to come), ``data`` (``gap`` and ``time`` have a row for each event
        instead), ``n``.
    ctqs : DataFrame, one row a CTQ
        Its name, ``owner`` and ``reaction``; optional ``escalation`` (to whom a lasting signal
        goes), ``escalate_after`` (periods it has then lasted; never if 0 or blank) and
        ``cost_per_defect``.
    last : int, default 4
        How many of the latest periods of each series are watched, immature ones not counted;
        periods that the limits rest on are not watched.
    name : str, default "ctq"
        Column of ``ctqs`` with the names.
    currency : str, optional
        Of ``cost_per_defect``; needed where a cost is given.

    Returns
    -------
    EarlyWarning

    Raises
    ------
    Problem
        If a period comes twice, a series has more than one chance of a false alarm, or money has
        no currency.
    Refusal
        If there is no chart at all.

    Notes
    -----
    A series with signals in both directions counts as worse; one that is no CTQ has no owner,
    which the sentence says; a CTQ without a chart is listed as one of which nothing can be said.
    The expected number of false alarms is the sum of the chances; it holds also where the series
    depend on each other.  The expected loss of a share, rate or count that is worse is what lies
    beyond the centre in the periods that signal, (rate - centre) n, times the cost of a defect.

    Examples
    --------
    >>> weeks = pd.date_range("2025-09-01", periods=3, freq="7D")
    >>> charts = pd.DataFrame({"series": "Wait", "period": weeks, "rate": [0.1, 0.1, 0.3],
    ...     "centre": 0.1, "low": 0.0, "high": 0.2, "signal": ["", "", "worse"],
    ...     "rule": ["", "", "beyond the limits"], "baseline": [True, False, False],
    ...     "false_alarm": 0.02})
    >>> ctqs = pd.DataFrame({"ctq": ["Wait"], "owner": ["Ana"], "reaction": ["call for help"]})
    >>> row = early_warning(charts, ctqs=ctqs).table.loc[0]
    >>> row["state"], row["since"], int(row["watched"]), row["owner"]
    ('worse', '2025-09-15', 2, 'Ana')
    """
    need_columns(charts, CHARTED, source="The table of charts")
    need_columns(ctqs, [name, "owner", "reaction"], source="The table of CTQs")
    need_whole(last, name="last", least=1)
    _need_one_each(charts, ctqs, name)
    charts = _completed(charts)
    calendar, newest = _calendar(charts), charts["period"].max()
    people = _people(ctqs, name, currency)
    rows = [
        _watch(charts[charts["series"] == each.Index], each, calendar, newest, last)
        for each in _with_unlisted(people, charts).itertuples()
    ]
    table = _ordered(pd.DataFrame(rows))
    shown, table["course"] = _drawn_periods(table["course"], calendar, last)
    said = table[table["state"] != "cannot say"]
    return EarlyWarning(
        table=table,
        **{state.replace(" ", "_"): int((table["state"] == state).sum()) for state in STATES},
        escalated=int(table["escalate"].sum()),
        expected_false_alarms=float(said["false_alarm"].sum()),
        unstated=tuple(said.loc[said["false_alarm"].isna(), "series"]),
        periods=tuple(f"{period:%Y-%m-%d}" for period in shown),
        currency=currency if table["expected_loss"].notna().any() else "",
    )


def what_fires(*tables: pd.DataFrame, currency: str = "") -> Alerts:
    """Join the alerts of several rooms into one list, the costliest first.

    Parameters
    ----------
    *tables : DataFrames, one row per thing watched
        ``source``, ``series``, ``state``, ``since``, ``rule``, ``false_alarm``, and as far as
        known ``rate``, ``centre``, ``low``, ``high``, ``owner``, ``reaction``, ``escalate``,
        ``escalation``, ``expected_loss``, ``note``; other columns are left out.  Rows that are
        quiet belong in them: their chances count too.
    currency : str, optional
        Of ``expected_loss``; needed where a loss is given.

    Returns
    -------
    Alerts

    Raises
    ------
    Problem
        If a state or chance is none, something is there twice, or a loss has no currency.
    Refusal
        If nothing is watched at all.

    Notes
    -----
    Those that fire come first, by expected loss, the largest first; where it is not known or the
    same, by the chance of a false alarm, the smallest first.

    Examples
    --------
    >>> wait = pd.DataFrame({"source": ["chart"], "series": ["Wait"], "state": ["worse"],
    ...     "since": ["2025-09-15"], "rule": ["beyond the limits"], "false_alarm": [0.02]})
    >>> found = what_fires(wait, wait.assign(series="Cost", state="quiet"))
    >>> found.fires, found.expected_false_alarms
    (1, 0.04)
    """
    given = [_alerts(table) for table in tables if len(table)]
    if not given:
        raise Refusal("Nothing is watched.", "chart a series, or compare texts with the themes.")
    table = _costliest_first(pd.concat(given, ignore_index=True))
    twice = table[table.duplicated(["source", "series"])]
    if len(twice):
        row = twice.iloc[0]
        raise Problem(
            f"The source {row['source']!r} has {row['series']!r} twice.", "give one row for each."
        )
    if table["expected_loss"].notna().any() and not currency:
        raise Problem("A loss is given without a currency.", "name the currency of the study.")
    said = table[table["state"] != "cannot say"]
    return Alerts(
        table=table,
        watched=len(said),
        fires=int((table["state"] == "worse").sum()),
        escalated=int((table["escalate"] & (table["state"] == "worse")).sum()),
        better=int((table["state"] == "better").sum()),
        cannot_say=int((table["state"] == "cannot say").sum()),
        expected_false_alarms=float(said["false_alarm"].sum()),
        unstated=tuple(said.loc[said["false_alarm"].isna(), "series"]),
        currency=currency if table["expected_loss"].notna().any() else "",
    )


# --- Checks ---------------------------------------------------------------------------------------


def _need_one_each(charts: pd.DataFrame, ctqs: pd.DataFrame, name: str) -> None:
    if charts.empty or ctqs.empty:
        raise Refusal("There is no chart to watch.", "chart at least one CTQ.")
    twice = ctqs.loc[ctqs[name].duplicated(), name]
    if len(twice):
        raise Problem(f"The CTQ {twice.iloc[0]!r} is there twice.", "give each its own name.")
    if not pd.api.types.is_datetime64_any_dtype(charts["period"]):
        raise Problem("'period' of the charts is not a date.", "give the first day of each period.")
    regular = charts[~charts["data"].isin(BY_EVENT)] if "data" in charts else charts
    twice = regular[regular.duplicated(["series", "period"])]
    if len(twice):
        first = twice.iloc[0]
        raise Problem(
            f"The chart of {first['series']!r} has {first['period']:%Y-%m-%d} twice.",
            "give one row a series and period.",
        )
    odd = sorted(set(charts["signal"].dropna()) - set(SIGNALS))
    if odd:
        raise Problem(f"{odd[0]!r} is no signal.", nearest(odd[0], SIGNALS[1:]))


def _alerts(table: pd.DataFrame) -> pd.DataFrame:
    """One room's alerts, complete and checked."""
    need_columns(table, NEEDED, source="A table of alerts")
    table = table.assign(**{each: blank for each, blank in BLANKS.items() if each not in table})
    odd = sorted(set(table["state"].astype(str)) - set(STATES))
    if odd:
        raise Problem(f"{odd[0]!r} is no state of an alert.", nearest(odd[0], STATES))
    wrong = table.loc[(table["false_alarm"] < 0) | (table["false_alarm"] > 1)]
    if len(wrong):
        row = wrong.iloc[0]
        raise Problem(
            f"The chance of a false alarm of {row['series']!r} is {row['false_alarm']}.",
            "give 0 to 1.",
        )
    words = ("source", "series", "since", "rule", "owner", "reaction", "escalation", "note")
    table = table.assign(**{each: _text(table[each]) for each in words})
    numbers = ("rate", "centre", "low", "high", "false_alarm", "expected_loss")
    table = table.assign(**{each: table[each].astype(float) for each in numbers})
    return table.assign(escalate=table["escalate"].fillna(False).astype(bool))[list(ALERTS)]


# --- One series -----------------------------------------------------------------------------------


def _completed(charts: pd.DataFrame) -> pd.DataFrame:
    """The charts in order of time, with what is optional filled in."""
    filled = {"mature": True, "data": "", "n": np.nan}
    charts = charts.assign(**{each: value for each, value in filled.items() if each not in charts})
    signal = charts["signal"].fillna("")
    kept = charts.assign(signal=signal, mature=charts["mature"].fillna(True).astype(bool))
    return kept.sort_values(["series", "period"], kind="stable", ignore_index=True)


def _calendar(charts: pd.DataFrame) -> pd.DatetimeIndex:
    """The periods of most charts; days and events are laid into them."""
    by_event = charts["data"].isin(BY_EVENT)
    dated = charts if by_event.all() else charts[~by_event]
    steps = dated.groupby("series")["period"].agg(_step)
    usual = steps.mode().max()  # of days and weeks as often, weeks
    dated = dated[dated["series"].map(steps) == usual] if pd.notna(usual) else dated
    return pd.DatetimeIndex(np.sort(dated["period"].unique()))


def _step(periods: pd.Series) -> pd.Timedelta:
    """The usual time from one period to the next."""
    return periods.sort_values().diff().median()


def _people(ctqs: pd.DataFrame, name: str, currency: str) -> pd.DataFrame:
    """Who looks after each CTQ, what is done, and what a defect costs."""
    words = {
        each: _text(ctqs[each]) if each in ctqs else ""
        for each in ("owner", "reaction", "escalation")
    }
    numbers = {
        each: pd.to_numeric(ctqs[each], errors="coerce").to_numpy(float) if each in ctqs else np.nan
        for each in ("escalate_after", "cost_per_defect")
    }
    people = pd.DataFrame({**words, **numbers}, index=ctqs[name].astype(str).to_numpy())
    if people["cost_per_defect"].notna().any() and not currency:
        raise Problem("A defect has a cost without a currency.", "name the currency of the study.")
    return people


def _with_unlisted(people: pd.DataFrame, charts: pd.DataFrame) -> pd.DataFrame:
    """The CTQs, then the series that are none."""
    unlisted = [each for each in charts["series"].unique() if each not in people.index]
    whole = people.reindex([*people.index, *unlisted])
    words = ["owner", "reaction", "escalation"]
    return whole.assign(**whole[words].fillna(""))


def _rules_of(rules: pd.Series) -> str:
    """Every rule that gave one of the signals, once."""
    each = rules.dropna().astype(str).str.split(", ").explode()
    return ", ".join(dict.fromkeys(rule for rule in each if rule))


def _watch(chart: pd.DataFrame, who, calendar, newest: pd.Timestamp, last: int) -> dict:
    """One row of the list."""
    at = np.clip(calendar.searchsorted(chart["period"], side="right") - 1, 0, None)
    chart = chart.assign(at=at)
    limited = chart[["low", "high"]].notna().any(axis=1)
    free = chart[~chart["baseline"].astype(bool) & limited & chart["mature"]]
    stale = _stale(chart, newest, last)
    now = chart[chart["mature"]].tail(0 if stale else last)  # as its chance of a false alarm counts
    watched = free[free.index.isin(now.index)]
    signals = set(watched["signal"])
    state = next((each for each in ("worse", "better") if each in signals), "quiet")
    state = state if len(watched) else "cannot say"
    hits = watched[watched["signal"] == state]
    run = _run(free, hits, state)
    worse = state == "worse"
    return {
        "source": "chart",
        "series": who.Index,
        "state": state,
        "since": f"{run['period'].iloc[0]:%Y-%m-%d}" if len(run) else "",
        "rule": _rules_of(hits["rule"]),
        **_latest(hits if worse else watched),
        "false_alarm": _false_alarm(chart, who.Index),
        "owner": who.owner,
        "reaction": who.reaction,
        "escalation": who.escalation,
        "escalate": bool(worse and 0 < who.escalate_after <= len(run)),
        "expected_loss": _loss(hits, who.cost_per_defect) if worse else np.nan,
        "note": _note(chart, now, watched, signals),
        "watched": len(watched),
        "signals": len(hits),
        "lasted": len(run),
        "course": " ".join(_course(chart, watched, len(calendar))),
    }


def _stale(chart: pd.DataFrame, newest: pd.Timestamp, last: int) -> bool:
    """Whether a regular series has been silent for twice as long as it is watched."""
    if chart.empty or chart["data"].iloc[0] in BY_EVENT:
        return chart.empty
    step = _step(chart["period"])
    return pd.notna(step) and newest - chart["period"].max() >= 2 * last * step


def _latest(watched: pd.DataFrame) -> dict:
    names = ("rate", "centre", "low", "high")
    if watched.empty:
        return dict.fromkeys(names, np.nan)
    return {each: float(watched[each].iloc[-1]) for each in names}


def _run(free: pd.DataFrame, hits: pd.DataFrame, state: str) -> pd.DataFrame:
    """The unbroken run of signals that reaches into the periods watched, up to its last signal."""
    if hits.empty:
        return hits
    first, last = hits.index[0], hits.index[-1]
    earlier = free.loc[:first]
    broken = earlier.index[earlier["signal"] != state]
    start = earlier if not len(broken) else earlier[earlier.index > broken[-1]]
    return free.loc[start.index[0] : last]


def _loss(hits: pd.DataFrame, cost: float) -> float:
    """What lies beyond the centre in the periods that signal, times the cost of a defect."""
    counted_data = hits["data"].isin(COUNTED) & hits["n"].notna()
    if not counted_data.all():
        return np.nan
    return float(((hits["rate"] - hits["centre"]) * hits["n"]).clip(lower=0).sum() * cost)


def _false_alarm(chart: pd.DataFrame, name: str) -> float:
    stated = chart["false_alarm"].dropna().unique()
    if len(stated) > 1:
        raise Problem(
            f"The chart of {name!r} states more than one chance of a false alarm"
            f" ({', '.join(f'{value:g}' for value in stated[:3])}).",
            "give one for the periods watched.",
        )
    if len(stated) and not 0 <= stated[0] <= 1:
        raise Problem(f"The chance of a false alarm of {name!r} is {stated[0]}.", "give 0 to 1.")
    return float(stated[0]) if len(stated) else np.nan


def _course(chart: pd.DataFrame, watched: pd.DataFrame, periods: int) -> list[str]:
    """A word for each period; where several events fall into one, what matters most."""
    words = ["none"] * periods
    for at in chart.loc[chart["baseline"].astype(bool), "at"]:
        words[at] = "baseline"
    for at in chart.loc[~chart["mature"], "at"]:
        words[at] = "young"
    for signal in ("", "better", "worse"):
        for at in watched.loc[watched["signal"] == signal, "at"]:
            words[at] = signal or "quiet"
    return words


def _drawn_periods(
    courses: pd.Series, calendar: pd.DatetimeIndex, last: int
) -> tuple[pd.DatetimeIndex, list[str]]:
    """The latest periods, back to the first that is watched in any series."""
    words = np.array([course.split() for course in courses])
    first = np.flatnonzero(np.isin(words, ["quiet", "worse", "better"]).any(axis=0))
    start = min([max(len(calendar) - last, 0), *first[:1].tolist()])
    return calendar[start:], [" ".join(each) for each in words[:, start:]]


def _note(chart: pd.DataFrame, now: pd.DataFrame, watched: pd.DataFrame, signals: set) -> str:
    if chart.empty:
        return "no chart"
    if not chart["mature"].any():
        return "no period is complete yet"
    if now.empty:
        return f"no data since {chart.loc[chart['mature'], 'period'].max():%Y-%m-%d}"
    if watched.empty:
        return "only baseline periods" if now["baseline"].astype(bool).all() else "no limits"
    notes = []
    if len(watched) < len(now):
        notes.append(f"{len(watched)} of {len(now)} periods")
    young = int((~chart["mature"]).sum())
    if young:
        notes.append(f"the latest {counted(young, 'period')} not complete yet, so not watched")
    if {"worse", "better"} <= signals:
        notes.append("signals for the better too")
    return "; ".join(notes)


# --- Order and words ------------------------------------------------------------------------------


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    rank = table["state"].map(STATES.index)
    order = table.assign(rank=rank).sort_values(["rank", "since", "series"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _costliest_first(table: pd.DataFrame) -> pd.DataFrame:
    rank = table["state"].map(STATES.index)
    keyed = table.assign(rank=rank, saved=-table["expected_loss"])
    by = ["rank", "saved", "false_alarm", "since", "source", "series"]
    order = keyed.sort_values(by, kind="stable", na_position="last").index
    return table.loc[order].reset_index(drop=True)


def _false_ones(expected: float, unstated: tuple[str, ...], watched: int) -> str:
    if watched == len(unstated):
        return "How often such a list raises a false alarm is not stated."
    but = f", not counting {listed(list(unstated), most=MOST_NAMED)}" if unstated else ""
    return (
        f"If nothing had changed, a list like this would name {expected:.2g} series"
        f" by chance, on average{but}, for the better or the worse."
    )


def _alarm(row) -> str:
    rule = f", {_spoken(row.rule)}" if row.rule else ""
    said = f"{row.series} is worse since {row.since}{rule}"
    return f"{said} ({_rates(row)}); {_owner(row)}: {row.reaction or 'no reaction is laid down'}"


def _short_alarm(row) -> str:
    """The same for a first line, where a long rule or reaction leaves room for the rest."""
    rule = f": {look.shorten(_spoken(row.rule), width=RULE_LETTERS)}" if row.rule else ""
    reaction = row.reaction or "no reaction is laid down"
    reaction = look.shorten(reaction, width=RULE_LETTERS)
    rates = _rates(row)
    rates = f" (latest {rates})" if rates and np.isfinite(row.rate) else ""
    since = f" since {row.since}" if row.since else ""
    return (
        f"{look.shorten(row.series)} ({row.source}){since}{rule}{rates}; {_owner(row)}: {reaction}"
    )


def _spoken(rules: str) -> str:
    """The first rule in plain words, and how many others gave a signal too."""
    first, *others = rules.split(", ")
    for text, words in SPOKEN:
        if re.fullmatch(text, first):
            first = re.sub(text, words, first)
            break
    return f"{first} and {counted(len(others), 'more rule')}" if others else first


def _owner(row) -> str:
    return row.owner or "nobody is named as owner"


def _passed_on(row) -> str:
    return f"{row.series} to {row.escalation or 'whom is not laid down'}"


def _rates(row) -> str:
    if np.isnan(row.rate):
        return row.note
    values = np.array([row.rate, row.low, row.high])
    share = np.nanmin(values) >= 0 and np.nanmax(values) <= 1
    values = values * 100 if share else values
    width = np.nanmax(values) - np.nanmin(values)
    digits = int(np.clip(np.ceil(1.9 - np.log10(width)), 0, 6)) if width > 0 else 2
    said = [
        f"{value:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:,.0f}"
        for value in values
    ]
    latest = f"{said[0]} %" if share else said[0]
    return f"{latest}, {_limits(said, np.isnan(values), ' %' if share else '')}"


def _limits(said: list[str], gone: np.ndarray, unit: str) -> str:
    if gone[1] and gone[2]:
        return "no limits"
    if gone[1] or gone[2]:
        which, place = ("upper", 2) if gone[1] else ("lower", 1)
        return f"{which} limit {said[place]}{unit}"
    return f"limits {said[1]} to {said[2]}{unit}"


# --- Drawing --------------------------------------------------------------------------------------


def _mark(ax: Axes, column: float, row: float, word: str) -> None:
    if word in DRAWN:
        what = DRAWN[word]
        ax.plot(column, row, look.MARKER[what], color=look.MEANING[what], ms=8)
    elif word == "young":
        ax.plot(column, row, "o", mfc="none", color=look.MEANING["limit"], ms=8)


def _from_centre(row) -> float:
    """Distance from the centre, 1 at the limit on that side; held within the picture."""
    side = row.high if row.rate >= row.centre else row.low
    width = abs(side - row.centre)
    return float(np.clip((row.rate - row.centre) / width, -3, 3)) if width > 0 else np.nan


def _key(ax: Axes, words: dict[str, str], young: bool) -> None:
    """What the shapes mean, below the picture."""
    for word, what in words.items():
        ax.plot([], [], look.MARKER[what], color=look.MEANING[what], ls="", label=word)
    if young:
        grey = look.MEANING["limit"]
        ax.plot([], [], "o", mfc="none", color=grey, ls="", label="not complete yet")
    if words or young:
        ax.legend(
            frameon=False, ncols=5, fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.3)
        )


def _text(values: pd.Series) -> list[str]:
    return ["" if pd.isna(value) else " ".join(str(value).split()) for value in values]
