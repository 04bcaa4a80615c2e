"""What should be improved first: what matters much and is done badly?"""

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
    need_columns,
    need_numbers,
    need_on_scale,
    need_one_of,
    need_share,
)
from sqm.finding import Finding, counted
from sqm.importance import coefficients, definite, lmg, relative_weights
from sqm.interval import percentiles, spell, student
from sqm.moments import as_correlations, resampled
from sqm.scales import never_vary

SOURCE = "the answers"
FEWEST = 30  # complete rows below which the resamples tell more of the rows than of customers
SETTLING = 0.9  # share of resamples that must be usable
NOT_SETTLED = "not settled"
MEASURES = {"johnson": relative_weights, "lmg": lmg}
CROSSHAIRS = ("mean", "median", "midpoint")

# Martilla, J. A., James, J. C. (1977). Importance-performance analysis. Journal of Marketing 41,
# 77-79. doi:10.1177/002224297704100112; by (important, performs well)
QUADRANTS = {
    (True, False): "concentrate here",
    (True, True): "keep up the good work",
    (False, False): "low priority",
    (False, True): "possible overkill",
}
CHANCES = ["p_concentrate", "p_keep_up", "p_low_priority", "p_overkill"]
MEANING = {
    "concentrate here": "worse",
    "keep up the good work": "better",
    "low priority": "usual",
    "possible overkill": "other",
    NOT_SETTLED: "limit",
}


@dataclass(frozen=True, eq=False)
class Priorities(Finding):
    """Importance against performance, with the probability of each quadrant.

    Attributes
    ----------
    table : DataFrame, one row per item or dimension
        ``item``; ``dimension``; ``importance``, ``importance_low``, ``importance_high`` (derived:
        share of the outcome's variance, 0 to 1; stated: mean points); ``performance``,
        ``performance_low``, ``performance_high`` (mean points); ``correlation`` with the outcome
        and ``coefficient`` beside all the others (-1 to 1, NaN for stated importance);
        ``p_concentrate``, ``p_keep_up``, ``p_low_priority``, ``p_overkill``, shares of the
        resamples in each quadrant; ``probability``, the largest of them; ``likeliest``, its
        quadrant; ``quadrant``, the same if its probability reaches ``certainty``, else "not
        settled"; ``moved_by``, the crosshairs under which the sample's own quadrant would be
        another; ``suppressor``, whether coefficient and correlation point in opposite ways, both
        clear of 0; ``note``.
    outcome : str
        What importance was derived from; empty if importance was stated.
    measure : str
        "johnson", "lmg" or "stated".
    crosshair : str
        "mean", "median" or "midpoint".
    importance_cut, performance_cut : float
        Where the crosshair lies.
    explained, explained_low, explained_high : float
        Share of the outcome's variance that all together explain, adjusted for their number; NaN
        for stated importance.
    respondents, left_out : int
        Complete rows, and the others.
    certainty : float
        Probability below which no quadrant is named.
    confidence : float
    resamples : int
    """

    outcome: str
    measure: str
    crosshair: str
    importance_cut: float
    performance_cut: float
    explained: float
    explained_low: float
    explained_high: float
    respondents: int
    left_out: int
    certainty: float
    confidence: float
    resamples: int

    def sentence(self) -> str:
        settled = self.table[self.table["quadrant"] != NOT_SETTLED]
        words = [self._answer(settled)]
        words.append(
            f"{len(settled)} of {counted(len(self.table), self._kind())} are settled: the quadrant "
            f"holds in at least {self.certainty:.0%} of {self.resamples:,} resamples of "
            f"importance, performance and the crosshair ({self.crosshair}) together."
        )
        words.append(self._importance())
        words.append(
            f"Complete answers only: {counted(self.respondents, 'respondent')}, "
            f"{self.left_out:,} left out for a blank."
        )
        words += self._cautions()
        return " ".join(words).replace("\n ", "\n")

    def _kind(self) -> str:
        return "dimension" if self.table["item"].equals(self.table["dimension"]) else "item"

    def _answer(self, settled: pd.DataFrame) -> str:
        first = settled[settled["quadrant"] == "concentrate here"]
        if first.empty:
            rows = self.table.sort_values(["p_concentrate", "item"], ascending=[False, True])
            row = rows.iloc[0]
            return (
                f"No {self._kind()} is surely important and done badly; nearest is "
                f"{look.shorten(row['item'])}, in {row['p_concentrate']:.0%} of resamples.\n"
            )
        first = first.sort_values(["importance", "item"], ascending=[False, True])
        row = first.iloc[0]
        found = spell(
            row["performance"],
            row["performance_low"],
            row["performance_high"],
            confidence=self.confidence,
            unit="points",
        )
        more = f" ({counted(len(first) - 1, 'other')} too)" if len(first) > 1 else ""
        return (
            f"Improve first: {look.shorten(row['item'])}{more}; it matters much and is done badly "
            f"in {row['probability']:.0%} of resamples; performance {found}.\n"
        )

    def _importance(self) -> str:
        if self.measure == "stated":
            return "Importance is what respondents stated, as a mean."
        names = {"johnson": "Johnson's relative weights", "lmg": "LMG"}
        found = spell(
            100 * self.explained,
            100 * self.explained_low,
            100 * self.explained_high,
            confidence=self.confidence,
            digits=0,
            unit="%",
        )
        return (
            f"Importance is derived from {self.outcome} ({names[self.measure]}): all together "
            f"account for {found} of its variance once what chance adds is taken out "
            f"({100 * self.table['importance'].sum():.0f} % with it, which is what the importances "
            "add up to); intervals are approximate. Importance has no sign, and it is association, "
            "not what an improvement would bring."
        )

    def _cautions(self) -> list[str]:
        words = []
        moved = self.table.loc[self.table["moved_by"] != "", "item"]
        if len(moved):
            words.append(f"Another crosshair would move {_named(moved)}.")
        against = self.table.loc[self.table["note"] == "runs against the outcome", "item"]
        if len(against):
            words.append(
                f"Runs against {self.outcome} (negative correlation), so do not improve it for "
                f"that: {_named(against)}."
            )
        hidden = self.table.loc[self.table["suppressor"], "item"]
        if len(hidden):
            words.append(
                f"Beside the others the sign turns (suppressor): {_named(hidden)}; read its "
                "importance with care."
            )
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for row in self.table.itertuples():
            what = MEANING[row.quadrant]
            colour = look.MEANING[what]
            x, y = row.performance, row.importance
            ax.plot([row.performance_low, row.performance_high], [y, y], color=colour, lw=1)
            ax.plot([x, x], [row.importance_low, row.importance_high], color=colour, lw=1)
            ax.plot(x, y, marker=look.MARKER[what], color=colour, ms=6, ls="")
            ax.annotate(
                look.shorten(row.item, width=24),
                (x, y),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
        ax.axvline(self.performance_cut, color=look.MEANING["limit"])
        ax.axhline(self.importance_cut, color=look.MEANING["limit"])
        self._legend(ax)
        unit = "stated, points" if self.measure == "stated" else "share of the outcome's variance"
        return look.label(
            ax,
            title="What matters much and is done badly?",
            x="performance (mean, points)",
            y=f"importance ({unit})",
        )

    def _legend(self, ax: Axes) -> None:
        for quadrant in [each for each in MEANING if each in set(self.table["quadrant"])]:
            what = MEANING[quadrant]
            marker, colour = look.MARKER[what], look.MEANING[what]
            ax.plot([], [], marker=marker, color=colour, ls="", label=quadrant)
        ax.legend(fontsize="x-small", frameon=False)


def importance_performance(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    by: str = "item",
    outcome: str = "satisfaction",
    stated: dict[str, str] | None = None,
    measure: str = "johnson",
    crosshair: str = "mean",
    points: tuple[float, float],
    certainty: float = 0.8,
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Priorities:
    """Place every item, or dimension, by how much it matters and how well it is done.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in points of one scale, items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each dimension.
    by : {"item", "dimension"}
        What is placed; a dimension is the mean of its items.
    outcome : str, default "satisfaction"
        Column that importance is derived from.
    stated : dict of str to str, optional
        The column in which respondents say how important each item is; the outcome is then not
        used.
    measure : {"johnson", "lmg"}
        How importance is derived; lmg takes at most fifteen.
    crosshair : {"mean", "median", "midpoint"}
        Where the quadrants meet: mean or median of the items' values, or the midpoint of the
        scale.  Derived importance has no scale, so its line then stays at the mean.
    points : tuple of float
        Lowest and highest point of the scale of the items (and of stated importance).
    certainty : float, default 0.8
        Probability below which no quadrant is named.
    confidence : float, default 0.95
        Level of each interval on its own.
    resamples : int, default 1000
        Bootstrap samples of respondents.
    rng : Generator

    Returns
    -------
    Priorities

    Raises
    ------
    Problem
        If an answer is off the scale, a name is unknown, or lmg is given too many items.
    Refusal
        With fewer than two items, thirty complete rows, an item or outcome that never varies,
        or items of which one follows from the others.

    Notes
    -----
    An item on the line counts as above it.  Performance has Student's interval, derived
    importance the bootstrap's percentiles (approximate: 93 to 95 % in simulations of 5 and 14 items
    at n = 60 to 400).  The explained share is Ezekiel's adjusted R squared [2]_; its interval is
    normal for the inverse hyperbolic tangent of the root, with the standard error from each
    respondent's influence on it, residuals inflated by their leverage (94 to 98 % in the same
    simulations; 87 to 94 % where answers have very long tails).  The quadrant's
    probability is the share of resamples in it; each computes importance, performance and
    crosshair anew.  It says how steady the label is, not how well the survey was done.

    References
    ----------
    .. [1] Martilla, J. A., James, J. C. (1977). Importance-performance analysis. Journal of
       Marketing 41, 77-79. doi:10.1177/002224297704100112
    .. [2] Ezekiel, M. (1930). Methods of Correlation Analysis. Wiley.

    Examples
    --------
    ``quick`` makes satisfaction and is done badly, ``neat`` the other way round.

    >>> rng = np.random.default_rng(1)
    >>> answers = pd.DataFrame({"quick": rng.integers(1, 4, 200), "neat": rng.integers(4, 7, 200)})
    >>> answers["satisfaction"] = answers["quick"] + rng.integers(0, 2, 200)
    >>> found = importance_performance(answers, dimensions={"all": ["quick", "neat"]},
    ...                                points=(1, 7), rng=rng)
    >>> found.table["quadrant"].tolist()
    ['concentrate here', 'possible overkill']
    """
    _need_settings(by, measure, crosshair, certainty, confidence, resamples)
    parts = _parts(dimensions, by)
    values, left_out = _values(answers, parts, outcome, stated, points)
    measure = "stated" if stated else measure
    _need_enough(values, parts, outcome, stated)
    spread = np.cov(values, rowvar=False)
    sample = _measured(values.mean(axis=0), spread, len(parts), measure)
    drawn = _drawn(values, len(parts), measure, resamples, rng)
    cuts = _cuts(sample[0], sample[1], crosshair, points, measure)
    table = _table(sample, drawn, values, measure, (crosshair, points), certainty, confidence)
    table.insert(0, "item", list(parts))
    table.insert(1, "dimension", [_home(name, dimensions, by) for name in parts])
    explained = (np.nan,) * 3
    if not stated:
        explained = _explained(values, len(parts), confidence)
    return Priorities(
        table=table,
        outcome="" if stated else outcome,
        measure=measure,
        crosshair=crosshair,
        importance_cut=float(cuts[0]),
        performance_cut=float(cuts[1]),
        explained=explained[0],
        explained_low=explained[1],
        explained_high=explained[2],
        respondents=len(values),
        left_out=left_out,
        certainty=certainty,
        confidence=confidence,
        resamples=len(drawn[0]),
    )


# --- The numbers ----------------------------------------------------------------------------------


def _need_settings(by, measure, crosshair, certainty, confidence, resamples) -> None:
    need_one_of(by, ("item", "dimension"), name="by")
    need_one_of(measure, MEASURES, name="measure")
    need_one_of(crosshair, CROSSHAIRS, name="crosshair")
    need_share(certainty, name="certainty")
    need_share(confidence, name="confidence")
    if resamples < 100:
        raise Problem(f"{resamples} resamples are asked for.", "draw at least 100.")


def _parts(dimensions: dict[str, list[str]], by: str) -> dict[str, list[str]]:
    """What is placed, and the columns that make it."""
    parts = dimensions
    if by == "item":
        parts = {item: [item] for items in dimensions.values() for item in items}
    empty = [name for name, items in parts.items() if not items]
    if empty:
        raise Problem(f"The dimension {empty[0]!r} has no item.", "list its items.")
    if len(parts) < 2:
        raise Refusal(
            f"There is {len(parts)} {by} to place, and priorities are a comparison.",
            "name at least two.",
        )
    return parts


def _values(answers, parts, outcome, stated, points) -> tuple[np.ndarray, int]:
    """Complete rows: the parts, then the outcome or what is stated of each part."""
    items = [item for each in parts.values() for item in each]
    wanted = list(dict.fromkeys(items))
    if stated:
        alone = [item for item in wanted if item not in stated]
        if alone:
            raise Problem(
                f"No stated importance is named for {', '.join(alone)}.",
                "name the column of each item, or leave `stated` out.",
            )
        wanted += [stated[item] for item in wanted]
    columns = [*wanted] if stated else [*wanted, outcome]
    need_columns(answers, columns, source=SOURCE)
    need_numbers(answers, columns, source=SOURCE)
    need_on_scale(answers[wanted].astype(float), points=points, source=SOURCE)
    whole = answers[list(dict.fromkeys(columns))].astype(float).dropna()
    made = [whole[each].mean(axis=1) for each in parts.values()]
    if stated:
        made += [whole[[stated[item] for item in each]].mean(axis=1) for each in parts.values()]
    else:
        made.append(whole[outcome])
    return np.column_stack(made), len(answers) - len(whole)


def _need_enough(values, parts, outcome, stated) -> None:
    if len(values) < FEWEST:
        raise Refusal(
            f"{SOURCE} has {counted(len(values), 'respondent')} with every answer, and quadrants "
            f"need {FEWEST}.",
            "collect more, place dimensions in place of items, or ask fewer questions.",
        )
    if len(values) <= len(parts) + 1 and not stated:
        raise Refusal(
            f"{SOURCE} has {len(values)} complete rows for {len(parts)} items.", "collect more."
        )
    names = [*parts] if stated else [*parts, outcome]
    flat = [] if stated else never_vary(values, names)
    if flat:
        raise Refusal(
            f"Everyone gave the same answer to {', '.join(flat)}.",
            "leave it out: what never varies cannot be weighed.",
        )


def _split(spread: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    correlations = as_correlations(spread)
    return correlations[..., :k, :k], correlations[..., :k, k]


def _measured(means: np.ndarray, spread: np.ndarray, k: int, measure: str) -> tuple:
    """Importance, performance, correlation with the outcome and coefficient, each (..., k)."""
    if measure == "stated":
        unknown = np.full_like(means[..., :k], np.nan)
        return means[..., k:], means[..., :k], unknown, unknown
    among, with_outcome = _split(spread, k)
    importance = MEASURES[measure](among, with_outcome)
    return importance, means[..., :k], with_outcome, coefficients(among, with_outcome)


def _drawn(values, k, measure, resamples, rng) -> tuple:
    """The same four of every resample; those in which an item never varies are left out."""
    means, spread = resampled(values, resamples=resamples, rng=rng)
    if measure != "stated":
        good = definite(as_correlations(spread)[:, :k, :k])
        good &= spread[:, k, k] > 0
        if good.mean() < SETTLING:
            raise Refusal(
                f"In {1 - good.mean():.0%} of resamples the items' correlations break down.",
                "collect more answers, or place dimensions in place of items.",
            )
        means, spread = means[good], spread[good]
    return _measured(means, spread, k, measure)


def _cuts(importance, performance, crosshair, points, measure) -> tuple:
    """The crosshair, one for every resample."""
    if crosshair == "midpoint":
        middle = np.full(performance.shape[:-1], sum(points) / 2)
        return (middle if measure == "stated" else importance.mean(axis=-1)), middle
    centre = np.mean if crosshair == "mean" else np.median
    return centre(importance, axis=-1), centre(performance, axis=-1)


def _placed(importance, performance, crosshair, points, measure) -> np.ndarray:
    """Which quadrant, 0 to 3 in the order of ``QUADRANTS``."""
    across, along = _cuts(importance, performance, crosshair, points, measure)
    important = importance >= across[..., None] - 1e-12
    good = performance >= along[..., None] - 1e-12
    return np.where(important, good.astype(int), 2 + good)


def _explained(values: np.ndarray, k: int, confidence: float) -> tuple[float, float, float]:
    """Share of the outcome's variance that all parts explain, less what chance adds to it."""
    n, outcome = len(values), values[:, k] - values[:, k].mean()
    basis, _ = np.linalg.qr(np.column_stack([np.ones(n), values[:, :k]]))
    left = outcome - basis @ (basis.T @ outcome)
    variance = float((outcome**2).mean())
    unexplained = float((left**2).mean()) / variance * (n - 1) / (n - k - 1)
    if unexplained < 1e-9:
        return (1.0, 1.0, 1.0)
    leverage = np.clip((basis**2).sum(axis=1), 0, 0.95)
    usable = min(unexplained, 1 - 1 / n)  # the root of the share is taken: never nought
    moved = (left**2 / (1 - leverage) - usable * outcome**2) / variance
    root = np.sqrt(1 - usable)
    half = moved.std(ddof=1) / np.sqrt(n) / (2 * root * usable)
    half *= stats.norm.ppf((1 + confidence) / 2)
    low, high = np.tanh(np.arctanh(root) + np.array([-half, half]))
    return max(1 - unexplained, 0.0), float(max(low, 0.0) ** 2), float(high**2)


def _table(sample, drawn, values, measure, line, certainty, confidence) -> pd.DataFrame:
    importance, performance, correlation, coefficient = sample
    k = len(importance)
    _, worst, best = student(values[:, :k], confidence=confidence)
    if measure == "stated":
        _, low, high = student(values[:, k:], confidence=confidence)
    else:
        low, high = percentiles(drawn[0], confidence=confidence)
    table = {"importance": importance, "importance_low": low, "importance_high": high}
    table |= {"performance": performance, "performance_low": worst, "performance_high": best}
    table |= {"correlation": correlation, "coefficient": coefficient}
    table = pd.DataFrame(table)
    places = _placed(drawn[0], drawn[1], *line, measure)
    for place, name in enumerate(CHANCES):
        table[name] = (places == place).mean(axis=0)
    likeliest = table[CHANCES].to_numpy().argmax(axis=1)
    named = list(QUADRANTS.values())
    table["probability"] = table[CHANCES].max(axis=1)
    table["likeliest"] = [named[place] for place in likeliest]
    table["quadrant"] = table["likeliest"].where(table["probability"] >= certainty, NOT_SETTLED)
    table["moved_by"] = _moved_by(sample, line, measure)
    return _signs(table, drawn, measure, confidence)


def _moved_by(sample, line, measure) -> list[str]:
    own = _placed(sample[0], sample[1], *line, measure)
    others = {name: _placed(sample[0], sample[1], name, line[1], measure) for name in CROSSHAIRS}
    return [
        ", ".join(name for name, places in others.items() if places[i] != own[i])
        for i in range(len(own))
    ]


def _signs(table, drawn, measure, confidence) -> pd.DataFrame:
    """Importance has no sign: say which way an item goes alone, and beside the others."""
    if measure == "stated":
        return table.assign(suppressor=False, note="")
    alone, beside = (
        np.where(low > 0, 1, np.where(high < 0, -1, 0))
        for low, high in (percentiles(each, confidence=confidence) for each in drawn[2:])
    )
    note = np.where(alone < 0, "runs against the outcome", "")
    return table.assign(suppressor=alone * beside < 0, note=note)


def _home(name: str, dimensions: dict[str, list[str]], by: str) -> str:
    if by == "dimension":
        return name
    return next(dimension for dimension, items in dimensions.items() if name in items)


def _named(items: pd.Series) -> str:
    return ", ".join(look.shorten(str(item)) for item in items)
