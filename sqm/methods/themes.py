"""What do the complaint texts talk about, and would another sample say the same?"""

from __future__ import annotations

import re
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from sqm import interval, look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding

FEWEST_TEXTS = 50
TEXTS_A_THEME = 10  # on average, at least
READ = 4000  # characters of a text that are read; the rest is left alone
SHOWN = 280  # characters of a typical text that are shown
SHARE_DRAWN = 0.8  # of the texts, in every resample
MOST_DRAWN = 4000  # texts in a resample, for time's sake
PILOT = 6  # resamples on which the number of themes is chosen
MOST_DRAWN_THEMES = 12  # in the picture
SHUFFLED, SHUFFLED_RESAMPLES = 3, 6
COMPANY = 0.5  # of its occurrences in which a Chinese character meets its neighbour in a word
TOGETHER = 0.5  # of the resamples: a text that joins its theme less often is unclear
FORMULA_SHARE, FORMULA_TEXTS = 0.025, 10  # a sentence in more texts than both is a formula
SAME_WORDING = 0.7  # Jaccard similarity of shingles from which two texts are copies
WORDS, GRAMS, DIMENSIONS = 800, 3000, 50
HAN_SHARE = 0.3
HAN = "zh"
LANGUAGE_NAMES = {"en": "English", "es": "Spanish", "zh": "Chinese", "other": "other"}

# Small words: they tell the languages apart and make no theme.  "not", "no" and "never" are kept
# as words of a theme where they matter, so they stand in the second list only.
SMALL_WORDS = {
    "en": (
        "a about after all also am an and any are as at be because been before being but by can "
        "could did do does doing for from had has have having he her him his how i if in into is "
        "it its just me more my of on or our out over she so some than that the their them then "
        "there these they this those through to too up us very was we were what when where which "
        "while who why will with would you your"
    ),
    "es": (
        "a al algo ante antes como con cuando cual de del desde donde dos el ella ellos en entre "
        "era es esa ese eso esta estaba este esto están está estoy fue ha han hasta hay he la las "
        "le les lo los me mi mis muy más nos o para pero por porque que qué se sea ser si sido "
        "sin sobre son su sus también te tengo tiene todo todos un una uno unos y ya yo"
    ),
}
TELLING = {"en": "not never please", "es": "no nunca señor favor ni nada"}
_SMALL = {code: frozenset(words.split()) for code, words in SMALL_WORDS.items()}
_SMALLS = frozenset().union(*_SMALL.values())
_TELLS = {code: _SMALL[code] | frozenset(words.split()) for code, words in TELLING.items()}
# Characters with which a Chinese term neither begins nor ends.
_ZH_EDGES = frozenset(
    "的了是我你他她它们在和也就都吗呢吧啊着过很被把让给说个这那有到对还又为与及但而且以"
)

_WORD = re.compile(r"[^\W\d_]{2,}")
_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE = re.compile(r"(?<=[.!?。！？;；，])\s*|\s*\n\s*")
# A capital in mid-sentence: a person, a street, a product.  None of these is a theme, and none
# should be read among the terms.  Words all in capitals (PIN, SMS) are kept.
_NAME = re.compile(r"(?<=[^\W_][ ,])[A-ZÁÉÍÓÚÑ][^\W\d_]*[a-záéíóúñü][^\W\d_]*")
_HIDDEN = re.compile(r"\[(?:e-mail|phone|number)\]|\b[xX]{2,}\b")

# What could name a person, in the order in which it is looked for; dates, times of day and
# amounts of money are passed over.  Repeats are bounded, so that a long text takes linear time.
_MASKED = re.compile(
    r"""
    (?P<email>
        (?<![A-Za-z0-9_.%+-])[A-Za-z0-9._%+-]{1,64} [@＠]
        [A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4} )
  | (?P<date>
        (?<!\d)(?: \d{4}[-/.]\d{1,2}[-/.]\d{1,2}
                 | \d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}) )(?![\d/-]) )
  | (?P<money>
        [€$£¥￥]\s?\d[\d.,]{0,20}
      | (?<!\d)\d[\d.,]{0,20}\s?(?: [€$£¥￥元]
                                  | (?:euros?|EUR|USD|pesos|dollars|pounds)\b ) )
  | (?P<iban>
        (?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:\ ?[A-Z0-9]{4}){3,7}
        (?:\ ?[A-Z0-9]{1,3})?(?![A-Za-z0-9]) )
  | (?P<run>
        (?<!\d)(?: (?<![A-Za-z])[A-Za-z]{1,3}-? )?
        [+＋]?\(?\d(?:[ ().\-/]{0,2}\d)*(?: -?[A-Za-z](?![A-Za-z]) )? )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, eq=False)
class Themes(Finding):
    """Themes of the texts, each with the proof that it would be found again.

    Attributes
    ----------
    table : DataFrame, one row per theme
        ``language``; ``theme``, its number by size within the language;
        ``terms``, what sets it apart; ``size``, its distinct texts, and
        ``copies``, near-copies of these that were set aside; ``estimate,
        low, high``, its share of the language's distinct texts, 0 to 1;
        ``stability`` (0 to 1) with ``stability_low, stability_high``, the
        range over resamples; ``chance``, the stability that shuffled words
        reach (a quantile, `themes`); ``stable``; ``main_category`` and
        ``main_category_share``, the recorded category met most often in it
        (blank if none is given); ``typical_1``, ``typical_2``, masked texts
        nearest its centre (blank unless quoting is allowed).
    texts, empty, copies, examined : int
        Texts given; blank ones; near-copies set aside; and distinct texts examined.
    themes, stable, unclear : int
        Themes found, those called stable, and texts that fit no theme clearly.
    languages, not_examined : tuple of str
        Languages examined, and others with the reason.
    bar : float
        Stability from which a theme is called stable.
    resamples : int
    confidence : float
        Level of the shares' intervals and of the range of stability.
    """

    texts: int
    empty: int
    copies: int
    examined: int
    themes: int
    stable: int
    unclear: int
    languages: tuple[str, ...]
    not_examined: tuple[str, ...]
    bar: float
    resamples: int
    confidence: float

    def sentence(self) -> str:
        rest = " ".join(filter(None, [self._largest(), self._basis()]))
        return f"{self._found()}\n{rest}"

    def _found(self) -> str:
        rule = (
            f"stability {self.bar:g} or more over {self.resamples} resamples, and above "
            f"{self.confidence * 100:.4g} in 100 themes of shuffled words"
        )
        if self.stable:
            chance = (1 - self.confidence) * self.themes
            rule += f"; of {self.themes} themes of mere chance about {chance:.2g} would pass"
        if not self.stable:
            return f"No stable theme: none of {self.themes} would be found again ({rule})."
        return f"{self.stable} of {self.themes} themes would be found again ({rule})."

    def _largest(self) -> str:
        """The largest stable theme of each language, or that there is none."""
        said = []
        for language in self.languages:
            here = self.table[self.table["language"] == language]
            name = LANGUAGE_NAMES.get(language, language)
            stable = here[here["stable"]]
            if stable.empty:
                said.append(f"{name}: no stable theme" if self.stable else "")
                continue
            first = stable.iloc[0]
            terms = ", ".join(first["terms"].split(", ")[:3])
            values = (first[c] * 100 for c in ("estimate", "low", "high"))
            spelt = interval.spell(*values, confidence=self.confidence, digits=0, unit="%")
            said.append(f"{name}: {len(stable)} stable, the largest ({terms}) {spelt}")
        said = [each for each in said if each]
        return f"{'; '.join(said)}." if said else ""

    def _basis(self) -> str:
        words = (
            f"Examined: {self.examined:,} distinct texts, each language apart and nothing "
            f"translated; set aside: {self.copies:,} near-copies and {self.empty:,} blank; "
            f"{self.unclear:,} texts fit no theme clearly."
        )
        if self.not_examined:
            words += f" Not examined: {', '.join(self.not_examined)}."
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the largest stable themes of each language; the largest few where none is stable."""
        ax = look.axes(ax)
        title, drawn = "What do the texts talk about?", self._largest_few()
        if drawn.empty:
            ax.text(0.5, 0.5, "no theme", ha="center", transform=ax.transAxes)
            return look.label(ax, title=title, x="share of the language's texts (%)")
        shares = drawn.assign(**(drawn[["estimate", "low", "high"]] * 100))
        names = [f"{row.language}: {row.terms}" for row in shares.itertuples()]
        meaning = ["usual" if stable else "limit" for stable in shares["stable"]]
        look.dots(ax, shares, names=names, meaning=meaning)
        which = f"the {len(drawn)} largest of {self.stable} stable themes"
        if not self.stable:
            which = "squares: not stable, another sample would differ"
        interval_words = f"{self.confidence * 100:.4g}% interval"
        return look.label(
            ax, title=title, x=f"share of the language's texts (%), {interval_words}\n{which}"
        )

    def _largest_few(self) -> pd.DataFrame:
        rows = self.table[self.table["stable"].astype(bool)] if self.stable else self.table
        each = max(1, MOST_DRAWN_THEMES // len(self.languages))
        return rows.groupby("language", sort=False).head(each)


def mask(texts: pd.Series) -> pd.Series:
    """Hide e-mail addresses, telephone numbers and long numbers.

    Parameters
    ----------
    texts : Series of str

    Returns
    -------
    Series of str
        With ``[e-mail]``, ``[phone]`` and ``[number]`` in their place.

    Notes
    -----
    A telephone number is 7 to 12 digits with a plus or separators, or 9 to 11
    without; 13 digits and more (cards), account numbers, and 6 digits and more
    otherwise (with up to three letters before and one behind) are a number.
    Dates, amounts of money and shorter numbers are left, as are the XXXX of a
    publisher.  Names and postal addresses are not found by any such rule.

    Examples
    --------
    >>> list(mask(pd.Series(["Write to ana@example.com or +34 600 111 222, order 1234567."])))
    ['Write to [e-mail] or [phone], order [number].']
    """
    return texts.map(_masked, na_action="ignore").astype("str")


def language_of(texts: pd.Series) -> pd.Series:
    """Guess the language of each text: ``en``, ``es``, ``zh`` or ``other``.

    Notes
    -----
    Chinese if 30 % of the letters are Han characters (and no kana); else the
    language whose small words are met more often, Spanish also by its own
    letters.  Texts without any small word are ``other``.

    Examples
    --------
    >>> list(language_of(pd.Series(["I have been waiting", "No me llaman", "等了很久", "Ok"])))
    ['en', 'es', 'zh', 'other']
    """
    return texts.fillna("").map(_language).astype("str")


def themes(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    text: str = "text",
    language: str = "",
    category: str = "",
    k: Sequence[int] = (4, 6, 8, 10, 14, 20, 30),
    resamples: int = 20,
    bar: float = 0.75,
    quote: bool = False,
    smallest_group: int = 5,
    confidence: float = 0.95,
) -> Themes:
    """Find the themes of complaint texts, and try whether other samples have them too.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    rng : Generator
        Chance, for the resamples.
    text, language, category : str
        Columns.  Without ``language`` it is guessed, without ``category`` the
        themes are not set against the recorded categories.
    k : sequence of int
        Numbers of themes to try in each language.
    resamples : int, default 20
        How many samples of 80 % of the texts are drawn (4,000 at most each).
    bar : float, default 0.75
        Stability a theme must reach; from 0.75 a cluster is valid, below 0.5
        it is dissolved [1]_.
    quote : bool
        Whether masked texts of customers may be shown.
    smallest_group : int, default 5
        A theme of fewer texts is not shown, and a word that fewer texts use is no term.
    confidence : float, default 0.95

    Returns
    -------
    Themes

    Raises
    ------
    Problem
        If a column is missing or a setting is out of range.
    Refusal
        If no language has 50 distinct texts.

    Notes
    -----
    Texts are masked (`mask`) and read up to 4,000 characters; copies that
    differ in figures or punctuation only, and texts that share 70 % of their
    shingles with an earlier one [2]_, are set aside.  Small words, names
    (a capital in mid-sentence) and sentences that stand word for word in
    more than 2.5 % of texts (greetings, closings) are not read.  A text is the tf-idf
    mean of vectors of its words, learnt from these texts alone (positive
    pointwise mutual information with context smoothing 0.75 [3]_, truncated
    SVD), beside a latent semantic analysis of its character n-grams; Chinese
    uses characters throughout.  k-means, started from the centres of Ward's
    clusters [4]_, groups them.

    Stability is the mean, over resamples, of a theme's best Jaccard
    similarity with a theme of the resample, vectors learnt anew [1]_.  The
    number of themes is the one whose stable themes say most (the entropy of
    their shares) in a first round; stability is then measured in a second.
    ``chance`` is the stability below which the share ``confidence`` of themes
    stayed when the words were shuffled across texts, with as many themes
    (in Chinese: runs of characters that keep company); a theme is stable if it
    reaches the bar and exceeds ``chance``.  So about 5 in 100 themes of mere
    chance pass at 0.95 (7 of 138 in thirty sets of texts whose words were
    drawn from all themes alike).  A text is unclear if it stayed with its theme in less than
    half of the resamples, or has no word that is counted.

    References
    ----------
    .. [1] Hennig, C. (2007). Computational Statistics & Data Analysis 52,
       258-271. doi:10.1016/j.csda.2006.11.025
    .. [2] Broder, A. Z. (1997). Compression and Complexity of Sequences,
       21-29. doi:10.1109/SEQUEN.1997.666900
    .. [3] Levy, O., Goldberg, Y., Dagan, I. (2015). Transactions of the ACL
       3, 211-225. doi:10.1162/tacl_a_00134
    .. [4] Milligan, G. W. (1980). Psychometrika 45, 325-342.
       doi:10.1007/BF02293907

    Examples
    --------
    Ten texts are no ground for themes.

    >>> themes(pd.DataFrame({"text": ["The line was busy."] * 10}), rng=np.random.default_rng(1))
    Traceback (most recent call last):
    sqm.checks.Refusal: No language has 50 distinct texts: English 1.
      To mend: collect more texts, or read a few dozen by hand.
    """
    _need_settings(complaints, [text, language, category], k, resamples, bar, confidence)
    written = _prepared(complaints, text, language, category)
    distinct = written[written["copy_of"] == written.index]
    counts = distinct["language"].value_counts()
    enough = sorted(counts.index[counts >= FEWEST_TEXTS], key=lambda code: (-counts[code], code))
    _need_a_language(counts, enough)
    with threadpool_limits(limits=1):
        parts = [
            _language_themes(code, written, sorted(set(k)), resamples, bar, smallest_group,
                             confidence, quote, chance)
            for code, chance in zip(enough, rng.spawn(len(enough)), strict=True)
        ]  # fmt: skip
    filled = [part for part, _ in parts if len(part)] or [parts[0][0]]
    table = pd.concat(filled, ignore_index=True)
    return Themes(
        table=table,
        texts=len(complaints),
        empty=len(complaints) - len(written),
        copies=len(written) - len(distinct),
        examined=int(counts[enough].sum()),
        themes=len(table),
        stable=int(table["stable"].sum()),
        unclear=sum(unclear for _, unclear in parts),
        languages=tuple(enough),
        not_examined=tuple(
            f"{LANGUAGE_NAMES.get(code, code)} ({counts[code]} distinct texts, fewer than "
            f"{FEWEST_TEXTS})"
            for code in sorted(set(counts.index) - set(enough))
        ),
        bar=bar,
        resamples=resamples,
        confidence=confidence,
    )


# --- At the door ----------------------------------------------------------------------------------


def _need_settings(complaints, columns, k, resamples, bar, confidence) -> None:
    need_columns(complaints, filter(None, columns), source="complaints")
    need_share(bar, name="bar")
    need_share(confidence, name="confidence")
    if not len(k) or not all(isinstance(each, int | np.integer) and each >= 2 for each in k):
        raise Problem(f"k is {list(k)}.", "give numbers of themes from 2 up, such as 4 to 10.")
    if resamples < 5:
        raise Problem(f"{resamples} resamples show no stability.", "give 20 or so.")


def _need_a_language(counts: pd.Series, enough: list[str]) -> None:
    if not enough:
        have = [f"{LANGUAGE_NAMES.get(code, code)} {n}" for code, n in counts.items()]
        raise Refusal(
            f"No language has {FEWEST_TEXTS} distinct texts: {', '.join(have) or 'all are blank'}.",
            "collect more texts, or read a few dozen by hand.",
        )


def _prepared(complaints: pd.DataFrame, text: str, language: str, category: str) -> pd.DataFrame:
    """Texts that say something: masked, with their language and the text they copy."""
    raw = complaints[text].astype("str").fillna("").reset_index(drop=True)
    said = mask(raw.str.slice(0, READ)).str.strip()
    written = said[said.map(lambda each: bool(_LETTER.search(each)))].to_frame("text")
    if language:
        codes = complaints[language].reset_index(drop=True).loc[written.index].astype("str")
        written["language"] = codes.str.strip().str.lower().fillna("other")
    else:
        written["language"] = language_of(written["text"])
    if category:
        written["category"] = complaints[category].reset_index(drop=True).loc[written.index]
    copies = [_copies(group) for _, group in written.groupby("language")["text"]]
    written["copy_of"] = pd.concat(copies) if copies else pd.Series(dtype=int)
    return written


def _masked(text: str) -> str:
    return _MASKED.sub(_mask_one, text)


def _mask_one(found: re.Match) -> str:
    kind, said = found.lastgroup, found.group()
    if kind == "email":
        return "[e-mail]"
    if kind == "iban":
        return "[number]"
    if kind in ("date", "money"):
        return said
    return _mask_run(said)


def _mask_run(said: str) -> str:
    """A telephone number, another long number, or a figure that stays."""
    digits = sum(sign.isdigit() for sign in said)
    joined = said.isdigit()
    if digits < 6 or (digits < 7 and " " in said):
        return said
    dialled = said[0] in "+＋(" or (not joined and said[0].isdigit() and said[-1].isdigit())
    if (dialled and 7 <= digits <= 12) or (joined and 9 <= digits <= 11):
        return "[phone]"
    return "[number]"


def _language(text: str) -> str:
    text = text[:READ]
    letters = max(len(_LETTER.findall(text)), 1)
    if len(_CJK.findall(text)) / letters >= HAN_SHARE:
        return "other" if re.search(r"[\u3040-\u30ff]", text) else "zh"
    words = [word.lower() for word in _WORD.findall(text)] + re.findall(r"\b[aiyoAIYO]\b", text)
    hits = {code: sum(word in small for word in words) for code, small in _TELLS.items()}
    hits["es"] += len(re.findall("[ñ¿¡áéíóúÑ]", text))
    if hits["en"] == hits["es"]:
        return "other"
    return max(hits, key=hits.get)


# --- Near-copies ----------------------------------------------------------------------------------


def _copies(texts: pd.Series) -> pd.Series:
    """For each text the index of the earlier text it is a near-copy of, or its own."""
    plain = texts.map(_plain)
    first = pd.Series(texts.index, index=texts.index).groupby(plain).transform("min")
    alone = first.index[first == first.index]
    near = dict(zip(alone, alone, strict=True))
    signatures = _signatures([plain[i] for i in alone])
    for one, other in _candidates(signatures):
        if (signatures[one] == signatures[other]).mean() >= SAME_WORDING:
            near[alone[other]] = min(near[alone[other]], near[alone[one]])
    return first.map(near)


def _plain(text: str) -> str:
    """Lower case, any figure a 0, no punctuation."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"\d+(?:[.,:]\d+)*", "0", text)
    return " ".join(re.sub(r"[^\w]|_", " ", text).split()) or text


def _signatures(texts: list[str], hashes: int = 64) -> np.ndarray:
    """MinHash: the chance that two texts agree in one column is the Jaccard of their shingles."""
    rng = np.random.default_rng(0)  # a fixed family of hash functions
    a = rng.integers(1, 2**61, hashes, dtype=np.uint64) | np.uint64(1)
    b = rng.integers(0, 2**61, hashes, dtype=np.uint64)
    signatures = np.empty((len(texts), hashes), dtype=np.uint64)
    for row, text in enumerate(texts):
        shingles = np.array(sorted(_shingles(text)), dtype=np.uint64)
        signatures[row] = ((shingles[:, None] * a + b) >> np.uint64(32)).min(axis=0)
    return signatures


def _shingles(text: str) -> set[int]:
    """Three words in a row; of Chinese five characters."""
    words = list(text.replace(" ", "")) if _CJK.search(text) else text.split()
    size = 5 if _CJK.search(text) else 3
    runs = range(max(len(words) - size + 1, 1))
    return {zlib.crc32("\0".join(words[i : i + size]).encode()) for i in runs}


def _candidates(signatures: np.ndarray, rows: int = 4) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that agree in all rows of a band, each with the band's first text."""
    pairs = set()
    for start in range(0, signatures.shape[1], rows):
        seen: dict[bytes, int] = {}
        for place, band in enumerate(signatures[:, start : start + rows]):
            earlier = seen.setdefault(band.tobytes(), place)
            if earlier != place:
                pairs.add((earlier, place))
    return sorted(pairs)


# --- Vectors --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Counts:
    """What is counted in each text: words, and character n-grams."""

    words: sparse.csr_matrix
    grams: sparse.csr_matrix

    def rows(self, chosen: np.ndarray) -> _Counts:
        return _Counts(self.words[chosen], self.grams[chosen])


def _read(texts: Sequence[str], code: str) -> list[str]:
    """What of each text tells its matter: its words without small words, names and formulas."""
    read = [[_tokens(part, code) for part in _SENTENCE.split(text)] for text in texts]
    met = Counter(part for parts in read for part in {tuple(part) for part in parts})
    most = max(FORMULA_TEXTS, FORMULA_SHARE * len(texts))
    between = "" if code == HAN else " "
    # a sentence becomes one run, so that no n-gram crosses from one into the next
    return [
        "\n".join(between.join(part) for part in parts if part and met[tuple(part)] <= most)
        for parts in read
    ]


def _tokens(text: str, code: str) -> list[str]:
    """Words that are not small and not names; of Chinese the characters."""
    text = _HIDDEN.sub(" ", text)
    if code == HAN:
        return _CJK.findall(text)
    shouting = text.isupper()
    names = set() if shouting else {found.start() for found in _NAME.finditer(text)}
    words = ((found.start(), found.group()) for found in _WORD.finditer(text))
    return [word.lower() for at, word in words if at not in names and word.lower() not in _SMALLS]


def _zh_grams(text: str) -> list[str]:
    """Character 1- to 3-grams that no punctuation interrupts."""
    runs = re.findall(r"[\u3400-\u9fff\uf900-\ufaff]+", text)
    return [run[i : i + n] for run in runs for n in (1, 2, 3) for i in range(len(run) - n + 1)]


def _counts(read: Sequence[str], code: str) -> _Counts | None:
    """Count words and n-grams of texts from `_read`; nothing if they have none in common."""
    least = 2 if len(read) < 200 else 3
    common = {"min_df": least, "max_df": 0.6}
    if code == HAN:
        words = CountVectorizer(analyzer=_zh_grams, max_features=WORDS, **common)
        grams = CountVectorizer(analyzer=_zh_grams, max_features=GRAMS, **common)
    else:
        words = CountVectorizer(analyzer=str.split, max_features=WORDS, **common)
        grams = CountVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), max_features=GRAMS, **common
        )
    try:
        return _Counts(words.fit_transform(read), grams.fit_transform(read))
    except ValueError:
        return None


def _tf_idf(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    weighted = counts.astype(float)
    weighted.data = 1 + np.log(weighted.data)
    met = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + counts.shape[0]) / (1 + met)) + 1
    return normalize(weighted @ sparse.diags(idf))


def _vectors(counts: _Counts, seed: int) -> np.ndarray:
    """Word vectors averaged, beside the character n-grams' own; each half of length one."""
    by_words = normalize(_tf_idf(counts.words) @ _word_vectors(counts.words, seed))
    grams = _tf_idf(counts.grams)
    u, s, _ = _svd(grams, seed)
    return np.hstack([by_words, normalize(u * s)])


def _word_vectors(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
    """Positive pointwise mutual information within texts, context smoothing 0.75, truncated."""
    met = (counts > 0).astype(np.float32)
    together = (met.T @ met).tocoo()
    off = together.row != together.col
    row, column, n = together.row[off], together.col[off], together.data[off]
    total = np.bincount(row, weights=n, minlength=counts.shape[1])
    smooth = total**0.75
    expected = total[row] * smooth[column] / max(smooth.sum(), 1e-12)
    value = np.log(n / expected)
    keep = value > 0
    shape = (counts.shape[1],) * 2
    u, s, _ = _svd(sparse.csr_matrix((value[keep], (row[keep], column[keep])), shape), seed)
    return u * np.sqrt(s)


def _svd(matrix: sparse.csr_matrix, seed: int):
    size = max(1, min(DIMENSIONS, min(matrix.shape) - 1))
    return randomized_svd(matrix, size, n_oversamples=8, n_iter=2, random_state=seed)


# --- Themes of one language -----------------------------------------------------------------------


def _language_themes(
    code, written, ks, resamples, bar, smallest_group, confidence, quote, rng
) -> tuple[pd.DataFrame, int]:
    """The table of one language's themes, and how many of its texts fit none."""
    here = written[written["language"] == code]
    distinct = here[here["copy_of"] == here.index]
    script = _script(distinct["text"], code)
    read = np.array(_read(distinct["text"].tolist(), script), dtype=object)
    telling, counts = _telling(read, script)
    ks = [k for k in ks if k <= telling.sum() // TEXTS_A_THEME]
    if counts is None or not ks:
        return pd.DataFrame(columns=_COLUMNS), len(distinct)
    vectors = _vectors(counts, int(rng.integers(2**31)))
    whole = _partitions(vectors, ks)
    k = _choose_k(counts, whole, bar, rng)
    jaccard, together = _try_again(counts, {k: whole[k]}, resamples, rng)[k]
    labels = np.full(len(distinct), -1)
    labels[telling] = np.where(together >= TOGETHER, whole[k], -1)
    everywhere = np.zeros((len(distinct), vectors.shape[1]))
    everywhere[telling] = vectors
    chance = _chance(list(read[telling]), script, k, confidence, rng)
    group = _Group(code, script, here, distinct, read, labels, everywhere, jaccard, chance)
    return _table(group, bar, smallest_group, confidence, quote)


def _telling(read: np.ndarray, script: str) -> tuple[np.ndarray, _Counts | None]:
    """Which texts have a counted word at all, and the counts of these."""
    counts = _counts(read, script)
    if counts is None:
        return np.zeros(len(read), bool), None
    telling = (counts.words.getnnz(axis=1) > 0) & (counts.grams.getnnz(axis=1) > 0)
    return telling, counts.rows(np.flatnonzero(telling))


@dataclass(frozen=True, eq=False)
class _Group:
    """The texts of one language with what was found in them."""

    code: str
    script: str
    written: pd.DataFrame
    distinct: pd.DataFrame
    read: np.ndarray
    labels: np.ndarray  # -1: unclear
    vectors: np.ndarray
    jaccard: np.ndarray  # (resamples, themes)
    chance: float


def _script(texts: pd.Series, code: str) -> str:
    """Han texts are read by characters whatever their language is called."""
    joined = "".join(text[:200] for text in texts)
    han = len(_CJK.findall(joined)) / max(len(_LETTER.findall(joined)), 1)
    return HAN if han >= HAN_SHARE else code


def _partitions(vectors: np.ndarray, ks: Sequence[int]) -> dict[int, np.ndarray]:
    """k-means started from the centres of Ward's clusters: no luck of the start, any k at once.

    Ward's tree is quadratic in the texts, so a large set is thinned evenly for it.
    """
    step = -(-len(vectors) // MOST_DRAWN)
    thin = vectors[::step]
    tree = linkage(thin, "ward")
    return {k: _k_means(vectors, thin, fcluster(tree, k, "maxclust")) for k in ks}


def _k_means(vectors: np.ndarray, thin: np.ndarray, ward: np.ndarray) -> np.ndarray:
    starts = np.array([thin[ward == label].mean(axis=0) for label in np.unique(ward)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different texts than themes: some stay empty
        return KMeans(len(starts), init=starts, n_init=1, max_iter=100).fit_predict(vectors)


def _choose_k(counts: _Counts, whole: dict[int, np.ndarray], bar: float, rng) -> int:
    """The number of themes whose stable ones say most; if none is stable, the steadiest number."""
    tried = _try_again(counts, whole, PILOT, rng)
    scores = {}
    for k, (jaccard, _) in tried.items():
        stability = jaccard.mean(axis=0)
        share = np.bincount(whole[k], minlength=k) / len(whole[k])
        kept = share[(stability >= bar) & (share > 0)]
        scores[k] = (float(-(kept * np.log(kept)).sum()), float(share @ stability), -k)
    return max(scores, key=scores.get)


def _try_again(
    counts: _Counts, whole: dict[int, np.ndarray], resamples: int, rng
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Per number of themes: best Jaccard by resample and theme; share of draws a text stays."""
    n = counts.words.shape[0]
    size = min(round(SHARE_DRAWN * n), MOST_DRAWN)
    best = {k: np.zeros((resamples, k)) for k in whole}
    drawn, stayed = np.zeros(n), {k: np.zeros(n) for k in whole}
    for draw in range(resamples):
        chosen = np.sort(rng.choice(n, size, replace=False))
        vectors = _vectors(counts.rows(chosen), int(rng.integers(2**31)))
        drawn[chosen] += 1
        again_all = _partitions(vectors, list(whole))
        for k, labels in whole.items():
            again = again_all[k]
            overlap = _jaccard(labels[chosen], again, k)
            best[k][draw] = overlap.max(axis=1)
            stayed[k][chosen] += overlap.argmax(axis=1)[labels[chosen]] == again
    return {k: (best[k], stayed[k] / np.maximum(drawn, 1)) for k in whole}


def _jaccard(one: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
    both = np.zeros((k, k))
    np.add.at(both, (one, other), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return both / np.maximum(either, 1)


def _chance(read: list[str], script: str, k: int, confidence: float, rng) -> float:
    """The stability below which that share of the themes of shuffled words stay."""
    reached = []
    for _ in range(SHUFFLED):
        _, counts = _telling(np.array(_shuffled(read, script, rng), dtype=object), script)
        if counts is None or counts.words.shape[0] < k:
            continue
        labels = _partitions(_vectors(counts, int(rng.integers(2**31))), [k])[k]
        jaccard, _ = _try_again(counts, {k: labels}, SHUFFLED_RESAMPLES, rng)[k]
        reached.extend(jaccard.mean(axis=0))
    return float(np.quantile(reached, confidence)) if reached else 0.0


def _shuffled(read: list[str], script: str, rng) -> list[str]:
    """The same words in texts of the same lengths, drawn from all texts alike."""
    words = _zh_words(read) if script == HAN else [text.split() for text in read]
    mixed = rng.permutation(np.array([word for each in words for word in each], dtype=object))
    ends = np.cumsum([len(each) for each in words])
    between = "" if script == HAN else " "
    return [
        between.join(mixed[end - len(each) : end]) for each, end in zip(words, ends, strict=True)
    ]


def _zh_words(texts: list[str]) -> list[list[str]]:
    """Characters that keep company make a word, of up to four after two rounds."""
    units = [_CJK.findall(text) for text in texts]
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


# --- The table ------------------------------------------------------------------------------------

_COLUMNS = [
    "language", "theme", "terms", "size", "copies", "estimate", "low", "high", "stability",
    "stability_low", "stability_high", "chance", "stable", "main_category",
    "main_category_share", "typical_1", "typical_2",
]  # fmt: skip


def _table(group: _Group, bar, smallest_group, confidence, quote) -> tuple[pd.DataFrame, int]:
    sizes = pd.Series(group.labels[group.labels >= 0]).value_counts()
    shown = sorted(sizes.index[sizes >= smallest_group], key=lambda label: (-sizes[label], label))
    said = _used_in(group, smallest_group)
    rows = []
    for number, label in enumerate(shown, start=1):
        inside = group.labels == label
        stability = group.jaccard[:, label]
        tails = np.quantile(stability, [(1 - confidence) / 2, (1 + confidence) / 2])
        reached = float(stability.mean())
        low, high = interval.wilson(inside.mean(), len(inside), confidence=confidence)
        rows.append(
            [
                group.code, number, ", ".join(said(inside)), int(inside.sum()),
                _copies_of(group, inside), float(inside.mean()), low, high, reached, *tails,
                group.chance, bool(reached >= bar and reached > group.chance),
                *_main_category(group, inside), *(_typical(group, inside) if quote else ["", ""]),
            ]
        )  # fmt: skip
    unclear = len(group.labels) - int(sizes[shown].sum())
    return pd.DataFrame(rows, columns=_COLUMNS), unclear


def _copies_of(group: _Group, inside: np.ndarray) -> int:
    return int(group.written["copy_of"].isin(group.distinct.index[inside]).sum() - inside.sum())


def _main_category(group: _Group, inside: np.ndarray) -> list:
    if "category" not in group.distinct:
        return ["", np.nan]
    recorded = group.distinct.loc[inside, "category"].dropna().astype("str")
    if recorded.empty:
        return ["", np.nan]
    shares = recorded.value_counts(normalize=True).sort_index()
    return [shares.idxmax(), float(shares.max())]


def _typical(group: _Group, inside: np.ndarray) -> list[str]:
    """The two texts nearest the theme's centre, cut to a readable length."""
    far = np.linalg.norm(group.vectors - group.vectors[inside].mean(axis=0), axis=1)
    places = np.flatnonzero(inside)
    nearest = places[np.argsort(far[places], kind="stable")[:2]]
    return [look.shorten(group.distinct["text"].iloc[i], width=SHOWN) for i in nearest]


def _used_in(group: _Group, smallest_group: int) -> Callable[[np.ndarray], list[str]]:
    """A function that names the terms which set a set of texts apart."""
    script = group.script
    grams = _zh_terms if script == HAN else str.split
    counter = CountVectorizer(analyzer=grams, min_df=smallest_group, binary=True)
    try:
        met = counter.fit_transform(group.read)
    except ValueError:
        return lambda inside: []
    names = counter.get_feature_names_out()
    weight = np.array([np.log2(1 + len(name)) if script == HAN else 1.0 for name in names])

    def terms(inside: np.ndarray) -> list[str]:
        within = np.asarray(met[inside].sum(axis=0)).ravel()
        outside = np.asarray(met[~inside].sum(axis=0)).ravel()
        here = (within + 0.5) / (inside.sum() + 1)
        there = (outside + 0.5) / ((~inside).sum() + 1)
        score = np.where(within >= smallest_group, here * np.log(here / there) * weight, 0)
        order = np.lexsort((names, -score))
        return _apart([str(names[i]) for i in order[:80] if score[i] > 0], script)

    return terms


def _zh_terms(text: str) -> list[str]:
    runs = re.findall(r"[\u3400-\u9fff\uf900-\ufaff]+", text)
    grams = (run[i : i + n] for run in runs for n in (2, 3, 4) for i in range(len(run) - n + 1))
    return [gram for gram in grams if gram[0] not in _ZH_EDGES and gram[-1] not in _ZH_EDGES]


def _apart(names: list[str], script: str, most: int = 6) -> list[str]:
    """The first few that do not repeat each other: no shared character, or no shared stem."""
    kept: list[str] = []
    for name in names:
        if script == HAN:
            new = not any(set(name) & set(known) for known in kept)
        else:
            new = not any(name[:5].startswith(k[:5]) or k.startswith(name[:5]) for k in kept)
        if new:
            kept.append(name)
        if len(kept) == most:
            break
    return kept
