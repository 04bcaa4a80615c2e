"""Which option should be chosen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Refusal, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import spell_chance, wilson
from sqm.money import amount, limits, need_currency, on_axis, spell_money
from sqm.rehearsal import Rehearsal, need_benefit
from sqm.scenario import in_words, labels

FEWEST_DRAWS = 30
FEW_LOSSES = 20  # draws with a loss, below which they do not show how far a loss may go


@dataclass(frozen=True, eq=False)
class Choice(Finding):
    """Which option to choose, and what is at stake if that is wrong.

    Attributes
    ----------
    table : DataFrame, one row per option and quantity
        ``option`` (the service as it is among them), ``quantity`` (``net_benefit``,
        ``chance_best``, ``expected_loss``), ``unit``, ``estimate, low, high``, ``note`` (which
        option leaves this one behind whatever is true).  Limits of a benefit are about what is
        not known, those of a chance and a loss about the number of draws alone.
    best : str
        Option with the largest expected benefit.
    net_benefit, low, high : float
        Of it, in ``currency``.
    chance, chance_low, chance_high : float
        Chance that it is the best of all.
    perfect_information, perfect_low, perfect_high : float
        Expected value of perfect information: what is lost on average for not knowing the truth.
    losing_draws : int
        Draws in which another option is better.
    second : str
        Option with the next largest expected benefit.
    ahead : float
        How far it is behind.
    draws : int
    confidence : float
    currency : str
    best_words, second_words : str
        ``best`` and ``second`` as a sentence names them.
    labels : tuple of str
        Short names of the options, for the picture.
    """

    best: str
    net_benefit: float
    low: float
    high: float
    chance: float
    chance_low: float
    chance_high: float
    perfect_information: float
    perfect_low: float
    perfect_high: float
    losing_draws: int
    second: str
    ahead: float
    draws: int
    confidence: float
    currency: str
    best_words: str
    second_words: str
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say what to choose, how sure that is, and the average loss for not knowing more."""
        return f"{self._answer()}\n{self._runner_up()}{self._dominated()}{self._rests_on()}"

    def _answer(self) -> str:
        best = self.best_words
        worth = self._spell(self.net_benefit, self.low, self.high)
        loss = self._spell(self.perfect_information, self.perfect_low, self.perfect_high)
        chance = spell_chance(self.chance, self.chance_low, self.chance_high)
        return (
            f"Choose {best}: worth {worth}, the best with chance {chance}; not knowing the truth"
            f" costs {loss} on average."
        )

    def _spell(self, *figures: float) -> str:
        return spell_money(*figures, confidence=self.confidence, currency=self.currency)

    def _runner_up(self) -> str:
        return (
            "That cost counts the draws in which the choice is right as nothing: it is the expected"
            " value of perfect information, and no pilot of what was drawn can be worth more. Next"
            f" comes {self.second_words}, {amount(self.ahead, currency=self.currency)} behind. "
        )

    def _dominated(self) -> str:
        rows = self.table[self.table["quantity"].eq("net_benefit") & self.table["note"].ne("")]
        if rows.empty:
            return ""
        one = len(rows) == 1
        return (
            f"{'One option is' if one else f'{len(rows)} options are'} left behind at every level"
            f" of chance by another ({listed(rows['option'].tolist(), most=3)}). "
        )

    def _rests_on(self) -> str:
        seldom = f"Only in {counted(self.losing_draws, 'draw')}" if self.losing_draws else "In none"
        few = (
            f" {seldom} was another option better: how much that may cost is judged as if"
            " differences were normal."
            if self.losing_draws < FEW_LOSSES
            else ""
        )
        return (
            f"It rests on {self.draws:,} draws of what is not known for certain, the same in all"
            " options; the interval of that cost is about their number alone. Who is to choose"
            " is taken to care for the expected money and not for its spread." + few
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the expected loss of choosing each option, with its interval."""
        ax = look.axes(ax)
        rows = self.table[self.table["quantity"].eq("expected_loss")]
        meaning = ["better" if name == self.best else "usual" for name in rows["option"]]
        look.dots(ax, rows, names=self.labels, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title="What is lost by choosing each option?",
            x=f"expected loss, {on_axis(ax.xaxis, currency=self.currency)}"
            f" ({self.confidence * 100:.4g}% interval; triangle: to be chosen)",
        )


def best_option(
    rehearsal: Rehearsal, benefit: np.ndarray, *, currency: str, confidence: float = 0.95
) -> Choice:
    """Choose the option with the largest expected benefit, and say what is at stake.

    Parameters
    ----------
    rehearsal : Rehearsal
        For the names of the options; the first is the service as it is.
    benefit : ndarray, shape (scenarios, draws)
        Net benefit of each option, such as its net present value; the draws of all options are
        the same states of what is not known.
    currency : str
    confidence : float, default 0.95

    Returns
    -------
    Choice

    Raises
    ------
    Problem
        If the currency is missing, or the benefit is not of this rehearsal.
    Refusal
        If there are too few draws, or all options come to the same in every draw.

    Notes
    -----
    Expected loss of an option: mean over the draws of (benefit of the best of all - its own); the
    least is the expected value of perfect information [1]_.  Its limits are Hall's for the mean
    of a skewed variable [2]_, conservative with few draws, and where fewer than 20 draws show a
    loss, the high one is not below that of a normal tail; those of a chance are Wilson's.  An
    option is left behind where another has at least its benefit at every quantile of the draws
    (stochastic dominance).

    References
    ----------
    .. [1] Raiffa, H., Schlaifer, R. (1961). Applied Statistical Decision Theory. Harvard.
    .. [2] Hall, P. (1992). On the removal of skewness by transformation. Journal of the Royal
       Statistical Society B 54, 221-228. doi:10.1111/j.2517-6161.1992.tb01876.x

    Examples
    --------
    Worth -10 or 30 with equal chance: 10 on average; knowing which spares 10 half of the time.

    >>> from types import SimpleNamespace
    >>> from sqm.scenario import Scenario
    >>> played = SimpleNamespace(scenarios=(Scenario("as is"), Scenario("new")))
    >>> benefit = np.array([np.zeros(40), np.tile([-10.0, 30.0], 20)])
    >>> found = best_option(played, benefit, currency="EUR")
    >>> found.best, found.net_benefit, found.perfect_information, found.chance
    ('new', 10.0, 5.0, 0.5)
    """
    need_share(confidence, name="confidence")
    currency, names = need_currency(currency), _names(rehearsal, benefit)
    top = benefit.max(axis=0)
    firsts = benefit == top
    wins = firsts / firsts.sum(axis=0)  # a tie is shared
    behind = _left_behind(benefit, names)
    rows = []
    for w, name in enumerate(names):
        low, high = limits(benefit[w], confidence=confidence)
        won = float(wins[w].mean())
        lost = top - benefit[w]
        figures = {
            "net_benefit": (currency, float(benefit[w].mean()), float(low), float(high)),
            "chance_best": ("share", won, *wilson(won, len(top), confidence=confidence)),
            "expected_loss": (currency, *_loss(benefit, w, lost, confidence)),
        }
        for quantity, (unit, *three) in figures.items():
            note = behind[w] if quantity == "net_benefit" else ""
            rows.append(_row({"option": name, "quantity": quantity}, unit, three, note))
    worlds = rehearsal.scenarios
    return _chosen(pd.DataFrame(rows), benefit, worlds, currency, confidence)


def _names(rehearsal: Rehearsal, benefit: np.ndarray) -> list[str]:
    """Names of the options, once their benefits are seen to be fit for a choice."""
    names = [world.name for world in rehearsal.scenarios]
    need_benefit(benefit, options=len(names))
    if len(names) < 2:
        raise Refusal("There is one option only, and nothing to choose.", "describe a scenario.")
    if benefit.shape[1] < FEWEST_DRAWS:
        raise Refusal(
            f"A choice rests on {counted(benefit.shape[1], 'draw')} of what is not known where"
            f" {FEWEST_DRAWS} are needed.",
            "rehearse with more draws.",
        )
    if not np.ptp(benefit, axis=0).any():
        raise Refusal(
            "All options come to the same money in every draw, so none is better.",
            "see whether the scenarios' levers and costs were read.",
        )
    return names


def _row(head: dict, unit: str, figures: Sequence[float], note: str = "") -> dict:
    estimate, low, high = map(float, figures)
    return head | {"unit": unit, "estimate": estimate, "low": low, "high": high, "note": note}


def _left_behind(benefit: np.ndarray, names: list[str]) -> list[str]:
    """For each option, one that leaves it behind at every quantile; empty if there is none."""
    ordered = np.sort(benefit, axis=1)
    notes = []
    for mine, values in zip(ordered, benefit, strict=True):
        ahead = (ordered >= mine).all(axis=1) & (ordered > mine).any(axis=1)
        if not ahead.any():
            notes.append("")
            continue
        which = int(np.where(ahead, benefit.mean(axis=1), -np.inf).argmax())
        always = (benefit[which] >= values).all()
        how = "is at least as good in every draw" if always else "is ahead at every quantile"
        notes.append(f"{names[which]} {how}")
    return notes


def _mean_of_skewed(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of what is zero or more, with Hall's interval (1992), which allows for skewness."""
    n, mean, spread = len(values), values.mean(), values.std(ddof=1)
    if spread <= 1e-12 * abs(mean):
        return float(mean), float(mean), float(mean)
    root = np.sqrt(n)
    skew = float(((values - mean) ** 3).mean() / spread**3)
    t = np.array([1, -1]) * stats.t.ppf((1 + confidence) / 2, n - 1)
    if abs(skew) > 1e-6:
        t = 3 * root / skew * (np.cbrt(1 + skew / root * (t - skew / (6 * root))) - 1)
    low, high = mean - spread / root * t
    return float(mean), max(float(low), 0.0), float(high)


def _loss(benefit: np.ndarray, w: int, lost: np.ndarray, confidence: float) -> tuple:
    """Mean loss of an option with its limits; where it loses in few draws, with a normal tail.

    A handful of draws cannot show how far a rare loss may go, so the high limit is then not below
    what a normal difference from the nearest rival would lose, at the limit of its z.
    """
    mean, low, high = _mean_of_skewed(lost, confidence)
    if (lost > 0).sum() >= FEW_LOSSES:
        return mean, low, high
    ahead = benefit[w] - np.delete(benefit, w, axis=0)
    spread = ahead.std(axis=1, ddof=1)
    spread, middle = spread[spread > 0], ahead.mean(axis=1)[spread > 0]
    z = middle / spread
    n, t = len(lost), stats.t.ppf((1 + confidence) / 2, len(lost) - 1)
    z = z - t * np.sqrt((1 + z**2 / 2) / n)
    tails = spread * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    return mean, low, max(high, float(tails.max(initial=0.0)))


def _chosen(table, benefit, worlds, currency, confidence) -> Choice:
    means, names = benefit.mean(axis=1), [world.name for world in worlds]
    order = np.argsort(-means, kind="stable")
    best, second = int(order[0]), int(order[1])
    of = table[table["option"].eq(names[best])].set_index("quantity")
    worth, chance, loss = (
        tuple(float(each) for each in of.loc[name, ["estimate", "low", "high"]])
        for name in ("net_benefit", "chance_best", "expected_loss")
    )
    return Choice(
        table=table,
        best=names[best],
        net_benefit=worth[0],
        low=worth[1],
        high=worth[2],
        chance=chance[0],
        chance_low=chance[1],
        chance_high=chance[2],
        perfect_information=loss[0],
        perfect_low=loss[1],
        perfect_high=loss[2],
        losing_draws=int((benefit.max(axis=0) > benefit[best]).sum()),
        second=names[second],
        ahead=float(means[best] - means[second]),
        draws=benefit.shape[1],
        confidence=confidence,
        currency=currency,
        best_words=in_words(names[best], worlds),
        second_words=in_words(names[second], worlds),
        labels=labels(worlds),
    )
