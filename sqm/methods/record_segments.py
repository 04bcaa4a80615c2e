"""Which kinds of complaint are there, by what is recorded of them?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from sqm import interval, look
from sqm.checks import Problem, Refusal, need_share
from sqm.finding import Finding, counted, listed

COLUMNS = (
    "category", "product", "channel", "site", "region", "language", "severity", "amount",
    "resolution_d",
)  # fmt: skip
FEWEST_ROWS = 200
MOST_FORMED = 4_000  # records that form the segments; all others describe them
MOST_SILHOUETTE = 600  # records for Ward's tree and for separation, for time's sake
RARE = 0.01  # a level of fewer records is joined with other such levels
MOST_DIMENSIONS = 10
NULLS = 30  # sets of records without segments, of each of the two kinds
NULL_SETS, NULL_RESAMPLES = 3, 3
DRAWN = 0.8
TELLING = 3  # attributes named for a segment
BLANK, RARE_LEVELS = "(blank)", "(rare levels)"
SIZE, LEVEL, NUMBER, COST, OUTCOME = "size", "level", "number", "share of cost", "outcome"


@dataclass(frozen=True, eq=False)
class Segments(Finding):
    """Kinds of record, formed on one part of the records and described on the other.

    Attributes
    ----------
    table : DataFrame, one row per segment and thing told of it; empty if there is no segment
        ``segment``, by size from 1; ``kind``: "size" (share of the records), "level" (share of
        the segment with that level), "number" (median), "share of cost" (of all cost),
        "outcome" (share of the segment that ended so); ``column``, ``level``; ``estimate, low,
        high``; ``elsewhere``, the same of the other records; ``effect, effect_low, effect_high``,
        the standardised difference (levels and outcomes: Cohen's h; numbers: difference of the
        means of normal scores, in standard deviations); ``tells``, whether it is one of the
        three that set the segment apart where it was formed; ``records``; ``stability,
        stability_low, stability_high, chance``, on the rows "size" (0 to 1).
    segments : int
        0 if none is found.
    tried : tuple of int
        Numbers of segments tried.
    separation, separation_by_chance : float
        Mean silhouette (-1 to 1) of the segments (of the best number tried, if none is found), and
        what records without segments stay below, at any number tried, in 95 of 100 cases.
    stability : float
        Of the least stable segment.
    records, formed, described : int
    used, passed_over : tuple of str
        Columns, and those not used with the reason.
    filled : tuple of str
        Numbers with blanks, which were read as the median, with their count.
    bar, confidence : float
    resamples : int
    """

    segments: int
    tried: tuple[int, ...]
    separation: float
    separation_by_chance: float
    stability: float
    records: int
    formed: int
    described: int
    used: tuple[str, ...]
    passed_over: tuple[str, ...]
    filled: tuple[str, ...]
    bar: float
    confidence: float
    resamples: int

    def sentence(self) -> str:
        return f"{self._first()}\n{' '.join(filter(None, [self._told(), *self._basis()]))}"

    def _first(self) -> str:
        if not self.segments and self.separation <= self.separation_by_chance:
            return (
                "No segments are shown: the records are no further apart than those that differ by "
                f"degrees only (separation {self.separation:.2f} at best; "
                f"{self.separation_by_chance:.2f} is reached without any segment)."
            )
        if not self.segments:
            return (
                "No segments: what looks like kinds of complaint does not come back in resamples "
                f"(stability {self.stability:.2f}, {self.bar:g} is asked)."
            )
        largest = self.table[self.table["kind"] == SIZE].iloc[0]
        limits = (100 * largest[c] for c in ("estimate", "low", "high"))
        spelt = interval.spell(*limits, confidence=self.confidence, digits=0, unit="%")
        return (
            f"{counted(self.segments, 'kind')} of complaint by what is recorded of them; the "
            f"largest ({self._apart(1, 2)}) is {spelt} of the records."
        )

    def _apart(self, segment: int, most: int) -> str:
        """What sets a segment apart, in words: only what the other records bear out."""
        rows = self.table[(self.table["segment"] == segment) & self.table["tells"]]
        rows = rows[(rows["effect_low"] > 0) | (rows["effect_high"] < 0)]
        rows = rows.assign(size=rows["effect"].abs()).sort_values("size", ascending=False)
        said = [
            f"{r.column} {look.shorten(r.level, width=30)} {100 * r.estimate:.0f} % against "
            f"{100 * r.elsewhere:.0f} %"
            if r.kind == LEVEL
            else f"median {r.column} {r.estimate:,.4g} against {r.elsewhere:,.4g}"
            for r in rows.head(most).itertuples()
        ]
        return "; ".join(said) or "nothing the other records bear out"

    def _told(self) -> str:
        if not self.segments:
            return ""
        sizes = self.table[self.table["kind"] == SIZE]
        each = [
            f"{r.segment} ({100 * r.estimate:.0f} %, stability {r.stability:.2f}): "
            f"{self._apart(r.segment, 2)}"
            for r in sizes.itertuples()
        ]
        return f"Segments: {listed(each, most=6, apart=' | ')}."

    def _basis(self) -> list[str]:
        chosen = (
            f"Tried: {', '.join(map(str, self.tried))} segments, on {self.formed:,} of "
            f"{self.records:,} records; a number counts where every segment comes back in "
            f"{self.resamples} resamples (Jaccard {self.bar:g} or more, and above chance) and all "
            "are further apart than in records whose columns were shuffled, and in records that "
            "differ by degrees only (one normal cloud with these correlations)."
        )
        halves = (
            f"Sizes and differences are of the other {self.described:,} records; they describe, "
            "since the same attributes formed the segments."
            if self.segments
            else ""
        )
        words = [chosen, halves, f"Used: {', '.join(self.used)}; numbers by their ranks."]
        if self.passed_over:
            words.append(f"Passed over: {listed(self.passed_over, most=6, apart='; ')}.")
        if self.filled:
            words.append(f"Blanks read as the median: {', '.join(self.filled)}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what sets each segment apart: standardised differences with intervals."""
        ax = look.axes(ax)
        title = "Which kinds of complaint are there?"
        rows = self.table[self.table["tells"].astype(bool)] if self.segments else self.table
        if rows.empty:
            ax.text(0.5, 0.5, "no segments: a continuum", ha="center", transform=ax.transAxes)
            ax.set(xticks=[], yticks=[])
            return look.label(ax, title=title)
        names = [
            f"{r.segment} · {r.column}{' ' + r.level if r.level else ''}" for r in rows.itertuples()
        ]
        drawn = pd.DataFrame(
            {"estimate": rows["effect"], "low": rows["effect_low"], "high": rows["effect_high"]}
        )
        meaning = ["usual" if r.segment % 2 else "other" for r in rows.itertuples()]
        look.dots(ax, drawn, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"])
        words = f"{self.confidence * 100:.4g}% interval"
        return look.label(
            ax, title=title, x=f"difference from the other records (standardised), {words}"
        )


def record_segments(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    columns: Sequence[str] = COLUMNS,
    cost: str = "cost",
    outcome: str = "outcome",
    k: Sequence[int] = (2, 3, 4, 5, 6, 8),
    resamples: int = 30,
    bar: float = 0.75,
    confidence: float = 0.95,
) -> Segments:
    """Look for kinds of complaint in what is recorded of them, and try whether they are real.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    rng : Generator
        Chance, for the halves, the resamples and the comparison with chance.
    columns : sequence of str
        What forms the segments: numbers by their ranks, anything else by its levels.  One that is
        not there, has one value, or is decided by a finer one is passed over and named.
    cost, outcome : str
        Columns that are told of each segment but form none; passed over where they are not there.
    k : sequence of int
        Numbers of segments to try.
    resamples : int, default 30
    bar : float, default 0.75
        Stability that every segment must reach [1]_.
    confidence : float, default 0.95

    Returns
    -------
    Segments
        ``segments`` is 0 and the table empty where the records form no kinds.

    Raises
    ------
    Problem
        If a column names each record (an identifier), or a setting is out of range.
    Refusal
        If fewer than two columns can be used, or there are fewer than 200 records.

    Notes
    -----
    Half of the records, 4,000 at most, form the segments, the others describe them.  Factor
    analysis of mixed data [2]_: normal scores of the ranks of numbers and indicators of levels
    divided by the root of their share; its dimensions are kept while their inertia exceeds that
    of columns shuffled independently (19 in 20 times).  k-means, started from the centres of
    Ward's clusters, groups the scores.

    A number of segments counts where (a) every segment's mean best Jaccard over resamples of 80 %
    reaches ``bar`` [1]_ and the 95th percentile of segments of shuffled columns, and (b) the mean
    silhouette lies above that of 30 sets of shuffled columns, and of 30 sets drawn from one normal
    cloud that is cut into the columns' own values (levels ordered by the first dimension) and
    shows their correlations, after the idea of SigClust [3]_; above means by more standard
    deviations than 95 in 100 of the sets reach at any number.  Stability alone
    would cut a continuum in two and find the halves again.  Of those that count, the one whose
    silhouette exceeds that of chance most is told.

    A blank level is a level of its own, a blank number the median.  Wilson's intervals for
    shares, order statistics for medians, linearisation for shares of cost; effects have the usual
    large-sample errors of two groups.

    References
    ----------
    .. [1] Hennig, C. (2007). Computational Statistics & Data Analysis 52, 258-271.
       doi:10.1016/j.csda.2006.11.025
    .. [2] Pagès, J. (2014). Multiple Factor Analysis by Example Using R. CRC Press, chapter 3.
    .. [3] Liu, Y., Hayes, D. N., Nobel, A., Marron, J. S. (2008). Journal of the American
       Statistical Association 103, 1281-1293. doi:10.1198/016214508000000454

    Examples
    --------
    >>> few = pd.DataFrame({"category": ["late", "bill"] * 9, "channel": ["web"] * 18})
    >>> record_segments(few, rng=np.random.default_rng(1))
    Traceback (most recent call last):
    sqm.checks.Refusal: The complaints are 18, fewer than the 200 that segments need.
      To mend: take a longer period.
    """
    ks = _need_settings(complaints, columns, k, resamples, bar, confidence)
    read = _read(complaints, columns)
    order = rng.permutation(len(complaints))
    size = min(len(order) // 2, MOST_FORMED)
    forming, other = np.sort(order[:size]), np.sort(order[size:])
    with threadpool_limits(limits=1):
        mixed = _Mixed.of(read.table.iloc[forming])
        tried = _tried(mixed, ks, resamples, bar, rng)
        best = max(tried, key=lambda each: (each.counts, each.separation - each.by_chance, -each.k))
        table = pd.DataFrame(columns=_TABLE)
        if best.counts:
            labels = best.assigned(mixed, read.table.iloc[other])
            table = _described(complaints, read, forming, other, best, labels, cost, outcome,
                               confidence)  # fmt: skip
    return Segments(
        table=table,
        segments=best.k if best.counts else 0,
        tried=tuple(ks),
        separation=best.separation,
        separation_by_chance=best.by_chance,
        stability=float(best.jaccard.mean(axis=0).min()),
        records=len(complaints),
        formed=size,
        described=len(other),
        used=tuple(read.table.columns),
        passed_over=read.passed_over,
        filled=read.filled,
        bar=bar,
        confidence=confidence,
        resamples=resamples,
    )


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Read:
    table: pd.DataFrame  # numbers as floats without blanks, levels as text
    passed_over: tuple[str, ...]
    filled: tuple[str, ...]


def _need_settings(complaints, columns, k, resamples, bar, confidence) -> list[int]:
    need_share(bar, name="bar")
    need_share(confidence, name="confidence")
    if not len(k) or not all(isinstance(each, int | np.integer) and each >= 2 for each in k):
        raise Problem(f"k is {list(k)}.", "give numbers of segments from 2 up.")
    if resamples < 10:
        raise Problem(f"{resamples} resamples show no stability.", "give 30 or so.")
    if isinstance(columns, str) or len(set(columns)) < len(list(columns)):
        raise Problem("`columns` is no list of different columns.", "name each column once.")
    if len(complaints) < FEWEST_ROWS:
        raise Refusal(
            f"The complaints are {len(complaints)}, fewer than the {FEWEST_ROWS} that segments "
            "need.",
            "take a longer period.",
        )
    return sorted(set(map(int, k)))


def _read(complaints: pd.DataFrame, columns: Sequence[str]) -> _Read:
    kept, passed, filled = {}, [], []
    for column in columns:
        if column not in complaints:
            passed.append(f"{column} (not there)")
            continue
        values = complaints[column]
        if _is_number(values):
            blank = int(values.isna().sum())
            number = values.astype("Float64").astype(float)
            if blank and blank < len(values):
                filled.append(f"{column} {blank:,}")
            kept[column] = number.fillna(number.median())
        elif (levels := _levels(values, column)) is None:
            passed.append(f"{column} (nearly every record has its own)")
        else:
            kept[column] = levels
    for column in [name for name, values in kept.items() if values.nunique() < 2]:
        kept.pop(column)
        passed.append(f"{column} (one value)")
    for finer, coarser in _decided(kept):
        if finer in kept and coarser in kept:
            kept.pop(finer)
            passed.append(f"{finer} (it decides {coarser})")
    if len(kept) < 2:
        raise Refusal(
            f"{counted(len(kept), 'column')} can be used; segments need two.",
            f"record more of each complaint. Passed over: {', '.join(passed) or 'none'}.",
        )
    return _Read(pd.DataFrame(kept), tuple(passed), tuple(filled))


def _is_number(values: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values)
    return numeric and not pd.api.types.is_bool_dtype(values)


def _levels(values: pd.Series, column: str) -> pd.Series | None:
    """Levels as text, the rare ones together; nothing if they name single records."""
    if pd.api.types.is_datetime64_any_dtype(values):
        raise Problem(f"{column!r} holds times.", "give a duration, or leave it out.")
    text = values.astype("str").str.strip().fillna(BLANK)
    text = text.mask(text.eq(""), BLANK)
    counts = text.value_counts()
    if len(counts) > len(text) / 2:
        return None
    rare = counts.index[counts < RARE * len(text)]
    return text.mask(text.isin(rare), RARE_LEVELS)


def _decided(kept: dict[str, pd.Series]) -> list[tuple[str, str]]:
    """Pairs of categories in which each level of the first has one level of the second only."""
    names = [name for name, values in kept.items() if not _is_number(values)]
    pairs = []
    for finer in names:
        for coarser in names:
            many, few = kept[finer].nunique(), kept[coarser].nunique()
            if finer == coarser or many < few or (many == few and finer < coarser):
                continue
            if not pd.crosstab(kept[finer], kept[coarser]).gt(0).sum(axis=1).gt(1).any():
                pairs.append((finer, coarser))
    return pairs


# --- Mixed data as scores -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Mixed:
    """What turns records into scores: learnt from the records that form the segments."""

    table: pd.DataFrame
    numbers: dict[str, np.ndarray]  # sorted values
    levels: dict[str, tuple[np.ndarray, np.ndarray]]  # levels and their shares

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Mixed:
        numbers, levels = {}, {}
        for column in table:
            if _is_number(table[column]):
                numbers[column] = np.sort(table[column].to_numpy(dtype=float))
            else:
                share = table[column].value_counts(normalize=True).sort_index()
                levels[column] = (share.index.to_numpy(dtype=object), share.to_numpy())
        return cls(table, numbers, levels)

    def blocks(self, table: pd.DataFrame) -> list[np.ndarray]:
        """One block of standardised columns for each attribute."""
        found = []
        for column in table:
            if column in self.numbers:
                found.append(_normal_scores(table[column], self.numbers[column])[:, None])
            else:
                names, share = self.levels[column]
                met = table[column].to_numpy(dtype=object)[:, None] == names
                found.append((met - share) / np.sqrt(share))
        return found


def _normal_scores(values: pd.Series, known: np.ndarray) -> np.ndarray:
    """Mid-ranks among known values, as quantiles of the normal distribution, of variance 1."""
    own = _quantile(known, known)
    return (_quantile(values.to_numpy(dtype=float), known) - own.mean()) / max(own.std(), 1e-12)


def _quantile(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return stats.norm.ppf(np.clip((below / 2 + 0.5) / (len(known) + 1), 1e-6, 1 - 1e-6))


def _axes_of(blocks: list[np.ndarray], dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues and axes of the covariance of all columns."""
    whole = np.hstack(blocks)
    values, vectors = np.linalg.eigh(whole.T @ whole / len(whole))
    return values[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]


def _shuffled(blocks: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    return [block[rng.permutation(len(block))] for block in blocks]


def _dimensions(blocks: list[np.ndarray], rng: np.random.Generator) -> int:
    """How many dimensions hold more than shuffled columns would; two at least."""
    most = min(MOST_DIMENSIONS, sum(block.shape[1] for block in blocks))
    found = _axes_of(blocks, most)[0]
    chance = np.array([_axes_of(_shuffled(blocks, rng), most)[0] for _ in range(NULLS)])
    above = found > np.quantile(chance, 0.95, axis=0)
    return max(int(np.argmin(above)) if not above.all() else most, 2)


# --- Numbers of segments --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Tried:
    """One number of segments, and whether it counts."""

    k: int
    labels: np.ndarray
    centres: np.ndarray
    axes: np.ndarray
    separation: float
    by_chance: float
    jaccard: np.ndarray  # (resamples, segments)
    chance: float
    counts: bool

    def assigned(self, mixed: _Mixed, table: pd.DataFrame) -> np.ndarray:
        """The nearest segment of other records, in blocks."""
        found = np.empty(len(table), dtype=int)
        for start in range(0, len(table), 50_000):
            part = np.hstack(mixed.blocks(table.iloc[start : start + 50_000])) @ self.axes
            far = (self.centres**2).sum(axis=1) - 2 * part @ self.centres.T
            found[start : start + len(part)] = far.argmin(axis=1)
        return found


def _tried(mixed: _Mixed, ks: list[int], resamples: int, bar: float, rng) -> list[_Tried]:
    blocks = mixed.blocks(mixed.table)
    dimensions = _dimensions(blocks, rng)
    axes = _axes_of(blocks, dimensions)[1]
    scores = np.hstack(blocks) @ axes
    labels = _partitions(scores, ks)
    separation = {k: _separation(scores, labels[k]) for k in ks}
    by_chance = _separation_by_chance(mixed, scores, ks, dimensions, rng)
    # stability is tried where separation shows segments, else of the best separated number alone
    apart = [k for k in ks if separation[k] > by_chance[k]]
    apart = apart or [max(ks, key=lambda k: separation[k] - by_chance[k])]
    again = _again(blocks, {k: labels[k] for k in apart}, dimensions, resamples, rng)
    chance = _stability_by_chance(blocks, apart, dimensions, rng)
    found = []
    for k in apart:
        steady = again[k].mean(axis=0).min() >= max(bar, chance[k])
        counts = bool(separation[k] > by_chance[k] and steady)
        centres = np.array([scores[labels[k] == each].mean(axis=0) for each in range(k)])
        found.append(_Tried(k, labels[k], centres, axes, separation[k], by_chance[k], again[k],
                            chance[k], counts))  # fmt: skip
    return found


def _partitions(scores: np.ndarray, ks: Sequence[int]) -> dict[int, np.ndarray]:
    """k-means from the centres of Ward's clusters, whose tree is grown on 600 at most."""
    thin = scores[:: -(-len(scores) // MOST_SILHOUETTE)]
    tree = linkage(thin, "ward")
    found = {}
    for k in ks:
        ward = fcluster(tree, k, "maxclust")
        starts = np.array([thin[ward == each].mean(axis=0) for each in np.unique(ward)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer different records than segments
            found[k] = KMeans(len(starts), init=starts, n_init=1, max_iter=50).fit_predict(scores)
    return found


def _separation(scores: np.ndarray, labels: np.ndarray) -> float:
    step = -(-len(scores) // MOST_SILHOUETTE)
    thin = labels[::step]
    return float(silhouette_score(scores[::step], thin)) if len(np.unique(thin)) > 1 else -1.0


def _again(blocks, labels: dict, dimensions: int, resamples: int, rng) -> dict[int, np.ndarray]:
    """Best Jaccard of each segment with one of a resample, dimensions learnt anew."""
    n = len(blocks[0])
    found = {k: np.zeros((resamples, k)) for k in labels}
    for draw in range(resamples):
        chosen = np.sort(rng.choice(n, round(DRAWN * n), replace=False))
        part = [block[chosen] for block in blocks]
        anew = _partitions(np.hstack(part) @ _axes_of(part, dimensions)[1], list(labels))
        for k, known in labels.items():
            found[k][draw] = _jaccard(known[chosen], anew[k], k)
    return found


def _jaccard(one: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
    both = np.zeros((k, k))
    np.add.at(both, (one, other), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return (both / np.maximum(either, 1)).max(axis=1)


def _separation_by_chance(mixed, scores, ks, dimensions, rng) -> dict[int, float]:
    """What separation stays below in shuffled columns and by degrees only, at any number."""
    blocks, degrees = mixed.blocks(mixed.table), _Degrees.of(mixed, scores[:, 0], rng)
    shuffled, by_degrees = ({k: [] for k in ks} for _ in range(2))
    for _ in range(NULLS):
        sets = _shuffled(blocks, rng), mixed.blocks(degrees.drawn(rng))
        for each, reached in zip(sets, (shuffled, by_degrees), strict=True):
            values = np.hstack(each) @ _axes_of(each, dimensions)[1]
            for k, labels in _partitions(values, ks).items():
                reached[k].append(_separation(values, labels))
    limits = [_family(reached) for reached in (shuffled, by_degrees)]
    return {k: max(each[k] for each in limits) for k in ks}


def _family(reached: dict[int, list[float]]) -> dict[int, float]:
    """A limit for each number, in like units, that 95 in 100 sets exceed at no number."""
    values = np.array(list(reached.values()))
    mean, spread = values.mean(axis=1), np.maximum(values.std(axis=1, ddof=1), 1e-9)
    most = np.quantile(((values - mean[:, None]) / spread[:, None]).max(axis=0), 0.95)
    return dict(zip(reached, (mean + most * spread).tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Degrees:
    """Records that differ by degrees only: one normal cloud, cut into the columns' own values."""

    ordered: dict[str, np.ndarray]  # the column's values, in order
    root: np.ndarray

    @classmethod
    def of(cls, mixed: _Mixed, first: np.ndarray, rng) -> _Degrees:
        """Levels are put in the order of their mean on the first dimension."""
        codes = {}
        for column, values in mixed.table.items():
            if column not in mixed.numbers:
                values = pd.Series(first, index=values.index).groupby(values).transform("mean")
            codes[column] = values
        ordered = {
            column: mixed.table[column].to_numpy()[np.argsort(values, kind="stable")]
            for column, values in codes.items()
        }
        wanted = np.corrcoef(np.column_stack([_scores_of(v) for v in codes.values()]).T)
        numbers = [np.sort(values.to_numpy(dtype=float)) for values in codes.values()]
        return cls(ordered, _root_of(_stretched(wanted, numbers, rng)))

    def drawn(self, rng: np.random.Generator) -> pd.DataFrame:
        n = len(next(iter(self.ordered.values())))
        latent = rng.normal(size=(n, len(self.root))) @ self.root.T
        ranks = latent.argsort(axis=0).argsort(axis=0)
        pairs = zip(self.ordered.items(), ranks.T, strict=True)
        return pd.DataFrame({column: values[rank] for (column, values), rank in pairs})


def _scores_of(values: pd.Series) -> np.ndarray:
    return _normal_scores(values, np.sort(values.to_numpy(dtype=float)))


def _stretched(wanted: np.ndarray, numbers: list[np.ndarray], rng) -> np.ndarray:
    """Correlations of the cloud that, cut into the columns' values, shows the wanted ones."""
    drawn, latent = rng.normal(size=(len(numbers[0]), len(numbers))), wanted
    for _ in range(4):
        ranks = (drawn @ _root_of(latent).T).argsort(axis=0).argsort(axis=0)
        cut = [_scores_of(pd.Series(n[rank])) for n, rank in zip(numbers, ranks.T, strict=True)]
        shown = np.corrcoef(np.column_stack(cut).T)
        latent = np.clip(latent + wanted - shown, -0.99, 0.99)
        np.fill_diagonal(latent, 1.0)
    return latent


def _root_of(correlations: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(correlations)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    return root / np.linalg.norm(root, axis=1, keepdims=True)


def _stability_by_chance(blocks, ks, dimensions, rng) -> dict[int, float]:
    """The 95th percentile of the stability of segments of shuffled columns."""
    steady = {k: [] for k in ks}
    for _ in range(NULL_SETS):
        mixed = _shuffled(blocks, rng)
        labels = _partitions(np.hstack(mixed) @ _axes_of(mixed, dimensions)[1], ks)
        for k, jaccard in _again(mixed, labels, dimensions, NULL_RESAMPLES, rng).items():
            steady[k].extend(jaccard.mean(axis=0))
    return {k: float(np.quantile(steady[k], 0.95)) for k in ks}


# --- What sets a segment apart --------------------------------------------------------------------

_TABLE = [
    "segment", "kind", "column", "level", "estimate", "low", "high", "elsewhere", "effect",
    "effect_low", "effect_high", "tells", "records", "stability", "stability_low",
    "stability_high", "chance",
]  # fmt: skip


def _described(
    complaints, read: _Read, forming, other, best: _Tried, labels, cost, outcome, confidence
) -> pd.DataFrame:
    """All segments, the largest first: described on the records that did not form them."""
    sizes = np.bincount(labels, minlength=best.k)
    order = np.lexsort((np.arange(best.k), -sizes))
    here, there = read.table.iloc[other], read.table.iloc[forming]
    rest = complaints.iloc[other]
    rows = []
    for number, label in enumerate(order, start=1):
        inside = labels == label
        told = [_size_row(inside, best, label, confidence)]
        features = _features(here, inside, confidence)
        first = _features(there, best.labels == label, confidence)
        telling = sorted(first, key=lambda each: (-abs(each["effect"]), each["column"]))[:TELLING]
        keys = {(each["column"], each["level"]) for each in telling}
        told += [each | {"tells": (each["column"], each["level"]) in keys} for each in features]
        told += _cost_rows(rest, inside, cost, confidence)
        if outcome in rest:
            told += [
                each | {"kind": OUTCOME}
                for each in _level_rows(rest[outcome], outcome, inside, confidence)
            ]
        rows += [{"segment": number} | each for each in told]
    return pd.DataFrame(rows).reindex(columns=_TABLE).fillna({"tells": False, "level": ""})


def _size_row(inside: np.ndarray, best: _Tried, label: int, confidence: float) -> dict:
    low, high = interval.wilson(inside.mean(), len(inside), confidence=confidence)
    jaccard = best.jaccard[:, label]
    tails = np.quantile(jaccard, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {
        "kind": SIZE, "column": "", "level": "", "estimate": float(inside.mean()), "low": low,
        "high": high, "records": int(inside.sum()), "stability": float(jaccard.mean()),
        "stability_low": float(tails[0]), "stability_high": float(tails[1]), "chance": best.chance,
    }  # fmt: skip


def _features(table: pd.DataFrame, inside: np.ndarray, confidence: float) -> list[dict]:
    if not inside.any() or inside.all():
        return []
    rows = []
    for column in table:
        if _is_number(table[column]):
            rows.append(_number_row(table[column], column, inside, confidence))
        else:
            rows += _level_rows(table[column], column, inside, confidence)
    return rows


def _level_rows(values: pd.Series, column: str, inside, confidence: float) -> list[dict]:
    """Share of each level, with Cohen's h against the other records."""
    text = values.astype("str").fillna(BLANK).to_numpy(dtype=object)
    a, b = int(inside.sum()), int((~inside).sum())
    if not a or not b:
        return []
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(1 / a + 1 / b)
    rows = []
    for level in sorted(set(text)):
        p, q = (text[inside] == level).mean(), (text[~inside] == level).mean()
        low, high = interval.wilson(p, a, confidence=confidence)
        h = float(2 * np.arcsin(np.sqrt(p)) - 2 * np.arcsin(np.sqrt(q)))
        rows.append(
            {
                "kind": LEVEL, "column": column, "level": level, "estimate": float(p), "low": low,
                "high": high, "elsewhere": float(q), "effect": h, "effect_low": h - half,
                "effect_high": h + half, "records": a,
            }
        )  # fmt: skip
    return rows


def _number_row(values: pd.Series, column: str, inside, confidence: float) -> dict:
    """Median with its order statistics, and the difference of normal scores."""
    all_of = values.to_numpy(dtype=float)
    z = _normal_scores(values, np.sort(all_of))
    a, b = z[inside], z[~inside]
    n = np.array([len(a), len(b)])
    spread = np.sqrt((n[0] * a.var() + n[1] * b.var()) / max(n.sum() - 2, 1))
    d = float((a.mean() - b.mean()) / max(spread, 1e-12))
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((1 / n).sum() + d**2 / (2 * n.sum()))
    low, high = _median_limits(all_of[inside], confidence)
    return {
        "kind": NUMBER, "column": column, "level": "", "estimate": float(np.median(all_of[inside])),
        "low": low, "high": high, "elsewhere": float(np.median(all_of[~inside])), "effect": d,
        "effect_low": d - half, "effect_high": d + half, "records": int(n[0]),
    }  # fmt: skip


def _median_limits(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Order statistics between which the median lies with that chance at least."""
    ordered, n = np.sort(values), len(values)
    below = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    place = max(below - 1, 0) if below else 0
    return float(ordered[place]), float(ordered[n - 1 - place])


def _cost_rows(records: pd.DataFrame, inside, cost: str, confidence: float) -> list[dict]:
    """The segment's share of all cost, with its interval by linearisation."""
    if cost not in records or not _is_number(records[cost]):
        return []
    money = records[cost].astype("Float64").astype(float).to_numpy()
    known = np.isfinite(money)
    money, part = money[known], inside[known]
    if not known.any() or money.sum() <= 0:
        return []
    share = float(money[part].sum() / money.sum())
    error = np.sqrt(interval.variance_of_sum((part - share) * money / money.sum()))
    half = stats.norm.ppf((1 + confidence) / 2) * error
    return [
        {
            "kind": COST, "column": cost, "level": "", "estimate": share,
            "low": max(share - half, 0.0), "high": min(share + half, 1.0),
            "elsewhere": 1 - share, "records": int(part.sum()),
        }
    ]  # fmt: skip
