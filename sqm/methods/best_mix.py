"""What is the best mix of improvements under a budget?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import spell, wilson
from sqm.money import on_axis
from sqm.rehearsal import AS_IS, PRESENT, Rehearsal
from sqm.scenario import in_words, labels

NET_SAVING = "net saving a year"
LISTED = 3  # sets named in a sentence before the rest is counted
SHOWN = 2.0  # times the budget, up to which the picture goes
KEY_LETTERS = 84  # in a line below the picture
ROOM = 0.12  # of the picture's width that a name takes
MOST_SETS = 4096  # combinations that are looked through for those that were not played


@dataclass(frozen=True, eq=False)
class BestMix(Finding):
    """Every set of improvements that was played: its cost, its benefit, whether it is the best.

    Attributes
    ----------
    table : DataFrame, one row per set, the best affordable one first
        ``set``; ``improvements`` in it; ``cost, cost_low, cost_high`` of the first year,
        ``budget_needed`` to pay it with the chance asked for; ``affordable_chance``;
        ``affordable``; ``estimate, low, high`` of the benefit; ``chance_best, chance_best_low,
        chance_best_high`` of having the largest benefit of the affordable sets (limits: number of
        draws); ``expected_loss`` if it is chosen; ``interaction, interaction_low,
        interaction_high``, its benefit less the sum of its parts'; ``on_frontier``, whether no set
        that needs less money brings as much; ``chance: <ctq>`` of meeting each target; ``note``.
    best : str
        The affordable set with the largest expected benefit.
    benefit, low, high : float
        Its benefit, in ``currency``.
    chance_best, expected_loss : float
        Chance that no affordable set is better; benefit a year forgone on average if one is.
    runner_up : str
        The next best affordable set; blank if there is none.
    ahead, ahead_low, ahead_high : float
        Benefit of the best less that of the runner-up.
    budget, sure : float
        Money for the first year, and the chance with which a set must be payable from it.
    affordable, sets, missing : int
        Sets that are affordable, that were played (doing nothing included), and possible
        combinations that were not played.
    targets : tuple of str
        The targets that were judged, with the chance of the best set.
    not_played : tuple of str
        The combinations that were not.
    benefit_name, currency : str
    confidence : float
    draws : int
    words, labels : tuple of str
        The sets as a sentence names them, and their short names for the picture, both in the order
        of the table.
    """

    best: str
    benefit: float
    low: float
    high: float
    chance_best: float
    expected_loss: float
    runner_up: str
    ahead: float
    ahead_low: float
    ahead_high: float
    budget: float
    sure: float
    affordable: int
    sets: int
    missing: int
    targets: tuple[str, ...]
    not_played: tuple[str, ...]
    benefit_name: str
    currency: str
    confidence: float
    draws: int
    words: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say which set to carry out, how surely it is the best, and what the others do."""
        return (
            f"{self._answer()}\n{self._doubt()}{self._targets()}{self._together()}"
            f"{self._unplayed()} A set counts as affordable if investment and running cost of its"
            f" first year are within the budget with a chance of {self.sure * 100:.4g} % or more:"
            f" {self.affordable} of {self.sets}, doing nothing included. The limits are those of"
            f" {counted(self.draws, 'draw')} of what is not known for certain. {PRESENT}"
        )

    def _answer(self) -> str:
        money = f"With {self.budget:,.0f} {self.currency} in the first year"
        if self.best == AS_IS:
            return (
                f"{money}, no set of improvements that can be paid is expected to bring more than"
                " it costs: leave the service as it is."
            )
        amount = self._spelt(self.benefit, self.low, self.high)
        best = self._named(self.best)
        return f"{money}, {best} is the best set: {self.benefit_name} {amount}."

    def _named(self, name: str) -> str:
        return self.words[self.table["set"].tolist().index(name)]

    def _spelt(self, estimate: float, low: float, high: float) -> str:
        return spell(estimate, low, high, confidence=self.confidence, digits=0, unit=self.currency)

    def _doubt(self) -> str:
        chance = (
            f"It is the best affordable set in {self.chance_best * 100:.0f} % of draws; to choose"
            f" it without knowing more loses {self.expected_loss:,.0f} {self.currency} on average"
            " against the best set of each draw."
        )
        if not self.runner_up:
            return chance
        ahead = self._spelt(self.ahead, self.ahead_low, self.ahead_high)
        return f"{chance} It is ahead of the next, {self._named(self.runner_up)}, by {ahead}."

    def _targets(self) -> str:
        if not self.targets:
            return ""
        return f" Chance of each target with it: {'; '.join(self.targets)}."

    def _together(self) -> str:
        """What sets bring beyond the sum of their parts, the largest first."""
        known = self.table.dropna(subset=["interaction"])
        clear = known[(known["interaction_low"] > 0) | (known["interaction_high"] < 0)]
        if known.empty:
            return " Nothing is known of how improvements work together."
        if clear.empty:
            return (
                f" Of {counted(len(known), 'combination')} none clearly brings more or less than"
                " the sum of its parts."
            )
        clear = clear.loc[
            clear["interaction"].abs().sort_values(ascending=False, kind="stable").index
        ]
        each = [
            f"{row.set} {row.interaction:+,.0f} ({row.interaction_low:+,.0f} to"
            f" {row.interaction_high:+,.0f})"
            for row in clear.itertuples()
        ]
        return f" Beyond the sum of their parts: {listed(each, most=LISTED, apart='; ')}."

    def _unplayed(self) -> str:
        if not self.missing:
            return ""
        return (
            f" {counted(self.missing, 'combination')} {'was' if self.missing == 1 else 'were'} not"
            f" played and cannot be the answer: {listed(self.not_played, most=LISTED, apart='; ')}"
            " (effects are not added up)."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw benefit against cost of each set, up to about twice the budget."""
        ax = look.axes(ax)
        front = self.table[self.table["on_frontier"]].sort_values("budget_needed", kind="stable")
        right = 1.05 * float(self.table["budget_needed"].max())
        right = min(right, SHOWN * self.budget or right)
        near = self.table["budget_needed"].to_numpy() <= right
        for _, row in self.table[near].iterrows():
            _mark(ax, row)
        steps = front[front["budget_needed"] <= right]
        ax.step(
            [*steps["budget_needed"], right],
            [*steps["estimate"], steps["estimate"].iloc[-1]],
            where="post",
            color=look.MEANING["better"],
            lw=1,
        )
        ax.axvline(self.budget, color=look.MEANING["limit"], ls="--", lw=1)
        ax.axhline(0, color=look.MEANING["limit"], lw=0.6)
        self._name(ax, near)
        _legend(ax)
        look.label(
            ax,
            title="What is the best mix of improvements under the budget?",
            x=f"money for the first year ({on_axis(ax.xaxis, currency=self.currency)},"
            f" with {self.sure * 100:.4g} % chance)",
            y=f"{self.benefit_name},\n{on_axis(ax.yaxis, currency=self.currency)}",
        )
        notes = [*self._key(near), "Bold: the best within the budget"]
        below = [fill(each, KEY_LETTERS, break_on_hyphens=False) for each in notes if each]
        ax.set_xlabel("\n".join([ax.get_xlabel(), *below]))
        return ax

    def _key(self, near: np.ndarray) -> tuple[str, str]:
        """What the letters mean, and which sets lie beyond the picture."""
        letters = [label for label in self.labels if ": " in label and self._has_letters()]
        # a name stays in one line
        key = "; ".join(label.replace(" ", "\u00a0") for label in sorted(letters))
        beyond = [self._short(i) for i in np.flatnonzero(~near)]
        away = f"Further right, beyond {SHOWN:g} times the budget: {', '.join(sorted(beyond))}"
        return key, away if beyond else ""

    def _has_letters(self) -> bool:
        return self.labels != tuple(self.table["set"])

    def _short(self, i: int) -> str:
        label = self.labels[i]
        return label.split(": ")[0] if self._has_letters() else look.shorten(label, width=28)

    def _name(self, ax: Axes, near: np.ndarray) -> None:
        """Write each set beside its mark, on the side where there is room."""
        x, y = (self.table[name].to_numpy() for name in ("budget_needed", "estimate"))
        (first, right), high = ax.get_xlim(), np.ptp(ax.get_ylim())
        wide = right - first
        for i in np.flatnonzero(near):
            # what is close to the right, a mark or the budget's line, leaves the left side
            away = (x[near] - x[i]) / wide
            level = np.abs(y[near] - y[i]) < 0.06 * high
            left = (level & (away > 0) & (away < ROOM)).any() or x[i] > right - ROOM * wide
            left = left or 0 < (self.budget - x[i]) / wide < ROOM / 2
            ax.annotate(
                self._short(i),
                (x[i], y[i]),
                xytext=(-7 if left else 7, 4),
                textcoords="offset points",
                ha="right" if left else "left",
                fontsize="small",
                fontweight="bold" if self.table["set"].iloc[i] == self.best else "normal",
            )


def _mark(ax: Axes, row: pd.Series) -> None:
    """One set: its interval, and a shape that says whether it can be paid and is worth it."""
    meaning = "usual" if row["affordable"] else "limit"
    meaning = "better" if row["on_frontier"] else meaning
    colour = look.MEANING[meaning]
    ax.vlines(row["budget_needed"], row["low"], row["high"], color=colour, lw=1.2)
    ax.plot(row["budget_needed"], row["estimate"], look.MARKER[meaning], color=colour, ms=6)


def _legend(ax: Axes) -> None:
    """Say what lines and marks mean, above the picture and clear of all points."""
    for words, meaning, line in (
        ("best that a budget buys", "better", "-"),
        ("within the budget", "usual", ""),
        ("beyond it", "limit", ""),
    ):
        mark, colour = look.MARKER[meaning], look.MEANING[meaning]
        ax.plot([], [], mark, ls=line, color=colour, lw=1, ms=6, label=words)
    ax.plot([], [], ls="--", color=look.MEANING["limit"], lw=1, label="budget")
    ax.legend(fontsize="small", frameon=False, ncols=4, loc="lower center",
              handlelength=1.6, columnspacing=1.2)  # fmt: skip
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.14 * (high - low), high)


def best_mix(
    rehearsal: Rehearsal,
    *,
    budget: float,
    currency: str,
    benefit: np.ndarray | None = None,
    benefit_name: str = NET_SAVING,
    sure: float = 0.9,
    confidence: float = 0.95,
) -> BestMix:
    """Which affordable set of improvements has the largest expected benefit?

    Parameters
    ----------
    rehearsal : Rehearsal
        Best played with combinations.  Read are ``scenarios`` (``name``, ``parts``), ``measures``,
        ``level``, ``change``, ``cost``, ``running_cost``, ``revenue``, ``investment``,
        ``open_days_per_year`` and ``defects`` (``name``, ``target``).
    budget : float
        Money for the first year: investment and running cost.
    currency : str
        Such as ``EUR``.
    benefit : ndarray, shape (scenarios, draws), optional
        Draws of the benefit of each set, in the same currency and draws; if not given, the fall
        in the cost of complaints a year less the running cost.
    benefit_name : str
        What it is called.
    sure : float, default 0.9
        A set is affordable if its first year is within the budget with at least this chance.
    confidence : float, default 0.95

    Returns
    -------
    BestMix

    Raises
    ------
    Problem
        If the budget or the benefits do not make sense, or money has no currency.
    Refusal
        If no improvement was played.

    Notes
    -----
    A set is what was played as one scenario; a combination that was not played is never made up
    from its parts.  The best set is the one with the largest mean benefit; what choosing it may
    cost is E[largest benefit of the affordable sets - benefit of the chosen one], the expected
    opportunity loss, equal to the expected value of perfect information [1]_.  Doing nothing
    costs and brings nothing.

    References
    ----------
    .. [1] Raiffa, H., Schlaifer, R. (1961). Applied Statistical Decision Theory, chapter 4.
       Harvard University.

    Examples
    --------
    A brings 30 for 10, B 50 for 90, both 60 for 100.  With 50 there is only A.

    >>> from types import SimpleNamespace
    >>> from sqm.scenario import Scenario
    >>> a, b = Scenario("A"), Scenario("B")
    >>> sets = [Scenario("as is"), a, b, Scenario("A + B", together=(a, b))]
    >>> cost = np.array([[0.0], [10.0], [90.0], [100.0]]) * np.ones(4)
    >>> played = SimpleNamespace(scenarios=sets, measures=(), defects=(), investment=cost,
    ...     running_cost=0 * cost, revenue=0 * cost)
    >>> brings = np.array([[0.0], [30.0], [50.0], [60.0]]) * np.ones(4)
    >>> best_mix(played, budget=50, currency="EUR", benefit=brings).best
    'A'
    >>> best_mix(played, budget=100, currency="EUR", benefit=brings).best
    'A + B'
    """
    need_share(confidence, name="confidence")
    need_share(sure, name="sure")
    _need_money(budget, currency)
    if len(rehearsal.scenarios) < 2:
        raise Refusal("No improvement was played.", "name one under `improve: scenarios`.")
    brings = _benefit(rehearsal, benefit)
    # what a change of price brings helps the benefit, but nobody can spend it beforehand
    cost = rehearsal.running_cost + rehearsal.revenue + rehearsal.investment
    table = _table(rehearsal, brings, cost, budget=budget, sure=sure, confidence=confidence)
    chosen = int(table["estimate"].where(table["affordable"]).idxmax())
    others = table["affordable"] & (table.index != chosen)
    next_ = int(table["estimate"].where(others).idxmax()) if others.any() else -1
    ahead = brings[chosen] - brings[next_] if next_ >= 0 else np.full(1, np.nan)
    not_played = _not_played(rehearsal)
    best = table.loc[chosen]
    limits = _limits(ahead, confidence)
    order = table.assign(paid=~table["affordable"]).sort_values(
        ["paid", "estimate"], ascending=[True, False], kind="stable"
    )
    worlds, short = rehearsal.scenarios, labels(rehearsal.scenarios)
    return BestMix(
        table=order.drop(columns="paid").reset_index(drop=True),
        best=str(best["set"]),
        benefit=float(best["estimate"]),
        low=float(best["low"]),
        high=float(best["high"]),
        chance_best=float(best["chance_best"]),
        expected_loss=float(best["expected_loss"]),
        runner_up=str(table.loc[next_, "set"]) if next_ >= 0 else "",
        ahead=float(ahead.mean()),
        ahead_low=limits[0],
        ahead_high=limits[1],
        budget=float(budget),
        sure=sure,
        affordable=int(table["affordable"].sum()),
        sets=len(table),
        missing=len(not_played),
        targets=tuple(
            f"{each.name} {_per_cent(best[f'chance: {each.name}'])}" for each in rehearsal.defects
        ),
        not_played=not_played,
        benefit_name=benefit_name,
        currency=currency,
        confidence=confidence,
        draws=brings.shape[1],
        words=tuple(in_words(name, worlds) for name in order["set"]),
        labels=tuple(short[w] for w in order.index),
    )


def _need_money(budget: float, currency: str) -> None:
    number = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if not number or not 0 <= budget < np.inf:
        raise Problem(f"budget is {budget!r}.", "give the money for the first year, 0 or more.")
    if not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")


def _benefit(rehearsal: Rehearsal, benefit: np.ndarray | None) -> np.ndarray:
    if benefit is None:
        complaints = rehearsal.change[:, :, rehearsal.measures.index("complaints_per_day")]
        spared = 0.0 - complaints * rehearsal.open_days_per_year * rehearsal.cost
        return spared - rehearsal.running_cost
    brings, shape = np.asarray(benefit, float), rehearsal.running_cost.shape
    if brings.shape != shape or not np.isfinite(brings).all():
        raise Problem(
            f"The benefits have the shape {brings.shape}, or some are missing.",
            f"give one number a scenario and draw, {shape[0]} by {shape[1]}.",
        )
    return brings


def _table(rehearsal, brings, cost, *, budget, sure, confidence) -> pd.DataFrame:
    needed = np.quantile(cost, sure, axis=1, method="inverted_cdf")
    chance = (cost <= budget).mean(axis=1)
    affordable = chance >= sure
    affordable[0] = True  # doing nothing
    leader = np.where(affordable[:, None], brings, -np.inf).argmax(axis=0)
    most = brings[affordable].max(axis=0)
    rows = []
    for w, world in enumerate(rehearsal.scenarios):
        low, high = _limits(brings[w], confidence)
        cheap, dear = _limits(cost[w], confidence)
        best = float((leader == w).mean())
        first, last = wilson(best, cost.shape[1], confidence=confidence)
        rows.append(
            {
                "set": world.name,
                "improvements": 0 if w == 0 else len(world.parts),
                "cost": float(cost[w].mean()),
                "cost_low": cheap,
                "cost_high": dear,
                "budget_needed": float(needed[w]),
                "affordable_chance": float(chance[w]),
                "affordable": bool(affordable[w]),
                "estimate": float(brings[w].mean()),
                "low": low,
                "high": high,
                "chance_best": best if affordable[w] else np.nan,
                "chance_best_low": first if affordable[w] else np.nan,
                "chance_best_high": last if affordable[w] else np.nan,
                "expected_loss": float((most - brings[w]).mean()) if affordable[w] else np.nan,
            }
            | _interaction(rehearsal, brings, w, confidence)
            | {"on_frontier": False}
            | _targets(rehearsal, w)
            | {"note": "" if affordable[w] else "beyond the budget"}
        )
    table = pd.DataFrame(rows)
    table["on_frontier"] = _frontier(table)
    return table


def _limits(values: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _interaction(rehearsal, brings: np.ndarray, w: int, confidence: float) -> dict:
    """Benefit of a combination less the sum of its parts', if these were played."""
    names = [each.name for each in rehearsal.scenarios]
    parts = [each.name for each in rehearsal.scenarios[w].parts] if w else []
    nothing = {"interaction": np.nan, "interaction_low": np.nan, "interaction_high": np.nan}
    if len(parts) < 2 or not set(parts) <= set(names):
        return nothing
    beyond = brings[w] - sum(brings[names.index(part)] for part in parts)
    low, high = _limits(beyond, confidence)
    return {
        "interaction": float(beyond.mean()),
        "interaction_low": low,
        "interaction_high": high,
    }


def _targets(rehearsal, w: int) -> dict:
    """Chance that the long-run share of defects is at or below each target."""
    return {
        f"chance: {each.name}": float(
            (
                rehearsal.level[w, :, rehearsal.measures.index(f"defects: {each.name}")]
                <= each.target
            ).mean()
        )
        for each in rehearsal.defects
    }


def _frontier(table: pd.DataFrame) -> np.ndarray:
    """Sets that bring more than every set that needs no more money."""
    order = np.lexsort((-table["estimate"].to_numpy(), table["budget_needed"].to_numpy()))
    found, most = np.zeros(len(table), bool), -np.inf
    for w in order:
        found[w] = table["estimate"].iloc[w] > most
        most = max(most, table["estimate"].iloc[w])
    return found


def _not_played(rehearsal) -> tuple[str, ...]:
    """Combinations of the single improvements that were not played, the small ones first."""
    worlds = rehearsal.scenarios[1:]
    singles = list(dict.fromkeys(part.name for world in worlds for part in world.parts))
    played = {frozenset(part.name for part in world.parts) for world in worlds}
    missing = []
    for size in range(1, len(singles) + 1):
        for names in combinations(singles, size):
            if frozenset(names) not in played:
                missing.append(" + ".join(names))
            if len(missing) >= MOST_SETS:
                return tuple(missing)
    return tuple(missing)


def _per_cent(chance: float) -> str:
    if chance > 0.99:
        return "over 99 %"
    return "under 1 %" if chance < 0.01 else f"{chance * 100:.0f} %"
