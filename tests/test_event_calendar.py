"""The event calendar against SimPy, customer by customer, and against the recursion."""

import numpy as np
import pytest
from simpy_twin import by_priority, by_skill, with_call_backs, with_second_line

from sqm.checks import Problem
from sqm.event_calendar import DIGITS, Routed, Routing, simulate_routed
from sqm.queue_engine import simulate, spells
from sqm.queue_formulas import erlang_a

N = 500


def _customers(seed, agents, load=1.1, n=N):
    """Arrivals, service, patience, class, resolved and luck of one busy day."""
    rng = np.random.default_rng(seed)
    return (
        rng.exponential(1 / (load * agents), n).cumsum(),
        rng.lognormal(-0.3, 0.8, n),
        rng.exponential(1.5, n),
        rng.integers(0, 3, n),
        rng.random(n) < 0.6,
        rng.random(n),
    )


def _played(customers, routing, *, group=(0, 0, 0), starts=None, ends=None, **more):
    arrival, service, patience, reason, resolved, luck = (np.asarray(c)[None] for c in customers)
    return simulate_routed(
        arrival,
        service,
        patience,
        reason=reason,
        resolved=resolved,
        luck=luck,
        starts_s=np.zeros((1, len(group))) if starts is None else np.asarray(starts)[None],
        ends_s=np.full((1, len(group)), np.inf) if ends is None else np.asarray(ends)[None],
        group=np.array(group),
        routing=routing,
        **more,
    )


def _same(done, twin, names):
    for name in names.split():
        np.testing.assert_allclose(
            np.asarray(getattr(done, name)[0], float),
            np.asarray(getattr(twin, name), float),
            atol=1e-8,
            err_msg=name,
        )


# --- SimPy, customer by customer ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_priorities_are_simpy_s(seed):
    customers = _customers(seed, 3)
    arrival, service, patience, reason, *_ = customers
    rank = (1, 0, 2)
    done = _played(customers, Routing(priority=rank))
    twin = by_priority(arrival, service, patience, np.array(rank)[reason], 3)
    assert 0.05 < 1 - twin.served.mean() < 0.5
    _same(done, twin, "wait_s served")
    # who goes first waits least, who goes last most
    by_rank = [done.wait_s[0, reason == c].mean() for c in (1, 0, 2)]
    assert by_rank == sorted(by_rank)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rank", [(0, 0, 0), (1, 0, 0)])
def test_skills_are_simpy_s(seed, rank):
    customers, group = _customers(seed, 5), (0, 0, 1, 1, 2)
    serves = ((0, 1), (1, 2), (2, 0, 1))
    done = _played(customers, Routing(priority=rank, serves=serves), group=group)
    twin = by_skill(*customers[:4], group=group, serves=serves, rank=rank)
    assert 0.02 < 1 - twin.served.mean() < 0.5
    _same(done, twin, "wait_s served")
    by = np.where(done.spell[0] < 0, -1, np.array(group)[done.spell[0]])
    assert by.tolist() == twin.group.tolist()


def test_shifts_are_simpy_s():
    customers, group = _customers(7, 5), (0, 0, 1, 1, 2, 0)
    last = customers[0][-1]
    starts = [0.0, 10.0, 0.0, last / 3, 0.0, 5.0]
    ends = [np.inf, last / 2, last / 4, np.inf, last / 1.5, np.inf]
    serves = ((0, 1, 2), (1, 2), (2, 0, 1))
    routing = Routing(priority=(0, 0, 1), serves=serves)
    done = _played(customers, routing, group=group, starts=starts, ends=ends)
    twin = by_skill(
        *customers[:4], group=group, serves=serves, rank=(0, 0, 1), starts=starts, ends=ends
    )
    _same(done, twin, "wait_s served")
    begun = customers[0] + done.wait_s[0]
    served = done.spell[0] >= 0
    assert (begun[served] < np.array(ends)[done.spell[0][served]]).all()


@pytest.mark.parametrize("seed", range(3))
def test_call_backs_are_simpy_s(seed):
    customers = _customers(seed, 3, load=1.4)
    arrival, service, patience, *_, luck = customers
    again = np.random.default_rng(seed + 50).exponential(4, N)
    routing = Routing(call_back=0.6, call_back_after_s=2.5)
    done = _played(customers, routing, patience_again_s=again[None])
    twin = with_call_backs(arrival, service, patience, again, luck < 0.6, 3, after=2.5)
    assert 0.1 < (twin.attempts == 2).mean() < 0.5
    _same(done, twin, "wait_s first_served served attempts total_wait_s")
    assert (done.served & ~done.first_served).any() and not (done.first_served & ~done.served).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("closes", [np.inf, 120.0])
def test_rework_and_second_line_are_simpy_s(seed, closes):
    customers = _customers(seed, 3, load=0.9)
    arrival, service, patience, _, resolved, luck = customers
    routing = Routing(
        escalate=0.3,
        escalation_factor=1.5,
        rework=0.5,
        rework_after_s=6.0,
        second_line=(1,),
        serves=((0, 1, 2), ()),
        longest_wait_first=True,
    )
    inside = arrival < closes
    customers = [each[inside] for each in customers]
    done = _played(customers, routing, group=(0, 0, 0, 1, 1), closes_s=closes)
    second = luck * DIGITS % 1
    twin = with_second_line(
        *(each[inside] for each in (arrival, service, patience)),
        escalates=(second * DIGITS % 1 < 0.3)[inside],
        reworks=((second < 0.5) & ~resolved)[inside],
        agents=3,
        experts=2,
        factor=1.5,
        after=6.0,
        closes=closes,
    )
    assert 0.05 < (twin.attempts == 2).mean() < 0.4 and (twin.extra_service_s > 0).any()
    _same(done, twin, "wait_s served attempts total_wait_s extra_service_s")


# --- The recursion --------------------------------------------------------------------------------


def test_plain_routing_is_the_recursion_to_the_last_digit():
    rng, shape = np.random.default_rng(3), (40, 60)
    arrival = np.sort(rng.uniform(0, 4 * 3600, shape), axis=1)
    arrival[5, 20:] = np.inf
    service, patience = rng.exponential(900, shape), rng.exponential(400, shape)
    starts, ends = spells(rng.integers(0, 5, (40, 5)))
    plain = simulate(arrival, service, patience, starts_s=starts, ends_s=ends)
    done = simulate_routed(
        arrival,
        service,
        patience,
        reason=np.zeros(shape, int),
        resolved=np.ones(shape, bool),
        luck=rng.random(shape),
        starts_s=starts,
        ends_s=ends,
        routing=Routing(),
    )
    assert 0.2 < plain.served.mean() < 0.9
    np.testing.assert_array_equal(done.served, plain.served)
    np.testing.assert_allclose(done.wait_s, plain.wait_s, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(done.total_wait_s, done.wait_s)
    there = np.isfinite(arrival)
    assert (done.attempts == there).all() and not done.extra_service_s.any()


def test_lanes_may_differ_in_their_groups_and_are_played_alone():
    customers = [np.stack(each) for each in zip(_customers(1, 2), _customers(2, 2), strict=True)]
    group = np.array([[0, 1], [1, 0]])
    routing = Routing(serves=((0,), (1, 2)))

    def played(lanes):
        arrival, service, patience, reason, resolved, luck = (each[lanes] for each in customers)
        return simulate_routed(
            arrival,
            service,
            patience,
            reason=reason,
            resolved=resolved,
            luck=luck,
            starts_s=np.zeros((1, 2)),
            ends_s=np.full((1, 2), np.inf),
            group=group[lanes],
            routing=routing,
        )

    both = played([0, 1])
    for lane in range(2):
        np.testing.assert_array_equal(both.wait_s[lane], played([lane]).wait_s[0])
    # the agent of the first lane's group 0 serves class 0 alone, in the second it is the other one
    spell = both.spell
    assert set(spell[0][customers[3][0] == 0].tolist()) <= {-1, 0}
    assert set(spell[1][customers[3][1] == 0].tolist()) <= {-1, 1}


# --- Theory ---------------------------------------------------------------------------------------


def test_two_classes_wait_as_cobham_says():
    # One agent, exponential service, rate 1, arrivals 0.35 of each class.  W0 = 0.7; the first
    # class waits W0 / (1 - 0.35), the second W0 / ((1 - 0.35)(1 - 0.7)) [Cobham 1954, Operations
    # Research 2, 70-76].
    rng, lanes, n = np.random.default_rng(8), 60, 4000
    shape = (lanes, n)
    reason = rng.integers(0, 2, shape)
    done = simulate_routed(
        rng.exponential(1 / 0.7, shape).cumsum(axis=1),
        rng.exponential(1, shape),
        np.full(shape, np.inf),
        reason=reason,
        resolved=np.ones(shape, bool),
        luck=rng.random(shape),
        starts_s=[[0]],
        ends_s=[[np.inf]],
        routing=Routing(priority=(0, 1)),
    )
    for c, truth in ((0, 0.7 / 0.65), (1, 0.7 / 0.65 / 0.3)):
        late = np.where(reason == c, done.wait_s, np.nan)[:, n // 4 :]
        runs = np.nanmean(late, axis=1)
        assert abs(runs.mean() - truth) < 4 * runs.std(ddof=1) / np.sqrt(lanes)


def test_call_backs_raise_what_erlang_a_would_take_as_arrivals():
    # The rate that a queue sees is that of first calls and of call-backs; with long delays they
    # mix into a Poisson stream, and the share that leaves is Erlang's for the sum (Phung-Duc and
    # Kawanishi's fixed point): r = a + share * a * leaves(r) where each calls back once.
    rng, lanes, n = np.random.default_rng(9), 60, 3000
    shape = (lanes, n)
    arrival = rng.exponential(1 / 4.6, shape).cumsum(axis=1)
    done = simulate_routed(
        arrival,
        rng.exponential(1, shape),
        rng.exponential(1, shape),
        reason=np.zeros(shape, int),
        resolved=np.ones(shape, bool),
        luck=rng.random(shape),
        starts_s=np.zeros((1, 4)),
        ends_s=np.full((1, 4), np.inf),
        routing=Routing(call_back=0.8, call_back_after_s=40.0),
        patience_again_s=rng.exponential(1, shape),
    )
    rate = 4.6
    for _ in range(50):
        rate = 4.6 * (1 + 0.8 * erlang_a(rate, 1, 4, abandon_rate=1).p_abandon)
    late = slice(n // 4, int(0.9 * n))
    runs = 1 - done.first_served[:, late].mean(axis=1)
    truth = erlang_a(rate, 1, 4, abandon_rate=1).p_abandon
    assert abs(runs.mean() - truth) < 4 * runs.std(ddof=1) / np.sqrt(lanes)
    assert truth > 1.1 * erlang_a(4.6, 1, 4, abandon_rate=1).p_abandon


# --- By hand --------------------------------------------------------------------------------------

ALL, NONE = 0.0, 1 - 1e-16  # luck with which everything happens, and nothing


def _by_hand(arrival, service, patience, routing, *, reason=None, resolved=True, luck=ALL, **more):
    n = len(arrival)
    customers = (
        arrival,
        service,
        patience,
        [0] * n if reason is None else reason,
        np.full(n, resolved),
        np.full(n, luck),
    )
    return _played([np.asarray(each) for each in customers], routing, **more)


def test_a_contact_is_escalated_and_comes_again():
    # One agent, who takes the next in line before the one just served is back in it: first 0 to 10,
    # second 10 to 20, then the second line, before the third who came at 15: 20 to 40 and 40 to 60;
    # third 60 to 70 and 70 to 90.  They come again at 140, 160 and 190, without waiting.
    routing = Routing(escalate=1, escalation_factor=2, rework=1, rework_after_s=100)
    given = ([0, 5, 15], [10, 10, 10], [99, 99, 99])
    done = _by_hand(*given, routing, resolved=False, group=(0,))
    assert done.wait_s[0].tolist() == [0, 5, 45]
    assert done.total_wait_s[0].tolist() == [10, 25, 45]
    assert done.extra_service_s[0].tolist() == [30, 30, 30]
    assert done.attempts[0].tolist() == [2, 2, 2]
    assert done.escalated.all() and done.reworked.all()


def test_nobody_comes_again_after_closing():
    routing = Routing(call_back=1, call_back_after_s=10, rework=1, rework_after_s=30)
    open_ = {"group": (0,), "resolved": False}
    # served 0 to 50 (back at 80); the second leaves at 4, is back at 14 and leaves at 17
    never = _by_hand([0, 1], [50, 50], [3, 3], routing, **open_)
    assert never.attempts[0].tolist() == [2, 2]
    assert _by_hand([0, 1], [50, 50], [3, 3], routing, closes_s=80, **open_).attempts.sum() == 3
    shut = _by_hand([0, 1, 90], [50, 50, 1], [3, 3, 3], routing, closes_s=14, **open_)
    assert shut.attempts[0].tolist() == [1, 1, 1]
    assert shut.served[0].tolist() == [True, False, False] and shut.wait_s[0, 2] == 0


def test_luck_that_says_no_changes_nothing():
    customers = _customers(4, 3)
    customers = (*customers[:5], np.full(N, NONE))
    routing = Routing(call_back=0.9, rework=0.9, escalate=0.9)
    done, plain = _played(customers, routing), _played(customers, Routing())
    for name in Routed.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(done, name), getattr(plain, name))


def test_the_three_decisions_are_independent():
    luck = np.random.default_rng(0).random(200_000)
    second = luck * DIGITS % 1
    third = second * DIGITS % 1
    said = np.stack([luck < 0.3, second < 0.3, third < 0.3])
    assert np.abs(said.mean(axis=1) - 0.3).max() < 0.005
    assert np.abs(np.corrcoef(said) - np.eye(3)).max() < 0.01


def test_idle_groups_are_offered_in_the_class_s_own_order():
    routing = Routing(goes_to=((1, 0), (0, 1)))
    done = _by_hand([0, 0, 0], [9, 9, 9], [1, 1, 1], routing, reason=[0, 0, 1], group=(0, 1))
    assert done.spell[0].tolist() == [1, 0, -1]


def test_the_longest_wait_can_go_before_preference():
    # the agent is busy until 10; class 1 came first, class 0 is preferred
    given = ([0, 1, 2], [10, 10, 10], [99, 99, 99])
    serves = {"serves": ((0, 1),)}
    told = {"reason": [0, 1, 0], "group": (0,)}
    preferred = _by_hand(*given, Routing(**serves), **told)
    assert preferred.wait_s[0].tolist() == [0, 19, 8]
    longest = _by_hand(*given, Routing(**serves, longest_wait_first=True), **told)
    assert longest.wait_s[0].tolist() == [0, 9, 18]


def test_a_group_that_is_never_on_duty_is_waited_for_in_vain():
    routing = Routing(escalate=1, second_line=(1,))
    shifts = {"starts": [0.0, np.inf], "ends": [np.inf, 0.0]}
    done = _by_hand([0], [10], [7], routing, group=(0, 1), **shifts)
    assert done.served.all() and not done.escalated.any() and done.total_wait_s[0, 0] == 7


def test_a_lane_without_agents_or_customers():
    routing = Routing(priority=(0,))
    alone = _by_hand([0, np.inf], [1, 1], [7, 7], routing, group=(0,), starts=[np.inf], ends=[0.0])
    assert alone.wait_s[0, 0] == 7 and not alone.served.any() and np.isnan(alone.wait_s[0, 1])
    assert alone.attempts[0].tolist() == [1, 0]


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"call_back": 1.2}, "call_back is 1.2"),
        ({"rework": float("nan")}, "rework is nan"),
        ({"rework_after_s": -1}, "rework_after_s is -1"),
        ({"escalation_factor": np.inf}, "escalation_factor is inf"),
    ],
)
def test_routing_that_makes_no_sense(given, words):
    with pytest.raises(Problem, match=words):
        Routing(**given)


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        (Routing(priority=(0, 1)), "ranks 2 classes where there are 3"),
        (Routing(serves=((0, 1),)), "No group serves class 2"),
        (Routing(second_line=(3,), escalate=0.1), "names group 3"),
        (Routing(goes_to=((4,),)), "names group 4"),
    ],
)
def test_routing_that_does_not_fit_the_customers(routing, words):
    with pytest.raises(Problem, match=words):
        _played(_customers(0, 3), routing)


@pytest.mark.parametrize(
    ("arrival", "service", "patience", "words"),
    [
        ([5, 1], [1, 1], [1, 1], "out of order"),
        ([1, 5], [1, -1], [1, 1], "service_s"),
        ([1, 5], [1, np.inf], [1, 1], "service_s"),
        ([1, 5], [1, 1], [np.nan, 1], "patience_s"),
    ],
)
def test_impossible_customers_are_a_problem(arrival, service, patience, words):
    with pytest.raises(Problem, match=words):
        _by_hand(arrival, service, patience, Routing(priority=(0,)))


def test_more_groups_than_the_routing_knows():
    with pytest.raises(Problem, match="names 1 groups where there are 2"):
        _played(_customers(0, 3), Routing(serves=((0, 1, 2),)), group=(0, 1))
