"""How many agents were on duty, and what if that is one wrong?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_share
from sqm.clock import Calendar
from sqm.finding import Finding, counted
from sqm.roster import WAYS, Roster, infer_staffing
from sqm.service_model import Service, learn, replayed

GIVEN = "staffing table"
FEWER, MORE = "one agent fewer", "one agent more"
MOST_DAYS = 60  # dates that are played again; more would only take longer


@dataclass(frozen=True, eq=False)
class AgentsOnDuty(Finding):
    """What each way of knowing the agents on duty makes of the waits.

    Attributes
    ----------
    table : DataFrame, one row per way and quantity
        ``way``, ``agents`` (on duty at a site, mean of its staffed hours), ``quantity``
        (``mean_wait_s`` or ``abandoned``), ``unit``, ``estimate, low, high`` (mean of the days
        played again, and where a replay of them falls), ``actual``, ``note``.
    base : str
        What one agent more or fewer was counted from.
    mean_wait_s, low, high : float
        Mean wait foretold by the base.
    fewer_mean_wait_s, more_mean_wait_s : float
        The same with one agent fewer, and one more, in every staffed hour of every site.
    inferred_low, inferred_high : float
        Least and most mean wait foretold by agents guessed from the log.
    actual_mean_wait_s : float
    given : bool
        Whether there was a staffing table.
    confidence : float
    contacts, days, draws : int
        Contacts and days that were played again, and how often.
    """

    base: str
    mean_wait_s: float
    low: float
    high: float
    fewer_mean_wait_s: float
    more_mean_wait_s: float
    inferred_low: float
    inferred_high: float
    actual_mean_wait_s: float
    given: bool
    confidence: float
    contacts: int
    days: int
    draws: int

    def sentence(self) -> str:
        """Say what the guesses make of the waits, and what one agent does."""
        base = "The staffing table" if self.given else f"The nearest guess ({self.base})"
        return (
            f"{base} foretells a mean wait of {self.mean_wait_s:.0f} s ({self.confidence:.0%} of"
            f" replays {self.low:.0f} to {self.high:.0f}) where {self.actual_mean_wait_s:.0f} s"
            f" came; one agent fewer everywhere {_seconds(self.fewer_mean_wait_s)}, one more"
            f" {_seconds(self.more_mean_wait_s)}.\n{self._guesses()} {self._trust()} Each way was"
            f" played on {counted(self.days, 'day')} ({counted(self.contacts, 'contact')})"
            f" {counted(self.draws, 'time')}. One fewer leaves at least one agent in a staffed"
            " hour."
        )

    def _guesses(self) -> str:
        failed = self.table[self.table["note"].ne("")]["way"].unique()
        left_out = f" Not possible here: {', '.join(failed)}." if len(failed) else ""
        if np.isnan(self.inferred_low):
            return f"The log does not let agents on duty be guessed.{left_out}"
        return (
            "Agents on duty guessed from the contacts they handled foretell"
            f" {self.inferred_low:.0f} to {self.inferred_high:.0f} s, by the way of guessing"
            f" alone.{left_out}"
        )

    def _trust(self) -> str:
        if not self.given:
            return (
                "The nearest guess was chosen by the waits that it should explain, so its nearness"
                " proves nothing: ask for the staffing, or trust only what the gate confirms."
            )
        if self.low <= self.actual_mean_wait_s <= self.high:
            return "The staffing table agrees with the waits that came."
        return (
            "The staffing table does not explain the waits that came: see whether it counts agents"
            " on breaks, at other work or absent, before any what-if is believed."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean wait that each way foretells, and what came."""
        ax = look.axes(ax)
        waits = self.table[self.table["quantity"].eq("mean_wait_s")].dropna(subset=["estimate"])
        meaning = ["usual" if way == self.base else "other" for way in waits["way"]]
        names = [f"{way} ({n:.1f})" for way, n in zip(waits["way"], waits["agents"], strict=True)]
        look.dots(ax, waits, names=names, meaning=meaning)
        ax.axvline(self.actual_mean_wait_s, color=look.MEANING["limit"], lw=1.4, ls="--")
        return look.label(
            ax,
            title="What if the number of agents on duty were wrong?",
            x="mean wait (s); dashed: as it was; in brackets: agents at a site",
        )


def _seconds(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.0f} s"


def agents_on_duty(
    operations: pd.DataFrame,
    *,
    calendar: Calendar,
    staffing: pd.DataFrame | None = None,
    until: pd.Timestamp | None = None,
    draws: int = 40,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> AgentsOnDuty:
    """Play the log's own days with agents on duty as given, as guessed, and one more or fewer.

    Parameters
    ----------
    operations : DataFrame, one row per contact
        As for `learn`; ``agent`` if the log names who handled a contact.
    calendar : Calendar
    staffing : DataFrame, optional
        As for `learn`; without it the guess whose mean wait is nearest stands in.
    until : Timestamp, optional
        Look at contacts that arrived before this moment.
    draws : int, default 40
        Times each way is played.
    confidence : float, default 0.95
        Share of replays between ``low`` and ``high``.
    rng : Generator

    Returns
    -------
    AgentsOnDuty

    Raises
    ------
    Problem
        If the staffing table makes no sense, see `learn`.
    Refusal
        If the log cannot bear a queue, see `learn`, or tells nothing of agents and no staffing is
        given.

    Notes
    -----
    Everything else of the queue is learnt anew for each way; all meet customers drawn with the
    same chance.  At most 60 dates, evenly spread, are played.  Limits: mean and Student's
    quantile of the logarithm of the waits (log odds of the shares) over the draws; they hold the
    uncertainty of what was learnt and the chance of the days.
    """
    need_share(confidence, name="confidence")
    seed = int(rng.integers(2**63))
    known, failed = _services(operations, staffing, calendar=calendar, until=until)
    if not known:
        raise Refusal(
            "Nothing tells who was on duty: there is no staffing table, and the log does not let"
            f" it be guessed ({next(iter(failed.values()))}).",
            "give the role `staffing`, or the column `agent` of the contacts.",
        )
    played = {
        way: _played(service, service.roster, draws, confidence, seed)
        for way, service in known.items()
    }
    base = GIVEN if GIVEN in known else _nearest(played)
    for way, step in ((FEWER, -1), (MORE, 1)):
        service = known[base]
        roster = _with_step(service.roster, step)
        played[way] = _played(service, roster, draws, confidence, seed)
    table = pd.DataFrame([row for way, rows in played.items() for row in _named(way, rows)])
    table = pd.concat([table, pd.DataFrame(_missing(failed))], ignore_index=True)
    return _told(table, base, known[base], GIVEN in known, draws, confidence)


def _services(operations, staffing, *, calendar, until) -> tuple[dict[str, Service], dict]:
    """The queue under each way of knowing the agents on duty; what failed, and why."""
    known, failed = {}, {}
    if staffing is not None:
        known[GIVEN] = learn(operations, staffing=staffing, calendar=calendar, until=until)
    for way in WAYS:
        try:
            guessed = infer_staffing(operations, calendar=calendar, way=way)
            known[way] = learn(operations, staffing=guessed, calendar=calendar, until=until)
        except Problem as problem:
            failed[way] = problem.what
    return known, failed


def _with_step(roster: Roster, step: int) -> Roster:
    """One agent more or fewer in each staffed hour, of which one agent at least is left."""
    on = roster.agents > 0
    return replace(roster, agents=np.where(on, np.maximum(roster.agents + step, 1), 0))


def _played(service: Service, roster: Roster, draws: int, confidence: float, seed) -> list[dict]:
    """Mean wait and share who hung up, of days played again, beside what came."""
    days = _some_days(service)
    some = Roster(roster.agents[days], roster.date[days], roster.weekday[days])
    rng = np.random.default_rng(seed)
    parameters = service.parameters(draws=draws, rng=rng)
    contacts, wait, left, _ = replayed(service, parameters, some, rng=rng).sum(axis=1).T
    came = service.arrivals.seen[days].sum()
    actual = service.outcome[days].sum(axis=0) / max(came, 1)
    staffed = some.agents[some.agents > 0]
    common = {"agents": float(staffed.mean()), "note": ""}
    return [
        {"quantity": "mean_wait_s", "unit": "s", **common, "actual": float(actual[0])}
        | _limits(np.log(np.maximum(wait / contacts, 1e-6)), np.exp, confidence),
        {"quantity": "abandoned", "unit": "share", **common, "actual": float(actual[1])}
        | _limits(_log_odds(left / contacts), lambda x: 1 / (1 + np.exp(-x)), confidence),
    ]


def _some_days(service: Service) -> np.ndarray:
    """Places of the dates that are played, evenly spread."""
    last = len(service.roster.date) - 1
    return np.unique(np.linspace(0, last, MOST_DAYS).round().astype(int))


def _log_odds(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))


def _limits(values: np.ndarray, back, confidence: float) -> dict[str, float]:
    n = len(values)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / n)
    middle, low, high = (float(back(values.mean() + each)) for each in (0, -half, half))
    return {"estimate": middle, "low": low, "high": high}


def _nearest(played: dict[str, list[dict]]) -> str:
    """The way whose mean wait is nearest to what came."""
    return min(played, key=lambda way: abs(np.log(played[way][0]["estimate"] + 1)
                                           - np.log(played[way][0]["actual"] + 1)))  # fmt: skip


def _named(way: str, rows: list[dict]) -> Iterator[dict]:
    order = ("agents", "quantity", "unit", "estimate", "low", "high", "actual", "note")
    for row in rows:
        yield {"way": way} | {name: row[name] for name in order}


def _missing(failed: dict[str, str]) -> list[dict]:
    return [
        {"way": way, "agents": np.nan, "quantity": name, "unit": unit}
        | dict.fromkeys(("estimate", "low", "high", "actual"), np.nan)
        | {"note": why}
        for way, why in failed.items()
        for name, unit in (("mean_wait_s", "s"), ("abandoned", "share"))
    ]


def _told(table, base: str, service: Service, given: bool, draws: int, confidence: float):
    waits = table[table["quantity"].eq("mean_wait_s")].set_index("way")
    guessed = waits.loc[waits.index.isin(list(WAYS)), "estimate"].dropna()
    days = _some_days(service)
    return AgentsOnDuty(
        table=table,
        base=base,
        mean_wait_s=float(waits.loc[base, "estimate"]),
        low=float(waits.loc[base, "low"]),
        high=float(waits.loc[base, "high"]),
        fewer_mean_wait_s=float(waits.loc[FEWER, "estimate"]),
        more_mean_wait_s=float(waits.loc[MORE, "estimate"]),
        inferred_low=float(guessed.min()) if len(guessed) else np.nan,
        inferred_high=float(guessed.max()) if len(guessed) else np.nan,
        actual_mean_wait_s=float(waits.loc[base, "actual"]),
        given=given,
        confidence=confidence,
        contacts=int(service.arrivals.seen[days].sum()),
        days=len(days),
        draws=draws,
    )
