"""How many of the counted cases are events, and where do the events lie?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import sparse, stats

from sqm import interval, look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of, need_share
from sqm.clock import local, read_day
from sqm.finding import Finding, counted, listed

SERIES = "events among counted cases"
VITAL = 0.8
SHOWN = 15  # parts that a picture names
MOST_PARTS = 300  # beyond, a Pareto names single cases and not kinds
BLOCK = 4096  # groups whose residuals are laid out at once
FEW = 10  # units or periods below which an interval is said to be approximate
Spread = TypeVar("Spread", float, np.ndarray)
ALIKE = {"": "nothing: each case for itself", "period": "the period", "unit": "the unit"}
ALIKE["unit and period"] = "the unit and the period"


@dataclass(frozen=True, eq=False)
class EventShare(Finding):
    """What share of the counted cases are events.

    Attributes
    ----------
    table : DataFrame, one row a way to count what is independent
        ``alike``, what cases may share; ``groups``, the fewest of such units or periods; ``n``;
        ``events``; ``estimate``, ``low``, ``high``, the share (0 to 1); ``effective_n``,
        independent cases that would say as much; ``interval_n``, the same with the allowance
        for few groups, from which the interval is made; ``design_effect``, n over the former.
    estimate, low, high : float
        The share with the interval of the last row: all that cases may share.
    n, events, units, periods : int
    effective_n, interval_n : float
    left_out : int
        Sums without a number of cases or of events.
    confidence : float
    """

    estimate: float
    low: float
    high: float
    n: int
    events: int
    units: int
    periods: int
    effective_n: float
    interval_n: float
    left_out: int
    confidence: float

    def sentence(self) -> str:
        found = _spelt(self.estimate, self.low, self.high, self.confidence)
        head = f"{found} of {self.n:,} counted cases are events.\n"
        return head + " ".join(filter(None, [self._basis(), self._others(), self._rest()]))

    def _basis(self) -> str:
        if len(self.table) == 1:
            return self._alone()
        alike = self.table["alike"].iloc[-1]
        if self.estimate in (0, 1):
            seen = "Every case was an event" if self.estimate else "No event was seen"
            return (
                f"{seen}, so how alike cases that share {alike} are cannot be told: the interval"
                f" is the widest there is, that of {self.interval_n:,.0f} independent cases."
            )
        sample = {
            "the period": f"the {counted(self.periods, 'period')} count",
            "the unit": f"the {counted(self.units, 'unit')} count",
        }.get(
            alike, f"the {counted(self.units, 'unit')} and {counted(self.periods, 'period')} count"
        )
        few = self.table["groups"].iloc[-1] < FEW
        return (
            f"Cases that share {alike} may be alike, and {sample} as a sample of those there might"
            f" be: the interval is that of {self.interval_n:,.0f} independent cases."
            + (" With so few the interval is approximate." if few else "")
        )

    def _alone(self) -> str:
        """Nothing differs in these sums, so nothing shows how others would."""
        kinds = {"unit": self.units, "period": self.periods}
        only = " and ".join(f"one {kind}" for kind, number in kinds.items() if number)
        known = (
            f"Only {only} {'are' if ' and ' in only else 'is'}" if only else "No unit or period is"
        )
        return (
            f"{known} known; how others differ cannot be told. The interval takes each of the"
            f" {self.interval_n:,.0f} cases for itself, and is too narrow for any others."
        )

    def _others(self) -> str:
        rows = self.table.set_index("alike")
        words = []
        if len(rows) > 2 and ALIKE["period"] in rows.index:
            words.append(f"for these units alone it is {self._range(rows.loc[ALIKE['period']])}")
        if len(rows) > 1:
            bare = self._range(rows.iloc[0])
            words.append(f"counting each case for itself would claim {bare}")
        said = ", and ".join(words)
        return f"{said[0].upper()}{said[1:]}." if said else ""

    def _range(self, row: pd.Series) -> str:
        digits = interval.digits_for(100 * row["low"], 100 * row["high"])
        return f"{100 * row['low']:.{digits}f} to {100 * row['high']:.{digits}f} %"

    def _rest(self) -> str:
        return _left(self.left_out)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        percent = self.table.assign(**100 * self.table[["estimate", "low", "high"]])
        meaning = ["limit"] * (len(percent) - 1) + ["usual"]
        look.dots(ax, percent, names=self.table["alike"], meaning=meaning)
        return look.label(
            ax,
            title="What share of the cases are events?",
            x=f"share of events, %, with {100 * self.confidence:.4g}% intervals",
            y="cases may share",
        )


@dataclass(frozen=True, eq=False)
class EventParts(Finding):
    """Which parts hold most of the events.

    Attributes
    ----------
    table : DataFrame, one row a part, most events first
        ``part``; ``n``; ``events``; ``estimate``, ``low``, ``high``, its share of all events (0
        to 1); ``cumulated_share``; ``rank``, ``rank_low``, ``rank_high``, all together at the
        level; ``vital``, whether it belongs to the fewest that hold 80 %; ``rate``,
        ``rate_low``, ``rate_high``, events per case of the part; ``groups``, the fewest units
        or periods in which it was seen (missing if neither differs); ``note``, why it has no
        interval, or so wide a one.
    vital : tuple of str
        The fewest parts that hold 80 % of the events.
    events, not_recorded : int
        Events with a part, and those without.
    highest : str
        The part whose rate is high most surely: the one with the highest lower limit; blank if no
        rate has an interval.
    may_be_highest : int
        Parts whose rate may be the highest: those whose upper limit is above that lower limit,
        and those without an interval.
    alike : str
        What cases may share.
    left_out : int
        Sums without a number of cases or of events.
    confidence : float
    """

    vital: tuple[str, ...]
    events: int
    not_recorded: int
    highest: str
    may_be_highest: int
    alike: str
    left_out: int
    confidence: float

    def sentence(self) -> str:
        first, may = self.table.iloc[0], int((self.table["rank_low"] == 1).sum())
        share = _spelt(first["estimate"], first["low"], first["high"], self.confidence)
        others = f", one of {may} that may be first" if may > 1 else ""
        names = listed(list(self.vital), most=5)
        more = [self._highest(), self._open(), self._few(), self._rest(), _left(self.left_out)]
        return (
            f"Most events lie in {look.shorten(first['part'])}: {share} of"
            f" {self.events:,}{others}.\n"
            f"80 % of the events lie in {counted(len(self.vital), 'part')} of {len(self.table)}"
            f" ({names}). Cases that share {self.alike} may be alike; the ranks of the table hold"
            " together. " + " ".join(filter(None, more))
        ).strip()

    def _highest(self) -> str:
        if not self.highest:
            return "No rate has an interval, so none can be said to be the highest."
        worst = self.table.set_index("part").loc[self.highest]
        rate = _spelt(worst["rate"], worst["rate_low"], worst["rate_high"], self.confidence)
        name, may = look.shorten(self.highest), self.may_be_highest
        if may == 1:
            return f"The highest rate has {name}: {rate} of its cases."
        return (
            f"Any of {may} parts may have the highest rate; most surely high is that of {name}:"
            f" {rate} of its cases."
        )

    def _open(self) -> str:
        number = int((self.table["groups"] < 2).sum())
        if not number:
            return ""
        name = look.shorten(str(self.table.loc[self.table["groups"] < 2, "part"].iloc[0]))
        if number == 1:
            note = self.table.loc[self.table["groups"] < 2, "note"].iloc[0]
            return f"{name} was {note}: it has no interval, and its rank is open."
        return (
            f"{number} parts, such as {name}, were seen in one unit or period only: they have no"
            " interval, and their ranks are open."
        )

    def _few(self) -> str:
        number = int(self.table["groups"].between(2, FEW - 1).sum())
        if not number:
            return ""
        have = f"{counted(number, 'part')} {'was' if number == 1 else 'were'}"
        return f"{have} seen in fewer than {FEW} units or periods: there limits are approximate."

    def _rest(self) -> str:
        rest = f"{counted(self.not_recorded, 'event')} without a part are left out."
        return rest if self.not_recorded else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, rows = look.axes(ax), self.table.head(SHOWN)
        percent = rows.assign(**100 * rows[["estimate", "low", "high"]])
        meaning = np.where(rows["vital"], "usual", "limit")
        look.dots(ax, percent, names=rows["part"], meaning=meaning)
        rest = len(self.table) - len(rows)
        tail = f"; {counted(rest, 'other part')} not drawn" if rest else ""
        return look.label(
            ax,
            title="Which parts hold most of the events?",
            x=f"share of all events, % (dark: together 80 %){tail}",
        )


def event_share(counts: pd.DataFrame, *, until: str = "", confidence: float = 0.95) -> EventShare:
    """Give the share of events among cases that were counted already.

    Parameters
    ----------
    counts : DataFrame, one row a sum
        ``n``, cases, and ``events`` among them; ``unit`` and ``period``, if known, say which
        cases may be alike.
    until : str, optional
        Only periods that begin before this day.
    confidence : float, default 0.95

    Returns
    -------
    EventShare

    Raises
    ------
    Problem
        If a column is missing, a count is below 0, or there are more events than cases.
    Refusal
        If there is no case.

    Notes
    -----
    The share is a ratio of sums, E / N, with the residual e - (E / N) n of each sum.  Its variance
    is robust to units and periods that differ, combined by inclusion and exclusion as in
    `sqm.interval.share`, and the interval is Wilson's at the effective number of cases, with
    Student's allowance for few units or periods.  If no case is an event, or each is one, nothing
    shows how alike they are: then each unit, or period if there are fewer, counts as one case.

    Examples
    --------
    Two units of 100 cases with 10 and 30 events: counting alone 200 cases, but each unit says one
    thing.

    >>> counts = pd.DataFrame({"unit": ["N", "S"], "n": [100, 100], "events": [10, 30]})
    >>> found = event_share(counts)
    >>> found.estimate, round(found.effective_n, 2)
    (0.2, 16.0)
    """
    need_share(confidence, name="confidence")
    sums, left_out = _sums(counts, until)
    ways = [(), *sums.ways]
    rows = [_share_row(sums, way, confidence) for way in ways]
    last = rows[-1]
    return EventShare(
        table=pd.DataFrame(rows),
        **{key: last[key] for key in _SAID},
        units=sums.groups.get("unit", 0),
        periods=sums.groups.get("period", 0),
        left_out=left_out,
        confidence=confidence,
    )


def event_parts(counts: pd.DataFrame, *, until: str = "", confidence: float = 0.95) -> EventParts:
    """Rank the parts of counted cases by the events in them.

    Parameters
    ----------
    counts : DataFrame, one row a sum
        As for `event_share`, with ``part``.
    until : str, optional
        Only periods that begin before this day.
    confidence : float, default 0.95
        Level of each share and rate, and of all ranks together.

    Returns
    -------
    EventParts

    Raises
    ------
    Problem
        If a column is missing, a count is below 0, or there are more events than cases.
    Refusal
        If there are fewer than two parts with a name, more than 300, or no event.

    Notes
    -----
    Two parts differ in rank if their difference exceeds its standard error, robust as in
    `event_share`, by Student's quantile at the level shared out among all pairs (Bonferroni):
    the ranks hold together, and are wider than they need be.  A part has as many degrees of
    freedom as the units, or periods if they are fewer, in which it was seen, less one; a pair has
    the smaller of two.  Of a part that was seen in one unit, nothing shows how others would
    differ: it has no interval, and no pair with it is told apart.

    Examples
    --------
    >>> counts = pd.DataFrame({"part": ["a", "b", "c"], "n": 1000, "events": [90, 10, 0]})
    >>> found = event_parts(counts)
    >>> found.table[["part", "estimate", "rank_low", "rank_high"]].values.tolist()
    [['a', 0.9, 1, 1], ['b', 0.1, 2, 2], ['c', 0.0, 3, 3]]
    """
    need_share(confidence, name="confidence")
    need_columns(counts, ["part"], source="the table of counts")
    named = counts["part"].notna() & counts["part"].astype("str").str.strip().ne("")
    sums, left_out = _sums(counts[named], until)
    other, other_left_out = _known(counts[~named], until)
    table = _Parts(sums).table(confidence)
    highest, may = _highest_rate(table)
    return EventParts(
        table=table,
        vital=tuple(table.loc[table["vital"], "part"]),
        events=int(table["events"].sum()),
        not_recorded=int(other["events"].sum()),
        highest=highest,
        may_be_highest=may,
        alike=ALIKE[" and ".join(sums.all_ways)],
        left_out=left_out + other_left_out,
        confidence=confidence,
    )


def event_series(
    counts: pd.DataFrame, *, name: str = SERIES, better: str = "lower", mature_until: str = ""
) -> pd.DataFrame:
    """Lay the share of events out as a series for the charts, period by period.

    Parameters
    ----------
    counts : DataFrame, one row a sum
        ``period``, first day of it, ``n`` and ``events``.  Every period is taken as whole.
    name : str
        What the series is called.
    better : str, default "lower"
        ``lower`` or ``higher``.
    mature_until : str, optional
        First day too young to be complete.

    Returns
    -------
    DataFrame, one row a period
        ``series``, ``data``, ``period``, ``n``, ``value``, ``sd``, ``better``, ``mature``.

    Examples
    --------
    >>> counts = pd.DataFrame({"period": pd.to_datetime(["2025-09-01"] * 2), "n": [10, 20],
    ...                        "events": [1, 2]})
    >>> event_series(counts)[["n", "value"]].values.tolist()
    [[30.0, 3.0]]
    """
    need_columns(counts, ["period"], source="the table of counts")
    need_one_of(better, ("lower", "higher"), name="better")
    known, _ = _known(counts[counts["period"].notna()], "")
    if not len(known):
        raise Refusal("No sum has a period, cases and events.", "see how the table was summed.")
    by = known.groupby(local(known["period"]), sort=True)[["n", "events"]].sum()
    rows = by.rename_axis("period").rename(columns={"events": "value"}).reset_index()
    rows = rows[rows["n"] > 0]
    mature = True if not mature_until else rows["period"] < read_day(mature_until)
    said = {"series": name, "data": "share", "sd": np.nan, "better": better, "mature": mature}
    order = ["series", "data", "period", "n", "value", "sd", "better", "mature"]
    return rows.assign(**said)[order].reset_index(drop=True)


_SAID = ("estimate", "low", "high", "n", "events", "effective_n", "interval_n")


# --- Sums, and what they share --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sums:
    """Cases and events, sum by sum, with codes of what they share."""

    rows: pd.DataFrame
    codes: dict[str, np.ndarray]

    @cached_property
    def groups(self) -> dict[str, int]:
        """Units and periods that there are."""
        return {name: int(codes.max()) + 1 for name, codes in self.codes.items()}

    @property
    def all_ways(self) -> tuple[str, ...]:
        """What there are two or more of: only that can be seen to differ."""
        return tuple(name for name, number in self.groups.items() if number > 1)

    @property
    def ways(self) -> list[tuple[str, ...]]:
        """Each kind of likeness, the periods first, and last both together."""
        single = [(name,) for name in ("period", "unit") if name in self.all_ways]
        return single if len(single) < 2 else [("period",), ("unit",), self.all_ways]

    def group(self, way: tuple[str, ...]) -> np.ndarray:
        """Per sum the number of its group, without gaps."""
        code = np.zeros(len(self.rows), dtype=np.int64)
        for name in way:
            code = code * self.groups[name] + self.codes[name]
        return np.unique(code, return_inverse=True)[1]

    def spread(self, residual: np.ndarray, way: tuple[str, ...]) -> float:
        """Variance of the sum of residuals where those of a group may be alike."""
        by = np.bincount(self.group(way), residual)
        return float(by @ by * len(by) / max(len(by) - 1, 1))

    def fewest(self, way: tuple[str, ...]) -> int:
        """The fewest groups of a kind; 0 if each case stands for itself."""
        return min((self.groups[name] for name in way), default=0)


def _known(counts: pd.DataFrame, until: str) -> tuple[pd.DataFrame, int]:
    """Sums whose cases and events are known, before a day; and how many are not."""
    need_columns(counts, ["n", "events"], source="the table of counts")
    if until:
        need_columns(counts, ["period"], source="the table of counts")
        counts = counts[local(counts["period"]) < read_day(until)]
    known = counts[["n", "events"]].notna().all(axis="columns")
    rows = counts[known].astype({"n": float, "events": float})
    off = rows[(rows["events"] < 0) | (rows["events"] > rows["n"])]
    if len(off):
        raise Problem(
            f"{counted(len(off), 'sum')} of the table of counts"
            f" {'has' if len(off) == 1 else 'have'} events below 0 or above the cases"
            f" (first rows: {first_rows(off)}).",
            "count the events among the cases of the same row.",
        )
    return rows, int((~known).sum())


def _sums(counts: pd.DataFrame, until: str) -> tuple[_Sums, int]:
    rows, left_out = _known(counts, until)
    rows = rows[rows["n"] > 0].reset_index(drop=True)
    if not len(rows):
        raise Refusal("There is no counted case to estimate from.", "see how it was summed.")
    codes = {
        name: pd.factorize(rows[name], use_na_sentinel=False)[0]
        for name in ("unit", "period")
        if name in rows.columns
    }
    return _Sums(rows, codes), left_out


def _share_row(sums: _Sums, way: tuple[str, ...], confidence: float) -> dict:
    n, events = float(sums.rows["n"].sum()), float(sums.rows["events"].sum())
    share = events / n
    residual = (sums.rows["events"] - share * sums.rows["n"]).to_numpy()
    spreads = _robust(lambda way: sums.spread(residual, way), way)
    variance = max(spreads, default=0.0) / n**2
    effective, certain = _effective(share, n, variance, sums.fewest(way), confidence)
    low, high = interval.wilson(share, certain, confidence=confidence)
    return {
        "alike": ALIKE[" and ".join(way)],
        "groups": sums.fewest(way) if way else int(n),
        "n": int(n),
        "events": int(events),
        "estimate": share,
        "low": low,
        "high": high,
        "effective_n": effective,
        "interval_n": certain,
        "design_effect": n / effective,
    }


def _robust(spread: Callable[[tuple[str, ...]], Spread], way: tuple[str, ...]) -> list[Spread]:
    """Spreads of sums of residuals where those of a unit, or of a period, may be alike.

    The largest is the one to go by: of two kinds by inclusion and exclusion, and each by itself,
    which is the least that is accepted.
    """
    single = [spread((name,)) for name in way]
    return single if len(single) < 2 else [sum(single) - spread(way), *single]


def _effective(share, n, variance, groups: float, confidence: float) -> tuple[float, float]:
    """Independent cases that would say as much; and the same with the allowance for few groups."""
    if not groups:
        return float(n), float(n)
    if groups < 2:
        return np.nan, np.nan  # one group does not show how others differ
    simple = share * (1 - share)
    if not simple:
        return (float(min(n, groups)),) * 2  # nor do groups in which nothing, or all, happens
    effective = n if variance <= 0 else min(n, simple / variance)
    tail = (1 + confidence) / 2
    few = stats.norm.ppf(tail) / stats.t.ppf(tail, groups - 1)
    return float(effective), float(effective * few**2)


# --- Parts ----------------------------------------------------------------------------------------


class _Parts:
    """Events and cases by part, and how their shares vary together."""

    def __init__(self, sums: _Sums) -> None:
        codes, names = pd.factorize(sums.rows["part"].astype("str").str.strip(), sort=True)
        if not 2 <= len(names) <= MOST_PARTS:
            raise Refusal(
                f"The counted cases have {counted(len(names), 'part')}.",
                f"name a column of 2 to {MOST_PARTS} kinds as `part`.",
            )
        if not sums.rows["events"].sum():
            raise Refusal("No counted case is an event.", "see what is counted as one.")
        self.sums, self.names, self.codes = sums, list(names), codes
        self.all_n, self.all_events = sums.rows["n"].to_numpy(), sums.rows["events"].to_numpy()
        self.n = np.bincount(codes, self.all_n)
        self.events = np.bincount(codes, self.all_events)
        seen = {name: self._by((name,), self.all_n).getnnz(axis=0) for name in sums.all_ways}
        self.seen = pd.DataFrame(seen, index=self.names)
        self.groups = self.seen.min(axis="columns").to_numpy() if seen else np.zeros(len(names))

    def table(self, confidence: float) -> pd.DataFrame:
        n, events, way = self.n, self.events, self.sums.all_ways
        share, rate = events / events.sum(), events / n
        of_share = [each / events.sum() ** 2 for each in _robust(self._share_spread, way)]
        of_share.append((np.diag(share) - np.outer(share, share)) / events.sum())
        of_rate = _robust(self._rate_spread, way) or [np.zeros_like(rate)]
        table = pd.DataFrame({"part": self.names, "n": n.astype(int), "events": events.astype(int)})
        table[["estimate", "low", "high"]] = self._limits(
            share, np.full_like(share, events.sum()), _own(of_share), confidence
        )
        low, high = self._ranks(share, of_share, confidence)
        table = table.assign(rank_low=low, rank_high=high)
        table[["rate", "rate_low", "rate_high"]] = self._limits(
            rate, n, np.max(of_rate, axis=0) / n**2, confidence
        )
        table = table.assign(groups=self.groups if way else np.nan, note=self._notes())
        table = table.sort_values(["events", "part"], ascending=[False, True], ignore_index=True)
        before = table["events"].cumsum() - table["events"]
        return table.assign(
            cumulated_share=table["estimate"].cumsum(),
            rank=table["events"].rank(method="min", ascending=False).astype(int),
            vital=before < VITAL * events.sum() * (1 - 1e-12),
        )

    def _notes(self) -> list[str]:
        notes = []
        for (_, seen), n, events in zip(self.seen.iterrows(), self.n, self.events, strict=True):
            single = " and ".join(f"one {kind}" for kind, number in seen.items() if number < 2)
            same = "no event" if not events else "every case an event" if events == n else ""
            each = seen.idxmin() if len(seen) else ""
            wide = f"{same}: each {each} counts as one case" if same and each else ""
            notes.append(f"seen in {single} only" if single else wide)
        return notes

    def _by(self, way: tuple[str, ...], column: np.ndarray) -> sparse.csr_matrix:
        """Sums of a column by group and part."""
        at = self.sums.group(way), self.codes
        return sparse.csr_matrix((column, at), shape=(int(at[0].max()) + 1, len(self.names)))

    def _share_spread(self, way: tuple[str, ...]) -> np.ndarray:
        """Covariances of each part's events less its share of all events."""
        by = self._by(way, self.all_events)
        share, size = self.events / self.events.sum(), by.shape[0]
        found = np.zeros((len(share), len(share)))
        for start in range(0, size, BLOCK):
            block = by[start : start + BLOCK].toarray()
            block -= block.sum(axis=1, keepdims=True) * share
            found += block.T @ block
        return found * size / max(size - 1, 1)

    def _rate_spread(self, way: tuple[str, ...]) -> np.ndarray:
        """Variance of each part's events less its rate of its cases, over its own groups."""
        rate = (self.events / self.n)[self.codes]
        by = self._by(way, self.all_events - rate * self.all_n)
        own = self._by(way, self.all_n).getnnz(axis=0)
        squares = np.asarray(by.multiply(by).sum(axis=0)).ravel()
        return squares * own / np.maximum(own - 1, 1)

    def _limits(self, share, n, variance, confidence: float) -> np.ndarray:
        found = []
        for each, size, spread, groups in zip(share, n, variance, self.groups, strict=True):
            certain = _effective(each, size, spread, groups, confidence)[1]
            limits = interval.wilson(each, certain, confidence=confidence)
            found.append((each, *(limits if certain > 0 else (np.nan, np.nan))))
        return np.array(found)

    def _ranks(self, share, covariances, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        apart = [np.add.outer(np.diag(each), np.diag(each)) - 2 * each for each in covariances]
        error = np.sqrt(np.maximum(np.max(apart, axis=0), 0))
        pairs, fewest = (
            len(share) * (len(share) - 1) / 2,
            np.minimum.outer(self.groups, self.groups),
        )
        tail = 1 - (1 - confidence) / 2 / pairs
        bar = np.full(error.shape, stats.norm.ppf(tail))
        if self.sums.all_ways:
            bar = np.where(fewest < 2, np.inf, stats.t.ppf(tail, np.maximum(fewest - 1, 1)))
        with np.errstate(invalid="ignore"):  # no error at all, and a bar beyond all
            surely = (share[:, None] - share > bar * error) & (error > 0)
        return 1 + surely.sum(axis=0), len(share) - surely.sum(axis=1)


def _highest_rate(table: pd.DataFrame) -> tuple[str, int]:
    """The part whose rate is high most surely, and how many may have the highest."""
    floor = table["rate_low"].max()
    may = int((~(table["rate_high"] < floor)).sum())
    return ("" if np.isnan(floor) else str(table.loc[table["rate_low"].idxmax(), "part"])), may


def _own(covariances: list[np.ndarray]) -> np.ndarray:
    """The largest variance of each."""
    return np.max([np.diag(each) for each in covariances], axis=0)


def _left(number: int) -> str:
    return f"{counted(number, 'sum')} without cases or events known are left out." if number else ""


def _spelt(estimate: float, low: float, high: float, confidence: float) -> str:
    if np.isnan(low):
        return f"{100 * estimate:.2f} % (no interval)"
    limits = [100 * each for each in (estimate, low, high)]
    digits = interval.digits_for(*limits[1:])
    return interval.spell(*limits, confidence=confidence, digits=digits, unit="%")
