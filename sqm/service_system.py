"""How is a service described, so that formulas and both engines read the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import gamma
from typing import Any

import numpy as np
import pandas as pd

from sqm.arrival_counts import arrivals_from_counts
from sqm.checks import Problem
from sqm.clock import DAYS, Calendar
from sqm.event_calendar import Routed, Routing, simulate_routed
from sqm.queue_engine import HOUR_S, simulate, spells
from sqm.queue_formulas import erlang_a, erlang_c
from sqm.system_description import CONTACT, ONLY, Reason, need_number, read_system

MOST_KINDS = 8  # up to which every set of kinds is weighed against the agents who serve it


@dataclass(frozen=True)
class Days:
    """Customers of simulated days, before any queue is run: one lane per day.

    Attributes
    ----------
    week, weekday : ndarray of int, shape (lanes,)
        ``weekday`` is the place among the system's weekdays.
    arrival_s, service_s, patience_s : ndarray, shape (lanes, most customers of a lane)
        Arrival since opening, infinite where there is no customer; seconds.
    reason : ndarray of int, same shape
    resolved : ndarray of bool, same shape
    luck : ndarray, same shape
        Decides on call-backs, rework and escalation, see `sqm.event_calendar`.
    patience_again_s : ndarray, same shape
    """

    week: np.ndarray
    weekday: np.ndarray
    arrival_s: np.ndarray
    service_s: np.ndarray
    patience_s: np.ndarray
    reason: np.ndarray
    resolved: np.ndarray
    luck: np.ndarray
    patience_again_s: np.ndarray


@dataclass(frozen=True, eq=False)
class ServiceSystem:
    """A service in numbers: who comes when, what they need, who is there, and who serves whom.

    Attributes
    ----------
    weekdays : tuple of int
        Days that are open, Monday 0.
    opens_h : float
        Hour of the day at which the first interval begins.
    interval_s : float
        Length of an interval.
    arrivals : ndarray, shape (weekdays, intervals)
        Contacts expected in each interval.
    day_cv, interval_cv : float
        Coefficients of variation of the gamma factors that multiply the arrivals of a whole day,
        and of each interval by itself: variation beyond Poisson.
    reasons : tuple of Reason
    patience_mean_s, patience_shape : float
        Weibull; shape 1 is the exponential, an infinite mean says that nobody leaves.
    groups : tuple of str
    agents : ndarray of int, shape (groups, weekdays, intervals)
        On duty; all zero while the staffing is not known.
    routing : Routing
    assumed : tuple of str
        What was not measured, and what was left out, in sentences.
    """

    weekdays: tuple[int, ...]
    opens_h: float
    interval_s: float
    arrivals: np.ndarray
    day_cv: float
    interval_cv: float
    reasons: tuple[Reason, ...]
    patience_mean_s: float
    patience_shape: float
    groups: tuple[str, ...]
    agents: np.ndarray
    routing: Routing
    assumed: tuple[str, ...] = ()

    @property
    def mean_service_s(self) -> float:
        """Mean service time over all reasons, seconds."""
        return float(sum(each.share * each.mean_s for each in self.reasons))

    @property
    def service_scv(self) -> float:
        """Squared coefficient of variation of service times over all reasons."""
        square = sum(each.share * each.second_moment for each in self.reasons)
        return float(square / self.mean_service_s**2 - 1)

    @property
    def from_h(self) -> np.ndarray:
        """Hour of the day at which each interval begins."""
        return self.opens_h + np.arange(self.arrivals.shape[1]) * self.interval_s / HOUR_S

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> ServiceSystem:
        """Read a system from the few lines that a study's parameters give.

        Parameters
        ----------
        described : mapping
            ``days`` (all by default), ``opens``, ``closes`` (hours of the day, 0 to 24),
            ``interval_min`` (60), ``arrivals_per_hour``: one number, a list with one for each
            interval, or one of these by weekday, ``{Mon: .., Tue: ..}``; ``day_variation`` and
            ``interval_variation``: coefficients of variation beyond Poisson (0);
            ``service``: ``{mean_s: 240, log_sd: 0.8}`` (without ``log_sd`` exponential), or the
            same for each reason, ``{bill: {share: 0.7, mean_s: .., resolved: 0.8}, ..}``;
            ``patience``: ``{mean_s: 300, shape: 1}``, absent: nobody leaves;
            ``staffing``: agents as arrivals, or as shifts ``[[from, to, agents], ..]``, or one of
            these for each group of agents, ``{first line: .., experts: ..}``; ``routing``:
            ``priority`` (reasons, first things first), ``serves`` (``{group: [reasons]}``),
            ``second_line`` (groups), ``longest_wait_first``, ``call_back`` (``{share, after_s}``),
            ``rework`` (``{share, after_s, factor}``), ``escalate`` (``{share, factor}``).

        Returns
        -------
        ServiceSystem

        Raises
        ------
        Problem
            If a key is unknown, a duration is negative or missing, shifts of a group overlap,
            nobody is on duty who serves the customers of an interval, or nobody ever leaves and
            the agents would be busy more than always.

        Examples
        --------
        >>> desk = ServiceSystem.from_description({"opens": 9, "closes": 11, "days": ["Mon"],
        ...     "arrivals_per_hour": [20, 10], "service": {"mean_s": 300},
        ...     "staffing": [[9, 10, 3], [10, 11, 1]]})
        >>> desk.agents.tolist()
        [[[3, 1]]]
        >>> desk.formulas()[["agents", "utilisation"]].round(3).to_numpy().tolist()
        [[3.0, 0.556], [1.0, 0.833]]
        """
        system = cls(**read_system(described))
        system.need_staff()
        return system

    @classmethod
    def from_counts(
        cls,
        counts: pd.DataFrame,
        *,
        service_mean_s: float,
        service_log_sd: float | None,
        patience_mean_s: float = np.inf,
        interval_min: float = 30,
        calendar: Calendar,
        arrived: str = "arrived",
        contacts: str = "contacts",
    ) -> ServiceSystem:
        """Make a system of counts of arrivals, and of service and patience that are assumed.

        Parameters
        ----------
        counts, interval_min, calendar, arrived, contacts
            See `sqm.arrival_counts.arrivals_from_counts`.
        service_mean_s, service_log_sd : float
            Assumed; ``service_log_sd`` None: exponential, 0: always the same.
        patience_mean_s : float, optional
            Assumed, exponential; infinite: nobody leaves.

        Returns
        -------
        ServiceSystem
            Without agents; give them by `staffed`, or to `simulate`.  ``assumed`` says what was
            not measured and what was left out.
        """
        mean_s = need_number(service_mean_s, "service_mean_s")
        patience_s = need_number(patience_mean_s, "patience_mean_s", endless=True)
        log_sd = service_log_sd
        if log_sd is not None:
            log_sd = need_number(log_sd, "service_log_sd", zero=True)
        seen = arrivals_from_counts(
            counts, interval_min=interval_min, calendar=calendar, arrived=arrived, contacts=contacts
        )
        return cls(
            weekdays=seen.weekdays,
            opens_h=float(calendar.opens),
            interval_s=float(interval_min * 60),
            arrivals=seen.mean,
            day_cv=seen.day_cv,
            interval_cv=seen.interval_cv,
            reasons=(Reason(CONTACT, 1.0, mean_s, log_sd),),
            patience_mean_s=patience_s,
            patience_shape=1.0,
            groups=(ONLY,),
            agents=np.zeros((1, *seen.mean.shape), int),
            routing=Routing(),
            assumed=(*_assumed(mean_s, log_sd, patience_s), *seen.left_out),
        )

    def staffed(self, agents: np.ndarray) -> ServiceSystem:
        """The same system with other agents on duty, (groups, weekdays, intervals).

        Raises
        ------
        Problem
            As `from_description` where the staff cannot do.
        """
        agents = np.asarray(agents, int)
        if agents.shape != self.agents.shape:
            raise Problem(
                f"agents has the shape {agents.shape}.",
                f"give groups, weekdays and intervals: {self.agents.shape}.",
            )
        system = replace(self, agents=agents)
        system.need_staff()
        return system

    def need_staff(self) -> None:
        """Insist on somebody for every customer, and on a queue that comes to an end."""
        able = _able(self)
        if self.agents.min(initial=0) < 0:
            raise Problem("A number of agents is negative.", "write 0 where nobody is on duty.")
        for kind, (groups, name) in enumerate(able):
            on = self.agents[list(groups)].sum(axis=0)
            alone = np.argwhere((self.arrivals > 0) & (on == 0) & (_load(self)[kind] > 0))
            if len(alone):
                raise Problem(
                    f"Customers come on {self._at(*alone[0])} and nobody is on duty who serves"
                    f" {name} ({len(alone)} such intervals in a week).",
                    "complete the staffing, or set arrivals to 0 while it is closed.",
                )
        if np.isinf(self.patience_mean_s):
            _need_end(self, able)

    def _at(self, day: int, interval: int) -> str:
        minute = round((self.opens_h * 60) + interval * self.interval_s / 60)
        return f"{DAYS[self.weekdays[day]]} at {minute // 60:02d}:{minute % 60:02d}"

    def draw(
        self, *, weeks: int, rng: np.random.Generator, weekdays: Sequence[int] | None = None
    ) -> Days:
        """Draw the customers of whole weeks, or of some weekdays of them.

        Parameters
        ----------
        weeks : int
        rng : Generator
        weekdays : sequence of int, optional
            Monday 0; all that are open without it.

        Returns
        -------
        Days
            Lanes week by week, day by day.
        """
        chosen = self.weekdays if weekdays is None else weekdays
        for day in chosen:
            if day not in self.weekdays:
                raise Problem(f"The service is closed on {DAYS[day]}.", "name an open weekday.")
        place = np.tile([self.weekdays.index(day) for day in chosen], weeks)
        return _drawn_days(self, np.repeat(np.arange(weeks), len(chosen)), place, rng)

    def simulate(self, days: Days, *, agents: np.ndarray | None = None) -> Routed:
        """Let the customers meet the agents, by the recursion if routing is plain.

        Parameters
        ----------
        days : Days
        agents : ndarray of int, shape (groups, weekdays, intervals), optional
            Others than the system's own.

        Returns
        -------
        Routed
            Arrays (lanes, customers); the recursion does not say which spell served whom (-1).

        Raises
        ------
        Problem
            If nobody is on duty at any time.

        Notes
        -----
        `sqm.queue_engine.simulate` where one group serves all in the order of arrival,
        `sqm.event_calendar.simulate_routed` elsewhere; both give the same where both can.
        """
        agents = self.agents if agents is None else np.asarray(agents, int)
        if not agents.any():
            raise Problem("Nobody is on duty at any time.", "give the system agents: `staffed`.")
        starts, ends, group = self._duty(agents[:, days.weekday])
        came = (days.arrival_s, days.service_s, days.patience_s)
        if len(self.groups) == 1 and self.routing.plain:
            return _as_routed(simulate(*came, starts_s=starts, ends_s=ends), days)
        return simulate_routed(
            *came,
            reason=days.reason,
            resolved=days.resolved,
            luck=days.luck,
            starts_s=starts,
            ends_s=ends,
            group=group,
            routing=self.routing,
            patience_again_s=days.patience_again_s,
            closes_s=self.arrivals.shape[1] * self.interval_s,
        )

    def _duty(self, agents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spells of each lane, one group beside the other; ``agents`` is (groups, lanes, ..)."""
        parts = [spells(each) for each in agents]  # as if an interval were an hour
        starts, ends = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
        group = np.repeat(np.arange(len(parts)), [each[0].shape[1] for each in parts])
        return starts * (self.interval_s / HOUR_S), ends * (self.interval_s / HOUR_S), group

    def formulas(self) -> pd.DataFrame:
        """What the steady-state formulas need and say, interval by interval.

        Returns
        -------
        DataFrame, one row for each weekday and interval
            ``weekday``, ``from_h``, ``arrival_rate_per_h``, ``service_rate_per_h``, ``agents``,
            ``abandon_rate_per_h`` (0: nobody leaves), ``service_scv``, ``utilisation``; from
            Erlang A or C ``p_wait``, ``abandoned``, ``mean_wait_s``; ``note`` says why a row has
            NaN, or what the formula leaves out.

        Notes
        -----
        Each interval as if it lasted for ever, all agents as one group who serve all: service
        times count by their mean, patience by its mean, and neither variation between days nor
        routing enters.  ``service_scv`` is for formulas that take it.
        """
        day, interval = (each.ravel() for each in np.indices(self.arrivals.shape))
        hours = self.interval_s / HOUR_S
        leave = 0.0 if np.isinf(self.patience_mean_s) else HOUR_S / self.patience_mean_s
        table = pd.DataFrame(
            {
                "weekday": [DAYS[self.weekdays[d]] for d in day],
                "from_h": self.from_h[interval],
                "arrival_rate_per_h": self.arrivals.ravel() / hours,
                "service_rate_per_h": HOUR_S / self.mean_service_s,
                "agents": self.agents.sum(axis=0).ravel(),
                "abandon_rate_per_h": leave,
                "service_scv": self.service_scv,
            }
        )
        capacity = (table["agents"] * table["service_rate_per_h"]).replace(0.0, np.nan)
        table["utilisation"] = table["arrival_rate_per_h"] / capacity
        said = [_steady(row, self.routing.plain) for row in table.itertuples()]
        return table.assign(**{name: [each[name] for each in said] for name in said[0]})


def _steady(row: Any, plain: bool) -> dict[str, float | str]:
    """Erlang's word on one interval."""
    told = {"p_wait": np.nan, "abandoned": np.nan, "mean_wait_s": np.nan, "note": ""}
    rates = (row.arrival_rate_per_h, row.service_rate_per_h, int(row.agents))
    if row.arrival_rate_per_h <= 0:
        return told | {"note": "nobody comes"}
    if row.agents <= 0:
        return told | {"note": "nobody is on duty"}
    if row.abandon_rate_per_h > 0:
        found = erlang_a(*rates, abandon_rate=row.abandon_rate_per_h)
    elif row.utilisation < 1:
        found = erlang_c(*rates)
    else:
        return told | {"note": "busier than always and nobody leaves: no long run"}
    return {
        "p_wait": found.p_wait,
        "abandoned": found.p_abandon,
        "mean_wait_s": found.mean_wait * HOUR_S,
        "note": "" if plain else "as if all agents served all, in the order of arrival",
    }


def _as_routed(done: Any, days: Days) -> Routed:
    there = np.isfinite(days.arrival_s)
    none = np.zeros(there.shape, bool)
    return Routed(
        wait_s=done.wait_s,
        served=done.served,
        first_served=done.served,
        attempts=there.astype(int),
        total_wait_s=done.wait_s,
        extra_service_s=np.zeros(there.shape),
        escalated=none,
        reworked=none,
        spell=np.full(there.shape, -1),
    )


# --- Staff that can do ----------------------------------------------------------------------------


def _able(system: ServiceSystem) -> list[tuple[tuple[int, ...], str]]:
    """By kind of contact, the groups that serve it and its name; escalated ones come last."""
    routing, every = system.routing, tuple(range(len(system.groups)))
    able = []
    for c, reason in enumerate(system.reasons):
        groups = tuple(g for g in every if not routing.serves or c in routing.serves[g])
        able.append((groups, f"{reason.name!r}"))
    if routing.escalate:
        second = [routing.second_line or groups for groups, _ in able]
        able += [
            (groups, f"{reason.name!r} in the second line")
            for groups, reason in zip(second, system.reasons, strict=True)
        ]
    return able


def _load(system: ServiceSystem) -> list[float]:
    """Agent-seconds that a contact brings to each kind of work, on average."""
    routing = system.routing
    first = [
        each.share
        * each.mean_s
        * (1 + routing.rework * (1 - each.resolved) * routing.rework_factor)
        for each in system.reasons
    ]
    second = [
        each.share * each.mean_s * routing.escalate * routing.escalation_factor
        for each in system.reasons
    ]
    return first + (second if routing.escalate else [])


def _need_end(system: ServiceSystem, able: Sequence[tuple[tuple[int, ...], str]]) -> None:
    """Insist that no set of kinds brings more work in a day than its agents can do."""
    load, daily = _load(system), system.arrivals.sum(axis=1)
    capacity = system.agents.sum(axis=2) * system.interval_s  # (groups, weekdays)
    kinds = range(len(able))
    sizes = kinds if len(kinds) <= MOST_KINDS else [len(kinds) - 1]
    for some in (each for size in sizes for each in combinations(kinds, size + 1)):
        groups = sorted({g for kind in some for g in able[kind][0]})
        work = daily * sum(load[kind] for kind in some)
        busy = work / np.maximum(capacity[groups].sum(axis=0), 1e-9)
        day = int(busy.argmax())
        if busy[day] >= 1:
            names = "" if len(some) == len(kinds) else " with " + able[some[0]][1]
            raise Problem(
                f"On {DAYS[system.weekdays[day]]} agents would be busy {busy[day]:.0%} of their"
                f" time{names} and nobody leaves: the queue grows without end.",
                "add agents, or say how patient customers are.",
            )


# --- Drawing --------------------------------------------------------------------------------------


def _drawn_days(system: ServiceSystem, week, place, rng: np.random.Generator) -> Days:
    mean = system.arrivals[place]
    mean = mean * _factor(system.day_cv, (len(mean), 1), rng)
    count = rng.poisson(mean * _factor(system.interval_cv, mean.shape, rng))
    lanes, intervals = count.shape
    number = count.sum(axis=1)
    lane = np.repeat(np.arange(lanes), number)
    at = np.arange(len(lane)) - np.repeat(number.cumsum() - number, number)

    def laid(values: np.ndarray, fill: float = 0) -> np.ndarray:
        table = np.full((lanes, max(int(number.max(initial=0)), 1)), fill, dtype=values.dtype)
        table[lane, at] = values
        return table

    interval = np.repeat(np.tile(np.arange(intervals), lanes), count.ravel())
    arrival = (interval + rng.random(len(lane))) * system.interval_s
    reason = _reasons(system, len(lane), rng)
    resolved = np.array([each.resolved for each in system.reasons])
    return Days(
        week=week,
        weekday=place,
        arrival_s=np.sort(laid(arrival, np.inf), axis=1),
        service_s=laid(_service(system, reason, rng)),
        patience_s=laid(_patience(system, len(lane), rng)),
        reason=laid(reason),
        resolved=laid(rng.random(len(lane)) < resolved[reason]),
        luck=laid(rng.random(len(lane))),
        patience_again_s=laid(_patience(system, len(lane), rng)),
    )


def _factor(cv: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(cv**-2, cv**2, shape) if cv > 1e-6 else np.ones(shape)


def _reasons(system: ServiceSystem, size: int, rng: np.random.Generator) -> np.ndarray:
    edge = np.cumsum([each.share for each in system.reasons])
    place = np.searchsorted(edge, rng.random(size) * edge[-1], side="right")
    return np.minimum(place, len(edge) - 1)  # rounding at the last edge


def _service(system: ServiceSystem, reason: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mean = np.array([each.mean_s for each in system.reasons])[reason]
    spread = np.array([np.nan if r.log_sd is None else r.log_sd for r in system.reasons])[reason]
    normal, exponential = rng.standard_normal(len(reason)), rng.standard_exponential(len(reason))
    lognormal = np.exp(spread * normal - spread**2 / 2)
    return mean * np.where(np.isnan(spread), exponential, lognormal)


def _patience(system: ServiceSystem, size: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_exponential(size)  # drawn in any case, so that scenarios meet alike
    if np.isinf(system.patience_mean_s):
        return np.full(size, np.inf)
    shape = system.patience_shape
    return system.patience_mean_s / gamma(1 + 1 / shape) * drawn ** (1 / shape)


def _assumed(mean_s: float, log_sd: float | None, patience_s: float) -> tuple[str, str]:
    shape = "exponential" if log_sd is None else f"lognormal with log sd {log_sd:g}"
    service = f"Service times are assumed, not measured: mean {mean_s:g} s, {shape}."
    if np.isinf(patience_s):
        return service, "Nobody is assumed to leave."
    return service, f"Patience is assumed, not measured: exponential, mean {patience_s:g} s."
