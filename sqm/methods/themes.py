"""What do the complaint texts talk about, and would another sample say the same?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_mutual_info_score

from sqm import interval, look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.near_copies import near_copies_within
from sqm.text_clusters import Clusters, clusters, nearest_centre, telling_score
from sqm.wording import (
    LANGUAGE_NAMES,
    apart,
    by_characters,
    language_of,
    readable,
    reading_of,
    zh_terms,
)

COUNTS = (4, 6, 8, 10, 14, 20, 30, 45, 60, 80)  # numbers of themes that are tried
FEWEST_TEXTS = 50
MOST_FITTED = 20_000  # distinct texts of a language from which themes are learnt
MOST_WORDED = 5_000  # texts in which terms are looked for
SHOWN = 280  # characters of a typical text that are shown
TYPICAL = 3
FEWEST_MONTHS = 6
MOST_DRAWN_THEMES = 12  # in the picture
MATCH_DRAWS, MATCHED = 200, 0.5  # a counterpart is named if it is the nearest in half the draws
BLOCK = 20_000
STATUSES = ("theme", "not stable", "unclear", "not examined", "blank")


# --- The findings ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Themes(Finding):
    """Themes of the texts, each with the proof that it would be found again.

    Attributes
    ----------
    table : DataFrame, one row per theme
        ``language``; ``theme``, its number by size within the language;
        ``terms``, what sets it apart (blank where it is not stable), and
        ``loose_terms``, the same of a theme that is not stable and bears no
        name; ``size``, its distinct texts, and ``copies``, near-copies of
        these that were set aside; ``estimate, low, high``, its share of the
        language's distinct texts, 0 to 1; ``stability`` (0 to 1) with
        ``stability_low, stability_high``, the range over resamples;
        ``chance``, the stability that shuffled words reach (a quantile,
        `find_themes`); ``stable``; ``main_category``, the recorded category
        met most often in it, with its share ``main_category_share, main_category_low,
        main_category_high``; ``trend, trend_low, trend_high``, change of its share per
        month (0.01: one text in a hundred more each month); ``cost_share,
        cost_low, cost_high``, share of the language's cost; ``matched``, the
        nearest stable themes of other languages by recorded categories;
        ``typical_1`` to ``typical_3``, masked texts nearest its centre (blank
        unless quoting is allowed); ``note``, why a number is missing.
    texts, empty, copies, examined, fitted : int
        Texts given; blank ones; near-copies set aside; distinct texts
        examined; and those of them from which themes were learnt.
    themes, stable, unclear : int
        Themes found, those called stable, and texts that fit no theme clearly.
    trending : int
        Stable themes whose trend's interval leaves out 0.
    languages, not_examined : tuple of str
        Languages examined, and others with the reason.
    same_again : tuple of float
        Per language: adjusted Rand index between these themes and those of another seed.
    categories, categories_met : int
        Recorded categories, and those that are the main one of a stable theme.
    category_ami : float
        Agreement of themes with recorded categories beyond chance, 0 to 1
        (adjusted mutual information); NaN without categories.
    bar : float
        Stability from which a theme is called stable.
    resamples : int
    confidence : float
        Level of the intervals and of the range of stability.
    """

    texts: int
    empty: int
    copies: int
    examined: int
    fitted: int
    themes: int
    stable: int
    unclear: int
    trending: int
    languages: tuple[str, ...]
    not_examined: tuple[str, ...]
    same_again: tuple[float, ...]
    categories: int
    categories_met: int
    category_ami: float
    bar: float
    resamples: int
    confidence: float

    def sentence(self) -> str:
        said = [self._rule(), self._by_language(), self._seeds(), self._basis(), self._links()]
        return f"{self._found()}\n{' '.join(filter(None, said))}"

    def _found(self) -> str:
        if not self.themes:
            return "No stable theme: the texts have too few words in common to be grouped."
        if not self.stable:
            return f"No stable theme: none of {self.themes} would be found again in other samples."
        stable = self.table[self.table["stable"]]
        first = stable.iloc[stable["size"].argmax()]
        return (
            f"{self.stable} of {self.themes} themes would be found again in other samples; the "
            f"largest ({self._named(first)}) holds {self._share(first)} of the "
            f"{_name(first['language'])} texts."
        )

    def _named(self, theme: pd.Series) -> str:
        return look.shorten(", ".join(theme["terms"].split(", ")[:3]), width=60)

    def _share(self, theme: pd.Series) -> str:
        values = (theme[c] * 100 for c in ("estimate", "low", "high"))
        return interval.spell(*values, confidence=self.confidence, digits=0, unit="%")

    def _rule(self) -> str:
        if not self.themes:
            return ""
        level = self.confidence * 100
        rule = (
            f"Found again: stability {self.bar:g} or more over {self.resamples} resamples, and "
            f"above {level:.4g} in 100 themes of shuffled words"
        )
        chance = (1 - self.confidence) * self.themes
        return f"{rule}; of {self.themes} themes of mere chance about {chance:.2g} would pass."

    def _by_language(self) -> str:
        if len(self.languages) < 2 or not self.stable:
            return ""
        said = []
        for language in self.languages:
            here = self.table[self.table["language"] == language]
            stable = here[here["stable"]]
            some = f"{len(stable)} of {len(here)} stable"
            if len(stable):
                some += (
                    f", the largest ({self._named(stable.iloc[0])}) {self._share(stable.iloc[0])}"
                )
            said.append(f"{_name(language)}: {some}")
        return f"{'; '.join(said)}."

    def _seeds(self) -> str:
        if not self.same_again:
            return ""
        each = ", ".join(
            f"{_name(code)} {value:.2f}"
            for code, value in zip(self.languages, self.same_again, strict=True)
            if np.isfinite(value)
        )
        return f"Another seed gives nearly the same as far as this index comes near 1: {each}."

    def _basis(self) -> str:
        words = (
            f"Examined: {self.examined:,} distinct texts, each language apart and nothing "
            f"translated; set aside: {self.copies:,} near-copies and {self.empty:,} without a "
            f"word; {self.unclear:,} texts fit no theme clearly."
        )
        if self.fitted < self.examined:
            words += (
                f" Themes were learnt from {self.fitted:,} texts drawn at random; the others "
                "joined the nearest."
            )
        if self.not_examined:
            words += f" Not examined: {', '.join(self.not_examined)}."
        return words

    def _links(self) -> str:
        words = ""
        if np.isfinite(self.category_ami):
            words = (
                f"Themes and recorded categories agree to {self.category_ami:.2f} (1: the same "
                f"grouping, 0: chance); {self.categories_met} of {self.categories} categories are "
                "the main one of a stable theme."
            )
        tried = int(self.table["trend"].notna()[self.table["stable"].astype(bool)].sum())
        if tried:
            by_chance = (1 - self.confidence) * tried
            words += (
                f" The share of {self.trending} of {tried} stable themes rises or falls over the "
                f"months beyond its interval, where about {by_chance:.2g} would by chance."
            )
        if self.table["cost_share"].notna().any():
            words += " The interval of a share of cost is approximate: few dear cases weigh much."
        return words.strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the largest stable themes of each language; the largest few where none is stable."""
        ax = look.axes(ax)
        title, drawn = "What do the texts talk about?", self._largest_few()
        if drawn.empty:
            ax.text(0.5, 0.5, "no theme", ha="center", transform=ax.transAxes)
            return look.label(ax, title=title, x="share of the language's texts (%)")
        shares = drawn.assign(**(drawn[["estimate", "low", "high"]] * 100))
        names = [
            f"{row.language}: {row.terms or f'no name ({row.theme})'}"
            for row in shares.itertuples()
        ]
        meaning = ["usual" if stable else "limit" for stable in shares["stable"]]
        look.dots(ax, shares, names=names, meaning=meaning)
        which = f"the {len(drawn)} largest of {self.stable} stable themes"
        if not self.stable:
            which = "squares: not stable, another sample would differ"
        level = f"{self.confidence * 100:.4g}% interval"
        return look.label(ax, title=title, x=f"share of the language's texts (%), {level}\n{which}")

    def _largest_few(self) -> pd.DataFrame:
        rows = self.table[self.table["stable"].astype(bool)] if self.stable else self.table
        each = max(1, MOST_DRAWN_THEMES // max(len(self.languages), 1))
        return rows.groupby("language", sort=False).head(each)


@dataclass(frozen=True, eq=False)
class ThemeNumber(Finding):
    """How many themes were looked for, and what spoke for that number.

    Attributes
    ----------
    table : DataFrame, one row per language and number tried
        ``language``; ``k``; ``stability`` (0 to 1) and ``coherence`` (-1 to 1),
        means over texts; ``estimate``, their product, with ``low, high``, one
        standard error to each side; ``chosen``.
    languages : tuple of str
    chosen : tuple of int
        Number chosen in each language.
    at_an_end : tuple of str
        Languages in which the largest number tried was chosen.
    """

    languages: tuple[str, ...]
    chosen: tuple[int, ...]
    at_an_end: tuple[str, ...]

    def sentence(self) -> str:
        if not self.chosen:
            return "No number of themes: the texts have too few words in common to be grouped."
        each = ", ".join(
            f"{_name(code)} {k}" for code, k in zip(self.languages, self.chosen, strict=True)
        )
        words = (
            f"Themes looked for: {each}.\nChosen is the smallest number whose stability times "
            "coherence comes within one standard error of the best: more themes "
            "than that say no more that would be found again. Coherence is how often a theme's "
            "terms meet in texts that did not name them."
        )
        if self.at_an_end:
            ends = ", ".join(_name(code) for code in self.at_an_end)
            words += f" The largest number tried was chosen ({ends}): try larger ones too."
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw stability (solid) and coherence (dashed) over the numbers, the chosen ringed."""
        ax = look.axes(ax)
        colours = list(look.MEANING.values())
        for place, (code, rows) in enumerate(self.table.groupby("language", sort=False)):
            colour, marker = colours[place % len(colours)], "o^vsD"[place % 5]
            ax.plot(rows["k"], rows["stability"], color=colour, marker=marker, label=_name(code))
            ax.plot(rows["k"], rows["coherence"], color=colour, marker=marker, ls="--", mfc="none")
            best = rows[rows["chosen"]]
            for column in ("stability", "coherence"):
                ax.plot(best["k"], best[column], "o", mfc="none", mec=colour, ms=13)
        ax.legend(frameon=False, fontsize="small")
        return look.label(
            ax,
            title="How many themes do the texts bear?",
            x="themes looked for (count); the chosen number is ringed",
            y="stability (solid), coherence (dashed)",
        )


@dataclass(frozen=True, eq=False)
class ThemeMembers(Finding):
    """Which complaint belongs to which theme; no text is in it.

    Attributes
    ----------
    table : DataFrame, one row per complaint, in the order given
        ``complaint``; ``language`` (blank if there is no text); ``theme``, its
        number, missing where there is none; ``status``: ``theme``, ``not
        stable``, ``unclear``, ``not examined`` or ``blank``; ``copy_of``, the
        complaint it is a near-copy of, or blank.
    complaints, in_stable : int
        Complaints, and those in a stable theme.
    """

    complaints: int
    in_stable: int

    def sentence(self) -> str:
        share = 100 * self.in_stable / max(self.complaints, 1)
        counts = self.table["status"].value_counts()
        rest = ", ".join(f"{status} {counts.get(status, 0):,}" for status in STATUSES[1:])
        return (
            f"{self.in_stable:,} of {self.complaints:,} complaints ({share:.0f} %) belong to a "
            f"theme that would be found again.\nThe others: {rest}. A near-copy goes with the "
            "text it copies. A label set by a program is no count of what customers meant: check "
            "a sample by hand before shares are compared."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many complaints have a theme, and what keeps the others from one."""
        ax = look.axes(ax)
        counts = self.table["status"].value_counts().reindex(STATUSES, fill_value=0)
        ax.barh(counts.index, counts, color=look.MEANING["usual"])
        ax.invert_yaxis()
        return look.label(ax, title="Which complaints belong to a theme?", x="complaints (count)")


@dataclass(frozen=True, eq=False)
class ThemeCentres(Finding):
    """Where each theme lies among the texts, for use on texts to come.

    Attributes
    ----------
    table : DataFrame, one row per theme
        ``language``, ``theme``, ``stable``, ``terms``, then its centre, ``v1``, ``v2`` ...
    themes, dimensions : int
    """

    themes: int
    dimensions: int

    def sentence(self) -> str:
        return (
            f"The centres of {counted(self.themes, 'theme')} in {self.dimensions} dimensions.\n"
            "A new text belongs to the theme whose centre is nearest; the numbers have no meaning "
            "by themselves."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each theme's centre is from the nearest other of its language."""
        ax = look.axes(ax)
        names, gaps = [], []
        for _, rows in self.table.groupby("language", sort=False):
            at = rows.filter(regex=r"^v\d+$").dropna(axis=1).to_numpy()
            far = np.linalg.norm(at[:, None] - at[None], axis=2) + np.diag([np.inf] * len(at))
            gaps += far.min(axis=1).tolist()
            names += [f"{r.language} {r.theme} {r.terms}" for r in rows.itertuples()]
        order = np.argsort([-gap if np.isfinite(gap) else 0 for gap in gaps], kind="stable")[:30]
        ax.plot([gaps[i] for i in order], range(len(order)), "o", color=look.MEANING["usual"])
        ax.set_yticks(range(len(order)), [look.shorten(names[i]) for i in order])
        ax.invert_yaxis()
        return look.label(
            ax, title="How far apart are the themes?", x="distance to the nearest other centre"
        )


# --- Finding themes -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Group:
    """The texts of one language with the themes found in them.

    Attributes
    ----------
    code, reading : str
        The language, and how it is read (`sqm.wording`).
    rows : ndarray of int
        Places in `FoundThemes.written` of its distinct texts.
    fitted : ndarray of int
        Which of these the themes were learnt from.
    themes : ndarray of int, shape (distinct texts,)
        Number of the theme, by size; 0 where a text fits none clearly.
    order : tuple of int
        Which cluster each theme is: theme 1 is ``order[0]`` of ``found``.
    stable : tuple of bool, one per theme
    found : Clusters
        Its ``space`` places new texts; ``found.centres[list(order)]`` are the themes' centres.
    """

    code: str
    reading: str
    rows: np.ndarray
    fitted: np.ndarray
    themes: np.ndarray
    order: tuple[int, ...]
    stable: tuple[bool, ...]
    found: Clusters


@dataclass(frozen=True, eq=False)
class FoundThemes:
    """All that was found, from which `themes_of` and its neighbours make findings.

    Attributes
    ----------
    written : DataFrame, one row per text that has a word, by its place in the table given
        ``text`` (masked), ``language``, ``copy_of`` (a place), and, where
        given, ``category``, ``month`` (a count), ``cost``.
    names : Series of str
        What each row of the table given is called.
    groups : tuple of Group
    not_examined : tuple of str
    settings : Settings
    """

    written: pd.DataFrame
    names: pd.Series
    groups: tuple[Group, ...]
    not_examined: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True)
class Settings:
    """What `find_themes` was asked for."""

    k: tuple[int, ...]
    resamples: int
    bar: float
    smallest_group: int
    confidence: float
    most: int


def find_themes(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    text: str = "text",
    id: str = "",
    language: str = "",
    category: str = "",
    opened: str = "",
    cost: str = "",
    k: Sequence[int] = COUNTS,
    resamples: int = 20,
    bar: float = 0.75,
    smallest_group: int = 5,
    confidence: float = 0.95,
    most: int = MOST_FITTED,
    vectors: np.ndarray | None = None,
) -> FoundThemes:
    """Find the themes of complaint texts, and try whether other samples have them too.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    rng : Generator
        Chance, for the resamples.
    text, id, language, category, opened, cost : str
        Columns.  Without ``id`` complaints are named by their row; without
        ``language`` it is guessed; without the others themes are not set
        against recorded categories, months and cost.
    k : sequence of int
        Numbers of themes to try in each language.
    resamples : int, default 20
        How many samples of 80 % of the texts are drawn (3,000 at most each).
    bar : float, default 0.75
        Stability a theme must reach; from 0.75 a cluster is valid, below 0.5
        it is dissolved [1]_.
    smallest_group : int, default 5
        A theme of fewer texts is not shown, and a word that fewer texts use is no term.
    confidence : float, default 0.95
    most : int, default 20,000
        Distinct texts of a language from which themes are learnt; of more, so
        many are drawn and the others join the nearest theme.
    vectors : ndarray, shape (complaints, dimensions), optional
        Vectors of the texts made elsewhere; none is ever fetched.

    Returns
    -------
    FoundThemes

    Raises
    ------
    Problem
        If a column is missing or a setting is out of range.
    Refusal
        If no language has 50 distinct texts.

    Notes
    -----
    Texts are masked and read up to 4,000 characters; copies that differ in
    figures or punctuation only, and texts that share 70 % of their shingles
    with an earlier one [2]_, are set aside.  Small words, names (a capital in
    mid-sentence) and sentences that stand word for word in more than 2.5 % of
    texts (greetings, closings) are not read.  Vectors: `text_vectors.TextSpace`,
    learnt from these texts alone; grouping and the number of themes:
    `text_clusters.clusters`.

    Stability is the mean, over resamples, of a theme's best Jaccard similarity
    with a theme of the resample, vectors learnt anew [1]_.  ``chance`` is the
    stability below which the share ``confidence`` of themes stayed when the
    words were shuffled across texts, with as many themes (in Chinese: runs of
    characters that keep company; of given vectors: each coordinate).  A theme
    is stable if it reaches the bar and exceeds ``chance``; so about 5 in 100
    themes of mere chance pass at 0.95 (11 of 251 in forty sets of texts whose
    words were drawn from all themes alike, and none of these with the bar at
    0.75).  A text is unclear if it stayed with
    its theme in less than half of the resamples, or has no word that is counted.

    References
    ----------
    .. [1] Hennig, C. (2007). Computational Statistics & Data Analysis 52,
       258-271. doi:10.1016/j.csda.2006.11.025
    .. [2] Broder, A. Z. (1997). Compression and Complexity of Sequences,
       21-29. doi:10.1109/SEQUEN.1997.666900

    Examples
    --------
    Ten texts are no ground for themes.

    >>> said = pd.DataFrame({"text": ["The line was busy."] * 10})
    >>> find_themes(said, rng=np.random.default_rng(1))
    Traceback (most recent call last):
    sqm.checks.Refusal: No language has 50 distinct texts: English 1.
      To mend: collect more texts, or read a few dozen by hand.
    """
    columns = {"text": text, "id": id, "language": language, "category": category}
    columns |= {"opened": opened, "cost": cost}
    settings = Settings(tuple(k), resamples, bar, smallest_group, confidence, most)
    _need_settings(complaints, columns, settings, vectors)
    written = _prepared(complaints, columns)
    own = written["copy_of"] == written.index
    counts = written.loc[own, "language"].value_counts()
    enough = sorted(counts.index[counts >= FEWEST_TEXTS], key=lambda code: (-counts[code], code))
    _need_a_language(counts, enough)
    groups = [
        _group(code, written[own & (written["language"] == code)], settings, vectors, chance)
        for code, chance in zip(enough, rng.spawn(len(enough)), strict=True)
    ]
    names = complaints[id] if id else pd.Series(range(len(complaints)))
    return FoundThemes(
        written=written,
        names=names.astype("str").reset_index(drop=True),
        groups=tuple(group for group in groups if group is not None),
        not_examined=_passed_over(counts, enough, groups),
        settings=settings,
    )


def _passed_over(counts: pd.Series, enough: list[str], groups: list) -> tuple[str, ...]:
    few = [
        f"{_name(code)} ({counts[code]} distinct texts, fewer than {FEWEST_TEXTS})"
        for code in sorted(set(counts.index) - set(enough))
    ]
    return tuple(few) + tuple(
        f"{_name(code)} ({counts[code]:,} texts with no word in common)"
        for code, group in zip(enough, groups, strict=True)
        if group is None
    )


def _name(code: str) -> str:
    return LANGUAGE_NAMES.get(code, code)


# --- At the door ----------------------------------------------------------------------------------


def _need_settings(complaints, columns, settings, vectors) -> None:
    need_columns(complaints, filter(None, columns.values()), source="complaints")
    need_share(settings.bar, name="bar")
    need_share(settings.confidence, name="confidence")
    k = settings.k
    if not len(k) or not all(isinstance(each, int | np.integer) and each >= 2 for each in k):
        raise Problem(f"k is {list(k)}.", "give numbers of themes from 2 up, such as 4 to 10.")
    if settings.resamples < 5:
        raise Problem(f"{settings.resamples} resamples show no stability.", "give 20 or so.")
    if settings.most < FEWEST_TEXTS:
        raise Problem(f"most is {settings.most}.", f"learn from {FEWEST_TEXTS} texts or more.")
    if vectors is not None:
        _need_vectors(vectors, len(complaints))


def _need_vectors(vectors: np.ndarray, rows: int) -> None:
    if np.ndim(vectors) != 2 or len(vectors) != rows:
        raise Problem(
            f"vectors has shape {np.shape(vectors)} where there are {rows:,} complaints.",
            "give one row per complaint, in the same order.",
        )
    if not np.isfinite(vectors).all():
        raise Problem("vectors holds what is no number.", "leave blank texts as rows of 0.")


def _need_a_language(counts: pd.Series, enough: list[str]) -> None:
    if not enough:
        have = ", ".join(f"{_name(code)} {n}" for code, n in counts.items())
        raise Refusal(
            f"No language has {FEWEST_TEXTS} distinct texts: "
            f"{have or 'all are blank or without a letter'}.",
            "collect more texts, or read a few dozen by hand.",
        )


def _prepared(complaints: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Texts that say something: masked, with their language and the text they copy."""
    given = complaints.reset_index(drop=True)
    written = readable(given[columns["text"]]).to_frame("text")
    given = given.loc[written.index]
    if columns["language"]:
        codes = given[columns["language"]].astype("str").str.strip().str.lower()
        written["language"] = codes.fillna("other").replace("", "other")
    else:
        written["language"] = language_of(written["text"])
    if columns["category"]:
        written["category"] = given[columns["category"]].astype("str")
    if columns["opened"]:
        opened = pd.to_datetime(given[columns["opened"]])
        written["month"] = opened.dt.year * 12.0 + opened.dt.month
    if columns["cost"]:
        written["cost"] = given[columns["cost"]].astype(float)
    written["copy_of"] = near_copies_within(written["text"], written["language"])
    return written


# --- Themes of one language -----------------------------------------------------------------------


def _group(code, distinct, settings, vectors, rng) -> Group | None:
    """The themes of one language; nothing if its texts have no word in common."""
    rows = distinct.index.to_numpy()
    fitted = np.sort(rng.permutation(len(rows))[: settings.most])
    texts = distinct["text"].iloc[fitted].tolist()
    reading = reading_of(texts[:1000], code)
    found = clusters(
        texts, language=reading, rng=rng, k=settings.k, resamples=settings.resamples,
        confidence=settings.confidence, vectors=None if vectors is None else vectors[rows[fitted]],
    )  # fmt: skip
    if found is None:
        return None
    labels = np.full(len(rows), -1)
    labels[fitted] = found.labels
    rest = np.setdiff1d(np.arange(len(rows)), fitted)
    labels[rest] = _joined(found, distinct["text"], rest, vectors, rows)
    return _numbered(code, reading, rows, fitted, labels, found, settings)


def _numbered(code, reading, rows, fitted, labels, found, settings) -> Group:
    """Themes by size, without those of too few texts."""
    sizes = np.bincount(labels[labels >= 0], minlength=len(found.centres))
    shown = np.flatnonzero(sizes >= settings.smallest_group)
    order = shown[np.lexsort((shown, -sizes[shown]))]
    number = np.zeros(len(sizes) + 1, int)  # the last for -1
    number[order] = np.arange(1, len(order) + 1)
    reached = found.jaccard.mean(axis=0)[order]
    stable = (reached >= settings.bar) & (reached > found.chance)
    return Group(
        code, reading, rows, fitted, number[labels], tuple(order.tolist()),
        tuple(stable.tolist()), found,
    )  # fmt: skip


def _joined(found: Clusters, texts: pd.Series, rest, vectors, rows) -> np.ndarray:
    """Nearest theme of texts that none was learnt from; -1 where they lie between two.

    So many of them are unclear as of the texts that themes were learnt from: the bound is
    the ratio of distances that this share of those texts pass.
    """
    said = np.abs(found.vectors).sum(axis=1) > 0
    _, ratio = nearest_centre(found.vectors[said], found.centres)
    bound = np.quantile(ratio, (found.labels[said] >= 0).mean()) if said.any() else 0
    labels = np.full(len(rest), -1)
    for at in range(0, len(rest), BLOCK):
        block = rest[at : at + BLOCK]
        if vectors is None:
            placed = found.space.vectors(texts.iloc[block].tolist())
        else:
            placed = vectors[rows[block]].astype(np.float32)
        nearest, ratio = nearest_centre(placed, found.centres)
        clear = (ratio <= bound) & (np.abs(placed).sum(axis=1) > 0)
        labels[at : at + BLOCK] = np.where(clear, nearest, -1)
    return labels


# --- From what was found to findings --------------------------------------------------------------

_COLUMNS = [
    "language", "theme", "terms", "loose_terms", "size", "copies", "estimate", "low", "high",
    "stability", "stability_low", "stability_high", "chance", "stable", "main_category",
    "main_category_share", "main_category_low", "main_category_high", "trend", "trend_low",
    "trend_high", "cost_share",
    "cost_low", "cost_high", "matched", "typical_1", "typical_2", "typical_3", "note",
]  # fmt: skip


def themes_of(found: FoundThemes, *, quote: bool = False) -> Themes:
    """Describe the themes that were found.

    Parameters
    ----------
    found : FoundThemes
    quote : bool
        Whether masked texts of customers may be shown.

    Notes
    -----
    Shares have Wilson's interval.  The trend is the slope of a quasi-binomial
    regression of the month's share on the month, at the mean share, with
    Student's quantile; months that differ by more than chance widen it
    (Pearson's dispersion).  A share of cost has a linearised
    interval on the scale of log odds, near-copies taken together.
    """
    rows = [row for group in found.groups for row in _rows(found, group, quote)]
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"stable": bool, "theme": int})
    table["matched"] = _matched(found, table)
    moves = table["stable"] & ((table["trend_low"] > 0) | (table["trend_high"] < 0))
    own = found.written["copy_of"] == found.written.index
    return Themes(
        table=table,
        texts=len(found.names),
        empty=len(found.names) - len(found.written),
        copies=int((~own).sum()),
        examined=sum(len(group.rows) for group in found.groups),
        fitted=sum(len(group.fitted) for group in found.groups),
        themes=len(table),
        stable=int(table["stable"].sum()),
        unclear=sum(int((group.themes == 0).sum()) for group in found.groups),
        trending=int(moves.sum()),
        languages=tuple(group.code for group in found.groups),
        not_examined=found.not_examined,
        same_again=tuple(group.found.same_again for group in found.groups),
        categories=_categories(found),
        categories_met=table.loc[table["stable"], "main_category"].replace("", None).nunique(),
        category_ami=_category_ami(found),
        bar=found.settings.bar,
        resamples=found.settings.resamples,
        confidence=found.settings.confidence,
    )


def themes(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    text: str = "text",
    language: str = "",
    category: str = "",
    k: Sequence[int] = COUNTS,
    resamples: int = 20,
    bar: float = 0.75,
    quote: bool = False,
    smallest_group: int = 5,
    confidence: float = 0.95,
) -> Themes:
    """Find themes and describe them in one call: `find_themes`, then `themes_of`."""
    found = find_themes(
        complaints, rng=rng, text=text, language=language, category=category, k=k,
        resamples=resamples, bar=bar, smallest_group=smallest_group, confidence=confidence,
    )  # fmt: skip
    return themes_of(found, quote=quote)


def theme_number_of(found: FoundThemes) -> ThemeNumber:
    """Show what spoke for the number of themes in each language."""
    parts = [group.found.tried.assign(language=group.code) for group in found.groups]
    columns = ["language", "k", "stability", "coherence", "score", "error", "chosen"]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    chosen = table[table["chosen"].astype(bool)]
    largest = table.groupby("language", sort=False)["k"].max()
    return ThemeNumber(
        table=pd.DataFrame(
            {
                **table[["language", "k", "stability", "coherence"]],
                "estimate": table["score"],
                "low": table["score"] - table["error"],
                "high": table["score"] + table["error"],
                "chosen": table["chosen"],
            }
        ),
        languages=tuple(chosen["language"]),
        chosen=tuple(int(each) for each in chosen["k"]),
        at_an_end=tuple(
            row.language
            for row in chosen.itertuples()
            if row.k == largest[row.language] and (table["language"] == row.language).sum() > 1
        ),
    )


def theme_members_of(found: FoundThemes) -> ThemeMembers:
    """Name the theme of each complaint."""
    number, stable = _number_of_rows(found)
    written = found.written
    status = np.select(
        [number.isna(), number == 0, ~stable], ["not examined", "unclear", "not stable"], "theme"
    )
    here = pd.DataFrame(
        {
            "language": written["language"],
            "theme": number.where(number > 0).astype("Int64"),
            "status": status,
            "copy_of": found.names.loc[written["copy_of"]]
            .set_axis(written.index)
            .where(written["copy_of"] != written.index, ""),
        }
    )
    table = pd.DataFrame({"complaint": found.names}).join(here)
    table["status"] = table["status"].fillna("blank").astype("str")
    table[["language", "copy_of"]] = table[["language", "copy_of"]].fillna("").astype("str")
    return ThemeMembers(table, len(table), int((table["status"] == "theme").sum()))


def theme_centres_of(found: FoundThemes) -> ThemeCentres:
    """Give the centre of each theme; `FoundThemes.groups` have the spaces they lie in."""
    parts = []
    for group in found.groups:
        centres = group.found.centres[list(group.order)]
        part = pd.DataFrame(centres, columns=[f"v{i + 1}" for i in range(centres.shape[1])])
        said = _used_in(found, group)
        part.insert(0, "terms", [_terms(said, group, n) for n in _numbers(group)])
        part.insert(0, "stable", list(group.stable))
        part.insert(0, "theme", list(_numbers(group)))
        part.insert(0, "language", group.code)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["language"])
    return ThemeCentres(table, len(table), int(table.filter(regex=r"^v\d+$").shape[1]))


def _numbers(group: Group) -> range:
    return range(1, len(group.order) + 1)


def _number_of_rows(found: FoundThemes) -> tuple[pd.Series, pd.Series]:
    """Theme of each text, copies with the text they copy (0: unclear), and whether it is stable."""
    number = pd.Series(np.nan, index=found.written.index)
    stable = pd.Series(False, index=found.written.index)
    for group in found.groups:
        number[group.rows] = group.themes
        stable[group.rows] = np.array([False, *group.stable])[group.themes]
    of = found.written["copy_of"]
    return number.loc[of].set_axis(of.index), stable.loc[of].set_axis(of.index)


def _rows(found: FoundThemes, group: Group, quote: bool) -> list[list]:
    distinct = found.written.loc[group.rows]
    whole = found.written[found.written["copy_of"].isin(group.rows)]
    of_whole = pd.Series(group.themes, index=group.rows).loc[whole["copy_of"]].to_numpy()
    said, settings = _used_in(found, group), found.settings
    tail = [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
    rows = []
    for number, cluster, stable in zip(_numbers(group), group.order, group.stable, strict=True):
        inside = group.themes == number
        terms = ", ".join(said(inside[group.fitted]))
        stability = group.found.jaccard[:, cluster]
        trend, why_trend = _trend(distinct, inside, settings.confidence)
        cost, why_cost = _cost_share(whole, of_whole == number, settings.confidence)
        rows.append(
            [
                group.code, number, terms if stable else "", "" if stable else terms,
                int(inside.sum()), int((of_whole == number).sum() - inside.sum()),
                *_share(inside, settings.confidence), float(stability.mean()),
                *np.quantile(stability, tail), group.found.chance, stable,
                *_main_category(distinct, inside, settings.confidence), *trend, *cost, "",
                *(_typical(found, group, inside, cluster) if quote else [""] * TYPICAL),
                " ".join(filter(None, [why_trend, why_cost])),
            ]
        )  # fmt: skip
    return rows


def _share(inside: np.ndarray, confidence: float) -> tuple[float, float, float]:
    share = float(inside.mean())
    return share, *interval.wilson(share, len(inside), confidence=confidence)


def _main_category(distinct, inside, confidence) -> list:
    if "category" not in distinct:
        return ["", np.nan, np.nan, np.nan]
    recorded = distinct["category"][inside].dropna()
    if recorded.empty:
        return ["", np.nan, np.nan, np.nan]
    shares = recorded.value_counts(normalize=True).sort_index()
    most = float(shares.max())
    return [shares.idxmax(), most, *interval.wilson(most, len(recorded), confidence=confidence)]


def _categories(found: FoundThemes) -> int:
    return found.written["category"].nunique() if "category" in found.written else 0


def _category_ami(found: FoundThemes) -> float:
    """Of the texts with a theme, over all languages, each language weighing as its texts."""
    if "category" not in found.written:
        return np.nan
    values, weights = [], []
    for group in found.groups:
        recorded = found.written["category"].loc[group.rows]
        both = (group.themes > 0) & recorded.notna().to_numpy()
        if both.any():
            given = recorded[both].to_numpy(dtype=object)
            values.append(adjusted_mutual_info_score(given, group.themes[both]))
            weights.append(both.sum())
    return float(np.average(values, weights=weights)) if values else np.nan


# --- Trend and cost -------------------------------------------------------------------------------


def _trend(distinct: pd.DataFrame, inside: np.ndarray, confidence: float) -> tuple[list, str]:
    if "month" not in distinct:
        return [np.nan] * 3, ""
    dated = distinct["month"].notna().to_numpy()
    by_month = pd.Series(inside[dated]).groupby(distinct["month"].to_numpy()[dated])
    hits, texts = by_month.sum(), by_month.size()
    if len(texts) < FEWEST_MONTHS:
        return [np.nan] * 3, f"no trend: fewer than {FEWEST_MONTHS} months."
    if not 0 < hits.sum() < texts.sum():
        return [np.nan] * 3, "no trend: no month differs."
    months = texts.index.to_numpy(dtype=float)
    return list(share_trend(hits.to_numpy(float), texts.to_numpy(float), months, confidence)), ""


def share_trend(
    hits: np.ndarray, texts: np.ndarray, months: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Change of a share per month, with its interval.

    Quasi-binomial regression on the month (McCullagh and Nelder 1989, 4.5), the slope on log
    odds times p (1 - p) at the mean share.

    Examples
    --------
    A share that rises from 20 to 40 in 100 rises by about 4 a month.

    >>> hits, months = np.array([20.0, 27, 25, 34, 33, 41]), np.arange(6.0)
    >>> found = share_trend(hits, np.full(6, 100.0), months, 0.95)
    >>> [round(each, 3) for each in found]
    [0.038, 0.019, 0.057]
    """
    centred = months - np.average(months, weights=texts)
    x = np.column_stack([np.ones(len(months)), centred])
    share = hits.sum() / texts.sum()
    b = np.array([np.log(share / (1 - share)), 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        weight = np.maximum(texts * p * (1 - p), 1e-9)
        step = np.linalg.solve(x.T @ (weight[:, None] * x), x.T @ (hits - texts * p))
        b += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    free = len(months) - 2
    dispersion = float(((hits - texts * p) ** 2 / weight).sum()) / free
    error = np.sqrt(dispersion * np.linalg.inv(x.T @ (weight[:, None] * x))[1, 1])
    quantile = stats.t.ppf((1 + confidence) / 2, free)
    scale = share * (1 - share)
    return tuple(
        float(scale * each) for each in (b[1], b[1] - quantile * error, b[1] + quantile * error)
    )


def _cost_share(whole: pd.DataFrame, inside: np.ndarray, confidence: float) -> tuple[list, str]:
    if "cost" not in whole:
        return [np.nan] * 3, ""
    cost = whole["cost"].fillna(0).to_numpy()
    if (cost < 0).any() or not cost.sum() > 0:
        return [np.nan] * 3, "no share of cost: costs are negative or all 0."
    groups = pd.factorize(whole["copy_of"])[0]
    return list(cost_share(cost, inside, groups, confidence)), ""


def cost_share(
    cost: np.ndarray, inside: np.ndarray, groups: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Share of a sum that some rows hold, with its interval; rows of one group go together.

    Examples
    --------
    Of 1, 1 and 2 the last is a half.

    >>> inside = np.array([False, False, True])
    >>> cost_share(np.array([1.0, 1, 2]), inside, np.arange(3), 0.95)[0]
    0.5
    """
    share = float(cost[inside].sum() / cost.sum())
    if not 0 < share < 1:
        return share, np.nan, np.nan
    parts = cost * (inside - share) / cost.sum()
    error = np.sqrt(interval.variance_of_sum(parts, groups))
    # so many rows would tell as much if all cost the same
    alike = interval.kish(np.bincount(groups, weights=cost))
    quantile = stats.t.ppf((1 + confidence) / 2, max(alike - 1, 1))
    low, high = interval.logit_limits(share, quantile * error / (share * (1 - share)))
    return share, float(low), float(high)


# --- Themes of different languages ----------------------------------------------------------------


def _matched(found: FoundThemes, table: pd.DataFrame) -> list[str]:
    """For each stable theme the nearest of each other language, by what is recorded of both.

    Nearest is the one whose recorded categories overlap most (Bhattacharyya); how sure: the
    share of draws of the category counts in which it is the nearest.
    """
    matched = [""] * len(table)
    places = np.flatnonzero(table["stable"])
    if "category" not in found.written or len(found.groups) < 2 or not len(places):
        return matched
    draws = _category_draws(found, table.iloc[places])
    codes = table["language"].to_numpy()[places]
    for one, place in enumerate(places):
        said = []
        for code in dict.fromkeys(codes[codes != codes[one]]):
            others = np.flatnonzero(codes == code)
            alike = np.einsum("dc,doc->do", draws[:, one], draws[:, others])
            times = np.bincount(alike.argmax(axis=1), minlength=len(others)) / len(draws)
            if times.max() >= MATCHED:
                theme = table["theme"].iloc[places[others[times.argmax()]]]
                said.append(f"{code} {theme} ({100 * times.max():.0f} %)")
        matched[place] = "; ".join(said)
    return matched


def _category_draws(found: FoundThemes, themes: pd.DataFrame) -> np.ndarray:
    """Square roots of category shares, shape (draws, themes, categories), drawn from Dirichlet."""
    recorded = found.written["category"].astype("str").fillna("")
    kinds = sorted(set(recorded) - {""})
    counts = np.zeros((len(themes), len(kinds)))
    groups = {group.code: group for group in found.groups}
    for row, theme in enumerate(themes.itertuples()):
        group = groups[theme.language]
        met = recorded.loc[group.rows[group.themes == theme.theme]].value_counts()
        counts[row] = met.reindex(kinds, fill_value=0)
    rng = np.random.default_rng(0)  # a fixed set of draws, so that the table is the same again
    drawn = rng.gamma(counts + 0.5 / max(len(kinds), 1), size=(MATCH_DRAWS, *counts.shape))
    return np.sqrt(drawn / np.maximum(drawn.sum(axis=2, keepdims=True), 1e-12))


# --- Words ----------------------------------------------------------------------------------------


def _typical(found: FoundThemes, group: Group, inside: np.ndarray, cluster: int) -> list[str]:
    """The texts nearest the theme's centre, cut to a readable length."""
    own = np.flatnonzero(inside[group.fitted])
    far = np.linalg.norm(group.found.vectors[own] - group.found.centres[cluster], axis=1)
    nearest = group.rows[group.fitted[own[np.argsort(far, kind="stable")[:TYPICAL]]]]
    texts = [look.shorten(found.written["text"].loc[row], width=SHOWN) for row in nearest]
    return texts + [""] * (TYPICAL - len(texts))


def _terms(said: Callable, group: Group, number: int) -> str:
    stable = group.stable[number - 1]
    return ", ".join(said((group.themes == number)[group.fitted])) if stable else ""


def _used_in(found: FoundThemes, group: Group) -> Callable[[np.ndarray], list[str]]:
    """A function that names the terms which set some of the fitted texts apart."""
    unspaced = by_characters(group.reading)
    step = -(-len(group.fitted) // MOST_WORDED)
    least = found.settings.smallest_group
    counter = CountVectorizer(
        analyzer=zh_terms if unspaced else str.split, min_df=least, binary=True
    )
    try:
        met = counter.fit_transform(group.found.read.matter[::step])
    except ValueError:
        return lambda inside: []
    names = counter.get_feature_names_out()
    weight = np.array([np.log2(1 + len(name)) if unspaced else 1.0 for name in names])

    def terms(inside: np.ndarray) -> list[str]:
        some = inside[::step]
        if not some.any() or some.all():
            return []
        within = np.asarray(met[some].sum(axis=0)).ravel()
        outside = np.asarray(met[~some].sum(axis=0)).ravel()
        told = telling_score(within, outside, int(some.sum()), len(some))
        score = np.where(within >= least, told * weight, 0)
        order = np.lexsort((names, -score))
        return apart([str(names[i]) for i in order[:80] if score[i] > 0], group.reading)

    return terms
