"""Who watches what, how, and what happens then?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, need_columns
from sqm.clock import local, read_day
from sqm.finding import Finding, counted, listed

NEEDED = ("definition", "target", "unit", "owner", "reaction")
TO_FILL = (*NEEDED, "chart", "rule", "escalation")
IN_FORCE, PROPOSED, NO_LIMITS = "in force", "not frozen: proposed", "none"
MOST_NAMED = 4
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class ControlPlan(Finding):
    """Who watches what, how, and what is done when it signals.

    Attributes
    ----------
    table : DataFrame, one row per CTQ, then per series that is none
        ``ctq``, ``how_measured`` (its operational definition), ``target``, ``unit``; ``sampling``
        (how often), ``chart`` (its kind), ``rule``; ``limits`` (``in force``, ``not frozen:
        proposed`` or ``none``), ``centre``, ``low``, ``high`` (in the latest period),
        ``valid_from`` and ``frozen_by``, where they are in force; ``false_alarm``, chance that a
        steady process signals in the periods watched; ``owner``, ``reaction``, ``escalate_after``
        (periods a signal has then lasted), ``escalation`` (to whom); ``lever``, the change of a
        driver that would lower its defects most (blank if none is clear of 0); ``to_fill``, the
        entries that are still blank, separated by commas.
    complete : int
        Rows with nothing left to fill in.
    in_force, proposed : int
        Rows whose limits are in force, and whose limits are proposed only.
    expected_false_alarms : float
        Rows that would signal in the periods watched if all were steady, on average, of those
        whose chance is known; NaN if none is.
    """

    complete: int
    in_force: int
    proposed: int
    expected_false_alarms: float

    def sentence(self) -> str:
        limits = f"limits are in force for {self.in_force}"
        if self.proposed:
            limits += f" and proposed, not frozen, for {self.proposed}"
        head = (
            f"The control plan has {counted(len(self.table), 'characteristic')},"
            f" {self.complete} complete; {limits}."
        )
        return "\n".join([head, " ".join([*self._blanks(), *self._alarms(), *self._levers()])])

    def _blanks(self) -> list[str]:
        rows = self.table[self.table["to_fill"] != ""]
        if rows.empty:
            return ["Each has an owner, a chart, a reaction and someone to pass it on to."]
        blanks = rows["to_fill"].unique()
        if len(blanks) == 1 and len(rows) > 1:
            return [f"Still to be filled in for {len(rows)} of them: {blanks[0]}."]
        names = [f"{row.ctq}: {row.to_fill}" for row in rows.itertuples()]
        return [f"Still to be filled in: {listed(names, most=MOST_NAMED, apart='; ')}."]

    def _alarms(self) -> list[str]:
        if np.isnan(self.expected_false_alarms):
            return []
        known = int(self.table["false_alarm"].notna().sum())
        return [
            f"If nothing changed, {self.expected_false_alarms:.2g} of the {known} whose chance is"
            " known would signal in the periods watched by chance, on average."
        ]

    def _levers(self) -> list[str]:
        some = self.table[self.table["lever"] != ""]
        helped = some.groupby("lever", sort=False)["ctq"].agg(list)
        names = [f"{listed(ctqs, most=MOST_NAMED)} ({lever})" for lever, ctqs in helped.items()]
        told = listed(names, most=MOST_NAMED, apart="; ")
        return [f"What would help most, from Analyse: {told}."] if names else []

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for row, each in enumerate(self.table.itertuples()):
            blank = each.to_fill.split(", ")
            for column, name in enumerate(TO_FILL):
                what = "worse" if name in blank else "better"
                ax.plot(column, row, look.MARKER[what], color=look.MEANING[what], ms=8)
            what = {IN_FORCE: "better", PROPOSED: "limit"}.get(each.limits, "worse")
            ax.plot(len(TO_FILL), row, look.MARKER[what], color=look.MEANING[what], ms=8)
        words = {"there": "better", "proposed": "limit", "still blank": "worse"}
        for word, what in words.items():
            colour = look.MEANING[what]
            ax.plot([], [], look.MARKER[what], color=colour, ls="", label=word)
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.3)}
        ax.legend(frameon=False, ncols=3, fontsize="small", **below)
        ax.set_xticks(range(len(TO_FILL) + 1), [*TO_FILL, "limits"], rotation=30, ha="right")
        ax.set_xlim(-0.5, len(TO_FILL) + 0.5)
        ax.set_yticks(range(len(self.table)), [look.shorten(name) for name in self.table["ctq"]])
        ax.set_ylim(len(self.table) - 0.5, -0.5)
        return look.label(
            ax, title="Is every characteristic looked after?", x="entry of the control plan"
        )


def control_plan(
    ctqs: pd.DataFrame,
    *,
    name: str = "ctq",
    choice: pd.DataFrame | None = None,
    ledger: pd.DataFrame | None = None,
    charts: pd.DataFrame | None = None,
    lifts: pd.DataFrame | None = None,
    sampling: str = "every week",
    on: str = "",
) -> ControlPlan:
    """Set out for each CTQ what is watched, how, by whom, and what is then done.

    Parameters
    ----------
    ctqs : DataFrame, one row a CTQ
        Its name, ``definition``, ``target``, ``unit``, ``owner``, ``reaction``; optional
        ``escalation`` and ``escalate_after``; blanks are named as still to be filled in.
    name : str, default "ctq"
        Column with the names.
    choice : DataFrame, optional
        The chart chosen for each series: ``series``, ``kind``, ``rules``; without it the chart is
        still to be chosen.  A series that is no CTQ gets a row of its own.
    ledger : DataFrame, optional
        Limits frozen so far: ``series``, ``valid_from``, ``kind``, ``rules`` and ``who``; the last
        row of a series whose ``valid_from`` has come is in force, and its chart and rule too.
    charts : DataFrame, optional
        The charts as drawn: ``series``, ``period``, ``centre``, ``low``, ``high``,
        ``false_alarm``.
    lifts : DataFrame, optional
        What a change of each driver would bring: ``driver``, ``change``,
        ``target_kind``, ``name`` (of a CTQ), ``estimate`` (below 0: fewer
        defects), ``clear``.
    sampling : str, default "every week"
        How often a point is added to the charts.
    on : str, optional
        The day for which the plan is made, as 2025-12-31; the last charted one if blank.

    Returns
    -------
    ControlPlan

    Raises
    ------
    Problem
        If a CTQ is there twice, a chart is chosen twice for a series, or a day is none.
    Refusal
        If a column is missing.

    Examples
    --------
    >>> print(control_plan(pd.DataFrame({"ctq": ["Wait"], "definition": ["seconds to an agent"],
    ...     "target": [0.1], "unit": ["s"], "owner": [""], "reaction": ["call for help"]})))
    The control plan has 1 characteristic, 0 complete; limits are in force for 0.
    Still to be filled in: Wait: owner, chart, rule, escalation.
    """
    need_columns(ctqs, [name, *NEEDED], source="The table of CTQs")
    _need_once(ctqs[name], "The CTQ")
    ctqs = ctqs.assign(**{name: ctqs[name].astype(str)})
    chosen = _by_series(choice, ("series", "kind", "rules"), "The choice of charts")
    _need_once(chosen["series"], "A chart of")
    drawn = _latest(charts)
    frozen = _in_force(ledger, on or _last_day(drawn))
    names = [*ctqs[name], *(each for each in chosen["series"] if each not in set(ctqs[name]))]
    entries = ctqs.set_index(name).reindex(names)
    table = pd.DataFrame(
        {
            "ctq": names,
            "how_measured": _text(entries["definition"]),
            "target": entries["target"].to_numpy(),
            "unit": _text(entries["unit"]),
            "sampling": sampling,
            **_charted(chosen.set_index("series").reindex(names), frozen.reindex(names)),
            **_limits(names, frozen, drawn, set(chosen["series"])),
            "owner": _text(entries["owner"]),
            "reaction": _text(entries["reaction"]),
            "escalate_after": _numbers(entries, "escalate_after"),
            "escalation": _text(entries["escalation"]) if "escalation" in entries else "",
            "lever": [_lever(lifts, each) for each in names],
        }
    )
    table["to_fill"] = _blanks(table)
    return ControlPlan(
        table=table,
        complete=int((table["to_fill"] == "").sum()),
        in_force=int((table["limits"] == IN_FORCE).sum()),
        proposed=int((table["limits"] == PROPOSED).sum()),
        expected_false_alarms=float(table["false_alarm"].sum(min_count=1)),
    )


def _need_once(names: pd.Series, what: str) -> None:
    twice = names[names.duplicated()]
    if len(twice):
        raise Problem(f"{what} {twice.iloc[0]!r} is there twice.", "give each its own name.")


def _by_series(table: pd.DataFrame | None, columns: tuple[str, ...], source: str) -> pd.DataFrame:
    """An optional table with these columns; nothing stands in it if it was not given."""
    if table is None or table.empty:
        return pd.DataFrame(columns=list(columns), dtype=object)
    need_columns(table, columns, source=source)
    return table.assign(series=table["series"].astype(str)).reset_index(drop=True)


def _in_force(ledger: pd.DataFrame | None, on: str) -> pd.DataFrame:
    """The last limits of each series whose day has come."""
    columns = ("series", "valid_from", "kind", "rules")
    frozen = _by_series(ledger, columns, "The ledger of limits")
    if on and len(frozen):
        frozen = frozen[pd.to_datetime(frozen["valid_from"]) <= read_day(on)]
    return frozen.drop_duplicates("series", keep="last").set_index("series")


def _last_day(drawn: pd.DataFrame) -> str:
    return f"{drawn['period'].max():%Y-%m-%d}" if len(drawn) else ""


def _latest(charts: pd.DataFrame | None) -> pd.DataFrame:
    """The limits of each series in its latest period, and the chance of a false alarm."""
    columns = ("series", "period", "centre", "low", "high", "false_alarm")
    drawn = _by_series(charts, columns, "The table of charts")
    if len(drawn):
        drawn = drawn.assign(period=local(drawn["period"])).sort_values("period", kind="stable")
    return drawn.drop_duplicates("series", keep="last").set_index("series")


def _charted(chosen: pd.DataFrame, frozen: pd.DataFrame) -> dict[str, list[str]]:
    """Kind and rule: of the limits in force, or else as chosen."""
    return {
        column: [a or b for a, b in zip(_text(frozen[each]), _text(chosen[each]), strict=True)]
        for column, each in (("chart", "kind"), ("rule", "rules"))
    }


def _limits(names: list[str], frozen: pd.DataFrame, drawn: pd.DataFrame, chosen: set) -> dict:
    in_force = [name in frozen.index for name in names]
    there = [name in chosen or name in drawn.index for name in names]
    last, mine = drawn.reindex(names), frozen.reindex(names)
    word = [
        IN_FORCE if a else PROPOSED if b else NO_LIMITS
        for a, b in zip(in_force, there, strict=True)
    ]
    shown = {each: _numbers(last, each) for each in ("centre", "low", "high", "false_alarm")}
    if "centre" in mine:
        shown["centre"] = np.where(
            np.isnan(shown["centre"]), _numbers(mine, "centre"), shown["centre"]
        )
    by = _text(mine["who"]) if "who" in mine else ""
    return {"limits": word, **shown, "valid_from": _text(mine["valid_from"]), "frozen_by": by}


def _blanks(table: pd.DataFrame) -> list[str]:
    """The entries of each row that are still to be filled in."""
    columns = {each: "how_measured" if each == "definition" else each for each in TO_FILL}
    blank = pd.DataFrame({each: _blank(table[column]) for each, column in columns.items()})
    return [", ".join(each for each in TO_FILL if row[each]) for _, row in blank.iterrows()]


def _lever(lifts: pd.DataFrame | None, ctq: str) -> str:
    """The change that lowers a CTQ's defects most, of those whose interval excludes 0."""
    if lifts is None:
        return ""
    of_ctq = lifts["target_kind"].eq("ctq") & lifts["name"].eq(ctq)
    helps = lifts[of_ctq & lifts["clear"].astype(bool) & (lifts["estimate"] < 0)]
    return "" if helps.empty else str(helps.loc[helps["estimate"].idxmin(), "change"])


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    if column not in table:
        return np.full(len(table), NAN)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(float)


def _blank(values: pd.Series) -> np.ndarray:
    return values.isna().to_numpy() | (values.astype(str).str.strip() == "").to_numpy()


def _text(values: pd.Series) -> list[str]:
    return ["" if pd.isna(value) else " ".join(str(value).split()) for value in values]
