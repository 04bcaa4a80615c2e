"""What needs a reaction now?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_columns
from sqm.finding import Finding, counted

STATES = ("worse", "better", "cannot say", "quiet")  # in the order in which they are listed
SIGNALS = ("", "worse", "better")
CHARTED = (
    *("ctq", "period", "rate", "centre", "low", "high"),
    *("signal", "rule", "baseline", "false_alarm"),
)
DRAWN = {"quiet": "usual", "worse": "worse", "better": "better", "baseline": "limit"}
TO_FILL = ("definition", "target", "unit", "owner", "reaction")


@dataclass(frozen=True, eq=False)
class EarlyWarning(Finding):
    """Which CTQ signals now, since when, and who does what.

    Attributes
    ----------
    table : DataFrame, one row per CTQ, what needs a reaction first
        ``ctq``; ``state`` (``worse``, ``better``, ``cannot say`` or
        ``quiet``); ``watched``, periods looked at; ``signals``, those among
        them that signal as ``state`` says; ``since``, first day of the
        unbroken run of such signals that reaches into them; ``rule``, what
        gave the signal; ``latest_rate``, ``centre``, ``limit_low``,
        ``limit_high`` in the latest of them; ``owner``, ``reaction``;
        ``false_alarm``, the chance that a steady process signals in the periods
        watched; ``course``, a word for each period (``none`` without data);
        ``note``.
    worse, better, quiet, cannot_say : int
        How many CTQs are in each state.
    expected_false_alarms : float
        CTQs that would be listed if all were steady, on average.
    unstated : tuple of str
        CTQs watched whose chance of a false alarm is not known.
    periods : tuple of str
        First day of each period watched.
    """

    worse: int
    better: int
    quiet: int
    cannot_say: int
    expected_false_alarms: float
    unstated: tuple[str, ...]
    periods: tuple[str, ...]

    def sentence(self) -> str:
        watched = self.worse + self.better + self.quiet
        head = (
            f"Of {counted(watched, 'CTQ')} watched over {counted(len(self.periods), 'period')}"
            f" ({self.periods[0]} to {self.periods[-1]}),"
            f" {self.worse or 'none'} {'need' if self.worse > 1 else 'needs'} a reaction"
        )
        worse = "; ".join(_alarm(row) for row in self._rows("worse"))
        first = f"{head}: {worse}." if worse else f"{head}."
        return "\n".join([first, " ".join([*self._others(), self._false_alarms()])])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows, columns = np.arange(len(self.table)), np.arange(len(self.periods))
        for row, course in enumerate(self.table["course"]):
            ax.plot([-0.5, len(columns) - 0.6], [row, row], color="#e3e6e8", lw=0.8, zorder=0)
            for column, word in zip(columns, course.split(), strict=True):
                if word in DRAWN:
                    what = DRAWN[word]
                    ax.plot(column, row, look.MARKER[what], color=look.MEANING[what], ms=8)
        for row, each in zip(rows, self.table.itertuples(), strict=True):
            ax.text(len(columns) - 0.5, row, _rates(each), va="center", fontsize="small")
        words = {word for course in self.table["course"] for word in course.split()}
        _key(ax, {word: what for word, what in DRAWN.items() if word in words})
        ax.set_yticks(rows, [look.shorten(name, width=32) for name in self.table["ctq"]])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xticks(columns, self.periods, rotation=30, ha="right")
        ax.set_xlim(-0.5, len(columns) + 1.5)
        label = "period; right: latest rate and its limits"
        return look.label(ax, title="What needs a reaction now?", x=label)

    def _rows(self, state: str) -> list:
        return list(self.table[self.table["state"] == state].itertuples())

    def _others(self) -> list[str]:
        words = []
        if self.better:
            names = "; ".join(f"{row.ctq} since {row.since}" for row in self._rows("better"))
            words.append(f"Better than the limits allow, so find out why and keep it: {names}.")
        if self.cannot_say:
            names = "; ".join(f"{row.ctq} ({row.note})" for row in self._rows("cannot say"))
            words.append(f"Nothing can be said of {names}.")
        return words

    def _false_alarms(self) -> str:
        known = self.worse + self.better + self.quiet - len(self.unstated)
        if not known:
            return "How often such a list raises a false alarm is not stated."
        but = f", not counting {', '.join(self.unstated)}" if self.unstated else ""
        return (
            f"If all were steady, a list like this would name {self.expected_false_alarms:.2g} CTQs"
            f" by chance, on average{but}."
        )


@dataclass(frozen=True, eq=False)
class ControlPlan(Finding):
    """Who watches what, how, and what is done when it signals.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``, ``how_measured`` (its operational definition), ``target``,
        ``unit``, ``chart``, ``rule``, ``owner``, ``reaction``; ``lever``, the
        change of a driver that would lower its defects most (blank if none is
        clear of 0); ``to_fill``, the entries that are still blank, separated by commas.
    complete : int
        CTQs with nothing left to fill in.
    """

    complete: int

    def sentence(self) -> str:
        head = f"The control plan has {counted(len(self.table), 'CTQ')}, {self.complete} complete."
        open_rows = self.table[self.table["to_fill"] != ""]
        if open_rows.empty:
            return f"{head} Each has an owner and a reaction."
        names = "; ".join(f"{row.ctq}: {row.to_fill}" for row in open_rows.itertuples())
        return f"{head} Still to be filled in: {names}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for row, to_fill in enumerate(self.table["to_fill"]):
            for column, name in enumerate(TO_FILL):
                what = "worse" if name in to_fill.split(", ") else "better"
                ax.plot(column, row, look.MARKER[what], color=look.MEANING[what], ms=8)
        _key(ax, {"filled in": "better", "still blank": "worse"})
        ax.set_xticks(range(len(TO_FILL)), TO_FILL)
        ax.set_xlim(-0.5, len(TO_FILL) - 0.5)
        ax.set_yticks(range(len(self.table)), [look.shorten(name) for name in self.table["ctq"]])
        ax.set_ylim(len(self.table) - 0.5, -0.5)
        return look.label(ax, title="Is every CTQ looked after?", x="entry of the control plan")


def early_warning(
    charts: pd.DataFrame, *, ctqs: pd.DataFrame, last: int = 4, name: str = "ctq"
) -> EarlyWarning:
    """List the CTQs that signal in the latest periods, with what is to be done.

    Parameters
    ----------
    charts : DataFrame, one row a CTQ and period
        ``ctq``, ``period`` (datetime), ``rate``, ``centre``, ``low``, ``high``,
        ``signal`` (empty, ``worse`` or ``better``), ``rule``, ``baseline``
        (bool), ``false_alarm``: the chance, one number a CTQ, that a steady
        process signals at least once in the periods watched.
    ctqs : DataFrame, one row a CTQ
        Its name, ``owner`` and ``reaction``.
    last : int, default 4
        How many of the latest periods of all charts are watched; those that
        the limits rest on are not.
    name : str, default "ctq"
        Column of ``ctqs`` with the names.

    Returns
    -------
    EarlyWarning

    Raises
    ------
    Problem
        If a charted CTQ is not among ``ctqs``, a period comes twice, or a
        CTQ has more than one chance of a false alarm.
    Refusal
        If there is no chart at all.

    Notes
    -----
    A CTQ with signals in both directions counts as worse.  The expected number
    of false alarms is the sum of the chances; it holds also where the CTQs
    depend on each other.

    Examples
    --------
    >>> weeks = pd.date_range("2025-09-01", periods=3, freq="7D")
    >>> charts = pd.DataFrame({"ctq": "Wait", "period": weeks, "rate": [0.1, 0.1, 0.3],
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
    _need_one_each(charts, ctqs, name, last)
    periods = pd.DatetimeIndex(np.sort(charts["period"].unique()))[-last:]
    rows = [
        _watch(charts[charts["ctq"] == ctq[name]], ctq, ctq[name], periods)
        for _, ctq in ctqs.iterrows()
    ]
    table = _ordered(pd.DataFrame(rows))
    said = table[table["state"] != "cannot say"]
    return EarlyWarning(
        table=table,
        **{state.replace(" ", "_"): int((table["state"] == state).sum()) for state in STATES},
        expected_false_alarms=float(said["false_alarm"].sum()),
        unstated=tuple(said.loc[said["false_alarm"].isna(), "ctq"]),
        periods=tuple(f"{period:%Y-%m-%d}" for period in periods),
    )


def control_plan(
    ctqs: pd.DataFrame,
    *,
    name: str = "ctq",
    chart: str = "limits frozen from the baseline",
    rule: str = "any signal of the chart",
    lifts: pd.DataFrame | None = None,
) -> ControlPlan:
    """Set out for each CTQ what is watched, how, by whom, and what is then done.

    Parameters
    ----------
    ctqs : DataFrame, one row a CTQ
        Its name, ``definition``, ``target``, ``unit``, ``owner``, ``reaction``;
        blanks are named as still to be filled in.
    name : str, default "ctq"
        Column with the names.
    chart, rule : str
        The chart of all of them, and what on it calls for the reaction.
    lifts : DataFrame, optional
        What a change of each driver would bring: ``driver``, ``change``,
        ``target_kind``, ``name`` (of a CTQ), ``estimate`` (below 0: fewer
        defects), ``clear``.

    Returns
    -------
    ControlPlan

    Raises
    ------
    Problem
        If a column is missing, or a CTQ is there twice.

    Examples
    --------
    >>> print(control_plan(pd.DataFrame({"ctq": ["Wait"], "definition": ["seconds to an agent"],
    ...     "target": [0.1], "unit": ["s"], "owner": [""], "reaction": ["call for help"]})))
    The control plan has 1 CTQ, 0 complete. Still to be filled in: Wait: owner.
    """
    need_columns(ctqs, [name, *TO_FILL], source="The table of CTQs")
    _need_once(ctqs, name)
    blank = pd.DataFrame({entry: _blank(ctqs[entry]) for entry in TO_FILL})
    to_fill = [", ".join(entry for entry in TO_FILL if row[entry]) for _, row in blank.iterrows()]
    table = pd.DataFrame(
        {
            "ctq": ctqs[name].astype(str).to_numpy(),
            "how_measured": _text(ctqs["definition"]),
            "target": ctqs["target"].to_numpy(),
            "unit": _text(ctqs["unit"]),
            "chart": chart,
            "rule": rule,
            "owner": _text(ctqs["owner"]),
            "reaction": _text(ctqs["reaction"]),
            "lever": [_lever(lifts, each) for each in ctqs[name].astype(str)],
            "to_fill": to_fill,
        }
    )
    return ControlPlan(table=table, complete=int((table["to_fill"] == "").sum()))


def _lever(lifts: pd.DataFrame | None, ctq: str) -> str:
    """The change that lowers a CTQ's defects most, of those whose interval excludes 0."""
    if lifts is None:
        return ""
    of_ctq = lifts["target_kind"].eq("ctq") & lifts["name"].eq(ctq)
    helps = lifts[of_ctq & lifts["clear"].astype(bool) & (lifts["estimate"] < 0)]
    return "" if helps.empty else str(helps.loc[helps["estimate"].idxmin(), "change"])


def _need_one_each(charts: pd.DataFrame, ctqs: pd.DataFrame, name: str, last: int) -> None:
    if last < 1:
        raise Problem(f"last is {last}.", "watch one period or more.")
    if charts.empty or ctqs.empty:
        raise Refusal("There is no chart to watch.", "chart at least one CTQ.")
    _need_once(ctqs, name)
    for ctq in charts["ctq"].unique():
        if ctq not in set(ctqs[name]):
            raise Problem(
                f"There is a chart of {ctq!r}, which is no CTQ.", nearest(ctq, ctqs[name])
            )
    if not pd.api.types.is_datetime64_any_dtype(charts["period"]):
        raise Problem("'period' of the charts is not a date.", "give the first day of each period.")
    twice = charts[charts.duplicated(["ctq", "period"])]
    if len(twice):
        first = twice.iloc[0]
        raise Problem(
            f"The chart of {first['ctq']!r} has {first['period']:%Y-%m-%d} twice.",
            "give one row a CTQ and period.",
        )
    odd = sorted(set(charts["signal"].dropna()) - set(SIGNALS))
    if odd:
        raise Problem(f"{odd[0]!r} is no signal.", nearest(odd[0], SIGNALS[1:]))


def _need_once(ctqs: pd.DataFrame, name: str) -> None:
    twice = ctqs.loc[ctqs[name].duplicated(), name]
    if len(twice):
        raise Problem(f"The CTQ {twice.iloc[0]!r} is there twice.", "give each its own name.")


def _watch(chart: pd.DataFrame, ctq: pd.Series, name: str, periods: pd.DatetimeIndex) -> dict:
    """One row of the list."""
    chart = chart.sort_values("period").assign(signal=lambda rows: rows["signal"].fillna(""))
    free = chart[~chart["baseline"].astype(bool) & chart[["low", "high"]].notna().any(axis=1)]
    watched = free[free["period"].isin(periods)]
    signals = set(watched["signal"])
    state = next((each for each in ("worse", "better") if each in signals), "quiet")
    state = state if len(watched) else "cannot say"
    hits = watched[watched["signal"] == state]
    latest = watched.iloc[-1] if len(watched) else pd.Series(np.nan, index=chart.columns)
    return {
        "ctq": name,
        "state": state,
        "watched": len(watched),
        "signals": len(hits),
        "since": _since(free, hits, state),
        "rule": "; ".join(dict.fromkeys(hits["rule"].dropna().astype(str))),
        "latest_rate": float(latest["rate"]),
        "centre": float(latest["centre"]),
        "limit_low": float(latest["low"]),
        "limit_high": float(latest["high"]),
        "owner": _text(pd.Series([ctq["owner"]]))[0],
        "reaction": _text(pd.Series([ctq["reaction"]]))[0],
        "false_alarm": _false_alarm(chart, name),
        "course": " ".join(_course(chart, watched, periods)),
        "note": _note(chart, watched, periods, signals),
    }


def _since(free: pd.DataFrame, hits: pd.DataFrame, state: str) -> str:
    """First day of the unbroken run of signals that reaches into the periods watched."""
    if hits.empty:
        return ""
    earlier = free[free["period"] <= hits["period"].iloc[0]]
    broken = earlier.loc[earlier["signal"] != state, "period"]
    run = earlier if broken.empty else earlier[earlier["period"] > broken.iloc[-1]]
    return f"{run['period'].iloc[0]:%Y-%m-%d}"


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


def _course(chart: pd.DataFrame, watched: pd.DataFrame, periods: pd.DatetimeIndex) -> list[str]:
    words = dict(zip(watched["period"], watched["signal"].replace("", "quiet"), strict=True))
    based = set(chart.loc[chart["baseline"].astype(bool), "period"])
    return [words.get(each, "baseline" if each in based else "none") for each in periods]


def _note(
    chart: pd.DataFrame, watched: pd.DataFrame, periods: pd.DatetimeIndex, signals: set[str]
) -> str:
    now = chart[chart["period"].isin(periods)]
    if chart.empty:
        return "no chart"
    if now.empty:
        return f"no data since {chart['period'].max():%Y-%m-%d}"
    if watched.empty:
        return "only baseline periods" if now["baseline"].astype(bool).all() else "no limits"
    notes = []
    if len(watched) < len(periods):
        notes.append(f"{len(watched)} of {len(periods)} periods")
    if {"worse", "better"} <= signals:
        notes.append("signals for the better too")
    return "; ".join(notes)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    rank = table["state"].map(STATES.index)
    order = table.assign(rank=rank).sort_values(["rank", "since", "ctq"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _alarm(row) -> str:
    reaction = row.reaction or "no reaction is laid down"
    owner = row.owner or "nobody is named as owner"
    rule = f", {row.rule}" if row.rule else ""
    return f"{row.ctq} is worse since {row.since}{rule} ({_rates(row)}); {owner}: {reaction}"


def _rates(row) -> str:
    if np.isnan(row.latest_rate):
        return row.note
    values = (row.latest_rate, row.limit_low, row.limit_high)
    if np.nanmax(values) <= 1:
        latest, low, high = (f"{value * 100:.3g}" for value in values)
        return f"{latest} %, limits {low} to {high} %"
    latest, low, high = (f"{value:,.3g}" for value in values)
    return f"{latest}, limits {low} to {high}"


def _key(ax: Axes, words: dict[str, str]) -> None:
    """What the shapes mean, below the picture."""
    for word, what in words.items():
        ax.plot([], [], look.MARKER[what], color=look.MEANING[what], label=word)
    if words:
        ax.legend(
            frameon=False, ncols=4, fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.3)
        )


def _blank(values: pd.Series) -> np.ndarray:
    return values.isna().to_numpy() | (values.astype(str).str.strip() == "").to_numpy()


def _text(values: pd.Series) -> list[str]:
    return [
        "" if gone else str(value).strip()
        for value, gone in zip(values, _blank(values), strict=True)
    ]
