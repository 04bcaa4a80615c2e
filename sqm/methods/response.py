"""Who answered, and could those who did not overturn the answer?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import few_clusters, share, spell, student, variance_of_sum

INVITED = "the invitations"
SURVEY = "the survey"
PERIODS = {"week": "W-SUN", "month": "M"}
FEWEST_PERIODS = 4  # below which no trend is drawn
FEWEST = 5  # answers in a third below which late and early are not compared


@dataclass(frozen=True, eq=False)
class ResponseRate(Finding):
    """How many of those invited answered, by group and over time.

    Attributes
    ----------
    table : DataFrame, one row for all, then one per level and per period
        ``group`` (``all``, a column's name, ``week`` or ``month``), ``level``; ``invited``,
        ``answered``; ``estimate``, ``low``, ``high``, the share that answered (0 to 1); ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    invited, answered, unknown : int
        Invitations used, answered ones, and those of which it is not recorded.
    estimate, low, high : float
        The response rate, 0 to 1.
    period : str
        ``week`` or ``month``.
    periods : int
        Periods in the trend; 0 if none could be drawn.
    odds_ratio, odds_low, odds_high : float
        Odds to answer in a period over those in the period before; NaN without a trend.
    change, change_low, change_high : float
        Fitted share of the last period less that of the first.
    dispersion : float
        Variance of the periods over that of independent answers; 1 if they are.
    cluster : str
        Column whose rows are allowed to be alike; empty if none.
    """

    confidence: float
    invited: int
    answered: int
    unknown: int
    estimate: float
    low: float
    high: float
    period: str
    periods: int
    odds_ratio: float
    odds_low: float
    odds_high: float
    change: float
    change_low: float
    change_high: float
    dispersion: float
    cluster: str

    def sentence(self) -> str:
        words = [
            f"{self._percent(self.estimate, self.low, self.high)} of those invited answered; "
            f"{self._trend()}.\n"
        ]
        words.append(f"{self.answered:,} of {counted(self.invited, 'invitation')} were answered.")
        words += [self._widest(group) for group in self._groups()]
        if self.periods:
            words.append(
                f"The trend is a logistic one over {counted(self.periods, self.period)}; the "
                f"periods vary {self.dispersion:.1f} times as much as independent answers would, "
                "which its interval allows for."
            )
        if self.cluster:
            words.append(f"Intervals allow for rows of one {self.cluster} being alike.")
        if self.unknown:
            words.append(f"{self.unknown:,} without a record of an answer are left out.")
        words.append(
            "A low rate need not mislead, and a high one need not save: what counts is "
            "whether the silent think otherwise."
        )
        return " ".join(words).replace("\n ", "\n")

    def _percent(self, estimate: float, low: float, high: float, unit: str = "%") -> str:
        return spell(
            estimate * 100, low * 100, high * 100, confidence=self.confidence, digits=1, unit=unit
        )

    def _trend(self) -> str:
        if not self.periods:
            return "too few periods to speak of a trend"
        found = self._percent(self.change, self.change_low, self.change_high, "points")
        if self.change_low > 0:
            return f"the rate rose over the time by {found}"
        if self.change_high < 0:
            return f"the rate fell over the time: {found}"
        return f"no trend can be told, the rate moved by {found}"

    def _groups(self) -> list[str]:
        groups = self.table["group"].drop_duplicates()
        return [group for group in groups if group not in ("all", self.period)]

    def _widest(self, group: str) -> str:
        rows = self.table[(self.table["group"] == group) & self.table["estimate"].notna()]
        if len(rows) < 2:
            return ""
        least, most = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
        return (
            f"By {group}: from {least['estimate']:.1%} ({least['level']}, "
            f"{least['low']:.1%} to {least['high']:.1%}) to {most['estimate']:.1%} "
            f"({most['level']}, {most['low']:.1%} to {most['high']:.1%})."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table[self.table["group"] != self.period]
        if self.periods and self.period == "month":
            shown = self.table
        shares = shown.assign(**{c: shown[c] * 100 for c in ("estimate", "low", "high")})
        names = [f"{row.group} · {row.level}" if row.level else "all" for row in shown.itertuples()]
        meaning = [
            "worse" if row.high < self.low else "better" if row.low > self.high else "usual"
            for row in shown.itertuples()
        ]
        look.dots(ax, shares, names=names, meaning=meaning)
        ax.axvline(self.estimate * 100, color=look.MEANING["limit"], lw=0.8)
        return look.label(ax, title="Who answered?", x="answered (% of those invited)")


@dataclass(frozen=True, eq=False)
class TippingPoint(Finding):
    """What those who stayed silent would have to say to overturn the answer.

    Attributes
    ----------
    table : DataFrame, one row per assumed value of the silent
        ``silent``, what they are assumed to say; ``estimate``, ``low``, ``high``, the value
        of all who were invited; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    outcome : str
    kind : str
        ``mean`` or ``share``.
    satisfied_from : float
        Lowest answer that counts for the share; NaN for a mean.
    invited, respondents : int
    response : float
        Respondents over invited, 0 to 1.
    answered, answered_low, answered_high : float
        The value of those who answered.
    threshold : float
    estimate, low, high : float
        The tipping point: the value of the silent at which all together meet the threshold; it
        may lie off the scale, which means that nothing they say overturns the answer.
    spreads : float
        How far that is from those who answered, in their standard deviations.
    least, most : float
        Value of all if every silent one gave the lowest, and the highest, answer.
    bottom, top : float
        Lowest and highest value possible.
    clusters : int
        Clusters the respondents come from; 0 if none is named.
    """

    confidence: float
    outcome: str
    kind: str
    satisfied_from: float
    invited: int
    respondents: int
    response: float
    answered: float
    answered_low: float
    answered_high: float
    threshold: float
    estimate: float
    low: float
    high: float
    spreads: float
    least: float
    most: float
    bottom: float
    top: float
    clusters: int

    def sentence(self) -> str:
        side = "above" if self.answered >= self.threshold else "below"
        words = [f"{self._verdict(side)}\n"]
        words.append(
            f"Those who answered have "
            f"{self._spell(self.answered, self.answered_low, self.answered_high)}, {side} the "
            f"threshold; they are {self.respondents:,} of {self.invited:,} invited "
            f"({self.response:.1%})."
        )
        if self.answered_low <= self.threshold <= self.answered_high:
            words.append("They alone do not settle it: the threshold lies within their interval.")
        words.append(
            f"With no assumption about the silent, the value of all lies between "
            f"{self._number(self.least)} and {self._number(self.most)}."
        )
        if self.bottom <= self.estimate <= self.top and (
            self.low < self.bottom or self.high > self.top
        ):
            words.append("A limit off the scale means that by it no answer of theirs would do.")
        if np.isfinite(self.spreads):
            words.append(
                f"The tipping point is {abs(self.spreads):.1f} standard deviations of one answer "
                "from those who answered."
            )
        words.append(
            "Whether the silent are that different no survey of those who answered can say: ask a "
            "few of them, or look at those who answered late."
        )
        if self.clusters:
            words.append(f"Respondents come from {self.clusters} clusters, which is allowed for.")
        return " ".join(words).replace("\n ", "\n")

    def _verdict(self, side: str) -> str:
        word = "below" if side == "above" else "above"
        verb = "average" if self.kind == "mean" else "reach"
        if not self.bottom <= self.estimate <= self.top:
            return (
                f"Nothing that the silent could say would bring {self._what()} {word} "
                f"{self._number(self.threshold)}: they would have to {verb} {self._point()}."
            )
        return (
            f"To bring {self._what()} {word} {self._number(self.threshold)}, those who stayed "
            f"silent would have to {verb} {self._point()}, where those who answered have "
            f"{self._number(self.answered)}."
        )

    def _what(self) -> str:
        if self.kind == "mean":
            return f"mean {self.outcome}"
        return f"the share with {self.outcome} of {self.satisfied_from:g} or more"

    def _point(self) -> str:
        if not np.isfinite(self.low + self.high):
            return f"{self._number(self.estimate)} (no interval: too few answered, or too few not)"
        return self._spell(self.estimate, self.low, self.high)

    def _spell(self, estimate: float, low: float, high: float) -> str:
        times, unit, digits = (1, "", 2) if self.kind == "mean" else (100, "%", 1)
        limits = (estimate * times, low * times, high * times)
        return spell(*limits, confidence=self.confidence, digits=digits, unit=unit)

    def _number(self, value: float) -> str:
        return f"{value:.2f}" if self.kind == "mean" else f"{value:.1%}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        times = 1 if self.kind == "mean" else 100
        usual, limit = look.MEANING["usual"], look.MEANING["limit"]
        rows = self.table[["silent", "estimate", "low", "high"]] * times
        ax.plot(rows["silent"], rows["estimate"], color=usual, label="all who were invited")
        ax.fill_between(rows["silent"], rows["low"], rows["high"], color=usual, alpha=0.18, lw=0)
        ax.axhline(self.threshold * times, color=limit, ls="--", label="threshold")
        ax.plot(
            self.answered * times,
            self.answered * times,
            marker="o",
            color=usual,
            ls="",
            label="if the silent are like those who answered",
        )
        if self.bottom <= self.estimate <= self.top:
            style = {"marker": look.MARKER["worse"], "color": look.MEANING["worse"], "ls": ""}
            ends = np.clip([self.low, self.high], self.bottom, self.top) * times
            ax.plot(ends, [self.threshold * times] * 2, color=look.MEANING["worse"], lw=2)
            ax.plot(self.estimate * times, self.threshold * times, label="tipping point", **style)
        ax.legend(fontsize="small", frameon=False)
        unit = f"{self.outcome} (points)" if self.kind == "mean" else "share satisfied (%)"
        return look.label(
            ax,
            title="Could those who stayed silent overturn the answer?",
            x=f"assumed of the silent: {unit}",
            y=f"of all invited: {unit}",
        )


@dataclass(frozen=True, eq=False)
class LateAnswers(Finding):
    """Whether those who answered late answer otherwise.

    Attributes
    ----------
    table : DataFrame, one row per third of the respondents
        ``third`` (early, middle, late), ``respondents``; ``from_d``, ``to_d``, days from
        invitation to answer; ``estimate``, ``low``, ``high``, mean of the outcome; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    outcome : str
    respondents, left_out : int
        Used, and those without outcome, invitation or a time in order.
    difference, low, high : float
        Late third less early third, in the outcome's unit.
    """

    confidence: float
    outcome: str
    respondents: int
    left_out: int
    difference: float
    low: float
    high: float

    def sentence(self) -> str:
        found = spell(self.difference, self.low, self.high, confidence=self.confidence)
        clear = not self.low <= 0 <= self.high
        side = "higher" if self.difference > 0 else "lower"
        what = f"give a {side} {self.outcome}" if clear else "do not clearly answer otherwise"
        early, late = self.table.iloc[0], self.table.iloc[-1]
        return (
            f"Those who answered last {what} than those who answered first: difference {found}.\n"
            f"The early third took up to {early['to_d']:.1f} days and gives "
            f"{early['estimate']:.2f}, the late third took {late['from_d']:.1f} days or more and "
            f"gives {late['estimate']:.2f}; {counted(self.respondents, 'respondent')} in all, "
            f"{self.left_out:,} left out for want of a time or an answer. If the silent continue "
            "the line of the late (the continuum of resistance), they differ in the same "
            "direction: a hint, not a measurement."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [
            f"{row.third}: {row.from_d:.1f} to {row.to_d:.1f} days"
            for row in self.table.itertuples()
        ]
        look.dots(ax, self.table, names=names)
        return look.label(
            ax, title="Do those who answer late answer otherwise?", x=f"{self.outcome} (points)"
        )


def response_rate(
    invited: pd.DataFrame,
    *,
    by: Iterable[str] = ("site", "channel"),
    period: str = "month",
    cluster: str | None = None,
    confidence: float = 0.95,
) -> ResponseRate:
    """Measure how many of those invited answered, by group and over time.

    Parameters
    ----------
    invited : DataFrame, one row per invitation
        ``answered`` (flag) and, for the trend, ``invited`` (time).
    by : iterable of str
        Columns whose levels are compared; those that ``invited`` lacks are passed over.
    period : {"month", "week"}
        Calendar months, or weeks from Monday, of the invitation.
    cluster : str, optional
        Column whose rows may be alike (the site, if sites were drawn from many).
    confidence : float, default 0.95

    Returns
    -------
    ResponseRate

    Raises
    ------
    Refusal
        If there is no flag, or every row is answered: the survey itself, which cannot tell
        who stayed silent.

    Notes
    -----
    Shares have Wilson's interval, at the effective number where there are clusters.  The trend
    is a quasi-binomial regression of the periods' log odds on their number in order; its
    dispersion is Pearson's chi-square over its degrees of freedom, its interval Student's [1]_.
    The change is that between the fitted shares of the last and the first period; its limits
    are those of the slope, each with the level at which the overall share is as observed.  Periods
    are taken as independent of each other.

    References
    ----------
    .. [1] McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, 2nd edition.
       Chapman and Hall, section 4.5.

    Examples
    --------
    >>> invited = pd.DataFrame({"answered": [True, True, False, False, False]})
    >>> response_rate(invited).estimate
    0.4
    """
    need_share(confidence, name="confidence")
    need_one_of(period, PERIODS, name="period")
    rows, unknown = _invitations(invited)
    whole = _rate_row("all", "", rows, cluster, confidence)
    table = [whole]
    for group in dict.fromkeys(by):
        if group in rows:
            table += [
                _rate_row(
                    group, str(level), some, None if group == cluster else cluster, confidence
                )
                for level, some in rows.groupby(group, sort=True)
            ]
    over_time = _periods(rows, period)
    table += [
        _rate_row(period, level, some, cluster, confidence) for level, some in over_time.items()
    ]
    counts = np.array([[len(some), some["answered"].sum()] for some in over_time.values()])
    return ResponseRate(
        table=pd.DataFrame(table),
        confidence=confidence,
        invited=len(rows),
        answered=int(rows["answered"].sum()),
        unknown=unknown,
        estimate=whole["estimate"],
        low=whole["low"],
        high=whole["high"],
        period=period,
        cluster=cluster or "",
        **_trend(counts.reshape(-1, 2), confidence),
    )


def tipping_point(
    survey: pd.DataFrame,
    *,
    invited: int,
    threshold: float,
    points: tuple[float, float],
    outcome: str = "satisfaction",
    satisfied_from: float | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> TippingPoint:
    """Find what the silent would have to say to bring all who were invited to a threshold.

    Parameters
    ----------
    survey : DataFrame, one row per respondent
    invited : int
        How many were invited; those without the outcome count as silent.
    threshold : float
        Value that decides: points for a mean, 0 to 1 for a share.
    points : tuple of float
        Lowest and highest answer of the outcome's scale.
    outcome : str
    satisfied_from : float, optional
        Look at the share who gave this answer or a higher one; without it, at the mean.
    cluster : str, optional
        Column that names what respondents share.
    confidence : float, default 0.95

    Returns
    -------
    TippingPoint

    Raises
    ------
    Problem
        If more answered than were invited, or an answer or the threshold is off the scale.
    Refusal
        If fewer than two answered, nobody stayed silent, or a mean is asked for where everyone
        gave the same answer.

    Notes
    -----
    With the response r, the mean m_r of those who answered and that of the silent m_s, all
    together have r m_r + (1 - r) m_s; the tipping point is (T - r m_r) / (1 - r) [1]_.  Its
    interval holds every m_s at which the interval of all holds T (Fieller), with variance
    r^2 v + r (1 - r)(m_r - m_s)^2 / N, v the variance of m_r and N the number invited.  A share
    has its interval from the sample with z^2 / 2 hits and as many misses added (Agresti and
    Coull).  At the ends of the scale are the bounds without any assumption [2]_.

    References
    ----------
    .. [1] Little, R. J. A., Rubin, D. B. (2019). Statistical Analysis with Missing Data, 3rd
       edition. Wiley, chapter 15.
    .. [2] Manski, C. F. (1989). Anatomy of the selection problem. Journal of Human Resources
       24, 343-360. doi:10.2307/145818

    Examples
    --------
    Four of eight answered, mean 6: (5 - 0.5 * 6) / 0.5 = 4.

    >>> survey = pd.DataFrame({"satisfaction": [5, 6, 6, 7]})
    >>> found = tipping_point(survey, invited=8, threshold=5, points=(1, 7))
    >>> found.estimate, found.least, found.most
    (4.0, 3.5, 6.5)
    """
    need_share(confidence, name="confidence")
    values, bottom, top = _values(survey, outcome, points, threshold, satisfied_from)
    n, mean = len(values), float(values.mean())
    _need_silence(n, invited, outcome)
    if satisfied_from is None and np.ptp(values) == 0:
        raise Refusal(
            f"Everyone who answered {outcome!r} gave {mean:g}: the spread, and so how far the mean "
            "may be off, is not known.",
            "set `satisfied_from` and look at the share in place of the mean.",
        )
    groups = None if cluster is None else _clusters(survey, cluster, values)
    centre, variance, t = _of_those_who_answered(values, groups, satisfied_from, confidence)
    r = n / invited
    low, high = _fieller(centre, variance, t, r, invited, threshold)
    half = t * np.sqrt(variance)
    spread = float(values.std(ddof=1))
    point = (threshold - r * mean) / (1 - r)
    return TippingPoint(
        table=_line(mean, centre, variance, t, r, invited, np.linspace(bottom, top, 61)),
        confidence=confidence,
        outcome=outcome,
        kind="mean" if satisfied_from is None else "share",
        satisfied_from=np.nan if satisfied_from is None else float(satisfied_from),
        invited=int(invited),
        respondents=n,
        response=r,
        answered=mean,
        answered_low=float(max(centre - half, bottom)),
        answered_high=float(min(centre + half, top)),
        threshold=float(threshold),
        estimate=float(point),
        low=low,
        high=high,
        spreads=float((point - mean) / spread) if spread > 0 else np.nan,
        least=float(r * mean + (1 - r) * bottom),
        most=float(r * mean + (1 - r) * top),
        bottom=bottom,
        top=top,
        clusters=0 if groups is None else int(groups.nunique()),
    )


def late_answers(
    survey: pd.DataFrame,
    *,
    invited: pd.DataFrame,
    outcome: str = "satisfaction",
    confidence: float = 0.95,
) -> LateAnswers:
    """Compare those who answered late with those who answered early.

    Parameters
    ----------
    survey : DataFrame, one row per respondent
        ``respondent``, ``answered`` (time) and the outcome.
    invited : DataFrame, one row per invitation
        ``respondent``, ``invited`` (time); the first invitation of a respondent counts.
    outcome : str
    confidence : float, default 0.95

    Returns
    -------
    LateAnswers

    Raises
    ------
    Refusal
        If times are missing, a third has fewer than five answers, or all in it answered alike.

    Notes
    -----
    Thirds by days from invitation to answer; the same day falls into one third.  Means have
    Student's interval, the difference Welch's.  That late respondents stand for the silent is
    an old hope [1]_ with mixed evidence.

    References
    ----------
    .. [1] Armstrong, J. S., Overton, T. S. (1977). Estimating nonresponse bias in mail surveys.
       Journal of Marketing Research 14, 396-402. doi:10.2307/3150783

    Examples
    --------
    >>> day = pd.Timestamp("2025-01-01")
    >>> who = [str(i) for i in range(15)]
    >>> survey = pd.DataFrame({"respondent": who, "satisfaction": [7, 6, 7, 6, 7] + [5, 6] * 5,
    ...                        "answered": [day + pd.Timedelta(days=i) for i in range(15)]})
    >>> invited = pd.DataFrame({"respondent": who, "invited": day})
    >>> round(late_answers(survey, invited=invited).difference, 2)
    -1.0
    """
    need_share(confidence, name="confidence")
    need_columns(survey, ["respondent", "answered", outcome], source=SURVEY)
    need_columns(invited, ["respondent", "invited"], source=INVITED)
    for name, column in (("answered", survey["answered"]), ("invited", invited["invited"])):
        if not pd.api.types.is_datetime64_any_dtype(column):
            raise Refusal(f"{name!r} holds no times.", "name the column of times under this role.")
    days, values = _waits(survey, invited, outcome)
    thirds = np.searchsorted(np.quantile(days, [1 / 3, 2 / 3]), days) if len(days) else days
    parts = [values[thirds == i] for i in range(3)]
    if min(map(len, parts)) < FEWEST:
        raise Refusal(
            f"The thirds by time to answer hold {', '.join(str(len(p)) for p in parts)} answers.",
            f"late and early are compared from {FEWEST} answers in each.",
        )
    if any(np.ptp(part) == 0 for part in parts):
        raise Refusal(
            f"A third by time to answer gave {outcome!r} the same answer throughout.",
            "collect more answers: without spread no interval can be given.",
        )
    rows = [
        {
            "third": name,
            "respondents": len(part),
            "from_d": float(days[thirds == i].min()),
            "to_d": float(days[thirds == i].max()),
            **_mean(part, confidence),
            "note": "",
        }
        for i, (name, part) in enumerate(zip(("early", "middle", "late"), parts, strict=True))
    ]
    difference, low, high = _welch(parts[0], parts[2], confidence)
    return LateAnswers(
        table=pd.DataFrame(rows),
        confidence=confidence,
        outcome=outcome,
        respondents=len(values),
        left_out=len(survey) - len(values),
        difference=difference,
        low=low,
        high=high,
    )


# --- Response -------------------------------------------------------------------------------------


def _invitations(invited: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    need_columns(invited, ["answered"], source=INVITED)
    if pd.api.types.is_datetime64_any_dtype(invited["answered"]):
        raise Refusal(
            "'answered' holds times, so the table lists those who answered.",
            "give one row an invitation, with a flag whether it was answered.",
        )
    known = invited["answered"].notna().to_numpy()
    rows = invited[known]
    rows = rows.assign(answered=rows["answered"].astype(bool))
    if rows.empty or rows["answered"].all():
        raise Refusal(
            f"{INVITED} hold nobody who stayed silent, so there is no response rate.",
            "list everyone who was invited, answered or not.",
        )
    return rows, int((~known).sum())


def _rate_row(group, level, rows: pd.DataFrame, cluster: str | None, confidence: float) -> dict:
    shared = None
    if cluster is not None:
        need_columns(rows, [cluster], source=INVITED)
        shared = rows[[cluster]]
    found = share(rows["answered"], clusters=shared, confidence=confidence)
    return {
        "group": group,
        "level": level,
        "invited": found.n,
        "answered": int(rows["answered"].sum()),
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "note": "",
    }


def _periods(rows: pd.DataFrame, period: str) -> dict[str, pd.DataFrame]:
    """Invitations of each period, empty ones left out, under the day it begins."""
    if "invited" not in rows or not pd.api.types.is_datetime64_any_dtype(rows["invited"]):
        return {}
    rows = rows[rows["invited"].notna()]
    when = rows["invited"].dt.tz_localize(None).dt.to_period(PERIODS[period])
    form = "%Y-%m" if period == "month" else "%Y-%m-%d"
    return {key.start_time.strftime(form): some for key, some in rows.groupby(when, sort=True)}


def _trend(counts: np.ndarray, confidence: float) -> dict:
    """Quasi-binomial regression of the periods' log odds on their order."""
    keys = ["odds_ratio", "odds_low", "odds_high", "change", "change_low", "change_high"]
    none = {"periods": 0, "dispersion": np.nan, **dict.fromkeys(keys, np.nan)}
    periods = len(counts)
    if periods < FEWEST_PERIODS or not 0 < counts[:, 1].sum() < counts[:, 0].sum():
        return none
    x = np.column_stack([np.ones(periods), np.arange(periods) - (periods - 1) / 2])
    beta, p, cov = _logistic(x, counts[:, 0], counts[:, 1])
    spread = counts[:, 0] * p * (1 - p)
    dispersion = float(((counts[:, 1] - counts[:, 0] * p) ** 2 / spread).sum() / (periods - 2))
    t = stats.t.ppf((1 + confidence) / 2, periods - 2)
    half = t * np.sqrt(dispersion * cov[1, 1])
    slopes = beta[1] + half * np.array([0.0, -1.0, 1.0])
    change, low, high = (_change(x, counts[:, 0], counts[:, 1], slope) for slope in slopes)
    return {
        "periods": periods,
        "dispersion": dispersion,
        "odds_ratio": float(np.exp(slopes[0])),
        "odds_low": float(np.exp(slopes[1])),
        "odds_high": float(np.exp(slopes[2])),
        "change": change,
        "change_low": low,
        "change_high": high,
    }


def _change(x, n, hits, slope: float) -> float:
    """Last fitted share less the first for this slope, the overall share being as observed."""
    level = np.log(hits.sum() / (n.sum() - hits.sum()))
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(level + slope * x[:, 1], -30, 30)))
        step = (hits.sum() - (n * p).sum()) / max((n * p * (1 - p)).sum(), 1e-12)
        level += np.clip(step, -2, 2)
        if abs(step) < 1e-12:
            break
    return float(p[-1] - p[0])


def _logistic(x, n, hits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum likelihood by Newton's steps."""
    start = hits.sum() / n.sum()
    beta = np.array([np.log(start / (1 - start)), 0.0])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        cov = np.linalg.pinv(x.T @ (x * (n * p * (1 - p))[:, None]))
        step = cov @ (x.T @ (hits - n * p))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return beta, 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30))), cov


# --- The silent -----------------------------------------------------------------------------------


def _values(survey, outcome, points, threshold, satisfied_from) -> tuple[pd.Series, float, float]:
    """Answers as points or as hits (1 and 0), and the least and most they can be."""
    need_columns(survey, [outcome], source=SURVEY)
    low, high = map(float, points)
    values = survey[outcome].dropna().astype(float)
    if not low < high or ((values < low) | (values > high)).any():
        raise Problem(
            f"{SURVEY}: {outcome!r} runs from {values.min():g} to {values.max():g}, its scale is "
            f"said to run from {low:g} to {high:g}.",
            "correct the scale, or list the code under `missing`.",
        )
    if satisfied_from is not None:
        if not low < satisfied_from <= high:
            raise Problem(
                f"satisfied_from is {satisfied_from}.", f"give a point of {low:g} to {high:g}."
            )
        values, low, high = (values >= satisfied_from).astype(float), 0.0, 1.0
    if not low < threshold < high:
        raise Problem(
            f"The threshold {threshold} lies off {low:g} to {high:g}.",
            "give a mean in points, or a share between 0 and 1.",
        )
    return values, low, high


def _need_silence(n: int, invited: int, outcome: str) -> None:
    if n > invited:
        raise Problem(
            f"{n} answered {outcome!r}, but {invited} were invited.",
            "complete the list of invitations, or leave out of the survey who was not invited.",
        )
    if n < 2:
        raise Refusal(f"{n} answered {outcome!r}: nothing to tip.", "collect answers.")
    if n == invited:
        raise Refusal("Everyone who was invited answered.", "there is nobody silent to ask about.")


def _clusters(survey: pd.DataFrame, cluster: str, values: pd.Series) -> pd.Series:
    need_columns(survey, [cluster], source=SURVEY)
    groups = survey.loc[values.index, cluster]
    if groups.nunique(dropna=False) < 2:
        raise Refusal(f"All respondents are of one {cluster}.", "name other clusters, or none.")
    return groups


def _of_those_who_answered(values, groups, satisfied_from, confidence):
    """Centre and variance of their value, and the quantile that goes with them."""
    n, mean = len(values), float(values.mean())
    tail = (1 + confidence) / 2
    centre, variance, t = mean, float(values.var(ddof=1)) / n, float(stats.t.ppf(tail, n - 1))
    if satisfied_from is not None:
        t = float(stats.norm.ppf(tail))
        centre = (values.sum() + t**2 / 2) / (n + t**2)
        variance = centre * (1 - centre) / (n + t**2)
    if groups is not None:
        codes = pd.factorize(groups, use_na_sentinel=False)[0]
        variance = max(variance, variance_of_sum((values - mean).to_numpy(), codes) / n**2)
        t /= np.sqrt(few_clusters(groups.to_frame(), n, confidence))
    return float(centre), variance, t


def _fieller(mean, variance, t, r, invited, threshold) -> tuple[float, float]:
    """Every value of the silent at which the interval of all holds the threshold."""
    q, k, extra = 1 - r, t**2, r * (1 - r) / invited
    a = q**2 - k * extra
    b = q * (r * mean - threshold) + k * extra * mean
    c = (r * mean - threshold) ** 2 - k * (r**2 * variance + extra * mean**2)
    root = b**2 - a * c
    if a <= 0 or root < 0:
        return -np.inf, np.inf
    return float((-b - np.sqrt(root)) / a), float((-b + np.sqrt(root)) / a)


def _line(mean, centre, variance, t, r, invited, silent: np.ndarray) -> pd.DataFrame:
    middle = r * centre + (1 - r) * silent
    half = t * np.sqrt(r**2 * variance + r * (1 - r) * (centre - silent) ** 2 / invited)
    return pd.DataFrame(
        {
            "silent": silent,
            "estimate": r * mean + (1 - r) * silent,
            "low": np.maximum(middle - half, silent[0]),
            "high": np.minimum(middle + half, silent[-1]),
            "note": "",
        }
    )


def _waits(survey, invited, outcome) -> tuple[np.ndarray, np.ndarray]:
    first = invited.groupby("respondent")["invited"].min()
    days = (survey["answered"] - survey["respondent"].map(first)) / pd.Timedelta(days=1)
    values = survey[outcome].astype(float)
    used = days.notna() & (days >= 0) & values.notna()
    return days[used].to_numpy(), values[used].to_numpy()


def _mean(part: np.ndarray, confidence: float) -> dict:
    three = student(part, confidence=confidence)
    return dict(zip(("estimate", "low", "high"), three, strict=True))


def _welch(early: np.ndarray, late: np.ndarray, confidence: float) -> tuple[float, float, float]:
    difference = float(late.mean() - early.mean())
    limits = stats.ttest_ind(late, early, equal_var=False).confidence_interval(confidence)
    return difference, float(limits.low), float(limits.high)
