"""What does a study say of a service that it describes in a few lines?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sqm.checks import Problem, nearest
from sqm.clock import DAYS
from sqm.event_calendar import Routing

ONLY = "agents"  # the group where there is one
CONTACT = "contact"  # the reason where there is one
NEEDED = ("opens", "closes", "arrivals_per_hour", "service", "staffing")
KNOWN = (
    *NEEDED,
    *("days", "interval_min", "day_variation", "interval_variation", "patience", "routing"),
)
KNOWN_SERVICE = ("mean_s", "log_sd", "share", "resolved")
KNOWN_ROUTING = (
    *("priority", "serves", "second_line", "longest_wait_first"),
    *("call_back", "rework", "escalate"),
)
# What may follow a contact, what is said of each, and the first part of the names in `Routing`.
AGAIN = {
    "call_back": (("share", "after_s"), "call_back"),
    "rework": (("share", "after_s", "factor"), "rework"),
    "escalate": (("share", "factor"), "escalation"),
}


@dataclass(frozen=True)
class Reason:
    """One class of contacts.

    Attributes
    ----------
    name : str
    share : float
        Of all contacts, 0 to 1.
    mean_s : float
        Mean service time, seconds.
    log_sd : float or None
        Standard deviation of its logarithm (lognormal; 0: always the same); None: exponential.
    resolved : float
        Share settled by the first contact, 0 to 1.
    """

    name: str
    share: float
    mean_s: float
    log_sd: float | None = None
    resolved: float = 1.0

    @property
    def second_moment(self) -> float:
        """Mean square of the service time, seconds squared."""
        return self.mean_s**2 * (2.0 if self.log_sd is None else float(np.exp(self.log_sd**2)))


def read_system(described: Mapping[str, Any]) -> dict[str, Any]:
    """Read a described service into the fields of a `sqm.service_system.ServiceSystem`.

    Parameters
    ----------
    described : mapping
        See `sqm.service_system.ServiceSystem.from_description`.

    Returns
    -------
    dict
        By name of the field.

    Raises
    ------
    Problem
        If a key or a name is unknown, something is missing, a number is impossible, or shifts of
        a group overlap on one day.

    Examples
    --------
    >>> desk = {"opens": 9, "closes": 11, "interval_min": 30, "days": ["Mon"],
    ...         "arrivals_per_hour": 20, "service": {"mean_s": 300}, "staffing": [[9, 10.5, 3]]}
    >>> read = read_system(desk)
    >>> read["arrivals"].tolist(), read["agents"].tolist()
    ([[10.0, 10.0, 10.0, 10.0]], [[[3, 3, 3, 0]]])
    >>> read_system(desk | {"patiens": {}})
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: The system has an unknown key 'patiens'.
      To mend: did you mean 'patience'?
    """
    given = _mapping(described, "The system", KNOWN)
    for key in NEEDED:
        if given.get(key) is None:
            raise Problem(f"The system has no {key!r}.", "add it to the description.")
    frame = _frame(given)
    reasons = _service_of(given["service"])
    groups, agents = _staffing(given["staffing"], frame)
    patience = _patience(given.get("patience"))
    return {
        "weekdays": frame.weekdays,
        "opens_h": frame.opens,
        "interval_s": frame.minutes * 60,
        "arrivals": frame.lay(given["arrivals_per_hour"], "arrivals_per_hour") * frame.minutes / 60,
        "day_cv": need_number(given.get("day_variation", 0), "day_variation", zero=True),
        "interval_cv": need_number(
            given.get("interval_variation", 0), "interval_variation", zero=True
        ),
        "reasons": reasons,
        "patience_mean_s": patience[0],
        "patience_shape": patience[1],
        "groups": groups,
        "agents": agents,
        "routing": _routing(
            given.get("routing") or {}, tuple(each.name for each in reasons), groups
        ),
    }


def _frame(given: Mapping[str, Any]) -> _Frame:
    opens, closes = (need_number(given[key], key, zero=True) for key in ("opens", "closes"))
    minutes = need_number(given.get("interval_min", 60), "interval_min")
    return _Frame(
        _weekdays(given.get("days", DAYS)), opens, minutes, intervals_of(opens, closes, minutes)
    )


def _patience(given: Any) -> tuple[float, float]:
    """Mean and shape; whoever is not said to leave stays for ever."""
    if not given:
        return np.inf, 1.0
    given = _mapping(given, "patience", ("mean_s", "shape"))
    if given.get("mean_s") is None:
        raise Problem("patience has no 'mean_s'.", "give the mean patience in seconds.")
    return (
        need_number(given["mean_s"], "patience: mean_s", endless=True),
        need_number(given.get("shape", 1), "patience: shape"),
    )


def intervals_of(opens: float, closes: float, minutes: float) -> int:
    """Number of intervals between opening and closing."""
    if not 0 <= opens < closes <= 24:
        raise Problem(
            f"The service opens at {opens:g} and closes at {closes:g}.",
            "give hours of one day, opening before closing; split a night shift at midnight.",
        )
    number = (closes - opens) * 60 / minutes
    if abs(number - round(number)) > 1e-6:
        raise Problem(
            f"From {opens:g} to {closes:g} is no whole number of intervals of {minutes:g} minutes.",
            "choose an interval that divides the opening hours.",
        )
    return round(number)


@dataclass(frozen=True)
class _Frame:
    """The week that values are laid out on."""

    weekdays: tuple[int, ...]
    opens: float
    minutes: float
    intervals: int

    def lay(self, given: Any, name: str) -> np.ndarray:
        """Numbers by weekday and interval, from one number, a list, or these by weekday."""
        by_day = self._by_day(given, name)
        return np.stack([self._of_day(by_day[day], name) for day in self.weekdays])

    def lay_shifts(self, given: Any, name: str) -> np.ndarray:
        """The same of agents, who may also be given as shifts ``[from, to, agents]``."""
        by_day = self._by_day(given, name)
        rows = [
            self._of_shifts(by_day[day], f"{name}, {DAYS[day]}")
            if _are_shifts(by_day[day])
            else self._of_day(by_day[day], name)
            for day in self.weekdays
        ]
        table = np.stack(rows)
        if (table % 1 > 0).any():
            raise Problem(f"{name} has a part of an agent.", "give whole agents.")
        return table.astype(int)

    def _by_day(self, given: Any, name: str) -> dict[int, Any]:
        if not isinstance(given, Mapping):
            return dict.fromkeys(self.weekdays, given)
        for key in given:
            if key not in DAYS:
                raise Problem(f"{name}: {key!r} is no weekday.", nearest(str(key), DAYS))
        for day in self.weekdays:
            if DAYS[day] not in given:
                raise Problem(
                    f"{name} says nothing of {DAYS[day]}.",
                    "give it, or leave the day out of `days`.",
                )
        return {day: given[DAYS[day]] for day in self.weekdays}

    def _of_day(self, given: Any, name: str) -> np.ndarray:
        values = (
            list(given)
            if isinstance(given, list | tuple | np.ndarray)
            else [given] * self.intervals
        )
        if len(values) != self.intervals:
            raise Problem(
                f"{name} has {len(values)} numbers where there are {self.intervals} intervals of"
                f" {self.minutes:g} minutes.",
                "give one number, or one for each interval from opening to closing.",
            )
        return np.array([need_number(each, name, zero=True) for each in values])

    def _of_shifts(self, shifts: Sequence[Any], name: str) -> np.ndarray:
        agents, last = np.zeros(self.intervals), (-np.inf, -np.inf)
        for begin, end, number in sorted(tuple(each) for each in shifts):
            if begin < last[1]:
                raise Problem(
                    f"{name}: the shifts {last[0]:g} to {last[1]:g} and {begin:g} to {end:g}"
                    " overlap.",
                    "cut them where they meet and add the agents up, or make two groups.",
                )
            first, until = (self._edge(each, name) for each in (begin, end))
            if not first < until:
                raise Problem(
                    f"{name}: a shift from {begin:g} to {end:g}.", "begin before the end."
                )
            agents[first:until] = need_number(number, f"{name}: agents", zero=True)
            last = (begin, end)
        return agents

    def _edge(self, hour: Any, name: str) -> int:
        at = (need_number(hour, f"{name}: hour", zero=True) - self.opens) * 60 / self.minutes
        if abs(at - round(at)) > 1e-6 or not 0 <= round(at) <= self.intervals:
            raise Problem(
                f"{name}: a shift begins or ends at {hour:g}.",
                f"use opening hours in steps of {self.minutes:g} minutes.",
            )
        return round(at)


def _are_shifts(given: Any) -> bool:
    listed = isinstance(given, list | tuple) and len(given) > 0
    return listed and all(isinstance(each, list | tuple) and len(each) == 3 for each in given)


def _staffing(given: Any, frame: _Frame) -> tuple[tuple[str, ...], np.ndarray]:
    by_group = isinstance(given, Mapping) and not any(key in DAYS for key in given)
    each = dict(given) if by_group else {ONLY: given}
    if not each:
        raise Problem("staffing is empty.", "say how many agents are on duty.")
    tables = [
        frame.lay_shifts(value, f"staffing: {name}" if by_group else "staffing")
        for name, value in each.items()
    ]
    return tuple(map(str, each)), np.stack(tables)


def _service_of(given: Any) -> tuple[Reason, ...]:
    if not isinstance(given, Mapping) or not given:
        raise Problem(f"service is {given!r}.", "give {mean_s: ..}, or that for each reason.")
    alone = not any(isinstance(value, Mapping) for value in given.values())
    by_reason = {CONTACT: {"share": 1, **given}} if alone else given
    reasons = []
    for name, each in by_reason.items():
        where = "service" if alone else f"service: {name}"
        each = _mapping(each, where, KNOWN_SERVICE)
        for key in ("mean_s", "share"):
            if each.get(key) is None:
                raise Problem(f"{where} has no {key!r}.", "add it to the description.")
        log_sd = each.get("log_sd")
        reasons.append(
            Reason(
                name=str(name),
                share=_share(each["share"], f"{where}: share"),
                mean_s=need_number(each["mean_s"], f"{where}: mean_s"),
                log_sd=None
                if log_sd is None
                else need_number(log_sd, f"{where}: log_sd", zero=True),
                resolved=_share(each.get("resolved", 1), f"{where}: resolved"),
            )
        )
    total = sum(each.share for each in reasons)
    if abs(total - 1) > 1e-6:
        raise Problem(f"The shares of the reasons add up to {total:g}.", "make them add up to 1.")
    return tuple(reasons)


def _routing(given: Any, reasons: Sequence[str], groups: Sequence[str]) -> Routing:
    given = _mapping(given, "routing", KNOWN_ROUTING)
    said: dict[str, Any] = {"longest_wait_first": bool(given.get("longest_wait_first", False))}
    for key in AGAIN:
        if given.get(key) is not None:
            said |= _again(given[key], key)
    if given.get("priority"):
        order = _places(given["priority"], reasons, "routing: priority")
        rank = {c: order.index(c) for c in order}
        said["priority"] = tuple(rank.get(c, len(order)) for c in range(len(reasons)))
    if given.get("serves"):
        serves = _mapping(given["serves"], "routing: serves", groups)
        own = {g: _places(serves[g], reasons, f"routing: serves: {g}") for g in serves}
        said["serves"] = tuple(own.get(g, tuple(range(len(reasons)))) for g in groups)
    if given.get("second_line"):
        said["second_line"] = _places(given["second_line"], groups, "routing: second_line")
    return Routing(**said)


def _again(given: Any, key: str) -> dict[str, float]:
    """What may follow a contact, as fields of `Routing`; one number is the share."""
    known, prefix = AGAIN[key]
    each = _mapping(given if isinstance(given, Mapping) else {"share": given}, key, known)
    if each.get("share") is None:
        raise Problem(f"routing: {key} has no 'share'.", "give the share of contacts, 0 to 1.")
    parts = {
        f"{prefix}_{part}": need_number(each[part], f"routing: {key}: {part}", zero=True)
        for part in known[1:]
        if part in each
    }
    return {key: _share(each["share"], f"routing: {key}: share")} | parts


def _places(given: Any, known: Sequence[str], name: str) -> tuple[int, ...]:
    names = [given] if isinstance(given, str) else list(given or ())
    for each in names:
        if str(each) not in known:
            raise Problem(f"{name} names {each!r}.", nearest(str(each), known))
    return tuple(known.index(str(each)) for each in names)


def _mapping(given: Any, name: str, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Problem(f"{name} is {given!r}.", f"give some of {', '.join(known)}.")
    for key in given:
        if key not in known:
            raise Problem(f"{name} has an unknown key {key!r}.", nearest(str(key), known))
    return dict(given)


def _weekdays(given: Any) -> tuple[int, ...]:
    names = [given] if isinstance(given, str) else list(given)
    for each in names:
        if each not in DAYS:
            raise Problem(f"days: {each!r} is no weekday.", nearest(str(each), DAYS))
    if not names:
        raise Problem("The service works on no day.", f"name some of {', '.join(DAYS)}.")
    return tuple(sorted({DAYS.index(each) for each in names}))


def _share(value: Any, name: str) -> float:
    number = need_number(value, name, zero=True)
    if number > 1:
        raise Problem(f"{name} is {value!r}.", "give a share from 0 to 1.")
    return number


def need_number(value: Any, name: str, *, zero: bool = False, endless: bool = False) -> float:
    """A number above zero; zero or infinite where that makes sense."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    sound = is_number and (value > 0 or (zero and value == 0))
    if not sound or (np.isinf(value) and not endless):
        raise Problem(
            f"{name} is {value!r}.", f"give a number {'of 0 or more' if zero else 'above 0'}."
        )
    return float(value)
