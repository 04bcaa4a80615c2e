"""How many of the counted cases are events, and where do the events lie?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import interval, look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of, need_share
from sqm.clock import local, read_day
from sqm.finding import Finding, counted, listed

SERIES = "events among counted cases"
VITAL = 0.8
SHOWN = 15  # parts that a picture names
MOST_PARTS = 300  # beyond, a Pareto names single cases and not kinds
FEW = 10  # units or periods below which an interval is said to be approximate
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
        independent cases that would say as much; ``design_effect``, n over that.
    estimate, low, high : float
        The share with the interval of the last row: all that cases may share.
    n, events, units, periods : int
    effective_n : float
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
    left_out: int
    confidence: float

    def sentence(self) -> str:
        found = _spelt(self.estimate, self.low, self.high, self.confidence)
        head = f"{found} of {self.n:,} counted cases are events.\n"
        return head + " ".join(filter(None, [self._basis(), self._others(), self._rest()]))

    def _basis(self) -> str:
        alike = self.table["alike"].iloc[-1]
        if len(self.table) == 1:
            return "Neither unit nor period differ, so every case counts as independent."
        sample = {
            "the period": f"the {counted(self.periods, 'period')} count",
            "the unit": f"the {counted(self.units, 'unit')} count",
        }.get(
            alike, f"the {counted(self.units, 'unit')} and {counted(self.periods, 'period')} count"
        )
        few = self.table["groups"].iloc[-1] < FEW
        return (
            f"Cases that share {alike} may be alike, and {sample} as a sample of those there might"
            f" be: they say as much as {self.effective_n:,.0f} independent cases."
            + (" With so few the interval is approximate." if few else "")
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
        if not self.left_out:
            return ""
        return f"{counted(self.left_out, 'sum')} without cases or events known are left out."

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
        ``rate_low``, ``rate_high``, events per case of the part.
    vital : tuple of str
        The fewest parts that hold 80 % of the events.
    events, not_recorded : int
        Events with a part, and those without.
    highest : str
        The part with the highest rate.
    alike : str
        What cases may share.
    confidence : float
    """

    vital: tuple[str, ...]
    events: int
    not_recorded: int
    highest: str
    alike: str
    confidence: float

    def sentence(self) -> str:
        first, may = self.table.iloc[0], int((self.table["rank_low"] == 1).sum())
        share = _spelt(first["estimate"], first["low"], first["high"], self.confidence)
        others = f", one of {may} that may be first" if may > 1 else ""
        worst = self.table.set_index("part").loc[self.highest]
        rate = _spelt(worst["rate"], worst["rate_low"], worst["rate_high"], self.confidence)
        names = listed(list(self.vital), most=5)
        rest = f" {self.not_recorded:,} events without a part are left out."
        return (
            f"Most events lie in {look.shorten(first['part'])}: {share} of"
            f" {self.events:,}{others}.\n"
            f"80 % of the events lie in {counted(len(self.vital), 'part')} of {len(self.table)}"
            f" ({names}). The highest rate has {look.shorten(self.highest)}: {rate} of its cases."
            f" Cases that share {self.alike} may be alike; the ranks of the table hold together."
            + (rest if self.not_recorded else "")
        )

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
    Student's allowance for few units or periods.

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
        **{key: last[key] for key in ("estimate", "low", "high", "n", "events", "effective_n")},
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
    the ranks hold together, and are wider than they need be.

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
    sums, _ = _sums(counts[named], until)
    other = _known(counts[~named], until)[0]["events"].sum()
    parts = _Parts(sums)
    table = parts.table(confidence)
    return EventParts(
        table=table,
        vital=tuple(table.loc[table["vital"], "part"]),
        events=int(table["events"].sum()),
        not_recorded=int(other),
        highest=str(table.loc[table["rate"].idxmax(), "part"]),
        alike=ALIKE[" and ".join(sums.all_ways)],
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

    def products(self, residuals: np.ndarray, way: tuple[str, ...]) -> np.ndarray:
        """Sums of products over groups, of each column of residuals with each."""
        code = np.zeros(len(residuals), dtype=np.int64)
        for name in way:
            code = code * self.groups[name] + self.codes[name]
        _, code = np.unique(code, return_inverse=True)
        size = int(code.max()) + 1
        by = np.stack([np.bincount(code, column, size) for column in residuals.T], axis=1)
        return by.T @ by * size / max(size - 1, 1)

    def degrees(self, way: tuple[str, ...]) -> int:
        return min(self.groups[name] for name in way) - 1


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
    variance = max(each[0, 0] for each in _robust(sums, residual[:, None], way)) / n**2
    effective, certain = _effective(share, n, variance, sums, way, confidence)
    low, high = interval.wilson(share, certain, confidence=confidence)
    return {
        "alike": ALIKE[" and ".join(way)],
        "groups": sums.degrees(way) + 1 if way else int(n),
        "n": int(n),
        "events": int(events),
        "estimate": share,
        "low": low,
        "high": high,
        "effective_n": effective,
        "design_effect": n / effective,
    }


def _robust(sums: _Sums, residuals: np.ndarray, way: tuple[str, ...]) -> list[np.ndarray]:
    """Covariances of sums of residuals where those of a unit, or of a period, may be alike.

    The largest is the one to go by: of two kinds by inclusion and exclusion, and each by itself,
    which is the least that is accepted.
    """
    if not way:
        return [np.zeros((residuals.shape[1], residuals.shape[1]))]
    single = [sums.products(residuals, (name,)) for name in way]
    if len(single) == 1:
        return single
    return [sum(single) - sums.products(residuals, way), *single]


def _effective(share, n, variance, sums: _Sums, way, confidence: float) -> tuple[float, float]:
    """Independent cases that would say as much; and the same with the allowance for few groups."""
    simple = share * (1 - share)
    effective = n if variance <= 0 or not simple else min(n, simple / variance)
    if not way:
        return float(effective), float(effective)
    tail = (1 + confidence) / 2
    few = stats.norm.ppf(tail) / stats.t.ppf(tail, sums.degrees(way))
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
        self.sums, self.names = sums, list(names)
        inside = np.eye(len(names))[codes]
        self.n = inside * sums.rows["n"].to_numpy()[:, None]
        self.events = inside * sums.rows["events"].to_numpy()[:, None]

    def table(self, confidence: float) -> pd.DataFrame:
        n, events = self.n.sum(axis=0), self.events.sum(axis=0)
        share, rate = events / events.sum(), events / n
        all_events = self.events.sum(axis=1, keepdims=True)
        of_share = self._covariances(self.events - share * all_events, events.sum())
        of_share.append((np.diag(share) - np.outer(share, share)) / events.sum())
        of_rate = self._covariances(self.events - rate * self.n, 1.0)
        table = pd.DataFrame({"part": self.names, "n": n.astype(int), "events": events.astype(int)})
        table[["estimate", "low", "high"]] = self._limits(
            share, np.full_like(share, events.sum()), _own(of_share), confidence
        )
        low, high = self._ranks(share, of_share, confidence)
        table = table.assign(rank_low=low, rank_high=high)
        table[["rate", "rate_low", "rate_high"]] = self._limits(
            rate, n, _own(of_rate) / n**2, confidence
        )
        table = table.sort_values(["events", "part"], ascending=[False, True], ignore_index=True)
        before = table["events"].cumsum() - table["events"]
        return table.assign(
            cumulated_share=table["estimate"].cumsum(),
            rank=table["events"].rank(method="min", ascending=False).astype(int),
            vital=before < VITAL * events.sum() * (1 - 1e-12),
        )

    def _covariances(self, residuals: np.ndarray, total: float) -> list[np.ndarray]:
        return [each / total**2 for each in _robust(self.sums, residuals, self.sums.all_ways)]

    def _limits(self, share, n, variance, confidence: float) -> np.ndarray:
        way, found = self.sums.all_ways, []
        for each, size, spread in zip(share, n, variance, strict=True):
            certain = _effective(each, size, spread, self.sums, way, confidence)[1]
            found.append((each, *interval.wilson(each, certain, confidence=confidence)))
        return np.array(found)

    def _ranks(self, share, covariances, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        apart = [np.add.outer(np.diag(each), np.diag(each)) - 2 * each for each in covariances]
        error = np.sqrt(np.maximum(np.max(apart, axis=0), 0))
        pairs, way = len(share) * (len(share) - 1) / 2, self.sums.all_ways
        tail = 1 - (1 - confidence) / 2 / pairs
        bar = stats.t.ppf(tail, self.sums.degrees(way)) if way else stats.norm.ppf(tail)
        surely = (share[:, None] - share > bar * error) & (error > 0)
        return 1 + surely.sum(axis=0), len(share) - surely.sum(axis=1)


def _own(covariances: list[np.ndarray]) -> np.ndarray:
    """The largest variance of each."""
    return np.max([np.diag(each) for each in covariances], axis=0)


def _spelt(estimate: float, low: float, high: float, confidence: float) -> str:
    limits = [100 * each for each in (estimate, low, high)]
    digits = interval.digits_for(*limits[1:])
    return interval.spell(*limits, confidence=confidence, digits=digits, unit="%")
