"""How long does each customer wait who is served in the order of arrival?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sqm.checks import Problem

HOUR_S = 3600
LANES_AT_ONCE, CUSTOMERS_AT_ONCE = 4096, 32  # arrays that fit in the processor's cache


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
    need_customers(arrival, service_s=service, patience_s=patience)
    there = np.isfinite(arrival)
    shape = (len(arrival), np.shape(starts_s)[1])
    free, ends = (np.broadcast_to(np.asarray(each, float), shape) for each in (starts_s, ends_s))
    if shape[1] == 1 and np.isinf(ends).all() and np.isinf(patience).all():
        return _by_one_agent(arrival, service, free, there)
    wait, served = np.full(arrival.shape, np.nan), np.zeros(arrival.shape, bool)
    number = np.count_nonzero(there, axis=1)
    order = np.argsort(-number, kind="stable")  # fullest lanes first
    for first in range(0, len(order), LANES_AT_ONCE):
        lanes = order[first : first + LANES_AT_ONCE]
        agents = _agents(free[lanes].T, ends[lanes].T)
        for part, these, have in _tiles(lanes, number[lanes]):
            tile = (each[:, part][these].T.copy() for each in (arrival, service, patience))
            done = _serve_tile(agents, have, *tile)
            wait[:, part][these], served[:, part][these] = (each.T for each in done)
    return Simulated(wait, served)


def _by_one_agent(arrival, service, free, there) -> Simulated:
    """One agent whom nobody leaves: work before a customer, and the largest slack so far."""
    with np.errstate(invalid="ignore"):  # beyond the last customer
        slack = arrival.copy()
        slack[:, 1:] -= service[:, :-1].cumsum(axis=1)
        wait = np.maximum(np.maximum.accumulate(slack, axis=1), free) - slack
    return Simulated(np.where(there, wait, np.nan), there & (wait < np.inf))


def _tiles(lanes: np.ndarray, number: np.ndarray):
    """Cut a block of lanes, fullest first: customers, lanes that have any, lanes for each."""
    most, side_by_side = int(number.max(initial=0)), bool((np.diff(lanes) == 1).all())
    for first in range(0, most, CUSTOMERS_AT_ONCE):
        part = slice(first, min(first + CUSTOMERS_AT_ONCE, most))
        have = np.searchsorted(-number, -np.arange(part.start, part.stop))
        these = lanes[: have[0]]
        # a slice is a view, where a list of lanes is a copy
        yield part, slice(these[0], these[-1] + 1) if side_by_side else these, have


def _serve_tile(agents, have, arrival, service, patience) -> tuple[np.ndarray, np.ndarray]:
    """Waits, and who is served; arrays are (customers, lanes), ``have`` lanes of them in a row."""
    wait, stays = np.full(arrival.shape, np.nan), np.ones(arrival.shape, bool)
    impatient = not np.isinf(patience).all()
    for i, n in enumerate(have):
        comes, waits = arrival[i, :n], wait[i, :n]
        until = np.maximum(agents.first(comes), comes)
        np.subtract(until, comes, out=waits)
        if impatient:
            stay = np.less_equal(waits, patience[i, :n], out=stays[i, :n])
            np.minimum(waits, patience[i, :n], out=waits)
            np.add(until, service[i, :n], out=until, where=stay)  # else the agent is free as before
        else:
            until += service[i, :n]
        agents.keep(until)
    return wait, stays & (wait < np.inf)  # nobody is served where nobody is on duty


def _agents(free: np.ndarray, ends: np.ndarray) -> _Steady | _Leaving:
    leave = np.isfinite(free) & np.isfinite(ends)
    return _Leaving(free, ends) if leave.any() else _Steady(free)


class _Steady:
    """Agents who stay: when each is next free, in order, for every lane of a block.

    The order is kept without sorting.  Who is free first is busy until a new moment; each place
    is then taken by the middle one of that moment and the two that stood here and next.
    """

    def __init__(self, free: np.ndarray) -> None:
        self.free = np.full((len(free) + 1, free.shape[1]), np.inf)
        self.free[:-1] = np.sort(free, axis=0)
        self.spare = np.empty(free.shape)

    def first(self, arrival: np.ndarray) -> np.ndarray:
        """When the agent who is free first will be, in each of the first lanes."""
        return self.free[0, : len(arrival)]

    def keep(self, until: np.ndarray) -> None:
        """Keep those agents busy."""
        free, spare = self.free[:, : len(until)], self.spare[:, : len(until)]
        np.minimum(free[1:], until, out=spare)
        np.maximum(free[:-1], spare, out=free[:-1])


class _Leaving:
    """Agents of whom some go home: the same, each agent at a place of its own."""

    def __init__(self, free: np.ndarray, ends: np.ndarray) -> None:
        self.free, self.ends = free.copy(order="C"), ends.copy(order="C")
        spells = len(free)
        self.rank = np.arange(spells, 0, -1, dtype=np.min_scalar_type(spells))[:, None]

    def first(self, arrival: np.ndarray) -> np.ndarray:
        """When the agent who is free first will be, in each of the first lanes."""
        free = self.free[:, : len(arrival)]
        soonest = free.min(axis=0)
        # argmin along the short axis, several times as fast: of those who tie the first counts
        rank = ((free == soonest) * self.rank).max(axis=0)
        place = (len(free) - rank.astype(np.intp)) * self.free.shape[1] + np.arange(len(arrival))
        over = self.ends.take(place) <= np.maximum(soonest, arrival)
        late = np.flatnonzero(over & (soonest < np.inf))
        if len(late):
            agent, soonest[late] = self._send_home(late, arrival[late])
            place[late] = agent * self.free.shape[1] + late
        self.place = place
        return soonest

    def _send_home(self, lanes: np.ndarray, arrival: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take out whoever could begin only after the end; who is first then, and free when."""
        free = self.free[:, lanes]
        free[self.ends[:, lanes] <= np.maximum(free, arrival)] = np.inf
        self.free[:, lanes] = free
        return free.argmin(axis=0), free.min(axis=0)

    def keep(self, until: np.ndarray) -> None:
        """Keep those agents busy."""
        self.free.reshape(-1)[self.place] = until


def need_customers(arrival_s: np.ndarray, **durations_s: np.ndarray) -> None:
    """Insist that customers come in order and that no duration is negative or missing.

    Parameters
    ----------
    arrival_s : ndarray, shape (lanes, customers)
        Infinite where a lane has no more customers.
    **durations_s : ndarray, shape (lanes, customers)
        Each under its name.

    Raises
    ------
    Problem
    """
    if (arrival_s[:, 1:] < arrival_s[:, :-1]).any() or not arrival_s.min(initial=0) > -np.inf:
        raise Problem("Arrivals are out of order.", "sort each lane by arrival, infinite last.")
    for name, values in durations_s.items():
        if values.min(initial=0) >= 0:  # the usual case; not so if any is missing
            continue
        bad = np.isfinite(arrival_s) & ~(values >= 0)
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
