"""How often does a case pass every step right the first time?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, wilson

SOURCE = "the table of steps"
COUNTED = ("defective units", "defects")
DRAWS = 10_000  # for the chance that a step loses most: its error is below one point
SHIFT = 1.5  # by convention, between a long-term z and a "sigma level"


@dataclass(frozen=True, eq=False)
class RolledYield(Finding):
    """The share of cases that pass every step right the first time.

    Attributes
    ----------
    table : DataFrame, one row per step, in the order of first appearance
        ``step``, ``units``, ``defects``; ``estimate``, ``low``, ``high``, the
        first-time yield (0 to 1); ``dpu``, defects per unit; ``dpo``,
        ``dpo_low``, ``dpo_high``, defects per opportunity, and ``dpmo``,
        ``dpmo_low``, ``dpmo_high`` per million (missing without opportunities);
        ``loses_most``, chance that no other step has a lower yield; ``note``.
    rolled, low, high : float
        Rolled throughput yield, 0 to 1, and its interval.
    normalised, normalised_low, normalised_high : float
        The yield each step would have if all had the same.
    defects_per_case : float
        -ln(rolled): defects a case meets on its way; infinite if nothing passes.
    dpo, dpmo : float
        Over all steps, per opportunity and per million; NaN without opportunities.
    sigma, sigma_shifted : float
        Long-term z of ``dpo``, and with the conventional 1.5 added; NaN without
        opportunities or without any defect.
    worst : str
        Step with the lowest yield.
    worst_chance : float
        Chance that it is truly the lowest.
    confidence : float
        Level of the intervals.
    steps, left_out : int
        Steps counted, and rows left out because a count is blank.
    counted : str
        What ``defects`` counts.
    """

    rolled: float
    low: float
    high: float
    normalised: float
    normalised_low: float
    normalised_high: float
    defects_per_case: float
    dpo: float
    dpmo: float
    sigma: float
    sigma_shifted: float
    worst: str
    worst_chance: float
    confidence: float
    steps: int
    left_out: int
    counted: str

    def sentence(self) -> str:
        rolled = self._percent(self.rolled, self.low, self.high)
        first = f"{rolled} of cases pass all {counted(self.steps, 'step')} right the first time"
        if self.steps > 1:
            first += f"; {self._worst()}"
        return f"{first}.\n{' '.join(filter(None, self._rest()))}"

    def _percent(self, estimate: float, low: float, high: float) -> str:
        return spell(
            100 * estimate, 100 * low, 100 * high, confidence=self.confidence, digits=1, unit="%"
        )

    def _worst(self) -> str:
        name = look.shorten(self.worst)
        lost = 1 - float(self.table.set_index("step").loc[self.worst, "estimate"])
        if lost == 0:
            return "no step lost any"
        return f"{name} loses most, {100 * lost:.1f} % (most likely with chance {self._chance()})"

    def _chance(self) -> str:
        return "above 99 %" if self.worst_chance > 0.99 else f"{100 * self.worst_chance:.0f} %"

    def _rest(self) -> list[str]:
        seen = self.table["units"]
        span = f"{seen.min():,.0f}" + (f" to {seen.max():,.0f}" if seen.max() > seen.min() else "")
        spotless = list(self.table.loc[self.table["defects"] == 0, "step"])
        each = self._percent(self.normalised, self.normalised_low, self.normalised_high)
        return [
            f"It is the product of the first-time yields of the steps ({span} units a step).",
            f"A step of middling yield passes {each}." if self.steps > 1 else "",
            self._opportunities(),
            f"Without any defect: {', '.join(spotless)}; the interval allows for those not seen."
            if spotless
            else "",
            "More defects than one may sit in a unit: yield is exp(-defects per unit), which takes "
            "them to fall independently."
            if self.counted == "defects"
            else "",
            f"{counted(self.left_out, 'row')} with a blank count left out."
            if self.left_out
            else "",
            "A failure at one step is taken to say nothing about the next; where the same cases "
            "fail twice, more pass than this says.",
        ]

    def _opportunities(self) -> str:
        if np.isnan(self.dpo):
            return ""
        said = f"Per million opportunities {self.dpmo:,.0f} defects"
        if np.isnan(self.sigma):
            return f"{said}."
        return (
            f"{said}: sigma {self.sigma:.2f}, which the usual convention of a 1.5 shift calls "
            f"{self.sigma_shifted:.2f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        own = self.table[["step", "estimate", "low", "high"]]
        every = pd.DataFrame(
            {"step": "all steps", "estimate": self.rolled, "low": self.low, "high": self.high},
            index=[0],
        )
        shown = pd.concat([own, every], ignore_index=True)
        shown[["estimate", "low", "high"]] *= 100
        lowest = (own["step"] == self.worst) & (own["estimate"] < 1)
        meaning = [*np.where(lowest & (self.steps > 1), "worse", "usual"), "other"]
        names = [*(look.shorten(str(step)) for step in own["step"]), "all steps"]
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.axhline(self.steps - 0.5, color=look.MEANING["limit"], lw=0.8)
        return look.label(
            ax,
            title="How often does a case pass right the first time?",
            x="units that pass the step right the first time, %",
        )


def rolled_yield(
    steps: pd.DataFrame,
    *,
    rng: np.random.Generator,
    step: str = "step",
    units: str = "units",
    defects: str = "defects",
    opportunities: str = "",
    counted: str = "defective units",
    confidence: float = 0.95,
) -> RolledYield:
    """Measure the rolled throughput yield of a process and where it loses most.

    Parameters
    ----------
    steps : DataFrame, one row per step
        Several rows of one step (its weeks, say) are added up.
    rng : Generator
        For the chance that a step loses most.
    step, units, defects : str
        Columns: the name of the step, units that entered it, defects found.
    opportunities : str, optional
        Column with the opportunities for a defect in one unit, the same in
        every row of a step.
    counted : {"defective units", "defects"}
        What ``defects`` counts: units with at least one defect, or defects, of
        which a unit may have many.
    confidence : float, default 0.95

    Returns
    -------
    RolledYield

    Raises
    ------
    Problem
        If a count is negative or no whole number, or more units are defective
        than entered.
    Refusal
        If no step has a unit.

    Notes
    -----
    First-time yield y = 1 - defective / units with Wilson's interval [1]_, or
    exp(-defects / units) with the score interval x + z^2/2 +- z sqrt(x + z^2/4)
    of the count x [2]_.  Rolled throughput yield is their product, its k-th root
    the normalised yield, -ln of it the defects a case meets [3]_.  Limits of the
    product recover each step's variance from its own limits on the log scale
    [4]_: ln low = sum ln y - sqrt(sum (ln y - ln l)^2), and so the high one.  A step
    that nothing passes makes the product and its low limit 0; the high limit is
    then that of the product of all steps with the dead ones at their high limits,
    a conservative one.

    The chance that a step loses most counts draws of every step's yield
    from its Jeffreys posterior.  sigma = Phi^-1(1 - dpo), ``sigma_shifted``
    adds 1.5.

    References
    ----------
    .. [1] Wilson, E. B. (1927). JASA 22, 209-212. doi:10.2307/2276774
    .. [2] Barker, L. (2002). A comparison of nine confidence intervals for a
       Poisson parameter when the expected number of events is <= 5. The
       American Statistician 56, 85-89.
    .. [3] Harry, M. J. (1988). The Nature of Six Sigma Quality. Motorola
       University Press.
    .. [4] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27,
       1693-1702. doi:10.1002/sim.3095

    Examples
    --------
    Of 100 cases 10 fail at intake, of 90 the desk spoils 18: 0.9 * 0.8 = 0.72.

    >>> steps = pd.DataFrame({"step": ["intake", "desk"], "units": [100, 90],
    ...                       "defects": [10, 18]})
    >>> found = rolled_yield(steps, rng=np.random.default_rng(1))
    >>> round(found.rolled, 6), found.worst
    (0.72, 'desk')
    """
    need_share(confidence, name="confidence")
    need_one_of(counted, COUNTED, name="counted")
    names = [step, units, defects, *([opportunities] if opportunities else [])]
    need_columns(steps, names, source=SOURCE)
    added, left_out = _added(steps, names, counted)
    chances = added["opportunities"].to_numpy(dtype=float)
    table = _yields(added, chances, counted, confidence)
    table["loses_most"] = _loses_most(added, counted, rng)
    rolled, low, high = _product(table)
    worst = int(table["estimate"].argmin())
    k = len(table)
    dpo = float(added["defects"].sum() / (added["units"].to_numpy() * chances).sum())
    sigma = float(stats.norm.isf(dpo)) if 0 < dpo < 1 else np.nan
    with np.errstate(divide="ignore"):
        met = float(max(-np.log(rolled), 0.0))
    order = [c for c in table if c != "note"]
    return RolledYield(
        table=table[[*order, "note"]],
        rolled=rolled,
        low=low,
        high=high,
        normalised=rolled ** (1 / k),
        normalised_low=low ** (1 / k),
        normalised_high=high ** (1 / k),
        defects_per_case=met,
        dpo=dpo,
        dpmo=1e6 * dpo,
        sigma=sigma,
        sigma_shifted=sigma + SHIFT,
        worst=str(table["step"][worst]),
        worst_chance=float(table["loses_most"][worst]),
        confidence=confidence,
        steps=k,
        left_out=left_out,
        counted=counted,
    )


def _added(steps: pd.DataFrame, names: list[str], counted: str) -> tuple[pd.DataFrame, int]:
    """One row per step: units and defects added up, opportunities as they stand."""
    rows = steps[names].dropna()
    rows = rows.set_axis(["step", "units", "defects", "opportunities"][: len(names)], axis=1)
    for column in rows.columns[1:]:
        _need_counts(rows[column], column)
    rows = rows.assign(step=rows["step"].astype(str))
    if "opportunities" not in rows:
        rows = rows.assign(opportunities=np.nan)
    changing = rows.groupby("step")["opportunities"].nunique()
    if (changing > 1).any():
        raise Problem(
            f"{SOURCE}: {changing.idxmax()!r} has several numbers of opportunities.",
            "give one number to every row of a step, or call it two steps.",
        )
    added = rows.groupby("step", sort=False).agg(
        {"units": "sum", "defects": "sum", "opportunities": "first"}
    )
    added = added[added["units"] > 0].reset_index()
    if added.empty:
        raise Refusal("No step has a unit.", "give units and defects of at least one step.")
    most = added["units"] * added["opportunities"].fillna(np.inf)
    _need_no_more(added, added["units"] if counted == COUNTED[0] else most, counted)
    return added, len(steps) - len(rows)


def _need_counts(column: pd.Series, name: str) -> None:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise Problem(f"{SOURCE}: {name!r} does not hold numbers.", "give whole numbers from 0 up.")
    off = column[(column < 0) | (column % 1 != 0)]
    if name == "opportunities":
        off = column[(column < 1) | (column % 1 != 0)]
    if len(off):
        raise Problem(
            f"{SOURCE}: {name!r} has {len(off)} values that are no count (first rows: "
            f"{first_rows(off)}; values: {off.unique().tolist()[:5]}).",
            f"give whole numbers from {int(name == 'opportunities')} up.",
        )


def _need_no_more(added: pd.DataFrame, most: pd.Series, counted: str) -> None:
    over = added[added["defects"] > most]
    if over.empty:
        return
    row = over.iloc[0]
    mend = "set counted='defects' if a unit can have several, or correct the counts."
    if counted == COUNTED[1]:
        mend = "count every opportunity that a defect can take, or correct the counts."
    raise Problem(
        f"{SOURCE}: {row['step']!r} has {row['defects']:,.0f} defects where "
        f"{most[over.index[0]]:,.0f} are possible.",
        mend,
    )


def _yields(
    added: pd.DataFrame, chances: np.ndarray, counted: str, confidence: float
) -> pd.DataFrame:
    """First-time yield of each step and its defects per opportunity, with their intervals."""
    n, d = added["units"].to_numpy(dtype=float), added["defects"].to_numpy(dtype=float)
    if counted == COUNTED[0]:
        of_units = np.array(
            [wilson(x / m, m, confidence=confidence) for x, m in zip(d, n, strict=True)]
        )
        estimate, limits = 1 - d / n, 1 - of_units[:, ::-1]
    else:
        of_units = np.column_stack(_poisson(d, confidence)) / n[:, None]
        estimate, limits = np.exp(-d / n), np.exp(-of_units[:, ::-1])
    dpo, dpo_limits = d / n / chances, of_units / chances[:, None]
    note = np.where(d == 0, "no defect seen", np.where(estimate == 0, "nothing passed", ""))
    return added[["step", "units", "defects"]].assign(
        estimate=estimate,
        low=limits[:, 0],
        high=limits[:, 1],
        dpu=d / n,
        dpo=dpo,
        dpo_low=dpo_limits[:, 0],
        dpo_high=dpo_limits[:, 1],
        dpmo=1e6 * dpo,
        dpmo_low=1e6 * dpo_limits[:, 0],
        dpmo_high=1e6 * dpo_limits[:, 1],
        note=note,
    )


def _poisson(seen: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of a Poisson count, what Wilson's is to a share."""
    z = stats.norm.ppf((1 + confidence) / 2)
    half = z * np.sqrt(seen + z**2 / 4)
    return np.where(seen > 0, seen + z**2 / 2 - half, 0.0), seen + z**2 / 2 + half


def _product(table: pd.DataFrame) -> tuple[float, float, float]:
    """The product of the yields, its limits recovered from theirs on the log scale."""
    y, low, high = (table[column].to_numpy() for column in ("estimate", "low", "high"))
    dead = y == 0
    centre = np.where(dead, high, y)  # a dead step can at best have its high limit
    up = np.log(high) - np.log(centre)
    upper = float(np.exp(np.log(centre).sum() + np.sqrt((up**2).sum())))
    if dead.any():
        return 0.0, 0.0, min(upper, 1.0)
    with np.errstate(divide="ignore"):
        down = np.log(y) - np.log(low)
    lower = float(np.exp(np.log(y).sum() - np.sqrt((down**2).sum())))
    return float(y.prod()), lower, min(upper, 1.0)


def _loses_most(added: pd.DataFrame, counted: str, rng: np.random.Generator) -> np.ndarray:
    """Chance that each step has the lowest yield, over Jeffreys posteriors."""
    n, d = added["units"].to_numpy(dtype=float), added["defects"].to_numpy(dtype=float)
    if counted == COUNTED[0]:
        lost = rng.beta(d + 0.5, n - d + 0.5, size=(DRAWS, len(n)))
    else:
        lost = rng.gamma(d + 0.5, 1 / n, size=(DRAWS, len(n)))
    return np.bincount(lost.argmax(axis=1), minlength=len(n)) / DRAWS
