"""How alike are texts in what they talk about?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from sqm.checks import Problem
from sqm.wording import by_characters, formulas, parts_of

WORDS, GRAMS, DIMENSIONS = 1500, 4000, 50
SMOOTH = 0.75  # of the contexts of a word
COMMON = 0.6  # of the texts: what more of them have tells nothing
FEW, LEAST_OF_FEW, LEAST = 200, 2, 3  # texts in which a word must stand, fewer in a small set
GRAM_SIZES = (3, 4, 5)  # letters, with the word's ends marked
CHARACTERS = 3  # in a row, at most, where words are not parted by blanks
BLOCK = 20_000  # texts that are placed at a time
_BITS = np.uint64(21)  # of a character
_KINDS = ("word", "gram", "formula", "language")


@dataclass(frozen=True, eq=False)
class TextSpace:
    """A space, learnt from texts alone, in which texts about the same lie close together.

    Attributes
    ----------
    language : str
        How texts are read (`sqm.wording`).
    words, grams : tuple of str
        What is counted: words, and runs of letters within them (``_`` marks an
        end); where words are not parted by blanks, runs of characters for both.
    word_idf, gram_idf : ndarray of float32, shapes (words,) and (grams,)
        Weight of each: log((1 + texts) / (1 + texts with it)) + 1.
    word_vectors : ndarray of float32, shape (words, dimensions)
    gram_vectors : ndarray of float32, shape (grams, dimensions)
    formulas : tuple of str
        Sentences that so many of the texts share that they are passed over.

    Notes
    -----
    A text is the tf-idf mean of vectors of its words (positive pointwise
    mutual information within texts, context smoothing 0.75 [1]_, truncated
    singular value decomposition) beside a latent semantic analysis of its runs
    of letters [2]_, each half of length one.  Nothing is fetched.

    References
    ----------
    .. [1] Levy, O., Goldberg, Y., Dagan, I. (2015). Transactions of the ACL
       3, 211-225. doi:10.1162/tacl_a_00134
    .. [2] Deerwester, S. et al. (1990). Journal of the American Society for
       Information Science 41, 391-407.

    Examples
    --------
    Two letters about the bill lie closer together than one about the bill and one about the line.

    >>> texts = ["charged twice bill", "bill wrong charged", "line busy nobody", "busy line rang"]
    >>> space = TextSpace.fit(texts * 5, language="en", seed=1)
    >>> at = space.vectors(texts)
    >>> bool(at[0] @ at[1] > at[0] @ at[2])
    True
    >>> again = TextSpace.from_table(space.to_table())
    >>> bool((again.vectors(texts) == at).all())
    True
    """

    language: str
    words: tuple[str, ...]
    word_idf: np.ndarray
    word_vectors: np.ndarray
    grams: tuple[str, ...]
    gram_idf: np.ndarray
    gram_vectors: np.ndarray
    formulas: tuple[str, ...]

    @classmethod
    def fit(cls, texts: Sequence[str], *, language: str, seed: int) -> TextSpace:
        """Learn the space of these texts; a Problem if they have no word in common.

        Parameters
        ----------
        texts : sequence of str, masked
        language : str
            A code of `sqm.wording`, such as ``en`` or ``zh``.
        seed : int
        """
        read = read_texts(texts, language)
        counts = count(read)
        if counts is None:
            raise Problem(
                f"{len(texts)} texts have no word in common.", "give more texts of one language."
            )
        return space_of(read, counts, learnt(counts, seed))

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Place texts in the space: float32, shape (texts, 2 x dimensions).

        A half is 0 where a text has nothing that is counted in it.
        """
        texts = list(texts)
        if not texts:
            return np.zeros((0, self.word_vectors.shape[1] + self.gram_vectors.shape[1]), "f4")
        blocks = (texts[at : at + BLOCK] for at in range(0, len(texts), BLOCK))
        return np.vstack([self._placed(block) for block in blocks])

    def _placed(self, texts: list[str]) -> np.ndarray:
        read = read_texts(texts, self.language, known=frozenset(self.formulas))
        counts = Counts(
            _matched(read.counted, read.units, self.words), _grams_like(read, self.grams),
            self.words, self.grams,
        )  # fmt: skip
        return placed(counts, self._learnt())

    def _learnt(self) -> Learnt:
        return Learnt(self.word_idf, self.word_vectors, self.gram_idf, self.gram_vectors)

    def to_table(self) -> pd.DataFrame:
        """The space as one table of words and plain numbers.

        Columns
        -------
        ``name``, its kind and itself (``word:bill``, ``gram:_bil``,
        ``formula:thanks advance``, ``language:en``); ``idf``; ``v1``, ``v2``
        ..., blank for formulas and the language.
        """
        parts = [self.word_vectors, self.gram_vectors]
        wide = max(part.shape[1] for part in parts)
        vectors = np.vstack([_widened(part, wide) for part in parts])
        named = [f"word:{w}" for w in self.words] + [f"gram:{g}" for g in self.grams]
        other = [f"formula:{f}" for f in self.formulas] + [f"language:{self.language}"]
        table = pd.DataFrame(vectors, columns=[f"v{i + 1}" for i in range(vectors.shape[1])])
        table.insert(0, "idf", np.concatenate([self.word_idf, self.gram_idf]))
        table.insert(0, "name", named)
        return pd.concat([table, pd.DataFrame({"name": other})], ignore_index=True)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> TextSpace:
        """Read a space back from its table; a Problem if it is not one."""
        if not {"name", "idf", "v1"} <= set(table.columns):
            raise Problem("This is no table of a text space.", "give what to_table wrote.")
        kind, name = table["name"].str.split(":", n=1).str[0], table["name"].str.split(":", n=1)
        if not set(kind) <= set(_KINDS) or (kind == "language").sum() != 1:
            raise Problem("The names of a text space are not whole.", "give what to_table wrote.")
        numbers = table.filter(regex=r"^v\d+$")
        parts = {each: (kind == each).to_numpy() for each in _KINDS}
        found = {each: tuple(name[at].str[1]) for each, at in parts.items()}

        def arrays(at):
            own = numbers[at].to_numpy("f4")
            return table.loc[at, "idf"].to_numpy("f4"), own[:, ~np.isnan(own).all(axis=0)]

        return cls(
            found["language"][0], found["word"], *arrays(parts["word"]),
            found["gram"], *arrays(parts["gram"]), found["formula"],
        )  # fmt: skip


def _widened(vectors: np.ndarray, wide: int) -> np.ndarray:
    return np.pad(vectors, ((0, 0), (0, wide - vectors.shape[1])), constant_values=np.nan)


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ReadTexts:
    """Texts as read: how often each text has each unit, a word or a run of characters.

    Attributes
    ----------
    language : str
    units : Index of str
    counted : sparse matrix, shape (texts, units)
    matter : tuple of str
        What is left of each text, a sentence a line.
    formulas : tuple of str
        Sentences passed over.
    """

    language: str
    units: pd.Index
    counted: sparse.csr_matrix
    matter: tuple[str, ...]
    formulas: tuple[str, ...]


def read_texts(
    texts: Sequence[str], language: str, *, known: frozenset[str] | None = None
) -> ReadTexts:
    """Count the words of texts, or their runs of characters, without formulas.

    Parameters
    ----------
    texts : sequence of str, masked
    language : str
    known : frozenset of str, optional
        Formulas known from before; found in these texts if not given.
    """
    parts = [parts_of(text, language) for text in texts]
    passed = formulas(parts) if known is None else known
    kept = ["\n".join(part for part in each if part not in passed) for each in parts]
    return as_read(kept, language, tuple(sorted(passed)))


def as_read(matter: Sequence[str], language: str, passed: tuple[str, ...] = ()) -> ReadTexts:
    """Count what is left of texts, a sentence a line, that are read already."""
    units, rows, codes = (_characters if by_characters(language) else _words)(matter)
    shape = (len(matter), len(units))
    ones = np.ones(len(codes), np.float32)
    counted = sparse.coo_matrix((ones, (rows, codes)), shape).tocsr()
    return ReadTexts(language, pd.Index(units, dtype=object), counted, tuple(matter), passed)


def _words(matter: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    words = [each.split() for each in matter]
    flat = np.array([word for each in words for word in each], dtype=object)
    codes, units = pd.factorize(flat, sort=True)
    rows = np.repeat(np.arange(len(matter)), [len(each) for each in words])
    return units, rows, codes


def _characters(matter: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of one to three characters that no end of a part interrupts, as numbers."""
    joined = [f"{each}\n" for each in matter]
    rows = np.repeat(np.arange(len(matter)), [len(each) for each in joined])
    signs = np.frombuffer("".join(joined).encode("utf-32-le"), np.uint32).astype(np.uint64)
    gap = signs == ord("\n")
    runs, where = [], []
    for size in range(1, CHARACTERS + 1):
        last = len(signs) - size + 1
        if last < 1:
            break
        run, whole = np.zeros(last, np.uint64), np.ones(last, bool)
        for step in range(size):
            run = (run << _BITS) | signs[step : last + step]
            whole &= ~gap[step : last + step]
        runs.append(run[whole])
        where.append(rows[:last][whole])
    if not runs:
        return np.array([], dtype=object), np.array([], int), np.array([], int)
    numbers, codes = np.unique(np.concatenate(runs), return_inverse=True)
    return _spelt(numbers), np.concatenate(where), codes


def _spelt(numbers: np.ndarray) -> np.ndarray:
    """Numbers back to the characters they were made of."""
    signs = np.zeros((len(numbers), CHARACTERS), np.uint32)
    rest = numbers.copy()
    for _ in range(CHARACTERS):
        more = rest > 0
        signs[more, 1:] = signs[more, :-1]
        signs[more, 0] = (rest[more] & np.uint64(0x1FFFFF)).astype(np.uint32)
        rest >>= _BITS
    return signs.view(f"<U{CHARACTERS}").ravel().astype(object)


# --- Counting -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Counts:
    """What is counted in each text: words, and runs of letters.

    Attributes
    ----------
    words, grams : sparse matrices, shapes (texts, words) and (texts, grams)
    word_names, gram_names : tuple of str
    """

    words: sparse.csr_matrix
    grams: sparse.csr_matrix
    word_names: tuple[str, ...]
    gram_names: tuple[str, ...]

    def rows(self, chosen: np.ndarray) -> Counts:
        """The same of some of the texts only."""
        return Counts(self.words[chosen], self.grams[chosen], self.word_names, self.gram_names)

    @property
    def telling(self) -> np.ndarray:
        """Whether each text has a counted word and a counted run of letters at all."""
        return (self.words.getnnz(axis=1) > 0) & (self.grams.getnnz(axis=1) > 0)


def count(read: ReadTexts) -> Counts | None:
    """Count the words and runs of letters that some, but not most, texts have; or nothing."""
    words, word_names = _frequent(read.counted, np.asarray(read.units, dtype=object), WORDS)
    if by_characters(read.language):
        grams, gram_names = _frequent(read.counted, np.asarray(read.units, dtype=object), GRAMS)
    else:
        within, names = _grams_of(read.units)
        grams, gram_names = _frequent((read.counted @ within).tocsr(), names, GRAMS)
    if not len(word_names) or not len(gram_names):
        return None
    return Counts(words, grams, tuple(word_names), tuple(gram_names))


def _frequent(
    counted: sparse.csr_matrix, names: np.ndarray, most: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """The columns met most often of those that neither too few nor too many texts have."""
    n = counted.shape[0]
    least = LEAST_OF_FEW if n < FEW else LEAST
    met = np.bincount(counted.indices, minlength=counted.shape[1])
    total = np.bincount(counted.indices, weights=counted.data, minlength=counted.shape[1])
    fit = np.flatnonzero((met >= least) & (met <= COMMON * n))
    kept = np.sort(fit[np.argsort(-total[fit], kind="stable")[:most]])
    return counted[:, kept], names[kept]


def _grams_of(units: Sequence[str]) -> tuple[sparse.csr_matrix, np.ndarray]:
    """How often each word has each run of letters: shape (words, runs), and the runs."""
    runs = [_runs(unit) for unit in units]
    flat = np.array([run for each in runs for run in each], dtype=object)
    codes, names = pd.factorize(flat, sort=True)
    rows = np.repeat(np.arange(len(units)), [len(each) for each in runs])
    ones = np.ones(len(codes), np.float32)
    return sparse.coo_matrix((ones, (rows, codes)), (len(units), len(names))).tocsr(), names


def _runs(word: str) -> list[str]:
    word = f"_{word}_"
    return [word[i : i + n] for n in GRAM_SIZES for i in range(len(word) - n + 1)]


def _matched(
    counted: sparse.csr_matrix, units: pd.Index, names: Sequence[str]
) -> sparse.csr_matrix:
    """Columns in the order of known names; what is not known falls out."""
    at = units.get_indexer(pd.Index(names, dtype=object))
    known = np.flatnonzero(at >= 0)
    pick = sparse.csr_matrix(
        (np.ones(len(known), np.float32), (at[known], known)), (len(units), len(names))
    )
    return (counted @ pick).tocsr()


def _grams_like(read: ReadTexts, names: Sequence[str]) -> sparse.csr_matrix:
    if by_characters(read.language):
        return _matched(read.counted, read.units, names)
    within, runs = _grams_of(read.units)
    return _matched((read.counted @ within).tocsr(), pd.Index(runs, dtype=object), names)


# --- Learning -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Learnt:
    """What is learnt from counts: a weight and a vector for each word and run of letters."""

    word_idf: np.ndarray
    word_vectors: np.ndarray
    gram_idf: np.ndarray
    gram_vectors: np.ndarray


def learnt(counts: Counts, seed: int) -> Learnt:
    """Learn weights and vectors from the counts alone."""
    gram_idf = _idf(counts.grams)
    return Learnt(
        _idf(counts.words), _word_vectors(counts.words, seed),
        gram_idf, _svd(_tf_idf(counts.grams, gram_idf), seed)[2].T.astype(np.float32),
    )  # fmt: skip


def placed(counts: Counts, known: Learnt) -> np.ndarray:
    """Texts in the space: two halves of length one, float32."""
    by_words = _tf_idf(counts.words, known.word_idf) @ known.word_vectors
    by_grams = _tf_idf(counts.grams, known.gram_idf) @ known.gram_vectors
    return np.hstack([normalize(by_words), normalize(by_grams)]).astype(np.float32)


def space_of(read: ReadTexts, counts: Counts, known: Learnt) -> TextSpace:
    """Put together what places new texts."""
    return TextSpace(
        read.language, counts.word_names, known.word_idf, known.word_vectors,
        counts.gram_names, known.gram_idf, known.gram_vectors, read.formulas,
    )  # fmt: skip


def _idf(counts: sparse.csr_matrix) -> np.ndarray:
    met = np.bincount(counts.indices, minlength=counts.shape[1])
    return (np.log((1 + counts.shape[0]) / (1 + met)) + 1).astype(np.float32)


def _tf_idf(counts: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    weighted = counts.astype(np.float32)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    return normalize(weighted, copy=False)


def _word_vectors(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
    """Positive pointwise mutual information within texts, context smoothing, truncated, centred."""
    met = counts.astype(bool).astype(np.float32)
    together = (met.T @ met).toarray()
    np.fill_diagonal(together, 0)
    total = together.sum(axis=1)
    smooth = total**SMOOTH
    smooth /= max(smooth.sum(), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(together / np.outer(total, smooth))
    u, s, _ = _svd(np.where(value > 0, value, 0).astype(np.float32), seed)
    vectors = u * np.sqrt(s)
    return (vectors - vectors.mean(axis=0)).astype(np.float32)


def _svd(matrix: sparse.csr_matrix | np.ndarray, seed: int):
    size = max(1, min(DIMENSIONS, min(matrix.shape) - 1))
    return randomized_svd(matrix, size, n_oversamples=8, n_iter=2, random_state=seed)
