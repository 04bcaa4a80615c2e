"""Does agreement hold over the months?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, look
from sqm.checks import Problem, Refusal, need_columns, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell
from sqm.ratings import FEWEST, as_text, share_limits

DAYS_IN_MONTH = 30.4375


@dataclass(frozen=True, eq=False)
class AgreementDrift(Finding):
    """Whether agreement holds over the months.

    Attributes
    ----------
    table : DataFrame, one row per month with a case
        ``period`` (first day of the month); ``cases``; ``estimate``, ``low``,
        ``high``, the share of pairs of ratings that agree; ``note``.
    slope, low, high : float
        Change of that share in a month, with its interval.
    verdict : str
        ``sinks``, ``rises`` or ``no drift shown``.
    cases, left_out, months : int
        Cases used; cases without a time or two ratings; months with a case.
    standard : str
        The column that ratings were compared with; blank: with each other.
    raters : tuple of str
    confidence : float
        Level of the intervals, 0 to 1.
    """

    slope: float
    low: float
    high: float
    verdict: str
    cases: int
    left_out: int
    months: int
    standard: str
    raters: tuple[str, ...]
    confidence: float

    def sentence(self) -> str:
        found = spell(
            *(100 * x for x in (self.slope, self.low, self.high)),
            confidence=self.confidence,
            digits=2,
            unit="points",
        )
        said = {
            "sinks": f"Agreement sinks: {found} a month",
            "rises": f"Agreement rises: {found} a month",
            "no drift shown": f"No drift of the agreement is shown: {found} a month",
        }[self.verdict]
        whom = f"with {self.standard}" if self.standard else "with each other"
        rest = [
            f"It is the straight-line change of the share of ratings that agree {whom}, with "
            "errors that need not be even (HC3); cases count as independent.",
            "Harder cases in later months look the same as drift: compare like with like.",
        ]
        if self.verdict == "no drift shown":
            rest.append(
                f"A loss of up to {100 * max(-self.low, 0):.2f} points a month is not excluded."
            )
        if self.left_out:
            rest.append(
                f"Left out, without a time or two ratings: {counted(self.left_out, 'case')}."
            )
        over = f"{counted(self.cases, 'case')} in {counted(self.months, 'month')}"
        return f"{said}, over {over}.\n{' '.join(rest)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        at = self.table["period"] + pd.Timedelta(days=DAYS_IN_MONTH / 2)
        colour = look.MEANING["usual"]
        ax.vlines(at, 100 * self.table["low"], 100 * self.table["high"], color=colour, lw=1.6)
        ax.plot(at, 100 * self.table["estimate"], ls="", marker=look.MARKER["usual"], color=colour)
        centre = np.average(self.table["estimate"], weights=self.table["cases"])
        months = (at - at.iloc[0]).dt.days / DAYS_IN_MONTH
        line = centre + self.slope * (months - np.average(months, weights=self.table["cases"]))
        ax.plot(at, 100 * line, color=look.MEANING["limit"], lw=1.2)
        look.dates(ax)
        return look.label(
            ax, title="Does agreement hold over the months?", y="ratings that agree (%)"
        )


def agreement_drift(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    time: str = "coded",
    standard: str = "",
    confidence: float = 0.95,
) -> AgreementDrift:
    """Follow agreement over the months.

    Parameters
    ----------
    ratings : DataFrame, one row per case
    raters : sequence of str
        Two columns or more; one is enough with a standard.
    time : str
        Column of the time at which a case was filed.
    standard : str, default ""
        Column to compare each rating with; blank: compare the raters with each other.
    confidence : float, default 0.95

    Returns
    -------
    AgreementDrift
        A month's interval is Wilson's at the effective number of cases.

    Raises
    ------
    Problem
        If a column is missing or ``time`` holds no times.
    Refusal
        If fewer than ten cases can be used, they lie in fewer than two months,
        or all of them agree.

    Notes
    -----
    The share of pairs of ratings of a case that agree is regressed on its time
    by least squares, with the heteroscedasticity-consistent variance HC3 [1]_
    and Student's quantile with n - 2 degrees of freedom.

    References
    ----------
    .. [1] MacKinnon, J. G., White, H. (1985). Journal of Econometrics 29,
       305-325. doi:10.1016/0304-4076(85)90158-7

    Examples
    --------
    All five of January agree, none of the five a month (31 days) later: a fall of 100 points in
    31 / 30.4375 months.

    >>> ratings = pd.DataFrame({"coded": ["2025-01-10"] * 5 + ["2025-02-10"] * 5,
    ...                         "coder_a": ["x"] * 10, "coder_b": ["x"] * 5 + ["y"] * 5})
    >>> ratings["coded"] = pd.to_datetime(ratings["coded"])
    >>> round(agreement_drift(ratings).slope, 4)
    -0.9819
    """
    need_share(confidence, name="confidence")
    alike, times = _alike_by_time(ratings, list(raters), time, standard)
    months = clock.local(times).dt.to_period("M").dt.to_timestamp()
    _need_drift(alike, months)
    slope, low, high = _slope(alike, times, confidence)
    rows = [_month_row(month, alike[months == month], confidence) for month in sorted(set(months))]
    verdict = "sinks" if high < 0 else "rises" if low > 0 else "no drift shown"
    return AgreementDrift(
        table=pd.DataFrame(rows),
        slope=slope,
        low=low,
        high=high,
        verdict=verdict,
        cases=len(alike),
        left_out=len(ratings) - len(alike),
        months=len(rows),
        standard=standard,
        raters=tuple(raters),
        confidence=confidence,
    )


def _alike_by_time(
    ratings: pd.DataFrame, raters: list[str], time: str, standard: str
) -> tuple[pd.Series, pd.Series]:
    """The share of pairs that agree, and the time, of each case that has both."""
    if len(raters) < (1 if standard else 2) or len(set(raters)) < len(raters):
        raise Problem(f"The raters are {raters}.", "name two columns or more, each once.")
    others = [standard] if standard else []
    need_columns(ratings, [*raters, time, *others], source="the ratings")
    if not pd.api.types.is_datetime64_any_dtype(ratings[time]):
        raise Problem(f"the ratings: {time!r} holds no times.", "give it the type time.")
    texts = ratings[[*raters, *others]].map(as_text, na_action="ignore")
    pairs = [(r, standard) for r in raters] if standard else list(combinations(raters, 2))
    same = np.array(
        [(texts[a] == texts[b]).where(texts[a].notna() & texts[b].notna()) for a, b in pairs],
        dtype=float,
    )
    filed = np.isfinite(same).any(axis=0) & ratings[time].notna().to_numpy()
    alike = pd.Series(np.nanmean(same[:, filed], axis=0), index=ratings.index[filed])
    return alike, ratings.loc[filed, time]


def _need_drift(alike: pd.Series, months: pd.Series) -> None:
    need_rows(alike, FEWEST, source="The ratings", why="a trend (in cases with a time)")
    if months.nunique() < 2:
        raise Refusal("All cases were filed in one month.", "file cases again in later months.")
    if alike.nunique() < 2:
        raise Refusal(
            f"All {len(alike)} cases agree to the same extent ({alike.iloc[0]:.0%}).",
            "a trend cannot be seen, nor its limits; the card shows the interval of the agreement.",
        )


def _slope(alike: pd.Series, times: pd.Series, confidence: float) -> tuple[float, float, float]:
    days = (times - times.min()) / pd.Timedelta(days=1)
    x = days.to_numpy(dtype=float) / DAYS_IN_MONTH
    x = x - x.mean()
    y, n = alike.to_numpy(dtype=float), len(alike)
    slope = float(x @ y / (x @ x))
    left = y - y.mean() - slope * x
    leverage = 1 / n + x**2 / (x @ x)
    room = np.clip(1 - leverage, 1e-9, None)
    spread = np.sqrt((x**2 * (left / room) ** 2).sum()) / (x @ x)
    half = stats.t.ppf((1 + confidence) / 2, n - 2) * spread
    return slope, slope - half, slope + half


def _month_row(month: pd.Timestamp, alike: pd.Series, confidence: float) -> dict:
    n, share = len(alike), float(alike.mean())
    variance = float(alike.var(ddof=0)) / n
    low, high = share_limits(share, variance, n, confidence)
    note = f"fewer than {FEWEST} cases" if n < FEWEST else ""
    return {
        "period": month,
        "cases": n,
        "estimate": share,
        "low": low,
        "high": high,
        "note": note,
    }
