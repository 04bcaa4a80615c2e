"""Where does the uncertainty come from, and what would ignoring it do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_share
from sqm.finding import Finding
from sqm.interval import percentiles, wilson
from sqm.rehearsal import AS_IS, DRAWS_AN_INPUT, Rehearsal, coin_variance, design
from sqm.scenario import in_words, labels

WORDS = {
    "mean_wait_s": "the mean wait",
    "abandoned": "the share who hang up",
    "resolved": "the share resolved at first contact",
    "complaint_rate": "complaints per contact",
    "contacts_per_day": "contacts a day",
    "complaints_per_day": "complaints a day",
    "abandoned_per_day": "contacts lost a day",
    "unresolved_per_day": "unresolved contacts a day",
}
SOURCES = ("not known", "days", "chance")
MEANING = {"not known": "better", "days": "other", "chance": "usual"}
# What each group of inputs is called, by the beginning of their names.
GROUPS = {
    "queue": ("arrivals", "service time", "patience", "resolution"),
    "drivers": ("complaints",),
    "gate": ("gate",),
    "levers": ("service_factor", "resolution_points", "demand", "elasticity"),
}
REST = "not told apart"
MEASURES = ("complaints_per_day", "mean_wait_s", "abandoned", "resolved")
FEWEST_DRAWS = 400  # with fewer the intervals of the shares hold the truth too rarely
NODES = 41  # of the normal distribution of a single horizon about its long run


@dataclass(frozen=True, eq=False)
class Uncertainty(Finding):
    """What the uncertainty of an outcome over a stated stretch of weeks is made of.

    Attributes
    ----------
    table : DataFrame, one row per scenario, measure and source
        ``scenario``; ``measure``; ``kind`` (``level`` of the service as it is, ``change`` of a
        scenario); ``source`` (``not known``, ``days``, ``chance``); ``part`` of what is not
        known (``queue``, ``drivers``, ``gate``, ``levers``, ``not told apart``; blank in the row
        of the whole source); ``sd`` in the unit of the measure; ``estimate, low, high`` the share
        of the variance (0 to 1); ``note`` where it cannot be said.
    scenario, measure : str
        Of which the first line speaks: the scenario that changes the measure most.
    share, low, high : float
        Share of what is not known for certain in that variance.
    horizon_weeks : float
        Weeks over which the outcome is watched.
    confidence : float
    draws, split_draws, weeks : int
        Draws, those that met a second set of customers on the same days, simulated weeks in each.
    combinations : int
        Scenarios that are combinations of others; they come last.
    words : tuple of str
        The scenarios as a sentence names them.
    labels : tuple of str
        Short names of the scenarios, for the picture.
    """

    scenario: str
    measure: str
    share: float
    low: float
    high: float
    horizon_weeks: float
    confidence: float
    draws: int
    split_draws: int
    weeks: int
    combinations: int
    words: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say how much more data would cure, of the scenario that does most, and of the others."""
        rows = self._of(self.scenario).set_index("source")
        name = self._named(self.scenario)
        single = self.table["scenario"].unique()[: len(self.words) - self.combinations]
        rest = [each for each in self._shown() if each != self.scenario and each in single]
        others = "; ".join(f"{self._named(each)} {self._unknown(each):.0%}" for each in rest)
        also = f" The share of what is not known elsewhere: {others}." if others else ""
        return (
            f"{self.share:.0%} ({self.confidence * 100:.4g}% interval {self.low:.0%} to"
            f" {self.high:.0%}) of the uncertainty of {WORDS.get(self.measure, self.measure)} over"
            f" {self.horizon_weeks:g} weeks ({name}) is what is not known for certain.\n"
            f"{rows.loc['days', 'estimate']:.0%} is days that differ from each other and"
            f" {rows.loc['chance', 'estimate']:.0%} chance among customers: these no data"
            f" would cure, but more weeks even them out.{also}{self._parts()} A longer log lessens"
            " the parts of the queue and of the drivers; the gate's needs a better model, that of"
            " the levers a trial. A change is that of the same customers with the same luck; two"
            " years side by side would differ by more. Shares are of the"
            f" variance; they come from {self.draws:,} draws of {self.weeks} weeks each, of which"
            f" {self.split_draws:,} met a second set of customers on the same days. Weeks are taken"
            " as independent of each other."
        )

    def _unknown(self, scenario: str) -> float:
        return float(self._of(scenario).set_index("source").loc["not known", "estimate"])

    def _parts(self) -> str:
        table = self.table
        parts = table[
            table["scenario"].eq(self.scenario)
            & table["measure"].eq(self.measure)
            & table["part"].ne("")
        ].dropna(subset=["estimate"])
        if parts.empty:
            return ""
        each = parts.sort_values("estimate", ascending=False, kind="stable")
        said = ", ".join(f"{row.part} {row.estimate:.0%}" for row in each.itertuples())
        return f" Of the whole, what is not known parts into (approximate): {said}."

    def _of(self, scenario: str) -> pd.DataFrame:
        table = self.table
        whole = table["measure"].eq(self.measure) & table["part"].eq("")
        return table[whole & table["scenario"].eq(scenario)]

    def _shown(self) -> list[str]:
        """Scenarios with a share to tell, in the order of the table."""
        rows = self.table[self.table["measure"].eq(self.measure) & self.table["part"].eq("")]
        return rows.dropna(subset=["estimate"])["scenario"].drop_duplicates().tolist()

    def _named(self, scenario: str) -> str:
        names = dict(zip(self.table["scenario"].unique(), self.words, strict=True))
        return names[scenario]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each source, scenario by scenario."""
        ax, shown = look.axes(ax), self._shown()
        short = dict(zip(self.table["scenario"].unique(), self.labels, strict=True))
        for k, source in enumerate(SOURCES):
            rows = pd.concat([self._of(each) for each in shown])
            rows = rows[rows["source"].eq(source)]
            at = np.arange(len(rows)) + 0.22 * (k - 1)
            what = MEANING[source]
            colour = look.MEANING[what]
            ax.hlines(at, rows["low"] * 100, rows["high"] * 100, color=colour, lw=1.6)
            ax.plot(rows["estimate"] * 100, at, look.MARKER[what], color=colour, label=source)
        ax.set_yticks(range(len(shown)), [look.shorten(short[each]) for each in shown])
        ax.set_xlim(-2, 102)
        ax.grid(axis="x", color="#e3e6e8", lw=0.8)
        ax.legend(fontsize="small", frameon=False, ncols=3, loc="upper left")
        ax.set_ylim(len(shown) - 0.5, -0.5 - max(0.5, 0.1 * len(shown)))  # room for the legend
        return look.label(
            ax,
            title=f"What makes {WORDS.get(self.measure, self.measure)} uncertain?",
            x=f"per cent of the variance over {self.horizon_weeks:g} weeks",
        )


def uncertainty(
    rehearsal: Rehearsal,
    *,
    horizon_weeks: float = 52.0,
    measures: Sequence[str] = MEASURES,
    resamples: int = 400,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> Uncertainty:
    """Part the uncertainty of each scenario into what is not known, days, and chance.

    Parameters
    ----------
    rehearsal : Rehearsal
        400 draws or more.
    horizon_weeks : float, default 52
        Weeks over which the outcome would be watched.
    measures : sequence of str
        Of the rehearsal's measures; the sentence speaks of the first.
    resamples : int, default 400
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    Uncertainty

    Raises
    ------
    Problem
        If a measure is unknown, or the horizon is not a positive number of weeks.
    Refusal
        If there are too few draws, or nothing was taken as unknown.

    Notes
    -----
    Var(outcome over H weeks) = Var(long run between draws) + Var(days) / H + Var(chance) / H.
    The first is the variance between draws less the noise of the simulation within them; the
    sum of the last two is the variance between the weeks of a draw.  Days: the covariance of the
    errors of two sets of customers on the same days (the same staffing and the same random
    factors of week, date and site-day).  Chance includes whether single contacts are resolved and
    complained of, which the simulation holds as probabilities (`sqm.rehearsal.coin_variance`); of
    a change, for the same customers with the same luck.  Parts of what is not known: variance
    that a regression on the inputs of each group explains (each input and its square),
    first-order only: interplay, and what the inputs do not carry, is not told apart.  Intervals
    are percentiles of resampled
    draws; those of the parts are approximate.
    """
    need_share(confidence, name="confidence")
    _need_sound(rehearsal, horizon_weeks, measures)
    outcomes = _outcomes(rehearsal, measures)
    found = _variances(rehearsal, outcomes, horizon_weeks, None)
    again = [
        _shares(_variances(rehearsal, outcomes, horizon_weeks, _resampled(rehearsal, rng)))
        for _ in range(resamples)
    ]
    limits = {k: percentiles(np.stack([a[k] for a in again]), confidence=confidence) for k in found}
    table = _table(rehearsal, outcomes, measures, found, limits)
    lead = _leading(rehearsal, table, measures[0])
    whole = table["source"].eq("not known") & table["part"].eq("")
    row = table[whole & table["scenario"].eq(lead) & table["measure"].eq(measures[0])].iloc[0]
    return Uncertainty(
        table=table,
        scenario=lead,
        measure=measures[0],
        share=float(row["estimate"]),
        low=float(row["low"]),
        high=float(row["high"]),
        horizon_weeks=float(horizon_weeks),
        confidence=confidence,
        draws=rehearsal.level.shape[1],
        split_draws=rehearsal.spread.days.shape[1],
        weeks=rehearsal.weeks,
        combinations=sum(bool(world.together) for world in rehearsal.scenarios),
        words=tuple(in_words(world.name, rehearsal.scenarios) for world in rehearsal.scenarios),
        labels=labels(rehearsal.scenarios),
    )


def _need_sound(rehearsal: Rehearsal, horizon_weeks: float, measures: Sequence[str]) -> None:
    if not isinstance(horizon_weeks, int | float) or not 0 < horizon_weeks < np.inf:
        raise Problem(f"horizon_weeks is {horizon_weeks}.", "give a number of weeks above 0.")
    if not measures:
        raise Problem("No measure is named.", f"name some, such as {MEASURES[0]}.")
    for name in measures:
        if name not in rehearsal.measures:
            raise Problem(
                f"The rehearsal has no measure {name!r}.", nearest(name, rehearsal.measures)
            )
    draws = rehearsal.level.shape[1]
    if rehearsal.plug_in:
        raise Refusal(
            "Nothing was taken as unknown in this rehearsal.", "hand over the one with draws."
        )
    if draws < FEWEST_DRAWS:
        raise Refusal(
            f"{draws} draws are too few to tell what is not known from chance.",
            f"draw {FEWEST_DRAWS} times or more, better 4,000 times.",
        )


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """One column per scenario and measure: the level as it is, the change of each scenario."""

    value: np.ndarray  # (draws, outcomes)
    noise: np.ndarray  # (draws, outcomes)
    days: np.ndarray  # (first few draws, outcomes)
    coins: np.ndarray  # (outcomes,), variance in a week of what is rehearsed as a probability
    groups: dict[str, np.ndarray]  # columns of the design
    terms: np.ndarray  # (draws, terms)


def _outcomes(rehearsal: Rehearsal, measures: Sequence[str]) -> _Outcomes:
    spread, at = rehearsal.spread, [rehearsal.measures.index(name) for name in measures]

    def laid(level: np.ndarray, change: np.ndarray) -> np.ndarray:
        both = np.concatenate([level[:1], change[1:]])[:, :, at]
        return both.transpose(1, 0, 2).reshape(both.shape[1], -1)

    terms, groups = design(rehearsal.inputs), {}
    inputs = rehearsal.inputs.shape[1]
    for group, beginnings in GROUPS.items():
        beginnings += rehearsal.scores if group == "drivers" else ()
        names = [name.split(":")[0] for name in rehearsal.input_names]
        of = [i for i, name in enumerate(names) if name in beginnings]
        if of:
            groups[group] = np.array([1 + i for i in of] + [1 + inputs + i for i in of])
    used = np.concatenate([[0], *groups.values()]).astype(int)
    if len(terms) < DRAWS_AN_INPUT * len(used):
        used, groups = used[:1], {}
    place = {old: new for new, old in enumerate(used)}
    return _Outcomes(
        value=laid(spread.level, spread.change),
        noise=laid(spread.noise, spread.noise_of_change),
        days=laid(spread.days, spread.days_of_change),
        coins=laid(
            coin_variance(rehearsal)[:, None], coin_variance(rehearsal, of_change=True)[:, None]
        )[0],
        groups={k: np.array([place[i] for i in v]) for k, v in groups.items()},
        terms=terms[:, used],
    )


def _resampled(rehearsal: Rehearsal, rng: np.random.Generator) -> np.ndarray:
    """How often each draw is taken again: those with a second set of customers among themselves."""
    draws, few = rehearsal.level.shape[1], rehearsal.spread.days.shape[1]
    first = rng.multinomial(few, np.full(few, 1 / few))
    rest = draws - few
    return np.append(first, rng.multinomial(rest, np.full(rest, 1 / rest)) if rest else [])


def _variances(
    rehearsal: Rehearsal, outcomes: _Outcomes, horizon: float, times: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Variance of each outcome by source and part, per outcome; ``times`` weighs the draws."""
    draws, few, weeks = len(outcomes.value), len(outcomes.days), rehearsal.weeks
    w = np.ones(draws) if times is None else times
    centred = outcomes.value - (w @ outcomes.value) / w.sum()
    between = (w @ centred**2) / (w.sum() - 1)
    noise = (w @ outcomes.noise) / w.sum()
    week = weeks * noise  # of a single week
    days = np.clip(weeks * (w[:few] @ outcomes.days) / w[:few].sum(), 0, week)
    found = {
        "not known": np.maximum(between - noise, 0.0),
        "days": days / horizon,
        "chance": (week - days + outcomes.coins) / horizon,
    }
    return found | _of_groups(outcomes, w, centred, found["not known"])


def _of_groups(outcomes: _Outcomes, w, centred, unknown) -> dict[str, np.ndarray]:
    """Variance that a regression on the inputs of each group explains, and the rest."""
    if not outcomes.groups:
        return {}
    terms, n = outcomes.terms, w.sum()
    square = terms.T @ (terms * w[:, None])
    slope = np.linalg.lstsq(square, terms.T @ (centred * w[:, None]), rcond=None)[0]
    left = (w @ (centred - terms @ slope) ** 2) / (n - terms.shape[1])
    found = {}
    for group, at in outcomes.groups.items():
        fitted = terms[:, at] @ slope[at]
        fitted -= (w @ fitted) / n
        found[group] = np.maximum((w @ fitted**2) / n - len(at) * left / n, 0.0)
    total = sum(found.values())
    scale = np.minimum(1.0, unknown / np.maximum(total, 1e-300))  # never more than there is
    found = {group: values * scale for group, values in found.items()}
    return found | {REST: unknown - total * scale}


def _shares(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    total = np.maximum(sum(found[source] for source in SOURCES), 1e-300)
    return {name: values / total for name, values in found.items()}


def _table(rehearsal, outcomes, measures, found, limits) -> pd.DataFrame:
    rows, total, shares = [], sum(found[source] for source in SOURCES), _shares(found)
    places = [(w, m) for w in range(len(rehearsal.scenarios)) for m in range(len(measures))]
    for at, (w, m) in enumerate(places):
        moves = total[at] > 1e-18 * max(abs(outcomes.value[:, at]).max() ** 2, 1e-300)
        for name in ("not known", *(k for k in found if k not in SOURCES), *SOURCES[1:]):
            row = {
                "scenario": rehearsal.scenarios[w].name,
                "measure": measures[m],
                "kind": "change" if w else "level",
                "source": name if name in SOURCES else "not known",
                "part": "" if name in SOURCES else name,
                "sd": float(np.sqrt(found[name][at])),
            }
            rows.append(row | _share(shares[name][at], limits[name], at, moves))
    return pd.DataFrame(rows)


def _share(share: float, limits: tuple[np.ndarray, np.ndarray], at: int, moves: bool) -> dict:
    if not moves:
        note = "the scenario does not change it, or by a fixed amount"
        return {"estimate": np.nan, "low": np.nan, "high": np.nan, "note": note}
    low, high = (float(limit[at]) for limit in limits)
    return {"estimate": float(share), "low": low, "high": high, "note": ""}


def _leading(rehearsal: Rehearsal, table: pd.DataFrame, measure: str) -> str:
    """The single scenario that moves a measure most; as it is, where none moves it uncertainly."""
    told = table[table["measure"].eq(measure)].dropna(subset=["estimate"])["scenario"].unique()
    single = [
        i
        for i, world in enumerate(rehearsal.scenarios)
        if i and not world.together and world.name in told
    ]
    if not single:
        return AS_IS
    moved = np.abs(rehearsal.change[single, :, rehearsal.measures.index(measure)].mean(axis=1))
    return rehearsal.scenarios[single[int(moved.argmax())]].name


# --- What ignoring it would do --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ignored(Finding):
    """The same simulation with all that is not known taken as certain, beside the honest one.

    Attributes
    ----------
    table : DataFrame, one row per scenario and outcome
        ``scenario``; ``outcome``, a measure or the name of a characteristic; ``kind`` (``level``
        of the service as it is, ``change`` of a scenario, ``chance`` that the share of defects is
        at or below its target); ``estimate, low, high``, with all that is not known;
        ``plug_in, plug_in_low, plug_in_high``, taking the best estimates as certain;
        ``times_wider``, the honest interval over the other; ``note``.
    scenario, ctq : str
        Where the two chances of meeting a target are furthest apart; blank without any.
    chance, chance_low, chance_high, plug_in_chance : float
        The honest chance there with what so few draws leave open, and the other one.
    times_wider : float
        Median over the scenarios of the honest interval's width over the other's, of the change
        in the first measure.
    measure : str
    horizon_weeks : float
    confidence : float
    draws, plug_in_draws : int
    words : tuple of str
        The scenarios as a sentence names them.
    labels : tuple of str
        Short names of the scenarios, for the picture.
    """

    scenario: str
    ctq: str
    chance: float
    chance_low: float
    chance_high: float
    plug_in_chance: float
    times_wider: float
    measure: str
    horizon_weeks: float
    confidence: float
    draws: int
    plug_in_draws: int
    words: tuple[str, ...]
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Say where certainty would mislead most, and how much too narrow it would be."""
        what = WORDS.get(self.measure, self.measure)
        narrow = (
            f"the interval of the change in {what} over {self.horizon_weeks:g} weeks would be"
            f" {self.times_wider:.1f} times too narrow"
            if np.isfinite(self.times_wider)
            else f"the change in {what} would have no interval at all"
        )
        return (
            f"{self._chances(narrow)}\nBoth simulate the same service and count the same weeks'"
            f" variation; the honest one draws {self.draws:,} times what is not known (the queue's"
            " own numbers, the drivers' coefficients, the error on days held out, the levers'"
            " sizes), the other takes each at its best estimate as if it were certain"
            f" ({self.plug_in_draws:,} repetitions). A chance near 0 or 1 that comes from the"
            " second alone says how much was left out, not how sure the study is."
        )

    def _chances(self, narrow: str) -> str:
        if not self.ctq:
            return f"Taken as certain, {narrow}."
        named = dict(zip(self.table["scenario"].unique(), self.words, strict=True))[self.scenario]
        where = named if self.scenario == AS_IS else f"with {named}"
        return (
            f"Taken as certain, the estimates give {self.ctq} a chance of"
            f" {self.plug_in_chance:.0%} ({where}) where it is honestly {self.chance:.0%}"
            f" ({self.chance_low:.0%} to {self.chance_high:.0%}); {narrow}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the two intervals of each change below each other."""
        ax = look.axes(ax)
        rows = self.table[self.table["outcome"].eq(self.measure) & self.table["kind"].eq("change")]
        at = np.arange(len(rows))
        for shift, names, what, word in (
            (-0.14, ("estimate", "low", "high"), "usual", "with all that is not known"),
            (0.14, ("plug_in", "plug_in_low", "plug_in_high"), "worse", "taken as certain"),
        ):
            middle, low, high = (rows[name] for name in names)
            ax.hlines(at + shift, low, high, color=look.MEANING[what], lw=1.8)
            ax.plot(
                middle, at + shift, look.MARKER[what], color=look.MEANING[what], label=word, ls=""
            )
        ax.set_yticks(at, [look.shorten(name) for name in self.labels[1:]])
        ax.set_ylim(len(rows) - 0.5, -0.5 - max(0.5, 0.1 * len(rows)))
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        ax.legend(fontsize="small", frameon=False, ncols=2, loc="upper left")
        what = WORDS.get(self.measure, self.measure)
        level = f"{self.confidence * 100:.4g}% intervals over {self.horizon_weeks:g} weeks"
        return look.label(
            ax, title="What would ignoring the uncertainty do?", x=f"change in {what} ({level})"
        )


def ignored(
    rehearsal: Rehearsal,
    plug_in: Rehearsal,
    *,
    horizon_weeks: float = 52.0,
    measures: Sequence[str] = MEASURES,
    confidence: float = 0.95,
) -> Ignored:
    """Set the honest intervals and chances beside those of estimates taken as certain.

    Parameters
    ----------
    rehearsal : Rehearsal
        With all that is not known drawn.
    plug_in : Rehearsal
        The same scenarios, played with ``plug_in=True``.
    horizon_weeks : float, default 52
        Weeks over which the outcome would be watched.
    measures : sequence of str
        Of the rehearsal's measures; the sentence speaks of the first.
    confidence : float, default 0.95

    Returns
    -------
    Ignored

    Raises
    ------
    Problem
        If the two were not played with the same scenarios and characteristics, or the second
        not with ``plug_in=True``.

    Notes
    -----
    An outcome over H weeks is its long run plus a normal error with the variance of a week / H,
    in both; that of a week includes the coins of `sqm.rehearsal.coin_variance`.  Chance of a
    target: the mean over the draws of Phi((target - long run) / sd).
    """
    need_share(confidence, name="confidence")
    _need_sound(rehearsal, horizon_weeks, measures)
    _need_twins(rehearsal, plug_in)
    rows = []
    for w, world in enumerate(rehearsal.scenarios):
        for measure in measures:
            row = {"scenario": world.name, "outcome": measure, "kind": "change" if w else "level"}
            rows.append(row | _both(rehearsal, plug_in, w, measure, horizon_weeks, confidence))
        for defect in rehearsal.defects:
            row = {"scenario": world.name, "outcome": defect.name, "kind": "chance"}
            rows.append(row | _both_chances(rehearsal, plug_in, w, defect, horizon_weeks))
    table = pd.DataFrame(rows)
    wider = table[table["kind"].eq("change") & table["outcome"].eq(measures[0])]["times_wider"]
    chances = table[table["kind"].eq("chance")]
    apart = (chances["plug_in"] - chances["estimate"]).abs()
    most = chances.loc[apart.idxmax()] if len(chances) else None
    return Ignored(
        table=table,
        scenario="" if most is None else str(most["scenario"]),
        ctq="" if most is None else str(most["outcome"]),
        **_figures(most),
        times_wider=float(wider.median()),
        measure=measures[0],
        horizon_weeks=float(horizon_weeks),
        confidence=confidence,
        draws=rehearsal.level.shape[1],
        plug_in_draws=plug_in.level.shape[1],
        words=tuple(in_words(world.name, rehearsal.scenarios) for world in rehearsal.scenarios),
        labels=labels(rehearsal.scenarios),
    )


def _figures(row: pd.Series | None) -> dict[str, float]:
    names = {"chance": "estimate", "chance_low": "low", "chance_high": "high"}
    names["plug_in_chance"] = "plug_in"
    return {k: np.nan if row is None else float(row[column]) for k, column in names.items()}


def _need_twins(rehearsal: Rehearsal, plug_in: Rehearsal) -> None:
    if not plug_in.plug_in:
        raise Problem(
            "The second rehearsal was not played with plug_in=True.",
            "play the same scenarios once more with plug_in=True, and hand them over in order.",
        )
    names = [[world.name for world in each.scenarios] for each in (rehearsal, plug_in)]
    if names[0] != names[1] or rehearsal.measures != plug_in.measures:
        raise Problem(
            "The two rehearsals do not have the same scenarios and characteristics.",
            "hand the same scenarios, combinations, ctqs and experience to both.",
        )


def _long_run(rehearsal: Rehearsal, w: int, measure: str, horizon: float):
    """Draws of the long run and the standard deviation of an outcome over the horizon about it."""
    at = rehearsal.measures.index(measure)
    change = w and not measure.startswith("defects: ")
    values, sd = rehearsal.level, rehearsal.week_sd
    if change:
        values, sd = rehearsal.change, rehearsal.week_sd_of_change
    coins = coin_variance(rehearsal, of_change=bool(change))[w, at]
    return values[w, :, at], float(np.sqrt((sd[w, at] ** 2 + coins) / horizon))


def _both(rehearsal, plug_in, w: int, measure: str, horizon: float, confidence: float) -> dict:
    nodes = stats.norm.ppf((np.arange(NODES) + 0.5) / NODES)
    values, sd = _long_run(rehearsal, w, measure, horizon)
    low, high = percentiles(np.add.outer(values, sd * nodes).ravel(), confidence=confidence)
    certain, of_certain = _long_run(plug_in, w, measure, horizon)
    half, middle = stats.norm.ppf((1 + confidence) / 2) * of_certain, float(certain.mean())
    narrow = 2 * half > 1e-9 * max(abs(middle), 1e-300)
    return {
        "estimate": float(values.mean()),
        "low": float(low),
        "high": float(high),
        "plug_in": middle,
        "plug_in_low": middle - half,
        "plug_in_high": middle + half,
        "times_wider": float((high - low) / (2 * half)) if narrow else np.nan,
        "note": "" if narrow else "no interval where all is taken as certain",
    }


def _both_chances(rehearsal, plug_in, w: int, defect, horizon: float) -> dict:
    found = {}
    for name, each in (("estimate", rehearsal), ("plug_in", plug_in)):
        values, sd = _long_run(each, w, f"defects: {defect.name}", horizon)
        values = values if name == "estimate" else values.mean(keepdims=True)
        away = (defect.target - values) / max(sd, 1e-300)
        found[name] = float(stats.norm.cdf(away).mean())
    low, high = wilson(found["estimate"], rehearsal.level.shape[1])
    rest = {"plug_in_low": np.nan, "plug_in_high": np.nan, "times_wider": np.nan, "note": ""}
    return found | {"low": low, "high": high} | rest
