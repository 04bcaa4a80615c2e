"""Which texts go together, and would another sample say the same?"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from sqm.text_vectors import (
    Counts,
    ReadTexts,
    TextSpace,
    as_read,
    count,
    learnt,
    placed,
    read_texts,
    space_of,
)
from sqm.wording import UNSPACED, apart, by_characters, zh_terms

TEXTS_A_THEME = 6  # on average, at least
SHARE_DRAWN = 0.8  # of the texts, in every resample
MOST_DRAWN = 3000  # texts in a resample, for time's sake
MOST_TREE = 1000  # texts in Ward's tree, which is quadratic in them
PILOT = 6  # resamples on which the number of themes is chosen
SHUFFLED, SHUFFLED_RESAMPLES = (3, 7), 5  # sets, fewest and most; and resamples of each
SHUFFLED_THEMES = 40  # groups of shuffled words that make a quantile, over the sets
COMPANY = 0.5  # of its occurrences in which a character meets its neighbour in a word
TOGETHER = 0.5  # of the resamples: a text that joins its theme less often is unclear
TERMS_JUDGED = 6  # of a theme, by whose company its coherence is judged
MOST_JUDGED = 10_000  # texts on which coherence is judged


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of texts, with the proof that they would be found again.

    Attributes
    ----------
    read : ReadTexts
    vectors : ndarray of float32, shape (texts, dimensions)
        0 where a text has nothing that is counted.
    labels : ndarray of int, shape (texts,)
        -1 where a text belongs to no group clearly.
    centres : ndarray of float32, shape (k, dimensions)
        Mean of the texts that belong to a group clearly.
    jaccard : ndarray, shape (resamples, k)
        Best Jaccard similarity of each group with a group of each resample.
    chance : float
        Stability below which the share ``confidence`` of groups of shuffled words stay.
    tried : DataFrame
        ``k``; ``stability`` and ``coherence``, means over texts; ``score``, their
        product, with its standard error ``error`` (over resamples, and between the
        two halves of the texts); ``chosen``.
    same_again : float
        Adjusted Rand index between these groups and those of another seed.
    space : TextSpace or None
        What places new texts; none where vectors were given.
    """

    read: ReadTexts
    vectors: np.ndarray
    labels: np.ndarray
    centres: np.ndarray
    jaccard: np.ndarray
    chance: float
    tried: pd.DataFrame
    same_again: float
    space: TextSpace | None


def clusters(
    texts: Sequence[str],
    *,
    language: str,
    rng: np.random.Generator,
    k: Sequence[int],
    resamples: int = 20,
    confidence: float = 0.95,
    vectors: np.ndarray | None = None,
) -> Clusters | None:
    """Group texts of one language, and try the groups on resamples.

    Parameters
    ----------
    texts : sequence of str, masked
    language : str
        How they are read, a code of `sqm.wording`.
    rng : Generator
    k : sequence of int
        Numbers of groups to try.
    resamples : int, default 20
    confidence : float, default 0.95
        Share of the groups of shuffled words that stay below ``chance``.
    vectors : ndarray, shape (texts, dimensions), optional
        Made elsewhere; learnt from the texts' own words if not given.

    Returns
    -------
    Clusters, or None
        Nothing if the texts have no word in common, or are too few (six a
        group) for every number in ``k``.

    Notes
    -----
    k-means started from the centres of Ward's groups, in the space of
    `text_vectors.TextSpace`, learnt anew in every resample of 80 % of the
    texts (3,000 at most).  Stability is the best Jaccard similarity of a group
    with one of the resample (Hennig 2007, doi:10.1016/j.csda.2006.11.025).
    Coherence is the normalised pointwise mutual information between a group's
    six terms, named on one half of the texts and judged on the other (Bouma
    2009; Roder, Both, Hinneburg 2015, doi:10.1145/2684822.2685324).  The number
    of groups is the smallest whose stability times coherence comes within one
    standard error of the best.  One thread computes it all, so that the number
    of threads cannot change the groups.

    Examples
    --------
    >>> bill, line = "invoice charged twice refund", "line busy nobody answered"
    >>> rng = np.random.default_rng(1)
    >>> texts = [" ".join(rng.permutation(words.split())[:3]) for words in [bill, line] * 30]
    >>> found = clusters(texts, language="en", rng=rng, k=[2], resamples=5)
    >>> found.labels[:4].tolist(), float(found.jaccard.mean())
    ([1, 0, 1, 0], 1.0)
    """
    with threadpool_limits(limits=1):
        read = read_texts(texts, language)
        source = _Source.of(read, vectors)
        counts = [each for each in sorted(set(k)) if each <= source.telling.sum() // TEXTS_A_THEME]
        return _found(source, counts, resamples, confidence, rng) if counts else None


def nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each text, and how clearly: its distance over that to the next.

    Examples
    --------
    >>> nearest_centre(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 3.0]]))
    (array([0]), array([0.5]))
    """
    square = (vectors**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * vectors @ centres.T
    far = np.sqrt(np.maximum(square, 0))
    if far.shape[1] == 1:
        return np.zeros(len(far), int), np.zeros(len(far))
    near = np.partition(far, 1, axis=1)[:, :2]
    return far.argmin(axis=1), near[:, 0] / np.maximum(near[:, 1], 1e-12)


# --- Where vectors come from ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Source:
    """Texts with counts, from which vectors are learnt anew, or with vectors that were given."""

    read: ReadTexts
    counts: Counts | None
    given: np.ndarray | None
    telling: np.ndarray  # which texts say something

    @classmethod
    def of(cls, read: ReadTexts, given: np.ndarray | None) -> _Source:
        counts = count(read)
        if given is not None:
            return cls(read, counts, given.astype(np.float32), np.abs(given).sum(axis=1) > 0)
        if counts is None:
            return cls(read, None, None, np.zeros(len(read.matter), bool))
        return cls(read, counts, None, counts.telling)

    def vectors(self, chosen: np.ndarray, seed: int) -> np.ndarray:
        if self.given is not None:
            return self.given[chosen]
        counts = self.counts.rows(chosen)
        return placed(counts, learnt(counts, seed))

    def shuffled(self, rng: np.random.Generator) -> _Source:
        """Of some of the texts, with what they say drawn from all of them alike."""
        places = np.flatnonzero(self.telling)
        most = round(MOST_DRAWN / SHARE_DRAWN)
        some = np.sort(rng.choice(places, min(len(places), most), replace=False))
        if self.given is not None:
            mixed = rng.permuted(self.given[some], axis=0)
            return _Source(self.read, None, mixed, np.ones(len(mixed), bool))
        matter = [self.read.matter[place] for place in some]
        return _Source.of(
            as_read(_shuffled(matter, self.read.language, rng), self.read.language), None
        )


def _shuffled(matter: list[str], language: str, rng: np.random.Generator) -> list[str]:
    """The same words in texts of the same lengths, drawn from all texts alike."""
    unspaced = by_characters(language)
    words = _company(matter) if unspaced else [text.split() for text in matter]
    mixed = rng.permutation(np.array([word for each in words for word in each], dtype=object))
    ends = np.cumsum([len(each) for each in words])
    between = "" if unspaced else " "
    return [
        between.join(mixed[end - len(each) : end]) for each, end in zip(words, ends, strict=True)
    ]


def _company(texts: list[str]) -> list[list[str]]:
    """Characters that keep company make a word, of up to four after two rounds."""
    units = [UNSPACED.findall(text) for text in texts]
    for _ in range(2):
        single = Counter(unit for each in units for unit in each)
        pairs = Counter(pair for each in units for pair in pairwise(each))
        bound = {
            pair
            for pair, n in pairs.items()
            if n >= 3 and n >= COMPANY * min(single[pair[0]], single[pair[1]])
        }
        units = [_merged(each, bound) for each in units]
    return units


def _merged(units: list[str], bound: set[tuple[str, str]]) -> list[str]:
    merged, at = [], 0
    while at < len(units):
        step = 2 if tuple(units[at : at + 2]) in bound else 1
        merged.append("".join(units[at : at + step]))
        at += step
    return merged


# --- Groups, and the same again -------------------------------------------------------------------


def _found(source: _Source, ks, resamples, confidence, rng) -> Clusters:
    places = np.flatnonzero(source.telling)
    seeds = rng.integers(2**31, size=2)
    vectors = source.vectors(places, int(seeds[0]))
    whole = _partitions(vectors, ks)
    coherent = _coherence(source, places, whole)
    best, tried = _choose(source, places, whole, coherent, rng)
    jaccard, together = _try_again(source, places, {best: whole[best]}, resamples, rng)[best]
    labels = np.full(len(source.telling), -1)
    labels[places] = np.where(together >= TOGETHER, whole[best], -1)
    everywhere = np.zeros((len(labels), vectors.shape[1]), np.float32)
    everywhere[places] = vectors
    again = _partitions(source.vectors(places, int(seeds[1])), ks)
    other, _ = _choose(source, places, again, _coherence(source, places, again), rng)
    return Clusters(
        read=source.read,
        vectors=everywhere,
        labels=labels,
        centres=_centres(everywhere, labels, whole[best], vectors, best),
        jaccard=jaccard,
        chance=_chance(source, best, confidence, rng),
        tried=tried,
        same_again=float(adjusted_rand_score(whole[best], again[other])),
        space=_space(source, places, int(seeds[0])),
    )


def _space(source: _Source, places: np.ndarray, seed: int) -> TextSpace | None:
    if source.given is not None:
        return None
    counts = source.counts.rows(places)
    return space_of(source.read, counts, learnt(counts, seed))


def _centres(everywhere, labels, whole, vectors, k) -> np.ndarray:
    """Means of the clear texts; of all of a group's texts where none is clear."""
    return np.array(
        [
            everywhere[labels == each].mean(axis=0)
            if (labels == each).any()
            else vectors[whole == each].mean(axis=0)
            if (whole == each).any()
            else np.zeros(vectors.shape[1])
            for each in range(k)
        ],
        dtype=np.float32,
    )


def _partitions(vectors: np.ndarray, ks: Sequence[int]) -> dict[int, np.ndarray]:
    """k-means started from the centres of Ward's groups: no luck of the start, any k at once."""
    step = -(-len(vectors) // MOST_TREE)
    thin = vectors[::step]
    tree = linkage(thin, "ward")
    return {k: _k_means(vectors, thin, fcluster(tree, k, "maxclust")) for k in ks}


def _k_means(vectors: np.ndarray, thin: np.ndarray, ward: np.ndarray) -> np.ndarray:
    starts = np.array([thin[ward == label].mean(axis=0) for label in np.unique(ward)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different texts than groups: some stay empty
        return KMeans(len(starts), init=starts, n_init=1, max_iter=100).fit_predict(vectors)


def _try_again(
    source: _Source, places: np.ndarray, whole: dict[int, np.ndarray], resamples: int, rng
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Per number of groups: best Jaccard by resample and group; share of draws a text stays."""
    n = len(places)
    size = min(round(SHARE_DRAWN * n), MOST_DRAWN)
    best = {k: np.zeros((resamples, k)) for k in whole}
    drawn, stayed = np.zeros(n), {k: np.zeros(n) for k in whole}
    for draw in range(resamples):
        chosen = np.sort(rng.choice(n, size, replace=False))
        vectors = source.vectors(places[chosen], int(rng.integers(2**31)))
        drawn[chosen] += 1
        again_all = _partitions(vectors, list(whole))
        for k, labels in whole.items():
            again = again_all[k]
            overlap = _jaccard(labels[chosen], again, k)
            best[k][draw] = overlap.max(axis=1)
            stayed[k][chosen] += overlap.argmax(axis=1)[labels[chosen]] == again
    never = drawn == 0  # nothing speaks against its group
    return {k: (best[k], np.where(never, 1, stayed[k] / np.maximum(drawn, 1))) for k in whole}


def _jaccard(one: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
    both = np.zeros((k, k))
    np.add.at(both, (one, other), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return both / np.maximum(either, 1)


def _chance(source: _Source, k: int, confidence: float, rng) -> float:
    """The stability below which that share of the groups of shuffled words stay."""
    reached = []
    for _ in range(int(np.clip(-(-SHUFFLED_THEMES // k), *SHUFFLED))):
        mixed = source.shuffled(rng)
        places = np.flatnonzero(mixed.telling)
        if len(places) < k:
            continue
        labels = _partitions(mixed.vectors(places, int(rng.integers(2**31))), [k])[k]
        jaccard, _ = _try_again(mixed, places, {k: labels}, SHUFFLED_RESAMPLES, rng)[k]
        reached.extend(jaccard.mean(axis=0))
    return float(np.quantile(reached, confidence)) if reached else 0.0


# --- How many -------------------------------------------------------------------------------------


def _choose(source, places, whole, coherent, rng) -> tuple[int, pd.DataFrame]:
    """The smallest number whose stability times coherence is within an error of the best."""
    tried = _try_again(source, places, whole, PILOT, rng)
    rows = []
    for k, (jaccard, _) in tried.items():
        share = np.bincount(whole[k], minlength=k) / len(whole[k])
        stability = jaccard @ share
        coherence, unsure = coherent[k]
        steady = stability.std(ddof=1) / np.sqrt(len(stability))
        error = np.hypot(steady * coherence, stability.mean() * unsure)
        rows.append([k, stability.mean(), coherence, stability.mean() * coherence, error])
    table = pd.DataFrame(rows, columns=["k", "stability", "coherence", "score", "error"])
    top = table.loc[table["score"].idxmax()]
    best = int(table.loc[table["score"] >= top["score"] - top["error"], "k"].min())
    return best, table.assign(chosen=table["k"] == best)


def _coherence(
    source: _Source, places: np.ndarray, whole: dict[int, np.ndarray]
) -> dict[int, tuple[float, float]]:
    """Mean coherence of the groups for each number of them, with its standard error."""
    if source.counts is None:
        return dict.fromkeys(whole, (1.0, 0.0))
    names = np.array(source.counts.word_names, dtype=object)
    fit = np.flatnonzero([_telling_word(name, source.read.language) for name in names])
    step = -(-len(places) // MOST_JUDGED)
    met = source.counts.words[places[::step]][:, fit].astype(bool).astype(np.float32).toarray()
    found = {}
    for k, labels in whole.items():
        ways = [
            _mean_npmi(met, labels[::step], names[fit], source.read.language, first)
            for first in (0, 1)
        ]
        found[k] = max(float(np.mean(ways)), 1e-6), abs(ways[0] - ways[1]) / 2
    return found


def _telling_word(name: str, language: str) -> bool:
    """Of characters only runs that may be words: single ones keep too much company."""
    return not by_characters(language) or bool(set(zh_terms(name)) & {name})


def _mean_npmi(met, labels, names, language, first: int) -> float:
    """Terms are named on every other text and judged on the rest; groups weigh as their texts."""
    naming, judging = met[first::2], met[1 - first :: 2]
    total, weight = 0.0, 0
    for label in np.unique(labels):
        inside = labels[first::2] == label
        if not inside.any() or inside.all():
            continue
        terms = _top_terms(naming, inside, names, language)
        size = int((labels == label).sum())
        total += size * npmi(judging[:, terms])
        weight += size
    return total / max(weight, 1)


def _top_terms(met, inside, names, language) -> list[int]:
    score = telling_score(met[inside].sum(axis=0), met[~inside].sum(axis=0), inside.sum(), len(met))
    order = np.lexsort((names, -score))[:40]
    kept = apart([str(names[i]) for i in order if score[i] > 0], language, TERMS_JUDGED)
    where = {str(names[i]): int(i) for i in order}
    return [where[name] for name in kept]


def telling_score(within: np.ndarray, outside: np.ndarray, size: int, n: int) -> np.ndarray:
    """How much a word sets a group apart: p log(p / q), p its share within, q its share outside.

    Examples
    --------
    In 9 of 9 texts within and in none of 9 outside: p = .95, q = .05 after half a text is added.

    >>> float(telling_score(np.array([9]), np.array([0]), 9, 18).round(3)[0])
    2.797
    """
    here = (within + 0.5) / (size + 1)
    there = (outside + 0.5) / (n - size + 1)
    return here * np.log(here / there)


def npmi(met: np.ndarray) -> float:
    """Mean normalised pointwise mutual information of pairs of columns of 0 and 1.

    log(together / expected) / -log(share of rows together), after one row is added to what is
    met together and to what chance would bring, so that rare words say little; below 1.

    Examples
    --------
    Met together in 49 of 99 rows and never apart: (50 / 25.25) is nearly 2, and the share 1/2.

    >>> met = np.repeat([[1, 1], [0, 0]], [49, 50], axis=0)
    >>> round(npmi(met), 3), round(npmi(np.eye(2)[[0, 1] * 50]), 3)
    (0.986, -0.706)
    """
    n, columns = met.shape
    both = met.T.astype(float) @ met
    alone = both.diagonal()
    expected = np.outer(alone, alone) / max(n, 1)
    share = np.minimum((both + 1) / (n + 1), 1 - 1e-9)
    value = np.log((both + 1) / (expected + 1)) / -np.log(share)
    above = np.triu_indices(columns, 1)
    return float(value[above].mean()) if columns > 1 else 0.0
