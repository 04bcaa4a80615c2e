"""Who differs from the rest by more than chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, unit_spread
from sqm.checks import need_one_of, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import spell, spell_p

MULTIPLICITY = ("false discovery rate", "Bonferroni", "none")
FEW_UNITS = 10  # below which the spread between units is hardly known
SMALL = "(small units together)"
SOURCE = "The table of units"


@dataclass(frozen=True, eq=False)
class FairComparison(Finding):
    """Units set against the rest, with limits that allow for how much units usually differ.

    Attributes
    ----------
    table : DataFrame, one row per unit, the best first, then the small ones together
        ``unit``, ``within``, ``n``, ``value`` (events, or the mean), ``expected`` of it at the
        level of all (of its group); ``crude``; ``adjusted``, the share, rate or mean at the
        average mix; ``low``, ``high``, the limits a usual unit of its size stays between;
        ``plain_low``, ``plain_high``, those of chance alone; ``z``; ``p``; ``flag`` ("",
        "better", "worse"); ``note``.
    kind, better, multiplicity : str
    error : float
        Chance or share of false flags that is allowed.
    confidence : float
    units, flagged_better, flagged_worse, plain_flagged : int
        Compared; flagged; flagged if chance alone were allowed for.
    expected_false : float
        False flags expected at most if every unit were usual (of a false discovery rate: among
        the flagged).
    inflation : float
        Spread of the units over that of chance alone (1: chance explains it).
    spread : float
        Standard deviation between units beyond chance, in the measure's unit.
    real, real_low, real_high : float
        Share of the variance of a typical unit's figure that lies between units.
    record, record_low, record_high : float
        The same of a single record (intraclass correlation); NaN of a rate.
    heterogeneity_p : float
        Chance of such differences if all units were alike (Cochran's Q).
    overall : float
    small, small_n, empty, alone, left_out, unnamed : float
        Small units and their records; units without a record; the only ones of their group;
        records without outcome or expectation; without a unit.
    mixed, grouped : bool
        Whether an expectation given the mix was allowed for; whether inside groups.
    dispersion : float
        Median over units of the variance within a unit over that of independent records.
    smallest : float
    unit, measure : str
        Words for the units and the measure.
    """

    kind: str
    better: str
    multiplicity: str
    error: float
    confidence: float
    units: int
    flagged_better: int
    flagged_worse: int
    plain_flagged: int
    expected_false: float
    inflation: float
    spread: float
    real: float
    real_low: float
    real_high: float
    record: float
    record_low: float
    record_high: float
    heterogeneity_p: float
    overall: float
    small: int
    small_n: float
    empty: int
    alone: int
    left_out: int
    unnamed: int
    mixed: bool
    grouped: bool
    dispersion: float
    smallest: float
    unit: str
    measure: str

    def sentence(self) -> str:
        return "\n".join([f"{self._found()} {self._real()}", " ".join(self._rests())])

    def _found(self) -> str:
        if not self.flagged_better + self.flagged_worse:
            return f"None of {counted(self.units, self.unit)} stands out from their usual spread."
        sides = []
        for side in ("worse", "better"):
            names = self.table.loc[self.table["flag"] == side, "unit"].tolist()
            if names:
                shown = [look.shorten(name, width=16) for name in names]
                sides.append(f"{side}: {listed(shown, most=2)}")
        out = self.flagged_better + self.flagged_worse
        return (
            f"{out} of {counted(self.units, self.unit)} stand{'s' * (out == 1)} out "
            f"({'; '.join(sides)}), the other {self.units - out} cannot be told apart."
        )

    def _real(self) -> str:
        return f"Of the spread of their figures {self._spelt('real')} is real, the rest chance."

    def _spelt(self, name: str) -> str:
        return spell(
            *(100 * getattr(self, name + end) for end in ("", "_low", "_high")),
            confidence=self.confidence,
            digits=0,
            unit="%",
        )

    def _rests(self) -> list[str]:
        words = [self._limits(), self._chance(), self._spreads()]
        if self.mixed:
            words.append("Each is set against what its own mix of records would lead to.")
        if self.grouped:
            words.append("Each is compared with the others of its own group only.")
        if self.dispersion > 1.005:
            words.append(
                f"Within a {self.unit} weeks vary {self.dispersion:.2f} times as much (variance) "
                "as independent records would, which is allowed for."
            )
        if self.units < FEW_UNITS:
            words.append(
                f"With {self.units} of them their usual spread is hardly known, and the limits "
                "are wide."
            )
        return words + self._left_out() + ["A unit's own trend is not judged here."]

    def _limits(self) -> str:
        limits = f"The limits allow for the usual spread between {self.unit}s"
        if self.inflation <= 1:
            return f"{limits}, which is no larger than chance explains."
        told = f"{self.plain_flagged} of {self.units}"
        return (
            f"{limits}: its variance is {self.inflation:.1f} times that of chance, outermost tenth "
            f"drawn in. Limits for chance alone would flag {told}."
        )

    def _chance(self) -> str:
        if self.multiplicity == "false discovery rate":
            return (
                f"Of those flagged at most {self.error:.0%} are false in the long run (Benjamini "
                f"and Hochberg); if all were usual, one or more would be flagged with a chance of "
                f"about {self.error:.0%}."
            )
        if self.multiplicity == "Bonferroni":
            return f"If all were usual, one or more would be flagged with {self.error:.0%} at most."
        return (
            f"Each was tested alone: if all were usual, {self.expected_false:.1f} would be flagged."
        )

    def _spreads(self) -> str:
        unit = " percentage points" if self.kind == "share" else ""
        times = 100 if self.kind == "share" else 1
        words = (
            f"Beyond chance they differ with a standard deviation of {self.spread * times:.3g}"
            f"{unit} around {_written(self.overall, self.kind)} "
            f"(all alike: {spell_p(self.heterogeneity_p)})"
        )
        if np.isfinite(self.record):
            told = [f"{100 * x:.2g}" for x in (self.record, self.record_low, self.record_high)]
            words += f". The {self.unit} explains {told[0]} % ({told[1]} to {told[2]}; approximate)"
            words += " of the variance between single records"
        return words + "."

    def _left_out(self) -> list[str]:
        words = []
        if self.small:
            words.append(
                f"{counted(self.small, self.unit)} with fewer than {self.smallest:g} expected "
                "events are neither named nor flagged."
                if self.kind != "mean"
                else f"{counted(self.small, self.unit)} with fewer than {self.smallest:g} records "
                "are neither named nor flagged."
            )
        out = {
            f"{self.unit}s without a record": self.empty,
            f"{self.unit}s alone in their group": self.alone,
            "records without outcome or expectation": self.left_out,
            f"records that name no {self.unit}": self.unnamed,
        }
        told = [f"{number:,} {what}" for what, number in out.items() if number]
        return words + ([f"Left out: {', '.join(told)}."] if told else [])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, times = look.axes(ax), 100 if self.kind == "share" else 1
        table = self.table[self.table["z"].notna()].sort_values("expected", kind="stable")
        size = table["n"]
        for names, style in ((("plain_low", "plain_high"), ":"), (("low", "high"), "-")):
            for name, label in zip(names, (None, _LINES[style]), strict=True):
                ax.plot(
                    *_smooth(size, table[name] * times),
                    color=look.MEANING["limit"],
                    ls=style,
                    lw=1.3,
                    label=label,
                )
        ax.axhline(self.overall * times, color=look.MEANING["limit"], ls="--", label="all")
        for flag, what in (("", "usual"), ("worse", "worse"), ("better", "better")):
            some = table[table["flag"] == flag]
            ax.plot(
                some["n"],
                some["adjusted"] * times,
                ls="",
                marker=look.MARKER[what],
                color=look.MEANING[what],
                ms=5 if what == "usual" else 7,
                label=flag or "usual",
            )
            for row in some.itertuples() if flag else ():
                ax.annotate(
                    look.shorten(row.unit, width=18),
                    (row.n, row.adjusted * times),
                    xytext=(5, 3),
                    textcoords="offset points",
                    fontsize="x-small",
                )
        if len(size) and size.max() > 20 * size.min():
            ax.set_xscale("log")
        ax.legend(
            fontsize="small", frameon=False, ncols=6, loc="upper left", bbox_to_anchor=(0, -0.18)
        )
        measure = f"{self.measure} (%)" if self.kind == "share" else self.measure
        mixed = ", at the average mix" if self.mixed else ""
        return look.label(
            ax,
            title=f"Which {self.unit}s differ by more than chance?",
            x="exposure" if self.kind == "rate" else "records",
            y=look.shorten(measure + mixed),
        )


_LINES = {":": "chance alone", "-": "usual spread"}


def _written(value: float, kind: str) -> str:
    return f"{value:.1%}" if kind == "share" else f"{value:.4g}"


def _smooth(size: pd.Series, limit: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A limit by size; of units of one size, the mean."""
    mean = limit.groupby(size).mean().sort_index()
    return mean.index.to_numpy(), mean.to_numpy()


def fair_comparison(
    units: pd.DataFrame,
    *,
    kind: str = "share",
    better: str = "lower",
    multiplicity: str = "false discovery rate",
    error: float = 0.05,
    smallest: float = 5.0,
    confidence: float = 0.95,
    unit: str = "unit",
    measure: str = "",
) -> FairComparison:
    """Compare units on a share, a rate or a mean, without calling chance a difference.

    Parameters
    ----------
    units : DataFrame, one row per unit
        As `case_mix.units_of` makes it: ``unit``, ``n``, ``value`` (events of a share or rate,
        else the mean; then ``sd`` of the records too); optional ``expected`` given the mix,
        ``within`` (compare with the others of the same group), ``dispersion``.
    kind : {"share", "rate", "mean"}, default "share"
    better : {"lower", "higher"}, default "lower"
        Which way the measure should go.
    multiplicity : {"false discovery rate", "Bonferroni", "none"}
        How it is allowed for that many units are looked at.
    error : float, default 0.05
    smallest : float, default 5
        Expected events (of a share the rarer outcome; of a mean records) below which a unit is
        neither named nor flagged; such units stand in one row together.
    confidence : float, default 0.95
    unit, measure : str
        Words for sentence and picture: ``site``; ``complaints per contact``.

    Returns
    -------
    FairComparison

    Raises
    ------
    Problem
        A unit without a name or twice, more events than cases, or a setting nobody knows.
    Refusal
        Fewer than three units large enough, no event at all, or nothing but events.

    Notes
    -----
    Distances from the level of all (of the group) are taken where their variance does not
    depend on the level: arcsine of the root of a share, root of observed over expected.  The
    limits add the variance between units by moments with the outermost tenth drawn in
    (`unit_spread.winsorised_spread`; [1]_, [2]_), so that a unit is flagged only where it stands
    out from how units usually differ.  p is of Student's t, as that variance is itself an
    estimate.  Flags: Benjamini and Hochberg's step-up rule [3]_, Bonferroni's, or each alone.
    ``real`` is variance between units / (that + chance variance of a typical unit), its interval
    by the Q-profile (`unit_spread.profile`), which takes true levels as normal; the outliers
    count in it.  The level of all holds the outliers too, as published: one that is very far out
    among few, or very large, moves it away from the others.  The interval of a share or a rate is
    approximate where expected events are few.

    References
    ----------
    .. [1] Spiegelhalter, D. J. (2005). Funnel plots for comparing institutional performance.
       Statistics in Medicine 24, 1185-1202. doi:10.1002/sim.1970
    .. [2] Spiegelhalter, D. J. (2005). Handling over-dispersion of performance indicators.
       Quality and Safety in Health Care 14, 347-351. doi:10.1136/qshc.2005.013755
    .. [3] Benjamini, Y., Hochberg, Y. (1995). Journal of the Royal Statistical Society B 57,
       289-300. doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    Nine units alike and one with twice the share.

    >>> units = pd.DataFrame({"unit": list("abcdefghij"), "n": 1000, "value": [100] * 9 + [200]})
    >>> found = fair_comparison(units)
    >>> found.flagged_worse, found.flagged_better, round(found.overall, 3)
    (1, 0, 0.11)
    """
    need_one_of(better, ("lower", "higher"), name="better")
    need_one_of(multiplicity, MULTIPLICITY, name="multiplicity")
    need_share(error, name="error")
    need_share(confidence, name="confidence")
    found = unit_spread.units_from(units, kind=kind, smallest=smallest, source=SOURCE)
    between, inflation = unit_spread.winsorised_spread(found)
    usual, z, p = unit_spread.distances(found, between)
    plain, _, plain_p = unit_spread.distances(found, 0.0)
    flagged, at = _chosen(p, multiplicity, error)
    flag = np.where(flagged, np.where((z > 0) == (better == "higher"), "better", "worse"), "")
    table = _table(found, usual, plain, z, p, at, error if multiplicity == "none" else at, flag)
    table = _ordered(table, found, better)
    return FairComparison(
        table=table,
        kind=kind,
        better=better,
        multiplicity=multiplicity,
        error=error,
        confidence=confidence,
        units=len(found.y),
        flagged_better=int((flag == "better").sum()),
        flagged_worse=int((flag == "worse").sum()),
        plain_flagged=int(_chosen(plain_p, multiplicity, error)[0].sum()),
        expected_false=_expected_false(multiplicity, error, len(p), int(flagged.sum())),
        inflation=inflation,
        **_consistency(found, confidence),
        overall=found.overall,
        small=found.small,
        small_n=found.small_n,
        empty=found.empty,
        alone=found.alone,
        left_out=_count(units, "left_out", sum),
        unnamed=_count(units, "unnamed", max),
        mixed="expected" in units and bool(units["expected"].notna().any()),
        grouped=found.groups > 1,
        dispersion=float(np.median(found.dispersion)),
        smallest=smallest,
        unit=unit,
        measure=measure or {"share": "share", "rate": "rate", "mean": "mean"}[kind],
    )


def _count(units: pd.DataFrame, column: str, how) -> int:
    return int(how(units[column].fillna(0))) if column in units and len(units) else 0


def _chosen(p: np.ndarray, multiplicity: str, error: float) -> tuple[np.ndarray, float]:
    """Which units are flagged, and the chance at which the limits are drawn."""
    m = len(p)
    if multiplicity == "none":
        return p < error, error
    if multiplicity == "Bonferroni":
        return p < error / m, error / m
    ordered = np.sort(p)
    under = np.flatnonzero(ordered <= error * np.arange(1, m + 1) / m)
    at = error * (under[-1] + 1) / m if len(under) else error / m
    return p <= at if len(under) else np.zeros(m, dtype=bool), float(at)


def _expected_false(multiplicity: str, error: float, units: int, flagged: int) -> float:
    if multiplicity == "none":
        return error * units
    return error * flagged if multiplicity == "false discovery rate" else error


def _table(found, usual, plain, z, p, at, plain_at, flag) -> pd.DataFrame:
    # the same quantile as the p-value: a point beyond its limit is a point with p below `at`
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.abs(z) / stats.norm.isf(np.clip(p, 1e-300, 1) / 2)
    wide = np.where(np.isfinite(wide) & (wide > 0), wide, 1.0)
    half, thin = stats.norm.isf(at / 2) * usual * wide, stats.norm.isf(plain_at / 2) * plain
    return pd.DataFrame(
        {
            "unit": found.names,
            "within": found.within,
            "n": found.n,
            "value": found.value,
            "expected": found.expected,
            "crude": found.value if found.kind == "mean" else found.value / found.n,
            "adjusted": unit_spread.back(found, found.y),
            "low": unit_spread.back(found, -half),
            "high": unit_spread.back(found, half),
            "plain_low": unit_spread.back(found, -thin),
            "plain_high": unit_spread.back(found, thin),
            "z": z,
            "p": p,
            "flag": flag,
            "note": "",
        }
    )


def _ordered(table: pd.DataFrame, found, better: str) -> pd.DataFrame:
    """The best first; small units in one row at the end."""
    table = table.sort_values(
        ["adjusted", "within", "unit"], ascending=[better == "lower", True, True]
    )
    if found.small:
        joined = {"unit": SMALL, "within": "", "n": found.small_n, "value": found.small_value}
        crude = found.small_value / (1 if found.kind == "mean" else found.small_n)
        note = f"{counted(found.small, 'unit')} too small to be judged"
        row = pd.DataFrame([{**joined, "crude": crude, "flag": "", "note": note}])
        table = pd.concat([table, row.reindex(columns=table.columns)], ignore_index=True)
    return table.reset_index(drop=True)


def _consistency(found, confidence: float) -> dict[str, float]:
    """How much of the variance of a unit's figure, and of a record, lies between units."""
    limits = np.array(unit_spread.profile(found, confidence=confidence))
    real = limits / (limits + unit_spread.typical_error(found))
    p, free = found.overall, len(found.y) - found.groups
    if found.kind == "share":
        record, spread = np.minimum(4 * limits, 1.0), 2 * np.sqrt(limits[0] * p * (1 - p))
    elif found.kind == "rate":
        record, spread = np.full(3, np.nan), 2 * np.sqrt(limits[0]) * p
    else:
        own = np.average(found.sd**2, weights=found.n)
        record, spread = limits / (limits + own), np.sqrt(limits[0])
    ends = ("", "_low", "_high")
    return {
        **{f"real{end}": float(x) for end, x in zip(ends, real, strict=True)},
        **{f"record{end}": float(x) for end, x in zip(ends, record, strict=True)},
        "spread": float(spread),
        "heterogeneity_p": float(stats.chi2.sf(unit_spread.heterogeneity(found), free)),
    }
