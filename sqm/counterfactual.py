"""What would the changed sites have done, by what the other sites did?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sqm.autocorrelation import correlations_of
from sqm.checks import need_share
from sqm.evidence import Rung
from sqm.interrupted import (
    CORRELATIONS,
    Fits,
    Groups,
    combined,
    fits_of,
    groups_of,
    in_time,
    nearness,
    need_movement,
    said_of_placebo,
)

DESIGN = "forecast from the other sites"
ESTIMAND = (
    "mean change at the changed sites over the weeks after, against a forecast from the other sites"
)
ASSUMES = (
    "the changed sites would have moved with the mean of the others, one for one, about a gap that"
    " wanders as it did before; and the change did not reach the others"
)
FEWEST_OTHERS = 1


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The changed sites' weeks after, forecast from the other sites.

    Attributes
    ----------
    rung : Rung
    groups : Groups
    expected, low, high : ndarray, shape (weeks,)
        One-step forecast before the change (without limits, NaN); after it the forecast from the
        weeks before, with limits for a single week.
    correlation : float
        Of neighbouring weeks about the regression.
    fit : float
        Share of the changed sites' variance before the change that the one-step forecasts explain;
        below 0 they do worse than a level.
    placebo : tuple of float
        Estimate, low and high of a made-up date in the weeks before; NaN if too few.
    """

    rung: Rung
    groups: Groups
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    correlation: float
    fit: float
    placebo: tuple[float, float, float]


def counterfactual(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    confidence: float,
    rng: np.random.Generator,
) -> Counterfactual:
    """Forecast the changed sites' weeks after from the other sites' mean.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``.
    treated : list of str
    change_on : str
    confidence : float
    rng : Generator
        Not used: nothing here is drawn.  All designs are called alike.

    Raises
    ------
    Problem, Refusal
        As `groups_of`; refused too where the measure never varies.

    Notes
    -----
    An unobserved components model: the changed sites' mean is that of the others (each weighing by
    its mean number of records), plus a level, plus a first-order autoregression fitted on the weeks
    before [1]_.  The others enter one for one: a multiple that is learnt from weeks which differ by
    chance more than together comes out near 0, and the forecast then misses what all sites share
    (on the contact centre that comes with sqm it put the effect on waits at -57 s, -81 to -35,
    where -21 is true).  The effect is the mean of observed less forecast over the weeks after.  Its
    interval is not a simulation: given the correlation it is Student's t, with the error of the
    level and of the weeks to come, and the correlations are weighed by their restricted likelihood
    (`sqm.interrupted.fits_of`).

    The interval is conservative on short series that do not wander.  Coverage of the 95 % interval,
    simulated with 4 changed and 8 other sites that share a wandering week, half the weeks after
    (``tests/intervals/cover_without_the_change.py``): 24 weeks 0.98, 0.97, 0.95 at autocorrelations
    of 0, 0.3 and 0.6 (400 panels each).

    References
    ----------
    .. [1] Harvey, A. C. (1989). Forecasting, Structural Time Series Models and the Kalman Filter.
       Cambridge University Press. Section 2.3.

    Examples
    --------
    The others go 1, 2, 1, 2 ..., the changed site is 3 higher, and 5 higher after the change.

    >>> weeks, wave = pd.date_range("2025-01-06", periods=16, freq="7D"), np.tile([1.0, 2.0], 8)
    >>> mine = wave + np.where(np.arange(16) >= 12, 5.0, 3.0)
    >>> panel = pd.DataFrame({"site": np.repeat(["A", "B"], 16), "period": list(weeks) * 2,
    ...                       "n": 10, "mean": [*mine, *wave]})
    >>> found = counterfactual(panel, treated=["A"], change_on="2025-03-31", confidence=0.95,
    ...                        rng=np.random.default_rng(1))
    >>> round(found.rung.estimate, 6)
    2.0
    """
    need_share(confidence, name="confidence")
    groups = groups_of(panel, treated=treated, change_on=change_on, others=FEWEST_OTHERS)
    need_movement(groups.changed)
    fits, limits = _forecast(groups, confidence)
    effect = tuple(float(each[0]) for each in limits)
    placebo = in_time(groups, lambda earlier: _effect(earlier, confidence))
    check, passed = said_of_placebo(placebo, effect)
    one_step, fit = _one_step(groups, fits)
    after = groups.after
    expected, low, high = one_step, np.full(len(after), np.nan), np.full(len(after), np.nan)
    expected[after] = groups.changed[after] - limits[0][1:]
    low[after] = groups.changed[after] - limits[2][1:]
    high[after] = groups.changed[after] - limits[1][1:]
    rung = Rung(
        design=DESIGN,
        estimand=ESTIMAND,
        estimate=effect[0],
        low=effect[1],
        high=effect[2],
        n=groups.n,
        clusters=len(groups.at),
        effective_n=_effective(groups, fits),
        assumes=ASSUMES,
        check=f"{check}; {_said_of_fit(fit)}",
        passed=passed,
    )
    return Counterfactual(rung, groups, expected, low, high, fits.correlation, fit, placebo)


def _said_of_fit(fit: float) -> str:
    if fit <= 0:
        return "one-step forecasts of the weeks before miss by more than a plain level would"
    return f"one-step forecasts explain {fit * 100:.0f} % of the variance of the weeks before"


def _effect(groups: Groups, confidence: float) -> tuple[float, float, float]:
    return tuple(float(each[0]) for each in _forecast(groups, confidence, weekly=False)[1])


def _gap(groups: Groups) -> np.ndarray:
    return groups.changed - np.average(groups.others, axis=0, weights=groups.sizes)


def _forecast(
    groups: Groups, confidence: float, *, weekly: bool = True
) -> tuple[Fits, tuple[np.ndarray, ...]]:
    """Observed less forecast: the mean over the weeks after first, then, if asked, each of them.

    An autoregression of the first order remembers its last week only: d weeks on, its forecast is
    r^d times the last residual, and two errors to come vary together by r^|d - e| - r^(d + e).
    """
    gap, place = _gap(groups), groups.at  # places on the calendar
    before, after = np.flatnonzero(~groups.after), np.flatnonzero(groups.after)
    fits = fits_of(gap[before], np.ones((len(before), 1)), at=place[before])
    ahead = place[after] - place[before[-1]]
    fade = nearness(ahead)  # (correlations, weeks after)
    rows, shift = -(1 - fade)[:, :, None], gap[after] - fade * gap[before[-1]]
    mean = np.array([_mean_error(ahead, r) for r in CORRELATIONS])
    asked = slice(None if weekly else 1)
    limits = combined(
        fits,
        np.concatenate([rows.mean(axis=1, keepdims=True), rows], axis=1)[:, asked],
        shift=np.column_stack([shift.mean(axis=1), shift])[:, asked],
        more=np.column_stack([mean, 1 - fade**2])[:, asked],
        confidence=confidence,
    )
    return fits, limits


def _mean_error(ahead: np.ndarray, r: float) -> float:
    """Variance of the mean of the errors to come, as a share of one week's."""
    fade = np.sign(r) ** ahead * np.abs(r) ** ahead
    return float(correlations_of(ahead, r).mean() - fade.mean() ** 2)


def _one_step(groups: Groups, fits: Fits) -> tuple[np.ndarray, float]:
    """Forecast of each week from the week before it, and the share of variance it explains."""
    residual, r = _gap(groups) - float(fits.chances @ fits.coefficients[:, 0]), fits.correlation
    line = groups.changed - residual
    gaps = np.diff(groups.at)
    expected = line.copy()
    expected[1:] += np.sign(r) ** gaps * np.abs(r) ** gaps * residual[:-1]
    before = ~groups.after
    left = ((groups.changed - expected)[before] ** 2).mean()
    return expected, float(1 - left / groups.changed[before].var())


def _effective(groups: Groups, fits: Fits) -> float:
    """Records of the weeks after over what their likeness costs."""
    ahead = np.arange(1, int(groups.after.sum()) + 1)
    own = correlations_of(ahead, fits.correlation).mean()
    return float(groups.n * min(1 / (own * len(ahead)), 1.0))
