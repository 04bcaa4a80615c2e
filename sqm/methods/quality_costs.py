"""What does poor quality cost, in four classes, before and after?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_one_of, need_share
from sqm.finding import Finding, counted, together
from sqm.money import amount, limits, need_currency, on_axis, spell_money
from sqm.rehearsal import Rehearsal
from sqm.scenario import in_words, labels
from sqm.three_point import drawn, three_points

CLASSES = ("prevention", "appraisal", "internal failure", "external failure")
CONFORMANCE, NONCONFORMANCE = "conformance", "nonconformance"  # the first two, the last two
SUMS = {CONFORMANCE: CLASSES[:2], NONCONFORMANCE: CLASSES[2:], "total": CLASSES}
UNITS = {
    "contact": "contacts_per_day",
    "lost contact": "abandoned_per_day",
    "unresolved contact": "unresolved_per_day",
    "complaint": "complaints_per_day",
}
MEASURED = "measured"  # the mean cost of a complaint that the rehearsal carries
KNOWN = ("name", "class", "per_year", "per", "cost", "share")
COMPLAINTS_ALONE = (
    {"name": "complaints", "class": "external failure", "per": "complaint", "cost": MEASURED},
)
OWN_COST = "the scenario's own cost"
HATCH = {"prevention": "", "appraisal": "..", "internal failure": "//", "external failure": "xx"}
SHADE = {
    "prevention": "#dfe4e6",
    "appraisal": "#c3cdd1",
    "internal failure": "#e6c9bf",
    "external failure": "#d9a593",
}


@dataclass(frozen=True)
class Line:
    """One line of the costs of quality.

    Attributes
    ----------
    name : str
    kind : str
        One of the four classes.
    per : str
        What it is counted by; empty for an amount a year.
    cost : tuple of three float, or None
        Money a year, or for each unit that it concerns; None for the cost of a complaint as
        measured.
    share : tuple of three float
        Share of the units that it concerns.
    """

    name: str
    kind: str
    per: str
    cost: tuple[float, float, float] | None
    share: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class YearlyCosts:
    """The costs of quality by scenario, line and draw.

    Attributes
    ----------
    lines : tuple of Line
    money : ndarray, shape (scenarios, lines, draws)
        Money a year.  What a scenario itself costs is not in it.
    """

    lines: tuple[Line, ...]
    money: np.ndarray

    @property
    def saving(self) -> np.ndarray:
        """Money a year that each scenario spares, before its own cost, (scenarios, draws)."""
        total = self.money.sum(axis=1)
        return total[:1] - total


@dataclass(frozen=True, eq=False)
class QualityCosts(Finding):
    """The costs of quality as it is, and what each scenario would make of them.

    Attributes
    ----------
    table : DataFrame, one row per scenario, part and kind
        ``scenario``, ``part`` (``line``, ``class`` or ``sum``), ``class`` (of a line or a class),
        ``name``, ``kind`` (``level``, or ``change`` against the service as it is), ``unit``,
        ``estimate, low, high``, ``chance_lower`` (of a change, 0 to 1), ``note``.
    total, low, high : float
        Costs a year as it is, in ``currency``.
    conformance, nonconformance : float
        Estimates of the two parts of the total.
    best : str
        Scenario with the largest expected fall of the total; empty if there is none to compare.
    change, change_low, change_high : float
        What it changes of the total, a year, its own cost counted.
    share_of_sales, share_low, share_high : float
        Total as it is over sales, 0 to 1; missing where no sales are given.
    without_line : tuple of str
        Classes of which no line was given.
    scenario_class : str
        Class that the scenarios' own costs are counted in.
    currency : str
    confidence : float
    lines, draws : int
    best_words : str
        ``best`` as a sentence names it.
    labels : tuple of str
        Short names of the scenarios, for the picture.
    """

    total: float
    low: float
    high: float
    conformance: float
    nonconformance: float
    best: str
    change: float
    change_low: float
    change_high: float
    share_of_sales: float
    share_low: float
    share_high: float
    without_line: tuple[str, ...]
    scenario_class: str
    currency: str
    confidence: float
    lines: int
    draws: int
    best_words: str
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say what quality costs as it is, how much of it is failure, and what would lower it."""
        return f"{self._answer()}\n{self._rests_on()}{self._left_out()}"

    def _answer(self) -> str:
        failing = f", {self.nonconformance / self.total:.0%} of it failures" if self.total else ""
        cost = self._spell(self.total, self.low, self.high)
        now = f"Quality costs {cost} a year as it is{failing}."
        if not self.best:
            return now
        best = self.best_words
        change = self._spell(self.change, self.change_low, self.change_high)
        if self.change >= 0:
            return f"{now} No scenario lowers it; the nearest, {best}: {change}."
        return f"{now} With {best} it changes by {change}."

    def _spell(self, *figures: float) -> str:
        return spell_money(*figures, confidence=self.confidence, currency=self.currency)

    def _rests_on(self) -> str:
        spent, lost = (
            amount(part, currency=self.currency) for part in (self.conformance, self.nonconformance)
        )
        parts = (
            f"That is quality good and poor: {spent} is spent on prevention and appraisal and"
            f" {lost} lost by internal and external failure. "
        )
        sales = (
            f"It is {self.share_of_sales:.2%} of sales ({self.share_low:.2%} to"
            f" {self.share_high:.2%}). "
            if np.isfinite(self.share_of_sales)
            else ""
        )
        return (
            f"{parts}{sales}It rests on {counted(self.lines, 'line')} of cost and {self.draws:,}"
            " draws, the same unit costs in every scenario, so a change is surer than the two"
            " levels that it lies between. A scenario's own cost of a year is counted as"
            f" {self.scenario_class}; what it costs once, at the beginning, and revenue that"
            " a change of price brings are not in it. "
        )

    def _left_out(self) -> str:
        missing = (
            f"No line was given for {together(self.without_line)}, so the total is too low where"
            " these cost something. "
            if self.without_line
            else ""
        )
        return (
            f"{missing}Amounts other than a measured cost are the study's own ranges, and no money"
            " may stand in two lines."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the classes of each scenario, with the interval of the level or of the change.

        A scenario's whisker is the interval of its change, laid at the mean of the service as it
        is: the two levels move together, so their own intervals would hide what is known.
        """
        ax = look.axes(ax)
        scenarios = self.table["scenario"].unique()
        levels = self.table[self.table["part"].eq("class") & self.table["kind"].eq("level")]
        wide = levels.pivot_table(index="scenario", columns="class", values="estimate", sort=False)
        _bars(ax, wide.loc[scenarios, list(CLASSES)])
        for row, (low, middle, high, what) in enumerate(map(self._whisker, scenarios)):
            ax.plot([low, high], [row, row], color=look.MEANING[what], lw=2)
            ax.plot(middle, row, look.MARKER[what], color=look.MEANING[what], ms=7)
        ax.axvline(self.total, color=look.MEANING["limit"], lw=1, ls="--")
        ax.set_yticks(range(len(scenarios)), [look.shorten(name) for name in self.labels])
        ax.set_ylim(len(scenarios) - 0.5, -0.5)
        ax.legend(
            loc="upper right", bbox_to_anchor=(1.0, -0.24), ncols=4, frameon=False,
            fontsize="small", columnspacing=1.0, handlelength=1.4,
        )  # fmt: skip
        return look.label(
            ax,
            title="What does quality cost in each scenario?",
            x=f"{on_axis(ax.xaxis, currency=self.currency)} a year"
            f" ({self.confidence * 100:.4g}% interval: as it is, of the level; else of the change)",
        )

    def _whisker(self, scenario: str) -> tuple[float, float, float, str]:
        rows = self.table[self.table["scenario"].eq(scenario) & self.table["name"].eq("total")]
        rows = rows[rows["part"].eq("sum")].set_index("kind")
        if "change" not in rows.index:
            level = rows.loc["level"]
            return level["low"], level["estimate"], level["high"], "usual"
        low, middle, high = rows.loc["change", ["low", "estimate", "high"]]
        what = "better" if high < 0 else "worse" if low > 0 else "usual"
        return self.total + low, self.total + middle, self.total + high, what


def _bars(ax: Axes, wide: pd.DataFrame) -> None:
    """Stack what is above zero to the right and what is below to the left."""
    right, left = np.zeros(len(wide)), np.zeros(len(wide))
    for name in wide:
        width = wide[name].to_numpy(float)
        ax.barh(
            range(len(wide)), width, left=np.where(width < 0, left, right), height=0.62,
            color=SHADE[name], hatch=HATCH[name], edgecolor="white", label=name,
        )  # fmt: skip
        right, left = right + np.maximum(width, 0), left + np.minimum(width, 0)


# --- Reading the lines ----------------------------------------------------------------------------


def read_costs(costs: Sequence[dict]) -> tuple[Line, ...]:
    """Read the lines of cost as they stand in a study's parameters.

    Parameters
    ----------
    costs : sequence of dict
        ``name``, ``class`` (prevention, appraisal, internal failure or external failure) and
        either ``per_year: money`` or ``per`` (contact, lost contact, unresolved contact or
        complaint) with ``cost: money`` and, if wanted, ``share``: the share of these units that
        it concerns.  Money and shares are one number or ``[least, likeliest, most]``; the cost of
        a complaint may be the word ``measured``.  Without any line, the measured cost of
        complaints stands alone.

    Returns
    -------
    tuple of Line

    Raises
    ------
    Problem
        If a line is not understood, a cost is negative, a share lies outside 0 to 1, or two lines
        have one name.

    Examples
    --------
    >>> read_costs([{"name": "court", "class": "external failre", "per": "complaint", "cost": 9}])
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: Cost 'court': class is 'external failre'.
      To mend: did you mean 'external failure'?
    """
    if not isinstance(costs, list | tuple):
        raise Problem(f"The costs are {costs!r}.", "give a list of lines, each with its `name`.")
    read = tuple(_line(given) for given in costs or COMPLAINTS_ALONE)
    names = [line.name for line in read]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Problem(f"Two costs are called {twice[0]!r}.", "give each a name of its own.")
    return read


def _line(given: Any) -> Line:
    if not isinstance(given, dict) or not str(given.get("name") or "").strip():
        raise Problem(f"A cost has no name: {given!r}.", "begin it with `name: ...`.")
    name = str(given["name"])
    for key in given:
        if key not in KNOWN:
            raise Problem(f"Cost {name!r} has an unknown part {key!r}.", nearest(str(key), KNOWN))
    need_one_of(given.get("class"), CLASSES, name=f"Cost {name!r}: class")
    if ("per_year" in given) == ("per" in given):
        raise Problem(
            f"Cost {name!r} has to be either an amount a year or an amount per unit.",
            "write `per_year: 20000`, or `per: complaint` and `cost: 80`.",
        )
    if "per_year" in given:
        return _a_year(name, given)
    need_one_of(given["per"], UNITS, name=f"Cost {name!r}: per")
    if "cost" not in given:
        raise Problem(f"Cost {name!r} says no amount.", f"add `cost`, money per {given['per']}.")
    return Line(name, given["class"], given["per"], _unit_cost(name, given), _share(name, given))


def _a_year(name: str, given: dict) -> Line:
    for key in ("cost", "share"):
        if key in given:
            raise Problem(
                f"Cost {name!r} is an amount a year and has a {key!r} too.",
                f"leave out `{key}`, or say what it is counted by with `per`.",
            )
    return Line(name, given["class"], "", _money(name, given, "per_year"), (1.0, 1.0, 1.0))


def _unit_cost(name: str, given: dict) -> tuple[float, float, float] | None:
    if given["cost"] != MEASURED:
        return _money(name, given, "cost")
    if given["per"] != "complaint":
        raise Problem(
            f"Cost {name!r}: only the cost of a complaint is measured, not that of a"
            f" {given['per']}.",
            "give an amount, or write `per: complaint`.",
        )
    return None


def _money(name: str, given: dict, key: str) -> tuple[float, float, float]:
    points = three_points(given[key], name=f"Cost {name!r}: {key}")
    if points[0] < 0:
        raise Problem(f"Cost {name!r}: {key} is {given[key]!r}.", "give money of 0 or more.")
    return points


def _share(name: str, given: dict) -> tuple[float, float, float]:
    points = three_points(given.get("share", 1.0), name=f"Cost {name!r}: share")
    if points[0] < 0 or points[2] > 1:
        raise Problem(
            f"Cost {name!r}: share is {given['share']!r}.",
            "give a share between 0 and 1; 0.002 is two in a thousand.",
        )
    return points


# --- Money ----------------------------------------------------------------------------------------


def yearly_costs(
    rehearsal: Rehearsal, costs: Sequence[dict], *, rng: np.random.Generator
) -> YearlyCosts:
    """Draw what each line of cost comes to in a year, in each scenario.

    Parameters
    ----------
    rehearsal : Rehearsal
    costs : sequence of dict
        As `read_costs` describes them.
    rng : Generator

    Returns
    -------
    YearlyCosts

    Raises
    ------
    Problem
        As `read_costs` does.
    Refusal
        If the rehearsal does not hold what a line is counted by.

    Notes
    -----
    Units a year x share concerned x cost of each, draw by draw; units in a scenario are those of
    the service as it is plus the change.  A draw has one cost and one share per line, the same in
    all scenarios, and a line of so much a year stays as it is.
    """
    lines = read_costs(costs)
    money = [_drawn_line(rehearsal, line, rng) for line in lines]
    return YearlyCosts(lines=lines, money=np.stack(money, axis=1))


def _drawn_line(rehearsal: Rehearsal, line: Line, rng: np.random.Generator) -> np.ndarray:
    """Money a year of one line, (scenarios, draws)."""
    draws = rehearsal.level.shape[1]
    cost = rehearsal.cost if line.cost is None else drawn(line.cost, draws, rng=rng)
    share = drawn(line.share, draws, rng=rng)
    if not line.per:
        return np.broadcast_to(cost, rehearsal.level.shape[:2])
    measure = UNITS[line.per]
    if measure not in rehearsal.measures:
        raise Refusal(
            f"Cost {line.name!r} is counted by {line.per}, which was not rehearsed.",
            f"give it as an amount a year; rehearsed were {', '.join(rehearsal.measures)}.",
        )
    m = rehearsal.measures.index(measure)
    units = rehearsal.level[:1, :, m] + rehearsal.change[:, :, m]
    if not np.isfinite(units).all():
        raise Refusal(
            f"How many units cost {line.name!r} falls on, {line.per}, is not known.",
            "give it as an amount a year, or mend the column that it is counted from.",
        )
    return units * rehearsal.open_days_per_year * share * cost


def quality_costs(
    rehearsal: Rehearsal,
    yearly: YearlyCosts,
    *,
    currency: str,
    sales: Any = None,
    scenario_class: str = "prevention",
    confidence: float = 0.95,
    rng: np.random.Generator | None = None,
) -> QualityCosts:
    """Sum the costs of quality up by class, as it is and in each scenario.

    Parameters
    ----------
    rehearsal : Rehearsal
    yearly : YearlyCosts
        Drawn from the same rehearsal.
    currency : str
    sales : number or sequence of three, optional
        Sales a year, one number or least, likeliest and most.
    scenario_class : str, default 'prevention'
        Class in which a scenario's own running cost is counted.
    confidence : float, default 0.95
    rng : Generator, optional
        Needed if sales are a range.

    Returns
    -------
    QualityCosts

    Raises
    ------
    Problem
        If the currency is missing, the class unknown, or sales are not above zero.

    Notes
    -----
    Costs of conformance are prevention + appraisal, costs of nonconformance internal + external
    failure [1]_ [2]_.  Estimates are means of the draws, limits are such that a further draw
    would lie between them with the probability named.

    References
    ----------
    .. [1] Feigenbaum, A. V. (1956). Total quality control. Harvard Business Review 34(6), 93-101.
    .. [2] Crosby, P. B. (1979). Quality is Free. McGraw-Hill.

    Examples
    --------
    Ten complaints a day on 250 days, at 4 each: 10,000 a year, half of them spared.

    >>> from types import SimpleNamespace as Names
    >>> from sqm.scenario import Scenario
    >>> played = Names(
    ...     scenarios=(Scenario("as is"), Scenario("better")),
    ...     measures=("complaints_per_day",), level=np.array([[[10.0]], [[5.0]]]),
    ...     change=np.array([[[0.0]], [[-5.0]]]), cost=np.array([4.0]),
    ...     running_cost=np.array([[0.0], [1000.0]]), revenue=np.zeros((2, 1)),
    ...     open_days_per_year=250.0,
    ... )
    >>> yearly = yearly_costs(played, [], rng=np.random.default_rng(1))
    >>> found = quality_costs(played, yearly, currency="EUR")
    >>> found.total, found.change
    (10000.0, -4000.0)
    """
    need_share(confidence, name="confidence")
    need_one_of(scenario_class, CLASSES, name="scenario_class")
    currency = need_currency(currency)
    if yearly.money.shape[::2] != rehearsal.level.shape[:2]:
        raise Problem("The costs were drawn from another rehearsal.", "draw them from this one.")
    sold = _sales(sales, rehearsal.level.shape[1], rng)
    parts = _parts(rehearsal, yearly, scenario_class, sold)
    names = [world.name for world in rehearsal.scenarios]
    rows = [row for part in parts for row in _rows(names, part, currency, confidence)]
    table = pd.DataFrame(rows)
    table["scenario"] = pd.Categorical(table["scenario"], categories=names, ordered=True)
    table = table.sort_values("scenario", kind="stable", ignore_index=True)
    table["scenario"] = table["scenario"].astype(str)
    worlds = rehearsal.scenarios
    return _summed_up(table, yearly, worlds, scenario_class, currency, confidence)


def _sales(sales: Any, draws: int, rng: np.random.Generator | None) -> np.ndarray | None:
    if sales is None:
        return None
    points = three_points(sales, name="sales")
    if points[0] <= 0:
        raise Problem(f"Sales are {sales!r}.", "give sales a year above zero, or leave them out.")
    if points[0] == points[2]:
        return np.full(draws, points[0])
    if rng is None:
        raise Problem("Sales are a range, and no `rng` draws from it.", "hand over a generator.")
    return drawn(points, draws, rng=rng)


@dataclass(frozen=True, eq=False)
class _Part:
    """Draws of one line, class or sum: what stands in a block of the table."""

    part: str
    kind: str
    name: str
    draws: np.ndarray  # (scenarios, draws)
    unit: str = ""


def _parts(rehearsal, yearly: YearlyCosts, scenario_class: str, sold) -> list[_Part]:
    """Lines, then classes, then sums, each (scenarios, draws)."""
    lines = [
        _Part("line", line.kind, line.name, yearly.money[:, i])
        for i, line in enumerate(yearly.lines)
    ]
    own = rehearsal.running_cost + rehearsal.revenue  # which was taken off there
    if np.any(own):
        lines.append(_Part("line", scenario_class, OWN_COST, own))
    nothing = np.zeros_like(yearly.money[:, 0])
    of = {c: sum((p.draws for p in lines if p.kind == c), nothing) for c in CLASSES}
    classes = [_Part("class", c, c, of[c]) for c in CLASSES]
    sums = [_Part("sum", "", name, sum(of[c] for c in some)) for name, some in SUMS.items()]
    if sold is not None:
        sums.append(_Part("sum", "", "share of sales", sums[-1].draws / sold, "share"))
    return [*lines, *classes, *sums]


def _rows(names: list[str], part: _Part, currency: str, confidence: float) -> list[dict]:
    head = {"part": part.part, "class": part.kind, "name": part.name}
    unit, rows = part.unit or currency, []
    for w, name in enumerate(names):
        level, change = part.draws[w], part.draws[w] - part.draws[0]
        for kind, values in [("level", level), ("change", change)][: 1 + (w > 0)]:
            low, high = limits(values, confidence=confidence)
            moved = kind == "change" and change.any()
            rows.append(
                {"scenario": name} | head | {
                    "kind": kind, "unit": unit, "estimate": float(values.mean()),
                    "low": float(low), "high": float(high),
                    "chance_lower": float((change < 0).mean()) if moved else np.nan,
                    "note": "nothing moves it" if kind == "change" and not moved else "",
                }
            )  # fmt: skip
    return rows


def _summed_up(
    table: pd.DataFrame, yearly: YearlyCosts, worlds, scenario_class, currency, confidence
) -> QualityCosts:
    sums = table[table["part"].eq("sum")]
    now = sums[sums["scenario"].eq(table["scenario"].iloc[0])].set_index("name")
    unknown = pd.Series({"estimate": np.nan, "low": np.nan, "high": np.nan})
    sold = now.loc["share of sales"] if "share of sales" in now.index else unknown
    changes = sums[sums["name"].eq("total") & sums["kind"].eq("change")]
    best = changes.loc[changes["estimate"].idxmin()] if len(changes) else unknown
    given = {line.kind for line in yearly.lines}
    return QualityCosts(
        table=table,
        total=float(now.loc["total", "estimate"]),
        low=float(now.loc["total", "low"]),
        high=float(now.loc["total", "high"]),
        conformance=float(now.loc[CONFORMANCE, "estimate"]),
        nonconformance=float(now.loc[NONCONFORMANCE, "estimate"]),
        best=str(best["scenario"]) if len(changes) else "",
        change=float(best["estimate"]),
        change_low=float(best["low"]),
        change_high=float(best["high"]),
        share_of_sales=float(sold["estimate"]),
        share_low=float(sold["low"]),
        share_high=float(sold["high"]),
        without_line=tuple(name for name in CLASSES if name not in given),
        scenario_class=scenario_class,
        currency=currency,
        confidence=confidence,
        lines=len(yearly.lines),
        draws=yearly.money.shape[2],
        best_words=in_words(str(best["scenario"]), worlds) if len(changes) else "",
        labels=labels(worlds),
    )
