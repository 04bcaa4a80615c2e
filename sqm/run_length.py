"""How many periods does a chart run on average before it signals?

Average run lengths (ARL) of charts with known limits, counted from the first period (zero state).
Computed where a chart allows it: by a Markov chain or by an integral equation.  Anything else is
simulated, with its standard error.  A shift is in standard deviations of a period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from sqm.checks import Problem

CELLS = 201  # of a chain where the quadrature does not serve
NODES = 120  # of the quadrature: ten digits for weights down to 0.03
MOST_STATES = 4_000
LONGEST = 1e12  # periods; beyond it a run length cannot be told from an infinite one


class Pattern(NamedTuple):
    """A rule of the kind "so many of so many periods lie there".

    Attributes
    ----------
    needed, of : int
        How many of how many latest periods.
    low, high : float
        Where they lie, in standard deviations from the centre.
    """

    needed: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Simulated:
    """A simulated average run length.

    Attributes
    ----------
    arl, error : float
        Periods up to and with the first signal on average, and the standard error.
    signalled, simulations : int
        Series with a signal, and all.
    """

    arl: float
    error: float
    signalled: int
    simulations: int


def both_sides(needed: int, of: int, beyond: float) -> tuple[Pattern, Pattern]:
    """The rule that ``needed`` of ``of`` periods lie beyond so many sigma on one same side.

    Examples
    --------
    >>> both_sides(2, 3, 2.0)[1]
    Pattern(needed=2, of=3, low=-inf, high=-2.0)
    """
    return Pattern(needed, of, beyond, np.inf), Pattern(needed, of, -np.inf, -beyond)


# --- charts without a memory, and with patterns -------------------------------------------------


def patterns(shift: float, *, rules: Sequence[Pattern]) -> float:
    """Average run length of a chart with runs rules, independent normal periods.

    Parameters
    ----------
    shift : float
        How far the process is off, in standard deviations.
    rules : sequence of Pattern
        The chart signals when any of them is complete; one period beyond the limits is
        ``both_sides(1, 1, 3.0)``.

    Returns
    -------
    float
        Periods.

    Raises
    ------
    Problem
        If the rules need more states than can be solved.

    Notes
    -----
    Markov chain over what the latest periods have left of each rule.  Champ, C. W., Woodall, W. H.
    (1987). Technometrics 29, 393-399.

    Examples
    --------
    Three sigma alone: 1 / 0.0027.

    >>> round(patterns(0, rules=both_sides(1, 1, 3.0)), 1)
    370.4
    """
    moves, low, high = _chain(tuple(map(Pattern._make, rules)))
    stay = _transitions(moves, low, high, shift)
    return float(_solved(stay)[0])


def patterns_chance(shift: float, *, rules: Sequence[Pattern], periods: int) -> float:
    """Chance that such a chart signals at least once in so many periods from its start.

    Examples
    --------
    1 - 0.9973^25.

    >>> round(patterns_chance(0, rules=both_sides(1, 1, 3.0), periods=25), 4)
    0.0654
    """
    moves, low, high = _chain(tuple(map(Pattern._make, rules)))
    stay = _transitions(moves, low, high, shift)
    where = np.zeros(len(stay))
    where[0] = 1.0
    for _ in range(periods):
        where = where @ stay
    return float(1 - where.sum())


@cache
def _chain(rules: tuple[Pattern, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every state that can be reached, and where a period in each zone leads from it (-1: signal).

    A state holds for each rule the latest of - 1 periods as bits, latest lowest, without those
    that can no longer complete it.
    """
    edges = sorted({edge for rule in rules for edge in (rule.low, rule.high)} | {-np.inf, np.inf})
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    within = [
        [rule.low <= a and b <= rule.high for rule in rules] for a, b in zip(low, high, strict=True)
    ]
    start = (0,) * len(rules)
    known, moves, to_do = {start: 0}, [], [start]
    while to_do:
        state, row = to_do.pop(0), []
        for zone in within:
            after = _after(state, zone, rules)
            if after is not None and after not in known:
                known[after] = len(known)
                to_do.append(after)
            row.append(-1 if after is None else known[after])
        moves.append(row)
        if len(known) > MOST_STATES:
            raise Problem("These rules have too many states.", "simulate the run length.")
    return np.array(moves), low, high


def _after(state: tuple, zone: list, rules: tuple) -> tuple | None:
    """The state after a period in this zone, or None where a rule is complete."""
    found = []
    for bits, hit, rule in zip(state, zone, rules, strict=True):
        bits = ((bits << 1) | hit) & ((1 << rule.of) - 1)
        if bits.bit_count() >= rule.needed:
            return None
        found.append(_trimmed(bits & ((1 << (rule.of - 1)) - 1), rule))
    return tuple(found)


def _trimmed(bits: int, rule: Pattern) -> int:
    """Forget a period that cannot count any more even if all that follow lie there."""
    for age in range(rule.of - 1, 0, -1):
        younger = (bits & ((1 << age) - 1)).bit_count()
        if younger + rule.of - age < rule.needed:
            bits &= ~(1 << (age - 1))
    return bits


def _transitions(moves: np.ndarray, low: np.ndarray, high: np.ndarray, shift: float) -> np.ndarray:
    chance = stats.norm.cdf(high - shift) - stats.norm.cdf(low - shift)
    stay = np.zeros((len(moves), len(moves)))
    states, zones = np.nonzero(moves >= 0)
    np.add.at(stay, (states, moves[states, zones]), chance[zones])
    return stay


def shewhart_alike(shift: float, *, sigmas: float, autocorrelation: float) -> float:
    """Average run length of limits alone where neighbouring periods are alike.

    Parameters
    ----------
    shift : float
        In standard deviations of a period (not of what is new in it).
    sigmas : float
        Limits, in standard deviations of a period: the true ones, not a moving range's.
    autocorrelation : float
        Correlation of neighbouring periods, first order, strictly between -1 and 1.

    Returns
    -------
    float

    Notes
    -----
    L(u) = 1 + integral over the limits of L(y) f(y | u), Gauss-Legendre; the first period is drawn
    from the steady distribution.  Kramer, H., Schmid, W. (2000). The influence of parameter
    estimation on the ARL of Shewhart type charts for time series. Statistical Papers 41, 173-196.

    Examples
    --------
    >>> round(shewhart_alike(0, sigmas=3.09023, autocorrelation=0.4), 2)
    515.45
    """
    if not -1 < autocorrelation < 1:
        raise Problem(f"The autocorrelation is {autocorrelation}.", "give one between -1 and 1.")
    y, width = _nodes(-sigmas, sigmas)
    new = np.sqrt(1 - autocorrelation**2)
    mean = shift + autocorrelation * (y[:, None] - shift)
    length = _solved(stats.norm.pdf(y, mean, new) * width)
    return float(1 + (stats.norm.pdf(y, shift) * width) @ length)


# --- EWMA and CUSUM -----------------------------------------------------------------------------


def ewma(
    shift: float, *, weight: float, width: float, exact: bool = False, sigmas: float = np.inf
) -> float:
    """Average run length of a two-sided EWMA of independent normal periods.

    Parameters
    ----------
    shift : float
    weight, width : float
        Weight of the latest period (lambda) and limits in standard deviations of the average (L).
    exact : bool, default False
        Whether the limits widen from the first period on (see `memory_charts.ewma_limits`).
    sigmas : float, optional
        Limits for single periods beside those of the average.

    Returns
    -------
    float

    Notes
    -----
    Integral equation by Gauss-Legendre quadrature: Crowder, S. V. (1987). Technometrics 29,
    401-407.  With exact limits the density of the average is carried forward period by period
    until they no longer change.  With limits for single periods too, a Markov chain of 201 cells
    (Lucas, J. M., Saccucci, M. S. (1990). Technometrics 32, 1-12), good to about 0.1 %.

    Examples
    --------
    The manual of SAS/QC has 11.154267.

    >>> round(ewma(1, weight=0.25, width=3), 6)
    11.154267
    """
    halves = _widening(weight, width) if exact else [width * np.sqrt(weight / (2 - weight))]
    step = _ewma_cells if np.isfinite(sigmas) else _ewma_nodes
    total, where = 1.0, None
    for old, half in zip([None, *halves[:-1]], halves, strict=True):
        where = step(where, old, half, weight, shift, sigmas)
        total += where.sum()
    length = _solved(step(np.eye(len(where)), halves[-1], halves[-1], weight, shift, sigmas).T)
    return float(total + where @ (length - 1))


def ewma_chance(
    shift: float, *, weight: float, width: float, periods: int, exact: bool = False
) -> float:
    """Chance that the EWMA signals at least once in so many periods from its start.

    Examples
    --------
    With all the weight on the latest period it is the chart of three sigma: 1 - 0.9973^25.

    >>> round(ewma_chance(0, weight=1.0, width=3, periods=25), 4)
    0.0654
    """
    limit = width * np.sqrt(weight / (2 - weight))
    halves = _widening(weight, width)[:periods] if exact else []
    halves = [*halves, *[limit] * (periods - len(halves))]
    where, old = None, None
    for half in halves:
        where, old = _ewma_nodes(where, old, half, weight, shift, np.inf), half
    return float(1 - where.sum())


def _widening(weight: float, width: float) -> list[float]:
    """Exact limits, until they are as wide as they get."""
    limits, t = [], 0
    while not limits or (1 - weight) ** (2 * t) > 1e-9:
        t += 1
        limits.append(width * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * t))))
    return limits


def _ewma_nodes(
    where: np.ndarray | None,
    old: float | None,
    half: float,
    weight: float,
    shift: float,
    sigmas: float,
) -> np.ndarray:
    """Chance masses at the nodes within this period's limits, from those of the period before.

    Masses of several starts stand side by side; None is the start at 0.
    """
    new, widths = _nodes(-half, half)
    before = np.zeros(1) if where is None else _nodes(-old, old)[0]
    where = np.ones(1) if where is None else where
    moved = _normal((new[:, None] - (1 - weight) * before) / weight - shift) / weight
    return (moved * widths[:, None]) @ where


def _ewma_cells(
    where: np.ndarray | None,
    old: float | None,
    half: float,
    weight: float,
    shift: float,
    sigmas: float,
) -> np.ndarray:
    """The same in equal cells, with single periods held within ``sigmas`` too."""
    edges = np.linspace(-half, half, CELLS + 1)
    before = np.zeros(1)
    if where is not None:
        sides = np.linspace(-old, old, CELLS + 1)
        before = (sides[:-1] + sides[1:]) / 2
    where = np.ones(1) if where is None else where
    x = np.clip((edges[:, None] - (1 - weight) * before) / weight, -sigmas, sigmas)
    return np.diff(special.ndtr(x - shift), axis=0) @ where


def _normal(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def cusum(
    shift: float,
    *,
    allowance: float,
    limit: float,
    start: float = 0.0,
    sigmas: float = np.inf,
) -> float:
    """Average run length of a two-sided CUSUM of independent normal periods.

    Parameters
    ----------
    shift : float
    allowance, limit, start : float
        k, h and head start of both sums, in standard deviations.
    sigmas : float, optional
        Limits for single periods beside those of the sums.

    Returns
    -------
    float

    Notes
    -----
    Each side by an integral equation with an atom at 0; the two sides together by
    (L+(s) L-(0) + L+(0) L-(s) - L+(0) L-(0)) / (L+(0) + L-(0)), which without a head start is
    1 / L = 1 / L+ + 1 / L-.  Lucas, J. M., Crosier, R. B. (1982). Technometrics 24, 199-205.  With
    limits for single periods too that formula is close, not exact: a sum may be above 0 when the
    other side signals.

    Examples
    --------
    >>> round(cusum(0, allowance=0.5, limit=4), 1), round(cusum(1, allowance=0.5, limit=4), 2)
    (167.7, 8.38)
    """
    plan = {"allowance": allowance, "limit": limit, "sigmas": sigmas}
    up = [cusum_one_side(shift, start=s, **plan) for s in (start, 0.0)]
    down = [cusum_one_side(-shift, start=s, **plan) for s in (start, 0.0)]
    if np.isinf(up[1]) or np.isinf(down[1]):  # one side never signals: the other alone
        return min(up[0], down[0])
    both = up[0] * down[1] + up[1] * down[0] - up[1] * down[1]
    return both / (up[1] + down[1])


def cusum_one_side(
    shift: float,
    *,
    allowance: float,
    limit: float,
    start: float = 0.0,
    sigmas: float = np.inf,
) -> float:
    """Average run length of the upper sum alone, with an upper limit for single periods or none.

    Examples
    --------
    Two such sides make 168.

    >>> round(cusum_one_side(0, allowance=0.5, limit=4) / 2, 1)
    167.7
    """
    if not (limit > 0 and 0 <= start <= limit):
        raise Problem(
            f"The CUSUM has a limit of {limit} and starts at {start}.",
            "give a limit above 0 and a head start between 0 and the limit.",
        )
    if np.isfinite(sigmas):
        edges = np.linspace(0.0, limit, CELLS + 1)
        states = np.concatenate([[0.0, start], (edges[:-1] + edges[1:]) / 2])
        x = np.minimum(edges - states[:, None] + allowance, sigmas)
        stay = np.diff(special.ndtr(x - shift), axis=1)
        at_zero = special.ndtr(x[:, 0] - shift)
        stay = np.column_stack([at_zero, np.zeros(len(states)), stay])
        return float(_solved(stay)[1])
    y, width = _nodes(0.0, limit)
    y, width = np.append(0.0, y), np.append(1.0, width)  # the atom at 0 first
    stay = _normal(y - y[:, None] + allowance - shift) * width
    stay[:, 0] = special.ndtr(allowance - shift - y)
    length = _solved(stay)
    first = _normal(y - start + allowance - shift) * width
    first[0] = special.ndtr(allowance - shift - start)
    return float(1 + first @ length)


# --- counts -------------------------------------------------------------------------------------


def poisson_ewma(
    mean: float, *, usual: float, weight: float, width: float, states: int = 101
) -> float:
    """Average run length of an EWMA of Poisson counts.

    Parameters
    ----------
    mean, usual : float
        Events per period as they are, and as the chart takes them to be.
    weight, width : float
        Limits lie at usual ± width sqrt(weight / (2 - weight) usual).
    states : int, default 101
        Into how many the limits are cut; 101 is what the literature computes with.

    Returns
    -------
    float

    Notes
    -----
    Markov chain of Borror, C. M., Champ, C. W., Rigdon, S. E. (1998). Poisson EWMA control
    charts. Journal of Quality Technology 30, 352-361.

    Examples
    --------
    >>> round(poisson_ewma(20, usual=20, weight=0.27, width=3.319), 1)
    1233.4
    """
    half = width * np.sqrt(weight / (2 - weight) * usual)
    low, high = max(usual - half, 0.0), usual + half
    step = (high - low) / states
    middle, edges = low + step * (np.arange(states) + 0.5), low + step * np.arange(states + 1)
    needed = (edges - (1 - weight) * middle[:, None]) / weight
    below = stats.poisson.cdf(np.ceil(needed - 1e-9) - 1, mean)  # strictly below an edge
    length = _solved(np.diff(below, axis=1))
    return float(length[min(int((usual - low) / step), states - 1)])


def poisson_cusum(mean: float, *, reference: float, limit: float, start: float = 0.0) -> float:
    """Average run length of an upper CUSUM of Poisson counts, exact.

    Parameters
    ----------
    mean : float
        Events per period.
    reference, limit, start : float
        C = max(0, C + events - reference) signals when it passes the limit.  The reference is
        taken as a fraction with a denominator of up to 100.

    Returns
    -------
    float

    Notes
    -----
    The sum lives on multiples of 1 / denominator: a finite Markov chain.  Brook, D., Evans, D. A.
    (1972). Biometrika 59, 539-549.  A sum that equals the limit does not signal.

    Examples
    --------
    With the limit 0 and the reference 1 it signals at two events or more: 1 / (1 - 2 / e).

    >>> round(poisson_cusum(1.0, reference=1, limit=0), 4)
    3.7844
    """
    k, states, first = _lattice(reference, limit, start)
    return _counted_cusum(lambda n: stats.poisson.cdf(n, mean), k, states, first)


def bernoulli_cusum(chance: float, *, reference: float, limit: float, start: float = 0.0) -> float:
    """Average number of records until an upper CUSUM of single records signals, exact.

    Parameters
    ----------
    chance : float
        Of an event in a record.
    reference, limit, start : float
        C = max(0, C + event - reference) signals when it passes the limit.

    Returns
    -------
    float
        Records.

    Notes
    -----
    The log likelihood ratio of chances p1 over p0 gives the reference
    -log((1 - p1) / (1 - p0)) / log(p1 (1 - p0) / (p0 (1 - p1))).  Reynolds, M. R., Stoumbos, Z. G.
    (1999). A CUSUM chart for monitoring a proportion when inspecting continuously. Journal of
    Quality Technology 31, 87-108.

    Examples
    --------
    With the limit 0 every event signals: 1 / 0.02.

    >>> round(bernoulli_cusum(0.02, reference=0.05, limit=0), 6)
    50.0
    """
    k, states, first = _lattice(reference, limit, start)
    return _counted_cusum(lambda n: stats.bernoulli.cdf(n, chance), k, states, first)


def _lattice(reference: float, limit: float, start: float) -> tuple[Fraction, int, int]:
    """The reference as a fraction, the states from 0 to the limit, and the first of them."""
    if not (reference > 0 and limit >= 0 and 0 <= start <= max(limit, 0)):
        raise Problem(
            f"The CUSUM has a reference of {reference}, a limit of {limit}, a start of {start}.",
            "give a reference above 0, a limit of 0 or more and a start up to the limit.",
        )
    k = Fraction(reference).limit_denominator(100)
    if k == 0:
        raise Problem(f"The reference {reference} is too small.", "simulate the run length.")
    states = int(np.floor(limit * k.denominator + 1e-9)) + 1
    if states > MOST_STATES:
        raise Problem("This CUSUM has too many states.", "simulate the run length.")
    return k, states, round(start * k.denominator)


def _counted_cusum(cdf: Callable, k: Fraction, states: int, first: int) -> float:
    """From state i (in 1 / denominator) an event count n leads to i + n b - a, at least 0."""
    a, b = k.numerator, k.denominator
    now, then = np.arange(states)[:, None], np.arange(states)
    n, rest = np.divmod(then - now + a, b)
    at_most, before = cdf(n), cdf(n - 1)
    stay = np.where(rest == 0, at_most - before, 0.0)
    stay[:, 0] = cdf((a - now[:, 0]) // b)
    return float(_solved(stay)[first])


# --- anything else ------------------------------------------------------------------------------


def simulated(
    signals: Callable[[np.ndarray], np.ndarray],
    *,
    shift: float = 0.0,
    periods: int = 1000,
    simulations: int = 1000,
    rng: np.random.Generator,
) -> Simulated:
    """Average run length of any rules on independent normal periods, by simulation.

    Parameters
    ----------
    signals : callable
        From z of shape (simulations, periods) to whether each period signals, same shape.
    shift : float
    periods : int, default 1000
        How long each series is followed.
    simulations : int, default 1000
    rng : Generator

    Returns
    -------
    Simulated

    Notes
    -----
    Periods followed over series that signalled; a series without a signal counts with all its
    periods (the estimate for a constant chance per period).  The standard error is that of a
    ratio, from series to series.  Infinite where none signals.

    Examples
    --------
    >>> found = simulated(lambda z: np.abs(z) > 3, periods=2000, rng=np.random.default_rng(1))
    >>> abs(found.arl - 370.4) < 3 * found.error
    True
    """
    z = rng.normal(loc=shift, size=(simulations, periods))
    return mean_run_length(signals(z))


def mean_run_length(signals: np.ndarray) -> Simulated:
    """Average run length from series that either signal or are followed to their end.

    Examples
    --------
    Signals after 2 and 4 periods, and none in 6: 12 periods over 2 signals.

    >>> told = np.zeros((3, 6), dtype=bool)
    >>> told[0, 1] = told[1, 3] = True
    >>> mean_run_length(told).arl
    6.0
    """
    signals = np.asarray(signals, dtype=bool)
    n, periods = signals.shape
    hit = signals.any(axis=1)
    followed = np.where(hit, signals.argmax(axis=1) + 1, periods)
    if not hit.any():
        return Simulated(np.inf, np.nan, 0, n)
    arl = followed.sum() / hit.sum()
    error = np.std(followed - arl * hit, ddof=1) * np.sqrt(n) / hit.sum()
    return Simulated(float(arl), float(error), int(hit.sum()), n)


# --- the design of a chart ----------------------------------------------------------------------


def ewma_width(arl: float, *, weight: float, exact: bool = False) -> float:
    """Width of an EWMA's limits at which a steady process runs so many periods on average.

    Examples
    --------
    Crowder (1989) has 2.65 for a weight of 0.15 and 250 periods.

    >>> round(ewma_width(250, weight=0.15), 2)
    2.65
    """
    _need_arl(arl)
    return _found(lambda x: ewma(0, weight=weight, width=x, exact=exact), arl, 0.2, 5.0)


def cusum_limit(arl: float, *, allowance: float, start_share: float = 0.0) -> float:
    """Limit of a two-sided CUSUM at which a steady process runs so many periods on average.

    Parameters
    ----------
    arl : float
        Periods wished for.
    allowance : float
    start_share : float, default 0
        Head start as a share of the limit.

    Examples
    --------
    Its own inverse: 168 periods go with the limit 4.

    >>> round(cusum_limit(167.684, allowance=0.5), 3)
    4.0
    """
    _need_arl(arl)
    return _found(
        lambda x: cusum(0, allowance=allowance, limit=x, start=start_share * x), arl, 0.05, 30.0
    )


def shewhart_width(arl: float) -> float:
    """Limits in standard deviations beyond which a steady period lies once in ``arl`` periods.

    Examples
    --------
    >>> round(shewhart_width(370.398), 3)
    3.0
    """
    _need_arl(arl)
    return float(stats.norm.isf(0.5 / arl))


def ewma_width_for_chance(
    chance: float, *, weight: float, periods: int, exact: bool = False
) -> float:
    """Width of an EWMA's limits at which a steady chart of so many periods signals so seldom.

    Examples
    --------
    With all the weight on the latest period: 0.05 over 25 periods is 0.00205 each.

    >>> round(ewma_width_for_chance(0.05, weight=1.0, periods=25), 3)
    3.083
    """
    if not 0 < chance < 1:
        raise Problem(f"The chance of a false alarm is {chance}.", "give one between 0 and 1.")

    def wrong(x: float) -> float:
        return ewma_chance(0, weight=weight, width=x, periods=periods, exact=exact) - chance

    return float(optimize.brentq(wrong, 0.2, 7.0, xtol=1e-6))


def best_allowance(shift: float, *, arl: float) -> tuple[float, float]:
    """Allowance and limit of the CUSUM that finds a given shift soonest at a given steady ARL.

    Notes
    -----
    Half the shift is the textbook's answer; it is best in the long run, and this comes close to it.

    Examples
    --------
    >>> k, h = best_allowance(1.0, arl=370)
    >>> 0.4 < k < 0.6 and abs(cusum(0, allowance=k, limit=h) - 370) < 0.1
    True
    """
    if not shift > 0:
        raise Problem(f"The shift to be found is {shift}.", "give one above 0.")

    def delay(k: float) -> float:
        return cusum(shift, allowance=k, limit=cusum_limit(arl, allowance=k))

    found = optimize.minimize_scalar(
        delay, bounds=(shift / 6, shift * 1.2), method="bounded", options={"xatol": 1e-3}
    )
    k = float(found.x)
    return k, cusum_limit(arl, allowance=k)


def _need_arl(arl: float) -> None:
    if not 2 <= arl <= 1e6:
        raise Problem(
            f"The average run length wished for is {arl}.", "give 2 to 1,000,000 periods."
        )


def _found(length: Callable[[float], float], arl: float, low: float, high: float) -> float:
    """Where a run length that grows with the limit reaches the one wished for."""

    def wrong(x: float) -> float:
        return np.log(length(x)) - np.log(arl)

    top = low
    while top < high and wrong(top) < 0:  # never solve far beyond: the equations grow singular
        low, top = top, top + 0.5
    if wrong(low) > 0 or wrong(top) < 0:
        raise Problem(
            f"No limit gives an average run length of {arl:g}.", "ask for a longer or shorter one."
        )
    return float(optimize.brentq(wrong, low, top, xtol=1e-7))


def _nodes(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    nodes, widths = _legendre()
    return (low + high) / 2 + (high - low) / 2 * nodes, (high - low) / 2 * widths


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(NODES)


def _solved(stay: np.ndarray) -> np.ndarray:
    """Mean periods from each state, given the chances to move on without a signal.

    Beyond what the arithmetic can tell from never it is infinite.
    """
    try:
        found = np.linalg.solve(np.eye(len(stay)) - stay, np.ones(len(stay)))
    except np.linalg.LinAlgError:
        return np.full(len(stay), np.inf)
    return np.where((found > 0) & (found < LONGEST), found, np.inf)
