"""Would the same person, or another rater, give the same score again?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import percentiles, spell, student

FEWEST = 3  # targets below which no interval is worth the name
POINTS = 10_000  # at which a generalized interval is worked out

# Shrout and Fleiss's six: the form, what it answers
FORMS = {
    "ICC1": "one score, by a rater drawn anew for each target",
    "ICC2": "one score, by another rater of the same kind",
    "ICC3": "one score, by one of these raters, level left aside",
    "ICC1k": "mean of {k} scores, by raters drawn anew for each target",
    "ICC2k": "mean of {k} scores, by other raters of the same kind",
    "ICC3k": "mean of these {k} raters' scores, level left aside",
}
TITLES = {form: f"ICC({form[3]},{form[4:] or 1})" for form in FORMS}


@dataclass(frozen=True, eq=False)
class Intraclass(Finding):
    """How much of the differences between scores lies in what was scored.

    Attributes
    ----------
    table : DataFrame, one row per form
        ``form`` (ICC1, ICC2, ICC3, ICC1k, ICC2k, ICC3k); ``answers``, in words;
        ``targets``, ``raters``; ``estimate``, ``low``, ``high`` (1: scores differ only
        because targets do; 0 or below: not at all); ``f_low``, ``f_high``, the limits that
        other programs print (they differ for ICC2 and ICC2k only, where they are too narrow if
        few raters differ in severity); ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    targets : int
        Targets that every rater scored.
    left_out : int
        Targets that some rater did not score.
    raters : int
        Scores for each target.
    silent : tuple of str
        Raters who scored nothing, left out.
    crossed : bool
        Whether the same raters scored every target; otherwise only ICC1 and ICC1k can be given.
    rater_spread : float
        Standard deviation of the raters' means, in points (NaN if not crossed).
    """

    confidence: float
    targets: int
    left_out: int
    raters: int
    silent: tuple[str, ...]
    crossed: bool
    rater_spread: float

    def sentence(self) -> str:
        one, mean = ("ICC2", "ICC2k") if self.crossed else ("ICC1", "ICC1k")
        first = (
            f"Between one rater's scores and another's the agreement is {self._one(one)}; between "
            f"means of {self.raters}, {self._one(mean)}."
        )
        words = [
            f"{self._rests()} The coefficient is {TITLES[one]} of Shrout and Fleiss, 1 at most"
        ]
        words[0] += ": the share of the spread of scores that lies between the targets."
        if self.crossed:
            words.append(
                "It counts it as disagreement when a rater is more severe than others (their means "
                f"spread by {self.rater_spread:.2f} points); if only the order of the targets "
                f"matters and these raters will do the work, {TITLES['ICC3']} is "
                f"{self._one('ICC3')}."
            )
            words.append(
                f"The interval of {TITLES[one]} allows for {self.raters} raters having been seen; "
                "the F limits that other programs print are in the table, and can be too narrow."
            )
        else:
            words.append(
                "The raters differ from target to target, so a severe rater cannot be told from a "
                "poor target: only the one-way forms are given."
            )
        if self.silent:
            words.append(f"Scored nothing, left out: {', '.join(self.silent)}.")
        words += sorted(set(self.table["note"]) - {"", _NOT_CROSSED})
        return first + "\n" + " ".join(words)

    def _rests(self) -> str:
        left = f" ({counted(self.left_out, 'target')} without all scores left out)"
        return (
            f"It rests on {counted(self.targets, 'target')} with {self.raters} scores "
            f"each{left if self.left_out else ''}."
        )

    def _one(self, form: str) -> str:
        row = self.table.set_index("form").loc[form]
        return _spelt(row, self.confidence)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [
            f"{TITLES[row.form]} {'mean' if row.form.endswith('k') else 'one score'}"
            for row in self.table.itertuples()
        ]
        look.dots(ax, self.table, names=names)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="How far do the raters give the same scores?",
            x="intraclass correlation (1: only the targets differ)",
        )


@dataclass(frozen=True, eq=False)
class Retest(Finding):
    """How far people give the same score on another occasion.

    Attributes
    ----------
    table : DataFrame, one row per dimension
        ``dimension``; ``respondents`` with a score on every occasion; ``left_out``, without;
        ``estimate``, ``low``, ``high``, the intraclass correlation for absolute agreement;
        ``change``, ``change_low``, ``change_high``, mean score on the last occasion less the
        first, in points; ``error``, ``error_low``, ``error_high``, the standard error of
        measurement of one score, in points; ``smallest_change``, the least difference between two
        scores of one person that chance does not explain, in points; ``note``.
    confidence : float
        Level of the intervals, and of the smallest change, 0 to 1.
    occasions : tuple of str
        First to last.
    alphabetical : bool
        Whether nobody said which occasion came first and they are words.
    """

    confidence: float
    occasions: tuple[str, ...]
    alphabetical: bool

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return f"No dimension's scores can be compared between occasions: {self._unsaid()}"
        worst, best = known.loc[known["estimate"].idxmin()], known.loc[known["estimate"].idxmax()]
        first = f"On another occasion scores repeat least for {self._one(worst)}"
        first += f" and most for {self._one(best)}." if len(known) > 1 else "."
        words = [
            "The coefficient is the intraclass correlation ICC(A,1), absolute agreement of one "
            "score (1: the same again, 0: no better than chance), between these occasions, on "
            f"{self._range('respondents')} respondents with a score on every occasion "
            f"({self._range('left_out')} without); its interval takes scores as normal.",
            self._moved(known),
            "One person's change can be told from chance beyond "
            + "; ".join(f"{row.dimension} {row.smallest_change:.2f}" for row in known.itertuples())
            + f" points ({self.confidence * 100:.4g}%); a mean of many people is known far better.",
            "People may really have changed in between, or remembered: both are in the figures.",
        ]
        if self.alphabetical:
            words.append(
                "Which occasion came first was not said; they stand in alphabetical order."
            )
        if len(known) < len(self.table):
            words.append(f"Not given: {self._unsaid()}")
        return first + "\n" + " ".join(words)

    def _moved(self, known: pd.DataFrame) -> str:
        """Which dimensions shifted as a whole between the occasions."""
        between = f"between {self.occasions[0]} and {self.occasions[-1]}"
        moved = known[(known["change_low"] > 0) | (known["change_high"] < 0)]
        if moved.empty:
            return f"No dimension's mean moved {between} by more than chance explains."
        return (
            f"The mean moved {between} for "
            + "; ".join(
                f"{row.dimension} by "
                + spell(row.change, row.change_low, row.change_high, confidence=self.confidence)
                for row in moved.itertuples()
            )
            + " points."
        )

    def _range(self, column: str) -> str:
        low, high = self.table[column].min(), self.table[column].max()
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    def _one(self, row: pd.Series) -> str:
        return f"{row['dimension']}: {_spelt(row, self.confidence)}"

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        return "; ".join(f"{row.dimension} ({row.note})" for row in rest.itertuples()) + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} (n = {row.respondents})" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names)
        return look.label(
            ax,
            title="Do the same people give the same score again?",
            x="intraclass correlation ICC(A,1) (1: the same score)",
        )


def icc(
    scores: pd.DataFrame,
    *,
    target: str = "target",
    rater: str = "rater",
    score: str = "score",
    confidence: float = 0.95,
) -> Intraclass:
    """Measure how far raters (or occasions) give the same scores to the same targets.

    Parameters
    ----------
    scores : DataFrame, one row per score
    target, rater, score : str
        Columns: what was scored, by whom (or when), and the score, a number.  A blank score is no
        score.
    confidence : float, default 0.95

    Returns
    -------
    Intraclass
        All six forms where the same raters scored at least three targets in common; the two
        one-way forms where raters differ from target to target (targets with the commonest number
        of scores are taken).

    Raises
    ------
    Problem
        If a column is missing or not a number, or a rater scored a target twice.
    Refusal
        If fewer than three targets have two scores, or every score is the same.

    Notes
    -----
    With mean squares between n targets B, within targets W, between k raters J and residual E [1]_:
    ICC1 = (B - W) / (B + (k - 1) W), ICC2 = (B - E) / (B + (k - 1) E + k (J - E) / n),
    ICC3 = (B - E) / (B + (k - 1) E); of means of k scores ICC1k = (B - W) / B,
    ICC2k = (B - E) / (B + (J - E) / n), ICC3k = (B - E) / B.

    Intervals by the F distribution, exact for normal scores, but for ICC2: Satterthwaite's limits
    [2]_, which other programs print, held the truth in 77 % of samples of 400 targets and two
    raters of unlike severity.  So ICC2 has a generalized interval [3]_: the quantiles of the
    formula with each mean square S replaced by S df / chi-square(df), over 10,000 fixed points; it
    is a little conservative (95 to 97 %).

    References
    ----------
    .. [1] Shrout, P. E., Fleiss, J. L. (1979). Intraclass correlations: uses in assessing rater
       reliability. Psychological Bulletin 86, 420-428. doi:10.1037/0033-2909.86.2.420
    .. [2] McGraw, K. O., Wong, S. P. (1996). Forming inferences about some intraclass correlation
       coefficients. Psychological Methods 1, 30-46. doi:10.1037/1082-989X.1.1.30
    .. [3] Weerahandi, S. (1993). Generalized confidence intervals. Journal of the American
       Statistical Association 88, 899-905. doi:10.1080/01621459.1993.10476355

    Examples
    --------
    The second rater gives 1 more to the first two targets, 2 more to the third, 0 to the fourth.
    Target means 1.5, 2.5, 4, 4: B = 2 * 4.5 / 3 = 3; J = 8 * 0.25 = 2; the squared residuals sum
    to 1, E = 1/3: ICC3 = (3 - 1/3) / (3 + 1/3) = 0.8.

    >>> scores = pd.DataFrame({"target": [*"abcd"] * 2, "rater": ["x"] * 4 + ["y"] * 4,
    ...                        "score": [1, 2, 3, 4, 2, 3, 5, 4]})
    >>> found = icc(scores).table.set_index("form")["estimate"]
    >>> round(float(found["ICC3"]), 4), round(float(found["ICC2"]), 4)
    (0.8, 0.64)
    """
    need_share(confidence, name="confidence")
    wide = _wide(scores, target, rater, score)
    silent = [str(each) for each in wide.columns[wide.isna().all()]]
    wide = wide.drop(columns=wide.columns[wide.isna().all()])
    full = wide.dropna()
    crossed = len(full) >= FEWEST and wide.shape[1] > 1
    values = full.to_numpy() if crossed else _same_number(wide)
    _need_judgeable(values)
    n, k = values.shape
    return Intraclass(
        table=_forms(values, crossed, confidence),
        confidence=confidence,
        targets=n,
        left_out=len(wide) - n,
        raters=k,
        silent=tuple(silent),
        crossed=crossed,
        rater_spread=float(values.mean(axis=0).std(ddof=1)) if crossed else np.nan,
    )


def retest(
    scores: pd.DataFrame,
    *,
    respondent: str = "respondent",
    occasion: str = "occasion",
    dimension: str = "dimension",
    score: str = "score",
    occasions: Sequence[object] = (),
    confidence: float = 0.95,
) -> Retest:
    """Measure how far the same people give the same score on another occasion.

    Parameters
    ----------
    scores : DataFrame, one row per respondent, occasion and dimension
    respondent, occasion, dimension, score : str
        Columns.
    occasions : sequence, optional
        The occasions to compare, first to last; all in the order of their values if not given.
    confidence : float, default 0.95

    Returns
    -------
    Retest
        A dimension with fewer than three respondents on every occasion, or without any spread,
        gets NaN and a note.

    Raises
    ------
    Problem
        If a column is missing or not a number, a respondent has two scores on one occasion, or an
        occasion is named that is not there.
    Refusal
        If there is only one occasion.

    Notes
    -----
    The coefficient is ICC2 of `icc`, occasions as raters (ICC(A,1) of McGraw and Wong).  As the
    question is about these occasions, their shifts are not taken as a sample of others: in the
    generalized interval each occasion's mean is replaced by mean + z sqrt(E / n).

    Of n respondents on k occasions with residual mean square E on (n - 1)(k - 1) degrees of
    freedom: standard error of measurement sqrt(E), its limits by chi-square; smallest detectable
    change z sqrt(2 E) [1]_, which for two occasions is half the width of the limits of agreement.
    A systematic change between the occasions is not in E; it is given apart, with Student's
    interval of the paired differences.

    References
    ----------
    .. [1] de Vet, H. C. W., Terwee, C. B., Knol, D. L., Bouter, L. M. (2006). When to use agreement
       versus reliability measures. Journal of Clinical Epidemiology 59, 1033-1039.
       doi:10.1016/j.jclinepi.2005.10.015

    Examples
    --------
    Differences 1, 1, 2, 0 have mean 1 and variance 2/3; E is half of that, so the standard error
    of measurement is 0.577 and the smallest change 1.96 * sqrt(2/3) = 1.6.

    >>> scores = pd.DataFrame({"respondent": [*"abcd"] * 2, "occasion": [1] * 4 + [2] * 4,
    ...                        "dimension": "courtesy", "score": [1, 2, 3, 4, 2, 3, 5, 4]})
    >>> row = retest(scores).table.loc[0]
    >>> [round(float(row[name]), 3) for name in ("change", "error", "smallest_change")]
    [1.0, 0.577, 1.6]
    """
    need_share(confidence, name="confidence")
    need_columns(scores, [respondent, occasion, dimension, score], source="the retest")
    in_order = _in_order(scores[occasion], list(occasions))
    rows = [
        _dimension_row(str(name), part, (respondent, occasion, score), in_order, confidence)
        for name, part in scores.groupby(dimension, sort=True)
    ]
    return Retest(
        table=pd.DataFrame(rows),
        confidence=confidence,
        occasions=tuple(_plain(each) for each in in_order),
        alphabetical=not occasions and isinstance(in_order[0], str),
    )


# --- The scores of each target side by side -------------------------------------------------------

_NOT_CROSSED = "needs raters who scored every target"
_NO_ERROR = "The raters never differ but by a constant: no interval can be given."
_NO_TARGETS = "The targets do not differ in the mean: the reliability of a mean has no lower end."


def _wide(scores: pd.DataFrame, target: str, rater: str, score: str) -> pd.DataFrame:
    """One row per target, one column per rater; NaN where there is no score."""
    need_columns(scores, [target, rater, score], source="the scores")
    if not pd.api.types.is_numeric_dtype(scores[score]):
        raise Problem(f"{score!r} does not hold numbers.", "give scores in points.")
    given = scores.dropna(subset=[target, rater])
    twice = given[given[score].notna()]
    twice = twice[twice.duplicated([target, rater])]
    if len(twice):
        what = twice.iloc[0]
        raise Problem(
            f"{target} {what[target]!r} has more than one score by {rater} {what[rater]!r}.",
            "keep one of them, or their mean; repeated measurements are a gauge study's matter.",
        )
    wide = given.pivot_table(
        index=target, columns=rater, values=score, aggfunc="max", dropna=False, observed=False
    )
    return wide.dropna(how="all").astype(float) if wide.notna().any(axis=None) else wide.iloc[:0]


def _same_number(wide: pd.DataFrame) -> np.ndarray:
    """Targets with the commonest number of scores (of equals the larger), whoever gave them."""
    given = wide.notna().sum(axis=1)
    numbers = given[given > 1].value_counts()
    if numbers.empty:
        return np.empty((0, 2))
    k = int(numbers[numbers == numbers.max()].index.max())
    rows = wide[given == k].to_numpy()
    return rows[~np.isnan(rows)].reshape(-1, k)


def _need_judgeable(values: np.ndarray) -> None:
    if len(values) < FEWEST:
        raise Refusal(
            f"{counted(len(values), 'target')} have more than one score; {FEWEST} are needed.",
            "let raters score the same targets.",
        )
    if np.ptp(values) == 0:
        raise Refusal("Every score is the same: nothing differs.", "score targets that differ.")


# --- The six forms --------------------------------------------------------------------------------


def _forms(values: np.ndarray, crossed: bool, confidence: float) -> pd.DataFrame:
    n, k = values.shape
    between, within, raters, error = _mean_squares(values)
    found = {"ICC1": _one_way(between, within, n, k, n * (k - 1), confidence)}
    found["ICC2"] = found["ICC3"] = (np.nan,) * 3
    printed = (np.nan, np.nan)
    if crossed:
        squares = (between, raters, error, n, k)
        found["ICC2"] = (_absolute(*squares), *_random_raters(*squares, confidence))
        found["ICC3"] = _one_way(between, error, n, k, (n - 1) * (k - 1), confidence)
        printed = _mcgraw_wong(*squares, confidence)
    found = {form: (*row, *(printed if form == "ICC2" else row[1:])) for form, row in found.items()}
    found |= {f"{form}k": tuple(stepped_up(x, k) for x in row) for form, row in found.items()}
    columns = ["estimate", "low", "high", "f_low", "f_high"]
    table = pd.DataFrame.from_dict(found, orient="index", columns=columns)
    table = table.rename_axis("form").reset_index()
    table.insert(1, "answers", [FORMS[form].format(k=k) for form in table["form"]])
    table.insert(2, "targets", n)
    table.insert(3, "raters", k)
    return table.assign(note=[_note(row, crossed) for row in table.itertuples()])


def _note(row, crossed: bool) -> str:
    if np.isnan(row.estimate):
        return _NO_TARGETS if crossed or row.form == "ICC1k" else _NOT_CROSSED
    if np.isnan(row.high):
        return _NO_ERROR
    return _NO_TARGETS if np.isnan(row.low) else ""


def _mean_squares(values: np.ndarray) -> tuple[float, float, float, float]:
    """Between targets, within them, between raters, residual (0 where it is rounding error)."""
    n, k = values.shape
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    between = k * rows.var(ddof=1)
    within = ((values - rows[:, None]) ** 2).sum() / (n * (k - 1))
    raters = n * columns.var(ddof=1)
    residual = values - rows[:, None] - columns[None, :] + values.mean()
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    nothing = 1e-20 * max(between, raters, values.mean() ** 2)
    return tuple(
        float(each) if each > nothing else 0.0 for each in (between, within, raters, error)
    )


def _one_way(
    between: float, other: float, n: int, k: int, df: int, confidence: float
) -> tuple[float, float, float]:
    """(B - O) / (B + (k - 1) O) with its F interval; no interval where nothing else varies."""
    estimate = (between - other) / (between + (k - 1) * other)
    if other == 0:
        return estimate, np.nan, np.nan
    tail = (1 + confidence) / 2
    f = between / other
    low, high = f / stats.f.ppf(tail, n - 1, df), f * stats.f.ppf(tail, df, n - 1)
    return estimate, float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1))


def _absolute(between: float, raters: float, error: float, n: int, k: int) -> float:
    """ICC(2,1)."""
    return (between - error) / (between + (k - 1) * error + k * (raters - error) / n)


def _random_raters(
    between: float, raters: float, error: float, n: int, k: int, confidence: float
) -> tuple[float, float]:
    """Generalized interval of ICC(2,1), raters being a sample of those who might have rated."""
    if error == 0:
        return np.nan, np.nan
    b, e, j = (_turns(n, k) * [between, error, raters]).T
    return _limits((b - e) / (b + (k - 1) * e + k * (j - e) / n), confidence)


def _fixed_raters(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Generalized interval of the absolute agreement of these very raters (or occasions)."""
    n, k = values.shape
    between, _, _, error = _mean_squares(values)
    if error == 0:
        return np.nan, np.nan
    b, e, _ = (_turns(n, k) * [between, error, 1.0]).T
    moved = (
        values.mean(axis=0) + stats.norm.ppf(_spread_out(3 + k)[:, 3:]) * np.sqrt(e / n)[:, None]
    )
    of_targets = (b - e) / k
    return _limits(of_targets / (of_targets + moved.var(axis=1, ddof=1) + e), confidence)


@lru_cache(maxsize=64)
def _turns(n: int, k: int) -> np.ndarray:
    """Degrees of freedom over chi-square: targets, error, raters; one row per point."""
    df = np.array([n - 1, (n - 1) * (k - 1), k - 1])
    return df / stats.chi2.ppf(_spread_out(3 + k)[:, :3], df)


def _spread_out(dimensions: int) -> np.ndarray:
    """Points that fill the unit cube evenly, always the same (an additive recurrence)."""
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    return (0.5 + np.arange(1, POINTS + 1)[:, None] * steps) % 1


def _limits(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = percentiles(draws, confidence=confidence)
    return float(low), float(high)


def _mcgraw_wong(
    between: float, raters: float, error: float, n: int, k: int, confidence: float
) -> tuple[float, float]:
    """Satterthwaite's interval of ICC(2,1), McGraw and Wong's table 7."""
    if error == 0:
        return np.nan, np.nan
    one = _absolute(between, raters, error, n, k)
    a = k * one / (n * (1 - one))
    b = 1 + k * one * (n - 1) / (n * (1 - one))
    df = (a * raters + b * error) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    tail = (1 + confidence) / 2
    down, up = stats.f.ppf(tail, n - 1, df), stats.f.ppf(tail, df, n - 1)
    other = k * raters + (k * n - k - n) * error
    low = n * (between - down * error) / (down * other + n * between)
    high = n * (up * between - error) / (other + n * up * between)
    return float(low), float(high)


def stepped_up(one: float, k: int) -> float:
    """Reliability of the mean of k scores from that of one (Spearman-Brown).

    Examples
    --------
    2 * 0.5 / (1 + 0.5).

    >>> round(stepped_up(0.5, 2), 4)
    0.6667
    """
    below = 1 + (k - 1) * one
    return k * one / below if below > 1e-12 else np.nan


# --- Occasions ------------------------------------------------------------------------------------


def _in_order(given: pd.Series, named: list) -> list:
    """The occasions first to last: as named, or all by their values."""
    there = sorted(given.dropna().unique().tolist())
    lost = [each for each in named if each not in there]
    if lost:
        raise Problem(f"The retest has no occasion {lost[0]!r}.", nearest(str(lost[0]), there))
    if len(named or there) < 2:
        raise Refusal(
            "The retest has one occasion only.", "ask the same people again, two to four weeks on."
        )
    return named or there


def _dimension_row(
    name: str,
    part: pd.DataFrame,
    columns: tuple[str, str, str],
    occasions: list,
    confidence: float,
) -> dict:
    wide = _wide(part, *columns).reindex(columns=occasions)
    values = wide.dropna().to_numpy(dtype=float)
    row = {"dimension": name, "respondents": len(values), "left_out": len(wide) - len(values)}
    note = _why_not(values)
    found = dict.fromkeys(_MEASURED, np.nan) if note else _repeat(values, confidence)
    if not note and np.isnan(found["low"]):
        note = "the scores differ only by a constant: no interval"
    return {**row, **found, "note": note}


_MEASURED = ["estimate", "low", "high", "change", "change_low", "change_high"]
_MEASURED += ["error", "error_low", "error_high", "smallest_change"]


def _why_not(values: np.ndarray) -> str:
    if len(values) < FEWEST:
        return f"{counted(len(values), 'respondent')} with a score on every occasion"
    return "every score is the same" if np.ptp(values) == 0 else ""


def _repeat(values: np.ndarray, confidence: float) -> dict[str, float]:
    n, k = values.shape
    between, _, occasions, error = _mean_squares(values)
    difference, tail, df = values[:, -1] - values[:, 0], (1 + confidence) / 2, (n - 1) * (k - 1)
    sure = np.sqrt(df * error / stats.chi2.ppf([tail, 1 - tail], df))
    found = [_absolute(between, occasions, error, n, k), *_fixed_raters(values, confidence)]
    found += [
        *student(difference, confidence=confidence),
        np.sqrt(error),
        *sure,
        stats.norm.ppf(tail) * np.sqrt(2 * error),
    ]
    return dict(zip(_MEASURED, map(float, found), strict=True))


def _spelt(row: pd.Series, confidence: float) -> str:
    if np.isnan(row["low"]):
        return f"{row['estimate']:.2f} (no interval)"
    digits = 2 if row["high"] - row["low"] > 0.01 else 3
    return spell(row["estimate"], row["low"], row["high"], confidence=confidence, digits=digits)


def _plain(value: object) -> str:
    """An occasion in words: dates without the clock, whole numbers without a point."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:g}" if isinstance(value, float) else str(value)
