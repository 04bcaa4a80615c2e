"""How well were complaints handled, and what did it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import interval, look
from sqm.checks import (
    Problem,
    Refusal,
    first_rows,
    need_numbers,
    need_one_of,
    need_share,
)
from sqm.finding import Finding, counted, together
from sqm.interval import digits_for, spell

FEWEST = 10  # cases below which a measure is not judged
MOST_RESAMPLED = 20_000  # cases, or clusters, beyond which a formula stands for the resamples
RESAMPLES = 1_000
CELLS = 2_000_000  # of resamples held at a time
MEASURES = ("reopened", "escalated", "compensated", "cost", "compensation")
MONEY = ("cost", "compensation")
WORD = {
    "reopened": "were reopened",
    "escalated": "were escalated",
    "compensated": "were compensated",
    "cost": "mean cost of a case",
    "compensation": "mean compensation of a case",
}
SOURCE = "the complaints"
SHAPE = {"met": "better", "not met": "worse"}


@dataclass(frozen=True, eq=False)
class Care(Finding):
    """Shares of cases reopened, escalated and compensated, and what a case costs.

    Attributes
    ----------
    table : DataFrame, one row per measure
        ``measure``; ``unit`` ("share" or the currency); ``cases`` it rests on; ``left_out``;
        ``estimate``, ``low``, ``high``, a share (0 to 1) or a mean per case; ``target``, the most
        that is wanted (NaN without one); ``verdict`` ("met", "not met", "not known", or ""
        without a target); ``total``, cases counted or money summed; ``dearest``, share of the
        money that the dearest hundredth of the cases holds (NaN for shares); ``note``.
    met, not_met, not_known : tuple of str
        Measures by verdict.
    absent : tuple of str
        Measures whose column is not there.
    currency : str
    clusters : str
    confidence : float
        Level of the intervals, 0 to 1.
    """

    met: tuple[str, ...]
    not_met: tuple[str, ...]
    not_known: tuple[str, ...]
    absent: tuple[str, ...]
    currency: str
    clusters: str
    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        told = [self._short(row) for row in known.head(2).itertuples()]
        first = f"Of the complaints {' and '.join(told)}"
        if self.met or self.not_met or self.not_known:
            first = f"{first}; {self._verdicts()}"
        rest = [
            *(self._one(row) for row in known.itertuples()),
            "A target is the most that is wanted; met and not met need the whole interval on one "
            "side of it.",
            self._money(known),
            self._basis(),
            self._unsaid(),
        ]
        return f"{first}.\n{' '.join(filter(None, rest))}"

    def _short(self, row) -> str:
        if row.unit == "share":
            return f"{self._spelt(row)} {WORD[row.measure]}"
        return f"the {WORD[row.measure]} is {self._spelt(row)}"

    def _spelt(self, row) -> str:
        times, unit = (100, "%") if row.unit == "share" else (1, row.unit)
        limits = [times * each for each in (row.estimate, row.low, row.high)]
        if np.isnan(row.low):
            return f"{limits[0]:,.6g} {unit} (no interval)"
        digits = 1 if row.unit == "share" else min(digits_for(*limits[1:]), 2)
        return spell(*limits, confidence=self.confidence, digits=max(digits, 0), unit=unit)

    def _verdicts(self) -> str:
        counts = ((self.met, "met"), (self.not_met, "not met"), (self.not_known, "not known"))
        told = [
            f"{len(names)} {word}{f' ({together(names)})' if word != 'met' else ''}"
            for names, word in counts
            if names
        ]
        return f"targets: {', '.join(told)}"

    def _one(self, row) -> str:
        said = f"{row.measure}: {self._spelt(row)} on {counted(row.cases, 'case')}"
        if row.verdict:
            aim = 100 * row.target if row.unit == "share" else row.target
            unit = "%" if row.unit == "share" else row.unit
            said += f", target at most {aim:,.6g} {unit}: {row.verdict}"
        return f"{said} ({row.note})." if row.note else f"{said}."

    def _money(self, known: pd.DataFrame) -> str:
        money = known[known["unit"].ne("share") & known["low"].notna()]
        if money.empty:
            return ""
        held = " and ".join(
            f"{100 * row.dearest:.0f} % of the {row.measure}" for row in money.itertuples()
        )
        return (
            "The intervals of the means are approximate (bootstrap-t): money is skewed, the "
            f"dearest hundredth of the cases holds {held}."
        )

    def _basis(self) -> str:
        if self.clusters:
            return f"Cases of the same {self.clusters} may be alike; intervals allow for it."
        return "Cases count as independent."

    def _unsaid(self) -> str:
        lost = self.table[self.table["estimate"].isna()]
        said = [f"{row.measure} ({row.note})" for row in lost.itertuples()]
        said += [f"{name} (not in the table)" for name in self.absent]
        return f"Not said: {'; '.join(said)}." if said else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.dropna(subset=["estimate"])
        shares = rows[rows["unit"] == "share"]
        shown = shares if len(shares) else rows
        times = 100 if len(shares) else 1
        scaled = shown.assign(**times * shown[["estimate", "low", "high"]])
        meaning = [SHAPE.get(verdict, "usual") for verdict in shown["verdict"]]
        look.dots(ax, scaled, names=shown["measure"], meaning=meaning)
        limit = look.MEANING["limit"]
        at = np.arange(len(shown))
        ax.plot(times * shown["target"], at, look.MARKER["limit"], color=limit, ms=8, mfc="none")
        ax.set_xlim(left=0)
        what = "% of cases" if len(shares) else f"{self.currency} a case"
        return look.label(
            ax,
            title="How well were complaints handled?",
            x=f"{what} (open squares: the most that is wanted)",
        )


def care(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    targets: Mapping[str, float] = MappingProxyType({}),
    currency: str = "EUR",
    closed: str = "closed",
    reopened: str = "reopened",
    escalated: str = "escalated",
    cost: str = "cost",
    compensation: str = "compensation",
    blank_is_nothing: bool = False,
    clusters: str = "",
    confidence: float = 0.95,
) -> Care:
    """Estimate how often cases are reopened, escalated and compensated, and what one costs.

    Parameters
    ----------
    complaints : DataFrame, one row per case
    rng : numpy Generator
        For the resamples of the means.
    targets : mapping of str to float
        The most that is wanted of ``reopened``, ``escalated``, ``compensated`` (shares, 0 to 1),
        ``cost`` and ``compensation`` (a case, in the currency).
    currency : str, default "EUR"
    closed : str
        Column of the closing; a case that is open, and was not reopened, cannot have been reopened
        or paid yet, so it does not count in ``reopened``, ``compensated`` and ``compensation``.
        Without the column all cases count.
    reopened, escalated, cost, compensation : str
        Columns of flags and of money; those that are missing are passed over and named.
    blank_is_nothing : bool, default False
        Whether a blank compensation of a closed case means that nothing was paid.
    clusters : str, default ""
        Column of what cases may share, such as the customer; blank: they are independent.
    confidence : float, default 0.95

    Returns
    -------
    Care
        A measure with fewer than ten cases has NaN and a note, sums that are all alike (none was
        paid, say) have no interval, so whether they meet a target is not known.

    Raises
    ------
    Problem
        If a flag holds no yes or no, money no numbers or negative ones, or a target is unknown.
    Refusal
        If none of the columns is there, or no measure has ten cases.

    Notes
    -----
    Shares have Wilson's interval, at the effective number of cases where there are clusters.  Means
    have the bootstrap-t interval [1]_: the quantiles of (mean* - mean) / error* over 1,000
    resamples of cases (or clusters) stand in for Student's; beyond 20,000 of them Hall's cubic
    transform with the skewness of the sum does [2]_.  Both are approximate for skewed money.

    References
    ----------
    .. [1] Efron, B., Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall.
       Section 12.5.
    .. [2] Hall, P. (1992). On the removal of skewness by transformation. Journal of the Royal
       Statistical Society B 54, 221-228.

    Examples
    --------
    >>> cases = pd.DataFrame({"reopened": [True] * 2 + [False] * 18, "cost": [10.0, 30.0] * 10})
    >>> found = care(cases, targets={"reopened": 0.5}, rng=np.random.default_rng(1))
    >>> found.table["estimate"].tolist(), found.met, found.absent
    ([0.1, 20.0], ('reopened',), ('escalated', 'compensated', 'compensation'))
    """
    need_share(confidence, name="confidence")
    _need_targets(targets)
    columns = {
        "reopened": reopened,
        "escalated": escalated,
        "compensated": compensation,
        "cost": cost,
        "compensation": compensation,
    }
    present = [name for name in MEASURES if columns[name] in complaints.columns]
    if not present:
        raise Refusal(
            f"{SOURCE} have none of {', '.join(dict.fromkeys(columns.values()))}.",
            "name the columns.",
        )
    if clusters and clusters not in complaints.columns:
        raise Refusal(f"{SOURCE} has no column {clusters!r}.", "name a column, or leave it blank.")
    done = _done(complaints, closed, reopened)
    rows = []
    for name in present:
        values = _values(complaints[columns[name]], name, blank_is_nothing & done)
        rows.append(
            _row(name, values, done, complaints, clusters, targets, currency, confidence, rng)
        )
    table = pd.DataFrame(rows)
    if table["estimate"].isna().all():
        raise Refusal(f"No measure can be given ({rows[0]['note']}).", "collect more cases.")
    by_verdict = {w: tuple(table.loc[table["verdict"] == w, "measure"]) for w in VERDICTS}
    return Care(
        table=table,
        met=by_verdict["met"],
        not_met=by_verdict["not met"],
        not_known=by_verdict["not known"],
        absent=tuple(name for name in MEASURES if name not in present),
        currency=currency,
        clusters=clusters,
        confidence=confidence,
    )


VERDICTS = ("met", "not met", "not known")


def _need_targets(targets: Mapping[str, float]) -> None:
    for name, target in targets.items():
        need_one_of(name, MEASURES, name="A target")
        number = isinstance(target, int | float) and not isinstance(target, bool)
        if not number or not 0 <= target < np.inf or (name not in MONEY and target > 1):
            raise Problem(
                f"The target of {name!r} is {target!r}.",
                "give money of 0 or more." if name in MONEY else "give a share from 0 to 1.",
            )


def _done(complaints: pd.DataFrame, closed: str, reopened: str) -> np.ndarray:
    """Cases that have been closed at least once."""
    if closed not in complaints.columns:
        return np.ones(len(complaints), dtype=bool)
    ended = complaints[closed].notna().to_numpy()
    if reopened in complaints.columns:
        ended = ended | _flags(complaints[reopened]).fillna(False).to_numpy(dtype=bool)
    return ended


def _flags(column: pd.Series) -> pd.Series:
    try:
        return column.astype("boolean")
    except (TypeError, ValueError):
        raise Problem(
            f"{SOURCE}: {column.name!r} holds no yes or no.", "give it the type flag."
        ) from None


def _values(column: pd.Series, name: str, nothing: np.ndarray) -> pd.Series:
    """The measure of each case, as a number; missing where it is not known."""
    if name in ("reopened", "escalated"):
        return _flags(column).astype("Float64").astype(float)
    need_numbers(pd.DataFrame({column.name: column}), [column.name], source=SOURCE)
    money = column.astype("Float64").astype(float)
    money = money.mask(np.isinf(money))
    if (money < 0).any():
        raise Problem(
            f"{SOURCE}: {column.name!r} has {counted(int((money < 0).sum()), 'negative sum')} "
            f"(first rows: {first_rows(money[money < 0])}).",
            "correct the source, or give the column a range.",
        )
    if name != "cost":
        money = money.mask(money.isna() & nothing, 0.0)
    return (money > 0).astype(float).where(money.notna()) if name == "compensated" else money


def _row(
    name: str,
    values: pd.Series,
    done: np.ndarray,
    complaints: pd.DataFrame,
    clusters: str,
    targets: Mapping[str, float],
    currency: str,
    confidence: float,
    rng: np.random.Generator,
) -> dict:
    """One measure: its estimate, its interval, its verdict."""
    counts = np.ones(len(values), dtype=bool) if name in ("escalated", "cost") else done
    usable = counts & values.notna().to_numpy()
    if clusters:
        usable &= complaints[clusters].notna().to_numpy()
    x = values[usable]
    group = complaints.loc[usable, [clusters]] if clusters else None
    money, note = name in MONEY, _note(name, x, int((counts & values.isna()).sum()))
    found = (np.nan,) * 3
    if not note:
        found = mean_limits(x.to_numpy(), group, confidence, rng) if money else _share(
            x, group, confidence)  # fmt: skip
    why = ""
    if money and not note and np.isnan(found[1]):
        why = "all alike, no spread is seen" if np.ptp(x) == 0 else f"all of one {clusters}"
    open_too = "still open ones may yet be" if name == "escalated" and not done.all() else ""
    return {
        "measure": name,
        "unit": currency if money else "share",
        "cases": len(x),
        "left_out": len(values) - len(x),
        **dict(zip(("estimate", "low", "high"), found, strict=True)),
        "target": float(targets.get(name, np.nan)),
        "verdict": _verdict(*found, targets.get(name)),
        "total": float(x.sum()),
        "dearest": _dearest(x.to_numpy()) if money else np.nan,
        "note": note or open_too or why,
    }


def _note(name: str, x: pd.Series, blanks: int) -> str:
    if len(x) < FEWEST:
        return f"only {counted(len(x), 'case')}"
    if name in ("compensated", "compensation") and blanks and (x > 0).all():
        return (
            f"every sum given is above 0 and {blanks:,} are blank: say whether a blank means that "
            "nothing was paid"
        )
    return ""


def _share(x: pd.Series, group: pd.DataFrame | None, confidence: float) -> tuple:
    found = interval.share(x.astype(bool), clusters=group, confidence=confidence)
    return found.estimate, found.low, found.high


def _verdict(estimate: float, low: float, high: float, target: float | None) -> str:
    if target is None or np.isnan(estimate):
        return ""
    return "met" if high <= target else "not met" if low > target else "not known"


def _dearest(x: np.ndarray) -> float:
    """Share of the money that the dearest hundredth of the cases (one at least) holds."""
    top = max(len(x) // 100, 1)
    total = x.sum()
    return float(np.partition(x, len(x) - top)[-top:].sum() / total) if total > 0 else np.nan


# --- The mean of skewed money ---------------------------------------------------------------------


def mean_limits(
    x: np.ndarray, group: pd.DataFrame | None, confidence: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean of sums of 0 or more with its bootstrap-t interval, by cases or by clusters.

    Examples
    --------
    Where all are alike there is nothing to resample, and how far the mean is off is not known.

    >>> mean_limits(np.full(10, 3.0), None, 0.95, np.random.default_rng(1))
    (3.0, nan, nan)
    """
    codes = np.arange(len(x)) if group is None else pd.factorize(group.iloc[:, 0])[0]
    sums, sizes = np.bincount(codes, weights=x), np.bincount(codes).astype(float)
    mean = float(x.mean())
    error = _error(sums, sizes, mean)
    if not error > 0 or len(sums) < 2:
        return mean, np.nan, np.nan
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    if len(sums) > MOST_RESAMPLED:
        low, high = _hall(sums - mean * sizes, tails)
    else:
        low, high = np.quantile(_studentised(sums, sizes, mean, rng), tails)
    return mean, max(mean - float(high) * error, 0.0), mean - float(low) * error


def _error(sums: np.ndarray, sizes: np.ndarray, mean: float) -> float:
    """Standard error of a mean by the residuals of its clusters."""
    clusters = len(sums)
    spread = ((sums - mean * sizes) ** 2).sum() * clusters / max(clusters - 1, 1)
    return float(np.sqrt(spread) / sizes.sum())


def _studentised(
    sums: np.ndarray, sizes: np.ndarray, mean: float, rng: np.random.Generator
) -> np.ndarray:
    """(mean* - mean) / error* of each resample; one without spread is left out."""
    clusters, found = len(sums), []
    step = max(CELLS // clusters, 1)
    for start in range(0, RESAMPLES, step):
        drawn = rng.integers(clusters, size=(min(step, RESAMPLES - start), clusters))
        s, n = sums[drawn], sizes[drawn]
        each = s.sum(axis=1) / n.sum(axis=1)
        spread = ((s - each[:, None] * n) ** 2).sum(axis=1) * clusters / (clusters - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append((each - mean) / (np.sqrt(spread) / n.sum(axis=1)))
    drawn = np.concatenate(found)
    return drawn[np.isfinite(drawn)]


def _hall(residuals: np.ndarray, tails: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of Student's ratio by Hall's cubic transform."""
    root, skew = np.sqrt(len(residuals)), float(stats.skew(residuals))
    z = stats.norm.ppf(tails)
    if abs(skew) < 1e-9:
        return float(z[0]), float(z[1])
    low, high = 3 * root / skew * (
        np.cbrt(1 + skew * (z - skew / (6 * root)) / root) - 1
    )  # fmt: skip
    return float(low), float(high)
