"""Which failure of the change is worst, and what is left after prevention?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sqm import look
from sqm.checks import Problem, Refusal, nearest, need_share, need_whole
from sqm.finding import Finding, counted, listed, together
from sqm.interval import percentiles, spell
from sqm.three_point import drawn, three_points

SCORES = ("severity", "occurrence", "detection")
LOSSES = ("share", "loss")
PLANS = ("owner", "prevention", "emergency")
KNOWN = ("name", "effect", "cause", *SCORES, *LOSSES, *PLANS, "after")
LEAST, MOST = 1, 10  # of each score
SEVERE = 9  # from here on a failure endangers people or breaks the law: no product may hide it
NAME = 28  # letters of a name in a sentence
TOLD = 4  # names that a sentence tells
UNKNOWN = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class FailureModes(Finding):
    """Failure modes in the order of severity, with the product of their scores beside.

    Attributes
    ----------
    table : DataFrame, one row per mode, the most severe first, then the most frequent
        ``mode, effect, cause``; ``severity, occurrence, detection`` (likeliest scores, 1 to 10)
        and ``rpn``, their product; ``tied_with``, modes of the same product; ``estimate, low,
        high``, mean and limits of the product over the draws; ``rank_low, rank_high``, limits of
        its rank by the product (1 is worst); ``chance_worst``, probability of being among the
        worst ``worst``; ``chance_severe``, probability of a severity of 9 or more;
        ``after_estimate, after_low, after_high``, the product after prevention, and
        ``chance_lower``, probability that it is lower; ``loss_per_year, loss_per_year_low,
        loss_per_year_high``, expected loss in ``currency``, and the same with
        ``loss_after_per_year``; ``owner, prevention, emergency`` (what is done if it happens),
        ``gaps`` and ``note``.
    severest, likeliest : str
        First of the order shown, and mode most often among the worst by the product.
    severe : tuple of str
        Modes with a likeliest severity of 9 or more.
    tied : int
        Modes that share the product of their likeliest scores with another one.
    gaps : tuple of str
        Modes without an owner, a prevention or an emergency action.
    worst : int
        How many count as the worst.
    loss, loss_low, loss_high : float
        Expected loss a year of all modes for which it is given, in ``currency``; NaN if none is.
    after, after_low, after_high : float
        The same after prevention; a loss that it is not said to change is taken as before, and
        NaN if it is not said to change any.
    confidence : float
    currency : str
    draws : int
    """

    severest: str
    likeliest: str
    severe: tuple[str, ...]
    tied: int
    gaps: tuple[str, ...]
    worst: int
    loss: float
    loss_low: float
    loss_high: float
    after: float
    after_low: float
    after_high: float
    confidence: float
    currency: str
    draws: int

    def sentence(self) -> str:
        """Name the severest mode, the likeliest among the worst, and what prevention leaves."""
        rest = (
            f"{self._ties()}{self._prevention()}{self._money()}{self._open()}"
            "Scores are ranks given by people, so their product is not a measurement: 60 is not"
            " twice 30, and severity goes first. The ranges are drawn"
            f" {self.draws:,} times as triangles and say how unsure those people are, no more."
        )
        return f"{self._worst()}\n{rest}"

    def _worst(self) -> str:
        first, most = self.table.iloc[0], self._row(self.likeliest)
        severe = f"Worst by severity: {_cut(first['mode'])} ({first['severity']:.3g} of {MOST})."
        name = "the same" if self.likeliest == self.severest else _cut(self.likeliest)
        head, chance = "Largest product of scores", ""
        if self.worst < len(self.table):
            head = f"Likeliest among the worst {self.worst} by product"
            chance = f" ({_chance(most['chance_worst'])})"
        return f"{severe} {head}: {name}{chance}, {self._product(most)}."

    def _product(self, row: pd.Series) -> str:
        words = spell(*row[["estimate", "low", "high"]], confidence=self.confidence, digits=0)
        if np.isnan(row["after_estimate"]):
            return f"{words}, nothing known after prevention"
        left = [f"{row[name]:.0f}" for name in ("after_estimate", "after_low", "after_high")]
        return f"{words}, after prevention {left[0]} ({left[1]} to {left[2]})"

    def _row(self, mode: str) -> pd.Series:
        return self.table[self.table["mode"].eq(mode)].iloc[0]

    def _ties(self) -> str:
        shared = self.table[self.table["tied_with"].ne("")].groupby("rpn", sort=False)
        words = [
            f"{product:,.0f} is the product of "
            + together([f"{_cut(r.mode)} (severity {r.severity:.3g})" for r in rows.itertuples()])
            for product, rows in list(shared)[:2]
        ]
        if not words:
            return ""
        return f"{'; '.join(words)}: the product alone cannot tell them apart. "

    def _prevention(self) -> str:
        known = self.table.dropna(subset=["chance_lower"])
        if known.empty:
            return "What prevention would change is not given for any mode. "
        least = known.loc[known["chance_lower"].idxmin()]
        worst = known.loc[known["after_estimate"].idxmax()]
        without = len(self.table) - len(known)
        silent = f"; for {counted(without, 'mode')} it is not given" if without else ""
        return (
            f"Prevention lowers the product with a chance of 95 % or more for"
            f" {int((known['chance_lower'] >= 0.95).sum())} of {counted(len(known), 'mode')}"
            f" (least sure: {_cut(least['mode'])}, {_chance(least['chance_lower'])}){silent}."
            f" The largest product left is that of {_cut(worst['mode'])},"
            f" {worst['after_estimate']:.0f}. "
        )

    def _money(self) -> str:
        if np.isnan(self.loss):
            return ""
        now, then = (
            spell(*limits, confidence=self.confidence, digits=0, unit=self.currency)
            for limits in (
                (self.loss, self.loss_low, self.loss_high),
                (self.after, self.after_low, self.after_high),
            )
        )
        left = "not given after prevention" if np.isnan(self.after) else f"after prevention {then}"
        modes = int(self.table["loss_per_year"].notna().sum())
        return f"Expected loss of {counted(modes, 'mode')}: {now} a year, {left}. "

    def _open(self) -> str:
        missing = self.table[self.table["gaps"].ne("")]
        if missing.empty:
            return ""
        each = [f"{_cut(row.mode)} ({row.gaps})" for row in missing.itertuples()]
        return f"Still open: {listed(each, most=TOLD, apart='; ')}. "

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each mode's product before and after prevention, severe modes by their own mark."""
        ax = look.axes(ax)
        table = self.table
        rows = np.arange(len(table))
        severe = table["severity"].ge(SEVERE).to_numpy()
        before = ["worse" if each else "usual" for each in severe]
        names = [look.shorten(name, width=34) for name in table["mode"]]
        look.dots(ax, table, names=names, meaning=before)
        for row, low, high, middle in zip(
            rows + 0.28, table["after_low"], table["after_high"], table["after_estimate"],
            strict=True,
        ):  # fmt: skip
            colour = look.MEANING["better"]
            ax.plot([low, high], [row, row], color=colour, lw=1.6)
            ax.plot(middle, row, look.MARKER["better"], color=colour, ms=5.5)
        ax.set_ylim(len(table) + 0.3, -1.0)  # the key stands below, the head of the chances above
        _beside(ax, table["chance_worst"], f"among worst {self.worst}")
        _key(ax, severe.any(), table["after_estimate"].notna().any())
        return look.label(
            ax,
            title="Which failure is worst, before and after prevention?",
            x=f"score product ({self.confidence * 100:.4g}% interval); most severe on top",
        )


def _beside(ax: Axes, chances: pd.Series, head: str) -> None:
    """Write each row's chance at the right of the picture."""
    style = {"transform": ax.get_yaxis_transform(), "va": "center", "color": look.MEANING["usual"]}
    for row, chance in enumerate(chances):
        ax.text(1.02, row, _chance(chance), size="small", **style)
    ax.text(1.02, -0.75, head, size="small", weight="bold", **style)


def _key(ax: Axes, severe: bool, after: bool) -> None:
    words = {"usual": "before"}
    words |= {"worse": f"before (severity {SEVERE}+)"} if severe else {}
    words |= {"better": "after"} if after else {}
    handles = [
        Line2D([], [], color=look.MEANING[what], marker=look.MARKER[what], lw=1.6, label=told)
        for what, told in words.items()
    ]
    ax.legend(
        handles=handles,
        frameon=False,
        fontsize="small",
        loc="lower left",
        ncols=3,
        columnspacing=1.0,
    )


def _cut(name: str) -> str:
    return f"'{look.shorten(str(name), width=NAME)}'"


def _chance(share: float) -> str:
    """A chance in whole per cent, never surer than the draws can tell."""
    if share > 0.99:
        return "over 99 %"
    return "under 1 %" if share < 0.01 else f"{share * 100:.0f} %"


def failure_modes(
    modes: Sequence[dict],
    *,
    currency: str = "",
    worst: int = 3,
    confidence: float = 0.9,
    draws: int = 4000,
    rng: np.random.Generator,
) -> FailureModes:
    """Order the ways in which a change can fail, with ranges in place of single scores.

    Parameters
    ----------
    modes : sequence of dict
        ``name``; ``severity``, ``occurrence`` and ``detection`` from 1 to 10 (10: gravest, most
        frequent, least likely to be noticed in time), each one number or ``[least, likeliest,
        most]``.  If wanted ``effect``, ``cause``, ``owner``, ``prevention``, ``emergency`` (what
        is done when it happens); ``share``, the probability of the failure in a year, with
        ``loss``, the money it costs then; and ``after``, those of the five numbers that
        prevention changes.
    currency : str, optional
        Of the losses; needed where one is given.
    worst : int, default 3
        How many modes count as the worst.
    confidence : float, default 0.9
    draws : int, default 4000
    rng : Generator

    Returns
    -------
    FailureModes

    Raises
    ------
    Refusal
        If no mode is given.
    Problem
        If a score is missing or outside 1 to 10, a key is unknown, two modes share a name, a
        loss has no probability or no currency.

    Notes
    -----
    The risk priority number is severity x occurrence x detection (IEC 60812) [1]_.  It multiplies
    ranks, so equal products may hide unequal risks [2]_: the table is ordered by the likeliest
    severity, then occurrence, and the product stands beside.  Each range is drawn from its
    triangle, on a continuous scale; modes and scores independently, before and after too, but a
    score that prevention does not change is the same in both.  Within a draw modes are ranked
    by the product, equal ones by severity, then occurrence; what is still equal shares the first
    of its ranks.  Expected loss a year = ``share`` x ``loss``.

    References
    ----------
    .. [1] International Electrotechnical Commission (2018). IEC 60812: Failure modes and effects
       analysis (FMEA and FMECA). Edition 3.
    .. [2] Bowles, J. B. (2003). An assessment of RPN prioritization in a failure modes effects
       and criticality analysis. Annual Reliability and Maintainability Symposium, 380-386.
       doi:10.1109/RAMS.2003.1182019

    Examples
    --------
    10 x 2 x 3 and 5 x 3 x 4 are both 60; the severe one is the worse.

    >>> modes = [{"name": "slow", "severity": 5, "occurrence": 3, "detection": 4},
    ...          {"name": "fire", "severity": 10, "occurrence": 2, "detection": 3}]
    >>> found = failure_modes(modes, worst=1, rng=np.random.default_rng(1))
    >>> found.table[["mode", "rpn", "chance_worst"]].values.tolist()
    [['fire', 60.0, 1.0], ['slow', 60.0, 0.0]]
    """
    need_share(confidence, name="confidence")
    need_whole(worst, name="worst", least=1)
    read = _read(modes, currency)
    before = [_scores(each, draws, rng) for each in read]
    after = [_scores_after(each, scores, rng) for each, scores in zip(read, before, strict=True)]
    worst = min(worst, len(read))
    table = _table(read, np.stack(before), after, worst=worst, confidence=confidence)
    lost, left = _losses(read, draws, rng)
    table = table.assign(
        **_limits(lost, "loss_per_year", confidence),
        **_limits(left, "loss_after_per_year", confidence),
    )
    order = ["severity", "occurrence", "rpn", "mode"]
    table = table.sort_values(order, ascending=[False, False, False, True], ignore_index=True)
    changed = any(set(LOSSES) & set(each.after) for each in read)
    now = _total(lost, confidence)
    then = _total(left, confidence) if changed else UNKNOWN
    by_product = table.sort_values(
        ["chance_worst", "estimate"], ascending=False, kind="stable", ignore_index=True
    )
    return FailureModes(
        table=table[[*_FIRST, *table.columns.difference(_FIRST + _LAST, sort=False), *_LAST]],
        severest=str(table["mode"].iloc[0]),
        likeliest=str(by_product["mode"].iloc[0]),
        severe=tuple(table.loc[table["severity"].ge(SEVERE), "mode"]),
        tied=int(table["tied_with"].ne("").sum()),
        gaps=tuple(table.loc[table["gaps"].ne(""), "mode"]),
        worst=worst,
        **dict(zip(("loss", "loss_low", "loss_high"), now, strict=True)),
        **dict(zip(("after", "after_low", "after_high"), then, strict=True)),
        confidence=confidence,
        currency=currency,
        draws=draws,
    )


_FIRST = ["mode", "effect", "cause"]
_LAST = [*PLANS, "gaps", "note"]


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mode:
    """One failure mode as it was given; ranges by name, ``after`` only those that change."""

    name: str
    words: dict[str, str] = field(default_factory=dict)
    given: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    after: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    planned: bool = False  # whether prevention is said to change a score


def _read(modes: Sequence[dict], currency: str) -> list[_Mode]:
    if not isinstance(modes, list | tuple):
        raise Problem(f"The failure modes are {modes!r}.", "give a list, each with its name.")
    if not modes:
        raise Refusal(
            "No failure mode of the change is given.",
            "ask those who will carry it out what may go wrong, and list it in the parameters.",
        )
    read = [_mode(each) for each in modes]
    names = [each.name for each in read]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Problem(f"Two failure modes are called {twice[0]!r}.", "give each its own name.")
    if any("loss" in each.given for each in read) and not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")
    return read


def _mode(given: Any) -> _Mode:
    if not isinstance(given, dict) or not str(given.get("name") or "").strip():
        raise Problem(f"A failure mode has no name: {given!r}.", "begin it with `name: ...`.")
    name = str(given["name"]).strip()
    _need_known(given, KNOWN, f"Failure mode {name!r}")
    for score in SCORES:
        if given.get(score) is None:
            raise Problem(
                f"Failure mode {name!r} has no {score}.", f"score it from {LEAST} to {MOST}."
            )
    if (given.get("share") is None) != (given.get("loss") is None):
        raise Problem(
            f"Failure mode {name!r} has only one of `share` and `loss`.",
            "give both, the probability in a year and the money it costs then, or neither.",
        )
    numbers = {key: given[key] for key in (*SCORES, *LOSSES) if given.get(key) is not None}
    after = given.get("after")
    _need_after(after, numbers, name)
    return _Mode(
        name=name,
        words={key: _words(given.get(key)) for key in ("effect", "cause", *PLANS)},
        given={key: _range(value, key, name) for key, value in numbers.items()},
        after={key: _range(value, key, f"{name} after") for key, value in (after or {}).items()},
        planned=any(score in (after or {}) for score in SCORES),
    )


def _words(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _need_known(given: dict, known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise Problem(f"{where} has an unknown entry {key!r}.", nearest(str(key), known))


def _need_after(after: Any, numbers: dict, name: str) -> None:
    if after is None:
        return
    where = f"`after` of failure mode {name!r}"
    if not isinstance(after, dict):
        raise Problem(f"{where} is {after!r}.", "write after: {occurrence: [1, 2, 4]}.")
    _need_known(after, (*SCORES, *LOSSES), where)
    if lost := [key for key in after if key not in numbers]:
        raise Problem(f"{where} has a {lost[0]} that it lacks before.", "give it for both.")


def _range(value: Any, key: str, name: str) -> tuple[float, float, float]:
    where = f"{key} of failure mode {name!r}"
    points = three_points(value, name=where)
    low, high, words = {
        "share": (0, 1, "a probability from 0 to 1"),
        "loss": (0, np.inf, "0 or more"),
    }.get(key, (LEAST, MOST, f"a score from {LEAST} to {MOST}"))
    if points[0] < low or points[2] > high:
        raise Problem(f"{where} is {value!r}.", f"give {words}, or three of them in order.")
    return points


# --- Drawing --------------------------------------------------------------------------------------


def _scores(mode: _Mode, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of severity, occurrence and detection, (3, draws)."""
    return np.stack([drawn(mode.given[score], draws, rng=rng) for score in SCORES])


def _scores_after(mode: _Mode, before: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The same after prevention: what it does not change keeps its draws; None if not given."""
    if not mode.planned:
        return None
    size = before.shape[1]
    return np.stack(
        [
            drawn(mode.after[score], size, rng=rng) if score in mode.after else before[i]
            for i, score in enumerate(SCORES)
        ]
    )


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of each mode in each draw by the product, 1 is worst, (modes, draws).

    Equal products are told apart by severity, then occurrence; what is still equal shares a rank.
    """
    severity, occurrence, _ = np.moveaxis(scores, 1, 0)
    product = scores.prod(axis=1).round(9)
    rank = np.ones(product.shape, int)
    for i in range(len(product)):
        worse = occurrence > occurrence[i]
        for each in (severity, product):  # the last one goes first
            worse = (each > each[i]) | ((each == each[i]) & worse)
        rank[i] += worse.sum(axis=0)
    return rank


def _table(read, before, after, *, worst: int, confidence: float) -> pd.DataFrame:
    """One row per mode in the order given, without money."""
    rank, product = _ranks(before), before.prod(axis=1)
    rows = []
    for i, mode in enumerate(read):
        likeliest = {score: mode.given[score][1] for score in SCORES}
        low, high = percentiles(product[i], confidence=confidence)
        tail = (1 - confidence) / 2
        span = np.quantile(rank[i], [tail, 1 - tail], method="inverted_cdf")
        left = None if after[i] is None else after[i].prod(axis=0)
        rows.append(
            {"mode": mode.name, **mode.words, **likeliest}
            | {"rpn": float(np.prod(list(likeliest.values())).round(9))}
            | {"estimate": float(product[i].mean()), "low": float(low), "high": float(high)}
            | {"rank_low": int(span[0]), "rank_high": int(span[1])}
            | {"chance_worst": float((rank[i] <= worst).mean())}
            | {"chance_severe": float((before[i, 0] >= SEVERE).mean())}
            | _after(left, product[i], confidence)
            | {"gaps": _gaps(mode), "note": _note(mode, float((before[i, 0] >= SEVERE).mean()))}
        )
    table = pd.DataFrame(rows)
    return table.assign(tied_with=_tied(table))


def _after(left: np.ndarray | None, before: np.ndarray, confidence: float) -> dict[str, float]:
    names = ("after_estimate", "after_low", "after_high", "chance_lower")
    if left is None:
        return dict.fromkeys(names, np.nan)
    low, high = percentiles(left, confidence=confidence)
    lower = (left.round(9) < before.round(9)).mean()
    return dict(zip(names, map(float, (left.mean(), low, high, lower)), strict=True))


def _gaps(mode: _Mode) -> str:
    return ", ".join(f"no {plan}" for plan in PLANS if not mode.words[plan])


def _note(mode: _Mode, chance: float) -> str:
    notes = []
    if mode.given["severity"][1] < SEVERE and chance > 0:
        notes.append(f"severity may reach {SEVERE} or more")
    if not mode.planned:
        notes.append("what prevention would change is not given")
    if "loss" in mode.given and not set(LOSSES) & set(mode.after):
        notes.append("its loss after prevention is not given and taken as before")
    return "; ".join(notes)


def _tied(table: pd.DataFrame) -> list[str]:
    """For each mode the others whose likeliest scores have the same product."""
    return [
        "; ".join(name for name, rpn in zip(table["mode"], table["rpn"], strict=True)
                  if rpn == row.rpn and name != row.mode)
        for row in table.itertuples()
    ]  # fmt: skip


def _losses(read: Sequence[_Mode], draws: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the expected loss a year before and after, (modes, draws); NaN if not given."""
    lost, left = np.full((2, len(read), draws), np.nan)
    for i, mode in enumerate(read):
        if "loss" not in mode.given:
            continue
        now = {key: drawn(mode.given[key], draws, rng=rng) for key in LOSSES}
        then = now | {
            key: drawn(mode.after[key], draws, rng=rng) for key in LOSSES if key in mode.after
        }
        lost[i], left[i] = (each["share"] * each["loss"] for each in (now, then))
    return lost, left


def _limits(values: np.ndarray, name: str, confidence: float) -> dict[str, np.ndarray]:
    low, high = percentiles(values.T, confidence=confidence)
    return {name: values.mean(axis=1), f"{name}_low": low, f"{name}_high": high}


def _total(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean and limits of the sum over the modes whose loss is given."""
    known = values[~np.isnan(values).any(axis=1)]
    if not len(known):
        return UNKNOWN
    low, high = percentiles(known.sum(axis=0), confidence=confidence)
    return float(known.sum(axis=0).mean()), float(low), float(high)
