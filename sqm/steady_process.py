"""What does a series look like while nothing changes, and how often does its chart cry wolf?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from sqm import chart_limits, interval, signal_rules
from sqm.autocorrelation import persistence
from sqm.checks import Problem, Refusal, need_columns, need_whole

FEWEST_PERIODS = 8  # below which no law is fitted
NOTICED = 0.05  # chance at which likeness of neighbours that is not there is yet modelled
DISPERSED = 0.10  # chance at which spread beyond counting noise that is not there is yet modelled
STEPS = np.linspace(-5, 5, 401)  # normal scores at which quantiles of a mixing law are tabled
LAWS = 40  # drawn where limits are frozen, so that what is not known of the law is in the chance
HORIZON = 200  # periods after the baseline over which run lengths are counted


@dataclass(frozen=True, eq=False)
class Steady:
    """The law of a series that does not change.

    Attributes
    ----------
    data : str
        One of `chart_limits.DATA`.
    family : str
        ``binomial``, ``beta-binomial``, ``poisson``, ``negative binomial``, ``normal``,
        ``geometric`` or ``weibull``.
    level : float
        Share, events per unit, mean, or mean gap or time.
    between : float
        Standard deviation of the level itself from period to period, in the level's unit.
    within : float
        Standard deviation of the records in a period; 0 where single values are followed.
    shape : float
        Of the Weibull law; 1 is the exponential.  NaN for other laws.
    correlation : float
        Of the (latent) level of a period with that of the next.
    periods : int
        Of the baseline it was fitted to.
    size : float
        Median n of these.
    autocorrelation, autocorrelation_usual : float
        Of neighbouring periods as seen, and what that of independent ones stays below.
    memory, memory_usual : float
        Mean correlation of periods 2 to 6 apart, and what that of a first-order autoregression as
        alike as this one stays below.
    dispersion, dispersion_p : float
        Variance seen over the variance that counting or sampling alone gives, and the chance of
        as much or more without anything else; NaN where there is nothing to compare with.
    """

    data: str
    family: str
    level: float
    between: float
    within: float
    shape: float
    correlation: float
    periods: int
    size: float
    autocorrelation: float
    autocorrelation_usual: float
    memory: float
    memory_usual: float
    dispersion: float
    dispersion_p: float


class Likeness(NamedTuple):
    """How much neighbouring periods are alike.

    Attributes
    ----------
    plain : float
        Correlation of each value with the next.
    usual : float
        What it stays below in independent values, but for a stated chance.
    peak : float
        Correlation at the peak of its restricted likelihood, which is not biased down.
    memory : float
        Mean correlation of values 2 to 6 apart.
    memory_usual : float
        What it stays below, but for the same chance, in a first-order autoregression.
    """

    plain: float
    usual: float
    peak: float
    memory: float
    memory_usual: float


@dataclass(frozen=True)
class FalseAlarms:
    """How often the chart of a steady series signals.

    Attributes
    ----------
    ever, since, lately : float
        Chance of one signal or more over the whole chart, in the periods after the baseline (0 if
        there are none), and in the latest of these.
    ever_low, ever_high, since_low, since_high, lately_low, lately_high : float
        95 % Wilson limits of what so many simulations can tell.
    per_point : float
        Chance that a single period is marked.
    run_length : float
        Mean number of periods after the baseline until the first signal, limits not made anew:
        periods watched over first signals, each chart watched for at most `HORIZON`.
    run_length_low, run_length_high : float
        Its 95 % Monte Carlo limits; ``run_length_high`` is infinite where nothing signalled.
    simulations : int
    """

    ever: float
    ever_low: float
    ever_high: float
    since: float
    since_low: float
    since_high: float
    lately: float
    lately_low: float
    lately_high: float
    per_point: float
    run_length: float
    run_length_low: float
    run_length_high: float
    simulations: int


def steady_from(periods: pd.DataFrame, *, alpha: float = NOTICED) -> Steady:
    """Fit the law of a steady series to its baseline.

    Parameters
    ----------
    periods : DataFrame, one row a baseline period of one series
        ``data``, ``period``, ``n``, ``value``, ``sd`` (may be NaN), as series are followed.
    alpha : float, default 0.05
        Chance at which likeness of neighbours that is not there is modelled all the same.

    Returns
    -------
    Steady

    Raises
    ------
    Problem
        If a column is missing, or the data are of an unknown kind.
    Refusal
        If there are fewer than 8 periods, or they never vary.

    Notes
    -----
    The variance between periods is the moment estimate: Q = sum n (rate - level)^2 has mean
    (k - 1) v + between^2 (N - sum n^2 / N), N = sum n, v the variance of one record (level
    (1 - level) for a share, level for a rate) [1]_; it is taken as 0 where Q / v is within what
    chi-squared of k - 1 degrees explains (upper tenth).  Single values have no v: they are normal
    with their own variance.  Gaps are geometric, times Weibull (maximum likelihood, shape made
    smaller by 1 - 1.38 / k for its bias [2]_).  The correlation of neighbours is the peak of its
    restricted likelihood where it is beyond what chance explains, else 0; a latent level
    correlates the more, the less of the variance is its own.

    References
    ----------
    .. [1] DerSimonian, R., Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical
       Trials 7, 177-188. doi:10.1016/0197-2456(86)90046-2
    .. [2] Ross, R. (1994). Formulas to describe the bias and standard deviation of the ML-estimated
       Weibull shape parameter. IEEE Transactions on Dielectrics and Electrical Insulation 1,
       247-253. doi:10.1109/94.300257

    Examples
    --------
    10 and 20 of 100 in turn: 0.15, and a variance 100 * 0.05^2 / (0.15 * 0.85) * 12 / 11 = 2.139
    times that of counting.

    >>> weeks = pd.DataFrame({"data": "share", "n": 100.0, "value": [10.0, 20.0] * 6, "sd": np.nan,
    ...                       "period": pd.date_range("2025-01-06", periods=12, freq="7D")})
    >>> found = steady_from(weeks)
    >>> found.family, round(found.level, 3), round(found.dispersion, 3)
    ('beta-binomial', 0.15, 2.139)
    """
    rows = _sound(periods)
    data = rows["data"].iloc[0]
    if data == "gap":
        return _fitted(rows, data, "geometric", level=float(rows["value"].mean()), alpha=alpha)
    if data == "time":
        return _weibull(rows, alpha)
    return _two_levels(rows, data, alpha)


def _sound(periods: pd.DataFrame) -> pd.DataFrame:
    need_columns(periods, ["data", "period", "n", "value", "sd"], source="The series")
    rows = periods.sort_values("period", kind="stable").dropna(subset=["n", "value"])
    rows = rows[rows["n"] > 0]
    if len(rows) < FEWEST_PERIODS:
        raise Refusal(
            f"The baseline has {len(rows)} periods, where the law of a steady series needs"
            f" {FEWEST_PERIODS}.",
            "collect more periods, or count over shorter ones.",
        )
    kinds = list(dict.fromkeys(rows["data"]))
    if len(kinds) > 1 or kinds[0] not in chart_limits.DATA:
        raise Problem(
            f"The data of the series are {', '.join(map(repr, kinds))}.",
            f"give one of {', '.join(chart_limits.DATA)}.",
        )
    if kinds[0] in ("share", "rate", "count") and not rows["value"].any():
        raise Refusal(
            "There is no event in the baseline.",
            "watch the time from one event to the next, or collect more periods.",
        )
    still = np.ptp(rows["value"]) == 0
    if still and np.ptp(rows["n"]) == 0:
        raise Refusal("The series is the same in every period.", "check how it was counted.")
    return rows


def _two_levels(rows: pd.DataFrame, data: str, alpha: float) -> Steady:
    """Counting or sampling within a period, and a level that may itself vary between them."""
    n, value, own = _numbers(rows)
    counts = data in ("share", "rate", "count")
    rate = value / n if counts else value
    level = float((rate * n).sum() / n.sum())
    one = level * (1 - level) if data == "share" else level if counts else own
    q, k = float((n * (rate - level) ** 2).sum()), len(n)
    if one <= 0:
        if counts:
            raise Refusal("Every case is a defect.", "check how they were counted.")
        between, dispersion, chance = np.sqrt(q / n.mean() / (k - 1)), np.nan, np.nan
    else:
        dispersion, chance = q / one / (k - 1), float(stats.chi2.sf(q / one, k - 1))
        spare = (q - (k - 1) * one) / (
            n.sum() - (n**2).sum() / n.sum() - (k - 1) * (data == "share")
        )
        score = (rate - level) * np.sqrt(n)
        found = likeness(score, at=_places(rows["period"]), alpha=alpha)
        between = (
            np.sqrt(max(spare, 0.0)) if chance < DISPERSED or found.plain > found.usual else 0.0
        )
    return _fitted(
        rows,
        data,
        _family(data, between > 0),
        level=level,
        between=float(between),
        within=float(np.sqrt(own)) if np.isfinite(own) else 0.0,
        dispersion=float(dispersion),
        chance=chance,
        alpha=alpha,
    )


def _family(data: str, mixed: bool) -> str:
    if data == "share":
        return "beta-binomial" if mixed else "binomial"
    if data in ("rate", "count"):
        return "negative binomial" if mixed else "poisson"
    return "normal"


def _numbers(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, float]:
    """n, value, and the pooled variance of the records within a period (0 if unknown)."""
    n, value = (rows[name].to_numpy(dtype=float) for name in ("n", "value"))
    sd = rows["sd"].to_numpy(dtype=float)
    some = np.isfinite(sd) & (n > 1)
    if not some.any():
        return n, value, 0.0
    return n, value, float(((n[some] - 1) * sd[some] ** 2).sum() / (n[some] - 1).sum())


def _weibull(rows: pd.DataFrame, alpha: float) -> Steady:
    value = rows["value"].to_numpy(dtype=float)
    if (value < 0).any():
        raise Problem("A time between events is below 0.", "sort the events by their day.")
    if not value.any():
        raise Refusal("All events come at the same moment.", "give exact times, or count them.")
    value = np.where(value > 0, value, value[value > 0].min() / 2)  # as the t chart does
    shape = float(chart_limits.weibull(value[None])[0][0]) * (1 - 1.38 / len(value))
    return _fitted(rows, "time", "weibull", level=float(value.mean()), shape=shape, alpha=alpha)


def _fitted(
    rows,
    data,
    family,
    *,
    level,
    alpha,
    between=0.0,
    within=0.0,
    shape=np.nan,
    dispersion=np.nan,
    chance=np.nan,
) -> Steady:
    n, value, _ = _numbers(rows)
    score = _scores(
        value / n if data in ("share", "rate", "count") else value, n, data, level, between, within
    )
    alike = likeness(score, at=_places(rows["period"]), alpha=alpha)
    size = float(np.median(n))
    sampling = _sampling(data, level, within) / size
    own = between**2 / (between**2 + sampling) if between else 1.0
    bare = family in ("binomial", "poisson") or (family == "normal" and not between)
    return Steady(
        data=data,
        family=family,
        level=level,
        between=between,
        within=within,
        shape=shape,
        correlation=0.0 if bare or alike.plain <= alike.usual else min(alike.peak / own, 0.95),
        periods=len(rows),
        size=size,
        autocorrelation=alike.plain,
        autocorrelation_usual=alike.usual,
        memory=alike.memory,
        memory_usual=alike.memory_usual,
        dispersion=dispersion,
        dispersion_p=chance,
    )


def sampling_variance(steady: Steady) -> float:
    """Variance of one record from counting or sampling alone; 0 if it is not known.

    Examples
    --------
    >>> law = Steady("count", "poisson", 4, 0, 0, np.nan, 0, 52, 1, 0, 0.2, 0, 0.2, 1, 0.5)
    >>> sampling_variance(law)
    4
    """
    return _sampling(steady.data, steady.level, steady.within)


def _sampling(data: str, level: float, within: float) -> float:
    """Variance that one record adds to a rate or mean."""
    if data == "share":
        return level * (1 - level)
    if data in ("rate", "count"):
        return level
    return within**2 if data in ("mean", "score", "nps") else 0.0


def _scores(rate, n, data, level, between, within) -> np.ndarray:
    """Each period's distance from the level in its own standard deviation."""
    if data in ("gap", "time"):
        rank = stats.rankdata(rate)
        return special.ndtri((rank - 0.375) / (len(rank) + 0.25))
    spread = np.sqrt(between**2 + _sampling(data, level, within) / n)
    return (rate - level) / np.where(spread > 0, spread, 1.0)


def _places(period: pd.Series) -> np.ndarray:
    """Places of the periods on the calendar, in steps of the commonest distance."""
    days = (period - period.iloc[0]) / pd.Timedelta(days=1)
    step = np.median(np.diff(days)) if len(days) > 1 else 1.0
    places = np.round(days.to_numpy() / max(step, 1e-9)).astype(int)
    return places if (np.diff(places) > 0).all() else np.arange(len(places))


def likeness(
    score: np.ndarray, *, at: np.ndarray | None = None, alpha: float = NOTICED
) -> Likeness:
    """Correlation of neighbours, and whether it is more than chance explains.

    Parameters
    ----------
    score : ndarray, shape (periods,)
    at : ndarray of int, optional
        Places on the calendar.
    alpha : float, default 0.05
        Chance with which independent periods are called alike.

    Returns
    -------
    Likeness

    Notes
    -----
    The plain first autocorrelation of k independent values has mean -1 / k and variance about
    (k - 2)^2 / (k^2 (k - 1)): Kendall, M., Stuart, A., Ord, J. K. (1983). The Advanced Theory of
    Statistics, vol. 3, 4th edition, section 48.

    Examples
    --------
    >>> found = likeness(np.sin(np.arange(30) / 5))
    >>> found.plain > found.usual
    True
    """
    k = len(score)
    centred = score - score.mean()
    total = float((centred**2).sum())
    usual = float(-1 / k + stats.norm.ppf(1 - alpha) * (k - 2) / (k * np.sqrt(k - 1)))
    if total == 0:
        return Likeness(0.0, usual, 0.0, 0.0, 1.0)
    plain, *later = (float((centred[j:] * centred[:-j]).sum() / total) for j in range(1, 7))
    rng = np.random.default_rng(0)  # the peak needs no chance; the draws beside it are not used
    peak = persistence(score[None], at=at, draws=1, rng=rng).correlation
    near = round(float(np.clip((plain + 1 / k) / (1 - 4 / k), 0, 0.9)), 1)
    return Likeness(plain, usual, float(peak), float(np.mean(later)), _usual_memory(k, near, alpha))


@lru_cache(maxsize=1024)
def _usual_memory(periods: int, correlation: float, alpha: float) -> float:
    """What the mean correlation of values 2 to 6 apart stays below in an autoregression."""
    rng = np.random.default_rng(0)  # a fixed table, so to say: the same series get the same answer
    series = _wandering(correlation, (2000, periods), rng)
    series -= series.mean(axis=1, keepdims=True)
    later = [(series[:, j:] * series[:, :-j]).sum(axis=1) for j in range(2, 7)]
    return float(np.quantile(np.mean(later, axis=0) / (series**2).sum(axis=1), 1 - alpha))


def drawn(
    steady: Steady,
    n: np.ndarray,
    *,
    simulations: int,
    rng: np.random.Generator,
    profile: np.ndarray | None = None,
) -> np.ndarray:
    """Series of this law that do not change.

    Parameters
    ----------
    n : ndarray, shape (periods,)
        Cases, units of exposure or records of each period.
    simulations : int
    rng : Generator
    profile : ndarray, shape (periods,), optional
        What the level of each period is multiplied with: weekday, holiday, season.

    Returns
    -------
    ndarray, shape (simulations, periods)
        ``value`` as series hold it: events of a share, rate or count, else the mean, gap or time.

    Notes
    -----
    The level of a period is a quantile (beta for a share, gamma for a rate or count, normal for a
    mean) of a normal first-order autoregression; counts are then drawn given that level.

    Examples
    --------
    >>> law = Steady("count", "poisson", 4.0, 0, 0, np.nan, 0, 52, 1, 0, 0.2, 0, 0.2, 1, 0.5)
    >>> found = drawn(law, np.ones(500), simulations=20, rng=np.random.default_rng(1))
    >>> found.shape, round(float(found.mean()), 1)
    ((20, 500), 4.0)
    """
    n = np.asarray(n, dtype=float)
    season = np.ones(len(n)) if profile is None else np.asarray(profile, dtype=float)
    score = _wandering(steady.correlation, (simulations, len(n)), rng)
    if steady.family in ("geometric", "weibull"):
        return _between_events(steady, score) * season
    if steady.family == "normal":
        error = rng.standard_normal(score.shape) * (steady.within / np.sqrt(n))
        return steady.level * season + steady.between * score + error
    level = _levels(steady, score) * season
    if steady.data == "share":
        cases = np.maximum(np.round(n), 1).astype(np.int64)
        return rng.binomial(cases, np.clip(level, 0, 1)).astype(float)
    return rng.poisson(level * n).astype(float)


def _wandering(correlation: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    score = rng.standard_normal(shape)
    if correlation:
        fresh = np.sqrt(1 - correlation**2)
        for t in range(1, shape[1]):
            score[:, t] = correlation * score[:, t - 1] + fresh * score[:, t]
    return score


def _levels(steady: Steady, score: np.ndarray) -> np.ndarray:
    """Levels of the periods: beta for shares, gamma for rates, through a table of quantiles."""
    if not steady.between:
        return np.full(score.shape, steady.level)
    mean, variance = steady.level, steady.between**2
    at = special.ndtr(STEPS)
    if steady.data == "share":
        size = max(mean * (1 - mean) / variance - 1, 1e-3)
        table = stats.beta.ppf(at, mean * size, (1 - mean) * size)
    else:
        table = stats.gamma.ppf(at, mean**2 / variance, scale=variance / mean)
    return np.interp(score, STEPS, table)


def _between_events(steady: Steady, score: np.ndarray) -> np.ndarray:
    beyond = np.log(special.ndtr(-score))
    if steady.family == "geometric":
        return np.floor(beyond / np.log1p(-1 / (steady.level + 1)))
    return steady.level / special.gamma(1 + 1 / steady.shape) * (-beyond) ** (1 / steady.shape)


def scores(
    steady: Steady,
    n: np.ndarray,
    base: np.ndarray,
    *,
    kind: str,
    sigma_method: str = "",
    convention: str = "",
    sigmas: float = 3.0,
    limits: chart_limits.Limits | None = None,
    simulations: int,
    rng: np.random.Generator,
    profile: np.ndarray | None = None,
) -> np.ndarray:
    """Charts of steady series, each with limits from its own baseline, or all with frozen ones.

    Parameters
    ----------
    n : ndarray, shape (periods,)
    base : ndarray of bool, shape (periods,)
        Periods the limits rest on.
    kind, sigma_method, convention : str
        Of the chart, see `chart_limits.Limits`.
    sigmas : float, default 3
        Of its limits: gaps by ``mean and 3 sd`` or ``Provost`` are measured by these.
    limits : Limits, optional
        Frozen limits.  What the baseline leaves open about the law is then drawn too: each of
        `LAWS` laws is fitted to a baseline drawn from the one given.

    Returns
    -------
    ndarray, shape (simulations, periods)
        Distance from the centre in sigmas; 0 for a series that never varies.
    """
    n, base = np.asarray(n, dtype=float), np.asarray(base, dtype=bool)
    if limits is not None:
        return _against(steady, n, limits, simulations, rng, profile)
    value = drawn(steady, n, simulations=simulations, rng=rng, profile=profile)
    return chart_limits.standardised(
        value,
        n,
        base,
        kind=kind,
        data=steady.data,
        sd=_spreads(steady, n, value.shape, rng),
        sigma_method=sigma_method,
        convention=convention,
        sigmas=sigmas,
    )


def _against(steady, n, limits, simulations, rng, profile) -> np.ndarray:
    """Charts against frozen limits, of laws such as this baseline might have come from."""
    each = -(-simulations // LAWS)
    charts = []
    for law in redrawn(steady, times=LAWS, rng=rng):
        value = drawn(law, n, simulations=each, rng=rng, profile=profile)
        charts.append(chart_limits.scored(value, n, limits, sd=_spreads(law, n, value.shape, rng)))
    return np.nan_to_num(np.concatenate(charts)[:simulations], posinf=0.0, neginf=0.0)


def redrawn(steady: Steady, *, times: int, rng: np.random.Generator) -> list[Steady]:
    """Laws fitted anew to baselines drawn from this one: how well it is known.

    Examples
    --------
    >>> law = Steady("mean", "normal", 0, 1, 0, np.nan, 0, 25, 1, 0, 0.2, 0, 0.2, np.nan, np.nan)
    >>> laws = redrawn(law, times=400, rng=np.random.default_rng(1))
    >>> round(float(np.std([each.level for each in laws])), 1)  # 1 / sqrt(25)
    0.2
    """
    n = np.full(steady.periods, max(steady.size, 1.0))
    value = drawn(steady, n, simulations=times, rng=rng)
    rate = value / n if steady.data in ("share", "rate", "count") else value
    level = rate.mean(axis=1)
    if steady.family == "weibull":
        shape = chart_limits.weibull(np.maximum(value, 1e-9 * steady.level))[0]
        shape = shape * (1 - 1.38 / steady.periods)
        return [replace(steady, level=a, shape=b) for a, b in zip(level, shape, strict=True)]
    seen = rate.var(axis=1, ddof=1)
    spare = np.maximum(seen - _sampling(steady.data, level, steady.within) / n[0], 0.0)
    between = np.sqrt(spare) if steady.between else np.zeros(times)
    within_one = 1e-6 if steady.data == "share" else 0.0
    usable = (level > within_one) & (level < 1 - within_one if steady.data == "share" else True)
    if steady.data not in ("share", "rate", "count", "gap"):
        usable = np.ones(times, dtype=bool)
    return [
        replace(steady, level=float(a), between=float(b)) if fine else steady
        for a, b, fine in zip(level, between, usable, strict=True)
    ]


def _spreads(steady: Steady, n: np.ndarray, shape: tuple, rng) -> np.ndarray | None:
    """Standard deviations of the records within each period, where there are any."""
    if not steady.within:
        return None
    degrees = np.maximum(np.round(n) - 1, 1)
    return steady.within * np.sqrt(rng.chisquare(degrees, size=shape) / degrees)


def false_alarms(
    steady: Steady,
    n: np.ndarray,
    base: np.ndarray,
    *,
    kind: str,
    rules: signal_rules.Rules | str,
    sigma_method: str = "",
    convention: str = "",
    sigmas: float = 3.0,
    limits: chart_limits.Limits | None = None,
    last: int = 4,
    simulations: int = 4000,
    rng: np.random.Generator,
    profile: np.ndarray | None = None,
) -> FalseAlarms:
    """How often a steady series of this law would signal on a chart like this.

    Parameters
    ----------
    n : ndarray, shape (periods,)
        Cases, units or records of each period of the chart.
    base : ndarray of bool, shape (periods,)
        Periods the limits rest on.
    kind, sigma_method, convention : str
        Of the chart, see `chart_limits.Limits`.
    sigmas : float, default 3
        Of its limits, as in `scores`.
    rules : Rules or str
    limits : Limits, optional
        Frozen ones; if none are given each simulated series has limits from its own baseline.
    last : int, default 4
        Latest periods, those of the baseline left out.
    simulations : int, default 4000
    rng : Generator
    profile : ndarray, shape (periods,), optional

    Returns
    -------
    FalseAlarms

    Notes
    -----
    Each simulated series is charted as the data are, with centre and sigma from its own baseline,
    so that the noise of the limits is in the rates: they are those of charts with a baseline of
    this length, on average.  For run lengths each chart goes on for `HORIZON` periods
    with the n of the baseline in turn, its limits as they are.

    Examples
    --------
    Three sigma limits from 60 points signal on one steady chart in seven.

    >>> law = Steady("mean", "normal", 0, 1, 0, np.nan, 0, 60, 1, 0, 0.2, 0, 0.2, np.nan, np.nan)
    >>> found = false_alarms(law, np.ones(60), np.ones(60, bool), kind="xmr", rules="beyond 3",
    ...                      simulations=2000, rng=np.random.default_rng(1))
    >>> abs(found.ever - 1 / 7) < 0.03
    True
    """
    need_whole(simulations, name="simulations", least=100)
    n, base = np.asarray(n, dtype=float), np.asarray(base, dtype=bool)
    here = len(n)
    long_n, long_base, long_profile = further(n, base, profile)
    z = scores(
        steady,
        long_n,
        long_base,
        kind=kind,
        sigma_method=sigma_method,
        convention=convention,
        sigmas=sigmas,
        limits=limits,
        simulations=simulations,
        rng=rng,
        profile=long_profile,
    )
    return alarms_of(z, base, rules=rules, last=last, further=len(long_n) - here)


def further(
    n: np.ndarray, base: np.ndarray, profile: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Let a chart go on until `HORIZON` periods follow its baseline, with the n of these in turn.

    Examples
    --------
    >>> n, base, _ = further(np.ones(30), np.arange(30) < 24)
    >>> len(n), int(base.sum())
    (224, 24)
    """
    more = max(HORIZON - int((~base).sum()), 0)
    season = None if profile is None else np.concatenate([profile, np.resize(profile, more)])
    return (
        np.concatenate([n, np.resize(n[base], more)]),
        np.concatenate([base, np.zeros(more, dtype=bool)]),
        season,
    )


def alarms_of(
    z: np.ndarray,
    base: np.ndarray,
    *,
    rules: signal_rules.Rules | str,
    last: int = 4,
    further: int = 0,
) -> FalseAlarms:
    """Count the alarms on charts of steady series.

    Parameters
    ----------
    z : ndarray, shape (simulations, periods + further)
    base : ndarray of bool, shape (periods,)
    rules : Rules or str
    last : int, default 4
    further : int, default 0
        Periods at the end that only the run length looks at.

    Notes
    -----
    Rules with ``all points`` mark back from what is on the chart, not from the further periods; a
    run ends at the point that completes a pattern, when it is first seen.

    Examples
    --------
    >>> z = np.array([[0, 0, 4.0, 0], [0, 0, 0, 0]])
    >>> found = alarms_of(z, np.array([True, True, False, False]), rules="beyond 3")
    >>> found.ever, found.since, found.per_point, found.run_length
    (0.5, 0.5, 0.125, 3.0)
    """
    periods = len(base)
    rules = signal_rules.rules_of(rules)
    marked = signal_rules.marks(z, replace(rules, points="completing"))[0]
    back = rules.points == "all"
    shown = signal_rules.marks(z[:, :periods], rules)[0] if back else marked[:, :periods]
    after = np.flatnonzero(~base)
    lately = after[after >= periods - last]
    ever, since, late = (
        _share(shown[:, at].any(axis=1)) for at in (np.arange(periods), after, lately)
    )
    run = _run_length(marked[:, np.concatenate([after, periods + np.arange(further)])])
    return FalseAlarms(*ever, *since, *late, float(shown.mean()), *run, len(z))


def _share(alarms: np.ndarray) -> tuple[float, float, float]:
    share = float(alarms.mean())
    return (share, *interval.wilson(share, len(alarms)))


def _run_length(marked: np.ndarray) -> tuple[float, float, float]:
    """Periods watched over first signals, with limits from the spread of charts."""
    if not marked.shape[1]:
        return (np.nan,) * 3
    hit = marked.any(axis=1)
    watched = np.where(hit, marked.argmax(axis=1) + 1, marked.shape[1])
    if not hit.any():
        return np.inf, float(watched.sum()) / 3, np.inf  # rule of three
    rate = float(hit.sum() / watched.sum())
    error = np.sqrt(((hit - rate * watched) ** 2).sum()) / hit.sum()  # of the rate, relative
    return 1 / rate, float(np.exp(-1.96 * error) / rate), float(np.exp(1.96 * error) / rate)
