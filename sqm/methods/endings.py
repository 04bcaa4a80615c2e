"""How do complaints end, and how soon?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, survival
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_rows, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import holm, spell, spell_p

FEWEST = 10  # cases below which a group is not judged
MOST_ENDS = 12
MOST_GROUPS = 200
MOST_CONTRADICTORY = 0.05  # share of cases with an end but no time of it
POINTS = 100  # of a curve, at most
NOT_STATED = "(not stated)"
SOURCE = "the cases"
TOLD = 3
MOST_DRAWN = 30
NOTHING = survival.Share(np.nan, np.nan, 0, 0, np.array([]))


@dataclass(frozen=True, eq=False)
class Endings(Finding):
    """Which share of cases has ended in each way after a time, the ways in competition.

    Attributes
    ----------
    table : DataFrame, one row per group, way to end and time; the group ``all`` first
        ``group``; ``outcome``; ``at`` and its ``unit``; ``cases``; ``ended``, those seen to end so
        by then; ``estimate``, ``low``, ``high``, the cumulative incidence (0 to 1);
        ``naive``, one minus Kaplan-Meier with other ends taken for open cases: what would be if
        nothing else could end a case; ``difference``, ``difference_low``, ``difference_high``, the
        estimate less that of all other groups; ``p`` and ``p_holm``, adjusted for all comparisons
        of the table; ``stays``, whether the difference stays after that; ``note``.
    outcomes : tuple of str
        Ways to end, the commonest first.
    by : str
        Column of the groups; blank without.
    unit : str
    at : tuple of float
        Times, in that unit.
    still_open : tuple of float
        Share of all cases still open at each of them.
    cases, open_cases, left_out : int
    not_stated : int
        Ended cases without an outcome.
    contradictory : int
        Cases left out because they have the outcome of ended ones but no end.
    statuses : tuple of str
        Outcomes that open cases alone have: they count as a state, not as an end.
    most_wrong : float
        Greatest difference of ``naive`` to the estimate, of all cases.
    compared : int
    curve_times : tuple of float
        Times of the curves of all cases.
    curves : tuple of float
        Cumulative incidence at those times, one outcome after the other.
    clusters : str
    confidence : float
        Level of the intervals, 0 to 1.
    """

    outcomes: tuple[str, ...]
    by: str
    unit: str
    at: tuple[float, ...]
    still_open: tuple[float, ...]
    cases: int
    open_cases: int
    left_out: int
    not_stated: int
    contradictory: int
    statuses: tuple[str, ...]
    most_wrong: float
    compared: int
    curve_times: tuple[float, ...]
    curves: tuple[float, ...]
    clusters: str
    confidence: float

    def sentence(self) -> str:
        rows = self._whole(self._last())
        told = [self._share(row) for row in rows.head(2).itertuples()]
        rest = rows.iloc[2:]["estimate"].sum()
        more = f", other ends {100 * rest:.1f} %" if len(rows) > 2 else ""
        open_ = f"; {100 * self.still_open[self.at.index(self._last())]:.1f} % are open"
        first = f"After {survival.spell_time(self._last(), self.unit)}: {', '.join(told)}"
        first = f"{first}{more}{open_}."
        lines = [
            *([first] if self.by else []),
            *(self._at(time) for time in self.at if time != self._last()),
            self._naive(),
            *self._groups(),
            f"{counted(self.cases, 'case')}, {self.open_cases:,} of them open (Aalen-Johansen: a "
            "case that ended one way can no longer end another).",
            self._assumption(),
            *self._oddities(),
        ]
        return f"{self._where() if self.by else first}\n{' '.join(filter(None, lines))}"

    def _where(self) -> str:
        """Whether the groups differ, and where most."""
        by = look.shorten(self.by, width=24)
        if not self.compared:
            return f"Whether cases end otherwise by {by} cannot be said: no two groups have enough."
        stay = self._staying()
        if len(stay):
            groups = stay["group"].drop_duplicates()
            more = f"; so do {len(groups) - 1} more" if len(groups) > 1 else ""
            words = self._one(next(stay.itertuples())).rpartition(", p ")[0]
            return f"Ends differ by {by}, most for {words}, against all others{more}."
        rows = self.table[self.table["at"].eq(self._last())
                          & self.table["outcome"].eq(self.outcomes[0])
                          & self.table["group"].ne("all")].dropna(subset="p")  # fmt: skip
        span = ""
        if len(rows):
            least, most = 100 * rows["estimate"].min(), 100 * rows["estimate"].max()
            name = look.shorten(self.outcomes[0], width=24)
            when = survival.spell_time(self._last(), self.unit)
            span = f"; {name} after {when}, {least:.1f} to {most:.1f} %"
        return (
            f"No {by} surely ends otherwise than the others "
            f"({counted(self.compared, 'comparison')}, smallest {spell_p(self._smallest())} "
            f"adjusted{span})."
        )

    def _smallest(self) -> float:
        return float(self.table["p_holm"].min())

    def _staying(self) -> pd.DataFrame:
        """Differences that stay after Holm's correction, the largest first."""
        rows = self.table[self.table["stays"]]
        rows = rows.assign(far=-rows["difference"].abs())
        return rows.sort_values(["far", "group", "outcome", "at"], kind="stable")

    def _last(self) -> float:
        known = [t for t, left in zip(self.at, self.still_open, strict=True) if not np.isnan(left)]
        return max(known)

    def _whole(self, time: float) -> pd.DataFrame:
        every = self.table[(self.table["group"] == "all") & (self.table["at"] == time)]
        return every.sort_values("estimate", ascending=False, kind="stable")

    def _share(self, row) -> str:
        limits = (100 * each for each in (row.estimate, row.low, row.high))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="%")
        return f"{look.shorten(row.outcome, width=24)} {found}"

    def _at(self, time: float) -> str:
        when = survival.spell_time(time, self.unit)
        rows = self._whole(time)
        if rows["estimate"].isna().all():
            return f"After {when} nothing can be said: no case has been followed so long."
        return f"After {when}: {', '.join(self._share(row) for row in rows.head(3).itertuples())}."

    def _naive(self) -> str:
        rows = self._whole(self._last())
        row = rows.iloc[0]
        return (
            f"One minus Kaplan-Meier, with other ends taken for open cases, would say "
            f"{100 * row['naive']:.1f} % for {look.shorten(row['outcome'], width=30)} in place of "
            f"{100 * row['estimate']:.1f} %: it answers what would be if no other end existed."
        )

    def _groups(self) -> list[str]:
        if not self.by:
            return []
        rows = self._staying()
        told = "; ".join(self._one(row) for row in rows.head(TOLD).itertuples())
        more = f"; {len(rows) - TOLD} more in the table" if len(rows) > TOLD else ""
        said = [f"Against all other groups: {told}{more}."] if told else []
        kept = len(rows) or "none"
        lost = self.table[self.table["note"].ne("") & self.table["group"].ne("all")]
        lost = lost.drop_duplicates(["group", "note"])
        each = [f"{look.shorten(row.group, width=30)} ({row.note})" for row in lost.itertuples()]
        return [
            *said,
            f"Of {counted(self.compared, 'comparison')} {kept} "
            f"{'stay' if len(rows) > 1 else 'stays'} after Holm's correction; each interval is for "
            "one alone, and groups differ in their cases too."
            if self.compared
            else "",
            f"Not said: {listed(each, most=5, apart='; ')}." if each else "",
        ]

    def _one(self, row) -> str:
        limits = (100 * x for x in (row.difference, row.difference_low, row.difference_high))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="points")
        name = f"{look.shorten(row.group, width=30)}, {look.shorten(row.outcome, width=24)}"
        when = survival.spell_time(row.at, self.unit)
        return f"{name} after {when} {found}, {spell_p(row.p_holm)} adjusted"

    def _assumption(self) -> str:
        hidden = ""
        if not self.open_cases:
            hidden = (
                "No case is open: if the file holds ended cases only, recent slow ones are "
                "missing from it; ask again of those opened long before its last day. "
            )
        said = f"{hidden}Open cases are taken to end as those did that were open as long."
        if self.clusters:
            return f"{said} Cases of the same {self.clusters} may be alike; intervals allow for it."
        return f"{said} Cases count as independent."

    def _oddities(self) -> list[str]:
        said = []
        if self.not_stated:
            said.append(
                f"Ended without an outcome, which counts as an end of its own and hides what "
                f"belongs to the others: {counted(self.not_stated, 'case')}."
            )
        if self.contradictory:
            said.append(
                f"Left out, with an outcome but no end: {counted(self.contradictory, 'case')}."
            )
        if self.statuses:
            words = ", ".join(look.shorten(each, width=24) for each in self.statuses[:5])
            said.append(f"Only open cases have {words}: taken for a state, not an end.")
        if self.left_out:
            said.append(f"Left out, without a duration: {counted(self.left_out, 'case')}.")
        return said

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        return self._plot_groups(ax) if self.by else self._plot_curves(ax)

    def _plot_curves(self, ax: Axes) -> Axes:
        curves = np.array(self.curves).reshape(len(self.outcomes), -1)
        styles = [(c, ls) for ls in ("-", "--", ":", "-.") for c in ("usual", "other", "better")]
        for name, curve, (meaning, ls) in zip(self.outcomes, curves, styles, strict=False):
            colour = look.MEANING[meaning]
            label = look.shorten(name, width=28)
            ax.step(self.curve_times, 100 * curve, where="post", color=colour, ls=ls, label=label)
            rows = self.table[(self.table["group"] == "all") & (self.table["outcome"] == name)]
            ax.vlines(rows["at"], 100 * rows["low"], 100 * rows["high"], color=colour, lw=3)
            ax.plot(rows["at"], 100 * rows["naive"], "x", color=colour)
        ax.set_ylim(0, None)
        ax.set_xlim(0, self.curve_times[-1])
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="How do cases end, and how soon?",
            x=f"{self.unit} since the case was opened (crosses: one minus Kaplan-Meier)",
            y="cases ended so (%)",
        )

    def _plot_groups(self, ax: Axes) -> Axes:
        rows = self.table[self.table["at"].eq(self._last()) & self.table["outcome"].eq(
            self.outcomes[0])].dropna(subset="estimate")  # fmt: skip
        far = rows.iloc[1:].assign(far=rows["difference"].abs())
        far = far.sort_values(["stays", "far"], ascending=False, kind="stable").head(MOST_DRAWN)
        rows = rows.loc[[rows.index[0], *sorted(far.index)]]
        shown = rows.assign(**100 * rows[["estimate", "low", "high"]])
        meaning = np.where(rows["stays"], "other", "usual")
        look.dots(ax, shown, names=rows["group"], meaning=meaning)
        ax.plot(100 * rows["naive"], np.arange(len(rows)), "x", color=look.MEANING["limit"])
        name = look.shorten(self.outcomes[0], width=30)
        when = survival.spell_time(self._last(), self.unit)
        return look.label(
            ax,
            title=f"Where do cases end as {name}?",
            x=f"{name} after {when} (%; diamonds: surely unlike the rest; crosses: one minus "
            "Kaplan-Meier)",
        )


def endings(
    cases: pd.DataFrame,
    *,
    outcome: str = "outcome",
    duration: str = "resolution_d",
    running: str = "resolution_d_open",
    at: Sequence[float] = (30, 90),
    by: str = "",
    clusters: str = "",
    confidence: float = 0.95,
) -> Endings:
    """Estimate which share of cases has ended in each way after given times.

    Parameters
    ----------
    cases : DataFrame, one row per case
    outcome : str
        Column that says how a case ended; blank while open.
    duration : str
        Column of the time from opening to the end, or until now; its name ends in its unit.
    running : str
        Column that says whether the case is still open.
    at : sequence of float
        Times, in the unit of the duration.
    by : str, default ""
        Column of groups, each compared with all other cases; blank: all cases together.
    clusters : str, default ""
        Column of what cases may share; blank: they are independent.
    confidence : float, default 0.95

    Returns
    -------
    Endings
        A group with fewer than ten cases, or a time to which none was followed, has NaN and a note.

    Raises
    ------
    Problem
        If a duration is negative or no number, its name has no unit, a time is not positive, or
        more than 5 % of the cases have the outcome of ended ones but no end.
    Refusal
        If a column is missing, no case has ended with an outcome, there are more than twelve
        outcomes or 200 groups, or no case was followed for the shortest time.

    Notes
    -----
    The cumulative incidence of Aalen and Johansen [1]_, with Wilson's interval at the effective
    number of cases F (1 - F) / variance; the variance is the sum of the squared influences of the
    cases, or of their clusters.  Differences and their p as in `handling.handling_times`.

    An ended case without an outcome is an end of its own: it did end, so counting it as open would
    make the other ends too common.  A case that has the outcome of ended ones but no end has ended
    at a time nobody knows, so it is left out.

    References
    ----------
    .. [1] Aalen, O. O., Johansen, S. (1978). Scandinavian Journal of Statistics 5, 141-150.

    Examples
    --------
    Twelve cases end on days 1 to 12, in turn resolved and withdrawn: by day 6 three of each.

    >>> cases = pd.DataFrame({"resolution_d": np.arange(1.0, 13), "resolution_d_open": False,
    ...                       "outcome": ["resolved", "withdrawn"] * 6})
    >>> endings(cases, at=[6]).table["estimate"].round(4).tolist()
    [0.25, 0.25]
    """
    need_share(confidence, name="confidence")
    times = _times(at)
    unit = survival.unit_of(duration)
    need_columns(cases, [outcome, *([by] if by else [])], source=SOURCE)
    known = survival.followed(
        cases, duration=duration, running=running, clusters=clusters, source=SOURCE
    )
    left_out = len(cases) - len(known)
    known, names, statuses, contradictory = _with_ends(known, cases, outcome)
    need_rows(known, FEWEST, source="The table of cases", why="a share of ends")
    parts = _parts(known, cases, by)
    every = _ends(known, len(names))
    if not every.reaches(times[0]):
        raise Refusal(
            _unseen(times[0], unit).capitalize() + ".", "wait, or ask for a shorter time."
        )
    rows = [r for name, part, rest in parts
            for r in _rows(name, part, rest, names, times, unit, confidence)]  # fmt: skip
    table = _finished(pd.DataFrame(rows), confidence)
    whole = table[table["group"] == "all"]
    shown = _grid(every, times[-1])
    return Endings(
        table=table,
        outcomes=tuple(names),
        by=by,
        unit=unit,
        at=times,
        still_open=tuple(_open(every, time) for time in times),
        cases=len(known),
        open_cases=int((known["end"] == 0).sum()),
        left_out=left_out,
        not_stated=int((known["end"] == names.index(NOT_STATED) + 1).sum())
        if NOT_STATED in names
        else 0,
        contradictory=contradictory,
        statuses=statuses,
        most_wrong=float((whole["naive"] - whole["estimate"]).max()),
        compared=int(table["p"].notna().sum()),
        curve_times=tuple(map(float, every.times[shown])),
        curves=tuple(map(float, every.incidence[:, shown].ravel())),
        clusters=clusters,
        confidence=confidence,
    )


# --- What each case says --------------------------------------------------------------------------


def _times(at: Sequence[float]) -> tuple[float, ...]:
    times = tuple(sorted({float(time) for time in np.atleast_1d(np.asarray(at, dtype=float))}))
    if not times or not (times[0] > 0 and times[-1] < np.inf):
        raise Problem(f"at is {list(at)}.", "give times above 0, such as [30, 90].")
    return times


def _with_ends(
    known: pd.DataFrame, cases: pd.DataFrame, outcome: str
) -> tuple[pd.DataFrame, list[str], tuple[str, ...], int]:
    """The cases with the number of their end, the names of the ends, and what did not fit."""
    said = cases[outcome].reindex(known.index).astype("str")
    said = said.where(cases[outcome].reindex(known.index).notna() & (said.str.strip() != ""))
    closed = ~known["open"]
    used = said[closed].value_counts()
    if used.empty:
        raise Refusal(
            f"No ended case has an outcome in {outcome!r}.", "record how each case ended."
        )
    names = sorted(used.index, key=lambda name: (-used[name], name))
    odd = known["open"] & said.isin(names)
    _need_few_odd(odd, outcome)
    if (closed & said.isna()).any():
        names.append(NOT_STATED)
    if len(names) > MOST_ENDS:
        raise Refusal(
            f"{outcome!r} has {len(names)} different outcomes, more than {MOST_ENDS}.",
            "group them in the study's parameters.",
        )
    statuses = sorted(set(said[known["open"] & ~odd].dropna()))
    number = said.map({name: place for place, name in enumerate(names, start=1)})
    end = number.where(said.notna(), len(names)).where(closed, 0).astype(int)
    return known.assign(end=end)[~odd], names, tuple(statuses), int(odd.sum())


def _need_few_odd(odd: pd.Series, outcome: str) -> None:
    if odd.mean() > MOST_CONTRADICTORY:
        raise Problem(
            f"{SOURCE}: {int(odd.sum())} of {counted(len(odd), 'case')} have an {outcome!r} but no "
            f"end (first rows: {first_rows(odd[odd])}).",
            "add the time at which they ended, or blank the outcome of those that are open.",
        )


def _parts(known: pd.DataFrame, cases: pd.DataFrame, by: str) -> list[tuple]:
    """The cases, then each group beside all other cases that have a group."""
    parts: list[tuple] = [("all", known, known.iloc[:0])]
    if not by:
        return parts
    group = cases[by].reindex(known.index)
    known, group = known[group.notna()], group.dropna().astype("str")
    order = np.argsort(known["time"].to_numpy(), kind="stable")  # sorted once, parts stay sorted
    known, group = known.iloc[order], group.iloc[order]
    codes, names = pd.factorize(group, sort=True)
    if len(names) > MOST_GROUPS:
        raise Refusal(
            f"{by!r} has {len(names):,} groups, more than {MOST_GROUPS}.", "take a coarser column."
        )
    # "all" is the word for every case, so that a group of that name is told apart
    return parts + [
        (name if name != "all" else "'all'", known[codes == code], known[codes != code])
        for code, name in enumerate(map(str, names))
    ]


# --- The rows of the table ------------------------------------------------------------------------


def _ends(known: pd.DataFrame, kinds: int) -> survival.Ends:
    columns = (known[column].to_numpy() for column in ("time", "end", "cluster"))
    return survival.aalen_johansen(*columns, kinds=kinds)


def _ended(ends: survival.Ends | None, kind: int, time: float) -> survival.Share:
    if ends is None:
        return NOTHING
    return survival.ended(ends, kind=kind, time=time)


def _rows(
    name: str,
    part: pd.DataFrame,
    rest: pd.DataFrame,
    names: list[str],
    times: tuple[float, ...],
    unit: str,
    confidence: float,
) -> list[dict]:
    """One row per way to end and time."""
    ends = _ends(part, len(names)) if len(part) >= FEWEST else None
    others = _ends(rest, len(names)) if len(rest) >= FEWEST and ends else None
    rows = []
    for kind, outcome in enumerate(names, start=1):
        curve = _naive(part, kind) if ends else None
        for time in times:
            one, other = (_ended(each, kind, time) for each in (ends, others))
            low, high = one.limits(confidence)
            apart = survival.difference(one, other, confidence=confidence)
            rows.append(
                {
                    "group": name,
                    "outcome": outcome,
                    "at": time,
                    "unit": unit,
                    "cases": len(part),
                    "ended": int(((part["end"] == kind) & (part["time"] <= time)).sum()),
                    "estimate": one.estimate,
                    "low": low,
                    "high": high,
                    "naive": np.nan if np.isnan(one.estimate) else _at(curve, time),
                    "difference": apart[0],
                    "difference_low": apart[1],
                    "difference_high": apart[2],
                    "p": survival.chance(one, other),
                    "note": _note(part, one, time, unit),
                }
            )
    return rows


def _note(part: pd.DataFrame, share: survival.Share, time: float, unit: str) -> str:
    if len(part) < FEWEST:
        return f"only {counted(len(part), 'case')}"
    return _unseen(time, unit) if np.isnan(share.estimate) else ""


def _unseen(time: float, unit: str) -> str:
    return f"no case has been followed for {survival.spell_time(time, unit)}"


def _naive(part: pd.DataFrame, kind: int) -> survival.Curve:
    """Kaplan-Meier with every other end taken for a case still open."""
    still = (part["end"] != kind).to_numpy()
    return survival.kaplan_meier(part["time"].to_numpy(), still, np.arange(len(part)))


def _at(curve: survival.Curve, time: float) -> float:
    return float(1 - curve.share[np.searchsorted(curve.times, time, side="right") - 1])


def _open(ends: survival.Ends, time: float) -> float:
    if not ends.reaches(time):
        return np.nan
    return float(ends.share[np.searchsorted(ends.times, time, side="right") - 1])


def _grid(ends: survival.Ends, last: float) -> np.ndarray:
    """Places of the curve up to a little beyond the last time, not too many."""
    upto = int(np.searchsorted(ends.times, 1.25 * last, side="right"))
    return np.unique(np.linspace(0, max(upto - 1, 0), POINTS).astype(int))


def _finished(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    note = table.pop("note")
    table["p_holm"] = holm(table["p"].to_numpy(dtype=float))
    table["stays"] = table["p_holm"] < 1 - confidence
    return table.assign(note=note)
