"""Should the limits be moved?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from math import sqrt

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.autocorrelation import persistence, variance_of_mean
from sqm.chart_limits import FEWEST_PERIODS, Limits, charted, limits_from, limits_of
from sqm.checks import Problem, Refusal, need_columns, need_share, need_whole
from sqm.clock import local, read_day
from sqm.finding import Finding, counted, listed
from sqm.interval import digits_for, kish, logit_limits, spell, spell_p

ACTIONS = ("propose", "unsteady", "wait", "keep")  # in the order in which they are listed
FROZEN = tuple(field.name for field in fields(Limits))
SERIES = ("series", "data", "period", "n", "value", "sd", "better", "mature")
LEAST_STRETCH = 4  # periods after a step below which it is not looked for
STEP_COSTS = 3.0  # over n: what taking the likeliest step away lowers a correlation by, times 1 + r
CAUTION = 2.0  # likewise: a baseline that wanders little by chance looks unlike and calm at once
NAN = float("nan")
DRAWN = {"propose": "better", "wait": "other", "unsteady": "worse", "keep": "usual"}
WORDS = {
    "propose": "propose limits",
    "wait": "wait",
    "unsteady": "not steady",
    "keep": "keep the limits",
}
HASHED = 16


@dataclass(frozen=True, eq=False)
class Rebasing(Finding):
    """For each series: keep the limits, wait, or propose others, with the reason.

    Attributes
    ----------
    table : DataFrame, one row per series, proposals first
        ``series``, ``action`` (``propose``, ``unsteady``, ``wait`` or ``keep``), ``reason``; the
        columns of the ledger ``limits``, as proposed, or else as in force: those of
        `chart_limits.Limits`, ``rules``, ``valid_from`` (first day they apply to),
        ``periods_used``, ``data_sha256`` (of the periods they rest on); ``estimate, low, high``,
        the level of the stretch the proposal rests on, in the unit of the data; ``was``, the
        centre in force;
        ``moved_on, moved_low, moved_high``, first day of the new level with its interval;
        ``new_periods`` since; ``chance``, that a steady series gives as much evidence of a move
        within a year; ``false_proposal``, that it is proposed to be moved; ``note``.
    proposed, first, waiting, unsteady, kept : int
        Series by action; ``first`` are those among the proposed that had no limits.
    chance_of_evidence : float
        Chance, set beforehand, that a steady series looks moved at any of a year's looks.
    false_proposal : float
        Largest share of steady series for which other limits would be proposed within a year, if
        an event were at hand to explain any step; 0 if no limits are in force.
    horizon : int
        Looks, one a period, that make the year.
    confidence : float
        Level of the intervals.
    """

    proposed: int
    first: int
    waiting: int
    unsteady: int
    kept: int
    chance_of_evidence: float
    false_proposal: float
    horizon: int
    confidence: float

    def sentence(self) -> str:
        rows = list(self.table[self.table["action"] == "propose"].itertuples())
        moved = [row for row in rows if not np.isnan(row.was)]
        of = f"Of {len(self.table):,} series,"
        if moved:
            more = f"; {len(moved) - 1} more below" if len(moved) > 1 else ""
            named = f"{_moved(moved[0], self.confidence)}{more}"
            first = f"{of} the limits of {len(moved)} should be moved: {named}."
        else:
            first = f"{of} none has limits that should be moved."
        return "\n".join([first, " ".join([*self._others(), self._rests_on()])])

    def _others(self) -> list[str]:
        moved = self.table[(self.table["action"] == "propose") & self.table["was"].notna()]
        each = [_moved(row, self.confidence) for row in moved.iloc[1:].itertuples()]
        words = [f"Also: {listed(each, most=4, apart='; ')}."] if each else []
        if self.first:
            new = self.table[(self.table["action"] == "propose") & self.table["was"].isna()]
            names = listed(list(new["series"]), most=5)
            words.append(f"First limits are proposed for {self.first}: {names}.")
        for action, said in (
            ("unsteady", "Not steady, so limits would rest on two levels"),
            ("wait", "To be decided later"),
        ):
            rows = self.table[self.table["action"] == action]
            each = [f"{row.series} ({row.reason})" for row in rows.itertuples()]
            words += [f"{said}: {listed(each, most=5, apart='; ')}."] if each else []
        worse = self.table[self.table["reason"].str.startswith("worse level")]
        if len(worse):
            names = listed(list(worse["series"]), most=5)
            words.append(f"Moved for the worse, so the limits stay and the cause is due: {names}.")
        return [*words, "Nothing is moved by itself: `sqm freeze` writes what a person signs."]

    def _rests_on(self) -> str:
        steady = (
            f"A baseline or new level counts as steady unless a step in it is clear (a steady"
            f" one is called unsteady with a chance of {self.chance_of_evidence:.0%})."
        )
        if self.table["chance"].isna().all():
            return steady
        return (
            f"A steady series looks moved at one of {self.horizon} looks with a chance of about"
            f" {self.chance_of_evidence:.0%} at most; moving its limits would be proposed with"
            f" {self.false_proposal:.1%} at most, and that only where an event explains the step"
            f" (simulated, neighbouring periods as alike as in the baseline). {steady}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        grey = look.MEANING["limit"]
        for place, row in enumerate(self.table.itertuples()):
            stretch = pd.to_datetime([row.baseline_from or None, row.baseline_to or None])
            ax.plot(stretch, [place, place], color=grey, lw=5, alpha=0.6, solid_capstyle="butt")
            what = DRAWN[row.action]
            if row.moved_on:
                days = pd.to_datetime([row.moved_low, row.moved_on, row.moved_high])
                ax.plot(days[::2], [place, place], color=look.MEANING[what], lw=1.6)
            at = row.moved_on or row.baseline_to
            if at:
                at = pd.to_datetime(at)
                ax.plot(at, place, look.MARKER[what], color=look.MEANING[what], ms=7)
        _key(ax, list(self.table["action"].unique()))
        ax.set_yticks(range(len(self.table)), [look.shorten(each) for each in self.table["series"]])
        ax.set_ylim(len(self.table) - 0.5, -0.5)
        x = "period; grey: what the limits rest on"
        if (self.table["moved_on"] != "").any():
            x += "; mark with line: when the level moved"
        return look.label(look.dates(ax), title="Should the limits be moved?", x=x)


@dataclass(frozen=True)
class _Settings:
    """What a judgement is made with."""

    events: pd.DataFrame
    baseline_until: str
    chance: float
    horizon: int
    confidence: float
    simulations: int
    rng: np.random.Generator


def should_move(
    series: pd.DataFrame,
    *,
    choice: pd.DataFrame,
    ledger: pd.DataFrame | None = None,
    change_on: str = "",
    events: pd.DataFrame | None = None,
    chance: float = 0.05,
    horizon: int = 52,
    confidence: float = 0.95,
    simulations: int = 1000,
    rng: np.random.Generator,
) -> Rebasing:
    """Weigh whether limits should be moved, or set for the first time.

    Parameters
    ----------
    series : DataFrame, one row a series and period
        ``series``, ``data``, ``period``, ``n``, ``value``, ``sd``, ``better`` (``lower`` or
        ``higher``), ``mature``.
    choice : DataFrame, one row a series
        ``series``, ``kind``, ``rules``; optional ``sigmas``, ``sigma_method``, ``convention``.
    ledger : DataFrame, optional
        Limits frozen so far: the columns `LEDGER`; the last row of a series counts.
    change_on : str, optional
        First day of the study's change: first limits rest on the periods before it, and it
        explains a step.
    events : DataFrame, optional
        Other events that explain a step: ``day`` and ``what``.
    chance : float, default 0.05
        Chance with which a steady series may look moved at any of ``horizon`` looks, one a
        period, or its baseline unsteady.
    horizon : int, default 52
    confidence : float, default 0.95
    simulations : int, default 1000
        Steady series from which the chances are counted.
    rng : Generator

    Returns
    -------
    Rebasing

    Raises
    ------
    Problem
        If a column is missing, a frozen limit is unsound, or no chart was chosen for a series.
    Refusal
        If there is no series.

    Notes
    -----
    z are the distances from the centre in force, in sigmas of the chart.  For each possible first
    period k of a new level after the baseline, with four periods or more since,
    T_k = (mean since k - mean before) / (s sqrt(1 / n_since + 1 / n_before)), s the standard
    deviation of the baseline's z; the level has moved if max |T_k| passes what steady series show
    in a year of looks.  Those are normal first-order autoregressions as long as the series, their
    correlation drawn from its restricted likelihood in the baseline, raised by 2 (1 + r) / n.  Of
    300 steady series each with correlations of 0, 0.3 and 0.6 and 39 weeks of baseline, 4, 5 and
    4 % looked moved within a year where 5 % was asked for; without the rise 5, 7 and 10 %.

    When the level moved: the posterior of k with flat priors for k, both levels and the logarithm
    of the variance, proportional to RSS_k^(-(N - 2) / 2) |X_k'X_k|^(-1/2) after whitening [1]_;
    the smallest set of days with the stated weight, filled where it has gaps, so that the
    interval is conservative.

    The level since: Student's interval of the chart's centre, its error from the spread between
    periods, inflated for their correlation, of shares on the scale of log odds; for g and t from
    the gamma law of a sum of exponential times (of other times approximate).  It is conditional
    on the day.

    A baseline, or a stretch at a new level, is steady unless the largest |T_k| within it passes
    what ``1 - chance`` of steady stretches show.  A new level is proposed as limits only when it
    has twelve periods, is steady, is the better one, and a known event lies within the interval of
    its day, one period allowed on either side.

    References
    ----------
    .. [1] Smith, A. F. M. (1975). A Bayesian approach to inference about a change-point in a
       sequence of random variables. Biometrika 62, 407-416. doi:10.1093/biomet/62.2.407

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=24, freq="7D")
    >>> calls = pd.DataFrame({"series": "calls", "data": "count", "period": weeks, "n": 1.0,
    ...     "value": [98.0, 103, 101, 96, 104, 99, 102, 97] * 3, "sd": float("nan"),
    ...     "better": "lower", "mature": True})
    >>> choice = pd.DataFrame({"series": ["calls"], "kind": ["xmr"], "rules": ["beyond 3"]})
    >>> found = should_move(calls, choice=choice, rng=np.random.default_rng(1))
    >>> row = found.table.loc[0]
    >>> row["action"], float(row["centre"]), row["valid_from"]
    ('propose', 100.0, '2025-06-23')
    """
    _need_sound(series, choice, chance, confidence)
    need_whole(horizon, name="horizon", least=LEAST_STRETCH)
    settings = _Settings(
        events=_explained(change_on, events),
        baseline_until=change_on and f"{read_day(change_on):%Y-%m-%d}",
        chance=chance,
        horizon=horizon,
        confidence=confidence,
        simulations=simulations,
        rng=rng,
    )
    frozen = _last_frozen(ledger)
    picks = choice.set_index("series")
    tidy = series.assign(period=local(series["period"]), mature=series["mature"].fillna(True))
    rows = []
    for name, mine in tidy.groupby("series", sort=False):
        mine = mine[mine["mature"].astype(bool)].sort_values("period", ignore_index=True)
        rows.append(_judged(str(name), mine, picks.loc[name], frozen.get(str(name)), settings))
    return _found(pd.DataFrame(rows), settings)


def data_hash(periods: pd.DataFrame) -> str:
    """SHA-256 of the periods that limits rest on, first 16 figures, the same in any order.

    Parameters
    ----------
    periods : DataFrame
        ``period``, ``n``, ``value`` and, where it has one, ``sd``.

    Notes
    -----
    One line a period in order of time: day, n, value, sd, numbers with nine figures, a tab between.

    Examples
    --------
    >>> weeks = pd.date_range("2025-01-06", periods=2, freq="7D")
    >>> rows = pd.DataFrame({"period": weeks, "n": 10.0, "value": [1.0, 2.0]})
    >>> data_hash(rows) == data_hash(rows[::-1]), data_hash(rows) == data_hash(rows[:1])
    (True, False)
    """
    sd = periods["sd"] if "sd" in periods else pd.Series(NAN, index=periods.index)
    numbers = zip(local(periods["period"]), periods["n"], periods["value"], sd, strict=True)
    lines = sorted(f"{day:%Y-%m-%d}\t{n:.9g}\t{value:.9g}\t{s:.9g}" for day, n, value, s in numbers)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:HASHED]


# --- What comes in --------------------------------------------------------------------------------


def _need_sound(series, choice, chance: float, confidence: float) -> None:
    need_share(chance, name="chance")
    need_share(confidence, name="confidence")
    need_columns(series, SERIES, source="The table of series")
    need_columns(choice, ["series", "kind", "rules"], source="The choice of charts")
    if series.empty:
        raise Refusal("There is no series to judge.", "follow at least one measure.")
    if not pd.api.types.is_datetime64_any_dtype(series["period"]):
        raise Problem("'period' does not hold dates.", "give the first day of each period.")
    twice = choice.loc[choice["series"].duplicated(), "series"]
    if len(twice):
        raise Problem(f"A chart is chosen twice for {twice.iloc[0]!r}.", "choose one for each.")
    without = [each for each in series["series"].unique() if each not in set(choice["series"])]
    if without:
        raise Problem(f"No chart is chosen for {without[0]!r}.", "choose one for each series.")


def _explained(change_on: str, events: pd.DataFrame | None) -> pd.DataFrame:
    """Days of events that may explain a step, with their names."""
    none = pd.DataFrame({"day": pd.to_datetime([]), "what": pd.Series([], dtype=str)})
    if events is not None:
        need_columns(events, ["day", "what"], source="The table of events")
        none = pd.DataFrame({"day": local(pd.to_datetime(events["day"])), "what": events["what"]})
    if not change_on:
        return none
    change = pd.DataFrame({"day": [read_day(change_on)], "what": ["the change of this study"]})
    return pd.concat([change, none], ignore_index=True) if len(none) else change


def _last_frozen(ledger: pd.DataFrame | None) -> dict[str, pd.Series]:
    """The limits that stand last for each series."""
    if ledger is None or ledger.empty:
        return {}
    needed = ["series", "kind", "data", "centre", "spread", "baseline_from", "baseline_to"]
    need_columns(ledger, needed, source="The ledger of limits")
    last = ledger.drop_duplicates("series", keep="last")
    return {str(row["series"]): row for _, row in last.iterrows()}


# --- One series -----------------------------------------------------------------------------------


def _judged(name: str, rows: pd.DataFrame, pick: pd.Series, frozen, settings: _Settings) -> dict:
    """One row of the answer."""
    row = {"series": name, "action": "wait", "reason": "", **_blank(pick), "note": ""}
    try:
        if frozen is None:
            return {**row, **_first_limits(rows, pick, settings)}
        limits = limits_of(frozen)
        row |= _in_force(limits, frozen)
        return {**row, **_moved_or_not(rows, limits, pick, settings, row)}
    except Refusal as why:
        reason = why.what[0].lower() + why.what[1:].rstrip(".")
        return {**row, "action": "wait" if frozen is None else "keep", "reason": reason}


def _blank(pick: pd.Series) -> dict:
    limits = Limits(kind=str(pick["kind"]), data="", centre=NAN, spread=NAN)
    numbers = ("estimate", "low", "high", "was", "chance", "false_proposal")
    return {
        **{each: getattr(limits, each) for each in FROZEN},
        "rules": str(pick["rules"]),
        **dict.fromkeys(("valid_from", "data_sha256", "moved_on", "moved_low", "moved_high"), ""),
        **dict.fromkeys(("periods_used", "new_periods"), 0),
        **dict.fromkeys(numbers, NAN),
    }


def _in_force(limits: Limits, frozen: pd.Series) -> dict:
    """The columns of limits that are in force."""
    texts = {
        each: str(frozen[each])
        for each in ("rules", "valid_from", "data_sha256")
        if each in frozen.index and not pd.isna(frozen[each])
    }
    used = {"periods_used": limits.baseline_periods, "was": limits.centre}
    return {**{each: getattr(limits, each) for each in FROZEN}, **texts, **used}


def _first_limits(rows: pd.DataFrame, pick: pd.Series, settings: _Settings) -> dict:
    base = rows
    if settings.baseline_until:
        base = rows[rows["period"] < settings.baseline_until]
    limits = _limits_from(base, pick)
    z = charted(base, limits)["z"].to_numpy()
    chance = _chance_of_step(z, settings)
    correlation = persistence(z[None], draws=1, rng=settings.rng).correlation
    proposal = _proposal(base, limits, rows, settings, float(np.clip(correlation, 0, 0.9)))
    if chance < settings.chance:
        at = base["period"].iloc[_likeliest(z)]
        reason = f"the {len(base)} baseline periods hold a step, likeliest at {at:%Y-%m-%d}"
        return {**proposal, "action": "unsteady", "reason": f"{reason} ({spell_p(chance)})"}
    reason = f"first limits: no step in {len(base)} baseline periods is clear ({spell_p(chance)})"
    return {**proposal, "action": "propose", "reason": reason}


def _moved_or_not(rows, limits: Limits, pick, settings: _Settings, row: dict) -> dict:
    """Evidence of a new level since the baseline, and what follows from it."""
    if limits.baseline_from:
        rows = rows[rows["period"] >= limits.baseline_from].reset_index(drop=True)
    drawn = charted(rows, limits)
    drawn = drawn[drawn["z"].notna()].reset_index(drop=True)
    based = int((drawn["period"].dt.strftime("%Y-%m-%d") <= limits.baseline_to).sum())
    note = _changed(rows, limits, row["data_sha256"])
    since = len(drawn) - based
    if based < FEWEST_PERIODS or since < LEAST_STRETCH:
        why = f"{counted(since, 'period')} since the baseline, {LEAST_STRETCH} are the fewest"
        gone = f"{counted(based, 'period')} of the baseline left in the data"
        return {"action": "keep", "reason": gone if based < FEWEST_PERIODS else why, "note": note}
    z = drawn["z"].to_numpy()
    wander = persistence(z[None, :based], draws=settings.simulations, rng=settings.rng)
    size, seen, chance, false = _evidence(z, based, wander, rows["better"].iloc[0], settings)
    told = {"chance": chance, "false_proposal": false, "note": note}
    if size <= seen:
        return {**told, "action": "keep", "reason": f"no clear move ({spell_p(chance)} in a year)"}
    correlation = float(np.clip(wander.correlation, 0, 0.9))
    first, early, late = _when(z, based, correlation, settings.confidence)
    days = {
        f"moved_{which}": f"{drawn['period'].iloc[at]:%Y-%m-%d}"
        for which, at in (("on", first), ("low", early), ("high", late))
    }
    told |= {**days, "new_periods": len(drawn) - first}
    new = drawn.iloc[first:]
    return {**told, **_decision(new, limits, pick, settings, days, z, first, correlation)}


def _decision(new, limits, pick, settings, days, z, first, correlation) -> dict:
    """What a clear move calls for."""
    up = z[first:].mean() > z[:first].mean()
    good = up == (new["better"].iloc[0] == "higher")
    if not good:
        return {"action": "keep", "reason": f"worse level since {days['moved_on']}: find the cause"}
    if len(new) < FEWEST_PERIODS:
        short = f"better level since {days['moved_on']}, {counted(len(new), 'period')} so far"
        return {"action": "wait", "reason": f"{short}, {FEWEST_PERIODS} are the fewest"}
    chance = _chance_of_step(z[first:], settings, correlation)
    if chance < settings.chance:
        reason = f"the level since {days['moved_on']} is not steady itself ({spell_p(chance)})"
        return {"action": "unsteady", "reason": reason}
    cause = _cause(settings.events, days, new["period"])
    if not cause:
        reason = f"better level since {days['moved_on']}, of which no cause is known: name it"
        return {"action": "wait", "reason": reason}
    fresh = _limits_from(new, pick)
    reason = f"better level since {days['moved_on']}, explained by {cause}"
    proposal = _proposal(new, fresh, new, settings, correlation)
    return {**proposal, "action": "propose", "reason": reason}


def _limits_from(rows: pd.DataFrame, pick: pd.Series) -> Limits:
    if pd.isna(pick["kind"]) or not str(pick["kind"]).strip():
        raise Refusal("No chart suits the series.", "see the choice of charts for the reason.")
    names = ("sigmas", "sigma_method", "convention")
    how = {each: pick[each] for each in names if each in pick.index and not pd.isna(pick[each])}
    return limits_from(rows, kind=str(pick["kind"]), **how)


def _proposal(used, limits: Limits, rows, settings: _Settings, correlation: float) -> dict:
    """The columns of the ledger for limits from these periods, and their level."""
    low, high = _level(used, limits, correlation, settings.confidence)
    later = rows.loc[rows["period"] > used["period"].iloc[-1], "period"]
    step = used["period"].diff().median()
    valid = later.iloc[0] if len(later) else used["period"].iloc[-1] + step
    return {
        **{each: getattr(limits, each) for each in FROZEN},
        "valid_from": f"{valid:%Y-%m-%d}",
        "periods_used": limits.baseline_periods,
        "data_sha256": data_hash(used),
        "estimate": limits.centre,
        "low": low,
        "high": high,
    }


def _changed(rows: pd.DataFrame, limits: Limits, said: str) -> str:
    """Whether the periods that the limits rest on are still what they were."""
    day = rows["period"].dt.strftime("%Y-%m-%d")
    used = rows[(day >= limits.baseline_from) & (day <= limits.baseline_to)]
    if said and data_hash(used) != said:
        return "the periods the limits rest on were changed since: their hash is another one"
    return ""


def _cause(events: pd.DataFrame, days: dict, period: pd.Series) -> str:
    """The event whose day lies within the interval of the move, one period allowed."""
    step = period.diff().median()
    low, high = (pd.Timestamp(days[f"moved_{which}"]) for which in ("low", "high"))
    near = events[events["day"].between(low - step, high + step)]
    return f"{near['what'].iloc[0]} ({near['day'].iloc[0]:%Y-%m-%d})" if len(near) else ""


# --- Has the level moved, and when? ---------------------------------------------------------------


def _evidence(z, based: int, wander, better: str, settings: _Settings) -> tuple:
    """Largest contrast now, what steady series reach in a year, its chance, false proposals."""
    spread = z[:based].std(ddof=1)
    size = np.abs(_contrasts(z[None], based, len(z))[0] / spread).max()
    looks = max(settings.horizon, len(z) - based)
    alike = np.minimum(wander.correlations + CAUTION * (1 + wander.correlations) / based, 0.95)
    steady = _steady(alike, based + looks, settings.rng)
    steady /= steady[:, :based].std(axis=1, ddof=1, keepdims=True)
    largest, proposed = np.zeros(len(steady)), np.zeros(len(steady))
    sign = 1.0 if better == "higher" else -1.0
    for end in range(based + LEAST_STRETCH, based + looks + 1):
        found = _contrasts(steady, based, end)
        largest = np.maximum(largest, np.abs(found).max(axis=1))
        if end - based >= FEWEST_PERIODS:
            at = np.abs(found).argmax(axis=1)
            chosen = sign * found[np.arange(len(found)), at]
            long = end - based - at >= FEWEST_PERIODS
            proposed = np.maximum(proposed, np.where(long, chosen, 0))
    limit = float(np.quantile(largest, 1 - settings.chance))
    return size, limit, float((largest >= size).mean()), float((proposed > limit).mean())


def _contrasts(z: np.ndarray, based: int, end: int) -> np.ndarray:
    """Mean since each place less mean before it, over the error of independent values.

    Shape (series, places); places from ``based`` to four before ``end``.
    """
    total = np.cumsum(z[:, :end], axis=1)
    places = np.arange(max(based, 1), end - LEAST_STRETCH + 1)
    before = total[:, places - 1]
    gap = (total[:, -1:] - before) / (end - places) - before / places
    return gap / np.sqrt(1 / (end - places) + 1 / places)


def _steady(correlations: np.ndarray, periods: int, rng: np.random.Generator) -> np.ndarray:
    """Normal first-order autoregressions of variance 1, one a correlation."""
    noise = rng.standard_normal((len(correlations), periods))
    noise[:, 1:] *= np.sqrt(1 - correlations[:, None] ** 2)
    for at in range(1, periods):
        noise[:, at] += correlations * noise[:, at - 1]
    return noise


def _chance_of_step(z: np.ndarray, settings: _Settings, correlation: float | None = None) -> float:
    """Chance that a steady stretch shows as clear a step, its periods as alike as told or found."""
    z = z[np.isfinite(z)]
    if len(z) < 2 * LEAST_STRETCH or np.ptp(z) == 0:
        raise Refusal("Too few periods vary to tell a step.", "wait for more periods.")
    places = np.arange(LEAST_STRETCH, len(z) - LEAST_STRETCH + 1)
    if correlation is None:
        at = _likeliest(z)
        rest = np.concatenate([z[:at] - z[:at].mean(), z[at:] - z[at:].mean()])
        draws = settings.simulations
        wander = persistence(rest[None], draws=draws, rng=settings.rng).correlations
        wander = np.minimum(wander + STEP_COSTS * (1 + wander) / len(z), 0.95)
    else:
        wander = np.full(settings.simulations, correlation)
    steady = _steps(_steady(wander, len(z), settings.rng), places).max(axis=1)
    return float((steady >= _steps(z[None], places).max()).mean())


def _steps(z: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Squared t of a step at each place, of each series; shape (series, places)."""
    periods = z.shape[1]
    off = z - z.mean(axis=1, keepdims=True)
    before = np.cumsum(off, axis=1)[:, places - 1]
    between = before**2 * periods / (places * (periods - places))
    within = (off**2).sum(axis=1, keepdims=True) - between
    return between / np.maximum(within, 1e-12) * (periods - 2)


def _likeliest(z: np.ndarray) -> int:
    """Where a single step fits best."""
    places = np.arange(LEAST_STRETCH, len(z) - LEAST_STRETCH + 1)
    return int(places[_steps(z[None], places)[0].argmax()])


def _when(z: np.ndarray, based: int, correlation: float, confidence: float) -> tuple[int, int, int]:
    """Likeliest first period of the new level, and the ends of the smallest set of such weight."""
    periods = len(z)
    places = np.arange(max(based, 1), periods)
    step = (np.arange(periods) >= places[:, None]).astype(float)
    y, one = _white(z, correlation), _white(np.ones(periods), correlation)
    x = _white(step, correlation)
    a, b, c = one @ one, x @ one, (x**2).sum(axis=1)
    p, q = one @ y, x @ y
    area = np.maximum(a * c - b**2, 1e-12)
    fitted = (c * p**2 - 2 * b * p * q + a * q**2) / area
    rest = np.maximum(y @ y - fitted, 1e-12)
    height = -(periods - 2) / 2 * np.log(rest) - np.log(area) / 2
    weight = np.exp(height - height.max())
    order = np.argsort(-weight, kind="stable")
    needed = int(np.searchsorted(np.cumsum(weight[order]) / weight.sum(), confidence)) + 1
    held = places[order[:needed]]
    return int(places[order[0]]), int(held.min()), int(held.max())


def _white(x: np.ndarray, correlation: float) -> np.ndarray:
    """A first-order autoregression made independent, along the last axis."""
    first = x[..., :1] * sqrt(1 - correlation**2)
    return np.concatenate([first, x[..., 1:] - correlation * x[..., :-1]], axis=-1)


def _level(rows, limits: Limits, correlation: float, confidence: float) -> tuple[float, float]:
    """Interval of the centre of these periods."""
    tail, n = (1 + confidence) / 2, len(rows)
    if limits.kind in ("run", "s"):
        return NAN, NAN  # a median, or a spread: no interval is worked out
    if limits.kind in ("g", "t"):
        low, high = stats.chi2.ppf([tail, 1 - tail], 2 * n)
        return limits.centre * 2 * n / low, limits.centre * 2 * n / high
    value, size = rows["value"].to_numpy(float), rows["n"].to_numpy(float)
    value = value if limits.data in ("share", "rate") and limits.kind != "c" else value * size
    centre = value.sum() / size.sum()
    weight = size / size.sum()
    off = (value - centre * size) / size.mean() / np.sqrt(1 - weight)
    mean_variance = float(variance_of_mean(n, correlation))
    variance = (off**2).mean() * (1 - 1 / n) / (1 - mean_variance)
    told = kish(size**2) / (n * mean_variance)  # large periods tell most of the error
    half = stats.t.ppf(tail, max(told - 1, 1)) * sqrt(variance * mean_variance)
    if limits.data == "share" and 0 < limits.centre < 1:
        low, high = logit_limits(limits.centre, half / (limits.centre * (1 - limits.centre)))
        return float(low), float(high)
    return limits.centre - half, limits.centre + half


# --- Words and order ------------------------------------------------------------------------------


def _found(table: pd.DataFrame, settings: _Settings) -> Rebasing:
    rank = table["action"].map(ACTIONS.index)
    first = table["was"].isna()
    order = table.assign(rank=rank, new=first).sort_values(["rank", "new"], kind="stable").index
    table = table.loc[order].reset_index(drop=True)
    count = table["action"].value_counts()
    proposed = table["action"] == "propose"
    return Rebasing(
        table=table,
        proposed=int(proposed.sum()),
        first=int((proposed & table["was"].isna()).sum()),
        waiting=int(count.get("wait", 0)),
        unsteady=int(count.get("unsteady", 0)),
        kept=int(count.get("keep", 0)),
        chance_of_evidence=settings.chance,
        false_proposal=float(table["false_proposal"].fillna(0.0).max()),
        horizon=settings.horizon,
        confidence=settings.confidence,
    )


def _moved(row, confidence: float) -> str:
    share = row.data == "share"
    times, unit = (100.0, "%") if share else (1.0, "")
    digits = digits_for(row.low * times, row.high * times)
    was, now, low, high = (value * times for value in (row.was, row.estimate, row.low, row.high))
    return (
        f"{look.shorten(row.series)} from {row.moved_on}, where the centre is"
        f" {spell(now, low, high, confidence=confidence, digits=digits, unit=unit)}, before"
        f" {was:,.{digits}f}"
    )


def _key(ax: Axes, actions: list[str]) -> None:
    for action in actions:
        what = DRAWN[action]
        colour = look.MEANING[what]
        ax.plot([], [], look.MARKER[what], color=colour, ls="", label=WORDS[action])
    ax.legend(frameon=False, ncols=4, fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.24))
