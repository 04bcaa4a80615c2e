"""Is a pilot worth its cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_one_of, need_share, need_whole
from sqm.finding import Finding, counted, together
from sqm.money import amount, limits, need_currency, on_axis, spell_money
from sqm.rehearsal import Rehearsal, need_benefit
from sqm.scenario import in_words, labels
from sqm.three_point import drawn, three_points

FEWEST_DRAWS = 30
SHOWN_OPTIONS = 4  # in the picture: the one chosen now, and those with the best pilots
KEY_LETTERS = 84  # in a line below the picture
LEAST_APART = 0.07  # between two names in the picture, as a share of its height
GROUPS = 20  # of draws, left out in turn
LARGEST_LOG = 30.0
POINTS = 4096  # at which a normal density is summed
WEEKS_OF_A_YEAR = 365.25 / 7
# What a pilot can show, and whether single contacts add a coin's chance to what was rehearsed:
# there, whether a contact is resolved or complained of is a probability and not a coin.
SHOWN = {
    "mean_wait_s": ("mean wait", False),
    "abandoned": ("share who hang up", False),
    "resolved": ("resolution at first contact", True),
    "complaint_rate": ("complaints per contact", True),
}


@dataclass(frozen=True, eq=False)
class Pilot(Finding):
    """What a pilot of each option would be worth, by its length.

    Attributes
    ----------
    table : DataFrame, one row per option, length and quantity
        ``option``, ``weeks``, ``quantity`` (``value`` of what it shows, ``cost``, ``waiting``:
        benefit forgone meanwhile, ``net``), ``unit``, ``estimate, low, high``, ``note``.  Limits of
        a value and a net value are about the number of draws alone, those of a cost its range.
    best : str
        Option whose pilot has the largest net value.
    weeks : int
        Length of that pilot.
    value, low, high : float
        What it would show, in ``currency``.
    cost, waiting : float
    net, net_low, net_high : float
    chosen : str
        Option to choose if nothing more were learnt.
    perfect_information : float
        What no pilot can exceed.
    share : float
        Share of the contacts that a pilot covers, 0 to 1.
    measures : tuple of str
        What it is judged by.
    years, confidence : float
    draws : int
    currency : str
    best_words, chosen_words : str
        ``best`` and ``chosen`` as a sentence names them.
    options, labels : tuple of str
        The options that a pilot was weighed of, and their short names, for the picture.
    """

    best: str
    weeks: int
    value: float
    low: float
    high: float
    cost: float
    waiting: float
    net: float
    net_low: float
    net_high: float
    chosen: str
    perfect_information: float
    share: float
    measures: tuple[str, ...]
    years: float
    confidence: float
    draws: int
    currency: str
    best_words: str
    chosen_words: str
    options: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say whether a pilot is worth its cost, of what and how long; then on what it rests."""
        return f"{self._answer()}\n{self._rests_on()}"

    def _answer(self) -> str:
        worth = spell_money(
            self.value, self.low, self.high, confidence=self.confidence, currency=self.currency
        )
        option = self.best_words
        pilot = f"{counted(self.weeks, 'week')} of {option} at {self.share:.0%} of contacts"
        costs = amount(self.cost + self.waiting, currency=self.currency)
        if self.net <= 0:
            return f"No pilot pays. The nearest, {pilot}, shows about {worth} and costs {costs}."
        sure = "Pilot first" if self.net_low > 0 else "A pilot may pay"
        return f"{sure}: {pilot} is worth about {worth} and costs {costs} with the waiting."

    def _rests_on(self) -> str:
        most = amount(self.perfect_information, currency=self.currency)
        waits = amount(self.waiting, currency=self.currency)
        return (
            f"Without a pilot {self.chosen_words} would be chosen; knowing everything would be"
            f" worth {most}. A pilot is worth something only so far as it may change that choice."
            f" Of its cost {waits} is benefit forgone while it runs, the benefit spread evenly over"
            f" {self.years:g} year{'s' * (self.years != 1)}; what it shows is of use for the rest."
            " It is judged by"
            f" {together([SHOWN[name][0] for name in self.measures])}, against"
            f" {_beside(self.share)}, with the weekly variation rehearsed and the chance of single"
            " contacts. The value is approximate: benefits are taken as linear in what is shown,"
            " and both as normal. What the rehearsal takes for granted a pilot could show as"
            f" well, so it may be worth more. It rests on {self.draws:,} draws; the interval is"
            " about their number alone."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net value by length of the best few pilots, with its interval."""
        ax = look.axes(ax)
        rows = self.table[self.table["quantity"].eq("net")]
        shown = self._drawn(rows)
        rows = rows[rows["option"].isin(shown)].sort_values("weeks", kind="stable")
        weeks = np.sort(rows["weeks"].unique())
        apart = np.diff(weeks).min() * 0.12 if len(weeks) > 1 else 0.2
        ends = []
        for i, name in enumerate(shown):
            each = rows[rows["option"].eq(name)]
            what = "better" if name == self.best and self.net > 0 else "usual"
            colour, thick = look.MEANING[what], name == self.best
            x = each["weeks"] + apart * (i - (len(shown) - 1) / 2)
            ax.vlines(x, each["low"], each["high"], color=colour, lw=1.4)
            ax.plot(x, each["estimate"], look.MARKER[what] + "-", color=colour,
                    lw=1.8 if thick else 0.8, ms=6 if thick else 4)  # fmt: skip
            ends.append((float(x.iloc[-1]), float(each["estimate"].iloc[-1])))
        ax.axhline(0, color=look.MEANING["limit"], lw=1)
        ax.set_xticks(weeks)
        self._name(ax, shown, np.array(ends))
        few = f"; {len(shown)} of {counted(len(self.options), 'option')}"
        few = few if len(shown) < len(self.options) else ""
        look.label(
            ax,
            title="Is a pilot worth its cost?",
            x=f"weeks of the pilot ({self.confidence * 100:.4g}% interval; thick: best{few})",
            y=f"net value, {on_axis(ax.yaxis, currency=self.currency)}",
        )
        if self.labels != self.options:  # what the letters mean
            letters = [label for label in self.labels if ": " in label]
            key = "; ".join(label.replace(" ", "\u00a0") for label in letters)
            ax.set_xlabel(f"{ax.get_xlabel()}\n{fill(key, KEY_LETTERS, break_on_hyphens=False)}")
        return ax

    def _drawn(self, rows: pd.DataFrame) -> list[str]:
        """The best pilots; that of the option chosen now among them."""
        best = rows[rows["weeks"].gt(0)].groupby("option", sort=False)["estimate"].max()
        order = best.sort_values(ascending=False, kind="stable").index.tolist()
        first = [name for name in [*order[:1], self.chosen] if name in order]
        return list(dict.fromkeys(first + order))[:SHOWN_OPTIONS]

    def _name(self, ax: Axes, shown: list[str], ends: np.ndarray) -> None:
        """Write each option beside the end of its line."""
        short = dict(zip(self.options, self.labels, strict=True))
        letters = self.labels != self.options
        heights = _apart(ends[:, 1], LEAST_APART * float(np.ptp(ax.get_ylim())))
        at, wide = ends[:, 0].max(), float(np.ptp(ax.get_xlim()))
        for name, end, height in zip(shown, ends, heights, strict=True):
            ax.annotate(
                short[name].split(": ")[0] if letters else look.shorten(name, width=24),
                end, xytext=(at + 0.03 * wide, height), va="center", fontsize="small",
                fontweight="bold" if name == self.best else "normal",
                arrowprops={"arrowstyle": "-", "color": look.MEANING["limit"], "lw": 0.6},
            )  # fmt: skip
        ax.set_xlim(right=at + (0.12 if letters else 0.4) * wide)
        ax.update_datalim([(at, heights.min()), (at, heights.max())])
        ax.autoscale_view(scalex=False)


def _apart(heights: np.ndarray, least: float) -> np.ndarray:
    """Move heights up and down until no two are closer than ``least``."""
    order, found = np.argsort(heights, kind="stable"), np.array(heights, float)
    for below, above in pairwise(order):
        found[above] = max(found[above], found[below] + least)
    return found - (found - heights).mean()


def _beside(share: float) -> str:
    return "the other contacts of the same weeks" if share < 1 else "as many weeks before it"


def pilot_value(
    rehearsal: Rehearsal,
    benefit: np.ndarray,
    *,
    weeks: Sequence[int],
    share: float,
    years: float,
    currency: str,
    cost_per_week: Any = 0.0,
    fixed_cost: Any = 0.0,
    measures: Sequence[str] = ("mean_wait_s", "resolved", "complaint_rate"),
    realised: np.ndarray | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> Pilot:
    """Weigh what a pilot of each option would show against what it costs, by its length.

    Parameters
    ----------
    rehearsal : Rehearsal
    benefit : ndarray, shape (scenarios, draws)
        Net benefit of each option over ``years``, drawn with this rehearsal.
    weeks : sequence of int
        Lengths to weigh; 0 is no pilot.
    share : float
        Share of the contacts that the pilot covers, above 0 up to 1.
    years : float
        Over how long the benefit comes.
    currency : str
    cost_per_week, fixed_cost : number or sequence of three, default 0
        Money, one number or least, likeliest and most.
    measures : sequence of str
        What the pilot is judged by: mean_wait_s, abandoned, resolved, complaint_rate.
    realised : ndarray, shape (draws,), optional
        Share of the foretold effect that comes, as it went into the benefit.
    confidence : float, default 0.95
    rng : Generator
        For the costs.

    Returns
    -------
    Pilot

    Raises
    ------
    Problem
        If a setting makes no sense, or the benefit is not of this rehearsal.
    Refusal
        If there are too few draws, or there is no option besides the service as it is.

    Notes
    -----
    Expected value of sample information, normal and conjugate [1]_ [2]_: benefits are regressed on
    the changes that the pilot would show.  If these are normal with variance V, and a week shows
    them with an error of variance S, what n weeks foretell of them varies by sqrt(V / (V + S / n))
    of their own spread (along the principal directions); the value is the mean of the largest
    benefit then foretold, less that of the option chosen now.  It is 0 at n = 0, never falls with
    n, and is never above the value of perfect information, to which it tends if benefits are
    normal and nothing but the effect is uncertain.  S is
    the variance of the difference of a week: of the part in the pilot, variance / share, and of
    the rest (or, with share 1, of as many weeks before).  Net value: value x (1 - n / N) - cost -
    n / N x (benefit of the option chosen now - share x benefit of the one in the pilot), N being
    the weeks in ``years``.  The interval leaves a twentieth of the draws out in turn (jackknife).

    References
    ----------
    .. [1] Raiffa, H., Schlaifer, R. (1961). Applied Statistical Decision Theory. Harvard.
    .. [2] Jalal, H., Alarid-Escudero, F. (2018). A Gaussian approximation approach for value of
       information analysis. Medical Decision Making 38, 174-188. doi:10.1177/0272989X17715627
    """
    need_share(confidence, name="confidence")
    currency, names = need_currency(currency), _names(rehearsal, benefit)
    weeks = _need_settings(rehearsal, weeks, share, years, measures)
    draws = benefit.shape[1]
    came = np.ones(draws) if realised is None else np.asarray(realised, dtype=float)
    if came.shape != (draws,):
        raise Problem(
            f"realised has the shape {came.shape}.", f"give one number for {draws} draws."
        )
    cost = _costs(cost_per_week, fixed_cost, weeks, draws, rng)
    rows = []
    for w, name in enumerate(names):
        if w:
            signal = _signal(rehearsal, w, share, measures, came)
            rows += _pilot_rows(name, w, benefit, signal, weeks, share, years, cost, confidence)
    table = pd.DataFrame(rows)
    table["unit"] = currency
    table = table[["option", "weeks", "quantity", "unit", "estimate", "low", "high", "note"]]
    settings = {"share": float(share), "years": float(years), "confidence": confidence}
    settings |= {"measures": tuple(measures), "currency": currency, "draws": draws}
    return _weighed(table, benefit, rehearsal.scenarios, settings)


def _names(rehearsal: Rehearsal, benefit: np.ndarray) -> list[str]:
    """Names of the options, once their benefits are seen to be those of this rehearsal."""
    names = [world.name for world in rehearsal.scenarios]
    need_benefit(benefit, options=len(names))
    if len(names) < 2:
        raise Refusal("There is nothing to try in a pilot.", "describe a scenario.")
    if benefit.shape[1] < FEWEST_DRAWS:
        raise Refusal(
            f"What a pilot shows is weighed with {counted(benefit.shape[1], 'draw')} of what is not"
            f" known where {FEWEST_DRAWS} are needed.",
            "rehearse with more draws.",
        )
    return names


def _need_settings(rehearsal, weeks, share, years, measures) -> list[int]:
    if not isinstance(weeks, list | tuple | range | np.ndarray) or not len(weeks):
        raise Problem(f"weeks is {weeks!r}.", "list whole numbers, such as [4, 8, 13].")
    for n in weeks:
        need_whole(n, name="weeks", least=0)
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not number or not 0 < share <= 1:
        raise Problem(f"share is {share!r}.", "give the share of contacts, above 0 up to 1.")
    if not years > 0 or max(weeks) >= years * WEEKS_OF_A_YEAR:
        raise Problem(
            f"A pilot of {max(weeks)} weeks does not end within the {years:g} years of benefit.",
            "list shorter pilots, or look further ahead.",
        )
    if not measures:
        raise Problem("The pilot is judged by nothing.", f"name one of {', '.join(SHOWN)}.")
    for name in measures:
        need_one_of(name, SHOWN, name="measures")
        need_one_of(name, rehearsal.measures, name="measures")
    return sorted({int(n) for n in weeks})


def _costs(per_week, fixed, weeks, draws, rng) -> dict[int, np.ndarray]:
    """Draws of what a pilot of each length costs."""
    points = {"cost_per_week": per_week, "fixed_cost": fixed}
    read = {name: three_points(value, name=name) for name, value in points.items()}
    for name, value in read.items():
        if value[0] < 0:
            raise Problem(f"{name} is {points[name]!r}.", "give money of 0 or more.")
    a_week, once = (drawn(value, draws, rng=rng) for value in read.values())
    return {n: (once + n * a_week) * (n > 0) for n in weeks}


def _signal(rehearsal, w: int, share: float, measures, came: np.ndarray) -> np.ndarray:
    """What an endless pilot would show, in units of the error of one week: (measures, draws)."""
    at = [rehearsal.measures.index(name) for name in measures]
    change = rehearsal.change[w][:, at].T * came
    error = _week_variance(rehearsal, w, measures) / share
    error += _week_variance(rehearsal, 0, measures) / (1 - share if share < 1 else 1.0)
    centred = change - change.mean(axis=1, keepdims=True)
    # a change that is the same in every draw tells nothing; nor does rounding noise
    told = centred.std(axis=1) > 1e-9 * np.abs(change).max(axis=1)
    scale = np.sqrt(np.maximum(error, 1e-300))
    return centred[told] / scale[told, None]


def _week_variance(rehearsal, w: int, measures) -> np.ndarray:
    """Variance of each measure in a week of all contacts, chance of single contacts included."""
    found = []
    level = dict(zip(rehearsal.measures, rehearsal.level[w].mean(axis=0), strict=True))
    contacts = level["contacts_per_day"] * rehearsal.open_days_per_year / WEEKS_OF_A_YEAR
    answered = 1 - level["abandoned_per_day"] / level["contacts_per_day"]
    for name in measures:
        variance = rehearsal.week_sd[w, rehearsal.measures.index(name)] ** 2
        if SHOWN[name][1]:
            n = contacts * (answered if name == "resolved" else 1.0)
            variance += level[name] * (1 - level[name]) / n
        found.append(variance)
    return np.array(found)


def _pilot_rows(name, w, benefit, signal, weeks, share, years, cost, confidence) -> list[dict]:
    means = benefit.mean(axis=1)
    values = _values(benefit, signal, weeks)
    errors = _jackknife(benefit, signal, weeks)
    rows, total = [], years * WEEKS_OF_A_YEAR
    for n, value, error in zip(weeks, values, errors, strict=True):
        low, high = _around(value, error, confidence)
        passed = n / total
        waiting = max(float(means.max() - share * means[w]), 0.0) * passed
        paid = float(cost[n].mean())
        net = np.array([value, low, high]) * (1 - passed) - paid - waiting
        note = "" if len(signal) else "it would show nothing that is not known already"
        figures = {
            "value": (value, low, high),
            "cost": (paid, *map(float, limits(cost[n], confidence=confidence))),
            "waiting": (waiting, waiting, waiting),
            "net": net,
        }
        for quantity, three in figures.items():
            estimate, low, high = map(float, three)
            rows.append(
                {"option": name, "weeks": n, "quantity": quantity}
                | {"estimate": estimate, "low": low, "high": high}
                | {"note": note if quantity == "value" else ""}
            )
    return rows


def sample_information(benefit: np.ndarray, signal: np.ndarray, weeks: float) -> float:
    """Expected value of what a pilot shows, before its cost.

    Parameters
    ----------
    benefit : ndarray, shape (options, draws)
    signal : ndarray, shape (measures, draws)
        True values of what the pilot measures, in units of the standard error of one week; the
        errors of different measures are independent.
    weeks : float

    Returns
    -------
    float

    Examples
    --------
    A week whose error is as large as what is not known (variance 1): what is foretold of the
    benefit has the spread sqrt(1 / 2), and the better of it and nothing is 0.7071 x 0.3989.

    >>> told = np.tile([-1.0, 1.0], 50)
    >>> round(sample_information(np.stack([np.zeros(100), told]), told[None], 1), 3)
    0.282
    """
    return float(_values(benefit, signal, [weeks])[0])


def _values(benefit: np.ndarray, signal: np.ndarray, weeks: Sequence[float]) -> np.ndarray:
    """Value of what is shown after each number of weeks, never above perfect information."""
    means = benefit.mean(axis=1)
    most = benefit.max(axis=0).mean() - means.max()
    if not len(signal):
        return np.zeros(len(weeks))
    signal = signal - signal.mean(axis=1, keepdims=True)
    variance, turn = np.linalg.eigh(np.cov(signal, ddof=0).reshape(len(signal), len(signal)))
    kept = variance > 1e-12 * variance.max()
    along, variance = turn[:, kept].T @ signal, variance[kept]  # (directions, draws)
    slope = (benefit - means[:, None]) @ along.T / benefit.shape[1] / variance
    reach = slope * np.sqrt(variance)
    normal, found = _normal_points(len(variance)), []
    for n in weeks:
        shrink = np.sqrt(variance * n / (1 + variance * n))  # of an estimate from n weeks
        foretold = means[:, None] + (reach * shrink) @ normal
        found.append(min(max(foretold.max(axis=0).mean() - means.max(), 0.0), most))
    return np.array(found)


@cache
def _normal_points(dimensions: int) -> np.ndarray:
    """Evenly spread points of independent normal variables, (dimensions, points)."""
    points = stats.qmc.Sobol(dimensions, scramble=False).random(POINTS) + 0.5 / POINTS
    normal = stats.norm.ppf(points).T
    normal -= normal.mean(axis=1, keepdims=True)
    return normal / normal.std(axis=1, keepdims=True)


def _jackknife(benefit: np.ndarray, signal: np.ndarray, weeks: Sequence[int]) -> np.ndarray:
    """Standard error of each value, leaving one group of draws out in turn."""
    group = np.arange(benefit.shape[1]) % GROUPS
    left = np.array(
        [_values(benefit[:, group != g], signal[:, group != g], weeks) for g in range(GROUPS)]
    )
    return np.sqrt((GROUPS - 1) * left.var(axis=0))


def _around(value: float, error: float, confidence: float) -> tuple[float, float]:
    """Limits of what is above zero, a factor apart; of nothing, nothing."""
    if value <= 0:
        return 0.0, 0.0
    t = stats.t.ppf((1 + confidence) / 2, GROUPS - 1)
    factor = np.exp(min(t * error / value, LARGEST_LOG))
    return float(value / factor), float(value * factor)


def _weighed(table: pd.DataFrame, benefit: np.ndarray, worlds, settings: dict) -> Pilot:
    net = table[table["quantity"].eq("net") & table["weeks"].gt(0)]
    if net.empty:
        raise Problem("No pilot has any length.", "list at least one number of weeks above 0.")
    first = net.loc[net["estimate"].idxmax()]
    same = table["option"].eq(first["option"]) & table["weeks"].eq(first["weeks"])
    of = table[same].set_index("quantity")
    means, names = benefit.mean(axis=1), [world.name for world in worlds]
    chosen = names[int(means.argmax())]
    return Pilot(
        table=table,
        best=str(first["option"]),
        weeks=int(first["weeks"]),
        value=float(of.loc["value", "estimate"]),
        low=float(of.loc["value", "low"]),
        high=float(of.loc["value", "high"]),
        cost=float(of.loc["cost", "estimate"]),
        waiting=float(of.loc["waiting", "estimate"]),
        net=float(first["estimate"]),
        net_low=float(first["low"]),
        net_high=float(first["high"]),
        chosen=chosen,
        perfect_information=float(benefit.max(axis=0).mean() - means.max()),
        best_words=in_words(str(first["option"]), worlds),
        chosen_words=in_words(chosen, worlds),
        options=tuple(names[1:]),
        labels=labels(worlds)[1:],
        **settings,
    )
