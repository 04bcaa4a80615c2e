"""How do improvements fare on simulated weeks, draw by draw?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.consequences import (
    ENDINGS,
    Fitted,
    complaint_chance,
    draw_fit,
    need_score,
    score_measures,
    score_shares,
    share_beyond,
)
from sqm.event_calendar import Routing, simulate_routed
from sqm.finding import counted
from sqm.queue_engine import HOUR_S, spells
from sqm.scenario import (
    AS_IS,
    WEEKS_PER_YEAR,
    Demand,
    Rules,
    Scenario,
    changed,
    combined,
    read_scenarios,
    sizes,
)
from sqm.three_point import drawn, three_points

__all__ = ["AS_IS", "Rehearsal", "Scenario", "read_scenarios", "rehearse"]

LANES_AT_ONCE = 1_200  # queues side by side: small arrays stay in the processor's cache
SPLIT_DRAWS = 400  # that meet a second set of customers on the same days
# Part of the variance between draws that is taken for the parameters' own, however large the
# noise of the simulation within a draw appears to be.
LEAST_SHARE = 0.1
# By how much patience has to change, relatively, until abandonment changes by one: whoever would
# have left later is often served first.  Seen on a service with waits of minutes; about 2.
PATIENCE_MOVES = 2.0
DRAWS_AN_INPUT = 20  # fewest draws for each input of the regression that tells signal from noise
PRESENT = (
    "It is about the agents and sites there are: an interval that takes agents as a sample, as the"
    " baseline's does, is wider."
)


class Service(Protocol):
    """What a service model must do here; the notebook brings one."""

    grid: Any
    pool: Any
    open_days_per_year: float

    def parameters(self, *, draws: int, rng: np.random.Generator) -> Any: ...

    def best(self) -> Any: ...

    def typical_weeks(
        self,
        parameters: Any,
        *,
        weeks: int,
        rng: np.random.Generator,
        days: np.random.Generator | None = None,
    ) -> Any: ...

    def serve(self, customers: Any, *, agents: np.ndarray, service_factor: np.ndarray) -> Any: ...


class Gate(Protocol):
    """The verdict of a test on days that the model had not seen."""

    open: bool
    wait_error: float
    abandon_error: float
    contacts_error: float

    def sentence(self) -> str: ...


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


def _defects(ctqs: pd.DataFrame | None, scores: Sequence[str]) -> tuple[_Defect, ...]:
    """Those characteristics that simulated contacts can be judged by."""
    if ctqs is None:
        return ()
    need_columns(ctqs, ["name", "measure", "direction", "limit", "target"], source="ctqs")
    read = [defect_of(row, scores=scores) for row in ctqs.to_dict("records")]
    return tuple(each for each in read if each is not None)


def defect_of(row: dict, *, scores: Sequence[str] = ()) -> _Defect | None:
    """What counts as a defect of a characteristic; None if a simulation cannot judge it.

    ``scores`` are the answers of the survey that the simulation carries waits through to.
    """
    if row["direction"] not in ("at most", "at least"):
        raise Problem(
            f"CTQ {row['name']!r} has the direction {row['direction']!r}.",
            "write 'at most' or 'at least'.",
        )
    if why_not_judged(row, scores=scores):
        return None
    above = row["direction"] == "at most"
    return _Defect(row["name"], row["measure"], above, _limit(row), float(row["target"]))


def _limit(row: dict) -> float:
    """The limit; where a yes or no is judged and none is given, the one that tells them apart."""
    if pd.isna(row["limit"]) and row["measure"] in YES_OR_NO:
        return 0.0 if row["direction"] == "at most" else 1.0
    return float(row["limit"])


def why_not_judged(row: dict, *, scores: Sequence[str] = ()) -> str:
    """Why a simulation cannot judge a characteristic; empty if it can."""
    table = row.get("table", "operations")
    if table == "survey":
        known = row["measure"] in scores
        unknown = f"no drivers of {row['measure']} were handed over, so the survey's answers are"
        return _no_target(row) if known else f"{unknown} not simulated"
    if table not in ("operations", "complaints"):
        return f"measured in the {table}, not on contacts"
    if row["measure"] not in MEASURED:
        return f"{row['measure']} is not simulated"
    return _no_target(row)


def _no_target(row: dict) -> str:
    return "no limit or no target" if pd.isna(_limit(row)) or pd.isna(row["target"]) else ""


# --- What comes out -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Spread:
    """What the uncertainty is told apart by, before the noise of the simulation is taken out.

    Attributes
    ----------
    level, change : ndarray, shape (scenarios, draws, measures)
        As simulated.
    noise, noise_of_change : ndarray, shape (scenarios, draws, measures)
        Variance of these about the long run of their draw, estimated between its weeks.
    days, days_of_change : ndarray, shape (scenarios, first few draws, measures)
        The part of that variance that two sets of customers on the same days share.
    """

    level: np.ndarray
    change: np.ndarray
    noise: np.ndarray
    noise_of_change: np.ndarray
    days: np.ndarray
    days_of_change: np.ndarray


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Scenarios played on simulated weeks, draw by draw: what the questions of Improve read.

    Attributes
    ----------
    scenarios : tuple of Scenario
        The first one is the service as it is; combinations come last.
    measures : tuple of str
        Names of the third axis.
    level : ndarray, shape (scenarios, draws, measures)
        Noise of the simulation within a draw is taken out of the spread between draws.
    change : ndarray, shape (scenarios, draws, measures)
        Against the service as it is, on the same customers.
    week_sd : ndarray, shape (scenarios, measures)
        Standard deviation of one simulated week about the long run of its draw: the variation
        between days and chance, which no more data would cure.
    week_sd_of_change : ndarray, shape (scenarios, measures)
        The same of the change.
    variance_saved : ndarray, shape (scenarios, measures)
        How many times larger the noise of a change would be, were each scenario played on
        customers of its own; NaN where nothing changes.
    cost : ndarray, shape (draws,)
        Mean cost of a complaint.
    running_cost, investment : ndarray, shape (scenarios, draws)
        Money that a scenario costs every year (revenue that a change of price brings taken off),
        and once at the beginning.
    revenue : ndarray, shape (scenarios, draws)
        Revenue a year that a change of price brings; already in ``running_cost``.
    inputs : ndarray, shape (draws, inputs)
        The level of each unknown in each draw, those that do not vary left out.
    input_names : tuple of str
    spread : Spread
    defects : tuple
        The characteristics that were judged.
    scores : tuple of str
        The answers of the survey that waits were carried through to.
    weeks : int
        Simulated weeks in each draw.
    open_days_per_year : float
    wait_error, abandon_error : float
        What the test on days held out added to the uncertainty.
    plug_in : bool
        Whether all that is not known was taken at its best estimate, as if it were certain.
    sites : tuple of str
    realised : tuple of three float
        Share of what is foretold that is taken to come, see `realised_in_part`.
    """

    scenarios: tuple[Scenario, ...]
    measures: tuple[str, ...]
    level: np.ndarray
    change: np.ndarray
    week_sd: np.ndarray
    week_sd_of_change: np.ndarray
    variance_saved: np.ndarray
    cost: np.ndarray
    running_cost: np.ndarray
    investment: np.ndarray
    revenue: np.ndarray
    inputs: np.ndarray
    input_names: tuple[str, ...]
    spread: Spread
    defects: tuple[_Defect, ...]
    scores: tuple[str, ...]
    weeks: int
    open_days_per_year: float
    wait_error: float
    abandon_error: float
    plug_in: bool
    sites: tuple[str, ...] = ()
    realised: tuple[float, float, float] = (1.0, 1.0, 1.0)


def rehearse(
    service: Service,
    scenarios: Sequence[dict],
    *,
    gate: Gate,
    drivers: pd.DataFrame,
    cost_per_complaint: tuple[float, float, float],
    ctqs: pd.DataFrame | None = None,
    experience: Mapping[str, pd.DataFrame] | None = None,
    combinations: bool | int = False,
    draws: int = 4_000,
    weeks: int = 2,
    cost_confidence: float = 0.95,
    plug_in: bool = False,
    rng: np.random.Generator,
) -> Rehearsal:
    """Play each scenario and the service as it is, on the same simulated customers.

    Parameters
    ----------
    service : Service
        The calibrated queue.
    scenarios : sequence of dict
        See `sqm.scenario.read_scenarios`.
    gate : Gate
        The verdict on days held out: while it is shut, nothing is played.
    drivers : DataFrame
        Logistic fit of complaints, see `sqm.consequences.draw_fit`.
    cost_per_complaint : tuple of three float
        Estimate, low and high of the mean cost of a complaint.
    ctqs : DataFrame, optional
        ``name``, ``table``, ``measure``, ``direction``, ``limit``, ``target`` of each
        characteristic critical to quality.
    experience : mapping of str to DataFrame, optional
        By the name of a score of the survey (satisfaction, recommend) its drivers, fitted as an
        ordered outcome; see `sqm.consequences.draw_fit`.
    combinations : bool or int, default False
        Play combinations of scenarios too: all, or those of so many at most.
    draws : int, default 4000
        Draws of everything that is not known for certain.
    weeks : int, default 2
        Simulated weeks in each draw, without holidays; two or more.
    cost_confidence : float, default 0.95
        Level of the interval in ``cost_per_complaint``.
    plug_in : bool, default False
        Take all that is not known at its best estimate, to show what that would hide.
    rng : Generator

    Returns
    -------
    Rehearsal

    Raises
    ------
    Refusal
        If the gate is shut, or the log does not say which contacts were resolved.
    Problem
        If a scenario, the drivers or the cost do not make sense, or there are fewer than two
        draws or weeks.

    Notes
    -----
    One draw is one set of weights of the log's weeks (arrivals, service times, patience,
    resolution), one set of coefficients from N(b, V), one mean cost (lognormal), one size of each
    lever that is given as a range (triangular) and, where the gate found an error beyond chance,
    one lognormal error of the waits, of patience and of the number of contacts, the same for all
    scenarios.  The three come on top of what the log leaves unknown, so that intervals of changes
    are conservative: they hold the truth more often than they say.  Whether a contact is resolved
    and whether it is complained of enter as probabilities, not as coins.

    Where demand changes, customers are drawn at the largest demand of all scenarios, and each has
    one uniform number that says in which of them it comes: a Poisson process thinned.  Several
    scenarios together: agents add up, factors multiply, points add up, each at its own sites.

    Each draw sees only some weeks, so part of the spread between draws is noise of the simulation.
    Its variance is estimated between the weeks of a draw [1]_.  What a regression on the inputs
    of the draws explains is kept; the rest is drawn in until the noise is out.

    References
    ----------
    .. [1] Sun, Y., Apley, D. W., Staum, J. (2011). Efficient nested simulation for estimating the
       variance of a conditional expectation. Operations Research 59, 998-1007.
       doi:10.1287/opre.1110.0932
    """
    if not gate.open:
        raise Refusal(
            gate.sentence().splitlines()[0],  # the rest stands with the gate itself
            "find what changed between the two stretches, and learn from days that are alike.",
        )
    _need_enough(draws, weeks)
    draws, weeks = int(draws), int(weeks)
    worlds = _worlds(service.grid, scenarios, combinations)
    scores = tuple(experience or {})
    unknown = _Unknown.drawn(
        service,
        worlds,
        gate=gate,
        fits={"": drivers, **(experience or {})},
        cost=cost_per_complaint,
        cost_confidence=cost_confidence,
        draws=draws,
        plug_in=plug_in,
        rng=rng,
    )
    play = _Play(service, worlds, unknown, _defects(ctqs, scores), weeks)
    sums, again = play.all(rng)
    inputs, names = _inputs(service, unknown)
    return Rehearsal(
        scenarios=worlds,
        measures=play.measures,
        **_told_apart(sums, again, inputs[:, _not_money(names)], plug_in=plug_in),
        cost=unknown.cost,
        **_money(service, worlds, unknown),
        inputs=inputs,
        input_names=names,
        defects=play.defects,
        scores=scores,
        weeks=weeks,
        open_days_per_year=service.open_days_per_year,
        wait_error=0.0 if plug_in else gate.wait_error,
        abandon_error=0.0 if plug_in else gate.abandon_error,
        plug_in=plug_in,
        sites=tuple(service.grid.sites),
    )


def realised_in_part(
    rehearsal: Rehearsal, realised: Sequence[float], *, rng: np.random.Generator
) -> Rehearsal:
    """The same rehearsal, of whose changes only a share comes, one for all scenarios in a draw.

    Parameters
    ----------
    rehearsal : Rehearsal
    realised : number or sequence of three
        Share of a foretold change that comes: least, likeliest and most; 1 is all of it.
    rng : Generator

    Returns
    -------
    Rehearsal

    Raises
    ------
    Problem
        If a share is negative or not finite.
    """
    points = three_points(realised, name="realised")
    if points[0] < 0:
        raise Problem(f"realised is {list(points)}.", "give shares of 0 or more, such as 0.8.")
    share = drawn(points, rehearsal.level.shape[1], rng=rng)[None, :, None]
    less = (share - 1) * rehearsal.change
    return replace(
        rehearsal, level=rehearsal.level + less, change=rehearsal.change + less, realised=points
    )


def _need_enough(draws: int, weeks: int) -> None:
    for name, value in (("draws", draws), ("weeks", weeks)):
        if value < 2:
            raise Problem(
                f"{name} is {value}.", f"give two {name} or more: their spread tells the noise."
            )


def _worlds(grid, scenarios: Sequence[dict], combinations: bool | int) -> tuple[Scenario, ...]:
    read = read_scenarios(scenarios, sites=grid.sites, hours=grid.hours, reasons=grid.reasons)
    sets = ()
    if combinations:
        most = len(read) if combinations is True else int(combinations)
        if most < 0:
            raise Problem(f"combinations is {most}.", "give 1 for each scenario alone, or more.")
        sets = combined(read, at_most=most)
    names = [each.name for each in (*read, *sets)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Problem(
            f"{twice[0]!r} names a scenario, or a combination of others, twice.",
            "give the scenarios names without ` + `.",
        )
    return (Scenario(AS_IS), *read, *sets)


# --- What is not known ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Unknown:
    """Draws of everything that is not known for certain."""

    parameters: Any
    fits: dict[str, Fitted]  # of complaints under the empty name, of each score under its own
    cost: np.ndarray
    stretch: np.ndarray  # (draws,), what the gate's error multiplies waits by
    hurry: np.ndarray  # (draws,), and patience
    crowd: np.ndarray  # (draws,), and numbers of contacts
    size: dict[str, dict[str, np.ndarray]]  # of each lever of each single scenario
    own_cost: dict[str, tuple[np.ndarray, np.ndarray]]  # a year, and once

    @classmethod
    def drawn(
        cls, service, worlds, *, gate, fits, cost, cost_confidence, draws, plug_in, rng
    ) -> _Unknown:
        if plug_in:
            parameters = _repeated(service.best(), draws)
        else:
            parameters = service.parameters(draws=draws, rng=rng)
        _need_resolution(parameters)
        fitted = {
            name: draw_fit(table, service.grid, draws=draws, rng=rng, plug_in=plug_in)
            for name, table in fits.items()
        }
        for name in [name for name in fits if name]:
            need_score(fitted[name], name=name)
        priced = _draw_cost(cost, cost_confidence, draws, rng)
        wait_error, abandon_error, contacts_error = rng.standard_normal((3, draws)) * (not plug_in)
        single = [world for world in worlds if not world.together]

        def size(points):
            return np.full(draws, points[1]) if plug_in else drawn(points, draws, rng=rng)

        return cls(
            parameters=parameters,
            fits=fitted,
            cost=np.full(draws, float(cost[0])) if plug_in else priced,
            stretch=np.exp(gate.wait_error * wait_error),
            hurry=np.exp(-PATIENCE_MOVES * gate.abandon_error * abandon_error),
            crowd=np.exp(gate.contacts_error * contacts_error),
            size={w.name: {k: size(v) for k, v in sizes(w).items()} for w in single},
            own_cost={w.name: (size(w.cost_per_year), size(w.investment)) for w in single},
        )


def _repeated(best: Any, draws: int) -> Any:
    """The best estimates once for each draw."""
    return replace(
        best, **{f.name: np.repeat(getattr(best, f.name), draws, axis=0) for f in fields(best)}
    )


def _need_resolution(parameters: Any) -> None:
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


def _inputs(service: Service, unknown: _Unknown) -> tuple[np.ndarray, tuple[str, ...]]:
    """The level of each unknown in each draw, those that do not vary left out."""
    known = _of_queue(service, unknown.parameters) | _of_fits(service, unknown.fits)
    known["cost of a complaint"] = unknown.cost
    known["gate: error of waits"] = unknown.stretch
    known["gate: error of patience"] = unknown.hurry
    known["gate: error of contacts"] = unknown.crowd
    for name, of in unknown.size.items():
        known |= {f"{lever}: {name}": values for lever, values in of.items()}
    for name, (yearly, once) in unknown.own_cost.items():
        known |= {f"cost a year: {name}": yearly, f"investment: {name}": once}
    kept = {
        name: values
        for name, values in known.items()
        if np.isfinite(values).all() and np.ptp(values) > 1e-9 * np.abs(values).max()
    }
    if not kept:
        return np.zeros((len(unknown.cost), 0)), ()
    return np.column_stack(list(kept.values())), tuple(kept)


def _not_money(names: Sequence[str]) -> list[int]:
    """Places of the inputs that waits, resolution and complaints can hang on."""
    money = ("cost of a complaint", "cost a year", "investment", "revenue_per_contact")
    return [i for i, name in enumerate(names) if name.split(":")[0] not in money]


def _of_queue(service: Service, parameters: Any) -> dict[str, np.ndarray]:
    pool, weights = service.pool, parameters.weights
    blocks = np.repeat(np.tile(np.arange(pool.size.shape[1]), len(pool.size)), pool.size.ravel())
    work = np.bincount(blocks, weights=pool.service_s, minlength=pool.size.shape[1])
    arrivals = parameters.rate.sum(axis=(1, 2, 3))
    share = pool.size.sum(axis=1)[:, None] * np.stack(
        [np.bincount(pool.reason, minlength=parameters.resolution.shape[2])] * len(pool.size)
    )
    median = parameters.patience_s * np.log(2) ** (1 / parameters.patience_shape)
    return {
        "arrivals": arrivals / arrivals.mean(),
        "service time": (weights @ work) / (weights @ pool.size.sum(axis=0)),
        "patience": median,
        "resolution": (parameters.resolution * share).sum(axis=(1, 2)) / share.sum(),
    }


def _of_fits(service: Service, fits: dict[str, Fitted]) -> dict[str, np.ndarray]:
    """Coefficients, and the level of the log odds of contacts as the log mixes them."""
    pool = service.pool
    mix = {
        "site": pool.size.sum(axis=1),
        "reason": np.bincount(pool.reason, minlength=len(service.grid.reasons)),
        "channel": np.bincount(pool.channel, minlength=len(service.grid.channels)),
    }
    found = {}
    for name, fit in fits.items():
        of = f"{name or 'complaints'}: "
        level = fit.intercept - fit.thresholds.sum(axis=1) / max(fit.thresholds.shape[1], 1)
        level = level + sum(getattr(fit, k) @ (n / n.sum()) for k, n in mix.items())
        found[of + "level (log odds)"] = level
        found[of + "a minute of wait"] = 60 * fit.per_second
        for i, ending in enumerate(ENDINGS):
            found[of + ending] = fit.ending[:, i]
    return found


def _money(service: Service, worlds, unknown: _Unknown) -> dict[str, np.ndarray]:
    """Running cost, investment and revenue, (scenarios, draws)."""
    revenue = np.stack(
        [sum(_revenue(service, part, unknown) for part in world.parts) for world in worlds]
    )
    yearly, once = (
        np.stack([sum(unknown.own_cost[part.name][i] for part in w.parts) for w in worlds])
        for i in (0, 1)
    )
    return {"running_cost": yearly - revenue, "investment": once, "revenue": revenue}


def _revenue(service: Service, part: Scenario, unknown: _Unknown) -> np.ndarray:
    """Revenue a year that a change of price brings, from contacts at the sites concerned."""
    if part.price is None:
        return np.zeros(len(unknown.cost))
    sites = [service.grid.sites.index(site) for site in part.sites]
    rate = unknown.parameters.rate[:, sites]
    contacts = rate.sum(axis=(1, 2, 3)) / rate.shape[2] * service.open_days_per_year
    gain = (1 + part.price.change) * _by_price(part, unknown) - 1
    return gain * contacts * unknown.size[part.name]["revenue_per_contact"]


def _by_price(part: Scenario, unknown: _Unknown) -> np.ndarray:
    """What a change of price multiplies demand by: constant elasticity."""
    return (1 + part.price.change) ** unknown.size[part.name]["elasticity"]


# --- Simulating -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Batch:
    """Customers of a few draws, before any scenario; flat arrays hold the real customers only."""

    customers: Any
    first: int  # number of its first draw
    draw: np.ndarray  # (lanes,), counted from the first draw of all
    at: np.ndarray  # places of the customers in the flattened tables
    lane: np.ndarray  # (contacts,)
    of: np.ndarray  # (contacts,) draw
    cell: np.ndarray  # (contacts,) draw and week, counted from 0 in the batch
    site: np.ndarray
    rate: np.ndarray  # (contacts,) probability of being resolved as it is
    odds: dict[str, np.ndarray]  # of a complaint, and of scores, but for wait and ending
    cuts: dict[str, np.ndarray]
    luck: np.ndarray | None  # (3, lanes, customers): who comes, is resolved, comes again
    top: np.ndarray | None  # (draws, sites, hours): demand at which customers were drawn


@dataclass(frozen=True, eq=False)
class _Done:
    """What became of the customers of a batch in one world, flat arrays."""

    wait_s: np.ndarray
    served: np.ndarray
    here: np.ndarray | None  # whether the customer comes at all; None: all do


@dataclass(frozen=True, eq=False)
class _Play:
    """Everything that stays the same from one batch of draws to the next."""

    service: Service
    worlds: tuple[Scenario, ...]
    unknown: _Unknown
    defects: tuple[_Defect, ...]
    weeks: int

    @property
    def scores(self) -> dict[str, dict]:
        """Of each score its measures, see `score_measures`; shares of defects among them."""
        found = {}
        for name, fit in self.unknown.fits.items():
            if name:
                found[name] = score_measures(name, fit.points) | {
                    f"defects: {d.name}": share_beyond(fit.points, d.limit, above=d.beyond)
                    for d in self.defects
                    if d.measure == name
                }
        return found

    @property
    def judged(self) -> tuple[_Defect, ...]:
        """Characteristics of the contact itself, not of an answer."""
        return tuple(each for each in self.defects if each.measure in MEASURED)

    @property
    def measures(self) -> tuple[str, ...]:
        of_scores = [measure for of in self.scores.values() for measure in of]
        return (*_USUAL, *(f"defects: {each.name}" for each in self.judged), *of_scores)

    def all(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Sums of all draws, and of the first few on the same days with other customers."""
        draws, parts, again = len(self.unknown.cost), [], []
        days_a_week = len(self.service.grid.weekdays) * len(self.service.grid.sites)
        step = max(LANES_AT_ONCE // (self.weeks * days_a_week), 1)
        for first in range(0, draws, step):
            last = min(first + step, draws)
            days = rng.spawn(1)[0]
            twin = deepcopy(days)
            parts.append(self._some(first, last, days, rng))
            if first < SPLIT_DRAWS:
                again.append(self._some(first, last, twin, rng))
        return np.concatenate(parts, axis=1), np.concatenate(again, axis=1)

    def _some(self, first: int, last: int, days, rng) -> np.ndarray:
        """Sums of a few draws: (worlds, draws, weeks, measures, numerator and denominator)."""
        batch, played = self._batch(first, last, days, rng), {}
        return np.stack([self._year(world, batch, played) for world in self.worlds])

    def _year(self, world: Scenario, batch: _Batch, played: dict) -> np.ndarray:
        """A world's sums; if its demand lasts some weeks only, the others are mixed in."""
        weeks = min(part.demand.weeks for part in world.parts)
        found = self._world(world, batch, played)
        if weeks == WEEKS_PER_YEAR:
            return found
        usual = changed(
            world,
            lambda part: (
                replace(part, demand=Demand()) if part.demand.weeks < WEEKS_PER_YEAR else part
            ),
        )
        share = weeks / WEEKS_PER_YEAR
        return share * found + (1 - share) * self._world(usual, batch, played)

    def _world(self, world: Scenario, batch: _Batch, played: dict) -> np.ndarray:
        agents, rate = self._agents(world, batch), batch.rate
        factor = np.prod([np.ones(len(agents)), *self._lever(world, "service_factor", batch)], 0)
        if points := self._lever(world, "resolution_points", batch):
            rate = np.clip(rate + sum(points)[batch.lane], 0.0, 1.0)
        key = _queue_of(world)
        if key not in played:  # several worlds can have one and the same queue
            played[key] = self._queue(world, batch, agents, factor, rate)
        return self._sums(batch, played[key], rate, agents, factor)

    def _batch(self, first: int, last: int, days, rng) -> _Batch:
        parameters, top = self.unknown.parameters.part(first, last), self._top(first, last)
        if top is not None:
            parameters = replace(parameters, rate=parameters.rate * top[:, :, None, :])
        customers = self.service.typical_weeks(parameters, weeks=self.weeks, rng=rng, days=days)
        lane_draw = customers.draw + first
        hurry = self.unknown.hurry[lane_draw][:, None]
        at = np.flatnonzero(np.isfinite(customers.arrival_s))
        lane = at // customers.arrival_s.shape[1]
        draw, site = lane_draw[lane], customers.site[lane]
        reason, channel = customers.reason.ravel()[at], customers.channel.ravel()[at]
        fits = self.unknown.fits
        return _Batch(
            customers=replace(customers, patience_s=customers.patience_s * hurry),
            first=first,
            draw=lane_draw,
            at=at,
            lane=lane,
            of=draw,
            cell=(customers.draw * self.weeks + customers.unit)[lane],
            site=site,
            rate=parameters.resolution[draw - first, site, reason],
            odds={
                name: np.exp(fit.before_waiting(draw, site, reason, channel))
                for name, fit in fits.items()
            },
            cuts={name: np.exp(fit.thresholds).T[:, draw] for name, fit in fits.items() if name},
            luck=self._luck(customers.arrival_s.shape, rng),
            top=top,
        )

    def _luck(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        """Uniform numbers: whether a customer comes, is resolved, and comes again."""
        parts = [part for world in self.worlds for part in world.parts]
        asked = any(_moves_demand(part) or _reroutes(part) for part in parts)
        return rng.random((3, *shape)) if asked else None

    # What a scenario does to demand, agents and sizes

    def _top(self, first: int, last: int) -> np.ndarray | None:
        """The largest demand of all worlds, (draws, sites, hours); None if demand stays."""
        if not any(_moves_demand(part) for world in self.worlds for part in world.parts):
            return None
        return np.max([self._demand(world, first, last) for world in self.worlds], axis=0)

    def _demand(self, world: Scenario, first: int, last: int) -> np.ndarray:
        grid = self.service.grid
        found = np.ones((last - first, len(grid.sites), len(grid.hours)))
        for part in world.parts:
            within = np.isin(grid.hours, np.arange(*part.demand.hours))
            where = np.isin(grid.sites, part.sites)[:, None] & within
            size = self.unknown.size[part.name]["demand"][first:last, None, None]
            found *= np.where(where, size, 1.0)
            if part.price is not None:
                moved = _by_price(part, self.unknown)[first:last, None, None]
                found *= np.where(np.isin(grid.sites, part.sites)[:, None], moved, 1.0)
        return found

    def _lever(self, world: Scenario, lever: str, batch: _Batch) -> list[np.ndarray]:
        """The size of a lever in each lane, one array for each part that moves it."""
        found, usual = [], getattr(Scenario(""), lever)
        for part in world.parts:
            if getattr(part, lever) != usual:
                here = np.isin(self.service.grid.sites, part.sites)[batch.customers.site]
                size = self.unknown.size[part.name][lever][batch.draw]
                found.append(np.where(here, size, usual[0]))
        return found

    def _agents(self, world: Scenario, batch: _Batch) -> np.ndarray:
        """Agents on duty with those the scenario adds, at sites and on days that are open."""
        agents, grid = batch.customers.agents, self.service.grid
        more = agents
        for part in world.parts:
            if part.add:
                here = np.isin(grid.sites, part.sites)[batch.customers.site] & agents.any(axis=1)
                more = more + part.add * np.isin(grid.hours, np.arange(*part.hours)) * here[:, None]
        if more is not agents and (more[agents > 0] <= 0).any():
            raise Problem(
                f"Scenario {world.name!r} leaves hours without any agent.",
                "take away fewer agents, or name sites and hours that have more; scenarios that"
                " cannot go together name each other under `not_with`.",
            )
        return np.maximum(more, 0)

    # The queue

    def _queue(self, world: Scenario, batch: _Batch, agents, factor, rate) -> _Done:
        """Let the customers of a world meet its agents, each in the queue of the site or pool."""
        customers, comes = batch.customers, self._who_comes(world, batch)
        groups = _groups(world, self.service.grid.sites, len(customers.site))
        if comes is None and not any(_reroutes(part) for part in world.parts):
            done = self.service.serve(customers, agents=agents, service_factor=factor)
            wait, served = done.wait_s, done.served
        else:
            shape = customers.arrival_s.shape
            wait, served = np.zeros(shape), np.zeros(shape, bool)
            resolved = np.ones(shape, bool)
            resolved.ravel()[batch.at] = batch.luck[1].ravel()[batch.at] < rate
            for lanes, rules in groups:
                part = _merged(customers, lanes, comes, factor, (resolved, batch.luck[2]), agents)
                found = self._served(part, rules)
                wait[lanes], served[lanes] = (part.back(each) for each in found)
        wait = wait.ravel()[batch.at] * self.unknown.stretch[batch.of]
        here = None if comes is None else comes.ravel()[batch.at]
        served = served.ravel()[batch.at]
        return _Done(wait if here is None else np.where(here, wait, 0.0), served, here)

    def _who_comes(self, world: Scenario, batch: _Batch) -> np.ndarray | None:
        """Whether each customer comes in this world, (lanes, customers); None if all do."""
        if batch.top is None:
            return None
        share = self._demand(world, batch.first, batch.first + len(batch.top)) / batch.top
        if (share == 1).all():
            return None
        arrival = batch.customers.arrival_s
        hour = np.where(np.isfinite(arrival), arrival, 0.0) // HOUR_S
        hour = np.minimum(hour, share.shape[2] - 1).astype(int)
        draw, site = batch.customers.draw[:, None], batch.customers.site[:, None]
        return np.isfinite(arrival) & (batch.luck[0] < share[draw, site, hour])

    def _served(self, part: _Merged, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
        """Waits, and who was served, in the order in which the customers came."""
        if rules.in_order:
            ones = np.ones(len(part.agents))
            done = self.service.serve(part.customers, agents=part.agents, service_factor=ones)
            return done.wait_s, done.served
        reasons = self.service.grid.reasons
        rank = {reason: i for i, reason in enumerate(rules.priority)}
        starts, ends = spells(part.agents)
        done = simulate_routed(
            part.customers.arrival_s,
            part.customers.service_s,
            part.customers.patience_s,
            reason=part.customers.reason,
            resolved=part.resolved,
            luck=part.luck,
            starts_s=starts,
            ends_s=ends,
            closes_s=part.agents.shape[1] * HOUR_S,
            routing=Routing(
                priority=tuple(rank.get(reason, len(rank)) for reason in reasons) if rank else (),
                call_back=rules.call_back,
                call_back_after_s=rules.call_back_after_s,
                rework=rules.rework,
                rework_after_s=rules.rework_after_s,
            ),
        )
        # what a second matter waits is not this contact's; what a call back waits is
        return np.where(done.first_served, done.wait_s, done.total_wait_s), done.served

    # Counting

    def _sums(self, batch: _Batch, done: _Done, rate, agents, factor) -> np.ndarray:
        """Numerators and denominators, (draws, weeks, measures, 2)."""
        shape = (len(np.unique(batch.customers.draw)), self.weeks)

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(batch.cell, weights=values, minlength=shape[0] * shape[1])

        chance = self._complaints(batch, done, rate)
        lanes = batch.customers.draw * self.weeks + batch.customers.unit
        there = total(np.ones(len(batch.at)) if done.here is None else done.here)
        served, settled = total(done.served), total(rate * done.served)
        complaints, left = total(chance), there - served
        days = np.full(len(there), len(lanes) / len(there) / len(self.service.grid.sites))
        hours = np.bincount(lanes, weights=agents.sum(axis=1), minlength=len(there))
        # what a wrong number of contacts did to waits is in the error of waits already
        crowd = np.repeat(self.unknown.crowd[batch.first : batch.first + shape[0]], shape[1])
        days_of = days / crowd
        pairs = [
            (total(done.wait_s), there), (left, there), (settled, served), (complaints, there),
            (there, days_of), (left, days_of), (served - settled, days_of), (complaints, days_of),
            (hours, days),
        ]  # fmt: skip
        yes = {"abandoned": (left, there), "resolved": (settled, served)}
        yes["complained"] = (complaints, there)
        for each in self.judged:
            if each.measure in yes:
                pairs.append(_yes_or_no(each, *yes[each.measure]))
            else:
                whole = served if each.measure == "service_s" else there
                pairs.append((total(_too_much(each, batch, done, factor)), whole))
        for name, of in self.scores.items():
            values = self._scored(name, of, batch, done, rate)
            pairs += [(total(each * done.served), served) for each in values]
        return np.stack([np.stack(pair, axis=-1) for pair in pairs], axis=1).reshape(*shape, -1, 2)

    def _odds(self, name: str, batch: _Batch, done: _Done) -> np.ndarray:
        return batch.odds[name] * self.unknown.fits[name].of_wait(batch.of, done.wait_s)

    def _complaints(self, batch: _Batch, done: _Done, rate: np.ndarray) -> np.ndarray:
        factors = np.exp(self.unknown.fits[""].ending).T[:, batch.of]
        chance = complaint_chance(self._odds("", batch, done), done.served, rate, factors)
        return chance if done.here is None else chance * done.here

    def _scored(self, name: str, of: dict, batch: _Batch, done: _Done, rate) -> np.ndarray:
        """Each measure of a score, contact by contact, as if all were served."""
        factors = np.exp(self.unknown.fits[name].ending).T[:2, batch.of]
        shares = score_shares(self._odds(name, batch, done), rate, factors, batch.cuts[name])
        constant = np.array([each[0] for each in of.values()])
        return constant[:, None] + np.stack([each[1] for each in of.values()]) @ shares


def _moves_demand(part: Scenario) -> bool:
    return part.demand != Demand() or part.price is not None


def _reroutes(part: Scenario) -> bool:
    return part.rules != Rules()


def _queue_of(world: Scenario) -> tuple:
    """What tells the queue of one world from that of another."""
    usual, again = Scenario(""), any(part.rules.rework for part in world.parts)
    levers = ("add", "service_factor", "demand", "rules", "price")
    return tuple(
        (part.name, part.demand)
        for part in world.parts
        if again or any(getattr(part, lever) != getattr(usual, lever) for lever in levers)
    )


def _groups(world: Scenario, sites: Sequence[str], lanes: int) -> list[tuple[np.ndarray, Rules]]:
    """Lanes of each queue, (queues, lanes that share it), with its rules."""
    table = np.arange(lanes).reshape(-1, len(sites))
    plain, found = np.ones(len(sites), bool), []
    for part in world.parts:
        if not _reroutes(part):
            continue
        pool = np.isin(sites, part.rules.pool)
        alone = np.isin(sites, part.sites) & ~pool
        if pool.any():
            found.append((table[:, pool], part.rules))
        if alone.any() and not part.rules.in_order:
            found.append((table[:, alone].reshape(-1, 1), part.rules))
            plain &= ~alone
        plain &= ~pool
    rest = [(table[:, plain].reshape(-1, 1), Rules())] if plain.any() else []
    return rest + found


@dataclass(frozen=True, eq=False)
class _Merged:
    """The customers of several lanes in one queue, in the order of arrival."""

    customers: Any
    agents: np.ndarray
    resolved: np.ndarray
    luck: np.ndarray
    order: np.ndarray
    shape: tuple[int, int, int]

    def back(self, values: np.ndarray) -> np.ndarray:
        """Lay values out as they were, (queues, lanes, customers); who did not come has 0."""
        table = np.zeros((self.shape[0], self.shape[1] * self.shape[2]), values.dtype)
        np.put_along_axis(table, self.order, values, axis=1)
        return np.nan_to_num(table).reshape(self.shape)


def _merged(customers, lanes, comes, factor, lots, agents) -> _Merged:
    """Put those who come to ``lanes`` (queues, lanes that share it) in the order of arrival."""
    arrival = customers.arrival_s
    arrival = (arrival if comes is None else np.where(comes, arrival, np.inf))[lanes]
    shape = arrival.shape
    arrival = arrival.reshape(len(lanes), -1)
    most = max(int(np.isfinite(arrival).sum(axis=1).max(initial=0)), 1)
    order = np.argsort(arrival, axis=1, kind="stable")[:, :most]

    def taken(table: np.ndarray) -> np.ndarray:
        return np.take_along_axis(table[lanes].reshape(len(lanes), -1), order, axis=1)

    first = lanes[:, 0]
    return _Merged(
        customers=replace(
            customers,
            draw=customers.draw[first],
            unit=customers.unit[first],
            site=customers.site[first],
            agents=agents[lanes].sum(axis=1),
            arrival_s=np.take_along_axis(arrival, order, axis=1),
            service_s=taken(customers.service_s * factor[:, None]),
            patience_s=taken(customers.patience_s),
            reason=taken(customers.reason),
            channel=taken(customers.channel),
        ),
        agents=agents[lanes].sum(axis=1),
        resolved=taken(lots[0]),
        luck=taken(lots[1]),
        order=order,
        shape=shape,
    )


# Each usual measure: numerator and denominator, summed over the contacts of a week.
_USUAL = (
    *("mean_wait_s", "abandoned", "resolved", "complaint_rate"),
    *("contacts_per_day", "abandoned_per_day", "unresolved_per_day", "complaints_per_day"),
    "agent_hours_per_day",
)


def _too_much(defect: _Defect, batch: _Batch, done: _Done, factor: np.ndarray) -> np.ndarray:
    """Whether the wait of each contact, or the service of each that was served, is a defect."""
    value, base = done.wait_s, done.here
    if defect.measure == "service_s":
        value = batch.customers.service_s.ravel()[batch.at] * factor[batch.lane]
        base = done.served
    wrong = value > defect.limit if defect.beyond else value < defect.limit
    return wrong if base is None else wrong & base


def _yes_or_no(defect: _Defect, yes: np.ndarray, whole: np.ndarray) -> tuple:
    """A yes counts 1 and a no counts 0, so the limit says which of the two is a defect."""
    wrong = [(v > defect.limit) if defect.beyond else (v < defect.limit) for v in (1, 0)]
    return yes * wrong[0] + (whole - yes) * wrong[1], whole


# --- Telling what is not known from chance --------------------------------------------------------


def _told_apart(sums, again, inputs: np.ndarray, *, plug_in: bool = False) -> dict[str, Any]:
    """Levels and changes by draw, freed of the simulation's noise, and that noise of a week."""
    level, error = _ratios(sums)  # (worlds, draws, measures), (worlds, draws, weeks, measures)
    weeks, few = sums.shape[2], again.shape[1]
    against, twin = error - error[:1], _ratios(again)[1]
    scale = weeks / (weeks - 1)
    spread = Spread(
        level=level,
        change=level - level[:1],
        noise=(error**2).sum(axis=2) * scale,
        noise_of_change=(against**2).sum(axis=2) * scale,
        days=(error[:, :few] * twin).sum(axis=2) * scale,
        days_of_change=(against[:, :few] * (twin - twin[:1])).sum(axis=2) * scale,
    )
    noise, of_change = (each.mean(axis=1) for each in (spread.noise, spread.noise_of_change))
    apart = noise + noise[:1]  # what the noise would be on customers of its own
    moves = (of_change > 1e-12 * apart) & (apart > 1e-18 * (level**2).mean(axis=1))
    saved = np.where(moves, apart / np.where(moves, of_change, 1.0), np.nan)
    if plug_in:  # all draws are one and the same, and differ by noise alone
        noise_free = [np.broadcast_to(each.mean(axis=1, keepdims=True), each.shape).copy()
                      for each in (level, spread.change)]  # fmt: skip
    else:
        noise_free = [
            _without_noise(level, noise, inputs),
            _without_noise(spread.change, of_change, inputs),
        ]
    return {
        "level": noise_free[0],
        "change": noise_free[1],
        "week_sd": np.sqrt(weeks * noise),
        "week_sd_of_change": np.sqrt(weeks * of_change),
        "variance_saved": saved,
        "spread": spread,
    }


def _ratios(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ratio of each draw, and what each week adds to its error."""
    part, whole = sums[..., 0], np.maximum(sums[..., 1], 1e-12)
    ratio = part.sum(axis=2) / whole.sum(axis=2)
    error = (part - ratio[:, :, None, :] * whole) / whole.mean(axis=2, keepdims=True)
    return ratio, error / sums.shape[2]


def _without_noise(values, noise, inputs: np.ndarray) -> np.ndarray:
    """Draw values towards what is expected until their variance is that of the parameters alone.

    ``values`` (worlds, draws, measures), ``noise`` (worlds, measures) its variance by chance.
    """
    expected, least = values.mean(axis=1, keepdims=True), LEAST_SHARE
    terms = design(inputs)
    if inputs.shape[1] and len(terms) >= DRAWS_AN_INPUT * terms.shape[1]:
        flat = values.transpose(1, 0, 2).reshape(len(terms), -1)
        fitted = terms @ np.linalg.lstsq(terms, flat, rcond=None)[0]
        shape = (len(terms), len(values), values.shape[2])
        expected, least = fitted.reshape(shape).transpose(1, 0, 2), 0.0
    rest = values - expected
    kept = 1 - noise[:, None, :] / np.maximum((rest**2).mean(axis=1, keepdims=True), 1e-300)
    return expected + rest * np.sqrt(np.clip(kept, least, 1.0))


def widened_by(wait_error: float) -> str:
    """What the gate's miss of waits adds to the intervals, in words; blank if next to nothing."""
    if wait_error <= 0.005:
        return ""
    return (
        "The miss of waits on days held out, less what chance explains of it"
        f" ({wait_error:.0%}), is added. "
    )


def need_benefit(benefit: np.ndarray, *, options: int) -> None:
    """Insist on a benefit for each option and draw, none of them blank."""
    if np.ndim(benefit) != 2 or len(benefit) != options or not np.isfinite(benefit).all():
        raise Problem(
            f"The benefit has the shape {np.shape(benefit)} for {counted(options, 'option')},"
            " or holds blanks.",
            "draw it from this rehearsal: scenarios by draws.",
        )


def coin_variance(rehearsal: Rehearsal, *, of_change: bool = False) -> np.ndarray:
    """Variance that chance alone adds to one week of what is rehearsed as a probability.

    Whether a contact is resolved or complained of is not drawn in the simulation; in the service
    it is.

    Parameters
    ----------
    rehearsal : Rehearsal
    of_change : bool, default False
        Of the change against the service as it is, for the same customers with the same luck.

    Returns
    -------
    ndarray, shape (scenarios, measures)
        0 where the simulation draws what happens, or contacts were not counted.

    Notes
    -----
    A share p of n contacts: p (1 - p) / n; its change by d, each customer keeping the luck:
    |d| (1 - |d|) / n.  A number a day: the same times the square of the contacts a day.
    """
    found = np.zeros(rehearsal.week_sd.shape)
    mean = dict(zip(rehearsal.measures, rehearsal.level.mean(axis=1).T, strict=True))
    if not {"contacts_per_day", "abandoned_per_day"} <= set(mean):
        return found
    contacts = mean["contacts_per_day"]
    served = contacts - mean["abandoned_per_day"]
    days = rehearsal.open_days_per_year / WEEKS_PER_YEAR
    for m, measure in enumerate(rehearsal.measures):
        of = _counted_by(measure, rehearsal.defects)
        if of is None:
            continue
        base, a_day = (served if of == "resolved" else contacts), measure.endswith("_per_day")
        share = mean[measure] / base if a_day else mean[measure]
        if of_change:
            share = np.abs(rehearsal.change[:, :, m].mean(axis=1)) / (base if a_day else 1.0)
        found[:, m] = share * (1 - share) / (base * days) * (base**2 if a_day else 1.0)
    return np.nan_to_num(found)


def _counted_by(measure: str, defects: Sequence[_Defect]) -> str | None:
    """Which yes or no a measure counts, if it is one that the simulation does not draw."""
    known = {
        "resolved": "resolved",
        "unresolved_per_day": "resolved",
        "complaint_rate": "complained",
        "complaints_per_day": "complained",
    }
    known |= {f"defects: {each.name}": each.measure for each in defects}
    return known[measure] if known.get(measure) in ("resolved", "complained") else None


def design(inputs: np.ndarray) -> np.ndarray:
    """Terms of a regression on the inputs: a constant, each input and its square, standardised."""
    z = (inputs - inputs.mean(axis=0)) / np.maximum(inputs.std(axis=0), 1e-300)
    return np.column_stack([np.ones(len(z)), z, z**2 - 1])
