"""What do a customer's wait and the way the contact ended lead to?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sqm.checks import Problem, need_columns

INTERCEPT = "(intercept)"
THRESHOLD = "threshold|"
ENDINGS = ("resolved", "unresolved", "abandoned")
TOP_BOXES = 2  # highest points that count as satisfied


@dataclass(frozen=True, eq=False)
class Fitted:
    """Draws of a fit, ready for look-up; coefficients on the scale of log odds.

    Attributes
    ----------
    intercept, per_second : ndarray, shape (draws,)
    site, reason, channel, ending : ndarray, shape (draws, levels)
    thresholds : ndarray, shape (draws, points - 1)
        Of a score: P(score <= point) = 1 / (1 + exp(sum of terms - threshold)); empty otherwise.
    points : tuple of float
        The points of a score from the lowest to the highest; empty otherwise.
    level_s : float
        Wait from which waiting longer adds nothing; infinite if there is none.
    """

    intercept: np.ndarray
    per_second: np.ndarray
    site: np.ndarray
    reason: np.ndarray
    channel: np.ndarray
    ending: np.ndarray
    thresholds: np.ndarray
    points: tuple[float, ...]
    level_s: float

    def before_waiting(self, draw, site, reason, channel) -> np.ndarray:
        """The part of the log odds that no scenario changes, one number a contact."""
        known = (self.intercept[:, None] + self.site)[draw, site]
        return known + self.reason[draw, reason] + self.channel[draw, channel]

    def of_wait(self, draw, wait_s) -> np.ndarray:
        """What the odds are multiplied by for a wait."""
        return np.exp(self.per_second[draw] * np.minimum(wait_s, self.level_s))


def draw_fit(
    table: pd.DataFrame, grid: Any, *, draws: int, rng: np.random.Generator, plug_in: bool = False
) -> Fitted:
    """Draw coefficients from N(b, V), and lay them out by level.

    Parameters
    ----------
    table : DataFrame, one row per term
        ``term``, ``estimate``, ``unit_per`` of numbers if not 1, and a column ``cov: <term>`` for
        each term.  Terms are ``wait_s``, ``column=level`` for the columns site, reason, channel
        and ending, and ``(intercept)`` or, of a score, ``threshold|k`` for each point k but the
        highest; a level without a term is the reference.  If there: ``levels_off``, the wait from
        which more adds nothing, and ``step``, points from that of a threshold to the next.
    grid : object with ``sites``, ``reasons``, ``channels``
    draws : int
    rng : Generator
    plug_in : bool, default False
        Take the estimates as if they were certain.

    Returns
    -------
    Fitted

    Raises
    ------
    Problem
        If a term is unknown or missing, or a coefficient is not a number.
    """
    terms, b, covariance = _table(table)
    drawn = np.tile(b, (draws, 1))
    if not plug_in:
        drawn = rng.multivariate_normal(b, covariance, size=draws, method="eigh")
    levels = {
        "site": grid.sites,
        "reason": grid.reasons,
        "channel": grid.channels,
        "ending": ENDINGS,
    }
    of = {column: np.zeros((draws, len(names))) for column, names in levels.items()}
    numbers = {INTERCEPT: np.zeros(draws), "wait_s": np.zeros(draws)}
    places = _thresholds(terms)
    for i, term in enumerate(terms):
        column, _, level = term.partition("=")
        if term in numbers:
            numbers[term] = drawn[:, i] / (_number(table, i, "unit_per", usual=1.0) or 1.0)
        elif column in levels and level:
            if level in levels[column]:
                of[column][:, levels[column].index(level)] = drawn[:, i]
        elif i not in places:
            raise Problem(
                f"The drivers hold a term {term!r} that simulated contacts do not have.",
                "fit them on wait_s, ending, site, reason and channel alone.",
            )
    points = tuple(_point(terms[i]) for i in places)
    top = points[-1:] and (points[-1] + _number(table, places[-1], "step", usual=1.0),)
    wait = [i for i, term in enumerate(terms) if term == "wait_s"]
    return Fitted(
        numbers[INTERCEPT],
        numbers["wait_s"],
        **of,
        thresholds=np.sort(drawn[:, places], axis=1),
        points=points + top,
        level_s=_number(table, wait[0], "levels_off", usual=np.inf) if wait else np.inf,
    )


def _table(table: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    need_columns(table, ["term", "estimate"], source="drivers")
    terms = table["term"].astype(str).tolist()
    need_columns(table, [f"cov: {term}" for term in terms], source="drivers")
    if INTERCEPT not in terms and not _thresholds(terms):
        raise Problem("The drivers have no intercept.", f"keep the term {INTERCEPT!r}.")
    covariance = table[[f"cov: {term}" for term in terms]].to_numpy(float)
    estimate = table["estimate"].to_numpy(float)
    if not (np.isfinite(estimate).all() and np.isfinite(covariance).all()):
        raise Problem("The drivers have a missing coefficient.", "leave that term out of the fit.")
    return terms, estimate, (covariance + covariance.T) / 2


def _thresholds(terms: list[str]) -> list[int]:
    """Places of the thresholds, lowest point first."""
    places = [i for i, term in enumerate(terms) if term.startswith(THRESHOLD)]
    return sorted(places, key=lambda i: _point(terms[i]))


def _point(term: str) -> float:
    try:
        return float(term.removeprefix(THRESHOLD))
    except ValueError:
        raise Problem(
            f"The drivers of a score hold {term!r}.", f"name the point, such as {THRESHOLD}3."
        ) from None


def _number(table: pd.DataFrame, row: int, column: str, *, usual: float) -> float:
    """A number that a table may leave out."""
    value = table[column].iloc[row] if column in table else usual
    return usual if pd.isna(value) else float(value)


def need_score(fitted: Fitted, *, name: str) -> None:
    """Insist that a fit is one of a score."""
    if not fitted.points:
        raise Problem(
            f"The drivers of {name!r} are not those of a score.",
            f"fit it as an ordered outcome, with rows {THRESHOLD}1, {THRESHOLD}2, ...",
        )


def complaint_chance(odds, served, resolved, factors) -> np.ndarray:
    """Probability of a complaint, whether the contact is resolved or not averaged over.

    Parameters
    ----------
    odds : ndarray, shape (contacts,)
        Odds of a complaint but for the ending.
    served : ndarray of bool, shape (contacts,)
    resolved : ndarray, shape (contacts,)
        Probability that a served contact is resolved.
    factors : sequence of three ndarray
        What the odds of a contact are multiplied by if it is resolved, unresolved or abandoned.

    Examples
    --------
    Odds of 1 if resolved and of 3 if not, resolved for certain in every second case: the mean of
    1/2 and 3/4.

    >>> complaint_chance(np.ones(1), np.array([True]), 0.5, (1.0, 3.0, 9.0)).tolist()
    [0.625]
    """
    if_resolved, if_not, if_gone = factors
    worse = odds * np.where(served, if_not, if_gone)
    worse /= 1 + worse
    better = odds * if_resolved
    better /= 1 + better
    return np.where(served, worse + resolved * (better - worse), worse)


def score_shares(odds, resolved, factors, cuts) -> np.ndarray:
    """Probability that a served contact's score is at most each point but the highest.

    Parameters
    ----------
    odds : ndarray, shape (contacts,)
        exp of the sum of terms but for the ending.
    resolved : ndarray, shape (contacts,)
        Probability that the contact is resolved.
    factors : sequence of two ndarray
        exp of the terms of a resolved and of an unresolved ending.
    cuts : ndarray, shape (points - 1, contacts or 1)
        exp of the thresholds.

    Returns
    -------
    ndarray, shape (points - 1, contacts)

    Examples
    --------
    Thresholds 0 and log 3 with all terms 0: 1 / (1 + 1) and 3 / (1 + 3).

    >>> score_shares(np.ones(1), 1.0, (1.0, 1.0), np.array([[1.0], [3.0]])).tolist()
    [[0.5], [0.75]]
    """
    better, worse = odds * factors[0], odds * factors[1]
    found, other = np.empty((len(cuts), len(odds))), np.empty(len(odds))
    for share, cut in zip(found, cuts, strict=True):  # in place: these arrays are long
        np.divide(cut, np.add(cut, worse, out=share), out=share)
        np.divide(cut, np.add(cut, better, out=other), out=other)
        other -= share
        other *= resolved
        share += other
    return found


def score_measures(name: str, points: tuple[float, ...]) -> dict[str, tuple[float, np.ndarray]]:
    """What is told of a score: by name a constant and the weight of each P(score <= point).

    The mean is the highest point less the steps below it; ``satisfied`` is the share in the two
    highest points, and of ``recommend`` on 0 to 10 the net promoter score is told instead.

    Examples
    --------
    >>> score_measures("satisfaction", (1.0, 2.0, 3.0))["satisfaction"]
    (3.0, array([-1., -1.]))
    """
    steps = np.diff(points)
    found = {name: (float(points[-1]), -steps)}
    if points == tuple(range(11)):  # promoters above 8, detractors up to 6
        at = np.array(points[:-1])
        found["nps"] = (100.0, -100.0 * (np.isin(at, (6, 8))))
    elif len(points) > TOP_BOXES:
        below = np.zeros(len(points) - 1)
        below[len(points) - 1 - TOP_BOXES] = -1.0
        found["satisfied" if name == "satisfaction" else f"{name}: top two"] = (1.0, below)
    return found


def share_beyond(points: tuple[float, ...], limit: float, *, above: bool) -> tuple[float, Any]:
    """The share of scores above a limit, or below it, as in `score_measures`.

    Examples
    --------
    Below 5 on 1 to 7 is P(score <= 4):

    >>> share_beyond(tuple(range(1, 8)), 5, above=False)
    (0.0, array([0., 0., 0., 1., 0., 0.]))
    """
    at = np.array(points, float)
    within = int((at <= limit if above else at < limit).sum())  # points on the side of the limit
    weight = np.zeros(len(at) - 1)
    if within in (0, len(at)):
        return float(above == (within == 0)), weight
    weight[within - 1] = -1.0 if above else 1.0
    return float(above), weight
