"""What does a service's own log teach about its customers and its agents?"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from sqm.checks import Refusal
from sqm.clock import DAYS, Calendar, span_words, week_of
from sqm.contact_log import Aside, Grid, aside_words, grid_of, placed, tally, usable_log
from sqm.finding import counted
from sqm.patience import Patience, learn_patience, weibull
from sqm.queue_engine import HOUR_S, Simulated, simulate, spells
from sqm.roster import Roster, on_duty, roster_of

FEWEST_WEEKS = 8  # below this, days and not weeks are resampled
FEWEST_DAYS = 10
DRAWS_AT_ONCE = 5  # small arrays stay in the processor's cache
CUSTOMERS_AT_ONCE = 500_000


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
    seen, expected : ndarray, shape (dates, sites)
        Contacts of a site's day, and what the pattern of the week lets expect; the same pattern
        took ``spent`` numbers to describe.
    spent : int
    """

    counts: np.ndarray
    site_days: np.ndarray
    seen: np.ndarray
    expected: np.ndarray
    spent: int
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
    left : ndarray of bool, shape (contacts,)
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
    left: np.ndarray
    pace: float
    served: np.ndarray
    resolved: np.ndarray


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
    outcome : ndarray, shape (dates, 2)
        Seconds waited, and contacts that hung up, of each date of the roster.
    aside : tuple of (str, int)
        Why rows were left out, and how many for each reason.
    alone : int
        Contacts learnt from that came in an hour with nobody on duty.
    quiet_hours : tuple of int
        Opening hours in which no contact ever came.
    empty_days : int
        Staffed dates between the first and the last on which no contact came.
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
    outcome: np.ndarray
    aside: Aside
    alone: int
    quiet_hours: tuple[int, ...]
    empty_days: int
    open_days_per_year: float

    def parameters(self, *, draws: int, rng: np.random.Generator) -> Parameters:
        """Draw what is not known: every week is given a random weight and all is estimated anew.

        Weights are Dirichlet, the Bayesian bootstrap (Rubin 1981, doi:10.1214/aos/1176345338):
        like resampling weeks, but none is ever left out altogether.  The concentration
        (B - 4) / B of B weeks gives a weighted mean the variance s^2 / B (B - 1) / (B - 3), that
        of Student's t with B - 1 degrees of freedom: few weeks tell little of their own spread.
        """
        blocks = len(self.arrivals.counts)
        even = np.full(blocks, (blocks - 4) / blocks)
        return _estimate(self, blocks * rng.dirichlet(even, size=draws))

    def best(self) -> Parameters:
        """The one draw in which every week counts the same."""
        return _estimate(self, np.ones((1, len(self.arrivals.counts))))

    def typical_weeks(
        self,
        parameters: Parameters,
        *,
        weeks: int,
        rng: np.random.Generator,
        days: np.random.Generator | None = None,
    ) -> Customers:
        """Draw whole weeks without a holiday, each day staffed as on a date of the log.

        The date is drawn from those of the same weekday with the weights of the parameter draw,
        and is the same for all sites.  ``days``, if given, draws what a whole day shares (its
        staffing and its random factors), ``rng`` the single customers: so two sets of customers
        can be drawn for the same days.
        """
        days = rng if days is None else days
        weekday = np.tile(np.arange(len(self.grid.weekdays)), weeks)
        date = np.empty((len(parameters.weights), len(weekday)), int)
        for day in range(len(self.grid.weekdays)):
            dates = np.flatnonzero(self.roster.weekday == day)
            weight = parameters.weights[:, self.block[dates]].cumsum(axis=1)
            u = days.random((len(weight), weeks)) * weight[:, -1:]
            date[:, weekday == day] = dates[(u[:, :, None] >= weight[:, None, :]).sum(axis=2)]
        week = np.repeat(np.arange(weeks), len(self.grid.weekdays))
        agents = self.roster.agents[date]
        return simulated_days(
            self, parameters, agents, weekday, week=week, unit=week, rng=rng, days=days
        )

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
        If there are fewer than ten open days, nobody is served at a site, or nobody ever leaves
        and the agents of a site would be busy more than always.

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
    log, aside = usable_log(operations, calendar=calendar, until=until)
    _need_days_and_service(log, aside)
    grid = grid_of(log, calendar)
    roster = roster_of(staffing, grid, log["date"].min(), log["date"].max())
    log, off_duty = on_duty(placed(log, grid, roster.date), roster)
    aside += (("at a site without staff that day", off_duty),) if off_duty else ()
    _need_days_and_service(log, aside)
    block, resampled = _blocks(roster.date, calendar)
    log = log.assign(block=block[log["day"]])
    waits = (log[name].to_numpy() for name in ("wait_s", "left", "block"))
    service = Service(
        grid=grid,
        arrivals=_arrivals(log, grid, roster, block),
        pool=_pool(log, grid, block.max() + 1),
        patience=learn_patience(*waits, block.max() + 1),
        roster=roster,
        block=block,
        resampled=resampled,
        calendar=calendar,
        until=log["arrived"].max() if until is None else pd.Timestamp(until),
        span=span_words(log["arrived"]),
        contacts=len(log),
        set_aside=sum(n for _, n in aside),
        outcome=_outcome(log, len(roster.date)),
        aside=aside,
        alone=int(log["alone"].sum()),
        quiet_hours=tuple(sorted(set(grid.hours) - set(log["hour"].unique()))),
        empty_days=len(roster.date) - log["day"].nunique(),
        open_days_per_year=_open_days(calendar, log["date"]),
    )
    _need_queue_that_ends(service)
    return service


def _need_days_and_service(log: pd.DataFrame, aside: Aside) -> None:
    days = log["date"].nunique()
    if days < FEWEST_DAYS:
        left_out = f" (set aside: {aside_words(aside)})" if aside else ""
        raise Refusal(
            f"A queue cannot be learnt from {counted(days, 'open day')} of contacts{left_out}.",
            f"give a log of {FEWEST_DAYS} days or more, better of {FEWEST_WEEKS} weeks, and see"
            " that data.calendar says when the service is open.",
        )
    served = log.loc[log["abandoned"].eq(False), "site"]
    if unserved := sorted(set(log["site"].unique()) - set(served.unique())):
        raise Refusal(
            f"Nobody was served at {', '.join(map(str, unserved[:5]))}, so that nothing is known of"
            " service times there.",
            "check `abandoned` and `service_s`, or leave such sites out.",
        )


def _outcome(log: pd.DataFrame, days: int) -> np.ndarray:
    return np.column_stack([tally(log, ["day"], (days,), of=of) for of in ("wait_s", "left")])


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


def _arrivals(log: pd.DataFrame, grid: Grid, roster: Roster, block: np.ndarray) -> Arrivals:
    shape = (block.max() + 1, len(grid.sites), len(grid.weekdays), len(grid.hours))
    counts = tally(log, ["block", "s", "d", "h"], shape).astype(float)
    site_days = np.zeros(shape[:3])
    open_ = roster.agents.any(axis=2)
    np.add.at(site_days.transpose(0, 2, 1), (block, roster.weekday), open_)
    seen = tally(log, ["day", "s"], open_.shape)
    spent = len(grid.sites) + len(grid.weekdays) - 1
    plain = Arrivals(counts, site_days, seen, np.zeros(open_.shape), spent)
    expected = _rates(plain, np.ones((1, shape[0])))[0]
    daily = expected.sum(axis=2).T[roster.weekday] * open_  # (dates, sites)
    spread = _spread(seen, daily, block, spent)
    total, days = counts.sum(axis=0), site_days.sum(axis=0)[:, :, None]
    fitted = expected * days
    beyond = ((total - fitted) ** 2 - fitted).sum() / (fitted**2).sum()
    beyond -= sum(spread) * (fitted**2 / np.maximum(days, 1)).sum() / (fitted**2).sum()
    strength = 1 / beyond if beyond > 0 else np.inf
    return replace(plain, expected=daily, spread=spread, strength=strength)


def _spread(
    seen: np.ndarray, expected: np.ndarray, block: np.ndarray, spent: int
) -> tuple[float, ...]:
    """Variances of the factors of week, date and site-day, by moments, none below zero."""
    error = seen - expected
    site_days = (expected > 0).sum()
    freed = site_days / max(site_days - spent, 1)  # what was fitted lies nearer than the truth
    own = (freed * error**2 - seen).sum() / (expected**2).sum()
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
    size = tally(log, ["s", "block"], (shape[1], blocks))
    talk = _with_donors(log)
    served = log[~log["left"]]
    resolved = np.full(shape, np.nan)
    if "resolved" in log and served["resolved"].notna().any():
        served = served[served["resolved"].notna()]
        resolved = tally(served, ["block", "s", "r"], shape, of="resolved")
    return Pool(
        start=(size.cumsum() - size.ravel()).reshape(size.shape),
        size=size,
        service_s=talk,
        reason=log["r"].to_numpy(),
        channel=log["c"].to_numpy(),
        left=log["left"].to_numpy(),
        pace=_pace(log[~log["left"]]),
        served=tally(served, ["block", "s", "r"], shape),
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


def _estimate(service: Service, weights: np.ndarray) -> Parameters:
    """Everything that is estimated, once for each set of weights."""
    shape, scale = weibull(service.patience, weights)
    return Parameters(
        weights=weights,
        rate=_rates(service.arrivals, weights),
        resolution=_resolution(service.pool, weights),
        patience_shape=shape,
        patience_s=scale,
    )


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


def simulated_days(
    service, parameters, agents, weekday, *, week, unit, rng, days=None
) -> Customers:
    """Draw the customers of each draw, day and site; ``agents`` is (draws, days, sites, hours)."""
    of_days = rng if days is None else days
    shape, hours = agents.shape[:3], agents.shape[3]
    factor = _factor(service, shape, week, of_days) * agents.any(axis=3)
    mean = parameters.rate[:, :, weekday, :].transpose(0, 2, 1, 3) * factor[..., None]
    count = rng.poisson(mean).reshape(-1, hours)
    lanes, number = len(count), count.sum(axis=1)
    draw, day, site = (each.ravel() for each in np.indices(shape))
    lane = np.repeat(np.arange(lanes), number)
    place = np.arange(len(lane)) - np.repeat(number.cumsum() - number, number)

    def laid(values: np.ndarray, fill: float) -> np.ndarray:
        table = np.full((lanes, max(int(number.max()), 1)), fill, dtype=values.dtype)
        table[lane, place] = values
        return table

    hour = np.repeat(np.tile(np.arange(hours), lanes), count.ravel())
    rows = _resample(service.pool, parameters.weights, draw[lane], site[lane], rng)
    pace = np.sqrt(service.pool.pace) * of_days.standard_normal(lanes) - service.pool.pace / 2
    pace = np.exp(pace)
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


# --- Days played again ----------------------------------------------------------------------------


def replayed(
    service: Service,
    parameters: Parameters,
    roster: Roster,
    *,
    limit_s: float = np.inf,
    rng: np.random.Generator,
) -> np.ndarray:
    """Simulate the days of a roster with new customers, once for each draw of the parameters.

    Parameters
    ----------
    service : Service
    parameters : Parameters
    roster : Roster
        Who is on duty; sites and hours as in ``service.grid``.
    limit_s : float, optional
        The wait that counts as long, in seconds.
    rng : Generator

    Returns
    -------
    ndarray, shape (draws, dates, 4)
        Contacts, seconds waited, contacts that hung up, and waits longer than the limit.
    """
    week = pd.factorize(week_of(pd.Series(roster.date), calendar=service.calendar))[0]
    draws, step = len(parameters.weights), _at_a_time(service, len(roster.date))
    parts = [
        _replayed(service, parameters.part(first, first + step), roster, week, limit_s, rng)
        for first in range(0, draws, step)
    ]
    return np.concatenate(parts)


def _at_a_time(service: Service, days: int) -> int:
    """Draws that are simulated together, so that a large service does not fill the memory."""
    a_draw = service.contacts / len(service.roster.date) * days
    return int(np.clip(CUSTOMERS_AT_ONCE // max(a_draw, 1), 1, DRAWS_AT_ONCE))


def _replayed(service, parameters, roster, week, limit_s, rng) -> np.ndarray:
    draws, days = len(parameters.weights), len(roster.date)
    agents = np.broadcast_to(roster.agents, (draws, *roster.agents.shape))
    customers = simulated_days(
        service, parameters, agents, roster.weekday, week=week, unit=np.arange(days), rng=rng
    )
    done = service.serve(
        customers, agents=customers.agents, service_factor=np.ones(len(customers.site))
    )
    there = np.isfinite(customers.arrival_s)
    wait = np.where(there, done.wait_s, 0.0)
    sums = [there, wait, there & ~done.served, wait > limit_s]
    lanes = np.stack([each.sum(axis=1) for each in sums], axis=1)
    return lanes.reshape(draws, days, -1, 4).sum(axis=2)
