"""How long do cases last when some have not ended?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from sqm.checks import Problem, first_rows, need_columns
from sqm.interval import few_clusters, wilson

UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
FARTHEST = 8.0  # standard errors from 0, beyond which a p is not worked out further

# --- What is known of each case -------------------------------------------------------------------


def followed(
    cases: pd.DataFrame, *, duration: str, running: str, clusters: str, source: str
) -> pd.DataFrame:
    """How long each case has been followed, whether it still runs, and its cluster.

    Parameters
    ----------
    cases : DataFrame, one row per case
    duration, running : str
        Columns of the time until the end, or until now, and of the flag that says which.
    clusters : str
        Column of what cases may share; blank: each case is its own cluster.
    source : str
        What the table is called in a complaint.

    Returns
    -------
    DataFrame with the columns ``time``, ``open`` and ``cluster`` (codes from 0)
        Indexed as ``cases``, without those that lack one of the three.

    Raises
    ------
    Problem
        If a column holds no numbers or flags, or a duration is negative.
    Refusal
        If a column is missing.

    Examples
    --------
    >>> cases = pd.DataFrame({"days": [3.0, 5.0, None], "open": [False, True, True]})
    >>> followed(cases, duration="days", running="open", clusters="", source="x").values.tolist()
    [[3.0, False, 0], [5.0, True, 1]]
    """
    need_columns(cases, [duration, running, *([clusters] if clusters else [])], source=source)
    try:
        times = cases[duration].astype("Float64").astype(float)
        still = cases[running].astype("boolean")
    except (TypeError, ValueError):
        raise Problem(
            f"{source}: {duration!r} holds no numbers, or {running!r} no flags.",
            "give them the types number and flag.",
        ) from None
    if (times < 0).any():
        wrong = times[times < 0]
        raise Problem(
            f"{source}: {len(wrong):,} of {len(times):,} have a negative {duration!r} (first "
            f"rows: {first_rows(wrong)}).",
            "correct the times, nothing ends before it begins; if day and month are swapped, name "
            "the `format` of the column.",
        )
    group = cases[clusters] if clusters else pd.Series(0, index=cases.index)
    known = pd.DataFrame({"time": times, "open": still, "cluster": group}).dropna()
    known = known[np.isfinite(known["time"])].astype({"open": bool})
    codes = pd.factorize(known["cluster"], sort=True)[0] if clusters else np.arange(len(known))
    return known.assign(cluster=codes)


def unit_of(duration: str) -> str:
    """The unit that a column's name ends in, as a word.

    Examples
    --------
    >>> unit_of("resolution_d"), unit_of("acknowledgement_h")
    ('days', 'hours')
    """
    suffix = duration.rpartition("_")[2]
    if suffix not in UNITS:
        raise Problem(
            f"The name of the duration {duration!r} does not end in its unit.",
            f"end it in {', '.join(f'_{each}' for each in UNITS)}, such as resolution_d.",
        )
    return UNITS[suffix]


def spell_time(time: float, unit: str) -> str:
    """A time in words.

    Examples
    --------
    >>> spell_time(1, "days"), spell_time(2.5, "hours")
    ('1 day', '2.5 hours')
    """
    return f"{time:,.4g} {unit[:-1] if time == 1 and unit.endswith('s') else unit}"


# --- A share with what its interval needs ---------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A share of cases at one time, and how many independent cases it is worth.

    Attributes
    ----------
    estimate : float
        0 to 1; NaN where no case was followed so long.
    effective : float
        Cases that would tell as much, all followed to their end.
    cases, clusters : int
        ``clusters`` is 0 where cases are independent or no spread is seen.
    influence : ndarray, shape (clusters,)
        How much each cluster moves the estimate, by its code; empty for independent cases.
    """

    estimate: float
    effective: float
    cases: int
    clusters: int
    influence: np.ndarray

    def limits(self, confidence: float) -> tuple[float, float]:
        """Wilson's interval at the effective number, widened for few clusters."""
        if np.isnan(self.estimate):
            return np.nan, np.nan
        few = 1.0
        if self.clusters > 1:  # as in interval.few_clusters
            tail = (1 + confidence) / 2
            few = (stats.t.ppf(tail, self.cases - 1) / stats.t.ppf(tail, self.clusters - 1)) ** 2
        return wilson(self.estimate, self.effective * few, confidence=confidence)


def difference(one: Share, other: Share, *, confidence: float) -> tuple[float, float, float]:
    """How far one share lies above another of other cases, with its interval.

    Notes
    -----
    d - sqrt(a^2 + b^2 - 2 r a b), with a the distance of the first share to its low limit, b that
    of the second to its high limit, and upwards likewise: Newcombe, R. G. (1998). Statistics in
    Medicine 17, 873-890, with the correlation r that shared clusters give (Zou, G. Y. (2008).
    American Journal of Epidemiology 168, 212-224. doi:10.1093/aje/kwn104).

    Examples
    --------
    Newcombe's own example, 56 of 70 against 48 of 80 (his method 10): .0524 to .3339.

    >>> none = np.array([])
    >>> one, other = Share(56 / 70, 70, 70, 0, none), Share(48 / 80, 80, 80, 0, none)
    >>> [round(each, 4) for each in difference(one, other, confidence=0.95)]
    [0.2, 0.0524, 0.3339]
    """
    apart = one.estimate - other.estimate
    if np.isnan(apart):
        return np.nan, np.nan, np.nan
    r = _correlation(one, other)
    (low, high), (low_2, high_2) = one.limits(confidence), other.limits(confidence)
    return (
        apart,
        apart - _joined(one.estimate - low, high_2 - other.estimate, r),
        apart + _joined(high - one.estimate, other.estimate - low_2, r),
    )


def chance(one: Share, other: Share) -> float:
    """The p of no difference: 1 - the level at which its interval just reaches 0.

    Examples
    --------
    Half of ten against half of ten; nobody of 100 against half of 100.

    >>> none = np.array([])
    >>> nobody, half = Share(0.0, 100, 100, 0, none), Share(0.5, 100, 100, 0, none)
    >>> chance(half, half), chance(nobody, half) < 1e-9
    (1.0, True)
    """
    apart = one.estimate - other.estimate
    if np.isnan(apart):
        return np.nan
    if apart == 0:
        return 1.0
    end = 1 if apart > 0 else 2

    def beyond(errors: float) -> float:
        limits = difference(one, other, confidence=float(2 * special.ndtr(errors) - 1))
        return limits[end] * np.sign(apart)

    if beyond(FARTHEST) > 0:
        return float(2 * special.ndtr(-FARTHEST))
    return float(2 * special.ndtr(-optimize.brentq(beyond, 1e-9, FARTHEST, xtol=1e-6)))


def _joined(a: float, b: float, r: float) -> float:
    return float(np.sqrt(max(a**2 + b**2 - 2 * r * a * b, 0.0)))


def _correlation(one: Share, other: Share) -> float:
    """Of two estimates, by what they share of their clusters; 0 where cases are independent.

    A positive one makes a difference surer, and few clusters tell it badly: it is then taken less
    by one part in the root of their number.
    """
    if not (len(one.influence) and len(other.influence)):
        return 0.0
    both, clusters = (
        min(len(one.influence), len(other.influence)),
        min(one.clusters, other.clusters),
    )
    together = (one.influence[:both] * other.influence[:both]).sum() * clusters / (clusters - 1)
    spread = [each.estimate * (1 - each.estimate) / each.effective for each in (one, other)]
    r = float(np.clip(together / np.sqrt(spread[0] * spread[1]), -1, 1))
    return r * (1 - 1 / np.sqrt(clusters)) if r > 0 else r


def _by_cluster(
    moved: np.ndarray, cluster: np.ndarray, clusters: int, independent: float
) -> tuple[float, int, np.ndarray]:
    """Variance of an estimate with clusters, no less than without, and each cluster's influence.

    Of one cluster, or where each case is its own, it is that of independent cases.
    """
    if clusters in (1, len(moved)):
        return independent, 0, np.array([])
    sums = np.bincount(cluster, weights=moved)
    return max(float((sums**2).sum()) * clusters / (clusters - 1), independent), clusters, sums


# --- Kaplan and Meier's curve ---------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """Share of cases still open from time 0 on, and what its interval needs.

    ``followed`` holds the times of all cases, rising; clusters are numbered from 0.
    """

    times: np.ndarray
    share: np.ndarray
    at_risk: np.ndarray
    greenwood: np.ndarray
    case_times: np.ndarray
    case_open: np.ndarray
    case_cluster: np.ndarray
    clusters: int
    followed: np.ndarray

    @cached_property
    def case_place(self) -> np.ndarray:
        """How many of the times of ends each case was there for."""
        return np.searchsorted(self.times[1:], self.case_times, side="right")

    def reaches(self, time: float) -> bool:
        """Whether the share open after so long is known: a case was followed, or all ended."""
        return bool(self.followed[-1] >= time or self.share[-1] == 0)


def kaplan_meier(times: np.ndarray, still: np.ndarray, cluster: np.ndarray) -> Curve:
    """Kaplan and Meier's curve at each time at which a case ended.

    Parameters
    ----------
    times, still, cluster : ndarray, shape (cases,)
        Until the end or until now; whether it still runs; codes of what cases share.

    Notes
    -----
    The product over times u <= t of 1 - d(u) / n(u), d cases ended and n still followed.  Kaplan,
    E. L., Meier, P. (1958). JASA 53, 457-481. doi:10.1080/01621459.1958.10501452

    Examples
    --------
    Ends at 1 and 3, one case still open at 2: (2 / 3), then 0.

    >>> curve = kaplan_meier(np.array([1.0, 2, 3]), np.array([False, True, False]), np.arange(3))
    >>> curve.share.round(4).tolist()
    [1.0, 0.6667, 0.0]
    """
    ends, closed = np.unique(times[~still], return_counts=True)
    followed = np.sort(times)
    at_risk = len(times) - np.searchsorted(followed, ends, side="left")
    codes, clusters = pd.factorize(cluster)
    left = at_risk - closed
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(left > 0, closed / (at_risk * left), np.nan)
    share = np.cumprod(left / at_risk)
    return Curve(
        times=np.r_[0.0, ends],
        share=np.r_[1.0, share],
        at_risk=np.r_[len(times), at_risk],
        greenwood=np.r_[0.0, np.cumsum(terms)],
        case_times=times,
        case_open=still,
        case_cluster=codes,
        clusters=len(clusters),
        followed=followed,
    )


def limits(curve: Curve, times: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of the share still open at the effective number of cases.

    Notes
    -----
    The effective number is S (1 - S) / variance: Rothman, K. J. (1978). Journal of Chronic
    Diseases 31, 557-560. doi:10.1016/0021-9681(78)90043-7.  The variance is Greenwood's, or the
    sum of the squared sums of influence of the clusters where that is larger.
    """
    places = np.searchsorted(curve.times, times, side="right") - 1
    share = curve.share[places]
    if curve.clusters in (1, len(curve.case_times)):  # one cluster: the answer is about that one
        with np.errstate(invalid="ignore", divide="ignore"):
            effective = (1 - share) / (share * curve.greenwood[places])
        few = 1.0
    else:
        effective = np.array([_effective(curve, place) for place in places])
        frame = pd.DataFrame({"cluster": curve.case_cluster})
        few = few_clusters(frame, len(curve.case_times), confidence)
    # at 1 and at 0 no spread is seen: as many as were followed so long, or as were closed
    followed = len(curve.case_times) - np.searchsorted(curve.followed, times, side="left")
    bare = np.where(share == 1, np.maximum(followed, 1), (~curve.case_open).sum())
    inside = (share > 0) & (share < 1) & np.isfinite(effective)
    n = np.where(inside, effective * few, bare)
    found = np.array([wilson(s, k, confidence=confidence) for s, k in zip(share, n, strict=True)])
    return found[:, 0], found[:, 1]


def _effective(curve: Curve, place: int) -> float:
    """S (1 - S) over the larger of Greenwood's and the clusters' variance."""
    share = curve.share[place]
    if not 0 < share < 1:
        return np.nan
    sums = np.bincount(curve.case_cluster, weights=influence(curve, place))
    clustered = (sums**2).sum() * curve.clusters / (curve.clusters - 1)
    variance = share**2 * max(clustered, curve.greenwood[place])
    return float(share * (1 - share) / variance)


def influence(curve: Curve, place: int) -> np.ndarray:
    """How much each case moves the logarithm of the curve at a place.

    Its martingale residual, over the cases at risk: 1 / n at its own closing,
    less the sum of d / n^2 over the closings it was there for.
    """
    n = curve.at_risk[1 : place + 1].astype(float)
    closed = n * (1 - curve.share[1 : place + 1] / curve.share[:place])
    there = np.r_[0.0, np.cumsum(closed / n**2)]
    seen = np.minimum(curve.case_place, place)
    own = np.where(
        ~curve.case_open & (curve.case_place <= place),
        1 / n[np.clip(seen - 1, 0, len(n) - 1)],
        0.0,
    )
    return own - there[seen]


def closed_within(curve: Curve, time: float, *, cluster: np.ndarray | None = None) -> Share:
    """Share of cases that end within a time, the open ones counted, ready to be compared.

    Parameters
    ----------
    curve : Curve
    time : float
        A case that ends exactly then has ended within it.
    cluster : ndarray of int, shape (cases,), optional
        What cases share, by codes that hold for the whole table; without it they are independent.

    Examples
    --------
    >>> curve = kaplan_meier(np.arange(1.0, 11), np.zeros(10, dtype=bool), np.arange(10))
    >>> found = closed_within(curve, 3)
    >>> round(found.estimate, 6), round(found.effective, 6)
    (0.3, 10.0)
    """
    cases = len(curve.case_times)
    if not curve.reaches(time):
        return Share(np.nan, np.nan, cases, 0, np.array([]))
    place = int(np.searchsorted(curve.times, time, side="right") - 1)
    share, plain = float(curve.share[place]), float(curve.greenwood[place])
    if not (0 < share < 1 and plain > 0):
        settled = (~curve.case_open).sum() if share == 0 else (curve.followed >= time).sum()
        return Share(1 - share, float(max(settled, 1)), cases, 0, np.array([]))
    variance, clusters, sums = plain, 0, np.array([])
    if cluster is not None:
        variance, clusters, sums = _by_cluster(
            influence(curve, place), cluster, curve.clusters, plain
        )
    return Share(1 - share, (1 - share) / (share * variance), cases, clusters, share * sums)


def median(curve: Curve, confidence: float) -> tuple[float, float, float]:
    """Time within which half have ended: where the curve, and its interval, reach one half.

    Notes
    -----
    Brookmeyer, R., Crowley, J. (1982). Biometrics 38, 29-41. doi:10.2307/2530286.  Missing where
    it is not yet known.

    Examples
    --------
    >>> curve = kaplan_meier(np.arange(1.0, 101), np.zeros(100, dtype=bool), np.arange(100))
    >>> median(curve, 0.95)
    (50.0, 41.0, 60.0)
    """
    if curve.share[-1] > 0.5:
        return np.nan, np.nan, np.nan
    middle = int(np.argmax(curve.share <= 0.5))
    low, high = (_crossing(curve, end, confidence) for end in (0, 1))
    return float(curve.times[middle]), low, high


def _crossing(curve: Curve, end: int, confidence: float) -> float:
    """First time at which a limit of the curve is one half or less, by halving."""
    below, above = 0, len(curve.times) - 1

    def limit(place: int) -> float:
        return float(limits(curve, curve.times[[place]], confidence)[end][0])

    if limit(above) > 0.5:
        return np.nan
    while above - below > 1:
        middle = (below + above) // 2
        if limit(middle) > 0.5:
            below = middle
        else:
            above = middle
    return float(curve.times[above])


# --- Ends that compete ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ends:
    """Share of cases that have ended in each way from time 0 on.

    ``incidence`` has one row per kind of end, one column per time; ``share`` is what is still
    open; ``hazard`` the ends of each kind over the cases at risk.  ``case_end`` is 0 for a case
    that still runs, else the number of its kind, from 1.
    """

    times: np.ndarray
    incidence: np.ndarray
    share: np.ndarray
    at_risk: np.ndarray
    hazard: np.ndarray
    case_times: np.ndarray
    case_end: np.ndarray
    case_cluster: np.ndarray
    clusters: int

    @cached_property
    def case_place(self) -> np.ndarray:
        """How many of the times of ends each case was there for."""
        return np.searchsorted(self.times[1:], self.case_times, side="right")

    def reaches(self, time: float) -> bool:
        """Whether the shares after so long are known: a case was followed, or all ended."""
        return bool(self.case_times.max() >= time or self.share[-1] <= 0)


def aalen_johansen(times: np.ndarray, end: np.ndarray, cluster: np.ndarray, *, kinds: int) -> Ends:
    """Cumulative incidence of ends that compete: a case that ended one way cannot end another.

    Parameters
    ----------
    times, end, cluster : ndarray, shape (cases,)
        Until the end or until now; 0 for still open, else the kind of end from 1; clusters from 0.
    kinds : int

    Notes
    -----
    F_k(t) = sum over u <= t of S(u-) d_k(u) / n(u).  Aalen, O. O., Johansen, S. (1978).
    Scandinavian Journal of Statistics 5, 141-150.

    Examples
    --------
    Four cases end at 1 (first kind), 2 (second) and 3 (first), one is left open at 2:
    1/4, then 3/4 * 1/3 of the second kind, then what remains, 2/4, of the first.

    >>> found = aalen_johansen(np.array([1.0, 2, 2, 3]), np.array([1, 2, 0, 1]), np.arange(4),
    ...                        kinds=2)
    >>> found.incidence.round(4).tolist()
    [[0.0, 0.25, 0.25, 0.75], [0.0, 0.0, 0.25, 0.25]]
    """
    ends, place = np.unique(times[end > 0], return_inverse=True)
    at_risk = len(times) - np.searchsorted(np.sort(times), ends, side="left")
    counts = np.bincount((end[end > 0] - 1) * len(ends) + place, minlength=kinds * len(ends))
    counts = counts.reshape(kinds, len(ends))
    left = np.cumprod((at_risk - counts.sum(axis=0)) / at_risk)
    share = np.r_[1.0, left]
    hazard = counts / at_risk
    incidence = np.cumsum(share[:-1] * hazard, axis=1)
    return Ends(
        times=np.r_[0.0, ends],
        incidence=np.c_[np.zeros(kinds), incidence],
        share=share,
        at_risk=np.r_[len(times), at_risk],
        hazard=np.c_[np.zeros(kinds), hazard],
        case_times=times,
        case_end=end,
        case_cluster=cluster,
        clusters=len(pd.unique(cluster)),
    )


def ended(ends: Ends, *, kind: int, time: float) -> Share:
    """Share of cases that have ended in one way by a time.

    Parameters
    ----------
    ends : Ends
    kind : int
        From 1.
    time : float

    Examples
    --------
    Without open cases it is a plain share of all: 1 of 4, worth 4 cases.

    >>> ends = aalen_johansen(np.arange(1.0, 5), np.array([1, 2, 2, 1]), np.arange(4), kinds=2)
    >>> found = ended(ends, kind=1, time=2)
    >>> found.estimate, round(found.effective, 6)
    (0.25, 4.0)
    """
    cases = len(ends.case_times)
    if not ends.reaches(time):
        return Share(np.nan, np.nan, cases, 0, np.array([]))
    place = int(np.searchsorted(ends.times, time, side="right") - 1)
    share = float(ends.incidence[kind - 1, place])
    share = 1.0 if share > 1 - 1e-9 else share  # sums of many parts miss it by a hair
    moved = moves(ends, kind=kind, place=place)
    variance, clusters, sums = _by_cluster(
        moved, ends.case_cluster, ends.clusters, float(moved @ moved)
    )
    if not (0 < share < 1 and variance > 0):  # no spread is seen: as many as are settled by then
        settled = (ends.case_times >= time) | (ends.case_end > 0)
        return Share(share, float(max(settled.sum(), 1)), cases, 0, np.array([]))
    return Share(share, share * (1 - share) / variance, cases, clusters, sums)


def moves(ends: Ends, *, kind: int, place: int) -> np.ndarray:
    """How much each case moves the cumulative incidence of one kind at a place.

    Notes
    -----
    With the martingale residual of case i for ends of kind k at time u, dM_k = (1 if it ended so
    at u, else 0) - hazard_k(u) while at risk, over the n(u) at risk: the sum over u <= t of
    S(u-) dM_k / n less (F_k(t) - F_k(u)) / (1 - hazard(u)) dM / n, M of all kinds together.
    The sum of squares over independent cases is the variance; without open cases F (1 - F) / n.
    """
    if not place:
        return np.zeros(len(ends.case_times))
    upto = slice(1, place + 1)
    n, hazard = ends.at_risk[upto].astype(float), ends.hazard[:, upto]
    every, before = hazard.sum(axis=0), ends.share[:place]
    rise = ends.incidence[kind - 1, place] - ends.incidence[kind - 1, upto]
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(every < 1, rise / ((1 - every) * n), 0.0)
    gain = before / n
    there = np.r_[0.0, np.cumsum(gain * hazard[kind - 1] - lost * every)]
    seen = np.minimum(ends.case_place, place)
    own = np.where(ends.case_end == kind, gain[seen - 1], 0.0) - lost[seen - 1]
    within = (ends.case_end > 0) & (ends.case_place <= place)
    return np.where(within, own, 0.0) - there[seen]
