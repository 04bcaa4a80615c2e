"""Does a queue built from the service's own log behave like the service?"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import gamma as gamma_function

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.clock import DAYS, Calendar, local, span_words, week_of
from sqm.finding import Finding
from sqm.interval import spell

HOUR_S = 3600
FEWEST_WEEKS = 8  # below this, days and not weeks are resampled
FEWEST_DAYS = 10
BLANK = "(blank)"
# Shapes tried for the Weibull patience; 1 is the exponential.
SHAPES = np.geomspace(0.25, 4.0, 97)
PATIENCE_UNIT_S = 600.0  # keeps powers of waits within floating range
QUANTITIES = {
    "contacts_per_day": ("contacts a day", "contacts"),
    "mean_wait_s": ("mean wait of all contacts", "s"),
    "abandoned": ("share who hung up", "share"),
    "waited_longer": ("share who waited longer than the limit", "share"),
}


# --- What theory says -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """How a steady queue behaves in the long run, in the time unit of its rates.

    Attributes
    ----------
    utilisation : float
        Share of their time that agents are busy, 0 to 1.
    p_wait, p_abandon : float
        Share of customers who have to wait, and who leave unserved.
    mean_wait : float
        Mean wait of all customers, those who leave and those served at once included.
    mean_queue : float
        Mean number waiting.
    """

    utilisation: float
    p_wait: float
    p_abandon: float
    mean_wait: float
    mean_queue: float


def erlang_c(arrival_rate: float, service_rate: float, agents: int) -> Queue:
    """A queue with random arrivals, exponential service and customers who never leave (M/M/c).

    Parameters
    ----------
    arrival_rate, service_rate : float
        Customers per unit of time: arriving, and served by one busy agent.
    agents : int

    Returns
    -------
    Queue

    Raises
    ------
    Problem
        If a rate is not positive, there is no agent, or agents are busier than always: such a
        queue grows without end.

    Notes
    -----
    With load a = arrival_rate / service_rate and Erlang's B by its recursion, p_wait =
    B / (1 - (a / c)(1 - B)) and mean_wait = p_wait / (c service_rate - arrival_rate) [1]_.

    References
    ----------
    .. [1] Gross, D., Shortle, J. F., Thompson, J. M., Harris, C. M. (2008). Fundamentals of
       Queueing Theory, 4th edition, section 2.3. Wiley.

    Examples
    --------
    One agent at two thirds load: a customer waits with probability 2/3, on average 2/3 hours.

    >>> one = erlang_c(2, 3, 1)
    >>> round(one.p_wait, 6), round(one.mean_wait, 6)
    (0.666667, 0.666667)
    """
    _need_rates(arrival_rate=arrival_rate, service_rate=service_rate, agents=agents)
    load = arrival_rate / service_rate
    if load >= agents:
        raise Problem(
            f"{agents} agents would be busy {load / agents:.0%} of their time and nobody leaves: "
            "the queue grows without end.",
            "add agents, or use erlang_a, which lets customers leave.",
        )
    blocked = 1.0
    for c in range(1, agents + 1):
        blocked = load * blocked / (c + load * blocked)
    p_wait = blocked / (1 - load / agents * (1 - blocked))
    mean_wait = p_wait / (agents * service_rate - arrival_rate)
    return Queue(load / agents, p_wait, 0.0, mean_wait, arrival_rate * mean_wait)


def erlang_a(
    arrival_rate: float, service_rate: float, agents: int, *, abandon_rate: float
) -> Queue:
    """A queue whose customers leave when their patience, exponential, runs out (M/M/c+M).

    Parameters
    ----------
    arrival_rate, service_rate : float
        Customers per unit of time: arriving, and served by one busy agent.
    agents : int
    abandon_rate : float
        One over the mean patience.

    Returns
    -------
    Queue

    Notes
    -----
    Birth and death with death rate min(n, c) service_rate + max(n - c, 0) abandon_rate [1]_,
    summed until nothing is left to add.

    References
    ----------
    .. [1] Garnett, O., Mandelbaum, A., Reiman, M. (2002). Designing a call center with impatient
       customers. Manufacturing & Service Operations Management 4, 208-227.
       doi:10.1287/msom.4.3.208.7753

    Examples
    --------
    One agent, all rates 1: the number present is Poisson with mean 1, so somebody arriving
    finds the agent busy with probability 1 - 1/e.

    >>> round(erlang_a(1, 1, 1, abandon_rate=1).p_wait, 6)
    0.632121
    """
    _need_rates(
        arrival_rate=arrival_rate,
        service_rate=service_rate,
        agents=agents,
        abandon_rate=abandon_rate,
    )
    load = arrival_rate / (agents * service_rate)
    # far enough that the states left out have no weight: past it each is at most half as likely
    # as the one before, or all along they fall by the load
    halving = max(2 * arrival_rate - agents * service_rate, 0.0) / abandon_rate + 80
    falling = -60 / np.log(load) if load < 1 else np.inf
    n = np.arange(1, agents + int(min(halving, falling)) + 2)
    death = np.minimum(n, agents) * service_rate + np.maximum(n - agents, 0) * abandon_rate
    weight = np.append(0.0, np.cumsum(np.log(arrival_rate / death)))
    share = np.exp(weight - weight.max())
    share /= share.sum()
    present = np.append(0, n)
    queue = float(share @ np.maximum(present - agents, 0))
    busy = float(share @ np.minimum(present, agents)) / agents
    p_abandon = abandon_rate * queue / arrival_rate
    p_wait = float(share[agents:].sum())
    return Queue(busy, p_wait, p_abandon, queue / arrival_rate, queue)


def _need_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not rate > 0:
            raise Problem(f"{name} is {rate}.", f"give a {name} above zero.")


# --- The engine -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Simulated:
    """What became of simulated customers, arrays of shape (lanes, customers).

    Attributes
    ----------
    wait_s : ndarray of float
        Seconds until service began or the customer left; NaN where there was no customer.
    served : ndarray of bool
    """

    wait_s: np.ndarray
    served: np.ndarray


def simulate(
    arrival_s: np.ndarray,
    service_s: np.ndarray,
    patience_s: np.ndarray,
    *,
    starts_s: np.ndarray,
    ends_s: np.ndarray,
) -> Simulated:
    """Serve customers first come, first served, many independent queues side by side.

    Parameters
    ----------
    arrival_s, service_s, patience_s : ndarray, shape (lanes, customers)
        Seconds; arrivals in order within a lane, infinite where a lane has no more customers.
    starts_s, ends_s : ndarray, shape (lanes or 1, spells)
        Each unbroken spell of one agent on duty; see `spells`.

    Returns
    -------
    Simulated

    Raises
    ------
    Problem
        If arrivals are out of order or a duration is negative or missing.

    Notes
    -----
    Exact, without an event list (Kiefer and Wolfowitz's recursion [1]_ with patience): customer i
    is offered the agent free first, m = max(earliest free - arrival, 0); a customer with less
    patience than m leaves, else that agent is busy until arrival + m + service.  An agent begins
    no contact at or after the end of the spell and finishes one that was begun.

    References
    ----------
    .. [1] Kiefer, J., Wolfowitz, J. (1955). On the theory of queues with many servers.
       Transactions of the American Mathematical Society 78, 1-18.

    Examples
    --------
    One agent; contacts of 10 s arrive at 0, 4 and 6.  The second waits 6 s.  The third would
    wait 14 s, has patience for 5, and leaves.

    >>> done = simulate([[0, 4, 6]], [[10, 10, 10]], [[99, 99, 5]], starts_s=[[0]],
    ...                 ends_s=[[np.inf]])
    >>> done.wait_s.tolist(), done.served.tolist()
    ([[0.0, 6.0, 5.0]], [[True, True, False]])
    """
    arrival, service, patience = (
        np.asarray(each, float) for each in (arrival_s, service_s, patience_s)
    )
    _need_customers(arrival, service, patience)
    there = np.isfinite(arrival)
    order = np.argsort(-there.sum(axis=1), kind="stable")  # fullest lanes first
    arrival, service, patience = (each[order].T.copy() for each in (arrival, service, patience))
    lanes = len(order)
    free, ends = (
        np.broadcast_to(np.asarray(each, float), (lanes, np.shape(each)[1]))[order].T.copy()
        for each in (starts_s, ends_s)
    )
    wait, served = np.full(there.shape[::-1], np.nan), np.zeros(there.shape[::-1], bool)
    for i, n in enumerate(there.sum(axis=0)):  # only the lanes that have a customer i
        wait[i, :n], served[i, :n] = _next(
            free[:, :n], ends[:, :n], arrival[i, :n], service[i, :n], patience[i, :n]
        )
    back = np.argsort(order)
    return Simulated(wait.T[back], served.T[back])


def _next(free, ends, arrival, service, patience):
    """Serve the next customer of every lane; ``free`` (spells, lanes) is brought up to date."""
    lane = np.arange(len(arrival))
    ready = np.where(np.maximum(free, arrival) < ends, free, np.inf)
    seat = ready.argmin(axis=0)
    offered = np.maximum(ready[seat, lane] - arrival, 0.0)
    stays = (offered <= patience) & (offered < np.inf)
    free[seat, lane] = np.where(stays, arrival + offered + service, free[seat, lane])
    return np.where(stays, offered, patience), stays


def _need_customers(arrival, service, patience) -> None:
    with np.errstate(invalid="ignore"):  # infinite minus infinite
        disorder = np.diff(arrival, axis=1) < 0
    if disorder.any() or np.isnan(arrival).any():
        raise Problem("Arrivals are out of order.", "sort each lane by arrival, infinite last.")
    there = np.isfinite(arrival)
    for name, values in (("service_s", service), ("patience_s", patience)):
        bad = there & ~(values >= 0)
        if bad.any():
            raise Problem(
                f"{name} has {int(bad.sum())} negative or missing durations.",
                "correct them, or set those customers aside.",
            )


def spells(agents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn agents on duty by the hour into unbroken spells of duty.

    Parameters
    ----------
    agents : ndarray of int, shape (lanes, hours)
        Agents on duty in each hour of the day, from the first hour.

    Returns
    -------
    starts_s, ends_s : ndarray, shape (lanes, most spells of a lane)
        Seconds from the beginning of the first hour; a spell that reaches the last hour with
        anybody on duty has no end: those agents stay until the queue is empty.  Padding never
        begins.

    Notes
    -----
    When the number falls from one hour to the next, as many agents take no new contact from
    then on, and finish the one they have.  After a break an agent counts as a fresh one.

    Examples
    --------
    One agent from the first hour to the third and a second one in the second hour alone:

    >>> starts, ends = spells(np.array([[1, 2, 1]]))
    >>> starts.tolist(), ends.tolist()
    ([[0.0, 3600.0]], [[inf, 7200.0]])
    """
    agents = np.asarray(agents)
    lanes, hours = agents.shape
    most = max(int(agents.max(initial=0)), 1)
    on = np.zeros((lanes, most, hours + 2), bool)  # an hour off at either side
    on[:, :, 1:-1] = np.arange(most)[:, None] < agents[:, None, :]
    change = np.diff(on.astype(np.int8), axis=2)
    lane, _, begin = np.nonzero(change == 1)
    _, _, end = np.nonzero(change == -1)  # in the same order: every spell that begins ends
    last = np.where(agents > 0, np.arange(1, hours + 1), 0).max(axis=1)
    number = np.bincount(lane, minlength=lanes)
    place = np.arange(len(lane)) - np.repeat(np.cumsum(number) - number, number)
    shape = (lanes, max(int(number.max(initial=0)), 1))
    starts, ends = np.full(shape, np.inf), np.zeros(shape)
    starts[lane, place] = begin * HOUR_S
    ends[lane, place] = np.where(end == last[lane], np.inf, end * HOUR_S)
    return starts, ends


# --- What the log teaches -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Grid:
    """What the places of an array mean; weekdays count from Monday 0."""

    sites: tuple[str, ...]
    reasons: tuple[str, ...]
    channels: tuple[str, ...]
    weekdays: tuple[int, ...]
    hours: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """When customers come; a block is a week (or, in a short log, a day).

    Attributes
    ----------
    counts : ndarray, shape (blocks, sites, weekdays, hours)
    site_days : ndarray, shape (blocks, sites, weekdays)
        Days on which the site was staffed.
    spread : tuple of three float
        Variance of the gamma factor of a week, of a date, and of a site on a date.
    strength : float
        Contacts that the common pattern of the week is worth against a site's own hours.
    """

    counts: np.ndarray
    site_days: np.ndarray
    spread: tuple[float, float, float] = (0.0, 0.0, 0.0)
    strength: float = np.inf


@dataclass(frozen=True, eq=False)
class Pool:
    """Contacts to resample, those of a site and a block side by side.

    Attributes
    ----------
    start, size : ndarray of int, shape (sites, blocks)
    service_s, reason, channel : ndarray, shape (contacts,)
        A contact that was abandoned has the service time of a served one.
    pace : float
        Variance of the logarithm of the factor that a site-day's team puts on service times.
    served, resolved : ndarray, shape (blocks, sites, reasons)
        ``resolved`` is NaN where the log does not say.
    """

    start: np.ndarray
    size: np.ndarray
    service_s: np.ndarray
    reason: np.ndarray
    channel: np.ndarray
    pace: float
    served: np.ndarray
    resolved: np.ndarray


@dataclass(frozen=True, eq=False)
class Patience:
    """What patience is estimated from.

    Attributes
    ----------
    leavers, log_sum, power_sum : ndarray, shape (blocks[, shapes])
        Customers who left, the logarithms of their waits, and powers of everybody's waits.
    survival : tuple of four tuples of float
        Kaplan-Meier: seconds, share still waiting if nobody were served, low and high (95 %).
    naive_s : float
        Mean wait of those who left; NaN if nobody did.
    """

    leavers: np.ndarray
    log_sum: np.ndarray
    power_sum: np.ndarray
    survival: tuple[tuple[float, ...], ...]
    naive_s: float


@dataclass(frozen=True, eq=False)
class Roster:
    """Agents on duty, ``agents`` (dates, sites, hours); ``date`` and ``weekday`` of each date."""

    agents: np.ndarray
    date: pd.DatetimeIndex
    weekday: np.ndarray


@dataclass(frozen=True, eq=False)
class Parameters:
    """Draws of what the log does not tell for certain.

    Attributes
    ----------
    weights : ndarray, shape (draws, blocks)
        What each week (or day) of the log counts for, 1 on average.
    rate : ndarray, shape (draws, sites, weekdays, hours)
        Contacts expected in an hour.
    resolution : ndarray, shape (draws, sites, reasons)
        Share of served contacts resolved; NaN if the log does not say.
    patience_shape, patience_s : ndarray, shape (draws,)
        Shape and scale of the Weibull distribution of patience; the scale is infinite if nobody
        ever left.
    """

    weights: np.ndarray
    rate: np.ndarray
    resolution: np.ndarray
    patience_shape: np.ndarray
    patience_s: np.ndarray

    def part(self, first: int, last: int) -> Parameters:
        """The draws from ``first`` up to, not including, ``last``."""
        return Parameters(*(getattr(self, each.name)[first:last] for each in fields(self)))


@dataclass(frozen=True, eq=False)
class Customers:
    """Simulated customers before any queue is run: one lane per draw, day and site, in that order.

    Attributes
    ----------
    draw, unit, site : ndarray of int, shape (lanes,)
        ``unit`` is the simulated week, or the day of a stretch held out.
    agents : ndarray of int, shape (lanes, hours)
    arrival_s, service_s, patience_s : ndarray, shape (lanes, most customers of a lane)
        Arrival since the first hour, infinite where there is no customer.
    reason, channel : ndarray of int, shape (lanes, most customers of a lane)
    """

    draw: np.ndarray
    unit: np.ndarray
    site: np.ndarray
    agents: np.ndarray
    arrival_s: np.ndarray
    service_s: np.ndarray
    patience_s: np.ndarray
    reason: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True, eq=False)
class Service:
    """A service as its log and its staffing show it: what simulated days are drawn from.

    Not an answer, so not a `Finding`: `learn` makes it, and the questions take it.

    Attributes
    ----------
    grid, arrivals, pool, patience, roster
        What was learnt, see each class.
    block : ndarray of int, shape (dates,)
        Week (or day) of the log to which each date of the roster belongs.
    resampled : str
        What a parameter draw resamples: ``weeks`` or ``days``.
    calendar : Calendar
    until : Timestamp
        The log was read up to this moment.
    span : str
        First and last day learnt from.
    contacts, set_aside : int
        Rows learnt from, and rows left out because they are impossible.
    open_days_per_year : float
    """

    grid: Grid
    arrivals: Arrivals
    pool: Pool
    patience: Patience
    roster: Roster
    block: np.ndarray
    resampled: str
    calendar: Calendar
    until: pd.Timestamp
    span: str
    contacts: int
    set_aside: int
    open_days_per_year: float

    def parameters(self, *, draws: int, rng: np.random.Generator) -> Parameters:
        """Draw what is not known: every week is given a random weight and all is estimated anew.

        Weights are Dirichlet, the Bayesian bootstrap (Rubin 1981, doi:10.1214/aos/1176345338):
        like resampling weeks, but none is ever left out altogether.
        """
        blocks = len(self.arrivals.counts)
        return _estimate(self, blocks * rng.dirichlet(np.ones(blocks), size=draws))

    def best(self) -> Parameters:
        """The one draw in which every week counts the same."""
        return _estimate(self, np.ones((1, len(self.arrivals.counts))))

    def typical_weeks(
        self, parameters: Parameters, *, weeks: int, rng: np.random.Generator
    ) -> Customers:
        """Draw whole weeks without a holiday, each day staffed as on a date of the log.

        The date is drawn from those of the same weekday with the weights of the parameter draw,
        and is the same for all sites.
        """
        weekday = np.tile(np.arange(len(self.grid.weekdays)), weeks)
        date = np.empty((len(parameters.weights), len(weekday)), int)
        for day in range(len(self.grid.weekdays)):
            dates = np.flatnonzero(self.roster.weekday == day)
            weight = parameters.weights[:, self.block[dates]].cumsum(axis=1)
            u = rng.random((len(weight), weeks)) * weight[:, -1:]
            date[:, weekday == day] = dates[(u[:, :, None] >= weight[:, None, :]).sum(axis=2)]
        week = np.repeat(np.arange(weeks), len(self.grid.weekdays))
        agents = self.roster.agents[date]
        return _customers(self, parameters, agents, weekday, week=week, unit=week, rng=rng)

    def serve(
        self, customers: Customers, *, agents: np.ndarray, service_factor: np.ndarray
    ) -> Simulated:
        """Let ``customers`` meet ``agents`` (lanes, hours), service multiplied lane by lane."""
        starts, ends = spells(agents)
        return simulate(
            customers.arrival_s,
            customers.service_s * service_factor[:, None],
            customers.patience_s,
            starts_s=starts,
            ends_s=ends,
        )


def learn(
    operations: pd.DataFrame,
    *,
    staffing: pd.DataFrame,
    calendar: Calendar,
    until: pd.Timestamp | None = None,
) -> Service:
    """Learn arrivals, service times, patience and resolution from the log of contacts.

    Parameters
    ----------
    operations : DataFrame, one row per contact
        Columns ``arrived`` (local time), ``site``, ``abandoned``, ``wait_s``, ``service_s``; used
        if there: ``contact`` (copies are set aside), ``reason``, ``channel``, ``resolved``.
    staffing : DataFrame
        ``date``, ``hour`` (of the local day), ``site``, ``agents`` on duty; an hour that is not
        there has nobody.
    calendar : Calendar
        Opening hours and worked days; contacts outside them are set aside.
    until : Timestamp, optional
        Learn from contacts that arrived before this moment.

    Returns
    -------
    Service

    Raises
    ------
    Problem
        If a column is missing, or nobody is on duty in hours in which customers come.
    Refusal
        If there are fewer than ten open days, or nobody ever leaves and the agents of a site
        would be busy more than always.

    Notes
    -----
    Arrivals: Poisson within an hour, with rate site x weekday-and-hour; from that common pattern
    a site's own hours depart only as far as they differ by more than chance (gamma-Poisson
    shrinkage).  Random gamma factors of week, date and site-day carry the variation beyond
    Poisson; their variances come from moments.  Service times are resampled from the site's own
    contacts together with reason and channel, and multiplied by a random factor of the
    site-day, which stands for the team on duty.  Patience is Weibull, fitted by maximum
    likelihood to the waits of everybody, where being served ends the observation [1]_.  A day
    starts empty: a queue that lasts through the night is not modelled.

    References
    ----------
    .. [1] Brown, L., Gans, N., Mandelbaum, A., Sakov, A., Shen, H., Zeltyn, S., Zhao, L. (2005).
       Statistical analysis of a telephone call center. Journal of the American Statistical
       Association 100, 36-50. doi:10.1198/016214504000001808
    """
    log, aside = _usable(operations, calendar=calendar, until=until)
    days = log["date"].nunique()
    if days < FEWEST_DAYS:
        left_out = (
            f" ({aside:,} contacts have a blank or lie outside opening hours)" if aside else ""
        )
        raise Refusal(
            f"A queue cannot be learnt from {days} open days of contacts{left_out}.",
            f"give a log of {FEWEST_DAYS} days or more, better of {FEWEST_WEEKS} weeks, and see"
            " that data.calendar says when the service is open.",
        )
    if unserved := sorted(set(log["site"]) - set(log.loc[log["abandoned"].eq(False), "site"])):
        raise Refusal(
            f"Nobody was served at {', '.join(map(str, unserved[:5]))}, so that nothing is known of"
            " service times there.",
            "check `abandoned` and `service_s`, or leave such sites out.",
        )
    grid = _grid(log, calendar)
    roster = _roster(staffing, grid, log["date"].min(), log["date"].max())
    log, off_duty = _on_duty(_placed(log, grid, roster), roster)
    block, resampled = _blocks(roster.date, calendar)
    log = log.assign(block=block[log["day"]])
    service = Service(
        grid=grid,
        arrivals=_arrivals(log, grid, roster, block),
        pool=_pool(log, grid, block.max() + 1),
        patience=_patience(log, block.max() + 1),
        roster=roster,
        block=block,
        resampled=resampled,
        calendar=calendar,
        until=log["arrived"].max() if until is None else pd.Timestamp(until),
        span=span_words(log["arrived"]),
        contacts=len(log),
        set_aside=aside + off_duty,
        open_days_per_year=_open_days(calendar, log["date"]),
    )
    _need_queue_that_ends(service)
    return service


def _usable(operations, *, calendar: Calendar, until) -> tuple[pd.DataFrame, int]:
    """Contacts that can have happened, with their date and hour, and how many cannot."""
    needed = ["arrived", "site", "abandoned", "wait_s", "service_s"]
    need_columns(operations, needed, source="operations")
    log = operations.assign(arrived=local(operations["arrived"]))
    if until is not None:
        log = log[~(log["arrived"] >= pd.Timestamp(until))]
    log = log.assign(date=log["arrived"].dt.normalize(), hour=log["arrived"].dt.hour)
    time = log["hour"] + log["arrived"].dt.minute / 60
    worked = log["date"].dt.day_of_week.isin([DAYS.index(day) for day in calendar.days])
    worked &= ~log["date"].isin(pd.to_datetime(list(calendar.holidays)))
    longest_s = (calendar.closes - calendar.opens) * HOUR_S
    good = (
        log[["arrived", "site", "abandoned", "wait_s"]].notna().all(axis=1)
        & worked
        & time.between(calendar.opens, calendar.closes, inclusive="left")
        & log["wait_s"].between(0, longest_s)
        & (log["abandoned"].eq(True) | log["service_s"].gt(0)).fillna(False)
    )
    if "contact" in log:
        good &= ~log["contact"].duplicated() | log["contact"].isna()
    return log[good].reset_index(drop=True), int((~good).sum())


def _grid(log: pd.DataFrame, calendar: Calendar) -> Grid:
    return Grid(
        sites=_levels(log, "site"),
        reasons=_levels(log, "reason"),
        channels=_levels(log, "channel"),
        weekdays=tuple(sorted(log["date"].dt.day_of_week.unique().tolist())),
        hours=tuple(range(int(calendar.opens), int(np.ceil(calendar.closes)))),
    )


def _levels(log: pd.DataFrame, column: str) -> tuple[str, ...]:
    return tuple(sorted(_text(log, column).unique().tolist()))


def _text(log: pd.DataFrame, column: str) -> pd.Series:
    if column not in log:
        return pd.Series(BLANK, index=log.index)
    return log[column].astype("str").where(log[column].notna(), BLANK)


def _roster(staffing: pd.DataFrame, grid: Grid, first, last) -> Roster:
    """Lay the staffing table out by date, site and hour."""
    need_columns(staffing, ["date", "hour", "site", "agents"], source="staffing")
    _need_sound_staffing(staffing)
    table = staffing.assign(date=local(pd.to_datetime(staffing["date"])).dt.normalize())
    table = table[table["date"].between(first, last) & table["agents"].gt(0)]
    table = table[table["date"].dt.day_of_week.isin(grid.weekdays)]
    table = table[table["site"].isin(grid.sites) & table["hour"].isin(grid.hours)]
    dates = pd.DatetimeIndex(sorted(table["date"].unique()))
    agents = np.zeros((len(dates), len(grid.sites), len(grid.hours)), int)
    place = (
        dates.get_indexer(table["date"]),
        pd.Index(grid.sites).get_indexer(table["site"].astype("str")),
        table["hour"].to_numpy(int) - grid.hours[0],
    )
    agents[place] = table["agents"].to_numpy(int)
    return Roster(agents, dates, pd.Index(grid.weekdays).get_indexer(dates.day_of_week))


def _need_sound_staffing(staffing: pd.DataFrame) -> None:
    wrong = staffing[~staffing["agents"].ge(0).fillna(False)]
    if len(wrong):
        raise Problem(
            f"staffing: {len(wrong)} rows have a negative or missing number of agents"
            f" (first rows: {first_rows(wrong)}).",
            "write 0 where nobody is on duty.",
        )
    twice = staffing[staffing.duplicated(["date", "hour", "site"])]
    if len(twice):
        raise Problem(
            f"staffing: {len(twice)} rows name a site, date and hour again"
            f" (first rows: {first_rows(twice)}).",
            "add overlapping shifts up, so that each hour of a site has one row.",
        )


def _placed(log: pd.DataFrame, grid: Grid, roster: Roster) -> pd.DataFrame:
    """Give each contact its places in the grid; ``day`` is -1 where the roster has no such date."""
    return log.assign(
        s=pd.Index(grid.sites).get_indexer(_text(log, "site")),
        r=pd.Index(grid.reasons).get_indexer(_text(log, "reason")),
        c=pd.Index(grid.channels).get_indexer(_text(log, "channel")),
        d=pd.Index(grid.weekdays).get_indexer(log["date"].dt.day_of_week),
        h=log["hour"].to_numpy() - grid.hours[0],
        day=roster.date.get_indexer(log["date"]),
        left=log["abandoned"].astype(bool),
        wait_s=log["wait_s"].astype(float),
        service_s=log["service_s"].astype(float),
    )


def _on_duty(log: pd.DataFrame, roster: Roster) -> tuple[pd.DataFrame, int]:
    """Set aside site-days without staffing; insist on staff in nearly all hours with customers."""
    on = np.zeros(len(log), int)
    known = log["day"].to_numpy() >= 0
    on[known] = roster.agents[tuple(log.loc[known, ["day", "s", "h"]].to_numpy().T)]
    alone = log[on == 0]
    if len(alone) > 0.01 * len(log):
        first = alone.iloc[0]
        raise Problem(
            f"staffing has nobody on duty in hours in which {len(alone)} of {len(log)} contacts"
            f" came (first: {first['site']}, {first['date']:%Y-%m-%d}, {first['hour']} o'clock).",
            "complete the staffing table, or narrow the opening hours in `data`.",
        )
    staffed = np.zeros(len(log), bool)
    staffed[known] = roster.agents.any(axis=2)[tuple(log.loc[known, ["day", "s"]].to_numpy().T)]
    return log[staffed].reset_index(drop=True), int((~staffed).sum())


def _blocks(dates: pd.DatetimeIndex, calendar: Calendar) -> tuple[np.ndarray, str]:
    weeks = week_of(pd.Series(dates), calendar=calendar)
    if weeks.nunique() >= FEWEST_WEEKS:
        return pd.factorize(weeks)[0], "weeks"
    return np.arange(len(dates)), "days"


def _open_days(calendar: Calendar, dates: pd.Series) -> float:
    """Open days in an average year: of its worked weekdays the share that the log has."""
    span = pd.date_range(dates.min(), dates.max())
    worked = span.day_of_week.isin([DAYS.index(day) for day in calendar.days]).sum()
    return dates.nunique() / worked * len(calendar.days) / 7 * 365.25


def _tally(log: pd.DataFrame, columns: list[str], shape: tuple[int, ...], of=None) -> np.ndarray:
    """Count rows (or add up the column ``of``) by the places they have in an array."""
    place = np.ravel_multi_index(tuple(log[columns].to_numpy(int).T), shape)
    weight = None if of is None else log[of].to_numpy(float)
    return np.bincount(place, weights=weight, minlength=int(np.prod(shape))).reshape(shape)


def _arrivals(log: pd.DataFrame, grid: Grid, roster: Roster, block: np.ndarray) -> Arrivals:
    shape = (block.max() + 1, len(grid.sites), len(grid.weekdays), len(grid.hours))
    counts = _tally(log, ["block", "s", "d", "h"], shape).astype(float)
    site_days = np.zeros(shape[:3])
    open_ = roster.agents.any(axis=2)
    np.add.at(site_days.transpose(0, 2, 1), (block, roster.weekday), open_)
    plain = Arrivals(counts, site_days)
    expected = _rates(plain, np.ones((1, shape[0])))[0]
    daily = expected.sum(axis=2).T[roster.weekday] * open_  # (dates, sites)
    seen = _tally(log, ["day", "s"], daily.shape)
    spread = _spread(seen, daily, block)
    total, days = counts.sum(axis=0), site_days.sum(axis=0)[:, :, None]
    fitted = expected * days
    beyond = ((total - fitted) ** 2 - fitted).sum() / (fitted**2).sum()
    beyond -= sum(spread) * (fitted**2 / np.maximum(days, 1)).sum() / (fitted**2).sum()
    return replace(plain, spread=spread, strength=1 / beyond if beyond > 0 else np.inf)


def _spread(seen: np.ndarray, expected: np.ndarray, block: np.ndarray) -> tuple[float, ...]:
    """Variances of the factors of week, date and site-day, by moments, none below zero."""
    error = seen - expected
    own = ((error**2 - seen).sum()) / (expected**2).sum()
    date = _shared(error.T, expected.T)
    by_date = pd.DataFrame({"e": error.sum(axis=1), "m": expected.sum(axis=1), "b": block})
    squares = by_date.assign(e=by_date["e"] ** 2, m=by_date["m"] ** 2).groupby("b").sum().sum()
    sums = (by_date.groupby("b").sum() ** 2).sum()
    pairs = sums["m"] - squares["m"]
    week = max((sums["e"] - squares["e"]) / pairs, 0.0) if pairs > 0 else 0.0
    return float(week), float(max(date - week, 0.0)), float(max(own - max(date, week), 0.0))


def _shared(error: np.ndarray, expected: np.ndarray) -> float:
    """Covariance between the rows of a column, relative to what was expected."""
    pairs = (expected.sum(axis=0) ** 2 - (expected**2).sum(axis=0)).sum()
    if pairs <= 0:
        return 0.0
    return max(float((error.sum(axis=0) ** 2 - (error**2).sum(axis=0)).sum() / pairs), 0.0)


def _rates(arrivals: Arrivals, weights: np.ndarray) -> np.ndarray:
    """Contacts expected in an hour, (draws, sites, weekdays, hours), for each set of weights."""
    counts = np.tensordot(weights, arrivals.counts, 1)
    days = np.tensordot(weights, arrivals.site_days, 1)
    level = counts.sum(axis=(2, 3)) / np.maximum(days.sum(axis=2), 1e-9)
    for _ in range(3):  # alternate until the margins of sites and of hours are both met
        exposure = np.maximum((level[:, :, None] * days).sum(axis=1), 1e-9)
        pattern = counts.sum(axis=1) / exposure[:, :, None]
        exposure = np.maximum((days * pattern.sum(axis=2)[:, None, :]).sum(axis=2), 1e-9)
        level = counts.sum(axis=(2, 3)) / exposure
    rate = level[:, :, None, None] * pattern[:, None, :, :]
    if np.isinf(arrivals.strength):
        return rate
    fitted = rate * days[:, :, :, None]
    return rate * (counts + arrivals.strength) / (fitted + arrivals.strength)


def _pool(log: pd.DataFrame, grid: Grid, blocks: int) -> Pool:
    log = log.sort_values(["s", "block", "arrived"], kind="stable", ignore_index=True)
    shape = (blocks, len(grid.sites), len(grid.reasons))
    size = _tally(log, ["s", "block"], (shape[1], blocks))
    talk = _with_donors(log)
    served = log[~log["left"]]
    resolved = np.full(shape, np.nan)
    if "resolved" in log and served["resolved"].notna().any():
        served = served[served["resolved"].notna()]
        resolved = _tally(served, ["block", "s", "r"], shape, of="resolved")
    return Pool(
        start=(size.cumsum() - size.ravel()).reshape(size.shape),
        size=size,
        service_s=talk,
        reason=log["r"].to_numpy(),
        channel=log["c"].to_numpy(),
        pace=_pace(log[~log["left"]]),
        served=_tally(served, ["block", "s", "r"], shape),
        resolved=resolved,
    )


def _with_donors(log: pd.DataFrame) -> np.ndarray:
    """Service times; who left gets one of a served contact alike, spread evenly over them."""
    talk = log["service_s"].where(~log["left"]).to_numpy(float).copy()
    for alike in (["s", "r"], ["r"], []):
        missing = np.isnan(talk)
        if not missing.any():
            break
        groups = log.groupby(alike).indices if alike else {0: np.arange(len(log))}
        for rows in groups.values():
            want, have = rows[missing[rows]], np.sort(talk[rows[~missing[rows]]])
            if len(want) and len(have):
                at = (np.arange(len(want)) + 0.5) / len(want) * len(have)
                talk[want] = have[at.astype(int)]
    return talk


def _pace(served: pd.DataFrame) -> float:
    """Variance that contacts of one site-day share in the logarithm of their service times."""
    talk = np.log(served["service_s"])
    error = talk - talk.groupby([served["s"], served["r"]]).transform("mean")
    of_day = error.groupby([served["day"], served["s"]])
    sums, n = of_day.sum(), of_day.size()
    squares = (error**2).groupby([served["day"], served["s"]]).sum()
    pairs = float((n**2 - n).sum())
    return max(float((sums**2 - squares).sum()) / pairs, 0.0) if pairs else 0.0


def _patience(log: pd.DataFrame, blocks: int) -> Patience:
    waited = log["wait_s"].to_numpy()
    left = log["left"].to_numpy()
    t = np.where(left, np.maximum(waited, 0.5), waited) / PATIENCE_UNIT_S
    block = log["block"].to_numpy()
    with np.errstate(divide="ignore"):
        logs = np.log(t)
    return Patience(
        leavers=np.bincount(block, weights=left, minlength=blocks),
        log_sum=np.bincount(block[left], weights=logs[left], minlength=blocks),
        power_sum=np.column_stack(
            [np.bincount(block, weights=np.exp(k * logs), minlength=blocks) for k in SHAPES]
        ),
        survival=_kaplan_meier(waited, left),
        naive_s=float(waited[left].mean()) if left.any() else np.nan,
    )


def _kaplan_meier(waited: np.ndarray, left: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Share still waiting by time, Greenwood's 95 % interval on log(-log), at about 60 times."""
    time, place = np.unique(waited, return_inverse=True)
    leave = np.bincount(place, weights=left)
    at_risk = np.bincount(place)[::-1].cumsum()[::-1]
    use = (leave > 0) & (at_risk >= 30)  # the far tail rests on a handful of customers
    time, leave, at_risk = time[use], leave[use], at_risk[use]
    if not len(time):
        return (), (), (), ()
    share = np.cumprod(1 - leave / at_risk)
    greenwood = np.sqrt(np.cumsum(leave / (at_risk * np.maximum(at_risk - leave, 1))))
    half = 1.959964 * greenwood / -np.log(share)
    at = np.searchsorted(time, np.linspace(time[0], time[-1], 60), side="right") - 1
    columns = (time, share, share ** np.exp(half), share ** np.exp(-half))
    return tuple(tuple(column[np.unique(at)].tolist()) for column in columns)


def _estimate(service: Service, weights: np.ndarray) -> Parameters:
    """Everything that is estimated, once for each set of weights."""
    shape, scale = _weibull(service.patience, weights)
    return Parameters(
        weights=weights,
        rate=_rates(service.arrivals, weights),
        resolution=_resolution(service.pool, weights),
        patience_shape=shape,
        patience_s=scale,
    )


def _weibull(patience: Patience, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood with censoring: profile over the shapes tried, scale in closed form."""
    left, logs = weights @ patience.leavers, weights @ patience.log_sum
    if not patience.leavers.any():
        return np.ones(len(weights)), np.full(len(weights), np.inf)
    power = weights @ patience.power_sum / left[:, None]  # scale ** shape
    likelihood = left[:, None] * (np.log(SHAPES) - np.log(power)) + (SHAPES - 1) * logs[:, None]
    best = likelihood.argmax(axis=1).clip(1, len(SHAPES) - 2)
    row, step = np.arange(len(best)), np.log(SHAPES[1] / SHAPES[0])
    below, here, above = (likelihood[row, best + i] for i in (-1, 0, 1))
    # between the shapes tried both the likelihood and log(power) are near enough parabolas
    at = np.clip((below - above) / (2 * (below - 2 * here + above)), -1, 1)
    shape = SHAPES[best] * np.exp(at * step)
    below, here, above = (np.log(power[row, best + i]) for i in (-1, 0, 1))
    power = np.exp(here + at * (above - below) / 2 + at**2 * (below - 2 * here + above) / 2)
    return shape, PATIENCE_UNIT_S * power ** (1 / shape)


def _resolution(pool: Pool, weights: np.ndarray, *, worth: float = 20.0) -> np.ndarray:
    """Share resolved by site and reason, drawn to site x reason by ``worth`` contacts."""
    served = np.tensordot(weights, pool.served, 1)
    resolved = np.tensordot(weights, pool.resolved, 1)
    if np.isnan(resolved).any():
        return np.full(served.shape, np.nan)
    whole = [each.sum(axis=(1, 2), keepdims=True) for each in (resolved, served)]
    of_site = _ratio(resolved.sum(axis=2, keepdims=True), served.sum(axis=2, keepdims=True))
    of_reason = _ratio(resolved.sum(axis=1, keepdims=True), served.sum(axis=1, keepdims=True))
    usual = np.clip(_ratio(of_site * of_reason, _ratio(*whole)), 0, 1)
    return (resolved + worth * usual) / (served + worth)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1e-9)


def _need_queue_that_ends(service: Service) -> None:
    """Refuse a service whose agents could not keep up although nobody ever leaves."""
    if service.patience.leavers.any():
        return
    pool, roster = service.pool, service.roster
    work = np.array(
        [
            pool.service_s[a : a + n.sum()].sum()
            for a, n in zip(pool.start[:, 0], pool.size, strict=True)
        ]
    )
    busy = work / np.maximum(roster.agents.sum(axis=(0, 2)) * HOUR_S, 1)
    if (busy >= 1).any():
        raise Refusal(
            f"At {service.grid.sites[int(busy.argmax())]} the agents on duty would be busy"
            f" {busy.max():.0%} of their time and nobody leaves: such a queue grows without end.",
            "check the staffing table, and whether abandoned contacts are in the log.",
        )


# --- Simulated days -------------------------------------------------------------------------------


def _customers(service, parameters, agents, weekday, *, week, unit, rng) -> Customers:
    """Draw the customers of each draw, day and site; ``agents`` is (draws, days, sites, hours)."""
    draws, days, sites, hours = agents.shape
    mean = parameters.rate[:, :, weekday, :].transpose(0, 2, 1, 3)
    mean = (
        mean * (_factor(service, (draws, days, sites), week, rng) * agents.any(axis=3))[..., None]
    )
    count = rng.poisson(mean).reshape(-1, hours)
    lanes, number = len(count), count.sum(axis=1)
    draw, day, site = (each.ravel() for each in np.indices((draws, days, sites)))
    lane = np.repeat(np.arange(lanes), number)
    place = np.arange(len(lane)) - np.repeat(number.cumsum() - number, number)

    def laid(values: np.ndarray, fill: float) -> np.ndarray:
        table = np.full((lanes, max(int(number.max()), 1)), fill, dtype=values.dtype)
        table[lane, place] = values
        return table

    hour = np.repeat(np.tile(np.arange(hours), lanes), count.ravel())
    rows = _resample(service.pool, parameters.weights, draw[lane], site[lane], rng)
    pace = np.exp(np.sqrt(service.pool.pace) * rng.standard_normal(lanes) - service.pool.pace / 2)
    patience = rng.standard_exponential(len(lane)) ** (1 / parameters.patience_shape[draw[lane]])
    return Customers(
        draw=draw,
        unit=unit[day],
        site=site,
        agents=agents.reshape(-1, hours),
        arrival_s=np.sort(laid((hour + rng.random(len(lane))) * HOUR_S, np.inf), axis=1),
        service_s=laid(service.pool.service_s[rows] * pace[lane], 0.0),
        patience_s=laid(patience * parameters.patience_s[draw[lane]], 0.0),
        reason=laid(service.pool.reason[rows], 0),
        channel=laid(service.pool.channel[rows], 0),
    )


def _factor(service: Service, shape: tuple[int, int, int], week: np.ndarray, rng) -> np.ndarray:
    """What week, date and site-day multiply arrivals by, (draws, days, sites)."""
    draws, days, _ = shape
    of_week, of_date, of_site = service.arrivals.spread
    weeks = _gamma(of_week, (draws, week.max() + 1), rng)[:, week, None]
    return weeks * _gamma(of_date, (draws, days, 1), rng) * _gamma(of_site, shape, rng)


def _gamma(variance: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if variance < 1e-9:
        return np.ones(shape)
    return rng.gamma(1 / variance, variance, shape)


def _resample(pool: Pool, weights: np.ndarray, draw, site, rng) -> np.ndarray:
    """One row of the pool for each customer, from the site's own contacts, weeks as weighted."""
    blocks = weights.shape[1]
    mass = (weights[:, None, :] * pool.size).reshape(-1, blocks)
    edge = mass.ravel().cumsum()
    group = draw * len(pool.size) + site
    begin = np.append(0.0, edge[blocks - 1 :: blocks])
    at = begin[group] + rng.random(len(group)) * mass.sum(axis=1)[group]
    block = np.searchsorted(edge, at, side="right") - group * blocks
    block = np.clip(block, 0, blocks - 1)  # rounding at the very edge of a group
    size = pool.size[site, block]
    return pool.start[site, block] + (rng.random(len(group)) * size).astype(int)


# --- Question one: what was learnt? ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Calibration(Finding):
    """What a queue built from the log is made of.

    Attributes
    ----------
    table : DataFrame, one row per quantity and group
        ``quantity``, ``group`` (a site, a reason or ``all``), ``unit``, ``estimate, low, high``.
    patience_median_s, low, high : float
        Time after which half of the customers would have hung up if nobody answered.
    shape : float
        Weibull shape of patience; 1: people leave at a steady rate, below 1: mostly early.
    naive_patience_s : float
        Mean wait of those who hung up: the mistake, shown beside.
    day_variation : float
        Coefficient of variation of a site's day beyond Poisson.
    confidence : float
    contacts, set_aside, blocks : int
        Rows used, rows left out as impossible, weeks (or days) resampled.
    span, resampled : str
    curve_s, curve_share, curve_low, curve_high : tuple of float
        Kaplan-Meier estimate of patience with its 95 % interval, the picture's line.
    """

    patience_median_s: float
    low: float
    high: float
    shape: float
    naive_patience_s: float
    day_variation: float
    confidence: float
    contacts: int
    set_aside: int
    blocks: int
    span: str
    resampled: str
    curve_s: tuple[float, ...]
    curve_share: tuple[float, ...]
    curve_low: tuple[float, ...]
    curve_high: tuple[float, ...]

    def sentence(self) -> str:
        """Say how patient customers are and what the queue was learnt from."""
        return (
            f"{self._patience_words()}\n{self._naive_words()}"
            f"The queue was learnt from {self.contacts:,} contacts, {self.span}"
            f" ({self.set_aside:,} impossible ones set aside)."
            f" A site's day varies by {self.day_variation:.0%} around its usual number of contacts,"
            f" beyond pure chance; intervals come from re-weighting {self.blocks}"
            f" {self.resampled}, and staff on duty is taken from the staffing table as it stands."
        )

    def _patience_words(self) -> str:
        if np.isnan(self.naive_patience_s):
            return "Nobody hung up, so patience has no limit in this queue."
        half = spell(
            self.patience_median_s / 60,
            self.low / 60,
            self.high / 60,
            confidence=self.confidence,
            digits=1,
            unit="minutes",
        )
        return (
            f"If nobody answered, half of the customers would have hung up after {half}"
            f"{self._beyond()}."
        )

    def _beyond(self) -> str:
        """Whether half of them is more than was ever seen."""
        seen = min(self.curve_share, default=1.0)
        return "" if seen <= 0.5 else ", beyond the waits seen: extrapolated from the fitted curve"

    def _naive_words(self) -> str:
        if np.isnan(self.naive_patience_s):
            return ""
        return (
            "That counts those who were answered before they lost patience; the plain mean wait of"
            f" those who hung up, {self.naive_patience_s / 60:.1f} minutes, leaves them out and"
            " makes customers look less patient than they are. "
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw who would still be waiting by time: seen, fitted, and the naive mistake."""
        ax = look.axes(ax)
        minutes = np.array(self.curve_s) / 60
        ax.step(minutes, self.curve_share, where="post", color=look.MEANING["usual"], label="seen")
        ax.fill_between(
            minutes, self.curve_low, self.curve_high, step="post", alpha=0.2,
            color=look.MEANING["usual"], lw=0,
        )  # fmt: skip
        if len(minutes):
            grid = np.linspace(0, minutes.max(), 100)
            halves = (grid * 60 / self.patience_median_s) ** self.shape
            ax.plot(grid, 0.5**halves, "--", color=look.MEANING["better"], label="fitted")
            naive = np.exp(-grid * 60 / self.naive_patience_s)
            ax.plot(
                grid, naive, ":", color=look.MEANING["worse"], label="from those who hung up alone"
            )
            ax.legend(frameon=False)
        ax.set_ylim(0, 1.02)
        return look.label(
            ax,
            title="How patient are customers?",
            x="time without an answer (minutes)",
            y="share who would still wait",
        )


def calibrate(
    service: Service,
    *,
    draws: int = 400,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> Calibration:
    """Show what was learnt from the log, each quantity with its interval.

    Parameters
    ----------
    service : Service
        What `learn` returned.
    draws : int, default 400
        Bayesian bootstrap draws of whole weeks for the intervals.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    Calibration

    Notes
    -----
    Quantiles of the draws.  Median of patience: scale * log(2) ** (1 / shape).
    """
    need_share(confidence, name="confidence")
    best, drawn = service.best(), service.parameters(draws=draws, rng=rng)
    rows = [
        {"quantity": quantity, "group": group, "unit": unit, "estimate": _finite(found[0])}
        | _limits(drawn_values, confidence)
        for quantity, group, unit, found, drawn_values in _quantities_learnt(service, best, drawn)
    ]
    table = pd.DataFrame(rows)
    median = table[table["quantity"].eq("patience, median")].iloc[0]
    return Calibration(
        table=table,
        patience_median_s=float(median["estimate"]),
        low=float(median["low"]),
        high=float(median["high"]),
        shape=float(best.patience_shape[0]),
        naive_patience_s=service.patience.naive_s,
        day_variation=float(np.sqrt(sum(service.arrivals.spread))),
        confidence=confidence,
        contacts=service.contacts,
        set_aside=service.set_aside,
        blocks=len(service.arrivals.counts),
        span=service.span,
        resampled=service.resampled,
        curve_s=service.patience.survival[0],
        curve_share=service.patience.survival[1],
        curve_low=service.patience.survival[2],
        curve_high=service.patience.survival[3],
    )


def _finite(value: float) -> float:
    """Endless patience is no number that a table can hold."""
    return float(value) if np.isfinite(value) else np.nan


def _limits(values: np.ndarray, confidence: float) -> dict[str, float]:
    if not np.isfinite(values).all():
        return {"low": np.nan, "high": np.nan}
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"low": float(low), "high": float(high)}


def _quantities_learnt(service: Service, best: Parameters, drawn: Parameters):
    """Name, group, unit, best estimate and draws of each quantity that the table shows."""
    sites, both = service.grid.sites, (best, drawn)
    for s, site in enumerate(sites):
        a_day = [_a_day(service, each)[:, s] for each in both]
        yield "contacts a day", site, "contacts", *a_day
    for s, site in enumerate(sites):
        yield "service time, mean", site, "s", *(_mean_service(service, each, s) for each in both)
    for r, reason in enumerate(service.grid.reasons):
        weight = service.pool.served.sum(axis=0)[:, r]
        share = [
            np.average(each.resolution[:, :, r], axis=1, weights=weight + 1e-9) for each in both
        ]
        yield "resolved, share of served", reason, "share", *share
    median = [each.patience_s * np.log(2) ** (1 / each.patience_shape) for each in both]
    yield "patience, median", "all", "s", *median
    mean = [
        each.patience_s * np.array([gamma_function(1 + 1 / k) for k in each.patience_shape])
        for each in both
    ]
    yield "patience, mean (beyond the waits seen: extrapolated)", "all", "s", *mean
    yield "patience, Weibull shape", "all", "", *(each.patience_shape for each in both)
    naive = np.full(1, service.patience.naive_s)
    yield "mean wait of those who hung up (not patience)", "all", "s", naive, np.full(1, np.nan)


def _a_day(service: Service, parameters: Parameters) -> np.ndarray:
    """Contacts of an average open day, (draws, sites)."""
    days = service.arrivals.site_days.sum(axis=0)
    return (parameters.rate.sum(axis=3) * days).sum(axis=2) / np.maximum(days.sum(axis=1), 1)


def _mean_service(service: Service, parameters: Parameters, s: int) -> np.ndarray:
    """Mean service time of one site under each set of weights."""
    pool = service.pool
    first, size = pool.start[s, 0], pool.size[s]
    block = np.repeat(np.arange(len(size)), size)
    talk = np.bincount(block, pool.service_s[first : first + size.sum()], minlength=len(size))
    return (parameters.weights @ talk) / np.maximum(parameters.weights @ size, 1e-9)


# --- Question two: may we believe it? -------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Gate(Finding):
    """Whether the queue foretold a stretch that it had not seen.

    Attributes
    ----------
    table : DataFrame, one row per quantity and stretch
        ``quantity``, ``stretch`` (``all``, or the Monday of a week), ``unit``, ``estimate, low,
        high`` as predicted, ``actual``, ``inside`` (bool), ``near`` (bool: within the tolerance).
        Limits of ``all`` hold for the four quantities together, those of a week one by one.
    open : bool
        Whether what-ifs may be shown.
    band : float
        Chance that a right model has all four quantities of ``all`` inside.
    tolerance : float
        Relative error that is near enough although outside.
    wait_error, abandon_error : float
        Relative error of mean wait and of abandonment beyond what chance explains; what-ifs add it.
    contacts, days, draws, learnt_from : int
    limit_s : float
        The wait that is counted as long.
    learnt, foretold : str
        First and last day of the two stretches.
    """

    open: bool
    band: float
    tolerance: float
    wait_error: float
    abandon_error: float
    contacts: int
    days: int
    draws: int
    learnt_from: int
    limit_s: float
    learnt: str
    foretold: str

    def sentence(self) -> str:
        """Say plainly whether what-ifs may be shown, and why."""
        whole = self._whole()
        wait = whole.loc["mean_wait_s"]
        seen = (
            f"Foretold for {self.days} days it had not seen: a mean wait of"
            f" {wait['estimate']:.0f} s (joint {self.band:.0%} band {wait['low']:.0f} to"
            f" {wait['high']:.0f}), where {wait['actual']:.0f} s came."
        )
        return (
            f"{self._verdict(whole)} {seen}\nThe queue was learnt from {self.learnt_from:,}"
            f" contacts ({self.learnt}) and asked for {self.contacts:,} later ones"
            f" ({self.foretold}), arrivals included."
        )

    def _verdict(self, whole: pd.DataFrame) -> str:
        failed = whole[~whole["inside"] & ~whole["near"]]
        if len(failed):
            words = "; ".join(
                f"{QUANTITIES[name][0]}: foretold {_figure(name, row['low'])} to"
                f" {_figure(name, row['high'])}, came {_figure(name, row['actual'])}"
                for name, row in failed.iterrows()
            )
            return f"The gate stays shut and no what-if may be shown ({words})."
        near = whole[~whole["inside"]]
        outside = (
            f"{', '.join(QUANTITIES[name][0] for name in near.index)} outside the band but within"
            f" the tolerance of {self.tolerance:.0%}, the others inside"
            if len(near)
            else "all four quantities lie inside bands that a right model meets together"
            f" {self.band * 100:.0f} times in 100"
        )
        return f"The gate is open, what-ifs may be shown: {outside}."

    def _whole(self) -> pd.DataFrame:
        return self.table[self.table["stretch"].eq("all")].set_index("quantity")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what came over what was foretold, with the band, and week by week behind it."""
        ax = look.axes(ax)
        whole = self._whole()
        for row, (name, each) in enumerate(whole.iterrows()):
            scale = each["estimate"] or 1.0
            ax.plot(
                [each["low"] / scale, each["high"] / scale], [row, row], lw=9, alpha=0.35,
                color=look.MEANING["limit"], solid_capstyle="butt",
            )  # fmt: skip
            weeks = self.table[self.table["quantity"].eq(name) & self.table["stretch"].ne("all")]
            ratio = weeks["actual"] / weeks["estimate"].where(weeks["estimate"] > 0)
            ax.plot(ratio, np.full(len(weeks), row + 0.25), "|", ms=7, color=look.MEANING["usual"])
            good = bool(each["inside"] or each["near"])
            what = "usual" if good else "worse"
            ax.plot(each["actual"] / scale, row, look.MARKER[what], color=look.MEANING[what], ms=8)
        ax.axvline(1, color=look.MEANING["limit"], lw=1)
        ax.set_yticks(range(len(whole)), [QUANTITIES[name][0] for name in whole.index])
        ax.set_ylim(len(whole) - 0.4, -0.6)
        return look.label(
            ax,
            title="Did the queue foretell weeks it had not seen?",
            x=f"came / foretold (grey: joint {self.band:.0%} band; ticks: single weeks)",
        )


def _figure(name: str, value: float) -> str:
    unit = QUANTITIES[name][1]
    return f"{value:.1%}" if unit == "share" else f"{value:.0f} {unit}"


def held_out(
    service: Service,
    operations: pd.DataFrame,
    *,
    staffing: pd.DataFrame,
    limit_s: float,
    until: pd.Timestamp | None = None,
    draws: int = 400,
    band: float = 0.9,
    tolerance: float = 0.1,
    rng: np.random.Generator,
) -> Gate:
    """Foretell the days after those learnt from, and compare with what came.

    Parameters
    ----------
    service : Service
        What `learn` returned.
    operations, staffing : DataFrame
        As for `learn`; rows before ``service.until`` are ignored.
    limit_s : float
        The wait that counts as long, in seconds.
    until : Timestamp, optional
        Compare with contacts that arrived before this moment.
    draws : int, default 400
    band : float, default 0.9
        Chance with which a right model should pass.
    tolerance : float, default 0.1
        Relative error of a quantity that is accepted although it lies outside the band.
    rng : Generator

    Returns
    -------
    Gate

    Raises
    ------
    Problem
        If nobody is on duty in hours in which customers come.
    Refusal
        If fewer than five days are held out, or a site opened since.

    Notes
    -----
    Each draw has its own parameters (Bayesian bootstrap of weeks), its own random days and its
    own customers; staffing is as it was.  The limits of the four quantities are quantiles at one
    common level, the level at which a share ``band`` of the draws has all four inside.
    """
    need_share(band, name="band")
    log, roster = _later(service, operations, staffing, until)
    weekday = roster.weekday
    week = pd.factorize(week_of(pd.Series(roster.date), calendar=service.calendar))
    parameters = service.parameters(draws=draws, rng=rng)
    drawn = np.concatenate(
        [
            _foretold(
                service, parameters.part(first, first + 5), roster, weekday, week[0], limit_s, rng
            )
            for first in range(0, draws, 5)
        ]
    )
    seen = _seen(log, len(roster.date), limit_s)
    table = _comparison(drawn, seen, week, band=band, tolerance=tolerance)
    whole = table[table["stretch"].eq("all")].set_index("quantity")
    values = _four(drawn)
    return Gate(
        table=table,
        open=bool((whole["inside"] | whole["near"]).all()),
        band=band,
        tolerance=tolerance,
        wait_error=_error_beyond_chance(values[:, 1], whole.loc["mean_wait_s", "actual"]),
        abandon_error=_error_beyond_chance(values[:, 2], whole.loc["abandoned", "actual"]),
        contacts=len(log),
        days=len(roster.date),
        draws=draws,
        learnt_from=service.contacts,
        limit_s=float(limit_s),
        learnt=service.span,
        foretold=span_words(log["arrived"]),
    )


def _later(service: Service, operations, staffing, until) -> tuple[pd.DataFrame, Roster]:
    """The log and the roster of the days held out."""
    arrived = local(operations["arrived"])
    later = operations[arrived >= service.until]
    log, _ = _usable(later, calendar=service.calendar, until=until)
    if log["date"].nunique() < 5:
        raise Refusal(
            f"Only {log['date'].nunique()} open days come after {service.until:%Y-%m-%d}.",
            "hold five days or more out of the calibration, better four weeks.",
        )
    new = sorted(set(_text(log, "site")) - set(service.grid.sites))
    if new:
        raise Refusal(
            f"{', '.join(new)} had no contact in the days that were learnt from.",
            "leave the site out, or learn from days in which it was open.",
        )
    roster = _roster(staffing, service.grid, log["date"].min(), log["date"].max())
    log, _ = _on_duty(_placed(log, service.grid, roster), roster)
    return log, roster


def _foretold(service, parameters, roster, weekday, week, limit_s, rng) -> np.ndarray:
    """Contacts, seconds waited, abandoned and long waits, (draws, days, 4)."""
    draws, days = len(parameters.weights), len(weekday)
    agents = np.broadcast_to(roster.agents, (draws, *roster.agents.shape))
    customers = _customers(
        service, parameters, agents, weekday, week=week, unit=np.arange(days), rng=rng
    )
    done = service.serve(
        customers, agents=customers.agents, service_factor=np.ones(len(customers.site))
    )
    there = np.isfinite(customers.arrival_s)
    wait = np.where(there, done.wait_s, 0.0)
    sums = [there, wait, there & ~done.served, wait > limit_s]
    lanes = np.stack([each.sum(axis=1) for each in sums], axis=1)
    return lanes.reshape(draws, days, -1, 4).sum(axis=2)


def _seen(log: pd.DataFrame, days: int, limit_s: float) -> np.ndarray:
    """The same four sums from the log, (1, days, 4)."""
    each = log.assign(one=1.0, long=log["wait_s"] > limit_s)
    columns = [_tally(each, ["day"], (days,), of=of) for of in ("one", "wait_s", "left", "long")]
    return np.stack(columns, axis=1)[None]


def _four(sums: np.ndarray) -> np.ndarray:
    """The four quantities of a stretch from its daily sums, (draws, 4)."""
    contacts, *others = np.moveaxis(sums.sum(axis=1), -1, 0)
    some = np.maximum(contacts, 1)
    return np.stack([contacts / sums.shape[1], *(other / some for other in others)], axis=1)


def _comparison(drawn, seen, week, *, band: float, tolerance: float) -> pd.DataFrame:
    """Predicted and actual, for the whole stretch and for each of its weeks."""
    stretches = {"all": np.ones(drawn.shape[1], bool)}
    stretches |= {f"{monday:%Y-%m-%d}": week[0] == i for i, monday in enumerate(week[1])}
    rows = []
    for stretch, days in stretches.items():
        values, actual = _four(drawn[:, days]), _four(seen[:, days])[0]
        level = _joint_level(values, band) if stretch == "all" else (1 - band) / 2
        low, high = np.quantile(values, [level, 1 - level], axis=0)
        for q, (name, (_, unit)) in enumerate(QUANTITIES.items()):
            middle = values[:, q].mean()
            rows.append(
                {
                    "quantity": name,
                    "stretch": stretch,
                    "unit": unit,
                    "estimate": float(middle),
                    "low": float(low[q]),
                    "high": float(high[q]),
                    "actual": float(actual[q]),
                    "inside": bool(low[q] <= actual[q] <= high[q]),
                    "near": bool(abs(actual[q] - middle) <= tolerance * middle),
                }
            )
    return pd.DataFrame(rows)


def _joint_level(values: np.ndarray, band: float) -> float:
    """Tail level at which a share ``band`` of the rows has every column inside its own limits."""
    n = len(values)
    rank = values.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") + 1
    depth = np.minimum(rank, n + 1 - rank).min(axis=1) / (n + 1)
    return float(np.quantile(depth, 1 - band))


def _error_beyond_chance(values: np.ndarray, actual: float) -> float:
    """Relative error of the prediction that its own spread does not explain."""
    middle = values.mean()
    if middle <= 0:
        return 0.0
    error = (actual - middle) / middle
    return float(np.sqrt(max(error**2 - (values.std() / middle) ** 2, 0.0)))
