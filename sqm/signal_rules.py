"""Which points of a chart are signals, and for which reason?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Problem, nearest
from sqm.memory_charts import ewma, ewma_limits, page_sum

ALL_POINTS = ", all points"
WRITTEN = {  # how each pattern is written, with its numbers
    "beyond": "beyond 3",
    "run": "run over 8",
    "crossings": "crossings under 8 in 24",
    "zone": "2 of 3 beyond 2",
    "trend": "trend of 6 points",
    "alternating": "alternating 14 points",
    "within": "15 within 1",
    "outside": "8 outside 1 on both sides",
    "ewma": "ewma 0.2 at 2.86",
    "cusum": "cusum 0.5 at 5",
}
READ = {
    "beyond": r"beyond (?P<size>[\d.]+)",
    "run": r"run (?P<how>over|of) (?P<count>\d+)",
    "crossings": r"crossings under (?P<count>\d+) in (?P<of>\d+)",
    "zone": r"(?P<count>\d+) of (?P<of>\d+) beyond (?P<size>[\d.]+)",
    "trend": r"trend of (?P<count>\d+) (?P<how>points|steps)",
    "alternating": r"alternating (?P<count>\d+) (?P<how>points|steps)",
    "within": r"(?P<count>\d+) within (?P<size>[\d.]+)",
    "outside": r"(?P<count>\d+) outside (?P<size>[\d.]+) on (?P<how>both sides|any side)",
    "ewma": r"ewma (?P<weight>[\d.]+) at (?P<size>[\d.]+)",
    "cusum": r"cusum (?P<weight>[\d.]+) at (?P<size>[\d.]+)",
}
NAMED = (  # the sets a study may choose from, the plainest first
    "beyond the limits",
    "limits and ewma",
    "limits and cusum",
    "limits and runs",
    "limits and run of 8",
    "Western Electric",
    "Nelson",
    "Nelson and ewma",
)
_WESTERN = "beyond 3 + 2 of 3 beyond 2 + 4 of 5 beyond 1 + run over 7"
_NELSON = (
    "beyond 3 + run over 8 + trend of 6 points + alternating 14 points + 2 of 3 beyond 2 + "
    "4 of 5 beyond 1 + 15 within 1 + 8 outside 1 on both sides"
)
_TEXTS = {
    "beyond the limits": "beyond 3",
    "limits and ewma": "beyond 3 + ewma 0.2 at 2.86",
    "limits and cusum": "beyond 3 + cusum 0.5 at 5",
    "limits and run of 8": "beyond 3 + run over 7",
    "Western Electric": _WESTERN,
    "Nelson": _NELSON,
    "Nelson and ewma": f"{_NELSON} + ewma 0.2 at 2.86",
}


@dataclass(frozen=True)
class Pattern:
    """One thing to look for among the points of a chart.

    Attributes
    ----------
    kind : str
        A key of ``WRITTEN``.
    size : float
        Distance from the centre in sigmas.
    count, of : int
        How many points, and among how many.
    how : str
        The convention: ``points`` or ``steps``, ``both sides`` or ``any side``.
    weight : float
        Of the newest point (EWMA), or the allowance in sigmas (CUSUM).
    """

    kind: str
    size: float = 0.0
    count: int = 0
    of: int = 0
    how: str = ""
    weight: float = 0.0

    def __str__(self) -> str:
        return {
            "beyond": f"beyond {self.size:g}",
            "run": f"run over {self.count}",
            "crossings": f"crossings under {self.count} in {self.of}",
            "zone": f"{self.count} of {self.of} beyond {self.size:g}",
            "trend": f"trend of {self.count} {self.how}",
            "alternating": f"alternating {self.count} {self.how}",
            "within": f"{self.count} within {self.size:g}",
            "outside": f"{self.count} outside {self.size:g} on {self.how}",
            "ewma": f"ewma {self.weight:g} at {self.size:g}",
            "cusum": f"cusum {self.weight:g} at {self.size:g}",
        }[self.kind]


@dataclass(frozen=True)
class Rules:
    """What counts as a signal on a chart; its text is its canonical form.

    Attributes
    ----------
    patterns : tuple of Pattern
    points : {"completing", "all"}
        Whether the point that completes a pattern is marked, or all points of the pattern.
    """

    patterns: tuple[Pattern, ...]
    points: str = "completing"

    def __str__(self) -> str:
        return " + ".join(map(str, self.patterns)) + ALL_POINTS * (self.points == "all")


def rules_of(text: str | Rules) -> Rules:
    """Read rules from their text.

    Parameters
    ----------
    text : str
        Patterns joined by `` + ``, as in ``WRITTEN``; ``, all points`` at the end marks every
        point of a pattern.  ``run of 8`` is read as ``run over 7``.

    Raises
    ------
    Problem
        If a pattern is not known, or its numbers make no sense.

    Notes
    -----
    ``beyond k``: |z| > k.  ``run over k``: more than k in a row on one side; a point on the centre
    neither breaks a run nor counts.  ``crossings under k in m``: fewer than k changes of side among
    the last m points.  ``a of b beyond k``: a of the last b beyond k on one side, the last among
    them.  ``trend of k points`` (qcc, NHS) are k - 1 rises or falls in a row, ``steps`` (Minitab,
    JASP) are k.  ``alternating`` likewise.  ``k within d``: k in a row with |z| < d.
    ``k outside d``: k in a row with |z| > d, ``on both sides`` with points on each (Nelson, qcc) or
    ``on any side`` (Minitab, JASP).  ``ewma w at L``: the weighted mean beyond L of its own sigmas,
    which are those of that many periods (exact, not the limiting ones).  ``cusum k at h``: a
    one-sided sum with allowance k beyond h.

    Examples
    --------
    >>> str(rules_of("beyond 3.0 + run of 8"))
    'beyond 3 + run over 7'
    """
    if isinstance(text, Rules):
        return text
    said = " ".join(str(text).split())
    points = "all" if said.endswith(ALL_POINTS) else "completing"
    parts = said.removesuffix(ALL_POINTS).split(" + ")
    return Rules(patterns=tuple(_pattern(part.strip()) for part in parts), points=points)


def _pattern(text: str) -> Pattern:
    for kind, form in READ.items():
        found = re.fullmatch(form, text)
        if found:
            return _sound(kind, found.groupdict(), text)
    raise Problem(f"{text!r} is no rule for signals.", nearest(text, WRITTEN.values()))


def _sound(kind: str, said: dict, text: str) -> Pattern:
    try:
        count, of = int(said.get("count", 0)), int(said.get("of", 0))
        size, weight = float(said.get("size", 0)), float(said.get("weight", 0))
    except ValueError:
        raise Problem(f"{text!r} holds what is no number.", f"write {WRITTEN[kind]!r}.") from None
    if kind == "run" and said["how"] == "of":
        count -= 1
    few = kind in ("trend", "alternating", "zone", "within", "outside", "run") and count < 1
    if few or (of and count > of) or (kind == "ewma" and not 0 < weight <= 1):
        raise Problem(f"{text!r} cannot be followed.", f"write as in {WRITTEN[kind]!r}.")
    how = "" if kind == "run" else said.get("how", "")
    return Pattern(kind, size=size, count=count, of=of, how=how, weight=weight)


def rule_set(name: str, *, periods: int = 24) -> Rules:
    """One of the sets with a name.

    Parameters
    ----------
    name : str
        One of ``NAMED``.
    periods : int, default 24
        Baseline periods off the centre: they set the longest run and the fewest crossings of
        ``limits and runs`` (Anhøj); the others do not depend on them.

    Notes
    -----
    Western Electric (1956): beyond 3, 2 of 3 beyond 2, 4 of 5 beyond 1, 8 on one side.  Nelson
    (1984): his eight tests.  Anhøj and Olesen (2014): longest run and crossings.

    References
    ----------
    .. [1] Western Electric Company (1956). Statistical Quality Control Handbook. Indianapolis.
    .. [2] Nelson, L. S. (1984). The Shewhart control chart: tests for special causes. Journal of
       Quality Technology 16(4), 237-239. doi:10.1080/00224065.1984.11978921
    .. [3] Anhøj, J., Olesen, A. V. (2014). Run charts revisited. PLoS ONE 9(11), e113825.
       doi:10.1371/journal.pone.0113825

    Examples
    --------
    >>> str(rule_set("limits and runs", periods=24))
    'beyond 3 + run over 8 + crossings under 8 in 24'
    """
    if name not in NAMED:
        raise Problem(f"{name!r} is no set of rules.", nearest(name, NAMED))
    if name == "limits and runs":
        run, crossings = longest_run_allowed(periods), fewest_crossings(periods)
        return rules_of(f"beyond 3 + run over {run} + crossings under {crossings} in {periods}")
    return rules_of(_TEXTS[name])


def completing(text: Rules | str) -> Rules:
    """Rules, by name or text, that mark only the point that completes a pattern.

    Whoever asks when a chart told needs these: the earlier points of a pattern were not known to
    belong to one at their time.

    Examples
    --------
    >>> str(completing("beyond 3 + run over 8, all points"))
    'beyond 3 + run over 8'
    >>> str(completing("limits and ewma"))
    'beyond 3 + ewma 0.2 at 2.86'
    """
    told = rule_set(text) if text in NAMED else rules_of(text)
    return replace(told, points="completing")


def in_use(charts: pd.DataFrame, name: str, rules: Rules | str) -> Rules:
    """The rules that stand in the chart of a series, or else those given for all.

    Parameters
    ----------
    charts : DataFrame, one row a series and period
        ``series``, ``period``; if there, ``rules``, of which the latest that is not blank counts.
    name : str
        Of the series.
    rules : Rules or str
        By name or text.

    Returns
    -------
    Rules
        As `completing` gives them.

    Examples
    --------
    >>> charts = pd.DataFrame({"series": "Wait", "period": [1, 2], "rules": ["beyond 2", ""]})
    >>> str(in_use(charts, "Wait", "beyond 3"))
    'beyond 2'
    """
    if "rules" not in charts:
        return completing(rules)
    own = charts.loc[charts["series"].astype("str") == name].sort_values("period")["rules"]
    own = own[own.notna() & (own != "")]
    return completing(str(own.iloc[-1])) if len(own) else completing(rules)


def with_limit(rules: Rules | str, sigmas: float) -> Rules:
    """The same rules with the outer limit at another distance.

    Examples
    --------
    >>> str(with_limit("beyond 3 + run over 8", 3.4))
    'beyond 3.4 + run over 8'
    """
    rules = rules_of(rules)
    moved = [replace(p, size=sigmas) if p.kind == "beyond" else p for p in rules.patterns]
    return replace(rules, patterns=tuple(moved))


def longest_run_allowed(useful: int) -> int:
    """Longest run on one side of the centre that chance explains among ``useful`` points.

    Examples
    --------
    log2(24) + 3 = 7.58, rounded 8.

    >>> longest_run_allowed(24)
    8
    """
    return round(np.log2(max(useful, 1)) + 3)


def fewest_crossings(useful: int) -> int:
    """Fewest changes of side that chance explains among ``useful`` points.

    Notes
    -----
    The 5 % quantile of a binomial law with one half of ``useful`` - 1 chances (Anhøj, Olesen 2014).

    Examples
    --------
    >>> fewest_crossings(24)
    8
    """
    return int(stats.binom.ppf(0.05, max(useful - 1, 0), 0.5))


def marks(
    z: np.ndarray, rules: Rules | str, *, gap: np.ndarray | None = None
) -> tuple[np.ndarray, list[str]]:
    """Mark the points that signal.

    Parameters
    ----------
    z : ndarray, shape (..., periods)
        Distance from the centre in sigmas.
    rules : Rules or str
    gap : ndarray of bool, shape (periods,), optional
        True where a period is missing just before: no pattern reaches across.

    Returns
    -------
    marked : ndarray of bool, shape of z
    names : list of str
        For a single series what marked each period, empty where nothing did; else no names.

    Examples
    --------
    >>> marks(np.array([0.0, 4.0, 0.5]), "beyond 3 + run over 8")[1]
    ['', 'beyond 3', '']
    """
    z = np.asarray(z, dtype=float)
    found = _found(z, rules_of(rules), gap)
    marked = np.any([each != 0 for _, each in found], axis=0)
    if z.ndim > 1:
        return marked, []
    return marked, [
        ", ".join(str(pattern) for pattern, each in found if each[t]) for t in range(len(z))
    ]


def sides(z: np.ndarray, rules: Rules | str, *, gap: np.ndarray | None = None) -> np.ndarray:
    """Where a signal points: 1 upwards, -1 downwards, 0 where there is none.

    Notes
    -----
    The side of the first rule that marks the period: that of its points, of a trend the way it
    goes.  A pattern without a side (alternation, points too near the centre, too few crossings)
    takes that of the point.

    Examples
    --------
    >>> sides(np.array([0.0, 4.0, -3.5]), "beyond 3").tolist()
    [0, 1, -1]
    """
    z = np.asarray(z, dtype=float)
    side = np.zeros(z.shape, dtype=np.int8)
    own = np.where(np.nan_to_num(z) < 0, -1, 1).astype(np.int8)
    for _, each in _found(z, rules_of(rules), gap):
        told = np.where(np.abs(each) == _NO_SIDE, own, each)
        side = np.where(side == 0, told, side)
    return side


# --- The patterns: each gives the side of the points it marks, 0 elsewhere ------------------------

_NO_SIDE = 2


def _found(z: np.ndarray, rules: Rules, gap) -> list[tuple[Pattern, np.ndarray]]:
    opened, kept = _opened(z, gap)
    every = rules.points == "all"
    found = []
    for pattern in rules.patterns:
        if pattern.kind in ("ewma", "cusum"):  # they remember across a gap
            found.append((pattern, _PATTERNS[pattern.kind](z, pattern, every)))
        else:
            found.append((pattern, _PATTERNS[pattern.kind](opened, pattern, every)[..., kept]))
    return found


def _opened(z: np.ndarray, gap: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Put an empty period wherever one is missing, and say where the others stand then."""
    if gap is None or not np.any(gap):
        return z, np.arange(z.shape[-1])
    kept = np.arange(z.shape[-1]) + np.cumsum(gap)
    opened = np.full((*z.shape[:-1], kept[-1] + 1), np.nan)
    opened[..., kept] = z
    return opened, kept


def _beyond(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    return np.where(np.abs(z) > pattern.size, np.sign(z), 0).astype(np.int8)


def _run(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    length, side = running(z), np.nan_to_num(np.sign(z)).astype(np.int8)
    hits = length > pattern.count
    if every:
        hits = _whole_runs(z, hits, side)
    return np.where(hits, side, 0).astype(np.int8)


def _whole_runs(z: np.ndarray, hits: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Carry a mark back to the first point of its run."""
    hits, alive = hits.copy(), np.zeros(z.shape[:-1], dtype=np.int8)
    for t in range(z.shape[-1] - 1, -1, -1):
        now, empty = side[..., t], np.isnan(z[..., t])
        hits[..., t] |= (now != 0) & (alive == now)
        alive = np.where(hits[..., t], now, np.where((now == 0) & ~empty, alive, 0))
    return hits


def running(z: np.ndarray) -> np.ndarray:
    """How long the run on one side has become at each period.

    Parameters
    ----------
    z : ndarray, shape (..., periods)
        A point on the centre neither breaks a run nor counts; a NaN breaks it.

    Examples
    --------
    >>> running(np.array([1.0, 1, 0, 1, -1, -1])).tolist()
    [1, 2, 0, 3, 1, 2]
    """
    side = np.nan_to_num(np.sign(z), nan=2).astype(np.int8)
    last, length = np.zeros(z.shape[:-1], np.int8), np.zeros(z.shape[:-1], np.int32)
    found = np.zeros(z.shape, dtype=np.int32)
    for t in range(z.shape[-1]):
        now = side[..., t]
        length = np.where(now == 0, length, np.where(now == last, length + 1, 1))
        last = np.where(now == 0, last, now)
        found[..., t] = np.where((now == 0) | (now == 2), 0, length)
    return found


def _crossings(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    """Fewer changes of side than allowed among the last so many points."""
    side = np.nan_to_num(np.sign(z), nan=2).astype(np.int8)
    for t in range(1, z.shape[-1]):  # a point on the centre stays where the last one was
        side[..., t] = np.where(side[..., t] == 0, side[..., t - 1], side[..., t])
    changed = (side[..., 1:] * side[..., :-1] == -1).astype(np.int32)
    hits = np.zeros(z.shape, dtype=np.int8)
    if z.shape[-1] >= pattern.of > 1:
        few = _sums(changed, pattern.of - 1) < pattern.count
        whole = _sums(np.isnan(z).astype(np.int32), pattern.of) == 0
        hits[..., pattern.of - 1 :] = np.where(few & whole, _NO_SIDE, 0)
    return hits


def _zone(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    found = np.zeros(z.shape, dtype=np.int8)
    for side in (1, -1):
        far = side * z > pattern.size
        hits = far & (_last(far, pattern.of, broken=np.isnan(z)) >= pattern.count)
        if every:
            hits = far & _backwards(hits, pattern.of)
        found = np.where(hits, side, found)
    return found.astype(np.int8)


def _trend(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    steps = pattern.count - (pattern.how == "points")
    found = np.zeros(z.shape, dtype=np.int8)
    for side in (1, -1):
        step = np.zeros(z.shape, dtype=bool)
        step[..., 1:] = side * np.diff(z, axis=-1) > 0
        hits = _last(step, steps) >= steps
        found = np.where(_backwards(hits, steps + 1) if every else hits, side, found)
    return found.astype(np.int8)


def _alternating(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    steps = pattern.count - (pattern.how == "points")
    step = np.nan_to_num(np.sign(np.diff(z, axis=-1)))
    turn = np.zeros(z.shape, dtype=bool)
    turn[..., 2:] = step[..., 1:] * step[..., :-1] == -1
    hits = _last(turn, max(steps - 1, 1)) >= max(steps - 1, 1)
    return np.where(_backwards(hits, steps + 1) if every else hits, _NO_SIDE, 0).astype(np.int8)


def _within(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    hits = _last(np.abs(z) < pattern.size, pattern.count) >= pattern.count
    hits = _backwards(hits, pattern.count) if every else hits
    return np.where(hits, _NO_SIDE, 0).astype(np.int8)


def _outside(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    hits = _last(np.abs(z) > pattern.size, pattern.count) >= pattern.count
    if pattern.how == "both sides":
        for side in (1, -1):
            hits &= _last(side * z > pattern.size, pattern.count) > 0
    hits = _backwards(hits, pattern.count) if every else hits
    return np.where(hits, _NO_SIDE, 0).astype(np.int8)


def _ewma(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    mean = np.nan_to_num(ewma(z, weight=pattern.weight))
    far = ewma_limits(z.shape[-1], weight=pattern.weight, width=pattern.size)
    return np.where(np.abs(mean) > far, np.sign(mean), 0).astype(np.int8)


def _cusum(z: np.ndarray, pattern: Pattern, every: bool) -> np.ndarray:
    above, below = (
        page_sum(np.nan_to_num(side * z) - pattern.weight) > pattern.size for side in (1, -1)
    )
    return np.where(above, 1, np.where(below, -1, 0)).astype(np.int8)


_PATTERNS: dict[str, Callable[[np.ndarray, Pattern, bool], np.ndarray]] = {
    "beyond": _beyond,
    "run": _run,
    "crossings": _crossings,
    "zone": _zone,
    "trend": _trend,
    "alternating": _alternating,
    "within": _within,
    "outside": _outside,
    "ewma": _ewma,
    "cusum": _cusum,
}


def _sums(counts: np.ndarray, width: int) -> np.ndarray:
    """Sum of every ``width`` neighbours, one for each full window."""
    total = np.cumsum(counts, axis=-1, dtype=np.int32)
    total = np.concatenate([np.zeros((*counts.shape[:-1], 1), np.int32), total], axis=-1)
    return total[..., width:] - total[..., :-width]


def _last(true: np.ndarray, width: int, *, broken: np.ndarray | None = None) -> np.ndarray:
    """How many of the last ``width`` points are true, this one among them.

    Where a period is empty nothing before it counts.
    """
    padded = np.concatenate([np.zeros((*true.shape[:-1], width), bool), true], axis=-1)
    if broken is None or not broken.any():
        return _sums(padded.astype(np.int32), width)[..., 1:]
    counts = np.zeros(true.shape, dtype=np.int32)
    alive = np.ones(true.shape, dtype=bool)
    for back in range(min(width, true.shape[-1])):
        here = slice(back, None)
        there = slice(None, true.shape[-1] - back)
        alive[..., here] &= ~broken[..., there]
        counts[..., here] += true[..., there] & alive[..., here]
    return counts


def _backwards(hits: np.ndarray, width: int) -> np.ndarray:
    """Carry each mark back over the ``width`` points that end with it."""
    found = hits.copy()
    for back in range(1, min(width, hits.shape[-1])):
        found[..., :-back] |= hits[..., back:]
    return found
