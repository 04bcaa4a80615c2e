"""How many agents does each half-hour need?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from sqm import look
from sqm.checks import Problem, Refusal, need_share
from sqm.clock import DAYS, Calendar, span_words
from sqm.finding import Finding, counted
from sqm.interval import spell, wilson
from sqm.queue_engine import HOUR_S, simulate, spells
from sqm.queue_formulas import offered_load
from sqm.service_model import Service
from sqm.service_system import ServiceSystem
from sqm.three_point import three_points

STEP = 0.02  # ratio between one demand that is staffed for and the next that is tried
LARGE = 50  # agents beyond which they are taken away in steps of 2 % of the peak
SEARCHED = 4_000_000  # simulated contacts that one step of the search may cost
MOST_A_WEEK = 300_000  # contacts; more would fill the memory
DAY_S = 86_400.0
FEWEST_SIMULATED = 20  # days of a weekday
WAITS = 800  # points at which the distribution of the wait is added up
QUANTILES, LOOKS = 200, 5  # of service times, and how often in an interval the load is looked at


@dataclass(frozen=True, eq=False)
class StaffingPlan(Finding):
    """Agents that each interval of the week needs, and how surely they keep the service level.

    Attributes
    ----------
    table : DataFrame, one row per site, weekday and interval
        ``site``, ``weekday``, ``interval`` (its beginning); ``contacts`` expected in it;
        ``offered_load``, mean agents that the work would keep busy, lagging behind the arrivals;
        ``agents`` needed; ``agents_by_formula``, Erlang A for the average day; ``agents_today``
        (NaN: unknown); ``agents_least, agents_most`` over the assumed range (NaN: nothing
        assumed); ``estimate, low, high``, share of the interval's contacts answered in time in
        the long run; ``interval_met``, share of days on which the interval alone reached the
        level; ``day_met``, share of days on which the whole day did; ``note``.
    agent_hours, agent_hours_by_formula, agent_hours_today : float
        A week; today NaN if unknown.
    met, met_low, met_high : float
        Share of simulated days, not those searched on, on which the plan keeps the level.
    met_by_formula, met_by_formula_low, met_by_formula_high : float
        The same for Erlang A staffed for the average day.
    met_today, met_today_low, met_today_high : float
        The same for the agents there are; NaN if unknown.
    agent_hours_least, agent_hours_most : float
        Agent-hours a week over the assumed range; NaN if nothing is assumed.
    if_assumed_otherwise : tuple of str
        What becomes of the plan at each end of what is assumed, in words.
    assumed : tuple of str
        What is assumed and not learnt.
    weakest : str
        Site and weekday on which the level is kept least often.
    weakest_met : float
    answered_within_s, level, probability : float
        What is asked: this share of a day's contacts answered within so many seconds, on this
        share of days.
    demanded : float
        Share of the days of the search that had to be kept: more than promised, for chance.
    interval_min, step : int
        Minutes of an interval; agents by which the search goes down.
    days, days_searched : int
        Simulated days of each weekday that judge the plan, and on which it was sought.
    source : str
        What it was learnt from.
    confidence : float
    """

    agent_hours: float
    agent_hours_by_formula: float
    agent_hours_today: float
    met: float
    met_low: float
    met_high: float
    met_by_formula: float
    met_by_formula_low: float
    met_by_formula_high: float
    met_today: float
    met_today_low: float
    met_today_high: float
    agent_hours_least: float
    agent_hours_most: float
    if_assumed_otherwise: tuple[str, ...]
    assumed: tuple[str, ...]
    weakest: str
    weakest_met: float
    answered_within_s: float
    level: float
    probability: float
    demanded: float
    interval_min: int
    step: int
    days: int
    days_searched: int
    source: str
    confidence: float

    def sentence(self) -> str:
        held = self._share(self.met, self.met_low, self.met_high)
        today = (
            f", where {self.agent_hours_today:,.0f} are on duty today"
            if np.isfinite(self.agent_hours_today)
            else ""
        )
        return (
            f"To answer {self.level * 100:.4g} % within {self.answered_within_s:g} s on"
            f" {self.probability * 100:.4g} % of days takes {self.agent_hours:,.0f} agent-hours a"
            f" week{today}: the plan did so on {held} of days.\n{self._formula()}{self._now()}"
            f"{self._assumptions()} A day is kept if its own share of contacts answered in time,"
            " those who hang up counted as not answered, reaches the level; while the plan was"
            f" sought every interval had to reach it on average.{self._missed()} The plan was"
            f" sought on {self.days_searched:,} simulated days of each weekday,"
            f" {self.demanded * 100:.0f} % of which it had to keep to allow for chance: none of its"
            f" intervals could do with {counted(self.step, 'agent')} fewer, but they were taken"
            " away one after the other, so that a better plan may exist. It is judged on"
            f" {self.days:,} other days (the intervals are about their number), each with demand"
            f" and what else is not known drawn anew ({self.source}); least often kept:"
            f" {self.weakest}, {self.weakest_met * 100:.0f} %. An error of the queue itself, such"
            " as days held out may have shown, is not in it. Agents are those answering or ready"
            " to: breaks and absence come on top, and holidays are not planned."
        )

    def _share(self, estimate: float, low: float, high: float) -> str:
        return spell(
            estimate * 100,
            low * 100,
            high * 100,
            confidence=self.confidence,
            digits=0,
            unit="%",
        )

    def _missed(self) -> str:
        """Intervals and days that fall short when the plan is judged on other days."""
        short = self.table[self.table["estimate"] < self.level]
        days = self.table.drop_duplicates(["site", "weekday"])
        under = int((days["day_met"] < self.probability).sum())
        lowest = f", the lowest {short['estimate'].min() * 100:.0f} %" if len(short) else ""
        return (
            f" On other days {len(short):,} of {len(self.table):,} intervals fall below it{lowest},"
            f" and {under} of {len(days)} weekdays of a site keep it on fewer days than asked."
        )

    def _formula(self) -> str:
        held = self._share(self.met_by_formula, self.met_by_formula_low, self.met_by_formula_high)
        return (
            f"Erlang's formula for the average day asks {self.agent_hours_by_formula:,.0f}"
            f" agent-hours and keeps the level on {held} of days."
        )

    def _now(self) -> str:
        if not np.isfinite(self.met_today):
            return ""
        held = self._share(self.met_today, self.met_today_low, self.met_today_high)
        return f" The agents on duty today keep it on {held}."

    def _assumptions(self) -> str:
        if not self.assumed:
            return ""
        return f" {' '.join((*self.assumed, *self.if_assumed_otherwise))}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the weekday with most work at the site with most: needed, today, and the load."""
        ax = look.axes(ax)
        work = self.table.groupby(["site", "weekday"], sort=False)["offered_load"].sum()
        site, weekday = work.idxmax()
        rows = self.table[self.table["site"].eq(site) & self.table["weekday"].eq(weekday)]
        x = np.append([_hours_of(each) for each in rows["interval"]], np.nan)
        x[-1] = x[-2] + self.interval_min / 60
        if rows["agents_least"].notna().any():
            low, high = (
                np.append(rows[c], rows[c].iloc[-1]) for c in ("agents_least", "agents_most")
            )
            ax.fill_between(
                x,
                low,
                high,
                step="post",
                color=look.MEANING["limit"],
                alpha=0.35,
                lw=0,
                label="needed, over what is assumed",
            )
        for column, meaning, style, words in (
            ("agents", "better", "-", "needed"),
            ("agents_today", "usual", "--", "on duty today"),
            ("offered_load", "other", ":", "offered load"),
        ):
            y = np.append(rows[column], rows[column].iloc[-1])
            if np.isfinite(y).any():
                ax.step(x, y, style, where="post", color=look.MEANING[meaning], label=words)
        ax.set_ylim(bottom=0)
        ax.legend(fontsize="small", frameon=False)
        where = f"{look.shorten(str(site), width=24)}, {weekday}" if str(site) else str(weekday)
        return look.label(
            ax,
            title=f"How many agents does each interval need ({where})?",
            x="hour of the day",
            y=f"agents ({self.level * 100:.4g} % within {self.answered_within_s:g} s)",
        )


def _hours_of(clock: str) -> float:
    hour, minute = clock.split(":")
    return int(hour) + int(minute) / 60


# --- The two questions ----------------------------------------------------------------------------


def staffing_plan(
    service: Service,
    *,
    answered_within_s: float,
    level: float = 0.8,
    probability: float = 0.9,
    interval_min: int = 30,
    days: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> StaffingPlan:
    """Least agents per interval of a service learnt from its log, site by site.

    Parameters
    ----------
    service : Service
        See `sqm.service_model.learn`.
    answered_within_s : float
        Seconds within which a contact is to be answered.
    level : float, default 0.8
        Share of a day's contacts that are to be.
    probability : float, default 0.9
        Share of days on which this level is to be kept.
    interval_min : int, default 30
        Minutes of an interval; a divisor of 60.
    days : int, default 200
        Simulated days of each weekday on which the plan is sought; twice as many others judge it.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    StaffingPlan

    Raises
    ------
    Problem
        If a level, a time or an interval makes no sense.

    Notes
    -----
    Each simulated day has its own draw of what the log does not tell for certain, its own random
    factors and its own customers; all plans that are compared meet the same days.  Start: for
    each interval the least agents with which Erlang's formula for impatient customers (M/M/n+G
    [1]_) keeps the level at the offered load that arrivals leave behind them in time
    (modified offered load [2]_), for a demand of so much above the average that the simulated
    days keep the level.  Then agents are taken away, first where most is answered in time, as
    long as each interval keeps the level on average over days, and the day keeps it with the
    probability asked for.

    References
    ----------
    .. [1] Zeltyn, S., Mandelbaum, A. (2005). Call centers with impatient customers: many-server
       asymptotics of the M/M/n+G queue. Queueing Systems 51, 361-402.
       doi:10.1007/s11134-005-3699-8
    .. [2] Jennings, O. B., Mandelbaum, A., Massey, W. A., Whitt, W. (1996). Server staffing to
       meet time-varying demand. Management Science 42, 1383-1394. doi:10.1287/mnsc.42.10.1383
    """
    _need_sound(answered_within_s, level, probability, interval_min, days, confidence)
    place = _of_service(service, interval_min)
    asked = _Asked(float(answered_within_s), level, probability)

    def draw(number: int) -> _Days:
        return _days_of_service(service, place, number, rng)

    return _plan(place, asked, draw=draw, days=days, confidence=confidence)


def staffing_plan_from_counts(
    counts: pd.DataFrame,
    *,
    service_s: float | Sequence[float],
    patience_s: float | Sequence[float],
    answered_within_s: float,
    service_log_sd: float = 0.9,
    level: float = 0.8,
    probability: float = 0.9,
    interval_min: int = 30,
    calendar: Calendar | None = None,
    arrived: str = "arrived",
    contacts: str = "contacts",
    days: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> StaffingPlan:
    """Least agents per interval where only arrivals were counted and the rest is assumed.

    Parameters
    ----------
    counts : DataFrame, one row per counted interval
        ``arrived``, its beginning in local time, and ``contacts``.
    service_s, patience_s : float, or [least, likeliest, most]
        Assumed mean service time and mean patience, in seconds.  The plan is made for the
        likeliest and tried at both ends.
    answered_within_s, level, probability, interval_min, days, confidence, rng
        See `staffing_plan`; ``interval_min`` is a multiple of the counted interval.
    service_log_sd : float, default 0.9
        Assumed standard deviation of the logarithm of service times (lognormal).
    calendar : Calendar, optional
        Opening hours; counts outside them are set aside.
    arrived, contacts : str
        Columns.

    Returns
    -------
    StaffingPlan

    Raises
    ------
    Problem
        If counts are missing, negative or doubled, or an assumption makes no sense.
    Refusal
        If there are fewer than ten days.

    Notes
    -----
    As `staffing_plan`, for `sqm.service_system.ServiceSystem.from_counts`: the pattern of the week
    is taken as counted, days and intervals vary beyond Poisson as they did, patience is
    exponential.  Over the assumed range the plan is moved by as many agents as the formula for
    the same demand moves.
    """
    _need_sound(answered_within_s, level, probability, interval_min, days, confidence)
    service, patience = (
        three_points(value, name=name)
        for value, name in ((service_s, "service_s"), (patience_s, "patience_s"))
    )
    for name, value in (("service_s", service[0]), ("patience_s", patience[0])):
        if not value > 0:
            raise Problem(f"{name} is {value:g}.", "give seconds above zero.")
    if service[2] > DAY_S:
        raise Problem(f"service_s is {service[2]:g}.", "give seconds, at most a day's.")
    calendar = calendar or Calendar()
    system = ServiceSystem.from_counts(
        counts,
        service_mean_s=service[1],
        service_log_sd=service_log_sd,
        patience_mean_s=patience[1],
        interval_min=interval_min,
        calendar=calendar,
        arrived=arrived,
        contacts=contacts,
    )
    if not system.arrivals.any():
        raise Refusal("Nobody came in any counted interval.", "check the column of contacts.")
    place = _of_system(system, f"{span_words(counts[arrived])}, {len(counts):,} counts")
    asked = _Asked(float(answered_within_s), level, probability)

    def draw(number: int) -> _Days:
        return _days_of_system(system, number, rng)

    assumed = _Assumed(service, patience, system.assumed)
    return _plan(place, asked, draw=draw, days=days, confidence=confidence, assumed=assumed)


def _need_sound(within_s, level, probability, interval_min, days, confidence) -> None:
    for name, value in (("level", level), ("probability", probability), ("confidence", confidence)):
        need_share(value, name=name)
    if not 0 <= within_s < np.inf:
        raise Problem(f"answered_within_s is {within_s}.", "give seconds, 0 or more.")
    if interval_min not in (5, 10, 15, 20, 30, 60):
        raise Problem(f"interval_min is {interval_min}.", "give 5, 10, 15, 20, 30 or 60 minutes.")
    if days < FEWEST_SIMULATED:
        raise Problem(f"days is {days}.", f"simulate {FEWEST_SIMULATED} days or more.")


# --- What is known of the place -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Asked:
    within_s: float
    level: float
    probability: float


@dataclass(frozen=True, eq=False)
class _Place:
    """Groups are the weekdays of each site; rates and agents are (groups, intervals)."""

    names: tuple[tuple[str, str], ...]
    clock: tuple[str, ...]
    interval_s: float
    rate: np.ndarray  # contacts expected in an interval
    load: np.ndarray  # offered
    service: np.ndarray  # (groups, quantiles) of service times, seconds
    shape: float  # Weibull's, of patience
    scale_s: float
    today: np.ndarray  # NaN if unknown
    source: str


def _load(rate: np.ndarray, service: np.ndarray, interval_s: float) -> np.ndarray:
    """Mean offered load of each group and interval: it follows the arrivals with a lag."""
    number = rate.shape[1]
    looks = (np.arange(number)[:, None] + _middles(LOOKS)).ravel() * interval_s
    each = [
        offered_load(came / interval_s, step=interval_s, service=talk, times=looks)
        for came, talk in zip(rate, service, strict=True)
    ]
    return np.array(each).reshape(-1, number, LOOKS).mean(axis=2)


@dataclass(frozen=True, eq=False)
class _Assumed:
    service_s: tuple[float, float, float]
    patience_s: tuple[float, float, float]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Days:
    """Simulated days, one lane each; ``cell`` numbers lane and interval of each customer."""

    group: np.ndarray  # (lanes,)
    draw: np.ndarray  # (lanes,), number of the simulated day or week
    agents: np.ndarray | None  # on duty today, (lanes, intervals)
    arrival_s: np.ndarray
    service_s: np.ndarray
    patience_s: np.ndarray

    def part(self, keep: np.ndarray) -> _Days:
        most = max(int(np.isfinite(self.arrival_s[keep]).sum(axis=1).max(initial=0)), 1)
        return _Days(
            self.group[keep],
            self.draw[keep],
            None if self.agents is None else self.agents[keep],
            *(x[keep, :most] for x in (self.arrival_s, self.service_s, self.patience_s)),
        )


def _clock(first_min: int, number: int, interval_min: int) -> tuple[str, ...]:
    minutes = [first_min + i * interval_min for i in range(number)]
    return tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes)


def _of_service(service: Service, interval_min: int) -> _Place:
    grid, pool, best = service.grid, service.pool, service.best()
    each = 60 // interval_min
    staffed = service.roster.agents  # (dates, sites, hours)
    today = np.full((len(grid.sites), len(grid.weekdays), len(grid.hours)), np.nan)
    for s in range(len(grid.sites)):
        for d in range(len(grid.weekdays)):
            there = staffed[service.roster.weekday == d, s]
            there = there[there.any(axis=1)]
            if len(there):
                today[s, d] = there.mean(axis=0)
    open_ = ~np.isnan(today).all(axis=2)
    talk = np.array(
        [
            np.quantile(pool.service_s[a : a + n], _middles(QUANTILES))
            for a, n in zip(pool.start[:, 0], pool.size.sum(axis=1), strict=True)
        ]
    )
    s, d = np.nonzero(open_)
    rate = np.repeat(best.rate[0][s, d], each, axis=1) / each
    return _Place(
        names=tuple((grid.sites[i], DAYS[grid.weekdays[j]]) for i, j in zip(s, d, strict=True)),
        clock=_clock(60 * grid.hours[0], each * len(grid.hours), interval_min),
        interval_s=60.0 * interval_min,
        rate=rate,
        load=_load(rate, talk[s], 60.0 * interval_min),
        service=talk[s],
        shape=float(best.patience_shape[0]),
        scale_s=float(best.patience_s[0]),
        today=np.repeat(today[s, d], each, axis=1),
        source=f"{service.span}, {service.contacts:,} contacts, {service.resampled} resampled",
    )


def _days_of_service(service: Service, place: _Place, number: int, rng) -> _Days:
    """One simulated week for each draw of the parameters; a lane is a site's day."""
    customers = service.typical_weeks(service.parameters(draws=number, rng=rng), weeks=1, rng=rng)
    sites, weekdays = len(service.grid.sites), len(service.grid.weekdays)
    weekday = np.arange(len(customers.draw)) // sites % weekdays
    groups = {name: g for g, name in enumerate(place.names)}
    code = np.array(
        [
            [groups.get((site, DAYS[day]), -1) for day in service.grid.weekdays]
            for site in service.grid.sites
        ]
    )
    group = code[customers.site, weekday]
    each = len(place.clock) // customers.agents.shape[1]
    days = _Days(
        group=group,
        draw=customers.draw,
        agents=np.repeat(customers.agents, each, axis=1),
        arrival_s=customers.arrival_s,
        service_s=customers.service_s,
        patience_s=customers.patience_s,
    )
    return days.part((group >= 0) & customers.agents.any(axis=1))


def _of_system(system: ServiceSystem, source: str) -> _Place:
    first, number = round(system.opens_h * 60), system.arrivals.shape[1]
    reason, rate = system.reasons[0], system.arrivals
    talk = np.tile(_lognormal(reason.mean_s, reason.log_sd), (len(rate), 1))
    return _Place(
        names=tuple(("", DAYS[day]) for day in system.weekdays),
        clock=_clock(first, number, round(system.interval_s / 60)),
        interval_s=system.interval_s,
        rate=rate,
        load=_load(rate, talk, system.interval_s),
        service=talk,
        shape=system.patience_shape,
        scale_s=system.patience_mean_s / special.gamma(1 + 1 / system.patience_shape),
        today=np.full(system.arrivals.shape, np.nan),
        source=source,
    )


def _lognormal(mean: float, log_sd: float) -> np.ndarray:
    """Quantiles of service times with this mean."""
    found = np.exp(log_sd * stats.norm.ppf(_middles(QUANTILES)))
    return mean * found / found.mean()


def _middles(number: int) -> np.ndarray:
    return (np.arange(number) + 0.5) / number


def _days_of_system(system: ServiceSystem, number: int, rng) -> _Days:
    drawn = system.draw(weeks=number, rng=rng)
    customers = drawn.arrival_s, drawn.service_s, drawn.patience_s
    return _Days(drawn.weekday, drawn.week, None, *customers)


# --- Formula --------------------------------------------------------------------------------------


def answered_in_time(
    rate: np.ndarray,
    agents: np.ndarray,
    *,
    service_s: np.ndarray,
    shape: float,
    scale_s: float,
    within_s: float,
) -> np.ndarray:
    """Share answered within a time in the long run, customers having Weibull patience (M/M/n+G).

    Parameters
    ----------
    rate : ndarray
        Contacts a second.
    agents : ndarray of int
    service_s : ndarray
        Mean service time.
    shape, scale_s : float
        Of patience; an infinite scale means that nobody leaves.
    within_s : float

    Returns
    -------
    ndarray
        Of the common shape of ``rate``, ``agents`` and ``service_s``.

    Notes
    -----
    With G the share whose patience is over, the wait offered to an infinitely patient customer
    has density rate pi exp(rate int_0^x (1 - G) - n x / service_s), pi the chance of n - 1
    customers present [1]_; it is added up numerically.

    References
    ----------
    .. [1] Zeltyn, S., Mandelbaum, A. (2005). Queueing Systems 51, 361-402.
       doi:10.1007/s11134-005-3699-8

    Examples
    --------
    One agent, all rates 1 a second: somebody arriving finds him idle with probability 1 / e.

    >>> one = answered_in_time(np.ones(1), np.ones(1), service_s=np.ones(1), shape=1.0,
    ...                        scale_s=1.0, within_s=0.0)
    >>> [round(float(share), 4) for share in one]
    [0.3679]
    """
    rate, n, talk = np.broadcast_arrays(
        *(np.asarray(each, float) for each in (rate, agents, service_s))
    )
    rate, n, talk = (each[..., None] for each in (rate, n, talk))
    mean_patience = scale_s * special.gamma(1 + 1 / shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        drift = n / talk - rate
        end = (rate * mean_patience + 60) * talk / n
        if not np.isfinite(scale_s):
            end = np.where(drift > 0, 60 / drift, np.nan)
    x = _points(end, within_s)
    stays, expected = _patient(x, shape, scale_s)
    exponent = rate * expected - n / talk * x
    top = np.maximum(exponent.max(axis=-1, keepdims=True), 0)
    density = rate * np.exp(exponent - top)
    step = np.diff(x, axis=-1)
    whole = ((density[..., 1:] + density[..., :-1]) / 2 * step).sum(axis=-1)
    good = density * stays * (x <= within_s)
    soon = ((good[..., 1:] + good[..., :-1]) / 2 * step * (x[..., 1:] <= within_s)).sum(axis=-1)
    idle = (_present_ratio(n, rate * talk) * np.exp(-top))[..., 0]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num((idle + soon) / (idle + whole), nan=0.0)


def _points(end: np.ndarray, within_s: float) -> np.ndarray:
    """Points from 0, one of them ``within_s``, the later ones ever farther apart."""
    # closest at 0, where the waits of many agents lie
    first = within_s * np.linspace(0, 1, WAITS // 2) ** 2 if within_s > 0 else np.zeros(1)
    beyond = np.maximum(end, within_s) - within_s + 1e-9
    rest = within_s + beyond * np.geomspace(1e-6, 1, WAITS)
    return np.concatenate([np.broadcast_to(first, (*end.shape[:-1], len(first))), rest], axis=-1)


def _patient(x: np.ndarray, shape: float, scale_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Share still patient at x, and its integral from 0 to x."""
    if not np.isfinite(scale_s):
        return np.ones_like(x), x
    power = (x / scale_s) ** shape
    whole = scale_s * special.gamma(1 + 1 / shape)
    return np.exp(-power), whole * special.gammainc(1 / shape, power)


def _present_ratio(n: np.ndarray, load: np.ndarray) -> np.ndarray:
    """Chance of fewer than n present over that of n - 1, both below n."""
    last = stats.poisson.pmf(n - 1, load)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = stats.poisson.cdf(n - 1, load) / last
    return np.where(
        last > 1e-290, ratio, 1 / np.maximum(1 - (n - 1) / np.maximum(load, 1e-9), 1e-9)
    )


def _by_formula(place: _Place, asked: _Asked, factor: np.ndarray) -> np.ndarray:
    """Least agents of each group and interval at ``factor`` (groups,) times the usual demand."""
    talk, load = place.service.mean(axis=1), place.load * factor[:, None]
    rate = load / talk[:, None]
    need = np.where(place.rate > 0, 1, 0)
    low, high = need - 1, np.ceil(load + 4 * np.sqrt(load) + 4).astype(int)

    def enough(agents: np.ndarray) -> np.ndarray:
        share = answered_in_time(
            np.maximum(rate, 1e-12),
            np.maximum(agents, 1),
            service_s=talk[:, None],
            shape=place.shape,
            scale_s=place.scale_s,
            within_s=asked.within_s,
        )
        return (share >= asked.level) & (agents >= need)

    while not (there := enough(high)).all():
        low, high = np.where(there, low, high), np.where(there, high, 2 * high)
    while (high - low > 1).any():
        middle = (low + high) // 2
        there = enough(middle)
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    return np.where(need, high, 0)


# --- The search -----------------------------------------------------------------------------------


def _plan(
    place: _Place,
    asked: _Asked,
    *,
    draw: Callable[[int], _Days],
    days: int,
    confidence: float,
    assumed: _Assumed | None = None,
) -> StaffingPlan:
    if place.rate.sum() > MOST_A_WEEK:
        raise Refusal(
            f"{place.rate.sum():,.0f} contacts a week are more than a plan can be tried on.",
            "check the number of contacts; if it is right, plan a part of the sites at a time.",
        )
    fewer = int(SEARCHED / max(place.rate.sum(), 1))
    searched = int(np.clip(fewer, FEWEST_SIMULATED, days))
    known = draw(searched)
    plan, factor, step = _search(place, asked, known)
    fresh = draw(2 * searched)
    average = _by_formula(place, asked, np.ones(len(place.names)))
    judged = _judged(place, asked, fresh, plan[fresh.group])
    formula = _judged(place, asked, fresh, average[fresh.group])
    today = None if fresh.agents is None else _judged(place, asked, fresh, fresh.agents)
    ends = _ends(place, asked, plan, factor, fresh, assumed)
    table = _table(place, plan, average, ends, judged, fresh, asked, confidence)
    met = pd.Series(judged.day).groupby(fresh.group).mean()
    site, weekday = place.names[int(met.idxmin())]
    hours = place.interval_s / HOUR_S
    return StaffingPlan(
        table=table,
        agent_hours=float(plan.sum() * hours),
        agent_hours_by_formula=float(average.sum() * hours),
        agent_hours_today=float(place.today.sum() * hours),
        **_of_days("met", judged, fresh, confidence),
        **_of_days("met_by_formula", formula, fresh, confidence),
        **_of_days("met_today", today, fresh, confidence),
        agent_hours_least=float(ends[0].sum() * hours),
        agent_hours_most=float(ends[1].sum() * hours),
        if_assumed_otherwise=ends[2],
        assumed=assumed.words if assumed else (),
        weakest=f"{site} {weekday}".strip(),
        weakest_met=float(met.min()),
        answered_within_s=asked.within_s,
        level=asked.level,
        probability=asked.probability,
        demanded=float(_demanded(asked.probability, np.array(searched))),
        interval_min=int(place.interval_s // 60),
        step=step,
        days=2 * searched,
        days_searched=searched,
        source=place.source,
        confidence=confidence,
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """Contacts that came and were answered in time, (lanes, intervals); whether a day was kept."""

    came: np.ndarray
    soon: np.ndarray
    day: np.ndarray


def _judged(place: _Place, asked: _Asked, days: _Days, agents: np.ndarray) -> _Judged:
    """Let the days meet ``agents`` (lanes, intervals)."""
    starts, ends = (each * (place.interval_s / HOUR_S) for each in spells(agents))
    done = simulate(days.arrival_s, days.service_s, days.patience_s, starts_s=starts, ends_s=ends)
    lane, customer = np.nonzero(np.isfinite(days.arrival_s))
    interval = (days.arrival_s[lane, customer] // place.interval_s).astype(int)
    shape = (len(days.group), len(place.clock))
    cell = lane * shape[1] + np.minimum(interval, shape[1] - 1)
    good = (done.served & (done.wait_s <= asked.within_s))[lane, customer]
    came = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    soon = np.bincount(cell, weights=good, minlength=shape[0] * shape[1]).reshape(shape)
    day = soon.sum(axis=1) >= asked.level * came.sum(axis=1) - 1e-9
    return _Judged(came, soon, day)


def _meets(judged: _Judged, asked: _Asked, group: np.ndarray, groups: int) -> np.ndarray:
    """Whether each group keeps the level: on enough days, and in each interval on average."""
    lanes = np.bincount(group, minlength=groups)
    number = np.maximum(lanes, 1)
    day = np.where(lanes, np.bincount(group, weights=judged.day, minlength=groups) / number, 1.0)
    came, soon = (_by_group(each, group, groups) for each in (judged.came, judged.soon))
    return (day >= _demanded(asked.probability, number) - 1e-9) & (
        soon >= asked.level * came - 1e-9
    ).all(axis=1)


def _demanded(probability: float, days: np.ndarray) -> np.ndarray:
    """Share of so many days that must be kept: a standard error more than is promised.

    The plan that just keeps the level on the days it was sought on keeps it less often on others.
    """
    return np.minimum(probability + np.sqrt(probability * (1 - probability) / days), 1.0)


def _by_group(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    found = np.zeros((groups, values.shape[1]))
    np.add.at(found, group, values)
    return found


def _search(place: _Place, asked: _Asked, days: _Days) -> tuple[np.ndarray, np.ndarray, int]:
    """The plan, the demand it began from as a multiple of the usual, and the step down."""
    plan, factor = _start(place, asked, days)
    step = max(1, round(STEP * plan.max())) if plan.max() > LARGE else 1
    return _trimmed(place, asked, days, plan, step), factor, step


def _start(place: _Place, asked: _Asked, days: _Days) -> tuple[np.ndarray, np.ndarray]:
    """The formula at the least demand that makes the simulated days keep the level."""
    groups = len(place.names)
    low, high = np.full(groups, -15), np.full(groups, 10)

    def met(step: np.ndarray) -> np.ndarray:
        plan = _by_formula(place, asked, (1 + STEP) ** step)
        return _meets(_judged(place, asked, days, plan[days.group]), asked, days.group, groups)

    while not (there := met(high)).all():
        low, high = np.where(there, low, high), np.where(there, high, high + 15)
    while (high - low > 1).any():
        middle = (low + high) // 2
        there = met(middle)
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    factor = (1 + STEP) ** high.astype(float)
    return _by_formula(place, asked, factor), factor


def _trimmed(place, asked, days: _Days, plan: np.ndarray, step: int) -> np.ndarray:
    """Take agents away where most is answered in time, as long as the level is kept.

    The weekdays of the sites do not touch each other, so each tries one interval at a time.
    """
    groups = len(place.names)
    plan, least = plan.copy(), np.where(place.rate > 0, 1, 0)
    simulated = np.bincount(days.group, minlength=groups) > 0
    open_ = (plan - step >= least) & simulated[:, None]
    ease = _ease(_judged(place, asked, days, plan[days.group]), days.group, groups)
    while open_.any():
        active = open_.any(axis=1)
        part = days.part(active[days.group])
        where = np.where(open_, ease, -1.0).argmax(axis=1)
        tried = plan.copy()
        tried[active, where[active]] -= step
        judged = _judged(place, asked, part, tried[part.group])
        good = _meets(judged, asked, part.group, groups) & active
        plan[good] = tried[good]
        ease[good] = _ease(judged, part.group, groups)[good]
        open_[active & ~good, where[active & ~good]] = False
        open_ &= plan - step >= least
    return plan


def _ease(judged: _Judged, group: np.ndarray, groups: int) -> np.ndarray:
    came, soon = (_by_group(each, group, groups) for each in (judged.came, judged.soon))
    return np.where(came > 0, soon / np.maximum(came, 1), 1.0)


# --- What is said of the plan ---------------------------------------------------------------------


def _of_days(name: str, judged: _Judged | None, days: _Days, confidence: float) -> dict:
    """Share of days kept, with limits that allow for days of one draw being alike."""
    if judged is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
    estimate, low, high = share_of_clusters(
        judged.day.astype(float), np.ones(len(days.draw)), days.draw, confidence=confidence
    )
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def share_of_clusters(
    part: np.ndarray, whole: np.ndarray, cluster: np.ndarray, *, confidence: float
) -> tuple[float, float, float]:
    """A ratio of sums between 0 and 1 with Wilson's interval at its effective number of rows.

    Parameters
    ----------
    part, whole : ndarray, shape (rows,)
    cluster : ndarray of int, shape (rows,)
        Rows of one cluster may be alike.
    confidence : float

    Examples
    --------
    5 of 10 rows on their own have the variance 0.25 / 9: 9 effective rows, made
    9 (1.960 / 2.262)^2 = 6.757 by Student's quantile of 9.

    >>> five = np.tile([0.0, 1.0], 5)
    >>> found = share_of_clusters(five, np.ones(10), np.arange(10), confidence=0.95)
    >>> [round(each, 3) for each in (*found, *wilson(0.5, 6.757))]
    [0.5, 0.199, 0.801, 0.199, 0.801]
    """
    share = float(part.sum() / max(whole.sum(), 1e-9))
    error = np.bincount(cluster, weights=part - share * whole)
    error = error[np.bincount(cluster, minlength=len(error)) > 0]
    n = max(len(error), 2)
    variance = float((error**2).sum()) * n / (n - 1) / max(whole.sum(), 1e-9) ** 2
    effective = share * (1 - share) / variance if variance > 0 else float(n)
    t, z = stats.t.ppf((1 + confidence) / 2, n - 1), stats.norm.ppf((1 + confidence) / 2)
    low, high = wilson(share, effective * (z / t) ** 2, confidence=confidence)
    return share, low, high


def _ends(place, asked, plan, factor, days, assumed) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Agents at the least and the most of what is assumed, and what the plan then does."""
    if assumed is None:
        unknown = np.full(plan.shape, np.nan)
        return unknown, unknown, ()
    usual = _by_formula(place, asked, factor)
    moved, words = [plan], []
    service, patience = assumed.service_s, assumed.patience_s
    others = [("service took", v, v / service[1], 1.0) for v in _apart(service)]
    others += [("mean patience were", v, 1.0, v / patience[1]) for v in _apart(patience)]
    for what, value, longer, calmer in others:
        there, then = _otherwise(place, days, longer, calmer)
        needed = plan + _by_formula(there, asked, factor) - usual
        moved.append(np.where(plan > 0, np.maximum(needed, 1), 0))
        kept = _judged(place, asked, then, plan[days.group]).day.mean()
        hours = moved[-1].sum() * place.interval_s / HOUR_S
        words.append(
            f"If {what} {value:g} s, this plan would keep the level on {kept * 100:.0f} % of days,"
            f" and about {hours:,.0f} agent-hours would be needed."
        )
    totals = [each.sum() for each in moved]
    return moved[int(np.argmin(totals))], moved[int(np.argmax(totals))], tuple(words)


def _apart(points: tuple[float, float, float]) -> list[float]:
    """The ends of a range that differ from what is likeliest."""
    return sorted({points[0], points[2]} - {points[1]})


def _otherwise(place: _Place, days: _Days, longer: float, calmer: float) -> tuple[_Place, _Days]:
    """The same customers with service so many times as long, and so many times the patience."""
    talk = place.service * longer
    there = replace(
        place,
        service=talk,
        load=_load(place.rate, talk, place.interval_s),
        scale_s=place.scale_s * calmer,
    )
    then = replace(days, service_s=days.service_s * longer, patience_s=days.patience_s * calmer)
    return there, then


def _table(place, plan, average, ends, judged, days, asked, confidence) -> pd.DataFrame:
    load = place.load
    rows = []
    for g, (site, weekday) in enumerate(place.names):
        mine = days.group == g
        kept = float(judged.day[mine].mean()) if mine.any() else np.nan
        for i, clock in enumerate(place.clock):
            came, soon = judged.came[mine, i], judged.soon[mine, i]
            row = {
                "site": site,
                "weekday": weekday,
                "interval": clock,
                "contacts": float(place.rate[g, i]),
                "offered_load": float(load[g, i]),
                "agents": int(plan[g, i]),
                "agents_by_formula": int(average[g, i]),
                "agents_today": float(place.today[g, i]),
                "agents_least": float(ends[0][g, i]),
                "agents_most": float(ends[1][g, i]),
            }
            rows.append(row | _level_of(came, soon, asked, confidence) | {"day_met": kept})
    table = pd.DataFrame(rows)
    return table[[*(c for c in table if c != "note"), "note"]]


def _level_of(came: np.ndarray, soon: np.ndarray, asked: _Asked, confidence: float) -> dict:
    some = came > 0
    if not some.any():
        nothing = dict.fromkeys(("estimate", "low", "high", "interval_met"), np.nan)
        return nothing | {"note": "nobody comes"}
    share, low, high = share_of_clusters(soon, came, np.arange(len(came)), confidence=confidence)
    met = float((soon[some] >= asked.level * came[some] - 1e-9).mean())
    return {"estimate": share, "low": low, "high": high, "interval_met": met, "note": ""}
