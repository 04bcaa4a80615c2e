"""A service of four customers a day, small enough for every sum by hand, made up for the tests."""

from dataclasses import dataclass, fields
from types import SimpleNamespace

import numpy as np
import pandas as pd

from sqm.rehearsal import rehearse

OPEN = SimpleNamespace(
    open=True, wait_error=0.0, abandon_error=0.0, contacts_error=0.0, sentence=lambda: "open"
)
SHUT = SimpleNamespace(open=False, sentence=lambda: "Foretold 50 s where 90 s came.")
MORE = {"name": "more", "agents": {"add": 1, "hours": [10, 12]}, "cost_per_year": 1000}
FASTER = {"name": "faster", "service_factor": 0.5}
BETTER = {"name": "better", "resolution_points": 0.2}


def logistic(x):
    return 1 / (1 + np.exp(-x))


def fit(terms, variance=0.0):
    """A fit as Analyse hands it over, its coefficients independent; waits per minute."""
    table = pd.DataFrame({"term": list(terms), "estimate": list(terms.values())})
    table["unit_per"] = [60.0 if term == "wait_s" else np.nan for term in terms]
    for i, term in enumerate(terms):
        table[f"cov: {term}"] = np.where(np.arange(len(table)) == i, variance, 0.0)
    return table


DRIVERS = fit({"(intercept)": -3.0, "wait_s": 0.5, "ending=unresolved": 1.0, "ending=abandoned": 2})


@dataclass(frozen=True)
class Days:
    draw: np.ndarray
    unit: np.ndarray
    site: np.ndarray
    agents: np.ndarray
    arrival_s: np.ndarray
    service_s: np.ndarray
    patience_s: np.ndarray
    reason: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True)
class Found:
    weights: np.ndarray
    rate: np.ndarray
    resolution: np.ndarray
    patience_shape: np.ndarray
    patience_s: np.ndarray

    def part(self, first, last):
        return Found(*(getattr(self, each.name)[first:last] for each in fields(self)))


class FourCustomers:
    """One day a week, four customers: waits of 60, 60, 120 s, the fourth leaves after 180 s.

    With a second agent nobody waits and nobody leaves.
    """

    grid = SimpleNamespace(
        sites=("N1",), reasons=("bill",), channels=("phone",), weekdays=(0,), hours=(10, 11)
    )
    pool = SimpleNamespace(
        start=np.zeros((1, 1), int),
        size=np.full((1, 1), 4),
        service_s=np.full(4, 400.0),
        reason=np.zeros(4, int),
        channel=np.zeros(4, int),
    )
    open_days_per_year = 250.0

    def parameters(self, *, draws, rng):
        return Found(
            weights=np.ones((draws, 1)),
            rate=np.full((draws, 1, 1, 2), 2.0),
            resolution=np.full((draws, 1, 1), 0.7),
            patience_shape=np.ones(draws),
            patience_s=np.full(draws, 600.0),
        )

    def best(self):
        return self.parameters(draws=1, rng=None)

    def typical_weeks(self, parameters, *, weeks, rng, days=None):
        lanes = len(parameters.weights) * weeks
        flat, table = np.zeros(lanes, int), np.zeros((lanes, 4))
        return Days(
            draw=np.repeat(np.arange(len(parameters.weights)), weeks),
            unit=np.tile(np.arange(weeks), len(parameters.weights)),
            site=flat,
            agents=np.ones((lanes, 2), int),
            arrival_s=table,
            service_s=table + 400,
            patience_s=table + 180,
            reason=table.astype(int),
            channel=table.astype(int),
        )

    def serve(self, customers, *, agents, service_factor):
        alone = (agents == 1).all(axis=1)[:, None]
        wait = np.where(alone, [60.0, 60.0, 120.0, 180.0], 0.0)
        return SimpleNamespace(wait_s=wait, served=~(alone & np.array([False] * 3 + [True])))


CTQS = pd.DataFrame(
    [
        ("soon", "operations", "wait_s", "at most", 90.0, 0.4),
        ("answered", "operations", "abandoned", "at most", np.nan, 0.3),
        ("at once", "operations", "resolved", "at least", 1.0, 0.25),
        ("quick", "operations", "service_s", "at most", 300.0, 0.5),
        ("content", "operations", "complained", "at most", 0.0, 0.02),
        ("polite", "survey", "p01", "at least", 5.0, 0.1),
    ],
    columns=["name", "table", "measure", "direction", "limit", "target"],
)


def play(levers=(MORE, FASTER, BETTER), *, service=None, **changed):
    given = {
        "gate": OPEN,
        "drivers": DRIVERS,
        "cost_per_complaint": (40.0, 40.0, 40.0),
        "ctqs": CTQS,
        "draws": 8,
        "weeks": 3,
        "rng": np.random.default_rng(1),
    }
    return rehearse(service or FourCustomers(), list(levers), **(given | changed))


def at(found, scenario, measure, kind="level"):
    """The estimate of a what-if for a scenario and a measure."""
    table = found.table
    row = table[
        table["scenario"].eq(scenario) & table["measure"].eq(measure) & table["kind"].eq(kind)
    ]
    return row["estimate"].item()


def chance(wait_s, resolved):
    """Complaint of a served contact by hand: resolved or not, averaged."""
    logit = -3 + 0.5 * wait_s / 60
    return resolved * logistic(logit) + (1 - resolved) * logistic(logit + 1)
