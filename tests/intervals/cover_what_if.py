"""Do the bands of what-ifs hold the true effects, and is the gate open only where it should be?

Every data set is another year of the flagship (`data/contact-centre/make_data.py` with another
seed), taken through the whole of Improve as its notebook does: learn, gate, learn again, play the
scenarios of the study's parameters, with the drivers fitted to the same year.  What a scenario
itself names (its resolution) is no effect and is not counted.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from sqm.clock import Calendar
from sqm.methods.drivers import coefficients_of
from sqm.methods.gate import Gate, held_out
from sqm.regression import fit_logistic
from sqm.rehearsal import rehearse
from sqm.service_model import learn
from tests.intervals.judge import Case

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "contact-centre"
YEARS, FIRST_SEED = 100, 30_000
DRAWS, WEEKS, LEVEL = 200, 4, 0.9
SHIFT, SHIFT_WEEK = 1.3, 20  # demand of the version that shifts halfway through weeks 1 to 39
COMPLAINT_COST = (67.9, 64.0, 72.0)
SCENARIOS = {  # name in the parameters: name in truth.yml
    "one more agent 10 to 14": "one_more_agent",
    "handling 10 % shorter": "service_minus_10_percent",
    "first-contact resolution +8 points": "resolution_plus_8_points",
    "training at four sites": "training",
}
MEASURES = {  # of the rehearsal: name in truth.yml, and what that is divided by
    "mean_wait_s": ("mean_wait_s", 1.0),
    "abandoned": ("share_abandoned", 1.0),
    "complaint_rate": ("complaints_per_100", 100.0),
}


@cache
def _study() -> dict:
    return yaml.safe_load((ROOT / "params" / "contact-centre.yml").read_text(encoding="utf-8"))


@cache
def truth() -> dict[tuple[str, str], float]:
    """The true change of each measure in each scenario that has an effect on it."""
    effects = yaml.safe_load((FOLDER / "truth.yml").read_text(encoding="utf-8"))["effects"]
    found = {
        (scenario, measure): effects[f"scenario.{name}.all.{of}"]["value"] / unit
        for scenario, name in SCENARIOS.items()
        for measure, (of, unit) in MEASURES.items()
    }
    return {place: value for place, value in found.items() if value != 0}


@contextmanager
def _demand(made, factor: float):
    """The generator with another level of demand from the week of the shift on."""
    usual = made.season
    made.season = lambda week: usual(week) * np.where(week >= SHIFT_WEEK, factor, 1.0)
    try:
        yield
    finally:
        made.season = usual


def year(seed: int, *, shift: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Contacts of weeks 1 to 39, each with whether it drew a complaint, and the staffing."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    import make_data as made

    with _demand(made, shift):
        contacts, staffing = made.make_contacts(seed)
    contacts = contacts[contacts["week"] <= made.BEFORE]
    chance = made.logistic(contacts["complaint_logit"].to_numpy())
    served, resolved = contacts["served"], contacts["resolved"]
    log = contacts.rename(columns={"contact_id": "contact", "arrived_at": "arrived"}).assign(
        abandoned=(~served).astype("boolean"),
        service_s=contacts["service_s"].where(served),
        agent=contacts["agent"].where(served),
        resolved=resolved.astype("boolean").where(served),
        complained=made.stream(seed, "coverage").random(len(contacts)) < chance,
        ending=np.where(~served, "abandoned", np.where(resolved, "resolved", "unresolved")),
    )
    return log, staffing


def _calendar() -> Calendar:
    given = _study()["data"]["calendar"]
    return Calendar(
        opens=given["opens"],
        closes=given["closes"],
        days=tuple(given["days"]),
        holidays=tuple(given["holidays"]),
    )


def gate_of(log: pd.DataFrame, staffing: pd.DataFrame, seed: int) -> Gate:
    """The verdict on weeks 29 to 39 of a queue learnt from those before."""
    until = pd.Timestamp(_study()["improve"]["train_until"])
    service = learn(log, staffing=staffing, calendar=_calendar(), until=until)
    rng = np.random.default_rng(seed)
    return held_out(service, log, staffing=staffing, limit_s=300, band=LEVEL, draws=DRAWS, rng=rng)


@cache
def verdict(seed: int, shift: float = 1.0) -> bool:
    """Whether the gate is open for one year."""
    return gate_of(*year(seed, shift=shift), seed).open


@cache
def limits(seed: int) -> dict[tuple[str, str], tuple[float, float]] | None:
    """The band of each change in one year; None if the gate is shut."""
    log, staffing = year(seed)
    gate = gate_of(log, staffing, seed)
    if not gate.open:
        return None
    fit = fit_logistic(
        log,
        drivers=["wait_s", "ending", "channel", "reason"],
        per={"wait_s": 60},
        reference={"ending": "resolved", "channel": "phone", "reason": "information"},
    )
    played = rehearse(
        learn(log, staffing=staffing, calendar=_calendar()),
        [_certain(each) for each in _study()["improve"]["scenarios"]],
        gate=gate,
        drivers=coefficients_of(fit).table,
        cost_per_complaint=COMPLAINT_COST,
        draws=DRAWS,
        weeks=WEEKS,
        rng=np.random.default_rng([seed, 1]),
    )
    names = [each.name for each in played.scenarios]
    found = {}
    for scenario, measure in truth():
        change = played.change[names.index(scenario), :, played.measures.index(measure)]
        low, high = np.quantile(change, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found[scenario, measure] = (float(low), float(high))
    return found


def _certain(scenario: dict) -> dict:
    """A scenario with its levers at the likeliest size, so that no range widens the bands."""
    levers = ("resolution_points", "service_factor")
    sizes = {name: scenario[name] for name in levers if isinstance(scenario.get(name), list)}
    return scenario | {name: size[1] for name, size in sizes.items()}


@cache
def open_years() -> tuple[int, ...]:
    """The first years in which the gate is open."""
    seeds = (seed for seed in count(FIRST_SEED) if limits(seed) is not None)
    return tuple(next(seeds) for _ in range(YEARS))


_turn = iter(range(10**6))
_opening = iter(range(10**6))
_shifting = iter(range(10**6))


def _effect(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    """The next effect of the next open year; the year's seed stands for the chance."""
    nth, place = divmod(next(_turn), len(truth()))
    name = list(truth())[place]
    return *limits(open_years()[nth])[name], truth()[name]


def _opens(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    return 1.0, 1.0, float(verdict(FIRST_SEED + next(_opening)))


def _shuts(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    return 0.0, 0.0, float(verdict(FIRST_SEED + next(_shifting), SHIFT))


CASES = [
    Case(
        "what-if, all changes of the flagship's scenarios, another year (n: contacts)",
        _effect,
        said="conservative",
        level=LEVEL,
        replications=YEARS * 10,
        sizes=(98_000,),
    ),
    Case(
        "gate, open for another year of the flagship (n: contacts)",
        _opens,
        said="conservative",
        level=LEVEL,
        replications=YEARS,
        sizes=(98_000,),
    ),
    Case(
        "gate, shut where demand rises by 30 % halfway (n: contacts)",
        _shuts,
        level=0.99,
        replications=YEARS,
        sizes=(98_000,),
    ),
]
