"""How capable is the service of meeting its limits?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import digits_for, spell, wilson

SHIFT = 1.5  # by convention, between a long-term z and a "sigma level"
COUNTED = (1, 2, 5, 10, 20)
FEWEST = 10
TAIL = 0.00135  # beyond 3 standard deviations of a normal curve, on one side
WITHIN = ("pooled", "range")
SIDES = ("upper", "lower", "two-sided")


# --- Defects per million opportunities ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Dpmo(Finding):
    """Defects per million opportunities, and what counting more of these does to sigma.

    Attributes
    ----------
    table : DataFrame, one row per CTQ and number of opportunities
        ``ctq``; ``opportunities`` counted in a record; ``declared``, whether
        it is the CTQ's own number; ``n`` records and ``defects``; ``share``,
        ``share_low``, ``share_high``, of records with a defect (0 to 1);
        ``dpmo``, ``dpmo_low``, ``dpmo_high``; ``estimate``, ``low``, ``high``,
        the sigma level with the shift; ``sigma_unshifted``; ``note``.
    shift : float
        Added to the long-term z by convention; 0 for none.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    shift: float
    confidence: float

    def sentence(self) -> str:
        own = self.table[self.table["declared"]]
        worst = own.loc[own["estimate"].idxmin()]
        dpmo = self._spelt(worst, "dpmo", "dpmo_low", "dpmo_high", digits=0)
        first = (
            f"{look.shorten(worst['ctq'], width=50)}: {dpmo} defects per million opportunities, "
        )
        first += f"{self._sigma(worst)} {self._shift()}; {counted(worst['n'], 'record')}."
        rest = [self._others(own, worst["ctq"]), self._recount(worst["ctq"]), self._cautions(own)]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _spelt(self, row: pd.Series, *names: str, digits: int) -> str:
        return spell(*(row[name] for name in names), confidence=self.confidence, digits=digits)

    def _sigma(self, row: pd.Series) -> str:
        if np.isnan(row["high"]):
            return f"a sigma level of at least {row['estimate']:.2f}"
        if np.isnan(row["low"]):
            return f"a sigma level of at most {row['estimate']:.2f}"
        return f"sigma level {self._spelt(row, 'estimate', 'low', 'high', digits=2)}"

    def _shift(self) -> str:
        return f"with a shift of {self.shift:g}" if self.shift else "without a shift"

    def _others(self, own: pd.DataFrame, shown: str) -> str:
        each = [
            f"{look.shorten(row['ctq'], width=30)} {row['dpmo']:,.0f} ({self._sigma(row)})"
            for _, row in own[own["ctq"] != shown].iterrows()
        ]
        return f"The others, per million: {'; '.join(each)}." if each else ""

    def _recount(self, ctq: str) -> str:
        rows = self.table[self.table["ctq"] == ctq]
        each = ", ".join(f"{row.opportunities}: {row.estimate:.2f}" for row in rows.itertuples())
        return (
            f"The same records give another sigma by every other count of opportunities ({each}): "
            "compare only what was counted alike."
        )

    def _cautions(self, own: pd.DataFrame) -> str:
        said = "Intervals are Wilson's for the share of records; one defect a record is counted."
        if self.shift:
            said += f" The shift of {self.shift:g} is a convention; nothing here measures a drift."
        if (own["defects"] == 0).any():
            said += " Without any defect sigma has no estimate, only a bound."
        return said

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [
            f"{look.shorten(row.ctq, width=30)}, {row.opportunities} counted"
            for row in self.table.itertuples()
        ]
        look.dots(
            ax, self.table, names=names, meaning=np.where(self.table["declared"], "usual", "limit")
        )
        return look.label(
            ax,
            title="Which sigma level do the same records give?",
            x=f"sigma level, {self._shift()} (squares: another count of opportunities)",
        )


def dpmo_table(
    counts: pd.DataFrame,
    *,
    shift: float = SHIFT,
    counted_as: Sequence[int] = COUNTED,
    confidence: float = 0.95,
) -> Dpmo:
    """Give defects per million opportunities and sigma, by what is counted as an opportunity.

    Parameters
    ----------
    counts : DataFrame, one row per CTQ
        ``ctq``, ``n`` records, ``defects`` (records with one); ``opportunities``
        in a record (1 if the column is absent); ``effective_n``, records that
        are independent, if known.  The table of a baseline will do; CTQs without
        a record are left out.
    shift : float, default 1.5
        Added to the long-term z; 0 for none.
    counted_as : sequence of int
        Numbers of opportunities to show beside the CTQ's own.
    confidence : float, default 0.95

    Returns
    -------
    Dpmo

    Raises
    ------
    Problem
        If a column is missing, more defects than records are counted, or a
        number of opportunities is less than 1.
    Refusal
        If no CTQ has a record.

    Notes
    -----
    With p the share of records with a defect and k opportunities in each, DPMO
    = 10^6 p / k and sigma = Phi^-1(1 - p / k) + shift [1]_.  The interval is
    Wilson's of p, carried over: more opportunities are not more records.
    Without a defect, DPMO is 0 and sigma its lower bound.

    References
    ----------
    .. [1] Harry, M. J. (1988). The Nature of Six Sigma Quality. Motorola
       University Press.

    Examples
    --------
    66,807 of a million is the three of the printed table.

    >>> counts = pd.DataFrame({"ctq": ["quick"], "n": [1_000_000], "defects": [66_807]})
    >>> dpmo_table(counts, counted_as=[1]).table[["dpmo", "estimate"]].round(4).values.tolist()
    [[66807.0, 3.0]]
    """
    need_share(confidence, name="confidence")
    need_columns(counts, ["ctq", "n", "defects"], source="the counts")
    judged = counts[counts["n"] > 0]
    if judged.empty:
        raise Refusal("No CTQ has a record.", "count records and the defects among them.")
    _need_counts(judged, counted_as)
    rows = [
        _dpmo_row(ctq, k, shift, confidence)
        for ctq in judged.to_dict("records")
        for k in sorted({int(ctq.get("opportunities", 1)), *map(int, counted_as)})
    ]
    return Dpmo(table=pd.DataFrame(rows), shift=shift, confidence=confidence)


def _need_counts(counts: pd.DataFrame, counted_as: Sequence[int]) -> None:
    odd = counts[(counts["defects"] > counts["n"]) | (counts["defects"] < 0)]
    if len(odd):
        row = odd.iloc[0]
        raise Problem(
            f"The counts: {row['ctq']!r} has {row['defects']} defects in {row['n']} records.",
            "count records with a defect, each once.",
        )
    own = counts.get("opportunities", pd.Series(1, index=counts.index))
    if min([*own, *counted_as]) < 1:
        raise Problem("A number of opportunities is less than 1.", "count at least one.")


def _dpmo_row(ctq: dict, k: int, shift: float, confidence: float) -> dict:
    n, defects = int(ctq["n"]), int(ctq["defects"])
    effective = ctq.get("effective_n")
    p = defects / n
    certain = float(effective) if effective is not None and effective > 0 else n
    shares = (p, *wilson(p, certain, confidence=confidence))
    sigma, high, low = (float(stats.norm.isf(share / k)) + shift for share in shares)
    note = ""
    if defects == 0:
        sigma, high, note = low, np.nan, "no defect seen: sigma is at least this"
    elif defects == n and k == 1:
        sigma, low, note = high, np.nan, "every record failed: sigma is at most this"
    return {
        "ctq": ctq["ctq"],
        "opportunities": k,
        "declared": k == int(ctq.get("opportunities", 1)),
        "n": n,
        "defects": defects,
        **dict(zip(("share", "share_low", "share_high"), shares, strict=True)),
        **dict(zip(("dpmo", "dpmo_low", "dpmo_high"), np.array(shares) * 1e6 / k, strict=True)),
        "estimate": sigma,
        "low": low,
        "high": high,
        "sigma_unshifted": sigma - shift,
        "note": note,
    }


# --- Defects per unit -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DefectsPerUnit(Finding):
    """How many defects a unit carries, step by step.

    Attributes
    ----------
    table : DataFrame, one row per step
        ``step``, ``units``, ``defects``; ``estimate``, ``low``, ``high``,
        defects per unit; ``clean``, ``clean_low``, ``clean_high``, the share
        of units without a defect if defects fall independently (0 to 1).
    confidence : float
        Level of the intervals, 0 to 1.
    """

    confidence: float

    def sentence(self) -> str:
        worst = self.table.loc[self.table["estimate"].idxmax()]
        limits = [worst[name] for name in ("estimate", "low", "high")]
        digits = digits_for(*limits[1:])
        found = spell(*limits, confidence=self.confidence, digits=digits)
        first = (
            f"Most defects a unit come from {look.shorten(str(worst['step']), width=50)}: {found}, "
            f"on {counted(int(worst['units']), 'unit')}."
        )
        rest = (
            f"If they fall independently, {worst['clean']:.1%} of its units have none "
            f"({worst['clean_low']:.1%} to {worst['clean_high']:.1%}). Intervals are Garwood's, "
            "exact for Poisson counts and conservative; where defects come in bunches they are too "
            "narrow, and fewer units are hit than is said here."
        )
        return f"{first}\n{rest}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        look.dots(ax, self.table, names=self.table["step"])
        ax.set_xlim(left=0)
        return look.label(ax, title="How many defects does a unit carry?", x="defects per unit")


def defects_per_unit(
    steps: pd.DataFrame,
    *,
    step: str = "step",
    units: str = "units",
    defects: str = "defects",
    confidence: float = 0.95,
) -> DefectsPerUnit:
    """Count defects per unit (Poisson capability).

    Parameters
    ----------
    steps : DataFrame, one row per step
        A unit may carry several defects.
    step, units, defects : str
        Columns.
    confidence : float, default 0.95

    Returns
    -------
    DefectsPerUnit

    Raises
    ------
    Problem
        If a column is missing, or a step has no unit or a negative count.

    Notes
    -----
    With c defects in u units: c / u, limits chi2(a / 2, 2 c) / (2 u) and
    chi2(1 - a / 2, 2 c + 2) / (2 u) [1]_, conservative; clean units exp(-DPU).

    References
    ----------
    .. [1] Garwood, F. (1936). Biometrika 28, 437-442.
       doi:10.1093/biomet/28.3-4.437

    Examples
    --------
    No defect in 100 units: at most -ln(0.025) / 100 = 0.0369.

    >>> steps = pd.DataFrame({"step": ["answer"], "units": [100], "defects": [0]})
    >>> round(float(defects_per_unit(steps).table["high"][0]), 4)
    0.0369
    """
    need_share(confidence, name="confidence")
    need_columns(steps, [step, units, defects], source="the steps")
    known = steps.dropna(subset=[step, units, defects])
    need_rows(known, 1, source="The table of steps", why="defects per unit")
    odd = known[(known[units] <= 0) | (known[defects] < 0)]
    if len(odd):
        raise Problem(
            f"the steps: {odd.iloc[0][step]!r} has {odd.iloc[0][units]} units and "
            f"{odd.iloc[0][defects]} defects.",
            "count units above 0 and defects from 0.",
        )
    c, u = (known[name].to_numpy(dtype=float) for name in (defects, units))
    tail = (1 - confidence) / 2
    low = np.where(c > 0, stats.chi2.ppf(tail, np.maximum(2 * c, 1)), 0.0) / (2 * u)
    high = stats.chi2.ppf(1 - tail, 2 * c + 2) / (2 * u)
    columns = {"step": known[step].astype(str), "units": known[units], "defects": known[defects]}
    columns |= {"estimate": c / u, "low": low, "high": high}
    columns |= {"clean": np.exp(-c / u), "clean_low": np.exp(-high), "clean_high": np.exp(-low)}
    return DefectsPerUnit(table=pd.DataFrame(columns).reset_index(drop=True), confidence=confidence)


# --- Indices of a normal process ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NormalCapability(Finding):
    """Capability indices of values near normal.

    Attributes
    ----------
    table : DataFrame, one row per index
        ``index`` (``Pp``, ``PPL``, ``PPU``, ``Ppk``, ``Cpm`` of all variation;
        ``Cp``, ``CPL``, ``CPU``, ``Cpk`` of that within subgroups);
        ``estimate``, ``low``, ``high``; ``z``, three times the index; ``note``.
    measure, unit : str
    mean, sd, sd_within : float
        In the unit; ``sd_within`` is NaN without subgroups.
    lower, upper : float
        The limits; NaN where there is none.
    outside, outside_normal, outside_within : float
        Share of values beyond the limits: seen, and by normal curves with
        either standard deviation (0 to 1).
    skewness : float
    autocorrelation : float
        Of each value with the next, in the order given.
    ppk, low, high : float
    n, left_out : int
        Values, and rows without one.
    within : str
        How the variation within subgroups was found; blank without them.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    measure: str
    unit: str
    mean: float
    sd: float
    sd_within: float
    lower: float
    upper: float
    outside: float
    outside_normal: float
    outside_within: float
    skewness: float
    autocorrelation: float
    ppk: float
    low: float
    high: float
    n: int
    left_out: int
    within: str
    confidence: float

    def sentence(self) -> str:
        found = spell(self.ppk, self.low, self.high, confidence=self.confidence)
        is_it = "would be, were it normal," if self._skewed() else "is"
        first = (
            f"Ppk of {look.shorten(self.measure, width=40)} {is_it} {found}, on "
            f"{counted(self.n, 'value')}; beyond {_limits_words(self)} lie {self.outside:.2%}, "
            f"where a normal curve implies {self.outside_normal:.2%}."
        )
        rest = [self._short_term(), "1 or more keeps three standard deviations inside the limit."]
        rest += [_follow(self.autocorrelation, self.n), self._shape(), _left_out(self.left_out)]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _skewed(self) -> bool:
        return abs(self.skewness) > 2 * np.sqrt(6 / self.n)

    def _short_term(self) -> str:
        if not self.within:
            return "Without subgroups there is no short-term index (Cpk)."
        row = self.table.set_index("index").loc["Cpk"]
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        said = f"Within subgroups Cpk is {found} ({self.within} standard deviation)"
        return f"{said}; its interval is approximate." if self.within == "range" else f"{said}."

    def _shape(self) -> str:
        if not self._skewed():
            return "Intervals are for normal values and a steady process."
        return (
            f"The values are skewed ({self.skewness:.1f}), so these indices and intervals do not "
            "hold: use percentiles instead."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="estimate")
        short = known["index"].str.startswith("C") & (known["index"] != "Cpm")
        look.dots(ax, known, names=known["index"], meaning=np.where(short, "other", "usual"))
        ax.axvline(1, color=look.MEANING["limit"])
        return look.label(
            ax,
            title=f"How capable is {look.shorten(self.measure)} of meeting its limits?",
            x="capability index (1: three standard deviations fit; diamonds: within subgroups)",
        )


def normal_capability(
    records: pd.DataFrame,
    *,
    measure: str,
    lower: float | None = None,
    upper: float | None = None,
    target: float | None = None,
    subgroup: str = "",
    within: str = "pooled",
    unit: str = "",
    confidence: float = 0.95,
) -> NormalCapability:
    """Give capability indices of values near normal.

    Parameters
    ----------
    records : DataFrame, one row per value, in time order
    measure : str
        Column of values.
    lower, upper : float, optional
        Limits, one at least; ``target``, if given, adds Cpm (both limits needed).
    subgroup : str, default ""
        Column of what belongs together (a day); blank: no short-term indices.
    within : {"pooled", "range"}
        Standard deviation within subgroups: pooled variance, or mean range
        over d2 (subgroups of one size).
    unit : str
    confidence : float, default 0.95

    Returns
    -------
    NormalCapability

    Raises
    ------
    Problem
        If a column or both limits are missing, limits are in the wrong order,
        or subgroups do not suit ``within``.
    Refusal
        If there are fewer than ten values, or they never vary.

    Notes
    -----
    Pp = (U - L) / (6 s), PPU = (U - mean) / (3 s), PPL likewise, Ppk the lesser;
    Cp and the others take the standard deviation within subgroups.  Pp and Cp have the
    chi-square interval, the one-sided ones and Ppk, Cpk Bissell's [1]_:
    index ± z sqrt(1 / (9 n) + index^2 / (2 f)); f is n - 1, or within
    subgroups n less their number (of ranges this is somewhat too many).
    Cpm = (U - L) / (6 sqrt(mean squared distance from the target)), interval
    by Boyles [2]_.

    References
    ----------
    .. [1] Bissell, A. F. (1990). Applied Statistics 39, 331-340.
       doi:10.2307/2347383
    .. [2] Boyles, R. A. (1991). Journal of Quality Technology 23, 17-26.

    Examples
    --------
    0 and 4 five times each: mean 2, s^2 = 40 / 9; (8 - 2) / (3 s) = 0.9487.

    >>> records = pd.DataFrame({"wait_s": [0.0, 4.0] * 5})
    >>> round(normal_capability(records, measure="wait_s", upper=8).ppk, 4)
    0.9487
    """
    need_share(confidence, name="confidence")
    need_one_of(within, WITHIN, name="within")
    _need_limits(lower, upper)
    values = _values(records, measure)
    groups = _groups(records.loc[values.index], subgroup, within)
    x, mean, sd = values.to_numpy(), float(values.mean()), float(values.std())
    short, freedom = _within(x, groups, within)
    limits = (np.nan if lower is None else lower, np.nan if upper is None else upper)
    rows = _indices(("Pp", "PPL", "PPU", "Ppk"), limits, mean, sd, len(x), len(x) - 1, confidence)
    rows += _cpm_rows(x, limits, target, confidence)
    rows += _indices(("Cp", "CPL", "CPU", "Cpk"), limits, mean, short, len(x), freedom, confidence)
    ppk = rows[3]
    return NormalCapability(
        table=pd.DataFrame(rows),
        measure=measure,
        unit=unit,
        mean=mean,
        sd=sd,
        sd_within=short,
        lower=limits[0],
        upper=limits[1],
        outside=float(((x < limits[0]) | (x > limits[1])).mean()),
        outside_normal=_beyond(limits, mean, sd),
        outside_within=_beyond(limits, mean, short),
        skewness=float(stats.skew(x)),
        autocorrelation=_autocorrelation(x),
        ppk=ppk["estimate"],
        low=ppk["low"],
        high=ppk["high"],
        n=len(x),
        left_out=len(records) - len(x),
        within=within if groups is not None else "",
        confidence=confidence,
    )


def _need_limits(lower: float | None, upper: float | None) -> None:
    if lower is None and upper is None:
        raise Problem("Neither limit is given.", "give lower, upper or both.")
    if lower is not None and upper is not None and not lower < upper:
        raise Problem(f"The limits are {lower} and {upper}.", "give the lower one as lower.")


def _values(records: pd.DataFrame, measure: str) -> pd.Series:
    """The values there are, as numbers; enough of them, and not all alike."""
    need_columns(records, [measure], source="the records")
    if not pd.api.types.is_numeric_dtype(records[measure]):
        raise Problem(f"the records: {measure!r} holds no numbers.", "give it the type number.")
    values = records[measure].astype("Float64").astype(float).dropna()
    values = values[np.isfinite(values)]
    need_rows(values, FEWEST, source="The table of records", why="capability")
    if values.min() == values.max():
        raise Refusal(f"{measure} is {values.iloc[0]:g} throughout.", "look at how it is recorded.")
    return values


def _groups(records: pd.DataFrame, subgroup: str, within: str) -> np.ndarray | None:
    if not subgroup:
        return None
    need_columns(records, [subgroup], source="the records")
    if records[subgroup].isna().any():
        raise Problem(f"the records: {subgroup!r} has blanks.", "name the subgroup of each value.")
    codes, _ = pd.factorize(records[subgroup])
    sizes = np.bincount(codes)
    if len(sizes) < 2 or sizes.max() < 2:
        raise Refusal(
            f"The subgroups by {subgroup} are {len(sizes)}, of {sizes.max()} values at most.",
            "take subgroups of two values or more.",
        )
    if within == "range" and sizes.min() < sizes.max():
        raise Problem("The subgroups are not of one size.", "use within='pooled'.")
    return codes


def _within(x: np.ndarray, groups: np.ndarray | None, within: str) -> tuple[float, int]:
    """Standard deviation within subgroups, and its degrees of freedom."""
    if groups is None:
        return np.nan, 0
    by = pd.Series(x).groupby(groups)
    freedom = len(x) - by.ngroups
    if within == "range":
        size = len(x) // by.ngroups
        return float((by.max() - by.min()).mean() / _mean_range(size)), freedom
    return float(np.sqrt(((x - by.transform("mean")) ** 2).sum() / freedom)), freedom


def _mean_range(n: int) -> float:
    """Mean range of n standard normal values (d2)."""
    return float(quad(lambda x: 1 - stats.norm.cdf(x) ** n - stats.norm.sf(x) ** n, -9, 9)[0])


def _indices(
    names: tuple[str, ...],
    limits: tuple[float, float],
    mean: float,
    sd: float,
    n: int,
    freedom: int,
    confidence: float,
) -> list[dict]:
    """Two-sided, lower, upper and lesser index with their intervals."""
    lower, upper = limits
    both = (upper - lower) / (6 * sd)
    sides = [(mean - lower) / (3 * sd), (upper - mean) / (3 * sd)]
    least = np.nan if np.isnan(sd) else float(np.nanmin(sides))
    note = "" if np.isfinite(sd) else "no subgroups"
    rows = []
    for name, value in zip(names, (both, *sides, least), strict=True):
        low, high = np.nan, np.nan
        if name == names[0] and np.isfinite(value):
            low, high = value * _chi(freedom, confidence)
        elif np.isfinite(value):
            half = stats.norm.ppf((1 + confidence) / 2)
            half *= np.sqrt(1 / (9 * n) + value**2 / (2 * freedom))
            low, high = value - half, value + half
        why = note or ("" if np.isfinite(value) else "a limit is missing")
        rows.append(_index_row(name, value, low, high, why))
    return rows


def _index_row(name: str, value: float, low: float, high: float, note: str) -> dict:
    limits = {"estimate": float(value), "low": float(low), "high": float(high)}
    return {"index": name, **limits, "z": 3 * float(value), "note": note}


def _chi(freedom: float, confidence: float) -> np.ndarray:
    tail = (1 - confidence) / 2
    return np.sqrt(stats.chi2.ppf([tail, 1 - tail], freedom) / freedom)


def _cpm_rows(
    x: np.ndarray, limits: tuple[float, float], target: float | None, confidence: float
) -> list[dict]:
    if target is None:
        return []
    value = (limits[1] - limits[0]) / (6 * np.sqrt(((x - target) ** 2).mean()))
    off = ((x.mean() - target) / x.std(ddof=1)) ** 2
    low, high = value * _chi(len(x) * (1 + off) ** 2 / (1 + 2 * off), confidence)
    note = "" if np.isfinite(value) else "a limit is missing"
    return [_index_row("Cpm", value, low, high, note)]


def _beyond(limits: tuple[float, float], mean: float, sd: float) -> float:
    """Share of a normal curve beyond the limits."""
    lower, upper = limits
    parts = [stats.norm.cdf((lower - mean) / sd), stats.norm.sf((upper - mean) / sd)]
    return float(np.nansum(parts)) if np.isfinite(sd) else np.nan


def _autocorrelation(x: np.ndarray) -> float:
    centred = x - x.mean()
    return float(centred[1:] @ centred[:-1] / (centred @ centred))


def _follow(autocorrelation: float, n: int) -> str:
    if abs(autocorrelation) <= 2 / np.sqrt(n):
        return "A capability holds for a steady process: look at its chart first."
    return (
        f"Each value resembles the one before (autocorrelation {autocorrelation:.2f}): the process "
        "is not steady, or waits carry over, and the intervals are too narrow."
    )


def _left_out(rows: int) -> str:
    return f"Left out, without a value: {counted(rows, 'row')}." if rows else ""


def _limits_words(found: NormalCapability | PercentileCapability) -> str:
    each = [f"{limit:g}" for limit in (found.lower, found.upper) if np.isfinite(limit)]
    return " and ".join(each) + (f" {found.unit}" if found.unit else "")


# --- Indices by percentiles -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PercentileCapability(Finding):
    """Capability of values of any shape, such as times.

    Attributes
    ----------
    table : DataFrame, one row per side with a limit, and one for both
        ``side``, ``limit``; ``outside``, values beyond it; ``share``,
        ``share_low``, ``share_high``, their share (0 to 1), and
        ``share_if_normal``, what a normal curve implies; ``percentile``, the
        extreme one on that side; ``estimate``, ``low``, ``high``, Ppk by
        percentiles; ``by_share``, ``by_share_low``, ``by_share_high``, the
        normal quantile of the share within, over 3 (an index that needs no
        extreme percentile); ``note``.
    measure, unit : str
    median : float
    lower, upper : float
        The limits; NaN where there is none.
    share, share_low, share_high, share_if_normal : float
        Beyond either limit.
    ppk, low, high : float
        By percentiles; NaN where there are too few values.
    normal_ppk : float
        What the formula for normal values would give.
    tail : float
        Share beyond the extreme percentile.
    needed, needed_interval : int
        Values needed for the percentile, and for a lower limit of Ppk.
    skewness, autocorrelation : float
    n, left_out : int
    confidence : float
        Level of the intervals, 0 to 1.
    """

    measure: str
    unit: str
    median: float
    lower: float
    upper: float
    share: float
    share_low: float
    share_high: float
    share_if_normal: float
    ppk: float
    low: float
    high: float
    normal_ppk: float
    tail: float
    needed: int
    needed_interval: int
    skewness: float
    autocorrelation: float
    n: int
    left_out: int
    confidence: float

    def sentence(self) -> str:
        share = spell(
            *(100 * x for x in (self.share, self.share_low, self.share_high)),
            confidence=self.confidence,
            digits=digits_for(100 * self.share_low, 100 * self.share_high),
            unit="%",
        )
        first = (
            f"{look.shorten(self.measure, width=40)}: {share} of {counted(self.n, 'value')} lie "
            f"beyond {_limits_words(self)}, where a normal curve implies "
            f"{self.share_if_normal:.2%}; {self._index()}."
        )
        rest = [self._why(), self._other(), _follow(self.autocorrelation, self.n)]
        return f"{first}\n{' '.join([*rest, _left_out(self.left_out)]).strip()}"

    def _index(self) -> str:
        if np.isnan(self.ppk):
            return "too few for a Ppk by percentiles"
        if np.isnan(self.low):
            return f"Ppk by percentiles is {self.ppk:.2f}"
        return "Ppk by percentiles " + spell(
            self.ppk, self.low, self.high, confidence=self.confidence
        )

    def _why(self) -> str:
        at = f"the percentile that {self.tail:.3%} lie beyond"
        if np.isnan(self.ppk):
            return f"For {at}, {self.needed:,} values are needed."
        said = f"Ppk is the room from median to limit over that from median to {at}."
        if np.isnan(self.low):
            said += f" A lower limit for it needs {self.needed_interval:,} values."
        return said

    def _other(self) -> str:
        row = self.table.iloc[-1]
        if np.isnan(row["by_share"]):
            index = "no value lies beyond, so the share gives only a bound"
        else:
            index = "by the share within " + spell(
                row["by_share"],
                row["by_share_low"],
                row["by_share_high"],
                confidence=self.confidence,
            )
        return (
            f"An index {index}; the formula for normal values would say {self.normal_ppk:.2f} "
            f"(skewness {self.skewness:.1f})."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        last = self.table.iloc[-1]
        rows = pd.DataFrame(
            {
                "estimate": [self.ppk, last["by_share"], self.normal_ppk],
                "low": [self.low, last["by_share_low"], np.nan],
                "high": [self.high, last["by_share_high"], np.nan],
            }
        )
        names = ["by percentiles", "by the share within", "as if normal"]
        look.dots(ax, rows, names=names, meaning=["usual", "usual", "limit"])
        ax.axvline(1, color=look.MEANING["limit"])
        return look.label(
            ax,
            title=f"How capable is {look.shorten(self.measure)}, whatever its shape?",
            x="capability index (1 or more: at most 0.135 % beyond each limit)",
        )


def percentile_capability(
    records: pd.DataFrame,
    *,
    measure: str,
    lower: float | None = None,
    upper: float | None = None,
    unit: str = "",
    tail: float = TAIL,
    confidence: float = 0.95,
    rng: np.random.Generator,
    draws: int = 4000,
) -> PercentileCapability:
    """Give capability of values of any shape by their percentiles and shares.

    Parameters
    ----------
    records : DataFrame, one row per value, in time order
    measure : str
        Column of values, such as a time in its unit.
    lower, upper : float, optional
        Limits, one at least.
    unit : str
    tail : float, default 0.00135
        Share beyond the extreme percentile; that of three standard deviations.
    confidence : float, default 0.95
    rng : Generator
    draws : int, default 4,000

    Returns
    -------
    PercentileCapability
        With fewer than 1 / tail values (741) no Ppk is given; its lower limit
        needs more (2,731 at 95 %).

    Raises
    ------
    Problem
        As for `normal_capability`.
    Refusal
        If there are fewer than ten values, or they never vary.

    Notes
    -----
    Ppk = (U - P50) / (P99.865 - P50), on the lower side (P50 - L) / (P50 -
    P0.135), the lesser of both [1]_.  Its interval draws how many of n values
    lie below the true percentiles (multinomial) and reads these between the
    ordered values on either side; where a draw lies beyond all values nothing
    bounds it.  It is conservative where few values lie beyond the percentile.
    Shares have Wilson's interval; the index by share is Phi^-1(1 - share) / 3.

    References
    ----------
    .. [1] ISO 22514-2:2017. Statistical methods in process management:
       capability and performance, part 2.

    Examples
    --------
    0 to 1,000 evenly: median 500, P90 900; with tail 0.1 the room to 700 is
    200 of 400.

    >>> records = pd.DataFrame({"wait_s": np.arange(1001.0)})
    >>> found = percentile_capability(records, measure="wait_s", upper=700, tail=0.1,
    ...                               rng=np.random.default_rng(1))
    >>> round(found.ppk, 2)
    0.5
    """
    need_share(confidence, name="confidence")
    need_share(tail, name="tail")
    _need_limits(lower, upper)
    values = _values(records, measure)
    x, n = np.sort(values.to_numpy()), len(values)
    limits = (np.nan if lower is None else lower, np.nan if upper is None else upper)
    rows = _percentile_rows(x, limits, tail, confidence, rng, draws)
    whole, sd = rows[-1], float(x.std(ddof=1))
    z = [(x.mean() - limits[0]) / (3 * sd), (limits[1] - x.mean()) / (3 * sd)]
    return PercentileCapability(
        table=pd.DataFrame(rows),
        measure=measure,
        unit=unit,
        median=float(np.median(x)),
        lower=limits[0],
        upper=limits[1],
        **{key: whole[key] for key in ("share", "share_low", "share_high", "share_if_normal")},
        ppk=whole["estimate"],
        low=whole["low"],
        high=whole["high"],
        normal_ppk=float(np.nanmin(z)),
        tail=tail,
        needed=ceil(1 / tail),
        needed_interval=ceil(log((1 - confidence) / 2) / log(1 - tail)),
        skewness=float(stats.skew(x)),
        autocorrelation=_autocorrelation(values.to_numpy()),
        n=n,
        left_out=len(records) - n,
        confidence=confidence,
    )


def _percentile_rows(
    x: np.ndarray,
    limits: tuple[float, float],
    tail: float,
    confidence: float,
    rng: np.random.Generator,
    draws: int,
) -> list[dict]:
    """One row per limit, and one for both together."""
    seen = np.quantile(x, [tail, 0.5, 1 - tail], method="median_unbiased")
    might = _drawn_percentiles(x, [tail, 0.5, 1 - tail], rng, draws)
    mean, sd, kinds = x.mean(), x.std(ddof=1), []
    indices, drawn = [], []
    for side, limit, at in (("lower", limits[0], 0), ("upper", limits[1], 2)):
        if np.isfinite(limit):
            sign = 1 if side == "upper" else -1
            indices.append((limit - seen[1]) / (seen[at] - seen[1]))
            drawn.append(_room(sign * (limit - might[1]), sign * (might[at] - might[1])))
            out = int((sign * (x - limit) > 0).sum())
            normal = float(stats.norm.sf(sign * (limit - mean) / sd))
            about = {"side": side, "limit": limit, "percentile": float(seen[at])}
            kinds.append((about, out, normal, indices[-1], drawn[-1]))
    whole = {"side": "both", "limit": np.nan, "percentile": np.nan}
    if len(kinds) == 1:
        whole = kinds[0][0]
        kinds = []
    out = int(((x < limits[0]) | (x > limits[1])).sum())
    kinds.append((whole, out, _beyond(limits, mean, sd), min(indices), np.min(drawn, axis=0)))
    return [
        about | _percentile_row(len(x), out, normal, index, each, tail, confidence)
        for about, out, normal, index, each in kinds
    ]


def _room(limit: np.ndarray, extreme: np.ndarray) -> np.ndarray:
    """Room to the limit over room to the percentile; 0 where nothing bounds the latter."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isinf(extreme), 0.0, limit / extreme)


def _drawn_percentiles(
    x: np.ndarray, shares: Sequence[float], rng: np.random.Generator, draws: int
) -> np.ndarray:
    """Percentiles that the truth might have: one row per share, one column per draw."""
    steps = np.diff([0.0, *shares, 1.0])
    below = rng.multinomial(len(x), steps, size=draws)[:, :-1].cumsum(axis=1).T
    bounded = np.concatenate([[-np.inf], x, [np.inf]])
    low, high = bounded[below], bounded[below + 1]
    known = np.isfinite(low) & np.isfinite(high)
    between = np.where(known, low, 0) + rng.random(below.shape) * np.where(known, high - low, 0)
    return np.where(known, between, np.where(np.isfinite(low), np.inf, -np.inf))


def _percentile_row(
    n: int, out: int, normal: float, index: float, drawn: np.ndarray, tail: float, confidence: float
) -> dict:
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    note = ""
    if n * tail < 1:
        index, low, high, note = np.nan, np.nan, np.nan, f"fewer than {ceil(1 / tail):,} values"
    elif low == 0:
        low, note = np.nan, "too few values for a lower limit"
    share = out / n
    share_low, share_high = wilson(share, n, confidence=confidence)
    by = [float(stats.norm.isf(each)) / 3 for each in (share, share_high, share_low)]
    if out in (0, n):
        by = [np.nan, by[1] if out == 0 else np.nan, by[2] if out == n else np.nan]
    return {
        "outside": out,
        "share": share,
        "share_low": share_low,
        "share_high": share_high,
        "share_if_normal": normal,
        "estimate": float(index),
        "low": float(low),
        "high": float(high),
        **dict(zip(("by_share", "by_share_low", "by_share_high"), by, strict=True)),
        "note": note,
    }


# --- Tolerance limits -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ToleranceLimits(Finding):
    """Between which values most cases fall.

    Attributes
    ----------
    table : DataFrame, two rows
        ``method`` (``any shape``: order statistics; ``normal``); ``low``,
        ``high``, the limits, in the unit (missing on a side not asked for);
        ``factor``, of the standard deviation (normal); ``dropped``, values
        beyond the limits (any shape); ``achieved``, the confidence reached
        (0 to 1); ``n``; ``needed``, values needed; ``note``.
    measure, unit, side : str
    content : float
        Share of cases to lie within, 0 to 1.
    confidence : float
        With which they do, 0 to 1.
    n, left_out : int
    skewness, autocorrelation : float
    """

    measure: str
    unit: str
    side: str
    content: float
    confidence: float
    n: int
    left_out: int
    skewness: float
    autocorrelation: float

    def sentence(self) -> str:
        row = self.table.set_index("method").loc["any shape"]
        whose = f"{100 * self.content:.4g} % of {look.shorten(self.measure, width=40)}"
        if row["note"]:
            first = (
                f"Where {whose} lie cannot be said without a shape: {row['note']}, "
                f"for {100 * self.confidence:.4g}% confidence."
            )
        else:
            first = (
                f"At least {whose} lie {self._words(row)}, with {100 * self.confidence:.4g}% "
                f"confidence, on {counted(self.n, 'value')}."
            )
        rest = [
            "The limits are ordered values, valid for any shape (Wilks).",
            self._normal(),
            _follow(self.autocorrelation, self.n),
            _left_out(self.left_out),
        ]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _normal(self) -> str:
        row = self.table.set_index("method").loc["normal"]
        said = f"If the values were normal: {self._words(row)}"
        if abs(self.skewness) < 2 * np.sqrt(6 / self.n):
            return f"{said}."
        return f"{said}, but they are skewed ({self.skewness:.1f}): do not use it."

    def _words(self, row: pd.Series) -> str:
        unit = f" {self.unit}" if self.unit else ""
        digits = digits_for(0, max(abs(np.nan_to_num([row["low"], row["high"]]))))
        low, high = f"{row['low']:,.{digits}f}{unit}", f"{row['high']:,.{digits}f}{unit}"
        if self.side == "upper":
            return f"at or below {high}"
        return f"at or above {low}" if self.side == "lower" else f"from {low} to {high}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        middle = self.table[["low", "high"]].mean(axis=1)
        ends = self.table[["low", "high"]]
        shown = ends.assign(estimate=middle).apply(lambda part: part.fillna(middle))
        marks = ["usual" if not note else "limit" for note in self.table["note"]]
        look.dots(ax, shown, names=self.table["method"], meaning=marks)
        unit = f" ({self.unit})" if self.unit else ""
        return look.label(
            ax,
            title=f"Where do {100 * self.content:.4g} % of cases lie?",
            x=f"{look.shorten(self.measure)}{unit}, {self.side} tolerance limit",
        )


def tolerance_limits(
    records: pd.DataFrame,
    *,
    measure: str,
    content: float = 0.95,
    confidence: float = 0.95,
    side: str = "upper",
    unit: str = "",
) -> ToleranceLimits:
    """Say between which values most cases fall, with confidence.

    Parameters
    ----------
    records : DataFrame, one row per value, in time order
    measure : str
    content : float, default 0.95
        Share of all cases to lie within.
    confidence : float, default 0.95
    side : {"upper", "lower", "two-sided"}
    unit : str

    Returns
    -------
    ToleranceLimits

    Raises
    ------
    Problem
        If the column is missing or holds no numbers, or ``side`` is unknown.
    Refusal
        If there are fewer than ten values, or they never vary.

    Notes
    -----
    Any shape: with n values the one of rank r is an upper limit if a binomial
    count (n, content) lies below r with the confidence [1]_; conservative, as
    ranks are whole.  Normal, one side: mean + k s, k = t(confidence; n - 1,
    z sqrt(n)) / sqrt(n) with the noncentral t and z the quantile of the content;
    two sides: k solves the exact integral over the mean [2]_.

    References
    ----------
    .. [1] Wilks, S. S. (1941). Annals of Mathematical Statistics 12, 91-96.
       doi:10.1214/aoms/1177731788
    .. [2] Krishnamoorthy, K., Mathew, T. (2009). Statistical Tolerance
       Regions. Wiley.

    Examples
    --------
    Of 59 values the largest will do, of 58 none: 0.95^59 = 0.0485.

    >>> records = pd.DataFrame({"days": np.arange(1.0, 60.0)})
    >>> float(tolerance_limits(records, measure="days").table["high"][0])
    59.0
    """
    need_share(confidence, name="confidence")
    need_share(content, name="content")
    need_one_of(side, SIDES, name="side")
    values = _values(records, measure)
    x = np.sort(values.to_numpy())
    rows = [_any_shape_row(x, content, confidence, side), _normal_row(x, content, confidence, side)]
    return ToleranceLimits(
        table=pd.DataFrame(rows),
        measure=measure,
        unit=unit,
        side=side,
        content=content,
        confidence=confidence,
        n=len(x),
        left_out=len(records) - len(x),
        skewness=float(stats.skew(x)),
        autocorrelation=_autocorrelation(values.to_numpy()),
    )


def smallest_n(*, content: float, confidence: float, sides: int = 1) -> int:
    """How many values it takes for the extremes to bound a share of all cases.

    Parameters
    ----------
    content, confidence : float
        Share to lie within, and with what confidence.
    sides : {1, 2}
        The largest value as upper limit, or smallest and largest.

    Notes
    -----
    One side: 1 - content^n >= confidence; two: 1 - n content^(n-1) + (n - 1)
    content^n >= confidence (Wilks 1941, doi:10.1214/aoms/1177731788).

    Examples
    --------
    >>> smallest_n(content=0.95, confidence=0.95), smallest_n(
    ...     content=0.95, confidence=0.95, sides=2)
    (59, 93)
    """
    need_share(confidence, name="confidence")
    need_share(content, name="content")
    need_one_of(sides, (1, 2), name="sides")
    n = ceil(log(1 - confidence) / log(content))
    while stats.binom.cdf(n - sides, n, content) < confidence:
        n += 1
    return n


def _any_shape_row(x: np.ndarray, content: float, confidence: float, side: str) -> dict:
    n, sides = len(x), 2 if side == "two-sided" else 1
    needed = smallest_n(content=content, confidence=confidence, sides=sides)
    row = {"method": "any shape", "low": np.nan, "high": np.nan, "factor": np.nan}
    if n < needed:
        note = f"{needed:,} values are needed and there are {n:,}"
        return row | {"dropped": 0, "achieved": np.nan, "n": n, "needed": needed, "note": note}
    span = int(stats.binom.ppf(confidence, n, content)) + 1  # ranks between the limits
    dropped = n - span - (sides - 1)
    below = dropped // 2 if side == "two-sided" else dropped if side == "lower" else 0
    if side != "upper":
        row["low"] = float(x[below])
    if side != "lower":
        row["high"] = float(x[n - 1 - (dropped - below)])
    achieved = float(stats.binom.cdf(span - 1, n, content))
    return row | {
        "dropped": dropped,
        "achieved": achieved,
        "n": n,
        "needed": needed,
        "note": "",
    }


def _normal_row(x: np.ndarray, content: float, confidence: float, side: str) -> dict:
    n, mean, sd = len(x), float(x.mean()), float(x.std(ddof=1))
    if side == "two-sided":
        factor = _two_sided_factor(n, content, confidence)
    else:
        shift = stats.norm.ppf(content) * np.sqrt(n)
        factor = float(stats.nct.ppf(confidence, n - 1, shift) / np.sqrt(n))
    return {
        "method": "normal",
        "low": np.nan if side == "upper" else mean - factor * sd,
        "high": np.nan if side == "lower" else mean + factor * sd,
        "factor": factor,
        "dropped": 0,
        "achieved": confidence,
        "n": n,
        "needed": 2,
        "note": "",
    }


@cache
def _two_sided_factor(n: int, content: float, confidence: float) -> float:
    """The exact factor: average over the mean's error of the chance that s is large enough."""

    def reached(k: float) -> float:
        def at(u: float) -> float:  # the mean lies u standard errors off
            square = stats.ncx2.ppf(content, 1, u**2 / n)
            enough = stats.chi2.sf((n - 1) * square / k**2, n - 1)
            return 2 * stats.norm.pdf(u) * enough

        return quad(at, 0, 8.5)[0]

    howe = np.sqrt(
        (n - 1)
        * (1 + 1 / n)
        * stats.norm.ppf((1 + content) / 2) ** 2
        / stats.chi2.ppf(1 - confidence, n - 1)
    )
    return float(brentq(lambda k: reached(k) - confidence, 0.7 * howe, 1.4 * howe, xtol=1e-8))
