"""Does the service do what its stated policy promises?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, interval, look
from sqm.checks import Problem, Refusal, nearest, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.predicate import DIRECTIONS, judged, numbers

STATISTICS = ("share", "mean", "median")
REQUIRED = ("name", "objective", "table", "measure", "direction", "target")
OPTIONAL = MappingProxyType(
    {
        "statistic": "share",
        "limit": None,
        "weight": 1,
        "worst": None,
        "best": None,
        "unit": "",
        "owner": "",
        "source": "",
    }
)
KNOWN = (*REQUIRED, *OPTIONAL)
FEWEST = 10  # records below which an indicator is not scored
FEWEST_WEEKS = 10  # below it weeks are too few to show how they differ, and days stand in
EXAMPLE = (
    "{name: answered in time, objective: answer soon, table: operations, measure: wait_s, "
    "direction: at most, limit: 300, target: 0.8}"
)


@dataclass(frozen=True, eq=False)
class IndicatorSystem(Finding):
    """How far each indicator of a policy is attained, and the service as a whole.

    Attributes
    ----------
    table : DataFrame, one row per indicator, in the order given
        ``indicator``, ``policy`` (the statements it serves), ``objective``,
        ``weight`` as given; ``weight_share``, of those scored (0 to 1);
        ``table``, ``measure``, ``statistic``, ``direction``, ``limit``,
        ``target``, ``worst``, ``best``, ``unit``; ``n``; ``left_out``, records
        without a value or too young; ``estimate``, ``low``, ``high``, of a share
        0 to 1, else in ``unit``; ``status``, "met", "missed", "not settled" or
        ""; ``attainment``, ``attainment_low``, ``attainment_high``, 0 to 100;
        ``to_gain``, ``to_gain_low``, ``to_gain_high``, points by which the total
        would rise with the indicator at its best; ``total_if_halved``,
        ``total_if_doubled``, the total with that weight; ``owner``, ``source``,
        ``note``.
    total, low, high : float
        Weighted mean attainment, 0 to 100, with its interval.
    equal_weights : float
        The total if every indicator weighed the same.
    lowest, highest : float
        Lowest and highest total that halving or doubling one weight gives.
    mover : str
        Indicator with most to gain.
    gain, gain_low, gain_high : float
        Its points.
    mover_settled : bool
        Whether its lead over the second lies wholly above 0.
    mover_stays : bool
        Whether it stays first when any one weight is halved or doubled.
    met, missed, unsettled, without_data : tuple of str
        Indicators by status.
    policy_without_indicator : tuple of str
        Statements and objectives that no indicator serves.
    without_policy : tuple of str
        Indicators whose objective no stated policy has.
    weights_sum : float
        Sum of the weights as given, of all indicators.
    confidence : float
        Level of the intervals.
    """

    total: float
    low: float
    high: float
    equal_weights: float
    lowest: float
    highest: float
    mover: str
    gain: float
    gain_low: float
    gain_high: float
    mover_settled: bool
    mover_stays: bool
    met: tuple[str, ...]
    missed: tuple[str, ...]
    unsettled: tuple[str, ...]
    without_data: tuple[str, ...]
    policy_without_indicator: tuple[str, ...]
    without_policy: tuple[str, ...]
    weights_sum: float
    confidence: float

    def sentence(self) -> str:
        total = interval.spell(
            self.total, self.low, self.high, confidence=self.confidence, digits=1
        )
        first = f"The policy is attained to {total} of 100: {self._statuses()}"
        if self.gain > 0:
            first += f"; {look.shorten(self.mover, width=40)} has most to gain"
        return f"{first}.\n{' '.join(filter(None, self._rest()))}"

    def _statuses(self) -> str:
        counts = (
            (len(self.met), "met"),
            (len(self.missed), "missed"),
            (len(self.unsettled), "not settled"),
            (len(self.without_data), "without data"),
        )
        return ", ".join(f"{number} {word}" for number, word in counts if number)

    def _rest(self) -> list[str]:
        scored = self.table[self.table["status"] != ""]
        lost = self.table[self.table["status"] == ""]
        absent = "; ".join(f"{row.indicator} ({row.note})" for row in lost.itertuples())
        return [
            *(self._each(row) for row in scored.itertuples()),
            self._mover() if self.gain > 0 else "Every indicator is at its best.",
            "An indicator counts 0 at its worst value, 100 at its best and in proportion between; "
            "the total is their weighted mean.",
            self._weights(),
            self._list("Stated policy without an indicator", self.policy_without_indicator),
            self._list("Serves no stated policy", self.without_policy),
            " ".join(f"{row.indicator}: {row.note}." for row in scored.itertuples() if row.note),
            f"Without data, so left out of the total: {absent}." if absent else "",
            "Met and missed need the whole interval on one side of the target; records of one "
            "week, or day, may be alike where a table has a time.",
        ]

    @staticmethod
    def _list(head: str, names: tuple[str, ...]) -> str:
        return f"{head}: {', '.join(names)}." if names else ""

    def _each(self, row) -> str:
        times, unit = (100, "%") if row.statistic == "share" else (1, row.unit)
        ends = [times * row.low, times * row.high]
        found = interval.spell(
            times * row.estimate,
            *ends,
            confidence=self.confidence,
            digits=min(max(interval.digits_for(*ends), 0), 3),
            unit=unit,
        )
        what = "" if row.statistic == "share" else f"{row.statistic} "
        side = "at least" if row.statistic == "share" else row.direction
        target = f"{times * row.target:,.6g}{f' {unit}' if unit else ''}"
        return (
            f"{row.indicator}: {what}{found} on {counted(row.n, 'record')}, "
            f"target {side} {target}, {row.status}."
        )

    def _mover(self) -> str:
        gain = interval.spell(
            self.gain, self.gain_low, self.gain_high, confidence=self.confidence, digits=1
        )
        lead = "its lead over the next is settled" if self.mover_settled else (
            "its lead over the next is not settled"
        )  # fmt: skip
        stays = "stays" if self.mover_stays else "does not stay"
        alone = len(self.met) + len(self.missed) + len(self.unsettled) == 1
        also = (
            ""
            if alone
            else f"; {lead}, and it {stays} first if any one weight is halved or doubled"
        )
        return f"At its best, {self.mover} would add {gain} points{also}."

    def _weights(self) -> str:
        summed = f"Weights add up to {self.weights_sum:.4g} and are taken in proportion. "
        return (
            f"{'' if np.isclose(self.weights_sum, 1) else summed}Halving or doubling one weight "
            f"puts the total between {self.lowest:.1f} and {self.highest:.1f}; equal weights give "
            f"{self.equal_weights:.1f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        ends = ["attainment", "attainment_low", "attainment_high"]
        own = self.table[ends].set_axis(["estimate", "low", "high"], axis=1)
        every = pd.DataFrame({"estimate": [self.total], "low": [self.low], "high": [self.high]})
        shape = {"met": "better", "missed": "worse"}
        meaning = [*(shape.get(status, "usual") for status in self.table["status"]), "other"]
        share = self.table["weight_share"].fillna(0)
        names = [
            f"{look.shorten(name, width=34)} ({100 * part:.0f} %)"
            for name, part in zip(self.table["indicator"], share, strict=True)
        ]
        shown = pd.concat([own, every], ignore_index=True)
        look.dots(ax, shown, names=[*names, "total"], meaning=meaning)
        for at in np.flatnonzero(own["estimate"].isna()):
            ax.annotate("no data", (0.01, at), xycoords=("axes fraction", "data"), va="center")
        ax.axhline(len(own) - 0.5, color=look.MEANING["limit"], lw=0.8)
        ax.set_xlim(-3, 103)
        return look.label(
            ax,
            title="How far is the stated policy attained?",
            x="attainment, 0 worst to 100 best (in brackets: weight)",
        )


def indicator_system(
    tables: Mapping[str, pd.DataFrame],
    *,
    indicators: Sequence[Mapping],
    policy: Mapping[str, Sequence[str]] = MappingProxyType({}),
    times: Mapping[str, str] = MappingProxyType({}),
    confidence: float = 0.95,
) -> IndicatorSystem:
    """Score the indicators of a policy from the study's data.

    Parameters
    ----------
    tables : mapping of str to DataFrame
    indicators : sequence of mappings
        Each has ``name``, ``objective``, ``table``, ``measure``, ``direction``
        ("at most" or "at least") and ``target``; optional ``statistic``
        ("share", "mean" or "median"), ``limit``, ``weight`` (default 1),
        ``worst`` and ``best`` (values that score 0 and 100), ``unit``,
        ``owner``, ``source``.  A share is that of the records on the good side
        of ``limit``, which counts as good itself, and ``target`` the least
        share wanted; ``worst`` is 0 if not given.  Of a mean or median
        ``direction`` is the side of the target that is good, and ``worst``
        must be given.  ``best`` is the target if not given.
    policy : mapping of str to sequence of str, optional
        The objectives of each policy as stated.
    times : mapping of str to str, optional
        The column of each table that says when a record began.
    confidence : float, default 0.95

    Returns
    -------
    IndicatorSystem
        An indicator without its table, its measure, or ten records has a note
        and no score, and the total is that of the others.

    Raises
    ------
    Problem
        If a key is missing, unknown or of the wrong kind, a name comes twice,
        ``worst``, ``target`` and ``best`` do not lie in this order, or the
        weights are negative or add up to 0.
    Refusal
        If no indicator can be scored.

    Notes
    -----
    attainment = 100 (x - worst) / (best - worst), held between 0 and 100; total
    T = sum w_i attainment_i with weights that add up to 1 over those scored.

    Records of one week (one day, of fewer than ten weeks) may be alike.  A share has
    Wilson's interval at the effective number of records; a mean Student's t with
    Hall's correction for skewness [1]_ ; a median the order statistics of
    Wilson's interval for one half [2]_.  The interval of the total recovers
    each variance from the limits of its indicator [3]_:
    T - sqrt(sum_ij w_i w_j r_ij d_i d_j), d_i the distance from attainment
    to its low limit, and so upwards.  r_ij is the correlation of two indicators
    through the records they share, 0 for different tables.

    References
    ----------
    .. [1] Hall, P. (1992). On the removal of skewness by transformation. Journal
       of the Royal Statistical Society B 54, 221-228.
    .. [2] Woodruff, R. S. (1952). Journal of the American Statistical
       Association 47, 635-646. doi:10.2307/2280781
    .. [3] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27,
       1693-1702. doi:10.1002/sim.3095

    Examples
    --------
    15 of 20 within the limit, target 0.8: 93.75 of 100.

    >>> calls = pd.DataFrame({"wait_s": [100] * 15 + [400] * 5})
    >>> quick = {"name": "in time", "objective": "answer soon", "table": "calls", "target": 0.8,
    ...          "measure": "wait_s", "direction": "at most", "limit": 300}
    >>> found = indicator_system({"calls": calls}, indicators=[quick])
    >>> found.total, found.unsettled
    (93.75, ('in time',))
    """
    need_share(confidence, name="confidence")
    given = [_checked(each, at) for at, each in enumerate(indicators, start=1)]
    _need_weights(given)
    stated = _stated(policy)
    scores = [
        _score(each, tables.get(each["table"]), times.get(each["table"], ""), confidence)
        for each in given
    ]
    if not any(np.isfinite(score.estimate) for score in scores):
        why = "; ".join(
            f"{each['name']} ({score.note})" for each, score in zip(given, scores, strict=True)
        )
        raise Refusal(f"No indicator can be scored: {why or 'none is named'}.", "name its data.")
    rows = [_row(each, score, stated) for each, score in zip(given, scores, strict=True)]
    return _system(pd.DataFrame(rows), _correlations(given, scores), stated, confidence)


# --- What the parameters say ----------------------------------------------------------------------


def _checked(given: Mapping, at: int) -> dict:
    """One indicator with its defaults filled in; every complaint about it names it."""
    if not isinstance(given, Mapping):
        raise Problem(f"Indicator number {at} is {given!r}.", f"write it as {EXAMPLE}.")
    who = f"Indicator {given['name']!r}" if given.get("name") else f"Indicator number {at}"
    for key in given:
        if key not in KNOWN:
            raise Problem(f"{who} has an unknown {key!r}.", nearest(str(key), KNOWN))
    for key in REQUIRED:
        if key not in given:
            raise Problem(f"{who} has no {key!r}.", f"add `{key}`, as in {EXAMPLE}.")
    full = {key: given.get(key, OPTIONAL.get(key)) for key in KNOWN}
    for key in ("name", "objective", "table", "measure", "unit", "owner", "source"):
        if not isinstance(full[key], str) or (key in REQUIRED and not full[key].strip()):
            raise Problem(f"{who}: {key!r} is {full[key]!r}.", "write it as text, between quotes.")
    need_one_of(full["direction"], DIRECTIONS, name=f"{who}: 'direction'")
    need_one_of(full["statistic"], STATISTICS, name=f"{who}: 'statistic'")
    for key in ("target", "weight", "limit", "worst", "best"):
        if full[key] is not None or key in ("target", "weight"):
            full[key] = _number(full[key], key, who)
    return _with_ends(full, who)


def _number(value: object, key: str, who: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise Problem(f"{who}: {key!r} is {value!r}.", "give a number.")
    return float(value)


def _with_ends(full: dict, who: str) -> dict:
    """Fill in worst and best, and insist that the target lies between them."""
    share = full["statistic"] == "share"
    if share != (full["limit"] is not None):
        raise Problem(
            f"{who} is a {full['statistic']} {'without' if share else 'with'} a 'limit'.",
            "give the value up to which a record is good, or `statistic: mean`."
            if share
            else "take the limit away: a mean or a median is held against its target.",
        )
    if share and not 0 < full["target"] <= 1:
        raise Problem(
            f"{who}: 'target' is {full['target']:g}.", "give the least share of good records: 0.8."
        )
    if full["worst"] is None and not share:
        raise Problem(f"{who} has no 'worst'.", "add the value that scores 0.")
    full["worst"] = 0.0 if full["worst"] is None else full["worst"]
    full["best"] = full["target"] if full["best"] is None else full["best"]
    sign = 1 if _upwards(full) else -1
    if not sign * full["worst"] < sign * full["target"] <= sign * full["best"]:
        raise Problem(
            f"{who}: worst {full['worst']:g}, target {full['target']:g} and best "
            f"{full['best']:g} do not lie in this order.",
            f"{'more' if sign > 0 else 'less'} is better here: correct them, or the direction.",
        )
    return full


def _upwards(indicator: Mapping) -> bool:
    """Whether more is better."""
    return indicator["statistic"] == "share" or indicator["direction"] == "at least"


def _need_weights(given: list[dict]) -> None:
    names = [each["name"] for each in given]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Problem(f"Two indicators are called {twice[0]!r}.", "give each its own name.")
    bad = [each for each in given if each["weight"] < 0]
    if bad:
        raise Problem(
            f"Indicator {bad[0]['name']!r}: 'weight' is {bad[0]['weight']:g}.",
            "give a weight from 0 up.",
        )
    if given and sum(each["weight"] for each in given) == 0:
        raise Problem("The weights of the indicators add up to 0.", "give one of them a weight.")


def _stated(policy: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Every statement with each of its objectives; an objective is blank where none is given."""
    if not isinstance(policy, Mapping):
        raise Problem(f"The policy is {policy!r}.", "write it as `statement: [objective, ...]`.")
    pairs = []
    for statement, objectives in policy.items():
        listed = [objectives] if isinstance(objectives, str) else list(objectives or [""])
        pairs += [(str(statement), str(objective)) for objective in listed]
    return pairs


# --- What the data say ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Score:
    """An indicator's value, with what each cluster of records contributes to its error."""

    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    left_out: int = 0
    note: str = ""
    parts: pd.Series | None = None


def _score(indicator: dict, records: pd.DataFrame | None, time: str, confidence: float) -> _Score:
    measure = indicator["measure"]
    if records is None:
        return _Score(note=f"there is no table {indicator['table']}")
    if measure not in records.columns:
        return _Score(note=f"{indicator['table']} has no {measure}")
    values, note = _values(indicator, records, time)
    known = values.dropna()
    left_out = len(values) - len(known)
    if len(known) < FEWEST:
        few = f"only {counted(len(known), 'record')} of {measure}, {FEWEST} needed"
        return _Score(n=len(known), left_out=left_out, note="; ".join(filter(None, [note, few])))
    if indicator["statistic"] != "share" and known.min() == known.max():
        flat = f"every record has {measure} {known.iloc[0]:g}: nothing shows how sure that is"
        return _Score(n=len(known), left_out=left_out, note=flat)
    alike = _clusters(records, time).loc[known.index]
    one = {"share": _share, "mean": _mean, "median": _median}[indicator["statistic"]]
    estimate, low, high, parts = one(known, alike, confidence)
    return _Score(estimate, low, high, len(known), left_out, note, parts.groupby(alike).sum())


def _values(indicator: dict, records: pd.DataFrame, time: str) -> tuple[pd.Series, str]:
    """What is averaged: whether a record is good, or its measure; blank where not known yet."""
    records = records.reset_index(drop=True)
    measure = indicator["measure"]
    limit = indicator["limit"]
    # without a limit no duration still running is settled: all from the first of them on are young
    out_of_reach = {"direction": "at most", "limit": np.inf}
    what = {"direction": indicator["direction"], "limit": limit} if limit is not None else {}
    broken, note = judged(records, measure=measure, time=time, **(what or out_of_reach))
    if limit is not None:
        return 1 - broken.astype("Float64").astype(float), note
    values = numbers(records[measure], measure)
    running = int((broken.isna() & values.notna()).sum())
    if running and not note:
        note = f"{running:,} still running are left out, so the {measure} of the others is short"
    return values.where(broken.notna()), note


def _clusters(records: pd.DataFrame, time: str) -> pd.Series:
    """The week of each record (its day, of few weeks); without a time, each on its own."""
    if time not in records.columns:
        return pd.Series(np.arange(len(records)))
    day = clock.local(records[time].reset_index(drop=True)).dt.normalize()
    week = day - pd.to_timedelta(day.dt.day_of_week, unit="D")
    chosen = week if week.nunique() >= FEWEST_WEEKS else day
    return pd.Series(pd.factorize(chosen, sort=True)[0])  # -1, one cluster, for those without


def _share(
    good: pd.Series, alike: pd.Series, confidence: float
) -> tuple[float, float, float, pd.Series]:
    found = interval.share(good == 1, clusters=_frame(alike), confidence=confidence)
    return found.estimate, found.low, found.high, good - good.mean()


def _frame(alike: pd.Series) -> pd.DataFrame | None:
    """Clusters as `interval.share` wants them; none where each record stands alone."""
    return None if alike.is_unique else alike.to_frame()


def _mean(
    values: pd.Series, alike: pd.Series, confidence: float
) -> tuple[float, float, float, pd.Series]:
    """Student's t with Hall's correction, by records or by clusters, whichever is less sure."""
    mean, n = float(values.mean()), len(values)
    parts = values - mean
    sums = [parts.to_numpy(), parts.groupby(alike).sum().to_numpy()]
    sums = [each for each in sums if len(each) > 1]
    errors = [np.sqrt(interval.variance_of_sum(each)) / n for each in sums]
    widest = int(np.argmax(errors))
    low, high = _hall(sums[widest], confidence) * errors[widest]
    return mean, mean + float(low), mean + float(high), parts


def _hall(parts: np.ndarray, confidence: float) -> np.ndarray:
    """Limits of the mean around its estimate, in standard errors.

    The inverse of g(t) = t + y t^2 / (3 r) + y^2 t^3 / (27 r^2) + y / (6 r), with y
    the skewness of the parts and r the root of their number.
    """
    n, tail = len(parts), (1 + confidence) / 2
    root, t = np.sqrt(n), stats.t.ppf(tail, n - 1)
    skew = float(stats.skew(parts))
    if abs(skew) < 1e-6:
        return np.array([-t, t])
    sides = np.array([t, -t])
    inverse = 3 * root / skew * (np.cbrt(1 + skew * (sides - skew / (6 * root)) / root) - 1)
    return -inverse


def _median(
    values: pd.Series, alike: pd.Series, confidence: float
) -> tuple[float, float, float, pd.Series]:
    median = float(values.median())
    below = values <= median
    found = interval.share(below, clusters=_frame(alike), confidence=confidence)
    sure = found.effective_n * interval.few_clusters(_frame(alike), len(values), confidence)
    ends = interval.wilson(0.5, sure, confidence=confidence)
    low, high = np.quantile(values.to_numpy(), ends, method="weibull")
    return median, float(low), float(high), below.mean() - below


# --- Attainment and total -------------------------------------------------------------------------


def _row(indicator: dict, score: _Score, stated: list[tuple[str, str]]) -> dict:
    ends = [_attained(indicator, x) for x in (score.estimate, score.low, score.high)]
    serves = [what for what, objective in stated if objective == indicator["objective"]]
    return {
        "indicator": indicator["name"],
        "policy": "; ".join(dict.fromkeys(serves)),
        **{key: indicator[key] for key in ("objective", "weight")},
        "weight_share": np.nan,
        **{key: indicator[key] for key in ("table", "measure", "statistic", "direction")},
        "limit": np.nan if indicator["limit"] is None else indicator["limit"],
        **{key: indicator[key] for key in ("target", "worst", "best", "unit")},
        "n": score.n,
        "left_out": score.left_out,
        "estimate": score.estimate,
        "low": score.low,
        "high": score.high,
        "status": _status(indicator, score),
        "attainment": ends[0],
        "attainment_low": min(ends[1:]),
        "attainment_high": max(ends[1:]),
        **dict.fromkeys(("to_gain", "to_gain_low", "to_gain_high"), np.nan),
        **dict.fromkeys(("total_if_halved", "total_if_doubled"), np.nan),
        **{key: indicator[key] for key in ("owner", "source")},
        "note": score.note,
    }


def _attained(indicator: dict, value: float) -> float:
    worst, best = indicator["worst"], indicator["best"]
    return float(np.clip(100 * (value - worst) / (best - worst), 0, 100))


def _status(indicator: dict, score: _Score) -> str:
    if np.isnan(score.estimate):
        return ""
    sign = 1 if _upwards(indicator) else -1
    low, high = sorted((sign * score.low, sign * score.high))
    if low >= sign * indicator["target"]:
        return "met"
    return "missed" if high < sign * indicator["target"] else "not settled"


def _correlations(given: list[dict], scores: list[_Score]) -> np.ndarray:
    """How the errors of the attainments of those scored go together, through shared records."""
    have = [(g, s) for g, s in zip(given, scores, strict=True) if s.parts is not None]
    r = np.eye(len(have))
    for i, (one, a) in enumerate(have):
        for j, (other, b) in enumerate(have[:i]):
            if one["table"] == other["table"]:
                sign = 1 if _upwards(one) == _upwards(other) else -1
                r[i, j] = r[j, i] = sign * _together(a.parts, b.parts)
    return r


def _together(a: pd.Series, b: pd.Series) -> float:
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float(a.mul(b, fill_value=0).sum() / size) if size > 0 else 0.0


def _system(
    table: pd.DataFrame, r: np.ndarray, stated: list[tuple[str, str]], confidence: float
) -> IndicatorSystem:
    have = table["status"] != ""
    scored = table[have]
    weights = scored["weight"].to_numpy()
    if weights.sum() == 0:
        raise Refusal("Only indicators of weight 0 can be scored.", "give one of them a weight.")
    weights = weights / weights.sum()
    a, low, high = (scored[f"attainment{end}"].to_numpy() for end in ("", "_low", "_high"))
    total = float(weights @ a)
    gains = weights * (100 - a)
    halved, doubled = (_reweighed(weights, a, times) for times in (0.5, 2.0))
    table.loc[have, "weight_share"] = weights
    table.loc[have, "to_gain"] = gains
    table.loc[have, "to_gain_low"] = weights * (100 - high)
    table.loc[have, "to_gain_high"] = weights * (100 - low)
    table.loc[have, "total_if_halved"], table.loc[have, "total_if_doubled"] = halved, doubled
    first = int(gains.argmax())
    top = table[have].iloc[first]
    named = {word: tuple(table.loc[table["status"] == word, "indicator"]) for word in _STATUSES}
    return IndicatorSystem(
        table=table,
        total=total,
        low=max(total - _distance(weights * (a - low), r), 0.0),
        high=min(total + _distance(weights * (high - a), r), 100.0),
        equal_weights=float(a.mean()),
        lowest=float(min(*halved, *doubled)),
        highest=float(max(*halved, *doubled)),
        mover=str(top["indicator"]),
        gain=float(top["to_gain"]),
        gain_low=float(top["to_gain_low"]),
        gain_high=float(top["to_gain_high"]),
        mover_settled=_leads(weights, a, low, high, r),
        mover_stays=_stays(weights, a),
        met=named["met"],
        missed=named["missed"],
        unsettled=named["not settled"],
        without_data=named[""],
        policy_without_indicator=_unserved(stated, set(table["objective"])),
        without_policy=tuple(table.loc[table["policy"] == "", "indicator"]) if stated else (),
        weights_sum=float(table["weight"].sum()),
        confidence=confidence,
    )


_STATUSES = ("met", "missed", "not settled", "")


def _distance(away: np.ndarray, r: np.ndarray) -> float:
    """From a sum to its limit, given the distances of its terms to theirs."""
    return float(np.sqrt(max(away @ r @ away, 0.0)))


def _reweighed(weights: np.ndarray, a: np.ndarray, times: float) -> np.ndarray:
    """The total with each weight in turn multiplied."""
    return (weights @ a + (times - 1) * weights * a) / (1 + (times - 1) * weights)


def _leads(
    weights: np.ndarray, a: np.ndarray, low: np.ndarray, high: np.ndarray, r: np.ndarray
) -> bool:
    """Whether the first in points to gain leads each other by more than their intervals."""
    gains = weights * (100 - a)
    i = int(gains.argmax())
    for j in range(len(a)):
        away = np.array([weights[i] * (high[i] - a[i]), -weights[j] * (a[j] - low[j])])
        lead = gains[i] - gains[j] - _distance(away, np.array([[1, r[i, j]], [r[i, j], 1]]))
        if j != i and lead <= 0:
            return False
    return True


def _stays(weights: np.ndarray, a: np.ndarray) -> bool:
    gains = weights * (100 - a)
    rest = np.delete(gains, gains.argmax())
    return bool(gains.max() > 2 * rest.max(initial=0))  # halving it, or doubling the next


def _unserved(stated: list[tuple[str, str]], served: set[str]) -> tuple[str, ...]:
    lost = [(what, objective) for what, objective in stated if objective not in served]
    return tuple(f"{what} ({objective})" if objective else what for what, objective in lost)
