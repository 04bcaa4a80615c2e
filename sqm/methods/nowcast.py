"""How many cases of the recent periods are still to be seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from scipy import stats

from sqm import clock, look
from sqm.checks import (
    Problem,
    Refusal,
    need_columns,
    need_one_of,
    need_rows,
    need_share,
)
from sqm.finding import Finding, counted
from sqm.interval import spell_p

SOURCE = "the file of cases"
PERIODS = {"month": "M", "week": "W"}
FEWEST = 50  # cases whose delay is known
FEWEST_PERIODS = 6
FEWEST_SEEN = 5  # cases in without which a period is not raised
BLANKS = 0.05  # share of recent cases without a second time from which a file holds open ones
RECENT = 20  # cases at least that are looked at for that
BACKWARDS = 0.05  # share of cases seen before their onset that is no slip any more
HALF = 0.5
A_TAIL = 0.8  # share that must be in by half the file's length: else the tail is unknown
ASKED = 12  # past days on which the method is tried
SHOWN = 24  # periods in the picture


@dataclass(frozen=True, eq=False)
class Nowcast(Finding):
    """What recent periods will have held once every case has been seen.

    Attributes
    ----------
    table : DataFrame, one row per period, the earliest first
        ``period`` (its first day); ``seen``, cases in by ``until``; ``estimate``, ``low``,
        ``high``, the count in the end with its prediction interval, of a period that is not over
        only of cases begun by ``until``; ``complete``, the share of that count expected to be in
        (0 to 1); ``immature``, whether that is below ``mature``; ``whole``, whether the period
        is over; ``note``, why a row has no estimate.
    by : str
        ``month`` or ``week``.
    until : str
        Last day on which a case could be seen.
    cases, blank, backwards, later : int
        Cases whose delay was used; without a second time; whose second time lies before the
        first; that were seen (or began) after ``until`` and were set aside.
    window_d, span_d : int
        Days before ``until`` in which the cases were seen that the delays were learnt from; the
        days that the file covers, beyond which a delay cannot be seen in it.
    median_d, earlier_median_d : float
        Days by which half of a period is in, now and in the window before; NaN if unknown.
    drift_p : float
        Chance of such a change of the delays if nothing changed; NaN if it cannot be tested.
    dispersion : float
        How many times more the past answers were off than chance alone explains.
    asked, held : int
        Past periods on which the method was tried, and those whose count lay in its interval.
    mature, youngest, confidence : float
    """

    by: str
    until: str
    cases: int
    blank: int
    backwards: int
    later: int
    window_d: int
    span_d: int
    median_d: float
    earlier_median_d: float
    drift_p: float
    dispersion: float
    asked: int
    held: int
    mature: float
    youngest: float
    confidence: float

    def sentence(self) -> str:
        rest = [self._immature(), *self._refused(), self._rests_on(), *self._trust()]
        return "\n".join([self._answer(), " ".join([*rest, *self._left_out()])])

    def _answer(self) -> str:
        raised = self.table[self.table["immature"] & self.table["estimate"].notna()]
        if raised.empty:
            if not self.table["immature"].any():
                return f"No {self.by} is waiting for cases: by {self.until} all are as good as in."
            return (
                f"No {self.by} that is still filling can be nowcast: too few of its cases are in."
            )
        last = raised.iloc[-1]
        name = f"{last['period']:%Y-%m}" if self.by == "month" else f"{last['period']:%Y-%m-%d}"
        start = f"{self.by.capitalize()} {name}"
        seen = counted(int(last["seen"]), "case")
        told = (
            f"{last['estimate']:,.0f} ({self.confidence * 100:.4g}% prediction interval "
            f"{last['low']:,.0f} to {last['high']:,.0f})"
        )
        done = f"{last['complete']:.0%} complete"
        if last["whole"]:
            return f"{start} has {seen} in and is expected to end at {told}: {done}."
        return (
            f"{start} is not over: {seen} in, of {told} expected of what began by {self.until} "
            f"({done}); what begins later comes on top."
        )

    def _immature(self) -> str:
        young = int(self.table["immature"].sum())
        return (
            f"By {self.until}, {counted(young, self.by)} of {len(self.table):,} "
            f"{'is' if young == 1 else 'are'} immature (less than {self.mature:.0%} expected to be "
            "in): compare no count or rate of theirs as it stands."
        )

    def _refused(self) -> list[str]:
        refused = self.table[self.table["estimate"].isna()]
        if refused.empty:
            return []
        return [f"{counted(len(refused), self.by).capitalize()} got no estimate (see the notes)."]

    def _rests_on(self) -> str:
        return (
            f"The delays are learnt from {self.cases:,} cases, those seen in the last "
            f"{self.window_d:,} days, allowing for the cases still missing; half of a {self.by} is "
            f"in after {counted(round(self.median_d), 'day')}. The file covers {self.span_d:,} "
            "days: what takes longer is not in the estimate."
        )

    def _trust(self) -> list[str]:
        words = []
        if self.drift_p < 0.05:
            words.append(
                f"The delays changed ({spell_p(self.drift_p)}; in the window before, half were in "
                f"after {counted(round(self.earlier_median_d), 'day')}): if the change goes on, "
                "the estimate is off; try a shorter window."
            )
        if self.asked:
            words.append(
                f"Asked on past days, each interval widened by the errors of the others, it would "
                f"have held what is in by now for {self.held} of {self.asked} immature periods."
            )
        return [*words, "The interval is approximate."]

    def _left_out(self) -> list[str]:
        words = [
            (self.blank, "without a second time"),
            (self.backwards, "seen before it began"),
            (self.later, f"not yet seen on {self.until}"),
        ]
        told = [f"{n:,} {why}" for n, why in words if n]
        return [f"Left out: {'; '.join(told)}."] if told else []

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table.tail(SHOWN).reset_index(drop=True)
        width = 24 if self.by == "month" else 5.5
        at = shown["period"] + pd.Timedelta(days=15 if self.by == "month" else 3)
        young = shown["immature"].to_numpy(dtype=bool)
        grey, usual = look.MEANING["limit"], look.MEANING["usual"]
        ax.bar(at, shown["seen"], width=width, color=np.where(young, grey, usual))
        up = shown[young & shown["estimate"].notna()]
        left = (up["estimate"] - up["seen"]).clip(lower=0)
        top = {"fill": False, "edgecolor": usual, "ls": "--", "lw": 1.2}
        ax.bar(at[up.index], left, bottom=up["seen"], width=width, **top)
        ax.vlines(at[up.index], up["low"], up["high"], color=look.MEANING["other"], lw=1.8)
        marks = [Patch(color=usual), Patch(color=grey), Patch(**top)]
        names = ["in", "in, immature", "still expected, with interval"]
        ax.legend(marks, names, fontsize="small", frameon=False, loc="upper left", ncols=3)
        ax.set_ylim(top=1.18 * ax.get_ylim()[1])  # room for the legend
        look.dates(ax)
        title = "How many cases of the recent periods are still to be seen?"
        return look.label(ax, title=title, y=f"cases a {self.by}")


def all_closed(cases: pd.DataFrame, *, onset: str = "opened", seen: str = "closed") -> bool:
    """Say whether a file holds only cases that have ended.

    In a file of all cases, many of those that began last are still running.  If next to none of
    the cases begun within the usual delay before the last date is, the running ones are missing.

    Parameters
    ----------
    cases : DataFrame, one row per case
    onset, seen : str
        Columns of the times at which a case began and was seen to end.

    Returns
    -------
    bool
        True if fewer than 5 % of the recent cases (those begun within the median delay before the
        last date, 20 at least) lack the second time.

    Raises
    ------
    Problem, Refusal
        If a column is missing or holds no times, or no case has both.

    Examples
    --------
    Forty cases of ten days each, one a day: seen to the last, or with the last ten running.

    >>> cases = pd.DataFrame({"opened": pd.date_range("2025-01-01", periods=40)})
    >>> cases["closed"] = cases["opened"] + pd.Timedelta(days=10)
    >>> all_closed(cases), all_closed(cases.mask(cases["closed"] > "2025-02-09"))
    (True, True)
    >>> cases["closed"] = cases["closed"].mask(cases["closed"] > "2025-02-09")
    >>> all_closed(cases)
    False
    """
    began, ended = _times(cases, onset, seen)
    known = began.notna() & ended.notna()
    if not known.any():
        raise Refusal(f"No case has both {onset!r} and {seen!r}.", "check the export.")
    delay = (ended - began)[known].median()
    last = max(began.max(), ended.max())
    order = began.dropna().sort_values(ascending=False)
    recent = order[(order > last - delay) | (np.arange(len(order)) < RECENT)].index
    return bool(ended[recent].isna().mean() < BLANKS)


def nowcast(
    cases: pd.DataFrame,
    *,
    onset: str = "opened",
    seen: str = "closed",
    by: str = "month",
    until: str = "",
    window_d: int = 180,
    mature: float = 0.95,
    youngest: float = 0.2,
    calendar: clock.Calendar | None = None,
    confidence: float = 0.95,
) -> Nowcast:
    """Expect what each recent period will hold once its late cases have been seen.

    Parameters
    ----------
    cases : DataFrame, one row per case that has been seen
        A file of closed cases, or of complaints that reached the desk.
    onset : str
        Column of the time to which a case belongs.
    seen : str
        Column of the time from which it is in the file.
    by : str, default "month"
        ``month`` or ``week``.
    until : str, default ""
        Last day on which a case could be seen, such as ``2025-12-31``; what was seen later is set
        aside.  Blank: the last day in the file.
    window_d : int, default 180
        Days before ``until``: the delays are learnt from what was seen in them.
    mature : float, default 0.95
        Share that must be in for a period to count as mature, 0 to 1.
    youngest : float, default 0.2
        Below this share a period is refused.
    calendar : Calendar, optional
        Its first day of the week.
    confidence : float, default 0.95

    Returns
    -------
    Nowcast

    Raises
    ------
    Problem
        If a column holds no times, a parameter is off, or more than 5 % of the cases were seen
        before they began.
    Refusal
        If a column is missing, running cases are in the file (nothing is hidden then), fewer than
        50 delays or 6 periods are known, or the file is too short for its delays.

    Notes
    -----
    Cases enter only once seen, so long delays are missing of recent ones (right truncation).  With
    N(y) cases of a delay of y days and R(y) of a delay of at most y among those that began y days
    or more before ``until``, the reverse hazard is g(y) = N(y) / R(y), and the share in after x
    days F(x) = prod over y > x of 1 - g(y) [1]_, which is the chain ladder in days [2]_.  Of each y
    the ``window_d`` latest days of onset that can show it are used, so F is today's.  A
    period's completeness c is the mean of F over its days, weighted by weekday; n cases in give
    n / c in the end.  The number still to come has the variance
    d (n (1 - c) / c^2 + (n / c)^2 var(c) / c^2), the negative binomial's with the error of c
    (Greenwood's formula in reverse) and a dispersion d of 1 or more: the mean squared standardised
    error of the same method on 12 past days, so that changing delays widen the interval
    too.  The limits are quantiles of a negative binomial of that mean and variance, widened
    where d is above 1 as Student's t is beside the normal.  The change of delays
    is tested by a log rank test in reverse time of the window against the one before, its
    variance multiplied by the median squared error of the past days.

    In simulation the interval is conservative where delays are steady (a nominal 95 % held 96 to
    99 %) and approximate where their length varies between months (91 to 94 %).

    References
    ----------
    .. [1] Lawless, J. F. (1994). Adjustments for reporting delays and the prediction of occurred
       but not reported events. Canadian Journal of Statistics 22, 15-31. doi:10.2307/3315826
    .. [2] Mack, T. (1993). Distribution-free calculation of the standard error of chain ladder
       reserve estimates. ASTIN Bulletin 23, 213-225. doi:10.2143/AST.23.2.2005092

    Examples
    --------
    Two cases a day, one seen on its day and one thirty days later.  Of June (30 days), seen by its
    last day, the early halves are in and no late one: 30 of 60, complete by a half.

    >>> day = pd.date_range("2024-01-01", "2024-06-30")
    >>> cases = pd.DataFrame({"opened": day.append(day)})
    >>> cases["closed"] = cases["opened"] + pd.to_timedelta([0] * 182 + [30] * 182, unit="D")
    >>> found = nowcast(cases[cases["closed"] <= "2024-06-30"], until="2024-06-30")
    >>> found.table.iloc[-1][["seen", "estimate", "complete"]].astype(float).round(6).tolist()
    [30.0, 60.0, 0.5]
    """
    _need_settings(by, window_d, mature, youngest, confidence)
    calendar = clock.Calendar() if calendar is None else calendar
    days, left_out, until_day = _days(cases, onset, seen, until)
    grid = _Grid(days[0], until_day, by, calendar)
    _need_enough(days, grid, until_day)
    now = _Curve(*days, until_day, window_d)
    _need_a_tail(now, until_day - days[0].min())
    errors = _past_errors(days, grid, until_day, window_d, mature, youngest)
    table, dispersion = _table(days, grid, until_day, now, errors, mature, youngest, confidence)
    drift_p, earlier = _drift(days, until_day, window_d, errors)
    asked, held = _held(errors, confidence)
    return Nowcast(
        table=table,
        by=by,
        until=str(np.datetime64(until_day, "D")),
        cases=int((until_day - days[1] < window_d).sum()),
        blank=left_out[0],
        backwards=left_out[1],
        later=left_out[2],
        window_d=int(window_d),
        span_d=int(until_day - days[0].min() + 1),
        median_d=now.median(),
        earlier_median_d=earlier,
        drift_p=drift_p,
        dispersion=dispersion,
        asked=asked,
        held=held,
        mature=mature,
        youngest=youngest,
        confidence=confidence,
    )


# --- What is asked ------------------------------------------------------------------------------


def _need_settings(
    by: str, window_d: int, mature: float, youngest: float, confidence: float
) -> None:
    need_one_of(by, PERIODS, name="by")
    for value, name in [(confidence, "confidence"), (mature, "mature"), (youngest, "youngest")]:
        need_share(value, name=name)
    if youngest >= mature:
        raise Problem(f"youngest is {youngest}, mature {mature}.", "give youngest below mature.")
    if not window_d >= 28:
        raise Problem(f"window_d is {window_d}.", "give 28 days or more, for example 180.")


def _times(cases: pd.DataFrame, onset: str, seen: str) -> tuple[pd.Series, pd.Series]:
    need_columns(cases, [onset, seen], source=SOURCE)
    for column in (onset, seen):
        if not pd.api.types.is_datetime64_any_dtype(cases[column]):
            raise Problem(f"{SOURCE}: {column!r} holds no times.", "give it the type time.")
    fresh = cases[[onset, seen]].reset_index(drop=True)
    return clock.local(fresh[onset]), clock.local(fresh[seen])


def _days(
    cases: pd.DataFrame, onset: str, seen: str, until: str
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[int, int, int], int]:
    """Days (since 1970) of onset and of being seen; who was left out; the last day."""
    began, ended = _times(cases, onset, seen)
    last = clock.read_day(until) if until else max(began.max(), ended.max())
    if pd.isna(last):
        raise Refusal(f"No case has a time in {onset!r} or {seen!r}.", "check the export.")
    until_day = int(np.datetime64(last, "D").astype(int))
    inside = began.notna() & (began < pd.Timestamp(last).normalize() + pd.Timedelta(days=1))
    _need_closed(began[inside], ended[inside])
    blank = ~(began.notna() & ended.notna())
    if blank.all():
        raise Refusal(f"No case has both {onset!r} and {seen!r}.", "check the export.")
    start = began[~blank].to_numpy().astype("datetime64[D]").astype(int)
    end = ended[~blank].to_numpy().astype("datetime64[D]").astype(int)
    backwards, later = end < start, np.maximum(start, end) > until_day
    _need_forwards(began[~blank][backwards], len(start), onset, seen)
    keep = ~backwards & ~later
    left_out = (int(blank.sum()), int(backwards.sum()), int((later & ~backwards).sum()))
    return (start[keep], end[keep]), left_out, until_day


def _need_closed(began: pd.Series, ended: pd.Series) -> None:
    table = pd.DataFrame({"onset": began, "seen": ended})
    if (
        ended.isna().any()
        and ended.notna().any()
        and not all_closed(table, onset="onset", seen="seen")
    ):
        raise Refusal(
            f"{SOURCE} holds {int(ended.isna().sum()):,} that are still running, so recent "
            "periods are whole and hide nothing.",
            "count them as they are; for the time to the end, count open cases as open.",
        )


def _need_forwards(wrong: pd.Series, n: int, onset: str, seen: str) -> None:
    if n and len(wrong) > BACKWARDS * n:
        raise Problem(
            f"{SOURCE}: {len(wrong):,} of {n:,} have {seen!r} before {onset!r} "
            f"(first rows: {', '.join(map(str, wrong.index[:5]))}).",
            "check whether the columns, or day and month, are swapped.",
        )


def _need_enough(days: tuple[np.ndarray, np.ndarray], grid: _Grid, until: int) -> None:
    need_rows(days[0], FEWEST, source=SOURCE, why="learning the delays")
    if len(grid.starts) < FEWEST_PERIODS:
        raise Refusal(
            f"{SOURCE} covers {len(grid.starts)} periods up to "
            f"{np.datetime64(until, 'D')}, where the delays need {FEWEST_PERIODS}.",
            "read a longer file, or count by week.",
        )


def _need_a_tail(now: _Curve, span: int) -> None:
    if now.at(np.array([span // 2]))[0] < A_TAIL:
        raise Refusal(
            f"Fewer than {A_TAIL:.0%} of the cases are in after {span // 2:,} days, and the file "
            f"covers {span + 1:,}: how many take longer than it reaches, it cannot say.",
            "read a longer file.",
        )


# --- Periods and delays -------------------------------------------------------------------------


class _Grid:
    """The periods from the first onset to the last day, and how the weekdays share the cases."""

    def __init__(self, onset: np.ndarray, until: int, by: str, calendar: clock.Calendar) -> None:
        first = int(onset.min()) if len(onset) else until
        every = pd.Series(pd.to_datetime(np.arange(first, until + 1), unit="D"))
        if by == "week":
            start = clock.week_of(every, calendar=calendar)
            self.ends = start.unique() + pd.Timedelta(days=6)
        else:
            start = every.dt.to_period("M").dt.to_timestamp()
            self.ends = start.unique() + pd.offsets.MonthEnd(0)
        self.starts = pd.DatetimeIndex(start.unique())
        self.ends = np.asarray(pd.DatetimeIndex(self.ends), "datetime64[D]").astype(int)
        self.first = first
        self.of_day = np.searchsorted(self.starts, start)  # period of each day from the first
        weekday = np.bincount((onset + 3) % 7, minlength=7) + 1e-9  # day 0 was a Thursday
        self.weights = weekday[(np.arange(first, until + 1) + 3) % 7]

    def counts(self, onset: np.ndarray) -> np.ndarray:
        return np.bincount(self.of_day[onset - self.first], minlength=len(self.starts))

    def days(self, period: int, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Days of a period up to ``until``, and their shares of its cases."""
        at = np.flatnonzero(self.of_day == period)
        at = at[at + self.first <= until]
        return at + self.first, self.weights[at] / self.weights[at].sum()


class _Curve:
    """Share in after x days, F(x), from cases seen within a window, under right truncation."""

    def __init__(self, onset: np.ndarray, end: np.ndarray, until: int, window: int) -> None:
        age, delay = until - onset, end - onset
        size = int(age.max()) + 2 if len(age) else 2
        recent = until - end < window
        self.new = np.bincount(delay[recent], minlength=size)[:size].astype(float)
        begin = np.maximum(delay, age - window + 1)
        step = np.bincount(begin, minlength=size + 1) - np.bincount(age + 1, minlength=size + 1)
        self.risk = np.cumsum(step)[:size].astype(float)
        hazard = np.divide(self.new, self.risk, out=np.zeros(size), where=self.risk > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = np.minimum(hazard, 1 - 0.5 / np.maximum(self.risk, 1))
            spread = hazard / (self.risk * (1 - hazard))
        self.error = np.where(self.risk > 0, spread, 0.0)  # variance of log(1 - g)
        later = np.append(np.cumsum(np.log1p(-hazard)[::-1])[::-1][1:], 0.0)
        self.share = np.exp(later)

    def at(self, age: np.ndarray) -> np.ndarray:
        return self.share[np.minimum(age, len(self.share) - 1)]

    def median(self) -> float:
        return float(np.argmax(self.share >= HALF))

    def mean(self, age: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Completeness of days of this age, and its slopes by the log hazards of each delay."""
        size = len(self.share)
        age = np.minimum(age, size - 1)
        part = weights * self.share[age]
        below = np.cumsum(np.bincount(age, weights=part, minlength=size))
        return float(part.sum()), np.append(0.0, below[:-1])


def _in_the_end(
    seen: int, curve: _Curve, age: np.ndarray, weights: np.ndarray, later: int | None = None
) -> tuple[float, float, float]:
    """Completeness (by ``later`` days on, or the end); mean and variance of what is to come."""
    share, slopes = curve.mean(age, weights)
    slopes = slopes / max(share, 1e-12)
    if later is not None:
        then, more = curve.mean(age + later, weights)
        share, slopes = share / then, slopes - more / then
    share = min(max(share, 1e-12), 1.0)
    relative = float((slopes**2 * curve.error).sum())
    mean = seen * (1 - share) / share
    some = max(seen, 0.5)  # no case seen does not make it certain that none will come
    chance = some * (1 - share) / share**2
    return share, mean, chance + (some / share) ** 2 * relative


def _limits(mean: float, variance: float, df: float, confidence: float) -> tuple[float, float]:
    """Quantiles of a count of this mean and variance, widened as Student's t is."""
    tail = (1 + confidence) / 2
    wide = stats.t.ppf(tail, df) / stats.norm.ppf(tail) if df else 1.0
    variance = variance * wide**2
    if variance < 1e-9:
        return mean, mean
    mean = max(mean, 0.5 * min(variance, 1.0))
    variance = max(variance, mean * (1 + 1e-9))
    size = mean**2 / (variance - mean)
    low, high = stats.nbinom.ppf([1 - tail, tail], size, mean / variance)
    return float(low), float(high)


# --- Past answers -------------------------------------------------------------------------------


def _past_errors(
    days: tuple[np.ndarray, np.ndarray],
    grid: _Grid,
    until: int,
    window: int,
    mature: float,
    youngest: float,
) -> pd.DataFrame:
    """What the method would have said on past days of what has come in since.

    Columns ``asked_on``, ``expected``, ``variance`` (of chance alone) and ``came``.
    """
    onset, end = days
    rows = []
    for cut in grid.ends[grid.ends < until][::-1][:ASKED]:
        known = (end <= cut) & (onset <= cut)
        first = onset[known].min() if known.any() else cut
        if known.sum() < FEWEST or cut - first < min(window, (until - grid.first) // 2):
            break
        curve = _Curve(onset[known], end[known], cut, window)
        was, is_now = grid.counts(onset[known]), grid.counts(onset)
        for period in range(np.searchsorted(grid.ends, cut), -1, -1):
            at, weights = grid.days(period, cut)
            if curve.at(cut - at).mean() >= mature:
                break
            told = _in_the_end(was[period], curve, cut - at, weights, int(until - cut))
            if was[period] >= FEWEST_SEEN and curve.at(cut - at).mean() >= youngest:
                rows.append((cut, *told[1:], is_now[period] - was[period]))
    return pd.DataFrame(rows, columns=["asked_on", "expected", "variance", "came"])


def _dispersion(errors: pd.DataFrame) -> tuple[float, int]:
    """Mean squared standardised error of past answers, and the past days it rests on.

    1 and none where the errors are no larger than chance makes them.
    """
    if errors.empty:
        return 1.0, 0
    squares = _squares(errors)
    spread = float(squares.mean())
    return (spread, len(squares)) if spread > 1 else (1.0, 0)


def _squares(errors: pd.DataFrame) -> pd.Series:
    """Mean squared standardised error of each past day's answers."""
    square = (errors["came"] - errors["expected"]) ** 2 / errors["variance"].clip(lower=1e-9)
    return square.groupby(errors["asked_on"]).mean()


def _held(errors: pd.DataFrame, confidence: float) -> tuple[int, int]:
    """Past answers, and those whose interval (dispersion from the other days) held the truth."""
    held = 0
    if errors["asked_on"].nunique() < 2:
        return 0, 0
    for day, rows in errors.groupby("asked_on"):
        spread, df = _dispersion(errors[errors["asked_on"] != day])
        for row in rows.itertuples():
            low, high = _limits(row.expected, spread * row.variance, df, confidence)
            held += low <= row.came <= high
    return len(errors), held


# --- Now ----------------------------------------------------------------------------------------


def _table(
    days: tuple[np.ndarray, np.ndarray],
    grid: _Grid,
    until: int,
    curve: _Curve,
    errors: pd.DataFrame,
    mature: float,
    youngest: float,
    confidence: float,
) -> tuple[pd.DataFrame, float]:
    spread, df = _dispersion(errors)
    rows = []
    for period, seen in enumerate(grid.counts(days[0])):
        at, weights = grid.days(period, until)
        share, mean, variance = _in_the_end(seen, curve, until - at, weights)
        note = _note(int(seen), share, youngest, mature)
        low, high = _limits(mean, spread * variance, df, confidence)
        row = {"period": grid.starts[period], "seen": int(seen)}
        told = [np.nan] * 3 if note else [seen + mean, seen + low, seen + high]
        row |= dict(zip(["estimate", "low", "high"], told, strict=True))
        row |= {"complete": share, "immature": share < mature, "whole": grid.ends[period] <= until}
        rows.append(row | {"note": note})
    return pd.DataFrame(rows).astype({"note": "str"}), spread


def _note(seen: int, share: float, youngest: float, mature: float) -> str:
    if share < youngest:
        return f"too young: {share:.0%} expected to be in"
    if seen < FEWEST_SEEN and share < mature:
        return f"too few to raise: {counted(seen, 'case')} in"
    return ""


def _drift(
    days: tuple[np.ndarray, np.ndarray], until: int, window: int, errors: pd.DataFrame
) -> tuple[float, float]:
    """Chance of the change of delays since the window before; the median delay of then."""
    onset, end = days
    known = end <= until - window
    if known.sum() < FEWEST or onset[known].min() > until - 2 * window:
        return np.nan, np.nan
    now, then = (
        _Curve(onset, end, until, window),
        _Curve(onset[known], end[known], until - window, window),
    )
    size = min(len(now.new), len(then.new))
    new, risk = now.new[:size] + then.new[:size], now.risk[:size] + then.risk[:size]
    use = (now.risk[:size] > 0) & (then.risk[:size] > 0) & (risk > 1)
    new, risk, part = new[use], risk[use], now.risk[:size][use] / risk[use]
    excess = (now.new[:size][use] - new * part).sum()
    variance = (new * part * (1 - part) * (risk - new) / (risk - 1)).sum()
    if not variance > 0:
        return np.nan, then.median()
    usual = _squares(errors).median() if len(errors) else 1.0  # the change itself raises the mean
    return float(
        2 * stats.norm.sf(abs(excess) / np.sqrt(max(usual, 1.0) * variance))
    ), then.median()
