"""How likely is each target, as it is and in each scenario?"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem
from sqm.finding import Finding
from sqm.interval import wilson
from sqm.rehearsal import AS_IS, PRESENT, Rehearsal, defect_of, why_not_judged
from sqm.scenario import in_words, labels

ALL = "all of these"
COLUMNS_AT_EASE = 6  # scenarios beside each other; more stand below each other


@dataclass(frozen=True, eq=False)
class Chances(Finding):
    """How likely each characteristic is to meet its target in each scenario.

    Attributes
    ----------
    table : DataFrame, one row per characteristic and scenario
        ``ctq``, ``scenario``, ``target`` and ``defects`` (shares), ``estimate`` the probability
        that the long-run share of defects is at or below its target, ``low, high`` its limits
        (95 %) given the number of draws, ``note`` where it cannot be said.  Where two or more
        characteristics are judged, the rows of the ctq ``all of these`` give the chance that
        all of them meet their targets at once.
    ctqs, judged : int
        Characteristics given, and those that a simulation can judge.
    draws : int
    best : str
        Scenario with the best chance that all are met at once, the first one named if several.
    words : tuple of str
        The scenarios as a sentence names them, in the order of the table.
    labels : tuple of str
        Short names of the scenarios, for the picture.
    """

    ctqs: int
    judged: int
    draws: int
    best: str
    words: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Name for each characteristic the chance as it is and the best chance there is."""
        known = self.table.dropna(subset=["estimate"])
        of_each = known[known["ctq"].ne(ALL)]
        each = [self._words(name, rows) for name, rows in of_each.groupby("ctq", sort=False)]
        left = self.ctqs - self.judged
        silent = f" {left} of {self.ctqs} cannot be judged by a simulated contact." if left else ""
        if not each:
            return f"No target's chance of being met can be given.\n{silent.strip()}"
        return (
            f"{self._first(known)}\nOne by one: {'; '.join(each)}. The chance is the share of"
            f" {self.draws:,} draws of what is not known for certain that meet the target in the"
            f" long run{self._few()}, if all that a scenario names comes; it rests on the queue and"
            " the drivers as fitted. A target is judged on all contacts together: single days can"
            f" miss it although it is met. {PRESENT}{silent}"
        )

    def _few(self) -> str:
        """What a chance in brackets is, where any is told."""
        between = self.table["estimate"].between(0.01, 0.99)
        return " (in brackets, what so few draws leave open)" if between.any() else ""

    def _first(self, known: pd.DataFrame) -> str:
        """The chance that all are met at once, as it is and at best."""
        together = known[known["ctq"].eq(ALL)]
        if together.empty:
            name = known["ctq"].iloc[0]
            return f"Chance of meeting the target in the long run: {self._words(name, known)}."
        as_is = together[together["scenario"].eq(AS_IS)].iloc[0]
        best = together[together["scenario"].eq(self.best)].iloc[0]
        what = f"The chance that all {self.judged} targets that can be judged are met at once is"
        if best["estimate"] <= as_is["estimate"]:
            return f"{what} {_chance(as_is)} as it is, and no more in any scenario."
        return f"{what} {_chance(as_is)} as it is, and {_chance(best)} with {self._named(best)}."

    def _named(self, row: pd.Series) -> str:
        return dict(zip(self.table["scenario"].unique(), self.words, strict=True))[row["scenario"]]

    def _words(self, name: str, rows: pd.DataFrame) -> str:
        as_is = rows[rows["scenario"].eq(AS_IS)].iloc[0]
        best = rows.loc[rows["estimate"].idxmax()]
        if best["estimate"] <= as_is["estimate"]:
            return f"{name}, {_chance(as_is)} as it is, no more in any scenario"
        return f"{name}, {_chance(as_is)} as it is and {_chance(best)} with {self._named(best)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the chance of each characteristic by scenario: shade and figure agree."""
        ax = look.axes(ax)
        grid = self.table.pivot_table(
            index="ctq", columns="scenario", values="estimate", sort=False, dropna=False
        ).reindex(columns=self.table["scenario"].unique())
        grid.columns = list(self.labels)
        if len(self.labels) > COLUMNS_AT_EASE:
            grid = grid.T
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
        width = 16 if len(grid.columns) < COLUMNS_AT_EASE else 11
        ax.set_xticklabels([fill(look.shorten(name), width) for name in grid.columns], rotation=0)
        ax.set_yticklabels([look.shorten(name) for name in grid.index], rotation=0)
        ax.tick_params(length=0)
        across = "target" if len(self.labels) > COLUMNS_AT_EASE else "scenario"
        title = "How likely is each target to be met?"
        return look.label(ax, title=title, x=f"{across} (chance in per cent)")


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
    than waits, abandonment, resolution, complaints, service times and the scores that the
    rehearsal was given drivers of are left open.
    """
    given, rows, met = ctqs.to_dict("records"), [], []
    for row in given:
        for w, world in enumerate(rehearsal.scenarios):
            rows.append({"ctq": row["name"], "scenario": world.name} | _odds(rehearsal, row, w))
        if not rows[-1]["note"]:
            met.append(_shares(rehearsal, row) <= float(row["target"]))
    worlds, best = rehearsal.scenarios, AS_IS
    if len(met) > 1:
        together = np.logical_and.reduce(met)
        best = worlds[int(together.mean(axis=1).argmax())].name
        rows += [_together(world.name, of) for world, of in zip(worlds, together, strict=True)]
    return Chances(
        table=pd.DataFrame(rows),
        ctqs=len(ctqs),
        judged=len(met),
        draws=rehearsal.level.shape[1],
        best=best,
        words=tuple(in_words(world.name, worlds) for world in worlds),
        labels=labels(worlds),
    )


def _together(scenario: str, met: np.ndarray) -> dict:
    chance = float(met.mean())
    low, high = wilson(chance, len(met))
    row = {"ctq": ALL, "scenario": scenario, "target": np.nan, "defects": np.nan}
    return row | {"estimate": chance, "low": low, "high": high, "note": ""}


def _shares(rehearsal: Rehearsal, row: dict) -> np.ndarray:
    """Share of defects, (scenarios, draws)."""
    return rehearsal.level[:, :, rehearsal.measures.index(f"defects: {row['name']}")]


def _odds(rehearsal: Rehearsal, row: dict, w: int) -> dict:
    note = why_not_judged(row, scores=rehearsal.scores)
    unknown = {"target": row["target"], "defects": np.nan, "estimate": np.nan}
    unknown |= {"low": np.nan, "high": np.nan, "note": note}
    if note:
        return unknown
    if defect_of(row, scores=rehearsal.scores) not in rehearsal.defects:
        raise Problem(
            f"The scenarios were played without the CTQ {row['name']!r}.",
            "hand the same `ctqs` to `rehearse`.",
        )
    share = _shares(rehearsal, row)[w]
    chance = float((share <= float(row["target"])).mean())
    low, high = wilson(chance, len(share))
    return unknown | {"defects": float(share.mean()), "estimate": chance, "low": low, "high": high}
