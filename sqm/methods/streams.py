"""Which of many streams stand out now?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from sqm import look
from sqm.checks import (
    Problem,
    Refusal,
    first_rows,
    need_columns,
    need_numbers,
    need_rows,
    need_share,
    need_whole,
)
from sqm.clock import Calendar, local, read_day, week_of, whole_weeks
from sqm.finding import Finding, counted, listed
from sqm.interval import spell_p
from sqm.money import amount, limits, need_currency
from sqm.usual_level import FEWEST, OUTBREAK, Usual, open_days, usual_level
from sqm.usual_level import limits as usual_limits

SOURCE = "The table of counts"
JOINED = " · "  # between the parts of a stream's name
BLANK = "(not given)"
SILENT = 1e-4  # chance of a silence so long, below which a stream has begun or ended
RECORDS = 10  # that a stream needs before it can be said to have begun or ended
QUIET_WEEKS = 8  # of a silence in the midst of a stream that may be its end and return
SWITCH = 3.0  # times by which a stream jumps where the list of categories changed
AROUND = 26  # weeks compared on either side of such a change
FEWEST_STREAMS = 3  # beside each other, for a swing to be called common to all
PRIOR = 40.0  # weeks that the dispersion shared by all streams counts in that of each
DRIFT_WEEKS = 4  # apart, within which a level that wanders is looked for
PRIOR_RECORDS = 20.0  # records that the mean cost of all streams counts in that of each
NOTICED = 0.05  # chance of a week below which it belongs to a stream's present run
LOOKED_BACK = 26  # weeks for which chances are worked out again, with what was known then
SIMULATED = 20_000  # series, about, in the check of the false alarms
DRAWS = 2_000
SHOWN = 20  # streams in the picture


@dataclass(frozen=True)
class _Way:
    """How a week is judged."""

    base_weeks: int = 52
    weeks: int = 4
    memory: float = 0.5
    half_life: float = 26.0
    false_discovery: float = 0.1
    confidence: float = 0.95


@dataclass(frozen=True)
class _Grid:
    """Counts by stream and week, the largest stream first."""

    names: tuple[str, ...]
    days: pd.DatetimeIndex
    counts: np.ndarray
    opened: np.ndarray
    costed: np.ndarray
    loss: np.ndarray
    immature: int


@dataclass(frozen=True)
class Now:
    """What the latest week says of each stream, known only from the weeks before it.

    Attributes
    ----------
    chance : ndarray, shape (..., streams)
        Of so many records or more in the latest weeks, the newest counting most, if steady.
    expected : ndarray, shape (..., streams, weeks)
        Usual number of records in each week.
    extra : ndarray, shape (..., streams)
        A week of mean m has variance m + extra m^2.
    error : ndarray, shape (..., streams)
        Variance of the logarithm of the usual level.
    common, shared : ndarray, shape (...)
        How much of the swings of all together is taken out of each, 0 to 1; the extra variance
        that the streams share.
    total, total_expected : ndarray, shape (..., weeks)
        All records, and how many are usual.
    total_extra, total_error, total_chance : ndarray, shape (...)
        As above, of all together.
    """

    chance: np.ndarray
    expected: np.ndarray
    extra: np.ndarray
    error: np.ndarray
    common: np.ndarray
    shared: np.ndarray
    total: np.ndarray
    total_expected: np.ndarray
    total_extra: np.ndarray
    total_error: np.ndarray
    total_chance: np.ndarray


@dataclass(frozen=True, eq=False)
class Streams(Finding):
    """Which streams have more records than usual now, by what they are expected to cost.

    Attributes
    ----------
    table : DataFrame, one row per stream, those that stand out first, the dearest on top
        ``stream``; ``observed``, records in the latest weeks; ``expected``, ``low``, ``high``, what
        is usual in them, with the limits between which it would lie; ``ratio``; ``excess``,
        ``excess_low``, ``excess_high``, records beyond the usual; ``expected_loss``, ``loss_low``,
        ``loss_high``, the excess times the mean cost (or weight) of a record; ``chance`` of so many
        or more if the stream is steady; ``q``, the false-discovery rate at which it would just be
        listed; ``stands_out``; ``since``, first week of the unbroken run of unusual ones; ``note``,
        why it was not judged, or from when it is.
    week : str
        First day of the latest week judged.
    weeks : int
        Weeks that count as now.
    judged, standing_out, not_judged : int
        Streams.
    new, ended : tuple of str
        Streams that began or ended so lately that nothing is usual.
    breaks : tuple of str
        Weeks in which some streams ended as others began: the list changed.
    false_discovery : float
        Share of the streams listed that may be there by chance.
    list_false_alarm : float
        How often a week's list names any stream where all are steady, by simulation.
    chance_05_found : float
        Share of steady stream-weeks with a chance of 0.05 or less, by simulation.
    chance_05_past : float
        The same share in the real weeks before the latest.
    simulated : int
        Steady weeks simulated.
    total_observed, total_expected, total_low, total_high, total_chance : float
        All streams together in the latest weeks, against their own usual level.
    common : float
        Share of the swings of all together that is common to the streams and taken out of each.
    extra : float
        Spread shared by the streams: a steady week of mean m has variance m + extra m^2.
    base_weeks : int
    left_out : int
        Records without a time.
    immature : int
        Weeks left out because their records have not all arrived.
    loss : str
        What a record costs: a column, or blank.
    currency : str
    confidence : float
    """

    week: str
    weeks: int
    judged: int
    standing_out: int
    not_judged: int
    new: tuple[str, ...]
    ended: tuple[str, ...]
    breaks: tuple[str, ...]
    false_discovery: float
    list_false_alarm: float
    chance_05_found: float
    chance_05_past: float
    simulated: int
    total_observed: float
    total_expected: float
    total_low: float
    total_high: float
    total_chance: float
    common: float
    extra: float
    base_weeks: int
    left_out: int
    immature: int
    loss: str
    currency: str
    confidence: float

    def sentence(self) -> str:
        return "\n".join([self._answer(), " ".join([*self._others(), *self._rests_on()])])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["expected"] > 0].head(SHOWN)
        drawn = pd.DataFrame(
            {
                "estimate": rows["ratio"],
                "low": rows["low"] / rows["expected"],
                "high": rows["high"] / rows["expected"],
            }
        )
        meaning = np.where(rows["stands_out"], "worse", "usual")
        look.dots(ax, drawn, names=rows["stream"].tolist(), meaning=meaning)
        ax.axvline(1, color=look.MEANING["limit"], lw=1, zorder=0)
        return look.label(
            ax,
            title="Which streams stand out now?",
            x=f"records in {counted(self.weeks, 'week')}, as a multiple of the usual number"
            " (line: where a steady stream lies; triangle: stands out)",
        )

    def _answer(self) -> str:
        head = f"Of {counted(self.judged, 'stream')}, {self.standing_out or 'none'} "
        head += f"stand{'s' * (self.standing_out < 2)} out in the week of {self.week}"
        if not self.standing_out:
            return f"{head}{self._of_all()}."
        first = self.table.iloc[0]
        return (
            f"{head}: {look.shorten(first['stream'], width=40)} with {self._excess(first)}"
            f"{self._more()}{self._of_all()}."
        )

    def _excess(self, row: pd.Series) -> str:
        return (
            f"{row['excess']:,.0f} more than usual in {counted(self.weeks, 'week')} "
            f"({self.confidence * 100:.4g}% interval {row['excess_low']:,.0f} to "
            f"{row['excess_high']:,.0f})"
        )

    def _more(self) -> str:
        more = self.standing_out - 1
        return f", and {more} more" if more else ""

    def _of_all(self) -> str:
        if NOTICED < self.total_chance < 1 - NOTICED:
            return "; all together are as usual"
        change = self.total_observed / self.total_expected - 1
        return f"; all together are {abs(change):.0%} {'above' if change > 0 else 'below'} usual"

    def _others(self) -> list[str]:
        words = []
        out = self.table[self.table["stands_out"]]
        told = [
            f"{look.shorten(row.stream)} {row.observed:,.0f} where {row.expected:,.1f} are usual"
            f"{self._cost(row)}, since {row.since} ({spell_p(row.chance)})"
            for row in out.itertuples()
        ]
        if told:
            words.append(
                f"In the latest {counted(self.weeks, 'week')}: {listed(told, most=5, apart='; ')}."
            )
        words.append(
            f"All together: {self.total_observed:,.0f} where {self.total_low:,.0f} to "
            f"{self.total_high:,.0f} are usual ({spell_p(self.total_chance)}); a rise in all is "
            "one alarm, and each stream is judged beside the others."
        )
        for kind, said in [(self.new, "New, so nothing is usual yet"), (self.ended, "Ended")]:
            if kind:
                names = [look.shorten(name) for name in kind]
                words.append(f"{said}: {listed(names, most=4, apart='; ')}.")
        if self.breaks:
            words.append(
                f"Some streams ended as others began on {listed(self.breaks, most=4)}: the list "
                "seems to have changed, so those that jumped then are judged from then on."
            )
        return words

    def _cost(self, row) -> str:
        if not self.loss:
            return ""
        if self.currency:
            value = amount(row.expected_loss, currency=self.currency)
        else:
            value = f"{row.expected_loss:,.0f} {self.loss}"
        return f" (about {value})"

    def _rests_on(self) -> list[str]:
        words = [
            f"Of the streams listed, {self.false_discovery:.0%} may be there by chance "
            "(Benjamini-Hochberg). Where all are steady, a week's list named any in "
            f"{self.list_false_alarm:.1%} of {self.simulated:,} simulated weeks. A chance of 0.05 "
            f"or less came in {self.chance_05_found:.1%} of simulated stream-weeks and "
            f"{self.chance_05_past:.1%} of the real ones before, true changes included.",
            f"Usual is what {counted(self.base_weeks, 'week')} before the latest "
            f"{self.weeks} say, the newest most. A stream that is listed looks somewhat higher "
            "than it is.",
        ]
        if self.not_judged:
            words.append(f"{counted(self.not_judged, 'stream')} could not be judged (see notes).")
        if self.left_out:
            words.append(f"{counted(self.left_out, 'record')} without a time left out.")
        if self.immature:
            words.append(f"The last {counted(self.immature, 'week')} left out as immature.")
        return words


def stream_counts(
    records: pd.DataFrame,
    *,
    by: Sequence[str],
    time: str,
    calendar: Calendar | None = None,
    moved: Mapping[str, str] | None = None,
    loss: str = "",
    mature_until: str = "",
) -> pd.DataFrame:
    """Count records by stream and week.

    Parameters
    ----------
    records : DataFrame, one row a record
    by : sequence of str
        Columns whose combinations are the streams, such as site, channel and reason.
    time : str
        Column with the day or time of each record.
    calendar : Calendar, optional
        On which day a week starts; weeks at the ends that the data cover in part are dropped.
    moved : mapping of str, optional
        Old names of categories and what they are called now, so that a change of the list is no
        outbreak.
    loss : str, optional
        Column with what each record costs, or how much it weighs.
    mature_until : str, optional
        Day from which records have not all arrived.

    Returns
    -------
    DataFrame
        ``stream``, ``period`` (first day of the week), ``value`` (records), ``mature``; with a
        loss ``costed``, records whose cost is known, and ``loss``, their sum.  How many records
        had no time stands in ``attrs["left_out"]``.

    Raises
    ------
    Problem
        If the time is no time, or the cost no number.
    Refusal
        If a column is missing, or no whole week is covered.

    Examples
    --------
    >>> records = pd.DataFrame({"opened": pd.to_datetime(["2025-09-29", "2025-10-05",
    ...     "2025-10-12"]), "reason": ["bill", "fee", "bill"]})
    >>> stream_counts(records, by=["reason"], time="opened", moved={"fee": "bill"})[
    ...     ["stream", "value"]].to_dict("list")
    {'stream': ['bill', 'bill'], 'value': [2.0, 1.0]}
    """
    calendar = Calendar() if calendar is None else calendar
    need_columns(records, [*by, time, *([loss] if loss else [])], source="The table of records")
    _need_times(records, time, loss, by)
    _need_renamed(moved or {})
    called = {str(name): str(now) for name, now in (moved or {}).items()}
    known = records[records[time].notna()]
    need_rows(known, 1, source="The table of records", why="a count")
    whole = whole_weeks(known[time], calendar=calendar)
    long = pd.DataFrame({"period": week_of(known[time], calendar=calendar).to_numpy()})
    for column in by:
        codes, names = pd.factorize(known[column].astype("str").fillna(BLANK), sort=True)
        long[column] = np.array(_now_called(names, called), dtype=object)[codes]
        long[column] = long[column].astype("category")
    if loss:
        cost = known[loss].to_numpy(dtype=float, na_value=np.nan)
        long["costed"], long["loss"] = np.isfinite(cost).astype(float), np.nan_to_num(cost)
    grouped = long.groupby([*by, "period"], observed=True, sort=True)
    table = grouped[["costed", "loss"]].sum() if loss else pd.DataFrame(index=grouped.size().index)
    table.insert(0, "value", grouped.size().astype(float))
    table = table.reset_index()
    table = table[table["period"].isin(whole)]
    if table.empty:
        raise Refusal("The records cover no whole week.", "give records of more weeks.")
    parts = [table[column].astype("str") for column in by]
    table.insert(0, "stream", parts[0].str.cat(parts[1:], sep=JOINED) if parts[1:] else parts[0])
    until = read_day(mature_until) if mature_until else table["period"].max() + pd.Timedelta(days=7)
    table["mature"] = table["period"] + pd.Timedelta(days=7) <= until
    table = table.drop(columns=list(by)).reset_index(drop=True)
    table.attrs["left_out"] = len(records) - len(known)
    return table


def streams(
    counts: pd.DataFrame,
    *,
    rng: np.random.Generator,
    base_weeks: int = 52,
    weeks: int = 4,
    memory: float = 0.5,
    half_life: float = 26.0,
    false_discovery: float = 0.1,
    calendar: Calendar | None = None,
    loss: str = "",
    currency: str = "",
    confidence: float = 0.95,
) -> Streams:
    """List the streams that have more records than usual now, by what they are expected to cost.

    Parameters
    ----------
    counts : DataFrame, one row a stream and week
        ``stream``, ``period`` (datetime, first day of the week), ``value`` (records; weeks without
        a row have none); ``mature`` (bool, optional); ``costed`` and ``loss`` where a loss is
        named.  `stream_counts` makes it of records.
    rng : Generator
    base_weeks : int, default 52
        Weeks that the usual level rests on.
    weeks : int, default 4
        Latest weeks that count as now; the usual level does not rest on them.
    memory : float, default 0.5
        Weight of the newest week in the moving average, 0 to 1; each week before it has 1 - memory
        of the next.
    half_life : float, default 26.0
        Weeks after which a week of the base counts half.
    false_discovery : float, default 0.1
        Share of the listed streams that may be there by chance.
    calendar : Calendar, optional
        Days worked and holidays, by which weeks are made alike for all streams together.
    loss : str, optional
        Name of what a record costs or weighs, for sentences; records themselves count if blank.
    currency : str, optional
        Of that cost; a weight that is no money has none, and without ``loss`` none is used.
    confidence : float, default 0.95

    Returns
    -------
    Streams

    Raises
    ------
    Problem
        If a stream has a week twice, a count is no whole number of 0 or more, or weeks do not start
        on the same day.
    Refusal
        If there are fewer than 12 weeks before the latest ones, or no records at all.

    Notes
    -----
    The usual level of each stream is a quasi-likelihood mean over the base (`usual_level`: past
    outbreaks down-weighted) beside the records of all other streams in the same week, raised to
    the power C, the share of the variance of all together that is covariance of the streams: a
    swing common to all, such as a holiday, is taken out as far as there is one, and wholly where
    all together are unusual now (a chance of 0.05 or less).  The extra variance of each stream is
    drawn towards that of all (weighing 40 weeks).  The statistic is the moving average of the
    latest weeks with weights memory (1 - memory)^k; its chance comes from its first three cumulants
    under the negative binomial law (Pearson type III), with Student's tails for a dispersion that
    is estimated.  In it are the error of the level, and how far levels wander within weeks, from
    what residuals of neighbouring weeks covary in all streams together.

    Streams are listed by Benjamini and Hochberg [1]_; the false alarms are counted anew on steady
    series drawn from the fitted law.  The base with its gap and weights follows [2]_.

    The interval of an excess is the observed number less the limits between which the usual one
    would have been.  It covers more than it claims where few records are usual: it is
    conservative.

    A stream whose silence has a chance below 1 in 10,000 has begun after it, or ended before it.
    Where some then fall by half or more of what others rise, the list has changed, and streams
    that jump threefold there are judged from then on.

    References
    ----------
    .. [1] Benjamini, Y., Hochberg, Y. (1995). JRSS B 57, 289-300.
       doi:10.1111/j.2517-6161.1995.tb02031.x
    .. [2] Noufaily, A. et al. (2013). Statistics in Medicine 32, 1206-1222. doi:10.1002/sim.5595

    Examples
    --------
    Three streams of 10 a week, one of which has 30 in the last.

    >>> period = pd.date_range("2024-01-01", periods=60, freq="7D")
    >>> counts = pd.DataFrame({"stream": np.repeat(["a", "b", "c"], 60),
    ...     "period": np.tile(period, 3), "value": 10.0})
    >>> counts.loc[59, "value"] = 30.0
    >>> found = streams(counts, rng=np.random.default_rng(1))
    >>> first = found.table.loc[0]
    >>> found.standing_out, first["stream"], *map(float, first[["observed", "expected"]].round(2))
    (1, 'a', 60.0, 40.04)
    """
    way = _Way(base_weeks, weeks, memory, half_life, false_discovery, confidence)
    _need_settings(way, loss, currency)
    grid = _grid(counts, calendar, loss, way)
    course = _course(grid)
    past = _past(grid, course, way)
    which = np.isfinite(past[:, -1])
    now = latest(grid.counts[which], **_beside(grid, course, which), way=way)
    rows = _rows(grid, which, now, past, way)
    rows = rows.assign(**_losses(rows, grid, which, now, loss, way, rng))
    return Streams(
        table=_ordered(rows.assign(note=_notes(grid, course, which))),
        **_checked(grid, course, which, now, way, rng),
        **_overall(now, way),
        **_lists(grid, course, which, rows),
        chance_05_past=_share_noticed(past[:, :-1]),
        week=f"{grid.days[-1]:%Y-%m-%d}",
        weeks=weeks,
        false_discovery=false_discovery,
        common=float(now.common),
        extra=float(now.shared),
        base_weeks=min(base_weeks, len(grid.days) - weeks),
        left_out=int(counts.attrs.get("left_out", 0)),
        immature=grid.immature,
        loss=loss,
        currency=currency if loss else "",
        confidence=confidence,
    )


# --- One week ---------------------------------------------------------------------------------


def latest(
    counts: np.ndarray,
    *,
    days: Sequence,
    opened: np.ndarray,
    alive: np.ndarray,
    rest: np.ndarray,
    way: _Way,
) -> Now:
    """Judge the last week of each stream by the weeks before it.

    Parameters
    ----------
    counts : ndarray, shape (..., streams, weeks)
    days : sequence of datetime
    opened : ndarray, shape (weeks,)
        How far each week is open.
    alive : ndarray of bool, shape (streams, weeks)
        Weeks on which a stream's usual level may rest.
    rest : ndarray, shape (weeks,)
        Records outside these streams.

    Returns
    -------
    Now
    """
    days = pd.DatetimeIndex(days)
    ages = np.arange(len(days))[::-1]
    base = (ages >= way.weeks) & (ages < way.weeks + way.base_weeks)
    whole = {"periods": days, "data": "rate", "base": base, "season": 0, "weekdays": False}
    total = counts.sum(axis=-2) + rest
    of_all = usual_level(total, n=opened, half_life=way.half_life, **whole)
    all_expected, of_level = np.exp(of_all.coefficients) * opened, of_all.covariance[..., 0, 0]
    all_now = (total[..., -way.weeks :], all_expected[..., -way.weeks :])
    all_chance = _chance(*all_now, (of_all.extra, of_level, of_all.degrees), way)
    common = _common(counts[..., base], opened[base], rest[base])
    if counts.shape[-2] >= FEWEST_STREAMS:
        common = np.where(all_chance <= NOTICED, 1.0, common)  # a rise of all is one alarm
    others = np.maximum(total[..., None, :] - counts, 0.5) / np.maximum(opened, 1e-9)
    swing = opened * others ** np.asarray(common)[..., None, None]
    each = usual_level(counts, n=swing * alive, half_life=way.half_life, **whole)
    shared, extra, error = _shrunk(each, (swing * alive)[..., base])
    expected = np.exp(each.coefficients[..., :1]) * swing
    drift = _drift(counts[..., base], (expected * alive)[..., base], extra)
    error = error + drift[..., None]
    expected = expected * (1 + error[..., None] / 2)
    now = counts[..., -way.weeks :]
    return Now(
        _chance(now, expected[..., -way.weeks :], (extra, error, PRIOR + each.degrees), way),
        expected,
        extra,
        error,
        np.asarray(common),
        shared,
        total,
        all_expected,
        of_all.extra,
        of_level,
        all_chance,
    )


def _common(counts: np.ndarray, opened: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Share of the variance of all together that its streams have in common, 0 to 1.

    What the variance of a sum has beyond the sum of variances is covariance; one swing common to
    all brings M^2 - sum m^2 of it, with means m that add up to M.
    """
    if counts.shape[-2] < FEWEST_STREAMS:
        return np.zeros(counts.shape[:-2])
    beside = np.broadcast_to(rest, (*counts.shape[:-2], 1, counts.shape[-1]))
    parts = np.concatenate([counts, beside], axis=-2)
    mean = parts.sum(axis=-1, keepdims=True) / opened.sum()
    off = parts - mean * opened
    square = (off.sum(axis=-2) ** 2).sum(axis=-1)
    shared = square - (off**2).sum(axis=(-2, -1))
    whole = mean[..., 0].sum(axis=-1) ** 2
    possible = np.maximum(1 - (mean[..., 0] ** 2).sum(axis=-1) / whole, 1e-9)
    return np.clip(shared / np.maximum(square, 1e-300) / possible, 0, 1)


def _shrunk(each: Usual, swing: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extra variance shared by the streams, that of each, and the error of each level."""
    used = np.maximum((swing > 0).sum(axis=-1), 1)
    mean = np.exp(each.coefficients[..., 0]) * swing.sum(axis=-1) / used
    over = ((each.dispersion - 1) * mean * each.degrees).sum(axis=-1)
    shared = np.maximum(over / (mean**2 * each.degrees).sum(axis=-1), 0.0)
    prior = 1 + shared[..., None] * mean
    drawn = (PRIOR * prior + each.degrees * each.dispersion) / (PRIOR + each.degrees)
    drawn = np.maximum(drawn, 1.0)
    error = each.covariance[..., 0, 0] * drawn / (1 + each.extra * mean)
    return shared, (drawn - 1) / mean, error


def _drift(counts: np.ndarray, mean: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Variance of the logarithm of a level within weeks of each other, shared by the streams.

    Steady counts of different weeks do not covary; what they covary is a level that wanders.
    Weeks far off (2.58 standard deviations) count as if they were at that distance.
    """
    sd = np.sqrt(mean * (1 + extra[..., None] * mean))
    off = np.clip(np.where(mean > 0, counts - mean, 0.0), -OUTBREAK * sd, OUTBREAK * sd)
    both, size = 0.0, 0.0
    for lag in range(1, DRIFT_WEEKS + 1):
        both = both + (off[..., lag:] * off[..., :-lag]).sum(axis=(-2, -1))
        size = size + (mean[..., lag:] * mean[..., :-lag]).sum(axis=(-2, -1))
    return np.maximum(both / np.maximum(size, 1e-300), 0.0)


def _chance(
    value: np.ndarray,
    mean: np.ndarray,
    spread: tuple[np.ndarray, np.ndarray, np.ndarray],
    way: _Way,
) -> np.ndarray:
    """Chance of a moving average as high as this one, by its first three cumulants."""
    extra, error, degrees = spread
    weight = way.memory * (1 - way.memory) ** np.arange(way.weeks)[::-1]
    average, usual = (value * weight).sum(axis=-1), (mean * weight).sum(axis=-1)
    more = extra[..., None] * mean
    within = (weight**2 * mean * (1 + more)).sum(axis=-1)
    third = (weight**3 * mean * (1 + more) * (1 + 2 * more)).sum(axis=-1)
    third = third + 3 * usual * error * within + 2 * usual**3 * error**2
    variance = within + usual**2 * error
    z, shape = (average - usual) / np.sqrt(variance), 4 * variance**3 / third**2
    chance = special.gammaincc(shape, np.maximum(shape + z * np.sqrt(shape), 0.0))
    heavy = stats.t.sf(-special.ndtri(np.clip(chance, 1e-300, 0.5)), degrees)
    return np.where((extra > 0) & (chance < 0.5), heavy, chance)


def alerts_of(found: Streams, *, owner: str = "", reaction: str = "") -> pd.DataFrame:
    """What the watch hears of the streams: a row for each that stands out, or one quiet row.

    Returns
    -------
    DataFrame
        ``source``, ``series``, ``state``, ``since``, ``rule``, ``rate`` (records in the latest
        weeks), ``centre``, ``low``, ``high``, ``false_alarm``, ``owner``, ``reaction``,
        ``expected_loss`` (NaN unless it is money), ``note``.

    Notes
    -----
    The chance that a list names any stream while all are steady is one number for the list; it is
    divided evenly over its rows, so that their sum is right.
    """
    listed = found.table[found.table["stands_out"].astype(bool)]
    chance = found.list_false_alarm / max(len(listed), 1)
    about = {"source": "streams", "owner": owner, "reaction": reaction, "false_alarm": chance}
    if listed.empty:
        words = f"none of {found.judged:,} streams"
        return pd.DataFrame([{**about, "series": words, "state": "quiet", "since": "", "rule": ""}])
    rows = listed.rename(columns={"stream": "series", "observed": "rate", "expected": "centre"})
    kept = ["series", "since", "rate", "centre", "low", "high", "expected_loss", "note"]
    rows = rows[kept].assign(**about, state="worse", rule="more records than usual")
    return rows if found.currency else rows.assign(expected_loss=np.nan)


def listed_at(chance: np.ndarray) -> np.ndarray:
    """False-discovery rate at which each would just be listed, along the last axis.

    Notes
    -----
    min over j >= i of m p_(j) / j.  Benjamini, Y., Hochberg, Y. (1995). JRSS B 57, 289-300.

    Examples
    --------
    >>> listed_at(np.array([0.5, 0.01, 0.04])).round(3).tolist()
    [0.5, 0.03, 0.06]
    """
    size = chance.shape[-1]
    order = np.argsort(chance, axis=-1, kind="stable")
    ranked = np.take_along_axis(chance, order, axis=-1) * size / np.arange(1, size + 1)
    least = np.minimum.accumulate(ranked[..., ::-1], axis=-1)[..., ::-1]
    found = np.empty_like(least)
    np.put_along_axis(found, order, np.minimum(least, 1.0), axis=-1)
    return found


def _past(grid: _Grid, course: _Course, way: _Way) -> np.ndarray:
    """Chances of the latest weeks, each by what was known then; NaN where nothing was usual."""
    weeks = min(LOOKED_BACK, len(grid.days) - way.weeks - FEWEST) + 1
    found = np.full((len(grid.names), weeks), np.nan)
    for back in range(weeks):
        upto = len(grid.days) - back
        seen = course.alive[:, max(upto - way.weeks - way.base_weeks, 0) : upto - way.weeks]
        still = course.gone >= upto - way.weeks
        which = (seen.sum(axis=1) >= FEWEST) & (still | (course.gone < 0))
        if which.any():
            beside = _beside(grid, course, which, upto=upto)
            found[which, weeks - 1 - back] = latest(
                grid.counts[which, :upto], **beside, way=way
            ).chance
    if not np.isfinite(found[:, -1]).any():
        raise Refusal(
            f"None of {counted(len(grid.names), 'stream')} has {FEWEST} weeks before the latest "
            f"{way.weeks} to rest a usual level on.",
            "give a longer series.",
        )
    return found


def _beside(grid: _Grid, course: _Course, which: np.ndarray, *, upto: int | None = None) -> dict:
    """What `latest` needs beside the counts."""
    return {
        "days": grid.days[:upto],
        "opened": grid.opened[:upto],
        "alive": course.alive[which, :upto],
        "rest": grid.counts[~which, :upto].sum(axis=0),
    }


def _share_noticed(chances: np.ndarray) -> float:
    known = chances[np.isfinite(chances)]
    return float((known <= NOTICED).mean()) if len(known) else np.nan


def _checked(
    grid: _Grid,
    course: _Course,
    which: np.ndarray,
    now: Now,
    way: _Way,
    rng: np.random.Generator,
) -> dict:
    """False alarms on steady streams drawn from the fitted law, everything fitted again."""
    upto = way.weeks + way.base_weeks
    beside = _beside(grid, course, which)
    beside = {name: each[..., -upto:] for name, each in beside.items()}
    mean, extra = now.expected[:, -upto:], np.maximum(now.extra, 1e-9)[:, None]
    runs = int(np.clip(SIMULATED // which.sum(), 100, 1000))
    at_once, chances = max(1, 4000 // int(which.sum())), []
    for start in range(0, runs, at_once):
        size = (min(at_once, runs - start), *mean.shape)
        drawn = rng.poisson(mean * rng.gamma(1 / extra, extra, size)).astype(float)
        drawn[..., 0] += drawn.sum(axis=(-2, -1))[..., None] == 0  # one record, for a level
        chances.append(latest(drawn, **beside, way=way).chance)
    chance = np.concatenate(chances)
    return {
        "list_false_alarm": float((listed_at(chance) <= way.false_discovery).any(axis=-1).mean()),
        "chance_05_found": float((chance <= NOTICED).mean()),
        "simulated": runs,
    }


# --- The answer -----------------------------------------------------------------------------------


def _rows(grid: _Grid, which: np.ndarray, now: Now, past: np.ndarray, way: _Way) -> pd.DataFrame:
    rows = pd.DataFrame({"stream": list(grid.names)})
    rows["observed"] = grid.counts[:, -way.weeks :].sum(axis=1)
    mean = now.expected[:, -way.weeks :]
    expected, low, high = _usual_sum(mean, now.extra, now.error, way)
    seen = grid.counts[which, -way.weeks :].sum(axis=1)
    found = {"expected": expected, "low": low, "high": high, "ratio": seen / expected}
    found |= {"excess": seen - expected, "excess_low": seen - high, "excess_high": seen - low}
    found |= {"chance": now.chance, "q": listed_at(now.chance)}
    for name, values in found.items():
        rows[name] = np.nan
        rows.loc[which, name] = values
    rows["stands_out"] = (rows["q"] <= way.false_discovery).to_numpy(dtype=bool)
    rows["since"] = [
        _since(chances, grid.days) if out else ""
        for chances, out in zip(past, rows["stands_out"], strict=True)
    ]
    return rows


def _usual_sum(
    mean: np.ndarray, extra: np.ndarray, error: np.ndarray, way: _Way
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Usual number of records in the latest weeks together, with its limits."""
    expected = mean.sum(axis=-1)
    variance = (mean * (1 + np.asarray(extra)[..., None] * mean)).sum(axis=-1)
    sigmas = special.ndtri((1 + way.confidence) / 2)
    low, high = usual_limits(expected, variance + expected**2 * error, sigmas=sigmas)
    return expected, low, high


def _since(chances: np.ndarray, days: pd.DatetimeIndex) -> str:
    """First week of the unbroken run of unusual ones that reaches the latest."""
    run = int(np.logical_and.accumulate((chances <= NOTICED)[::-1]).sum())
    return f"{days[-max(run, 1)]:%Y-%m-%d}"


def _losses(
    rows: pd.DataFrame,
    grid: _Grid,
    which: np.ndarray,
    now: Now,
    loss: str,
    way: _Way,
    rng: np.random.Generator,
) -> dict:
    """Excess times the mean cost of a record; of streams with few, drawn towards that of all."""
    names = ("expected_loss", "loss_low", "loss_high")
    if not loss:
        blank = {"expected_loss": rows["excess"], "loss_low": rows["excess_low"]}
        return blank | {"loss_high": rows["excess_high"]}
    cost, error = _costs(grid)
    mean = now.expected[:, -way.weeks :]
    expected = mean.sum(axis=1)
    variance = (mean * (1 + now.extra[:, None] * mean)).sum(axis=1) + expected**2 * now.error
    size = np.maximum(expected**2 / np.maximum(variance - expected, 1e-9), 1e-6)
    seen = rows["observed"].to_numpy()[which]
    found = np.full((3, len(rows)), np.nan)
    for at, place in enumerate(np.flatnonzero(which)):
        usual = rng.poisson(rng.gamma(size[at], expected[at] / size[at], DRAWS))
        each = rng.normal(cost[place], error[place], DRAWS)
        found[0, place] = (seen[at] - expected[at]) * cost[place]
        found[1:, place] = limits((seen[at] - usual) * each, confidence=way.confidence)
    return dict(zip(names, found, strict=True))


def _costs(grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
    """Mean cost of a record of each stream, and its standard error from week to week."""
    records, cost = grid.costed, grid.loss
    overall = cost.sum() / max(records.sum(), 1)
    known = records.sum(axis=1) + PRIOR_RECORDS
    mean = (cost.sum(axis=1) + PRIOR_RECORDS * overall) / known
    off = ((cost - mean[:, None] * records) ** 2).sum(axis=1)
    shared = (off.sum() / max(records.sum(), 1)) * PRIOR_RECORDS
    return mean, np.sqrt(off + shared) / known


def _notes(grid: _Grid, course: _Course, which: np.ndarray) -> list[str]:
    notes = []
    for at in range(len(grid.names)):
        begun, gone = course.begun[at], course.gone[at]
        if gone >= 0:
            notes.append(f"ended; last record in the week of {grid.days[gone - 1]:%Y-%m-%d}")
        elif not which[at]:
            notes.append(f"began in the week of {grid.days[begun]:%Y-%m-%d}: nothing is usual yet")
        elif begun in course.breaks:
            notes.append(f"judged from the change of the list on {grid.days[begun]:%Y-%m-%d}")
        else:
            notes.append(f"since {grid.days[begun]:%Y-%m-%d}" if begun else "")
    return notes


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["stream", "observed", "expected", "low", "high", "ratio", "excess", "excess_low"]
    columns += ["excess_high", "expected_loss", "loss_low", "loss_high", "chance", "q"]
    rows = rows.sort_values(
        ["stands_out", "expected_loss", "stream"], ascending=[False, False, True], kind="stable"
    )
    return rows[[*columns, "stands_out", "since", "note"]].reset_index(drop=True)


def _overall(now: Now, way: _Way) -> dict:
    mean = now.total_expected[..., -way.weeks :]
    expected, low, high = _usual_sum(mean, now.total_extra, now.total_error, way)
    found = (now.total[-way.weeks :].sum(), expected, low, high, now.total_chance)
    names = ("observed", "expected", "low", "high", "chance")
    return {f"total_{name}": float(each) for name, each in zip(names, found, strict=True)}


def _lists(grid: _Grid, course: _Course, which: np.ndarray, rows: pd.DataFrame) -> dict:
    new = ~which & (course.gone < 0)
    lately = course.gone >= len(grid.days) - LOOKED_BACK
    return {
        "judged": int(which.sum()),
        "standing_out": int(rows["stands_out"].sum()),
        "not_judged": int((~which).sum()),
        "new": tuple(name for name, yes in zip(grid.names, new, strict=True) if yes),
        "ended": tuple(name for name, yes in zip(grid.names, lately, strict=True) if yes),
        "breaks": tuple(f"{grid.days[at]:%Y-%m-%d}" for at in course.breaks),
    }


# --- Streams that come and go ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Course:
    """From which week each stream may be judged, at which it had ended (-1: it has not)."""

    alive: np.ndarray
    begun: np.ndarray
    gone: np.ndarray
    breaks: tuple[int, ...]


def _course(grid: _Grid) -> _Course:
    counts, weeks = grid.counts, np.arange(len(grid.days))
    begun = np.array([_begun(each) for each in counts])
    gone = np.array([_gone(each) for each in counts])
    candidates = {*begun[begun > 0].tolist(), *gone[gone > 0].tolist()}
    breaks: list[int] = []
    for at in sorted(candidates):
        jumped, changed = _changed(counts, at)
        if changed and not (breaks and at - breaks[-1] < 2):
            breaks.append(at)
            begun = np.where(jumped, np.maximum(at, begun), begun)
    alive = weeks >= begun[:, None]
    alive &= (gone < 0)[:, None] | (weeks < gone[:, None])
    return _Course(alive, begun, gone, tuple(breaks))


def _begun(counts: np.ndarray) -> int:
    """First week after the last silence that chance does not explain; 0 if there is none."""
    some = np.flatnonzero(counts)
    before = np.r_[-1, some[:-1]]  # last week with records before each silence
    for at, last in zip(some[::-1], before[::-1], strict=True):
        length = at - last - 1
        if length < QUIET_WEEKS:
            continue
        after, known = counts[at : at + AROUND], counts[at:].sum()
        rate = after.mean()
        if last >= 0:
            earlier = counts[max(last + 1 - AROUND, 0) : last + 1]
            rate, known = min(rate, earlier.mean()), max(known, earlier.sum())
        if known >= RECORDS and np.exp(-rate * length) < SILENT:
            return int(at)
    return 0


def _gone(counts: np.ndarray) -> int:
    """First week of the silence at the end, if chance does not explain it; else -1."""
    after = int(np.flatnonzero(counts)[-1]) + 1
    recent = counts[max(after - AROUND, 0) : after]
    silent = np.exp(-recent.mean() * (len(counts) - after)) < SILENT
    return after if silent and recent.sum() >= RECORDS else -1


def _changed(counts: np.ndarray, at: int) -> tuple[np.ndarray, bool]:
    """Streams that jump threefold in a week, and whether some fell by what others rose.

    Where one rises and none falls, it is no change of the list.
    """
    before, after = counts[:, max(at - AROUND, 0) : at], counts[:, at : at + AROUND]
    a, b = before.sum(axis=1) + 0.5, after.sum(axis=1) + 0.5
    a_week, b_week = a / max(before.shape[1], 1), b / max(after.shape[1], 1)
    change = np.log(b_week / a_week)
    usual = (a + b) * after.shape[1] / max(before.shape[1] + after.shape[1], 1)
    rest = before.shape[1] / max(before.shape[1] + after.shape[1], 1)
    surely = np.abs(b - usual) > 3 * np.sqrt(2 * usual * rest)  # twice as spread as Poisson's
    jumped = surely & (np.abs(change) > np.log(SWITCH))
    moved = (b_week - a_week)[jumped]
    up, down = moved[moved > 0].sum(), -moved[moved < 0].sum()
    return jumped, bool(min(up, down) > max(up, down) / 2)


# --- What the data must hold ----------------------------------------------------------------------


def _need_settings(way: _Way, loss: str, currency: str) -> None:
    need_whole(way.base_weeks, name="base_weeks", least=FEWEST)
    need_whole(way.weeks, name="weeks", least=1)
    for name in ("memory", "false_discovery", "confidence"):
        need_share(getattr(way, name), name=name)
    if not way.half_life > 0:
        raise Problem(f"half_life is {way.half_life}.", "give weeks, more than 0.")
    if currency and loss:
        need_currency(currency)


def _grid(counts: pd.DataFrame, calendar: Calendar | None, loss: str, way: _Way) -> _Grid:
    """The long table as one row a stream, weeks without a row filled with 0."""
    need = ["stream", "period", "value", *(["costed", "loss"] if loss else [])]
    need_columns(counts, need, source=SOURCE)
    if not pd.api.types.is_datetime64_any_dtype(counts["period"]):
        raise Problem("'period' of the counts is not a date.", "give the first day of each week.")
    _need_sound(counts)
    table = counts.assign(stream=counts["stream"].astype("str"), period=local(counts["period"]))
    late = ~table["mature"].astype(bool) if "mature" in table else pd.Series(False, table.index)
    ripe = table[~late]
    if not (ripe["value"] > 0).any():
        raise Refusal(f"{SOURCE} has no record in a mature week.", "give weeks with records.")
    days = pd.date_range(ripe["period"].min(), ripe["period"].max(), freq="7D")
    off = ~ripe["period"].isin(days)
    if off.any():
        raise Problem(
            f"{SOURCE} has weeks that begin on different days (first: "
            f"{ripe.loc[off, 'period'].iloc[0]:%Y-%m-%d}).",
            "give the first day of each week, on the same weekday throughout.",
        )
    if len(days) < way.weeks + FEWEST:
        raise Refusal(
            f"{SOURCE} has {counted(len(days), 'week')}; a usual level needs {FEWEST} before the "
            f"latest {way.weeks}.",
            "give a longer series.",
        )
    return _filled(ripe, days, calendar, loss, table.loc[late, "period"].nunique())


def _filled(
    ripe: pd.DataFrame, days: pd.DatetimeIndex, calendar: Calendar | None, loss: str, late: int
) -> _Grid:
    size = ripe.groupby("stream")["value"].sum()
    names = size[size > 0].sort_index().sort_values(ascending=False, kind="stable").index
    row, column = names.get_indexer(ripe["stream"]), days.get_indexer(ripe["period"])

    def spread(name: str) -> np.ndarray:
        found = np.zeros((len(names), len(days)))
        np.add.at(found, (row[row >= 0], column[row >= 0]), ripe[name].to_numpy(float)[row >= 0])
        return found

    opened = np.ones(len(days)) if calendar is None else open_days(days, calendar=calendar)
    costs = (spread("costed"), spread("loss")) if loss else (np.zeros(0), np.zeros(0))
    return _Grid(tuple(names), days, spread("value"), np.maximum(opened, 0.5), *costs, int(late))


def _need_sound(counts: pd.DataFrame) -> None:
    value = pd.to_numeric(counts["value"], errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(value) | (value < 0) | (value != np.floor(value))
    if wrong.any():
        raise Problem(
            f"{SOURCE} has {int(wrong.sum())} values that are no whole number of 0 or more (first "
            f"rows: {first_rows(counts[wrong])}).",
            "count records; leave out a week without any, or give 0.",
        )
    blank = counts["period"].isna() | counts["stream"].isna()
    if blank.any():
        raise Problem(
            f"{SOURCE} has rows without a stream or a week (first rows: "
            f"{first_rows(counts[blank])}).",
            "name both.",
        )
    twice = counts[counts.duplicated(["stream", "period"])]
    if len(twice):
        row = twice.iloc[0]
        raise Problem(
            f"The stream {row['stream']!r} has the week of {row['period']:%Y-%m-%d} twice.",
            "give one row a stream and week.",
        )


def _need_times(records: pd.DataFrame, time: str, loss: str, by: Sequence[str]) -> None:
    if not by:
        raise Problem("No column is named that parts the streams.", "name one or more under `by`.")
    if not pd.api.types.is_datetime64_any_dtype(records[time]):
        raise Problem(f"{time!r} does not hold times.", "name the column of days or times.")
    if len(set(by)) < len(by):
        raise Problem(f"Streams are parted by {', '.join(by)}.", "name each column once.")
    if loss:
        need_numbers(records, [loss], source="The table of records")


def _need_renamed(moved: Mapping[str, str]) -> None:
    wrong = [name for name, now in moved.items() if not isinstance(now, str | int | float)]
    if wrong:
        raise Problem(
            f"The name {wrong[0]!r} is said to be {moved[wrong[0]]!r} now.",
            "write `old name: new name`, each as text.",
        )


def _now_called(names: pd.Index, moved: Mapping[str, str]) -> list[str]:
    """Each name as it is called now, through every change of the list."""
    found = []
    for name in names:
        seen = {name}
        while name in moved and moved[name] not in seen:
            name = moved[name]
            seen.add(name)
        found.append(name)
    return found
