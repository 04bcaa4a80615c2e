"""How satisfied and how loyal are the customers, and could this sample show a change?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from scipy import stats

from sqm import look
from sqm.checks import (
    Problem,
    Refusal,
    need_columns,
    need_numbers,
    need_on_scale,
    need_one_of,
    need_share,
    need_sound_weights,
)
from sqm.clock import local
from sqm.finding import Finding, counted
from sqm.interval import few_clusters, kish, spell, variance_of_sum, wilson

SOURCE = "the survey"
FEWEST = 10  # answers below which no interval is given
FEW_CLUSTERS = 20
PROMOTERS, DETRACTORS = 9, 6  # from 9 upwards, down to 6, of 0 to 10
NPS = "net promoter score"
UNITS = {
    "satisfied": "share",
    "very satisfied": "share",
    "mean satisfaction": "points",
    NPS: "NPS points",
    "low effort": "share",
    "mean effort": "points",
}


@dataclass(frozen=True)
class Questions:
    """How the three questions were asked, and which answers count as good.

    Attributes
    ----------
    points : (float, float)
        Lowest and highest answer to the question on satisfaction, whole steps between.
    box : int
        How many of the highest points count as satisfied (2: the top two boxes).
    effort_points : (float, float)
        Lowest and highest answer to the question on effort.
    effort_box : int
        How many points at the easy end count as low effort.
    easy : {"high", "low"}
        Which end of the scale of effort says that it was easy.
    satisfaction, recommend, effort : str
        The columns.  One that is not there leaves its indicators unanswered.
    """

    points: tuple[float, float] = (1, 7)
    box: int = 2
    effort_points: tuple[float, float] = (1, 7)
    effort_box: int = 2
    easy: str = "high"
    satisfaction: str = "satisfaction"
    recommend: str = "recommend"
    effort: str = "effort"

    def words(self, columns: Iterable[str]) -> str:
        """What each indicator counts, for a sentence, as far as its question was asked."""
        (low, high), (first, last) = self.points, self.effort_points
        easy = (last - self.effort_box + 1, last)
        easy = easy if self.easy == "high" else (first, first + self.effort_box - 1)
        told = {
            self.satisfaction: f"satisfied is an answer of {high - self.box + 1:g} to {high:g} on "
            f"a scale of {low:g} to {high:g}, very satisfied {high:g}",
            self.recommend: "the net promoter score is the percentage of answers 9 and 10 less "
            "that of 0 to 6 (scale of 0 to 10)",
            self.effort: f"low effort is an answer of {easy[0]:g} to {easy[1]:g} on a scale of "
            f"{first:g} to {last:g}",
        }
        return _join([words for column, words in told.items() if column in columns]) + "."


@dataclass(frozen=True, eq=False)
class Loyalty(Finding):
    """Satisfaction, recommendation and effort of one sample.

    Attributes
    ----------
    table : DataFrame, one row per indicator
        ``indicator``; ``unit`` (share 0 to 1, NPS points -100 to 100, or points of the answer
        scale); ``respondents``; ``effective_n``, how many independent answers would tell as
        much; ``estimate``, ``low``, ``high``; ``note``.
    satisfied, satisfied_low, satisfied_high : float
        Share satisfied (CSAT), 0 to 1; NaN if it was not asked.
    nps, nps_low, nps_high : float
        Net promoter score, -100 to 100; NaN if it was not asked.
    respondents : int
        Rows given.
    confidence : float
    weighted : bool
    clusters : int
        Clusters that the rows lie in; 0 if they are taken as independent.
    asked : str
        What counts as satisfied, as a promoter and as low effort.
    """

    satisfied: float
    satisfied_low: float
    satisfied_high: float
    nps: float
    nps_low: float
    nps_high: float
    respondents: int
    confidence: float
    weighted: bool
    clusters: int
    asked: str

    def sentence(self) -> str:
        known = self.table.dropna(subset="low").set_index("indicator")
        wanted = [name for name in ("satisfied", NPS) if name in known.index]
        wanted = wanted or list(known.index[:1])
        parts = [_told(name, known.loc[name], self.confidence) for name in wanted]
        counts = known["respondents"]
        words = [f"{_join(parts)}, on {_range(counts)} answers.\n"]
        rest = [name for name in known.index if name not in wanted]
        if rest:
            told = "; ".join(_told(name, known.loc[name], self.confidence) for name in rest)
            words.append(f"Also: {told}.")
        words.append(self.asked)
        words.append(_rests_on(self.weighted, self.clusters, known))
        words += _not_given(self.table["indicator"], self.table)
        words.append("Those who did not answer may differ.")
        return " ".join(words).replace("\n ", "\n")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="low").copy()
        per_cent = known["unit"].isin(["share", "NPS points"])
        known = known[per_cent] if per_cent.any() else known
        times = np.where(known["unit"] == "share", 100, 1)[:, None]
        known[["estimate", "low", "high"]] = known[["estimate", "low", "high"]] * times
        look.dots(ax, known, names=known["indicator"])
        if per_cent.any():
            ax.axvline(0, color=look.MEANING["limit"])
        unit = "% of respondents; NPS in points" if per_cent.any() else "points of the answer scale"
        return look.label(ax, title="How satisfied and how loyal are the customers?", x=unit)


@dataclass(frozen=True, eq=False)
class LoyaltyByGroup(Finding):
    """One indicator compared over groups, beside all the others in the table.

    Attributes
    ----------
    table : DataFrame, one row per group and indicator
        ``group``, ``indicator``, ``unit``, ``respondents``, ``effective_n``, ``estimate``,
        ``low``, ``high``, ``note``.
    by : str
        What makes the groups.
    shown : str
        The indicator of the sentence and the picture.
    p_value : float
        Chance of differences between groups as large as these if all were alike; NaN if fewer
        than two groups can be judged.
    confidence : float
        Level of each interval on its own.
    asked : str
        What counts as satisfied, as a promoter and as low effort.
    """

    by: str
    shown: str
    p_value: float
    confidence: float
    asked: str

    def sentence(self) -> str:
        mine = self.table[self.table["indicator"] == self.shown]
        known = mine.dropna(subset="low")
        if known.empty:
            return (
                f"No {self.by} has {FEWEST} answers for the {self.shown}.\n"
                f"{self.asked} {' '.join(_not_given(mine['group'], mine))}"
            )
        low, high = known.loc[known["estimate"].idxmin()], known.loc[known["estimate"].idxmax()]
        ends = [_told(look.shorten(str(r["group"])), r, self.confidence) for r in (low, high)]
        words = [f"{self._verdict(len(known))}: from {ends[0]} to {ends[1]}.\n"]
        if np.isfinite(self.p_value):
            words.append(
                f"If all were alike, differences as large as these would come up with chance "
                f"{_chance(self.p_value)} (Cochran's Q, approximate)."
            )
        words.append(
            f"The lowest of {len(known)} is partly so by luck of the draw; each interval stands "
            f"for itself. {self.asked}"
        )
        words += _not_given(mine["group"], mine)
        return " ".join(words).replace("\n ", "\n")

    def _verdict(self, groups: int) -> str:
        told = f"The {self.shown} by {self.by}"
        if groups < 2 or not np.isfinite(self.p_value):
            return told
        if self.p_value < 1 - self.confidence:
            return f"{told} differs by more than chance"
        return f"{told} shows no difference beyond chance"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["indicator"] == self.shown].dropna(subset="low")
        rows = rows.sort_values(["estimate", "group"], kind="stable")
        names = [f"{row.group} ({row.respondents})" for row in rows.itertuples()]
        look.dots(ax, rows, names=names)
        ax.set_axisbelow(True)
        title = f"How does the {self.shown} differ by {self.by}?"
        return look.label(ax, title=title, x=f"{self.shown} ({UNITS[self.shown]})")


@dataclass(frozen=True, eq=False)
class WaveChange(Finding):
    """Each indicator in an earlier and a later wave, and the change.

    Attributes
    ----------
    table : DataFrame, one row per indicator
        ``indicator``, ``unit``; ``respondents_before``, ``respondents_after``; ``before``,
        ``after``, the two estimates; ``estimate``, ``low``, ``high``, after less before;
        ``correlation`` of the two estimates (0 if nobody is in both waves); ``verdict``, "rose",
        "fell", "no change shown" or ""; ``note``.
    before, after : str
        The two waves.
    in_both : int
        Respondents who answered in both.
    confidence : float
        Level of each interval on its own.
    weighted : bool
    clusters : int
    asked : str
        What counts as satisfied, as a promoter and as low effort.
    """

    before: str
    after: str
    in_both: int
    confidence: float
    weighted: bool
    clusters: int
    asked: str

    def sentence(self) -> str:
        known = self.table.dropna(subset="low").set_index("indicator")
        wanted = [name for name in ("satisfied", NPS) if name in known.index]
        wanted = wanted or list(known.index[:1])
        if not wanted:
            unsaid = " ".join(_not_given(self.table["indicator"], self.table))
            return f"No change from {self.before} to {self.after} can be given.\n{unsaid}"
        parts = [self._told(name, known.loc[name]) for name in wanted]
        words = [f"From {self.before} to {self.after}: {'; '.join(parts)}.\n"]
        rest = [self._told(n, known.loc[n]) for n in known.index if n not in wanted]
        if rest:
            words.append(f"Also: {'; '.join(rest)}.")
        words.append(
            f"It rests on {_range(known['respondents_before'])} answers before and "
            f"{_range(known['respondents_after'])} after; {self._who()}."
        )
        words.append(_rests_on(self.weighted, self.clusters, None))
        words.append(
            "Each indicator is judged by its own interval. A change between waves says that "
            "answers changed, not what changed them. " + self.asked
        )
        words += _not_given(self.table["indicator"], self.table)
        return " ".join(word for word in words if word).replace("\n ", "\n")

    def _told(self, name: str, row: pd.Series) -> str:
        told = _told(name, row, self.confidence, change=True)
        return f"{told}, {row['verdict']}"

    def _who(self) -> str:
        if self.in_both:
            return f"{self.in_both:,} people answered in both waves, which is allowed for"
        return "the waves are taken as different people"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="low")
        per_cent = known["unit"].isin(["share", "NPS points"])
        known = (known[per_cent] if per_cent.any() else known).copy()
        times = np.where(known["unit"] == "share", 100, 1)[:, None]
        known[["estimate", "low", "high"]] = known[["estimate", "low", "high"]] * times
        meaning = np.select(
            [known["low"] > 0, known["high"] < 0], ["better", "worse"], default="usual"
        )
        look.dots(ax, known, names=known["indicator"], meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"])
        unit = "percentage points or NPS points" if per_cent.any() else "points"
        return look.label(
            ax,
            title=look.shorten(f"What changed from {self.before} to {self.after}?", width=70),
            x=f"after less before ({unit})",
        )


@dataclass(frozen=True, eq=False)
class SmallestChange(Finding):
    """The smallest change that two waves of this size would show.

    Attributes
    ----------
    table : DataFrame, one row per indicator
        ``indicator``, ``unit``, ``respondents``, ``effective_n``; ``deviation``, the standard
        deviation of one answer; ``estimate``, ``low``, ``high``, the smallest change that is
        found with the wanted power (share 0 to 1, NPS points or points); ``note``.
    power, confidence : float
        Chance to find the change if it is there; level of the two-sided test and of the interval.
    """

    power: float
    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate").set_index("indicator")
        wanted = [name for name in ("satisfied", NPS) if name in known.index]
        wanted = wanted or list(known.index[:1])
        parts = [_told(name, known.loc[name], self.confidence, change=True) for name in wanted]
        words = [f"Two waves like this one would show a change from about: {'; '.join(parts)}.\n"]
        words.append(
            f"That is the change found with {self.power * 100:.4g}% chance by a two-sided test at "
            f"{self.confidence * 100:.4g}% confidence, for two waves of different people, each of "
            f"this size ({_range(known['respondents'])} answers), spread and design; the interval "
            "allows for the spread being estimated (approximate)."
        )
        words += _not_given(self.table["indicator"], self.table)
        words.append("A smaller change may be there and go unseen.")
        return " ".join(words).replace("\n ", "\n")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="estimate")
        per_cent = known["unit"].isin(["share", "NPS points"])
        known = (known[per_cent] if per_cent.any() else known).copy()
        times = np.where(known["unit"] == "share", 100, 1)[:, None]
        known[["estimate", "low", "high"]] = known[["estimate", "low", "high"]] * times
        look.dots(ax, known, names=known["indicator"])
        ax.set_xlim(left=0)
        unit = "percentage points or NPS points" if per_cent.any() else "points"
        return look.label(
            ax, title="What change could a sample of this size show?", x=f"smallest change ({unit})"
        )


@dataclass(frozen=True, eq=False)
class SampleSize(Finding):
    """How many answers per wave a change takes to be seen.

    Attributes
    ----------
    table : DataFrame, one row per indicator and change
        ``indicator``, ``unit``, ``change`` (share 0 to 1, NPS points or points); ``estimate``,
        ``low``, ``high``, answers needed in each wave; ``invitations`` needed in each wave at
        the given response rate (NaN without one); ``note``.
    power, confidence : float
    response_rate : float
        NaN if not given.
    """

    power: float
    confidence: float
    response_rate: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        first = known["indicator"].iloc[0]
        chosen = NPS if (known["indicator"] == NPS).any() else first
        rows = known[known["indicator"] == chosen]
        row = rows.iloc[len(rows) // 2]
        size, unit = row["change"], "points"
        if row["unit"] == "share":
            size, unit = row["change"] * 100, "percentage points"
        words = [
            f"To see the {chosen} change by {size:g} {unit} takes "
            f"{_whole(row['estimate'], row['low'], row['high'], self.confidence)} answers per wave."
            "\n"
        ]
        if np.isfinite(self.response_rate):
            words.append(
                f"At a response rate of {self.response_rate * 100:.3g} % that means "
                f"{row['invitations']:,.0f} invitations per wave."
            )
        words.append(
            f"Seen means: found with {self.power * 100:.4g}% chance by a two-sided test at "
            f"{self.confidence * 100:.4g}% confidence, between two waves of different people with "
            "the spread, weights and clusters of this sample (approximate). Half the change takes "
            "four times the answers; asking the same people twice takes fewer."
        )
        words += _not_given(self.table["indicator"], self.table)
        return " ".join(words).replace("\n ", "\n")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.dropna(subset="estimate")
        names = [
            f"{r.indicator}: {r.change * 100:g} %-points"
            if r.unit == "share"
            else f"{r.indicator}: {r.change:g} {r.unit}"
            for r in rows.itertuples()
        ]
        look.dots(ax, rows, names=names)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        title = "How many answers does a change take to be seen?"
        return look.label(ax, title=title, x="answers per wave (logarithmic)")


# --- The questions --------------------------------------------------------------------------------

ASKED = Questions()


def satisfaction_and_loyalty(
    answers: pd.DataFrame,
    *,
    asked: Questions = ASKED,
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> Loyalty:
    """Estimate satisfaction, net promoter score and effort.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        ``satisfaction`` and ``effort`` in points of their scales, ``recommend`` 0 to 10, as far
        as they were asked.  A blank leaves the respondent out of that indicator alone.
    asked : Questions
        Scales and boxes.
    weight : str, optional
        Column of weights, none negative.
    cluster : str, optional
        Column of what respondents share (a site, an agent, a household).
    confidence : float, default 0.95

    Returns
    -------
    Loyalty
        An indicator that was not asked, or has fewer than ten answers, gets NaN and a note.

    Raises
    ------
    Problem
        If an answer is off its scale, a box does not fit, or weights are negative, blank or zero.
    Refusal
        If none of the three questions was asked, or none has ten answers.

    Notes
    -----
    Every indicator is a mean: of 0 and 1, of -100 (detractor), 0 and 100 (promoter), or of
    points.  Its variance is Taylor's (linearised, with weights w: u = w (y - mean) / sum w,
    summed within clusters, G / (G - 1) times the sum of squares).  The variance of one answer
    over it is the effective n.  Intervals: shares Wilson at the effective n; means Student's
    with clusters (or respondents) less one degrees of freedom; the net promoter score, with
    variance p + d - (p - d)^2, by inverting the score test, whose form for the difference of
    two parts of one multinomial is Tango's [1]_.  Rocks [2]_ found the score test and adjusted
    Wald intervals better than Wald's; in a simulation of seven mixes at n = 20 to 400 the score
    interval held the truth in 94.7 to 98.6 % (conservative where nearly all answers are of one
    kind), Wald's in 86.0 to 98.6 %.  With few clusters the
    effective n is lowered as Korn and Graubard do (see `sqm.interval.share`); clusters never
    narrow an interval.

    References
    ----------
    .. [1] Tango, T. (1998). Statistics in Medicine 17, 891-908.
    .. [2] Rocks, B. (2016). Interval estimation for the "Net Promoter Score". The American
       Statistician 70, 365-372. doi:10.1080/00031305.2016.1158124

    Examples
    --------
    6 promoters, 4 passives, 2 detractors: (6 - 2) / 12 = 33.3.

    >>> answers = pd.DataFrame({"recommend": [9] * 6 + [8] * 4 + [3] * 2})
    >>> round(satisfaction_and_loyalty(answers).nps, 1)
    33.3
    """
    scores, notes = _scores(answers, asked)
    weights, groups = _design(answers, weight, cluster, confidence)
    rows = [_row(scores[name], weights, groups, notes[name], confidence) for name in scores]
    table = pd.DataFrame(rows)
    _need_one(table)
    named = table.set_index("indicator")
    return Loyalty(
        table=table.drop(columns=["se", "deviation", "peak", "df"]),
        **_three(named, "satisfied", "satisfied"),
        **_three(named, NPS, "nps"),
        respondents=len(answers),
        confidence=confidence,
        weighted=weight is not None,
        clusters=_how_many(groups),
        asked=asked.words(list(answers)),
    )


def loyalty_by_group(
    answers: pd.DataFrame,
    *,
    by: str = "site",
    shown: str = NPS,
    asked: Questions = ASKED,
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> LoyaltyByGroup:
    """Estimate every indicator in every group, and whether one of them differs at all.

    Parameters are those of `satisfaction_and_loyalty`, and:

    Parameters
    ----------
    by : str, default "site"
        What makes the groups; a blank is left out.
    shown : str
        The indicator of the sentence and the picture, one of ``UNITS``.

    Notes
    -----
    Groups are compared by Cochran's Q: the squared distances from the mean, each over its
    squared standard error (half the interval over its quantile), against chi-square with groups
    less one degrees of freedom.

    Examples
    --------
    >>> answers = pd.DataFrame({"site": ["a"] * 10 + ["b"] * 10,
    ...                         "recommend": [9, 10] * 5 + [9, 0] * 5})
    >>> loyalty_by_group(answers).table.query("unit == 'NPS points'")["estimate"].tolist()
    [100.0, 0.0]
    """
    need_one_of(shown, UNITS, name="shown")
    need_columns(answers, [by], source=SOURCE)
    scores, notes = _scores(answers, asked)
    weights, groups = _design(answers, weight, cluster, confidence)
    rows = []
    for group, places in sorted(answers.groupby(by).indices.items()):
        lie_in = None if groups is None else groups.iloc[places]
        for name in scores:
            one = _row(scores[name].iloc[places], weights[places], lie_in, notes[name], confidence)
            rows.append({"group": str(group), **one})
    if not rows:
        raise Refusal(f"No respondent has a {by!r}.", f"name the column of the {by}.")
    table = pd.DataFrame(rows).drop(columns=["se", "deviation", "peak", "df"])
    mine = table[table["indicator"] == shown].dropna(subset="low")
    return LoyaltyByGroup(
        table=table,
        by=by,
        shown=shown,
        p_value=_alike(mine, confidence),
        confidence=confidence,
        asked=asked.words(list(answers)),
    )


def wave_change(
    answers: pd.DataFrame,
    *,
    before: str | None = None,
    after: str | None = None,
    split: pd.Timestamp | str | None = None,
    asked: Questions = ASKED,
    wave: str = "wave",
    answered: str = "answered",
    respondent: str = "respondent",
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> WaveChange:
    """Estimate the change of every indicator between two waves.

    Parameters
    ----------
    answers : DataFrame, one row per respondent and wave
    before, after : str, optional
        The two waves to compare; not needed where there are just two.
    split : date, optional
        In place of waves: answers before this time against those from it on.
    asked : Questions
    wave, answered, respondent : str
        Columns; ``answered`` is needed for a split only, and orders two waves where it is
        there.  Who appears in both waves (the same ``respondent``) is allowed for.
    weight, cluster : str, optional
        As in `satisfaction_and_loyalty`; a cluster (a site) may lie in both waves.
    confidence : float, default 0.95

    Returns
    -------
    WaveChange

    Raises
    ------
    Problem
        If a wave is unknown, or there are more than two and none is named.
    Refusal
        If there is one wave only.

    Notes
    -----
    The interval of the difference is built from those of the two waves and the correlation r
    of the two estimates (method of variance estimates recovery [1]_ [2]_): with distances a
    and b from the estimates to the limits on the side in question, the distance is
    sqrt(a^2 + b^2 - 2 r a b).  For the same respondents and means this is the paired t
    interval; r comes from the sums of influences by respondent (or cluster) in either wave.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Statistics in Medicine 17, 873-890.
    .. [2] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27, 1693-1702.
       doi:10.1002/sim.3095

    Examples
    --------
    >>> answers = pd.DataFrame({"wave": ["1"] * 10 + ["2"] * 10,
    ...                         "recommend": [9, 0] * 5 + [9, 8] * 5})
    >>> wave_change(answers).table.query("unit == 'NPS points'")["estimate"].tolist()
    [50.0]
    """
    earlier, later, names = _two_waves(answers, before, after, split, wave, answered)
    scores, notes = _scores(answers, asked)
    weights, groups = _design(answers, weight, cluster, confidence)
    shared = _shared(answers, groups, respondent)
    rows = [
        _change(scores[name], weights, groups, shared, (earlier, later), notes[name], confidence)
        for name in scores
    ]
    return WaveChange(
        table=pd.DataFrame(rows),
        before=names[0],
        after=names[1],
        in_both=_in_both(answers, respondent, earlier, later),
        confidence=confidence,
        weighted=weight is not None,
        clusters=_how_many(groups),
        asked=asked.words(list(answers)),
    )


def smallest_change(
    answers: pd.DataFrame,
    *,
    asked: Questions = ASKED,
    power: float = 0.8,
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> SmallestChange:
    """Say what change two waves of this size would show.

    Parameters are those of `satisfaction_and_loyalty`, and ``power`` (default 0.8), the chance
    to find the change if it is there.

    Notes
    -----
    (z of (1 + confidence) / 2 + z of power) * sqrt(2) * standard error: both waves have the
    spread and the effective n of this sample [1]_.  The interval takes the standard deviation as
    estimated, with variance (kurtosis - 1) / 4n of its logarithm.

    References
    ----------
    .. [1] Cohen, J. (1988). Statistical Power Analysis for the Behavioral Sciences, 2nd ed.

    Examples
    --------
    Half satisfied of 400: (1.960 + 0.842) * sqrt(2) * 0.5 / sqrt(399) = 0.0992.

    >>> answers = pd.DataFrame({"satisfaction": [1, 7] * 200})
    >>> float(smallest_change(answers).table["estimate"][0].round(4))
    0.0992
    """
    need_share(power, name="power")
    table = _spread(answers, asked, weight, cluster, confidence)
    z = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)
    for name, deviation in _limits(table, confidence).items():
        table[name] = z * np.sqrt(2) * deviation / table["deviation"] * table["se"]
    columns = ["indicator", "unit", "respondents", "effective_n", "deviation"]
    table = table[[*columns, "estimate", "low", "high", "note"]]
    return SmallestChange(table=table, power=power, confidence=confidence)


def sample_size(
    answers: pd.DataFrame,
    *,
    asked: Questions = ASKED,
    share_changes: Sequence[float] = (0.02, 0.05, 0.1),
    nps_changes: Sequence[float] = (5, 10, 15),
    point_changes: Sequence[float] = (0.1, 0.2, 0.5),
    response_rate: float | None = None,
    power: float = 0.8,
    weight: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> SampleSize:
    """Say how many answers per wave a change takes to be seen.

    Parameters are those of `smallest_change`, and:

    Parameters
    ----------
    share_changes, nps_changes, point_changes : sequence of float
        Changes that would matter: of a share (0.05: five percentage points), of the net promoter
        score, and of a mean.
    response_rate : float, optional
        Share of invitations that are answered, for the number of invitations.

    Notes
    -----
    2 (z of (1 + confidence) / 2 + z of power)^2 variance * design effect / change^2, variance
    and design effect those of this sample.

    Examples
    --------
    Half satisfied, a change of 0.1: 2 * 7.849 * 0.25 * (400 / 399) / 0.01 = 393.4.

    >>> answers = pd.DataFrame({"satisfaction": [1, 7] * 200})
    >>> found = sample_size(answers, share_changes=[0.1])
    >>> float(found.table["estimate"][0].round(1))
    393.4
    """
    need_share(power, name="power")
    if response_rate == 0:
        raise Refusal(
            "Nobody who was invited answered, so no number of invitations brings answers.",
            "complete the list of invitations: say who answered, or leave it out.",
        )
    if response_rate is not None and not 0 < response_rate <= 1:
        raise Problem(f"response_rate is {response_rate}.", "give a share above 0 and up to 1.")
    by_unit = {"share": share_changes, "NPS points": nps_changes, "points": point_changes}
    wrong = [change for changes in by_unit.values() for change in changes if not change > 0]
    if wrong:
        raise Problem(f"A change of {wrong[0]} is asked for.", "give changes above 0.")
    table = _spread(answers, asked, weight, cluster, confidence)
    z = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)
    limits = _limits(table, confidence)
    rows = [
        _needed(row, change, z, {name: each[row.Index] for name, each in limits.items()})
        for row in table.itertuples()
        for change in by_unit[row.unit]
    ]
    rate = np.nan if response_rate is None else float(response_rate)
    sizes = pd.DataFrame(rows)
    sizes.insert(6, "invitations", sizes["estimate"] / rate)
    return SampleSize(table=sizes, power=power, confidence=confidence, response_rate=rate)


# --- The numbers ----------------------------------------------------------------------------------


def _scores(answers: pd.DataFrame, asked: Questions) -> tuple[pd.DataFrame, dict[str, str]]:
    """One column per indicator, a number for who answered; and why an indicator has none."""
    _need_questions(answers, asked)
    columns = {asked.satisfaction: asked.points, asked.recommend: (0, 10)}
    columns |= {asked.effort: asked.effort_points}
    given = {}
    for column, points in columns.items():
        given[column] = pd.Series(np.nan, index=answers.index)
        if column in answers:
            given[column] = answers[column].astype(float)
            need_on_scale(given[column].to_frame(column), points=points, source=SOURCE)
    pleased, recommend, effort = given.values()
    low = asked.effort_points[0] + asked.effort_box - 1
    easy = effort >= asked.effort_points[1] - asked.effort_box + 1
    easy = easy if asked.easy == "high" else effort <= low
    step = (recommend >= PROMOTERS).astype(float) - (recommend <= DETRACTORS)
    scores = {
        "satisfied": (pleased >= asked.points[1] - asked.box + 1).where(pleased.notna()),
        "very satisfied": (pleased >= asked.points[1]).where(pleased.notna()),
        "mean satisfaction": pleased,
        NPS: 100 * step.where(recommend.notna()),
        "low effort": easy.where(effort.notna()),
        "mean effort": effort,
    }
    sources = [asked.satisfaction] * 3 + [asked.recommend] + [asked.effort] * 2
    notes = {
        name: "" if column in answers else f"there is no column {column!r}"
        for name, column in zip(scores, sources, strict=True)
    }
    return pd.DataFrame(scores, dtype=float), notes


def _need_questions(answers: pd.DataFrame, asked: Questions) -> None:
    need_one_of(asked.easy, ("high", "low"), name="easy")
    columns = (asked.satisfaction, asked.recommend, asked.effort)
    there = [column for column in columns if column in answers]
    if not there:
        raise Refusal(
            f"{SOURCE} has no column for satisfaction, recommendation or effort.",
            "name at least one of the roles satisfaction, recommend and effort.",
        )
    need_numbers(answers, there, source=SOURCE)
    boxes = [
        (asked.points, asked.box, "box"),
        (asked.effort_points, asked.effort_box, "effort_box"),
    ]
    for (low, high), box, name in boxes:
        if not (low < high and 1 <= box <= high - low and box == int(box)):
            raise Problem(
                f"{name} is {box} on a scale of {low:g} to {high:g}.",
                f"count the good answers: a whole number from 1 to {max(int(high - low), 1)}.",
            )


def _design(
    answers: pd.DataFrame, weight: str | None, cluster: str | None, confidence: float
) -> tuple[np.ndarray, pd.Series | None]:
    need_share(confidence, name="confidence")
    need_columns(answers, [each for each in (weight, cluster) if each], source=SOURCE)
    weights = np.ones(len(answers))
    if weight is not None and len(answers):
        weights = need_sound_weights(answers[weight], name=f"{SOURCE}: {weight!r}")
    return weights, None if cluster is None else answers[cluster]


def _taylor(
    values: np.ndarray, weights: np.ndarray, groups: np.ndarray | None
) -> tuple[float, np.ndarray, float, int]:
    """Weighted mean; each row's influence, scaled; variance; units that carry it less one."""
    mean = float(np.average(values, weights=weights))
    influence = weights * (values - mean) / weights.sum()
    units = len(values)
    sums = influence
    if groups is not None:
        labels = pd.factorize(groups, use_na_sentinel=False)[0]
        if labels.max() > 0:
            sums = np.bincount(labels, weights=influence)
            units = len(sums)
    scale = units / (units - 1)
    return mean, influence * np.sqrt(scale), variance_of_sum(sums), units - 1


def _row(
    score: pd.Series,
    weights: np.ndarray,
    groups: pd.Series | None,
    note: str,
    confidence: float,
) -> dict:
    """One indicator of one set of rows."""
    there = score.notna().to_numpy() & (weights > 0)
    n, name = int(there.sum()), str(score.name)
    row = {"indicator": name, "unit": UNITS[name], "respondents": n, "effective_n": np.nan}
    row |= dict.fromkeys(("estimate", "low", "high"), np.nan)
    blank = dict.fromkeys(("se", "deviation", "peak", "df"), np.nan)
    if n < FEWEST:
        return row | blank | {"note": note or f"only {counted(n, 'answer')}"}
    values, w = score.to_numpy()[there], weights[there]
    lie_in = None if groups is None else groups[there]
    mean, _, variance, df = _taylor(values, w, None if lie_in is None else lie_in.to_numpy())
    variance = max(variance, _taylor(values, w, None)[2])  # a cluster's luck never narrows
    spread = float(np.average((values - mean) ** 2, weights=w))
    peak = float(np.average((values - mean) ** 4, weights=w)) / spread**2 if spread else np.nan
    effective = _effective(n, w, spread, variance)
    certain = effective * few_clusters(None if lie_in is None else lie_in.to_frame(), n, confidence)
    low, high = _interval(name, mean, values, w, certain, variance, df, confidence)
    row |= {"effective_n": effective, "estimate": mean, "low": low, "high": high}
    row |= {"se": np.sqrt(variance), "deviation": np.sqrt(spread), "peak": peak, "df": df}
    alike = "" if np.isfinite(low) else "everyone gave the same answer"
    return row | {"note": note or alike}


def _effective(n: int, weights: np.ndarray, spread: float, variance: float) -> float:
    """Answers that would tell as much; without any spread, Kish's for the weights."""
    if spread == 0:
        return kish(weights)
    return float(min(spread * n / (n - 1) / variance, n)) if variance > 0 else float(n)


def _interval(name, mean, values, weights, effective, variance, df, confidence):
    if UNITS[name] == "share":
        return wilson(mean, effective, confidence=confidence)
    if name == NPS:
        up = float(np.average(values > 0, weights=weights))
        down = float(np.average(values < 0, weights=weights))
        low, high = nps_interval(up, down, effective, confidence=confidence)
        return 100 * low, 100 * high
    if variance == 0:
        return np.nan, np.nan
    half = stats.t.ppf((1 + confidence) / 2, df) * np.sqrt(variance)
    return mean - half, mean + half


def nps_variance(promoters: float, detractors: float) -> float:
    """Variance of one respondent's part in the score (-1, 0 or 1), from the two shares.

    Examples
    --------
    Half promoters and a sixth detractors: 2/3 - (1/3)^2 = 5/9.

    >>> round(nps_variance(1 / 2, 1 / 6), 4)
    0.5556
    """
    return promoters + detractors - (promoters - detractors) ** 2


def nps_interval(
    promoters: float, detractors: float, effective_n: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval of the share of promoters less that of detractors, -1 to 1.

    Notes
    -----
    All differences that the score test does not reject; under each, the share of detractors is
    at its most likely value, in closed form (Tango 1998, Statistics in Medicine 17, 891-908).

    Examples
    --------
    Without promoters and detractors the limits solve n x = z^2 (1 - x): z^2 / (n + z^2).

    >>> [round(limit, 4) for limit in nps_interval(0, 0, 100)]
    [-0.037, 0.037]
    """
    z = stats.norm.ppf((1 + confidence) / 2)
    low = _lowest(promoters, detractors, effective_n, z)
    return low, -_lowest(detractors, promoters, effective_n, z)


def _lowest(up: float, down: float, n: float, z: float) -> float:
    """Lowest difference that the score test does not reject, by halving."""
    inside, outside = up - down, -1.0
    for _ in range(60):
        middle = (inside + outside) / 2
        b = (2 - up + down) * middle - up - down
        root = np.sqrt(max(b * b + 8 * down * middle * (1 - middle), 0.0))
        variance = max((root - b) / 2 + middle * (1 - middle), 0.0) / n
        accepted = up - down - middle <= z * np.sqrt(variance)
        inside, outside = (middle, outside) if accepted else (inside, middle)
    return float(inside)


def _need_one(table: pd.DataFrame) -> None:
    if table["estimate"].isna().all():
        why = "; ".join(f"{row.indicator} ({row.note})" for row in table.itertuples())
        raise Refusal(
            f"No indicator has {FEWEST} answers: {why}.", "collect more, or check the roles."
        )


def _three(named: pd.DataFrame, indicator: str, prefix: str) -> dict[str, float]:
    ends = {"estimate": prefix, "low": f"{prefix}_low", "high": f"{prefix}_high"}
    return {name: float(named.loc[indicator, column]) for column, name in ends.items()}


def _how_many(groups: pd.Series | None) -> int:
    return 0 if groups is None else int(groups.nunique(dropna=False))


def _alike(rows: pd.DataFrame, confidence: float) -> float:
    """Chance of groups as different as these if all were alike (Cochran's Q)."""
    if len(rows) < 2:
        return np.nan
    half = stats.norm.ppf((1 + confidence) / 2)
    error = (rows["high"] - rows["low"]).to_numpy() / 2 / half
    weights = 1 / error**2
    away = rows["estimate"].to_numpy() - np.average(rows["estimate"], weights=weights)
    return float(stats.chi2.sf((weights * away**2).sum(), len(rows) - 1))


# --- Two waves ------------------------------------------------------------------------------------


def _two_waves(answers, before, after, split, wave, answered):
    """Which rows are earlier, which later, and what the two are called."""
    if split is not None:
        need_columns(answers, [answered], source=SOURCE)
        at, when = pd.Timestamp(split), local(answers[answered])
        earlier, later = when < at, when >= at
        names = (f"before {at:%Y-%m-%d}", f"{at:%Y-%m-%d} on")
    else:
        need_columns(answers, [wave], source=SOURCE)
        names = _named_waves(answers, before, after, wave, answered)
        earlier, later = (answers[wave].astype(str) == name for name in names)
    if not (earlier.any() and later.any()):
        raise Refusal(
            f"{SOURCE} has answers on one side of {split} only."
            if split is not None
            else f"{SOURCE} has no answers in one of the waves {names[0]!r} and {names[1]!r}.",
            "name two waves that have answers, or another date.",
        )
    return earlier.to_numpy(dtype=bool), later.to_numpy(dtype=bool), names


def _named_waves(answers, before, after, wave, answered) -> tuple[str, str]:
    known = sorted(answers[wave].dropna().astype(str).unique())
    for name in (each for each in (before, after) if each is not None):
        need_one_of(str(name), known, name="wave")
    if before is not None and after is not None:
        if str(before) == str(after):
            raise Problem(f"Both waves are {before!r}.", "name two different waves.")
        return str(before), str(after)
    if len(known) < 2:
        raise Refusal(f"{SOURCE} has one wave only.", "ask again, or give a date as `split`.")
    if len(known) > 2 or before is not None or after is not None:
        raise Problem(
            f"{SOURCE} has the waves {', '.join(known)}.", "name both: before=…, after=…."
        )
    if answered in answers and answers[answered].notna().any():
        first = answers.groupby(answers[wave].astype(str))[answered].median()
        known = sorted(known, key=lambda name: (first[name], name))
    return known[0], known[1]


def _shared(answers, groups, respondent) -> np.ndarray | None:
    """What can make the two waves alike: the cluster, or else the respondent."""
    by = groups if groups is not None else answers.get(respondent)
    return None if by is None else pd.factorize(by)[0]


def _in_both(answers, respondent, earlier, later) -> int:
    if respondent not in answers:
        return 0
    who = answers[respondent]
    return len(set(who[earlier].dropna()) & set(who[later].dropna()))


def _change(score, weights, groups, shared, waves, note, confidence) -> dict:
    """One indicator: both waves, their difference, and how alike the two estimates are."""
    rows = [
        _row(
            score.iloc[wave.nonzero()[0]],
            weights[wave],
            None if groups is None else groups.iloc[wave.nonzero()[0]],
            note,
            confidence,
        )
        for wave in waves
    ]
    first, second = rows
    r = _correlation(score, weights, groups, shared, waves, rows)
    low, high = _difference(first, second, r)
    notes = [
        f"{when}: {row['note']}"
        for when, row in zip(("before", "after"), rows, strict=True)
        if row["note"]
    ]
    verdict = "rose" if low > 0 else "fell" if high < 0 else "no change shown"
    return {
        "indicator": first["indicator"],
        "unit": first["unit"],
        "respondents_before": first["respondents"],
        "respondents_after": second["respondents"],
        "before": first["estimate"],
        "after": second["estimate"],
        "estimate": second["estimate"] - first["estimate"],
        "low": low,
        "high": high,
        "correlation": r,
        "verdict": verdict if np.isfinite(low) else "",
        "note": note or "; ".join(notes),
    }


def _difference(first: dict, second: dict, r: float) -> tuple[float, float]:
    def distance(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 + b**2 - 2 * r * a * b, 0.0)))

    change = second["estimate"] - first["estimate"]
    down = distance(second["estimate"] - second["low"], first["high"] - first["estimate"])
    up = distance(second["high"] - second["estimate"], first["estimate"] - first["low"])
    return change - down, change + up


def _correlation(score, weights, groups, shared, waves, rows) -> float:
    """How alike the two estimates are: by who, or what, lies in both waves."""
    if any(not row["se"] > 0 for row in rows):
        return 0.0 if all(np.isfinite(row["low"]) for row in rows) else np.nan
    if shared is None:
        return 0.0
    sums = []
    for wave in waves:
        there = wave & score.notna().to_numpy() & (weights > 0)
        lie_in = None if groups is None else groups.to_numpy()[there]
        _, influence, _, _ = _taylor(score.to_numpy()[there], weights[there], lie_in)
        known = shared[there] >= 0
        least = shared.max() + 1
        sums.append(np.bincount(shared[there][known], influence[known], minlength=least))
    both = float((sums[0] * sums[1]).sum())
    return float(np.clip(both / (rows[0]["se"] * rows[1]["se"]), -1, 1))


# --- Power ----------------------------------------------------------------------------------------


def _spread(answers, asked, weight, cluster, confidence) -> pd.DataFrame:
    """Every indicator with the spread of one answer; without any spread there is no saying."""
    scores, notes = _scores(answers, asked)
    weights, groups = _design(answers, weight, cluster, confidence)
    rows = [_row(scores[name], weights, groups, notes[name], confidence) for name in scores]
    table = pd.DataFrame(rows)
    flat = table["deviation"] == 0
    table.loc[flat, "note"] = "everyone's answer counts the same: no spread to judge by"
    table.loc[flat, ["deviation", "se"]] = np.nan
    if table["deviation"].isna().all():
        raise Refusal(
            f"No indicator has {FEWEST} answers that differ.", "collect more, or check the roles."
        )
    return table


def _limits(table: pd.DataFrame, confidence: float) -> dict[str, pd.Series]:
    """The standard deviation of one answer with its interval, from the answers' kurtosis."""
    error = np.sqrt((table["peak"] - 1).clip(lower=0) / table["effective_n"]) / 2
    reach = np.exp(stats.norm.ppf((1 + confidence) / 2) * error)
    deviation = table["deviation"]
    return {"estimate": deviation, "low": deviation / reach, "high": deviation * reach}


def _needed(row, change: float, z: float, deviations: dict[str, float]) -> dict:
    one = row.respondents * (row.se / row.deviation) ** 2  # design effect, n / (n - 1) in it
    sizes = {name: 2 * (z * each / change) ** 2 * one for name, each in deviations.items()}
    about = {"indicator": row.indicator, "unit": row.unit, "change": float(change)}
    return about | sizes | {"note": row.note}


# --- In words -------------------------------------------------------------------------------------


def _told(name: str, row: pd.Series, confidence: float, *, change: bool = False) -> str:
    if row["unit"] == "share":
        times, digits, unit = 100, 1, "percentage points" if change else "%"
    else:
        times, digits, unit = 1, 1 if row["unit"] == "NPS points" else 2, "points"
    three = (times * row[each] for each in ("estimate", "low", "high"))
    return f"{name} {spell(*three, confidence=confidence, digits=digits, unit=unit)}"


def _join(parts: list[str]) -> str:
    told = "; ".join(parts)
    return told[:1].upper() + told[1:]


def _range(counts: pd.Series) -> str:
    least, most = int(counts.min()), int(counts.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _whole(estimate: float, low: float, high: float, confidence: float) -> str:
    three = (np.ceil(each) for each in (estimate, low, high))
    return spell(*three, confidence=confidence, digits=0)


def _rests_on(weighted: bool, clusters: int, known: pd.DataFrame | None) -> str:
    words = ["Weighted" if weighted else "Not weighted"]
    words.append(
        f"rows of the same cluster may be alike ({counted(clusters, 'cluster')})"
        if clusters > 1
        else "respondents are taken as independent"
    )
    told = ", ".join(words)
    if known is not None and (weighted or clusters > 1):
        told += (
            f"; the answers tell as much as {_range(known['effective_n'].round())} independent "
            "ones of equal weight would"
        )
    few = 1 < clusters < FEW_CLUSTERS
    return f"{told}." + (" So few clusters make the intervals approximate." if few else "")


def _not_given(names: pd.Series, table: pd.DataFrame) -> list[str]:
    """What cannot be answered and why, the same reason told once."""
    unsaid = table[table["low"].isna()]
    if unsaid.empty:
        return []
    by_reason = names[unsaid.index].groupby(unsaid["note"], sort=False)
    told = [f"{', '.join(each.unique())} ({reason})" for reason, each in by_reason]
    return [f"Not given: {'; '.join(told)}."]


def _chance(p_value: float) -> str:
    return "below 0.1 %" if p_value < 0.001 else f"{p_value * 100:.2g} %"
