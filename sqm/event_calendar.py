"""How long does each customer wait where class, skill and a second line decide who is served?"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np

from sqm.checks import Problem
from sqm.queue_engine import need_customers

NEVER = float("inf")
# What becomes of a customer afterwards, bit by bit.
CALLS_BACK, ESCALATES, REWORKS = 1, 2, 4
# Why a customer comes in again.
CALL_BACK, REWORK, ESCALATION = 0, 1, 2
STILL_TO_COME = (ESCALATES | REWORKS, 0, REWORKS)  # by cause
# Digits of one uniform number that are left to the next decision: 17 bits settle a share to 1e-5.
DIGITS = 2.0**17


@dataclass(frozen=True)
class Routing:
    """Who serves whom, and who comes again.

    Attributes
    ----------
    priority : tuple of int
        Rank of each class, 0 first; empty: all alike.  No contact is interrupted for another.
    serves : tuple of tuple of int
        For each group of agents the classes that it serves, in order of preference: a free agent
        takes the lowest rank, then the class named first, then who came first.  Empty: every
        group serves all.
    goes_to : tuple of tuple of int
        For each class the groups that it is offered to, in order of preference, where several
        have an idle agent.  Empty: in order of their number.
    longest_wait_first : bool
        A free agent takes, within a rank, who has waited longest, whatever the order of the
        classes in ``serves``.
    call_back : float
        Share of those who leave unserved that call again, once.
    call_back_after_s : float
        Seconds between leaving and calling again.
    rework : float
        Share of served but unresolved contacts that come again the same day, once.
    rework_after_s : float
        Seconds between the end of the contact and coming again.
    rework_factor : float
        The service time of the second contact is the first one's times this.
    escalate : float
        Share of served contacts that go on to the second line, at once, when the first is done.
    escalation_factor : float
        The service time there is the contact's own times this.
    second_line : tuple of int
        Groups that serve escalated contacts, in order of preference, before newcomers of the
        same rank.  Empty: those that serve the contact's class.
    """

    priority: tuple[int, ...] = ()
    serves: tuple[tuple[int, ...], ...] = ()
    goes_to: tuple[tuple[int, ...], ...] = ()
    longest_wait_first: bool = False
    call_back: float = 0.0
    call_back_after_s: float = 900.0
    rework: float = 0.0
    rework_after_s: float = 3600.0
    rework_factor: float = 1.0
    escalate: float = 0.0
    escalation_factor: float = 1.0
    second_line: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("call_back", "rework", "escalate"):
            if not 0 <= getattr(self, name) <= 1:
                raise Problem(
                    f"routing: {name} is {getattr(self, name)}.", "give a share from 0 to 1."
                )
        for name in ("call_back_after_s", "rework_after_s", "rework_factor", "escalation_factor"):
            if not 0 <= getattr(self, name) < np.inf:
                raise Problem(f"routing: {name} is {getattr(self, name)}.", "give 0 or more.")

    @property
    def plain(self) -> bool:
        """Whether one queue in the order of arrival says it all."""
        alike = len(set(self.priority)) < 2 and not self.serves and not self.goes_to
        return alike and self.call_back == self.rework == self.escalate == 0


@dataclass(frozen=True, eq=False)
class Routed:
    """What became of simulated customers, arrays of shape (lanes, customers).

    Attributes
    ----------
    wait_s : ndarray of float
        Seconds of the first attempt, until service began or the customer left; NaN where there
        was no customer.
    served : ndarray of bool
        At first, or on calling back.
    first_served : ndarray of bool
    attempts : ndarray of int
        How often the customer called: at first, back after leaving, again with the same matter.
    total_wait_s : ndarray of float
        Over all attempts and the second line; NaN where there was no customer.
    extra_service_s : ndarray of float
        Agents' seconds for the second line and for rework.
    escalated, reworked : ndarray of bool
        Was served by the second line; came again with the same matter and was served.
    spell : ndarray of int
        Place of the spell of duty that served the first attempt, -1 for none.
    """

    wait_s: np.ndarray
    served: np.ndarray
    first_served: np.ndarray
    attempts: np.ndarray
    total_wait_s: np.ndarray
    extra_service_s: np.ndarray
    escalated: np.ndarray
    reworked: np.ndarray
    spell: np.ndarray


def simulate_routed(
    arrival_s: np.ndarray,
    service_s: np.ndarray,
    patience_s: np.ndarray,
    *,
    reason: np.ndarray,
    resolved: np.ndarray,
    luck: np.ndarray,
    starts_s: np.ndarray,
    ends_s: np.ndarray,
    group: np.ndarray | None = None,
    routing: Routing,
    patience_again_s: np.ndarray | None = None,
    closes_s: float = np.inf,
) -> Routed:
    """Serve customers as routing says, many independent days one after another.

    Parameters
    ----------
    arrival_s, service_s, patience_s : ndarray, shape (lanes, customers)
        Seconds; arrivals in order within a lane, infinite where a lane has no more customers.
    reason : ndarray of int, shape (lanes, customers)
        Class of each customer, from 0.
    resolved : ndarray of bool, shape (lanes, customers)
        Whether the first contact settles the matter.
    luck : ndarray, shape (lanes, customers)
        One uniform number from 0 to 1 per customer: its leading digits decide on calling back,
        the next ones on rework, the last ones on escalation, below the share means yes.  So the
        same customers decide the same under every routing, and the three are independent.
    starts_s, ends_s : ndarray, shape (lanes or 1, spells)
        Each unbroken spell of one agent on duty; see `sqm.queue_engine.spells`.
    group : ndarray of int, shape (spells,) or (lanes, spells), optional
        Group of the agent; all are one group without it.
    routing : Routing
    patience_again_s : ndarray, shape (lanes, customers), optional
        Patience of whoever calls back or comes again; the same as at first without it.
    closes_s : float, optional
        Nobody is let in at or after this second: newcomers are turned away, and whoever would
        come again after it comes another day, which is not followed.

    Returns
    -------
    Routed

    Raises
    ------
    Problem
        If arrivals are out of order, a duration is negative or missing, or a class is served by
        nobody.

    Notes
    -----
    A calendar of events (ends of contacts, beginnings of spells, customers who come again) in a
    binary heap [1]_; arrivals come from their sorted list and patience needs no event, because
    whoever has left is passed over when the turn comes.  Patience counts anew in each queue, the
    second line's too.  An idle agent is taken in the order of becoming idle.  At one and the same
    moment agents become free first, then customers come in.  An agent begins no contact at or
    after the end of the spell and finishes one that was begun.  Where routing is plain the waits
    are those of `sqm.queue_engine.simulate`.

    References
    ----------
    .. [1] Law, A. M. (2015). Simulation Modeling and Analysis, 5th edition, chapters 1 and 2.
       McGraw-Hill.

    Examples
    --------
    One agent; contacts of 10 s arrive at 0, 4 and 6.  The third is of the class that goes first:
    it is served at 10 and the second at 20.

    >>> done = simulate_routed([[0, 4, 6]], [[10, 10, 10]], [[99, 99, 99]], reason=[[1, 1, 0]],
    ...                        resolved=[[True] * 3], luck=[[0.5] * 3], starts_s=[[0]],
    ...                        ends_s=[[np.inf]], routing=Routing(priority=(0, 1)))
    >>> done.wait_s.tolist()
    [[0.0, 16.0, 4.0]]
    """
    arrival, service, patience = (
        np.asarray(each, float) for each in (arrival_s, service_s, patience_s)
    )
    again = patience if patience_again_s is None else np.asarray(patience_again_s, float)
    reason = np.asarray(reason, int)
    there = np.isfinite(arrival)
    endless = there & ~(service < np.inf)
    need_customers(
        arrival,
        service_s=np.where(endless, np.nan, service),
        patience_s=patience,
        patience_again_s=again,
    )
    spells = tuple(
        np.broadcast_to(np.asarray(each), (len(arrival), np.shape(starts_s)[-1]))
        for each in (starts_s, ends_s, 0 if group is None else group)
    )
    desk = _desk(routing, reason[there], spells[2])
    then = _afterwards(routing, np.asarray(resolved, bool), np.asarray(luck, float))
    return _lanes((arrival, service, patience, again, reason, then), spells, desk, closes_s)


def _afterwards(routing: Routing, resolved: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """What each customer does afterwards, as bits."""
    second = luck * DIGITS % 1.0
    third = second * DIGITS % 1.0
    return (
        CALLS_BACK * (luck < routing.call_back)
        + REWORKS * ((second < routing.rework) & ~resolved)
        + ESCALATES * (third < routing.escalate)
    )


# --- Who goes where -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Desk:
    """The lines customers wait in; kinds are the classes, then the same classes escalated."""

    routing: Routing
    classes: int
    offered: list[tuple[int, ...]]  # by kind: groups, in order of preference
    joins: list[list[deque]]  # by kind: a line of each of those groups
    lines: list[list[deque]]  # by group: its lines, first the one it takes from first
    idle: list[deque]  # by group: agents in the order of becoming idle

    def clear(self) -> None:
        for line in (*self.idle, *(line for lines in self.lines for line in lines)):
            line.clear()


def _desk(routing: Routing, reason: np.ndarray, group: np.ndarray) -> _Desk:
    named = [c + 1 for each in routing.serves for c in each]
    seen = int(reason.max(initial=0)) + 1
    classes = max(seen, len(routing.priority), len(routing.goes_to), *named, 1)
    groups = max(int(group.max(initial=0)) + 1, len(routing.serves))
    _need_known(routing, classes, groups, reason)
    places = [_places(routing, g, classes) for g in range(groups)]
    offered = [_offered(routing, kind, classes, places) for kind in range(2 * classes)]
    _need_served(offered, np.unique(reason))
    keyed = [{key: deque() for key in sorted(set(each.values()))} for each in places]
    return _Desk(
        routing=routing,
        classes=classes,
        offered=offered,
        joins=[[keyed[g][places[g][kind]] for g in those] for kind, those in enumerate(offered)],
        lines=[list(each.values()) for each in keyed],
        idle=[deque() for _ in range(groups)],
    )


def _places(routing: Routing, group: int, classes: int) -> dict[int, tuple[int, int]]:
    """Where a group's agents look for each kind: rank, then place in their preference."""
    rank = routing.priority or (0,) * classes
    own = tuple(routing.serves[group] if routing.serves else range(classes))
    strict = bool(routing.serves) and not routing.longest_wait_first
    places = {c: (rank[c], own.index(c) if strict else 0) for c in own}
    escalated = range(classes) if group in routing.second_line else own
    if not routing.second_line or group in routing.second_line:
        places |= {classes + c: (rank[c], -1) for c in escalated}
    return places


def _offered(routing: Routing, kind: int, classes: int, places: Sequence[dict]) -> tuple[int, ...]:
    """Groups that a kind is offered to, the first that has an idle agent takes it."""
    able = tuple(g for g, each in enumerate(places) if kind in each)
    if kind >= classes:
        return routing.second_line or able
    wished = routing.goes_to[kind] if kind < len(routing.goes_to) else ()
    return tuple(g for g in wished if g in able) or able


def _need_known(routing: Routing, classes: int, groups: int, reason: np.ndarray) -> None:
    if reason.min(initial=0) < 0:
        raise Problem("A class is below 0.", "number the classes from 0.")
    if routing.priority and len(routing.priority) < classes:
        raise Problem(
            f"routing: priority ranks {len(routing.priority)} classes where there are {classes}.",
            "give each class a rank.",
        )
    if routing.serves and len(routing.serves) < groups:
        raise Problem(
            f"routing: serves names {len(routing.serves)} groups where there are {groups}.",
            "say of each group which classes it serves.",
        )
    named = {*routing.second_line, *(g for each in routing.goes_to for g in each)}
    if unknown := sorted(named - set(range(groups))):
        raise Problem(
            f"routing names group {unknown[0]}.", f"groups are numbered from 0 to {groups - 1}."
        )


def _need_served(offered: Sequence[tuple[int, ...]], seen: np.ndarray) -> None:
    for c in seen.tolist():
        if not offered[c]:
            raise Problem(f"No group serves class {c}.", "name it in one of `serves`.")


# --- The calendar ---------------------------------------------------------------------------------


def _lanes(customers, spells, desk: _Desk, closes_s: float) -> Routed:
    """Play the lanes one after another; lists of one day at a time stay in the cache."""
    there = np.isfinite(customers[0])
    wait_s = np.where(there, 0.0, np.nan)  # whoever finds it closed has not waited
    spell = np.full(there.shape, -1)
    later = ([], [], [], [], [], [])
    number = (there & (customers[0] < closes_s)).sum(axis=1).tolist()
    for lane, n in enumerate(number):
        day = [each[lane, :n].tolist() for each in customers]
        wait, by, *more = _day(*day, *(each[lane].tolist() for each in spells), desk, closes_s)
        wait_s[lane, :n], spell[lane, :n] = wait[:n], by[:n]
        if len(wait) > n:
            more = ([lane] * (len(wait) - n), *more, wait[n:], by[n:])
            for column, values in zip(later, more, strict=True):
                column.extend(values)
    return _with_later(there, wait_s, spell, *(np.array(each) for each in later))


def _with_later(there, wait_s, spell, lane, customer, why, worked, waited, by) -> Routed:
    """First attempts by lane and customer, and what the later ones add to them."""
    total, extra, attempts = wait_s.copy(), np.zeros(there.shape), there.astype(int)
    was = np.zeros((3, *there.shape), bool)
    if len(lane):
        at, served = (lane, customer), by >= 0
        np.add.at(total, at, waited)
        np.add.at(extra, at, worked * (served & (why != CALL_BACK)))
        np.add.at(attempts, at, why != ESCALATION)
        was[why[served], lane[served], customer[served]] = True
    return Routed(
        wait_s=wait_s,
        served=(spell >= 0) | was[CALL_BACK],
        first_served=spell >= 0,
        attempts=attempts,
        total_wait_s=total,
        extra_service_s=extra,
        escalated=was[ESCALATION],
        reworked=was[REWORK],
        spell=spell,
    )


def _day(joined, service, patience, again, kind, then, starts, ends, group, desk, closes_s):
    """Play one lane: wait and spell of each ticket; customer, cause and work of the later ones.

    One loop over lists of plain numbers, and no call per event, which would take as long as all
    the rest.  A ticket is one attempt of a customer, or one contact of the second line; the first
    tickets are the customers themselves.  Two heaps, so that the busy one stays small: (time,
    agent) for agents who become free, and (time, cause * customers + customer) for customers who
    may come again.
    """
    customers, agents = len(joined), len(ends)
    wait, by = patience.copy(), [-1] * customers  # whoever is never served waits in vain
    owner, why = [], []
    offered, joins, idle = desk.offered, desk.joins, desk.idle
    desk.clear()
    lines = [desk.lines[g] for g in group]
    routing, kinds_on = desk.routing, (0, 0, desk.classes)
    factor = (1.0, routing.rework_factor, routing.escalation_factor)
    after_leaving, after_service = routing.call_back_after_s, routing.rework_after_s
    reworked, escalated = REWORK * customers, ESCALATION * customers
    on_duty = [(t, a) for a, t in enumerate(starts) if t < NEVER]
    on_duty.append((NEVER, agents))
    ends = [*ends, NEVER]
    heapify(on_duty)
    backs = [(NEVER, 0)]
    calls = [*joined, NEVER]
    at, call, back, arrival = 0, calls[0], NEVER, calls[0]  # arrival: the sooner of call and back
    while True:
        now, agent = on_duty[0]
        if now <= arrival:
            if now >= ends[agent]:
                if agent == agents:
                    break  # nobody comes and nobody becomes free any more
                heappop(on_duty)
                continue
            for line in lines[agent]:
                while line:
                    ticket = line.popleft()
                    if by[ticket] < 0 and now - joined[ticket] <= patience[ticket]:
                        break
                else:
                    continue
                break
            else:
                heappop(on_duty)
                idle[group[agent]].append(agent)
                continue
            put = heapreplace
        else:
            now = arrival
            if call <= back:
                ticket = at
                at += 1
                call = calls[at]
                arrival = call if call < back else back
            else:
                cause, first = divmod(heappop(backs)[1], customers)
                back = backs[0][0]
                arrival = call if call < back else back
                if cause == CALL_BACK:
                    if by[first] >= 0:
                        continue  # was served in time, so has no reason to call back
                    patience[first] = -1.0
                ticket = len(by)
                owner.append(first)
                why.append(cause)
                joined.append(now)
                service.append(service[first] * factor[cause])
                wait.append(again[first])
                patience.append(again[first])
                kind.append(kind[first] + kinds_on[cause])
                then.append(then[first] & STILL_TO_COME[cause])
                by.append(-1)
            for g in offered[kind[ticket]]:
                free = idle[g]
                while free:
                    agent = free.popleft()
                    if now < ends[agent]:
                        break
                else:
                    continue
                break
            else:
                for line in joins[kind[ticket]]:
                    line.append(ticket)
                if then[ticket] & CALLS_BACK:
                    due = now + patience[ticket] + after_leaving
                    if due < closes_s:
                        heappush(backs, (due, ticket))
                        if due < back:
                            back = due
                            arrival = call if call <= back else back
                continue
            put = heappush
        waited = now - joined[ticket]
        wait[ticket] = waited
        by[ticket] = agent
        done = joined[ticket] + waited + service[ticket]
        put(on_duty, (done, agent))
        if then[ticket] > CALLS_BACK:
            first = ticket if ticket < customers else owner[ticket - customers]
            if then[ticket] & ESCALATES:
                due, what = done, escalated + first
            else:
                due, what = done + after_service, reworked + first
                if due >= closes_s:
                    continue
            heappush(backs, (due, what))
            if due < back:
                back = due
                arrival = call if call <= back else back
    return wait, by, owner, why, service[customers:]
