"""What would queueing theory say of this service?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, need_share
from sqm.clock import DAYS
from sqm.finding import Finding
from sqm.interval import spell
from sqm.queue_engine import HOUR_S
from sqm.queue_formulas import (
    erlang_a,
    erlang_c,
    kingman,
    offered_load,
    waiting_longer,
)
from sqm.service_model import Customers, Parameters, Service

BY_HOUR, LAGGED = "by the hour", "lagged load"
ERLANG_C, ALLEN_CUNNEEN = "Erlang C by the hour", "Allen-Cunneen by the hour (approximation)"
QUARTERS = (np.arange(4) + 0.5) / 4
SERVICE_POINTS = 500  # quantiles of the service times of a site
FEWEST_WEEKS = 20
CUSTOMERS_AT_ONCE = 500_000
QUANTITIES = ("mean_wait_s", "abandoned", "waited_longer")
NEAR = 0.1  # relative difference that a sentence calls agreement


@dataclass(frozen=True, eq=False)
class FormulaTwin(Finding):
    """A steady queue's formulas beside a simulation of the same service.

    Attributes
    ----------
    table : DataFrame, one row per quantity, group and formula
        ``quantity`` (mean_wait_s, abandoned, waited_longer), ``kind`` (all, site, hour of the
        week) and ``group``, ``formula``, ``predicted`` by the formula, ``estimate, low,
        high`` by the simulation, ``ratio`` (predicted over estimate), ``load`` and ``agents`` (of a
        site and hour, means over the customers), ``note``.
    predicted : float
        Mean wait of all customers by the formula taken hour by hour, in seconds.
    lagged : float
        The same by the lagged offered load.
    estimate, low, high : float
        Mean wait by the simulation.
    alike, exponential : float
        Mean wait by the simulation if all days were alike, and if besides service and patience
        were exponential, as the formula has it.
    formula : str
        ``Erlang A``, or ``Erlang C`` where nobody ever left.
    limit_s, patience_s, service_cv, day_variation : float
        Wait that counts as long; mean patience of the formula (infinite: NaN); coefficients of
        variation of service times (of a site, averaged) and of a site's day beyond Poisson.
    overloaded, unstaffed : float
        Share of customers who come in hours whose load reaches the agents, and in hours with
        nobody on duty.
    confidence : float
    weeks : int
        Simulated weeks.
    span : str
    """

    predicted: float
    lagged: float
    estimate: float
    low: float
    high: float
    alike: float
    exponential: float
    formula: str
    limit_s: float
    patience_s: float
    service_cv: float
    day_variation: float
    overloaded: float
    unstaffed: float
    confidence: float
    weeks: int
    span: str

    def sentence(self) -> str:
        """Say what the formula foretells, what the simulation finds, and why they part."""
        found = spell(
            self.estimate, self.low, self.high, confidence=self.confidence, digits=1, unit="s"
        )
        if np.isnan(self.predicted):
            first = (
                f"No formula holds for the whole week; the simulation finds a mean wait of {found}."
            )
        else:
            first = (
                f"{self.formula}, hour by hour, foretells a mean wait of {self.predicted:.1f} s"
                f" where the simulation of the same service finds {found}: {self._verdict()}."
            )
        rest = [self._why(), self._lag_words(), self._overload_words(), self._basis()]
        return f"{first}\n{' '.join(each for each in rest if each)}"

    def _verdict(self) -> str:
        if not self.estimate > 0:
            return "nobody waits"
        off = self.predicted / self.estimate - 1
        if self.low <= self.predicted <= self.high:
            return "they agree within chance"
        if abs(off) <= NEAR:
            return f"they agree within {NEAR:.0%}"
        return f"the formula comes out {abs(off):.0%} {'higher' if off > 0 else 'lower'}"

    def _why(self) -> str:
        """The difference, taken apart by simulating what the formula assumes, step by step."""
        if np.isnan(self.predicted):
            return ""
        return (
            f"Of the simulated {self.estimate:.1f} s, {self.estimate - self.alike:+.1f} s come from"
            f" days that differ (a site's day varies by {self.day_variation:.0%} beyond chance),"
            f" {self.alike - self.exponential:+.1f} s from service and patience that are not"
            f" exponential (service times have a coefficient of variation of {self.service_cv:.2f},"
            f" an exponential one 1), and {self.exponential - self.predicted:+.1f} s from a queue"
            " that is never steady: it begins each day empty and its load changes by the hour."
            f" Each part rests on simulations, give or take about {self._noise():.1f} s."
        )

    def _noise(self) -> float:
        """Half the width of the interval of a difference of two such simulations."""
        return (self.high - self.low) / 2 * np.sqrt(2)

    def _lag_words(self) -> str:
        if np.isnan(self.lagged):
            return ""
        return (
            "With the load that lags behind the arrivals, as customers stay on, the formula gives"
            f" {self.lagged:.1f} s."
        )

    def _overload_words(self) -> str:
        words = ""
        if self.overloaded > 0:
            words = (
                f"{self.overloaded:.0%} of customers come in hours of the week whose load reaches"
                " the agents on duty: Erlang C and Allen-Cunneen, which let nobody leave, are"
                " refused for whatever holds such an hour."
            )
        if self.unstaffed > 0:
            words += (
                f" The {self.unstaffed:.1%} who come when nobody is on duty are left out of every"
                " formula."
            )
        return words.strip()

    def _basis(self) -> str:
        patience = (
            "nobody ever left"
            if np.isnan(self.patience_s)
            else f"a mean patience of {self.patience_s / 60:.1f} minutes (all seconds waited over"
            " those who left)"
        )
        return (
            f"Arrivals, service times and staff were learnt from {self.span}, with {patience};"
            f" {self.weeks} weeks of the best estimates were simulated, and the interval is about"
            " chance in these weeks, not about what the log leaves unknown. Waits are those of all"
            " customers, of those who left too."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean wait by hour of the week: simulated, by the hour, and lagged."""
        ax = look.axes(ax)
        hours = self.table[self.table["kind"].eq("hour of the week")]
        names = list(dict.fromkeys(hours["group"]))
        place = np.arange(len(names))
        seen = hours.drop_duplicates("group")
        ax.vlines(place, seen["low"], seen["high"], color=look.MEANING["usual"], lw=1.6)
        ax.plot(
            place, seen["estimate"], look.MARKER["usual"], ms=4, color=look.MEANING["usual"],
            label="simulated, with interval",
        )  # fmt: skip
        for way, style, what in ((BY_HOUR, "-", "worse"), (LAGGED, "--", "other")):
            name = f"{self.formula} {way}"
            line = hours[hours["formula"].eq(name)].set_index("group")["predicted"]
            ax.plot(place, line.reindex(names), style, color=look.MEANING[what], label=name)
        first = [i for i, name in enumerate(names) if i == 0 or name[:3] != names[i - 1][:3]]
        ax.set_xticks(first, [names[i] for i in first])
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
        return look.label(
            ax,
            title="Where do formula and simulation part?",
            x="hour of the week, all sites (open hours only)",
            y="mean wait (s)",
        )


def formula_twin(
    service: Service,
    *,
    limit_s: float = 300.0,
    weeks: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> FormulaTwin:
    """Set the formulas for a steady queue beside a simulation with the same parameters.

    Parameters
    ----------
    service : Service
        What `learn` returned.
    limit_s : float, default 300
        A wait longer than this is counted, in seconds.
    weeks : int, default 200
        Weeks simulated; each is one replication.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    FormulaTwin

    Raises
    ------
    Problem
        If there are too few weeks, or the limit is not above zero.

    Notes
    -----
    Formula: every hour of the week of every site is taken for a steady queue of its own and
    weighted by its customers (the stationary, independent, period-by-period approximation [1]_),
    with the rate of the hour, or with the rate that would hold the lagged load of a queue with
    no wait (the modified offered load [2]_).  Service has the site's mean.  Patience is
    exponential with the rate leavers / seconds waited.  Simulation: the same best parameters
    with service times, patience and days as the log has them; intervals are Student's for the
    ratio of two weekly sums.

    References
    ----------
    .. [1] Green, L. V., Kolesar, P. J., Soares, J. (2001). Improving the SIPP approach for
       staffing service systems that have cyclic demands. Operations Research 49, 549-564.
       doi:10.1287/opre.49.4.549.11228
    .. [2] Jennings, O. B., Mandelbaum, A., Massey, W. A., Whitt, W. (1996). Server staffing to
       meet time-varying demand. Management Science 42, 1383-1394. doi:10.1287/mnsc.42.10.1383
    """
    need_share(confidence, name="confidence")
    _need_settings(limit_s, weeks)
    best, leave_rate = service.best(), _leave_rate(service)
    cells = _judged(_cells(service, best), leave_rate, limit_s)
    played = _played(service, best, weeks=weeks, limit_s=limit_s, rng=rng)
    table = _beside(cells, _simulated(played, confidence), service)
    main = "Erlang A" if leave_rate > 0 else "Erlang C"
    whole = table[table["group"].eq("all") & table["quantity"].eq("mean_wait_s")]
    whole = whole.set_index("formula")
    alike, exponential = _as_the_formula_has_it(service, best, leave_rate, weeks, rng)
    return FormulaTwin(
        table=table,
        predicted=float(whole.loc[f"{main} {BY_HOUR}", "predicted"]),
        lagged=float(whole.loc[f"{main} {LAGGED}", "predicted"]),
        estimate=float(whole["estimate"].iloc[0]),
        low=float(whole["low"].iloc[0]),
        high=float(whole["high"].iloc[0]),
        alike=alike,
        exponential=exponential,
        formula=main,
        limit_s=float(limit_s),
        patience_s=1 / leave_rate if leave_rate > 0 else np.nan,
        service_cv=float(np.sqrt(np.average(cells["scv"], weights=cells["customers"]))),
        day_variation=float(np.sqrt(sum(service.arrivals.spread))),
        overloaded=_share(cells, cells["load"] >= cells["agents"].where(cells["agents"] > 0)),
        unstaffed=_share(cells, cells["agents"].eq(0)),
        confidence=confidence,
        weeks=weeks,
        span=service.span,
    )


def _share(cells: pd.DataFrame, which: pd.Series) -> float:
    return float(cells.loc[which, "customers"].sum() / cells["customers"].sum())


def _need_settings(limit_s: float, weeks: int) -> None:
    if not limit_s > 0:
        raise Problem(f"limit_s is {limit_s}.", "give the wait that is too long, in seconds.")
    if weeks < FEWEST_WEEKS:
        raise Problem(
            f"weeks is {weeks}, too few for an interval.", f"simulate {FEWEST_WEEKS} or more."
        )


# --- The formulas ---------------------------------------------------------------------------------


def _leave_rate(service: Service) -> float:
    """Customers who left per second waited by anybody; 0 if nobody did."""
    waited_s, left = service.outcome.sum(axis=0)
    return float(left / waited_s) if left > 0 and waited_s > 0 else 0.0


def _cells(service: Service, best: Parameters) -> pd.DataFrame:
    """Each site, weekday, hour and number of agents: customers a week, rates and loads."""
    roster = service.roster
    day, site, hour = np.nonzero(
        np.broadcast_to(roster.agents.any(axis=2)[:, :, None], roster.agents.shape)
    )
    cells = pd.DataFrame(
        {"s": site, "d": roster.weekday[day], "h": hour, "agents": roster.agents[day, site, hour]}
    )
    cells = cells.groupby(["s", "d", "h", "agents"]).size().rename("dates").reset_index()
    of_weekday = np.bincount(roster.weekday, minlength=len(service.grid.weekdays))
    place = tuple(cells[["s", "d", "h"]].to_numpy().T)
    rate = best.rate[0][place] / HOUR_S
    mean, scv, lagged = _of_sites(service, best)
    cells = cells.assign(
        rate=rate,
        lagged_rate=lagged[place],
        customers=rate * HOUR_S * cells["dates"] / of_weekday[cells["d"]],
        service_s=mean[cells["s"]],
        scv=scv[cells["s"]],
    )
    cells["load"] = cells["rate"] * cells["service_s"]
    return cells[cells["rate"] > 0].reset_index(drop=True)


def _of_sites(service: Service, best: Parameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and squared variation of a site's service, and its rate by the lagged load."""
    grid = service.grid
    times = ((np.arange(len(grid.hours))[:, None] + QUARTERS) * HOUR_S).ravel()
    mean, scv = np.ones(len(grid.sites)), np.ones(len(grid.sites))
    lagged = np.zeros(best.rate.shape[1:])
    for s, talk in enumerate(_talks(service)):
        mean[s] = talk.mean()
        scv[s] = (talk**2).mean() / mean[s] ** 2 * np.exp(service.pool.pace) - 1
        points = np.quantile(talk, (np.arange(SERVICE_POINTS) + 0.5) / SERVICE_POINTS)
        for d in range(len(grid.weekdays)):
            load = offered_load(
                best.rate[0, s, d] / HOUR_S, step=HOUR_S, service=points, times=times
            )
            lagged[s, d] = load.reshape(-1, len(QUARTERS)).mean(axis=1) / points.mean()
    return mean, scv, lagged


def _judged(cells: pd.DataFrame, leave_rate: float, limit_s: float) -> pd.DataFrame:
    """What each formula says of each cell, a column per formula and quantity."""
    said = {}
    main = "Erlang A" if leave_rate > 0 else "Erlang C"
    for way, column in ((BY_HOUR, "rate"), (LAGGED, "lagged_rate")):
        rows = zip(cells[column], 1 / cells["service_s"], cells["agents"], strict=True)
        found = np.array([_one(*row, leave_rate, limit_s) for row in rows]).T
        for quantity, values in zip(QUANTITIES, found, strict=True):
            said[f"{main} {way}", quantity] = values
    rows = list(zip(cells["rate"], cells["service_s"], cells["agents"], cells["scv"], strict=True))
    if leave_rate > 0:
        found = np.array([_one(r, 1 / mean, c, 0.0, limit_s) for r, mean, c, _ in rows]).T
        said[ERLANG_C, "mean_wait_s"], said[ERLANG_C, "waited_longer"] = found[0], found[2]
    said[ALLEN_CUNNEEN, "mean_wait_s"] = np.array([_approximate(*row) for row in rows])
    return pd.concat([cells, pd.DataFrame(said, index=cells.index)], axis=1)


def _one(rate, service_rate, agents, leave_rate, limit_s) -> tuple[float, float, float]:
    """Mean wait, share who leave, share who wait longer; NaN where there is no long run."""
    agents = int(agents)
    if agents == 0 or (leave_rate == 0 and rate / service_rate >= agents):
        return np.nan, np.nan, np.nan
    if leave_rate > 0:
        queue = erlang_a(rate, service_rate, agents, abandon_rate=leave_rate)
    else:
        queue = erlang_c(rate, service_rate, agents)
    longer = waiting_longer(rate, service_rate, agents, than=limit_s, abandon_rate=leave_rate)
    return queue.mean_wait, queue.p_abandon, longer


def _approximate(rate, mean, agents, scv) -> float:
    if agents == 0 or rate * mean >= agents:
        return np.nan
    return kingman(rate, mean, arrival_scv=1.0, service_scv=scv, agents=int(agents))


# --- The simulation -------------------------------------------------------------------------------


def _played(
    service: Service,
    best: Parameters,
    *,
    weeks: int,
    limit_s: float,
    rng: np.random.Generator,
    leave_rate: float | None = None,
) -> pd.DataFrame:
    """Customers, their waits and ends added up by week, site, weekday and hour.

    With a ``leave_rate``, service and patience are exponential.
    """
    step = max(int(CUSTOMERS_AT_ONCE / best.rate[0].sum()), 1)  # weeks that fit in memory
    own = rng.spawn(1)[0]  # so that the customers themselves are the same with and without
    parts = []
    for first in range(0, weeks, step):
        customers = service.typical_weeks(best, weeks=min(step, weeks - first), rng=rng)
        if leave_rate is not None:
            customers = _exponential(service, customers, leave_rate, own)
        part = _sums(service, customers, limit_s)
        parts.append(part.assign(week=part["week"] + first))
    return pd.concat(parts, ignore_index=True)


def _exponential(service, customers, leave_rate, rng) -> Customers:
    shape = customers.arrival_s.shape
    mean = np.array([each.mean() for each in _talks(service)])[customers.site][:, None]
    patience = np.full(shape, np.inf)
    if leave_rate > 0:
        patience = rng.standard_exponential(shape) / leave_rate
    service_s = mean * rng.standard_exponential(shape)
    return replace(customers, service_s=service_s, patience_s=patience)


def _talks(service: Service) -> list[np.ndarray]:
    """Service times of each site."""
    pool = service.pool
    return [
        pool.service_s[first : first + number.sum()]
        for first, number in zip(pool.start[:, 0], pool.size, strict=True)
    ]


def _sums(service: Service, customers: Customers, limit_s: float) -> pd.DataFrame:
    done = service.serve(
        customers, agents=customers.agents, service_factor=np.ones(len(customers.site))
    )
    lane, place = np.nonzero(np.isfinite(customers.arrival_s))
    wait = done.wait_s[lane, place]
    hour = (customers.arrival_s[lane, place] // HOUR_S).astype(int)
    sites, weekdays = len(service.grid.sites), len(service.grid.weekdays)
    key = (customers.unit[lane], customers.site[lane], lane // sites % weekdays, hour)
    shape = (int(customers.unit.max()) + 1, sites, weekdays, len(service.grid.hours))
    at, size = np.ravel_multi_index(key, shape), int(np.prod(shape))
    sums = {
        "customers": None,
        "mean_wait_s": wait,
        "abandoned": ~done.served[lane, place],
        "waited_longer": wait > limit_s,
    }
    table = pd.DataFrame(
        {name: np.bincount(at, weights=values, minlength=size) for name, values in sums.items()}
    )
    table[["week", "s", "d", "h"]] = np.array(np.unravel_index(np.arange(size), shape)).T
    return table


def _simulated(played: pd.DataFrame, confidence: float) -> dict[str, pd.DataFrame]:
    """Estimates with interval: of all, by site, and by hour of the week."""
    return {
        "all": _estimates(played.assign(all=0), ["all"], confidence),
        "site": _estimates(played, ["s"], confidence),
        "hour": _estimates(played, ["d", "h"], confidence),
    }


def _estimates(played: pd.DataFrame, by: list[str], confidence: float) -> pd.DataFrame:
    """Quantities per customer of each group, with Student's interval of a ratio over weeks."""
    sums = played.groupby([*by, "week"])[["customers", *QUANTITIES]].sum()
    shape = (-1, played["week"].nunique())
    customers = sums["customers"].to_numpy().reshape(shape)
    found = pd.DataFrame(index=sums.index.droplevel("week").unique())
    for quantity in QUANTITIES:
        limits = ratio_limits(sums[quantity].to_numpy().reshape(shape), customers, confidence)
        for name, values in zip(("estimate", "low", "high"), limits, strict=True):
            found[quantity, name] = values
    return found.reset_index()


def ratio_limits(
    parts: np.ndarray, wholes: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratio of two sums over replications, with Student's interval, none below 0.

    Parameters
    ----------
    parts, wholes : ndarray, shape (groups, replications)
        0 or more; the ratio is NaN where all the wholes are 0.
    confidence : float

    Returns
    -------
    estimate, low, high : ndarray, shape (groups,)

    Examples
    --------
    Six in four; residuals of 2 - 1.5 x 1, 1 - 1.5 x 1 and so on are 0.5, -0.5, 0.5, -0.5.

    >>> found = ratio_limits(np.array([[2.0, 1, 2, 1]]), np.ones((1, 4)), 0.95)
    >>> [round(float(each[0]), 3) for each in found]  # 1.5 -+ 3.182 x 0.577 / 2
    [1.5, 0.581, 2.419]
    """
    n = parts.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = parts.sum(axis=1) / wholes.sum(axis=1)
        residual = parts - estimate[:, None] * wholes
        error = residual.std(axis=1, ddof=1) / np.sqrt(n) / wholes.mean(axis=1)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error
    return estimate, np.maximum(estimate - half, 0.0), estimate + half


def _as_the_formula_has_it(service, best, leave_rate, weeks, rng) -> list[float]:
    """Mean wait with days alike, and with exponential service and patience besides."""
    alike = replace(
        service,
        arrivals=replace(service.arrivals, spread=(0.0, 0.0, 0.0)),
        pool=replace(service.pool, pace=0.0),
    )
    seed, means = int(rng.integers(2**63)), []
    for rate in (None, leave_rate):  # the same customers both times
        settings = {"weeks": weeks, "limit_s": np.inf, "leave_rate": rate}
        sums = _played(alike, best, rng=np.random.default_rng(seed), **settings).sum()
        means.append(float(sums["mean_wait_s"] / sums["customers"]))
    return means


# --- Both beside each other -----------------------------------------------------------------------


def _beside(cells, simulated, service: Service) -> pd.DataFrame:
    """The finding's table: all, each site, each hour of the week."""
    grid = service.grid
    weekday = [DAYS[each] for each in grid.weekdays]
    rows = _rows("all", "all", cells, simulated["all"].iloc[0], QUANTITIES)
    for _, found in simulated["site"].iterrows():
        s = int(found.iloc[0])
        rows += _rows("site", grid.sites[s], cells[cells["s"].eq(s)], found, QUANTITIES)
    for _, found in simulated["hour"].iterrows():
        d, h = int(found.iloc[0]), int(found.iloc[1])
        here = cells[cells["d"].eq(d) & cells["h"].eq(h)]
        if len(here):
            name = f"{weekday[d]} {grid.hours[h]:02d}:00"
            rows += _rows("hour of the week", name, here, found, ("mean_wait_s",))
    return pd.DataFrame(rows)


def _rows(kind: str, group: str, cells: pd.DataFrame, found: pd.Series, quantities) -> list[dict]:
    """One row per formula and quantity of one group."""
    formulas = [each for each in cells.columns if isinstance(each, tuple)]
    weight = cells["customers"].to_numpy()
    rows = []
    for formula, quantity in formulas:
        if quantity not in quantities:
            continue
        predicted, note = _mean_over(cells, formula, quantity)
        estimate, low, high = (float(found[quantity, name]) for name in ("estimate", "low", "high"))
        rows.append(
            {
                "quantity": quantity,
                "kind": kind,
                "group": group,
                "formula": formula,
                "predicted": predicted,
                "estimate": estimate,
                "low": low,
                "high": high,
                "ratio": predicted / estimate if estimate > 0 else np.nan,
                "load": float(np.average(cells["load"], weights=weight)),
                "agents": float(np.average(cells["agents"], weights=weight)),
                "note": note,
            }
        )
    return rows


def _mean_over(cells: pd.DataFrame, formula: str, quantity: str) -> tuple[float, str]:
    """Mean over the customers of staffed hours; none where one of them has no long run."""
    staffed = cells[cells["agents"] > 0]
    values = staffed[formula, quantity].to_numpy()
    if np.isnan(values).any():
        lost = _share(staffed, pd.Series(np.isnan(values), index=staffed.index))
        return np.nan, (
            f"refused: where {lost:.0%} of the customers come, the load reaches the agents and the"
            " formula lets nobody leave"
        )
    if not len(staffed):
        return np.nan, "nobody is on duty"
    left_out = 1 - staffed["customers"].sum() / cells["customers"].sum()
    note = f"without the {left_out:.1%} who come when nobody is on duty" if left_out > 0 else ""
    return float(np.average(values, weights=staffed["customers"])), note
