"""Which unknown moves the answer most?"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.interpolate import BSpline

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import below_one, digits_for, spell
from sqm.money import on_axis
from sqm.rehearsal import Rehearsal
from sqm.scenario import in_words

ENDS = (0.1, 0.9)  # quantiles of an input between which the picture shows the outcome
BENDS = (1, 2, 4, 8, 16)  # columns of a curve that are tried; 1 is a straight line
FEWEST_DRAWS = 100
MOST_SHOWN = 8  # inputs in the picture
NAME_LETTERS = 34  # in a line beside the picture
PER_COLUMN = 12  # draws that one column of a curve needs
ALIKE = 0.3  # rank correlation from which two inputs are said to move together
SHARE = "share of variance"
REST = "everything else"
# What an input of a rehearsal is called, by the beginning of its name and by the rest.
LEVERS = {
    "service_factor": "size of the handling-time lever",
    "resolution_points": "size of the resolution lever",
    "demand": "size of the demand lever",
    "elasticity": "price elasticity of demand",
    "revenue_per_contact": "revenue of a contact",
    "cost a year": "cost a year",
    "investment": "investment",
}
FITTED = {
    "level (log odds)": "overall level of {}",
    "a minute of wait": "effect of a minute's wait on {}",
    "unresolved": "effect on {} of a contact left unresolved",
    "abandoned": "effect on {} of hanging up",
}
OUTCOMES = {
    "net_saving_per_year": "net saving a year by complaints alone",
    "complaints_per_year": "change in complaints a year",
}


@dataclass(frozen=True, eq=False)
class Sensitivity(Finding):
    """What share of an answer's uncertainty each unknown brings, and where it would move it.

    Attributes
    ----------
    table : DataFrame, one row per input and quantity, the strongest input first
        ``input``; ``quantity`` (``share of variance``, ``outcome at its 10 % point``, ``outcome
        at its 90 % point``); ``input_value``, that point; ``unit``; ``estimate, low, high``;
        ``note``.  The last row is what no single input explains.
    outcome, scenario, unit : str
        What was asked about.
    strongest : str
        The input with the largest share of the variance.
    share, low, high : float
        That share, 0 to 1.
    at_low, at_high : float
        Expected outcome where the strongest input lies at its 10 % and 90 % point.
    rest, rest_low, rest_high : float
        Share of the variance that the inputs one by one do not explain.
    mean, sd : float
        Mean and standard deviation of the outcome over the draws, in ``unit``.
    alike : tuple of str
        Pairs of inputs that move together.
    confidence : float
    draws : int
    words : str
        The scenario as a sentence names it.
    """

    outcome: str
    scenario: str
    unit: str
    strongest: str
    share: float
    low: float
    high: float
    at_low: float
    at_high: float
    rest: float
    rest_low: float
    rest_high: float
    mean: float
    sd: float
    alike: tuple[str, ...]
    confidence: float
    draws: int
    words: str

    def sentence(self) -> str:
        """Say which unknown brings most of the uncertainty, and which come next."""
        share = spell(
            self.share * 100,
            self.low * 100,
            self.high * 100,
            confidence=self.confidence,
            digits=0,
            unit="%",
        )
        digits = digits_for(self.mean - self.sd, self.mean + self.sd)
        unit = f" {self.unit}" if self.unit else ""
        scenario = self.words
        strongest = look.shorten(self._told(self.strongest), width=56)
        low, high = f"{self.at_low:,.{digits}f}", f"{self.at_high:,.{digits}f}{unit}"
        return (
            f"The {self.outcome} of {scenario} depends most on {strongest}: {share} of its"
            f" variance; from its 10 % to its 90 % point, {low} to {high}."
            f"\n{self._others()} {self._remainder()} Each share is what would go, on average, if"
            " that one unknown were known and the others were not; a study of it can win no more."
            f" It rests on {counted(self.draws, 'draw')} of what is not known for certain and is"
            f" about the ranges that were drawn, no others.{self._pairs()}{self._still()}"
        )

    def _told(self, name: str) -> str:
        """An input without the scenario where that is the one asked about."""
        return name.removesuffix(f", {self.scenario}")

    def _others(self) -> str:
        rows = self.table[self.table["quantity"].eq(SHARE) & self.table["input"].ne(REST)]
        rows = rows.dropna(subset=["estimate"]).iloc[1:]
        if rows.empty:
            return "It is the only unknown that varies."
        each = [
            f"{self._told(row.input)} {row.estimate * 100:.0f} %"
            f" ({row.low * 100:.0f} to {row.high * 100:.0f})"
            for row in rows.itertuples()
        ]
        tied = " The two cannot be told apart." if rows["high"].iloc[0] > self.low else ""
        return f"Then {listed(each, most=3, apart='; ')}.{tied}"

    def _remainder(self) -> str:
        return (
            f"What no single unknown explains, {self.rest * 100:.0f} %"
            f" ({self.rest_low * 100:.0f} to {self.rest_high * 100:.0f}), is their interplay, noise"
            " of the simulation, and unknowns that are not listed; the intervals are approximate."
        )

    def _pairs(self) -> str:
        if not self.alike:
            return ""
        named = listed(self.alike, most=2, apart="; ")
        return f" Drawn together, so that their shares overlap: {named}."

    def _still(self) -> str:
        fixed = self.table.loc[self.table["note"].ne("") & self.table["estimate"].isna(), "input"]
        fixed = list(dict.fromkeys(fixed))
        return f" Left out, as taken for certain: {listed(fixed, most=4)}." if fixed else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the outcome at the 10 % and the 90 % point of the strongest inputs, those on top."""
        ax = look.axes(ax)
        ends = self.table[self.table["quantity"].ne(SHARE)].dropna(subset=["estimate"])
        names = list(dict.fromkeys(ends["input"]))
        ends = ends[ends["input"].isin(names[:MOST_SHOWN])]
        low, high = (ends.loc[ends["quantity"].eq(each), "estimate"] for each in _quantities())
        ax.barh(range(len(low)), high.to_numpy() - low.to_numpy(), left=low, color="#e3e6e8")
        for quantity, meaning, up in zip(
            _quantities(), ("usual", "other"), (-0.1, 0.1), strict=True
        ):
            rows = ends[ends["quantity"].eq(quantity)]
            place = np.arange(len(rows)) + up
            colour, mark = look.MEANING[meaning], look.MARKER[meaning]
            ax.hlines(place, rows["low"], rows["high"], color=colour, lw=1.6)
            ax.plot(rows["estimate"], place, mark, color=colour, ms=6, label=quantity[11:])
        beside = self._beside(names)
        ax.set_yticks(range(len(beside)), beside, fontsize="small")
        ax.set_ylim(len(beside) - 0.4, -1.3)  # room for the legend on top
        ax.axvline(self.mean, color=look.MEANING["limit"], lw=1)
        ax.legend(fontsize="small", frameon=False, ncols=2, loc="upper right")
        unit = f", {on_axis(ax.xaxis, currency=self.unit)}" if self.unit else ""
        level = f"({self.confidence * 100:.4g}% interval; left: share of variance)"
        return look.label(
            ax,
            title="Which unknown moves the answer most?",
            x=f"{self.outcome}{unit} {level}",
        )

    def _beside(self, names: list[str]) -> list[str]:
        """Each input with its share; in a last line how many more there are."""
        rows = self.table[self.table["quantity"].eq(SHARE)].set_index("input")["estimate"]
        shown = [
            fill(f"{look.shorten(name, width=64)}\u00a0·\u00a0{rows[name]:.0%}", NAME_LETTERS)
            for name in names[:MOST_SHOWN]
        ]
        more = names[MOST_SHOWN:]
        if not more:
            return shown
        most = f"{max(rows[name] for name in more):.0%} or less"
        return [*shown, f"{len(more)} more: {most}{' each' * (len(more) > 1)}"]


def sensitivity(
    rehearsal: Rehearsal,
    *,
    scenario: str = "",
    outcome: str = "net_saving_per_year",
    currency: str = "",
    confidence: float = 0.95,
) -> Sensitivity:
    """How much of the uncertainty of one answer does each unknown bring?

    Parameters
    ----------
    rehearsal : Rehearsal
        Read are ``scenarios``, ``measures``, ``change``, ``cost``, ``running_cost``,
        ``open_days_per_year``, ``inputs`` (draws, inputs) and ``input_names``.
    scenario : str, default ""
        Name of one; blank for the one with the largest expected net saving.
    outcome : str
        ``net_saving_per_year``, ``complaints_per_year``, or a measure of the rehearsal, of which
        the change against the service as it is is taken.
    currency : str
        Of money; needed for the net saving, and for the choice of a scenario.
    confidence : float, default 0.95

    Returns
    -------
    Sensitivity

    Raises
    ------
    Problem
        If the scenario or the outcome is unknown, or money has no currency.
    Refusal
        If the rehearsal kept no inputs, has too few draws, or the outcome does not vary.

    Notes
    -----
    See `variance_shares` and `outcome_at`.

    Examples
    --------
    Two unknowns, the saving is three times the first and once the second: 9 to 1.

    >>> from types import SimpleNamespace
    >>> from sqm.scenario import Scenario
    >>> x = np.random.default_rng(1).standard_normal((4000, 2))
    >>> saved = np.stack([np.zeros(4000), x @ [3.0, 1.0]])
    >>> played = SimpleNamespace(scenarios=[Scenario("as is"), Scenario("more")],
    ...     measures=("complaints_per_day",),
    ...     change=-saved[:, :, None], cost=np.ones(4000), running_cost=0 * saved,
    ...     open_days_per_year=1.0, inputs=x, input_names=("a", "b"))
    >>> round(sensitivity(played, currency="EUR").share, 2)
    0.9
    """
    need_share(confidence, name="confidence")
    inputs, names = _inputs(rehearsal)
    w = _scenario(rehearsal, scenario, currency)
    values, words, unit = _outcome(rehearsal, w, outcome, currency)
    if not values.std() > 1e-9 * max(float(np.abs(values).max()), 1e-300):
        raise Refusal(
            f"The {words} of {rehearsal.scenarios[w].name!r} is the same in every draw.",
            "ask about a scenario and an outcome that vary.",
        )
    rest, rows = _rows(inputs, names, values, unit, confidence)
    table = pd.DataFrame(rows)
    best = table.iloc[0]
    return Sensitivity(
        table=table,
        outcome=words,
        scenario=rehearsal.scenarios[w].name,
        unit=unit,
        strongest=str(best["input"]),
        share=float(best["estimate"]),
        low=float(best["low"]),
        high=float(best["high"]),
        at_low=float(table["estimate"].iloc[1]),
        at_high=float(table["estimate"].iloc[2]),
        rest=rest[0],
        rest_low=rest[1],
        rest_high=rest[2],
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)),
        alike=_alike(inputs, names),
        confidence=confidence,
        draws=len(values),
        words=in_words(rehearsal.scenarios[w].name, rehearsal.scenarios),
    )


def _inputs(rehearsal: Rehearsal) -> tuple[np.ndarray, tuple[str, ...]]:
    inputs = getattr(rehearsal, "inputs", None)
    names = tuple(getattr(rehearsal, "input_names", ()))
    if inputs is None or not len(names):
        raise Refusal("The rehearsal did not keep what was drawn of each unknown.", "play it anew.")
    inputs = np.asarray(inputs, float)
    if len(inputs) < FEWEST_DRAWS:
        raise Refusal(
            f"{counted(len(inputs), 'draw')} cannot tell the unknowns apart.",
            f"play {FEWEST_DRAWS} draws or more, better 1,000.",
        )
    return inputs, tuple(map(_in_words, names))


def _in_words(name: str) -> str:
    """What an input is called outside the code: its lever and scenario, or its coefficient."""
    first, apart, rest = name.partition(": ")
    if not apart:
        return name
    if first in LEVERS:
        return f"{LEVERS[first]}, {rest}"
    if first == "gate":
        return f"{rest} on days held out"
    return FITTED[rest].format(first) if rest in FITTED else name


def _scenario(rehearsal: Rehearsal, scenario: str, currency: str) -> int:
    names = [each.name for each in rehearsal.scenarios]
    if scenario:
        if scenario not in names[1:]:
            raise Problem(f"There is no scenario {scenario!r}.", nearest(scenario, names[1:]))
        return names.index(scenario)
    if len(names) < 2:
        raise Refusal("No scenario was played.", "name one under `improve: scenarios`.")
    each = [_outcome(rehearsal, w, "net_saving_per_year", currency)[0] for w in range(len(names))]
    return 1 + int(np.argmax([values.mean() for values in each[1:]]))


def _outcome(
    rehearsal: Rehearsal, w: int, outcome: str, currency: str
) -> tuple[np.ndarray, str, str]:
    """Draws of the outcome, its name in words, and its unit."""
    known = [*OUTCOMES, *rehearsal.measures]
    if outcome not in known:
        raise Problem(f"There is no outcome {outcome!r}.", nearest(outcome, known))
    if outcome in rehearsal.measures:
        measure = rehearsal.measures.index(outcome)
        return rehearsal.change[w, :, measure], f"change in {outcome}", ""
    spared = -rehearsal.change[w, :, rehearsal.measures.index("complaints_per_day")]
    spared = spared * rehearsal.open_days_per_year
    if outcome == "complaints_per_year":
        return -spared, OUTCOMES[outcome], ""
    if not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")
    return spared * rehearsal.cost - rehearsal.running_cost[w], OUTCOMES[outcome], currency


def _quantities() -> tuple[str, ...]:
    return tuple(f"outcome at its {end:.0%} point".replace("%", " %") for end in ENDS)


def _rows(inputs, names, values, unit, confidence) -> tuple[tuple[float, float, float], list[dict]]:
    varies = np.ptp(inputs, axis=0) > 1e-12 * np.maximum(np.abs(inputs).max(axis=0), 1e-300)
    if not varies.any():
        raise Refusal("No unknown varies between the draws.", "give ranges, or play more draws.")
    moving = inputs[:, varies]
    shares, rest = variance_shares(moving, values, confidence=confidence)
    order = np.argsort(-shares[:, 0], kind="stable")
    rows = []
    for i in order:
        name = [names[j] for j in np.flatnonzero(varies)][i]
        rows.append(_row(name, SHARE, np.nan, "share", shares[i]))
        for end, quantity in zip(ENDS, _quantities(), strict=True):
            at = float(np.quantile(moving[:, i], end))
            found = outcome_at(moving[:, i], values, at=at, confidence=confidence)
            rows.append(_row(name, quantity, at, unit, found))
    for j in np.flatnonzero(~varies):
        nothing = (np.nan, np.nan, np.nan)
        rows.append(_row(names[j], SHARE, inputs[0, j], "share", nothing, "does not vary"))
    return rest, [*rows, _row(REST, SHARE, np.nan, "share", rest)]


def _row(name, quantity, at, unit, found, note="") -> dict:
    return {
        "input": name,
        "quantity": quantity,
        "input_value": at,
        "unit": unit,
        "estimate": float(found[0]),
        "low": float(found[1]),
        "high": float(found[2]),
        "note": note,
    }


def _alike(inputs: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Pairs of inputs with a rank correlation that is not small."""
    pairs = []
    ranks = stats.rankdata(inputs, axis=0)
    for i in range(len(names)):
        for j in range(i):
            if ranks[:, i].std() > 0 and ranks[:, j].std() > 0:
                r = float(np.corrcoef(ranks[:, i], ranks[:, j])[0, 1])
                pairs.append((-abs(r), f"{names[j]} and {names[i]} (rank correlation {r:.2f})"))
    return tuple(words for r, words in sorted(pairs) if -r >= ALIKE)


# --- Shares of variance ---------------------------------------------------------------------------


def variance_shares(
    inputs: np.ndarray, values: np.ndarray, *, confidence: float
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """First-order share of the variance of ``values`` by each input, and what remains.

    Parameters
    ----------
    inputs : ndarray, shape (draws, inputs)
        Any draws that there are; no special design is needed.
    values : ndarray, shape (draws,)
    confidence : float

    Returns
    -------
    shares : ndarray, shape (inputs, 3)
        Estimate, low and high of Var(E[values | input]) / Var(values), 0 to 1.
    rest : tuple of three float
        1 - the share explained by a sum of curves of all inputs.

    Notes
    -----
    Sobol's first-order index [1]_ from given data [2]_: the values are regressed on a curve of
    one input (a line, a parabola or a cubic spline, whichever foretells draws left out best).
    Squared residuals are divided by 1 - leverage, so that a curve that only follows chance
    explains nothing on average.  The interval is symmetric in log(1 - share), from the influence
    of each draw, with the chance of a curve through noise added; it is
    approximate, and conservative for an input that explains nothing.

    References
    ----------
    .. [1] Sobol', I. M. (2001). Global sensitivity indices for nonlinear mathematical models and
       their Monte Carlo estimates. Mathematics and Computers in Simulation 55, 271-280.
       doi:10.1016/S0378-4754(00)00270-6
    .. [2] Plischke, E., Borgonovo, E., Smith, C. L. (2013). Global sensitivity measures from given
       data. European Journal of Operational Research 226, 536-550. doi:10.1016/j.ejor.2012.11.047

    Examples
    --------
    Twice a first number and once a second: shares of 4/5 and 1/5.

    >>> x = np.random.default_rng(1).standard_normal((10_000, 2))
    >>> variance_shares(x, x @ [2, 1], confidence=0.95)[0][:, 0].round(1).tolist()
    [0.8, 0.2]
    """
    curves = [_curve(x, values) for x in inputs.T]
    shares = np.array([_share(curve, values, confidence) for curve in curves])
    together = np.column_stack(curves)
    most = max(len(values) // 4, inputs.shape[1])
    if together.shape[1] > most:  # too many bends to fit all at once
        together = np.column_stack([_columns(x, 1) for x in inputs.T])
    told, low, high = _share(_orthonormal(together), values, confidence)
    return shares, (1 - told, 1 - high, 1 - low)


def _columns(x: np.ndarray, bends: int) -> np.ndarray:
    """Columns of a curve in x without its constant."""
    scaled = (x - x.min()) / np.ptp(x)
    if bends <= 2:
        return np.column_stack([scaled**k for k in range(1, bends + 1)])
    inner = np.unique(np.quantile(scaled, np.linspace(0, 1, bends - 1)[1:-1]))
    inner = inner[(inner > 0) & (inner < 1)]
    knots = np.concatenate([np.zeros(4), inner, np.ones(4)])
    return BSpline.design_matrix(scaled, knots, 3).toarray()[:, 1:]


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    u, size, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    return u[:, size > 1e-9 * size[0]]


def _curve(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Orthonormal columns of the curve that foretells draws left out best."""
    enough = [bends for bends in BENDS if bends * PER_COLUMN <= len(x)] or [1]
    tried = [_orthonormal(_columns(x, bends)) for bends in enough]
    missed = [np.mean(np.square(np.divide(*_residuals(q, values)))) for q in tried]
    return tried[int(np.argmin(missed))]


def _residuals(q: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals, and 1 - leverage."""
    error = values - values.mean()
    return error - q @ (q.T @ error), np.maximum(1 - 1 / len(q) - (q**2).sum(axis=1), 1e-6)


def _share(q: np.ndarray, values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Share explained by orthonormal columns, with its limits."""
    n, bends = q.shape
    variance = values.var(ddof=1)
    residual, free = _residuals(q, values)
    left = float(np.mean(residual**2 / free) / variance)
    influence = (residual**2 / free - left * (values - values.mean()) ** 2) / variance
    error = np.sqrt(influence.var(ddof=1) / n + 2 * bends * min(left, 1.0) ** 2 / n**2)
    low, high = below_one(1 - left, float(error), n, confidence)
    if np.isnan(low):  # everything is explained
        return 1.0, 1.0, 1.0
    return tuple(float(np.clip(each, 0.0, 1.0)) for each in (1 - left, low, high))


def outcome_at(
    x: np.ndarray, values: np.ndarray, *, at: float, confidence: float
) -> tuple[float, float, float]:
    """Expected value where an input lies at a point, the other inputs as they come.

    Parameters
    ----------
    x, values : ndarray, shape (draws,)
    at : float
    confidence : float

    Returns
    -------
    estimate, low, high : float

    Notes
    -----
    Local linear regression with Epanechnikov's weights, as wide as suits a normal input,
    2.34 sd n^(-1/5) [1]_; the error from the residuals of the fitted curve, draw by draw.

    References
    ----------
    .. [1] Fan, J., Gijbels, I. (1996). Local Polynomial Modelling and Its Applications, chapters
       2 and 3. Chapman and Hall.

    Examples
    --------
    On a straight line it is exact.

    >>> x = np.linspace(0, 1, 100)
    >>> [round(each, 6) for each in outcome_at(x, 2 * x, at=0.25, confidence=0.95)]
    [0.5, 0.5, 0.5]
    """
    width = 2.34 * x.std() * len(x) ** -0.2
    nearest_few = np.sort(np.abs(x - at))[min(20, len(x) - 1)]
    away = (x - at) / max(width, 1.01 * nearest_few)
    weight = np.maximum(1 - away**2, 0)
    s0, s1, s2 = (float((weight * away**k).sum()) for k in range(3))
    spread = s0 * s2 - s1**2
    flat = spread <= 1e-12 * s0**2  # all near draws share one value of the input
    part = weight / s0 if flat else weight * (s2 - s1 * away) / spread
    residual, free = _residuals(_curve(x, values), values)
    estimate = float(part @ values)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((part**2 * residual**2 / free).sum())
    return estimate, estimate - float(half), estimate + float(half)
