"""Does a code act as an answer?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_numbers, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell
from sqm.scales import SOURCE

# What survey programs write for "does not apply", "do not know" and "refused".
USUAL = (-1, -7, -8, -9, -97, -98, -99, -999, 0, 8, 9, 88, 96, 97, 98, 99, 888, 998, 999, 9999)
WIDE = 20  # points of a scale on which a usual code may hide between two answers
ENOUGH = 30  # answers next to a value that it is compared with
RARE = 0.05  # share up to which a value is left out of the items it is compared on
FEWEST = 10  # answers of a value below which its givers are not compared
ALL = "all items"
ACTS = "does not act as a rating"
COLUMNS = [
    "value",
    "item",
    "answers",
    "share",
    "suspected",
    "sign",
    "neighbours",
    "estimate",
    "low",
    "high",
    "mean_with",
    "mean_without",
    "shift",
    "shift_low",
    "shift_high",
    "note",
]


@dataclass(frozen=True, eq=False)
class SuspectCodes(Finding):
    """Values that are averaged as ratings and may be codes.

    Attributes
    ----------
    table : DataFrame, one row per value looked at, and one per item for a suspected value
        ``value``; ``item``, or ``all items``; ``answers`` with that value and their ``share``;
        ``suspected``; ``sign``, what makes it so; ``neighbours``, the values it is compared
        with; ``estimate``, ``low``, ``high``, how those who gave it answer the other items
        (0: like those who gave a neighbouring value, 1: like the average respondent);
        ``mean_with``, ``mean_without`` the value, in scale points; ``shift`` from the one to
        the other with ``shift_low``, ``shift_high``; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    suspects : tuple of float
        The suspected values.
    items, answers : int
        Items looked at, and answers in them.
    points : tuple of float
        The scale as declared; as found where none is.
    given : tuple of float
        Lowest and highest answer given.
    """

    confidence: float
    suspects: tuple[float, ...]
    items: int
    answers: int
    points: tuple[float, float]
    given: tuple[float, float]

    def sentence(self) -> str:
        low, high = self.points
        rest = (
            f"Looked at: {counted(self.answers, 'answer')} to {counted(self.items, 'item')} on a "
            f"scale from {low:g} to {high:g}, for values off the scale or far from the rest, a "
            "value in one item only, and the ends of the scale, whose givers should answer the "
            "other items like those who gave the value next to it."
        )
        if not self.suspects:
            none = f"No value looks like a code that acts as an answer{self._half_used()}."
            return f"{none}\n{rest}{self._unjudged()}"
        whole = [self._row(value) for value in self.suspects]
        also = ", ".join(f"{value:g}" for value in self.suspects[1:6])
        words = [f"{self._evidence(whole[0])}{f' Also suspected: {also}.' if also else ''}\n"]
        words += [self._shift(row) for row in whole]
        words += [
            "If it means 'no answer' or 'does not apply', list it under `missing_answers` of the "
            "table in the study's parameters (under `missing` if it is a code in every column); "
            "if it is a rating, leave it. Nothing was changed."
        ]
        return " ".join([*words, rest]).replace("\n ", "\n") + self._unjudged()

    def _half_used(self) -> str:
        """A scale of which not even half is used may be declared wrongly, and then tilts means."""
        (low, high), (least, most) = self.points, self.given
        if self.answers < ENOUGH or not most - least < (high - low) / 2:
            return ""
        return (
            f"; but all answers lie from {least:g} to {most:g}, on a scale said to run from "
            f"{low:g} to {high:g}: check `scale`"
        )

    def _row(self, value: float) -> pd.Series:
        rows = self.table[(self.table["value"] == value) & self.table["suspected"]]
        whole = rows[rows["item"] == ALL]
        return whole.iloc[0] if len(whole) else rows.loc[rows["answers"].idxmax()]

    def _evidence(self, row: pd.Series) -> str:
        where = self.table.loc[self.table["value"] == row["value"], "item"]
        names = [look.shorten(item, width=24) for item in where if item != ALL]
        place = names[0] if len(names) == 1 else counted(len(names), "item")
        words = f"Is {row['value']:g} a code? It is averaged as an answer {row['answers']:,} times"
        if row["sign"] != ACTS:
            return f"{words} ({place}); {row['sign']}."
        found = spell(row["estimate"], row["low"], row["high"], confidence=self.confidence)
        return (
            f"{words} ({place}); its givers answer the rest {found} of the way from those who "
            f"gave {row['neighbours']} to the average."
        )

    def _shift(self, row: pd.Series) -> str:
        found = spell(
            row["shift"], row["shift_low"], row["shift_high"], confidence=self.confidence, digits=3
        )
        return (
            f"Without {row['value']:g} the mean of {row['item']} goes from "
            f"{row['mean_with']:.3f} to {row['mean_without']:.3f}, a change of {found}."
        )

    def _unjudged(self) -> str:
        whole = self.table[(self.table["item"] == ALL) & (self.table["note"] != "")]
        told = [f"{row.value:g} ({row.note})" for row in whole.itertuples() if not row.suspected]
        return f" Not compared: {', '.join(told)}." if told else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table.dropna(subset="estimate").head(24)
        names = [f"{row.value:g} · {row.item} ({row.answers:,})" for row in shown.itertuples()]
        meaning = np.where(shown["suspected"], "worse", "usual")
        if len(shown):
            look.dots(ax, shown, names=names, meaning=meaning)
        for at in (0, 1):
            ax.axvline(at, color=look.MEANING["limit"], lw=0.8)
        ax.axvline(0.5, color=look.MEANING["limit"], ls=":")
        if shown.empty:
            ax.text(0.5, 0.5, "no value could be compared", transform=ax.transAxes, ha="center")
        return look.label(
            ax,
            title="Do those who gave this value act as if it were a rating?",
            x="the other items (0: like those next on the scale, 1: like the average)",
        )


def suspect_codes(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    points: tuple[float, float] | None = None,
    others: Iterable[str] = (),
    confidence: float = 0.95,
) -> SuspectCodes:
    """Ask about values that are averaged as ratings and may mean "no answer".

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers as recorded, nothing turned round; declared codes already missing.
    items : iterable of str
        Items on one scale.
    points : tuple of float, optional
        Lowest and highest answer of that scale; without it, the scale is what is left when
        values far from the rest are taken away.
    others : iterable of str
        Further columns of numbers, such as overall satisfaction, that show how a respondent
        answers elsewhere; they are not examined.
    confidence : float, default 0.95

    Returns
    -------
    SuspectCodes
        It asks and changes nothing.

    Raises
    ------
    Problem
        If no item is named, an item is text, or the scale is upside down.
    Refusal
        If no item has an answer.

    Notes
    -----
    A value is suspected if it is off the scale; if it lies further from all others than they
    span; if it is in one item only, at an end; or if it does not act as a rating.  For the
    last, each respondent's other items (standardised, each in the direction of the first
    principal component) are averaged; a value that makes up no more than one answer in twenty
    is left out of them, so that codes given together do not vouch for each other.  With m_v
    their mean among those who gave the value, m_n among those who gave the nearest values that
    have 30 answers together, and m_a among all who gave another, the estimate is
    (m_v - m_n) / (m_a - m_n) with Fieller's interval [1]_, respondents as units; those who
    gave one answer to three items or more throughout are not asked.  A rating lies near 0 or
    below, a code near 1; the value is suspected where the whole interval lies above 1/2.  Over all
    items the level is as given, item by item it is shared out (Bonferroni).  A code given by
    people who answer like the lowest raters passes unseen: read the questionnaire.

    References
    ----------
    .. [1] Fieller, E. C. (1954). Some problems in interval estimation. Journal of the Royal
       Statistical Society B 16, 175-185. doi:10.1111/j.2517-6161.1954.tb00159.x

    Examples
    --------
    Without -99 the mean of 4, 5 and 6 is 5; with it (-99 + 15) / 4 = -21.

    >>> given = pd.DataFrame({"polite": [4.0, 5.0, 6.0, -99.0]})
    >>> found = suspect_codes(given, items=["polite"], points=(1, 7))
    >>> found.suspects, float(found.table["mean_with"][0]), float(found.table["mean_without"][0])
    ((-99.0,), -21.0, 5.0)
    """
    items, others = list(dict.fromkeys(items)), list(dict.fromkeys(others))
    given = _numbers(answers, items, others, points, confidence)
    values = np.unique(given[items].to_numpy()[given[items].notna().to_numpy()])
    far = _far(values)
    scale = points or (float(values[~far].min()), float(values[~far].max()))
    rows = []
    for value in _candidates(values, far, scale, points):
        sign = _plain_sign(value, given[items], far[values == value][0], scale)
        rows += _rows(given, items, value, sign, confidence)
    table = pd.DataFrame(rows, columns=COLUMNS)
    suspects = table.loc[table["suspected"], "value"].unique()
    return SuspectCodes(
        table=table.sort_values("suspected", ascending=False, kind="stable", ignore_index=True),
        confidence=confidence,
        suspects=tuple(float(value) for value in suspects),
        items=len(items),
        answers=int(given[items].notna().sum().sum()),
        points=(float(scale[0]), float(scale[1])),
        given=(float(values[0]) + 0.0, float(values[-1]) + 0.0),  # no minus nought
    )


# --- Which values are looked at -------------------------------------------------------------------


def _numbers(answers, items, others, points, confidence) -> pd.DataFrame:
    need_share(confidence, name="confidence")
    if not items:
        raise Problem("No item is named.", "list the items that share the scale.")
    if points is not None and not points[0] < points[1]:
        raise Problem(
            f"The scale runs from {points[0]} to {points[1]}.", "give the lowest answer first."
        )
    need_columns(answers, [*items, *others], source=SOURCE)
    need_numbers(answers, [*items, *others], source=SOURCE)
    given = answers[list(dict.fromkeys([*items, *others]))].astype(float)
    if not given[items].notna().any(axis=None):
        raise Refusal("No item has an answer.", "check that the answers were read.")
    return given


def _far(values: np.ndarray) -> np.ndarray:
    """Values cut off from the bulk by a gap wider than the bulk itself (two steps at least)."""
    if len(values) < 3:
        return np.zeros(len(values), dtype=bool)
    parts = np.split(values, np.flatnonzero(np.diff(values) > _gap(values)) + 1)
    bulk = max(parts, key=len)
    return ~np.isin(values, bulk)


def _gap(values: np.ndarray) -> float:
    steps = np.diff(values)
    middle = np.median(steps)
    near = steps[steps <= 2 * middle]
    return float(max(near.sum(), 2 * middle))


def _candidates(values, far, scale, points) -> list[float]:
    low, high = scale
    off = values[(values < low) | (values > high)] if points else values[far]
    inside = values[(values >= low) & (values <= high)]
    looked = [*off, *inside[[0, -1]]] if len(inside) else [*off]
    if high - low > WIDE:
        looked += [value for value in inside if value in USUAL]
    return [float(value) for value in dict.fromkeys(looked)]


def _plain_sign(value, given: pd.DataFrame, far: bool, scale: tuple[float, float]) -> str:
    usual = ", and a usual code" if value in USUAL else ""
    if not scale[0] <= value <= scale[1]:
        return f"it is off the scale{usual}"
    if far:
        return f"it lies far from the rest{usual}"
    times = (given == value).sum()
    often = given.notna().sum().mean()
    alone = given.shape[1] > 2 and (times > 0).sum() == 1 and times.max() >= max(5, often / 100)
    return f"no other item has it{usual}" if alone else ""


# --- What speaks for a code -----------------------------------------------------------------------


def _rows(given, items, value, sign, confidence) -> list[dict]:
    """One row over all items; where the value is suspected, one row per item that has it."""
    used = [item for item in items if (given[item] == value).any()]
    elsewhere = _elsewhere(given, items, value) if not sign else {}
    alone = 1 - (1 - confidence) / max(len(used), 1)
    each = [_row(given, [item], item, value, sign, elsewhere, alone) for item in used]
    whole = _row(given, items, ALL, value, sign, elsewhere, confidence)
    suspected = [row for row in each if row["suspected"]]
    return [whole, *(each if whole["suspected"] and not suspected else suspected)]


def _row(given, items, name, value, sign, elsewhere, confidence) -> dict:
    times = int((given[items] == value).sum().sum())
    row = {"value": value, "item": name, "answers": times}
    row["share"] = times / int(given[items].notna().sum().sum())
    row |= dict.fromkeys(["estimate", "low", "high"], np.nan)
    row |= {"neighbours": "", "note": "", "sign": sign, **_moved(given[items], value, confidence)}
    if not sign:
        row |= _position(given, items, value, elsewhere, confidence)
        row["sign"] = ACTS if row["low"] > 0.5 else ""
    return row | {"suspected": bool(row["sign"])}


def _moved(given: pd.DataFrame, value: float, confidence: float) -> dict:
    """How far the mean moves when the value is left out; respondents are the units."""
    x, there = given.to_numpy(), given.notna().to_numpy()
    kept = there & (x != value)
    if not kept.any():
        return dict.fromkeys(
            ["mean_with", "mean_without", "shift", "shift_low", "shift_high"], np.nan
        )
    both, without = x[there].mean(), x[kept].mean()
    part = np.where(kept, x - without, 0).sum(axis=1) / kept.sum()
    part -= np.where(there, x - both, 0).sum(axis=1) / there.sum()
    n = int(there.any(axis=1).sum())
    half = stats.t.ppf((1 + confidence) / 2, max(n - 1, 1)) * np.sqrt((part**2).sum())
    return {
        "mean_with": float(both),
        "mean_without": float(without),
        "shift": float(without - both),
        "shift_low": float(without - both - half),
        "shift_high": float(without - both + half),
    }


def _elsewhere(given: pd.DataFrame, items: list[str], value: float) -> dict[str, np.ndarray]:
    """Per item, each respondent's mean of the other columns, all pointing the item's way."""
    seen = given[~_one_answer(given[items])].reindex(given.index)
    if (seen[items] == value).sum().sum() <= RARE * seen[items].notna().sum().sum():
        seen[items] = seen[items].where(seen[items] != value)
    spread = seen.std()
    seen = seen.loc[:, spread > 0]
    if seen.shape[1] < 2:
        return {}
    z = (seen - seen.mean()) / seen.std()
    weights = np.linalg.eigh(z.corr().fillna(0.0).to_numpy())[1][:, -1]
    z = z * np.where(weights < 0, -1.0, 1.0)
    turned = z.to_numpy()
    total, number = np.nansum(turned, axis=1), (~np.isnan(turned)).sum(axis=1)
    scores = {}
    for place, item in enumerate(z):
        if item not in items:
            continue
        own = np.nan_to_num(turned[:, place])
        left = number - ~np.isnan(turned[:, place])
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(left > 0, (total - own) / left, np.nan)
        scores[item] = mean if weights[place] >= 0 else -mean
    return scores


def _one_answer(given: pd.DataFrame) -> pd.Series:
    """Who gave the same answer throughout: every value of theirs would look out of place."""
    return (given.max(axis=1) == given.min(axis=1)) & (given.notna().sum(axis=1) > 2)


def _position(given, items, value, elsewhere, confidence) -> dict:
    """Where those who gave the value stand between their neighbours (0) and everyone (1)."""
    used = [item for item in items if item in elsewhere and (given[item] == value).any()]
    near = _neighbours(given[used], value) if used else []
    words = _span(near)
    parts = [_contrast(given[item].to_numpy(), value, near, elsewhere[item]) for item in used]
    parts = [part for part in parts if part is not None]
    times = sum(part[0] for part in parts)
    if times < FEWEST or not near:
        why = "nothing to compare with" if not used or not near else "too few gave it to tell"
        return {"neighbours": words, "note": why}
    weights = np.array([part[0] for part in parts]) / times
    means = np.tensordot(weights, np.array([part[1] for part in parts]), 1)
    influence = np.tensordot(weights, np.array([part[2] for part in parts]), 1)
    estimate, low, high = _fieller(means, influence @ influence.T, confidence)
    note = "" if np.isfinite(low) else "those next to it answer like everyone else"
    return {"neighbours": words, "estimate": estimate, "low": low, "high": high, "note": note}


def _neighbours(given: pd.DataFrame, value: float) -> list[float]:
    """The nearest values that have enough answers together, never beyond half of all values."""
    every = given.to_numpy().ravel()
    times = pd.Series(every[~np.isnan(every) & (every != value)]).value_counts().sort_index()
    order = np.argsort(np.abs(times.index.to_numpy() - value), kind="stable")
    reach = int(np.searchsorted(np.cumsum(times.to_numpy()[order]), ENOUGH)) + 1
    if reach > max(len(times) // 2, 1):
        return []
    return sorted(float(times.index[i]) for i in order[:reach])


def _span(near: list[float]) -> str:
    if len(near) < 2:
        return "".join(f"{value:g}" for value in near)
    return f"{near[0]:g} to {near[-1]:g}"


def _contrast(x, value, near, score) -> tuple[int, np.ndarray, np.ndarray] | None:
    """Answers, the two differences that Fieller's ratio needs, and what each respondent adds."""
    known = ~np.isnan(score)
    who = [known & (x == value), known & np.isin(x, near), known & ~np.isnan(x) & (x != value)]
    if min(group.sum() for group in who) == 0:
        return None
    score = np.nan_to_num(score)
    means = [score[group].mean() for group in who]
    adds = [
        np.where(group, score - m, 0) / group.sum() for group, m in zip(who, means, strict=True)
    ]
    return (
        int(who[0].sum()),
        np.array([means[0] - means[1], means[2] - means[1]]),
        np.array([adds[0] - adds[1], adds[2] - adds[1]]),
    )


def _fieller(means: np.ndarray, cov: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Ratio of two means with Fieller's interval; NaN limits where the divisor may be 0."""
    z2 = stats.norm.ppf((1 + confidence) / 2) ** 2
    top, bottom = means
    a = bottom**2 - z2 * cov[1, 1]
    b = top * bottom - z2 * cov[0, 1]
    c = top**2 - z2 * cov[0, 0]
    if a <= 0 or bottom == 0:
        return np.nan, np.nan, np.nan
    root = np.sqrt(max(b**2 - a * c, 0.0))
    return float(top / bottom), float((b - root) / a), float((b + root) / a)
