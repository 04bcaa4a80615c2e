"""Which columns were known before the outcome?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import interval, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share
from sqm.finding import Finding, counted, listed
from sqm.regression import (
    LEAKS_ABOVE,
    area_limits,
    is_number,
    need_both,
    need_grouping,
    true_or_false,
)

KNOWN_AT = ("before", "after")
STEPS = 20  # parts of equal size in which a number is tried beside its own order
FEWEST_ON_A_SIDE = 20  # rows with (or without) a blank, for a judgement of blankness
SOURCE = "The table of records"


@dataclass(frozen=True, eq=False)
class KnownBefore(Finding):
    """Which drivers may enter a model, and which speak with hindsight.

    Attributes
    ----------
    table : DataFrame, one row per driver
        ``driver``; ``known_at``, as declared ('before', 'after' or blank);
        ``estimate, low, high``, the area under the curve of the driver alone
        (0.5 tells nothing, 1 tells the outcome); ``told_by``, what was read
        ('order', 'steps' of a number, 'levels'); ``blanks``, rows without a
        value; ``share_if_blank, share_if_given``, of rows with the outcome (0
        to 1); ``blank_estimate, blank_low, blank_high``, the area of
        blankness alone; ``verdict`` ('kept', 'refused'); ``note``, the reason.
    allowed, refused : tuple of str
        Drivers that may enter, and those that may not.
    outcome : str
        What was to be told, in words.
    records, events, left_out : int
        Rows with a known outcome, those that have it, and rows without one.
    leaks_above, confidence : float
    clusters : int
        Groups of rows that may be alike, for the intervals, with those of one row.
    alone : int
        Rows without a cluster, each a group of its own.
    cluster : str
        Their column; blank if every row stands for itself.
    """

    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    outcome: str
    records: int
    events: int
    left_out: int
    leaks_above: float
    confidence: float
    clusters: int
    alone: int
    cluster: str

    def sentence(self) -> str:
        return (
            f"{self._first()}\nA driver is refused if it is declared as known after the outcome, "
            f"is not declared, or alone tells {self.outcome} with an area above "
            f"{self.leaks_above:g}; "
            "so is one whose being blank gives the outcome away. The levels of a category are "
            f"judged on rows they were not learnt from. {counted(self.records, 'row')} with a "
            f"known outcome, {self.events:,} with {self.outcome}; {self.left_out:,} without one "
            f"left out.{self._alike()}{self._blankness()} What was declared is taken on trust: a "
            "column filled in late that tells only a little cannot be found in the data."
        )

    def _first(self) -> str:
        first = f"{len(self.allowed)} of {counted(len(self.table), 'driver')} may enter"
        kept = self.table[self.table["verdict"] == "kept"].dropna(subset=["estimate"])
        if len(kept):
            most = kept.loc[kept["estimate"].idxmax()]
            told = interval.spell(most.estimate, most.low, most.high, confidence=self.confidence)
            first += f"; {look.shorten(most.driver, width=30)} alone tells most, area {told}"
        if self.refused:
            first += (
                f". Refused: {listed([look.shorten(d, width=24) for d in self.refused], most=3)}"
            )
        return f"{first}."

    def _alike(self) -> str:
        """Which rows the intervals take to be alike, those without a cluster apart."""
        if not self.cluster:
            return " Rows count as independent."
        groups = counted(self.clusters - self.alone, "group")
        alone = (
            f"; {counted(self.alone, 'row')} without one {'count' if self.alone > 1 else 'counts'} "
            "as independent"
            if self.alone
            else ""
        )
        return (
            f" Rows of one {self.cluster} may be alike ({groups}{alone}); intervals allow for it."
        )

    def _blankness(self) -> str:
        tells = (self.table["blank_low"] > 0.5) & (self.table["verdict"] == "kept")
        if not tells.any():
            return ""
        names = listed(list(self.table.loc[tells, "driver"]), most=3)
        return f" Being blank goes with the outcome in {names}: find out when it is filled in."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.driver} ({row.verdict})" for row in self.table.itertuples()]
        meaning = ["usual" if v == "kept" else "worse" for v in self.table["verdict"]]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.axvline(self.leaks_above, color=look.MEANING["limit"], ls="--", lw=1.2)
        ax.axvline(0.5, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="Which columns were known before the outcome?",
            x=f"area under the curve of the driver alone, {self.confidence * 100:.4g}% interval; "
            f"0.5 tells nothing, refused above {self.leaks_above:g}",
        )


def known_before(
    records: pd.DataFrame,
    *,
    drivers: Sequence[str],
    known_at: Mapping[str, str],
    rng: np.random.Generator,
    outcome: str = "complained",
    cluster: str = "",
    leaks_above: float = LEAKS_ABOVE,
    folds: int = 5,
    confidence: float = 0.95,
) -> KnownBefore:
    """Refuse the drivers that speak with hindsight, before any model is fitted.

    Parameters
    ----------
    records : DataFrame, one row per case
    drivers : sequence of str
        Columns that are to explain the outcome.
    known_at : mapping of column to 'before' or 'after'
        Whether a column's value stood before the outcome was known.
    rng : Generator
        Deals the rows into folds.
    outcome : str
        Column of true and false; a number of other values is parted at its
        median (above against not above).
    cluster : str
        Column of what rows share, for the intervals; blank for none.
    leaks_above : float, default 0.98
        Area under the curve above which one driver alone tells too much.
    folds : int, default 5
    confidence : float, default 0.95

    Returns
    -------
    KnownBefore

    Raises
    ------
    Problem
        If ``known_at`` names no column or says something else than before or
        after, or a setting cannot be.
    Refusal
        If a column is missing, only one outcome occurs, or no driver is left.

    Notes
    -----
    A number is read by its order and by its twentieths, a category by its
    levels; the share of the outcome in a twentieth or level is learnt from the
    other folds, with one row at the overall share added, so that a column of
    5,000 levels does not tell its own rows.  The larger area counts, turned
    above 0.5.  Its variance sums DeLong's components by cluster, on the logit.
    Blankness is refused where it alone has an area above ``leaks_above``, or
    where of 20 rows or more with (or without) a value more than ``leaks_above``
    have the rarer outcome.  Why columns leak, see [1]_.

    References
    ----------
    .. [1] Kaufman, S., Rosset, S., Perlich, C., Stitelman, O. (2012). Leakage
       in data mining. ACM Transactions on Knowledge Discovery from Data 6, 15.
       doi:10.1145/2382577.2382579

    Examples
    --------
    A refund is paid to those who complained, and to nobody else.

    >>> records = pd.DataFrame({"complained": [True] * 30 + [False] * 70,
    ...                         "wait_s": [60, 90] * 50, "refund": [9] * 30 + [0] * 70})
    >>> found = known_before(records, drivers=["wait_s", "refund"],
    ...                      known_at={"wait_s": "before", "refund": "before"},
    ...                      rng=np.random.default_rng(1))
    >>> found.allowed, found.refused
    (('wait_s',), ('refund',))
    """
    _need_settings(records, drivers, known_at, outcome, cluster, leaks_above, confidence, folds)
    told = records[records[outcome].notna()]
    y, words = _outcome(told[outcome])
    need_both(y, outcome)
    groups = _groups(told, cluster)
    fold = _dealt(y, folds, rng)
    rows = [
        _row(told[driver], y, fold, groups, known_at.get(driver, ""), leaks_above, confidence)
        for driver in drivers
    ]
    table = pd.DataFrame(rows)
    kept = table["verdict"] == "kept"
    _need_one(table, kept)
    return KnownBefore(
        table=table,
        allowed=tuple(table.loc[kept, "driver"]),
        refused=tuple(table.loc[~kept, "driver"]),
        outcome=words,
        records=len(told),
        events=int(y.sum()),
        left_out=len(records) - len(told),
        leaks_above=leaks_above,
        confidence=confidence,
        clusters=int(groups.max()) + 1,
        alone=int(told[cluster].isna().sum()) if cluster else 0,
        cluster=cluster,
    )


def _need_settings(
    records, drivers, known_at, outcome, cluster, leaks_above, confidence, folds
) -> None:
    need_share(confidence, name="confidence")
    need_share(leaks_above, name="leaks_above")
    if isinstance(drivers, str) or not len(drivers):
        raise Problem("No list of drivers is given.", "name one column or more under `drivers`.")
    if outcome in drivers:
        raise Problem(f"{outcome!r} is the outcome and a driver.", "leave it out of the drivers.")
    if not folds >= 2:
        raise Problem(f"folds is {folds}.", "give 2 or more.")
    need_columns(records, [outcome, *drivers], source=SOURCE)
    need_grouping(records, cluster=cluster)
    for column, when in known_at.items():
        if column not in records:
            raise Problem(
                f"known_at names {column!r}, which is no column.", nearest(column, records.columns)
            )
        if when not in KNOWN_AT:
            raise Problem(
                f"known_at says {when!r} of {column!r}.",
                "say 'before' or 'after': was its value there before the outcome was known?",
            )


def _need_one(table: pd.DataFrame, kept: pd.Series) -> None:
    if not kept.any():
        reasons = [f"{row.driver} {row.note}" for row in table.itertuples()]
        raise Refusal(
            f"None of the {len(table)} drivers may enter: {listed(reasons, most=3, apart='; ')}.",
            "declare under analyse.known_at what is known before the outcome, or name others.",
        )


def _outcome(values: pd.Series) -> tuple[np.ndarray, str]:
    """Yes and no as 1.0 and 0.0; a number of other values is parted at its median."""
    if is_number(values) and not values.isin([0, 1]).all():
        middle = float(values.median())
        return (values > middle).to_numpy(dtype=float), f"'{values.name}' above {middle:g}"
    return true_or_false(values), f"'{values.name}'"


def _groups(records: pd.DataFrame, cluster: str) -> np.ndarray:
    """Codes of the clusters from 0; a row without one stands for itself."""
    if not cluster:
        return np.arange(len(records))
    codes = pd.factorize(records[cluster].astype("str"), sort=True)[0]
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    return codes


def _dealt(y: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Folds with the same share of the outcome: a fold's own share then gives nothing away."""
    fold = np.empty(len(y), dtype=int)
    for each in (0, 1):
        here = np.flatnonzero(y == each)
        fold[here] = rng.permutation(np.arange(len(here)) % folds)
    return fold


# --- One driver -----------------------------------------------------------------------------------


def _row(values, y, fold, groups, known_at, leaks_above, confidence) -> dict:
    blank = _blank(values)
    alone, told_by = _alone(values, blank, y, fold, groups, confidence)
    by_blank = _of_blankness(blank, y, groups, confidence)
    reason = _reason(values, blank, y, known_at, alone, by_blank, leaks_above)
    return {
        "driver": str(values.name),
        "known_at": known_at,
        **dict(zip(("estimate", "low", "high"), alone, strict=True)),
        "told_by": told_by,
        "blanks": int(blank.sum()),
        "share_if_blank": _mean(y[blank]),
        "share_if_given": _mean(y[~blank]),
        **dict(zip(("blank_estimate", "blank_low", "blank_high"), by_blank, strict=True)),
        "verdict": "refused" if reason else "kept",
        "note": reason,
    }


def _blank(values: pd.Series) -> np.ndarray:
    blank = values.isna().to_numpy(dtype=bool).copy()
    if pd.api.types.is_float_dtype(values):
        blank |= ~np.isfinite(values.to_numpy(dtype=float, na_value=np.nan))
    return blank


def _mean(y: np.ndarray) -> float:
    return float(y.mean()) if len(y) else np.nan


def _alone(values, blank, y, fold, groups, confidence) -> tuple[tuple, str]:
    """How well the column alone tells the outcome where it is given, and read in which way."""
    given, nothing = ~blank, ((np.nan,) * 3, "")
    here, yes = values[given], y[given]
    if not len(yes) or yes.min() == yes.max() or here.nunique() < 2:
        return nothing
    ways = {}
    if is_number(here) or pd.api.types.is_datetime64_any_dtype(here):
        order = stats.rankdata(_numbers(here))
        ways["order"] = order
        steps = np.ceil(order / len(order) * STEPS).astype(int)
        ways["steps"] = _learnt_elsewhere(steps, yes, fold[given])
    else:
        codes = pd.factorize(here.astype("str"), sort=True)[0]
        ways["levels"] = _learnt_elsewhere(codes, yes, fold[given])
    found = {way: _area(yes, score, groups[given], confidence) for way, score in ways.items()}
    best = max(found, key=lambda way: found[way][0])
    return found[best], best


def _numbers(values: pd.Series) -> np.ndarray:
    if is_number(values):
        return values.to_numpy(dtype=float)
    return values.astype("int64").to_numpy()


def _learnt_elsewhere(codes: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Share of the outcome at each row's level, from the other folds and one row at the mean."""
    size, folds = int(codes.max()) + 1, int(fold.max()) + 1
    cell = fold * size + codes
    rows = np.bincount(cell, minlength=folds * size).reshape(folds, size)
    events = np.bincount(cell, weights=y, minlength=folds * size).reshape(folds, size)
    other_rows, other_events = rows.sum(axis=0) - rows, events.sum(axis=0) - events
    return ((other_events + y.mean()) / (other_rows + 1))[fold, codes]


def _area(y, score, groups, confidence: float) -> tuple[float, float, float]:
    """Area under the curve, turned above a half, with its interval on the logit."""
    codes = pd.factorize(groups)[0]
    t = stats.t.ppf((1 + confidence) / 2, max(codes.max(), 1))
    found, low, high = area_limits(y, score, codes, t)
    return (found, low, high) if found >= 0.5 else (1 - found, 1 - high, 1 - low)


def _of_blankness(blank, y, groups, confidence) -> tuple[float, float, float]:
    if min(blank.sum(), (~blank).sum()) < FEWEST_ON_A_SIDE:
        return (np.nan,) * 3
    return _area(y, blank.astype(float), groups, confidence)


# --- The verdict ----------------------------------------------------------------------------------


def _reason(values, blank, y, known_at, alone, by_blank, leaks_above) -> str:
    """Why the driver is refused; empty if it is kept."""
    if known_at == "after":
        return "is declared as known only after the outcome"
    if not known_at:
        return f"is not declared: say under analyse.known_at whether {values.name} is known before"
    if blank.all():
        return "is blank in every row"
    if values[~blank].nunique() < 2:
        return "has one value only"
    if by_blank[0] > leaks_above:
        return f"is blank according to the outcome (area of blankness alone {by_blank[0]:.3f})"
    if np.isnan(alone[0]):
        return f"is given in {int((~blank).sum()):,} rows, all of one outcome"
    if alone[0] > leaks_above:
        return (
            f"alone tells the outcome (area {alone[0]:.3f}): it seems to be known only afterwards, "
            "or to be the outcome in other words"
        )
    return _given_away(blank, y, leaks_above)


def _given_away(blank, y, leaks_above) -> str:
    """Where being blank, or being given, all but means the rarer outcome; empty if nowhere."""
    rarer = 1.0 if y.mean() <= 0.5 else 0.0
    for side, words in ((blank, "blank"), (~blank, "given")):
        n = int(side.sum())
        hits = _mean(y[side] == rarer)
        if FEWEST_ON_A_SIDE <= n < len(y) and hits > leaks_above:
            yes = "true" if rarer else "false"
            return f"is {words} in {n:,} rows, and the outcome is {yes} in {hits:.1%} of them"
    return ""
