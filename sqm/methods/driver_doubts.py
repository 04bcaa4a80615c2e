"""What speaks against the drivers that were found?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import linalg, stats
from sklearn.isotonic import IsotonicRegression

from sqm import interval, look
from sqm.checks import need_columns
from sqm.finding import Finding, counted
from sqm.interval import holm
from sqm.regression import (
    EVENTS_PER_COEFFICIENT,
    Fit,
    fitted_records,
    likelihood,
    places_of,
    sums_by,
    true_or_false,
)

MOST_CODES = 30  # whole values up to which a number may be a code
MONOTONE = 0.75  # share of the differences between values that rising or falling must explain
KNOTS = (0.05, 0.35, 0.65, 0.95)
MOST_BLANKS = 0.05
FEWEST_BLANKS = 20
MOST_ROWS = 100_000  # for the tests of curves and interactions
MOST_COLUMNS = 20  # of one interaction
VARIANCE_INFLATION = 10.0
CONDITION = 30.0

COLLINEAR, CODE, CURVE, TOGETHER = "collinearity", "code as number", "curve", "interaction"
FEW, INFLUENCE, BLANKS = "few events", "single cluster", "blanks"
SOURCES = {
    COLLINEAR: "Marquardt 1970, doi:10.1080/00401706.1970.10488699: variance inflation 10, for "
    "several coefficients after Fox and Monette 1992, doi:10.1080/01621459.1992.10475190",
    "condition": "Belsley, Kuh and Welsch 1980, Regression Diagnostics, chapter 3: 30",
    CODE: "a convention of sqm: 5 % of false alarms, and less than 0.75 explained by rising or "
    "falling",
    CURVE: "a convention of sqm: 5 % of false alarms; knots after Harrell 2015, Regression "
    "Modeling Strategies, section 2.4.6",
    TOGETHER: "a convention of sqm: 5 % of false alarms",
    FEW: "Peduzzi et al. 1996, doi:10.1016/S0895-4356(96)00236-3: 10",
    INFLUENCE: "Bollen and Jackman 1990, in Modern Methods of Data Analysis: one standard error",
    BLANKS: "Schafer 1999, doi:10.1177/096228029900800102: 5 % blank; and an interval without 0",
}


@dataclass(frozen=True, eq=False)
class Doubts(Finding):
    """What was tried against the drivers, and what of it raised an alarm.

    Attributes
    ----------
    table : DataFrame, one row per doubt and driver
        ``doubt``; ``driver``; ``measure``, what ``value`` is; ``value, low,
        high`` (an interval where there is one); ``threshold``; ``source`` of
        the threshold; ``alarm``; ``words``, what an alarm means; ``note``, why there
        is no value.  A p is Holm's, over all p of the table.
    alarms, tried, untried : int
        Rows with an alarm, with a value, and without one.
    outcome : str
    records, groups : int
    confidence : float
    """

    alarms: int
    tried: int
    untried: int
    outcome: str
    records: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        untried = self.table[self.table["note"] != ""]
        words = [
            f"{self._first()}\nTried were collinearity, codes acting as numbers, curves, "
            "interactions, levels with few events, single clusters and blanks, each against the "
            f"threshold in the table, on {self.records:,} records in "
            f"{counted(self.groups, 'cluster')}.",
            "Each p allows for clusters and for the number of tests (Holm).",
        ]
        rest = self.table[self.table["alarm"]].iloc[1:4]
        if len(rest):
            words.insert(1, "Also: " + "; ".join(rest["words"]) + ".")
        if len(untried):
            words.append(
                f"{counted(len(untried), 'test')} could not be made, or only in part (see the "
                "notes)."
            )
        words.append("That nothing else is wrong is not shown.")
        return " ".join(words)

    def _first(self) -> str:
        if not self.alarms:
            return f"None of {counted(self.tried, 'check')} speaks against the drivers found."
        first = self.table[self.table["alarm"]].iloc[0]
        return (
            f"{self.alarms} of {counted(self.tried, 'check')} speak against the drivers found; "
            f"{first['doubt']}: {first['words']}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset=["value"])
        falls = known["measure"].isin(["p", "events"])  # alarming when small
        over = np.where(
            falls, known["threshold"] / known["value"].clip(lower=1e-4), known["value"].abs()
        )
        scale = np.where(falls | (known["doubt"] == BLANKS), 1.0, known["threshold"])
        ratio = pd.Series(over / scale, index=known.index).clip(lower=1e-2, upper=1e2)
        far = ratio.where(known["doubt"] != BLANKS, np.where(known["alarm"], 2.0, 0.5))
        shown = pd.DataFrame({"estimate": far, "low": far, "high": far})
        names = [f"{row.doubt}: {row.driver}" for row in known.itertuples()]
        meaning = ["worse" if alarm else "usual" for alarm in known["alarm"]]
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.axvline(1, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="What speaks against the drivers that were found?",
            x="times the threshold (right of 1: alarm; blanks: 2 or 0.5)",
        )


def doubts_of(fit: Fit, records: pd.DataFrame) -> Doubts:
    """Look for what would make the drivers' effects mean something else.

    Parameters
    ----------
    fit : Fit
        Of any kind.
    records : DataFrame
        Those that it was fitted to, the ones with blanks too.

    Returns
    -------
    Doubts

    Raises
    ------
    Problem
        If the records are not those of the fit.

    Notes
    -----
    Collinearity: the generalised variance inflation of a driver's coefficients,
    det(R_1) det(R_2) / det(R) of the coefficients' correlations, as its
    1 / (2 df)-th power [1]_, and the condition number of the design scaled to
    unit length.  Codes: of a number with 3 to 30 whole values, whether the
    values differ beyond a line, and how much of that a rising or falling
    sequence explains (isotonic regression).  Curves: of any other number, a
    restricted cubic spline with knots at 5, 35, 65 and 95 %.  Interactions: the
    pair of drivers with the smallest p, times the number of pairs.  These three
    are score tests: Hotelling's T squared of the scores' sums by cluster, from
    every so-manieth row where there are more than 100,000.  Single clusters:
    how many standard errors the largest coefficient of a driver moves, by one
    step of Newton's method, if the most influential cluster is left out.
    Blanks: the outcome's mean where the driver is blank less where it is given.

    References
    ----------
    .. [1] Fox, J., Monette, G. (1992). Generalized collinearity diagnostics.
       JASA 87, 178-183. doi:10.1080/01621459.1992.10475190

    Examples
    --------
    Two drivers that are crossed evenly have nothing in common: inflation 1.

    >>> from sqm.regression import fit_logistic
    >>> records = pd.DataFrame({"a": ["x", "x", "y", "y"] * 100, "b": ["u", "v"] * 200,
    ...                         "complained": [1] * 100 + [0] * 300})
    >>> found = doubts_of(fit_logistic(records, drivers=["a", "b"], fixed="", cluster=""), records)
    >>> found.table["value"].round(6).tolist()[:2], found.alarms
    ([1.0, 1.0], 0)
    """
    need_columns(records, [fit.outcome, *fit.drivers], source="The table of records")
    used = fitted_records(fit, records)
    rows = [*_collinear(fit), *_shapes(fit, used), *_interaction(fit), *_few(fit, used)]
    rows += [*_influence(fit, used), *_blanks(fit, records)]
    table = _judged(pd.DataFrame(rows), 1 - fit.confidence)
    return Doubts(
        table=table,
        alarms=int(table["alarm"].sum()),
        tried=int(table["value"].notna().sum()),
        untried=int(table["value"].isna().sum()),
        outcome=fit.outcome,
        records=fit.records,
        groups=fit.groups,
        confidence=fit.confidence,
    )


def _row(doubt: str, driver: str, measure: str, value: float, threshold: float, **more) -> dict:
    usual = {"low": np.nan, "high": np.nan, "words": "", "note": "", "alarm": False}
    return {
        "doubt": doubt,
        "driver": driver,
        "measure": measure,
        "value": float(value),
        "threshold": threshold,
        "source": SOURCES[doubt],
        **usual,
        **more,
    }


def _judged(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Correct every p for their number, and say which rows alarm."""
    tests = (table["measure"] == "p").to_numpy()
    table.loc[tests, "value"] = holm(table.loc[tests, "value"].to_numpy(dtype=float))
    table.loc[tests, "threshold"] = level
    table.loc[tests, "alarm"] = table.loc[tests, "value"] < level
    table.loc[~table["alarm"].astype(bool), "words"] = ""
    for i in np.flatnonzero(tests & table["alarm"].to_numpy(dtype=bool)):
        table.loc[i, "words"] += f" ({interval.spell_p(table.loc[i, 'value'])})"
    columns = ["doubt", "driver", "measure", "value", "low", "high", "threshold", "source"]
    return table[[*columns, "alarm", "words", "note"]].astype({"alarm": bool})


# --- Collinearity ---------------------------------------------------------------------------------


def _model(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Design and coefficients as the likelihood takes them; a duration has no intercept."""
    skip = 1 if fit.kind == "time" else 0
    return fit.design[:, skip:], fit.b[skip:]


def _collinear(fit: Fit) -> list[dict]:
    design, b = _model(fit)
    skip = len(fit.b) - len(b)
    covariance = linalg.inv(likelihood(fit.seen, b, design)[2])
    names = [term.column for term in fit.terms[skip:]]
    own = [i for i, name in enumerate(names) if name]
    names = [names[i] for i in own]
    slopes = covariance[np.ix_(own, own)]
    spread = np.sqrt(np.diag(slopes))
    coefficients = slopes / np.outer(spread, spread)
    columns = np.corrcoef(design[:, own], rowvar=False).reshape(len(own), len(own))
    rows = []
    for driver in fit.drivers:
        inflation = _inflation(coefficients, names, driver)
        value = inflation ** (1 / (2 * names.count(driver)))
        alarm, threshold = value > VARIANCE_INFLATION**0.5, VARIANCE_INFLATION**0.5
        words = ""
        if alarm:
            words = f"{driver} and {_stand_in(columns, names, driver)} stand in for each other"
        measure = "gvif^(1/(2 df))"
        rows.append(_row(COLLINEAR, driver, measure, value, threshold, alarm=alarm, words=words))
    return [*rows, _condition(fit)]


def _inflation(correlations: np.ndarray, names: list[str], driver: str) -> float:
    one = np.array([name == driver for name in names])
    if one.all():
        return 1.0
    parts = correlations[np.ix_(one, one)], correlations[np.ix_(~one, ~one)]
    logs = [np.linalg.slogdet(each)[1] for each in (*parts, correlations)]
    return float(np.exp(logs[0] + logs[1] - logs[2]))


def _stand_in(columns: np.ndarray, names: list[str], driver: str) -> str:
    """The other column with which a driver has most in common."""
    found = {}
    for other in dict.fromkeys(names):
        if other != driver:
            pair = [i for i, name in enumerate(names) if name in (driver, other)]
            found[other] = _inflation(columns[np.ix_(pair, pair)], [names[i] for i in pair], driver)
    return max(found, key=found.get)


def _condition(fit: Fit) -> dict:
    design = fit.design[:, len(fit.steps) - 1 :]
    scaled = design / np.sqrt((design**2).sum(axis=0))
    values = np.linalg.eigvalsh(scaled.T @ scaled)
    value = float(np.sqrt(values[-1] / max(values[0], 1e-300)))
    words = f"the design as a whole is all but singular (condition number {value:.0f})"
    row = _row(
        COLLINEAR, "(all)", "condition number", value, CONDITION, alarm=value > CONDITION,
        words=words if value > CONDITION else "",
    )  # fmt: skip
    return {**row, "source": SOURCES["condition"]}


# --- Curves, codes and interactions ---------------------------------------------------------------


def _score_test(fit: Fit, extra: np.ndarray) -> tuple[float, str]:
    """p of further columns that the model does not have, or why there is none."""
    design, b = _model(fit)
    step = 1 if fit.kind == "time" else -(-len(design) // MOST_ROWS)  # a duration's risk sets: all
    rows = np.arange(0, len(design), step)
    k = design.shape[1]
    both = np.column_stack([design[rows], extra[rows]])
    _, score, information = likelihood(fit.seen.at(rows), np.r_[b, np.zeros(extra.shape[1])], both)
    explained = linalg.solve(information[:k, :k], information[:k, k:], assume_a="sym")
    left = information[k:, k:] - information[k:, :k] @ explained
    spread = np.sqrt(np.maximum(np.diag(information)[k:], 1e-300))
    values, vectors = np.linalg.eigh(left / np.outer(spread, spread))
    turn = (vectors / spread[:, None])[:, values > 1e-8]
    if not turn.shape[1]:
        return np.nan, "nothing is left to test beside the other drivers"
    own = (score[:, k:] - score[:, :k] @ explained) @ turn
    members = pd.factorize(fit.members[rows])[0]
    sums = sums_by(own, members, int(members.max()) + 1)
    return _hotelling(sums)


def _hotelling(sums: np.ndarray) -> tuple[float, str]:
    """Whether rows have mean zero in all columns: T squared against F."""
    groups, q = sums.shape
    if groups < 3 * q + 3:
        return np.nan, f"{groups} clusters are too few for {q} coefficients more"
    mean, covariance = sums.mean(axis=0), np.cov(sums, rowvar=False).reshape(q, q)
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-10 * values[-1]
    q = int(keep.sum())
    squared = groups * (((vectors[:, keep].T @ mean) ** 2) / values[keep]).sum()
    return float(stats.f.sf(squared * (groups - q) / ((groups - 1) * q), q, groups - q)), ""


def _shapes(fit: Fit, used: pd.DataFrame) -> list[dict]:
    """Of every number: whether its values are codes, or its line a curve."""
    rows = []
    for driver in fit.drivers:
        if driver in fit.references:
            continue
        x = used[driver].to_numpy(dtype=float)
        values = np.unique(x)
        whole = 3 <= len(values) <= MOST_CODES and np.equal(np.mod(values, 1), 0).all()
        if len(values) >= 3:
            rows.append(_of_codes(fit, driver, x) if whole else _of_curve(fit, driver, x))
    return rows


def _of_codes(fit: Fit, driver: str, x: np.ndarray) -> dict:
    values, codes = np.unique(x, return_inverse=True)
    p, note = _score_test(fit, np.eye(len(values))[codes][:, 1:])
    rate = fit.seen.y / fit.seen.weight
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=rate) / counts
    share = _monotone(values, means, counts)
    if share < MONOTONE:
        words = (
            f"the values of {driver} look like codes: rising or falling explains "
            f"{share:.0%} of their differences"
        )
        return _row(CODE, driver, "p", p, np.nan, words=words, note=note)
    words = f"{driver} does not go by a straight line"
    return _row(CURVE, driver, "p", p, np.nan, words=words, note=note)


def _monotone(values: np.ndarray, means: np.ndarray, counts: np.ndarray) -> float:
    """Share of the differences between means that a rising or falling sequence explains."""
    middle = np.average(means, weights=counts)
    total = (counts * (means - middle) ** 2).sum()
    if total == 0:
        return 1.0
    left = []
    for increasing in (True, False):
        fitted = IsotonicRegression(increasing=increasing).fit_transform(
            values, means, sample_weight=counts
        )
        left.append(float((counts * (means - fitted) ** 2).sum()))
    return 1 - min(left) / total


def _of_curve(fit: Fit, driver: str, x: np.ndarray) -> dict:
    knots = np.unique(np.quantile(x, KNOTS))
    extra = _spline(x, knots) if len(knots) >= 3 else ((x - x.mean()) / x.std())[:, None] ** 2
    p, note = _score_test(fit, extra)
    words = f"{driver} does not go by a straight line"
    return _row(CURVE, driver, "p", p, np.nan, words=words, note=note)


def _spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Restricted cubic spline beside the line, shape (rows, knots - 2)."""
    x, knots = (x - knots[0]) / np.ptp(knots), (knots - knots[0]) / np.ptp(knots)
    last, before = knots[-1], knots[-2]

    def cube(t):
        return np.maximum(x - t, 0) ** 3

    return np.column_stack(
        [
            cube(t)
            - cube(before) * (last - t) / (last - before)
            + cube(last) * (before - t) / (last - before)
            for t in knots[:-2]
        ]
    )


def _interaction(fit: Fit) -> list[dict]:
    """The pair of drivers with the smallest p, times the number of pairs tried."""
    found, skipped = {}, 0
    for one, other in combinations(fit.drivers, 2):
        first, second = places_of(fit, one), places_of(fit, other)
        if len(first) * len(second) > MOST_COLUMNS:
            skipped += 1
            continue
        extra = np.column_stack(
            [fit.design[:, i] * fit.design[:, j] for i in first for j in second]
        )
        p, note = _score_test(fit, extra[:, extra.std(axis=0) > 0])
        if np.isnan(p):
            skipped += 1
        else:
            found[one, other] = p
    if not found:
        note = "no pair of drivers, or too many levels for the clusters"
        return [_row(TOGETHER, "(all)", "p", np.nan, np.nan, note=note)]
    one, other = min(found, key=found.get)
    words = f"{one} and {other} act together, not each by itself"
    p = min(1.0, found[one, other] * len(found))
    note = f"{counted(skipped, 'pair')} of drivers not tried: too many levels" if skipped else ""
    return [_row(TOGETHER, f"{one} with {other}", "p", p, np.nan, words=words, note=note)]


# --- Few events, single clusters, blanks ----------------------------------------------------------


def _few(fit: Fit, used: pd.DataFrame) -> list[dict]:
    """The level of each category with the fewest of the rarer outcome."""
    rows = []
    y = fit.seen.ended if fit.kind == "time" else fit.seen.y > 0
    for driver in fit.drivers:
        if driver not in fit.references:
            continue
        table = pd.crosstab(used[driver].astype("str").to_numpy(), np.asarray(y))
        least = table.min(axis=1) if fit.kind == "binary" else table.sum(axis=1)
        if fit.kind in ("count", "time"):
            least = table.get(True, least * 0)
        level, value = str(least.idxmin()), int(least.min())
        alarm = value < EVENTS_PER_COEFFICIENT
        words = f"{driver} {level} rests on {counted(value, 'event')}" if alarm else ""
        rows.append(
            _row(FEW, driver, "events", value, EVENTS_PER_COEFFICIENT, alarm=alarm, words=words)
        )
    return rows


def _influence(fit: Fit, used: pd.DataFrame) -> list[dict]:
    """How far each driver's coefficients move without the cluster that moves them most."""
    design, b = _model(fit)
    skip = len(fit.b) - len(b)
    _, score, information = likelihood(fit.seen, b, design)
    error = np.sqrt(np.diag(fit.covariance))[skip:]
    moved = sums_by(score, fit.members, fit.groups) @ linalg.inv(information) / error
    rows = []
    for driver in fit.drivers:
        places = [place - skip for place in places_of(fit, driver)]
        group, _ = np.unravel_index(np.abs(moved[:, places]).argmax(), (fit.groups, len(places)))
        rows_of = np.flatnonzero(fit.members == group)
        value = _without(fit, design, b, information, score, rows_of, error, places)
        alarm = bool(value > 1)
        name = _name_of(fit, used, int(rows_of[0]))
        words = f"without {name} the effect of {driver} moves by {value:.1f} standard errors"
        rows.append(
            _row(INFLUENCE, driver, "standard errors", value, 1.0, alarm=alarm,
                 words=words if alarm else "")
        )  # fmt: skip
    return rows


def _without(fit, design, b, information, score, rows, error, places) -> float:
    own = np.zeros_like(information)
    if fit.kind != "time":  # a duration's own information is that of its risk sets
        own = likelihood(fit.seen.at(rows), b, design[rows])[2]
    change = np.linalg.pinv(information - own, hermitian=True) @ score[rows].sum(axis=0)
    return float(np.abs(change / error)[places].max())


def _name_of(fit: Fit, used: pd.DataFrame, row: int) -> str:
    if not fit.cluster:
        return "one record"
    name = used[fit.cluster].iloc[row]
    return f"the rows without {fit.cluster}" if pd.isna(name) else f"{fit.cluster} {name}"


def _blanks(fit: Fit, records: pd.DataFrame) -> list[dict]:
    """Whether the outcome is another where a driver is blank."""
    told = records[records[fit.outcome].notna()]
    y = _as_numbers(told[fit.outcome], fit.kind)
    groups = np.arange(len(told))
    if fit.cluster:
        groups = pd.factorize(told[fit.cluster].astype("str"), use_na_sentinel=False)[0]
    rows = [_without_outcome(fit, records, len(told))]
    for driver in fit.drivers:
        blank = told[driver].isna().to_numpy(dtype=bool)
        rows.append(_of_blank(driver, blank, y, groups, fit.confidence))
    return rows


def _as_numbers(values: pd.Series, kind: str) -> np.ndarray:
    if kind == "binary":
        return true_or_false(values)
    codes = values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values
    return codes.to_numpy(dtype=float)


def _without_outcome(fit: Fit, records: pd.DataFrame, told: int) -> dict:
    share = 1 - told / len(records)
    alarm = share > MOST_BLANKS
    words = f"{share:.0%} of the records have no outcome" if alarm else ""
    return _row(BLANKS, fit.outcome, "share blank", share, MOST_BLANKS, alarm=alarm, words=words)


def _of_blank(driver, blank, y, groups, confidence: float) -> dict:
    n, measure = int(blank.sum()), "outcome if blank less if given"
    if not n:
        return _row(BLANKS, driver, measure, 0.0, 0.0)
    if min(n, len(y) - n) < FEWEST_BLANKS:
        return _row(BLANKS, driver, measure, np.nan, 0.0, note=counted(n, "blank"))
    means = y[blank].mean(), y[~blank].mean()
    parts = np.where(blank, (y - means[0]) / n, -(y - means[1]) / (len(y) - n))
    t = stats.t.ppf((1 + confidence) / 2, max(groups.max(), 1))
    half = t * np.sqrt(interval.variance_of_sum(parts, groups))
    value = float(means[0] - means[1])
    alarm = bool(n > MOST_BLANKS * len(y) and abs(value) > half)
    words = ""
    if alarm:
        told = interval.spell(value, value - half, value + half, confidence=confidence)
        words = f"{driver} is blank in {n / len(y):.0%}, where the outcome differs by {told}"
    limits = {"low": value - half, "high": value + half}
    return _row(BLANKS, driver, measure, value, 0.0, alarm=alarm, words=words, **limits)
