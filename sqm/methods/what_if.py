"""What would each improvement do, to waits, complaints and money?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, need_share
from sqm.finding import Finding
from sqm.rehearsal import PRESENT, Rehearsal, widened_by
from sqm.scenario import in_words, labels

WORDS = {
    "mean_wait_s": ("mean wait", "s"),
    "abandoned": ("share who hang up", "share"),
    "resolved": ("resolved at first contact", "share of served"),
    "complaint_rate": ("complaints per contact", "share"),
    "contacts_per_year": ("contacts a year", "contacts"),
    "abandoned_per_year": ("contacts lost a year", "contacts"),
    "unresolved_per_year": ("unresolved contacts a year", "contacts"),
    "complaints_per_year": ("complaints a year", "complaints"),
    "agent_hours_per_year": ("agents' hours a year", "hours"),
    "satisfied": ("satisfied", "share of served"),
    "nps": ("net promoter score", "points"),
    "cost_per_year": ("cost of complaints a year", "money"),
    "revenue_per_year": ("revenue a year", "money"),
    "net_saving_per_year": ("net saving a year", "money"),
}
MORE_IS_BETTER = ("resolved", "satisfied", "nps", "revenue_per_year", "net_saving_per_year")
NEITHER = ("contacts_per_year", "agent_hours_per_year")


@dataclass(frozen=True, eq=False)
class WhatIf(Finding):
    """What each scenario would change, with its interval.

    Attributes
    ----------
    table : DataFrame, one row per scenario, measure and kind
        ``scenario``, ``measure``, ``unit``, ``kind`` (``level``, or ``change`` against the service
        as it is), ``estimate, low, high``, ``chance_better`` (of a change, 0 to 1),
        ``variance_saved`` (of a change: how many times larger the simulation's own variance would
        be on customers of each scenario's own; NaN where nothing changes, or of money).
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
    variance_saved_least, variance_saved_most : float
        Of the change in complaints, over the scenarios.
    combinations : int
        Scenarios that are combinations of others.
    most_words, best_words : str
        The scenario that does most about complaints, and ``best``, as a sentence names them.
    labels : tuple of str
        Short names of the scenarios, the service as it is left out, for the picture.
    sites : int
    realised : tuple of three float
        Share of each change that is taken to come: least, likeliest and most.
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
    variance_saved_least: float
    variance_saved_most: float
    combinations: int
    sites: int
    realised: tuple[float, float, float]
    most_words: str
    best_words: str
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say which scenario does most about complaints, which saves most, and what each does."""
        rows = self._complaints()
        level = f"{self.confidence * 100:.4g}% interval"
        low, high = f"{self.complaints_low:,.0f}", f"{self.complaints_high:,.0f}"
        most = rows.loc[rows["estimate"].idxmin()]
        does = "" if len(rows) == 1 else " does most"
        return (
            f"Against {self.complaints_as_is:,.0f} complaints a year{self._where()} as it is,"
            f" {self.most_words}{does}: {_moved(most, level)}. {self._money()}\n"
            f"Complaints a year as it is: {low} to {high}. {self._each(rows)}Each of"
            f" {self.draws:,} draws of what is not known for certain plays {self.weeks} weeks, the"
            f" same customers in every scenario{self._saved()}; a year is"
            f" {self.open_days_per_year:.0f} open days like those learnt from. {self._limits()}"
        )

    def _where(self) -> str:
        return f" at {self.sites} sites" if self.sites > 1 else ""

    def _complaints(self) -> pd.DataFrame:
        """Change of complaints a year, one row per scenario."""
        table = self.table
        return table[table["measure"].eq("complaints_per_year") & table["kind"].eq("change")]

    def _saved(self) -> str:
        """How much the common customers spare."""
        if np.isnan(self.variance_saved_least):
            return ""
        least, most = f"{self.variance_saved_least:,.0f}", f"{self.variance_saved_most:,.0f}"
        times = least if least == most else f"{least} to {most}"
        return (
            f" (which makes the simulation's own variance of the change in complaints {times} times"
            " smaller)"
        )

    def _each(self, rows: pd.DataFrame) -> str:
        if len(rows) == 1:
            return ""
        single = rows.iloc[: len(rows) - self.combinations]
        each = "; ".join(f"{row['scenario']}: {_moved(row)}" for _, row in single.iterrows())
        also = f" (and {self.combinations} combinations, in the table)" if self.combinations else ""
        return (
            f"Change: {each}{also}. In {self.best_share:.0%} of the draws"
            f" {self.best_words} saves most so counted. "
        )

    def _money(self) -> str:
        amount = f"{self.saving:,.0f} {self.currency} ({self.low:,.0f} to {self.high:,.0f})"
        alone = len(self._complaints()) == 1
        if self.saving > 0 and alone:
            return f"By complaints alone, less its own cost, it saves {amount} a year."
        if self.saving > 0:
            saves = f"{self.best_words} saves most: {amount} a year."
            return f"By complaints alone, less its own cost, {saves}"
        return (
            "No scenario pays for itself by the complaints it spares: the one that comes nearest,"
            f" {self.best_words}, leaves {amount} a year."
        )

    def _limits(self) -> str:
        return (
            f"{widened_by(self.wait_error)}{self._realised()}"
            "It is taken for granted that the lever moves as named (what a scenario names is"
            " assumed, not foretold), that complaints follow waits and"
            f" resolution as fitted, and that costs are as given. {PRESENT}"
        )

    def _realised(self) -> str:
        least, likeliest, most = (f"{share:.0%}" for share in self.realised)
        if self.realised == (1.0, 1.0, 1.0):
            return ""
        return f"Of each change {likeliest} ({least} to {most}) is taken to come. "

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the change of complaints a year of each scenario, with its interval."""
        ax = look.axes(ax)
        rows = self._complaints()
        look.dots(
            ax,
            rows,
            names=self.labels,
            meaning=[_meaning(*r) for r in rows[["low", "high"]].to_numpy()],
        )
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="What would each scenario do to complaints?",
            x=f"change in complaints a year ({self.confidence * 100:.4g}% interval)",
        )


def _moved(row: pd.Series, level: str = "") -> str:
    limits = f"{row['low']:+,.0f} to {row['high']:+,.0f}"
    return f"{row['estimate']:+,.0f} ({level} {limits})".replace("( ", "(")


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
    complaints - the scenario's own cost (+ revenue that a change of price brings).
    """
    need_share(confidence, name="confidence")
    if not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")
    level, change = _yearly(rehearsal)
    table = _table(rehearsal, level, change, currency, confidence)
    saving = table[table["measure"].eq("net_saving_per_year")]
    best = saving.loc[saving["estimate"].idxmax()]
    drawn = change["net_saving_per_year"][1:]  # the first is the service as it is
    complaints = table[table["measure"].eq("complaints_per_year")]
    as_is, moved = complaints.iloc[0], complaints[complaints["kind"].eq("change")]
    most, worlds = moved.loc[moved["estimate"].idxmin(), "scenario"], rehearsal.scenarios
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
        sites=len(rehearsal.sites),
        realised=rehearsal.realised,
        variance_saved_least=float(moved["variance_saved"].min()),
        variance_saved_most=float(moved["variance_saved"].max()),
        combinations=sum(bool(world.together) for world in worlds),
        most_words=in_words(str(most), worlds),
        best_words=in_words(str(best["scenario"]), worlds),
        labels=labels(worlds)[1:],
    )


def _table(rehearsal: Rehearsal, level, change, currency, confidence) -> pd.DataFrame:
    """One row per scenario, measure and kind."""
    higher, rows = MORE_IS_BETTER + rehearsal.scores, []
    higher += tuple(f"{score}: top two" for score in rehearsal.scores)
    saved = {_by_year(m): rehearsal.variance_saved[:, i] for i, m in enumerate(rehearsal.measures)}
    for w, world in enumerate(rehearsal.scenarios):
        for kind, values in (("level", level), ("change", change))[: 1 + bool(w)]:
            for measure, of in values.items():
                row = {"scenario": world.name, "measure": measure}
                usual = "points" if measure in rehearsal.scores else "share"
                unit = WORDS.get(measure, ("", usual))[1]
                row["unit"] = currency if unit == "money" else unit
                row |= _row(measure, kind, of[w], confidence, measure in higher)
                known = kind == "change" and measure in saved
                rows.append(row | {"variance_saved": saved[measure][w] if known else np.nan})
    return pd.DataFrame(rows)


def _yearly(rehearsal: Rehearsal) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Levels and changes by measure, each (scenarios, draws), with what a year costs."""
    of, by = (
        {_by_year(name): values[:, :, m] for m, name in enumerate(rehearsal.measures)}
        for values in (rehearsal.level, rehearsal.change)
    )
    for each in (of, by):
        for name in [name for name in each if name.endswith("_per_year")]:
            each[name] = each[name] * rehearsal.open_days_per_year
        each["cost_per_year"] = each["complaints_per_year"] * rehearsal.cost
    if rehearsal.revenue.any():
        by["revenue_per_year"] = rehearsal.revenue
    by["net_saving_per_year"] = -by["cost_per_year"] - rehearsal.running_cost
    return of, by


def _by_year(measure: str) -> str:
    return f"{measure.removesuffix('_day')}_year" if measure.endswith("_per_day") else measure


def _row(measure, kind, values, confidence, more_is_better) -> dict:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    better = values > 0 if more_is_better else values < 0
    told = kind == "change" and values.any() and measure not in NEITHER
    return {
        "kind": kind,
        "estimate": float(values.mean()),
        "low": float(low),
        "high": float(high),
        "chance_better": float(better.mean()) if told else np.nan,
    }
