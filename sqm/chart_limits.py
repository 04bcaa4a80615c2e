"""Where does a steady process stay: which limits does a chart of this kind draw?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import sqrt

import numpy as np
import pandas as pd
from scipy import special, stats

from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of, need_rows
from sqm.clock import local, read_day

KINDS = ("xmr", "xbar", "s", "p", "np", "c", "u", "p'", "u'", "i'", "g", "t", "run")
DATA = ("share", "rate", "count", "mean", "score", "nps", "gap", "time")
SUITS = {  # the data that a kind of chart can be drawn of
    "xmr": DATA,
    "xbar": ("mean", "score", "nps"),
    "s": ("mean", "score"),
    "p": ("share",),
    "np": ("share",),
    "p'": ("share",),
    "c": ("count",),
    "u": ("rate", "count"),
    "u'": ("rate", "count"),
    "i'": ("share", "rate", "count", "mean", "score", "nps"),
    "g": ("gap",),
    "t": ("time",),
    "run": DATA,
}
USUAL_DATA = {"p": "share", "np": "share", "p'": "share", "c": "count", "u": "rate", "u'": "rate"}
USUAL_DATA |= {"g": "gap", "t": "time"}
MOVING = ("moving range", "screened moving range", "standard deviation")
WITHIN = ("pooled", "weighted sd", "mean sd")
SIGMA_METHODS = {  # the first of each is taken if none is named
    **dict.fromkeys(("xmr", "p'", "u'"), MOVING),
    **dict.fromkeys(("xbar", "s"), WITHIN),
    **dict.fromkeys(("p", "np", "c", "u"), ("counting",)),
    "i'": ("moving range beyond counting",),
    "g": ("geometric",),
    "t": ("moving range", "likelihood"),
    "run": ("none",),
}
CONVENTIONS = {  # likewise
    "g": ("probability", "Minitab and JASP", "mean and 3 sd", "Provost"),
    "t": ("Weibull", "power 1/3.6"),
}
FEWEST_PERIODS = 12
FEWEST_FOR_RUNS = 8  # of a run chart, whose centre is all that it estimates
D2 = 2 / np.sqrt(np.pi)  # mean range of two standard normal values
SCREEN = 3.267  # moving ranges beyond so many mean ranges are screened (D4 of two values)
PROVOST = 0.693  # log 2: where the median of a geometric law lies, as a share of its mean
POWER = 1 / 3.6  # makes exponential times nearly normal
NEWTON_STEPS, BISECTIONS = 25, 40


@dataclass(frozen=True)
class Limits:
    """The limits of one chart, frozen: one row of a ledger.

    Attributes
    ----------
    kind, data : str
        Of ``KINDS`` and ``DATA``.
    centre : float
        Mean of the baseline, in the unit of the data (a median for a run chart; the median of the
        fitted law for t); for np and c the share or the count itself.
    spread : float
        xmr, xbar, s: sigma of a record or period; p', u': sigma of z; i': sigma between periods;
        g: chance of an event at each opportunity; t: sigma of the transformed times, or the shape
        of the Weibull law; p, np, c, u: 1; run: NaN.
    within : float
        i': sigma of one record within a period; g: the median gap; NaN else.
    sigmas : float
        How many sigmas the limits lie off the centre.
    sigma_method, convention : str
        How the spread was taken, and which convention where programs differ; may be empty.
    baseline_from, baseline_to : str
        First day of the first and of the last period the limits rest on; may be empty.
    baseline_periods : int
    """

    kind: str
    data: str
    centre: float
    spread: float
    within: float = np.nan
    sigmas: float = 3.0
    sigma_method: str = ""
    convention: str = ""
    baseline_from: str = ""
    baseline_to: str = ""
    baseline_periods: int = 0


# What a line of the ledger of limits holds.
LEDGER = ("series", *(field.name for field in fields(Limits)), "rules", "valid_from")
LEDGER += ("periods_used", "data_sha256", "reason")


def limits_from(
    periods: pd.DataFrame,
    *,
    kind: str,
    sigmas: float = 3.0,
    sigma_method: str = "",
    convention: str = "",
    fewest: int = 0,
) -> Limits:
    """Take a chart's limits from the baseline rows of one series.

    Parameters
    ----------
    periods : DataFrame, one row a period
        ``period``, ``data``, ``n``, ``value``; ``sd`` for xbar, s and i' of means; rows with
        ``mature`` False are left out.
    kind : str
        One of ``KINDS``.
    sigmas : float, default 3
    sigma_method : str, optional
        One of ``SIGMA_METHODS`` of the kind, the first of them if none is named.  ``screened
        moving range`` leaves out ranges beyond 3.267 mean ranges, once (Provost); the usual one
        does not (Laney, Minitab).  Within periods: ``pooled`` variance, sd over c4 ``weighted``
        (qcc's MVLUE-SD), or their plain ``mean`` (qcc's UWAVE-SD, the books).
    convention : str, optional
        For g and t, one of ``CONVENTIONS``, the first if none is named.
    fewest : int, optional
        Baseline periods below which no limits are given; 12 if not given, 8 for a run chart.

    Raises
    ------
    Problem
        If a column is missing, a period comes twice, a count is impossible, or the kind does not
        suit the data.
    Refusal
        If the baseline is too short, never varies, or holds what its law cannot.

    Notes
    -----
    With m baseline periods, x_i their values: xmr: mean and mean moving range over 2 / sqrt(pi).
    p', u': Laney's sigma_z, the same of the z_i = (p_i - p) / sqrt(p (1 - p) / n_i) [1]_.
    i': variance s_b^2 + s_w^2 / n_i, s_w from counting or from within the periods, s_b such that
    the standardised moving ranges have their normal mean, 0 if counting explains them: in the
    manner of W. A. Taylor's normalised individuals chart, but with s_w known.
    g: p = ((m - 1) / m) / (mean + 1); z is the normal score of its mid-probability, of
    ``Minitab and JASP`` of its interpolated one; ``mean and 3 sd`` has the limits
    mean ± 3 sqrt(mean (mean + 1)) about the median, ``Provost`` about 0.693 of the mean, z running
    evenly to each.  t: normal score of a Weibull law by likelihood, or xmr of times ** (1 / 3.6)
    [2]_.  Moving ranges do not reach across a missing period.

    References
    ----------
    .. [1] Laney, D. B. (2002). Improved control charts for attributes. Quality Engineering 14,
       531-537. doi:10.1081/QEN-120003555
    .. [2] Nelson, L. S. (1994). A control chart for parts-per-million nonconforming items.
       Journal of Quality Technology 26(3), 239-240.

    Examples
    --------
    10 and 20 defects of 100 in turn: the centre is 0.15, neighbours always differ by
    0.1 / sqrt(0.15 * 0.85 / 100) = 2.8006, over 1.1284 gives 2.482.

    >>> weeks = pd.DataFrame({"period": pd.date_range("2025-01-06", periods=12, freq="7D"),
    ...                       "data": "share", "n": 100.0, "value": [10.0, 20.0] * 6})
    >>> limits = limits_from(weeks, kind="p'")
    >>> limits.centre, round(limits.spread, 3), limits.sigma_method
    (0.15, 2.482, 'moving range')
    """
    rows = _mature(sound(periods))
    data = _data_of(rows, kind)
    method, convention = _choices(kind, sigma_method, convention)
    fewest = fewest or (FEWEST_FOR_RUNS if kind == "run" else FEWEST_PERIODS)
    need_rows(rows, fewest, source="The baseline", why="a chart's limits (in periods)")
    value, n, sd = (rows[name].to_numpy(dtype=float) for name in ("value", "n", "sd"))
    _need_bearable(value, n, sd, kind=kind, data=data, convention=convention)
    base, gap = np.ones(len(rows), dtype=bool), missing_before(rows["period"], data=data)
    with np.errstate(all="ignore"):
        centre, spread, within = (
            float(each[0])
            for each in _fitted(value[None], n, base, sd, gap, kind, data, method, convention)
        )
    if kind != "run" and not spread > 0 and not (kind == "i'" and within > 0):
        raise Refusal(
            "The value is the same in every baseline period.",
            "check how it was counted; real counts vary.",
        )
    return Limits(
        kind=kind,
        data=data,
        centre=centre,
        spread=spread,
        within=within,
        sigmas=float(sigmas),
        sigma_method=method,
        convention=convention,
        baseline_from=_day(rows["period"].iloc[0]),
        baseline_to=_day(rows["period"].iloc[-1]),
        baseline_periods=len(rows),
    )


def limits_of(row: pd.Series | dict) -> Limits:
    """Read limits back from a row of a ledger or a table.

    Raises
    ------
    Problem
        If the row lacks what limits need, or holds what they cannot be.

    Examples
    --------
    >>> limits_of({"kind": "c", "data": "count", "centre": "4", "spread": 1}).centre
    4.0
    """
    row, name = dict(row), str(dict(row).get("series", "a series"))
    given = {}
    for field in fields(Limits):
        entry = row.get(field.name)
        if entry is None or entry == "" or (not isinstance(entry, str) and pd.isna(entry)):
            continue
        try:
            given[field.name] = _READ[str(field.type)](entry)
        except (ValueError, OverflowError):
            raise _broken(name, f"{field.name} is {entry!r}") from None
    lacking = [each for each in ("kind", "data", "centre") if each not in given]
    if lacking or not (given["kind"] in KINDS and given["data"] in SUITS[given["kind"]]):
        raise _broken(name, f"{lacking[0]} is missing" if lacking else f"kind {given['kind']!r}")
    limits = Limits(**{"spread": np.nan, **given})
    width = limits.within if limits.kind == "i'" and limits.spread == 0 else limits.spread
    finite = np.isfinite([limits.centre, limits.sigmas]).all() and _can_lie_there(limits)
    if not finite or (limits.kind != "run" and not (0 < width < np.inf and limits.sigmas > 0)):
        raise _broken(name, f"centre {limits.centre:g}, spread {width:g}, sigmas {limits.sigmas:g}")
    _need_known(limits, name)
    return limits


def _can_lie_there(limits: Limits) -> bool:
    """Whether the centre is one that such data can have."""
    if limits.data == "share":
        return 0 < limits.centre < 1
    return limits.centre >= (-1 if limits.data == "nps" else 0) or limits.data in ("mean", "score")


def _need_known(limits: Limits, name: str) -> None:
    """Insist on methods that the kind has, and on days that are days."""
    for known, word in (
        (SIGMA_METHODS, limits.sigma_method),
        (CONVENTIONS, limits.convention),
    ):
        if word and word not in known.get(limits.kind, ()):
            raise _broken(name, f"{word!r} is unknown for a chart of kind {limits.kind!r}")
    for word in filter(None, (limits.baseline_from, limits.baseline_to)):
        try:
            read_day(word)
        except Problem:
            raise _broken(name, f"the baseline has the day {word!r}") from None


_READ = {"str": str, "float": float, "int": lambda entry: int(float(entry))}


def _broken(name: str, why: str) -> Problem:
    return Problem(
        f"The frozen limits of {name!r} cannot be used: {why}.",
        "do not write in the ledger by hand; freeze the limits anew.",
    )


def to_freeze(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a proposal as the ledger ``limits`` takes them, those proposed only.

    Examples
    --------
    >>> to_freeze(pd.DataFrame({**{name: [1, 2] for name in LEDGER},
    ...     "action": ["keep", "propose"]}))["series"].tolist()
    [2]
    """
    need_columns(table, [*LEDGER, "action"], source="The table of proposals")
    return table.loc[table["action"] == "propose", list(LEDGER)].reset_index(drop=True)


def charted(periods: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Set the periods of one series against its limits.

    Parameters
    ----------
    periods : DataFrame, one row a period
        As for `limits_from`; all periods, baseline or not.
    limits : Limits

    Returns
    -------
    DataFrame, one row a period with cases, in order of time
        The columns given, and ``rate`` (what is drawn), ``centre``, ``low``, ``high``, and ``z``,
        the distance from the centre in sigmas, ``limits.sigmas`` at the limits.  A limit that
        cannot be reached is drawn at the edge of what is possible (a share of 0) and z does not
        know of it.  A run chart has no limits, and z tells the side only: -1, 0 or 1.

    Examples
    --------
    >>> weeks = pd.DataFrame({"period": pd.date_range("2025-01-06", periods=1, freq="7D"),
    ...                       "data": "share", "n": 100.0, "value": 20.0})
    >>> frozen = Limits(kind="p", data="share", centre=0.1, spread=1.0)
    >>> charted(weeks, frozen)[["rate", "low", "high", "z"]].round(3).to_numpy().tolist()
    [[0.2, 0.01, 0.19, 3.333]]
    """
    rows = sound(periods)
    value, n, sd = (rows[name].to_numpy(dtype=float) for name in ("value", "n", "sd"))
    centre, low, high = _lines(n, limits)
    return rows.assign(
        rate=rate_of(value, n, kind=limits.kind, data=limits.data, sd=sd),
        centre=centre,
        low=low,
        high=high,
        z=scored(value, n, limits, sd=sd),
    )


def scored(
    value: np.ndarray, n: np.ndarray, limits: Limits, *, sd: np.ndarray | None = None
) -> np.ndarray:
    """Distance of values of any shape (..., periods) from frozen limits, in sigmas.

    Examples
    --------
    >>> scored(np.array([4.0, 7.0]), np.ones(2), Limits("c", "count", centre=4.0, spread=1.0))
    array([0. , 1.5])
    """
    value = np.asarray(value, dtype=float)
    law = (np.full((1,), each) for each in (limits.centre, limits.spread, limits.within))
    with np.errstate(all="ignore"):
        z = _z(
            np.atleast_2d(value),
            np.asarray(n, dtype=float),
            *law,
            kind=limits.kind,
            data=limits.data,
            convention=limits.convention,
            sd=sd,
            sigmas=limits.sigmas,
        )
    return z.reshape(value.shape)


def standardised(
    value: np.ndarray,
    n: np.ndarray,
    base: np.ndarray,
    *,
    kind: str,
    data: str = "",
    sd: np.ndarray | None = None,
    gap: np.ndarray | None = None,
    sigma_method: str = "",
    convention: str = "",
    sigmas: float = 3.0,
) -> np.ndarray:
    """Chart many series at once, each with limits from its own baseline.

    Parameters
    ----------
    value : ndarray, shape (series, periods) or (periods,)
        Events for shares and rates, else what is drawn.
    n : ndarray, shape (periods,) or that of ``value``
    base : ndarray of bool, shape (periods,)
        Periods the limits rest on.
    kind, data, sigma_method, convention, sigmas
        As in `Limits`; ``data`` must be named where the kind does not tell it.
    sd : ndarray, shape (periods,) or that of ``value``, optional
        Spread within the periods.
    gap : ndarray of bool, shape (periods,), optional
        True where a period is missing just before.

    Returns
    -------
    ndarray, shape of ``value``
        z as in `charted`; 0 where a series never varies.

    Examples
    --------
    Moving ranges of 2 throughout, sigma 2 / 1.1284 = 1.772.

    >>> series = np.array([9.0, 11, 9, 11])
    >>> standardised(series, np.ones(4), np.ones(4, bool), kind="xmr", data="mean").round(3)
    array([-0.564,  0.564, -0.564,  0.564])
    """
    value, n = np.asarray(value, dtype=float), np.asarray(n, dtype=float)
    data = data or USUAL_DATA.get(kind, "mean")
    method, convention = _choices(kind, sigma_method, convention)
    rows = np.atleast_2d(value)
    with np.errstate(all="ignore"):
        law = _fitted(rows, n, np.asarray(base), sd, gap, kind, data, method, convention)
        z = _z(rows, n, *law, kind=kind, data=data, convention=convention, sd=sd, sigmas=sigmas)
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0).reshape(value.shape)


def rate_of(
    value: np.ndarray, n: np.ndarray, *, kind: str, data: str, sd: np.ndarray | None = None
) -> np.ndarray:
    """What is drawn: events over n for shares and rates (counts for np and c), sd for s."""
    if kind == "s":
        return np.broadcast_to(sd, np.shape(value)).astype(float)
    if kind in ("np", "c") or data not in ("share", "rate"):
        return np.asarray(value, dtype=float)
    return value / n


# --- The data at the door -------------------------------------------------------------------------


def sound(periods: pd.DataFrame) -> pd.DataFrame:
    """The periods of one series that have cases, in order of time, or what is wrong with them.

    Raises
    ------
    Problem
        If a period comes twice (of times and gaps several may), n is below 0, or events are
        blank, below 0 or above the cases of a share.
    """
    source = "The series"
    need_columns(periods, ["period", "data", "n", "value"], source=source)
    table = periods.assign(sd=periods.get("sd", np.nan))
    table = table.sort_values("period", kind="stable")
    data = str(table["data"].iloc[0]) if len(table) else ""
    twice = table[table["period"].duplicated()]
    if len(twice) and data not in ("gap", "time"):
        raise Problem(
            f"{source}: {_day(twice['period'].iloc[0])} comes twice (first rows:"
            f" {first_rows(twice)}).",
            "sum each period into one row.",
        )
    table = table[table["n"].fillna(0) != 0].reset_index(drop=True)
    off = table[~_possible(table, data)]
    if len(off):
        raise Problem(
            f"{source}: {len(off)} periods have a value that is blank or impossible, such as events"
            f" below 0 or above their cases (first: {_day(off['period'].iloc[0])}).",
            "count the events among the cases of the same period.",
        )
    return table.astype({"n": float, "value": float, "sd": float})


def _possible(table: pd.DataFrame, data: str) -> pd.Series:
    value = table["value"].astype(float)
    fine = value.notna() & np.isfinite(value) & (table["n"] > 0)
    if data == "share":
        return fine & value.between(0, table["n"])
    if data == "nps":
        return fine & value.between(-1, 1)
    return fine & (value >= 0) if data in ("rate", "count", "gap", "time") else fine


def missing_before(period: pd.Series, *, data: str = "") -> np.ndarray:
    """True where the period before is missing: the step is longer than the usual one by a half.

    Of days those are missing that fall on a weekday which the series has elsewhere, so that a
    service closed on Sundays lacks none.  Of gaps and times between events none is missing.

    Examples
    --------
    >>> weeks = pd.to_datetime(["2025-01-06", "2025-01-13", "2025-01-20", "2025-02-03"])
    >>> missing_before(pd.Series(weeks)).tolist()
    [False, False, False, True]
    """
    if data in ("gap", "time") or not pd.api.types.is_datetime64_any_dtype(period):
        return np.zeros(len(period), dtype=bool)
    when = local(period)
    step = np.diff(when.to_numpy())
    if len(step) < 2:
        return np.zeros(len(period), dtype=bool)
    usual = np.median(step)
    if usual == pd.Timedelta(days=1):
        open_on = [bool((when.dt.day_of_week == day).any()) for day in range(7)]
        day = when.to_numpy().astype("datetime64[D]")
        return np.r_[False, np.busday_count(day[:-1], day[1:], weekmask=open_on) > 1]
    return np.r_[False, step > 1.5 * usual]


def _mature(rows: pd.DataFrame) -> pd.DataFrame:
    if "mature" not in rows:
        return rows
    return rows[rows["mature"].astype(bool)].reset_index(drop=True)


def _data_of(rows: pd.DataFrame, kind: str) -> str:
    need_one_of(kind, KINDS, name="kind of chart")
    data = str(rows["data"].iloc[0]) if len(rows) else USUAL_DATA.get(kind, "mean")
    need_one_of(data, DATA, name="data of the series")
    if data not in SUITS[kind]:
        raise Problem(
            f"A chart of kind {kind!r} cannot be drawn of a {data}.",
            f"take one of: {', '.join(each for each in KINDS if data in SUITS[each])}.",
        )
    return data


def _choices(kind: str, sigma_method: str, convention: str) -> tuple[str, str]:
    need_one_of(kind, KINDS, name="kind of chart")
    known = CONVENTIONS.get(kind, ("",))
    convention = convention or known[0]
    need_one_of(convention, known, name="convention")
    if kind == "t":
        return ("likelihood" if convention == "Weibull" else "moving range"), convention
    method = sigma_method or SIGMA_METHODS[kind][0]
    need_one_of(method, SIGMA_METHODS[kind], name="sigma_method")
    return method, convention


def _need_bearable(value, n, sd, *, kind: str, data: str, convention: str) -> None:
    """Refuse what the law of the chart cannot hold."""
    needs_sd = kind in ("xbar", "s") or (kind == "i'" and data in ("mean", "score", "nps"))
    if needs_sd and not np.isfinite(sd).all():
        raise Refusal(
            f"A chart of kind {kind!r} needs the spread within each period.",
            "give `sd`, or take kind 'xmr'.",
        )
    if kind in ("np", "c") and np.ptp(n) > 0:
        raise Refusal(
            f"The size of the periods varies, which a chart of kind {kind!r} does not allow for.",
            "take 'p' for shares, 'u' for rates.",
        )
    if data in ("share", "rate", "count") and not value.any():
        raise Refusal("There is no event in the baseline.", "watch the time between events.")
    if data == "share" and (value == n).all():
        raise Refusal("Every case of the baseline is an event.", "check how events are counted.")
    if kind == "g" and not value.any():
        raise Refusal("Every opportunity is an event: no gap is left.", "count by period instead.")
    if kind == "t" and not (value > 0).any():
        raise Refusal("All events come at the same moment.", "give exact times, or count them.")
    if kind == "t" and convention == "power 1/3.6" and (value == 0).any():
        raise Refusal(
            f"{int((value == 0).sum())} times between events are 0, which the power makes too far"
            " from the others.",
            "give exact times, or take the convention 'Weibull'.",
        )


# --- The law of each kind, fitted row by row ------------------------------------------------------


def _fitted(value, n, base, sd, gap, kind, data, method, convention) -> tuple[np.ndarray, ...]:
    """Centre, spread and within of each row, each of shape (rows,)."""
    rate = rate_of(value, n, kind=kind, data=data, sd=sd)[..., base]
    size = np.broadcast_to(n, value.shape)[..., base]
    none = np.full(len(rate), np.nan)
    joined = _joined(base, gap)
    if kind == "run":
        return np.median(rate, axis=-1), none, none
    if kind == "g":
        mean = rate.mean(axis=-1)
        events = rate.shape[-1]
        return mean, (events - 1) / events / (mean + 1), np.median(rate, axis=-1)
    if kind == "t":
        return (*_times_law(rate, joined, method), none)
    if kind in ("xbar", "s"):
        sigma = _sigma_within(_within_sd(sd, size, base, data), size, method)
        return _weighted(rate if kind == "xbar" else value[..., base], size), sigma, none
    if kind == "xmr":
        return rate.mean(axis=-1), _sigma(rate, joined, method), none
    counted = data in ("share", "rate") and kind != "np"
    centre = _weighted(rate, size) if counted or kind == "i'" else rate.mean(axis=-1)
    if kind == "np":
        centre = centre / size.mean(axis=-1)
    if kind in ("p", "np", "c", "u"):
        return centre, np.ones(len(rate)), none
    if kind == "i'":
        within = _within(value, sd, size, base, centre, data)
        return centre, _between(rate, size, within, joined), within
    z = (rate - centre[:, None]) / _counting_sigma(centre, size, data)
    return centre, _sigma(z, joined, method), none


def _joined(base: np.ndarray, gap: np.ndarray | None) -> np.ndarray:
    """Which neighbouring baseline columns follow each other without a missing period."""
    at = np.flatnonzero(base)
    place = at if gap is None else at + np.cumsum(gap)[at]
    return np.diff(place) == 1


def _weighted(rate: np.ndarray, size: np.ndarray) -> np.ndarray:
    return (rate * size).sum(axis=-1) / size.sum(axis=-1)


def _counting_sigma(centre: np.ndarray, size: np.ndarray, data: str) -> np.ndarray:
    """What counting alone makes of a share or a rate; shape (rows, periods)."""
    one = centre * (1 - centre) if data == "share" else centre
    return np.sqrt(one[:, None] / size)


def _sigma(x: np.ndarray, joined: np.ndarray, method: str) -> np.ndarray:
    """Spread from period to period, row by row."""
    if method == "standard deviation":
        return x.std(axis=-1, ddof=1) / c4(x.shape[-1])
    moving = np.abs(np.diff(x, axis=-1))[..., joined]
    mean = moving.mean(axis=-1)
    if method == "screened moving range":
        kept = moving <= SCREEN * mean[:, None]
        mean = (moving * kept).sum(axis=-1) / kept.sum(axis=-1)
    return mean / D2


def _within_sd(sd, size, base, data) -> np.ndarray:
    """Spread within the periods with n - 1 as divisor; that of promoters and detractors has n."""
    inside = np.broadcast_to(sd, (len(size), len(base)))[..., base].astype(float)
    if data == "nps":
        inside = inside * np.sqrt(size / np.maximum(size - 1, 1))
    return np.where(size > 1, inside, 0.0)


def _sigma_within(inside: np.ndarray, size: np.ndarray, method: str) -> np.ndarray:
    degrees = np.maximum(size - 1, 0)
    if method == "pooled":
        return np.sqrt((degrees * inside**2).sum(axis=-1) / degrees.sum(axis=-1))
    factor = c4(np.maximum(size, 2))
    weight = np.where(size > 1, 1.0 if method == "mean sd" else factor**2 / (1 - factor**2), 0.0)
    return (weight * inside / factor).sum(axis=-1) / weight.sum(axis=-1)


def _within(value, sd, size, base, centre, data) -> np.ndarray:
    if data == "share":
        return np.sqrt(centre * (1 - centre))
    if data in ("rate", "count"):
        return np.sqrt(centre)
    return _sigma_within(_within_sd(sd, size, base, data), size, "pooled")


def _between(rate, size, within, joined) -> np.ndarray:
    """Spread between periods, such that standardised moving ranges have their normal mean."""
    moving = np.abs(np.diff(rate, axis=-1))[..., joined]
    inside = (within[:, None] ** 2 * (1 / size[..., 1:] + 1 / size[..., :-1]))[..., joined]
    low, high = np.zeros(len(rate)), 2 * (moving**2).sum(axis=-1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        mean = (moving / np.sqrt(2 * middle[:, None] + inside)).mean(axis=-1)
        wide = mean > np.sqrt(2 / np.pi)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    plain = (moving / np.sqrt(inside)).mean(axis=-1) <= np.sqrt(2 / np.pi)
    return np.where(plain, 0.0, np.sqrt((low + high) / 2))


def _times_law(time, joined, method) -> tuple[np.ndarray, np.ndarray]:
    """Centre and spread of times between events."""
    if method == "moving range":
        y = time**POWER
        return y.mean(axis=-1) ** (1 / POWER), _sigma(y, joined, method)
    shape, scale = weibull(_no_zeros(time))
    return scale * np.log(2) ** (1 / shape), shape


def _no_zeros(time: np.ndarray) -> np.ndarray:
    """Half the smallest time above 0 in place of 0, as JASP does."""
    least = np.where(time > 0, time, np.inf).min(axis=-1, keepdims=True)
    return np.where(time > 0, time, least / 2)


def weibull(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and scale of a Weibull law by likelihood.

    Parameters
    ----------
    time : ndarray, shape (rows, events)
        Above 0.

    Notes
    -----
    Newton's method for 1 / k = sum t^k log t / sum t^k - mean log t, in log k.  Lawless, J. F.
    (2003), Statistical Models and Methods for Lifetime Data, 2nd edition, section 5.2.

    Examples
    --------
    >>> shape, scale = weibull(np.random.default_rng(1).exponential(5, size=(1, 20_000)))
    >>> round(float(shape[0]), 1), round(float(scale[0]))
    (1.0, 5)
    """
    log = np.log(time)
    log = log - (level := log.mean(axis=-1, keepdims=True))
    k = np.pi / np.sqrt(6) / np.maximum(log.std(axis=-1), 1e-9)
    for _ in range(NEWTON_STEPS):
        power = np.exp(np.clip(k[:, None] * log, -700, 700))
        total = power.sum(axis=-1)
        mean, square = ((power * log**j).sum(axis=-1) / total for j in (1, 2))
        slope = k * (square - mean**2) + 1 / k
        k = k * np.exp(np.clip(-(mean - 1 / k) / slope, -1, 1))
    scale = np.exp(np.log(np.exp(k[:, None] * log).mean(axis=-1)) / k + level[:, 0])
    return k, scale


# --- From a value to z, and from z to the lines that are drawn ------------------------------------


def _z(value, n, centre, spread, within, *, kind, data, convention, sd, sigmas) -> np.ndarray:
    rate = rate_of(value, n, kind=kind, data=data, sd=sd)
    middle, wide = centre[:, None], spread[:, None]
    if kind == "run":
        return np.sign(rate - middle)
    if kind == "g":
        return _gap_z(rate, middle, wide, within[:, None], convention, sigmas)
    if kind == "t" and convention == "Weibull":
        return _time_z(rate, middle, wide)
    if kind == "t":
        return (rate**POWER - middle**POWER) / wide
    if kind == "s":
        factor = c4(np.maximum(n, 2))
        return np.where(np.asarray(n) > 1, (rate / wide - factor) / np.sqrt(1 - factor**2), np.nan)
    if kind == "np":
        return (rate - n * middle) / np.sqrt(n * middle * (1 - middle))
    return (rate - middle) / _sigma_at(np.asarray(n), centre, spread, within, kind, data)


def _sigma_at(n, centre, spread, within, kind: str, data: str) -> np.ndarray:
    """Sigma of what is drawn in a period of size n, for the charts that have one."""
    if kind == "xmr":
        return spread[:, None]
    if kind == "xbar":
        return spread[:, None] / np.sqrt(n)
    if kind == "i'":
        return np.sqrt(spread[:, None] ** 2 + within[:, None] ** 2 / n)
    return spread[:, None] * _counting_sigma(centre, n, data)


def _gap_z(gap, mean, chance, median, convention: str, sigmas: float) -> np.ndarray:
    if convention == "probability":  # of half the gaps as long as this one and all shorter ones
        below = -np.expm1(gap * np.log1p(-chance) + np.log1p(-chance / 2))
        above = np.exp(gap * np.log1p(-chance) + np.log1p(-chance / 2))
        return _normal_score(below, above)
    low, middle, high = _gap_lines(mean, chance, median, convention, sigmas)
    if convention == "Minitab and JASP":
        above = np.exp((gap + 1) * np.log1p(-chance))
        z = _normal_score(-np.expm1((gap + 1) * np.log1p(-chance)), above)
        return np.where(gap < low, -sigmas * (2 - gap / low), z)  # 0 is beyond, as it is there
    downwards = np.where(gap < middle, (gap - middle) / np.where(middle > low, middle - low, 1), 0)
    return sigmas * np.where(gap > middle, (gap - middle) / (high - middle), downwards)


def _time_z(time, median, shape) -> np.ndarray:
    least = np.finfo(float).tiny
    hazard = np.log(2) * (np.maximum(time, least) / median) ** shape
    return _normal_score(-np.expm1(-hazard), np.exp(-hazard))


def _normal_score(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """From the smaller of the two, which is the surer one."""
    tiny = np.finfo(float).tiny
    return np.where(
        below < 0.5,
        special.ndtri(np.maximum(below, tiny)),
        -special.ndtri(np.maximum(above, tiny)),
    )


def _lines(n: np.ndarray, limits: Limits) -> tuple[np.ndarray, ...]:
    """Centre and limits as they are drawn in periods of these sizes."""
    centre, k = np.full(n.shape, limits.centre), limits.sigmas
    if limits.kind == "run":
        none = np.full(n.shape, np.nan)
        return centre, none, none
    if limits.kind in ("g", "t"):
        low, middle, high = (
            _gap_lines(limits.centre, limits.spread, limits.within, limits.convention, k)
            if limits.kind == "g"
            else _time_lines(limits)
        )
        return tuple(np.full(n.shape, max(float(each), 0.0)) for each in (middle, low, high))
    if limits.kind == "s":
        factor = c4(np.maximum(n, 2))
        centre, half = factor * limits.spread, k * np.sqrt(1 - factor**2) * limits.spread
    elif limits.kind == "np":
        centre, half = n * centre, k * np.sqrt(n * centre * (1 - centre))
    else:
        law = (np.full((1,), each) for each in (limits.centre, limits.spread, limits.within))
        half = k * np.broadcast_to(_sigma_at(n, *law, limits.kind, limits.data), (1, len(n)))[0]
    least, most = _possible_range(n, limits)
    return centre, np.maximum(centre - half, least), np.minimum(centre + half, most)


def _possible_range(n: np.ndarray, limits: Limits) -> tuple[np.ndarray | float, np.ndarray | float]:
    if limits.kind == "np":
        return 0.0, n
    if limits.data == "nps":
        return -1.0, 1.0
    least = -np.inf if limits.data in ("mean", "score") and limits.kind != "s" else 0.0
    return least, 1.0 if limits.data == "share" else np.inf


def _gap_lines(mean, chance, median, convention: str, sigmas: float) -> tuple:
    """Lower limit, centre and upper limit of the gaps between events."""
    tail = stats.norm.sf(sigmas)
    if convention == "probability":
        return tuple(
            (np.log1p(-q) - np.log1p(-chance / 2)) / np.log1p(-chance)
            for q in (tail, 0.5, 1 - tail)
        )
    if convention == "Minitab and JASP":
        tail = round(tail, 5)  # 0.00135, as those programs have it
        return tuple(_interpolated_gap(q, chance) for q in (tail, 0.5, 1 - tail))
    middle = PROVOST * mean if convention == "Provost" else median
    return np.zeros_like(mean), middle, mean + sigmas * np.sqrt(mean * (mean + 1))


def _interpolated_gap(q: float, chance):
    """Quantile of a geometric law, evenly between whole gaps; below the first, from 0."""
    whole = np.floor(np.log1p(-q) / np.log1p(-chance)) - 1
    below, above = (-np.expm1((whole + j) * np.log1p(-chance)) for j in (1, 2))
    return np.where(q < chance, q / chance, whole + (q - below) / (above - below))


def _time_lines(limits: Limits) -> tuple[float, float, float]:
    if limits.convention == "Weibull":
        tail = stats.norm.sf(limits.sigmas)
        low, high = (
            limits.centre * (-np.log1p(-q) / np.log(2)) ** (1 / limits.spread)
            for q in (tail, 1 - tail)
        )
        return low, limits.centre, high
    middle, half = limits.centre**POWER, limits.sigmas * limits.spread
    low, high = (max(each, 0.0) ** (1 / POWER) for each in (middle - half, middle + half))
    return low, limits.centre, high


def _day(when: object) -> str:
    return str(when)[:10]


# --- Constants ------------------------------------------------------------------------------------


def c4(n: np.ndarray | float) -> np.ndarray | float:
    """Mean of the standard deviation of n standard normal values, over 1.

    Notes
    -----
    sqrt(2 / (n - 1)) gamma(n / 2) / gamma((n - 1) / 2), by logarithms, since gamma itself overflows
    from n = 344 on.

    Examples
    --------
    >>> round(float(c4(5)), 4)
    0.94
    """
    n = np.asarray(n, dtype=float)
    return np.sqrt(2 / (n - 1)) * np.exp(special.gammaln(n / 2) - special.gammaln((n - 1) / 2))


def range_law(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the range of n standard normal values: d2 and d3.

    Notes
    -----
    d2 = integral of 1 - F(x)^n - (1 - F(x))^n; the mean square is the double integral over y > x of
    2 (1 - F(y)^n - (1 - F(x))^n + (F(y) - F(x))^n).  Tippett, L. H. C. (1925). Biometrika 17,
    364-387. doi:10.1093/biomet/17.3-4.364

    Examples
    --------
    >>> [round(each, 3) for each in range_law(5)]
    [2.326, 0.864]
    """
    node, weight = np.polynomial.legendre.leggauss(160)
    x = 8.5 * node
    below = special.ndtr(x)
    mean = float(8.5 * weight @ (1 - below**n - (1 - below) ** n))
    half = (8.5 - x)[:, None] / 2
    low, high = below[:, None], special.ndtr(x[:, None] + half * (1 + node))
    joint = 1 - high**n - (1 - low) ** n + (high - low) ** n
    square = 2 * float(8.5 * weight @ (half * joint * weight).sum(axis=1))
    return mean, sqrt(max(square - mean**2, 0.0))


# --- Beside the charts ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Dispersion:
    """Whether counts vary more than counting alone makes them.

    Attributes
    ----------
    ratio : float
        Variance seen over the variance of the law, 1 if counting alone explains it.
    statistic : float
    degrees : int
        Of freedom.
    p_value : float
        Chance of as large a statistic if counting alone explains it.
    """

    ratio: float
    statistic: float
    degrees: int
    p_value: float


def dispersion(value: np.ndarray, n: np.ndarray, *, data: str) -> Dispersion:
    """Test whether the counts of a steady process are binomial or Poisson.

    Parameters
    ----------
    value : ndarray, shape (periods,)
        Events.
    n : ndarray, shape (periods,)
        Cases of a share, units of exposure of a rate, ones of a count.
    data : {"share", "rate", "count"}

    Raises
    ------
    Refusal
        If there are fewer than two periods, or nothing that could vary.

    Notes
    -----
    Pearson's chi-squared with each period's own n, on one degree of freedom less than periods
    [1]_.  (qcc takes the mean of the n where they differ.)

    References
    ----------
    .. [1] Wetherill, G. B., Brown, D. W. (1991). Statistical Process Control: Theory and Practice.
       London: Chapman and Hall, 212-218.

    Examples
    --------
    Mean 4, (1 + 1 + 4 + 4) / 4 = 2.5 on 3 degrees.

    >>> found = dispersion(np.array([3, 5, 2, 6]), np.ones(4), data="count")
    >>> found.statistic, found.degrees, round(found.ratio, 3)
    (2.5, 3, 0.833)
    """
    need_one_of(data, ("share", "rate", "count"), name="data")
    value, n = np.asarray(value, dtype=float), np.asarray(n, dtype=float) * np.ones(np.shape(value))
    level = value.sum() / n.sum() if n.sum() > 0 else 0.0
    variance = n * level * (1 - level if data == "share" else 1)
    if len(value) < 2 or not (variance > 0).all():
        raise Refusal(
            f"{len(value)} periods at a level of {level:.3g} cannot show whether they vary more.",
            "collect more periods with events.",
        )
    statistic, degrees = float(((value - n * level) ** 2 / variance).sum()), len(value) - 1
    return Dispersion(
        statistic / degrees, statistic, degrees, float(stats.chi2.sf(statistic, degrees))
    )


@dataclass(frozen=True, eq=False)
class TSquared:
    """Several measures of each period at once, set against their common centre.

    Attributes
    ----------
    distances : ndarray, shape (periods,)
        Hotelling's T squared.
    limit : float
        Beyond which a period of the baseline itself signals.
    centre : ndarray, shape (measures,)
    covariance : ndarray, shape (measures, measures)
    """

    distances: np.ndarray
    limit: float
    centre: np.ndarray
    covariance: np.ndarray


def hotelling_t2(values: np.ndarray, *, confidence: float) -> TSquared:
    """Hotelling's T squared of single observations of several measures.

    Parameters
    ----------
    values : ndarray, shape (periods, measures)
    confidence : float
        Chance that a steady period stays within the limit; programs take 0.9973 ** measures.

    Raises
    ------
    Refusal
        If there are no more than two periods more than measures, or one measure follows from
        the others.

    Notes
    -----
    (x - mean)' S^-1 (x - mean); as the period is part of mean and S, the limit is
    (m - 1)^2 / m times a quantile of beta(p / 2, (m - p - 1) / 2).  Tracy, N. D., Young, J. C.,
    Mason, R. L. (1992). Journal of Quality Technology 24(2), 88-95.

    Examples
    --------
    A single measure: ((x - mean) / sd) squared; of 1, 2, 3 the last is one sd away.

    >>> found = hotelling_t2(np.array([[1.0], [2], [3], [2]]), confidence=0.9973)
    >>> found.distances.round(3).tolist()
    [1.5, 0.0, 1.5, 0.0]
    """
    values = np.asarray(values, dtype=float)
    m, p = values.shape
    if m < p + 2 or np.linalg.matrix_rank(values - values.mean(axis=0)) < p:
        raise Refusal(
            f"{m} periods cannot tell how {p} measures vary together.",
            "collect more periods, or leave out a measure that follows from the others.",
        )
    centre, covariance = values.mean(axis=0), np.atleast_2d(np.cov(values, rowvar=False))
    off = values - centre
    distances = (off * np.linalg.solve(covariance, off.T).T).sum(axis=1)
    limit = (m - 1) ** 2 / m * stats.beta.ppf(confidence, p / 2, (m - p - 1) / 2)
    return TSquared(distances, float(limit), centre, covariance)
