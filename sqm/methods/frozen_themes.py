"""Do this month's texts still fit the themes that were found before?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from threadpoolctl import threadpool_limits

from sqm import clock, interval, look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted, listed
from sqm.near_copies import near_copies_within
from sqm.text_vectors import TextSpace, count, learnt, read_texts, space_of
from sqm.wording import LANGUAGE_NAMES, apart, by_characters, language_of, readable, zh_terms

MOST_DRAWN = 12  # themes in the picture
FEWEST_TEXTS = 50  # of a language, distinct, for a frozen space
FEWEST_OF_THEME = 5  # texts of a theme
WORD_TEXTS = 5  # in which a word stands that is kept: a rarer one could be a person's name
FEWEST_WORDS = 3  # a text with fewer different ones says too little to be judged
FOLDS = 5
MOST_HELD_OUT = 10_000  # texts whose held-out scores are kept
DECIMALS = 5  # of the vectors that are kept
UPPER = 0.2  # of the held-out scores are kept: no larger share of misfits can be asked for
MOST_READ = 2_000  # texts that fit, against which the words of misfits are set
FEWEST_PERIODS = 6  # on which it is judged whether misfits come in lumps
WORD_SHOWN = 5  # misfits that must use a word before it is named
NONE, SHORT, OTHER = "fits none", "too short", "language not met before"
PERIODS = {"month": "M", "week": "W"}


@dataclass(frozen=True, eq=False)
class FrozenThemes(Finding):
    """All that is needed to place new texts among themes found before, in words and numbers.

    Attributes
    ----------
    table : DataFrame
        ``language``; ``name``, kind and itself: the rows of a `TextSpace` (``word:``,
        ``gram:``, ``formula:``, ``language:``), ``theme:1`` with its centre, ``score:1`` the
        held-out scores of the worst fitting fifth, ``number:texts`` and the like; ``said``, the
        terms of a theme, or a date; ``value``, a theme's share of texts (0 to 1), a score, a
        number; ``idf``; ``v1, v2 ...``, vectors.  It survives being written as CSV.
    languages : tuple of str
    themes, texts, copies, short : int
        Themes kept, distinct texts learnt from, near-copies and texts of fewer than three words set
        aside.
    not_frozen : tuple of str
        Languages and themes left out, with the reason.
    first, last : str
        Days of the first and the last text; empty if not known.
    """

    languages: tuple[str, ...]
    themes: int
    texts: int
    copies: int
    short: int
    not_frozen: tuple[str, ...]
    first: str
    last: str

    def sentence(self) -> str:
        names = ", ".join(LANGUAGE_NAMES.get(code, code) for code in self.languages)
        when = f" of {self.first} to {self.last}" if self.first else ""
        words = (
            f"{counted(self.themes, 'theme')} ({names}) frozen from {self.texts:,} texts{when}; "
            "new texts can be set against them.\nSet aside: "
            f"{counted(self.copies, 'near-copy')} and {counted(self.short, 'text')} of fewer than "
            f"{FEWEST_WORDS} words. How far a text may lie from its theme was measured on "
            f"texts held out in {FOLDS} rounds."
        )
        if self.not_frozen:
            words += f" Not frozen: {listed(self.not_frozen, most=4, apart='; ')}."
        return (
            f"{words} The table holds words that {WORD_TEXTS} texts or more use, and parts of "
            "these, but no text."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["name"].str.startswith("theme:")]
        named = rows[rows["said"].fillna("") != ""]
        largest = (named if len(named) else rows).nlargest(MOST_DRAWN, "value").index
        rows = rows.loc[sorted(largest)]
        places = np.arange(len(rows))
        ax.barh(places, 100 * rows["value"], color=look.MEANING["usual"])
        names = [look.shorten(f"{r.language}: {r.said}") for r in rows.itertuples()]
        ax.set_yticks(places, names)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        which = f"the {len(rows)} largest with a name, of {self.themes}"
        x = f"share of the language's texts (%); {which}"
        return look.label(ax, title="Which themes were frozen?", x=x)


@dataclass(frozen=True, eq=False)
class ThemeFit(Finding):
    """How new texts divide over frozen themes, and whether too many fit none.

    Attributes
    ----------
    table : DataFrame, one row per language, period and theme
        ``language``; ``period``, its first day; ``theme``, its number, or "fits none";
        ``terms``, of a theme as frozen, of "fits none" the words that set these texts apart;
        ``texts``, judged in the period; ``count``; ``estimate``, ``low``, ``high``, share of
        these (0 to 1); ``expected``, the share when frozen, or the calibrated share of misfits;
        ``p_value`` (of "fits none": the chance of as many if nothing changed); ``alarm``; ``note``.
    alarms : tuple of str
        Languages and periods in which more texts fit none than chance allows.
    new_terms : tuple of str
        Words of the misfits, one entry an alarm.
    estimate, low, high, expected : float
        Share of all judged texts that fit none, and what was to be expected, 0 to 1.
    judged, misfits, blank, copies, short, other_language, undated, tests : int
        Texts judged, those that fit none; set aside: blank ones, near-copies, texts too short, of
        a language not met before, without a date; and languages times periods tried.
    other_languages : tuple of str
    misfit_rate, false_alarm, confidence : float
        The calibrated share of misfits, the chance of any alarm if nothing changed, and the
        level of the shares' intervals.
    """

    alarms: tuple[str, ...]
    new_terms: tuple[str, ...]
    estimate: float
    low: float
    high: float
    expected: float
    judged: int
    misfits: int
    blank: int
    copies: int
    short: int
    other_language: int
    undated: int
    tests: int
    other_languages: tuple[str, ...]
    misfit_rate: float
    false_alarm: float
    confidence: float

    def sentence(self) -> str:
        return f"{self._first()}\n{' '.join(filter(None, [self._told(), self._basis()]))}"

    def _first(self) -> str:
        if not self.alarms:
            share = self._spelt(self.estimate, self.low, self.high)
            return (
                f"The texts still fit the frozen themes: {share} fit none, where "
                f"{100 * self.expected:.1f} % are to be expected; no period has more than chance "
                "has."
            )
        worst = self.table[self.table["alarm"]].sort_values("p_value", kind="stable").iloc[0]
        share = self._spelt(worst["estimate"], worst["low"], worst["high"])
        name = LANGUAGE_NAMES.get(worst["language"], worst["language"])
        return (
            f"Something new may be complained of: {share} of the texts of {name}, "
            f"{worst['period']}, fit no frozen theme, more than chance makes of the "
            f"{100 * worst['expected']:.1f} % to be expected."
        )

    def _spelt(self, estimate: float, low: float, high: float) -> str:
        limits = [100 * each for each in (estimate, low, high)]
        return interval.spell(*limits, confidence=self.confidence, digits=1, unit="%")

    def _told(self) -> str:
        if not self.new_terms:
            return ""
        count = counted(len(self.alarms), "alarm")
        words = f"{count}. Words of the texts that fit none: {'; '.join(self.new_terms[:4])}."
        return f"{words} Read these texts: a new way to say the same, or to write, fits none too."

    def _basis(self) -> str:
        words = (
            f"{self.judged:,} distinct texts judged in {counted(self.tests, 'language-period')}; "
            f"the chance of any alarm, were nothing new, is {100 * self.false_alarm:.4g} % at most "
            "over all of these, which takes texts as alike as when frozen. "
            f"Set aside: {self.copies:,} near-copies, {self.blank:,} blank, {self.short:,} of "
            f"fewer than {FEWEST_WORDS} words"
        )
        words += f", {self.undated:,} without a date." if self.undated else "."
        if self.other_language:
            names = listed(self.other_languages, most=4)
            words += f" {self.other_language:,} in a language not met before ({names})."
        return words + " A campaign of one letter counts as one text."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share that fits none by period, one line a language."""
        ax = look.axes(ax)
        rows = self.table[self.table["theme"] == NONE].dropna(subset="estimate")
        languages = list(dict.fromkeys(rows["language"]))
        for at, language in enumerate(languages):
            here = rows[rows["language"] == language]
            x = pd.to_datetime(here["period"]) + pd.Timedelta(days=2 * at)
            _draw_language(ax, x, here, language, ("o", "s", "D", "P", "X")[at % 5])
        ax.axhline(100 * self.misfit_rate, color=look.MEANING["limit"], ls="--", lw=1)
        ax.set_ylim(bottom=0)
        ax.legend(fontsize="small", frameon=False)
        look.dates(ax)
        return look.label(
            ax,
            title="Do the texts still fit the frozen themes?",
            x="dashed: share calibrated when frozen; downward triangle: alarm",
            y="texts that fit none (%)",
        )


def alert_of(fit: ThemeFit, *, owner: str = "", reaction: str = "") -> pd.DataFrame:
    """What the watch hears of new texts: one row, which fires if too many fit no theme.

    Returns
    -------
    DataFrame, one row
        ``source``, ``series``, ``state``, ``since``, ``rule``, ``rate``, ``centre``,
        ``false_alarm``, ``owner``, ``reaction``, ``note`` (the words of the misfits).
    """
    alarms = fit.table[fit.table["alarm"].astype(bool)]
    since = "" if alarms.empty else f"{pd.to_datetime(alarms['period']).min():%Y-%m-%d}"
    row = {
        "source": "texts",
        "series": "texts that fit no theme",
        "state": "quiet" if alarms.empty else "worse",
        "since": since,
        "rule": "" if alarms.empty else "more texts fit no theme than chance allows",
        "rate": fit.estimate,
        "centre": fit.expected,
        "false_alarm": fit.false_alarm,
        "owner": owner,
        "reaction": reaction,
        "note": "; ".join(fit.new_terms),
    }
    return pd.DataFrame([row])


def _draw_language(ax: Axes, x: pd.Series, rows: pd.DataFrame, language: str, marker: str) -> None:
    name = LANGUAGE_NAMES.get(language, language)
    quiet = ~rows["alarm"].to_numpy(dtype=bool)
    percent = 100 * rows[["estimate", "low", "high"]]
    ax.vlines(x, percent["low"], percent["high"], color=look.MEANING["usual"], lw=1)
    colour = look.MEANING["usual"]
    ax.plot(x[quiet], percent["estimate"][quiet], ls="", marker=marker, color=colour, label=name)
    worse = {"marker": look.MARKER["worse"], "color": look.MEANING["worse"], "ms": 9}
    for day, value in zip(x[~quiet], percent["estimate"][~quiet], strict=True):
        ax.plot(day, value, **worse)
        ax.annotate(name, (day, value), (6, 4), textcoords="offset points", size=8)


# --- Freezing -------------------------------------------------------------------------------------


def frozen(
    complaints: pd.DataFrame,
    members: pd.DataFrame,
    *,
    rng: np.random.Generator,
    terms: pd.DataFrame | None = None,
    complaint: str = "complaint",
    text: str = "text",
    opened: str = "opened",
) -> FrozenThemes:
    """Freeze themes, so that later texts can be set against them.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
        With ``complaint``, ``text`` and, if known, ``opened``.
    members : DataFrame, one row per complaint
        ``complaint``; ``language``; ``theme``, a number, missing or below 1 where the text fits no
        theme clearly.
    rng : Generator
        Chance, for the rounds in which texts are held out.
    terms : DataFrame, optional
        ``language``, ``theme``, ``terms``: the words of each theme.
    complaint, text, opened : str
        Columns of ``complaints``.

    The language is told from the text; where that fails, it is the one of ``members``.  A text in
    another language than ``members`` says keeps no theme.

    Returns
    -------
    FrozenThemes
        A language with fewer than 50 distinct texts and a theme with fewer than 5 are left out,
        and named.

    Raises
    ------
    Problem
        If a complaint stands in ``members`` twice.
    Refusal
        If a column is missing, or no language can be frozen.

    Notes
    -----
    A `TextSpace` is learnt per language from the distinct, masked texts; a theme's centre is
    the mean of its texts. Words that fewer than five texts use are left out of the space, and
    with them their parts: they could name a person. The score of a text is 1 - c k, with c the
    cosine with the nearest centre and k the share of its different words that the space knows
    (half a word added on either side): the distance alone does not tell a new matter, as it is
    made of the known words. Scores are calibrated on texts held out: five times the space and
    the centres are learnt without a fifth of the texts, and these scored (cross-conformal
    prediction [1]_).

    References
    ----------
    .. [1] Vovk, V. (2015). Cross-conformal predictors. Annals of Mathematics and Artificial
       Intelligence 74, 9-28. doi:10.1007/s10472-013-9368-4

    Examples
    --------
    >>> two = pd.DataFrame({"complaint": ["a", "b"], "text": ["The bill is wrong.", "It is late."]})
    >>> frozen(two, two.assign(language="en", theme=1), rng=np.random.default_rng(1))
    Traceback (most recent call last):
    sqm.checks.Refusal: No language can be frozen: English (0 distinct texts, fewer than 50).
      To mend: freeze themes of a longer period.
    """
    need_columns(complaints, [complaint, text], source="complaints")
    need_columns(members, [complaint, "language", "theme"], source="members")
    if members[complaint].duplicated().any():
        twice = members.loc[members[complaint].duplicated(), complaint].iloc[0]
        which = "are blank" if pd.isna(twice) else f"are the same, such as {twice!r}"
        raise Problem(
            f"Several complaints have no {complaint!r} of their own: they {which}.",
            "name the column that tells complaints apart, and leave one row for each.",
        )
    known = members.set_index(complaint)
    said = _written(complaints, text, complaints[complaint].map(known["language"]))
    number = pd.to_numeric(complaints[complaint].map(known["theme"]), errors="coerce")
    said["theme"] = number.reset_index(drop=True).reindex(said.index)
    said["theme"] = said["theme"].where(said["language"].eq(said["recorded"]))
    said["time"] = _times(complaints, opened).reindex(said.index)
    distinct = said[(said["copy_of"] == said.index) & ~said["short"]]
    parts, left = [], []
    with threadpool_limits(limits=1):
        for code in sorted(said["language"].unique()):
            here = distinct[distinct["language"] == code]
            part, why = _frozen_language(here, code, _terms_of(terms, code), rng)
            parts += [part] if part is not None else []
            left += why
    if not parts:
        raise Refusal(
            f"No language can be frozen: {'; '.join(left) or 'all texts are blank'}.",
            "freeze themes of a longer period.",
        )
    return _frozen(pd.concat(parts, ignore_index=True), said, left)


def _frozen(table: pd.DataFrame, said: pd.DataFrame, left: list[str]) -> FrozenThemes:
    languages = tuple(dict.fromkeys(table["language"]))
    used = said[said["language"].isin(languages)]
    days = used["time"].dropna()
    copies = used["copy_of"] != used.index
    return FrozenThemes(
        table=table,
        languages=languages,
        themes=int(table["name"].str.startswith("theme:").sum()),
        texts=int((~copies & ~used["short"]).sum()),
        copies=int(copies.sum()),
        short=int((used["short"] & ~copies).sum()),
        not_frozen=tuple(left),
        first=f"{days.min():%Y-%m-%d}" if len(days) else "",
        last=f"{days.max():%Y-%m-%d}" if len(days) else "",
    )


def _times(complaints: pd.DataFrame, opened: str) -> pd.Series:
    if opened not in complaints:
        return pd.Series(pd.NaT, index=range(len(complaints)))
    times = complaints[opened].reset_index(drop=True)
    if not pd.api.types.is_datetime64_any_dtype(times):
        raise Problem(f"{opened!r} holds no times.", "read it as a date.")
    return clock.local(times)


def _written(complaints: pd.DataFrame, text: str, language: pd.Series) -> pd.DataFrame:
    """Masked texts that say something, their language, what they copy, and whether too short."""
    written = readable(complaints[text]).to_frame("text")
    recorded = language.reset_index(drop=True).reindex(written.index).astype("str")
    recorded = recorded.str.strip().str.lower().fillna("")
    told = language_of(written["text"])
    # a letter in another language than recorded would count as a new matter
    unsure = told.eq("other") & recorded.ne("")
    written["language"] = told.mask(unsure, recorded).astype("str")
    written["recorded"] = recorded
    written["copy_of"] = near_copies_within(written["text"], written["language"])
    written["short"] = False
    for code, group in written.groupby("language")["text"]:
        written.loc[group.index, "short"] = _words_in(list(group), code) < FEWEST_WORDS
    return written


def _words_in(texts: list[str], code: str) -> np.ndarray:
    """How many different words a text has; of a script without blanks, characters over two."""
    read = read_texts(texts, code, known=frozenset())
    singles = read.counted
    if by_characters(code):
        singles = read.counted[:, [len(unit) == 1 for unit in read.units]]
        return singles.getnnz(axis=1) / 2
    return singles.getnnz(axis=1)


def _terms_of(terms: pd.DataFrame | None, code: str) -> dict[int, str]:
    if terms is None:
        return {}
    here = terms[terms["language"] == code]
    return dict(zip(here["theme"].astype(int), here["terms"].astype("str"), strict=True))


def _frozen_language(here, code: str, terms: dict, rng) -> tuple[pd.DataFrame | None, list[str]]:
    name = LANGUAGE_NAMES.get(code, code)
    if len(here) < FEWEST_TEXTS:
        return None, [f"{name} ({len(here)} distinct texts, fewer than {FEWEST_TEXTS})"]
    sizes = here["theme"][here["theme"] >= 1].value_counts().sort_index()
    kept = sizes.index[sizes >= FEWEST_OF_THEME]
    left = [f"{name} {each:g} ({n} texts)" for each, n in sizes.items() if each not in kept]
    if not len(kept):
        return None, [*left, f"{name} (no theme of {FEWEST_OF_THEME} texts)"]
    texts, labels = here["text"].to_numpy(dtype=object), here["theme"].to_numpy(dtype=float)
    try:
        scores, at = _held_out(texts, labels, kept, code, rng)
        space = _stored(_space(texts, code, rng, WORD_TEXTS))
    except Problem as why:
        return None, [*left, f"{name} ({why.what.rstrip('.')})"]
    centres = _centres(space.vectors(list(texts)), labels, kept)
    rows = [
        *_theme_rows(kept, centres, sizes / len(here), terms),
        *_score_rows(scores, here["time"].iloc[at], len(here)),
    ]
    kept_space = space.to_table()
    vectors = kept_space.filter(regex=r"^v\d+$").astype(float).round(DECIMALS)
    kept_space = pd.concat([kept_space[["name", "idf"]], vectors], axis="columns")
    table = pd.concat([kept_space, pd.DataFrame(rows)], ignore_index=True)
    table = table.copy().assign(language=code)
    front = ["language", "name", "said", "value", "idf"]
    return table[front + [column for column in table if column not in front]], left


def _space(texts: np.ndarray, code: str, rng: np.random.Generator, least: int) -> TextSpace:
    """A space of the words (and parts of these) that so many texts use, and of no other.

    It passes no sentence over: a text of forms only would look like a new matter.
    """
    read = read_texts(list(texts), code, known=frozenset())
    shared = read.counted.getnnz(axis=0) >= least
    if not shared.any():
        raise Problem("the texts have no word in common", "freeze more texts.")
    read = replace(read, units=read.units[shared], counted=read.counted[:, shared])
    counts = count(read)
    if counts is None:
        raise Problem("the texts have no word in common", "freeze more texts.")
    return space_of(read, counts, learnt(counts, int(rng.integers(2**31))))


def _stored(space: TextSpace) -> TextSpace:
    """The space with as many decimals as are kept, so that a saved one places texts alike."""
    table = space.to_table()
    vectors = table.filter(regex=r"^v\d+$").astype(float).round(DECIMALS)
    return TextSpace.from_table(table.assign(**vectors))


def _held_out(texts, labels, kept, code: str, rng) -> tuple[np.ndarray, np.ndarray]:
    """Scores of texts by a space and centres that were learnt without them."""
    chosen = rng.permutation(len(texts))
    if len(chosen) > MOST_HELD_OUT:
        chosen = np.sort(chosen[:MOST_HELD_OUT])
    fold = np.resize(np.arange(FOLDS), len(chosen))
    scores = np.empty(len(chosen))
    for each in range(FOLDS):
        out = chosen[fold == each]
        rest = np.delete(np.arange(len(texts)), out)
        space = _space(texts[rest], code, rng, WORD_TEXTS * (FOLDS - 1) // FOLDS)
        centres = _centres(space.vectors(list(texts[rest])), labels[rest], kept)
        scores[fold == each] = _scored(space, centres, list(texts[out]))[0]
    return scores, chosen


def _centres(vectors: np.ndarray, labels: np.ndarray, kept) -> np.ndarray:
    found = np.zeros((len(kept), vectors.shape[1]))
    for at, theme in enumerate(kept):
        inside = labels == theme
        if inside.any():
            found[at] = vectors[inside].mean(axis=0)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _scored(space: TextSpace, centres: np.ndarray, texts: list[str]):
    """Score and nearest theme of each text: 1 - cosine x share of its words that are known."""
    vectors = space.vectors(texts)
    length = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosine = (vectors @ centres.T) / length[:, None]
    read = read_texts(texts, space.language, known=frozenset(space.formulas))
    met = (read.counted > 0).astype(float)
    known = np.asarray(read.units.isin(space.words), dtype=float)
    # half a word more on either side: the longer of two texts without a known word fits less
    share = (met @ known + 0.5) / (met.getnnz(axis=1) + 1)
    return 1 - np.clip(cosine.max(axis=1), 0, None) * share, cosine.argmax(axis=1)


def _theme_rows(kept, centres: np.ndarray, shares: pd.Series, terms: dict) -> list[dict]:
    return [
        {"name": f"theme:{int(theme)}", "said": terms.get(int(theme), ""), "value": shares[theme]}
        | {f"v{i + 1}": round(float(value), DECIMALS) for i, value in enumerate(centre)}
        for theme, centre in zip(kept, centres, strict=True)
    ]


def _score_rows(scores: np.ndarray, times: pd.Series, texts: int) -> list[dict]:
    most = np.sort(scores)[::-1][: int(np.ceil(UPPER * (len(scores) + 1)))]
    rows = [{"name": f"score:{i + 1}", "value": float(each)} for i, each in enumerate(most)]
    numbers = {"texts": texts, "held_out": len(scores)}
    for period in PERIODS:
        numbers[f"lumps_{period}"] = _lumps(scores, times, period)
    return rows + [{"name": f"number:{key}", "value": float(n)} for key, n in numbers.items()]


def _lumps(scores: np.ndarray, times: pd.Series, period: str) -> float:
    """By how much the number of misfits varied more between periods than chance; 1 at least."""
    known = times.notna().to_numpy()
    if not known.any():
        return 1.0
    misfit = pd.Series(scores[known] >= np.quantile(scores, 1 - UPPER / 2))
    each = misfit.groupby(_period(times[known], period).to_numpy()).agg(["sum", "size"])
    if len(each) < FEWEST_PERIODS:
        return 1.0
    rate = misfit.mean()
    spread = each["size"] * rate * (1 - rate)
    square = ((each["sum"] - each["size"] * rate) ** 2 / spread).sum()
    return float(max(1.0, square / (len(each) - 1)))


def _period(times: pd.Series, period: str) -> pd.Series:
    return times.dt.to_period(PERIODS[period]).dt.start_time


# --- Later texts ----------------------------------------------------------------------------------


def fit_to_themes(
    complaints: pd.DataFrame,
    frozen_table: pd.DataFrame,
    *,
    text: str = "text",
    language: str = "",
    opened: str = "opened",
    period: str = "month",
    misfit_rate: float = 0.05,
    false_alarm: float = 0.05,
    confidence: float = 0.95,
) -> ThemeFit:
    """Set new texts against frozen themes, and say whether too many fit none.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    frozen_table : DataFrame
        The table of `frozen`, also as read back from CSV.
    text, language, opened : str
        Columns.  The language is told from the text; ``language`` stands in where that fails.
    period : {"month", "week"}
    misfit_rate : float, default 0.05
        The share of texts that fit none if nothing changed; 0.2 at most.
    false_alarm : float, default 0.05
        The chance of any alarm over all languages and periods, if nothing changed.
    confidence : float, default 0.95

    Returns
    -------
    ThemeFit

    Raises
    ------
    Problem
        If a setting is out of range, or the table is not one that `frozen` wrote.
    Refusal
        If a column is missing, or no text is in a language that was frozen.

    Notes
    -----
    A text fits none if its score is above the k-th largest of the n scores held out when the
    themes were frozen, k = floor(rate (n + 1)): split conformal prediction, of which a share of
    k / (n + 1) is expected [1]_.  If the new texts are as the old, the number of misfits among m
    is beta-binomial (m; k, n + 1 - k), which allows for the calibration being of n texts only; its
    upper tail is the p value.  Where misfits came in lumps when frozen (Pearson's chi-square
    over its degrees of freedom above 1), m, k and n + 1 are divided by that first.  Alarms by
    Holm's procedure over languages and periods [2]_.  Shares have Wilson's interval.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., Shafer, G. (2005). Algorithmic Learning in a Random World.
       Springer. doi:10.1007/b106715
    .. [2] Holm, S. (1979). Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> fit_to_themes(pd.DataFrame({"text": ["Late again"]}), pd.DataFrame({"name": ["x"]}))
    Traceback (most recent call last):
    sqm.checks.Problem: This is no table of frozen themes: 'language' is missing.
      To mend: give the table that `frozen` wrote.
    """
    _need_settings(frozen_table, period, misfit_rate, false_alarm, confidence)
    placed = placed_texts(complaints, frozen_table, text=text, language=language, opened=opened,
                          misfit_rate=misfit_rate)  # fmt: skip
    judged = placed[placed["theme"].ne("") & placed["time"].notna()]
    if judged.empty:
        raise Refusal(
            "No dated text is in a language that was frozen.",
            "check `opened` and the language, or freeze themes of these texts.",
        )
    judged = judged.assign(period=_period(judged["time"], period))
    spaces = {code: _Frozen.read(rows) for code, rows in frozen_table.groupby("language")}
    parts = [
        _period_rows(here, spaces[code], code, day, period, misfit_rate, confidence)
        for (code, day), here in judged.groupby(["language", "period"])
    ]
    table = pd.concat(parts, ignore_index=True)
    table["alarm"] = interval.holm(table["p_value"].to_numpy(dtype=float)) <= false_alarm
    table = _with_new_terms(table, judged, spaces)
    return _theme_fit(table, placed, judged, len(complaints), spaces, misfit_rate, false_alarm,
                      confidence)  # fmt: skip


def placed_texts(
    complaints: pd.DataFrame,
    frozen_table: pd.DataFrame,
    *,
    text: str = "text",
    language: str = "",
    opened: str = "opened",
    misfit_rate: float = 0.05,
) -> pd.DataFrame:
    """Place each distinct new text in a frozen theme, or in none.

    Parameters
    ----------
    complaints, frozen_table, text, language, opened, misfit_rate
        As in `fit_to_themes`.

    Returns
    -------
    DataFrame, one row per text that is not blank
        ``place``, its row in ``complaints`` from 0; ``text`` (masked); ``language``; ``theme``, a
        number as text, "fits none", or blank where it was not judged; ``set_aside``, why not
        ("too short", "language not met before", "near-copy"); ``time``.

    Examples
    --------
    >>> table = pd.DataFrame({"language": ["en"], "name": ["language:en"]})
    >>> placed_texts(pd.DataFrame({"text": ["晚了"]}), table)[["language", "set_aside"]].values
    array([['zh', 'language not met before']], dtype=object)
    """
    need_columns(complaints, [text, *filter(None, [language])], source="complaints")
    codes = complaints[language] if language else pd.Series("", index=complaints.index)
    said = _written(complaints, text, codes)
    said["time"] = _times(complaints, opened).reindex(said.index)
    said["theme"], said["set_aside"] = "", ""
    said.loc[said["short"], "set_aside"] = SHORT
    said.loc[said["copy_of"] != said.index, "set_aside"] = "near-copy"
    said.loc[~said["language"].isin(frozen_table["language"].unique()), "set_aside"] = OTHER
    with threadpool_limits(limits=1):
        for code, here in said[said["set_aside"].eq("")].groupby("language"):
            known = _Frozen.read(frozen_table[frozen_table["language"] == code])
            said.loc[here.index, "theme"] = known.themes_of(list(here["text"]), misfit_rate)
    said = said.drop(columns=["short", "copy_of", "recorded"])
    return said.rename_axis("place").reset_index()


@dataclass(frozen=True, eq=False)
class _Frozen:
    """One language as it was frozen."""

    space: TextSpace
    names: tuple[str, ...]
    terms: tuple[str, ...]
    shares: np.ndarray
    centres: np.ndarray
    scores: np.ndarray  # the largest, falling
    numbers: dict[str, float]

    @classmethod
    def read(cls, rows: pd.DataFrame) -> _Frozen:
        rows = rows.reset_index(drop=True)
        kind = rows["name"].astype("str").str.split(":", n=1).str[0]
        own = kind.isin(["word", "gram", "formula", "language"])
        vectors = [column for column in rows if column[:1] == "v" and column[1:].isdigit()]
        themes, scores, numbers = (rows[kind == k] for k in ("theme", "score", "number"))
        if themes.empty or scores.empty:
            raise Problem(
                "This is no table of frozen themes: a language has no theme or no score.",
                "give the table that `frozen` wrote.",
            )
        centres = themes[vectors].to_numpy(dtype=float)
        space = TextSpace.from_table(rows.loc[own, ["name", "idf", *vectors]])
        width = space.word_vectors.shape[1] + space.gram_vectors.shape[1]
        return cls(
            space=space,
            names=tuple(themes["name"].str[6:]),
            terms=tuple(themes["said"].astype("str").fillna("")),
            shares=themes["value"].to_numpy(dtype=float),
            centres=centres[:, :width],
            scores=scores["value"].to_numpy(dtype=float),
            numbers=dict(zip(numbers["name"].str[7:], numbers["value"].astype(float), strict=True)),
        )

    def allowed(self, misfit_rate: float) -> int:
        """How many of the held-out texts are misfits at this rate."""
        return int(misfit_rate * (self.numbers["held_out"] + 1) + 1e-9)

    def themes_of(self, texts: list[str], misfit_rate: float) -> np.ndarray:
        score, nearest = _scored(self.space, self.centres, texts)
        k = self.allowed(misfit_rate)
        limit = self.scores[k - 1] if k else np.inf
        names = np.array(self.names, dtype=object)[nearest]
        return np.where(score > limit, NONE, names)


def _need_settings(table, period, misfit_rate, false_alarm, confidence) -> None:
    for column in ("language", "name", "said", "value", "idf", "v1"):
        if column not in table:
            raise Problem(
                f"This is no table of frozen themes: {column!r} is missing.",
                "give the table that `frozen` wrote.",
            )
    need_one_of(period, PERIODS, name="period")
    for name, value in (("false_alarm", false_alarm), ("confidence", confidence)):
        need_share(value, name=name)
    if not 0 < misfit_rate <= UPPER:
        raise Problem(f"misfit_rate is {misfit_rate}.", f"give a share up to {UPPER}.")


def _period_rows(here, known: _Frozen, code, day, period, misfit_rate, confidence) -> pd.DataFrame:
    """One language in one period: the share of each theme, and of the texts that fit none."""
    n, rows = len(here), []
    counts = here["theme"].value_counts()
    k, held_out = known.allowed(misfit_rate), known.numbers["held_out"] + 1
    usual = k / held_out
    shares = [*(known.shares / known.shares.sum() * (1 - usual)), usual]
    for theme, terms, expected in zip(
        [*known.names, NONE], [*known.terms, ""], shares, strict=True
    ):
        count = int(counts.get(theme, 0))
        low, high = interval.wilson(count / n, n, confidence=confidence)
        rows.append(
            {
                "language": code, "period": day, "theme": theme, "terms": terms, "texts": n,
                "count": count, "estimate": count / n, "low": low, "high": high,
                "expected": expected, "p_value": np.nan, "alarm": False, "note": "",
            }
        )  # fmt: skip
    lumps = known.numbers.get(f"lumps_{period}", 1.0)
    if k:
        rows[-1]["p_value"] = _tail(count, n, k, held_out, lumps)
    else:
        rows[-1]["note"] = "too few texts were frozen to calibrate this share of misfits"
    return pd.DataFrame(rows)


def _tail(count: int, n: int, k: int, held_out: float, lumps: float) -> float:
    """The chance of as many misfits or more: beta-binomial, in effective texts."""
    if count == 0:
        return 1.0
    n_eff = max(int(np.ceil(n / lumps)), 1)
    at_least = int(np.ceil(count / lumps - 1e-9))
    return float(stats.betabinom.sf(at_least - 1, n_eff, k / lumps, (held_out - k) / lumps))


def _with_new_terms(table: pd.DataFrame, judged: pd.DataFrame, spaces: dict) -> pd.DataFrame:
    terms = table["terms"].tolist()
    for at in table.index[table["alarm"]]:
        row = table.loc[at]
        here = judged[judged["language"].eq(row["language"]) & judged["period"].eq(row["period"])]
        misfits = here.loc[here["theme"] == NONE, "text"]
        fits = judged[judged["language"].eq(row["language"]) & judged["theme"].ne(NONE)]["text"]
        words = _new_words(list(misfits), list(fits[-MOST_READ:]), spaces[row["language"]])
        terms[at] = ", ".join(words)
    return table.assign(terms=terms)


def _new_words(texts: list[str], fits: list[str], known: _Frozen) -> list[str]:
    """Words that 5 misfits or more use, and that frozen texts and those that fit used less."""
    code, before = known.space.language, known.numbers["texts"]
    met, usual = _texts_with(texts, code), _texts_with(fits, code)
    met = met[met >= WORD_SHOWN].sort_index()
    idf = dict(zip(known.space.words, known.space.word_idf, strict=True))
    there = np.array([(1 + before) / np.exp(idf[w] - 1) - 1 if w in idf else 0 for w in met.index])
    now = usual.reindex(met.index, fill_value=0).to_numpy()
    most = np.maximum((there + 0.5) / (before + 1), (now + 0.5) / (len(fits) + 1))
    weight = np.array([np.log2(1 + len(w)) if by_characters(code) else 1.0 for w in met.index])
    share = met.to_numpy() / len(texts)
    score = share * np.log(share / most) * weight
    order = np.lexsort((met.index.to_numpy(), -score))
    return apart([str(met.index[i]) for i in order if score[i] > 0], code)


def _texts_with(texts: list[str], code: str) -> pd.Series:
    """In how many of the texts each word stands."""
    if by_characters(code):
        used = [word for text in texts for word in set(zh_terms(text))]
        return pd.Series(used, dtype=object).value_counts()
    read = read_texts(texts, code, known=frozenset())
    return pd.Series((read.counted > 0).sum(axis=0).A1, index=read.units)


def _theme_fit(
    table, placed, judged, given, spaces, misfit_rate, false_alarm, confidence
) -> ThemeFit:
    none = table[table["theme"] == NONE]
    n, misfits = int(none["texts"].sum()), int(none["count"].sum())
    low, high = interval.wilson(misfits / n, n, confidence=confidence)
    alarms = none[none["alarm"]]
    aside = placed["set_aside"].value_counts()
    others = sorted(placed.loc[placed["set_aside"] == OTHER, "language"].unique())
    named = [
        f"{LANGUAGE_NAMES.get(r.language, r.language)}, {r.period:%Y-%m-%d}"
        for r in alarms.itertuples()
    ]
    return ThemeFit(
        table=table.assign(period=table["period"].dt.strftime("%Y-%m-%d")),
        alarms=tuple(named),
        new_terms=tuple(
            f"{name}: {terms or 'none is shared by five'}"
            for name, terms in zip(named, alarms["terms"], strict=True)
        ),
        estimate=misfits / n,
        low=low,
        high=high,
        expected=float((none["expected"] * none["texts"]).sum() / n),
        judged=n,
        misfits=misfits,
        blank=given - len(placed),
        copies=int(aside.get("near-copy", 0)),
        short=int(aside.get(SHORT, 0)),
        other_language=int(aside.get(OTHER, 0)),
        undated=int((placed["theme"].ne("") & placed["time"].isna()).sum()),
        tests=len(none),
        other_languages=tuple(LANGUAGE_NAMES.get(code, code) for code in others),
        misfit_rate=misfit_rate,
        false_alarm=false_alarm,
        confidence=confidence,
    )
