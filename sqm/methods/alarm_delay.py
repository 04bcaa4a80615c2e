"""How long until the chart tells?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, run_length
from sqm.checks import Problem, Refusal, need_columns, need_share, need_whole
from sqm.finding import Finding, listed
from sqm.interval import digits_for, spell
from sqm.signal_rules import Rules, completing, in_use, marks

RIVALS = ("beyond the limits", "limits and run of 8", "Western Electric", "limits and ewma")
SHIFTS = (0.5, 1.0, 1.5, 2.0, 3.0)  # in sigma
IN_PERCENT = ("share", "nps")
EVEN = 0.25  # spread of a series' sigma over its periods, relative, beyond which it is remarked
NEEDED = ("series", "data", "period", "rate", "centre", "z", "mature")
MARKS = ("o", "s", "D", "^", "v", "P", "X")


@dataclass(frozen=True, eq=False)
class AlarmDelay(Finding):
    """Average run lengths of the rules in use and of rivals, steady and after a shift.

    Attributes
    ----------
    table : DataFrame, one row a series, set of rules and shift
        ``series``; ``rules``, their text; ``name``, ``in use`` or the name of the rival;
        ``shift_sigma``; ``shift``, the same in the unit of the series (shares 0 to 1), NaN where
        it is not known; ``estimate``, ``low``, ``high``: periods up to and with the first signal
        on average, and what simulation leaves open (nothing where it is computed); ``how``,
        ``computed`` or ``simulated``; ``note``.
    shift : float
        Shift of which the sentence speaks, in sigma.
    steady_least, steady_most : float
        Periods between false alarms under the rules in use, of the worst and the best series.
    delay_least, delay_most : float
        Periods until that shift is told, of the quickest and the slowest series.
    series : int
    confidence : float
    """

    shift: float
    steady_least: float
    steady_most: float
    delay_least: float
    delay_most: float
    series: int
    confidence: float

    def sentence(self) -> str:
        used = self.table[self.table["name"] == "in use"]
        sets = sorted(used["rules"].unique())
        which = look.shorten(sets[0], width=70) if len(sets) == 1 else "by series"
        first = (
            f"A lasting shift of {self.shift:g} sigma is told after"
            f" {self._length(used, self.shift)} periods on average, and a steady series gives a"
            f" false alarm once in {self._length(used, 0.0)} periods"
            f" ({self.series:,} series; rules: {which})."
        )
        return "\n".join([first, " ".join([*self._units(used), *self._rivals(), *self._rests()])])

    def _length(self, rows: pd.DataFrame, shift: float) -> str:
        rows = rows[rows["shift_sigma"] == shift]
        least, most = rows["estimate"].min(), rows["estimate"].max()
        one = rows.iloc[0]
        if least == most and one["how"] == "simulated" and np.isfinite(one["high"]):
            limits = (one["low"], one["high"])
            return spell(
                one["estimate"], *limits, confidence=self.confidence, digits=digits_for(*limits)
            )
        return _figure(least) if least == most else f"{_figure(least)} to {_figure(most)}"

    def _units(self, used: pd.DataFrame) -> list[str]:
        rows = used[(used["shift_sigma"] == self.shift) & used["shift"].notna()]
        told = [f"{row.series} {_in_unit(row)}" for row in rows.itertuples()]
        if not told:
            return []
        return [f"Sigma is how far a steady period strays; that shift is: {listed(told, most=4)}."]

    def _rivals(self) -> list[str]:
        rivals = self.table[self.table["name"] != "in use"]
        rows = rivals.drop_duplicates(["name", "shift_sigma"]).set_index(["name", "shift_sigma"])
        told = [
            f"{name} ({_figure(rows.loc[(name, self.shift), 'estimate'])} and"
            f" {_figure(rows.loc[(name, 0.0), 'estimate'])})"
            for name in rivals["name"].unique()
        ]
        head = "With other rules, periods until it is told and between false alarms"
        return [f"{head}: {'; '.join(told)}."] * bool(told)

    def _rests(self) -> list[str]:
        how = "computed" if (self.table["how"] == "computed").all() else "computed or simulated"
        return [
            f"The lengths are {how} for known limits and normal periods that do not depend on"
            " each other. A short baseline and neighbours that are alike raise more false alarms:"
            " the chance that stands with each chart allows for both.",
            "The delay varies about as widely as it is long.",
        ]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.drop_duplicates(["rules", "shift_sigma"])
        names = dict(zip(rows["rules"], rows["name"], strict=True))
        for at, (rules, name) in enumerate(names.items()):
            some = rows[rows["rules"] == rules].sort_values("shift_sigma")
            own = name == "in use"
            ax.plot(
                some["shift_sigma"],
                some["estimate"],
                marker=MARKS[at % len(MARKS)],
                color=look.MEANING["usual" if own else "other"],
                lw=2.0 if own else 0.9,
                ls="-" if own else "--",
                label=look.shorten(f"{name}: {rules}" if own else name, width=36),
            )
            ax.vlines(some["shift_sigma"], some["low"], some["high"], color=look.MEANING["limit"])
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="How long until the chart tells?",
            x="lasting shift (sigma of a period); at 0: false alarms",
            y="periods to the first signal (mean)",
        )


def alarm_delay(
    charts: pd.DataFrame,
    *,
    rules: str = "beyond the limits",
    rivals: Sequence[str] = RIVALS,
    shifts: Sequence[float] = SHIFTS,
    simulations: int = 1000,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> AlarmDelay:
    """Say how soon charts tell a lasting shift, and how often they cry wolf, beside other rules.

    Parameters
    ----------
    charts : DataFrame, one row a series and period
        ``series``, ``data``, ``period``, ``rate``, ``centre``, ``z``, ``mature``; if there,
        ``rules``, those in use (of the latest period).
    rules : str
        The rules of every chart that has no column ``rules``; a name or a text.
    rivals : sequence of str
        Rules to set beside them.
    shifts : sequence of float
        In standard deviations of a period, above 0.
    simulations : int, default 1000
        Series for what cannot be computed.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    AlarmDelay

    Raises
    ------
    Problem
        If a rule is not known or a shift is not above 0.
    Refusal
        If there is no chart.

    Notes
    -----
    Limits with runs rules by Markov chain, EWMA and CUSUM (also with limits beside them) by
    integral equation or chain, other combinations by simulation (see `run_length`); a simulated
    length has the interval exp(log L ± z SE / L).  One sigma in the unit of a series is the median
    of (rate - centre) / z over its periods.

    Examples
    --------
    Beyond three sigma: once in 370 steady periods; 44 after a shift of one.

    >>> weeks = pd.date_range("2025-01-06", periods=4, freq="7D")
    >>> charts = pd.DataFrame({"series": "Wait", "data": "share", "period": weeks, "centre": 0.1,
    ...     "rate": [0.08, 0.13, 0.14, 0.06], "z": [-1, 1.5, 2, -2], "mature": True})
    >>> found = alarm_delay(charts, rivals=[], rng=np.random.default_rng(1))
    >>> found.table["estimate"].round(1).tolist()
    [370.4, 155.2, 43.9, 15.0, 6.3, 2.0]
    >>> found.table["shift"].round(3).tolist()
    [0.0, 0.01, 0.02, 0.03, 0.04, 0.06]
    """
    need_columns(charts, NEEDED, source="The table of charts")
    need_share(confidence, name="confidence")
    need_whole(simulations, name="simulations", least=100)
    if charts.empty:
        raise Refusal("There is no chart.", "chart at least one series.")
    shifts = _sound_shifts(shifts)
    names = sorted(charts["series"].astype("str").unique())
    of = {name: in_use(charts, name, rules) for name in names}
    lengths = _Lengths(shifts, simulations, confidence, rng)
    rows = [row for name in names for row in _rows(name, charts, of[name], rivals, lengths)]
    table = pd.DataFrame(rows)
    used = table[table["name"] == "in use"]
    at = 1.0 if 1.0 in shifts else shifts[1]
    steady = used.loc[used["shift_sigma"] == 0.0, "estimate"]
    delay = used.loc[used["shift_sigma"] == at, "estimate"]
    return AlarmDelay(
        table=table,
        shift=float(at),
        steady_least=float(steady.min()),
        steady_most=float(steady.max()),
        delay_least=float(delay.min()),
        delay_most=float(delay.max()),
        series=len(names),
        confidence=confidence,
    )


class _Lengths:
    """Run lengths of sets of rules, each worked out once."""

    def __init__(self, shifts, simulations, confidence, rng) -> None:
        self.shifts, self.simulations, self.rng = shifts, simulations, rng
        self.normal = float(stats.norm.ppf((1 + confidence) / 2))
        self.known: dict[str, list[dict]] = {}

    def of(self, rules: Rules) -> list[dict]:
        text = str(rules)
        if text not in self.known:
            self.known[text] = [
                {"shift_sigma": shift, **self._one(rules, shift)} for shift in self.shifts
            ]
        return self.known[text]

    def _one(self, rules: Rules, shift: float) -> dict:
        exact = computed(rules, shift)
        if exact is not None:
            return {"estimate": exact, "low": exact, "high": exact, "how": "computed"}
        periods = 1000 if shift < 0.25 else 300 if shift < 1 else 100
        found = run_length.simulated(
            lambda z: marks(z, rules)[0],
            shift=shift,
            periods=periods,
            simulations=self.simulations,
            rng=self.rng,
        )
        low, high = limits(found, self.normal)
        return {"estimate": found.arl, "low": low, "high": high, "how": "simulated"}


def limits(found: run_length.Simulated, normal: float) -> tuple[float, float]:
    """Interval of a simulated run length, on the scale of its logarithm.

    Examples
    --------
    >>> low, high = limits(run_length.Simulated(100.0, 5.0, 400, 400), 1.96)
    >>> round(low, 1), round(high, 1)
    (90.7, 110.3)
    """
    if not np.isfinite(found.arl) or not np.isfinite(found.error):
        return np.nan, np.nan
    factor = np.exp(normal * found.error / found.arl)
    return float(found.arl / factor), float(found.arl * factor)


def computed(rules: Rules, shift: float) -> float | None:
    """Average run length where a chain or an integral equation gives it, else None.

    Examples
    --------
    >>> round(computed(completing("beyond 3 + 2 of 3 beyond 2"), 0), 1)
    225.4
    >>> computed(completing("beyond 3 + trend of 6 points"), 0) is None
    True
    """
    chained = [_chained(pattern) for pattern in rules.patterns]
    if all(chained):
        return run_length.patterns(shift, rules=[each for some in chained for each in some])
    memory = [p for p in rules.patterns if p.kind in ("ewma", "cusum")]
    rest = [p for p in rules.patterns if p not in memory]
    if len(memory) > 1 or len(rest) > 1 or any(p.kind != "beyond" for p in rest):
        return None
    sigmas = rest[0].size if rest else np.inf
    one = memory[0]
    if one.kind == "ewma":
        return run_length.ewma(shift, weight=one.weight, width=one.size, exact=True, sigmas=sigmas)
    return run_length.cusum(shift, allowance=one.weight, limit=one.size, sigmas=sigmas)


def _chained(pattern) -> tuple[run_length.Pattern, ...]:
    """A rule as the chain of `run_length` takes it; none if it does not."""
    if pattern.kind == "beyond":
        return run_length.both_sides(1, 1, pattern.size)
    if pattern.kind == "run":
        return run_length.both_sides(pattern.count + 1, pattern.count + 1, 0.0)
    if pattern.kind == "zone":
        return run_length.both_sides(pattern.count, pattern.of, pattern.size)
    if pattern.kind == "within":
        count = pattern.count
        return (run_length.Pattern(count, count, -pattern.size, pattern.size),)
    return ()


def _sound_shifts(shifts: Sequence[float]) -> list[float]:
    shifts = sorted({float(shift) for shift in shifts})
    if not shifts or not np.isfinite(shifts).all() or shifts[0] <= 0:
        raise Problem(f"The shifts are {shifts}.", "give numbers of sigma above 0, such as 1.")
    return [0.0, *shifts]


def _rows(
    name: str, charts: pd.DataFrame, own: Rules, rivals: Sequence[str], lengths: _Lengths
) -> list[dict]:
    """Rows of one series: the rules in use, then the rivals that differ from them."""
    chart = charts[(charts["series"].astype("str") == name) & charts["mature"].astype(bool)]
    sigma, note = _sigma(chart)
    data = str(charts.loc[charts["series"].astype("str") == name, "data"].iloc[0])
    sets = {str(own): ("in use", own)}
    for rival in rivals:
        sets.setdefault(str(completing(rival)), (rival, completing(rival)))
    return [
        {
            "series": name,
            "data": data,
            "rules": text,
            "name": called,
            "shift_sigma": row["shift_sigma"],
            "shift": row["shift_sigma"] * sigma,
            **{key: row[key] for key in ("estimate", "low", "high", "how")},
            "note": note,
        }
        for text, (called, rules) in sets.items()
        for row in lengths.of(rules)
    ]


def _sigma(chart: pd.DataFrame) -> tuple[float, str]:
    """One sigma in the unit of the series, at the middle of its periods."""
    away = chart["z"].abs() > 1e-9
    size = ((chart["rate"] - chart["centre"]) / chart["z"])[away].dropna()
    if not len(size) or not (size > 0).all():
        return np.nan, "the unit of one sigma is not known"
    middle, (low, high) = float(size.median()), np.quantile(size, [0.25, 0.75])
    if high - low > EVEN * middle:
        return middle, "one sigma differs from period to period: the middle one is given"
    return middle, ""


def _figure(periods: float) -> str:
    if not np.isfinite(periods):
        return "more than can be told"
    return f"{periods:,.0f}" if periods >= 20 else f"{periods:.1f}"


def _in_unit(row) -> str:
    if row.data in IN_PERCENT:
        points = f"{row.shift * 100:.2g}"
        return f"{points} percentage point{'s' * (points != '1')}"
    return f"{row.shift:.3g}"
