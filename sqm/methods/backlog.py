"""How many complaints are open, and for how long?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_rows, need_share
from sqm.clock import DAYS, Calendar, local
from sqm.finding import Finding, counted
from sqm.interval import spell, student

FEWEST = 10
FEWEST_WEEKS = 4  # that the rate of today may rest on
MOST_LEVELS = 12  # of categories in the table of ages; the rest stand together
DAY = pd.Timedelta(days=1)
SOURCE = "the complaints"
OTHERS, BLANK = "(others)", "(blank)"


@dataclass(frozen=True, eq=False)
class Backlog(Finding):
    """Open cases at the end of each week, what came and went, and how long today's would take.

    Attributes
    ----------
    table : DataFrame, one row per whole week
        ``week`` (its first day), ``opened`` and ``closed`` in it; ``open`` at its end;
        ``age_median_d``, ``age_90_d``, ``age_oldest_d`` of those; ``settled``, False in the first
        weeks, where cases opened before the file began are missing; ``recent``, whether the rates
        rest on it.
    open_now : int
        Cases open at ``until``.
    age_median_d, age_90_d, age_oldest_d : float
        Of those.
    until : str
        Last day counted.
    weeks : int
        Recent weeks that the rates rest on.
    inflow, inflow_low, inflow_high : float
        Cases opened a week.
    outflow, outflow_low, outflow_high : float
        Cases closed a week.
    change, change_low, change_high : float
        Inflow less outflow, a week.
    weeks_of_work, weeks_of_work_low, weeks_of_work_high : float
        Weeks to close today's backlog at the outflow, were nothing more to come; inf where
        nothing was closed.
    weeks_to_clear, weeks_to_clear_low, weeks_to_clear_high : float
        Weeks until nothing is open if in- and outflow go on; inf where it does not shrink.
    mean_open : float
        Cases open on average over the settled weeks; NaN if there are none.
    little_d : float
        Days a case is open by Little's law: that average over the inflow of the same weeks.
    closed_mean_d : float
        Days that the cases closed in them had been open.
    cases, left_out, after : int
        Cases used; left out without an opening; left out as opened after ``until``.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    open_now: int
    age_median_d: float
    age_90_d: float
    age_oldest_d: float
    until: str
    weeks: int
    inflow: float
    inflow_low: float
    inflow_high: float
    outflow: float
    outflow_low: float
    outflow_high: float
    change: float
    change_low: float
    change_high: float
    weeks_of_work: float
    weeks_of_work_low: float
    weeks_of_work_high: float
    weeks_to_clear: float
    weeks_to_clear_low: float
    weeks_to_clear_high: float
    mean_open: float
    little_d: float
    closed_mean_d: float
    cases: int
    left_out: int
    after: int
    confidence: float

    def sentence(self) -> str:
        first = f"{counted(self.open_now, 'case')} open on {self.until}"
        if self.open_now:
            first += f", half for {self.age_median_d:.1f} days or more"
        first += f"; at the present rate {self._work()}, and the backlog {self._trend()}."
        return f"{first}\n{' '.join(filter(None, self._rest()))}"

    def _work(self) -> str:
        if not self.open_now:
            return "there is nothing to clear"
        if not np.isfinite(self.weeks_of_work):
            return "it is never cleared: nothing is closed"
        found = self._weeks("weeks_of_work")
        return f"it is {found} of work"

    def _weeks(self, name: str) -> str:
        middle, low, high = (getattr(self, name + end) for end in ("", "_low", "_high"))
        if np.isfinite(high):
            return spell(middle, low, high, confidence=self.confidence, digits=1, unit="weeks")
        level = f"{100 * self.confidence:.4g}"
        return f"{middle:,.1f} weeks ({level}% interval {low:,.1f} and more, without a limit)"

    def _trend(self) -> str:
        if self.change_low > 0:
            return "grows"
        return "shrinks" if self.change_high < 0 else "neither surely grows nor shrinks"

    def _rest(self) -> list[str]:
        flows = [
            spell(*limits, confidence=self.confidence, digits=1)
            for limits in (
                (self.inflow, self.inflow_low, self.inflow_high),
                (self.outflow, self.outflow_low, self.outflow_high),
                (self.change, self.change_low, self.change_high),
            )
        ]
        left = [
            f"{counted(self.left_out, 'case')} without an opening" if self.left_out else "",
            f"{counted(self.after, 'case')} opened later" if self.after else "",
        ]
        return [
            f"Over the last {counted(self.weeks, 'week')} {flows[0]} were opened and {flows[1]} "
            f"closed a week: a change of {flows[2]} a week.",
            self._clear(),
            self._ages(),
            self._little(),
            "The number open is a count of all cases, not a sample, so it has no interval; the "
            "rates are estimates, and take it that the weeks to come are like those, each "
            "independent of the next.",
            "Cases opened before the file began are not in it, so its first weeks show too few."
            if not self.table["settled"].all()
            else "",
            f"{counted(self.cases, 'case')}; left out: {', '.join(filter(None, left))}."
            if any(left)
            else f"{counted(self.cases, 'case')}.",
        ]

    def _clear(self) -> str:
        if not self.open_now:
            return ""
        if not np.isfinite(self.weeks_to_clear):
            if np.isfinite(self.weeks_to_clear_low):
                return (
                    "With new cases coming as they do the backlog does not go to nothing, or not "
                    f"before {self.weeks_to_clear_low:,.1f} weeks."
                )
            return "With new cases coming as they do the backlog does not go to nothing."
        found = self._weeks("weeks_to_clear")
        return f"With new cases coming as they do, nothing is left after {found}."

    def _ages(self) -> str:
        if not self.open_now:
            return ""
        return (
            f"One in ten of the open cases is {self.age_90_d:.1f} days old or more, the oldest "
            f"{self.age_oldest_d:.1f}."
        )

    def _little(self) -> str:
        if np.isnan(self.little_d):
            return ""
        return (
            f"By Little's law {self.mean_open:,.1f} open on average mean "
            f"{self.little_d:.1f} days a case; the closed ones had {self.closed_mean_d:.1f} days "
            "(a steady desk has both alike)."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        weeks, usual = self.table["week"] + 7 * DAY, look.MEANING["usual"]
        ax.plot(weeks, self.table["open"], color=usual, label="open at the end of the week")
        ax.plot(weeks, self.table["opened"], color=look.MEANING["worse"], ls=":", lw=1.4,
                label="opened in it")  # fmt: skip
        ax.plot(weeks, self.table["closed"], color=look.MEANING["better"], ls="--", lw=1.2,
                label="closed in it")  # fmt: skip
        early = ~self.table["settled"]
        if early.any():
            ax.axvspan(weeks.iloc[0], weeks[early].iloc[-1], color="#eceeef", zorder=0,
                       label="too few: the file begins")  # fmt: skip
        ax.set_ylim(bottom=0)
        ax.legend(fontsize="small", frameon=False)
        look.dates(ax)
        return look.label(ax, title="How many complaints are open?", x="end of week", y="cases")


@dataclass(frozen=True, eq=False)
class BacklogAge(Finding):
    """Today's open cases by age and by category.

    Attributes
    ----------
    table : DataFrame, one row per group and band of age; the group ``all`` first
        ``group``; ``band``; ``from_d`` and ``to_d``, days (``to_d`` inf in the last band), the
        lower included; ``open``, cases; ``share`` of the group's open cases (0 to 1).
    by : str
    until : str
    open_now : int
    beyond : int
        Open cases in the last band.
    beyond_d : float
        Days from which it counts.
    worst : str
        Group with most cases in the last band; blank if there are none, no groups, or a tie.
    worst_open : int
        Its cases there.
    cases, left_out, after : int
        As for `Backlog`.
    """

    by: str
    until: str
    open_now: int
    beyond: int
    beyond_d: float
    worst: str
    worst_open: int
    cases: int
    left_out: int
    after: int

    def sentence(self) -> str:
        share = 100 * self.beyond / self.open_now if self.open_now else 0.0
        first = (
            f"Of {counted(self.open_now, 'case')} open on {self.until}, {self.beyond:,} "
            f"({share:.0f} %) {'has' if self.beyond == 1 else 'have'} been open for "
            f"{self.beyond_d:g} days or more{self._most()}"
        )
        whole = self.table[self.table["group"] == "all"]
        bands = ", ".join(f"{row.band}: {row.open:,}" for row in whole.itertuples())
        rest = [
            f"By age in days: {bands}.",
            "It is a count of all open cases, not a sample, so it has no interval.",
            "A category with many old cases may be slow, or only large.",
            f"Left out, without an opening: {counted(self.left_out, 'case')}."
            if self.left_out
            else "",
            f"Left out, opened later: {counted(self.after, 'case')}." if self.after else "",
        ]
        return f"{first}.\n{' '.join(filter(None, rest))}"

    def _most(self) -> str:
        """The group with most of the old cases, where one alone has most."""
        if not self.worst:
            return ""
        most = "all" if self.worst_open == self.beyond else f"the most ({self.worst_open:,})"
        where = f"{self.by} {look.shorten(self.worst, width=40)}"
        return f", in {where}" if self.beyond == 1 else f", {most} in {where}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["group"] != "all"] if self.by else self.table
        names, bands = list(dict.fromkeys(rows["group"])), list(dict.fromkeys(rows["band"]))
        shades = look.WORSE_TO_BETTER(np.linspace(1, 0, len(bands)))
        start = np.zeros(len(names))
        for band, shade in zip(bands, shades, strict=True):
            width = rows.loc[rows["band"] == band, "open"].to_numpy()
            bars = ax.barh(names_at := np.arange(len(names)), width, left=start, color=shade,
                           edgecolor="white", label=f"{band} days")  # fmt: skip
            ax.bar_label(bars, [str(w) if w else "" for w in width], label_type="center", size=8)
            start = start + width
        ax.set_yticks(names_at, [look.shorten(name) for name in names])
        ax.invert_yaxis()
        ax.legend(fontsize="small", frameon=False)
        return look.label(ax, title="How old are the open complaints?", x="open cases, by age")


def backlog(
    cases: pd.DataFrame,
    *,
    opened: str = "opened",
    closed: str = "closed",
    until: str = "",
    weeks: int = 13,
    week_starts: str = "Mon",
    confidence: float = 0.95,
) -> Backlog:
    """Count the cases that are open, week by week, and say how long today's would take.

    Parameters
    ----------
    cases : DataFrame, one row per case
    opened, closed : str
        Columns of times; ``closed`` is missing while a case is open.
    until : str, default ""
        Last day to which the file is complete, such as "2025-12-31"; blank: its last time.  Cases
        opened later are left out, those closed later are open.
    weeks : int, default 13
        Recent whole weeks that the rates rest on.
    week_starts : str, default "Mon"
    confidence : float, default 0.95

    Returns
    -------
    Backlog

    Raises
    ------
    Problem
        If a column holds no times, a case closes before it opens, or ``weeks`` is below four.
    Refusal
        If a column is missing, there are fewer than ten cases or than four whole weeks, or no case
        at all is open at the end: a file of closed cases cannot tell the backlog.

    Notes
    -----
    Weekly flows have Student's interval over the recent weeks, in- and outflow on the scale of
    their logarithm (the mean times and over exp(half / mean)), as counts are skewed.  Weeks of work
    are open / outflow, weeks to clear open / (outflow - inflow), and their intervals the quotients
    by the limits, which adds no error as the number open is a count.  Little's law [1]_: cases open
    on average = cases opened a day times days a case is open.

    References
    ----------
    .. [1] Little, J. D. C. (1961). Operations Research 9, 383-387. doi:10.1287/opre.9.3.383

    Examples
    --------
    Two cases a day come, one is closed the next day and one never: seven more open each week.

    >>> days = pd.date_range("2025-01-06", periods=56)
    >>> cases = pd.DataFrame({"opened": [*days, *days],
    ...                       "closed": [*(days + pd.Timedelta(days=1)), *[pd.NaT] * 56]})
    >>> found = backlog(cases, until="2025-03-03", weeks=4)
    >>> found.open_now, found.change, found.weeks_of_work
    (56, 7.0, 8.0)
    """
    need_share(confidence, name="confidence")
    if weeks < FEWEST_WEEKS:
        raise Problem(f"weeks is {weeks}.", f"take at least {FEWEST_WEEKS} weeks for a rate.")
    found = _known(cases, opened, closed, until)
    table = _by_week(found, week_starts)
    if len(table) < FEWEST_WEEKS:
        raise Refusal(
            f"The file covers {counted(len(table), 'whole week')}.", "wait for more weeks."
        )
    table["recent"] = np.arange(len(table)) >= len(table) - weeks
    ages = _ages(found.times, found.now)
    return Backlog(
        table=table,
        open_now=len(ages),
        **dict(zip(("age_median_d", "age_90_d", "age_oldest_d"), _quantiles(ages), strict=True)),
        until=found.day,
        weeks=int(table["recent"].sum()),
        **_rates(table[table["recent"]], len(ages), confidence),
        **_little(found.times, table),
        cases=len(found.times),
        left_out=found.left_out,
        after=found.after,
        confidence=confidence,
    )


def backlog_age(
    cases: pd.DataFrame,
    *,
    opened: str = "opened",
    closed: str = "closed",
    until: str = "",
    by: str = "category",
    edges_d: Sequence[float] = (7, 30, 90),
) -> BacklogAge:
    """Count today's open cases by age and category.

    Parameters
    ----------
    cases, opened, closed, until
        As for `backlog`.
    by : str, default "category"
        Column of the groups; blank: all together.  Beyond twelve, the smallest stand together.
    edges_d : sequence of float
        Days at which a new band of age begins.

    Returns
    -------
    BacklogAge

    Raises
    ------
    Problem, Refusal
        As for `backlog`; Problem too if the edges do not rise from above 0.

    Examples
    --------
    Ten cases of one category opened on the first ten days, looked at on the 11th: the eldest four
    are 7 days old or more.

    >>> cases = pd.DataFrame({"opened": pd.date_range("2025-01-01", periods=10), "closed": pd.NaT,
    ...                       "category": "bill"})
    >>> backlog_age(cases, until="2025-01-11", edges_d=[7]).table["open"].tolist()
    [6, 4, 6, 4]
    """
    edges = [float(edge) for edge in edges_d]
    if not edges or edges != sorted(set(edges)) or edges[0] <= 0:
        raise Problem(f"edges_d is {list(edges_d)}.", "give rising days above 0: [7, 30, 90].")
    need_columns(cases, [by] if by else [], source=SOURCE)
    found = _known(cases, opened, closed, until)
    ages = _ages(found.times, found.now)
    table = _by_age(ages, _group(cases, ages.index, by), edges)
    last = table[(table["from_d"] == edges[-1])]
    groups = last[~last["group"].isin(["all", OTHERS]) & (last["open"] > 0)]
    alone = groups["open"].eq(groups["open"].max()).sum() == 1  # else none has more than all others
    worst = groups.loc[groups["open"].idxmax()] if alone else None
    return BacklogAge(
        table=table,
        by=by,
        until=found.day,
        open_now=len(ages),
        beyond=int(last["open"].iloc[0]),
        beyond_d=edges[-1],
        worst="" if worst is None else str(worst["group"]),
        worst_open=0 if worst is None else int(worst["open"]),
        cases=len(found.times),
        left_out=found.left_out,
        after=found.after,
    )


# --- The cases ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cases:
    """Local times of the cases; when they are counted, and what is left out.

    ``now`` is the moment of the count, ``whole`` that to which every event is in the file (of
    dates without a clock time the end of the day), ``day`` the last day counted.
    """

    times: pd.DataFrame
    now: pd.Timestamp
    whole: pd.Timestamp
    day: str
    left_out: int
    after: int


def _known(cases: pd.DataFrame, opened: str, closed: str, until: str) -> _Cases:
    need_columns(cases, [opened, closed], source=SOURCE)
    times = pd.DataFrame({"opened": cases[opened], "closed": cases[closed]})
    for column, role in zip(times, (opened, closed), strict=True):
        if not pd.api.types.is_datetime64_any_dtype(times[column]):
            raise Problem(f"{SOURCE}: {role!r} holds no times.", "give it the type time or date.")
    times = times.apply(local)
    known = times.dropna(subset="opened")
    need_rows(known, FEWEST, source="The table of complaints", why="a backlog")
    _need_in_order(known)
    now = _until(until) if until else known.max().max()
    by_day = bool((known == known.apply(lambda each: each.dt.normalize())).where(
        known.notna(), other=True).all(axis=None))  # fmt: skip
    bare = bool(until) and now == now.normalize()  # the day named is the last one counted
    whole = now + DAY if by_day or bare else now
    past = known["opened"] < whole if bare and not by_day else known["opened"] <= now
    early = known[past]
    _need_some_open(early, now if by_day else whole, goes_on=len(early) < len(known))
    return _Cases(
        times=early,
        now=now if by_day else whole,
        whole=whole,
        day=str(now.date()),
        left_out=len(times) - len(known),
        after=len(known) - len(early),
    )


def _need_in_order(known: pd.DataFrame) -> None:
    wrong = known[known["closed"] < known["opened"]]
    if len(wrong):
        raise Problem(
            f"{SOURCE}: {counted(len(wrong), 'case')} closed before opened "
            f"(first rows: {first_rows(wrong)}).",
            "correct the times; if day and month are swapped, name the `format` of the column.",
        )


def _until(until: str) -> pd.Timestamp:
    try:
        return local(pd.Series([pd.Timestamp(until)])).iloc[0]
    except ValueError:
        raise Problem(f"until is {until!r}.", "write a date, such as 2025-12-31.") from None


def _need_some_open(known: pd.DataFrame, now: pd.Timestamp, *, goes_on: bool) -> None:
    """Refuse a file that holds ended cases only, or hardly any others.

    At the rate at which cases come, at least half of those younger than the usual time to
    close must still be open; if there is next to none, open cases are not in the file.
    """
    mend = "ask for the open cases too, or set `until` to a day well inside the file."
    ages = _ages(known, now)
    if ages.empty and not goes_on:
        raise Refusal("Every case of the file is closed, so the backlog is not in it.", mend)
    usual = float(((known["closed"] - known["opened"]) / DAY).median())
    span = (now - known["opened"].min()) / DAY
    expected = len(known) / span * usual / 2 if span > usual > 0 else 0.0
    young = int((ages < usual).sum())
    if expected >= FEWEST and young < expected / 20:
        raise Refusal(
            f"Of the cases opened in the last {usual:.0f} days {young or 'none'} is open, where "
            f"{expected:.0f} or more would be: the file seems to hold closed cases only.",
            mend,
        )


def _ages(known: pd.DataFrame, now: pd.Timestamp) -> pd.Series:
    """Days for which each case has been open, of those open at a moment."""
    still = known["closed"].isna() | (known["closed"] > now)
    return (now - known.loc[still, "opened"]) / DAY


def _quantiles(ages: pd.Series) -> tuple[float, float, float]:
    if ages.empty:
        return (np.nan,) * 3
    return tuple(float(each) for each in np.quantile(ages.to_numpy(), [0.5, 0.9, 1.0]))


# --- Week by week ---------------------------------------------------------------------------------


def _by_week(found: _Cases, week_starts: str) -> pd.DataFrame:
    """One row per whole week; a case that closes at its very end is closed in the next."""
    known, now = found.times, found.now
    first = _week(known["opened"].min(), week_starts)
    if first < known["opened"].min().normalize():  # a part of a week
        first += 7 * DAY
    starts = pd.date_range(first, now, freq="7D")
    starts = starts[starts + 7 * DAY <= found.whole]
    ends = (starts + 7 * DAY).to_numpy()
    opened = np.sort(known["opened"].to_numpy())
    closed = np.sort(known["closed"].dropna().to_numpy())
    came, went = (np.searchsorted(each, ends, side="left") for each in (opened, closed))
    before = [np.searchsorted(each, starts.to_numpy(), side="left") for each in (opened, closed)]
    table = pd.DataFrame(
        {
            "week": starts,
            "opened": came - before[0],
            "closed": went - before[1],
            "open": came - went,
        }
    )
    ages = [_quantiles(_open_ages(known, end)) for end in ends]
    names = ["age_median_d", "age_90_d", "age_oldest_d"]
    table[names] = np.array(ages, dtype=float).reshape(-1, 3)
    lasted = (known["closed"].fillna(now).clip(upper=now) - known["opened"]) / DAY
    table["settled"] = starts + 7 * DAY >= known["opened"].min() + lasted.quantile(0.95) * DAY
    return table


def _open_ages(known: pd.DataFrame, end: np.datetime64) -> pd.Series:
    """Ages at the end of a week; what closes at that very moment is still open."""
    open_ = (known["opened"] < end) & ~(known["closed"] < end)
    return (pd.Timestamp(end) - known.loc[open_, "opened"]) / DAY


def _week(time: pd.Timestamp, week_starts: str) -> pd.Timestamp:
    calendar = Calendar(week_starts=week_starts)  # insists on a weekday
    back = (time.day_of_week - DAYS.index(calendar.week_starts)) % 7
    return time.normalize() - back * DAY


def _rates(recent: pd.DataFrame, open_now: int, confidence: float) -> dict[str, float]:
    """Flows a week with Student's interval, and the weeks that the backlog would take."""
    came, went = (recent[c].to_numpy(dtype=float) for c in ("opened", "closed"))
    flows = {
        "inflow": _rate(came, confidence),
        "outflow": _rate(went, confidence),
        "change": student(came - went, confidence=confidence),
    }
    flows["weeks_of_work"] = _quotient(open_now, flows["outflow"])
    flows["weeks_to_clear"] = _quotient(open_now, tuple(-x for x in _turned(flows["change"])))
    return {
        name + end: float(value)
        for name, found in flows.items()
        for end, value in zip(("", "_low", "_high"), found, strict=True)
    }


def _rate(counts: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean count a week; Student's interval on the scale of its logarithm, as counts are skewed."""
    mean, low, high = student(counts, confidence=confidence)
    if mean == 0:
        return 0.0, 0.0, 0.0
    factor = np.exp((high - low) / 2 / mean)
    return mean, mean / factor, mean * factor


def _turned(found: tuple[float, float, float]) -> tuple[float, float, float]:
    return found[0], found[2], found[1]


def _quotient(open_now: int, rate: tuple[float, float, float]) -> tuple[float, float, float]:
    """Weeks at a rate and at its limits, inf where it is not above 0."""
    middle, low, high = (open_now / each if each > 0 else np.inf for each in rate)
    return (middle, high, low) if open_now else (0.0, 0.0, 0.0)


def _little(known: pd.DataFrame, table: pd.DataFrame) -> dict[str, float]:
    """Cases open on average over the settled weeks, and the days a case that this implies."""
    weeks = table[table["settled"]]
    if not weeks["opened"].sum():
        return dict.fromkeys(("mean_open", "little_d", "closed_mean_d"), np.nan)
    start, end = weeks["week"].iloc[0], weeks["week"].iloc[-1] + 7 * DAY
    since, to = known["opened"].clip(lower=start), known["closed"].fillna(end).clip(upper=end)
    case_days = float(((to - since) / DAY).clip(lower=0).sum())
    done = known[(known["closed"] >= start) & (known["closed"] < end)]
    return {
        "mean_open": case_days / (7 * len(weeks)),
        "little_d": case_days / float(weeks["opened"].sum()),
        "closed_mean_d": float(((done["closed"] - done["opened"]) / DAY).mean()),
    }


# --- By age ---------------------------------------------------------------------------------------


def _group(cases: pd.DataFrame, index: pd.Index, by: str) -> pd.Series:
    """The group of each open case, the smallest together."""
    if not by:
        return pd.Series("all", index=index)
    group = cases.loc[index, by].astype("str").fillna(BLANK)
    counts = group.value_counts()
    order = sorted(counts.index, key=lambda name: (-counts[name], name))
    kept = order if len(order) <= MOST_LEVELS else order[: MOST_LEVELS - 1]
    return group.where(group.isin(kept), OTHERS)


def _by_age(ages: pd.Series, group: pd.Series, edges: list[float]) -> pd.DataFrame:
    """One row per group and band, the largest group first, groups standing together last."""
    starts, ends = [0.0, *edges], [*edges, np.inf]
    band = np.searchsorted(edges, ages.to_numpy(), side="right")
    counts = group.value_counts()
    order = sorted(counts.index, key=lambda name: (name == OTHERS, -counts[name], name))
    parts = [("all", np.ones(len(ages), dtype=bool))]
    parts += [(n, (group == n).to_numpy()) for n in order] if list(order) != ["all"] else []
    rows = [
        {
            "group": name,
            "band": f"{a:g} and more" if np.isinf(b) else f"{a:g} to {b:g}",
            "from_d": a,
            "to_d": b,
            "open": int((band[part] == place).sum()),
            "share": float((band[part] == place).mean()) if part.any() else np.nan,
        }
        for name, part in parts
        for place, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]
    return pd.DataFrame(rows)
