"""Did the service change, or only its mix?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import chart_limits, look, signal_rules, steady_process
from sqm.autocorrelation import variance_of_mean
from sqm.case_mix import Expected, need_calibrated
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.clock import Calendar, read_day, week_of, whole_weeks
from sqm.finding import Finding, counted
from sqm.interval import spell
from sqm.regression import sums_by

KIND = "i'"
SOURCE = "The table of records"


@dataclass(frozen=True, eq=False)
class MixChart(Finding):
    """Weeks set against what their own mix of records would lead to.

    Attributes
    ----------
    table : DataFrame, one row per week
        ``series``, ``data`` (mean), ``period``, ``n``; ``rate``, at the mix of the baseline;
        ``centre``, ``low``, ``high``, ``z``; ``signal`` ("", "worse", "better"), ``rule``;
        ``baseline``, ``mature``; ``false_alarm``, the chance of a signal in the latest weeks if
        nothing changed; ``crude``, as seen; ``expected``, given the week's mix.
    crude, crude_low, crude_high : float
        Change of the crude figure from the baseline to the weeks since, in its unit.
    mix_part, mix_low, mix_high : float
        What of it the mix would have brought about with the service as it was.
    service, service_low, service_high : float
        The rest: records of the same kind now and then.
    before : float
        Crude figure over the baseline.
    confidence : float
    periods, baseline_periods, since : int
        Weeks; those the limits rest on; those after.
    worse, better : int
        Weeks since the baseline that signal.
    first : str
        First of them.
    false_alarm, lately : float
        Chance of one signal or more since the baseline, and in the latest weeks, if nothing
        changed.
    last : int
    rules : str
    autocorrelation : float
        Of neighbouring baseline weeks, by which the intervals are widened; 0 if not noticed.
    records, left_out : int
        Records charted; those without a time, outcome or expectation, or of a part of a week.
    kind, measure, rests : str
        ``rests``: what the expectation rests on.
    """

    crude: float
    crude_low: float
    crude_high: float
    mix_part: float
    mix_low: float
    mix_high: float
    service: float
    service_low: float
    service_high: float
    before: float
    confidence: float
    periods: int
    baseline_periods: int
    since: int
    worse: int
    better: int
    first: str
    false_alarm: float
    lately: float
    last: int
    rules: str
    autocorrelation: float
    records: int
    left_out: int
    kind: str
    measure: str
    rests: str

    def sentence(self) -> str:
        changed = self.service_low > 0 or self.service_high < 0
        first = "The service changed" if changed else "No change of the service is shown"
        service = self._spelt(self.service, self.service_low, self.service_high)
        first += (
            f": records of the same kind moved by {service}. As counted, "
            f"{look.shorten(self.measure)} moved by {self._one(self.crude)}, of which the mix "
            f"brought {self._one(self.mix_part)}."
        )
        return first + "\n" + " ".join(self._weeks() + self._conventions())

    def _times(self) -> float:
        return 100.0 if self.kind == "share" else 1.0

    def _one(self, value: float) -> str:
        return f"{value * self._times():+.{self._digits()}f}"

    def _digits(self) -> int:
        half = abs(self.service_high - self.service_low) / 2 * self._times()
        digits = int(np.clip(1 - np.floor(np.log10(half)), 0, 6)) if half > 0 else 2
        crude, *parts = (
            round(x * self._times(), digits) for x in (self.crude, self.mix_part, self.service)
        )
        return digits + (abs(crude - sum(parts)) > 10.0**-digits / 2)  # so that parts add up

    def _spelt(self, *limits: float) -> str:
        unit = "percentage points" if self.kind == "share" else ""
        return spell(
            *(self._times() * x for x in limits),
            confidence=self.confidence,
            digits=self._digits(),
            unit=unit,
        )

    def _weeks(self) -> list[str]:
        found = "none signals"
        if self.worse + self.better:
            found = (
                f"{self.worse} signal for the worse and {self.better} for the better, the first "
                f"on {self.first}"
            )
        return [
            f"As counted: {self._spelt(self.crude, self.crude_low, self.crude_high)}; mix: "
            f"{self._spelt(self.mix_part, self.mix_low, self.mix_high)}.",
            f"Of {counted(self.since, 'week')} since {counted(self.baseline_periods, 'week')} of "
            f"baseline, {found} (rules, in sigma: {self.rules}). With nothing changed one or more "
            f"would with a chance of {self.false_alarm:.0%}, in the last {self.last} with "
            f"{self.lately:.0%}.",
        ]

    def _conventions(self) -> list[str]:
        words = [self.rests]
        words.append(
            "The limits and the approximate intervals allow for weeks that vary by more than "
            "counting."
        )
        if self.autocorrelation:
            words.append(
                f"Neighbouring weeks are alike (correlation {self.autocorrelation:.2f}), by which "
                "the intervals are widened."
            )
        words.append(
            f"{self.records:,} records in whole weeks; {self.left_out:,} left out "
            "(no outcome, no expectation, or a part of a week)."
        )
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, times, t = look.axes(ax), self._times(), self.table
        limit = {"color": look.MEANING["limit"], "lw": 1.2}
        for name, label in (("low", None), ("high", "limits")):
            ax.step(t["period"], t[name] * times, where="mid", label=label, **limit)
        ax.plot(t["period"], t["centre"] * times, ls="--", **limit)
        ax.plot(
            t["period"], t["crude"] * times, color=look.MEANING["other"], ls=":", label="as counted"
        )
        ax.plot(t["period"], t["rate"] * times, color=look.MEANING["usual"], lw=0.8)
        for signal, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
            some = t[t["signal"] == signal]
            ax.plot(
                some["period"],
                some["rate"] * times,
                ls="",
                marker=look.MARKER[what],
                color=look.MEANING[what],
                ms=4 if what == "usual" else 7,
                label=signal or "at the baseline's mix",
            )
        after = t.loc[~t["baseline"], "period"]
        if len(after):
            ax.axvline(after.min(), color=look.MEANING["limit"], ls=":", label="baseline ends")
        ax.legend(
            fontsize="small", frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.18)
        )
        unit = " (%)" if self.kind == "share" else ""
        return look.label(
            look.dates(ax),
            title="Did the service change, or only its mix?",
            x="week",
            y=look.shorten(f"{self.measure}{unit}"),
        )


def mix_chart(
    records: pd.DataFrame,
    *,
    given: Expected,
    time: str = "arrived",
    calendar: Calendar | None = None,
    better: str = "lower",
    rules: str = "beyond 3",
    sigmas: float = 3.0,
    last: int = 4,
    confidence: float = 0.95,
    simulations: int = 4_000,
    measure: str = "",
    rng: np.random.Generator,
) -> MixChart:
    """Chart a weekly figure at the mix of the baseline, and split its move into mix and service.

    Parameters
    ----------
    records : DataFrame, one row per record
    given : Expected
        What `case_mix.expected` says of these records, learnt before ``given.until``.
    time : str, default "arrived"
    calendar : Calendar, optional
        Says which weeks are whole; every day is worked if not given.
    better : {"lower", "higher"}, default "lower"
    rules : str, default "beyond 3"
        What signals, as `signal_rules.rules_of` reads it.
    sigmas : float, default 3
    last : int, default 4
        Latest weeks whose false-alarm chance stands in the table.
    confidence : float, default 0.95
    simulations : int, default 4000
    measure : str
        Words for the figure.
    rng : Generator

    Returns
    -------
    MixChart

    Raises
    ------
    Problem
        If the expectation is of other records.
    Refusal
        If the expectation was not borne out on held-out records, has no end of a baseline,
        there are fewer than 12 whole weeks before it, or none after.

    Notes
    -----
    With O, E and n of the weeks since, and p the baseline's figure: crude = O / n - p, mix =
    E / n - p, service = (O - E) / n; crude = mix + service, the decomposition of Kitagawa, E. M.
    (1955), Journal of the American Statistical Association 50, 1168-1194, at the baseline's
    figures.  A week is drawn at p + (O - E) / n on an I' chart, whose limits allow for records
    (variance E given the mix) and for weeks that differ beyond that.  The intervals sum what
    weeks contribute: through the model, its scores by week; since the baseline, the variance of
    the records times how much weeks vary over it, pooled over all weeks.  Student's t; approximate,
    as weeks vary in size; widened by (1 + r) / (1 - r), for the weeks at hand, where neighbouring
    weeks are alike.  The mix that came is taken as it is.
    The interval of the mix is conservative, and so are the others where weeks vary no more than
    counting.

    Examples
    --------
    Chats go wrong in 4 of 10, calls in 1 of 10, always; chats rise from a half to three quarters.

    >>> from sqm.case_mix import expected
    >>> rng = np.random.default_rng(1)
    >>> days = pd.date_range("2025-01-06", periods=210, freq="D").repeat(40)
    >>> chat = rng.random(len(days)) < np.where(days < pd.Timestamp("2025-06-02"), 0.5, 0.75)
    >>> records = pd.DataFrame({"arrived": days, "channel": np.where(chat, "chat", "call"),
    ...                         "bad": rng.random(len(days)) < np.where(chat, 0.4, 0.1)})
    >>> given = expected(records, outcome="bad", mix=["channel"], until="2025-06-02")
    >>> found = mix_chart(records, given=given, simulations=200, rng=rng)
    >>> found.crude_low > 0, found.mix_low < 0.075 < found.mix_high, found.service_low < 0
    (True, True, True)
    """
    need_one_of(better, ("lower", "higher"), name="better")
    need_share(confidence, name="confidence")
    need_columns(records, [time], source=SOURCE)
    _need_baseline(records, given)
    need_calibrated(given)
    used, week = _in_whole_weeks(records, given, time, calendar or Calendar())
    weeks = _weeks(used, week, given)
    base = (weeks["period"] < read_day(given.until)).to_numpy()
    if base.all() or not base.any():
        raise Refusal(
            f"All whole weeks lie {'before' if base.all() else 'after'} {given.until}.",
            "let the baseline end inside the data.",
        )
    moved = _moves(used, week, weeks, base, given)
    periods, before = _periods(weeks, base, measure or given.outcome)
    limits = chart_limits.limits_from(periods[base], kind=KIND, sigmas=sigmas)
    law = steady_process.steady_from(periods[base])
    charted = chart_limits.charted(periods, limits)
    alarms = steady_process.false_alarms(
        law,
        periods["n"].to_numpy(),
        base,
        kind=KIND,
        rules=rules,
        last=last,
        simulations=simulations,
        rng=rng,
    )
    alike = law.autocorrelation if law.autocorrelation > law.autocorrelation_usual else 0.0
    table = _signalled(charted, rules, better).assign(
        baseline=base, mature=True, false_alarm=alarms.lately
    )
    since = table[~table["baseline"] & (table["signal"] != "")]
    return MixChart(
        table=table,
        **_with_limits(moved, base, alike, confidence),
        before=before,
        confidence=confidence,
        periods=len(table),
        baseline_periods=int(base.sum()),
        since=int((~base).sum()),
        worse=int((since["signal"] == "worse").sum()),
        better=int((since["signal"] == "better").sum()),
        first=f"{since['period'].iloc[0]:%Y-%m-%d}" if len(since) else "",
        false_alarm=alarms.since,
        lately=alarms.lately,
        last=last,
        rules=str(signal_rules.rules_of(rules)),
        autocorrelation=float(alike),
        records=len(used),
        left_out=len(records) - len(used),
        kind=given.kind,
        measure=measure or given.outcome,
        rests=given.words(),
    )


def _need_baseline(records: pd.DataFrame, given: Expected) -> None:
    if not given.observed.index.equals(records.index):
        raise Problem(
            "The expectation is of other records.", "give `case_mix.expected` the same table."
        )
    if not given.until:
        raise Refusal(
            "The expectation was learnt from all weeks, so none are left to be judged by it.",
            "name the baseline's end as `until`.",
        )


def _in_whole_weeks(records, given, time, calendar) -> tuple[pd.DataFrame, np.ndarray]:
    """Records of whole weeks with an expectation, and the place of each one's week."""
    weeks = whole_weeks(records[time], calendar=calendar)
    when = week_of(records[time], calendar=calendar)
    kept = (when.isin(weeks) & given.observed.notna() & given.expected.notna()).to_numpy()
    if not kept.any():
        raise Refusal("No whole week has a record with an expectation.", "take a longer time.")
    used = pd.DataFrame(
        {
            "period": when[kept],
            "o": given.observed[kept],
            "e": given.expected[kept],
            "v": given.variance[kept],
            "fitted": given.fitted[kept],
            "cell": given.cell[kept],
        }
    )
    return used, pd.factorize(used["period"], sort=True)[0]


def _weeks(used: pd.DataFrame, week: np.ndarray, given: Expected) -> pd.DataFrame:
    size = week.max() + 1
    sums = {name: sums_by(used[name].to_numpy(dtype=float), week, size) for name in "oev"}
    period = pd.DatetimeIndex(np.sort(used["period"].unique()))
    return pd.DataFrame({"period": period, "n": sums_by(np.ones(len(used)), week, size), **sums})


def _periods(weeks: pd.DataFrame, base: np.ndarray, name: str) -> tuple[pd.DataFrame, float]:
    """The weeks as a series of means at the baseline's mix."""
    sums = weeks[base].sum(numeric_only=True)
    before = float(sums["o"] / sums["n"])
    return pd.DataFrame(
        {
            "series": name,
            "data": "mean",
            "period": weeks["period"],
            "n": weeks["n"],
            "value": before + (weeks["o"] - weeks["e"]) / weeks["n"],
            "sd": np.sqrt(weeks["v"] / weeks["n"]),
            "crude": weeks["o"] / weeks["n"],
            "expected": weeks["e"] / weeks["n"],
        }
    ), before


def _signalled(charted: pd.DataFrame, rules: str, better: str) -> pd.DataFrame:
    z = charted["z"].to_numpy()
    side = signal_rules.sides(z, rules)
    _, named = signal_rules.marks(z, rules)
    worse = 1 if better == "lower" else -1
    signal = np.where(side == worse, "worse", np.where(side == -worse, "better", ""))
    table = charted.assign(signal=signal, rule=named)
    order = ["series", "data", "period", "n", "rate", "centre", "low", "high", "z", "signal"]
    return table[[*order, "rule", "crude", "expected"]]


@dataclass(frozen=True, eq=False)
class _Moves:
    """Estimates, what each baseline week contributes to them, and the variance since."""

    estimate: np.ndarray  # crude, mix, service
    parts: np.ndarray  # (baseline weeks, 3)
    later: np.ndarray  # (3,)


def _moves(used, week, weeks, base, given: Expected) -> _Moves:
    early = base[week]
    n = weeks["n"].to_numpy()
    before, after = n[base].sum(), n[~base].sum()
    o, e, v = (weeks[c].to_numpy() for c in "oev")
    p, now = o[base].sum() / before, o[~base].sum() / after
    mix = e[~base].sum() / after - p
    estimate = np.array([now - p, mix, now - p - mix])
    # how the expectation of the later records hangs on the model's coefficients
    cell, model = used["cell"].to_numpy(), given.model
    slope = used["v"].to_numpy() / model.scale
    later = sums_by(np.where(early, 0.0, slope), cell, len(given.design)) / after
    lever = (later @ given.design) @ model.inverse
    residual = np.where(used["fitted"], used["o"] - used["e"], 0.0)
    carried = sums_by(residual * (given.design @ lever)[cell], week, len(n))[base]
    crude = -(o - p * n)[base] / before
    parts = np.column_stack([crude, crude + carried, -carried])
    spread = [_over(o - e, v, base), _over(o - np.where(base, p, now) * n, v, base)]
    since = v[~base].sum() / after**2
    return _Moves(estimate, parts, np.array([spread[1] * since, 0.0, spread[0] * since]))


def _over(off: np.ndarray, v: np.ndarray, base: np.ndarray) -> float:
    """How much weeks vary over their records' variance, each stretch about its own level."""
    total, free = 0.0, len(v) - 2
    for some in (base, ~base):
        centred = off[some] - v[some] * off[some].sum() / v[some].sum()
        total += (centred**2 / v[some]).sum()
    return max(total / free, 1.0)


def _with_limits(moved: _Moves, base: np.ndarray, alike: float, confidence: float) -> dict:
    early, since = int(base.sum()), int((~base).sum())
    widen = [float(variance_of_mean(count, alike) * count) for count in (early, since)]
    centred = moved.parts - moved.parts.mean(axis=0)
    variance = (centred**2).sum(axis=0) * early / (early - 1) * widen[0] + moved.later * widen[1]
    half = stats.t.ppf((1 + confidence) / 2, len(base) - 2) * np.sqrt(variance)
    return {
        name + end: float(moved.estimate[i] + side * half[i])
        for i, (name, bare) in enumerate((("crude", 1), ("mix", 0), ("service", 1)))
        for end, side in (("" if bare else "_part", 0), ("_low", -1), ("_high", 1))
    }
