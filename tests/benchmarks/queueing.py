"""How many customers a second does each engine serve, and do they agree?

    python -m tests.benchmarks.queueing

M/M/10, Mt/G/10 and M/M/10+M by the recursion, 1,000 replications side by side, by SimPy and by
Ciw, and below them systems with routing by the event calendar.  Seconds include the drawing of
random numbers, except where the row says that customers were drawn beforehand.  Each is the median
of several runs in this one process; mean waits stand beside, so that a wrong engine would show.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import ciw
import numpy as np
import simpy

from sqm.queue_engine import simulate
from tests.benchmarks import routing

AGENTS, REPLICATIONS, EACH, RUNS = 10, 1000, 2000, 5
PEER_CUSTOMERS, PEER_RUNS = 20_000, 3
SIGMA = 1.0  # of the logarithm of a lognormal service with mean 1
CYCLE, SWING = 100.0, 0.3  # time units of a cycle of arrivals, and how far they swing
STEPS = 20  # in which the cycle is cut


@dataclass(frozen=True)
class System:
    """Arrivals, service and patience with a mean service of 1."""

    name: str
    rate: float
    varying: bool = False
    lognormal: bool = False
    patience: float = np.inf


SYSTEMS = (
    System("M/M/10", 9.0),
    System("Mt/G/10", 8.0, varying=True, lognormal=True),
    System("M/M/10+M", 10.0, patience=2.0),
)


def rates(system: System) -> np.ndarray:
    """Customers per unit of time in each step of a cycle."""
    if not system.varying:
        return np.full(STEPS, system.rate)
    return system.rate * (1 + SWING * np.sin(2 * np.pi * (np.arange(STEPS) + 0.5) / STEPS))


def drawn(system: System, lanes: int, customers: int, rng: np.random.Generator) -> tuple:
    """Arrivals, service times and patience, each (lanes, customers), from an empty beginning."""
    shape = (lanes, customers)
    arrival = rng.standard_exponential(shape).cumsum(axis=1)
    if system.varying:  # a unit Poisson process, stretched to the cumulative rate
        cycles = int(arrival.max() / (system.rate * CYCLE)) + 2
        edge = CYCLE / STEPS * np.arange(cycles * STEPS + 1)
        until = np.append(0.0, np.cumsum(np.tile(rates(system), cycles)) * CYCLE / STEPS)
        arrival = np.interp(arrival, until, edge)
    else:
        arrival /= system.rate
    if system.lognormal:
        service = np.exp(SIGMA * rng.standard_normal(shape) - SIGMA**2 / 2)
    else:
        service = rng.standard_exponential(shape)
    patience = np.full(shape, np.inf)
    if np.isfinite(system.patience):
        patience = system.patience * rng.standard_exponential(shape)
    return arrival, service, patience


def by_recursion(customers: tuple) -> float:
    """Mean wait of the second half of the customers."""
    starts, ends = np.zeros((1, AGENTS)), np.full((1, AGENTS), np.inf)
    done = simulate(*customers, starts_s=starts, ends_s=ends)
    return float(done.wait_s[:, EACH // 2 :].mean())


def by_simpy(system: System, rng: np.random.Generator) -> float:
    """Mean wait of runs as long as the recursion's, of the second half of each."""
    waits = []
    for _ in range(PEER_CUSTOMERS // EACH):
        given = [each[0].tolist() for each in drawn(system, 1, EACH, rng)]
        waits += _simpy_run(*given)[EACH // 2 :]
    return statistics.fmean(waits)


def _simpy_run(arrival: list, service: list, patience: list) -> list[float]:
    world = simpy.Environment()
    desk, wait = simpy.Resource(world, capacity=AGENTS), [0.0] * len(arrival)
    leave = patience[0] < np.inf

    def customer(i):
        with desk.request() as turn:
            yield turn | world.timeout(patience[i]) if leave else turn
            wait[i] = world.now - arrival[i]
            if turn.triggered:
                yield world.timeout(service[i])

    def source():
        for i, comes in enumerate(arrival):
            yield world.timeout(comes - world.now)
            world.process(customer(i))

    world.process(source())
    world.run()
    return wait


def by_ciw(system: System, seed: int) -> float:
    """Mean wait by Ciw, over runs as long as the recursion's, of the second half of each."""
    waits = []
    for run in range(PEER_CUSTOMERS // EACH):
        ciw.seed(1000 * seed + run)
        world = ciw.Simulation(_ciw_network(system))
        world.simulate_until_max_customers(EACH, method="Arrive")
        records = world.get_all_records(only=["service", "renege"])
        records.sort(key=lambda each: each.arrival_date)
        # the last are still there when the run stops
        waits += [each.waiting_time for each in records[EACH // 2 : EACH - 4 * AGENTS]]
    return statistics.fmean(waits)


def _ciw_network(system: System):
    arrivals = ciw.dists.Exponential(system.rate)
    if system.varying:
        end_of_steps = (CYCLE / STEPS * (np.arange(STEPS) + 1)).tolist()
        long_enough = 2 * EACH / system.rate
        arrivals = ciw.dists.PoissonIntervals(rates(system).tolist(), end_of_steps, long_enough)
    service = ciw.dists.Exponential(1.0)
    if system.lognormal:
        service = ciw.dists.Lognormal(-(SIGMA**2) / 2, SIGMA)
    leave = np.isfinite(system.patience)
    reneging = [ciw.dists.Exponential(1 / system.patience)] if leave else None
    return ciw.create_network(
        arrival_distributions=[arrivals],
        service_distributions=[service],
        number_of_servers=[AGENTS],
        reneging_time_distributions=reneging,
    )


def timed(call: Callable[[int], float], runs: int) -> tuple[float, float]:
    """Median seconds of several runs, and the mean of what they return."""
    seconds, found = [], []
    for run in range(runs):
        begun = time.perf_counter()
        found.append(call(run))
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), statistics.fmean(found)


def rows() -> list[dict]:
    """One row for each system and engine."""
    found = []
    for system in SYSTEMS:
        ready = drawn(system, REPLICATIONS, EACH, np.random.default_rng(0))
        engines = {
            "SimPy": (lambda run, s=system: by_simpy(s, np.random.default_rng(run)), PEER_RUNS),
            "Ciw": (lambda run, s=system: by_ciw(s, run), PEER_RUNS),
            "sqm recursion": (
                lambda run, s=system: by_recursion(
                    drawn(s, REPLICATIONS, EACH, np.random.default_rng(run))
                ),
                RUNS,
            ),
            "sqm recursion, drawn beforehand": (lambda run, c=ready: by_recursion(c), RUNS),
        }
        of_system = []
        for engine, (call, runs) in engines.items():
            seconds, wait = timed(call, runs)
            served = REPLICATIONS * EACH if engine.startswith("sqm") else PEER_CUSTOMERS
            of_system.append(
                {
                    "system": system.name,
                    "engine": engine,
                    "customers_per_s": served / seconds,
                    "mean_wait_s": wait,
                }
            )
        of_simpy = of_system[0]["customers_per_s"]
        found += [
            each | {"ratio_to_simpy": each["customers_per_s"] / of_simpy} for each in of_system
        ]
    return found


def largest_difference(system: System) -> float:
    """Between a customer's wait by the recursion and by SimPy, the same customers for both."""
    customers = drawn(system, 1, EACH, np.random.default_rng(9))
    starts, ends = np.zeros((1, AGENTS)), np.full((1, AGENTS), np.inf)
    ours = simulate(*customers, starts_s=starts, ends_s=ends).wait_s[0]
    return float(np.abs(ours - _simpy_run(*(each[0].tolist() for each in customers))).max())


def main() -> None:
    """Print the table."""
    random.seed(1)
    worst = max(largest_difference(system) for system in SYSTEMS)
    print(f"Same customers, recursion against SimPy: waits differ by {worst:.1e} at most.\n")
    print("| system | engine | customers a second | times SimPy | mean wait |")
    print("|---|---|---|---|---|")
    for each in [*rows(), *routing.rows()]:
        print(
            f"| {each['system']} | {each['engine']} | {each['customers_per_s']:,.0f}"
            f" | {each['ratio_to_simpy']:,.1f} | {each['mean_wait_s']:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
