"""Where between the customer's wish and the delivered service is quality lost?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import (
    Problem,
    Refusal,
    nearest,
    need_columns,
    need_numbers,
    need_on_scale,
    need_share,
)
from sqm.finding import Finding, counted
from sqm.interval import spell

SOURCE = "the answers"
EVERY = "all"
FEWEST = 2  # judges of a side below which its spread is unknown
FEW_JUDGES = 5

# Zeithaml, V. A., Berry, L. L., Parasuraman, A. (1988). Communication and control processes in the
# delivery of service quality. Journal of Marketing 52, 35-48; each gap is the first less the second
GAPS = {
    1: ("knowledge", "beliefs", "expectations"),
    2: ("standards", "standards", "beliefs"),
    3: ("delivery", "delivered", "standards"),
    4: ("communication", "delivered", "promised"),
    5: ("customer", "perceptions", "expectations"),
}
ASKS = {
    1: "what managers believe customers expect, less what they expect",
    2: "the standard set, less what managers believe customers expect",
    3: "what is delivered, less the standard",
    4: "what is delivered, less what was promised",
    5: "what customers perceive, less what they expect",
}


@dataclass(frozen=True)
class Side:
    """One side of a gap: the mean of each dimension, and how far it may be off.

    Attributes
    ----------
    means : Series
        By dimension.
    influence : ndarray, shape (judges, dimensions)
        Each judge's part in each mean's error: the covariance of the means is its square, summed.
    counts : Series
        How many judged each dimension.
    judges : int
        How many judged any of them.
    fixed : bool
        Whether it is a number that was set, without sampling error.
    """

    means: pd.Series
    influence: np.ndarray
    counts: pd.Series
    judges: int
    fixed: bool

    def fewest(self, dimensions: list[str]) -> int:
        """Judges of the dimension that fewest judged."""
        return int(self.counts[dimensions].min())


@dataclass(frozen=True, eq=False)
class GapModel(Finding):
    """The five gaps of the gap model, over all, by dimension and by site.

    Attributes
    ----------
    table : DataFrame, one row per gap, and per gap and dimension, and per gap and site
        ``gap`` (1 to 5), ``name``; ``dimension`` and ``site`` ("all" where over all of them);
        ``first`` and ``second``, the mean of either side in points; ``judges_first``,
        ``judges_second`` (of that dimension, or of any where over all); ``estimate``, ``low``,
        ``high``, first less second in points, below 0 where quality is lost (gap 5 on who answered
        both sides); ``widest``, the share of draws in which this gap is the lowest of the five
        (rows over all only); ``note``.
    widest : str
        Name of the gap that is lowest over all dimensions; empty if none has an interval.
    widest_share : float
        Share of draws in which it is the lowest.
    draws : int
    confidence : float
        Level of each interval on its own.
    """

    widest: str
    widest_share: float
    draws: int
    confidence: float

    def sentence(self) -> str:
        whole = self._whole()
        known = whole.dropna(subset="low")
        if known.empty:
            return f"No gap can be given with an interval.\n{self._unsaid(whole)}"
        words = [self._answer(known)]
        rest = known[known["name"] != self.widest]
        if len(rest):
            told = "; ".join(f"gap {r.gap} ({r.name_}) {self._spelt(r)}" for r in _rows(rest))
            words.append(f"The others: {told}.")
        meant = "; ".join(f"{gap} is {ASKS[gap]}" for gap in known["gap"])
        words.append(f"Below 0 is short throughout: gap {meant}.")
        words += self._worst()
        words += self._judges(known)
        if len(known) < len(whole):
            words.append(self._unsaid(whole))
        return " ".join(words).replace("\n ", "\n")

    def _answer(self, known: pd.DataFrame) -> str:
        row = next(_rows(known[known["name"] == self.widest]))
        if len(known) == 1:
            return f"Only gap {row.gap} ({row.name_}) can be given: {self._spelt(row)}.\n"
        verb = "Most is lost" if row.estimate < 0 else "Nothing is lost on average; least is gained"
        return (
            f"{verb} in gap {row.gap} ({row.name_}): {self._spelt(row)}; it is the lowest of "
            f"{len(known)} in {self.widest_share:.0%} of {self.draws:,} draws.\n"
        )

    def _spelt(self, row) -> str:
        return spell(row.estimate, row.low, row.high, confidence=self.confidence, unit="points")

    def _worst(self) -> list[str]:
        """Where the widest gap is worst: among dimensions, and among sites."""
        words = []
        mine = self.table[self.table["name"] == self.widest].dropna(subset="low")
        for column in ("dimension", "site"):
            parts = mine[mine[column] != EVERY]
            if len(parts) > 1:
                row = parts.loc[parts["estimate"].idxmin()]
                name = look.shorten(str(row[column]))
                words.append(f"Its lowest {column} is {name}: {self._spelt(row)}.")
        return words

    def _judges(self, known: pd.DataFrame) -> list[str]:
        counts = pd.concat([known["judges_first"], known["judges_second"]])
        words = "Each side's judges are taken as independent draws; each interval stands for itself"
        if (few := counts[counts >= FEWEST].min()) < FEW_JUDGES:
            return [f"{words}. One side has only {counted(int(few), 'judge')}."]
        return [f"{words}."]

    def _unsaid(self, whole: pd.DataFrame) -> str:
        rest = whole[whole["low"].isna()]
        return f"Not given: {'; '.join(f'gap {r.gap} ({r.note})' for r in _rows(rest))}."

    def _whole(self) -> pd.DataFrame:
        return self.table[(self.table["dimension"] == EVERY) & (self.table["site"] == EVERY)]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["site"] == EVERY].dropna(subset="low")
        meaning = np.select([rows["high"] < 0, rows["low"] > 0], ["worse", "better"], "usual")
        names = [
            f"gap {r.gap}, {r.name_}" if r.dimension == EVERY else f"· {r.dimension}"
            for r in _rows(rows)
        ]
        look.dots(ax, rows, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Where is quality lost between wish and delivery?",
            x="first side less second (points; below 0: short)",
        )


def gap_model(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    expectations: dict[str, str],
    beliefs: pd.DataFrame | None = None,
    standards: pd.DataFrame | None = None,
    delivered: pd.DataFrame | None = None,
    promised: pd.DataFrame | None = None,
    points: tuple[float, float],
    site: str = "site",
    confidence: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> GapModel:
    """Estimate the five gaps between the customer's wish and the delivered service.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Perception and expectation items in scale points, and ``site`` where it is known.
    dimensions : dict of str to list of str
        The perception items of each dimension.
    expectations : dict of str to str
        The expectation item of each perception item.
    beliefs, standards, delivered, promised : DataFrame, one row per score, optional
        ``dimension`` and ``score`` in points of the survey's scale, ``judge`` and ``site`` where
        known.  Without ``judge`` every row is a judge of its own, but ``standards`` without
        judges (or with one) are numbers that were set, without sampling error.
    points : tuple of float
        Lowest and highest point of the scale.
    site : str, default "site"
        Column of the site in every table.
    confidence : float, default 0.95
    draws : int, default 2000
        Draws from the estimates' joint distribution for ``widest``.
    rng : Generator

    Returns
    -------
    GapModel
        A gap whose table is absent, or with one judge on a side, gets NaN and a note.

    Raises
    ------
    Problem
        If a table names an unknown dimension or has a score off the scale.
    Refusal
        If no gap can be estimated.

    Notes
    -----
    Gap 1 is beliefs less expectations, 2 standards less beliefs, 3 delivered less standards, 4
    delivered less promised, 5 perceptions less expectations [1]_ [2]_; below 0 is short throughout.
    A judge's score of a dimension is the mean of that judge's rows; the mean over judges has their
    spread, and the degrees of freedom of the dimension that fewest judged. Gaps 1 to 4 compare
    different people: Welch's interval with Satterthwaite's degrees of freedom [3]_; gap 5 compares
    each respondent with themselves: Student's. Over all dimensions, every dimension counts alike.
    ``widest`` draws every side's means from a multivariate t with judges less one degrees of
    freedom, so gaps that share a side move together, and a side with few judges moves far.

    References
    ----------
    .. [1] Parasuraman, A., Zeithaml, V. A., Berry, L. L. (1985). A conceptual model of service
       quality. Journal of Marketing 49, 41-50. doi:10.1177/002224298504900403
    .. [2] Zeithaml, V. A., Berry, L. L., Parasuraman, A. (1988). Journal of Marketing 52, 35-48.
       doi:10.1177/002224298805200203
    .. [3] Welch, B. L. (1947). Biometrika 34, 28-35. doi:10.1093/biomet/34.1-2.28

    Examples
    --------
    Customers expect 6, managers believe 5: gap 1 is -1.

    >>> answers = pd.DataFrame({"p": [4, 5] * 10, "e": [5, 7] * 10})
    >>> beliefs = pd.DataFrame({"judge": list("abcd"), "dimension": "prompt",
    ...                         "score": [4, 5, 5, 6]})
    >>> found = gap_model(answers, dimensions={"prompt": ["p"]}, expectations={"p": "e"},
    ...                   beliefs=beliefs, points=(1, 7), rng=np.random.default_rng(1))
    >>> found.table.query("dimension == 'all'")["estimate"].tolist()
    [-1.0, nan, nan, nan, -1.5]
    """
    need_share(confidence, name="confidence")
    tables = {"beliefs": beliefs, "standards": standards}
    tables |= {"delivered": delivered, "promised": promised}
    scores = {n: _scores(t, n, dimensions, points) for n, t in tables.items() if t is not None}
    survey = _survey(answers, dimensions, expectations, points)
    sides = _sides(survey, scores, {})
    table = _over_all_and_by_dimension(sides, list(dimensions), confidence)
    by_site = _by_site(answers, survey, scores, site, list(dimensions), confidence)
    table = pd.DataFrame([*table, *by_site])
    known = (table["dimension"] == EVERY) & (table["site"] == EVERY) & table["low"].notna()
    if table["estimate"].isna().all():
        raise Refusal(
            "No gap of the gap model has both of its sides.",
            "name the expectation items, or give beliefs, standards, delivered or promised.",
        )
    share = _lowest_share(sides, list(table.loc[known, "gap"]), draws, rng)
    table.insert(table.columns.get_loc("high") + 1, "widest", np.nan)
    table.loc[known, "widest"] = share
    lowest = table.loc[known, "estimate"].idxmin() if known.any() else None
    return GapModel(
        table=table,
        widest="" if lowest is None else str(table.loc[lowest, "name"]),
        widest_share=np.nan if lowest is None else float(table.loc[lowest, "widest"]),
        draws=draws,
        confidence=confidence,
    )


# --- The sides ------------------------------------------------------------------------------------


def _survey(answers, dimensions, expectations, points) -> dict[str, pd.DataFrame]:
    """Each respondent's mean perception, expectation and difference, by dimension."""
    empty = [name for name, items in dimensions.items() if not items]
    if empty or not dimensions:
        raise Problem("A dimension has no item.", "list the perception items of each dimension.")
    items = [item for each in dimensions.values() for item in each]
    wanted = [expectations[item] for item in items if item in expectations]
    need_columns(answers, [*items, *wanted], source=SOURCE)
    given = answers[list(dict.fromkeys([*items, *wanted]))]
    need_numbers(given, given, source=SOURCE)
    need_on_scale(given.astype(float), points=points, source=SOURCE)
    seen, hoped = {}, {}
    for name, each in dimensions.items():
        seen[name] = given[each].astype(float).mean(axis=1, skipna=False)
        if all(item in expectations for item in each):
            pairs = [expectations[item] for item in each]
            hoped[name] = given[pairs].astype(float).mean(axis=1, skipna=False)
    seen, hoped = (pd.DataFrame(each, index=answers.index) for each in (seen, hoped))
    return {"perceptions": seen, "expectations": hoped, "differences": seen[hoped.columns] - hoped}


def _scores(table: pd.DataFrame, name: str, dimensions, points) -> pd.DataFrame:
    """A provider's table, checked; rows without a score are left out."""
    need_columns(table, ["dimension", "score"], source=name)
    if not pd.api.types.is_numeric_dtype(table["score"]):
        raise Problem(f"{name}: 'score' does not hold numbers.", "give points of the scale.")
    need_on_scale(table[["score"]].astype(float), points=points, source=name)
    table = table.dropna(subset=["dimension", "score"])
    for dimension in table["dimension"].unique():
        if dimension not in dimensions:
            raise Problem(
                f"{name} has the dimension {dimension!r}, which the survey has not.",
                nearest(str(dimension), dimensions),
            )
    return table


def _sides(survey, scores, where: dict) -> dict[str, Side]:
    """Every side that is there; ``where`` keeps the rows of one site."""
    sides = {}
    together = {name: survey[name] for name in ("perceptions", "expectations")}
    for name, table in {**survey, "survey": pd.concat(together, axis="columns")}.items():
        kept = table.loc[where["respondents"]] if where else table
        sides[name] = _side(kept.dropna(how="all"), fixed=False)
    for name, table in scores.items():
        kept = table[table[where["column"]] == where["site"]] if where else table
        judged = kept.get("judge")
        judge = pd.Series(range(len(kept)), index=kept.index) if judged is None else judged
        wide = kept.assign(judge=judge).pivot_table("score", "judge", "dimension", aggfunc="mean")
        fixed = name == "standards" and (judged is None or len(wide) < FEWEST)
        sides[name] = _side(wide, fixed=fixed)
    return {name: side for name, side in sides.items() if len(side.means)}


def _side(wide: pd.DataFrame, *, fixed: bool) -> Side:
    wide = wide.loc[:, wide.notna().any()]
    values, n = wide.to_numpy(dtype=float), len(wide)
    means, counts = wide.mean(), wide.notna().sum()
    if n == 0:
        return Side(means, values, counts, 0, fixed)
    away = np.where(np.isnan(values), 0.0, values - means.to_numpy())
    judged = counts.to_numpy()
    scale = 1 / np.sqrt(judged * np.maximum(judged - 1.0, 1.0))  # squared and summed: s^2 / n
    return Side(means, away * (0.0 if fixed else scale), counts, n, fixed)


def _mean(side: Side, dimensions: list[str]) -> tuple[float, float]:
    """Mean over dimensions, and the variance of it."""
    places = side.means.index.get_indexer(dimensions)
    return float(side.means[dimensions].mean()), float(
        (side.influence[:, places].mean(axis=1) ** 2).sum()
    )


# --- The gaps -------------------------------------------------------------------------------------


def _over_all_and_by_dimension(sides, dimensions, confidence) -> list[dict]:
    rows = []
    for gap in GAPS:
        rows.append(_row(sides, gap, dimensions, EVERY, EVERY, confidence))
        if not np.isfinite(rows[-1]["estimate"]):
            continue
        rows += [_row(sides, gap, [each], each, EVERY, confidence) for each in dimensions]
    return rows


def _by_site(answers, survey, scores, site, dimensions, confidence) -> list[dict]:
    placed = {name: table for name, table in scores.items() if site in table}
    names = set(answers[site].dropna()) if site in answers else set()
    names |= {each for table in placed.values() for each in table[site].dropna()}
    rows = []
    for each in sorted(names, key=str):
        here = answers[site] == each if site in answers else pd.Series(False, answers.index)
        where = {"respondents": here.fillna(False).to_numpy(bool), "column": site, "site": each}
        sides = _sides(survey, placed, where)
        found = [_row(sides, gap, dimensions, EVERY, str(each), confidence) for gap in GAPS]
        rows += [row for row in found if np.isfinite(row["estimate"])]
    return rows


def _row(sides, gap, dimensions, dimension, site, confidence) -> dict:
    """One gap over some dimensions: those that both sides have."""
    name, first, second = GAPS[gap]
    lacking = [each for each in (first, second) if each not in sides]
    row = {"gap": gap, "name": name, "dimension": dimension, "site": site}
    blank = dict.fromkeys(("first", "second", "estimate", "low", "high"), np.nan)
    counts = {
        f"judges_{place}": _judges(sides.get(name), dimension)
        for place, name in (("first", first), ("second", second))
    }
    if lacking:
        return row | blank | counts | {"note": f"no table of {' or '.join(lacking)}"}
    a, b = sides[first], sides[second]
    both = [each for each in dimensions if each in a.means.index and each in b.means.index]
    if gap == 5 and "differences" in sides:
        both = [each for each in both if each in sides["differences"].means.index]
    if not both:
        return row | blank | counts | {"note": "no dimension has both sides"}
    estimate, low, high, note = _gap(sides, gap, both, confidence)
    row |= {"first": _mean(a, both)[0], "second": _mean(b, both)[0]} | counts
    if len(both) < len(dimensions):
        note = note or f"over {len(both)} of {len(dimensions)} dimensions"
    row |= {"estimate": estimate, "low": low, "high": high, "note": note}
    order = ["gap", "name", "dimension", "site", "first", "second", *counts]
    return {key: row[key] for key in [*order, "estimate", "low", "high", "note"]}


def _gap(sides, gap, both, confidence) -> tuple[float, float, float, str]:
    tail = (1 + confidence) / 2
    names = ["differences"] if gap == 5 else list(GAPS[gap][1:])
    parts = [_mean(sides[name], both) for name in names]
    estimate = parts[0][0] - (parts[1][0] if len(parts) > 1 else 0.0)
    fewest = {name: sides[name].fewest(both) for name in names}
    alone = [name for name in names if fewest[name] < FEWEST and not sides[name].fixed]
    if alone:
        where = "" if all(sides[name].judges < FEWEST for name in alone) else " of a dimension"
        told = " and ".join(alone)
        return estimate, np.nan, np.nan, f"one judge{where} in {told}: no interval"
    variance = sum(part[1] for part in parts)
    if variance == 0:
        return estimate, np.nan, np.nan, "neither side varies: no interval"
    spent = sum(
        part[1] ** 2 / (fewest[name] - 1)
        for part, name in zip(parts, names, strict=True)
        if part[1] > 0
    )
    half = stats.t.ppf(tail, variance**2 / spent) * np.sqrt(variance)
    return estimate, estimate - half, estimate + half, ""


def _judges(side: Side | None, dimension: str) -> int:
    if side is None:
        return 0
    return side.judges if dimension == EVERY else int(side.counts.get(dimension, 0))


def _lowest_share(sides, gaps: list[int], draws: int, rng: np.random.Generator) -> np.ndarray:
    """Share of draws in which each gap is the lowest, every side drawn once for all its gaps."""
    drawn = {
        name: _drawn(side, draws, rng)
        for name, side in sides.items()
        if name not in ("perceptions", "expectations", "differences")
    }
    survey = drawn.pop("survey")
    drawn |= {name: survey[name] for name in survey.columns.levels[0] if name in sides}
    found = []
    for gap in gaps:
        first, second = (drawn[name] for name in GAPS[gap][1:])
        both = [each for each in first.columns if each in second.columns]
        found.append((first[both] - second[both]).mean(axis=1).to_numpy())
    if not found:
        return np.array([])
    lowest = np.array(found).T
    return (lowest == lowest.min(axis=1, keepdims=True)).mean(axis=0)


def _drawn(side: Side, draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """The side's means as they might have come out: multivariate t around them."""
    values, vectors = np.linalg.eigh(side.influence.T @ side.influence)
    root = vectors * np.sqrt(values.clip(min=0))
    normal = rng.normal(size=(draws, len(root))) @ root.T
    freedom = max(int(side.counts.min()) - 1, 1)
    heavy = np.sqrt(rng.chisquare(freedom, draws) / freedom)
    return pd.DataFrame(normal / heavy[:, None] + side.means.to_numpy(), columns=side.means.index)


def _rows(table: pd.DataFrame):
    """Rows to read by attribute; ``name_`` because a row's own name is taken."""
    return table.rename(columns={"name": "name_"}).itertuples()
