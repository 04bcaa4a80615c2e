"""How many cases break the promised time, with the open ones counted?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look, survival
from sqm.checks import Problem, Refusal, need_columns, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell

FEWEST = 10
POINTS = 200  # of a curve, at most
SOURCE = "the cases"


@dataclass(frozen=True, eq=False)
class Promise(Finding):
    """How many cases outlast the promised time, all together.

    Attributes
    ----------
    table : DataFrame, one row
        ``group`` (``all``); ``cases``, of them ``open``; ``estimate``, ``low``,
        ``high``, the share in breach (0 to 1), open cases counted;
        ``closed_only``, the share among the closed ones; ``at_risk``, cases
        known to have lasted until the promise; ``median_d``, ``median_low_d``,
        ``median_high_d``, days within which half are closed (missing where not
        yet known); ``oldest_open_d``; ``open_late``, open cases already beyond the promise;
        ``note``.
    breach, low, high : float
        Share of cases that outlast the promise.
    closed_only : float
    promised_d : float
        Days.
    cases, open_cases, left_out : int
    at_risk : int
    median_d, median_low_d, median_high_d : float
    oldest_open_d : float
    days, share_open, share_open_low, share_open_high : tuple of float
        The curve: share of cases still open after so many days.
    clusters : str
        What cases may share; blank: they count as independent.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    breach: float
    low: float
    high: float
    closed_only: float
    promised_d: float
    cases: int
    open_cases: int
    left_out: int
    at_risk: int
    median_d: float
    median_low_d: float
    median_high_d: float
    oldest_open_d: float
    days: tuple[float, ...]
    share_open: tuple[float, ...]
    share_open_low: tuple[float, ...]
    share_open_high: tuple[float, ...]
    clusters: str
    confidence: float

    def sentence(self) -> str:
        first = (
            f"{_percent(self, self.confidence)} of cases outlast the promised "
            f"{_days(self.promised_d)}, open ones counted; {self._closed()}."
        )
        rest = [self._basis(), self._median(), _assumption(self.clusters), _left_out(self.left_out)]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _closed(self) -> str:
        if np.isnan(self.closed_only):
            return "none is closed yet"
        return f"closed cases alone say {100 * self.closed_only:.1f} %"

    def _basis(self) -> str:
        said = f"{counted(self.cases, 'case')}, {self.open_cases:,} of them open"
        if self.open_cases:
            said += f" (the oldest for {self.oldest_open_d:.1f} days)"
        return (
            f"{said}; {self.at_risk:,} are known to have lasted until the promise (Kaplan-Meier)."
        )

    def _median(self) -> str:
        if np.isnan(self.median_d):
            return "When half are closed is not known yet."
        if np.isnan(self.median_high_d):
            return f"Half are closed within {_days(self.median_d)}, with no upper limit known yet."
        found = spell(
            self.median_d,
            self.median_low_d,
            self.median_high_d,
            confidence=self.confidence,
            digits=1,
            unit="days",
        )
        return f"Half are closed within {found}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        usual, limit = look.MEANING["usual"], look.MEANING["limit"]
        low, high = (100 * np.array(x) for x in (self.share_open_low, self.share_open_high))
        ax.fill_between(self.days, low, high, step="post", color=usual, alpha=0.2, lw=0)
        ax.step(self.days, 100 * np.array(self.share_open), where="post", color=usual)
        ax.axvline(self.promised_d, color=limit, label="promised")
        at = np.array([[self.low], [self.high]]) * 100
        ax.vlines(self.promised_d, *at, color=look.MEANING["worse"], lw=2)
        ax.plot(
            self.promised_d,
            100 * self.breach,
            marker=look.MARKER["worse"],
            color=look.MEANING["worse"],
            ls="",
            label="in breach",
        )
        ax.plot(
            self.promised_d,
            100 * self.closed_only,
            marker="x",
            color=limit,
            ls="",
            label="closed only",
        )
        ax.set_ylim(0, 101)
        ax.set_xlim(0, min(self.days[-1], 4 * self.promised_d) or self.promised_d)
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="How many cases break the promised time?",
            x="days since the case was opened",
            y="cases still open (%)",
        )


@dataclass(frozen=True, eq=False)
class PromiseByGroup(Finding):
    """How many cases outlast the promised time, group by group.

    Attributes
    ----------
    table : DataFrame, one row per group
        As that of `Promise`.
    by : str
        Column of the groups.
    promised_d : float
        Days.
    breach, low, high : float
        Of all cases.
    clusters : str
    left_out : int
        Cases without a duration, a flag or a group.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    by: str
    promised_d: float
    breach: float
    low: float
    high: float
    clusters: str
    left_out: int
    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        worst = known.loc[known["estimate"].idxmax()]
        best = known.loc[known["estimate"].idxmin()]
        first = f"The promised {_days(self.promised_d)} are broken most for {self._one(worst)}"
        first += f" and least for {self._one(best)}." if len(known) > 1 else "."
        rest = [
            f"Of all cases {_percent(self, self.confidence)} outlast them, open ones counted.",
            self._flattered(known),
            f"{len(known)} of {counted(len(self.table), 'group')} can be said; each interval is "
            "for one group alone, so with many groups some seem to differ by luck.",
            self._unsaid(),
            _assumption(self.clusters),
            _left_out(self.left_out),
        ]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _one(self, row: pd.Series) -> str:
        name = look.shorten(str(row["group"]), width=30)
        return f"{name}: {_percent(row, self.confidence)} of {row['cases']:,}"

    def _flattered(self, known: pd.DataFrame) -> str:
        gap = known["estimate"] - known["closed_only"]
        row = known.loc[gap.idxmax()]
        if not gap.max() > 0:
            return ""
        return (
            f"Closed cases alone flatter {look.shorten(str(row['group']), width=30)} most: "
            f"{100 * row['closed_only']:.1f} % in place of {100 * row['estimate']:.1f} %."
        )

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        each = "; ".join(f"{look.shorten(str(r.group))} ({r.note})" for r in rest.itertuples())
        return f"Not said: {each}." if each else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.sort_values("estimate", ascending=False, kind="stable")
        shown = rows.assign(**100 * rows[["estimate", "low", "high"]])
        meaning = np.select(
            [rows["low"] > self.breach, rows["high"] < self.breach], ["worse", "better"], "usual"
        )
        look.dots(ax, shown, names=rows["group"], meaning=meaning)
        at = np.arange(len(rows))
        ax.plot(100 * rows["closed_only"], at, ls="", marker="x", color=look.MEANING["limit"])
        ax.axvline(100 * self.breach, color=look.MEANING["limit"], lw=1)
        ax.set_xlim(left=0)
        return look.label(
            ax,
            title="Where is the promised time broken?",
            x="cases in breach, open ones counted (%; crosses: closed only; line: all)",
        )


def sla(
    cases: pd.DataFrame,
    *,
    promised_d: float,
    duration: str = "resolution_d",
    running: str = "resolution_d_open",
    clusters: str = "",
    confidence: float = 0.95,
) -> Promise:
    """Estimate the share of cases that outlast a promise, with the open ones counted.

    Parameters
    ----------
    cases : DataFrame, one row per case
    promised_d : float
        Days promised; a case that closes exactly then has kept it.
    duration : str
        Column of days from opening to closing, or until now.
    running : str
        Column that says whether the case is still open.
    clusters : str, default ""
        Column of what cases may share (the site, the week they were opened);
        blank: they count as independent.
    confidence : float, default 0.95

    Returns
    -------
    Promise

    Raises
    ------
    Problem
        If a column is missing or holds no numbers, a duration is negative, or
        the promise is not positive.
    Refusal
        If there are fewer than ten cases, or none has been followed for as
        long as the promise.

    Notes
    -----
    The share still open after t days is Kaplan and Meier's [1]_, the product
    over days u <= t of 1 - d(u) / n(u), d cases closed and n still followed.
    Its interval is Wilson's at the effective number of cases S (1 - S) /
    variance [2]_, with Greenwood's variance, or, with clusters, the sum over
    clusters of the squared sums of each case's influence (its martingale
    residual over n(u)), widened for few clusters.  The interval of the median
    holds the days at which that interval includes one half [3]_.

    It takes it that cases still open would go on like those that were open
    as long and have been closed.

    References
    ----------
    .. [1] Kaplan, E. L., Meier, P. (1958). JASA 53, 457-481.
       doi:10.1080/01621459.1958.10501452
    .. [2] Rothman, K. J. (1978). Journal of Chronic Diseases 31, 557-560.
       doi:10.1016/0021-9681(78)90043-7
    .. [3] Brookmeyer, R., Crowley, J. (1982). Biometrics 38, 29-41.
       doi:10.2307/2530286

    Examples
    --------
    Days 1 to 8 closed, two more open at 4: after 5 days (1 - 1/10)(1 - 1/9)
    (1 - 1/8)(1 - 1/7)(1 - 1/4) = 0.45 are still open; 3 of the 8 closed were late.

    >>> cases = pd.DataFrame({"resolution_d": [1.0, 2, 3, 4, 5, 6, 7, 8, 4, 4],
    ...                       "resolution_d_open": [False] * 8 + [True] * 2})
    >>> found = sla(cases, promised_d=5)
    >>> round(found.breach, 4), found.closed_only
    (0.45, 0.375)
    """
    known = _known(cases, promised_d, duration, running, clusters, confidence)
    need_rows(known, FEWEST, source="The table of cases", why="a share in breach")
    curve, row = _judged(known, promised_d, "all", confidence)
    if row["note"]:
        raise Refusal(f"All cases: {row['note']}.", "wait, or ask for a shorter time.")
    keep = np.unique(np.linspace(0, len(curve.times) - 1, POINTS).astype(int))
    low, high = survival.limits(curve, curve.times[keep], confidence)
    shown = {"estimate": "breach", "open": "open_cases"}
    numbers = {
        shown.get(k, k): v for k, v in row.items() if k not in ("group", "open_late", "note")
    }
    return Promise(
        table=pd.DataFrame([row]),
        **numbers,
        promised_d=float(promised_d),
        left_out=len(cases) - len(known),
        days=tuple(map(float, curve.times[keep])),
        share_open=tuple(map(float, curve.share[keep])),
        share_open_low=tuple(map(float, low)),
        share_open_high=tuple(map(float, high)),
        clusters=clusters,
        confidence=confidence,
    )


def sla_by_group(
    cases: pd.DataFrame,
    *,
    by: str,
    promised_d: float,
    duration: str = "resolution_d",
    running: str = "resolution_d_open",
    clusters: str = "",
    confidence: float = 0.95,
) -> PromiseByGroup:
    """Estimate the share that outlasts a promise for each group of cases.

    Parameters
    ----------
    cases : DataFrame, one row per case
    by : str
        Column of the groups, such as the site or the category.
    promised_d, duration, running, clusters, confidence
        As for `sla`.

    Returns
    -------
    PromiseByGroup
        A group with fewer than ten cases, or none followed for as long as the
        promise, gets NaN and a note.

    Raises
    ------
    Problem, Refusal
        As for `sla`; Refusal too if no group can be said.

    Examples
    --------
    Closed after 1 to 10 days at one site, twice as long at the other: 5 of 10
    and 7 of 10 last longer than 5 (6, 8 ... 20 does all but 2 and 4: 8 of 10).

    >>> cases = pd.DataFrame({"site": ["a"] * 10 + ["b"] * 10, "resolution_d_open": False,
    ...                       "resolution_d": [*range(1, 11), *range(2, 21, 2)]})
    >>> sla_by_group(cases, by="site", promised_d=5).table["estimate"].round(4).tolist()
    [0.5, 0.8]
    """
    need_columns(cases, [by], source=SOURCE)
    known = _known(cases, promised_d, duration, running, clusters, confidence)
    known = known.assign(group=cases.loc[known.index, by]).dropna(subset="group")
    need_rows(known, FEWEST, source="The table of cases", why="a share in breach")
    rows = [
        _judged(part, promised_d, str(name), confidence)[1]
        for name, part in known.groupby("group", sort=True, observed=True)
    ]
    table = pd.DataFrame(rows)
    if table["estimate"].isna().all():
        raise Refusal(
            f"No group of {by} can be judged ({rows[0]['group']}: {rows[0]['note']}).",
            "take larger groups, or ask for a shorter time.",
        )
    whole = _judged(known, promised_d, "all", confidence)[1]
    return PromiseByGroup(
        table=table,
        by=by,
        promised_d=float(promised_d),
        breach=whole["estimate"],
        low=whole["low"],
        high=whole["high"],
        clusters=clusters,
        left_out=len(cases) - len(known),
        confidence=confidence,
    )


# --- Words ----------------------------------------------------------------------------------------


def _percent(row: object, confidence: float) -> str:
    """The share in breach with its interval, of a finding or a row."""
    estimate = row["estimate"] if isinstance(row, pd.Series) else row.breach
    limits = (100 * x for x in (estimate, row.low, row.high))
    return spell(*limits, confidence=confidence, digits=1, unit="%")


def _days(days: float) -> str:
    return f"{days:,.4g} day{'' if days == 1 else 's'}"


def _assumption(clusters: str) -> str:
    said = "Open cases are taken to go on as those did that were open as long: not so if hard ones "
    said += "are left lying, or work changed lately."
    if clusters:
        return f"{said} Cases of the same {clusters} may be alike; the interval allows for it."
    return f"{said} Cases count as independent."


def _left_out(rows: int) -> str:
    return f"Left out, without what is needed: {counted(rows, 'case')}." if rows else ""


# --- The cases ------------------------------------------------------------------------------------


def _known(
    cases: pd.DataFrame,
    promised_d: float,
    duration: str,
    running: str,
    clusters: str,
    confidence: float,
) -> pd.DataFrame:
    """How long each case was followed, whether it is open, and its cluster."""
    need_share(confidence, name="confidence")
    if not promised_d > 0:
        raise Problem(f"promised_d is {promised_d}.", "give the promise in days, above 0.")
    return survival.followed(
        cases, duration=duration, running=running, clusters=clusters, source=SOURCE
    )


def _judged(
    known: pd.DataFrame, promised_d: float, name: str, confidence: float
) -> tuple[survival.Curve, dict]:
    """The curve of some cases, and their row of the table."""
    days, still = known["time"].to_numpy(), known["open"].to_numpy()
    curve = survival.kaplan_meier(days, still, known["cluster"].to_numpy())
    note = _cannot(curve, promised_d)
    if not note:
        breach = float(curve.share[np.searchsorted(curve.times, promised_d, side="right") - 1])
        limits = survival.limits(curve, np.array([float(promised_d)]), confidence)
        low, high = (float(each[0]) for each in limits)
    median = (np.nan,) * 3 if note else survival.median(curve, confidence)
    closed = days[~still]
    return curve, {
        "group": name,
        "cases": len(days),
        "open": int(still.sum()),
        "estimate": np.nan if note else breach,
        "low": np.nan if note else low,
        "high": np.nan if note else high,
        "closed_only": float((closed > promised_d).mean()) if len(closed) else np.nan,
        "at_risk": int((days >= promised_d).sum()),
        **dict(zip(("median_d", "median_low_d", "median_high_d"), median, strict=True)),
        "oldest_open_d": float(days[still].max()) if still.any() else np.nan,
        "open_late": int((days[still] > promised_d).sum()),
        "note": note,
    }


def _cannot(curve: survival.Curve, promised_d: float) -> str:
    if len(curve.followed) < FEWEST:
        return f"only {counted(len(curve.followed), 'case')}"
    if not curve.reaches(promised_d):
        return f"no case has been followed for {_days(promised_d)}"
    return ""
