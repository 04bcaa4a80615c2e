"""The same service systems as SimPy models, for comparison customer by customer.

Each takes the customers of one day as plain arrays and is written as a user of SimPy would write
it, from the description of `sqm.event_calendar.Routing` and not from its code.
"""

from types import SimpleNamespace

import numpy as np
import simpy


def _world(arrival, customer):
    """Run ``customer(world, i)`` for each customer, begun at its arrival."""

    def source(world):
        for i, t in enumerate(arrival):
            yield world.timeout(max(t - world.now, 0.0))
            world.process(customer(world, i))

    world = simpy.Environment()
    world.process(source(world))
    return world


def _record(n):
    return SimpleNamespace(
        wait_s=np.full(n, np.nan),
        first_served=np.zeros(n, bool),
        served=np.zeros(n, bool),
        attempts=np.zeros(n, int),
        total_wait_s=np.zeros(n),
        extra_service_s=np.zeros(n),
        group=np.full(n, -1),
    )


def by_priority(arrival, service, patience, rank, agents):
    """One group; lower ranks first, nobody interrupted; customers leave."""
    found = _record(len(arrival))

    def customer(world, i):
        with desk.request(priority=rank[i]) as turn:
            outcome = yield turn | world.timeout(patience[i])
            found.wait_s[i], found.served[i] = world.now - arrival[i], turn in outcome
            if found.served[i]:
                yield world.timeout(service[i])

    world = _world(arrival, customer)
    desk = simpy.PriorityResource(world, capacity=agents)
    world.run()
    return found


def by_skill(arrival, service, patience, reason, *, group, serves, rank, starts=None, ends=None):
    """Agents of several skills and shifts: agent a is in ``group[a]``, which serves ``serves[g]``.

    A free agent takes the lowest rank, then the class its group names first, then who came first.
    """
    found, n = _record(len(arrival)), len(group)
    starts = [0.0] * n if starts is None else starts
    ends = [np.inf] * n if ends is None else ends
    waiting, idle = [], []  # (rank, class, number, event); agents in the order of becoming idle

    def agent(world, a):
        yield world.timeout(starts[a])
        skills = serves[group[a]]
        while world.now < ends[a]:
            mine = [w for w in waiting if w[1] in skills]
            if mine:
                best = min(mine, key=lambda w: (w[0], skills.index(w[1]), w[2]))
                waiting.remove(best)
                i = best[2]
                best[3].succeed(a)
            else:
                call = world.event()
                idle.append((a, call))
                i = yield call
            yield world.timeout(service[i])

    def customer(world, i):
        able = [each for each in idle if reason[i] in serves[group[each[0]]]]
        able = [each for each in able if world.now < ends[each[0]]]
        found.wait_s[i] = 0.0
        if able:
            best = min(able, key=lambda each: group[each[0]])  # the first idle of the first group
            idle.remove(best)
            best[1].succeed(i)
            found.served[i], found.group[i] = True, group[best[0]]
            return
        turn = world.event()
        place = (rank[reason[i]], reason[i], i, turn)
        waiting.append(place)
        outcome = yield turn | world.timeout(patience[i])
        found.wait_s[i], found.served[i] = world.now - arrival[i], turn in outcome
        if found.served[i]:
            found.group[i] = group[turn.value]
        else:
            waiting.remove(place)

    world = _world(arrival, customer)
    for a in range(n):
        if starts[a] < ends[a] and np.isfinite(starts[a]):
            world.process(agent(world, a))
    world.run()
    return found


def with_call_backs(arrival, service, patience, again, calls_back, agents, *, after):
    """One group; those who leave and are marked call again once, with a new patience."""
    found = _record(len(arrival))

    def customer(world, i):
        for attempt, limit in enumerate((patience[i], again[i])):
            came = world.now
            found.attempts[i] += 1
            with desk.request() as turn:
                outcome = yield turn | world.timeout(limit)
                found.total_wait_s[i] += world.now - came
                if attempt == 0:
                    found.wait_s[i], found.first_served[i] = world.now - came, turn in outcome
                if turn in outcome:
                    found.served[i] = True
                    yield world.timeout(service[i])
                    return
            if not calls_back[i] or attempt:
                return
            yield world.timeout(after)

    world = _world(arrival, customer)
    desk = simpy.Resource(world, capacity=agents)
    world.run()
    return found


def with_second_line(
    arrival, service, patience, *, escalates, reworks, agents, experts, factor, after, closes=np.inf
):
    """Two groups; marked contacts go on to the experts, and marked ones come again later."""
    found = _record(len(arrival))

    def queue(world, i, desk, work, extra):
        came = world.now
        with desk.request() as turn:
            outcome = yield turn | world.timeout(patience[i])
            found.total_wait_s[i] += world.now - came
            if np.isnan(found.wait_s[i]):
                found.wait_s[i] = world.now - came
            if turn in outcome:
                found.extra_service_s[i] += work if extra else 0.0
                yield world.timeout(work)
                return True
        return False

    def customer(world, i):
        found.attempts[i] = 1
        found.served[i] = yield from queue(world, i, first, service[i], False)
        settled = found.served[i]
        if settled and escalates[i]:
            settled = yield from queue(world, i, second, service[i] * factor, True)
        if settled and reworks[i] and world.now + after < closes:
            yield world.timeout(after)
            found.attempts[i] += 1
            yield from queue(world, i, first, service[i], True)

    world = _world(arrival, customer)
    first, second = (simpy.Resource(world, capacity=each) for each in (agents, experts))
    world.run()
    return found
