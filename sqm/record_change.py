"""What changed at the changed sites, like compared with like?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import linalg, stats
from scipy.special import expit

from sqm import clock
from sqm.checks import Refusal, need_columns
from sqm.evidence import Rung
from sqm.finding import counted
from sqm.panel_change import (
    WEEK,
    WEEKS_AFTER,
    WEEKS_BEFORE,
    bare,
    day_of,
    holds_zero,
    late_half,
    numbers,
    two_way,
)

NAIVE = "before and after"
STRATIFIED = "stratified"
ADJUSTED = "regression-adjusted"
WEIGHTED = "weighted"

DERIVED = ("weekday", "hour")  # strata that are read off the time where no column has the name
BLANK = "(blank)"
BALANCED = 0.1  # standardised difference that is still called balance (Austin 2009)
COVERED = 0.95  # share of the records after that must have a like before: a convention of sqm
STEPS = 50  # of Newton's method

CHANGED = "change at the changed sites"
ALONE = "nothing else changed at those sites when the change came"


@dataclass(frozen=True, eq=False)
class Changed:
    """Records of the changed sites in whole weeks before and after the change.

    Attributes
    ----------
    rows : DataFrame, one row a record
        ``value`` (float), ``after`` (bool), ``site``, ``period`` (first day of the week), and the
        columns asked for: numbers as they are, all else as text with blanks named.
    sites : tuple of str
    left_out : int
        Records of those weeks and sites without a value.
    """

    rows: pd.DataFrame
    sites: tuple[str, ...]
    left_out: int


def changed_records(
    records: pd.DataFrame,
    *,
    time: str,
    site: str,
    measure: str,
    treated: Sequence[str],
    change_on: str,
    calendar: clock.Calendar,
    columns: Sequence[str] = (),
) -> Changed:
    """Pick the records of the changed sites, in whole weeks on either side of the change.

    Parameters
    ----------
    records : DataFrame, one row a contact
    time, site, measure : str
        Columns: when, where, and what is averaged (numbers, or yes and no).
    treated : sequence of str
        Sites with the change, two or more.
    change_on : str
        Its date; a week that has begun by then is in neither part.
    calendar : Calendar
    columns : sequence of str
        What else is kept; ``weekday`` and ``hour`` are read off the local time if no column has
        that name.

    Raises
    ------
    Refusal
        With fewer than eight weeks before or two after, or one site: one cluster has no spread.

    Examples
    --------
    >>> days = pd.date_range("2025-01-06", periods=140, freq="12h")  # ten weeks
    >>> records = pd.DataFrame({"arrived": days, "site": ["N1", "N2"] * 70, "late": [1, 0] * 70})
    >>> found = changed_records(records, time="arrived", site="site", measure="late",
    ...     treated=["N1", "N2"], change_on="2025-03-03", calendar=clock.Calendar(),
    ...     columns=["hour"])
    >>> found.rows["after"].sum().item(), found.sites
    (28, ('N1', 'N2'))
    """
    need_columns(records, [time, site, measure], source="The table of records")
    need_columns(records, [c for c in columns if c not in DERIVED], source="The table of records")
    day, when = day_of(change_on), records[time]
    names = [str(each) for each in treated]
    week = clock.week_of(when, calendar=calendar)
    whole = week.isin(clock.whole_weeks(when, calendar=calendar))
    whole &= (week >= day) | (week + WEEK <= day)
    here = records[whole & records[site].astype("str").isin(names)]
    value = numbers(here[measure], name=measure)
    rows = {"value": value, "after": week[here.index] >= day, "site": here[site].astype("str")}
    rows |= {"period": week[here.index]}
    rows |= {name: _column(here, name, time) for name in columns}
    rows = pd.DataFrame(rows)
    used = rows[rows["value"].notna()].reset_index(drop=True)
    used = used[used.groupby("site")["after"].transform("nunique") == 2].reset_index(drop=True)
    _need_enough(used)
    return Changed(used, tuple(sorted(used["site"].unique())), int(rows["value"].isna().sum()))


def _column(records: pd.DataFrame, name: str, time: str) -> pd.Series:
    if name not in records:
        local = clock.local(records[time])
        return local.dt.day_name() if name == "weekday" else local.dt.hour.astype("str")
    column = records[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        if column.notna().all():
            return column.astype(float)
        raise Refusal(
            f"{name!r} has {int(column.isna().sum())} blanks among its numbers.",
            "give it as groups (text), of which blank is one.",
        )
    return column.astype("str").fillna(BLANK)


def _need_enough(used: pd.DataFrame) -> None:
    sites = used["site"].unique()
    if len(sites) < 2:
        raise Refusal(
            f"{counted(len(sites), 'changed site')} ({', '.join(sites) or 'none'}) with records on"
            " both sides of the change: one cluster cannot show how sites differ by themselves.",
            "compare two changed sites or more.",
        )
    weeks = used.groupby("after")["period"].nunique()
    for side, fewest, which in ((False, WEEKS_BEFORE, "before"), (True, WEEKS_AFTER, "after")):
        if weeks.get(side, 0) < fewest:
            raise Refusal(
                f"The changed sites have only {counted(int(weeks.get(side, 0)), 'whole week')}"
                f" {which} the change; {fewest} are the fewest.",
                "collect more weeks.",
            )
    if np.ptp(used["value"]) == 0:
        raise Refusal("The measure is the same in every record.", "check the measure.")


# --- The designs ----------------------------------------------------------------------------------


def before_and_after(changed: Changed, *, confidence: float) -> Rung:
    """The mean after less the mean before, site by site, as it stands.

    Notes
    -----
    Clustered by site with the CR2 correction and Satterthwaite's degrees of freedom, as the row
    ``naive`` of `sqm.methods.effect`.  Its check is a made-up date in the middle of the weeks
    before.

    Examples
    --------
    Two sites go from 1 to 3 and from 2 to 6: 3 on average.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D").repeat(2)
    >>> rows = pd.DataFrame({"site": ["A", "B"] * 10, "period": weeks, "after": [False] * 16
    ...     + [True] * 4, "value": [1.0, 2] * 8 + [3.0, 6] * 2})
    >>> before_and_after(Changed(rows, ("A", "B"), 0), confidence=0.95).estimate.__round__(6)
    3.0
    """

    def step(part: Changed) -> tuple[float, float, float]:
        fit = _plain(part.rows, confidence)
        return fit.estimate, fit.standard_error, fit.degrees_of_freedom

    return _rung(
        changed, step, NAIVE, f"{CHANGED}, all records after less all before", ALONE, confidence
    )


def stratified(changed: Changed, *, strata: Sequence[str], confidence: float) -> Rung:
    """The same within strata, which are weighed by the records after.

    Parameters
    ----------
    changed : Changed
    strata : sequence of str
        Columns; the site is always one of them.
    confidence : float

    Raises
    ------
    Refusal
        If no stratum is named, or none has records on both sides.

    Notes
    -----
    sum n_s (after_s - before_s) / sum n_s, n_s the records after in stratum s: direct
    standardisation to the mix after.  Strata without records before are left out and counted: the
    check is passed if they hold at most 5 % of the records after.  The interval is that of the
    delete-one-site jackknife with Student's t of one degree of freedom less than sites [1]_, which
    is conservative.

    References
    ----------
    .. [1] Bell, R. M., McCaffrey, D. F. (2002). Survey Methodology 28, 169-181.

    Examples
    --------
    In chats 1 becomes 2, in calls 5 stays 5, and calls grow from half to three quarters: plain
    means rise by 1.25, alike strata by 0.25.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> rows = pd.DataFrame([{"site": s, "period": w, "after": i > 7, "channel": c, "value": v}
    ...     for s in "AB" for i, w in enumerate(weeks)
    ...     for c, v in ([("chat", 2.0)] + [("call", 5.0)] * 3 if i > 7
    ...                  else [("chat", 1.0), ("call", 5.0)] * 2)])
    >>> found = stratified(Changed(rows, ("A", "B"), 0), strata=["channel"], confidence=0.95)
    >>> found.estimate, found.passed
    (0.25, 'yes')
    """
    _need_named(strata, "strata")

    def step(part: Changed) -> tuple[float, float, float]:
        top, bottom, _ = _by_strata(part.rows, strata)
        left = (top.sum() - top) / (bottom.sum() - bottom)
        return _jackknifed(float(top.sum() / bottom.sum()), left)

    lost = _by_strata(changed.rows, strata)[2]
    after = int(changed.rows["after"].sum())
    found = _rung(
        changed,
        step,
        STRATIFIED,
        f"{CHANGED} within {' by '.join(('site', *strata))}, weighed by the records after",
        f"{ALONE}, other than the mix of records that the strata show",
        confidence,
    )
    return _covered(found, lost, after)


def _covered(found: Rung, lost: int, after: int) -> Rung:
    """Say how many records after have no like before; too many, and the check has failed."""
    words = f"{lost:,} of {after:,} records after have no like before and are left out"
    few = lost <= (1 - COVERED) * after
    return replace(found, check=f"{words}; {found.check}", passed=found.passed if few else "no")


def adjusted(changed: Changed, *, mix: Sequence[str], confidence: float) -> Rung:
    """The mean after, less what a regression fitted to the records before expects of them.

    Parameters
    ----------
    changed : Changed
    mix : sequence of str
        Columns of the regression, beside the sites: numbers as a slope, groups as levels.
    confidence : float

    Notes
    -----
    Ordinary least squares on the records before, and its mean prediction for the records after:
    the average effect on the treated by g-computation.  With yes and no it is the linear
    probability model, whose mean over the records is all that is used; it is also a weighting of
    the records before, so that it holds if either model does [1]_.  The interval is that of the
    delete-one-site jackknife, which is conservative, the regression fitted anew each time.  The
    check is a made-up date in the middle of the weeks before.

    References
    ----------
    .. [1] Kline, P. (2011). Oaxaca-Blinder as a reweighting estimator. American Economic Review
       101(3), 532-537. doi:10.1257/aer.101.3.532

    Examples
    --------
    Before, the value is twice x, after it is twice x and 1, and x has grown.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> rows = pd.DataFrame([{"site": s, "period": w, "after": i > 7, "x": float(i + j),
    ...     "value": 2.0 * (i + j) + (i > 7)} for s in "AB" for i, w in enumerate(weeks)
    ...     for j in range(3)])
    >>> round(adjusted(Changed(rows, ("A", "B"), 0), mix=["x"], confidence=0.95).estimate, 6)
    1.0
    """
    alike, lost = _alike(changed, mix)

    def step(part: Changed) -> tuple[float, float, float]:
        return _predicted_away(part, mix)

    found = _rung(
        alike,
        step,
        ADJUSTED,
        f"{CHANGED}, records after against what {', '.join(mix)} and the site let expect of them",
        f"{ALONE}, other than the mix of records that the regression holds",
        confidence,
    )
    return _covered(found, lost, int(changed.rows["after"].sum()))


def weighted(changed: Changed, *, mix: Sequence[str], confidence: float) -> Rung:
    """The mean after, less that of the records before weighed to look like those after.

    Parameters
    ----------
    changed : Changed
    mix : sequence of str
    confidence : float

    Raises
    ------
    Refusal
        If the mix tells before from after without error.

    Notes
    -----
    Weights e / (1 - e), e the chance of lying after the change given the mix and the site
    (logistic regression), shared out to sum to one (Hajek).  The jackknife by site refits that
    chance by one step of Newton's method, so that its error is in the interval, which is
    conservative.  The check: after weighing, no standardised difference of means beyond 0.1 [1]_.

    References
    ----------
    .. [1] Austin, P. C. (2009). Statistics in Medicine 28, 3083-3107. doi:10.1002/sim.3697

    Examples
    --------
    In chats 1 becomes 2, in calls 5 stays 5; calls grow from a half to three quarters: the chats
    before weigh 1 / 2, the calls 3 / 2, and 4.25 - 4 is left.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> rows = pd.DataFrame([{"site": s, "period": w, "after": i > 7, "channel": c, "value": v}
    ...     for s in "AB" for i, w in enumerate(weeks)
    ...     for c, v in ([("chat", 2.0)] + [("call", 5.0)] * 3 if i > 7
    ...                  else [("chat", 1.0), ("call", 5.0)] * 2)])
    >>> found = weighted(Changed(rows, ("A", "B"), 0), mix=["channel"], confidence=0.95)
    >>> round(found.estimate, 6)
    0.25
    """
    alike, lost = _alike(changed, mix)
    cells, design, names = _cells(alike, mix)
    parts = _Weighing.of(cells, design)
    estimate, error, df = _jackknifed(parts.effect(parts.b), parts.without_each())
    weights = odds(design, parts.b) * cells["before"].to_numpy(float)
    differences = standardised_differences(design, cells["n"].to_numpy(float), weights)
    worst = int(np.argmax(np.abs(differences)))
    first = standardised_differences(
        design, cells["n"].to_numpy(float), cells["before"].to_numpy(float)
    )
    first_worst = int(np.argmax(np.abs(first)))
    kept = kish_of_cells(odds(design, parts.b), cells["before"].to_numpy(float))
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    found = Rung(
        design=WEIGHTED,
        estimand=f"{CHANGED}, records before weighed to the {', '.join(mix)} and site of those"
        " after",
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        n=len(alike.rows),
        clusters=len(alike.sites),
        effective_n=float(alike.rows["after"].sum() + kept),
        assumes=f"{ALONE}, other than the mix of records that the weights hold",
        check=f"{cells['before'].sum():,.0f} records before weigh as much as {kept:,.0f}; largest"
        f" standardised difference {first[first_worst]:.2f} ({names[first_worst]}) before and"
        f" {differences[worst]:.2f} ({names[worst]}) after weighing",
        passed="yes" if abs(differences[worst]) <= BALANCED else "no",
    )
    return _covered(found, lost, int(changed.rows["after"].sum()))


# --- How they are reckoned ------------------------------------------------------------------------


def _need_named(columns: Sequence[str], what: str) -> None:
    if not columns:
        raise Refusal(f"No column is named under {what}.", f"name columns under {what}.")


def _alike(changed: Changed, mix: Sequence[str]) -> tuple[Changed, int]:
    """Records whose groups are seen on both sides, and how many after the change are not."""
    _need_named(mix, "mix")
    rows = changed.rows
    after, kept = rows["after"], pd.Series(True, index=rows.index)
    for column in mix:
        if not pd.api.types.is_numeric_dtype(rows[column]):
            both = set(rows.loc[after, column]) & set(rows.loc[~after, column])
            kept &= rows[column].isin(both)
    used = rows[kept].reset_index(drop=True)
    sides = used.groupby("site")["after"].nunique()
    if (sides == 2).sum() < 2:
        raise Refusal(
            f"The mix ({', '.join(mix)}) tells records before from records after without error:"
            " nothing before is like what came after.",
            "leave out the column that changed with the date.",
        )
    used = used[used["site"].isin(sides.index[sides == 2])].reset_index(drop=True)
    return Changed(used, tuple(sides.index[sides == 2]), 0), int((after & ~kept).sum())


def _rung(changed: Changed, step, design, estimand, assumes, confidence) -> Rung:
    """One row: the step, and the same for a made-up date in the weeks before."""
    estimate, error, df = step(changed)
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    check, passed = _placebo(changed, step, confidence)
    rows = changed.rows
    sides = rows["after"].value_counts()
    plain = float(rows["value"].var() * (1 / sides).sum())
    return Rung(
        design=design,
        estimand=estimand,
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        n=len(rows),
        clusters=len(changed.sites),
        effective_n=len(rows) * min(1.0, plain / error**2) if error > 0 else float(len(rows)),
        assumes=assumes,
        check=check,
        passed=passed,
    )


def _placebo(changed: Changed, step, confidence: float) -> tuple[str, str]:
    """The design with a made-up date, in words, and whether it holds zero."""
    before = changed.rows[~changed.rows["after"]]
    before = before.assign(after=late_half(before) > 0)
    both = before.groupby("site")["after"].transform("nunique") == 2
    part = Changed(before[both].reset_index(drop=True), changed.sites, 0)
    if part.rows["site"].nunique() < 2:
        return "too few sites in the weeks before for a made-up date", "cannot say"
    estimate, error, df = step(part)
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    limits = (estimate, estimate - half, estimate + half)
    words = f"a made-up date before the change gives {bare(*limits)}, where zero is right"
    return words, "yes" if holds_zero(*limits) else "no"


def _plain(rows: pd.DataFrame, confidence: float):
    by = rows.groupby(["site", "period"], sort=True)
    panel = by.agg(n=("value", "size"), mean=("value", "mean"), after=("after", "first"))
    panel = panel.reset_index()
    return two_way(panel, panel["after"], confidence=confidence, weeks=False)


def _jackknifed(estimate: float, left: np.ndarray) -> tuple[float, float, float]:
    """Estimate, its error from the estimates without each site, and degrees of freedom."""
    k = len(left)
    variance = (k - 1) / k * float(np.square(left - left.mean()).sum())
    return estimate, float(np.sqrt(variance)), k - 1.0


def _by_strata(rows: pd.DataFrame, strata) -> tuple[np.ndarray, np.ndarray, int]:
    """By site the sums of n_s (after_s - before_s) and of n_s; records after without a like."""
    by = list(dict.fromkeys(["site", *strata]))
    both = rows[by].assign(
        value_after=rows["value"].where(rows["after"]),
        value_before=rows["value"].mask(rows["after"]),
    )
    cells = both.groupby(by, sort=True)[["value_after", "value_before"]].agg(["mean", "count"])
    (after, n), (before, _) = (
        (cells[name, "mean"], cells[name, "count"]) for name in ("value_after", "value_before")
    )
    alike = after.notna() & before.notna()
    site = cells.index.get_level_values("site")
    top = ((after - before) * n).where(alike, 0.0).groupby(site).sum().to_numpy()
    bottom = n.where(alike, 0).groupby(site).sum().to_numpy(float)
    if (bottom > 0).sum() < 2:
        raise Refusal(
            "Fewer than two sites have strata with records on both sides of the change.",
            "name fewer or coarser strata.",
        )
    return top[bottom > 0], bottom[bottom > 0], int(n[~alike].sum())


def _indicators(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Numbers as they are, groups as one column a level but the first."""
    parts, names = [], []
    for column in columns:
        if column == "site":
            continue  # it has effects of its own in every design
        if pd.api.types.is_numeric_dtype(rows[column]):
            parts.append(rows[[column]].to_numpy(float))
            names.append(column)
            continue
        levels = sorted(rows[column].unique())
        codes = pd.Categorical(rows[column], categories=levels).codes
        parts.append((codes[:, None] == np.arange(1, len(levels))).astype(float))
        names += [f"{column} = {level}" for level in levels[1:]]
    return (np.hstack(parts) if parts else np.zeros((len(rows), 0))), names


def _predicted_away(changed: Changed, mix) -> tuple[float, float, float]:
    """Mean after less the mean that least squares on the records before expects, jackknifed.

    Sites are swept out, so that each site gives its own sums and one left out costs nothing.
    """
    cells, design, _ = _cells(changed, mix, sites=False)
    codes = pd.factorize(cells["site"], sort=True)[0]
    crossed, found = [], []
    for place in range(codes.max() + 1):
        own = codes == place
        x, part = design[own], cells[own]
        before, after = part["before"].to_numpy(float), part["n"].to_numpy(float)
        x_before, x_after = before @ x / before.sum(), after @ x / after.sum()
        y_before = part["before_sum"].sum() / before.sum()
        y_after = part["after_sum"].sum() / after.sum()
        apart = x - x_before
        crossed.append((apart.T * before) @ apart)
        slope = apart.T @ part["before_sum"].to_numpy(float)
        found.append((after.sum(), y_after - y_before, x_after - x_before, slope))
    size, moved, shift, slope = (np.array(each) for each in zip(*found, strict=True))
    crossed = np.array(crossed)

    def effect(keep: np.ndarray) -> float:
        b = np.linalg.pinv(crossed[keep].sum(axis=0), hermitian=True) @ slope[keep].sum(axis=0)
        return float(size[keep] @ (moved[keep] - shift[keep] @ b) / size[keep].sum())

    every = np.arange(len(size))
    left = np.array([effect(np.delete(every, place)) for place in every])
    return _jackknifed(effect(every), left)


def _cells(
    changed: Changed, mix: Sequence[str], *, sites: bool = True
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Records that look alike in one row, with the design of the mix (and the sites).

    ``n`` and ``after_sum`` count and sum the records after, ``before`` and ``before_sum`` those
    before.
    """
    columns = list(dict.fromkeys(["site", *mix]))
    rows = changed.rows
    after = rows["after"].to_numpy()
    sums = rows[columns].assign(
        n=after.astype(float),
        before=(~after).astype(float),
        after_sum=np.where(after, rows["value"], 0.0),
        before_sum=np.where(after, 0.0, rows["value"]),
    )
    cells = sums.groupby(columns, sort=True, as_index=False).sum()
    design, names = _indicators(cells, mix)
    if sites:
        codes, labels = pd.factorize(cells["site"], sort=True)
        dummies = (codes[:, None] == np.arange(1, len(labels))).astype(float)
        ones = np.ones((len(cells), 1))
        design = np.hstack([ones, dummies, design])
        names = ["all", *[f"site = {label}" for label in labels[1:]], *names]
    return cells, design, names


@dataclass(frozen=True, eq=False)
class _Weighing:
    """Chance of lying after the change, and the effect by the weights that it gives."""

    cells: pd.DataFrame
    design: np.ndarray
    b: np.ndarray

    @classmethod
    def of(cls, cells: pd.DataFrame, design: np.ndarray) -> _Weighing:
        after, before = (cells[name].to_numpy(float) for name in ("n", "before"))
        return cls(cells, design, chance_of(design, after, before))

    def effect(self, b: np.ndarray, keep: np.ndarray | slice = slice(None)) -> float:
        """Mean after less the weighed mean before, over the cells kept."""
        cells = self.cells[["n", "before", "after_sum", "before_sum"]].to_numpy(float)[keep]
        weight = odds(self.design[keep], b)
        return float(
            cells[:, 2].sum() / cells[:, 0].sum() - weight @ cells[:, 3] / (weight @ cells[:, 1])
        )

    def without_each(self) -> np.ndarray:
        """The effect without each site, its chance refitted by one step of Newton's method."""
        codes = pd.factorize(self.cells["site"], sort=True)[0]
        after, before = (self.cells[name].to_numpy(float) for name in ("n", "before"))
        p = expit(self.design @ self.b)
        score = self.design * (after - (after + before) * p)[:, None]
        curve = (after + before) * p * (1 - p)
        whole, found = (self.design.T * curve) @ self.design, []
        for place in range(codes.max() + 1):
            own = codes == place
            part = self.design[own]
            information = whole - (part.T * curve[own]) @ part
            moved = np.linalg.pinv(information, hermitian=True) @ score[own].sum(axis=0)
            found.append(self.effect(self.b - moved, ~own))
        return np.array(found)


def chance_of(design: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression on cells that hold counts of both kinds.

    Parameters
    ----------
    design : ndarray, shape (cells, columns)
        With a column of ones.
    after, before : ndarray, shape (cells,)
        Records of either kind.

    Raises
    ------
    Refusal
        If the columns part the two without error.

    Examples
    --------
    Three after, one before: log 3.

    >>> chance_of(np.ones((1, 1)), np.array([3.0]), np.array([1.0])).round(6).tolist()
    [1.098612]
    """
    scale = np.maximum(np.abs(design).max(axis=0), 1e-300)
    x, b, total = design / scale, np.zeros(design.shape[1]), after + before
    for _ in range(STEPS):
        p = expit(x @ b)
        information = (x.T * (total * p * (1 - p))) @ x
        try:
            step = linalg.lstsq(information, x.T @ (after - total * p), check_finite=True)[0]
        except (np.linalg.LinAlgError, ValueError):
            break
        b = b + step
        if np.abs(x @ b).max() > 30:
            break
        if np.abs(x @ step).max() < 1e-10:
            return b / scale
    raise Refusal(
        "The mix tells records before from records after without error: nothing before is like"
        " what came after.",
        "leave out the column that changed with the date.",
    )


def odds(design: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weights e / (1 - e) of the chance e that a logistic regression gives, shape (cells,).

    Examples
    --------
    >>> odds(np.ones((1, 1)), np.array([np.log(3)])).round(6).tolist()
    [3.0]
    """
    return np.exp(design @ b)


def kish_of_cells(weight: np.ndarray, count: np.ndarray) -> float:
    """Records that would weigh as much if all weighed alike, with ``count`` records a cell.

    Examples
    --------
    >>> kish_of_cells(np.array([1.0, 1.0]), np.array([3.0, 2.0]))
    5.0
    """
    return float((weight @ count) ** 2 / (weight**2 @ count))


def standardised_differences(
    columns: np.ndarray, after: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Weighed means after less those before, in standard deviations of the records after.

    Parameters
    ----------
    columns : ndarray, shape (cells, columns)
    after : ndarray, shape (cells,)
        Records after in each cell.
    weights : ndarray, shape (cells,)
        Weight of the records before in each cell.

    Returns
    -------
    ndarray, shape (columns,)
        0 where a column never varies after the change and the means agree.

    Examples
    --------
    Means 2 and 1, the records after 1 and 3 (standard deviation root 2).

    >>> standardised_differences(np.array([[1.0], [3.0], [1.0]]), np.array([1.0, 1, 0]),
    ...                          np.array([0.0, 0, 1])).round(4).tolist()
    [0.7071]
    """
    n = after.sum()
    mean = after @ columns / n
    spread = np.sqrt(after @ (columns - mean) ** 2 / (n - 1))
    apart = mean - weights @ columns / weights.sum()
    never = spread <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    apart = np.where(np.abs(apart) < 1e-12, 0.0, apart)
    return np.where(never & (apart == 0), 0.0, apart / np.where(never, 1e-12, spread))
