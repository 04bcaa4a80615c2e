"""Which texts are copies of one another, but for figures and a few words?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sqm.wording import CJK

SAME_WORDING = 0.7  # Jaccard similarity of shingles from which two texts are copies
HASHES, BAND = 64, 4  # hash functions, and how many of them must agree before two are compared
SHINGLE_WORDS, SHINGLE_SIGNS = 3, 5
BLOCK = 5_000  # texts that are hashed at a time
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SIGN = re.compile(r"[^\w]|_")


def near_copies(texts: pd.Series) -> pd.Series:
    """Name for each text the earlier one that it copies.

    Parameters
    ----------
    texts : Series of str
        Masked, not blank; the index names the texts.

    Returns
    -------
    Series, with the index of ``texts``
        The index of the earlier text it is a near-copy of, or its own.

    Notes
    -----
    Copies differ in figures and punctuation only, or share 70 % of their
    shingles (three words in a row, five characters of Chinese), as estimated
    by 64 MinHashes [1]_.  Texts are compared if four of these agree in a row,
    each with the first that has them, so the time grows as the texts do.

    References
    ----------
    .. [1] Broder, A. Z. (1997). On the resemblance and containment of
       documents. Compression and Complexity of Sequences, 21-29.
       doi:10.1109/SEQUEN.1997.666900

    Examples
    --------
    >>> near_copies(pd.Series(["Refund 12 EUR, please.", "It was late.", "refund 9 EUR please"])
    ... ).tolist()
    [0, 1, 0]
    """
    codes, plain = pd.factorize(np.array([_plain(text) for text in texts], dtype=object))
    if not len(plain):
        return pd.Series(texts.index, index=texts.index)
    signatures = _signatures(plain)
    first = np.arange(len(plain))  # of distinct wordings, in the order in which they are met
    for one, other in _alike(signatures):
        first[other] = min(first[other], first[one])
    where = np.unique(codes, return_index=True)[1]
    return pd.Series(texts.index.to_numpy()[where[first[codes]]], index=texts.index)


def near_copies_within(texts: pd.Series, groups: pd.Series) -> pd.Series:
    """The same, where only texts of one group (a language) can be copies of one another.

    Examples
    --------
    >>> texts = pd.Series(["No answer.", "No answer!", "no answer"])
    >>> near_copies_within(texts, pd.Series(["en", "es", "en"])).tolist()
    [0, 1, 0]
    """
    parts = [near_copies(group) for _, group in texts.groupby(groups)]
    return pd.concat(parts).reindex(texts.index) if parts else pd.Series(dtype=int)


def _plain(text: str) -> str:
    """Lower case, any figure a 0, no punctuation."""
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    text = _NUMBER.sub("0", text.lower())
    return " ".join(_SIGN.sub(" ", text).split()) or text


def _signatures(texts: Sequence[str]) -> np.ndarray:
    """MinHash: the chance that two texts agree in one column is the Jaccard of their shingles."""
    rng = np.random.default_rng(0)  # a fixed family of hash functions
    a = rng.integers(1, 2**61, HASHES, dtype=np.uint64) | np.uint64(1)
    b = rng.integers(0, 2**61, HASHES, dtype=np.uint64)
    signatures = np.empty((len(texts), HASHES), dtype=np.uint32)
    for at in range(0, len(texts), BLOCK):
        shingles, starts = _shingles(texts[at : at + BLOCK])
        for column in range(HASHES):
            hashed = (shingles * a[column] + b[column]) >> np.uint64(32)
            signatures[at : at + BLOCK, column] = np.minimum.reduceat(hashed, starts)
    return signatures


def _shingles(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of three words in a row (of Chinese five characters), and where each text begins."""
    chinese = [bool(CJK.search(text)) for text in texts]
    units = [
        list(text.replace(" ", "")) if han else text.split() or [text]
        for text, han in zip(texts, chinese, strict=True)
    ]
    lengths = np.array([len(each) for each in units])
    flat, names = pd.factorize(np.array([unit for each in units for unit in each], dtype=object))
    hashed = pd.util.hash_array(names, categorize=False)[flat]
    sizes = np.where(chinese, SHINGLE_SIGNS, SHINGLE_WORDS)
    runs = np.maximum(lengths - sizes + 1, 1)
    starts = np.concatenate([[0], np.cumsum(runs)[:-1]])
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    at = np.repeat(first - starts, runs) + np.arange(runs.sum())
    long = np.repeat(np.minimum(sizes, lengths), runs)
    total = np.zeros(len(at), np.uint64)
    for step in range(SHINGLE_SIGNS):
        inside = step < long
        total[inside] = _mixed(total[inside] ^ hashed[at[inside] + step])
    return total, starts


def _mixed(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX[1]
    return numbers ^ (numbers >> np.uint64(31))


def _alike(signatures: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that agree in a band, each with the band's first text, and in 70 %."""
    pairs = []
    for start in range(0, HASHES, BAND):
        key = np.zeros(len(signatures), np.uint64)
        for column in range(start, start + BAND):
            key = _mixed(key ^ signatures[:, column].astype(np.uint64))
        _, place, group = np.unique(key, return_index=True, return_inverse=True)
        one = place[group]
        later = np.flatnonzero(one != np.arange(len(one)))
        same = (signatures[one[later]] == signatures[later]).mean(axis=1) >= SAME_WORDING
        pairs.append(np.column_stack([one[later][same], later[same]]))
    return sorted(map(tuple, np.unique(np.vstack(pairs), axis=0).tolist()))
