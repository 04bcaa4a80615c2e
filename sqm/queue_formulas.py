"""What does queueing theory say of a steady queue?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from sqm.checks import Problem, need_share


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


@dataclass(frozen=True)
class LimitedQueue:
    """How a queue with room for so many behaves in the long run, in the time unit of its rates.

    Attributes
    ----------
    p_block : float
        Share of customers who find no room and are turned away.
    accepted_rate : float
        Customers per unit of time who find room.
    utilisation : float
        Share of their time that agents are busy.
    mean_wait : float
        Mean wait of those who find room.
    mean_queue, mean_present : float
        Mean number waiting, and mean number waiting or being served.
    """

    p_block: float
    accepted_rate: float
    utilisation: float
    mean_wait: float
    mean_queue: float
    mean_present: float


@dataclass(frozen=True)
class Tandem:
    """Stations one after the other.

    Attributes
    ----------
    stations : tuple of Queue
    mean_present : tuple of float
        Mean number waiting or being served at each station.
    mean_stay : float
        Mean time from arrival at the first station to the end at the last.
    """

    stations: tuple[Queue, ...]
    mean_present: tuple[float, ...]
    mean_stay: float


@dataclass(frozen=True)
class SamplePath:
    """What Little's law ties together on one sample path.

    Attributes
    ----------
    area : float
        Customers present, added up over time.
    mean_present : float
        Area over the horizon.
    arrival_rate : float
        Customers over the horizon.
    mean_stay : float
        Area over the customers.
    """

    area: float
    mean_present: float
    arrival_rate: float
    mean_stay: float


def erlang_b(load: float, agents: int) -> float:
    """Share of customers turned away where nobody can wait (M/G/c/c), Erlang's loss formula.

    Parameters
    ----------
    load : float
        Offered load: arrival rate times mean service, in agents.
    agents : int

    Returns
    -------
    float

    Raises
    ------
    Problem
        If there is no load or no agent.

    Notes
    -----
    B(0) = 1, B(c) = load B(c - 1) / (c + load B(c - 1)): no factorial, so no overflow.  It holds
    for every distribution of service [1]_.

    References
    ----------
    .. [1] Gross, D., Shortle, J. F., Thompson, J. M., Harris, C. M. (2008). Fundamentals of
       Queueing Theory, 4th edition, section 2.5. Wiley.

    Examples
    --------
    One agent, load 1: 1/2; two: (1 x 1/2) / (2 + 1/2) = 1/5.

    >>> erlang_b(1, 1), erlang_b(1, 2)
    (0.5, 0.2)
    """
    _need_rates(load=load, agents=agents)
    blocked = 1.0
    for c in range(1, agents + 1):
        blocked = load * blocked / (c + load * blocked)
    return blocked


def erlang_b_load(blocking: float, agents: int) -> float:
    """Offered load at which so many are turned away: `erlang_b` the other way round.

    Parameters
    ----------
    blocking : float
        Share turned away, between 0 and 1.
    agents : int

    Examples
    --------
    One agent turns load / (1 + load) away: 1/2 at load 1.

    >>> round(erlang_b_load(0.5, 1), 9)
    1.0
    """
    need_share(blocking, name="blocking")
    _need_rates(agents=agents)
    most = agents / (1 - blocking)  # what is carried, load (1 - B), is less than the agents
    return float(
        optimize.brentq(
            lambda load: erlang_b(load, agents) - blocking, 1e-300, most, xtol=1e-300, rtol=1e-14
        )
    )


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
    _need_spare_time(load, agents)
    blocked = erlang_b(load, agents)
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
    share = _states(arrival_rate, service_rate, agents, abandon_rate)
    present = np.arange(len(share))
    queue = float(share @ np.maximum(present - agents, 0))
    busy = float(share @ np.minimum(present, agents)) / agents
    p_abandon = abandon_rate * queue / arrival_rate
    p_wait = float(share[agents:].sum())
    return Queue(busy, p_wait, p_abandon, queue / arrival_rate, queue)


def _states(arrival_rate, service_rate, agents, abandon_rate) -> np.ndarray:
    """Share of time with 0, 1, 2, ... customers present, where customers may leave."""
    load = arrival_rate / (agents * service_rate)
    # far enough that the states left out have no weight: past it each is at most half as likely
    # as the one before, or all along they fall by the load
    halving = max(2 * arrival_rate - agents * service_rate, 0.0) / abandon_rate + 80
    falling = -60 / np.log(load) if load < 1 else np.inf
    n = np.arange(1, agents + int(min(halving, falling)) + 2)
    death = np.minimum(n, agents) * service_rate + np.maximum(n - agents, 0) * abandon_rate
    weight = np.append(0.0, np.cumsum(np.log(arrival_rate / death)))
    share = np.exp(weight - weight.max())
    return share / share.sum()


def waiting_longer(
    arrival_rate: float,
    service_rate: float,
    agents: int,
    *,
    than: float,
    abandon_rate: float = 0.0,
) -> float:
    """Share of all customers who wait longer than a time, served in the end or not.

    Parameters
    ----------
    arrival_rate, service_rate : float
    agents : int
    than : float
        Time, in the unit of the rates.
    abandon_rate : float, default 0
        One over the mean patience; 0 if nobody leaves (Erlang C).

    Returns
    -------
    float

    Raises
    ------
    Problem
        As `erlang_c` and `erlang_a`.

    Notes
    -----
    Nobody leaves: p_wait exp(-(c mu - lambda) t).  Else who finds k waiting is served, patience
    permitting, after k + 1 departures at the rates c mu + j theta, j = k, ..., 0; exp(-theta V) of
    that time V is a Beta(c mu / theta, k + 1) variable, which gives the tail exactly, weighted by
    the states that arrivals find.  exp(-theta t) have the patience to see it.

    Examples
    --------
    One agent at two thirds load, half an hour: 2/3 exp(-1/2).

    >>> round(waiting_longer(2, 3, 1, than=0.5), 6)
    0.404354
    """
    _need_rates(not_negative=True, than=than, abandon_rate=abandon_rate)
    if abandon_rate == 0:
        steady = erlang_c(arrival_rate, service_rate, agents)
        return steady.p_wait * float(np.exp(-(agents * service_rate - arrival_rate) * than))
    _need_rates(arrival_rate=arrival_rate, service_rate=service_rate, agents=agents)
    found = _states(arrival_rate, service_rate, agents, abandon_rate)[agents:]
    patient = np.exp(-abandon_rate * than)
    ahead = np.arange(len(found))
    late = special.betainc(agents * service_rate / abandon_rate, ahead + 1, patient)
    return float(found @ late * patient)


def wait_quantile(
    arrival_rate: float,
    service_rate: float,
    agents: int,
    *,
    share: float = 0.9,
    abandon_rate: float = 0.0,
) -> float:
    """Time within which the wait of so many is over, by service or by leaving.

    Parameters
    ----------
    arrival_rate, service_rate : float
    agents : int
    share : float, default 0.9
    abandon_rate : float, default 0
        One over the mean patience; 0 if nobody leaves.

    Returns
    -------
    float
        0 if that many do not wait at all.

    Examples
    --------
    One agent at two thirds load: 2/3 exp(-t) = 1/10 at t = log(20/3).

    >>> round(wait_quantile(2, 3, 1), 6)
    1.89712
    """
    need_share(share, name="share")

    def beyond(time: float) -> float:
        rates = arrival_rate, service_rate, agents
        return waiting_longer(*rates, than=time, abandon_rate=abandon_rate) - (1 - share)

    if beyond(0.0) <= 0:
        return 0.0
    most = 1 / service_rate
    while beyond(most) > 0:
        most *= 2
    return float(optimize.brentq(beyond, 0.0, most, xtol=1e-12 * most, rtol=1e-14))


def answered_within(
    arrival_rate: float,
    service_rate: float,
    agents: int,
    *,
    within: float,
    abandon_rate: float = 0.0,
) -> float:
    """Service level: share of all customers who are served after at most so long a wait.

    Parameters
    ----------
    arrival_rate, service_rate : float
    agents : int
    within : float
        Time, in the unit of the rates.
    abandon_rate : float, default 0
        One over the mean patience; 0 if nobody leaves.

    Returns
    -------
    float
        Who leaves counts as not answered, however early; some services leave them out.

    Notes
    -----
    See `waiting_longer`; the part of E(exp(-theta V)) that lies at V <= t is that of the beta
    distribution above exp(-theta t).

    Examples
    --------
    >>> round(answered_within(2, 3, 1, within=0.5), 6)  # 1 - 2/3 exp(-1/2)
    0.595646
    """
    _need_rates(not_negative=True, within=within, abandon_rate=abandon_rate)
    if abandon_rate == 0:
        return 1 - waiting_longer(arrival_rate, service_rate, agents, than=within)
    _need_rates(arrival_rate=arrival_rate, service_rate=service_rate, agents=agents)
    share = _states(arrival_rate, service_rate, agents, abandon_rate)
    at_once, found = share[:agents].sum(), share[agents:]
    ahead = np.arange(len(found))
    b = agents * service_rate / abandon_rate
    in_time = special.betaincc(b + 1, ahead + 1, np.exp(-abandon_rate * within))
    return float(at_once + found @ (b / (b + ahead + 1) * in_time))


def least_agents(
    arrival_rate: float,
    service_rate: float,
    *,
    share: float,
    within: float,
    abandon_rate: float = 0.0,
) -> int:
    """Fewest agents with whom at least so many are answered within a time.

    Parameters
    ----------
    arrival_rate, service_rate : float
    share : float
        Service level wanted, such as 0.8.
    within : float
        Time, in the unit of the rates.
    abandon_rate : float, default 0
        One over the mean patience; 0 if nobody leaves (Erlang C).

    Returns
    -------
    int

    Raises
    ------
    Problem
        If a rate is not positive or the share does not lie between 0 and 1.

    Examples
    --------
    Load 2/3: one agent answers 0.596 within half a time unit, two 1 - 1/6 exp(-2) = 0.977.

    >>> least_agents(2, 3, share=0.8, within=0.5)
    2
    """
    need_share(share, name="share")
    _need_rates(arrival_rate=arrival_rate, service_rate=service_rate)

    def enough(agents: int) -> bool:
        rates = arrival_rate, service_rate, agents
        return answered_within(*rates, within=within, abandon_rate=abandon_rate) >= share

    few = 0 if abandon_rate else int(arrival_rate / service_rate)  # a queue that would not end
    many = few + 1
    while not enough(many):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def square_root_agents(load: float, *, p_wait: float) -> int:
    """Agents for a load by the square-root rule: load + beta sqrt(load), rounded up.

    Parameters
    ----------
    load : float
        Offered load, in agents.
    p_wait : float
        Share of customers who may have to wait.

    Returns
    -------
    int
        An approximation, good for tens of agents and more, where nobody leaves.

    Notes
    -----
    beta solves p_wait = 1 / (1 + beta Phi(beta) / phi(beta)) [1]_.

    References
    ----------
    .. [1] Halfin, S., Whitt, W. (1981). Heavy-traffic limits for queues with many exponential
       servers. Operations Research 29, 567-588. doi:10.1287/opre.29.3.567

    Examples
    --------
    beta = 1 lets 0.2234 wait, so 100 + 1 x 10 agents.

    >>> square_root_agents(100, p_wait=0.2234)
    110
    """
    _need_rates(load=load)
    need_share(p_wait, name="p_wait")

    def odds(beta: float) -> float:  # of waiting, on the log scale
        return np.log(p_wait / (1 - p_wait)) + np.log(beta) + _log_mills(beta)

    beta = optimize.brentq(odds, 1e-12, 40.0)
    return int(np.ceil(load + beta * np.sqrt(load)))


def _log_mills(beta: float) -> float:
    return stats.norm.logcdf(beta) - stats.norm.logpdf(beta)


def limited_room(
    arrival_rate: float, service_rate: float, agents: int, *, room: int
) -> LimitedQueue:
    """A queue where nobody leaves, but who finds ``room`` customers present is turned away.

    Parameters
    ----------
    arrival_rate, service_rate : float
        Customers per unit of time: arriving, and served by one busy agent.
    agents : int
    room : int
        Customers that can be present, those being served included (K of M/M/c/K).

    Returns
    -------
    LimitedQueue

    Raises
    ------
    Problem
        If a rate is not positive or there is less room than agents.

    Notes
    -----
    Birth and death [1]_.

    References
    ----------
    .. [1] Gross et al. (2008), section 2.4; see `erlang_b`.

    Examples
    --------
    One agent, room for one, rates alike: full half of the time, and nobody waits.

    >>> limited_room(1, 1, 1, room=1).p_block, limited_room(1, 1, 1, room=1).mean_wait
    (0.5, 0.0)
    """
    _need_rates(arrival_rate=arrival_rate, service_rate=service_rate, agents=agents)
    if room < agents:
        raise Problem(f"There is room for {room} and {agents} agents.", "count agents as room.")
    present = np.arange(room + 1)
    death = np.minimum(present[1:], agents) * service_rate
    weight = np.append(0.0, np.cumsum(np.log(arrival_rate / death)))
    share = np.exp(weight - weight.max())
    share /= share.sum()
    accepted = arrival_rate * float(1 - share[-1])
    queue = float(share @ np.maximum(present - agents, 0))
    return LimitedQueue(
        p_block=float(share[-1]),
        accepted_rate=accepted,
        utilisation=float(share @ np.minimum(present, agents)) / agents,
        mean_wait=queue / accepted,
        mean_queue=queue,
        mean_present=float(share @ present),
    )


def pollaczek_khinchine(arrival_rate: float, mean_service: float, *, service_scv: float) -> float:
    """Mean wait at one agent with random arrivals and any distribution of service (M/G/1).

    Parameters
    ----------
    arrival_rate : float
        Customers per unit of time.
    mean_service : float
    service_scv : float
        Squared coefficient of variation of service: variance over squared mean.

    Returns
    -------
    float

    Raises
    ------
    Problem
        If the agent would be busier than always.

    Notes
    -----
    lambda E(S^2) / (2 (1 - rho)), exact [1]_.

    References
    ----------
    .. [1] Gross et al. (2008), section 5.1; see `erlang_b`.

    Examples
    --------
    Load 0.8 and service that never varies: 0.8 / (2 x 0.2) = 2, half of what an exponential one
    would give.

    >>> round(pollaczek_khinchine(0.8, 1, service_scv=0), 9)
    2.0
    """
    _need_rates(arrival_rate=arrival_rate, mean_service=mean_service)
    _need_rates(not_negative=True, service_scv=service_scv)
    load = arrival_rate * mean_service
    _need_spare_time(load, 1)
    return load * mean_service * (1 + service_scv) / (2 * (1 - load))


def kingman(
    arrival_rate: float,
    mean_service: float,
    *,
    arrival_scv: float,
    service_scv: float,
    agents: int = 1,
) -> float:
    """Mean wait where neither arrivals nor service are exponential: an approximation (G/G/c).

    Parameters
    ----------
    arrival_rate : float
        Customers per unit of time.
    mean_service : float
    arrival_scv, service_scv : float
        Squared coefficient of variation of the times between arrivals, and of service.
    agents : int, default 1

    Returns
    -------
    float

    Raises
    ------
    Problem
        If the agents would be busier than always.

    Notes
    -----
    Erlang C's mean wait times (arrival_scv + service_scv) / 2.  One agent: Kingman's
    heavy-traffic formula [1]_; more: Allen and Cunneen's [2]_.  Exact for M/M/c and M/G/1, good
    near full load, poor where agents are often idle and arrivals are not random.

    References
    ----------
    .. [1] Kingman, J. F. C. (1961). The single server queue in heavy traffic. Mathematical
       Proceedings of the Cambridge Philosophical Society 57, 902-904.
    .. [2] Allen, A. O. (1990). Probability, Statistics, and Queueing Theory, 2nd edition.
       Academic Press.

    Examples
    --------
    Load 0.9, service 1: 9 x (0.5 + 1.5) / 2.

    >>> round(kingman(0.9, 1, arrival_scv=0.5, service_scv=1.5), 9)
    9.0
    """
    _need_rates(arrival_rate=arrival_rate, mean_service=mean_service, agents=agents)
    _need_rates(not_negative=True, arrival_scv=arrival_scv, service_scv=service_scv)
    plain = erlang_c(arrival_rate, 1 / mean_service, agents)
    return plain.mean_wait * (arrival_scv + service_scv) / 2


def tandem(
    arrival_rate: float, service_rates: Sequence[float], *, agents: Sequence[int] | None = None
) -> Tandem:
    """Stations that every customer passes one after the other, nobody leaving.

    Parameters
    ----------
    arrival_rate : float
    service_rates : sequence of float
        Of one agent at each station.
    agents : sequence of int, optional
        Agents at each station; one if not given.

    Returns
    -------
    Tandem

    Raises
    ------
    Problem
        If a station's agents would be busier than always, or the two sequences differ in length.

    Notes
    -----
    What leaves a steady M/M/c queue is as random as what comes in [1]_, so each station is an
    Erlang C queue of its own.

    References
    ----------
    .. [1] Burke, P. J. (1956). The output of a queuing system. Operations Research 4, 699-704.
       doi:10.1287/opre.4.6.699

    Examples
    --------
    One a minute through agents who serve 2 and 1.5 a minute: 1 / (2 - 1) + 1 / (1.5 - 1).

    >>> round(tandem(1, [2, 1.5]).mean_stay, 9)
    3.0
    """
    agents = [1] * len(service_rates) if agents is None else list(agents)
    if not agents or len(agents) != len(service_rates):
        raise Problem(
            f"{len(service_rates)} stations have {len(agents)} numbers of agents.",
            "give one of each for every station.",
        )
    pairs = list(zip(service_rates, agents, strict=True))
    stations = tuple(erlang_c(arrival_rate, rate, c) for rate, c in pairs)
    stays = [each.mean_wait + 1 / rate for each, rate in zip(stations, service_rates, strict=True)]
    present = tuple(arrival_rate * stay for stay in stays)
    return Tandem(stations, present, float(sum(stays)))


def offered_load(
    rates: Sequence[float], *, step: float, service: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Agents who would be busy at each time if everybody were served at once (Mt/G/infinity).

    Parameters
    ----------
    rates : sequence of float
        Customers per unit of time in each step, the first one beginning at 0 with nobody there.
    step : float
        How long a step lasts, in the same unit.
    service : ndarray, shape (customers,)
        Service times: a log's, or the quantiles of a distribution.
    times : ndarray, shape (times,)
        When to look; from the last step's end on nobody comes.

    Returns
    -------
    ndarray, shape (times,)

    Raises
    ------
    Problem
        If a rate or a service time is negative or missing, or the step is not above 0.

    Notes
    -----
    m(t) = E(L(t) - L(t - S)), where L is the number expected until then [1]_: exact for rates
    constant within a step and the service times given.  The load follows the arrivals with a lag
    of about a service time, so that agents planned by the present rate come too early.

    References
    ----------
    .. [1] Eick, S. G., Massey, W. A., Whitt, W. (1993). The physics of the Mt/G/infinity queue.
       Operations Research 41, 731-742. doi:10.1287/opre.41.4.731

    Examples
    --------
    Ten an hour from 0 on, each served half an hour: 2.5 after a quarter, 5 from a half on.

    >>> offered_load([10, 10], step=1, service=np.array([0.5]), times=np.array([0.25, 0.5, 1]))
    array([2.5, 5. , 5. ])
    """
    rates, service = np.asarray(rates, float), np.asarray(service, float)
    _need_rates(step=step)
    if not (len(rates) and len(service) and (rates >= 0).all() and (service >= 0).all()):
        raise Problem("Rates or service times are negative, missing or not there.", "correct them.")
    edge = step * np.arange(len(rates) + 1)
    until = np.append(0.0, np.cumsum(rates * step))
    times = np.asarray(times, float)
    before = [np.interp(time - service, edge, until).mean() for time in times]
    return np.interp(times, edge, until) - np.array(before)


def sinusoidal_load(
    times: np.ndarray, *, base_rate: float, amplitude: float, period: float, service_rate: float
) -> np.ndarray:
    """Offered load at each time where arrivals swing as a sine and service is exponential.

    Parameters
    ----------
    times : ndarray
        In the unit of the rates.
    base_rate, amplitude : float
        The rate is base_rate + amplitude sin(2 pi t / period), for so long that the beginning is
        forgotten.
    period : float
    service_rate : float

    Returns
    -------
    ndarray

    Notes
    -----
    Eick, S. G., Massey, W. A., Whitt, W. (1993). Mt/G/infinity queues with sinusoidal arrival
    rates. Management Science 39, 241-252. doi:10.1287/mnsc.39.2.241

    Examples
    --------
    Without a swing, arrival rate over service rate.

    >>> sinusoidal_load(np.array([3.0]), base_rate=8, amplitude=0, period=24, service_rate=2)
    array([4.])
    """
    _need_rates(base_rate=base_rate, period=period, service_rate=service_rate)
    g = 2 * np.pi / period
    angle = g * np.asarray(times, float)
    swing = service_rate * np.sin(angle) - g * np.cos(angle)
    return base_rate / service_rate + amplitude * swing / (service_rate**2 + g**2)


def little(arrivals: np.ndarray, departures: np.ndarray) -> SamplePath:
    """Little's law, L = lambda W, on one sample path that starts and ends empty.

    Parameters
    ----------
    arrivals, departures : ndarray, shape (customers,)
        When each customer comes and goes, from time 0; the horizon is the last departure.

    Returns
    -------
    SamplePath

    Raises
    ------
    Problem
        If a customer leaves before coming, or a time is missing.

    Notes
    -----
    An identity, not a model [1]_: the area under the number present, which is what is added up
    here, is also the sum of the customers' stays.

    References
    ----------
    .. [1] Little, J. D. C. (1961). A proof for the queuing formula L = lambda W. Operations
       Research 9, 383-387. doi:10.1287/opre.9.3.383

    Examples
    --------
    Two customers, 0 to 3 and 1 to 4: present 1, 2, 2, 1, that is 6 in 4.

    >>> little(np.array([0, 1]), np.array([3, 4])).mean_present
    1.5
    """
    arrivals, departures = np.asarray(arrivals, float), np.asarray(departures, float)
    wrong = ~((arrivals >= 0) & (departures >= arrivals))
    if wrong.any() or not len(arrivals):
        raise Problem(
            f"{int(wrong.sum())} of {len(arrivals)} customers leave before they come, or have no"
            " time.",
            "correct the times, counted from 0.",
        )
    moment = np.concatenate([arrivals, departures])
    change = np.repeat([1, -1], len(arrivals))
    order = np.argsort(moment, kind="stable")
    present = np.cumsum(change[order])[:-1]
    area = float(present @ np.diff(moment[order]))
    horizon, n = float(departures.max()), len(arrivals)
    if horizon == 0:
        raise Problem("No time passes.", "give departures after the arrivals.")
    return SamplePath(area, area / horizon, n / horizon, area / n)


def _need_spare_time(load: float, agents: int) -> None:
    if load >= agents:
        raise Problem(
            f"{agents} agents would be busy {load / agents:.0%} of their time and nobody leaves: "
            "the queue grows without end.",
            "add agents, or use erlang_a, which lets customers leave.",
        )


def _need_rates(*, not_negative: bool = False, **rates: float) -> None:
    for name, rate in rates.items():
        if not (rate >= 0 if not_negative else rate > 0) or np.isinf(rate):
            least = "of 0 or more" if not_negative else "above zero"
            raise Problem(f"{name} is {rate}.", f"give a {name} {least}.")
