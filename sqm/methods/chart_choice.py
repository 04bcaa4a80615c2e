"""Which chart suits each series, and how often will it cry wolf?"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import chart_limits, look, run_length, signal_rules, steady_process
from sqm.checks import Problem, Refusal, need_columns, need_share, need_whole
from sqm.clock import local
from sqm.finding import Finding, counted, listed
from sqm.interval import spell_p
from sqm.steady_process import Steady, steady_from

SERIES = ("series", "data", "period", "n", "value", "sd", "better", "mature")
FEWEST_FOR_LIMITS = chart_limits.FEWEST_PERIODS
RARE = 1.0  # events expected in a typical period below which they are followed one by one
FEW = 2.0  # below which a spread between periods cannot be told from that of counting
SIZES_DIFFER = 2.0  # largest n over smallest from which sizes of periods matter
UNLIKE_NORMAL = 0.1  # chance at which normal values are called otherwise
TWICE = 2.0  # times the variance of counting, which must be excluded before plain limits do
ABSURD = 0.25  # share of baseline periods beyond plain limits from which these are called absurd
LONGEST_RUN = 60
POPULAR = "Western Electric"
STEP = 0.05  # of sigmas, where limits are widened
SOONER = 0.1  # part of its delay by which a set of rules must be quicker to cry wolf more
UNNOTICED = 0.5  # more variance than counting gives, which a baseline may hide
PLAIN = ("p", "u", "c", "xbar")  # charts that allow for counting or sampling noise only
WHOLE_SPREAD = "standard deviation"
A_YEAR = 357  # days from the first to the last week of a year
SHORT = 40  # single values below which a clear skew may go unnoticed
SHORT_NOTE = "few single values: a skew may go unnoticed"
MOVING_WORDS = "moving ranges: too small where neighbours are alike, unnoticed in a short baseline"
WANDERS = 0.7  # correlation of neighbours from which there is no level to speak of
COUNTED = ("share", "rate", "count")
MEASURED = ("mean", "score", "nps")


@dataclass(frozen=True, eq=False)
class ChartChoice(Finding):
    """The chart of each series, the rules it can bear, and why.

    Attributes
    ----------
    table : DataFrame, one row a series
        ``series``, ``data``; ``kind`` of chart (blank: none), ``sigma_method``, ``convention``;
        ``rules`` in their text form and the name of their set, ``rule_set``; ``sigmas`` of the
        limits (NaN on a run chart, which has none); ``passed_over``, richer sets within the budget
        that are no better bargain; ``false_alarm``, the chance that a steady series signals in the
        periods watched, ``false_alarm_low`` and ``false_alarm_high`` (95 % Monte Carlo limits);
        ``false_alarm_wide``, the same if a half more variance than counting or sampling gives has
        gone unnoticed (NaN where the chart allows for it); ``false_alarm_chart``, the same of the
        whole chart; ``arl_periods``, mean run length of a steady series, ``arl_low_periods``,
        ``arl_high_periods``; ``popular_false_alarm``, as ``false_alarm``, under the popular rules.
        Then the evidence:
        ``baseline_periods``, ``baseline_days``; ``n_median``, ``n_ratio`` (largest over smallest);
        ``expected`` events (or non-events, if fewer) in the median period; ``zeros``, share of
        periods; ``dispersion`` and ``dispersion_p``; ``beyond_plain``, share of baseline periods
        outside the limits that counting or sampling alone gives; ``skewness``, and ``normal_p`` of
        Shapiro and Wilk's test;
        ``autocorrelation`` of neighbours and ``memory`` of periods 2 to 6 apart, with
        ``autocorrelation_usual`` and ``memory_usual``, which independent periods, and those that
        only resemble their neighbours, exceed once in twenty; ``rejected``, ``reason``, ``note``.
    watched : int
        Latest periods of the chart, in which false alarms are counted.
    budget : float
        Chance of a false alarm that a chart may have in them.
    charted : int
        Series with a chart.
    popular : float
        Mean chance of a false alarm in them under the popular rules, over the charts with limits.
    taken_mean, taken_low, taken_high : float
        Mean, least and largest chance under the rules taken.
    widened : int
        Charts whose limits had to be widened, or runs lengthened.
    set_series, set_name : tuple of str
        Every rule set tried on every series.
    set_chance : tuple of float
        Its chance of a false alarm in the periods watched.
    set_taken : tuple of bool
    """

    watched: int
    budget: float
    charted: int
    popular: float
    taken_mean: float
    taken_low: float
    taken_high: float
    widened: int
    set_series: tuple[str, ...]
    set_name: tuple[str, ...]
    set_chance: tuple[float, ...]
    set_taken: tuple[bool, ...]

    def sentence(self) -> str:
        kinds = self.table.loc[self.table["kind"] != "", "kind"].value_counts(sort=False)
        kinds = kinds.sort_index().sort_values(ascending=False, kind="stable")
        none = len(self.table) - self.charted
        return "\n".join(
            [
                f"{self.charted} of {len(self.table)} series can be charted"
                f"; in {_in_a_row(self.watched)} a steady one raises a false alarm with a"
                f" chance of {self._taken()} under the rules taken"
                + (f", {self.popular:.0%} under {POPULAR}." if self.popular > 0 else "."),
                " ".join(
                    [*self._rules(), self._kinds(kinds), *self._evidence(), *self._left(none)]
                ),
            ]
        )

    def _kinds(self, kinds: pd.Series) -> str:
        told = [f"{name} for {number}" for name, number in kinds.rename(KIND_WORDS).items()]
        return f"Charts: {listed(told, most=6)}."

    def _taken(self) -> str:
        told = _from_to([self.taken_low, self.taken_high], 1)
        return f"{told} (mean {self.taken_mean:.1%})" if " to " in told else told

    def _rules(self) -> list[str]:
        charts = self.table[self.table["kind"] != ""]
        error = float(((charts["false_alarm_high"] - charts["false_alarm_low"]) / 2).max())
        words = [
            f"For each series the richest set of rules is taken that gives a false alarm with a"
            f" chance of at most {self.budget:.0%} in those periods. Chances are simulated from the"
            f" law fitted to its baseline, to within {error * 100:.1f} percentage points."
        ]
        words.append(
            "The richest is not always the better bargain: one that cries wolf more but tells a"
            f" shift of one sigma less than a tenth sooner is passed over{self._passed_over()}."
            ' The delays stand under "How long until a chart tells?".'
        )
        if self.widened:
            words.append(
                f"No set was within that for {self.widened}: their limits are wider than 3 sigma"
                " (or their runs longer) until one is."
            )
        return words

    def _passed_over(self) -> str:
        passed = int((self.table["passed_over"] != "").sum())
        return f" (in {passed} of {len(self.table)})" if passed else ""

    def _evidence(self) -> list[str]:
        words, table = [], self.table
        absurd = table[
            (table["beyond_plain"] > ABSURD) & (table["dispersion_p"] < steady_process.DISPERSED)
        ]
        if len(absurd):
            worst = absurd.loc[absurd["beyond_plain"].idxmax()]
            words.append(
                f"Limits from counting or sampling alone would be absurd for"
                f" {self._names(absurd)}: periods spread up to {worst['dispersion']:,.0f} times"
                f" the variance these give, and {worst['beyond_plain']:.0%} of the baseline of"
                f" {worst['series']} would signal."
            )
        alike = table[table["reason"].str.contains("neighbouring periods are alike")]
        if len(alike):
            words.append(
                f"Neighbouring periods are alike in {self._names(alike)}; that is allowed for."
            )
        wide = table["false_alarm_wide"].dropna()
        if len(wide):
            stated = table.loc[wide.index, "false_alarm"]
            words.append(
                f"Where only counting or sampling noise is allowed for ({len(wide)} of"
                f" {len(table)}), a half more variance may go unnoticed: the chance of a false"
                f" alarm is then {_from_to(wide, 0)}, not {_from_to(stated, 0)}."
            )
        brief = (table["kind"] != "") & (table["baseline_days"] < A_YEAR)
        if brief.any():
            words.append(
                f"{_of_all(brief)} shorter than a year: a season would not be seen there,"
                " and would raise alarms."
            )
        short = table[table["note"] == SHORT_NOTE]
        if len(short):
            words.append(
                f"In the few single values of {self._names(short)} a skew may go unnoticed: if"
                " there is one, false alarms are up to four times as many."
            )
        return words

    def _left(self, none: int) -> list[str]:
        if not none:
            return []
        rest = self.table[self.table["kind"] == ""]
        each = [f"{row.series} ({row.note})" for row in rest.itertuples()]
        return [f"No chart: {listed(each, most=5, apart='; ')}."]

    @staticmethod
    def _names(rows: pd.DataFrame) -> str:
        return listed([look.shorten(str(each)) for each in rows["series"]], most=5)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [name for name in (*signal_rules.NAMED, *RUN_SETS) if name in self.set_name]
        chance = np.array(self.set_chance) * 100
        for taken, what, said in (
            (False, "usual", "a series"),
            (True, "better", "rules taken"),
        ):
            some = [i for i, each in enumerate(self.set_taken) if each == taken]
            where = [names.index(self.set_name[i]) + 0.18 * taken for i in some]
            ax.plot(
                chance[some], where, look.MARKER[what], color=look.MEANING[what], ms=5, label=said
            )
        ax.axvline(self.budget * 100, color=look.MEANING["limit"], ls="--", label="budget")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlim(left=0)
        ax.legend(
            fontsize="small", frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3
        )
        return look.label(
            ax,
            title="Which rules cry wolf?",
            x=f"chance of a false alarm in {_in_a_row(self.watched)} (%)",
        )


KIND_WORDS = {
    "p": "p (shares)",
    "p'": "p' (shares that vary by more than counting)",
    "u": "u (rates)",
    "u'": "u' (counts or rates that vary by more than counting)",
    "c": "c (counts)",
    "xbar": "xbar (means)",
    "i'": "i' (means that vary by more than sampling)",
    "xmr": "xmr (single values)",
    "g": "g (gaps between events)",
    "t": "t (times between events)",
    "run": "run chart (no limits)",
}
RUN_SETS = ("longest run and crossings", "longest run")
EVIDENCE = {
    "baseline_periods": 0,
    "baseline_days": np.nan,
    "n_median": np.nan,
    "n_ratio": np.nan,
    "expected": np.nan,
    "zeros": np.nan,
    "dispersion": np.nan,
    "dispersion_p": np.nan,
    "beyond_plain": np.nan,
    "skewness": np.nan,
    "normal_p": np.nan,
    "autocorrelation": np.nan,
    "autocorrelation_usual": np.nan,
    "memory": np.nan,
    "memory_usual": np.nan,
}


def _in_a_row(periods: int) -> str:
    return counted(periods, "period") + " in a row" * (periods > 1)


def _from_to(chances, digits: int) -> str:
    low, high = (f"{each:.{digits}%}" for each in (min(chances), max(chances)))
    return low if low == high else f"{low} to {high}"


def _of_all(some: pd.Series) -> str:
    """Whose baselines, by number."""
    if some.all():
        return "All baselines are" if len(some) > 1 else "The baseline is"
    return f"The baselines of {some.sum()} of {len(some)} series are"


@dataclass(frozen=True)
class Choice:
    """A kind of chart and why.

    Attributes
    ----------
    kind, sigma_method, reason, rejected : str
        ``kind`` is blank where none suits; ``reason`` then says why.
    """

    kind: str
    sigma_method: str
    reason: str
    rejected: str


def chart_choice(
    series: pd.DataFrame,
    *,
    baseline_until: str | None = None,
    watched: int = 13,
    budget: float = 0.1,
    simulations: int = 4000,
    rng: np.random.Generator,
) -> ChartChoice:
    """Choose chart and rules of each series from its baseline.

    Parameters
    ----------
    series : DataFrame, one row a series and period
        ``series``, ``data`` (share, rate, count, mean, score, nps, gap, time), ``period``, ``n``,
        ``value``, ``sd``, ``better``, ``mature``.
    baseline_until : str, optional
        A date: periods that begin before it are the baseline; all if not given.
    watched : int, default 13
        Latest periods of the chart, in which a false alarm counts; 13 weeks are a quarter.  They
        are the first after the baseline only where no more have come yet.
    budget : float, default 0.1
        Chance of one in them that a chart may have.
    simulations : int, default 4000
    rng : Generator

    Returns
    -------
    ChartChoice
        A series that no chart suits has a blank ``kind``, and the reason in ``note``.

    Raises
    ------
    Problem
        If a column is missing, a period comes twice, or counts are impossible.
    Refusal
        If there is no series, or no chart suits any.

    Notes
    -----
    Gaps take a g chart, times a t chart.  Counts take p, u or c where counting explains their
    spread (chi-squared over its degrees of freedom [1]_, upper tenth) and a variance twice that of
    counting is excluded (95 %), else Laney's p' or u' [2]_.  A variance 1.5 times that of counting
    still passes in about one of four baselines of 24 or 52 periods, and signals then come two to
    five times as often as stated, by the rules (``false_alarm_wide``).  Where fewer than two are
    expected in a typical period Laney's sigma is made of lone events, and plain limits are widened
    instead; below one expected there is no chart of counts.  Means of records take xbar by the same
    rule, else I'; single values XmR, and a run chart where they do not spread like a bell (Shapiro
    and Wilk, upper tenth).  From 8 to 11 periods a run chart is all that can be had.

    Sigma of XmR, p' and u' is the standard deviation, not the mean moving range: a correlation of
    0.4 between neighbours goes unnoticed in four of ten baselines of 24 periods, and where it does,
    limits from moving ranges signal two to three times as often as stated.  What the moving range
    is there for, a step in the baseline, shows as neighbours that are alike.  Where these are more
    alike than in 95 of 100 independent series, the law has a first-order autoregression, and the
    chances and widened limits allow for it: the chart stays on the scale of the series, which a
    chart of residuals would leave.  Where periods 2 to 6 apart are alike too, more than in 95 of
    100 such autoregressions, or neighbours correlate above 0.7, there is a season, a trend or a
    step, no steady level, and no chart.

    Of the rule sets within the budget the richest is taken, except that one is passed over where
    another has a smaller chance of false alarms and this one tells a shift of one sigma less than a
    tenth sooner.  Those delays are of normal periods with known limits, simulated, the same periods
    for all sets.

    References
    ----------
    .. [1] Wetherill, G. B., Brown, D. W. (1991). Statistical Process Control: Theory and Practice.
       Chapman and Hall, pp. 212-218.
    .. [2] Laney, D. B. (2002). Improved control charts for attributes. Quality Engineering 14,
       531-537. doi:10.1081/QEN-120003555

    Examples
    --------
    10 and 20 of 100 in turn spread more than counting explains (p = 0.015).

    >>> weeks = pd.DataFrame({"series": "late", "data": "share", "n": 100.0, "sd": np.nan,
    ...     "value": [10.0, 20.0, 20.0, 10.0] * 6, "better": "lower", "mature": True,
    ...     "period": pd.date_range("2025-01-06", periods=24, freq="7D")})
    >>> found = chart_choice(weeks, simulations=500, rng=np.random.default_rng(1))
    >>> found.table["kind"][0]
    "p'"
    """
    need_columns(series, SERIES, source="The series")
    need_share(budget, name="budget")
    need_whole(watched, name="watched", least=1)
    need_whole(simulations, name="simulations", least=100)
    names = list(dict.fromkeys(series["series"]))
    if not names:
        raise Refusal("There is no series to chart.", "follow at least one CTQ or count.")
    found = [
        _examined(
            series[series["series"] == name],
            str(name),
            baseline_until,
            watched,
            budget,
            simulations,
            each,
        )
        for name, each in zip(names, rng.spawn(len(names)), strict=True)
    ]
    table = pd.DataFrame([row for row, _ in found])
    charts = table[table["kind"] != ""]
    if charts.empty:
        each = [f"{row.series} ({row.note})" for row in table.itertuples()]
        raise Refusal(
            f"No chart suits any series: {listed(each, most=5, apart='; ')}.",
            "collect more periods, or count over longer ones.",
        )
    tried = [each for _, sets in found for each in sets]
    return ChartChoice(
        table=table,
        watched=watched,
        budget=budget,
        charted=len(charts),
        popular=float(np.nan_to_num(charts["popular_false_alarm"].mean())),
        taken_mean=float(charts["false_alarm"].mean()),
        taken_low=float(charts["false_alarm"].min()),
        taken_high=float(charts["false_alarm"].max()),
        widened=sum(name == "" for name in charts["rule_set"]),
        set_series=tuple(each[0] for each in tried),
        set_name=tuple(each[1] for each in tried),
        set_chance=tuple(each[2] for each in tried),
        set_taken=tuple(each[3] for each in tried),
    )


# --- One series ------------------------------------------------------------------------------


def _examined(rows, name, until, watched, budget, simulations, rng) -> tuple[dict, list[tuple]]:
    """Its row of the table, and every rule set tried: series, name, chance, whether taken."""
    data = str(rows["data"].iloc[0])
    blank = {"series": name, "data": data, **_NO_CHART, **EVIDENCE, **_NO_REASON}
    try:
        base, later = _parted(rows, until)
        blank["baseline_periods"] = len(base)
        law = steady_from(base)
        blank |= evidence_of(base, law)
        choice = suited(law, blank)
        if not choice.kind:
            return {**blank, "note": choice.reason, "rejected": choice.rejected}, []
        fewest = steady_process.FEWEST_PERIODS if choice.kind == "run" else FEWEST_FOR_LIMITS
        limits = chart_limits.limits_from(
            base, kind=choice.kind, sigma_method=choice.sigma_method, fewest=fewest
        )
    except Refusal as why:
        return {**blank, "note": why.what[0].lower() + why.what[1:].rstrip(".")}, []
    still = np.resize(base["n"].to_numpy(), max(watched - len(later), 0))
    n = np.concatenate([base["n"], later["n"], still])
    chart = _Chart(law, limits, n, np.arange(len(n)) < len(base), watched, simulations)
    ruled, tried = _ruled(chart, name, budget, rng)
    choice = replace(choice, reason=choice.reason + _bargain_words(ruled))
    said = {field.name: getattr(choice, field.name) for field in fields(choice)}
    return {
        **blank,
        **said,
        "convention": limits.convention,
        **ruled,
        "note": _note(law, choice),
    }, tried


_NO_CHART = {
    "kind": "",
    "sigma_method": "",
    "convention": "",
    "rules": "",
    "rule_set": "",
    "sigmas": np.nan,
    "passed_over": "",
    "false_alarm": np.nan,
    "false_alarm_low": np.nan,
    "false_alarm_high": np.nan,
    "false_alarm_wide": np.nan,
    "false_alarm_chart": np.nan,
    "arl_periods": np.nan,
    "arl_low_periods": np.nan,
    "arl_high_periods": np.nan,
    "popular_false_alarm": np.nan,
}
_NO_REASON = {"rejected": "", "reason": "", "note": ""}


def _parted(rows: pd.DataFrame, until: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mature periods of the baseline and those after it."""
    rows = chart_limits.sound(rows)
    rows = rows[rows["mature"].astype(bool)]
    if until is None:
        return rows, rows.iloc[:0]
    if not pd.api.types.is_datetime64_any_dtype(rows["period"]):
        raise Problem("The periods are no dates.", "give each period's first day as a date.")
    before = local(rows["period"]) < pd.Timestamp(until)
    return rows[before], rows[~before]


def evidence_of(base: pd.DataFrame, law: Steady) -> dict:
    """What is known of a baseline that decides its chart, as columns of the table."""
    n, value = (base[name].to_numpy(dtype=float) for name in ("n", "value"))
    rate = value / n if law.data in COUNTED else value
    rarer = min(law.level, 1 - law.level) if law.data == "share" else law.level
    one = steady_process.sampling_variance(law)
    outside = np.abs(rate - law.level) > 3 * np.sqrt(one / n) if one > 0 else np.array([np.nan])
    skewed = law.data in MEASURED and len(n) >= FEWEST_FOR_LIMITS
    return {
        "baseline_periods": len(n),
        "baseline_days": _days(base["period"]),
        "n_median": law.size,
        "n_ratio": float(n.max() / n.min()),
        "expected": law.size * rarer if law.data in COUNTED else np.nan,
        "zeros": float((value == 0).mean()),
        "dispersion": law.dispersion,
        "dispersion_p": law.dispersion_p,
        "beyond_plain": float(outside.mean()),
        "skewness": float(stats.skew(rate, bias=False)) if skewed else np.nan,
        "normal_p": float(stats.shapiro(rate).pvalue) if skewed else np.nan,
        "autocorrelation": law.autocorrelation,
        "autocorrelation_usual": law.autocorrelation_usual,
        "memory": law.memory,
        "memory_usual": law.memory_usual,
    }


def _days(period: pd.Series) -> float:
    if not pd.api.types.is_datetime64_any_dtype(period):
        return np.nan
    return float((period.max() - period.min()) / pd.Timedelta(days=1))


def suited(law: Steady, evidence: dict) -> Choice:
    """The kind of chart that the evidence of one series calls for.

    Parameters
    ----------
    law : Steady
    evidence : dict
        The columns of the table from ``baseline_periods`` to ``memory_usual``.

    Examples
    --------
    >>> law = Steady("gap", "geometric", 30, 0, 0, np.nan, 0, 24, 1, 0, 0.2, 0, 0.2, np.nan, np.nan)
    >>> suited(law, {**EVIDENCE, "baseline_periods": 24}).kind
    'g'
    """
    alike = law.autocorrelation > law.autocorrelation_usual
    if alike and (law.memory > law.memory_usual or law.autocorrelation > WANDERS):
        return Choice("", "", _wanders_words(law), "all: their limits need one level to be about")
    if evidence["baseline_periods"] < FEWEST_FOR_LIMITS:
        few = f"{evidence['baseline_periods']} periods"
        return Choice(
            "run", "", f"{few} give a median and runs", f"limits: {few}, {FEWEST_FOR_LIMITS} needed"
        )
    if law.data in ("gap", "time"):
        return _rare_events(law, alike)
    return _counts(law, evidence, alike) if law.data in COUNTED else _means(law, evidence, alike)


def _wanders_words(law: Steady) -> str:
    return (
        f"the level wanders (neighbouring periods correlate {law.autocorrelation:.2f}, those 2 to 6"
        f" apart {law.memory:.2f}, usual up to {law.memory_usual:.2f}): allow for season and trend"
        " first, or take a steady stretch as the baseline"
    )


def _alike_words(alike: bool, law: Steady) -> str:
    if not alike:
        return ""
    return (
        f"; neighbouring periods are alike (correlation {law.autocorrelation:.2f}, usual up to"
        f" {law.autocorrelation_usual:.2f}), which the chance of a false alarm allows for"
    )


def _rare_events(law: Steady, alike: bool) -> Choice:
    kind, words = ("g", "geometric") if law.data == "gap" else ("t", "Weibull")
    reason = f"events followed one by one: {words} law" + _alike_words(alike, law)
    return Choice(kind, "", reason, "xmr: gaps are skewed, so its limits cry wolf at long ones")


def _counts(law: Steady, evidence: dict, alike: bool) -> Choice:
    plain, laney = {"share": ("p", "p'"), "rate": ("u", "u'"), "count": ("c", "u'")}[law.data]
    plain = "u" if plain == "c" and evidence["n_ratio"] > 1 else plain
    expected, spread = evidence["expected"], _spread_words(law)
    if expected < RARE:
        return Choice("", "", _rare_words(expected), f"{plain}, {laney}: a lone event would signal")
    if not alike and _counting_alone(law):
        return Choice(plain, "", spread, f"{laney}: nothing beyond counting noise to correct")
    if expected < FEW and not alike and law.dispersion_p >= steady_process.DISPERSED:
        return Choice(plain, "", spread, f"{laney}: its sigma would be made of lone events")
    if expected < FEW:
        return Choice(
            plain,
            "",
            f"{spread}, but only {expected:.1f} expected a period, so limits are widened instead"
            + _alike_words(alike, law),
            f"{laney}: where so few are expected its sigma is made of lone events",
        )
    return Choice(
        laney,
        WHOLE_SPREAD,
        spread + _alike_words(alike, law),
        f"{plain}: its limits know counting noise only, {evidence['beyond_plain']:.0%} of the"
        f" baseline outside; xmr: does not allow for the size of a period; {MOVING_WORDS}",
    )


def _rare_words(expected: float) -> str:
    return (
        f"too rare by the period ({expected:.2g} expected in a typical one): follow the cases or"
        " days from one event to the next, data gap or time, on a g or t chart"
    )


def _spread_words(law: Steady) -> str:
    than = "counting" if law.data in COUNTED else "sampling"
    wide = law.dispersion_p < steady_process.DISPERSED
    told = (
        f"variance {law.dispersion:,.1f} times that of {than} ({spell_p(law.dispersion_p)}),"
        f" {'more than' if wide else 'no more than'} chance explains"
    )
    if wide:
        return told
    known = "is excluded" if _counting_alone(law) else "is not excluded by so few periods"
    return f"{told}; twice that of {than} {known}"


def _counting_alone(law: Steady) -> bool:
    """Whether counting or sampling explains the spread, and twice its variance is excluded."""
    degrees = law.periods - 1
    excluded = law.dispersion < TWICE * stats.chi2.ppf(0.05, degrees) / degrees
    return bool(excluded and law.dispersion_p >= steady_process.DISPERSED)


def _means(law: Steady, evidence: dict, alike: bool) -> Choice:
    sampled, told = law.within > 0, _alike_words(alike, law)
    if not (sampled and _counting_alone(law)) and evidence["normal_p"] < UNLIKE_NORMAL:
        return Choice(
            "run",
            "",
            f"values do not spread like a bell (skewness {evidence['skewness']:.1f},"
            f" {spell_p(evidence['normal_p'])}): median and runs need no bell{told}",
            "xmr, i': their limits need values that spread like a bell",
        )
    if sampled and not alike and _counting_alone(law):
        return Choice("xbar", "", _spread_words(law), "xmr, i': no more than sampling to allow for")
    outside = f"xbar: its limits know sampling only, {evidence['beyond_plain']:.0%} of the baseline"
    if sampled and (not alike or evidence["n_ratio"] > SIZES_DIFFER):
        return Choice(
            "i'",
            "",
            _spread_words(law) + told,
            f"{outside} outside; xmr: does not allow for the number of records",
        )
    return Choice(
        "xmr",
        WHOLE_SPREAD,
        (_spread_words(law) if sampled else "single values that spread like a bell") + told,
        (f"{outside} outside; " if sampled else "xbar: no spread within a period; ") + MOVING_WORDS,
    )


def _note(law: Steady, choice: Choice) -> str:
    if law.data in ("gap", "time"):
        return "periods are events"
    single = choice.kind == "xmr" and not law.within
    return SHORT_NOTE if single and law.periods < SHORT else ""


# --- Its rules -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Chart:
    """A chart whose rules are looked for."""

    law: Steady
    limits: chart_limits.Limits
    n: np.ndarray
    base: np.ndarray
    watched: int
    simulations: int

    def settings(self, rng) -> dict:
        return {
            "kind": self.limits.kind,
            "sigma_method": _method(self.limits),
            "convention": self.limits.convention,
            "sigmas": self.limits.sigmas,
            "simulations": self.simulations,
            "rng": rng,
        }

    def scores(self, law: Steady, rng) -> np.ndarray:
        return steady_process.scores(law, self.n, self.base, **self.settings(rng))

    def alarms(self, z: np.ndarray, rules) -> steady_process.FalseAlarms:
        return steady_process.alarms_of(z, self.base, rules=rules, last=self.watched)


def _ruled(chart: _Chart, name: str, budget: float, rng) -> tuple[dict, list[tuple]]:
    """The richest rules within the budget, with their chances, and all that were tried."""
    z = chart.scores(chart.law, rng)
    sets = rule_sets(chart.limits.kind, int(chart.base.sum()))
    found = {each: chart.alarms(z, rules) for each, rules in sets.items()}
    within = [each for each in sets if found[each].lately_high <= budget]
    taken, passed = _bargain({each: found[each].lately for each in within}, sets)
    rules = sets[taken] if taken else _widened(z, chart, budget)
    stated = steady_process.false_alarms(
        chart.law, chart.n, chart.base, rules=rules, last=chart.watched, **chart.settings(rng)
    )
    tried = [(name, each, found[each].lately, each == taken) for each in sets]
    beyond = [pattern.size for pattern in rules.patterns if pattern.kind == "beyond"]
    return {
        "rules": str(rules),
        "rule_set": taken,
        "sigmas": beyond[0] if beyond else np.nan,
        "passed_over": ", ".join(passed),
        "false_alarm": stated.lately,
        "false_alarm_low": stated.lately_low,
        "false_alarm_high": stated.lately_high,
        "false_alarm_wide": _if_wider(chart, rules, rng),
        "false_alarm_chart": stated.ever,
        "arl_periods": stated.run_length,
        "arl_low_periods": stated.run_length_low,
        "arl_high_periods": stated.run_length_high,
        "popular_false_alarm": found[POPULAR].lately if POPULAR in found else np.nan,
    }, tried


def _bargain(chance: dict[str, float], sets: dict) -> tuple[str, list[str]]:
    """The richest set that no other beats, and the richer ones passed over; blank if none."""
    delay = {each: _delay(str(sets[each])) for each in chance}
    beaten = [
        any(chance[b] < chance[a] and delay[a] > (1 - SOONER) * delay[b] for b in chance)
        for a in chance
    ]
    taken = [each for each, worse in zip(chance, beaten, strict=True) if not worse]
    if not taken:
        return "", []
    names = list(chance)
    return taken[-1], names[names.index(taken[-1]) + 1 :]


@lru_cache(maxsize=256)
def _delay(rules: str) -> float:
    """Mean periods until a shift of one sigma is told."""
    rng = np.random.default_rng(0)  # the same periods for all rules, so that these are compared
    return run_length.simulated(
        lambda z: signal_rules.marks(z, rules)[0], shift=1.0, periods=100, simulations=2000, rng=rng
    ).arl


def _bargain_words(ruled: dict) -> str:
    if not ruled["passed_over"]:
        return ""
    return (
        f"; passed over, though within the budget: {ruled['passed_over']}, with more false alarms"
        " and a shift of one sigma told less than a tenth sooner, if at all"
    )


def _if_wider(chart: _Chart, rules: signal_rules.Rules, rng) -> float:
    """Chance of a false alarm if more variance than counting gives has gone unnoticed."""
    law = chart.law
    if chart.limits.kind not in PLAIN or law.between:
        return np.nan
    more = UNNOTICED * steady_process.sampling_variance(law) / law.size
    wider = replace(law, between=float(np.sqrt(more)))
    return chart.alarms(chart.scores(wider, rng), rules).lately


def _method(limits: chart_limits.Limits) -> str:
    return "" if limits.kind == "t" else limits.sigma_method


def rule_sets(kind: str, periods: int) -> dict[str, signal_rules.Rules]:
    """The rule sets that suit a kind of chart, the plainest first.

    Examples
    --------
    >>> list(rule_sets("run", 24))
    ['longest run', 'longest run and crossings']
    """
    if kind != "run":
        return {each: signal_rules.rule_set(each, periods=periods) for each in signal_rules.NAMED}
    run = signal_rules.longest_run_allowed(periods)
    few = signal_rules.fewest_crossings(periods)
    return {
        RUN_SETS[1]: signal_rules.rules_of(f"run over {run}"),
        RUN_SETS[0]: signal_rules.rules_of(f"run over {run} + crossings under {few} in {periods}"),
    }


def _widened(z: np.ndarray, chart: _Chart, budget: float) -> signal_rules.Rules:
    """Limits so wide, or runs so long, that steady series stay within the budget."""
    enough = max(budget * (1 - 1.64 / np.sqrt(budget * len(z))), 0.0)
    if chart.limits.kind == "run":
        longest = signal_rules.running(z)[:, -chart.watched :].max(axis=1)
        run = int(np.quantile(longest, 1 - enough, method="inverted_cdf"))
        return signal_rules.rules_of(f"run over {min(run, LONGEST_RUN)}")
    farthest = np.quantile(
        np.abs(z[:, -chart.watched :]).max(axis=1), 1 - enough, method="inverted_cdf"
    )
    sigmas = STEP * np.ceil(max(farthest, 3.0) / STEP)
    return signal_rules.rules_of(f"beyond {sigmas:.2f}")
