"""Where does the service fall short of what customers expect?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding
from sqm.interval import spell

SOURCE = "the answers"
FEWEST = 10  # respondents below which a mean gap gets no interval


@dataclass(frozen=True, eq=False)
class Gaps(Finding):
    """Perception less expectation, by dimension of service quality.

    Attributes
    ----------
    table : DataFrame, one row per dimension
        ``dimension``; ``items``; ``respondents`` with every pair of answers;
        ``left_out``, who lack one; ``perception`` and ``expectation``, means in
        scale points; ``estimate``, ``low``, ``high``, the mean gap in scale
        points, negative where the service falls short; ``widest``, the share
        of resamples in which this gap is the lowest of all; ``reliability`` of
        a respondent's own gap (Cronbach's alpha of the item differences, two
        items: Spearman-Brown, NaN for one); ``note``.
    overall, low, high : float
        Mean of the dimensions' gaps, each counting alike, in scale points.
    respondents, left_out : int
        Respondents with every pair of at least one dimension, and the others.
    confidence : float
        Level of the intervals, 0 to 1.
    widest : str
        Dimension with the lowest gap.
    widest_share : float
        Share of resamples in which it is the lowest.
    resamples : int
        How many were drawn.
    same_answer : int
        Respondents whose perceptions equal their expectations item by item, on ten pairs or more.
    overall_without : float
        ``overall`` without them; NaN if there are none.
    """

    overall: float
    low: float
    high: float
    respondents: int
    left_out: int
    confidence: float
    widest: str
    widest_share: float
    resamples: int
    same_answer: int
    overall_without: float

    def sentence(self) -> str:
        row = self.table.loc[self.table["dimension"] == self.widest].iloc[0]
        words = [
            self._overall(),
            f"{'The widest shortfall is' if row['estimate'] < 0 else 'The smallest surplus is'} "
            f"in {self.widest}: {self._spelt(row['estimate'], row['low'], row['high'])}.\n",
            f"It rests on {row['respondents']} respondents, {row['left_out']} with a blank left "
            f"out, and is the lowest in {self.widest_share:.0%} of {self.resamples} resamples"
            f"{self._rival()}.",
        ]
        above = self.table.loc[self.table["low"] > 0, "dimension"]
        if len(above):
            words.append(f"Above expectation: {', '.join(above)}.")
        words += self._cautions()
        return " ".join(words).replace("\n ", "\n")

    def _overall(self) -> str:
        verb = "falls short of" if self.high < 0 else "exceeds" if self.low > 0 else "comes near"
        return (
            f"The service {verb} what respondents expect: "
            f"{self._spelt(self.overall, self.low, self.high)} over all dimensions, on "
            f"{self.respondents:,} respondents."
        )

    def _rival(self) -> str:
        rest = self.table[self.table["dimension"] != self.widest].dropna(subset="widest")
        if self.widest_share >= self.confidence or rest.empty:
            return ""
        next_row = rest.loc[rest["widest"].idxmax()]
        return f", {next_row['dimension']} in {next_row['widest']:.0%}: too close to tell which"

    def _spelt(self, *three: float) -> str:
        return spell(*three, confidence=self.confidence, unit="points")

    def _cautions(self) -> list[str]:
        known = self.table["reliability"].dropna()
        words = ["A gap is perception less expectation; those who did not answer may differ."]
        if self.same_answer:
            words.append(
                f"{self.same_answer} respondents gave perception and expectation the same answer "
                f"in every item: without them the overall gap is {self.overall_without:.2f}."
            )
        if len(known):
            words.append(
                f"The means stand; a single respondent's gap is only as good as its reliability "
                f"({known.min():.2f} to {known.max():.2f} by dimension)."
            )
        unsaid = self.table[self.table["estimate"].isna()]
        if len(unsaid):
            rest = "; ".join(f"{row.dimension} ({row.note})" for row in unsaid.itertuples())
            words.append(f"Not given: {rest}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.sort_values("estimate", kind="stable")
        look.dots(ax, rows, names=rows["dimension"], meaning=_meaning(rows))
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Where does the service fall short of what customers expect?",
            x="mean perception less expectation (scale points; below 0: short)",
        )


@dataclass(frozen=True, eq=False)
class ItemGaps(Finding):
    """Perception less expectation, item by item.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``dimension``, ``item``, ``expectation_item``; ``respondents`` who
        answered both; ``left_out``; ``perception`` and ``expectation``, means
        in scale points; ``estimate``, ``low``, ``high``, the mean gap in scale
        points, negative where the service falls short; ``note``.
    confidence : float
        Level of each interval on its own, 0 to 1.
    """

    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="low")
        if known.empty:
            return "No item has enough pairs of answers (see the notes)."
        row = known.loc[known["estimate"].idxmin()]
        found = spell(
            row["estimate"], row["low"], row["high"], confidence=self.confidence, unit="points"
        )
        return (
            f"{int((known['high'] < 0).sum())} of {len(known)} items fall short of expectation, "
            f"{int((known['low'] > 0).sum())} exceed it, each judged by its own interval. The "
            f"lowest is {row['item']} ({row['dimension']}): {found} on {row['respondents']} "
            f"respondents who answered both questions."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} · {row.item}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=_meaning(self.table))
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Which items fall short of what customers expect?",
            x="mean perception less expectation (scale points; below 0: short)",
        )


def servqual_gaps(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    expectations: dict[str, str],
    confidence: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator,
) -> Gaps:
    """Estimate each dimension's gap between perception and expectation.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points; items worded in reverse already turned round,
        perceptions and expectations alike.
    dimensions : dict of str to list of str
        The perception items of each dimension.
    expectations : dict of str to str
        The expectation item that belongs to each perception item.
    confidence : float, default 0.95
    resamples : int, default 2000
        Bootstrap samples of respondents for ``widest``.
    rng : Generator

    Returns
    -------
    Gaps
        A dimension with fewer than ten respondents gets NaN and a note.

    Raises
    ------
    Problem
        If a column is missing, or an item has no expectation.
    Refusal
        If no dimension has ten respondents with every pair of answers.

    Notes
    -----
    A respondent's gap is the mean of perception less expectation over the
    items of the dimension [1]_; the mean over respondents has Student's
    interval.  The overall gap is the mean of the dimensions' means; its
    standard error comes from each respondent's influence on it, so nobody is
    left out for a blank in one dimension.  Respondents are taken as
    independent.  Ten pairs without any difference are taken for a
    questionnaire that was not read: these respondents stay in, and the
    sentence says what they do to the overall gap.  Differences within one person
    are often unreliable although perceptions and expectations are not [2]_: hence
    ``reliability``.

    References
    ----------
    .. [1] Parasuraman, A., Zeithaml, V. A., Berry, L. L. (1988). SERVQUAL.
       Journal of Retailing 64, 12-40.
    .. [2] Peter, J. P., Churchill, G. A., Brown, T. J. (1993). Caution in the
       use of difference scores in consumer research. Journal of Consumer
       Research 19, 655-662. doi:10.1086/209329

    Examples
    --------
    Five respondents gap -1 and five -2: mean -1.5, standard deviation
    sqrt(10 * 0.25 / 9), half width 2.2622 * 0.5270 / sqrt(10) = 0.377.

    >>> answers = pd.DataFrame({"p1": [5, 4] * 5, "e1": 6})
    >>> found = servqual_gaps(answers, dimensions={"prompt": ["p1"]}, expectations={"p1": "e1"},
    ...                       rng=np.random.default_rng(1)).table.loc[0]
    >>> [round(float(found[name]), 3) for name in ("estimate", "low", "high")]
    [-1.5, -1.877, -1.123]
    """
    _need_pairs(answers, dimensions, expectations, confidence)
    differences = {
        name: _differences(answers, items, expectations) for name, items in dimensions.items()
    }
    scores = pd.DataFrame(
        {name: each.mean(axis=1, skipna=False) for name, each in differences.items()}
    )
    rows = [
        _row(answers, name, items, expectations, differences[name], confidence)
        for name, items in dimensions.items()
    ]
    table = pd.DataFrame(rows)
    known = table["estimate"].notna().to_numpy()
    if not known.any():
        raise Refusal(
            f"No dimension has {FEWEST} respondents with every pair of answers.",
            "collect more, or check that expectations and perceptions come from the same people.",
        )
    usable = scores.loc[:, known].dropna(how="all").to_numpy()
    share = np.full(len(table), np.nan)
    share[known] = _lowest_share(usable, resamples, rng)
    table.insert(table.columns.get_loc("high") + 1, "widest", share)
    overall, low, high = _mean_of_means(usable, confidence)
    same = _same_throughout(pd.concat(differences.values(), axis="columns"))
    without = scores.loc[~same, known].dropna(how="all").to_numpy()
    lowest = int(table["estimate"].idxmin())
    return Gaps(
        table=table,
        overall=overall,
        low=low,
        high=high,
        respondents=len(usable),
        left_out=len(answers) - len(usable),
        confidence=confidence,
        widest=str(table["dimension"][lowest]),
        widest_share=float(share[lowest]),
        resamples=resamples,
        same_answer=int(same.sum()),
        overall_without=float(np.nanmean(without, axis=0).mean())
        if same.any() and not np.isnan(without).all(axis=0).any()
        else np.nan,
    )


def item_gaps(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    expectations: dict[str, str],
    confidence: float = 0.95,
) -> ItemGaps:
    """Estimate each item's gap between perception and expectation.

    Parameters and errors are those of `servqual_gaps`; each item rests on the
    respondents who answered both of its questions.

    Examples
    --------
    >>> answers = pd.DataFrame({"p1": [5, 4] * 5, "e1": 6})
    >>> found = item_gaps(answers, dimensions={"prompt": ["p1"]}, expectations={"p1": "e1"})
    >>> float(found.table["estimate"][0])
    -1.5
    """
    _need_pairs(answers, dimensions, expectations, confidence)
    rows = []
    for name, items in dimensions.items():
        for item in items:
            difference = _differences(answers, [item], expectations)
            row = _row(answers, name, [item], expectations, difference, confidence)
            rows.append({**row, "item": item, "expectation_item": expectations[item]})
    columns = ["dimension", "item", "expectation_item", "respondents", "left_out", "perception"]
    columns += ["expectation", "estimate", "low", "high", "note"]
    return ItemGaps(table=pd.DataFrame(rows)[columns], confidence=confidence)


def _differences(answers: pd.DataFrame, items: list[str], expectations: dict) -> pd.DataFrame:
    return pd.DataFrame(
        {
            item: answers[item].astype(float) - answers[expectations[item]].astype(float)
            for item in items
        }
    )


def _same_throughout(differences: pd.DataFrame) -> pd.Series:
    """Who sees in every item exactly what they expect: more likely not read than felt."""
    nothing = differences.isna() | differences.eq(0)
    return nothing.all(axis="columns") & (differences.notna().sum(axis="columns") >= FEWEST)


def _row(answers, name, items, expectations, differences, confidence) -> dict:
    whole = differences.dropna()
    wanted = [expectations[item] for item in items]
    estimate, low, high = _mean_interval(whole.mean(axis="columns").to_numpy(), confidence)
    seen = answers.loc[whole.index]
    return {
        "dimension": name,
        "items": len(items),
        "respondents": len(whole),
        "left_out": len(answers) - len(whole),
        "perception": float(seen[items].astype(float).to_numpy().mean()) if len(seen) else np.nan,
        "expectation": float(seen[wanted].astype(float).to_numpy().mean()) if len(seen) else np.nan,
        "estimate": estimate,
        "low": low,
        "high": high,
        "reliability": _reliability(whole.to_numpy()),
        "note": "" if len(whole) >= FEWEST else f"only {len(whole)} respondents with every pair",
    }


def _mean_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    n = len(values)
    if n < FEWEST:
        return np.nan, np.nan, np.nan
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def _mean_of_means(scores: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of the column means, with the columns of a row correlated and blanks allowed."""
    n, there = len(scores), ~np.isnan(scores)
    means = np.nanmean(scores, axis=0)
    influence = (np.where(there, scores - means, 0.0) / there.mean(axis=0)).mean(axis=1)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * np.sqrt((influence**2).sum() / n / (n - 1))
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def _reliability(values: np.ndarray) -> float:
    """Alpha of the columns; of two, 2 r / (1 + r); NaN where it has no meaning."""
    n, k = values.shape
    if k < 2 or n < FEWEST or (np.ptp(values, axis=0) == 0).any():
        return np.nan
    if k == 2:
        r = np.corrcoef(values.T)[0, 1]
        return float(2 * r / (1 + r)) if r > -1 else np.nan
    total = values.sum(axis=1).var(ddof=1)
    if total == 0:
        return np.nan
    return float(k / (k - 1) * (1 - values.var(axis=0, ddof=1).sum() / total))


def _lowest_share(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Share of bootstrap samples in which each column has the lowest mean; ties are split."""
    n, there = len(scores), ~np.isnan(scores)
    times = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (times @ np.where(there, scores, 0.0)) / (times @ there)
    lowest = means == np.nanmin(means, axis=1, keepdims=True)
    return (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0)


def _meaning(rows: pd.DataFrame) -> np.ndarray:
    return np.select([rows["high"] < 0, rows["low"] > 0], ["worse", "better"], default="usual")


def _need_pairs(answers, dimensions, expectations, confidence) -> None:
    need_share(confidence, name="confidence")
    items = [item for each in dimensions.values() for item in each]
    empty = [name for name, each in dimensions.items() if not each]
    if not items or empty:
        raise Problem(
            f"The dimension {empty[0]!r} has no item." if empty else "No dimension is named.",
            "list the perception items of each dimension.",
        )
    alone = [item for item in items if item not in expectations]
    if alone:
        raise Refusal(
            f"No expectation is named for {', '.join(alone)}.",
            "name the expectation item of each perception item under data.survey.expectations.",
        )
    columns = [*items, *(expectations[item] for item in items)]
    need_columns(answers, columns, source=SOURCE)
    text = [each for each in columns if not pd.api.types.is_numeric_dtype(answers[each])]
    if text:
        raise Problem(
            f"{SOURCE}: {text[0]!r} does not hold numbers.",
            "give answers in scale points; name the codes of blanks under `missing`.",
        )
