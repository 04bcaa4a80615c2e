"""How many events would be expected of these records, given what kind of records they are?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import linalg, stats
from scipy.special import expit

from sqm import interval
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of
from sqm.clock import DAYS, local, read_day
from sqm.finding import counted
from sqm.regression import EVENTS_PER_COEFFICIENT, is_number, sums_by

KINDS = ("share", "count", "mean")
# What a service brings about itself: to adjust for it would explain away its own doing.
OWN_DOING = ("wait_s", "service_s", "agent", "abandoned", "resolved", "agents")
OWN_DOING += ("ending", "complained")
BLANK, REST = "(blank)", "(rare)"
FEWEST_IN_LEVEL = 20  # baseline records below which levels are joined
MOST_VALUES, CUTS = 12, 5  # a number with more values than this is cut into so many classes
PRIOR_SD = 2.5  # of a level's effect, in log odds, log rates or standard deviations
FOLDS = 5
FEWEST_CLUSTERS = 10
SLOPE = (0.8, 1.25)  # calibration slopes, and ratios observed over expected, that are borne
STEPS = 60
OUTCOME = "outcome"
SOURCE = "The table of records"


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted mix model, cell by cell.

    Attributes
    ----------
    kind : str
    levels : tuple of tuple of str
        Levels of each mix column, in the order of the design.
    b : ndarray, shape (coefficients,)
        Intercept, then an effect of each level.
    inverse : ndarray, shape (coefficients, coefficients)
        Inverse of the penalised information.
    scale : float
        Pearson's dispersion: of a count, over Poisson's; of a mean, the variance of a record.
    """

    kind: str
    levels: tuple[tuple[str, ...], ...]
    b: np.ndarray
    inverse: np.ndarray
    scale: float


@dataclass(frozen=True, eq=False)
class Expected:
    """What was to be expected of each record, and how far that can be trusted.

    Attributes
    ----------
    kind, outcome : str
    mix : tuple of str
    observed, expected, variance : Series of float, shape (records,)
        On the index of the records: the outcome, its expectation and its variance given the mix;
        NaN where the record's outcome is blank or the baseline never met its kind.
    fitted : Series of bool, shape (records,)
        Whether the model rests on the record.
    design : ndarray, shape (cells, coefficients)
    cell : ndarray of int, shape (records,)
        Row of ``design``; -1 where nothing is expected.
    model : Model
    until : str
        The baseline's end (exclusive); empty if all records were used.
    records, events : int
        Those the model rests on, and the events among them (records, of a mean).
    blank, unmet : int
        Records without an outcome, and of a level that the baseline never met: left out.
    slope, slope_low, slope_high : float
        Calibration slope on records held out (1: expectations spread as outcomes do).
    spread_low, spread_high : float
        Expectation of the tenth of records for which it is lowest, and highest, in the mean.
    deciles : DataFrame
        ``decile`` of what was expected of held-out records, ``n``, ``observed``, ``expected``
        (per record), ``ratio``, ``low``, ``high``.
    areas : DataFrame
        The same by ``area``, the levels of each pair of mix ``columns`` crossed.
    calibrated : {"yes", "no", "cannot say"}
    why : str
        The verdict in words.
    """

    kind: str
    outcome: str
    mix: tuple[str, ...]
    observed: pd.Series = field(repr=False)
    expected: pd.Series = field(repr=False)
    variance: pd.Series = field(repr=False)
    fitted: pd.Series = field(repr=False)
    design: np.ndarray = field(repr=False)
    cell: np.ndarray = field(repr=False)
    model: Model = field(repr=False)
    until: str
    records: int
    events: int
    blank: int
    unmet: int
    slope: float
    slope_low: float
    slope_high: float
    spread_low: float
    spread_high: float
    deciles: pd.DataFrame = field(repr=False)
    areas: pd.DataFrame = field(repr=False)
    calibrated: str
    why: str

    def words(self) -> str:
        """What the expectation rests on, for a sentence."""
        left = []
        if self.blank:
            left.append(f"{self.blank:,} without an outcome")
        if self.unmet:
            left.append(f"{self.unmet:,} of a kind the baseline never met")
        out = f"; left out: {' and '.join(left)}" if left else ""
        return (
            f"Expected given {', '.join(self.mix)}, learnt from {self.records:,} records"
            f"{f' before {self.until}' if self.until else ''}{out}. {self.why}"
        )


def expected(
    records: pd.DataFrame,
    *,
    outcome: str,
    mix: Sequence[str],
    kind: str = "share",
    until: str | None = None,
    time: str = "arrived",
    confidence: float = 0.95,
) -> Expected:
    """Learn from a baseline what each kind of record leads to, and expect it of every record.

    Parameters
    ----------
    records : DataFrame, one row per record
    outcome : str
        Column of true and false (``share``), of counts, or of numbers.
    mix : sequence of str
        Columns that say what came in: channel, reason, language, hour.  ``hour`` and ``weekday``
        are read off ``time`` where they are no columns.  A blank is a level of its own; a number
        of many values is cut into fifths.
    kind : {"share", "count", "mean"}, default "share"
    until : str, optional
        A date: the model rests on records before it only.  All of them if not given.
    time : str, default "arrived"
        Needed with ``until``; its weeks are held out in turn.
    confidence : float, default 0.95

    Returns
    -------
    Expected

    Raises
    ------
    Problem
        If the outcome is not of its kind, or ``mix`` names what the service does itself.
    Refusal
        If a column is missing, or the baseline has too few events for so many levels (10 each,
        by regression.EVENTS_PER_COEFFICIENT).

    Notes
    -----
    Why waits, agents and endings must not stand in ``mix``: they are part of what the service
    does.  A site that keeps people waiting would be "expected" to have complaints, and its own
    doing would vanish from the comparison.  Only what comes in at the door belongs there.

    Logistic, log-linear or linear regression on the levels of each column (no crossings), by
    penalised maximum likelihood: effects of levels are drawn to 0 as by a normal prior with
    standard deviation 2.5 (in log odds, log rates, standard deviations), which matters for rare
    levels alone.  The intercept is free, so that over the baseline as many events are expected
    as occurred.  The check is made on records held out: five times a fifth of the weeks is
    expected from the rest; the slope is that of the outcome on the linear predictor
    (Cox, D. R. (1958). Biometrika 45, 562-565), its error summed by week.  ``no`` where the whole
    interval of the slope, or of a tenth's or a cell's observed over expected (Bonferroni over
    them), lies outside 0.8 to 1.25.

    Examples
    --------
    10 of 100 calls and 30 of 100 chats; expected is what their kind led to, but for the prior.

    >>> records = pd.DataFrame({"channel": ["phone"] * 100 + ["chat"] * 100,
    ...                         "bad": [1] * 10 + [0] * 90 + [1] * 30 + [0] * 70})
    >>> found = expected(records, outcome="bad", mix=["channel"])
    >>> found.expected.iloc[[0, 199]].round(2).tolist(), round(float(found.expected.sum()), 6)
    ([0.1, 0.3], 40.0)
    """
    need_one_of(kind, KINDS, name="kind")
    _need_mix(records, outcome, mix, until, time)
    y = outcome_of(records, outcome, kind)
    known, base = y.notna().to_numpy(), _baseline(records, until, time)
    text, levels = _levels(records, mix, time, known & base)
    codes = _codes(text, levels)
    met = known & (codes >= 0).all(axis=1)
    used = met & base
    values = y.to_numpy()
    _need_events(values[used], kind, sum(map(len, levels)) - len(levels))
    design, cell = _cells(codes, levels, met)
    held = _weeks(records, time, until)
    model = fit(values[used], cell[used], design, kind=kind, levels=levels)
    mean = expectation(design @ model.b, kind)
    check = _check(values[used], cell[used], design, kind, held[used], text[used], mix, confidence)
    per_cell = np.where(met, mean[cell], np.nan)
    high, low = _tenths(per_cell[used])
    return Expected(
        kind=kind,
        outcome=outcome,
        mix=tuple(mix),
        observed=pd.Series(np.where(met, values, np.nan), index=records.index),
        expected=pd.Series(per_cell, index=records.index),
        variance=pd.Series(variance(per_cell, kind, model.scale), index=records.index),
        fitted=pd.Series(used, index=records.index),
        design=design,
        cell=cell,
        model=model,
        until=until or "",
        records=int(used.sum()),
        events=int(values[used].sum()) if kind != "mean" else int(used.sum()),
        blank=int((~known).sum()),
        unmet=int((known & ~met).sum()),
        spread_low=low,
        spread_high=high,
        **check,
    )


def need_calibrated(found: Expected) -> None:
    """Insist that expectations held on records they were not learnt from."""
    if found.calibrated == "no":
        raise Refusal(
            f"What was expected of the mix is not borne out: {found.why}",
            "name other columns in `mix`, cross two of them into one, or compare crude figures.",
        )


def outcome_of(records: pd.DataFrame, outcome: str, kind: str) -> pd.Series:
    """The outcome as numbers; a blank is NaN."""
    given = records[outcome]
    try:
        y = given.astype("boolean").astype("Float64") if kind == "share" else given.astype(float)
    except (TypeError, ValueError):
        what = "true and false" if kind == "share" else "numbers"
        raise Problem(
            f"{outcome!r} should hold {what}, and holds"
            f" {', '.join(given.dropna().astype('str').unique()[:5])}.",
            "name another outcome, or kind.",
        ) from None
    y = pd.Series(y.to_numpy(dtype=float, na_value=np.nan), index=records.index)
    wrong = np.isinf(y) | (y < 0 if kind == "count" else False)
    if wrong.any():
        raise Problem(
            f"{outcome!r} has {int(wrong.sum())} values that no {kind} can have (first rows: "
            f"{first_rows(y[wrong])}).",
            "correct the source, or name another kind.",
        )
    return y


def expectation(eta: np.ndarray, kind: str) -> np.ndarray:
    """What is expected at a linear predictor."""
    return expit(eta) if kind == "share" else np.exp(eta) if kind == "count" else eta


def variance(mean: np.ndarray, kind: str, scale: float) -> np.ndarray:
    """Variance of one record whose expectation is this."""
    if kind == "share":
        return mean * (1 - mean)
    return scale * mean if kind == "count" else np.where(np.isnan(mean), np.nan, scale)


def units_of(
    records: pd.DataFrame,
    *,
    unit: str,
    outcome: str = "",
    kind: str = "share",
    given: Expected | None = None,
    within: str = "",
    time: str = "",
) -> pd.DataFrame:
    """Sum records by site, team or agent, to be compared.

    Parameters
    ----------
    records : DataFrame, one row per record
    unit : str
        Column of who is compared.  Records without one are left out and counted.
    outcome : str
        As in `expected`; not needed beside ``given``.
    kind : {"share", "count", "mean"}, default "share"
    given : Expected, optional
        What is expected of these records, row by row: the comparison then allows for the mix.
    within : str
        Column of what units are compared inside of, such as the site of agents.
    time : str
        Column of times: how much a unit's own weeks vary beyond counting then widens all limits.

    Returns
    -------
    DataFrame, one row per unit (and ``within``), by name
        ``unit``, ``within``, ``n``, ``value`` (events, or the mean), ``sd`` of the records,
        ``expected`` (events, or the mean; NaN without ``given``), ``dispersion`` (variance of
        the value over that of independent records of one kind), ``left_out`` (records without
        outcome or expectation), ``unnamed`` (records without a unit, the same in every row).

    Notes
    -----
    ``dispersion`` is the sum over units and weeks of (observed - expected)^2 / variance over
    its degrees of freedom, each unit about its own level, at least 1; times, with ``given``, the
    sum of p (1 - p) over n p (1 - p) at the mean p, as records that differ vary less.

    Examples
    --------
    >>> records = pd.DataFrame({"site": ["N", "N", "S", "S"], "bad": [1, 0, 0, 0]})
    >>> units_of(records, unit="site", outcome="bad")[["unit", "n", "value"]].values.tolist()
    [['N', 2, 1.0], ['S', 2, 0.0]]
    """
    kind, outcome = (given.kind, given.outcome) if given else (kind, outcome)
    need_one_of(kind, KINDS, name="kind")
    need_columns(records, [unit, outcome, *filter(None, [within, time])], source=SOURCE)
    _need_names(records, [unit, *filter(None, [within])])
    given = _aligned(given, records) if given else None
    y = given.observed if given else outcome_of(records, outcome, kind)
    name = records[unit].astype("str").where(lambda s: s.str.strip() != "")
    place = records[within].astype("str") if within else pd.Series("", index=records.index)
    named = (name.notna() & place.notna()).to_numpy()
    if not named.any():
        raise Refusal(f"No record names its {unit!r}.", "name the column of who is compared.")
    keys = pd.MultiIndex.from_arrays([place[named], name[named]])
    codes, found = pd.factorize(keys, sort=True)
    table = pd.DataFrame({"unit": found.get_level_values(1), "within": found.get_level_values(0)})
    used = y[named].notna().to_numpy()
    rows = np.flatnonzero(named)[used]
    sums = _by_unit(y.to_numpy()[rows], codes[used], len(table), kind, given, rows)
    weeks = _weeks(records, time, None)[rows] if time else None
    over = _weekly_dispersion(y.to_numpy()[rows], codes[used], weeks, kind, given, rows)
    table = table.assign(**sums).assign(dispersion=lambda t: t["dispersion"] * over)
    left = np.bincount(codes[~used], minlength=len(table))
    return table.assign(left_out=left, unnamed=int((~named).sum()))


def units_of_counts(
    counts: pd.DataFrame,
    *,
    unit: str = "unit",
    events: str = "events",
    n: str = "n",
    period: str = "",
    since: str = "",
) -> pd.DataFrame:
    """Sum cases and events that were counted already, unit by unit, to be compared.

    Parameters
    ----------
    counts : DataFrame, one row a unit and period (or part of it)
    unit, events, n : str
        Columns: who, how many events, of how many cases.  Rows without one of them are left out
        and counted.
    period, since : str
        Column of dates, and the first of them that counts; all if blank.

    Returns
    -------
    DataFrame, one row per unit, by name
        As `units_of`; ``dispersion`` is NaN, since single records are not known.

    Raises
    ------
    Problem
        If a column is missing, a count is negative, or there are more events than cases.

    Examples
    --------
    >>> table = pd.DataFrame({"unit": ["N", "N", "S"], "n": [10, 20, 5], "events": [1, 2, 0]})
    >>> units_of_counts(table)[["unit", "n", "value"]].values.tolist()
    [['N', 30, 3.0], ['S', 5, 0.0]]
    """
    need_columns(counts, [unit, events, n, *filter(None, [period])], source="the table of counts")
    if since:
        counts = counts[local(counts[period]) >= read_day(since)]
    rows = pd.DataFrame({"unit": counts[unit], "n": counts[n], "value": counts[events]})
    named = rows["unit"].notna() & rows["unit"].astype("str").str.strip().ne("")
    known = named & rows[["n", "value"]].notna().all(axis="columns")
    rows = rows[known].astype({"unit": "str", "n": float, "value": float})
    off = rows[(rows["value"] < 0) | (rows["value"] > rows["n"])]
    if len(off):
        raise Problem(
            f"{counted(len(off), 'row')} of the table of counts"
            f" {'has' if len(off) == 1 else 'have'} events below 0 or above the cases"
            f" (first rows: {first_rows(off)}).",
            "count the events among the cases of the same row.",
        )
    found = rows.groupby("unit", sort=True)[["n", "value"]].sum().reset_index()
    found = found[found["n"] > 0].astype({"n": int}).reset_index(drop=True)
    return found.assign(
        **{"within": "", "sd": np.nan, "expected": np.nan, "dispersion": np.nan},
        left_out=int((named & ~known).sum()),
        unnamed=int((~named).sum()),
    )


def _aligned(given: Expected, records: pd.DataFrame) -> Expected:
    """The expectation of these records: of all that it was made for, or of some of them."""
    index = given.observed.index
    if index.equals(records.index):
        return given
    if not index.is_unique or not records.index.isin(index).all():
        raise Problem(
            f"{len(given.observed):,} records have an expectation, and {len(records):,} others"
            " are to be compared.",
            "give `expected` the same records (with `until`, if it is to learn from some only).",
        )
    rows = index.get_indexer(records.index)
    columns = ("observed", "expected", "variance", "fitted")
    some = {name: getattr(given, name).iloc[rows] for name in columns}
    return replace(given, **some, cell=given.cell[rows])


def _by_unit(y, codes, size, kind, given, rows) -> dict[str, np.ndarray]:
    n, total = sums_by(np.ones(len(y)), codes, size), sums_by(y, codes, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        sd = np.sqrt(sums_by((y - mean[codes]) ** 2, codes, size) / np.maximum(n - 1, 1))
        due, ratio = np.full(size, np.nan), np.ones(size)
        if given:
            due = sums_by(given.expected.to_numpy()[rows], codes, size)
            spread = sums_by(given.variance.to_numpy()[rows], codes, size)
            ratio = {"share": spread / (due * (1 - due / n)), "count": spread / due}.get(
                kind, ratio
            )
    if kind == "mean":
        total, due = mean, due / n
    return {
        "n": n.astype(int),
        "value": total,
        "sd": sd,
        "expected": due,
        "dispersion": np.where(n > 0, ratio, 1.0),
    }


def _weekly_dispersion(y, codes, weeks, kind, given, rows) -> float:
    """Spread of units' weeks about the units' own levels, over what independent records give."""
    if weeks is None or not len(y):
        return 1.0
    size = codes.max() + 1
    n, total = sums_by(np.ones(len(y)), codes, size), sums_by(y, codes, size)
    mean = given.expected.to_numpy()[rows] if given else (total / np.maximum(n, 1))[codes]
    if kind == "mean":
        own = sums_by((y - (total / np.maximum(n, 1))[codes]) ** 2, codes, size)
        v = (own / np.maximum(n - 1, 1))[codes]
    else:
        v = given.variance.to_numpy()[rows] if given else variance(mean, kind, 1.0)
    cell = pd.factorize(codes * (weeks.max() + 1) + weeks)[0]
    cells = cell.max() + 1
    off, spread = sums_by(y - mean, cell, cells), sums_by(v, cell, cells)
    owner = np.zeros(cells, dtype=int)
    owner[cell] = codes
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = sums_by(off, owner, size) / sums_by(spread, owner, size)
        square = (off - spread * shift[owner]) ** 2 / spread
    square = square[spread > 0]
    free = len(square) - len(np.unique(owner[spread > 0]))
    return float(max(square.sum() / free, 1.0)) if free >= FEWEST_CLUSTERS else 1.0


# --- What comes in --------------------------------------------------------------------------------


def _need_names(records: pd.DataFrame, columns: Sequence[str]) -> None:
    """Insist that who is compared is told by names or numbers of units, not by measurements."""
    for column in columns:
        given = records[column].dropna()
        measured = pd.api.types.is_float_dtype(given) and not (given % 1 == 0).all()
        if measured or column.endswith(("_s", "_d", "_h")) or given.dtype.kind == "M":
            raise Problem(
                f"{column!r} holds measurements or times, no names of units.",
                "name the column of who is compared: site or agent.",
            )


def _need_mix(records, outcome, mix, until, time) -> None:
    if isinstance(mix, str) or not len(mix):
        raise Problem("No list of mix columns is given.", "name what comes in: channel, reason.")
    own = [column for column in mix if column in OWN_DOING]
    if own:
        raise Problem(
            f"`mix` names {own[0]!r}, which the service brings about itself.",
            "name only what comes in at the door: channel, reason, language, hour.",
        )
    if len(set(mix)) < len(mix) or outcome in mix:
        raise Problem("`mix` names a column twice, or the outcome.", "name each column once.")
    clock = [c for c in mix if c in ("hour", "weekday") and c not in records]
    columns = [outcome, *(c for c in mix if c not in clock)]
    need_columns(records, [*columns, *([time] if clock or until else [])], source=SOURCE)
    for column in columns[1:]:
        given = records[column].dropna()
        each_its_own = len(given) > MOST_VALUES and given.is_unique and not is_number(given)
        if each_its_own or pd.api.types.is_datetime64_any_dtype(given):
            raise Problem(
                f"`mix` names {column!r}, of which nearly every record has its own value.",
                "name columns of kinds: channel, reason, language, hour, weekday.",
            )


def _baseline(records: pd.DataFrame, until: str | None, time: str) -> np.ndarray:
    if not until:
        return np.ones(len(records), dtype=bool)
    zone = getattr(records[time].dt, "tz", None)
    return (records[time] < read_day(until).tz_localize(zone)).to_numpy(dtype=bool, na_value=False)


def _weeks(records: pd.DataFrame, time: str, until: str | None) -> np.ndarray:
    """Week of each record; without times each record stands for itself."""
    if time not in records or not pd.api.types.is_datetime64_any_dtype(records[time]):
        return np.arange(len(records))
    days = (records[time].dt.tz_localize(None) - pd.Timestamp("1970-01-05")) // pd.Timedelta("7D")
    return pd.factorize(days)[0]


def _levels(records, mix, time, base) -> tuple[np.ndarray, tuple[tuple[str, ...], ...]]:
    """Each mix column as text, and the levels that the baseline knows, rare ones joined."""
    columns, levels = [], []
    for column in mix:
        text = _text(records, column, time, base)
        counts = text[base].value_counts()
        common = sorted(counts.index[counts >= FEWEST_IN_LEVEL])
        rare = counts.index[counts < FEWEST_IN_LEVEL]
        columns.append(text.where(~text.isin(rare), REST).to_numpy(dtype=object))
        levels.append((*common, *([REST] if len(rare) else [])))
    return np.column_stack(columns), tuple(levels)


def _text(records: pd.DataFrame, column: str, time: str, base: np.ndarray) -> pd.Series:
    if column not in records:
        part = records[time].dt.hour if column == "hour" else records[time].dt.day_of_week
        names = [f"{hour:02d} h" for hour in range(24)] if column == "hour" else list(DAYS)
        return part.map(dict(enumerate(names))).astype("str").fillna(BLANK)
    given = records[column]
    if is_number(given) and given.nunique() > MOST_VALUES:
        edges = np.unique(given[base].quantile(np.arange(1, CUTS) / CUTS).dropna())
        bins = [-np.inf, *edges, np.inf]
        given = pd.cut(given.astype(float), bins).astype("str").replace("nan", pd.NA)
    return given.astype("str").fillna(BLANK)


def _codes(text: np.ndarray, levels: tuple) -> np.ndarray:
    """Place of each record's level in each column; -1 if the baseline never met it."""
    columns = [pd.Index(known).get_indexer(text[:, j]) for j, known in enumerate(levels)]
    return np.column_stack(columns)


def _cells(codes: np.ndarray, levels: tuple, met: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kinds of records that occur, and the kind of each record."""
    sizes = [len(known) for known in levels]
    key = np.full(len(codes), -1, dtype=np.int64)
    key[met] = np.ravel_multi_index(codes[met].T, sizes)
    found, at = np.unique(key[met], return_inverse=True)
    cell = np.full(len(codes), -1)
    cell[met] = at
    parts = [np.ones((len(found), 1))]
    for places, size in zip(np.unravel_index(found, sizes), sizes, strict=True):
        parts.append(np.eye(size)[places])
    return np.hstack(parts), cell


def _need_events(y: np.ndarray, kind: str, coefficients: int) -> None:
    rarer = len(y) if kind == "mean" else y.sum()
    rarer = min(rarer, len(y) - y.sum()) if kind == "share" else rarer
    needed = EVENTS_PER_COEFFICIENT * max(coefficients, 1)
    if rarer < needed or not len(y) or y.min() == y.max():
        raise Refusal(
            f"The baseline has {rarer:,.0f} of the rarer outcome in {len(y):,} records where a mix"
            f" of {coefficients} levels beyond the first needs {needed:,}.",
            "take a longer baseline, fewer mix columns, or compare crude figures.",
        )


# --- The model ------------------------------------------------------------------------------------


def fit(y: np.ndarray, cell: np.ndarray, design: np.ndarray, *, kind: str, levels: tuple) -> Model:
    """Fit the mix model on sums by kind of record.

    Parameters
    ----------
    y : ndarray, shape (records,)
    cell : ndarray of int, shape (records,)
    design : ndarray, shape (cells, coefficients)
    kind : str
    levels : tuple of tuple of str
    """
    n, total = sums_by(np.ones(len(y)), cell, len(design)), sums_by(y, cell, len(design))
    b, information = _climb(n, total, design, kind)
    mean = expectation(design @ b, kind)
    return Model(kind, levels, b, linalg.inv(information), _scale(y, mean[cell], kind, len(b)))


def _scale(y: np.ndarray, mean: np.ndarray, kind: str, coefficients: int) -> float:
    if kind == "share":
        return 1.0
    squares = (y - mean) ** 2 / (mean if kind == "count" else 1.0)
    return float(squares.sum() / max(len(y) - coefficients, 1))


def _climb(n, total, design, kind) -> tuple[np.ndarray, np.ndarray]:
    """Newton's steps for the penalised likelihood; the intercept is free."""
    penalty = np.r_[1e-9, np.full(design.shape[1] - 1, PRIOR_SD**-2)]
    b = np.zeros(design.shape[1])
    level = total.sum() / n.sum()
    b[0] = {"share": _logit, "count": np.log, "mean": float}[kind](level)
    for _ in range(STEPS):
        mean = expectation(design @ b, kind)
        slope = n * (1.0 if kind == "mean" else variance(mean, kind, 1.0))
        information = (design * slope[:, None]).T @ design + np.diag(penalty)
        step = linalg.solve(
            information, design.T @ (total - n * mean) - penalty * b, assume_a="pos"
        )
        b = b + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-10:
            break
    return b, information


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


# --- Is it borne out? -----------------------------------------------------------------------------


def _check(y, cell, design, kind, weeks, text, mix, confidence) -> dict:
    """Expect each fifth of the weeks from the rest, and set what came beside it."""
    fold = pd.factorize(weeks)[0] % FOLDS
    eta = np.full(len(y), np.nan)
    for each in range(min(FOLDS, len(np.unique(fold)))):
        out = fold == each
        b = _climb(
            sums_by(np.ones((~out).sum()), cell[~out], len(design)),
            sums_by(y[~out], cell[~out], len(design)),
            design,
            kind,
        )[0]
        eta[out] = (design @ b)[cell[out]]
    if np.isnan(eta).any():  # a single week: nothing to hold out
        nothing = _ratios(y[:0], y[:0], y[:0], y[:0], "decile", 0.5)
        why = "The baseline is one week only, so the expectation could not be checked."
        return _verdict((np.nan,) * 3, nothing, nothing, "cannot say", why)
    mean = expectation(eta, kind)
    scale = _scale(y, mean, kind, design.shape[1])
    v = variance(mean, kind, scale)
    slope = _slope(y, eta, kind, weeks, confidence)
    rank = stats.rankdata(mean, method="average") / (len(mean) + 1)
    tenth = np.minimum((rank * 10).astype(int), 9) + 1
    deciles = _ratios(y, mean, v, tenth, "decile", confidence)
    areas = _areas(y, mean, v, text, mix, confidence)
    return _verdict(slope, deciles, areas, *_judged(slope, deciles, areas, confidence))


def _verdict(slope, deciles, areas, calibrated, why) -> dict:
    named = dict(zip(("slope", "slope_low", "slope_high"), slope, strict=True))
    return {**named, "deciles": deciles, "areas": areas, "calibrated": calibrated, "why": why}


def _slope(y, eta, kind, weeks, confidence) -> tuple[float, float, float]:
    """Calibration slope of the outcome on the linear predictor, its error summed by week."""
    if np.ptp(eta) < 1e-12:
        return np.nan, np.nan, np.nan
    x = np.column_stack([np.ones(len(eta)), eta])
    b = np.array([0.0, 1.0])
    for _ in range(STEPS):
        mean = expectation(x @ b, kind)
        weight = np.ones(len(y)) if kind == "mean" else variance(mean, kind, 1.0)
        inverse = linalg.inv((x * weight[:, None]).T @ x)
        step = inverse @ (x.T @ (y - mean))
        b = b + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    codes = pd.factorize(weeks)[0]
    sums = sums_by(x * (y - mean)[:, None], codes, codes.max() + 1)
    groups = len(sums)
    error = np.sqrt((inverse @ (sums.T @ sums) @ inverse)[1, 1] * groups / max(groups - 1, 1))
    half = float(stats.t.ppf((1 + confidence) / 2, max(groups - 1, 1)) * error)
    return float(b[1]), float(b[1]) - half, float(b[1]) + half


def _ratios(y, mean, v, by, name, confidence, tests: int | None = None) -> pd.DataFrame:
    """Observed over expected by group, with limits that hold for all of them together."""
    codes, names = pd.factorize(by, sort=True)
    size = len(names)
    n, seen, due, spread = (sums_by(a, codes, size) for a in (np.ones(len(y)), y, mean, v))
    tail = (1 - confidence) / 2 / max(tests or size, 1)
    half = stats.norm.isf(tail) * np.sqrt(spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.DataFrame(
            {
                name: names,
                "n": n.astype(int),
                "observed": seen / n,
                "expected": due / n,
                "ratio": seen / due,
                "low": (seen - half) / due,
                "high": (seen + half) / due,
            }
        )


def _areas(y, mean, v, text, mix, confidence) -> pd.DataFrame:
    """Each pair of mix columns crossed (one column alone: its levels)."""
    k = text.shape[1]
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)] or [(0, 0)]
    crossed = []
    for i, j in pairs:
        first, names = pd.factorize(text[:, i], sort=True)
        second, others = pd.factorize(text[:, j], sort=True)
        code, key = pd.factorize(first * len(others) + second, sort=True)
        words = [
            names[c // len(others)] + ("" if i == j else f" · {others[c % len(others)]}")
            for c in key
        ]
        crossed.append((i, j, code, np.array(words, dtype=object)))
    tests = sum(len(words) for *_, words in crossed)
    tables = []
    for i, j, code, words in crossed:
        table = _ratios(y, mean, v, code, "area", confidence, tests)
        table["area"] = words
        tables.append(table.assign(columns=" × ".join(dict.fromkeys([mix[i], mix[j]]))))
    return pd.concat(tables, ignore_index=True)


def _judged(slope, deciles, areas, confidence) -> tuple[str, str]:
    b, low, high = slope
    if np.isnan(b):
        return "yes", "The mix tells nothing of the outcome: the same is expected of every record."
    told = interval.spell(b, low, high, confidence=confidence)
    for name, table in (("tenth", deciles), ("area", areas)):
        off = table[(table["high"] < SLOPE[0]) | (table["low"] > SLOPE[1])]
        if len(off):
            row = off.loc[(np.log(off["ratio"].clip(lower=1e-6))).abs().idxmax()]
            where = row["decile"] if name == "tenth" else row["area"]
            return "no", (
                f"On held-out records {name} {where} had {row['ratio']:.2f} times what was "
                f"expected (n = {row['n']:,})."
            )
    if high < SLOPE[0] or low > SLOPE[1]:
        return "no", f"On held-out records the calibration slope is {told} where 1 is right."
    if low < 0.5 or high > 2:
        return "cannot say", f"Too few events to check it (calibration slope {told}; 1 is right)."
    return "yes", f"On held-out records it was borne out (calibration slope {told}; 1 is right)."


def _tenths(mean: np.ndarray) -> tuple[float, float]:
    """Mean expectation of the highest and the lowest tenth of records."""
    if not len(mean):
        return np.nan, np.nan
    some = max(len(mean) // 10, 1)
    ordered = np.sort(mean)
    return float(ordered[-some:].mean()), float(ordered[:some].mean())
