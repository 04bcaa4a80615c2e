"""Which features delight, which are expected, and which leave customers cold?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, student, wilson

SOURCE = "the Kano answers"
# Functional answers in rows, dysfunctional ones in columns, both in the order like, must-be,
# neutral, live with, dislike (Berger et al. 1993).
EVALUATION = ("QAAAO", "RIIIM", "RIIIM", "RIIIM", "RRRRQ")
WORDS = MappingProxyType(
    {
        "M": "must-be",
        "O": "one-dimensional",
        "A": "attractive",
        "I": "indifferent",
        "R": "reverse",
        "Q": "questionable",
    }
)
LETTERS = tuple(WORDS)  # also the order in which a tie is decided
COUNTS = tuple(word.replace("-", "_") for word in WORDS.values())
# DuMouchel's scores of the answers like, must-be, neutral, live with, dislike
FUNCTIONAL = np.array([4.0, 2.0, 0.0, -1.0, -2.0])
DYSFUNCTIONAL = np.array([-2.0, -1.0, 0.0, 2.0, 4.0])
MIDDLE = 2.0
FEWEST = 10  # answers below which no category is named, however alike they are
FONG = 1.65  # his constant: two-sided level of 10 %
SHOWN = MappingProxyType(
    {
        "must-be": ("worse", "v"),
        "one-dimensional": ("other", "D"),
        "attractive": ("better", "^"),
        "indifferent": ("usual", "o"),
        "reverse": ("usual", "X"),
        "questionable": ("usual", "P"),
        "": ("limit", "s"),
    }
)


@dataclass(frozen=True, eq=False)
class KanoCategories(Finding):
    """What having and missing each feature does to customers.

    Attributes
    ----------
    table : DataFrame, one row per feature, the most missed first
        ``feature``; ``respondents`` who answered both questions; ``left_out``,
        who did not; how many answers fall into ``must_be``, ``one_dimensional``,
        ``attractive``, ``indifferent``, ``reverse``, ``questionable``;
        ``category``, the most frequent; ``stability``, the share of resamples in
        which it is the most frequent (0 to 1); ``label``, the category where it
        is settled, else empty; ``runner_up``; ``fong``, whether the lead passes
        Fong's test; ``category_by_rule``, by the A + O + M rule; ``better``,
        ``better_low``, ``better_high``, the share satisfied by having it (0 to
        1); ``worse``, ``worse_low``, ``worse_high``, minus the share
        dissatisfied by missing it (-1 to 0); ``note``.
    respondents : int
        Different respondents with a complete pair of answers.
    left_out : int
        Pairs of answers with a blank.
    questionable, pairs : int
        Pairs that contradict themselves, and complete pairs in all.
    settled : int
        Features whose category is named.
    probability : float
        Least stability at which a category is named.
    confidence : float
        Level of the intervals, 0 to 1.
    resamples : int
        Resamples behind the stability.
    """

    respondents: int
    left_out: int
    questionable: int
    pairs: int
    settled: int
    probability: float
    confidence: float
    resamples: int

    def sentence(self) -> str:
        rest = [self._named(), self._open(), self._rules(), self._contradictions(), self._based()]
        return "\n".join([self._answer(), " ".join(filter(None, rest))])

    def _answer(self) -> str:
        known = self.table.dropna(subset="better")
        if known.empty:
            return "No feature's effect can be given: every answer is reverse or questionable."
        missed, liked = known.iloc[0], known.loc[known["better"].idxmax()]
        return (
            f"Missed most: {_short(missed)}, worse {self._spell(missed, 'worse')}; "
            f"pleases most: {_short(liked)}, better {self._spell(liked, 'better')}. "
            f"{self.settled} of {counted(len(self.table), 'feature')} settled."
        )

    def _spell(self, row: pd.Series, name: str) -> str:
        limits = (row[name], row[f"{name}_low"], row[f"{name}_high"])
        return spell(*limits, confidence=self.confidence)

    def _named(self) -> str:
        named = self.table[self.table["label"] != ""]
        parts = [
            f"{word}: {', '.join(map(look.shorten, each['feature']))}"
            for word in WORDS.values()
            if len(each := named[named["label"] == word])
        ]
        if not parts:
            return ""
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."

    def _open(self) -> str:
        unsettled = self.table[self.table["label"] == ""]
        if unsettled.empty:
            return ""
        names = "; ".join(_between(row) for row in unsettled.itertuples())
        return (
            f"No category is named for {names}: the most frequent one must come first in "
            f"{self.probability * 100:.4g} % of {self.resamples:,} resamples and rest on "
            f"{FEWEST} answers."
        )

    def _rules(self) -> str:
        named = self.table[self.table["label"] != ""]
        words = []
        other = named[named["label"] != named["category_by_rule"]]
        if len(other):
            told = [f"{_short(row)} ({row['category_by_rule']})" for _, row in other.iterrows()]
            words.append(f"The A + O + M rule would say otherwise of {', '.join(told)}.")
        weak = named.loc[~named["fong"], "feature"]
        if len(weak):
            words.append(
                f"Fong's test (10 % level) leaves open {', '.join(map(look.shorten, weak))}."
            )
        return " ".join(words)

    def _contradictions(self) -> str:
        text = f"Questionable: {self.questionable:,} of {counted(self.pairs, 'pair')} of answers"
        if not self.questionable:
            return f"{text}."
        share = self.table["questionable"] / self.table["respondents"].clip(lower=1)
        worst = self.table.loc[share.idxmax()]
        return f"{text}, most often for {_short(worst)} ({100 * share.max():.0f} %)."

    def _based(self) -> str:
        left = f"; {counted(self.left_out, 'pair')} with a blank left out" if self.left_out else ""
        return (
            f"{counted(self.respondents, 'respondent')}{left}. Better is (A + O) and worse "
            "-(O + M) over A + O + M + I, with Wilson's intervals; reverse and questionable "
            "answers count in neither. Each feature is judged by itself."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        plane = self.table.assign(
            x=-self.table["worse"], x_low=-self.table["worse_high"], x_high=-self.table["worse_low"]
        ).rename(columns={"better": "y", "better_low": "y_low", "better_high": "y_high"})
        _plane(ax, plane, middle=0.5)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        return look.label(
            ax,
            title="What do having and missing a feature do?",
            x="share dissatisfied if it is missing (-worse)",
            y="share satisfied if it is there (better)",
        )


@dataclass(frozen=True, eq=False)
class KanoScores(Finding):
    """Where each feature lies between the categories, on continuous scales.

    Attributes
    ----------
    table : DataFrame, one row per feature, the highest dysfunctional mean first
        ``feature``; ``respondents`` counted; ``left_out`` (a blank);
        ``questionable`` (left out too); ``functional``, ``functional_low``,
        ``functional_high``, the mean score of having it, and ``dysfunctional``,
        ``dysfunctional_low``, ``dysfunctional_high`` of missing it (-2 to 4);
        ``category``, the quadrant of the means; ``label``, the same where both
        intervals lie in it, else empty; ``note``.
    respondents : int
        Different respondents counted.
    settled : int
        Features whose quadrant is named.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    respondents: int
    settled: int
    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="functional_low")
        if known.empty:
            return "No mean score can be given: fewer than two answers, or none that differ."
        missed, liked = known.iloc[0], known.loc[known["functional"].idxmax()]
        first = (
            f"Missing hurts most for {_short(missed)}: {self._spell(missed, 'dysfunctional')}; "
            f"having pleases most for {_short(liked)}: {self._spell(liked, 'functional')} "
            f"(scores -2 to 4)."
        )
        return "\n".join([first, " ".join(filter(None, [self._named(), self._based()]))])

    def _spell(self, row: pd.Series, name: str) -> str:
        limits = (row[name], row[f"{name}_low"], row[f"{name}_high"])
        return spell(*limits, confidence=self.confidence)

    def _named(self) -> str:
        parts = [
            f"{look.shorten(row.feature)} {row.label or 'on a border'}"
            for row in self.table.itertuples()
        ]
        return f"By quadrant: {'; '.join(parts)}."

    def _based(self) -> str:
        gone = int(self.table["questionable"].sum() + self.table["left_out"].sum())
        return (
            f"Means of DuMouchel's scores with Student's intervals on "
            f"{counted(self.respondents, 'respondent')}; {counted(gone, 'pair')} of answers "
            "questionable or with a blank left out. Quadrants meet at 2; one is named only where "
            "both intervals lie in it."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = {"functional": "y", "dysfunctional": "x"}
        ends = ("", "_low", "_high")
        plane = self.table.rename(
            columns={f"{name}{end}": f"{to}{end}" for name, to in names.items() for end in ends}
        )
        _plane(ax, plane, middle=MIDDLE)
        return look.label(
            ax,
            title="How strongly do having and missing a feature move customers?",
            x="score of missing it (4: all dislike it)",
            y="score of having it (4: all like it)",
        )


def kano_categories(
    answers: pd.DataFrame,
    *,
    rng: np.random.Generator,
    respondent: str = "respondent",
    feature: str = "feature",
    functional: str = "functional",
    dysfunctional: str = "dysfunctional",
    evaluation: Sequence[str] = EVALUATION,
    probability: float = 0.9,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> KanoCategories:
    """Sort features into Kano's categories, and say how sure each one is.

    Parameters
    ----------
    answers : DataFrame, one row per respondent and feature
        ``functional`` ("the feature is there, how do you feel?") and
        ``dysfunctional`` ("it is missing"), each 1 like, 2 must be, 3 neutral,
        4 live with, 5 dislike; a blank where not answered.
    rng : Generator
        Chance for the resamples.
    respondent, feature, functional, dysfunctional : str
        Columns.
    evaluation : five strings of five letters
        The evaluation table: a row per functional, a letter per dysfunctional
        answer; A, O, M, I, R or Q.
    probability : float, default 0.9
        Share of resamples in which a category must come first to be named.
    confidence : float, default 0.95
        Level of the intervals.
    resamples : int, default 1000

    Returns
    -------
    KanoCategories

    Raises
    ------
    Problem
        If an answer is not 1 to 5, a respondent answers a feature twice, or the
        evaluation table is not five by five.
    Refusal
        If nobody answered both questions of any feature.

    Notes
    -----
    Better = (A + O) / (A + O + M + I) and worse = -(O + M) / (A + O + M + I),
    Timko's coefficients [1]_, each a share with Wilson's interval.  The rule: if
    A + O + M > I + R + Q, the largest of the first three, else the largest of the
    others [1]_.  A tie goes to the earlier of M, O, A, I, R, Q.  Stability: the
    answers of a feature are drawn anew (multinomial); a tie counts in parts.
    Fong's test [2]_: the two largest counts a and b of N differ if
    a - b >= 1.65 sqrt((a + b)(2N - a - b) / (2N)).

    References
    ----------
    .. [1] Berger, C., Blauth, R., Boger, D. et al. (1993). Kano's methods for
       understanding customer-defined quality. Center for Quality Management
       Journal 2(4), 3-36.
    .. [2] Fong, D. (1996). Using the self-stated importance questionnaire to
       interpret Kano questionnaire results. Center for Quality Management
       Journal 5(3), 21-24.

    Examples
    --------
    Like and dislike is one-dimensional (9 times), like and neutral attractive
    (3): better is 12/12, worse -9/12.

    >>> answers = pd.DataFrame({"respondent": [f"r{i}" for i in range(12)], "feature": "callback",
    ...                         "functional": 1, "dysfunctional": [5] * 9 + [3] * 3})
    >>> found = kano_categories(answers, rng=np.random.default_rng(1))
    >>> found.table["label"][0], float(found.table["better"][0]), float(found.table["worse"][0])
    ('one-dimensional', 1.0, -0.75)
    """
    need_share(confidence, name="confidence")
    need_share(probability, name="probability")
    _need_resamples(resamples)
    grid = _grid(evaluation)
    complete, left_out = _pairs(answers, respondent, feature, functional, dysfunctional)
    letters = grid[complete["functional"] - 1, complete["dysfunctional"] - 1]
    counts = _counts(complete["feature"], letters, left_out.index)
    rows = [
        {**_row(name, each, confidence), **_category(each, rng, resamples, probability)}
        for name, each in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    table = _arranged(pd.DataFrame(rows), left_out)
    return KanoCategories(
        table=table,
        respondents=int(complete["respondent"].nunique()),
        left_out=len(answers) - len(complete),
        questionable=int(table["questionable"].sum()),
        pairs=len(complete),
        settled=int((table["label"] != "").sum()),
        probability=probability,
        confidence=confidence,
        resamples=resamples,
    )


def kano_scores(
    answers: pd.DataFrame,
    *,
    respondent: str = "respondent",
    feature: str = "feature",
    functional: str = "functional",
    dysfunctional: str = "dysfunctional",
    evaluation: Sequence[str] = EVALUATION,
    confidence: float = 0.95,
) -> KanoScores:
    """Place features on continuous scales of having and missing them.

    Parameters
    ----------
    answers, respondent, feature, functional, dysfunctional, evaluation
        As in `kano_categories`.
    confidence : float, default 0.95

    Returns
    -------
    KanoScores
        A feature with fewer than two answers, or whose answers are all alike, has
        no interval, and its row says so.

    Raises
    ------
    Problem, Refusal
        As in `kano_categories`.

    Notes
    -----
    DuMouchel [1]_ scores having a feature 4 (like), 2 (must be), 0 (neutral), -1
    (live with), -2 (dislike), and missing it -2, -1, 0, 2, 4: strong feelings
    weigh more, and the unexpected side less.  Questionable pairs are left out.
    The quadrants meet at 2: both means from 2 up are one-dimensional, having it
    alone attractive, missing it alone must-be, neither indifferent; means whose
    sum is negative are called reverse.  The interval of a mean is Student's.

    References
    ----------
    .. [1] DuMouchel, W. (1993). Thoughts on graphical and continuous analysis.
       In Berger et al., Center for Quality Management Journal 2(4), 3-36.

    Examples
    --------
    Two like it (4), two are neutral (0): mean 2.  Missing it: 4, 4, 2, 2.

    >>> answers = pd.DataFrame({"respondent": list("abcd"), "feature": "callback",
    ...                         "functional": [1, 1, 3, 3], "dysfunctional": [5, 5, 4, 4]})
    >>> kano_scores(answers).table[["functional", "dysfunctional"]].to_numpy().tolist()
    [[2.0, 3.0]]
    """
    need_share(confidence, name="confidence")
    grid = _grid(evaluation)
    complete, left_out = _pairs(answers, respondent, feature, functional, dysfunctional)
    letters = grid[complete["functional"] - 1, complete["dysfunctional"] - 1]
    doubtful = _counts(complete["feature"], letters, left_out.index)["Q"]
    sound = complete[letters != "Q"]
    groups = dict(list(sound.groupby("feature", sort=False)))
    rows = [_score_row(name, groups.get(name, sound[:0]), confidence) for name in left_out.index]
    table = pd.DataFrame(rows).assign(
        left_out=left_out.to_numpy(), questionable=doubtful.to_numpy()
    )
    table = table.sort_values(["dysfunctional", "feature"], ascending=[False, True])
    order = ["feature", "respondents", "left_out", "questionable"]
    table = table[order + [column for column in table if column not in order]]
    return KanoScores(
        table=table.reset_index(drop=True),
        respondents=int(sound["respondent"].nunique()),
        settled=int((table["label"] != "").sum()),
        confidence=confidence,
    )


# --- The answers ----------------------------------------------------------------------------------


def _need_resamples(resamples: int) -> None:
    if resamples < 100:
        raise Refusal(
            f"resamples is {resamples}: too few to judge a category's stability by.",
            "give 100 or more, for example 1000.",
        )


def _grid(evaluation: Sequence[str]) -> np.ndarray:
    rows = [str(row) for row in evaluation]
    known = all(len(row) == 5 and set(row) <= set(LETTERS) for row in rows)
    if len(rows) != 5 or not known:
        raise Problem(
            f"The evaluation table is {rows}.",
            f"give five rows of five letters out of {', '.join(LETTERS)}.",
        )
    return np.array([list(row) for row in rows])


def _pairs(
    answers: pd.DataFrame, respondent: str, feature: str, functional: str, dysfunctional: str
) -> tuple[pd.DataFrame, pd.Series]:
    """Complete pairs as whole numbers, and per feature (as first met) how many had a blank."""
    columns = [respondent, feature, functional, dysfunctional]
    need_columns(answers, columns, source=SOURCE)
    pairs = answers[columns].set_axis(
        ["respondent", "feature", "functional", "dysfunctional"], axis=1
    )
    for side, column in (("functional", functional), ("dysfunctional", dysfunctional)):
        _need_answers(pairs[side], column)
    named = pairs.dropna(subset=["respondent", "feature"])
    twice = named[named.duplicated(["respondent", "feature"])]
    if len(twice):
        raise Problem(
            f"{SOURCE}: {len(twice)} rows repeat a respondent and feature "
            f"(first rows: {first_rows(twice)}).",
            "keep one answer per respondent and feature.",
        )
    complete = named.dropna().astype({"functional": int, "dysfunctional": int})
    if complete.empty:
        raise Refusal("Nobody answered both Kano questions of a feature.", "ask both questions.")
    features = pd.Index(named["feature"].unique())
    blank = named.loc[named.isna().any(axis=1), "feature"].value_counts()
    return complete, blank.reindex(features, fill_value=0)


def _need_answers(given: pd.Series, column: str) -> None:
    if not pd.api.types.is_numeric_dtype(given):
        raise Problem(
            f"{SOURCE}: {column!r} does not hold numbers.",
            "code the answers 1 like, 2 must be, 3 neutral, 4 live with, 5 dislike.",
        )
    off = given[given.notna() & ~given.isin([1, 2, 3, 4, 5])]
    if len(off):
        raise Problem(
            f"{SOURCE}: {column!r} has {len(off)} answers that are not 1, 2, 3, 4 or 5 "
            f"(first rows: {first_rows(off)}; values: {sorted(off.unique().tolist())[:8]}).",
            "correct the source, or list the code under `missing` in the study's parameters.",
        )


def _counts(features: pd.Series, letters: np.ndarray, names: pd.Index) -> pd.DataFrame:
    """Features by category, in the order of LETTERS."""
    crossed = pd.crosstab(features.to_numpy(), letters)
    return crossed.reindex(index=names, columns=list(LETTERS), fill_value=0)


# --- Categories -----------------------------------------------------------------------------------


def _row(name: str, counts: np.ndarray, confidence: float) -> dict:
    must, one, attractive = counts[:3]
    n = int(counts[:4].sum())
    better = _share(attractive + one, n, confidence)
    missed = _share(one + must, n, confidence)
    return {
        "feature": name,
        "respondents": int(counts.sum()),
        **dict(zip(COUNTS, map(int, counts), strict=True)),
        **dict(zip(("better", "better_low", "better_high"), better, strict=True)),
        "worse": 0.0 - missed[0],
        "worse_low": 0.0 - missed[2],
        "worse_high": 0.0 - missed[1],
        "note": "" if n else _why_none(counts),
    }


def _why_none(counts: np.ndarray) -> str:
    return "every answer is reverse or questionable" if counts.sum() else "nobody answered both"


def _share(hits: int, n: int, confidence: float) -> tuple[float, float, float]:
    if n == 0:
        return (np.nan,) * 3
    return hits / n, *wilson(hits / n, n, confidence=confidence)


def _category(
    counts: np.ndarray, rng: np.random.Generator, resamples: int, probability: float
) -> dict:
    order = np.argsort(-counts, kind="stable")
    n, (first, second) = int(counts.sum()), order[:2]
    stability = _stability(counts, first, rng, resamples)
    settled = n >= FEWEST and stability >= probability
    words = list(WORDS.values())
    return {
        "category": words[first] if n else "",
        "stability": stability,
        "label": words[first] if settled else "",
        "runner_up": words[second] if counts[second] else "",
        "fong": bool(
            n and counts[first] - counts[second] >= _fong(counts[first], counts[second], n)
        ),
        "category_by_rule": words[_by_rule(counts)] if n else "",
    }


def _stability(counts: np.ndarray, first: int, rng: np.random.Generator, resamples: int) -> float:
    n = counts.sum()
    if n == 0:
        return np.nan
    drawn = rng.multinomial(n, counts / n, size=resamples)
    top = drawn == drawn.max(axis=1, keepdims=True)
    return float((top[:, first] / top.sum(axis=1)).mean())


def _fong(a: int, b: int, n: int) -> float:
    """Least lead that Fong's test takes for real."""
    return FONG * np.sqrt((a + b) * (2 * n - a - b) / (2 * n))


def _by_rule(counts: np.ndarray) -> int:
    """The largest of M, O, A if together they outweigh I, R, Q, else the largest of these."""
    wanted = counts[:3].sum() > counts[3:].sum()
    return int(np.argmax(counts[:3]) if wanted else 3 + np.argmax(counts[3:]))


def _arranged(table: pd.DataFrame, left_out: pd.Series) -> pd.DataFrame:
    table = table.assign(left_out=left_out.to_numpy())
    few = (table["respondents"] < FEWEST) & (table["note"] == "")
    table.loc[few, "note"] = f"fewer than {FEWEST} answers: no category is named"
    first = ["feature", "respondents", "left_out", *COUNTS]
    last = [column for column in table if column not in (*first, "note")]
    effects = [column for column in last if column.startswith(("better", "worse"))]
    names = [column for column in last if column not in effects]
    table = table[[*first, *names, *effects, "note"]]
    return table.sort_values(["worse", "feature"], ignore_index=True)


# --- Scores ---------------------------------------------------------------------------------------


def _score_row(name: str, answers: pd.DataFrame, confidence: float) -> dict:
    having = _mean(FUNCTIONAL[answers["functional"] - 1], confidence)
    missing = _mean(DYSFUNCTIONAL[answers["dysfunctional"] - 1], confidence)
    category = _quadrant(having[0], missing[0])
    corners = {_quadrant(y, x) for y in having[1:] for x in missing[1:]}
    parts = ("functional", having), ("dysfunctional", missing)
    note = "" if np.isfinite([*having, *missing]).all() else "fewer than two answers that differ"
    return {
        "feature": name,
        "respondents": len(answers),
        **{
            f"{side}{end}": value
            for side, values in parts
            for end, value in zip(("", "_low", "_high"), values, strict=True)
        },
        "category": category,
        "label": category if corners == {category} and not note else "",
        "note": note,
    }


def _mean(scores: np.ndarray, confidence: float) -> tuple[float, float, float]:
    n = len(scores)
    if n == 0:
        return (np.nan,) * 3
    if n == 1 or np.ptp(scores) == 0:
        return float(scores.mean()), np.nan, np.nan
    return student(scores, confidence=confidence)


def _quadrant(having: float, missing: float) -> str:
    if not np.isfinite(having + missing):
        return ""
    if having + missing < 0:
        return "reverse"
    by_side = {
        (True, True): "one-dimensional",
        (True, False): "attractive",
        (False, True): "must-be",
        (False, False): "indifferent",
    }
    return by_side[having >= MIDDLE, missing >= MIDDLE]


# --- Words and picture ----------------------------------------------------------------------------


def _short(row: pd.Series) -> str:
    return look.shorten(str(row["feature"]), width=30)


def _between(row: tuple) -> str:
    name = look.shorten(str(row.feature))
    if row.respondents < FEWEST:
        return f"{name} ({counted(row.respondents, 'answer')})"
    return f"{name} ({row.category} or {row.runner_up}, {100 * row.stability:.0f} %)"


def _plane(ax: Axes, table: pd.DataFrame, *, middle: float) -> None:
    """Draw each feature as a numbered point with both intervals, its name beside the picture."""
    for at, row in enumerate(table.dropna(subset=["x", "y"]).itertuples(), start=1):
        meaning, marker = SHOWN[row.label]
        colour, word = look.MEANING[meaning], row.label or "not settled"
        ax.plot([row.x_low, row.x_high], [row.y, row.y], color=colour, lw=1.1)
        ax.plot([row.x, row.x], [row.y_low, row.y_high], color=colour, lw=1.1)
        name = f"{at}  {look.shorten(str(row.feature), width=26)}: {word}"
        ax.plot(row.x, row.y, marker=marker, color=colour, ls="", ms=6, label=name)
        ax.annotate(str(at), (row.x, row.y), (5, 4), textcoords="offset points", size=9)
    for line in (ax.axhline, ax.axvline):
        line(middle, color=look.MEANING["limit"], lw=0.8, ls="--", zorder=0)
    corners = {(0, 0): "indifferent", (1, 0): "must-be", (0, 1): "attractive"}
    corners[1, 1] = "one-dimensional"
    for (x, y), word in corners.items():
        ax.annotate(
            word,
            (x, y),
            (-4 if x else 4, -4 if y else 4),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right" if x else "left",
            va="top" if y else "bottom",
            color=look.MEANING["limit"],
            size=9,
        )
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small", frameon=False)
