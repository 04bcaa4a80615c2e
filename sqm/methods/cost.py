"""What do complaints cost?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, interval, look
from sqm.checks import Problem, first_rows, need_columns, need_rows, need_share
from sqm.finding import Finding

YEAR_DAYS = 365.25
FEWEST_WEEKS = 13  # a quarter; with 8 the 95 % interval covered 88 % of simulated truths
AT_ONCE = 2_000_000  # numbers drawn in one go: bounds the memory


@dataclass(frozen=True, eq=False)
class Cost(Finding):
    """What complaints cost, each and in a year.

    Attributes
    ----------
    table : DataFrame, one row per quantity
        ``quantity``, ``unit`` (with the currency), ``estimate``, ``low``,
        ``high``, ``n`` (complaints behind it), ``note``.
    currency : str
        Of every amount below.
    mean, low, high : float
        Cost of a closed complaint.
    closed : int
        Closed complaints with a cost.
    total : float
        All costs recorded, those of open complaints included.
    complaints, without_cost : int
        Complaints in all, and those without a cost.
    annual, annual_low, annual_high : float
        Costs recorded, a year; missing if the data cover too few weeks.
    annual_all, annual_all_low, annual_all_high : float
        The same if the complaints without a cost cost the mean.
    days : float
        From the first to the last day on which a complaint was opened.
    half_share : float
        Share of the complaints with a cost, the dearest first, that holds half
        the money (0 to 1).
    edges, counts : tuple
        Complaints by cost: limits of the bars of the picture, and how many in
        each; costs of nothing are not drawn.
    confidence : float
        Level of every interval, 0 to 1.
    """

    currency: str
    mean: float
    low: float
    high: float
    closed: int
    total: float
    complaints: int
    without_cost: int
    annual: float
    annual_low: float
    annual_high: float
    annual_all: float
    annual_all_low: float
    annual_all_high: float
    days: float
    half_share: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    confidence: float

    def sentence(self) -> str:
        mean = self._words(self.mean, self.low, self.high)
        half = (
            f"{self.half_share * 100:.2g} % of the cases hold half the money. "
            if not np.isnan(self.half_share)
            else ""
        )
        return (
            f"A closed complaint costs {mean} on average, from {self.closed:,} of them."
            f"\n{half}{self._yearly()}"
        )

    def _yearly(self) -> str:
        recorded = f"{self.total:,.0f} {self.currency} are recorded in all"
        if np.isnan(self.annual):
            note = self.table.set_index("quantity").loc["recorded costs a year", "note"]
            return f"{recorded}; no yearly sum is given: {note}. {self._blank()}{self._late()}"
        year = self._words(self.annual, self.annual_low, self.annual_high)
        every = self._words(self.annual_all, self.annual_all_low, self.annual_all_high)
        more = f"; at the mean they would make it {every} a year" if self.without_cost else ""
        return (
            f"{recorded}, over {self.days:,.0f} days: {year} a year if every day were like these. "
            f"{self._blank()}{more}.{self._late()}"
        )

    def _late(self) -> str:
        late = " If dear ones take longer to close, the mean of the closed is too low."
        return late if self.without_cost else ""

    def _blank(self) -> str:
        return f"{self.without_cost:,} of {self.complaints:,} complaints have no cost yet"

    def _words(self, estimate: float, low: float, high: float) -> str:
        return interval.spell(
            estimate,
            low,
            high,
            confidence=self.confidence,
            digits=2 if estimate < 100 else 0,
            unit=self.currency,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        if self.counts:
            ax.stairs(self.counts, self.edges, fill=True, color="#c9d0d5")
            ax.set_xscale("log")
        top = max(self.counts, default=1) * 1.08
        ax.plot([self.low, self.high], [top, top], color=look.MEANING["usual"], lw=1.8)
        ax.plot(
            self.mean,
            top,
            marker=look.MARKER["usual"],
            color=look.MEANING["usual"],
            ls="",
            label=f"mean, {self.confidence * 100:.4g} % interval",
        )
        ax.xaxis.set_major_formatter("{x:,.6g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_ylim(0, top * 1.12)
        ax.legend(frameon=False)
        x = f"cost of a complaint, {self.currency} (each step tenfold)"
        return look.label(ax, title="What does a complaint cost?", x=x, y="complaints")


def complaint_cost(
    complaints: pd.DataFrame,
    *,
    cost: str = "cost",
    opened: str = "opened",
    closed: str = "closed",
    currency: str,
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Cost:
    """Estimate what a complaint costs, and all of them in a year.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    cost, opened : str
        Columns with the cost (0 or more) and the time of opening.
    closed : str
        Column with the time of closing.  Without such a column every complaint
        with a cost counts as closed.
    currency : str
        Such as ``EUR``.
    confidence : float, default 0.95
    resamples : int, default 1000
    rng : numpy Generator

    Returns
    -------
    Cost

    Raises
    ------
    Problem
        If a column is missing, a cost is negative or no number, or the currency
        is blank.
    Refusal
        If fewer than two closed complaints have a cost.

    Notes
    -----
    Costs have heavy tails, so the interval of the mean is the bootstrap's,
    corrected for bias and skewness (BCa) [1]_; with few and very unequal costs
    even that is too narrow.  Costs of open complaints are in the
    total, not in the mean.  Dear complaints take longer to close, so the mean of
    the closed ones may be low.

    The yearly sum is 365.25 (sum of costs) / (days covered).  Its interval
    draws whole weeks anew, which keeps apart what weekdays do and lets busy
    weeks be busy; it holds no season, trend or error of the
    records.  Complaints without a cost count for nothing in the recorded sum,
    and for the mean in the other.

    References
    ----------
    .. [1] Efron, B. (1987). Better bootstrap confidence intervals. Journal of
       the American Statistical Association 82, 171-185.

    Examples
    --------
    >>> day = pd.to_datetime(["2025-01-01"] * 4)
    >>> cases = pd.DataFrame({"cost": [10.0, 10.0, 40.0, None], "opened": day, "closed": day})
    >>> found = complaint_cost(cases, currency="EUR", rng=np.random.default_rng(1))
    >>> found.mean, found.total, found.without_cost, round(found.half_share, 2)
    (20.0, 60.0, 1, 0.33)
    """
    need_share(confidence, name="confidence")
    need_columns(complaints, [cost, opened], source="complaints")
    if not currency.strip():
        raise Problem("The costs have no currency.", "give it, for example EUR.")
    costs = _costs(complaints[cost], cost)
    done = complaints[closed].notna() if closed in complaints.columns else costs.notna()
    paid = costs[done & costs.notna()].to_numpy()
    need_rows(pd.DataFrame(paid), 2, source="complaints with a cost and closed", why="a mean")
    mean = _mean(paid, confidence, resamples, rng)
    weeks = _weeks(costs, done, complaints[opened])
    recorded, every = _yearly(weeks, confidence, resamples, rng)
    total, spent = float(costs.sum()), costs.dropna().to_numpy()
    edges, counts = _bars(spent)
    return Cost(
        table=_table(currency, mean, len(paid), total, len(spent), recorded, every, costs, weeks),
        currency=currency,
        **dict(zip(("mean", "low", "high"), mean, strict=True)),
        closed=len(paid),
        total=total,
        complaints=len(costs),
        without_cost=int(costs.isna().sum()),
        **dict(zip(("annual", "annual_low", "annual_high"), recorded, strict=True)),
        **dict(zip(("annual_all", "annual_all_low", "annual_all_high"), every, strict=True)),
        days=float(weeks["days"].sum()),
        half_share=_half_share(spent),
        edges=edges,
        counts=counts,
        confidence=confidence,
    )


def _costs(column: pd.Series, name: str) -> pd.Series:
    try:
        costs = column.astype("Float64").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"{name!r} holds {column.dropna().iloc[0]!r}, no amount.",
            "give the column the type number, and its currency apart.",
        ) from None
    off = costs[(costs < 0) | np.isinf(costs)]
    if len(off):
        raise Problem(
            f"{name!r} has {len(off)} negative or infinite costs (first rows: {first_rows(off)}).",
            "correct the source, or keep refunds in a column of their own.",
        )
    return costs


def _weeks(costs: pd.Series, done: pd.Series, opened: pd.Series) -> pd.DataFrame:
    """Sums by seven days from the first complaint on, with the days each covers."""
    times = clock.local(opened)
    dated = times.notna()
    if not dated.any():
        return pd.DataFrame({each: [] for each in ("days", "cost", "done", "done_cost", "blank")})
    day = (times[dated] - times.min().normalize()).dt.days.to_numpy()
    week, weeks, days = day // 7, day.max() // 7 + 1, day.max() + 1
    known = costs[dated].fillna(0.0).to_numpy()
    paid = (done & costs.notna())[dated].to_numpy()
    return pd.DataFrame(
        {
            "days": np.minimum(7, days - 7 * np.arange(weeks)),
            "cost": np.bincount(week, known, weeks),
            "done": np.bincount(week, paid, weeks),
            "done_cost": np.bincount(week, known * paid, weeks),
            "blank": np.bincount(week, costs[dated].isna(), weeks),
        }
    )


def _yearly(
    weeks: pd.DataFrame, confidence: float, resamples: int, rng: np.random.Generator
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Recorded costs a year, and the same with blanks at the mean of the closed."""
    if len(weeks) < FEWEST_WEEKS:
        return (np.nan,) * 3, (np.nan,) * 3
    sums = weeks[["days", "cost", "done", "done_cost", "blank"]].to_numpy()
    draws = sums[rng.integers(len(sums), size=(resamples, len(sums)))].sum(axis=1)
    without = sums.sum(axis=0) - sums
    return tuple(
        _bca(rate(sums.sum(axis=0)), rate(draws), rate(without), confidence)
        for rate in (_recorded_rate, _whole_rate)
    )


def _recorded_rate(sums: np.ndarray) -> np.ndarray:
    days, cost, *_ = np.moveaxis(sums, -1, 0)
    return YEAR_DAYS * cost / days


def _whole_rate(sums: np.ndarray) -> np.ndarray:
    days, cost, done, done_cost, blank = np.moveaxis(sums, -1, 0)
    return YEAR_DAYS * (cost + blank * done_cost / np.maximum(done, 1)) / days


def _mean(
    paid: np.ndarray, confidence: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    n, at_once = len(paid), max(AT_ONCE // len(paid), 1)
    draws = np.concatenate(
        [
            paid[rng.integers(n, size=(min(at_once, resamples - done), n))].mean(axis=1)
            for done in range(0, resamples, at_once)
        ]
    )
    without = (paid.sum() - paid) / (n - 1)
    return _bca(paid.mean(), draws, without, confidence)


def _bca(
    estimate: float, draws: np.ndarray, without: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Estimate and its BCa limits; ``without`` is the estimate with each unit left out."""
    spread = without.mean() - without
    cubes = 6 * float((spread**2).sum()) ** 1.5
    skew = float((spread**3).sum()) / cubes if cubes else 0.0
    below = (np.sum(draws < estimate) + 0.5 * np.sum(draws == estimate)) / len(draws)
    edge = 1 / (len(draws) + 1)
    bias = stats.norm.ppf(np.clip(below, edge, 1 - edge))
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(draws, stats.norm.cdf(bias + z / (1 - skew * z)))
    return float(estimate), float(low), float(high)


def _half_share(spent: np.ndarray) -> float:
    if not spent.sum() > 0:
        return float("nan")
    added = np.cumsum(np.sort(spent)[::-1])
    return float((np.searchsorted(added, added[-1] / 2) + 1) / len(spent))


def _bars(spent: np.ndarray) -> tuple[tuple[float, ...], tuple[int, ...]]:
    some = spent[spent > 0]
    if not len(some):
        return (), ()
    low, high = some.min(), max(some.max(), some.min() * 1.01)
    counts, edges = np.histogram(np.clip(some, low, high), np.geomspace(low, high, 31))
    return tuple(edges.tolist()), tuple(counts.tolist())


def _table(
    currency: str,
    mean: tuple[float, float, float],
    paid: int,
    total: float,
    spent: int,
    recorded: tuple[float, float, float],
    every: tuple[float, float, float],
    costs: pd.Series,
    weeks: pd.DataFrame,
) -> pd.DataFrame:
    few = (
        ""
        if len(weeks) >= FEWEST_WEEKS
        else (f"the data cover {len(weeks)} weeks where {FEWEST_WEEKS} are needed")
    )
    year = f"{currency} a year"
    nothing = (np.nan, np.nan)
    rows = [
        ("mean cost of a closed complaint", currency, *mean, paid, ""),
        ("recorded costs in all", currency, total, *nothing, spent, "counted, not estimated"),
        ("recorded costs a year", year, *recorded, spent, few),
        ("costs a year, blanks at the mean", year, *every, len(costs), few),
    ]
    columns = ["quantity", "unit", "estimate", "low", "high", "n", "note"]
    return pd.DataFrame(rows, columns=columns)
