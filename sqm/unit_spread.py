"""How much do sites, teams or agents really differ, once chance is taken off?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import expit, gammaln, logit

from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of
from sqm.finding import counted
from sqm.regression import sums_by

KINDS = ("share", "rate", "mean")
FEWEST_UNITS = 3
WINSORISED = 0.1  # of the units at either end are drawn in before their spread is judged
TRUSTED = 30  # records from which a unit's own spread is used for its mean, not the pooled one
NODES = 9  # of a unit's quadrature
SPREADS, CENTRES = 40, 21  # values of the spread between units, and of their centre, looked at
BLOCK = 2_000_000  # numbers held at once


@dataclass(frozen=True, eq=False)
class Units:
    """Units that can be compared, on a scale on which their errors are known.

    Attributes
    ----------
    kind : str
    names, within : tuple of str, one a unit
    group : ndarray of int, shape (units,)
        Code of ``within``.
    n, value, expected, dispersion, sd : ndarray, shape (units,)
        ``expected`` is scaled so that each group's sum (or mean) is what was seen.
    overall : float
        Share, rate or mean of all.
    y, error : ndarray, shape (units,)
        Distance from the group's level and its standard error by chance alone: of a share by
        arcsine of the root, of a rate by the root of observed over expected, of a mean as it is.
    small : int
        Units too small to be judged, joined out of sight.
    small_n, small_value : float
        Their records or exposure, and events (or mean).
    empty, alone : int
        Units without a record; units that are the only ones of their group.
    """

    kind: str
    names: tuple[str, ...]
    within: tuple[str, ...]
    group: np.ndarray
    n: np.ndarray
    value: np.ndarray
    expected: np.ndarray
    dispersion: np.ndarray
    sd: np.ndarray
    overall: float
    y: np.ndarray
    error: np.ndarray
    small: int
    small_n: float
    small_value: float
    empty: int
    alone: int

    @property
    def groups(self) -> int:
        """Groups inside which units are compared."""
        return int(self.group.max()) + 1


def units_from(units: pd.DataFrame, *, kind: str, smallest: float, source: str) -> Units:
    """Read a table of units, insist that it is sound, and set the small ones aside.

    Parameters
    ----------
    units : DataFrame, one row per unit
        ``unit``, ``n``, ``value`` (events of a share or rate, else the mean); for means ``sd``;
        optional ``expected`` (events, or the mean, given the mix), ``within``, ``dispersion``.
    kind : {"share", "rate", "mean"}
    smallest : float
        Expected events (of a share the rarer outcome; of a mean records) below which a unit is
        neither named nor judged.
    source : str

    Raises
    ------
    Problem
        Blank or repeated names, impossible numbers.
    Refusal
        Fewer than three units large enough; no event at all, or nothing but events.

    Examples
    --------
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "n": 100, "value": [10.0, 20.0, 30.0]})
    >>> found = units_from(units, kind="share", smallest=5, source="units")
    >>> found.overall, (np.arcsin(0.1**0.5) - np.arcsin(0.2**0.5)).round(6) == found.y[0].round(6)
    (0.2, np.True_)
    """
    need_one_of(kind, KINDS, name="kind")
    need_columns(units, ["unit", "n", "value", *(["sd"] if kind == "mean" else [])], source=source)
    table = _sound(units, kind, source)
    empty = int((table["n"] == 0).sum())
    table = table[table["n"] > 0]
    _need_events(table, kind, source)
    table = table.assign(expected=_scaled(table, kind))
    rare = _rarer(table, kind) < smallest
    small, table = table[rare], table[~rare]
    lonely = table.groupby("within")["unit"].transform("size") < 2
    alone, table = int(lonely.sum()), table[~lonely]
    if len(table) < FEWEST_UNITS:
        raise Refusal(
            f"{source} has {len(table)} units of at least {smallest:g} expected events where a"
            f" comparison needs {FEWEST_UNITS}.",
            "take a longer time or larger units; two units are compared as a difference.",
        )
    table = table.assign(expected=_scaled(table, kind)).reset_index(drop=True)
    return _on_scale(table, kind, small, empty, alone)


def _sound(units: pd.DataFrame, kind: str, source: str) -> pd.DataFrame:
    table = units.reset_index(drop=True)
    table = table.assign(
        unit=table["unit"].astype("str").fillna(""),
        within=table["within"].astype("str").fillna("") if "within" in table else "",
    )
    blank = table[table["unit"].str.strip() == ""]
    if len(blank):
        raise Problem(
            f"{source} has {len(blank)} units without a name (first rows: {first_rows(blank)}).",
            "name every unit, or leave the rows without one out.",
        )
    twice = table[table.duplicated(["within", "unit"])]
    if len(twice):
        raise Problem(
            f"{source} has {twice['unit'].iloc[0]!r} more than once.", "give one row a unit."
        )
    for column in ("n", "value", "sd", "expected", "dispersion"):
        table[column] = _number(table, column, source)
    wrong = {
        "a negative n": table["n"] < 0,
        "no number": table["n"].isna() | (table["value"].isna() & (table["n"] > 0)),
    }
    if kind != "mean":
        wrong["a negative number of events"] = table["value"] < 0
    if kind == "share":
        wrong["more events than cases"] = table["value"] > table["n"]
    for what, rows in wrong.items():
        if rows.any():
            raise Problem(
                f"{source}: {int(rows.sum())} units have {what} (first: "
                f"{', '.join(table.loc[rows, 'unit'][:5])}).",
                "correct the counts: n is what the value is out of.",
            )
    return table


def _number(table: pd.DataFrame, column: str, source: str) -> pd.Series:
    if column not in table:
        return pd.Series(1.0 if column == "dispersion" else np.nan, index=table.index)
    try:
        values = pd.to_numeric(table[column]).astype(float)
    except (TypeError, ValueError):
        raise Problem(f"{source}: {column!r} does not hold numbers.", "give numbers.") from None
    values = values.replace([np.inf, -np.inf], np.nan)
    return values.fillna(1.0).clip(lower=1e-6) if column == "dispersion" else values


def _need_events(table: pd.DataFrame, kind: str, source: str) -> None:
    if len(table) < 2:
        found = counted(len(table), "unit")
        raise Refusal(f"{source} has {found} with records.", "compare two or more.")
    total, n = table["value"].sum(), table["n"].sum()
    if kind != "mean" and total == 0:
        raise Refusal("No unit has any event: nothing differs.", "watch for longer.")
    if kind == "share" and total == n:
        raise Refusal("Every case of every unit counts: nothing differs.", "check the measure.")
    if kind == "mean" and not (table["sd"] > 0).any():
        raise Refusal("The records of no unit vary.", "check the measure.")


def _scaled(table: pd.DataFrame, kind: str) -> pd.Series:
    """What is expected of each unit, so that its group sums to what was seen."""
    group = table["within"]
    weight = table["n"] if kind == "mean" else pd.Series(1.0, index=table.index)
    default = pd.Series(0.0, index=table.index) if kind == "mean" else table["n"]
    due = default if table["expected"].isna().all() else table["expected"]
    if due.isna().any():
        raise Problem(
            f"{int(due.isna().sum())} units have no expectation and others do.",
            "give one for every unit, or for none.",
        )
    seen = (table["value"] * weight).groupby(group).transform("sum")
    total = (due * weight).groupby(group).transform("sum")
    if kind == "mean":
        return due + (seen - total) / weight.groupby(group).transform("sum")
    if kind == "rate":
        return due * seen / total
    return _shifted(table["n"], due, seen, group)


def _shifted(n: pd.Series, due: pd.Series, seen: pd.Series, group: pd.Series) -> np.ndarray:
    """Shares moved by the same log odds in a group until they sum to the events seen."""
    code, names = pd.factorize(group)
    size, cases = len(names), n.to_numpy(dtype=float)
    eta = logit(np.clip((due / n).to_numpy(), 1e-9, 1 - 1e-9))
    limit = np.zeros(size)
    limit[code] = seen.to_numpy()
    limit = np.clip(limit, 1e-9, sums_by(cases, code, size) - 1e-9)
    for _ in range(50):
        p = expit(eta)
        gap = limit - sums_by(cases * p, code, size)
        step = gap / sums_by(cases * p * (1 - p), code, size)
        eta = eta + np.clip(step, -2, 2)[code]
        if np.abs(gap).max() < 1e-9 * cases.sum():
            break
    return cases * expit(eta)


def _rarer(table: pd.DataFrame, kind: str) -> pd.Series:
    if kind == "mean":
        return table["n"]
    due = table["expected"]
    return due if kind == "rate" else np.minimum(due, table["n"] - due)


def _on_scale(table: pd.DataFrame, kind: str, small: pd.DataFrame, empty: int, alone: int) -> Units:
    n, value, due = (table[c].to_numpy() for c in ("n", "value", "expected"))
    over = table["dispersion"].to_numpy()
    sd = _spread_of_records(table) if kind == "mean" else np.full(len(table), np.nan)
    if kind == "share":
        y, error = np.arcsin(np.sqrt(value / n)) - np.arcsin(np.sqrt(due / n)), 0.5 / np.sqrt(n)
        # the variance of the arcsine is 1 / 4n whatever the share
    elif kind == "rate":
        y, error = np.sqrt(value / due) - 1, 0.5 / np.sqrt(due)
    else:
        y, error = value - due, sd / np.sqrt(n)
    weighs = n if kind == "mean" else 1.0
    joined = np.average(small["value"], weights=small["n"]) if len(small) else np.nan
    return Units(
        kind=kind,
        names=tuple(table["unit"]),
        within=tuple(table["within"]),
        group=pd.factorize(table["within"], sort=True)[0],
        n=n,
        value=value,
        expected=due,
        dispersion=over,
        sd=sd,
        overall=float((value * weighs).sum() / n.sum()),
        y=y,
        error=error * np.sqrt(over),
        small=len(small),
        small_n=float(small["n"].sum()),
        small_value=float(joined if kind == "mean" else small["value"].sum()),
        empty=empty,
        alone=alone,
    )


def _spread_of_records(table: pd.DataFrame) -> np.ndarray:
    n, sd = table["n"].to_numpy(), table["sd"].fillna(0.0).to_numpy()
    free = np.maximum(n - 1, 0)
    pooled = np.sqrt((free * sd**2).sum() / max(free.sum(), 1))
    return np.where((n >= TRUSTED) & (sd > 0), sd, pooled)


def back(units: Units, y: np.ndarray) -> np.ndarray:
    """Turn a distance on the working scale into the share, rate or mean at the average mix."""
    if units.kind == "share":
        middle = np.arcsin(np.sqrt(units.overall))
        return np.sin(np.clip(middle + y, 0, np.pi / 2)) ** 2
    if units.kind == "rate":
        return units.overall * np.maximum(1 + y, 0) ** 2
    return units.overall + y


# --- How far apart they are -----------------------------------------------------------------------


def winsorised_spread(units: Units) -> tuple[float, float]:
    """Variance between units, by moments, that a few outliers do not blow up.

    Returns
    -------
    variance, float
        Of what units differ by beyond chance, on the working scale.
    inflation, float
        Spread of the units over what chance alone would give (1: chance explains it).

    Notes
    -----
    z = y / error, its outermost tenth at either end drawn in, phi = sum z^2 / I, and
    (I phi - (I - 1)) / (sum w - sum w^2 / sum w) with w = 1 / error^2, at least 0 [1]_.  As
    published, drawing in shrinks phi by about a third even if units are normal; here it is
    divided by what chance alone would leave of it, so that limits keep their false-alarm rate.

    References
    ----------
    .. [1] Spiegelhalter, D. J. (2005). Handling over-dispersion of performance indicators.
       Quality and Safety in Health Care 14, 347-351. doi:10.1136/qshc.2005.013755
    """
    z, free = units.y / units.error, len(units.y) - units.groups
    left, _ = _drawn_in(len(z))
    phi = _inner(z[None, :])[0] / left * (len(z) - 1) / free
    w = 1 / units.error**2
    variance = (phi - 1) * free / (w.sum() - (w**2).sum() / w.sum())
    return max(float(variance), 0.0), float(phi)


def _inner(z: np.ndarray) -> np.ndarray:
    """Sum of squares over I - 1 with the outermost tenth at either end drawn in."""
    units = z.shape[1]
    cut = max(int(units * WINSORISED), 1) if units >= 5 else 0
    ordered = np.sort(z, axis=1)
    drawn = np.clip(z, ordered[:, [cut]], ordered[:, [units - 1 - cut]])
    return (drawn**2).sum(axis=1) / (units - 1)


@lru_cache(maxsize=256)
def _drawn_in(units: int) -> tuple[float, float]:
    """Mean of `_inner` for steady units, and its relative variance (fixed seed)."""
    rng = np.random.default_rng(units)
    z = rng.normal(size=(max(2_000, min(20_000, 2_000_000 // units)), units))
    found = _inner(z - z.mean(axis=1, keepdims=True))
    return float(found.mean()), float(found.var() / found.mean() ** 2)


def distances(units: Units, variance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far each unit stands from its group, in standard errors, and the chance of as much.

    Parameters
    ----------
    units : Units
    variance : float
        Between units, on the working scale; 0 for chance alone.

    Returns
    -------
    error, z, p : ndarray, shape (units,)
        ``error`` allows for the unit being part of the level it is set against.  ``p`` is
        two-sided, of Student's t: the less is known of the variance, the fewer its degrees of
        freedom, 2 (error^2 / variance)^2 / (relative variance of phi) after Satterthwaite.
    """
    total = units.error**2 + variance
    sums = sums_by(_weight(units), units.group, units.groups)
    share = _weight(units) / sums[units.group]
    level = sums_by(share**2 * total, units.group, units.groups)[units.group]
    error = np.sqrt(np.maximum(total * (1 - 2 * share) + level, 1e-300))
    z = units.y / error
    with np.errstate(divide="ignore"):
        free = 2 * (total / variance) ** 2 / _drawn_in(len(z))[1] if variance > 0 else np.inf
    return error, z, 2 * stats.t.sf(np.abs(z), np.minimum(free, 1e6))


def _weight(units: Units) -> np.ndarray:
    return units.expected if units.kind == "rate" else units.n


def profile(units: Units, *, confidence: float) -> tuple[float, float, float]:
    """Variance between units on the working scale, with its interval.

    Notes
    -----
    Paule and Mandel's estimate, at which Q = sum w (y - mean)^2 with w = 1 / (error^2 + variance)
    equals its degrees of freedom, and the Q-profile interval, at which it equals the quantiles
    of chi-squared [1]_: exact if distances are normal and errors known.

    References
    ----------
    .. [1] Viechtbauer, W. (2007). Confidence intervals for the amount of heterogeneity in
       meta-analysis. Statistics in Medicine 26, 37-52. doi:10.1002/sim.2514
    """
    free = len(units.y) - units.groups
    tail = (1 - confidence) / 2
    at = (free, stats.chi2.isf(tail, free), stats.chi2.ppf(tail, free))
    estimate, low, high = (_solved(units, float(level)) for level in at)
    return estimate, low, high


def heterogeneity(units: Units, variance: float = 0.0) -> float:
    """Cochran's Q of the units about their groups' means."""
    w = 1 / (units.error**2 + variance)
    total = sums_by(w, units.group, units.groups)
    mean = sums_by(w * units.y, units.group, units.groups) / total
    return float((w * (units.y - mean[units.group]) ** 2).sum())


def _solved(units: Units, level: float) -> float:
    if heterogeneity(units) <= level:
        return 0.0
    top = float(np.ptp(units.y) ** 2 + units.error.max() ** 2)
    while heterogeneity(units, top) > level:
        top *= 4
    return float(optimize.brentq(lambda v: heterogeneity(units, v) - level, 0.0, top, rtol=1e-12))


def typical_error(units: Units) -> float:
    """Variance by chance of a typical unit (Higgins and Thompson's, for I squared).

    Higgins, J. P. T., Thompson, S. G. (2002). Statistics in Medicine 21, 1539-1558.
    doi:10.1002/sim.1186
    """
    w = 1 / units.error**2
    return float((len(w) - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum()))


# --- What each unit's own level may be ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Levels:
    """Draws of what the units' levels may be, all of them together.

    Attributes
    ----------
    effect : ndarray, shape (draws, units)
        Log odds ratio, log rate ratio or difference to what is expected of the unit.
    centre : ndarray, shape (draws, units)
        The centre of the unit's group, on the same scale.
    spread : ndarray, shape (draws,)
        Standard deviation between units.
    """

    effect: np.ndarray
    centre: np.ndarray
    spread: np.ndarray


def levels_of(units: Units, *, draws: int, rng: np.random.Generator) -> Levels:
    """Draw the units' levels given what was seen of all of them.

    Notes
    -----
    The counts are binomial or Poisson (means: normal) about levels that are normal about their
    group's centre, on log odds, log rates or as they are.  Flat priors on the spread between
    units and on each centre (Gelman, A. (2006). Bayesian Analysis 1, 515-534), so that not
    knowing the spread is in the intervals.  The spread and the centres are laid out on a grid,
    each unit's level integrated out by adaptive Gauss-Hermite quadrature; draws of the levels
    are then put right by four steps of Metropolis's rule.  Dispersion raises the
    likelihood to the power of its inverse.
    """
    spread, centre, height, mode, scale = _grid(units)
    which, middle = _hyper(units, spread, centre, height, draws, rng)
    tau = spread[which]
    at = _nearest(centre, which, middle, units)
    m = mode[np.arange(len(units.y)), which[:, None], at]
    s = scale[np.arange(len(units.y)), which[:, None], at]
    return Levels(_settled(units, m, s, middle, tau, rng), middle, tau)


def _first(units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and error of each unit's effect on the scale of the likelihood."""
    n, o, due = units.n, units.value, units.expected
    if units.kind == "mean":
        return units.y, units.error
    if units.kind == "rate":
        b = np.log((o + 0.5) / (due + 0.5))
        return b, np.sqrt(units.dispersion / (o + 0.5))
    b = np.log((o + 0.5) / (n - o + 0.5)) - logit(np.clip(due / n, 1e-9, 1 - 1e-9))
    return b, np.sqrt(units.dispersion * (1 / (o + 0.5) + 1 / (n - o + 0.5)))


def chance_error(units: Units) -> np.ndarray:
    """Standard error by chance of each unit's log odds, log rate or mean."""
    return _first(units)[1]


def _seen(units: Units, effect: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood of effects of shape (..., units), its slope and minus its curvature."""
    over = units.dispersion
    if units.kind == "mean":
        w = 1 / units.error**2
        off = units.y - effect
        return -0.5 * w * off**2, w * off, np.broadcast_to(w, effect.shape)
    if units.kind == "rate":
        mean = units.expected * np.exp(effect)
        constant = units.value * np.log(units.expected) - gammaln(units.value + 1)
        height = units.value * effect - mean + constant
        return height / over, (units.value - mean) / over, mean / over
    eta = logit(np.clip(units.expected / units.n, 1e-9, 1 - 1e-9)) + effect
    p = expit(eta)
    height = units.value * eta - units.n * np.logaddexp(0, eta)
    slope = units.value - units.n * p
    return height / over, slope / over, units.n * p * (1 - p) / over


def _grid(units: Units):
    """Marginal log likelihood by unit, spread and centre, with each unit's mode and scale there.

    Returns
    -------
    spread : ndarray, shape (spreads,)
    centre : ndarray, shape (spreads, centres, groups)
    height, mode, scale : ndarray, shape (units, spreads, centres)
    """
    b, e = _first(units)
    top = 3 * float(np.std(b)) + 2 * float(np.median(e))
    free = max(len(b) - units.groups, 1)
    top *= 1 + 8 / free  # few units: the spread may be much larger than it looks
    spread = top * ((np.arange(SPREADS) + 0.5) / SPREADS) ** 2
    centre = _centres(units, b, e, spread)
    own = np.moveaxis(centre[:, :, units.group], -1, 0)  # (units, spreads, centres)
    shape = own.shape
    height, mode, scale = np.empty(shape), np.empty(shape), np.empty(shape)
    step = max(BLOCK // (shape[1] * shape[2] * NODES), 1)
    for start in range(0, len(b), step):
        some = slice(start, start + step)
        found = _marginal(_part(units, some), own[some], spread)
        height[some], mode[some], scale[some] = found
    return spread, centre, height, mode, scale


def _part(units: Units, some: slice) -> Units:
    cut = {
        name: getattr(units, name)[some]
        for name in ("group", "n", "value", "expected", "dispersion", "sd", "y", "error")
    }
    kept = {
        name: getattr(units, name)
        for name in ("kind", "overall", "small", "small_n", "small_value", "empty", "alone")
    }
    return Units(names=units.names[some], within=units.within[some], **cut, **kept)


def _centres(units: Units, b, e, spread) -> np.ndarray:
    """Centres worth looking at: four standard errors about the best at each spread."""
    steps = np.linspace(-4, 4, CENTRES)
    found = np.empty((len(spread), CENTRES, units.groups))
    for i, tau in enumerate(spread):
        w = 1 / (e**2 + tau**2)
        total = sums_by(w, units.group, units.groups)
        middle = sums_by(w * b, units.group, units.groups) / total
        found[i] = middle + steps[:, None] / np.sqrt(total)
    return found


def _marginal(units: Units, centre: np.ndarray, spread: np.ndarray):
    """Integrate each unit's level out, by quadrature about its mode."""
    precision = 1 / spread[:, None] ** 2  # (spreads, 1)
    last = np.moveaxis(centre, 0, -1)  # (spreads, centres, units)
    precision = precision[..., None]
    b, e = _first(units)
    x = (b / e**2 + precision * last) / (1 / e**2 + precision)
    for _ in range(6):
        _, slope, curve = _seen(units, x)
        step = (slope - precision * (x - last)) / (curve + precision)
        x = x + np.clip(step, -1, 1) if units.kind != "mean" else x + step
    scale = 1 / np.sqrt(_seen(units, x)[2] + precision)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    total = np.full(x.shape, -np.inf)
    for node, weight in zip(nodes, weights, strict=True):
        at = x + scale * node
        log = _seen(units, at)[0] - 0.5 * precision * (at - last) ** 2
        total = np.logaddexp(total, log + np.log(weight) + node**2 / 2)
    total = total + np.log(scale) + 0.5 * np.log(precision)
    return tuple(np.moveaxis(each, -1, 0) for each in (total, x, scale))


def _hyper(units, spread, centre, height, draws, rng) -> tuple[np.ndarray, np.ndarray]:
    """Draw the place of the spread on its grid, and each group's centre given it."""
    groups = units.groups
    by_group = np.stack([height[units.group == g].sum(axis=0) for g in range(groups)], axis=-1)
    width = (centre[:, 1] - centre[:, 0])[:, None, :]  # of the centres' grid
    top = by_group.max(axis=1, keepdims=True)
    mass = np.exp(by_group - top) * width  # (spreads, centres, groups)
    log = (top[:, 0] + np.log(mass.sum(axis=1))).sum(axis=1)
    log += np.log(np.gradient(spread))  # the grid is not even, the prior is
    chance = np.exp(log - log.max())
    which = rng.choice(len(spread), size=draws, p=chance / chance.sum())
    upto = np.cumsum(mass, axis=1) / mass.sum(axis=1, keepdims=True)
    hit = (rng.random((draws, 1, groups)) > upto[which]).sum(axis=1)
    middle = centre[which[:, None], hit, np.arange(groups)]
    middle = middle + (rng.random((draws, groups)) - 0.5) * width[which, 0]
    return which, middle[:, units.group]


def _nearest(centre, which, middle, units) -> np.ndarray:
    first = centre[which, 0][:, units.group]
    step = (centre[which, 1] - centre[which, 0])[:, units.group]
    return np.clip(np.round((middle - first) / step).astype(int), 0, CENTRES - 1)


def _settled(units, mode, scale, centre, spread, rng) -> np.ndarray:
    """Levels drawn near their modes, put right by Metropolis's rule."""
    tau = spread[:, None]

    def log(x):
        near = _seen(units, x)[0] - 0.5 * ((x - centre) / tau) ** 2
        return near + 0.5 * ((x - mode) / wide) ** 2

    wide = scale * 1.1
    x = mode + wide * rng.normal(size=mode.shape)
    height = log(x)
    for _ in range(4):
        other = mode + wide * rng.normal(size=mode.shape)
        to = log(other)
        better = np.log(rng.random(mode.shape)) < to - height
        x, height = np.where(better, other, x), np.where(better, to, height)
    return x
