"""What would the alarms have done in the past?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, run_length, three_point
from sqm.autocorrelation import persistence, variance_of_mean
from sqm.checks import (
    Problem,
    Refusal,
    nearest,
    need_columns,
    need_settings,
    need_share,
    need_whole,
)
from sqm.finding import Finding, counted, listed
from sqm.interval import digits_for, spell
from sqm.money import amount, need_currency, on_axis, spell_money
from sqm.money import limits as money_limits
from sqm.signal_rules import Rules, completing, in_use, marks, sides

FEWEST_PERIODS = 24
FEWEST_STEADY = 12  # in either half of the history
DRAWS_OF_COST = 10_000
YEAR = pd.Timedelta(days=365.25)
NEEDED = ("series", "period", "z", "baseline", "mature")
EVENT = ("name", "series", "from", "to", "direction")
RIVALS = ("beyond the limits", "limits and run of 8", "Western Electric", "limits and ewma")
SIZES = (1.0, 1.5, 2.0)  # sigma
SERIES = 12_000  # drawn in all for either half
IN_WORDS = {
    "ewma": "ewma w at L: a mean that weighs the newest period by w is over L of its sigmas off.",
    "cusum": "cusum a at h: what lies more than a sigma off, summed up, has passed h sigma.",
}
SERIES_LETTERS = 30  # of a name in the picture, which leaves room for what stands behind it
WARMING = 13  # periods that a planted chart runs before its shift
COUNTED = ("periods", "alarms", "true", "false", "false_outside")
COUNTED += ("events", "found", "missed", "late")
COUNTS = dict.fromkeys(COUNTED, "Int64")
COLUMNS_OF_COST = ("cost", "cost_low", "cost_high")
SINGLE_EVENTS = ("gap", "time")  # data whose periods are the days of events


@dataclass(frozen=True, eq=False)
class Replay(Finding):
    """What rules would have done on the periods that were watched.

    Attributes
    ----------
    table : DataFrame, one row a series and set of rules, then one a set over all (series blank)
        ``series``; ``rules``, their text; ``name``, ``in use`` or that of the rival; ``periods``
        and ``years`` watched; ``alarms``, unbroken runs of signals; ``true``, those that overlap
        a known change or its window, and ``false``; ``years_outside`` known changes and their
        windows, and ``false_outside``, alarms that began there; ``estimate``, ``low``, ``high``:
        of these a year (of one series; over all, of all together; NaN if nothing lies outside);
        ``events`` known, ``found`` and ``missed``; ``median_delay`` of the found, in periods, 1
        for an alarm in the first; ``late``, periods of delay that are charged; ``cost``,
        ``cost_low``, ``cost_high`` of all that was watched, in ``currency`` (NaN without costs);
        ``note``.  The row of one series is as if it alone were watched; over all, a change of
        several series is one event, told by the earliest alarm of any.
    raised, true, false, events, found, missed : int
        Of the rules in use, over all series.
    false_a_year, low, high : float
        False alarms a year of one series on average, rules in use, with its approximate interval;
        NaN if nothing watched lies outside the known changes.
    median_delay : float
        NaN if nothing was found.
    cost, cost_low, cost_high : float
        Of the rules in use on all series over all that was watched; NaN without costs.
    weeks : float
        From the first period watched to the end of the last.
    currency : str
    series, unplayed : int
        Series replayed, and those that could not be.
    window, noticed_after : int
        Periods after an event that still count as its alarm; periods after which a change is
        taken to be noticed without the chart.
    confidence : float
    """

    raised: int
    true: int
    false: int
    events: int
    found: int
    missed: int
    false_a_year: float
    low: float
    high: float
    median_delay: float
    cost: float
    cost_low: float
    cost_high: float
    weeks: float
    currency: str
    series: int
    unplayed: int
    window: int
    noticed_after: int
    confidence: float

    def sentence(self) -> str:
        first = (
            f"On the past of {self.series} series the rules in use would have raised"
            f" {counted(self.raised, 'alarm')}, {self.true} of them true: {self._rate()};"
            f" {self._events()}."
        )
        return "\n".join([first, " ".join([*self._cost(), *self._others(), *self._rests()])])

    def _rate(self) -> str:
        if not np.isfinite(self.false_a_year):
            return "no rate of false ones, as nothing lies outside the known changes"
        rate = spell(
            self.false_a_year,
            self.low,
            self.high,
            confidence=self.confidence,
            digits=min(digits_for(self.low, self.high), 2),
        )
        return f"approximately {rate} false ones a year and series"

    def _events(self) -> str:
        if not self.events:
            return "no change is known that they could have found"
        periods = "period" + "s" * (self.median_delay != 1)
        delay = f", after {self.median_delay:g} {periods} (median)" * bool(self.found)
        return f"{self.found} of {counted(self.events, 'known change')} found{delay}"

    def _cost(self) -> list[str]:
        if not self.currency:
            return ["No costs are given, so alarms and delays are counted, not weighed."]
        if self.cost_low == self.cost_high:
            told = amount(self.cost, currency=self.currency)
        else:
            told = spell_money(
                self.cost,
                self.cost_low,
                self.cost_high,
                confidence=self.confidence,
                currency=self.currency,
            )
        return [
            f"False alarms and delays would have cost {told} over the"
            f" {counted(max(round(self.weeks), 1), 'week')} replayed (the range is that of the"
            " costs given, not chance).",
            "Delay is charged once a change, up to the earliest alarm in any of its series; for a"
            f" missed one until it ended, {self.noticed_after} periods at most; for a change for"
            " the better not at all.",
        ]

    def _others(self) -> list[str]:
        rows = self.table[(self.table["series"] == "") & (self.table["name"] != "in use")]
        told = [
            f"{row.name} ({row.true} true, {row.false} false, {row.found} found)"
            for row in rows.itertuples()
        ]
        return [f"Alarms under other rules: {'; '.join(told)}."] * bool(told)

    def _rests(self) -> list[str]:
        whole = self.table[(self.table["series"] == "") & (self.table["name"] == "in use")].iloc[0]
        words = [
            f"Watched: {whole['periods']:,} periods, {whole['years']:.1f} years of series. An alarm"
            f" is an unbroken run of signals. It is true if it overlaps a known change or the"
            f" {counted(self.window, 'period')} after it: a change that nobody wrote down makes a"
            " true alarm look false, one of many series a chance alarm look true.",
        ]
        if whole["years_outside"]:
            words.append(
                "The rate of false alarms is that outside known changes and these periods, over"
                f" {whole['years_outside']:.1f} years of series. Its interval is approximate: it"
                " takes alarms as independent, but series that move together raise them together."
            )
        notes = self.table[(self.table["name"] == "in use") & (self.table["note"] != "")]
        told = [f"{row.series or 'all'}: {row.note}" for row in notes.itertuples()]
        if told:
            words.append(f"Note {listed(told, most=4, apart='; ')}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[(self.table["name"] == "in use") & (self.table["series"] != "")]
        sets = self.table[(self.table["series"] == "") & (self.table["name"] != "in use")]
        whole = self.table[(self.table["series"] == "") & (self.table["name"] == "in use")]
        shown = pd.concat([rows, whole, sets], ignore_index=True)
        scale = np.where(shown["series"] == "", max(self.series, 1), 1)
        drawn = shown[["estimate", "low", "high"]].div(scale, axis=0)
        names = [
            f"{look.shorten(row.series, width=SERIES_LETTERS) or ('all: ' + row.name)}"
            f" · {row.true} true, {row.found}/{row.events}"
            for row in shown.itertuples()
        ]
        meaning = ["limit"] * len(rows) + ["usual"] + ["other"] * len(sets)
        look.dots(ax, drawn, names=names, meaning=meaning)
        return look.label(
            ax,
            title="What would the alarms have done in the past?",
            x="false alarms a year and series; left: true alarms, changes found/known",
        )


@dataclass(frozen=True, eq=False)
class CheapestRules(Finding):
    """Rules weighed by what false alarms and delays would cost, on shifts planted in the past.

    Attributes
    ----------
    table : DataFrame, one row a half of the history, set of rules and quantity
        ``half``, ``chosen on`` or ``judged on``; ``rules``; ``name``; ``quantity``: ``false alarms
        a year``, ``found`` (chance that a planted shift is told in time), ``delay`` (periods, cut
        at the time at which it is noticed anyway), ``cost a year``; ``shift_sigma`` (NaN: over
        all sizes); ``estimate``, ``low``, ``high``; ``unit``; ``note``.
    chosen, runner_up : str
        Rules of least cost on the first half, and the next; blank without costs.
    cost, cost_low, cost_high : float
        Of the chosen rules a year over all series, on the second half.
    saving, saving_low, saving_high : float
        Runner-up's cost less the chosen one's, on the second half.
    clear : bool
        Whether the saving's interval lies above 0.
    against_use, against_use_low, against_use_high : float
        Cost of the rules in use less that of the chosen, on the second half.
    false_a_year, found : float
        Of the chosen rules (in use, without costs), on the second half: per series and year; share.
    found_low, found_high : float
    within_budget : bool
        Whether any rules kept to the false alarms allowed.
    most_false_alarms : float
        Allowed a year and series; infinite if no budget was given.
    shifts_a_year : float
        Of one series, on average over the draws.
    sets, series, unused, draws, noticed_after : int
    currency : str
    confidence : float
    """

    chosen: str
    runner_up: str
    cost: float
    cost_low: float
    cost_high: float
    saving: float
    saving_low: float
    saving_high: float
    clear: bool
    against_use: float
    against_use_low: float
    against_use_high: float
    false_a_year: float
    found: float
    found_low: float
    found_high: float
    within_budget: bool
    most_false_alarms: float
    shifts_a_year: float
    sets: int
    series: int
    unused: int
    draws: int
    noticed_after: int
    currency: str
    confidence: float

    def sentence(self) -> str:
        found = spell(
            self.found * 100,
            self.found_low * 100,
            self.found_high * 100,
            confidence=self.confidence,
            digits=0,
            unit="%",
        )
        told = (
            f"about {found} of planted shifts in time, with {self.false_a_year:.2g} false alarms a"
            " year and series"
        )
        if not self.chosen:
            first = f"No costs are given, so no rules are chosen; those in use find {told}."
        else:
            first = (
                f"Of {self.sets} sets of rules the cheapest is {self.chosen}"
                f"{'' if self.clear else ', not clear of the next best'}: approximately"
                f" {self._money('cost')} a year."
            )
            return "\n".join(
                [first, " ".join([f"It finds {told}.", *self._compared(), *self._rests()])]
            )
        return "\n".join([first, " ".join(self._rests())])

    def _money(self, what: str) -> str:
        return spell_money(
            getattr(self, what),
            getattr(self, f"{what}_low"),
            getattr(self, f"{what}_high"),
            confidence=self.confidence,
            currency=self.currency,
        )

    def _compared(self) -> list[str]:
        if self.saving_high < 0:
            verdict = "so it turned out cheaper"
        else:
            verdict = "clear of 0" if self.clear else "so the choice is open"
        words = [
            f"The next best, {self.runner_up}, costs {self._money('saving')} more a year on the"
            f" second half, {verdict}."
        ]
        if self.against_use_low == self.against_use_high == 0:
            words.append("The chosen are the rules in use.")
        else:
            words.append(f"The rules in use cost {self._money('against_use')} more.")
        if not self.within_budget:
            words.append(
                f"No rules keep to {self.most_false_alarms:g} false alarms a year and series: the"
                " quietest are taken."
            )
        elif np.isfinite(self.most_false_alarms):
            words.append(
                f"Only rules with up to {self.most_false_alarms:g} false alarms a year and series"
                " were weighed."
            )
        return words

    def _rests(self) -> list[str]:
        sizes = sorted(self.table["shift_sigma"].dropna().unique())
        words = [
            f"Shifts of {', '.join(f'{size:g}' for size in sizes)} sigma, equally often, are"
            f" planted into series that behave as the {self.series} did while steady; in time means"
            f" within {self.noticed_after} periods, after which a shift is taken to be noticed"
            " anyway.",
            "Rules are chosen on the first half of the steady periods and judged on the second;"
            " limits stay as they were, and how little so few periods tell is in the intervals,"
            f" which are approximate ({self.draws} draws of normal periods that resemble their"
            " neighbours).",
        ]
        if self.chosen:
            words.append(
                f"Taken as {self.shifts_a_year:.2g} lasting shifts a year and series whose delay"
                " costs; a period of delay costs the same whatever the size of the shift."
            )
        words += [said for rule, said in IN_WORDS.items() if rule in self.chosen + self.runner_up]
        if self.unused:
            words.append(f"{self.unused} series with too few steady periods left out.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        what = "cost a year" if self.chosen else "found"
        rows = self.table[
            (self.table["half"] == "judged on")
            & (self.table["quantity"] == what)
            & self.table["shift_sigma"].isna()
        ].sort_values(["estimate", "rules"], ascending=[bool(self.chosen), True])
        meaning = np.where(rows["rules"] == self.chosen, "better", "usual")
        meaning[(rows["name"] == "in use").to_numpy()] = "other"
        called = [
            f"{row.rules} (in use)" if row.name == "in use" else row.rules
            for row in rows.itertuples()
        ]
        look.dots(ax, rows, names=called, meaning=meaning)
        if self.chosen:
            unit = on_axis(ax.xaxis, currency=self.currency)
            x = f"cost of false alarms and delays a year, all series ({unit}), on the second half"
        else:
            x = "share of planted shifts found in time, on the second half"
        return look.label(ax, title="Which rules would have cost least?", x=x)


# --- the past as it was -------------------------------------------------------------------------


def replay(
    charts: pd.DataFrame,
    *,
    events: Sequence[dict] = (),
    rules: str = "beyond the limits",
    rivals: Sequence[str] = RIVALS,
    window: int = 4,
    noticed_after: int = 13,
    false_alarm_cost: float | Sequence[float] | None = None,
    delay_cost: float | Sequence[float] | None = None,
    currency: str | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> Replay:
    """Replay charts on their past: alarms, true and false, changes found and missed, and the cost.

    Parameters
    ----------
    charts : DataFrame, one row a series and period
        ``series``, ``period``, ``z``, ``baseline``, ``mature``; if there, ``rules`` (in use),
        ``signal`` or ``better``, which tell the direction of a change, and ``data``, of which
        ``gap`` and ``time`` say that each period is the day of an event.
    events : sequence of dict
        Known real changes: ``name``, ``series`` (one or a list; without it, or with ``all``, the
        change touches every series), ``from`` and ``to`` (dates; up to the end of the data without
        ``to``), ``direction`` (``worse`` or ``better``, optional).  Entries of the same name and
        first day are one change.
    rules : str
        Rules in use where the charts have no column for them; a name or a text.
    rivals : sequence of str
    window : int, default 4
        Periods after the end of a change in which an alarm still belongs to it.
    noticed_after : int, default 13
        Periods after which a change is noticed without the chart.
    false_alarm_cost, delay_cost : number or three numbers, optional
        Money for a false alarm, and for each period that a change goes on untold.
    currency : str, optional
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    Replay

    Raises
    ------
    Problem
        If an event lies outside the data or names an unknown series, costs are below 0, only one
        is given, or they have no currency.
    Refusal
        If no series has 24 periods.

    Notes
    -----
    Watched are the mature periods after the baseline; without one, all of them, in whose limits
    they take part.  False alarms a year: those that began outside known changes and their windows
    by the years of series outside, since within one an alarm of the right direction cannot be
    false.  Garwood's interval of a Poisson count (1936, Biometrika 28, 437-442) is conservative for
    alarms that are independent, approximate here.  Cost, over all that was watched: false alarms
    times their cost, plus periods from the first of a change up to and with its earliest alarm in
    any series times the cost of delay; a change without an alarm counts its whole length; both up
    to ``noticed_after``.  Delay of a change for the better costs nothing.  The length of a period
    is the median step, for single events the mean, since the middle of exponential gaps lies at 0.7
    of their mean.

    Examples
    --------
    24 quiet weeks, then four high ones that are a known change, told in its second week.

    >>> charts = pd.DataFrame({"series": "Wait", "z": [0.5, -0.5] * 12 + [2.0, 4.0, 4.0, 2.0],
    ...     "period": pd.date_range("2025-01-06", periods=28, freq="7D"), "mature": True})
    >>> charts["baseline"] = charts.index < 12
    >>> change = {"name": "leave", "series": "Wait", "from": "2025-06-23", "to": "2025-07-20"}
    >>> found = replay(charts, events=[change], rivals=[], rng=np.random.default_rng(1))
    >>> found.true, found.false, found.found, found.median_delay
    (1, 0, 1, 2.0)
    """
    names = _sound_charts(charts, confidence, window, noticed_after)
    known = _sound_events(events, charts, names)
    money = _sound_costs(false_alarm_cost, delay_cost, currency, rng)
    cases = [_history(charts, name, known) for name in names]
    played = [case for case in cases if not case["refused"]]
    if not played:
        raise Refusal(
            f"No series has {FEWEST_PERIODS} periods to be replayed.", "collect more periods."
        )
    how = {"window": window, "noticed_after": noticed_after}
    sets = _sets(played, charts, rules, rivals)
    rows, wholes = [], []
    for name, of in sets.items():
        some = [
            _played(case, of[case["series"]], name, money, confidence, **how) for case in played
        ]
        rows += some
        wholes.append(_together(some, name, money, confidence))
    rows += [
        {"series": case["series"], "name": "in use", "note": case["refused"]}
        for case in cases
        if case["refused"]
    ]
    table = pd.DataFrame([*rows, *wholes]).drop(columns="changes").astype(COUNTS)
    order = table["series"].replace("", "\U0010ffff")
    table = table.iloc[np.lexsort((np.arange(len(table)), order))].reset_index(drop=True)
    how["weeks"] = (
        max(case["until"] for case in played) - min(case["since"] for case in played)
    ) / pd.Timedelta(weeks=1)
    return _told(table, wholes[0], len(played), len(cases), money, confidence, how)


def _told(table, whole, series: int, all_series: int, money, confidence, how: dict) -> Replay:
    counts = ("true", "false", "events", "found", "missed")
    return Replay(
        table=table,
        raised=int(whole["alarms"]),
        **{name: int(whole[name]) for name in counts},
        false_a_year=whole["estimate"] / series,
        low=whole["low"] / series,
        high=whole["high"] / series,
        median_delay=float(whole["median_delay"]),
        **{name: float(whole[name]) for name in COLUMNS_OF_COST},
        currency=money["currency"] if money else "",
        series=series,
        unplayed=all_series - series,
        confidence=confidence,
        **how,
    )


def _sound_charts(charts: pd.DataFrame, confidence: float, window: int, noticed: int) -> list[str]:
    need_columns(charts, NEEDED, source="The table of charts")
    need_share(confidence, name="confidence")
    need_whole(window, name="window", least=0)
    need_whole(noticed, name="noticed_after", least=1)
    if charts.empty:
        raise Refusal("There is no chart.", "chart at least one series.")
    if not pd.api.types.is_datetime64_any_dtype(charts["period"]):
        raise Problem("'period' of the charts is not a date.", "give the first day of each period.")
    twice = charts[charts.duplicated(["series", "period"])]
    if len(twice):
        first = twice.iloc[0]
        raise Problem(
            f"The chart of {first['series']!r} has {first['period']:%Y-%m-%d} twice.",
            "give one row a series and period.",
        )
    return sorted(charts["series"].astype("str").unique())


def _sound_events(events: Sequence[dict], charts: pd.DataFrame, names: list[str]) -> list[dict]:
    """The events as dates, one entry a series."""
    found = []
    zone = charts["period"].dt.tz
    for at, event in enumerate(events, start=1):
        need_settings(event, known=EVENT, needs=["name", "from"], name=f"event {at}")
        if not isinstance(event["name"], str) or not event["name"].strip():
            raise Problem(f"Event {at} is called {event['name']!r}.", "name it in a few words.")
        where = _touched(event, names)
        told = _dates(event, zone)
        spans = _spans(charts, where or names)
        if not where:  # every series that has data at the time
            where = _reached(told, spans)
        for series in where:
            _need_within(told, *spans[series])
            found.append({**told, "series": series})
            if found[-1] in found[:-1]:
                raise Problem(
                    f"The event {event['name']!r} stands twice for {series!r}.", "name it once."
                )
    return found


def _touched(event: dict, names: list[str]) -> list[str]:
    """The series that an event names; none if it touches every one."""
    where = event.get("series")
    where = list(where) if isinstance(where, list | tuple) else [where]
    if not where:
        raise Problem(
            f"The event {event['name']!r} names no series.", "name one or more, or write `all`."
        )
    if where == [None] or "all" in where:
        return []
    for series in map(str, where):
        if series not in names:
            raise Problem(
                f"The event {event['name']!r} names the series {series!r}, which has no chart.",
                nearest(series, names),
            )
    return [str(series) for series in where]


def _spans(charts: pd.DataFrame, names: list[str]) -> dict[str, tuple]:
    """Begin and end of the data of each series."""
    own = {name: charts[charts["series"].astype("str") == name] for name in names}
    return {
        name: (rows["period"].min(), rows["period"].max() + _step(rows))
        for name, rows in own.items()
    }


def _reached(event: dict, spans: dict[str, tuple]) -> list[str]:
    """The series whose data an event that touches all of them reaches."""
    if not any(first <= event["from"] < last for first, last in spans.values()):
        _need_within(
            event, min(first for first, _ in spans.values()), max(e for _, e in spans.values())
        )
    return [
        name
        for name, (first, last) in spans.items()
        if event["from"] < last and (event["to"] is None or event["to"] >= first)
    ]


def _dates(event: dict, zone) -> dict:
    name = event["name"]
    try:
        start = pd.Timestamp(str(event["from"]))
        end = pd.Timestamp(str(event["to"])) if event.get("to") else None
    except ValueError:
        start = end = pd.NaT
    if start is pd.NaT or end is pd.NaT:
        raise Problem(f"The event {name!r} has no dates.", "write them as 2025-09-29.")
    start = start.tz_localize(zone) if start.tzinfo is None else start.tz_convert(zone)
    if end is not None:
        end = end.tz_localize(zone) if end.tzinfo is None else end.tz_convert(zone)
    if end is not None and end < start:
        raise Problem(f"The event {name!r} ends before it begins.", "correct its dates.")
    direction = event.get("direction") or ""
    if direction not in ("", "worse", "better"):
        raise Problem(
            f"The event {name!r} has the direction {direction!r}.",
            nearest(direction, ["worse", "better"]),
        )
    return {"name": str(name), "from": start, "to": end, "direction": direction}


def _need_within(event: dict, first: pd.Timestamp, last: pd.Timestamp) -> None:
    if not first <= event["from"] < last:
        raise Problem(
            f"The event {event['name']!r} begins on {event['from']:%Y-%m-%d}, outside the data of"
            f" its series ({first:%Y-%m-%d} to {last:%Y-%m-%d}).",
            "correct the date, or leave it out.",
        )


def _sound_costs(false_alarm, delay, currency, rng: np.random.Generator) -> dict | None:
    if false_alarm is None and delay is None:
        return None
    if false_alarm is None or delay is None:
        raise Problem(
            "Of the cost of a false alarm and the cost of delay only one is given.",
            "give both, or neither.",
        )
    read = {
        "false": three_point.three_points(false_alarm, name="false_alarm_cost"),
        "late": three_point.three_points(delay, name="delay_cost"),
    }
    for name, points in read.items():
        if points[0] < 0:
            raise Problem(
                f"The cost of {'a false alarm' if name == 'false' else 'delay'} is {points[0]:g}.",
                "give 0 or more.",
            )
    return {
        "currency": need_currency(currency),
        **{
            name: three_point.drawn(points, DRAWS_OF_COST, rng=rng) for name, points in read.items()
        },
    }


def _step(rows: pd.DataFrame) -> pd.Timedelta:
    """Length of a period of one series."""
    periods = rows["period"].sort_values()
    if len(periods) < 2:
        return pd.Timedelta(days=7)
    if _single_events(rows):  # the middle of uneven gaps lies below their mean
        return (periods.iloc[-1] - periods.iloc[0]) / (len(periods) - 1)
    return periods.diff().median()


def _single_events(rows: pd.DataFrame) -> bool:
    return "data" in rows and bool(rows["data"].isin(SINGLE_EVENTS).any())


def _history(charts: pd.DataFrame, name: str, events: list[dict]) -> dict:
    """One series: its distances, what of it is watched, and the places of its events."""
    rows = charts[(charts["series"].astype("str") == name) & charts["mature"].astype(bool)]
    rows = rows.sort_values("period", ignore_index=True)
    z, baseline = rows["z"].to_numpy(dtype=float), rows["baseline"].to_numpy(dtype=bool)
    found = {"series": name, "z": z, "refused": "", "note": ""}
    if np.isfinite(z).sum() < FEWEST_PERIODS:
        few = f"fewer than {FEWEST_PERIODS} periods"
        return {**found, "refused": few}
    watched = np.isfinite(z) & ~baseline
    if not watched.any():
        watched, found["note"] = np.isfinite(z), "all periods are baseline: limits and past overlap"
    step = _step(rows)
    places, notes = _places(rows, [e for e in events if e["series"] == name], watched)
    found["note"] = "; ".join(filter(None, [found["note"], *notes]))
    at = rows.loc[watched, "period"]
    return {
        **found,
        "watched": watched,
        "gap": _gap(rows, step),
        "at": rows["period"],
        "since": at.iloc[0],
        "until": at.iloc[-1] + step,
        "events": places,
        "up_is_worse": _up_is_worse(rows),
        "years": float(watched.sum() * (step / YEAR)),
    }


def _gap(rows: pd.DataFrame, step: pd.Timedelta) -> np.ndarray | None:
    """Where a period is missing just before; nowhere among single events."""
    steps = rows["period"].diff()
    gap = (steps > 1.5 * step).to_numpy()
    even = not _single_events(rows) and (steps.dropna() > 0.5 * step).all()
    return gap if even and gap.any() else None


def _up_is_worse(rows: pd.DataFrame) -> bool | None:
    if "better" in rows and len(rows["better"].dropna()):
        return rows["better"].dropna().iloc[0] == "lower"
    if "signal" not in rows:
        return None
    told = rows[rows["signal"].isin(["worse", "better"]) & (rows["z"] != 0)]
    if told.empty:
        return None
    return bool(((told["signal"] == "worse") == (told["z"] > 0)).mean() > 0.5)


def _places(rows: pd.DataFrame, events: list[dict], watched: np.ndarray) -> tuple[list, list]:
    """Each event that can be replayed with its first and last index, and notes of the others."""
    found, early, late = [], 0, 0
    first = int(np.argmax(watched))
    for event in events:
        start, end = _ends(rows, event)
        if start < first:
            early += 1
        elif start >= len(rows):
            late += 1
        else:
            found.append((start, max(end, start), event))
    told = {"before the watch": early, "after the last mature period": late}
    return found, [f"{counted(n, 'change')} {when} left out" for when, n in told.items() if n]


def _ends(rows: pd.DataFrame, event: dict) -> tuple[int, int]:
    """First and last index of an event; -1 before the first period, their number after the last."""
    periods = rows["period"]
    if _single_events(rows):  # the first that the change can have moved
        start = int(periods.searchsorted(event["from"], side="left"))
    elif event["from"] >= periods.iloc[-1] + _step(rows):
        start = len(periods)
    else:
        start = int(periods.searchsorted(event["from"], side="right")) - 1
    end = len(periods) - 1
    if event["to"] is not None:
        end = int(periods.searchsorted(event["to"], side="right")) - 1
    return start, end


def _sets(cases: list[dict], charts: pd.DataFrame, rules: str, rivals: Sequence[str]) -> dict:
    """Name of each set of rules, and the rules it means for each series; those in use first."""
    own = {case["series"]: in_use(charts, case["series"], rules) for case in cases}
    sets = {"in use": own}
    seen = {str(each) for each in own.values()}
    for rival in rivals:
        if {str(completing(rival))} != seen:
            sets[rival] = dict.fromkeys(own, completing(rival))
    return sets


def _played(case, rules: Rules, name: str, money, confidence, *, window, noticed_after) -> dict:
    """One row: what these rules would have done on one series."""
    side = np.where(case["watched"], sides(case["z"], rules, gap=case["gap"]), 0)
    runs = _runs(side != 0)
    changes, true, outside = [], np.zeros(len(runs), dtype=bool), case["watched"].copy()
    for start, end, event in case["events"]:
        until = min(end + window, len(side) - 1)
        outside[start : until + 1] = False
        wanted = _wanted(side, event["direction"], case["up_is_worse"])
        for at, (a, b) in enumerate(runs):
            true[at] |= wanted[max(a, start) : min(b, until) + 1].any()
        within = np.flatnonzero(wanted[start : until + 1])
        length = min(end - start + 1, noticed_after)
        changes.append(_change(event, within, case["at"].iloc[start:], length, noticed_after))
    false_outside = sum(outside[a] and not told for (a, _), told in zip(runs, true, strict=True))
    counts = {"alarms": len(runs), "true": int(true.sum()), "false": int((~true).sum())}
    years = case["years"] * float(outside.sum() / case["watched"].sum())
    return {
        **{"series": case["series"], "rules": str(rules), "name": name},
        **{"periods": int(case["watched"].sum()), "years": case["years"], **counts},
        **{"years_outside": years, "false_outside": int(false_outside)},
        **_a_year(int(false_outside), years, confidence),
        **_of_events(changes, counts["false"], money, confidence),
        "note": "; ".join(filter(None, [case["note"], "all within known changes" * (not years)])),
    }


def _change(event: dict, within: np.ndarray, at: pd.Series, length: int, noticed: int) -> dict:
    """One change on one series: when it was told, and how late, in periods."""
    delay = int(within[0]) + 1 if len(within) else None
    return {
        "change": (event["name"], event["from"]),
        "delay": delay,
        "told": at.iloc[within[0]].value if delay else np.inf,
        "late": min(delay, noticed) if delay else length,
        "charged": event["direction"] != "better",
    }


def _once(changes: list[dict]) -> list[dict]:
    """One entry a change: the earliest alarm tells it; untold, the longest of its series counts."""
    order = sorted(changes, key=lambda one: (one["told"], one["delay"] or -one["late"]))
    charged = {one["change"] for one in changes if one["charged"]}
    found: dict = {}
    for one in order:
        found.setdefault(one["change"], {**one, "charged": one["change"] in charged})
    return list(found.values())


def _of_events(changes: list[dict], false: int, money: dict | None, confidence: float) -> dict:
    delays = [one["delay"] for one in changes if one["delay"]]
    late = sum(one["late"] for one in changes if one["charged"])
    return {
        **{"events": len(changes), "found": len(delays), "missed": len(changes) - len(delays)},
        "median_delay": float(np.median(delays)) if delays else np.nan,
        "late": late,
        **_cost(false, late, money, confidence),
        "changes": changes,
    }


def _wanted(side: np.ndarray, direction: str, up_is_worse: bool | None) -> np.ndarray:
    """Signals that point the way the event goes; all of them where one of the two is not known."""
    if not direction or up_is_worse is None:
        return side != 0
    return side == (1 if (direction == "worse") == up_is_worse else -1)


def _runs(on: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each unbroken run."""
    edges = np.diff(np.concatenate([[0], on.astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True))


def _a_year(count: int, years: float, confidence: float) -> dict:
    if not years:
        return dict.fromkeys(("estimate", "low", "high"), np.nan)
    low, high = garwood(count, confidence=confidence)
    return {"estimate": count / years, "low": low / years, "high": high / years}


def garwood(count: int, *, confidence: float) -> tuple[float, float]:
    """Interval of a Poisson mean from one count, conservative if the count is one.

    Examples
    --------
    Nothing in all: up to -log(0.025).

    >>> [round(limit, 3) for limit in garwood(0, confidence=0.95)]
    [0.0, 3.689]
    """
    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.isf(tail, 2 * count + 2) / 2)


def _cost(false: float, late: float, money: dict | None, confidence: float) -> dict:
    if money is None:
        return dict.fromkeys(COLUMNS_OF_COST, np.nan)
    drawn = false * money["false"] + late * money["late"]
    low, high = money_limits(drawn, confidence=confidence)
    return dict(zip(COLUMNS_OF_COST, map(float, (drawn.mean(), low, high)), strict=True))


def _together(rows: list[dict], name: str, money: dict | None, confidence: float) -> dict:
    """The row of all series; its years are those of one series in the sum, its rates of all."""
    total = {
        key: sum(row[key] for row in rows)
        for key in ("periods", "years", "alarms", "true", "false")
    }
    outside = {key: sum(row[key] for row in rows) for key in ("years_outside", "false_outside")}
    changes = _once([change for row in rows for change in row["changes"]])
    texts = {row["rules"] for row in rows}
    years = outside["years_outside"] / len(rows)
    return {
        **{"series": "", "rules": texts.pop() if len(texts) == 1 else "by series", "name": name},
        **total,
        **outside,
        **_a_year(outside["false_outside"], years, confidence),
        **_of_events(changes, total["false"], money, confidence),
        "note": "",
    }


# --- shifts planted in the past -----------------------------------------------------------------


def cheapest_rules(
    charts: pd.DataFrame,
    *,
    events: Sequence[dict] = (),
    rules: str = "beyond the limits",
    grid: Sequence[str] | None = None,
    sizes: Sequence[float] = SIZES,
    shifts_a_year: float | Sequence[float] | None = None,
    false_alarm_cost: float | Sequence[float] | None = None,
    delay_cost: float | Sequence[float] | None = None,
    currency: str | None = None,
    most_false_alarms: float | None = None,
    noticed_after: int = 13,
    draws: int = 100,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> CheapestRules:
    """Choose the rules whose false alarms and delays cost least, on shifts planted in the past.

    Parameters
    ----------
    charts, events, rules, false_alarm_cost, delay_cost, currency, confidence, rng
        As in `replay`; periods within events are not steady and are left out: of every series where
        an event names none.
    grid : sequence of str, optional
        Rules to choose from beside those in use; `grid_of_rules` if not given.
    sizes : sequence of float
        Lasting shifts in sigma, equally often, upwards or downwards.
    shifts_a_year : number or three numbers, optional
        Real shifts of one series in a year whose delay costs; learnt from the events if not given.
    most_false_alarms : float, optional
        False alarms a year and series that are tolerated.
    noticed_after : int, default 13
        Periods after which a shift is noticed without the chart.
    draws : int, default 100
        Laws of the series that the past allows.

    Returns
    -------
    CheapestRules

    Raises
    ------
    Problem
        As in `replay`, or if a size, a rate or the budget is not above 0.
    Refusal
        If no series has 12 steady periods in either half of its history.

    Notes
    -----
    The steady periods of each series are cut in two.  In each half z is a first-order
    autoregression about a level of its own; level, variance and correlation are drawn as the
    restricted likelihood allows (see `autocorrelation.persistence`), which gives tails that a
    bootstrap of few periods lacks.  Each drawn series runs a year without a shift (false alarms)
    and again with one after 13 periods (delay, 1 for an alarm in the first period of the shift).
    Cost a year = false alarms times their cost + shifts times delay times the cost of a period.
    All rules see the same draws.  Intervals are quantiles over the draws, with the noise of the few
    series in each draw taken out of their spread; they are approximate.  Without ``shifts_a_year``
    the rate has the Jeffreys posterior of the events, gamma(k + 1/2) over the years of all series;
    as in `replay`, a change of several series counts once, and one for the better not.

    Examples
    --------
    When false alarms cost nothing, the most alert rules are the cheapest.

    >>> z = np.random.default_rng(1).normal(size=80)
    >>> charts = pd.DataFrame({"series": "Wait", "z": z, "mature": True, "baseline": False,
    ...     "period": pd.date_range("2024-01-01", periods=80, freq="7D")})
    >>> found = cheapest_rules(charts, grid=["beyond 2", "beyond 4"], shifts_a_year=1, draws=50,
    ...     false_alarm_cost=0, delay_cost=100, currency="EUR", rng=np.random.default_rng(2))
    >>> found.chosen, found.clear
    ('beyond 2', True)
    """
    names = _sound_charts(charts, confidence, 0, noticed_after)
    known = _sound_events(events, charts, names)
    money = _sound_costs(false_alarm_cost, delay_cost, currency, rng)
    _need_above_zero(sizes, most_false_alarms)
    need_whole(draws, name="draws", least=50)
    draws = min(draws, DRAWS_OF_COST)
    past = [_steady(charts, name, known) for name in names]
    used = [each for each in past if each["steady"]]
    if not used:
        raise Refusal(
            f"No series has {FEWEST_STEADY} steady periods in either half of its history.",
            "collect more periods before choosing rules by their cost.",
        )
    rates = _rates(shifts_a_year, known, past, draws, rng)
    sets = _candidates(charts, used, rules, grid)
    plan = {"sizes": tuple(map(float, sizes)), "noticed": noticed_after, "draws": draws}
    halves = [_trial(used, half, sets, money, rates, plan, rng) for half in (0, 1)]
    table = _trial_table(halves, plan["sizes"], sets, used, money, confidence)
    return CheapestRules(
        table=table,
        **_choice(halves, money, most_false_alarms, len(sizes), confidence),
        most_false_alarms=np.inf if most_false_alarms is None else float(most_false_alarms),
        shifts_a_year=float(rates.mean()),
        sets=len(sets),
        series=len(used),
        unused=len(past) - len(used),
        draws=draws,
        noticed_after=noticed_after,
        currency=money["currency"] if money else "",
        confidence=confidence,
    )


@lru_cache
def grid_of_rules(arls: tuple[float, ...] = (100.0, 370.0)) -> tuple[str, ...]:
    """Limits, EWMA and CUSUM charts that each run so many steady periods on average, as texts.

    Examples
    --------
    >>> grid_of_rules((370.0,))[:3]
    ('beyond 3.00', 'ewma 0.1 at 2.71', 'ewma 0.2 at 2.86')
    """
    found = []
    for arl in arls:
        found.append(f"beyond {run_length.shewhart_width(arl):.2f}")
        for weight in (0.1, 0.2, 0.4):
            width = run_length.ewma_width(arl, weight=weight, exact=True)
            found.append(f"ewma {weight:g} at {width:.2f}")
        for allowance in (0.25, 0.5, 1.0):
            limit = run_length.cusum_limit(arl, allowance=allowance)
            found.append(f"cusum {allowance:g} at {limit:.2f}")
    return tuple(found)


def _need_above_zero(sizes: Sequence[float], most: float | None) -> None:
    if not len(sizes) or not all(np.isfinite(size) and size > 0 for size in sizes):
        raise Problem(f"The sizes of shifts are {list(sizes)}.", "give numbers of sigma above 0.")
    if most is not None and not most > 0:
        raise Problem(
            f"{most} false alarms a year are tolerated.", "give a number above 0, such as 1."
        )


def _steady(charts: pd.DataFrame, name: str, events: list[dict]) -> dict:
    """The steady periods of a series in two halves: places on the calendar and z."""
    rows = charts[(charts["series"].astype("str") == name) & charts["mature"].astype(bool)]
    rows = rows.sort_values("period", ignore_index=True)
    step = _step(charts[charts["series"].astype("str") == name])
    keep = np.isfinite(rows["z"].to_numpy(dtype=float))
    found = {"series": name, "years": float(keep.sum() * (step / YEAR)), "steady": []}
    for event in events if len(rows) else []:
        start, end = _ends(rows, event)
        if event["series"] == name and end >= 0:
            keep[max(start, 0) : max(start, end) + 1] = False
    at = np.round((rows["period"] - rows["period"].min()) / step).to_numpy()[keep]
    if _single_events(rows) or (np.diff(at) < 1).any():  # they come as they come
        at = np.arange(len(at))
    z = rows["z"].to_numpy(dtype=float)[keep]
    found["year"] = float(YEAR / step)
    middle = len(z) // 2
    if middle >= FEWEST_STEADY and min(np.ptp(z[:middle]), np.ptp(z[middle:])) > 0:
        found["steady"] = [
            (at[part].astype(int), z[part]) for part in (slice(None, middle), slice(middle, None))
        ]
    return found


def _rates(shifts_a_year, events: list, past: list[dict], draws: int, rng) -> np.ndarray:
    if shifts_a_year is None:
        years = sum(each["years"] for each in past)
        costly = {(e["name"], e["from"]) for e in events if e["direction"] != "better"}
        return rng.gamma(len(costly) + 0.5, 1 / max(years, 1e-9), size=draws)
    points = three_point.three_points(shifts_a_year, name="shifts_a_year")
    if points[0] < 0:
        raise Problem(f"shifts_a_year is {shifts_a_year!r}.", "give 0 or more.")
    return three_point.drawn(points, draws, rng=rng)


def _candidates(charts: pd.DataFrame, used: list[dict], rules: str, grid) -> dict[str, dict]:
    """Rules of each series by the name of the set; those in use first."""
    own = {each["series"]: in_use(charts, each["series"], rules) for each in used}
    same = {str(each) for each in own.values()}
    sets = {same.copy().pop() if len(same) == 1 else "the rules in use, by series": own}
    for text in grid_of_rules() if grid is None else grid:
        told = completing(text)
        sets.setdefault(str(told), dict.fromkeys(own, told))
    return sets


def _trial(used, half: int, sets, money, rates, plan, rng: np.random.Generator) -> dict[str, dict]:
    """What each set does on the same drawn series of one half, arrays (draws, series, each)."""
    sizes, draws = np.array(plan["sizes"]), plan["draws"]
    each = int(np.clip(SERIES // (draws * len(used) * len(sizes)), 2, 100)) * len(sizes)
    z = _drawn(used, half, (draws, each, max(52, WARMING + plan["noticed"])), rng)
    shifted = z[..., : WARMING + plan["noticed"]].copy()
    moved = np.resize(sizes, each) * rng.choice([-1.0, 1.0], size=(draws, len(used), each))
    shifted[..., WARMING:] += moved[..., None]
    year = np.array([one["year"] for one in used])[:, None] / z.shape[-1]
    costs = None if money is None else (money["false"][:draws], money["late"][:draws])
    return {
        name: _tried(z, shifted, [of[one["series"]] for one in used], year, rates, costs)
        for name, of in sets.items()
    }


def _drawn(used: list[dict], half: int, size: tuple[int, int, int], rng) -> np.ndarray:
    """Steady series of the laws that this half allows, (draws, series, each, periods)."""
    draws, each, longest = size
    z = rng.standard_normal((longest, draws, len(used), each))
    for column, one in enumerate(used):
        at, past = one["steady"][half]
        law = persistence(past[None, :], at=at, draws=draws, rng=rng)
        r, variance = law.correlations, law.variances
        error = np.sqrt(variance * variance_of_mean(len(past), r))
        level = past.mean() + error * rng.standard_normal(draws)
        series, fresh = z[:, :, column], np.sqrt(1 - r**2)[:, None]
        for t in range(1, longest):
            series[t] = r[:, None] * series[t - 1] + fresh * series[t]
        series *= np.sqrt(variance)[:, None]
        series += level[:, None]
    return np.moveaxis(z, 0, -1)


def _tried(z, shifted, rules: list[Rules], year, rates, costs) -> dict[str, np.ndarray]:
    on, told = _marked(z, rules), _marked(shifted, rules)[..., WARMING:]
    alarms = on[..., 0] + (on[..., 1:] & ~on[..., :-1]).sum(axis=-1)
    found = told.any(axis=-1)
    delay = np.where(found, told.argmax(axis=-1) + 1, told.shape[-1])
    tried = {"false alarms a year": alarms * year, "found": found.astype(float), "delay": delay}
    if costs is not None:
        false, late = (cost[:, None, None] for cost in costs)
        per_series = tried["false alarms a year"] * false + rates[:, None, None] * delay * late
        tried["cost a year"] = per_series * len(rules)  # all series together
    return tried


def _marked(z: np.ndarray, rules: list[Rules]) -> np.ndarray:
    if len({str(each) for each in rules}) == 1:
        return marks(z, rules[0])[0]
    return np.stack([marks(z[:, at], each)[0] for at, each in enumerate(rules)], axis=1)


def over_draws(
    values: np.ndarray, *, strata: int = 1, confidence: float
) -> tuple[float, float, float]:
    """Mean over all, and quantiles over the draws without the noise of the few series in each.

    Parameters
    ----------
    values : ndarray, shape (draws, series, each)
    strata : int, default 1
        Sizes of shift that take turns along the last axis.

    Notes
    -----
    The means of the draws are drawn together towards their own mean by sqrt(c - W / V), at most
    1: W is what the spread within a draw makes of their variance V, and c V that variance's upper
    limit, three times in four.

    Examples
    --------
    >>> over_draws(np.full((60, 1, 4), 2.0), confidence=0.95)
    (2.0, 2.0, 2.0)
    """
    values = np.asarray(values, dtype=float)
    draws, series, each = values.shape
    means = values.mean(axis=(1, 2))
    alike = values.reshape(draws, series, each // strata, strata)
    noise = alike.var(axis=2, ddof=1).mean() / (series * each)
    spread = means.var(ddof=1)
    sure = (draws - 1) / stats.chi2.ppf(0.25, draws - 1)  # the spread too is known from few draws
    kept = np.sqrt(np.clip(sure - noise / spread, 1 / draws, 1)) if spread > 0 else 0.0
    low, high = money_limits(means.mean() + kept * (means - means.mean()), confidence=confidence)
    return float(means.mean()), float(low), float(high)


def _trial_table(halves, sizes, sets, used, money, confidence: float) -> pd.DataFrame:
    rows = []
    units = {"false alarms a year": "a series", "found": "share", "delay": "periods"}
    units["cost a year"] = money["currency"] if money else ""
    own = next(iter(sets))
    for half, tried in zip(("chosen on", "judged on"), halves, strict=True):
        for rules, found in tried.items():
            for quantity, values in found.items():
                by_size = quantity in ("found", "delay")
                k = len(sizes)
                parts = [(np.nan, values, k)]
                parts += [(s, values[..., i::k], 1) for i, s in enumerate(sizes)] * by_size
                rows += [
                    {
                        **{"half": half, "rules": rules},
                        **{"name": "in use" if rules == own else "", "quantity": quantity},
                        "shift_sigma": size,
                        **dict(
                            zip(
                                ("estimate", "low", "high"),
                                over_draws(part, strata=strata, confidence=confidence),
                                strict=True,
                            )
                        ),
                        **{"unit": units[quantity], "note": ""},
                    }
                    for size, part, strata in parts
                ]
    return pd.DataFrame(rows)


def _choice(halves, money, most, strata: int, confidence: float) -> dict:
    """The cheapest set on the first half, judged on the second beside the next and those in use."""
    first, second = halves
    own = next(iter(first))
    if money is None:
        chosen, runner, within = own, own, True
    else:
        order, within = _ordered(first, most)
        chosen, runner = order[0], order[min(1, len(order) - 1)]
    best = second[chosen]
    found = {"false_a_year": float(best["false alarms a year"].mean()), "within_budget": within}
    found |= _spread("found", best["found"], strata, confidence)
    if money is None:
        nothing = ("cost", "saving", "against_use")
        blank = {f"{n}{end}": np.nan for n in nothing for end in ("", "_low", "_high")}
        return {**found, **blank, "chosen": "", "runner_up": "", "clear": False}
    cost = "cost a year"
    found |= _spread("cost", best[cost], strata, confidence)
    found |= _spread("saving", second[runner][cost] - best[cost], strata, confidence)
    found |= _spread("against_use", second[own][cost] - best[cost], strata, confidence)
    return {**found, "chosen": chosen, "runner_up": runner, "clear": found["saving_low"] > 0}


def _ordered(tried: dict, most: float | None) -> tuple[list[str], bool]:
    """Sets from the cheapest on, of those within the budget; or from the quietest on if none is."""
    alarms = {name: each["false alarms a year"].mean() for name, each in tried.items()}
    costs = {name: each["cost a year"].mean() for name, each in tried.items()}
    allowed = [name for name in tried if most is None or alarms[name] <= most]
    if not allowed:
        return sorted(tried, key=lambda name: (alarms[name], costs[name], name)), False
    rest = sorted((n for n in tried if n not in allowed), key=lambda name: (alarms[name], name))
    return [*sorted(allowed, key=lambda name: (costs[name], name)), *rest], True


def _spread(name: str, values: np.ndarray, strata: int, confidence: float) -> dict[str, float]:
    estimate, low, high = over_draws(values, strata=strata, confidence=confidence)
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}
