"""How many customers a second does the event calendar serve, beside SimPy and Ciw?

    python -m tests.benchmarks.routing [days]

The same customers for the calendar and for SimPy (`tests.simpy_twin`), in days of 1,000: it is an
error if their waits do not agree one by one.  Ciw draws its own from the same distributions, where
it can say the system at all, and ends a day with its last arrival.  Each time is processor time,
the median of five rounds in which the engines take turns, in this one process.  Making the random
numbers is not counted for the first two; Ciw makes its own as it goes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import ciw
import numpy as np

from sqm.event_calendar import DIGITS, Routing, simulate_routed
from tests.simpy_twin import by_priority, by_skill, with_call_backs, with_second_line

ROUNDS = 5
OF_A_DAY = 1000  # customers
LOAD = 1.05  # of the agents, so that some customers leave
PATIENCE = 2.0  # mean services

Engine = Callable[[], np.ndarray]  # waits of first attempts, by day and customer


def rows(days: int = 20) -> list[dict]:
    """Each system with each engine: customers a second, ratio to SimPy, mean first wait."""
    made = []
    for system, engines in _systems(days).items():
        timed = _timed(engines)
        np.testing.assert_allclose(timed["sqm calendar"][1], timed["SimPy"][1], atol=1e-7)
        made += [
            {
                "system": system,
                "engine": engine,
                "customers_per_s": round(days * OF_A_DAY / seconds),
                "ratio_to_simpy": round(timed["SimPy"][0] / seconds, 2),
                "mean_wait_s": float(np.nanmean(waits)),
            }
            for engine, (seconds, waits) in timed.items()
        ]
    return made


def _timed(engines: dict[str, Engine]) -> dict[str, tuple[float, np.ndarray]]:
    seconds, waits = {engine: [] for engine in engines}, {}
    for _ in range(ROUNDS):
        for engine, run in engines.items():
            begun = time.process_time()
            waits[engine] = run()
            seconds[engine].append(time.process_time() - begun)
    return {engine: (median(seconds[engine]), waits[engine]) for engine in engines}


def _systems(days: int) -> dict[str, dict[str, Engine]]:
    return {
        "10 agents, two priorities": _priorities(days),
        "10 agents in three groups, three skills": _skills(days),
        "10 agents, half of the leavers call back": _call_backs(days),
        "8 and 2 agents, second line and rework": _second_line(days),
    }


def _customers(days: int, agents: int, load: float = LOAD) -> dict[str, np.ndarray]:
    rng, shape = np.random.default_rng(2), (days, OF_A_DAY)
    return {
        "arrival": rng.exponential(1 / (load * agents), shape).cumsum(axis=1),
        "service": rng.exponential(1, shape),
        "patience": rng.exponential(PATIENCE, shape),
        "again": rng.exponential(PATIENCE, shape),
        "reason": rng.integers(0, 3, shape),
        "resolved": rng.random(shape) < 0.7,
        "luck": rng.random(shape),
    }


def _calendar(came: dict, group, routing: Routing) -> Engine:
    return lambda: (
        simulate_routed(
            came["arrival"],
            came["service"],
            came["patience"],
            reason=came["reason"],
            resolved=came["resolved"],
            luck=came["luck"],
            starts_s=np.zeros((1, len(group))),
            ends_s=np.full((1, len(group)), np.inf),
            group=np.array(group),
            routing=routing,
            patience_again_s=came["again"],
        ).wait_s
    )


def _simpy(twin: Callable, *by_day: np.ndarray, **given) -> Engine:
    """Day by day; arguments given by name that are arrays have a row for each day too."""

    def run() -> np.ndarray:
        waits = []
        for d in range(len(by_day[0])):
            own = {k: v[d] if isinstance(v, np.ndarray) else v for k, v in given.items()}
            waits.append(twin(*(each[d] for each in by_day), **own).wait_s)
        return np.array(waits)

    return run


def _basics(came: dict, *more: str) -> list[np.ndarray]:
    return [came[name] for name in ("arrival", "service", "patience", *more)]


def _priorities(days: int) -> dict[str, Engine]:
    came = _customers(days, 10)
    came["reason"] = came["reason"] % 2
    return {
        "sqm calendar": _calendar(came, (0,) * 10, Routing(priority=(0, 1))),
        "SimPy": _simpy(by_priority, *_basics(came, "reason"), agents=10),
        "Ciw": lambda: np.concatenate([_ciw(day, (2 / 3, 1 / 3)) for day in range(days)]),
    }


def _skills(days: int) -> dict[str, Engine]:
    came, group = _customers(days, 10), (0,) * 4 + (1,) * 3 + (2,) * 3
    serves = ((0, 1), (1, 2), (2, 0, 1))
    twin = {"group": group, "serves": serves, "rank": (0, 0, 0)}
    return {
        "sqm calendar": _calendar(came, group, Routing(serves=serves)),
        "SimPy": _simpy(by_skill, *_basics(came, "reason"), **twin),
    }


def _call_backs(days: int) -> dict[str, Engine]:
    came = _customers(days, 10, load=1.2)
    came["reason"] = came["reason"] * 0
    routing = Routing(call_back=0.5, call_back_after_s=5)
    twin = {"calls_back": came["luck"] < 0.5, "agents": 10, "after": 5}
    return {
        "sqm calendar": _calendar(came, (0,) * 10, routing),
        "SimPy": _simpy(with_call_backs, *_basics(came, "again"), **twin),
    }


def _second_line(days: int) -> dict[str, Engine]:
    came = _customers(days, 8, load=0.95)
    came["again"], came["reason"] = came["patience"], came["reason"] * 0
    routing = Routing(
        escalate=0.15, rework=0.4, rework_after_s=20, second_line=(1,), serves=((0,), ())
    )
    second = came["luck"] * DIGITS % 1
    twin = {
        "escalates": second * DIGITS % 1 < 0.15,
        "reworks": (second < 0.4) & ~came["resolved"],
        "agents": 8,
        "experts": 2,
        "factor": 1.0,
        "after": 20,
    }
    return {
        "sqm calendar": _calendar(came, (0,) * 8 + (1,) * 2, routing),
        "SimPy": _simpy(with_second_line, *_basics(came), **twin),
    }


def _ciw(seed: int, classes: tuple[float, ...]) -> np.ndarray:
    """One day with priorities and patience: waits, those of who left included."""
    every = {f"Class {c}": share for c, share in enumerate(classes)}
    network = ciw.create_network(
        arrival_distributions={c: [ciw.dists.Exponential(LOAD * 10 * p)] for c, p in every.items()},
        service_distributions={c: [ciw.dists.Exponential(1)] for c in every},
        reneging_time_distributions={c: [ciw.dists.Exponential(1 / PATIENCE)] for c in every},
        priority_classes={c: rank for rank, c in enumerate(every)},
        number_of_servers=[10],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(OF_A_DAY, method="Arrive")
    return np.array([each.waiting_time for each in simulation.get_all_records()])


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        print(
            f"{row['system']:42} {row['engine']:14} {row['customers_per_s']:>10,} a second"
            f" {row['ratio_to_simpy']:>7.1f} x SimPy   mean wait {row['mean_wait_s']:.4f}"
        )
