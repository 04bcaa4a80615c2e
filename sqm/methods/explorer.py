"""What happens to waits when agents, handling time or demand move?"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import product
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import percentiles, spell, wilson
from sqm.queue_engine import HOUR_S
from sqm.rehearsal import defect_of, widened_by
from sqm.service_model import Customers, Service

USUAL = {
    "mean_wait_s": ("mean wait", "s"),
    "abandoned": ("hung up", "share"),
    "waited_longer": ("waited longer than {limit:.0f} s", "share"),
}
WAITING = ("wait_s", "abandoned")  # measures of a characteristic that only the queue decides
CHANCE = "chance: "
DRAWS_AT_ONCE = 4  # small arrays stay in the processor's cache
LEAST_SHARE = 0.1  # of the variance between draws that is taken for the parameters' own
# Customers that are simulated anew at each move of a slider: about a tenth of a second's work.
CUSTOMERS_A_MOVE = 300_000
FEWEST_DRAWS, MOST_DRAWS, WEEKS_A_DRAW = 20, 60, 2
WIDTH_PX, HEIGHT_PX, DPI = 760, 300, 100
STAYS = "one agent stays"
ESTIMATE, MOVED = ("estimate", "low", "high"), ("change", "change_low", "change_high")
THEN = tuple(f"then_{name}" for name in ESTIMATE)
TITLE = "How long do customers wait, hour by hour?"
# An image widget cannot have a text for those who do not see it; sync: it must not flicker.
IMAGE = (
    f'<img src="data:image/png;base64,{{}}" width="{WIDTH_PX}" height="{HEIGHT_PX}"'
    ' style="max-width: 100%; height: auto" decoding="sync" alt="{alt}">'
)
STEP = 5  # per cent that a slider moves
CELL = "padding: 1px 18px 1px 0; text-align: left; font-weight: normal; white-space: nowrap"
HIGHEST = 10.0  # factors beyond this are a slip of the pen


class Gate(Protocol):
    """The verdict of a test on days that the model had not seen."""

    open: bool
    wait_error: float
    abandon_error: float

    def sentence(self) -> str: ...


@dataclass(frozen=True)
class Change:
    """What is moved.

    Attributes
    ----------
    agents : int
        Added in each hour from ``hours[0]`` up to, not including, ``hours[1]``.
    service_factor, demand_factor : float
        What service times and the number of customers are multiplied by.
    hours : tuple of two int
    """

    agents: int = 0
    service_factor: float = 1.0
    demand_factor: float = 1.0
    hours: tuple[int, int] = (0, 24)


AS_IS = Change()


@dataclass(frozen=True, eq=False)
class Explored(Finding):
    """Waits over a grid of agents, handling times and demands.

    Attributes
    ----------
    table : DataFrame, one row per point of the grid and measure
        ``agents_added``, ``service_factor``, ``demand_factor``; ``agent_hours`` (mean of an open
        day, all sites); ``measure`` (``mean_wait_s``, ``abandoned``, ``waited_longer``, and
        ``chance: <ctq>``, the probability that the long-run share of defects is at or below its
        target); ``unit``, ``estimate, low, high`` (of a chance: Wilson's limits for the number of
        draws); ``change, change_low, change_high`` against the service as it is; ``note``.
    wait_s, low_s, high_s : float
        Mean wait as it is.
    ctqs : tuple of str
        Characteristics whose chance is given.
    unjudged : int
        Characteristics that waits and abandonment do not decide.
    limit_s : float
        The wait that is counted as long.
    confidence : float
    draws, weeks : int
        Draws of the parameters, and simulated weeks in each.
    wait_error : float
        Relative error of waits that the test on days held out added.
    """

    wait_s: float
    low_s: float
    high_s: float
    ctqs: tuple[str, ...]
    unjudged: int
    limit_s: float
    confidence: float
    draws: int
    weeks: int
    wait_error: float

    def sentence(self) -> str:
        """Say what one step of each of the three does to the mean wait, then to the targets."""
        as_is = spell(
            self.wait_s, self.low_s, self.high_s, confidence=self.confidence, digits=0, unit="s"
        )
        steps = [words for words in map(self._step, self._steps()) if words]
        moved = f"; {'; '.join(steps)}" if steps else ""
        return f"The mean wait is {as_is} as it is{moved}.\n{self._chances()}{self._rests()}"

    def _steps(self) -> list[tuple[str, Change]]:
        """The nearest step of each lever in words: more agents, shorter handling, more demand."""
        agents = sorted(self.table["agents_added"].unique(), key=lambda n: (n < 1, abs(n)))
        service = sorted(self.table["service_factor"].unique(), key=lambda f: (f >= 1, abs(f - 1)))
        demand = sorted(self.table["demand_factor"].unique(), key=lambda f: (f <= 1, abs(f - 1)))
        more = int(agents[0])
        steps = [
            (f"{more:+d} agent{'s' * (abs(more) != 1)} at each site", Change(agents=more)),
            (f"handling {_percent(service[0])}", Change(service_factor=float(service[0]))),
            (f"demand {_percent(demand[0])}", Change(demand_factor=float(demand[0]))),
        ]
        return [(words, change) for words, change in steps if change != AS_IS]

    def _step(self, step: tuple[str, Change]) -> str:
        words, change = step
        row = self._row(change, "mean_wait_s")
        if np.isnan(row["estimate"]):
            return ""
        return f"{words}: {row['estimate']:.0f} s ({row['low']:.0f} to {row['high']:.0f})"

    def _row(self, change: Change, measure: str) -> pd.Series:
        rows = self.table[
            self.table["agents_added"].eq(change.agents)
            & self.table["service_factor"].eq(change.service_factor)
            & self.table["demand_factor"].eq(change.demand_factor)
            & self.table["measure"].eq(measure)
        ]
        return rows.iloc[0]

    def _chances(self) -> str:
        words = [f"{name}: {self._chances_of(name)}" for name in self.ctqs]
        silent = (
            f"{counted(self.unjudged, 'characteristic')} not decided by waits or abandonment"
            f" {'is' if self.unjudged == 1 else 'are'} left out. "
            if self.unjudged
            else ""
        )
        return (
            f"Chance of the target in the long run: {'; '.join(words)}. {silent}"
            if words
            else silent
        )

    def _chances_of(self, name: str) -> str:
        steps = [(f"with {words}", change) for words, change in self._steps()]
        here = [("as it is", AS_IS), *steps]
        each = [(told, self._row(change, CHANCE + name)) for told, change in here]
        each = {told: _chance(row) for told, row in each if not np.isnan(row["estimate"])}
        if len(set(each.values())) == 1 < len(each):
            return f"{next(iter(each.values()))} as it is and after each of these steps"
        return ", ".join(f"{chance} {told}" for told, chance in each.items())

    def _rests(self) -> str:
        grid = self.table.drop_duplicates(["agents_added", "service_factor", "demand_factor"])
        kept = int(grid["note"].str.contains(STAYS).sum())
        fewer = (
            f"Where fewer agents are tried, one stays on duty, so that {counted(kept, 'point')} of"
            f" {len(grid)} take fewer away than named (see the notes). "
            if kept
            else ""
        )
        return (
            f"Each of {self.draws} draws of what is not known for certain plays {self.weeks} weeks,"
            f" the same customers at every point. {fewer}{widened_by(self.wait_error)}"
            "It is assumed that customers are as patient as now, and that a lever moves nothing but"
            " what it names: distrust a point far from what the log has seen."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean wait by agents, one block for each handling time, one line a demand."""
        ax = look.axes(ax)
        rows = self.table[self.table["measure"].eq("mean_wait_s")]
        agents = sorted(rows["agents_added"].unique())
        blocks = sorted(rows["service_factor"].unique())
        step = len(agents) + 0.6
        for b, block in enumerate(blocks):
            for d, demand in enumerate(sorted(rows["demand_factor"].unique())):
                here = rows["service_factor"].eq(block) & rows["demand_factor"].eq(demand)
                _curve(
                    ax, rows[here].sort_values("agents_added"), b * step, demand, named=b == 0, d=d
                )
        _blocks(ax, agents, blocks, step)
        ax.legend(frameon=False, fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.94))
        hollow = "; hollow: one stays" if rows["note"].str.contains(STAYS).any() else ""
        return look.label(
            ax,
            title="What would agents, handling and demand do to waits?",
            x=f"agents added in each hour ({self.confidence * 100:.4g}% interval{hollow})",
            y="mean wait, s",
        )


def _curve(
    ax: Axes, rows: pd.DataFrame, start: float, demand: float, *, named: bool, d: int
) -> None:
    """One demand in one block: a line with its band, told by colour and by shape."""
    what = "usual" if demand == 1 else "worse" if demand > 1 else "better"
    x = start + np.arange(len(rows))
    ax.fill_between(x, rows["low"], rows["high"], color=look.MEANING[what], alpha=0.2, lw=0)
    name = "demand as it is" if demand == 1 else f"demand {_percent(demand)}"
    style = {"color": look.MEANING[what], "marker": look.MARKER[what], "ms": 5, "lw": 1.4}
    dashes = "-" if demand == 1 else ("-", "--", ":")[d % 3]
    ax.plot(x, rows["estimate"], ls=dashes, label=name if named else None, **style)
    hollow = rows["note"].str.contains(STAYS).to_numpy()
    ax.plot(x[hollow], rows["estimate"][hollow], **style | {"lw": 0}, mfc="white")


def _blocks(ax: Axes, agents: Sequence[int], blocks: Sequence[float], step: float) -> None:
    """Name the blocks of handling times above, and the agents below."""
    places = [b * step + i for b in range(len(blocks)) for i in range(len(agents))]
    ax.set_xticks(places, [f"{n:+d}" if n else "0" for n in agents] * len(blocks))
    ax.set_xlim(-0.6, len(blocks) * step - 1.0)
    ax.set_ylim(0, ax.get_ylim()[1] * 1.12)
    for b, block in enumerate(blocks):
        name = "handling as it is" if block == 1 else f"handling {_percent(block)}"
        middle = b * step + (len(agents) - 1) / 2
        ax.text(middle, 0.995, name, transform=ax.get_xaxis_transform(), ha="center", va="top",
                size="small", weight="bold")  # fmt: skip
        if b:
            ax.axvline(b * step - 0.8, color=look.MEANING["limit"], lw=0.8)
    ax.grid(axis="y", color="#e3e6e8", lw=0.8)
    ax.set_axisbelow(True)


def _percent(factor: float) -> str:
    return f"{(factor - 1) * 100:+.4g} %"


def _chance(row: pd.Series) -> str:
    """No surer than so many draws can be."""
    low, high = np.floor(row["low"] * 100), np.ceil(row["high"] * 100)
    if row["estimate"] > 0.99:
        return f"over {low:.0f} %"
    return f"under {high:.0f} %" if row["estimate"] < 0.01 else f"{row['estimate'] * 100:.0f} %"


def explore(
    service: Service,
    *,
    gate: Gate,
    limit_s: float,
    ctqs: pd.DataFrame | None = None,
    agents: Sequence[int] = (-2, -1, 0, 1, 2),
    service_factors: Sequence[float] = (0.9, 1.0, 1.1),
    demand_factors: Sequence[float] = (0.9, 1.0, 1.1),
    confidence: float = 0.9,
    draws: int = 60,
    weeks: int = 4,
    rng: np.random.Generator,
) -> Explored:
    """Play the service over a grid of agents, handling times and demands.

    Parameters
    ----------
    service : Service
        The calibrated queue.
    gate : Gate
        The verdict on days held out: while it is shut, nothing is played.
    limit_s : float
        The wait that counts as long, in seconds.
    ctqs : DataFrame, optional
        ``name``, ``measure``, ``direction``, ``limit``, ``target`` of each characteristic; those
        measured by ``wait_s`` or ``abandoned`` are judged.
    agents : sequence of int
        Added in every hour at every site; where fewer are tried, one stays.
    service_factors, demand_factors : sequence of float
        What service times and numbers of customers are multiplied by.  The service as it is (0
        agents, 1 and 1) is put in where it is missing.
    confidence : float, default 0.9
    draws, weeks : int
        Draws of the parameters, and simulated weeks in each.
    rng : Generator

    Returns
    -------
    Explored

    Raises
    ------
    Refusal
        If the gate is shut.
    Problem
        If a factor is not a positive number, or agents are not whole numbers.

    Notes
    -----
    Estimates are means over the draws, limits quantiles, about the long-run level; the noise of
    the simulation within a draw is estimated between its weeks and taken out [1]_ (at least a
    tenth of the variance is kept).  Customers are drawn once, at the largest demand, each with a
    mark that is uniform; at a smaller one those with a small mark come.  Thinning a Poisson
    process leaves a Poisson process [2]_, and every point of the grid meets the same customers.

    References
    ----------
    .. [1] Sun, Y., Apley, D. W., Staum, J. (2011). Efficient nested simulation for estimating the
       variance of a conditional expectation. Operations Research 59, 998-1007.
       doi:10.1287/opre.1110.0932
    .. [2] Lewis, P. A. W., Shedler, G. S. (1979). Simulation of nonhomogeneous Poisson processes
       by thinning. Naval Research Logistics Quarterly 26, 403-413. doi:10.1002/nav.3800260304
    """
    need_share(confidence, name="confidence")
    _need_open(gate)
    steps, served, come = _grid(agents, service_factors, demand_factors)
    defects, unjudged = _judged(ctqs)
    world = _World(service, gate, float(limit_s), defects, most=max(come), weeks=weeks)
    changes = [
        Change(agents=a, service_factor=s, demand_factor=d)
        for d, s, a in product(come, served, steps)
    ]
    base = changes.index(AS_IS)
    grid = _over_draws(world, changes, draws, base, rng)
    rows = [_rows(world, change, grid, i, confidence) for i, change in enumerate(changes)]
    now = rows[base][0]
    return Explored(
        table=pd.DataFrame([row for each in rows for row in each]),
        wait_s=now["estimate"],
        low_s=now["low"],
        high_s=now["high"],
        ctqs=tuple(each.name for each in defects),
        unjudged=unjudged,
        limit_s=float(limit_s),
        confidence=confidence,
        draws=draws,
        weeks=weeks,
        wait_error=gate.wait_error,
    )


def _need_open(gate: Gate) -> None:
    if not gate.open:
        raise Refusal(
            f"The explorer is locked: {gate.sentence().splitlines()[0]}",
            "find what changed between the two stretches, and learn from days that are alike.",
        )


def _grid(agents, service_factors, demand_factors) -> tuple[list[int], list[float], list[float]]:
    for n in agents:
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise Problem(f"agents holds {n!r}.", "give whole numbers, such as [-1, 0, 1, 2].")
    for name, factors in (("service_factors", service_factors), ("demand_factors", demand_factors)):
        for factor in factors:
            _need_factor(factor, name)
    return (
        sorted({0, *map(int, agents)}),
        sorted({1.0, *map(float, service_factors)}),
        sorted({1.0, *map(float, demand_factors)}),
    )


def _need_factor(factor: Any, name: str) -> None:
    number = isinstance(factor, int | float | np.number) and not isinstance(factor, bool)
    if not number or not 0 < factor <= HIGHEST:
        raise Problem(
            f"{name} holds {factor!r}.",
            f"give numbers above 0, at most {HIGHEST:g}; 0.9 is 10 % less.",
        )


def _judged(ctqs: pd.DataFrame | None) -> tuple[tuple[Any, ...], int]:
    """Characteristics that waits or abandonment decide, and how many others there are."""
    if ctqs is None:
        return (), 0
    need_columns(ctqs, ["name", "measure", "direction", "limit", "target"], source="ctqs")
    read = [defect_of(row) for row in ctqs.to_dict("records")]
    judged = tuple(each for each in read if each is not None and each.measure in WAITING)
    return judged, len(ctqs) - len(judged)


# --- Playing --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _World:
    """What stays the same from one change to the next."""

    service: Service
    gate: Gate
    limit_s: float
    defects: tuple[Any, ...]
    most: float  # largest demand factor that can be asked for
    weeks: int

    @property
    def measures(self) -> tuple[str, ...]:
        return (*USUAL, *(f"{CHANCE}{each.name}" for each in self.defects))

    def stage(self, parameters: Any, rng: np.random.Generator) -> _Stage:
        """Draw the customers of these parameters, at the largest demand."""
        draws = len(parameters.weights)
        wait_error, abandon_error = rng.standard_normal((2, draws))
        more = replace(parameters, rate=parameters.rate * self.most)
        customers = self.service.typical_weeks(more, weeks=self.weeks, rng=rng)
        hurry = np.exp(-self.gate.abandon_error * abandon_error)[customers.draw, None]
        mark = self.most * rng.random(customers.arrival_s.shape)
        return _Stage(
            world=self,
            customers=replace(customers, patience_s=customers.patience_s * hurry),
            mark=mark,
            stretch=np.exp(self.gate.wait_error * wait_error)[customers.draw],
            draws=draws,
        )


@dataclass(frozen=True, eq=False)
class _Stage:
    """Customers of some draws, ready to meet any change."""

    world: _World
    customers: Customers
    mark: np.ndarray  # (lanes, customers), uniform from 0 to the largest demand factor
    stretch: np.ndarray  # (lanes,), what the gate's error multiplies waits by
    draws: int
    _thinned: dict[float, Customers] = field(default_factory=dict)

    def crowd(self, demand: float) -> Customers:
        """Those of the customers who come at this demand; the last one asked for is kept."""
        if demand not in self._thinned:
            self._thinned.clear()
            self._thinned[demand] = _thin(self.customers, self.mark < demand)
        return self._thinned[demand]

    def agents(self, change: Change) -> np.ndarray:
        """Agents on duty, (lanes, hours): on open days only, and one stays where there was one."""
        now = self.customers.agents
        if change.agents == 0:
            return now
        hours = np.array(self.world.service.grid.hours)
        within = (hours >= change.hours[0]) & (hours < change.hours[1])
        then = now + change.agents * within * now.any(axis=1)[:, None]
        return np.maximum(then, np.minimum(now, 1))

    def play(self, change: Change) -> _Played:
        """Let the customers of this demand meet these agents."""
        crowd, agents = self.crowd(change.demand_factor), self.agents(change)
        factor = np.full(len(crowd.site), change.service_factor)
        done = self.world.service.serve(crowd, agents=agents, service_factor=factor)
        there = np.isfinite(crowd.arrival_s)
        wait = np.where(there, done.wait_s, 0.0) * self.stretch[:, None]
        return _Played(crowd, agents, there, wait, there & ~done.served)

    def sums(self, played: _Played) -> np.ndarray:
        """Parts and wholes of each measure, (draws, weeks, measures, 2)."""
        wait, left, there = played.wait_s, played.left, played.there
        wrong = []
        for each in self.world.defects:
            value = wait if each.measure == "wait_s" else left
            wrong.append(((value > each.limit) if each.beyond else (value < each.limit)) & there)
        columns = [wait, left, wait > self.world.limit_s, *wrong, there]
        lanes = np.stack([each.sum(axis=1) for each in columns], axis=1).astype(float)
        weekly = lanes.reshape(self.draws, self.world.weeks, -1, len(columns)).sum(axis=2)
        whole = np.broadcast_to(weekly[..., -1:], weekly[..., :-1].shape)
        return np.stack([weekly[..., :-1], whole], axis=-1)

    def hourly(self, played: _Played) -> np.ndarray:
        """Seconds waited and customers by hour of arrival, (draws, weeks, hours, 2)."""
        hours = len(self.world.service.grid.hours)
        lane, customer = np.nonzero(played.there)
        hour = (played.crowd.arrival_s[lane, customer] // HOUR_S).astype(int).clip(0, hours - 1)
        week = lane // (len(played.there) // (self.draws * self.world.weeks))
        place, size = week * hours + hour, self.draws * self.world.weeks * hours
        waited = np.bincount(place, weights=played.wait_s[lane, customer], minlength=size)
        sums = np.stack([waited, np.bincount(place, minlength=size)], axis=-1)
        return sums.reshape(self.draws, self.world.weeks, hours, 2)


@dataclass(frozen=True, eq=False)
class _Played:
    """What became of the customers, arrays of (lanes, customers); ``agents`` (lanes, hours)."""

    crowd: Customers
    agents: np.ndarray
    there: np.ndarray
    wait_s: np.ndarray
    left: np.ndarray


def _thin(customers: Customers, stays: np.ndarray) -> Customers:
    """Leave out the customers who do not come, the others moved together."""
    stays = stays & np.isfinite(customers.arrival_s)
    number = stays.sum(axis=1)
    lane, old = np.nonzero(stays)
    new = np.arange(len(lane)) - np.repeat(number.cumsum() - number, number)

    def laid(values: np.ndarray, fill: float) -> np.ndarray:
        table = np.full((len(stays), max(int(number.max(initial=0)), 1)), fill, values.dtype)
        table[lane, new] = values[lane, old]
        return table

    return replace(
        customers,
        arrival_s=laid(customers.arrival_s, np.inf),
        **{
            n: laid(getattr(customers, n), 0)
            for n in ("service_s", "patience_s", "reason", "channel")
        },
    )


def _levels(sums: np.ndarray, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Ratios by draw and their change against ``base``, freed of the simulation's noise.

    Parameters
    ----------
    sums : ndarray, shape (changes, draws, weeks, measures, 2)

    Returns
    -------
    level, change : ndarray, shape (changes, draws, measures)
    """
    part, whole = sums[..., 0], np.maximum(sums[..., 1], 1e-12)
    ratio = part.sum(axis=2) / whole.sum(axis=2)
    weeks = sums.shape[2]
    # what each week adds to the error of its draw's ratio
    error = (part - ratio[:, :, None, :] * whole) / whole.mean(axis=2, keepdims=True) / weeks
    scale = weeks / max(weeks - 1, 1)
    level = _without_noise(ratio, (error**2).sum(axis=2) * scale)
    moved = ((error - error[base]) ** 2).sum(axis=2) * scale
    return level, _without_noise(ratio - ratio[base], moved)


def _without_noise(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draw values towards their mean until their variance is that of the parameters alone."""
    middle = values.mean(axis=1, keepdims=True)
    total = values.var(axis=1, ddof=1, keepdims=True)
    kept = 1 - noise.mean(axis=1, keepdims=True) / np.maximum(total, 1e-300)
    return middle + (values - middle) * np.sqrt(np.clip(kept, LEAST_SHARE, 1.0))


@dataclass(frozen=True, eq=False)
class _Grid:
    """The whole grid, played: arrays by change."""

    level: np.ndarray  # (changes, draws, measures)
    change: np.ndarray
    agent_hours: np.ndarray  # (changes,), of an open day
    kept: np.ndarray  # (changes,), share of staffed hours in which one agent was made to stay
    endless: np.ndarray  # (changes,), whether a queue would grow without end


def _over_draws(world: _World, changes: Sequence[Change], draws: int, base: int, rng) -> _Grid:
    """Play all changes, a few draws at a time."""
    parameters = world.service.parameters(draws=draws, rng=rng)
    sums, duty = [], []
    for first in range(0, draws, DRAWS_AT_ONCE):
        stage = world.stage(parameters.part(first, first + DRAWS_AT_ONCE), rng)
        several = []
        for change in changes:
            played = stage.play(change)
            several.append(stage.sums(played))
            duty.append(_duty(stage, change, played))
        sums.append(np.stack(several))
    level, change = _levels(np.concatenate(sums, axis=1), base)
    hours, kept, busy = np.moveaxis(np.reshape(duty, (-1, len(changes), 3)).mean(axis=0), -1, 0)
    patient = not world.service.patience.leavers.any()
    return _Grid(level, change, hours, kept, (busy >= 1) & patient)


def _duty(stage: _Stage, change: Change, played: _Played) -> tuple[float, float, float]:
    """Agent hours of a day, share of hours in which one was made to stay, and the busiest site."""
    agents, now = played.agents, stage.customers.agents
    sites = played.crowd.site.max() + 1
    staffed = np.maximum((now > 0).sum(), 1)
    kept = ((now > 0) & (agents > now + change.agents)).sum() / staffed
    work = (played.crowd.service_s * played.there).sum(axis=1) * change.service_factor
    busy = np.bincount(played.crowd.site, weights=work)
    busy = busy / np.maximum(np.bincount(played.crowd.site, weights=agents.sum(axis=1)), 1) / HOUR_S
    return agents.sum() * sites / len(agents), kept, busy.max()


def _rows(world: _World, change: Change, grid: _Grid, i: int, confidence: float) -> list[dict]:
    """The rows of one point of the grid, one a measure."""
    level, moved = grid.level[i], grid.change[i]
    note = "agents would be busy always and nobody leaves: no queue would end"
    if not grid.endless[i]:
        kept = grid.kept[i]
        note = f"{STAYS} in {kept:.1%} of hours, where fewer were named" if kept else ""
    rows = []
    for m, measure in enumerate(world.measures):
        found = dict.fromkeys((*ESTIMATE, *MOVED), np.nan)
        if not grid.endless[i]:
            found = _summary(world, level[:, m], moved[:, m], m, confidence)
        rows.append(
            {"agents_added": change.agents, "service_factor": change.service_factor}
            | {"demand_factor": change.demand_factor, "agent_hours": float(grid.agent_hours[i])}
            | {"measure": measure, "unit": USUAL.get(measure, ("", "share"))[1]}
            | found
            | {"note": note}
        )
    return rows


def _summary(world: _World, level, moved, m: int, confidence: float) -> dict[str, float]:
    """Estimate and limits of one measure; of a characteristic, the chance of its target."""
    if m >= len(USUAL):
        chance = float((level <= world.defects[m - len(USUAL)].target).mean())
        limits = wilson(chance, len(level), confidence=confidence)
        return dict(zip(ESTIMATE, (chance, *limits), strict=True)) | dict.fromkeys(MOVED, np.nan)
    told = (level.mean(), *percentiles(level, confidence=confidence))
    by = (moved.mean(), *percentiles(moved, confidence=confidence))
    return dict(zip((*ESTIMATE, *MOVED), map(float, (*told, *by)), strict=True))


# --- Sliders --------------------------------------------------------------------------------------


def sliders(
    service: Service,
    *,
    gate: Gate,
    limit_s: float,
    ctqs: pd.DataFrame | None = None,
    agents: tuple[int, int] = (-2, 2),
    service_factors: tuple[float, float] = (0.7, 1.3),
    demand_factors: tuple[float, float] = (0.7, 1.3),
    confidence: float = 0.9,
    draws: int | None = None,
    rng: np.random.Generator,
) -> Any:
    """Sliders for agents, their hours, handling time and demand that redraw the waits at once.

    Parameters
    ----------
    service, gate, limit_s, ctqs, confidence, rng
        As for `explore`.
    agents : tuple of two int
    service_factors, demand_factors : tuple of two float
        Least and most that a slider gives.
    draws : int, optional
        Draws of the parameters, two weeks in each.  Without it as many, from 20 to 60, as can be
        played in about a tenth of a second.

    Returns
    -------
    ipywidgets.VBox
        The sliders, one line that says what is shown, the numbers and the picture.  While the gate
        is shut, a line that says that it is locked, and why.

    Raises
    ------
    Problem
        If ipywidgets is missing, or a range does not hold the service as it is.

    Notes
    -----
    Every move plays the same customers anew; nothing is interpolated.  Handling time and demand
    move in steps of 5 %.  Sliders obey the arrow keys, and all that the picture shows of the whole
    day stands in words and figures above it.
    """
    widgets = _widgets()
    need_share(confidence, name="confidence")
    if not gate.open:
        return widgets.VBox([widgets.HTML(_locked(gate))])
    spans = [
        _span(agents, 0, "agents"),
        _span(service_factors, 1, "service_factors"),
        _span(demand_factors, 1, "demand_factors"),
    ]
    defects, _ = _judged(ctqs)
    most = 1 + spans[2][1] / 100
    world = _World(service, gate, float(limit_s), defects, most=most, weeks=WEEKS_A_DRAW)
    draws = _draws_a_move(world) if draws is None else draws
    stage = world.stage(service.parameters(draws=draws, rng=rng), rng)
    return _Board(_Answers(stage, confidence), _levers(widgets, world, spans), widgets).box


def _locked(gate: Gate) -> str:
    first, *others = escape(f"The explorer is locked: {gate.sentence()}").split("\n")
    return f'<p role="status"><strong>{first}</strong><br>{"<br>".join(others)}</p>'


def _widgets() -> Any:
    try:
        import ipywidgets
    except ImportError as missing:
        raise Problem("ipywidgets is not installed.", "pip install ipywidgets.") from missing
    return ipywidgets


def _span(given: Sequence[float], as_is: int, name: str) -> tuple[int, int]:
    """Least and most of a slider: agents, or per cent more in steps of 5."""
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise Problem(f"{name} is {given!r}.", "give two numbers, the least and the most.")
    _grid(
        *[given if name == each else () for each in ("agents", "service_factors", "demand_factors")]
    )
    if not given[0] <= as_is <= given[1] or given[0] == given[1]:
        raise Problem(
            f"{name} goes from {given[0]} to {given[1]}.", f"let it hold {as_is}, as it is."
        )
    if name == "agents":
        return int(given[0]), int(given[1])
    low, high = ((factor - 1) * 100 / STEP for factor in given)
    return max(int(np.floor(low + 1e-9)) * STEP, STEP - 100), int(np.ceil(high - 1e-9)) * STEP


def _draws_a_move(world: _World) -> int:
    """As many draws as can be played in about a tenth of a second."""
    week = world.service.best().rate.sum() * world.most
    return int(np.clip(CUSTOMERS_A_MOVE / (week * world.weeks), FEWEST_DRAWS, MOST_DRAWS))


@dataclass(frozen=True, eq=False)
class _Answer:
    """What one move shows.

    ``numbers`` has one row a measure: ``measure``, and ``estimate, low, high`` as it is and
    ``then_*``; of quantities that are no chances also ``change``, ``change_low``, ``change_high``.
    ``hours`` is (2, 3, hours): mean, low and high of the wait by hour, as it is and then.
    """

    change: Change
    numbers: pd.DataFrame
    hours: np.ndarray


class _Answers:
    """What a change does to the waits of one stage; the service as it is is played once."""

    def __init__(self, stage: _Stage, confidence: float) -> None:
        self.stage, self.confidence = stage, confidence
        self._as_is = self._sums(AS_IS)

    def at(self, change: Change) -> _Answer:
        then = self._as_is if change == AS_IS else self._sums(change)
        (level, moved), (hourly, _) = (
            _levels(np.stack(pair), 0) for pair in zip(self._as_is, then, strict=True)
        )
        world, rows = self.stage.world, []
        for m, measure in enumerate(world.measures):
            now, later = (
                _summary(world, level[i, :, m], moved[i, :, m], m, self.confidence) for i in (0, 1)
            )
            rows.append(
                {"measure": measure, **{name: now[name] for name in ESTIMATE}}
                | {f"then_{name}": later[name] for name in ESTIMATE}
                | {name: later[name] for name in MOVED}
            )
        low, high = percentiles(hourly.swapaxes(0, 1), confidence=self.confidence)
        hours = np.stack([hourly.mean(axis=1), low, high], axis=1)
        return _Answer(change, pd.DataFrame(rows), hours)

    def _sums(self, change: Change) -> tuple[np.ndarray, np.ndarray]:
        played = self.stage.play(change)
        return self.stage.sums(played), self.stage.hourly(played)


def _levers(widgets: Any, world: _World, spans: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
    """The four sliders, and the button that puts them back."""
    first, last = world.service.grid.hours[0], world.service.grid.hours[-1] + 1
    shape = {
        "style": {"description_width": "190px"},
        "layout": widgets.Layout(width="520px"),
    }
    agents, handling, demand = (
        widgets.IntSlider(
            value=0,
            min=low,
            max=high,
            step=step,
            description=words,
            readout_format="+d",
            tooltip=words,
            **shape,
        )
        for (low, high), step, words in zip(
            spans,
            (1, STEP, STEP),
            ("Agents added at each site", "Handling time, % more", "Demand, % more"),
            strict=True,
        )
    )
    words = "… between the hours"
    hours = widgets.IntRangeSlider(
        value=(first, last), min=first, max=last, description=words, tooltip=words, **shape
    )
    back = widgets.Button(description="As it is", tooltip="Put every slider back")
    return agents, hours, handling, demand, back


class _Board:
    """Sliders, numbers and picture, held together: moving a slider redraws."""

    def __init__(self, answers: _Answers, levers: tuple[Any, ...], widgets: Any) -> None:
        self.answers, (*self.sliders, back) = answers, levers
        self.words, self.picture = widgets.HTML(), widgets.HTML()
        self.box = widgets.VBox([*self.sliders, back, self.words, self.picture])
        figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
        self._canvas, self._ax = FigureCanvasAgg(figure), figure.subplots()
        self._resting = False
        for slider in self.sliders:
            slider.observe(self.redraw, names="value")
        back.on_click(self.put_back)
        self.redraw()

    def redraw(self, _: Any = None) -> None:
        """Play what the sliders say, and show it."""
        if self._resting:
            return
        agents, hours, handling, demand = (slider.value for slider in self.sliders)
        whole = hours == (self.sliders[1].min, self.sliders[1].max) or agents == 0
        hours = AS_IS.hours if whole else tuple(hours)
        answer = self.answers.at(Change(agents, 1 + handling / 100, 1 + demand / 100, hours))
        self.words.value = _page(answer, self.answers)
        self.picture.value = IMAGE.format(
            self._drawn(answer), alt=escape(f"{TITLE} {_moved(answer)}")
        )

    def _drawn(self, answer: _Answer) -> str:
        """The picture as PNG, in letters; laid out once, which takes longer than to draw it."""
        self._ax.clear()
        _by_hour(self._ax, answer, self.answers)
        page = io.BytesIO()
        self._canvas.print_png(page, pil_kwargs={"compress_level": 1})  # savefig would draw twice
        self._canvas.figure.set_layout_engine("none")
        return b64encode(page.getvalue()).decode()

    def put_back(self, _: Any = None) -> None:
        """Move every slider to the service as it is, and redraw once."""
        self._resting = True
        agents, hours, handling, demand = self.sliders
        agents.value = handling.value = demand.value = 0
        hours.value = (hours.min, hours.max)
        self._resting = False
        self.redraw()


def _page(answer: _Answer, answers: _Answers) -> str:
    """The numbers as a table of HTML, and what they rest on."""
    world, draws = answers.stage.world, answers.stage.draws
    moved = answer.change != AS_IS
    head = ["", "as it is", "as moved", "difference"] if moved else ["", "as it is"]
    table = [_row_of_cells("th", head)]
    table += [
        _row_of_cells("td", _cells(world, row, moved)) for _, row in answer.numbers.iterrows()
    ]
    stays = " Where one agent was left, one stays on duty." if answer.change.agents < 0 else ""
    return (
        f'<div role="status" style="line-height: 1.5"><strong>{escape(_moved(answer))}</strong>'
        f"<table>{''.join(table)}</table>"
        f"<small>{answers.confidence * 100:.4g}% intervals from {draws} draws of what is not known"
        f" for certain, {world.weeks} weeks in each, the same customers at every move.{stays}"
        "</small></div>"
    )


def _row_of_cells(kind: str, cells: Sequence[str]) -> str:
    first, *others = map(escape, cells)
    return (
        f'<tr><th scope="row" style="{CELL}">{first}</th>'
        + "".join(f'<{kind} style="{CELL}">{each}</{kind}>' for each in others)
        + "</tr>"
    )


def _cells(world: _World, row: pd.Series, moved: bool) -> list[str]:
    """What stands in one line of the table: name, as it is and, if anything moved, the rest."""
    measure = row["measure"]
    if measure not in USUAL:
        then = row[list(THEN)].set_axis(ESTIMATE)
        cells = [f"chance of the target: {measure.removeprefix(CHANCE)}", _chance_limits(row)]
        return [*cells, _chance_limits(then), ""] if moved else cells
    name, unit = USUAL[measure]
    cells = [name.format(limit=world.limit_s), _figures(row[list(ESTIMATE)], unit)]
    if not moved:
        return cells
    return [*cells, _figures(row[list(THEN)], unit), _figures(row[list(MOVED)], unit, sign="+")]


def _figures(values: pd.Series, unit: str, *, sign: str = "") -> str:
    share = " points" if sign else " %"  # a difference of shares is no per cent of them
    shape, unit, times = (".0f", " s", 1) if unit == "s" else (".1f", share, 100)
    estimate, low, high = (format(value * times, sign + shape) for value in values)
    return f"{estimate}{unit} ({low} to {high})"


def _chance_limits(row: pd.Series) -> str:
    told = _chance(row)
    limits = f" ({row['low'] * 100:.0f} to {row['high'] * 100:.0f})"
    return told if told.startswith(("over", "under")) else told + limits


def _moved(answer: _Answer) -> str:
    """What the sliders say and the mean wait that follows, in one sentence."""
    change, row = answer.change, answer.numbers.iloc[0]
    told = []
    if change.agents:
        hours = (
            "" if change.hours == AS_IS.hours else " from {} to {} o'clock".format(*change.hours)
        )
        told.append(
            f"{change.agents:+d} agent{'s' * (abs(change.agents) != 1)} at each site{hours}"
        )
    if change.service_factor != 1:
        told.append(f"handling {_percent(change.service_factor)}")
    if change.demand_factor != 1:
        told.append(f"demand {_percent(change.demand_factor)}")
    words = ", ".join(told) or "As it is"
    return f"{words}: customers wait {row['then_estimate']:.0f} s on average."


def _by_hour(ax: Axes, answer: _Answer, answers: _Answers) -> Axes:
    """Draw the mean wait by hour of arrival, as it is and as moved."""
    hours = answers.stage.world.service.grid.hours
    moved = answer.numbers.iloc[0]
    then = "better" if moved["change_high"] < 0 else "worse" if moved["change_low"] > 0 else "usual"
    lines = list(zip(answer.hours, ("limit", then), ("as it is", "as moved"), strict=True))
    for (mean, low, high), what, name in lines if answer.change != AS_IS else lines[:1]:
        style = {"color": look.MEANING[what], "marker": look.MARKER[what], "ms": 5}
        ax.fill_between(hours, low, high, color=look.MEANING[what], alpha=0.25, lw=0)
        ax.plot(hours, mean, label=name, **style)
    ax.set_xticks(hours)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize="small")
    interval = f"{answers.confidence * 100:.4g}% interval"
    return look.label(ax, title=TITLE, x=f"hour in which they came ({interval})", y="mean wait, s")
