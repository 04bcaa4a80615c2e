"""Does it pay, how soon, and how surely?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell_chance, wilson
from sqm.money import limits, need_currency, on_axis, spell_money
from sqm.rehearsal import Rehearsal
from sqm.scenario import in_words, labels
from sqm.three_point import drawn, three_points

MOST_YEARS = 50
LISTED = 5  # scenarios whose worth a sentence says
HALVINGS = 60  # of a bracket of 40 in the logarithm: far below the precision of the machine
QUANTITIES = {
    "net_present_value": ("mean", "money"),
    "payback": ("median", "years"),
    "internal_rate_of_return": ("median", "share a year"),
    "benefit_over_cost": ("median", "ratio"),
    "return_on_investment": ("median", "share of the investment"),
    "break_even_share": ("median", "share of the benefit"),
}


@dataclass(frozen=True, eq=False)
class CashFlows:
    """What each scenario brings and costs by year, draw by draw.

    Attributes
    ----------
    benefit, spent : ndarray, shape (scenarios, draws, years + 1)
        Money, from the beginning (0) to the end of the last year.
    rate, growth, ramp_up, realised : ndarray, shape (draws,)
        Discount rate and growth of volume a year, share of the effect in the first year, share
        of the foretold effect that comes at all.
    """

    benefit: np.ndarray
    spent: np.ndarray
    rate: np.ndarray
    growth: np.ndarray
    ramp_up: np.ndarray
    realised: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """Benefit less what is spent, of the same shape."""
        return self.benefit - self.spent

    @property
    def present_value(self) -> np.ndarray:
        """Net present value, (scenarios, draws)."""
        return present_value(self.net, self.rate)

    @property
    def years(self) -> int:
        """How many years are looked ahead."""
        return self.benefit.shape[2] - 1


@dataclass(frozen=True, eq=False)
class BusinessCase(Finding):
    """Whether each scenario pays, how soon, and how surely.

    Attributes
    ----------
    table : DataFrame, one row per scenario and quantity
        ``scenario``, ``quantity`` (net present value, payback, internal rate of return, benefit
        over cost, return on investment, share of the benefit at which it breaks even, and the
        chances that it pays and that it never pays back), ``unit``, ``statistic`` (mean or median
        of the draws, or share of them), ``estimate, low, high``, ``note`` (why one is missing).
        Limits of a chance (95 %) are about the number of draws alone.
    best : str
        Scenario with the largest expected net present value.
    net_present_value, low, high : float
        Of it, in ``currency``.
    chance, chance_low, chance_high : float
        Chance that its net present value is above zero, with the limits that so many draws leave.
    payback_years, payback_low, payback_high : float
        Its simple payback; missing where it lies beyond the years looked ahead.
    internal_rate : float
        Its median internal rate of return, 0.1 for 10 % a year; missing where there is none.
    break_even_share : float
        Share of its foretold benefit that would just cover what it costs.
    years, draws : int
    discount_rate, growth, ramp_up, realised : float
        Means of what was drawn.
    currency : str
    confidence : float
    words, labels : tuple of str
        The scenarios as a sentence names them, and their short names for the picture; the service
        as it is left out.
    """

    best: str
    net_present_value: float
    low: float
    high: float
    chance: float
    chance_low: float
    chance_high: float
    payback_years: float
    payback_low: float
    payback_high: float
    internal_rate: float
    break_even_share: float
    years: int
    draws: int
    discount_rate: float
    growth: float
    ramp_up: float
    realised: float
    currency: str
    confidence: float
    words: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say which scenario is worth most, how surely it pays and how soon; then each of them."""
        return f"{self._answer()}\n{self._each()}{self._conventions()}"

    def _answer(self) -> str:
        worth = self._spell(self.net_present_value, self.low, self.high)
        best = self._best()
        over = f"Over {counted(self.years, 'year')}"
        chance = spell_chance(self.chance, self.chance_low, self.chance_high)
        if self.net_present_value <= 0:
            return (
                f"{over} no scenario is expected to pay: the nearest, {best}, comes to {worth};"
                f" chance that it pays {chance}."
            )
        most = "is worth most" if len(self._scenarios()) > 1 else "is worth"
        return f"{over} {best} {most}: {worth}; chance that it pays {chance}, {self._soon()}."

    def _scenarios(self) -> list[str]:
        return self.table["scenario"].unique().tolist()

    def _best(self) -> str:
        """The best scenario as a sentence names it."""
        return self.words[self._scenarios().index(self.best)]

    def _spell(self, *figures: float) -> str:
        return spell_money(*figures, confidence=self.confidence, currency=self.currency)

    def _soon(self) -> str:
        if not np.isfinite(self.payback_years):
            return f"payback more likely than not later than {self.years} years"
        if self.payback_years == 0:
            return "from the first day"
        high = f"{self.payback_high:.1f}" if np.isfinite(self.payback_high) else "never"
        return f"back after {self.payback_years:.1f} years ({self.payback_low:.1f} to {high})"

    def _each(self) -> str:
        names = self._scenarios()
        if len(names) == 1:
            return self._robust()
        of = self.table.set_index(["scenario", "quantity"])
        worth = of.xs("net_present_value", level="quantity")["estimate"].to_numpy()
        first = np.argsort(-worth, kind="stable")[:LISTED]
        said = []
        for i in first:
            value = of.loc[(names[i], "net_present_value"), ["estimate", "low", "high"]]
            pays = of.loc[(names[i], "chance_pays"), ["estimate", "low", "high"]]
            chance = f"chance that it pays {spell_chance(*pays)}"
            said.append(f"{self.words[i]}: {self._spell(*value)}, {chance}")
        few = f" (the best {LISTED} of {len(names)}; the rest is in the table)"
        rest = few if len(names) > LISTED else ""
        return f"Net present values{rest}: {'; '.join(said)}. {self._robust()}"

    def _robust(self) -> str:
        if not np.isfinite(self.break_even_share):
            return ""
        return f"To break even, {self._best()} needs {self.break_even_share:.0%} of its benefit. "

    def _conventions(self) -> str:
        comes = (
            f" {self.realised:.0%} of the foretold effect is taken to come, on average."
            if abs(self.realised - 1) > 0.001
            else " It is taken for granted that the whole of the foretold effect comes."
        )
        return (
            "The investment is paid at the beginning; benefits and running costs fall at the end"
            " of each year, in money of today, without inflation or tax; a year ahead is"
            f" discounted by {self.discount_rate:.1%}. In year 1 {self.ramp_up:.0%} of the effect"
            f" is there, the volume grows by {self.growth:.1%} a year.{comes} Payback is simple:"
            " not discounted, even within a year, and from when on the sum stays above zero. It"
            f" rests on {self.draws:,} draws of what is not known for certain."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net present value of each scenario, with its interval."""
        ax = look.axes(ax)
        rows = self.table[self.table["quantity"].eq("net_present_value")]
        meaning = [
            "better" if low > 0 else "worse" if high < 0 else "usual"
            for low, high in rows[["low", "high"]].to_numpy()
        ]
        look.dots(ax, rows, names=self.labels, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="Does it pay?",
            x=f"net present value over {counted(self.years, 'year')},"
            f" {on_axis(ax.xaxis, currency=self.currency)}"
            f" ({self.confidence * 100:.4g}% interval)",
        )


# --- Money by year --------------------------------------------------------------------------------


def cash_flows(
    rehearsal: Rehearsal,
    saving: np.ndarray,
    *,
    years: int,
    discount_rate: Any,
    growth: Any = 0.0,
    ramp_up: Any = 1.0,
    realised: Any = 1.0,
    rng: np.random.Generator,
) -> CashFlows:
    """Lay out what each scenario brings and costs, from the beginning to the end of each year.

    Parameters
    ----------
    rehearsal : Rehearsal
        For the investment, the running cost and the revenue of each scenario.
    saving : ndarray, shape (scenarios, draws)
        Money a year that a scenario spares once it is in full effect, before its own cost.
    years : int
        How far to look ahead, 1 to 50.
    discount_rate : number or sequence of three
        A year, 0.05 for 5 %, without inflation.  This and the next three are one number or least,
        likeliest and most.
    growth : number or sequence of three, default 0
        Growth of the volume a year; the first year has the volume of today.
    ramp_up : number or sequence of three, default 1
        Share of the effect that is there in the first year.
    realised : number or sequence of three, default 1
        Share of the foretold effect that comes at all.  A draw has one for all scenarios: who
        falls short of one plan is taken to fall short of the others as well.
    rng : Generator

    Returns
    -------
    CashFlows

    Raises
    ------
    Problem
        If a parameter lies outside what makes sense, or the saving is not of this rehearsal.

    Notes
    -----
    At 0: -investment.  At t = 1, 2, ...: saving x realised x (ramp-up if t = 1)
    x (1 + growth)^(t - 1) + revenue of a change of price x (1 + growth)^(t - 1) - running cost.
    """
    if isinstance(years, bool) or not isinstance(years, int) or not 1 <= years <= MOST_YEARS:
        raise Problem(f"years is {years!r}.", f"give a whole number from 1 to {MOST_YEARS}.")
    if np.shape(saving) != rehearsal.running_cost.shape or not np.isfinite(saving).all():
        raise Problem(
            f"The saving has the shape {np.shape(saving)} where the rehearsal has"
            f" {rehearsal.running_cost.shape}, or holds blanks.",
            "draw it from this rehearsal: scenarios by draws.",
        )
    draws = np.shape(saving)[1]
    rate = _drawn(discount_rate, 0, 1, draws, "discount_rate", rng)
    grown = _drawn(growth, -0.9, 1, draws, "growth", rng)
    ramp = _drawn(ramp_up, 0, 1, draws, "ramp_up", rng)
    comes = _drawn(realised, 0, 2, draws, "realised", rng)
    volume = (1 + grown[:, None]) ** np.arange(years)  # (draws, years)
    later = volume * comes[:, None]
    later[:, 0] *= ramp
    benefit, spent = np.zeros((2, *np.shape(saving), years + 1))
    # revenue stands in the running cost with a minus; it comes in full from the first year
    benefit[..., 1:] = saving[..., None] * later + rehearsal.revenue[..., None] * volume
    spent[..., 0] = rehearsal.investment
    spent[..., 1:] = (rehearsal.running_cost + rehearsal.revenue)[..., None]
    return CashFlows(benefit, spent, rate=rate, growth=grown, ramp_up=ramp, realised=comes)


def _drawn(
    value: Any, least: float, most: float, draws: int, name: str, rng: np.random.Generator
) -> np.ndarray:
    points = three_points(value, name=name)
    if points[0] < least or points[2] > most:
        raise Problem(
            f"{name} is {value!r}.", f"give shares between {least:g} and {most:g}; 0.05 is 5 %."
        )
    return drawn(points, draws, rng=rng)


def present_value(flows: np.ndarray, rate: np.ndarray | float) -> np.ndarray:
    """Worth today of money that falls at the beginning and at the end of each year.

    Parameters
    ----------
    flows : ndarray, shape (..., years + 1)
    rate : float, or ndarray that goes with the other axes
        A year, 0.05 for 5 %.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    110 in a year is worth 100 today at 10 %.

    >>> round(float(present_value(np.array([-90.0, 110.0]), 0.1)), 10)
    10.0
    """
    return _at_factor(flows, 1 / (1 + np.asarray(rate)))


def _at_factor(flows: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Horner's rule: each year's money times the factor once more."""
    total = np.zeros(np.broadcast_shapes(flows.shape[:-1], np.shape(factor)))
    for t in range(flows.shape[-1] - 1, -1, -1):
        total = total * factor + flows[..., t]
    return total


def internal_rate(flows: np.ndarray) -> np.ndarray:
    """Discount rate at which money spent first and earned later is worth nothing.

    Parameters
    ----------
    flows : ndarray, shape (..., years + 1)

    Returns
    -------
    ndarray, shape (...)
        Infinite where nothing is spent and something earned, -1 where nothing comes back, NaN
        where the money changes its sign more than once (several rates would do) or is all zero.

    Notes
    -----
    One change of sign leaves one root (Descartes); it is found by halving a bracket of the
    logarithm of 1 / (1 + rate).

    Examples
    --------
    >>> round(float(internal_rate(np.array([-100.0, 110.0]))), 10)
    0.1
    """
    first, changes = _signs(flows)
    low, high = np.full(first.shape, -20.0), np.full(first.shape, 20.0)
    with np.errstate(over="ignore"):
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = _at_factor(flows, np.exp(middle)) > 0
            low, high = np.where(above, low, middle), np.where(above, middle, high)
    rate = np.where((first < 0) & (changes == 1), np.expm1(-(low + high) / 2), np.nan)
    rate = np.where((first < 0) & (changes == 0), -1.0, rate)
    return np.where((first > 0) & (changes == 0), np.inf, rate)


def _signs(flows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First sign of the money that is not zero, and how often it changes."""
    first = np.zeros(flows.shape[:-1])
    last, changes = first.copy(), first.copy()
    for t in range(flows.shape[-1]):
        sign = np.sign(flows[..., t])
        changes += (sign * last) < 0
        first = np.where(first == 0, sign, first)
        last = np.where(sign == 0, last, sign)
    return first, changes


def payback_years(flows: np.ndarray) -> np.ndarray:
    """Years until the money earned has made good what was spent, and stays so.

    Parameters
    ----------
    flows : ndarray, shape (..., years + 1)

    Returns
    -------
    ndarray, shape (...)
        0 where the sum is never below zero, infinite where it ends below zero.

    Notes
    -----
    Not discounted; even within a year.

    Examples
    --------
    After three years 10 of 100 are missing, a third of the fourth year.

    >>> round(float(payback_years(np.array([-100.0, 30, 30, 30, 30]))), 4)
    3.3333
    """
    sums = np.cumsum(flows, axis=-1)
    years = flows.shape[-1] - 1
    found = np.where(sums[..., -1] < 0, np.inf, 0.0)
    for t in range(years):
        crosses = (sums[..., t] < 0) & (sums[..., t + 1] >= 0)
        rise = np.where(crosses, flows[..., t + 1], 1.0)
        found = np.where(crosses & np.isfinite(found), t - sums[..., t] / rise, found)
    return found


# --- The case -------------------------------------------------------------------------------------


def business_case(
    rehearsal: Rehearsal, flows: CashFlows, *, currency: str, confidence: float = 0.95
) -> BusinessCase:
    """Judge each scenario by the money that it brings and costs.

    Parameters
    ----------
    rehearsal : Rehearsal
    flows : CashFlows
        Of the same rehearsal.
    currency : str
    confidence : float, default 0.95

    Returns
    -------
    BusinessCase

    Raises
    ------
    Problem
        If the currency is missing, or the flows are of another rehearsal.
    Refusal
        If there is no scenario besides the service as it is.

    Notes
    -----
    Limits are such that a further draw would lie between them with the probability named; those
    of a chance are Wilson's (95 %), given the number of draws.  Benefit over cost: benefits over
    investment and running cost, both discounted; break-even share: its inverse; return on
    investment: all money over the investment, not discounted.
    """
    need_share(confidence, name="confidence")
    currency = need_currency(currency)
    names = [world.name for world in rehearsal.scenarios]
    if flows.benefit.shape[:2] != rehearsal.running_cost.shape:
        raise Problem("The cash flows are of another rehearsal.", "lay them out from this one.")
    if len(names) < 2:
        raise Refusal("No scenario is given whose money could be judged.", "describe one.")
    rows = [row for w, name in enumerate(names) if w for row in _rows(name, w, flows, confidence)]
    table = pd.DataFrame(rows)
    table.loc[table["unit"].eq("money"), "unit"] = currency
    return _summed_up(table, flows, rehearsal.scenarios, currency, confidence)


def _rows(name: str, w: int, flows: CashFlows, confidence: float) -> list[dict]:
    net, benefit, spent = flows.net[w], flows.benefit[w], flows.spent[w]
    gained, paid = present_value(benefit, flows.rate), present_value(spent, flows.rate)
    payback = payback_years(net)
    invested = spent[:, 0]
    of = {
        "net_present_value": gained - paid,
        "payback": payback,
        "internal_rate_of_return": internal_rate(net),
        "benefit_over_cost": _over(gained, paid),
        "return_on_investment": _over(net.sum(axis=1), invested),
        # what costs something and brings nothing needs more than any share of it
        "break_even_share": np.where((gained <= 0) & (paid > 0), np.inf, _over(paid, gained)),
    }
    rows = [_row(name, quantity, values, flows, confidence) for quantity, values in of.items()]
    pays, never = of["net_present_value"] > 0, np.isinf(payback)
    return [
        *rows,
        _chance_row(name, "chance_pays", pays),
        _chance_row(name, "chance_never_pays_back", never),
    ]


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A ratio where the whole is above zero."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _chance_row(name: str, quantity: str, happens: np.ndarray) -> dict:
    share = float(happens.mean())
    low, high = wilson(share, len(happens))
    return {
        "scenario": name, "quantity": quantity, "unit": "share", "statistic": "share",
        "estimate": share, "low": low, "high": high, "note": "",
    }  # fmt: skip


def _row(name: str, quantity: str, values: np.ndarray, flows: CashFlows, confidence: float) -> dict:
    if quantity == "net_present_value":
        low, high = limits(values, confidence=confidence)
        figures = [float(values.mean()), float(low), float(high)]
    else:
        figures = _ranked(values, confidence)
    note = _note(quantity, values, flows.years)
    return {
        "scenario": name, "quantity": quantity, "unit": QUANTITIES[quantity][1],
        "statistic": QUANTITIES[quantity][0],
        **dict(zip(("estimate", "low", "high"), figures, strict=True)), "note": note,
    }  # fmt: skip


def _ranked(values: np.ndarray, confidence: float) -> list[float]:
    """Median and limits of what may be infinite (missing then); draws without a value stay out.

    Where a limit falls between a number of years and never, it is the one that lies outwards.
    """
    known = np.sort(values[~np.isnan(values)])
    n = len(known)
    if n < len(values) / 2 or n == 0:
        return [np.nan] * 3
    tail = (1 - confidence) / 2 * (n + 1)
    outer = (known[max(int(tail), 1) - 1], known[min(int(np.ceil(n + 1 - tail)), n) - 1])
    with np.errstate(invalid="ignore"):
        between = limits(known, confidence=confidence)
    found = [b if np.isfinite(b) else o for b, o in zip(between, outer, strict=True)]
    figures = (float(np.median(known)), *map(float, found))
    return [each if np.isfinite(each) else np.nan for each in figures]


def _note(quantity: str, values: np.ndarray, years: int) -> str:
    """Why a number or a limit is missing, or which draws it leaves out."""
    unknown, endless = float(np.isnan(values).mean()), float(np.isposinf(values).mean())
    ends = {
        "payback": f"not within {counted(years, 'year')}",
        "internal_rate_of_return": "nothing is spent first, so that no rate is defined",
        "break_even_share": "it brings nothing",
    }
    said = []
    if endless > 0:
        said.append(f"{ends.get(quantity, 'without end')} in {endless:.1%} of the draws")
    reasons = {
        "internal_rate_of_return": "the money changes its sign more than once, or there is none",
        "benefit_over_cost": "it costs nothing",
        "return_on_investment": "nothing is invested",
        "break_even_share": "it neither costs nor brings anything",
    }
    if unknown > 0:
        said.append(f"{reasons.get(quantity, 'not known')} in {unknown:.1%} of the draws")
    return "; ".join(said)


def _summed_up(
    table: pd.DataFrame, flows: CashFlows, worlds, currency: str, confidence: float
) -> BusinessCase:
    worth = table[table["quantity"].eq("net_present_value")]
    best = str(worth.loc[worth["estimate"].idxmax(), "scenario"])
    of = table[table["scenario"].eq(best)].set_index("quantity")
    figures = {
        name: tuple(float(each) for each in of.loc[name, ["estimate", "low", "high"]])
        for name in of.index
    }
    value, chance, payback = (
        figures[name] for name in ("net_present_value", "chance_pays", "payback")
    )
    return BusinessCase(
        table=table,
        best=best,
        net_present_value=value[0],
        low=value[1],
        high=value[2],
        chance=chance[0],
        chance_low=chance[1],
        chance_high=chance[2],
        payback_years=payback[0],
        payback_low=payback[1],
        payback_high=payback[2],
        internal_rate=figures["internal_rate_of_return"][0],
        break_even_share=figures["break_even_share"][0],
        years=flows.years,
        draws=flows.benefit.shape[1],
        discount_rate=float(flows.rate.mean()),
        growth=float(flows.growth.mean()),
        ramp_up=float(flows.ramp_up.mean()),
        realised=float(flows.realised.mean()),
        currency=currency,
        confidence=confidence,
        words=tuple(in_words(world.name, worlds) for world in worlds[1:]),
        labels=labels(worlds)[1:],
    )
