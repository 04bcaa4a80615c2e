"""Do the drivers differ between groups of customers?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import linalg, stats

from sqm import interval, look
from sqm.checks import Refusal, need_columns
from sqm.finding import Finding, counted, listed
from sqm.interval import holm
from sqm.regression import (
    Fit,
    fit_outcome,
    fitted_records,
    known_to,
    likelihood,
    places_of,
    sums_by,
)

MOST_SEGMENTS = 20
POOLED = "pooled"
EFFECT, SPREAD = "coefficient", "spread"
DIFFERS = "differs between groups"
SIGNS = "opposite signs in two groups"
SIMPSON = "pooled sign against every group (Simpson's paradox)"
RANKS = "weighs more than another driver in one group, less in another"
RATIOS = {
    "binary": "odds ratio",
    "ordered": "odds ratio of a higher level",
    "count": "rate ratio",
    "time": "hazard ratio",
}


@dataclass(frozen=True, eq=False)
class Segments(Finding):
    """The drivers' effects in each group of customers, beside those of all.

    Attributes
    ----------
    table : DataFrame, one row per group and coefficient, and per group and driver
        ``segment`` ('pooled' first); ``driver``; ``term``; ``measure``:
        'coefficient' (log odds, log rate or log hazard, per unit of the fit) or
        'spread', the standard deviation of what the driver adds to the linear
        predictor in that group; ``estimate, low, high``; ``ratio, ratio_low,
        ratio_high``, exp of a coefficient; ``records, events`` of the group;
        on pooled rows ``f, df, df2, p``, the test that groups agree (p after
        Holm), and ``alarm``, what differs; ``note``, why a row is blank.
    differing, reversed, paradox, swapped : tuple of str
        Terms that differ between groups; with clear effects of opposite sign in
        two of them; whose pooled sign is against every group; and drivers
        (``a / b``) of which each clearly outweighs the other in some group.
    smallest_p : float
        Of the terms, after Holm.
    terms, fitted, unfitted : int
        Terms tested, groups with a model, and groups without.
    segment, outcome, kind : str
    records, left_out : int
        Records used, and those without a group.
    confidence : float
    """

    differing: tuple[str, ...]
    reversed: tuple[str, ...]
    paradox: tuple[str, ...]
    swapped: tuple[str, ...]
    smallest_p: float
    terms: int
    fitted: int
    unfitted: int
    segment: str
    outcome: str
    kind: str
    records: int
    left_out: int
    confidence: float

    def sentence(self) -> str:
        words = [f"{self._first()}\n{self._alarms()}", self._not_fitted()]
        words.append(
            f"Each group has its own model of '{self.outcome}'; {self.records:,} records, "
            f"{self.left_out:,} without a group left out. Each p allows for clusters, and for the "
            f"number of coefficients (Holm, {self.terms}). Intervals of the spread, by which "
            "drivers are ranked, are approximate. That groups agree is not shown where they are "
            "small."
        )
        return " ".join(filter(None, words))

    def _first(self) -> str:
        groups = f"{counted(self.fitted, 'group')} by {look.shorten(self.segment, width=30)}"
        if self.paradox:
            return self._against_all(groups)
        told = [*self.reversed, *self.differing]
        if not told:
            return (
                f"No driver of '{look.shorten(self.outcome, width=30)}' differs clearly between "
                f"{groups} (smallest {interval.spell_p(self.smallest_p)})."
            )
        rows = self.table[(self.table["term"] == told[0]) & (self.table["measure"] == EFFECT)]
        apart = rows[rows["segment"] != POOLED].dropna(subset=["estimate"])
        ends = [apart.loc[apart["estimate"].idxmin()], apart.loc[apart["estimate"].idxmax()]]
        spelt = " and ".join(f"{self._spelt(row)} in {_short(row['segment'])}" for row in ends)
        return (
            f"Between {groups} the drivers differ: {look.shorten(told[0], width=30)} has "
            f"{'an' if RATIOS[self.kind].startswith('o') else 'a'} {RATIOS[self.kind]} of {spelt}."
        )

    def _against_all(self, groups: str) -> str:
        """Of the first term whose pooled sign is that of no group."""
        term = self.paradox[0]
        rows = self.table[(self.table["term"] == term) & (self.table["measure"] == EFFECT)]
        pooled = rows[rows["segment"] == POOLED].iloc[0]
        own = rows[rows["segment"] != POOLED]["ratio"].dropna()
        return (
            f"Pooled, {look.shorten(term, width=30)} goes the other way than in each of {groups}: "
            f"{RATIOS[self.kind]} {self._spelt(pooled)} pooled, {own.min():.2f} to {own.max():.2f} "
            "within them."
        )

    def _spelt(self, row: pd.Series) -> str:
        values = (row["ratio"], row["ratio_low"], row["ratio_high"])
        return interval.spell(*values, confidence=self.confidence)

    def _alarms(self) -> str:
        said = [
            f"{words}: {listed([look.shorten(each) for each in which], most=3)}"
            for which, words in (
                (self.paradox, "Pooled sign against every group (Simpson's paradox)"),
                (self.reversed, "Opposite signs, both clear, in two groups"),
                (self.differing, "Differing in size or sign"),
                (self.swapped, "Each outweighing the other in some group"),
            )
            if which
        ]
        if not said:
            return "No sign and no order of drivers is reversed with certainty."
        return f"{'. '.join(said)}. Read these by group, not pooled."

    def _not_fitted(self) -> str:
        if not self.unfitted:
            return ""
        blank = self.table[(self.table["note"] != "") & (self.table["term"] == "")]
        told = [f"{_short(row.segment)} ({row.note})" for row in blank.itertuples()]
        return f"Without a model: {listed(told, most=3, apart='; ')}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table[self.table["measure"] == EFFECT].dropna(subset=["estimate"])
        known = known[known["term"] != ""]
        order = {term: place for place, term in enumerate(known["term"].drop_duplicates())}
        known = known.sort_values("term", key=lambda term: term.map(order), kind="stable")
        names = [
            f"{look.shorten(r.term, width=26)} · {_short(r.segment)}" for r in known.itertuples()
        ]
        alarming = known.loc[known["alarm"] != "", "term"].tolist()
        meaning = [
            "other" if row.segment == POOLED else "worse" if row.term in alarming else "usual"
            for row in known.itertuples()
        ]
        look.dots(ax, known, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="Do the drivers differ between groups of customers?",
            x=f"log {RATIOS[self.kind]}, {self.confidence * 100:.4g}% interval",
        )


def _short(segment: str) -> str:
    return look.shorten(str(segment), width=20)


def effects_by_segment(fit: Fit, records: pd.DataFrame, *, segment: str = "channel") -> Segments:
    """Fit the same model in each group, and ask whether the drivers' effects agree.

    Parameters
    ----------
    fit : Fit
        The pooled model, of any kind.
    records : DataFrame
        Those that it was fitted to.
    segment : str
        Column of groups (channel, language, region), at most 20.

    Returns
    -------
    Segments

    Raises
    ------
    Problem
        If the records are not those of the fit.
    Refusal
        If the column is missing or has more than 20 groups, or fewer than two
        groups can have a model.

    Notes
    -----
    A driver without variation in a group is left out of that group's model, as
    is ``segment`` itself.  That the coefficients b_s of a term agree is tested
    by Cochran's Q with Welch's correction for few clusters [1]_: with C the
    contrasts against the first group, T = (C b)' (C V C')^-1 C b over K - 1,
    divided by 1 + 2 (K - 2) / (K^2 - 1) A, against F with K - 1 and
    (K^2 - 1) / (3 A) degrees of freedom; A = sum (1 - w_s / W)^2 / (G_s - 1)
    with w the reciprocal variances.  V has the covariances of groups that share
    clusters.  Opposite signs count where both are clear after Holm's correction
    for all terms and groups, orders of drivers after Bonferroni's for all pairs
    and groups.  Odds ratios of the pooled model may lie nearer 1 than those of
    all groups without any of this (they do not collapse [2]_).

    References
    ----------
    .. [1] Welch, B. L. (1951). On the comparison of several mean values.
       Biometrika 38, 330-336. doi:10.1093/biomet/38.3-4.330
    .. [2] Greenland, S., Robins, J. M., Pearl, J. (1999). Confounding and
       collapsibility in causal inference. Statistical Science 14, 29-46.
       doi:10.1214/ss/1009211805

    Examples
    --------
    Odds of 1 against 1/4 by telephone, and the other way round by chat.

    >>> from sqm.regression import fit_logistic
    >>> def of(channel, slow, yes, no):
    ...     return [[channel, slow, 1]] * yes + [[channel, slow, 0]] * no
    >>> records = pd.DataFrame(of("phone", 1, 50, 50) + of("phone", 0, 20, 80)
    ...                        + of("chat", 1, 20, 80) + of("chat", 0, 50, 50),
    ...                        columns=["channel", "slow", "complained"])
    >>> fit = fit_logistic(records, drivers=["slow"], fixed="", cluster="")
    >>> found = effects_by_segment(fit, records)
    >>> found.table.query("measure == 'coefficient'")["ratio"].round(6).tolist()
    [1.0, 0.25, 4.0]
    >>> found.reversed
    ('slow',)
    """
    used, left_out = _used(fit, records, segment)
    levels = sorted(used[segment].dropna().unique())
    _need_groups(levels, segment)
    parts = [_part(fit, used, segment, level) for level in levels]
    fitted = [part for part in parts if part.fit is not None]
    if len(fitted) < 2:
        reasons = [f"{_short(part.level)}: {part.note}" for part in parts if part.note]
        raise Refusal(
            f"Fewer than two groups of {segment!r} can have a model of their own "
            f"({listed(reasons, most=2, apart='; ')}).",
            "join groups, or take a longer period.",
        )
    names = [term.name for term in fit.terms if term.column and not term.fixed]
    names = [name for name in names if sum(name in part.names for part in fitted) >= 2]
    tests = _tests(fit, fitted, names)
    table = pd.concat([_rows_of(_pooled(fit)), *map(_rows_of, parts)], ignore_index=True)
    return _found(fit, table, tests, fitted, parts, segment, len(used), left_out)


def _used(fit: Fit, records: pd.DataFrame, segment: str) -> tuple[pd.DataFrame, int]:
    need_columns(records, [segment], source="The table of records")
    used = fitted_records(fit, records).reset_index(drop=True)
    used[segment] = used[segment].astype("str")
    return used, int(used[segment].isna().sum())


def _need_groups(levels: list[str], segment: str) -> None:
    if not 2 <= len(levels) <= MOST_SEGMENTS:
        raise Refusal(
            f"{segment!r} has {counted(len(levels), 'group')}; 2 to {MOST_SEGMENTS} can be "
            "compared.",
            "name a column of a few groups, or join the rare ones.",
        )


# --- The model of one group -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """One group's model: or none, and why."""

    level: str
    fit: Fit | None
    names: tuple[str, ...]  # terms that mean the same as in the pooled model
    influence: np.ndarray  # of each cluster of all records on each coefficient
    records: int
    note: str


def _part(fit: Fit, used: pd.DataFrame, segment: str, level: str) -> _Part:
    rows = used[used[segment] == level]
    try:
        own = _fitted(fit, rows, segment)
    except Refusal as why:
        return _Part(level, None, (), np.zeros((0, 0)), len(rows), why.what)
    same = tuple(
        term.name
        for term in own.terms
        if term.column
        and not term.fixed
        and own.references.get(term.column) == fit.references.get(term.column)
    )
    rows = known_to(own, rows)[0]
    if fit.kind == "time":
        rows = rows.sort_values(fit.outcome, kind="stable")
    members = fit.members[rows.index.to_numpy()]
    return _Part(level, own, same, _influence(own, members, fit.groups), len(rows), "")


def _fitted(fit: Fit, rows: pd.DataFrame, segment: str) -> Fit:
    drivers = [d for d in fit.drivers if d != segment and (rows[d] != rows[d].iloc[0]).any()]
    if not drivers:
        raise Refusal("no driver varies.", "join groups.")
    reference = {
        column: level
        for column, level in fit.references.items()
        if column in drivers and (rows[column].astype("str") == level).any()
    }
    return fit_outcome(
        rows,
        drivers=drivers,
        outcome=fit.outcome,
        kind=fit.kind,
        fixed="" if fit.fixed == segment else fit.fixed,
        cluster="" if fit.cluster == segment else fit.cluster,
        per={term.column: term.per for term in fit.terms if term.column in drivers},
        reference=reference,
        exposure=fit.exposure,
        running=fit.running,
        horizon=fit.horizon if fit.kind == "time" else None,
        confidence=fit.confidence,
    )


def _influence(own: Fit, members: np.ndarray, groups: int) -> np.ndarray:
    """What each cluster adds to each coefficient, shape (groups, coefficients)."""
    skip = 1 if own.kind == "time" else 0
    _, score, information = likelihood(own.seen, own.b[skip:], own.design[:, skip:])
    sums = sums_by(score, members, groups) @ linalg.inv(information)
    return np.column_stack([np.zeros((groups, skip)), sums])


def _pooled(fit: Fit) -> _Part:
    names = tuple(term.name for term in fit.terms if term.column and not term.fixed)
    return _Part(POOLED, fit, names, np.zeros((0, 0)), fit.records, "")


def _rows_of(part: _Part) -> pd.DataFrame:
    usual = {"segment": part.level, "records": part.records, "note": ""}
    if part.fit is None:
        return pd.DataFrame([{**usual, "driver": "", "term": "", "measure": EFFECT,
                              "events": np.nan, "note": part.note}])  # fmt: skip
    own, rows = part.fit, []
    usual["events"] = own.events
    for place, term in enumerate(own.terms):
        if not term.column or term.fixed:
            continue
        row = {**usual, "driver": term.column, "term": term.name, "measure": EFFECT}
        if term.name in part.names:
            half = own.quantile * np.sqrt(own.covariance[place, place])
            row |= _limits(own.b[place], half)
        else:
            row["note"] = "the reference of all is missing in this group"
        rows.append(row)
    for driver in own.drivers:
        row = {**usual, "driver": driver, "term": driver, "measure": SPREAD}
        value, gradient = _spread(own, driver)
        half = own.quantile * np.sqrt(gradient @ own.covariance @ gradient)
        row |= {"estimate": value, "low": max(value - half, 0.0), "high": value + half}
        rows.append(row)
    return pd.DataFrame(rows)


def _limits(b: float, half: float) -> dict:
    values = {"estimate": b, "low": b - half, "high": b + half}
    names = ("ratio", "ratio_low", "ratio_high")
    return values | {name: float(np.exp(v)) for name, v in zip(names, values.values(), strict=True)}


def _spread(own: Fit, driver: str) -> tuple[float, np.ndarray]:
    """Standard deviation of what a driver adds to the linear predictor, and its slope."""
    places = places_of(own, driver)
    among = np.atleast_2d(np.cov(own.design[:, places], rowvar=False))
    b = own.b[places]
    value = float(np.sqrt(b @ among @ b))
    gradient = np.zeros(len(own.b))
    gradient[places] = among @ b / max(value, 1e-12)
    return value, gradient


# --- Whether groups agree -------------------------------------------------------------------------


def _tests(fit: Fit, fitted: list[_Part], names: list[str]) -> pd.DataFrame:
    rows = [_agree(fit, [part for part in fitted if name in part.names], name) for name in names]
    table = pd.DataFrame(rows, columns=["term", "f", "df", "df2", "p", "mean", "error"])
    return table.assign(p=holm(table["p"].to_numpy(dtype=float)))


def _agree(fit: Fit, parts: list[_Part], name: str) -> tuple:
    """Welch's test that one term has the same coefficient in all groups, and their mean."""
    places = [[term.name for term in part.fit.terms].index(name) for part in parts]
    b = np.array([part.fit.b[i] for part, i in zip(parts, places, strict=True)])
    own = np.array([part.fit.covariance[i, i] for part, i in zip(parts, places, strict=True)])
    sums = np.column_stack([part.influence[:, i] for part, i in zip(parts, places, strict=True)])
    among = sums.T @ sums
    scale = np.sqrt(own / np.diag(among))  # so that each group keeps its own variance
    among = among * np.outer(scale, scale)
    k = len(b)
    contrast = np.column_stack([-np.ones(k - 1), np.eye(k - 1)])
    apart = contrast @ b
    squared = apart @ linalg.solve(contrast @ among @ contrast.T, apart)
    weight = 1 / own
    few = np.array([1 / max(part.fit.groups - 1, 1) for part in parts])
    a = float((few * (1 - weight / weight.sum()) ** 2).sum())
    f = float(squared / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * a))
    df2 = (k**2 - 1) / (3 * a)
    mean = float(weight @ b / weight.sum())
    error = float(np.sqrt(weight @ among @ weight) / weight.sum())
    return name, f, k - 1, df2, float(stats.f.sf(f, k - 1, df2)), mean, error


def _signs(fitted: list[_Part], names: list[str], level: float) -> list[str]:
    """Terms with effects of opposite sign in two groups, both clear for all terms and groups."""
    found = [
        (name, part.fit.b[place], _chance_of(part.fit, place))
        for name in names
        for part in fitted
        if name in part.names
        for place in [[term.name for term in part.fit.terms].index(name)]
    ]
    table = pd.DataFrame(found, columns=["term", "b", "p"])
    table = table[holm(table["p"].to_numpy(dtype=float)) < level]
    signs = np.sign(table["b"]).groupby(table["term"]).nunique()
    return [name for name in names if signs.get(name, 0) > 1]


def _chance_of(own: Fit, place: int) -> float:
    """p of one coefficient being 0, by Student's t as its interval."""
    t = abs(own.b[place]) / np.sqrt(own.covariance[place, place])
    return float(2 * stats.t.sf(t, max(own.groups - 1, 1)))


def _paradox(table: pd.DataFrame, test, quantile: float) -> bool:
    """Whether the pooled effect is clear, and clearly against the mean and every group."""
    rows = table[(table["term"] == test.term) & (table["measure"] == EFFECT)]
    pooled, rest = rows[rows["segment"] == POOLED].iloc[0], rows[rows["segment"] != POOLED]
    sign = 1 if pooled["low"] > 0 else -1 if pooled["high"] < 0 else 0
    against = (rest["estimate"].dropna() * sign < 0).all()
    return bool(sign and against and -sign * test.mean > quantile * test.error)


def _swapped(fitted: list[_Part], level: float) -> list[str]:
    """Pairs of drivers of which each outweighs the other in some group, clear of all compared."""
    drivers = list(dict.fromkeys(driver for part in fitted for driver in part.fit.drivers))
    pairs = list(combinations(drivers, 2))
    each = level / max(len(pairs) * len(fitted), 1)
    found = []
    for one, other in pairs:
        clear = {_outweighs(part.fit, one, other, each) for part in fitted}
        if {1, -1} <= clear:
            found.append(f"{one} / {other}")
    return found


def _outweighs(own: Fit, one: str, other: str, level: float) -> int:
    if one not in own.drivers or other not in own.drivers:
        return 0
    (a, slope_a), (b, slope_b) = _spread(own, one), _spread(own, other)
    slope = slope_a - slope_b
    quantile = stats.t.ppf(1 - level / 2, max(own.groups - 1, 1))
    half = quantile * np.sqrt(slope @ own.covariance @ slope)
    return int(np.sign(a - b)) if abs(a - b) > half else 0


def _found(fit, table, tests, fitted, parts, segment, records, left_out) -> Segments:
    level = 1 - fit.confidence
    reversed_ = _signs(fitted, list(tests["term"]), level)
    paradox, differing = [], []
    for test in tests.itertuples():
        if _paradox(table, test, fit.quantile):
            paradox.append(test.term)
        if test.p < level:
            differing.append(test.term)
    swapped = _swapped(fitted, level)
    words = {DIFFERS: differing, SIGNS: reversed_, SIMPSON: paradox}
    p = tests["p"].to_numpy(dtype=float)
    return Segments(
        table=_with_tests(table, tests, words, swapped),
        differing=tuple(differing),
        reversed=tuple(reversed_),
        paradox=tuple(paradox),
        swapped=tuple(swapped),
        smallest_p=float(np.nanmin(p)) if len(p) else np.nan,
        terms=len(tests),
        fitted=len(fitted),
        unfitted=len(parts) - len(fitted),
        segment=segment,
        outcome=fit.outcome,
        kind=fit.kind,
        records=records - left_out,
        left_out=left_out,
        confidence=fit.confidence,
    )


def _with_tests(table, tests, words: dict, swapped: list[str]) -> pd.DataFrame:
    """Set the tests and alarms beside the pooled effects."""
    pooled = table["segment"] == POOLED
    effects = pooled & (table["measure"] == EFFECT)
    by_term = tests.set_index("term")
    for column in ("f", "df", "df2", "p"):
        table[column] = table["term"].map(by_term[column]).where(effects).astype(float)
    said = {
        term: "; ".join(word for word, terms in words.items() if term in terms)
        for term in tests["term"]
    }
    table["alarm"] = table["term"].map(said).where(effects).fillna("")
    among = {driver for pair in swapped for driver in pair.split(" / ")}
    spread = pooled & (table["measure"] == SPREAD) & table["driver"].isin(among)
    table.loc[spread, "alarm"] = RANKS
    columns = ["segment", "driver", "term", "measure", "estimate", "low", "high"]
    columns += ["ratio", "ratio_low", "ratio_high", "records", "events"]
    return table[[*columns, "f", "df", "df2", "p", "alarm", "note"]]
