"""What may be changed about a service, and how is it read from a few lines of a study?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any

from sqm import look
from sqm.checks import Problem, nearest
from sqm.three_point import three_points

AS_IS = "as is"
LEVERS = ("agents", "service_factor", "resolution_points", "demand", "routing", "price")
KNOWN = ("name", "sites", "cost_per_year", "investment", "not_with", *LEVERS)
WEEKS_PER_YEAR = 52.0
MOST_AGENTS = 1_000  # added in an hour; more would fill the memory
MOST_DEMAND = 5.0
MOST_WORLDS = 64  # with the service as it is; beyond this a rehearsal takes many minutes

Points = tuple[float, float, float]


@dataclass(frozen=True)
class Demand:
    """What arrivals are multiplied by, in which hours of the day, and in how many weeks a year."""

    factor: Points = (1.0, 1.0, 1.0)
    hours: tuple[int, int] = (0, 24)
    weeks: float = WEEKS_PER_YEAR


@dataclass(frozen=True)
class Rules:
    """Who is served where and when, beyond first come, first served.

    Attributes
    ----------
    priority : tuple of str
        Reasons served before all others, the first of them first.
    call_back, rework : float
        Share of those who hang up who are called back the same day, and of unresolved contacts
        that come back the same day.
    call_back_after_s, rework_after_s : float
    pool : tuple of str
        Sites whose agents serve one common queue.
    """

    priority: tuple[str, ...] = ()
    call_back: float = 0.0
    call_back_after_s: float = 900.0
    rework: float = 0.0
    rework_after_s: float = 3600.0
    pool: tuple[str, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether everybody is served once, in the order of arrival."""
        return not (self.priority or self.call_back or self.rework)


@dataclass(frozen=True)
class Price:
    """A change of price: share (0.05 is 5 % more), elasticity of demand, revenue of a contact."""

    change: float
    elasticity: Points
    revenue_per_contact: Points = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scenario:
    """One improvement, or several together: what it changes, where, and what it costs.

    Attributes
    ----------
    name : str
    sites : tuple of str
        Where; the service as it is has none.
    add : int
        Agents added in each hour from ``hours[0]`` up to, not including, ``hours[1]``.
    hours : tuple of two int
    service_factor : tuple of three float
        What service times are multiplied by: least, likeliest and most.
    resolution_points : tuple of three float
        Added to the share resolved at first contact, 0.08 for 8 percentage points.
    demand : Demand
    rules : Rules
    price : Price or None
    cost_per_year, investment : tuple of three float
        Least, likeliest and most money: every year, and once at the beginning.
    not_with : tuple of str
        Scenarios that it cannot be combined with.
    together : tuple of Scenario
        The improvements of which this is the combination; empty for a single one.
    """

    name: str
    sites: tuple[str, ...] = ()
    add: int = 0
    hours: tuple[int, int] = (0, 24)
    service_factor: Points = (1.0, 1.0, 1.0)
    resolution_points: Points = (0.0, 0.0, 0.0)
    demand: Demand = Demand()
    rules: Rules = Rules()
    price: Price | None = None
    cost_per_year: Points = (0.0, 0.0, 0.0)
    investment: Points = (0.0, 0.0, 0.0)
    not_with: tuple[str, ...] = ()
    together: tuple[Scenario, ...] = ()

    @property
    def parts(self) -> tuple[Scenario, ...]:
        """The single improvements: itself, unless it is a combination."""
        return self.together or (self,)


def read_scenarios(
    described: Sequence[dict],
    *,
    sites: Sequence[str],
    hours: Sequence[int] = tuple(range(24)),
    reasons: Sequence[str] = (),
) -> tuple[Scenario, ...]:
    """Read scenarios as they stand in a study's parameters, and insist that they make sense.

    Parameters
    ----------
    described : sequence of dict
        ``name`` and one or more levers: ``agents: {add: 1, hours: [10, 14]}``; ``service_factor:
        0.9``; ``resolution_points: 0.08``; ``demand: 1.1`` or ``{factor: 1.1, hours: [9, 12],
        weeks: 6}``; ``routing: {priority: [..], call_back: {share: 0.5, after_s: 900}, rework:
        {share: 0.1, after_s: 3600}, pool: true}``; ``price: {change: 0.05, elasticity: -0.5,
        revenue_per_contact: 6}``.  If wanted ``sites: [..]`` for all of them, ``cost_per_year``,
        ``investment`` and ``not_with: [names]``.  Sizes and money are one number or ``[least,
        likeliest, most]``.
    sites : sequence of str
        The sites there are.
    hours : sequence of int, optional
        The hours of the day that are worked.
    reasons : sequence of str, optional
        The reasons of contacts that there are.

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
    (0.9, 0.9, 0.9)
    >>> read_scenarios([{"name": "faster", "sevice_factor": 0.9}], sites=["N1"])
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: Scenario 'faster' names an unknown lever 'sevice_factor'.
      To mend: did you mean 'service_factor'?
    """
    known = _Known(tuple(sites), (min(hours), max(hours) + 1), tuple(reasons))
    read = tuple(_scenario(each, known) for each in described)
    names = [AS_IS, *(each.name for each in read)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Problem(f"Two scenarios are called {twice[0]!r}.", "give each a name of its own.")
    if not read:
        raise Problem("No scenario is given.", "name one under `improve: scenarios`.")
    for each in read:
        for other in each.not_with:
            if other not in names:
                raise Problem(
                    f"Scenario {each.name!r}: not_with names {other!r}.", nearest(other, names)
                )
    return read


def combined(scenarios: Sequence[Scenario], *, at_most: int) -> tuple[Scenario, ...]:
    """Every combination of two to ``at_most`` scenarios that can be carried out together.

    Parameters
    ----------
    scenarios : sequence of Scenario
    at_most : int
        Scenarios in the largest combination.

    Returns
    -------
    tuple of Scenario
        Named ``A + B``, the smaller ones first.  Two scenarios do not go together where one
        names the other under ``not_with``, or both change the price, the routing or the demand
        at a common site.

    Raises
    ------
    Problem
        If there would be more combinations than can be played.

    Examples
    --------
    >>> levers = [{"name": n, "service_factor": 0.9} for n in "abc"]
    >>> [both.name for both in combined(read_scenarios(levers, sites=["N1"]), at_most=2)]
    ['a + b', 'a + c', 'b + c']
    """
    sizes = range(2, min(at_most, len(scenarios)) + 1)
    if sum(comb(len(scenarios), size) for size in sizes) > 20 * MOST_WORLDS:
        raise _too_many(len(scenarios))
    sets = [each for size in sizes for each in combinations(scenarios, size)]
    sets = [each for each in sets if all(_compatible(*two) for two in combinations(each, 2))]
    if 1 + len(scenarios) + len(sets) > MOST_WORLDS:
        raise _too_many(len(scenarios))
    return tuple(
        Scenario(
            name=" + ".join(part.name for part in parts),
            sites=tuple(sorted({site for part in parts for site in part.sites})),
            together=parts,
        )
        for parts in sets
    )


def _too_many(scenarios: int) -> Problem:
    return Problem(
        f"{scenarios} scenarios make more combinations than the {MOST_WORLDS} that are played.",
        "give the size of the largest combination, such as combinations: 2, or fewer scenarios.",
    )


def _compatible(one: Scenario, other: Scenario) -> bool:
    if other.name in one.not_with or one.name in other.not_with:
        return False
    if one.demand.weeks < WEEKS_PER_YEAR and other.demand.weeks < WEEKS_PER_YEAR:
        return False
    plain = Scenario("")
    both = [
        lever
        for lever in ("demand", "rules", "price")
        if all(getattr(each, lever) != getattr(plain, lever) for each in (one, other))
    ]
    return not both or not set(one.sites) & set(other.sites)


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What a scenario may name."""

    sites: tuple[str, ...]
    worked: tuple[int, int]
    reasons: tuple[str, ...]


def _scenario(given: Any, known: _Known) -> Scenario:
    if not isinstance(given, dict) or not str(given.get("name") or "").strip():
        raise Problem(f"A scenario has no name: {given!r}.", "begin it with `name: ...`.")
    name = str(given["name"])
    for key in given:
        if key not in KNOWN:
            raise Problem(f"Scenario {name!r} names an unknown lever {key!r}.", nearest(key, KNOWN))
    if blank := [lever for lever in LEVERS if lever in given and given[lever] is None]:
        raise Problem(
            f"Scenario {name!r}: {blank[0]} is blank.", "say what it is, or leave it out."
        )
    if not any(lever in given for lever in LEVERS):
        raise Problem(f"Scenario {name!r} changes nothing.", f"use one of {', '.join(LEVERS)}.")
    add, span = _agents(name, given.get("agents"), known)
    sites = _sites(name, given.get("sites"), known)
    return Scenario(
        name=name,
        sites=sites,
        add=add,
        hours=span,
        service_factor=_range(name, "service_factor", given.get("service_factor", 1.0), 0.0, 10.0),
        resolution_points=_range(
            name, "resolution_points", given.get("resolution_points", 0.0), -1.0, 1.0
        ),
        demand=_demand(name, given.get("demand"), known),
        rules=_rules(name, given.get("routing"), sites, known),
        price=_price(name, given.get("price")),
        cost_per_year=_money(name, given, "cost_per_year"),
        investment=_money(name, given, "investment"),
        not_with=tuple(map(str, _list(name, "not_with", given.get("not_with", [])))),
    )


def _money(name: str, given: dict, key: str) -> Points:
    return three_points(given.get(key, 0.0), name=f"Scenario {name!r}: {key}")


def _range(name: str, key: str, value: Any, above: float, below: float) -> Points:
    """One number or a range of three, strictly between two bounds."""
    points = three_points(value, name=f"Scenario {name!r}: {key}")
    if not all(above < point < below for point in points):
        raise Problem(
            f"Scenario {name!r}: {key} is {value!r}.",
            f"give numbers between {above:g} and {below:g}; `resolution_points: 0.08` is 8"
            " percentage points, `service_factor: 0.9` is 10 % shorter.",
        )
    return points


def _share(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Problem(f"Scenario {name!r}: {key} is {value!r}.", "give a share from 0 to 1.")
    return float(value)


def _seconds(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 86_400:
        raise Problem(f"Scenario {name!r}: {key} is {value!r}.", "give seconds, less than a day.")
    return float(value)


def _list(name: str, key: str, value: Any) -> list:
    if not isinstance(value, list | tuple):
        raise Problem(f"Scenario {name!r}: {key} is {value!r}.", f"write {key}: [..].")
    return list(value)


def _table(name: str, key: str, value: Any, parts: Sequence[str], example: str) -> Mapping:
    """A few named parts, none unknown."""
    if not isinstance(value, Mapping):
        raise Problem(f"Scenario {name!r}: {key} is {value!r}.", f"write {key}: {example}.")
    for part in value:
        if part not in parts:
            raise Problem(
                f"Scenario {name!r}: {key} has an unknown part {part!r}.", nearest(part, parts)
            )
    return value


def _sites(name: str, given: Any, known: _Known, key: str = "sites") -> tuple[str, ...]:
    if given is None:
        return known.sites
    if not isinstance(given, list | tuple) or not given:
        raise Problem(f"Scenario {name!r}: {key} is {given!r}.", "give a list, such as [N1, N2].")
    given = [str(site) for site in given]  # a parameters file reads site 12 as a number
    for site in given:
        if site not in known.sites:
            raise Problem(
                f"Scenario {name!r}: there is no site {site!r}.", nearest(site, known.sites)
            )
    return tuple(dict.fromkeys(given))


def _agents(name: str, given: Any, known: _Known) -> tuple[int, tuple[int, int]]:
    if given is None:
        return 0, known.worked
    given = _table(name, "agents", given, ("add", "hours"), "{add: 1, hours: [10, 14]}")
    if not isinstance(given.get("add"), int) or isinstance(given["add"], bool):
        raise Problem(
            f"Scenario {name!r}: agents is {dict(given)!r}.",
            "write agents: {add: 1, hours: [10, 14]}.",
        )
    if abs(given["add"]) > MOST_AGENTS:
        raise Problem(
            f"Scenario {name!r} adds {given['add']:,} agents in each hour of a site.",
            f"give {MOST_AGENTS:,} or fewer.",
        )
    return given["add"], _hours(name, given.get("hours"), known)


def _hours(name: str, span: Any, known: _Known) -> tuple[int, int]:
    if span is None:
        return known.worked
    first, last = known.worked
    sound = isinstance(span, list | tuple) and len(span) == 2
    sound = sound and all(isinstance(hour, int) for hour in span)
    if not sound or not first <= span[0] < span[1] <= last:
        raise Problem(
            f"Scenario {name!r}: hours is {span!r}.",
            f"give two whole hours of the day between {first} and {last}, first to last.",
        )
    return int(span[0]), int(span[1])


def _demand(name: str, given: Any, known: _Known) -> Demand:
    if given is None:
        return Demand()
    if not isinstance(given, Mapping):
        given = {"factor": given}
    example = "{factor: 1.1, weeks: 6}"
    given = _table(name, "demand", given, ("factor", "hours", "weeks"), example)
    if "factor" not in given:
        raise Problem(f"Scenario {name!r}: demand has no factor.", f"write demand: {example}.")
    weeks = given.get("weeks", WEEKS_PER_YEAR)
    if isinstance(weeks, bool) or not isinstance(weeks, int | float) or not 0 < weeks <= 52:
        raise Problem(
            f"Scenario {name!r}: weeks is {weeks!r}.", "say how many of the 52 weeks of a year."
        )
    hours = _hours(name, given.get("hours"), known)
    factor = _range(name, "demand", given["factor"], 0.0, MOST_DEMAND)
    return Demand() if factor == (1.0, 1.0, 1.0) else Demand(factor, hours, float(weeks))


def _price(name: str, given: Any) -> Price | None:
    if given is None:
        return None
    example = "{change: 0.05, elasticity: [-0.8, -0.5, -0.2], revenue_per_contact: 6}"
    parts = ("change", "elasticity", "revenue_per_contact")
    given = _table(name, "price", given, parts, example)
    for part in ("change", "elasticity"):
        if part not in given:
            raise Problem(f"Scenario {name!r}: price has no {part}.", f"write price: {example}.")
    change = _range(name, "price: change", given["change"], -1.0, 10.0)
    if change[0] != change[2]:
        raise Problem(
            f"Scenario {name!r}: the change of price is a range.",
            "a price is decided, not guessed: give one number, 0.05 for 5 % more.",
        )
    revenue = three_points(
        given.get("revenue_per_contact", 0.0), name=f"Scenario {name!r}: revenue_per_contact"
    )
    elasticity = _range(name, "price: elasticity", given["elasticity"], -10.0, 10.0)
    times = max((1 + change[0]) ** each for each in elasticity)
    if times > MOST_DEMAND:
        raise Problem(
            f"Scenario {name!r}: this price would multiply demand by {times:,.3g}.",
            "an elasticity is the per cent of demand that 1 % more of price moves: see whether"
            " -0.5 was meant.",
        )
    return Price(change[0], elasticity, revenue)


def _rules(name: str, given: Any, sites: tuple[str, ...], known: _Known) -> Rules:
    if given is None:
        return Rules()
    parts = ("priority", "call_back", "rework", "pool")
    given = _table(name, "routing", given, parts, "{priority: [billing], pool: true}")
    rules = Rules(pool=_pool(name, given.get("pool", False), sites, known))
    for key, usual in (("call_back", 900.0), ("rework", 3600.0)):
        if key in given:
            share, after = _return(name, key, given[key], usual)
            rules = replace(rules, **{key: share, f"{key}_after_s": after})
    if "priority" in given:
        rules = replace(rules, priority=_priority(name, given["priority"], known))
    if rules == Rules():
        raise Problem(f"Scenario {name!r}: routing changes nothing.", f"use {', '.join(parts)}.")
    return rules


def _return(name: str, key: str, given: Any, usual: float) -> tuple[float, float]:
    if not isinstance(given, Mapping):
        given = {"share": given}
    given = _table(name, key, given, ("share", "after_s"), "{share: 0.5, after_s: 900}")
    after = _seconds(name, f"{key}: after_s", given.get("after_s", usual))
    return _share(name, f"{key}: share", given.get("share")), after


def _priority(name: str, given: Any, known: _Known) -> tuple[str, ...]:
    reasons = tuple(map(str, _list(name, "priority", given)))
    for reason in reasons:
        if reason not in known.reasons:
            raise Problem(
                f"Scenario {name!r}: there is no reason {reason!r}.",
                nearest(reason, known.reasons),
            )
    return reasons


def _pool(name: str, given: Any, sites: tuple[str, ...], known: _Known) -> tuple[str, ...]:
    if isinstance(given, bool):
        return sites if given else ()
    pool = _sites(name, given, known, key="pool")
    outside = [site for site in pool if site not in sites]
    if outside:
        raise Problem(
            f"Scenario {name!r} pools {outside[0]!r}, which is not among its sites.",
            "name it under `sites` too.",
        )
    return pool


def labels(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Short names for a picture: where there are combinations, each single one has a letter.

    Examples
    --------
    >>> read = read_scenarios([{"name": n, "demand": 2} for n in ("x", "y")], sites=["N1"])
    >>> labels([*read, Scenario("x + y", together=read)])
    ('a: x', 'b: y', 'a + b')
    """
    if not any(each.together for each in scenarios):
        return tuple(each.name for each in scenarios)
    single = [each.name for each in scenarios if not each.together and each.name != AS_IS]
    letter = {name: chr(ord("a") + i) for i, name in enumerate(single)}
    return tuple(
        " + ".join(letter[part.name] for part in each.parts)
        if each.together
        else f"{letter[each.name]}: {each.name}"
        if each.name in letter
        else each.name
        for each in scenarios
    )


def in_words(name: str, scenarios: Sequence[Scenario]) -> str:
    """A scenario's name in a sentence, each part of a combination short enough to be told apart.

    All of three or more together are named so.

    Examples
    --------
    >>> read = [Scenario(n) for n in "xyz"]
    >>> in_words("x + y + z", [*read, Scenario("x + y + z", together=tuple(read))])
    'all 3 together'
    """
    single = [each for each in scenarios if not each.together and each.name != AS_IS]
    found = next(each for each in scenarios if each.name == name)
    if len(found.together) == len(single) > 2:
        return f"all {len(single)} together"
    return " + ".join(look.shorten(part.name) for part in found.parts)


def sizes(scenario: Scenario) -> dict[str, Points]:
    """The sizes of a single scenario's levers, as ranges, by the name of the lever."""
    found = {
        "service_factor": scenario.service_factor,
        "resolution_points": scenario.resolution_points,
        "demand": scenario.demand.factor,
    }
    if scenario.price is not None:
        found["elasticity"] = scenario.price.elasticity
        found["revenue_per_contact"] = scenario.price.revenue_per_contact
    return found


def changed(scenario: Scenario, change: Callable[[Scenario], Scenario]) -> Scenario:
    """The same scenario, or combination, with a change made to each single part of it."""
    if not scenario.together:
        return change(scenario)
    return replace(scenario, together=tuple(change(part) for part in scenario.together))
