"""How fast are complaints acknowledged and resolved, and where is it slower?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, survival
from sqm.checks import Problem, Refusal, need_rows, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import holm, spell, spell_p

FEWEST = 10  # cases below which a level is not judged
MOST_LEVELS = 200  # of a column; beyond it the column is passed over
SOURCE = "the cases"
MOST_DRAWN = 30
TOLD = 3  # levels that the sentence names on each side
LONE = "of one cluster: its cases count as independent"
NOTHING = survival.Share(np.nan, np.nan, 0, 0, np.array([]))


@dataclass(frozen=True, eq=False)
class Handling(Finding):
    """How long cases last, how many keep the promise, and where they do so less often.

    Attributes
    ----------
    table : DataFrame, one row for all cases, then one per level of each column
        ``by``, ``level`` (both ``all`` in the first row); ``unit`` of the times; ``cases``, of
        them ``open``; ``median``, ``median_low``, ``median_high``, the time within which half
        have ended (missing where not yet known); ``estimate``, ``low``, ``high``, the share that
        ended within the promised time (0 to 1), open cases counted; ``closed_only``, that share
        among the ended ones; ``verdict`` against the target ("met", "not met", "not known", or
        "" without one); ``difference``, ``difference_low``, ``difference_high``, the share less
        that of all other cases (-1 to 1); ``p`` of no difference; ``p_holm``, adjusted for all
        comparisons of the table; ``stays``, whether the difference stays after that; ``note``.
    done : str
        What ends a time, such as "resolved".
    unit : str
    promised : float
        In that unit.
    target : float
        Share within the promise that is wanted; NaN if none is set.
    verdict : str
    within, low, high : float
        Share of all cases within the promised time.
    median, median_low, median_high : float
    cases, open_cases, left_out : int
    young_open : int
        Open cases that have lasted less than the median; a file of ended cases has none.
    compared : int
        Levels that were compared.
    slower, faster : tuple of str
        Levels whose difference stays, the farthest first.
    passed_over : tuple of str
        Columns that could not be used, with the reason.
    clusters : str
    confidence : float
        Level of the intervals, 0 to 1.
    """

    done: str
    unit: str
    promised: float
    target: float
    verdict: str
    within: float
    low: float
    high: float
    median: float
    median_low: float
    median_high: float
    cases: int
    open_cases: int
    left_out: int
    young_open: int
    compared: int
    slower: tuple[str, ...]
    faster: tuple[str, ...]
    passed_over: tuple[str, ...]
    clusters: str
    confidence: float

    def sentence(self) -> str:
        limits = (100 * each for each in (self.within, self.low, self.high))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="%")
        promise = survival.spell_time(self.promised, self.unit)
        first = f"{found} of cases are {self.done} within {promise}, open ones counted"
        aim = f" (target {100 * self.target:.4g} %: {self.verdict})" if self.verdict else ""
        rest = [
            self._median(),
            *self._where(),
            f"{counted(self.cases, 'case')}, {self.open_cases:,} of them not yet {self.done} "
            "(Kaplan-Meier).",
            self._caution(),
            self._unsaid(),
            f"Passed over: {'; '.join(self.passed_over)}." if self.passed_over else "",
            f"Left out, without what is needed: {counted(self.left_out, 'case')}."
            if self.left_out
            else "",
        ]
        return f"{first}{aim}; {self._slowest()}.\n{' '.join(filter(None, rest))}"

    def _slowest(self) -> str:
        if not self.compared:
            return "no levels are compared"
        if not self.slower:
            return "no level is surely slower than the rest"
        more = f" and {len(self.slower) - 1} more" if len(self.slower) > 1 else ""
        return f"slower than the rest: {look.shorten(self.slower[0], width=40)}{more}"

    def _median(self) -> str:
        if np.isnan(self.median):
            return f"When half are {self.done} is not known yet."
        if np.isnan(self.median_high):
            time = survival.spell_time(self.median, self.unit)
            return f"Half are {self.done} within {time}, with no upper limit known yet."
        limits = (self.median, self.median_low, self.median_high)
        found = spell(*limits, confidence=self.confidence, digits=1, unit=self.unit)
        return f"Half are {self.done} within {found}."

    def _where(self) -> list[str]:
        """What stays after Holm, farthest first, or that nothing does."""
        if not self.compared:
            return []
        known = self.table.dropna(subset="difference")
        known = known.assign(name=known["by"] + " " + known["level"]).set_index("name")
        said = []
        for names, word in ((self.slower, "Less"), (self.faster, "More")):
            told = [self._one(name, known.loc[name]) for name in names[:TOLD]]
            more = f"; {len(names) - TOLD} more in the table" if len(names) > TOLD else ""
            said += [f"{word} often within it than all other cases: {'; '.join(told)}{more}."]
        said = [each for each, names in zip(said, (self.slower, self.faster), strict=True) if names]
        stay = len(self.slower) + len(self.faster)
        return [
            *said,
            f"Of {counted(self.compared, 'comparison')} {stay or 'none'} "
            f"{'stay' if stay > 1 else 'stays'} after Holm's correction; each interval is for one "
            "alone. Levels differ in their cases too: a difference is no proof of its cause.",
        ]

    def _one(self, name: str, row: pd.Series) -> str:
        limits = (100 * row[each] for each in ("difference", "difference_low", "difference_high"))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="points")
        return f"{look.shorten(name, width=40)} {found}, {spell_p(row['p_holm'])} adjusted"

    def _caution(self) -> str:
        hidden = ""
        if not self.young_open:
            hidden = (
                "No young case is open: if the file holds ended cases only, recent slow ones are "
                "missing from it and times look shorter than they are. "
            )
        said = f"{hidden}Open cases are taken to go on as those did that were open as long."
        if self.clusters:
            lone = self.table.loc[self.table["note"].eq(LONE), "level"]
            but = (
                f", but not within {listed(list(map(look.shorten, lone)), most=3)}, of one "
                f"{self.clusters} each: of these they speak, not of others like them"
                if len(lone)
                else ""
            )
            return (
                f"{said} Cases of the same {self.clusters} may be alike; intervals allow for "
                f"it{but}."
            )
        return f"{said} Cases count as independent."

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        each = [f"{row.by} {look.shorten(row.level, width=30)} ({row.note})" for row in
                rest.itertuples()]  # fmt: skip
        return f"Not said: {listed(each, most=5, apart='; ')}." if each else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self._drawn()
        shown = rows.assign(**100 * rows[["estimate", "low", "high"]])
        surely = rows["stays"].to_numpy(dtype=bool)
        below = (rows["difference"] < 0).to_numpy()
        meaning = np.select([surely & below, surely & ~below], ["worse", "better"], "usual")
        names = [
            "all" if row.by == "all" else f"{row.by}: {look.shorten(row.level, width=32)}"
            for row in rows.itertuples()
        ]
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.axvline(100 * self.within, color=look.MEANING["limit"], lw=1)
        if self.verdict:
            ax.axvline(100 * self.target, color=look.MEANING["limit"], lw=1, ls="--")
        ax.set_xlim(right=101)
        wanted = "; dashes: target" if self.verdict else ""
        promise = survival.spell_time(self.promised, self.unit)
        if self.table["estimate"].notna().sum() > len(rows):
            wanted += f"; the {MOST_DRAWN} farthest from the rest"
        return look.label(
            ax,
            title=f"Where are cases less often {self.done} in time?",
            x=f"{self.done} within {promise} (%; triangles: surely unlike the rest{wanted})",
        )

    def _drawn(self) -> pd.DataFrame:
        """All cases and the levels farthest from the rest, those that stay first."""
        rows = self.table.dropna(subset="estimate")
        far = rows.iloc[1:].assign(far=rows["difference"].abs())
        far = far.sort_values(["stays", "far"], ascending=False, kind="stable").head(MOST_DRAWN)
        return rows.loc[[rows.index[0], *sorted(far.index)]]


def handling_times(
    cases: pd.DataFrame,
    *,
    promised: float,
    duration: str = "resolution_d",
    running: str = "resolution_d_open",
    by: Sequence[str] = ("category", "channel", "site"),
    done: str = "resolved",
    target: float | None = None,
    clusters: str = "",
    confidence: float = 0.95,
) -> Handling:
    """Estimate how long cases last and how many keep a promise, level by level.

    Parameters
    ----------
    cases : DataFrame, one row per case
    promised : float
        In the unit in which ``duration`` ends; a case that ends exactly then has kept it.
    duration : str
        Column of the time from opening to the end, or until now; its name ends in its unit
        (``_s``, ``_min``, ``_h`` or ``_d``).
    running : str
        Column that says whether the time still runs.
    by : sequence of str
        Columns whose levels are compared, each level with all other cases that have a level.
        One that is missing or has more than 200 levels is passed over and named.
    done : str, default "resolved"
        What ends the time, for the sentence.
    target : float, optional
        Share of cases wanted within the promise, 0 to 1.
    clusters : str, default ""
        Column of what cases may share (the customer, the week); blank: they are independent.
    confidence : float, default 0.95

    Returns
    -------
    Handling
        A level with fewer than ten cases, or with none followed for as long as the promise, has
        NaN and a note.

    Raises
    ------
    Problem
        If a duration is negative or no number, its name has no unit, or the promise or the target
        is out of range.
    Refusal
        If a column is missing, or all cases together are too few or followed too shortly.

    Notes
    -----
    Shares are one minus Kaplan and Meier's curve, with Wilson's interval at the effective number
    of cases, as in `promise.sla`.  The interval of a difference joins the limits of the two shares
    (Newcombe, R. G. (1998). Statistics in Medicine 17, 873-890), with the correlation that shared
    clusters give (Zou, G. Y. (2008). doi:10.1093/aje/kwn104); p is 1 - the level at which it just
    reaches 0, adjusted by Holm (1979).

    Examples
    --------
    Closed after 1 to 20 days at one site, all on day 1 at the other: within 5 days 5 of 20 against
    20 of 20.

    >>> cases = pd.DataFrame({"site": ["a"] * 20 + ["b"] * 20, "resolution_d_open": False,
    ...                       "resolution_d": [*range(1, 21), *[1] * 20]})
    >>> found = handling_times(cases, promised=5, by=["site"])
    >>> found.table["difference"].round(4).tolist(), found.slower
    ([nan, -0.75, 0.75], ('site a',))
    """
    _need_sound(promised, target, confidence, by)
    unit = survival.unit_of(duration)
    known = survival.followed(
        cases, duration=duration, running=running, clusters=clusters, source=SOURCE
    )
    need_rows(known, FEWEST, source="The table of cases", why="a share within the promise")
    clustered = bool(clusters)
    whole, _ = _row(known, promised, clustered, confidence)
    if np.isnan(whole["estimate"]):
        raise Refusal(f"All cases: {_unseen(promised, unit)}.", "wait, or ask for a shorter time.")
    rows, passed = [{"by": "all", "level": "all", **whole}], []
    for column in dict.fromkeys(by):
        why = _unfit(cases, column)
        passed += [f"{column} ({why})"] if why else []
        rows += [] if why else _levels(known, cases, column, promised, clustered, confidence)
    table = _finished(pd.DataFrame(rows), unit, promised, target, confidence)
    first = table.iloc[0]
    numbers = {name: float(first[name]) for name in ("low", "high", "median")}
    return Handling(
        table=table,
        done=done,
        unit=unit,
        promised=float(promised),
        target=np.nan if target is None else float(target),
        verdict=str(first["verdict"]),
        within=float(first["estimate"]),
        **numbers,
        median_low=float(first["median_low"]),
        median_high=float(first["median_high"]),
        cases=len(known),
        open_cases=int(known["open"].sum()),
        left_out=len(cases) - len(known),
        young_open=int((known["open"] & ~(known["time"] >= first["median"])).sum()),
        compared=int(table["p"].notna().sum()),
        slower=_staying(table, below=True),
        faster=_staying(table, below=False),
        passed_over=tuple(passed),
        clusters=clusters,
        confidence=confidence,
    )


def _need_sound(
    promised: float, target: float | None, confidence: float, by: Sequence[str]
) -> None:
    need_share(confidence, name="confidence")
    if not 0 < promised < np.inf:
        raise Problem(f"promised is {promised}.", "give the promised time, above 0.")
    if target is not None and not 0 < target <= 1:
        raise Problem(f"target is {target}.", "give the share wanted in time, such as 0.9.")
    if isinstance(by, str):
        raise Problem(f"by is {by!r}.", f"give a list of columns: [{by}].")


def _unfit(cases: pd.DataFrame, column: str) -> str:
    if column not in cases.columns:
        return "not in the table"
    levels = cases[column].nunique()
    if levels > MOST_LEVELS:
        return f"{levels:,} levels, more than {MOST_LEVELS} tell nothing"
    return "" if levels else "blank everywhere"


def _unseen(promised: float, unit: str) -> str:
    return f"no case has been followed for {survival.spell_time(promised, unit)}"


def _curve(known: pd.DataFrame) -> survival.Curve:
    return survival.kaplan_meier(*(known[c].to_numpy() for c in ("time", "open", "cluster")))


def _within(
    known: pd.DataFrame, curve: survival.Curve, promised: float, clustered: bool
) -> survival.Share:
    cluster = known["cluster"].to_numpy() if clustered else None
    return survival.closed_within(curve, promised, cluster=cluster)


def _row(
    known: pd.DataFrame, promised: float, clustered: bool, confidence: float
) -> tuple[dict, survival.Share]:
    """One row of the table, without its comparison, and its share."""
    enough = len(known) >= FEWEST
    curve = _curve(known) if enough else None
    share = _within(known, curve, promised, clustered) if enough else NOTHING
    low, high = share.limits(confidence)
    middle = survival.median(curve, confidence) if enough else (np.nan,) * 3
    closed = known.loc[~known["open"], "time"]
    return {
        "cases": len(known),
        "open": int(known["open"].sum()),
        **dict(zip(("median", "median_low", "median_high"), middle, strict=True)),
        "estimate": share.estimate,
        "low": low,
        "high": high,
        "closed_only": float((closed <= promised).mean()) if len(closed) else np.nan,
    }, share


def _levels(
    known: pd.DataFrame,
    cases: pd.DataFrame,
    column: str,
    promised: float,
    clustered: bool,
    confidence: float,
) -> list[dict]:
    """One row per level of a column, each compared with all other cases that have a level."""
    level = cases[column].reindex(known.index).astype("str").where(cases[column].notna())
    has = level.notna()
    known, level = known[has], level[has]
    order = np.argsort(known["time"].to_numpy(), kind="stable")  # sorted once, parts stay sorted
    known, level = known.iloc[order], level.iloc[order]
    codes, names = pd.factorize(level, sort=True)
    rows = []
    for code, name in enumerate(names):
        part, others = known[codes == code], known[codes != code]
        row, share = _row(part, promised, clustered, confidence)
        row["lone"] = clustered and part["cluster"].nunique() == 1 < len(part)
        rest = NOTHING
        if len(others) >= FEWEST and not np.isnan(share.estimate):
            rest = _within(others, _curve(others), promised, clustered)
        apart = survival.difference(share, rest, confidence=confidence)
        names_of = ("difference", "difference_low", "difference_high")
        row |= dict(zip(names_of, apart, strict=True))
        rows.append({"by": column, "level": str(name), **row, "p": survival.chance(share, rest)})
    return rows


def _finished(
    table: pd.DataFrame, unit: str, promised: float, target: float | None, confidence: float
) -> pd.DataFrame:
    """Columns in their order, with verdicts, adjusted p and notes."""
    for column in ("difference", "difference_low", "difference_high", "p"):
        table[column] = table.get(column, np.nan)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=float))
    table["stays"] = table["p_holm"] < 1 - confidence
    table["verdict"] = [
        _verdict(row.low, row.high, target, row.estimate) for row in table.itertuples()
    ]
    unseen = table["estimate"].isna()
    lone = table.pop("lone").eq(True) if "lone" in table else np.zeros(len(table), dtype=bool)
    alone = ~unseen & table["difference"].isna() & (table["by"] != "all")
    table["note"] = np.select(
        [table["cases"] < FEWEST, unseen, alone, lone],
        [
            "only " + table["cases"].astype(str) + np.where(table["cases"] == 1, " case", " cases"),
            _unseen(promised, unit),
            "no other cases to compare with",
            LONE,
        ],
        "",
    )
    table.insert(2, "unit", unit)
    last = ["difference", "difference_low", "difference_high", "p", "p_holm", "stays", "note"]
    return table[[c for c in table if c not in last] + last]


def _verdict(low: float, high: float, target: float | None, estimate: float) -> str:
    if target is None or np.isnan(estimate):
        return ""
    return "met" if low >= target else "not met" if high < target else "not known"


def _staying(table: pd.DataFrame, *, below: bool) -> tuple[str, ...]:
    side = table["difference"] < 0 if below else table["difference"] > 0
    chosen = table[table["stays"] & side]
    chosen = chosen.assign(name=chosen["by"] + " " + chosen["level"])
    order = chosen.sort_values(["difference", "name"], ascending=[below, True], kind="stable")
    return tuple(order["name"])
