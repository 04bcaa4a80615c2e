"""Is it more than usual for this day, week and season?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import chart_limits, look, signal_rules, usual_level
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share, need_whole
from sqm.clock import DAYS, Calendar, local, read_day
from sqm.finding import Finding, counted, listed
from sqm.interval import digits_for, holm
from sqm.usual_level import DATA, Usual

LONG_D = 548  # days, a year and a half: from there a series is looked at unasked
TWO_YEARS_D = 731
HELD_OUT = 0.25  # of the baseline, on which the model is tried
FEWEST_HELD_OUT = 8
NOTICED = 0.05  # chance, after Holm, below which weekday, holiday, season or trend is one
TREND_NOTICED = 0.01  # of a trend, which is drawn out beyond the baseline
FAILED = 0.01  # chance of so many held-out periods outside at which a model is not used
SHOWN, EFFECTS_SHOWN, LANES, PERIODS_DRAWN = 3, 4, 6, 182
NAME_LETTERS = 24
GRID = 25  # values at which the score of a share is worked out, others lie between
CHARTED = ["series", "data", "period", "n", "rate", "centre", "low", "high", "z", "signal", "rule"]
CHARTED += ["baseline", "mature", "false_alarm", "false_alarm_since", "sigmas", "note"]
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August")
MONTHS += ("September", "October", "November", "December")


@dataclass(frozen=True, eq=False)
class UsualChart(Finding):
    """Series held against the level that is usual for the weekday, the season and the trend.

    Attributes
    ----------
    table : DataFrame, one row per series and period
        ``series``; ``data``; ``period``; ``n``; ``rate``, what is drawn; ``centre``, the usual
        level; ``low``, ``high``, the last values on either side that do not signal; ``z``, normal
        score; ``signal`` ("", "worse", "better"), ``rule``; ``baseline``; ``mature``;
        ``false_alarm`` and ``false_alarm_since``, the chance of a signal in the latest periods and
        since the baseline if nothing changed; ``sigmas``; ``note`` says why there are no limits.
    names : tuple of str
        Series with a chart; the following tuples have one entry for each.
    since, worse, better : tuple of int
        Judged periods since the baseline, and those of them that signal.
    first : tuple of str
        Day of the first signal since the baseline, or empty.
    change, change_low, change_high : tuple of float
        Events since the baseline over those that are usual, less 1, with its interval.
    baseline_periods, held_out, outside : tuple of int
        Periods the limits rest on; those of them that the model was tried on; and how many of
        those lay outside limits that ought to leave 1 - ``confidence`` outside.
    expected_outside : tuple of float
    chance_last, chance_since : tuple of float
        Of a signal in the latest periods, and since the baseline, if nothing changed.
    down_weighted : tuple of int
        Baseline periods that count less, being unusually high.
    alike : tuple of float
        Correlation of neighbouring baseline scores; 0 where it is not noticed.
    terms : tuple of str
        What the usual level follows, in words.
    effect_series, effect_name : tuple of str
        Every effect: a weekday, the month, holidays, the trend.
    effect, effect_low, effect_high : tuple of float
        How far it lifts the level (of a share the odds), as a share: 0.32 is 32 % more.
    plain : tuple of str
        Series without such an effect, which a plain chart serves.
    refused : tuple of str
        Series without a chart, each with the reason.
    immature, closed : int
        Periods that records may still reach; closed or holiday periods that are not judged.
    last : int
    rules : str
    sigmas, confidence : float
    """

    names: tuple[str, ...]
    since: tuple[int, ...]
    worse: tuple[int, ...]
    better: tuple[int, ...]
    first: tuple[str, ...]
    change: tuple[float, ...]
    change_low: tuple[float, ...]
    change_high: tuple[float, ...]
    baseline_periods: tuple[int, ...]
    held_out: tuple[int, ...]
    outside: tuple[int, ...]
    expected_outside: tuple[float, ...]
    chance_last: tuple[float, ...]
    chance_since: tuple[float, ...]
    down_weighted: tuple[int, ...]
    alike: tuple[float, ...]
    terms: tuple[str, ...]
    effect_series: tuple[str, ...]
    effect_name: tuple[str, ...]
    effect: tuple[float, ...]
    effect_low: tuple[float, ...]
    effect_high: tuple[float, ...]
    plain: tuple[str, ...]
    refused: tuple[str, ...]
    immature: int
    closed: int
    last: int
    rules: str
    sigmas: float
    confidence: float

    def sentence(self) -> str:
        rest = [self._limits(), *self._levels(), *self._tried(), *self._cautions()]
        return f"{self._found()}\n{' '.join(rest)}"

    def _order(self) -> list[int]:
        """Series with the most signals first."""
        signals = [w + b for w, b in zip(self.worse, self.better, strict=True)]
        return sorted(range(len(self.names)), key=lambda i: -signals[i])

    def _short(self, i: int) -> str:
        return look.shorten(self.names[i], width=NAME_LETTERS)

    def _found(self) -> str:
        first, *others = self._order()
        quiet = sum(not self.worse[i] + self.better[i] for i in others)
        level = ""
        if np.isfinite(self.change[first]):
            level = f"; in all there were {self._change(first)} against the usual"
        words = f"{self._short(first)}: {self._signals(first)}{level}."
        if len(others) > quiet:
            told = [f"{self._short(i)} {self.worse[i] + self.better[i]}" for i in others]
            words += f" Signals of others: {listed(told[: len(others) - quiet], most=2)}."
        elif others:
            words += f" The other{'s do' if len(others) > 1 else ' does'} not signal."
        return words

    def _signals(self, i: int) -> str:
        if not self.since[i]:
            return "no period since the baseline to judge"
        many = counted(self.since[i], "period")
        if not self.worse[i] + self.better[i]:
            return f"none of {many} since the baseline signals"
        return (
            f"{self.worse[i] + self.better[i]} of {many} since the baseline signal "
            f"({self.worse[i]} worse, {self.better[i]} better, first {self.first[i]})"
        )

    def _change(self, i: int) -> str:
        limits = (self.change[i], self.change_low[i], self.change_high[i])
        return _percent(*limits, confidence=self.confidence)

    def _limits(self) -> str:
        chances = [
            f"{self._short(i)} {self.chance_since[i]:.0%} and {self.chance_last[i]:.1%}"
            for i in self._order()
        ]
        return (
            "Limits are those of a quasi-likelihood model of the baseline, on the scale of the "
            f"series, at {self.sigmas:g} sigma; a signal is: {self.rules}. If nothing changed, the "
            "chance of a signal since the baseline and in the last "
            f"{counted(self.last, 'period')} is: {listed(chances, most=SHOWN)}."
        )

    def _levels(self) -> list[str]:
        words = []
        for i in self._order()[:SHOWN]:
            mine = [j for j, name in enumerate(self.effect_series) if name == self.names[i]]
            mine.sort(key=lambda j: -abs(np.log(1 + self.effect[j])))
            told = [
                f"{self.effect_name[j]} "
                + _percent(self.effect[j], self.effect_low[j], self.effect_high[j], confidence=None)
                for j in mine[:EFFECTS_SHOWN]
            ]
            words.append(
                f"{self._short(i)} follows {self.terms[i]}"
                + (f": {', '.join(told)}." if told else ".")
            )
        if self.effect_series:
            words.append(
                f"Weekdays and months are set against their mean, of shares on the odds; in "
                f"brackets approximate {self.confidence:.0%} intervals, as is the one above."
            )
        return words

    def _tried(self) -> list[str]:
        told = [
            f"{self._short(i)} {self.outside[i]} of {self.held_out[i]} "
            f"({self.expected_outside[i]:.1f} expected)"
            for i in self._order()
        ]
        return [
            f"Tried on the last part of the baseline, which it had not seen, the model left outside"
            f" its {self.confidence:.0%} limits: {listed(told, most=SHOWN)}."
        ]

    def _cautions(self) -> list[str]:
        words = []
        alike = [f"{self._short(i)} ({r:.2f})" for i, r in enumerate(self.alike) if r]
        if alike:
            words.append(
                f"Neighbouring periods stay alike in {', '.join(alike)}: signals come in clusters, "
                "and chances under rules on runs are too low."
            )
        if any(self.down_weighted):
            words.append(
                f"{counted(sum(self.down_weighted), 'baseline period')} far above the usual count "
                "less, so as not to hide the next."
            )
        if self.immature:
            words.append(
                f"{counted(self.immature, 'period')} that records may still reach (grey) not "
                "judged."
            )
        if self.closed:
            words.append(f"{counted(self.closed, 'closed or holiday period')} not judged.")
        if self.plain:
            words.append(f"A plain chart is enough for {', '.join(self.plain)}: no such effect.")
        if self.refused:
            words.append(f"No chart: {'; '.join(self.refused)}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = [self.names[i] for i in self._order()[:LANES]]
        _make_room(ax, len(shown))
        lanes = _lanes(ax, len(shown))
        for lane, name in zip(lanes, shown, strict=True):
            _draw(lane, self.table[self.table["series"] == name].tail(PERIODS_DRAWN))
            lane.set_ylabel(look.shorten(name, width=18), fontsize="small")
            look.dates(lane)
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.35)}
        told = lanes[0].get_legend_handles_labels()
        lanes[-1].legend(*told, fontsize="small", frameon=False, ncols=5, **below)
        scale = "day" if (self.table["period"].diff().dt.days == 1).any() else "first day of week"
        rest = f"; {len(self.names) - len(shown)} series not drawn" * (len(self.names) > len(shown))
        look.label(
            ax,
            title="Is it more than usual for day, week and season?",
            y=look.shorten(shown[0], width=40) if len(shown) == 1 else "",
            x=f"{scale} (% of cases for shares, events else{rest})",
        )
        return ax


def usual_chart(
    series: pd.DataFrame,
    *,
    baseline_until: str | None = None,
    calendar: Calendar | None = None,
    names: Sequence[str] = (),
    rules: str = "beyond 3",
    sigmas: float = 3.0,
    last: int = 4,
    confidence: float = 0.95,
    simulations: int = 2_000,
    rng: np.random.Generator,
) -> UsualChart:
    """Hold series against what is usual for the weekday, holidays, the season and the trend.

    Parameters
    ----------
    series : DataFrame, one row per series and period
        ``series``, ``data`` (count, rate or share), ``period`` (first day), ``n``, ``value``
        (events), and where known ``better`` (lower, if not given) and ``mature``.
    baseline_until : str, optional
        A date: limits rest on the mature periods that begin before it; on all but the ``last``
        mature ones if not given.
    calendar : Calendar, optional
        Its holidays have a level of their own where periods are days; weeks are expected to follow
        the days open if that leaves less unexplained.
    names : sequence of str, optional
        Series to take; if not given, those of days and those of a year and a half or more.
    rules : str, default "beyond 3"
        See `signal_rules`.
    sigmas : float, default 3.0
        Where the limits are drawn.
    last : int, default 4
        Latest periods for which the chance of a false alarm is told.
    confidence : float, default 0.95
        Of the intervals, and of the limits that the model is tried with on held-out periods.
    simulations : int, default 2_000
    rng : Generator

    Returns
    -------
    UsualChart
        A series without a weekday, holiday, season or trend is among ``plain``; one whose model
        fails on held-out periods, or that has too few, among ``refused``.

    Raises
    ------
    Problem
        If a column is missing, a name is not known, a period comes twice or a count is impossible.
    Refusal
        If no series can be charted, or a plain chart is enough for all.

    Notes
    -----
    The model is that of `usual_level`: counts with a log link and variance m + k m^2, shares with
    log odds and a beta-binomial variance [1]_.  Weekdays, holidays, two waves a year (from two
    years on) and a trend are kept where Wald's F of their coefficients passes Holm's test at
    0.05 (a trend, which is drawn out beyond the baseline, at 0.01).  All of this is done first
    without the last quarter of the baseline (as much of it as leaves two years, where there are
    two), which then is held against the limits of level ``confidence``; the model
    is refused where so many lie outside with a chance below 0.01 (exact binomial).  Weekdays or
    holidays without any event in the baseline are closed, and not judged.
    Limits allow for the error of the model.  The chances are counted on periods drawn from the
    fitted law, its coefficients drawn from their normal law and its extra variance from a scaled
    inverse chi-squared, after the baseline as it was.
    The change since the baseline is O / E - 1; log(O / E) has the variance of the counts at the
    level seen and that of E.  Both intervals rest on Student's t and are approximate; where counts
    spread no more than their law they are conservative.

    References
    ----------
    .. [1] McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman and
       Hall. Chapter 9.

    Examples
    --------
    40 on Mondays and 20 on other days, one more or less; then 70 on a Monday and 40 on a Tuesday.

    >>> days = pd.date_range("2025-01-06", periods=114, freq="D")
    >>> usual = np.where(days.day_of_week == 0, 40, 20) + np.arange(114) % 3 - 1
    >>> calls = pd.DataFrame({"series": "calls", "data": "count", "period": days, "n": 1.0,
    ...     "value": np.append(usual[:-2], [70, 40])})
    >>> found = usual_chart(calls, last=2, simulations=200, rng=np.random.default_rng(1))
    >>> found.table["signal"].tolist()[-9:] == [""] * 7 + ["worse"] * 2
    True
    """
    need_columns(series, ["series", "data", "period", "n", "value"], source="The series")
    need_share(confidence, name="confidence")
    need_whole(last, name="last", least=1)
    need_whole(simulations, name="simulations", least=100)
    followed = signal_rules.rules_of(rules)
    settings = (baseline_until, calendar or Calendar(), followed, sigmas, last, confidence)
    wanted = _wanted(series, list(names))
    charts, plain, refused = [], [], []
    for name, each in zip(wanted, rng.spawn(len(wanted)), strict=True):
        rows = series[series["series"] == name]
        try:
            chart = _one(rows, name, settings, simulations, each)
        except Refusal as why:
            refused.append(f"{name} ({why.what[0].lower()}{why.what[1:].rstrip('.')})")
            continue
        if chart is None:
            plain.append(name)
        else:
            charts.append(chart)
    _need_some(charts, plain, refused)
    return _gathered(charts, plain, refused, last, str(followed), float(sigmas), confidence)


# --- Which series ---------------------------------------------------------------------------------


def _wanted(series: pd.DataFrame, names: list[str]) -> list[str]:
    known = list(dict.fromkeys(series["series"]))
    for name in names:
        if name not in known:
            raise Problem(f"There is no series {name!r}.", nearest(name, known))
    if names:
        return list(dict.fromkeys(names))
    wanted = [name for name in known if _by_day_or_long(series[series["series"] == name])]
    if not wanted:
        raise Refusal(
            "No series of counts, rates or shares is followed by the day or for a year and a half.",
            "follow one by day, or name the series to take.",
        )
    return wanted


def _by_day_or_long(rows: pd.DataFrame) -> bool:
    if rows["data"].iloc[0] not in DATA or not _dated(rows):
        return False
    when = local(rows["period"]).sort_values()
    span = (when.iloc[-1] - when.iloc[0]).days
    return span >= LONG_D or bool(when.diff().median() <= pd.Timedelta(days=1))


def _dated(rows: pd.DataFrame) -> bool:
    return pd.api.types.is_datetime64_any_dtype(rows["period"])


def _need_some(charts: list, plain: list[str], refused: list[str]) -> None:
    if charts:
        return
    if plain:
        also = f"; not charted: {'; '.join(refused)}" if refused else ""
        raise Refusal(
            f"No weekday, holiday, season or trend shows beyond chance in {', '.join(plain)}"
            f"{also}.",
            "a plain chart is enough.",
        )
    raise Refusal(
        f"No series can be held against a usual level: {'; '.join(refused)}.",
        "give a longer baseline, or count over longer periods.",
    )


# --- One series -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    usual: Usual
    exposure: np.ndarray  # of all periods; 0 where closed
    kept: tuple[str, ...]  # of weekday, holiday, season, trend
    by_open_days: bool
    open_weekdays: tuple[str, ...]


def _one(rows, name: str, settings: tuple, simulations: int, rng) -> dict | None:
    """The chart of one series; nothing where a plain chart is enough."""
    until, calendar, rules, sigmas, last, confidence = settings
    rows = _ready(rows)
    base = _baseline(rows, until, last)
    model = _model(rows, base, calendar)
    if not model.kept and not model.by_open_days:
        return None
    tried = _tried_on_held_out(rows, base, calendar, confidence)
    table = _judged(rows, base, model, rules, sigmas, name)
    chances = _chances(table, model, rules, last, simulations, rng)
    table = table.assign(false_alarm=chances[0], false_alarm_since=chances[1])
    return {
        "table": table[CHARTED],
        "told": _told(table, model, tried, chances, confidence),
        "effects": [(name, *each) for each in _effects(model, confidence)],
    }


def _ready(rows: pd.DataFrame) -> pd.DataFrame:
    data = str(rows["data"].iloc[0])
    if data not in DATA:
        raise Refusal(f"it is of {data}, and the model is of counts, rates and shares", "")
    if not _dated(rows):
        raise Problem("The periods are no dates.", "give each period's first day as a date.")
    rows = chart_limits.sound(rows)
    apart = local(rows["period"]).dt.normalize().diff().dt.days.dropna()
    if len(apart) and (apart % apart.min() != 0).any():
        raise Refusal("its periods are not of even length, as months are not", "")
    for column, usual in (("better", "lower"), ("mature", True)):
        rows[column] = rows.get(column, usual)
    if set(rows["better"]) not in ({"lower"}, {"higher"}):
        raise Problem("better is neither lower nor higher throughout.", "give one of the two.")
    return rows.astype({"mature": bool})


def _baseline(rows: pd.DataFrame, until: str | None, last: int) -> np.ndarray:
    mature = rows["mature"].to_numpy()
    if until:
        return mature & (local(rows["period"]) < read_day(until)).to_numpy()
    before_last = np.cumsum(mature[::-1])[::-1] > last
    return mature & before_last


def _model(rows: pd.DataFrame, base: np.ndarray, calendar: Calendar) -> _Model:
    """The level with the terms that are noticed, on the days open if that explains more."""
    days = pd.DatetimeIndex(local(rows["period"])).normalize()
    n, rest = rows["n"].to_numpy(dtype=float), pd.to_datetime(list(calendar.holidays))
    value = rows["value"].to_numpy(dtype=float)
    if _step(days) == 1:
        closed = _closed(days, value, base, rest)
        n, base = np.where(closed, 0.0, n), base & ~closed
        rest = rest[~rest.isin(days[closed])]
        opened = tuple(day for i, day in enumerate(DAYS) if (days[base].day_of_week == i).any())
        return _noticed_only(rows, value, n, base, rest, opened)
    plain = _noticed_only(rows, value, n, base, (), ())
    worked = usual_level.open_days(days, calendar=calendar, days=_step(days))
    if rows["data"].iloc[0] != "count" or len(set(worked[base])) < 2:
        return plain
    adjusted = _noticed_only(rows, value, n * worked, base, (), ())
    better = adjusted.usual.dispersion < plain.usual.dispersion
    return _Model(adjusted.usual, n * worked, adjusted.kept, True, ()) if better else plain


def _step(days: pd.DatetimeIndex) -> int:
    return int(np.diff(days.to_numpy().astype("datetime64[D]")).astype(int).min(initial=7))


def _closed(days, value: np.ndarray, base: np.ndarray, rest) -> np.ndarray:
    """Weekdays, and holidays, on which the baseline has no event at all."""
    closed = np.zeros(len(days), dtype=bool)
    kinds = [days.day_of_week == i for i in range(7)] + [days.isin(rest)]
    for kind in kinds:
        if (kind & base).any() and not value[kind & base].any():
            closed |= kind
    return closed


def _noticed_only(rows, value, n, base, rest, opened: tuple[str, ...]) -> _Model:
    given = {"periods": rows["period"], "data": rows["data"].iloc[0], "n": n, "base": base}
    full = usual_level.usual_level(value, **given, trend=True, holidays=rest)
    kept = _noticed(full)
    dropped = "holiday" in full.terms and "holiday" not in kept
    usual = usual_level.usual_level(
        value,
        **given,
        trend="trend" in kept,
        weekdays="weekday" in kept,
        season=None if "season" in kept else 0,
        holidays=() if dropped else rest,
    )
    return _Model(usual, n, kept, False, opened)


def _group(term: str) -> str:
    return "weekday" if term in DAYS else term.split()[0]


def _noticed(usual: Usual) -> tuple[str, ...]:
    """Kinds of effect that pass Holm's test of Wald's F."""
    of = [_group(term) for term in usual.terms]
    groups = [each for each in dict.fromkeys(of) if each != "level"]
    chances = []
    for group in groups:
        at = [i for i, each in enumerate(of) if each == group]
        b, v = usual.coefficients[at], usual.covariance[np.ix_(at, at)]
        wald = float(b @ np.linalg.pinv(v) @ b) / len(at)
        chances.append(stats.f.sf(wald, len(at), float(usual.degrees)))
    level = [TREND_NOTICED if group == "trend" else NOTICED for group in groups]
    passed = holm(np.array(chances, dtype=float)) < np.array(level)
    return tuple(group for group, yes in zip(groups, passed, strict=True) if yes)


def _tried_on_held_out(rows, base, calendar, confidence: float) -> tuple[int, int, float]:
    """Periods held out and those outside, or a refusal where these are too many."""
    at = np.flatnonzero(base)
    days = local(rows["period"]).to_numpy()
    held = int(np.ceil(HELD_OUT * len(at)))
    two_years = int((days[at] < days[at[0]] + np.timedelta64(TWO_YEARS_D, "D")).sum())
    if two_years <= len(at) - FEWEST_HELD_OUT:
        held = min(held, len(at) - two_years)
    early, late = base.copy(), np.zeros(len(base), dtype=bool)
    early[at[len(at) - held :]], late[at[len(at) - held :]] = False, True
    model = _model(rows, early, calendar)
    z = _scores(rows[late], replace(model, exposure=model.exposure[late]))[0]
    z = z[np.isfinite(z)]
    if len(z) < FEWEST_HELD_OUT:
        raise Refusal(
            f"only {len(z)} periods can be held out, where {FEWEST_HELD_OUT} are needed", ""
        )
    outside = int((np.abs(z) > stats.norm.ppf((1 + confidence) / 2)).sum())
    if stats.binom.sf(outside - 1, len(z), 1 - confidence) < FAILED:
        raise Refusal(
            f"the model failed on the end of the baseline: {outside} of {len(z)} held-out periods"
            f" lay outside its {confidence:.0%} limits, where {(1 - confidence) * len(z):.1f} are"
            " expected",
            "",
        )
    return len(z), outside, (1 - confidence) * len(z)


def _cases(rows, model: _Model) -> np.ndarray | None:
    return model.exposure if rows["data"].iloc[0] == "share" else None


def _degrees(usual: Usual) -> float:
    return float(usual.degrees) if usual.extra > 0 else np.inf


def _scores(rows, model: _Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal scores of all periods, with the mean and the variance predicted."""
    mean, variance = usual_level.predicted(model.usual, rows["period"], n=model.exposure)
    z = usual_level.normal_scores(
        rows["value"].to_numpy(dtype=float),
        mean,
        variance,
        n=_cases(rows, model),
        degrees=_degrees(model.usual),
    )
    return np.where(np.isfinite(mean), z, np.nan), mean, variance


def _judged(rows, base, model: _Model, rules, sigmas: float, name: str) -> pd.DataFrame:
    """Every period with its limits on the scale of the series, and its signal."""
    z, mean, variance = _scores(rows, model)
    mature = rows["mature"].to_numpy()
    low, high = usual_level.limits(
        mean, variance, sigmas=sigmas, n=_cases(rows, model), degrees=_degrees(model.usual)
    )
    per = rows["n"].to_numpy(dtype=float) if rows["data"].iloc[0] != "count" else 1.0
    seen = mature & np.isfinite(z)
    side, rule = np.zeros(len(rows), dtype=int), np.full(len(rows), "", dtype=object)
    side[seen] = signal_rules.sides(z[seen], rules)
    rule[seen] = signal_rules.marks(z[seen], rules)[1]
    worse = 1 if rows["better"].iloc[0] == "lower" else -1
    return rows.assign(
        series=name,
        **{"rate": rows["value"] / per, "centre": mean / per, "low": low / per, "high": high / per},
        z=np.where(mature, z, np.nan),
        signal=np.select([side == worse, side == -worse], ["worse", "better"], default=""),
        rule=rule.astype(str),
        baseline=base & seen,
        sigmas=float(sigmas),
        note=np.select([~mature, ~seen], ["may still change", "closed or holiday"], default=""),
        usual_events=mean,
    )


def _chances(table, model: _Model, rules, last: int, simulations: int, rng) -> tuple[float, float]:
    """Of a signal in the last periods, and in all since the baseline, if nothing changed."""
    judged = table["mature"].to_numpy() & table["z"].notna().to_numpy()
    after = judged & ~table["baseline"].to_numpy()
    if not after.any():
        return 0.0, 0.0
    rows, exposure = table[after], model.exposure[after]
    mean, variance = usual_level.predicted(model.usual, rows["period"], n=exposure)
    drawn = _drawn(model.usual, rows["period"], exposure, simulations, rng)
    z = _scores_of_drawn(drawn, mean, variance, exposure, model.usual)
    before = table.loc[table["baseline"], "z"].to_numpy()
    z = np.hstack([np.broadcast_to(before, (simulations, len(before))), z])
    marked = signal_rules.marks(z, rules)[0][:, len(before) :]
    return float(marked[:, -last:].any(axis=1).mean()), float(marked.any(axis=1).mean())


def _drawn(usual: Usual, periods, n: np.ndarray, simulations: int, rng) -> np.ndarray:
    """Events of periods to come, each row from a law such as the baseline might have come from."""
    beta = rng.multivariate_normal(usual.coefficients, usual.covariance, simulations, method="svd")
    wide = float(usual.degrees) / rng.chisquare(float(usual.degrees), simulations)
    extra = (float(usual.extra) * wide)[:, None]
    mean = _means(usual, beta, periods, n)
    if usual.data == "share":
        share, cases = np.clip(mean / n, 1e-9, 1 - 1e-9), np.round(n).astype(int)
        if usual.extra > 0:
            size = 1 / np.minimum(extra, 0.9) - 1
            share = rng.beta(share * size, (1 - share) * size)
        return rng.binomial(cases, share).astype(float)
    if usual.extra > 0:
        mean = mean * rng.gamma(1 / extra, extra, mean.shape)
    return rng.poisson(mean).astype(float)


def _means(usual: Usual, beta: np.ndarray, periods, n: np.ndarray) -> np.ndarray:
    """Events that each row of coefficients expects of each period."""
    still = np.zeros((*beta.shape, beta.shape[1]))
    each = replace(usual, coefficients=beta, covariance=still, extra=np.zeros(len(beta)))
    return usual_level.predicted(each, periods, n=n)[0]


def _scores_of_drawn(drawn, mean, variance, n, usual: Usual) -> np.ndarray:
    degrees = _degrees(usual)
    if usual.data != "share":
        return usual_level.normal_scores(drawn, mean, variance, degrees=degrees)
    grid = np.linspace(drawn.min(axis=0), drawn.max(axis=0), GRID).round()
    scores = usual_level.normal_scores(grid, mean, variance, n=n, degrees=degrees)
    columns = [np.interp(drawn[:, t], grid[:, t], scores[:, t]) for t in range(len(mean))]
    return np.column_stack(columns)


# --- What is told ---------------------------------------------------------------------------------


def _told(table, model: _Model, tried, chances, confidence: float) -> dict:
    """One entry for each tuple of the finding."""
    judged = table["mature"] & table["z"].notna()
    after = table[judged & ~table["baseline"]]
    hits = after.loc[after["signal"] != "", "period"]
    change = _change(after, model, np.asarray(judged & ~table["baseline"]), confidence)
    return {
        "names": str(table["series"].iloc[0]),
        "since": len(after),
        "worse": int((after["signal"] == "worse").sum()),
        "better": int((after["signal"] == "better").sum()),
        "first": f"{hits.iloc[0]:%Y-%m-%d}" if len(hits) else "",
        **dict(zip(("change", "change_low", "change_high"), change, strict=True)),
        "baseline_periods": int(table["baseline"].sum()),
        **dict(zip(("held_out", "outside", "expected_outside"), tried, strict=True)),
        "chance_last": chances[0],
        "chance_since": chances[1],
        "down_weighted": int(model.usual.down_weighted),
        "alike": _alike(table.loc[table["baseline"], "z"].to_numpy()),
        "terms": _terms(model),
    }


def _change(after, model: _Model, at: np.ndarray, confidence: float) -> tuple[float, ...]:
    """Events since the baseline over those usual, less 1, with limits."""
    usual, seen = model.usual, float(after["value"].sum())
    if not seen:
        return (-1.0, np.nan, np.nan) if len(after) else (np.nan,) * 3
    n, due = model.exposure[at], float(after["usual_events"].sum())
    counting, widened, of_level = _spread_of_sum(usual, after["period"], n)
    variance = counting / due / seen + (widened + of_level) / due**2
    half = stats.t.ppf((1 + confidence) / 2, float(usual.degrees)) * np.sqrt(variance)
    ratio = seen / due
    return ratio - 1, ratio * np.exp(-half) - 1, ratio * np.exp(half) - 1


def _spread_of_sum(usual: Usual, periods, n: np.ndarray) -> tuple[float, float, float]:
    """Variance of a sum of periods: of counting, beyond it, and of the level that is common."""
    mean = usual_level.predicted(usual, periods, n=n)[0]
    inner = mean * (1 - mean / n) if usual.data == "share" else mean
    big = inner * np.maximum(n - 1, 0) if usual.data == "share" else mean**2
    # the slope of the sum along each coefficient, by small steps either way
    steps = 1e-5 * np.eye(len(usual.coefficients))
    up, down = (
        _means(usual, usual.coefficients + side * steps, periods, n).sum(axis=1) for side in (1, -1)
    )
    slope = (up - down) / 2e-5
    return (
        float(inner.sum()),
        float(usual.extra) * float(big.sum()),
        float(slope @ usual.covariance @ slope),
    )


def _alike(z: np.ndarray) -> float:
    """Correlation of neighbouring scores if it is more than chance explains, else 0."""
    centred = z - z.mean()
    found = float(centred[1:] @ centred[:-1] / max(centred @ centred, 1e-12))
    return found if found > stats.norm.ppf(0.975) / np.sqrt(len(z)) else 0.0


def _terms(model: _Model) -> str:
    words = {"weekday": "the weekday", "holiday": "holidays", "season": "the season"}
    words["trend"] = "a trend"
    told = [words[each] for each in model.kept]
    return listed([*told, *(["the days open"] if model.by_open_days else [])], most=5)


def _effects(model: _Model, confidence: float) -> list[tuple[str, float, float, float]]:
    """Each effect kept, as a share more or less, with its limits."""
    usual, found = model.usual, []
    half = stats.t.ppf((1 + confidence) / 2, float(usual.degrees))
    for name, contrast in _contrasts(model):
        middle = float(contrast @ usual.coefficients)
        error = half * float(np.sqrt(max(contrast @ usual.covariance @ contrast, 0.0)))
        ends = np.exp([middle, middle - error, middle + error]) - 1
        found.append((name, *map(float, ends)))
    return found


def _contrasts(model: _Model) -> list[tuple[str, np.ndarray]]:
    """What of the coefficients makes each effect; weekdays and months against their mean."""
    terms = list(model.usual.terms)
    unit, found = np.eye(len(terms)), []
    if "weekday" in model.kept:
        each = np.array(
            [unit[terms.index(d)] if d in terms else 0 * unit[0] for d in model.open_weekdays]
        )
        named = [f"{day}" for day in model.open_weekdays]
        found += list(zip(named, each - each.mean(axis=0), strict=True))
    if "season" in model.kept:
        each = _months(terms)
        found += list(zip(MONTHS, each - each.mean(axis=0), strict=True))
    found += [(said, unit[terms.index(term)]) for term, said in _SINGLE.items() if term in terms]
    return found


_SINGLE = {"holiday": "holidays", "trend": "a year"}


def _months(terms: list[str]) -> np.ndarray:
    """The waves of the season in the middle of each month."""
    turn = 2 * np.pi * (np.arange(12) + 0.5) / 12
    rows = np.zeros((12, len(terms)))
    for i, term in enumerate(terms):
        if term.startswith("season"):
            _, wave, part = term.split()
            rows[:, i] = (np.cos if part == "cos" else np.sin)(int(wave) * turn)
    return rows


def _percent(estimate: float, low: float, high: float, *, confidence: float | None) -> str:
    """``+32 % (95% interval +25 to +40)``; without a level just ``+32 % (+25 to +40)``."""
    if not np.isfinite(low):
        return f"{estimate * 100:+.0f} %"
    digits = digits_for(low * 100, high * 100)
    one, *ends = (f"{each * 100:+,.{digits}f}" for each in (estimate, low, high))
    level = "" if confidence is None else f"{confidence * 100:.4g}% interval "
    return f"{one} % ({level}{ends[0]} to {ends[1]})"


def _gathered(charts, plain, refused, last, rules, sigmas, confidence) -> UsualChart:
    table = pd.concat([each["table"] for each in charts], ignore_index=True)
    told = [each["told"] for each in charts]
    effects = [row for each in charts for row in each["effects"]]
    columns = list(zip(*effects, strict=True)) or [()] * 5
    named = ("effect_series", "effect_name", "effect", "effect_low", "effect_high")
    return UsualChart(
        table=table,
        **{name: tuple(each[name] for each in told) for name in told[0]},
        **dict(zip(named, columns, strict=True)),
        plain=tuple(plain),
        refused=tuple(refused),
        immature=int((~table["mature"]).sum()),
        closed=int((table["note"] == "closed or holiday").sum()),
        last=last,
        rules=rules,
        sigmas=sigmas,
        confidence=float(confidence),
    )


# --- Drawing --------------------------------------------------------------------------------------


def _make_room(ax: Axes, lanes: int) -> None:
    """A picture that holds nothing else grows with its lanes."""
    if lanes > 2 and len(ax.figure.axes) == 1:
        width, height = ax.figure.get_size_inches()
        ax.figure.set_size_inches(width, height + 1.3 * (lanes - 2))


def _lanes(ax: Axes, number: int) -> list[Axes]:
    """One small picture above the other, each with its own scale."""
    if number == 1:
        return [ax]
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    height = 1 / number
    at = [1 - (i + 1) * height for i in range(number)]
    lanes = [ax.inset_axes((0.08, low + 0.12 * height, 0.92, 0.8 * height)) for low in at]
    for lane in lanes:
        lane.spines[["top", "right"]].set_visible(False)
    return lanes


def _draw(ax: Axes, table: pd.DataFrame) -> None:
    times = 100 if table["data"].iloc[0] == "share" else 1
    day, colour = table["period"], look.MEANING["limit"]
    ax.fill_between(
        day,
        table["low"] * times,
        table["high"] * times,
        step="mid",
        color=colour,
        alpha=0.25,
        lw=0,
        label="limits",
    )
    ax.step(day, table["centre"] * times, where="mid", color=colour, lw=1, label="usual")
    ax.plot(day, table["rate"] * times, color=look.MEANING["usual"], lw=0.6)
    for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
        some = table[(table["signal"] == signal) & (table["note"] == "")]
        ax.plot(
            some["period"],
            some["rate"] * times,
            ls="",
            marker=look.MARKER[what],
            color=look.MEANING[what],
            ms=2.5 if what == "usual" else 6,
            label=signal or None,
        )
    young = table[table["note"] != ""]
    ax.plot(
        young["period"],
        young["rate"] * times,
        ls="",
        marker="o",
        mfc="white",
        color=colour,
        ms=4,
        label="not judged" if len(young) else None,
    )
    since = table.loc[~table["baseline"] & (table["note"] == ""), "period"]
    if len(since):
        ax.axvline(since.iloc[0], color=colour, ls=":")
