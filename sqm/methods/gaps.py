"""Where does the service fall short of what customers expect?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, scales
from sqm.checks import Problem, Refusal, need_columns, need_numbers, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, standard_error, student
from sqm.moments import CELLS, resampled

SOURCE = "the answers"
FEWEST = 10  # respondents below which a mean gap gets no interval
APART = 0.05  # difference of the two reliabilities of a gap from which it is explained
RELIABILITIES = {
    "classical": ("estimate", "low", "high"),
    "differences": ("of_differences", "of_differences_low", "of_differences_high"),
}


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
        words = [self._overall()]
        if self.table["estimate"].notna().sum() > 1:
            what = "The widest shortfall is" if row["estimate"] < 0 else "The smallest surplus is"
            found = self._spelt(row["estimate"], row["low"], row["high"])
            words[0] += f" {what} in {self.widest}: {found}."
        words[0] += "\n"
        words.append(self._rests(row))
        above = self.table.loc[self.table["low"] > 0, "dimension"]
        if len(above):
            words.append(f"Above expectation: {', '.join(above)}.")
        words += self._cautions()
        return " ".join(words).replace("\n ", "\n")

    def _rests(self, row: pd.Series) -> str:
        if self.table["estimate"].notna().sum() == 1:
            return (
                f"It rests on {counted(row['respondents'], 'respondent')}, {row['left_out']:,} "
                "with a blank left out."
            )
        return (
            f"Over all it rests on {counted(self.respondents, 'respondent')} with every pair of "
            f"answers of a dimension or more, {self.left_out:,} without; {self.widest} on "
            f"{row['respondents']:,}, {row['left_out']:,} with a blank left out. It is the lowest "
            f"in {self.widest_share:.0%} of {self.resamples:,} resamples{self._rival()}."
        )

    def _overall(self) -> str:
        low, high = (self.low, self.high) if np.isfinite(self.low) else (self.overall,) * 2
        verb = "falls short of" if high < 0 else "exceeds" if low > 0 else "cannot be told from"
        known = int(self.table["estimate"].notna().sum())
        over = "all" if known == len(self.table) else f"{known} of {len(self.table)}"
        over = f"over {over} dimensions" if known > 1 else f"in {self.widest}"
        return (
            f"The service {verb} what respondents expect: "
            f"{self._spelt(self.overall, self.low, self.high)} {over}."
        )

    def _rival(self) -> str:
        rest = self.table[self.table["dimension"] != self.widest].dropna(subset="widest")
        if self.widest_share >= self.confidence or rest.empty:
            return ""
        next_row = rest.loc[rest["widest"].idxmax()]
        return f", {next_row['dimension']} in {next_row['widest']:.0%}: too close to tell which"

    def _spelt(self, estimate: float, low: float, high: float) -> str:
        if not np.isfinite(low):
            return f"{estimate:.2f} points (no interval: everyone has the same gap)"
        return spell(estimate, low, high, confidence=self.confidence, unit="points")

    def _cautions(self) -> list[str]:
        known = self.table["reliability"].dropna()
        words = ["A gap is perception less expectation; those who did not answer may differ."]
        if self.same_answer:
            words.append(
                f"{self.same_answer} respondents gave perception and expectation the same answer "
                f"in every item: without them the overall gap is {self.overall_without:.2f}."
            )
        if len(known):
            least, most = f"{known.min():.2f}", f"{known.max():.2f}"
            spread = least if least == most else f"{least} to {most} by dimension"
            words.append(
                "The means stand; a single respondent's gap is only as good as its reliability "
                f"({spread})."
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
            f"{int((known['low'] > 0).sum())} exceed it, each judged by its own interval; lowest "
            f"is {look.shorten(row['item'])}: {found}.\nThat item belongs to {row['dimension']} "
            f"and rests on {counted(row['respondents'], 'respondent')} who answered both questions."
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


@dataclass(frozen=True, eq=False)
class GapGate(Finding):
    """Whether a person's own gap is reliable enough to be used, by dimension.

    Attributes
    ----------
    table : DataFrame, one row per dimension
        ``dimension``, ``items``, ``respondents``; ``perception_reliability``,
        ``expectation_reliability`` (Cronbach's alpha) and ``correlation`` of the two scores;
        ``estimate``, ``low``, ``high``, the reliability of their difference by the classical
        formula; ``of_differences``, ``of_differences_low``, ``of_differences_high``, alpha of the
        item differences; ``perception_with_outcome``, ``perception_low``, ``perception_high`` and
        ``gap_with_outcome``, ``gap_low``, ``gap_high``, correlations with satisfaction;
        ``usable``, whether both reliabilities of the gap reach the gate; ``settled``, whether
        both intervals lie above the gate, or one of them below it; ``score``, "gap" or
        "perception", what later questions shall use; ``note``.
    gap_reliability : float
        The gate, 0 to 1.
    usable : int
        Dimensions that pass.
    outcome : str
        Column of satisfaction; empty if there is none.
    confidence : float
    resamples : int
    """

    gap_reliability: float
    usable: int
    outcome: str
    confidence: float
    resamples: int

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        row = None
        if len(known):
            row = known.loc[known[["estimate", "of_differences"]].min(axis=1).idxmin()]
        words = [self._answer(row)]
        if row is not None:
            words += [*self._both(row), *self._evidence(row)]
        close = known.loc[~known["settled"], "dimension"]
        if len(close):
            words.append(f"An interval reaches across the gate: {', '.join(close)}.")
        words.append(
            f"Intervals come from {self.resamples:,} resamples and are approximate. Mean gaps "
            "stand whatever the gate says."
        )
        noted = self.table[self.table["note"] != ""]
        if len(noted):
            told = "; ".join(f"{row.dimension} ({row.note})" for row in noted.itertuples())
            words.append(f"Not known, so perception is used: {told}.")
        return " ".join(words).replace("\n ", "\n")

    def _answer(self, row: pd.Series | None) -> str:
        lowest = ""
        if row is not None:
            classical = row["estimate"] <= row["of_differences"]
            found = self._spelt(row, "classical" if classical else "differences")
            lowest = f"; lowest is {look.shorten(row['dimension'], width=20)}, {found}"
        if self.usable == len(self.table):
            told = "is reliable enough to be used in every dimension"
        elif self.usable == 0:
            told = "is too unreliable to be used in any dimension, use perception alone (SERVPERF)"
        else:
            told = f"may be used in {self.usable} of {len(self.table)} dimensions, for the others "
            told += "use perception alone (SERVPERF)"
        return f"A person's own gap {told}{lowest}, gate {self.gap_reliability:.2f}.\n"

    def _both(self, row: pd.Series) -> list[str]:
        """The two reliabilities of one dimension, and why they are not the same."""
        words = [
            "Two reliabilities have to reach the gate: the classical one, from the reliabilities "
            "and the correlation of the two scores, and alpha of the item differences. For "
            f"{row['dimension']} they are {self._spelt(row, 'classical')} and "
            f"{self._spelt(row, 'differences')} on {row['respondents']:,} respondents; perceptions "
            f"reach {row['perception_reliability']:.2f}, expectations "
            f"{row['expectation_reliability']:.2f}, and the two correlate {row['correlation']:.2f}."
        ]
        apart = row["of_differences"] - row["estimate"]
        if abs(apart) >= APART:
            more, errs = ("more", "low") if apart > 0 else ("less", "high")
            words.append(
                f"They differ because the two answers to one item go together {more} than answers "
                f"to different items do; the classical formula overlooks that and errs {errs} "
                "here. Asking for both is deliberately strict."
            )
        return words

    def _spelt(self, row: pd.Series, which: str) -> str:
        return spell(*(row[each] for each in RELIABILITIES[which]), confidence=self.confidence)

    def _evidence(self, row: pd.Series) -> list[str]:
        if not np.isfinite(row["gap_with_outcome"]):
            return []
        ends = ("perception_with_outcome", "perception_low", "perception_high")
        seen = spell(*(row[each] for each in ends), confidence=self.confidence)
        ends = ("gap_with_outcome", "gap_low", "gap_high")
        gap = spell(*(row[each] for each in ends), confidence=self.confidence)
        return [f"There perception correlates {seen} with {self.outcome}, the gap {gap}."]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="estimate")
        ends = ["estimate", "low", "high"]
        both = [known[list(each)].set_axis(ends, axis=1) for each in RELIABILITIES.values()]
        names = [f"{name} · {each}" for name in known["dimension"] for each in RELIABILITIES]
        rows = pd.concat(both).sort_index(kind="stable")
        meaning = np.where(rows["estimate"] >= self.gap_reliability, "better", "worse")
        look.dots(ax, rows, names=names, meaning=meaning)
        ax.axvline(self.gap_reliability, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="Is a person's own gap reliable enough to be used?",
            x="reliability of perception less expectation (line: the gate; both have to reach it)",
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
        A dimension with fewer than ten respondents gets NaN and a note; one whose gap is the same
        for everyone has no interval.

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


def gap_gate(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    expectations: dict[str, str],
    gap_reliability: float = 0.7,
    outcome: str = "satisfaction",
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> GapGate:
    """Decide by its reliability whether a person's own gap may be used.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        As in `servqual_gaps`.
    dimensions, expectations : dict
        As in `servqual_gaps`.
    gap_reliability : float, default 0.7
        Least reliability of a gap that may enter correlations, drivers and rankings.
    outcome : str, default "satisfaction"
        Column shown beside it as evidence; where it is absent nothing is shown.
    confidence : float, default 0.95
    resamples : int, default 1000
    rng : Generator

    Returns
    -------
    GapGate
        A dimension with one item, an item that never varies, fewer than ten respondents or
        gaps without any spread gets NaN and a note, and does not pass.

    Notes
    -----
    With alphas a_p, a_e, variances v_p, v_e of the two scores and their covariance c, the
    reliability of the difference is (a_p v_p + a_e v_e - 2 c) / (v_p + v_e - 2 c) [1]_.  Alpha of
    the k item differences exceeds it by 2 k (s - o) / (v_p + v_e - 2 c) in variances of sums,
    where s is the mean covariance of the two answers to one item and o that of answers to
    different items.  The classical formula supposes s = o.  What one item's answers share beyond
    that cancels in their difference, be it error or substance, so with s > o the classical figure
    is too low and with s < o too high, and alpha of the differences is the better of the two.
    Both must reach the gate all the same: the classical one is what the literature against
    difference scores goes by, and to refuse a gap costs only that perception is used in its
    place.  Nunnally's 0.7 [2]_ is the default.  Intervals are the percentile bootstrap's over
    respondents (approximate); correlations have Fisher's.

    References
    ----------
    .. [1] Peter, J. P., Churchill, G. A., Brown, T. J. (1993). Journal of Consumer Research 19,
       655-662. doi:10.1086/209329
    .. [2] Nunnally, J. C. (1978). Psychometric Theory, 2nd ed. McGraw-Hill.

    Examples
    --------
    Perceptions that vary and agree, expectations that vary independently: the gap is as
    reliable as they are.

    >>> p, e = np.tile([1, 2, 3, 4], 10), np.repeat([5, 7], 20)
    >>> answers = pd.DataFrame({"p1": p, "p2": p, "e1": e, "e2": e})
    >>> found = gap_gate(answers, dimensions={"prompt": ["p1", "p2"]},
    ...                  expectations={"p1": "e1", "p2": "e2"}, rng=np.random.default_rng(1))
    >>> float(found.table["estimate"][0].round(9)), found.table["score"][0]
    (1.0, 'gap')
    """
    _need_pairs(answers, dimensions, expectations, confidence)
    need_share(gap_reliability, name="gap_reliability")
    there = outcome in answers and pd.api.types.is_numeric_dtype(answers[outcome])
    pleased = answers[outcome].astype(float) if there else None
    rows = [
        _gate_row(answers, name, items, expectations, pleased, confidence, resamples, rng)
        for name, items in dimensions.items()
    ]
    table = pd.DataFrame(rows)
    lower = table[["estimate", "of_differences"]].min(axis=1, skipna=False)
    usable = lower >= gap_reliability
    lows, highs = table[["low", "of_differences_low"]], table[["high", "of_differences_high"]]
    settled = (lows >= gap_reliability).all(axis=1) | (highs < gap_reliability).any(axis=1)
    score = np.where(usable, "gap", "perception")
    table = table.assign(usable=usable, settled=settled, score=score)
    table["note"] = table.pop("note")
    return GapGate(
        table=table,
        gap_reliability=gap_reliability,
        usable=int(usable.sum()),
        outcome=outcome if there else "",
        confidence=confidence,
        resamples=resamples,
    )


def usable_scores(
    answers: pd.DataFrame,
    *,
    gate: pd.DataFrame,
    dimensions: dict[str, list[str]],
    expectations: dict[str, str],
) -> pd.DataFrame:
    """Score each respondent as the gate allows: gap where it passed, perception elsewhere.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
    gate : DataFrame
        The table of a `GapGate` (``dimension`` and ``score``).
    dimensions, expectations : dict

    Returns
    -------
    DataFrame, one row per respondent, one column per dimension
        Scale points; NaN where an answer is blank.

    Raises
    ------
    Problem
        If the gate was not asked about a dimension.

    Examples
    --------
    >>> answers = pd.DataFrame({"p1": [5, 4], "e1": [6, 6]})
    >>> gate = pd.DataFrame({"dimension": ["prompt"], "score": ["perception"]})
    >>> usable_scores(answers, gate=gate, dimensions={"prompt": ["p1"]},
    ...               expectations={"p1": "e1"})["prompt"].tolist()
    [5.0, 4.0]
    """
    need_columns(gate, ["dimension", "score"], source="the gate")
    said = dict(zip(gate["dimension"], gate["score"], strict=True))
    unasked = [name for name in dimensions if name not in said]
    if unasked:
        raise Problem(
            f"The gap gate says nothing of {', '.join(unasked)}.", "run the gate on it first."
        )
    needed = {
        i: expectations[i]
        for n, each in dimensions.items()
        for i in each
        if said[n] == "gap" and i in expectations
    }
    need_columns(
        answers,
        [*(i for each in dimensions.values() for i in each), *needed.values()],
        source=SOURCE,
    )
    scores = {
        name: _differences(answers, items, expectations)
        if said[name] == "gap"
        else answers[items].astype(float)
        for name, items in dimensions.items()
    }
    return pd.DataFrame({name: each.mean(axis=1, skipna=False) for name, each in scores.items()})


def _gate_row(answers, name, items, expectations, pleased, confidence, resamples, rng) -> dict:
    """One dimension: reliabilities of both scores and of their difference, and the evidence."""
    wanted = [expectations[item] for item in items]
    seen, hoped = (answers[each].astype(float) for each in (items, wanted))
    whole = seen.notna().all(axis=1) & hoped.notna().all(axis=1)
    values = np.hstack([seen[whole].to_numpy(), hoped[whole].to_numpy()])
    k, n = len(items), len(values)
    blank = ("perception_reliability", "expectation_reliability", "correlation", "estimate", "low")
    blank += ("high", "of_differences", "of_differences_low", "of_differences_high")
    blank += ("perception_with_outcome", "perception_low", "perception_high")
    blank += ("gap_with_outcome", "gap_low", "gap_high")
    row = {"dimension": name, "items": k, "respondents": n} | dict.fromkeys(blank, np.nan)
    row["note"] = _why_not(values, k)
    if row["note"]:
        return row
    parts = _of_gap(np.cov(values, rowvar=False), k)
    drawn = _of_gap(resampled(values, resamples=resamples, rng=rng)[1], k)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    row |= dict(zip(blank[:3], map(float, parts[:3]), strict=True))
    for names, estimate, again in zip(RELIABILITIES.values(), parts[3:], drawn[3:], strict=True):
        limits = np.nanquantile(again, tails)
        row |= dict(zip(names, map(float, [estimate, *limits]), strict=True))
    if pleased is not None:
        row |= _with_outcome(values, k, pleased[whole].to_numpy(), confidence)
    return row


def _why_not(values: np.ndarray, k: int) -> str:
    if k < 2:
        return "one item: the reliability of its gap is unknown"
    if len(values) < FEWEST:
        return f"only {counted(len(values), 'respondent')} with every pair"
    if (np.ptp(values, axis=0) == 0).any():
        return "an item that everyone answered alike"
    gap = values[:, :k].mean(axis=1) - values[:, k:].mean(axis=1)
    return "everyone has the same gap" if np.ptp(gap) < 1e-12 else ""


def _of_gap(covariance: np.ndarray, k: int) -> tuple:
    """Alphas of perceptions and expectations, their correlation, both of the difference."""
    seen, hoped = covariance[..., :k, :k], covariance[..., k:, k:]
    both = covariance[..., :k, k:].sum(axis=(-2, -1))
    sums = [block.sum(axis=(-2, -1)) for block in (seen, hoped)]
    traces = [np.trace(block, axis1=-2, axis2=-1) for block in (seen, hoped)]
    true = [k / (k - 1) * (v - t) for v, t in zip(sums, traces, strict=True)]
    other_items = both - np.trace(covariance[..., :k, k:], axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alphas = [t / v for t, v in zip(true, sums, strict=True)]
        correlation = both / np.sqrt(sums[0] * sums[1])
        spread = sums[0] + sums[1] - 2 * both
        gap = (true[0] + true[1] - 2 * both) / spread
        of_items = (true[0] + true[1] - 2 * k / (k - 1) * other_items) / spread
    return (*alphas, correlation, gap, of_items)


def _with_outcome(values, k, pleased, confidence) -> dict:
    known = np.isfinite(pleased)
    if known.sum() < FEWEST:
        return {}
    seen = values[known, :k].mean(axis=1)
    gap = seen - values[known, k:].mean(axis=1)
    row = {}
    for name, score in (("perception", seen), ("gap", gap)):
        r = scales.correlation(score, pleased[known])
        low, high = scales.fisher(r, int(known.sum()), confidence)
        row |= {f"{name}_with_outcome": r, f"{name}_low": low, f"{name}_high": high}
    return row


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
        "note": _no_interval(estimate, low, len(whole)),
    }


def _no_interval(estimate: float, low: float, respondents: int) -> str:
    """Why a mean gap has no interval; empty if it has one."""
    if np.isfinite(low):
        return ""
    if np.isfinite(estimate):
        return "everyone has the same gap: no interval"
    return f"only {respondents} respondents with every pair"


def _mean_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    if len(values) < FEWEST:
        return np.nan, np.nan, np.nan
    if np.ptp(values) < 1e-12:  # no spread seen says nothing of how far the mean may be off
        return float(values.mean()), np.nan, np.nan
    return student(values, confidence=confidence)


def _mean_of_means(scores: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of the column means, with the columns of a row correlated and blanks allowed."""
    n, there = len(scores), ~np.isnan(scores)
    means = np.nanmean(scores, axis=0)
    influence = (np.where(there, scores - means, 0.0) / there.mean(axis=0)).mean(axis=1)
    if np.ptp(influence) < 1e-12:
        return float(means.mean()), np.nan, np.nan
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * standard_error(influence)
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def _reliability(values: np.ndarray) -> float:
    """Alpha of the columns; of two, 2 r / (1 + r); NaN where it has no meaning."""
    n, k = values.shape
    if k < 2 or n < FEWEST or (np.ptp(values, axis=0) == 0).any():
        return np.nan
    if k == 2:
        r = scales.correlation(*values.T)
        return scales.spearman_brown(r) if r > -1 else np.nan
    return scales.alpha(values)


def _lowest_share(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Share of bootstrap samples in which each column has the lowest mean; ties are split."""
    n, there = len(scores), ~np.isnan(scores)
    chances, filled = np.full(n, 1 / n), np.where(there, scores, 0.0)
    step = max(CELLS // n, 1)  # a hundred thousand respondents would fill the memory at once
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = rng.multinomial(n, chances, size=size).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append((times @ filled) / (times @ there))
    means = np.concatenate(parts)
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
    need_numbers(answers, columns, source=SOURCE)
