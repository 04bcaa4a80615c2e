"""What would each improvement do, to waits, complaints and money?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any, Protocol

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share
from sqm.finding import Finding
from sqm.interval import spell, wilson

AS_IS = "as is"
LEVERS = ("agents", "service_factor", "resolution_points")
KNOWN = ("name", "sites", "cost_per_year", *LEVERS)
DRAWS_AT_ONCE = 4  # small arrays stay in the processor's cache
INTERCEPT = "(intercept)"
NUMERIC = ("wait_s",)
ENDINGS = ("resolved", "unresolved", "abandoned")
# Part of the variance between draws that is taken for the parameters' own, however large the
# noise of the simulation within a draw appears to be.
LEAST_SHARE = 0.1


class Service(Protocol):
    """What a service model must do here; the notebook brings one."""

    grid: Any
    open_days_per_year: float

    def parameters(self, *, draws: int, rng: np.random.Generator) -> Any: ...

    def typical_weeks(self, parameters: Any, *, weeks: int, rng: np.random.Generator) -> Any: ...

    def serve(self, customers: Any, *, agents: np.ndarray, service_factor: np.ndarray) -> Any: ...


class Gate(Protocol):
    """The verdict of a test on days that the model had not seen."""

    open: bool
    wait_error: float
    abandon_error: float

    def sentence(self) -> str: ...


@dataclass(frozen=True)
class Scenario:
    """One improvement: what it changes, where, and what it costs.

    Attributes
    ----------
    name : str
    sites : tuple of str
        Where; empty means everywhere.
    add : int
        Agents added in each hour from ``hours[0]`` up to, not including, ``hours[1]``.
    hours : tuple of two int
    service_factor : float
        What service times are multiplied by.
    resolution_points : float
        Added to the share resolved at first contact, 0.08 for 8 percentage points.
    cost_per_year : float
    """

    name: str
    sites: tuple[str, ...] = ()
    add: int = 0
    hours: tuple[int, int] = (0, 24)
    service_factor: float = 1.0
    resolution_points: float = 0.0
    cost_per_year: float = 0.0


def read_scenarios(
    described: Sequence[dict], *, sites: Sequence[str], hours: Sequence[int] = tuple(range(24))
) -> tuple[Scenario, ...]:
    """Read scenarios as they stand in a study's parameters, and insist that they make sense.

    Parameters
    ----------
    described : sequence of dict
        ``name`` and one or more of ``agents: {add: 1, hours: [10, 14]}``, ``service_factor: 0.9``,
        ``resolution_points: 0.08``; if wanted ``sites: [..]`` for all of them and
        ``cost_per_year``.
    sites : sequence of str
        The sites there are.
    hours : sequence of int, optional
        The hours of the day that are worked.

    Returns
    -------
    tuple of Scenario

    Raises
    ------
    Problem
        If a lever or a site is unknown, a value is impossible, a scenario has no lever, or two
        have one name.

    Examples
    --------
    >>> read_scenarios([{"name": "faster", "service_factor": 0.9}], sites=["N1"])[0].service_factor
    0.9
    >>> read_scenarios([{"name": "faster", "sevice_factor": 0.9}], sites=["N1"])
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: Scenario 'faster' names an unknown lever 'sevice_factor'.
      To mend: did you mean 'service_factor'?
    """
    read = tuple(_scenario(each, sites=sites, hours=hours) for each in described)
    names = [AS_IS, *(each.name for each in read)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Problem(f"Two scenarios are called {twice[0]!r}.", "give each a name of its own.")
    if not read:
        raise Problem("No scenario is given.", "name one under `improve: scenarios`.")
    return read


def _scenario(given: dict, *, sites: Sequence[str], hours: Sequence[int]) -> Scenario:
    if not isinstance(given, dict) or not str(given.get("name", "")).strip():
        raise Problem(f"A scenario has no name: {given!r}.", "begin it with `name: ...`.")
    name = str(given["name"])
    for key in given:
        if key not in KNOWN:
            raise Problem(f"Scenario {name!r} names an unknown lever {key!r}.", nearest(key, KNOWN))
    if not any(lever in given for lever in LEVERS):
        raise Problem(f"Scenario {name!r} changes nothing.", f"use one of {', '.join(LEVERS)}.")
    add, span = _agents(name, given.get("agents"), hours)
    return Scenario(
        name=name,
        sites=_sites(name, given.get("sites"), sites),
        add=add,
        hours=span,
        service_factor=_number(name, given, "service_factor", 1.0, above=0.0, below=10.0),
        resolution_points=_number(name, given, "resolution_points", 0.0, above=-1.0, below=1.0),
        cost_per_year=_number(name, given, "cost_per_year", 0.0, above=-np.inf, below=np.inf),
    )


def _number(name: str, given: dict, key: str, usual: float, *, above: float, below: float) -> float:
    value = given.get(key, usual)
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not above < value < below:
        raise Problem(
            f"Scenario {name!r}: {key} is {value!r}.",
            f"give a number between {above:g} and {below:g}; `resolution_points: 0.08` is 8"
            " percentage points, `service_factor: 0.9` is 10 % shorter.",
        )
    return float(value)


def _sites(name: str, given: Any, sites: Sequence[str]) -> tuple[str, ...]:
    if given is None:
        return tuple(sites)
    if not isinstance(given, list | tuple) or not given:
        raise Problem(f"Scenario {name!r}: sites is {given!r}.", "give a list, such as [N1, N2].")
    given = [str(site) for site in given]  # a parameters file reads site 12 as a number
    for site in given:
        if site not in sites:
            raise Problem(f"Scenario {name!r}: there is no site {site!r}.", nearest(site, sites))
    return tuple(given)


def _agents(name: str, given: Any, hours: Sequence[int]) -> tuple[int, tuple[int, int]]:
    worked = (min(hours), max(hours) + 1)
    if given is None:
        return 0, worked
    if not isinstance(given, dict) or not isinstance(given.get("add"), int):
        raise Problem(
            f"Scenario {name!r}: agents is {given!r}.", "write agents: {add: 1, hours: [10, 14]}."
        )
    for key in given:
        if key not in ("add", "hours"):
            raise Problem(
                f"Scenario {name!r}: agents has an unknown part {key!r}.",
                nearest(key, ("add", "hours")),
            )
    span = given.get("hours", worked)
    if not _is_span(span, worked):
        raise Problem(
            f"Scenario {name!r}: hours is {span!r}.",
            f"give two whole hours of the day between {worked[0]} and {worked[1]}, first to last.",
        )
    return int(given["add"]), (int(span[0]), int(span[1]))


def _is_span(span: Any, worked: tuple[int, int]) -> bool:
    if not isinstance(span, list | tuple) or len(span) != 2:
        return False
    whole = all(isinstance(hour, int) for hour in span)
    return whole and worked[0] <= span[0] < span[1] <= worked[1]


# --- The drivers of complaints --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Drivers:
    """Draws of a logistic fit, ready for look-up: logits, arrays of (draws, levels)."""

    intercept: np.ndarray  # (draws,)
    per_second: np.ndarray  # (draws,)
    site: np.ndarray
    reason: np.ndarray
    channel: np.ndarray
    ending: np.ndarray


def _draw_drivers(table: pd.DataFrame, grid, draws: int, rng: np.random.Generator) -> _Drivers:
    """Draw coefficients from N(b, V) and lay them out by level."""
    terms, b, covariance = _fit(table)
    drawn = rng.multivariate_normal(b, covariance, size=draws, method="eigh")
    levels = {
        "site": grid.sites,
        "reason": grid.reasons,
        "channel": grid.channels,
        "ending": ENDINGS,
    }
    of = {column: np.zeros((draws, len(names))) for column, names in levels.items()}
    numbers = {INTERCEPT: np.zeros(draws), "wait_s": np.zeros(draws)}
    for i, term in enumerate(terms):
        column, _, level = term.partition("=")
        if term in numbers:
            numbers[term] = drawn[:, i] / _unit(table, i)
        elif column in levels and level:
            if level in levels[column]:
                of[column][:, levels[column].index(level)] = drawn[:, i]
        else:
            raise Problem(
                f"The drivers hold a term {term!r} that simulated contacts do not have.",
                "fit them on wait_s, ending, site, reason and channel alone.",
            )
    return _Drivers(numbers[INTERCEPT], numbers["wait_s"], **of)


def _fit(table: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    need_columns(table, ["term", "estimate"], source="drivers")
    terms = table["term"].astype(str).tolist()
    need_columns(table, [f"cov: {term}" for term in terms], source="drivers")
    if INTERCEPT not in terms:
        raise Problem("The drivers have no intercept.", f"keep the term {INTERCEPT!r}.")
    covariance = table[[f"cov: {term}" for term in terms]].to_numpy(float)
    estimate = table["estimate"].to_numpy(float)
    if not (np.isfinite(estimate).all() and np.isfinite(covariance).all()):
        raise Problem("The drivers have a missing coefficient.", "leave that term out of the fit.")
    return terms, estimate, (covariance + covariance.T) / 2


def _unit(table: pd.DataFrame, row: int) -> float:
    unit = table["unit_per"].iloc[row] if "unit_per" in table else 1.0
    return 1.0 if pd.isna(unit) or unit == 0 else float(unit)


# --- What counts as a defect ----------------------------------------------------------------------

YES_OR_NO = ("abandoned", "resolved", "complained")
MEASURED = ("wait_s", "service_s", *YES_OR_NO)


@dataclass(frozen=True)
class _Defect:
    """One characteristic critical to quality, as far as a simulation can judge it."""

    name: str
    measure: str
    beyond: bool  # whether a value above the limit (and not below it) is a defect
    limit: float
    target: float


def _defects(ctqs: pd.DataFrame | None) -> tuple[_Defect, ...]:
    """Those characteristics that simulated contacts can be judged by."""
    if ctqs is None:
        return ()
    need_columns(ctqs, ["name", "measure", "direction", "limit", "target"], source="ctqs")
    read = [_defect(row) for row in ctqs.to_dict("records")]
    return tuple(each for each in read if each is not None)


def _defect(row: dict) -> _Defect | None:
    if row["direction"] not in ("at most", "at least"):
        raise Problem(
            f"CTQ {row['name']!r} has the direction {row['direction']!r}.",
            "write 'at most' or 'at least'.",
        )
    if _why_not(row):
        return None
    above = row["direction"] == "at most"
    return _Defect(row["name"], row["measure"], above, _limit(row), float(row["target"]))


def _limit(row: dict) -> float:
    """The limit; where a yes or no is judged and none is given, the one that tells them apart."""
    if pd.isna(row["limit"]) and row["measure"] in YES_OR_NO:
        return 0.0 if row["direction"] == "at most" else 1.0
    return float(row["limit"])


def _why_not(row: dict) -> str:
    """Why a simulation cannot judge a characteristic; empty if it can."""
    if row.get("table", "operations") not in ("operations", "complaints"):
        return f"measured in the {row['table']}, not on contacts"
    if row["measure"] not in MEASURED:
        return f"{row['measure']} is not simulated"
    if pd.isna(_limit(row)) or pd.isna(row["target"]):
        return "no limit or no target"
    return ""


# --- Simulating -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Scenarios played on simulated weeks, draw by draw: what the two questions read.

    Attributes
    ----------
    scenarios : tuple of Scenario
        The first one is the service as it is.
    measures : tuple of str
        Names of the third axis.
    level : ndarray, shape (scenarios, draws, measures)
        Noise of the simulation within a draw is taken out of the spread between draws.
    change : ndarray, shape (scenarios, draws, measures)
        Against the service as it is, on the same customers.
    cost : ndarray, shape (draws,)
        Mean cost of a complaint.
    defects : tuple
        The characteristics that were judged.
    weeks : int
        Simulated weeks in each draw.
    open_days_per_year : float
    wait_error, abandon_error : float
        What the test on days held out added to the uncertainty.
    """

    scenarios: tuple[Scenario, ...]
    measures: tuple[str, ...]
    level: np.ndarray
    change: np.ndarray
    cost: np.ndarray
    defects: tuple[_Defect, ...]
    weeks: int
    open_days_per_year: float
    wait_error: float
    abandon_error: float


def rehearse(
    service: Service,
    scenarios: Sequence[dict],
    *,
    gate: Gate,
    drivers: pd.DataFrame,
    cost_per_complaint: tuple[float, float, float],
    ctqs: pd.DataFrame | None = None,
    draws: int = 200,
    weeks: int = 12,
    cost_confidence: float = 0.95,
    rng: np.random.Generator,
) -> Rehearsal:
    """Play each scenario and the service as it is, on the same simulated customers.

    Parameters
    ----------
    service : Service
        The calibrated queue.
    scenarios : sequence of dict
        See `read_scenarios`.
    gate : Gate
        The verdict on days held out: while it is shut, nothing is played.
    drivers : DataFrame
        Logistic fit of complaints: ``term``, ``estimate``, one column ``cov: <term>`` per term
        and, for numbers, ``unit_per``.  Terms are ``(intercept)``, ``wait_s`` and
        ``column=level`` for the columns site, reason, channel and ending (resolved, unresolved,
        abandoned); a level without a term is the reference.
    cost_per_complaint : tuple of three float
        Estimate, low and high of the mean cost of a complaint.
    ctqs : DataFrame, optional
        ``name``, ``table``, ``measure``, ``direction``, ``limit``, ``target`` of each
        characteristic critical to quality.
    draws : int, default 200
        Draws of everything that is not known for certain.
    weeks : int, default 12
        Simulated weeks in each draw, without holidays.
    cost_confidence : float, default 0.95
        Level of the interval in ``cost_per_complaint``.
    rng : Generator

    Returns
    -------
    Rehearsal

    Raises
    ------
    Refusal
        If the gate is shut, or the log does not say which contacts were resolved although a
        scenario or the drivers ask for it.
    Problem
        If a scenario, the drivers or the cost do not make sense.

    Notes
    -----
    One draw is one set of weights of the log's weeks (arrivals, service times, patience,
    resolution), one set of coefficients from N(b, V), one mean cost (lognormal) and, where the
    gate found an error beyond chance, one lognormal error of the waits and one of patience, the
    same for all scenarios.  Whether a contact is resolved and whether it is complained of enter
    as probabilities, not as coins.  Each draw sees only some weeks, so part of the
    spread between draws is noise of the simulation; its variance is estimated between the weeks
    of a draw and taken out [1]_ (at least a tenth of the variance is kept).

    References
    ----------
    .. [1] Sun, Y., Apley, D. W., Staum, J. (2011). Efficient nested simulation for estimating the
       variance of a conditional expectation. Operations Research 59, 998-1007.
       doi:10.1287/opre.1110.0932
    """
    if not gate.open:
        raise Refusal(
            gate.sentence(),
            "find what changed between the two stretches, and learn from days that are alike.",
        )
    read = read_scenarios(scenarios, sites=service.grid.sites, hours=service.grid.hours)
    worlds = (Scenario(AS_IS, hours=(0, 24)), *read)
    defects = _defects(ctqs)
    parameters = service.parameters(draws=draws, rng=rng)
    _need_resolution(parameters, read)
    fitted = _draw_drivers(drivers, service.grid, draws, rng)
    cost = _draw_cost(cost_per_complaint, cost_confidence, draws, rng)
    wait_error, abandon_error = rng.standard_normal((2, draws))
    play = _Play(
        service=service,
        worlds=worlds,
        drivers=fitted,
        defects=defects,
        stretch=np.exp(gate.wait_error * wait_error),
        hurry=np.exp(-gate.abandon_error * abandon_error),
        weeks=weeks,
    )
    parts = [
        play.some(parameters.part(first, first + DRAWS_AT_ONCE), first, rng)
        for first in range(0, draws, DRAWS_AT_ONCE)
    ]
    sums = np.concatenate(parts, axis=1)  # (worlds, draws, weeks, measures, 2)
    level, change = _levels_and_changes(sums)
    return Rehearsal(
        scenarios=worlds,
        measures=play.measures,
        level=level,
        change=change,
        cost=cost,
        defects=defects,
        weeks=weeks,
        open_days_per_year=service.open_days_per_year,
        wait_error=gate.wait_error,
        abandon_error=gate.abandon_error,
    )


def _need_resolution(parameters: Any, scenarios: Sequence[Scenario]) -> None:
    if np.isnan(parameters.resolution).any():
        raise Refusal(
            "The log does not say which contacts were resolved, so nothing can be carried through"
            " to complaints.",
            "give the column with the role `resolved`.",
        )


def _draw_cost(
    cost: tuple[float, float, float], confidence: float, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Mean cost of a complaint, lognormal about its estimate."""
    need_share(confidence, name="cost_confidence")
    estimate, low, high = cost
    if not 0 < low <= estimate <= high:
        raise Problem(
            f"The cost of a complaint is given as {estimate} ({low} to {high}).",
            "give the estimate and its low and high limit, all above zero.",
        )
    z = stats.norm.ppf((1 + confidence) / 2)
    return estimate * np.exp(np.log(high / low) / (2 * z) * rng.standard_normal(draws))


@dataclass(frozen=True, eq=False)
class _Play:
    """Everything that stays the same from one batch of draws to the next."""

    service: Service
    worlds: tuple[Scenario, ...]
    drivers: _Drivers
    defects: tuple[_Defect, ...]
    stretch: np.ndarray  # (draws,), what the gate's error multiplies waits by
    hurry: np.ndarray  # (draws,), and patience
    weeks: int

    @property
    def measures(self) -> tuple[str, ...]:
        return (*_USUAL, *(f"defects: {each.name}" for each in self.defects))

    def some(self, parameters: Any, first: int, rng: np.random.Generator) -> np.ndarray:
        """Sums of a few draws: (worlds, draws, weeks, measures, numerator and denominator)."""
        customers = self.service.typical_weeks(parameters, weeks=self.weeks, rng=rng)
        draw = customers.draw + first
        customers = replace(customers, patience_s=customers.patience_s * self.hurry[draw][:, None])
        before = self._before_waiting(customers, draw)
        return np.stack([self._world(w, customers, parameters, draw, before) for w in self.worlds])

    def _before_waiting(self, customers: Any, draw: np.ndarray) -> np.ndarray:
        """Part of the logit of a complaint that no scenario changes, (lanes, customers)."""
        d, of = self.drivers, draw[:, None]
        known = d.intercept[draw] + d.site[draw, customers.site]
        return known[:, None] + d.reason[of, customers.reason] + d.channel[of, customers.channel]

    def _world(self, world, customers, parameters, draw, before) -> np.ndarray:
        grid = self.service.grid
        here = np.isin(customers.site, [grid.sites.index(site) for site in world.sites])
        agents = _with_more(customers.agents, here, world, grid.hours)
        factor = np.where(here, world.service_factor, 1.0)
        done = self.service.serve(customers, agents=agents, service_factor=factor)
        there = np.isfinite(customers.arrival_s)
        wait = np.where(there, done.wait_s, 0.0) * self.stretch[draw][:, None]
        rate = parameters.resolution[
            customers.draw[:, None], customers.site[:, None], customers.reason
        ]
        rate = np.clip(rate + world.resolution_points * here[:, None], 0.0, 1.0)
        contacts = _Contacts(
            there=there,
            wait_s=wait,
            served=done.served,
            service_s=customers.service_s * factor[:, None],
            resolved=rate,
            complained=self._complaint(before, wait, done.served, rate, draw),
        )
        return _by_week(contacts, customers, self.defects)

    def _complaint(self, before, wait, served, rate, draw) -> np.ndarray:
        """Probability of a complaint, whether resolved or not averaged over."""
        logit = before + self.drivers.per_second[draw][:, None] * wait
        resolved, unresolved, abandoned = (
            self.drivers.ending[draw, i][:, None] for i in range(len(ENDINGS))
        )
        if_not = _logistic(logit + np.where(served, unresolved, abandoned))
        return np.where(served, rate * _logistic(logit + resolved) + (1 - rate) * if_not, if_not)


@dataclass(frozen=True, eq=False)
class _Contacts:
    """Simulated contacts of one world, arrays of shape (lanes, customers)."""

    there: np.ndarray
    wait_s: np.ndarray
    served: np.ndarray
    service_s: np.ndarray
    resolved: np.ndarray  # probability, given that it is served
    complained: np.ndarray  # probability


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _with_more(agents: np.ndarray, here: np.ndarray, world: Scenario, hours) -> np.ndarray:
    """Agents on duty with those the scenario adds, at sites and on days that are open."""
    if world.add == 0:
        return agents
    within = np.isin(np.array(hours), np.arange(*world.hours))
    more = agents + world.add * within * (here & agents.any(axis=1))[:, None]
    if (more[agents > 0] <= 0).any():
        raise Problem(
            f"Scenario {world.name!r} leaves hours without any agent.",
            "take away fewer agents, or name sites and hours that have more.",
        )
    return np.maximum(more, 0)


# Each usual measure: numerator and denominator, summed over the contacts of a week.
_USUAL = ("mean_wait_s", "abandoned", "resolved", "complaint_rate", "complaints_per_day")


def _by_week(contacts: _Contacts, customers: Any, defects: Sequence[_Defect]) -> np.ndarray:
    """Numerators and denominators, (draws, weeks, measures, 2)."""
    there, served = contacts.there, contacts.served
    complaints = np.where(there, contacts.complained, 0.0)
    pairs = [
        (contacts.wait_s, there),
        (there & ~served, there),
        (contacts.resolved * served, served),
        (complaints, there),
        (complaints, None),
        *(_judged(contacts, each) for each in defects),
    ]
    draws, weeks = customers.draw.max() + 1, customers.unit.max() + 1
    shape = (draws, weeks, -1)
    days = len(customers.draw) / (draws * weeks) / (customers.site.max() + 1)
    columns = []
    for part, whole in pairs:
        top = part.sum(axis=1).reshape(shape).sum(axis=2)
        below = (
            np.full(top.shape, days)
            if whole is None
            else whole.sum(axis=1).reshape(shape).sum(axis=2)
        )
        columns.append(np.stack([top, below], axis=2))
    return np.stack(columns, axis=2)


def _judged(contacts: _Contacts, defect: _Defect) -> tuple[np.ndarray, np.ndarray]:
    """Defects (or their probability) and the contacts they are counted on."""
    base = contacts.served if defect.measure in ("resolved", "service_s") else contacts.there
    if defect.measure in ("wait_s", "service_s"):
        value = getattr(contacts, defect.measure)
        wrong = value > defect.limit if defect.beyond else value < defect.limit
        return wrong & base, base
    chance = {
        "abandoned": (~contacts.served).astype(float),
        "resolved": contacts.resolved,
        "complained": contacts.complained,
    }[defect.measure]
    # a yes counts 1 and a no counts 0, so the limit says which of the two is a defect
    yes, no = ((v > defect.limit) if defect.beyond else (v < defect.limit) for v in (1, 0))
    return (chance * yes + (1 - chance) * no) * base, base


def _levels_and_changes(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratios by draw and their change against the first world, both freed of simulation noise."""
    part, whole = sums[..., 0], np.maximum(sums[..., 1], 1e-12)
    ratio = part.sum(axis=2) / whole.sum(axis=2)  # (worlds, draws, measures)
    weeks = sums.shape[2]
    # what each week adds to the error of its draw's ratio
    error = (part - ratio[:, :, None, :] * whole) / whole.mean(axis=2, keepdims=True) / weeks
    scale = weeks / max(weeks - 1, 1)
    noise = (error**2).sum(axis=2) * scale
    noise_of_change = ((error - error[:1]) ** 2).sum(axis=2) * scale
    return _without_noise(ratio, noise), _without_noise(ratio - ratio[:1], noise_of_change)


def _without_noise(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draw values towards their mean until their variance is that of the parameters alone."""
    middle = values.mean(axis=1, keepdims=True)
    total = values.var(axis=1, ddof=1, keepdims=True)
    kept = 1 - noise.mean(axis=1, keepdims=True) / np.maximum(total, 1e-300)
    return middle + (values - middle) * np.sqrt(np.clip(kept, LEAST_SHARE, 1.0))


# --- Question one: what would it do? --------------------------------------------------------------

PRESENT = (
    "It is about the agents and sites there are: an interval that takes agents as a sample, as the"
    " baseline's does, is wider."
)
WORDS = {
    "mean_wait_s": ("mean wait", "s"),
    "abandoned": ("share who hang up", "share"),
    "resolved": ("resolved at first contact", "share of served"),
    "complaint_rate": ("complaints per contact", "share"),
    "complaints_per_year": ("complaints a year", "complaints"),
    "cost_per_year": ("cost of complaints a year", "money"),
    "net_saving_per_year": ("net saving a year", "money"),
}


@dataclass(frozen=True, eq=False)
class WhatIf(Finding):
    """What each scenario would change, with its interval.

    Attributes
    ----------
    table : DataFrame, one row per scenario, measure and kind
        ``scenario``, ``measure``, ``unit``, ``kind`` (``level``, or ``change`` against the service
        as it is), ``estimate, low, high``, ``chance_better`` (of a change, 0 to 1).
    best : str
        Scenario with the largest expected saving after its own cost.
    saving, low, high : float
        That saving a year, in ``currency``.
    best_share : float
        Share of the draws in which that scenario saves most, 0 to 1.
    complaints_as_is, complaints_low, complaints_high : float
        Complaints a year as it is.
    confidence : float
    currency : str
    draws, weeks : int
        Draws of the parameters, and simulated weeks in each.
    open_days_per_year : float
        What a year is.
    wait_error : float
        Relative error of waits that the test on days held out added.
    """

    best: str
    saving: float
    low: float
    high: float
    best_share: float
    complaints_as_is: float
    complaints_low: float
    complaints_high: float
    confidence: float
    currency: str
    draws: int
    weeks: int
    open_days_per_year: float
    wait_error: float

    def sentence(self) -> str:
        """Say which scenario does most about complaints, which saves most, and what each does."""
        rows = self.table[
            self.table["measure"].eq("complaints_per_year") & self.table["kind"].eq("change")
        ]
        as_is = spell(
            self.complaints_as_is,
            self.complaints_low,
            self.complaints_high,
            confidence=self.confidence,
            digits=0,
        )
        most = rows.loc[rows["estimate"].idxmin()]
        does = "" if len(rows) == 1 else " does most"
        return (
            f"Against {as_is} complaints a year as it is, {most['scenario']}{does}: {_moved(most)}."
            f" {self._money()}\n{self._each(rows)}Each of"
            f" {self.draws} draws of what is not known for certain plays {self.weeks} weeks, the"
            " same customers in every scenario; a year is"
            f" {self.open_days_per_year:.0f} open days like those learnt from. {self._limits()}"
        )

    def _each(self, rows: pd.DataFrame) -> str:
        if len(rows) == 1:
            return ""
        each = "; ".join(f"{row['scenario']}: {_moved(row)}" for _, row in rows.iterrows())
        return (
            f"Complaints a year: {each}. In {self.best_share:.0%} of the draws {self.best} saves"
            " most. "
        )

    def _money(self) -> str:
        amount = spell(
            self.saving,
            self.low,
            self.high,
            confidence=self.confidence,
            digits=0,
            unit=self.currency,
        )
        alone = len(self.table.loc[self.table["kind"].eq("change"), "scenario"].unique()) == 1
        if self.saving > 0 and alone:
            return f"After its own cost it saves {amount} a year."
        if self.saving > 0:
            return f"After its own cost {self.best} saves most, {amount} a year."
        return (
            "No scenario pays for itself by the complaints it spares: the one that comes nearest,"
            f" {self.best}, leaves {amount} a year."
        )

    def _limits(self) -> str:
        widened = (
            f"The held-out test's error of {self.wait_error:.0%} beyond chance is added to waits. "
            if self.wait_error > 0.005
            else ""
        )
        return (
            f"{widened}It is taken for granted that the lever moves as named (what a scenario names"
            " is assumed, not foretold), that complaints follow waits and resolution as fitted, and"
            f" that costs are as given. {PRESENT}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the change of complaints a year of each scenario, with its interval."""
        ax = look.axes(ax)
        rows = self.table[
            self.table["measure"].eq("complaints_per_year") & self.table["kind"].eq("change")
        ]
        look.dots(
            ax,
            rows,
            names=rows["scenario"],
            meaning=[_meaning(*r) for r in rows[["low", "high"]].to_numpy()],
        )
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="What would each scenario do to complaints?",
            x=f"change in complaints a year ({self.confidence * 100:.4g}% interval)",
        )


def _moved(row: pd.Series) -> str:
    return f"{row['estimate']:+,.0f} ({row['low']:+,.0f} to {row['high']:+,.0f})"


def _meaning(low: float, high: float) -> str:
    if high < 0:
        return "better"
    return "worse" if low > 0 else "usual"


def what_if(rehearsal: Rehearsal, *, currency: str, confidence: float = 0.95) -> WhatIf:
    """Sum up what each scenario would change.

    Parameters
    ----------
    rehearsal : Rehearsal
    currency : str
        Of the cost of complaints and of the scenarios, such as ``EUR``.
    confidence : float, default 0.95

    Returns
    -------
    WhatIf

    Raises
    ------
    Problem
        If no currency is named.

    Notes
    -----
    Estimates are means, limits quantiles of the draws.  The intervals are about the long-run
    level: what a single year would show varies more.  Net saving = fall in the cost of
    complaints - the scenario's own cost.
    """
    need_share(confidence, name="confidence")
    if not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")
    level, change = _yearly(rehearsal)
    rows = []
    for w, world in enumerate(rehearsal.scenarios):
        rows += [_row(world.name, m, "level", v[w], currency, confidence) for m, v in level.items()]
        if w:
            rows += [
                _row(world.name, m, "change", v[w], currency, confidence) for m, v in change.items()
            ]
    table = pd.DataFrame(rows)
    saving = table[table["measure"].eq("net_saving_per_year")]
    best = saving.loc[saving["estimate"].idxmax()]
    drawn = change["net_saving_per_year"][1:]  # the first is the service as it is
    as_is = table[table["measure"].eq("complaints_per_year")].iloc[0]
    return WhatIf(
        table=table,
        best=str(best["scenario"]),
        saving=float(best["estimate"]),
        low=float(best["low"]),
        high=float(best["high"]),
        best_share=float((drawn.argmax(axis=0) == drawn.mean(axis=1).argmax()).mean()),
        complaints_as_is=float(as_is["estimate"]),
        complaints_low=float(as_is["low"]),
        complaints_high=float(as_is["high"]),
        confidence=confidence,
        currency=currency,
        draws=rehearsal.level.shape[1],
        weeks=rehearsal.weeks,
        open_days_per_year=rehearsal.open_days_per_year,
        wait_error=rehearsal.wait_error,
    )


def _yearly(rehearsal: Rehearsal) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Levels and changes by measure, each (scenarios, draws), with what a year costs."""
    of = {name: rehearsal.level[:, :, m] for m, name in enumerate(rehearsal.measures)}
    by = {name: rehearsal.change[:, :, m] for m, name in enumerate(rehearsal.measures)}
    for each in (of, by):
        a_year = each.pop("complaints_per_day") * rehearsal.open_days_per_year
        each["complaints_per_year"] = a_year
        each["cost_per_year"] = a_year * rehearsal.cost
    own = np.array([world.cost_per_year for world in rehearsal.scenarios])
    by["net_saving_per_year"] = -by["cost_per_year"] - own[:, None]
    return of, by


def _row(scenario, measure, kind, values, currency, confidence) -> dict:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    unit = WORDS.get(measure, ("", "share"))[1]
    better = values > 0 if measure in ("resolved", "net_saving_per_year") else values < 0
    return {
        "scenario": scenario,
        "measure": measure,
        "unit": currency if unit == "money" else unit,
        "kind": kind,
        "estimate": float(values.mean()),
        "low": float(low),
        "high": float(high),
        "chance_better": float(better.mean()) if kind == "change" and values.any() else np.nan,
    }


# --- Question two: is it enough? ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Chances(Finding):
    """How likely each characteristic is to meet its target in each scenario.

    Attributes
    ----------
    table : DataFrame, one row per characteristic and scenario
        ``ctq``, ``scenario``, ``target`` and ``defects`` (shares), ``estimate`` the probability
        that the long-run share of defects is at or below its target, ``low, high`` its limits
        (95 %) given the number of draws, ``note`` where it cannot be said.
    ctqs, judged : int
        Characteristics given, and those that a simulation can judge.
    draws : int
    """

    ctqs: int
    judged: int
    draws: int

    def sentence(self) -> str:
        """Name for each characteristic the chance as it is and the best chance there is."""
        known = self.table.dropna(subset=["estimate"])
        each = [self._words(name, rows) for name, rows in known.groupby("ctq", sort=False)]
        left = self.ctqs - self.judged
        silent = f" {left} of {self.ctqs} cannot be judged by a simulated contact." if left else ""
        words = "; ".join(each) or "none known"
        return (
            f"Chance of meeting the target in the long run: {words}.\nIt is the share of"
            f" {self.draws} draws of what is not known for certain that meet it, and rests on the"
            f" queue and the drivers as fitted. {PRESENT}{silent}"
        )

    def _words(self, name: str, rows: pd.DataFrame) -> str:
        as_is = rows[rows["scenario"].eq(AS_IS)].iloc[0]
        best = rows.loc[rows["estimate"].idxmax()]
        if best["estimate"] <= as_is["estimate"]:
            return f"{name}, {_chance(as_is)} as it is, no more in any scenario"
        return f"{name}, {_chance(as_is)} as it is and {_chance(best)} with {best['scenario']}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the chance of each characteristic by scenario: shade and figure agree."""
        ax = look.axes(ax)
        grid = self.table.pivot_table(
            index="ctq", columns="scenario", values="estimate", sort=False, dropna=False
        ).reindex(columns=self.table["scenario"].unique())
        figures = grid.map(lambda chance: "?" if np.isnan(chance) else f"{chance * 100:.0f}")
        seaborn.heatmap(
            grid.fillna(0.5) * 100,
            annot=figures,
            fmt="",
            cmap=look.WORSE_TO_BETTER,
            vmin=0,
            vmax=100,
            linewidths=2,
            cbar=False,
            ax=ax,
        )
        ax.set_xticklabels([fill(look.shorten(name), 16) for name in grid.columns], rotation=0)
        ax.set_yticklabels([look.shorten(name) for name in grid.index], rotation=0)
        ax.tick_params(length=0)
        return look.label(
            ax, title="How likely is each target to be met?", x="scenario (chance in per cent)"
        )


def _chance(row: pd.Series) -> str:
    """No surer than so many draws can be: of 200 without a failure, over 98 %."""
    low, high = np.floor(row["low"] * 100), np.ceil(row["high"] * 100)
    if row["estimate"] > 0.99:
        return f"over {low:.0f} %"
    if row["estimate"] < 0.01:
        return f"under {high:.0f} %"
    return f"{row['estimate'] * 100:.0f} % ({low:.0f} to {high:.0f})"


def chance_of_target(rehearsal: Rehearsal, ctqs: pd.DataFrame) -> Chances:
    """How likely is the true share of defects to be at or below its target?

    Parameters
    ----------
    rehearsal : Rehearsal
        Played with the same characteristics.
    ctqs : DataFrame
        ``name``, ``table``, ``measure``, ``direction`` (``at most``, ``at least``), ``limit``,
        ``target`` (largest share of defects allowed).

    Returns
    -------
    Chances

    Raises
    ------
    Problem
        If the rehearsal was played without one of the characteristics.

    Notes
    -----
    Share of the draws whose long-run share of defects is at or below the target.  A plug-in
    simulation would say 0 or 1 where this says how sure the study can be.  Characteristics other
    than waits, abandonment, resolution, complaints and service times are left open.
    """
    rows = []
    for row in ctqs.to_dict("records"):
        for w, world in enumerate(rehearsal.scenarios):
            rows.append({"ctq": row["name"], "scenario": world.name} | _odds(rehearsal, row, w))
    table = pd.DataFrame(rows)
    judged = sum(not _why_not(row) for row in ctqs.to_dict("records"))
    return Chances(table=table, ctqs=len(ctqs), judged=judged, draws=rehearsal.level.shape[1])


def _odds(rehearsal: Rehearsal, row: dict, w: int) -> dict:
    unknown = {"target": row["target"], "defects": np.nan, "estimate": np.nan}
    unknown |= {"low": np.nan, "high": np.nan, "note": _why_not(row)}
    if unknown["note"]:
        return unknown
    if _defect(row) not in rehearsal.defects:
        raise Problem(
            f"The scenarios were played without the CTQ {row['name']!r}.",
            "hand the same `ctqs` to `rehearse`.",
        )
    share = rehearsal.level[w, :, rehearsal.measures.index(f"defects: {row['name']}")]
    chance = float((share <= float(row["target"])).mean())
    low, high = wilson(chance, len(share))
    return unknown | {"defects": float(share.mean()), "estimate": chance, "low": low, "high": high}
